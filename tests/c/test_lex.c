/* The source splitter, field by field.
 *
 *      cc -std=c11 -D_GNU_SOURCE -DHR_TESTING -g -O1 -Isrc -Isrc/lex \
 *          -Itests/c tests/c/test_lex.c src/lex/[a-z]*.c
 *
 * Whether blocks are where Python sees them is tested against `ast`, in
 * tests/python/test_lex.py; here is what `ast` does not know.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lex.h"

struct split {
    const char *text;
    size_t size;
    struct hr_blocks blocks;
    struct hr_lex_error error;
};

/* In memory of its own, so that a sanitizer sees a read behind the end. */
static struct split
split(const char *text)
{
    struct split s = {.size = strlen(text)};
    char *copy = malloc(s.size + (s.size == 0));

    memcpy(copy, text, s.size);
    s.text = copy;
    hr_lex_split(s.text, s.size, &s.blocks, &s.error);
    return s;
}

static void
drop(struct split *s)
{
    hr_blocks_clear(&s->blocks);
    free((char *)s->text);
}

static uint64_t
hash_of(const char *text)
{
    struct split s = split(text);
    uint64_t hash = s.blocks.count > 0 ? s.blocks.items[0].hash : 0;
    drop(&s);
    return hash;
}

/* The bytes from..to of s, compared with a string. */
static int
is_text(const struct split *s, uint32_t from, uint32_t to, const char *text)
{
    return to - from == strlen(text) &&
           memcmp(s->text + from, text, to - from) == 0;
}

static void
test_empty(void)
{
    struct split s = split("");
    CHECK_EQ_INT(s.error.status, HR_LEX_OK);
    CHECK_EQ_INT(s.error.line, 0);
    CHECK_EQ_INT(s.blocks.count, 0);
    drop(&s);
    struct hr_blocks blocks = {0};
    CHECK_EQ_INT(hr_lex_split(NULL, 0, &blocks, NULL), HR_LEX_OK);
    hr_blocks_clear(&blocks);
    hr_blocks_clear(&blocks);
    s = split("\n# c\n   \n\t# d");
    CHECK_EQ_INT(s.error.status, HR_LEX_OK);
    CHECK_EQ_INT(s.blocks.count, 0);
    drop(&s);
}

static void
test_definition(void)
{
    struct split s =
        split("x = 1\n"
              "@a\n"
              "# c\n"
              "\n"
              "@b(\n"
              "1)\n"
              "async def name(a: int = {1: 2}) -> lambda: 0: # c\n"
              "\n"
              "    # c\n"
              "  body\n"
              "# c\n");
    CHECK_EQ_INT(s.error.status, HR_LEX_OK);
    CHECK_EQ_INT(s.blocks.count, 2);
    struct hr_block *b = &s.blocks.items[1];
    CHECK_EQ_INT(b->kind, HR_BLOCK_DEF);
    CHECK_EQ_INT(b->start, 6);
    CHECK_EQ_INT(b->line, 2);
    CHECK_EQ_INT(b->def_line, 7);
    CHECK_EQ_INT(b->end_line, 10);
    CHECK_EQ_INT(b->body_line, 10);
    CHECK_EQ_INT(b->decorated, 1);
    CHECK_EQ_INT(b->is_async, 1);
    CHECK_EQ_INT(b->body_inline, 0);
    CHECK(is_text(&s, b->name, b->name + b->name_len, "name"));
    CHECK(is_text(&s, b->body, b->end, "  body\n"));
    CHECK(is_text(&s, b->head_end - 11, b->head_end, " lambda: 0:"));
    drop(&s);
}

