/* Functions alive that were made from code nested in a changed function:
 * closures, lambdas, methods of local classes.
 *
 * They are found by their code (nest.c), and get the new code with cells and
 * defaults to go with it (fit.c).  Where those are not known, the edit is
 * refused for that closure, which goes on with its old code.  Classes that
 * are alive take the edit whole or not at all (local.c).
 */
#include "nest.h"

#define MAX_LINEAGE 256 /* refused closures that are remembered */
#define SLICE 4096      /* closures that are planned in one go */

/* -- One live function -----------------------------------------------------
 */

/* Cells that hold the constant which the old parent assigned get the new
 * one's, unless the program has changed them. */
static int
plan_constants(struct hr_journal *j, struct hr_journal *batch,
               PyFunctionObject *f, PyObject *was, PyObject *is)
{
    if (PyDict_GET_SIZE(was) == 0 || PyDict_GET_SIZE(is) == 0) {
        return 0;
    }
    PyObject *names = hr_compat_freevars((PyCodeObject *)f->func_code);
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *cell = PyTuple_GET_ITEM(f->func_closure, i);
        PyObject *old = PyDict_GetItemWithError(was, name);
        PyObject *new = PyDict_GetItemWithError(is, name);
        PyObject *content = hr_compat_cell_peek(cell);
        if (old == NULL || new == NULL || content == NULL ||
            Py_TYPE(old) != Py_TYPE(content) ||
            hr_place_has(j, HR_PLACE_CELL, cell) ||
            hr_place_has(batch, HR_PLACE_CELL, cell)) {
            continue;
        }
        int kept = PyObject_RichCompareBool(old, content, Py_EQ);
        int same = PyObject_RichCompareBool(old, new, Py_EQ);
        if (kept < 0 || same < 0) {
            status = -1;
        }
        else if (kept && !same) {
            status = hr_journal_add(j, HR_PLACE_CELL, cell, NULL, new);
        }
    }
    Py_XDECREF(names);
    return status;
}

/* The constants that the code around assigns to cells. */
static int
look_at_constants(struct hr_nest *nest)
{
    if (nest->cells_are == NULL) {
        PyObject *old = nest->old_parent, *new = nest->new_parent;
        if (!(((PyCodeObject *)old)->co_flags & CO_OPTIMIZED) &&
            nest->old_outer != NULL && nest->new_outer != NULL) {
            old = nest->old_outer; /* of a class's body */
            new = nest->new_outer;
        }
        nest->cells_were = hr_bytecode_constant_cells(old);
        nest->cells_are =
            nest->cells_were ? hr_bytecode_constant_cells(new) : NULL;
    }
    return nest->cells_are == NULL ? -1 : 1;
}

/* A holder with the new code and what the live function has of its own. */
PyObject *
hr_closure_holder(PyObject *o, PyObject *code, PyObject *closure)
{
    PyObject *holder = hr_function_clone(o, NULL, NULL);
    if (holder == NULL) {
        return NULL;
    }
    PyFunctionObject *f = (PyFunctionObject *)holder;
    hr_function_set_code(holder, code);
    hr_function_share_dict(holder, o);
    Py_XSETREF(f->func_closure, Py_XNewRef(closure));
    Py_XSETREF(f->func_doc, Py_NewRef(hr_function_doc_of(code)));
    hr_function_keep_doc(holder, o);
    return holder;
}

int
hr_closure_plan(struct hr_scene *s, struct hr_journal *j, struct hr_nests *n,
                struct hr_nest *nest)
{
    PyObject *holder = NULL;
    int status = hr_fit_set_scene(s, n, nest);
    if (status == 0) {
        status = hr_fit_make(s, n, nest, &holder);
    }
    if (status == 1 && hr_plan_function(s->p, j, s->self, holder) < 0) {
        status = -1;
    }
    if (status == 1) {
        status = look_at_constants(nest);
    }
    if (status == 1 && plan_constants(j, s->j, (PyFunctionObject *)s->f,
                                      nest->cells_were, nest->cells_are) < 0) {
        status = -1;
    }
    Py_XDECREF(holder);
    return status;
}

/* -- What is refused ------------------------------------------------------ */

