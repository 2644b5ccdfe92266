/* Followed files: which they are, and the text that the program runs.
 *
 * The text that a module was imported from is gone once its file is saved, so
 * it is read when the module is imported: sys.meta_path begins with a finder
 * that asks the others, and reads the file of what they find under a root.
 * Modules that came another way (before start(), or loaded from a path) are
 * adopted later, with the file as it is then; where the live functions do not
 * begin on the lines of that text, this is said.
 *
 * Reading is done without the GIL.  Texts are kept as UTF-8.
 */
#include "code.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "watch/watch.h"

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

/* -- Decoding ------------------------------------------------------------- */

/* Is it UTF-8?  The common case, without making a str. */
static int
is_ascii(const char *bytes, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        if (word & 0x8080808080808080ULL) {
            return 0;
        }
    }
    for (; i < size; i++) {
        if (bytes[i] & 0x80) {
            return 0;
        }
    }
    return 1;
}

static char *
copy_bytes(const char *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

int
hr_source_decode(const char *bytes, size_t size, char **out, size_t *out_size,
                 PyObject **why)
{
    char encoding[64];
    size_t bom = hr_lex_encoding(bytes, size, encoding);
    const char *nul = memchr(bytes, '\0', size);
    bytes += bom;
    size -= bom;
    if (bom > 0 && strcmp(encoding, "utf-8") != 0) {
        *why = PyUnicode_FromFormat(
            "it begins with a UTF-8 mark and declares the encoding %s; remove "
            "one of the two",
            encoding);
        return *why == NULL ? -1 : 1;
    }
    if (nul != NULL) {
        *why = PyUnicode_FromString("it holds a null byte; save it as text");
        return *why == NULL ? -1 : 1;
    }
    if (!is_ascii(bytes, size) || strcmp(encoding, "utf-8") != 0) {
        PyObject *text =
            PyUnicode_Decode(bytes, (Py_ssize_t)size, encoding, NULL);
        Py_ssize_t n;
        const char *utf8 = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
        if (utf8 == NULL) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            *why = PyUnicode_FromFormat(
                "it cannot be decoded as %s (%S); save it in the encoding "
                "that its first lines declare",
                encoding, value ? value : Py_None);
            Py_XDECREF(type);
            Py_XDECREF(value);
            Py_XDECREF(traceback);
            Py_XDECREF(text);
            return *why == NULL ? -1 : 1;
        }
        *out = copy_bytes(utf8, (size_t)n);
        *out_size = (size_t)n;
        Py_DECREF(text);
    }
    else {
        *out = copy_bytes(bytes, size);
        *out_size = size;
    }
    return *out == NULL ? -1 : 0;
}

/* -- Adding --------------------------------------------------------------- */

struct hr_source *
hr_source_add(struct hr_state *st, const char *path)
{
    struct hr_source *s = hr_source_find(st, path);
    struct hr_change c = {.path = NULL};
    struct hr_lex_error error;
    struct hr_blocks blocks = {0};
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
        if (hr_source_decode(c.text, c.size, &text, &size, &why) < 0) {
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
    (void)hr_lex_split(text, size, &blocks, &error);
    hr_text_set(st, s, text, size, &blocks);
    s->partial = error.status != HR_LEX_OK;
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

/* The absolute path of a module's source; malloc'ed, or NULL. */
static char *
get_module_path(PyObject *module)
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
        char *file = get_module_path(PyTuple_GET_ITEM(item, 1));
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

/* Does the live function differ from this definition?  Where nobody has said
 * that the module was imported from this file, its code is compared; else the
 * line is enough, which costs nothing. */
static int
is_doubtful(struct hr_source *s, const struct hr_block *b, PyObject *dict,
            PyObject *module, int thorough)
{
    PyObject *name =
        PyUnicode_DecodeUTF8(s->text + b->name, b->name_len, NULL);
    PyObject *f = name ? PyDict_GetItemWithError(dict, name) : NULL;
    int doubt = 0;
    if (f == NULL || !PyFunction_Check(f) ||
        PyUnicode_Compare(((PyFunctionObject *)f)->func_qualname, name) != 0) {
        goto done;
    }
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)f)->func_code;
    if (PyUnicode_Compare(code->co_name, name) != 0) {
        goto done;
    }
    doubt = code->co_firstlineno != (int)b->line;
    if (!doubt && thorough) {
        struct hr_unit u = {.source = s, .text = s->text, .module = module};
        u.filename = code->co_filename;
        u.future = hr_plan_future_flags(s->text, &s->blocks);
        PyObject *outer = hr_code_compile(
            &u, s->text + b->start, b->end - b->start, (int)b->line, NULL, 0);
        PyObject *inner = outer ? hr_code_find(outer, name) : NULL;
        doubt = inner == NULL || hr_code_is_same(inner, (PyObject *)code) != 1;
        Py_XDECREF(outer);
    }
done:
    Py_XDECREF(name);
    PyErr_Clear();
    return doubt;
}

