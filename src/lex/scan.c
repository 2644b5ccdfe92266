/* From bytes to logical lines.
 *
 * A logical line is what Python's grammar sees between two NEWLINE tokens: it
 * may span many physical lines (brackets, triple quotes, backslashes), and
 * blank lines and comments belong to none.  hr_scan_line() reads one and
 * keeps of it only what block.c needs to tell where blocks begin and of what
 * kind they are: its place, its indentation, its first three tokens, its
 * first ':' that may end a header, whether it assigns, and two hashes.
 * Nothing is allocated, and every byte is looked at once.
 *
 * Operators are read byte by byte ("**" as two), except that a following '='
 * is taken along, so that '=', ':' and '@' alone are known as such.  That is
 * coarser than Python does it, but each valid text still gives one sequence
 * only.
 *
 * Each token is mixed into the line's hash by itself (see hash.c), so white
 * space between tokens never matters, and "1 .e5" differs from "1.e5".
 * Indentation is not part of the hash; block.c adds the level.
 *
 * Indentation is measured as CPython does, twice: with tabs that fill up to
 * multiples of 8, and with tabs of width 1.  Two lines agree only if both
 * agree.  A form feed sets both back to 0, and where a line is only white
 * space and a backslash, its indentation counts for the next line (in both
 * measures the first one; a backslash in column 0 is as if it were not there).
 * Python 3.9 took such a line to be as deep as the one before, which nobody
 * relies on.
 */
#include "hash.h"
#include "scan.h"

/* How far a statement still is nothing but str literals. */
enum string_state {
    STRING_BEFORE, /* only '(' so far */
    STRING_INSIDE, /* literals */
    STRING_BEHIND, /* and ')' behind them */
    STRING_NONE,
};

/* What changes while one logical line is read. */
struct progress {
    uint64_t hash;
    uint32_t depth;     /* open brackets */
    uint32_t open_line; /* line of the outermost one */
    uint32_t lambdas;   /* open lambdas whose ':' has not come yet */
    uint32_t
        joint_count;     /* tokens before the last backslash at a line's end */
    uint32_t joint_line; /* the line that it was on */
    uint32_t semicolon;  /* tokens up to and with the first open ';' */
    uint32_t semicolon_last; /* and the last one */
    enum string_state string;
};

static enum hr_scan_result
fail(struct hr_scan *scan, enum hr_lex_status status, uint32_t line)
{
    scan->error.status = status;
    scan->error.line = line;
    return HR_SCAN_ERROR;
}

/* Is p at a backslash that ends its line? */
static int
at_joint(const uint8_t *p, const uint8_t *end)
{
    return end - p >= 2 && hr_bytes_class[p[1]] == HR_BYTE_NEWLINE;
}

/* Move to the first token of the next logical line and measure its
 * indentation.  Returns 0 at the end of the text. */
static int
find_line(struct hr_scan *scan, struct hr_line *line)
{
    const uint8_t *p = scan->at, *end = scan->end, *start = p;
    uint32_t number = scan->line, start_line = number;
    uint32_t column = 0, narrow = 0;
    uint32_t joint = 0; /* column of the first backslash */

    for (; p < end; p++) {
        switch (hr_bytes_class[*p]) {
        case HR_BYTE_SPACE:
            if (*p == ' ') {
                const uint8_t *behind = hr_bytes_behind_spaces(p, end);
                column += (uint32_t)(behind - p);
                narrow += (uint32_t)(behind - p);
                p = behind - 1;
            }
            else if (*p == '\t') {
                column = (column / 8 + 1) * 8;
                narrow++;
            }
            else {
                column = narrow = 0;
            }
            continue;
        case HR_BYTE_COMMENT:
            p = hr_bytes_to_newline(p, end) - 1;
            continue;
        case HR_BYTE_NEWLINE:
            start = p = hr_bytes_newline(p, end, &number);
            start_line = number;
            break;
        case HR_BYTE_BACKSLASH:
            if (!at_joint(p, end)) {
                goto found;
            }
            if (joint == 0) {
                joint = column;
            }
            p = hr_bytes_newline(p + 1, end, &number);
            if (joint == 0) {
                start = p;
                start_line = number;
            }
            p--;
            continue;
        default:
            goto found;
        }
        column = narrow = joint = 0;
        p--;
    }
    scan->at = p;
    scan->line = number;
    return 0;

found:
    line->start = (uint32_t)(start - scan->text);
    line->start_line = start_line;
    line->column = joint > 0 ? joint : column;
    line->column_narrow = joint > 0 ? joint : narrow;
    scan->at = p;
    scan->line = number;
    return 1;
}

