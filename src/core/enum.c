/* Enumerations: their members keep their identity.
 *
 * The whole statement has made a donor.  A member that both have stays the
 * object that the program holds, with the donor's value; a new member of the
 * donor becomes one of the live class.  The donor's tables are then made to
 * hold those members, and the live class takes its content like any other.
 */
#include "scope.h"

int
hr_enum_is(PyObject *type)
{
    PyTypeObject *meta = Py_TYPE(type);
    PyObject *map = PyDict_GetItemString(
        hr_compat_type_dict((PyTypeObject *)type), "_member_map_");
    return map != NULL && PyDict_Check(map) &&
           (strcmp(meta->tp_name, "EnumMeta") == 0 ||
            strcmp(meta->tp_name, "EnumType") == 0 ||
            PyObject_HasAttrString((PyObject *)meta, "__members__"));
}

/* Values of an int or str enumeration are the member itself. */
static int
is_same_base_value(PyObject *a, PyObject *b)
{
    if (!PyLong_Check(a) && !PyUnicode_Check(a) && !PyFloat_Check(a) &&
        !PyTuple_Check(a) && !PyBytes_Check(a)) {
        return 1;
    }
    PyObject *x = PyObject_GetAttrString(a, "_value_");
    PyObject *y = PyObject_GetAttrString(b, "_value_");
    int same =
        x == NULL || y == NULL ? -1 : PyObject_RichCompareBool(x, y, Py_EQ);
    Py_XDECREF(x);
    Py_XDECREF(y);
    return same;
}

/* The live member that the donor's member `new`, of this name, stands for.
 * Borrowed or NULL.  Under an alias, the member only when its own name is one
 * for `new` as well. */
static PyObject *
find_old(PyObject *old_map, PyObject *new_map, PyObject *name, PyObject *new)
{
    PyObject *old = PyDict_GetItemWithError(old_map, name);
    PyObject *own = old ? PyObject_GetAttrString(old, "_name_") : NULL;
    if (own != NULL && PyObject_RichCompareBool(own, name, Py_EQ) == 0 &&
        PyDict_GetItemWithError(new_map, own) != new) {
        old = NULL;
    }
    Py_XDECREF(own);
    PyErr_Clear();
    return old;
}

/* The member that is there takes the state of the donor's. */
static int
plan_state(struct hr_plan *p, PyObject *member, PyObject *new, PyObject *type)
{
    PyObject *to = hr_compat_instance_dict(member);
    PyObject *from = hr_compat_instance_dict(new);
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    int status = to == NULL || from == NULL ? -1 : 0;
    while (status == 0 && PyDict_Next(from, &pos, &key, &value)) {
        PyObject *old = PyDict_GetItemWithError(to, key);
        if (PyUnicode_CompareWithASCIIString(key, "__objclass__") == 0) {
            value = type;
        }
        int same =
            old == NULL ? 0 : PyObject_RichCompareBool(old, value, Py_EQ);
        status = same < 0 ? -1
                 : same   ? 0
                        : hr_journal_add(p->j, HR_PLACE_DICT, to, key, value);
    }
    Py_XDECREF(to);
    Py_XDECREF(from);
    return status;
}

/* A member of the donor, which nobody has seen, becomes one of the class. */
static int
adopt_member(PyObject *member, PyObject *type)
{
    PyObject *dict = hr_compat_instance_dict(member);
    int status = dict == NULL ? -1 : 0;
    if (status == 0 && PyDict_GetItemString(dict, "__objclass__") != NULL) {
        status = PyDict_SetItemString(dict, "__objclass__", type);
    }
    Py_XDECREF(dict);
    return status < 0 ? -1 : hr_layout_set_class(member, type);
}

