/* Prints the blocks of Python files, for tests/python/test_lex.py.
 *
 *      lex_dump [-a] [file ...]        (without files: paths from stdin)
 *
 * One line per block, members below their parent with one more depth:
 *
 *      depth kind line end_line def_line name start end head_end body
 *      body_line flags hash head_hash raw_hash
 *
 * flags: d decorated, a async, i body on the header's line, '-' none of them.
 * Members of classes are always shown; with -a the suites of functions and of
 * compound statements too.  A file's blocks come between "file PATH" and
 * "status NUMBER LINE".
 *
 * Built as a shared object (-shared), lex_dump_text() gives the same for a
 * text in memory, and lex_resplit() compares hr_lex_resplit() with
 * hr_lex_split(), and hr_lex_remembers() with hr_lex_members().
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lex.h"

char *lex_dump_text(const char *text, size_t size, int all);
long lex_resplit(const char *old_text, size_t old_size, const char *text,
                 size_t size);

static const char *const kinds[] = {
    [HR_BLOCK_DEF] = "def",           [HR_BLOCK_CLASS] = "class",
    [HR_BLOCK_IMPORT] = "import",     [HR_BLOCK_FUTURE] = "future",
    [HR_BLOCK_ASSIGN] = "assign",     [HR_BLOCK_STRING] = "string",
    [HR_BLOCK_COMPOUND] = "compound", [HR_BLOCK_OTHER] = "other",
};

static void
dump_blocks(FILE *out, const char *text, size_t size,
            const struct hr_blocks *blocks, int depth, int all)
{
    for (size_t i = 0; i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        const char *name = b->name_len > 0 ? text + b->name : "-";
        int name_len = b->name_len > 0 ? (int)b->name_len : 1;

        fprintf(out, "%d %s %u %u %u %.*s", depth, kinds[b->kind], b->line,
                b->end_line, b->def_line, name_len, name);
        fprintf(out, " %u %u %u %u %u ", b->start, b->end, b->head_end,
                b->body, b->body_line);
        fprintf(out, "-%s%s%s", b->decorated ? "d" : "",
                b->is_async ? "a" : "", b->body_inline ? "i" : "");
        fprintf(out, " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n",
                b->hash, b->head_hash, b->raw_hash);
        if (b->kind == HR_BLOCK_CLASS || all) {
            struct hr_blocks members = {0};
            struct hr_lex_error error;
            hr_lex_members(text, size, b, &members, &error);
            if (error.status != HR_LEX_OK) {
                fprintf(out, "%d error %d %u\n", depth + 1, error.status,
                        error.line);
            }
            dump_blocks(out, text, size, &members, depth + 1, all);
            hr_blocks_clear(&members);
        }
    }
}

static void
dump_text(FILE *out, const char *text, size_t size, int all)
{
    struct hr_blocks blocks = {0};
    struct hr_lex_error error;

    hr_lex_split(text, size, &blocks, &error);
    dump_blocks(out, text, size, &blocks, 0, all);
    fprintf(out, "status %d %u\n", error.status, error.line);
    hr_blocks_clear(&blocks);
}

static int
same_block(const struct hr_block *a, const struct hr_block *b)
{
    return a->kind == b->kind && a->start == b->start && a->end == b->end &&
           a->line == b->line && a->end_line == b->end_line &&
           a->def_line == b->def_line && a->name == b->name &&
           a->name_len == b->name_len && a->head_end == b->head_end &&
           a->body == b->body && a->body_line == b->body_line &&
           a->body_inline == b->body_inline && a->decorated == b->decorated &&
           a->is_async == b->is_async && a->hash == b->hash &&
           a->head_hash == b->head_hash && a->raw_hash == b->raw_hash;
}

static int
same_blocks(const struct hr_blocks *a, const struct hr_blocks *b)
{
    int same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++) {
        same = same_block(&a->items[i], &b->items[i]);
    }
    return same;
}

/* Are the members of this class, from those it had, what splitting gives? */
static int
same_members(const char *old_text, size_t old_size,
             const struct hr_block *old_block, const char *text, size_t size,
             const struct hr_block *block)
{
    struct hr_blocks old = {0}, again = {0}, afresh = {0};
    struct hr_lex_error error, other;
    int same = 1;

    if (hr_lex_members(old_text, old_size, old_block, &old, &error) ==
        HR_LEX_OK) {
        hr_lex_remembers(old_text, old_block, &old, text, size, block, &again,
                         &error);
        hr_lex_members(text, size, block, &afresh, &other);
        same = error.status == other.status && error.line == other.line &&
               same_blocks(&again, &afresh);
    }
    hr_blocks_clear(&old);
    hr_blocks_clear(&again);
    hr_blocks_clear(&afresh);
    return same;
}

