/* Finding what is to be replaced in its owner: a module, a class or an object.
 *
 * It is found by identity, not by its name; of several names the one that a
 * function calls itself is meant.
 *
 * For request.c and replace.c.
 */
#include "core.h"

const char *const hr_owner_wrapped[] = {"__func__", "fget", "fset", "fdel",
                                        NULL};

int
hr_owner_is_method(PyObject *o)
{
    return Py_TYPE(o) == &PyStaticMethod_Type ||
           Py_TYPE(o) == &PyClassMethod_Type;
}

int
hr_owner_is_wrapper(PyObject *o)
{
    return hr_owner_is_method(o) || Py_TYPE(o) == &PyProperty_Type;
}

PyObject *
hr_owner_get_inner(PyObject *o)
{
    if (PyMethod_Check(o)) {
        return Py_NewRef(PyMethod_GET_FUNCTION(o));
    }
    if (hr_owner_is_method(o)) {
        return PyObject_GetAttrString(o, "__func__");
    }
    return Py_NewRef(o);
}

int
hr_owner_is_plain(PyObject *o)
{
    return !PyCallable_Check(o) && Py_TYPE(o)->tp_descr_get == NULL;
}

int
hr_owner_find_in_dict(struct hr_request *r, PyObject *dict, PyObject *wanted)
{
    PyObject *key, *value, *hint = NULL, *hit = NULL;
    Py_ssize_t pos = 0;
    /* Of several names, the one that the function calls itself. */
    if (PyFunction_Check(wanted)) {
        hint = ((PyFunctionObject *)wanted)->func_name;
    }
    while (PyDict_Next(dict, &pos, &key, &value)) {
        if (!PyUnicode_Check(key)) {
            continue;
        }
        PyObject *inner = hr_owner_get_inner(value);
        int same =
            value == wanted || (inner == wanted && !PyMethod_Check(value));
        Py_XDECREF(inner);
        PyErr_Clear();
        if (same && hit != NULL && hr_owner_is_plain(wanted)) {
            PyErr_Format(PyExc_ValueError,
                         "replace: %R is held as %R and as %R; set the "
                         "attribute that you mean",
                         wanted, hit, key);
            return -1;
        }
        if (same && (hit == NULL ||
                     (hint != NULL && PyUnicode_Compare(key, hint) == 0))) {
            hit = key;
            Py_XSETREF(r->raw, Py_NewRef(value));
        }
    }
    if (hit != NULL) {
        Py_XSETREF(r->name, Py_NewRef(hit));
    }
    return hit != NULL;
}

int
hr_owner_find_in_class(struct hr_request *r, PyTypeObject *type,
                       PyObject *wanted)
{
    PyObject *mro = type->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *dict =
            hr_compat_type_dict((PyTypeObject *)PyTuple_GET_ITEM(mro, i));
        int found = dict == NULL ? 0 : hr_owner_find_in_dict(r, dict, wanted);
        if (found != 0) {
            return found < 0 || i == 0 ? found : 2;
        }
    }
    return 0;
}

int
hr_owner_holds_itself(struct hr_request *r, PyObject *before)
{
    if (r->patch == NULL || r->patch->after != before) {
        return 0;
    }
    r->before = Py_NewRef(before);
    int held =
        PyModule_Check(r->owner)
            ? hr_owner_find_in_dict(r, PyModule_GetDict(r->owner), before)
            : hr_owner_find_in_class(r,
                                     PyType_Check(r->owner)
                                         ? (PyTypeObject *)r->owner
                                         : Py_TYPE(r->owner),
                                     before);
    int itself = held > 0 && PyUnicode_Compare(r->name, r->patch->name) != 0;
    Py_CLEAR(r->before);
    Py_CLEAR(r->name);
    Py_CLEAR(r->raw);
    PyErr_Clear();
    return itself;
}

int
hr_owner_inherits(struct hr_request *r, PyObject *owner, hr_patch *p)
{
    if (p->by_owner || owner == p->owner || !PyType_Check(owner)) {
        return 0;
    }
    r->before = Py_NewRef(p->before);
    PyObject *inner = hr_owner_get_inner(p->before);
    int found = inner == NULL
                    ? -1
                    : hr_owner_find_in_class(r, (PyTypeObject *)owner, inner);
    Py_XDECREF(inner);
    Py_CLEAR(r->before);
    Py_CLEAR(r->name);
    Py_CLEAR(r->raw);
    PyErr_Clear();
    return found == 2;
}

int
hr_owner_fail(struct hr_request *r)
{
    PyObject *module = PyObject_GetAttrString(r->before, "__module__");
    PyErr_Clear();
    if (module != NULL && PyUnicode_Check(module)) {
        PyErr_Format(PyExc_ValueError,
                     "replace: %R does not hold %R, which is defined in "
                     "module %R; pass the module, class or object that has "
                     "it as an attribute",
                     r->owner, r->before, module);
    }
    else {
        PyErr_Format(PyExc_ValueError,
                     "replace: %R does not hold %R; pass the module, class "
                     "or object that has it as an attribute",
                     r->owner, r->before);
    }
    Py_XDECREF(module);
    return -1;
}

/* Is `before` among what the owner, of whatever kind, has? */
static int
find_in_owner(struct hr_request *r, PyObject *owner, PyObject *wanted)
{
    PyObject *inner = hr_owner_get_inner(wanted);
    int found = inner == NULL ? -1 : 0;
    if (found == 0 && PyModule_Check(owner)) {
        found = hr_owner_find_in_dict(r, PyModule_GetDict(owner), wanted);
    }
    else if (found == 0) {
        PyTypeObject *type =
            PyType_Check(owner) ? (PyTypeObject *)owner : Py_TYPE(owner);
        PyObject *dict =
            PyType_Check(owner) ? NULL : hr_compat_instance_dict(owner);
        PyErr_Clear();
        found = dict != NULL ? hr_owner_find_in_dict(r, dict, wanted) : 0;
        Py_XDECREF(dict);
        if (found == 0) {
            found = hr_owner_find_in_class(r, type, inner);
        }
    }
    Py_XDECREF(inner);
    return found;
}

int
hr_owner_check(struct hr_request *r, PyObject *owner)
{
    int found = find_in_owner(r, owner, r->before);
    for (int i = 0; found == 0 && i < 2; i++) {
        found = find_in_owner(r, owner, i == 0 ? r->asked : r->patch->after);
    }
    if (found == 0) {
        PyObject *meant = r->owner;
        r->owner = owner;
        (void)hr_owner_fail(r);
        r->owner = meant;
    }
    if (found > 0 && PyModule_Check(owner)) {
        r->second = owner;
        r->second_name = Py_NewRef(r->name);
    }
    Py_CLEAR(r->name);
    Py_CLEAR(r->raw);
    return found > 0 ? 0 : -1;
}
