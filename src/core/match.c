/* Which of the functions that two texts define belong together, where several
 * have one name: lambdas above all.
 *
 * In this order: equal code in an equal place, an equal place, equal code,
 * what is most alike.  A place is what else is done on the line: `b.click =`,
 * `on("save", ...)`.  Where as many are left on either side and nothing tells
 * them apart, order does; where one was inserted or removed besides, nobody
 * knows, and none of them is a partner.
 *
 * For nest.c, and for merge.c, which has values and no places.
 */
#include "nest.h"

struct match {
    struct hr_nests *n; /* or NULL: no places */
    PyObject *parents[2];
    PyObject *lists[2];   /* borrowed: code objects */
    PyObject **places[2]; /* owned: of each, made when asked for */
    int *partner;         /* borrowed */
    int *taken;           /* owned: by which of the old ones, or -1 */
};

static PyCodeObject *
get_code(const struct match *m, int side, Py_ssize_t i)
{
    return (PyCodeObject *)PyList_GET_ITEM(m->lists[side], i);
}

static void
take(struct match *m, Py_ssize_t i, Py_ssize_t k)
{
    m->partner[i] = (int)k;
    m->taken[k] = (int)i;
}

/* Are both without a partner, and of this name? */
static int
is_open(const struct match *m, int side, Py_ssize_t i, PyObject *name)
{
    int left = side == 0 ? m->partner[i] == HR_MATCH_NONE : m->taken[i] < 0;
    return left && PyUnicode_Compare(get_code(m, side, i)->co_name, name) == 0;
}

/* -- Places --------------------------------------------------------------- */

/* Does the step tell where it is, and not what the function closes over? */
static int
tells(const struct hr_steps *s, size_t i)
{
    const struct hr_step *step = &s->steps[i];
    if (strncmp(step->op, "STORE_", 6) != 0 &&
        strncmp(step->op, "LOAD_", 5) != 0 &&
        strcmp(step->op, "KW_NAMES") != 0) {
        return 0;
    }
    if (PyCode_Check(step->value) || step->value == Py_None) {
        return 0;
    }
    for (int k = 0; k < 2 && PyUnicode_Check(step->value); k++) {
        PyObject *cells = PyObject_GetAttrString(
            s->code, k == 0 ? "co_cellvars" : "co_freevars");
        int has = cells == NULL || hr_known_index(cells, step->value) >= 0;
        Py_XDECREF(cells);
        if (has) {
            PyErr_Clear();
            return 0;
        }
    }
    return 1;
}

/* The name to which the function that is made there is assigned: a lambda in
 * its header is on the same line.  Borrowed, or NULL. */
static PyObject *
find_stored(const struct hr_steps *s, size_t at)
{
    static const char *const made[] = {"LOAD_CONST", "MAKE_FUNCTION",
                                       "SET_FUNCTION_ATTRIBUTE", NULL};
    for (int i = 0; made[i] != NULL; i++) {
        while (hr_site_is(s, at, made[i])) {
            at++;
        }
    }
    return at < s->count && strncmp(s->steps[at].op, "STORE_", 6) == 0 &&
                   PyUnicode_Check(s->steps[at].value)
               ? s->steps[at].value
               : NULL;
}

static PyObject *
read_place(struct match *m, int side, PyObject *code)
{
    const struct hr_steps *s =
        m->n ? hr_nest_steps(m->n, m->parents[side]) : NULL;
    PyObject *list = PyList_New(0);
    size_t at = 0;
    if (list == NULL || (m->n != NULL && s == NULL)) {
        Py_XDECREF(list);
        return NULL;
    }
    while (s != NULL && at < s->count && s->steps[at].value != code) {
        at++;
    }
    PyObject *name = s != NULL ? find_stored(s, at) : NULL;
    if (name != NULL && PyList_Append(list, name) < 0) {
        Py_DECREF(list);
        return NULL;
    }
    for (size_t i = 0; s != NULL && at < s->count && i < s->count; i++) {
        if (s->steps[i].line == s->steps[at].line && tells(s, i) &&
            PyList_Append(list, PyList_GET_ITEM(s->list, (Py_ssize_t)i)) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    PyObject *place = PyList_AsTuple(list);
    Py_DECREF(list);
    return place;
}

static PyObject *
get_place(struct match *m, int side, Py_ssize_t i)
{
    PyObject **place = &m->places[side][i];
    if (*place == NULL) {
        *place = read_place(m, side, PyList_GET_ITEM(m->lists[side], i));
    }
    return *place;
}

static int
is_same_place(struct match *m, Py_ssize_t i, Py_ssize_t k)
{
    PyObject *a = get_place(m, 0, i), *b = get_place(m, 1, k);
    return a == NULL || b == NULL ? -1 : hr_code_is_same_const(a, b);
}

/* How many that are left on a side are in this place? */
static int
count_in_place(struct match *m, int side, PyObject *place, PyObject *name)
{
    int count = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(m->lists[side]); i++) {
        if (is_open(m, side, i, name)) {
            PyObject *other = get_place(m, side, i);
            int same =
                other == NULL ? -1 : hr_code_is_same_const(place, other);
            if (same < 0) {
                return -1;
            }
            count += same;
        }
    }
    return count;
}

/* -- Likeness ------------------------------------------------------------- */

static void
count_common(PyObject *a, PyObject *b, int *common, int *all)
{
    *all += (int)(PyTuple_GET_SIZE(a) + PyTuple_GET_SIZE(b));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); i++) {
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(b); k++) {
            if (hr_code_is_same_const(PyTuple_GET_ITEM(a, i),
                                      PyTuple_GET_ITEM(b, k)) == 1) {
                *common += 2;
                break;
            }
        }
    }
}

