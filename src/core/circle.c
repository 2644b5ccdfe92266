/* A replacement that reaches what it replaces, and so itself.
 *
 * What a name of the live file holds means the original (meaning.c), but what
 * the replacement reaches through somebody else (`module.f`, a cache written
 * in C that has `f`) is what is in force: the replacement.  Mostly that is a
 * circle without an end, so the log says so before the first call.  It is no
 * error: a replacement may call itself.
 *
 * It is read from the code, of which nothing runs.  For replace.c.
 */
#include "code.h"

#define DEPTH 4

struct search {
    hr_patch *patch;
    PyObject *globals;
    int load_global, load_name, load_attr, load_method;
};

/* Is this what runs the replacement now? */
static int
is_in_force(hr_patch *p, PyObject *o)
{
    return PyFunction_Check(p->before)
               ? o == p->before
               : o != p->original && hr_patch_has_put(p, o);
}

/* A cache of it, written in C. */
static int
is_cache(hr_patch *p, PyObject *o)
{
    if (strcmp(Py_TYPE(o)->tp_name, "functools._lru_cache_wrapper") != 0) {
        return 0;
    }
    PyObject *inner = PyObject_GetAttrString(o, "__wrapped__");
    int is = inner != NULL && is_in_force(p, inner);
    Py_XDECREF(inner);
    PyErr_Clear();
    return is;
}

/* An attribute that is there without running anything.  Borrowed. */
static PyObject *
look_up(PyObject *o, PyObject *name)
{
    return PyModule_Check(o)
               ? PyDict_GetItemWithError(PyModule_GetDict(o), name)
           : PyType_Check(o) ? _PyType_Lookup((PyTypeObject *)o, name)
                             : NULL;
}

/* What an instruction leaves on the stack, if that is known.  Borrowed. */
static PyObject *
follow(struct search *s, int op, int arg, PyObject *names, PyObject *top)
{
    int shift = (op == s->load_global && PY_VERSION_HEX >= 0x030B0000) ||
                (op == s->load_attr && PY_VERSION_HEX >= 0x030C0000);
    int is_name = op == s->load_global || op == s->load_name;
    arg >>= shift;
    if ((!is_name &&
         (top == NULL || (op != s->load_attr && op != s->load_method))) ||
        arg >= PyTuple_GET_SIZE(names)) {
        return NULL;
    }
    PyObject *name = PyTuple_GET_ITEM(names, arg);
    return is_name ? PyDict_GetItemWithError(s->globals, name)
                   : look_up(top, name);
}

/* The line on which the code reaches it: 0 when it does not. */
static int
find_line(struct search *s, PyObject *code, int depth)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts, *top = NULL;
    PyObject *original = PyUnicode_InternFromString("original");
    struct hr_bytecode b = {0};
    int line = 0;
    if (original == NULL || hr_bytecode_open(&b, code) < 0) {
        goto done;
    }
    /* Code that names original() knows about it. */
    int knows = PySequence_Contains(names, original) != 0;
    while (!knows && line == 0 && hr_bytecode_next(&b)) {
        if (b.op == 0) {
            continue; /* room for caches */
        }
        top = follow(s, b.op, b.arg, names, top);
        if (top != NULL &&
            (is_in_force(s->patch, top) || is_cache(s->patch, top))) {
            line = PyCode_Addr2Line((PyCodeObject *)code, (int)b.at);
        }
    }
    for (Py_ssize_t i = 0;
         depth > 0 && line == 0 && i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        line = PyCode_Check(o) ? find_line(s, o, depth - 1) : 0;
    }
done:
    PyErr_Clear();
    Py_XDECREF(original);
    hr_bytecode_close(&b);
    return line;
}

void
hr_circle_warn(struct hr_state *st, hr_patch *p)
{
    PyObject *f =
        PyMethod_Check(p->after) ? PyMethod_GET_FUNCTION(p->after) : p->after;
    if (!PyFunction_Check(f) || PyType_Check(p->before)) {
        return;
    }
    struct search s = {.patch = p,
                       .globals = PyFunction_GET_GLOBALS(f),
                       .load_global = hr_bytecode_number("LOAD_GLOBAL"),
                       .load_name = hr_bytecode_number("LOAD_NAME"),
                       .load_attr = hr_bytecode_number("LOAD_ATTR"),
                       .load_method = hr_bytecode_number("LOAD_METHOD")};
    PyObject *code = PyFunction_GET_CODE(f);
    int line = find_line(&s, code, DEPTH);
    if (line > 0) {
        hr_log(st, HR_SAY_WARNING,
               "%U:%d: %U replaces %U, and so calls itself here; "
               "original(...) calls the original",
               ((PyCodeObject *)code)->co_filename, line,
               ((PyFunctionObject *)f)->func_qualname, p->name);
    }
}
