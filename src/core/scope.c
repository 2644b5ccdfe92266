/* What changed in a scope, a module or a class: evaluate it, and plan it.
 *
 * Blocks that did not change are not looked at.  A changed function whose
 * decorators did not change is compiled without them, and the live function
 * behind whatever wraps it takes its body.  Everything else that changed is
 * run as it stands, in the order of the text; what names then hold is merged
 * with what they held, so that functions and classes keep their identity.
 */
#include "scope.h"

/* -- Text ----------------------------------------------------------------- */

PyObject *
hr_scope_name(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    const char *name = text + b->name;
    size_t n = b->name_len;
    PyObject *result;
    if (s->depth > 0 && n > 2 && name[0] == '_' && name[1] == '_' &&
        !(name[n - 1] == '_' && name[n - 2] == '_')) {
        PyObject *plain = PyUnicode_DecodeUTF8(name, (Py_ssize_t)n, NULL);
        PyObject *cls = s->classes[s->depth - 1];
        Py_ssize_t skip = 0, length = PyUnicode_GET_LENGTH(cls);
        while (skip < length && PyUnicode_ReadChar(cls, skip) == '_') {
            skip++;
        }
        PyObject *bare = PyUnicode_Substring(cls, skip, length);
        result = plain == NULL || bare == NULL ? NULL
                 : skip == length              ? Py_NewRef(plain)
                                  : PyUnicode_FromFormat("_%U%U", bare, plain);
        Py_XDECREF(plain);
        Py_XDECREF(bare);
    }
    else {
        result = PyUnicode_DecodeUTF8(name, (Py_ssize_t)n, NULL);
    }
    if (result != NULL) {
        PyUnicode_InternInPlace(&result);
    }
    return result;
}

/* The offset of a later line of a block. */
static uint32_t
offset_of_line(const char *text, const struct hr_block *b, uint32_t line)
{
    uint32_t at = b->start;
    for (uint32_t l = b->line; l < line && at < b->end; at++) {
        if (text[at] == '\n' || (text[at] == '\r' && text[at + 1] != '\n')) {
            l++;
        }
    }
    return at;
}

static int
has_same_decorators(struct hr_scope *s, const struct hr_block *old,
                    const struct hr_block *new)
{
    if (!old->decorated || !new->decorated) {
        return old->decorated == new->decorated;
    }
    uint32_t a = offset_of_line(s->old_text, old, old->def_line) - old->start;
    uint32_t b = offset_of_line(s->u->text, new, new->def_line) - new->start;
    return a == b &&
           memcmp(s->old_text + old->start, s->u->text + new->start, a) == 0;
}

int
hr_scope_is_main(struct hr_scope *s, const struct hr_block *b)
{
    const char *at = s->u->text + b->start;
    /* In another module than __main__ its condition is false by itself. */
    return s->depth == 0 && b->kind == HR_BLOCK_COMPOUND &&
           PyUnicode_CompareWithASCIIString(s->u->name, "__main__") == 0 &&
           strncmp(at, "if", 2) == 0 && strstr(at, "__name__") != NULL &&
           strstr(at, "__name__") < s->u->text + b->head_end;
}

/* Does the block differ in more than its place? */
int
hr_scope_is_changed(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    int k = s->diff.match[i];
    return k < 0 || s->old->items[k].hash != b->hash;
}

/* -- Running -------------------------------------------------------------- */

static int
run_text(struct hr_scope *s, uint32_t start, uint32_t end, uint32_t line)
{
    PyObject *code = hr_code_compile(s->u, s->u->text + start, end - start,
                                     (int)line, s->classes, s->depth);
    if (code == NULL) {
        return -1;
    }
    int status = hr_evaluate_run(s->u, code, s->ns);
    Py_DECREF(code);
    if (status == 0 && s->type != NULL) {
        /* super() in what was just made finds the class by this cell. */
        PyObject *cell = PyDict_GetItemString(s->ns, "__classcell__");
        if (cell != NULL && PyCell_Check(cell)) {
            status = PyCell_Set(cell, s->type);
            if (status == 0) {
                status = PyDict_DelItemString(s->ns, "__classcell__");
            }
        }
    }
    return status;
}

int
hr_scope_run(struct hr_scope *s, const struct hr_block *b)
{
    return run_text(s, b->start, b->end, b->line);
}

