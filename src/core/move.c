/* Definitions that moved to another file of the program.
 *
 * The old text defined a name, the new one imports it, and what it imports was
 * made in the same batch: by another file of it, or by a module that is
 * imported for the first time.  Or one file had imported the name, defines it
 * now, and the other file of the batch does no more.  Then it is the same
 * function or class for all who hold it, and takes the content of the new one,
 * which it stands for everywhere.  A function that was there before keeps its
 * own identity; the old one passes its calls on to it.
 *
 * For unit.c, which notes what may have moved, and plan.c, when everything is
 * out of the shadows: a module that is not of the batch is changed through the
 * journal only.
 */
#include "scope.h"

/* -- Noting --------------------------------------------------------------- */

static int
is_of_module(struct hr_unit *u, PyObject *o)
{
    PyObject *module = PyObject_GetAttrString(o, "__module__");
    int is = module != NULL && PyUnicode_Check(module) &&
             PyUnicode_Compare(module, u->name) == 0;
    Py_XDECREF(module);
    PyErr_Clear();
    return is;
}

/* The definition that is gone from the module's text: its index, or -1. */
static Py_ssize_t
find_gone(struct hr_unit *u, PyObject *name, enum hr_block_kind kind)
{
    const struct hr_blocks *old = &u->source->blocks;
    for (size_t i = 0; i < u->blocks->count; i++) {
        if (hr_name_is(u->text, &u->blocks->items[i], name) == 1 &&
            u->blocks->items[i].name_len > 0) {
            return -1;
        }
    }
    for (size_t i = old->count; i-- > 0;) {
        if (old->items[i].kind == kind &&
            hr_name_is(u->source->text, &old->items[i], name) == 1) {
            return (Py_ssize_t)i;
        }
    }
    PyErr_Clear();
    return -1;
}

/* The module of the batch that a function or class belongs to, or NULL. */
static struct hr_unit *
find_unit(struct hr_plan *p, PyObject *o)
{
    PyObject *name = PyObject_GetAttrString(o, "__module__");
    struct hr_unit *u =
        name != NULL && PyUnicode_Check(name) ? hr_unit_find(p, name) : NULL;
    Py_XDECREF(name);
    PyErr_Clear();
    return u;
}

/* Has the batch made it, under a name that its module did not have?  One that
 * was there, and takes the body of what was made, keeps its own identity. */
static int
is_made(struct hr_plan *p, PyObject *new)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        PyObject *key, *value;
        Py_ssize_t pos = 0;
        while (u->shadow && PyDict_Next(u->shadow, &pos, &key, &value)) {
            if (value == new && u->live != NULL &&
                PyDict_GetItemWithError(u->live, key) == NULL) {
                return 1;
            }
        }
    }
    return hr_made_has(p, new);
}

/* What wraps the old function, and is no function itself, is held as it is:
 * what it wraps passes its calls on. */
static int
note_wrapped(struct hr_unit *u, PyObject *name, PyObject *old, PyObject *new)
{
    Py_ssize_t at = find_gone(u, name, HR_BLOCK_DEF);
    const struct hr_block *b = at >= 0 ? &u->source->blocks.items[at] : NULL;
    struct hr_scope s = {.u = u};
    if (b == NULL || !b->decorated) {
        return 0;
    }
    PyObject *path = PyList_New(0), *was = NULL, *is = NULL;
    if (path != NULL) {
        was =
            hr_unwrap_behind(&s, old, u->source->text, b, (int)b->line, path);
        is = was ? hr_unwrap_elsewhere(&s, new, name) : NULL;
    }
    int status = path == NULL ? -1
                 : is != NULL ? hr_wrapper_pass_on(&s, path, old, was, new, is)
                              : 0;
    Py_XDECREF(is);
    Py_XDECREF(was);
    Py_XDECREF(path);
    return status;
}

/* The index of the definition that is gone and may have made the object, or
 * -1. */
static Py_ssize_t
find_kind_gone(struct hr_unit *u, PyObject *name, PyObject *old)
{
    if (PyType_Check(old)) {
        return find_gone(u, name, HR_BLOCK_CLASS);
    }
    Py_ssize_t at = find_gone(u, name, HR_BLOCK_DEF);
    return at < 0 ? find_gone(u, name, HR_BLOCK_ASSIGN) : at;
}

/* The module whose text defined what the name held: this one, or what was
 * imported is defined here now. */
static struct hr_unit *
find_definer(struct hr_scope *s, PyObject *name, PyObject *old, Py_ssize_t *at)
{
    struct hr_unit *u = s->u;
    *at = find_kind_gone(u, name, old);
    for (int i = 0; *at < 0 && i < 2; i++) {
        /* Its wrapper may be of another module. */
        PyObject *o =
            i == 0 ? Py_NewRef(old) : hr_unwrap_elsewhere(s, old, name);
        u = o != NULL ? find_unit(s->u->plan, o) : NULL;
        *at = u != NULL ? find_kind_gone(u, name, old) : -1;
        Py_XDECREF(o);
    }
    return *at < 0 ? NULL : u;
}

