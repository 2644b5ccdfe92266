/* Texts of followed files, read and split before the GIL is taken.
 *
 * What a save of a large file costs is the comparison of its text with the one
 * that runs.  That needs nothing of Python, so it happens while the program
 * goes on: hr_text_read() decodes, compares and splits what changed, and keeps
 * the result beside the followed file, where the plan finds it.
 *
 * The table of followed files and the texts that run are changed with the GIL
 * *and* the texts' lock; so either of the two is enough to read them.  The
 * lock is held for microseconds, and nothing is waited for meanwhile. Readings
 * are under the lock alone.
 */
#include "code.h"

#include <stdlib.h>

/* -- The lock and the table ----------------------------------------------- */

void
hr_text_init(struct hr_state *st)
{
    pthread_mutex_init(&st->texts, NULL);
}

static size_t
hash_path(const char *path)
{
    return (size_t)hr_watch_hash(path, strlen(path));
}

/* Where the path is, or would be: the table always has a free slot. */
static struct hr_source **
find_slot(struct hr_source **table, size_t slots, const char *path)
{
    size_t i = hash_path(path) & (slots - 1);
    while (table[i] != NULL && strcmp(table[i]->path, path) != 0) {
        i = (i + 1) & (slots - 1);
    }
    return &table[i];
}

struct hr_source *
hr_text_find(struct hr_state *st, const char *path)
{
    return st->source_slots == 0
               ? NULL
               : *find_slot(st->source_table, st->source_slots, path);
}

static int
grow(struct hr_state *st)
{
    size_t slots = st->source_slots ? st->source_slots * 2 : 64;
    struct hr_source **table = calloc(slots, sizeof(struct hr_source *));
    if (table == NULL) {
        return -1;
    }
    for (struct hr_source *s = st->sources; s != NULL; s = s->next) {
        *find_slot(table, slots, s->path) = s;
    }
    free(st->source_table);
    st->source_table = table;
    st->source_slots = slots;
    return 0;
}

int
hr_text_add(struct hr_state *st, struct hr_source *s)
{
    int status = 0;
    pthread_mutex_lock(&st->texts);
    if (st->source_count * 2 >= st->source_slots) {
        status = grow(st);
    }
    if (status == 0) {
        s->next = st->sources;
        st->sources = s;
        st->source_count++;
        *find_slot(st->source_table, st->source_slots, s->path) = s;
    }
    pthread_mutex_unlock(&st->texts);
    if (status < 0) {
        PyErr_NoMemory();
    }
    return status;
}

static void
clear_reading(struct hr_source *s)
{
    free(s->reading.text);
    hr_blocks_clear(&s->reading.blocks);
    memset(&s->reading, 0, sizeof s->reading);
}

void
hr_text_free_all(struct hr_state *st)
{
    pthread_mutex_lock(&st->texts);
    while (st->sources != NULL) {
        struct hr_source *s = st->sources;
        st->sources = s->next;
        clear_reading(s);
        hr_blocks_clear(&s->members);
        hr_blocks_clear(&s->blocks);
        free(s->words);
        free(s->text);
        free(s->path);
        free(s->name);
        free(s);
    }
    free(st->source_table);
    st->source_table = NULL;
    st->source_slots = 0;
    st->source_count = 0;
    pthread_mutex_unlock(&st->texts);
}

/* They stay for long: without the room for more. */
static void
trim(struct hr_blocks *blocks)
{
    size_t size = blocks->count * sizeof *blocks->items;
    void *items = size > 0 ? realloc(blocks->items, size) : NULL;
    if (items != NULL) {
        blocks->items = items;
        blocks->capacity = blocks->count;
    }
}

void
hr_text_set(struct hr_state *st, struct hr_source *s, char *text, size_t size,
            struct hr_blocks *blocks)
{
    pthread_mutex_lock(&st->texts);
    free(s->text);
    free(s->words);
    hr_blocks_clear(&s->blocks);
    hr_blocks_clear(&s->members);
    s->words = NULL;
    s->text = text;
    s->size = size;
    s->blocks = *blocks;
    trim(&s->blocks);
    s->partial = 0;
    clear_reading(s); /* it was compared with the text before */
    pthread_mutex_unlock(&st->texts);
    memset(blocks, 0, sizeof *blocks);
    Py_CLEAR(s->shown);
}

