/* Layers: what lies on what.
 *
 * At the bottom is what the sources say.  Every replacement lies on that and
 * on the replacements that were there before it; its number, which it keeps,
 * is its layer.  Each is a committed journal, so what is beneath one of them
 * is in its values, and those of all that lie on it.
 *
 *     class K replaced      K.m's body: [m, edited]  <- New.m       layer 1
 *     method K.m replaced   K.m's body: [New.m]      <- mine        layer 2
 *     in force              mine
 *
 * To change something beneath, what lies on it is lifted: the journals that
 * have a place in common with it are taken back, newest first, and put in
 * force again, oldest first, when it is done.  All in one piece under the GIL,
 * no Python code runs, and nobody sees what is beneath.  So replacements can
 * be taken back in any order, and a save under replacements is seen when they
 * are restored.
 */
#include "core.h"

static hr_patch *
get_patch(struct hr_state *st, Py_ssize_t i)
{
    return (hr_patch *)PyList_GET_ITEM(st->patches, i);
}

/* -- Looking beneath ------------------------------------------------------ */

void
hr_layer_peek(struct hr_state *st, long layer, enum hr_place place,
              PyObject *owner, PyObject *key, PyObject **value)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(st->patches); i++) {
        hr_patch *p = get_patch(st, i);
        if (p->layer >= layer &&
            hr_place_peek(p->journal, place, owner, key, value)) {
            return; /* the lowest one has what is beneath them all */
        }
    }
}

PyObject *
hr_layer_dict(struct hr_state *st, long layer, enum hr_place place,
              PyObject *owner)
{
    PyObject *dict = place == HR_PLACE_TYPE
                         ? hr_compat_type_dict((PyTypeObject *)owner)
                         : owner;
    PyObject *copy = NULL;
    for (Py_ssize_t i = PyList_GET_SIZE(st->patches); i-- > 0;) {
        hr_patch *p = get_patch(st, i);
        if (p->layer >= layer && p->journal != NULL &&
            hr_place_lift_dict(p->journal, place, owner, dict, &copy) < 0) {
            Py_XDECREF(copy);
            return NULL;
        }
    }
    return copy != NULL ? copy : Py_NewRef(dict);
}

PyObject *
hr_layer_body(struct hr_state *st, PyObject *f)
{
    PyObject *body = f;
    hr_layer_peek(st, HR_LAYER_SOURCES, HR_PLACE_FUNCTION, f, NULL, &body);
    return body;
}

PyObject *
hr_layer_owner(struct hr_state *st, PyObject *f)
{
    if (!hr_function_is_holder(f)) {
        return hr_layer_body(st, f) == f ? f : NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(st->patches); i++) {
        struct hr_journal *j = get_patch(st, i)->journal;
        for (size_t k = 0; j != NULL && k < hr_journal_count(j); k++) {
            PyObject *owner, *holder;
            if (hr_journal_get(j, k, HR_PLACE_FUNCTION, &owner, &holder) &&
                holder == f && hr_layer_body(st, owner) == f) {
                return owner;
            }
        }
    }
    return NULL;
}

/* -- Changing what is beneath --------------------------------------------- */

/* One journal after the other; all, or nothing. */
static int
swap_steps(struct hr_journal **steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hr_journal_swap(steps[i]) == 0) {
            continue;
        }
        /* A swap takes a pending exception for its own. */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        while (i-- > 0) {
            if (hr_journal_swap(steps[i]) < 0) {
                PyErr_WriteUnraisable(NULL);
            }
        }
        PyErr_Restore(type, value, traceback);
        return -1;
    }
    return 0;
}

/* Does `p` have to be lifted, for some of these steps? */
static int
is_in_the_way(hr_patch *p, struct hr_journal **steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hr_place_meets(p->journal, steps[i])) {
            return 1;
        }
    }
    return 0;
}

/* The steps are `count` journals, to be swapped beneath what lies on the
 * layer; covers (or NULL): for each patch, what is to be swapped after it. */
