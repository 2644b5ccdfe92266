/* What must follow when a save changes what is replaced.
 *
 * Originals.  While something is replaced, its original is another object:
 * what original() returns, and what a live file's name for it means.  What a
 * save changes in the one is changed in the other.
 *
 * Covers.  A replacement has changed the places that the thing had when it was
 * made.  A save may add others: an attribute that the new class does not have,
 * or another object in place of a replaced function.  The replacement takes
 * them over, so that it stays visible until it is restored.
 *
 * Both are planned, and committed with the save.  For layer.c.
 */
#include "scope.h"

/* -- Originals ------------------------------------------------------------ */

PyObject *
hr_mirror_find(PyObject *o, PyObject *copy, PyObject *f)
{
    if (o == f) {
        return PyFunction_Check(copy) && copy != o ? Py_NewRef(copy) : NULL;
    }
    if (!hr_owner_is_wrapper(o) || Py_TYPE(o) != Py_TYPE(copy) || o == copy) {
        return NULL;
    }
    PyObject *found = NULL;
    for (int i = 0; found == NULL && hr_owner_wrapped[i] != NULL; i++) {
        PyObject *part = PyObject_GetAttrString(o, hr_owner_wrapped[i]);
        if (part == f) {
            found = PyObject_GetAttrString(copy, hr_owner_wrapped[i]);
            if (found != NULL && (found == f || !PyFunction_Check(found))) {
                Py_CLEAR(found);
            }
        }
        Py_XDECREF(part);
        if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_MemoryError)) {
            Py_CLEAR(found);
            return NULL;
        }
        PyErr_Clear();
    }
    return found;
}

/* The same among the attributes of a class and of its clone. */
static PyObject *
find_in_class(struct hr_state *st, hr_patch *p, PyObject *f)
{
    PyObject *dict =
        hr_layer_dict(st, HR_LAYER_SOURCES, HR_PLACE_TYPE, p->before);
    PyObject *copies = hr_compat_type_dict((PyTypeObject *)p->original);
    PyObject *key, *value, *found = NULL;
    Py_ssize_t pos = 0;
    while (dict != NULL && found == NULL && !PyErr_Occurred() &&
           PyDict_Next(dict, &pos, &key, &value)) {
        if (PyFunction_Check(value) || hr_owner_is_wrapper(value)) {
            PyObject *copy = PyDict_GetItemWithError(copies, key);
            found = copy ? hr_mirror_find(value, copy, f) : NULL;
        }
    }
    Py_XDECREF(dict);
    return found;
}

