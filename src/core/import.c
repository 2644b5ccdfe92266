/* `from m import x`: read by its words, and run so that it sees the batch.
 *
 * Which names a statement copies from which module is told without compiling
 * it.  An import from a module of the same batch takes what that module will
 * hold, not what it holds; all other imports run as any statement.  Called by
 * scope.c for statements that run, and by derive.c for those that have run
 * long ago.
 */
#include "code.h"

/* -- Reading the statement ------------------------------------------------ */

static void
skip_space(struct hr_import *m)
{
    while (m->at < m->end) {
        if (*m->at == '#') {
            while (m->at < m->end && *m->at != '\n') {
                m->at++;
            }
        }
        else if (strchr(" \t\f\r\n\\(),", *m->at) != NULL) {
            m->at++;
        }
        else {
            break;
        }
    }
}

/* The next word: an identifier with dots, or one of "*". */
static size_t
get_word(struct hr_import *m, const char **word)
{
    skip_space(m);
    *word = m->at;
    while (m->at < m->end && strchr(" \t\f\r\n\\(),#;", *m->at) == NULL) {
        m->at++;
    }
    return (size_t)(m->at - *word);
}

static int
is_word(const char *word, size_t n, const char *expected)
{
    return n == strlen(expected) && memcmp(word, expected, n) == 0;
}

/* `.x.y` in a module of package p. */
static PyObject *
resolve(PyObject *dict, const char *word, size_t n)
{
    size_t dots = 0;
    while (dots < n && word[dots] == '.') {
        dots++;
    }
    PyObject *tail = hr_name_decode(word + dots, n - dots);
    if (dots == 0 || tail == NULL) {
        return tail;
    }
    PyObject *package = PyDict_GetItemString(dict, "__package__");
    if (package == NULL || !PyUnicode_Check(package)) {
        return tail;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(package);
    while (--dots > 0) {
        Py_ssize_t dot = PyUnicode_FindChar(package, '.', 0, length, -1);
        length = dot < 0 ? 0 : dot;
    }
    PyObject *head = PyUnicode_Substring(package, 0, length);
    PyObject *result = head == NULL ? NULL
                       : PyUnicode_GET_LENGTH(tail) == 0
                           ? Py_NewRef(head)
                           : PyUnicode_FromFormat("%U.%U", head, tail);
    Py_XDECREF(head);
    Py_DECREF(tail);
    return result;
}

int
hr_import_begin(struct hr_import *m, PyObject *dict, const char *text,
                const struct hr_block *b)
{
    const char *word;
    m->at = text + b->start;
    m->end = text + b->end;
    size_t n = get_word(m, &word);
    if (!is_word(word, n, "from")) {
        return 0;
    }
    const char *name;
    size_t size = get_word(m, &name);
    /* `from . import x` */
    n = get_word(m, &word);
    while (n > 0 && !is_word(word, n, "import") && name[size - 1] == '.') {
        size = (size_t)(m->at - name);
        n = get_word(m, &word);
    }
    if (!is_word(word, n, "import")) {
        return 0;
    }
    m->module = resolve(dict, name, size);
    return m->module == NULL ? -1 : 1;
}

int
hr_import_next(struct hr_import *m, PyObject **name, PyObject **as)
{
    const char *word;
    size_t n = get_word(m, &word);
    if (n == 0 || *word == ';') {
        return 0;
    }
    if (is_word(word, n, "*")) {
        return 2;
    }
    *name = hr_name_decode(word, n);
    const char *back = m->at;
    n = get_word(m, &word);
    if (is_word(word, n, "as")) {
        n = get_word(m, &word);
        *as = hr_name_decode(word, n);
    }
    else {
        m->at = back;
        *as = Py_XNewRef(*name);
    }
    if (*name == NULL || *as == NULL) {
        Py_CLEAR(*name);
        Py_CLEAR(*as);
        return -1;
    }
    PyUnicode_InternInPlace(name);
    PyUnicode_InternInPlace(as);
    return 1;
}

int
hr_import_is_public(PyObject *dict, PyObject *name)
{
    PyObject *all = PyDict_GetItemString(dict, "__all__");
    if (all != NULL) {
        int has = PySequence_Contains(all, name);
        PyErr_Clear();
        return has > 0;
    }
    return PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 0 &&
           PyUnicode_ReadChar(name, 0) != '_';
}

/* -- Imports that run in a batch ------------------------------------------ */

/* What a name of another module of the batch will hold.  Borrowed. */
static PyObject *
planned_value(struct hr_unit *u, PyObject *name)
{
    PyObject *value =
        u->shadow ? PyDict_GetItemWithError(u->shadow, name) : NULL;
    if (value == NULL && !u->evaluates) {
        value = PyDict_GetItemWithError(u->dict, name);
    }
    return value;
}

static int
import_star(struct hr_unit *u, struct hr_unit *from)
{
    PyObject *source = from->evaluates ? from->shadow : from->dict;
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(source, &pos, &key, &value)) {
        if (hr_import_is_public(source, key) &&
            PyDict_SetItem(u->shadow, key, value) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_import_run(struct hr_unit *u, const struct hr_block *b)
{
    struct hr_import m = {0};
    PyObject *name, *as;
    int status = hr_import_begin(&m, u->dict, u->text, b);
    if (status <= 0) {
        return status;
    }
    struct hr_unit *from = hr_unit_find(u->plan, m.module);
    PyObject *names = PyDict_New();
    status = names == NULL ? -1 : from != NULL && from != u;
    int kind;
    while (status == 1 && (kind = hr_import_next(&m, &name, &as)) != 0) {
        if (kind == 2) {
            status = import_star(u, from) < 0 ? -1 : 1;
            break;
        }
        PyObject *value = kind < 0 ? NULL : planned_value(from, name);
        if (value == NULL) {
            status = PyErr_Occurred() ? -1 : 0; /* a submodule, or nothing */
        }
        else if (PyDict_SetItem(names, as, value) < 0) {
            status = -1;
        }
        if (kind > 0) {
            Py_DECREF(name);
            Py_DECREF(as);
        }
    }
    if (status == 1 && PyDict_Update(u->shadow, names) < 0) {
        status = -1;
    }
    Py_XDECREF(names);
    Py_XDECREF(m.module);
    return status;
}
