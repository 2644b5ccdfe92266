/* A scope of a followed file: a module, or a class of it.  Shared by the files
 * that plan it. */
#ifndef HR_SCOPE_H
#define HR_SCOPE_H

#include "code.h"

#define HR_MAX_DEPTH 16

/* -- diff.c: pairing the blocks of two texts ------------------------------ */

struct hr_diff {
    int *match;          /* owned: new index -> old index, or -1 */
    unsigned char *used; /* owned: old index has a partner */
    int swapped;         /* blocks of one name have exchanged their places */
    unsigned char *meaning; /* owned: new index -> enum hr_meaning */
};

/* Pair the blocks: by hash, header, name. */
int hr_diff_blocks(const char *old_text, const struct hr_blocks *old,
                   const char *new_text, const struct hr_blocks *new,
                   struct hr_diff *diff);
void hr_diff_clear(struct hr_diff *diff);

struct hr_scope {
    struct hr_unit *u;
    PyObject *type;   /* borrowed: the class; NULL for the module */
    PyObject *live;   /* borrowed: the dict of the module or class */
    PyObject *ns;     /* owned: names while evaluating */
    PyObject *before; /* copy of ns at the start; owned in a class */
    PyObject *bound; /* owned: {name: None}, of statements that ran, or NULL */
    PyObject *built; /* owned: {name: None}, see rerun.c, or NULL */
    PyObject *prefix; /* borrowed: qualified name of the class, or NULL */
    PyObject *classes[HR_MAX_DEPTH]; /* borrowed: names, outermost first */
    int depth;
    const char *old_text;
    const struct hr_blocks *old, *new;
    struct hr_diff diff;
};

/* -- scope.c: what changed in it ------------------------------------------ */

/* Evaluate what changed in a scope and plan it. */
int hr_scope_plan(struct hr_scope *s);
/* The offset of a later line of a block. */
uint32_t hr_scope_offset_of_line(const char *text, const struct hr_block *b,
                                 uint32_t line);
/* The name under which a block stands in the dict (mangled in classes). */
PyObject *hr_scope_name(struct hr_scope *s, const char *text,
                        const struct hr_block *b);
/* Does a block of the new text differ in more than its place? */
int hr_scope_is_changed(struct hr_scope *s, size_t i);
/* `if __name__ == "__main__":` of the program, which never runs again. */
int hr_scope_is_main(struct hr_scope *s, const struct hr_block *b);
/* The block of the old text that the last binding of a name in the new text
 * is paired with, or NULL. */
const struct hr_block *hr_scope_old_block(struct hr_scope *s, PyObject *name);
/* Is this the name of the block, as it stands in the dict? */
int hr_scope_is_named(struct hr_scope *s, const char *text,
                      const struct hr_block *b, PyObject *name);
/* Names that a block binds: a new list. */
PyObject *hr_scope_bound_names(struct hr_scope *s, const char *text,
                               const struct hr_block *b);
/* Does the block bind the name?  1, 0 or -1. */
int hr_scope_binds(struct hr_scope *s, const char *text,
                   const struct hr_block *b, PyObject *name);
/* The code of a block: a new reference. */
PyObject *hr_scope_compile(struct hr_scope *s, const char *text,
                           const struct hr_block *b);
/* The last block of the old text that binds the name: its index or -1; -2
 * with an exception. */
int hr_scope_last_old(struct hr_scope *s, PyObject *name);
/* Is what the name holds still the work of another block than the last that
 * binds it?  As with functions that a decorator registers.  1, 0 or -1. */
int hr_scope_is_elsewhere(struct hr_scope *s, PyObject *name);
/* What ran has bound these names, a list. */
int hr_scope_note_bound(struct hr_scope *s, PyObject *names);
/* What the scope owns, but not ns and before. */
void hr_scope_clear(struct hr_scope *s);
/* 1 when a block of the new text, the i-th or a later one, binds the name;
 * *which is the last that does. */
