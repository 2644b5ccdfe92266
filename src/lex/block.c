/* From logical lines to blocks.
 *
 * A block is a logical line at the base indentation and every line below it
 * that is indented deeper.  Three rules put more lines into one block:
 *
 *  - '@' lines belong to the `def` or `class` that follows them;
 *  - a line that begins with else, elif, except or finally continues the
 *    compound statement before it.  These are real keywords, so nothing else
 *    can begin so;
 *  - a `case` is indented deeper than its `match`, so needs no rule.
 *
 * `match`, `case` and `type` are only words where they do not begin what the
 * grammar says.  A line that begins with `match` and ends in a ':' outside of
 * brackets is a match statement, as no simple statement ends so.  A `case`
 * line could be `case(x): int` as well; it is a clause exactly where the
 * members of a match statement are split.
 *
 * Only the base level's blocks are made; deeper lines are scanned, their
 * indentation is checked, and they go into the block's hash with their level:
 *
 *      block.hash = fold(block.hash ^ line.hash, LINE + level)
 *
 * so that equal structure hashes equally however far it is indented.
 *
 * Indentation must be right (HR_LEX_INDENT else): deeper exactly behind a
 * line that ends in ':', and back only to a level that is open.  What is
 * wrong in other ways (a decorator of nothing, `else` without `if`) makes a
 * block that the compiler will refuse.
 */
#include <stdlib.h>

#include "block.h"
#include "hash.h"

enum clause {
    CLAUSE_SIMPLE,
    CLAUSE_DECORATOR,
    CLAUSE_DEF,
    CLAUSE_CLASS,
    CLAUSE_COMPOUND,
    CLAUSE_CONTINUED, /* else, elif, except, finally */
};

int
hr_block_append(struct hr_blocks *blocks, const struct hr_block *items,
                size_t count)
{
    if (count > blocks->capacity - blocks->count) {
        size_t capacity = blocks->count + count;
        void *more;

        if (capacity < blocks->capacity * 2) {
            capacity = blocks->capacity * 2;
        }
        if (capacity < 16) {
            capacity = 16;
        }
        more = realloc(blocks->items, capacity * sizeof(*items));
        if (more == NULL) {
            return -1;
        }
        blocks->items = more;
        blocks->capacity = capacity;
    }
    if (count > 0) {
        memcpy(blocks->items + blocks->count, items, count * sizeof(*items));
        blocks->count += count;
    }
    return 0;
}

/* --- what a line is ----------------------------------------------------- */

static int
is_word(const struct hr_line *line, uint32_t i, uint64_t word)
{
    return i < line->count && line->tokens[i].kind == HR_TOKEN_WORD &&
           line->tokens[i].word == word;
}

static enum clause
clause_of_word(uint64_t word)
{
    switch (word) {
    case HR_WORD('d', 'e', 'f'):
        return CLAUSE_DEF;
    case HR_WORD('c', 'l', 'a', 's', 's'):
        return CLAUSE_CLASS;
    case HR_WORD('i', 'f'):
    case HR_WORD('t', 'r', 'y'):
    case HR_WORD('f', 'o', 'r'):
    case HR_WORD('w', 'h', 'i', 'l', 'e'):
    case HR_WORD('w', 'i', 't', 'h'):
        return CLAUSE_COMPOUND;
    case HR_WORD('e', 'l', 's', 'e'):
    case HR_WORD('e', 'l', 'i', 'f'):
    case HR_WORD('e', 'x', 'c', 'e', 'p', 't'):
    case HR_WORD('f', 'i', 'n', 'a', 'l', 'l', 'y'):
        return CLAUSE_CONTINUED;
    default:
        return CLAUSE_SIMPLE;
    }
}

static enum clause
clause_of(const struct hr_line *line, int in_match)
{
    const struct hr_token *first = &line->tokens[0];

    if (first->kind == HR_TOKEN_AT) {
        return CLAUSE_DECORATOR;
    }
    if (first->kind != HR_TOKEN_WORD) {
        return CLAUSE_SIMPLE;
    }
    if (first->word == HR_WORD('a', 's', 'y', 'n', 'c')) {
        int word = line->count > 1 && line->tokens[1].kind == HR_TOKEN_WORD;
        return word ? clause_of_word(line->tokens[1].word) : CLAUSE_SIMPLE;
    }
    if (first->word == HR_WORD('m', 'a', 't', 'c', 'h')) {
        return line->ends_in_colon && line->count > 2 ? CLAUSE_COMPOUND
                                                      : CLAUSE_SIMPLE;
    }
    if (in_match && first->word == HR_WORD('c', 'a', 's', 'e')) {
        return CLAUSE_COMPOUND;
    }
    return clause_of_word(first->word);
}

