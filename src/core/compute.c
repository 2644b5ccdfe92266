/* Expressions of the code around a live closure, computed as they would be
 * there.
 *
 * Expressions are those of site.c: instructions without jumps.  Only what has
 * no effect is computed, and only from what is known (known.c).
 *
 * For known.c, fit.c and local.c.
 */
#include "nest.h"

struct machine {
    struct hr_scene *s;
    PyObject *stack; /* owned: list */
    int fresh;       /* a new list may be made */
};

static int
push(struct machine *m, PyObject *o)
{
    int status = o == NULL ? -1 : PyList_Append(m->stack, o);
    Py_XDECREF(o);
    return status < 0 ? -1 : 1;
}

/* A new reference; NULL without an exception when there is none. */
static PyObject *
pop(struct machine *m)
{
    Py_ssize_t n = PyList_GET_SIZE(m->stack);
    PyObject *o = n > 0 ? Py_NewRef(PyList_GET_ITEM(m->stack, n - 1)) : NULL;
    if (o != NULL && PyList_SetSlice(m->stack, n - 1, n, NULL) < 0) {
        Py_CLEAR(o);
    }
    return o;
}

/* The last n as a tuple; NULL without an exception when there are fewer. */
static PyObject *
pop_tuple(struct machine *m, long n)
{
    Py_ssize_t size = PyList_GET_SIZE(m->stack);
    PyObject *items =
        n <= size ? PyList_GetSlice(m->stack, size - n, size) : NULL;
    PyObject *result = items ? PyList_AsTuple(items) : NULL;
    if (result != NULL &&
        PyList_SetSlice(m->stack, size - n, size, NULL) < 0) {
        Py_CLEAR(result);
    }
    Py_XDECREF(items);
    return result;
}

/* A name of the module, as the batch will leave it. */
static int
load_global(struct machine *m, PyObject *name)
{
    PyObject *globals = m->s->globals;
    PyObject *value = PyDict_GetItemWithError(globals, name);
    hr_place_peek(m->s->j, HR_PLACE_DICT, globals, name, &value);
    if (value == NULL) {
        PyObject *builtins = PyEval_GetBuiltins();
        value = builtins ? PyDict_GetItemWithError(builtins, name) : NULL;
    }
    return value != NULL ? push(m, Py_NewRef(value))
                         : -(PyErr_Occurred() != NULL);
}

static int
load_name(struct machine *m, PyObject *name)
{
    PyObject *type = m->s->type, *value = NULL;
    if (m->s->members != NULL) {
        value = PyDict_GetItemWithError(m->s->members, name);
    }
    if (value == NULL && type != NULL) {
        value = PyDict_GetItemWithError(
            hr_compat_type_dict((PyTypeObject *)type), name);
    }
    return value != NULL ? push(m, Py_NewRef(value)) : load_global(m, name);
}

static int
load_cell(struct machine *m, PyObject *name, int content)
{
    PyObject *cell;
    int status = hr_known_cell(m->s, name, &cell);
    if (status == 1 && content) {
        PyObject *value = hr_compat_cell_peek(cell);
        status = value == NULL ? 0 : push(m, Py_NewRef(value));
    }
    else if (status == 1) {
        status = push(m, Py_NewRef(cell));
    }
    Py_XDECREF(cell);
    return status;
}

/* Of a module, as the batch will leave it. */
static int
load_attribute(struct machine *m, PyObject *name)
{
    PyObject *module = pop(m), *value = NULL;
    if (module != NULL && PyModule_CheckExact(module)) {
        PyObject *dict = PyModule_GetDict(module);
        value = PyDict_GetItemWithError(dict, name);
        hr_place_peek(m->s->j, HR_PLACE_DICT, dict, name, &value);
        Py_XINCREF(value);
    }
    Py_XDECREF(module);
    return value != NULL ? push(m, value) : -(PyErr_Occurred() != NULL);
}

/* Is it what annotations are made of, a class or something of `typing`?  What
 * is done with these has no effect. */
static int
is_type(PyObject *o, int closed)
{
    static const char *const modules[] = {
        "builtins", "typing", "types", "collections", "collections.abc", NULL};
    int is_class = PyType_Check(o);
    if (o == Py_None || (is_class && !closed)) {
        return o == Py_None || Py_TYPE(o) == &PyType_Type;
    }
    PyObject *home = PyObject_GetAttrString(
        is_class ? o : (PyObject *)Py_TYPE(o), "__module__");
    /* What `builtins` has counts as a class only. */
    int is = home != NULL && PyUnicode_Check(home) &&
             hr_name_is_one_of(home, is_class ? modules : modules + 1);
    Py_XDECREF(home);
    PyErr_Clear();
    return is;
}

