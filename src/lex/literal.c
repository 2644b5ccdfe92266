/* Literals: where does this one end?
 *
 * Plain strings are easy: the next same quote (or three of them) that no
 * backslash precedes.  A backslash hides a quote in raw strings too.
 *
 * f-strings and t-strings are read as PEP 701 says (Python 3.12), because
 * there a quote inside of a replacement field does not end the literal:
 *
 *      f'{names['a']!r:>{width + len(f'{x}')}} \N{DASH} {{literal}}'
 *       ^ text   ^ field      ^ format  ^ field in a format
 *
 *  - text and format are literals with fields in them; "{{" is a brace in the
 *    text, but opens a field in a format; \N{...} is a character, unless raw;
 *    any other backslash before a brace is just a backslash;
 *  - a field is ordinary Python with brackets, comments, line ends (also
 *    inside of f'...') and literals of its own; a ':' outside of brackets
 *    begins the format, a '}' ends the field.
 *
 * This is right for the older versions too, where the whole is one plain
 * string: they allow neither the own quote nor a backslash nor a comment
 * inside of a field, so both readings find the same end in every valid source.
 *
 * Functions recurse once per level of nesting, at most MAX_NESTING deep (as
 * CPython, which allows 150); what is deeper is not valid and counts as
 * unterminated.
 *
 * Numbers end exactly where Python ends them, since a keyword may follow at
 * once: "1if x else 0xfor y" is 1, if, x, else, 0xf, or, y.
 */
#include "scan.h"

#define MAX_NESTING 150

struct literal {
    const uint8_t *end; /* of the text */
    uint32_t *line;
    int nesting;
};

struct quotes {
    uint8_t quote;
    uint8_t triple;
    uint8_t raw;
};

static const uint8_t *skip_literal(struct literal *, const uint8_t *,
                                   unsigned);

unsigned
hr_literal_prefix(const uint8_t *word, size_t size)
{
    unsigned flags = 0, letters = 0;

    if (size > 2) {
        return HR_LITERAL_UNKNOWN;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned flag;
        switch (word[i] | 0x20) {
        case 'r':
            flag = HR_LITERAL_RAW;
            break;
        case 'f':
        case 't':
            flag = HR_LITERAL_FIELDS;
            break;
        case 'b':
            flag = HR_LITERAL_BYTES;
            break;
        case 'u':
            flag = 0;
            break;
        default:
            return HR_LITERAL_UNKNOWN;
        }
        letters += flag != HR_LITERAL_RAW;
        if (size == 2 && (flag == 0 || (flags & flag) || letters > 1)) {
            return HR_LITERAL_UNKNOWN; /* u goes with none, r with one */
        }
        flags |= flag;
    }
    return flags;
}

/* p is at a quote: does it close the literal?  Returns the byte behind, or
 * NULL. */
static const uint8_t *
close_quotes(const struct literal *literal, const uint8_t *p, struct quotes q)
{
    if (*p != q.quote) {
        return NULL;
    }
    if (!q.triple) {
        return p + 1;
    }
    if (literal->end - p >= 3 && p[1] == q.quote && p[2] == q.quote) {
        return p + 3;
    }
    return NULL;
}

/* p is at a backslash; returns the byte behind what it hides. */
static const uint8_t *
skip_escape(struct literal *literal, const uint8_t *p)
{
    p++;
    if (p == literal->end) {
        return p;
    }
    if (hr_bytes_class[*p] == HR_BYTE_NEWLINE) {
        return hr_bytes_newline(p, literal->end, literal->line);
    }
    return p + 1;
}

static const uint8_t *
skip_plain(struct literal *literal, const uint8_t *p, struct quotes q)
{
    for (;;) {
        p = hr_bytes_to_quote(p, literal->end, q.quote);
        if (p == literal->end) {
            return NULL;
        }
        if (*p == q.quote) {
            const uint8_t *closed = close_quotes(literal, p, q);
            if (closed != NULL) {
                return closed;
            }
            p++;
        }
        else if (*p == '\\') {
            p = skip_escape(literal, p);
        }
        else if (q.triple) {
            p = hr_bytes_newline(p, literal->end, literal->line);
        }
        else {
            return NULL;
        }
    }
}

/* p is at a backslash of an f-string's text or format. */
static const uint8_t *
skip_field_escape(struct literal *literal, const uint8_t *p, struct quotes q)
{
    const uint8_t *end = literal->end;

    if (end - p >= 2 && (p[1] == '{' || p[1] == '}')) {
        return p + 1;
    }
    if (!q.raw && end - p >= 3 && p[1] == 'N' && p[2] == '{') {
        p += 3;
        while (p < end && (hr_bytes_is_name(*p) || *p == ' ' || *p == '-')) {
            p++;
        }
        return p < end && *p == '}' ? p + 1 : p;
    }
    return skip_escape(literal, p);
}

static const uint8_t *skip_field(struct literal *, const uint8_t *,
                                 struct quotes);

/* p is behind the ':' that begins a format.  Returns the byte behind the '}'
 * that ends it and its field, or sets *broken: a line end in a format of
 * f'...' only ends the format (until Python 3.12.9; later ones refuse it). */
