/* Copies of a name in other modules, and constants made from it.
 *
 * `from m import X` and `from m import *` copy; `Y = X + 1` derives.  When a
 * name gets another value, copies that still hold the old one follow, and so
 * do assignments that compute from it without side effects (operators,
 * displays, and a few functions that are known to have none), where the
 * variable still holds what the old value gives.  What follows is a changed
 * name in turn.  Called by plan.c, when the values of the batch are known.
 */
#include "scope.h"

/* A name of a module got another value; what else must follow is found in
 * turn. */
struct item {
    PyObject *module, *dict; /* owned: its name, its dict */
    PyObject *name;          /* owned */
    PyObject *old, *new;     /* owned, or NULL */
};

struct work {
    struct hr_plan *p;
    struct item *items;
    size_t count, capacity;
};

static int
push(struct work *w, PyObject *module, PyObject *dict, PyObject *name,
     PyObject *old, PyObject *new)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 16;
        struct item *items = PyMem_Realloc(w->items, capacity * sizeof *items);
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        w->items = items;
        w->capacity = capacity;
    }
    w->items[w->count++] =
        (struct item){Py_NewRef(module), Py_NewRef(dict), Py_NewRef(name),
                      Py_XNewRef(old), Py_XNewRef(new)};
    return 0;
}

static int
set_copy(struct work *w, PyObject *module, PyObject *dict, PyObject *name,
         PyObject *old, PyObject *new)
{
    struct hr_plan *p = w->p;
    PyObject *planned = NULL;
    hr_journal_peek(p->j, HR_PLACE_DICT, dict, name, &planned);
    if (planned != NULL) {
        return 0; /* the batch sets it itself */
    }
    if (hr_journal_add(p->j, HR_PLACE_DICT, dict, name, new) < 0) {
        return -1;
    }
    return push(w, module, dict, name, old, new);
}

/* -- One statement -------------------------------------------------------- */

/* One import statement of a module: does it copy the item? */
static int
follow_import(struct work *w, struct item it, PyObject *module, PyObject *dict,
              const char *text, const struct hr_block *b)
{
    struct hr_import m = {0};
    PyObject *name = NULL, *as = NULL;
    int status = hr_import_begin(&m, dict, text, b);
    if (status <= 0) {
        return status;
    }
    int kind;
    status = 0;
    if (PyUnicode_Compare(m.module, it.module) != 0) {
        goto done;
    }
    while (status == 0 && (kind = hr_import_next(&m, &name, &as)) != 0) {
        if (kind < 0) {
            status = -1;
            break;
        }
        if (kind == 2) {
            PyObject *current = PyDict_GetItemWithError(dict, it.name);
            if (hr_import_is_public(it.dict, it.name) &&
                (current == NULL ? it.old == NULL
                                 : hr_pure_still_holds(current, it.old))) {
                status = set_copy(w, module, dict, it.name, current, it.new);
            }
            break;
        }
        if (PyUnicode_Compare(name, it.name) == 0 && it.new != NULL) {
            PyObject *current = PyDict_GetItemWithError(dict, as);
            if (current != NULL && hr_pure_still_holds(current, it.old)) {
                status = set_copy(w, module, dict, as, current, it.new);
            }
        }
        Py_CLEAR(name);
        Py_CLEAR(as);
    }
done:
    Py_XDECREF(name);
    Py_XDECREF(as);
    Py_XDECREF(m.module);
    return status;
}

/* In a copy of a module's dict: its names for the item's module lead to one
 * that has the planned values. */
static int
replace_module(struct work *w, struct item it, PyObject *copy)
{
    PyObject *key, *value, *proxy = NULL;
    Py_ssize_t pos = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(copy, &pos, &key, &value)) {
        if (!hr_pure_is_module(value, it.dict)) {
            continue;
        }
        if (proxy == NULL) {
            proxy = PyModule_NewObject(it.module);
            if (proxy == NULL ||
                PyDict_Update(PyModule_GetDict(proxy), it.dict) < 0 ||
                hr_journal_update_dict(w->p->j, it.dict,
                                       PyModule_GetDict(proxy)) < 0) {
                status = -1;
                break;
            }
        }
        status = PyDict_SetItem(copy, key, proxy);
    }
    Py_XDECREF(proxy);
    return status;
}

/* An assignment of a module: is it made from the item, which is a name of the
 * same module, or an attribute of another? */
static int
follow_assignment(struct work *w, struct item it, struct hr_unit *u,
                  const char *text, const struct hr_block *b)
{
    PyObject *dict = u->dict;
    PyObject *module = dict == it.dict ? NULL : it.dict;
    PyObject *target = hr_name_of(text, b);
    PyObject *code = NULL, *was = NULL, *is = NULL;
    int status = -1;
    if (target == NULL) {
        return -1;
    }
    PyUnicode_InternInPlace(&target);
    PyObject *current = PyDict_GetItemWithError(dict, target);
    code = hr_code_compile(u, text + b->start, b->end - b->start, (int)b->line,
                           NULL, 0);
    if (code == NULL) {
        goto done;
    }
    status = 0;
    if (current == NULL || !hr_pure_is_value(current) ||
        !hr_pure_is_assignment(code, dict, target, module) ||
        PySequence_Contains(((PyCodeObject *)code)->co_names, it.name) != 1) {
        goto done;
    }
    was = PyDict_Copy(dict);
    is = PyDict_Copy(dict);
    status = -1;
    if (was == NULL || is == NULL ||
        hr_journal_update_dict(w->p->j, dict, is) < 0 ||
        (module != NULL && replace_module(w, it, is) < 0)) {
        goto done;
    }
    PyObject *done = PyEval_EvalCode(code, was, was);
    if (done != NULL) {
        Py_DECREF(done);
        done = PyEval_EvalCode(code, is, is);
    }
    if (done == NULL) {
        status = hr_evaluate_forgive(w->p); /* then it is not derived */
        goto done;
    }
    Py_DECREF(done);
    PyObject *old = PyDict_GetItemWithError(was, target);
    PyObject *new = PyDict_GetItemWithError(is, target);
    status = 0;
    if (old != NULL && new != NULL && hr_pure_still_holds(current, old) &&
        !hr_pure_still_holds(current, new)) {
        status = set_copy(w, u->name, dict, target, current, new);
    }
done:
    Py_XDECREF(was);
    Py_XDECREF(is);
    Py_XDECREF(code);
    Py_DECREF(target);
    return status;
}

