/* The program's hooks: __hot_reload_before__, __hot_reload_migrate__ and
 * __hot_reload_after__, in modules and in classes.
 *
 * Those that run before the commit can refuse it by raising.  Those that run
 * after it cannot, and what they raise is logged.  Called by plan.c and
 * finish.c; they run the program's code.
 */
#include "code.h"

static int
call_hook(PyObject *dict, const char *name, PyObject *argument)
{
    PyObject *hook = PyDict_GetItemString(dict, name);
    if (hook == NULL) {
        return 0;
    }
    PyObject *callable = Py_NewRef(hook);
    if (Py_TYPE(hook) == &PyStaticMethod_Type ||
        Py_TYPE(hook) == &PyClassMethod_Type) {
        Py_SETREF(callable, PyObject_GetAttrString(hook, "__func__"));
    }
    PyObject *result =
        callable ? PyObject_CallFunctionObjArgs(callable, argument, NULL)
                 : NULL;
    Py_XDECREF(callable);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* A class's hook is called with the revision, bound to the class when it is a
 * class method. */
static int
call_class_hook(PyObject *type, const char *name, PyObject *revision)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
    if (PyDict_GetItemString(dict, name) == NULL) {
        return 0;
    }
    PyObject *result = PyObject_CallMethod(type, name, "O", revision);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* 0, or -1 with the exception of a hook when `stops`; else they are logged. */
int
hr_hook_call(struct hr_plan *p, const char *name, int stops)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (call_hook(p->units[i].dict, name, p->revision) < 0) {
            if (stops) {
                return -1;
            }
            hr_log_exception(p->st, "%s of %U failed", name, p->units[i].name);
        }
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->classes); i++) {
        PyObject *type = PyList_GET_ITEM(p->classes, i);
        if (call_class_hook(type, name, p->revision) < 0) {
            if (stops) {
                return -1;
            }
            hr_log_exception(p->st, "%s of %R failed", name, type);
        }
    }
    return 0;
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
        all = hr_heap_find(is_wanted, &s, 1);
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
