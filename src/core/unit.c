/* One module of a batch, which is a unit: from its old text and its new one to
 * what its names shall hold.
 *
 * A file can be the text of several modules, each is a unit.  Units are made
 * first, all of them, then put in order, then planned one by one; their values
 * go to the journal when all have been evaluated and moved out of the shadows.
 * Called by plan.c, in this order.
 */
#include "scope.h"

int
hr_unit_add(struct hr_plan *p, struct hr_file *f, PyObject *module)
{
    struct hr_unit *units =
        PyMem_Realloc(p->units, (p->unit_count + 1) * sizeof *units);
    if (units == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->units = units;
    struct hr_unit *u = &units[p->unit_count++];
    memset(u, 0, sizeof *u);
    u->plan = p;
    u->source = f->source;
    u->text = f->text;
    u->size = f->size;
    u->blocks = &f->blocks;
    u->module = Py_NewRef(module);
    u->dict = Py_NewRef(PyModule_GetDict(module));
    u->name = PyObject_GetAttrString(module, "__name__");
    u->filename = PyDict_GetItemString(u->dict, "__file__");
    u->filename = Py_XNewRef(u->filename);
    u->compiler = hr_loader_compiler(u->dict);
    u->changed = PyDict_New();
    u->removed = PyList_New(0);
    u->future = hr_code_future_flags(f->text, &f->blocks);
    if (u->name == NULL || u->filename == NULL || u->changed == NULL ||
        u->removed == NULL || hr_future_begin(u) < 0) {
        return -1;
    }
    if (!u->source->compared && hr_loader_is_silent(u->dict) &&
        !hr_adopt_is_made_from(u->source, module)) {
        return hr_refuse_batch(
            p, u, "HR402", 0,
            "the loader of %U makes other code of a text than Python does, "
            "and has no source_to_code() that would tell how; restart to have "
            "the new text",
            u->name);
    }
    u->source->compared = 1;
    return 0;
}

void
hr_unit_clear(struct hr_unit *u)
{
    Py_XDECREF(u->module);
    Py_XDECREF(u->dict);
    Py_XDECREF(u->live);
    Py_XDECREF(u->name);
    Py_XDECREF(u->filename);
    Py_XDECREF(u->shadow);
    Py_XDECREF(u->before);
    Py_XDECREF(u->compiler);
    Py_XDECREF(u->ran);
    Py_XDECREF(u->changed);
    Py_XDECREF(u->removed);
    Py_XDECREF(u->moved);
    hr_text_free_members(u);
    hr_blocks_clear(&u->doubted);
}

struct hr_unit *
hr_unit_find(struct hr_plan *p, PyObject *module)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (PyUnicode_Compare(p->units[i].name, module) == 0) {
            return &p->units[i];
        }
    }
    return NULL;
}

/* -- Planning ------------------------------------------------------------- */

/* A class statement with a decorator, base or metaclass runs as a whole when
 * that may see which members there are. */
static int
may_be_made_from_members(struct hr_scope *s, const struct hr_block *b)
{
    return b->decorated ||
           memchr(s->u->text + b->start, '(', b->head_end - b->start) != NULL;
}

static int
has_other_members(struct hr_scope *s)
{
    for (size_t i = 0; i < s->new->count; i++) {
        int k = s->diff.match[i];
        if (k < 0 ||
            s->old->items[k].head_hash != s->new->items[i].head_hash) {
            return 1;
        }
    }
    for (size_t i = 0; i < s->old->count; i++) {
        if (!s->diff.used[i]) {
            return 1;
        }
    }
    return 0;
}

/* Did what makes the members of an enumeration change? */
static int
has_other_makers(struct hr_scope *s, const struct hr_block *b,
                 struct hr_scope *inner)
{
    int found = 0;
    for (size_t i = 0; i < inner->new->count; i++) {
        const struct hr_block *m = &inner->new->items[i];
        int k = inner->diff.match[i];
        found |= k >= 0 && inner->old->items[k].hash != m->hash &&
                 hr_whole_makes_members(s->u->text, m);
    }
    if (!found || s->live == NULL) {
        return found;
    }
    PyObject *name = hr_name_of(s->u->text, b);
    PyObject *type = name ? PyDict_GetItemWithError(s->live, name) : NULL;
    Py_XDECREF(name);
    return type == NULL || !PyType_Check(type) || hr_enum_is(type);
}