static int
set_name(PyObject *ns, PyObject *name, PyObject *value)
{
    if (value != NULL) {
        return PyDict_SetItem(ns, name, value);
    }
    int has = PyDict_Contains(ns, name);
    return has > 0 ? PyDict_DelItem(ns, name) : has;
}

/* The function of a definition without its decorators.  New reference; the
 * name keeps what it holds. */
static PyObject *
make_function(struct hr_scope *s, PyObject *name, const struct hr_block *b)
{
    PyObject *held = PyDict_GetItemWithError(s->ns, name);
    PyObject *function = NULL, *code = NULL;
    uint32_t start = offset_of_line(s->u->text, b, b->def_line);
    Py_XINCREF(held);
    if (run_text(s, start, b->end, b->def_line) < 0) {
        goto done;
    }
    function = Py_XNewRef(PyDict_GetItemWithError(s->ns, name));
    if (function == NULL || !PyFunction_Check(function)) {
        Py_CLEAR(function);
        PyErr_SetString(PyExc_SystemError, "the definition made no function");
        goto done;
    }
    if (set_name(s->ns, name, held) < 0) {
        Py_CLEAR(function);
        goto done;
    }
    if (b->decorated) {
        /* Its lines begin with the decorators: take that code. */
        PyObject *plain = ((PyFunctionObject *)function)->func_code;
        code = hr_code_compile(s->u, s->u->text + b->start, b->end - b->start,
                               (int)b->line, s->classes, s->depth);
        PyObject *whole =
            code ? hr_code_find(code, ((PyCodeObject *)plain)->co_name) : NULL;
        if (code == NULL) {
            Py_CLEAR(function);
        }
        else if (whole != NULL) {
            hr_function_set_code(function, whole);
        }
    }
done:
    Py_XDECREF(code);
    Py_XDECREF(held);
    return function;
}

/* -- Finding the live function -------------------------------------------- */

struct search {
    struct hr_scope *s;
    PyObject *name; /* as in the text, not mangled */
    int line;       /* -1: any */
    PyObject *seen[64];
    int count;
};

static int
is_wanted(struct search *w, PyObject *function)
{
    struct hr_unit *u = w->s->u;
    PyObject *body = hr_plan_body(u->plan, function);
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)body)->func_code;
    return PyUnicode_Compare(code->co_name, w->name) == 0 &&
           PyUnicode_Compare(code->co_filename, u->filename) == 0 &&
           (w->line < 0 || code->co_firstlineno == w->line);
}

static PyObject *search_value(struct search *w, PyObject *o, int depth);

static PyObject *
search_attributes(struct search *w, PyObject *o, int depth)
{
    static const char *const names[] = {
        "__func__", "fget", "fset", "fdel", "func", "__wrapped__", NULL};
    PyObject *found = NULL;
    for (int i = 0; found == NULL && names[i] != NULL; i++) {
        PyObject *inner = PyObject_GetAttrString(o, names[i]);
        PyErr_Clear();
        if (inner != NULL && inner != Py_None) {
            found = search_value(w, inner, depth - 1);
        }
        Py_XDECREF(inner); /* held by `o` */
    }
    return found;
}

static PyObject *
search_closure(struct search *w, PyObject *function, int depth)
{
    PyObject *closure = PyFunction_GET_CLOSURE(function);
    PyObject *found = NULL;
    for (Py_ssize_t i = 0;
         found == NULL && closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *content = hr_compat_cell_peek(PyTuple_GET_ITEM(closure, i));
        if (content == NULL) {
            continue;
        }
        found = search_value(w, content, depth - 1);
        if (found == NULL && Py_TYPE(content) == &PyDict_Type &&
            PyDict_GET_SIZE(content) < 1000) {
            PyObject *key, *value; /* as singledispatch's registry */
            Py_ssize_t pos = 0;
            while (found == NULL && PyDict_Next(content, &pos, &key, &value)) {
                found = PyFunction_Check(value)
                            ? search_value(w, value, depth - 1)
                            : NULL;
            }
        }
    }
    return found;
}

