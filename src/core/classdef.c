/* A changed class statement.
 *
 * Where only members changed, only they are compiled and run, in a copy of the
 * class's namespace, and what differs is planned for the live class.  Where
 * the header changed, or a decorator or metaclass makes the class from its
 * members (dataclass, Enum, NamedTuple, pydantic, ...), the whole statement
 * runs and makes a second class, the donor, whose content the live class
 * takes.
 */
#include "scope.h"

static int
call_set_name(PyObject *value, PyObject *type, PyObject *name)
{
    PyObject *key = PyUnicode_InternFromString("__set_name__");
    PyObject *method = key ? _PyType_Lookup(Py_TYPE(value), key) : NULL;
    Py_XDECREF(key);
    if (method == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *result =
        PyObject_CallFunctionObjArgs(method, value, type, name, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
is_ours(PyObject *name)
{
    static const char *const names[] = {
        "__module__",        "__qualname__",
        "__firstlineno__",   "__classcell__",
        "__classdictcell__", "__dict__",
        "__weakref__",       "__static_attributes__",
        "__type_params__",   NULL};
    return hr_name_is_one_of(name, names);
}

/* Other slots than those of the class need other memory; the same ones, in
 * another order or kind of container, or with other docs, do not. */
int
hr_classdef_check_slots(struct hr_state *st, PyObject *type, PyObject *slots)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
    PyObject *old = PyDict_GetItemString(dict, "__slots__");
    int same = 0;
    if (old != NULL && slots != NULL && !PyUnicode_Check(old) &&
        !PyUnicode_Check(slots)) {
        PyObject *a = PySet_New(old), *b = a ? PySet_New(slots) : NULL;
        same = b == NULL ? -1 : PyObject_RichCompareBool(a, b, Py_EQ);
        Py_XDECREF(a);
        Py_XDECREF(b);
    }
    if (same != 0) {
        return same < 0 ? -1 : 0;
    }
    return hr_rude(st, "HR301",
                   "the __slots__ of %s would change, and a class that exists "
                   "cannot lay its instances out anew; restart",
                   ((PyTypeObject *)type)->tp_name);
}

/* As type.__new__ does: some functions are class or static methods without
 * being decorated. */
static int
wrap_special(PyObject *name, PyObject **value)
{
    PyObject *wrapper = NULL;
    if (!PyFunction_Check(*value)) {
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(name, "__new__") == 0) {
        wrapper = PyStaticMethod_New(*value);
    }
    else if (PyUnicode_CompareWithASCIIString(name, "__init_subclass__") ==
                 0 ||
             PyUnicode_CompareWithASCIIString(name, "__class_getitem__") ==
                 0) {
        wrapper = PyClassMethod_New(*value);
    }
    else {
        return 0;
    }
    if (wrapper == NULL) {
        return -1;
    }
    Py_SETREF(*value, wrapper);
    return 0;
}

/* A member that was evaluated, before it goes into the class. */
static int
check_member(struct hr_scope *s, PyObject *name, PyObject *old,
             PyObject **value)
{
    if (PyUnicode_CompareWithASCIIString(name, "__slots__") == 0) {
        return hr_classdef_check_slots(s->u->plan->st, s->type, *value);
    }
    if (old != NULL && Py_TYPE(old) == &PyMemberDescr_Type &&
        PyDescr_TYPE(old) == (PyTypeObject *)s->type) {
        PyErr_Format(PyExc_ValueError,
                     "%R in __slots__ conflicts with class variable", name);
        return -1;
    }
    return wrap_special(name, value);
}

/* As type.__new__ does: a class with __eq__ and no __hash__ has none. */
static int
keep_hash_rule(struct hr_scope *s)
{
    PyObject *eq = PyDict_GetItemString(s->ns, "__eq__");
    PyObject *hash = PyDict_GetItemString(s->ns, "__hash__");
    int had = PyDict_GetItemString(s->before, "__eq__") != NULL;
    if (eq != NULL && hash == NULL) {
        return PyDict_SetItemString(s->ns, "__hash__", Py_None);
    }
    if (eq == NULL && had && hash == Py_None) {
        return PyDict_DelItemString(s->ns, "__hash__");
    }
    return 0;
}

/* What the members made, compared with what was there. */
static int
plan_names(struct hr_scope *s)
{
    struct hr_plan *p = s->u->plan;
    PyObject *names = PyDict_Keys(s->ns);
    PyObject *was = PyDict_Keys(s->before);
    int status = names == NULL || was == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        PyObject *new = PyDict_GetItemWithError(s->ns, name);
        PyObject *before = PyDict_GetItemWithError(s->before, name);
        if (new == before || new == NULL ||
            (is_ours(name) &&
             PyUnicode_CompareWithASCIIString(name, "__module__") != 0)) {
            continue;
        }
        PyObject *old = PyDict_GetItemWithError(s->live, name);
        PyObject *value = Py_NewRef(new);
        status = check_member(s, name, old, &value);
        if (status == 0) {
            status = hr_merge_value(s, name, old, &value,
                                    hr_scope_old_block(s, name));
        }
        if (status == 0 && value != old) {
            status = PyFunction_Check(value)
                         ? 0
                         : call_set_name(value, s->type, name);
            if (status == 0 && old != NULL && PyFunction_Check(old)) {
                int elsewhere = hr_scope_is_elsewhere(s, name);
                old = elsewhere == 1 ? NULL : old;
                status = elsewhere < 0 ? -1 : 0;
            }
            if (status == 0) {
                status = hr_merge_is_new(s, old, value)
                             ? hr_class_plan_attribute(p->st, p->j, s->type,
                                                       name, old, value)
                             : hr_journal_add(p->j, HR_PLACE_TYPE, s->type,
                                              name, value);
            }
        }
        Py_DECREF(value);
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(was); i++) {
        PyObject *name = PyList_GET_ITEM(was, i);
        int has = PyDict_Contains(s->ns, name);
        if (has == 0 &&
            PyUnicode_CompareWithASCIIString(name, "__slots__") == 0) {
            status = hr_classdef_check_slots(s->u->plan->st, s->type, NULL);
            break;
        }
        status = has < 0                ? -1
                 : has || is_ours(name) ? 0
                                        : hr_journal_add(p->j, HR_PLACE_TYPE,
                                                         s->type, name, NULL);
    }
    Py_XDECREF(names);
    Py_XDECREF(was);
    return status;
}

static int
plan_members(struct hr_scope *s)
{
    struct hr_plan *p = s->u->plan;
    s->ns = PyDict_Copy(s->live);
    s->before = s->ns ? PyDict_Copy(s->ns) : NULL;
    if (s->before == NULL) {
        return -1;
    }
    PyObject *annotations = PyDict_GetItemString(s->ns, "__annotations__");
    if (annotations != NULL && PyDict_Check(annotations)) {
        PyObject *copy = PyDict_Copy(annotations);
        int status =
            copy == NULL
                ? -1
                : PyDict_SetItemString(s->ns, "__annotations__", copy);
        Py_XDECREF(copy);
        if (status < 0 ||
            PyDict_SetItemString(
                s->before, "__annotations__",
                PyDict_GetItemString(s->ns, "__annotations__")) < 0) {
            return -1;
        }
    }
    if (hr_scope_plan(s) < 0 || keep_hash_rule(s) < 0) {
        return -1;
    }
    if (annotations != NULL) {
        PyObject *now = PyDict_GetItemString(s->ns, "__annotations__");
        int same = now == NULL
                       ? 1
                       : PyObject_RichCompareBool(now, annotations, Py_EQ);
        PyObject *key = PyUnicode_InternFromString("__annotations__");
        if (same < 0 || key == NULL ||
            (!same &&
             hr_journal_add(p->j, HR_PLACE_TYPE, s->type, key, now) < 0)) {
            Py_XDECREF(key);
            return -1;
        }
        Py_DECREF(key);
    }
    return plan_names(s) < 0 ? -1 : PyList_Append(p->classes, s->type);
}

/* -- Which class, and which of the two ways --------------------------------
 */

/* A class that a decorator has put behind something else is not made again
 * from what its name holds. */
static int
run_behind(struct hr_scope *outer, const struct hr_block *new)
{
    return hr_scope_run(outer, new) < 0
               ? -1
               : hr_plan_add_edit(outer->u, "changed", outer->prefix,
                                  outer->u->text, new);
}

/* `again`: run it as a whole in any case. */
static int
plan_live_class(struct hr_scope *outer, PyObject *type, PyObject *name,
                const struct hr_block *old, const struct hr_block *new,
                int again)
{
    const struct hr_members *members = hr_text_members(outer->u, old, new);
    struct hr_scope s = {.u = outer->u, .type = type};
    int status = -1;
    if (members == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    s.live =
        hr_layer_dict(s.u->plan->st, HR_LAYER_SOURCES, HR_PLACE_TYPE, type);
    if (s.live == NULL) {
        return -1;
    }
    s.prefix = ((PyHeapTypeObject *)type)->ht_qualname;
    memcpy(s.classes, outer->classes, sizeof s.classes);
    s.depth = outer->depth;
    s.old_text = outer->old_text;
    s.old = &members->old;
    s.new = &members->new;
    PyObject *plain = hr_name_of(outer->u->text, new);
    if (plain == NULL || s.depth == HR_MAX_DEPTH) {
        Py_XDECREF(plain);
        Py_DECREF(s.live);
        return PyErr_Occurred() ? -1 : hr_scope_run(outer, new);
    }
    s.classes[s.depth++] = plain;
    if (hr_diff_blocks(s.old_text, s.old, outer->u->text, s.new, &s.diff) <
        0) {
        goto done;
    }
    if (!again && old->hash == new->hash) {
        status = !new->body_inline &&hr_whole_is_made(&s, new)
                     ? hr_member_mark(&s)
                     : 0;
        if (status < 0 || (status == 0 && old->raw_hash == new->raw_hash)) {
            goto done;
        }
    }
    int whole = again || hr_whole_is_needed(&s, old, new);
    PyObject *holds = PyDict_GetItemWithError(outer->live, name);
    if (whole && !again && holds != NULL && !PyType_Check(holds)) {
        status = run_behind(outer, new);
        goto done;
    }
    status =
        whole ? hr_remake_class(outer, &s, name, old, new) : plan_members(&s);
    if (status == 0 && whole) {
        status = hr_plan_add_edit(outer->u, "changed", outer->prefix,
                                  outer->u->text, new);
    }
done:
    hr_scope_clear(&s);
    Py_XDECREF(s.ns);
    Py_XDECREF(s.before);
    Py_DECREF(s.live);
    Py_DECREF(plain);
    return status;
}

int
hr_classdef_again(struct hr_scope *outer, PyObject *type, PyObject *name,
                  const struct hr_block *old, const struct hr_block *new)
{
    return plan_live_class(outer, type, name, old, new, 1);
}

/* 1 when a method of the class lies in the block, 0 when one lies elsewhere,
 * -1 when nothing tells. */
static int
lies_in(struct hr_scope *s, PyObject *type, const struct hr_block *b)
{
    PyObject *dict =
        hr_layer_dict(s->u->plan->st, HR_LAYER_SOURCES, HR_PLACE_TYPE, type);
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    int lies = -1;
    while (dict != NULL && lies < 0 && PyDict_Next(dict, &pos, &key, &value)) {
        if (!PyFunction_Check(value)) {
            continue;
        }
        PyObject *body = hr_plan_body(s->u->plan, value);
        PyCodeObject *code =
            (PyCodeObject *)((PyFunctionObject *)body)->func_code;
        if (PyUnicode_Compare(code->co_filename, s->u->filename) == 0 &&
            PyUnicode_Compare(((PyFunctionObject *)value)->func_name,
                              code->co_name) == 0) {
            lies = code->co_firstlineno >= (int)b->line &&
                   code->co_firstlineno <= (int)b->end_line;
        }
    }
    Py_XDECREF(dict);
    PyErr_Clear(); /* without memory nothing tells */
    return lies;
}

/* Of several classes of one name, the one that the block made. */
static PyObject *
find_class(struct hr_scope *s, PyObject *live, const struct hr_block *old)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    if (!hr_class_is_open(live) || lies_in(s, live, old) != 0) {
        return live;
    }
    while (PyDict_Next(s->live, &pos, &key, &value)) {
        if (value != live && hr_class_is_open(value) &&
            lies_in(s, value, old) == 1) {
            return value;
        }
    }
    /* `class K(K)`: the first one is a base of the second. */
    PyObject *mro = ((PyTypeObject *)live)->tp_mro;
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        if (hr_class_is_open(base) && lies_in(s, base, old) == 1) {
            return base;
        }
    }
    return live;
}