/* -- Reading -------------------------------------------------------------- */

/* The length of the character at p in UTF-8; 0 when it is none, or a NUL. */
static size_t
get_length(const unsigned char *p, const unsigned char *end)
{
    size_t n = *p < 0x80   ? 1
               : *p < 0xc2 ? 0
               : *p < 0xe0 ? 2
               : *p < 0xf0 ? 3
                           : 4;
    if (n <= 1) {
        return *p == 0 ? 0 : n;
    }
    if (*p > 0xf4 || (size_t)(end - p) < n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
        (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f)) {
        return 0; /* overlong, a surrogate, or behind the last character */
    }
    return n;
}

/* How many bytes from p on, by eights, are ASCII. */
static size_t
count_ascii(const unsigned char *p, const unsigned char *end)
{
    const unsigned char *start = p;
    uint64_t word[8];
    for (; end - p >= 64; p += 64) {
        memcpy(word, p, 64);
        if (((word[0] | word[1] | word[2] | word[3] | word[4] | word[5] |
              word[6] | word[7]) &
             0x8080808080808080ULL) != 0) {
            break;
        }
    }
    for (; end - p >= 8; p += 8) {
        memcpy(word, p, 8);
        if ((word[0] & 0x8080808080808080ULL) != 0) {
            break;
        }
    }
    return (size_t)(p - start);
}

/* Is it UTF-8 without a NUL, as Python decodes it? */
static int
is_utf8(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    if (memchr(text, '\0', size) != NULL) {
        return 0;
    }
    while (p < end) {
        p += count_ascii(p, end);
        if (p == end) {
            break;
        }
        size_t n = get_length(p, end);
        if (n == 0) {
            return 0;
        }
        p += n;
    }
    return 1;
}

/* Under the texts' lock. */
static enum hr_lex_status
split(struct hr_source *s, const char *text, size_t size,
      struct hr_blocks *blocks, struct hr_lex_error *error)
{
    struct hr_kept kept;
    return s->partial || s->doubt
               ? hr_lex_split(text, size, blocks, error)
               : hr_lex_resplit(s->text, s->size, &s->blocks, text, size,
                                blocks, &kept, error);
}

/* Under the texts' lock: make the reading of a followed file.  0 when Python
 * is needed to decode it. */
static int
make_reading(struct hr_source *s, const char *text, size_t size)
{
    struct hr_reading *r = &s->reading;
    char encoding[64];
    size_t bom = hr_lex_encoding(text, size, encoding);
    size -= bom;
    if (strcmp(encoding, "utf-8") != 0) {
        return 0;
    }
    if (r->ready && r->size == size &&
        memcmp(r->text, text + bom, size) == 0) {
        return 1; /* made when the watcher asked whether it is whole */
    }
    clear_reading(s);
    if (!is_utf8(text + bom, size) || (r->text = malloc(size + 1)) == NULL) {
        return 0;
    }
    memcpy(r->text, text + bom, size);
    r->text[size] = '\0';
    r->size = size;
    int64_t began = hr_clock_ns(CLOCK_MONOTONIC);
    r->ready =
        split(s, r->text, size, &r->blocks, &r->error) != HR_LEX_NO_MEMORY;
    r->split_ns = hr_clock_ns(CLOCK_MONOTONIC) - began;
    return r->ready;
}

int
hr_text_is_whole(struct hr_state *st, const char *path, const char *text,
                 size_t size)
{
    pthread_mutex_lock(&st->texts);
    struct hr_source *s = hr_text_find(st, path);
    int known = s != NULL && make_reading(s, text, size);
    int whole = known && s->reading.error.status == HR_LEX_OK;
    pthread_mutex_unlock(&st->texts);
    if (!known) {
        struct hr_blocks blocks = {0};
        struct hr_lex_error error;
        whole = hr_lex_split(text, size, &blocks, &error) == HR_LEX_OK;
        hr_blocks_clear(&blocks);
    }
    return whole;
}