/* Borrowed. */
static PyObject *
search_value(struct search *w, PyObject *o, int depth)
{
    PyTypeObject *type = Py_TYPE(o);
    if (depth == 0 || o == NULL || PyType_Check(o) || PyModule_Check(o) ||
        type == &PyUnicode_Type || type == &PyLong_Type) {
        return NULL;
    }
    for (int i = 0; i < w->count; i++) {
        if (w->seen[i] == o) {
            return NULL;
        }
    }
    if (w->count < 64) {
        w->seen[w->count++] = o;
    }
    if (PyFunction_Check(o)) {
        if (is_wanted(w, o)) {
            return o;
        }
        PyObject *dict = ((PyFunctionObject *)o)->func_dict;
        PyObject *inner =
            dict ? PyDict_GetItemString(dict, "__wrapped__") : NULL;
        PyObject *found = inner ? search_value(w, inner, depth - 1) : NULL;
        return found != NULL ? found : search_closure(w, o, depth);
    }
    if (PyMethod_Check(o)) {
        return search_value(w, PyMethod_GET_FUNCTION(o), depth - 1);
    }
    if (PyCFunction_Check(o) ||
        (type->tp_descr_get == NULL && !PyCallable_Check(o))) {
        return NULL;
    }
    return search_attributes(w, o, depth);
}

/* Where names do not lead: any function alive that was made by this block. */
static PyObject *
search_heap(struct search *w)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *all = gc ? PyObject_CallMethod(gc, "get_objects", NULL) : NULL;
    PyObject *found = NULL;
    for (Py_ssize_t i = 0;
         found == NULL && all != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (Py_TYPE(o) == &PyFunction_Type && is_wanted(w, o) &&
            !hr_function_is_holder(o) &&
            ((PyFunctionObject *)o)->func_globals == w->s->u->dict) {
            found = o;
        }
    }
    Py_XDECREF(all);
    Py_XDECREF(gc);
    PyErr_Clear();
    return found;
}

PyObject *
hr_scope_find_function(struct hr_scope *s, PyObject *value, PyObject *name,
                       const struct hr_block *old)
{
    struct search w = {.s = s, .line = (int)old->line};
    PyObject *found = NULL;
    w.name =
        PyUnicode_DecodeUTF8(s->old_text + old->name, old->name_len, NULL);
    (void)name;
    if (w.name == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (value != NULL) {
        found = search_value(&w, value, 6);
    }
    if (found == NULL) {
        /* An alias, when the name was taken by a later definition. */
        PyObject *key, *other;
        Py_ssize_t pos = 0;
        while (found == NULL && PyDict_Next(s->live, &pos, &key, &other)) {
            if (PyFunction_Check(other) && is_wanted(&w, other)) {
                found = other;
            }
        }
    }
    if (found == NULL && (old->decorated || value == NULL)) {
        found = search_heap(&w);
    }
    if (found == NULL && value != NULL &&
        (s->u->source->doubt || PyFunction_Check(value))) {
        w.line = -1;
        w.count = 0;
        found = search_value(&w, value, 6);
        if (found != NULL && s->u->source->doubt == 0 && found != value) {
            found = NULL;
        }
    }
    Py_DECREF(w.name);
    return found;
}

const struct hr_block *
hr_scope_old_block(struct hr_scope *s, PyObject *name)
{
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &n);
    for (size_t i = s->new->count; utf8 != NULL &&i-- > 0;) {
        const struct hr_block *b = &s->new->items[i];
        const char *text = s->u->text;
        if (b->name_len > 0 ? b->name_len == (size_t)n &&
                                  memcmp(text + b->name, utf8, (size_t)n) == 0
                            : b->kind == HR_BLOCK_COMPOUND &&
                                  memmem(text + b->start, b->end - b->start,
                                         utf8, (size_t)n) != NULL) {
            int k = s->diff.match[i];
            return k >= 0 ? &s->old->items[k] : NULL;
        }
    }
    PyErr_Clear();
    return NULL;
}

/* -- Merging -------------------------------------------------------------- */

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

