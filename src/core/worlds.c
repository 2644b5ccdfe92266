/* A piece of a text in two worlds: as the names are, and as they will be.
 *
 * Both worlds are copies of the dicts of a module or class; in the second, the
 * names have what the journal will give them.  A module or class of which
 * attributes will change is there a stand-in with the new ones.  What a
 * variable holds is derived when it is what the first world gives; then it is
 * to hold what the second gives.
 *
 * For derive.c, default.c and member.c, before the commit.
 */
#include "scope.h"

/* What the plan gives to a name of a dict or class; *planned tells whether it
 * is one that it has.  Borrowed or NULL. */
static PyObject *
find_planned(struct hr_plan *p, enum hr_place place, PyObject *owner,
             PyObject *name, int *planned)
{
    long at = hr_worlds_find(p->j, place, owner, name);
    PyObject *o, *key, *value = NULL;
    if (at >= 0) {
        (void)hr_journal_place(p->j, (size_t)at, &o, &key, &value);
        *planned = 1;
    }
    return value;
}

long
hr_worlds_find(struct hr_journal *j, enum hr_place place, PyObject *owner,
               PyObject *name)
{
    for (size_t i = 0; i < hr_journal_count(j); i++) {
        PyObject *o, *key, *value;
        if (hr_journal_place(j, i, &o, &key, &value) == place && o == owner &&
            (key == name || (key != NULL && name != NULL &&
                             PyUnicode_Compare(key, name) == 0))) {
            return (long)i;
        }
    }
    return -1;
}

/* -- Stand-ins ------------------------------------------------------------ */

static int
add_attribute(PyObject *node, void *arg)
{
    if (!hr_syntax_is(node, "Attribute")) {
        return 0;
    }
    return PySet_Add(arg, hr_syntax_get(node, "attr"));
}

static PyObject *
get_attribute(struct hr_plan *p, PyObject *o, PyObject *name, int *planned)
{
    if (PyModule_Check(o)) {
        PyObject *dict = PyModule_GetDict(o);
        PyObject *value = find_planned(p, HR_PLACE_DICT, dict, name, planned);
        return *planned ? value : PyDict_GetItemWithError(dict, name);
    }
    PyObject *mro = ((PyTypeObject *)o)->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *type = PyTuple_GET_ITEM(mro, i);
        PyObject *value = find_planned(p, HR_PLACE_TYPE, type, name, planned);
        if (!*planned) {
            value = PyDict_GetItemWithError(
                hr_compat_type_dict((PyTypeObject *)type), name);
        }
        if (value != NULL) {
            return value;
        }
        *planned = 0;
    }
    return NULL;
}

/* One with the attributes of the set as planned; NULL without an exception
 * when they are as they are.  New reference. */
static PyObject *
make_proxy(struct hr_plan *p, PyObject *o, PyObject *attributes,
           PyObject *proxies, int depth)
{
    if (depth == 0 || (!PyModule_CheckExact(o) && !hr_class_is_open(o))) {
        return NULL;
    }
    PyObject *name, *proxy = NULL, *list = PySequence_List(attributes);
    for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
        int planned = 0;
        name = PyList_GET_ITEM(list, i);
        PyObject *value = get_attribute(p, o, name, &planned);
        PyObject *inner =
            value == NULL || planned
                ? NULL
                : make_proxy(p, value, attributes, proxies, depth - 1);
        if ((planned || inner != NULL) && proxy == NULL) {
            proxy = PyModule_New("<planned>");
            i = -1; /* once more, all of them */
        }
        else if (proxy != NULL && value != NULL &&
                 PyDict_SetItem(PyModule_GetDict(proxy), name,
                                inner != NULL ? inner : value) < 0) {
            Py_CLEAR(proxy);
        }
        Py_XDECREF(inner);
        if (PyErr_Occurred()) {
            Py_CLEAR(proxy);
            break;
        }
    }
    Py_XDECREF(list);
    if (proxy != NULL && PyList_Append(proxies, proxy) < 0) {
        Py_CLEAR(proxy);
    }
    return proxy;
}

static int
add_proxies(struct hr_plan *p, PyObject *ns, PyObject *attributes,
            PyObject *proxies)
{
    PyObject *items = PyDict_Items(ns);
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *proxy =
            make_proxy(p, PyTuple_GET_ITEM(item, 1), attributes, proxies, 4);
        status = proxy != NULL
                     ? PyDict_SetItem(ns, PyTuple_GET_ITEM(item, 0), proxy)
                 : PyErr_Occurred() ? -1
                                    : 0;
        Py_XDECREF(proxy);
    }
    Py_XDECREF(items);
    return status;
}

/* -- Worlds --------------------------------------------------------------- */

