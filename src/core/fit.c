/* The body that a live closure gets: the new code, with cells and defaults.
 *
 * Cells are matched by the names of the variables, defaults by those of the
 * parameters: where the text of a default did not change, the value that is
 * there stays.  Annotations follow as far as they can be computed.  What the
 * closure lacks is made where it is known (known.c).
 *
 * For closure.c and local.c.
 */
#include "nest.h"

/* -- Cells ---------------------------------------------------------------- */

/* The closure for the new code.  1 with *closure (owned), 0 when a value is
 * not known, -1 with an exception. */
static int
make_closure(struct hr_scene *s, PyObject *code, PyObject **closure)
{
    PyFunctionObject *f = (PyFunctionObject *)s->f;
    PyObject *names = hr_compat_freevars((PyCodeObject *)code);
    PyObject *had = hr_compat_freevars((PyCodeObject *)f->func_code);
    int status = names == NULL || had == NULL ? -1 : 1;
    *closure = status < 0 ? NULL : PyTuple_New(PyTuple_GET_SIZE(names));
    if (*closure == NULL) {
        status = -1;
    }
    for (Py_ssize_t i = 0; status == 1 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *cell = NULL;
        Py_ssize_t k = hr_known_index(had, name);
        if (k >= 0) {
            cell = Py_NewRef(PyTuple_GET_ITEM(f->func_closure, k));
        }
        else {
            status = hr_known_cell(s, name, &cell);
        }
        PyTuple_SET_ITEM(*closure, i, cell);
    }
    if (status != 1 || PyTuple_GET_SIZE(*closure) == 0) {
        Py_CLEAR(*closure);
    }
    Py_XDECREF(names);
    Py_XDECREF(had);
    return status;
}

/* -- Defaults ------------------------------------------------------------- */

/* The parameters of some kind that have a default, as a list. */
static PyObject *
list_parameters(PyObject *code, PyObject *defaults, int keyword_only)
{
    PyCodeObject *c = (PyCodeObject *)code;
    PyObject *names = PyObject_GetAttrString(code, "co_varnames");
    PyObject *list = names ? PyList_New(0) : NULL;
    int first = keyword_only ? c->co_argcount : 0;
    int last = c->co_argcount + (keyword_only ? c->co_kwonlyargcount : 0);
    for (int i = first; list != NULL && i < last; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int has = PyDict_Contains(defaults, name);
        if (has < 0 || (has && PyList_Append(list, name) < 0)) {
            Py_CLEAR(list);
        }
    }
    Py_XDECREF(names);
    return list;
}

/* The value that a live function has for a parameter: borrowed, or NULL. */
static PyObject *
get_default(PyFunctionObject *f, PyObject *name)
{
    PyObject *value = f->func_kwdefaults != NULL
                          ? PyDict_GetItemWithError(f->func_kwdefaults, name)
                          : NULL;
    if (value != NULL || f->func_defaults == NULL) {
        return value;
    }
    PyObject *names = PyObject_GetAttrString(f->func_code, "co_varnames");
    Py_ssize_t i = names ? hr_known_index(names, name) : -1;
    Py_ssize_t count = ((PyCodeObject *)f->func_code)->co_argcount;
    Py_ssize_t first = count - PyTuple_GET_SIZE(f->func_defaults);
    Py_XDECREF(names);
    return i >= first && i >= 0 && i < count
               ? PyTuple_GET_ITEM(f->func_defaults, i - first)
               : NULL;
}

/* 1 when the text of a default or annotation is what it was. */
static int
is_same(PyObject *was, PyObject *is, PyObject *name)
{
    PyObject *old = PyDict_GetItemWithError(was, name);
    PyObject *new = old ? PyDict_GetItemWithError(is, name) : NULL;
    return PyErr_Occurred() ? -1
           : new == NULL    ? 0
                            : hr_code_is_same_const(old, new);
}

