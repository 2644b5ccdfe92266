/* New objects that lend their content to one that keeps its identity.
 *
 * A changed function, class or member of an enumeration is made a second time
 * while statements run, and what they make holds that second one.  Afterwards
 * whatever was made is made to hold the one that stays, and instances of a
 * second class become instances of the first.  Before the commit only what
 * was made meanwhile (made.c) is touched, since everything else is the
 * program's; after it, what the program holds of second ones, too.
 */
#include "code.h"

/* -- Pairs ---------------------------------------------------------------- */

static size_t
hash_pointer(PyObject *o)
{
    uintptr_t bits = (uintptr_t)o;
    return (size_t)((bits >> 4) * 0x9E3779B97F4A7C15u >> 20);
}

/* Room for one more: a table of open addresses, half full at most. */
static int
grow_pairs(struct hr_plan *p)
{
    size_t slots = p->pair_slots ? p->pair_slots * 2 : 32;
    struct hr_pair *pairs = PyMem_Realloc(p->pairs, slots / 2 * sizeof *pairs);
    if (pairs == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->pairs = pairs;
    uint32_t *table = PyMem_Calloc(slots, sizeof *table);
    if (table == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < p->pair_count; i++) {
        size_t at = hash_pointer(pairs[i].new) & (slots - 1);
        while (table[at] != 0) {
            at = (at + 1) & (slots - 1);
        }
        table[at] = (uint32_t)i + 1;
    }
    PyMem_Free(p->pair_table);
    p->pair_table = table;
    p->pair_slots = slots;
    return 0;
}

int
hr_substitute_add(struct hr_plan *p, PyObject *new, PyObject *kept)
{
    if (p->pair_count >= p->pair_slots / 2 && grow_pairs(p) < 0) {
        return -1;
    }
    size_t at = hash_pointer(new) & (p->pair_slots - 1);
    while (p->pair_table[at] != 0) {
        if (p->pairs[p->pair_table[at] - 1].new == new) {
            return 0;
        }
        at = (at + 1) & (p->pair_slots - 1);
    }
    p->pairs[p->pair_count++] =
        (struct hr_pair){Py_NewRef(new), Py_NewRef(kept), 0};
    p->pair_table[at] = (uint32_t)p->pair_count;
    return 0;
}

static struct hr_pair *
find_pair(struct hr_plan *p, PyObject *o)
{
    if (p->pair_count == 0) {
        return NULL;
    }
    size_t at = hash_pointer(o) & (p->pair_slots - 1);
    while (p->pair_table[at] != 0) {
        struct hr_pair *pair = &p->pairs[p->pair_table[at] - 1];
        if (pair->new == o) {
            return pair;
        }
        at = (at + 1) & (p->pair_slots - 1);
    }
    return NULL;
}

PyObject *
hr_substitute_preview_of(struct hr_plan *p, PyObject *o)
{
    struct hr_pair *pair = find_pair(p, o);
    return pair != NULL && pair->preview ? pair->kept : NULL;
}

PyObject *
hr_substitute_kept(struct hr_plan *p, PyObject *o)
{
    struct hr_pair *pair = find_pair(p, o);
    /* The preview may be one of an object that has itself been made. */
    struct hr_pair *next =
        pair != NULL && pair->preview ? find_pair(p, pair->kept) : NULL;
    return next != NULL ? next->kept : pair != NULL ? pair->kept : NULL;
}

void
hr_substitute_clear(struct hr_plan *p)
{
    for (size_t i = 0; i < p->pair_count; i++) {
        hr_class_hide(p->pairs[i].new);
        Py_DECREF(p->pairs[i].new);
        Py_DECREF(p->pairs[i].kept);
    }
    PyMem_Free(p->pairs);
    PyMem_Free(p->pair_table);
    p->pairs = NULL;
    p->pair_table = NULL;
    p->pair_count = p->pair_slots = 0;
}

/* -- Containers ----------------------------------------------------------- */

static void
substitute_slot(struct hr_plan *p, PyObject **slot)
{
    PyObject *kept = *slot != NULL ? hr_substitute_kept(p, *slot) : NULL;
    if (kept != NULL) {
        Py_SETREF(*slot, Py_NewRef(kept));
    }
}

/* The same items under the keys that stay, in their order. */
static int
set_items(struct hr_plan *p, PyObject *dict, PyObject *items)
{
    PyObject *new = PyDict_New();
    int status = new == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *key = PyTuple_GET_ITEM(item, 0);
        PyObject *kept = hr_substitute_kept(p, key);
        status =
            PyDict_SetItem(new, kept ? kept : key, PyTuple_GET_ITEM(item, 1));
    }
    if (status == 0) {
        PyDict_Clear(dict);
        status = PyDict_Update(dict, new);
    }
    Py_XDECREF(new);
    return status;
}

