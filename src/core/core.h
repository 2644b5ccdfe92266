/* What the files of the core share: the state of the module, and for each
 * file the functions that others may call.  The file's name is the prefix of
 * its functions.
 *
 * Conventions.  Unless a line says otherwise a function needs the GIL, takes
 * borrowed references, returns -1 or NULL with an exception set, and 0 or a
 * new reference otherwise.  `st` is the module's state.
 */
#ifndef HR_CORE_H
#define HR_CORE_H

#include "compat.h"
#include <pthread.h>
#include <limits.h>
#include <stdint.h>
#include <time.h>

#include "watch/watch.h"

struct hr_journal;
struct hr_run;
struct hr_engine;
struct hr_control;
struct hr_source;
struct hr_plan;

/* A line of the log is one sentence behind this prefix. */
#define HR_PREFIX "[HotReload]: "

struct hr_state {
    PyObject *module;            /* borrowed: the module that owns us */
    PyTypeObject *patch_type;    /* owned */
    PyTypeObject *revision_type; /* owned */
    PyTypeObject *edit_type;     /* owned */
    PyObject *rude_edit;         /* owned: exception class */
    PyObject *interrupted;       /* owned: exception class */
    PyObject *patches;           /* owned: list of the active Patch objects */
    PyObject *revisions;         /* owned: list of Revision */
    PyObject *callbacks;         /* owned: list of on_revision() callables */
    PyObject *logger;            /* owned, or NULL: logging's "hot_reload" */
    PyObject *trampolines;       /* owned, or NULL: see trampoline.c */
    PyObject *retired;           /* owned: list, see retire.c */
    Py_ssize_t retired_after_walk;
    PyObject *lineage;        /* owned: list of (code, later code) */
    PyObject *old_code;       /* owned: list, see frames.c */
    PyObject *originals;      /* owned: list, see original.c */
    PyObject *outdated;       /* owned: list, see wrapper.c */
    PyObject *awaited;        /* owned: set of paths, see await.c */
    PyObject *settings;       /* owned: dict of the public settings */
    struct hr_run *run;       /* the live run in progress, innermost */
    unsigned long run_thread; /* whose run it is */
    long next_revision, next_run, next_commit, next_layer;
    int fork_locked;
    int64_t compile_ns;       /* what compiling for the last plan took */
    unsigned long planning;   /* the thread that makes a plan; 0: none does */
    struct hr_plan *plan;     /* borrowed: which one */
    int frozen;               /* see made.c */
    PyObject *twins;          /* owned: list, see preview.c */
    struct hr_engine *engine; /* owned, or NULL while not started */
    int engines;              /* with those that are stopped, but still used */
    /* Followed files, see text.c. */
    struct hr_source *sources;       /* owned: list */
    struct hr_source **source_table; /* owned: by path */
    size_t source_count, source_slots;
    uint64_t modules_seen; /* see hr_source_look() */
    Py_ssize_t adopted;    /* see hr_adopt_modules() */
    PyObject *adopted_last;
    void *hidden;          /* owned: see hr_heap_hide_frozen() */
    int64_t process_began; /* seconds since the epoch; 0: not yet asked for */
    PyObject *left; /* owned: {path: hash} of what ran at the last stop() */
    pthread_mutex_t texts;
};

/* When a save went through the stages, CLOCK_MONOTONIC in nanoseconds. */
struct hr_moment {
    int64_t saved_ns, ready_ns, gil_ns;
};

static inline struct hr_state *
hr_state_of(PyObject *module)
{
    return (struct hr_state *)PyModule_GetState(module);
}

/* Calls nothing of Python; for values that end up in a C long long. */
static inline int64_t
hr_clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Room for one more item of an array that doubles: the array, moved or not.
 * NULL with an exception, and then it is as it was. */
static inline void *
hr_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    size_t more = *capacity ? *capacity * 2 : 8;
    void *grown = PyMem_Realloc(items, more * size);
    if (grown == NULL) {
        return PyErr_NoMemory();
    }
    *capacity = more;
    return grown;
}

/* A public setting (a bool or an int), 0 when it is not there. */
long hr_setting(struct hr_state *st, const char *name);

/* -- method.c: the functions of the module ---------------------------------
 */

