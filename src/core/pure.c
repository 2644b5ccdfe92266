/* What can be computed again without anybody noticing.
 *
 * Values are of the built-in types without side effects.  Pure is what only
 * reads values and calls a few functions that are known to have no effect; the
 * names of a code object tell.  When in doubt, it is not pure, and then it is
 * not computed.  Called by whatever follows a changed value: derive.c,
 * default.c, member.c, rerun.c.
 */
#include "code.h"

/* -- Values --------------------------------------------------------------- */

int
hr_pure_is_value(PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    return t == &PyUnicode_Type || t == &PyLong_Type || t == &PyFloat_Type ||
           t == &PyBool_Type || t == &PyBytes_Type || t == &PyTuple_Type ||
           t == &PyComplex_Type || t == &PyFrozenSet_Type || o == Py_None ||
           t == &PyList_Type || t == &PyDict_Type || t == &PySet_Type;
}

int
hr_pure_is_module(PyObject *o, PyObject *dict)
{
    return dict != NULL && PyModule_Check(o) && PyModule_GetDict(o) == dict;
}

int
hr_pure_still_holds(PyObject *current, PyObject *old)
{
    if (current == old) {
        return 1;
    }
    if (current == NULL || old == NULL || Py_TYPE(current) != Py_TYPE(old) ||
        !hr_pure_is_value(old)) {
        return 0;
    }
    int same = PyObject_RichCompareBool(current, old, Py_EQ);
    PyErr_Clear();
    return same == 1;
}

/* -- Code ----------------------------------------------------------------- */

int
hr_pure_reads(const char *text, size_t size, PyObject *name)
{
    Py_ssize_t n;
    const char *word = PyUnicode_AsUTF8AndSize(name, &n);
    const char *at = text, *end = text + size;
    while (word != NULL && at < end &&
           (at = memmem(at, (size_t)(end - at), word, (size_t)n)) != NULL) {
        const char *after = at + n;
        int before_ok = at == text || !(Py_ISALNUM(at[-1]) || at[-1] == '_');
        int after_ok = after >= end || !(Py_ISALNUM(*after) || *after == '_');
        if (before_ok && after_ok) {
            return 1;
        }
        at++;
    }
    return 0;
}

static int
is_listed(PyObject *name, const char *const *list)
{
    for (int i = 0; list[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, list[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *const pure_functions[] = {
    "str",    "int",   "float", "bool",      "len",  "abs", "min", "max",
    "round",  "sum",   "tuple", "frozenset", "repr", "ord", "chr", "bytes",
    "sorted", "range", "list",  "dict",      "set",  NULL};
static const char *const pure_methods[] = {
    "upper", "lower", "strip",  "lstrip", "rstrip",  "title",      "format",
    "join",  "split", "encode", "decode", "replace", "capitalize", NULL};

/* A comprehension of values, which before 3.12 is code of its own. */
static int
is_pure_nested(PyObject *code, PyObject *dict)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    const char *name = PyUnicode_AsUTF8(((PyCodeObject *)code)->co_name);
    if (name == NULL || name[0] != '<' || strcmp(name, "<lambda>") == 0 ||
        strcmp(name, "<genexpr>") == 0) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *n = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, n);
        if (value != NULL ? !hr_pure_is_value(value)
                          : !is_listed(n, pure_functions) &&
                                !is_listed(n, pure_methods)) {
            return 0;
        }
    }
    return 1;
}

int
hr_pure_is_assignment(PyObject *code, PyObject *dict, PyObject *target,
                      PyObject *module)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (PyCode_Check(o) && !is_pure_nested(o, dict)) {
            return 0;
        }
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, name);
        if (PyUnicode_Compare(name, target) == 0 ||
            (value != NULL
                 ? hr_pure_is_value(value) || hr_pure_is_module(value, module)
             : module != NULL && PyDict_GetItemWithError(module, name) != NULL
                 ? hr_pure_is_value(PyDict_GetItemWithError(module, name))
                 : is_listed(name, pure_functions) ||
                       is_listed(name, pure_methods))) {
            continue;
        }
        return 0;
    }
    return 1;
}

int
hr_pure_is_definition(PyObject *code, PyObject *dict)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *stored = hr_code_stored_names(code);
    int pure = stored == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; pure == 1 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, name);
        if (PySequence_Contains(stored, name) == 1) {
            continue;
        }
        pure = value != NULL ? hr_pure_is_value(value)
                             : is_listed(name, pure_functions) ||
                                   is_listed(name, pure_methods);
    }
    Py_XDECREF(stored);
    return pure;
}
