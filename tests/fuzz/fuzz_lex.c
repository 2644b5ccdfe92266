/* libFuzzer target for src/lex:
 *
 *      clang -std=c11 -D_GNU_SOURCE -g -O1 \
 *          -fsanitize=fuzzer,address,undefined -Isrc/lex \
 *          tests/fuzz/fuzz_lex.c src/lex/[a-z]*.c -o fuzz_lex
 *      ./fuzz_lex -dict=tests/fuzz/lex.dict tests/fuzz/corpus_lex
 *
 * The input is a text, or two of them with a NUL in between: the second is
 * then also split from the first one's blocks.  Checked of every text, valid
 * or not: blocks are in order, apart from each other, inside of the text and
 * on the lines that their offsets are on; members lie inside of their parent,
 * with the same hash as anywhere; the same text gives the same blocks.
 */
#include <stdlib.h>
#include <string.h>

#include "lex.h"

#define REQUIRE(cond)                                                         \
    do {                                                                      \
        if (!(cond)) {                                                        \
            __builtin_trap();                                                 \
        }                                                                     \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
count_lines(const char *text, uint32_t from, uint32_t to)
{
    uint32_t lines = 0;
    for (uint32_t i = from; i < to; i++) {
        lines += text[i] == '\n' ||
                 (text[i] == '\r' && (i + 1 >= to || text[i + 1] != '\n'));
    }
    return lines;
}

static void
check_block(const char *text, size_t size, const struct hr_block *b)
{
    REQUIRE(b->start < b->end && b->end <= size);
    REQUIRE(b->line >= 1 && b->line <= b->def_line);
    REQUIRE(b->def_line <= b->end_line);
    REQUIRE(b->head_end > b->start && b->head_end <= b->end);
    REQUIRE(b->name + (size_t)b->name_len <= b->head_end);
    REQUIRE(b->name_len == 0 || b->name >= b->start);
    REQUIRE(b->raw_hash == hr_lex_hash(text + b->start, b->end - b->start));
    if (b->body > 0) {
        REQUIRE(b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_CLASS ||
                b->kind == HR_BLOCK_COMPOUND);
        REQUIRE(b->body >= b->head_end && b->body < b->end);
        REQUIRE(b->body_line >= b->def_line && b->body_line <= b->end_line);
        REQUIRE(text[b->head_end - 1] == ':');
        REQUIRE(!b->body_inline || b->body == b->head_end);
    }
    else {
        REQUIRE(!b->body_inline && b->body_line == 0);
    }
    if (b->kind != HR_BLOCK_DEF && b->kind != HR_BLOCK_CLASS) {
        REQUIRE(b->head_hash == b->hash);
    }
}

static void
check_blocks(const char *text, size_t size, const struct hr_blocks *blocks,
             uint32_t from, uint32_t line, int depth)
{
    for (size_t i = 0; i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        struct hr_blocks members = {0};
        struct hr_lex_error error;

        check_block(text, size, b);
        REQUIRE(b->start >= from);
        /* Not equal only where a backslash precedes the first token. */
        line += count_lines(text, from, b->start);
        REQUIRE(b->line >= line);
        line += count_lines(text, b->start, b->end);
        REQUIRE(b->end_line <= line + 1);
        from = b->end;

        REQUIRE(hr_lex_members(text, size, b, &members, &error) == HR_LEX_OK);
        REQUIRE((members.count > 0) == (b->body > 0));
        if (members.count > 0) {
            REQUIRE(members.items[0].start == b->body);
            REQUIRE(members.items[members.count - 1].end <= b->end);
            if (depth < 3) {
                check_blocks(text, b->end, &members, b->body, b->body_line,
                             depth + 1);
            }
        }
        hr_blocks_clear(&members);
    }
}

static int
same_blocks(const struct hr_blocks *a, const struct hr_blocks *b)
{
    if (a->count != b->count) {
        return 0;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct hr_block *x = &a->items[i], *y = &b->items[i];
        if (x->kind != y->kind || x->start != y->start || x->end != y->end ||
            x->line != y->line || x->end_line != y->end_line ||
            x->def_line != y->def_line || x->name != y->name ||
            x->name_len != y->name_len || x->head_end != y->head_end ||
            x->body != y->body || x->body_line != y->body_line ||
            x->body_inline != y->body_inline || x->decorated != y->decorated ||
            x->is_async != y->is_async || x->hash != y->hash ||
            x->head_hash != y->head_hash || x->raw_hash != y->raw_hash) {
            return 0;
        }
    }
    return 1;
}

/* In memory of its own, so that a read behind the end is seen. */
static char *
copy(const void *data, size_t size)
{
    char *text = malloc(size);
    REQUIRE(text != NULL || size == 0);
    if (size > 0) {
        memcpy(text, data, size);
    }
    return text;
}

static void
check_resplit(const char *old_text, size_t old_size, const char *text,
              size_t size, const struct hr_blocks *expected,
              const struct hr_lex_error *expected_error)
{
    struct hr_blocks old = {0}, again = {0};
    struct hr_lex_error error;
    struct hr_kept kept;

    if (hr_lex_split(old_text, old_size, &old, &error) == HR_LEX_OK) {
        hr_lex_resplit(old_text, old_size, &old, text, size, &again, &kept,
                       &error);
        REQUIRE(error.status == expected_error->status);
        REQUIRE(error.line == expected_error->line);
        REQUIRE(kept.head + kept.tail <= again.count);
        REQUIRE(same_blocks(&again, expected));
    }
    hr_blocks_clear(&old);
    hr_blocks_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t old_size = nul != NULL ? (size_t)(nul - data) : 0;
    char *old_text = copy(data, old_size);
    const uint8_t *rest = nul != NULL ? nul + 1 : data;
    size_t rest_size = size - (size_t)(rest - data);
    char *text = copy(rest, rest_size);
    struct hr_blocks blocks = {0}, twice = {0};
    struct hr_lex_error error, second;
    char encoding[64];

    hr_lex_split(text, rest_size, &blocks, &error);
    hr_lex_split(text, rest_size, &twice, &second);
    REQUIRE(error.status == second.status && error.line == second.line);
    REQUIRE((error.line > 0) == (error.status != HR_LEX_OK));
    REQUIRE(hr_lex_message(error.status) != NULL);
    REQUIRE(same_blocks(&blocks, &twice));
    check_blocks(text, rest_size, &blocks, 0, 1, 0);
    if (nul != NULL) {
        check_resplit(old_text, old_size, text, rest_size, &blocks, &error);
    }
    memset(encoding, 'x', sizeof(encoding));
    REQUIRE(hr_lex_encoding(text, rest_size, encoding) <= 3);
    REQUIRE(memchr(encoding, 0, sizeof(encoding)) != NULL);
    hr_blocks_clear(&blocks);
    hr_blocks_clear(&twice);
    free(text);
    free(old_text);
    return 0;
}