/* As find_line(), behind the ':' of a header: what follows on the same
 * logical line. */
static int
find_rest(struct hr_scan *scan, struct hr_line *line)
{
    const uint8_t *p = scan->at, *end = scan->end;

    line->start = (uint32_t)(p - scan->text);
    line->start_line = scan->line;
    line->column = line->column_narrow = 0;
    while (p < end) {
        if (hr_bytes_class[*p] == HR_BYTE_SPACE) {
            p++;
        }
        else if (*p == '\\' && at_joint(p, end)) {
            p = hr_bytes_newline(p + 1, end, &scan->line);
        }
        else {
            break;
        }
    }
    scan->at = p;
    return p < end && hr_bytes_class[*p] != HR_BYTE_NEWLINE &&
           hr_bytes_class[*p] != HR_BYTE_COMMENT;
}

/* Strings count byte for byte, except that every line end counts as LF: that
 * is what the compiler makes of it.  A string of several lines is hashed in
 * pieces, so that a few bytes of memory are enough to rewrite one with CRs. */
static uint64_t
hash_lines(uint64_t hash, const uint8_t *p, const uint8_t *end)
{
    enum { PIECE = 256 };

    if (memchr(p, '\r', (size_t)(end - p)) == NULL) {
        for (; end - p > PIECE; p += PIECE) {
            hash = hr_hash_bytes(hash, p, PIECE);
        }
        return hr_hash_bytes(hash, p, (size_t)(end - p));
    }
    for (;;) {
        uint8_t piece[PIECE];
        size_t size = 0;

        for (; p < end && size < PIECE; p++) {
            if (*p == '\n' && p[-1] == '\r') {
                continue; /* p[-1]: a literal never begins with a line end */
            }
            piece[size++] = *p == '\r' ? '\n' : *p;
        }
        hash = hr_hash_bytes(hash, piece, size);
        if (p == end) {
            return hash;
        }
    }
}

static inline uint64_t
hash_word(uint64_t hash, const uint8_t *p, size_t size, const uint8_t *end)
{
    while (size > 8) {
        hash = hr_hash_fold(hash ^ hr_hash_load(p), HR_HASH_PART);
        p += 8;
        size -= 8;
    }
    uint64_t last = hr_hash_load_some(p, size, end);
    return hr_hash_fold(hash ^ last, HR_HASH_WORD);
}

static inline void
keep_token(struct hr_line *line, const struct hr_scan *scan,
           enum hr_token_kind kind, const uint8_t *p, const uint8_t *behind,
           uint64_t word)
{
    if (line->count < HR_LINE_TOKENS) {
        struct hr_token *token = &line->tokens[line->count];
        token->kind = kind;
        token->start = (uint32_t)(p - scan->text);
        token->size = (uint32_t)(behind - p);
        token->word = word;
    }
    line->count++;
}

static const uint8_t *
read_literal(struct hr_scan *scan, struct hr_line *line, struct progress *now,
             const uint8_t *start, const uint8_t *quote)
{
    unsigned flags = hr_literal_prefix(start, (size_t)(quote - start));
    uint32_t number = scan->line;
    const uint8_t *p = hr_literal_skip(quote, scan->end, flags, &scan->line);

    if (p == NULL) {
        fail(scan, HR_LEX_UNTERMINATED, number);
        return NULL;
    }
    now->hash = scan->line == number
                    ? hr_hash_bytes(now->hash, start, (size_t)(p - start))
                    : hash_lines(now->hash, start, p);
    keep_token(line, scan, HR_TOKEN_LITERAL, start, p, 0);
    if (flags & (HR_LITERAL_FIELDS | HR_LITERAL_BYTES) ||
        now->string > STRING_INSIDE) {
        now->string = STRING_NONE;
    }
    else {
        now->string = STRING_INSIDE;
    }
    return p;
}

