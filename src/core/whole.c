/* Must a changed class statement run whole?
 *
 * Where a decorator or metaclass makes the class from its members (dataclass,
 * Enum, NamedTuple, pydantic, ...) they cannot be exchanged one by one, but
 * for plain functions, of which nothing is made.
 */
#include "scope.h"

/* In a class's dict. */
static int
has_attribute(PyObject *dict, const char *name)
{
    PyObject *value = PyDict_GetItemString(dict, name);
    return value != NULL &&
           !(PyTuple_Check(value) && PyTuple_GET_SIZE(value) == 0);
}

static int
has_init_subclass(PyObject *type)
{
    PyObject *mro = ((PyTypeObject *)type)->tp_mro;
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(mro); i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i);
        if (base != (PyObject *)&PyBaseObject_Type && hr_class_is_open(base) &&
            has_attribute(hr_compat_type_dict((PyTypeObject *)base),
                          "__init_subclass__")) {
            return 1;
        }
    }
    return 0;
}

int
hr_whole_consumes_members(PyObject *type)
{
    PyTypeObject *meta = Py_TYPE(type);
    return meta != &PyType_Type && strcmp(meta->tp_name, "ABCMeta") != 0 &&
           !hr_enum_is(type);
}

int
hr_whole_is_made(struct hr_scope *s, const struct hr_block *b)
{
    PyObject *type = s->type;
    return b->decorated || has_attribute(s->live, "_fields") ||
           hr_whole_consumes_members(type) || hr_enum_is(type) ||
           has_init_subclass(type);
}

int
hr_whole_makes_members(const char *text, const struct hr_block *b)
{
    static const char *const names[] = {"__init__", "__new__",
                                        "_generate_next_value_"};
    for (int i = 0; i < 3 && b->kind == HR_BLOCK_DEF; i++) {
        if (b->name_len == strlen(names[i]) &&
            memcmp(text + b->name, names[i], b->name_len) == 0) {
            return 1;
        }
    }
    return 0;
}

static int
makes_members(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    return hr_whole_makes_members(text, b) && hr_enum_is(s->type);
}

/* A special method that comes or goes decides what a decorator generates. */
static int
matters(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    if (b->kind == HR_BLOCK_STRING) {
        return 0;
    }
    return b->kind != HR_BLOCK_DEF || hr_whole_consumes_members(s->type) ||
           has_attribute(s->live, "_is_protocol") ||
           (b->name_len > 4 && strncmp(text + b->name, "__", 2) == 0) ||
           makes_members(s, text, b);
}

/* The same for one that is in both texts. */
static int
change_matters(struct hr_scope *s, const struct hr_block *old,
               const struct hr_block *new)
{
    if (new->kind == HR_BLOCK_STRING) {
        return 0;
    }
    return new->kind != HR_BLOCK_DEF || makes_members(s, s->u->text, new) ||
           (hr_whole_consumes_members(s->type) &&
            old->head_hash != new->head_hash &&
            (old->decorated || new->decorated));
}

/* Did anything but plain functions change, or change its place? */
static int
has_changed_statements(struct hr_scope *s)
{
    int last = -1;
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        int k = s->diff.match[i];
        if (k >= 0 && b->kind != HR_BLOCK_DEF && b->kind != HR_BLOCK_STRING) {
            if (k < last) {
                return 1;
            }
            last = k;
        }
        if (hr_same_meaning(s, i) != HR_MEANS_SAME &&
            (k < 0 ? matters(s, s->u->text, b)
                   : change_matters(s, &s->old->items[k], b))) {
            return 1;
        }
    }
    for (size_t i = 0; i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        /* In the place of a docstring a decorator may put one of its own. */
        int doc = b->kind == HR_BLOCK_STRING && i == 0 &&
                  (has_attribute(s->live, "_fields") ||
                   has_attribute(s->live, "__dataclass_fields__"));
        if (!s->diff.used[i] && (doc || matters(s, s->old_text, b))) {
            return 1;
        }
    }
    return 0;
}

int
hr_whole_is_needed(struct hr_scope *s, const struct hr_block *old,
                   const struct hr_block *new)
{
    return old->head_hash != new->head_hash || new->body_inline ||
           old->body_inline || has_attribute(s->live, "__type_params__") ||
           (has_changed_statements(s) && hr_whole_is_made(s, new));
}
