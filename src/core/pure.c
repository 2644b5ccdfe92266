/* What can be computed again without anybody noticing.
 *
 * A syntax tree is pure when it only reads names, and attributes of modules
 * and classes, computes with values, and calls what is known to have no effect
 * (value.c).  When in doubt, it is not pure, and then it is not computed.
 * Called by whatever follows a changed value: worlds.c, rerun.c.
 */
#include "code.h"

/* -- Words ---------------------------------------------------------------- */

int
hr_pure_reads(const char *text, size_t size, PyObject *name)
{
    Py_ssize_t n;
    const char *word = PyUnicode_AsUTF8AndSize(name, &n);
    const char *at = text, *end = text + size;
    while (word != NULL && at < end &&
           (at = memmem(at, (size_t)(end - at), word, (size_t)n)) != NULL) {
        const char *after = at + n;
        int before_ok = at == text || !(Py_ISALNUM(at[-1]) || at[-1] == '_');
        int after_ok = after >= end || !(Py_ISALNUM(*after) || *after == '_');
        if (before_ok && after_ok) {
            return 1;
        }
        at++;
    }
    return 0;
}

int
hr_pure_may_read(const char *text, size_t size, PyObject *name)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return 1; /* names can be written in several ways (name.c) */
        }
    }
    return hr_pure_reads(text, size, name);
}

/* -- Expressions ---------------------------------------------------------- */

/* What an expression gives.  Of an ITEM only operators and the methods of
 * texts are used; an OBJECT is only passed on. */
enum kind { IMPURE, OBJECT, ITEM, VALUE };

struct walk {
    const struct hr_world *world;
    PyObject *bound; /* owned: list of names bound in the tree itself */
};

static enum kind look(struct walk *w, PyObject *node, PyObject **object);

static enum kind
look_at_field(struct walk *w, PyObject *node, const char *field)
{
    PyObject *object = NULL;
    return look(w, hr_syntax_get(node, field), &object);
}

/* The weakest of all; operands are what an operator or a call uses. */
static enum kind
look_at_list(struct walk *w, PyObject *list, int operands)
{
    enum kind weakest = VALUE;
    if (!PyList_Check(list)) {
        return IMPURE;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *object = NULL, *node = PyList_GET_ITEM(list, i);
        if (node == Py_None) {
            continue; /* {**d} has no key */
        }
        enum kind k = look(w, node, &object);
        if (k == IMPURE || (operands && k == OBJECT)) {
            return IMPURE;
        }
        weakest = k < weakest ? k : weakest;
    }
    return weakest;
}

static PyObject *
mangle(const struct hr_world *w, PyObject *id)
{
    const char *name = PyUnicode_AsUTF8(id);
    size_t n = name ? strlen(name) : 0;
    if (w->cls == NULL || n < 3 || strncmp(name, "__", 2) != 0 ||
        strcmp(name + n - 2, "__") == 0) {
        return Py_NewRef(id);
    }
    const char *cls = PyUnicode_AsUTF8(w->cls);
    while (cls != NULL && *cls == '_') {
        cls++;
    }
    return cls == NULL || *cls == '\0'
               ? Py_NewRef(id)
               : PyUnicode_FromFormat("_%s%s", cls, name);
}

static enum kind
get_kind(PyObject *o)
{
    return hr_value_is(o) ? VALUE : OBJECT;
}

static enum kind
look_at_name(struct walk *w, PyObject *node, PyObject **object)
{
    PyObject *id = mangle(w->world, hr_syntax_get(node, "id"));
    PyObject *value = NULL;
    if (id == NULL) {
        return IMPURE;
    }
    int bound = PySequence_Contains(w->bound, id) == 1;
    if (!bound && w->world->locals != NULL) {
        value = PyDict_GetItemWithError(w->world->locals, id);
    }
    if (!bound && value == NULL) {
        value = PyDict_GetItemWithError(w->world->globals, id);
    }
    if (!bound && value == NULL) {
        PyObject *builtins = PyEval_GetBuiltins();
        value = builtins ? PyDict_GetItemWithError(builtins, id) : NULL;
    }
    Py_DECREF(id);
    *object = value;
    return bound ? ITEM : value == NULL ? IMPURE : get_kind(value);
}

/* A module or class that stands for another may be asked, but not kept. */
static int
is_proxy(struct walk *w, PyObject *o)
{
    return o != NULL && w->world->proxies != NULL &&
           PySequence_Contains(w->world->proxies, o) == 1;
}

static enum kind look_at_base(struct walk *w, PyObject *node,
                              PyObject **object);

