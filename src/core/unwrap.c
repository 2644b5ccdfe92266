/* The live function of a definition, however its decorators have wrapped it.
 *
 * A function is known by its name, file and first line.  It is looked for
 * behind the value that its name holds (attributes of wrappers, cells of
 * closures), then under other names of the scope, then among all objects.
 *
 * For define.c.  What is found is a new reference: a wrapper may make what its
 * attributes give.
 */
#include "scope.h"

#define MAX_SEEN 256 /* objects that are looked into */

struct search {
    struct hr_scope *s;
    PyObject *name;     /* as in the text, not mangled */
    int line;           /* -1: any */
    int elsewhere;      /* of another file */
    PyObject *qualname; /* or NULL: a class of the module, no function */
    PyObject *path;     /* a list, or NULL: what wraps it, innermost first */
    PyObject *seen[MAX_SEEN];
    int count;
};

static int
is_wanted(struct search *w, PyObject *function)
{
    struct hr_unit *u = w->s->u;
    PyObject *body = hr_plan_body(u->plan, function);
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)body)->func_code;
    return PyUnicode_Compare(code->co_name, w->name) == 0 &&
           (PyUnicode_Compare(code->co_filename, u->filename) != 0) ==
               w->elsewhere &&
           (w->line < 0 || code->co_firstlineno == w->line);
}

static PyObject *search_value(struct search *w, PyObject *o, int depth);

/* The members of a type: slots, and what C keeps in its objects. */
static PyObject *
search_members(struct search *w, PyObject *o, int depth)
{
    PyObject *mro = Py_TYPE(o)->tp_mro, *found = NULL;
    for (Py_ssize_t i = 0;
         found == NULL && mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *type = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        PyObject *key, *member;
        Py_ssize_t pos = 0;
        while (found == NULL &&
               PyDict_Next(hr_compat_type_dict(type), &pos, &key, &member)) {
            if (Py_TYPE(member) != &PyMemberDescr_Type) {
                continue;
            }
            PyObject *inner = Py_TYPE(member)->tp_descr_get(
                member, o, (PyObject *)Py_TYPE(o));
            PyErr_Clear();
            found = inner ? search_value(w, inner, depth - 1) : NULL;
            Py_XDECREF(inner);
        }
    }
    return found;
}

static PyObject *search_functions(struct search *w, PyObject *dict, int depth);

static PyObject *
search_attributes(struct search *w, PyObject *o, int depth)
{
    /* What may not be a member of the type, nor in its dict. */
    static const char *const names[] = {"__func__", "func", "__wrapped__",
                                        NULL};
    PyObject *found = search_members(w, o, depth);
    for (int i = 0; found == NULL && names[i] != NULL; i++) {
        PyObject *inner = PyObject_GetAttrString(o, names[i]);
        PyErr_Clear();
        if (inner != NULL && inner != Py_None) {
            found = search_value(w, inner, depth - 1);
        }
        Py_XDECREF(inner);
    }
    PyObject *dict = found == NULL ? hr_compat_instance_dict(o) : NULL;
    PyErr_Clear();
    PyObject *values = dict != NULL ? PyDict_Values(dict) : NULL;
    PyErr_Clear();
    for (Py_ssize_t i = 0;
         found == NULL && values != NULL && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = PyList_GET_ITEM(values, i);
        found = PyDict_CheckExact(value) && PyDict_GET_SIZE(value) < 1000
                    ? search_functions(w, value, depth)
                    : search_value(w, value, depth - 1);
    }
    Py_XDECREF(values);
    Py_XDECREF(dict);
    return found;
}

/* The functions among a dict's values, as in singledispatch's registry. */
static PyObject *
search_functions(struct search *w, PyObject *dict, int depth)
{
    PyObject *values = PyDict_Values(dict), *found = NULL;
    for (Py_ssize_t i = 0;
         found == NULL && values != NULL && i < PyList_GET_SIZE(values); i++) {
        PyObject *value = PyList_GET_ITEM(values, i);
        if (PyFunction_Check(value)) {
            found = search_value(w, value, depth - 1);
        }
    }
    Py_XDECREF(values);
    PyErr_Clear();
    return found;
}

