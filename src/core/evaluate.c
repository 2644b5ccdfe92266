/* Running changed statements with nothing of it visible.
 *
 * The globals of what runs are a *shadow*: a copy of the module's dict.  New
 * definitions see each other and all that is unchanged, and nobody else sees
 * them.  When everything has run, what was made is moved over: every function
 * whose globals are the shadow gets the module's real dict, and whatever holds
 * a new object that lends its content to an old one (a changed function, a
 * class) is made to hold the old one, which keeps its identity.
 *
 * What was made is found without searching the heap: while statements run, the
 * cyclic collector is off, so all of it is in the youngest generation.
 */
#include "code.h"

/* -- The collector -------------------------------------------------------- */

static int
call_gc(const char *name)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *result = gc ? PyObject_CallMethod(gc, name, NULL) : NULL;
    int truth = result != NULL ? PyObject_IsTrue(result) : -1;
    Py_XDECREF(result);
    Py_XDECREF(gc);
    return truth;
}

int
hr_evaluate_begin(struct hr_plan *p)
{
    if (p->gc_paused) {
        return 0;
    }
    p->gc_was_enabled = call_gc("isenabled");
    if (p->gc_was_enabled < 0 || call_gc("disable") < 0) {
        return -1;
    }
    p->gc_paused = 1;
    return 0;
}

static void
resume_gc(struct hr_plan *p)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (p->gc_paused && p->gc_was_enabled && call_gc("enable") < 0) {
        PyErr_WriteUnraisable(NULL);
    }
    p->gc_paused = 0;
    PyErr_Restore(type, value, traceback);
}

/* -- Running -------------------------------------------------------------- */

int
hr_evaluate_shadow(struct hr_unit *u)
{
    if (u->shadow != NULL) {
        return 0;
    }
    if (hr_evaluate_begin(u->plan) < 0) {
        return -1;
    }
    PyObject *live = u->live != NULL ? u->live : u->dict;
    u->shadow = PyDict_Copy(live);
    u->before = PyDict_Copy(live);
    if (u->shadow == NULL || u->before == NULL) {
        return -1;
    }
    /* Annotated assignments write into this dict. */
    PyObject *notes = PyDict_GetItemString(u->shadow, "__annotations__");
    if (notes == NULL || !PyDict_Check(notes)) {
        return 0;
    }
    notes = PyDict_Copy(notes);
    int status =
        notes == NULL
            ? -1
            : PyDict_SetItemString(u->shadow, "__annotations__", notes);
    Py_XDECREF(notes);
    return status;
}