int
hr_closure_remember(struct hr_plan *p, const struct hr_nest *nest)
{
    PyObject *list = p->st->lineage;
    for (Py_ssize_t i = PyList_GET_SIZE(list); i-- > 0;) {
        PyObject *entry = PyList_GET_ITEM(list, i);
        if (PyTuple_GET_ITEM(entry, 0) == nest->old &&
            PyTuple_GET_ITEM(entry, 1) == nest->new) {
            return 0;
        }
    }
    PyObject *entry = PyTuple_Pack(3, nest->old, nest->new, nest->old_parent);
    int status = entry == NULL ? -1 : PyList_Append(list, entry);
    Py_XDECREF(entry);
    if (status == 0 && PyList_GET_SIZE(list) > MAX_LINEAGE) {
        status = PyList_SetSlice(list, 0, 1, NULL);
    }
    return status;
}

int
hr_closure_refuse(struct hr_plan *p, PyObject *qualname, PyObject *code,
                  PyObject *sentence)
{
    PyObject *entry =
        sentence ? Py_BuildValue("(sOOi)", "HR201", sentence, qualname,
                                 ((PyCodeObject *)code)->co_firstlineno)
                 : NULL;
    int status = entry == NULL ? -1 : PyList_Append(p->partial, entry);
    Py_XDECREF(entry);
    return status;
}

static int
refuse_closures(struct hr_plan *p, const struct hr_nest *nest, PyObject *f,
                Py_ssize_t count)
{
    PyObject *code = nest->new != NULL ? nest->new : nest->old;
    PyObject *name = ((PyFunctionObject *)f)->func_qualname;
    const char *why =
        nest->new == NULL
            ? "is one of several of that name that nothing tells apart"
            : "would need the value of a variable or default that it never "
              "had";
    PyObject *which =
        count == 1 ? PyUnicode_FromString("a live closure")
                   : PyUnicode_FromFormat("each of %zd live closures", count);
    PyObject *sentence =
        which ? PyUnicode_FromFormat(
                    "HR201: %U %U (line %d) %s; it goes on with its old code, "
                    "make it anew to have the new one",
                    which, name, ((PyCodeObject *)code)->co_firstlineno, why)
              : NULL;
    int status = hr_closure_refuse(p, name, code, sentence);
    if (status == 0 && nest->new != NULL) {
        status = hr_closure_remember(p, nest);
    }
    Py_XDECREF(sentence);
    Py_XDECREF(which);
    return status;
}

/* -- All of a journal ----------------------------------------------------- */

static int
is_refused(struct hr_nests *n, PyObject *o)
{
    if (n->refused == NULL) {
        return 0;
    }
    PyObject *id = PyLong_FromVoidPtr(o);
    int is = id == NULL ? -1 : PySet_Contains(n->refused, id);
    Py_XDECREF(id);
    return is;
}

/* Thousands of holders are made, and the collector would look at them again
 * and again: it is off, but for a moment, in which others run as well. */
static int
let_others_run(struct hr_plan *p, int *paused)
{
    int64_t last = p->slice_ns;
    hr_made_end(p);
    if (paused != NULL) {
        hr_plan_let_others_run(p);
        *paused |= last != 0 && last != p->slice_ns;
    }
    return hr_made_begin(p);
}

/* *paused: others have run meanwhile. */
static int
plan_nest(struct hr_plan *p, struct hr_journal *j, struct hr_nests *n,
          struct hr_nest *nest, int *paused)
{
    PyObject *refused = NULL; /* borrowed: the first */
    Py_ssize_t count = 0;
    int status = 0;
    for (Py_ssize_t i = 0; status >= 0 && i < PyList_GET_SIZE(nest->found);
         i++) {
        PyObject *o = PyList_GET_ITEM(nest->found, i);
        struct hr_scene s = {
            .p = p, .j = j, .f = hr_plan_body(p, o), .self = o};
        int skip = hr_place_has(j, HR_PLACE_FUNCTION, o);
        skip = skip ? skip : is_refused(n, o);
        if (skip) {
            status = skip < 0 ? -1 : status;
            continue;
        }
        status = nest->new == NULL ? 0 : hr_closure_plan(&s, j, n, nest);
        Py_XDECREF(s.cells);
        if (status == 0) {
            refused = refused ? refused : o;
            count++;
        }
        if (i % SLICE == SLICE - 1 && status >= 0) {
            status = let_others_run(p, paused);
        }
    }
    return status < 0  ? -1
           : count > 0 ? refuse_closures(p, nest, refused, count)
                       : 0;
}