static PyObject *
search_closure(struct search *w, PyObject *function, int depth)
{
    PyObject *closure = PyFunction_GET_CLOSURE(function);
    PyObject *found = NULL;
    for (Py_ssize_t i = 0;
         found == NULL && closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *content = hr_compat_cell_peek(PyTuple_GET_ITEM(closure, i));
        if (content == NULL) {
            continue;
        }
        Py_INCREF(content);
        found = search_value(w, content, depth - 1);
        if (found == NULL && Py_TYPE(content) == &PyDict_Type &&
            PyDict_GET_SIZE(content) < 1000) {
            found = search_functions(w, content, depth);
        }
        Py_DECREF(content);
    }
    return found;
}

static PyObject *
search_inside(struct search *w, PyObject *o, int depth)
{
    PyTypeObject *type = Py_TYPE(o);
    if (PyFunction_Check(o)) {
        PyObject *dict = ((PyFunctionObject *)o)->func_dict;
        PyObject *inner =
            dict ? PyDict_GetItemString(dict, "__wrapped__") : NULL;
        PyObject *found = NULL;
        if (inner != NULL) {
            Py_INCREF(inner);
            found = search_value(w, inner, depth - 1);
            Py_DECREF(inner);
        }
        return found != NULL ? found : search_closure(w, o, depth);
    }
    if (PyMethod_Check(o)) {
        return search_value(w, PyMethod_GET_FUNCTION(o), depth - 1);
    }
    /* What the decorators returned may be of any kind. */
    if (PyCFunction_Check(o) ||
        (type->tp_descr_get == NULL && !PyCallable_Check(o) &&
         (w->count > 1 || !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)))) {
        return NULL;
    }
    return search_attributes(w, o, depth);
}

static int
is_wanted_class(struct search *w, PyObject *o)
{
    PyObject *module = PyObject_GetAttrString(o, "__module__");
    int is =
        module != NULL && PyUnicode_Check(module) && hr_class_is_open(o) &&
        PyUnicode_Compare(module, w->s->u->name) == 0 &&
        PyUnicode_Compare(((PyHeapTypeObject *)o)->ht_qualname, w->qualname) ==
            0;
    Py_XDECREF(module);
    PyErr_Clear();
    return is;
}

static PyObject *
search_value(struct search *w, PyObject *o, int depth)
{
    if (w->qualname != NULL && depth > 0 && PyType_Check(o)) {
        return is_wanted_class(w, o) ? Py_NewRef(o) : NULL;
    }
    if (depth == 0 || PyType_Check(o) || PyModule_Check(o) ||
        PyUnicode_CheckExact(o) || PyLong_CheckExact(o) ||
        w->count == MAX_SEEN) {
        return NULL;
    }
    for (int i = 0; i < w->count; i++) {
        if (w->seen[i] == o) {
            return NULL;
        }
    }
    w->seen[w->count++] = o;
    if (PyFunction_Check(o) && w->qualname == NULL && is_wanted(w, o)) {
        return Py_NewRef(o);
    }
    PyObject *found = search_inside(w, o, depth);
    if (found != NULL && w->path != NULL && PyList_Append(w->path, o) < 0) {
        PyErr_Clear(); /* its doc stays as it is */
    }
    return found;
}

/* Where names do not lead: any function alive that was made by this block, and
 * what caches its results. */
static int
is_cache(PyObject *o)
{
    return strcmp(Py_TYPE(o)->tp_name, "functools._lru_cache_wrapper") == 0;
}

static int
is_of_module(PyObject *o, void *globals)
{
    return Py_TYPE(o) == &PyFunction_Type
               ? ((PyFunctionObject *)o)->func_globals == globals
               : is_cache(o);
}

