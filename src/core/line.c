/* Functions that only moved: new line numbers, nothing else.
 *
 * Every function that begins in a moved block of this file gets a copy of its
 * code with its lines moved: a later edit finds it by them.  They are looked
 * for behind the module's names, and what these do not lead to (it is in a
 * registry, or an object of any kind) on the heap.  This runs
 * after the commit: it may take longer than the commit itself, and nobody
 * waits for it.  It is done in slices, between which other threads run: each
 * function has either its old lines or its new ones, and both are right for
 * the code that it runs.
 */
#include "scope.h"

struct walk {
    struct hr_unit *u;
    PyObject *pairs;
    struct hr_move *moves;
    size_t count;
    struct hr_journal *j, *but;
    PyObject *seen; /* set of ids: functions and classes that were visited */
};

/* The move of the block in which the line was, or NULL. */
static struct hr_move *
get_move(struct walk *w, int line)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->moves[middle].last < line) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low < w->count && w->moves[low].first <= line ? &w->moves[low]
                                                         : NULL;
}

/* Is it a lambda in the header of the definition? */
static int
is_lambda_of(const struct hr_block *b, PyCodeObject *code)
{
    return b->kind == HR_BLOCK_DEF &&
           PyUnicode_CompareWithASCIIString(code->co_name, "<lambda>") == 0;
}

/* The same for what was made from this code: a function that is not of the
 * text any more may have such a line, too. */
static struct hr_move *
get_move_of(struct walk *w, PyCodeObject *code)
{
    struct hr_move *m =
        hr_compat_is_nested(code) ? NULL : get_move(w, code->co_firstlineno);
    const struct hr_block *b = m != NULL ? m->block : NULL;
    if (b == NULL ||
        PyUnicode_Compare(code->co_filename, w->u->filename) != 0) {
        return NULL;
    }
    return b->kind != HR_BLOCK_DEF || is_lambda_of(b, code) ||
                   (code->co_firstlineno == m->first &&
                    hr_name_is(w->u->source->text, b, code->co_name) == 1)
               ? m
               : NULL;
}

static int
mark(struct walk *w, PyObject *o)
{
    PyObject *id = PyLong_FromVoidPtr(o);
    int seen = id == NULL ? -1 : PySet_Contains(w->seen, id);
    if (seen == 0 && PySet_Add(w->seen, id) < 0) {
        seen = -1;
    }
    Py_XDECREF(id);
    return seen;
}

/* Did the commit give it other code, with the new lines? */
static int
has_new_code(struct walk *w, PyObject *o, PyFunctionObject *f)
{
    PyObject *old = NULL; /* after the swap the holder has what was */
    hr_place_peek(w->but, HR_PLACE_FUNCTION, o, NULL, &old);
    return old != NULL && ((PyFunctionObject *)old)->func_code != f->func_code;
}

/* The code on its new lines; NULL without an exception when they stay. */
static PyObject *
move_code(struct walk *w, PyObject *code)
{
    struct hr_move *move = get_move_of(w, (PyCodeObject *)code);
    if (move == NULL) {
        return hr_relayout_find(w->pairs, code);
    }
    move->found |= !is_lambda_of(move->block, (PyCodeObject *)code);
    return hr_code_move(code, move->delta);
}

static int visit(struct walk *w, PyObject *o, int depth);

/* -- What names lead to --------------------------------------------------- */

/* The function of a decorated definition that visit() does not come to. */
static int
look_behind(struct walk *w, PyObject *name, PyObject *value)
{
    struct hr_scope s = {.u = w->u};
    const char *text = w->u->source->text;
    int status = 0;
    if (PyFunction_Check(value) || PyType_Check(value) ||
        (!PyType_HasFeature(Py_TYPE(value), Py_TPFLAGS_HEAPTYPE) &&
         Py_TYPE(value)->tp_descr_get == NULL)) {
        return 0;
    }
    for (size_t i = 0; status == 0 && i < w->count; i++) {
        const struct hr_move *m = &w->moves[i];
        if (m->found || m->block == NULL || !m->block->decorated ||
            m->block->kind != HR_BLOCK_DEF ||
            hr_name_is(text, m->block, name) != 1) {
            continue;
        }
        PyObject *f =
            hr_unwrap_behind(&s, value, text, m->block, m->first, NULL);
        status = f != NULL ? visit(w, f, 1) : PyErr_Occurred() ? -1 : 0;
        Py_XDECREF(f);
    }
    return status;
}

