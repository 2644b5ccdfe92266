/* Classes, changed in place.
 *
 * A class keeps its identity and takes another's content: attributes, bases,
 * doc.  Instances, subclasses, isinstance(), `except` clauses and pickles
 * follow, since nothing that they hold changes.  Three things need care:
 *
 * Functions.  A function that stands under the same name in both is not
 * replaced in the class but has its body exchanged, so that bound methods and
 * functions held elsewhere follow.
 *
 * `__class__`.  super() and __class__ read a cell that the methods of one
 * class statement share.  A method that moves to another class is cloned with
 * that cell replaced by one that holds the class it moves to.
 *
 * Layout.  Instances that exist keep their memory, so both classes must lay
 * theirs out alike.
 *
 * Attributes are set through type's own slot, not a metaclass's: that keeps
 * method caches and C slots right and runs no Python code.
 */
#include "core.h"

#include <structmember.h>

/* What frees the instances of a class that a class statement made.  A static
 * because it is one per process: a function of CPython's that has no exported
 * name. */
static destructor statement_dealloc;

void
hr_class_init(PyObject *type)
{
    statement_dealloc = ((PyTypeObject *)type)->tp_dealloc;
}

/* Made by a class statement, not by a module written in C? */
static int
is_from_statement(PyTypeObject *type)
{
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
           type->tp_dealloc == statement_dealloc &&
           ((PyHeapTypeObject *)type)->ht_module == NULL;
}

int
hr_class_is_open(PyObject *o)
{
    if (!PyType_Check(o) || !is_from_statement((PyTypeObject *)o)) {
        return 0;
    }
#ifdef Py_TPFLAGS_IMMUTABLETYPE
    if (PyType_HasFeature((PyTypeObject *)o, Py_TPFLAGS_IMMUTABLETYPE)) {
        return 0;
    }
#endif
    return 1;
}

/* -- Attributes ----------------------------------------------------------- */

