/* The header of a nested function, as the code around it computes it: defaults
 * and annotations.
 *
 * The function of a header with type parameters is made in code of its own,
 * which gets the defaults as arguments from the code around that.
 *
 * For fit.c.
 */
#include "nest.h"

/* Some instructions: [start, end), end 0: none. */
struct part {
    const struct hr_steps *s;
    size_t start, end;
};

/* The expression of a constant. */
static PyObject *
make_constant(PyObject *value)
{
    return Py_BuildValue("((sO))", "LOAD_CONST", value);
}

/* The expressions of the items of a tuple: a new list, NULL without an
 * exception when they cannot be told. */
static PyObject *
split_tuple(const struct hr_steps *s, size_t start, size_t end, size_t count)
{
    PyObject *list = PyList_New(0);
    int status = list == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        size_t last = end;
        if (!hr_site_find_value(s, last, &end) || end < start) {
            Py_CLEAR(list);
            return NULL;
        }
        PyObject *e = hr_site_expression(s, end, last);
        status = e == NULL ? -1 : PyList_Insert(list, 0, e);
        Py_XDECREF(e);
    }
    if (status < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* The same for what ends with making a tuple, which may be one constant. */
static PyObject *
split_part(const struct part *p)
{
    const struct hr_steps *s = p->s;
    size_t start = p->start, last = p->end - 1;
    PyObject *value = s->steps[last].value;
    if (hr_site_is(s, last, "BUILD_TUPLE")) {
        return split_tuple(s, start, last, (size_t)PyLong_AsLong(value));
    }
    if (start != last || !hr_site_is(s, last, "LOAD_CONST") ||
        !PyTuple_Check(value)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list != NULL && i < PyTuple_GET_SIZE(value); i++) {
        PyObject *e = make_constant(PyTuple_GET_ITEM(value, i));
        if (e == NULL || PyList_Append(list, e) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(e);
    }
    return list;
}

static int
add_items(PyObject *result, PyObject *names, Py_ssize_t first, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        if (first + i < 0 || first + i >= PyTuple_GET_SIZE(names)) {
            return 0;
        }
        if (PyDict_SetItem(result, PyTuple_GET_ITEM(names, first + i),
                           PyList_GET_ITEM(list, i)) < 0) {
            return -1;
        }
    }
    return 1;
}

/* {key: expression} (owned), or NULL without an exception. */
static PyObject *
read_map(const struct part *p)
{
    PyObject *result = PyDict_New(), *list;
    size_t last = p->end;
    int status = result == NULL ? -1 : 1;
    if (status == 1 && last > 0) {
        PyObject *keys = last > 1 ? p->s->steps[last - 2].value : Py_None;
        status = hr_site_is(p->s, last - 1, "BUILD_CONST_KEY_MAP") &&
                 PyTuple_Check(keys);
        list = status ? split_tuple(p->s, p->start, last - 2,
                                    (size_t)PyTuple_GET_SIZE(keys))
                      : NULL;
        status = list != NULL ? add_items(result, keys, 0, list) : 0;
        Py_XDECREF(list);
    }
    if (status != 1 || PyErr_Occurred()) {
        Py_CLEAR(result);
    }
    return result;
}

/* -- Defaults ------------------------------------------------------------- */

/* Where the defaults by position and by keyword are computed. */
static int
find_defaults(const struct hr_steps *s, const struct hr_steps *outer,
              const struct hr_site *site, struct part parts[2])
{
    struct hr_site around;
    int passed[2] = {0};
    for (int k = 0; k < 2; k++) {
        size_t first = site->part[k], end = site->part_end[k];
        PyObject *value = end > 0 ? s->steps[first].value : Py_None;
        parts[k] = (struct part){s, first, end};
        passed[k] = end == first + 1 && hr_site_is(s, first, "LOAD_FAST") &&
                    PyUnicode_Check(value) &&
                    PyUnicode_ReadChar(value, 0) == '.';
    }
    if (!passed[0] && !passed[1]) {
        return 1;
    }
    if (outer == NULL || !hr_site_find_function(outer, s->code, &around)) {
        return 0;
    }
    size_t end = around.start;
    if (end > 0 && hr_site_is(outer, end - 1, "SWAP")) {
        end--;
    }
    for (int k = 1; k >= 0; k--) {
        if (passed[k]) {
            parts[k] = (struct part){outer, 0, end};
            if (!hr_site_find_value(outer, end, &parts[k].start)) {
                return 0;
            }
            end = parts[k].start;
        }
    }
    return 1;
}

static int
read_defaults(const struct part parts[2], PyObject *code, PyObject **result)
{
    PyObject *all = read_map(&parts[1]), *list = NULL;
    int status = all == NULL ? 0 : 1;
    if (status && parts[0].end > 0) {
        PyObject *names = PyObject_GetAttrString(code, "co_varnames");
        list = names ? split_part(&parts[0]) : NULL;
        status = list != NULL ? add_items(all, names,
                                          ((PyCodeObject *)code)->co_argcount -
                                              PyList_GET_SIZE(list),
                                          list)
                              : 0;
        Py_XDECREF(list);
        Py_XDECREF(names);
    }
    if (status != 1) {
        Py_CLEAR(all);
    }
    *result = all;
    return PyErr_Occurred() ? -1 : 0;
}

/* -- Annotations ---------------------------------------------------------- */

/* A tuple of names and values in turn; up to 3.9 a map. */
static int
read_notes(const struct part *p, PyObject **result)
{
    *result = NULL;
    if (p->end == 0 || hr_site_is(p->s, p->end - 1, "BUILD_CONST_KEY_MAP")) {
        *result = read_map(p);
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *list = split_part(p);
    PyObject *all = list ? PyDict_New() : NULL;
    int status = all != NULL;
    for (Py_ssize_t i = 0; status == 1 && i + 1 < PyList_GET_SIZE(list);
         i += 2) {
        PyObject *step = PyTuple_GET_ITEM(PyList_GET_ITEM(list, i), 0);
        status = PyDict_SetItem(all, PyTuple_GET_ITEM(step, 1),
                                PyList_GET_ITEM(list, i + 1)) == 0;
    }
    if (status == 1) {
        *result = Py_NewRef(all);
    }
    Py_XDECREF(all);
    Py_XDECREF(list);
    return PyErr_Occurred() ? -1 : 0;
}

/* -- The whole ------------------------------------------------------------ */

/* All that is computed since the statement before. */
static PyObject *
read_whole(const struct hr_steps *s, size_t end)
{
    size_t first = end;
    while (first > 0) {
        const char *op = s->steps[first - 1].op;
        if (strncmp(op, "STORE_", 6) == 0 || strcmp(op, "POP_TOP") == 0 ||
            strcmp(op, "RESUME") == 0) {
            break;
        }
        first--;
    }
    return hr_site_expression(s, first, end);
}

int
hr_header_read(const struct hr_steps *s, const struct hr_steps *outer,
               PyObject *code, struct hr_header *h)
{
    struct hr_site site;
    struct part parts[2];
    int found = hr_site_find_function(s, code, &site), status = 0;
    if (site.head_end > 0) {
        h->whole = read_whole(s, site.head_end);
        status = h->whole == NULL ? -1 : 0;
    }
    if (status == 0 && found) {
        if (find_defaults(s, outer, &site, parts)) {
            status = read_defaults(parts, code, &h->defaults);
        }
        else {
            Py_CLEAR(h->whole); /* a part of it is not here */
        }
    }
    if (status == 0 && found) {
        struct part notes = {s, site.part[2], site.part_end[2]};
        status = read_notes(&notes, &h->notes);
    }
    return status;
}

void
hr_header_clear(struct hr_header *h)
{
    Py_CLEAR(h->defaults);
    Py_CLEAR(h->notes);
    Py_CLEAR(h->whole);
}
