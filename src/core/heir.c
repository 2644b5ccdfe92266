/* What inherits from a class that was made again.
 *
 * A dataclass or a model has fields of its bases in what was made of it.  When
 * a base is made again, its statement is run once more, too, sees the donors
 * (preview.c) in the place of the classes that change, and is merged like any
 * other; and so on with what inherits from that.  A parametrised model
 * (`Page[int]`) has no statement: it is made from the donor.
 *
 * For plan.c, when everything that changed has been evaluated.
 */
#include "scope.h"

static PyObject *
own_attribute(PyObject *type, const char *name)
{
    return PyDict_GetItemString(hr_compat_type_dict((PyTypeObject *)type),
                                name);
}

int
hr_heir_is_made(PyObject *type)
{
    return own_attribute(type, "__dataclass_fields__") != NULL ||
           own_attribute(type, "__attrs_attrs__") != NULL ||
           hr_enum_is(type) || hr_whole_consumes_members(type);
}

/* The newest donor of a class, or NULL.  Borrowed. */
static PyObject *
find_donor(struct hr_plan *p, PyObject *type)
{
    for (size_t i = p->pair_count; i-- > 0;) {
        if (p->pairs[i].kept == type && !p->pairs[i].preview) {
            return p->pairs[i].new;
        }
    }
    return NULL;
}

/* -- The statement -------------------------------------------------------- */

static const struct hr_block *
find_statement(const char *text, const struct hr_blocks *blocks,
               PyObject *name)
{
    for (size_t i = blocks->count; i-- > 0;) {
        const struct hr_block *b = &blocks->items[i];
        if (b->kind == HR_BLOCK_CLASS && hr_name_is(text, b, name) == 1) {
            return b;
        }
    }
    PyErr_Clear();
    return NULL;
}

/* The unit of a module, which may not be saved at all: *u is NULL when it is
 * not followed, or has no statement for the class `sub` of that name. */
static int
find_unit(struct hr_plan *p, PyObject *home, PyObject *name, PyObject *sub,
          struct hr_unit **u)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *module = PyDict_GetItemWithError(modules, home);
    *u = NULL;
    if (module == NULL || !PyModule_Check(module) ||
        PyDict_GetItemWithError(PyModule_GetDict(module), name) != sub) {
        return PyErr_Occurred() ? -1 : 0;
    }
    *u = hr_unit_find(p, home);
    if (*u != NULL) {
        return 0;
    }
    for (struct hr_source *s = p->st->sources; s != NULL; s = s->next) {
        PyObject *list = hr_source_modules(s);
        int has = list == NULL ? -1 : PySequence_Contains(list, module);
        Py_XDECREF(list);
        if (has == 0) {
            continue;
        }
        if (has > 0 && find_statement(s->text, &s->blocks, name) == NULL) {
            return 0;
        }
        struct hr_file f = {.source = s, .text = s->text, .size = s->size};
        f.blocks = s->blocks;
        if (has < 0 || hr_unit_add(p, &f, module) < 0) {
            return -1;
        }
        *u = &p->units[p->unit_count - 1];
        (*u)->blocks = &s->blocks;
        return 0;
    }
    return 0;
}

int
hr_heir_names_metaclass(struct hr_plan *p, PyObject *type)
{
    PyObject *name = ((PyHeapTypeObject *)type)->ht_qualname;
    PyObject *module = own_attribute(type, "__module__");
    struct hr_unit *u = NULL;
    if (module == NULL || !PyUnicode_Check(module)) {
        return 0;
    }
    const char *text = NULL;
    const struct hr_blocks *blocks = NULL;
    u = hr_unit_find(p, module);
    if (u != NULL) {
        text = u->text;
        blocks = u->blocks;
    }
    for (struct hr_source *s = p->st->sources; u == NULL && s != NULL;
         s = s->next) {
        PyObject *list = hr_source_modules(s), *dict = NULL;
        for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list);
             i++) {
            dict = PyModule_GetDict(PyList_GET_ITEM(list, i));
            if (PyDict_GetItemWithError(dict, name) == type) {
                text = s->text;
                blocks = &s->blocks;
            }
        }
        Py_XDECREF(list);
    }
    PyErr_Clear();
    const struct hr_block *b =
        text != NULL ? find_statement(text, blocks, name) : NULL;
    return b != NULL && memmem(text + b->start, b->head_end - b->start,
                               "metaclass", 9) != NULL;
}

