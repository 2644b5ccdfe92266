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

void
hr_request_clear(struct hr_request *r)
{
    Py_CLEAR(r->before);
    Py_CLEAR(r->name);
    Py_CLEAR(r->raw);
    Py_CLEAR(r->second_name);
    Py_CLEAR(r->original);
    Py_CLEAR(r->patch);
}

/* -- Plans, by how it is done --------------------------------------------- */

/* A function whose body may be taken: a clone, or a trampoline. */
static PyObject *
make_holder(struct hr_request *r, PyObject *after)
{
    PyObject *meant = hr_meaning_replacement(r, after);
    PyObject *holder = meant == NULL ? NULL
                       : !PyFunction_Check(meant)
                           ? hr_trampoline_new(r->st, meant)
                       : meant == after ? hr_function_clone(meant, NULL, NULL)
                                        : Py_NewRef(meant);
    Py_XDECREF(meant);
    return holder;
}

static int
plan_function(struct hr_request *r, struct hr_journal *j, PyObject *after)
{
    if (r->original == NULL) {
        r->original = hr_original_make(r->st, r->before);
    }
    PyObject *holder = r->original ? make_holder(r, after) : NULL;
    int status = holder == NULL ? -1
                                : hr_journal_add(j, HR_PLACE_FUNCTION,
                                                 r->before, NULL, holder);
    Py_XDECREF(holder);
    return status;
}

static int
plan_class(struct hr_request *r, struct hr_journal *j)
{
    if (r->original == NULL) {
        r->original = hr_class_clone(r->st, r->before);
    }
    PyObject *donor =
        r->original ? hr_enum_stand_in(r->st, r->before, r->after, r->layer)
                    : NULL;
    int status = donor == NULL ? -1
                               : hr_class_plan(r->st, j, r->before, donor,
                                               r->original, r->layer);
    Py_XDECREF(donor);
    return status;
}

/* What stands in the class in place of `raw`, its own or inherited. */
static PyObject *
make_attribute(struct hr_request *r, PyObject *raw)
{
    if (Py_TYPE(r->after) == &PyProperty_Type) {
        /* Its functions may take other bodies. */
        struct hr_transfer m = {0};
        return hr_transfer_value(&m, r->after);
    }
    if (!PyFunction_Check(r->after)) {
        return Py_NewRef(r->after);
    }
    PyObject *value = make_holder(r, r->after);
    /* A function that takes the place of a static or class method. */
    if (value != NULL && raw != NULL && hr_owner_is_method(raw)) {
        Py_SETREF(value, PyObject_CallFunctionObjArgs((PyObject *)Py_TYPE(raw),
                                                      value, NULL));
    }
    return value;
}

/* As a class statement does for what stands in it. */
static int
set_name(struct hr_request *r, PyObject *value)
{
    PyObject *key = PyUnicode_InternFromString("__set_name__");
    PyObject *method = key ? _PyType_Lookup(Py_TYPE(value), key) : NULL;
    PyObject *done = method ? PyObject_CallFunctionObjArgs(
                                  method, value, r->owner, r->name, NULL)
                            : NULL;
    int status = key == NULL || (method != NULL && done == NULL) ? -1 : 0;
    Py_XDECREF(done);
    Py_XDECREF(key);
    return status;
}

/* Where a wrapper's functions take other bodies, the original is a copy of it
 * with functions of its own. */
static PyObject *
copy_wrapper(struct hr_journal *j, PyObject *o)
{
    struct hr_transfer m = {0};
    PyObject *owner, *value;
    int bodies = 0;
    for (size_t i = 0; i < hr_journal_count(j); i++) {
        bodies |= hr_journal_get(j, i, HR_PLACE_FUNCTION, &owner, &value);
    }
    return bodies && (hr_owner_is_method(o) || Py_TYPE(o) == &PyProperty_Type)
               ? hr_transfer_value(&m, o)
               : Py_NewRef(o);
}

/* The functions of the copy are originals, too. */
static int
note_parts(struct hr_request *r)
{
    int status = 0;
    for (int i = 0; status == 0 && r->original != r->before &&
                    Py_TYPE(r->before) == &PyProperty_Type && i < 3;
         i++) {
        const char *part = hr_transfer_property_parts[i];
        PyObject *f = PyObject_GetAttrString(r->before, part);
        PyObject *copy = f ? PyObject_GetAttrString(r->original, part) : NULL;
        status = copy == NULL ? -1 : hr_original_note(r->st, copy, f);
        Py_XDECREF(f);
        Py_XDECREF(copy);
    }
    return status;
}

