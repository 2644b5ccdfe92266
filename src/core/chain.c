/* Objects that several statements build.
 *
 *     PORTS = {}                      # an empty one, or a display
 *     for name in NAMES:              # statements that add to it
 *         PORTS[name] = BASE + len(PORTS)
 *
 * To follow a change in any of them, all are run in order, on an object of
 * their own, in a copy of the names.  What the program has added meanwhile is
 * the program's: when the object that is there is not what the old statements
 * give, it is left alone.
 *
 * For rerun.c (one of the statements has changed) and derive.c (a name that
 * one reads has).
 */
#include "scope.h"

static int
is_container(PyObject *o)
{
    return o != NULL && (PyList_CheckExact(o) || PyDict_CheckExact(o) ||
                         Py_TYPE(o) == &PySet_Type);
}

/* -- Which statements ----------------------------------------------------- */

/* A statement about the object: `X.a = 1`, `X[1] = 2`, `X.add(3)`. */
static int
is_about(const char *at, const char *end, PyObject *name)
{
    Py_ssize_t n;
    const char *word = PyUnicode_AsUTF8AndSize(name, &n);
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return word != NULL && end - at > n && memcmp(at, word, (size_t)n) == 0 &&
           (at[n] == '.' || at[n] == '[');
}

int
hr_chain_is_about(const char *text, const struct hr_block *b, PyObject *name)
{
    const char *end = text + b->end;
    if (b->kind != HR_BLOCK_COMPOUND) {
        return is_about(text + b->start, end, name);
    }
    /* One of the lines in the loop or under the condition. */
    for (const char *at = text + b->head_end; at < end; at++) {
        if (is_about(at, end, name)) {
            return 1;
        }
        while (at < end && *at != '\n') {
            at++;
        }
    }
    return 0;
}

PyObject *
hr_chain_names(struct hr_scope *s, const char *text, const struct hr_block *b,
               PyObject *ns)
{
    PyObject *found = PyList_New(0);
    if (found == NULL ||
        (b->kind != HR_BLOCK_COMPOUND && b->kind != HR_BLOCK_OTHER)) {
        return found;
    }
    PyObject *code = hr_scope_compile(s, text, b);
    if (code == NULL) {
        /* It says so when it is run. */
        if (hr_evaluate_forgive(s->u->plan) < 0) {
            Py_CLEAR(found);
        }
        return found;
    }
    PyObject *names = ((PyCodeObject *)code)->co_names;
    for (Py_ssize_t i = 0; found != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (is_container(PyDict_GetItemWithError(ns, name)) &&
            hr_chain_is_about(text, b, name) &&
            PyList_Append(found, name) < 0) {
            Py_CLEAR(found);
        }
    }
    Py_DECREF(code);
    return found;
}

/* -- The chain of them ---------------------------------------------------- */

/* Does the statement make a new list, dict or set? */
static int
is_fresh(PyObject *statements)
{
    static const char *const kinds[] = {
        "List", "Dict", "Set", "ListComp", "DictComp", "SetComp", NULL};
    static const char *const types[] = {"list", "dict", "set", NULL};
    PyObject *value =
        PyList_GET_SIZE(statements) == 1
            ? hr_syntax_get(PyList_GET_ITEM(statements, 0), "value")
            : Py_None;
    PyObject *id = hr_syntax_get(hr_syntax_get(value, "func"), "id");
    for (int i = 0; kinds[i] != NULL; i++) {
        if (hr_syntax_is(value, kinds[i])) {
            return 1;
        }
    }
    return id != Py_None && hr_name_is_one_of(id, types);
}

static int
add_link(struct hr_scope *s, const char *text, const struct hr_block *b,
         struct hr_chain *c)
{
    PyObject *tree =
        hr_syntax_parse(s->u, text + b->start, b->end - b->start, "");
    PyObject *code = tree ? hr_scope_compile(s, text, b) : NULL;
    int status = code == NULL ? -1
                 : PyList_Append(c->trees, tree) < 0 ||
                         PyList_Append(c->codes, code) < 0 ||
                         PyList_SetSlice(c->all, PY_SSIZE_T_MAX,
                                         PY_SSIZE_T_MAX, tree) < 0
                     ? -1
                     : 0;
    Py_XDECREF(code);
    Py_XDECREF(tree);
    return status;
}

int
hr_chain_find(struct hr_scope *s, const char *text,
              const struct hr_blocks *blocks, PyObject *name,
              struct hr_chain *c)
{
    *c = (struct hr_chain){PyList_New(0), PyList_New(0), PyList_New(0), name};
    int status = c->trees && c->codes && c->all ? 0 : -1;
    if (status == 0 && !is_container(PyDict_GetItemWithError(s->live, name))) {
        return PyErr_Occurred() ? -1 : 0;
    }
    for (size_t i = 0; status == 0 && i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        int binds = hr_scope_binds(s, text, b, name);
        int has = PyList_GET_SIZE(c->trees) > 0;
        if (binds != 0) {
            /* Bound once, by an assignment before all others. */
            status = binds < 0                                ? -1
                     : has || b->kind != HR_BLOCK_ASSIGN      ? 1
                     : add_link(s, text, b, c) < 0            ? -1
                     : is_fresh(PyList_GET_ITEM(c->trees, 0)) ? 0
                                                              : 1;
        }
        else if (has &&
                 (b->kind == HR_BLOCK_COMPOUND || b->kind == HR_BLOCK_OTHER) &&
                 hr_chain_is_about(text, b, name)) {
            status = add_link(s, text, b, c);
        }
    }
    if (status < 0) {
        return hr_evaluate_forgive(s->u->plan);
    }
    return status == 0 && PyList_GET_SIZE(c->trees) > 1;
}