/* Do the defaults differ? */
static int
compare_defaults(struct hr_nest *nest)
{
    PyObject *was = nest->was.defaults, *is = nest->is.defaults;
    int same = 1;
    for (int i = 0; same == 1 && i < 2; i++) {
        PyObject *x = list_parameters(nest->old, was, i);
        PyObject *y = x ? list_parameters(nest->new, is, i) : NULL;
        same = y == NULL ? -1 : PyObject_RichCompareBool(x, y, Py_EQ);
        for (Py_ssize_t k = 0; same == 1 && k < PyList_GET_SIZE(y); k++) {
            same = is_same(was, is, PyList_GET_ITEM(y, k));
        }
        Py_XDECREF(x);
        Py_XDECREF(y);
    }
    nest->other_defaults = same != 1;
    return same < 0 ? -1 : 0;
}

static const struct hr_steps *
get_steps(struct hr_nests *n, PyObject *code)
{
    return code != NULL ? hr_nest_steps(n, code) : NULL;
}

/* What the old text and the new one say. */
static int
look_at_header(struct hr_nests *n, struct hr_nest *nest)
{
    const struct hr_steps *a = get_steps(n, nest->old_parent);
    const struct hr_steps *b = get_steps(n, nest->new_parent);
    const struct hr_steps *c = get_steps(n, nest->old_outer);
    const struct hr_steps *d = get_steps(n, nest->new_outer);
    if (PyErr_Occurred() || hr_header_read(a, c, nest->old, &nest->was) < 0 ||
        hr_header_read(b, d, nest->new, &nest->is) < 0) {
        return -1;
    }
    struct hr_header *was = &nest->was, *is = &nest->is;
    int same = 0;
    if (was->defaults != NULL && is->defaults != NULL) {
        same = compare_defaults(nest);
    }
    else {
        if (was->whole != NULL && is->whole != NULL) {
            same = hr_code_is_same_const(was->whole, is->whole);
        }
        nest->unknown = same != 1;
    }
    nest->other_notes =
        was->notes != NULL && is->notes != NULL &&
        PyObject_RichCompareBool(was->notes, is->notes, Py_EQ) != 1;
    nest->looked = 1;
    return same < 0 || PyErr_Occurred() ? -1 : 0;
}

/* The values for some parameters, as a list: 1, 0 when one is not known. */
static int
make_defaults(struct hr_scene *s, const struct hr_nest *nest, int keyword_only,
              PyObject **names, PyObject **values)
{
    *values = PyList_New(0);
    *names = list_parameters(nest->new, nest->is.defaults, keyword_only);
    int status = *names == NULL || *values == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; status == 1 && i < PyList_GET_SIZE(*names); i++) {
        PyObject *name = PyList_GET_ITEM(*names, i);
        int same = is_same(nest->was.defaults, nest->is.defaults, name);
        PyObject *value =
            same == 1 ? get_default((PyFunctionObject *)s->f, name) : NULL;
        Py_XINCREF(value);
        if (value == NULL) {
            PyObject *expression =
                PyDict_GetItemWithError(nest->is.defaults, name);
            status = PyErr_Occurred()
                         ? -1
                         : hr_compute_value(s, expression, 1, &value);
        }
        if (status == 1) {
            status = PyList_Append(*values, value) < 0 ? -1 : 1;
        }
        Py_XDECREF(value);
    }
    return status;
}

static int
set_defaults(struct hr_scene *s, const struct hr_nest *nest, PyObject *holder)
{
    PyFunctionObject *f = (PyFunctionObject *)holder;
    int status = 1;
    for (int i = 0; status == 1 && i < 2; i++) {
        PyObject *names = NULL, *values = NULL, *result = NULL;
        status = make_defaults(s, nest, i, &names, &values);
        Py_ssize_t count = status == 1 ? PyList_GET_SIZE(values) : 0;
        if (count > 0) {
            result = i == 0 ? PyList_AsTuple(values) : PyDict_New();
            status = result == NULL ? -1 : 1;
        }
        for (Py_ssize_t k = 0; i == 1 && status == 1 && k < count; k++) {
            status = PyDict_SetItem(result, PyList_GET_ITEM(names, k),
                                    PyList_GET_ITEM(values, k)) < 0
                         ? -1
                         : 1;
        }
        if (status == 1) {
            PyObject **slot = i == 0 ? &f->func_defaults : &f->func_kwdefaults;
            Py_XSETREF(*slot, Py_XNewRef(result));
        }
        Py_XDECREF(result);
        Py_XDECREF(names);
        Py_XDECREF(values);
    }
    return status;
}