/* `def f(x=g()):`, by its brackets: what it calls may have changed.  And what
 * `def f(x=X):` reads may have been imported from another module that has. */
static int
may_read_in_header(struct hr_scope *s, const struct hr_block *b)
{
    const char *text = s->u->text;
    const char *at = text + hr_scope_offset_of_line(text, b, b->def_line);
    const char *end = text + b->head_end;
    const char *first = at < end ? memchr(at, '(', (size_t)(end - at)) : NULL;
    const char *last = first ? memrchr(first, ')', (size_t)(end - first)) : 0;
    return last != NULL &&
           (memchr(first + 1, '(', (size_t)(last - first - 1)) != NULL ||
            (s->u->plan->unit_count > 1 &&
             (memchr(first, '=', (size_t)(last - first)) != NULL ||
              memchr(first, ':', (size_t)(last - first)) != NULL)));
}

/* Plain functions, at the top or in classes, need no shadow. */
static int
is_plain(struct hr_scope *s)
{
    if (s->diff.swapped) {
        return 0;
    }
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        int k = s->diff.match[i];
        if ((k >= 0 && s->old->items[k].raw_hash == b->raw_hash) ||
            hr_scope_is_main(s, b)) {
            continue;
        }
        if (k >= 0 && s->old->items[k].hash == b->hash &&
            b->kind != HR_BLOCK_DEF && b->kind != HR_BLOCK_CLASS) {
            continue;
        }
        if (b->kind == HR_BLOCK_CLASS && k >= 0 &&
            s->old->items[k].kind == HR_BLOCK_CLASS &&
            s->old->items[k].head_hash == b->head_hash && !b->body_inline) {
            const struct hr_members *m =
                hr_text_members(s->u, &s->old->items[k], b);
            struct hr_scope inner = {.u = s->u, .depth = s->depth + 1};
            inner.old_text = s->old_text;
            int plain = m != NULL && m->status == HR_LEX_OK;
            if (plain) {
                inner.old = &m->old;
                inner.new = &m->new;
                plain = hr_diff_blocks(s->old_text, &m->old, s->u->text,
                                       &m->new, &inner.diff) == 0 &&
                        is_plain(&inner) &&
                        !(may_be_made_from_members(s, b) &&
                          (has_other_members(&inner) ||
                           has_other_makers(s, b, &inner)));
            }
            hr_diff_clear(&inner.diff);
            PyErr_Clear();
            if (plain) {
                continue;
            }
            return 0;
        }
        int decorated = b->decorated || (k >= 0 && s->old->items[k].decorated);
        if (b->kind != HR_BLOCK_DEF ||
            ((k < 0 || s->old->items[k].head_hash != b->head_hash) &&
             (decorated || may_read_in_header(s, b)))) {
            return 0;
        }
    }
    /* An earlier binding may come to light, and run. */
    for (size_t i = 0; i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        if (!s->diff.used[i] && (b->name_len == 0 || b->decorated)) {
            return 0;
        }
    }
    return 1;
}

/* What the module's names hold beneath all replacements. */
static int
look_beneath(struct hr_unit *u)
{
    Py_XSETREF(u->live, hr_layer_dict(u->plan->st, HR_LAYER_SOURCES,
                                      HR_PLACE_DICT, u->dict));
    return u->live == NULL ? -1 : 0;
}