extern PyMethodDef hr_method_table[];

/* -- log.c ---------------------------------------------------------------- */

/* One sentence through the program's logger; never fails, keeps the current
 * exception.  `level` is logging's number. */
void hr_log(struct hr_state *st, int level, const char *format, ...);
/* The same for the current exception, with its traceback; clears it. */
void hr_log_exception(struct hr_state *st, const char *format, ...);

/* Raise RudeEdit with a code and a sentence; returns -1. */
int hr_rude(struct hr_state *st, const char *code, const char *format, ...);

/* -- function.c: exchange of function bodies ------------------------------ */

#define HR_AS_FUNCTION(o) ((PyFunctionObject *)(o))

/* A new function with the body of `f`; cells of f's closure whose content is
 * `from` are replaced by `cell` (NULL: keep all cells). */
PyObject *hr_function_clone(PyObject *f, PyObject *from, PyObject *cell);
/* What must happen before the commit: monitoring events follow. */
int hr_function_prepare(PyObject *f, PyObject *holder);
/* Exchange the bodies of two functions.  Runs no Python, cannot fail. */
void hr_function_exchange(PyObject *f, PyObject *holder);
/* Tell function watchers and audit hooks of a commit, after it. */
void hr_function_notify(PyObject *f);
/* Where a function has its name (key "__name__"), "__qualname__" or
 * "__module__", which are no part of its body. */
PyObject **hr_function_name_slot(PyObject *f, PyObject *key);
/* A holder is only ever in a journal. */
void hr_function_mark_holder(PyObject *holder);
int hr_function_is_holder(PyObject *function);
/* The code and dict of a holder, before it is used. */
void hr_function_set_code(PyObject *holder, PyObject *code);
void hr_function_share_dict(PyObject *holder, PyObject *f);
/* The doc string that a code object brings, or None.  Borrowed. */
PyObject *hr_function_doc_of(PyObject *code);
/* The holder has its code's doc: where the program, or a decorator, has given
 * f another than its code's, that stays. */
void hr_function_keep_doc(PyObject *holder, PyObject *f);

/* -- retire.c: bodies that are not in force but may still run ------------- */

/* Release a holder whose body may still be running; steals the reference. */
void hr_retire_body(struct hr_state *st, PyObject *holder);
/* Let go of the retired bodies that run no more; `fully`: walk the heap. */
void hr_retire_sweep(struct hr_state *st, int fully);

/* -- trampoline.c: functions that call something else --------------------- */

/* A new function that calls `target` and is of the same kind (plain,
 * generator, coroutine, asynchronous generator). */
PyObject *hr_trampoline_new(struct hr_state *st, PyObject *target);
/* A functools.partial, or of a subclass of it? */
int hr_trampoline_is_partial(PyObject *o);
/* The same for `call(self, ...)`, which drops self. */
PyObject *hr_trampoline_without_self(struct hr_state *st, PyObject *target);

/* -- class.c: exchange of classes in place -------------------------------- */

/* Once, with any class made by a class statement. */
void hr_class_init(PyObject *type);
/* 1 when the class can be changed in place (made by a class statement). */
int hr_class_is_open(PyObject *type);
/* 1 when it was made by a class statement, not by a module written in C. */
int hr_class_is_from_statement(PyTypeObject *type);
/* A new class with the content of `type`; its methods' super() works.  None
 * of the program's code runs (no metaclass, no __init_subclass__). */
PyObject *hr_class_clone(struct hr_state *st, PyObject *type);
/* Plan: `type` takes the content of `donor`.  `original` stands for `type`
 * among the donor's bases.  It will be in force on the layer. */
int hr_class_plan(struct hr_state *st, struct hr_journal *j, PyObject *type,
                  PyObject *donor, PyObject *original, long layer);
/* Plan one attribute (or, name NULL, the bases) of it, whatever is there: what
 * the donor has for it, or shall have. */
int hr_class_plan_part(struct hr_journal *j, PyObject *type, PyObject *donor,
                       PyObject *original, PyObject *name, PyObject *value);
/* Plan: attribute `name` of `type`, which is `old` (NULL: absent), becomes
 * `value` (NULL: goes), keeping the identity of functions. */
