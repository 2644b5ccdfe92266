/* Imports in a batch: what they give is what the batch will have.
 *
 * `from m import x` of a module of the batch is read by its words, which is
 * quick.  All other imports run as any statement, wherever they stand: while
 * they do, __import__ gives the preview of a module of the batch (preview.c)
 * to code that runs on a shadow, and to nobody else.  In a circle, a module
 * that has not been planned yet is planned first, as an import does.  Copies
 * of statements that do not run are brought up to date before anything does.
 */
#include "code.h"

/* -- Imports that run -------------------------------------------------------
 */

/* What __import__ is while statements of a batch run: the program's own, and
 * for code that runs on a shadow, of a module of the batch, its preview.
 * `self`: the program's own, and the core's module. */
static PyObject *
import_planned(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct hr_state *st = hr_state_of(PyTuple_GET_ITEM(self, 1));
    PyObject *module = PyObject_Call(PyTuple_GET_ITEM(self, 0), args, kwargs);
    PyObject *globals =
        PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : NULL;
    if (module != NULL && PyModule_Check(module) && globals != NULL &&
        st->planning == PyThread_get_thread_ident() &&
        hr_evaluate_unit(st->plan, globals) != NULL) {
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        PyObject *code =
            frame != NULL ? (PyObject *)PyFrame_GetCode(frame) : NULL;
        if (code != NULL) {
            Py_SETREF(module, hr_preview_module(st->plan, module, code));
        }
        Py_XDECREF(code);
    }
    return module;
}

static PyMethodDef import_method = {
    "__import__", (PyCFunction)(void (*)(void))import_planned,
    METH_VARARGS | METH_KEYWORDS, NULL};

int
hr_importing_begin(struct hr_unit *u, struct hr_importing *hook)
{
    *hook = (struct hr_importing){.name = NULL};
    if (u->plan->unit_count < 2 || !u->evaluates) {
        return 0;
    }
    PyObject *builtins = PyDict_GetItemString(u->shadow, "__builtins__");
    if (builtins != NULL && PyModule_Check(builtins)) {
        builtins = PyModule_GetDict(builtins);
    }
    if (builtins == NULL || !PyDict_Check(builtins)) {
        return 0;
    }
    PyObject *name = PyUnicode_InternFromString("__import__");
    PyObject *own = name ? PyDict_GetItemWithError(builtins, name) : NULL;
    PyObject *self = own ? PyTuple_Pack(2, own, u->plan->st->module) : NULL;
    PyObject *made = self ? PyCFunction_New(&import_method, self) : NULL;
    Py_XDECREF(self);
    if (made == NULL || PyDict_SetItem(builtins, name, made) < 0) {
        Py_XDECREF(made);
        Py_XDECREF(name);
        return own == NULL && !PyErr_Occurred() ? 0 : -1;
    }
    *hook = (struct hr_importing){name, Py_NewRef(builtins), made};
    return 0;
}

void
hr_importing_end(struct hr_importing *hook)
{
    PyObject *type, *value, *traceback;
    if (hook->name == NULL) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    /* Unless the statement has set another. */
    if (PyDict_GetItemWithError(hook->builtins, hook->name) == hook->made) {
        PyObject *self = PyCFunction_GET_SELF(hook->made);
        /* The key is there: nothing is allocated. */
        (void)PyDict_SetItem(hook->builtins, hook->name,
                             PyTuple_GET_ITEM(self, 0));
    }
    PyErr_Restore(type, value, traceback);
    Py_CLEAR(hook->made);
    Py_CLEAR(hook->builtins);
    Py_CLEAR(hook->name);
}

/* -- By its words ---------------------------------------------------------
 */

/* What a name of another module of the batch will hold.  Borrowed. */
static PyObject *
planned_value(struct hr_unit *u, PyObject *name)
{
    PyObject *value =
        u->shadow ? PyDict_GetItemWithError(u->shadow, name) : NULL;
    if (value == NULL && !u->evaluates) {
        value = PyDict_GetItemWithError(u->dict, name);
    }
    return value;
}

