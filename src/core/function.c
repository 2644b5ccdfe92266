/* Exchange of function bodies.
 *
 * The body of a function is all that decides what a call does: code, globals,
 * builtins, closure, defaults, keyword defaults, and what tools show of it:
 * annotations, doc, dict, type parameters.  Name, qualified name, module,
 * weak references and above all the identity are not part of it.
 *
 * A body that is not in force lives in another function object, its *holder*.
 * hr_function_exchange() swaps the bodies of a function and a holder.  It
 * writes the fields directly: the setters run audit hooks and watchers, refuse
 * other numbers of free variables, warn about other kinds, and on 3.13 leave a
 * function that is never specialised again.
 *
 * Versions.  From 3.11 on call sites are specialised for a function's
 * func_version and then trust the code they saw, so a version must never be
 * left on a function whose body went.  Both versions are cleared (through
 * PyFunction_SetVectorcall() from 3.12 on, which also empties the
 * interpreter's version cache) and travel with their bodies: a version vouches
 * for a body, and the exchanged function is called as fast as one that was
 * defined so.
 *
 * A holder that is done with may not simply be released: see retire.c.
 */
#include "core.h"

static void
swap_objects(PyObject **a, PyObject **b)
{
    PyObject *t = *a;
    *a = *b;
    *b = t;
}

/* -- Clone ---------------------------------------------------------------- */

/* f's closure with the `__class__` cell that holds `from` replaced. */
static PyObject *
map_closure(PyFunctionObject *f, PyObject *from, PyObject *cell)
{
    Py_ssize_t n = PyTuple_GET_SIZE(f->func_closure);
    PyObject *names = hr_compat_freevars((PyCodeObject *)f->func_code);
    PyObject *closure = names != NULL ? PyTuple_New(n) : NULL;
    if (closure == NULL) {
        Py_XDECREF(names);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *old = PyTuple_GET_ITEM(f->func_closure, i);
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int maps = hr_compat_cell_peek(old) == from &&
                   PyUnicode_CompareWithASCIIString(name, "__class__") == 0;
        PyTuple_SET_ITEM(closure, i, Py_NewRef(maps ? cell : old));
    }
    Py_DECREF(names);
    return closure;
}

PyObject *
hr_function_clone(PyObject *source, PyObject *from, PyObject *cell)
{
    PyFunctionObject *f = HR_AS_FUNCTION(source);
    PyFunctionObject *clone = HR_AS_FUNCTION(PyFunction_NewWithQualName(
        f->func_code, f->func_globals, f->func_qualname));
    if (clone == NULL) {
        return NULL;
    }
    Py_XSETREF(clone->func_name, Py_NewRef(f->func_name));
    Py_XSETREF(clone->func_module, Py_XNewRef(f->func_module));
#ifdef HR_FUNCTION_HAS_BUILTINS
    Py_XSETREF(clone->func_builtins, Py_XNewRef(f->func_builtins));
#endif
    Py_XSETREF(clone->func_doc, Py_XNewRef(f->func_doc));
    Py_XSETREF(clone->func_defaults, Py_XNewRef(f->func_defaults));
    Py_XSETREF(clone->func_kwdefaults, Py_XNewRef(f->func_kwdefaults));
    Py_XSETREF(clone->func_annotations, Py_XNewRef(f->func_annotations));
#ifdef HR_FUNCTION_HAS_ANNOTATE
    Py_XSETREF(clone->func_annotate, Py_XNewRef(f->func_annotate));
#endif
#ifdef HR_FUNCTION_HAS_TYPEPARAMS
    Py_XSETREF(clone->func_typeparams, Py_XNewRef(f->func_typeparams));
#endif
    if (f->func_closure != NULL) {
        PyObject *closure = cell == NULL ? Py_NewRef(f->func_closure)
                                         : map_closure(f, from, cell);
        if (closure == NULL) {
            goto error;
        }
        Py_XSETREF(clone->func_closure, closure);
    }
    if (f->func_dict != NULL) {
        PyObject *dict = PyDict_Copy(f->func_dict);
        if (dict == NULL) {
            goto error;
        }
        Py_XSETREF(clone->func_dict, dict);
    }
    clone->vectorcall = f->vectorcall;
#ifdef HR_FUNCTION_HAS_VERSION
    clone->func_version = f->func_version;
#endif
    return (PyObject *)clone;
error:
    Py_DECREF(clone);
    return NULL;
}