int hr_class_plan_attribute(struct hr_state *st, struct hr_journal *j,
                            PyObject *type, PyObject *name, PyObject *old,
                            PyObject *value);
/* A second class that is done with: its bases do not list it any more. */
void hr_class_hide(PyObject *type);
/* type.__setattr__ without a metaclass's; value NULL deletes. */
int hr_class_set(PyObject *type, PyObject *name, PyObject *value);
/* The slot for __new__ of a class that may have lost it. */
void hr_class_restore_new(PyTypeObject *type);

/* -- layout.c: the memory of instances, and the bases that decide it ------ */

/* May `type`, of that metaclass, take the content of `donor`?  -1 with a
 * RudeEdit if not. */
int hr_layout_check(struct hr_state *st, PyObject *type, PyObject *donor,
                    PyTypeObject *meta);
/* May classes change from one metaclass to the other? */
int hr_layout_is_same_meta(PyTypeObject *from, PyTypeObject *to);
/* The built-in class that decides the memory.  Borrowed. */
PyTypeObject *hr_layout_solid_base(PyTypeObject *type);
/* The first base that no class statement made.  Borrowed. */
PyTypeObject *hr_layout_static_base(PyTypeObject *type);
/* type.__bases__ = bases, where the layouts allow it. */
int hr_layout_set_bases(PyObject *type, PyObject *bases);
/* The same for a class and a metaclass that is laid out alike. */
void hr_layout_set_meta(PyObject *type, PyObject *meta);
/* o.__class__ = type, likewise; none of the program's code runs. */
int hr_layout_set_class(PyObject *o, PyObject *type);

/* -- enum.c: enumerations keep their members ------------------------------ */

/* For replace(): the donor or, for an enumeration, a copy of it that has the
 * members of `type`, which must be the same.  A new reference. */
PyObject *hr_enum_stand_in(struct hr_state *st, PyObject *type,
                           PyObject *donor, long layer);

/* -- transfer.c: values that move from one class to another --------------- */

struct hr_transfer {
    PyObject *from;      /* borrowed: the class that the values come from */
    PyObject *cell;      /* owned: a cell that holds the class they go to */
    int opaque;          /* a value was met that could not be cloned */
    struct hr_state *st; /* or NULL: cells are as they are */
    long layer;          /* what lies on it does not count for cells */
};

/* The value as it belongs into the other class. */
PyObject *hr_transfer_value(struct hr_transfer *m, PyObject *value);
/* A cell that reads as m->from, which super() works with, behind a member of
 * the class: where hr_transfer_value() cannot reach.  A new reference, or
 * NULL without an exception. */
PyObject *hr_transfer_find_cell(struct hr_transfer *m, PyObject *value);
/* The attributes of a property that are functions. */
extern const char *const hr_transfer_property_parts[3];

/* -- abstract.c: what ABCMeta keeps about classes --------------------------
 */

/* After a swap: what isinstance() has cached about classes that got other
 * attributes or bases. */
void hr_abstract_forget(struct hr_journal *j);

/* -- journal.c: places and values, exchanged whole ------------------------ */

enum hr_place {
    HR_PLACE_FUNCTION, /* owner: function; value: function, the holder */
    HR_PLACE_DICT,     /* owner: dict; key: str; value or NULL */
    HR_PLACE_TYPE,     /* owner: class; key: str; value or NULL */
    HR_PLACE_BASES,    /* owner: class; value: tuple */
    HR_PLACE_META,     /* owner: class; value: its metaclass */
    HR_PLACE_CELL,     /* owner: cell; value or NULL */
    HR_PLACE_LIST,     /* owner: list; key: the item now there; value */
    HR_PLACE_METHOD,   /* owner: bound method; value: its function */
    HR_PLACE_NAME,     /* owner: function; key: "__name__", "__qualname__" or
                          "__module__"; value: str */
};

struct hr_journal *hr_journal_new(void);
int hr_journal_add(struct hr_journal *j, enum hr_place place, PyObject *owner,
                   PyObject *key, PyObject *value);
/* The i-th swap's key (borrowed), or NULL. */
PyObject *hr_journal_key(struct hr_journal *j, size_t i);
size_t hr_journal_count(const struct hr_journal *j);
/* What it has put somewhere is only taken back where it is still there: the
 * program may have set the place since.  Before anything is added. */
