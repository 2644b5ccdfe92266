/* What can be computed again without anybody noticing.
 *
 * Statements are pure when they only assign what expressions without an effect
 * give (expression.c), in loops and branches.  When in doubt, they are not,
 * and then they are not computed.  Called by whatever follows a changed value:
 * worlds.c, rerun.c.
 */
#include "pure.h"

int
hr_pure_is_expression(const struct hr_world *world, PyObject *node)
{
    struct hr_look w = {.world = world, .bound = PyList_New(0)};
    PyObject *object = NULL;
    int pure = w.bound != NULL &&
               hr_expression_look(&w, node, &object) != HR_KIND_IMPURE;
    Py_XDECREF(w.bound);
    Py_XDECREF(w.loops);
    PyErr_Clear();
    return pure;
}

/* -- Statements ----------------------------------------------------------- */

static int check_statements(struct hr_look *w, PyObject *list, int flags);

/* Is `value` of the node the name of an object that may be changed? */
static int
may_change(struct hr_look *w, PyObject *node)
{
    PyObject *name = hr_syntax_get(node, "value");
    if (!hr_syntax_is(name, "Name") ||
        hr_expression_look_at_field(w, node, "value") < HR_KIND_ITEM) {
        return 0;
    }
    PyObject *fresh = w->world->fresh;
    return fresh == NULL ||
           PyUnicode_Compare(hr_syntax_get(name, "id"), fresh) == 0;
}

/* Is it the name of something that the tree itself binds, as a loop does? */
static int
is_bound(struct hr_look *w, PyObject *name)
{
    return PySequence_Contains(w->bound, hr_syntax_get(name, "id")) != 0;
}

/* `X[k] = v` of a dict or list. */
static int
sets_item(struct hr_look *w, PyObject *target)
{
    return hr_syntax_is(target, "Subscript") && may_change(w, target) &&
           hr_expression_look_at_field(w, target, "slice") >= HR_KIND_ITEM;
}

/* `X.append(v)` and the like, of a list, dict or set. */
static int
adds_item(struct hr_look *w, PyObject *call)
{
    static const char *const passed_on[] = {"append", "insert", NULL};
    static const char *const used[] = {"add", "extend", "update", "setdefault",
                                       NULL};
    PyObject *method = hr_syntax_get(call, "func");
    PyObject *name = hr_syntax_get(method, "attr");
    if (!hr_syntax_is(call, "Call") || !hr_syntax_is(method, "Attribute") ||
        !may_change(w, method) ||
        is_bound(w, hr_syntax_get(method, "value")) ||
        PyList_GET_SIZE(hr_syntax_get(call, "keywords")) > 0) {
        return 0;
    }
    int operands = hr_name_is_one_of(name, used);
    return (operands || hr_name_is_one_of(name, passed_on)) &&
           hr_expression_look_at_list(w, hr_syntax_get(call, "args"),
                                      operands) != HR_KIND_IMPURE;
}

static int
check_assignment(struct hr_look *w, PyObject *node, int flags)
{
    if (hr_syntax_is(node, "AnnAssign")) {
        return hr_syntax_get(node, "value") != Py_None &&
               (w->world->lazy ||
                hr_expression_look_at_field(w, node, "annotation") !=
                    HR_KIND_IMPURE) &&
               hr_expression_look_at_field(w, node, "value") !=
                   HR_KIND_IMPURE &&
               hr_expression_bind_targets(w, hr_syntax_get(node, "target"),
                                          w->bound);
    }
    PyObject *targets = hr_syntax_get(node, "targets");
    int pure = hr_expression_look_at_field(w, node, "value") != HR_KIND_IMPURE;
    for (Py_ssize_t i = 0; pure && i < PyList_GET_SIZE(targets); i++) {
        PyObject *target = PyList_GET_ITEM(targets, i);
        pure = hr_expression_bind_targets(w, target, w->bound) ||
               (flags & HR_PURE_SETS && sets_item(w, target));
    }
    return pure;
}

static int
check_loop(struct hr_look *w, PyObject *node, int flags)
{
    enum hr_kind iter = hr_expression_look_at_field(w, node, "iter");
    return iter != HR_KIND_IMPURE && iter != HR_KIND_OBJECT &&
           hr_expression_bind_targets(w, hr_syntax_get(node, "target"),
                                      w->bound) &&
           check_statements(w, hr_syntax_get(node, "body"), flags) &&
           check_statements(w, hr_syntax_get(node, "orelse"), flags);
}

