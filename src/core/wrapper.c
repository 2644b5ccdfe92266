/* What wraps the function of a definition: caches, copies of its doc and
 * annotations, and wrappers that the definition itself does not make any more.
 *
 * A wrapper holds the function and goes on doing so when the function's body
 * is exchanged, so most need nothing.  But caches have results of the old
 * body, functools.wraps() has copied texts, and a wrapper of which the
 * definition has other decorators now is held by whoever got it: what it wraps
 * passes its calls on to the new function, so that later edits reach it, too.
 *
 * For define.c and default.c.
 */
#include "scope.h"

#define MAX_OUTDATED 256 /* caches of old wrappers that are remembered */

/* -- Caches --------------------------------------------------------------- */

static int
clear_after(struct hr_plan *p, PyObject *cache)
{
    PyObject *clear = PyObject_GetAttrString(cache, "cache_clear");
    PyObject *weak = NULL;
    int status = 0;
    PyErr_Clear();
    if (clear != NULL && PyCallable_Check(clear)) {
        /* Not to be kept alive for the sake of it. */
        weak = PyWeakref_NewRef(cache, NULL);
        PyErr_Clear();
        status = PyList_Append(p->caches, weak != NULL ? weak : clear);
    }
    Py_XDECREF(weak);
    Py_XDECREF(clear);
    return status;
}

int
hr_wrapper_clear_caches(struct hr_plan *p, PyObject *path)
{
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(path); i++) {
        PyObject *wrapper = PyList_GET_ITEM(path, i);
        status = PyType_Check(wrapper) ? 0 : clear_after(p, wrapper);
    }
    return status;
}

/* Does the weak reference lead to it (NULL: to anything)? */
static int
leads_to(PyObject *reference, PyObject *o)
{
    PyObject *found = hr_compat_weakref_get(reference);
    int does = o != NULL ? found == o : found != NULL;
    Py_XDECREF(found);
    return does;
}

int
hr_wrapper_clear_outdated(struct hr_plan *p, PyObject *function)
{
    PyObject *list = p->st->outdated;
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *entry = PyList_GET_ITEM(list, i);
        if (!leads_to(PyTuple_GET_ITEM(entry, 0), function)) {
            continue;
        }
        PyObject *cache = hr_compat_weakref_get(PyTuple_GET_ITEM(entry, 1));
        status = cache == NULL ? 0 : clear_after(p, cache);
        Py_XDECREF(cache);
    }
    return status;
}

static int
note_outdated(struct hr_plan *p, PyObject *function, PyObject *cache)
{
    PyObject *list = p->st->outdated;
    PyObject *a = PyWeakref_NewRef(function, NULL);
    PyObject *b = a ? PyWeakref_NewRef(cache, NULL) : NULL;
    PyObject *entry = b ? PyTuple_Pack(2, a, b) : NULL;
    int status = entry == NULL ? -1 : PyList_Append(list, entry);
    if (status < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* nobody can refer to it weakly */
        status = 0;
    }
    Py_XDECREF(entry);
    Py_XDECREF(b);
    Py_XDECREF(a);
    return status;
}

/* The entries whose wrappers are alive, the newest ones. */
static int
sweep_outdated(struct hr_plan *p)
{
    PyObject *list = p->st->outdated;
    for (Py_ssize_t i = PyList_GET_SIZE(list); i-- > 0;) {
        PyObject *entry = PyList_GET_ITEM(list, i);
        if ((!leads_to(PyTuple_GET_ITEM(entry, 0), NULL) ||
             !leads_to(PyTuple_GET_ITEM(entry, 1), NULL)) &&
            PyList_SetSlice(list, i, i + 1, NULL) < 0) {
            return -1;
        }
    }
    Py_ssize_t more = PyList_GET_SIZE(list) - MAX_OUTDATED;
    return more > 0 ? PyList_SetSlice(list, 0, more, NULL) : 0;
}

int
hr_wrapper_hand_on(struct hr_plan *p, PyObject *path, PyObject *old,
                   PyObject *new)
{
    PyObject *list = p->st->outdated;
    Py_ssize_t count = PyList_GET_SIZE(list);
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        PyObject *entry = PyList_GET_ITEM(list, i);
        PyObject *cache = hr_compat_weakref_get(PyTuple_GET_ITEM(entry, 1));
        if (cache != NULL && leads_to(PyTuple_GET_ITEM(entry, 0), old)) {
            status = note_outdated(p, new, cache);
        }
        Py_XDECREF(cache);
    }
    Py_ssize_t n = path != NULL ? PyList_GET_SIZE(path) : 0;
    for (Py_ssize_t i = 0; status == 0 && i < n; i++) {
        PyObject *o = PyList_GET_ITEM(path, i);
        status = PyObject_HasAttrString(o, "cache_clear")
                     ? note_outdated(p, new, o)
                     : 0;
    }
    return status < 0 ? -1 : sweep_outdated(p);
}

