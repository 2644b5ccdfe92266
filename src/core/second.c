/* Previews of classes.
 *
 * A second class with the planned members, whose methods have the planned
 * bodies.  What statements set on it is carried over to the class that is
 * there, by the journal.
 *
 * It passes for the class: objects that exist are instances of the class, and
 * tables have it for a key, and a statement that asks for either has only the
 * preview to ask with.  So it has a metaclass of its own.  What inherits from
 * it gets that as well, until it is substituted.  Where that fits no other
 * base, the statement runs once more and previews do without it meanwhile.
 *
 * For preview.c.
 */
#include "preview.h"

/* -- Passing for another class -------------------------------------------- */

static const char source[] =
    "def make(meta, clone, live):\n"
    "    class Preview(meta):\n"
    "        __slots__ = ()\n"
    "        def __instancecheck__(cls, o):\n"
    "            return (meta.__instancecheck__(cls, o) or\n"
    "                    cls is clone and isinstance(o, live))\n"
    "        def __subclasscheck__(cls, c):\n"
    "            return (meta.__subclasscheck__(cls, c) or\n"
    "                    cls is clone and issubclass(c, live))\n"
    "        def __eq__(cls, o):\n"
    "            return o is cls or cls is clone and o is live\n"
    "        def __hash__(cls):\n"
    "            return hash(live) if cls is clone else meta.__hash__(cls)\n"
    "    Preview.__name__ = meta.__name__\n"
    "    Preview.__qualname__ = meta.__qualname__\n"
    "    return Preview\n";

static int
dress(struct hr_plan *p, PyObject *clone, PyObject *live)
{
    PyObject *meta = (PyObject *)Py_TYPE(live), *made = NULL, *done = NULL;
    PyObject *globals = Py_BuildValue("{s:s}", "__name__", "hot_reload");
    PyObject *code =
        globals ? Py_CompileString(source, "<hot_reload>", Py_file_input)
                : NULL;
    if (code != NULL && PyDict_SetItemString(globals, "__builtins__",
                                             PyEval_GetBuiltins()) == 0) {
        done = PyEval_EvalCode(code, globals, globals);
    }
    PyObject *make = done ? PyDict_GetItemString(globals, "make") : NULL;
    if (make != NULL) {
        made = PyObject_CallFunctionObjArgs(make, meta, clone, live, NULL);
    }
    int status = made == NULL ? -1 : hr_substitute_add(p, made, meta);
    if (status == 0) {
        /* Its slots are empty: classes of both are laid out alike. */
        hr_layout_set_meta(clone, made);
    }
    Py_XDECREF(made);
    Py_XDECREF(done);
    Py_XDECREF(code);
    Py_XDECREF(globals);
    if (status < 0 && !PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    return status;
}

/* The statement itself has raised it, before the class's body ran. */
static int
is_conflict(void)
{
    PyObject *type, *value, *traceback;
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
        return 0;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *text = PyObject_Str(value);
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    int is = utf8 != NULL && strncmp(utf8, "metaclass conflict", 18) == 0 &&
             (traceback == NULL ||
              ((PyTracebackObject *)traceback)->tb_next == NULL);
    PyErr_Clear();
    Py_XDECREF(text);
    PyErr_Restore(type, value, traceback);
    return is;
}

static int
undress(struct hr_plan *p, PyObject *o, PyObject *dressed)
{
    PyObject *meta = (PyObject *)Py_TYPE(o);
    PyObject *kept = PyType_Check(o) ? hr_substitute_kept(p, meta) : NULL;
    if (kept == NULL || !PyType_Check(kept)) {
        return 0;
    }
    PyObject *item = PyTuple_Pack(2, o, meta);
    int status = item == NULL ? -1 : PyList_Append(dressed, item);
    Py_XDECREF(item);
    if (status == 0) {
        hr_layout_set_meta(o, kept);
    }
    return status;
}

PyObject *
hr_second_undress(struct hr_plan *p)
{
    if (p->pair_count == 0 || !is_conflict()) {
        return NULL;
    }
    PyObject *type, *value, *traceback, *dressed;
    PyErr_Fetch(&type, &value, &traceback);
    dressed = PyList_New(0);
    int status = dressed == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < p->pair_count; i++) {
        status = undress(p, p->pairs[i].new, dressed);
    }
    for (Py_ssize_t i = 0;
         status == 0 && p->donors && i < PyList_GET_SIZE(p->donors); i++) {
        PyObject *item = PyList_GET_ITEM(p->donors, i);
        status = undress(p, PyTuple_GET_ITEM(item, 1), dressed);
    }
    if (status == 0 && PyList_GET_SIZE(dressed) > 0) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return dressed;
    }
    if (dressed != NULL) {
        hr_second_dress(dressed);
    }
    PyErr_Restore(type, value, traceback); /* also when memory ran out */
    return NULL;
}

void
hr_second_dress(PyObject *dressed)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(dressed); i++) {
        PyObject *item = PyList_GET_ITEM(dressed, i);
        hr_layout_set_meta(PyTuple_GET_ITEM(item, 0),
                           PyTuple_GET_ITEM(item, 1));
    }
    Py_DECREF(dressed);
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
        PyObject *copy =
            hr_preview_copy_function(m->r->p, value, m->live, m->cell);
        if (copy != NULL &&
            hr_preview_map_cells(m->r, HR_AS_FUNCTION(copy)) < 0) {
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
    return PyFunction_Check(value) || hr_owner_is_wrapper(value);
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
    (void)hr_place_peek(r->p->j, HR_PLACE_BASES, live, NULL, &bases);
    Py_ssize_t n = PyTuple_GET_SIZE(bases);
    PyObject *mapped = PyTuple_New(n);
    int status = mapped == NULL ? -1 : 0, differs = 0;
    for (Py_ssize_t i = 0; status == 0 && i < n; i++) {
        PyObject *base = hr_preview_get(r, PyTuple_GET_ITEM(bases, i));
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

PyObject *
hr_second_clone(struct hr_reach *r, PyObject *live)
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
    if (hr_preview_add(r->p, live, clone) < 0 ||
        dress(r->p, clone, live) < 0 || install_bases(r, live, clone) < 0 ||
        install_members(r, &c) < 0) {
        Py_CLEAR(clone);
    }
    return clone;
}

int
hr_second_renew(struct hr_reach *r)
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
hr_second_carry_over(struct hr_plan *p)
{
    int status = 0;
    for (size_t i = 0;
         status == 0 && p->preview != NULL && i < p->preview->class_count;
         i++) {
        status = carry_over(p, &p->preview->classes[i]);
    }
    return status;
}
