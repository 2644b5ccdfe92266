/* The program's hooks: __hot_reload_before__, __hot_reload_migrate__ and
 * __hot_reload_after__, in modules and in classes.
 *
 * Those that run before the commit can refuse it by raising.  Those that run
 * after it cannot, and what they raise is logged.  Called by plan.c and
 * finish.c; they run the program's code.
 */
#include "code.h"

/* A hook: in a module, or in a class, where it is a class or static method. */
struct hook {
    PyObject *type; /* borrowed: the class, or NULL */
    PyObject *dict; /* borrowed: where its name is looked up */
    PyObject *name; /* owned */
};

/* Call a hook by what its name holds. */
static int
call_value(struct hook *h, PyObject *value, PyObject *revision)
{
    PyObject *callable = Py_NewRef(value), *result = NULL;
    int is_bound = h->type != NULL && Py_TYPE(value) == &PyClassMethod_Type;
    if (is_bound || Py_TYPE(value) == &PyStaticMethod_Type) {
        Py_SETREF(callable, PyObject_GetAttrString(value, "__func__"));
    }
    if (callable != NULL) {
        result = is_bound
                     ? PyObject_CallFunctionObjArgs(callable, h->type,
                                                    revision, NULL)
                     : PyObject_CallFunctionObjArgs(callable, revision, NULL);
    }
    Py_XDECREF(callable);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* What the name will hold after the commit, as something to call.  1 with
 * *value (owned; NULL: nothing) when the save changes the hook. */
static int
find_changed(struct hr_plan *p, struct hook *h, PyObject *live,
             PyObject **value)
{
    PyObject *planned = live, *inner = NULL, *body = NULL;
    int changed = 0;
    *value = NULL;
    hr_place_peek(p->j, h->type ? HR_PLACE_TYPE : HR_PLACE_DICT,
                  h->type ? h->type : h->dict, h->name, &planned);
    if (planned != live) {
        *value = Py_XNewRef(planned);
        return 1;
    }
    /* A definition's function may be the same, with another body. */
    inner = hr_owner_get_inner(live);
    if (inner != NULL &&
        hr_place_peek(p->j, HR_PLACE_FUNCTION, inner, NULL, &body)) {
        *value = inner == live ? Py_NewRef(body)
                               : PyObject_CallFunctionObjArgs(
                                     (PyObject *)Py_TYPE(live), body, NULL);
        changed = *value != NULL;
    }
    Py_XDECREF(inner);
    return changed;
}

/* A hook that fails refuses the save; but not the one that changes the hook,
 * or nobody could mend it: then it is the new one that counts. */
static int
ask_again(struct hr_plan *p, struct hook *h, PyObject *live, PyObject *where)
{
    PyObject *type, *error, *traceback, *value = NULL;
    PyErr_Fetch(&type, &error, &traceback);
    int changed = find_changed(p, h, live, &value), status = -1;
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
    if (changed && hr_evaluate_forgive(p) == 0) {
        hr_log(p->st, HR_SAY_WARNING,
               "%U of %S failed, but this save changes it", h->name, where);
        status = value != NULL ? call_value(h, value, p->revision) : 0;
    }
    Py_XDECREF(value);
    return status;
}

static int
call_hook(struct hr_plan *p, struct hook *h, PyObject *where, int stops)
{
    PyObject *live = PyDict_GetItemWithError(h->dict, h->name);
    if (live == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(live);
    int status;
    if (h->type != NULL) {
        PyObject *result =
            PyObject_CallMethodObjArgs(h->type, h->name, p->revision, NULL);
        status = result == NULL ? -1 : 0;
        Py_XDECREF(result);
    }
    else {
        status = call_value(h, live, p->revision);
    }
    if (status < 0 && !stops) {
        hr_log_exception(p->st, "%U of %S failed", h->name, where);
        status = 0;
    }
    else if (status < 0 && (status = ask_again(p, h, live, where)) < 0) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        Py_XSETREF(p->hook, PyUnicode_FromFormat("%U of %S", h->name, where));
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    Py_DECREF(live);
    return status;
}

int
hr_hook_call(struct hr_plan *p, const char *name, int stops)
{
    struct hook h = {.name = PyUnicode_InternFromString(name)};
    int status = h.name == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
        h.dict = p->units[i].dict;
        status = call_hook(p, &h, p->units[i].name, stops);
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(p->classes);
         i++) {
        h.type = PyList_GET_ITEM(p->classes, i);
        h.dict = hr_compat_type_dict((PyTypeObject *)h.type);
        status = call_hook(p, &h, h.type, stops);
    }
    Py_XDECREF(h.name);
    return status;
}

/* Does the commit change what the instances of a class are? */
static int
is_migrated(struct hr_plan *p, PyTypeObject *type, PyObject *name)
{
    int changed = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->classes) && !changed; i++) {
        PyObject *o = PyList_GET_ITEM(p->classes, i);
        changed = PyType_IsSubtype(type, (PyTypeObject *)o);
    }
    return changed && _PyType_Lookup(type, name) != NULL;
}

/* Instances stand together, so that the last answer is often the next. */
struct search {
    struct hr_plan *p;
    PyObject *name;
    PyTypeObject *last;
    int wanted;
};

static int
is_wanted(PyObject *o, void *arg)
{
    struct search *s = arg;
    if (Py_TYPE(o) != s->last) {
        s->last = Py_TYPE(o);
        s->wanted = is_migrated(s->p, s->last, s->name);
    }
    return s->wanted;
}

/* Each instance once, by the hook that its own class has or inherits. */
void
hr_hook_migrate(struct hr_plan *p)
{
    PyObject *name = PyUnicode_InternFromString("__hot_reload_migrate__");
    struct search s = {.p = p, .name = name};
    PyObject *all = NULL;
    int wanted = 0;
    for (Py_ssize_t i = 0; name && i < PyList_GET_SIZE(p->classes); i++) {
        wanted |=
            _PyType_Lookup((PyTypeObject *)PyList_GET_ITEM(p->classes, i),
                           name) != NULL;
    }
    if (wanted) {
        all = hr_heap_find(p->st, is_wanted, &s, 1);
    }
    for (Py_ssize_t i = 0; all != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        PyObject *hook = PyObject_GetAttr((PyObject *)Py_TYPE(o), name);
        PyObject *result =
            hook ? PyObject_CallFunctionObjArgs(hook, o, NULL) : NULL;
        Py_XDECREF(hook);
        if (result == NULL) {
            hr_log_exception(p->st, "__hot_reload_migrate__ of %R failed",
                             Py_TYPE(o));
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(all);
    Py_XDECREF(name);
    PyErr_Clear();
}
