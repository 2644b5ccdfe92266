/* The public functions: splitting a text, splitting it again after an edit,
 * splitting a block's body; what encoding a source has; what errors say.
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
 * Finding the changed bytes costs one comparison of the two texts, many bytes
 * at a time.  The result is the same as a split's, bit for bit; the tests
 * compare the two.
 *
 * The encoding of a source is told by a comment in one of its first two lines
 * (PEP 263):  # -*- coding: latin-1 -*-  or  # vim: set fileencoding=cp1252 :
 * The second line only counts if the first one is blank or a comment too.
 */
#include <stdlib.h>
#include <string.h>

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

/* Equal bytes are passed over in pieces of this size, as fast as memcmp() is
 * on this machine; only the piece that differs is looked at closely. */
#define PIECE 1024

static size_t
common_head(const char *a, const char *b, size_t limit)
{
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    size_t i = 0;

    while (limit - i >= PIECE && memcmp(p + i, q + i, PIECE) == 0) {
        i += PIECE;
    }
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

    while (limit - i >= PIECE &&
           memcmp(a - i - PIECE, b - i - PIECE, PIECE) == 0) {
        i += PIECE;
    }
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

/* Append old blocks, moved by so many bytes and lines (modulo 2^32). */
static int
append_moved(struct hr_blocks *blocks, const struct hr_block *from,
             size_t count, uint32_t shift, uint32_t lines)
{
    struct hr_block *block;

    if (hr_block_append(blocks, from, count) < 0) {
        return -1;
    }
    block = blocks->items + blocks->count - count;
    for (; count > 0; count--, block++) {
        block->start += shift;
        block->end += shift;
        block->head_end += shift;
        block->line += lines;
        block->end_line += lines;
        block->def_line += lines;
        if (block->name_len > 0) {
            block->name += shift;
        }
        if (block->body > 0) {
            block->body += shift;
            block->body_line += lines;
        }
    }
    return 0;
}

/* The old blocks from g->old_next on, where they are now. */
static enum hr_lex_status
append_tail(struct hr_grouping *g)
{
    const struct hr_block *from = g->old->items + g->old_next;
    uint32_t lines = g->joined_line - from->line;

    if (append_moved(g->blocks, from, g->old->count - g->old_next, g->shift,
                     lines) < 0) {
        return hr_block_fail(g, HR_LEX_NO_MEMORY, g->joined_line);
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
        status = append_tail(&g);
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

enum hr_lex_status
hr_lex_remembers(const char *old_text, const struct hr_block *old_block,
                 const struct hr_blocks *old, const char *text, size_t size,
                 const struct hr_block *block, struct hr_blocks *members,
                 struct hr_lex_error *error)
{
    struct hr_grouping g = {.blocks = members, .old = old};
    const char *a = old_text + old_block->start, *b = text + block->start;
    uint32_t n = old_block->end - old_block->start;
    uint32_t m = block->end - block->start;
    uint32_t shift = block->start - old_block->start;
    uint32_t lines = block->line - old_block->line;
    uint32_t limit = n < m ? n : m, head, tail;
    size_t first;
    enum hr_lex_status status;

    head = (uint32_t)common_head(a, b, limit);
    first = count_before(old, old_block->start + head);
    if (block->kind != HR_BLOCK_CLASS || block->body_inline ||
        old_block->body_inline || first == 0 || block->end > size ||
        block->body != old_block->body + shift) {
        return hr_lex_members(text, size, block, members, error);
    }
    members->count = 0;
    tail = (uint32_t)common_tail(a + n, b + m, limit - head);
    /* The last one before the change may go on in what was changed. */
    first--;
    if (append_moved(members, old->items, first, shift, lines) < 0) {
        status = hr_block_fail(&g, HR_LEX_NO_MEMORY, block->line);
        return report(&g, status, error);
    }
    g.scan.text = (const uint8_t *)text;
    g.scan.at = g.scan.text + (uint32_t)(old->items[first].start + shift);
    g.scan.end = g.scan.text + block->end;
    g.scan.line = old->items[first].line + lines;
    g.old_next = first;
    g.shift = block->end - old_block->end;
    g.join_from = block->end - tail;
    status = hr_block_group(&g, 0);
    if (status == HR_LEX_OK && g.joined) {
        status = append_tail(&g);
    }
    return report(&g, status, error);
}

/* --- encoding and messages ------------------------------------------------
 */

static int
is_name_of_encoding(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Find "coding:" or "coding=" and the name behind it in [p, end).  Returns
 * the length of the name, 0 when there is none. */
static size_t
find_cookie(const char *p, const char *end, const char **name)
{
    for (; end - p > 7; p++) {
        if (memcmp(p, "coding", 6) != 0 || (p[6] != ':' && p[6] != '=')) {
            continue;
        }
        const char *start = p + 7;
        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }
        const char *stop = start;
        while (stop < end && is_name_of_encoding(*stop)) {
            stop++;
        }
        if (stop > start) {
            *name = start;
            return (size_t)(stop - start);
        }
    }
    return 0;
}

/* Python takes these names in any spelling, and with anything behind a '-'
 * ("utf_8", "UTF-8-sig", "Latin-1-unix"). */
static int
is_spelling_of(const char *name, size_t size, const char *encoding)
{
    size_t i = 0;

    for (; encoding[i] != 0; i++) {
        char c = i < size ? name[i] : 0;
        if (c >= 'A' && c <= 'Z') {
            c += 'a' - 'A';
        }
        if (c == '_') {
            c = '-';
        }
        if (c != encoding[i]) {
            return 0;
        }
    }
    return i == size || name[i] == '-' || name[i] == '_';
}

static void
copy_encoding(char to[64], const char *name, size_t size)
{
    if (is_spelling_of(name, size, "utf-8")) {
        name = "utf-8";
        size = 5;
    }
    else if (is_spelling_of(name, size, "latin-1") ||
             is_spelling_of(name, size, "iso-8859-1") ||
             is_spelling_of(name, size, "iso-latin-1")) {
        name = "iso-8859-1";
        size = 10;
    }
    if (size > 63) {
        size = 63;
    }
    memcpy(to, name, size);
    to[size] = 0;
}

size_t
hr_lex_encoding(const char *text, size_t size, char name[64])
{
    const char *p = text, *end = text + size;
    size_t bom = 0;

    copy_encoding(name, "utf-8", 5);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        bom = 3;
        p += 3;
    }
    for (uint32_t line = 1; line <= 2 && p < end;) {
        const char *stop = p, *found;
        size_t found_size;

        while (p < end && hr_bytes_class[(uint8_t)*p] == HR_BYTE_SPACE) {
            p++;
        }
        while (stop < end &&
               hr_bytes_class[(uint8_t)*stop] != HR_BYTE_NEWLINE) {
            stop++;
        }
        if (p < stop && *p != '#') {
            break;
        }
        found_size = find_cookie(p, stop, &found);
        if (found_size > 0) {
            copy_encoding(name, found, found_size);
            break;
        }
        if (stop == end) {
            break;
        }
        p = (const char *)hr_bytes_newline((const uint8_t *)stop,
                                           (const uint8_t *)end, &line);
    }
    return bom;
}

const char *
hr_lex_message(enum hr_lex_status status)
{
    switch (status) {
    case HR_LEX_OK:
        return "no error";
    case HR_LEX_NO_MEMORY:
        return "out of memory";
    case HR_LEX_UNTERMINATED:
        return "a string or bracket is never closed";
    case HR_LEX_INDENT:
        return "the indentation is inconsistent";
    case HR_LEX_TOO_LARGE:
        return "the file is larger than 4 GiB";
    case HR_LEX_NUL:
        return "the file contains a NUL byte";
    }
    return "unknown error";
}