static int
merge_function(struct hr_scope *s, PyObject *old, PyObject **value)
{
    struct hr_plan *p = s->u->plan;
    PyObject *holder = hr_function_clone(*value, NULL, NULL);
    int status = holder == NULL ? -1 : hr_plan_function(p, p->j, old, holder);
    if (status == 0) {
        status = hr_evaluate_substitute(p, *value, old);
    }
    Py_XDECREF(holder);
    if (status == 0) {
        Py_SETREF(*value, Py_NewRef(old));
    }
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
            if (was != NULL && is_made_by(s, was, b) && PyFunction_Check(a)) {
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
        PyObject **was = PySequence_Fast_ITEMS(old);
        PyObject **now = PySequence_Fast_ITEMS(new);
        Py_ssize_t n = PySequence_Fast_GET_SIZE(new);
        for (Py_ssize_t i = 0;
             status == 0 && i < n && i < PySequence_Fast_GET_SIZE(old); i++) {
            if (is_made_by(s, was[i], b) && PyFunction_Check(now[i])) {
                status = merge_function(s, was[i], &now[i]);
            }
        }
    }
    return status;
}

int
hr_scope_merge(struct hr_scope *s, PyObject *name, PyObject *old,
               PyObject **value, const struct hr_block *b)
{
    struct hr_plan *p = s->u->plan;
    PyObject *kept = hr_evaluate_kept(p, *value);
    if (kept != NULL) {
        Py_SETREF(*value, Py_NewRef(kept));
        return 0;
    }
    if (old == NULL || old == *value || b == NULL) {
        return 0;
    }
    int defines = b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_COMPOUND;
    if (PyFunction_Check(old) && (defines || is_made_by(s, old, b)) &&
        !hr_journal_has(p->j, HR_PLACE_FUNCTION, old)) {
        if (PyFunction_Check(*value)) {
            PyFunctionObject *f = (PyFunctionObject *)*value;
            if (f->func_globals == s->u->shadow ||
                f->func_globals == s->u->dict || b->kind == HR_BLOCK_DEF) {
                return merge_function(s, old, value);
            }
            return 0;
        }
        if (PyCallable_Check(*value)) {
            /* Whoever holds the function calls what took its place. */
            PyObject *holder = hr_function_trampoline(p->st, *value);
            int status =
                holder == NULL ? -1 : hr_plan_function(p, p->j, old, holder);
            Py_XDECREF(holder);
            return status;
        }
        return 0;
    }
    if (hr_class_is_open(old) && hr_class_is_open(*value)) {
        PyObject *module = PyObject_GetAttrString(old, "__module__");
        int own = module != NULL && PyUnicode_Check(module) &&
                  PyUnicode_Compare(module, s->u->name) == 0;
        Py_XDECREF(module);
        PyErr_Clear();
        if (own && PyUnicode_Compare(
                       ((PyHeapTypeObject *)old)->ht_qualname,
                       ((PyHeapTypeObject *)*value)->ht_qualname) == 0) {
            if (hr_scope_merge_class(s, old, *value, NULL, NULL) < 0) {
                return -1;
            }
            Py_SETREF(*value, Py_NewRef(old));
        }
        return 0;
    }
    (void)name;
    return merge_container(s, old, *value, b);
}

/* -- Names ---------------------------------------------------------------- */

PyObject *
hr_scope_bound_names(struct hr_unit *u, const char *text,
                     const struct hr_block *b)
{
    PyObject *names = PyList_New(0);
    if (names == NULL) {
        return NULL;
    }
    if (b->name_len > 0) {
        PyObject *name =
            PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
        return names;
    }
    PyObject *code = hr_code_compile(u, text + b->start, b->end - b->start,
                                     (int)b->line, NULL, 0);
    PyObject *stored = code ? hr_code_stored_names(code) : NULL;
    if (stored == NULL) {
        PyErr_Clear(); /* it stands in a class, with its own indentation */
    }
    else {
        Py_SETREF(names, Py_NewRef(stored));
    }
    Py_XDECREF(stored);
    Py_XDECREF(code);
    return names;
}

/* Does a later block of the new text bind the name again, or (any) at all? */
static int
is_bound_by(struct hr_scope *s, PyObject *name, size_t from, size_t *which)
{
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &n);
    if (utf8 == NULL) {
        return -1;
    }
    int found = 0;
    for (size_t i = from; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->name_len > 0) {
            if (b->name_len == (size_t)n &&
                memcmp(s->u->text + b->name, utf8, (size_t)n) == 0) {
                *which = i;
                found = 1;
            }
            continue;
        }
        if (b->kind == HR_BLOCK_STRING || hr_scope_is_main(s, b) ||
            memmem(s->u->text + b->start, b->end - b->start, utf8,
                   (size_t)n) == NULL) {
            continue;
        }
        PyObject *names = hr_scope_bound_names(s->u, s->u->text, b);
        int has = names == NULL ? -1 : PySequence_Contains(names, name);
        Py_XDECREF(names);
        if (has < 0) {
            return -1;
        }
        if (has) {
            *which = i;
            found = 1;
        }
    }
    return found;
}

