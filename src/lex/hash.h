/* The multiply-and-fold that every hash of this folder is made of.  Internal
 * to src/lex; the public function is hr_lex_hash() in lex.h. */
#ifndef HR_HASH_H
#define HR_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Odd numbers with about as many ones as zeros; what they are does not
 * matter, that they differ does: each marks another meaning of what is mixed
 * in (see hash.c). */
#define HR_HASH_SEED 0x9b1f3c5a7d2e4861ull
#define HR_HASH_WORD 0xa3d96b1ec75f2b4dull
#define HR_HASH_PART 0xd1b54a32d192ed03ull
#define HR_HASH_TEXT 0x8cb92ba72f3d8dd7ull
#define HR_HASH_LINE 0xe7037ed1a0b428dbull

/* 64 × 64 → 128 bits, the two halves folded into one. */
static inline uint64_t
hr_hash_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (a & 0xffffffff) * (b & 0xffffffff);
    uint64_t middle = (a >> 32) * (b & 0xffffffff) + (low >> 32);
    uint64_t other = (a & 0xffffffff) * (b >> 32) + (middle & 0xffffffff);
    uint64_t high = (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
    return ((other << 32) | (low & 0xffffffff)) ^ high;
#endif
}

/* Eight bytes as a number, the first byte lowest on every machine (so that
 * keywords are constants). */
static inline uint64_t
hr_hash_load(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* 1 to 8 bytes, the rest zero; `end` is behind the last readable byte. */
static inline uint64_t
hr_hash_load_some(const uint8_t *p, size_t size, const uint8_t *end)
{
    if (end - p >= 8) {
        return hr_hash_load(p) & (~(uint64_t)0 >> (64 - 8 * size));
    }
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)p[i] << (8 * i);
    }
    return word;
}

/* Any bytes, mixed into `seed`. */
uint64_t hr_hash_bytes(uint64_t seed, const uint8_t *p, size_t size);

#endif /* HR_HASH_H */
