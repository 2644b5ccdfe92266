/* What still runs old code.
 *
 * A call that has begun ends in the code it began with, so after a commit a
 * loop, a suspended generator or a coroutine may run the old body for as long
 * as it lives.  Which code is old is known without keeping a record: the
 * journals of the revisions hold what they exchanged out.  Only when a journal
 * is let go (it is too old, or was undone) does code that somebody else still
 * holds go on a list, by weak reference.
 *
 * Nothing here costs anything until somebody asks.  Then the frames of all
 * threads are looked through; the heap, for those that are suspended, only
 * where old code of that kind is referred to by more than its function.
 */
#include "code.h"

#define CAN_SUSPEND (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)

static PyObject *
get_code(PyObject *function)
{
    return ((PyFunctionObject *)function)->func_code; /* borrowed */
}

/* Not only moved to other lines? */
static int
is_other(PyObject *code, PyObject *function)
{
    int same = hr_code_is_same(code, get_code(function));
    if (same < 0) {
        PyErr_Clear();
    }
    return same != 1;
}

static PyObject *
get_name(PyObject *function)
{
    PyFunctionObject *f = (PyFunctionObject *)function;
    return PyUnicode_FromFormat(
        "%S.%U", f->func_module ? f->func_module : Py_None, f->func_qualname);
}

/* -- The list ------------------------------------------------------------- */

static int
drop_dead(PyObject *list)
{
    for (Py_ssize_t i = PyList_GET_SIZE(list); i-- > 0;) {
        PyObject *reference = PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 0);
        PyObject *code = hr_compat_weakref_get(reference);
        Py_XDECREF(code);
        if (code == NULL && PyList_SetSlice(list, i, i + 1, NULL) < 0) {
            return -1;
        }
    }
    return 0;
}

void
hr_frames_keep(struct hr_state *st, hr_revision *r)
{
    PyObject *type, *value, *traceback, *f, *holder;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *last = NULL; /* of thousands of closures, once */
    size_t n = r->journal != NULL ? hr_journal_count(r->journal) : 0;
    for (size_t i = 0; st->old_code != NULL && i < n; i++) {
        if (!hr_journal_get(r->journal, i, HR_PLACE_FUNCTION, &f, &holder) ||
            get_code(holder) == last || Py_REFCNT(get_code(holder)) == 1) {
            continue;
        }
        last = get_code(holder);
        if (!is_other(last, f)) {
            continue;
        }
        PyObject *entry =
            Py_BuildValue("(NNld)", PyWeakref_NewRef(get_code(holder), NULL),
                          get_name(f), r->id, r->wall);
        if (entry == NULL || PyList_Append(st->old_code, entry) < 0) {
            PyErr_Clear();
        }
        Py_XDECREF(entry);
    }
    if (st->old_code != NULL && drop_dead(st->old_code) < 0) {
        PyErr_Clear();
    }
    PyErr_Restore(type, value, traceback);
}

/* -- Looking -------------------------------------------------------------- */

struct search {
    PyObject *old;   /* owned: {address of code: (code, name, revision, time,
                        function)}, name or function None */
    PyObject *found; /* owned: the result */
    PyObject *seen;  /* owned: list of frames that threads are in */
};

static int
add_code(struct search *s, PyObject *code, PyObject *name, long revision,
         double time, PyObject *function)
{
    PyObject *key = PyLong_FromVoidPtr(code);
    PyObject *entry =
        Py_BuildValue("(OOldO)", code, name, revision, time, function);
    int status =
        key == NULL || entry == NULL ? -1 : PyDict_SetItem(s->old, key, entry);
    Py_XDECREF(key);
    Py_XDECREF(entry);
    return status;
}

static int
collect_code(struct hr_state *st, struct search *s)
{
    int status = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(st->old_code); i++) {
        PyObject *reference, *name;
        long revision;
        double time;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(st->old_code, i), "OOld",
                              &reference, &name, &revision, &time)) {
            return -1;
        }
        PyObject *code = hr_compat_weakref_get(reference);
        if (code != NULL) {
            status |= add_code(s, code, name, revision, time, Py_None);
        }
        Py_XDECREF(code);
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(st->revisions); i++) {
        hr_revision *r = (hr_revision *)PyList_GET_ITEM(st->revisions, i);
        PyObject *f, *holder;
        size_t n = r->journal != NULL ? hr_journal_count(r->journal) : 0;
        for (size_t k = 0; k < n; k++) {
            /* A frame has a reference to its code. */
            if (hr_journal_get(r->journal, k, HR_PLACE_FUNCTION, &f,
                               &holder) &&
                Py_REFCNT(get_code(holder)) > 1) {
                status |=
                    add_code(s, get_code(holder), Py_None, r->id, r->wall, f);
            }
        }
    }
    return status;
}