void hr_journal_set_gentle(struct hr_journal *j);
/* What a gentle journal puts into its i-th place; borrowed, or NULL. */
PyObject *hr_journal_placed(struct hr_journal *j, size_t i);
/* Room for more swaps, so that appending them cannot fail. */
int hr_journal_reserve(struct hr_journal *j, size_t more);
int hr_journal_append(struct hr_journal *j, struct hr_journal *more);
/* The i-th swap's owner and value (borrowed) when it is of that kind. */
int hr_journal_get(struct hr_journal *j, size_t i, enum hr_place place,
                   PyObject **owner, PyObject **value);
/* All of the i-th swap (borrowed). */
enum hr_place hr_journal_place(struct hr_journal *j, size_t i,
                               PyObject **owner, PyObject **key,
                               PyObject **value);
/* Another value for the i-th swap, before the commit. */
void hr_journal_put(struct hr_journal *j, size_t i, PyObject *value);
/* Exchange all: commits a fresh journal, takes back a committed one.  Runs no
 * Python code.  -1 only when memory ran out or a class refused its bases, and
 * then nothing has changed. */
int hr_journal_swap(struct hr_journal *j);
/* After a swap: watchers and audit hooks, then old values are let go by
 * whoever frees the journal. */
void hr_journal_notify(struct hr_journal *j);
void hr_journal_free(struct hr_state *st, struct hr_journal *j);
int hr_journal_traverse(struct hr_journal *j, visitproc visit, void *arg);

/* -- place.c: which places a journal has ---------------------------------- */

/* 1 when `j` (or NULL) has that place: the value that it holds for it goes to
 * *value (borrowed), which is left alone otherwise. */
int hr_place_peek(struct hr_journal *j, enum hr_place place, PyObject *owner,
                  PyObject *key, PyObject **value);
/* Do two journals (or NULL) have a place in common? */
int hr_place_meets(struct hr_journal *a, struct hr_journal *b);
/* In *copy, a copy of `dict` that is made when there is none yet: what the
 * dict of `owner` would hold without this committed journal. */
int hr_place_lift_dict(struct hr_journal *j, enum hr_place place,
                       PyObject *owner, PyObject *dict, PyObject **copy);
int hr_place_has(struct hr_journal *j, enum hr_place place, PyObject *owner);
/* As hr_journal_add(); a value that is planned for the place already is
 * replaced. */
int hr_place_replace(struct hr_journal *j, enum hr_place place,
                     PyObject *owner, PyObject *key, PyObject *value);
/* As if the committed, gentle journal had made the place what it is. */
int hr_place_add_committed(struct hr_journal *j, enum hr_place place,
                           PyObject *owner, PyObject *key, PyObject *value);
/* Plan `value` for every place of one kind that `other` has changed, and the
 * program has not changed since, and `j` does not change. */
int hr_place_add_owners(struct hr_journal *j, struct hr_journal *other,
                        enum hr_place place, PyObject *value);

/* -- heap.c: all containers, in slices -------------------------------------
 */

/* Is this one wanted?  Runs no Python, allocates and releases nothing. */
typedef int hr_heap_wanted(PyObject *o, void *arg);
/* A new list of all containers that are wanted, also those that gc.freeze()
 * has hidden (to 3.13).  `slices`: others run in between; then whatever the
 * caller knew of the program may have changed. */
PyObject *hr_heap_find(struct hr_state *st, hr_heap_wanted *wanted, void *arg,
                       int slices);
/* Take what the program itself has frozen out of gc.freeze()'s list, and put
 * it back.  1, or 0 where that cannot be done. */
int hr_heap_hide_frozen(struct hr_state *st);
void hr_heap_show_frozen(struct hr_state *st);