static int
mirror_function(struct hr_state *st, hr_patch *p, struct hr_transfer *m,
                PyObject *f, PyObject *value, struct hr_journal *mirror)
{
    PyObject *counterpart = m->cell != NULL
                                ? find_in_class(st, p, f)
                                : hr_mirror_find(p->before, p->original, f);
    if (counterpart == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *holder = hr_function_clone(value, m->from, m->cell);
    int status = holder == NULL ? -1
                                : hr_journal_add(mirror, HR_PLACE_FUNCTION,
                                                 counterpart, NULL, holder);
    Py_XDECREF(holder);
    Py_DECREF(counterpart);
    return status;
}

int
hr_mirror_is_class(hr_patch *p)
{
    return !p->by_owner && hr_class_is_open(p->before) &&
           PyType_Check(p->after);
}

int
hr_mirror_plan(struct hr_state *st, struct hr_journal *j, hr_patch *p,
               struct hr_journal *mirror)
{
    struct hr_transfer m = {.from = p->before};
    int status = 0;
    if (p->original == p->before || PyFunction_Check(p->original)) {
        return 0; /* of a function: see original.c */
    }
    if (hr_mirror_is_class(p) && (m.cell = PyCell_New(p->original)) == NULL) {
        return -1;
    }
    for (size_t i = 0; status == 0 && i < hr_journal_count(j); i++) {
        PyObject *owner, *key, *value;
        enum hr_place place = hr_journal_place(j, i, &owner, &key, &value);
        if (place == HR_PLACE_FUNCTION) {
            status = mirror_function(st, p, &m, owner, value, mirror);
        }
        else if (m.cell != NULL && owner == p->before &&
                 (place == HR_PLACE_TYPE || place == HR_PLACE_BASES)) {
            PyObject *moved = place == HR_PLACE_TYPE && value != NULL
                                  ? hr_transfer_value(&m, value)
                                  : Py_XNewRef(value);
            status =
                moved == NULL && value != NULL
                    ? -1
                    : hr_journal_add(mirror, place, p->original, key, moved);
            Py_XDECREF(moved);
        }
    }
    Py_XDECREF(m.cell);
    return status;
}

/* -- Covers --------------------------------------------------------------- */

/* What a dict or class has now under a name; borrowed or NULL. */
static PyObject *
get_content(enum hr_place place, PyObject *owner, PyObject *key)
{
    return PyDict_GetItemWithError(
        place == HR_PLACE_DICT ? owner
                               : hr_compat_type_dict((PyTypeObject *)owner),
        key);
}

/* Is this the attribute that was replaced? */
static int
is_own_name(hr_patch *p, enum hr_place place, PyObject *owner, PyObject *key)
{
    return owner == (place == HR_PLACE_DICT && PyModule_Check(p->owner)
                         ? PyModule_GetDict(p->owner)
                         : p->owner) &&
           PyUnicode_Check(key) && PyUnicode_Compare(key, p->name) == 0;
}

/* What the class that replaces has for it, or has after the save. */
static PyObject *
get_wanted(struct hr_journal *j, hr_patch *p, enum hr_place place,
           PyObject *key)
{
    PyObject *value =
        place == HR_PLACE_BASES
            ? ((PyTypeObject *)p->after)->tp_bases
            : PyDict_GetItemWithError(
                  hr_compat_type_dict((PyTypeObject *)p->after), key);
    hr_place_peek(j, place, p->after, key, &value);
    return value;
}

/* Members of an enumeration and their tables are never replaced. */
static int
is_of_members(hr_patch *p, PyObject *key, PyObject *value)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)p->after);
    PyObject *other = key ? PyDict_GetItemWithError(dict, key) : NULL;
    return key != NULL && hr_enum_is(p->before) &&
           ((value != NULL && !PyFunction_Check(value) &&
             !hr_owner_is_wrapper(value)) ||
            (other != NULL && !PyFunction_Check(other) &&
             !hr_owner_is_wrapper(other)));
}

int
hr_mirror_plan_cover(struct hr_state *st, struct hr_journal *j, hr_patch *p,
                     struct hr_journal *cover)
{
    int status = 0, is_class = hr_mirror_is_class(p);
    (void)st;
    for (size_t i = 0; status == 0 && i < hr_journal_count(j); i++) {
        PyObject *owner, *key, *value, *held;
        enum hr_place place = hr_journal_place(j, i, &owner, &key, &value);
        if ((place != HR_PLACE_DICT && place != HR_PLACE_TYPE &&
             place != HR_PLACE_BASES) ||
            hr_place_peek(p->journal, place, owner, key, &held)) {
            continue;
        }
        if (is_class && owner == p->before) {
            status =
                is_of_members(p, key, value)
                    ? 0
                    : hr_class_plan_part(cover, owner, p->after, p->original,
                                         key, get_wanted(j, p, place, key));
        }
        else if (is_class && owner == p->after) {
            /* The replacement changes, and with it what is in force. */
            status = hr_enum_is(owner)
                         ? 0
                         : hr_class_plan_part(cover, p->before, owner,
                                              p->original, key, value);
        }
        else if (place != HR_PLACE_BASES) {
            held = get_content(place, owner, key);
            if (held != NULL && held != value &&
                (held == p->before || is_own_name(p, place, owner, key))) {
                status = hr_journal_add(cover, place, owner, key, held);
            }
            else if (PyErr_Occurred()) {
                status = -1;
            }
        }
    }
    return status;
}
