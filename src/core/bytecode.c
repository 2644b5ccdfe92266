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
    int import = hr_bytecode_number("IMPORT_NAME"), found = 0, arg = 0;
    int extended = hr_bytecode_number("EXTENDED_ARG");
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    if (bytes == NULL) {
        return -1;
    }
    const unsigned char *op = (const unsigned char *)PyBytes_AS_STRING(bytes);
    for (Py_ssize_t i = 0; found == 0 && i + 1 < PyBytes_GET_SIZE(bytes);
         i += 2) {
        arg = arg << 8 | op[i + 1];
        if (op[i] == extended) {
            continue;
        }
        if (op[i] == import && arg < PyTuple_GET_SIZE(names)) {
            found = has_last_part(set, PyTuple_GET_ITEM(names, arg));
        }
        arg = 0;
    }
    Py_DECREF(bytes);
    hr_compat_forget_views(code);
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
    int extended = hr_bytecode_number("EXTENDED_ARG"), arg = 0;
    PyObject *result = PyList_New(0);
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    PyObject *names = ((PyCodeObject *)code)->co_names;
    if (result == NULL || bytes == NULL) {
        Py_XDECREF(result);
        Py_XDECREF(bytes);
        return NULL;
    }
    const unsigned char *op = (const unsigned char *)PyBytes_AS_STRING(bytes);
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(bytes); i += 2) {
        arg = arg << 8 | op[i + 1];
        if (op[i] == extended) {
            continue;
        }
        if ((op[i] == store || op[i] == global) &&
            arg < PyTuple_GET_SIZE(names) &&
            PyList_Append(result, PyTuple_GET_ITEM(names, arg)) < 0) {
            Py_CLEAR(result);
            break;
        }
        arg = 0;
    }
    Py_DECREF(bytes);
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
        del = hr_bytecode_number("DELETE_NAME");
    int extended = hr_bytecode_number("EXTENDED_ARG"), arg = 0, uses = 0;
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    if (bytes == NULL) {
        return -1;
    }
    const unsigned char *op = (const unsigned char *)PyBytes_AS_STRING(bytes);
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(bytes); i += 2) {
        arg = arg << 8 | op[i + 1];
        if (op[i] == extended) {
            continue;
        }
        if ((op[i] == load || op[i] == store || op[i] == global ||
             op[i] == del) &&
            arg < PyTuple_GET_SIZE(names) &&
            PyUnicode_Compare(PyTuple_GET_ITEM(names, arg), name) == 0) {
            uses |= op[i] == del           ? HR_USES_DELETES
                    : op[i] != load        ? HR_USES_BINDS
                    : uses & HR_USES_BINDS ? 0
                                           : HR_USES_VALUE;
        }
        arg = 0;
    }
    Py_DECREF(bytes);
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
    int ops[] = {hr_bytecode_number("STORE_DEREF"),
                 hr_bytecode_number("DELETE_DEREF")};
    int extended = hr_bytecode_number("EXTENDED_ARG"), arg = 0, stores = 0;
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    const unsigned char *op =
        bytes ? (const unsigned char *)PyBytes_AS_STRING(bytes) : NULL;
    Py_ssize_t n = bytes ? PyBytes_GET_SIZE(bytes) : 0;
    for (Py_ssize_t i = 0; stores == 0 && i + 1 < n; i += 2) {
        arg = arg << 8 | op[i + 1];
        if (op[i] == extended) {
            continue;
        }
        if (op[i] == ops[0] || op[i] == ops[1]) {
            PyObject *cell = get_cell_name(code, arg);
            stores = cell == NULL ? -1 : PyUnicode_Compare(cell, name) == 0;
            Py_XDECREF(cell);
        }
        arg = 0;
    }
    Py_XDECREF(bytes);
    return bytes == NULL ? -1 : stores;
}

PyObject *
hr_bytecode_constant_cells(PyObject *code)
{
    int load = hr_bytecode_number("LOAD_CONST"),
        store = hr_bytecode_number("STORE_DEREF");
    int extended = hr_bytecode_number("EXTENDED_ARG");
    PyObject *result = PyDict_New(), *seen = PySet_New(NULL);
    PyObject *bytes = PyObject_GetAttrString(code, "co_code");
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    PyObject *constant = NULL; /* borrowed */
    if (result == NULL || seen == NULL || bytes == NULL) {
        goto error;
    }
    const unsigned char *op = (const unsigned char *)PyBytes_AS_STRING(bytes);
    Py_ssize_t n = PyBytes_GET_SIZE(bytes);
    int arg = 0;
    for (Py_ssize_t i = 0; i + 1 < n; i += 2) {
        arg = arg << 8 | op[i + 1];
        if (op[i] == extended) {
            continue;
        }
        if (op[i] == store) {
            PyObject *name = get_cell_name(code, arg);
            int again = name == NULL ? -1 : PySet_Contains(seen, name);
            if (again < 0 || PySet_Add(seen, name) < 0) {
                Py_XDECREF(name);
                goto error;
            }
            /* Assigned twice: which one counts is not known. */
            if (!again && constant != NULL) {
                (void)PyDict_SetItem(result, name, constant);
            }
            else if (again && PyDict_GetItemWithError(result, name) != NULL) {
                (void)PyDict_DelItem(result, name);
            }
            Py_DECREF(name);
            if (PyErr_Occurred()) {
                goto error;
            }
        }
        constant = op[i] == load && arg < PyTuple_GET_SIZE(consts)
                       ? PyTuple_GET_ITEM(consts, arg)
                       : NULL;
        arg = 0;
    }
    Py_DECREF(bytes);
    Py_DECREF(seen);
    return result;
error:
    Py_XDECREF(bytes);
    Py_XDECREF(seen);
    Py_XDECREF(result);
    return NULL;
}
