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

static int
add_clone(struct hr_plan *p, PyObject *live, PyObject *clone)
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
static PyObject *
get_clone(struct hr_reach *r, PyObject *o)
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
static int
map_cells(struct hr_reach *r, PyFunctionObject *f)
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
            PyObject *clone = get_clone(r, content);
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
static PyObject *
copy_function(struct hr_plan *p, PyObject *o, PyObject *from, PyObject *cell)
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
        hr_function_share_dict(holder, o);
    }
    hr_function_share_dict(copy, o);
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
    PyObject *clone = copy_function(r->p, o, NULL, NULL);
    if (clone != NULL && (add_clone(r->p, o, clone) < 0 ||
                          map_cells(r, HR_AS_FUNCTION(clone)) < 0)) {
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
        PyObject *copy = copy_function(r->p, owner, NULL, NULL);
        if (copy == NULL || map_cells(r, HR_AS_FUNCTION(copy)) < 0) {
            Py_XDECREF(copy);
            return -1;
        }
        hr_function_exchange(clone, copy);
        hr_retire_body(r->p->st, copy);
    }
    return 0;
}

/* -- Classes -------------------------------------------------------------- */

struct member {
    struct hr_reach *r;
    PyObject *live, *cell;
};

/* The value as it belongs into the preview of its class.  New reference. */
static PyObject *
preview_member(struct member *m, PyObject *value)
{
    PyTypeObject *t = Py_TYPE(value);
    if (t == &PyFunction_Type) {
        PyObject *copy = copy_function(m->r->p, value, m->live, m->cell);
        if (copy != NULL && map_cells(m->r, HR_AS_FUNCTION(copy)) < 0) {
            Py_CLEAR(copy);
        }
        return copy;
    }
    if (t == &PyStaticMethod_Type || t == &PyClassMethod_Type) {
        PyObject *inner = PyObject_GetAttrString(value, "__func__");
        PyObject *moved = inner ? preview_member(m, inner) : NULL;
        PyObject *made =
            moved ? PyObject_CallFunctionObjArgs((PyObject *)t, moved, NULL)
                  : NULL;
        Py_XDECREF(moved);
        Py_XDECREF(inner);
        return made;
    }
    if (t == &PyProperty_Type) {
        PyObject *parts[3] = {NULL, NULL, NULL}, *made = NULL;
        int status = 0;
        for (int i = 0; status == 0 && i < 3; i++) {
            PyObject *part =
                PyObject_GetAttrString(value, hr_transfer_property_parts[i]);
            parts[i] = part ? preview_member(m, part) : NULL;
            Py_XDECREF(part);
            status = parts[i] == NULL ? -1 : 0;
        }
        PyObject *doc =
            status == 0 ? PyObject_GetAttrString(value, "__doc__") : NULL;
        if (doc != NULL) {
            made = PyObject_CallFunctionObjArgs((PyObject *)t, parts[0],
                                                parts[1], parts[2], doc, NULL);
        }
        for (int i = 0; i < 3; i++) {
            Py_XDECREF(parts[i]);
        }
        Py_XDECREF(doc);
        return made;
    }
    return Py_NewRef(value);
}

/* Set one attribute, unless a statement has set it meanwhile. */
static int
install_member(struct member *m, struct hr_preview_class *c, PyObject *name,
               PyObject *value)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)c->clone);
    PyObject *now = PyDict_GetItemWithError(dict, name);
    if (now != PyDict_GetItemWithError(c->installed, name)) {
        return 0;
    }
    if (value == NULL) {
        return now == NULL || (hr_class_set(c->clone, name, NULL) == 0 &&
                               PyDict_DelItem(c->installed, name) == 0)
                   ? 0
                   : -1;
    }
    PyObject *own = preview_member(m, value);
    int status = own == NULL                             ? -1
                 : hr_class_set(c->clone, name, own) < 0 ? -1
                                                         : 0;
    if (status == 0) {
        /* As it is found there: __doc__ and the like are not only there. */
        now = PyDict_GetItemWithError(dict, name);
        status = now == NULL ? 0 : PyDict_SetItem(c->installed, name, now);
    }
    Py_XDECREF(own);
    return status;
}

static int
is_moved(PyObject *value)
{
    return PyFunction_Check(value) || Py_TYPE(value) == &PyProperty_Type ||
           Py_TYPE(value) == &PyStaticMethod_Type ||
           Py_TYPE(value) == &PyClassMethod_Type;
}

/* The members that the class has, then those that are planned for it. */
static int
install_members(struct hr_reach *r, struct hr_preview_class *c)
{
    struct member m = {.r = r, .live = c->live, .cell = PyCell_New(c->clone)};
    PyObject *items =
        PyDict_Items(hr_compat_type_dict((PyTypeObject *)c->live));
    int status = m.cell == NULL || items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        if (is_moved(PyTuple_GET_ITEM(item, 1))) {
            status = install_member(&m, c, PyTuple_GET_ITEM(item, 0),
                                    PyTuple_GET_ITEM(item, 1));
        }
    }
    for (size_t i = 0; status == 0 && i < r->preview->seen; i++) {
        PyObject *owner, *name, *value;
        if (hr_journal_place(r->p->j, i, &owner, &name, &value) ==
                HR_PLACE_TYPE &&
            owner == c->live) {
            status = install_member(&m, c, name, value);
        }
    }
    Py_XDECREF(items);
    Py_XDECREF(m.cell);
    return status;
}

