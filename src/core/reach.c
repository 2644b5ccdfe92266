/* What a statement that is about to run leads to, in the modules of the batch.
 *
 * By names: those that its code reads, what they hold, the names that this
 * reads in turn.  A function is affected by the save when its body is planned,
 * when it reads a name that has another value by now or writes one, or leads
 * to one that is affected; a class when it is planned, or one of its methods
 * or bases is affected.  Only what is affected gets a preview (preview.c): a
 * statement that has to do with nothing of the save runs as if it were alone.
 *
 * Attributes count like names, so more than what is used may be found, never
 * less by a name that is written in the text.  What is only reached by values,
 * as a function in a dict, is not found.
 */
#include "preview.h"

static int visit_code(struct hr_reach *r, int from, struct hr_unit *u,
                      PyObject *code, PyObject *ns);
static int visit_value(struct hr_reach *r, int from, PyObject *o);

/* -- The graph ------------------------------------------------------------ */

static int
add_edge(struct hr_reach *r, int from, int to)
{
    if (from < 0) {
        return 0; /* the statement itself */
    }
    struct hr_reach_edge *edges =
        hr_grow(r->edges, r->edge_count, &r->edge_room, sizeof *edges);
    if (edges == NULL) {
        return -1;
    }
    r->edges = edges;
    r->edges[r->edge_count++] = (struct hr_reach_edge){from, to};
    return 0;
}

static int
add_place(struct hr_reach *r, PyObject *dict, PyObject *name, int node)
{
    struct hr_reach_place *places =
        hr_grow(r->places, r->place_count, &r->place_room, sizeof *places);
    if (places == NULL) {
        return -1;
    }
    r->places = places;
    r->places[r->place_count++] =
        (struct hr_reach_place){Py_NewRef(dict), Py_NewRef(name), node};
    return 0;
}

/* 1 when it is new. */
static int
add_node(struct hr_reach *r, PyObject *o, struct hr_unit *u,
         enum hr_reach_kind kind, int *number)
{
    PyObject *known = hr_preview_lookup(r->index, o);
    if (known != NULL) {
        *number = (int)PyLong_AsLong(known);
        return 0;
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    struct hr_reach_node *nodes =
        hr_grow(r->nodes, r->node_count, &r->node_room, sizeof *nodes);
    if (nodes == NULL) {
        return -1;
    }
    r->nodes = nodes;
    PyObject *address = PyLong_FromVoidPtr(o);
    PyObject *value = PyLong_FromSize_t(r->node_count);
    int status = address == NULL || value == NULL
                     ? -1
                     : PyDict_SetItem(r->index, address, value);
    Py_XDECREF(address);
    Py_XDECREF(value);
    if (status < 0) {
        return -1;
    }
    *number = (int)r->node_count;
    r->nodes[r->node_count++] =
        (struct hr_reach_node){.o = Py_NewRef(o), .u = u, .kind = kind};
    return 1;
}

struct hr_reach_node *
hr_reach_node(struct hr_reach *r, PyObject *o)
{
    PyObject *known = hr_preview_lookup(r->index, o);
    return known == NULL ? NULL : &r->nodes[PyLong_AsLong(known)];
}

void
hr_reach_clear(struct hr_reach *r)
{
    for (size_t i = 0; i < r->node_count; i++) {
        Py_DECREF(r->nodes[i].o);
    }
    for (size_t i = 0; i < r->place_count; i++) {
        Py_DECREF(r->places[i].dict);
        Py_DECREF(r->places[i].name);
    }
    PyMem_Free(r->nodes);
    PyMem_Free(r->places);
    PyMem_Free(r->edges);
    Py_XDECREF(r->index);
}

/* -- Values --------------------------------------------------------------- */

/* The unit whose live dict this is, when it has been planned. */
static struct hr_unit *
unit_of_dict(struct hr_plan *p, PyObject *dict)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (p->units[i].dict == dict && p->units[i].shadow != NULL) {
            return &p->units[i];
        }
    }
    return NULL;
}

static int
visit_closure(struct hr_reach *r, int from, PyObject *function)
{
    PyObject *closure = PyFunction_GET_CLOSURE(function);
    int status = 0;
    for (Py_ssize_t i = 0;
         status == 0 && closure != NULL && i < PyTuple_GET_SIZE(closure);
         i++) {
        PyObject *content = hr_compat_cell_peek(PyTuple_GET_ITEM(closure, i));
        if (content != NULL) {
            status = visit_value(r, from, content);
        }
    }
    return status;
}

