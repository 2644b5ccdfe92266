/* What the code around a nested function does: where it makes the function,
 * and what it assigns to the variables that this closes over.
 *
 * The bytecode is read, not the text: it says which names are global, and is
 * there for code whose text is gone.  An expression is a run of instructions
 * without jumps, found backwards from its end by their effects on the stack,
 * and is handed out as a tuple of (name of the operation, argument), so that
 * two can be compared (hr_code_is_same_const) and some be computed
 * (compute.c).
 *
 * For match.c, outline.c, header.c, fit.c and known.c.
 */
#include "nest.h"

static int
starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* -- Reading -------------------------------------------------------------- */

/* Can it go on anywhere but at the next instruction? */
static int
jumps(const char *op)
{
    static const char *const parts[] = {
        "JUMP",  "FOR_ITER", "SEND",  "SETUP_FINALLY", "SETUP_WITH", "YIELD",
        "RAISE", "RETURN_",  "CLEAN", "BEFORE_",       "WITH_",      NULL};
    for (int i = 0; parts[i] != NULL; i++) {
        if (strstr(op, parts[i]) != NULL) {
            return 1;
        }
    }
    return 0;
}

static int
add_step(struct hr_steps *s, PyObject *op, PyObject *value, int effect,
         int line, int target)
{
    const char *name = PyUnicode_AsUTF8(op);
    PyObject *pair = name ? PyTuple_Pack(2, op, value) : NULL;
    int status = pair == NULL ? -1 : PyList_Append(s->list, pair);
    Py_XDECREF(pair);
    if (status < 0) {
        return -1;
    }
    s->steps[s->count++] = (struct hr_step){
        name, PyTuple_GET_ITEM(pair, 1), effect, line, target, jumps(name)};
    return 0;
}

