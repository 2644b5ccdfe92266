/* Copies of a changed name: `from m import X` and `from m import *`, wherever
 * they have run.
 *
 * A copy that still holds the old value follows.  What stars give depends on
 * __all__, before and after.  Called by derive.c for each import.
 */
#include "scope.h"

/* Does the value of another statement's import of the name equal it? */
static int
is_ambiguous(struct hr_derive *w, PyObject *list, Py_ssize_t which)
{
    PyObject *as = PyTuple_GET_ITEM(PyList_GET_ITEM(list, which), 2);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *t = PyList_GET_ITEM(list, i);
        if (i == which || PyUnicode_Compare(PyTuple_GET_ITEM(t, 2), as) != 0) {
            continue;
        }
        PyObject *module = PyDict_GetItemWithError(PyImport_GetModuleDict(),
                                                   PyTuple_GET_ITEM(t, 0));
        PyObject *value =
            module != NULL && PyModule_Check(module)
                ? PyDict_GetItemWithError(PyModule_GetDict(module),
                                          PyTuple_GET_ITEM(t, 1))
                : NULL;
        if (value != NULL && hr_value_still_is(value, w->old)) {
            return 1;
        }
    }
    return 0;
}

PyObject *
hr_copy_public(struct hr_derive *w, PyObject *dict, PyObject *name,
               int planned)
{
    PyObject *all_name = PyUnicode_InternFromString("__all__");
    PyObject *values[2], *names[2] = {all_name, name}, *o, *key;
    if (all_name == NULL) {
        PyErr_Clear();
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        values[i] = PyDict_GetItemWithError(dict, names[i]);
        hr_layer_peek(w->p->st, HR_LAYER_SOURCES, HR_PLACE_DICT, dict,
                      names[i], &values[i]);
        long at = planned ? hr_worlds_find(w->p, dict, names[i]) : -1;
        if (at >= 0) {
            (void)hr_journal_place(w->p->j, (size_t)at, &o, &key, &values[i]);
        }
    }
    Py_DECREF(all_name);
    return hr_import_is_public(values[0], name) ? values[1] : NULL;
}

/* A star no longer gives the name: what another import of the scope gives.
 * 1 when the name is bound in some way. */
static int
find_other_star(struct hr_derive *w, struct hr_scope *s, const char *text,
                PyObject **value)
{
    int bound = 0;
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->kind != HR_BLOCK_IMPORT ||
            memchr(text + b->start, '*', b->end - b->start) == NULL) {
            bound |= hr_scope_binds(s, text, b, w->name) == 1;
            continue;
        }
        PyObject *list = hr_import_read(s->u, text, b);
        for (Py_ssize_t k = 0; list != NULL && k < PyList_GET_SIZE(list);
             k++) {
            PyObject *t = PyList_GET_ITEM(list, k);
            PyObject *module = PyDict_GetItemWithError(
                PyImport_GetModuleDict(), PyTuple_GET_ITEM(t, 0));
            PyObject *name = PyTuple_GET_ITEM(t, 1), *found = NULL;
            if (module == NULL || !PyModule_Check(module)) {
                continue;
            }
            if (PyUnicode_CompareWithASCIIString(name, "*") == 0) {
                found =
                    hr_copy_public(w, PyModule_GetDict(module), w->name, 1);
            }
            else if (!PyUnicode_Compare(PyTuple_GET_ITEM(t, 2), w->name)) {
                bound = 1;
            }
            if (found != NULL) {
                *value = found;
                bound = 1;
            }
        }
        Py_XDECREF(list);
    }
    PyErr_Clear();
    return bound;
}

static int
follow_star(struct hr_derive *w, struct hr_scope *s, const char *text)
{
    PyObject *old = hr_copy_public(w, w->owner, w->name, 0);
    PyObject *new = hr_copy_public(w, w->owner, w->name, 1);
    PyObject *other = NULL;
    if (old == new ||
        (new == NULL &&find_other_star(w, s, text, &other) && other == NULL)) {
        return 0;
    }
    return hr_derive_set(w, s, w->name, old, new != NULL ? new : other);
}

int
hr_copy_follow(struct hr_derive *w, struct hr_scope *s, const char *text,
               const struct hr_block *b)
{
    PyObject *list = hr_import_read(s->u, text, b);
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *t = PyList_GET_ITEM(list, i);
        PyObject *name = PyTuple_GET_ITEM(t, 1);
        if (PyUnicode_Compare(PyTuple_GET_ITEM(t, 0), w->module) != 0) {
            continue;
        }
        if (PyUnicode_CompareWithASCIIString(name, "*") == 0) {
            status = follow_star(w, s, text);
        }
        else if (w->old != NULL &&
                 w->new != NULL &&PyUnicode_Compare(name, w->name) == 0 &&
                 !is_ambiguous(w, list, i)) {
            PyObject *as = PyTuple_GET_ITEM(t, 2);
            status = hr_import_is_bound_later(text, s->new, b, as);
            if (status == 0) {
                status = hr_derive_set(w, s, as, w->old, w->new);
            }
            else if (status > 0) {
                status = 0;
            }
        }
    }
    Py_XDECREF(list);
    return status;
}
