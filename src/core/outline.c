/* Outlines: what a class's body says, member by member.
 *
 * A function that is made in it counts by its name alone: whether that one
 * changed is seen by its own code.  So two outlines differ where a member is
 * new, gone, another value or decorated otherwise.
 *
 * For local.c.
 */
#include "nest.h"

static int
is_op(const struct hr_steps *s, size_t i, const char *op)
{
    return i < s->count && strcmp(s->steps[i].op, op) == 0;
}

/* A range with each function made in it as one step, ("function", its name):
 * whether that changed is seen by its code. */
PyObject *
hr_outline_make(const struct hr_steps *s, size_t start, size_t end)
{
    PyObject *list = PyList_New(0);
    int status = list == NULL ? -1 : 0;
    for (size_t i = start; status == 0 && i < end; i++) {
        PyObject *step = Py_NewRef(PyList_GET_ITEM(s->list, (Py_ssize_t)i));
        for (size_t k = i; k < end; k++) {
            struct hr_site site;
            PyObject *code = s->steps[k].value;
            if (!is_op(s, k, "LOAD_CONST") || !PyCode_Check(code)) {
                continue;
            }
            PyObject *name = ((PyCodeObject *)code)->co_name;
            if (hr_site_find_function(s, code, &site) && site.start == i &&
                site.load == k && site.end <= end &&
                (PyUnicode_READ_CHAR(name, 0) != '<' ||
                 PyUnicode_CompareWithASCIIString(name, "<lambda>") == 0)) {
                Py_SETREF(step, Py_BuildValue("(sO)", "function", name));
                i = site.end - 1;
            }
            break;
        }
        status = step == NULL ? -1 : PyList_Append(list, step);
        Py_XDECREF(step);
    }
    PyObject *result = status == 0 ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return result;
}

/* Names that every class body sets, and the instructions around them. */
static int
is_of_every_class(const char *op, PyObject *value)
{
    static const char *const names[] = {
        "__module__",    "__qualname__",      "__firstlineno__",
        "__classcell__", "__classdictcell__", "__static_attributes__",
        "__class__",     "__classdict__",     NULL};
    static const char *const ops[] = {"RESUME", "COPY_FREE_VARS", "MAKE_CELL",
                                      "NOP",    "LOAD_LOCALS",    NULL};
    if (PyUnicode_Check(value) && hr_name_is_one_of(value, names)) {
        return 1;
    }
    for (int i = 0; ops[i] != NULL; i++) {
        if (strcmp(op, ops[i]) == 0) {
            return 1;
        }
    }
    return strncmp(op, "RETURN_", 7) == 0 ||
           (strcmp(op, "LOAD_CONST") == 0 && value == Py_None);
}

/* Add to what the name has: a name that is bound twice has both. */
static int
add_member(PyObject *dict, PyObject *name, PyObject *value)
{
    PyObject *had = PyDict_GetItemWithError(dict, name);
    PyObject *both = had != NULL        ? PySequence_Concat(had, value)
                     : PyErr_Occurred() ? NULL
                                        : Py_NewRef(value);
    int status = both == NULL ? -1 : PyDict_SetItem(dict, name, both);
    Py_XDECREF(both);
    return status;
}

int
hr_outline_read(const struct hr_steps *s, struct hr_outline *m)
{
    PyObject *rest = PyList_New(0);
    size_t from = 0;
    int status = 0;
    *m =
        (struct hr_outline){.members = PyDict_New(), .outlines = PyDict_New()};
    if (rest == NULL || m->members == NULL || m->outlines == NULL) {
        status = -1;
    }
    for (size_t i = 0; status == 0 && i <= s->count; i++) {
        size_t start = i;
        int member =
            is_op(s, i, "STORE_NAME") && hr_site_find_value(s, i, &start);
        if (!member && i < s->count) {
            continue;
        }
        PyObject *left = hr_outline_make(s, from, member ? start : i);
        for (Py_ssize_t k = 0;
             left != NULL && status == 0 && k < PyTuple_GET_SIZE(left); k++) {
            PyObject *step = PyTuple_GET_ITEM(left, k);
            if (!is_of_every_class(PyUnicode_AsUTF8(PyTuple_GET_ITEM(step, 0)),
                                   PyTuple_GET_ITEM(step, 1))) {
                status = PyList_Append(rest, step);
            }
        }
        status = left == NULL ? -1 : status;
        Py_XDECREF(left);
        PyObject *name = member ? s->steps[i].value : NULL;
        if (status == 0 && member && !is_of_every_class("", name)) {
            PyObject *e = hr_site_expression(s, start, i);
            PyObject *o = e ? hr_outline_make(s, start, i) : NULL;
            status = o == NULL || add_member(m->members, name, e) < 0 ||
                             add_member(m->outlines, name, o) < 0
                         ? -1
                         : 0;
            Py_XDECREF(o);
            Py_XDECREF(e);
        }
        from = i + 1;
    }
    m->rest = status == 0 ? PyList_AsTuple(rest) : NULL;
    Py_XDECREF(rest);
    if (m->rest == NULL) {
        hr_outline_clear(m);
        return -1;
    }
    return 0;
}

void
hr_outline_clear(struct hr_outline *m)
{
    Py_CLEAR(m->members);
    Py_CLEAR(m->outlines);
    Py_CLEAR(m->rest);
}
