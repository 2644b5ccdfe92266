/* What the files that follow sources share: one section for each, from
 * source.c to line.c.  Those that need a scope are in scope.h.  Conventions as
 * in core.h. */
#ifndef HR_CODE_H
#define HR_CODE_H

#include "core.h"
#include "lex/lex.h"

/* -- source.c: followed files and the text that runs ------------------------
 */

/* A text that was read, and is not yet planned. */
struct hr_reading {
    char *text; /* owned: UTF-8 */
    size_t size;
    struct hr_blocks blocks;
    struct hr_lex_error error;
    uint64_t hash; /* of the file's bytes */
    int ready, hashed;
    int64_t split_ns; /* what splitting took */
};

/* One followed file.  The text is UTF-8, whatever the file's encoding. */
struct hr_source {
    struct hr_source *next;
    char *path; /* owned: absolute, as the watcher knows it */
    char *name; /* owned: of the module it was found for */
    char *text; /* owned: what runs now */
    size_t size;
    struct hr_blocks blocks;  /* of text */
    uint64_t file_hash;       /* of the file's bytes */
    int doubt;                /* the live code was not made from this text */
    int partial;              /* the text cannot be split */
    int compared;             /* ... with what a silent loader made of it */
    PyObject *modules;        /* owned: names in sys.modules, or NULL */
    PyObject *shown;          /* owned: the text as str, when it was edited */
    struct hr_words *words;   /* owned: of text, or NULL */
    struct hr_blocks members; /* of the class that changed last, if any */
    uint32_t members_of;      /* where that class starts */
    struct hr_reading reading;
};

/* The followed source of a path, or NULL. */
struct hr_source *hr_source_find(struct hr_state *st, const char *path);
/* Follow a file: its text is read now.  *added is borrowed, and NULL when the
 * engine was stopped meanwhile. */
int hr_source_add(struct hr_state *st, const char *path,
                  struct hr_source **added);
/* What runs now, split; takes the text. */
void hr_source_set_text(struct hr_state *st, struct hr_source *s, char *text,
                        size_t size);
/* Is this path followed, or to be followed when it is imported? */
int hr_source_is_under_roots(struct hr_state *st, const char *path);
/* The absolute path of a module's source; malloc'ed, or NULL.  `key` is the
 * str "__file__". */
char *hr_source_module_path(PyObject *module, PyObject *key);
/* Note which modules there are now, for hr_source_modules(). */
int hr_source_look(struct hr_state *st);
/* The modules made from a file: a new list. */
PyObject *hr_source_modules(struct hr_source *s);
/* Does a file's content differ from what runs?  Note what runs now. */
int hr_source_differs(struct hr_source *s, uint64_t file_hash);
void hr_source_seen(struct hr_source *s, uint64_t file_hash);
/* The name of the module that should be there but is not (borrowed). */
const char *hr_source_lost_module(struct hr_source *s);
/* Back to an older text: {path: (old, new)} of a revision that is undone. */
int hr_source_undo(struct hr_state *st, PyObject *texts);
void hr_source_free_all(struct hr_state *st);

/* -- decode.c: the bytes of a file as UTF-8 ---------------------------------
 */

/* Decode a file's bytes: malloc'ed UTF-8 in *out.  0; 1 when it cannot be
 * decoded, with a sentence in *why (owned); -1 with an exception. */
int hr_decode_bytes(const char *bytes, size_t size, char **out,
                    size_t *out_size, PyObject **why);
/* A malloc'ed copy with a NUL behind it; NULL with an exception. */
char *hr_decode_copy(const char *bytes, size_t size);

/* -- adopt.c: modules that were imported without our finder -----------------
 */

/* Follow every imported module whose file is under the roots.  `new_only`:
 * those that came since the last call, as far as that can be told. */
int hr_adopt_modules(struct hr_state *st, int new_only);

/* -- finder.c: the finder at the head of sys.meta_path ----------------------
 */

