/* What changed statements have begun, and what goes on: threads, generators,
 * coroutines.
 *
 * Their frames have the shadow for globals, and read it at every global name.
 * At the commit they get the module's dict, and what they have written to the
 * shadow since it was planned is written there.  From 3.11 on a frame's fields
 * are internal: the place is found by what must stand in it, which is the
 * shadow.
 *
 * For evaluate.c.
 */
#include "code.h"

/* Words of an internal frame among which its globals are, on 3.11 to 3.13:
 * they stand before the locals. */
#define FRAME_WORDS 6

int
hr_begun_is(PyObject *o)
{
    return PyGen_CheckExact(o) || PyCoro_CheckExact(o) ||
           PyAsyncGen_CheckExact(o);
}

/* 1 when the frame ran on a shadow. */
static int
redirect_frame(struct hr_plan *p, PyFrameObject *frame)
{
#ifdef HR_FRAMES_BORROW_GLOBALS
    /* PyFrameObject: the head, f_back, and the internal frame. */
    PyObject **words = ((PyObject ***)((PyObject *)frame + 1))[1];
    for (int i = 0; words != NULL && i < FRAME_WORDS; i++) {
        struct hr_unit *u =
            words[i] != NULL ? hr_evaluate_unit(p, words[i]) : NULL;
        if (u != NULL) {
            words[i] = u->dict; /* borrowed; the function holds it */
            return 1;
        }
    }
    return 0;
#else
    struct hr_unit *u = hr_evaluate_unit(p, frame->f_globals);
    if (u != NULL) {
        Py_SETREF(frame->f_globals, Py_NewRef(u->dict));
    }
    return u != NULL;
#endif
}

static int
redirect_suspended(struct hr_plan *p, PyObject *o)
{
    const char *name = PyGen_CheckExact(o)    ? "gi_frame"
                       : PyCoro_CheckExact(o) ? "cr_frame"
                                              : "ag_frame";
    PyObject *frame = PyObject_GetAttrString(o, name);
    int found = frame != NULL && PyFrame_Check(frame)
                    ? redirect_frame(p, (PyFrameObject *)frame)
                    : 0;
    Py_XDECREF(frame);
    PyErr_Clear();
    return found;
}

static int
redirect_threads(struct hr_plan *p)
{
    PyObject *sys = PyImport_ImportModule("sys");
    PyObject *frames =
        sys ? PyObject_CallMethod(sys, "_current_frames", NULL) : NULL;
    PyObject *key, *top;
    Py_ssize_t pos = 0;
    int found = 0;
    while (frames != NULL && PyDict_Next(frames, &pos, &key, &top)) {
        PyFrameObject *f = (PyFrameObject *)Py_NewRef(top);
        while (f != NULL) {
            found |= redirect_frame(p, f);
            PyFrameObject *back = PyFrame_GetBack(f);
            Py_DECREF(f);
            f = back;
        }
    }
    Py_XDECREF(frames);
    Py_XDECREF(sys);
    PyErr_Clear();
    return found;
}

/* What was written to the shadow since the values were planned. */
static int
write_late_values(struct hr_unit *u)
{
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(u->shadow, &pos, &name, &value)) {
        PyObject *pair = PyDict_GetItemWithError(u->changed, name);
        PyObject *planned = pair != NULL
                                ? PyTuple_GET_ITEM(pair, 1)
                                : PyDict_GetItemWithError(u->before, name);
        if (value != planned && PyUnicode_Check(name) &&
            PyUnicode_CompareWithASCIIString(name, "__annotations__") != 0 &&
            value != PyDict_GetItemWithError(u->dict, name)) {
            status = PyDict_SetItem(u->dict, name, value);
        }
    }
    return status;
}

void
hr_begun_redirect(struct hr_plan *p)
{
    int found = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->followers); i++) {
        PyObject *o = PyList_GET_ITEM(p->followers, i);
        if (!PyFunction_Check(o)) {
            found |= redirect_suspended(p, o);
        }
    }
    found |= redirect_threads(p);
    for (size_t i = 0; found && i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        if (u->evaluates && write_late_values(u) < 0) {
            hr_log_exception(p->st,
                             "what %U has begun wrote values that are lost",
                             u->name);
        }
    }
}
