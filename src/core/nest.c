/* Nested code of a changed function, and the functions alive that were made
 * from it.
 *
 * A nested code object is held by its parent's constants and by each function
 * made from it.  Its reference count tells at once that no such function is
 * alive, so the heap is searched only where there is something to find.
 *
 * Nested code is paired by name; which of several equal names belong together
 * says match.c.  What was refused earlier still runs the code of then, and is
 * found by it (lineage).
 * Called by closure.c, and by line.c to know whether a search is needed.
 */
#include "nest.h"

/* -- Pairing -------------------------------------------------------------- */

int
hr_nest_add(struct hr_nests *n, struct hr_nest nest)
{
    struct hr_nest *items =
        hr_grow(n->items, n->count, &n->capacity, sizeof *items);
    if (items == NULL) {
        return -1;
    }
    n->items = items;
    nest.found = PyList_New(0);
    Py_INCREF(nest.old); /* what is remembered may be forgotten meanwhile */
    Py_INCREF(nest.old_parent);
    n->items[n->count++] = nest;
    return nest.found == NULL ? -1 : 0;
}

const struct hr_steps *
hr_nest_steps(struct hr_nests *n, PyObject *code)
{
    for (size_t i = 0; i < n->read_count; i++) {
        if (n->read[i]->code == code) {
            return n->read[i];
        }
    }
    struct hr_steps **read =
        PyMem_Realloc(n->read, (n->read_count + 1) * sizeof *read);
    struct hr_steps *steps = PyMem_Calloc(1, sizeof *steps);
    if (read != NULL) {
        n->read = read;
    }
    if (read == NULL || steps == NULL) {
        PyMem_Free(steps);
        PyErr_NoMemory();
        return NULL;
    }
    if (hr_site_read(code, steps) < 0) {
        PyMem_Free(steps);
        return NULL;
    }
    return n->read[n->read_count++] = steps;
}