/* Put the finder into sys.meta_path, or take it out. */
int hr_finder_install(struct hr_state *st, int on);
/* sys.meta_path's find_spec(). */
PyObject *hr_finder_find_spec(struct hr_state *st, PyObject *name,
                              PyObject *path, PyObject *target);
/* A loader reads this file to import it. */
int hr_finder_imported(struct hr_state *st, const char *path);

/* -- text.c: texts of followed files, read before the GIL is taken ----------
 */

struct hr_file;
struct hr_unit;

void hr_text_init(struct hr_state *st);
/* The followed file of a path, or NULL: with the GIL or the texts' lock. */
struct hr_source *hr_text_find(struct hr_state *st, const char *path);
int hr_text_add(struct hr_state *st, struct hr_source *s);
/* Needs no GIL.  Can the text be split? */
int hr_text_is_whole(struct hr_state *st, const char *path, const char *text,
                     size_t size);
/* Needs no GIL.  Decode and split what was read; when that needs Python, it is
 * left for the plan. */
void hr_text_read(struct hr_state *st, const struct hr_change *c);
/* 1 when what was read is now in `f`, with *error; 0 when it was not. */
int hr_text_take(struct hr_state *st, struct hr_source *s, uint64_t hash,
                 struct hr_file *f, struct hr_lex_error *error);
/* The same for a text that is in `f` already. */
enum hr_lex_status hr_text_split(struct hr_source *s, struct hr_file *f,
                                 struct hr_lex_error *error);
int hr_text_copy_blocks(struct hr_blocks *to, const struct hr_blocks *from);
/* The live code may be of another text: the block counts as changed. */
void hr_text_doubt(struct hr_block *b);
/* The members of a class before and after, split once for each plan; NULL
 * without memory. */
const struct hr_members *hr_text_members(struct hr_unit *u,
                                         const struct hr_block *old,
                                         const struct hr_block *new);
void hr_text_free_members(struct hr_unit *u);
/* The new text runs now: its members are worth keeping. */
void hr_text_keep_members(struct hr_unit *u);
/* What runs now; takes text and blocks. */
void hr_text_set(struct hr_state *st, struct hr_source *s, char *text,
                 size_t size, struct hr_blocks *blocks);
void hr_text_free_all(struct hr_state *st);

/* -- plan.c: from old and new text to a journal -----------------------------
 */

struct hr_plan;

/* One module of a batch. */
struct hr_unit {
    struct hr_plan *plan;
    struct hr_source *source; /* borrowed */
    const char *text;         /* new text, borrowed from the file below */
    size_t size;
    const struct hr_blocks *blocks;
    PyObject *module, *dict;   /* owned */
    PyObject *live;            /* owned: dict, beneath all replacements */
    PyObject *name, *filename; /* owned */
    PyObject *shadow;          /* owned: globals while evaluating */
    PyObject *before;          /* owned: copy of the shadow at the start */
    PyObject *changed;         /* owned: {name: (old, new)}, ... for none */
    PyObject *removed;         /* owned: list of names that are gone */
    PyObject *moved;           /* owned: list, see move.c; or NULL */
    PyObject *compiler;        /* owned: the loader's own, or NULL */
    PyObject *ran;      /* owned: lines of blocks, see hint.c; or NULL */
    int error_line;     /* of the block that failed */
    int future;         /* compiler flags of its __future__ imports */
    int future_changed; /* those that came or went */
    const struct hr_blocks *old_blocks; /* of the text that runs */
    struct hr_blocks doubted;           /* owned: they, marked; or empty */
    int evaluates;              /* something but plain functions must run */
    struct hr_members *members; /* owned: of the classes that changed */
};

/* The members of a class, in the old text and in the new one. */
struct hr_members {
    struct hr_members *next;
    uint32_t old_start, new_start; /* of the class */
    struct hr_blocks old, new;
    enum hr_lex_status status;
};