int
hr_substitute_dict(struct hr_plan *p, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    int keys = 0;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        PyObject *kept = hr_substitute_kept(p, value);
        /* The key is there: nothing moves. */
        if (kept != NULL && PyDict_SetItem(dict, key, kept) < 0) {
            return -1;
        }
        keys |= hr_substitute_kept(p, key) != NULL;
    }
    if (!keys) {
        return 0;
    }
    PyObject *items = PyDict_Items(dict);
    int status = items == NULL ? -1 : 0;
    if (status == 0 && p->evaluating && PyDict_CheckExact(dict)) {
        status = set_items(p, dict, items); /* nobody else has it yet */
        Py_DECREF(items);
        return status;
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *kept = hr_substitute_kept(p, PyTuple_GET_ITEM(item, 0));
        if (kept != NULL) {
            status = PyDict_DelItem(dict, PyTuple_GET_ITEM(item, 0));
            if (status == 0) {
                status = PyDict_SetItem(dict, kept, PyTuple_GET_ITEM(item, 1));
            }
        }
    }
    Py_XDECREF(items);
    return status;
}

/* In a list that has both, the new one goes. */
static int
substitute_list(struct hr_plan *p, PyObject *list)
{
    for (Py_ssize_t i = PyList_GET_SIZE(list); i-- > 0;) {
        PyObject *kept = hr_substitute_kept(p, PyList_GET_ITEM(list, i));
        if (kept == NULL) {
            continue;
        }
        int twice = 0;
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); k++) {
            twice |= PyList_GET_ITEM(list, k) == kept;
        }
        if (twice) {
            if (PyList_SetSlice(list, i, i + 1, NULL) < 0) {
                return -1;
            }
        }
        else {
            substitute_slot(p, &((PyListObject *)list)->ob_item[i]);
        }
    }
    return 0;
}

static int
substitute_set(struct hr_plan *p, PyObject *set)
{
    PyObject *items = PySequence_List(set);
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *kept = hr_substitute_kept(p, item);
        if (kept != NULL &&
            (PySet_Discard(set, item) < 0 || PySet_Add(set, kept) < 0)) {
            status = -1;
        }
    }
    Py_XDECREF(items);
    return status;
}

static int
substitute_bases(struct hr_plan *p, PyObject *type)
{
    PyObject *bases = ((PyTypeObject *)type)->tp_bases;
    int found = 0;
    PyType_Modified((PyTypeObject *)type);
    for (Py_ssize_t i = 0; bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        found |= hr_substitute_kept(p, PyTuple_GET_ITEM(bases, i)) != NULL;
    }
    if (!found) {
        return 0;
    }
    PyObject *mapped = PyTuple_New(PyTuple_GET_SIZE(bases));
    for (Py_ssize_t i = 0; mapped != NULL && i < PyTuple_GET_SIZE(bases);
         i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        PyObject *kept = hr_substitute_kept(p, base);
        PyTuple_SET_ITEM(mapped, i, Py_NewRef(kept ? kept : base));
    }
    int status = mapped == NULL ? -1 : hr_layout_set_bases(type, mapped);
    Py_XDECREF(mapped);
    return status;
}

static void
substitute_tuple(struct hr_plan *p, PyObject *tuple)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        substitute_slot(p, &((PyTupleObject *)tuple)->ob_item[i]);
    }
}

/* -- Any object ----------------------------------------------------------- */

