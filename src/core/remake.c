/* A class statement that is run whole.
 *
 * It makes a second class, the donor, and the live class takes its content
 * and, with it, its metaclass.  What the program has done to the live class
 * meanwhile goes to the donor before that (past.c).
 */
#include "scope.h"

/* -- Running it ----------------------------------------------------------- */

#define KEPT "__hot_reload_kept__"

/* The old block of a nested class statement that did not change. */
static const struct hr_block *
unchanged_class(struct hr_scope *s, size_t i)
{
    int k = s->diff.match[i];
    return s->new->items[i].kind == HR_BLOCK_CLASS &&
                   !hr_scope_is_changed(s, i) &&
                   s->old->items[k].kind == HR_BLOCK_CLASS
               ? &s->old->items[k]
               : NULL;
}

/* In place of a class statement: a name for the class that is there. */
static char *
write_kept(char *at, const char *text, const struct hr_block *b)
{
    uint32_t i = b->start;
    while (text[i] == ' ' || text[i] == '\t' || text[i] == '\f') {
        *at++ = text[i++];
    }
    at += sprintf(at, "%.*s = " KEPT "['%.*s']", (int)b->name_len,
                  text + b->name, (int)b->name_len, text + b->name);
    for (; i < b->end; i++) {
        if (text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n')) {
            *at++ = '\n';
        }
    }
    return at;
}

/* Run the statement.  Nested classes that did not change are not made again.
 */
static int
run_statement(struct hr_scope *outer, struct hr_scope *s,
              const struct hr_block *b)
{
    const char *text = outer->u->text;
    size_t size = b->end - b->start + 1;
    PyObject *kept = PyDict_New();
    char *source = NULL, *at;
    uint32_t done = b->start;
    int status = kept == NULL ? -1 : 0;
    for (size_t i = 0; i < s->new->count; i++) {
        size += 2 * s->new->items[i].name_len + sizeof KEPT + 16;
    }
    if (status == 0 && (source = at = PyMem_Malloc(size)) == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (size_t i = 0; status == 0 && i < s->new->count; i++) {
        const struct hr_block *inner = &s->new->items[i];
        if (!outer->u->evaluates || unchanged_class(s, i) == NULL) {
            continue;
        }
        PyObject *name = hr_scope_name(s, text, inner);
        PyObject *live = name ? PyDict_GetItemWithError(s->live, name) : NULL;
        PyObject *plain = hr_name_of(text, inner);
        if (name == NULL || plain == NULL) {
            status = -1;
        }
        else if (live != NULL) {
            status = PyDict_SetItem(kept, plain, live);
            memcpy(at, text + done, inner->start - done);
            at = write_kept(at + (inner->start - done), text, inner);
            done = inner->end;
        }
        Py_XDECREF(plain);
        Py_XDECREF(name);
    }
    if (status == 0 && PyDict_GET_SIZE(kept) == 0) {
        status = hr_scope_run(outer, b);
    }
    else if (status == 0) {
        memcpy(at, text + done, b->end - done);
        at += b->end - done;
        status = PyDict_SetItemString(outer->u->shadow, KEPT, kept);
        if (status == 0) {
            status = hr_scope_run_source(outer, source, (size_t)(at - source),
                                         b->line);
            if (PyDict_DelItemString(outer->u->shadow, KEPT) < 0) {
                status = -1;
            }
        }
    }
    PyMem_Free(source);
    Py_XDECREF(kept);
    return status;
}

/* -- Its metaclass -------------------------------------------------------- */

/* What ABCMeta keeps for one class is found in its dict. */
static int
plan_abc_data(struct hr_plan *p, PyObject *type, PyObject *made_by_abc)
{
    PyObject *key = PyUnicode_InternFromString("_abc_impl");
    PyObject *data =
        key ? PyDict_GetItemWithError(
                  hr_compat_type_dict((PyTypeObject *)made_by_abc), key)
            : NULL;
    int status = key == NULL
                     ? -1
                     : hr_place_replace(p->j, HR_PLACE_TYPE, type, key, data);
    Py_XDECREF(key);
    return status;
}

/* What an ABC has and other classes have not. */
static int
drop_abc_data(struct hr_plan *p, PyObject *type)
{
    static const char *const names[] = {"_abc_impl", "__abstractmethods__"};
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
    int status = 0;
    for (int i = 0; status == 0 && i < 2; i++) {
        PyObject *key = PyUnicode_InternFromString(names[i]);
        status = key == NULL ? -1
                 : PyDict_GetItemWithError(dict, key) == NULL
                     ? 0
                     : hr_place_replace(p->j, HR_PLACE_TYPE, type, key, NULL);
        Py_XDECREF(key);
    }
    return status;
}

/* Does what inherits keep its metaclass?  When the base's goes back to one
 * that it is derived from, only where another base or the class's own
 * statement asks for it. */
static int
keeps_meta(struct hr_plan *p, PyObject *type, PyObject *sub, PyTypeObject *old,
           PyTypeObject *meta)
{
    if (Py_TYPE(sub) != old || old == meta || !PyType_IsSubtype(old, meta)) {
        return PyType_IsSubtype(Py_TYPE(sub), meta);
    }
    PyObject *bases = ((PyTypeObject *)sub)->tp_bases;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        if (base != type && PyType_IsSubtype(Py_TYPE(base), old)) {
            return 1;
        }
    }
    return !hr_layout_is_same_meta(old, meta) ||
           hr_heir_names_metaclass(p, sub);
}