/* The bases that it will have, or their previews. */
static int
install_bases(struct hr_reach *r, PyObject *live, PyObject *clone)
{
    PyObject *bases = ((PyTypeObject *)live)->tp_bases;
    (void)hr_journal_peek(r->p->j, HR_PLACE_BASES, live, NULL, &bases);
    Py_ssize_t n = PyTuple_GET_SIZE(bases);
    PyObject *mapped = PyTuple_New(n);
    int status = mapped == NULL ? -1 : 0, differs = 0;
    for (Py_ssize_t i = 0; status == 0 && i < n; i++) {
        PyObject *base = get_clone(r, PyTuple_GET_ITEM(bases, i));
        differs |=
            i >= PyTuple_GET_SIZE(((PyTypeObject *)clone)->tp_bases) ||
            base != PyTuple_GET_ITEM(((PyTypeObject *)clone)->tp_bases, i);
        status = base == NULL ? -1 : 0;
        PyTuple_SET_ITEM(mapped, i, base);
    }
    if (status == 0 && differs) {
        status = hr_layout_set_bases(clone, mapped);
    }
    Py_XDECREF(mapped);
    return status;
}

static PyObject *
clone_class(struct hr_reach *r, PyObject *live)
{
    struct hr_preview *v = r->preview;
    struct hr_preview_class *classes =
        PyMem_Realloc(v->classes, (v->class_count + 1) * sizeof *classes);
    if (classes == NULL) {
        return PyErr_NoMemory();
    }
    v->classes = classes;
    PyObject *clone = hr_class_clone(r->p->st, live);
    PyObject *installed =
        clone ? PyDict_Copy(hr_compat_type_dict((PyTypeObject *)clone)) : NULL;
    if (installed == NULL) {
        Py_XDECREF(clone);
        return NULL;
    }
    size_t number = v->class_count++;
    v->classes[number] = (struct hr_preview_class){
        Py_NewRef(live), Py_NewRef(clone), installed};
    struct hr_preview_class c = v->classes[number];
    if (add_clone(r->p, live, clone) < 0 ||
        install_bases(r, live, clone) < 0 || install_members(r, &c) < 0) {
        Py_CLEAR(clone);
    }
    return clone;
}

static int
renew_classes(struct hr_reach *r)
{
    for (size_t i = 0; i < r->preview->class_count; i++) {
        struct hr_preview_class c = r->preview->classes[i];
        if (install_bases(r, c.live, c.clone) < 0 ||
            install_members(r, &c) < 0) {
            return -1;
        }
    }
    return 0;
}

/* -- Modules -------------------------------------------------------------- */

/* A module object whose dict is the shadow.  The dict is the first field of a
 * module on every version, which is looked at. */
static PyObject *
clone_module(struct hr_reach *r, PyObject *live, struct hr_unit *u)
{
    PyObject *clone = PyModule_NewObject(u->name);
    PyObject **field = clone != NULL ? (PyObject **)(clone + 1) : NULL;
    if (clone == NULL || *field != PyModule_GetDict(clone)) {
        return clone == NULL ? NULL : (Py_DECREF(clone), Py_NewRef(live));
    }
    Py_SETREF(*field, Py_NewRef(u->shadow));
    if (add_clone(r->p, live, clone) < 0) {
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
    return node->kind == HR_REACH_MODULE  ? clone_module(r, o, u)
           : node->kind == HR_REACH_CLASS ? clone_class(r, o)
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
            if (calls < 0 && (calls = hr_code_calls(code)) < 0) {
                return -1;
            }
            if (!calls) {
                continue; /* only named: it may be itself */
            }
        }
        PyObject *clone = get_clone(r, node.o);
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
        status = renew_classes(&r);
    }
    if (status == 0) {
        status = install_places(&r, code);
    }
    hr_reach_clear(&r);
    return status;
}

/* -- Afterwards ----------------------------------------------------------- */

/* What statements have set on a class, or deleted from it. */
static int
carry_over(struct hr_plan *p, struct hr_preview_class *c)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)c->clone);
    PyObject *live = hr_compat_type_dict((PyTypeObject *)c->live);
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(dict, &pos, &name, &value)) {
        int empty = PyDict_Check(value) && PyDict_GET_SIZE(value) == 0;
        if (value != PyDict_GetItemWithError(c->installed, name) && !empty) {
            PyObject *kept = hr_substitute_kept(p, value);
            status = hr_journal_add(p->j, HR_PLACE_TYPE, c->live, name,
                                    kept ? kept : value);
        }
    }
    pos = 0;
    while (status == 0 && PyDict_Next(c->installed, &pos, &name, &value)) {
        if (PyDict_GetItemWithError(dict, name) == NULL &&
            PyDict_GetItemWithError(live, name) != NULL) {
            status = hr_journal_add(p->j, HR_PLACE_TYPE, c->live, name, NULL);
        }
    }
    return status;
}

int
hr_preview_end(struct hr_plan *p)
{
    int status = 0;
    for (size_t i = 0;
         status == 0 && p->preview != NULL && i < p->preview->class_count;
         i++) {
        status = carry_over(p, &p->preview->classes[i]);
    }
    return status;
}

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
            call_what_is_there(p, o, p->pairs[i].kept) < 0) {
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
    PyMem_Free(v);
    p->preview = NULL;
}
