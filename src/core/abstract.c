/* What ABCMeta keeps about classes: their abstract members, and caches.
 *
 * ABCMeta counts abstract members when a class is made, and keeps the names in
 * `__abstractmethods__`, for object.__new__().  A member that comes, goes or
 * changes may concern every class that inherits it, so these are counted
 * again, from the attributes as the journal will leave them: for plan.c, when
 * everything else is planned.
 *
 * What isinstance() found out about a class is in caches of every abstract
 * class that was asked.  They are emptied after a commit that gives a class
 * other bases, or an attribute that comes or goes: for journal.c.
 */
#include "scope.h"

/* What a class has under a name as planned, without its bases.  Borrowed. */
static PyObject *
planned_attribute(struct hr_plan *p, PyObject *type, PyObject *name)
{
    PyObject *value = PyDict_GetItemWithError(
        hr_compat_type_dict((PyTypeObject *)type), name);
    hr_layer_peek(p->st, HR_LAYER_SOURCES, HR_PLACE_TYPE, type, name, &value);
    hr_place_peek(p->j, HR_PLACE_TYPE, type, name, &value);
    return value;
}

static PyTypeObject *
planned_meta(struct hr_plan *p, PyObject *type)
{
    PyObject *meta = (PyObject *)Py_TYPE(type);
    hr_place_peek(p->j, HR_PLACE_META, type, NULL, &meta);
    return (PyTypeObject *)meta;
}

static PyObject *
planned_bases(struct hr_plan *p, PyObject *type)
{
    PyObject *bases = ((PyTypeObject *)type)->tp_bases;
    hr_layer_peek(p->st, HR_LAYER_SOURCES, HR_PLACE_BASES, type, NULL, &bases);
    hr_place_peek(p->j, HR_PLACE_BASES, type, NULL, &bases);
    return bases;
}

/* The first that a class of the MRO has.  Borrowed. */
static PyObject *
lookup_in(struct hr_plan *p, PyObject *mro, PyObject *name)
{
    PyObject *value = NULL;
    for (Py_ssize_t i = 0; value == NULL && i < PyTuple_GET_SIZE(mro); i++) {
        value = planned_attribute(p, PyTuple_GET_ITEM(mro, i), name);
    }
    return value;
}

/* Borrowed, or NULL.  The MRO of planned bases is not known yet: then they are
 * asked in turn. */
static PyObject *
planned_lookup(struct hr_plan *p, PyObject *type, PyObject *name)
{
    PyObject *bases = planned_bases(p, type);
    if (bases == ((PyTypeObject *)type)->tp_bases) {
        return lookup_in(p, ((PyTypeObject *)type)->tp_mro, name);
    }
    PyObject *value = planned_attribute(p, type, name);
    for (Py_ssize_t i = 0; value == NULL && i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        value = lookup_in(p, base->tp_mro, name);
    }
    return value;
}

static int
is_marked(PyObject *value)
{
    PyObject *mark = PyObject_GetAttrString(value, "__isabstractmethod__");
    int abstract = mark != NULL && PyObject_IsTrue(mark) == 1;
    Py_XDECREF(mark);
    PyErr_Clear();
    return abstract;
}

/* The mark is in a function's dict, which is part of its body. */
static int
is_abstract(struct hr_plan *p, PyObject *value)
{
    PyObject *inner = NULL;
    int abstract = 0;
    if (PyFunction_Check(value)) {
        PyObject *body = hr_layer_body(p->st, value);
        hr_place_peek(p->j, HR_PLACE_FUNCTION, value, NULL, &body);
        return is_marked(body);
    }
    if (Py_TYPE(value) == &PyClassMethod_Type ||
        Py_TYPE(value) == &PyStaticMethod_Type) {
        inner = PyObject_GetAttrString(value, "__func__");
        abstract = inner != NULL && is_abstract(p, inner);
        Py_XDECREF(inner);
        PyErr_Clear();
        return abstract;
    }
    if (Py_TYPE(value) == &PyProperty_Type) {
        for (int i = 0; !abstract && i < 3; i++) {
            inner =
                PyObject_GetAttrString(value, hr_transfer_property_parts[i]);
            abstract = inner != NULL && is_abstract(p, inner);
            Py_XDECREF(inner);
        }
        PyErr_Clear();
        return abstract;
    }
    return is_marked(value);
}

int
hr_abstract_is_abc(PyObject *meta)
{
    PyObject *mro = ((PyTypeObject *)meta)->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *type = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (strcmp(type->tp_name, "ABCMeta") == 0) {
            return 1;
        }
    }
    return 0;
}

/* Names that are abstract in a base as planned, and not implemented here. */
static int
add_inherited(struct hr_plan *p, PyObject *type, PyObject *base, PyObject *key,
              PyObject *names)
{
    PyObject *theirs = planned_attribute(p, base, key);
    PyObject *list = theirs ? PySequence_List(theirs) : NULL;
    int status = theirs != NULL && list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0;
         status == 0 && list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *name = PyList_GET_ITEM(list, i);
        PyObject *value = planned_lookup(p, type, name);
        if (value != NULL && is_abstract(p, value)) {
            status = PySet_Add(names, name);
        }
    }
    Py_XDECREF(list);
    return status;
}