static enum kind
look_at_attribute(struct walk *w, PyObject *node, PyObject **object)
{
    PyObject *base = NULL, *attr = hr_syntax_get(node, "attr");
    enum kind k = look_at_base(w, hr_syntax_get(node, "value"), &base);
    PyObject *value = NULL;
    if (k == VALUE) {
        return hr_value_has_attribute(attr) ? VALUE : IMPURE;
    }
    if (k == OBJECT && base != NULL && PyModule_CheckExact(base)) {
        value = PyDict_GetItemWithError(PyModule_GetDict(base), attr);
    }
    else if (k == OBJECT && base != NULL && hr_value_is_class(base)) {
        value = _PyType_Lookup((PyTypeObject *)base, attr);
        if (value != NULL && Py_TYPE(value)->tp_descr_get != NULL &&
            !PyType_Check(value)) {
            value = NULL;
        }
    }
    *object = value;
    return value == NULL ? IMPURE : get_kind(value);
}

/* What has an attribute read. */
static enum kind
look_at_base(struct walk *w, PyObject *node, PyObject **object)
{
    return hr_syntax_is(node, "Name") ? look_at_name(w, node, object)
           : hr_syntax_is(node, "Attribute")
               ? look_at_attribute(w, node, object)
               : look(w, node, object);
}

static enum kind
look_at_call(struct walk *w, PyObject *node)
{
    PyObject *func = hr_syntax_get(node, "func"), *object = NULL;
    PyObject *keywords = hr_syntax_get(node, "keywords");
    if (look_at_list(w, hr_syntax_get(node, "args"), 1) == IMPURE ||
        !PyList_Check(keywords)) {
        return IMPURE;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keywords); i++) {
        enum kind k = look_at_field(w, PyList_GET_ITEM(keywords, i), "value");
        if (k == IMPURE || k == OBJECT) {
            return IMPURE;
        }
    }
    if (hr_syntax_is(func, "Attribute")) {
        PyObject *base = NULL;
        PyObject *attr = hr_syntax_get(func, "attr");
        enum kind k = look_at_base(w, hr_syntax_get(func, "value"), &base);
        if (k == VALUE || k == ITEM) {
            return hr_value_has_method(attr, k == VALUE) ? VALUE : IMPURE;
        }
    }
    return look_at_base(w, func, &object) == OBJECT && object != NULL &&
                   hr_value_is_function(object)
               ? VALUE
               : IMPURE;
}

/* Names that an assignment or a loop binds; 0 when it stores elsewhere. */
static int
bind_targets(struct walk *w, PyObject *target, PyObject *names)
{
    if (hr_syntax_is(target, "Name")) {
        PyObject *id = mangle(w->world, hr_syntax_get(target, "id"));
        int status = id == NULL ? -1 : PyList_Append(names, id);
        Py_XDECREF(id);
        return status == 0;
    }
    if (hr_syntax_is(target, "Starred")) {
        return bind_targets(w, hr_syntax_get(target, "value"), names);
    }
    if (!hr_syntax_is(target, "Tuple") && !hr_syntax_is(target, "List")) {
        return 0;
    }
    PyObject *list = hr_syntax_get(target, "elts");
    int ok = 1;
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(list); i++) {
        ok = bind_targets(w, PyList_GET_ITEM(list, i), names);
    }
    return ok;
}

static enum kind
look_at_comprehension(struct walk *w, PyObject *node)
{
    PyObject *loops = hr_syntax_get(node, "generators");
    Py_ssize_t before = PyList_GET_SIZE(w->bound);
    enum kind k = VALUE;
    for (Py_ssize_t i = 0; k != IMPURE && i < PyList_GET_SIZE(loops); i++) {
        PyObject *loop = PyList_GET_ITEM(loops, i);
        k = look_at_field(w, loop, "iter");
        if (k == OBJECT ||
            !bind_targets(w, hr_syntax_get(loop, "target"), w->bound) ||
            look_at_list(w, hr_syntax_get(loop, "ifs"), 1) == IMPURE) {
            k = IMPURE;
        }
    }
    static const char *const parts[] = {"elt", "key", "value"};
    for (int i = 0; k != IMPURE && i < 3; i++) {
        if (hr_syntax_get(node, parts[i]) != Py_None) {
            k = look_at_field(w, node, parts[i]);
        }
    }
    (void)PyList_SetSlice(w->bound, before, PY_SSIZE_T_MAX, NULL);
    return k == IMPURE ? IMPURE : VALUE;
}

