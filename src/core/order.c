/* The modules of a batch in the order of their imports: what a module takes
 * from another one of the batch is evaluated before it.
 *
 * The order is a guess, by the words of the import statements, and as good as
 * the first import made it: modules that import each other stay as they came.
 * Called by plan.c, before anything is evaluated.
 */
#include "code.h"

static int
is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= '0' && c <= '9') || (c & 0x80) != 0;
}

/* {last part of a module's name: set of indices of units} */
static PyObject *
index_units(struct hr_plan *p)
{
    PyObject *result = PyDict_New();
    for (size_t i = 0; result != NULL && i < p->unit_count; i++) {
        PyObject *name = p->units[i].name;
        Py_ssize_t n = PyUnicode_GET_LENGTH(name);
        Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, -1);
        PyObject *last = PyUnicode_Substring(name, dot + 1, n);
        PyObject *index = PyLong_FromSize_t(i), *set = NULL;
        if (last != NULL && index != NULL) {
            set = Py_XNewRef(PyDict_GetItemWithError(result, last));
            if (set == NULL) {
                set = PySet_New(NULL);
            }
        }
        if (set == NULL || PySet_Add(set, index) < 0 ||
            PyDict_SetItem(result, last, set) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(set);
        Py_XDECREF(index);
        Py_XDECREF(last);
    }
    return result;
}

/* The indices of the units that a text imports: a set.  By every word of its
 * imports: a guess is enough for an order. */
static PyObject *
find_imports(struct hr_unit *u, PyObject *by_name)
{
    PyObject *found = PySet_New(NULL);
    for (size_t i = 0; found != NULL && i < u->blocks->count; i++) {
        const struct hr_block *b = &u->blocks->items[i];
        const char *at = u->text + b->start, *end = u->text + b->end;
        while (b->kind == HR_BLOCK_IMPORT && found != NULL && at < end) {
            Py_ssize_t n = 0;
            while (at + n < end && is_name_byte(at[n])) {
                n++;
            }
            PyObject *word = n > 0 ? hr_name_decode(at, (size_t)n) : NULL;
            PyObject *units =
                word ? PyDict_GetItemWithError(by_name, word) : NULL;
            PyObject *index,
                *iterator = units ? PyObject_GetIter(units) : NULL;
            while (iterator != NULL && found != NULL &&
                   (index = PyIter_Next(iterator)) != NULL) {
                if (PySet_Add(found, index) < 0) {
                    Py_CLEAR(found);
                }
                Py_DECREF(index);
            }
            Py_XDECREF(iterator);
            Py_XDECREF(word);
            if (PyErr_Occurred()) {
                Py_CLEAR(found);
            }
            at += n > 0 ? n : 1;
        }
    }
    return found;
}

/* Is a unit that this one imports not yet in order? */
static int
waits(PyObject *imports, size_t own, const unsigned char *done)
{
    PyObject *index, *iterator = PyObject_GetIter(imports);
    int result = 0;
    while (iterator != NULL && (index = PyIter_Next(iterator)) != NULL) {
        size_t k = PyLong_AsSize_t(index);
        result |= k != own && !done[k];
        Py_DECREF(index);
    }
    Py_XDECREF(iterator);
    return result;
}

/* Those that are imported first.  Circles stay as they came. */
static void
place_units(struct hr_plan *p, PyObject *imports, struct hr_unit *ordered,
            unsigned char *done)
{
    size_t n = p->unit_count, placed = 0;
    while (placed < n) {
        size_t before = placed;
        for (size_t i = 0; i < n; i++) {
            PyObject *own = PyList_GET_ITEM(imports, (Py_ssize_t)i);
            if (!done[i] && !waits(own, i, done)) {
                ordered[placed++] = p->units[i];
                done[i] = 1;
            }
        }
        for (size_t i = 0; placed == before && i < n; i++) {
            if (!done[i]) {
                ordered[placed++] = p->units[i];
                done[i] = 1;
            }
        }
    }
    memcpy(p->units, ordered, n * sizeof *ordered);
}

int
hr_order_units(struct hr_plan *p)
{
    size_t n = p->unit_count;
    if (n < 2) {
        return 0;
    }
    PyObject *by_name = index_units(p), *imports = PyList_New(0);
    struct hr_unit *ordered = PyMem_Malloc(n * sizeof *ordered);
    unsigned char *done = PyMem_Calloc(n, 1);
    int status = by_name == NULL || imports == NULL ? -1 : 0;
    if (ordered == NULL || done == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        PyObject *set = find_imports(&p->units[i], by_name);
        status = set == NULL ? -1 : PyList_Append(imports, set);
        Py_XDECREF(set);
    }
    if (status == 0) {
        place_units(p, imports, ordered, done);
    }
    PyMem_Free(ordered);
    PyMem_Free(done);
    Py_XDECREF(by_name);
    Py_XDECREF(imports);
    return status;
}