/* What the batch itself has just made with an old decorator is in a holder of
 * this journal: it takes the new code before it is in force. */
static int
renew_holders(struct hr_plan *p, struct hr_nests *n, struct hr_journal *j,
              size_t count)
{
    int status = 0;
    for (size_t i = 0; status >= 0 && i < count; i++) {
        PyObject *owner, *body, *holder = NULL;
        if (!hr_journal_get(j, i, HR_PLACE_FUNCTION, &owner, &body)) {
            continue;
        }
        for (size_t k = 0; k < n->count; k++) {
            struct hr_nest *nest = &n->items[k];
            if (((PyFunctionObject *)body)->func_code != nest->old) {
                continue;
            }
            struct hr_scene s = {.p = p, .j = j, .f = body, .self = owner};
            status = nest->new == NULL ? 0 : hr_fit_set_scene(&s, n, nest);
            if (status == 0 && nest->new != NULL) {
                status = hr_fit_make(&s, n, nest, &holder);
            }
            if (status == 1) {
                hr_function_exchange(body, holder);
            }
            else if (status == 0) {
                status = refuse_closures(p, nest, owner, 1);
            }
            Py_XDECREF(s.cells);
            Py_XDECREF(holder);
            break;
        }
    }
    return status < 0 ? -1 : 0;
}

/* Each body that the journal exchanges, once: its last lines are another. */
static int
pair_all(struct hr_plan *p, struct hr_nests *n, struct hr_journal *j,
         size_t count)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        PyObject *owner, *value, *first = NULL;
        if (!hr_journal_get(j, i, HR_PLACE_FUNCTION, &owner, &value)) {
            continue;
        }
        PyObject *body = hr_plan_body(p, owner);
        PyObject *code = ((PyFunctionObject *)body)->func_code;
        if (!hr_nest_is_alive(code)) {
            continue;
        }
        hr_place_peek(j, HR_PLACE_FUNCTION, owner, NULL, &first);
        if (first == value) {
            status = hr_nest_pair(
                n, code, ((PyFunctionObject *)value)->func_code, NULL, NULL);
        }
    }
    return status;
}

static int
find_and_plan(struct hr_plan *p, struct hr_journal *j, struct hr_nests *n,
              int *paused)
{
    int status = hr_nest_search(n, !p->whole && !p->evaluating);
    if (status == 0) {
        status = hr_local_follow(p, j, n);
    }
    if (status == 0) {
        status = hr_made_begin(p);
    }
    for (size_t i = 0; status == 0 && i < n->count; i++) {
        status = plan_nest(p, j, n, &n->items[i], paused);
    }
    hr_made_end(p);
    return status;
}

int
hr_closure_follow(struct hr_plan *p, struct hr_journal *j)
{
    struct hr_nests n = {.st = p->st};
    size_t count = hr_journal_count(j);
    Py_ssize_t said = 0; /* refusals, before any closure was looked at */
    int paused = 0;
    int status = pair_all(p, &n, j, count);
    if (status == 0 && n.count > 0) {
        status = renew_holders(p, &n, j, count);
        said = PyList_GET_SIZE(p->partial);
    }
    if (status == 0 && n.count > 0) {
        status = find_and_plan(p, j, &n, &paused);
    }
    if (status == 0 && paused) {
        /* Others may have made more of them: once again, in one go. */
        for (size_t i = 0; status == 0 && i < n.count; i++) {
            status =
                PyList_SetSlice(n.items[i].found, 0, PY_SSIZE_T_MAX, NULL);
        }
        if (status == 0) {
            status = PyList_SetSlice(p->partial, said, PY_SSIZE_T_MAX, NULL);
        }
        if (status == 0) {
            status = find_and_plan(p, j, &n, NULL);
        }
    }
    hr_nest_clear(&n);
    return status;
}

/* -- Statements that differ in nested code only --------------------------- */

/* Pair the code objects of two constants tuples; 0 when anything else
 * differs. */