/* Was it made by that definition? */
static int
is_made_there(struct hr_unit *u, PyObject *old, Py_ssize_t at)
{
    const struct hr_block *b = &u->source->blocks.items[at];
    struct hr_scope s = {.u = u};
    PyObject *f = is_of_module(u, old) || !b->decorated
                      ? NULL
                      : hr_unwrap_behind(&s, old, u->source->text, b,
                                         (int)b->line, NULL);
    int is = f != NULL || is_of_module(u, old);
    Py_XDECREF(f);
    return is;
}

int
hr_move_note(struct hr_scope *s, PyObject *name, PyObject *old, PyObject *new)
{
    Py_ssize_t at;
    struct hr_unit *u =
        old == NULL || old == new ? NULL : find_definer(s, name, old, &at);
    if (u == NULL) {
        return 0;
    }
    if (!PyFunction_Check(old) && !PyType_Check(old)) {
        return note_wrapped(u, name, old, new);
    }
    int functions = PyFunction_Check(old) && PyFunction_Check(new);
    int classes = hr_class_is_open(old) && hr_class_is_open(new);
    if (!(functions || classes) || is_of_module(u, new) ||
        !is_made_there(u, old, at)) {
        return 0;
    }
    int made = is_made(u->plan, new);
    PyObject *entry =
        made < 0 ? NULL
                 : Py_BuildValue("[OOOOn]", old, new,
                                 made ? Py_True : Py_False, Py_None, at);
    if (u->moved == NULL) {
        u->moved = PyList_New(0);
    }
    int status = entry == NULL || u->moved == NULL
                     ? -1
                     : PyList_Append(u->moved, entry);
    Py_XDECREF(entry);
    return status;
}

/* -- Planning ------------------------------------------------------------- */

/* The dict of the module that defines it now, as the one at `at` of the old
 * text did, and whether that is one of the batch.  NULL without an exception
 * when there is none. */
static PyObject *
find_home(struct hr_unit *from, PyObject *new, Py_ssize_t at, int *in_batch)
{
    struct hr_plan *p = from->plan;
    struct hr_scope s = {.u = from};
    PyObject *word =
        hr_name_of(from->source->text, &from->source->blocks.items[at]);
    PyObject *inner = word != NULL && PyFunction_Check(new)
                          ? hr_unwrap_elsewhere(&s, new, word)
                          : NULL;
    PyObject *name =
        PyObject_GetAttrString(inner != NULL ? inner : new, "__module__");
    PyObject *dict = NULL;
    Py_XDECREF(inner);
    Py_XDECREF(word);
    *in_batch = 0;
    if (name != NULL && PyUnicode_Check(name)) {
        PyObject *module =
            PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
        struct hr_unit *u = hr_unit_find(p, name);
        *in_batch = u != NULL;
        dict = u != NULL ? u->dict
               : module != NULL && PyModule_Check(module)
                   ? PyModule_GetDict(module)
                   : NULL;
    }
    Py_XDECREF(name);
    PyErr_Clear();
    return dict;
}