/* -- All that follows ----------------------------------------------------- */

/* All blocks of one module. */
static int
follow_in(struct work *w, struct item it, struct hr_unit *u, const char *text,
          const struct hr_blocks *blocks)
{
    Py_ssize_t n;
    const char *name = PyUnicode_AsUTF8AndSize(it.name, &n);
    int same = u->dict == it.dict, status = 0;
    if (name == NULL) {
        return -1;
    }
    for (size_t i = 0; status == 0 && i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        if (b->kind == HR_BLOCK_IMPORT && !same) {
            status = follow_import(w, it, u->name, u->dict, text, b);
        }
        else if (it.new != NULL && memmem(text + b->start, b->end - b->start,
                                          name, (size_t)n) != NULL) {
            if (b->kind == HR_BLOCK_ASSIGN) {
                status = follow_assignment(w, it, u, text, b);
            }
            else if (same && b->kind == HR_BLOCK_DEF) {
                struct hr_scope s = {.u = u, .live = u->dict};
                s.old_text = text;
                status = hr_default_follow(&s, it.name, text, b);
            }
            else if (same && b->kind == HR_BLOCK_CLASS) {
                status = hr_member_follow(w->p, it.name, u, text, b);
            }
        }
    }
    return status;
}

static int
follow_item(struct work *w, struct item it)
{
    struct hr_plan *p = w->p;
    for (struct hr_source *s = p->st->sources; s != NULL; s = s->next) {
        PyObject *modules = hr_source_modules(s);
        int status = modules == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules);
             i++) {
            PyObject *module = PyList_GET_ITEM(modules, i);
            struct hr_unit u = {.plan = p, .source = s};
            u.dict = PyModule_GetDict(module);
            u.name = PyDict_GetItemString(u.dict, "__name__");
            u.filename = PyUnicode_DecodeFSDefault(s->path);
            if (u.filename == NULL || u.name == NULL) {
                Py_XDECREF(u.filename);
                status = -1;
                break;
            }
            struct hr_unit *planned = hr_unit_find(p, u.name);
            status =
                planned != NULL
                    ? follow_in(w, it, planned, planned->text, planned->blocks)
                    : follow_in(w, it, &u, s->text, &s->blocks);
            Py_DECREF(u.filename);
        }
        Py_XDECREF(modules);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* Another __all__: names that stars now import, or no longer. */
static int
follow_all(struct work *w, struct hr_unit *u)
{
    PyObject *pair = PyDict_GetItemString(u->changed, "__all__");
    if (pair == NULL) {
        return 0;
    }
    int status = 0;
    for (int side = 0; status == 0 && side < 2; side++) {
        PyObject *names = PyTuple_GET_ITEM(pair, side);
        PyObject *others = PyTuple_GET_ITEM(pair, 1 - side);
        PyObject *list = names == Py_Ellipsis ? NULL : PySequence_List(names);
        for (Py_ssize_t i = 0;
             status == 0 && list != NULL && i < PyList_GET_SIZE(list); i++) {
            PyObject *name = PyList_GET_ITEM(list, i);
            PyObject *value = PyDict_GetItemWithError(
                u->evaluates ? u->shadow : u->dict, name);
            int both =
                others == Py_Ellipsis ? 0 : PySequence_Contains(others, name);
            if (both != 0 || value == NULL ||
                PyDict_GetItemWithError(u->changed, name) != NULL) {
                continue;
            }
            status = side == 0
                         ? push(w, u->name, u->before, name, value, NULL)
                         : push(w, u->name, u->shadow, name, NULL, value);
        }
        Py_XDECREF(list);
    }
    PyErr_Clear();
    return status;
}

int
hr_derive(struct hr_plan *p)
{
    struct work w = {.p = p};
    int status = 0;
    for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        PyObject *name, *pair;
        Py_ssize_t pos = 0;
        while (status == 0 && PyDict_Next(u->changed, &pos, &name, &pair)) {
            PyObject *old = PyTuple_GET_ITEM(pair, 0);
            PyObject *new = PyTuple_GET_ITEM(pair, 1);
            status = push(&w, u->name, u->dict, name,
                          old == Py_Ellipsis ? NULL : old,
                          new == Py_Ellipsis ? NULL : new);
        }
    }
    for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
        status = follow_all(&w, &p->units[i]);
    }
    if (status == 0 && w.count > 0) {
        status = hr_source_look(p->st);
    }
    for (size_t i = 0; status == 0 && i < w.count && i < 10000; i++) {
        status = follow_item(&w, w.items[i]);
    }
    for (size_t i = 0; i < w.count; i++) {
        Py_DECREF(w.items[i].module);
        Py_DECREF(w.items[i].dict);
        Py_DECREF(w.items[i].name);
        Py_XDECREF(w.items[i].old);
        Py_XDECREF(w.items[i].new);
    }
    PyMem_Free(w.items);
    return status;
}
