/* Classes alive that a class statement inside a function made.
 *
 * Nobody's name leads to them: they are found on the heap by their name, and
 * by the methods that nest.c has found.  Such a class takes the edit of its
 * statement whole: members that are new or differ, those that are gone, and
 * the bodies of its methods.  What a member's expression says has to be known
 * (known.c), and nothing else of the statement may differ; else the class is
 * left as it was, with all its methods.
 *
 * Called by closure.c.
 */
#include "nest.h"

/* -- Finding them --------------------------------------------------------- */

static int
is_class_body(PyObject *code)
{
    return !(((PyCodeObject *)code)->co_flags & CO_OPTIMIZED);
}

/* Which nested code of a class's body is this function's? */
static struct hr_nest *
find_nest(struct hr_nests *n, PyObject *function, PyObject *body)
{
    PyObject *code = ((PyFunctionObject *)function)->func_code;
    for (size_t i = 0; i < n->count; i++) {
        if (n->items[i].old == code &&
            n->items[i].new != NULL &&is_class_body(n->items[i].old_parent) &&
            (body == NULL || n->items[i].old_parent == body)) {
            return &n->items[i];
        }
    }
    return NULL;
}

/* Its name, which the program may have changed, or one of its methods tells.
 */
static int
is_wanted(PyObject *o, void *nests)
{
    struct hr_nests *n = nests;
    if (!PyType_Check(o) ||
        !PyType_HasFeature((PyTypeObject *)o, Py_TPFLAGS_HEAPTYPE)) {
        return 0;
    }
    PyObject *name = ((PyHeapTypeObject *)o)->ht_name;
    for (size_t i = 0; name != NULL && i < n->count; i++) {
        PyCodeObject *body = (PyCodeObject *)n->items[i].old_parent;
        if (is_class_body((PyObject *)body) &&
            PyList_GET_SIZE(n->items[i].found) > 0 &&
            PyUnicode_Compare(name, body->co_name) == 0) {
            return 1;
        }
    }
    PyObject *key, *value, *dict = hr_compat_type_dict((PyTypeObject *)o);
    Py_ssize_t pos = 0;
    while (dict != NULL && PyDict_Next(dict, &pos, &key, &value)) {
        if (PyFunction_Check(value) && find_nest(n, value, NULL) != NULL) {
            return 1;
        }
    }
    return 0;
}

static int
add_function(PyObject *list, PyObject *o)
{
    return o != NULL && PyFunction_Check(o) ? PyList_Append(list, o) : 0;
}

/* The functions of a class, those in its properties, static and class methods
 * too: a new list. */