/* A copy that statements may run in. */
static PyObject *
copy_dict(PyObject *dict)
{
    PyObject *copy = PyDict_Copy(dict);
    PyObject *notes =
        copy ? PyDict_GetItemString(copy, "__annotations__") : NULL;
    if (notes != NULL && PyDict_Check(notes)) {
        notes = PyDict_Copy(notes);
        if (notes == NULL ||
            PyDict_SetItemString(copy, "__annotations__", notes) < 0) {
            Py_CLEAR(copy);
        }
        Py_XDECREF(notes);
    }
    return copy;
}

/* A copy as the journal will leave it. */
static PyObject *
copy_planned(struct hr_plan *p, enum hr_place place, PyObject *owner,
             PyObject *dict)
{
    PyObject *copy = copy_dict(dict);
    int status = copy == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < hr_journal_count(p->j); i++) {
        PyObject *o, *key, *value;
        if (hr_journal_place(p->j, i, &o, &key, &value) != place ||
            o != owner) {
            continue;
        }
        if (value != NULL) {
            status = PyDict_SetItem(copy, key, value);
        }
        else if (PyDict_GetItemWithError(copy, key) != NULL) {
            status = PyDict_DelItem(copy, key);
        }
    }
    if (status < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

int
hr_worlds_make(struct hr_scope *s, PyObject *tree, struct hr_worlds *w)
{
    struct hr_plan *p = s->u->plan;
    PyObject *attributes = PySet_New(NULL);
    memset(w, 0, sizeof *w);
    w->was.cls = w->is.cls = s->depth > 0 ? s->classes[s->depth - 1] : NULL;
    w->was.lazy = w->is.lazy = s->u->future & CO_FUTURE_ANNOTATIONS;
    w->was.globals = copy_dict(s->u->live);
    w->is.globals = copy_planned(p, HR_PLACE_DICT, s->u->dict, s->u->live);
    w->is.proxies = PyList_New(0);
    if (s->type != NULL) {
        w->was.locals = copy_dict(s->live);
        w->is.locals = copy_planned(p, HR_PLACE_TYPE, s->type, s->live);
    }
    int status = attributes == NULL || w->was.globals == NULL ||
                         w->is.globals == NULL || w->is.proxies == NULL ||
                         (s->type != NULL &&
                          (w->was.locals == NULL || w->is.locals == NULL))
                     ? -1
                     : hr_syntax_walk(tree, add_attribute, attributes);
    if (status == 0 && PySet_GET_SIZE(attributes) > 0) {
        status = add_proxies(p, w->is.globals, attributes, w->is.proxies);
        if (status == 0 && s->type != NULL) {
            status = add_proxies(p, w->is.locals, attributes, w->is.proxies);
        }
    }
    Py_XDECREF(attributes);
    return status;
}

void
hr_worlds_clear(struct hr_worlds *w)
{
    Py_CLEAR(w->was.globals);
    Py_CLEAR(w->was.locals);
    Py_CLEAR(w->is.globals);
    Py_CLEAR(w->is.locals);
    Py_CLEAR(w->is.proxies);
}

/* -- Running -------------------------------------------------------------- */

static PyObject *
run_in(const struct hr_world *w, PyObject *code)
{
    return PyEval_EvalCode(code, w->globals,
                           w->locals ? w->locals : w->globals);
}

int
hr_worlds_expression(struct hr_scope *s, struct hr_worlds *w, PyObject *node,
                     PyObject **was, PyObject **is)
{
    *was = *is = NULL;
    if (!hr_pure_is_expression(&w->was, node) ||
        !hr_pure_is_expression(&w->is, node)) {
        return 0;
    }
    PyObject *code = hr_syntax_compile(s->u, node);
    *was = code ? run_in(&w->was, code) : NULL;
    *is = *was ? run_in(&w->is, code) : NULL;
    Py_XDECREF(code);
    if (*is == NULL) {
        Py_CLEAR(*was);
        return hr_evaluate_forgive(s->u->plan);
    }
    return 1;
}

int
hr_worlds_statements(struct hr_scope *s, struct hr_worlds *w, PyObject *tree,
                     const char *text, const struct hr_block *b,
                     PyObject *targets)
{
    if (!hr_pure_are_statements(&w->was, tree, 0, NULL) ||
        !hr_pure_are_statements(&w->is, tree, 0, targets)) {
        return 0;
    }
    PyObject *code = hr_code_compile(s->u, text + b->start, b->end - b->start,
                                     (int)b->line, s->classes, s->depth);
    PyObject *first = code ? run_in(&w->was, code) : NULL;
    PyObject *second = first ? run_in(&w->is, code) : NULL;
    int status = second != NULL ? 1 : hr_evaluate_forgive(s->u->plan);
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_XDECREF(code);
    return status;
}
