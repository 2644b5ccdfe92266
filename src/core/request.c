/* What a call of replace() asks for: which object is meant, what can be done
 * with it, and the plan for it.
 *
 *     before              after          how
 *     Python function     any callable   exchange of bodies
 *     class (of Python)   class          exchange in place
 *     method of a class   callable       as a function; else the attribute
 *     method of an object callable       the object's own attribute
 *     anything else       any            rebound wherever the program holds it
 *
 * Every plan is a journal.  Nothing is changed here but the request.
 *
 * For replace.c.
 */
#include "core.h"

/* -- Finding `before` in its owner ---------------------------------------- */

/* The function behind a static or class method or a bound method, or the
 * object itself.  New reference. */
static PyObject *
get_inner(PyObject *o)
{
    if (PyMethod_Check(o)) {
        return Py_NewRef(PyMethod_GET_FUNCTION(o));
    }
    if (Py_TYPE(o) == &PyStaticMethod_Type ||
        Py_TYPE(o) == &PyClassMethod_Type) {
        return PyObject_GetAttrString(o, "__func__");
    }
    return Py_NewRef(o);
}

/* Look for `wanted` among a dict's values: 1 when found. */
static int
find_in_dict(struct hr_request *r, PyObject *dict, PyObject *wanted)
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
        PyObject *inner = get_inner(value);
        int same =
            value == wanted || (inner == wanted && !PyMethod_Check(value));
        Py_XDECREF(inner);
        PyErr_Clear();
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

/* A class: its own dict, then those of its bases (2: inherited). */
static int
find_in_class(struct hr_request *r, PyTypeObject *type, PyObject *wanted)
{
    PyObject *mro = type->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *dict =
            hr_compat_type_dict((PyTypeObject *)PyTuple_GET_ITEM(mro, i));
        if (dict != NULL && find_in_dict(r, dict, wanted)) {
            return i == 0 ? 1 : 2;
        }
    }
    return 0;
}

int
hr_request_is_held_itself(struct hr_request *r, PyObject *before)
{
    if (r->patch == NULL || r->patch->after != before) {
        return 0;
    }
    r->before = Py_NewRef(before);
    int held =
        PyModule_Check(r->owner)
            ? find_in_dict(r, PyModule_GetDict(r->owner), before)
            : find_in_class(r,
                            PyType_Check(r->owner) ? (PyTypeObject *)r->owner
                                                   : Py_TYPE(r->owner),
                            before);
    int itself = held && PyUnicode_Compare(r->name, r->patch->name) != 0;
    Py_CLEAR(r->before);
    Py_CLEAR(r->name);
    Py_CLEAR(r->raw);
    return itself;
}

static int
fail_not_held(struct hr_request *r)
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

/* -- Plans, by how it is done --------------------------------------------- */

/* A function whose body may be taken: a clone, or a trampoline. */
static PyObject *
make_holder(struct hr_request *r)
{
    return PyFunction_Check(r->after) ? hr_function_clone(r->after, NULL, NULL)
                                      : hr_trampoline_new(r->st, r->after);
}

static int
plan_function(struct hr_request *r, struct hr_journal *j, PyObject **original)
{
    PyObject *holder = make_holder(r);
    if (holder == NULL) {
        return -1;
    }
    int status = hr_journal_add(j, HR_PLACE_FUNCTION, r->before, NULL, holder);
    Py_DECREF(holder);
    if (status == 0 && *original == NULL) {
        *original = hr_function_clone(r->before, NULL, NULL);
        status = *original == NULL ? -1 : 0;
    }
    return status;
}

static int
plan_class(struct hr_request *r, struct hr_journal *j, PyObject **original)
{
    if (*original == NULL) {
        *original = hr_class_clone(r->st, r->before);
    }
    return *original == NULL ? -1
                             : hr_class_plan(r->st, j, r->before, r->after,
                                             *original, r->layer);
}

