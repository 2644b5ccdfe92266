/* What an expression gives, and has it an effect?
 *
 * It has none when it only reads names, and attributes of modules and classes,
 * computes with values, and calls what is known to have none (value.c).  When
 * in doubt, it has one.
 */
#include "pure.h"

enum hr_kind
hr_expression_look_at_field(struct hr_look *w, PyObject *node,
                            const char *field)
{
    PyObject *object = NULL;
    return hr_expression_look(w, hr_syntax_get(node, field), &object);
}

/* The weakest of all; operands are what an operator or a call uses. */
enum hr_kind
hr_expression_look_at_list(struct hr_look *w, PyObject *list, int operands)
{
    enum hr_kind weakest = HR_KIND_VALUE;
    if (!PyList_Check(list)) {
        return HR_KIND_IMPURE;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *object = NULL, *node = PyList_GET_ITEM(list, i);
        if (node == Py_None) {
            continue; /* {**d} has no key */
        }
        enum hr_kind k = hr_expression_look(w, node, &object);
        if (k == HR_KIND_IMPURE ||
            (operands && k == HR_KIND_OBJECT &&
             (object == NULL || !hr_value_is_enumeration(object)))) {
            return HR_KIND_IMPURE;
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

static enum hr_kind
get_kind(PyObject *o)
{
    return hr_value_is(o) ? HR_KIND_VALUE : HR_KIND_OBJECT;
}

enum hr_kind
hr_expression_look_at_name(struct hr_look *w, PyObject *node,
                           PyObject **object)
{
    PyObject *id = mangle(w->world, hr_syntax_get(node, "id"));
    PyObject *value = NULL;
    if (id == NULL) {
        return HR_KIND_IMPURE;
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
    if (bound && w->loops != NULL) {
        *object = PyDict_GetItemWithError(w->loops, id);
    }
    Py_DECREF(id);
    if (bound && *object != NULL) {
        return HR_KIND_OBJECT;
    }
    *object = value;
    return bound           ? HR_KIND_ITEM
           : value == NULL ? HR_KIND_IMPURE
                           : get_kind(value);
}

/* A module or class that stands for another may be asked, but not kept. */
static int
is_proxy(struct hr_look *w, PyObject *o)
{
    return o != NULL && w->world->proxies != NULL &&
           PySequence_Contains(w->world->proxies, o) == 1;
}

static enum hr_kind look_at_base(struct hr_look *w, PyObject *node,
                                 PyObject **object);

static enum hr_kind
look_at_attribute(struct hr_look *w, PyObject *node, PyObject **object)
{
    PyObject *base = NULL, *attr = hr_syntax_get(node, "attr");
    enum hr_kind k = look_at_base(w, hr_syntax_get(node, "value"), &base);
    PyObject *value = NULL;
    if (k == HR_KIND_VALUE) {
        return hr_value_has_attribute(attr) ? HR_KIND_VALUE : HR_KIND_IMPURE;
    }
    if (k == HR_KIND_OBJECT && base != NULL && PyModule_CheckExact(base)) {
        value = PyDict_GetItemWithError(PyModule_GetDict(base), attr);
    }
    else if (k == HR_KIND_OBJECT && base != NULL && hr_value_is_class(base)) {
        value = _PyType_Lookup((PyTypeObject *)base, attr);
        if (value != NULL && Py_TYPE(value)->tp_descr_get != NULL &&
            !PyType_Check(value)) {
            value = NULL;
        }
    }
    if (value == NULL && k == HR_KIND_OBJECT && base != NULL) {
        value = hr_value_of_member(base, attr);
    }
    *object = value;
    return value == NULL ? HR_KIND_IMPURE : get_kind(value);
}

/* What has an attribute read. */
static enum hr_kind
look_at_base(struct hr_look *w, PyObject *node, PyObject **object)
{
    return hr_syntax_is(node, "Name")
               ? hr_expression_look_at_name(w, node, object)
           : hr_syntax_is(node, "Attribute")
               ? look_at_attribute(w, node, object)
               : hr_expression_look(w, node, object);
}

static enum hr_kind
look_at_call(struct hr_look *w, PyObject *node)
{
    PyObject *func = hr_syntax_get(node, "func"), *object = NULL;
    PyObject *keywords = hr_syntax_get(node, "keywords");
    if (hr_expression_look_at_list(w, hr_syntax_get(node, "args"), 1) ==
            HR_KIND_IMPURE ||
        !PyList_Check(keywords)) {
        return HR_KIND_IMPURE;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keywords); i++) {
        enum hr_kind k = hr_expression_look_at_field(
            w, PyList_GET_ITEM(keywords, i), "value");
        if (k == HR_KIND_IMPURE || k == HR_KIND_OBJECT) {
            return HR_KIND_IMPURE;
        }
    }
    if (hr_syntax_is(func, "Attribute")) {
        PyObject *base = NULL;
        PyObject *attr = hr_syntax_get(func, "attr");
        enum hr_kind k = look_at_base(w, hr_syntax_get(func, "value"), &base);
        if (k == HR_KIND_VALUE || k == HR_KIND_ITEM) {
            return hr_value_has_method(attr, k == HR_KIND_VALUE)
                       ? HR_KIND_VALUE
                       : HR_KIND_IMPURE;
        }
    }
    return look_at_base(w, func, &object) == HR_KIND_OBJECT &&
                   object != NULL && hr_value_is_function(object)
               ? HR_KIND_VALUE
               : HR_KIND_IMPURE;
}

/* Names that an assignment or a loop binds; 0 when it stores elsewhere. */
int
hr_expression_bind_targets(struct hr_look *w, PyObject *target,
                           PyObject *names)
{
    if (hr_syntax_is(target, "Name")) {
        PyObject *id = mangle(w->world, hr_syntax_get(target, "id"));
        int status = id == NULL ? -1 : PyList_Append(names, id);
        Py_XDECREF(id);
        return status == 0;
    }
    if (hr_syntax_is(target, "Starred")) {
        return hr_expression_bind_targets(w, hr_syntax_get(target, "value"),
                                          names);
    }
    if (!hr_syntax_is(target, "Tuple") && !hr_syntax_is(target, "List")) {
        return 0;
    }
    PyObject *list = hr_syntax_get(target, "elts");
    int ok = 1;
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(list); i++) {
        ok = hr_expression_bind_targets(w, PyList_GET_ITEM(list, i), names);
    }
    return ok;
}

/* `for c in Color`: what is known of one member holds for all. */
static int
note_loop(struct hr_look *w, PyObject *loop, PyObject *object)
{
    PyObject *target = hr_syntax_get(loop, "target"), *key, *member;
    Py_ssize_t pos = 0;
    if (object == NULL || !hr_value_is_enumeration(object) ||
        !hr_syntax_is(target, "Name")) {
        return 0;
    }
    PyObject *map = PyDict_GetItemString(
        hr_compat_type_dict((PyTypeObject *)object), "_member_map_");
    if (!PyDict_Check(map) || !PyDict_Next(map, &pos, &key, &member) ||
        (w->loops == NULL && (w->loops = PyDict_New()) == NULL)) {
        return 0;
    }
    return PyDict_SetItem(w->loops, hr_syntax_get(target, "id"), member) == 0;
}

static enum hr_kind
look_at_comprehension(struct hr_look *w, PyObject *node)
{
    PyObject *loops = hr_syntax_get(node, "generators");
    Py_ssize_t before = PyList_GET_SIZE(w->bound);
    enum hr_kind k = HR_KIND_VALUE;
    for (Py_ssize_t i = 0; k != HR_KIND_IMPURE && i < PyList_GET_SIZE(loops);
         i++) {
        PyObject *loop = PyList_GET_ITEM(loops, i);
        PyObject *object = NULL;
        k = hr_expression_look(w, hr_syntax_get(loop, "iter"), &object);
        if ((k == HR_KIND_OBJECT && !note_loop(w, loop, object)) ||
            !hr_expression_bind_targets(w, hr_syntax_get(loop, "target"),
                                        w->bound) ||
            hr_expression_look_at_list(w, hr_syntax_get(loop, "ifs"), 1) ==
                HR_KIND_IMPURE) {
            k = HR_KIND_IMPURE;
        }
    }
    static const char *const parts[] = {"elt", "key", "value"};
    for (int i = 0; k != HR_KIND_IMPURE && i < 3; i++) {
        if (hr_syntax_get(node, parts[i]) != Py_None) {
            k = hr_expression_look_at_field(w, node, parts[i]);
        }
    }
    for (Py_ssize_t i = before;
         w->loops != NULL && i < PyList_GET_SIZE(w->bound); i++) {
        PyObject *name = PyList_GET_ITEM(w->bound, i);
        if (PyDict_GetItemWithError(w->loops, name) != NULL) {
            (void)PyDict_DelItem(w->loops, name);
        }
    }
    (void)PyList_SetSlice(w->bound, before, PY_SSIZE_T_MAX, NULL);
    return k == HR_KIND_IMPURE ? HR_KIND_IMPURE : HR_KIND_VALUE;
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
           strcmp(name, "_TupleType") == 0 ||
           strcmp(name, "_CallableType") == 0;
}

static enum hr_kind
look_at_operands(struct hr_look *w, PyObject *node, const char *left,
                 const char *right)
{
    PyObject *a = NULL, *b = NULL;
    enum hr_kind x = hr_expression_look(w, hr_syntax_get(node, left), &a);
    enum hr_kind y = hr_expression_look(w, hr_syntax_get(node, right), &b);
    if (x == HR_KIND_IMPURE || y == HR_KIND_IMPURE) {
        return HR_KIND_IMPURE;
    }
    if (x == HR_KIND_OBJECT) {
        return is_of_types(a) &&
                       (y != HR_KIND_OBJECT || is_of_types(b) || b == NULL)
                   ? HR_KIND_OBJECT
                   : HR_KIND_IMPURE;
    }
    if (y == HR_KIND_OBJECT) {
        return a == Py_None && is_of_types(b) ? HR_KIND_OBJECT
                                              : HR_KIND_IMPURE;
    }
    return x == HR_KIND_VALUE && y == HR_KIND_VALUE &&
                   strcmp(right, "slice") != 0
               ? HR_KIND_VALUE
               : HR_KIND_ITEM;
}

static enum hr_kind
look_at_text(struct hr_look *w, PyObject *node)
{
    PyObject *spec = hr_syntax_get(node, "format_spec"), *object = NULL;
    enum hr_kind k = hr_expression_look_at_field(w, node, "value");
    return k == HR_KIND_IMPURE || k == HR_KIND_OBJECT ||
                   (spec != Py_None &&
                    hr_expression_look(w, spec, &object) == HR_KIND_IMPURE)
               ? HR_KIND_IMPURE
               : HR_KIND_VALUE;
}

enum hr_kind
hr_expression_look(struct hr_look *w, PyObject *node, PyObject **object)
{
    enum hr_kind k = HR_KIND_IMPURE;
    if (hr_syntax_is(node, "Constant")) {
        *object = hr_syntax_get(node, "value");
        return HR_KIND_VALUE;
    }
    if (hr_syntax_is(node, "Name") || hr_syntax_is(node, "Attribute")) {
        k = look_at_base(w, node, object);
        return is_proxy(w, *object) ? HR_KIND_IMPURE : k;
    }
    if (hr_syntax_is(node, "Call")) {
        return look_at_call(w, node);
    }
    if (hr_syntax_is(node, "Tuple") || hr_syntax_is(node, "List") ||
        hr_syntax_is(node, "Set")) {
        return hr_expression_look_at_list(w, hr_syntax_get(node, "elts"), 0)
                   ? HR_KIND_VALUE
                   : HR_KIND_IMPURE;
    }
    if (hr_syntax_is(node, "Dict")) {
        return hr_expression_look_at_list(w, hr_syntax_get(node, "keys"), 0) &&
                       hr_expression_look_at_list(
                           w, hr_syntax_get(node, "values"), 0)
                   ? HR_KIND_VALUE
                   : HR_KIND_IMPURE;
    }
    if (hr_syntax_is(node, "BinOp")) {
        return look_at_operands(w, node, "left", "right");
    }
    if (hr_syntax_is(node, "Subscript")) {
        return look_at_operands(w, node, "value", "slice");
    }
    if (hr_syntax_is(node, "UnaryOp")) {
        k = hr_expression_look_at_field(w, node, "operand");
        return k == HR_KIND_OBJECT ? HR_KIND_IMPURE : k;
    }
    if (hr_syntax_is(node, "Starred")) {
        k = hr_expression_look_at_field(w, node, "value");
        return k == HR_KIND_OBJECT ? HR_KIND_IMPURE : k;
    }
    if (hr_syntax_is(node, "BoolOp")) {
        return hr_expression_look_at_list(w, hr_syntax_get(node, "values"), 1);
    }
    if (hr_syntax_is(node, "Compare")) {
        k = hr_expression_look_at_field(w, node, "left");
        return k == HR_KIND_IMPURE || k == HR_KIND_OBJECT ||
                       !hr_expression_look_at_list(
                           w, hr_syntax_get(node, "comparators"), 1)
                   ? HR_KIND_IMPURE
                   : HR_KIND_VALUE;
    }
    if (hr_syntax_is(node, "IfExp")) {
        enum hr_kind test = hr_expression_look_at_field(w, node, "test");
        enum hr_kind a = hr_expression_look_at_field(w, node, "body");
        enum hr_kind b = hr_expression_look_at_field(w, node, "orelse");
        return test == HR_KIND_OBJECT || !test ? HR_KIND_IMPURE
               : a < b                         ? a
                                               : b;
    }
    if (hr_syntax_is(node, "JoinedStr")) {
        return hr_expression_look_at_list(w, hr_syntax_get(node, "values"), 1)
                   ? HR_KIND_VALUE
                   : HR_KIND_IMPURE;
    }
    if (hr_syntax_is(node, "FormattedValue")) {
        return look_at_text(w, node);
    }
    if (hr_syntax_is(node, "Slice")) {
        static const char *const parts[] = {"lower", "upper", "step"};
        k = HR_KIND_VALUE;
        for (int i = 0; k != HR_KIND_IMPURE && i < 3; i++) {
            if (hr_syntax_get(node, parts[i]) != Py_None) {
                k = hr_expression_look_at_field(w, node, parts[i]);
                k = k == HR_KIND_OBJECT ? HR_KIND_IMPURE : k;
            }
        }
        return k;
    }
    if (hr_syntax_is(node, "ListComp") || hr_syntax_is(node, "SetComp") ||
        hr_syntax_is(node, "DictComp") || hr_syntax_is(node, "GeneratorExp")) {
        return look_at_comprehension(w, node);
    }
    return HR_KIND_IMPURE;
}
