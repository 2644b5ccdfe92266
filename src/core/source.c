/* Followed files: which they are, the text that the program runs, and the
 * modules that were made from them.
 *
 * They come by import (finder.c) or, when they were imported otherwise, by
 * adoption (adopt.c); plan.c replaces their texts.  Reading is done without
 * the GIL.  Texts are kept as UTF-8, in the table of text.c.
 */
#include "code.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* -- The list ------------------------------------------------------------- */

struct hr_source *
hr_source_find(struct hr_state *st, const char *path)
{
    return hr_text_find(st, path);
}

int
hr_source_differs(struct hr_source *s, uint64_t file_hash)
{
    return s->file_hash != file_hash || s->doubt;
}

void
hr_source_seen(struct hr_source *s, uint64_t file_hash)
{
    if (s != NULL) {
        s->file_hash = file_hash;
    }
}

void
hr_source_free_all(struct hr_state *st)
{
    for (struct hr_source *s = st->sources; s != NULL; s = s->next) {
        Py_CLEAR(s->modules);
        Py_CLEAR(s->shown);
    }
    st->modules_seen = 0;
    hr_text_free_all(st);
}

/* -- The text ------------------------------------------------------------- */

void
hr_source_set_text(struct hr_state *st, struct hr_source *s, char *text,
                   size_t size)
{
    struct hr_blocks blocks = {0};
    struct hr_lex_error error;
    (void)hr_lex_split(text, size, &blocks, &error);
    hr_text_set(st, s, text, size, &blocks);
    s->partial = error.status != HR_LEX_OK;
}

struct hr_source *
hr_source_add(struct hr_state *st, const char *path)
{
    struct hr_source *s = hr_source_find(st, path);
    struct hr_change c = {.path = NULL};
    char *text = NULL;
    size_t size = 0;
    PyObject *why = NULL;

    if (s != NULL) {
        return s;
    }
    Py_BEGIN_ALLOW_THREADS
    hr_watch_read(path, 0, &c);
    Py_END_ALLOW_THREADS
    if (c.kind == HR_CHANGE_CONTENT) {
        if (hr_decode_bytes(c.text, c.size, &text, &size, &why) < 0) {
            free(c.text);
            return NULL;
        }
        Py_XDECREF(why);
    }
    s = calloc(1, sizeof *s);
    if (s == NULL || (s->path = strdup(path)) == NULL) {
        free(s);
        free(text);
        free(c.text);
        free(c.error);
        PyErr_NoMemory();
        return NULL;
    }
    s->file_hash = c.hash;
    if (text == NULL) {
        s->doubt = 1;
        text = strdup("");
    }
    hr_source_set_text(st, s, text, size);
    if (hr_text_add(st, s) < 0) {
        hr_blocks_clear(&s->blocks);
        free(s->text);
        free(s->path);
        free(s);
        free(c.text);
        free(c.error);
        return NULL;
    }
    st->modules_seen = 0;
    if (hr_schedule_watch(st, path, c.text, c.size) < 0) {
        hr_log_exception(st, "%s cannot be watched", path);
    }
    free(c.text);
    free(c.error);
    return s;
}

int
hr_source_undo(struct hr_state *st, PyObject *texts)
{
    PyObject *path, *pair;
    Py_ssize_t pos = 0;
    while (texts != NULL && PyDict_Next(texts, &pos, &path, &pair)) {
        Py_ssize_t size;
        PyObject *file = PyUnicode_EncodeFSDefault(path);
        struct hr_source *s =
            file ? hr_source_find(st, PyBytes_AS_STRING(file)) : NULL;
        Py_XDECREF(file);
        const char *old =
            PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(pair, 0), &size);
        if (old == NULL) {
            return -1;
        }
        if (s == NULL) {
            continue;
        }
        char *text = hr_decode_copy(old, (size_t)size);
        if (text == NULL) {
            return -1;
        }
        hr_source_set_text(st, s, text, (size_t)size);
        s->file_hash = 0; /* whatever is saved next differs */
        hr_show_text(path, PyTuple_GET_ITEM(pair, 0));
    }
    return 0;
}

/* -- Which files ---------------------------------------------------------- */

static int
is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || n == 1);
}

int
hr_source_is_under_roots(struct hr_state *st, const char *path)
{
    PyObject *roots = hr_schedule_roots(st); /* borrowed */
    size_t n = strlen(path);
    if (roots == NULL || n < 4 || strcmp(path + n - 3, ".py") != 0 ||
        strstr(path, "/site-packages/") != NULL ||
        strstr(path, "/dist-packages/") != NULL ||
        hr_apply_is_in_live(st, path)) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(roots); i++) {
        const char *root = PyUnicode_AsUTF8(PyList_GET_ITEM(roots, i));
        if (root == NULL) {
            PyErr_Clear();
            continue;
        }
        if (is_below(path, root)) {
            /* A virtual environment inside the root is not the program. */
            char marker[PATH_MAX];
            const char *at = path + strlen(root);
            while ((at = strchr(at + 1, '/')) != NULL) {
                struct stat s;
                if ((size_t)(at - path) + 16 > sizeof marker) {
                    return 0;
                }
                snprintf(marker, sizeof marker, "%.*s/pyvenv.cfg",
                         (int)(at - path), path);
                if (stat(marker, &s) == 0) {
                    return 0;
                }
            }
            return 1;
        }
    }
    return 0;
}

