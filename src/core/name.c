/* Identifiers as Python reads them: in the normal form NFKC.
 *
 * The same name can be written in several ways (an accent as a character of
 * its own, letters of mathematics, ligatures), and the text has it as it was
 * typed.  Names of plain ASCII are what they are, and cost nothing.
 */
#include "code.h"

static int
is_ascii(const char *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)at[i] >= 0x80) {
            return 0;
        }
    }
    return 1;
}

PyObject *
hr_name_decode(const char *at, size_t n)
{
    PyObject *name = PyUnicode_DecodeUTF8(at, (Py_ssize_t)n, NULL);
    if (name != NULL && !is_ascii(at, n)) {
        PyObject *data = PyImport_ImportModule("unicodedata");
        PyObject *normal =
            data == NULL
                ? NULL
                : PyObject_CallMethod(data, "normalize", "sO", "NFKC", name);
        Py_XDECREF(data);
        Py_SETREF(name, normal);
    }
    if (name != NULL) {
        PyUnicode_InternInPlace(&name);
    }
    return name;
}

PyObject *
hr_name_of(const char *text, const struct hr_block *b)
{
    return hr_name_decode(text + b->name, b->name_len);
}

int
hr_name_is(const char *text, const struct hr_block *b, PyObject *name)
{
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &n);
    if (utf8 == NULL) {
        return -1;
    }
    if (b->name_len == (size_t)n &&
        memcmp(text + b->name, utf8, (size_t)n) == 0) {
        return 1;
    }
    if (is_ascii(text + b->name, b->name_len)) {
        return 0;
    }
    PyObject *own = hr_name_of(text, b);
    int same = own == NULL ? -1 : PyUnicode_Compare(own, name) == 0;
    Py_XDECREF(own);
    return same;
}

int
hr_name_may_be_in(const char *text, size_t size, PyObject *name)
{
    Py_ssize_t n;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &n);
    if (utf8 == NULL) {
        return -1;
    }
    return memmem(text, size, utf8, (size_t)n) != NULL ||
           !is_ascii(text, size);
}

int
hr_name_is_one_of(PyObject *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (PyUnicode_CompareWithASCIIString(name, *names) == 0) {
            return 1;
        }
    }
    return 0;
}

uint64_t
hr_name_hash_of(const char *text, const struct hr_block *b)
{
    const char *at = text + b->name;
    if (is_ascii(at, b->name_len)) {
        return hr_lex_hash(at, b->name_len);
    }
    PyObject *name = hr_name_of(text, b);
    Py_ssize_t n = b->name_len;
    const char *utf8 = name ? PyUnicode_AsUTF8AndSize(name, &n) : NULL;
    uint64_t hash = utf8 != NULL ? hr_lex_hash(utf8, (size_t)n)
                                 : hr_lex_hash(at, b->name_len);
    Py_XDECREF(name);
    PyErr_Clear();
    return hash;
}