static int
is_future(const struct hr_scan *scan, const struct hr_line *line)
{
    static const char name[] = "__future__";
    const struct hr_token *second = &line->tokens[1];

    return is_word(line, 0, HR_WORD('f', 'r', 'o', 'm')) && line->count > 1 &&
           second->size == sizeof(name) - 1 &&
           memcmp(scan->text + second->start, name, sizeof(name) - 1) == 0;
}

/* The kind of a line of simple statements. */
static enum hr_block_kind
kind_of_simple(const struct hr_scan *scan, const struct hr_line *line)
{
    const struct hr_token *first = &line->tokens[0];
    enum hr_token_kind second =
        line->count > 1 ? line->tokens[1].kind : HR_TOKEN_NONE;

    if (is_future(scan, line)) {
        return HR_BLOCK_FUTURE;
    }
    if (line->several) {
        return HR_BLOCK_OTHER;
    }
    if (line->only_string) {
        return HR_BLOCK_STRING;
    }
    if (is_word(line, 0, HR_WORD('i', 'm', 'p', 'o', 'r', 't')) ||
        is_word(line, 0, HR_WORD('f', 'r', 'o', 'm'))) {
        return HR_BLOCK_IMPORT;
    }
    if (first->kind == HR_TOKEN_WORD &&
        ((second == HR_TOKEN_EQUAL && line->equals == 1) ||
         (second == HR_TOKEN_COLON &&
          first->word != HR_WORD('l', 'a', 'm', 'b', 'd', 'a')))) {
        return HR_BLOCK_ASSIGN;
    }
    return HR_BLOCK_OTHER;
}

/* --- making blocks ------------------------------------------------------ */

static int
close_block(struct hr_grouping *g)
{
    struct hr_block *block = &g->block;

    if (!g->open) {
        return 0;
    }
    g->open = g->wants_body = g->undecided = 0;
    if (block->kind != HR_BLOCK_DEF && block->kind != HR_BLOCK_CLASS) {
        block->head_hash = block->hash;
    }
    block->raw_hash = hr_hash_bytes(HR_HASH_SEED, g->scan.text + block->start,
                                    block->end - block->start);
    return hr_block_append(g->blocks, block, 1);
}

static void
set_name(struct hr_block *block, const struct hr_line *line, uint32_t i)
{
    if (i < line->count && line->tokens[i].kind == HR_TOKEN_WORD) {
        block->name = line->tokens[i].start;
        block->name_len = line->tokens[i].size;
    }
}

/* The line is the (first) header of the open block. */
static void
set_header(struct hr_grouping *g, const struct hr_line *line,
           enum clause clause)
{
    struct hr_block *block = &g->block;

    g->undecided = 0;
    block->is_async = is_word(line, 0, HR_WORD('a', 's', 'y', 'n', 'c'));
    block->def_line = block->line;
    block->kind = HR_BLOCK_COMPOUND;
    if (clause != CLAUSE_COMPOUND) {
        uint64_t head = line->colon > 0 ? line->colon_hash : line->hash;
        block->kind = clause == CLAUSE_DEF ? HR_BLOCK_DEF : HR_BLOCK_CLASS;
        block->def_line = line->line;
        block->head_hash = hr_hash_fold(block->hash ^ head, HR_HASH_LINE);
        set_name(block, line, 1 + block->is_async);
    }
    block->head_end = line->colon > 0 ? line->colon : line->end;
    if (line->colon > 0 && line->colon_count < line->count) {
        block->body = line->colon;
        block->body_line = line->colon_line;
        block->body_inline = 1;
    }
    g->wants_body = line->ends_in_colon;
}

/* The line belongs to the open block. */
static void
add_line(struct hr_grouping *g, const struct hr_line *line)
{
    struct hr_block *block = &g->block;

    if (g->wants_body && g->level > 0) {
        block->body = line->start;
        block->body_line = line->start_line;
        g->wants_body = 0;
    }
    block->end = line->end;
    block->end_line = line->last_line;
    block->hash =
        hr_hash_fold(block->hash ^ line->hash, HR_HASH_LINE + g->level);
}

static void
open_block(struct hr_grouping *g, const struct hr_line *line,
           enum clause clause)
{
    struct hr_block *block = &g->block;

    *block = (struct hr_block){
        .kind = HR_BLOCK_OTHER,
        .start = line->start,
        .line = line->line,
        .def_line = line->line,
        .head_end = line->end,
        .hash = HR_HASH_SEED,
    };
    g->open = 1;
    g->wants_body = 0;
    if (clause == CLAUSE_DECORATOR) {
        block->decorated = 1;
        g->undecided = 1;
    }
    else if (clause == CLAUSE_SIMPLE) {
        block->kind = kind_of_simple(&g->scan, line);
        if (block->kind == HR_BLOCK_ASSIGN) {
            set_name(block, line, 0);
        }
    }
    else if (clause != CLAUSE_CONTINUED) {
        set_header(g, line, clause);
    }
    add_line(g, line);
    if (clause == CLAUSE_SIMPLE) {
        block->end_line = line->last_line_plain;
    }
}