/* An attribute of a class that is not a function of its own. */
static int
plan_class_attribute(struct hr_request *r, struct hr_journal *j)
{
    PyObject *dict = hr_layer_dict(r->st, r->layer, HR_PLACE_TYPE, r->owner);
    PyObject *old =
        dict ? Py_XNewRef(PyDict_GetItemWithError(dict, r->name)) : NULL;
    int made = r->original == NULL;
    if (dict == NULL) {
        return -1;
    }
    if (made) {
        r->original = Py_NewRef(r->before);
    }
    r->by_owner = 1;
    hr_journal_set_gentle(j);
    PyObject *value = make_attribute(r, old != NULL ? old : r->raw);
    int status = value == NULL             ? -1
                 : PyFunction_Check(value) ? 0
                                           : set_name(r, value);
    if (status == 0) {
        status =
            hr_class_plan_attribute(r->st, j, r->owner, r->name, old, value);
    }
    Py_XDECREF(value);
    Py_XDECREF(old);
    Py_DECREF(dict);
    if (status == 0 && made) {
        Py_SETREF(r->original, copy_wrapper(j, r->before));
        status = r->original == NULL ? -1 : note_parts(r);
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
plan_instance(struct hr_request *r, struct hr_journal *j, PyObject *dict)
{
    PyObject *value = NULL, *adapter = NULL, *function = NULL;
    int status = -1, with_self = takes_self(r->after);
    if (PyMethod_Check(r->before) &&
        PyMethod_GET_SELF(r->before) == r->owner) {
        function = PyMethod_GET_FUNCTION(r->before);
    }
    if (r->original == NULL) {
        r->original = function != NULL ? PyMethod_New(function, r->owner)
                                       : Py_NewRef(r->before);
    }
    PyObject *after = r->original ? hr_meaning_replacement(r, r->after) : NULL;
    if (with_self < 0 || after == NULL) {
        goto done;
    }
    value = with_self ? PyMethod_New(after, r->owner) : Py_NewRef(after);
    if (value == NULL) {
        goto done;
    }
    r->by_owner = 1;
    hr_journal_set_gentle(j);
    if (function != NULL) {
        adapter = with_self ? Py_NewRef(after)
                            : hr_trampoline_without_self(r->st, after);
        /* Replaced already: the methods found then are those to change. */
        if (adapter == NULL ||
            (r->force != NULL
                 ? hr_place_add_owners(j, r->force, HR_PLACE_METHOD, adapter)
                 : hr_find_plan_methods(j, r->owner, function, adapter,
                                        r->original)) < 0) {
            goto done;
        }
    }
    status = hr_journal_add(j, HR_PLACE_DICT, dict, r->name, value);
done:
    Py_XDECREF(adapter);
    Py_XDECREF(value);
    Py_XDECREF(after);
    return status;
}

/* The owner may be a module that is not the program's own. */
static int
add_owner(struct hr_journal *j, PyObject *owner, PyObject *name,
          PyObject *value)
{
    PyObject *dict = PyModule_GetDict(owner), *held;
    return hr_place_peek(j, HR_PLACE_DICT, dict, name, &held)
               ? 0
               : hr_journal_add(j, HR_PLACE_DICT, dict, name, value);
}

static int
plan_holders(struct hr_request *r, struct hr_journal *j)
{
    static const enum hr_place places[] = {HR_PLACE_DICT, HR_PLACE_TYPE,
                                           HR_PLACE_CELL, HR_PLACE_LIST};
    if (r->original == NULL) {
        r->original = Py_NewRef(r->before);
    }
    PyObject *after = hr_meaning_replacement(r, r->after);
    hr_journal_set_gentle(j);
    int status =
        after == NULL ? -1 : hr_find_plan_holders(j, r->before, after);
    /* Replaced already: what held `before` then holds it again when this is
     * committed. */
    for (size_t i = 0;
         status == 0 && r->force != NULL && i < Py_ARRAY_LENGTH(places); i++) {
        status = hr_place_add_owners(j, r->force, places[i], after);
    }
    if (status == 0 && r->force == NULL && PyModule_Check(r->owner)) {
        status = add_owner(j, r->owner, r->name, after);
    }
    if (status == 0 && r->second != NULL) {
        status = add_owner(j, r->second, r->second_name, after);
    }
    Py_XDECREF(after);
    return status;
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
plan_in_module(struct hr_request *r, struct hr_journal *j)
{
    if (r->patch == NULL) {
        int found =
            hr_owner_find_in_dict(r, PyModule_GetDict(r->owner), r->before);
        if (found <= 0) {
            return found < 0 ? -1 : hr_owner_fail(r);
        }
    }
    if (PyFunction_Check(r->before)) {
        return plan_function(r, j, r->after);
    }
    if (hr_class_is_open(r->before) && PyType_Check(r->after)) {
        return plan_class(r, j);
    }
    return plan_holders(r, j);
}

/* Where the class keeps it: 1 itself, 2 for it alone (a base has it, or it is
 * replaced as an attribute), 0 nowhere. */
static int
find_member(struct hr_request *r, PyObject *inner)
{
    int where = hr_owner_find_in_class(r, (PyTypeObject *)r->owner, inner);
    if (where == 0) {
        where = hr_owner_find_in_class(r, (PyTypeObject *)r->owner, r->before);
    }
    if (where >= 0 && r->patch != NULL) {
        Py_XSETREF(r->name, Py_NewRef(r->patch->name));
        where = r->patch->by_owner ? 2 : 1;
    }
    return where;
}

static int
plan_in_class(struct hr_request *r, struct hr_journal *j)
{
    PyObject *inner = hr_owner_get_inner(r->before), *after = NULL;
    int where = inner == NULL ? -1 : find_member(r, inner), status = -1;
    if (where > 0 && !hr_class_is_open(r->owner)) {
        PyErr_Format(PyExc_TypeError,
                     "replace: %R is a built-in class and cannot be changed; "
                     "replace it in the modules that use it",
                     r->owner);
        where = -1;
    }
    if (where == 0) {
        where = hr_owner_fail(r);
    }
    /* A wrapper of the kind that is there: its function is meant. */
    int is_kind = where == 1 && hr_owner_is_method(r->after) &&
                  (r->raw == NULL || Py_TYPE(r->raw) == Py_TYPE(r->after));
    if (where > 0) {
        after = is_kind ? hr_owner_get_inner(r->after) : Py_NewRef(r->after);
    }
    if (after == NULL) {
        goto done;
    }
    if (where == 1 && PyFunction_Check(inner) &&
        Py_TYPE(after)->tp_descr_set == NULL && !hr_owner_is_method(after) &&
        PyCallable_Check(after)) {
        Py_SETREF(r->before, Py_NewRef(inner));
        status = plan_function(r, j, after);
    }
    else if (where == 1 && hr_class_is_open(inner) && PyType_Check(after)) {
        status = plan_class(r, j);
    }
    else {
        status = plan_class_attribute(r, j);
    }
done:
    Py_XDECREF(after);
    Py_XDECREF(inner);
    return status;
}

/* For one object alone only what Python looks for in the object. */
static int
check_instance(struct hr_request *r)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(r->name);
    int special = n > 4 && PyUnicode_ReadChar(r->name, 0) == '_' &&
                  PyUnicode_ReadChar(r->name, 1) == '_' &&
                  PyUnicode_ReadChar(r->name, n - 1) == '_' &&
                  PyUnicode_ReadChar(r->name, n - 2) == '_';
    PyObject *raw = _PyType_Lookup(Py_TYPE(r->owner), r->name);
    if (special || (raw != NULL && Py_TYPE(raw)->tp_descr_set != NULL)) {
        PyErr_Format(PyExc_TypeError,
                     "replace: Python looks for %R in the class, not in the "
                     "object; replace it in the class %R",
                     r->name, Py_TYPE(r->owner));
        return -1;
    }
    return 0;
}

static int
plan_in_instance(struct hr_request *r, struct hr_journal *j)
{
    PyObject *dict = get_instance_dict(r->owner);
    if (dict == NULL) {
        return -1;
    }
    int status = 0;
    if (r->patch == NULL) {
        PyObject *inner = hr_owner_get_inner(r->before);
        int found = inner ? hr_owner_find_in_dict(r, dict, r->before) : -1;
        if (found == 0) {
            found = hr_owner_find_in_class(r, Py_TYPE(r->owner), inner);
            if (found == 0) {
                found = hr_owner_fail(r);
            }
        }
        Py_XDECREF(inner);
        status = found < 0 ? -1 : check_instance(r);
    }
    if (status == 0) {
        status = plan_instance(r, j, dict);
    }
    Py_DECREF(dict);
    return status;
}

/* What is called can only be replaced by what can be called, or by what makes
 * an attribute of a class. */
static int
check_after(struct hr_request *r)
{
    if (PyCallable_Check(r->after) ||
        (!PyModule_Check(r->owner) &&
         (hr_owner_is_plain(r->before) ||
          (PyType_Check(r->owner) && !hr_owner_is_plain(r->after))))) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError,
                 "replace: the replacement must be callable, not %R",
                 r->after);
    return -1;
}

int
hr_request_plan(struct hr_request *r, struct hr_journal *j)
{
    if (check_after(r) < 0) {
        return -1;
    }
    if (PyModule_Check(r->owner)) {
        return plan_in_module(r, j);
    }
    if (PyType_Check(r->owner)) {
        return plan_in_class(r, j);
    }
    return plan_in_instance(r, j);
}
