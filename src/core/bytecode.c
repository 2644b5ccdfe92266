/* What a code object does, read from its bytecode: names, cells, calls.
 *
 * Nothing of it runs.  Opcodes are asked for by their names, as their numbers
 * differ from version to version.
 */
#include "code.h"

int
hr_bytecode_number(const char *name)
{
    static const char *const module_name = "opcode";
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *map = module ? PyObject_GetAttrString(module, "opmap") : NULL;
    PyObject *number = map ? PyMapping_GetItemString(map, name) : NULL;
    int result = number ? (int)PyLong_AsLong(number) : -1;
    PyErr_Clear();
    Py_XDECREF(number);
    Py_XDECREF(map);
    Py_XDECREF(module);
    return result;
}

/* -- Instructions --------------------------------------------------------- */

int
hr_bytecode_open(struct hr_bytecode *b, PyObject *code)
{
    *b = (struct hr_bytecode){.code = code,
                              .bytes = PyObject_GetAttrString(code, "co_code"),
                              .extended = hr_bytecode_number("EXTENDED_ARG")};
    return b->bytes == NULL ? -1 : 0;
}

int
hr_bytecode_next(struct hr_bytecode *b)
{
    int arg = 0;
    while (b->next + 1 < PyBytes_GET_SIZE(b->bytes)) {
        const unsigned char *at =
            (const unsigned char *)PyBytes_AS_STRING(b->bytes) + b->next;
        b->at = b->next;
        b->next += 2;
        arg = arg << 8 | at[1];
        if (at[0] != b->extended) {
            b->op = at[0];
            b->arg = arg;
            return 1;
        }
    }
    return 0;
}

void
hr_bytecode_close(struct hr_bytecode *b)
{
    if (b->bytes != NULL) {
        Py_CLEAR(b->bytes);
        hr_compat_forget_views(b->code);
    }
}

/* -- Names ---------------------------------------------------------------- */

int
hr_bytecode_calls(PyObject *code)
{
    PyObject *module = PyImport_ImportModule("opcode");
    PyObject *names = module ? PyObject_GetAttrString(module, "opname") : NULL;
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    int calls = names == NULL || bytes == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; calls == 0 && i < PyBytes_GET_SIZE(bytes); i += 2) {
        PyObject *op =
            PyList_GetItem(names, (unsigned char)PyBytes_AS_STRING(bytes)[i]);
        const char *name = op != NULL ? PyUnicode_AsUTF8(op) : NULL;
        calls = name == NULL ? -1
                             : strncmp(name, "CALL", 4) == 0 &&
                                   strncmp(name, "CALL_INTRINSIC", 14) != 0;
    }
    Py_XDECREF(bytes);
    Py_XDECREF(names);
    Py_XDECREF(module);
    return calls;
}

int
hr_bytecode_writes_globals(PyObject *code)
{
    int store = hr_bytecode_number("STORE_GLOBAL"),
        del = hr_bytecode_number("DELETE_GLOBAL");
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    int writes = bytes == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; writes == 0 && i < PyBytes_GET_SIZE(bytes);
         i += 2) {
        int op = (unsigned char)PyBytes_AS_STRING(bytes)[i];
        writes = op == store || op == del;
    }
    Py_XDECREF(bytes);
    hr_compat_forget_views(code);
    for (Py_ssize_t i = 0; writes == 0 && i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        writes = PyCode_Check(o) ? hr_bytecode_writes_globals(o) : 0;
    }
    return writes;
}

/* Is the last part of the name in the set? */
static int
has_last_part(PyObject *set, PyObject *name)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(name);
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, -1);
    PyObject *last = PyUnicode_Substring(name, dot + 1, n);
    int has = last == NULL ? -1 : PySet_Contains(set, last);
    Py_XDECREF(last);
    return has;
}

int
hr_bytecode_imports(PyObject *code, PyObject *set)
{
    int import = hr_bytecode_number("IMPORT_NAME"), found = 0;
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    struct hr_bytecode b;
    if (hr_bytecode_open(&b, code) < 0) {
        return -1;
    }
    while (found == 0 && hr_bytecode_next(&b)) {
        if (b.op == import && b.arg < PyTuple_GET_SIZE(names)) {
            found = has_last_part(set, PyTuple_GET_ITEM(names, b.arg));
        }
    }
    hr_bytecode_close(&b);
    for (Py_ssize_t i = 0; found == 0 && i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        found = PyCode_Check(o) ? hr_bytecode_imports(o, set) : 0;
    }
    return found;
}

PyObject *
hr_bytecode_stored_names(PyObject *code)
{
    int store = hr_bytecode_number("STORE_NAME"),
        global = hr_bytecode_number("STORE_GLOBAL");
    PyObject *names = ((PyCodeObject *)code)->co_names;
    struct hr_bytecode b;
    if (hr_bytecode_open(&b, code) < 0) {
        return NULL;
    }
    PyObject *result = PyList_New(0);
    while (result != NULL && hr_bytecode_next(&b)) {
        if ((b.op == store || b.op == global) &&
            b.arg < PyTuple_GET_SIZE(names) &&
            PyList_Append(result, PyTuple_GET_ITEM(names, b.arg)) < 0) {
            Py_CLEAR(result);
        }
    }
    hr_bytecode_close(&b);
    return result;
}