/* One saved file of a batch. */
struct hr_file {
    struct hr_source *source; /* borrowed */
    char *text;               /* owned: decoded */
    size_t size;
    struct hr_blocks blocks;
    PyObject *path;         /* owned: str */
    PyObject *shown;        /* owned: the text as str, or NULL */
    struct hr_words *words; /* owned: of text, or NULL */
    int64_t split_ns;
};

/* A new object lends its content to one that keeps its identity. */
struct hr_pair {
    PyObject *new, *kept; /* owned */
    int preview;          /* made for this only: see preview.c */
};

struct hr_plan {
    struct hr_state *st;
    PyObject *revision;   /* borrowed */
    struct hr_journal *j; /* owned */
    struct hr_file *files;
    size_t file_count;
    struct hr_unit *units;
    size_t unit_count;
    struct hr_pair *pairs; /* owned: see substitute.c */
    uint32_t *pair_table;  /* owned */
    size_t pair_count, pair_slots;
    PyObject *dispatches;       /* owned: list, see dispatch.c; or NULL */
    struct hr_preview *preview; /* owned, or NULL: see preview.c */
    PyObject *donors;    /* owned, or NULL: list of (class, donor, dict) */
    PyObject *enums;     /* owned, or NULL: list of (enumeration, donor),
                            while derive.c works */
    PyObject *caches;    /* owned: list, see hr_revision_clear() */
    PyObject *made_ids;  /* owned, or NULL: likewise */
    PyObject *moved;     /* owned: ids of the functions among the next */
    PyObject *followers; /* owned, or NULL: what is on a shadow until then */
    PyObject *classes;   /* owned: classes that change */
    PyObject *partial;   /* owned: list of (code, sentence) */
    PyObject *places;    /* owned: {id of owner: {key: index in j}} */
    PyObject *hints;     /* owned: list of sentences to be logged, or NULL */
    size_t placed;       /* how many swaps are in it */
    PyObject *hook;      /* owned, or NULL: which one has failed */
    int evaluating, gc_was_enabled, refused;
    int whole;        /* nobody else shall run: it is planned again */
    int hooked;       /* the hooks have agreed to it already */
    long commit;      /* of replace(), when the plan was begun */
    int64_t slice_ns; /* when others have run last */
    int64_t split_ns; /* what splitting the texts took */
};

/* Plan and commit a batch of sources: fills the revision.  0, also when it was
 * refused (the revision says why); -1 with an exception for our own errors. */
int hr_plan_run(struct hr_state *st, PyObject *revision,
                struct hr_change *changes, size_t count);
int hr_plan_add_edit(struct hr_unit *u, const char *kind, PyObject *prefix,
                     const char *text, const struct hr_block *block);
/* f takes the body of `new`, a function that nobody else holds; under a
 * replacement, the original does. */
int hr_plan_function(struct hr_plan *p, struct hr_journal *j, PyObject *f,
                     PyObject *new);
/* A batch of hundreds of files takes long: with the GIL for a while already,
 * let go of it, where that is possible. */
void hr_plan_let_others_run(struct hr_plan *p);
/* The function that holds the body of f: itself, or what keeps the original
 * while f is replaced.  Borrowed. */
PyObject *hr_plan_body(struct hr_plan *p, PyObject *f);
/* A plan reads texts and functions that apply() and undo() would change: -1
 * with an exception when this thread is making one. */
int hr_plan_forbids(struct hr_state *st, const char *call);

/* -- refuse.c: what is refused, and why --------------------------------------
 */

/* Record the refusal of the batch; returns -1, without an exception. */
int hr_refuse_batch(struct hr_plan *p, struct hr_unit *u, const char *code,
                    int line, const char *format, ...);
/* The same: the current exception is the reason, and is cleared. */
void hr_refuse_exception(struct hr_plan *p, struct hr_unit *u);
/* Record and log what is refused of a batch that is live (p->partial). */
int hr_refuse_partly(struct hr_plan *p);
/* What does not follow: a sentence to be logged once the batch is live. */
int hr_refuse_hint(struct hr_plan *p, PyObject *sentence);