static void
test_body_on_the_header(void)
{
    struct split s = split("class A: \\\n x: int = 1; y\nz");
    struct hr_blocks members = {0};
    struct hr_lex_error error;

    CHECK_EQ_INT(s.blocks.count, 2);
    struct hr_block *b = &s.blocks.items[0];
    CHECK_EQ_INT(b->body_inline, 1);
    CHECK_EQ_INT(b->body, b->head_end);
    CHECK_EQ_INT(b->body_line, 1);
    hr_lex_members(s.text, s.size, b, &members, &error);
    CHECK_EQ_INT(members.count, 1);
    CHECK_EQ_INT(members.items[0].start, b->body);
    CHECK_EQ_INT(members.items[0].line, 2);
    CHECK_EQ_INT(members.items[0].end, b->end);
    CHECK(members.items[0].hash == hash_of("x : int=1;y"));
    hr_lex_members(s.text, s.size, &s.blocks.items[1], &members, &error);
    CHECK_EQ_INT(members.count, 0);
    CHECK_EQ_INT(error.status, HR_LEX_OK);
    hr_blocks_clear(&members);
    drop(&s);
}

static void
test_members_are_of_the_first_clause(void)
{
    struct split s = split("if a:\n  b\n\n  # c\n  c = 1\n # d\nelse:\n  d\n"
                           "if a: b\nelif c: d\n"
                           "try:\n  match x:\n    case 1: a\n    case(2): b\n"
                           "finally:\n  c\n");
    struct hr_blocks members = {0}, inner = {0};
    struct hr_lex_error error;

    CHECK_EQ_INT(s.blocks.count, 3);
    hr_lex_members(s.text, s.size, &s.blocks.items[0], &members, &error);
    CHECK_EQ_INT(members.count, 2);
    CHECK_EQ_INT(members.items[1].kind, HR_BLOCK_ASSIGN);
    CHECK_EQ_INT(members.items[1].line, 5);
    hr_lex_members(s.text, s.size, &s.blocks.items[1], &members, &error);
    CHECK_EQ_INT(members.count, 1);
    CHECK_EQ_INT(members.items[0].line, 9);
    hr_lex_members(s.text, s.size, &s.blocks.items[2], &members, &error);
    CHECK_EQ_INT(members.count, 1);
    hr_lex_members(s.text, s.size, &members.items[0], &inner, &error);
    CHECK_EQ_INT(inner.count, 2);
    CHECK_EQ_INT(inner.items[1].kind, HR_BLOCK_COMPOUND);
    CHECK_EQ_INT(inner.items[1].line, 14);
    hr_blocks_clear(&members);
    hr_blocks_clear(&inner);
    drop(&s);
}

/* A block of another text, or of none: nothing is read outside of the text. */
static void
test_members_of_a_stranger(void)
{
    struct hr_block block = {
        .kind = HR_BLOCK_CLASS, .end = 100, .head_end = 20, .body = 30};
    struct hr_blocks members = {0};
    struct hr_lex_error error;

    hr_lex_members("class A: x", 10, &block, &members, &error);
    CHECK_EQ_INT(error.status, HR_LEX_OK);
    CHECK_EQ_INT(members.count, 0);
    block = (struct hr_block){.end = 10, .head_end = 12, .body = 9};
    hr_lex_members("class A: x", 10, &block, &members, &error);
    CHECK_EQ_INT(members.count, 0);
    hr_blocks_clear(&members);
}

static void
test_blocks_are_reused(void)
{
    struct hr_blocks blocks = {0};
    hr_lex_split("a\nb\nc\n", 6, &blocks, NULL);
    CHECK_EQ_INT(blocks.count, 3);
    struct hr_block *items = blocks.items;
    hr_lex_split("a\n", 2, &blocks, NULL);
    CHECK_EQ_INT(blocks.count, 1);
    CHECK(blocks.items == items);
    hr_blocks_clear(&blocks);
    CHECK(blocks.items == NULL);
}

