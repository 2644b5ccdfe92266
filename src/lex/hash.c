/* The 64-bit hash of blocks.
 *
 * Guarantees: depends on nothing but the bytes (not on the address, the
 * machine's byte order or the process), reads no byte outside of them, and
 * two different inputs have the same hash with a chance of about 2^-64.  It
 * is not made to resist somebody who looks for collisions: whoever can write
 * the followed sources runs code in the process anyway.
 *
 * A hash is a state into which words of eight bytes are mixed one after
 * another:
 *
 *      state = fold((state ^ word) * CONSTANT)      128-bit product, folded
 *
 * The constant says what the word means: the last (or only) eight bytes of a
 * token, a part with more to follow, the hash of a string literal, the hash of
 * a logical line.  So "ab" "c" and "abc" differ without a separator, and a
 * token never passes for the string that contains it.
 *
 * Long inputs are mixed in four lanes, as the multiplication takes four times
 * as long to finish as to start.
 */
#include "hash.h"
#include "lex.h"

static uint64_t
mix_long(uint64_t seed, const uint8_t **at, size_t size)
{
    const uint8_t *p = *at;
    const uint8_t *end = p + (size & ~(size_t)31);
    uint64_t a = seed, b = ~seed, c = seed + HR_HASH_LINE, d = seed ^ 1;

    for (; p < end; p += 32) {
        a = hr_hash_fold(a ^ hr_hash_load(p), HR_HASH_WORD);
        b = hr_hash_fold(b ^ hr_hash_load(p + 8), HR_HASH_PART);
        c = hr_hash_fold(c ^ hr_hash_load(p + 16), HR_HASH_TEXT);
        d = hr_hash_fold(d ^ hr_hash_load(p + 24), HR_HASH_LINE);
    }
    *at = p;
    a = hr_hash_fold(a ^ HR_HASH_LINE, b ^ HR_HASH_SEED);
    c = hr_hash_fold(c ^ HR_HASH_WORD, d ^ HR_HASH_SEED);
    return hr_hash_fold(a ^ HR_HASH_PART, HR_HASH_TEXT) ^ c;
}

uint64_t
hr_hash_bytes(uint64_t seed, const uint8_t *p, size_t size)
{
    /* The length goes in first: a last part that is padded with zeros must
     * not equal one that ends in zeros. */
    uint64_t state = hr_hash_fold(seed ^ (uint64_t)size, HR_HASH_SEED);
    size_t rest = size;

    if (rest >= 32) {
        state = mix_long(state, &p, rest);
        rest &= 31;
    }
    for (; rest >= 8; rest -= 8, p += 8) {
        state = hr_hash_fold(state ^ hr_hash_load(p), HR_HASH_PART);
    }
    if (rest > 0) {
        uint64_t last = hr_hash_load_some(p, rest, p + rest);
        state = hr_hash_fold(state ^ last, HR_HASH_WORD);
    }
    return hr_hash_fold(state ^ HR_HASH_TEXT, HR_HASH_SEED);
}

uint64_t
hr_lex_hash(const void *data, size_t size)
{
    return hr_hash_bytes(HR_HASH_SEED, data, size);
}
