/* replace(), restore(), restore_all() and original().
 *
 * request.c plans what replace() asks for, as a journal; patch.c puts it in
 * force.  Here is what lies between: arguments, the Patch that the caller
 * gets, where it was written, and what names mean in the live file that runs.
 *
 * For module.c.
 */
#include "core.h"

/* -- replace -------------------------------------------------------------- */

static int
check_arguments(PyObject *owner, PyObject *before, PyObject *after)
{
    if (PyModule_Check(owner) && !PyCallable_Check(after)) {
        PyErr_Format(PyExc_TypeError,
                     "replace: the replacement must be callable, not %R",
                     after);
        return -1;
    }
    if (before == after) {
        PyErr_Format(PyExc_ValueError,
                     "replace: %R would replace itself; pass another function "
                     "as the third argument",
                     before);
        return -1;
    }
    return 0;
}

/* Where the replacement was written; else where replace() was called. */
static void
locate(PyObject *after, PyObject **file, long *line)
{
    *file = NULL;
    *line = 0;
    PyObject *o = after;
    if (PyMethod_Check(o)) {
        o = PyMethod_GET_FUNCTION(o);
    }
    if (PyFunction_Check(o)) {
        PyCodeObject *code =
            (PyCodeObject *)((PyFunctionObject *)o)->func_code;
        *file = Py_NewRef(code->co_filename);
        *line = code->co_firstlineno;
        return;
    }
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    if (frame != NULL) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        *file = Py_NewRef(code->co_filename);
        *line = PyFrame_GetLineNumber(frame);
        Py_DECREF(code);
    }
    else {
        *file = Py_NewRef(Py_None);
    }
}

/* In the live file that runs, names of `before` now mean the original. */
static int
keep_meaning(struct hr_state *st, PyObject *before, PyObject *original)
{
    struct hr_run *run = hr_patch_run(st);
    if (run == NULL || before == original) {
        return 0;
    }
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(run->globals, &pos, &key, &value)) {
        /* Setting the value of a key that is there moves nothing. */
        if (value == before &&
            PyDict_SetItem(run->globals, key, original) < 0) {
            return -1;
        }
    }
    return 0;
}

static hr_patch *
new_patch(struct hr_request *r, PyObject *original)
{
    hr_patch *p = PyObject_GC_New(hr_patch, r->st->patch_type);
    if (p == NULL) {
        return NULL;
    }
    /* Everything behind the header is zero until it is set. */
    memset((char *)p + sizeof(PyObject), 0,
           sizeof(hr_patch) - sizeof(PyObject));
    p->owner = Py_NewRef(r->owner);
    p->name = Py_NewRef(r->name);
    p->before = Py_NewRef(r->before);
    p->original = Py_NewRef(original);
    p->by_owner = r->by_owner;
    p->layer = ++r->st->next_layer;
    PyObject_GC_Track(p);
    return p;
}

PyObject *
hr_replace(struct hr_state *st, PyObject *owner, PyObject *before,
           PyObject *after)
{
    if (check_arguments(owner, before, after) < 0) {
        return NULL;
    }
    struct hr_request r = {
        .st = st, .owner = owner, .after = after, .layer = HR_LAYER_TOP};
    PyObject *original = NULL, *file = NULL;
    hr_patch *p = NULL;
    long line;

    r.patch = hr_patch_find(st, owner, before);
    if (hr_request_is_held_itself(&r, before)) {
        r.patch = NULL;
    }
    if (r.patch != NULL) {
        Py_INCREF(r.patch);
        r.before = Py_NewRef(r.patch->before);
        r.name = Py_NewRef(r.patch->name);
        r.owner = r.patch->owner;
        r.force = r.patch->journal;
        r.layer = r.patch->layer;
        original = Py_NewRef(r.patch->original);
    }
    else {
        r.before = Py_NewRef(before);
    }
    struct hr_journal *j = hr_journal_new();
    if (j == NULL || hr_request_plan(&r, j, &original) < 0) {
        hr_journal_free(st, j);
        goto done;
    }
    p = r.patch != NULL ? (hr_patch *)Py_NewRef(r.patch)
                        : new_patch(&r, original);
    if (p == NULL) {
        hr_journal_free(st, j);
        goto done;
    }
    locate(after, &file, &line);
    if (hr_patch_commit(st, p, j, after, file, line) < 0 ||
        keep_meaning(st, r.before, original) < 0) {
        Py_CLEAR(p);
    }
done:
    Py_XDECREF(file);
    Py_XDECREF(original);
    Py_XDECREF(r.patch);
    Py_XDECREF(r.before);
    Py_XDECREF(r.name);
    Py_XDECREF(r.raw);
    if (p == NULL && !PyErr_Occurred()) {
        PyErr_NoMemory(); /* CPython loses it here and there */
    }
    return (PyObject *)p;
}

/* -- restore, original ---------------------------------------------------- */

PyObject *
hr_restore(struct hr_state *st, PyObject *owner, PyObject *func)
{
    hr_patch *p = hr_patch_find(st, owner, func);
    if (p == NULL) {
        /* As in a live file that restores at every save: nothing to do. */
        hr_log(st, HR_SAY_DEBUG, "restore: %R is not replaced", func);
        Py_RETURN_FALSE;
    }
    if (hr_patch_restore(st, p) < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

PyObject *
hr_restore_all(struct hr_state *st)
{
    PyObject *patches = hr_patch_list(st);
    if (patches == NULL) {
        return NULL;
    }
    long count = 0;
    for (Py_ssize_t i = PyList_GET_SIZE(patches); i-- > 0;) {
        hr_patch *p = (hr_patch *)PyList_GET_ITEM(patches, i);
        if (p->active && hr_patch_restore(st, p) < 0) {
            Py_DECREF(patches);
            return NULL;
        }
        count++;
    }
    Py_DECREF(patches);
    return PyLong_FromLong(count);
}

PyObject *
hr_original(struct hr_state *st, PyObject *func)
{
    hr_patch *p = hr_patch_find(st, NULL, func);
    if (p == NULL) {
        return Py_NewRef(func);
    }
    if (PyMethod_Check(func) && PyFunction_Check(p->original)) {
        return PyMethod_New(p->original, PyMethod_GET_SELF(func));
    }
    return Py_NewRef(p->original);
}
