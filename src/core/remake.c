/* A class statement that is run whole.
 *
 * It makes a second class, the donor, and the live class takes its content.
 * What the program has done to the live class meanwhile is the program's: so
 * three are merged, what the old statement made, what is there now, and what
 * the new statement makes.  The old statement cannot be run again; what it
 * made is known from its text:
 *
 *     a member whose statement did not change     stays as it is, or gone
 *     a name that the old text did not bind       stays
 *     a class inside of it                        is merged in turn
 *
 * All of it is done to the donor, which nobody has seen.
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
    PyObject *found = hr_unwrap_behind(s, value, s->old_text, b, -1);
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

/* What inherits gets the new metaclass as well, where its own is not derived
 * from that. */
static int
plan_inherited_meta(struct hr_plan *p, PyObject *type, PyTypeObject *meta)
{
    PyObject *list = PyObject_CallMethod((PyObject *)&PyType_Type,
                                         "__subclasses__", "O", type);
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *sub = PyList_GET_ITEM(list, i);
        if (PyType_IsSubtype(Py_TYPE(sub), meta) || !hr_class_is_open(sub) ||
            hr_substitute_kept(p, sub) != NULL) {
            continue;
        }
        if (!PyType_IsSubtype(meta, Py_TYPE(sub)) ||
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
        if (status == 0) {
            status = plan_inherited_meta(p, sub, meta);
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
    return status < 0 ? -1 : plan_inherited_meta(p, type, meta);
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
    return status;
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

/* What is the program's goes to the donor.  `s`: the scope of the members, or
 * NULL where their texts are not known. */
static int
merge(struct hr_scope *outer, struct hr_scope *s, PyObject *type,
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

int
hr_remake_merge(struct hr_scope *outer, PyObject *type, PyObject *donor,
                const struct hr_block *old)
{
    return merge(outer, NULL, type, donor, old, 0) < 0
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
    int status =
        merge(outer, s, type, donor, old, old->head_hash == new->head_hash);
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