/* In a dict of the donor: its members replaced by those that stay. */
static int
map_values(struct hr_plan *p, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (dict != NULL && PyDict_Next(dict, &pos, &key, &value)) {
        PyObject *kept = hr_substitute_kept(p, value);
        if (kept != NULL && PyDict_SetItem(dict, key, kept) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_enum_plan(struct hr_plan *p, PyObject *type, PyObject *donor)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)donor);
    PyObject *live =
        hr_layer_dict(p->st, HR_LAYER_SOURCES, HR_PLACE_TYPE, type);
    PyObject *old_map =
        live ? PyDict_GetItemString(live, "_member_map_") : NULL;
    PyObject *new_map = PyDict_GetItemString(dict, "_member_map_");
    PyObject *values = PyDict_GetItemString(dict, "_value2member_map_");
    PyObject *items = PyDict_Items(new_map);
    int status = live == NULL || items == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *new = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        PyObject *old = find_old(old_map, new_map, name, new);
        if (hr_substitute_kept(p, new) != NULL ||
            Py_TYPE(new) == Py_TYPE(type)) {
            continue; /* an alias */
        }
        int same = old == NULL ? 0 : is_same_base_value(old, new);
        if (same < 0) {
            status = -1;
        }
        else if (same) {
            status = plan_state(p, old, new, type);
            if (status == 0) {
                status = hr_substitute_add(p, new, old);
            }
        }
        else {
            status = adopt_member(new, type);
        }
    }
    Py_XDECREF(items);
    Py_XDECREF(live);
    if (status == 0) {
        status = map_values(p, new_map);
    }
    if (status == 0 && values != NULL && PyDict_Check(values)) {
        status = map_values(p, values);
    }
    if (status == 0) {
        /* The class's own names for its members. */
        PyObject *names = PyDict_Keys(dict);
        status = names == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names);
             i++) {
            PyObject *name = PyList_GET_ITEM(names, i);
            PyObject *kept =
                hr_substitute_kept(p, PyDict_GetItemWithError(dict, name));
            if (kept != NULL) {
                status = PyDict_SetItem(dict, name, kept);
            }
        }
        Py_XDECREF(names);
        PyType_Modified((PyTypeObject *)donor);
    }
    return status < 0 ? -1
                      : hr_class_plan(p->st, p->j, type, donor, type,
                                      HR_LAYER_SOURCES);
}

/* -- replace() ------------------------------------------------------------ */

/* The same names for the same values, in the same order? */
static int
has_same_members(PyObject *a, PyObject *b)
{
    PyObject *key, *member, *other_key, *other;
    Py_ssize_t i = 0, k = 0;
    int same = PyDict_GET_SIZE(a) == PyDict_GET_SIZE(b);
    while (same == 1 && PyDict_Next(a, &i, &key, &member) &&
           PyDict_Next(b, &k, &other_key, &other)) {
        PyObject *x = PyObject_GetAttrString(member, "_value_");
        PyObject *y = x ? PyObject_GetAttrString(other, "_value_") : NULL;
        same = y == NULL ? -1
               : PyUnicode_Compare(key, other_key) != 0
                   ? 0
                   : PyObject_RichCompareBool(x, y, Py_EQ);
        Py_XDECREF(x);
        Py_XDECREF(y);
    }
    return same;
}

/* Names of a class, as the other has them. */
static int
take_names(PyObject *donor, PyObject *from, PyObject *names)
{
    PyObject *has = hr_compat_type_dict((PyTypeObject *)donor);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(from, name);
        if (value == NULL && PyDict_GetItemWithError(has, name) == NULL) {
            continue;
        }
        if (PyErr_Occurred() || hr_class_set(donor, name, value) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
hr_enum_stand_in(struct hr_state *st, PyObject *type, PyObject *donor,
                 long layer)
{
    if (!hr_enum_is(type) || !hr_enum_is(donor)) {
        return Py_NewRef(donor);
    }
    PyObject *live = hr_layer_dict(st, layer, HR_PLACE_TYPE, type);
    PyObject *map = live ? PyDict_GetItemString(live, "_member_map_") : NULL;
    PyObject *names = map ? PyDict_Keys(map) : NULL, *copy = NULL;
    PyObject *tables =
        Py_BuildValue("[ssss]", "_member_map_", "_member_names_",
                      "_value2member_map_", "_unhashable_values_");
    int same = -1;
    if (names != NULL && tables != NULL) {
        same = has_same_members(
            map,
            PyDict_GetItemString(hr_compat_type_dict((PyTypeObject *)donor),
                                 "_member_map_"));
    }
    if (same == 0) {
        PyErr_Format(PyExc_TypeError,
                     "replace: the members of the enumeration %R exist, and "
                     "%R has others; give it the same names and values, or "
                     "edit the source",
                     type, donor);
    }
    copy = same == 1 ? hr_class_clone(st, donor) : NULL;
    if (copy != NULL && (take_names(copy, live, names) < 0 ||
                         take_names(copy, live, tables) < 0)) {
        Py_CLEAR(copy);
    }
    Py_XDECREF(tables);
    Py_XDECREF(names);
    Py_XDECREF(live);
    return copy;
}
