/* The rest of the save, as its changed statements see it.
 *
 * A statement that calls a function changed by the same save has to run the
 * new one, and nothing of the new one may be in force.  So the shadow gets
 * previews: a second function with the planned body and the shadow for its
 * globals, a second class with the planned members, a second module whose dict
 * is the other module's shadow.  Each is a pair with what it stands for, which
 * takes its place in whatever was made (substitute.c); what was set on a
 * preview of a class goes to the class, with the journal; whoever still has
 * one afterwards calls, through it, the function that is there.
 *
 * Only what the statement leads to and the save affects (reach.c) has one.
 */
#include "preview.h"

/* -- What the plan has so far --------------------------------------------- */

PyObject *
hr_preview_lookup(PyObject *by_address, PyObject *o)
{
    PyObject *address = PyLong_FromVoidPtr(o), *value = NULL;
    if (address != NULL) {
        value = PyDict_GetItemWithError(by_address, address);
        Py_DECREF(address);
    }
    return value;
}

static int
set_by_address(PyObject *by_address, PyObject *o, PyObject *value)
{
    PyObject *address = PyLong_FromVoidPtr(o);
    int status =
        address == NULL ? -1 : PyDict_SetItem(by_address, address, value);
    Py_XDECREF(address);
    return status;
}

static struct hr_preview *
get_preview(struct hr_plan *p)
{
    if (p->preview == NULL) {
        struct hr_preview *v = PyMem_Calloc(1, sizeof *v);
        if (v == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        p->preview = v;
        v->clones = PyDict_New();
        v->bodies = PyDict_New();
        v->touched = PyDict_New();
    }
    struct hr_preview *v = p->preview;
    return v->clones && v->bodies && v->touched ? v : NULL;
}

/* Read on in the journal.  1 when something is new. */
static int
read_journal(struct hr_plan *p)
{
    struct hr_preview *v = p->preview;
    size_t from = v->seen;
    for (; v->seen < hr_journal_count(p->j); v->seen++) {
        PyObject *owner, *key, *value;
        enum hr_place place =
            hr_journal_place(p->j, v->seen, &owner, &key, &value);
        int status = place == HR_PLACE_FUNCTION
                         ? set_by_address(v->bodies, owner, value)
                     : place == HR_PLACE_TYPE || place == HR_PLACE_BASES
                         ? set_by_address(v->touched, owner, Py_None)
                         : 0;
        if (status < 0) {
            return -1;
        }
    }
    return v->seen > from;
}

int
hr_preview_set(struct hr_plan *p, PyObject *live, PyObject *clone)
{
    struct hr_preview *v = get_preview(p);
    return v == NULL ? -1 : set_by_address(v->clones, live, clone);
}

int
hr_preview_add(struct hr_plan *p, PyObject *live, PyObject *clone)
{
    if (hr_preview_set(p, live, clone) < 0 ||
        hr_substitute_add(p, clone, live) < 0) {
        return -1;
    }
    p->pairs[p->pair_count - 1].preview = 1;
    return 0;
}

/* -- Functions ------------------------------------------------------------ */

static PyObject *make_clone(struct hr_reach *r, struct hr_reach_node *node);

/* The preview of what a node stands for, made when there is none; o itself
 * when the save does not affect it.  New reference. */
PyObject *
hr_preview_get(struct hr_reach *r, PyObject *o)
{
    PyObject *clone = hr_preview_lookup(r->preview->clones, o);
    if (clone != NULL) {
        return Py_NewRef(clone);
    }
    struct hr_reach_node *node = hr_reach_node(r, o);
    return node == NULL || !node->affected || node->kind == HR_REACH_NEW
               ? Py_NewRef(o)
               : make_clone(r, node);
}

/* Cells that lead to something with a preview lead to that. */
int
hr_preview_map_cells(struct hr_reach *r, PyFunctionObject *f)
{
    Py_ssize_t n = f->func_closure ? PyTuple_GET_SIZE(f->func_closure) : 0;
    PyObject *closure = n > 0 ? PyTuple_New(n) : NULL;
    if (n > 0 && closure == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *cell = PyTuple_GET_ITEM(f->func_closure, i), *mapped = NULL;
        PyObject *content = hr_compat_cell_peek(cell);
        if (content == NULL ||
            (!PyFunction_Check(content) && !PyType_Check(content))) {
            mapped = Py_NewRef(cell);
        }
        else {
            Py_INCREF(content);
            PyObject *clone = hr_preview_get(r, content);
            mapped = clone == NULL      ? NULL
                     : clone == content ? Py_NewRef(cell)
                                        : PyCell_New(clone);
            Py_XDECREF(clone);
            Py_DECREF(content);
        }
        if (mapped == NULL) {
            Py_DECREF(closure);
            return -1;
        }
        PyTuple_SET_ITEM(closure, i, mapped);
    }
    if (n > 0) {
        Py_SETREF(f->func_closure, closure);
    }
    return 0;
}

/* A function with the planned body of o, whose globals are the shadow.  A
 * `__class__` cell that holds `from` is replaced by `cell`. */
PyObject *
hr_preview_copy_function(struct hr_plan *p, PyObject *o, PyObject *from,
                         PyObject *cell)
{
    PyObject *holder = hr_preview_lookup(p->preview->bodies, o);
    PyObject *body = holder != NULL ? holder : o;
    /* What is set on it is set on the function. */
    PyObject *dict = hr_compat_instance_dict(o);
    PyObject *copy = dict ? hr_function_clone(body, from, cell) : NULL;
    Py_XDECREF(dict);
    if (copy == NULL) {
        return NULL;
    }
    PyFunctionObject *f = HR_AS_FUNCTION(copy), *t = HR_AS_FUNCTION(o);
    Py_SETREF(f->func_name, Py_NewRef(t->func_name));
    Py_SETREF(f->func_qualname, Py_NewRef(t->func_qualname));
    Py_XSETREF(f->func_module, Py_XNewRef(t->func_module));
    if (holder != NULL && HR_AS_FUNCTION(holder)->func_dict == NULL) {
        if (PyDict_GET_SIZE(t->func_dict) == 0) {
            hr_function_share_dict(holder, o);
        }
        else if ((HR_AS_FUNCTION(holder)->func_dict = PyDict_New()) == NULL) {
            Py_DECREF(copy);
            return NULL;
        }
    }
    hr_function_share_dict(copy, body);
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        if (f->func_globals == u->dict && u->evaluates) {
            Py_SETREF(f->func_globals, Py_NewRef(u->shadow));
        }
    }
    return copy;
}

