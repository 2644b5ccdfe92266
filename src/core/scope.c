/* What changed in a scope, a module or a class: evaluate it, and plan it.
 *
 * Blocks that did not change are not looked at.  Those that did are passed on
 * in the order of the text: definitions to define.c, class statements to
 * classdef.c, and what is gone to remove.c, at the end.  Everything else that
 * changed is run as it stands, in the scope's namespace; what names then hold
 * is merged (merge.c) with what they held.
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
           strncmp(at, "if", 2) == 0 && strstr(at, "__name__") != NULL &&
           strstr(at, "__name__") < s->u->text + b->head_end;
}

int
hr_scope_is_changed(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    int k = s->diff.match[i];
    return k < 0 || s->old->items[k].hash != b->hash;
}

const struct hr_block *
hr_scope_old_block(struct hr_scope *s, PyObject *name)
{
    const char *text = s->u->text;
    for (size_t i = s->new->count; i-- > 0;) {
        const struct hr_block *b = &s->new->items[i];
        if (b->name_len > 0
                ? hr_name_is(text, b, name) == 1
                : b->kind == HR_BLOCK_COMPOUND &&
                      hr_name_may_be_in(text + b->start, b->end - b->start,
                                        name) == 1) {
            int k = s->diff.match[i];
            return k >= 0 ? &s->old->items[k] : NULL;
        }
    }
    PyErr_Clear();
    return NULL;
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
hr_scope_bound_names(struct hr_unit *u, const char *text,
                     const struct hr_block *b)
{
    PyObject *names = PyList_New(0);
    if (names == NULL) {
        return NULL;
    }
    if (b->name_len > 0) {
        PyObject *name = hr_name_of(text, b);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
        return names;
    }
    PyObject *code = hr_code_compile(u, text + b->start, b->end - b->start,
                                     (int)b->line, NULL, 0);
    PyObject *stored = code ? hr_code_stored_names(code) : NULL;
    if (stored == NULL) {
        PyErr_Clear(); /* it stands in a class, with its own indentation */
    }
    else {
        Py_SETREF(names, Py_NewRef(stored));
        if (b->kind == HR_BLOCK_IMPORT &&
            hr_import_add_star_names(u, text, b, names) < 0) {
            Py_CLEAR(names);
        }
    }
    Py_XDECREF(stored);
    Py_XDECREF(code);
    return names;
}

int
hr_scope_is_bound_by(struct hr_scope *s, PyObject *name, size_t from,
                     size_t *which)
{
    int found = 0;
    for (size_t i = from; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->name_len > 0) {
            int is = hr_name_is(s->u->text, b, name);
            if (is < 0) {
                return -1;
            }
            if (is) {
                *which = i;
                found = 1;
            }
            continue;
        }
        int star = b->kind == HR_BLOCK_IMPORT &&
                   memchr(s->u->text + b->start, '*', b->end - b->start);
        if (b->kind == HR_BLOCK_STRING || hr_scope_is_main(s, b)) {
            continue;
        }
        int has = star ? 1
                       : hr_name_may_be_in(s->u->text + b->start,
                                           b->end - b->start, name);
        if (has > 0) {
            PyObject *names = hr_scope_bound_names(s->u, s->u->text, b);
            has = names == NULL ? -1 : PySequence_Contains(names, name);
            Py_XDECREF(names);
        }
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

/* -- Running -------------------------------------------------------------- */

int
hr_scope_run_source(struct hr_scope *s, const char *text, size_t size,
                    uint32_t line)
{
    PyObject *code =
        hr_code_compile(s->u, text, size, (int)line, s->classes, s->depth);
    if (code == NULL) {
        return -1;
    }
    int status = hr_evaluate_run(s->u, code, s->ns);
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
    return hr_scope_run_text(s, b->start, b->end, b->line);
}

/* Only functions defined in the statement changed?  Then it is not run. */
static int
change_nested(struct hr_scope *s, const struct hr_block *old,
              const struct hr_block *new)
{
    const char *a = s->old_text + old->start, *b = s->u->text + new->start;
    size_t n = old->end - old->start, m = new->end - new->start;
    if ((memmem(a, n, "lambda", 6) == NULL &&
         memmem(a, n, "def ", 4) == NULL) ||
        (memmem(b, m, "lambda", 6) == NULL &&
         memmem(b, m, "def ", 4) == NULL)) {
        return 0;
    }
    PyObject *was =
        hr_code_compile(s->u, a, n, (int)old->line, s->classes, s->depth);
    if (was == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyObject *is =
        hr_code_compile(s->u, b, m, (int)new->line, s->classes, s->depth);
    int status = is == NULL ? -1 : hr_closure_statement(s->u, was, is);
    Py_DECREF(was);
    Py_XDECREF(is);
    return status;
}

static int
plan_statement(struct hr_scope *s, const struct hr_block *old,
               const struct hr_block *new)
{
    if (old != NULL && hr_remove_annotation(s, old) < 0) {
        return -1;
    }
    int status = new->kind == HR_BLOCK_IMPORT && s->depth == 0
                     ? hr_import_run(s->u, new)
                 : old != NULL && old->kind == new->kind
                     ? change_nested(s, old, new)
                     : 0;
    if (status == 0) {
        status = hr_scope_run(s, new);
    }
    else if (status == 1 && new->kind != HR_BLOCK_IMPORT) {
        return hr_plan_add_edit(s->u, "changed", s->prefix, s->u->text, new);
    }
    if (status >= 0 && old != NULL) {
        status = hr_remove_unbound(s, old);
    }
    return status < 0
               ? -1
               : hr_plan_add_edit(s->u, "ran", s->prefix, s->u->text, new);
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

    if (old != NULL && old->hash == new->hash && s->u->evaluates &&
        (new->kind == HR_BLOCK_ASSIGN || new->kind == HR_BLOCK_OTHER)) {
        int chained = hr_rerun_is_chained(s, i);
        if (chained != 0) {
            return chained < 0 ? -1 : plan_statement(s, NULL, new);
        }
    }
    if (old != NULL && old->hash == new->hash &&
        s->u->evaluates &&new->kind == HR_BLOCK_COMPOUND &&
        !hr_scope_is_main(s, new)) {
        int depends = hr_rerun_is_conditional(s, i);
        if (depends != 0) {
            return depends < 0 ? -1 : plan_statement(s, NULL, new);
        }
    }
    if (old != NULL && old->raw_hash == new->raw_hash) {
        return 0;
    }
    if (old != NULL && old->hash == new->hash &&new->kind !=
                           HR_BLOCK_DEF &&new->kind != HR_BLOCK_CLASS) {
        return 0; /* a comment inside a statement */
    }
    if (hr_scope_is_main(s, new)) {
        return 0; /* never runs */
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
        return hr_refuse_batch(s->u->plan, s->u, "HR403", (int)new->line,
                               "a `from __future__` import changes what all "
                               "the rest of the file means; restart");
    case HR_BLOCK_STRING:
        if (i != 0) {
            return 0;
        }
        break;
    default:
        break;
    }
    return plan_statement(s, old, new);
}

int
hr_scope_plan(struct hr_scope *s)
{
    for (size_t i = 0; i < s->old->count; i++) {
        if (s->old->items[i].kind == HR_BLOCK_FUTURE && !s->diff.used[i]) {
            return hr_refuse_batch(s->u->plan, s->u, "HR403", 1,
                                   "a `from __future__` import was removed, "
                                   "which changes what all the rest of the "
                                   "file means; restart");
        }
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
