/* Values, and what is known to have no effect on anything else.
 *
 * Values are of types whose operations have no effect; a few functions,
 * methods and attributes are known by their names.  A list of what is
 * harmless, no more: pure.c says what is made of it.
 */
#include "code.h"

/* -- Values --------------------------------------------------------------- */

/* Of the standard library: as harmless as a number. */
static int
is_library_value(PyTypeObject *t)
{
    static const char *const names[] = {"re.Pattern",
                                        "datetime.timedelta",
                                        "datetime.date",
                                        "decimal.Decimal",
                                        "types.GenericAlias",
                                        "types.UnionType",
                                        "PosixPath",
                                        "PurePosixPath",
                                        "Fraction",
                                        "_GenericAlias",
                                        "_CallableGenericAlias",
                                        "_UnionGenericAlias",
                                        "_LiteralGenericAlias",
                                        NULL};
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(t->tp_name, names[i]) == 0) {
            if (!(t->tp_flags & Py_TPFLAGS_HEAPTYPE) || i < 4) {
                return 1;
            }
            PyObject *module =
                PyDict_GetItemString(hr_compat_type_dict(t), "__module__");
            const char *m = module != NULL && PyUnicode_Check(module)
                                ? PyUnicode_AsUTF8(module)
                                : NULL;
            return m != NULL &&
                   (strncmp(m, "pathlib", 7) == 0 ||
                    strcmp(m, "fractions") == 0 || strcmp(m, "typing") == 0);
        }
    }
    return 0;
}

int
hr_value_is(PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    return t == &PyUnicode_Type || t == &PyLong_Type || t == &PyFloat_Type ||
           t == &PyBool_Type || t == &PyBytes_Type || t == &PyTuple_Type ||
           t == &PyComplex_Type || t == &PyFrozenSet_Type || o == Py_None ||
           t == &PyList_Type || t == &PyDict_Type || t == &PySet_Type ||
           t == &PyRange_Type || is_library_value(t);
}

static int is_same(PyObject *a, PyObject *b);

static int
are_same_items(PyObject *a, PyObject *b)
{
    int same = PySequence_Fast_GET_SIZE(a) == PySequence_Fast_GET_SIZE(b);
    for (Py_ssize_t i = 0; same == 1 && i < PySequence_Fast_GET_SIZE(a) &&
                           i < PySequence_Fast_GET_SIZE(b);
         i++) {
        PyObject *x = Py_NewRef(PySequence_Fast_GET_ITEM(a, i));
        PyObject *y = Py_NewRef(PySequence_Fast_GET_ITEM(b, i));
        same = is_same(x, y);
        Py_DECREF(x);
        Py_DECREF(y);
    }
    return same;
}

/* Equal, and of the same types all through: 1 is not True, 0.0 not -0.0.  1,
 * 0, or -1 with an exception. */
static int
is_same(PyObject *a, PyObject *b)
{
    if (a == b || Py_TYPE(a) != Py_TYPE(b)) {
        return a == b;
    }
    if (PyFloat_CheckExact(a)) {
        double x = PyFloat_AS_DOUBLE(a), y = PyFloat_AS_DOUBLE(b);
        uint64_t p, q;
        memcpy(&p, &x, sizeof p);
        memcpy(&q, &y, sizeof q);
        return p == q;
    }
    if (!PyTuple_CheckExact(a) && !PyList_CheckExact(a) &&
        !PyDict_CheckExact(a) && !PyAnySet_CheckExact(a)) {
        return PyObject_RichCompareBool(a, b, Py_EQ);
    }
    if (Py_EnterRecursiveCall(" while values are compared")) {
        return -1;
    }
    int same = 1;
    if (PyTuple_CheckExact(a) || PyList_CheckExact(a)) {
        same = are_same_items(a, b);
    }
    else if (PyDict_CheckExact(a)) {
        PyObject *x = PyDict_Items(a), *y = PyDict_Items(b);
        same = x == NULL || y == NULL ? -1 : are_same_items(x, y);
        Py_XDECREF(x);
        Py_XDECREF(y);
    }
    else {
        same = PyObject_RichCompareBool(a, b, Py_EQ);
    }
    Py_LeaveRecursiveCall();
    return same;
}

int
hr_value_still_is(PyObject *current, PyObject *old)
{
    if (current == old) {
        return 1;
    }
    if (current == NULL || old == NULL || Py_TYPE(current) != Py_TYPE(old) ||
        !hr_value_is(old)) {
        return 0;
    }
    int same = is_same(current, old);
    PyErr_Clear();
    return same == 1;
}

/* -- What is listed ------------------------------------------------------- */