/* -- unit.c: one module of a batch -------------------------------------------
 */

/* A unit for a module that was made from this file. */
int hr_unit_add(struct hr_plan *p, struct hr_file *f, PyObject *module);
void hr_unit_clear(struct hr_unit *u);
/* The unit of that name, or NULL. */
struct hr_unit *hr_unit_find(struct hr_plan *p, PyObject *module);
/* Evaluate what changed. */
int hr_unit_plan(struct hr_unit *u);
/* Statements of it are to be run that did not change. */
int hr_unit_evaluate(struct hr_unit *u);
/* Names whose value is another now: into the journal. */
int hr_unit_plan_values(struct hr_unit *u);

/* -- await.c: modules that a refused save could not import ------------------
 */

/* Have the save tried again when the module is there; `exception` is a
 * ModuleNotFoundError.  Never fails. */
void hr_await_module(struct hr_state *st, PyObject *exception);

/* -- order.c, hook.c, finish.c: steps of a plan ------------------------------
 */

/* Put the units in the order of their imports. */
int hr_order_units(struct hr_plan *p);
/* Call the hooks of that name.  0, or -1 with the exception of a hook when
 * `stops`; else they are logged. */
int hr_hook_call(struct hr_plan *p, const char *name, int stops);
/* __hot_reload_migrate__ for the instances of the classes that changed. */
void hr_hook_migrate(struct hr_plan *p);
/* All that follows the commit; the revision has the journal then. */
void hr_finish_batch(struct hr_plan *p);

/* -- future.c: a `from __future__` import that came or went ------------------
 */

/* What it changes, and the blocks of the text that runs: u->old_blocks. */
int hr_future_begin(struct hr_unit *u);
/* The members of a class of that text: what it changes counts as changed. */
void hr_future_doubt_members(struct hr_unit *u, struct hr_blocks *members);
/* Does it change what all the rest means? */
int hr_future_changes_all(struct hr_unit *u);

/* -- loader.c: how a module's code is made of its text ----------------------
 */

/* Its loader's own source_to_code(), which changes what the text means.  New
 * reference or NULL, without an exception. */
PyObject *hr_loader_compiler(PyObject *dict);
/* Does its loader execute it in a way of its own, and not say how it makes the
 * code? */
int hr_loader_is_silent(PyObject *dict);

/* -- adopt.c (more of it is in core.h) ---------------------------------------
 */

/* Are the functions of a module what Python makes of its text? */
int hr_adopt_is_made_from(struct hr_source *s, PyObject *module);

/* -- code.c ------------------------------------------------------------------
 */

/* A copy whose lines are moved, with all that is nested in it. */
PyObject *hr_code_move(PyObject *code, int delta);
/* Compile lines of a file that begin at `line`; inside the classes named, for
 * their members: then the code of the innermost class's body. */
PyObject *hr_code_compile(struct hr_unit *u, const char *text, size_t size,
                          int line, PyObject *const *classes, int depth);
PyObject *hr_code_find(PyObject *code, PyObject *name);
/* Compile a text as the module's loader does. */
PyObject *hr_code_compile_text(struct hr_unit *u, const char *text);
/* 1 when both mean the same: lines and columns do not count. */
int hr_code_is_same(PyObject *a, PyObject *b);
/* The same for one constant, and for all but the constants. */
int hr_code_is_same_const(PyObject *a, PyObject *b);
int hr_code_is_same_but_constants(PyObject *a, PyObject *b);
/* Compiler flags of the `from __future__` imports of a text, for blocks that
 * are compiled alone. */
int hr_code_future_flags(const char *text, const struct hr_blocks *blocks);

/* -- bytecode.c: what code does ----------------------------------------- */

