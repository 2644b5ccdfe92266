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
#include "journal.h"

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
    struct hr_swap *swaps =
        hr_grow(j->swaps, j->count, &j->capacity, sizeof *swaps);
    if (swaps == NULL) {
        return -1;
    }
    j->swaps = swaps;
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
    hr_place_forget(more);
    return 0;
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

PyObject *
hr_journal_placed(struct hr_journal *j, size_t i)
{
    return j->swaps[i].put;
}

/* -- The swaps ------------------------------------------------------------ */

/* Of a gentle journal that is taken back: has the program set the place? */
static int
is_lost(struct hr_swap *s, PyObject *content, int back)
{
    s->lost |= back && s->put != NULL && content != s->put;
    return s->lost;
}

/* In a dict, or in a class. */
static int
swap_name(struct hr_swap *s, int back)
{
    int is_type = s->place == HR_PLACE_TYPE;
    PyObject *dict =
        is_type ? hr_compat_type_dict((PyTypeObject *)s->owner) : s->owner;
    PyObject *old = PyDict_GetItemWithError(dict, s->key);
    if (old == NULL && PyErr_Occurred()) {
        return -1;
    }
    if (is_lost(s, old, back) || (old == NULL && s->value == NULL)) {
        return 0;
    }
    Py_XINCREF(old);
    int status = is_type            ? hr_class_set(s->owner, s->key, s->value)
                 : s->value != NULL ? PyDict_SetItem(dict, s->key, s->value)
                                    : PyDict_DelItem(dict, s->key);
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
    case HR_PLACE_TYPE:
        return swap_name(s, back);
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
