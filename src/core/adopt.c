/* Modules that were imported without our finder: before start(), or loaded
 * from a path.
 *
 * Their files are followed from now on, with the text as it is now.  It need
 * not be the one that they were imported from.  Where the live functions and
 * methods do not begin on the lines of that text, this is said, and what
 * differs counts as changed at the next save.  A script, of which nobody has
 * said that it was made from this file, is compared code by code.
 *
 * For module.c, schedule.c and the finder.
 */
#include "code.h"

#include <stdlib.h>

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
    return PyUnicode_DecodeUTF8(s->text + b->name, b->name_len, NULL);
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
    if (code->co_firstlineno != (int)b->line) {
        return 1;
    }
    PyObject *should = p->code ? hr_code_find(p->code, name) : NULL;
    return should != NULL && hr_code_is_same(should, (PyObject *)code) != 1;
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

static void
mark(struct hr_block *b)
{
    b->hash = ~b->hash;
    b->head_hash = ~b->head_hash;
    b->raw_hash = ~b->raw_hash;
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
            mark(&blocks->items[i]);
        }
        any |= doubt;
    }
    return any;
}

/* The code of the whole text; NULL where it does not compile.  Not of its
 * blocks alone: a call of what the module has imported is compiled another
 * way than a call of anything else. */
static PyObject *
compile_text(struct hr_source *s)
{
    PyCompilerFlags flags = {.cf_flags =
                                 PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *path = PyUnicode_DecodeFSDefault(s->path);
    PyObject *code =
        path ? Py_CompileStringObject(s->text, path, Py_file_input, &flags, -1)
             : NULL;
    Py_XDECREF(path);
    PyErr_Clear();
    return code;
}

/* Was the live code made from the text?  What differs counts as changed. */
static void
check_baseline(struct hr_state *st, struct hr_source *s, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    PyObject *code = spec == NULL || spec == Py_None ? compile_text(s) : NULL;
    struct pair p = {.s = s,
                     .blocks = &s->blocks,
                     .live = dict,
                     .globals = dict,
                     .code = code};
    s->doubt |= find_doubts(&p, &s->blocks);
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

/* Modules are appended to sys.modules: behind the last one that was seen are
 * the new ones.  Where that one is not in its place any more, all are.  A new
 * list; *end is for the next call. */
static PyObject *
list_modules(struct hr_state *st, int new_only)
{
    PyObject *modules = PyImport_GetModuleDict(), *list = PyList_New(0);
    PyObject *name, *module = NULL;
    Py_ssize_t pos = st->adopted, at = pos;
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
    return status;
}
