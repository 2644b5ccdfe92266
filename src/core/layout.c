/* The memory of instances, and the bases that decide it.
 *
 * Instances that exist keep their memory.  A class may take another's content
 * only where both lay their instances out alike: the same built-in base, sizes
 * and offsets, and every slot at its place.  hr_layout_check() refuses the
 * others with a sentence that says what to keep; it changes nothing.
 *
 * For class.c, and for whoever sets a class's bases.
 */
#include "core.h"

#include <structmember.h>

/* -- Layout --------------------------------------------------------------- */

PyTypeObject *
hr_layout_static_base(PyTypeObject *type)
{
    while (hr_class_is_from_statement(type) && type->tp_base != NULL) {
        type = type->tp_base;
    }
    return type;
}

/* The built-in class that decides the memory: ValueError lays its instances
 * out as BaseException does. */
PyTypeObject *
hr_layout_solid_base(PyTypeObject *type)
{
    type = hr_layout_static_base(type);
    while (type->tp_base != NULL &&
           type->tp_basicsize == type->tp_base->tp_basicsize &&
           type->tp_itemsize == type->tp_base->tp_itemsize) {
        type = type->tp_base;
    }
    return type;
}

/* Flags that say how an instance's memory is laid out: the managed dict (1 <<
 * 4) and weak reference list (1 << 3) of 3.12, inline values (1 << 2) of
 * 3.13. */
#define LAYOUT_FLAGS                                                          \
    (Py_TPFLAGS_HAVE_GC | (1UL << 4) | (1UL << 3) | (1UL << 2))

static int
has_same_layout(PyTypeObject *a, PyTypeObject *b)
{
    return a->tp_basicsize == b->tp_basicsize &&
           a->tp_itemsize == b->tp_itemsize &&
           a->tp_dictoffset == b->tp_dictoffset &&
           a->tp_weaklistoffset == b->tp_weaklistoffset &&
           (a->tp_flags & LAYOUT_FLAGS) == (b->tp_flags & LAYOUT_FLAGS) &&
           hr_layout_solid_base(a) == hr_layout_solid_base(b);
}

/* 1 when every slot of `a` is in `b` at the same offset. */
static int
has_slots_of(PyTypeObject *a, PyTypeObject *b)
{
    PyObject *mro = a->tp_mro;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *t = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (!PyType_HasFeature(t, Py_TPFLAGS_HEAPTYPE)) {
            continue;
        }
        PyObject *name, *value;
        Py_ssize_t pos = 0;
        while (PyDict_Next(hr_compat_type_dict(t), &pos, &name, &value)) {
            /* One of a base may be hidden by another: 3.10's dataclasses
             * repeat the slots of their bases. */
            if (Py_TYPE(value) != &PyMemberDescr_Type ||
                _PyType_Lookup(a, name) != value) {
                continue;
            }
            PyObject *other = _PyType_Lookup(b, name); /* borrowed */
            if (other == NULL || Py_TYPE(other) != &PyMemberDescr_Type ||
                ((PyMemberDescrObject *)other)->d_member->offset !=
                    ((PyMemberDescrObject *)value)->d_member->offset) {
                return 0;
            }
        }
    }
    return 1;
}

int
hr_layout_is_same_meta(PyTypeObject *from, PyTypeObject *to)
{
    return from->tp_basicsize == to->tp_basicsize &&
           from->tp_itemsize == to->tp_itemsize &&
           from->tp_dictoffset == to->tp_dictoffset &&
           from->tp_weaklistoffset == to->tp_weaklistoffset &&
           (from->tp_flags & LAYOUT_FLAGS) == (to->tp_flags & LAYOUT_FLAGS);
}

/* Are the two of ctypes, with other fields?  It keeps sizes where nobody else
 * looks. */
static int
has_other_fields(PyTypeObject *a, PyTypeObject *b)
{
    static const char *const names[] = {"_fields_", "_pack_", "_anonymous_",
                                        "_length_", "_type_", "_align_",
                                        "_layout_", NULL};
    if (strncmp(hr_layout_static_base(Py_TYPE(a))->tp_name, "_ctypes.", 8) !=
        0) {
        return 0;
    }
    int other = 0;
    for (int i = 0; other == 0 && names[i] != NULL; i++) {
        PyObject *was = PyDict_GetItemString(hr_compat_type_dict(a), names[i]);
        PyObject *is = PyDict_GetItemString(hr_compat_type_dict(b), names[i]);
        other = was == NULL || is == NULL
                    ? was != is
                    : PyObject_RichCompareBool(was, is, Py_NE);
    }
    return other;
}