int
hr_classdef_plan(struct hr_scope *s, const struct hr_block *old,
                 const struct hr_block *new)
{
    PyObject *name = hr_scope_name(s, s->u->text, new);
    int status = -1;
    if (name == NULL) {
        return -1;
    }
    PyObject *live = PyDict_GetItemWithError(s->live, name);
    if (old != NULL && live != NULL) {
        live = find_class(s, live, old);
    }
    PyObject *expected = s->prefix == NULL
                             ? Py_NewRef(name)
                             : PyUnicode_FromFormat("%U.%U", s->prefix, name);
    /* A decorator may have returned a function that makes the only object. */
    PyObject *behind = NULL;
    if (expected != NULL && live != NULL && old != NULL && old->decorated &&
        !PyType_Check(live)) {
        behind = hr_unwrap_class(s, live, expected);
        live = behind != NULL ? behind : live;
    }
    if (expected != NULL && live != NULL && old != NULL &&
        hr_class_is_open(live) &&
        PyUnicode_Compare(((PyHeapTypeObject *)live)->ht_qualname, expected) ==
            0) {
        status = plan_live_class(s, live, name, old, new, 0);
        if (status == 0 && PyDict_GetItemWithError(s->before, name) == live) {
            /* An earlier class of that name may have run. */
            status = hr_scope_set_name(s, name, live);
        }
    }
    else if (expected != NULL) {
        status = hr_scope_run(s, new);
        if (status == 0) {
            status = hr_plan_add_edit(s->u, old ? "changed" : "added",
                                      s->prefix, s->u->text, new);
        }
    }
    Py_XDECREF(behind);
    Py_XDECREF(expected);
    Py_DECREF(name);
    return status;
}

int
hr_classdef_follow(struct hr_scope *s, const struct hr_block *old,
                   const struct hr_block *new)
{
    PyObject *name = hr_scope_name(s, s->u->text, new);
    PyObject *type = name ? PyDict_GetItemWithError(s->live, name) : NULL;
    int made = type != NULL && hr_class_is_open(type) &&
               (new->decorated || Py_TYPE(type) != &PyType_Type ||
                PyDict_GetItemString(hr_compat_type_dict((PyTypeObject *)type),
                                     "_fields") != NULL);
    Py_XDECREF(name);
    return name == NULL ? -1 : made ? hr_classdef_plan(s, old, new) : 0;
}