/* 3.13 has instructions that are two. */
static int
add_double(struct hr_steps *s, const char *name, PyObject *value, int line,
           int target)
{
    const char *first =
        strncmp(name, "LOAD", 4) == 0 ? "LOAD_FAST" : "STORE_FAST";
    const char *second =
        strstr(name, "_LOAD_FAST") != NULL ? "LOAD_FAST" : "STORE_FAST";
    const char *names[] = {first, second};
    for (int i = 0; i < 2; i++) {
        PyObject *op = PyUnicode_InternFromString(names[i]);
        int status = op == NULL ? -1
                                : add_step(s, op, PyTuple_GET_ITEM(value, i),
                                           names[i][0] == 'L' ? 1 : -1, line,
                                           i == 0 && target);
        Py_XDECREF(op);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static int
add_instruction(struct hr_steps *s, PyObject *i)
{
    static const char *const names[] = {"opname", "opcode", "arg",
                                        "argval", "offset", "is_jump_target"};
    PyObject *v[6];
    int status = 0;
    for (int k = 0; k < 6; k++) {
        v[k] = PyObject_GetAttrString(i, names[k]);
        status |= v[k] == NULL ? -1 : 0;
    }
    const char *op = status == 0 ? PyUnicode_AsUTF8(v[0]) : NULL;
    if (op == NULL) {
        status = -1;
    }
    else if (strcmp(op, "EXTENDED_ARG") != 0 && strcmp(op, "CACHE") != 0) {
        int arg = v[2] == Py_None ? 0 : (int)PyLong_AsLong(v[2]);
        int opcode = (int)PyLong_AsLong(v[1]);
        int line = PyCode_Addr2Line((PyCodeObject *)s->code,
                                    (int)PyLong_AsLong(v[4]));
        int effect = PyCompile_OpcodeStackEffectWithJump(opcode, arg, 0);
        int target = PyObject_IsTrue(v[5]);
        if (PyErr_Occurred()) {
            status = -1;
        }
        else if (strstr(op, "_FAST_") != NULL && PyTuple_Check(v[3]) &&
                 PyTuple_GET_SIZE(v[3]) == 2) {
            status = add_double(s, op, v[3], line, target);
        }
        else {
#if PY_VERSION_HEX >= 0x030B0000
            if (strcmp(op, "LOAD_GLOBAL") == 0 && (arg & 1)) {
                Py_SETREF(v[0],
                          PyUnicode_InternFromString("LOAD_GLOBAL + NULL"));
            }
#endif
            status = v[0] == NULL
                         ? -1
                         : add_step(s, v[0], v[3], effect, line, target);
        }
    }
    for (int k = 0; k < 6; k++) {
        Py_XDECREF(v[k]);
    }
    return status;
}

int
hr_site_read(PyObject *code, struct hr_steps *s)
{
    PyObject *dis = PyImport_ImportModule("dis");
    PyObject *each =
        dis ? PyObject_CallMethod(dis, "get_instructions", "O", code) : NULL;
    PyObject *all = each ? PySequence_List(each) : NULL;
    int status = all == NULL ? -1 : 0;
    *s = (struct hr_steps){.code = code};
    if (all != NULL) {
        s->list = PyList_New(0);
        s->steps = PyMem_Calloc((size_t)PyList_GET_SIZE(all) * 2 + 1,
                                sizeof *s->steps);
        if (s->list == NULL || s->steps == NULL) {
            PyErr_NoMemory();
            status = -1;
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(all); i++) {
        status = add_instruction(s, PyList_GET_ITEM(all, i));
    }
    if (status < 0) {
        hr_site_clear(s);
    }
    Py_XDECREF(all);
    Py_XDECREF(each);
    Py_XDECREF(dis);
    return status;
}

void
hr_site_clear(struct hr_steps *s)
{
    PyMem_Free(s->steps);
    Py_CLEAR(s->list);
    s->steps = NULL;
    s->count = 0;
}

/* -- Expressions ---------------------------------------------------------- */

int
hr_site_find_value(const struct hr_steps *s, size_t end, size_t *start)
{
    int wanted = 1;
    for (size_t i = end; i-- > 0;) {
        const struct hr_step *step = &s->steps[i];
        if (step->jumps) {
            return 0;
        }
        wanted -= step->effect;
        if (wanted == 0) {
            *start = i;
            return 1;
        }
        if (wanted < 0 || step->target) {
            return 0;
        }
    }
    return 0;
}

PyObject *
hr_site_expression(const struct hr_steps *s, size_t start, size_t end)
{
    PyObject *list =
        PyList_GetSlice(s->list, (Py_ssize_t)start, (Py_ssize_t)end);
    PyObject *result = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return result;
}

int
hr_site_is(const struct hr_steps *s, size_t i, const char *op)
{
    return i < s->count && strcmp(s->steps[i].op, op) == 0;
}

int
hr_site_find_function(const struct hr_steps *s, PyObject *code,
                      struct hr_site *site)
{
    size_t i = 0;
    *site = (struct hr_site){0};
    while (i < s->count &&
           !(hr_site_is(s, i, "LOAD_CONST") && s->steps[i].value == code)) {
        i++;
    }
    size_t make = i + 1;
    make +=
        hr_site_is(s, make, "LOAD_CONST"); /* the qualified name, up to 3.10 */
    if (i >= s->count || !hr_site_is(s, make, "MAKE_FUNCTION")) {
        return 0;
    }
    *site = (struct hr_site){
        .load = i, .start = i, .end = make + 1, .head_end = i};
    long flags = PyLong_Check(s->steps[make].value)
                     ? PyLong_AsLong(s->steps[make].value)
                     : 0;
    while (hr_site_is(s, site->end, "SET_FUNCTION_ATTRIBUTE")) {
        flags |= PyLong_AsLong(s->steps[site->end++].value);
    }
    for (int k = 3; k >= 0; k--) {
        size_t end = site->start;
        if (flags & 1 << k) {
            if (!hr_site_find_value(s, end, &site->start)) {
                return 0;
            }
            site->part[k] = site->start;
            site->part_end[k] = end;
        }
        site->head_end = k == 3 ? site->start : site->head_end;
    }
    return 1;
}

/* -- Variables ------------------------------------------------------------ */

/* What an import statement gives to one name: its expression begins before
 * those of the names to its left. */
static int
read_import(const struct hr_steps *s, size_t from, PyObject **result)
{
    size_t i = from;
    while (i > 0 && (hr_site_is(s, i, "IMPORT_FROM") ||
                     starts_with(s->steps[i].op, "STORE_"))) {
        i--;
    }
    if (i < 2 || !hr_site_is(s, i, "IMPORT_NAME")) {
        return 0;
    }
    PyObject *head = hr_site_expression(s, i - 2, i + 1);
    PyObject *tail = head ? hr_site_expression(s, from, from + 1) : NULL;
    *result = tail ? PySequence_Concat(head, tail) : NULL;
    Py_XDECREF(tail);
    Py_XDECREF(head);
    return *result == NULL ? -1 : 1;
}

int
hr_site_read_variable(const struct hr_steps *s, PyObject *name,
                      PyObject **result)
{
    size_t found = 0, count = 0, start;
    *result = NULL;
    for (size_t i = 0; i < s->count; i++) {
        if ((hr_site_is(s, i, "STORE_DEREF") ||
             hr_site_is(s, i, "DELETE_DEREF")) &&
            PyUnicode_Compare(s->steps[i].value, name) == 0) {
            found = i;
            count++;
        }
    }
    /* Assigned twice: which one counts is not known. */
    if (count != 1 || !hr_site_find_value(s, found, &start)) {
        return 0;
    }
    if (start + 1 == found && hr_site_is(s, start, "IMPORT_FROM")) {
        return read_import(s, start, result);
    }
    *result = hr_site_expression(s, start, found);
    return *result == NULL ? -1 : 1;
}