int
hr_layout_check(struct hr_state *st, PyObject *type, PyObject *donor,
                PyTypeObject *meta)
{
    PyTypeObject *a = (PyTypeObject *)type, *b = (PyTypeObject *)donor;
    if (!PyType_IsSubtype(meta, Py_TYPE(donor))) {
        return hr_rude(st, "HR303",
                       "the metaclass of %s would change from %s to %s; "
                       "give the new class the same metaclass, or restart",
                       a->tp_name, Py_TYPE(type)->tp_name,
                       Py_TYPE(donor)->tp_name);
    }
    if (hr_layout_solid_base(a) != hr_layout_solid_base(b)) {
        return hr_rude(st, "HR302",
                       "instances of %s are laid out as %s lays them out, not "
                       "as %s, and a class that exists cannot change that; "
                       "keep the built-in base, or restart",
                       a->tp_name, hr_layout_solid_base(a)->tp_name,
                       hr_layout_solid_base(b)->tp_name);
    }
    int other = has_other_fields(a, b);
    if (other != 0) {
        return other < 0
                   ? -1
                   : hr_rude(st, "HR302",
                             "the fields of %s would change, and objects of "
                             "ctypes that exist keep their memory; keep the "
                             "fields, or restart",
                             a->tp_name);
    }
    if (!has_same_layout(a, b) || !has_slots_of(a, b) || !has_slots_of(b, a)) {
        return hr_rude(st, "HR301",
                       "the __slots__ of %s would change, and a class that "
                       "exists cannot lay its instances out anew; keep them "
                       "as they are, or restart",
                       a->tp_name);
    }
    return 0;
}

/* -- Bases ---------------------------------------------------------------- */

/* Do instances of `type` have memory that those of `base` have not, but for a
 * dict and a list of weak references? */
static int
adds_memory(PyTypeObject *type, PyTypeObject *base)
{
    Py_ssize_t size = type->tp_basicsize;
    Py_ssize_t one = (Py_ssize_t)sizeof(PyObject *);
    if (type->tp_itemsize != 0 || base->tp_itemsize != 0) {
        return size != base->tp_basicsize ||
               type->tp_itemsize != base->tp_itemsize;
    }
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        if (type->tp_weaklistoffset != 0 && base->tp_weaklistoffset == 0 &&
            type->tp_weaklistoffset + one == size) {
            size -= one;
        }
        if (type->tp_dictoffset != 0 && base->tp_dictoffset == 0 &&
            type->tp_dictoffset + one == size) {
            size -= one;
        }
    }
    return size != base->tp_basicsize;
}

/* The class, of this and its bases, that last added memory (slots). */
static PyTypeObject *
memory_base(PyTypeObject *type)
{
    while (type->tp_base != NULL && !adds_memory(type, type->tp_base)) {
        type = type->tp_base;
    }
    return type;
}

/* The base whose layout the others extend, as type.__new__ chooses it. */
static PyTypeObject *
best_base(PyObject *bases)
{
    PyTypeObject *best = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        if (best == NULL ||
            (memory_base(base) != memory_base(best) &&
             PyType_IsSubtype(memory_base(base), memory_base(best)))) {
            best = base;
        }
    }
    return best;
}

/* type.__bases__ = ... compares the layout of the new best base with that of
 * the present one, and so refuses to give a class that has only `object` a
 * base of one's own, although instances are laid out alike (CPython issue
 * 672115).  Our own check is on the instances' layout; to pass CPython's the
 * present base is the new one while it looks. */
static int
set_bases(PyObject *o, PyObject *bases)
{
    PyTypeObject *type = (PyTypeObject *)o;
    PyTypeObject *old = type->tp_base;
    type->tp_base = (PyTypeObject *)Py_NewRef(best_base(bases));
    PyObject *name = PyUnicode_InternFromString("__bases__");
    int status = name == NULL ? -1 : PyType_Type.tp_setattro(o, name, bases);
    Py_XDECREF(name);
    if (status < 0 && type->tp_bases == bases) {
        /* It is done: what failed for lack of memory is the list of its new
         * base's subclasses, or a slot that the next change sets. */
        PyErr_Clear();
        status = 0;
    }
    if (status < 0) {
        Py_DECREF(type->tp_base);
        type->tp_base = old;
        return -1;
    }
    Py_DECREF(old);
    hr_class_restore_new(type);
    return 0;
}