int hr_scope_is_bound_by(struct hr_scope *s, PyObject *name, size_t i,
                         size_t *which);
/* What a name holds while evaluating; value NULL: it goes. */
int hr_scope_set_name(struct hr_scope *s, PyObject *name, PyObject *value);
/* Run a block of the new text as it stands; or a part that begins at `line`.
 */
int hr_scope_run(struct hr_scope *s, const struct hr_block *b);
int hr_scope_run_text(struct hr_scope *s, uint32_t start, uint32_t end,
                      uint32_t line);
/* The same for another text than the new one. */
int hr_scope_run_source(struct hr_scope *s, const char *text, size_t size,
                        uint32_t line);

/* -- define.c: a changed definition --------------------------------------- */

/* The i-th block of the new text; `old` is NULL for a new one. */
int hr_define_plan(struct hr_scope *s, size_t i, const struct hr_block *old,
                   const struct hr_block *new);

/* -- wrapper.c: what wraps the function of a definition ------------------- */

/* Have the caches among what wraps a function (a list, see unwrap.c) cleared
 * after the commit. */
int hr_wrapper_clear_caches(struct hr_plan *p, PyObject *path);
/* The same for wrappers of it that its definition made earlier. */
int hr_wrapper_clear_outdated(struct hr_plan *p, PyObject *function);
/* What is on the path, `value` at its end, was made by other decorators than
 * `is`, which wraps `new`: from now on `old` passes its calls on to `new`. */
int hr_wrapper_pass_on(struct hr_scope *s, PyObject *path, PyObject *value,
                       PyObject *old, PyObject *is, PyObject *new);
/* A body that calls `function`, for the one behind `was`, in whose place there
 * is `is` now: a class may bind the two in other ways.  *holder is NULL when
 * nothing can. */
int hr_wrapper_stand_in(struct hr_scope *s, PyObject *was, PyObject *is,
                        PyObject *function, PyObject **holder);
/* The caches on the path (or NULL), and those cleared with `old`, are from now
 * on to be cleared with `new`. */
int hr_wrapper_hand_on(struct hr_plan *p, PyObject *path, PyObject *old,
                       PyObject *new);
/* What wrappers (a list) have copied of the function, whose body is `old`, is
 * now that of the function `new`. */
int hr_wrapper_follow(struct hr_plan *p, PyObject *path, PyObject *function,
                      PyObject *old, PyObject *new);
/* The same for the doc of a property; `name` is its. */
int hr_wrapper_follow_property(struct hr_scope *s, PyObject *name,
                               PyObject *property, PyFunctionObject *old,
                               PyFunctionObject *new);

/* -- dispatch.c: what registers with singledispatch ----------------------- */

/* Is it the annotations of the definition that tell what it is for? */
int hr_dispatch_reads_annotations(const char *text, const struct hr_block *b);
/* Before a definition of the new text runs. */
int hr_dispatch_note(struct hr_scope *s, const struct hr_block *new);
/* What a definition of the old text has registered goes, where the new text
 * does not register it again. */
int hr_dispatch_drop(struct hr_scope *s, const struct hr_block *old);
/* When all has run: the differences go to the journal. */
int hr_dispatch_plan(struct hr_plan *p);
/* Nothing of it shall be; keeps the current exception. */
void hr_dispatch_abandon(struct hr_plan *p);

/* -- unwrap.c: the live function of a definition -------------------------- */

/* Behind `value` (or NULL), which the definition's name holds, or elsewhere.
 * A new reference, or NULL without an exception.  What wraps it is added to
 * the list `path`. */
PyObject *hr_unwrap_find(struct hr_scope *s, PyObject *value,
                         const struct hr_block *old, PyObject *path);
/* Only behind the value: of that block of a text; `line` -1: on any.  The path
 * may be NULL. */
PyObject *hr_unwrap_behind(struct hr_scope *s, PyObject *value,
                           const char *text, const struct hr_block *b,
                           int line, PyObject *path);