/* -- Definitions ---------------------------------------------------------- */

static int
clear_cache(struct hr_plan *p, PyObject *value, int depth)
{
    if (value == NULL || depth == 0 || PyType_Check(value)) {
        return 0;
    }
    PyObject *clear = PyObject_GetAttrString(value, "cache_clear");
    PyErr_Clear();
    int status = 0;
    if (clear != NULL && PyCallable_Check(clear)) {
        status = PyList_Append(p->after, clear);
    }
    Py_XDECREF(clear);
    PyObject *inner = PyObject_GetAttrString(value, "__wrapped__");
    PyErr_Clear();
    if (inner == NULL) {
        inner = PyObject_GetAttrString(value, "__func__");
        PyErr_Clear();
    }
    if (status == 0 && inner != NULL && inner != value) {
        status = clear_cache(p, inner, depth - 1);
    }
    Py_XDECREF(inner);
    return status;
}

/* With an unchanged header only the code is new: defaults and annotations,
 * and what the program made of them, stay.  1 with *holder, 0 when the
 * definition has to run, -1 with an exception. */
static int
make_body(struct hr_scope *s, PyObject *target, const struct hr_block *new,
          PyObject **holder)
{
    PyObject *body = hr_plan_body(s->u->plan, target);
    PyFunctionObject *f = (PyFunctionObject *)body;
    PyObject *outer =
        hr_code_compile(s->u, s->u->text + new->start, new->end - new->start,
                        (int)new->line, s->classes, s->depth);
    if (outer == NULL) {
        return -1;
    }
    PyObject *code =
        hr_code_find(outer, ((PyCodeObject *)f->func_code)->co_name);
    PyObject *names = NULL, *had = NULL, *closure = NULL;
    int status = 0;
    if (code == NULL) {
        goto done;
    }
    names = hr_compat_freevars((PyCodeObject *)code);
    had = hr_compat_freevars((PyCodeObject *)f->func_code);
    Py_ssize_t n = names ? PyTuple_GET_SIZE(names) : 0;
    closure = n > 0 ? PyTuple_New(n) : NULL;
    status =
        names == NULL || had == NULL || (n > 0 && closure == NULL) ? -1 : 1;
    for (Py_ssize_t i = 0; status == 1 && i < n; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *cell = NULL;
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(had); k++) {
            if (PyUnicode_Compare(name, PyTuple_GET_ITEM(had, k)) == 0) {
                cell = Py_NewRef(PyTuple_GET_ITEM(f->func_closure, k));
            }
        }
        if (cell == NULL && s->type != NULL &&
            PyUnicode_CompareWithASCIIString(name, "__class__") == 0) {
            cell = PyCell_New(s->type);
        }
        status = cell != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
        PyTuple_SET_ITEM(closure, i, cell);
    }
    if (status == 1) {
        *holder = hr_closure_holder(body, code, closure);
        status = *holder == NULL ? -1 : 1;
    }
done:
    Py_XDECREF(closure);
    Py_XDECREF(had);
    Py_XDECREF(names);
    Py_DECREF(outer);
    return status;
}

/* A property has a copy of its getter's doc. */
static int
keep_property_doc(struct hr_scope *s, PyObject *name, PyObject *property,
                  PyFunctionObject *old, PyFunctionObject *new)
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
        made = PyObject_CallFunctionObjArgs((PyObject *)&PyProperty_Type, get,
                                            set, del, new->func_doc, NULL);
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

