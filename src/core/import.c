/* `from m import x`, read by its words.
 *
 * Which names a statement copies from which module is told without compiling
 * it: for statements that run (importing.c, statement.c), and for those that
 * have run long ago (copy.c).
 */
#include "code.h"

struct reader {
    const char *at, *end;
    PyObject *module; /* owned: absolute name */
};

static void
skip_space(struct reader *m)
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
get_word(struct reader *m, const char **word)
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

static int
begin_text(struct reader *m, PyObject *dict, const char *text,
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

static int
next_name(struct reader *m, PyObject **name, PyObject **as)
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

static int
add_copy(PyObject *list, PyObject *module, PyObject *name, PyObject *as)
{
    PyObject *t = PyTuple_Pack(3, module, name, as);
    int status = t == NULL ? -1 : PyList_Append(list, t);
    Py_XDECREF(t);
    return status;
}

/* One statement that is a block by itself: nothing has to be parsed. */
static int
read_plain(struct hr_unit *u, const char *text, const struct hr_block *b,
           PyObject *list)
{
    struct reader m = {0};
    PyObject *name, *as, *star = NULL;
    int status = begin_text(&m, u->dict, text, b), kind;
    if (status <= 0) {
        return status;
    }
    status = 0;
    while (status == 0 && (kind = next_name(&m, &name, &as)) != 0) {
        if (kind < 0) {
            status = -1;
        }
        else if (kind == 2) {
            star = PyUnicode_InternFromString("*");
            status = star ? add_copy(list, m.module, star, star) : -1;
            Py_XDECREF(star);
            break;
        }
        else {
            status = add_copy(list, m.module, name, as);
            Py_DECREF(name);
            Py_DECREF(as);
        }
    }
    Py_DECREF(m.module);
    return status;
}

struct search {
    PyObject *dict; /* of the module */
    PyObject *list;
};

static int
read_statement(struct search *w, PyObject *node)
{
    PyObject *tail = hr_syntax_get(node, "module");
    PyObject *level = hr_syntax_get(node, "level");
    PyObject *names = hr_syntax_get(node, "names");
    long dots = PyLong_Check(level) ? PyLong_AsLong(level) : 0;
    char word[1024];
    const char *utf8 = tail == Py_None ? "" : PyUnicode_AsUTF8(tail);
    if (utf8 == NULL || dots > 100 || strlen(utf8) > 900) {
        return utf8 == NULL ? -1 : 0;
    }
    memset(word, '.', (size_t)dots);
    strcpy(word + dots, utf8);
    PyObject *module = resolve(w->dict, word, strlen(word));
    int status = module == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *alias = PyList_GET_ITEM(names, i);
        PyObject *name = hr_syntax_get(alias, "name");
        PyObject *as = hr_syntax_get(alias, "asname");
        status = add_copy(w->list, module, name, as == Py_None ? name : as);
    }
    Py_XDECREF(module);
    return status;
}

/* Statements that have run with the block: not those in functions; a class has
 * names of its own. */
static int
read_statements(struct search *w, PyObject *list)
{
    static const char *const parts[] = {"body", "handlers", "orelse",
                                        "finalbody", "cases"};
    int status = 0;
    for (Py_ssize_t i = 0;
         status == 0 && PyList_Check(list) && i < PyList_GET_SIZE(list); i++) {
        PyObject *node = PyList_GET_ITEM(list, i);
        if (hr_syntax_is(node, "ImportFrom")) {
            status = read_statement(w, node);
        }
        for (int k = 0;
             status == 0 && k < 5 && !hr_syntax_is(node, "FunctionDef") &&
             !hr_syntax_is(node, "AsyncFunctionDef") &&
             !hr_syntax_is(node, "ClassDef");
             k++) {
            status = read_statements(w, hr_syntax_get(node, parts[k]));
        }
    }
    return status;
}

PyObject *
hr_import_read(struct hr_unit *u, const char *text, const struct hr_block *b)
{
    struct search w = {.dict = u->dict, .list = PyList_New(0)};
    size_t size = b->end - b->start;
    int status = w.list == NULL ? -1 : 0;
    if (status == 0 && b->kind == HR_BLOCK_IMPORT &&
        memchr(text + b->start, ';', size) == NULL) {
        status = read_plain(u, text, b, w.list);
    }
    else if (status == 0) {
        PyObject *tree = hr_syntax_parse(u, text + b->start, size, "");
        status = tree == NULL ? -1 : read_statements(&w, tree);
        Py_XDECREF(tree);
    }
    if (status < 0) {
        Py_CLEAR(w.list);
    }
    return w.list;
}

