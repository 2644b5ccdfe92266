/* Nested code and what is alive of it: shared by the files that follow it
 * there.  Conventions as in core.h. */
#ifndef HR_NEST_H
#define HR_NEST_H

#include "code.h"

struct hr_nest;
struct hr_nests;
struct hr_scene;

/* -- closure.c ---------------------------------------------------------------
 */

/* A live function of this nest takes the new code: 1 when that is in the
 * journal, 0 when the code needs a value that is not known. */
int hr_closure_plan(struct hr_scene *s, struct hr_journal *j,
                    struct hr_nests *n, struct hr_nest *nest);
/* Functions go on with their old code: a later edit may suit them. */
int hr_closure_remember(struct hr_plan *p, const struct hr_nest *nest);
int hr_closure_refuse(struct hr_plan *p, PyObject *qualname, PyObject *code,
                      PyObject *sentence);
/* -- site.c: what the code around a nested function does with it ------------
 */

struct hr_step {
    const char *op;  /* borrowed */
    PyObject *value; /* borrowed: what its argument stands for */
    int effect, line;
    int target; /* something jumps here */
    int jumps;
};

/* The instructions of a code object. */
struct hr_steps {
    PyObject *code;        /* borrowed */
    PyObject *list;        /* owned: of (name, value) */
    struct hr_step *steps; /* owned */
    size_t count;
};

/* Where a function is made: [start, end), its code is loaded at `load`.  The
 * parts are those of MAKE_FUNCTION: defaults, keyword defaults, annotations,
 * closure; end 0: there is none. */
struct hr_site {
    size_t start, load, end;
    size_t part[4], part_end[4];
    size_t head_end; /* where the closure begins; also when the rest cannot be
                        told; 0: the function is not made here */
};

int hr_site_read(PyObject *code, struct hr_steps *s);
int hr_site_is(const struct hr_steps *s, size_t i, const char *op);
void hr_site_clear(struct hr_steps *s);
/* The value on top of the stack before the instruction `end` is made from
 * *start on: 1, or 0 when that cannot be told. */
int hr_site_find_value(const struct hr_steps *s, size_t end, size_t *start);
PyObject *hr_site_expression(const struct hr_steps *s, size_t start,
                             size_t end);
/* These say 1, 0 when it cannot be told, -1 with an exception. */
int hr_site_find_function(const struct hr_steps *s, PyObject *code,
                          struct hr_site *site);
/* The expression that the variable, a cell, is once assigned (owned). */
int hr_site_read_variable(const struct hr_steps *s, PyObject *name,
                          PyObject **result);

/* -- header.c: the header of a nested function -------------------------------
 */

/* {parameter: expression} of defaults and annotations, NULL where they cannot
 * be told; and all that is computed for them, with the decorators.  Owned. */
struct hr_header {
    PyObject *defaults, *notes, *whole;
};

/* `outer` (or NULL) is around `s`.  -1 with an exception. */
int hr_header_read(const struct hr_steps *s, const struct hr_steps *outer,
                   PyObject *code, struct hr_header *h);
void hr_header_clear(struct hr_header *h);

/* -- outline.c: the members of a class, as its body says ---------------------
 */

/* {name: expression} of a class's body; with nested functions by name only;
 * and a tuple of all that is no member. */
struct hr_outline {
    PyObject *members, *outlines, *rest; /* owned */
};

int hr_outline_read(const struct hr_steps *s, struct hr_outline *m);
void hr_outline_clear(struct hr_outline *m);
/* A part of the code, with nested functions by name only. */
PyObject *hr_outline_make(const struct hr_steps *s, size_t start, size_t end);

/* -- nest.c: nested code, and what is alive of it ----------------------------
 */