/* One frame that may run old code; thread None: it is suspended. */
static int
look_at(struct search *s, PyFrameObject *frame, PyObject *thread)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    PyObject *key = PyLong_FromVoidPtr(code), *item = NULL;
    PyObject *entry = key ? PyDict_GetItemWithError(s->old, key) : NULL;
    int status = entry == NULL && PyErr_Occurred() ? -1 : 0;
    if (entry != NULL) {
        PyObject *function = PyTuple_GET_ITEM(entry, 4);
        if (function == Py_None || is_other((PyObject *)code, function)) {
            item = Py_BuildValue("{sNsOsisOsOsO}", "function",
                                 function == Py_None
                                     ? Py_NewRef(PyTuple_GET_ITEM(entry, 1))
                                     : get_name(function),
                                 "file", code->co_filename, "line",
                                 PyFrame_GetLineNumber(frame), "revision",
                                 PyTuple_GET_ITEM(entry, 2), "since",
                                 PyTuple_GET_ITEM(entry, 3), "thread", thread);
            status = item == NULL || PyList_Append(s->found, item) < 0 ||
                             PyList_Append(s->seen, (PyObject *)frame) < 0
                         ? -1
                         : 0;
        }
    }
    Py_XDECREF(item);
    Py_XDECREF(key);
    Py_DECREF(code);
    return status;
}

static int
look_at_threads(struct search *s)
{
    PyObject *get = PySys_GetObject("_current_frames"); /* borrowed */
    PyObject *frames = get ? PyObject_CallNoArgs(get) : NULL;
    PyObject *thread, *top;
    Py_ssize_t pos = 0;
    int status = frames == NULL ? -1 : 0;
    while (status == 0 && PyDict_Next(frames, &pos, &thread, &top)) {
        PyFrameObject *frame = (PyFrameObject *)Py_NewRef(top);
        while (status == 0 && frame != NULL) {
            status = look_at(s, frame, thread);
            PyFrameObject *back = PyFrame_GetBack(frame);
            Py_DECREF(frame);
            frame = back;
        }
        Py_XDECREF(frame);
    }
    Py_XDECREF(frames);
    return status;
}

/* Old code that can be suspended and that not only its function holds. */
static PyObject *
collect_suspendable(struct search *s)
{
    PyObject *key, *entry, *list = PyList_New(0);
    Py_ssize_t pos = 0;
    while (list != NULL && PyDict_Next(s->old, &pos, &key, &entry)) {
        PyObject *code = PyTuple_GET_ITEM(entry, 0);
        int known = 1 + (PyTuple_GET_ITEM(entry, 4) != Py_None);
        if ((((PyCodeObject *)code)->co_flags & CAN_SUSPEND) &&
            Py_REFCNT(code) > known && PyList_Append(list, code) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static int
look_at_suspended(struct search *s, PyObject *o)
{
    const char *name = PyGen_CheckExact(o)        ? "gi_frame"
                       : PyCoro_CheckExact(o)     ? "cr_frame"
                       : PyAsyncGen_CheckExact(o) ? "ag_frame"
                                                  : NULL;
    if (name == NULL) {
        return 0;
    }
    PyObject *frame = PyObject_GetAttrString(o, name);
    int status = frame == NULL ? -1 : 0;
    if (frame != NULL && PyFrame_Check(frame)) {
        /* By identity: frames compare so. */
        int running = PySequence_Contains(s->seen, frame);
        status = running != 0 ? running >> 1
                              : look_at(s, (PyFrameObject *)frame, Py_None);
    }
    Py_XDECREF(frame);
    return status;
}

static int
look_at_heap(struct search *s)
{
    PyObject *codes = collect_suspendable(s);
    PyObject *some = codes ? PyList_AsTuple(codes) : NULL;
    PyObject *gc = NULL, *find = NULL, *found = NULL;
    int status = some == NULL ? -1 : 0;
    if (status == 0 && PyTuple_GET_SIZE(some) > 0) {
        gc = PyImport_ImportModule("gc");
        find = gc ? PyObject_GetAttrString(gc, "get_referrers") : NULL;
        found = find ? PyObject_Call(find, some, NULL) : NULL;
        status = found == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(found);
             i++) {
            status = look_at_suspended(s, PyList_GET_ITEM(found, i));
        }
    }
    Py_XDECREF(found);
    Py_XDECREF(find);
    Py_XDECREF(gc);
    Py_XDECREF(some);
    Py_XDECREF(codes);
    return status;
}

PyObject *
hr_frames_list(struct hr_state *st)
{
    struct search s = {PyDict_New(), PyList_New(0), PyList_New(0)};
    int status = s.old == NULL || s.found == NULL || s.seen == NULL ||
                 collect_code(st, &s) < 0;
    if (!status && PyDict_GET_SIZE(s.old) > 0) {
        status = look_at_threads(&s) < 0 || look_at_heap(&s) < 0;
    }
    if (status) {
        Py_CLEAR(s.found);
    }
    Py_XDECREF(s.old);
    Py_XDECREF(s.seen);
    return s.found;
}
