/* What the files of src/lex share.  Internal; users include lex.h. */
#ifndef HR_SCAN_H
#define HR_SCAN_H

#include "bytes.h"
#include "lex.h"

/* --- literal.c: strings and numbers ------------------------------------ */

enum {
    HR_LITERAL_RAW = 1,
    HR_LITERAL_FIELDS = 2, /* f and t: {replacement fields} */
    HR_LITERAL_BYTES = 4,
    HR_LITERAL_UNKNOWN = 8, /* the word is no prefix of a literal */
};

/* The flags above for the word that stands before a quote. */
unsigned hr_literal_prefix(const uint8_t *word, size_t size);

/* p is at the opening quote.  Returns the byte behind the closing one and
 * adds the line ends in between to *line; NULL when it never closes. */
const uint8_t *hr_literal_skip(const uint8_t *p, const uint8_t *end,
                               unsigned flags, uint32_t *line);

/* p is at a digit, or at a '.' before one. */
const uint8_t *hr_literal_skip_number(const uint8_t *p, const uint8_t *end);

/* --- scan.c: logical lines --------------------------------------------- */

enum hr_token_kind {
    HR_TOKEN_NONE,
    HR_TOKEN_WORD,    /* a name or keyword */
    HR_TOKEN_LITERAL, /* string */
    HR_TOKEN_COLON,   /* ':' alone */
    HR_TOKEN_EQUAL,   /* '=' alone */
    HR_TOKEN_AT,      /* '@' alone */
    HR_TOKEN_OTHER,
};

/* A word of up to eight letters as the number that hr_hash_load() makes of
 * it: HR_WORD('d', 'e', 'f').  Longer words have 0. */
#define HR_WORD(...) HR_WORD_8(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0)
#define HR_WORD_8(a, b, c, d, e, f, g, h, ...)                                \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 |               \
     (uint64_t)(d) << 24 | (uint64_t)(e) << 32 | (uint64_t)(f) << 40 |        \
     (uint64_t)(g) << 48 | (uint64_t)(h) << 56)

struct hr_token {
    enum hr_token_kind kind;
    uint32_t start, size;
    uint64_t word;
};

#define HR_LINE_TOKENS 3

struct hr_line {
    uint32_t start, end;      /* offsets; with indentation and newline */
    uint32_t start_line;      /* number of the line that `start` is on */
    uint32_t line;            /* of the first token */
    uint32_t last_line;       /* of the last token */
    uint32_t last_line_plain; /* the same without a ';' at the end */
    uint32_t column;          /* indentation, a tab filling up to 8 */
    uint32_t column_narrow;   /* indentation, a tab counting 1 */
    uint32_t count;           /* tokens */
    struct hr_token tokens[HR_LINE_TOKENS]; /* the first ones */
    /* Below, "open" means outside of brackets and of a lambda's parameters. */
    uint32_t colon;        /* offset behind the first open ':', or 0 */
    uint32_t colon_line;   /* its line */
    uint32_t colon_count;  /* tokens up to and with it */
    uint64_t colon_hash;   /* hash of these tokens */
    uint32_t equals;       /* number of open '=' */
    uint8_t ends_in_colon; /* the last token is the first open ':' */
    uint8_t several;       /* statements joined by ';' */
    uint8_t only_string;   /* str literals, perhaps in parentheses */
    uint64_t hash;         /* of all tokens */
};

struct hr_scan {
    const uint8_t *text, *at, *end;
    uint32_t line; /* the line that `at` is on */
    int midline;   /* `at` is behind a header's ':', not at a line's start */
    struct hr_lex_error error;
};

enum hr_scan_result {
    HR_SCAN_LINE,
    HR_SCAN_END,
    HR_SCAN_ERROR, /* scan->error says which */
};

/* The next logical line that has a token on it. */
enum hr_scan_result hr_scan_line(struct hr_scan *scan, struct hr_line *line);

#endif /* HR_SCAN_H */