/* Does the code itself (not what is nested in it) call anything? */
int hr_bytecode_calls(PyObject *code);
/* The opcode of that name, -1 where there is none. */
int hr_bytecode_number(const char *name);
/* Instructions, one after the other; arguments are whole. */
struct hr_bytecode {
    PyObject *code, *bytes; /* borrowed, owned */
    Py_ssize_t next;
    int extended;
    int op, arg; /* of the one that was read last */
    Py_ssize_t at;
};
/* 0, or -1 with an exception: then there is nothing to close. */
int hr_bytecode_open(struct hr_bytecode *b, PyObject *code);
/* 1, or 0 at the end. */
int hr_bytecode_next(struct hr_bytecode *b);
void hr_bytecode_close(struct hr_bytecode *b);
/* Does it, or what is nested in it, bind global names as a function does? */
int hr_bytecode_writes_globals(PyObject *code);
/* The names that a module's code binds: a new list. */
PyObject *hr_bytecode_stored_names(PyObject *code);
/* Does it, or what is nested in it, import a module of which the last part of
 * the name is in the set? */
int hr_bytecode_imports(PyObject *code, PyObject *set);
/* What the code of a module or class does to a name: these bits, or -1. */
enum {
    HR_USES_VALUE = 1, /* reads it before it binds it */
    HR_USES_BINDS = 2,
    HR_USES_DELETES = 4,
};
int hr_bytecode_uses(PyObject *code, PyObject *name);
/* Does the code itself assign this variable, a cell? */
int hr_bytecode_stores_cell(PyObject *code, PyObject *name);
/* {name: constant} of cells that the code assigns once, and a constant. */
PyObject *hr_bytecode_constant_cells(PyObject *code);

/* -- name.c: identifiers as Python reads them --------------------------------
 */

/* An identifier of a text, or what it is a part of (interned). */
PyObject *hr_name_decode(const char *at, size_t n);
/* The name of a block. */
PyObject *hr_name_of(const char *text, const struct hr_block *b);
/* Is it this one? */
int hr_name_is(const char *text, const struct hr_block *b, PyObject *name);
/* May it be a word of this text? */
int hr_name_may_be_in(const char *text, size_t size, PyObject *name);
/* Is it one of the names of a list, which ends with NULL? */
int hr_name_is_one_of(PyObject *name, const char *const *names);
uint64_t hr_name_hash_of(const char *text, const struct hr_block *b);

/* -- evaluate.c: running changed statements unseen ---------------------------
 */

/* Make the shadow of a module's globals, if it has none. */
int hr_evaluate_shadow(struct hr_unit *u);
/* Run code in a namespace; `ns` NULL: the module's shadow. */
int hr_evaluate_run(struct hr_unit *u, PyObject *code, PyObject *ns);
/* What was computed only to see whether it can be has failed: 0, and the
 * exception is cleared; -1 when it is one that ends the whole plan. */
int hr_evaluate_forgive(struct hr_plan *p);
/* All has run: substitute, and note what is to move to the real modules. */
int hr_evaluate_end(struct hr_plan *p);
/* Put the journal in force, and with it what was made on its modules. */
int hr_evaluate_commit(struct hr_plan *p);
/* The unit whose shadow this is, or NULL. */
struct hr_unit *hr_evaluate_unit(struct hr_plan *p, PyObject *globals);

/* A unit that did not need a shadow gets one. */
int hr_evaluate_widen(struct hr_unit *u);

/* -- preview.c: the rest of the save, as changed statements see it -----------
 */

struct hr_preview;

/* Before code runs in a shadow: what it leads to is as the save has it. */
int hr_preview_prepare(struct hr_unit *u, PyObject *code, PyObject *ns);
/* What the code that imports the module gets: its preview, or itself, where it
 * is none of the batch.  A new reference. */
PyObject *hr_preview_module(struct hr_plan *p, PyObject *module,
                            PyObject *code);
/* Another class stands for this one from now on (a donor). */
int hr_preview_set(struct hr_plan *p, PyObject *live, PyObject *clone);
/* All has run: what was set on previews of classes goes to the journal. */
int hr_second_carry_over(struct hr_plan *p);
/* After an exception: when a class statement raised it because the metaclasses
 * of previews fit no other, they are without theirs, and what is to be given
 * to hr_second_dress() when the statement has run again; else NULL. */