/* The live function takes the new body; its wrappers stay. */
static int
change_function(struct hr_scope *s, PyObject *name, PyObject *live,
                PyObject *target, const struct hr_block *old,
                const struct hr_block *new)
{
    struct hr_plan *p = s->u->plan;
    PyObject *function = NULL;
    const char *kind = "changed";
    int status = old->head_hash == new->head_hash
                     ? make_body(s, target, new, &function)
                     : 0;
    if (status == 0) {
        function = make_function(s, name, new);
    }
    if (status < 0 || function == NULL) {
        return -1;
    }
    status = -1;
    PyFunctionObject *f = (PyFunctionObject *)function;
    PyFunctionObject *t = (PyFunctionObject *)hr_plan_body(p, target);
    int same = hr_code_is_same(t->func_code, f->func_code);
    if (same < 0) {
        goto done;
    }
    if (same && old->hash == new->hash) {
        kind = "moved";
    }
    /* What the program has set on the function is the program's. */
    hr_function_share_dict(function, (PyObject *)t);
    status = hr_plan_function(p, p->j, target, function);
    if (status == 0 && old->decorated && live != target) {
        status = clear_cache(p, live, 4);
    }
    if (status == 0 && live != NULL && Py_TYPE(live) == &PyProperty_Type) {
        status = keep_property_doc(s, name, live, t, f);
    }
    if (status == 0) {
        status = hr_plan_add_edit(s->u, kind, s->prefix, s->u->text, new);
    }
done:
    Py_DECREF(function);
    return status;
}

static int
plan_def(struct hr_scope *s, size_t i, const struct hr_block *old,
         const struct hr_block *new)
{
    PyObject *name = hr_scope_name(s, s->u->text, new);
    PyObject *live, *target = NULL;
    size_t last = i;
    int status = -1;
    if (name == NULL) {
        return -1;
    }
    live = PyDict_GetItemWithError(s->live, name);
    if (old != NULL && old->kind == HR_BLOCK_DEF &&
        has_same_decorators(s, old, new)) {
        target = hr_scope_find_function(s, live, name, old);
    }
    if (target != NULL) {
        status = change_function(s, name, live, target, old, new);
        goto done;
    }
    PyObject *held = Py_XNewRef(PyDict_GetItemWithError(s->ns, name));
    status = hr_scope_run(s, new);
    if (status == 0) {
        status = is_bound_by(s, name, i + 1, &last);
        if (status > 0 && last != i && !hr_scope_is_changed(s, last)) {
            status = set_name(s->ns, name, held); /* a later one has it */
        }
        else if (status > 0) {
            status = 0;
        }
    }
    Py_XDECREF(held);
    if (status == 0) {
        status = hr_plan_add_edit(s->u, old ? "changed" : "added", s->prefix,
                                  s->u->text, new);
    }
done:
    Py_DECREF(name);
    return status;
}

/* -- Removed blocks ------------------------------------------------------- */

