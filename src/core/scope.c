/* What changed in a scope, a module or a class: evaluate it, and plan it.
 *
 * Blocks that did not change are not looked at.  Those that did are passed on
 * in the order of the text: definitions to define.c, class statements to
 * classdef.c, other statements to statement.c, and what is gone to remove.c,
 * at the end.  What names then hold is merged (merge.c) with what they held.
 *
 * hr_scope_plan() is for plan.c and classdef.c; the rest answers questions
 * about a scope, for the files named here and derive.c.
 */
#include "scope.h"

/* -- Blocks --------------------------------------------------------------- */

uint32_t
hr_scope_offset_of_line(const char *text, const struct hr_block *b,
                        uint32_t line)
{
    uint32_t at = b->start;
    for (uint32_t l = b->line; l < line && at < b->end; at++) {
        if (text[at] == '\n' || (text[at] == '\r' && text[at + 1] != '\n')) {
            l++;
        }
    }
    return at;
}

static int
has_underscores(PyObject *name, Py_ssize_t at)
{
    return PyUnicode_ReadChar(name, at) == '_' &&
           PyUnicode_ReadChar(name, at + 1) == '_';
}

PyObject *
hr_scope_name(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    PyObject *plain = hr_name_of(text, b), *result = plain;
    Py_ssize_t n = plain ? PyUnicode_GET_LENGTH(plain) : 0;
    if (s->depth > 0 && n > 2 && has_underscores(plain, 0) &&
        !has_underscores(plain, n - 2)) {
        PyObject *cls = s->classes[s->depth - 1];
        Py_ssize_t skip = 0, length = PyUnicode_GET_LENGTH(cls);
        while (skip < length && PyUnicode_ReadChar(cls, skip) == '_') {
            skip++;
        }
        PyObject *bare = PyUnicode_Substring(cls, skip, length);
        result = bare == NULL     ? NULL
                 : skip == length ? Py_NewRef(plain)
                                  : PyUnicode_FromFormat("_%U%U", bare, plain);
        Py_DECREF(plain);
        Py_XDECREF(bare);
    }
    if (result != NULL) {
        PyUnicode_InternInPlace(&result);
    }
    return result;
}

int
hr_scope_is_main(struct hr_scope *s, const struct hr_block *b)
{
    const char *at = s->u->text + b->start;
    /* In another module than __main__ its condition is false by itself. */
    return s->depth == 0 && b->kind == HR_BLOCK_COMPOUND &&
           PyUnicode_CompareWithASCIIString(s->u->name, "__main__") == 0 &&
           strncmp(at, "if", 2) == 0 &&
           memmem(at, b->head_end - b->start, "__name__", 8) != NULL;
}

int
hr_scope_is_changed(struct hr_scope *s, size_t i)
{
    return hr_same_meaning(s, i) == HR_MEANS_OTHER;
}

int
hr_scope_is_named(struct hr_scope *s, const char *text,
                  const struct hr_block *b, PyObject *name)
{
    if (s->depth == 0 || b->name_len < 2 ||
        memcmp(text + b->name, "__", 2) != 0) {
        return b->name_len > 0 ? hr_name_is(text, b, name) : 0;
    }
    PyObject *mangled = hr_scope_name(s, text, b);
    int same = mangled == NULL ? -1 : PyUnicode_Compare(mangled, name) == 0;
    Py_XDECREF(mangled);
    return same;
}

/* -- Names ---------------------------------------------------------------- */

int
hr_scope_set_name(struct hr_scope *s, PyObject *name, PyObject *value)
{
    if (value != NULL) {
        return PyDict_SetItem(s->ns, name, value);
    }
    int has = PyDict_Contains(s->ns, name);
    return has > 0 ? PyDict_DelItem(s->ns, name) : has;
}

PyObject *
hr_scope_compile(struct hr_scope *s, const char *text,
                 const struct hr_block *b)
{
    return hr_code_compile(s->u, text + b->start, b->end - b->start,
                           (int)b->line, s->classes, s->depth);
}

/* `x: int` binds nothing. */
static int
is_bare(const char *text, const struct hr_block *b)
{
    return b->kind == HR_BLOCK_ASSIGN && hr_same_find_value(text, b) >= b->end;
}

/* The names that a code of the scope binds, without those that every class
 * body does.  A new list. */
