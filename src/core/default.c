/* Defaults and annotations of parameters that compute from a changed name.
 *
 * `def f(x=LIMIT)` has read LIMIT when the module ran.  Each default that the
 * function still has as the old value gives it gets that of the new one; so
 * do those of a function whose body changes in the same batch.  Called by
 * derive.c for functions of a module, by member.c for those of a class.
 *
 * A changed header is run as a whole; but a default whose text did not change
 * is not made anew: it may hold what the program has put there.
 */
#include "scope.h"

/* -- The fields of a function --------------------------------------------- */

/* The names of parameters, in the order of the code.  New reference. */
static PyObject *
get_parameters(PyFunctionObject *f)
{
    return PyObject_GetAttrString(f->func_code, "co_varnames");
}

/* The index of a parameter in the defaults by position, or -1. */
static Py_ssize_t
find_position(PyFunctionObject *f, PyObject *defaults, PyObject *name)
{
    Py_ssize_t n = defaults != NULL ? PyTuple_GET_SIZE(defaults) : 0;
    Py_ssize_t first = ((PyCodeObject *)f->func_code)->co_argcount - n;
    PyObject *names = n > 0 && first >= 0 ? get_parameters(f) : NULL;
    Py_ssize_t found = -1;
    for (Py_ssize_t i = 0; names != NULL && found < 0 && i < n; i++) {
        if (PyUnicode_Compare(PyTuple_GET_ITEM(names, first + i), name) == 0) {
            found = i;
        }
    }
    Py_XDECREF(names);
    PyErr_Clear();
    return found;
}

/* The default of a parameter, or NULL.  Borrowed. */
static PyObject *
get_default(PyObject *function, PyObject *name)
{
    PyFunctionObject *f = (PyFunctionObject *)function;
    Py_ssize_t i = find_position(f, f->func_defaults, name);
    return i >= 0 ? PyTuple_GET_ITEM(f->func_defaults, i)
           : f->func_kwdefaults != NULL
               ? PyDict_GetItemWithError(f->func_kwdefaults, name)
               : NULL;
}

/* Of a function that nobody else holds.  The number of defaults stays, and so
 * its version vouches for it still (function.c). */
