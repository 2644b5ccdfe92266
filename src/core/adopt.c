/* Modules that were imported without our finder: before start(), or loaded
 * from a path.
 *
 * Their files are followed from now on, with the text as it is now.  It need
 * not be the one that they were imported from.  Where the live functions and
 * methods do not begin on the lines of that text, this is said, and what
 * differs counts as changed at the next save.  Code is compared where
 * something speaks against the text: a script, of which nobody has said that
 * it was made from this file; a file that is younger than the process; a
 * compiled file of another source; a text that changed since the engine was
 * stopped.
 *
 * For module.c, schedule.c and the finder.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A scope of the text beside the live one: a module, or a class of it. */
struct pair {
    struct hr_source *s;
    const struct hr_blocks *blocks;
    PyObject *live;    /* borrowed: its dict */
    PyObject *globals; /* borrowed: the module's dict */
    PyObject *prefix;  /* borrowed: qualified name of the class, or NULL */
    PyObject *code;    /* borrowed: what the text means, or NULL: not known */
};

static PyObject *
decode_name(struct hr_source *s, const struct hr_block *b)
{
    return hr_name_of(s->text, b);
}

/* Does a later block have the same name? */
static int
is_defined_again(struct pair *p, size_t i)
{
    const char *text = p->s->text;
    const struct hr_block *b = &p->blocks->items[i];
    for (size_t k = i + 1; k < p->blocks->count; k++) {
        const struct hr_block *o = &p->blocks->items[k];
        if (o->name_len == b->name_len &&
            memcmp(text + o->name, text + b->name, b->name_len) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Does the live function differ from this definition?  Only where it is sure
 * that it was made by it. */
static int
is_doubtful_function(struct pair *p, const struct hr_block *b, PyObject *name)
{
    PyObject *live = PyDict_GetItemWithError(p->live, name);
    if (live == NULL || !PyFunction_Check(live)) {
        return 0;
    }
    PyFunctionObject *f = (PyFunctionObject *)live;
    PyCodeObject *code = (PyCodeObject *)f->func_code;
    PyObject *qualname = p->prefix != NULL
                             ? PyUnicode_FromFormat("%U.%U", p->prefix, name)
                             : Py_NewRef(name);
    int own = qualname != NULL && f->func_globals == p->globals &&
              PyUnicode_Compare(f->func_qualname, qualname) == 0 &&
              PyUnicode_Compare(code->co_name, name) == 0;
    Py_XDECREF(qualname);
    if (!own) {
        return 0;
    }
    PyObject *should = p->code ? hr_code_find(p->code, name) : NULL;
    int line =
        should ? ((PyCodeObject *)should)->co_firstlineno : (int)b->line;
    return code->co_firstlineno != line ||
           (should != NULL && hr_code_is_same(should, (PyObject *)code) != 1);
}

static int find_doubts(struct pair *p, struct hr_blocks *blocks);

/* The same for the methods of a class. */
static int
is_doubtful_class(struct pair *p, const struct hr_block *b, PyObject *name)
{
    PyObject *type = PyDict_GetItemWithError(p->live, name);
    struct hr_blocks members = {0};
    struct hr_lex_error error;
    int doubt = 0;
    if (type == NULL || !hr_class_is_open(type) ||
        hr_lex_members(p->s->text, p->s->size, b, &members, &error) !=
            HR_LEX_OK) {
        hr_blocks_clear(&members);
        return 0;
    }
    struct pair inner = {.s = p->s, .blocks = &members, .globals = p->globals};
    inner.live = hr_compat_type_dict((PyTypeObject *)type);
    inner.prefix = ((PyHeapTypeObject *)type)->ht_qualname;
    inner.code = p->code ? hr_code_find(p->code, name) : NULL;
    doubt = find_doubts(&inner, NULL);
    hr_blocks_clear(&members);
    return doubt;
}

/* Is there a definition that differs?  Marks the blocks, where given. */
static int
find_doubts(struct pair *p, struct hr_blocks *blocks)
{
    int any = 0;
    for (size_t i = 0; i < p->blocks->count; i++) {
        const struct hr_block *b = &p->blocks->items[i];
        if ((b->kind != HR_BLOCK_DEF && b->kind != HR_BLOCK_CLASS) ||
            is_defined_again(p, i)) {
            continue;
        }
        PyObject *name = decode_name(p->s, b);
        int doubt = name == NULL ? 0
                    : b->kind == HR_BLOCK_DEF
                        ? is_doubtful_function(p, b, name)
                        : is_doubtful_class(p, b, name);
        Py_XDECREF(name);
        PyErr_Clear();
        if (doubt && blocks != NULL) {
            hr_text_doubt(&blocks->items[i]);
        }
        any |= doubt;
    }
    return any;
}

/* The code of the whole text, as that loader makes it or as Python does; NULL
 * where it does not compile.  Not of its blocks alone: a call of what the
 * module has imported is compiled another way than a call of anything else. */
static PyObject *
compile_text(struct hr_source *s, PyObject *compiler)
{
    struct hr_unit u = {.compiler = compiler};
    char encoding[64];
    (void)hr_lex_encoding(s->text, s->size, encoding);
    if (compiler != NULL && strcmp(encoding, "utf-8") != 0) {
        return NULL; /* it would decode again what is decoded */
    }
    u.filename = PyUnicode_DecodeFSDefault(s->path);
    PyObject *code = u.filename ? hr_code_compile_text(&u, s->text) : NULL;
    Py_XDECREF(u.filename);
    PyErr_Clear();
    return code;
}

/* Has the file another text than when an engine was stopped? */
static int
was_left_otherwise(struct hr_state *st, struct hr_source *s)
{
    PyObject *path = PyUnicode_DecodeFSDefault(s->path);
    PyObject *hash = path != NULL && st->left != NULL
                         ? PyDict_GetItemWithError(st->left, path)
                         : NULL;
    int otherwise =
        hash != NULL && PyLong_AsUnsignedLongLong(hash) != s->file_hash;
    Py_XDECREF(path);
    PyErr_Clear();
    return otherwise;
}

/* When this process began, in seconds since the epoch; 1 when that cannot be
 * told.  The 22nd field of /proc/self/stat counts ticks since the boot. */
static int64_t
get_process_began(struct hr_state *st)
{
    char text[1024];
    unsigned long long ticks = 0;
    if (st->process_began != 0) {
        return st->process_began;
    }
    FILE *file = fopen("/proc/self/stat", "re");
    size_t n = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    text[n] = '\0';
    const char *at = strrchr(text, ')'); /* a name may hold anything */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    st->process_began = 1;
    if (at != NULL && sscanf(at, "%llu", &ticks) == 1) {
        int64_t uptime = hr_clock_ns(CLOCK_BOOTTIME) / 1000000000;
        int64_t now = hr_clock_ns(CLOCK_REALTIME) / 1000000000;
        int64_t began = (int64_t)ticks / sysconf(_SC_CLK_TCK);
        st->process_began = now - uptime + began - 1; /* rounded */
    }
    return st->process_began;
}

static int
is_younger_than_process(struct hr_state *st, struct hr_source *s)
{
    struct stat file;
    int64_t began = get_process_began(st);
    return began > 1 && stat(s->path, &file) == 0 && file.st_mtime >= began;
}

/* Is the compiled file that the import made, or found, of another source?  It
 * begins with the source's time and size: 4 bytes each, behind the magic
 * number and flags that are 0 (PEP 552).  0, too, when there is none. */
static int
is_cache_older(struct hr_source *s, PyObject *spec)
{
    unsigned char head[16];
    struct stat source;
    PyObject *cached = PyObject_GetAttrString(spec, "cached");
    const char *path = cached != NULL && PyUnicode_Check(cached)
                           ? PyUnicode_AsUTF8(cached)
                           : NULL;
    FILE *file = path != NULL ? fopen(path, "rbe") : NULL;
    int older = 0;
    if (file != NULL && fread(head, 1, sizeof head, file) == sizeof head &&
        memcmp(head + 4, "\0\0\0\0", 4) == 0 && stat(s->path, &source) == 0) {
        uint32_t numbers[2] = {(uint32_t)source.st_mtime,
                               (uint32_t)source.st_size};
        for (int i = 0; i < 8; i++) {
            older |= head[8 + i] != (numbers[i / 4] >> i % 4 * 8 & 0xff);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    Py_XDECREF(cached);
    PyErr_Clear();
    return older;
}

/* Was the live code made from the text?  What differs counts as changed.  To
 * compile a text takes long: only where something speaks against it. */
static void
check_baseline(struct hr_state *st, struct hr_source *s, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    int left = was_left_otherwise(st, s);
    PyObject *compiler = hr_loader_compiler(dict);
    int compare = left || compiler != NULL || spec == NULL ||
                  spec == Py_None || is_younger_than_process(st, s) ||
                  is_cache_older(s, spec);

    PyObject *code = compare ? compile_text(s, compiler) : NULL;
    struct pair p = {.s = s,
                     .blocks = &s->blocks,
                     .live = dict,
                     .globals = dict,
                     .code = code};
    /* Of a silent loader it is not known what it should make of the text; of
     * one that cannot make it again, neither. */
    if ((compiler == NULL || code != NULL) && !hr_loader_is_silent(dict)) {
        s->doubt |= find_doubts(&p, &s->blocks);
    }
    s->doubt |= left;
    Py_XDECREF(compiler);
    Py_XDECREF(code);
    for (size_t i = 0; s->doubt && i < s->blocks.count; i++) {
        struct hr_block *b = &s->blocks.items[i];
        PyObject *name = b->kind == HR_BLOCK_ASSIGN ? decode_name(s, b) : NULL;
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
hr_adopt_is_made_from(struct hr_source *s, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *code = compile_text(s, NULL);
    struct pair p = {.s = s,
                     .blocks = &s->blocks,
                     .live = dict,
                     .globals = dict,
                     .code = code};
    int made = code != NULL && !find_doubts(&p, NULL);
    Py_XDECREF(code);
    return made;
}

/* Modules are appended to sys.modules: behind the last one that was seen are
 * the new ones.  Where that one is not in its place any more, all are.  A new
 * list; *end is for the next call. */
static PyObject *
list_modules(struct hr_state *st, int new_only)
{
    PyObject *modules = PyImport_GetModuleDict(), *list = PyList_New(0);
    PyObject *name, *module = NULL;
    Py_ssize_t pos = st->adopted, at;
    if (!new_only || !PyDict_Next(modules, &pos, &name, &module) ||
        module != st->adopted_last) {
        pos = 0;
    }
    while (list != NULL &&
           (at = pos, PyDict_Next(modules, &pos, &name, &module))) {
        st->adopted = at;
        st->adopted_last = module; /* only ever compared */
        if (PyList_Append(list, module) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

int
hr_adopt_modules(struct hr_state *st, int new_only)
{
    struct hr_engine *e = st->engine; /* or it may be stopped meanwhile */
    if (e == NULL) {
        return 0;
    }
    hr_schedule_enter(e);
    PyObject *modules = list_modules(st, new_only);
    PyObject *key = PyUnicode_InternFromString("__file__");
    int status = modules == NULL || key == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules); i++) {
        PyObject *module = PyList_GET_ITEM(modules, i);
        char *path = hr_source_module_path(module, key);
        if (path != NULL && hr_source_find(st, path) == NULL &&
            hr_source_is_under_roots(st, path)) {
            struct hr_source *s;
            status = hr_source_add(st, path, &s);
            if (status == 0 && s != NULL) {
                check_baseline(st, s, module);
            }
        }
        free(path);
    }
    Py_XDECREF(key);
    Py_XDECREF(modules);
    hr_schedule_leave(e);
    return status;
}
