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
 * `__class__`.  A method that moves to another class must find that class by
 * super(): see transfer.c.
 *
 * Layout.  Instances that exist keep their memory, so both classes must lay
 * theirs out alike: see layout.c.
 *
 * Attributes are set through type's own slot, not a metaclass's: that keeps
 * method caches and C slots right and runs no Python code.
 */
#include "code.h"

/* What frees the instances of a class that a class statement made.  A static
 * because it is one per process: a function of CPython's that has no exported
 * name. */
static destructor statement_dealloc;

void
hr_class_init(PyObject *type)
{
    statement_dealloc = ((PyTypeObject *)type)->tp_dealloc;
}

int
hr_class_is_from_statement(PyTypeObject *type)
{
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) &&
           type->tp_dealloc == statement_dealloc &&
           ((PyHeapTypeObject *)type)->ht_module == NULL;
}

int
hr_class_is_open(PyObject *o)
{
    if (!PyType_Check(o) || !hr_class_is_from_statement((PyTypeObject *)o)) {
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
    if (!PyUnicode_Check(name)) {
        return 1; /* by locals(): no attribute */
    }
    if (value != NULL && Py_TYPE(value) == &PyMemberDescr_Type) {
        return 1; /* a slot: the layouts agree, so it is in both */
    }
    return hr_name_is_one_of(name, fixed);
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

/* What type guards, and only keeps in the class's dict: it lets nobody delete
 * it, or set it at all, tells audit hooks before it is set, and 3.13 drops the
 * class's line with a new module. */
static int
is_guarded(PyObject *name)
{
    static const char *const names[] = {"__dict__", "__doc__", "__module__",
                                        "__type_params__", NULL};
    return hr_name_is_one_of(name, names);
}

int
hr_class_set(PyObject *type, PyObject *name, PyObject *value)
{
    if (is_guarded(name) || has_meta_descriptor(Py_TYPE(type), name)) {
        PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
        int status = value != NULL ? PyDict_SetItem(dict, name, value)
                                   : PyDict_DelItem(dict, name);
        PyType_Modified((PyTypeObject *)type);
        return status;
    }
    int status = PyType_Type.tp_setattro(type, name, value);
    if (value == NULL && status == 0 &&
        PyUnicode_CompareWithASCIIString(name, "__new__") == 0) {
        hr_class_restore_new((PyTypeObject *)type);
    }
    return status;
}

/* CPython leaves the slot of a class whose __new__ went at the function that
 * looks for one, and object.__new__() then takes no arguments. */
void
hr_class_restore_new(PyTypeObject *type)
{
    PyObject *name = PyUnicode_InternFromString("__new__");
    PyObject *new = name ? _PyType_Lookup(type, name) : NULL; /* borrowed */
    Py_XDECREF(name);
    PyErr_Clear();
    if (new == NULL || !PyCFunction_Check(new) ||
        PyCFunction_GET_SELF(new) == NULL ||
        !PyType_Check(PyCFunction_GET_SELF(new))) {
        return;
    }
    type->tp_new = ((PyTypeObject *)PyCFunction_GET_SELF(new))->tp_new;
    PyObject *key, *ref, *all = (PyObject *)type->tp_subclasses;
    Py_ssize_t pos = 0;
    while (all != NULL && PyDict_Next(all, &pos, &key, &ref)) {
        PyObject *sub = hr_compat_weakref_get(ref);
        if (sub != NULL) {
            hr_class_restore_new((PyTypeObject *)sub);
            Py_DECREF(sub);
        }
    }
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
    struct hr_transfer m = {.from = type, .cell = PyCell_New(clone)};
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
        PyObject *moved = hr_transfer_value(&m, value);
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
        Py_SETREF(bases, PyTuple_Pack(1, hr_layout_solid_base(type)));
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
                           hr_layout_set_bases(clone, type->tp_bases) < 0) ||
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
    if (old != NULL && value != NULL && Py_TYPE(old) == Py_TYPE(value) &&
        (PyUnicode_CheckExact(old) || PyLong_CheckExact(old) ||
         PyTuple_CheckExact(old)) &&
        hr_code_is_same_const(old, value) == 1) {
        return 0; /* each set takes one of a class's few version tags */
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
            merged = plan_wrapper(j, type, name, old, value,
                                  hr_transfer_property_parts, 3);
        }
    }
    if (merged != 0) {
        return merged < 0 ? -1 : 0;
    }
    return hr_journal_add(j, HR_PLACE_TYPE, type, name, value);
}

