/* Blocks that are gone from the text, and names that nothing binds any more.
 *
 * A name goes with its last binding; where an earlier one is left, that comes
 * to light again and is run.  A `del` that is gone gives back what it deleted;
 * one that stays takes away helpers, which are bound again for who needs them.
 *
 * For scope.c, in the scope's namespace: nothing is live yet.
 */
#include "scope.h"

/* All unchanged definitions of a name, in order. */
static int
run_again(struct hr_scope *s, PyObject *name)
{
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->kind != HR_BLOCK_DEF || hr_scope_is_changed(s, i)) {
            continue;
        }
        PyObject *other = hr_scope_name(s, s->u->text, b);
        int same = other != NULL && PyUnicode_Compare(other, name) == 0;
        Py_XDECREF(other);
        if (other == NULL || (same && hr_scope_run(s, b) < 0)) {
            return -1;
        }
    }
    return 0;
}

int
hr_remove_is_cut(struct hr_scope *s, PyObject *name)
{
    int cut = 0;
    for (size_t i = 0; cut == 0 && i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        if (s->diff.used[i] || b->kind != HR_BLOCK_DEF || !b->decorated ||
            hr_scope_is_named(s, s->old_text, b, name) != 1) {
            continue;
        }
        PyObject *code = hr_scope_compile(s, s->old_text, b);
        int uses = code == NULL ? -1 : hr_bytecode_uses(code, name);
        cut = uses < 0 ? -1 : (uses & HR_USES_VALUE) != 0;
        Py_XDECREF(code);
    }
    return cut;
}

static int
remove_name(struct hr_scope *s, PyObject *name, const struct hr_block *old)
{
    size_t which = 0;
    int bound = hr_scope_is_bound_by(s, name, 0, &which);
    if (bound < 0) {
        return -1;
    }
    if (bound) {
        /* An earlier, unchanged binding comes to light again. */
        const struct hr_block *b = &s->new->items[which];
        int k = s->diff.match[which];
        if (old->kind == HR_BLOCK_DEF && old->decorated && s->depth > 0) {
            return run_again(s, name); /* a property without its setter */
        }
        /* A changed definition may have been exchanged, and not have run. */
        int ran = hr_scope_is_changed(s, which) &&
                  (b->kind != HR_BLOCK_DEF ||
                   PyDict_GetItemWithError(s->ns, name) !=
                       PyDict_GetItemWithError(s->before, name));
        if (old->name_len > 0 && !ran &&
            (b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_CLASS ||
             b->kind == HR_BLOCK_ASSIGN) &&
            k >= 0 && s->old->items[k].line < old->line) {
            if (b->kind == HR_BLOCK_DEF && !b->decorated) {
                return hr_scope_set_name(s, name, NULL) < 0
                           ? -1
                           : hr_scope_run(s, b);
            }
            return hr_scope_run(s, b);
        }
        return 0;
    }
    int has = PyDict_Contains(s->live, name);
    if (has <= 0) {
        return has;
    }
    if (s->depth == 0 && hr_import_is_submodule(s->u, name)) {
        return 0; /* the import system has set it, and others count on it */
    }
    if (hr_scope_set_name(s, name, NULL) < 0) {
        return -1;
    }
    return s->depth > 0 ? 0 : PyList_Append(s->u->removed, name);
}

/* What a block of the old text has bound. */
static int
remove_names(struct hr_scope *s, const struct hr_block *old)
{
    PyObject *names = hr_scope_bound_names(s, s->old_text, old);
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(names); k++) {
        status = remove_name(s, PyList_GET_ITEM(names, k), old);
    }
    Py_XDECREF(names);
    return status;
}

int
hr_remove_annotation(struct hr_scope *s, const struct hr_block *old)
{
    PyObject *notes = PyDict_GetItemString(s->ns, "__annotations__");
    if (old->kind != HR_BLOCK_ASSIGN || notes == NULL ||
        !PyDict_Check(notes)) {
        return 0;
    }
    PyObject *name = hr_scope_name(s, s->old_text, old);
    int has = name == NULL ? -1 : PyDict_Contains(notes, name);
    int status = has > 0 ? PyDict_DelItem(notes, name) : has;
    Py_XDECREF(name);
    return status;
}