struct hr_nest {
    PyObject *old, *new; /* owned, borrowed; new NULL: not to be told */
    PyObject *old_parent, *new_parent; /* owned, borrowed */
    PyObject *old_outer, *new_outer;   /* borrowed: theirs, or NULL */
    PyObject *found;                   /* owned: list of functions */
    /* Set when they are asked for: is a part of the header another one, and
     * can that be told?  Owned. */
    int looked, unknown, other_defaults, other_notes;
    struct hr_header was, is;
    /* Likewise: constants in the cells of the code around.  Owned. */
    PyObject *cells_were, *cells_are;
};

struct hr_nests {
    struct hr_state *st;
    struct hr_nest *items; /* owned */
    size_t count, capacity;
    struct hr_steps **read; /* owned: of parents, as far as they were read */
    size_t read_count;
    PyObject *refused; /* owned: set of addresses of functions, or NULL */
};

int hr_nest_add(struct hr_nests *n, struct hr_nest nest);
/* The instructions of a parent, kept.  NULL with an exception. */
const struct hr_steps *hr_nest_steps(struct hr_nests *n, PyObject *code);
/* Add all code nested in `old` that is nested in `new` as well, where
 * functions may be alive.  The outer ones are what they are nested in. */
int hr_nest_pair(struct hr_nests *n, PyObject *old, PyObject *new,
                 PyObject *old_outer, PyObject *new_outer);
/* Find the functions alive of each.  `slices`: others run in between. */
int hr_nest_search(struct hr_nests *n, int slices);
void hr_nest_clear(struct hr_nests *n);

/* -- match.c: which of two lists of code objects belong together -------------
 */

#define HR_MATCH_NONE (-1)
#define HR_MATCH_MANY (-2)

/* partner[i]: the index in `new` of the partner of the i-th of `old`; NONE:
 * there is none, MANY: it cannot be told which.  `n` and the parents, whose
 * instructions tell more, may be NULL. */
int hr_match_code(struct hr_nests *n, PyObject *old_parent, PyObject *old,
                  PyObject *new_parent, PyObject *new, int *partner);

/* -- known.c: values that a live closure would have --------------------------
 */

struct hr_scene {
    struct hr_plan *p;
    struct hr_journal *j; /* of the batch */
    PyObject *f;          /* borrowed: the closure, or a holder of its body */
    PyObject *self, *self_code; /* borrowed: the closure, its new code */
    PyObject *globals;          /* borrowed */
    PyObject *functions;        /* borrowed: list, those of its class; NULL */
    PyObject *type, *members;   /* borrowed: its class, what that gets; NULL */
    PyObject *cells;            /* owned: by name, those looked for, or NULL */
    const struct hr_steps *parent, *outer; /* of the new code, or NULL */
};

Py_ssize_t hr_known_index(PyObject *names, PyObject *name);
/* These say 1, 0 when it cannot be known, -1 with an exception. */
int hr_known_cell(struct hr_scene *s, PyObject *name, PyObject **cell);
/* Is the name among those of a code object? */
int hr_known_has(PyObject *code, const char *attribute, PyObject *name);

/* -- compute.c: expressions of bytecode --------------------------------------
 */

/* The value of an expression; `fresh`: it may be a new list or dict.  1, 0
 * when it cannot be known. */
int hr_compute_value(struct hr_scene *s, PyObject *expression, int fresh,
                     PyObject **value);

/* -- fit.c: the body that a live closure gets --------------------------------
 */

/* The instructions of the code around, for a scene. */
int hr_fit_set_scene(struct hr_scene *s, struct hr_nests *n,
                     const struct hr_nest *nest);
/* A holder for the live function s->f: 1, 0 when a value is not known. */
int hr_fit_make(struct hr_scene *s, struct hr_nests *n, struct hr_nest *nest,
                PyObject **holder);

/* -- local.c: classes alive that a class statement in a function made --------
 */

/* The classes to which found functions belong take the edit of their
 * statement, whole; those that cannot are refused with all their functions. */
int hr_local_follow(struct hr_plan *p, struct hr_journal *j,
                    struct hr_nests *n);

#endif /* HR_NEST_H */