/* -- patch.c: the registry ------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *owner;    /* owned */
    PyObject *name;     /* owned: str */
    PyObject *before;   /* owned: the object that keeps its identity */
    PyObject *original; /* owned: runs the original */
    PyObject *after;    /* owned: the replacement as handed over */
    PyObject *file;     /* owned: str or None, of the replacement */
    PyObject *live;     /* owned: name of the live file, or None */
    PyObject *path;     /* owned: its path, or NULL */
    long line;
    double since; /* seconds since the epoch */
    long touched; /* number of the run that last made it */
    long commit;  /* number of the commit that is in force */
    long layer;   /* see layer.c */
    int active;
    int by_owner; /* the owner's attribute only, not the object itself */
    struct hr_journal *journal; /* owned: committed while active */
} hr_patch;

/* What a replace() or restore() did, so that a failed run can undo it. */
struct hr_action {
    hr_patch *patch;                      /* owned */
    long commit, old_commit;              /* numbers: after it, and before */
    struct hr_journal *old;               /* owned: what was in force before */
    PyObject *after, *file, *live, *path; /* owned: likewise */
    long line;
    double since;
    int was_active, replaced;
};

struct hr_run {
    struct hr_run *outer;
    PyObject *globals; /* borrowed: the live module's dict */
    PyObject *name;    /* borrowed: the live file's name */
    PyObject *path;    /* borrowed: and its path */
    long number;
    struct hr_action *actions;
    size_t count, capacity;
};

extern PyType_Spec hr_patch_spec;
/* The same callable: identical, or bound methods of one function and self. */
int hr_patch_is_same(PyObject *a, PyObject *b);
/* Is this what has been put somewhere in place of the replaced thing? */
int hr_patch_has_put(hr_patch *p, PyObject *o);
/* The active patch that `func` belongs to, as original, current function or
 * replacement; `owner` (NULL: any) tells replacements used twice apart.
 * Borrowed, or NULL without an exception. */
hr_patch *hr_patch_find(struct hr_state *st, PyObject *owner, PyObject *func);
/* Put a plan in force for a patch, in place of what is; steals j (NULL:
 * back to the original). */
int hr_patch_commit(struct hr_state *st, hr_patch *patch, struct hr_journal *j,
                    PyObject *after, PyObject *file, long line);
int hr_patch_restore(struct hr_state *st, hr_patch *patch);
int hr_patch_roll_back(struct hr_state *st, struct hr_run *run);
void hr_patch_forget(struct hr_state *st, struct hr_run *run);
/* The run of the calling thread, or NULL. */
struct hr_run *hr_patch_run(struct hr_state *st);
PyObject *hr_patch_list(struct hr_state *st);

/* -- find.c: references on the heap --------------------------------------- */

/* Add to `j` a swap to `to` for every place in the program's own modules that
 * holds `from`.  Not in the standard library, site-packages or live files. */
int hr_find_plan_holders(struct hr_journal *j, PyObject *from, PyObject *to);
/* Before a replacement of that kind is taken back: modules that were imported
 * since, and have got the replacement under the name of what it replaced. */
int hr_find_add_late(hr_patch *p);
/* The same for bound methods (self, func) but the one `but`: they get the
 * function `to`. */
/* What the garbage collector knows to hold it: a new list. */
PyObject *hr_find_referrers(PyObject *o);
int hr_find_plan_methods(struct hr_journal *j, PyObject *self, PyObject *func,
                         PyObject *to, PyObject *but);

/* -- layer.c: what lies on what ------------------------------------------- */

#define HR_LAYER_SOURCES 0    /* beneath all replacements */
#define HR_LAYER_TOP LONG_MAX /* on all of them */

/* What a place holds beneath a layer and all above it goes to *value
 * (borrowed), which is left alone when they do not touch it. */
void hr_layer_peek(struct hr_state *st, long layer, enum hr_place place,
                   PyObject *owner, PyObject *key, PyObject **value);
/* The same for all names of a dict, or of a class: a new reference to the
 * dict itself or, where it is another beneath them, to a copy. */
PyObject *hr_layer_dict(struct hr_state *st, long layer, enum hr_place place,
                        PyObject *owner);
/* The function that holds the original body of f: itself, or a holder while f
 * is replaced.  Borrowed. */
PyObject *hr_layer_body(struct hr_state *st, PyObject *f);
/* The function whose original body is in f: itself, that of which it is the
 * holder while that is replaced, or NULL.  Borrowed. */