/* The class of that name in the module. */
PyObject *hr_unwrap_class(struct hr_scope *s, PyObject *value,
                          PyObject *qualname);
/* Of that name, and of another file. */
PyObject *hr_unwrap_elsewhere(struct hr_scope *s, PyObject *value,
                              PyObject *name);

/* -- remove.c: what is gone from the text --------------------------------- */

/* The blocks of the old text that have no partner. */
int hr_remove_blocks(struct hr_scope *s);
/* Is a definition gone that built upon the name, as `@p.setter` does?  Then
 * all that are left of it run. */
int hr_remove_is_cut(struct hr_scope *s, PyObject *name);
/* Names that a matched, changed statement no longer binds. */
int hr_remove_unbound(struct hr_scope *s, const struct hr_block *old);
/* Before code runs: names that it reads and that a `del` took away are bound
 * again by their statements before `line`. */
int hr_remove_revive(struct hr_scope *s, PyObject *code, uint32_t line);
/* An annotation is made anew with its statement. */
int hr_remove_annotation(struct hr_scope *s, const struct hr_block *old);

/* -- merge.c: old and new value of a name --------------------------------- */

/* The function `old` takes the body and name of `new`, and stands for it. */
int hr_merge_function(struct hr_plan *p, PyObject *old, PyObject *new);
/* Keep identities where they can be kept.  *value, which was evaluated, is
 * afterwards what the name shall hold (owned). */
int hr_merge_value(struct hr_scope *s, PyObject *name, PyObject *old,
                   PyObject **value, const struct hr_block *old_block);

/* The same for a part of what the block made: a default. */
int hr_merge_part(struct hr_scope *s, PyObject *old, PyObject **value,
                  const struct hr_block *b);

/* Has it, or have all its functions, just been made?  Only then may they be
 * exchanged with those that are there. */
int hr_merge_is_new(struct hr_scope *s, PyObject *old, PyObject *value);

/* -- move.c: definitions that moved to another file ----------------------- */

/* A name held `old` and holds `new`: note it, when that may be moved. */
int hr_move_note(struct hr_scope *s, PyObject *name, PyObject *old,
                 PyObject *new);
/* Plan what was noted, when all is out of the shadows. */
int hr_move_plan(struct hr_plan *p);
/* The same for what was made from code nested in it, and is alive. */
void hr_move_closures(struct hr_plan *p);

/* -- classdef.c: a changed class statement -------------------------------- */

/* `old` is NULL for a new one. */
int hr_classdef_plan(struct hr_scope *s, const struct hr_block *old,
                     const struct hr_block *new);
/* One that did not change: made again, where a decorator or metaclass has made
 * it from members that compute from a name that changed. */
int hr_classdef_follow(struct hr_scope *s, const struct hr_block *old,
                       const struct hr_block *new);
/* Run the statement of a class as a whole once more. */
int hr_classdef_again(struct hr_scope *outer, PyObject *type, PyObject *name,
                      const struct hr_block *old, const struct hr_block *new);
/* -1 with a RudeEdit when __slots__ would be others (NULL: none). */
int hr_classdef_check_slots(struct hr_state *st, PyObject *type,
                            PyObject *slots);

/* -- whole.c: must a class statement run whole? --------------------------- */

/* Does a changed statement, whose class is s->type? */
int hr_whole_is_needed(struct hr_scope *s, const struct hr_block *old,
                       const struct hr_block *new);
/* Is the class made from its members? */
int hr_whole_is_made(struct hr_scope *s, const struct hr_block *b);
/* Has it a metaclass that may make something of every member? */
int hr_whole_consumes_members(PyObject *type);
/* Would the statement of an enumeration call it to make its members? */
int hr_whole_makes_members(const char *text, const struct hr_block *b);

/* -- remake.c: a class statement that is run whole ------------------------ */