static int
pair_constants(struct hr_nests *n, PyObject *old, PyObject *new)
{
    PyObject *a = ((PyCodeObject *)old)->co_consts;
    PyObject *b = ((PyCodeObject *)new)->co_consts;
    if (PyTuple_GET_SIZE(a) != PyTuple_GET_SIZE(b)) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); i++) {
        PyObject *x = PyTuple_GET_ITEM(a, i), *y = PyTuple_GET_ITEM(b, i);
        if (!PyCode_Check(x) || !PyCode_Check(y)) {
            int same = hr_code_is_same_const(x, y);
            if (same != 1) {
                return same;
            }
            continue;
        }
        const char *name = PyUnicode_AsUTF8(((PyCodeObject *)x)->co_name);
        if (PyUnicode_Compare(((PyCodeObject *)x)->co_name,
                              ((PyCodeObject *)y)->co_name) != 0 ||
            name == NULL) {
            return 0;
        }
        if (name[0] == '<' && strcmp(name, "<lambda>") != 0) {
            /* A comprehension runs with the statement. */
            int same = hr_code_is_same(x, y);
            if (same != 1) {
                return same;
            }
            continue;
        }
        if (!(((PyCodeObject *)x)->co_flags & CO_OPTIMIZED)) {
            return 0; /* a class's body */
        }
        struct hr_nest nest = {
            .old = x, .new = y, .old_parent = old, .new_parent = new};
        if (hr_nest_add(n, nest) < 0) {
            return -1;
        }
    }
    return 1;
}

/* Was `code`, alive, made from this code of the old text? */
static int
is_made_from(struct hr_unit *u, PyObject *code, PyObject *old)
{
    PyCodeObject *a = (PyCodeObject *)code, *b = (PyCodeObject *)old;
    return a->co_firstlineno == b->co_firstlineno &&
           PyUnicode_Compare(a->co_name, b->co_name) == 0 &&
           PyUnicode_Compare(a->co_filename, u->filename) == 0 &&
           hr_code_is_same(code, old) == 1;
}

static int
is_function(PyObject *o, void *arg)
{
    (void)arg;
    return Py_TYPE(o) == &PyFunction_Type;
}

int
hr_closure_statement(struct hr_unit *u, PyObject *old, PyObject *new)
{
    struct hr_nests n = {.st = u->plan->st};
    PyObject *all = NULL;
    int status = hr_code_is_same_but_constants(old, new);
    if (status == 1) {
        status = pair_constants(&n, old, new);
    }
    if (status == 1 && n.count == 0) {
        status = 0;
    }
    if (status == 1) {
        all = hr_heap_find(u->plan->st, is_function, NULL, 0);
        status = all == NULL ? -1 : 1;
    }
    for (Py_ssize_t i = 0; status == 1 && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        PyObject *body = hr_plan_body(u->plan, o);
        PyObject *code = ((PyFunctionObject *)body)->func_code;
        for (size_t k = 0; k < n.count && !hr_function_is_holder(o); k++) {
            if (is_made_from(u, code, n.items[k].old)) {
                if (PyList_Append(n.items[k].found, o) < 0) {
                    status = -1;
                }
                break;
            }
        }
    }
    /* One that is not alive was made by nobody, or is out of sight. */
    for (size_t k = 0; status == 1 && k < n.count; k++) {
        if (PyList_GET_SIZE(n.items[k].found) == 0 &&
            hr_code_is_same(n.items[k].old, n.items[k].new) != 1) {
            status = 0;
        }
    }
    for (size_t k = 0; status == 1 && k < n.count; k++) {
        for (Py_ssize_t i = 0;
             status == 1 && i < PyList_GET_SIZE(n.items[k].found); i++) {
            PyObject *o = PyList_GET_ITEM(n.items[k].found, i);
            PyObject *body = hr_plan_body(u->plan, o);
            struct hr_scene s = {
                .p = u->plan, .j = u->plan->j, .f = body, .self = o};
            PyObject *holder = NULL;
            status = hr_fit_make(&s, &n, &n.items[k], &holder);
            if (status == 1 &&
                hr_plan_function(u->plan, u->plan->j, o, holder) < 0) {
                status = -1;
            }
            Py_XDECREF(s.cells);
            Py_XDECREF(holder);
        }
    }
    hr_nest_clear(&n);
    Py_XDECREF(all);
    return status;
}