/* 0 to 500: how much bytecode both begin and end with. */
static int
compare_bytes(PyObject *a, PyObject *b)
{
    const char *x = PyBytes_AS_STRING(a), *y = PyBytes_AS_STRING(b);
    Py_ssize_t n = PyBytes_GET_SIZE(a), m = PyBytes_GET_SIZE(b);
    Py_ssize_t least = n < m ? n : m, head = 0, tail = 0;
    while (head < least && x[head] == y[head]) {
        head++;
    }
    while (head + tail < least && x[n - 1 - tail] == y[m - 1 - tail]) {
        tail++;
    }
    return (int)(1000 * (head + tail) / (n + m + 1));
}

/* The names and constants that both have, and the bytecode. */
static int
get_likeness(PyObject *a, PyObject *b)
{
    static const char *const parts[] = {"co_consts", "co_names", "co_varnames",
                                        "co_freevars", NULL};
    int common = 0, all = 1;
    for (int i = 0; parts[i] != NULL; i++) {
        PyObject *x = PyObject_GetAttrString(a, parts[i]);
        PyObject *y = PyObject_GetAttrString(b, parts[i]);
        if (x != NULL && y != NULL) {
            count_common(x, y, &common, &all);
        }
        Py_XDECREF(x);
        Py_XDECREF(y);
    }
    PyObject *x = PyObject_GetAttrString(a, "co_code");
    PyObject *y = PyObject_GetAttrString(b, "co_code");
    int bytes = x != NULL && y != NULL ? compare_bytes(x, y) : 0;
    Py_XDECREF(x);
    Py_XDECREF(y);
    return PyErr_Occurred() ? -1 : 1000 * common / all + bytes;
}

/* One pair of those that are left: the most alike, and of those the ones
 * nearest to each other in order.  0: there is none. */
static int
take_most_alike(struct match *m, PyObject *name)
{
    Py_ssize_t n = PyList_GET_SIZE(m->lists[0]);
    Py_ssize_t count = PyList_GET_SIZE(m->lists[1]);
    Py_ssize_t at = -1, with = -1, rows = 0, columns = 0, distance = 0;
    int best = -1, ties = 0;
    for (Py_ssize_t k = 0; k < count; k++) {
        columns += is_open(m, 1, k, name);
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_ssize_t column = 0;
        if (!is_open(m, 0, i, name)) {
            continue;
        }
        for (Py_ssize_t k = 0; k < count; k++) {
            if (!is_open(m, 1, k, name)) {
                continue;
            }
            Py_ssize_t away = rows > column ? rows - column : column - rows;
            int score = get_likeness(PyList_GET_ITEM(m->lists[0], i),
                                     PyList_GET_ITEM(m->lists[1], k));
            if (score < 0) {
                return -1;
            }
            ties = score > best ? 0 : ties + (score == best);
            if (score > best || (score == best && away < distance)) {
                best = score;
                distance = away;
                at = i;
                with = k;
            }
            column++;
        }
        rows++;
    }
    if (rows == 0 || columns == 0) {
        return 0;
    }
    if (ties > 0 && rows != columns) {
        for (Py_ssize_t i = 0; i < n; i++) {
            if (is_open(m, 0, i, name)) {
                m->partner[i] = HR_MATCH_MANY;
            }
        }
        return 0;
    }
    take(m, at, with);
    return 1;
}

