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
find_planned(struct hr_plan *p, PyObject *owner, PyObject *name, int *planned)
{
    long at = hr_worlds_find(p, owner, name);
    PyObject *o, *key, *value = NULL;
    if (at >= 0) {
        (void)hr_journal_place(p->j, (size_t)at, &o, &key, &value);
        *planned = 1;
    }
    return value;
}

/* Swaps that have been added since are entered, too. */
static int
enter_places(struct hr_plan *p)
{
    if (p->places == NULL && (p->places = PyDict_New()) == NULL) {
        return -1;
    }
    for (; p->placed < hr_journal_count(p->j); p->placed++) {
        PyObject *owner, *key, *value;
        enum hr_place place =
            hr_journal_place(p->j, p->placed, &owner, &key, &value);
        if (place != HR_PLACE_DICT && place != HR_PLACE_TYPE) {
            continue;
        }
        PyObject *id = PyLong_FromVoidPtr(owner);
        PyObject *keys = id ? PyDict_SetDefault(p->places, id, Py_None) : NULL;
        if (keys == Py_None) {
            keys = PyDict_New();
            if (keys != NULL && PyDict_SetItem(p->places, id, keys) < 0) {
                Py_DECREF(keys);
                keys = NULL;
            }
            Py_XDECREF(keys); /* the dict holds it */
        }
        PyObject *index = PyLong_FromSize_t(p->placed);
        int status = keys == NULL || index == NULL
                         ? -1
                         : PyDict_SetItem(keys, key, index);
        Py_XDECREF(index);
        Py_XDECREF(id);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

long
hr_worlds_find(struct hr_plan *p, PyObject *owner, PyObject *name)
{
    long found = -1;
    PyObject *id = PyLong_FromVoidPtr(owner);
    if (id != NULL && enter_places(p) == 0) {
        PyObject *keys = PyDict_GetItemWithError(p->places, id);
        PyObject *index = keys ? PyDict_GetItemWithError(keys, name) : NULL;
        found = index != NULL ? PyLong_AsLong(index) : -1;
    }
    Py_XDECREF(id);
    return found;
}

/* -- Stand-ins ------------------------------------------------------------ */

/* Attributes that a tree reads, and the names that it reads them of. */
struct reads {
    PyObject *attributes, *bases; /* owned: sets */
};

static int
add_read(PyObject *node, void *arg)
{
    struct reads *r = arg;
    if (!hr_syntax_is(node, "Attribute")) {
        return 0;
    }
    PyObject *base = hr_syntax_get(node, "value");
    if (hr_syntax_is(base, "Name") &&
        PySet_Add(r->bases, hr_syntax_get(base, "id")) < 0) {
        return -1;
    }
    return PySet_Add(r->attributes, hr_syntax_get(node, "attr"));
}

static PyObject *
get_attribute(struct hr_plan *p, PyObject *o, PyObject *name, int *planned)
{
    if (PyModule_Check(o)) {
        PyObject *dict = PyModule_GetDict(o);
        PyObject *value = find_planned(p, dict, name, planned);
        return *planned ? value : PyDict_GetItemWithError(dict, name);
    }
    PyObject *mro = ((PyTypeObject *)o)->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *type = PyTuple_GET_ITEM(mro, i);
        PyObject *value = find_planned(p, type, name, planned);
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
    PyObject *donor = hr_donor_of(p, o);
    if (donor != NULL) {
        return Py_NewRef(donor);
    }
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
add_proxies(struct hr_plan *p, PyObject *ns, struct reads *r,
            PyObject *proxies)
{
    PyObject *names = PySequence_List(r->bases);
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(ns, name);
        PyObject *proxy =
            value ? make_proxy(p, value, r->attributes, proxies, 4) : NULL;
        status = proxy != NULL      ? PyDict_SetItem(ns, name, proxy)
                 : PyErr_Occurred() ? -1
                                    : 0;
        Py_XDECREF(proxy);
    }
    Py_XDECREF(names);
    return status;
}

/* -- Worlds --------------------------------------------------------------- */

PyObject *
hr_worlds_copy(PyObject *dict)
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
copy_planned(struct hr_plan *p, PyObject *owner, PyObject *dict)
{
    PyObject *copy = hr_worlds_copy(dict);
    PyObject *id = PyLong_FromVoidPtr(owner), *key, *index;
    int status = copy == NULL || id == NULL ? -1 : enter_places(p);
    PyObject *keys =
        status == 0 ? PyDict_GetItemWithError(p->places, id) : NULL;
    Py_ssize_t pos = 0;
    while (keys != NULL && status == 0 &&
           PyDict_Next(keys, &pos, &key, &index)) {
        PyObject *o, *k, *value;
        (void)hr_journal_place(p->j, PyLong_AsSize_t(index), &o, &k, &value);
        if (value != NULL) {
            status = PyDict_SetItem(copy, key, value);
        }
        else if (PyDict_GetItemWithError(copy, key) != NULL) {
            status = PyDict_DelItem(copy, key);
        }
    }
    Py_XDECREF(id);
    if (status < 0) {
        Py_CLEAR(copy);
    }
    return copy;
}

int
hr_worlds_make(struct hr_scope *s, PyObject *tree, struct hr_worlds *w)
{
    struct hr_plan *p = s->u->plan;
    struct reads r = {PySet_New(NULL), PySet_New(NULL)};
    memset(w, 0, sizeof *w);
    w->was.cls = w->is.cls = s->depth > 0 ? s->classes[s->depth - 1] : NULL;
    w->was.lazy = w->is.lazy = s->u->future & CO_FUTURE_ANNOTATIONS;
    w->was.globals = hr_worlds_copy(s->u->live);
    w->is.globals = copy_planned(p, s->u->dict, s->u->live);
    w->is.proxies = PyList_New(0);
    if (s->type != NULL) {
        w->was.locals = hr_worlds_copy(s->live);
        w->is.locals = copy_planned(p, s->type, s->live);
    }
    int status = r.attributes == NULL || r.bases == NULL ||
                         w->was.globals == NULL || w->is.globals == NULL ||
                         w->is.proxies == NULL ||
                         (s->type != NULL &&
                          (w->was.locals == NULL || w->is.locals == NULL))
                     ? -1
                     : hr_syntax_walk(tree, add_read, &r);
    if (status == 0) {
        status = hr_donor_enter(p, w->is.globals);
    }
    if (status == 0) {
        status = add_proxies(p, w->is.globals, &r, w->is.proxies);
    }
    if (status == 0 && s->type != NULL) {
        status = add_proxies(p, w->is.locals, &r, w->is.proxies);
    }
    Py_XDECREF(r.attributes);
    Py_XDECREF(r.bases);
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
    return hr_donor_give_back(s->u->plan, is) < 0 ? -1 : 1;
}

int
hr_worlds_statements(struct hr_scope *s, struct hr_worlds *w, PyObject *tree,
                     const char *text, const struct hr_block *b,
                     PyObject *targets)
{
    if (!hr_pure_are_statements(&w->was, tree, HR_PURE_REPEATS, NULL) ||
        !hr_pure_are_statements(&w->is, tree, HR_PURE_REPEATS, targets)) {
        return 0;
    }
    PyObject *code = hr_code_compile(s->u, text + b->start, b->end - b->start,
                                     (int)b->line, s->classes, s->depth);
    PyObject *first = code ? run_in(&w->was, code) : NULL;
    PyObject *second = first ? run_in(&w->is, code) : NULL;
    int status = second != NULL ? 1 : hr_evaluate_forgive(s->u->plan);
    PyObject *is = w->is.locals ? w->is.locals : w->is.globals;
    for (Py_ssize_t i = 0; status == 1 && s->u->plan->enums != NULL &&
                           i < PyList_GET_SIZE(targets);
         i++) {
        PyObject *name = PyList_GET_ITEM(targets, i);
        PyObject *value = Py_XNewRef(PyDict_GetItemWithError(is, name));
        if (value != NULL && (hr_donor_give_back(s->u->plan, &value) < 0 ||
                              PyDict_SetItem(is, name, value) < 0)) {
            status = -1;
        }
        Py_XDECREF(value);
    }
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_XDECREF(code);
    return status;
}
