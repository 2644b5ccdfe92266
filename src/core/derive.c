/* Copies of a name in other modules, and constants made from it.
 *
 * `from m import X` and `from m import *` copy; `Y = X + 1` derives.  When a
 * name gets another value, copies that still hold the old one follow, and so
 * do assignments that compute from it without side effects (operators,
 * displays, and a few functions that are known to have none), where the
 * variable still holds what the old value gives.
 */
#include "scope.h"

/* -- Import statements ---------------------------------------------------- */

struct import {
    const char *at, *end;
    PyObject *module; /* owned: absolute name */
};

static void
skip_space(struct import *m)
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
get_word(struct import *m, const char **word)
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
    PyObject *tail =
        PyUnicode_DecodeUTF8(word + dots, (Py_ssize_t)(n - dots), NULL);
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

/* Begin to read `from X import`: 1, or 0 when it is another statement. */
static int
begin_import(struct import *m, PyObject *dict, const char *text,
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

/* The next imported name: 1, 2 for a star, 0 at the end. */
static int
next_name(struct import *m, PyObject **name, PyObject **as)
{
    const char *word;
    size_t n = get_word(m, &word);
    if (n == 0 || *word == ';') {
        return 0;
    }
    if (is_word(word, n, "*")) {
        return 2;
    }
    *name = PyUnicode_DecodeUTF8(word, (Py_ssize_t)n, NULL);
    const char *back = m->at;
    n = get_word(m, &word);
    if (is_word(word, n, "as")) {
        n = get_word(m, &word);
        *as = PyUnicode_DecodeUTF8(word, (Py_ssize_t)n, NULL);
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

/* Is the name one that a star imports? */
static int
is_public(PyObject *dict, PyObject *name)
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

static struct hr_unit *
find_unit(struct hr_plan *p, PyObject *module)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (PyUnicode_Compare(p->units[i].name, module) == 0) {
            return &p->units[i];
        }
    }
    return NULL;
}

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
        if (is_public(source, key) &&
            PyDict_SetItem(u->shadow, key, value) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_derive_import(struct hr_unit *u, const struct hr_block *b)
{
    struct import m = {0};
    PyObject *name, *as;
    int status = begin_import(&m, u->dict, u->text, b);
    if (status <= 0) {
        return status;
    }
    struct hr_unit *from = find_unit(u->plan, m.module);
    PyObject *names = PyDict_New();
    status = names == NULL ? -1 : from != NULL && from != u;
    int kind;
    while (status == 1 && (kind = next_name(&m, &name, &as)) != 0) {
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

/* -- Pure expressions ----------------------------------------------------- */

static int
is_listed(PyObject *name, const char *const *list)
{
    for (int i = 0; list[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, list[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

static const char *const pure_functions[] = {
    "str",    "int",   "float", "bool",      "len",  "abs", "min", "max",
    "round",  "sum",   "tuple", "frozenset", "repr", "ord", "chr", "bytes",
    "sorted", "range", "list",  "dict",      "set",  NULL};
static const char *const pure_methods[] = {
    "upper", "lower", "strip",  "lstrip", "rstrip",  "title",      "format",
    "join",  "split", "encode", "decode", "replace", "capitalize", NULL};

static int
is_value(PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    return t == &PyUnicode_Type || t == &PyLong_Type || t == &PyFloat_Type ||
           t == &PyBool_Type || t == &PyBytes_Type || t == &PyTuple_Type ||
           t == &PyComplex_Type || t == &PyFrozenSet_Type || o == Py_None ||
           t == &PyList_Type || t == &PyDict_Type || t == &PySet_Type;
}

/* May the assignment be computed again without anybody noticing? */
static int
is_pure(PyObject *code, PyObject *dict, PyObject *target)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        if (PyCode_Check(PyTuple_GET_ITEM(consts, i))) {
            return 0; /* a lambda or, before 3.12, a comprehension */
        }
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, name);
        if (PyUnicode_Compare(name, target) == 0 ||
            (value != NULL ? is_value(value)
                           : is_listed(name, pure_functions) ||
                                 is_listed(name, pure_methods))) {
            continue;
        }
        return 0;
    }
    return 1;
}

/* -- Following a value ---------------------------------------------------- */

/* A name of a module got another value; what else must follow is found in
 * turn. */
struct item {
    PyObject *module, *dict; /* owned: its name, its dict */
    PyObject *name;          /* owned */
    PyObject *old, *new;     /* owned, or NULL */
};

struct work {
    struct hr_plan *p;
    struct item *items;
    size_t count, capacity;
};

static int
push(struct work *w, PyObject *module, PyObject *dict, PyObject *name,
     PyObject *old, PyObject *new)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 16;
        struct item *items = PyMem_Realloc(w->items, capacity * sizeof *items);
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        w->items = items;
        w->capacity = capacity;
    }
    w->items[w->count++] =
        (struct item){Py_NewRef(module), Py_NewRef(dict), Py_NewRef(name),
                      Py_XNewRef(old), Py_XNewRef(new)};
    return 0;
}

/* Does the variable still hold what it was given? */
static int
still_holds(PyObject *current, PyObject *old)
{
    if (current == old) {
        return 1;
    }
    if (current == NULL || old == NULL || Py_TYPE(current) != Py_TYPE(old) ||
        !is_value(old)) {
        return 0;
    }
    int same = PyObject_RichCompareBool(current, old, Py_EQ);
    PyErr_Clear();
    return same == 1;
}

static int
set_copy(struct work *w, PyObject *module, PyObject *dict, PyObject *name,
         PyObject *old, PyObject *new)
{
    struct hr_plan *p = w->p;
    PyObject *planned = NULL;
    hr_journal_peek(p->j, HR_PLACE_DICT, dict, name, &planned);
    if (planned != NULL) {
        return 0; /* the batch sets it itself */
    }
    if (hr_journal_add(p->j, HR_PLACE_DICT, dict, name, new) < 0) {
        return -1;
    }
    return push(w, module, dict, name, old, new);
}

/* One import statement of a module: does it copy the item? */
static int
follow_import(struct work *w, struct item it, PyObject *module, PyObject *dict,
              const char *text, const struct hr_block *b)
{
    struct import m = {0};
    PyObject *name = NULL, *as = NULL;
    int status = begin_import(&m, dict, text, b);
    if (status <= 0) {
        return status;
    }
    int kind;
    status = 0;
    if (PyUnicode_Compare(m.module, it.module) != 0) {
        goto done;
    }
    while (status == 0 && (kind = next_name(&m, &name, &as)) != 0) {
        if (kind < 0) {
            status = -1;
            break;
        }
        if (kind == 2) {
            PyObject *current = PyDict_GetItemWithError(dict, it.name);
            if (is_public(it.dict, it.name) &&
                (current == NULL ? it.old == NULL
                                 : still_holds(current, it.old))) {
                status = set_copy(w, module, dict, it.name, current, it.new);
            }
            break;
        }
        if (PyUnicode_Compare(name, it.name) == 0 && it.new != NULL) {
            PyObject *current = PyDict_GetItemWithError(dict, as);
            if (current != NULL && still_holds(current, it.old)) {
                status = set_copy(w, module, dict, as, current, it.new);
            }
        }
        Py_CLEAR(name);
        Py_CLEAR(as);
    }
done:
    Py_XDECREF(name);
    Py_XDECREF(as);
    Py_XDECREF(m.module);
    return status;
}

/* An assignment of the same module: is it made from the item? */
static int
follow_assignment(struct work *w, struct item it, struct hr_unit *u,
                  const char *text, const struct hr_block *b)
{
    PyObject *target = PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
    PyObject *code = NULL, *was = NULL, *is = NULL;
    int status = -1;
    if (target == NULL) {
        return -1;
    }
    PyUnicode_InternInPlace(&target);
    PyObject *current = PyDict_GetItemWithError(it.dict, target);
    code = hr_code_compile(u, text + b->start, b->end - b->start, (int)b->line,
                           NULL, 0);
    if (code == NULL) {
        goto done;
    }
    status = 0;
    if (current == NULL || !is_value(current) ||
        !is_pure(code, it.dict, target) ||
        PySequence_Contains(((PyCodeObject *)code)->co_names, it.name) != 1) {
        goto done;
    }
    was = PyDict_Copy(it.dict);
    is = PyDict_Copy(it.dict);
    status = -1;
    if (was == NULL || is == NULL ||
        hr_journal_update_dict(w->p->j, it.dict, is) < 0) {
        goto done;
    }
    PyObject *done = PyEval_EvalCode(code, was, was);
    if (done != NULL) {
        Py_DECREF(done);
        done = PyEval_EvalCode(code, is, is);
    }
    if (done == NULL) {
        PyErr_Clear(); /* then it is not derived */
        status = 0;
        goto done;
    }
    Py_DECREF(done);
    PyObject *old = PyDict_GetItemWithError(was, target);
    PyObject *new = PyDict_GetItemWithError(is, target);
    status = 0;
    if (old != NULL && new != NULL && still_holds(current, old) &&
        !still_holds(current, new)) {
        status = set_copy(w, it.module, it.dict, target, current, new);
    }
done:
    Py_XDECREF(was);
    Py_XDECREF(is);
    Py_XDECREF(code);
    Py_DECREF(target);
    return status;
}

/* All blocks of one module. */
static int
follow_in(struct work *w, struct item it, struct hr_unit *u, const char *text,
          const struct hr_blocks *blocks)
{
    Py_ssize_t n;
    const char *name = PyUnicode_AsUTF8AndSize(it.name, &n);
    int same = u->dict == it.dict, status = 0;
    if (name == NULL) {
        return -1;
    }
    for (size_t i = 0; status == 0 && i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        if (b->kind == HR_BLOCK_IMPORT && !same) {
            status = follow_import(w, it, u->name, u->dict, text, b);
        }
        else if (b->kind == HR_BLOCK_ASSIGN && same &&
                 it.new !=
                     NULL &&memmem(text + b->start, b->end - b->start, name,
                                   (size_t)n) != NULL) {
            status = follow_assignment(w, it, u, text, b);
        }
    }
    return status;
}

static int
follow_item(struct work *w, struct item it)
{
    struct hr_plan *p = w->p;
    for (struct hr_source *s = p->st->sources; s != NULL; s = s->next) {
        PyObject *modules = hr_source_modules(p->st, s->path);
        int status = modules == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules);
             i++) {
            PyObject *module = PyList_GET_ITEM(modules, i);
            struct hr_unit u = {.plan = p, .source = s};
            u.dict = PyModule_GetDict(module);
            u.name = PyDict_GetItemString(u.dict, "__name__");
            u.filename = PyUnicode_DecodeFSDefault(s->path);
            if (u.filename == NULL || u.name == NULL) {
                Py_XDECREF(u.filename);
                status = -1;
                break;
            }
            struct hr_unit *planned = find_unit(p, u.name);
            status =
                planned != NULL
                    ? follow_in(w, it, planned, planned->text, planned->blocks)
                    : follow_in(w, it, &u, s->text, &s->blocks);
            Py_DECREF(u.filename);
        }
        Py_XDECREF(modules);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_derive(struct hr_plan *p)
{
    struct work w = {.p = p};
    int status = 0;
    for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        PyObject *name, *pair;
        Py_ssize_t pos = 0;
        while (status == 0 && PyDict_Next(u->changed, &pos, &name, &pair)) {
            PyObject *old = PyTuple_GET_ITEM(pair, 0);
            PyObject *new = PyTuple_GET_ITEM(pair, 1);
            status = push(&w, u->name, u->dict, name,
                          old == Py_Ellipsis ? NULL : old,
                          new == Py_Ellipsis ? NULL : new);
        }
    }
    for (size_t i = 0; status == 0 && i < w.count && i < 10000; i++) {
        status = follow_item(&w, w.items[i]);
    }
    for (size_t i = 0; i < w.count; i++) {
        Py_DECREF(w.items[i].module);
        Py_DECREF(w.items[i].dict);
        Py_DECREF(w.items[i].name);
        Py_XDECREF(w.items[i].old);
        Py_XDECREF(w.items[i].new);
    }
    PyMem_Free(w.items);
    return status;
}
