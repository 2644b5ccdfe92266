/* What the name of the original means where its replacement was written.
 *
 * A replacement usually calls what it replaces.  In a live file the names that
 * held it go on meaning the original, at the hundredth save as at the first,
 * and so does what the replacement has got hold of in other ways: variables of
 * the function that made it, defaults, the function of a partial.  Where that
 * is the program's own, it is not touched: the replacement gets a copy.
 *
 * A class is replaced in place; its name goes on meaning the class, of which
 * the objects are, and super() leads to the original.
 *
 * What a replacement reaches through somebody else (`module.f`) cannot be
 * known, and is what is in force.
 *
 * For request.c and replace.c.
 */
#include "core.h"

#define DEPTH 4

/* Is this what is replaced, by any of its names? */
static int
is_replaced(struct hr_request *r, PyObject *o)
{
    return hr_patch_is_same(o, r->before) || hr_patch_is_same(o, r->asked) ||
           (r->patch != NULL && hr_patch_has_put(r->patch, o));
}

/* The globals of a live file? */
static int
is_live(PyObject *globals, const char *key)
{
    PyObject *name = globals ? PyDict_GetItemString(globals, key) : NULL;
    const char *text =
        name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    PyErr_Clear();
    return text != NULL && strncmp(text, "reloadable_", 11) == 0;
}

/* Of the function in what replaces something; borrowed, or NULL. */
static PyObject *
get_globals(PyObject *o)
{
    PyObject *globals = NULL;
    Py_INCREF(o);
    for (int depth = 0; o != NULL && depth < 4; depth++) {
        if (PyFunction_Check(o)) {
            globals = PyFunction_GET_GLOBALS(o);
            break;
        }
        if (Py_TYPE(o) == &PyProperty_Type || hr_trampoline_is_partial(o)) {
            const char *part =
                Py_TYPE(o) == &PyProperty_Type ? "fget" : "func";
            Py_SETREF(o, PyObject_GetAttrString(o, part));
        }
        else {
            PyObject *inner = hr_owner_get_inner(o);
            depth = inner == o ? 4 : depth;
            Py_SETREF(o, inner);
        }
    }
    PyErr_Clear();
    Py_XDECREF(o);
    return globals;
}

static int
is_in_live_file(struct hr_request *r)
{
    return r->live || is_live(get_globals(r->after), "__name__");
}

/* -- What a replacement holds --------------------------------------------- */

static PyObject *map_object(struct hr_request *r, PyObject *o, int depth);

/* The values of a tuple, mapped: itself when nothing is another. */
static PyObject *
map_tuple(struct hr_request *r, PyObject *tuple, int depth)
{
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    PyObject *mapped = PyTuple_New(n);
    int same = 1;
    for (Py_ssize_t i = 0; mapped != NULL && i < n; i++) {
        PyObject *old = PyTuple_GET_ITEM(tuple, i);
        PyObject *new = map_object(r, old, depth);
        if (new == NULL) {
            Py_CLEAR(mapped);
            break;
        }
        same &= new == old;
        PyTuple_SET_ITEM(mapped, i, new);
    }
    if (mapped != NULL && same) {
        Py_SETREF(mapped, Py_NewRef(tuple));
    }
    return mapped;
}

/* Cells with other content are others: the variable is shared with whoever
 * else uses it. */
static PyObject *
map_closure(struct hr_request *r, PyObject *closure, PyObject *f, int depth)
{
    Py_ssize_t n = PyTuple_GET_SIZE(closure);
    PyObject *mapped = PyTuple_New(n);
    int same = 1;
    for (Py_ssize_t i = 0; mapped != NULL && i < n; i++) {
        PyObject *cell = PyTuple_GET_ITEM(closure, i), *new = NULL;
        PyObject *content = hr_compat_cell_peek(cell);
        if (content == NULL || content == f || content == r->after) {
            PyTuple_SET_ITEM(mapped, i, Py_NewRef(cell));
            continue;
        }
        new = map_object(r, content, depth);
        if (new != NULL &&new == content) {
            PyTuple_SET_ITEM(mapped, i, Py_NewRef(cell));
        }
        else if (new != NULL) {
            PyObject *other = PyCell_New(new);
            PyTuple_SET_ITEM(mapped, i, other);
            same = 0;
        }
        if (new == NULL || PyTuple_GET_ITEM(mapped, i) == NULL) {
            Py_CLEAR(mapped);
        }
        Py_XDECREF(new);
    }
    if (mapped != NULL && same) {
        Py_SETREF(mapped, Py_NewRef(closure));
    }
    return mapped;
}

static PyObject *
map_dict(struct hr_request *r, PyObject *dict, int depth)
{
    PyObject *key, *value, *copy = NULL;
    Py_ssize_t pos = 0;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        PyObject *new = map_object(r, value, depth);
        int status = new == NULL ? -1 : 0;
        if (status == 0 && new != value) {
            if (copy == NULL) {
                copy = PyDict_Copy(dict);
            }
            status = copy == NULL ? -1 : PyDict_SetItem(copy, key, new);
        }
        Py_XDECREF(new);
        if (status < 0) {
            Py_XDECREF(copy);
            return NULL;
        }
    }
    return copy != NULL ? copy : Py_NewRef(dict);
}

