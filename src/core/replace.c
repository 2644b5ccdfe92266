/* replace(), restore(), restore_all() and original().
 *
 * request.c plans what replace() asks for, as a journal; patch.c puts it in
 * force.  Here is what lies between: arguments, the Patch that the caller
 * gets, where it was written, and what names mean in the live file that runs.
 *
 * For module.c.
 */
#include "core.h"

#define TRIES 8

/* -- replace -------------------------------------------------------------- */

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

static hr_patch *
new_patch(struct hr_request *r)
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
    p->original = Py_NewRef(r->original);
    p->by_owner = r->by_owner;
    p->layer = ++r->st->next_layer;
    PyObject_GC_Track(p);
    return p;
}

/* What is asked for: the thing, by whichever of its names, and its patch. */
static int
begin(struct hr_request *r)
{
    PyObject *owner = r->owner, *before = r->asked;
    hr_patch *p = hr_patch_find(r->st, owner, before);
    if (p != NULL && hr_owner_inherits(r, owner, p)) {
        p = NULL;
    }
    r->live = hr_patch_run(r->st) != NULL;
    r->layer = HR_LAYER_TOP;
    r->patch = p = (hr_patch *)Py_XNewRef(p);
    /* What replaces it already may do so again. */
    int again = before == r->after && p != NULL && p->after == before;
    if (!again && hr_owner_holds_itself(r, before)) {
        Py_CLEAR(r->patch);
        p = NULL;
    }
    if (!again && before == r->after) {
        PyErr_Format(PyExc_ValueError,
                     "replace: %R would replace itself; pass another function "
                     "as the third argument",
                     before);
        return -1;
    }
    if (p == NULL) {
        /* Its name may mean the original, of earlier or of another owner. */
        PyObject *f = hr_original_find(r->st, owner, before);
        r->before = f != NULL ? f : Py_NewRef(before);
        return 0;
    }
    r->before = Py_NewRef(p->before);
    r->original = Py_NewRef(p->original);
    r->owner = p->owner;
    if (owner != p->owner && hr_owner_check(r, owner) < 0) {
        return -1;
    }
    r->name = Py_NewRef(p->name);
    r->force = p->journal;
    r->layer = p->layer;
    return 0;
}

PyObject *
hr_replace(struct hr_state *st, PyObject *owner, PyObject *before,
           PyObject *after)
{
    struct hr_request r = {0};
    PyObject *file = NULL;
    struct hr_journal *j = NULL;
    hr_patch *p = NULL;
    long line, commit;
    int tries = 0;

    do {
        hr_request_clear(&r);
        hr_journal_free(st, j);
        r = (struct hr_request){
            .st = st, .owner = owner, .after = after, .asked = before};
        commit = st->next_commit;
        j = begin(&r) < 0 ? NULL : hr_journal_new();
        if (j == NULL || hr_request_plan(&r, j) < 0) {
            hr_journal_free(st, j);
            goto done;
        }
        /* Planning may run the program's code, and a plan is for what was
         * there.  That of a function is for whatever its body is. */
        if (st->next_commit != commit && ++tries == TRIES) {
            PyErr_SetString(PyExc_RuntimeError,
                            "replace: what is replaced changes whenever the "
                            "replacement is looked at");
            hr_journal_free(st, j);
            goto done;
        }
    } while (st->next_commit != commit &&
             (!PyFunction_Check(r.before) ||
              hr_patch_find(st, owner, before) != r.patch));
    p = r.patch != NULL ? (hr_patch *)Py_NewRef(r.patch) : new_patch(&r);
    if (p == NULL) {
        hr_journal_free(st, j);
        goto done;
    }
    locate(after, &file, &line);
    if (hr_original_note(st, p->original, p->before) < 0 ||
        hr_meaning_keep_names(&r, j) < 0) {
        hr_journal_free(st, j);
        Py_CLEAR(p);
    }
    else if (hr_patch_commit(st, p, j, after, file, line) < 0) {
        Py_CLEAR(p);
    }
    else {
        hr_circle_warn(st, p);
    }
done:
    Py_XDECREF(file);
    hr_request_clear(&r);
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
        /* The live file may be about to replace it. */
        return hr_patch_run(st) != NULL ? hr_original_give(st, func)
                                        : Py_NewRef(func);
    }
    if (PyMethod_Check(func) && PyFunction_Check(p->original)) {
        return PyMethod_New(p->original, PyMethod_GET_SELF(func));
    }
    return Py_NewRef(p->original);
}
