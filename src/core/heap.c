/* All containers on the heap, in slices.
 *
 * CPython's own ways (gc.get_objects(), PyUnstable_GC_VisitObjects()) keep the
 * GIL from the first object to the last: 10 ns each, and with six million of
 * them every thread stands still for 60 ms.  They leave out what gc.freeze()
 * has hidden, too.  So the collector's lists are walked here, and the GIL is
 * let go of in between.  The place is kept by a marker, an object of our own
 * that is moved along the list as we go.
 *
 * Why nothing is missed.  A collection takes what it has examined to the next
 * older list, always to its end, that is behind the marker; within a list it
 * moves objects to the end only, and never the marker, which is held from here
 * and so is known to be alive when it is met.  What is made meanwhile is in
 * the two young lists, which are walked last and without a pause.  So
 * everything is seen that is alive when the walk ends; some of it may be seen
 * twice.
 *
 * The lists have looked alike since 3.9, but no header says so.  That they do
 * is checked each time, by a new object: it is the last of the youngest list,
 * next to the head, and from there the other heads are found and must be
 * circles.  Where that is not so, and from 3.14 on, the official ways are
 * used.
 */
#include "core.h"

#include <stdlib.h>

#define SLICE_NS 300000 /* with the GIL */
#define LOOK_EVERY 128  /* objects between two looks at the clock */

/* A growing array of what was found. */
struct found {
    PyObject **items; /* owned */
    size_t count, capacity;
    hr_heap_wanted *wanted;
    void *arg;
    int failed, paused;
};

static void
look_at(struct found *f, PyObject *o)
{
    if (f->failed || !f->wanted(o, f->arg)) {
        return;
    }
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 64;
        PyObject **items = realloc(f->items, capacity * sizeof *items);
        if (items == NULL) {
            f->failed = 1;
            return;
        }
        f->items = items;
        f->capacity = capacity;
    }
    f->items[f->count++] = Py_NewRef(o);
}

#if PY_VERSION_HEX < 0x030E0000

/* -- The collector's lists ------------------------------------------------ */

/* In front of each container; the low bits are flags. */
struct head {
    uintptr_t next, prev;
};

#define FLAGS ((uintptr_t)3)

struct generation {
    struct head head;
    int threshold, count;
};

struct lists {
    struct generation generations[3]; /* youngest first */
    struct head *youngest;            /* the first of them */
    struct generation permanent;      /* gc.freeze() */
};

static struct head *
get_next(struct head *h)
{
    return (struct head *)(h->next & ~FLAGS);
}

static struct head *
get_prev(struct head *h)
{
    return (struct head *)(h->prev & ~FLAGS);
}

static struct head *
head_of(PyObject *o)
{
    return (struct head *)o - 1;
}

static int
is_circle(struct head *h)
{
    return get_prev(get_next(h)) == h && get_next(get_prev(h)) == h;
}

/* The lists, by an object that was tracked just now; NULL when they are not
 * as they should be. */
static struct lists *
find_lists(PyObject *newest)
{
    struct lists *lists = (struct lists *)get_next(head_of(newest));
    if (lists == NULL || lists->youngest != &lists->generations[0].head ||
        get_prev(lists->youngest) != head_of(newest)) {
        return NULL;
    }
    for (int i = 0; i < 3; i++) {
        if (!is_circle(&lists->generations[i].head)) {
            return NULL;
        }
    }
    return is_circle(&lists->permanent.head) ? lists : NULL;
}

static int
is_end(struct lists *lists, struct head *h)
{
    return h == &lists->generations[0].head ||
           h == &lists->generations[1].head ||
           h == &lists->generations[2].head || h == &lists->permanent.head;
}

/* Put the marker in front of `h`. */
static void
move_marker(struct head *marker, struct head *h)
{
    if (h == marker) {
        return;
    }
    struct head *prev = get_prev(marker), *next = get_next(marker);
    prev->next = (prev->next & FLAGS) | (uintptr_t)next;
    next->prev = (next->prev & FLAGS) | (uintptr_t)prev;
    prev = get_prev(h);
    marker->prev = (marker->prev & FLAGS) | (uintptr_t)prev;
    marker->next = (uintptr_t)h;
    prev->next = (prev->next & FLAGS) | (uintptr_t)marker;
    h->prev = (h->prev & FLAGS) | (uintptr_t)marker;
}

/* -- The walk ------------------------------------------------------------- */

static void
walk(struct found *f, struct lists *lists, struct head *list, PyObject *marker,
     int slices)
{
    struct head *h = get_next(list);
    int64_t began = hr_clock_ns(CLOCK_MONOTONIC);
    for (unsigned n = 1; !is_end(lists, h); n++) {
        PyObject *o = (PyObject *)(h + 1);
        h = get_next(h);
        if (o != marker) {
            look_at(f, o);
        }
        if (slices && n % LOOK_EVERY == 0 &&
            hr_clock_ns(CLOCK_MONOTONIC) - began > SLICE_NS) {
            move_marker(head_of(marker), h);
            hr_gil_pause();
            f->paused = 1;
            began = hr_clock_ns(CLOCK_MONOTONIC);
            h = get_next(head_of(marker));
        }
    }
}

