/* Copies of a name in other places, and what computes from it.
 *
 * `from m import X` and `from m import *` copy; `Y = X + 1`, `Z = m.X` and
 * `def f(x=C.A)` derive.  The journal is the list of work: every name of a
 * module or class that it gives another value is looked for in all followed
 * texts, and what follows is added to the journal in turn.  Copies that still
 * hold the old value follow, and so does what is computed without side effects
 * (pure.c), where it still holds what the old value gives (worlds.c).
 *
 * Called by plan.c, when the values of the batch are in the journal.
 */
#include "scope.h"

/* -- The places that follow ----------------------------------------------- */

static int
push(struct hr_derive *w, size_t index)
{
    size_t *queue = hr_grow(w->queue, w->count, &w->capacity, sizeof *queue);
    if (queue == NULL) {
        return -1;
    }
    w->queue = queue;
    w->queue[w->count++] = index;
    return 0;
}

/* How many blocks of the scope bind the name? */
static int
count_bindings(struct hr_scope *s, const char *text, PyObject *name)
{
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &n);
    int count = utf8 == NULL ? -1 : 0;
    for (size_t i = 0; count >= 0 && count < 2 && i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->name_len > 0) {
            PyObject *other = hr_scope_name(s, text, b);
            count =
                other == NULL ? -1 : count + !PyUnicode_Compare(other, name);
            Py_XDECREF(other);
        }
        else if (b->kind != HR_BLOCK_STRING && b->kind != HR_BLOCK_IMPORT &&
                 hr_word_may_be_in(text + b->start, b->end - b->start, name)) {
            PyObject *names = hr_scope_bound_names(s, text, b);
            count = names == NULL
                        ? -1
                        : count + (PySequence_Contains(names, name) == 1);
            Py_XDECREF(names);
        }
    }
    return count;
}

/* What the name will hold as planned so far (borrowed), and the index of its
 * swap or -1. */
static PyObject *
get_planned(struct hr_derive *w, struct hr_scope *s, PyObject *name, long *at)
{
    PyObject *owner = s->type ? s->type : s->u->dict, *o, *key;
    PyObject *planned = PyDict_GetItemWithError(s->live, name);
    *at = hr_worlds_find(w->p, owner, name);
    if (*at >= 0) {
        (void)hr_journal_place(w->p->j, (size_t)*at, &o, &key, &planned);
    }
    return planned;
}

int
hr_derive_set(struct hr_derive *w, struct hr_scope *s, PyObject *name,
              PyObject *old, PyObject *new)
{
    struct hr_plan *p = w->p;
    enum hr_place place = s->type ? HR_PLACE_TYPE : HR_PLACE_DICT;
    PyObject *owner = s->type ? s->type : s->u->dict;
    PyObject *live = PyDict_GetItemWithError(s->live, name);
    long at;
    PyObject *planned = get_planned(w, s, name, &at);
    PyObject *current = at >= 0 && (size_t)at < w->first ? planned : live;
    if (current == NULL || old == NULL ? current != old
                                       : !hr_value_still_is(current, old)) {
        return 0;
    }
    if (planned == new) {
        return 0;
    }
    if (s->type != NULL && new != NULL &&
        PyUnicode_CompareWithASCIIString(name, "__slots__") == 0 &&
        hr_classdef_check_slots(p->st, s->type, new) < 0) {
        return -1;
    }
    if (at >= 0) {
        hr_journal_put(p->j, (size_t)at, new);
        return push(w, (size_t)at);
    }
    if (hr_journal_add(p->j, place, owner, name, new) < 0) {
        return -1;
    }
    return push(w, hr_journal_count(p->j) - 1);
}