static int
import_star(struct hr_unit *u, struct hr_unit *from)
{
    PyObject *source = from->evaluates ? from->shadow : from->dict;
    PyObject *all = PyDict_GetItemString(source, "__all__");
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(source, &pos, &key, &value)) {
        if (hr_import_is_public(all, key) &&
            PyDict_SetItem(u->shadow, key, value) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_importing_run(struct hr_unit *u, const struct hr_block *b)
{
    if (memchr(u->text + b->start, ';', b->end - b->start) != NULL) {
        return 0; /* there is more than the import */
    }
    PyObject *list = hr_import_read(u, u->text, b);
    if (list == NULL || PyList_GET_SIZE(list) == 0) {
        Py_XDECREF(list);
        return list == NULL ? -1 : 0;
    }
    PyObject *module = PyTuple_GET_ITEM(PyList_GET_ITEM(list, 0), 0);
    struct hr_unit *from = hr_unit_find(u->plan, module);
    PyObject *names = PyDict_New();
    int status = names == NULL ? -1 : from != NULL && from != u;
    /* In a circle it has not been planned yet: first, as an import does. */
    if (status == 1 && from->shadow == NULL && hr_unit_plan(from) < 0) {
        status = -1;
    }
    for (Py_ssize_t i = 0; status == 1 && i < PyList_GET_SIZE(list); i++) {
        PyObject *copy = PyList_GET_ITEM(list, i);
        PyObject *name = PyTuple_GET_ITEM(copy, 1);
        if (PyUnicode_CompareWithASCIIString(name, "*") == 0) {
            status = import_star(u, from) < 0 ? -1 : 1;
            continue;
        }
        PyObject *value = planned_value(from, name);
        if (value == NULL) {
            status = PyErr_Occurred() ? -1 : 0; /* a submodule, or nothing */
        }
        else if (PyDict_SetItem(names, PyTuple_GET_ITEM(copy, 2), value) < 0) {
            status = -1;
        }
    }
    if (status == 1 && PyDict_Update(u->shadow, names) < 0) {
        status = -1;
    }
    Py_XDECREF(names);
    Py_DECREF(list);
    return status;
}

/* -- Copies that do not change ----------------------------------------------
 */

/* A copy that still holds the old value, in the shadow. */
static int
refresh_copy(struct hr_unit *u, const struct hr_block *b, PyObject *copy)
{
    PyObject *name = PyTuple_GET_ITEM(copy, 1);
    PyObject *as = PyTuple_GET_ITEM(copy, 2);
    struct hr_unit *from = hr_unit_find(u->plan, PyTuple_GET_ITEM(copy, 0));
    if (from == NULL || from == u || from->shadow == NULL) {
        return 0; /* in a circle: not planned before its import runs */
    }
    PyObject *old = PyDict_GetItemWithError(from->live, name);
    PyObject *new = planned_value(from, name);
    PyObject *current = PyDict_GetItemWithError(u->shadow, as);
    if (old == NULL || new == NULL || new == old ||
        !hr_value_still_is(current, old)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int later = hr_import_is_bound_later(u->text, u->blocks, b, as);
    return later != 0 ? (later < 0 ? -1 : 0)
                      : PyDict_SetItem(u->shadow, as, new);
}

int
hr_importing_refresh(struct hr_unit *u)
{
    int status = 0;
    for (size_t i = 0;
         status == 0 && u->plan->unit_count > 1 && i < u->blocks->count; i++) {
        const struct hr_block *b = &u->blocks->items[i];
        if (b->kind == HR_BLOCK_DEF || b->kind == HR_BLOCK_CLASS ||
            memmem(u->text + b->start, b->end - b->start, "import", 6) ==
                NULL) {
            continue;
        }
        PyObject *list = hr_import_read(u, u->text, b);
        status = list == NULL ? -1 : 0;
        for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(list); k++) {
            status = refresh_copy(u, b, PyList_GET_ITEM(list, k));
        }
        Py_XDECREF(list);
    }
    return status;
}