/* -- Holders -------------------------------------------------------------- */

void
hr_function_set_code(PyObject *holder, PyObject *code)
{
    PyFunctionObject *f = HR_AS_FUNCTION(holder);
#if PY_VERSION_HEX >= 0x030C0000
    /* As MAKE_FUNCTION does.  0 stays 0: the program has given this function
     * other defaults than those of the same code have, and call sites trust
     * the version for how many there are. */
    uint32_t version =
        f->func_version ? ((PyCodeObject *)code)->co_version : 0;
    PyFunction_SetVectorcall(f, f->vectorcall);
    f->func_version = version;
#elif defined(HR_FUNCTION_HAS_VERSION)
    f->func_version = 0;
#endif
    Py_SETREF(f->func_code, Py_NewRef(code));
}

void
hr_function_share_dict(PyObject *holder, PyObject *f)
{
    Py_XSETREF(HR_AS_FUNCTION(holder)->func_dict,
               Py_XNewRef(HR_AS_FUNCTION(f)->func_dict));
}

PyObject *
hr_function_doc_of(PyObject *code)
{
    /* The first constant is the doc string, where there is one. */
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    int has = PyTuple_GET_SIZE(consts) > 0 &&
              PyUnicode_Check(PyTuple_GET_ITEM(consts, 0));
#ifdef CO_HAS_DOCSTRING
    has = has && (((PyCodeObject *)code)->co_flags & CO_HAS_DOCSTRING);
#endif
    return has ? PyTuple_GET_ITEM(consts, 0) : Py_None;
}

void
hr_function_keep_doc(PyObject *holder, PyObject *f)
{
    PyObject *doc = HR_AS_FUNCTION(f)->func_doc;
    PyObject *was = hr_function_doc_of(HR_AS_FUNCTION(f)->func_code);
    if (doc == NULL || doc == was ||
        (PyUnicode_Check(doc) && PyUnicode_Check(was) &&
         PyUnicode_Compare(doc, was) == 0)) {
        return;
    }
    Py_XSETREF(HR_AS_FUNCTION(holder)->func_doc, Py_NewRef(doc));
}

PyObject **
hr_function_name_slot(PyObject *function, PyObject *key)
{
    PyFunctionObject *f = HR_AS_FUNCTION(function);
    return PyUnicode_CompareWithASCIIString(key, "__name__") == 0
               ? &f->func_name
           : PyUnicode_CompareWithASCIIString(key, "__qualname__") == 0
               ? &f->func_qualname
               : &f->func_module;
}

/* Holders are known by their name, which is no part of a body: whoever
 * searches the heap for live functions passes them over. */
static PyObject *
get_mark(void)
{
    return PyUnicode_InternFromString("<hot_reload holder>");
}

void
hr_function_mark_holder(PyObject *holder)
{
    PyObject *mark = get_mark();
    if (mark == NULL) {
        PyErr_Clear(); /* it may be taken for a live one: no harm is done */
        return;
    }
    Py_SETREF(HR_AS_FUNCTION(holder)->func_name, mark);
}

int
hr_function_is_holder(PyObject *function)
{
    PyObject *mark = get_mark();
    int is = HR_AS_FUNCTION(function)->func_name == mark;
    Py_XDECREF(mark);
    PyErr_Clear();
    return is;
}

/* -- Exchange ------------------------------------------------------------- */