/* `list[int]`, `int | None` */
static int
join_types(struct machine *m, PyObject *(*join)(PyObject *, PyObject *),
           int subscript)
{
    PyObject *b = pop(m), *a = pop(m), *value = NULL;
    int status = a != NULL && b != NULL && is_type(a, subscript) &&
                 (subscript || is_type(b, 0));
    if (status) {
        value = join(a, b);
        status = value != NULL ? push(m, value) : hr_evaluate_forgive(m->s->p);
    }
    Py_XDECREF(a);
    Py_XDECREF(b);
    return PyErr_Occurred() ? -1 : status;
}

/* From 3.13 on a cell goes into a closure as any variable does. */
static int
load_fast(struct machine *m, PyObject *name)
{
    const struct hr_steps *around[] = {m->s->parent, m->s->outer};
    int is_cell = 0;
    for (int i = 0; i < 2 && is_cell == 0 && PyUnicode_Check(name); i++) {
        if (around[i] != NULL) {
            is_cell = hr_known_has(around[i]->code, "co_cellvars", name);
            is_cell = is_cell != 0
                          ? is_cell
                          : hr_known_has(around[i]->code, "co_freevars", name);
        }
    }
    return is_cell == 1 ? load_cell(m, name, 0) : is_cell;
}

/* What MAKE_FUNCTION's flags and SET_FUNCTION_ATTRIBUTE mean. */
static int
set_part(PyObject *function, long flag, PyObject *value)
{
    PyFunctionObject *f = (PyFunctionObject *)function;
    PyObject **slot = flag == 1   ? &f->func_defaults
                      : flag == 2 ? &f->func_kwdefaults
                      : flag == 4 ? &f->func_annotations
                                  : &f->func_closure;
    if (value == NULL) {
        return -(PyErr_Occurred() != NULL);
    }
    Py_XSETREF(*slot, value);
    return 1;
}

static int
make_function(struct machine *m, long flags)
{
#if PY_VERSION_HEX < 0x030B0000
    PyObject *qualname = pop(m);
#else
    PyObject *qualname = NULL;
#endif
    PyObject *code = pop(m), *f = NULL;
    int status = code != NULL && PyCode_Check(code);
    if (status && code == m->s->self_code) {
        f = Py_NewRef(m->s->self);
    }
    else if (status) {
        f = PyFunction_NewWithQualName(code, m->s->globals, qualname);
    }
    status = f != NULL ? 1 : -(PyErr_Occurred() != NULL);
    for (long flag = 8; status == 1 && flag > 0; flag >>= 1) {
        if (flags & flag) {
            PyObject *part = pop(m);
            if (f == m->s->self) {
                Py_XDECREF(part);
            }
            else {
                status = set_part(f, flag, part);
            }
        }
    }
    Py_XDECREF(code);
    Py_XDECREF(qualname);
    if (status == 1) {
        return push(m, f);
    }
    Py_XDECREF(f);
    return status;
}

static int
set_attribute(struct machine *m, long flag)
{
    PyObject *f = pop(m), *part = pop(m);
    int status = f != NULL && part != NULL;
    if (status && f == m->s->self) {
        Py_DECREF(part);
    }
    else if (status) {
        status = PyFunction_Check(f) ? set_part(f, flag, part)
                                     : (Py_DECREF(part), 0);
    }
    return status == 1 ? push(m, f) : (Py_XDECREF(f), status);
}

/* Only of what makes a descriptor of a function. */
static int
call(struct machine *m, int count)
{
    PyObject *argument = pop(m), *callee = pop(m);
    int status = 0;
    if (count == 1 && argument != NULL && PyFunction_Check(argument) &&
        (callee == (PyObject *)&PyProperty_Type ||
         callee == (PyObject *)&PyStaticMethod_Type ||
         callee == (PyObject *)&PyClassMethod_Type)) {
        status = push(m, PyObject_CallOneArg(callee, argument));
    }
    Py_XDECREF(argument);
    Py_XDECREF(callee);
    return status;
}

static int
import_name(struct machine *m, PyObject *name)
{
    PyObject *from = pop(m), *level = pop(m), *module = NULL;
    if (from != NULL && level != NULL && PyLong_Check(level)) {
        module = PyImport_ImportModuleLevelObject(
            name, m->s->globals, NULL, from, (int)PyLong_AsLong(level));
    }
    Py_XDECREF(from);
    Py_XDECREF(level);
    return module != NULL ? push(m, module) : hr_evaluate_forgive(m->s->p);
}

static int
import_from(struct machine *m, PyObject *name)
{
    Py_ssize_t n = PyList_GET_SIZE(m->stack);
    PyObject *value =
        n > 0 ? PyObject_GetAttr(PyList_GET_ITEM(m->stack, n - 1), name)
              : NULL;
    return value != NULL ? push(m, value) : hr_evaluate_forgive(m->s->p);
}