/* A logical line may go on behind its last token. */
static void
test_end_behind_a_backslash(void)
{
    struct split s = split("x = 1 \\\n\ny = 2 \\\n;\nz");
    CHECK_EQ_INT(s.blocks.count, 3);
    CHECK_EQ_INT(s.blocks.items[0].end_line, 1);
    CHECK_EQ_INT(s.blocks.items[0].end, 9);
    CHECK_EQ_INT(s.blocks.items[1].line, 3);
    CHECK_EQ_INT(s.blocks.items[1].end_line, 3);
    CHECK_EQ_INT(s.blocks.items[2].start, 19);
    CHECK_EQ_INT(s.blocks.items[2].line, 5);
    drop(&s);
}

static void
test_start_behind_a_backslash(void)
{
    struct split s = split("\xef\xbb\xbf\\\n\\\nx = 1\n");
    CHECK_EQ_INT(s.blocks.count, 1);
    CHECK_EQ_INT(s.blocks.items[0].start, 7);
    CHECK_EQ_INT(s.blocks.items[0].line, 3);
    drop(&s);
}

static void
test_head_hash(void)
{
    struct split a = split("@d\ndef f(x): return 1\n");
    struct split b = split("@d # c\n\ndef f( x ) :\n    return 2\n");
    struct split c = split("@e\ndef f(x): return 1\n");
    struct split d = split("@d\ndef f(y): return 1\n");
    CHECK(a.blocks.items[0].head_hash == b.blocks.items[0].head_hash);
    CHECK(a.blocks.items[0].hash != b.blocks.items[0].hash);
    CHECK(a.blocks.items[0].head_hash != c.blocks.items[0].head_hash);
    CHECK(a.blocks.items[0].head_hash != d.blocks.items[0].head_hash);
    CHECK(a.blocks.items[0].head_hash != a.blocks.items[0].hash);
    drop(&a);
    drop(&b);
    drop(&c);
    drop(&d);
}

/* Also over the pieces in which strings with CRs are rewritten. */
static void
test_long_strings_hash_alike_with_any_line_end(void)
{
    for (int size = 200; size < 560; size += 1) {
        char lf[1400] = "x = '''\n", crlf[1400] = "x = '''\r\n";
        size_t n = strlen(lf), m = strlen(crlf);
        for (int i = 0; i < size; i++) {
            char c = i % 37 == 0 ? '\n' : (char)('a' + i % 26);
            lf[n++] = c;
            if (c == '\n') {
                crlf[m++] = '\r';
            }
            crlf[m++] = c;
        }
        strcpy(lf + n, "'''\n");
        strcpy(crlf + m, "'''\r\n");
        CHECK(hash_of(lf) == hash_of(crlf));
        lf[n - 1] ^= 1;
        CHECK(hash_of(lf) != hash_of(crlf));
    }
}

/* Every length and every offset: nothing depends on alignment, and each byte
 * counts. */
static void
test_hash_of_bytes(void)
{
    unsigned char bytes[160], moved[160 + 8];
    uint64_t last = 0;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i * 7);
    }
    for (size_t size = 0; size < sizeof(bytes); size++) {
        uint64_t hash = hr_lex_hash(bytes, size);
        CHECK(hash != last);
        last = hash;
        memcpy(moved + size % 8, bytes, size);
        CHECK(hr_lex_hash(moved + size % 8, size) == hash);
        for (size_t i = 0; i < size; i++) {
            bytes[i] ^= 0x80;
            CHECK(hr_lex_hash(bytes, size) != hash);
            bytes[i] ^= 0x80;
        }
    }
    memset(bytes, 0, sizeof(bytes));
    CHECK(hr_lex_hash(bytes, 8) != hr_lex_hash(bytes, 9));
    CHECK(hr_lex_hash(bytes, 32) != hr_lex_hash(bytes, 64));
}