static int
visit_function(struct walk *w, PyObject *o, int depth)
{
    /* Replaced: it is the original underneath that moved. */
    PyFunctionObject *f = (PyFunctionObject *)hr_plan_body(w->u->plan, o);
    PyCodeObject *code = (PyCodeObject *)f->func_code;
    PyObject *id = PyLong_FromVoidPtr(o);
    int made = id == NULL ? -1 : PySet_Contains(w->u->plan->moved, id);
    Py_XDECREF(id);
    if (made != 0) {
        return made < 0 ? -1 : 0; /* it has its lines, and what it wraps */
    }
    /* Nested code moves with the function that it is nested in (closure.c). */
    if (PyUnicode_Compare(code->co_filename, w->u->filename) == 0 &&
        !hr_compat_is_nested(code) && !has_new_code(w, o, f)) {
        PyObject *moved = move_code(w, (PyObject *)code);
        PyObject *holder =
            moved ? hr_function_clone((PyObject *)f, NULL, NULL) : NULL;
        int status = moved == NULL && !PyErr_Occurred() ? 0 : -1;
        if (holder != NULL) {
            hr_function_set_code(holder, moved);
            hr_function_share_dict(holder, (PyObject *)f);
            status = hr_plan_function(w->u->plan, w->j, o, holder);
        }
        Py_XDECREF(moved);
        Py_XDECREF(holder);
        if (status < 0) {
            return -1;
        }
    }
    /* Lambdas among the defaults. */
    if ((f->func_defaults != NULL &&
         visit(w, f->func_defaults, depth - 1) < 0) ||
        (f->func_kwdefaults != NULL &&
         visit(w, f->func_kwdefaults, depth - 1) < 0)) {
        return -1;
    }
    /* A decorated function is behind its wrapper. */
    PyObject *closure = f->func_closure;
    for (Py_ssize_t i = 0; closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *inner = hr_compat_cell_peek(PyTuple_GET_ITEM(closure, i));
        if (inner != NULL && PyFunction_Check(inner) &&
            visit(w, inner, depth - 1) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Is it a class of this module?  A package may have set another __module__. */
static int
is_own_class(struct walk *w, PyObject *dict)
{
    PyObject *home = PyDict_GetItemString(dict, "__module__"), *name, *o;
    Py_ssize_t pos = 0;
    if (home != NULL && PyUnicode_Check(home) &&
        PyUnicode_Compare(home, w->u->name) == 0) {
        return 1;
    }
    while (PyDict_Next(dict, &pos, &name, &o)) {
        if (PyFunction_Check(o) &&
            HR_AS_FUNCTION(o)->func_globals == w->u->dict) {
            return 1;
        }
    }
    return 0;
}

static int
visit_members(struct walk *w, PyObject *type, PyObject *dict, int depth)
{
    if (!is_own_class(w, dict)) {
        return 0;
    }
    PyObject *line = PyDict_GetItemString(dict, "__firstlineno__");
    if (line != NULL && PyLong_Check(line)) {
        struct hr_move *move = get_move(w, (int)PyLong_AsLong(line));
        int delta = move != NULL ? move->delta : 0;
        PyObject *name = PyUnicode_InternFromString("__firstlineno__");
        PyObject *moved = PyLong_FromLong(PyLong_AsLong(line) + delta);
        PyObject *was = w->seen; /* any object that is no value */
        if (name != NULL) {
            hr_place_peek(w->but, HR_PLACE_TYPE, type, name, &was);
        }
        int status =
            name == NULL || moved == NULL ? -1
            : delta == 0 || was != w->seen
                ? 0
                : hr_journal_add(w->j, HR_PLACE_TYPE, type, name, moved);
        Py_XDECREF(name);
        Py_XDECREF(moved);
        if (status < 0) {
            return -1;
        }
    }
    PyObject *items = PyDict_Items(dict);
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);
        PyObject *was = w->seen; /* any object that is no value */
        hr_place_peek(w->but, HR_PLACE_TYPE, type, name, &was);
        /* A function or class that is new has its lines; a property may be
         * made of some that were there. */
        if (was == w->seen ||
            (!PyFunction_Check(value) && !PyType_Check(value))) {
            status = visit(w, value, depth - 1);
        }
        if (status == 0 && was == w->seen) {
            status = look_behind(w, name, value);
        }
    }
    Py_XDECREF(items);
    return status;
}

static int
visit_class(struct walk *w, PyObject *type, int depth)
{
    PyObject *dict =
        hr_layer_dict(w->u->plan->st, HR_LAYER_SOURCES, HR_PLACE_TYPE, type);
    int status = dict == NULL ? -1 : visit_members(w, type, dict, depth);
    Py_XDECREF(dict);
    return status;
}

/* Functions in a list, tuple or dict that a name holds. */
static int
visit_container(struct walk *w, PyObject *o, int depth)
{
    int status = 0;
    if (PyDict_CheckExact(o)) {
        PyObject *values = PyDict_GET_SIZE(o) < 1000 ? PyDict_Values(o) : NULL;
        for (Py_ssize_t i = 0;
             status == 0 && values != NULL && i < PyList_GET_SIZE(values);
             i++) {
            if (PyFunction_Check(PyList_GET_ITEM(values, i))) {
                status = visit(w, PyList_GET_ITEM(values, i), depth - 1);
            }
        }
        Py_XDECREF(values);
        return status;
    }
    for (Py_ssize_t i = 0;
         status == 0 && i < PySequence_Fast_GET_SIZE(o) && i < 1000; i++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(o, i));
        if (PyFunction_Check(item)) {
            status = visit(w, item, depth - 1);
        }
        Py_DECREF(item);
    }
    return status;
}