/* `__dict__` and `__weakref__` are found in the lowest base whose instances
 * have them.  Where that is no base any more, the class has its own. */
static int
plan_getset(struct hr_journal *j, PyObject *type, PyObject *name,
            PyObject *value)
{
    if (Py_TYPE(value) != &PyGetSetDescr_Type) {
        return 0;
    }
    PyObject *own = PyDescr_NewGetSet(
        (PyTypeObject *)type, ((PyGetSetDescrObject *)value)->d_getset);
    int status =
        own == NULL ? -1 : hr_journal_add(j, HR_PLACE_TYPE, type, name, own);
    Py_XDECREF(own);
    return status;
}

/* The first name in the donor of what has several (`__radd__ = __add__`), or
 * NULL: a borrowed item of `names`, which has what was asked for. */
static PyObject *
find_first_name(PyObject *names, PyObject *name, PyObject *value)
{
    PyTypeObject *t = Py_TYPE(value);
    if (t != &PyFunction_Type && t != &PyStaticMethod_Type &&
        t != &PyClassMethod_Type && t != &PyProperty_Type) {
        return NULL;
    }
    PyObject *id = PyLong_FromVoidPtr(value);
    PyObject *first = id ? PyDict_SetDefault(names, id, name) : NULL;
    Py_XDECREF(id);
    return first == name ? NULL : first;
}

/* Another name holds what the first one will. */
static int
plan_alias(struct hr_state *st, struct hr_journal *j, PyObject *type,
           PyObject *current, PyObject *first, PyObject *name)
{
    PyObject *old = PyDict_GetItemWithError(current, name);
    PyObject *value = PyDict_GetItemWithError(current, first);
    hr_place_peek(j, HR_PLACE_TYPE, type, first, &value);
    int status = value == NULL || value == old
                     ? 0
                     : hr_journal_add(j, HR_PLACE_TYPE, type, name, value);
    if (status == 0 && value != NULL && old != NULL && value != old &&
        PyFunction_Check(old) && PyFunction_Check(value) &&
        is_member(type, name, old) &&
        !hr_place_has(j, HR_PLACE_FUNCTION, old)) {
        PyObject *holder = hr_trampoline_new(st, value);
        status = holder == NULL
                     ? -1
                     : hr_journal_add(j, HR_PLACE_FUNCTION, old, NULL, holder);
        Py_XDECREF(holder);
    }
    return status;
}

/* Everything that `donor` has, and nothing that it has not. */
static int
plan_attributes(struct hr_state *st, struct hr_journal *j,
                struct hr_transfer *m, PyObject *type, PyObject *donor,
                long layer)
{
    PyObject *current = hr_layer_dict(st, layer, HR_PLACE_TYPE, type);
    PyObject *wanted = hr_compat_type_dict((PyTypeObject *)donor);
    PyObject *name, *value;
    PyObject *items = current ? PyDict_Items(wanted) : NULL;
    PyObject *names = items ? PyDict_New() : NULL;
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        name = PyTuple_GET_ITEM(item, 0);
        value = PyTuple_GET_ITEM(item, 1);
        PyObject *old = PyDict_GetItemWithError(current, name);
        PyObject *first = find_first_name(names, name, value);
        if (first != NULL || PyErr_Occurred()) {
            status = first == NULL
                         ? -1
                         : plan_alias(st, j, type, current, first, name);
            continue;
        }
        if (is_fixed(name, value)) {
            status = old == NULL ? plan_getset(j, type, name, value) : 0;
            continue;
        }
        if (old == value) {
            continue;
        }
        PyObject *moved = hr_transfer_value(m, value);
        status = moved == NULL
                     ? -1
                     : hr_class_plan_attribute(st, j, type, name, old, moved);
        Py_XDECREF(moved);
    }
    Py_XDECREF(names);
    Py_XDECREF(items);
    Py_ssize_t pos = 0;
    while (status == 0 && PyDict_Next(current, &pos, &name, &value)) {
        if (!is_fixed(name, value) &&
            PyDict_GetItemWithError(wanted, name) == NULL) {
            status = hr_journal_add(j, HR_PLACE_TYPE, type, name, NULL);
        }
    }
    Py_XDECREF(current);
    return status;
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

