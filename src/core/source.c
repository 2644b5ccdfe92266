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

/* Remember which text runs, in case the engine is started again. */
static void
note_left(struct hr_state *st, struct hr_source *s)
{
    PyObject *path = PyUnicode_DecodeFSDefault(s->path);
    PyObject *hash = PyLong_FromUnsignedLongLong(s->file_hash);
    if (st->left == NULL) {
        st->left = PyDict_New();
    }
    if (st->left != NULL && path != NULL && hash != NULL) {
        (void)PyDict_SetItem(st->left, path, hash);
    }
    Py_XDECREF(hash);
    Py_XDECREF(path);
    PyErr_Clear();
}

void
hr_source_free_all(struct hr_state *st)
{
    for (struct hr_source *s = st->sources; s != NULL; s = s->next) {
        note_left(st, s);
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

/* The file's bytes as what runs now.  NULL with an exception. */
static struct hr_source *
make_source(struct hr_state *st, const char *path, const struct hr_change *c)
{
    char *text = NULL;
    size_t size = 0;
    PyObject *why = NULL;
    if (c->kind == HR_CHANGE_CONTENT &&
        hr_decode_bytes(c->text, c->size, &text, &size, &why) < 0) {
        return NULL;
    }
    Py_XDECREF(why);
    int unreadable = text == NULL;
    struct hr_source *s = calloc(1, sizeof *s);
    char *copy = strdup(path);
    if (unreadable) {
        text = strdup("");
    }
    if (s == NULL || copy == NULL || text == NULL) {
        free(text);
        free(copy);
        free(s);
        PyErr_NoMemory();
        return NULL;
    }
    s->path = copy;
    s->doubt = unreadable;
    s->file_hash = c->hash;
    hr_source_set_text(st, s, text, size);
    if (hr_text_add(st, s) < 0) {
        hr_blocks_clear(&s->blocks);
        free(s->text);
        free(s->path);
        free(s);
        return NULL;
    }
    return s;
}

int
hr_source_add(struct hr_state *st, const char *path, struct hr_source **added)
{
    struct hr_change c = {.path = NULL};
    int status = 0;

    *added = hr_source_find(st, path);
    if (*added != NULL) {
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    hr_watch_read(path, 0, &c);
    Py_END_ALLOW_THREADS
    /* Another thread may have imported it, or stopped the engine. */
    *added = hr_source_find(st, path);
    if (*added == NULL && st->engine != NULL) {
        *added = make_source(st, path, &c);
        status = *added == NULL ? -1 : 0;
        st->modules_seen = 0;
        if (status == 0 && hr_schedule_watch(st, path, c.text, c.size) < 0) {
            hr_log_exception(st, "%s cannot be watched", path);
        }
        *added = hr_source_find(st, path);
    }
    free(c.text);
    free(c.error);
    return status;
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
        const char *old = NULL;
        if (file != NULL) {
            old = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(pair, 0), &size);
        }
        Py_XDECREF(file);
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

/* __file__ of a module.  Borrowed, or NULL without an exception. */
static const char *
get_file(PyObject *module, PyObject *key)
{
    PyObject *file =
        PyModule_Check(module)
            ? PyDict_GetItemWithError(PyModule_GetDict(module), key)
            : NULL;
    const char *utf8 =
        file != NULL && PyUnicode_Check(file) ? PyUnicode_AsUTF8(file) : NULL;
    if (utf8 == NULL) {
        PyErr_Clear();
    }
    return utf8;
}

char *
hr_source_module_path(PyObject *module, PyObject *key)
{
    const char *file = get_file(module, key);
    return file == NULL     ? NULL
           : file[0] == '/' ? strdup(file)
                            : realpath(file, NULL); /* a script's */
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

/* The followed file that a module is from, or NULL. */
static struct hr_source *
find_of_module(struct hr_state *st, PyObject *module, PyObject *key)
{
    const char *file = get_file(module, key);
    if (file == NULL || file[0] == '/') {
        return file != NULL ? hr_source_find(st, file) : NULL;
    }
    char *path = realpath(file, NULL);
    struct hr_source *s = path != NULL ? hr_source_find(st, path) : NULL;
    free(path);
    return s;
}

/* Note for every followed file under which names its modules are.  There may
 * be thousands, and the first save after an import waits for this. */
static int
find_modules(struct hr_state *st, PyObject *modules)
{
    PyObject *key = PyUnicode_InternFromString("__file__"), *name, *module;
    Py_ssize_t pos = 0;
    int status = key == NULL ? -1 : 0;
    for (struct hr_source *s = st->sources; s != NULL; s = s->next) {
        Py_CLEAR(s->modules);
    }
    while (status == 0 && PyDict_Next(modules, &pos, &name, &module)) {
        struct hr_source *s = find_of_module(st, module, key);
        if (s == NULL) {
            continue;
        }
        Py_INCREF(name); /* a new list may collect, which may take it out */
        if (s->modules == NULL) {
            s->modules = PyList_New(0);
        }
        status = s->modules == NULL ? -1 : PyList_Append(s->modules, name);
        Py_DECREF(name);
    }
    Py_XDECREF(key);
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
        PyObject *module = Py_XNewRef(
            PyDict_GetItemWithError(modules, PyList_GET_ITEM(s->modules, i)));
        if (module != NULL && is_made_from(module, s->path) &&
            PySequence_Contains(result, module) == 0) {
            status = PyList_Append(result, module);
        }
        Py_XDECREF(module);
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
