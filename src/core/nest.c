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
    if (n->count == n->capacity) {
        size_t capacity = n->capacity ? n->capacity * 2 : 8;
        struct hr_nest *items =
            PyMem_Realloc(n->items, capacity * sizeof *items);
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        n->items = items;
        n->capacity = capacity;
    }
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
        Py_XDECREF(n->items[i].was);
        Py_XDECREF(n->items[i].is);
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

/* -- Searching the heap --------------------------------------------------- */

static int
keep_if_wanted(struct hr_nests *n, PyObject *o)
{
    PyObject *code = ((PyFunctionObject *)o)->func_code;
    for (size_t i = 0; i < n->count; i++) {
        if (n->items[i].old == code && !hr_function_is_holder(o)) {
            return PyList_Append(n->items[i].found, o);
        }
    }
    return 0;
}

#if PY_VERSION_HEX >= 0x030C0000
/* The callback may neither allocate nor release. */
struct heap_walk {
    struct hr_nests *n;
    PyObject **found; /* new references, room for `capacity` */
    size_t count, capacity, missed;
};

static int
visit_object(PyObject *o, void *arg)
{
    struct heap_walk *w = arg;
    if (Py_TYPE(o) == &PyFunction_Type) {
        PyObject *code = ((PyFunctionObject *)o)->func_code;
        for (size_t i = 0; i < w->n->count; i++) {
            if (w->n->items[i].old == code) {
                if (w->count < w->capacity) {
                    w->found[w->count++] = Py_NewRef(o);
                }
                else {
                    w->missed++;
                }
                break;
            }
        }
    }
    return 1;
}

int
hr_nest_search(struct hr_nests *n)
{
    struct heap_walk w = {.n = n, .capacity = 1024};
    int status = 0;
    do {
        w.capacity += w.missed;
        w.count = w.missed = 0;
        w.found = PyMem_Malloc(w.capacity * sizeof *w.found);
        if (w.found == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        PyUnstable_GC_VisitObjects(visit_object, &w);
        for (size_t i = 0; i < w.count; i++) {
            if (status == 0 && w.missed == 0) {
                status = keep_if_wanted(n, w.found[i]);
            }
            Py_DECREF(w.found[i]);
        }
        PyMem_Free(w.found);
    } while (w.missed > 0 && status == 0);
    return status;
}
#else
int
hr_nest_search(struct hr_nests *n)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *find = gc ? PyObject_GetAttrString(gc, "get_referrers") : NULL;
    PyObject *codes = PyTuple_New((Py_ssize_t)n->count);
    for (size_t i = 0; codes != NULL && i < n->count; i++) {
        PyTuple_SET_ITEM(codes, (Py_ssize_t)i, Py_NewRef(n->items[i].old));
    }
    PyObject *all = find && codes ? PyObject_CallObject(find, codes) : NULL;
    int status = all == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (Py_TYPE(o) == &PyFunction_Type) {
            status = keep_if_wanted(n, o);
        }
    }
    Py_XDECREF(all);
    Py_XDECREF(codes);
    Py_XDECREF(find);
    Py_XDECREF(gc);
    return status;
}
#endif
