/* Every difference between CPython versions that the core depends on, each
 * with its reason and when it can go.  Versions 3.9 to 3.13 were run; 3.14 is
 * written from the headers and refused until it was run.
 */
#ifndef HR_COMPAT_H
#define HR_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if PY_VERSION_HEX < 0x03090000
#error "hot_reload needs Python 3.9 or newer"
#endif

/* Commits rely on the GIL: no thread may run between two swaps.  Can go when
 * stop-the-world has a public interface. */
#ifdef Py_GIL_DISABLED
#error "hot_reload does not support free-threaded builds yet"
#endif

#include <frameobject.h>

/* 3.12: what has type parameters, and the methods of such a class, are nested
 * in a scope of these, but no function's. */
static inline int
hr_compat_is_nested(PyCodeObject *code)
{
    if (!(code->co_flags & CO_NESTED)) {
        return 0;
    }
#if PY_VERSION_HEX >= 0x030C0000
    const char *name = PyUnicode_AsUTF8(code->co_qualname);
    if (name == NULL) {
        PyErr_Clear();
    }
    else if (strstr(name, "<locals>") == NULL) {
        return 0;
    }
#endif
    return 1;
}

/* 3.9: Py_NewRef and Py_XNewRef came with 3.10. */
#if PY_VERSION_HEX < 0x030A0000
static inline PyObject *
hr_compat_newref(PyObject *o)
{
    Py_INCREF(o);
    return o;
}
static inline PyObject *
hr_compat_xnewref(PyObject *o)
{
    Py_XINCREF(o);
    return o;
}
#define Py_NewRef(o) hr_compat_newref((PyObject *)(o))
#define Py_XNewRef(o) hr_compat_xnewref((PyObject *)(o))
#define Py_IsNone(o) ((o) == Py_None)
#endif

/* Fields of a function that only some versions have. */
#if PY_VERSION_HEX >= 0x030A0000
#define HR_FUNCTION_HAS_BUILTINS 1
#endif
#if PY_VERSION_HEX >= 0x030C0000
#define HR_FUNCTION_HAS_TYPEPARAMS 1
#endif
/* The body of a class sets __firstlineno__ from 3.13 on. */
#if PY_VERSION_HEX >= 0x030D0000
#include <opcode.h>
#define HR_CLASS_HAS_FIRST_LINE 1
#endif
#if PY_VERSION_HEX >= 0x030E0000
#define HR_FUNCTION_HAS_ANNOTATE 1
#endif

/* 3.11 and later: a frame borrows globals and builtins from its function, so
 * an exchanged-out globals dict must outlive its frames (retire.c).
 * Up to 3.10 frames own them. */
#if PY_VERSION_HEX >= 0x030B0000
#define HR_FRAMES_BORROW_GLOBALS 1
#define HR_FUNCTION_HAS_VERSION 1
#endif

/* 3.12 and later: sys.monitoring; local events belong to a code object. */
#if PY_VERSION_HEX >= 0x030C0000
#define HR_HAS_MONITORING 1
#endif

/* 3.12 and later: a pending call may run on any thread (gil.c).  Exported,
 * but declared only in an internal header; 3.13 renamed the last argument's
 * meaning to flags, 0 stays "any thread".  The result is 0 when queued. */
#if PY_VERSION_HEX >= 0x030C0000
#define HR_HAS_PENDING_ON_ANY_THREAD 1
extern int _PyEval_AddPendingCall(PyInterpreterState *interp,
                                  int (*func)(void *), void *arg, int flags);
#else
/* Up to 3.11: the waiting thread reads the switch interval; both functions
 * are exported and need no thread state.  In microseconds. */
extern void _PyEval_SetSwitchInterval(unsigned long microseconds);
extern unsigned long _PyEval_GetSwitchInterval(void);
#endif

/* Py_IsFinalizing() is public from 3.13; the underscored one is there in all
 * earlier versions. */
#if PY_VERSION_HEX >= 0x030D0000
#define hr_compat_is_finalizing() Py_IsFinalizing()
#else
#define hr_compat_is_finalizing() _Py_IsFinalizing()
#endif

/* Values of a cell without the new reference that PyCell_Get() makes. */
static inline PyObject *
hr_compat_cell_peek(PyObject *cell)
{
    return ((PyCellObject *)cell)->ob_ref;
}

/* Names of free variables: a field up to 3.10, a function from 3.11 (it
 * makes a new tuple).  New reference. */
static inline PyObject *
hr_compat_freevars(PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyCode_GetFreevars(code);
#else
    return Py_NewRef(code->co_freevars);
#endif
}

/* Let go of what a code object keeps once it was asked for as an attribute
 * (3.11: the bytecode, 3.12 and later names, too): for live functions that
 * would stay for ever.  Whoever was given one has a reference of his own. */
static inline void
hr_compat_forget_views(PyObject *code)
{
#if PY_VERSION_HEX >= 0x030C0000
    _PyCoCached *cached = ((PyCodeObject *)code)->_co_cached;
    if (cached != NULL) {
        Py_CLEAR(cached->_co_code);
        Py_CLEAR(cached->_co_varnames);
        Py_CLEAR(cached->_co_cellvars);
        Py_CLEAR(cached->_co_freevars);
        PyMem_Free(cached);
        ((PyCodeObject *)code)->_co_cached = NULL;
    }
#elif PY_VERSION_HEX >= 0x030B0000
    Py_CLEAR(((PyCodeObject *)code)->_co_code);
#else
    (void)code;
#endif
}

/* The raw __dict__ of a type.  Borrowed: the type holds it.  From 3.12 on
 * that of a built-in type is not in tp_dict. */
static inline PyObject *
hr_compat_type_dict(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *dict = PyType_GetDict(type);
    Py_XDECREF(dict);
    return dict;
#else
    return type->tp_dict;
#endif
}

/* The instance's __dict__, made when it has none yet; NULL with an exception
 * (AttributeError when its class has no room for one).  New reference. */
static inline PyObject *
hr_compat_instance_dict(PyObject *o)
{
    return PyObject_GenericGetDict(o, NULL);
}

/* What a weak reference leads to, as a new reference; NULL without an
 * exception when it is gone.  The macro is deprecated since 3.13. */
static inline PyObject *
hr_compat_weakref_get(PyObject *reference)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *o = NULL;
    (void)PyWeakref_GetRef(reference, &o);
    return o;
#else
    PyObject *o = PyWeakref_GET_OBJECT(reference);
    return o == Py_None ? NULL : Py_NewRef(o);
#endif
}

#endif /* HR_COMPAT_H */
