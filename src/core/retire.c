/* Retired bodies.
 *
 * From 3.11 on a frame borrows globals and builtins from its function.  A
 * suspended generator of an exchanged function would read freed memory once
 * the old globals are gone, so a holder whose globals differ from the
 * function's is not released but retired, until its code object is referenced
 * by functions only: frames and generators hold a reference, too.
 *
 * Holders come here when a journal is freed.  Letting go of them may run any
 * code of the program, so hr_retire_sweep() is for after a commit, never for
 * within one.
 */
#include "core.h"

/* See hr_retire_sweep(). */
#define HR_RETIRE_SLACK 32

#ifdef HR_FRAMES_BORROW_GLOBALS

/* References to a code object that are none of a frame's.  Each is counted
 * once, whatever number of ways leads to it: one too many and a frame that
 * still runs would look like none.  When in doubt: not counted, and the body
 * is kept. */
struct references {
    PyObject *code; /* borrowed */
    Py_ssize_t count;
    PyObject *seen[32]; /* borrowed: functions and tuples of constants */
    int seen_count;
};

static void
count_reference(struct references *r, PyObject *holder, Py_ssize_t count)
{
    for (int i = 0; i < r->seen_count; i++) {
        if (r->seen[i] == holder) {
            return;
        }
    }
    if (r->seen_count < (int)Py_ARRAY_LENGTH(r->seen)) {
        r->seen[r->seen_count++] = holder;
        r->count += count;
    }
}

/* The code of a nested function is a constant of the code around it. */
static void
count_constants(struct references *r, PyObject *code, int depth)
{
    PyObject *constants = ((PyCodeObject *)code)->co_consts;
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constants); i++) {
        PyObject *constant = PyTuple_GET_ITEM(constants, i);
        if (constant == r->code) {
            found++;
        }
        else if (depth > 0 && PyCode_Check(constant)) {
            count_constants(r, constant, depth - 1);
        }
    }
    if (found > 0) {
        count_reference(r, constants, found);
    }
}

static void
count_function(struct references *r, PyObject *function)
{
    if (HR_AS_FUNCTION(function)->func_code == r->code) {
        count_reference(r, function, 1);
    }
    count_constants(r, HR_AS_FUNCTION(function)->func_code, 8);
}

static void
count_dict(struct references *r, PyObject *dict, int depth)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        if (PyFunction_Check(value)) {
            count_function(r, value);
        }
        else if (depth > 0 && PyType_Check(value) && hr_class_is_open(value)) {
            count_dict(r, hr_compat_type_dict((PyTypeObject *)value),
                       depth - 1);
        }
    }
}

/* Are all references to the holder's code those of functions and constants?
 * `functions` (NULL: only what the names of its module hold) is a list of
 * objects, the functions of its module among them. */
static int
is_at_rest(PyFunctionObject *holder, PyObject *functions)
{
    struct references r = {.code = holder->func_code};
    if (functions == NULL) {
        count_reference(&r, (PyObject *)holder, 1);
        if (Py_REFCNT(r.code) > r.count) {
            count_dict(&r, holder->func_globals, 1);
        }
        return Py_REFCNT(r.code) <= r.count;
    }
    /* No object is in there twice, so any number of them can be counted. */
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(functions); i++) {
        PyObject *o = PyList_GET_ITEM(functions, i);
        if (PyFunction_Check(o) &&
            HR_AS_FUNCTION(o)->func_globals == holder->func_globals) {
            r.count += HR_AS_FUNCTION(o)->func_code == r.code;
            count_constants(&r, HR_AS_FUNCTION(o)->func_code, 8);
        }
    }
    return Py_REFCNT(r.code) <= r.count;
}

/* All functions of the modules of the retired bodies, and whatever else
 * refers to those.  A walk over the heap. */
static PyObject *
find_functions(struct hr_state *st)
{
    Py_ssize_t n = PyList_GET_SIZE(st->retired);
    PyObject *globals = PyTuple_New(n);
    for (Py_ssize_t i = 0; globals != NULL && i < n; i++) {
        PyObject *holder = PyList_GET_ITEM(st->retired, i);
        PyTuple_SET_ITEM(globals, i,
                         Py_NewRef(HR_AS_FUNCTION(holder)->func_globals));
    }
    PyObject *gc = globals ? PyImport_ImportModule("gc") : NULL;
    PyObject *find = gc ? PyObject_GetAttrString(gc, "get_referrers") : NULL;
    PyObject *found = find ? PyObject_Call(find, globals, NULL) : NULL;
    Py_XDECREF(find);
    Py_XDECREF(gc);
    Py_XDECREF(globals);
    return found;
}

/* Is a body with the same code, globals and builtins kept already?  Then so
 * is all that a frame of this one borrows. */
static int
is_retired(struct hr_state *st, PyFunctionObject *holder)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->retired); i-- > 0;) {
        PyFunctionObject *f = HR_AS_FUNCTION(PyList_GET_ITEM(st->retired, i));
        if (f->func_code == holder->func_code &&
            f->func_globals == holder->func_globals &&
            f->func_builtins == holder->func_builtins) {
            return 1;
        }
    }
    return 0;
}

static void
release_at_rest(struct hr_state *st, PyObject *functions)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->retired); i-- > 0;) {
        PyObject *holder = PyList_GET_ITEM(st->retired, i);
        if (is_at_rest(HR_AS_FUNCTION(holder), functions) &&
            PyList_SetSlice(st->retired, i, i + 1, NULL) < 0) {
            PyErr_Clear();
            return;
        }
        /* Releasing may run code that clears the state or the list. */
        if (st->retired == NULL || i > PyList_GET_SIZE(st->retired)) {
            return;
        }
    }
}
#endif

void
hr_retire_body(struct hr_state *st, PyObject *holder)
{
#ifdef HR_FRAMES_BORROW_GLOBALS
    /* Trampolines: their globals are ours and stay. */
    if (Py_REFCNT(holder) == 1 && st != NULL && st->retired != NULL &&
        HR_AS_FUNCTION(holder)->func_globals != st->trampolines &&
        !is_retired(st, HR_AS_FUNCTION(holder)) &&
        !is_at_rest(HR_AS_FUNCTION(holder), NULL)) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (PyList_Append(st->retired, holder) < 0) {
            /* Better lose a little memory than read what was freed. */
            PyErr_Clear();
            Py_INCREF(holder);
        }
        PyErr_Restore(type, value, traceback);
    }
#else
    (void)st;
#endif
    Py_DECREF(holder);
}

/* `fully`: with a walk over the heap.  Else only when the list has doubled
 * since the last one, so that walks cost little and memory stays bounded. */
void
hr_retire_sweep(struct hr_state *st, int fully)
{
#ifdef HR_FRAMES_BORROW_GLOBALS
    if (st == NULL || st->retired == NULL ||
        PyList_GET_SIZE(st->retired) == 0) {
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    release_at_rest(st, NULL);
    if (st->retired != NULL &&
        (fully || PyList_GET_SIZE(st->retired) >
                      2 * st->retired_after_walk + HR_RETIRE_SLACK)) {
        PyObject *functions = find_functions(st);
        if (functions != NULL) {
            release_at_rest(st, functions);
            Py_DECREF(functions);
        }
        PyErr_Clear();
        if (st->retired != NULL) {
            st->retired_after_walk = PyList_GET_SIZE(st->retired);
        }
    }
    PyErr_Restore(type, value, traceback);
#else
    (void)st;
    (void)fully;
#endif
}
