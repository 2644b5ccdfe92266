/* Code in statements that mean the same and are written otherwise.
 *
 * A comment in an `if`, an annotation of a dict of lambdas: such a statement
 * is not run, but what it defines stands on other lines.  Both texts are
 * compiled, and their code is the same but for the lines: so each live
 * function that has the one's gets the other's.
 *
 * For line.c, after the commit.
 */
#include "code.h"

static PyObject *
make_key(PyObject *code)
{
    PyCodeObject *c = (PyCodeObject *)code;
    return Py_BuildValue("(iO)", c->co_firstlineno, c->co_name);
}

static int
add_pair(PyObject *pairs, PyObject *old, PyObject *new)
{
    PyObject *key = make_key(old);
    PyObject *list = key ? PyDict_GetItemWithError(pairs, key) : NULL;
    PyObject *pair = key ? PyTuple_Pack(2, old, new) : NULL;
    int status = pair == NULL ? -1 : 0;
    if (status == 0 && list == NULL) {
        list = PyList_New(0);
        status = list == NULL ? -1 : PyDict_SetItem(pairs, key, list);
        Py_XDECREF(list); /* the dict's */
    }
    if (status == 0) {
        status = PyList_Append(list, pair);
    }
    Py_XDECREF(pair);
    Py_XDECREF(key);
    return status;
}

/* Pair all code nested in two that mean the same. */
static int
pair_nested(PyObject *pairs, PyObject *old, PyObject *new)
{
    PyObject *was = ((PyCodeObject *)old)->co_consts;
    PyObject *is = ((PyCodeObject *)new)->co_consts;
    Py_ssize_t k = 0;
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(was); i++) {
        PyObject *a = PyTuple_GET_ITEM(was, i), *b = NULL;
        if (!PyCode_Check(a)) {
            continue;
        }
        while (b == NULL && k < PyTuple_GET_SIZE(is)) {
            PyObject *o = PyTuple_GET_ITEM(is, k++);
            b = PyCode_Check(o) ? o : NULL;
        }
        if (b == NULL || PyUnicode_Compare(((PyCodeObject *)a)->co_name,
                                           ((PyCodeObject *)b)->co_name)) {
            return 0; /* annotations may have code, too */
        }
        status = add_pair(pairs, a, b);
        if (status == 0) {
            status = pair_nested(pairs, a, b);
        }
    }
    return status;
}

int
hr_relayout_add(PyObject *pairs, struct hr_unit *u, const struct hr_block *a,
                const struct hr_block *b, PyObject *const *classes, int depth)
{
    const char *text = u->text + b->start;
    size_t size = b->end - b->start;
    if (memmem(text, size, "def ", 4) == NULL &&
        memmem(text, size, "lambda", 6) == NULL &&
        memmem(text, size, "class ", 6) == NULL) {
        return 0;
    }
    PyObject *was =
        hr_code_compile(u, u->source->text + a->start, a->end - a->start,
                        (int)a->line, classes, depth);
    PyObject *is =
        was ? hr_code_compile(u, text, size, (int)b->line, classes, depth)
            : NULL;
    int status = is == NULL ? -1 : pair_nested(pairs, was, is);
    Py_XDECREF(was);
    Py_XDECREF(is);
    if (status < 0 && PyErr_ExceptionMatches(PyExc_SyntaxError)) {
        PyErr_Clear();
        status = 0;
    }
    return status;
}

static PyObject *
list_lines(PyObject *code)
{
    PyObject *lines = PyObject_CallMethod(code, "co_lines", NULL);
    PyObject *list = lines ? PySequence_List(lines) : NULL;
    Py_XDECREF(lines);
    return list;
}

/* 1, 0, or -1 with an exception. */
static int
has_lines_of(PyObject *code, PyObject *other)
{
    PyObject *a = list_lines(code), *b = a ? list_lines(other) : NULL;
    int same = b == NULL ? -1 : PyObject_RichCompareBool(a, b, Py_EQ);
    Py_XDECREF(a);
    Py_XDECREF(b);
    return same;
}

/* As compiled alone, a call may differ from the same in the whole module; what
 * lies in the same way on its lines only moves then. */
static PyObject *
take_lines(PyObject *code, PyObject *old, PyObject *new)
{
    int delta = ((PyCodeObject *)new)->co_firstlineno -
                ((PyCodeObject *)old)->co_firstlineno;
    PyObject *moved = hr_code_move(old, delta);
    int same = moved == NULL ? -1 : has_lines_of(moved, new);
    if (same == 1) {
        same = has_lines_of(code, old);
    }
    Py_XDECREF(moved);
    if (same < 0 && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* Python 3.9 */
    }
    return same == 1 && delta != 0 ? hr_code_move(code, delta) : NULL;
}

PyObject *
hr_relayout_find(PyObject *pairs, PyObject *code)
{
    PyObject *key = PyDict_GET_SIZE(pairs) > 0 ? make_key(code) : NULL;
    PyObject *list = key ? PyDict_GetItemWithError(pairs, key) : NULL;
    PyObject *found = NULL;
    Py_ssize_t n = list ? PyList_GET_SIZE(list) : 0;
    for (Py_ssize_t i = 0; found == NULL && i < n; i++) {
        PyObject *pair = PyList_GET_ITEM(list, i);
        PyObject *old = PyTuple_GET_ITEM(pair, 0);
        PyObject *new = PyTuple_GET_ITEM(pair, 1);
        if (hr_code_is_same(code, new) == 1) {
            found = Py_NewRef(new);
        }
        else if (n == 1 && !PyErr_Occurred()) {
            found = take_lines(code, old, new);
        }
    }
    Py_XDECREF(key);
    return found;
}