/* -- All of one name ------------------------------------------------------ */

/* As many on either side, and at most one of them differs: in order. */
static int
take_in_order(struct match *m, PyObject *name)
{
    Py_ssize_t n = PyList_GET_SIZE(m->lists[0]), k = 0;
    Py_ssize_t count = PyList_GET_SIZE(m->lists[1]);
    int differ = 0;
    for (int pass = 0; pass < 2; pass++) {
        k = 0;
        for (Py_ssize_t i = 0; i < n; i++) {
            if (!is_open(m, 0, i, name)) {
                continue;
            }
            while (k < count && !is_open(m, 1, k, name)) {
                k++;
            }
            if (k == count) {
                return 0;
            }
            if (pass == 1) {
                take(m, i, k);
            }
            else {
                int same = hr_code_is_same(PyList_GET_ITEM(m->lists[0], i),
                                           PyList_GET_ITEM(m->lists[1], k));
                if (same < 0) {
                    return -1;
                }
                differ += !same;
                k++;
            }
        }
        while (k < count && !is_open(m, 1, k, name)) {
            k++;
        }
        if (k < count || (differ > 1 && n > 1)) {
            return 0;
        }
    }
    return 0;
}

/* 0: equal code in an equal place, 1: an equal place that is one of a kind, 2:
 * equal code. */
static int
take_equal(struct match *m, PyObject *name, int pass)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(m->lists[0]); i++) {
        for (Py_ssize_t k = 0;
             is_open(m, 0, i, name) && k < PyList_GET_SIZE(m->lists[1]); k++) {
            if (!is_open(m, 1, k, name)) {
                continue;
            }
            int same = pass == 1
                           ? 1
                           : hr_code_is_same(PyList_GET_ITEM(m->lists[0], i),
                                             PyList_GET_ITEM(m->lists[1], k));
            if (same == 1 && pass < 2) {
                same = is_same_place(m, i, k);
            }
            if (same == 1 && pass == 1) {
                PyObject *place = get_place(m, 0, i);
                int here = count_in_place(m, 0, place, name);
                int there = here < 0 ? -1 : count_in_place(m, 1, place, name);
                same = there < 0 ? -1
                                 : PyTuple_GET_SIZE(place) > 0 && here == 1 &&
                                       there == 1;
            }
            if (same < 0) {
                return -1;
            }
            if (same) {
                take(m, i, k);
            }
        }
    }
    return 0;
}

static int
match_name(struct match *m, PyObject *name)
{
    int status = take_in_order(m, name);
    for (int pass = 0; status == 0 && pass < 3; pass++) {
        status = take_equal(m, name, pass);
    }
    while (status == 0 && (status = take_most_alike(m, name)) == 1) {
        status = 0;
    }
    return status;
}

int
hr_match_code(struct hr_nests *n, PyObject *old_parent, PyObject *old,
              PyObject *new_parent, PyObject *new, int *partner)
{
    size_t a = (size_t)PyList_GET_SIZE(old), b = (size_t)PyList_GET_SIZE(new);
    struct match m = {.n = n,
                      .parents = {old_parent, new_parent},
                      .lists = {old, new},
                      .partner = partner};
    int status = 0;
    m.taken = PyMem_Calloc(b + 1, sizeof *m.taken);
    m.places[0] = PyMem_Calloc(a + 1, sizeof(PyObject *));
    m.places[1] = PyMem_Calloc(b + 1, sizeof(PyObject *));
    if (m.taken == NULL || m.places[0] == NULL || m.places[1] == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (size_t i = 0; i < a; i++) {
        partner[i] = HR_MATCH_NONE;
    }
    for (size_t i = 0; status == 0 && i < b; i++) {
        m.taken[i] = -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < (Py_ssize_t)a; i++) {
        PyObject *name = get_code(&m, 0, i)->co_name;
        if (is_open(&m, 0, i, name)) {
            status = match_name(&m, name);
        }
    }
    for (size_t i = 0; m.places[0] != NULL && i < a; i++) {
        Py_XDECREF(m.places[0][i]);
    }
    for (size_t i = 0; m.places[1] != NULL && i < b; i++) {
        Py_XDECREF(m.places[1][i]);
    }
    PyMem_Free(m.places[0]);
    PyMem_Free(m.places[1]);
    PyMem_Free(m.taken);
    return status;
}