static int
is_listed(const char *name, const char *const *list)
{
    for (int i = 0; name != NULL && list[i] != NULL; i++) {
        if (strcmp(name, list[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *const pure_functions[] = {"builtins.str",
                                             "builtins.int",
                                             "builtins.float",
                                             "builtins.bool",
                                             "builtins.len",
                                             "builtins.abs",
                                             "builtins.min",
                                             "builtins.max",
                                             "builtins.round",
                                             "builtins.sum",
                                             "builtins.tuple",
                                             "builtins.frozenset",
                                             "builtins.repr",
                                             "builtins.ord",
                                             "builtins.chr",
                                             "builtins.bytes",
                                             "builtins.sorted",
                                             "builtins.range",
                                             "builtins.list",
                                             "builtins.dict",
                                             "builtins.set",
                                             "builtins.zip",
                                             "builtins.enumerate",
                                             "builtins.reversed",
                                             "builtins.any",
                                             "builtins.all",
                                             "builtins.divmod",
                                             "builtins.pow",
                                             "builtins.hex",
                                             "builtins.bin",
                                             "builtins.oct",
                                             "builtins.complex",
                                             "posixpath.join",
                                             "posixpath.dirname",
                                             "posixpath.basename",
                                             "posixpath.splitext",
                                             "posixpath.normpath",
                                             "posixpath.abspath",
                                             "re.compile",
                                             "re.escape",
                                             "pathlib.Path",
                                             "pathlib.PosixPath",
                                             "pathlib.PurePath",
                                             "pathlib._local.Path",
                                             "pathlib._local.PurePath",
                                             "pathlib._local.PosixPath",
                                             "datetime.timedelta",
                                             "datetime.date",
                                             "decimal.Decimal",
                                             "fractions.Fraction",
                                             "math.sqrt",
                                             "math.floor",
                                             "math.ceil",
                                             "math.log",
                                             "math.log2",
                                             "math.log10",
                                             "math.exp",
                                             "math.pow",
                                             "math.radians",
                                             "math.degrees",
                                             "math.sin",
                                             "math.cos",
                                             "math.tan",
                                             NULL};

/* Methods of what surely is a value. */
static const char *const pure_methods[] = {"get",
                                           "items",
                                           "keys",
                                           "values",
                                           "copy",
                                           "index",
                                           "count",
                                           "join",
                                           "format",
                                           "replace",
                                           "union",
                                           "difference",
                                           "intersection",
                                           "symmetric_difference",
                                           "issubset",
                                           "issuperset",
                                           "joinpath",
                                           "with_suffix",
                                           "with_name",
                                           "as_posix",
                                           "relative_to",
                                           "resolve",
                                           "absolute",
                                           "hex",
                                           "bit_length",
                                           "total_seconds",
                                           "conjugate",
                                           "as_tuple",
                                           NULL};

/* Methods that only texts have. */
static const char *const text_methods[] = {
    "upper",     "lower",      "strip",        "lstrip",       "rstrip",
    "title",     "split",      "rsplit",       "splitlines",   "encode",
    "decode",    "capitalize", "casefold",     "swapcase",     "startswith",
    "endswith",  "zfill",      "ljust",        "rjust",        "center",
    "partition", "rpartition", "removeprefix", "removesuffix", "isdigit",
    "isalpha",   "isupper",    "islower",      "expandtabs",   NULL};

static const char *const value_attributes[] = {
    "parent", "parents", "name", "stem",      "suffix",      "suffixes",
    "parts",  "anchor",  "real", "imag",      "days",        "seconds",
    "year",   "month",   "day",  "numerator", "denominator", "pattern",
    "flags",  "start",   "stop", "step",      NULL};

int
hr_value_is_class(PyObject *o)
{
    return PyType_Check(o) && (Py_TYPE(o) == &PyType_Type ||
                               strcmp(Py_TYPE(o)->tp_name, "ABCMeta") == 0);
}

int
hr_value_is_enumeration(PyObject *o)
{
    return PyType_Check(o) &&
           (strcmp(Py_TYPE(o)->tp_name, "EnumMeta") == 0 ||
            strcmp(Py_TYPE(o)->tp_name, "EnumType") == 0) &&
           PyDict_GetItemString(hr_compat_type_dict((PyTypeObject *)o),
                                "_member_map_") != NULL;
}

PyObject *
hr_value_of_member(PyObject *o, PyObject *attribute)
{
    static const char *const names[] = {"name", "_name_", "value", "_value_"};
    PyObject *value = NULL;
    if (hr_value_is_enumeration(o)) {
        PyObject *map = PyDict_GetItemString(
            hr_compat_type_dict((PyTypeObject *)o), "_member_map_");
        return PyDict_Check(map) ? PyDict_GetItemWithError(map, attribute)
                                 : NULL;
    }
    PyObject *dict = hr_value_is_enumeration((PyObject *)Py_TYPE(o))
                         ? hr_compat_instance_dict(o)
                         : NULL;
    for (int i = 0; dict != NULL && i < 4; i++) {
        if (PyUnicode_CompareWithASCIIString(attribute, names[i]) == 0) {
            value = PyDict_GetItemString(dict, i < 2 ? "_name_" : "_value_");
        }
    }
    Py_XDECREF(dict); /* the member holds it */
    PyErr_Clear();
    return value;
}

int
hr_value_is_function(PyObject *o)
{
    int pure = 0;
    if (!PyFunction_Check(o) && !PyCFunction_Check(o) &&
        !hr_value_is_class(o)) {
        return 0;
    }
    PyObject *module = PyObject_GetAttrString(o, "__module__");
    PyObject *name = PyObject_GetAttrString(o, "__qualname__");
    if (module != NULL && name != NULL && PyUnicode_Check(module) &&
        PyUnicode_Check(name)) {
        PyObject *whole = PyUnicode_FromFormat("%U.%U", module, name);
        pure = whole != NULL &&
               is_listed(PyUnicode_AsUTF8(whole), pure_functions);
        Py_XDECREF(whole);
    }
    Py_XDECREF(name);
    Py_XDECREF(module);
    PyErr_Clear();
    return pure;
}

int
hr_value_has_method(PyObject *name, int surely)
{
    const char *utf8 = PyUnicode_AsUTF8(name);
    return is_listed(utf8, text_methods) ||
           (surely && is_listed(utf8, pure_methods));
}

int
hr_value_has_attribute(PyObject *name)
{
    return is_listed(PyUnicode_AsUTF8(name), value_attributes);
}