/* `import a.b as c, d` */
static int
add_modules(const char *text, const struct hr_block *b, PyObject *sources)
{
    struct reader m = {.at = text + b->start, .end = text + b->end};
    PyObject *name = NULL, *as = NULL;
    const char *word;
    int kind = 0, status = 0;
    size_t n = get_word(&m, &word);
    if (!is_word(word, n, "import")) {
        return 0;
    }
    while (status == 0 && (kind = next_name(&m, &name, &as)) == 1) {
        Py_ssize_t dot =
            PyUnicode_FindChar(name, '.', 0, PyUnicode_GET_LENGTH(name), 1);
        if (name == as && dot >= 0) {
            Py_SETREF(as, PyUnicode_Substring(name, 0, dot)); /* binds `a` */
            Py_XINCREF(as);
            Py_SETREF(name, as);
        }
        PyObject *source = as ? PyTuple_Pack(2, name, Py_None) : NULL;
        status = source == NULL ? -1 : PyDict_SetItem(sources, as, source);
        Py_XDECREF(source);
        Py_CLEAR(name);
        Py_CLEAR(as);
    }
    return kind < 0 ? -1 : status;
}

int
hr_import_add_sources(PyObject *dict, const char *text,
                      const struct hr_block *b, PyObject *sources)
{
    struct reader m = {0};
    PyObject *name = NULL, *as = NULL;
    int kind = 0, status = begin_text(&m, dict, text, b);
    if (status <= 0) {
        return status < 0 ? -1 : add_modules(text, b, sources);
    }
    status = 0;
    while (status == 0 && (kind = next_name(&m, &name, &as)) == 1) {
        PyObject *source = PyTuple_Pack(2, m.module, name);
        status = source == NULL ? -1 : PyDict_SetItem(sources, as, source);
        Py_XDECREF(source);
        Py_CLEAR(name);
        Py_CLEAR(as);
    }
    Py_DECREF(m.module);
    return kind < 0 ? -1 : status;
}

int
hr_import_is_public(PyObject *all, PyObject *name)
{
    if (all != NULL) {
        int has = PySequence_Contains(all, name);
        PyErr_Clear();
        return has > 0;
    }
    return PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 0 &&
           PyUnicode_ReadChar(name, 0) != '_';
}

int
hr_import_add_star_names(struct hr_unit *u, const char *text,
                         const struct hr_block *b, PyObject *names)
{
    if (memchr(text + b->start, '*', b->end - b->start) == NULL) {
        return 0;
    }
    PyObject *list = hr_import_read(u, text, b);
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *t = PyList_GET_ITEM(list, i), *key, *value;
        PyObject *module = PyDict_GetItemWithError(PyImport_GetModuleDict(),
                                                   PyTuple_GET_ITEM(t, 0));
        Py_ssize_t pos = 0;
        if (module == NULL || !PyModule_Check(module) ||
            PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(t, 1), "*") !=
                0) {
            continue;
        }
        PyObject *dict = PyModule_GetDict(module);
        PyObject *all = PyDict_GetItemString(dict, "__all__");
        Py_XINCREF(all);
        while (status == 0 && PyDict_Next(dict, &pos, &key, &value)) {
            if (PyDict_GetItemWithError(u->dict, key) == value &&
                hr_import_is_public(all, key)) {
                status = PyList_Append(names, key);
            }
        }
        Py_XDECREF(all);
    }
    Py_XDECREF(list);
    return status;
}

int
hr_import_is_submodule(struct hr_unit *u, PyObject *name)
{
    PyObject *value = PyDict_GetItemWithError(u->dict, name);
    if (value == NULL || !PyModule_Check(value)) {
        return 0;
    }
    PyObject *full = PyUnicode_FromFormat("%U.%U", u->name, name);
    PyObject *module =
        full ? PyDict_GetItemWithError(PyImport_GetModuleDict(), full) : NULL;
    Py_XDECREF(full);
    PyErr_Clear();
    return module == value;
}

int
hr_import_is_bound_later(const char *text, const struct hr_blocks *blocks,
                         const struct hr_block *import, PyObject *name)
{
    int is = 0;
    for (size_t i = 0; is == 0 && i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        is = b->start >= import->end && b->name_len > 0
                 ? hr_name_is(text, b, name)
                 : 0;
    }
    return is;
}