static PyObject *
get_stored_names(struct hr_scope *s, PyObject *code)
{
    static const char *const own[] = {"__module__", "__qualname__",
                                      "__firstlineno__",
                                      "__static_attributes__", NULL};
    PyObject *names = hr_bytecode_stored_names(code);
    for (int k = 0; names != NULL && s->depth > 0 && own[k] != NULL; k++) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names); i++) {
            PyObject *name = PyList_GET_ITEM(names, i);
            if (PyUnicode_CompareWithASCIIString(name, own[k]) == 0) {
                if (PySequence_DelItem(names, i) < 0) {
                    Py_CLEAR(names);
                }
                break; /* a second one is the program's */
            }
        }
    }
    return names;
}

/* `from m import *`, also under a `try`? */
static int
may_have_star(const char *text, const struct hr_block *b)
{
    const char *at = text + b->start;
    size_t size = b->end - b->start;
    return (b->kind == HR_BLOCK_IMPORT || b->kind == HR_BLOCK_COMPOUND) &&
           memchr(at, '*', size) != NULL && memmem(at, size, "import", 6);
}

PyObject *
hr_scope_bound_names(struct hr_scope *s, const char *text,
                     const struct hr_block *b)
{
    PyObject *names;
    if (b->name_len > 0) {
        PyObject *name = hr_scope_name(s, text, b);
        names = name ? PyList_New(0) : NULL;
        if (names != NULL && !is_bare(text, b) &&
            PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
        return names;
    }
    if (b->kind == HR_BLOCK_STRING) {
        return PyList_New(0);
    }
    PyObject *code = hr_scope_compile(s, text, b);
    names = code ? get_stored_names(s, code) : NULL;
    Py_XDECREF(code);
    if (names != NULL && may_have_star(text, b) &&
        hr_import_add_star_names(s->u, text, b, names) < 0) {
        Py_CLEAR(names);
    }
    if (names == NULL && PyErr_ExceptionMatches(PyExc_Exception) &&
        !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* what cannot be compiled says so when it is run */
        names = PyList_New(0);
    }
    return names;
}

int
hr_scope_binds(struct hr_scope *s, const char *text, const struct hr_block *b,
               PyObject *name)
{
    if (b->name_len > 0) {
        int is = hr_scope_is_named(s, text, b, name);
        return is > 0 ? !is_bare(text, b) : is;
    }
    if (b->kind == HR_BLOCK_STRING) {
        return 0;
    }
    /* In a class it may be mangled. */
    int has =
        s->depth > 0 || may_have_star(text, b)
            ? 1
            : hr_name_may_be_in(text + b->start, b->end - b->start, name);
    if (has > 0) {
        PyObject *names = hr_scope_bound_names(s, text, b);
        has = names == NULL ? -1 : PySequence_Contains(names, name);
        Py_XDECREF(names);
    }
    return has;
}

/* Does the block bind the name, as far as its words tell? */
static int
may_bind(struct hr_scope *s, const char *text, const struct hr_block *b,
         PyObject *name)
{
    return b->name_len > 0
               ? hr_scope_is_named(s, text, b, name) == 1
               : b->kind == HR_BLOCK_COMPOUND &&
                     hr_name_may_be_in(text + b->start, b->end - b->start,
                                       name) == 1;
}

/* Does the old block go on in a new one that binds the name as well? */
static int
goes_on(struct hr_scope *s, size_t o, PyObject *name)
{
    for (size_t i = 0; s->diff.used[o] && i < s->new->count; i++) {
        if (s->diff.match[i] == (int)o) {
            int binds = hr_scope_binds(s, s->u->text, &s->new->items[i], name);
            if (binds < 0) {
                PyErr_Clear();
            }
            return binds == 1;
        }
    }
    return 0;
}

const struct hr_block *
hr_scope_old_block(struct hr_scope *s, PyObject *name)
{
    const struct hr_block *found = NULL;
    for (size_t i = s->new->count; i-- > 0;) {
        if (!may_bind(s, s->u->text, &s->new->items[i], name)) {
            continue;
        }
        int k = s->diff.match[i];
        if (k >= 0 && may_bind(s, s->old_text, &s->old->items[k], name)) {
            found = &s->old->items[k];
            break;
        }
        /* A definition that was put under an `if`, or taken out; statements
         * are paired in order, not by what they bind. */
        for (size_t o = s->old->count; o-- > 0;) {
            if (may_bind(s, s->old_text, &s->old->items[o], name) &&
                !goes_on(s, o, name)) {
                found = &s->old->items[o];
                break;
            }
        }
        break;
    }
    PyErr_Clear();
    return found;
}

int
hr_scope_last_old(struct hr_scope *s, PyObject *name)
{
    int has = 0;
    for (size_t i = s->old->count; i-- > 0;) {
        has = hr_scope_binds(s, s->old_text, &s->old->items[i], name);
        if (has != 0) {
            return has < 0 ? -2 : (int)i;
        }
    }
    return -1;
}

int
hr_scope_is_bound_by(struct hr_scope *s, PyObject *name, size_t from,
                     size_t *which)
{
    int found = 0;
    for (size_t i = from; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        int has = hr_scope_is_main(s, b)
                      ? 0
                      : hr_scope_binds(s, s->u->text, b, name);
        if (has < 0) {
            return -1;
        }
        if (has) {
            *which = i;
            found = 1;
        }
    }
    return found;
}

int
hr_scope_is_elsewhere(struct hr_scope *s, PyObject *name)
{
    size_t which = 0;
    int last = hr_scope_last_old(s, name);
    if (last < 0 || !s->old->items[last].decorated || !s->diff.used[last]) {
        return last == -2 ? -1 : 0;
    }
    int bound = hr_scope_is_bound_by(s, name, 0, &which);
    return bound <= 0 ? bound : s->diff.match[which] != last;
}

/* -- Running -------------------------------------------------------------- */

int
hr_scope_note_bound(struct hr_scope *s, PyObject *names)
{
    int status = 0;
    if (s->bound == NULL && (s->bound = PyDict_New()) == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names); i++) {
        status = PyDict_SetItem(s->bound, PyList_GET_ITEM(names, i), Py_None);
    }
    return status;
}

