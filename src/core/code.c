/* Code objects: compiling a piece of a file, moving its lines, comparing.
 *
 * A block is compiled alone, as if it stood on line 1, and its code then moved
 * to its real line: positions are relative to co_firstlineno on every version.
 * Members of a class are compiled inside an empty `class` statement of the
 * same name, so that names are mangled and `__class__` is found as in the
 * real one.
 */
#include "code.h"

/* Indented headers of classes around a member. */
#define MAX_DEPTH 16

/* -- Lines ---------------------------------------------------------------- */

/* The constants, with code moved; the same when there is none. */
static PyObject *
move_constants(PyObject *consts, int delta)
{
    Py_ssize_t n = PyTuple_GET_SIZE(consts), i = 0;
    while (i < n && !PyCode_Check(PyTuple_GET_ITEM(consts, i))) {
        i++;
    }
    if (i == n) {
        return Py_NewRef(consts);
    }
    PyObject *moved = PyTuple_New(n);
    for (i = 0; moved != NULL && i < n; i++) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        o = PyCode_Check(o) ? hr_code_move(o, delta) : Py_NewRef(o);
        if (o == NULL) {
            Py_CLEAR(moved);
            break;
        }
        PyTuple_SET_ITEM(moved, i, o);
    }
    return moved;
}

#ifdef HR_CLASS_HAS_FIRST_LINE
/* Where bytecode, two bytes an instruction, loads the first line of a class
 * for its attribute; -1 in other code. */
static Py_ssize_t
find_first_line(PyCodeObject *c, PyObject *bytes)
{
    const unsigned char *at = (unsigned char *)PyBytes_AS_STRING(bytes);
    Py_ssize_t n = PyBytes_GET_SIZE(bytes);
    for (Py_ssize_t i = 2; i + 1 < n; i += 2) {
        if (at[i] == STORE_NAME && at[i - 2] == LOAD_CONST &&
            at[i + 1] < PyTuple_GET_SIZE(c->co_names) &&
            PyUnicode_CompareWithASCIIString(
                PyTuple_GET_ITEM(c->co_names, at[i + 1]), "__firstlineno__") ==
                0) {
            return i - 2;
        }
    }
    return -1;
}

/* Is the constant loaded once only? */
static int
is_loaded_once(PyObject *bytes, unsigned char index)
{
    const unsigned char *at = (unsigned char *)PyBytes_AS_STRING(bytes);
    int count = 0;
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(bytes); i += 2) {
        count += at[i] == LOAD_CONST && at[i + 1] == index;
    }
    return count == 1;
}

/* The body of a class has its first line among its constants as well; it may
 * share it with a number that only happens to be the same.  The moved code, a
 * stolen reference. */
static PyObject *
move_first_line(PyObject *moved, int delta)
{
    PyCodeObject *c = (PyCodeObject *)moved;
    if (c->co_flags & CO_OPTIMIZED) {
        return moved;
    }
    PyObject *bytes = PyObject_GetAttrString(moved, "co_code");
    Py_ssize_t i = bytes ? find_first_line(c, bytes) : -1;
    Py_ssize_t n = PyTuple_GET_SIZE(c->co_consts);
    unsigned char *at = bytes ? (unsigned char *)PyBytes_AS_STRING(bytes) : 0;
    PyObject *line = i >= 0 ? PyTuple_GET_ITEM(c->co_consts, at[i + 1]) : NULL;
    if (line == NULL || !PyLong_Check(line) || n > UCHAR_MAX) {
        Py_XDECREF(bytes);
        return bytes == NULL ? (Py_DECREF(moved), NULL) : moved;
    }
    int once = is_loaded_once(bytes, at[i + 1]);
    Py_ssize_t index = once ? at[i + 1] : n;
    PyObject *consts = PyList_New(0), *other = NULL, *result = NULL;
    PyObject *code =
        PyBytes_FromStringAndSize((char *)at, PyBytes_GET_SIZE(bytes));
    line = PyLong_FromLong(PyLong_AsLong(line) + delta);
    if (consts != NULL && code != NULL && line != NULL &&
        PyList_SetSlice(consts, 0, 0, c->co_consts) == 0 &&
        PyList_SetSlice(consts, index, index + once, NULL) == 0 &&
        PyList_Insert(consts, index, line) == 0) {
        PyBytes_AS_STRING(code)[i + 1] = (char)index;
        other = PyList_AsTuple(consts);
    }
    if (other != NULL) {
        PyObject *method = PyObject_GetAttrString(moved, "replace");
        PyObject *none = method ? PyTuple_New(0) : NULL;
        PyObject *names =
            none ? Py_BuildValue("{sOsO}", "co_consts", other, "co_code", code)
                 : NULL;
        result = names ? PyObject_Call(method, none, names) : NULL;
        Py_XDECREF(names);
        Py_XDECREF(none);
        Py_XDECREF(method);
    }
    Py_XDECREF(other);
    Py_XDECREF(line);
    Py_XDECREF(code);
    Py_XDECREF(consts);
    Py_DECREF(bytes);
    Py_DECREF(moved);
    return result;
}
#endif

