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

/* A comprehension of values, which before 3.12 is code of its own. */
static int
is_pure_nested(PyObject *code, PyObject *dict)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    const char *name = PyUnicode_AsUTF8(((PyCodeObject *)code)->co_name);
    if (name == NULL || name[0] != '<' || strcmp(name, "<lambda>") == 0 ||
        strcmp(name, "<genexpr>") == 0) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *n = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, n);
        if (value != NULL ? !is_value(value)
                          : !is_listed(n, pure_functions) &&
                                !is_listed(n, pure_methods)) {
            return 0;
        }
    }
    return 1;
}

static int
is_module(PyObject *o, PyObject *dict)
{
    return dict != NULL && PyModule_Check(o) && PyModule_GetDict(o) == dict;
}

/* May the assignment be computed again without anybody noticing?  `module`,
 * when not NULL, may be used, too: a module's dict. */
static int
is_pure(PyObject *code, PyObject *dict, PyObject *target, PyObject *module)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (PyCode_Check(o) && !is_pure_nested(o, dict)) {
            return 0;
        }
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, name);
        if (PyUnicode_Compare(name, target) == 0 ||
            (value != NULL ? is_value(value) || is_module(value, module)
             : module != NULL && PyDict_GetItemWithError(module, name) != NULL
                 ? is_value(PyDict_GetItemWithError(module, name))
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

/* In a copy of a module's dict: its names for the item's module lead to one
 * that has the planned values. */
static int
replace_module(struct work *w, struct item it, PyObject *copy)
{
    PyObject *key, *value, *proxy = NULL;
    Py_ssize_t pos = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(copy, &pos, &key, &value)) {
        if (!is_module(value, it.dict)) {
            continue;
        }
        if (proxy == NULL) {
            proxy = PyModule_NewObject(it.module);
            if (proxy == NULL ||
                PyDict_Update(PyModule_GetDict(proxy), it.dict) < 0 ||
                hr_journal_update_dict(w->p->j, it.dict,
                                       PyModule_GetDict(proxy)) < 0) {
                status = -1;
                break;
            }
        }
        status = PyDict_SetItem(copy, key, proxy);
    }
    Py_XDECREF(proxy);
    return status;
}

/* An assignment of a module: is it made from the item, which is a name of the
 * same module, or an attribute of another? */
static int
follow_assignment(struct work *w, struct item it, struct hr_unit *u,
                  const char *text, const struct hr_block *b)
{
    PyObject *dict = u->dict;
    PyObject *module = dict == it.dict ? NULL : it.dict;
    PyObject *target = PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
    PyObject *code = NULL, *was = NULL, *is = NULL;
    int status = -1;
    if (target == NULL) {
        return -1;
    }
    PyUnicode_InternInPlace(&target);
    PyObject *current = PyDict_GetItemWithError(dict, target);
    code = hr_code_compile(u, text + b->start, b->end - b->start, (int)b->line,
                           NULL, 0);
    if (code == NULL) {
        goto done;
    }
    status = 0;
    if (current == NULL || !is_value(current) ||
        !is_pure(code, dict, target, module) ||
        PySequence_Contains(((PyCodeObject *)code)->co_names, it.name) != 1) {
        goto done;
    }
    was = PyDict_Copy(dict);
    is = PyDict_Copy(dict);
    status = -1;
    if (was == NULL || is == NULL ||
        hr_journal_update_dict(w->p->j, dict, is) < 0 ||
        (module != NULL && replace_module(w, it, is) < 0)) {
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
        status = set_copy(w, u->name, dict, target, current, new);
    }
done:
    Py_XDECREF(was);
    Py_XDECREF(is);
    Py_XDECREF(code);
    Py_DECREF(target);
    return status;
}

/* -- Defaults and members ------------------------------------------------- */

/* Is the name a word of this text? */
static int
has_word(const char *text, size_t size, PyObject *name)
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

/* The defaults that a definition gives in a namespace.  New reference. */
static PyObject *
eval_defaults(PyObject *code, PyObject *globals, PyObject *ns, PyObject *name,
              const char *which)
{
    PyObject *local = PyDict_Copy(ns);
    PyObject *done = local ? PyEval_EvalCode(code, globals, local) : NULL;
    PyObject *f = done ? PyDict_GetItemWithError(local, name) : NULL;
    PyObject *result = f != NULL && PyFunction_Check(f)
                           ? PyObject_GetAttrString(f, which)
                           : NULL;
    Py_XDECREF(done);
    Py_XDECREF(local);
    return result;
}

/* Defaults of an unchanged definition that compute from `changed`.  In a class
 * `s` is its scope, with the planned names in s->ns. */
static int
follow_defaults(struct hr_plan *p, struct hr_unit *u, struct hr_scope *s,
                PyObject *changed, const char *text, const struct hr_block *b)
{
    static const char *const fields[] = {"__defaults__", "__kwdefaults__"};
    if (b->decorated ||
        !has_word(text + b->start, b->head_end - b->start, changed)) {
        return 0;
    }
    PyObject *live_ns = s != NULL ? s->live : u->dict;
    PyObject *name = PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
    PyObject *f = name ? PyDict_GetItemWithError(live_ns, name) : NULL;
    PyObject *code = NULL, *is = NULL;
    int status = name == NULL ? -1 : 0;
    if (f == NULL || !PyFunction_Check(f) ||
        hr_journal_has(p->j, HR_PLACE_FUNCTION, f)) {
        goto done;
    }
    code = hr_code_compile(u, text + b->start, b->end - b->start, (int)b->line,
                           s ? s->classes : NULL, s ? s->depth : 0);
    is = code ? PyDict_Copy(s != NULL ? s->ns : u->dict) : NULL;
    status = -1;
    if (is == NULL ||
        (s == NULL && hr_journal_update_dict(p->j, u->dict, is) < 0)) {
        goto done;
    }
    PyObject *holder = NULL;
    status = 0;
    for (int i = 0; status == 0 && i < 2; i++) {
        PyObject *live = PyObject_GetAttrString(f, fields[i]);
        PyObject *old = eval_defaults(code, u->dict, live_ns, name, fields[i]);
        PyObject *new =
            eval_defaults(code, s == NULL ? is : u->dict, is, name, fields[i]);
        if (live == NULL || old == NULL || new == NULL) {
            PyErr_Clear(); /* then they are not derived */
        }
        else if (PyObject_RichCompareBool(live, old, Py_EQ) == 1 &&
                 PyObject_RichCompareBool(old, new, Py_EQ) == 0) {
            if (holder == NULL) {
                holder = hr_function_clone(hr_plan_body(p, f), NULL, NULL);
                if (holder != NULL) {
                    hr_function_share_dict(holder, hr_plan_body(p, f));
                }
            }
            status = holder == NULL
                         ? -1
                         : PyObject_SetAttrString(holder, fields[i], new);
        }
        PyErr_Clear();
        Py_XDECREF(live);
        Py_XDECREF(old);
        Py_XDECREF(new);
    }
    if (status == 0 && holder != NULL) {
        /* Setting defaults took its version: as a fresh one has it. */
        hr_function_set_code(holder, ((PyFunctionObject *)holder)->func_code);
        status = hr_plan_function(p, p->j, f, holder);
    }
    Py_XDECREF(holder);
done:
    Py_XDECREF(is);
    Py_XDECREF(code);
    Py_XDECREF(name);
    return status;
}

/* One member that computes from `changed`: its new value goes to s->ns. */
static int
follow_member(struct hr_scope *s, PyObject *changed, const struct hr_block *b)
{
    const char *text = s->u->text;
    PyObject *name = hr_scope_name(s, text, b);
    PyObject *code = NULL, *was = NULL, *is = NULL, *globals = NULL;
    int status = name == NULL ? -1 : 0, found = 0;
    if (status < 0 || !has_word(text + b->start, b->end - b->start, changed) ||
        PyUnicode_Compare(name, changed) == 0) {
        goto done;
    }
    PyObject *live = PyDict_GetItemWithError(s->live, name);
    status = -1;
    code = hr_code_compile(s->u, text + b->start, b->end - b->start,
                           (int)b->line, s->classes, s->depth);
    was = code ? PyDict_Copy(s->live) : NULL;
    is = was ? PyDict_Copy(s->ns) : NULL;
    globals = is ? PyDict_Copy(s->u->dict) : NULL;
    if (globals == NULL || PyDict_Update(globals, s->live) < 0) {
        goto done;
    }
    status = 0;
    if (live == NULL || !is_value(live)) {
        goto done;
    }
    /* Every class body sets these two. */
    if (PyDict_SetItemString(globals, "__name__", s->u->name) < 0 ||
        PyDict_SetItemString(globals, "__module__", s->u->name) < 0 ||
        PyDict_SetItemString(globals, "__qualname__", s->prefix) < 0 ||
        !is_pure(code, globals, name, NULL)) {
        goto done;
    }
    PyObject *now = s->u->evaluates ? s->u->shadow : s->u->dict;
    PyObject *a = PyEval_EvalCode(code, s->u->dict, was);
    PyObject *c = a ? PyEval_EvalCode(code, now, is) : NULL;
    if (c == NULL) {
        PyErr_Clear();
    }
    else {
        PyObject *old = PyDict_GetItemWithError(was, name);
        PyObject *new = PyDict_GetItemWithError(is, name);
        if (old != NULL && new != NULL && still_holds(live, old) &&
            !still_holds(live, new)) {
            status = PyDict_SetItem(s->ns, name, new);
            found = 1;
        }
    }
    Py_XDECREF(a);
    Py_XDECREF(c);
done:
    Py_XDECREF(globals);
    Py_XDECREF(is);
    Py_XDECREF(was);
    Py_XDECREF(code);
    Py_XDECREF(name);
    return status < 0 ? -1 : found;
}

/* All that computes from one name, of the class or of its module; members that
 * get another value so are appended to `work`. */
static int
follow_in_class(struct hr_scope *s, PyObject *changed, PyObject *work)
{
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        int status = 0;
        if (hr_scope_is_changed(s, i)) {
            continue;
        }
        if (b->kind == HR_BLOCK_DEF) {
            status =
                follow_defaults(s->u->plan, s->u, s, changed, s->u->text, b);
        }
        else if (b->kind == HR_BLOCK_ASSIGN) {
            status = follow_member(s, changed, b);
        }
        if (status == 1) {
            PyObject *name = hr_scope_name(s, s->u->text, b);
            status = name == NULL ? -1 : PyList_Append(work, name);
            Py_XDECREF(name);
        }
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_derive_members(struct hr_scope *s)
{
    PyObject *work = PyList_New(0), *name, *value;
    Py_ssize_t pos = 0;
    int status = work == NULL ? -1 : 0;
    while (status == 0 && PyDict_Next(s->ns, &pos, &name, &value)) {
        PyObject *old = PyDict_GetItemWithError(s->before, name);
        if (old != value && is_value(value) && PyUnicode_Check(name) &&
            PyUnicode_ReadChar(name, 0) != '_') {
            status = PyList_Append(work, name);
        }
    }
    for (Py_ssize_t i = 0;
         status == 0 && i < PyList_GET_SIZE(work) && i < 1000; i++) {
        PyObject *changed = Py_NewRef(PyList_GET_ITEM(work, i));
        status = follow_in_class(s, changed, work);
        Py_DECREF(changed);
    }
    Py_XDECREF(work);
    return status;
}

/* The size of the text that the unit's blocks are of. */
static size_t
planned_size(struct hr_unit *u)
{
    return u->text != NULL ? u->size : u->source->size;
}

/* A class whose members compute from a name of the module. */
static int
follow_class(struct work *w, struct item it, struct hr_unit *u,
             const char *text, const struct hr_block *b)
{
    struct hr_blocks members = {0};
    struct hr_lex_error error;
    struct hr_plan *p = w->p;
    struct hr_unit v = *u;
    struct hr_scope s = {.u = &v, .old_text = text, .depth = 1};
    PyObject *plain = PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
    PyObject *type = plain ? PyDict_GetItemWithError(u->dict, plain) : NULL;
    PyObject *work = PyList_New(0);
    int status = plain == NULL || work == NULL ? -1 : 0;
    v.text = text;
    v.evaluates = 1;
    v.shadow = PyDict_Copy(u->dict); /* as the names will be */
    if (v.shadow == NULL ||
        hr_journal_update_dict(p->j, u->dict, v.shadow) < 0) {
        status = -1;
    }
    if (status < 0 || type == NULL || !hr_class_is_open(type) ||
        Py_TYPE(type) != &PyType_Type || b->decorated ||
        hr_lex_members(text, planned_size(u), b, &members, &error) !=
            HR_LEX_OK) {
        goto done;
    }
    s.type = type;
    s.live = hr_compat_type_dict((PyTypeObject *)type);
    s.prefix = ((PyHeapTypeObject *)type)->ht_qualname;
    s.classes[0] = plain;
    s.old = s.new = &members;
    status = -1;
    if (hr_diff_blocks(text, &members, text, &members, &s.diff) < 0) {
        goto done;
    }
    s.ns = PyDict_Copy(s.live);
    s.before = s.ns ? PyDict_Copy(s.ns) : NULL;
    if (s.before == NULL || PyList_Append(work, it.name) < 0) {
        goto done;
    }
    status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(work); i++) {
        PyObject *changed = Py_NewRef(PyList_GET_ITEM(work, i));
        status = follow_in_class(&s, changed, work);
        Py_DECREF(changed);
    }
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    while (status == 0 && PyDict_Next(s.ns, &pos, &name, &value)) {
        PyObject *planned = NULL;
        hr_journal_peek(p->j, HR_PLACE_TYPE, type, name, &planned);
        if (value != PyDict_GetItemWithError(s.before, name) &&
            planned == NULL) {
            status = hr_journal_add(p->j, HR_PLACE_TYPE, type, name, value);
        }
    }
done:
    hr_diff_clear(&s.diff);
    hr_blocks_clear(&members);
    Py_XDECREF(s.ns);
    Py_XDECREF(s.before);
    Py_XDECREF(v.shadow);
    Py_XDECREF(work);
    Py_XDECREF(plain);
    return status;
}

/* -- Chains --------------------------------------------------------------- */

/* The name that a statement adds to: `X += 1`. */
static size_t
get_augmented(const char *text, const struct hr_block *b, const char **name)
{
    const char *at = text + b->start, *end = text + b->end;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    *name = at;
    while (at < end && (Py_ISALNUM(*at) || *at == '_' || (*at & 0x80))) {
        at++;
    }
    size_t n = (size_t)(at - *name);
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    const char *operator= at;
    while (at < end && strchr("+-*/%&|^<>@", *at) != NULL) {
        at++;
    }
    return at > operator&& at<end && * at == '=' && at[1] != '=' ? n : 0;
}

/* The name that a block is about, when it assigns or adds. */
static size_t
get_chain_name(const char *text, const struct hr_block *b, const char **name)
{
    if (b->kind == HR_BLOCK_ASSIGN) {
        *name = text + b->name;
        return b->name_len;
    }
    return b->kind == HR_BLOCK_OTHER ? get_augmented(text, b, name) : 0;
}

int
hr_derive_is_chained(struct hr_scope *s, size_t i)
{
    const char *name, *other;
    size_t n = get_chain_name(s->u->text, &s->new->items[i], &name);
    int changed = 0, adds = 0;
    if (n == 0) {
        return 0;
    }
    for (size_t k = 0; k < s->new->count; k++) {
        const struct hr_block *b = &s->new->items[k];
        if (get_chain_name(s->u->text, b, &other) != n ||
            memcmp(name, other, n) != 0) {
            continue;
        }
        changed |= hr_scope_is_changed(s, k);
        adds |= b->kind == HR_BLOCK_OTHER;
    }
    for (size_t k = 0; k < s->old->count; k++) {
        const struct hr_block *b = &s->old->items[k];
        if (!s->diff.used[k] && b->kind == HR_BLOCK_OTHER &&
            get_chain_name(s->old_text, b, &other) == n &&
            memcmp(name, other, n) == 0) {
            changed = adds = 1;
        }
    }
    if (!changed || !adds) {
        return 0;
    }
    /* Only what can be computed again. */
    const struct hr_block *b = &s->new->items[i];
    PyObject *code =
        hr_code_compile(s->u, s->u->text + b->start, b->end - b->start,
                        (int)b->line, s->classes, s->depth);
    PyObject *target = PyUnicode_DecodeUTF8(name, (Py_ssize_t)n, NULL);
    int pure = code == NULL || target == NULL
                   ? -1
                   : is_pure(code, s->u->dict, target, NULL);
    Py_XDECREF(target);
    Py_XDECREF(code);
    return pure;
}

/* Does the statement but define and assign? */
static int
only_defines(PyObject *code, PyObject *dict)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *stored = hr_code_stored_names(code);
    int pure = stored == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; pure == 1 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = PyDict_GetItemWithError(dict, name);
        if (PySequence_Contains(stored, name) == 1) {
            continue;
        }
        pure = value != NULL ? is_value(value)
                             : is_listed(name, pure_functions) ||
                                   is_listed(name, pure_methods);
    }
    Py_XDECREF(stored);
    return pure;
}

