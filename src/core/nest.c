/* Nested code of a changed function, and the functions alive that were made
 * from it.
 *
 * A nested code object is held by its parent's constants and by each function
 * made from it.  Its reference count tells at once that no such function is
 * alive, so the heap is searched only where there is something to find.
 *
 * Nested code is paired by name, and by order among equal names.  What was
 * refused earlier still runs the code of then, and is found by it (lineage).
 * Called by closure.c, and by line.c to know whether a search is needed.
 */
#include "code.h"

/* -- Pairing -------------------------------------------------------------- */

int
hr_nest_add(struct hr_nests *n, PyObject *old, PyObject *new,
            PyObject *old_parent, PyObject *new_parent)
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
    n->items[n->count] =
        (struct hr_nest){old, new, old_parent, new_parent, PyList_New(0)};
    return n->items[n->count++].found == NULL ? -1 : 0;
}

/* The k-th code object of that name among the constants. */
static PyObject *
find_nested(PyObject *consts, PyObject *name, int k)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (PyCode_Check(o) &&
            PyUnicode_Compare(((PyCodeObject *)o)->co_name, name) == 0 &&
            k-- == 0) {
            return o;
        }
    }
    return NULL;
}

/* Closures that were refused still run what came before `old`. */
static int
add_lineage(struct hr_nests *n, PyObject *old, PyObject *new,
            PyObject *old_top, PyObject *new_top)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(n->st->lineage); i++) {
        PyObject *pair = PyList_GET_ITEM(n->st->lineage, i);
        PyObject *earlier = PyTuple_GET_ITEM(pair, 0);
        if (PyTuple_GET_ITEM(pair, 1) == old &&
            (hr_nest_add(n, earlier, new, old_top, new_top) < 0 ||
             add_lineage(n, earlier, new, old_top, new_top) < 0)) {
            return -1;
        }
    }
    return 0;
}

int
hr_nest_pair(struct hr_nests *n, PyObject *old, PyObject *new,
             PyObject *old_top, PyObject *new_top)
{
    PyObject *consts = ((PyCodeObject *)old)->co_consts;
    if (old == new) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (!PyCode_Check(o)) {
            continue;
        }
        PyObject *name = ((PyCodeObject *)o)->co_name;
        int k = 0;
        for (Py_ssize_t m = 0; m < i; m++) {
            PyObject *other = PyTuple_GET_ITEM(consts, m);
            k +=
                PyCode_Check(other) &&
                PyUnicode_Compare(((PyCodeObject *)other)->co_name, name) == 0;
        }
        PyObject *partner =
            find_nested(((PyCodeObject *)new)->co_consts, name, k);
        if (partner == NULL) {
            continue; /* removed: what is alive stays as it is */
        }
        if (Py_REFCNT(o) > 1 &&
            (hr_nest_add(n, o, partner, old_top, new_top) < 0 ||
             add_lineage(n, o, partner, old_top, new_top) < 0)) {
            return -1;
        }
        if (hr_nest_pair(n, o, partner, o, partner) < 0) {
            return -1;
        }
    }
    return 0;
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
        Py_XDECREF(n->items[i].found);
    }
    PyMem_Free(n->items);
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
    struct heap_walk w = {.n = n, .capacity = 256};
    int status = 0;
    do {
        w.count = w.missed = 0;
        w.capacity *= 4;
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