PyObject *
hr_code_move(PyObject *code, int delta)
{
    if (delta == 0) {
        return Py_NewRef(code);
    }
    PyCodeObject *c = (PyCodeObject *)code;
    PyObject *args[] = {code, PyLong_FromLong(c->co_firstlineno + delta),
                        move_constants(c->co_consts, delta)};
    PyObject *method = PyUnicode_InternFromString("replace");
    PyObject *names = Py_BuildValue("(ss)", "co_firstlineno", "co_consts");
    PyObject *moved = NULL;
    if (args[1] != NULL && args[2] != NULL && method != NULL &&
        names != NULL) {
        moved = PyObject_VectorcallMethod(method, args, 1, names);
    }
    Py_XDECREF(args[1]);
    Py_XDECREF(args[2]);
    Py_XDECREF(method);
    Py_XDECREF(names);
#ifdef HR_CLASS_HAS_FIRST_LINE
    if (moved != NULL) {
        moved = move_first_line(moved, delta);
    }
#endif
    return moved;
}

/* -- Compiling ------------------------------------------------------------ */

/* A SyntaxError of a block names the line in the block: correct it. */
static void
move_syntax_error(int delta)
{
    PyObject *type, *value, *traceback;
    if (!PyErr_ExceptionMatches(PyExc_SyntaxError)) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    static const char *const lines[] = {"lineno", "end_lineno"};
    for (int i = 0; i < 2; i++) {
        PyObject *line = PyObject_GetAttrString(value, lines[i]);
        if (line != NULL && PyLong_Check(line) && PyLong_AsLong(line) > 0) {
            PyObject *moved = PyLong_FromLong(PyLong_AsLong(line) + delta);
            if (moved != NULL) {
                (void)PyObject_SetAttrString(value, lines[i], moved);
                Py_DECREF(moved);
            }
        }
        Py_XDECREF(line);
        PyErr_Clear();
    }
    PyErr_Restore(type, value, traceback);
}

/* The code object of that name among the constants.  Borrowed or NULL. */
PyObject *
hr_code_find(PyObject *code, PyObject *name)
{
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    PyObject *deeper = NULL;
    for (Py_ssize_t i = PyTuple_GET_SIZE(consts); i-- > 0;) {
        PyObject *o = PyTuple_GET_ITEM(consts, i);
        if (!PyCode_Check(o)) {
            continue;
        }
        if (PyUnicode_Compare(((PyCodeObject *)o)->co_name, name) == 0) {
            return o;
        }
        /* `def f[T]()`: the function is inside a scope of type parameters. */
        const char *n = PyUnicode_AsUTF8(((PyCodeObject *)o)->co_name);
        if (n != NULL && strncmp(n, "<generic parameters", 19) == 0 &&
            deeper == NULL) {
            deeper = hr_code_find(o, name);
        }
    }
    return deeper;
}

/* May the compiler warn of something in this text?  A backslash that begins no
 * escape, `is` with a literal, an assertion of a tuple. */