static void
test_nesting_is_bounded(void)
{
    enum { DEPTH = 100000 };
    char *text = malloc(3 * DEPTH + 16);
    struct hr_blocks blocks = {0};
    struct hr_lex_error error;

    for (int i = 0; i < DEPTH; i++) {
        memcpy(text + 3 * i, "f'{", 3);
    }
    hr_lex_split(text, 3 * DEPTH, &blocks, &error);
    CHECK_EQ_INT(error.status, HR_LEX_UNTERMINATED);
    CHECK_EQ_INT(error.line, 1);
    memset(text, '(', DEPTH);
    memset(text + DEPTH, ')', DEPTH);
    hr_lex_split(text, 2 * DEPTH, &blocks, &error);
    CHECK_EQ_INT(error.status, HR_LEX_OK);
    size_t size = 0;
    for (int i = 0; i < 102; i++) {
        memset(text + size, ' ', (size_t)i);
        size += (size_t)i;
        memcpy(text + size, "if x:\n", 6);
        size += 6;
    }
    hr_lex_split(text, size, &blocks, &error);
    CHECK_EQ_INT(error.status, HR_LEX_INDENT);
    CHECK_EQ_INT(error.line, 101);
    hr_blocks_clear(&blocks);
    free(text);
}

static void
test_errors(void)
{
    struct hr_blocks blocks = {0};
    struct hr_lex_error error;

    CHECK_EQ_INT(hr_lex_split("a\n\0", 3, &blocks, &error), HR_LEX_NUL);
    CHECK_EQ_INT(error.line, 2);
    CHECK_EQ_INT(hr_lex_split("a", (size_t)UINT32_MAX, &blocks, &error),
                 HR_LEX_TOO_LARGE);
    CHECK_EQ_INT(hr_lex_split("a\n(\n\n", 5, &blocks, &error),
                 HR_LEX_UNTERMINATED);
    CHECK_EQ_INT(error.line, 2);
    CHECK_EQ_INT(blocks.count, 1);
    for (int status = HR_LEX_OK; status <= HR_LEX_NUL; status++) {
        CHECK(strlen(hr_lex_message((enum hr_lex_status)status)) > 5);
    }
    hr_blocks_clear(&blocks);
}

static void
check_kept(const char *before, const char *after, size_t head, size_t tail)
{
    struct split old = split(before), fresh = split(after);
    struct hr_blocks blocks = {0};
    struct hr_lex_error error;
    struct hr_kept kept;

    hr_lex_resplit(old.text, old.size, &old.blocks, fresh.text, fresh.size,
                   &blocks, &kept, &error);
    CHECK_EQ_INT(error.status, fresh.error.status);
    CHECK_EQ_INT(kept.head, head);
    CHECK_EQ_INT(kept.tail, tail);
    CHECK_EQ_INT(blocks.count, fresh.blocks.count);
    for (size_t i = 0; i < blocks.count && i < fresh.blocks.count; i++) {
        struct hr_block *a = &blocks.items[i], *b = &fresh.blocks.items[i];
        CHECK_EQ_INT(a->kind, b->kind);
        CHECK_EQ_INT(a->start, b->start);
        CHECK_EQ_INT(a->end, b->end);
        CHECK_EQ_INT(a->line, b->line);
        CHECK_EQ_INT(a->body_line, b->body_line);
        CHECK_EQ_INT(a->name, b->name);
        CHECK(a->hash == b->hash && a->raw_hash == b->raw_hash);
    }
    hr_blocks_clear(&blocks);
    drop(&old);
    drop(&fresh);
}

