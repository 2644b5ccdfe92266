/* What each byte is, and runs of bytes that are alike.
 *
 * Most bytes of a source need no decision: indentation, the inside of names,
 * comments and strings.  The functions here skip such runs eight bytes at a
 * time with ordinary 64-bit arithmetic: a "mask" is a word in which the
 * highest bit of each byte that was looked for is set, so its lowest set bit
 * says where the first one is (hr_hash_load() puts the first byte lowest).
 * (The one for names is in bytes.h, as it is called for every name.)  None
 * reads at or behind `end`; the last few bytes of the text are taken one
 * by one.
 */
#include "bytes.h"
#include "hash.h"

#define W HR_BYTE_WORD
#define D HR_BYTE_DIGIT
#define S HR_BYTE_SPACE
#define N HR_BYTE_NEWLINE
#define Q HR_BYTE_QUOTE
#define O HR_BYTE_OPERATOR
#define ROW_OF_WORD W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W

/* clang-format off */
const uint8_t hr_bytes_class[256] = {
    /* 00 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, S, N, 0, S, N, 0, 0,
    /* 10 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 20 */ S, O, Q, HR_BYTE_COMMENT, 0, O, O, Q,
    /* 28 */ HR_BYTE_OPEN, HR_BYTE_CLOSE, O, O, 0, O, 0, O,
    /* 30 */ D, D, D, D, D, D, D, D, D, D,
    /* 3a */ HR_BYTE_COLON, HR_BYTE_SEMICOLON, O, HR_BYTE_EQUAL, O, 0,
    /* 40 */ O, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    /* 50 */ W, W, W, W, W, W, W, W, W, W, W,
    /* 5b */ HR_BYTE_OPEN, HR_BYTE_BACKSLASH, HR_BYTE_CLOSE, O, W,
    /* 60 */ 0, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    /* 70 */ W, W, W, W, W, W, W, W, W, W, W,
    /* 7b */ HR_BYTE_OPEN, O, HR_BYTE_CLOSE, 0, 0,
    /* 80 */ ROW_OF_WORD, ROW_OF_WORD, ROW_OF_WORD, ROW_OF_WORD,
    /* c0 */ ROW_OF_WORD, ROW_OF_WORD, ROW_OF_WORD, ROW_OF_WORD,
};
/* clang-format on */

#undef W
#undef D
#undef S
#undef N
#undef Q
#undef O

/* The mask of the bytes that are zero.  Behind the first one it may be wrong,
 * which does not matter here. */
static inline uint64_t
find_zero(uint64_t word)
{
    return (word - HR_BYTES_EACH(1)) & ~word & HR_BYTES_HIGH;
}

static inline uint64_t
find_newline(uint64_t word)
{
    return find_zero(word ^ HR_BYTES_EACH('\n')) |
           find_zero(word ^ HR_BYTES_EACH('\r'));
}

const uint8_t *
hr_bytes_to_newline(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t mask = find_newline(hr_hash_load(p));
        if (mask != 0) {
            return p + hr_bytes_first(mask);
        }
    }
    while (p < end && hr_bytes_class[*p] != HR_BYTE_NEWLINE) {
        p++;
    }
    return p;
}

const uint8_t *
hr_bytes_to_quote(const uint8_t *p, const uint8_t *end, uint8_t quote)
{
    for (; end - p >= 8; p += 8) {
        uint64_t word = hr_hash_load(p);
        uint64_t mask = find_newline(word) |
                        find_zero(word ^ HR_BYTES_EACH('\\')) |
                        find_zero(word ^ HR_BYTES_EACH(quote));
        if (mask != 0) {
            return p + hr_bytes_first(mask);
        }
    }
    while (p < end && *p != quote && *p != '\\' &&
           hr_bytes_class[*p] != HR_BYTE_NEWLINE) {
        p++;
    }
    return p;
}

const uint8_t *
hr_bytes_behind_spaces(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t others = hr_hash_load(p) ^ HR_BYTES_EACH(' ');
        if (others != 0) {
            return p + hr_bytes_first(others);
        }
    }
    while (p < end && *p == ' ') {
        p++;
    }
    return p;
}
