/* The rest of lex.h: the encoding of a source, and what errors say.
 *
 * The encoding of a source is told by a comment in one of its first two lines
 * (PEP 263):  # -*- coding: latin-1 -*-  or  # vim: set fileencoding=cp1252 :
 * The second line only counts if the first one is blank or a comment too.
 */
#include <string.h>

#include "lex.h"
#include "scan.h"

static int
is_name_of_encoding(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Find "coding:" or "coding=" and the name behind it in [p, end).  Returns
 * the length of the name, 0 when there is none. */
static size_t
find_cookie(const char *p, const char *end, const char **name)
{
    for (; end - p > 7; p++) {
        if (memcmp(p, "coding", 6) != 0 || (p[6] != ':' && p[6] != '=')) {
            continue;
        }
        const char *start = p + 7;
        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }
        const char *stop = start;
        while (stop < end && is_name_of_encoding(*stop)) {
            stop++;
        }
        if (stop > start) {
            *name = start;
            return (size_t)(stop - start);
        }
    }
    return 0;
}

/* Python takes these names in any spelling, and with anything behind a '-'
 * ("utf_8", "UTF-8-sig", "Latin-1-unix"). */
static int
is_spelling_of(const char *name, size_t size, const char *encoding)
{
    size_t i = 0;

    for (; encoding[i] != 0; i++) {
        char c = i < size ? name[i] : 0;
        if (c >= 'A' && c <= 'Z') {
            c += 'a' - 'A';
        }
        if (c == '_') {
            c = '-';
        }
        if (c != encoding[i]) {
            return 0;
        }
    }
    return i == size || name[i] == '-' || name[i] == '_';
}

static void
copy_encoding(char to[64], const char *name, size_t size)
{
    if (is_spelling_of(name, size, "utf-8")) {
        name = "utf-8";
        size = 5;
    }
    else if (is_spelling_of(name, size, "latin-1") ||
             is_spelling_of(name, size, "iso-8859-1") ||
             is_spelling_of(name, size, "iso-latin-1")) {
        name = "iso-8859-1";
        size = 10;
    }
    if (size > 63) {
        size = 63;
    }
    memcpy(to, name, size);
    to[size] = 0;
}

size_t
hr_lex_encoding(const char *text, size_t size, char name[64])
{
    const char *p = text, *end = text + size;
    size_t bom = 0;

    copy_encoding(name, "utf-8", 5);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        bom = 3;
        p += 3;
    }
    for (uint32_t line = 1; line <= 2 && p < end;) {
        const char *stop = p, *found;
        size_t found_size;

        while (p < end && hr_bytes_class[(uint8_t)*p] == HR_BYTE_SPACE) {
            p++;
        }
        while (stop < end &&
               hr_bytes_class[(uint8_t)*stop] != HR_BYTE_NEWLINE) {
            stop++;
        }
        if (p < stop && *p != '#') {
            break;
        }
        found_size = find_cookie(p, stop, &found);
        if (found_size > 0) {
            copy_encoding(name, found, found_size);
            break;
        }
        if (stop == end) {
            break;
        }
        p = (const char *)hr_bytes_newline((const uint8_t *)stop,
                                           (const uint8_t *)end, &line);
    }
    return bom;
}

const char *
hr_lex_message(enum hr_lex_status status)
{
    switch (status) {
    case HR_LEX_OK:
        return "no error";
    case HR_LEX_NO_MEMORY:
        return "out of memory";
    case HR_LEX_UNTERMINATED:
        return "a string or bracket is never closed";
    case HR_LEX_INDENT:
        return "the indentation is inconsistent";
    case HR_LEX_TOO_LARGE:
        return "the file is larger than 4 GiB";
    case HR_LEX_NUL:
        return "the file contains a NUL byte";
    }
    return "unknown error";
}