/* What inherits gets the new metaclass as well, where its own is not derived
 * from that. */
static int
plan_inherited_meta(struct hr_plan *p, PyObject *type, PyTypeObject *old,
                    PyTypeObject *meta)
{
    PyObject *list = PyObject_CallMethod((PyObject *)&PyType_Type,
                                         "__subclasses__", "O", type);
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *sub = PyList_GET_ITEM(list, i);
        if (!hr_class_is_open(sub) || hr_substitute_kept(p, sub) != NULL ||
            hr_place_has(p->j, HR_PLACE_META, sub) ||
            keeps_meta(p, type, sub, old, meta)) {
            continue;
        }
        if ((!PyType_IsSubtype(meta, Py_TYPE(sub)) &&
             !PyType_IsSubtype(Py_TYPE(sub), meta)) ||
            !hr_layout_is_same_meta(Py_TYPE(sub), meta)) {
            status = hr_rude(p->st, "HR303",
                             "the metaclass of %s, which inherits from it, "
                             "would have to change from %s to %s; restart",
                             ((PyTypeObject *)sub)->tp_name,
                             Py_TYPE(sub)->tp_name, meta->tp_name);
            break;
        }
        status =
            hr_journal_add(p->j, HR_PLACE_META, sub, NULL, (PyObject *)meta);
        if (status == 0 && hr_abstract_is_abc((PyObject *)meta)) {
            PyObject *abc = PyImport_ImportModule("abc");
            PyObject *some =
                abc ? PyObject_CallMethod(abc, "ABCMeta", "s(){}", "_") : NULL;
            Py_XDECREF(abc);
            status = some == NULL ? -1 : plan_abc_data(p, sub, some);
            Py_XDECREF(some);
        }
        else if (status == 0 && hr_abstract_is_abc((PyObject *)old)) {
            status = drop_abc_data(p, sub);
        }
        if (status == 0) {
            status = plan_inherited_meta(p, sub, old, meta);
        }
    }
    Py_XDECREF(list);
    return status;
}

/* Another metaclass, where classes that exist can change to it. */
static int
plan_meta(struct hr_plan *p, PyObject *type, PyObject *donor)
{
    PyTypeObject *meta = Py_TYPE(donor), *old = Py_TYPE(type);
    PyObject *kept = hr_substitute_kept(p, (PyObject *)meta);
    if (kept != NULL) {
        meta = (PyTypeObject *)kept;
    }
    if (meta == old) {
        return 0;
    }
    if (!hr_layout_is_same_meta(old, meta)) {
        return hr_rude(p->st, "HR303",
                       "the metaclass of %s would change from %s to %s, whose "
                       "classes are laid out differently; keep it, or restart",
                       ((PyTypeObject *)type)->tp_name, old->tp_name,
                       meta->tp_name);
    }
    int status =
        hr_journal_add(p->j, HR_PLACE_META, type, NULL, (PyObject *)meta);
    if (status == 0 && (hr_abstract_is_abc((PyObject *)meta) !=
                        hr_abstract_is_abc((PyObject *)old))) {
        status = plan_abc_data(p, type, donor);
    }
    return status < 0 ? -1 : plan_inherited_meta(p, type, old, meta);
}

/* -- Its content ---------------------------------------------------------- */

/* A method that stays has the body of a new one, and a new one is there as a
 * clone: whoever got it when the class was made (a metaclass, a table of
 * commands) is to hold the one that the class has, which the next edit
 * changes. */
static int
pair_functions(struct hr_plan *p, PyObject *old, PyObject *new, int planned)
{
    PyTypeObject *type = Py_TYPE(new);
    const char *const *parts = hr_owner_wrapped;
    int status = 0;
    if (old == new || Py_TYPE(old) != type) {
        return 0;
    }
    if (type == &PyFunction_Type) {
        return planned || hr_place_has(p->j, HR_PLACE_FUNCTION, old)
                   ? hr_substitute_add(p, new, old)
                   : 0;
    }
    if (!hr_owner_is_wrapper(new)) {
        return 0;
    }
    for (int i = 0; status == 0 && parts[i] != NULL; i++) {
        PyObject *a = PyObject_GetAttrString(old, parts[i]);
        PyObject *b = a ? PyObject_GetAttrString(new, parts[i]) : NULL;
        PyErr_Clear(); /* a property has no __func__ */
        if (b != NULL && PyFunction_Check(b)) {
            status = pair_functions(p, a, b, planned);
        }
        Py_XDECREF(b);
        Py_XDECREF(a);
    }
    return status;
}