/* -- Old wrappers --------------------------------------------------------- */

/* What a class puts before the arguments of a member. */
enum binding { BINDS_OBJECT, BINDS_CLASS, BINDS_NOTHING, BINDS_UNKNOWN };

static enum binding
get_binding(PyObject *value)
{
    PyTypeObject *t = Py_TYPE(value);
    return t == &PyFunction_Type       ? BINDS_OBJECT
           : t == &PyClassMethod_Type  ? BINDS_CLASS
           : t == &PyStaticMethod_Type ? BINDS_NOTHING
                                       : BINDS_UNKNOWN;
}

int
hr_wrapper_stand_in(struct hr_scope *s, PyObject *was, PyObject *is,
                    PyObject *function, PyObject **holder)
{
    struct hr_state *st = s->u->plan->st;
    enum binding old = get_binding(was), new = get_binding(is);
    *holder = NULL;
    if (s->type == NULL || old == new || old == BINDS_UNKNOWN ||
        new == BINDS_UNKNOWN) {
        *holder = hr_trampoline_new(st, function);
    }
    else if (new == BINDS_OBJECT) {
        return 0; /* nobody knows which */
    }
    else {
        PyObject *target = new == BINDS_CLASS ? PyMethod_New(function, s->type)
                                              : Py_NewRef(function);
        if (target != NULL) {
            *holder = old == BINDS_NOTHING
                          ? hr_trampoline_new(st, target)
                          : hr_trampoline_without_self(st, target);
        }
        Py_XDECREF(target);
    }
    return *holder == NULL ? -1 : 0;
}

int
hr_wrapper_pass_on(struct hr_scope *s, PyObject *path, PyObject *value,
                   PyObject *old, PyObject *is, PyObject *new)
{
    struct hr_plan *p = s->u->plan;
    PyObject *holder;
    int status = hr_wrapper_stand_in(s, value, is, new, &holder);
    if (holder == NULL) {
        return status;
    }
    status = hr_plan_function(p, p->j, old, holder);
    if (status == 0) {
        status = hr_wrapper_clear_caches(p, path);
    }
    if (status == 0) {
        status = hr_wrapper_clear_outdated(p, old);
    }
    if (status == 0) {
        status = hr_wrapper_hand_on(p, path, old, new);
    }
    Py_XDECREF(holder);
    return status;
}

/* -- Copies --------------------------------------------------------------- */

/* What functools.wraps() copies and an edit changes. */
struct copies {
    PyObject *was[2], *is[2];
    PyObject *inner; /* borrowed: whose copies the next wrapper has */
};
static const char *const copied[2] = {"__doc__", "__annotations__"};

static int
is_copy(PyObject *value, PyObject *was, PyObject *is, int wraps)
{
    if (value == NULL || was == NULL || is == NULL || was == is) {
        return 0;
    }
    if (value == was) {
        return value != Py_None || wraps;
    }
    int same = Py_TYPE(value) == Py_TYPE(was) && PyObject_IsTrue(value) == 1 &&
               PyObject_RichCompareBool(value, was, Py_EQ) == 1;
    PyErr_Clear();
    return same;
}

/* Has functools.wraps() made the wrapper a copy?  By its dict (or NULL). */
static int
is_wrapper_of(PyObject *wrapper, PyObject *dict, struct copies *c)
{
    int is =
        dict != NULL && PyDict_GetItemString(dict, "__wrapped__") == c->inner;
    c->inner = is ? wrapper : c->inner;
    return is;
}

static int
follow_in_function(struct hr_plan *p, PyObject *wrapper, struct copies *c)
{
    PyFunctionObject *f = HR_AS_FUNCTION(hr_plan_body(p, wrapper));
    PyObject *dict = f->func_dict, *holder = NULL;
    int wraps = is_wrapper_of(wrapper, dict, c);
    if (hr_place_has(p->j, HR_PLACE_FUNCTION, wrapper)) {
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        PyObject *value = i == 0 ? f->func_doc : f->func_annotations;
        if (!is_copy(value, c->was[i], c->is[i], wraps)) {
            continue;
        }
        if (holder == NULL) {
            holder = hr_function_clone((PyObject *)f, NULL, NULL);
            if (holder == NULL) {
                return -1;
            }
            hr_function_share_dict(holder, (PyObject *)f);
        }
        PyFunctionObject *h = HR_AS_FUNCTION(holder);
        PyObject **field = i == 0 ? &h->func_doc : &h->func_annotations;
        Py_XSETREF(*field, Py_NewRef(c->is[i]));
    }
    int status = holder ? hr_plan_function(p, p->j, wrapper, holder) : 0;
    Py_XDECREF(holder);
    return status;
}