int
hr_scope_run_source(struct hr_scope *s, const char *text, size_t size,
                    uint32_t line)
{
    PyObject *code =
        hr_code_compile(s->u, text, size, (int)line, s->classes, s->depth);
    if (code == NULL) {
        return -1;
    }
    PyObject *names = get_stored_names(s, code);
    PyObject *module = PyUnicode_InternFromString("__module__");
    PyObject *held = NULL;
    int status =
        names == NULL || module == NULL ? -1 : hr_remove_revive(s, code, line);
    if (status == 0) {
        held = Py_XNewRef(PyDict_GetItemWithError(s->ns, module));
        status = hr_evaluate_run(s->u, code, s->ns);
        PyObject *dressed = status < 0 ? hr_second_undress(s->u->plan) : NULL;
        if (dressed != NULL) {
            status = hr_evaluate_run(s->u, code, s->ns);
            hr_second_dress(dressed);
        }
    }
    if (status == 0 && s->type != NULL &&
        PySequence_Contains(names, module) == 0) {
        /* Every class body sets it, but only the class statement counts. */
        status = hr_scope_set_name(s, module, held);
    }
    if (status == 0) {
        status = hr_scope_note_bound(s, names);
    }
    Py_XDECREF(held);
    Py_XDECREF(module);
    Py_XDECREF(names);
    Py_DECREF(code);
    if (status == 0 && s->type != NULL) {
        /* super() in what was just made finds the class by this cell. */
        PyObject *cell = PyDict_GetItemString(s->ns, "__classcell__");
        if (cell != NULL && PyCell_Check(cell)) {
            status = PyCell_Set(cell, s->type);
            if (status == 0) {
                status = PyDict_DelItemString(s->ns, "__classcell__");
            }
        }
    }
    return status;
}

int
hr_scope_run_text(struct hr_scope *s, uint32_t start, uint32_t end,
                  uint32_t line)
{
    return hr_scope_run_source(s, s->u->text + start, end - start, line);
}

int
hr_scope_run(struct hr_scope *s, const struct hr_block *b)
{
    int status = hr_scope_run_text(s, b->start, b->end, b->line);
    return status < 0 ? -1 : hr_hint_note_run(s->u, b);
}

/* -- The scope ------------------------------------------------------------ */