PyObject *hr_layer_owner(struct hr_state *st, PyObject *f);
/* On a layer: take `old` back and put `new` in force, beneath what lies on
 * them; either may be NULL.  Cannot fail but as hr_journal_swap() does. */
int hr_layer_exchange(struct hr_state *st, long layer, struct hr_journal *old,
                      struct hr_journal *new);
/* Commit what sources say, or take it back, beneath all replacements.  These
 * stay in force, and their originals follow. */
int hr_layer_swap_sources(struct hr_state *st, struct hr_journal *j);

/* -- mirror.c: originals and covers follow the sources -------------------- */

/* What the original of a replaced class or wrapper needs, to follow the
 * sources' journal j. */
int hr_mirror_plan(struct hr_state *st, struct hr_journal *j, hr_patch *p,
                   struct hr_journal *mirror);
/* The function in `copy`, a copy of `o`, that stands for f in it.  A new
 * reference; NULL, perhaps with an exception, when f is not in there. */
PyObject *hr_mirror_find(PyObject *o, PyObject *copy, PyObject *f);
/* Is a class replaced by a class? */
int hr_mirror_is_class(hr_patch *p);
/* What `p` must change besides, to stay visible on top of the sources'
 * journal j, which changes another place of the same thing. */
int hr_mirror_plan_cover(struct hr_state *st, struct hr_journal *j,
                         hr_patch *p, struct hr_journal *cover);

/* -- original.c: functions that run what a replaced one was --------------- */

/* They belong together for as long as somebody holds both. */
int hr_original_note(struct hr_state *st, PyObject *original, PyObject *f);
/* What the original is of, for that owner: a new reference, or NULL when it is
 * none.  Never fails. */
PyObject *hr_original_find(struct hr_state *st, PyObject *owner,
                           PyObject *original);
/* The original that f had, or a new one. */
PyObject *hr_original_make(struct hr_state *st, PyObject *f);
/* The same for what is not replaced yet, a function or a bound method; a new
 * reference to itself for what has no body. */
PyObject *hr_original_give(struct hr_state *st, PyObject *o);
/* What all originals need to follow the sources' journal j. */
int hr_original_mirror(struct hr_state *st, struct hr_journal *j,
                       struct hr_journal *mirror);

/* -- renew.c: what is in force of a replacement follows the sources ------- */

/* What the copies of the replacement need, to follow the first swaps of a
 * journal: bodies, to be exchanged while `p` is taken back. */
int hr_renew_plan(struct hr_state *st, struct hr_journal *j, size_t count,
                  hr_patch *p, struct hr_journal *mirror);

/* -- circle.c: a replacement that reaches itself -------------------------- */

/* Say so in the log, where it can be read from the code.  Never fails. */
void hr_circle_warn(struct hr_state *st, hr_patch *p);

/* -- request.c: what a call of replace() asks for ------------------------- */

/* What was asked for, as far as it is known. */
struct hr_request {
    struct hr_state *st;
    PyObject *owner, *after;  /* borrowed */
    PyObject *asked;          /* borrowed: `before` as it was handed over */
    PyObject *second;         /* borrowed: another module that holds it */
    PyObject *second_name;    /* owned, or NULL */
    PyObject *before;         /* owned: keeps its identity */
    PyObject *name;           /* owned */
    PyObject *raw;            /* owned: what stands in the owner's dict */
    PyObject *original;       /* owned: runs the original; NULL until made */
    hr_patch *patch;          /* owned: when it is replaced already */
    struct hr_journal *force; /* borrowed: the patch's journal or NULL */
    long layer;               /* that it is planned for */
    int by_owner;             /* the owner's attribute only is replaced */
    int live;                 /* a live file asks */
};

/* Plan it, and fill in the rest of the request. */
int hr_request_plan(struct hr_request *r, struct hr_journal *j);
void hr_request_clear(struct hr_request *r);

/* -- owner.c: finding what is to be replaced in its owner ----------------- */

/* A static or class method? */
int hr_owner_is_method(PyObject *o);
/* One, or a property: CPython's own wrappers of functions. */
int hr_owner_is_wrapper(PyObject *o);
/* The attributes by which these have them, of any of the kinds. */
extern const char *const hr_owner_wrapped[];
/* The function behind a static or class method or a bound method, or the
 * object itself.  New reference. */
