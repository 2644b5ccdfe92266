/* What a name holds after statements have run, merged with what it held.
 *
 * Functions and classes that are there keep their identity and take the
 * content of the new ones; so do lambdas and functions in a list, tuple or
 * dict of the same shape.  Everything else is taken as it is.  Only what has
 * just been made lends its content: a name may as well hold a function that is
 * there under another name, and goes on there.
 *
 * For plan.c and classdef.c, when all has run.
 */
#include "nest.h"
#include "scope.h"

/* Was this function made by the block, as a definition or a lambda? */
static int
is_made_by(struct hr_scope *s, PyObject *o, const struct hr_block *b)
{
    if (!PyFunction_Check(o) || b == NULL) {
        return 0;
    }
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)o)->func_code;
    return PyUnicode_Compare(code->co_filename, s->u->filename) == 0 &&
           code->co_firstlineno >= (int)b->line &&
           code->co_firstlineno <= (int)b->end_line;
}

/* The name is no part of a body.  One that the program has set stays. */
static int
follow_name(struct hr_plan *p, PyObject *old, PyObject *new)
{
    static const char *const names[] = {"__name__", "__qualname__",
                                        "__module__"};
    PyFunctionObject *f = (PyFunctionObject *)old;
    PyObject *dict = f->func_dict;
    int status = 0;
    if (PyUnicode_Compare(f->func_name,
                          ((PyCodeObject *)f->func_code)->co_name) != 0 &&
        (dict == NULL || PyDict_GetItemString(dict, "__wrapped__") == NULL)) {
        return 0;
    }
    for (int i = 0; status == 0 && i < 3; i++) {
        PyObject *key = PyUnicode_InternFromString(names[i]);
        if (key == NULL) {
            return -1;
        }
        PyObject *was = *hr_function_name_slot(old, key);
        PyObject *is = *hr_function_name_slot(new, key);
        if (was != NULL && is != NULL && PyUnicode_Check(was) &&
            PyUnicode_Check(is) && PyUnicode_Compare(was, is) != 0) {
            status = hr_journal_add(p->j, HR_PLACE_NAME, old, key, is);
        }
        Py_DECREF(key);
    }
    return status;
}

/* Was it made by the block and its decorators, whatever these returned? */
static int
is_result_of(struct hr_scope *s, PyObject *o, const struct hr_block *b)
{
    if (b->kind == HR_BLOCK_DEF || is_made_by(s, o, b)) {
        return 1;
    }
    PyObject *dict = PyFunction_Check(o) ? HR_AS_FUNCTION(o)->func_dict : NULL;
    PyObject *inner = dict ? PyDict_GetItemString(dict, "__wrapped__") : NULL;
    return inner != NULL && is_made_by(s, inner, b);
}

/* Has a decorator returned a function that others have as well?  An alias of
 * the name (`g = f`) is none of them. */
static int
is_shared(struct hr_scope *s, PyObject *name, PyObject *old)
{
    PyFunctionObject *f = HR_AS_FUNCTION(old);
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    if (f->func_globals != s->u->dict &&
        PyDict_GetItemWithError(f->func_globals, f->func_name) == old) {
        return 1;
    }
    while (PyDict_Next(s->live, &pos, &key, &value)) {
        if (value != old || key == name || !PyUnicode_Check(key) ||
            PyUnicode_Compare(key, name) == 0) {
            continue;
        }
        int i = hr_scope_last_old(s, key);
        const struct hr_block *b = i >= 0 ? &s->old->items[i] : NULL;
        if (i == -2) {
            return -1;
        }
        if (b != NULL && !hr_word_may_be_in(s->old_text + b->start,
                                            b->end - b->start, name)) {
            return 1;
        }
    }
    return PyErr_Occurred() ? -1 : 0;
}

int
hr_merge_function(struct hr_plan *p, PyObject *old, PyObject *new)
{
    PyObject *holder = hr_function_clone(new, NULL, NULL);
    int status = holder == NULL ? -1 : hr_plan_function(p, p->j, old, holder);
    if (status == 0) {
        status = follow_name(p, old, new);
    }
    if (status == 0) {
        status = hr_substitute_add(p, new, old);
    }
    if (status == 0) {
        status = hr_wrapper_hand_on(p, NULL, new, old);
    }
    Py_XDECREF(holder);
    return status;
}