/* A SyntaxError of the text as a whole, which no block alone shows. */
static int
check_whole_text(struct hr_unit *u)
{
    PyCompilerFlags flags = {.cf_flags =
                                 PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *code = Py_CompileStringObject(u->text, u->filename,
                                            Py_file_input, &flags, -1);
    Py_XDECREF(code);
    return code == NULL ? -1 : 0;
}

static int
plan_block(struct hr_scope *s, size_t i)
{
    const struct hr_block *new = &s->new->items[i];
    int k = s->diff.match[i];
    const struct hr_block *old = k >= 0 ? &s->old->items[k] : NULL;

    if (hr_scope_is_main(s, new)) {
        return 0; /* never runs */
    }
    enum hr_meaning meaning = hr_same_meaning(s, i);
    if (meaning != HR_MEANS_OTHER) {
        int again = hr_rerun_block(s, i);
        if (again != 0) {
            return again < 0 ? -1
                   : new->kind == HR_BLOCK_DEF &&hr_rerun_registers(s, i)
                       ? hr_define_plan(s, i, old, new)
                       : hr_statement_plan(s, NULL, new);
        }
        if (old != NULL && old->hash != new->hash) {
            return hr_statement_plan_same(s, old, new, meaning);
        }
    }
    if (old != NULL && old->raw_hash == new->raw_hash) {
        return new->kind == HR_BLOCK_CLASS && s->u->evaluates && s->depth == 0
                   ? hr_classdef_follow(s, old, new)
                   : 0;
    }
    if (old != NULL && old->hash == new->hash &&new->kind !=
                           HR_BLOCK_DEF &&new->kind != HR_BLOCK_CLASS) {
        return 0; /* a comment inside a statement */
    }
    switch (new->kind) {
    case HR_BLOCK_DEF:
        return hr_define_plan(s, i, old, new);
    case HR_BLOCK_CLASS:
        return hr_classdef_plan(
            s, old != NULL && old->kind == HR_BLOCK_CLASS ? old : NULL, new);
    case HR_BLOCK_FUTURE:
        if (check_whole_text(s->u) < 0) {
            return -1;
        }
        if (!hr_future_changes_all(s->u)) {
            break;
        }
        return hr_refuse_batch(s->u->plan, s->u, "HR403", (int)new->line,
                               "a `from __future__` import changes what all "
                               "the rest of the file means; restart");
    case HR_BLOCK_STRING:
        return 0; /* plan_docstring() */
    default:
        break;
    }
    return hr_statement_plan(s, old, new);
}

/* The docstring is the string that stands first, wherever it stood before. */
static int
plan_docstring(struct hr_scope *s)
{
    const struct hr_block *old = s->old->items, *new = s->new->items;
    int had = s->old->count > 0 && old->kind == HR_BLOCK_STRING;
    int has = s->new->count > 0 && new->kind == HR_BLOCK_STRING;
    if (has && !(had && old->hash == new->hash)) {
        return hr_statement_plan(s, NULL, new);
    }
    if (!had || has) {
        return 0;
    }
    PyObject *name = PyUnicode_InternFromString("__doc__");
    size_t which;
    int status = name == NULL ? -1 : hr_scope_is_bound_by(s, name, 0, &which);
    if (status == 0) {
        status = PyDict_SetItem(s->ns, name, Py_None);
    }
    Py_XDECREF(name);
    return status < 0 ? -1 : 0;
}

void
hr_scope_clear(struct hr_scope *s)
{
    hr_diff_clear(&s->diff);
    Py_CLEAR(s->bound);
    Py_CLEAR(s->built);
}

int
hr_scope_plan(struct hr_scope *s)
{
    for (size_t i = 0; i < s->old->count; i++) {
        if (s->old->items[i].kind == HR_BLOCK_FUTURE && !s->diff.used[i] &&
            hr_future_changes_all(s->u)) {
            return hr_refuse_batch(s->u->plan, s->u, "HR403", 1,
                                   "a `from __future__` import was removed, "
                                   "which changes what all the rest of the "
                                   "file means; restart");
        }
    }
    if (plan_docstring(s) < 0 || hr_rerun_begin(s) < 0) {
        return -1;
    }
    for (size_t i = 0; i < s->new->count; i++) {
        if (plan_block(s, i) < 0) {
            if (s->u->error_line == 0) {
                s->u->error_line = (int)s->new->items[i].line;
            }
            return -1;
        }
    }
    return hr_remove_blocks(s);
}