/* The names of one class.  New reference. */
static PyObject *
count(struct hr_plan *p, PyObject *type, PyObject *key)
{
    PyObject *names = PySet_New(NULL), *frozen = NULL;
    PyObject *keys = PyDict_Keys(hr_compat_type_dict((PyTypeObject *)type));
    PyObject *bases = planned_bases(p, type), *owner, *value;
    int status = names == NULL || keys == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < hr_journal_count(p->j); i++) {
        /* Those that come. */
        PyObject *name = hr_journal_key(p->j, i);
        if (hr_journal_get(p->j, i, HR_PLACE_TYPE, &owner, &value) &&
            owner == type && value != NULL) {
            status = PyList_Append(keys, name);
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(keys); i++) {
        PyObject *name = PyList_GET_ITEM(keys, i);
        value = planned_attribute(p, type, name);
        if (value != NULL && is_abstract(p, value)) {
            status = PySet_Add(names, name);
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(bases); i++) {
        status =
            add_inherited(p, type, PyTuple_GET_ITEM(bases, i), key, names);
    }
    frozen = status == 0 ? PyFrozenSet_New(names) : NULL;
    Py_XDECREF(keys);
    Py_XDECREF(names);
    return frozen;
}

static int
plan_class(struct hr_plan *p, PyObject *type, PyObject *key, int depth)
{
    PyObject *names = NULL, *subclasses;
    int status = 0;
    if (hr_abstract_is_abc((PyObject *)planned_meta(p, type))) {
        PyObject *old = planned_attribute(p, type, key);
        names = count(p, type, key);
        int same = names == NULL ? -1
                   : old == NULL ? 0
                                 : PyObject_RichCompareBool(names, old, Py_EQ);
        status = same < 0 ? -1
                 : same
                     ? 0
                     : hr_place_replace(p->j, HR_PLACE_TYPE, type, key, names);
        Py_XDECREF(names);
    }
    if (status < 0 || depth == 0) {
        return status;
    }
    subclasses = PyObject_CallMethod((PyObject *)&PyType_Type,
                                     "__subclasses__", "O", type);
    if (subclasses == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(subclasses);
         i++) {
        PyObject *sub = PyList_GET_ITEM(subclasses, i);
        if (hr_class_is_open(sub) && hr_substitute_kept(p, sub) == NULL) {
            status = plan_class(p, sub, key, depth - 1);
        }
    }
    Py_DECREF(subclasses);
    return status;
}

/* Only bodies were exchanged: that marks nothing, if nothing was evaluated. */
static int
is_untouched(struct hr_plan *p, PyObject *type)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (p->units[i].evaluates) {
            return 0;
        }
    }
    return !hr_place_has(p->j, HR_PLACE_TYPE, type);
}

int
hr_abstract_plan(struct hr_plan *p)
{
    PyObject *key = NULL;
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(p->classes);
         i++) {
        PyObject *type = PyList_GET_ITEM(p->classes, i);
        if (!(hr_abstract_is_abc((PyObject *)Py_TYPE(type)) ||
              hr_abstract_is_abc((PyObject *)planned_meta(p, type))) ||
            is_untouched(p, type)) {
            continue;
        }
        if (key == NULL) {
            key = PyUnicode_InternFromString("__abstractmethods__");
        }
        status = key == NULL ? -1 : plan_class(p, type, key, 50);
    }
    Py_XDECREF(key);
    return status;
}

/* -- Caches --------------------------------------------------------------- */

/* May isinstance() find something else about a class after the swap? */
static int
is_concerned(struct hr_journal *j, size_t i)
{
    PyObject *owner, *value, *key = hr_journal_key(j, i);
    if (hr_journal_get(j, i, HR_PLACE_TYPE, &owner, &value)) {
        PyObject *dict = hr_compat_type_dict((PyTypeObject *)owner);
        return value == NULL || PyDict_GetItemWithError(dict, key) == NULL ||
               hr_abstract_is_abc((PyObject *)Py_TYPE(owner));
    }
    return hr_journal_get(j, i, HR_PLACE_BASES, &owner, &value) ||
           hr_journal_get(j, i, HR_PLACE_META, &owner, &value) ||
           (hr_journal_get(j, i, HR_PLACE_FUNCTION, &owner, &value) &&
            PyUnicode_CompareWithASCIIString(
                ((PyFunctionObject *)owner)->func_name, "__subclasshook__") ==
                0);
}

/* Every class below `type` that ABCMeta made. */
static int
reset_below(PyObject *type, PyObject *reset, PyObject *seen)
{
    PyObject *list = PyObject_CallMethod((PyObject *)&PyType_Type,
                                         "__subclasses__", "O", type);
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *sub = PyList_GET_ITEM(list, i);
        PyObject *id = PyLong_FromVoidPtr(sub);
        int known = id == NULL ? -1 : PySet_Contains(seen, id);
        if (known == 0 && PySet_Add(seen, id) == 0) {
            if (hr_abstract_is_abc((PyObject *)Py_TYPE(sub))) {
                PyObject *done =
                    PyObject_CallFunctionObjArgs(reset, sub, NULL);
                Py_XDECREF(done);
                PyErr_Clear(); /* one that is only half an ABC */
            }
            status = reset_below(sub, reset, seen);
        }
        Py_XDECREF(id);
        status = known < 0 ? -1 : status;
    }
    Py_XDECREF(list);
    return status;
}

void
hr_abstract_forget(struct hr_journal *j)
{
    int concerned = 0;
    for (size_t i = 0; !concerned && i < hr_journal_count(j); i++) {
        concerned = is_concerned(j, i);
    }
    if (!concerned) {
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *abc = PyImport_ImportModule("_abc");
    PyObject *reset =
        abc ? PyObject_GetAttrString(abc, "_reset_caches") : NULL;
    PyObject *seen = PySet_New(NULL);
    if (reset != NULL && seen != NULL) {
        (void)reset_below((PyObject *)&PyBaseObject_Type, reset, seen);
    }
    PyErr_Clear(); /* out of memory: the caches stay */
    Py_XDECREF(seen);
    Py_XDECREF(reset);
    Py_XDECREF(abc);
    PyErr_Restore(type, value, traceback);
}