PyObject *hr_second_undress(struct hr_plan *p);
void hr_second_dress(PyObject *dressed);
/* After the commit: what somebody still has calls what is there. */
void hr_preview_finish(struct hr_plan *p);
void hr_preview_clear(struct hr_plan *p);

/* -- made.c: what was made while evaluating ----------------------------------
 */

#define HR_EVALUATING_FROZEN 1
#define HR_EVALUATING_PAUSED 2

int hr_made_begin(struct hr_plan *p);
void hr_made_end(struct hr_plan *p);
void hr_made_after_fork(struct hr_state *st);
/* A new list: all that the collector knows and that is new. */
PyObject *hr_made_list(struct hr_plan *p);
/* Is this function or class new?  Only that may lend its content. */
int hr_made_has(struct hr_plan *p, PyObject *o);
/* Something has run. */
void hr_made_more(struct hr_plan *p);

/* -- begun.c: threads and generators that run on a shadow --------------------
 */

/* Can it be suspended? */
int hr_begun_is(PyObject *o);
/* After the swap: to the modules' dicts. */
void hr_begun_redirect(struct hr_plan *p);

/* -- substitute.c: new objects that stand for old ones -----------------------
 */

/* Everything that now holds `new` shall hold `kept`. */
int hr_substitute_add(struct hr_plan *p, PyObject *new, PyObject *kept);
/* What stands for a new object, or NULL.  Borrowed. */
PyObject *hr_substitute_kept(struct hr_plan *p, PyObject *o);
/* The object that a preview shows, or NULL when it is none.  Borrowed. */
PyObject *hr_substitute_preview_of(struct hr_plan *p, PyObject *o);
int hr_substitute_dict(struct hr_plan *p, PyObject *dict);
int hr_substitute_in(struct hr_plan *p, PyObject *o);
/* In all that was made; before the commit. */
int hr_substitute_in_all(struct hr_plan *p, PyObject *made);
/* After the commit: also in what is not new (registries). */
int hr_substitute_leaked(struct hr_plan *p);
/* weak.c: the same for who holds it weakly. */
int hr_weak_exchange(PyObject *new, PyObject *kept);
/* The save is refused: who holds a second class, as it registered itself,
 * holds the class that is there.  Keeps the current exception. */
void hr_substitute_abandon(struct hr_plan *p);
void hr_substitute_clear(struct hr_plan *p);

/* -- closure.c, nest.c: functions alive that were made from nested code ------
 */

/* A holder with other code, and all else of the function o. */
PyObject *hr_closure_holder(PyObject *o, PyObject *code, PyObject *closure);
/* A statement of which only functions defined in it changed: those that are
 * alive take their new bodies, and it is not run.  1 when that was planned, 0
 * when it has to be run. */
int hr_closure_statement(struct hr_unit *u, PyObject *old, PyObject *new);
/* For every function whose body the journal exchanges: closures and methods
 * made from code nested in the old body get what is nested in the new one.
 * Also before a journal is taken back. */
int hr_closure_follow(struct hr_plan *p, struct hr_journal *j);
/* Are there functions made from code nested in this code? */
int hr_nest_is_alive(PyObject *code);

/* -- import.c: `from m import x` ---------------------------------------------
 */

/* What the `from X import` of a block copy, not those in functions: a new list
 * of (module, name, as), with "*" for a star. */
PyObject *hr_import_read(struct hr_unit *u, const char *text,
                         const struct hr_block *b);
/* What an import statement binds: {name: (module, attribute or None)}. */
int hr_import_add_sources(PyObject *dict, const char *text,
                          const struct hr_block *b, PyObject *sources);
/* Is the name one that a star imports?  `all` is the module's __all__, or
 * NULL. */
int hr_import_is_public(PyObject *all, PyObject *name);
/* Add the names that stars of a block have copied, and that are still what
 * they copied. */
