/* Which blocks of a text stand on other lines now.
 *
 * Those that only moved have a distance.  Statements that are written
 * otherwise and mean the same have their code in pairs (relayout.c).
 *
 * For finish.c, after the commit; line.c moves what begins there.
 */
#include "scope.h"

#define MAX_DEPTH 16 /* of classes */

struct found {
    struct hr_move *moves; /* ascending */
    size_t count, capacity;
    PyObject *pairs; /* see relayout.c */
    PyObject *classes[MAX_DEPTH];
    int depth;
};

static int
add_move(struct found *w, const struct hr_block *b, uint32_t last,
         uint32_t now)
{
    uint32_t first = b->line;
    if (first == now) {
        return 0;
    }
    struct hr_move *moves =
        hr_grow(w->moves, w->count, &w->capacity, sizeof *moves);
    if (moves == NULL) {
        return -1;
    }
    w->moves = moves;
    w->moves[w->count++] = (struct hr_move){
        .first = (int)first,
        .last = (int)last,
        .delta = (int)now - (int)first,
        .block = b->kind == HR_BLOCK_CLASS && last == first ? NULL : b};
    return 0;
}

static int find_moves(struct found *w, struct hr_unit *u,
                      const struct hr_blocks *old,
                      const struct hr_blocks *new);

static int
find_in_class(struct found *w, struct hr_unit *u, const struct hr_block *a,
              const struct hr_block *b)
{
    const struct hr_members *m = hr_text_members(u, a, b);
    PyObject *name = m && w->depth < MAX_DEPTH ? hr_name_of(u->text, b) : NULL;
    /* The class statement itself, for its __firstlineno__. */
    int status = name == NULL ? -1 : add_move(w, a, a->line, b->line);
    if (status == 0) {
        w->classes[w->depth++] = name;
        status = find_moves(w, u, &m->old, &m->new);
        w->depth--;
    }
    Py_XDECREF(name);
    return m != NULL && w->depth == MAX_DEPTH ? 0 : status;
}

static int
find_moves(struct found *w, struct hr_unit *u, const struct hr_blocks *old,
           const struct hr_blocks *new)
{
    struct hr_diff d = {0};
    int *partner = PyMem_Malloc((old->count + 1) * sizeof *partner);
    if (partner == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int status = hr_diff_blocks(u->source->text, old, u->text, new, &d);
    for (size_t i = 0; i < old->count; i++) {
        partner[i] = -1;
    }
    for (size_t i = 0; status == 0 && i < new->count; i++) {
        if (d.match[i] >= 0) {
            partner[d.match[i]] = (int)i;
        }
    }
    for (size_t i = 0; status == 0 && i < old->count; i++) {
        const struct hr_block *a = &old->items[i];
        const struct hr_block *b =
            partner[i] >= 0 ? &new->items[partner[i]] : NULL;
        if (b == NULL) {
            continue;
        }
        if (a->raw_hash == b->raw_hash) {
            status = add_move(w, a, a->end_line, b->line);
        }
        else if (a->kind == HR_BLOCK_CLASS && b->kind == HR_BLOCK_CLASS) {
            status = find_in_class(w, u, a, b);
        }
        else if (a->kind == b->kind && a->kind != HR_BLOCK_DEF) {
            status = hr_relayout_add(w->pairs, u, a, b, w->classes, w->depth);
        }
    }
    PyMem_Free(partner);
    hr_diff_clear(&d);
    return status;
}

int
hr_shift_find(struct hr_unit *u, struct hr_lines *lines)
{
    struct found found = {.pairs = PyDict_New()};
    int status = found.pairs == NULL
                     ? -1
                     : find_moves(&found, u, &u->source->blocks, u->blocks);
    /* It is ended after a failure, too. */
    *lines = (struct hr_lines){.u = u,
                               .moves = found.moves,
                               .count = found.count,
                               .pairs = found.pairs};
    return status;
}