static PyObject *
clone_function(struct hr_reach *r, PyObject *o)
{
    if (hr_plan_body(r->p, o) != o) {
        return Py_NewRef(o); /* replaced: it runs the replacement */
    }
    PyObject *clone = hr_preview_copy_function(r->p, o, NULL, NULL);
    if (clone != NULL &&
        (hr_preview_add(r->p, o, clone) < 0 ||
         hr_preview_map_cells(r, HR_AS_FUNCTION(clone)) < 0)) {
        Py_CLEAR(clone);
    }
    return clone;
}

/* Bodies that were planned after their preview was made. */
static int
renew_functions(struct hr_reach *r, size_t from)
{
    for (size_t i = from; i < r->preview->seen; i++) {
        PyObject *owner, *value;
        if (!hr_journal_get(r->p->j, i, HR_PLACE_FUNCTION, &owner, &value)) {
            continue;
        }
        PyObject *clone = hr_preview_lookup(r->preview->clones, owner);
        if (clone == NULL) {
            continue;
        }
        PyObject *copy = hr_preview_copy_function(r->p, owner, NULL, NULL);
        if (copy == NULL ||
            hr_preview_map_cells(r, HR_AS_FUNCTION(copy)) < 0) {
            Py_XDECREF(copy);
            return -1;
        }
        hr_function_exchange(clone, copy);
        hr_retire_body(r->p->st, copy);
    }
    return 0;
}

/* -- Modules -------------------------------------------------------------- */

/* A module object whose dict is the shadow.  The dict is the first field of a
 * module on every version, which is looked at. */
static PyObject *
clone_module(struct hr_plan *p, PyObject *live, struct hr_unit *u)
{
    assert(u != NULL); /* other modules are not affected */
    PyObject *clone = PyModule_NewObject(u->name);
    PyObject **field = clone != NULL ? (PyObject **)(clone + 1) : NULL;
    if (clone == NULL || *field != PyModule_GetDict(clone)) {
        return clone == NULL ? NULL : (Py_DECREF(clone), Py_NewRef(live));
    }
    Py_SETREF(*field, Py_NewRef(u->shadow));
    if (hr_preview_add(p, live, clone) < 0) {
        Py_CLEAR(clone);
    }
    return clone;
}

/* -- All that a statement leads to ---------------------------------------- */

static PyObject *
make_clone(struct hr_reach *r, struct hr_reach_node *node)
{
    PyObject *o = node->o;
    struct hr_unit *u = node->u;
    if (u != NULL && !u->evaluates && hr_evaluate_widen(u) < 0) {
        return NULL;
    }
    return node->kind == HR_REACH_MODULE  ? clone_module(r->p, o, u)
           : node->kind == HR_REACH_CLASS ? hr_second_clone(r, o)
                                          : clone_function(r, o);
}