static int
follow_in_object(struct hr_plan *p, PyObject *wrapper, struct copies *c)
{
    PyObject *dict = hr_compat_instance_dict(wrapper);
    int status = 0;
    if (dict == NULL) {
        PyErr_Clear(); /* it has no room for copies */
        return 0;
    }
    int wraps = is_wrapper_of(wrapper, dict, c);
    for (int i = 0; status == 0 && i < 2; i++) {
        PyObject *key = PyUnicode_InternFromString(copied[i]);
        PyObject *value = key ? PyDict_GetItemWithError(dict, key) : NULL;
        if (key == NULL) {
            status = -1;
        }
        else if (is_copy(value, c->was[i], c->is[i], wraps)) {
            status = hr_journal_add(p->j, HR_PLACE_DICT, dict, key, c->is[i]);
        }
        Py_XDECREF(key);
    }
    Py_DECREF(dict);
    return status;
}

static PyObject *
get_signature(PyObject *function)
{
    PyObject *inspect = PyImport_ImportModule("inspect");
    PyObject *signature =
        inspect ? PyObject_CallMethod(inspect, "signature", "O", function)
                : NULL;
    Py_XDECREF(inspect);
    return signature;
}

/* `wrapper.__signature__ = inspect.signature(function)` */
static int
follow_signature(struct hr_plan *p, PyObject *wrapper, PyObject *old,
                 PyObject *new)
{
    PyObject *key = PyUnicode_InternFromString("__signature__");
    PyObject *dict = PyFunction_Check(wrapper)
                         ? Py_XNewRef(HR_AS_FUNCTION(wrapper)->func_dict)
                         : hr_compat_instance_dict(wrapper);
    PyObject *copy = key && dict ? PyDict_GetItemWithError(dict, key) : NULL;
    PyObject *was = copy ? get_signature(old) : NULL;
    PyObject *is = was ? get_signature(new) : NULL;
    int status = 0;
    if (is != NULL && PyObject_RichCompareBool(copy, was, Py_EQ) == 1 &&
        PyObject_RichCompareBool(is, was, Py_EQ) == 0) {
        status = hr_journal_add(p->j, HR_PLACE_DICT, dict, key, is);
    }
    Py_XDECREF(is);
    Py_XDECREF(was);
    Py_XDECREF(dict);
    Py_XDECREF(key);
    if (status == 0) {
        PyErr_Clear(); /* it has none, or nobody can tell */
    }
    return status;
}

int
hr_wrapper_follow(struct hr_plan *p, PyObject *path, PyObject *function,
                  PyObject *old, PyObject *new)
{
    PyFunctionObject *f = HR_AS_FUNCTION(old), *g = HR_AS_FUNCTION(new);
    struct copies c = {
        {f->func_doc, f->func_annotations}, {g->func_doc, NULL}, function};
    int status = 0;
    if (PyList_GET_SIZE(path) == 0) {
        return 0;
    }
    c.is[1] = PyObject_GetAttrString(new, "__annotations__");
    if (c.is[1] == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(path); i++) {
        PyObject *wrapper = PyList_GET_ITEM(path, i);
        status = PyFunction_Check(wrapper) ? follow_in_function(p, wrapper, &c)
                                           : follow_in_object(p, wrapper, &c);
        if (status == 0) {
            status = follow_signature(p, wrapper, old, new);
        }
    }
    Py_DECREF(c.is[1]);
    return status;
}

/* A property has a copy of its getter's doc. */
int
hr_wrapper_follow_property(struct hr_scope *s, PyObject *name,
                           PyObject *property, PyFunctionObject *old,
                           PyFunctionObject *new)
{
    PyObject *doc = PyObject_GetAttrString(property, "__doc__");
    PyObject *made = NULL;
    int status = 0;
    if (doc == NULL ||
        PyObject_RichCompareBool(doc, old->func_doc, Py_EQ) != 1 ||
        PyObject_RichCompareBool(doc, new->func_doc, Py_EQ) != 0) {
        goto done;
    }
    PyObject *get = PyObject_GetAttrString(property, "fget");
    PyObject *set = PyObject_GetAttrString(property, "fset");
    PyObject *del = PyObject_GetAttrString(property, "fdel");
    if (get != NULL && set != NULL && del != NULL) {
        /* Without a doc it would take that which the getter still has. */
        PyObject *text = PyUnicode_FromString("");
        made = text == NULL
                   ? NULL
                   : PyObject_CallFunctionObjArgs((PyObject *)&PyProperty_Type,
                                                  get, set, del, text, NULL);
        Py_XDECREF(text);
        if (made != NULL &&
            PyObject_SetAttrString(made, "__doc__", new->func_doc) < 0) {
            Py_CLEAR(made);
        }
    }
    Py_XDECREF(get);
    Py_XDECREF(set);
    Py_XDECREF(del);
    status = made == NULL ? -1 : PyDict_SetItem(s->ns, name, made);
done:
    Py_XDECREF(made);
    Py_XDECREF(doc);
    if (status == 0) {
        PyErr_Clear();
    }
    return status;
}