static int
walk_all(struct hr_state *st, struct found *f, int slices)
{
    PyObject *marker = PyList_New(0);
    struct lists *lists = marker != NULL ? find_lists(marker) : NULL;
    if (lists == NULL) {
        Py_XDECREF(marker);
        return 0;
    }
    struct head *hidden = (struct head *)st->hidden;
    for (struct head *h = hidden != NULL ? get_next(hidden) : NULL;
         h != hidden; h = get_next(h)) {
        look_at(f, (PyObject *)(h + 1));
    }
    walk(f, lists, &lists->permanent.head, marker, slices);
    walk(f, lists, &lists->generations[2].head, marker, slices);
    walk(f, lists, &lists->generations[1].head, marker, 0);
    walk(f, lists, &lists->generations[0].head, marker, 0);
    Py_DECREF(marker);
    return 1;
}

/* -- What the program has frozen ------------------------------------------ */

/* All of a list, to an empty head. */
static void
move_list(struct head *from, struct head *to)
{
    if (get_next(from) == from) {
        to->next = to->prev = (uintptr_t)to;
        return;
    }
    to->next = from->next;
    to->prev = from->prev;
    get_prev(to)->next = (uintptr_t)to;
    struct head *first = get_next(to);
    first->prev = (first->prev & FLAGS) | (uintptr_t)to;
    from->next = from->prev = (uintptr_t)from;
}

int
hr_heap_hide_frozen(struct hr_state *st)
{
    hr_heap_show_frozen(st);
    PyObject *newest = st->hidden == NULL ? PyList_New(0) : NULL;
    struct lists *lists = newest != NULL ? find_lists(newest) : NULL;
    struct head *hidden = lists != NULL ? malloc(sizeof *hidden) : NULL;
    if (hidden != NULL) {
        move_list(&lists->permanent.head, hidden);
        st->hidden = hidden;
    }
    Py_XDECREF(newest);
    PyErr_Clear();
    return hidden != NULL;
}

void
hr_heap_show_frozen(struct hr_state *st)
{
    struct head *hidden = st->hidden;
    PyObject *newest = hidden != NULL ? PyList_New(0) : NULL;
    struct lists *lists = newest != NULL ? find_lists(newest) : NULL;
    if (lists != NULL) {
        /* Somebody may have frozen more meanwhile: behind it. */
        struct head more;
        move_list(&lists->permanent.head, &more);
        move_list(hidden, &lists->permanent.head);
        while (get_next(&more) != &more) {
            move_marker(get_next(&more), &lists->permanent.head);
        }
        free(hidden);
        st->hidden = NULL;
    }
    Py_XDECREF(newest);
    PyErr_Clear();
}

#else

static int
walk_all(struct hr_state *st, struct found *f, int slices)
{
    (void)st;
    (void)f;
    (void)slices;
    return 0;
}

int
hr_heap_hide_frozen(struct hr_state *st)
{
    (void)st;
    return 0;
}

void
hr_heap_show_frozen(struct hr_state *st)
{
    (void)st;
}

#endif

/* -- The official ways ---------------------------------------------------- */

#if PY_VERSION_HEX >= 0x030C0000

static int
visit(PyObject *o, void *arg)
{
    look_at(arg, o);
    return 1;
}

static int
walk_officially(struct found *f)
{
    PyUnstable_GC_VisitObjects(visit, f);
    return 0;
}

#else

static int
walk_officially(struct found *f)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *all = gc ? PyObject_CallMethod(gc, "get_objects", NULL) : NULL;
    for (Py_ssize_t i = 0; all != NULL && i < PyList_GET_SIZE(all); i++) {
        look_at(f, PyList_GET_ITEM(all, i));
    }
    int status = all == NULL ? -1 : 0;
    Py_XDECREF(all);
    Py_XDECREF(gc);
    return status;
}

#endif

/* -- Finding -------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)(*(PyObject *const *)a);
    uintptr_t y = (uintptr_t)(*(PyObject *const *)b);
    return x < y ? -1 : x > y;
}

/* A list of what was found, each once; takes the array. */
static PyObject *
make_list(struct found *f)
{
    size_t count = 0;
    if (f->paused && f->count > 1) {
        qsort(f->items, f->count, sizeof *f->items, compare);
    }
    for (size_t i = 0; i < f->count; i++) {
        if (count > 0 && f->items[count - 1] == f->items[i]) {
            Py_DECREF(f->items[i]);
        }
        else {
            f->items[count++] = f->items[i];
        }
    }
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; i < count; i++) {
        if (list != NULL) {
            PyList_SET_ITEM(list, (Py_ssize_t)i, f->items[i]);
        }
        else {
            Py_DECREF(f->items[i]);
        }
    }
    free(f->items);
    return list;
}

PyObject *
hr_heap_find(struct hr_state *st, hr_heap_wanted *wanted, void *arg,
             int slices)
{
    struct found f = {.wanted = wanted, .arg = arg};
    int status = 0;
    if (!walk_all(st, &f, slices)) {
        status = PyErr_Occurred() ? -1 : walk_officially(&f);
    }
    PyObject *list = make_list(&f);
    if (f.failed) {
        PyErr_NoMemory();
    }
    if (status < 0 || f.failed) {
        Py_CLEAR(list);
    }
    return list;
}