static PyObject *
list_functions(PyObject *type)
{
    PyObject *values =
        PyDict_Values(hr_compat_type_dict((PyTypeObject *)type));
    PyObject *list = values ? PyList_New(0) : NULL;
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(values); i++) {
        PyObject *o = PyList_GET_ITEM(values, i);
        int wraps = Py_TYPE(o) == &PyStaticMethod_Type ||
                    Py_TYPE(o) == &PyClassMethod_Type;
        int parts = Py_TYPE(o) == &PyProperty_Type ? 3 : wraps;
        status = add_function(list, o);
        for (int k = 0; status == 0 && k < parts; k++) {
            PyObject *part = PyObject_GetAttrString(
                o, wraps ? "__func__" : hr_transfer_property_parts[k]);
            status = part == NULL ? -1 : add_function(list, part);
            Py_XDECREF(part);
        }
    }
    Py_XDECREF(values);
    if (status < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* -- What its statement says ---------------------------------------------- */

/* The texts of one statement, old and new. */
struct statement {
    const struct hr_nest *nest; /* borrowed: of one of its methods */
    struct hr_outline old, new;
    int differs;   /* in more than its members */
    int decorated; /* or it cannot be told */
    int said;      /* that one of its classes is refused */
};

/* All of the statement around the body, as an outline; NULL without an
 * exception when it cannot be told. */
static PyObject *
outline_statement(struct hr_nests *n, PyObject *outer, PyObject *body)
{
    struct hr_site site;
    const struct hr_steps *s = hr_nest_steps(n, outer);
    if (s == NULL || !hr_site_find_function(s, body, &site)) {
        return NULL;
    }
    size_t start, end = site.end;
    while (end < s->count && strncmp(s->steps[end].op, "STORE_", 6) != 0) {
        end++;
    }
    return end < s->count && hr_site_find_value(s, end, &start)
               ? hr_outline_make(s, start, end)
               : NULL;
}

static int
read_statement(struct hr_nests *n, const struct hr_nest *nest,
               struct statement *st)
{
    *st = (struct statement){.nest = nest, .decorated = 1};
    const struct hr_steps *a = hr_nest_steps(n, nest->old_parent);
    const struct hr_steps *b = a ? hr_nest_steps(n, nest->new_parent) : NULL;
    if (b == NULL || hr_outline_read(a, &st->old) < 0 ||
        hr_outline_read(b, &st->new) < 0) {
        return -1;
    }
    int same = hr_code_is_same_const(st->old.rest, st->new.rest);
    PyObject *is =
        nest->new_outer != NULL
            ? outline_statement(n, nest->new_outer, nest->new_parent)
            : NULL;
    PyObject *was =
        is != NULL && nest->old_outer != NULL
            ? outline_statement(n, nest->old_outer, nest->old_parent)
            : NULL;
    if (is != NULL && PyTuple_GET_SIZE(is) > 1) {
        PyObject *first = PyTuple_GET_ITEM(PyTuple_GET_ITEM(is, 0), 0);
        st->decorated =
            PyUnicode_CompareWithASCIIString(first, "PUSH_NULL") != 0 &&
            PyUnicode_CompareWithASCIIString(first, "LOAD_BUILD_CLASS") != 0;
    }
    if (same == 1 && was != NULL) {
        same = hr_code_is_same_const(was, is);
    }
    Py_XDECREF(was);
    Py_XDECREF(is);
    st->differs = same != 1;
    return same < 0 || PyErr_Occurred() ? -1 : 0;
}

static void
clear_statement(struct statement *st)
{
    hr_outline_clear(&st->old);
    hr_outline_clear(&st->new);
    st->nest = NULL;
}

/* -- One class ------------------------------------------------------------ */

/* Are members set as easily as the statement would?  Not where a decorator or
 * a metaclass makes the class from them. */
static int
takes_members(const struct statement *st, PyObject *type, PyObject *name)
{
    return !st->decorated && Py_TYPE(type) == &PyType_Type &&
           PyUnicode_CompareWithASCIIString(name, "__slots__") != 0;
}

/* Members that are new or differ: 1, 0 when one is not known. */
static int
plan_members(struct hr_scene *s, struct hr_journal *j,
             const struct statement *st)
{
    PyObject *name, *outline;
    Py_ssize_t pos = 0;
    int status = 1;
    while (status == 1 &&
           PyDict_Next(st->new.outlines, &pos, &name, &outline)) {
        PyObject *was = PyDict_GetItemWithError(st->old.outlines, name);
        int same = was != NULL ? hr_code_is_same_const(was, outline)
                               : -(PyErr_Occurred() != NULL);
        if (same != 0) {
            status = same;
            continue;
        }
        PyObject *value = NULL;
        status = takes_members(st, s->type, name);
        if (status == 1) {
            status = hr_compute_value(
                s, PyDict_GetItemWithError(st->new.members, name), 1, &value);
        }
        if (status == 1 &&
            (PyDict_SetItem(s->members, name, value) < 0 ||
             hr_journal_add(j, HR_PLACE_TYPE, s->type, name, value) < 0)) {
            status = -1;
        }
        Py_XDECREF(value);
    }
    pos = 0;
    while (status == 1 &&
           PyDict_Next(st->old.outlines, &pos, &name, &outline)) {
        PyObject *dict = hr_compat_type_dict((PyTypeObject *)s->type);
        int stays = PyDict_Contains(st->new.outlines, name);
        int there = stays == 0 ? PyDict_Contains(dict, name) : 0;
        if (there > 0) {
            status = takes_members(st, s->type, name);
        }
        if (stays < 0 || there < 0 ||
            (there > 0 && status == 1 &&
             hr_journal_add(j, HR_PLACE_TYPE, s->type, name, NULL) < 0)) {
            status = -1;
        }
    }
    return status;
}

/* The class and its methods, whole: 1 when that is in the journal. */
static int
plan_class(struct hr_scene *s, struct hr_journal *j, struct hr_nests *n,
           const struct statement *st)
{
    int status = !st->differs;
    PyObject *body = st->nest->old_parent;
    s->f = s->self = PyList_GET_ITEM(s->functions, 0);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(s->functions); i++) {
        if (find_nest(n, PyList_GET_ITEM(s->functions, i), body) != NULL) {
            s->f = s->self = PyList_GET_ITEM(s->functions, i);
            break;
        }
    }
    s->self_code = NULL;
    s->globals = ((PyFunctionObject *)s->f)->func_globals;
    if (status == 1) {
        status = hr_fit_set_scene(s, n, st->nest) < 0 ? -1 : 1;
    }
    if (status == 1) {
        status = plan_members(s, j, st);
    }
    for (Py_ssize_t i = 0; status == 1 && i < PyList_GET_SIZE(s->functions);
         i++) {
        PyObject *f = PyList_GET_ITEM(s->functions, i);
        struct hr_nest *nest = find_nest(n, f, body);
        if (nest != NULL && !hr_place_has(j, HR_PLACE_FUNCTION, f)) {
            s->f = s->self = f;
            status = hr_closure_plan(s, j, n, nest);
        }
    }
    return status;
}