static int
may_warn(const char *text, size_t size)
{
    const char *end = text + size, *at = text;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL &&
           end - at > 1) {
        if (strchr("\n\r\\'\"abfnrtvxNuU01234567", at[1]) == NULL) {
            return 1;
        }
        at += 2;
    }
    for (at = text; (at = memmem(at, (size_t)(end - at), " is ", 4)) != NULL;
         at += 3) {
        const char *next = at + 4;
        next += end - next > 4 && strncmp(next, "not ", 4) == 0 ? 4 : 0;
        if (next < end && strchr("0123456789.'\"([{-", *next) != NULL) {
            return 1;
        }
    }
    for (at = text; (at = memmem(at, (size_t)(end - at), "assert", 6)) != NULL;
         at += 6) {
        const char *next = at + 6;
        while (next < end && *next == ' ') {
            next++;
        }
        if (next < end && *next == '(') {
            return 1;
        }
    }
    return 0;
}

/* The text with the heads of the classes around it, behind so many empty
 * lines.  PyMem_Malloc'ed. */
static char *
make_source(struct hr_unit *u, const char *text, size_t size,
            PyObject *const *classes, int depth, size_t blank)
{
    static const char future[] = "from __future__ import annotations";
    size_t head = blank + sizeof future;
    for (int i = 0; i < depth; i++) {
        head += (size_t)PyUnicode_GET_LENGTH(classes[i]) * 4 + MAX_DEPTH + 16;
    }
    char *source = depth > MAX_DEPTH ? NULL : PyMem_Malloc(head + size + 2);
    char *at = source;
    if (source == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (u->compiler != NULL && blank > 0 &&
        (u->future & CO_FUTURE_ANNOTATIONS)) {
        /* Where flags cannot be given. */
        at += sprintf(at, "%s", future);
    }
    memset(at, '\n', blank);
    at += blank;
    for (int i = 0; i < depth; i++) {
        const char *name = PyUnicode_AsUTF8(classes[i]);
        if (name == NULL) {
            PyMem_Free(source);
            return NULL;
        }
        at += sprintf(at, "%*sclass %s:\n", i, "", name);
    }
    memcpy(at, text, size);
    at += size;
    if (size == 0 || at[-1] != '\n') {
        *at++ = '\n';
    }
    *at = '\0';
    return source;
}

static PyObject *
call_compiler(struct hr_unit *u, const char *source)
{
    PyCompilerFlags flags = {.cf_flags = u->future | PyCF_SOURCE_IS_UTF8 |
                                         PyCF_IGNORE_COOKIE,
                             .cf_feature_version = PY_MINOR_VERSION};
    if (u->compiler == NULL) {
        return Py_CompileStringObject(source, u->filename, Py_file_input,
                                      &flags, -1);
    }
    PyObject *bytes = PyBytes_FromString(source);
    PyObject *code = bytes == NULL
                         ? NULL
                         : PyObject_CallFunctionObjArgs(u->compiler, bytes,
                                                        u->filename, NULL);
    Py_XDECREF(bytes);
    if (code != NULL && !PyCode_Check(code)) {
        Py_CLEAR(code);
        PyErr_SetString(PyExc_TypeError,
                        "source_to_code() of the module's loader returned "
                        "something else than code");
    }
    return code;
}

PyObject *
hr_code_compile_text(struct hr_unit *u, const char *source)
{
    int64_t began = hr_clock_ns(CLOCK_MONOTONIC);
    PyObject *code = call_compiler(u, source);
    if (u->plan != NULL) {
        u->plan->st->compile_ns += hr_clock_ns(CLOCK_MONOTONIC) - began;
    }
    return code;
}

PyObject *
hr_code_compile(struct hr_unit *u, const char *text, size_t size, int line,
                PyObject *const *classes, int depth)
{
    /* Lines are moved afterwards; where what is said of them cannot be, the
     * text is compiled where it stands, behind empty lines. */
    size_t above = line > 1 + depth ? (size_t)(line - 1 - depth) : 0;
    int placed = u->compiler != NULL || may_warn(text, size);
#if PY_VERSION_HEX >= 0x030D0000
    /* 3.13: a class's line is a constant of its body. */
    placed = placed || memmem(text, size, "class", 5) != NULL;
#endif
    PyObject *code = NULL, *inner, *result = NULL;
    size_t blank = placed ? above : 0;
    for (int again = 0; again < 2; again++) {
        char *source = make_source(u, text, size, classes, depth, blank);
        code = source != NULL ? hr_code_compile_text(u, source) : NULL;
        PyMem_Free(source);
        if (code != NULL || blank == above ||
            !PyErr_ExceptionMatches(PyExc_SyntaxError)) {
            break;
        }
        PyErr_Clear(); /* it names a line, and quotes it */
        blank = above;
    }
    int delta = line - 1 - depth - (int)blank;
    if (code == NULL) {
        move_syntax_error(delta);
        return NULL;
    }
    /* Down to the innermost class's body. */
    inner = code;
    for (int i = 0; i < depth && inner != NULL; i++) {
        inner = hr_code_find(inner, classes[i]);
    }
    if (inner == NULL) {
        PyErr_SetString(PyExc_SystemError, "no class body");
    }
    else {
        result = hr_code_move(inner, delta);
    }
    Py_DECREF(code);
    return result;
}

/* -- Comparing ------------------------------------------------------------ */

static int
is_same_attribute(PyObject *a, PyObject *b, const char *name)
{
    PyObject *x = PyObject_GetAttrString(a, name);
    PyObject *y = PyObject_GetAttrString(b, name);
    int same =
        x == NULL || y == NULL ? -1 : PyObject_RichCompareBool(x, y, Py_EQ);
    Py_XDECREF(x);
    Py_XDECREF(y);
    return same;
}

int
hr_code_is_same_but_constants(PyObject *a, PyObject *b)
{
    static const char *const attributes[] = {
        "co_flags",
        "co_argcount",
        "co_posonlyargcount",
        "co_kwonlyargcount",
        "co_nlocals",
        "co_names",
        "co_varnames",
        "co_freevars",
        "co_cellvars",
        "co_name",
        "co_code",
#if PY_VERSION_HEX >= 0x030B0000
        "co_exceptiontable",
#endif
        NULL
    };
    if (a == b) {
        return 1;
    }
    int same = 1;
    for (int i = 0; same == 1 && attributes[i] != NULL; i++) {
        same = is_same_attribute(a, b, attributes[i]);
    }
    hr_compat_forget_views(a);
    hr_compat_forget_views(b);
    return same;
}

int
hr_code_is_same(PyObject *a, PyObject *b)
{
    int same = hr_code_is_same_but_constants(a, b);
    return same != 1 ? same
                     : hr_code_is_same_const(((PyCodeObject *)a)->co_consts,
                                             ((PyCodeObject *)b)->co_consts);
}

/* Constants are equal when type, value and, in tuples, items are: 1 is not
 * 1.0 nor True, 0.0 is not -0.0. */
int
hr_code_is_same_const(PyObject *a, PyObject *b)
{
    if (a == b) {
        return 1;
    }
    if (Py_TYPE(a) != Py_TYPE(b)) {
        return 0;
    }
    if (PyCode_Check(a)) {
        return hr_code_is_same(a, b);
    }
    if (PyTuple_CheckExact(a)) {
        Py_ssize_t n = PyTuple_GET_SIZE(a);
        int same = n == PyTuple_GET_SIZE(b);
        for (Py_ssize_t i = 0; same == 1 && i < n; i++) {
            same = hr_code_is_same_const(PyTuple_GET_ITEM(a, i),
                                         PyTuple_GET_ITEM(b, i));
        }
        return same;
    }
    if (PyFloat_CheckExact(a) || PyComplex_CheckExact(a)) {
        PyObject *x = PyObject_Repr(a), *y = PyObject_Repr(b);
        int same = x && y ? PyUnicode_Compare(x, y) == 0 : -1;
        Py_XDECREF(x);
        Py_XDECREF(y);
        return same;
    }
    return PyObject_RichCompareBool(a, b, Py_EQ);
}

int
hr_code_future_flags(const char *text, const struct hr_blocks *blocks)
{
    static const char *const names[] = {"annotations", "barry_as_FLUFL", NULL};
    int flags = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        if (b->kind == HR_BLOCK_FUTURE) {
            for (int k = 0; names[k] != NULL; k++) {
                if (memmem(text + b->start, b->end - b->start, names[k],
                           strlen(names[k])) != NULL) {
                    flags |= k == 0 ? CO_FUTURE_ANNOTATIONS
                                    : CO_FUTURE_BARRY_AS_BDFL;
                }
            }
        }
    }
    return flags;
}
