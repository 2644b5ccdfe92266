/* The finder at the head of sys.meta_path.
 *
 * The text that a module was imported from is gone once its file is saved, so
 * it is read when the module is imported: this finder asks those behind it,
 * and reads the file of what they find under a root.  It finds nothing itself,
 * and a file that cannot be followed does not fail the import.
 *
 * For Python's import system, through module.c, and for the start and stop.
 */
#include "code.h"

#include <stdlib.h>

/* Ask the finders behind us in sys.meta_path. */
static PyObject *
ask_others(struct hr_state *st, PyObject *name, PyObject *path,
           PyObject *target)
{
    PyObject *meta_path = PySys_GetObject("meta_path"); /* borrowed */
    PyObject *finders = meta_path ? PySequence_List(meta_path) : NULL;
    PyObject *spec = NULL;
    int behind = 0;
    for (Py_ssize_t i = 0; finders != NULL && i < PyList_GET_SIZE(finders);
         i++) {
        PyObject *finder = PyList_GET_ITEM(finders, i);
        if (finder == st->module) {
            behind = 1;
            continue;
        }
        if (!behind) {
            continue;
        }
        PyObject *find = PyObject_GetAttrString(finder, "find_spec");
        if (find == NULL) {
            PyErr_Clear();
            continue;
        }
        Py_XSETREF(spec, PyObject_CallFunctionObjArgs(find, name, path, target,
                                                      NULL));
        Py_DECREF(find);
        if (spec != Py_None) {
            break;
        }
    }
    if (finders != NULL && spec == NULL && !PyErr_Occurred()) {
        spec = Py_NewRef(Py_None);
    }
    Py_XDECREF(finders);
    return spec;
}

/* It is about to be imported again (a reload, or after it was taken out of
 * sys.modules): from the file as it is now. */
static int
read_again(struct hr_state *st, struct hr_source *s, PyObject *name)
{
    struct hr_change c = {.path = NULL};
    char *text = NULL;
    size_t size = 0;
    PyObject *why = NULL;
    if (st->planning != 0) {
        return 0; /* a plan is made from the text that is there */
    }
    PyObject *modules = hr_source_look(st) < 0 ? NULL : hr_source_modules(s);
    if (modules == NULL) {
        return -1;
    }
    Py_ssize_t others = PyList_GET_SIZE(modules);
    PyObject *own = PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
    if (others == 1 && own != NULL && PyList_GET_ITEM(modules, 0) == own) {
        others = 0;
    }
    Py_DECREF(modules);
    if (others > 0 || PyErr_Occurred()) {
        return PyErr_Occurred() ? -1 : 0; /* those run the text we know */
    }
    char *path = strdup(s->path);
    Py_BEGIN_ALLOW_THREADS
    hr_watch_read(path ? path : "", 0, &c);
    Py_END_ALLOW_THREADS
    /* Another thread may have stopped the engine. */
    s = path != NULL ? hr_source_find(st, path) : NULL;
    int status = 0;
    if (s != NULL && c.kind == HR_CHANGE_CONTENT &&
        hr_source_differs(s, c.hash)) {
        status = hr_decode_bytes(c.text, c.size, &text, &size, &why);
        if (status == 0) {
            hr_source_set_text(st, s, text, size);
            s->file_hash = c.hash;
            s->doubt = 0;
        }
        Py_XDECREF(why);
    }
    free(path);
    free(c.text);
    free(c.error);
    return status < 0 ? -1 : 0;
}

PyObject *
hr_finder_find_spec(struct hr_state *st, PyObject *name, PyObject *path,
                    PyObject *target)
{
    PyObject *spec = ask_others(st, name, path, target);
    if (spec == NULL || spec == Py_None || st->engine == NULL) {
        return spec;
    }
    PyObject *origin = PyObject_GetAttrString(spec, "origin");
    const char *file = origin != NULL && PyUnicode_Check(origin)
                           ? PyUnicode_AsUTF8(origin)
                           : NULL;
    PyErr_Clear();
    struct hr_source *known = file ? hr_source_find(st, file) : NULL;
    if (known != NULL && read_again(st, known, name) < 0) {
        hr_log_exception(st, "%s cannot be read again", file);
    }
    if (file != NULL && known == NULL && hr_source_is_under_roots(st, file)) {
        struct hr_source *s;
        if (hr_source_add(st, file, &s) < 0) {
            hr_log_exception(st, "%s cannot be followed", file);
        }
        else if (s != NULL && s->name == NULL && PyUnicode_Check(name) &&
                 PyUnicode_AsUTF8(name) != NULL) {
            s->name = strdup(PyUnicode_AsUTF8(name));
        }
        /* Modules that came in another way since the last import. */
        if (hr_adopt_modules(st, 1) < 0) {
            PyErr_Clear();
        }
    }
    Py_XDECREF(origin);
    return spec;
}

int
hr_finder_install(struct hr_state *st, int on)
{
    PyObject *meta_path = PySys_GetObject("meta_path"); /* borrowed */
    if (meta_path == NULL || !PyList_Check(meta_path)) {
        return 0;
    }
    Py_ssize_t at = PySequence_Index(meta_path, st->module);
    PyErr_Clear();
    if (on) {
        return at >= 0 ? 0 : PyList_Insert(meta_path, 0, st->module);
    }
    return at < 0 ? 0 : PySequence_DelItem(meta_path, at);
}

int
hr_finder_imported(struct hr_state *st, const char *path)
{
    if (st->engine == NULL || hr_source_find(st, path) != NULL ||
        !hr_source_is_under_roots(st, path)) {
        return 0;
    }
    struct hr_source *s;
    return hr_source_add(st, path, &s);
}