/* A `del` that is gone: what it deleted is there again. */
static int
bind_undeleted(struct hr_scope *s, const struct hr_block *b)
{
    const char *at = s->old_text + b->start, *end = s->old_text + b->end;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    if (end - at < 4 || strncmp(at, "del", 3) != 0) {
        return 0;
    }
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *n = &s->new->items[i];
        if (n->name_len == 0 || hr_scope_is_changed(s, i) ||
            memmem(at, (size_t)(end - at), s->u->text + n->name,
                   n->name_len) == NULL) {
            continue;
        }
        PyObject *name = hr_scope_name(s, s->u->text, n);
        int has = name == NULL ? -1 : PyDict_Contains(s->ns, name);
        Py_XDECREF(name);
        if (has < 0 || (has == 0 && hr_scope_run(s, n) < 0)) {
            return -1;
        }
    }
    return 0;
}

int
hr_remove_blocks(struct hr_scope *s)
{
    for (size_t i = 0; i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        if (s->diff.used[i]) {
            continue;
        }
        if (hr_remove_annotation(s, b) < 0) {
            return -1;
        }
        if (b->kind == HR_BLOCK_OTHER && bind_undeleted(s, b) < 0) {
            return -1;
        }
        if ((b->kind == HR_BLOCK_DEF && hr_dispatch_drop(s, b) < 0) ||
            hr_hint_registered(s, s->old_text, b, b->line, "is gone") < 0 ||
            remove_names(s, b) < 0 ||
            hr_plan_add_edit(s->u, "removed", s->prefix, s->old_text, b) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_remove_unbound(struct hr_scope *s, const struct hr_block *old)
{
    return old->kind == HR_BLOCK_DEF || old->kind == HR_BLOCK_CLASS
               ? 0
               : remove_names(s, old);
}

/* -- Names that are deleted ----------------------------------------------- */

/* Is there a `del` of the name? */
static int
is_deleted(struct hr_scope *s, PyObject *name)
{
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        const char *at = s->u->text + b->start, *end = s->u->text + b->end;
        while (at < end && (*at == ' ' || *at == '\t')) {
            at++;
        }
        if (b->kind == HR_BLOCK_OTHER && end - at > 4 &&
            strncmp(at, "del", 3) == 0 &&
            hr_word_may_be_in(at, (size_t)(end - at), name)) {
            return 1;
        }
    }
    return 0;
}

static int
revive_name(struct hr_scope *s, PyObject *name, uint32_t line)
{
    int bound = 0;
    if (!is_deleted(s, name)) {
        return 0;
    }
    /* The last one before the line that is about to run. */
    for (size_t i = s->new->count; bound == 0 && i-- > 0;) {
        const struct hr_block *b = &s->new->items[i];
        if (b->line < line && !hr_scope_is_main(s, b)) {
            bound = hr_scope_binds(s, s->u->text, b, name);
            if (bound == 1 && hr_scope_run(s, b) < 0) {
                return -1;
            }
        }
    }
    return bound < 0 ? -1 : 0;
}

int
hr_remove_revive(struct hr_scope *s, PyObject *code, uint32_t line)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *globals = s->u->evaluates ? s->u->shadow : s->u->dict;
    PyObject *builtins = PyEval_GetBuiltins();
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyDict_GetItemWithError(s->ns, name) != NULL ||
            PyDict_GetItemWithError(globals, name) != NULL ||
            PyDict_GetItemWithError(builtins, name) != NULL) {
            continue;
        }
        int uses = hr_bytecode_uses(code, name);
        if (uses < 0 || (uses & (HR_USES_VALUE | HR_USES_DELETES) &&
                         revive_name(s, name, line) < 0)) {
            return -1;
        }
    }
    return 0;
}