/* A line at the base indentation. */
static int
group_line(struct hr_grouping *g, const struct hr_line *line)
{
    enum clause clause = clause_of(line, g->in_match);

    if (g->open && g->undecided && clause == CLAUSE_DECORATOR) {
        add_line(g, line);
        g->block.head_end = line->end;
        return 0;
    }
    if (g->open && g->undecided &&
        (clause == CLAUSE_DEF || clause == CLAUSE_CLASS)) {
        set_header(g, line, clause);
        add_line(g, line);
        return 0;
    }
    if (g->open && g->block.kind == HR_BLOCK_COMPOUND &&
        clause == CLAUSE_CONTINUED) {
        add_line(g, line);
        return 0;
    }
    if (close_block(g) < 0) {
        return -1;
    }
    open_block(g, line, clause);
    if (clause == CLAUSE_SIMPLE && !line->ends_in_colon) {
        return close_block(g); /* complete, whatever comes behind it */
    }
    return 0;
}

/* --- indentation -------------------------------------------------------- */

enum level {
    LEVEL_OK,
    LEVEL_OUTSIDE, /* less than the base: the suite is over */
    LEVEL_WRONG,
};

static enum level
find_level(struct hr_grouping *g, const struct hr_line *line)
{
    uint32_t column = line->column, narrow = line->column_narrow;

    if (!g->has_base) {
        g->columns[0] = column;
        g->columns_narrow[0] = narrow;
        g->has_base = 1;
    }
    if (column > g->columns[g->level]) {
        if (!g->colon || narrow <= g->columns_narrow[g->level] ||
            g->level + 1 == HR_BLOCK_MAX_LEVELS) {
            return LEVEL_WRONG;
        }
        g->level++;
        g->columns[g->level] = column;
        g->columns_narrow[g->level] = narrow;
        return LEVEL_OK;
    }
    if (g->colon) {
        return LEVEL_WRONG;
    }
    while (g->level > 0 && column < g->columns[g->level]) {
        g->level--;
    }
    if (column < g->columns[g->level]) {
        return LEVEL_OUTSIDE;
    }
    if (column != g->columns[g->level] ||
        narrow != g->columns_narrow[g->level]) {
        return LEVEL_WRONG;
    }
    return LEVEL_OK;
}

/* --- all lines ---------------------------------------------------------- */

enum hr_lex_status
hr_block_fail(struct hr_grouping *g, enum hr_lex_status status, uint32_t line)
{
    g->scan.error.status = status;
    g->scan.error.line = line;
    return status;
}

/* Is the line, at the base, where the old blocks go on? */
static int
joins(struct hr_grouping *g, const struct hr_line *line)
{
    uint32_t start = line->start - g->shift;

    if (g->old == NULL || line->start < g->join_from || g->undecided ||
        clause_of(line, 0) == CLAUSE_CONTINUED) {
        return 0;
    }
    while (g->old_next < g->old->count &&
           g->old->items[g->old_next].start < start) {
        g->old_next++;
    }
    return g->old_next < g->old->count &&
           g->old->items[g->old_next].start == start;
}

enum hr_lex_status
hr_block_group(struct hr_grouping *g, int one_line)
{
    struct hr_line line;

    for (;;) {
        enum hr_scan_result result = hr_scan_line(&g->scan, &line);
        if (result == HR_SCAN_ERROR) {
            return g->scan.error.status;
        }
        if (result == HR_SCAN_END) {
            break;
        }
        enum level level = find_level(g, &line);
        if (level == LEVEL_WRONG) {
            return hr_block_fail(g, HR_LEX_INDENT, line.line);
        }
        if (level == LEVEL_OUTSIDE) {
            break;
        }
        if (g->level == 0 && joins(g, &line)) {
            g->joined = 1;
            g->joined_line = line.line;
            break;
        }
        g->colon = line.ends_in_colon;
        if (g->level > 0) {
            add_line(g, &line);
        }
        else if (group_line(g, &line) < 0) {
            return hr_block_fail(g, HR_LEX_NO_MEMORY, line.line);
        }
        if (one_line) {
            break;
        }
    }
    if (g->colon && !one_line) {
        return hr_block_fail(g, HR_LEX_INDENT, g->scan.line);
    }
    if (close_block(g) < 0) {
        return hr_block_fail(g, HR_LEX_NO_MEMORY, g->scan.line);
    }
    return HR_LEX_OK;
}
