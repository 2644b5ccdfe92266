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

/* `X[k] = v` of a dict or list. */
static int
sets_item(struct hr_look *w, PyObject *target)
{
    enum hr_kind k = HR_KIND_IMPURE;
    if (hr_syntax_is(target, "Subscript") &&
        hr_syntax_is(hr_syntax_get(target, "value"), "Name") &&
        hr_expression_look_at_field(w, target, "value") >= HR_KIND_ITEM) {
        k = hr_expression_look_at_field(w, target, "slice");
    }
    return k >= HR_KIND_ITEM;
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
               (flags & HR_PURE_REPEATS && sets_item(w, target));
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
        return hr_syntax_is(hr_syntax_get(node, "value"), "Constant");
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