struct visit {
    struct hr_plan *p;
    size_t hits;
};

static int
count_hit(PyObject *o, void *arg)
{
    struct visit *v = arg;
    v->hits += hr_substitute_kept(v->p, o) != NULL;
    return 0;
}

static size_t
count_hits(struct hr_plan *p, PyObject *o)
{
    struct visit v = {.p = p};
    traverseproc traverse = Py_TYPE(o)->tp_traverse;
    if (traverse != NULL) {
        (void)traverse(o, count_hit, &v);
    }
    if (PyType_HasFeature(Py_TYPE(o), Py_TPFLAGS_HEAPTYPE) &&
        hr_substitute_kept(p, (PyObject *)Py_TYPE(o)) != NULL) {
        v.hits = v.hits > 0 ? v.hits - 1 : 0; /* its class */
    }
    return v.hits;
}

/* What holds references in fields of its own: a bound method, a cell, a
 * property, a partial, an object with slots.  Its memory is read, and a word
 * counts as a reference when the object itself says that it has as many. */
static int
substitute_fields(struct hr_plan *p, PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    if (type->tp_dictoffset != 0) {
        PyObject *dict = hr_compat_instance_dict(o);
        int status = dict != NULL ? hr_substitute_dict(p, dict)
                     : PyErr_ExceptionMatches(PyExc_MemoryError) ? -1
                                                                 : 0;
        Py_XDECREF(dict);
        if (status < 0) {
            return -1;
        }
        PyErr_Clear();
    }
    PyObject **words = (PyObject **)(o + 1);
    size_t n = ((size_t)type->tp_basicsize - sizeof *o) / sizeof *words;
    size_t hits = count_hits(p, o), found = 0;
    for (size_t i = 0; i < n; i++) {
        found += words[i] != NULL && hr_substitute_kept(p, words[i]) != NULL;
    }
    for (size_t i = 0; found == hits && i < n; i++) {
        substitute_slot(p, &words[i]);
    }
    return 0;
}

/* Others know what they refer to by more than that field, or nobody uses
 * them again. */
static int
is_left_alone(PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    return PyFunction_Check(o) || PyCode_Check(o) || PyFrame_Check(o) ||
           PyWeakref_Check(o) || PyFrozenSet_Check(o) ||
           t == &PyGetSetDescr_Type || t == &PyMemberDescr_Type ||
           t == &PyMethodDescr_Type || t == &PyClassMethodDescr_Type ||
           t == &PyWrapperDescr_Type || PyGen_CheckExact(o) ||
           PyCoro_CheckExact(o) || PyAsyncGen_CheckExact(o) ||
           (t->tp_itemsize != 0 && !PyTuple_Check(o));
}

int
hr_substitute_in(struct hr_plan *p, PyObject *o)
{
    PyObject *type =
        hr_substitute_kept(p, (PyObject *)Py_TYPE(o)); /* of an instance */
    if (type != NULL && PyType_Check(type) && PyType_Check(o)) {
        hr_layout_set_meta(o, type);
    }
    else if (type != NULL && PyType_Check(type) &&
             hr_layout_set_class(o, type) < 0) {
        return -1;
    }
    if (PyType_Check(o)) {
        return hr_class_is_open(o) && hr_substitute_kept(p, o) == NULL
                   ? substitute_bases(p, o)
                   : 0;
    }
    if (is_left_alone(o) || count_hits(p, o) == 0) {
        return 0;
    }
    if (PyDict_Check(o) && hr_substitute_dict(p, o) < 0) {
        return -1;
    }
    if (PyList_Check(o)) {
        return substitute_list(p, o);
    }
    if (PyTuple_Check(o)) {
        substitute_tuple(p, o);
        return 0;
    }
    if (PyAnySet_Check(o)) {
        return substitute_set(p, o);
    }
    return substitute_fields(p, o);
}

int
hr_substitute_in_all(struct hr_plan *p, PyObject *made)
{
    int status = 0;
    /* Bases first: they stand in tuples, which must be seen as they were. */
    for (int types = 1; types >= 0; types--) {
        for (Py_ssize_t i = 0;
             status == 0 && p->pair_count > 0 && i < PyList_GET_SIZE(made);
             i++) {
            PyObject *o = PyList_GET_ITEM(made, i);
            if ((PyType_Check(o) != 0) == types && o != made) {
                status = hr_substitute_in(p, o);
            }
        }
    }
    return status;
}

