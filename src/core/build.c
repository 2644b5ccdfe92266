/* Compound statements that build what one name holds.
 *
 * with open("main.css") as f:      if not args.plain:
 *     css += f.read()                  theme = theme.set(radius=3)
 *
 * They are made of nothing but statements that assign to the name, to an item
 * or attribute of its object, or call a method of it.  Such ones run again
 * when the name holds something new, as a simple statement that builds upon it
 * does: without them the name would hold a part of what it is to hold.  What
 * also does something else is left alone.  Called by rerun.c.
 */
#include "code.h"

static int builds_all(PyObject *list, PyObject *name);

/* `name`, `name.a`, `name[i].b`. */
static int
leads_to(PyObject *node, PyObject *name)
{
    while (hr_syntax_is(node, "Attribute") ||
           hr_syntax_is(node, "Subscript")) {
        node = hr_syntax_get(node, "value");
    }
    return hr_syntax_is(node, "Name") &&
           PyUnicode_Compare(hr_syntax_get(node, "id"), name) == 0;
}

static int
are_targets(PyObject *targets, PyObject *name)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(targets); i++) {
        if (!leads_to(PyList_GET_ITEM(targets, i), name)) {
            return 0;
        }
    }
    return 1;
}

/* `name.append(x)` */
static int
is_method_call(PyObject *node, PyObject *name)
{
    PyObject *value = hr_syntax_get(node, "value");
    PyObject *function =
        hr_syntax_is(value, "Call") ? hr_syntax_get(value, "func") : Py_None;
    return hr_syntax_is(value, "Constant") ||
           (hr_syntax_is(function, "Attribute") && leads_to(function, name));
}

static int
builds_in_try(PyObject *node, PyObject *name)
{
    PyObject *handlers = hr_syntax_get(node, "handlers");
    int builds = builds_all(hr_syntax_get(node, "body"), name) &&
                 builds_all(hr_syntax_get(node, "orelse"), name) &&
                 builds_all(hr_syntax_get(node, "finalbody"), name);
    for (Py_ssize_t i = 0; builds && i < PyList_GET_SIZE(handlers); i++) {
        PyObject *handler = PyList_GET_ITEM(handlers, i);
        builds = builds_all(hr_syntax_get(handler, "body"), name);
    }
    return builds;
}

static int
builds(PyObject *node, PyObject *name)
{
    if (hr_syntax_is(node, "Assign")) {
        return are_targets(hr_syntax_get(node, "targets"), name);
    }
    if (hr_syntax_is(node, "AugAssign") || hr_syntax_is(node, "AnnAssign")) {
        return leads_to(hr_syntax_get(node, "target"), name);
    }
    if (hr_syntax_is(node, "Expr")) {
        return is_method_call(node, name);
    }
    if (hr_syntax_is(node, "If") || hr_syntax_is(node, "For")) {
        return builds_all(hr_syntax_get(node, "body"), name) &&
               builds_all(hr_syntax_get(node, "orelse"), name);
    }
    if (hr_syntax_is(node, "With")) {
        return builds_all(hr_syntax_get(node, "body"), name);
    }
    if (hr_syntax_is(node, "Try")) {
        return builds_in_try(node, name);
    }
    return hr_syntax_is(node, "Pass");
}

static int
builds_all(PyObject *list, PyObject *name)
{
    int all = PyList_Check(list);
    for (Py_ssize_t i = 0; all && i < PyList_GET_SIZE(list); i++) {
        all = builds(PyList_GET_ITEM(list, i), name);
    }
    return all;
}

int
hr_build_is_all(PyObject *tree, PyObject *name)
{
    return builds_all(tree, name);
}