/* `int | None`, `list[str]`: of types. */
static int
is_of_types(PyObject *o)
{
    if (o == NULL) {
        return 0;
    }
    PyObject *module = PyType_Check(o) ? NULL : (PyObject *)Py_TYPE(o);
    const char *name = module ? Py_TYPE(o)->tp_name : "";
    return PyType_Check(o) || o == Py_None || strstr(name, "Alias") != NULL ||
           strstr(name, "UnionType") != NULL ||
           strcmp(name, "_SpecialForm") == 0 ||
           strcmp(name, "_TupleType") == 0;
}

static enum kind
look_at_operands(struct walk *w, PyObject *node, const char *left,
                 const char *right)
{
    PyObject *a = NULL, *b = NULL;
    enum kind x = look(w, hr_syntax_get(node, left), &a);
    enum kind y = look(w, hr_syntax_get(node, right), &b);
    if (x == IMPURE || y == IMPURE) {
        return IMPURE;
    }
    if (x == OBJECT) {
        return is_of_types(a) && (y != OBJECT || is_of_types(b) || b == NULL)
                   ? OBJECT
                   : IMPURE;
    }
    if (y == OBJECT) {
        return a == Py_None && is_of_types(b) ? OBJECT : IMPURE;
    }
    return x == VALUE && y == VALUE && strcmp(right, "slice") != 0 ? VALUE
                                                                   : ITEM;
}

static enum kind
look_at_text(struct walk *w, PyObject *node)
{
    PyObject *spec = hr_syntax_get(node, "format_spec"), *object = NULL;
    enum kind k = look_at_field(w, node, "value");
    return k == IMPURE || k == OBJECT ||
                   (spec != Py_None && look(w, spec, &object) == IMPURE)
               ? IMPURE
               : VALUE;
}

static enum kind
look(struct walk *w, PyObject *node, PyObject **object)
{
    enum kind k = IMPURE;
    if (hr_syntax_is(node, "Constant")) {
        *object = hr_syntax_get(node, "value");
        return VALUE;
    }
    if (hr_syntax_is(node, "Name") || hr_syntax_is(node, "Attribute")) {
        k = look_at_base(w, node, object);
        return is_proxy(w, *object) ? IMPURE : k;
    }
    if (hr_syntax_is(node, "Call")) {
        return look_at_call(w, node);
    }
    if (hr_syntax_is(node, "Tuple") || hr_syntax_is(node, "List") ||
        hr_syntax_is(node, "Set")) {
        return look_at_list(w, hr_syntax_get(node, "elts"), 0) ? VALUE
                                                               : IMPURE;
    }
    if (hr_syntax_is(node, "Dict")) {
        return look_at_list(w, hr_syntax_get(node, "keys"), 0) &&
                       look_at_list(w, hr_syntax_get(node, "values"), 0)
                   ? VALUE
                   : IMPURE;
    }
    if (hr_syntax_is(node, "BinOp")) {
        return look_at_operands(w, node, "left", "right");
    }
    if (hr_syntax_is(node, "Subscript")) {
        return look_at_operands(w, node, "value", "slice");
    }
    if (hr_syntax_is(node, "UnaryOp")) {
        k = look_at_field(w, node, "operand");
        return k == OBJECT ? IMPURE : k;
    }
    if (hr_syntax_is(node, "Starred")) {
        k = look_at_field(w, node, "value");
        return k == OBJECT ? IMPURE : k;
    }
    if (hr_syntax_is(node, "BoolOp")) {
        return look_at_list(w, hr_syntax_get(node, "values"), 1);
    }
    if (hr_syntax_is(node, "Compare")) {
        k = look_at_field(w, node, "left");
        return k == IMPURE || k == OBJECT ||
                       !look_at_list(w, hr_syntax_get(node, "comparators"), 1)
                   ? IMPURE
                   : VALUE;
    }
    if (hr_syntax_is(node, "IfExp")) {
        enum kind test = look_at_field(w, node, "test");
        enum kind a = look_at_field(w, node, "body");
        enum kind b = look_at_field(w, node, "orelse");
        return test == OBJECT || !test ? IMPURE : a < b ? a : b;
    }
    if (hr_syntax_is(node, "JoinedStr")) {
        return look_at_list(w, hr_syntax_get(node, "values"), 1) ? VALUE
                                                                 : IMPURE;
    }
    if (hr_syntax_is(node, "FormattedValue")) {
        return look_at_text(w, node);
    }
    if (hr_syntax_is(node, "Slice")) {
        static const char *const parts[] = {"lower", "upper", "step"};
        k = VALUE;
        for (int i = 0; k != IMPURE && i < 3; i++) {
            if (hr_syntax_get(node, parts[i]) != Py_None) {
                k = look_at_field(w, node, parts[i]);
                k = k == OBJECT ? IMPURE : k;
            }
        }
        return k;
    }
    if (hr_syntax_is(node, "ListComp") || hr_syntax_is(node, "SetComp") ||
        hr_syntax_is(node, "DictComp") || hr_syntax_is(node, "GeneratorExp")) {
        return look_at_comprehension(w, node);
    }
    return IMPURE;
}