/* A function that wraps the original says so, in `__wrapped__`: not that it
 * wraps itself. */
static PyObject *
map_wrapped(struct hr_request *r, PyObject *dict, int depth)
{
    PyObject *name = PyUnicode_InternFromString("__wrapped__");
    PyObject *old = name ? PyDict_GetItemWithError(dict, name) : NULL;
    PyObject *result = NULL;
    if (old == NULL) {
        result = PyErr_Occurred() ? NULL : Py_NewRef(dict);
    }
    else {
        PyObject *new = map_object(r, old, depth);
        if (new == old) {
            result = Py_NewRef(dict);
        }
        else if (new != NULL) {
            result = PyDict_Copy(dict);
            if (result != NULL && PyDict_SetItem(result, name, new) < 0) {
                Py_CLEAR(result);
            }
        }
        Py_XDECREF(new);
    }
    Py_XDECREF(name);
    return result;
}

/* The function itself, or one that holds the original. */
static PyObject *
map_function(struct hr_request *r, PyObject *o, int depth)
{
    PyFunctionObject *f = HR_AS_FUNCTION(o);
    PyObject *parts[4] = {NULL, NULL, NULL, NULL}, *result = NULL;
    PyObject **fields[4] = {&f->func_closure, &f->func_defaults,
                            &f->func_kwdefaults, &f->func_dict};
    int same = 1, live = is_in_live_file(r);
    for (int i = live ? 0 : 3; i < 4; i++) {
        PyObject *old = *fields[i];
        if (old == NULL) {
            continue;
        }
        parts[i] = i == 0   ? map_closure(r, old, o, depth - 1)
                   : i == 1 ? map_tuple(r, old, 0)
                   : i == 2 ? map_dict(r, old, 0)
                            : map_wrapped(r, old, live ? depth - 1 : 0);
        if (parts[i] == NULL) {
            goto done;
        }
        same &= parts[i] == old;
    }
    if (same) {
        result = Py_NewRef(o);
        goto done;
    }
    result = hr_function_clone(o, NULL, NULL);
    if (result != NULL) {
        f = HR_AS_FUNCTION(result);
        PyObject **to[4] = {&f->func_closure, &f->func_defaults,
                            &f->func_kwdefaults, &f->func_dict};
        for (int i = 0; i < 4; i++) {
            if (parts[i] != NULL) {
                PyObject *old = *to[i];
                *to[i] = parts[i];
                parts[i] = old;
            }
        }
    }
done:
    for (int i = 0; i < 4; i++) {
        Py_XDECREF(parts[i]);
    }
    return result;
}

static PyObject *
map_partial(struct hr_request *r, PyObject *o, int depth)
{
    static const char *const names[3] = {"func", "args", "keywords"};
    /* Of a subclass it is not known how it is made. */
    if (strcmp(Py_TYPE(o)->tp_name, "functools.partial") != 0) {
        return Py_NewRef(o);
    }
    PyObject *parts[3] = {NULL, NULL, NULL}, *result = NULL, *new = NULL;
    int same = 1;
    for (int i = 0; i < 3; i++) {
        PyObject *old = PyObject_GetAttrString(o, names[i]);
        parts[i] = old == NULL ? NULL
                   : i == 0    ? map_object(r, old, depth)
                   : i == 1    ? map_tuple(r, old, depth)
                               : map_dict(r, old, depth);
        Py_XDECREF(old);
        if (parts[i] == NULL) {
            goto done;
        }
        same &= parts[i] == old;
    }
    if (same) {
        result = Py_NewRef(o);
        goto done;
    }
    new = PyTuple_New(1 + PyTuple_GET_SIZE(parts[1]));
    if (new != NULL) {
        PyTuple_SET_ITEM(new, 0, Py_NewRef(parts[0]));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts[1]); i++) {
            PyTuple_SET_ITEM(new, i + 1,
                             Py_NewRef(PyTuple_GET_ITEM(parts[1], i)));
        }
        result = PyObject_Call((PyObject *)Py_TYPE(o), new, parts[2]);
        Py_DECREF(new);
    }
done:
    for (int i = 0; i < 3; i++) {
        Py_XDECREF(parts[i]);
    }
    return result;
}

/* The original, as it is called through `o`. */
static PyObject *
get_original(struct hr_request *r, PyObject *o)
{
    if (PyMethod_Check(o) && PyFunction_Check(r->original)) {
        return PyMethod_New(r->original, PyMethod_GET_SELF(o));
    }
    return Py_NewRef(r->original);
}

/* What stands for the object in the replacement: a new reference, to the
 * object itself where it is something else. */