/* An attribute of a class that is not a function of its own. */
static int
plan_class_attribute(struct hr_request *r, struct hr_journal *j,
                     PyObject **original)
{
    PyObject *value = Py_NewRef(r->after);
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)r->owner);
    PyObject *old = PyDict_GetItemWithError(dict, r->name);
    hr_layer_peek(r->st, r->layer, HR_PLACE_TYPE, r->owner, r->name, &old);
    PyObject *raw = old != NULL ? old : r->raw; /* its own, or inherited */
    r->by_owner = 1;
    if (PyFunction_Check(r->after)) {
        Py_SETREF(value, hr_function_clone(r->after, NULL, NULL));
        if (value == NULL) {
            return -1;
        }
        /* A function that takes the place of a static or class method. */
        if (raw != NULL && (Py_TYPE(raw) == &PyStaticMethod_Type ||
                            Py_TYPE(raw) == &PyClassMethod_Type)) {
            Py_SETREF(value, PyObject_CallFunctionObjArgs(
                                 (PyObject *)Py_TYPE(raw), value, NULL));
            if (value == NULL) {
                return -1;
            }
        }
    }
    int status =
        hr_class_plan_attribute(r->st, j, r->owner, r->name, old, value);
    Py_DECREF(value);
    if (status == 0 && *original == NULL) {
        *original = Py_NewRef(r->before);
    }
    return status;
}

/* 1 when the first parameter is `self`; -1 with an exception. */
static int
takes_self(PyObject *function)
{
    if (!PyFunction_Check(function)) {
        return 0;
    }
    PyObject *code = ((PyFunctionObject *)function)->func_code;
    PyObject *names = PyObject_GetAttrString(code, "co_varnames");
    if (names == NULL) {
        return -1;
    }
    int takes = ((PyCodeObject *)code)->co_argcount > 0 &&
                PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0),
                                                 "self") == 0;
    Py_DECREF(names);
    return takes;
}

/* A function of one object: its own attribute, and the bound methods of it
 * that are held elsewhere. */
static int
plan_instance(struct hr_request *r, struct hr_journal *j, PyObject *dict,
              PyObject **original)
{
    int with_self = takes_self(r->after);
    if (with_self < 0) {
        return -1;
    }
    PyObject *value =
        with_self ? PyMethod_New(r->after, r->owner) : Py_NewRef(r->after);
    PyObject *adapter = NULL;
    int status = -1;
    if (value == NULL) {
        return -1;
    }
    r->by_owner = 1;
    if (PyMethod_Check(r->before) &&
        PyMethod_GET_SELF(r->before) == r->owner) {
        PyObject *function = PyMethod_GET_FUNCTION(r->before);
        adapter = with_self ? Py_NewRef(r->after)
                            : hr_trampoline_without_self(r->st, r->after);
        if (*original == NULL) {
            *original = PyMethod_New(function, r->owner);
        }
        if (adapter == NULL || *original == NULL) {
            goto done;
        }
        /* Replaced already: the methods found then are those to change. */
        if ((r->force != NULL
                 ? hr_journal_add_owners(j, r->force, HR_PLACE_METHOD, adapter)
                 : hr_find_plan_methods(j, r->owner, function, adapter,
                                        *original)) < 0) {
            goto done;
        }
    }
    else if (*original == NULL) {
        *original = Py_NewRef(r->before);
    }
    status = hr_journal_add(j, HR_PLACE_DICT, dict, r->name, value);
done:
    Py_XDECREF(adapter);
    Py_DECREF(value);
    return status;
}

static int
plan_holders(struct hr_request *r, struct hr_journal *j, PyObject **original)
{
    /* The owner first: it may be a module that is not the program's own. */
    PyObject *dict =
        PyModule_Check(r->owner) ? PyModule_GetDict(r->owner) : NULL;
    if (*original == NULL) {
        *original = Py_NewRef(r->before);
    }
    if (hr_find_plan_holders(r->st, j, r->before, r->after, dict) < 0) {
        return -1;
    }
    if (r->force != NULL) {
        /* Replaced already: what held `before` then holds it again when this
         * is committed. */
        static const enum hr_place places[] = {HR_PLACE_DICT, HR_PLACE_TYPE,
                                               HR_PLACE_CELL, HR_PLACE_LIST};
        for (size_t i = 0; i < Py_ARRAY_LENGTH(places); i++) {
            if (hr_journal_add_owners(j, r->force, places[i], r->after) < 0) {
                return -1;
            }
        }
        return 0;
    }
    return dict == NULL
               ? 0
               : hr_journal_add(j, HR_PLACE_DICT, dict, r->name, r->after);
}