int
hr_derive_targets(struct hr_derive *w, struct hr_scope *s, const char *text,
                  struct hr_worlds *worlds, PyObject *names)
{
    struct hr_world *a = &worlds->was, *b = &worlds->is;
    PyObject *was = a->locals ? a->locals : a->globals;
    PyObject *is = b->locals ? b->locals : b->globals;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        PyObject *old = PyDict_GetItemWithError(was, name);
        PyObject *new = PyDict_GetItemWithError(is, name);
        if (old == NULL || new == NULL || hr_value_still_is(old, new)) {
            continue;
        }
        long at;
        PyObject *planned = get_planned(w, s, name, &at);
        if (planned != NULL && hr_value_still_is(planned, new)) {
            continue; /* its own statement has run */
        }
        int bindings = count_bindings(s, text, name);
        if (bindings < 0 ||
            (bindings == 1 && hr_derive_set(w, s, name, old, new) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* -- Statements ----------------------------------------------------------- */

/* 1 when it could be computed, 0 when not, -1 with an exception. */
static int
follow_statement(struct hr_derive *w, struct hr_scope *s, const char *text,
                 const struct hr_block *b)
{
    PyObject *tree =
        hr_syntax_parse(s->u, text + b->start, b->end - b->start, "");
    PyObject *targets = PyList_New(0);
    struct hr_worlds worlds = {0};
    int status = targets == NULL ? -1 : 0;
    if (tree == NULL && status == 0) {
        status = hr_evaluate_forgive(w->p);
    }
    if (tree != NULL && status == 0) {
        status = hr_worlds_make(s, tree, &worlds);
    }
    if (tree != NULL && status == 0) {
        status = hr_worlds_statements(s, &worlds, tree, text, b, targets);
    }
    if (status == 1) {
        status = hr_derive_targets(w, s, text, &worlds, targets) < 0 ? -1 : 1;
    }
    hr_worlds_clear(&worlds);
    Py_XDECREF(targets);
    Py_XDECREF(tree);
    return status;
}

/* The objects that it builds together with other statements. */
static int
follow_built(struct hr_derive *w, struct hr_scope *s, const char *text,
             const struct hr_block *b)
{
    PyObject *names = b->kind == HR_BLOCK_ASSIGN
                          ? hr_scope_bound_names(s, text, b)
                          : hr_chain_names(s, text, b, s->live);
    int status = names == NULL ? -1 : 0, found = 0;
    for (Py_ssize_t i = 0; status >= 0 && i < PyList_GET_SIZE(names); i++) {
        status = hr_chain_follow(w, s, text, PyList_GET_ITEM(names, i));
        found |= status > 0;
    }
    Py_XDECREF(names);
    return status < 0 ? -1 : found;
}

int
hr_derive_is_read(struct hr_derive *w, struct hr_scope *s, const char *text,
                  const struct hr_block *b)
{
    const char *at = text + b->start, *end = text + b->end, *found;
    /* What is another one inside is so for all who hold it. */
    if (w->owner == s->u->dict || w->owner == s->type ||
        (w->new != NULL && w->old == w->new)) {
        return hr_word_may_be_in(at, b->end - b->start, w->name);
    }
    Py_ssize_t n;
    const char *name = PyUnicode_AsUTF8AndSize(w->name, &n);
    while (name != NULL &&
           (found = memmem(at, (size_t)(end - at), name, (size_t)n)) != NULL) {
        if (found > text && found[-1] == '.') {
            return 1;
        }
        at = found + 1;
    }
    PyErr_Clear();
    return !hr_word_is_in(text + b->start, b->end - b->start, w->name) &&
           hr_word_may_be_in(text + b->start, b->end - b->start, w->name);
}

/* The decorators of a definition, which did not run in this batch. */
static int
hint_at_decorators(struct hr_derive *w, struct hr_scope *s, const char *text,
                   const struct hr_block *b)
{
    struct hr_block head = *b;
    struct hr_source *old = s->u->source;
    head.end = hr_scope_offset_of_line(text, b, b->def_line);
    return b->decorated && memmem(old->text, old->size, text + head.start,
                                  head.end - head.start) != NULL
               ? hr_hint_reads(w, s, text, &head)
               : 0;
}

int
hr_derive_block(struct hr_derive *w, struct hr_scope *s, const char *text,
                const struct hr_block *b)
{
    const char *at = text + b->start;
    size_t size = b->end - b->start;
    int status = 0;
    if (b->kind == HR_BLOCK_CLASS) {
        /* Copies may stand in it, too. */
        return hr_word_may_be_in(at, size, w->name)
                   ? hr_member_follow(w, s, text, b)
                   : 0;
    }
    if (w->module != NULL && w->owner != s->u->dict &&
        (b->kind == HR_BLOCK_IMPORT || b->kind == HR_BLOCK_COMPOUND ||
         b->kind == HR_BLOCK_OTHER) &&
        memmem(at, size, "import", 6) != NULL &&
        (memchr(at, '*', size) != NULL ||
         hr_word_may_be_in(at, size, w->name))) {
        status = hr_copy_follow(w, s, text, b);
    }
    if (status < 0 || w->new == NULL) {
        return status;
    }
    if (!hr_derive_is_read(w, s, text, b)) {
        return hr_hint_block(w, s, text, b);
    }
    if (b->kind == HR_BLOCK_DEF && hint_at_decorators(w, s, text, b) < 0) {
        return -1;
    }
    if (b->kind == HR_BLOCK_DEF || (b->kind == HR_BLOCK_ASSIGN &&
                                    memmem(at, size, "lambda", 6) != NULL)) {
        return hr_default_follow(s, w->kept, w->name, text, b);
    }
    if (b->kind == HR_BLOCK_ASSIGN || b->kind == HR_BLOCK_OTHER ||
        (b->kind == HR_BLOCK_COMPOUND && !hr_scope_is_main(s, b))) {
        status = follow_statement(w, s, text, b);
        if (status >= 0 && (status == 0 || b->kind == HR_BLOCK_ASSIGN)) {
            int built = follow_built(w, s, text, b);
            status = built < 0 ? -1 : status | built;
        }
        return status == 0  ? hr_hint_block(w, s, text, b)
               : status < 0 ? -1
                            : 0;
    }
    return hr_hint_block(w, s, text, b);
}

/* -- All that follows ----------------------------------------------------- */

static int
follow_in_module(struct hr_derive *w, struct hr_source *source,
                 PyObject *module)
{
    struct hr_unit u = {.plan = w->p, .source = source};
    u.dict = PyModule_GetDict(module);
    u.name = PyDict_GetItemString(u.dict, "__name__");
    if (u.name == NULL || !PyUnicode_Check(u.name)) {
        return 0;
    }
    struct hr_unit *unit = hr_unit_find(w->p, u.name);
    PyObject *filename = NULL, *live = NULL;
    struct hr_scope s = {.u = unit ? unit : &u};
    if (unit == NULL) {
        u.text = source->text;
        u.size = source->size;
        u.blocks = &source->blocks;
        u.future = hr_code_future_flags(u.text, u.blocks);
        u.filename = filename = PyUnicode_DecodeFSDefault(source->path);
        u.live = live =
            hr_layer_dict(w->p->st, HR_LAYER_SOURCES, HR_PLACE_DICT, u.dict);
    }
    s.live = s.u->live;
    s.old_text = s.u->text;
    s.new = s.u->blocks;
    int status = s.u->filename == NULL || s.live == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < s.new->count; i++) {
        status = hr_derive_block(w, &s, s.u->text, &s.new->items[i]);
    }
    Py_XDECREF(live);
    Py_XDECREF(filename);
    return status;
}

static int
is_special(PyObject *name)
{
    const char *utf8 = PyUnicode_AsUTF8(name);
    return utf8 == NULL || strncmp(utf8, "__", 2) == 0;
}

/* The item of a swap: 1 when it is a name that others may follow. */
static int
begin_item(struct hr_derive *w, size_t index)
{
    PyObject *dict;
    enum hr_place place =
        hr_journal_place(w->p->j, index, &w->owner, &w->name, &w->new);
    if (w->name == NULL || !PyUnicode_Check(w->name) ||
        (place != HR_PLACE_DICT && place != HR_PLACE_TYPE)) {
        return 0;
    }
    dict = place == HR_PLACE_DICT
               ? w->owner
               : hr_compat_type_dict((PyTypeObject *)w->owner);
    w->old = PyDict_GetItemWithError(dict, w->name);
    hr_layer_peek(w->p->st, HR_LAYER_SOURCES, place, w->owner, w->name,
                  &w->old);
    w->module = NULL;
    if (place == HR_PLACE_DICT) {
        w->module = PyDict_GetItemString(dict, "__name__");
        return w->module != NULL && PyUnicode_Check(w->module);
    }
    /* Methods and the like are looked up where they are used. */
    return w->new != NULL &&hr_value_is(w->new) && !is_special(w->name) &&
           (w->old == NULL || hr_value_is(w->old));
}

static int
follow_index(struct hr_derive *w, size_t index)
{
    if (!begin_item(w, index)) {
        return 0;
    }
    PyObject *name = Py_NewRef(w->name), *old = Py_XNewRef(w->old);
    PyObject *new = Py_XNewRef(w->new), *module = Py_XNewRef(w->module);
    int status = hr_reader_each(w, follow_in_module);
    Py_DECREF(name);
    Py_XDECREF(old);
    Py_XDECREF(new);
    Py_XDECREF(module);
    Py_CLEAR(w->readers);
    return status;
}

int
hr_derive_name(struct hr_derive *w, PyObject *dict, PyObject *module,
               PyObject *name, PyObject *value)
{
    w->owner = dict;
    w->module = module;
    w->name = name;
    w->old = w->new = value;
    return hr_reader_each(w, follow_in_module);
}

/* Another __all__: every name that stars give, now or then. */
static int
follow_all(struct hr_derive *w, struct hr_unit *u)
{
    if (PyDict_GetItemString(u->changed, "__all__") == NULL) {
        return 0;
    }
    PyObject *names = PyDict_Keys(u->live);
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        if (!PyUnicode_Check(name) ||
            PyDict_GetItemWithError(u->changed, name) != NULL ||
            hr_copy_public(w, u->dict, name, 0) ==
                hr_copy_public(w, u->dict, name, 1)) {
            continue;
        }
        status = hr_derive_name(w, u->dict, u->name, name,
                                PyDict_GetItemWithError(u->live, name));
    }
    Py_XDECREF(names);
    return status;
}

static int
follow_everything(struct hr_derive *w)
{
    struct hr_plan *p = w->p;
    int status = hr_donor_begin(p);
    for (size_t i = 0; status == 0 && i < w->first; i++) {
        if (begin_item(w, i)) {
            status = push(w, i);
        }
    }
    if (status == 0 && (w->count > 0 || p->enums != NULL)) {
        w->kept = PyDict_New();
        w->owners = PyDict_New();
        status =
            w->kept == NULL || w->owners == NULL ? -1 : hr_source_look(p->st);
    }
    for (size_t i = 0; status == 0 && w->count > 0 && i < p->unit_count; i++) {
        status = follow_all(w, &p->units[i]);
    }
    if (status == 0) {
        status = hr_donor_follow(w);
    }
    /* What would compute in a circle ends, too. */
    for (size_t i = 0;
         status == 0 && i < w->count && i < 1000 + 8 * hr_journal_count(p->j);
         i++) {
        status = follow_index(w, w->queue[i]);
    }
    return status;
}

int
hr_derive(struct hr_plan *p)
{
    struct hr_derive w = {.p = p, .first = hr_journal_count(p->j)};
    int status = follow_everything(&w);
    if (hr_donor_end(p) < 0) {
        status = -1;
    }
    Py_XDECREF(w.kept);
    Py_XDECREF(w.owners);
    Py_XDECREF(w.last);
    PyMem_Free(w.queue);
    return status;
}
