/* Originals: functions that run what a replaced function was.
 *
 * Names in live files go on meaning the original (meaning.c), also when the
 * function is restored, and in the code of a live file that has been saved
 * again since.  So an original is known for as long as anybody holds it:
 *
 * - it follows what the sources say of its function, replaced or not;
 * - it stands for its function where that is to be replaced or restored;
 * - it is the original again when its function is replaced again.
 *
 * A live file may ask for it before it replaces the function.
 *
 * For replace.c, request.c, patch.c and layer.c.
 */
#include "core.h"

/* One of the two of an entry: a new reference, or NULL when it is gone. */
static PyObject *
get(struct hr_state *st, Py_ssize_t i, Py_ssize_t which)
{
    PyObject *entry = PyList_GET_ITEM(st->originals, i);
    return hr_compat_weakref_get(PyTuple_GET_ITEM(entry, which));
}

static int
is(struct hr_state *st, Py_ssize_t i, Py_ssize_t which, PyObject *o)
{
    PyObject *its = get(st, i, which);
    Py_XDECREF(its);
    return its == o;
}

static int
drop_dead(struct hr_state *st)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->originals); i-- > 0;) {
        if ((is(st, i, 0, NULL) || is(st, i, 1, NULL)) &&
            PyList_SetSlice(st->originals, i, i + 1, NULL) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_original_note(struct hr_state *st, PyObject *original, PyObject *f)
{
    if (original == f || !PyFunction_Check(original) || !PyFunction_Check(f)) {
        return 0;
    }
    for (Py_ssize_t i = PyList_GET_SIZE(st->originals); i-- > 0;) {
        if (is(st, i, 0, original)) {
            return 0;
        }
    }
    PyObject *entry = Py_BuildValue("(NN)", PyWeakref_NewRef(original, NULL),
                                    PyWeakref_NewRef(f, NULL));
    int status = entry == NULL || drop_dead(st) < 0
                     ? -1
                     : PyList_Append(st->originals, entry);
    Py_XDECREF(entry);
    return status;
}

/* The function that it is the original of, or NULL. */
static PyObject *
find_function(struct hr_state *st, PyObject *original)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->originals); i-- > 0;) {
        if (is(st, i, 0, original)) {
            return get(st, i, 1);
        }
    }
    return NULL;
}

/* The property of a class with the function of which that of `o` is the
 * original, or NULL. */
static PyObject *
find_property(struct hr_state *st, PyTypeObject *owner, PyObject *o)
{
    PyObject *wanted = PyObject_GetAttrString(o, "fget"), *found = NULL;
    PyObject *f = wanted ? find_function(st, wanted) : NULL;
    for (Py_ssize_t i = 0;
         f != NULL && !found && i < PyTuple_GET_SIZE(owner->tp_mro); i++) {
        PyObject *dict = hr_compat_type_dict(
            (PyTypeObject *)PyTuple_GET_ITEM(owner->tp_mro, i));
        PyObject *key, *value;
        Py_ssize_t pos = 0;
        while (!found && PyDict_Next(dict, &pos, &key, &value)) {
            PyObject *its = Py_TYPE(value) == &PyProperty_Type
                                ? PyObject_GetAttrString(value, "fget")
                                : NULL;
            if (its == f) {
                found = Py_NewRef(value);
            }
            Py_XDECREF(its);
        }
    }
    Py_XDECREF(f);
    Py_XDECREF(wanted);
    return found;
}

PyObject *
hr_original_find(struct hr_state *st, PyObject *owner, PyObject *o)
{
    PyObject *found = NULL;
    if (PyList_GET_SIZE(st->originals) == 0) {
        return NULL;
    }
    if (PyFunction_Check(o)) {
        found = find_function(st, o);
    }
    else if (PyMethod_Check(o)) {
        PyObject *f = find_function(st, PyMethod_GET_FUNCTION(o));
        found = f ? PyMethod_New(f, PyMethod_GET_SELF(o)) : NULL;
        Py_XDECREF(f);
    }
    else if (Py_TYPE(o) == &PyProperty_Type && owner != NULL &&
             PyType_Check(owner)) {
        found = find_property(st, (PyTypeObject *)owner, o);
    }
    PyErr_Clear();
    return found;
}

/* The program may have given the function another body itself. */
static int
has_same_body(PyObject *a, PyObject *b)
{
    PyFunctionObject *f = HR_AS_FUNCTION(a), *g = HR_AS_FUNCTION(b);
    return f->func_code == g->func_code &&
           f->func_globals == g->func_globals &&
           f->func_closure == g->func_closure &&
           f->func_defaults == g->func_defaults &&
           f->func_kwdefaults == g->func_kwdefaults;
}

PyObject *
hr_original_make(struct hr_state *st, PyObject *f)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->originals); i-- > 0;) {
        if (!is(st, i, 1, f) || hr_layer_body(st, f) != f) {
            continue;
        }
        PyObject *original = get(st, i, 0);
        if (original != NULL && hr_layer_body(st, original) == original &&
            has_same_body(original, f)) {
            return original;
        }
        Py_XDECREF(original);
    }
    return hr_function_clone(f, NULL, NULL);
}

PyObject *
hr_original_give(struct hr_state *st, PyObject *o)
{
    PyObject *f = PyMethod_Check(o) ? PyMethod_GET_FUNCTION(o) : o;
    PyObject *known = PyFunction_Check(f) ? find_function(st, f) : NULL;
    if (known != NULL || !PyFunction_Check(f)) {
        Py_XDECREF(known);
        return Py_NewRef(o);
    }
    PyObject *original = hr_original_make(st, f);
    if (original != NULL && hr_original_note(st, original, f) < 0) {
        Py_CLEAR(original);
    }
    if (original != NULL && f != o) {
        Py_SETREF(original, PyMethod_New(original, PyMethod_GET_SELF(o)));
    }
    return original;
}

int
hr_original_mirror(struct hr_state *st, struct hr_journal *j,
                   struct hr_journal *mirror)
{
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(st->originals);
         i++) {
        PyObject *original = get(st, i, 0), *f = get(st, i, 1);
        for (size_t k = 0; status == 0 && original != NULL && f != NULL &&
                           k < hr_journal_count(j);
             k++) {
            PyObject *owner, *value;
            if (!hr_journal_get(j, k, HR_PLACE_FUNCTION, &owner, &value) ||
                owner != f) {
                continue;
            }
            PyObject *holder = hr_function_clone(value, NULL, NULL);
            status = holder == NULL ? -1
                                    : hr_journal_add(mirror, HR_PLACE_FUNCTION,
                                                     original, NULL, holder);
            Py_XDECREF(holder);
        }
        Py_XDECREF(original);
        Py_XDECREF(f);
    }
    return status;
}
