/* Journals: the one mechanism by which anything changes and is put back.
 *
 * A journal is an array of swaps; a swap is a place and a value, and swapping
 * exchanges the two.  Done forwards it commits, done again backwards it takes
 * back.
 *
 *     place            value               after hr_journal_swap()
 *     f's body         [new body]          f runs the new, value is the old
 *     m.__dict__["X"]  2                   m.X is 2, value is 1
 *     K.a              NULL                K.a is gone, value is what it was
 *
 * hr_journal_swap() holds the GIL from the first swap to the last and neither
 * runs Python code nor lets go of an object: what it takes out it keeps.  Old
 * values are released when the journal is freed, never inside a commit.  It
 * can fail for lack of memory only (a new key in a dict), or where a class
 * refuses its bases; the swaps made so far are then taken back.
 */
#include "core.h"

struct hr_swap {
    enum hr_place place;
    PyObject *owner; /* owned */
    PyObject *key;   /* owned, or NULL */
    PyObject *value; /* owned, or NULL: nothing there */
    PyObject *put;   /* owned, of a gentle journal: what it puts there */
    int lost;        /* the program has set the place since: it is its own */
};

struct hr_journal {
    struct hr_swap *swaps;
    size_t count, capacity;
    /* Places by their hash: 1 + the number of a swap, 0 for none.  Only an
     * aid: made when it is asked for, brought up to date, dropped when swaps
     * move. */
    size_t *index; /* owned, or NULL */
    size_t slots, indexed;
    int done;
    int gentle;           /* see hr_journal_set_gentle() */
    int notifying, freed; /* hooks run meanwhile, and may free it */
    struct hr_state *freed_by;
};

struct hr_journal *
hr_journal_new(void)
{
    struct hr_journal *j = PyMem_Calloc(1, sizeof *j);
    if (j == NULL) {
        PyErr_NoMemory();
    }
    return j;
}

size_t
hr_journal_count(const struct hr_journal *j)
{
    return j->count;
}

/* Does the swap exchange the same code? */
static int
has_codes(const struct hr_swap *s, PyObject *owner, PyObject *value)
{
    return s->place == HR_PLACE_FUNCTION &&
           HR_AS_FUNCTION(s->owner)->func_code ==
               HR_AS_FUNCTION(owner)->func_code &&
           HR_AS_FUNCTION(s->value)->func_code ==
               HR_AS_FUNCTION(value)->func_code;
}