static int
check_try(struct hr_look *w, PyObject *node, int flags)
{
    static const char *const parts[] = {"body", "orelse", "finalbody"};
    PyObject *handlers = hr_syntax_get(node, "handlers");
    int pure = PyList_Check(handlers);
    for (int i = 0; pure && i < 3; i++) {
        pure = check_statements(w, hr_syntax_get(node, parts[i]), flags);
    }
    for (Py_ssize_t i = 0; pure && i < PyList_GET_SIZE(handlers); i++) {
        PyObject *handler = PyList_GET_ITEM(handlers, i);
        PyObject *name = hr_syntax_get(handler, "name");
        pure = (hr_syntax_get(handler, "type") == Py_None ||
                hr_expression_look_at_field(w, handler, "type") !=
                    HR_KIND_IMPURE) &&
               (name == Py_None || PyList_Append(w->bound, name) == 0) &&
               check_statements(w, hr_syntax_get(handler, "body"), flags);
    }
    return pure;
}

static int
check_if(struct hr_look *w, PyObject *node, int flags)
{
    enum hr_kind test = hr_expression_look_at_field(w, node, "test");
    return test != HR_KIND_IMPURE && test != HR_KIND_OBJECT &&
           check_statements(w, hr_syntax_get(node, "body"), flags) &&
           check_statements(w, hr_syntax_get(node, "orelse"), flags);
}

static int
check_statement(struct hr_look *w, PyObject *node, int flags)
{
    if (hr_syntax_is(node, "Assign") || hr_syntax_is(node, "AnnAssign")) {
        return check_assignment(w, node, flags);
    }
    if (hr_syntax_is(node, "AugAssign")) {
        PyObject *target = hr_syntax_get(node, "target"), *object = NULL;
        return (flags & HR_PURE_ADDS) && hr_syntax_is(target, "Name") &&
               hr_expression_look_at_name(w, target, &object) >=
                   HR_KIND_ITEM &&
               hr_expression_look_at_field(w, node, "value") >= HR_KIND_ITEM;
    }
    if (hr_syntax_is(node, "If")) {
        return check_if(w, node, flags);
    }
    if (flags & HR_PURE_REPEATS && hr_syntax_is(node, "For")) {
        return check_loop(w, node, flags);
    }
    if (flags & HR_PURE_REPEATS && hr_syntax_is(node, "Try")) {
        return check_try(w, node, flags);
    }
    if (hr_syntax_is(node, "Expr")) {
        PyObject *value = hr_syntax_get(node, "value");
        return hr_syntax_is(value, "Constant") ||
               (flags & HR_PURE_SETS && adds_item(w, value));
    }
    if (flags & HR_PURE_DEFINES) {
        if (hr_syntax_is(node, "FunctionDef") ||
            hr_syntax_is(node, "AsyncFunctionDef")) {
            PyObject *args = hr_syntax_get(node, "args");
            PyObject *list = hr_syntax_get(node, "decorator_list");
            PyObject *name = hr_syntax_get(node, "name");
            return PyList_GET_SIZE(list) == 0 &&
                   hr_expression_look_at_list(
                       w, hr_syntax_get(args, "defaults"), 0) &&
                   hr_expression_look_at_list(
                       w, hr_syntax_get(args, "kw_defaults"), 0) &&
                   PyList_Append(w->bound, name) == 0;
        }
        if (hr_syntax_is(node, "Import") || hr_syntax_is(node, "ImportFrom")) {
            return 1;
        }
    }
    return hr_syntax_is(node, "Pass");
}

static int
check_statements(struct hr_look *w, PyObject *list, int flags)
{
    int pure = PyList_Check(list);
    for (Py_ssize_t i = 0; pure && i < PyList_GET_SIZE(list); i++) {
        pure = check_statement(w, PyList_GET_ITEM(list, i), flags);
    }
    return pure;
}

int
hr_pure_are_statements(const struct hr_world *world, PyObject *list, int flags,
                       PyObject *targets)
{
    struct hr_look w = {.world = world, .bound = PyList_New(0)};
    int pure = w.bound != NULL && check_statements(&w, list, flags);
    if (pure && targets != NULL &&
        PyList_SetSlice(targets, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, w.bound) <
            0) {
        pure = 0;
    }
    Py_XDECREF(w.bound);
    Py_XDECREF(w.loops);
    PyErr_Clear();
    return pure;
}