/* Split `old`, then `text` from it.  Returns how many blocks were not kept, or
 * -1 when the result is not what splitting `text` gives, -2 when `old` cannot
 * be split. */
long
lex_resplit(const char *old_text, size_t old_size, const char *text,
            size_t size)
{
    struct hr_blocks old = {0}, again = {0}, afresh = {0};
    struct hr_lex_error error, other;
    struct hr_kept kept;
    long result = -2;

    if (hr_lex_split(old_text, old_size, &old, &error) == HR_LEX_OK) {
        hr_lex_resplit(old_text, old_size, &old, text, size, &again, &kept,
                       &error);
        hr_lex_split(text, size, &afresh, &other);
        result = (long)again.count - (long)kept.head - (long)kept.tail;
        if (error.status != other.status || error.line != other.line ||
            !same_blocks(&again, &afresh) || result < 0) {
            result = -1;
        }
        for (size_t i = 0; result >= 0 && i < again.count; i++) {
            for (size_t k = 0; k < old.count; k++) {
                if (again.items[i].kind == HR_BLOCK_CLASS &&
                    old.items[k].kind == HR_BLOCK_CLASS &&
                    !same_members(old_text, old_size, &old.items[k], text,
                                  size, &again.items[i])) {
                    result = -1;
                }
            }
        }
    }
    hr_blocks_clear(&old);
    hr_blocks_clear(&again);
    hr_blocks_clear(&afresh);
    return result;
}

/* Owned by the caller; free() it. */
char *
lex_dump_text(const char *text, size_t size, int all)
{
    char *result = NULL;
    size_t result_size = 0;
    FILE *out = open_memstream(&result, &result_size);

    if (out == NULL) {
        return NULL;
    }
    dump_text(out, text, size, all);
    fclose(out);
    return result;
}

static int
dump_file(const char *path, int all)
{
    FILE *in = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, capacity = 0, got;

    if (in == NULL) {
        perror(path);
        return -1;
    }
    do {
        if (size == capacity) {
            char *more;
            capacity = capacity ? capacity * 2 : 1 << 16;
            more = realloc(text, capacity);
            if (more == NULL) {
                free(text);
                fclose(in);
                return -1;
            }
            text = more;
        }
        got = fread(text + size, 1, capacity - size, in);
        size += got;
    } while (got > 0);
    fclose(in);
    printf("file %s\n", path);
    dump_text(stdout, text, size, all);
    free(text);
    return 0;
}

int
main(int argc, char **argv)
{
    int all = 0, failed = 0, first = 1;

    if (argc > 1 && strcmp(argv[1], "-a") == 0) {
        all = 1;
        first = 2;
    }
    for (int i = first; i < argc; i++) {
        failed |= dump_file(argv[i], all) < 0;
    }
    if (first == argc) {
        char path[4096];
        while (fgets(path, sizeof(path), stdin) != NULL) {
            path[strcspn(path, "\n")] = 0;
            failed |= dump_file(path, all) < 0;
        }
    }
    return failed;
}
