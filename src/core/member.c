/* Members of a class that compute from a changed name, of the class, of its
 * module or of another.
 *
 * The class as such did not change, or is planned by classdef.c; here it is
 * about `LIMITS = (LOW, HIGH)` when LOW has another value.  Classes that a
 * decorator or metaclass makes from their members are made again whole, when
 * it is about a name of their module (classdef.c); else the user is told.
 * Called by derive.c, which follows each member as it follows statements of a
 * module.
 */
#include "scope.h"

/* The size of the text that the unit's blocks are of. */
static size_t
planned_size(struct hr_unit *u)
{
    return u->text != NULL ? u->size : u->source->size;
}

/* -- Classes that are made from their members ----------------------------- */

/* Does the text read a name of the module that holds something else than
 * before? */
static int
reads_touched(struct hr_unit *u, const char *text, const struct hr_block *b)
{
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(u->shadow, &pos, &name, &value)) {
        if (value != PyDict_GetItemWithError(u->before, name) &&
            PyUnicode_Check(name) &&
            hr_word_may_be_in(text + b->start, b->end - b->start, name)) {
            return 1;
        }
    }
    return 0;
}

/* Does a member assign another value, and has it what it assigned before? */
static int
is_derived(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    PyObject *name = hr_scope_name(s, text, b);
    PyObject *tree =
        hr_syntax_parse(s->u, text + b->start, b->end - b->start, "");
    struct hr_worlds w = {0};
    w.was.cls = w.is.cls = s->classes[s->depth - 1];
    w.was.lazy = w.is.lazy = s->u->future & CO_FUTURE_ANNOTATIONS;
    w.was.globals = hr_worlds_copy(s->u->before);
    w.is.globals = hr_worlds_copy(s->u->shadow);
    w.was.locals = hr_worlds_copy(s->live);
    w.is.locals = hr_worlds_copy(s->live);
    int status = name == NULL || tree == NULL || w.was.globals == NULL ||
                         w.is.globals == NULL || w.was.locals == NULL ||
                         w.is.locals == NULL
                     ? -1
                     : hr_worlds_statements(s, &w, tree, text, b, NULL);
    if (status == 1) {
        PyObject *live = PyDict_GetItemWithError(s->live, name);
        PyObject *old = PyDict_GetItemWithError(w.was.locals, name);
        PyObject *new = PyDict_GetItemWithError(w.is.locals, name);
        /* Of enumerations and slots, the class holds something else. */
        status = old != NULL && new != NULL && !hr_value_still_is(old, new) &&
                 (live == NULL || !hr_value_is(live) ||
                  hr_value_still_is(live, old));
    }
    hr_worlds_clear(&w);
    Py_XDECREF(tree);
    Py_XDECREF(name);
    return status;
}

int
hr_member_mark(struct hr_scope *s)
{
    int marked = 0;
    for (size_t i = 0; s->u->evaluates && i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (b->kind != HR_BLOCK_ASSIGN ||
            !reads_touched(s->u, s->u->text, b)) {
            continue;
        }
        int derived = is_derived(s, s->u->text, b);
        if (derived < 0) {
            return -1;
        }
        if (derived) {
            s->diff.match[i] = -1;
            marked = 1;
        }
    }
    return marked;
}

/* One member of a class that is not made again by setting attributes: unless
 * that was done in this batch, the user is told. */
static int
follow_member(struct hr_derive *w, struct hr_scope *s, const char *text,
              const struct hr_block *b, int plain)
{
    if (plain || b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_CLASS) {
        return hr_derive_block(w, s, text, b);
    }
    return b->kind == HR_BLOCK_ASSIGN &&
                   !PySequence_Contains(w->p->classes, s->type)
               ? hr_hint_reads(w, s, text, b)
               : 0;
}

/* -- Other classes -------------------------------------------------------- */

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
    if (type == NULL || !hr_class_is_open(type) || b->body_inline ||
        outer->depth == HR_MAX_DEPTH ||
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
    if (s.live == NULL) {
        status = -1;
        goto done;
    }
    int direct = hr_value_is_class(type) && !b->decorated &&
                 PyDict_GetItemString(s.live, "_fields") == NULL;
    for (size_t i = 0; status == 0 && i < members.count; i++) {
        status = follow_member(w, &s, text, &members.items[i], direct);
    }
done:
    Py_XDECREF(s.live);
    hr_blocks_clear(&members);
    Py_XDECREF(plain);
    Py_XDECREF(name);
    return status;
}