static int
visit(struct walk *w, PyObject *o, int depth)
{
    static const char *const inner_names[] = {
        "__func__", "fget", "fset", "fdel", "func", "__wrapped__", NULL};
    int status = 0;
    if (depth == 0) {
        return 0;
    }
    int is_function = PyFunction_Check(o), is_class = hr_class_is_open(o);
    if (is_function || is_class) {
        int seen = mark(w, o);
        if (seen != 0) {
            return seen < 0 ? -1 : 0;
        }
        return is_function ? visit_function(w, o, depth)
                           : visit_class(w, o, depth);
    }
    PyTypeObject *type = Py_TYPE(o);
    if (PyDict_CheckExact(o) || PyList_CheckExact(o) ||
        PyTuple_CheckExact(o)) {
        return visit_container(w, o, depth);
    }
    if (type == &PyUnicode_Type || type == &PyLong_Type || PyModule_Check(o) ||
        (type->tp_descr_get == NULL && !PyCallable_Check(o)) ||
        PyCFunction_Check(o) || PyType_Check(o)) {
        return 0;
    }
    if (PyMethod_Check(o)) {
        return visit(w, PyMethod_GET_FUNCTION(o), depth - 1);
    }
    for (int i = 0; status == 0 && inner_names[i] != NULL; i++) {
        PyObject *name = PyUnicode_InternFromString(inner_names[i]);
        PyObject *inner = name ? _PyType_Lookup(type, name) : NULL;
        int has = inner != NULL || type->tp_dictoffset != 0;
        inner = has && name ? PyObject_GetAttr(o, name) : NULL;
        PyErr_Clear();
        if (inner != NULL && inner != o && inner != Py_None) {
            status = visit(w, inner, depth - 1);
        }
        Py_XDECREF(inner);
        Py_XDECREF(name);
    }
    return status;
}

/* -- What no name leads to ------------------------------------------------ */

/* Is a function of this block somewhere, and was not met? */
static int
is_missing(struct walk *w, const struct hr_move *m)
{
    const struct hr_block *b = m->block;
    const char *text = w->u->source->text;
    return !m->found && b != NULL &&
           (b->kind == HR_BLOCK_DEF ||
            memmem(text + b->start, b->end - b->start, "lambda", 6) != NULL ||
            (b->kind == HR_BLOCK_COMPOUND &&
             memmem(text + b->start, b->end - b->start, "def ", 4) != NULL));
}