PyObject *hr_owner_get_inner(PyObject *o);
/* None, a number, a string: the same object by chance. */
int hr_owner_is_plain(PyObject *o);
/* Look for `wanted` among a dict's values, or in a class (2: in a base): then
 * r->name and r->raw are what was found. */
int hr_owner_find_in_dict(struct hr_request *r, PyObject *dict,
                          PyObject *wanted);
int hr_owner_find_in_class(struct hr_request *r, PyTypeObject *type,
                           PyObject *wanted);
/* Has the owner, a class, what the patch replaces from a base only?  Then it
 * is replaced for this class. */
int hr_owner_inherits(struct hr_request *r, PyObject *owner, hr_patch *p);
/* Raise that the owner does not hold r->before; returns -1. */
int hr_owner_fail(struct hr_request *r);
/* `before` is what replaced something else, and the owner's own attribute
 * besides: then it is that attribute that is meant. */
int hr_owner_holds_itself(struct hr_request *r, PyObject *before);
/* The owner is another one than that of the patch: does it hold it, too? */
int hr_owner_check(struct hr_request *r, PyObject *owner);

/* -- meaning.c: what the original's name means ---------------------------- */

/* What takes the original's place: the replacement, or a copy of it that calls
 * the original where the replacement would call itself.  A new reference. */
PyObject *hr_meaning_replacement(struct hr_request *r, PyObject *after);
/* In the live file, names of what was replaced now mean the original; in a
 * module that helps it, for as long as it is replaced, by the journal. */
int hr_meaning_keep_names(struct hr_request *r, struct hr_journal *j);

/* -- replace.c: replace() and restore() ----------------------------------- */

PyObject *hr_replace(struct hr_state *st, PyObject *owner, PyObject *before,
                     PyObject *after);
PyObject *hr_restore(struct hr_state *st, PyObject *owner, PyObject *func);
PyObject *hr_restore_all(struct hr_state *st);
PyObject *hr_original(struct hr_state *st, PyObject *func);

/* -- revision.c ------------------------------------------------------------
 */

#define HR_REVISIONS_UNDOABLE 32
#define HR_REVISIONS_KEPT 200

typedef struct {
    PyObject_HEAD
    struct hr_state *st;        /* lives in `module` */
    PyObject *module;           /* owned */
    PyObject *files, *edits;    /* owned: lists */
    PyObject *error;            /* owned: str, or NULL */
    PyObject *texts;            /* owned: {path: (old, new)}, or NULL */
    PyObject *caches;           /* owned: list, cleared by undo(), or NULL */
    PyObject *at;               /* borrowed: the file that edits are in */
    struct hr_journal *journal; /* owned: committed, or NULL */
    struct hr_run run;          /* owned: what a live file did */
    long id;
    /* CLOCK_MONOTONIC */
    long long saved_ns, ready_ns, gil_ns, planned_ns, live_ns;
    long long split_ns, compile_ns; /* durations */
    double wall;
    char ok, undone, undoable, is_live, kept;
} hr_revision;

extern PyType_Spec hr_revision_spec;
extern PyType_Spec hr_edit_spec;
PyObject *hr_revision_new(struct hr_state *st);
/* Number it and put it into the record, once. */
int hr_revision_keep(struct hr_state *st, PyObject *revision);
/* kind is a string constant; the other objects may be NULL. */
int hr_revision_add_edit(struct hr_state *st, PyObject *revision,
                         const char *kind, PyObject *module,
                         PyObject *qualname, long line, PyObject *code,
                         PyObject *sentence);
/* Clear the caches of a list (or NULL): each a weak reference to one, or its
 * cache_clear().  Failures are logged. */
void hr_revision_clear(struct hr_state *st, PyObject *caches);
int hr_revision_has_code(hr_revision *r, const char *code);
/* The edits of a revision in a line of the log. */
PyObject *hr_revision_name_edits(hr_revision *r);
/* The list of the revisions that were taken back. */
PyObject *hr_revision_undo(struct hr_state *st, long count);
PyObject *hr_revision_describe_exception(void);
/* Call the callbacks; never fails. */
void hr_revision_announce(struct hr_state *st, PyObject *revision);