int
hr_pure_is_expression(const struct hr_world *world, PyObject *node)
{
    struct walk w = {.world = world, .bound = PyList_New(0)};
    PyObject *object = NULL;
    int pure = w.bound != NULL && look(&w, node, &object) != IMPURE;
    Py_XDECREF(w.bound);
    PyErr_Clear();
    return pure;
}

/* -- Statements ----------------------------------------------------------- */

static int check_statements(struct walk *w, PyObject *list, int flags);

/* `X[k] = v` of a dict or list. */
static int
sets_item(struct walk *w, PyObject *target)
{
    enum kind k = IMPURE;
    if (hr_syntax_is(target, "Subscript") &&
        hr_syntax_is(hr_syntax_get(target, "value"), "Name") &&
        look_at_field(w, target, "value") >= ITEM) {
        k = look_at_field(w, target, "slice");
    }
    return k >= ITEM;
}

static int
check_assignment(struct walk *w, PyObject *node, int flags)
{
    if (hr_syntax_is(node, "AnnAssign")) {
        return hr_syntax_get(node, "value") != Py_None &&
               (w->world->lazy ||
                look_at_field(w, node, "annotation") != IMPURE) &&
               look_at_field(w, node, "value") != IMPURE &&
               bind_targets(w, hr_syntax_get(node, "target"), w->bound);
    }
    PyObject *targets = hr_syntax_get(node, "targets");
    int pure = look_at_field(w, node, "value") != IMPURE;
    for (Py_ssize_t i = 0; pure && i < PyList_GET_SIZE(targets); i++) {
        PyObject *target = PyList_GET_ITEM(targets, i);
        pure = bind_targets(w, target, w->bound) ||
               (flags & HR_PURE_REPEATS && sets_item(w, target));
    }
    return pure;
}

static int
check_loop(struct walk *w, PyObject *node, int flags)
{
    enum kind iter = look_at_field(w, node, "iter");
    return iter != IMPURE && iter != OBJECT &&
           bind_targets(w, hr_syntax_get(node, "target"), w->bound) &&
           check_statements(w, hr_syntax_get(node, "body"), flags) &&
           check_statements(w, hr_syntax_get(node, "orelse"), flags);
}

static int
check_try(struct walk *w, PyObject *node, int flags)
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
                look_at_field(w, handler, "type") != IMPURE) &&
               (name == Py_None || PyList_Append(w->bound, name) == 0) &&
               check_statements(w, hr_syntax_get(handler, "body"), flags);
    }
    return pure;
}

static int
check_if(struct walk *w, PyObject *node, int flags)
{
    enum kind test = look_at_field(w, node, "test");
    return test != IMPURE && test != OBJECT &&
           check_statements(w, hr_syntax_get(node, "body"), flags) &&
           check_statements(w, hr_syntax_get(node, "orelse"), flags);
}

static int
check_statement(struct walk *w, PyObject *node, int flags)
{
    if (hr_syntax_is(node, "Assign") || hr_syntax_is(node, "AnnAssign")) {
        return check_assignment(w, node, flags);
    }
    if (hr_syntax_is(node, "AugAssign")) {
        PyObject *target = hr_syntax_get(node, "target"), *object = NULL;
        return (flags & HR_PURE_ADDS) && hr_syntax_is(target, "Name") &&
               look_at_name(w, target, &object) >= ITEM &&
               look_at_field(w, node, "value") >= ITEM;
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
                   look_at_list(w, hr_syntax_get(args, "defaults"), 0) &&
                   look_at_list(w, hr_syntax_get(args, "kw_defaults"), 0) &&
                   PyList_Append(w->bound, name) == 0;
        }
        if (hr_syntax_is(node, "Import") || hr_syntax_is(node, "ImportFrom")) {
            return 1;
        }
    }
    return hr_syntax_is(node, "Pass");
}

static int
check_statements(struct walk *w, PyObject *list, int flags)
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
    struct walk w = {.world = world, .bound = PyList_New(0)};
    int pure = w.bound != NULL && check_statements(&w, list, flags);
    if (pure && targets != NULL &&
        PyList_SetSlice(targets, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, w.bound) <
            0) {
        pure = 0;
    }
    Py_XDECREF(w.bound);
    PyErr_Clear();
    return pure;
}