/* Does the code import a module of the batch, as far as its words tell? */
static int
imports_planned(struct hr_reach *r, PyObject *code)
{
    struct hr_plan *p = r->p;
    PyObject *homes = r->preview->homes;
    if (p->unit_count < 2) {
        return 0;
    }
    if (homes == NULL) {
        homes = r->preview->homes = PySet_New(NULL);
        for (size_t i = 0; homes != NULL && i < p->unit_count; i++) {
            PyObject *name = p->units[i].name;
            Py_ssize_t n = PyUnicode_GET_LENGTH(name);
            Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, -1);
            PyObject *last = PyUnicode_Substring(name, dot + 1, n);
            if (last == NULL || PySet_Add(homes, last) < 0) {
                Py_CLEAR(r->preview->homes);
                homes = NULL;
            }
            Py_XDECREF(last);
        }
    }
    return homes == NULL ? -1 : hr_bytecode_imports(code, homes);
}

static int
visit_function(struct hr_reach *r, int from, PyObject *o)
{
    PyObject *globals = HR_AS_FUNCTION(o)->func_globals;
    struct hr_unit *u = unit_of_dict(r->p, globals);
    enum hr_reach_kind kind = HR_REACH_FUNCTION;
    int number;
    if (u == NULL) {
        u = hr_evaluate_unit(r->p, globals);
        kind = u != NULL ? HR_REACH_NEW : HR_REACH_WRAPPER;
    }
    if (kind == HR_REACH_WRAPPER && PyFunction_GET_CLOSURE(o) == NULL) {
        return 0;
    }
    int status = add_node(r, o, u, kind, &number);
    if (status < 0 || add_edge(r, from, number) < 0) {
        return -1;
    }
    if (status == 1) {
        PyObject *body = hr_preview_lookup(r->preview->bodies, o);
        PyObject *code = HR_AS_FUNCTION(body ? body : o)->func_code;
        int writes =
            kind == HR_REACH_FUNCTION ? hr_bytecode_writes_globals(code) : 0;
        int imports = writes == 0 && kind == HR_REACH_FUNCTION
                          ? imports_planned(r, code)
                          : 0;
        if (writes < 0 || imports < 0) {
            return -1;
        }
        r->nodes[number].affected = body != NULL || writes || imports;
        status = u != NULL ? visit_code(r, number, u, code, NULL) : 0;
        if (status == 0) {
            status = visit_closure(r, number, o);
        }
    }
    return status;
}

static int
visit_class(struct hr_reach *r, int from, PyObject *type)
{
    int number;
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
    PyObject *name = PyDict_GetItemString(dict, "__module__");
    struct hr_unit *u = name != NULL && PyUnicode_Check(name)
                            ? hr_unit_find(r->p, name)
                            : NULL;
    if (u == NULL || u->shadow == NULL) {
        return 0;
    }
    int made = hr_made_has(r->p, type);
    int plain = Py_TYPE(type) == &PyType_Type ||
                strcmp(Py_TYPE(type)->tp_name, "ABCMeta") == 0;
    int has = hr_preview_lookup(r->preview->clones, type) != NULL;
    if (made < 0 || (!made && !plain && !has)) {
        return made < 0 ? -1 : 0; /* what a metaclass makes is not cloned */
    }
    int status =
        add_node(r, type, u, made ? HR_REACH_NEW : HR_REACH_CLASS, &number);
    if (status < 0 || add_edge(r, from, number) < 0) {
        return -1;
    }
    if (status == 0) {
        return 0;
    }
    r->nodes[number].affected =
        !made && (has || hr_preview_lookup(r->preview->touched, type) != NULL);
    PyObject *values = PyDict_Values(dict);
    PyObject *bases = Py_NewRef(((PyTypeObject *)type)->tp_bases);
    status = values == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(values); i++) {
        status = visit_value(r, number, PyList_GET_ITEM(values, i));
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(bases); i++) {
        status = visit_value(r, number, PyTuple_GET_ITEM(bases, i));
    }
    Py_XDECREF(values);
    Py_DECREF(bases);
    return status;
}

/* The functions that a wrapper of CPython's own is made of. */
static int
visit_parts(struct hr_reach *r, int from, PyObject *o)
{
    const char *const *parts = hr_owner_wrapped;
    int property = Py_TYPE(o) == &PyProperty_Type, status = 0;
    for (int i = property; status == 0 && i < (property ? 4 : 1); i++) {
        PyObject *part = PyObject_GetAttrString(o, parts[i]);
        status = part == NULL ? -1 : visit_value(r, from, part);
        Py_XDECREF(part);
    }
    return status;
}