int
hr_class_plan(struct hr_state *st, struct hr_journal *j, PyObject *type,
              PyObject *donor, PyObject *original, long layer)
{
    PyObject *meta = (PyObject *)Py_TYPE(type);
    hr_place_peek(j, HR_PLACE_META, type, NULL, &meta);
    if (hr_layout_check(st, type, donor, (PyTypeObject *)meta) < 0) {
        return -1;
    }
    struct hr_transfer m = {
        .from = donor, .cell = PyCell_New(type), .st = st, .layer = layer};
    PyObject *bases =
        map_bases(((PyTypeObject *)donor)->tp_bases, type, original);
    int status = m.cell == NULL || bases == NULL ? -1 : 0;
    if (status == 0) {
        PyObject *old = ((PyTypeObject *)type)->tp_bases;
        hr_layer_peek(st, layer, HR_PLACE_BASES, type, NULL, &old);
        int same = PyObject_RichCompareBool(bases, old, Py_EQ);
        status = same < 0 ? -1
                 : same > 0
                     ? 0
                     : hr_journal_add(j, HR_PLACE_BASES, type, NULL, bases);
    }
    if (status == 0) {
        status = plan_attributes(st, j, &m, type, donor, layer);
    }
    if (status == 0 && m.opaque) {
        /* A method behind somebody's decorator: its super() must find the
         * class that it works for now. */
        PyObject *values =
            PyDict_Values(hr_compat_type_dict((PyTypeObject *)donor));
        status = values == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(values);
             i++) {
            PyObject *cell =
                hr_transfer_find_cell(&m, PyList_GET_ITEM(values, i));
            if (cell != NULL && !hr_place_has(j, HR_PLACE_CELL, cell)) {
                status = hr_journal_add(j, HR_PLACE_CELL, cell, NULL, type);
            }
            Py_XDECREF(cell);
        }
        Py_XDECREF(values);
    }
    Py_XDECREF(bases);
    Py_XDECREF(m.cell);
    return status;
}

int
hr_class_plan_part(struct hr_journal *j, PyObject *type, PyObject *donor,
                   PyObject *original, PyObject *name, PyObject *value)
{
    if (name == NULL) {
        PyObject *bases = map_bases(value, type, original);
        int done = bases == NULL
                       ? -1
                       : hr_journal_add(j, HR_PLACE_BASES, type, NULL, bases);
        Py_XDECREF(bases);
        return done;
    }
    PyObject *moved = NULL;
    if (is_fixed(name, value)) {
        return 0;
    }
    if (value != NULL) {
        struct hr_transfer m = {.from = donor, .cell = PyCell_New(type)};
        moved = m.cell ? hr_transfer_value(&m, value) : NULL;
        Py_XDECREF(m.cell);
        if (moved == NULL) {
            return -1;
        }
    }
    int status = hr_journal_add(j, HR_PLACE_TYPE, type, name, moved);
    Py_XDECREF(moved);
    return status;
}

/* -- A second class ------------------------------------------------------- */

/* It dies when it is collected, which may be long after.  What is looked up in
 * there, and that it can be missing, is so on all versions. */
void
hr_class_hide(PyObject *o)
{
    if (!hr_class_is_open(o)) {
        return;
    }
    PyObject *type, *value, *traceback, *bases = ((PyTypeObject *)o)->tp_bases;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *key = PyLong_FromVoidPtr(o);
    for (Py_ssize_t i = 0;
         key != NULL && bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        PyObject *list = PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE)
                             ? (PyObject *)base->tp_subclasses
                             : NULL;
        if (list != NULL && PyDict_CheckExact(list) &&
            PyDict_GetItemWithError(list, key) != NULL) {
            (void)PyDict_DelItem(list, key);
        }
    }
    Py_XDECREF(key);
    PyErr_Restore(type, value, traceback);
}