static int
set_default(PyObject *function, PyObject *name, PyObject *value)
{
    PyFunctionObject *f = (PyFunctionObject *)function;
    Py_ssize_t i = find_position(f, f->func_defaults, name);
    if (i < 0) {
        PyObject *copy = PyDict_Copy(f->func_kwdefaults);
        if (copy == NULL || PyDict_SetItem(copy, name, value) < 0) {
            Py_XDECREF(copy);
            return -1;
        }
        Py_SETREF(f->func_kwdefaults, copy);
        return 0;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(f->func_defaults);
    PyObject *copy = PyTuple_New(n);
    for (Py_ssize_t k = 0; copy != NULL && k < n; k++) {
        PyObject *o = PyTuple_GET_ITEM(f->func_defaults, k);
        PyTuple_SET_ITEM(copy, k, Py_NewRef(k == i ? value : o));
    }
    if (copy == NULL) {
        return -1;
    }
    Py_SETREF(f->func_defaults, copy);
    return 0;
}

static int
set_annotation(PyObject *function, PyObject *name, PyObject *value)
{
    PyObject *notes = PyFunction_GetAnnotations(function);
    PyObject *copy = notes ? PyDict_Copy(notes) : NULL;
    if (copy == NULL || PyDict_SetItem(copy, name, value) < 0) {
        Py_XDECREF(copy);
        return -1;
    }
    Py_SETREF(((PyFunctionObject *)function)->func_annotations, copy);
    return 0;
}

static PyObject *
get_annotation(PyObject *function, PyObject *name)
{
    PyObject *notes = PyFunction_GetAnnotations(function);
    PyErr_Clear();
    return notes ? PyDict_GetItemWithError(notes, name) : NULL;
}

/* -- Where the header changed --------------------------------------------- */

struct keep {
    struct hr_scope *s;
    const struct hr_block *old;
    PyObject *old_arguments; /* borrowed */
    PyObject *name, *node;   /* borrowed: looked for, found */
    PyObject *live, *function;
};

static int
match_default(PyObject *name, PyObject *node, void *arg)
{
    struct keep *k = arg;
    if (PyUnicode_Compare(name, k->name) == 0) {
        k->node = node;
    }
    return 0;
}

static int
keep_default(PyObject *name, PyObject *node, void *arg)
{
    struct keep *k = arg;
    PyObject *live = get_default(k->live, name);
    PyObject *new = get_default(k->function, name);
    if (live == NULL || new == NULL || live == new) {
        return 0;
    }
    k->name = name;
    k->node = NULL;
    if (hr_syntax_each_default(k->old_arguments, match_default, k) < 0) {
        return -1;
    }
    if (k->node == NULL) {
        return 0;
    }
    int same = hr_syntax_is_same(k->s->u, k->node, node);
    if (same < 0) {
        PyErr_Clear(); /* such as `await`, which stands in no expression */
    }
    if (same > 0) {
        return set_default(k->function, name, live);
    }
    /* A lambda may be held by others. */
    PyObject *merged = Py_NewRef(new);
    int status = hr_merge_part(k->s, live, &merged, k->old);
    if (status == 0 && merged != new) {
        status = set_default(k->function, name, merged);
    }
    Py_DECREF(merged);
    return status;
}

static PyObject *
parse_header(struct hr_unit *u, const char *text, const struct hr_block *b)
{
    uint32_t start = hr_scope_offset_of_line(text, b, b->def_line);
    PyObject *tree =
        hr_syntax_parse(u, text + start, b->head_end - start, " pass");
    if (tree == NULL || PyList_GET_SIZE(tree) != 1) {
        PyErr_Clear();
        Py_CLEAR(tree);
    }
    return tree;
}

int
hr_default_keep(struct hr_scope *s, PyObject *live, const struct hr_block *old,
                const struct hr_block *new, PyObject *function)
{
    PyFunctionObject *f = (PyFunctionObject *)live;
    if (f->func_defaults == NULL && f->func_kwdefaults == NULL) {
        return 0;
    }
    struct keep k = {.s = s, .old = old, .live = live, .function = function};
    PyObject *was = parse_header(s->u, s->old_text, old);
    PyObject *is = was ? parse_header(s->u, s->u->text, new) : NULL;
    int status = 0;
    if (is != NULL) {
        k.old_arguments = hr_syntax_get(PyList_GET_ITEM(was, 0), "args");
        status = hr_syntax_each_default(
            hr_syntax_get(PyList_GET_ITEM(is, 0), "args"), keep_default, &k);
    }
    Py_XDECREF(was);
    Py_XDECREF(is);
    return status;
}

/* -- What follows a changed name ------------------------------------------ */

struct follow {
    struct hr_scope *s;
    struct hr_worlds worlds;
    PyObject *pristine; /* borrowed: the function without what followed */
    PyObject *holder;   /* owned: takes what follows */
    PyObject *f;        /* borrowed: the live one */
    int planned;        /* the holder is in the journal */
    int found;
};

static int
follow_one(struct follow *w, PyObject *name, PyObject *node,
           PyObject *(*get)(PyObject *, PyObject *),
           int (*set)(PyObject *, PyObject *, PyObject *))
{
    PyObject *had = get(w->pristine, name), *was, *is;
    int status = had == NULL
                     ? 0
                     : hr_worlds_expression(w->s, &w->worlds, node, &was, &is);
    if (status <= 0) {
        return status;
    }
    PyObject *has = get(w->holder, name);
    status = 0;
    if (hr_value_still_is(had, was) && has != NULL &&
        !hr_value_still_is(has, is)) {
        w->found = 1;
        status = set(w->holder, name, is);
    }
    Py_DECREF(was);
    Py_DECREF(is);
    return status;
}

static int
follow_default(PyObject *name, PyObject *node, void *arg)
{
    return follow_one(arg, name, node, get_default, set_default);
}

static int
follow_annotation(PyObject *name, PyObject *node, void *arg)
{
    return follow_one(arg, name, node, get_annotation, set_annotation);
}

/* The function that a definition or an assigned lambda made. */
static PyObject *
find_function(struct hr_scope *s, PyObject *value, const struct hr_block *b,
              PyObject *path)
{
    if (value == NULL) {
        return NULL;
    }
    return !b->decorated
               ? PyFunction_Check(value) ? Py_NewRef(value) : NULL
               : hr_unwrap_behind(s, value, s->old_text, b, -1, path);
}

/* The holder, and what it was before anything followed.  Under a replacement
 * the body that it is about is elsewhere. */
static int
find_holder(struct follow *w, PyObject *kept)
{
    struct hr_plan *p = w->s->u->plan;
    PyObject *body = hr_plan_body(p, w->f), *planned = NULL;
    (void)hr_place_peek(p->j, HR_PLACE_FUNCTION, w->f, NULL, &planned);
    if (planned == NULL) {
        w->holder = hr_function_clone(body, NULL, NULL);
        if (w->holder == NULL) {
            return -1;
        }
        hr_function_share_dict(w->holder, body);
        w->pristine = body;
        return PyDict_SetItem(kept, body, body);
    }
    w->planned = 1;
    w->holder = Py_NewRef(planned);
    w->pristine = PyDict_GetItemWithError(kept, body);
    if (w->pristine == NULL) {
        PyObject *copy = hr_function_clone(planned, NULL, NULL);
        int status = copy == NULL ? -1 : PyDict_SetItem(kept, body, copy);
        Py_XDECREF(copy);
        w->pristine = copy;
        return status;
    }
    return 0;
}

static int
follow_header(struct follow *w, PyObject *node)
{
    int status =
        hr_syntax_each_default(hr_syntax_get(node, "args"), follow_default, w);
    return status < 0 || hr_syntax_is(node, "Lambda") || w->worlds.was.lazy
               ? status
               : hr_syntax_each_annotation(node, follow_annotation, w);
}

/* The definition, or the lambda that is assigned.  Borrowed or NULL. */
static PyObject *
find_node(PyObject *tree)
{
    PyObject *node =
        PyList_GET_SIZE(tree) == 1 ? PyList_GET_ITEM(tree, 0) : NULL;
    if (node != NULL &&
        (hr_syntax_is(node, "Assign") || hr_syntax_is(node, "AnnAssign"))) {
        node = hr_syntax_get(node, "value");
        return hr_syntax_is(node, "Lambda") ? node : NULL;
    }
    return node != NULL && (hr_syntax_is(node, "FunctionDef") ||
                            hr_syntax_is(node, "AsyncFunctionDef"))
               ? node
               : NULL;
}

int
hr_default_follow(struct hr_scope *s, PyObject *kept, PyObject *changed,
                  const char *text, const struct hr_block *b)
{
    struct hr_plan *p = s->u->plan;
    struct follow w = {.s = s};
    int lambda = b->kind == HR_BLOCK_ASSIGN;
    uint32_t start = hr_scope_offset_of_line(text, b, b->def_line);
    if (start >= b->head_end ||
        !hr_word_may_be_in(text + start, b->head_end - start, changed)) {
        return 0;
    }
    PyObject *name = hr_scope_name(s, text, b);
    PyObject *value = name ? PyDict_GetItemWithError(s->live, name) : NULL;
    PyObject *path = PyList_New(0);
    w.f = path ? find_function(s, value, b, path) : NULL;
    PyObject *tree = w.f == NULL ? NULL
                     : lambda    ? hr_syntax_parse(s->u, text + b->start,
                                                   b->end - b->start, "")
                                 : parse_header(s->u, text, b);
    PyObject *node = tree ? find_node(tree) : NULL;
    int status = name == NULL || path == NULL ? -1 : 0;
    PyErr_Clear();
    if (node != NULL) {
        status = hr_worlds_make(s, node, &w.worlds);
        if (status == 0) {
            status = find_holder(&w, kept);
        }
        if (status == 0) {
            status = follow_header(&w, node);
        }
        if (status == 0 && w.found && !w.planned) {
            status = hr_plan_function(p, p->j, w.f, w.holder);
        }
        if (status == 0 && w.found) {
            status = hr_wrapper_clear_caches(p, path);
        }
        if (status == 0 && w.found) {
            status = hr_wrapper_clear_outdated(p, w.f);
        }
    }
    hr_worlds_clear(&w.worlds);
    Py_XDECREF(w.holder);
    Py_XDECREF(w.f);
    Py_XDECREF(path);
    Py_XDECREF(tree);
    Py_XDECREF(name);
    return status;
}
