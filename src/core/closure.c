/* Functions alive that were made from code nested in a changed function:
 * closures, lambdas, methods of local classes.
 *
 * They are found by their code (nest.c).  Cells are matched by the names of
 * the variables.  A cell that a live closure lacks is made where its value is
 * known (the enclosing function assigns it once, and a constant); else the
 * edit is refused for that closure, which goes on with its old code.
 */
#include "code.h"

#define MAX_LINEAGE 256 /* refused closures that are remembered */

/* -- One live function ---------------------------------------------------- */

/* The index of a name in a tuple of names, or -1. */
static Py_ssize_t
index_of(PyObject *names, PyObject *name)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_Compare(PyTuple_GET_ITEM(names, i), name) == 0) {
            return i;
        }
    }
    return -1;
}

/* The closure for the new code.  1 with *closure (owned), 0 when a value is
 * not known, -1 with an exception. */
static int
make_closure(struct hr_nest *n, PyFunctionObject *f, PyObject *constants,
             PyObject **closure)
{
    PyObject *names = hr_compat_freevars((PyCodeObject *)n->new);
    PyObject *had = hr_compat_freevars((PyCodeObject *)f->func_code);
    int status = names == NULL || had == NULL ? -1 : 1;
    *closure = status < 0 ? NULL : PyTuple_New(PyTuple_GET_SIZE(names));
    if (*closure == NULL) {
        status = -1;
    }
    for (Py_ssize_t i = 0; status == 1 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        Py_ssize_t k = index_of(had, name);
        PyObject *cell = NULL, *constant = NULL;
        if (k >= 0) {
            cell = Py_NewRef(PyTuple_GET_ITEM(f->func_closure, k));
        }
        else if ((constant = PyDict_GetItemWithError(constants, name)) !=
                 NULL) {
            cell = PyCell_New(constant);
        }
        else if (PyErr_Occurred()) {
            status = -1;
        }
        else {
            status = 0;
        }
        if (status == 1 && cell == NULL) {
            status = -1;
        }
        PyTuple_SET_ITEM(*closure, i, cell);
    }
    if (status != 1) {
        Py_CLEAR(*closure);
    }
    else if (PyTuple_GET_SIZE(*closure) == 0) {
        Py_CLEAR(*closure);
    }
    Py_XDECREF(names);
    Py_XDECREF(had);
    return status;
}

/* Cells that hold the constant which the old parent assigned get the new
 * one's, unless the program has changed them. */
