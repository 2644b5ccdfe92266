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

PyObject *
hr_transfer_find_cell(PyObject *value, PyObject *type, int depth)
{
    if (depth == 0 || value == NULL) {
        return NULL;
    }
    if (!PyFunction_Check(value)) {
        PyObject *found = NULL;
        PyObject *inner = NULL;
        if (Py_TYPE(value)->tp_descr_get != NULL || PyCallable_Check(value)) {
            inner = PyObject_GetAttrString(value, "__wrapped__");
            if (inner == NULL) {
                PyErr_Clear();
                inner = PyObject_GetAttrString(value, "__func__");
            }
            if (inner == NULL) {
                PyErr_Clear();
                inner = PyObject_GetAttrString(value, "fget");
            }
            if (inner == NULL) {
                PyErr_Clear();
                inner = PyObject_GetAttrString(value, "func");
            }
            if (inner == NULL) {
                PyErr_Clear();
            }
        }
        if (inner != NULL && !PyType_Check(inner)) {
            found = hr_transfer_find_cell(inner, type, depth - 1);
        }
        Py_XDECREF(inner); /* the wrapper holds it */
        return found;
    }
    PyObject *closure = PyFunction_GET_CLOSURE(value);
    for (Py_ssize_t i = 0; closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *cell = PyTuple_GET_ITEM(closure, i);
        PyObject *content = hr_compat_cell_peek(cell);
        if (content == type) {
            return cell;
        }
        if (content != NULL && content != value && !PyType_Check(content)) {
            PyObject *found = hr_transfer_find_cell(content, type, depth - 1);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}
