/* References on the heap.
 *
 * What cannot be changed in place (a built-in, a partial, a callable object)
 * is replaced where it is held.  Only the program's own modules are searched:
 * their names, the attributes and closures of what they define, and the lists
 * and dicts that their names hold.  The standard library and installed
 * packages are left alone, and so are live files: there the name keeps meaning
 * the original.
 */
#include "core.h"

/* The folder of the standard library.  New reference. */
static PyObject *
get_library_folder(void)
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *file = os ? PyObject_GetAttrString(os, "__file__") : NULL;
    PyObject *folder = NULL;
    if (file != NULL) {
        Py_ssize_t n = PyUnicode_GET_LENGTH(file);
        Py_ssize_t slash = PyUnicode_FindChar(file, '/', 0, n, -1);
        folder = PyUnicode_Substring(file, 0, slash < 0 ? 0 : slash + 1);
    }
    Py_XDECREF(file);
    Py_XDECREF(os);
    return folder;
}

static int
contains(PyObject *text, const char *part)
{
    const char *utf8 = PyUnicode_AsUTF8(text);
    if (utf8 == NULL) {
        PyErr_Clear();
        return 0;
    }
    return strstr(utf8, part) != NULL;
}

static int
begins_with(PyObject *text, const char *start)
{
    const char *utf8 = PyUnicode_AsUTF8(text);
    if (utf8 == NULL) {
        PyErr_Clear();
        return 0;
    }
    return strncmp(utf8, start, strlen(start)) == 0;
}

/* 1 when the module with this dict is the program's own. */
static int
is_own(PyObject *dict, PyObject *library)
{
    PyObject *file = PyDict_GetItemString(dict, "__file__");
    PyObject *name = PyDict_GetItemString(dict, "__name__");
    if (name == NULL || !PyUnicode_Check(name) ||
        begins_with(name, "hot_reload.") || contains(name, ".hot_reload.") ||
        begins_with(name, "reloadable_")) {
        return 0;
    }
    if (file == NULL || !PyUnicode_Check(file)) {
        return PyUnicode_CompareWithASCIIString(name, "__main__") == 0;
    }
    return !contains(file, "/site-packages/") &&
           !contains(file, "/dist-packages/") &&
           PyUnicode_Tailmatch(file, library, 0, PY_SSIZE_T_MAX, -1) != 1;
}

struct search {
    struct hr_journal *j;
    PyObject *from, *to, *module_name;
};

static int
search_function(struct search *s, PyObject *function)
{
    PyObject *closure = PyFunction_GET_CLOSURE(function);
    for (Py_ssize_t i = 0; closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *cell = PyTuple_GET_ITEM(closure, i);
        if (hr_compat_cell_peek(cell) == s->from &&
            hr_journal_add(s->j, HR_PLACE_CELL, cell, NULL, s->to) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
search_list(struct search *s, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        if (PyList_GET_ITEM(list, i) != s->from) {
            continue;
        }
        if (hr_journal_add(s->j, HR_PLACE_LIST, list, s->from, s->to) < 0) {
            return -1;
        }
    }
    return 0;
}

/* depth 2: a module's dict, 1: what its names hold, 0: no further. */
static int
search_dict(struct search *s, PyObject *dict, PyObject *type, int depth)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        int status = 0;
        if (value == s->from) {
            status = hr_journal_add(
                s->j, type != NULL ? HR_PLACE_TYPE : HR_PLACE_DICT,
                type != NULL ? type : dict, key, s->to);
        }
        else if (PyFunction_Check(value)) {
            status = search_function(s, value);
        }
        else if (depth == 2 && PyDict_CheckExact(value) &&
                 PyUnicode_Check(key) &&
                 PyUnicode_CompareWithASCIIString(key, "__builtins__") != 0) {
            status = search_dict(s, value, NULL, 0);
        }
        else if (depth == 2 && PyList_CheckExact(value)) {
            status = search_list(s, value);
        }
        else if (depth == 2 && hr_class_is_open(value)) {
            PyObject *inner = hr_compat_type_dict((PyTypeObject *)value);
            PyObject *home = PyDict_GetItemString(inner, "__module__");
            if (home != NULL && PyUnicode_Check(home) &&
                PyUnicode_Compare(home, s->module_name) == 0) {
                status = search_dict(s, inner, value, 1);
            }
        }
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* All modules, and where the library is that is not the program's own. */
static PyObject *
list_modules(PyObject **library)
{
    *library = get_library_folder();
    return *library ? PyDict_Values(PyImport_GetModuleDict()) : NULL;
}

int
hr_find_plan_holders(struct hr_journal *j, PyObject *from, PyObject *to)
{
    PyObject *library, *modules = list_modules(&library);
    int status = modules == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules); i++) {
        PyObject *module = PyList_GET_ITEM(modules, i);
        PyObject *dict =
            PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
        if (dict != NULL && is_own(dict, library)) {
            struct search s = {j, from, to,
                               PyDict_GetItemString(dict, "__name__")};
            status = search_dict(&s, dict, NULL, 2);
        }
    }
    Py_XDECREF(modules);
    Py_XDECREF(library);
    return status;
}

int
hr_find_add_late(hr_patch *p)
{
    PyObject *home = PyObject_GetAttrString(p->after, "__module__");
    PyErr_Clear(); /* then it is of no module */
    PyObject *library, *modules = list_modules(&library), *held;
    int status = modules == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules); i++) {
        PyObject *module = PyList_GET_ITEM(modules, i);
        PyObject *dict =
            PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
        if (dict == NULL || !is_own(dict, library)) {
            continue;
        }
        PyObject *value = PyDict_GetItemWithError(dict, p->name);
        PyObject *name = PyDict_GetItemString(dict, "__name__");
        if (value != NULL && hr_patch_has_put(p, value) &&
            (home == NULL ||
             PyObject_RichCompareBool(home, name, Py_EQ) == 0) &&
            !hr_place_peek(p->journal, HR_PLACE_DICT, dict, p->name, &held)) {
            status = hr_place_add_committed(p->journal, HR_PLACE_DICT, dict,
                                            p->name, p->before);
        }
    }
    Py_XDECREF(home);
    Py_XDECREF(modules);
    Py_XDECREF(library);
    return status;
}

PyObject *
hr_find_referrers(PyObject *o)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *found =
        gc ? PyObject_CallMethod(gc, "get_referrers", "O", o) : NULL;
    Py_XDECREF(gc);
    return found;
}

int
hr_find_plan_methods(struct hr_journal *j, PyObject *self, PyObject *func,
                     PyObject *to, PyObject *but)
{
    PyObject *found = hr_find_referrers(self);
    int status = found == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(found); i++) {
        PyObject *o = PyList_GET_ITEM(found, i);
        if (o != but && PyMethod_Check(o) && PyMethod_GET_SELF(o) == self &&
            PyMethod_GET_FUNCTION(o) == func) {
            status = hr_journal_add(j, HR_PLACE_METHOD, o, NULL, to);
        }
    }
    Py_XDECREF(found);
    return status;
}