/* The new function's content goes to the old one, which takes its place. */
static int
merge_function(struct hr_scope *s, PyObject *old, PyObject **value)
{
    int status = hr_merge_function(s->u->plan, old, *value);
    if (status == 0) {
        Py_SETREF(*value, Py_NewRef(old));
    }
    return status;
}

/* A function that has just been made, and takes nobody's place yet? */
static int
is_new(struct hr_scope *s, PyObject *o)
{
    struct hr_plan *p = s->u->plan;
    int made = PyFunction_Check(o) && hr_substitute_kept(p, o) == NULL
                   ? hr_made_has(p, o)
                   : 0;
    if (made < 0) {
        PyErr_Clear(); /* then it stays what it is */
    }
    return made > 0;
}

/* Whoever holds the old function calls what took its place. */
static int
call_instead(struct hr_scope *s, PyObject *old, PyObject *value,
             const struct hr_block *b)
{
    struct hr_plan *p = s->u->plan;
    PyTypeObject *t = Py_TYPE(value);
    PyObject *holder = NULL, *target;
    if (t == &PyStaticMethod_Type || t == &PyClassMethod_Type) {
        target = PyObject_GetAttrString(value, "__func__");
    }
    else {
        target = Py_NewRef(value);
    }
    int status = target == NULL ? -1 : 0;
    if (status == 0 && PyCallable_Check(target)) {
        status = hr_wrapper_stand_in(s, old, value, target, &holder);
    }
    if (holder != NULL) {
        status = hr_plan_function(p, p->j, old, holder);
    }
    Py_XDECREF(holder);
    Py_XDECREF(target);
    if (status == 0) {
        status = hr_wrapper_clear_outdated(p, old);
    }
    PyObject *inner =
        status == 0 ? hr_unwrap_behind(s, value, s->old_text, b, -1, NULL)
                    : NULL;
    if (inner != NULL && inner != old) {
        status = hr_wrapper_hand_on(p, NULL, old, inner);
    }
    Py_XDECREF(inner);
    return status;
}

/* The code of the functions among the items that the block made (NULL: that
 * have just been made), and their places in it. */
static PyObject *
list_code(struct hr_scope *s, PyObject *o, const struct hr_block *b, int *at)
{
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < PySequence_Fast_GET_SIZE(o);
         i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(o, i);
        if (b != NULL ? is_made_by(s, item, b) : is_new(s, item)) {
            at[PyList_GET_SIZE(list)] = (int)i;
            if (PyList_Append(list, ((PyFunctionObject *)item)->func_code) <
                0) {
                Py_CLEAR(list);
            }
        }
    }
    return list;
}

/* Items are paired as nested code is: one may have been inserted. */
static int
merge_items(struct hr_scope *s, PyObject *old, PyObject *new,
            const struct hr_block *b)
{
    size_t n = (size_t)PySequence_Fast_GET_SIZE(old);
    size_t count = (size_t)PySequence_Fast_GET_SIZE(new);
    int *partner = PyMem_Calloc(2 * n + count + 1, sizeof *partner);
    if (partner == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int *old_at = partner + n, *new_at = old_at + n;
    PyObject *was = list_code(s, old, b, old_at);
    PyObject *is = was ? list_code(s, new, NULL, new_at) : NULL;
    int status =
        is == NULL ? -1 : hr_match_code(NULL, NULL, was, NULL, is, partner);
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(was); i++) {
        if (partner[i] >= 0) {
            status = merge_function(
                s, PySequence_Fast_GET_ITEM(old, old_at[i]),
                &PySequence_Fast_ITEMS(new)[new_at[partner[i]]]);
        }
    }
    Py_XDECREF(was);
    Py_XDECREF(is);
    PyMem_Free(partner);
    return status;
}

