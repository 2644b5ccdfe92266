/* Weak references to a class that was made a second time.
 *
 * A registry that holds its classes weakly (WeakValueDictionary, WeakSet,
 * WeakKeyDictionary) has the second one when the class registered itself, and
 * would lose that entry as soon as it is collected: so it gets a reference to
 * the class that stays, of the same kind and with the same callback.
 *
 * For substitute.c, after the commit or a refusal.
 */
#include "code.h"

/* The same reference, to another class. */
static PyObject *
make_reference(PyObject *old, PyObject *kept)
{
    PyObject *callback = PyObject_GetAttrString(old, "__callback__");
    PyObject *made = NULL;
    if (callback != NULL && callback != Py_None) {
        PyObject *key = PyObject_GetAttrString(old, "key");
        PyErr_Clear(); /* most have none */
        made = PyObject_CallFunctionObjArgs((PyObject *)Py_TYPE(old), kept,
                                            callback, key, NULL);
        Py_XDECREF(key);
    }
    Py_XDECREF(callback);
    return made;
}

static int
exchange_in_dict(PyObject *dict, PyObject *old, PyObject *new)
{
    PyObject *items = PyDict_Items(dict);
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *key = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        if (value == old) {
            status = PyDict_SetItem(dict, key, new);
        }
        else if (key == old) {
            status = PyDict_DelItem(dict, old);
            if (status == 0 && PyDict_GetItemWithError(dict, new) == NULL) {
                status =
                    PyErr_Occurred() ? -1 : PyDict_SetItem(dict, new, value);
            }
        }
    }
    Py_XDECREF(items);
    return status;
}

static int
exchange_in_holders(PyObject *old, PyObject *new)
{
    PyObject *found = hr_find_referrers(old);
    int status = found == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(found); i++) {
        PyObject *o = PyList_GET_ITEM(found, i);
        if (PyDict_CheckExact(o)) {
            status = exchange_in_dict(o, old, new);
        }
        else if (Py_TYPE(o) == &PySet_Type) {
            status = PySet_Discard(o, old) < 0 ? -1 : PySet_Add(o, new);
        }
    }
    Py_XDECREF(found);
    return status;
}

int
hr_weak_exchange(PyObject *new, PyObject *kept)
{
    PyObject *weakref = PyImport_ImportModule("weakref");
    PyObject *list =
        weakref ? PyObject_CallMethod(weakref, "getweakrefs", "O", new) : NULL;
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *old = PyList_GET_ITEM(list, i);
        PyObject *other = make_reference(old, kept);
        if (other != NULL) {
            status = exchange_in_holders(old, other);
            Py_DECREF(other);
        }
        else if (PyErr_Occurred()) {
            status = -1;
        }
    }
    Py_XDECREF(list);
    Py_XDECREF(weakref);
    return status;
}