static int
visit_value(struct hr_reach *r, int from, PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    int status = 0;
    if (Py_EnterRecursiveCall(" in a save's names")) {
        return -1;
    }
    if (t == &PyFunction_Type) {
        status = visit_function(r, from, o);
    }
    else if (hr_class_is_open(o)) {
        status = visit_class(r, from, o);
    }
    else if (hr_owner_is_wrapper(o)) {
        status = visit_parts(r, from, o);
    }
    Py_LeaveRecursiveCall();
    return status;
}

/* -- Code ----------------------------------------------------------------- */

/* What a name of a planned module holds now, with the dict to write it to, a
 * shadow.  Borrowed, NULL without an exception when there is none. */
static PyObject *
look_up(struct hr_unit *u, PyObject *name, PyObject **dict, int *changed)
{
    PyObject *value = PyDict_GetItemWithError(u->shadow, name);
    PyObject *live = PyDict_GetItemWithError(u->dict, name);
    *dict = u->shadow;
    *changed = 0;
    if (!u->evaluates) {
        *changed = value != NULL; /* added */
        return value != NULL ? value : live;
    }
    PyObject *kept = value == NULL ? NULL : hr_substitute_kept(u->plan, value);
    PyObject *before = PyDict_GetItemWithError(u->before, name);
    *changed = value != before && (kept == NULL || kept != before);
    return value;
}

static int
visit_name(struct hr_reach *r, int from, struct hr_unit *u, PyObject *name,
           PyObject *ns, struct hr_unit **module)
{
    PyObject *dict = ns,
             *value = ns ? PyDict_GetItemWithError(ns, name) : NULL;
    int changed = 0, status = 0;
    *module = NULL;
    if (value == NULL) {
        value = look_up(u, name, &dict, &changed);
    }
    if (changed && from >= 0) {
        r->nodes[from].affected = 1;
    }
    if (value == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *kept = hr_substitute_kept(r->p, value);
    if (kept != NULL && hr_preview_lookup(r->preview->clones, kept) == value) {
        value = kept;
    }
    Py_INCREF(value);
    if (PyModule_Check(value)) {
        struct hr_unit *of = unit_of_dict(r->p, PyModule_GetDict(value));
        int number;
        if (of != NULL) {
            *module = of;
            status = add_node(r, value, of, HR_REACH_MODULE, &number);
            if (status >= 0) {
                r->nodes[number].affected = 1;
                status = add_edge(r, from, number);
            }
        }
    }
    else {
        status = visit_value(r, from, value);
    }
    struct hr_reach_node *node = status < 0 ? NULL : hr_reach_node(r, value);
    if (node != NULL && node->kind != HR_REACH_NEW) {
        status = add_place(r, dict, name, (int)(node - r->nodes));
    }
    Py_DECREF(value);
    return status < 0 ? -1 : 0;
}

static int
visit_code(struct hr_reach *r, int from, struct hr_unit *u, PyObject *code,
           PyObject *ns)
{
    PyObject *names = ((PyCodeObject *)code)->co_names;
    PyObject *consts = ((PyCodeObject *)code)->co_consts;
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(names); i++) {
        struct hr_unit *module, *other;
        status =
            visit_name(r, from, u, PyTuple_GET_ITEM(names, i), ns, &module);
        /* Its attributes are among the names, too. */
        for (Py_ssize_t k = 0;
             status == 0 && module != NULL && k < PyTuple_GET_SIZE(names);
             k++) {
            status = visit_name(r, from, module, PyTuple_GET_ITEM(names, k),
                                NULL, &other);
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(consts); i++) {
        if (PyCode_Check(PyTuple_GET_ITEM(consts, i))) {
            status = visit_code(r, from, u, PyTuple_GET_ITEM(consts, i), ns);
        }
    }
    return status;
}

int
hr_reach_find(struct hr_reach *r, struct hr_unit *u, PyObject *code,
              PyObject *ns)
{
    r->index = PyDict_New();
    if (r->index == NULL ||
        visit_code(r, -1, u, code, ns == u->shadow ? NULL : ns) < 0) {
        return -1;
    }
    for (int more = 1; more;) {
        more = 0;
        for (size_t i = r->edge_count; i-- > 0;) {
            struct hr_reach_edge e = r->edges[i];
            if (r->nodes[e.to].affected && !r->nodes[e.from].affected) {
                r->nodes[e.from].affected = more = 1;
            }
        }
    }
    return 0;
}