static int
make_map(struct machine *m, long n)
{
    PyObject *keys = pop(m), *values = pop_tuple(m, n);
    PyObject *map = NULL;
    if (keys != NULL && values != NULL && PyTuple_Check(keys) &&
        PyTuple_GET_SIZE(keys) == n && (map = PyDict_New()) != NULL) {
        for (Py_ssize_t i = 0; map != NULL && i < n; i++) {
            if (PyDict_SetItem(map, PyTuple_GET_ITEM(keys, i),
                               PyTuple_GET_ITEM(values, i)) < 0) {
                Py_CLEAR(map);
            }
        }
    }
    Py_XDECREF(keys);
    Py_XDECREF(values);
    return map != NULL ? push(m, map) : -(PyErr_Occurred() != NULL);
}

static int
swap_top(struct machine *m)
{
    PyObject *a = pop(m), *b = pop(m);
    int status = a != NULL && b != NULL;
    if (status) {
        status =
            push(m, Py_NewRef(a)) == 1 && push(m, Py_NewRef(b)) == 1 ? 1 : -1;
    }
    Py_XDECREF(a);
    Py_XDECREF(b);
    return status;
}

#define BINARY_OR 7 /* `|`: the argument of BINARY_OP, from 3.11 on */

/* 1; 0: it cannot be known; -1 with an exception. */
static int
run_step(struct machine *m, const char *op, PyObject *value)
{
    long n = PyLong_Check(value) ? PyLong_AsLong(value) : -1;
#define IS(name) (strcmp(op, name) == 0)
    if (IS("LOAD_CONST")) {
        return push(m, Py_NewRef(value));
    }
    if (IS("LOAD_GLOBAL")) {
        return load_global(m, value);
    }
    if (IS("LOAD_NAME")) {
        return load_name(m, value);
    }
    if (IS("LOAD_CLOSURE")) {
        return load_cell(m, value, 0);
    }
    if (IS("LOAD_FAST")) {
        return load_fast(m, value);
    }
    if (IS("LOAD_DEREF") || IS("LOAD_CLASSDEREF") ||
        IS("LOAD_FROM_DICT_OR_DEREF")) {
        return load_cell(m, value, 1);
    }
    if (IS("BUILD_TUPLE")) {
        PyObject *tuple = pop_tuple(m, n);
        return tuple ? push(m, tuple) : -(PyErr_Occurred() != NULL);
    }
    if ((IS("BUILD_LIST") || IS("BUILD_MAP")) && n == 0 && m->fresh) {
        return push(m, IS("BUILD_MAP") ? PyDict_New() : PyList_New(0));
    }
    if (IS("BUILD_CONST_KEY_MAP")) {
        return make_map(m, n);
    }
    if (IS("MAKE_FUNCTION")) {
        return make_function(m, n > 0 ? n : 0);
    }
    if (IS("SET_FUNCTION_ATTRIBUTE")) {
        return set_attribute(m, n);
    }
    if (IS("CALL_FUNCTION") || IS("CALL")) {
        /* From 3.11 on the one argument of a decorator stands where self
         * does. */
        return call(m, IS("CALL") ? (int)n + 1 : (int)n);
    }
    if (IS("IMPORT_NAME")) {
        return import_name(m, value);
    }
    if (IS("IMPORT_FROM")) {
        return import_from(m, value);
    }
    if (IS("ROT_TWO") || (IS("SWAP") && n == 2)) {
        return swap_top(m);
    }
    if (IS("POP_TOP")) {
        PyObject *o = pop(m);
        Py_XDECREF(o);
        return o != NULL;
    }
    if (IS("LOAD_ATTR")) {
        return load_attribute(m, value);
    }
    if (IS("BINARY_SUBSCR")) {
        return join_types(m, PyObject_GetItem, 1);
    }
    if (IS("BINARY_OR") || (IS("BINARY_OP") && n == BINARY_OR)) {
        return join_types(m, PyNumber_Or, 0);
    }
    return IS("PRECALL") || IS("LOAD_LOCALS") || IS("NOP");
#undef IS
}

int
hr_compute_value(struct hr_scene *s, PyObject *expression, int fresh,
                 PyObject **value)
{
    struct machine m = {s, PyList_New(0), fresh};
    int status = m.stack == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; status == 1 && i < PyTuple_GET_SIZE(expression);
         i++) {
        PyObject *step = PyTuple_GET_ITEM(expression, i);
        const char *op = PyUnicode_AsUTF8(PyTuple_GET_ITEM(step, 0));
        status = op == NULL ? -1 : run_step(&m, op, PyTuple_GET_ITEM(step, 1));
    }
    *value = status == 1 ? pop(&m) : NULL;
    Py_XDECREF(m.stack);
    return status == 1 && *value == NULL ? -1 : status;
}