static const uint8_t *
read_word(struct hr_scan *scan, struct hr_line *line, struct progress *now,
          const uint8_t *p)
{
    const uint8_t *start = p, *end = scan->end;
    uint64_t word = 0;
    size_t size;

    p = hr_bytes_behind_name(p, end);
    size = (size_t)(p - start);
    if (p < end && hr_bytes_class[*p] == HR_BYTE_QUOTE &&
        hr_literal_prefix(start, size) != HR_LITERAL_UNKNOWN) {
        return read_literal(scan, line, now, start, p);
    }
    if (size <= 8) {
        word = hr_hash_load_some(start, size, end);
        now->hash = hr_hash_fold(now->hash ^ word, HR_HASH_WORD);
        if (word == HR_WORD('l', 'a', 'm', 'b', 'd', 'a') && now->depth == 0) {
            now->lambdas++;
        }
    }
    else {
        now->hash = hash_word(now->hash, start, size, end);
    }
    keep_token(line, scan, HR_TOKEN_WORD, start, p, word);
    now->string = STRING_NONE;
    return p;
}

static const uint8_t *
read_number(struct hr_scan *scan, struct hr_line *line, struct progress *now,
            const uint8_t *p)
{
    const uint8_t *start = p, *end = scan->end;

    p = hr_literal_skip_number(p, end);
    now->hash = hash_word(now->hash, start, (size_t)(p - start), end);
    keep_token(line, scan, HR_TOKEN_OTHER, start, p, 0);
    now->string = STRING_NONE;
    return p;
}

/* A ':' outside of brackets. */
static void
note_colon(struct hr_line *line, const struct hr_scan *scan,
           struct progress *now, const uint8_t *behind)
{
    if (now->lambdas > 0) {
        now->lambdas--;
    }
    else if (line->colon == 0) {
        line->colon = (uint32_t)(behind - scan->text);
        line->colon_line = scan->line;
        line->colon_count = line->count;
        line->colon_hash = now->hash;
    }
}

static void
note_semicolon(struct hr_line *line, const struct hr_scan *scan,
               struct progress *now, enum string_state before)
{
    uint32_t others = line->count - 1;

    line->last_line_plain = now->joint_count == others && others > 0
                                ? now->joint_line
                                : scan->line;
    now->semicolon_last = line->count;
    if (now->semicolon == 0) {
        now->semicolon = line->count;
        now->string = before; /* a ';' at the end changes nothing */
    }
}

static const uint8_t *
read_operator(struct hr_scan *scan, struct hr_line *line, struct progress *now,
              const uint8_t *p)
{
    const uint8_t *start = p;
    enum hr_token_kind kind = HR_TOKEN_OTHER;
    enum string_state string = now->string;
    uint8_t class = hr_bytes_class[*p];

    now->hash = hr_hash_fold(now->hash ^ *p, HR_HASH_WORD);
    now->string = STRING_NONE;
    p++;
    if (class >= HR_BYTE_COLON && class != HR_BYTE_SEMICOLON &&
        p < scan->end && *p == '=') {
        now->hash = hr_hash_fold(now->hash ^ '=', HR_HASH_WORD);
        keep_token(line, scan, kind, start, p + 1, 0);
        return p + 1;
    }
    switch (class) {
    case HR_BYTE_OPEN:
        if (now->depth++ == 0) {
            now->open_line = scan->line;
        }
        if (*start == '(' && string == STRING_BEFORE) {
            now->string = string;
        }
        break;
    case HR_BYTE_CLOSE:
        now->depth -= now->depth > 0;
        if (*start == ')' &&
            (string == STRING_INSIDE || string == STRING_BEHIND)) {
            now->string = STRING_BEHIND;
        }
        break;
    case HR_BYTE_COLON:
        kind = HR_TOKEN_COLON;
        break;
    case HR_BYTE_EQUAL:
        kind = HR_TOKEN_EQUAL;
        line->equals += now->depth == 0 && now->lambdas == 0;
        break;
    case HR_BYTE_OPERATOR:
        kind = *start == '@' ? HR_TOKEN_AT : HR_TOKEN_OTHER;
        break;
    }
    keep_token(line, scan, kind, start, p, 0);
    if (now->depth == 0) {
        if (class == HR_BYTE_COLON) {
            note_colon(line, scan, now, p);
        }
        else if (class == HR_BYTE_SEMICOLON) {
            note_semicolon(line, scan, now, string);
        }
    }
    return p;
}

