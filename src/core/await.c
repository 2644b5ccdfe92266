/* Modules that a refused save could not import.
 *
 * `import helpers` is saved before helpers.py is.  Nobody follows a file that
 * was never imported, so the places where the import would find it are watched
 * until it comes; then what was refused is tried again.
 *
 * For refuse.c and batch.c.
 */
#include "engine.h"

#include <sys/stat.h>

#define MAX_AWAITED 64

/* Watch for a file that is not there. */
static int
watch_path(struct hr_state *st, PyObject *path)
{
    const char *text = PyUnicode_AsUTF8(path);
    struct stat found;
    if (text == NULL) {
        return -1;
    }
    if (!hr_source_is_under_roots(st, text) || stat(text, &found) == 0 ||
        PySet_GET_SIZE(st->awaited) >= MAX_AWAITED) {
        return 0;
    }
    return hr_schedule_watch(st, text, NULL, 0) < 0
               ? -1
               : PySet_Add(st->awaited, path);
}

/* In one folder of a search path: as a module, or as a package.  The folders
 * need not be there, either. */
static int
watch_in(struct hr_state *st, PyObject *folder, PyObject *name)
{
    static const char *const forms[] = {"%U/%U.py", "%U/%U/__init__.py"};
    int status = 0;
    for (int i = 0; status == 0 && i < 2; i++) {
        PyObject *path = PyUnicode_FromFormat(forms[i], folder, name);
        status = path == NULL ? -1 : watch_path(st, path);
        Py_XDECREF(path);
    }
    return status;
}

/* sys.path, or that of the package.  New reference. */
static PyObject *
get_search_path(PyObject *package)
{
    PyObject *path = NULL;
    if (PyUnicode_GET_LENGTH(package) == 0) {
        path = Py_XNewRef(PySys_GetObject("path"));
    }
    else {
        PyObject *module =
            PyDict_GetItemWithError(PyImport_GetModuleDict(), package);
        path = module ? PyObject_GetAttrString(module, "__path__") : NULL;
    }
    PyObject *list = path != NULL ? PySequence_List(path) : NULL;
    Py_XDECREF(path);
    return list;
}

/* `import p.x`: the exception names the module. */
static int
read_missing_module(PyObject *name, PyObject **package, PyObject **last)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(name);
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, -1);
    *package = PyUnicode_Substring(name, 0, dot < 0 ? 0 : dot);
    *last = PyUnicode_Substring(name, dot + 1, n);
    return *package == NULL || *last == NULL ? -1 : 0;
}

/* `from p import x`: it names the package, and x in its text, where it is a
 * name (Python 3.12 has an attribute for it). */
static int
read_missing_name(PyObject *exception, PyObject *name, PyObject **package,
                  PyObject **last)
{
    static const char begin[] = "cannot import name '";
    PyObject *text = PyObject_Str(exception);
    Py_ssize_t from = (Py_ssize_t)sizeof begin - 1, to = -1;
    if (text != NULL) {
        PyObject *head = PyUnicode_FromString(begin);
        if (head != NULL &&
            PyUnicode_Tailmatch(text, head, 0, PY_SSIZE_T_MAX, -1) == 1) {
            to = PyUnicode_FindChar(text, '\'', from,
                                    PyUnicode_GET_LENGTH(text), 1);
        }
        Py_XDECREF(head);
    }
    *last = to > from ? PyUnicode_Substring(text, from, to) : NULL;
    *package = *last != NULL ? Py_NewRef(name) : NULL;
    Py_XDECREF(text);
    return *last == NULL ? -1 : 0;
}

void
hr_await_module(struct hr_state *st, PyObject *exception)
{
    PyObject *name = PyObject_GetAttrString(exception, "name");
    PyObject *package = NULL, *last = NULL, *folders = NULL;
    int is_module =
        PyErr_GivenExceptionMatches(exception, PyExc_ModuleNotFoundError);
    if (name != NULL && PyUnicode_Check(name) && st->engine != NULL &&
        (is_module
             ? read_missing_module(name, &package, &last)
             : read_missing_name(exception, name, &package, &last)) == 0) {
        folders = get_search_path(package);
    }
    for (Py_ssize_t i = 0; folders != NULL && i < PyList_GET_SIZE(folders);
         i++) {
        PyObject *folder = PyList_GET_ITEM(folders, i);
        if (PyUnicode_Check(folder) && watch_in(st, folder, last) < 0) {
            break;
        }
    }
    PyErr_Clear(); /* then it is tried again with the next save only */
    Py_XDECREF(folders);
    Py_XDECREF(last);
    Py_XDECREF(package);
    Py_XDECREF(name);
}

int
hr_await_is_over(struct hr_engine *e, const char *path)
{
    PyObject *key = PyUnicode_DecodeFSDefault(path);
    int was = key != NULL ? PySet_Discard(e->st->awaited, key) : -1;
    if (was > 0) {
        (void)hr_watch_remove_file(e->watch, path);
        PyObject *importlib = PyImport_ImportModule("importlib");
        PyObject *done =
            importlib
                ? PyObject_CallMethod(importlib, "invalidate_caches", NULL)
                : NULL;
        Py_XDECREF(done);
        Py_XDECREF(importlib);
    }
    Py_XDECREF(key);
    PyErr_Clear();
    return was > 0;
}