void
hr_text_read(struct hr_state *st, const struct hr_change *c)
{
    if (c->live || c->kind != HR_CHANGE_CONTENT || c->text == NULL) {
        return;
    }
    pthread_mutex_lock(&st->texts);
    struct hr_source *s = hr_text_find(st, c->path);
    if (s != NULL && make_reading(s, c->text, c->size)) {
        s->reading.hash = c->hash;
        s->reading.hashed = 1;
    }
    pthread_mutex_unlock(&st->texts);
}

int
hr_text_take(struct hr_state *st, struct hr_source *s, uint64_t hash,
             struct hr_file *f, struct hr_lex_error *error)
{
    struct hr_reading *r = &s->reading;
    pthread_mutex_lock(&st->texts);
    int taken = r->ready && r->hashed && r->hash == hash;
    if (taken) {
        f->text = r->text;
        f->size = r->size;
        f->blocks = r->blocks;
        f->split_ns = r->split_ns;
        *error = r->error;
        memset(r, 0, sizeof *r);
    }
    pthread_mutex_unlock(&st->texts);
    return taken;
}

enum hr_lex_status
hr_text_split(struct hr_source *s, struct hr_file *f,
              struct hr_lex_error *error)
{
    return split(s, f->text, f->size, &f->blocks, error);
}

/* -- Members of classes --------------------------------------------------- */

int
hr_text_copy_blocks(struct hr_blocks *to, const struct hr_blocks *from)
{
    size_t size = from->count * sizeof *from->items;
    to->items = malloc(size);
    if (to->items == NULL) {
        return -1;
    }
    memcpy(to->items, from->items, size);
    to->count = to->capacity = from->count;
    return 0;
}

void
hr_text_doubt(struct hr_block *b)
{
    b->hash = ~b->hash;
    b->head_hash = ~b->head_hash;
    b->raw_hash = ~b->raw_hash;
}

const struct hr_members *
hr_text_members(struct hr_unit *u, const struct hr_block *old,
                const struct hr_block *new)
{
    struct hr_source *s = u->source;
    struct hr_lex_error error;
    struct hr_members *m = u->members;
    while (m != NULL &&
           (m->old_start != old->start || m->new_start != new->start)) {
        m = m->next;
    }
    if (m != NULL) {
        return m;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->old_start = old->start;
    m->new_start = new->start;
    if (s->members.count > 0 && s->members_of == old->start) {
        m->status = hr_text_copy_blocks(&m->old, &s->members) < 0
                        ? HR_LEX_NO_MEMORY
                        : 0;
    }
    else {
        m->status = hr_lex_members(s->text, s->size, old, &m->old, &error);
    }
    if (m->status == HR_LEX_OK) {
        m->status = hr_lex_remembers(s->text, old, &m->old, u->text, u->size,
                                     new, &m->new, &error);
    }
    else if (m->status != HR_LEX_NO_MEMORY &&
             hr_lex_members(u->text, u->size, new, &m->new, &error) ==
                 HR_LEX_NO_MEMORY) {
        m->status = HR_LEX_NO_MEMORY;
    }
    for (size_t i = 0; s->doubt && i < m->old.count; i++) {
        /* The live methods may be of another text: all count as changed. */
        struct hr_block *b = &m->old.items[i];
        if (b->kind == HR_BLOCK_DEF) {
            hr_text_doubt(b);
        }
    }
    hr_future_doubt_members(u, &m->old);
    m->next = u->members;
    u->members = m;
    return m->status == HR_LEX_NO_MEMORY ? NULL : m;
}

void
hr_text_free_members(struct hr_unit *u)
{
    while (u->members != NULL) {
        struct hr_members *m = u->members;
        u->members = m->next;
        hr_blocks_clear(&m->old);
        hr_blocks_clear(&m->new);
        free(m);
    }
}

void
hr_text_keep_members(struct hr_unit *u)
{
    struct hr_source *s = u->source;
    if (u->members != NULL && u->members->status == HR_LEX_OK &&
        s->text == u->text) {
        hr_blocks_clear(&s->members);
        s->members = u->members->new;
        s->members_of = u->members->new_start;
        trim(&s->members);
        memset(&u->members->new, 0, sizeof u->members->new);
    }
}
