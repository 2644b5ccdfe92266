/* The ways in: a whole text, a text that was split before, a block's body.
 *
 * hr_lex_resplit() is what makes a save cheap: an edit touches a few lines of
 * thousands, and a block depends on nothing before its first line and on
 * nothing behind the first line that is not its own any more.  So
 *
 *      old  |== A ==|== B ==|== C ==|== D ==|== E ==|== F ==|
 *                             ^ first       ^ behind the last
 *                               changed byte  changed byte
 *      kept |== A ==|                       ^       |== F ==|   (moved)
 *      scanned      |== B ==|== C' ==|======= ... ==|
 *
 *  - scanning begins with the last block that ends before the first changed
 *    byte: B itself cannot change, but what follows it may now belong to it
 *    (an `else`, a deeper line);
 *  - it ends where a block begins, behind the last changed byte, at a place
 *    where an old block began: the bytes from there on are the old ones, so
 *    the blocks are too, except for where they are.
 *
 * Finding the changed bytes costs one comparison of the two texts, eight bytes
 * at a time.  The result is the same as a split's, bit for bit; the tests
 * compare the two.
 */
#include <stdlib.h>

#include "block.h"
#include "hash.h"

void
hr_blocks_clear(struct hr_blocks *blocks)
{
    free(blocks->items);
    *blocks = (struct hr_blocks){0};
}

static enum hr_lex_status
report(const struct hr_grouping *g, enum hr_lex_status status,
       struct hr_lex_error *error)
{
    if (error != NULL) {
        error->status = status;
        error->line = status == HR_LEX_OK ? 0 : g->scan.error.line;
    }
    return status;
}

static uint32_t
line_of(const char *text, const char *at)
{
    const uint8_t *p = (const uint8_t *)text, *end = (const uint8_t *)at;
    uint32_t line = 1;

    while (p < end) {
        if (hr_bytes_class[*p] == HR_BYTE_NEWLINE) {
            p = hr_bytes_newline(p, end, &line);
        }
        else {
            p++;
        }
    }
    return line;
}

/* Is it a text that can be split at all?  Only the bytes from `changed` on
 * (`count` of them) can hold what was not there before. */
static enum hr_lex_status
check_text(struct hr_grouping *g, const char *text, size_t size,
           size_t changed, size_t count)
{
    const char *nul;

    if (size > UINT32_MAX - 1) {
        return hr_block_fail(g, HR_LEX_TOO_LARGE, 1);
    }
    nul = count > 0 ? memchr(text + changed, 0, count) : NULL;
    if (nul != NULL) {
        return hr_block_fail(g, HR_LEX_NUL, line_of(text, nul));
    }
    return HR_LEX_OK;
}

static void
begin_text(struct hr_grouping *g, const char *text, size_t size)
{
    g->has_base = 1;
    g->scan.text = g->scan.at = (const uint8_t *)text;
    g->scan.end = g->scan.text + size;
    g->scan.line = 1;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        g->scan.at += 3;
    }
}

enum hr_lex_status
hr_lex_split(const char *text, size_t size, struct hr_blocks *blocks,
             struct hr_lex_error *error)
{
    struct hr_grouping g = {.blocks = blocks};
    enum hr_lex_status status;

    blocks->count = 0;
    if (size == 0) {
        return report(&g, HR_LEX_OK, error);
    }
    status = check_text(&g, text, size, 0, size);
    if (status == HR_LEX_OK) {
        begin_text(&g, text, size);
        status = hr_block_group(&g, 0);
    }
    return report(&g, status, error);
}

/* --- splitting again ------------------------------------------------------
 */

static size_t
common_head(const char *a, const char *b, size_t limit)
{
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    size_t i = 0;

    for (; limit - i >= 8; i += 8) {
        uint64_t other = hr_hash_load(p + i) ^ hr_hash_load(q + i);
        if (other != 0) {
            return i + (size_t)hr_bytes_first(other);
        }
    }
    while (i < limit && p[i] == q[i]) {
        i++;
    }
    return i;
}

/* a and b are behind the last bytes. */
static size_t
common_tail(const char *a, const char *b, size_t limit)
{
    size_t i = 0;

    while (limit - i >= 8 && memcmp(a - i - 8, b - i - 8, 8) == 0) {
        i += 8;
    }
    while (i < limit && a[-1 - (ptrdiff_t)i] == b[-1 - (ptrdiff_t)i]) {
        i++;
    }
    return i;
}

