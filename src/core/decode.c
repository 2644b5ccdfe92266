/* The bytes of a file as UTF-8, decoded as Python would.
 *
 * What cannot be decoded is no error of ours: the caller gets a sentence for
 * the user.  A text of ASCII, the common case, is copied without making a str.
 * text.c does the same for UTF-8 without the GIL, and leaves the rest to this.
 *
 * For whoever has read a file.
 */
#include "code.h"

#include <stdlib.h>

char *
hr_decode_copy(const char *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

/* Is it UTF-8?  The common case, without making a str. */
static int
is_ascii(const char *bytes, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        if (word & 0x8080808080808080ULL) {
            return 0;
        }
    }
    for (; i < size; i++) {
        if (bytes[i] & 0x80) {
            return 0;
        }
    }
    return 1;
}

int
hr_decode_bytes(const char *bytes, size_t size, char **out, size_t *out_size,
                PyObject **why)
{
    char encoding[64];
    size_t bom = hr_lex_encoding(bytes, size, encoding);
    const char *nul = memchr(bytes, '\0', size);
    bytes += bom;
    size -= bom;
    if (bom > 0 && strcmp(encoding, "utf-8") != 0) {
        *why = PyUnicode_FromFormat(
            "it begins with a UTF-8 mark and declares the encoding %s; remove "
            "one of the two",
            encoding);
        return *why == NULL ? -1 : 1;
    }
    if (nul != NULL) {
        *why = PyUnicode_FromString("it holds a null byte; save it as text");
        return *why == NULL ? -1 : 1;
    }
    if (!is_ascii(bytes, size) || strcmp(encoding, "utf-8") != 0) {
        PyObject *text =
            PyUnicode_Decode(bytes, (Py_ssize_t)size, encoding, NULL);
        Py_ssize_t n;
        const char *utf8 = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
        if (utf8 == NULL) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            *why = PyUnicode_FromFormat(
                "it cannot be decoded as %s (%S); save it in the encoding "
                "that its first lines declare",
                encoding, value ? value : Py_None);
            Py_XDECREF(type);
            Py_XDECREF(value);
            Py_XDECREF(traceback);
            Py_XDECREF(text);
            return *why == NULL ? -1 : 1;
        }
        *out = hr_decode_copy(utf8, (size_t)n);
        *out_size = (size_t)n;
        Py_DECREF(text);
    }
    else {
        *out = hr_decode_copy(bytes, size);
        *out_size = size;
    }
    return *out == NULL ? -1 : 0;
}