int
hr_unit_plan(struct hr_unit *u)
{
    struct hr_scope s = {.u = u};
    int status;
    if (look_beneath(u) < 0) {
        return -1;
    }
    s.live = u->live;
    s.old_text = u->source->text;
    s.old = u->old_blocks;
    s.new = u->blocks;
    if (hr_diff_blocks(s.old_text, s.old, u->text, s.new, &s.diff) < 0) {
        return -1;
    }
    u->evaluates = !is_plain(&s);
    if (u->evaluates) {
        status = hr_evaluate_shadow(u);
        if (status == 0) {
            status = hr_importing_refresh(u);
        }
    }
    else {
        u->shadow = PyDict_New();
        u->before = PyDict_New();
        status = u->shadow == NULL || u->before == NULL ? -1 : 0;
    }
    if (status == 0) {
        s.ns = u->shadow;
        s.before = u->before;
        status = hr_scope_plan(&s);
    }
    if (status == 0) {
        status = hr_remake_merge_all(&s, 0);
    }
    /* What names hold now, merged with what they held. */
    PyObject *names = status == 0 ? PyDict_Keys(u->shadow) : NULL;
    for (Py_ssize_t i = 0;
         names != NULL && status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        PyObject *new = PyDict_GetItemWithError(u->shadow, name);
        if (new == NULL || new == PyDict_GetItemWithError(u->before, name) ||
            !PyUnicode_Check(name)) {
            continue;
        }
        const struct hr_block *old_block = hr_scope_old_block(&s, name);
        PyObject *old = PyDict_GetItemWithError(u->live, name);
        PyObject *value = Py_NewRef(new);
        status = hr_merge_value(&s, name, old, &value, old_block);
        if (status == 0 && value != new) {
            status = PyDict_SetItem(u->shadow, name, value);
        }
        if (status == 0 && value == new) {
            status = hr_move_note(&s, name, old, new);
        }
        Py_DECREF(value);
    }
    Py_XDECREF(names);
    hr_scope_clear(&s);
    return status;
}

int
hr_unit_evaluate(struct hr_unit *u)
{
    if (u->live == NULL && look_beneath(u) < 0) {
        return -1;
    }
    if (u->shadow == NULL) {
        u->evaluates = 1;
        return hr_evaluate_shadow(u);
    }
    return u->evaluates               ? 0
           : hr_evaluate_widen(u) < 0 ? -1
                                      : hr_importing_refresh(u);
}

int
hr_unit_plan_values(struct hr_unit *u)
{
    struct hr_plan *p = u->plan;
    PyObject *name, *new;
    Py_ssize_t pos = 0;
    if (look_beneath(u) < 0) {
        return -1;
    }
    while (PyDict_Next(u->shadow, &pos, &name, &new)) {
        if (!PyUnicode_Check(name)) {
            continue;
        }
        PyObject *live = PyDict_GetItemWithError(u->live, name);
        if (PyUnicode_CompareWithASCIIString(name, "__annotations__") == 0 &&
            live != NULL && PyObject_RichCompareBool(new, live, Py_EQ) == 1) {
            continue; /* the copy that was written to has not changed */
        }
        if (new == PyDict_GetItemWithError(u->before, name) || new == live ||
            PyUnicode_CompareWithASCIIString(name, "__builtins__") == 0) {
            continue;
        }
        PyObject *pair = PyTuple_Pack(2, live ? live : Py_Ellipsis, new);
        if (pair == NULL || PyDict_SetItem(u->changed, name, pair) < 0 ||
            hr_journal_add(p->j, HR_PLACE_DICT, u->dict, name, new) < 0) {
            Py_XDECREF(pair);
            return -1;
        }
        Py_DECREF(pair);
    }
    /* Names that are gone: removed from the text, or by a `del` that ran. */
    PyObject *gone = PyDict_Keys(u->before);
    if (gone == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(u->removed); i++) {
        if (status == 0 && !u->evaluates) {
            status = PyList_Append(gone, PyList_GET_ITEM(u->removed, i));
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(gone); i++) {
        PyObject *key = PyList_GET_ITEM(gone, i);
        PyObject *live = PyDict_GetItemWithError(u->live, key);
        if (live == NULL || PyDict_GetItemWithError(u->shadow, key) != NULL) {
            continue;
        }
        PyObject *pair = PyTuple_Pack(2, live, Py_Ellipsis);
        status = pair == NULL ? -1 : PyDict_SetItem(u->changed, key, pair);
        Py_XDECREF(pair);
        if (status == 0) {
            status = hr_journal_add(p->j, HR_PLACE_DICT, u->dict, key, NULL);
        }
    }
    Py_DECREF(gone);
    return status;
}