/* Wherever the batch holds the new one by name. */
static int
rename_in(struct hr_plan *p, PyObject *home, PyObject *old, PyObject *new)
{
    PyObject *key, *value;
    Py_ssize_t pos;
    for (size_t i = 0; i < p->unit_count; i++) {
        PyObject *shadow = p->units[i].shadow;
        pos = 0;
        while (PyDict_Next(shadow, &pos, &key, &value)) {
            if (value == new &&PyDict_SetItem(shadow, key, old) < 0) {
                return -1;
            }
        }
    }
    pos = 0;
    while (home != NULL && PyDict_Next(home, &pos, &key, &value)) {
        if (value ==
            new &&hr_journal_add(p->j, HR_PLACE_DICT, home, key, old) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A method that stays says where it is now. */
static int
move_method(struct hr_unit *u, PyObject *value, PyObject *key,
            PyObject *module)
{
    int status = 0;
    if (PyFunction_Check(value)) {
        PyObject *was = HR_AS_FUNCTION(value)->func_module;
        return was != NULL && PyUnicode_Check(was) &&
                       PyUnicode_Compare(was, u->name) == 0
                   ? hr_journal_add(u->plan->j, HR_PLACE_NAME, value, key,
                                    module)
                   : 0;
    }
    for (int i = 0; hr_owner_is_wrapper(value) && status == 0 &&
                    hr_owner_wrapped[i] != NULL;
         i++) {
        PyObject *part = PyObject_GetAttrString(value, hr_owner_wrapped[i]);
        PyErr_Clear();
        if (part != NULL && PyFunction_Check(part)) {
            status = move_method(u, part, key, module);
        }
        Py_XDECREF(part);
    }
    return status;
}

static int
move_class(struct hr_unit *u, PyObject *old, PyObject *new, Py_ssize_t at)
{
    struct hr_plan *p = u->plan;
    struct hr_scope s = {.u = u, .live = u->live};
    s.old_text = u->source->text;
    s.old = &u->source->blocks;
    s.new = u->blocks;
    PyObject *key = PyUnicode_InternFromString("__module__");
    PyObject *module = key ? PyObject_GetAttr(new, key) : NULL;
    int status =
        module == NULL ? -1 : hr_remake_merge(&s, old, new, &s.old->items[at]);
    if (status == 0) {
        status = hr_journal_add(p->j, HR_PLACE_TYPE, old, key, module);
    }
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    while (status == 0 && PyDict_Next(hr_compat_type_dict((PyTypeObject *)old),
                                      &pos, &name, &value)) {
        status = move_method(u, value, key, module);
    }
    Py_XDECREF(module);
    Py_XDECREF(key);
    return status;
}

static int
pass_on(struct hr_plan *p, PyObject *old, PyObject *new)
{
    PyObject *holder = hr_trampoline_new(p->st, new);
    int status = holder == NULL ? -1 : hr_plan_function(p, p->j, old, holder);
    Py_XDECREF(holder);
    return status;
}

/* A clone of what has a shadow for its globals: it is live together with the
 * module's dict. */
static void
settle(struct hr_plan *p, PyObject *value)
{
    if (PyFunction_Check(value)) {
        PyFunctionObject *f = HR_AS_FUNCTION(value);
        struct hr_unit *u = hr_evaluate_unit(p, f->func_globals);
        if (u != NULL) {
            Py_SETREF(f->func_globals, Py_NewRef(u->dict));
        }
    }
    else if (hr_owner_is_wrapper(value)) {
        for (int i = 0; hr_owner_wrapped[i] != NULL; i++) {
            PyObject *part =
                PyObject_GetAttrString(value, hr_owner_wrapped[i]);
            PyErr_Clear();
            if (part != NULL && part != Py_None) {
                settle(p, part);
            }
            Py_XDECREF(part);
        }
    }
}

/* What was planned since the journal had so many swaps. */
static void
settle_swaps(struct hr_plan *p, size_t first)
{
    for (size_t i = first; i < hr_journal_count(p->j); i++) {
        PyObject *owner, *value;
        if ((hr_journal_get(p->j, i, HR_PLACE_FUNCTION, &owner, &value) ||
             hr_journal_get(p->j, i, HR_PLACE_TYPE, &owner, &value)) &&
            value != NULL) {
            settle(p, value);
        }
    }
}

/* The entry has the old object, the new one, whether that was made in this
 * batch, when it is moved the dict of the module where it is now, and the
 * index of the old definition. */
static int
move_one(struct hr_unit *u, PyObject *entry)
{
    struct hr_plan *p = u->plan;
    PyObject *old = PyList_GET_ITEM(entry, 0);
    PyObject *new = PyList_GET_ITEM(entry, 1);
    Py_ssize_t at = PyLong_AsSsize_t(PyList_GET_ITEM(entry, 4));
    int in_batch, status;
    PyObject *home = find_home(u, new, at, &in_batch);
    int made = home != NULL && PyList_GET_ITEM(entry, 2) == Py_True;
    size_t first = hr_journal_count(p->j);
    if (PyFunction_Check(old)) {
        if (hr_place_has(p->j, HR_PLACE_FUNCTION, old)) {
            return 0;
        }
        status = made ? hr_merge_function(p, old, new) : pass_on(p, old, new);
    }
    else {
        status = made ? move_class(u, old, new, at) : 0;
    }
    settle_swaps(p, first);
    if (status == 0 && made) {
        status = rename_in(p, in_batch ? NULL : home, old, new) < 0
                     ? -1
                     : PyList_SetItem(entry, 3, Py_NewRef(home));
    }
    return status;
}

/* Nested code of a function that moved has its names where that is now. */
static void
move_globals(PyObject *holder, PyObject *from, PyObject *to, PyObject *file)
{
    PyFunctionObject *f = HR_AS_FUNCTION(holder);
    PyObject *name = ((PyCodeObject *)f->func_code)->co_filename;
    if (f->func_globals == from && PyUnicode_Check(file) &&
        PyUnicode_Compare(name, file) == 0) {
        Py_SETREF(f->func_globals, Py_NewRef(to));
    }
}

int
hr_move_plan(struct hr_plan *p)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        Py_ssize_t count = u->moved ? PyList_GET_SIZE(u->moved) : 0;
        for (Py_ssize_t k = 0; k < count; k++) {
            if (move_one(u, PyList_GET_ITEM(u->moved, k)) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

void
hr_move_closures(struct hr_plan *p)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        Py_ssize_t count = u->moved ? PyList_GET_SIZE(u->moved) : 0;
        for (Py_ssize_t k = 0; k < count; k++) {
            PyObject *entry = PyList_GET_ITEM(u->moved, k);
            PyObject *home = PyList_GET_ITEM(entry, 3);
            PyObject *file = home == Py_None
                                 ? NULL
                                 : PyDict_GetItemString(home, "__file__");
            size_t swaps = file ? hr_journal_count(p->j) : 0;
            for (size_t n = 0; n < swaps; n++) {
                PyObject *owner, *holder;
                if (hr_journal_get(p->j, n, HR_PLACE_FUNCTION, &owner,
                                   &holder)) {
                    move_globals(holder, u->dict, home, file);
                }
            }
        }
    }
}
