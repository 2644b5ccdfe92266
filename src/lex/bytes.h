/* Classes of bytes, line ends, and runs of bytes that are alike.  Internal to
 * src/lex. */
#ifndef HR_BYTES_H
#define HR_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "hash.h"

enum {
    HR_BYTE_OTHER = 0, /* an operator that '=' never follows, or no Python */
    HR_BYTE_WORD,      /* letters, '_' and every byte of a non-ASCII letter */
    HR_BYTE_DIGIT,     /* this and the one above: what names consist of */
    HR_BYTE_SPACE,
    HR_BYTE_COMMENT,
    HR_BYTE_NEWLINE,
    HR_BYTE_QUOTE,
    HR_BYTE_BACKSLASH,
    HR_BYTE_OPEN,
    HR_BYTE_CLOSE,
    HR_BYTE_COLON, /* from here on: '=' may follow */
    HR_BYTE_EQUAL,
    HR_BYTE_SEMICOLON, /* (not this one) */
    HR_BYTE_OPERATOR,
};

extern const uint8_t hr_bytes_class[256];

static inline int
hr_bytes_is_name(uint8_t byte)
{
    return (uint8_t)(hr_bytes_class[byte] - HR_BYTE_WORD) <= 1;
}

/* p is at a CR or LF; returns the byte behind the line's end and counts it. */
static inline const uint8_t *
hr_bytes_newline(const uint8_t *p, const uint8_t *end, uint32_t *line)
{
    *line += 1;
    if (*p == '\r' && end - p >= 2 && p[1] == '\n') {
        return p + 2;
    }
    return p + 1;
}

/* The next CR or LF, or end. */
const uint8_t *hr_bytes_to_newline(const uint8_t *p, const uint8_t *end);

/* The next quote, backslash, CR or LF, or end. */
const uint8_t *hr_bytes_to_quote(const uint8_t *p, const uint8_t *end,
                                 uint8_t quote);

/* The first byte that is no ' ', or end. */
const uint8_t *hr_bytes_behind_spaces(const uint8_t *p, const uint8_t *end);

#define HR_BYTES_EACH(byte) (0x0101010101010101ull * (uint8_t)(byte))
#define HR_BYTES_HIGH HR_BYTES_EACH(0x80)

/* The exact mask of the bytes that are letters, digits, '_' or not ASCII.
 * Each byte is cut to seven bits first, so no sum runs over into the next. */
static inline uint64_t
hr_bytes_find_names(uint64_t word)
{
    uint64_t low = word & ~HR_BYTES_HIGH;
    uint64_t letter = low | HR_BYTES_EACH(0x20);
    uint64_t letters = (letter + HR_BYTES_EACH(0x80 - 'a')) &
                       ~(letter + HR_BYTES_EACH(0x7f - 'z'));
    uint64_t digits =
        (low + HR_BYTES_EACH(0x80 - '0')) & ~(low + HR_BYTES_EACH(0x7f - '9'));
    uint64_t underscores = ~((low ^ HR_BYTES_EACH('_')) + HR_BYTES_EACH(0x7f));
    return (letters | digits | underscores | word) & HR_BYTES_HIGH;
}

/* The index of the first byte in a mask. */
static inline int
hr_bytes_first(uint64_t mask)
{
    return __builtin_ctzll(mask) / 8;
}

/* The first byte that no name consists of, or end. */
static inline const uint8_t *
hr_bytes_behind_name(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t mask = hr_bytes_find_names(hr_hash_load(p)) ^ HR_BYTES_HIGH;
        if (mask != 0) {
            return p + hr_bytes_first(mask);
        }
    }
    while (p < end && hr_bytes_is_name(*p)) {
        p++;
    }
    return p;
}

#endif /* HR_BYTES_H */