static PyObject *
map_object(struct hr_request *r, PyObject *o, int depth)
{
    if (is_replaced(r, o) ||
        (PyMethod_Check(o) && PyFunction_Check(r->before) &&
         PyMethod_GET_FUNCTION(o) == r->before)) {
        return get_original(r, o);
    }
    if (depth > 0 && PyFunction_Check(o) &&
        (is_live(PyFunction_GET_GLOBALS(o), "__name__") ||
         (((PyCodeObject *)PyFunction_GET_CODE(o))->co_flags & CO_NESTED))) {
        return map_function(r, o, depth);
    }
    if (depth > 0 && hr_trampoline_is_partial(o)) {
        return map_partial(r, o, depth - 1);
    }
    return Py_NewRef(o);
}

static int
is_kept(struct hr_request *r)
{
    return r->original == NULL ||
           (PyType_Check(r->original) && r->original != r->before);
}

PyObject *
hr_meaning_replacement(struct hr_request *r, PyObject *after)
{
    if (is_kept(r) || after == r->before) {
        return Py_NewRef(after);
    }
    return PyFunction_Check(after) ? map_function(r, after, DEPTH)
           : is_in_live_file(r) && hr_trampoline_is_partial(after)
               ? map_partial(r, after, DEPTH - 1)
               : Py_NewRef(after);
}

/* -- Names ---------------------------------------------------------------- */

static int
keep_names(struct hr_request *r, PyObject *globals)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(globals, &pos, &key, &value)) {
        /* One of several that the file replaces it with in turn. */
        int own = PyFunction_Check(value) &&
                  PyFunction_GET_GLOBALS(value) == globals &&
                  value != r->before;
        if (value == r->after || own) {
            continue;
        }
        PyObject *mapped = map_object(r, value, 0);
        /* Setting the value of a key that is there moves nothing. */
        int status = mapped == NULL    ? -1
                     : mapped == value ? 0
                                       : PyDict_SetItem(globals, key, mapped);
        Py_XDECREF(mapped);
        if (status < 0) {
            return -1;
        }
    }
    /* A built-in's name was found behind the globals. */
    if (PyModule_Check(r->owner) &&
        PyModule_GetDict(r->owner) == PyEval_GetBuiltins()) {
        int has = PyDict_Contains(globals, r->name);
        return has != 0 ? has < 0 ? -1 : 0
                        : PyDict_SetItem(globals, r->name, r->original);
    }
    return 0;
}

/* The attributes of an object of a live file's class that is called; NULL when
 * there are none.  A new reference. */
static PyObject *
get_attributes(PyObject *o)
{
    o = PyMethod_Check(o) ? PyMethod_GET_SELF(o) : o;
    if (!hr_class_is_open((PyObject *)Py_TYPE(o)) ||
        !is_live(hr_compat_type_dict(Py_TYPE(o)), "__module__")) {
        return NULL;
    }
    PyObject *dict = hr_compat_instance_dict(o);
    PyErr_Clear();
    return dict;
}

/* Does code of the module with these globals call replace(), for the live file
 * that runs?  Or is it one beside the live files? */
static int
is_helper(struct hr_request *r, PyObject *globals, PyObject *live)
{
    PyObject *file = PyDict_GetItemString(globals, "__file__");
    const char *path =
        file && PyUnicode_Check(file) ? PyUnicode_AsUTF8(file) : NULL;
    PyErr_Clear();
    if (path != NULL && hr_apply_is_in_live(r->st, path)) {
        return 1;
    }
    PyFrameObject *frame =
        (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    int found = 0;
    while (frame != NULL && !found) {
        PyObject *its = PyObject_GetAttrString((PyObject *)frame, "f_globals");
        PyFrameObject *back =
            its && its != live ? PyFrame_GetBack(frame) : NULL;
        found = its == globals;
        PyErr_Clear();
        Py_XDECREF(its);
        Py_SETREF(frame, back);
    }
    Py_XDECREF((PyObject *)frame);
    return found;
}

/* The module stays when the live file runs again, so its names are as they
 * were when nothing is replaced. */
static int
plan_names(struct hr_request *r, struct hr_journal *j, PyObject *globals)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    int status = 0;
    hr_journal_set_gentle(j);
    while (status == 0 && PyDict_Next(globals, &pos, &key, &value)) {
        if (value == r->after || !PyUnicode_Check(key)) {
            continue;
        }
        PyObject *mapped = map_object(r, value, 0);
        status =
            mapped == NULL ? -1
            : mapped == value && value != r->original
                ? 0
                : hr_place_replace(j, HR_PLACE_DICT, globals, key, mapped);
        Py_XDECREF(mapped);
    }
    return status;
}

int
hr_meaning_keep_names(struct hr_request *r, struct hr_journal *j)
{
    struct hr_run *run = hr_patch_run(r->st);
    PyObject *own = get_globals(r->after);
    if (is_kept(r)) {
        return 0;
    }
    PyObject *attributes = get_attributes(r->after);
    int kept = attributes == NULL ? 0 : keep_names(r, attributes);
    Py_XDECREF(attributes);
    if (kept < 0 || (run != NULL && keep_names(r, run->globals) < 0)) {
        return -1;
    }
    if (own == NULL || (run != NULL && own == run->globals)) {
        return 0;
    }
    return is_live(own, "__name__") ? keep_names(r, own)
           : run != NULL && is_helper(r, own, run->globals)
               ? plan_names(r, j, own)
               : 0;
}