/* -- frames.c: what still runs old code --------------------------------------
 */

/* Before a revision lets go of its journal; never fails. */
void hr_frames_keep(struct hr_state *st, hr_revision *r);
/* A list of dicts, one for each frame. */
PyObject *hr_frames_list(struct hr_state *st);

/* -- live.c: running live files --------------------------------------------
 */

/* Run one live file.  `text` is its content; NULL: the file was deleted.
 * `starting`: when it is broken, run the last working copy.  Returns the
 * revision, kept; a failure of the file is in there, reported. */
PyObject *hr_live_run(struct hr_state *st, const char *path, const char *text,
                      size_t size, const struct hr_moment *moment,
                      int starting);

/* -- working.c: copies of the live files that worked last -------------------
 */

#define HR_LAST_WORKING ".last_working" /* their folder's name */

/* Needs no GIL.  0, or an errno. */
int hr_working_save(const char *path, const char *text, size_t size);
/* The copy of a live file as bytes, None when there is none; *filename is the
 * copy's own path (owned). */
PyObject *hr_working_read(const char *path, PyObject **filename);

/* -- show.c: the text that linecache has ------------------------------------
 */

/* Make linecache show this text (bytes or str) for the file. */
void hr_show_text(PyObject *filename, PyObject *text);
/* What it has for the file, or NULL without an exception: to be shown again
 * when a run has failed, and what is in effect is of the text of then. */
PyObject *hr_show_get(PyObject *filename);
void hr_show_again(PyObject *filename, PyObject *entry);
/* It shall read the file when it is asked for it. */
void hr_show_forget(PyObject *filename);

/* -- gil.c: taking the GIL soon --------------------------------------------
 */

/* As PyEval_RestoreThread(), but makes a busy holder let go at once. */
void hr_gil_take(PyThreadState *ts);
/* Let others run for a moment. */
void hr_gil_pause(void);
void hr_gil_after_fork(void);

/* -- schedule.c: the engine ------------------------------------------------
 */

/* Each needs the GIL and may release it. */
int hr_schedule_start(struct hr_state *st, PyObject *roots, PyObject *live,
                      PyObject *skip);
int hr_schedule_stop(struct hr_state *st);
PyObject *hr_schedule_undo(struct hr_state *st, long count);
int hr_schedule_before_fork(struct hr_state *st);
int hr_schedule_after_fork(struct hr_state *st, int in_child);
/* Watch a followed file; text is what runs now. */
int hr_schedule_watch(struct hr_state *st, const char *path, const char *text,
                      size_t size);
PyObject *hr_schedule_roots(struct hr_state *st); /* borrowed, or NULL */
int hr_schedule_add_status(struct hr_state *st, PyObject *dict);
/* There is news of the revisions. */
void hr_schedule_announce(struct hr_state *st);

/* -- thread.c: the engine's thread -----------------------------------------
 */

/* Is the caller the engine's own thread? */
int hr_thread_is_own(struct hr_state *st);
/* Releases the GIL.  1 when all is live, 0 when the time ran out. */
int hr_thread_sync(struct hr_state *st, double timeout);

/* -- apply.c: files that run without a save --------------------------------
 */

/* Releases the GIL.  The last revision. */
PyObject *hr_apply_run(struct hr_state *st, PyObject *paths);
/* Does the file lie in a folder of live files? */
int hr_apply_is_in_live(struct hr_state *st, const char *path);

/* -- control.c: the socket of the command line ------------------------------
 */

/* NULL where it is turned off; failures are logged. */
struct hr_control *hr_control_open(struct hr_state *st);
void hr_control_close(struct hr_control *c);
/* To be polled for reading; -1: none. */
int hr_control_descriptor(const struct hr_control *c);
/* There is news of the revisions; from any thread. */
void hr_control_announce(struct hr_control *c);
void hr_control_after_fork(struct hr_control *c);
/* The folders in which sockets may be: a list of str. */
PyObject *hr_control_folders(void);

/* -- client.c: who is connected to it --------------------------------------
 */

/* When the descriptor is readable, in the engine's thread, without the GIL. */
PyThreadState *hr_client_serve(struct hr_control *c, PyThreadState *ts);

#endif /* HR_CORE_H */