/* Lambdas and functions inside a list, tuple or dict of the same shape. */
static int
merge_container(struct hr_scope *s, PyObject *old, PyObject *new,
                const struct hr_block *b)
{
    int status = 0;
    if (Py_TYPE(old) != Py_TYPE(new)) {
        return 0;
    }
    if (PyDict_CheckExact(old)) {
        PyObject *key, *a;
        Py_ssize_t pos = 0;
        while (status == 0 && PyDict_Next(new, &pos, &key, &a)) {
            PyObject *was = PyDict_GetItemWithError(old, key);
            if (was != NULL && is_made_by(s, was, b) && is_new(s, a)) {
                Py_INCREF(a);
                status = merge_function(s, was, &a);
                if (status == 0) {
                    status = PyDict_SetItem(new, key, a);
                }
                Py_DECREF(a);
            }
        }
        PyErr_Clear();
        return status;
    }
    if (PyList_CheckExact(old) || PyTuple_CheckExact(old)) {
        status = merge_items(s, old, new, b);
    }
    return status;
}

int
hr_merge_part(struct hr_scope *s, PyObject *old, PyObject **value,
              const struct hr_block *b)
{
    return is_made_by(s, old, b) && is_new(s, *value)
               ? merge_function(s, old, value)
               : merge_container(s, old, *value, b);
}

int
hr_merge_value(struct hr_scope *s, PyObject *name, PyObject *old,
               PyObject **value, const struct hr_block *b)
{
    struct hr_plan *p = s->u->plan;
    PyObject *of = hr_substitute_preview_of(p, *value);
    if (of != NULL) {
        Py_SETREF(*value, Py_NewRef(of));
    }
    PyObject *kept = hr_substitute_kept(p, *value);
    if (kept != NULL) {
        Py_SETREF(*value, Py_NewRef(kept));
        return 0;
    }
    if (old == NULL || old == *value || b == NULL) {
        return 0;
    }
    if (PyFunction_Check(old) && is_result_of(s, old, b) &&
        !hr_place_has(p->j, HR_PLACE_FUNCTION, old)) {
        int shared = is_made_by(s, old, b) ? 0 : is_shared(s, name, old);
        return shared != 0         ? (shared < 0 ? -1 : 0)
               : is_new(s, *value) ? merge_function(s, old, value)
                                   : call_instead(s, old, *value, b);
    }
    if (hr_class_is_open(old) && hr_class_is_open(*value)) {
        PyObject *module = PyObject_GetAttrString(old, "__module__");
        int own = module != NULL && PyUnicode_Check(module) &&
                  PyUnicode_Compare(module, s->u->name) == 0;
        Py_XDECREF(module);
        PyErr_Clear();
        int made = own ? hr_made_has(p, *value) : 0;
        if (made < 0) {
            return -1;
        }
        if (made && PyUnicode_Compare(
                        ((PyHeapTypeObject *)old)->ht_qualname,
                        ((PyHeapTypeObject *)*value)->ht_qualname) == 0) {
            if (hr_remake_merge(s, old, *value, b) < 0) {
                return -1;
            }
            Py_SETREF(*value, Py_NewRef(old));
        }
        return 0;
    }
    return merge_container(s, old, *value, b);
}

/* A static or class method or a property is made of functions: each has to be
 * new, or the same as before. */
int
hr_merge_is_new(struct hr_scope *s, PyObject *old, PyObject *value)
{
    static const char *const one[] = {"__func__", NULL};
    static const char *const three[] = {"fget", "fset", "fdel", NULL};
    const char *const *parts = Py_TYPE(value) == &PyProperty_Type ? three
                               : Py_TYPE(value) == &PyStaticMethod_Type ||
                                       Py_TYPE(value) == &PyClassMethod_Type
                                   ? one
                                   : NULL;
    if (old == NULL || Py_TYPE(old) != Py_TYPE(value) || parts == NULL) {
        return is_new(s, value);
    }
    int new = 1;
    for (int i = 0; new &&parts[i] != NULL; i++) {
        PyObject *was = PyObject_GetAttrString(old, parts[i]);
        PyObject *is = PyObject_GetAttrString(value, parts[i]);
        new = was != NULL &&is != NULL &&
              (was == is || !PyFunction_Check(is) || is_new(s, is));
        Py_XDECREF(was);
        Py_XDECREF(is);
    }
    PyErr_Clear();
    return new;
}
