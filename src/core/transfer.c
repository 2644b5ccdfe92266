/* Values that move from one class to another.
 *
 * super() and __class__ read a cell that the methods of one class statement
 * share.  A method that moves to another class is cloned with that cell
 * replaced by one that holds the class it moves to; static and class methods
 * and properties are made anew around their moved functions.  What is behind
 * somebody's decorator cannot be cloned and moves as it is; whoever moves it
 * is told, and looks for its cell.
 *
 * For class.c.
 */
#include "core.h"

/* -- Cells ---------------------------------------------------------------- */

static PyObject *find_cell(struct hr_transfer *m, PyObject *value, int depth);

/* What a cell holds beneath what lies on the layer. */
static PyObject *
peek_cell(struct hr_transfer *m, PyObject *cell)
{
    PyObject *content = hr_compat_cell_peek(cell);
    if (m->st != NULL) {
        hr_layer_peek(m->st, m->layer, HR_PLACE_CELL, cell, NULL, &content);
    }
    return content;
}

/* Behind what the function wraps: in its dict or its closure.  New reference,
 * as are those below: a wrapper may make what its attributes give. */
static PyObject *
find_cell_behind(struct hr_transfer *m, PyObject *function, int depth)
{
    PyObject *closure = PyFunction_GET_CLOSURE(function);
    for (Py_ssize_t i = 0; closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *content = peek_cell(m, PyTuple_GET_ITEM(closure, i));
        if (content != NULL && content != function && !PyType_Check(content)) {
            Py_INCREF(content);
            PyObject *found = find_cell(m, content, depth - 1);
            Py_DECREF(content);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

/* The attribute behind which a wrapper keeps its function.  New reference, or
 * NULL without an exception. */
static PyObject *
get_wrapped(PyObject *wrapper)
{
    static const char *const names[] = {"__wrapped__", "__func__", "fget",
                                        "func", NULL};
    PyObject *inner = NULL;
    if (Py_TYPE(wrapper)->tp_descr_get == NULL && !PyCallable_Check(wrapper)) {
        return NULL;
    }
    for (int i = 0; inner == NULL && names[i] != NULL; i++) {
        inner = PyObject_GetAttrString(wrapper, names[i]);
        PyErr_Clear();
    }
    return inner;
}

static PyObject *
find_cell(struct hr_transfer *m, PyObject *value, int depth)
{
    if (depth == 0 || value == NULL) {
        return NULL;
    }
    if (!PyFunction_Check(value)) {
        PyObject *inner = get_wrapped(value), *found = NULL;
        if (inner != NULL && !PyType_Check(inner)) {
            found = find_cell(m, inner, depth - 1);
        }
        Py_XDECREF(inner);
        return found;
    }
    PyObject *closure = PyFunction_GET_CLOSURE(value);
    for (Py_ssize_t i = 0; closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *cell = PyTuple_GET_ITEM(closure, i);
        if (peek_cell(m, cell) == m->from) {
            return Py_NewRef(cell);
        }
    }
    return find_cell_behind(m, value, depth);
}

PyObject *
hr_transfer_find_cell(struct hr_transfer *m, PyObject *value)
{
    return PyFunction_Check(value) ? find_cell_behind(m, value, 4)
                                   : find_cell(m, value, 4);
}

/* -- Values --------------------------------------------------------------- */

/* A wrapper of one function, made anew around its moved function. */
static PyObject *
move_wrapper(struct hr_transfer *m, PyObject *value)
{
    PyObject *inner = PyObject_GetAttrString(value, "__func__");
    if (inner == NULL) {
        return NULL;
    }
    PyObject *moved = hr_transfer_value(m, inner);
    PyObject *wrapper = NULL;
    if (moved != NULL) {
        wrapper = PyObject_CallFunctionObjArgs((PyObject *)Py_TYPE(value),
                                               moved, NULL);
    }
    Py_XDECREF(moved);
    Py_DECREF(inner);
    return wrapper;
}

const char *const hr_transfer_property_parts[3] = {"fget", "fset", "fdel"};

static PyObject *
move_property(struct hr_transfer *m, PyObject *value)
{
    PyObject *parts[3] = {NULL, NULL, NULL}, *result = NULL, *doc = NULL;
    for (int i = 0; i < 3; i++) {
        PyObject *part =
            PyObject_GetAttrString(value, hr_transfer_property_parts[i]);
        if (part == NULL) {
            goto done;
        }
        parts[i] = hr_transfer_value(m, part);
        Py_DECREF(part);
        if (parts[i] == NULL) {
            goto done;
        }
    }
    doc = PyObject_GetAttrString(value, "__doc__");
    if (doc != NULL) {
        result =
            PyObject_CallFunctionObjArgs((PyObject *)Py_TYPE(value), parts[0],
                                         parts[1], parts[2], doc, NULL);
    }
done:
    Py_XDECREF(doc);
    for (int i = 0; i < 3; i++) {
        Py_XDECREF(parts[i]);
    }
    return result;
}

PyObject *
hr_transfer_value(struct hr_transfer *m, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyFunction_Type) {
        /* What it wraps is not cloned with it. */
        PyObject *cell = find_cell_behind(m, value, 4);
        m->opaque |= cell != NULL;
        Py_XDECREF(cell);
        return hr_function_clone(value, m->from, m->cell);
    }
    if (type == &PyStaticMethod_Type || type == &PyClassMethod_Type) {
        return move_wrapper(m, value);
    }
    if (type == &PyProperty_Type) {
        return move_property(m, value);
    }
    if (type->tp_descr_get != NULL || PyCallable_Check(value)) {
        m->opaque |= !PyType_Check(value);
    }
    return Py_NewRef(value);
}