int
hr_journal_add(struct hr_journal *j, enum hr_place place, PyObject *owner,
               PyObject *key, PyObject *value)
{
    if (j->count == j->capacity) {
        size_t capacity = j->capacity ? j->capacity * 2 : 4;
        struct hr_swap *swaps =
            PyMem_Realloc(j->swaps, capacity * sizeof *swaps);
        if (swaps == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        j->swaps = swaps;
        j->capacity = capacity;
    }
    if (place == HR_PLACE_FUNCTION) {
        /* Events belong to code: of thousands of closures, once. */
        int same =
            j->count > 0 && has_codes(&j->swaps[j->count - 1], owner, value);
        if (!same && hr_function_prepare(owner, value) < 0) {
            return -1;
        }
        hr_function_mark_holder(value);
    }
    struct hr_swap *s = &j->swaps[j->count++];
    s->place = place;
    s->owner = Py_NewRef(owner);
    s->key = Py_XNewRef(key);
    s->value = Py_XNewRef(value);
    s->put = j->gentle ? Py_XNewRef(value) : NULL;
    s->lost = 0;
    return 0;
}

void
hr_journal_set_gentle(struct hr_journal *j)
{
    j->gentle = 1;
}

static int
is_same_key(PyObject *a, PyObject *b)
{
    return a == b || (PyUnicode_Check(a) && PyUnicode_Check(b) &&
                      PyUnicode_Compare(a, b) == 0);
}

/* -- Looking up ----------------------------------------------------------- */

#define LINEAR 32 /* as many swaps are looked through one by one */

static void
drop_index(struct hr_journal *j)
{
    PyMem_Free(j->index);
    j->index = NULL;
    j->slots = j->indexed = 0;
}

/* Of dicts and classes the key counts: they are the owners of many places. */
static int
is_keyed(enum hr_place place)
{
    return place == HR_PLACE_DICT || place == HR_PLACE_TYPE ||
           place == HR_PLACE_NAME;
}

static size_t
hash_place(enum hr_place place, PyObject *owner, PyObject *key)
{
    size_t hash = ((size_t)owner >> 4) * 31 + (size_t)place;
    if (is_keyed(place) && PyUnicode_Check(key)) {
        hash = hash * 1000003 + (size_t)PyObject_Hash(key);
    }
    return hash ^ hash >> 17;
}

/* 0 when there is no memory for it. */
static int
update_index(struct hr_journal *j)
{
    if (j->slots < j->count * 2) {
        size_t slots = 128;
        while (slots < j->count * 4) {
            slots *= 2;
        }
        drop_index(j);
        j->index = PyMem_Calloc(slots, sizeof *j->index);
        if (j->index == NULL) {
            return 0;
        }
        j->slots = slots;
    }
    for (; j->indexed < j->count; j->indexed++) {
        struct hr_swap *s = &j->swaps[j->indexed];
        size_t at = hash_place(s->place, s->owner, s->key) & (j->slots - 1);
        while (j->index[at] != 0) {
            at = (at + 1) & (j->slots - 1);
        }
        j->index[at] = j->indexed + 1;
    }
    return 1;
}

static int
is_at(const struct hr_swap *s, enum hr_place place, PyObject *owner,
      PyObject *key)
{
    return s->place == place && s->owner == owner &&
           (key == NULL || is_same_key(key, s->key));
}

/* The first swap of a place; key NULL: of any key.  Those that are lost count
 * when `lost`. */
static struct hr_swap *
find_swap(struct hr_journal *j, enum hr_place place, PyObject *owner,
          PyObject *key, int lost)
{
    if (j == NULL) {
        return NULL;
    }
    if (j->count <= LINEAR || (is_keyed(place) && key == NULL) ||
        !update_index(j)) {
        for (size_t i = 0; i < j->count; i++) {
            struct hr_swap *s = &j->swaps[i];
            if (is_at(s, place, owner, key) && (lost || !s->lost)) {
                return s;
            }
        }
        return NULL;
    }
    size_t at = hash_place(place, owner, key) & (j->slots - 1);
    /* Those of equal hash stand in their order. */
    for (; j->index[at] != 0; at = (at + 1) & (j->slots - 1)) {
        struct hr_swap *s = &j->swaps[j->index[at] - 1];
        if (is_at(s, place, owner, key) && (lost || !s->lost)) {
            return s;
        }
    }
    return NULL;
}

int
hr_journal_peek(struct hr_journal *j, enum hr_place place, PyObject *owner,
                PyObject *key, PyObject **value)
{
    struct hr_swap *s = find_swap(j, place, owner, key, 0);
    if (s != NULL) {
        *value = s->value;
    }
    return s != NULL;
}

int
hr_journal_has(struct hr_journal *j, enum hr_place place, PyObject *owner)
{
    return find_swap(j, place, owner, NULL, 1) != NULL;
}

/* -- All of them ---------------------------------------------------------- */

/* Does a swap of one change what a swap of the other does? */
int
hr_journal_meets(struct hr_journal *a, struct hr_journal *b)
{
    for (size_t i = 0; a != NULL && b != NULL && i < a->count; i++) {
        struct hr_swap *s = &a->swaps[i];
        for (size_t k = 0; k < b->count; k++) {
            struct hr_swap *t = &b->swaps[k];
            if (s->owner == t->owner && s->place == t->place &&
                ((s->place != HR_PLACE_DICT && s->place != HR_PLACE_TYPE &&
                  s->place != HR_PLACE_NAME) ||
                 is_same_key(s->key, t->key))) {
                return 1;
            }
        }
    }
    return 0;
}

/* A dict as it is without a committed journal: *copy is made (owned) when it
 * is NULL and the two differ. */
int
hr_journal_lift_dict(struct hr_journal *j, enum hr_place place,
                     PyObject *owner, PyObject *dict, PyObject **copy)
{
    for (size_t i = j->count; i-- > 0;) {
        struct hr_swap *s = &j->swaps[i];
        if (s->place != place || s->owner != owner || s->lost) {
            continue;
        }
        if (*copy == NULL && (*copy = PyDict_Copy(dict)) == NULL) {
            return -1;
        }
        PyObject *old = PyDict_GetItemWithError(*copy, s->key);
        int status = old == NULL && PyErr_Occurred()   ? -1
                     : s->put != NULL && old != s->put ? 0
                     : s->value != NULL
                         ? PyDict_SetItem(*copy, s->key, s->value)
                     : old != NULL ? PyDict_DelItem(*copy, s->key)
                                   : 0;
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_journal_reserve(struct hr_journal *j, size_t more)
{
    size_t count = j->count + more;
    if (count <= j->capacity) {
        return 0;
    }
    count += count / 2;
    struct hr_swap *swaps = PyMem_Realloc(j->swaps, count * sizeof *swaps);
    if (swaps == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    j->swaps = swaps;
    j->capacity = count;
    return 0;
}

/* Both are committed, or neither is: `j` takes the swaps of `more`, which is
 * left empty. */
int
hr_journal_append(struct hr_journal *j, struct hr_journal *more)
{
    if (more->count == 0) {
        return 0;
    }
    if (hr_journal_reserve(j, more->count) < 0) {
        return -1;
    }
    memcpy(j->swaps + j->count, more->swaps, more->count * sizeof *j->swaps);
    j->count += more->count;
    more->count = 0;
    drop_index(more);
    return 0;
}

int
hr_journal_replace(struct hr_journal *j, enum hr_place place, PyObject *owner,
                   PyObject *key, PyObject *value)
{
    for (size_t i = 0; i < j->count; i++) {
        struct hr_swap *s = &j->swaps[i];
        if (s->place == place && s->owner == owner && s->key != NULL &&
            PyUnicode_Compare(key, s->key) == 0) {
            Py_XSETREF(s->value, Py_XNewRef(value));
            Py_XSETREF(s->put, j->gentle ? Py_XNewRef(value) : NULL);
            return 0;
        }
    }
    return hr_journal_add(j, place, owner, key, value);
}

PyObject *
hr_journal_key(struct hr_journal *j, size_t i)
{
    return j->swaps[i].key;
}

int
hr_journal_get(struct hr_journal *j, size_t i, enum hr_place place,
               PyObject **owner, PyObject **value)
{
    *owner = j->swaps[i].owner;
    *value = j->swaps[i].value;
    return j->swaps[i].place == place;
}

enum hr_place
hr_journal_place(struct hr_journal *j, size_t i, PyObject **owner,
                 PyObject **key, PyObject **value)
{
    struct hr_swap *s = &j->swaps[i];
    *owner = s->owner;
    *key = s->key;
    *value = s->value;
    return s->place;
}

void
hr_journal_put(struct hr_journal *j, size_t i, PyObject *value)
{
    Py_XSETREF(j->swaps[i].value, Py_XNewRef(value));
}

/* What is there now; borrowed, NULL where that is nothing or not asked. */
static PyObject *
get_content(struct hr_swap *s)
{
    switch (s->place) {
    case HR_PLACE_DICT:
        return PyDict_GetItemWithError(s->owner, s->key);
    case HR_PLACE_TYPE:
        return PyDict_GetItemWithError(
            hr_compat_type_dict((PyTypeObject *)s->owner), s->key);
    case HR_PLACE_CELL:
        return hr_compat_cell_peek(s->owner);
    case HR_PLACE_METHOD:
        return PyMethod_GET_FUNCTION(s->owner);
    default:
        return NULL;
    }
}

int
hr_journal_add_owners(struct hr_journal *j, struct hr_journal *other,
                      enum hr_place place, PyObject *value)
{
    for (size_t i = 0; i < other->count; i++) {
        struct hr_swap *s = &other->swaps[i];
        /* Of a list, the item that is there once `other` is taken back. */
        PyObject *key = place == HR_PLACE_LIST ? s->value : s->key, *held;
        if (s->place != place ||
            (s->put != NULL && place != HR_PLACE_LIST &&
             (s->lost || get_content(s) != s->put)) ||
            (place != HR_PLACE_LIST &&
             hr_journal_peek(j, place, s->owner, key, &held))) {
            continue;
        }
        if (PyErr_Occurred() ||
            hr_journal_add(j, place, s->owner, key, value) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
hr_journal_placed(struct hr_journal *j, size_t i)
{
    return j->swaps[i].put;
}

int
hr_journal_add_committed(struct hr_journal *j, enum hr_place place,
                         PyObject *owner, PyObject *key, PyObject *value)
{
    if (hr_journal_add(j, place, owner, key, value) < 0) {
        return -1;
    }
    struct hr_swap *s = &j->swaps[j->count - 1];
    Py_XSETREF(s->put, Py_XNewRef(get_content(s)));
    return 0;
}

/* -- The swaps ------------------------------------------------------------ */

/* Of a gentle journal that is taken back: has the program set the place? */
static int
is_lost(struct hr_swap *s, PyObject *content, int back)
{
    s->lost |= back && s->put != NULL && content != s->put;
    return s->lost;
}

static int
swap_dict(struct hr_swap *s, int back)
{
    PyObject *old = PyDict_GetItemWithError(s->owner, s->key);
    if (old == NULL && PyErr_Occurred()) {
        return -1;
    }
    if (is_lost(s, old, back)) {
        return 0;
    }
    Py_XINCREF(old);
    int status = s->value != NULL ? PyDict_SetItem(s->owner, s->key, s->value)
                 : old != NULL    ? PyDict_DelItem(s->owner, s->key)
                                  : 0;
    if (status < 0) {
        Py_XDECREF(old);
        return -1;
    }
    PyObject *value = s->value;
    s->value = old;
    /* The dict holds it now, so this cannot be the last reference. */
    Py_XDECREF(value);
    return 0;
}

static int
swap_type(struct hr_swap *s, int back)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)s->owner);
    PyObject *old = PyDict_GetItemWithError(dict, s->key);
    if (old == NULL && (PyErr_Occurred() || s->value == NULL)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (is_lost(s, old, back)) {
        return 0;
    }
    Py_XINCREF(old);
    if (hr_class_set(s->owner, s->key, s->value) < 0) {
        Py_XDECREF(old);
        return -1;
    }
    PyObject *value = s->value;
    s->value = old;
    Py_XDECREF(value);
    return 0;
}

static int
swap_bases(struct hr_swap *s)
{
    PyObject *old = Py_NewRef(((PyTypeObject *)s->owner)->tp_bases);
    if (hr_layout_set_bases(s->owner, s->value) < 0) {
        Py_DECREF(old);
        return -1;
    }
    Py_SETREF(s->value, old);
    return 0;
}

/* As `K.__class__ = M` would, if type allowed it. */
static void
swap_meta(struct hr_swap *s)
{
    PyTypeObject *old = Py_TYPE(s->owner);
    /* Instances of built-in types do not own their type. */
    if (PyType_HasFeature((PyTypeObject *)s->value, Py_TPFLAGS_HEAPTYPE)) {
        Py_INCREF(s->value);
    }
    Py_SET_TYPE(s->owner, (PyTypeObject *)s->value);
    if (!PyType_HasFeature(old, Py_TPFLAGS_HEAPTYPE)) {
        Py_INCREF(old);
    }
    Py_DECREF(s->value);
    s->value = (PyObject *)old;
    PyType_Modified((PyTypeObject *)s->owner);
}

/* The key is the item whose place the value takes, wherever the program has
 * moved it meanwhile; when it is gone, so is the place. */
static void
swap_list(struct hr_swap *s)
{
    PyListObject *list = (PyListObject *)s->owner;
    for (Py_ssize_t i = 0; i < Py_SIZE(list); i++) {
        if (list->ob_item[i] == s->key) {
            list->ob_item[i] = s->value;
            s->value = s->key; /* the list's reference */
            s->key = Py_NewRef(list->ob_item[i]);
            Py_DECREF(s->value); /* the key's; the value's is left */
            return;
        }
    }
}

/* `back`: it is taken back. */
static int
swap_one(struct hr_swap *s, int back)
{
    PyObject **slot;
    switch (s->place) {
    case HR_PLACE_FUNCTION:
        hr_function_exchange(s->owner, s->value);
        return 0;
    case HR_PLACE_DICT:
        return swap_dict(s, back);
    case HR_PLACE_TYPE:
        return swap_type(s, back);
    case HR_PLACE_BASES:
        return swap_bases(s);
    case HR_PLACE_META:
        swap_meta(s);
        return 0;
    case HR_PLACE_CELL:
        slot = &((PyCellObject *)s->owner)->ob_ref;
        break;
    case HR_PLACE_NAME:
        slot = hr_function_name_slot(s->owner, s->key);
        break;
    case HR_PLACE_METHOD:
        slot = &((PyMethodObject *)s->owner)->im_func;
        break;
    case HR_PLACE_LIST:
        swap_list(s);
        return 0;
    default:
        Py_UNREACHABLE();
    }
    PyObject *old = *slot;
    if (!is_lost(s, old, back)) {
        *slot = s->value;
        s->value = old;
    }
    return 0;
}

static void
swap_range_back(struct hr_journal *j, size_t from, size_t to, int ascending)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    for (size_t n = to - from; n-- > 0;) {
        struct hr_swap *s = &j->swaps[ascending ? to - 1 - n : from + n];
        if (swap_one(s, !ascending) < 0) {
            /* Taking back needs no new key and a state that was there
             * before, so this cannot be. */
            PyErr_WriteUnraisable(s->owner);
        }
    }
    PyErr_Restore(type, value, traceback);
}

int
hr_journal_swap(struct hr_journal *j)
{
    for (size_t n = 0; n < j->count; n++) {
        size_t i = j->done ? j->count - 1 - n : n;
        if (swap_one(&j->swaps[i], j->done) < 0) {
            if (j->done) {
                swap_range_back(j, i + 1, j->count, 1);
            }
            else {
                swap_range_back(j, 0, i, 0);
            }
            return -1;
        }
    }
    j->done = !j->done;
    return 0;
}

void
hr_journal_notify(struct hr_journal *j)
{
    j->notifying++;
    hr_abstract_forget(j);
    for (size_t i = 0; i < j->count; i++) {
        if (j->swaps[i].place == HR_PLACE_FUNCTION) {
            hr_function_notify(j->swaps[i].owner);
        }
    }
    j->notifying--;
    if (j->freed && j->notifying == 0) {
        hr_journal_free(j->freed_by, j);
    }
}

/* -- Release -------------------------------------------------------------- */

void
hr_journal_free(struct hr_state *st, struct hr_journal *j)
{
    if (j == NULL) {
        return;
    }
    if (j->notifying) {
        j->freed = 1;
        j->freed_by = st;
        return;
    }
    for (size_t i = 0; i < j->count; i++) {
        struct hr_swap s = j->swaps[i];
        if (s.place == HR_PLACE_FUNCTION) {
            hr_retire_body(st, s.value);
        }
        else {
            Py_XDECREF(s.value);
        }
        Py_XDECREF(s.put);
        Py_XDECREF(s.key);
        Py_DECREF(s.owner);
    }
    PyMem_Free(j->index);
    PyMem_Free(j->swaps);
    PyMem_Free(j);
}

int
hr_journal_traverse(struct hr_journal *j, visitproc visit, void *arg)
{
    if (j != NULL) {
        for (size_t i = 0; i < j->count; i++) {
            Py_VISIT(j->swaps[i].owner);
            Py_VISIT(j->swaps[i].key);
            Py_VISIT(j->swaps[i].value);
            Py_VISIT(j->swaps[i].put);
        }
    }
    return 0;
}