static int
swap_beneath(struct hr_state *st, long layer, struct hr_journal **steps,
             size_t count, struct hr_journal **covers)
{
    size_t n = (size_t)PyList_GET_SIZE(st->patches), lifted = 0, all = 0;
    struct hr_journal **list = PyMem_Calloc(4 * n + count, sizeof *list);
    struct hr_journal **order = list + 3 * n + count;
    if (list == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    /* `order` are those in the way, oldest first. */
    for (size_t i = 0; i < n; i++) {
        hr_patch *p = get_patch(st, (Py_ssize_t)i);
        if (p->layer > layer && p->journal != NULL &&
            (is_in_the_way(p, steps, count) ||
             is_in_the_way(p, order, lifted))) {
            order[lifted++] = p->journal;
        }
    }
    for (size_t i = lifted; i-- > 0;) {
        list[all++] = order[i];
    }
    for (size_t i = 0; i < count; i++) {
        list[all++] = steps[i];
    }
    for (size_t i = 0, k = 0; i < n; i++) {
        if (k < lifted && order[k] == get_patch(st, (Py_ssize_t)i)->journal) {
            list[all++] = order[k++];
        }
        if (covers != NULL && covers[i] != NULL) {
            list[all++] = covers[i];
        }
    }
    int status = swap_steps(list, all);
    PyMem_Free(list);
    return status;
}

int
hr_layer_exchange(struct hr_state *st, long layer, struct hr_journal *old,
                  struct hr_journal *new)
{
    struct hr_journal *steps[2];
    size_t count = 0;
    if (old != NULL) {
        steps[count++] = old;
    }
    if (new != NULL) {
        steps[count++] = new;
    }
    return swap_beneath(st, layer, steps, count, NULL);
}

int
hr_layer_swap_sources(struct hr_state *st, struct hr_journal *j)
{
    size_t n = (size_t)PyList_GET_SIZE(st->patches);
    if (n == 0 && PyList_GET_SIZE(st->originals) == 0) {
        return hr_journal_swap(j);
    }
    struct hr_journal *steps[2] = {j, hr_journal_new()};
    struct hr_journal **covers = PyMem_Calloc(n + 1, sizeof *covers);
    int status = steps[1] == NULL || covers == NULL ||
                         hr_original_mirror(st, j, steps[1]) < 0
                     ? -1
                     : 0;
    for (size_t i = 0; status == 0 && i < n; i++) {
        hr_patch *p = get_patch(st, (Py_ssize_t)i);
        covers[i] = hr_journal_new();
        status =
            covers[i] == NULL || hr_mirror_plan(st, j, p, steps[1]) < 0 ||
                    hr_mirror_plan_cover(st, j, p, covers[i]) < 0
                ? -1
                : hr_journal_reserve(p->journal, hr_journal_count(covers[i]));
    }
    for (size_t i = 0, own = status == 0 ? hr_journal_count(steps[1]) : 0;
         status == 0 && i < n; i++) {
        hr_patch *p = get_patch(st, (Py_ssize_t)i);
        /* The original of one may be the replacement of another. */
        status = hr_renew_plan(st, j, hr_journal_count(j), p, steps[1]) < 0 ||
                         hr_renew_plan(st, steps[1], own, p, steps[1]) < 0
                     ? -1
                     : 0;
    }
    if (status == 0) {
        status = swap_beneath(st, HR_LAYER_SOURCES, steps, 2, covers);
    }
    for (size_t i = 0; covers != NULL && i < n; i++) {
        if (status == 0) {
            /* There is room for it. */
            (void)hr_journal_append(get_patch(st, (Py_ssize_t)i)->journal,
                                    covers[i]);
        }
    }
    /* Freeing may run the program's code. */
    for (size_t i = 0; covers != NULL && i < n; i++) {
        hr_journal_free(st, covers[i]);
    }
    PyMem_Free(covers);
    hr_journal_free(st, steps[1]);
    if (status < 0 && !PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    return status;
}