int hr_import_add_star_names(struct hr_unit *u, const char *text,
                             const struct hr_block *b, PyObject *names);
/* Is the name of a package one of its submodules? */
int hr_import_is_submodule(struct hr_unit *u, PyObject *name);
/* Does a statement behind the import bind the name again?  1, 0, or -1. */
int hr_import_is_bound_later(const char *text, const struct hr_blocks *blocks,
                             const struct hr_block *import, PyObject *name);

/* -- importing.c: imports in a batch -----------------------------------------
 */

/* Run one import statement by its words.  1 when it was handled, 0 when it has
 * to be run as any other. */
int hr_importing_run(struct hr_unit *u, const struct hr_block *block);
/* Around code that runs in a unit: what it imports is as the batch has it.
 * End it also after a failure. */
struct hr_importing {
    PyObject *name, *builtins, *made; /* owned, or NULL */
};
int hr_importing_begin(struct hr_unit *u, struct hr_importing *hook);
void hr_importing_end(struct hr_importing *hook);
/* Copies from other modules of the batch that still hold the old values, in
 * the shadow: as the batch will have them. */
int hr_importing_refresh(struct hr_unit *u);

/* -- value.c: what is known to have no effect --------------------------------
 */

/* Is it of a type without side effects? */
int hr_value_is(PyObject *o);
/* Does the variable still hold what it was given? */
int hr_value_still_is(PyObject *current, PyObject *old);
/* A class whose attributes are looked up as usual. */
int hr_value_is_class(PyObject *o);
/* An enumeration, of the library's metaclass. */
int hr_value_is_enumeration(PyObject *o);
/* What a member of one has under `name` or `value`, or what an enumeration has
 * under the name of a member.  Borrowed or NULL. */
PyObject *hr_value_of_member(PyObject *o, PyObject *attribute);
/* A function or class that may be called with values. */
int hr_value_is_function(PyObject *o);
/* A method without effect: of what surely is a value, or of what would else
 * fail; an attribute. */
int hr_value_has_method(PyObject *name, int surely);
int hr_value_has_attribute(PyObject *name);

/* -- pure.c: what can be computed again --------------------------------------
 */

/* Where names are looked up.  Owned. */
struct hr_world {
    PyObject *globals, *locals; /* dicts; locals NULL: of a module */
    PyObject *proxies;          /* list of stand-ins (worlds.c), or NULL */
    PyObject *cls;              /* borrowed: name of the class, or NULL */
    int lazy;                   /* annotations are not evaluated */
    PyObject *fresh;            /* borrowed: the name whose object may be
                                   changed; NULL: any */
};
/* May the expression be computed in that world without anybody noticing? */
int hr_pure_is_expression(const struct hr_world *w, PyObject *node);
/* The same for a list of statements; what they assign is added to `targets`,
 * when not NULL.  Besides assignments and `if`: */
#define HR_PURE_ADDS 1    /* X += 1 */
#define HR_PURE_DEFINES 2 /* definitions, imports */
#define HR_PURE_REPEATS 4 /* loops, `try` */
#define HR_PURE_SETS 8    /* X[k] = v, X.append(v) */
int hr_pure_are_statements(const struct hr_world *w, PyObject *list, int flags,
                           PyObject *targets);

/* -- build.c: compound statements that build what one name holds -------------
 */

/* Do the statements of a tree nothing but build what the name holds? */
int hr_build_is_all(PyObject *tree, PyObject *name);

/* -- syntax.c: a piece of a text as a syntax tree ----------------------------
 */

/* The list of its statements; `tail` is put behind. */
PyObject *hr_syntax_parse(struct hr_unit *u, const char *text, size_t size,
                          const char *tail);
/* Is it a node of that kind? */
int hr_syntax_is(PyObject *node, const char *kind);
/* A field of a node; None when it has no such field.  Borrowed. */
PyObject *hr_syntax_get(PyObject *node, const char *field);
/* Visit all nodes, until one gives another status than 0. */
int hr_syntax_walk(PyObject *node, int (*visit)(PyObject *node, void *arg),
                   void *arg);