/* The statement `new` of `outer` makes a second class, whose content s->type
 * takes; `s` is the scope of its members. */
int hr_remake_class(struct hr_scope *outer, struct hr_scope *s, PyObject *name,
                    const struct hr_block *old, const struct hr_block *new);
/* `type`, made by the statement `old` or by one inside it, takes the content
 * of `donor`, made by what takes its place. */
int hr_remake_merge(struct hr_scope *outer, PyObject *type, PyObject *donor,
                    const struct hr_block *old);
/* The module's classes that were made again, those before `from` left out:
 * its statements have run. */
int hr_remake_merge_all(struct hr_scope *s, Py_ssize_t from);

/* `type` takes the content of `donor`. */
int hr_remake_take(struct hr_plan *p, PyObject *type, PyObject *donor);

/* -- past.c: what the program has done to a class ------------------------- */

/* What is the program's in `type`, made by the statement `old` or by one
 * inside it, goes to the donor.  `s`: the scope of the members, or NULL where
 * their texts are not known. */
int hr_past_keep(struct hr_scope *outer, struct hr_scope *s, PyObject *type,
                 PyObject *donor, const struct hr_block *old, int same_head);

/* -- heir.c: what inherits from a class that was made again ---------------
 */

/* Is it made from its members, and those of its bases? */
int hr_heir_is_made(PyObject *type);
/* Does its statement give it a metaclass?  Where nobody can tell it does not,
 * as few repeat what they inherit. */
int hr_heir_names_metaclass(struct hr_plan *p, PyObject *type);

/* -- same.c: changed statements that mean the same ---------------------------
 */

enum hr_meaning {
    HR_MEANS_UNKNOWN,
    HR_MEANS_SAME,
    HR_MEANS_SAME_VALUE, /* all but the annotation */
    HR_MEANS_OTHER
};

/* What became of the i-th block of the new text. */
enum hr_meaning hr_same_meaning(struct hr_scope *s, size_t i);
/* The offset of the '=' of an assignment; its end when it has none. */
uint32_t hr_same_find_value(const char *text, const struct hr_block *b);
/* `X: int = 1` */
int hr_same_is_annotated(const char *text, const struct hr_block *b);

/* -- statement.c: a changed statement --------------------------------------
 */

/* `old` is NULL for one that is new, or runs again. */
int hr_statement_plan(struct hr_scope *s, const struct hr_block *old,
                      const struct hr_block *new);
/* One that means the same with other words: not run, but for its annotation.
 */
int hr_statement_plan_same(struct hr_scope *s, const struct hr_block *old,
                           const struct hr_block *new,
                           enum hr_meaning meaning);

/* -- rerun.c: statements that did not change and run again -------------------
 */

/* Before anything of the scope runs: see what its changes build upon. */
int hr_rerun_begin(struct hr_scope *s);
/* 1 when the unchanged i-th block has to run again; it may also get back what
 * its name holds. */
int hr_rerun_block(struct hr_scope *s, size_t i);
/* Has a decorator of the i-th block to run again, as it belongs to an object
 * that has been made anew: `@app.get("/")`? */
int hr_rerun_registers(struct hr_scope *s, size_t i);
/* The changed i-th block does not run: when it binds the name without reading
 * it, the name holds what it held, if it was this block that bound it. */
int hr_rerun_give_back(struct hr_scope *s, size_t i, PyObject *name);

/* -- worlds.c: as the names are, and as they will be -------------------------
 */

struct hr_worlds {
    struct hr_world was, is;
};
/* Both worlds of a scope, for that tree; clear them also after a failure. */
int hr_worlds_make(struct hr_scope *s, PyObject *tree, struct hr_worlds *w);
void hr_worlds_clear(struct hr_worlds *w);
/* A copy of a dict of names, which statements may run in. */
PyObject *hr_worlds_copy(PyObject *dict);
/* What an expression gives in both (owned), or in both namespaces what
 * statements assign, whose names are added to `targets`.  1, or 0 when it is
 * not to be computed. */
