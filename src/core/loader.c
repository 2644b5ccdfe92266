/* How the loader of a module makes code of its text.
 *
 * Mostly as Python does.  One with a source_to_code() of its own says how, so
 * that is called for what changed.  One that executes a module in a way of its
 * own does not say: its text is taken as Python would, which is refused where
 * the live functions are not what Python makes of the text that they are of.
 *
 * For unit.c and adopt.c.
 */
#include "code.h"

#define MAX_CHAIN 8

static PyObject *
find_method(PyObject *type, const char *name)
{
    PyObject *key = PyUnicode_InternFromString(name);
    PyObject *f = key ? _PyType_Lookup((PyTypeObject *)type, key) : NULL;
    PyErr_Clear();
    Py_XDECREF(key);
    return f; /* borrowed */
}

/* Is it a function of importlib? */
static int
is_usual(PyObject *f)
{
    const char *file =
        PyFunction_Check(f)
            ? PyUnicode_AsUTF8(
                  ((PyCodeObject *)HR_AS_FUNCTION(f)->func_code)->co_filename)
            : NULL;
    PyErr_Clear();
    return file != NULL && strncmp(file, "<frozen importlib", 17) == 0;
}

static int
has_own_compiler(PyObject *loader)
{
    PyObject *f = find_method((PyObject *)Py_TYPE(loader), "source_to_code");
    return f != NULL && !is_usual(f);
}

/* A method that SourceFileLoader has counts as the usual one, whoever has
 * exchanged it for all. */
static int
has_own_method(PyObject *loader, const char *name)
{
    PyObject *f = find_method((PyObject *)Py_TYPE(loader), name);
    PyObject *usual = NULL;
    if (f != NULL && is_usual(f)) {
        return 0;
    }
    PyObject *external = PyDict_GetItemString(PyImport_GetModuleDict(),
                                              "_frozen_importlib_external");
    PyObject *type =
        external ? PyObject_GetAttrString(external, "SourceFileLoader") : NULL;
    if (type != NULL && PyType_Check(type)) {
        usual = find_method(type, name);
    }
    PyErr_Clear();
    Py_XDECREF(type);
    return f == NULL || f != usual;
}

/* The loader of a module that makes its code, behind those that only wrap
 * another to be told of the import: wrapt's, OpenTelemetry's.  New reference
 * or NULL. */
static PyObject *
get_loader(PyObject *dict)
{
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    PyObject *loader = spec != NULL && spec != Py_None
                           ? PyObject_GetAttrString(spec, "loader")
                           : NULL;
    for (int i = 0; loader != NULL && i < MAX_CHAIN; i++) {
        PyObject *inner = has_own_compiler(loader)
                              ? NULL
                              : PyObject_GetAttrString(loader, "loader");
        if (inner == NULL || !PyObject_HasAttrString(inner, "exec_module")) {
            Py_XDECREF(inner);
            break;
        }
        Py_SETREF(loader, inner);
    }
    PyErr_Clear();
    return loader;
}

PyObject *
hr_loader_compiler(PyObject *dict)
{
    PyObject *loader = get_loader(dict);
    PyObject *compiler = loader != NULL && has_own_compiler(loader)
                             ? PyObject_GetAttrString(loader, "source_to_code")
                             : NULL;
    PyErr_Clear();
    Py_XDECREF(loader);
    return compiler;
}

int
hr_loader_is_silent(PyObject *dict)
{
    PyObject *loader = get_loader(dict);
    int silent = loader != NULL && loader != Py_None &&
                 !has_own_compiler(loader) &&
                 (has_own_method(loader, "exec_module") ||
                  (has_own_method(loader, "get_code") &&
                   PyObject_HasAttrString(loader, "get_code")));
    Py_XDECREF(loader);
    return silent;
}