/* The code of an expression; do two mean the same? */
PyObject *hr_syntax_compile(struct hr_unit *u, PyObject *expression);
int hr_syntax_is_same(struct hr_unit *u, PyObject *a, PyObject *b);
/* Visit the defaults of an `arguments` node, the annotations of a definition:
 * each with the name of its parameter. */
int hr_syntax_each_default(PyObject *arguments,
                           int (*visit)(PyObject *name, PyObject *node,
                                        void *arg),
                           void *arg);
int hr_syntax_each_annotation(PyObject *function,
                              int (*visit)(PyObject *name, PyObject *node,
                                           void *arg),
                              void *arg);

/* -- word.c: which words may stand in a text ---------------------------------
 */

/* For free(). */
struct hr_words *hr_word_list(const char *text, size_t size);
/* Does the text, of which these are the words, have one with that hash? */
int hr_word_may_have(const struct hr_words *w, const char *text, size_t size,
                     PyObject *word, uint64_t hash);
/* May it import by a star from a module, or package, if it knows the last part
 * of the name? */
int hr_word_may_star(const struct hr_words *w, int knows_last, int is_package);
/* The hash of a word; -1 with an exception. */
int hr_word_hash(PyObject *word, uint64_t *hash);
/* Is the name a word of this text? */
int hr_word_is_in(const char *text, size_t size, PyObject *name);
/* May it be one? */
int hr_word_may_be_in(const char *text, size_t size, PyObject *name);

/* -- derive.c: copies and constants in other places --------------------------
 */

/* All that follows from the values that the units of the plan have changed. */
int hr_derive(struct hr_plan *p);

/* -- heir.c, model.c: what has to do with a class that was made again --------
 */

/* Make again what inherits from it and is made from its members. */
int hr_heir_plan(struct hr_plan *p, struct hr_unit **at);
/* After the commit: models of pydantic that have a field of a class that
 * changed. */
int hr_model_rebuild(struct hr_plan *p);

/* -- abstract.c --------------------------------------------------------------
 */

int hr_abstract_is_abc(PyObject *meta);
/* Which members are abstract, of the classes of the plan and of what inherits
 * from them. */
int hr_abstract_plan(struct hr_plan *p);

/* -- relayout.c: statements that are written otherwise -----------------------
 */

/* Pair the code in two statements that mean the same: {(line, name): [(old,
 * new), ...]}. */
int hr_relayout_add(PyObject *pairs, struct hr_unit *u,
                    const struct hr_block *a, const struct hr_block *b,
                    PyObject *const *classes, int depth);
/* The code on its new lines; NULL without an exception when there is none. */
PyObject *hr_relayout_find(PyObject *pairs, PyObject *code);

/* -- shift.c, line.c: functions that only moved
 * ---------------------------------------- */

/* Blocks of the old text whose line changed. */
struct hr_move {
    int first, last, delta;
    const struct hr_block *block; /* borrowed; NULL: the head of a class */
    int found;                    /* a function of it was */
};
/* The moves of one module, and how far they are done. */
#define HR_LINES_SLICE 50
struct hr_lines {
    struct hr_unit *u;
    struct hr_move *moves; /* owned: ascending */
    size_t count;
    PyObject *items, *seen; /* owned */
    PyObject *pairs;        /* owned: see relayout.c */
    Py_ssize_t next;
    int searched; /* the heap was */
};
/* shift.c: find what moved in a module; after a failure as well, end it. */
int hr_shift_find(struct hr_unit *u, struct hr_lines *lines);
/* A journal of new line numbers for the next functions of a module that lie in
 * the moved blocks and whose bodies the plan does not exchange.  1: there are
 * more; each journal is to be committed before the next is asked for. */
int hr_line_next(struct hr_lines *lines, struct hr_journal *j);
void hr_line_end(struct hr_lines *lines);

#endif /* HR_CODE_H */