/* -- Annotations ---------------------------------------------------------- */

/* One whose text is the same, or that cannot be computed, stays what it is:
 * nothing runs by it. */
static int
add_note(struct hr_scene *s, const struct hr_nest *nest, PyObject *had,
         PyObject *notes, PyObject *name)
{
    PyObject *value = had ? PyDict_GetItemWithError(had, name) : NULL;
    int same = is_same(nest->was.notes, nest->is.notes, name), status = 0;
    Py_XINCREF(value);
    if (same == 0) {
        PyObject *computed = NULL;
        status = hr_compute_value(
            s, PyDict_GetItemWithError(nest->is.notes, name), 0, &computed);
        if (status == 1) {
            Py_XSETREF(value, computed);
        }
    }
    if (same >= 0 && status >= 0 && value != NULL) {
        status = PyDict_SetItem(notes, name, value);
    }
    Py_XDECREF(value);
    return same < 0 || status < 0 ? -1 : 1;
}

static int
set_notes(struct hr_scene *s, const struct hr_nest *nest, PyObject *holder)
{
    PyObject *had = PyFunction_GetAnnotations(holder);
    PyObject *notes = PyDict_New(), *name, *value;
    Py_ssize_t pos = 0;
    int status = notes == NULL || PyErr_Occurred() ? -1 : 1;
    while (status == 1 && PyDict_Next(nest->is.notes, &pos, &name, &value)) {
        status = add_note(s, nest, had, notes, name);
    }
    pos = 0;
    /* What the program has added. */
    while (status == 1 && had != NULL &&
           PyDict_Next(had, &pos, &name, &value)) {
        int is = PyDict_Contains(notes, name);
        int was = PyDict_Contains(nest->was.notes, name);
        if (is < 0 || was < 0 ||
            (!is && !was && PyDict_SetItem(notes, name, value) < 0)) {
            status = -1;
        }
    }
    if (status == 1) {
        Py_XSETREF(HR_AS_FUNCTION(holder)->func_annotations, Py_NewRef(notes));
    }
    Py_XDECREF(notes);
    return status;
}

/* -- The body --------------------------------------------------------------
 */

int
hr_fit_make(struct hr_scene *s, struct hr_nests *n, struct hr_nest *nest,
            PyObject **holder)
{
    PyObject *closure = NULL;
    int status = nest->looked ? 0 : look_at_header(n, nest);
    *holder = NULL;
    if (status == 0) {
        status = !nest->unknown;
    }
    s->self_code = nest->new;
    PyObject *globals = ((PyFunctionObject *)s->f)->func_globals;
    struct hr_unit *u = hr_evaluate_unit(s->p, globals);
    s->globals = u != NULL ? u->dict : globals; /* not a shadow */
    if (status == 1) {
        status = make_closure(s, nest->new, &closure);
    }
    if (status == 1) {
        *holder = hr_closure_holder(s->f, nest->new, closure);
        status = *holder == NULL ? -1 : 1;
    }
    if (status == 1 && nest->other_defaults) {
        status = set_defaults(s, nest, *holder);
    }
    if (status == 1 && nest->other_notes) {
        status = set_notes(s, nest, *holder);
    }
    if (status != 1) {
        Py_CLEAR(*holder);
    }
    Py_XDECREF(closure);
    return status;
}

int
hr_fit_set_scene(struct hr_scene *s, struct hr_nests *n,
                 const struct hr_nest *nest)
{
    s->parent = hr_nest_steps(n, nest->new_parent);
    s->outer = s->parent != NULL && nest->new_outer != NULL
                   ? hr_nest_steps(n, nest->new_outer)
                   : NULL;
    return PyErr_Occurred() ? -1 : 0;
}