static int
install_places(struct hr_reach *r, PyObject *code)
{
    int calls = -1;
    for (size_t i = 0; i < r->place_count; i++) {
        struct hr_reach_place *place = &r->places[i];
        struct hr_reach_node node = r->nodes[place->node];
        if (!node.affected) {
            continue;
        }
        if (node.kind == HR_REACH_FUNCTION || node.kind == HR_REACH_WRAPPER) {
            if (calls < 0 && (calls = hr_bytecode_calls(code)) < 0) {
                return -1;
            }
            if (!calls) {
                continue; /* only named: it may be itself */
            }
        }
        PyObject *clone = hr_preview_get(r, node.o);
        int status = clone == NULL ? -1
                     : clone == node.o
                         ? 0
                         : PyDict_SetItem(place->dict, place->name, clone);
        Py_XDECREF(clone);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_preview_prepare(struct hr_unit *u, PyObject *code, PyObject *ns)
{
    struct hr_plan *p = u->plan;
    if (get_preview(p) == NULL) {
        return -1;
    }
    struct hr_reach r = {.p = p, .preview = p->preview};
    size_t from = p->preview->seen;
    int status = read_journal(p);
    int more = status > 0;
    status = status < 0 ? -1 : hr_reach_find(&r, u, code, ns);
    if (status == 0 && more) {
        status = renew_functions(&r, from);
    }
    if (status == 0 && more) {
        status = hr_second_renew(&r);
    }
    if (status == 0) {
        status = install_places(&r, code);
    }
    hr_reach_clear(&r);
    return status;
}

PyObject *
hr_preview_module(struct hr_plan *p, PyObject *module, PyObject *code)
{
    struct hr_unit *u = NULL;
    for (size_t i = 0; i < p->unit_count && u == NULL; i++) {
        u = p->units[i].dict == PyModule_GetDict(module) ? &p->units[i] : NULL;
    }
    if (u == NULL) {
        return Py_NewRef(module);
    }
    if (u->shadow == NULL && hr_unit_plan(u) < 0) {
        if (!p->refused) {
            hr_refuse_exception(p, u);
        }
        PyErr_Format(PyExc_ImportError, "%U is refused", u->name);
        return NULL;
    }
    if (get_preview(p) == NULL ||
        (!u->evaluates && hr_evaluate_widen(u) < 0)) {
        return NULL;
    }
    PyObject *clone = hr_preview_lookup(p->preview->clones, module);
    return clone != NULL      ? Py_NewRef(clone)
           : PyErr_Occurred() ? NULL
                              : clone_module(p, module, u);
}

/* -- Afterwards ----------------------------------------------------------- */

/* From within C, or by a weak reference: nobody else can be told. */
static int
call_what_is_there(struct hr_plan *p, PyObject *clone, PyObject *live)
{
    if (HR_AS_FUNCTION(clone)->func_weakreflist != NULL &&
        PyList_Append(p->st->twins, clone) < 0) {
        return -1;
    }
    PyObject *trampoline = hr_trampoline_new(p->st, live);
    if (trampoline == NULL) {
        return -1;
    }
    hr_function_exchange(clone, trampoline);
    hr_retire_body(p->st, trampoline);
    return 0;
}

void
hr_preview_finish(struct hr_plan *p)
{
    for (size_t i = 0; i < p->pair_count; i++) {
        PyObject *o = p->pairs[i].new;
        if (p->pairs[i].preview && PyFunction_Check(o) &&
            (Py_REFCNT(o) > 1 ||
             HR_AS_FUNCTION(o)->func_weakreflist != NULL) &&
            call_what_is_there(p, o, hr_substitute_kept(p, o)) < 0) {
            hr_log_exception(p->st, "%R keeps the body of this save", o);
        }
    }
}

void
hr_preview_clear(struct hr_plan *p)
{
    struct hr_preview *v = p->preview;
    if (v == NULL) {
        return;
    }
    for (size_t i = 0; i < v->class_count; i++) {
        Py_DECREF(v->classes[i].live);
        Py_DECREF(v->classes[i].clone);
        Py_DECREF(v->classes[i].installed);
    }
    PyMem_Free(v->classes);
    Py_XDECREF(v->clones);
    Py_XDECREF(v->bodies);
    Py_XDECREF(v->touched);
    Py_XDECREF(v->homes);
    PyMem_Free(v);
    p->preview = NULL;
}