int hr_worlds_expression(struct hr_scope *s, struct hr_worlds *w,
                         PyObject *node, PyObject **was, PyObject **is);
int hr_worlds_statements(struct hr_scope *s, struct hr_worlds *w,
                         PyObject *tree, const char *text,
                         const struct hr_block *b, PyObject *targets);
/* The index in the plan's journal of a name of a dict or class, or -1. */
long hr_worlds_find(struct hr_plan *p, PyObject *owner, PyObject *name);

/* -- hint.c: what stays as it was, and the user is told of -------------------
 */

struct hr_derive;
/* The block has run in this batch. */
int hr_hint_note_run(struct hr_unit *u, const struct hr_block *b);
/* Has it?  1, 0 or -1. */
int hr_hint_has_run(struct hr_unit *u, const struct hr_block *b);
/* A block that reads the changed name is not run again. */
int hr_hint_reads(struct hr_derive *w, struct hr_scope *s, const char *text,
                  const struct hr_block *b);
/* The same for a block that did not follow, if it reads the name. */
int hr_hint_block(struct hr_derive *w, struct hr_scope *s, const char *text,
                  const struct hr_block *b);
/* A statement that builds upon what the name holds is not run again. */
int hr_hint_builder(struct hr_scope *s, const struct hr_block *b,
                    PyObject *name);
/* Is a decorator of the block a method of what that name holds? */
int hr_hint_is_registered_on(struct hr_scope *s, const struct hr_block *b,
                             PyObject *name);
/* The decorators of a block may have registered it in an object; `why`: what
 * happened to it. */
int hr_hint_registered(struct hr_scope *s, const char *text,
                       const struct hr_block *b, uint32_t line,
                       const char *why);
/* -- chain.c: objects that several statements build --------------------------
 */

struct hr_chain {
    PyObject *trees, *codes; /* owned: lists, of statements and their code */
    PyObject *all;           /* owned: all the statements in one list */
    PyObject *name;          /* borrowed */
};
/* Is it a statement about the object, such as `X[k] = v` or `X.add(v)`, or one
 * that has such in it? */
int hr_chain_is_about(const char *text, const struct hr_block *b,
                      PyObject *name);
/* The lists, dicts and sets of the namespace to which a block may add. */
PyObject *hr_chain_names(struct hr_scope *s, const char *text,
                         const struct hr_block *b, PyObject *ns);
/* The statements that build it: 1, or 0 when there are no two; clear it also
 * then, and after a failure. */
int hr_chain_find(struct hr_scope *s, const char *text,
                  const struct hr_blocks *blocks, PyObject *name,
                  struct hr_chain *c);
void hr_chain_clear(struct hr_chain *c);
/* What they give in a copy of the names; all names that they bind are added to
 * `targets`, when not NULL.  NULL, without an exception that counts, when they
 * are not to be computed. */
PyObject *hr_chain_run(struct hr_plan *p, struct hr_chain *c,
                       struct hr_world *world, PyObject *targets);
/* Do both set the same item or attribute, as `X[k] = 1` and `X[k] = 2`?  Then
 * the new one needs nothing to be taken back.  1, 0 or -1. */
int hr_chain_sets_again(struct hr_scope *s, const struct hr_block *old,
                        const struct hr_block *new);
/* Is the object what the old statements give, and nobody has added to it? */
int hr_chain_is_own(struct hr_scope *s, PyObject *name);

/* -- derive.c, copy.c, default.c, member.c: what follows a changed name ------
 */