static int
is_stray(PyObject *o, void *arg)
{
    struct walk *w = arg;
    if (Py_TYPE(o) != &PyFunction_Type ||
        HR_AS_FUNCTION(o)->func_globals != w->u->dict) {
        return 0;
    }
    PyCodeObject *code = (PyCodeObject *)HR_AS_FUNCTION(o)->func_code;
    struct hr_move *m =
        hr_compat_is_nested(code) ? NULL : get_move(w, code->co_firstlineno);
    return m != NULL && is_missing(w, m) &&
           PyUnicode_Compare(code->co_filename, w->u->filename) == 0 &&
           (m->block->kind != HR_BLOCK_DEF ||
            code->co_firstlineno == m->first);
}

static int
visit_strays(struct walk *w)
{
    int missing = 0, status = 0;
    for (size_t i = 0; i < w->count && !missing; i++) {
        missing = is_missing(w, &w->moves[i]);
    }
    PyObject *all =
        missing ? hr_heap_find(w->u->plan->st, is_stray, w, 1) : NULL;
    for (Py_ssize_t i = 0;
         all != NULL && status == 0 && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (!hr_function_is_holder(o)) {
            status = visit(w, o, 1);
        }
    }
    status = missing && all == NULL ? -1 : status;
    Py_XDECREF(all);
    return status;
}

/* -- In slices ------------------------------------------------------------ */

/* Has the journal gained a function of which nested code is alive? */
static int
has_live_nests(struct hr_state *st, struct hr_journal *j, size_t from)
{
    PyObject *f, *holder;
    for (size_t i = from; i < hr_journal_count(j); i++) {
        if (hr_journal_get(j, i, HR_PLACE_FUNCTION, &f, &holder) &&
            hr_nest_is_alive(
                ((PyFunctionObject *)hr_layer_body(st, f))->func_code)) {
            return 1;
        }
    }
    return 0;
}

int
hr_line_next(struct hr_lines *lines, struct hr_journal *j)
{
    struct hr_unit *u = lines->u;
    if (lines->items == NULL) {
        lines->seen = PySet_New(NULL);
        PyObject *dict = hr_layer_dict(u->plan->st, HR_LAYER_SOURCES,
                                       HR_PLACE_DICT, u->dict);
        lines->items = lines->seen && dict ? PyDict_Items(dict) : NULL;
        Py_XDECREF(dict);
        if (lines->items == NULL) {
            return -1;
        }
    }
    struct walk w = {.u = u,
                     .pairs = lines->pairs,
                     .moves = lines->moves,
                     .count = lines->count,
                     .j = j,
                     .but = u->plan->j,
                     .seen = lines->seen};
    int whole = 0;
    while (lines->next < PyList_GET_SIZE(lines->items)) {
        PyObject *item = PyList_GET_ITEM(lines->items, lines->next++);
        PyObject *name = PyTuple_GET_ITEM(item, 0);
        size_t before = hr_journal_count(j);
        /* What is new has its lines already. */
        if (PyUnicode_Check(name) &&
            PyDict_GetItemWithError(u->changed, name) == NULL &&
            PyUnicode_CompareWithASCIIString(name, "__builtins__") != 0 &&
            (visit(&w, PyTuple_GET_ITEM(item, 1), 7) < 0 ||
             look_behind(&w, name, PyTuple_GET_ITEM(item, 1)) < 0)) {
            return -1;
        }
        /* The heap is searched for closures: once, not for each slice. */
        whole = whole || has_live_nests(u->plan->st, j, before);
        if (!whole && hr_journal_count(j) >= HR_LINES_SLICE) {
            return 1;
        }
    }
    if (!lines->searched) {
        lines->searched = 1;
        return visit_strays(&w);
    }
    return 0;
}

void
hr_line_end(struct hr_lines *lines)
{
    Py_CLEAR(lines->items);
    Py_CLEAR(lines->seen);
    Py_CLEAR(lines->pairs);
    PyMem_Free(lines->moves);
    lines->moves = NULL;
}