/* All unchanged definitions of a name, in order. */
static int
run_again(struct hr_scope *s, PyObject *name)
{
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->kind != HR_BLOCK_DEF || hr_scope_is_changed(s, i)) {
            continue;
        }
        PyObject *other = hr_scope_name(s, s->u->text, b);
        int same = other != NULL && PyUnicode_Compare(other, name) == 0;
        Py_XDECREF(other);
        if (other == NULL || (same && hr_scope_run(s, b) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
remove_name(struct hr_scope *s, PyObject *name, const struct hr_block *old)
{
    size_t which = 0;
    int bound = is_bound_by(s, name, 0, &which);
    if (bound < 0) {
        return -1;
    }
    if (bound) {
        /* An earlier, unchanged binding comes to light again. */
        const struct hr_block *b = &s->new->items[which];
        int k = s->diff.match[which];
        if (old->kind == HR_BLOCK_DEF && old->decorated && s->depth > 0) {
            return run_again(s, name); /* a property without its setter */
        }
        if (old->name_len > 0 && !hr_scope_is_changed(s, which) &&
            (b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_CLASS ||
             b->kind == HR_BLOCK_ASSIGN) &&
            k >= 0 && s->old->items[k].line < old->line) {
            if (b->kind == HR_BLOCK_DEF && !b->decorated) {
                return set_name(s->ns, name, NULL) < 0 ? -1
                                                       : hr_scope_run(s, b);
            }
            return hr_scope_run(s, b);
        }
        return 0;
    }
    int has = PyDict_Contains(s->live, name);
    if (has <= 0) {
        return has;
    }
    if (set_name(s->ns, name, NULL) < 0) {
        return -1;
    }
    return s->u->removed == NULL ? 0 : PyList_Append(s->u->removed, name);
}

/* An annotation is made anew with its statement. */
static int
drop_annotation(struct hr_scope *s, const struct hr_block *old)
{
    PyObject *notes = PyDict_GetItemString(s->ns, "__annotations__");
    if (old->kind != HR_BLOCK_ASSIGN || notes == NULL ||
        !PyDict_Check(notes)) {
        return 0;
    }
    PyObject *name = hr_scope_name(s, s->old_text, old);
    int has = name == NULL ? -1 : PyDict_Contains(notes, name);
    int status = has > 0 ? PyDict_DelItem(notes, name) : has;
    Py_XDECREF(name);
    return status;
}

/* A `del` that is gone: what it deleted is there again. */
static int
bind_undeleted(struct hr_scope *s, const struct hr_block *b)
{
    const char *at = s->old_text + b->start, *end = s->old_text + b->end;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    if (end - at < 4 || strncmp(at, "del", 3) != 0) {
        return 0;
    }
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *n = &s->new->items[i];
        if (n->name_len == 0 || hr_scope_is_changed(s, i) ||
            memmem(at, (size_t)(end - at), s->u->text + n->name,
                   n->name_len) == NULL) {
            continue;
        }
        PyObject *name = hr_scope_name(s, s->u->text, n);
        int has = name == NULL ? -1 : PyDict_Contains(s->ns, name);
        Py_XDECREF(name);
        if (has < 0 || (has == 0 && hr_scope_run(s, n) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
plan_removed(struct hr_scope *s)
{
    for (size_t i = 0; i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        if (s->diff.used[i]) {
            continue;
        }
        if (b->kind == HR_BLOCK_STRING && i == 0 &&
            (s->new->count == 0 || s->new->items[0].kind != HR_BLOCK_STRING) &&
            PyDict_SetItemString(s->ns, "__doc__", Py_None) < 0) {
            return -1;
        }
        if (drop_annotation(s, b) < 0) {
            return -1;
        }
        if (b->kind == HR_BLOCK_OTHER && bind_undeleted(s, b) < 0) {
            return -1;
        }
        PyObject *names;
        if (b->kind == HR_BLOCK_STRING) {
            names = PyList_New(0);
        }
        else if (b->name_len > 0) {
            PyObject *name = hr_scope_name(s, s->old_text, b);
            names = name ? PyList_New(0) : NULL;
            if (names != NULL && PyList_Append(names, name) < 0) {
                Py_CLEAR(names);
            }
            Py_XDECREF(name);
        }
        else {
            names = hr_scope_bound_names(s->u, s->old_text, b);
        }
        int status = names == NULL ? -1 : 0;
        for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(names);
             k++) {
            status = remove_name(s, PyList_GET_ITEM(names, k), b);
        }
        Py_XDECREF(names);
        if (status < 0 ||
            hr_plan_add_edit(s->u, "removed", s->prefix, s->old_text, b) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Names that a matched, changed statement no longer binds. */
static int
plan_unbound(struct hr_scope *s, const struct hr_block *old)
{
    if (old->name_len > 0) {
        return 0;
    }
    PyObject *names = hr_scope_bound_names(s->u, s->old_text, old);
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(names); k++) {
        status = remove_name(s, PyList_GET_ITEM(names, k), old);
    }
    Py_XDECREF(names);
    return status;
}

/* -- The scope ------------------------------------------------------------ */

/* Only functions defined in the statement changed?  Then it is not run. */
static int
change_nested(struct hr_scope *s, const struct hr_block *old,
              const struct hr_block *new)
{
    const char *a = s->old_text + old->start, *b = s->u->text + new->start;
    size_t n = old->end - old->start, m = new->end - new->start;
    if ((memmem(a, n, "lambda", 6) == NULL &&
         memmem(a, n, "def ", 4) == NULL) ||
        (memmem(b, m, "lambda", 6) == NULL &&
         memmem(b, m, "def ", 4) == NULL)) {
        return 0;
    }
    PyObject *was =
        hr_code_compile(s->u, a, n, (int)old->line, s->classes, s->depth);
    if (was == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyObject *is =
        hr_code_compile(s->u, b, m, (int)new->line, s->classes, s->depth);
    int status = is == NULL ? -1 : hr_closure_statement(s->u, was, is);
    Py_DECREF(was);
    Py_XDECREF(is);
    return status;
}

static int
plan_statement(struct hr_scope *s, const struct hr_block *old,
               const struct hr_block *new)
{
    if (old != NULL && drop_annotation(s, old) < 0) {
        return -1;
    }
    int status = new->kind == HR_BLOCK_IMPORT && s->depth == 0
                     ? hr_import_run(s->u, new)
                 : old != NULL && old->kind == new->kind
                     ? change_nested(s, old, new)
                     : 0;
    if (status == 0) {
        status = hr_scope_run(s, new);
    }
    else if (status == 1 && new->kind != HR_BLOCK_IMPORT) {
        return hr_plan_add_edit(s->u, "changed", s->prefix, s->u->text, new);
    }
    if (status >= 0 && old != NULL) {
        status = plan_unbound(s, old);
    }
    return status < 0
               ? -1
               : hr_plan_add_edit(s->u, "ran", s->prefix, s->u->text, new);
}

/* A SyntaxError of the text as a whole, which no block alone shows. */
static int
check_whole_text(struct hr_unit *u)
{
    PyCompilerFlags flags = {.cf_flags =
                                 PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *code = Py_CompileStringObject(u->text, u->filename,
                                            Py_file_input, &flags, -1);
    Py_XDECREF(code);
    return code == NULL ? -1 : 0;
}

static int
plan_block(struct hr_scope *s, size_t i)
{
    const struct hr_block *new = &s->new->items[i];
    int k = s->diff.match[i];
    const struct hr_block *old = k >= 0 ? &s->old->items[k] : NULL;

    if (old != NULL && old->hash == new->hash && s->u->evaluates &&
        (new->kind == HR_BLOCK_ASSIGN || new->kind == HR_BLOCK_OTHER)) {
        int chained = hr_rerun_is_chained(s, i);
        if (chained != 0) {
            return chained < 0 ? -1 : plan_statement(s, NULL, new);
        }
    }
    if (old != NULL && old->hash == new->hash &&
        s->u->evaluates &&new->kind == HR_BLOCK_COMPOUND &&
        !hr_scope_is_main(s, new)) {
        int depends = hr_rerun_is_conditional(s, i);
        if (depends != 0) {
            return depends < 0 ? -1 : plan_statement(s, NULL, new);
        }
    }
    if (old != NULL && old->raw_hash == new->raw_hash) {
        return 0;
    }
    if (old != NULL && old->hash == new->hash &&new->kind !=
                           HR_BLOCK_DEF &&new->kind != HR_BLOCK_CLASS) {
        return 0; /* a comment inside a statement */
    }
    if (hr_scope_is_main(s, new)) {
        return 0; /* never runs */
    }
    switch (new->kind) {
    case HR_BLOCK_DEF:
        return plan_def(s, i, old, new);
    case HR_BLOCK_CLASS:
        return hr_scope_plan_class(
            s, old != NULL && old->kind == HR_BLOCK_CLASS ? old : NULL, new);
    case HR_BLOCK_FUTURE:
        if (check_whole_text(s->u) < 0) {
            return -1;
        }
        return hr_refuse_batch(s->u->plan, s->u, "HR403", (int)new->line,
                               "a `from __future__` import changes what all "
                               "the rest of the file means; restart");
    case HR_BLOCK_STRING:
        if (i != 0) {
            return 0;
        }
        break;
    default:
        break;
    }
    return plan_statement(s, old, new);
}

int
hr_scope_plan(struct hr_scope *s)
{
    for (size_t i = 0; i < s->old->count; i++) {
        if (s->old->items[i].kind == HR_BLOCK_FUTURE && !s->diff.used[i]) {
            return hr_refuse_batch(s->u->plan, s->u, "HR403", 1,
                                   "a `from __future__` import was removed, "
                                   "which changes what all the rest of the "
                                   "file means; restart");
        }
    }
    for (size_t i = 0; i < s->new->count; i++) {
        if (plan_block(s, i) < 0) {
            if (s->u->error_line == 0) {
                s->u->error_line = (int)s->new->items[i].line;
            }
            return -1;
        }
    }
    return plan_removed(s);
}
