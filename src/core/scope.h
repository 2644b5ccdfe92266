/* A scope of a followed file: a module, or a class of it.  Shared by diff.c,
 * scope.c, and those that plan a part of one. */
#ifndef HR_SCOPE_H
#define HR_SCOPE_H

#include "code.h"

#define HR_MAX_DEPTH 16

struct hr_diff {
    int *match;          /* owned: new index -> old index, or -1 */
    unsigned char *used; /* owned: old index has a partner */
};

/* Pair the blocks: first those of equal hash, then those of equal name. */
int hr_diff_blocks(const char *old_text, const struct hr_blocks *old,
                   const char *new_text, const struct hr_blocks *new,
                   struct hr_diff *diff);
void hr_diff_clear(struct hr_diff *diff);

struct hr_scope {
    struct hr_unit *u;
    PyObject *type;   /* borrowed: the class; NULL for the module */
    PyObject *live;   /* borrowed: the dict of the module or class */
    PyObject *ns;     /* owned: names while evaluating */
    PyObject *before; /* owned: copy of ns at the start */
    PyObject *prefix; /* borrowed: qualified name of the class, or NULL */
    PyObject *classes[HR_MAX_DEPTH]; /* borrowed: names, outermost first */
    int depth;
    const char *old_text;
    const struct hr_blocks *old, *new;
    struct hr_diff diff;
};

/* Evaluate what changed in a scope and plan it. */
int hr_scope_plan(struct hr_scope *s);
/* A class statement: `old` is NULL for a new one. */
int hr_scope_plan_class(struct hr_scope *s, const struct hr_block *old,
                        const struct hr_block *new);
/* The name under which a block stands in the dict (mangled in classes). */
PyObject *hr_scope_name(struct hr_scope *s, const char *text,
                        const struct hr_block *b);
/* The live function of a definition, however wrapped.  Borrowed or NULL. */
PyObject *hr_scope_find_function(struct hr_scope *s, PyObject *value,
                                 PyObject *name, const struct hr_block *old);
/* Run a block as it stands. */
int hr_scope_run(struct hr_scope *s, const struct hr_block *b);
/* The block of the old text that the last binding of a name in the new text
 * is paired with, or NULL. */
const struct hr_block *hr_scope_old_block(struct hr_scope *s, PyObject *name);
/* Old and new value of a name that was evaluated: keep identities where they
 * can be kept.  *value is what the name shall hold (owned). */
int hr_scope_merge(struct hr_scope *s, PyObject *name, PyObject *old,
                   PyObject **value, const struct hr_block *old_block);
/* Names that a block binds: a new list. */
PyObject *hr_scope_bound_names(struct hr_unit *u, const char *text,
                               const struct hr_block *b);
/* `type` takes the content of `donor`, made by the same statement. */
int hr_scope_merge_class(struct hr_scope *s, PyObject *type, PyObject *donor,
                         const struct hr_block *old,
                         const struct hr_block *new);
int hr_scope_is_changed(struct hr_scope *s, size_t i);
int hr_scope_is_main(struct hr_scope *s, const struct hr_block *b);

/* -- rerun.c: statements that did not change and run again -------------------
 */

/* Statements that add to a name (`X += 1`) run again together with the
 * assignment they add to, when one of them changed. */
int hr_rerun_is_chained(struct hr_scope *s, size_t i);
/* An `if` of which the condition reads an assignment that changed, and which
 * only defines and assigns. */
int hr_rerun_is_conditional(struct hr_scope *s, size_t i);

/* -- default.c, member.c: what computes from a changed name ------------------
 */

/* Defaults of an unchanged definition that compute from `changed`.  In a class
 * `s` is its scope, with the planned names in s->ns. */
int hr_default_follow(struct hr_plan *p, struct hr_unit *u, struct hr_scope *s,
                      PyObject *changed, const char *text,
                      const struct hr_block *b);
/* Members of a class that compute from members that changed. */
int hr_member_derive(struct hr_scope *s);
/* A class whose members compute from a changed name of the module. */
int hr_member_follow(struct hr_plan *p, PyObject *changed, struct hr_unit *u,
                     const char *text, const struct hr_block *b);

/* -- enum.c: enumerations keep their members ---------------------------------
 */

int hr_enum_is(PyObject *type);
int hr_enum_plan(struct hr_plan *p, PyObject *type, PyObject *donor);

#endif /* HR_SCOPE_H */