/* -- After the commit ----------------------------------------------------- */

/* The dict of a class was written to. */
static int
forget_attributes(PyObject *gc, PyObject *dict)
{
    if (PyDict_GetItemString(dict, "__module__") == NULL) {
        return 0;
    }
    PyObject *found = PyObject_CallMethod(gc, "get_referrers", "O", dict);
    for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(found); i++) {
        if (PyType_Check(PyList_GET_ITEM(found, i))) {
            PyType_Modified((PyTypeObject *)PyList_GET_ITEM(found, i));
        }
    }
    Py_XDECREF(found);
    return found == NULL ? -1 : 0;
}

/* Whoever else holds it: a registry, a list of somebody's. */
static int
substitute_holders(struct hr_plan *p, PyObject *gc, PyObject *all)
{
    PyObject *find = PyObject_GetAttrString(gc, "get_referrers");
    PyObject *news = find ? PyList_AsTuple(all) : NULL;
    PyObject *found = news ? PyObject_CallObject(find, news) : NULL;
    int status = found == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(found); i++) {
        PyObject *o = PyList_GET_ITEM(found, i);
        if (o == all || PyTuple_Check(o)) {
            continue; /* ours; or of a class that goes, or shared */
        }
        if (hr_substitute_in(p, o) < 0 ||
            (PyDict_Check(o) && forget_attributes(gc, o) < 0)) {
            PyErr_Clear(); /* another one can be made to hold it */
        }
    }
    Py_XDECREF(found);
    Py_XDECREF(news);
    Py_XDECREF(find);
    return status;
}

/* The references to a new object that are the plan's or, of a class, its own.
 */
static Py_ssize_t
count_own(PyObject *new)
{
    Py_ssize_t own = 1;
    if (!PyType_Check(new)) {
        return own;
    }
    PyTypeObject *type = (PyTypeObject *)new;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        own += PyTuple_GET_ITEM(type->tp_mro, i) == new;
    }
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(hr_compat_type_dict(type), &pos, &key, &value)) {
        own += (Py_TYPE(value) == &PyGetSetDescr_Type ||
                Py_TYPE(value) == &PyMemberDescr_Type) &&
               PyDescr_TYPE(value) == type;
    }
    return own;
}

int
hr_substitute_leaked(struct hr_plan *p)
{
    PyObject *held = PyList_New(0), *gc = NULL;
    int status = held == NULL ? -1 : 0;
    Py_CLEAR(p->followers);
    for (size_t i = 0; status == 0 && i < p->pair_count; i++) {
        PyObject *new = p->pairs[i].new;
        if (PyType_Check(new) && hr_weak_exchange(new, p->pairs[i].kept) < 0) {
            PyErr_Clear();
        }
        if (!PyDict_Check(new) && Py_REFCNT(new) > count_own(new)) {
            status = PyList_Append(held, new);
        }
    }
    if (status == 0 && PyList_GET_SIZE(held) > 0) {
        gc = PyImport_ImportModule("gc");
        status = gc == NULL ? -1 : substitute_holders(p, gc, held);
    }
    Py_XDECREF(held);
    Py_XDECREF(gc);
    return status;
}

void
hr_substitute_abandon(struct hr_plan *p)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    for (Py_ssize_t i = 0; p->donors && i < PyList_GET_SIZE(p->donors); i++) {
        PyObject *item = PyList_GET_ITEM(p->donors, i);
        PyObject *kept = PyTuple_GET_ITEM(item, 0);
        PyObject *donor = PyTuple_GET_ITEM(item, 1);
        if (donor != kept && hr_substitute_add(p, donor, kept) < 0) {
            PyErr_Clear();
        }
    }
    Py_CLEAR(p->donors);
    if (hr_substitute_leaked(p) < 0) {
        PyErr_Clear();
    }
    PyErr_Restore(type, value, traceback);
}
