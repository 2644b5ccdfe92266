/* Splitting Python source into blocks, in linear time and without parsing it.
 *
 * A block is one logical line at the given indentation with everything that
 * belongs to it: a whole `def` or `class` with its decorators and its body, a
 * whole `if`/`elif`/`else`, `try`/`except`/`finally`, `for`/`else`, `while`,
 * `with`, `match` statement, or one simple-statement line (`a = 1; b = 2` is
 * one block).  Blank lines and comments between blocks belong to no block;
 * comments inside a block are part of its lines but not of its hash.
 *
 * Pure C11: nothing here includes Python.h.  No static mutable data; every
 * function may be called from any thread.
 *
 * Right for every syntax from Python 3.9 to 3.14, checked in the tests
 * against `ast` on the whole standard library of each.  A text that is not
 * valid Python never crashes it: it either splits somehow (the compiler will
 * refuse the block later) or returns an error with a line.
 */
#ifndef HR_LEX_H
#define HR_LEX_H

#include <stddef.h>
#include <stdint.h>

enum hr_block_kind {
    HR_BLOCK_DEF, /* def / async def, decorated or not */
    HR_BLOCK_CLASS,
    HR_BLOCK_IMPORT,   /* import ... / from ... import ... (not __future__) */
    HR_BLOCK_FUTURE,   /* from __future__ import ... (also with more behind a
                          ';', as it concerns how all else is compiled) */
    HR_BLOCK_ASSIGN,   /* NAME = ..., NAME: T = ..., NAME: T (one plain name
                          as the only target) */
    HR_BLOCK_STRING,   /* a str literal alone (no bytes, f- or t-string), in
                          parentheses or not: a docstring when first */
    HR_BLOCK_COMPOUND, /* if try for while with match async-for async-with;
                          as a member of a match also case */
    HR_BLOCK_OTHER,    /* any other simple statement(s), also several on one
                          line joined by ';' */
};

struct hr_block {
    enum hr_block_kind kind;
    /* Byte offsets into the text.  start is the first byte of the first line
     * of the block (the first decorator's, indentation included), end is
     * behind the last byte of its last line (newline included, if any).  A
     * member on its parent's header line starts at the parent's body, behind
     * the ':'.  Where a backslash follows the last token, end is behind the
     * lines that it joins, while end_line is the last token's. */
    uint32_t start, end;
    uint32_t line, end_line; /* 1-based, inclusive; as ast's lineno (of the
                                first decorator) and end_lineno */
    uint32_t def_line;       /* DEF, CLASS: the line of `def`/`class` itself
                                (ast's lineno of the node); else == line */
    uint32_t name, name_len; /* DEF, CLASS, ASSIGN: the identifier as it is
                                written (Python applies NFKC); else 0 */
    uint32_t head_end;       /* DEF, CLASS, COMPOUND: offset behind the ':'
                                that ends the (first) header; else end */
    uint32_t body;           /* offset of the first byte of the first body
                                line when the body is an indented suite, or
                                of the first byte behind head_end when it
                                stands on the header's line; else 0 */
    uint32_t body_line;      /* line of that byte */
    uint8_t body_inline;     /* 1: body stands on the header's line */
    uint8_t decorated;
    uint8_t is_async;
    /* Hashes of the meaning-bearing tokens: comments, blank lines, the
     * whitespace between tokens and the absolute depth of indentation do not
     * count, nor does which of LF, CR and CRLF ends lines; the levels of
     * indentation, strings and every token do.  Equal blocks at different
     * lines have equal hashes. */
    uint64_t hash;      /* the whole block */
    uint64_t head_hash; /* DEF, CLASS: decorators and header; else hash */
    /* The exact bytes of the block's lines (with comments), so that "nothing
     * at all changed, not even columns" can be told. */
    uint64_t raw_hash;
};

struct hr_blocks {
    struct hr_block *items;
    size_t count, capacity;
};

enum hr_lex_status {
    HR_LEX_OK = 0,
    HR_LEX_NO_MEMORY,
    HR_LEX_UNTERMINATED, /* string or bracket open at the end */
    HR_LEX_INDENT,       /* inconsistent indentation */
    HR_LEX_TOO_LARGE,    /* over 2^32 - 2 bytes */
    HR_LEX_NUL,          /* a NUL byte */
};

struct hr_lex_error {
    enum hr_lex_status status;
    uint32_t line;
};

/* Split the top level of text.  A UTF-8 BOM is skipped.  The text is UTF-8 (a
 * file in another encoding is decoded before, see hr_lex_encoding()).  CR, LF
 * and CRLF end lines; form feeds are white space that resets the column.
 * `blocks` is filled (initialise it with {0}; reuse clears it); free with
 * hr_blocks_clear().  On an error `blocks` holds what was complete before. */
enum hr_lex_status hr_lex_split(const char *text, size_t size,
                                struct hr_blocks *blocks,
                                struct hr_lex_error *error);

/* How many blocks at the beginning and at the end are the old ones. */
struct hr_kept {
    size_t head; /* unchanged in every field */
    size_t tail; /* unchanged but for their offsets and lines */
};

/* The same for a text that differs from one that was split before (`old` is
 * the result of HR_LEX_OK).  Only what lies around the changed bytes is
 * scanned, so it takes microseconds however large the text is, and the result
 * is exactly hr_lex_split()'s.  The blocks between the kept ones may equal old
 * ones too: their hashes say so.  `blocks` must not be `old`. */
enum hr_lex_status hr_lex_resplit(const char *old_text, size_t old_size,
                                  const struct hr_blocks *old,
                                  const char *text, size_t size,
                                  struct hr_blocks *blocks,
                                  struct hr_kept *kept,
                                  struct hr_lex_error *error);

/* Split the body of a block (a class's members; also the suite of a function
 * or of the first clause of a compound statement) the same way. Offsets and
 * lines are those of the whole text. */
enum hr_lex_status hr_lex_members(const char *text, size_t size,
                                  const struct hr_block *block,
                                  struct hr_blocks *members,
                                  struct hr_lex_error *error);

/* The same for a class that differs from one whose members are known: only
 * what lies around the changed bytes is scanned. */
enum hr_lex_status
hr_lex_remembers(const char *old_text, const struct hr_block *old_block,
                 const struct hr_blocks *old, const char *text, size_t size,
                 const struct hr_block *block, struct hr_blocks *members,
                 struct hr_lex_error *error);

void hr_blocks_clear(struct hr_blocks *blocks);

/* The encoding that PEP 263 names in the first two lines, or "utf-8".  name
 * has room for 64 bytes.  Returns the length of a BOM (3 or 0). */
size_t hr_lex_encoding(const char *text, size_t size, char name[64]);

const char *hr_lex_message(enum hr_lex_status status);

/* 64-bit hash, the one that blocks are hashed with. */
uint64_t hr_lex_hash(const void *data, size_t size);

#endif /* HR_LEX_H */