/* -- Plans, by owner ------------------------------------------------------ */

/* The dict of an instance; NULL with a TypeError that says what to do. */
static PyObject *
get_instance_dict(PyObject *owner)
{
    PyObject *dict = hr_compat_instance_dict(owner);
    if (dict == NULL && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Format(PyExc_TypeError,
                     "replace: %R has no __dict__, so nothing can be replaced "
                     "for this object alone; replace it in its class %R",
                     owner, Py_TYPE(owner));
    }
    return dict;
}

static int
plan_in_module(struct hr_request *r, struct hr_journal *j, PyObject **original)
{
    if (r->patch == NULL &&
        !find_in_dict(r, PyModule_GetDict(r->owner), r->before)) {
        return fail_not_held(r);
    }
    if (PyFunction_Check(r->before)) {
        return plan_function(r, j, original);
    }
    if (hr_class_is_open(r->before) && PyType_Check(r->after)) {
        return plan_class(r, j, original);
    }
    return plan_holders(r, j, original);
}

static int
plan_in_class(struct hr_request *r, struct hr_journal *j, PyObject **original)
{
    PyObject *inner = get_inner(r->before);
    int where = inner == NULL ? -1 : 1;
    if (inner != NULL) {
        where = find_in_class(r, (PyTypeObject *)r->owner, inner);
        if (where == 0) {
            where = find_in_class(r, (PyTypeObject *)r->owner, r->before);
        }
        if (r->patch != NULL) {
            Py_SETREF(r->name, Py_NewRef(r->patch->name));
            where = r->patch->by_owner ? 2 : 1;
        }
    }
    int status = -1;
    if (where == 0) {
        status = fail_not_held(r);
    }
    else if (where > 0 && !hr_class_is_open(r->owner)) {
        PyErr_Format(PyExc_TypeError,
                     "replace: %R is a built-in class and cannot be changed; "
                     "replace it in the modules that use it",
                     r->owner);
    }
    else if (where == 1 && PyFunction_Check(inner)) {
        Py_SETREF(r->before, Py_NewRef(inner));
        status = plan_function(r, j, original);
    }
    else if (where == 1 && hr_class_is_open(inner) && PyType_Check(r->after)) {
        status = plan_class(r, j, original);
    }
    else if (where > 0) {
        status = plan_class_attribute(r, j, original);
    }
    Py_XDECREF(inner);
    return status;
}

static int
plan_in_instance(struct hr_request *r, struct hr_journal *j,
                 PyObject **original)
{
    PyObject *dict = get_instance_dict(r->owner);
    if (dict == NULL) {
        return -1;
    }
    int status = 0;
    if (r->patch == NULL && !find_in_dict(r, dict, r->before)) {
        PyObject *inner = get_inner(r->before);
        if (inner == NULL || !find_in_class(r, Py_TYPE(r->owner), inner)) {
            status = inner == NULL ? -1 : fail_not_held(r);
        }
        Py_XDECREF(inner);
    }
    if (status == 0) {
        status = plan_instance(r, j, dict, original);
    }
    Py_DECREF(dict);
    return status;
}

int
hr_request_plan(struct hr_request *r, struct hr_journal *j,
                PyObject **original)
{
    if (PyModule_Check(r->owner)) {
        return plan_in_module(r, j, original);
    }
    if (PyType_Check(r->owner)) {
        return plan_in_class(r, j, original);
    }
    return plan_in_instance(r, j, original);
}