struct hr_derive {
    struct hr_plan *p;
    size_t first;           /* swaps from here on are ours */
    size_t *queue;          /* owned: indices of swaps */
    size_t count, capacity; /* of it */
    PyObject *kept;         /* owned: functions before defaults followed */
    PyObject *owners;       /* owned: what modules hold, by their dicts */
    PyObject *owner, *name; /* borrowed: whose name has another value now */
    PyObject *old, *new;    /* borrowed, or NULL */
    PyObject *module;       /* borrowed: of a module's name */
    PyObject *last;         /* owned: the last part of the owner's name */
    uint64_t hash;          /* of the name */
    uint64_t last_hash;     /* of the other: words that other texts have */
    int is_package;         /* the owner is one */
    PyObject *readers;      /* owned: functions that read it, or NULL */
};
/* A name of a module, whose value stays, but is another one inside. */
int hr_derive_name(struct hr_derive *w, PyObject *dict, PyObject *module,
                   PyObject *name, PyObject *value);
/* Each module that may read the item (reader.c). */
int hr_reader_each(struct hr_derive *w,
                   int (*visit)(struct hr_derive *w, struct hr_source *source,
                                PyObject *module));
/* One block of a module or class, which did not change or is planned. */
int hr_derive_block(struct hr_derive *w, struct hr_scope *s, const char *text,
                    const struct hr_block *b);
/* Is the name read here: in its own scope, or as an attribute? */
int hr_derive_is_read(struct hr_derive *w, struct hr_scope *s,
                      const char *text, const struct hr_block *b);
/* A name of the scope that holds `old`, as it is or as its own statement has
 * just planned it, is to hold `new` (NULL: it goes). */
int hr_derive_set(struct hr_derive *w, struct hr_scope *s, PyObject *name,
                  PyObject *old, PyObject *new);
/* The same for names that statements bind in both worlds. */
int hr_derive_targets(struct hr_derive *w, struct hr_scope *s,
                      const char *text, struct hr_worlds *worlds,
                      PyObject *names);
/* An object that several statements build, of which one reads the name.  1, or
 * 0 when it is none or is not to be computed. */
int hr_chain_follow(struct hr_derive *w, struct hr_scope *s, const char *text,
                    PyObject *name);
/* Imports of a block: what they copy of the name. */
int hr_copy_follow(struct hr_derive *w, struct hr_scope *s, const char *text,
                   const struct hr_block *b);
/* What a module gives to stars as `name`, as it is or as planned.  Borrowed or
 * NULL. */
PyObject *hr_copy_public(struct hr_derive *w, PyObject *dict, PyObject *name,
                         int planned);
/* Defaults and annotations of the function of a block that compute from the
 * name `changed`. */
int hr_default_follow(struct hr_scope *s, PyObject *kept, PyObject *changed,
                      const char *text, const struct hr_block *b);
/* `function` was made by a header that changed: defaults whose text did not
 * change are those of `live`. */
int hr_default_keep(struct hr_scope *s, PyObject *live,
                    const struct hr_block *old, const struct hr_block *new,
                    PyObject *function);
/* Members of an unchanged class that compute from names of the module that
 * have changed are marked as changed.  1 when there are any. */
int hr_member_mark(struct hr_scope *s);
/* The members of a class. */
int hr_member_follow(struct hr_derive *w, struct hr_scope *outer,
                     const char *text, const struct hr_block *b);

/* -- enum.c: enumerations keep their members ---------------------------------
 */

int hr_enum_is(PyObject *type);
int hr_enum_plan(struct hr_plan *p, PyObject *type, PyObject *donor);

/* -- donor.c: enumerations that were made again, and what computes from them -
 */

/* While derive.c works: their donors have members of their own. */
int hr_donor_begin(struct hr_plan *p);
int hr_donor_end(struct hr_plan *p);
/* Borrowed; NULL without an exception when there is none. */
PyObject *hr_donor_of(struct hr_plan *p, PyObject *type);
/* Names that hold an enumeration hold its donor. */
int hr_donor_enter(struct hr_plan *p, PyObject *ns);
/* What was computed with donors holds what stays. */
int hr_donor_give_back(struct hr_plan *p, PyObject **value);
/* What reads them follows. */
int hr_donor_follow(struct hr_derive *w);

#endif /* HR_SCOPE_H */