static int
plan_constants(struct hr_journal *j, struct hr_nest *n, PyFunctionObject *f,
               PyObject *was, PyObject *is)
{
    PyObject *names = hr_compat_freevars((PyCodeObject *)f->func_code);
    int status = names == NULL ? -1 : 0;
    (void)n;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *cell = PyTuple_GET_ITEM(f->func_closure, i);
        PyObject *old = PyDict_GetItemWithError(was, name);
        PyObject *new = PyDict_GetItemWithError(is, name);
        PyObject *content = hr_compat_cell_peek(cell);
        if (old == NULL || new == NULL || content == NULL ||
            Py_TYPE(old) != Py_TYPE(content) ||
            hr_journal_has(j, HR_PLACE_CELL, cell)) {
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

static int
refuse_closure(struct hr_plan *p, PyObject *f, PyObject *code)
{
    /* A later edit may suit it: remember what its code became. */
    PyObject *pair = PyTuple_Pack(2, ((PyFunctionObject *)f)->func_code, code);
    if (pair == NULL || PyList_Append(p->st->lineage, pair) < 0) {
        Py_XDECREF(pair);
        return -1;
    }
    Py_DECREF(pair);
    if (PyList_GET_SIZE(p->st->lineage) > MAX_LINEAGE &&
        PyList_SetSlice(p->st->lineage, 0, 1, NULL) < 0) {
        return -1;
    }
    PyObject *sentence = PyUnicode_FromFormat(
        "HR201: a live closure %U (line %d) would need the value of a "
        "variable that it never had; it goes on with its old code, make it "
        "anew to have the new one",
        ((PyFunctionObject *)f)->func_qualname,
        ((PyCodeObject *)code)->co_firstlineno);
    PyObject *entry =
        sentence ? Py_BuildValue("(sNOi)", "HR201", sentence,
                                 ((PyFunctionObject *)f)->func_qualname,
                                 ((PyCodeObject *)code)->co_firstlineno)
                 : NULL;
    int status = entry == NULL ? -1 : PyList_Append(p->partial, entry);
    Py_XDECREF(entry);
    return status;
}

/* -- All of a journal ----------------------------------------------------- */

static int
plan_nest(struct hr_plan *p, struct hr_journal *j, struct hr_nest *n)
{
    PyObject *was = hr_code_constant_cells(n->old_parent);
    PyObject *is = hr_code_constant_cells(n->new_parent);
    int status = was == NULL || is == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(n->found); i++) {
        PyObject *o = PyList_GET_ITEM(n->found, i);
        PyObject *closure = NULL, *holder;
        if (hr_journal_has(j, HR_PLACE_FUNCTION, o)) {
            continue;
        }
        PyObject *body = hr_plan_body(p, o);
        int known = make_closure(n, (PyFunctionObject *)body, is, &closure);
        if (known <= 0) {
            status = known < 0 ? -1 : refuse_closure(p, o, n->new);
            continue;
        }
        holder = hr_closure_holder(body, n->new, closure);
        status = holder == NULL ? -1 : hr_plan_function(p, j, o, holder);
        if (status == 0) {
            status = plan_constants(j, n, (PyFunctionObject *)body, was, is);
        }
        Py_XDECREF(holder);
        Py_XDECREF(closure);
    }
    Py_XDECREF(was);
    Py_XDECREF(is);
    return status;
}

/* What the batch itself has just made with an old decorator is in a holder of
 * this journal: it takes the new code before it is in force. */
static int
renew_holders(struct hr_nests *n, struct hr_journal *j, size_t count)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        PyObject *owner, *holder, *closure = NULL;
        if (!hr_journal_get(j, i, HR_PLACE_FUNCTION, &owner, &holder)) {
            continue;
        }
        PyFunctionObject *f = (PyFunctionObject *)holder;
        for (size_t k = 0; status == 0 && k < n->count; k++) {
            struct hr_nest *nest = &n->items[k];
            if (f->func_code != nest->old) {
                continue;
            }
            PyObject *is = hr_code_constant_cells(nest->new_parent);
            int known = is == NULL ? -1 : make_closure(nest, f, is, &closure);
            if (known == 1) {
                Py_XSETREF(f->func_closure, Py_XNewRef(closure));
                hr_function_set_code(holder, nest->new);
            }
            status = known < 0 ? -1 : 0;
            Py_CLEAR(closure);
            Py_XDECREF(is);
            break;
        }
    }
    return status;
}

int
hr_closure_follow(struct hr_plan *p, struct hr_journal *j)
{
    struct hr_nests n = {.st = p->st};
    int status = 0;
    size_t count = hr_journal_count(j);
    for (size_t i = 0; status == 0 && i < count; i++) {
        PyObject *owner, *value;
        if (hr_journal_get(j, i, HR_PLACE_FUNCTION, &owner, &value)) {
            PyObject *body = hr_plan_body(p, owner);
            PyObject *old = ((PyFunctionObject *)body)->func_code;
            PyObject *new = ((PyFunctionObject *)value)->func_code;
            status = hr_nest_pair(&n, old, new, old, new);
        }
    }
    if (status == 0 && n.count > 0) {
        status = renew_holders(&n, j, count);
    }
    if (status == 0 && n.count > 0) {
        status = hr_nest_search(&n);
    }
    for (size_t i = 0; status == 0 && i < n.count; i++) {
        status = plan_nest(p, j, &n.items[i]);
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
        if (hr_nest_add(n, x, y, old, new) < 0) {
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
        all = hr_made_all_objects(u->plan);
        status = all == NULL ? -1 : 1;
    }
    for (Py_ssize_t i = 0; status == 1 && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (Py_TYPE(o) != &PyFunction_Type) {
            continue;
        }
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
            PyObject *closure = NULL;
            int known = make_closure(&n.items[k], (PyFunctionObject *)body,
                                     u->changed, &closure);
            PyObject *holder =
                known == 1 ? hr_closure_holder(body, n.items[k].new, closure)
                           : NULL;
            status = holder == NULL ? known
                     : hr_plan_function(u->plan, u->plan->j, o, holder) < 0
                         ? -1
                         : 1;
            Py_XDECREF(closure);
            Py_XDECREF(holder);
        }
    }
    hr_nest_clear(&n);
    Py_XDECREF(all);
    return status;
}
