/* What changed statements see of the rest of their save: shared by reach.c and
 * preview.c. */
#ifndef HR_PREVIEW_H
#define HR_PREVIEW_H

#include "scope.h"

/* A class and its preview. */
struct hr_preview_class {
    PyObject *live, *clone; /* owned */
    PyObject *installed;    /* owned: what we have put into the clone's dict */
};

struct hr_preview {
    PyObject *clones;  /* owned: {address of what is there: its preview} */
    PyObject *bodies;  /* owned: {address of a function: planned holder} */
    PyObject *touched; /* owned: addresses of classes that the plan changes */
    PyObject *homes;   /* owned, or NULL: set of last parts of units' names */
    size_t seen;       /* swaps of the journal that are in the two */
    struct hr_preview_class *classes; /* owned */
    size_t class_count;
};

/* -- reach.c: what a statement leads to --------------------------------------
 */

enum hr_reach_kind {
    HR_REACH_FUNCTION, /* of a module of the batch */
    HR_REACH_WRAPPER,  /* of another, around one of those, perhaps */
    HR_REACH_CLASS,    /* of a module of the batch */
    HR_REACH_MODULE,   /* of the batch */
    HR_REACH_NEW,      /* made meanwhile: it sees what it should */
};

struct hr_reach_node {
    PyObject *o;       /* owned */
    struct hr_unit *u; /* whose it is, or NULL */
    enum hr_reach_kind kind;
    int affected; /* another save would give another result */
};

/* A name under which a node was found. */
struct hr_reach_place {
    PyObject *dict, *name; /* owned */
    int node;
};

struct hr_reach_edge {
    int from, to;
};

struct hr_reach {
    struct hr_plan *p;
    struct hr_preview *preview;
    PyObject *index; /* owned: {address: number of the node} */
    struct hr_reach_node *nodes;
    struct hr_reach_place *places;
    struct hr_reach_edge *edges;
    size_t node_count, place_count, edge_count;
    size_t node_room, place_room, edge_room;
};

/* All that the code can come to by names, and what of it is affected. */
int hr_reach_find(struct hr_reach *r, struct hr_unit *u, PyObject *code,
                  PyObject *ns);
/* The node of an object, or NULL. */
struct hr_reach_node *hr_reach_node(struct hr_reach *r, PyObject *o);
void hr_reach_clear(struct hr_reach *r);

/* -- preview.c ------------------------------------------------------------ */

/* {address: ...}: a borrowed value, or NULL without an exception. */
PyObject *hr_preview_lookup(PyObject *by_address, PyObject *o);
/* The preview of what a node stands for, made when there is none; o itself
 * when the save does not affect it.  New reference. */
PyObject *hr_preview_get(struct hr_reach *r, PyObject *o);
/* `clone` is the preview of `live`, made for that only. */
int hr_preview_add(struct hr_plan *p, PyObject *live, PyObject *clone);
/* A function with the planned body of o, whose globals are the shadow.  A
 * `__class__` cell that holds `from` is replaced by `cell`. */
PyObject *hr_preview_copy_function(struct hr_plan *p, PyObject *o,
                                   PyObject *from, PyObject *cell);
/* Cells that lead to something with a preview lead to that. */
int hr_preview_map_cells(struct hr_reach *r, PyFunctionObject *f);

/* -- second.c: previews of classes ---------------------------------------- */

PyObject *hr_second_clone(struct hr_reach *r, PyObject *live);
/* What was planned for the classes meanwhile. */
int hr_second_renew(struct hr_reach *r);

#endif /* HR_PREVIEW_H */