int
hr_evaluate_run(struct hr_unit *u, PyObject *code, PyObject *ns)
{
    PyObject *globals = u->evaluates ? u->shadow : u->dict;
    PyObject *result = PyEval_EvalCode(code, globals, ns ? ns : u->shadow);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

int
hr_evaluate_forgive(struct hr_plan *p)
{
    if (!PyErr_Occurred()) {
        return 0;
    }
    if (PyErr_ExceptionMatches(p->st->interrupted) ||
        PyErr_ExceptionMatches(PyExc_MemoryError) ||
        !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* -- Substitutes ---------------------------------------------------------- */

int
hr_evaluate_substitute(struct hr_plan *p, PyObject *new, PyObject *kept)
{
    struct hr_pair *pairs =
        PyMem_Realloc(p->pairs, (p->pair_count + 1) * sizeof *pairs);
    if (pairs == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->pairs = pairs;
    pairs[p->pair_count].new = Py_NewRef(new);
    pairs[p->pair_count++].kept = Py_NewRef(kept);
    return 0;
}

PyObject *
hr_evaluate_kept(struct hr_plan *p, PyObject *o)
{
    for (size_t i = 0; i < p->pair_count; i++) {
        if (p->pairs[i].new == o) {
            return p->pairs[i].kept;
        }
    }
    return NULL;
}

static void
substitute_slot(struct hr_plan *p, PyObject **slot)
{
    PyObject *kept = *slot != NULL ? hr_evaluate_kept(p, *slot) : NULL;
    if (kept != NULL) {
        Py_SETREF(*slot, Py_NewRef(kept));
    }
}

static int
substitute_dict(struct hr_plan *p, PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    int keys = 0;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        PyObject *kept = hr_evaluate_kept(p, value);
        /* The key is there: nothing moves. */
        if (kept != NULL && PyDict_SetItem(dict, key, kept) < 0) {
            return -1;
        }
        keys |= hr_evaluate_kept(p, key) != NULL;
    }
    if (!keys) {
        return 0;
    }
    PyObject *items = PyDict_Items(dict);
    int status = items == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(items); i++) {
        PyObject *item = PyList_GET_ITEM(items, i);
        PyObject *kept = hr_evaluate_kept(p, PyTuple_GET_ITEM(item, 0));
        if (kept != NULL) {
            status = PyDict_DelItem(dict, PyTuple_GET_ITEM(item, 0));
            if (status == 0) {
                status = PyDict_SetItem(dict, kept, PyTuple_GET_ITEM(item, 1));
            }
        }
    }
    Py_XDECREF(items);
    return status;
}

/* In a list that has both, the new one goes. */
static int
substitute_list(struct hr_plan *p, PyObject *list)
{
    for (Py_ssize_t i = PyList_GET_SIZE(list); i-- > 0;) {
        PyObject *kept = hr_evaluate_kept(p, PyList_GET_ITEM(list, i));
        if (kept == NULL) {
            continue;
        }
        int twice = 0;
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(list); k++) {
            twice |= PyList_GET_ITEM(list, k) == kept;
        }
        if (twice) {
            if (PyList_SetSlice(list, i, i + 1, NULL) < 0) {
                return -1;
            }
        }
        else {
            substitute_slot(p, &((PyListObject *)list)->ob_item[i]);
        }
    }
    return 0;
}

static int
substitute_set(struct hr_plan *p, PyObject *set)
{
    for (size_t i = 0; i < p->pair_count; i++) {
        int has = PySet_Discard(set, p->pairs[i].new);
        if (has < 0) {
            PyErr_Clear(); /* not hashable */
        }
        if (has == 1 && PySet_Add(set, p->pairs[i].kept) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
substitute_bases(struct hr_plan *p, PyObject *type)
{
    PyObject *bases = ((PyTypeObject *)type)->tp_bases;
    int found = 0;
    for (Py_ssize_t i = 0; bases != NULL && i < PyTuple_GET_SIZE(bases); i++) {
        found |= hr_evaluate_kept(p, PyTuple_GET_ITEM(bases, i)) != NULL;
    }
    if (!found || hr_evaluate_kept(p, type) != NULL) {
        return 0;
    }
    PyObject *mapped = PyTuple_New(PyTuple_GET_SIZE(bases));
    for (Py_ssize_t i = 0; mapped != NULL && i < PyTuple_GET_SIZE(bases);
         i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        PyObject *kept = hr_evaluate_kept(p, base);
        PyTuple_SET_ITEM(mapped, i, Py_NewRef(kept ? kept : base));
    }
    int status = mapped == NULL ? -1 : hr_layout_set_bases(type, mapped);
    Py_XDECREF(mapped);
    return status;
}

static int
substitute_in(struct hr_plan *p, PyObject *o)
{
    if (PyDict_Check(o)) {
        return substitute_dict(p, o);
    }
    if (PyList_Check(o)) {
        return substitute_list(p, o);
    }
    if (PyTuple_CheckExact(o)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); i++) {
            substitute_slot(p, &((PyTupleObject *)o)->ob_item[i]);
        }
    }
    else if (PyCell_Check(o)) {
        substitute_slot(p, &((PyCellObject *)o)->ob_ref);
    }
    else if (PyMethod_Check(o)) {
        substitute_slot(p, &((PyMethodObject *)o)->im_func);
        substitute_slot(p, &((PyMethodObject *)o)->im_self);
    }
    else if (PyAnySet_Check(o)) {
        return PyFrozenSet_Check(o) ? 0 : substitute_set(p, o);
    }
    else if (hr_class_is_open(o)) {
        PyType_Modified((PyTypeObject *)o);
        return substitute_bases(p, o);
    }
    return 0;
}

int
hr_evaluate_substitute_leaked(struct hr_plan *p)
{
    PyObject *gc = NULL;
    int status = 0;
    for (size_t i = 0; status == 0 && i < p->pair_count; i++) {
        PyObject *new = p->pairs[i].new;
        /* Ours and, of a class, its own: the MRO, its type's list, ... */
        Py_ssize_t own = PyType_Check(new) ? 3 : 1;
        if (Py_REFCNT(new) <= own) {
            continue;
        }
        if (gc == NULL && (gc = PyImport_ImportModule("gc")) == NULL) {
            return -1;
        }
        PyObject *found = PyObject_CallMethod(gc, "get_referrers", "O", new);
        status = found == NULL ? -1 : 0;
        for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(found);
             k++) {
            PyObject *o = PyList_GET_ITEM(found, k);
            if (o != ((PyTypeObject *)new)->tp_mro || !PyType_Check(new)) {
                if (!PyTuple_CheckExact(o)) {
                    status = substitute_in(p, o);
                }
            }
        }
        Py_XDECREF(found);
    }
    Py_XDECREF(gc);
    return status;
}

/* -- Moving what was made ------------------------------------------------- */

static struct hr_unit *
unit_of_shadow(struct hr_plan *p, PyObject *globals)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (p->units[i].shadow != NULL && p->units[i].shadow == globals) {
            return &p->units[i];
        }
    }
    return NULL;
}