/* How many old blocks end before the byte at `changed`.  Blocks are in order,
 * so this halves. */
static size_t
count_before(const struct hr_blocks *old, size_t changed)
{
    size_t low = 0, high = old->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (old->items[middle].end < changed) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

/* The old blocks from g->old_next on, moved to where they are now. */
static enum hr_lex_status
append_moved(struct hr_grouping *g)
{
    const struct hr_block *from = g->old->items + g->old_next;
    size_t count = g->old->count - g->old_next;
    uint32_t lines = g->joined_line - from->line;
    struct hr_block *block;

    if (hr_block_append(g->blocks, from, count) < 0) {
        return hr_block_fail(g, HR_LEX_NO_MEMORY, g->joined_line);
    }
    block = g->blocks->items + g->blocks->count - count;
    for (; count > 0; count--, block++) {
        block->start += g->shift;
        block->end += g->shift;
        block->head_end += g->shift;
        block->line += lines;
        block->end_line += lines;
        block->def_line += lines;
        if (block->name_len > 0) {
            block->name += g->shift;
        }
        if (block->body > 0) {
            block->body += g->shift;
            block->body_line += lines;
        }
    }
    return HR_LEX_OK;
}

enum hr_lex_status
hr_lex_resplit(const char *old_text, size_t old_size,
               const struct hr_blocks *old, const char *text, size_t size,
               struct hr_blocks *blocks, struct hr_kept *kept,
               struct hr_lex_error *error)
{
    struct hr_grouping g = {.blocks = blocks, .old = old};
    size_t limit = old_size < size ? old_size : size;
    size_t head, tail, first;
    enum hr_lex_status status;

    *kept = (struct hr_kept){0};
    if (limit == 0) {
        return hr_lex_split(text, size, blocks, error);
    }
    blocks->count = 0;
    head = common_head(old_text, text, limit);
    tail = common_tail(old_text + old_size, text + size, limit - head);
    first = count_before(old, head);
    if (head == size && head == old_size) {
        kept->head = old->count;
        status = hr_block_append(blocks, old->items, old->count) < 0
                     ? hr_block_fail(&g, HR_LEX_NO_MEMORY, 1)
                     : HR_LEX_OK;
        return report(&g, status, error);
    }
    status = check_text(&g, text, size, head, size - head - tail);
    if (status != HR_LEX_OK) {
        return report(&g, status, error);
    }
    begin_text(&g, text, size);
    if (first > 0) {
        first--;
        if (hr_block_append(blocks, old->items, first) < 0) {
            status = hr_block_fail(&g, HR_LEX_NO_MEMORY, 1);
            return report(&g, status, error);
        }
        g.scan.at = g.scan.text + old->items[first].start;
        g.scan.line = old->items[first].line;
        kept->head = first;
    }
    g.old_next = first;
    g.shift = (uint32_t)size - (uint32_t)old_size;
    g.join_from = (uint32_t)(size - tail);
    status = hr_block_group(&g, 0);
    if (status == HR_LEX_OK && g.joined) {
        kept->tail = old->count - g.old_next;
        status = append_moved(&g);
    }
    return report(&g, status, error);
}

/* --- members --------------------------------------------------------------
 */

/* Is the block a match statement?  Its first word says so. */
static int
is_match(const char *text, const struct hr_block *block)
{
    struct hr_scan scan = {
        .text = (const uint8_t *)text,
        .at = (const uint8_t *)text + block->start,
        .end = (const uint8_t *)text + block->head_end,
        .line = block->line,
    };
    struct hr_line line;

    return block->kind == HR_BLOCK_COMPOUND &&
           hr_scan_line(&scan, &line) == HR_SCAN_LINE &&
           line.tokens[0].word == HR_WORD('m', 'a', 't', 'c', 'h');
}

enum hr_lex_status
hr_lex_members(const char *text, size_t size, const struct hr_block *block,
               struct hr_blocks *members, struct hr_lex_error *error)
{
    struct hr_grouping g = {.blocks = members};

    members->count = 0;
    if (block->body == 0 || block->end > size || block->body > block->end ||
        block->head_end > block->end) {
        return report(&g, HR_LEX_OK, error);
    }
    g.scan.text = (const uint8_t *)text;
    g.scan.at = g.scan.text + block->body;
    g.scan.end = g.scan.text + block->end;
    g.scan.line = block->body_line;
    g.scan.midline = block->body_inline;
    g.in_match = is_match(text, block);
    return report(&g, hr_block_group(&g, block->body_inline), error);
}
