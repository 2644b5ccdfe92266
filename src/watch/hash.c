/* The content hash: 64 bits, fast, not cryptographic.
 *
 * Two lanes take 8 bytes each and mix them by a full 64 x 64 -> 128 bit
 * multiplication, whose two halves are folded together.  The length is part
 * of the seed, so that a text and the same text with NULs behind it differ.
 * The value depends on the byte order of the machine and is never stored.
 */
#include "internal.h"

#include <string.h>

#define ODD1 0x9e3779b97f4a7c15ULL /* 2^64 / golden ratio */
#define ODD2 0xd1342543de82ef95ULL
#define ODD3 0xaf251af3b0f025b5ULL
#define ODD4 0x2545f4914f6cdd1dULL

static uint64_t
fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (a & 0xffffffffU) * (b & 0xffffffffU);
    uint64_t one = (a >> 32) * (b & 0xffffffffU);
    uint64_t two = (a & 0xffffffffU) * (b >> 32);
    uint64_t high = (a >> 32) * (b >> 32);
    uint64_t middle = (low >> 32) + (one & 0xffffffffU) + (two & 0xffffffffU);
    high += (one >> 32) + (two >> 32) + (middle >> 32);
    return ((middle << 32) | (low & 0xffffffffU)) ^ high;
#endif
}

static uint64_t
load(const unsigned char *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

uint64_t
hr_watch_hash(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t a = ODD1 ^ size, b = ODD2 + size;
    size_t left = size;

    while (left >= 32) {
        a = fold(load(p) ^ ODD3, load(p + 8) ^ a);
        b = fold(load(p + 16) ^ ODD4, load(p + 24) ^ b);
        p += 32;
        left -= 32;
    }
    while (left >= 8) {
        a = fold(load(p) ^ ODD3, a ^ ODD1) + b;
        p += 8;
        left -= 8;
    }
    if (left > 0) {
        unsigned char tail[8] = {0};
        memcpy(tail, p, left);
        b = fold(load(tail) ^ ODD4, b ^ ODD2) + a;
    }
    return fold(a ^ ODD1, fold(b ^ ODD3, ODD2 ^ size));
}