int
hr_derive_is_conditional(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    const char *text = s->u->text;
    int reads = 0;
    if (strncmp(text + b->start, "if", 2) != 0) {
        return 0;
    }
    for (size_t k = 0; k < i && !reads; k++) {
        const struct hr_block *a = &s->new->items[k];
        if (a->kind == HR_BLOCK_ASSIGN && hr_scope_is_changed(s, k)) {
            PyObject *name =
                PyUnicode_DecodeUTF8(text + a->name, a->name_len, NULL);
            if (name == NULL) {
                return -1;
            }
            reads = has_word(text + b->start, b->head_end - b->start, name);
            Py_DECREF(name);
        }
    }
    if (!reads) {
        return 0;
    }
    PyObject *code = hr_code_compile(s->u, text + b->start, b->end - b->start,
                                     (int)b->line, s->classes, s->depth);
    int pure = code == NULL ? -1 : only_defines(code, s->u->dict);
    Py_XDECREF(code);
    return pure;
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
        else if (it.new != NULL && memmem(text + b->start, b->end - b->start,
                                          name, (size_t)n) != NULL) {
            if (b->kind == HR_BLOCK_ASSIGN) {
                status = follow_assignment(w, it, u, text, b);
            }
            else if (same && b->kind == HR_BLOCK_DEF) {
                status = follow_defaults(w->p, u, NULL, it.name, text, b);
            }
            else if (same && b->kind == HR_BLOCK_CLASS) {
                status = follow_class(w, it, u, text, b);
            }
        }
    }
    return status;
}