static void
add_cache(struct search *w, PyObject *cache, PyObject *function)
{
    PyObject *inner = PyObject_GetAttrString(cache, "__wrapped__");
    if (inner == function && PyList_Append(w->path, cache) < 0) {
        PyErr_Clear(); /* then it keeps its results */
    }
    Py_XDECREF(inner);
    PyErr_Clear();
}

static PyObject *
search_heap(struct search *w)
{
    PyObject *all =
        hr_heap_find(w->s->u->plan->st, is_of_module, w->s->u->dict, 0);
    Py_ssize_t n = all != NULL ? PyList_GET_SIZE(all) : 0;
    PyObject *found = NULL;
    for (Py_ssize_t i = 0; found == NULL && i < n; i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (PyFunction_Check(o) && is_wanted(w, o) &&
            !hr_function_is_holder(o)) {
            found = Py_NewRef(o);
        }
    }
    for (Py_ssize_t i = 0; found != NULL && w->path != NULL && i < n; i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (!PyFunction_Check(o)) {
            add_cache(w, o, found);
        }
    }
    Py_XDECREF(all);
    PyErr_Clear();
    return found;
}

/* Has the program put a function of another file in the place? */
static int
is_of_other_file(struct search *w, PyObject *value)
{
    if (!PyFunction_Check(value)) {
        return 0;
    }
    PyObject *body = hr_plan_body(w->s->u->plan, value);
    PyCodeObject *code = (PyCodeObject *)HR_AS_FUNCTION(body)->func_code;
    return PyUnicode_Compare(code->co_filename, w->s->u->filename) != 0;
}

PyObject *
hr_unwrap_find(struct hr_scope *s, PyObject *value, const struct hr_block *old,
               PyObject *path)
{
    struct search w = {.s = s, .line = (int)old->line, .path = path};
    PyObject *found = NULL;
    w.name = hr_name_of(s->old_text, old);
    if (w.name == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (value != NULL) {
        found = search_value(&w, value, 6);
    }
    if (found == NULL) {
        /* An alias, when the name was taken by a later definition. */
        PyObject *key, *other;
        Py_ssize_t pos = 0;
        while (found == NULL && PyDict_Next(s->live, &pos, &key, &other)) {
            if (PyFunction_Check(other) && is_wanted(&w, other)) {
                found = Py_NewRef(other);
            }
        }
    }
    if (found == NULL &&
        (old->decorated || value == NULL || is_of_other_file(&w, value))) {
        found = search_heap(&w);
    }
    if (found == NULL && value != NULL &&
        (s->u->source->doubt || PyFunction_Check(value))) {
        w.line = -1;
        w.count = 0;
        w.path = NULL;
        found = search_value(&w, value, 6);
        if (found != NULL && s->u->source->doubt == 0 && found != value) {
            Py_CLEAR(found);
        }
    }
    Py_DECREF(w.name);
    return found;
}

PyObject *
hr_unwrap_behind(struct hr_scope *s, PyObject *value, const char *text,
                 const struct hr_block *b, int line, PyObject *path)
{
    struct search w = {.s = s, .line = line, .path = path};
    w.name = hr_name_of(text, b);
    PyObject *found = w.name ? search_value(&w, value, 6) : NULL;
    Py_XDECREF(w.name);
    PyErr_Clear();
    return found;
}

PyObject *
hr_unwrap_elsewhere(struct hr_scope *s, PyObject *value, PyObject *name)
{
    struct search w = {.s = s, .name = name, .line = -1, .elsewhere = 1};
    PyObject *found = search_value(&w, value, 6);
    PyErr_Clear();
    return found;
}

PyObject *
hr_unwrap_class(struct hr_scope *s, PyObject *value, PyObject *qualname)
{
    struct search w = {.s = s, .qualname = qualname};
    PyObject *found = search_value(&w, value, 6);
    PyErr_Clear();
    return found;
}
