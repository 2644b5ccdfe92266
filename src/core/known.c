/* Values that a live closure would have, had the new code made it.
 *
 * A cell that it lacks is one that it had earlier, or is made where what the
 * enclosing function assigns can be told: a constant, the closure itself, a
 * function beside it, an import.  Where it is assigned more than once, or by
 * nested code besides, nobody knows: then the edit is refused (closure.c).
 *
 * For fit.c, local.c and compute.c, which evaluates what is assigned.
 */
#include "nest.h"

/* -- Names ---------------------------------------------------------------- */

Py_ssize_t
hr_known_index(PyObject *names, PyObject *name)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_Compare(PyTuple_GET_ITEM(names, i), name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The cell of that name in a function's closure: a new reference, or NULL. */
static PyObject *
find_cell(PyObject *function, PyObject *name)
{
    PyFunctionObject *f = (PyFunctionObject *)function;
    PyObject *names = hr_compat_freevars((PyCodeObject *)f->func_code);
    Py_ssize_t i = names ? hr_known_index(names, name) : -1;
    Py_XDECREF(names);
    return i < 0 || f->func_closure == NULL ||
                   i >= PyTuple_GET_SIZE(f->func_closure)
               ? NULL
               : Py_NewRef(PyTuple_GET_ITEM(f->func_closure, i));
}

/* The cell that an earlier body of the function had. */
static PyObject *
find_dropped_cell(struct hr_state *st, PyObject *function, PyObject *name)
{
    PyObject *cell = NULL;
    for (Py_ssize_t i = PyList_GET_SIZE(st->revisions); i-- > 0 && !cell;) {
        hr_revision *r = (hr_revision *)PyList_GET_ITEM(st->revisions, i);
        PyObject *holder = NULL;
        hr_place_peek(r->journal, HR_PLACE_FUNCTION, function, NULL, &holder);
        if (holder != NULL) {
            cell = find_cell(holder, name);
        }
    }
    return cell;
}

int
hr_known_has(PyObject *code, const char *attribute, PyObject *name)
{
    PyObject *names = PyObject_GetAttrString(code, attribute);
    int has = names == NULL ? -1 : hr_known_index(names, name) >= 0;
    Py_XDECREF(names);
    return has;
}

/* Nested code that reads the variable, and such that assigns it. */
static int
count_users(PyObject *code, PyObject *name, int *readers, int *writers)
{
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        int reads = PyCode_Check(o) ? hr_known_has(o, "co_freevars", name) : 0;
        int writes = reads == 1 ? hr_bytecode_stores_cell(o, name) : 0;
        if (reads < 0 || writes < 0 ||
            (reads && count_users(o, name, readers, writers) < 0)) {
            return -1;
        }
        *readers += reads;
        *writers += writes;
    }
    return 0;
}

/* -- Cells ---------------------------------------------------------------- */

/* What the code around assigns to the variable: 1 with *value. */
static int
read_assigned(struct hr_scene *s, const struct hr_steps *steps, PyObject *name,
              PyObject **value)
{
    PyObject *expression = NULL;
    int readers = 0, writers = 0;
    int status =
        steps == NULL ? 0 : hr_site_read_variable(steps, name, &expression);
    if (status == 1 &&
        count_users(steps->code, name, &readers, &writers) < 0) {
        status = -1;
    }
    if (status == 1) {
        /* Functions that share what one of them assigns would each get a
         * variable of their own. */
        status = writers == 0 || readers == 1
                     ? hr_compute_value(s, expression, 0, value)
                     : 0;
    }
    Py_XDECREF(expression);
    return status;
}

/* The cell of the closure itself, or of another function of its class. */
static PyObject *
find_in_functions(struct hr_scene *s, PyObject *name, int dropped)
{
    Py_ssize_t n = s->functions != NULL ? PyList_GET_SIZE(s->functions) : 1;
    PyObject *cell = NULL;
    for (Py_ssize_t i = 0; cell == NULL && i < n; i++) {
        PyObject *f =
            s->functions != NULL ? PyList_GET_ITEM(s->functions, i) : s->f;
        if (!dropped) {
            cell = find_cell(f, name);
        }
        else {
            cell = find_dropped_cell(s->p->st, f == s->f ? s->self : f, name);
        }
    }
    return cell;
}

int
hr_known_cell(struct hr_scene *s, PyObject *name, PyObject **cell)
{
    PyObject *value = NULL;
    if (s->cells == NULL && (s->cells = PyDict_New()) == NULL) {
        *cell = NULL;
        return -1;
    }
    *cell = Py_XNewRef(PyDict_GetItemWithError(s->cells, name));
    for (int dropped = 0; *cell == NULL && dropped < 2; dropped++) {
        *cell = find_in_functions(s, name, dropped);
        if (*cell == NULL && s->type != NULL &&
            PyUnicode_CompareWithASCIIString(name, "__class__") == 0) {
            *cell = PyCell_New(s->type);
        }
    }
    if (*cell != NULL) {
        return PyDict_SetItem(s->cells, name, *cell) < 0 ? -1 : 1;
    }
    /* It is there before its value is: functions may refer to each other. */
    if (PyErr_Occurred() || (*cell = PyCell_New(NULL)) == NULL ||
        PyDict_SetItem(s->cells, name, *cell) < 0) {
        Py_CLEAR(*cell);
        return -1;
    }
    int status = read_assigned(s, s->parent, name, &value);
    if (status == 0) {
        status = read_assigned(s, s->outer, name, &value);
    }
    if (status == 1) {
        status = PyCell_Set(*cell, value) < 0 ? -1 : 1;
    }
    else {
        Py_CLEAR(*cell);
        if (status == 0) {
            status = PyDict_DelItem(s->cells, name);
        }
    }
    Py_XDECREF(value);
    return status;
}
