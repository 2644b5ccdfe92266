/* Enumerations that were made again, and what computes from them.
 *
 * A member that stays is the object that it was, so no name holds another
 * value, and still `[c.value for c in Color]` is another list.  While derive.c
 * works, donors therefore have their own members again, and in the second of
 * its two worlds (worlds.c) the enumeration is its donor.  What comes out
 * holds the members that stay.
 */
#include "scope.h"

PyObject *
hr_donor_of(struct hr_plan *p, PyObject *type)
{
    Py_ssize_t n = p->enums != NULL ? PyList_GET_SIZE(p->enums) : 0;
    while (n-- > 0) {
        PyObject *item = PyList_GET_ITEM(p->enums, n);
        if (PyTuple_GET_ITEM(item, 0) == type) {
            return PyTuple_GET_ITEM(item, 1);
        }
    }
    return NULL;
}

/* -- Their members -------------------------------------------------------- */

/* The member that the donor has made for one that stays.  Borrowed. */
static PyObject *
find_own(struct hr_plan *p, PyObject *type, PyObject *member)
{
    for (size_t i = p->pair_count;
         i-- > 0 && Py_TYPE(member) == (PyTypeObject *)type;) {
        if (p->pairs[i].kept == member && !p->pairs[i].preview) {
            return p->pairs[i].new;
        }
    }
    return NULL;
}

/* In a dict of the donor; `own`: its own members, else those that stay. */
static int
exchange(struct hr_plan *p, PyObject *type, PyObject *dict, int own)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (dict != NULL && PyDict_Check(dict) &&
           PyDict_Next(dict, &pos, &key, &value)) {
        PyObject *other =
            own ? find_own(p, type, value) : hr_substitute_kept(p, value);
        /* The key is there: nothing moves. */
        if (other != NULL && PyDict_SetItem(dict, key, other) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Its MRO is a tuple that was made, and so begins with what stays. */
static int
own_mro(PyTypeObject *donor)
{
    PyObject *mro = donor->tp_mro;
    if (PyTuple_GET_ITEM(mro, 0) == (PyObject *)donor) {
        return 0;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(mro);
    PyObject *own = PyTuple_New(n);
    for (Py_ssize_t i = 0; own != NULL && i < n; i++) {
        PyTuple_SET_ITEM(
            own, i,
            Py_NewRef(i == 0 ? (PyObject *)donor : PyTuple_GET_ITEM(mro, i)));
    }
    if (own == NULL) {
        return -1;
    }
    donor->tp_mro = own;
    Py_DECREF(mro);
    return 0;
}

static int
exchange_all(struct hr_plan *p, int own)
{
    int status = 0;
    for (Py_ssize_t i = 0;
         p->enums != NULL && status == 0 && i < PyList_GET_SIZE(p->enums);
         i++) {
        PyObject *item = PyList_GET_ITEM(p->enums, i);
        PyObject *type = PyTuple_GET_ITEM(item, 0);
        PyTypeObject *donor = (PyTypeObject *)PyTuple_GET_ITEM(item, 1);
        PyObject *dict = hr_compat_type_dict(donor);
        PyObject *map = PyDict_GetItemString(dict, "_member_map_");
        PyObject *values = PyDict_GetItemString(dict, "_value2member_map_");
        if (own_mro(donor) < 0 || exchange(p, type, dict, own) < 0 ||
            exchange(p, type, map, own) < 0 ||
            exchange(p, type, values, own) < 0) {
            status = -1;
        }
        PyType_Modified(donor);
    }
    return status;
}

int
hr_donor_begin(struct hr_plan *p)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < p->pair_count; i++) {
        PyObject *type = p->pairs[i].kept, *donor = p->pairs[i].new;
        if (p->pairs[i].preview || !hr_value_is_enumeration(type) ||
            !hr_value_is_enumeration(donor)) {
            continue;
        }
        if (p->enums == NULL && (p->enums = PyList_New(0)) == NULL) {
            return -1;
        }
        PyObject *item = PyTuple_Pack(2, type, donor);
        status = item == NULL ? -1 : PyList_Append(p->enums, item);
        Py_XDECREF(item);
    }
    return status < 0 ? -1 : exchange_all(p, 1);
}

int
hr_donor_end(struct hr_plan *p)
{
    int status = exchange_all(p, 0);
    Py_CLEAR(p->enums);
    return status;
}

/* -- The second world ----------------------------------------------------- */

int
hr_donor_enter(struct hr_plan *p, PyObject *ns)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (p->enums != NULL && PyDict_Next(ns, &pos, &key, &value)) {
        PyObject *donor = hr_donor_of(p, value);
        if (donor != NULL && PyDict_SetItem(ns, key, donor) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The same value with the members that stay: in dicts, lists and tuples, which
 * are made anew where they hold others.  New reference. */
static PyObject *
give_back(struct hr_plan *p, PyObject *value, int depth)
{
    PyObject *kept = hr_substitute_kept(p, value), *made = NULL;
    if (kept != NULL || depth == 0) {
        return Py_NewRef(kept != NULL ? kept : value);
    }
    int is_dict = PyDict_CheckExact(value);
    PyObject *items = is_dict ? PyDict_Items(value)
                      : PyList_CheckExact(value) || PyTuple_CheckExact(value)
                          ? PySequence_List(value)
                          : NULL;
    if (items == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(value);
    }
    int other = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *new = give_back(p, item, depth - 1);
        if (new == NULL) {
            Py_DECREF(items);
            return NULL;
        }
        other |= new != item;
        if (PyList_SetItem(items, i, new) < 0) {
            Py_DECREF(items);
            return NULL;
        }
    }
    if (!other) {
        made = Py_NewRef(value);
    }
    else if (is_dict) {
        made = PyDict_New();
        if (made != NULL && PyDict_MergeFromSeq2(made, items, 1) < 0) {
            Py_CLEAR(made);
        }
    }
    else {
        made = PyTuple_CheckExact(value) ? PyList_AsTuple(items)
                                         : Py_NewRef(items);
    }
    Py_DECREF(items);
    return made;
}

int
hr_donor_give_back(struct hr_plan *p, PyObject **value)
{
    if (p->enums == NULL || *value == NULL) {
        return 0;
    }
    PyObject *new = give_back(p, *value, 6);
    if (new == NULL) {
        return -1;
    }
    Py_SETREF(*value, new);
    return 0;
}

/* -- What reads them ------------------------------------------------------ */

int
hr_donor_follow(struct hr_derive *w)
{
    struct hr_plan *p = w->p;
    int status = 0;
    for (Py_ssize_t i = 0;
         p->enums != NULL && status == 0 && i < PyList_GET_SIZE(p->enums);
         i++) {
        PyObject *type = PyTuple_GET_ITEM(PyList_GET_ITEM(p->enums, i), 0);
        PyObject *home = PyDict_GetItemString(
            hr_compat_type_dict((PyTypeObject *)type), "__module__");
        PyObject *module =
            home ? PyDict_GetItemWithError(PyImport_GetModuleDict(), home)
                 : NULL;
        PyObject *name = ((PyHeapTypeObject *)type)->ht_qualname;
        if (module != NULL && PyModule_Check(module) &&
            PyDict_GetItemWithError(PyModule_GetDict(module), name) == type) {
            status =
                hr_derive_name(w, PyModule_GetDict(module), home, name, type);
        }
    }
    return status;
}
