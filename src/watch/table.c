/* A hash table of pointers to items that begin with their own hash.
 *
 * Open addressing, linear probing, at most two thirds full; deleting moves
 * the followers back, so that there are no tombstones and a table that is
 * filled and emptied for weeks stays as fast as a new one.  Several items may
 * have one hash (and one key: what makes two items equal is the caller's
 * business).
 */
#include "internal.h"

#include <errno.h>

static void
put(struct hr_table *t, struct hr_item *item)
{
    size_t i = item->hash & (t->size - 1);

    while (t->slots[i] != NULL) {
        i = (i + 1) & (t->size - 1);
    }
    t->slots[i] = item;
}

static int
grow(struct hr_table *t)
{
    struct hr_table bigger = {NULL, t->size == 0 ? 16 : t->size * 2, t->count};

    bigger.slots = hr_calloc(bigger.size, sizeof(*bigger.slots));
    if (bigger.slots == NULL) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < t->size; i++) {
        if (t->slots[i] != NULL) {
            put(&bigger, t->slots[i]);
        }
    }
    free(t->slots);
    *t = bigger;
    return 0;
}

int
hr_table_add(struct hr_table *t, struct hr_item *item)
{
    if ((t->count + 1) * 3 > t->size * 2 && grow(t) < 0) {
        return -1;
    }
    put(t, item);
    t->count++;
    return 0;
}

void
hr_table_drop(struct hr_table *t, struct hr_item *item)
{
    size_t mask = t->size - 1;
    size_t hole, i;

    if (t->size == 0) {
        return;
    }
    for (hole = item->hash & mask; t->slots[hole] != item;
         hole = (hole + 1) & mask) {
        if (t->slots[hole] == NULL) {
            return;
        }
    }
    t->count--;
    /* Whoever stands behind the hole and would have liked to stand at it or
     * before it moves in. */
    for (i = (hole + 1) & mask; t->slots[i] != NULL; i = (i + 1) & mask) {
        size_t home = t->slots[i]->hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
}

struct hr_item *
hr_table_next(const struct hr_table *t, uint32_t hash, size_t *at)
{
    if (t->size == 0) {
        return NULL;
    }
    size_t i =
        *at == SIZE_MAX ? (hash & (t->size - 1)) : ((*at + 1) & (t->size - 1));
    for (; t->slots[i] != NULL; i = (i + 1) & (t->size - 1)) {
        if (t->slots[i]->hash == hash) {
            *at = i;
            return t->slots[i];
        }
    }
    return NULL;
}

void
hr_table_clear(struct hr_table *t)
{
    free(t->slots);
    *t = (struct hr_table){NULL, 0, 0};
}