/* Was the live code made from the text?  What differs counts as changed. */
static void
check_baseline(struct hr_state *st, struct hr_source *s, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    int thorough = spec == NULL || spec == Py_None;
    for (size_t i = 0; i < s->blocks.count; i++) {
        struct hr_block *b = &s->blocks.items[i];
        if (b->kind == HR_BLOCK_DEF &&
            is_doubtful(s, b, dict, module, thorough)) {
            b->hash = ~b->hash;
            b->head_hash = ~b->head_hash;
            b->raw_hash = ~b->raw_hash;
            s->doubt = 1;
        }
    }
    for (size_t i = 0; s->doubt && i < s->blocks.count; i++) {
        struct hr_block *b = &s->blocks.items[i];
        PyObject *name =
            b->kind == HR_BLOCK_ASSIGN
                ? PyUnicode_DecodeUTF8(s->text + b->name, b->name_len, NULL)
                : NULL;
        if (name != NULL && PyDict_GetItemWithError(dict, name) == NULL) {
            b->hash = ~b->hash;
            b->raw_hash = ~b->raw_hash;
        }
        Py_XDECREF(name);
        PyErr_Clear();
    }
    if (s->doubt) {
        hr_log(st, HR_SAY_WARNING,
               "HR402: %s was changed after it was imported; definitions and "
               "names that are missing in the running module, or differ, "
               "become live at its next save; restart for changed values",
               s->path);
    }
}

int
hr_source_adopt(struct hr_state *st)
{
    PyObject *modules = PyDict_Values(PyImport_GetModuleDict());
    int status = modules == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules); i++) {
        PyObject *module = PyList_GET_ITEM(modules, i);
        char *path = get_module_path(module);
        if (path != NULL && hr_source_find(st, path) == NULL &&
            hr_source_is_under_roots(st, path)) {
            struct hr_source *s = hr_source_add(st, path);
            if (s == NULL) {
                status = -1;
            }
            else {
                check_baseline(st, s, module);
            }
        }
        free(path);
    }
    Py_XDECREF(modules);
    return status;
}

/* -- The finder ----------------------------------------------------------- */

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
    struct hr_blocks blocks = {0};
    struct hr_lex_error error;
    char *text = NULL;
    size_t size = 0;
    PyObject *why = NULL;
    PyObject *modules = hr_source_look(st) < 0 ? NULL : hr_source_modules(s);
    Py_ssize_t others = modules == NULL ? 1 : PyList_GET_SIZE(modules);
    PyObject *own = PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
    if (others == 1 && own != NULL && PyList_GET_ITEM(modules, 0) == own) {
        others = 0;
    }
    Py_XDECREF(modules);
    if (others > 0) {
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
        status = hr_source_decode(c.text, c.size, &text, &size, &why);
        if (status == 0) {
            (void)hr_lex_split(text, size, &blocks, &error);
            hr_text_set(st, s, text, size, &blocks);
            s->partial = error.status != HR_LEX_OK;
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
hr_source_find_spec(struct hr_state *st, PyObject *name, PyObject *path,
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
        struct hr_source *s = hr_source_add(st, file);
        if (s == NULL) {
            hr_log_exception(st, "%s cannot be followed", file);
        }
        else if (PyUnicode_Check(name) && PyUnicode_AsUTF8(name) != NULL) {
            s->name = strdup(PyUnicode_AsUTF8(name));
        }
        /* Modules that came in another way since the last import. */
        if (hr_source_adopt(st) < 0) {
            PyErr_Clear();
        }
    }
    Py_XDECREF(origin);
    return spec;
}

int
hr_source_install(struct hr_state *st, int on)
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

int
hr_source_imported(struct hr_state *st, const char *path)
{
    if (st->engine == NULL || hr_source_find(st, path) != NULL ||
        !hr_source_is_under_roots(st, path)) {
        return 0;
    }
    return hr_source_add(st, path) == NULL ? -1 : 0;
}

int
hr_source_undo(struct hr_state *st, PyObject *texts)
{
    PyObject *path, *pair;
    Py_ssize_t pos = 0;
    while (texts != NULL && PyDict_Next(texts, &pos, &path, &pair)) {
        struct hr_blocks blocks = {0};
        struct hr_lex_error error;
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
        char *text = copy_bytes(old, (size_t)size);
        if (text == NULL) {
            return -1;
        }
        (void)hr_lex_split(text, (size_t)size, &blocks, &error);
        hr_text_set(st, s, text, (size_t)size, &blocks);
        s->partial = error.status != HR_LEX_OK;
        s->file_hash = 0; /* whatever is saved next differs */
        hr_live_show_source(path, PyTuple_GET_ITEM(pair, 0));
    }
    return 0;
}