/* It stays as it was, with its functions. */
static int
refuse_class(struct hr_plan *p, struct hr_nests *n, PyObject *functions,
             struct statement *st, PyObject *type)
{
    int status = 0;
    if (n->refused == NULL && (n->refused = PySet_New(NULL)) == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(functions);
         i++) {
        PyObject *f = PyList_GET_ITEM(functions, i);
        struct hr_nest *nest = find_nest(n, f, st->nest->old_parent);
        if (nest != NULL) {
            PyObject *id = PyLong_FromVoidPtr(f);
            status = id == NULL || PySet_Add(n->refused, id) < 0
                         ? -1
                         : hr_closure_remember(p, nest);
            Py_XDECREF(id);
        }
    }
    if (status < 0 || st->said) {
        return status;
    }
    st->said = 1;
    PyObject *qualname = ((PyHeapTypeObject *)type)->ht_qualname;
    PyObject *code = st->nest->new_parent;
    PyObject *sentence = PyUnicode_FromFormat(
        "HR201: a live class %U (line %d), made by a function, cannot take "
        "all that its statement now says, and takes nothing of it: it goes on "
        "with its old code, make it anew to have the new one",
        qualname, ((PyCodeObject *)code)->co_firstlineno);
    status = hr_closure_refuse(p, qualname, code, sentence);
    Py_XDECREF(sentence);
    return status;
}

static int
follow_class(struct hr_plan *p, struct hr_journal *batch, struct hr_nests *n,
             PyObject *type, struct statement *st)
{
    PyObject *functions = list_functions(type);
    const struct hr_nest *nest = NULL;
    int status = functions == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(functions);
         i++) {
        PyObject *f = PyList_GET_ITEM(functions, i);
        const struct hr_nest *its = find_nest(n, f, NULL);
        if (its != NULL && hr_place_has(batch, HR_PLACE_FUNCTION, f)) {
            nest = NULL; /* it is done */
            break;
        }
        nest = nest ? nest : its;
    }
    if (status < 0 || nest == NULL) {
        Py_XDECREF(functions);
        return status;
    }
    if (st->nest == NULL || st->nest->old_parent != nest->old_parent) {
        clear_statement(st);
        status = read_statement(n, nest, st);
    }
    struct hr_scene s = {
        .p = p, .j = batch, .functions = functions, .type = type};
    struct hr_journal *j = status == 0 ? hr_journal_new() : NULL;
    s.members = PyDict_New();
    status = j == NULL || s.members == NULL ? -1 : plan_class(&s, j, n, st);
    if (status == 1) {
        status = hr_journal_append(batch, j);
    }
    else if (status == 0) {
        status = refuse_class(p, n, functions, st, type);
    }
    hr_journal_free(p->st, j);
    Py_XDECREF(s.members);
    Py_XDECREF(s.cells);
    Py_DECREF(functions);
    return status;
}

int
hr_local_follow(struct hr_plan *p, struct hr_journal *j, struct hr_nests *n)
{
    int any = 0;
    for (size_t i = 0; i < n->count; i++) {
        any |= is_class_body(n->items[i].old_parent) &&
               PyList_GET_SIZE(n->items[i].found) > 0;
    }
    PyObject *types = any ? hr_heap_find(n->st, is_wanted, n, 0) : NULL;
    struct statement st = {0};
    int status = any && types == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; any && status == 0 && i < PyList_GET_SIZE(types);
         i++) {
        status = follow_class(p, j, n, PyList_GET_ITEM(types, i), &st);
    }
    clear_statement(&st);
    Py_XDECREF(types);
    return status;
}