/* Does a suspended generator or coroutine run on a shadow? */
static int
runs_on_shadow(struct hr_plan *p, PyObject *o)
{
    const char *name = PyGen_CheckExact(o)        ? "gi_frame"
                       : PyCoro_CheckExact(o)     ? "cr_frame"
                       : PyAsyncGen_CheckExact(o) ? "ag_frame"
                                                  : NULL;
    if (name == NULL) {
        return 0;
    }
    PyObject *frame = PyObject_GetAttrString(o, name);
    PyObject *globals = frame && frame != Py_None
                            ? PyObject_GetAttrString(frame, "f_globals")
                            : NULL;
    int runs = globals != NULL && unit_of_shadow(p, globals) != NULL;
    Py_XDECREF(globals);
    Py_XDECREF(frame);
    PyErr_Clear();
    return runs;
}

/* Does a thread that was started while evaluating run on a shadow? */
static int
thread_runs_on_shadow(struct hr_plan *p)
{
    PyObject *sys = PyImport_ImportModule("sys");
    PyObject *frames =
        sys ? PyObject_CallMethod(sys, "_current_frames", NULL) : NULL;
    PyObject *key, *frame;
    Py_ssize_t pos = 0;
    int runs = 0;
    while (frames != NULL && PyDict_Next(frames, &pos, &key, &frame)) {
        PyObject *f = Py_NewRef(frame);
        while (f != NULL && f != Py_None && !runs) {
            PyObject *globals = PyObject_GetAttrString(f, "f_globals");
            runs = globals != NULL && unit_of_shadow(p, globals) != NULL;
            Py_XDECREF(globals);
            Py_SETREF(f, PyObject_GetAttrString(f, "f_back"));
        }
        Py_XDECREF(f);
    }
    PyErr_Clear();
    Py_XDECREF(frames);
    Py_XDECREF(sys);
    return runs;
}

int
hr_evaluate_end(struct hr_plan *p)
{
    int status = 0, keep = 0, any = 0;
    for (size_t i = 0; i < p->unit_count; i++) {
        any |= p->units[i].evaluates && p->units[i].shadow != NULL;
    }
    if (any) {
        PyObject *gc = PyImport_ImportModule("gc");
        PyObject *young =
            gc ? PyObject_CallMethod(gc, "get_objects", "i", 0) : NULL;
        Py_XDECREF(gc);
        status = young == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(young);
             i++) {
            PyObject *o = PyList_GET_ITEM(young, i);
            if (PyFunction_Check(o)) {
                PyFunctionObject *f = (PyFunctionObject *)o;
                struct hr_unit *u = unit_of_shadow(p, f->func_globals);
                if (u != NULL) {
                    Py_SETREF(f->func_globals, Py_NewRef(u->dict));
                    PyObject *id = PyLong_FromVoidPtr(o);
                    if (id == NULL || PySet_Add(p->made, id) < 0) {
                        status = -1;
                    }
                    Py_XDECREF(id);
                }
            }
            else {
                keep |= runs_on_shadow(p, o);
            }
            if (o != young && p->pair_count > 0) {
                status = substitute_in(p, o);
            }
        }
        Py_XDECREF(young);
        for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
            if (p->units[i].shadow != NULL) {
                status = substitute_dict(p, p->units[i].shadow);
            }
        }
        if (keep || thread_runs_on_shadow(p)) {
            /* A frame borrows it (retire.c): it has to stay. */
            for (size_t i = 0; i < p->unit_count; i++) {
                Py_XINCREF(p->units[i].shadow);
            }
        }
    }
    resume_gc(p);
    return status;
}

void
hr_evaluate_abandon(struct hr_plan *p)
{
    resume_gc(p);
}
