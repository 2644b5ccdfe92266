/* Members of a class that compute from a changed name, of the class, of its
 * module or of another.
 *
 * The class as such did not change, or is planned by classdef.c; here it is
 * about `LIMITS = (LOW, HIGH)` when LOW has another value.  Classes that a
 * decorator or metaclass makes from their members are left alone.  Called by
 * derive.c, which follows each member as it follows statements of a module.
 */
#include "scope.h"

/* The size of the text that the unit's blocks are of. */
static size_t
planned_size(struct hr_unit *u)
{
    return u->text != NULL ? u->size : u->source->size;
}

int
hr_member_follow(struct hr_derive *w, struct hr_scope *outer, const char *text,
                 const struct hr_block *b)
{
    struct hr_blocks members = {0};
    struct hr_lex_error error;
    struct hr_scope s = {.u = outer->u, .old_text = text};
    PyObject *name = hr_scope_name(outer, text, b);
    PyObject *type = name ? PyDict_GetItemWithError(outer->live, name) : NULL;
    PyObject *plain = hr_name_of(text, b);
    int status = plain == NULL || name == NULL ? -1 : 0;
    if (type == NULL || !hr_class_is_open(type) || !hr_value_is_class(type) ||
        b->decorated || b->body_inline || outer->depth == HR_MAX_DEPTH ||
        hr_lex_members(text, planned_size(outer->u), b, &members, &error) !=
            HR_LEX_OK) {
        goto done;
    }
    s.type = type;
    s.live = hr_layer_dict(outer->u->plan->st, HR_LAYER_SOURCES, HR_PLACE_TYPE,
                           type);
    s.prefix = ((PyHeapTypeObject *)type)->ht_qualname;
    memcpy(s.classes, outer->classes, sizeof s.classes);
    s.depth = outer->depth;
    s.classes[s.depth++] = plain;
    s.new = &members;
    status = s.live == NULL ? -1 : status;
    for (size_t i = 0; status == 0 && i < members.count; i++) {
        status = hr_derive_block(w, &s, text, &members.items[i]);
    }
done:
    Py_XDECREF(s.live);
    hr_blocks_clear(&members);
    Py_XDECREF(plain);
    Py_XDECREF(name);
    return status;
}