void
hr_chain_clear(struct hr_chain *c)
{
    Py_CLEAR(c->trees);
    Py_CLEAR(c->codes);
    Py_CLEAR(c->all);
}

PyObject *
hr_chain_run(struct hr_plan *p, struct hr_chain *c, struct hr_world *world,
             PyObject *targets)
{
    PyObject *ns = world->locals ? world->locals : world->globals;
    int flags = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(c->trees); i++) {
        world->fresh = c->name;
        int pure = hr_pure_are_statements(world, PyList_GET_ITEM(c->trees, i),
                                          flags, targets);
        world->fresh = NULL;
        PyObject *done = pure ? PyEval_EvalCode(PyList_GET_ITEM(c->codes, i),
                                                world->globals, ns)
                              : NULL;
        if (done == NULL) {
            (void)hr_evaluate_forgive(p);
            return NULL;
        }
        Py_DECREF(done);
        flags = HR_PURE_REPEATS | HR_PURE_SETS;
    }
    return Py_XNewRef(PyDict_GetItemWithError(ns, c->name));
}

/* The length of the target of an assignment that is all of the block, which is
 * at its beginning; 0 when it is something else, -1 with an exception. */
static long
measure_target(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    PyObject *tree =
        b->kind == HR_BLOCK_OTHER
            ? hr_syntax_parse(s->u, text + b->start, b->end - b->start, "")
            : NULL;
    PyObject *targets =
        tree != NULL && PyList_GET_SIZE(tree) == 1
            ? hr_syntax_get(PyList_GET_ITEM(tree, 0), "targets")
            : Py_None;
    long end = 0;
    if (targets != Py_None && PyList_GET_SIZE(targets) == 1) {
        PyObject *target = PyList_GET_ITEM(targets, 0);
        PyObject *column = hr_syntax_get(target, "end_col_offset");
        int line = PyObject_RichCompareBool(
            hr_syntax_get(target, "lineno"),
            hr_syntax_get(target, "end_lineno"), Py_EQ);
        end = line == 1 && PyLong_Check(column) ? PyLong_AsLong(column) : 0;
    }
    Py_XDECREF(tree);
    return PyErr_Occurred() ? hr_evaluate_forgive(s->u->plan) : end;
}

int
hr_chain_sets_again(struct hr_scope *s, const struct hr_block *old,
                    const struct hr_block *new)
{
    long a = measure_target(s, s->old_text, old);
    long b = a > 0 ? measure_target(s, s->u->text, new) : 0;
    return a < 0 || b < 0
               ? -1
               : a > 0 && a == b &&
                     memcmp(s->old_text + old->start, s->u->text + new->start,
                            (size_t)a) == 0;
}

/* -- What is there -------------------------------------------------------- */

int
hr_chain_is_own(struct hr_scope *s, PyObject *name)
{
    struct hr_chain c;
    struct hr_world then = {.lazy = 1};
    int status = hr_chain_find(s, s->old_text, s->old, name, &c);
    if (status > 0) {
        then.globals = hr_worlds_copy(s->type ? s->u->dict : s->before);
        then.locals = s->type ? hr_worlds_copy(s->before) : NULL;
        then.cls = s->type ? s->classes[s->depth - 1] : NULL;
        PyObject *was = then.globals && (then.locals || !s->type)
                            ? hr_chain_run(s->u->plan, &c, &then, NULL)
                            : NULL;
        PyObject *now = PyDict_GetItemWithError(s->before, name);
        status = PyErr_Occurred() ? -1
                 : was == NULL    ? 0
                                  : hr_value_still_is(now, was);
        Py_XDECREF(was);
        Py_XDECREF(then.locals);
        Py_XDECREF(then.globals);
    }
    hr_chain_clear(&c);
    return status;
}

int
hr_chain_follow(struct hr_derive *w, struct hr_scope *s, const char *text,
                PyObject *name)
{
    struct hr_chain c;
    struct hr_worlds worlds = {0};
    int status = hr_chain_find(s, text, s->new, name, &c);
    if (status > 0) {
        status = hr_worlds_make(s, c.all, &worlds) < 0 ? -1 : 1;
    }
    PyObject *targets = status > 0 ? PyList_New(0) : NULL;
    if (targets != NULL) {
        PyObject *was = hr_chain_run(w->p, &c, &worlds.was, NULL);
        PyObject *is =
            was ? hr_chain_run(w->p, &c, &worlds.is, targets) : NULL;
        status = PyErr_Occurred()                                      ? -1
                 : is == NULL                                          ? 0
                 : hr_derive_targets(w, s, text, &worlds, targets) < 0 ? -1
                                                                       : 1;
        Py_XDECREF(is);
        Py_XDECREF(was);
    }
    else if (status > 0) {
        status = -1;
    }
    Py_XDECREF(targets);
    hr_worlds_clear(&worlds);
    hr_chain_clear(&c);
    return status;
}