void
hr_function_exchange(PyObject *function, PyObject *holder)
{
    PyFunctionObject *a = HR_AS_FUNCTION(function);
    PyFunctionObject *b = HR_AS_FUNCTION(holder);
#ifdef HR_FUNCTION_HAS_VERSION
    uint32_t version_a = a->func_version, version_b = b->func_version;
#if PY_VERSION_HEX >= 0x030C0000
    PyFunction_SetVectorcall(a, a->vectorcall);
    PyFunction_SetVectorcall(b, b->vectorcall);
#endif
#endif
    swap_objects(&a->func_code, &b->func_code);
    swap_objects(&a->func_globals, &b->func_globals);
#ifdef HR_FUNCTION_HAS_BUILTINS
    swap_objects(&a->func_builtins, &b->func_builtins);
#endif
    swap_objects(&a->func_defaults, &b->func_defaults);
    swap_objects(&a->func_kwdefaults, &b->func_kwdefaults);
    swap_objects(&a->func_closure, &b->func_closure);
    swap_objects(&a->func_doc, &b->func_doc);
    swap_objects(&a->func_dict, &b->func_dict);
    swap_objects(&a->func_annotations, &b->func_annotations);
#ifdef HR_FUNCTION_HAS_ANNOTATE
    swap_objects(&a->func_annotate, &b->func_annotate);
#endif
#ifdef HR_FUNCTION_HAS_TYPEPARAMS
    swap_objects(&a->func_typeparams, &b->func_typeparams);
#endif
    vectorcallfunc vectorcall = a->vectorcall;
    a->vectorcall = b->vectorcall;
    b->vectorcall = vectorcall;
#ifdef HR_FUNCTION_HAS_VERSION
    a->func_version = version_b;
    b->func_version = version_a;
#endif
}

#ifdef HR_HAS_MONITORING
/* Local events of debuggers and coverage tools are stored with the code. */
static int
carry_events(PyObject *monitoring, int tool, PyObject *from, PyObject *to)
{
    PyObject *name = PyObject_CallMethod(monitoring, "get_tool", "i", tool);
    if (name == NULL) {
        return -1;
    }
    int used = name != Py_None;
    Py_DECREF(name);
    if (!used) {
        return 0;
    }
    PyObject *events =
        PyObject_CallMethod(monitoring, "get_local_events", "iO", tool, from);
    if (events == NULL) {
        return -1;
    }
    int status = PyObject_IsTrue(events);
    if (status == 1) {
        /* `to` may have some of its own. */
        PyObject *own = PyObject_CallMethod(monitoring, "get_local_events",
                                            "iO", tool, to);
        PyObject *all = own ? PyNumber_Or(own, events) : NULL;
        PyObject *done =
            all ? PyObject_CallMethod(monitoring, "set_local_events", "iOO",
                                      tool, to, all)
                : NULL;
        status = done == NULL ? -1 : 0;
        Py_XDECREF(done);
        Py_XDECREF(all);
        Py_XDECREF(own);
    }
    Py_DECREF(events);
    return status;
}
#endif

int
hr_function_prepare(PyObject *function, PyObject *holder)
{
#ifdef HR_HAS_MONITORING
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *from = HR_AS_FUNCTION(function)->func_code;
    PyObject *to = HR_AS_FUNCTION(holder)->func_code;
    if (monitoring == NULL || from == to) {
        return 0;
    }
    for (int tool = 0; tool <= 5; tool++) {
        if (carry_events(monitoring, tool, from, to) < 0) {
            return -1;
        }
    }
#else
    (void)function;
    (void)holder;
#endif
    return 0;
}

void
hr_function_notify(PyObject *function)
{
    PyFunctionObject *f = HR_AS_FUNCTION(function);
    PyObject *code = Py_NewRef(f->func_code);
#if PY_VERSION_HEX >= 0x030C0000
    /* Setting __code__ to itself calls watchers and audit hooks; the version
     * that it clears is still right, unless a hook set something else. */
    uint32_t version = f->func_version;
    int failed = PyObject_SetAttrString(function, "__code__", code) < 0;
    if (f->func_code == code && f->func_version == 0) {
        f->func_version = version;
    }
#else
    int failed = PySys_Audit("object.__setattr__", "OsO", function, "__code__",
                             code) < 0;
#endif
    if (failed) {
        PyErr_WriteUnraisable(function);
    }
    Py_DECREF(code);
}
