/* What the program has done to a class that is made again.
 *
 * Three are merged: what the old statement made, what is there now, and what
 * the new statement has made.  The old statement cannot be run again; what it
 * made is known from its text:
 *
 *     a member whose statement did not change     stays as it is, or gone
 *     a name that the old text did not bind       stays
 *     a class inside of it                        is merged in turn
 *
 * All of it is done to the donor, which nobody has seen.
 */
#include "scope.h"

/* -- What the old statement made ------------------------------------------ */

/* The code of a class's body, in the code of the statement that makes it.
 * Borrowed or NULL. */
static PyObject *
find_body(PyObject *code, PyObject *name, int depth)
{
    PyObject *found = hr_code_find(code, name);
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0;
         found == NULL && depth > 0 && i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *inner = PyTuple_GET_ITEM(consts, i);
        if (PyCode_Check(inner)) {
            found = find_body(inner, name, depth - 1);
        }
    }
    return found;
}

/* Does the code, or what is nested in it, use this attribute? */
static int
code_mentions(PyObject *code, PyObject *name)
{
    PyCodeObject *c = (PyCodeObject *)code;
    int found = PySequence_Contains(c->co_names, name);
    for (Py_ssize_t i = 0; found == 0 && i < PyTuple_GET_SIZE(c->co_consts);
         i++) {
        PyObject *o = PyTuple_GET_ITEM(c->co_consts, i);
        if (PyCode_Check(o)) {
            found = code_mentions(o, name);
        }
        else if (PyUnicode_Check(o)) {
            found = PyUnicode_Compare(o, name) == 0;
        }
    }
    return found;
}

static int
mentions(PyObject *o, PyObject *name)
{
    static const char *const makers[] = {"__init_subclass__", "__new__",
                                         "__init__", "__call__", NULL};
    int found = 0;
    if (PyFunction_Check(o)) {
        return code_mentions(((PyFunctionObject *)o)->func_code, name);
    }
    if (!hr_class_is_open(o)) {
        return 0;
    }
    for (int i = 0; found == 0 && makers[i] != NULL; i++) {
        PyObject *maker = PyObject_GetAttrString(o, makers[i]);
        PyErr_Clear();
        if (maker != NULL && PyMethod_Check(maker)) {
            Py_SETREF(maker, Py_NewRef(PyMethod_GET_FUNCTION(maker)));
        }
        found = maker != NULL && PyFunction_Check(maker) &&
                code_mentions(((PyFunctionObject *)maker)->func_code, name);
        Py_XDECREF(maker);
    }
    return found;
}

struct past {
    PyObject *type;  /* borrowed: the live class */
    PyObject *live;  /* owned: its dict, beneath replacements */
    PyObject *bound; /* owned: names that the old body binds, or NULL */
    PyObject *used;  /* owned: what the old statement uses: values, or NULL */
};

static void
clear_past(struct past *past)
{
    Py_XDECREF(past->live);
    Py_XDECREF(past->bound);
    Py_XDECREF(past->used);
}

/* The decorators, bases and metaclass of the old statement. */
static int
list_used(struct past *past, struct hr_scope *outer, PyObject *statement)
{
    PyObject *names = ((PyCodeObject *)statement)->co_names;
    PyObject *meta = (PyObject *)Py_TYPE(past->type);
    past->used = PySequence_List(((PyTypeObject *)past->type)->tp_bases);
    int status = past->used == NULL ? -1 : PyList_Append(past->used, meta);
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(outer->live, name);
        if (value == NULL) {
            value = PyDict_GetItemWithError(outer->u->dict, name);
        }
        if (value != NULL) {
            status = PyList_Append(past->used, value);
        }
    }
    return status;
}

static int
look_back(struct past *past, struct hr_scope *outer,
          const struct hr_block *old)
{
    PyHeapTypeObject *type = (PyHeapTypeObject *)past->type;
    past->live = hr_layer_dict(outer->u->plan->st, HR_LAYER_SOURCES,
                               HR_PLACE_TYPE, past->type);
    if (past->live == NULL) {
        return -1;
    }
    PyObject *code = hr_code_compile(outer->u, outer->old_text + old->start,
                                     old->end - old->start, (int)old->line,
                                     outer->classes, outer->depth);
    if (code == NULL) {
        return -1;
    }
    PyObject *body = find_body(code, type->ht_name, 3);
    int status = 0;
    if (body != NULL) {
        past->bound = hr_bytecode_stored_names(body);
        status = past->bound == NULL ? -1 : list_used(past, outer, code);
    }
    Py_DECREF(code);
    return status;
}

/* `__x__` and `_x_`: what decorators and metaclasses make, not programs. */
static int
is_special(PyObject *name)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(name);
    return n > 2 && PyUnicode_ReadChar(name, 0) == '_' &&
           PyUnicode_ReadChar(name, n - 1) == '_';
}

/* Has the program set this name of the live class?  1, 0, or -1. */
static int
is_of_program(struct past *past, PyObject *name)
{
    PyObject *notes = PyDict_GetItemString(past->live, "__annotations__");
    if (past->bound == NULL || !PyUnicode_Check(name) || is_special(name)) {
        return 0;
    }
    int made = PySequence_Contains(past->bound, name);
    if (made == 0 && notes != NULL && PyDict_Check(notes)) {
        made = PyDict_Contains(notes, name);
    }
    for (Py_ssize_t i = 0; made == 0 && i < PyList_GET_SIZE(past->used); i++) {
        made = mentions(PyList_GET_ITEM(past->used, i), name);
    }
    return made < 0 ? -1 : !made;
}