/* -- Their modules -------------------------------------------------------- */

char *
hr_source_module_path(PyObject *module)
{
    PyObject *file =
        PyModule_Check(module)
            ? PyDict_GetItemString(PyModule_GetDict(module), "__file__")
            : NULL;
    const char *utf8 =
        file != NULL && PyUnicode_Check(file) ? PyUnicode_AsUTF8(file) : NULL;
    if (utf8 == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (utf8[0] == '/') {
        return strdup(utf8);
    }
    return realpath(utf8, NULL); /* a script's, relative to its folder */
}

/* Was the module made from the file that it names?  Its loader says so, or a
 * function of it. */
static int
is_made_from(PyObject *module, const char *path)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    PyObject *name = PyDict_GetItemString(dict, "__name__");
    int made = 0;
    if (spec != NULL && spec != Py_None) {
        PyObject *origin = PyObject_GetAttrString(spec, "origin");
        made = origin != NULL && PyUnicode_Check(origin);
        Py_XDECREF(origin);
        PyErr_Clear();
    }
    if (name != NULL && PyUnicode_Check(name) &&
        PyUnicode_CompareWithASCIIString(name, "__main__") == 0) {
        made = 1;
    }
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (!made && PyDict_Next(dict, &pos, &key, &value)) {
        if (PyFunction_Check(value) &&
            ((PyFunctionObject *)value)->func_globals == dict) {
            PyCodeObject *code =
                (PyCodeObject *)((PyFunctionObject *)value)->func_code;
            const char *file = PyUnicode_AsUTF8(code->co_filename);
            made = file != NULL && strcmp(file, path) == 0;
        }
    }
    PyErr_Clear();
    return made;
}

/* A number that changes when a module comes, goes or is another. */
static uint64_t
look_at_modules(PyObject *modules)
{
    uint64_t seen = 1;
    PyObject *key, *module;
    Py_ssize_t pos = 0;
    while (PyDict_Next(modules, &pos, &key, &module)) {
        seen = (seen ^ (uint64_t)(uintptr_t)module) * 0x9e3779b97f4a7c15ULL;
        seen ^= seen >> 29;
    }
    return seen | 1;
}

/* Note for every followed file under which names its modules are. */
static int
find_modules(struct hr_state *st, PyObject *modules)
{
    PyObject *items = PyDict_Items(modules);
    for (struct hr_source *s = st->sources; s != NULL; s = s->next) {
        Py_CLEAR(s->modules);
    }
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        char *file = hr_source_module_path(PyTuple_GET_ITEM(item, 1));
        struct hr_source *s = file ? hr_source_find(st, file) : NULL;
        if (s != NULL && s->modules == NULL) {
            s->modules = PyList_New(0);
        }
        if (s != NULL) {
            status =
                s->modules == NULL
                    ? -1
                    : PyList_Append(s->modules, PyTuple_GET_ITEM(item, 0));
        }
        free(file);
    }
    Py_XDECREF(items);
    return status;
}

int
hr_source_look(struct hr_state *st)
{
    PyObject *modules = PyImport_GetModuleDict();
    uint64_t seen = look_at_modules(modules);
    if (seen != st->modules_seen) {
        st->modules_seen = 0;
        if (find_modules(st, modules) < 0) {
            return -1;
        }
        st->modules_seen = seen;
    }
    return 0;
}

PyObject *
hr_source_modules(struct hr_source *s)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *result = PyList_New(0);
    int status = result == NULL ? -1 : 0;
    for (Py_ssize_t i = 0;
         status == 0 && s->modules != NULL && i < PyList_GET_SIZE(s->modules);
         i++) {
        PyObject *module =
            PyDict_GetItemWithError(modules, PyList_GET_ITEM(s->modules, i));
        if (module != NULL && is_made_from(module, s->path) &&
            PySequence_Contains(result, module) == 0) {
            status = PyList_Append(result, module);
        }
    }
    if (status < 0) {
        Py_CLEAR(result);
    }
    return result;
}

const char *
hr_source_lost_module(struct hr_source *s)
{
    /* It was never imported, or taken out of sys.modules: then there is
     * nothing to change.  Another object under its name is another matter. */
    return s->name != NULL && PyDict_GetItemString(PyImport_GetModuleDict(),
                                                   s->name) != NULL
               ? s->name
               : NULL;
}