static void
test_resplit(void)
{
    const char *text = "a\nb\nif c:\n  d\ne = 1\ndef f():\n  g\nh\n";
    check_kept(text, text, 6, 0);
    check_kept(text, "a\nb\nif c:\n  dd\ne = 1\ndef f():\n  g\nh\n", 1, 3);
    check_kept(text, "a\nb\nif c:\n  d\n\ne = 1\ndef f():\n  g\nh\n", 1, 3);
    check_kept(text, "a\nb\nif c:\n  d\nelse:\n  i\ne = 1\ndef f():\n  g\nh\n",
               2, 2);
    check_kept(text, "a\nb\nif c:\n  d\n  e = 1\ndef f():\n  g\nh\n", 1, 2);
    check_kept(text, "a\nb\nif c:\n  d\ne = 1\n@e\ndef f():\n  g\nh\n", 2, 1);
    check_kept(text, "a\nb\nif c:\n  d\ne = 1\n'''def f():\n  g\nh\n", 2, 0);
    check_kept(text, "x\na\nb\nif c:\n  d\ne = 1\ndef f():\n  g\nh\n", 0, 6);
    check_kept("", "a", 0, 0);
    check_kept("a", "", 0, 0);
    /* What stands before the change may belong together with it. */
    check_kept("a\nif x: y\nel", "a\nif x: y\nelse: z", 1, 0);
    check_kept("a\rb", "a\r\nb", 0, 1);
    check_kept("\xef\xbb\xbf"
               "a\nb\n",
               "a\nb\n", 0, 2);
    /* Old blocks may not go on where decorators wait. */
    check_kept("a\nb\nclass c: d\n", "a\n@b\nclass c: d\n", 0, 0);
    check_kept("if a: b\nelse: c\nd\n", "if a: b\nx\nelse: c\nd\n", 0, 1);
}

/* What no released Python that the tests run on takes yet (3.14). */
static void
test_newest_syntax(void)
{
    struct split s =
        split("x = t'{a['b']!r:>{w}}{{' rt'\\{c}' Tr'''{\n'}'\n}'''\n"
              "try: a\nexcept B, C: d\nexcept* E, F:\n  g\n"
              "t'doc'\n"
              "x: t'{y}' = t\"{t'{\"'\"}'}\"\n");
    CHECK_EQ_INT(s.error.status, HR_LEX_OK);
    CHECK_EQ_INT(s.blocks.count, 4);
    CHECK_EQ_INT(s.blocks.items[0].kind, HR_BLOCK_ASSIGN);
    CHECK_EQ_INT(s.blocks.items[0].end_line, 3);
    CHECK_EQ_INT(s.blocks.items[1].kind, HR_BLOCK_COMPOUND);
    CHECK_EQ_INT(s.blocks.items[1].end_line, 7);
    CHECK_EQ_INT(s.blocks.items[2].kind, HR_BLOCK_OTHER);
    CHECK_EQ_INT(s.blocks.items[3].kind, HR_BLOCK_ASSIGN);
    drop(&s);
}

static void
test_encoding(void)
{
    char name[64];
    CHECK_EQ_INT(hr_lex_encoding("", 0, name), 0);
    CHECK_EQ_STR(name, "utf-8");
    const char *text = "\xef\xbb\xbf#!/bin/sh\r\n# -*- coding: cp1252 -*-";
    CHECK_EQ_INT(hr_lex_encoding(text, strlen(text), name), 3);
    CHECK_EQ_STR(name, "cp1252");
    /* Cut off at every byte. */
    for (size_t size = 0; size < strlen(text); size++) {
        char *copy = malloc(size + 1);
        memcpy(copy, text, size);
        hr_lex_encoding(copy, size, name);
        CHECK(strlen(name) < 64);
        free(copy);
    }
}

int
main(void)
{
    RUN(test_empty);
    RUN(test_definition);
    RUN(test_body_on_the_header);
    RUN(test_members_are_of_the_first_clause);
    RUN(test_members_of_a_stranger);
    RUN(test_blocks_are_reused);
    RUN(test_end_behind_a_backslash);
    RUN(test_start_behind_a_backslash);
    RUN(test_head_hash);
    RUN(test_long_strings_hash_alike_with_any_line_end);
    RUN(test_hash_of_bytes);
    RUN(test_nesting_is_bounded);
    RUN(test_errors);
    RUN(test_resplit);
    RUN(test_newest_syntax);
    RUN(test_encoding);
    return check_done();
}