/* Closures that were refused still run what came before `old`. */
static int
add_lineage(struct hr_nests *n, struct hr_nest nest)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(n->st->lineage); i++) {
        PyObject *entry = PyList_GET_ITEM(n->st->lineage, i);
        struct hr_nest earlier = nest;
        if (PyTuple_GET_ITEM(entry, 1) != nest.old) {
            continue;
        }
        earlier.old = PyTuple_GET_ITEM(entry, 0);
        earlier.old_parent = PyTuple_GET_ITEM(entry, 2);
        earlier.old_outer = NULL;
        int known = 0; /* what is taken back may be refused as well */
        for (size_t k = 0; k < n->count; k++) {
            known |= n->items[k].old == earlier.old;
        }
        if (!known &&
            (hr_nest_add(n, earlier) < 0 || add_lineage(n, earlier) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* The code objects among the constants: a new list. */
static PyObject *
list_nested(PyObject *code)
{
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (PyCode_Check(o) && PyList_Append(list, o) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

int
hr_nest_pair(struct hr_nests *n, PyObject *old, PyObject *new,
             PyObject *old_outer, PyObject *new_outer)
{
    if (old == new || !hr_nest_is_alive(old)) {
        return 0;
    }
    PyObject *a = list_nested(old), *b = list_nested(new);
    Py_ssize_t count = a ? PyList_GET_SIZE(a) : 0;
    int *partner = PyMem_Calloc((size_t)count * 2 + 1, sizeof *partner);
    int *alive = partner + count; /* reading the code adds references */
    int status = a == NULL || b == NULL ? -1 : 0;
    if (partner == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        alive[i] = Py_REFCNT(PyList_GET_ITEM(a, i)) > 2; /* the list's own */
    }
    if (status == 0) {
        status = hr_match_code(n, old, a, new, b, partner);
    }
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        struct hr_nest nest = {.old = PyList_GET_ITEM(a, i),
                               .old_parent = old,
                               .new_parent = new,
                               .old_outer = old_outer,
                               .new_outer = new_outer};
        if (partner[i] >= 0) {
            nest.new = PyList_GET_ITEM(b, partner[i]);
        }
        /* Removed: what is alive stays as it is. */
        if (alive[i] && partner[i] != HR_MATCH_NONE) {
            status = hr_nest_add(n, nest);
            status = status == 0 ? add_lineage(n, nest) : status;
        }
        if (status == 0 && nest.new != NULL) {
            status = hr_nest_pair(n, nest.old, nest.new, old, new);
        }
    }
    PyMem_Free(partner);
    Py_XDECREF(a);
    Py_XDECREF(b);
    return status;
}

int
hr_nest_is_alive(PyObject *code)
{
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (PyCode_Check(o) && (Py_REFCNT(o) > 1 || hr_nest_is_alive(o))) {
            return 1;
        }
    }
    return 0;
}

/* For who is done with them. */
void
hr_nest_clear(struct hr_nests *n)
{
    for (size_t i = 0; i < n->count; i++) {
        Py_DECREF(n->items[i].old);
        Py_DECREF(n->items[i].old_parent);
        Py_XDECREF(n->items[i].found);
        hr_header_clear(&n->items[i].was);
        hr_header_clear(&n->items[i].is);
        Py_XDECREF(n->items[i].cells_were);
        Py_XDECREF(n->items[i].cells_are);
    }
    for (size_t i = 0; i < n->read_count; i++) {
        hr_site_clear(n->read[i]);
        PyMem_Free(n->read[i]);
    }
    PyMem_Free(n->read);
    PyMem_Free(n->items);
    Py_XDECREF(n->refused);
}

/* -- What only journals hold ---------------------------------------------- */

/* A function that a save took out of a class or module, and that nobody but
 * the revisions holds.  It is not followed: when these are taken back, it has
 * the code of then.  Else each save would keep it for as many again. */
struct detached {
    PyObject *o;      /* borrowed */
    Py_ssize_t known; /* references of journals, and what only these hold */
};

struct detached_list {
    struct detached *items; /* owned */
    size_t count, capacity;
};

static int
compare_detached(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct detached *)a)->o;
    uintptr_t y = (uintptr_t)((const struct detached *)b)->o;
    return (x > y) - (x < y);
}

static int
add_detached(struct detached_list *d, PyObject *o)
{
    struct detached *items =
        hr_grow(d->items, d->count, &d->capacity, sizeof *items);
    if (items == NULL) {
        return -1;
    }
    d->items = items;
    d->items[d->count++] = (struct detached){o, 1};
    return 0;
}

/* In order, each once. */
static void
sort_detached(struct detached_list *d)
{
    size_t k = 0;
    if (d->count == 0) {
        return;
    }
    qsort(d->items, d->count, sizeof *d->items, compare_detached);
    for (size_t i = 1; i < d->count; i++) {
        if (d->items[i].o == d->items[k].o) {
            d->items[k].known += d->items[i].known;
        }
        else {
            d->items[++k] = d->items[i];
        }
    }
    d->count = k + 1;
}

static struct detached *
find_detached(const struct detached_list *d, PyObject *o)
{
    struct detached key = {o, 0};
    return d->count == 0 ? NULL
                         : bsearch(&key, d->items, d->count, sizeof *d->items,
                                   compare_detached);
}

/* The functions in a property, a static or a class method. */
static int
add_wrapped(struct detached_list *d, PyObject *o)
{
    static const char *const one[] = {"__func__"};
    int is_property = Py_TYPE(o) == &PyProperty_Type, status = 0;
    const char *const *parts = is_property ? hr_transfer_property_parts : one;
    for (int i = 0; status == 0 && i < (is_property ? 3 : 1); i++) {
        PyObject *part = PyObject_GetAttrString(o, parts[i]);
        if (part == NULL) {
            return -1;
        }
        if (PyFunction_Check(part)) {
            status = add_detached(d, part);
        }
        Py_DECREF(part); /* the wrapper holds it */
    }
    return status;
}

/* The values that the revisions keep, but for holders. */
static int
list_detached(struct hr_state *st, struct detached_list *d)
{
    PyObject *owner, *key, *value;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(st->revisions); i++) {
        hr_revision *r = (hr_revision *)PyList_GET_ITEM(st->revisions, i);
        size_t n = r->journal != NULL ? hr_journal_count(r->journal) : 0;
        for (size_t k = 0; k < n; k++) {
            enum hr_place place =
                hr_journal_place(r->journal, k, &owner, &key, &value);
            if (place != HR_PLACE_FUNCTION && value != NULL &&
                (PyFunction_Check(value) || hr_owner_is_wrapper(value)) &&
                add_detached(d, value) < 0) {
                return -1;
            }
        }
    }
    sort_detached(d);
    for (size_t i = 0, n = d->count; i < n; i++) {
        PyObject *o = d->items[i].o;
        if (!PyFunction_Check(o) && Py_REFCNT(o) == d->items[i].known &&
            add_wrapped(d, o) < 0) {
            return -1;
        }
    }
    sort_detached(d);
    /* Later saves may have changed them. */
    for (Py_ssize_t i = 0; d->count > 0 && i < PyList_GET_SIZE(st->revisions);
         i++) {
        hr_revision *r = (hr_revision *)PyList_GET_ITEM(st->revisions, i);
        size_t n = r->journal != NULL ? hr_journal_count(r->journal) : 0;
        for (size_t k = 0; k < n; k++) {
            if (hr_journal_get(r->journal, k, HR_PLACE_FUNCTION, &owner,
                               &value)) {
                struct detached *its = find_detached(d, owner);
                if (its != NULL) {
                    its->known++;
                }
            }
        }
    }
    return 0;
}

static int
drop_detached(struct hr_nests *n)
{
    struct detached_list d = {0};
    int status = list_detached(n->st, &d);
    for (size_t i = 0; status == 0 && d.count > 0 && i < n->count; i++) {
        PyObject *found = n->items[i].found;
        for (Py_ssize_t k = PyList_GET_SIZE(found); status == 0 && k-- > 0;) {
            PyObject *o = PyList_GET_ITEM(found, k);
            struct detached *its = find_detached(&d, o);
            if (its != NULL && Py_REFCNT(o) == its->known + 1) {
                status = PyList_SetSlice(found, k, k + 1, NULL);
            }
        }
    }
    PyMem_Free(d.items);
    return status;
}

/* -- Searching the heap --------------------------------------------------- */

static struct hr_nest *
find_of_function(struct hr_nests *n, PyObject *o)
{
    PyObject *code = ((PyFunctionObject *)o)->func_code;
    for (size_t i = 0; i < n->count; i++) {
        if (n->items[i].old == code) {
            return &n->items[i];
        }
    }
    return NULL;
}

static int
is_wanted(PyObject *o, void *nests)
{
    return Py_TYPE(o) == &PyFunction_Type &&
           find_of_function(nests, o) != NULL;
}

static int
search_heap(struct hr_nests *n, int slices)
{
    PyObject *all = hr_heap_find(n->st, is_wanted, n, slices);
    int status = all == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        struct hr_nest *nest = find_of_function(n, o);
        PyObject *owner = nest ? hr_layer_owner(n->st, o) : NULL;
        if (owner != NULL) {
            status = PyList_Append(nest->found, owner);
        }
    }
    Py_XDECREF(all);
    return status;
}

int
hr_nest_search(struct hr_nests *n, int slices)
{
    int status = search_heap(n, slices);
    return status == 0 ? drop_detached(n) : status;
}
