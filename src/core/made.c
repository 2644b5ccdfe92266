/* What changed statements make, told from what was there before.
 *
 * While a plan evaluates, everything older is frozen: gc.freeze() moves it out
 * of the collector's sight without touching a single object, so what the
 * collector still lists has been made since, whoever collects meanwhile
 * (heap.c sees what is frozen, too).  What the program has frozen itself (3.12
 * does so at its start) is hidden meanwhile, and stays frozen.  Where that
 * cannot be done, automatic collection is off instead, and what was made is in
 * the youngest generation, as long as nobody calls gc.collect().
 *
 * For evaluate.c, merge.c, and who searches all objects in the meantime.
 */
#include "code.h"

static PyObject *
call_gc(const char *name, int generation)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *result = gc == NULL ? NULL
                       : generation < 0
                           ? PyObject_CallMethod(gc, name, NULL)
                           : PyObject_CallMethod(gc, name, "i", generation);
    Py_XDECREF(gc);
    return result;
}

static int
call_gc_for_effect(const char *name)
{
    PyObject *result = call_gc(name, -1);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* -- Before and after ----------------------------------------------------- */

int
hr_made_begin(struct hr_plan *p)
{
    if (p->evaluating) {
        return 0;
    }
    PyObject *count = call_gc("get_freeze_count", -1);
    PyObject *enabled = count ? call_gc("isenabled", -1) : NULL;
    int status = enabled == NULL ? -1 : 0;
    if (status == 0 && PyObject_IsTrue(count) && !hr_heap_hide_frozen(p->st)) {
        p->gc_was_enabled = PyObject_IsTrue(enabled);
        status = call_gc_for_effect("disable");
        p->evaluating = status < 0 ? 0 : HR_EVALUATING_PAUSED;
    }
    else if (status == 0) {
        status = call_gc_for_effect("freeze");
        p->evaluating = status < 0 ? 0 : HR_EVALUATING_FROZEN;
    }
    p->st->frozen = p->evaluating == HR_EVALUATING_FROZEN;
    Py_XDECREF(enabled);
    Py_XDECREF(count);
    return status;
}

/* As it was before.  Keeps the current exception. */
void
hr_made_end(struct hr_plan *p)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if ((p->evaluating == HR_EVALUATING_FROZEN &&
         call_gc_for_effect("unfreeze") < 0) ||
        (p->evaluating == HR_EVALUATING_PAUSED && p->gc_was_enabled &&
         call_gc_for_effect("enable") < 0)) {
        PyErr_WriteUnraisable(NULL);
    }
    hr_heap_show_frozen(p->st);
    p->evaluating = 0;
    p->st->frozen = 0;
    Py_CLEAR(p->made_ids);
    PyErr_Restore(type, value, traceback);
}

/* The thread that made a plan is not in the child. */
void
hr_made_after_fork(struct hr_state *st)
{
    if (st->frozen && call_gc_for_effect("unfreeze") < 0) {
        PyErr_WriteUnraisable(NULL);
    }
    hr_heap_show_frozen(st);
    st->frozen = 0;
}

/* -- Asking --------------------------------------------------------------- */

PyObject *
hr_made_list(struct hr_plan *p)
{
    return call_gc("get_objects",
                   p->evaluating == HR_EVALUATING_PAUSED ? 0 : -1);
}

/* An address that was given out since is never that of an older object, so
 * the numbers need not keep anything alive. */
static int
note_ids(struct hr_plan *p)
{
    PyObject *list = hr_made_list(p);
    Py_XSETREF(p->made_ids, list ? PySet_New(NULL) : NULL);
    int status = p->made_ids == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *id = PyLong_FromVoidPtr(PyList_GET_ITEM(list, i));
        status = id == NULL ? -1 : PySet_Add(p->made_ids, id);
        Py_XDECREF(id);
    }
    Py_XDECREF(list);
    if (status < 0) {
        Py_CLEAR(p->made_ids);
    }
    return status;
}

int
hr_made_has(struct hr_plan *p, PyObject *o)
{
    if (PyFunction_Check(o) &&
        hr_evaluate_unit(p, HR_AS_FUNCTION(o)->func_globals) != NULL) {
        return 1;
    }
    if (!p->evaluating) {
        return 1; /* nothing but plain definitions has run */
    }
    if (p->made_ids == NULL && note_ids(p) < 0) {
        return -1;
    }
    PyObject *id = PyLong_FromVoidPtr(o);
    int has = id == NULL ? -1 : PySet_Contains(p->made_ids, id);
    Py_XDECREF(id);
    return has;
}

void
hr_made_more(struct hr_plan *p)
{
    Py_CLEAR(p->made_ids);
}
