/* Grouping logical lines into blocks; what lex.c asks of block.c.  Internal
 * to src/lex. */
#ifndef HR_BLOCK_H
#define HR_BLOCK_H

#include "scan.h"

#define HR_BLOCK_MAX_LEVELS 100 /* as CPython */

struct hr_grouping {
    struct hr_scan scan;
    struct hr_blocks *blocks;
    struct hr_block block; /* the open one */
    int open;              /* there is one */
    int undecided;         /* it has only decorators so far */
    int wants_body;        /* its header is read, its suite not yet */
    int in_match;          /* `case` begins a clause */
    int has_base;          /* columns[0] is known */
    int colon;             /* the last line ended in ':' */
    uint32_t level;        /* of the last line, 0 is the base */
    uint32_t columns[HR_BLOCK_MAX_LEVELS];
    uint32_t columns_narrow[HR_BLOCK_MAX_LEVELS];

    /* The blocks of an older text that ends in the same bytes.  Grouping stops
     * (`joined`) at the first block that begins inside of these bytes and
     * where one of the old blocks began: all that follows is as it was. */
    const struct hr_blocks *old;
    size_t old_next;      /* index of the block that begins there */
    uint32_t shift;       /* what to add to an old offset, modulo 2^32 */
    uint32_t join_from;   /* offset of the first of these bytes */
    uint32_t joined_line; /* line of that block in the new text */
    int joined;
};

/* Append the blocks of g->scan's text; only those of the first logical line
 * if `one_line`.  What stopped it is in g->scan.error too. */
enum hr_lex_status hr_block_group(struct hr_grouping *g, int one_line);

/* -1: no memory. */
int hr_block_append(struct hr_blocks *blocks, const struct hr_block *items,
                    size_t count);

enum hr_lex_status hr_block_fail(struct hr_grouping *g,
                                 enum hr_lex_status status, uint32_t line);

#endif /* HR_BLOCK_H */