/* Code that runs together with what it is nested in: comprehensions, before
 * 3.12, and the bodies of classes. */
static int
nested_reads(PyObject *code, PyObject *name)
{
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(consts); i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (!PyCode_Check(o)) {
            continue;
        }
        PyCodeObject *c = (PyCodeObject *)o;
        const char *n = PyUnicode_AsUTF8(c->co_name);
        if (n != NULL &&
            ((n[0] == '<' && strcmp(n, "<lambda>") != 0) ||
             !(c->co_flags & CO_OPTIMIZED)) &&
            (PySequence_Contains(c->co_names, name) == 1 ||
             nested_reads(o, name))) {
            return 1;
        }
    }
    return 0;
}

int
hr_bytecode_uses(PyObject *code, PyObject *name)
{
    int load = hr_bytecode_number("LOAD_NAME"),
        store = hr_bytecode_number("STORE_NAME");
    int global = hr_bytecode_number("STORE_GLOBAL"),
        del = hr_bytecode_number("DELETE_NAME"), uses = 0;
    PyObject *names = ((PyCodeObject *)code)->co_names;
    struct hr_bytecode b;
    if (hr_bytecode_open(&b, code) < 0) {
        return -1;
    }
    while (hr_bytecode_next(&b)) {
        if ((b.op == load || b.op == store || b.op == global || b.op == del) &&
            b.arg < PyTuple_GET_SIZE(names) &&
            PyUnicode_Compare(PyTuple_GET_ITEM(names, b.arg), name) == 0) {
            uses |= b.op == del            ? HR_USES_DELETES
                    : b.op != load         ? HR_USES_BINDS
                    : uses & HR_USES_BINDS ? 0
                                           : HR_USES_VALUE;
        }
    }
    hr_bytecode_close(&b);
    if (nested_reads(code, name)) {
        uses |= HR_USES_VALUE;
    }
    return PyErr_Occurred() ? -1 : uses;
}

/* -- Constants in cells --------------------------------------------------- */

static PyObject *
get_cell_name(PyObject *code, int arg)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyObject_CallMethod(code, "_varname_from_oparg", "i", arg);
#else
    PyObject *names = ((PyCodeObject *)code)->co_cellvars;
    if (arg >= PyTuple_GET_SIZE(names)) {
        arg -= (int)PyTuple_GET_SIZE(names);
        names = ((PyCodeObject *)code)->co_freevars;
    }
    return arg < PyTuple_GET_SIZE(names)
               ? Py_NewRef(PyTuple_GET_ITEM(names, arg))
               : NULL;
#endif
}

int
hr_bytecode_stores_cell(PyObject *code, PyObject *name)
{
    int store = hr_bytecode_number("STORE_DEREF"),
        del = hr_bytecode_number("DELETE_DEREF"), stores = 0;
    struct hr_bytecode b;
    if (hr_bytecode_open(&b, code) < 0) {
        return -1;
    }
    while (stores == 0 && hr_bytecode_next(&b)) {
        if (b.op == store || b.op == del) {
            PyObject *cell = get_cell_name(code, b.arg);
            stores = cell == NULL ? -1 : PyUnicode_Compare(cell, name) == 0;
            Py_XDECREF(cell);
        }
    }
    hr_bytecode_close(&b);
    return stores;
}

/* Assigned twice: which one counts is not known. */
static int
note_constant(PyObject *result, PyObject *seen, PyObject *name,
              PyObject *constant)
{
    int again = PySet_Contains(seen, name);
    if (again < 0 || PySet_Add(seen, name) < 0) {
        return -1;
    }
    if (!again) {
        return constant != NULL ? PyDict_SetItem(result, name, constant) : 0;
    }
    return PyDict_GetItemWithError(result, name) != NULL
               ? PyDict_DelItem(result, name)
           : PyErr_Occurred() ? -1
                              : 0;
}

PyObject *
hr_bytecode_constant_cells(PyObject *code)
{
    int load = hr_bytecode_number("LOAD_CONST"),
        store = hr_bytecode_number("STORE_DEREF");
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    PyObject *constant = NULL; /* borrowed */
    struct hr_bytecode b;
    if (hr_bytecode_open(&b, code) < 0) {
        return NULL;
    }
    PyObject *result = PyDict_New(), *seen = PySet_New(NULL);
    int status = result == NULL || seen == NULL ? -1 : 0;
    while (status == 0 && hr_bytecode_next(&b)) {
        if (b.op == store) {
            PyObject *name = get_cell_name(code, b.arg);
            status = name == NULL
                         ? -1
                         : note_constant(result, seen, name, constant);
            Py_XDECREF(name);
        }
        constant = b.op == load && b.arg < PyTuple_GET_SIZE(consts)
                       ? PyTuple_GET_ITEM(consts, b.arg)
                       : NULL;
    }
    hr_bytecode_close(&b);
    Py_XDECREF(seen);
    if (status < 0) {
        Py_CLEAR(result);
    }
    return result;
}