static int
run_again(struct hr_unit *u, PyObject *type, PyObject *name)
{
    struct hr_plan *p = u->plan;
    struct hr_scope s = {.u = u};
    const struct hr_block *old =
        find_statement(u->source->text, &u->source->blocks, name);
    const struct hr_block *new = find_statement(u->text, u->blocks, name);
    if (old == NULL || new == NULL) {
        return 0;
    }
    if (hr_unit_evaluate(u) < 0) {
        return -1;
    }
    Py_ssize_t n = p->donors != NULL ? PyList_GET_SIZE(p->donors) : 0;
    s.live = u->live;
    s.ns = u->shadow;
    s.before = u->before;
    s.old_text = u->source->text;
    s.old = &u->source->blocks;
    s.new = u->blocks;
    int status = hr_classdef_again(&s, type, name, old, new);
    if (status == 0) {
        status = hr_remake_merge_all(&s, n);
    }
    if (status < 0) {
        u->error_line = (int)new->line;
        return -1;
    }
    return PyDict_SetItem(u->shadow, name, type);
}

/* -- Heirs ---------------------------------------------------------------- */

/* donor[arguments], by a statement, as pydantic looks at who asks. */
static PyObject *
parametrise(PyObject *donor, PyObject *arguments)
{
    PyObject *globals =
        Py_BuildValue("{s:O,s:s}", "__builtins__", PyEval_GetBuiltins(),
                      "__name__", "hot_reload");
    PyObject *names =
        Py_BuildValue("{s:O,s:O}", "model", donor, "arguments", arguments);
    PyObject *made = NULL;
    if (globals != NULL && names != NULL) {
        made = PyRun_String("model[arguments]", Py_eval_input, globals, names);
    }
    Py_XDECREF(names);
    Py_XDECREF(globals);
    return made;
}

/* A class that the model made by `Model[arguments]`: 1 when it is one. */
static int
plan_parametrised(struct hr_plan *p, PyObject *type, PyObject *sub,
                  PyObject *donor)
{
    PyObject *data = own_attribute(sub, "__pydantic_generic_metadata__");
    if (data == NULL || !PyDict_Check(data) ||
        PyDict_GetItemString(data, "origin") != type) {
        return 0;
    }
    PyObject *arguments = PyDict_GetItemString(data, "args");
    if (arguments == NULL || !PyTuple_Check(arguments)) {
        return 1;
    }
    PyObject *made = parametrise(donor, PyTuple_GET_SIZE(arguments) == 1
                                            ? PyTuple_GET_ITEM(arguments, 0)
                                            : arguments);
    hr_made_more(p);
    int status = made == NULL             ? hr_evaluate_forgive(p)
                 : hr_class_is_open(made) ? hr_made_has(p, made)
                                          : 0;
    if (made != NULL && status > 0) {
        status = hr_remake_take(p, sub, made);
    }
    Py_XDECREF(made);
    return status < 0 ? -1 : 1;
}

static int
plan_heir(struct hr_plan *p, PyObject *type, PyObject *sub, PyObject *donor,
          struct hr_unit **at)
{
    PyObject *name = ((PyHeapTypeObject *)sub)->ht_qualname;
    PyObject *module = own_attribute(sub, "__module__");
    struct hr_unit *u = NULL;
    int status = plan_parametrised(p, type, sub, donor);
    if (status != 0 || module == NULL || !PyUnicode_Check(module)) {
        return status < 0 ? -1 : 0;
    }
    if (find_unit(p, module, name, sub, &u) < 0) {
        return -1;
    }
    if (u == NULL) {
        return 0;
    }
    *at = u;
    return run_again(u, sub, name);
}

/* Was the class made again with this donor for its base already? */
static int
has_seen(struct hr_plan *p, PyObject *sub, PyObject *donor)
{
    PyObject *own = find_donor(p, sub);
    PyObject *bases = own != NULL ? ((PyTypeObject *)own)->tp_bases : NULL;
    for (Py_ssize_t i = 0; bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        if (PyTuple_GET_ITEM(bases, i) == donor) {
            return 1;
        }
    }
    return 0;
}

int
hr_heir_plan(struct hr_plan *p, struct hr_unit **at)
{
    /* What is made again is another pair, at the end. */
    for (size_t i = 0; i < p->pair_count && i < 5000; i++) {
        PyObject *type = p->pairs[i].kept, *donor = p->pairs[i].new;
        if (p->pairs[i].preview || !PyType_Check(type) ||
            !PyType_Check(donor) || !hr_class_is_open(type) ||
            !hr_heir_is_made(donor)) {
            continue;
        }
        PyObject *list = PyObject_CallMethod((PyObject *)&PyType_Type,
                                             "__subclasses__", "O", type);
        int status = list == NULL ? -1 : 0;
        for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(list); k++) {
            PyObject *sub = PyList_GET_ITEM(list, k);
            if (!hr_class_is_open(sub) || !hr_heir_is_made(sub)) {
                continue;
            }
            int made = hr_made_has(p, sub);
            status = made < 0 ? -1
                     : made || has_seen(p, sub, donor)
                         ? 0
                         : plan_heir(p, type, sub, donor, at);
        }
        Py_XDECREF(list);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}
