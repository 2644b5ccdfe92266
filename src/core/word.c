/* Which words stand in a text.
 *
 * Thousands of files are followed, and a changed name concerns few of them.
 * For each text that was asked about, a filter of its words is kept: one that
 * has no false answer when it says no.  When it says yes, the text is
 * searched.
 */
#include "code.h"

struct hr_words {
    int stars;         /* `from m import *` */
    int package_stars; /* `from . import *` */
    int ascii;         /* all of it */
    size_t mask;       /* of the bits' indices */
    unsigned char bits[];
};

static int
is_word(unsigned char c)
{
    return Py_ISALNUM(c) || c == '_' || c >= 0x80;
}

static int
is_set(const struct hr_words *w, uint64_t hash)
{
    size_t a = hash & w->mask, b = (hash >> 32) & w->mask;
    return (w->bits[a / 8] >> a % 8 & 1) && (w->bits[b / 8] >> b % 8 & 1);
}

static void
set_bits(struct hr_words *w, const char *word, size_t n)
{
    uint64_t hash = hr_lex_hash(word, n);
    size_t a = hash & w->mask, b = (hash >> 32) & w->mask;
    w->bits[a / 8] |= (unsigned char)(1 << a % 8);
    w->bits[b / 8] |= (unsigned char)(1 << b % 8);
}

/* A name can be written in several ways (name.c). */
static int
add_normalised(struct hr_words *w, const char *word, size_t n)
{
    PyObject *name = hr_name_decode(word, n);
    Py_ssize_t size;
    const char *utf8 = name ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;
    if (utf8 != NULL) {
        set_bits(w, utf8, (size_t)size);
    }
    Py_XDECREF(name);
    return utf8 != NULL ? 0 : -1;
}

/* Half the size, as often as no more than a sixth of the bits are set then: of
 * 36 words that are not in the text, one is said to be. */
static struct hr_words *
fold(struct hr_words *w)
{
    size_t bytes = (w->mask + 1) / 8, set = 0;
    for (size_t i = 0; i < bytes; i++) {
        set += (size_t)__builtin_popcount(w->bits[i]);
    }
    for (; bytes > 32 && set * 6 <= bytes / 2 * 8; bytes /= 2) {
        for (size_t i = 0; i < bytes / 2; i++) {
            w->bits[i] |= w->bits[bytes / 2 + i];
        }
        w->mask /= 2;
    }
    struct hr_words *smaller = realloc(w, sizeof *w + bytes);
    return smaller != NULL ? smaller : w;
}

struct hr_words *
hr_word_list(const char *text, size_t size)
{
    size_t bits = 256;
    while (bits < size * 4) {
        bits *= 2;
    }
    struct hr_words *w = calloc(1, sizeof *w + bits / 8);
    const char *at = text, *end = text + size, *from = NULL;
    if (w == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    w->mask = bits - 1;
    w->ascii = 1;
    while (at < end) {
        const char *word = at;
        int ascii = 1;
        while (at < end && is_word((unsigned char)*at)) {
            ascii &= (unsigned char)*at++ < 0x80;
        }
        size_t n = (size_t)(at - word);
        if (n == 0) {
            at++;
            continue;
        }
        set_bits(w, word, n);
        w->ascii &= ascii;
        if (!ascii && add_normalised(w, word, n) < 0) {
            PyErr_Clear(); /* in a string */
        }
        if (n == 6 && memcmp(word, "import", 6) == 0) {
            const char *next = at;
            while (next < end && (*next == ' ' || *next == '\t')) {
                next++;
            }
            w->stars |= next < end && *next == '*';
            w->package_stars |= w->stars && from != NULL;
        }
        from = n == 4 && memcmp(word, "from", 4) == 0 ? word : NULL;
    }
    return fold(w);
}

int
hr_word_hash(PyObject *word, uint64_t *hash)
{
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(word, &n);
    if (utf8 == NULL) {
        return -1;
    }
    *hash = hr_lex_hash(utf8, (size_t)n);
    return 0;
}

int
hr_word_may_have(const struct hr_words *w, const char *text, size_t size,
                 PyObject *word, uint64_t hash)
{
    return is_set(w, hash) && (!w->ascii || hr_word_is_in(text, size, word));
}

int
hr_word_may_star(const struct hr_words *w, int knows_last, int is_package)
{
    return w->stars && (knows_last || (is_package && w->package_stars));
}

int
hr_word_is_in(const char *text, size_t size, PyObject *name)
{
    Py_ssize_t n;
    const char *word = PyUnicode_AsUTF8AndSize(name, &n);
    const char *at = text, *end = text + size;
    while (word != NULL && at < end &&
           (at = memmem(at, (size_t)(end - at), word, (size_t)n)) != NULL) {
        const char *after = at + n;
        int before_ok = at == text || !(Py_ISALNUM(at[-1]) || at[-1] == '_');
        int after_ok = after >= end || !(Py_ISALNUM(*after) || *after == '_');
        if (before_ok && after_ok) {
            return 1;
        }
        at++;
    }
    return 0;
}

int
hr_word_may_be_in(const char *text, size_t size, PyObject *name)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return 1; /* names can be written in several ways (name.c) */
        }
    }
    return hr_word_is_in(text, size, name);
}