static const uint8_t *
skip_format(struct literal *literal, const uint8_t *p, struct quotes q,
            int *broken)
{
    while (p != NULL && p < literal->end) {
        switch (*p) {
        case '{':
            p = skip_field(literal, p + 1, q);
            break;
        case '}':
            return p + 1;
        case '\\':
            p = skip_field_escape(literal, p, q);
            break;
        case '\r':
        case '\n':
            p = hr_bytes_newline(p, literal->end, literal->line);
            if (!q.triple) {
                *broken = 1;
                return p;
            }
            break;
        case '\'':
        case '"':
            if (close_quotes(literal, p, q) != NULL) {
                return NULL; /* the literal ends inside of a field */
            }
            p++;
            break;
        default:
            p++;
        }
    }
    return NULL;
}

/* p is at a word of a field's expression, which may be a literal's prefix. */
static const uint8_t *
skip_word(struct literal *literal, const uint8_t *p)
{
    const uint8_t *word = p;
    unsigned flags;

    p = hr_bytes_behind_name(p, literal->end);
    if (p == literal->end || hr_bytes_class[*p] != HR_BYTE_QUOTE) {
        return p;
    }
    flags = hr_literal_prefix(word, (size_t)(p - word));
    return skip_literal(literal, p, flags);
}

/* p is behind the '{'; returns the byte behind the '}'. */
static const uint8_t *
skip_field(struct literal *literal, const uint8_t *p, struct quotes q)
{
    const uint8_t *end = literal->end;
    uint32_t depth = 0;

    if (++literal->nesting > MAX_NESTING) {
        return NULL;
    }
    while (p != NULL && p < end) {
        switch (hr_bytes_class[*p]) {
        case HR_BYTE_WORD:
        case HR_BYTE_DIGIT:
            p = skip_word(literal, p);
            break;
        case HR_BYTE_QUOTE:
            p = skip_literal(literal, p, 0);
            break;
        case HR_BYTE_NEWLINE:
            p = hr_bytes_newline(p, end, literal->line);
            break;
        case HR_BYTE_COMMENT:
            p = hr_bytes_to_newline(p, end);
            break;
        case HR_BYTE_OPEN:
            depth++;
            p++;
            break;
        case HR_BYTE_CLOSE:
            if (depth == 0 && *p == '}') {
                literal->nesting--;
                return p + 1;
            }
            depth -= depth > 0;
            p++;
            break;
        case HR_BYTE_COLON:
            p++;
            if (depth == 0) {
                int broken = 0;
                p = skip_format(literal, p, q, &broken);
                if (!broken) {
                    literal->nesting--;
                    return p;
                }
            }
            break;
        default:
            p++;
        }
    }
    return NULL;
}

static const uint8_t *
skip_text(struct literal *literal, const uint8_t *p, struct quotes q)
{
    const uint8_t *end = literal->end;

    while (p != NULL && p < end) {
        const uint8_t *closed;
        switch (*p) {
        case '{':
            if (end - p >= 2 && p[1] == '{') {
                p += 2;
            }
            else {
                p = skip_field(literal, p + 1, q);
            }
            break;
        case '\\':
            p = skip_field_escape(literal, p, q);
            break;
        case '\r':
        case '\n':
            if (!q.triple) {
                return NULL;
            }
            p = hr_bytes_newline(p, end, literal->line);
            break;
        case '\'':
        case '"':
            closed = close_quotes(literal, p, q);
            if (closed != NULL) {
                return closed;
            }
            p++;
            break;
        default:
            p++;
        }
    }
    return NULL;
}

static const uint8_t *
skip_literal(struct literal *literal, const uint8_t *p, unsigned flags)
{
    struct quotes q = {.quote = *p};

    q.triple = literal->end - p >= 3 && p[1] == *p && p[2] == *p;
    q.raw = (flags & HR_LITERAL_RAW) != 0;
    p += q.triple ? 3 : 1;
    if (flags & HR_LITERAL_FIELDS) {
        return skip_text(literal, p, q);
    }
    return skip_plain(literal, p, q);
}

const uint8_t *
hr_literal_skip(const uint8_t *p, const uint8_t *end, unsigned flags,
                uint32_t *line)
{
    struct literal literal = {.end = end, .line = line};
    return skip_literal(&literal, p, flags);
}

static const uint8_t *
skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (hr_bytes_class[*p] == HR_BYTE_DIGIT || *p == '_')) {
        p++;
    }
    return p;
}

const uint8_t *
hr_literal_skip_number(const uint8_t *p, const uint8_t *end)
{
    if (*p == '0' && end - p >= 2) {
        uint8_t base = p[1] | 0x20;
        if (base == 'x') {
            p += 2;
            while (p < end &&
                   (hr_bytes_class[*p] == HR_BYTE_DIGIT || *p == '_' ||
                    (uint8_t)((*p | 0x20) - 'a') < 6)) {
                p++;
            }
            return p;
        }
        if (base == 'o' || base == 'b') {
            return skip_digits(p + 2, end);
        }
    }
    p = skip_digits(p, end);
    if (p < end && *p == '.') {
        p = skip_digits(p + 1, end);
    }
    if (p < end && (*p | 0x20) == 'e') {
        const uint8_t *power = p + 1;
        if (power < end && (*power == '+' || *power == '-')) {
            power++;
        }
        if (power < end && hr_bytes_class[*power] == HR_BYTE_DIGIT) {
            p = skip_digits(power, end);
        }
    }
    return p < end && (*p | 0x20) == 'j' ? p + 1 : p;
}