static int
follow_item(struct work *w, struct item it)
{
    struct hr_plan *p = w->p;
    for (struct hr_source *s = p->st->sources; s != NULL; s = s->next) {
        PyObject *modules = hr_source_modules(s);
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

/* Another __all__: names that stars now import, or no longer. */
static int
follow_all(struct work *w, struct hr_unit *u)
{
    PyObject *pair = PyDict_GetItemString(u->changed, "__all__");
    if (pair == NULL) {
        return 0;
    }
    int status = 0;
    for (int side = 0; status == 0 && side < 2; side++) {
        PyObject *names = PyTuple_GET_ITEM(pair, side);
        PyObject *others = PyTuple_GET_ITEM(pair, 1 - side);
        PyObject *list = names == Py_Ellipsis ? NULL : PySequence_List(names);
        for (Py_ssize_t i = 0;
             status == 0 && list != NULL && i < PyList_GET_SIZE(list); i++) {
            PyObject *name = PyList_GET_ITEM(list, i);
            PyObject *value = PyDict_GetItemWithError(
                u->evaluates ? u->shadow : u->dict, name);
            int both =
                others == Py_Ellipsis ? 0 : PySequence_Contains(others, name);
            if (both != 0 || value == NULL ||
                PyDict_GetItemWithError(u->changed, name) != NULL) {
                continue;
            }
            status = side == 0
                         ? push(w, u->name, u->before, name, value, NULL)
                         : push(w, u->name, u->shadow, name, NULL, value);
        }
        Py_XDECREF(list);
    }
    PyErr_Clear();
    return status;
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
    for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
        status = follow_all(&w, &p->units[i]);
    }
    if (status == 0 && w.count > 0) {
        status = hr_source_look(p->st);
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