static int
pair_members(struct hr_plan *p, PyObject *type, PyObject *donor)
{
    PyObject *live =
        hr_layer_dict(p->st, HR_LAYER_SOURCES, HR_PLACE_TYPE, type);
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    int status = live == NULL ? -1 : 0;
    while (status == 0 &&
           PyDict_Next(hr_compat_type_dict((PyTypeObject *)donor), &pos, &name,
                       &value)) {
        PyObject *kept = PyDict_GetItemWithError(live, name);
        int planned = hr_place_peek(p->j, HR_PLACE_TYPE, type, name, &kept);
        status = kept != NULL ? pair_functions(p, kept, value, planned) : 0;
    }
    Py_XDECREF(live);
    return status;
}

/* The live class takes the content of the donor. */
static int
take_content(struct hr_plan *p, PyObject *type, PyObject *donor)
{
    int status = hr_substitute_in(p, donor); /* its bases, its metaclass */
    if (status == 0) {
        status = plan_meta(p, type, donor);
    }
    if (status == 0) {
        status = hr_enum_is(type) && hr_enum_is(donor)
                     ? hr_enum_plan(p, type, donor)
                     : hr_class_plan(p->st, p->j, type, donor, type,
                                     HR_LAYER_SOURCES);
    }
    return status < 0 ? -1 : pair_members(p, type, donor);
}

int
hr_remake_take(struct hr_plan *p, PyObject *type, PyObject *donor)
{
    /* It may have been made from donors, and be a base of another: so its
     * own bases are there again when it has lent its content. */
    PyObject *bases = Py_NewRef(((PyTypeObject *)donor)->tp_bases);
    int status = take_content(p, type, donor);
    if (status == 0 && ((PyTypeObject *)donor)->tp_bases != bases) {
        status = hr_layout_set_bases(donor, bases);
    }
    Py_DECREF(bases);
    if (status == 0) {
        status = hr_substitute_add(p, donor, type);
    }
    return status < 0 ? -1 : PyList_Append(p->classes, type);
}

/* Statements that follow see the donor, and may add to it: the class takes its
 * content when all of the module has run. */
static int
keep_donor(struct hr_scope *s, PyObject *type, PyObject *donor)
{
    struct hr_plan *p = s->u->plan;
    if (p->donors == NULL && (p->donors = PyList_New(0)) == NULL) {
        return -1;
    }
    PyObject *item = PyTuple_Pack(3, type, donor, s->u->dict);
    int status = item == NULL ? -1 : PyList_Append(p->donors, item);
    Py_XDECREF(item);
    return status < 0 ? -1 : hr_preview_set(p, type, donor);
}

int
hr_remake_merge_all(struct hr_scope *s, Py_ssize_t from)
{
    struct hr_plan *p = s->u->plan;
    int status = 0;
    for (Py_ssize_t i = from;
         p->donors != NULL && status == 0 && i < PyList_GET_SIZE(p->donors);
         i++) {
        PyObject *item = PyList_GET_ITEM(p->donors, i);
        if (PyTuple_GET_ITEM(item, 2) == s->u->dict) {
            status = hr_remake_take(p, PyTuple_GET_ITEM(item, 0),
                                    PyTuple_GET_ITEM(item, 1));
        }
    }
    return status;
}

int
hr_remake_merge(struct hr_scope *outer, PyObject *type, PyObject *donor,
                const struct hr_block *old)
{
    return hr_past_keep(outer, NULL, type, donor, old, 0) < 0
               ? -1
               : hr_remake_take(outer->u->plan, type, donor);
}

int
hr_remake_class(struct hr_scope *outer, struct hr_scope *s, PyObject *name,
                const struct hr_block *old, const struct hr_block *new)
{
    PyObject *type = s->type;
    if (run_statement(outer, s, new) < 0) {
        return -1;
    }
    PyObject *donor = PyDict_GetItemWithError(outer->ns, name);
    if (donor == NULL || !hr_class_is_open(donor) || donor == type) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int made = hr_made_has(outer->u->plan, donor);
    if (made != 1) {
        return made; /* a decorator gave another class: that is meant */
    }
    Py_INCREF(donor);
    int status = hr_past_keep(outer, s, type, donor, old,
                              old->head_hash == new->head_hash);
    if (status == 0 && outer->type == NULL) {
        status = keep_donor(outer, type, donor);
    }
    else if (status == 0) {
        status = hr_remake_take(outer->u->plan, type, donor);
        if (status == 0) {
            status = PyDict_SetItem(outer->ns, name, type);
        }
    }
    Py_DECREF(donor);
    return status;
}