/* `base` comes into the MRO of a class and of what inherits from it; `lent`
 * gets what each had. */
static int
lend_mro(PyTypeObject *type, PyTypeObject *base, PyObject *lent)
{
    PyObject *mro = PySequence_Concat(type->tp_mro, base->tp_mro);
    PyObject *item = mro ? PyTuple_Pack(2, type, type->tp_mro) : NULL;
    int status = item == NULL ? -1 : PyList_Append(lent, item);
    Py_XDECREF(item);
    if (status < 0) {
        Py_XDECREF(mro);
        return -1;
    }
    Py_SETREF(type->tp_mro, mro);
    PyObject *key, *ref, *all = (PyObject *)type->tp_subclasses;
    Py_ssize_t pos = 0;
    while (all != NULL && status == 0 && PyDict_Next(all, &pos, &key, &ref)) {
        PyObject *sub = hr_compat_weakref_get(ref);
        if (sub != NULL) {
            status = lend_mro((PyTypeObject *)sub, base, lent);
            Py_DECREF(sub);
        }
    }
    return status;
}

static void
take_back_mro(PyObject *lent)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(lent); i++) {
        PyObject *item = PyList_GET_ITEM(lent, i);
        PyTypeObject *type = (PyTypeObject *)PyTuple_GET_ITEM(item, 0);
        Py_SETREF(type->tp_mro, Py_NewRef(PyTuple_GET_ITEM(item, 1)));
    }
}

/* For a class with a metaclass, CPython looks in the MRO that goes whether the
 * new one fits what lies in front of it, such as slots: so that has both while
 * it looks. */
int
hr_layout_set_bases(PyObject *o, PyObject *bases)
{
    int status = set_bases(o, bases);
    if (status == 0 || Py_TYPE(o) == &PyType_Type ||
        !PyErr_ExceptionMatches(PyExc_TypeError)) {
        return status;
    }
    PyObject *lent = PyList_New(0);
    PyErr_Clear();
    if (lent != NULL &&
        lend_mro((PyTypeObject *)o, best_base(bases), lent) == 0) {
        status = set_bases(o, bases);
    }
    if (lent != NULL && status < 0) {
        take_back_mro(lent);
    }
    Py_XDECREF(lent);
    return status;
}

/* Its attributes may lie where its old class says: the slot of `object` knows
 * how to take them along. */
int
hr_layout_set_class(PyObject *o, PyObject *type)
{
    PyObject *descriptor = PyDict_GetItemString(
        hr_compat_type_dict(&PyBaseObject_Type), "__class__");
    if (descriptor == NULL) {
        PyErr_SetString(PyExc_SystemError, "object has no __class__");
        return -1;
    }
    if (Py_TYPE(descriptor)->tp_descr_set(descriptor, o, type) == 0) {
        return 0;
    }
    /* It takes no two dicts behind an object of varying size for alike. */
    PyTypeObject *old = Py_TYPE(o), *new = (PyTypeObject *)type;
    if (!PyErr_ExceptionMatches(PyExc_TypeError) || old->tp_itemsize == 0 ||
        !hr_class_is_open((PyObject *)old) || !hr_class_is_open(type) ||
        !has_same_layout(old, new) || !has_slots_of(old, new) ||
        !has_slots_of(new, old)) {
        return -1;
    }
    PyErr_Clear();
    Py_INCREF(type);
    Py_SET_TYPE(o, new);
    Py_DECREF(old);
    return 0;
}

void
hr_layout_set_meta(PyObject *type, PyObject *meta)
{
    PyTypeObject *old = Py_TYPE(type);
    /* Only a metaclass that is made at run time counts its classes. */
    if (PyType_HasFeature((PyTypeObject *)meta, Py_TPFLAGS_HEAPTYPE)) {
        Py_INCREF(meta);
    }
    Py_SET_TYPE(type, (PyTypeObject *)meta);
    PyType_Modified((PyTypeObject *)type);
    if (PyType_HasFeature(old, Py_TPFLAGS_HEAPTYPE)) {
        Py_DECREF(old);
    }
}