/* p is behind the last token and its newline. */
static enum hr_scan_result
finish_line(struct hr_scan *scan, struct hr_line *line,
            const struct progress *now, uint32_t number, const uint8_t *p)
{
    int joint = now->joint_count == line->count;

    line->end = (uint32_t)(p - scan->text);
    line->last_line = joint ? now->joint_line : number;
    line->ends_in_colon =
        line->colon_count > 0 && line->colon_count == line->count;
    line->several = now->semicolon > 0 && now->semicolon < line->count;
    if (now->semicolon_last != line->count) {
        line->last_line_plain = line->last_line;
    }
    line->only_string =
        now->string == STRING_INSIDE || now->string == STRING_BEHIND;
    line->hash = now->hash;
    scan->at = p;
    return HR_SCAN_LINE;
}

enum hr_scan_result
hr_scan_line(struct hr_scan *scan, struct hr_line *line)
{
    struct progress now = {.hash = HR_HASH_SEED};
    const uint8_t *p, *end = scan->end;
    uint32_t number;

    memset(line, 0, sizeof(*line));
    if (scan->midline ? !find_rest(scan, line) : !find_line(scan, line)) {
        return HR_SCAN_END;
    }
    scan->midline = 0;
    line->line = scan->line;
    p = scan->at;
    while (p < end) {
        /* One space between two tokens is too common for a jump of its own,
         * which the processor could not foresee. */
        p += *p == ' ';
        if (p == end) {
            break;
        }
        switch (hr_bytes_class[*p]) {
        case HR_BYTE_SPACE:
            p = *p == ' ' ? hr_bytes_behind_spaces(p, end) : p + 1;
            break;
        case HR_BYTE_WORD:
            p = read_word(scan, line, &now, p);
            break;
        case HR_BYTE_DIGIT:
            p = read_number(scan, line, &now, p);
            break;
        case HR_BYTE_QUOTE:
            p = read_literal(scan, line, &now, p, p);
            break;
        case HR_BYTE_COMMENT:
            p = hr_bytes_to_newline(p, end);
            break;
        case HR_BYTE_NEWLINE:
            number = scan->line;
            p = hr_bytes_newline(p, end, &scan->line);
            if (now.depth == 0) {
                return finish_line(scan, line, &now, number, p);
            }
            break;
        case HR_BYTE_BACKSLASH:
            if (at_joint(p, end)) {
                if (now.joint_count != line->count) {
                    now.joint_count = line->count;
                    now.joint_line = scan->line;
                }
                p = hr_bytes_newline(p + 1, end, &scan->line);
                break;
            }
            /* fall through */
        default:
            if (*p == '.' && end - p >= 2 &&
                hr_bytes_class[p[1]] == HR_BYTE_DIGIT) {
                p = read_number(scan, line, &now, p);
                break;
            }
            p = read_operator(scan, line, &now, p);
        }
        if (p == NULL) {
            return HR_SCAN_ERROR;
        }
    }
    if (now.depth > 0) {
        return fail(scan, HR_LEX_UNTERMINATED, now.open_line);
    }
    return finish_line(scan, line, &now, scan->line, p);
}
