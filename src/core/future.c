/* A `from __future__` import that came or went.
 *
 * `annotations` means that annotations are texts: so what has one counts as
 * changed, functions and classes and `X: int = 1`, and is planned as if it had
 * been written anew.  What has none means the same with it and without.
 * Another rule changes all the rest, and is refused.
 *
 * For unit.c, text.c and scope.c.
 */
#include "scope.h"

/* Is there an annotation in the head of a function? */
static int
is_annotated(const char *text, const struct hr_block *b)
{
    const char *at = text + hr_scope_offset_of_line(text, b, b->def_line);
    const char *end = text + b->head_end;
    const char *first = at < end ? memchr(at, ':', (size_t)(end - at)) : NULL;
    return first != NULL &&
           (memchr(first + 1, ':', (size_t)(end - first - 1)) != NULL ||
            memmem(at, (size_t)(end - at), "->", 2) != NULL);
}

static int
has_definitions(const char *text, const struct hr_block *b)
{
    const char *at = text + b->start;
    size_t size = b->end - b->start;
    return memmem(at, size, "def ", 4) != NULL ||
           memmem(at, size, "class ", 6) != NULL;
}

static void
doubt(const char *text, struct hr_block *b)
{
    uint64_t head = b->head_hash;
    int annotated = b->kind == HR_BLOCK_DEF && is_annotated(text, b);
    if (annotated || b->kind == HR_BLOCK_CLASS ||
        (b->kind == HR_BLOCK_DEF && has_definitions(text, b)) ||
        (b->kind == HR_BLOCK_ASSIGN && hr_same_is_annotated(text, b))) {
        hr_text_doubt(b);
        b->head_hash =
            b->kind == HR_BLOCK_ASSIGN || annotated ? b->head_hash : head;
    }
}

static void
doubt_all(struct hr_unit *u, struct hr_blocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++) {
        doubt(u->source->text, &blocks->items[i]);
    }
}

static int
is_about_annotations(struct hr_unit *u)
{
    return (u->future_changed & CO_FUTURE_ANNOTATIONS) != 0 &&
           !u->source->doubt;
}

int
hr_future_begin(struct hr_unit *u)
{
    struct hr_source *s = u->source;
    u->future_changed = hr_code_future_flags(s->text, &s->blocks) ^ u->future;
    u->old_blocks = &s->blocks;
    if (!is_about_annotations(u)) {
        return 0;
    }
    if (hr_text_copy_blocks(&u->doubted, &s->blocks) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    doubt_all(u, &u->doubted);
    u->old_blocks = &u->doubted;
    return 0;
}

void
hr_future_doubt_members(struct hr_unit *u, struct hr_blocks *members)
{
    if (is_about_annotations(u)) {
        doubt_all(u, members);
    }
}

int
hr_future_changes_all(struct hr_unit *u)
{
    return (u->future_changed & ~CO_FUTURE_ANNOTATIONS) != 0;
}
