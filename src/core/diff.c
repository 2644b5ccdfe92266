/* Pairing the blocks of two texts.
 *
 * Blocks at the beginning and at the end that did not change are passed over
 * first, so the work is proportional to what lies between the first and the
 * last change.  There, blocks of equal hash are paired in order (also when
 * they moved), then definitions of equal name and header, then definitions and
 * assignments of equal kind and name, then names whose kind changed, then
 * other statements in order.  Of several without decorators that have one
 * name, the last is the one that counts: they are paired from the last to the
 * first.
 */
#include "scope.h"

struct entry {
    uint64_t hash;
    int order; /* among those of equal hash */
    int index;
};

static int
compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1)
                              : x->order - y->order;
}

static uint64_t
hash_name(const char *text, const struct hr_block *b, int with_kind)
{
    uint64_t hash = hr_name_hash_of(text, b);
    return with_kind ? hash * 31 + (uint64_t)b->kind : hash;
}

enum key {
    BY_HASH,
    BY_HEADER,
    BY_DECORATED, /* kind, name, and whether it is decorated */
    BY_KIND_AND_NAME,
    BY_NAME,
    BY_STATEMENT
};

static int
get_key(enum key key, const char *text, const struct hr_block *b,
        uint64_t *hash)
{
    if (key == BY_HASH) {
        *hash = b->hash;
        return 1;
    }
    if (key == BY_STATEMENT) {
        *hash = (uint64_t)b->kind;
        return b->kind == HR_BLOCK_COMPOUND || b->kind == HR_BLOCK_OTHER;
    }
    *hash = hash_name(text, b, key != BY_NAME);
    if (key == BY_HEADER) {
        *hash ^= b->head_hash;
        return b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_CLASS;
    }
    if (key == BY_DECORATED) {
        *hash = *hash * 31 + b->decorated;
    }
    return b->name_len > 0;
}

struct side {
    const char *text;
    const struct hr_blocks *blocks;
    int first, last; /* of the middle: first <= i < last */
};

/* The unpaired blocks of one side with their keys, sorted.  Owned. */
static struct entry *
collect(struct side *side, enum key key, const int *match,
        const unsigned char *used, int *count)
{
    struct entry *entries =
        PyMem_Malloc((size_t)(side->last - side->first + 1) * sizeof *entries);
    *count = 0;
    if (entries == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    for (int i = side->first; i < side->last; i++) {
        if (match != NULL ? match[i] >= 0 : used[i]) {
            continue;
        }
        const struct hr_block *b = &side->blocks->items[i];
        struct entry *e = &entries[*count];
        if (get_key(key, side->text, b, &e->hash)) {
            e->index = i;
            e->order =
                key != BY_HASH && b->name_len > 0 && !b->decorated ? -i : i;
            ++*count;
        }
    }
    qsort(entries, (size_t)*count, sizeof *entries, compare_entries);
    return entries;
}

/* -1 with an exception, else how many are left without a partner, of the side
 * that has fewer of them. */
static int
pair_by(enum key key, struct side *old, struct side *new, struct hr_diff *d)
{
    int n = 0, m = 0, left = 0;
    struct entry *a = collect(old, key, NULL, d->used, &n);
    struct entry *b = a ? collect(new, key, d->match, NULL, &m) : NULL;
    if (b == NULL) {
        PyMem_Free(a);
        return -1;
    }
    for (int i = 0, k = 0; i < n && k < m;) {
        if (a[i].hash == b[k].hash) {
            d->match[b[k++].index] = a[i].index;
            d->used[a[i++].index] = 1;
        }
        else if (a[i].hash < b[k].hash) {
            i++;
        }
        else {
            k++;
        }
    }
    PyMem_Free(a);
    PyMem_Free(b);
    for (int i = old->first; i < old->last; i++) {
        left += !d->used[i];
    }
    int missing = 0;
    for (int i = new->first; i < new->last; i++) {
        missing += d->match[i] < 0;
    }
    return left < missing ? left : missing;
}

/* Did two blocks of one name exchange their places?  1, 0 or -1. */
static int
find_swapped(struct side *new, struct hr_diff *d)
{
    int last = -1, count = 0, crossed = 0;
    for (int i = new->first; i < new->last && !crossed; i++) {
        crossed = d->match[i] >= 0 && d->match[i] < last;
        last = d->match[i] >= 0 ? d->match[i] : last;
    }
    if (!crossed) {
        return 0;
    }
    struct entry *e =
        PyMem_Malloc((size_t)(new->last - new->first) * sizeof *e);
    if (e == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (int i = new->first; i < new->last; i++) {
        if (d->match[i] >= 0 &&
            get_key(BY_NAME, new->text, &new->blocks->items[i],
                    &e[count].hash)) {
            e[count].order = e[count].index = i;
            count++;
        }
    }
    qsort(e, (size_t)count, sizeof *e, compare_entries);
    int swapped = 0;
    for (int i = 1; i < count && !swapped; i++) {
        swapped = e[i - 1].hash == e[i].hash &&
                  d->match[e[i - 1].index] > d->match[e[i].index];
    }
    PyMem_Free(e);
    return swapped;
}

int
hr_diff_blocks(const char *old_text, const struct hr_blocks *old,
               const char *new_text, const struct hr_blocks *new,
               struct hr_diff *d)
{
    struct side a = {old_text, old, 0, (int)old->count};
    struct side b = {new_text, new, 0, (int)new->count};
    d->match = PyMem_Malloc((new->count + 1) * sizeof *d->match);
    d->used = PyMem_Calloc(old->count + 1, 1);
    d->meaning = PyMem_Calloc(new->count + 1, 1);
    if (d->match == NULL || d->used == NULL || d->meaning == NULL) {
        hr_diff_clear(d);
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < new->count; i++) {
        d->match[i] = -1;
    }
    while (a.first < a.last && b.first < b.last &&
           old->items[a.first].hash == new->items[b.first].hash) {
        d->match[b.first++] = a.first;
        d->used[a.first++] = 1;
    }
    while (a.first < a.last && b.first < b.last &&
           old->items[a.last - 1].hash == new->items[b.last - 1].hash) {
        d->match[--b.last] = --a.last;
        d->used[a.last] = 1;
    }
    int left = 1;
    for (int key = BY_HASH; key <= BY_STATEMENT && left > 0; key++) {
        left = pair_by((enum key)key, &a, &b, d);
    }
    d->swapped = left < 0 ? -1 : find_swapped(&b, d);
    if (d->swapped < 0) {
        hr_diff_clear(d);
        return -1;
    }
    return 0;
}

void
hr_diff_clear(struct hr_diff *d)
{
    PyMem_Free(d->match);
    PyMem_Free(d->used);
    PyMem_Free(d->meaning);
    *d = (struct hr_diff){0};
}