/* -- Merging -------------------------------------------------------------- */

/* Names that the program has added stay. */
static int
keep_added(struct past *past, PyObject *donor)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)donor);
    PyObject *items = PyDict_Items(past->live);
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        if (PyDict_GetItemWithError(dict, name) != NULL ||
            Py_TYPE(value) == &PyMemberDescr_Type) {
            continue;
        }
        status = is_of_program(past, name);
        if (status > 0) {
            status = hr_class_set(donor, name, value);
        }
    }
    Py_XDECREF(items);
    return status;
}

/* Is the name bound in the text by statements that did not change? */
static int
is_settled(struct hr_scope *s, PyObject *name)
{
    for (size_t i = 0; i < s->new->count; i++) {
        int is = hr_scope_is_changed(s, i)
                     ? hr_name_is(s->u->text, &s->new->items[i], name)
                     : 0;
        if (is != 0) {
            return is < 0 ? -1 : 0;
        }
    }
    for (size_t i = 0; i < s->old->count; i++) {
        int is = s->diff.used[i]
                     ? 0
                     : hr_name_is(s->old_text, &s->old->items[i], name);
        if (is != 0) {
            return is < 0 ? -1 : 0;
        }
    }
    return 1;
}

static int
is_behind(struct hr_scope *s, PyObject *value, const struct hr_block *b)
{
    PyObject *found = hr_unwrap_behind(s, value, s->old_text, b, -1, NULL);
    Py_XDECREF(found);
    return found != NULL;
}

/* The place of a slot, or of an item of a named tuple. */
static int
is_field(PyObject *value)
{
    return Py_TYPE(value) == &PyMemberDescr_Type ||
           strstr(Py_TYPE(value)->tp_name, "_tuplegetter") != NULL;
}

/* A member whose statement did not change: whatever the program has done to it
 * stays. */
static int
keep_member(struct hr_scope *s, PyObject *donor, const struct hr_block *b,
            const struct hr_block *was, int same_head)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)donor);
    PyObject *name = hr_scope_name(s, s->u->text, b);
    if (name == NULL) {
        return -1;
    }
    PyObject *old = PyDict_GetItemWithError(s->live, name);
    PyObject *new = PyDict_GetItemWithError(dict, name);
    int is_def = b->kind == HR_BLOCK_DEF, status = 0;
    if (old == new || (old != NULL && is_field(old))) {
    }
    else if (old == NULL) {
        if (same_head || (b->kind != HR_BLOCK_ASSIGN && !b->decorated)) {
            status = hr_class_set(donor, name, NULL);
        }
    }
    else if (new == NULL) {
        status = same_head ? hr_class_set(donor, name, old) : 0;
    }
    else if (b->kind == HR_BLOCK_ASSIGN ||
             (is_def && !is_behind(s, old, was) && is_behind(s, new, was))) {
        status = hr_class_set(donor, name, old);
    }
    Py_DECREF(name);
    return status;
}

static int
keep_members(struct hr_scope *s, PyObject *donor, int same_head)
{
    int is_enum = hr_enum_is(s->type);
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->name_len == 0 || hr_scope_is_changed(s, i) ||
            (is_enum && b->kind == HR_BLOCK_ASSIGN)) {
            continue;
        }
        PyObject *name = hr_name_of(s->u->text, b);
        int settled = name == NULL ? -1 : is_settled(s, name);
        Py_XDECREF(name);
        const struct hr_block *was = &s->old->items[s->diff.match[i]];
        if (settled < 0 ||
            (settled && keep_member(s, donor, b, was, same_head) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* Are both made by a class statement of this name, in this class? */
static int
are_nested(PyObject *type, PyObject *old, PyObject *new)
{
    if (old == NULL || old == new || !hr_class_is_open(old) ||
        !hr_class_is_open(new)) {
        return 0;
    }
    PyObject *outer = ((PyHeapTypeObject *)type)->ht_qualname;
    PyObject *a = ((PyHeapTypeObject *)old)->ht_qualname;
    Py_ssize_t n = PyUnicode_GET_LENGTH(outer);
    return PyUnicode_Compare(a, ((PyHeapTypeObject *)new)->ht_qualname) == 0 &&
           PyUnicode_GET_LENGTH(a) > n &&
           PyUnicode_Tailmatch(a, outer, 0, n, -1) == 1;
}

static int
merge_nested(struct hr_scope *s, struct past *past, PyObject *donor,
             struct hr_scope *outer, const struct hr_block *old)
{
    PyObject *items = PyDict_Items(hr_compat_type_dict((PyTypeObject *)donor));
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *new = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        PyObject *inner = PyDict_GetItemWithError(past->live, name);
        if (!are_nested(past->type, inner, new)) {
            continue;
        }
        const struct hr_block *was =
            s != NULL ? hr_scope_old_block(s, name) : NULL;
        status = was != NULL ? hr_remake_merge(s, inner, new, was)
                             : hr_remake_merge(outer, inner, new, old);
        if (status == 0) {
            status = hr_class_set(donor, name, inner);
        }
    }
    Py_XDECREF(items);
    return status;
}

int
hr_past_keep(struct hr_scope *outer, struct hr_scope *s, PyObject *type,
             PyObject *donor, const struct hr_block *old, int same_head)
{
    struct past past = {.type = type};
    int status = look_back(&past, outer, old);
    if (status == 0 && s != NULL) {
        status = keep_members(s, donor, same_head);
    }
    if (status == 0) {
        status = keep_added(&past, donor);
    }
    if (status == 0) {
        status = merge_nested(s, &past, donor, outer, old);
    }
    clear_past(&past);
    return status;
}
