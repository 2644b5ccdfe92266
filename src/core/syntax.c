/* What a piece of a text says, as Python's own syntax tree.
 *
 * Only for pieces that are already known to matter: parsing takes as long as
 * compiling.  Fields are borrowed, as the tree holds them; a tree is never
 * changed.
 */
#include "code.h"

PyObject *
hr_syntax_parse(struct hr_unit *u, const char *text, size_t size,
                const char *tail)
{
    /* A member is indented, and so is in a suite of its own. */
    int indented = size > 0 && strchr(" \t\f", text[0]) != NULL;
    const char *head = indented ? "if 1:\n" : "";
    PyCompilerFlags flags = {.cf_flags = u->future | PyCF_SOURCE_IS_UTF8 |
                                         PyCF_IGNORE_COOKIE | PyCF_ONLY_AST,
                             .cf_feature_version = PY_MINOR_VERSION};
    size_t length = strlen(head) + size + strlen(tail) + 2;
    char *source = PyMem_Malloc(length);
    if (source == NULL) {
        return PyErr_NoMemory();
    }
    snprintf(source, length, "%s%.*s%s\n", head, (int)size, text, tail);
    PyObject *tree =
        Py_CompileStringObject(source, u->filename, Py_file_input, &flags, -1);
    PyMem_Free(source);
    PyObject *body = tree ? hr_syntax_get(tree, "body") : NULL;
    if (body != NULL && indented && PyList_GET_SIZE(body) > 0) {
        body = hr_syntax_get(PyList_GET_ITEM(body, 0), "body");
    }
    Py_XINCREF(body);
    Py_XDECREF(tree);
    return body;
}

int
hr_syntax_is(PyObject *node, const char *kind)
{
    const char *name = Py_TYPE(node)->tp_name;
    const char *dot = strrchr(name, '.');
    return strcmp(dot != NULL ? dot + 1 : name, kind) == 0;
}

PyObject *
hr_syntax_get(PyObject *node, const char *field)
{
    PyObject *value = PyObject_GetAttrString(node, field);
    if (value == NULL) {
        PyErr_Clear();
        return Py_None;
    }
    Py_DECREF(value); /* the node holds it */
    return value;
}

int
hr_syntax_walk(PyObject *node, int (*visit)(PyObject *node, void *arg),
               void *arg)
{
    if (PyList_Check(node)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(node); i++) {
            int status = hr_syntax_walk(PyList_GET_ITEM(node, i), visit, arg);
            if (status != 0) {
                return status;
            }
        }
        return 0;
    }
    PyObject *fields = hr_syntax_get(node, "_fields");
    if (!PyTuple_Check(fields)) {
        return 0; /* a name or a number */
    }
    int status = visit(node, arg);
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(fields); i++) {
        const char *field = PyUnicode_AsUTF8(PyTuple_GET_ITEM(fields, i));
        if (field == NULL) {
            return -1;
        }
        status = hr_syntax_walk(hr_syntax_get(node, field), visit, arg);
    }
    return status;
}

PyObject *
hr_syntax_compile(struct hr_unit *u, PyObject *expression)
{
    PyObject *ast = PyImport_ImportModule("_ast");
    PyObject *builtins = PyImport_ImportModule("builtins");
    PyObject *tree =
        ast ? PyObject_CallMethod(ast, "Expression", "O", expression) : NULL;
    PyObject *code = tree && builtins
                         ? PyObject_CallMethod(builtins, "compile", "OOsii",
                                               tree, u->filename, "eval", 0, 1)
                         : NULL;
    Py_XDECREF(tree);
    Py_XDECREF(builtins);
    Py_XDECREF(ast);
    return code;
}

int
hr_syntax_is_same(struct hr_unit *u, PyObject *a, PyObject *b)
{
    PyObject *x = hr_syntax_compile(u, a);
    PyObject *y = x ? hr_syntax_compile(u, b) : NULL;
    int same = y == NULL ? -1 : hr_code_is_same(x, y);
    Py_XDECREF(x);
    Py_XDECREF(y);
    return same;
}

/* -- Parameters ----------------------------------------------------------- */

/* The arguments' names that have defaults, in order: the last of all that can
 * be given by position. */
static PyObject *
get_positional(PyObject *arguments, Py_ssize_t i, Py_ssize_t defaults)
{
    PyObject *first = hr_syntax_get(arguments, "posonlyargs");
    PyObject *rest = hr_syntax_get(arguments, "args");
    Py_ssize_t n = PyList_GET_SIZE(first);
    i += n + PyList_GET_SIZE(rest) - defaults;
    return i < n ? PyList_GET_ITEM(first, i) : PyList_GET_ITEM(rest, i - n);
}

int
hr_syntax_each_default(PyObject *arguments,
                       int (*visit)(PyObject *name, PyObject *node, void *arg),
                       void *arg)
{
    PyObject *defaults = hr_syntax_get(arguments, "defaults");
    PyObject *only = hr_syntax_get(arguments, "kwonlyargs");
    PyObject *kw = hr_syntax_get(arguments, "kw_defaults");
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(defaults); i++) {
        PyObject *a = get_positional(arguments, i, PyList_GET_SIZE(defaults));
        status =
            visit(hr_syntax_get(a, "arg"), PyList_GET_ITEM(defaults, i), arg);
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(kw); i++) {
        if (PyList_GET_ITEM(kw, i) != Py_None) {
            PyObject *a = PyList_GET_ITEM(only, i);
            status =
                visit(hr_syntax_get(a, "arg"), PyList_GET_ITEM(kw, i), arg);
        }
    }
    return status;
}

int
hr_syntax_each_annotation(PyObject *function,
                          int (*visit)(PyObject *name, PyObject *node,
                                       void *arg),
                          void *arg)
{
    static const char *const lists[] = {"posonlyargs", "args", "kwonlyargs"};
    static const char *const stars[] = {"vararg", "kwarg"};
    PyObject *arguments = hr_syntax_get(function, "args");
    int status = 0;
    for (int k = 0; status == 0 && k < 3; k++) {
        PyObject *list = hr_syntax_get(arguments, lists[k]);
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
            PyObject *a = PyList_GET_ITEM(list, i);
            PyObject *node = hr_syntax_get(a, "annotation");
            if (node != Py_None) {
                status = visit(hr_syntax_get(a, "arg"), node, arg);
            }
        }
    }
    for (int k = 0; status == 0 && k < 2; k++) {
        PyObject *a = hr_syntax_get(arguments, stars[k]);
        PyObject *node =
            a == Py_None ? Py_None : hr_syntax_get(a, "annotation");
        if (node != Py_None) {
            status = visit(hr_syntax_get(a, "arg"), node, arg);
        }
    }
    PyObject *node = hr_syntax_get(function, "returns");
    if (status == 0 && node != Py_None) {
        PyObject *name = PyUnicode_InternFromString("return");
        status = name == NULL ? -1 : visit(name, node, arg);
        Py_XDECREF(name);
    }
    return status;
}
