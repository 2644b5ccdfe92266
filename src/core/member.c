/* Members of a class that compute from a changed name, of the class or of its
 * module.
 *
 * The class as such did not change, or is planned by classdef.c; here it is
 * about `LIMITS = (LOW, HIGH)` when LOW has another value.  A member follows
 * when it is a pure computation (pure.c) and still holds what the old value
 * gives.
 */
#include "scope.h"

/* One member that computes from `changed`: its new value goes to s->ns. */
static int
follow_member(struct hr_scope *s, PyObject *changed, const struct hr_block *b)
{
    const char *text = s->u->text;
    PyObject *name = hr_scope_name(s, text, b);
    PyObject *code = NULL, *was = NULL, *is = NULL, *globals = NULL;
    int status = name == NULL ? -1 : 0, found = 0;
    if (status < 0 ||
        !hr_pure_reads(text + b->start, b->end - b->start, changed) ||
        PyUnicode_Compare(name, changed) == 0) {
        goto done;
    }
    PyObject *live = PyDict_GetItemWithError(s->live, name);
    status = -1;
    code = hr_code_compile(s->u, text + b->start, b->end - b->start,
                           (int)b->line, s->classes, s->depth);
    was = code ? PyDict_Copy(s->live) : NULL;
    is = was ? PyDict_Copy(s->ns) : NULL;
    globals = is ? PyDict_Copy(s->u->dict) : NULL;
    if (globals == NULL || PyDict_Update(globals, s->live) < 0) {
        goto done;
    }
    status = 0;
    if (live == NULL || !hr_pure_is_value(live)) {
        goto done;
    }
    /* Every class body sets these two. */
    if (PyDict_SetItemString(globals, "__name__", s->u->name) < 0 ||
        PyDict_SetItemString(globals, "__module__", s->u->name) < 0 ||
        PyDict_SetItemString(globals, "__qualname__", s->prefix) < 0 ||
        !hr_pure_is_assignment(code, globals, name, NULL)) {
        goto done;
    }
    PyObject *now = s->u->evaluates ? s->u->shadow : s->u->dict;
    PyObject *a = PyEval_EvalCode(code, s->u->dict, was);
    PyObject *c = a ? PyEval_EvalCode(code, now, is) : NULL;
    if (c == NULL) {
        PyErr_Clear();
    }
    else {
        PyObject *old = PyDict_GetItemWithError(was, name);
        PyObject *new = PyDict_GetItemWithError(is, name);
        if (old != NULL && new != NULL && hr_pure_still_holds(live, old) &&
            !hr_pure_still_holds(live, new)) {
            status = PyDict_SetItem(s->ns, name, new);
            found = 1;
        }
    }
    Py_XDECREF(a);
    Py_XDECREF(c);
done:
    Py_XDECREF(globals);
    Py_XDECREF(is);
    Py_XDECREF(was);
    Py_XDECREF(code);
    Py_XDECREF(name);
    return status < 0 ? -1 : found;
}

/* All that computes from one name, of the class or of its module; members that
 * get another value so are appended to `work`. */
static int
follow_in_class(struct hr_scope *s, PyObject *changed, PyObject *work)
{
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        int status = 0;
        if (hr_scope_is_changed(s, i)) {
            continue;
        }
        if (b->kind == HR_BLOCK_DEF) {
            status = hr_default_follow(s, changed, s->u->text, b);
        }
        else if (b->kind == HR_BLOCK_ASSIGN) {
            status = follow_member(s, changed, b);
        }
        if (status == 1) {
            PyObject *name = hr_scope_name(s, s->u->text, b);
            status = name == NULL ? -1 : PyList_Append(work, name);
            Py_XDECREF(name);
        }
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_member_derive(struct hr_scope *s)
{
    PyObject *work = PyList_New(0), *name, *value;
    Py_ssize_t pos = 0;
    int status = work == NULL ? -1 : 0;
    while (status == 0 && PyDict_Next(s->ns, &pos, &name, &value)) {
        PyObject *old = PyDict_GetItemWithError(s->before, name);
        if (old != value && hr_pure_is_value(value) && PyUnicode_Check(name) &&
            PyUnicode_ReadChar(name, 0) != '_') {
            status = PyList_Append(work, name);
        }
    }
    for (Py_ssize_t i = 0;
         status == 0 && i < PyList_GET_SIZE(work) && i < 1000; i++) {
        PyObject *changed = Py_NewRef(PyList_GET_ITEM(work, i));
        status = follow_in_class(s, changed, work);
        Py_DECREF(changed);
    }
    Py_XDECREF(work);
    return status;
}

/* The size of the text that the unit's blocks are of. */
static size_t
planned_size(struct hr_unit *u)
{
    return u->text != NULL ? u->size : u->source->size;
}

int
hr_member_follow(struct hr_plan *p, PyObject *of_module, struct hr_unit *u,
                 const char *text, const struct hr_block *b)
{
    struct hr_blocks members = {0};
    struct hr_lex_error error;
    struct hr_unit v = *u;
    struct hr_scope s = {.u = &v, .old_text = text, .depth = 1};
    PyObject *plain = hr_name_of(text, b);
    PyObject *type = plain ? PyDict_GetItemWithError(u->dict, plain) : NULL;
    PyObject *work = PyList_New(0);
    int status = plain == NULL || work == NULL ? -1 : 0;
    v.text = text;
    v.evaluates = 1;
    v.shadow = PyDict_Copy(u->dict); /* as the names will be */
    if (v.shadow == NULL ||
        hr_journal_update_dict(p->j, u->dict, v.shadow) < 0) {
        status = -1;
    }
    if (status < 0 || type == NULL || !hr_class_is_open(type) ||
        Py_TYPE(type) != &PyType_Type || b->decorated ||
        hr_lex_members(text, planned_size(u), b, &members, &error) !=
            HR_LEX_OK) {
        goto done;
    }
    s.type = type;
    s.live = hr_compat_type_dict((PyTypeObject *)type);
    s.prefix = ((PyHeapTypeObject *)type)->ht_qualname;
    s.classes[0] = plain;
    s.old = s.new = &members;
    status = -1;
    if (hr_diff_blocks(text, &members, text, &members, &s.diff) < 0) {
        goto done;
    }
    s.ns = PyDict_Copy(s.live);
    s.before = s.ns ? PyDict_Copy(s.ns) : NULL;
    if (s.before == NULL || PyList_Append(work, of_module) < 0) {
        goto done;
    }
    status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(work); i++) {
        PyObject *changed = Py_NewRef(PyList_GET_ITEM(work, i));
        status = follow_in_class(&s, changed, work);
        Py_DECREF(changed);
    }
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    while (status == 0 && PyDict_Next(s.ns, &pos, &name, &value)) {
        PyObject *planned = NULL;
        hr_journal_peek(p->j, HR_PLACE_TYPE, type, name, &planned);
        if (value != PyDict_GetItemWithError(s.before, name) &&
            planned == NULL) {
            status = hr_journal_add(p->j, HR_PLACE_TYPE, type, name, value);
        }
    }
done:
    hr_diff_clear(&s.diff);
    hr_blocks_clear(&members);
    Py_XDECREF(s.ns);
    Py_XDECREF(s.before);
    Py_XDECREF(v.shadow);
    Py_XDECREF(work);
    Py_XDECREF(plain);
    return status;
}
