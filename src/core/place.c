/* Which places a journal has, and what is to be there.
 *
 * A journal of thousands of swaps (a constant that a thousand modules copy) is
 * looked up by an index, a short one is looked through.
 */
#include "journal.h"

#define LINEAR 32 /* as many swaps are looked through one by one */

static int
is_same_key(PyObject *a, PyObject *b)
{
    return a == b || (PyUnicode_Check(a) && PyUnicode_Check(b) &&
                      PyUnicode_Compare(a, b) == 0);
}

void
hr_place_forget(struct hr_journal *j)
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
        hr_place_forget(j);
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
hr_place_peek(struct hr_journal *j, enum hr_place place, PyObject *owner,
              PyObject *key, PyObject **value)
{
    struct hr_swap *s = find_swap(j, place, owner, key, 0);
    if (s != NULL) {
        *value = s->value;
    }
    return s != NULL;
}

int
hr_place_has(struct hr_journal *j, enum hr_place place, PyObject *owner)
{
    return find_swap(j, place, owner, NULL, 1) != NULL;
}

/* -- All of them ---------------------------------------------------------- */

/* Does a swap of one change what a swap of the other does, or the body that it
 * holds? */
int
hr_place_meets(struct hr_journal *a, struct hr_journal *b)
{
    for (size_t i = 0; a != NULL && b != NULL && i < a->count; i++) {
        struct hr_swap *s = &a->swaps[i];
        for (size_t k = 0; k < b->count; k++) {
            struct hr_swap *t = &b->swaps[k];
            if (s->place != t->place) {
                continue;
            }
            if (s->place == HR_PLACE_FUNCTION && s->value == t->owner) {
                return 1;
            }
            if (s->owner == t->owner &&
                (!is_keyed(s->place) || is_same_key(s->key, t->key))) {
                return 1;
            }
        }
    }
    return 0;
}

/* A dict as it is without a committed journal: *copy is made (owned) when it
 * is NULL and the two differ. */
int
hr_place_lift_dict(struct hr_journal *j, enum hr_place place, PyObject *owner,
                   PyObject *dict, PyObject **copy)
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
hr_place_replace(struct hr_journal *j, enum hr_place place, PyObject *owner,
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
hr_place_add_owners(struct hr_journal *j, struct hr_journal *other,
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
             hr_place_peek(j, place, s->owner, key, &held))) {
            continue;
        }
        if (PyErr_Occurred() ||
            hr_journal_add(j, place, s->owner, key, value) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_place_add_committed(struct hr_journal *j, enum hr_place place,
                       PyObject *owner, PyObject *key, PyObject *value)
{
    if (hr_journal_add(j, place, owner, key, value) < 0) {
        return -1;
    }
    struct hr_swap *s = &j->swaps[j->count - 1];
    Py_XSETREF(s->put, Py_XNewRef(get_content(s)));
    return 0;
}
