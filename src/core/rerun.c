/* Statements that did not change and run again, as another one did: they add
 * to the same name, or are an `if` on a changed assignment.
 *
 * Only what can be computed again does so (pure.c); else the statement stays
 * as it has run.  Called by scope.c for each unchanged block.
 */
#include "scope.h"

/* -- Chains --------------------------------------------------------------- */

/* The name that a statement adds to: `X += 1`. */
static size_t
get_augmented(const char *text, const struct hr_block *b, const char **name)
{
    const char *at = text + b->start, *end = text + b->end;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    *name = at;
    while (at < end && (Py_ISALNUM(*at) || *at == '_' || (*at & 0x80))) {
        at++;
    }
    size_t n = (size_t)(at - *name);
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    const char *operator= at;
    while (at < end && strchr("+-*/%&|^<>@", *at) != NULL) {
        at++;
    }
    return at > operator&& at<end && * at == '=' && at[1] != '=' ? n : 0;
}

/* The name that a block is about, when it assigns or adds. */
static size_t
get_chain_name(const char *text, const struct hr_block *b, const char **name)
{
    if (b->kind == HR_BLOCK_ASSIGN) {
        *name = text + b->name;
        return b->name_len;
    }
    return b->kind == HR_BLOCK_OTHER ? get_augmented(text, b, name) : 0;
}

/* Can the block be computed again, as the names are now?  -1 with an
 * exception. */
static int
can_rerun(struct hr_scope *s, const struct hr_block *b, int flags)
{
    struct hr_world now = {.globals = s->u->shadow};
    PyObject *tree =
        hr_syntax_parse(s->u, s->u->text + b->start, b->end - b->start, "");
    if (s->type != NULL) {
        now.locals = s->ns;
        now.cls = s->classes[s->depth - 1];
    }
    now.lazy = s->u->future & CO_FUTURE_ANNOTATIONS;
    int pure =
        tree == NULL ? -1 : hr_pure_are_statements(&now, tree, flags, NULL);
    Py_XDECREF(tree);
    return pure;
}

int
hr_rerun_is_chained(struct hr_scope *s, size_t i)
{
    const char *name, *other;
    size_t n = get_chain_name(s->u->text, &s->new->items[i], &name);
    int changed = 0, adds = 0;
    if (n == 0) {
        return 0;
    }
    for (size_t k = 0; k < s->new->count; k++) {
        const struct hr_block *b = &s->new->items[k];
        if (get_chain_name(s->u->text, b, &other) != n ||
            memcmp(name, other, n) != 0) {
            continue;
        }
        changed |= hr_scope_is_changed(s, k);
        adds |= b->kind == HR_BLOCK_OTHER;
    }
    for (size_t k = 0; k < s->old->count; k++) {
        const struct hr_block *b = &s->old->items[k];
        if (!s->diff.used[k] && b->kind == HR_BLOCK_OTHER &&
            get_chain_name(s->old_text, b, &other) == n &&
            memcmp(name, other, n) == 0) {
            changed = adds = 1;
        }
    }
    if (!changed || !adds) {
        return 0;
    }
    /* Only what can be computed again. */
    const struct hr_block *b = &s->new->items[i];
    return can_rerun(s, b, HR_PURE_ADDS);
}

/* -- Conditions ----------------------------------------------------------- */

int
hr_rerun_is_conditional(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    const char *text = s->u->text;
    int reads = 0;
    if (strncmp(text + b->start, "if", 2) != 0) {
        return 0;
    }
    for (size_t k = 0; k < i && !reads; k++) {
        const struct hr_block *a = &s->new->items[k];
        if (a->kind == HR_BLOCK_ASSIGN && hr_scope_is_changed(s, k)) {
            PyObject *name = hr_name_of(text, a);
            if (name == NULL) {
                return -1;
            }
            reads =
                hr_pure_reads(text + b->start, b->head_end - b->start, name);
            Py_DECREF(name);
        }
    }
    if (!reads) {
        return 0;
    }
    return can_rerun(s, b, HR_PURE_DEFINES);
}