/* Attributes that make the class what it is and never move. */
static int
is_fixed(PyObject *name, PyObject *value)
{
    static const char *const fixed[] = {
        "__dict__", "__weakref__", "__module__", "__qualname__",
        "__name__", "__slots__",   "_abc_impl",  NULL};
    if (value != NULL && Py_TYPE(value) == &PyMemberDescr_Type) {
        return 1; /* a slot: the layouts agree, so it is in both */
    }
    for (int i = 0; fixed[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, fixed[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Would type.__setattr__ call a descriptor of the metaclass? */
static int
has_meta_descriptor(PyTypeObject *meta, PyObject *name)
{
    if (meta == &PyType_Type) {
        return 0;
    }
    PyObject *d = _PyType_Lookup(meta, name); /* borrowed */
    return d != NULL && Py_TYPE(d)->tp_descr_set != NULL &&
           Py_TYPE(d) != &PyGetSetDescr_Type &&
           Py_TYPE(d) != &PyMemberDescr_Type;
}

int
hr_class_set(PyObject *type, PyObject *name, PyObject *value)
{
    if (has_meta_descriptor(Py_TYPE(type), name)) {
        PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
        int status = value != NULL ? PyDict_SetItem(dict, name, value)
                                   : PyDict_DelItem(dict, name);
        PyType_Modified((PyTypeObject *)type);
        return status;
    }
    return PyType_Type.tp_setattro(type, name, value);
}

/* -- Values that move to another class ------------------------------------ */

struct move {
    PyObject *from; /* borrowed: the class that the values come from */
    PyObject *cell; /* owned: a cell that holds the class they go to */
    int opaque;     /* a value was met that could not be cloned */
};

static PyObject *move_value(struct move *m, PyObject *value);

/* A wrapper of one function, made anew around its moved function. */
static PyObject *
move_wrapper(struct move *m, PyObject *value)
{
    PyObject *inner = PyObject_GetAttrString(value, "__func__");
    if (inner == NULL) {
        return NULL;
    }
    PyObject *moved = move_value(m, inner);
    PyObject *wrapper = NULL;
    if (moved != NULL) {
        wrapper = PyObject_CallFunctionObjArgs((PyObject *)Py_TYPE(value),
                                               moved, NULL);
    }
    Py_XDECREF(moved);
    Py_DECREF(inner);
    return wrapper;
}

static const char *const property_parts[] = {"fget", "fset", "fdel"};

static PyObject *
move_property(struct move *m, PyObject *value)
{
    PyObject *parts[3] = {NULL, NULL, NULL}, *result = NULL, *doc = NULL;
    for (int i = 0; i < 3; i++) {
        PyObject *part = PyObject_GetAttrString(value, property_parts[i]);
        if (part == NULL) {
            goto done;
        }
        parts[i] = move_value(m, part);
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

/* The value as it belongs into the other class.  New reference. */
static PyObject *
move_value(struct move *m, PyObject *value)
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

/* The cell that the methods of `type` read super()'s class from, if one can
 * be found behind its functions and their wrappers.  Borrowed or NULL. */
static PyObject *
find_class_cell(PyObject *value, PyObject *type, int depth)
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
            found = find_class_cell(inner, type, depth - 1);
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
            PyObject *found = find_class_cell(content, type, depth - 1);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

/* -- Layout --------------------------------------------------------------- */

static PyTypeObject *
static_base(PyTypeObject *type)
{
    while (is_from_statement(type) && type->tp_base != NULL) {
        type = type->tp_base;
    }
    return type;
}

/* The built-in class that decides the memory: ValueError lays its instances
 * out as BaseException does. */
static PyTypeObject *
solid_base(PyTypeObject *type)
{
    type = static_base(type);
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
           solid_base(a) == solid_base(b);
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
            if (Py_TYPE(value) != &PyMemberDescr_Type) {
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

static int
check_layout(struct hr_state *st, PyObject *type, PyObject *donor)
{
    PyTypeObject *a = (PyTypeObject *)type, *b = (PyTypeObject *)donor;
    if (!PyType_IsSubtype(Py_TYPE(type), Py_TYPE(donor))) {
        return hr_rude(st, "HR303",
                       "the metaclass of %s would change from %s to %s; "
                       "give the new class the same metaclass, or restart",
                       a->tp_name, Py_TYPE(type)->tp_name,
                       Py_TYPE(donor)->tp_name);
    }
    if (solid_base(a) != solid_base(b)) {
        return hr_rude(st, "HR302",
                       "instances of %s that exist are laid out as %s lays "
                       "them out, not as %s; keep the built-in base, or "
                       "restart",
                       a->tp_name, solid_base(a)->tp_name,
                       solid_base(b)->tp_name);
    }
    if (!has_same_layout(a, b) || !has_slots_of(a, b) || !has_slots_of(b, a)) {
        return hr_rude(st, "HR301",
                       "instances of %s that exist have no room for the "
                       "__slots__ of the new class; keep them as they are, "
                       "or restart",
                       a->tp_name);
    }
    return 0;
}

/* -- Bases ---------------------------------------------------------------- */

/* The base whose layout the others extend, as type.__new__ chooses it. */
static PyTypeObject *
best_base(PyObject *bases)
{
    PyTypeObject *best = NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        if (best == NULL ||
            (static_base(base) != static_base(best) &&
             PyType_IsSubtype(static_base(base), static_base(best)))) {
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
int
hr_class_set_bases(PyObject *o, PyObject *bases)
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
    return 0;
}

/* bases with `from` replaced by `to`.  New reference. */
static PyObject *
map_bases(PyObject *bases, PyObject *from, PyObject *to)
{
    Py_ssize_t n = PyTuple_GET_SIZE(bases);
    PyObject *result = PyTuple_New(n);
    for (Py_ssize_t i = 0; result != NULL && i < n; i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        PyTuple_SET_ITEM(result, i, Py_NewRef(base == from ? to : base));
    }
    return result;
}

/* -- Clone ---------------------------------------------------------------- */

/* Does a base run code for every new subclass? */
static int
has_init_subclass(PyTypeObject *type)
{
    PyObject *name = PyUnicode_InternFromString("__init_subclass__");
    int found = 0;
    for (Py_ssize_t i = 1; name != NULL && i < PyTuple_GET_SIZE(type->tp_mro);
         i++) {
        PyTypeObject *t = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i);
        if (t != &PyBaseObject_Type && hr_compat_type_dict(t) != NULL &&
            PyDict_GetItemWithError(hr_compat_type_dict(t), name) != NULL) {
            found = 1;
        }
    }
    Py_XDECREF(name);
    PyErr_Clear();
    return found;
}

static int
make_abstract(PyObject *clone)
{
    PyObject *abc = PyImport_ImportModule("_abc");
    PyObject *done =
        abc ? PyObject_CallMethod(abc, "_abc_init", "O", clone) : NULL;
    Py_XDECREF(abc);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
copy_attributes(PyObject *type, PyObject *clone)
{
    struct move m = {.from = type, .cell = PyCell_New(clone)};
    PyObject *items = PyDict_Items(hr_compat_type_dict((PyTypeObject *)type));
    int status = items == NULL || m.cell == NULL ? -1 : 0;
    int is_abstract = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *name = PyTuple_GET_ITEM(item, 0);
        PyObject *value = PyTuple_GET_ITEM(item, 1);
        if (PyUnicode_CompareWithASCIIString(name, "_abc_impl") == 0) {
            is_abstract = 1;
        }
        if (is_fixed(name, value)) {
            continue;
        }
        PyObject *moved = move_value(&m, value);
        status = moved == NULL ? -1 : hr_class_set(clone, name, moved);
        Py_XDECREF(moved);
    }
    if (status == 0 && is_abstract) {
        status = make_abstract(clone);
    }
    Py_XDECREF(items);
    Py_XDECREF(m.cell);
    return status;
}

PyObject *
hr_class_clone(struct hr_state *st, PyObject *o)
{
    PyTypeObject *type = (PyTypeObject *)o;
    PyObject *dict = hr_compat_type_dict(type);
    PyObject *ns = PyDict_New(), *args = NULL, *clone = NULL;
    PyObject *bases = Py_NewRef(type->tp_bases);
    static const char *const kept[] = {"__module__", "__qualname__",
                                       "__slots__"};
    (void)st;
    if (ns == NULL) {
        goto done;
    }
    for (int i = 0; i < 3; i++) {
        PyObject *value = PyDict_GetItemString(dict, kept[i]);
        if (value != NULL && PyDict_SetItemString(ns, kept[i], value) < 0) {
            goto done;
        }
    }
    if (has_init_subclass(type)) {
        Py_SETREF(bases, PyTuple_Pack(1, static_base(type)));
        if (bases == NULL) {
            goto done;
        }
    }
    args = Py_BuildValue("(sOO)", type->tp_name, bases, ns);
    if (args == NULL) {
        goto done;
    }
    /* Not by calling the metaclass: its code may register the new class. */
    clone = PyType_Type.tp_new(Py_TYPE(o), args, NULL);
    if (clone != NULL && ((bases != type->tp_bases &&
                           hr_class_set_bases(clone, type->tp_bases) < 0) ||
                          copy_attributes(o, clone) < 0)) {
        Py_CLEAR(clone);
    }
done:
    Py_XDECREF(args);
    Py_XDECREF(bases);
    Py_XDECREF(ns);
    return clone;
}

/* -- Plan ----------------------------------------------------------------- */

/* Does this function belong to the class, or is it one from elsewhere that
 * only has a name there? */
static int
is_member(PyObject *type, PyObject *name, PyObject *function)
{
    PyFunctionObject *f = (PyFunctionObject *)function;
    PyObject *qualname = ((PyHeapTypeObject *)type)->ht_qualname;
    PyObject *expected = PyUnicode_FromFormat("%U.%U", qualname, name);
    int same =
        expected != NULL && PyUnicode_Compare(expected, f->func_qualname) == 0;
    Py_XDECREF(expected);
    PyErr_Clear();
    return same;
}

static int
plan_wrapper(struct hr_journal *j, PyObject *type, PyObject *name,
             PyObject *old, PyObject *value, const char *const *parts,
             int count)
{
    PyObject *from[3] = {NULL, NULL, NULL}, *to[3] = {NULL, NULL, NULL};
    int same = 1, fits = 1, status = 0;
    for (int i = 0; status == 0 && i < count; i++) {
        /* Attributes of CPython's own types: only memory can be missing. */
        from[i] = PyObject_GetAttrString(old, parts[i]);
        to[i] = from[i] ? PyObject_GetAttrString(value, parts[i]) : NULL;
        if (to[i] == NULL) {
            status = -1;
            break;
        }
        same &= from[i] == to[i];
        fits &= from[i] == to[i] ||
                (PyFunction_Check(from[i]) && PyFunction_Check(to[i]) &&
                 is_member(type, name, from[i]));
    }
    /* Other objects with the same functions: it is the wrapper that differs.
     */
    int merges = status == 0 && fits && !same;
    for (int i = 0; status == 0 && merges && i < count; i++) {
        if (from[i] != to[i]) {
            status =
                hr_journal_add(j, HR_PLACE_FUNCTION, from[i], NULL, to[i]);
        }
    }
    for (int i = 0; i < count; i++) {
        Py_XDECREF(from[i]);
        Py_XDECREF(to[i]);
    }
    return status < 0 ? -1 : merges;
}

int
hr_class_plan_attribute(struct hr_state *st, struct hr_journal *j,
                        PyObject *type, PyObject *name, PyObject *old,
                        PyObject *value)
{
    static const char *const wrapped[] = {"__func__"};
    int merged = 0;
    (void)st;
    if (old == value) {
        return 0;
    }
    if (old != NULL && value != NULL && Py_TYPE(old) == Py_TYPE(value)) {
        PyTypeObject *kind = Py_TYPE(old);
        if (kind == &PyFunction_Type && is_member(type, name, old)) {
            return hr_journal_add(j, HR_PLACE_FUNCTION, old, NULL, value);
        }
        if (kind == &PyStaticMethod_Type || kind == &PyClassMethod_Type) {
            merged = plan_wrapper(j, type, name, old, value, wrapped, 1);
        }
        else if (kind == &PyProperty_Type) {
            merged =
                plan_wrapper(j, type, name, old, value, property_parts, 3);
        }
    }
    if (merged != 0) {
        return merged < 0 ? -1 : 0;
    }
    return hr_journal_add(j, HR_PLACE_TYPE, type, name, value);
}

/* Everything that `donor` has, and nothing that it has not. */
static int
plan_attributes(struct hr_state *st, struct hr_journal *j, struct move *m,
                PyObject *type, PyObject *donor, PyObject *original,
                struct hr_journal *force)
{
    PyObject *current = hr_compat_type_dict((PyTypeObject *)type);
    PyObject *wanted = hr_compat_type_dict((PyTypeObject *)donor);
    PyObject *base = hr_compat_type_dict((PyTypeObject *)original);
    PyObject *name, *value;
    PyObject *items = PyDict_Items(wanted);
    if (items == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        name = PyTuple_GET_ITEM(item, 0);
        value = PyTuple_GET_ITEM(item, 1);
        if (is_fixed(name, value)) {
            continue;
        }
        PyObject *moved = move_value(m, value);
        PyObject *old = PyDict_GetItemWithError(current, name);
        hr_journal_peek(force, HR_PLACE_TYPE, type, name, &old);
        status = moved == NULL
                     ? -1
                     : hr_class_plan_attribute(st, j, type, name, old, moved);
        Py_XDECREF(moved);
    }
    Py_DECREF(items);
    Py_ssize_t pos = 0;
    while (status == 0 && PyDict_Next(base, &pos, &name, &value)) {
        if (!is_fixed(name, value) &&
            PyDict_GetItemWithError(wanted, name) == NULL) {
            status = hr_journal_add(j, HR_PLACE_TYPE, type, name, NULL);
        }
    }
    return status;
}

int
hr_class_plan(struct hr_state *st, struct hr_journal *j, PyObject *type,
              PyObject *donor, PyObject *original, struct hr_journal *force)
{
    if (check_layout(st, type, donor) < 0) {
        return -1;
    }
    struct move m = {.from = donor, .cell = PyCell_New(type)};
    PyObject *bases =
        map_bases(((PyTypeObject *)donor)->tp_bases, type, original);
    int status = m.cell == NULL || bases == NULL ? -1 : 0;
    if (status == 0) {
        PyObject *old = ((PyTypeObject *)type)->tp_bases;
        hr_journal_peek(force, HR_PLACE_BASES, type, NULL, &old);
        int same = PyObject_RichCompareBool(bases, old, Py_EQ);
        status = same < 0 ? -1
                 : same > 0
                     ? 0
                     : hr_journal_add(j, HR_PLACE_BASES, type, NULL, bases);
    }
    if (status == 0) {
        status = plan_attributes(st, j, &m, type, donor, original, force);
    }
    if (status == 0 && m.opaque) {
        /* A method behind somebody's decorator: its super() must find the
         * class that it works for now. */
        PyObject *name, *value;
        Py_ssize_t pos = 0;
        PyObject *dict = hr_compat_type_dict((PyTypeObject *)donor);
        while (PyDict_Next(dict, &pos, &name, &value)) {
            PyObject *cell = find_class_cell(value, donor, 4);
            if (cell != NULL) {
                status = hr_journal_add(j, HR_PLACE_CELL, cell, NULL, type);
                break;
            }
        }
    }
    Py_XDECREF(bases);
    Py_XDECREF(m.cell);
    return status;
}
