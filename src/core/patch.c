/* The registry of what is replaced now, and the Patch objects that show it.
 *
 * A patch is one replaced thing and the committed journal that replaced it.
 * Replacing it again takes that journal back and commits the next one, in one
 * piece under the GIL, so a replacement never piles up on another.
 *
 * While a live file runs, what its calls did is noted in a run; when the file
 * raises, the run is rolled back, newest action first.
 */
#include "core.h"
#include <structmember.h>

/* -- Finding -------------------------------------------------------------- */

/* The same callable: identical, or bound methods of one function and self. */
int
hr_patch_is_same(PyObject *a, PyObject *b)
{
    if (a == b) {
        return 1;
    }
    return a != NULL && b != NULL && PyMethod_Check(a) && PyMethod_Check(b) &&
           PyMethod_GET_SELF(a) == PyMethod_GET_SELF(b) &&
           PyMethod_GET_FUNCTION(a) == PyMethod_GET_FUNCTION(b);
}

/* func is `function`, or a method bound to it through a class. */
static int
is_bound(PyObject *func, PyObject *function)
{
    return PyMethod_Check(func) && PyMethod_GET_FUNCTION(func) == function;
}

/* The function behind a static or class method; borrowed, NULL: none is. */
static PyObject *
get_wrapped(PyObject *o)
{
    if (!hr_owner_is_method(o)) {
        return NULL;
    }
    PyObject *inner = PyObject_GetAttrString(o, "__func__");
    PyErr_Clear();
    Py_XDECREF(inner); /* the wrapper holds it */
    return inner;
}

int
hr_patch_has_put(hr_patch *p, PyObject *o)
{
    for (size_t i = 0; p->journal != NULL && i < hr_journal_count(p->journal);
         i++) {
        PyObject *put = hr_journal_placed(p->journal, i);
        if (put == NULL) {
            continue;
        }
        PyObject *inner = get_wrapped(put);
        if (hr_patch_is_same(put, o) || is_bound(o, put) ||
            (inner != NULL && (inner == o || is_bound(o, inner)))) {
            return 1;
        }
    }
    return 0;
}

/* What is replaced everywhere is not replaced for an object alone. */
static int
is_for_others(hr_patch *p, PyObject *owner)
{
    return owner != NULL && owner != p->owner && !PyModule_Check(owner) &&
           !PyType_Check(owner);
}

/* Is it the patch of this owner's attribute? */
static int
is_owner(hr_patch *p, PyObject *owner)
{
    PyObject *held;
    return owner == NULL || owner == p->owner ||
           (!p->by_owner && PyModule_Check(owner) &&
            hr_place_peek(p->journal, HR_PLACE_DICT, PyModule_GetDict(owner),
                          p->name, &held));
}

static hr_patch *
find(struct hr_state *st, PyObject *owner, PyObject *func)
{
    Py_ssize_t n = PyList_GET_SIZE(st->patches);
    for (int pass = 0; pass < 3; pass++) {
        for (Py_ssize_t i = n - 1; i >= 0; i--) {
            hr_patch *p = (hr_patch *)PyList_GET_ITEM(st->patches, i);
            if (pass == 0) {
                if ((hr_patch_is_same(p->before, func) ||
                     hr_patch_is_same(p->original, func) ||
                     (PyFunction_Check(p->before) &&
                      (is_bound(func, p->before) ||
                       is_bound(func, p->original)))) &&
                    (p->by_owner ? owner == NULL || owner == p->owner
                                 : !is_for_others(p, owner))) {
                    return p;
                }
            }
            /* What stands there goes before what it was made from. */
            else if ((pass == 1 ? hr_patch_has_put(p, func)
                                : hr_patch_is_same(p->after, func)) &&
                     is_owner(p, owner)) {
                return p;
            }
            else if (p->by_owner && PyMethod_Check(func) &&
                     PyMethod_GET_SELF(func) == p->owner &&
                     PyMethod_GET_FUNCTION(func) == p->after) {
                return p;
            }
        }
    }
    return NULL;
}

hr_patch *
hr_patch_find(struct hr_state *st, PyObject *owner, PyObject *func)
{
    hr_patch *p = find(st, owner, func);
    PyObject *f = p == NULL ? hr_original_find(st, owner, func) : NULL;
    if (f != NULL) {
        p = find(st, owner, f);
        Py_DECREF(f);
    }
    return p;
}

struct hr_run *
hr_patch_run(struct hr_state *st)
{
    return st->run != NULL && st->run_thread == PyThread_get_thread_ident()
               ? st->run
               : NULL;
}

PyObject *
hr_patch_list(struct hr_state *st)
{
    return PyList_GetSlice(st->patches, 0, PyList_GET_SIZE(st->patches));
}

/* -- Commit --------------------------------------------------------------- */

static int
list_patch(struct hr_state *st, hr_patch *p, int active)
{
    if (p->active == active) {
        return 0;
    }
    if (active) {
        /* In the order of their layers: it may come back. */
        Py_ssize_t i = PyList_GET_SIZE(st->patches);
        while (i > 0 &&
               ((hr_patch *)PyList_GET_ITEM(st->patches, i - 1))->layer >
                   p->layer) {
            i--;
        }
        if (PyList_Insert(st->patches, i, (PyObject *)p) < 0) {
            return -1;
        }
    }
    else {
        Py_ssize_t i = 0, n = PyList_GET_SIZE(st->patches);
        while (i < n && PyList_GET_ITEM(st->patches, i) != (PyObject *)p) {
            i++;
        }
        Py_INCREF(p); /* the caller may hold only the list's reference */
        int status = PyList_SetSlice(st->patches, i, i + 1, NULL);
        Py_DECREF(p);
        if (status < 0) {
            return -1;
        }
    }
    p->active = active;
    return 0;
}

/* Room for one more action in the run, so that noting it cannot fail. */
static int
reserve_action(struct hr_run *run)
{
    struct hr_action *actions =
        hr_grow(run->actions, run->count, &run->capacity, sizeof *actions);
    if (actions == NULL) {
        return -1;
    }
    run->actions = actions;
    return 0;
}

/* Note the state of the patch in the run; its old journal goes there. */
static void
note_action(struct hr_run *run, hr_patch *p, long commit, int replaced,
            int was_active)
{
    struct hr_action *a = &run->actions[run->count++];
    a->patch = (hr_patch *)Py_NewRef(p);
    a->old = p->journal;
    a->commit = commit;
    a->old_commit = p->commit;
    a->replaced = replaced;
    a->after = Py_XNewRef(p->after);
    a->file = Py_XNewRef(p->file);
    a->live = Py_XNewRef(p->live);
    a->path = Py_XNewRef(p->path);
    a->line = p->line;
    a->since = p->since;
    a->was_active = was_active;
}

int
hr_patch_commit(struct hr_state *st, hr_patch *p, struct hr_journal *j,
                PyObject *after, PyObject *file, long line)
{
    struct hr_run *run = hr_patch_run(st);
    int was_active = p->active;

    if ((run != NULL && reserve_action(run) < 0) ||
        list_patch(st, p, j != NULL) < 0) {
        hr_journal_free(st, j);
        return -1;
    }
    if (hr_layer_exchange(st, p->layer, p->journal, j) < 0) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (list_patch(st, p, was_active) < 0) {
            PyErr_WriteUnraisable((PyObject *)p);
        }
        hr_journal_free(st, j);
        PyErr_Restore(type, value, traceback);
        return -1;
    }
    struct hr_journal *old = p->journal;
    long commit = ++st->next_commit;
    if (run != NULL) {
        note_action(run, p, commit, j != NULL, was_active);
        p->touched = run->number;
    }
    p->journal = j;
    p->commit = commit;
    if (j != NULL) {
        p->since = (double)hr_clock_ns(CLOCK_REALTIME) / 1e9;
        p->line = line;
        Py_XSETREF(p->after, Py_XNewRef(after));
        Py_XSETREF(p->file, Py_XNewRef(file));
        Py_XSETREF(p->live, Py_NewRef(run != NULL ? run->name : Py_None));
        Py_XSETREF(p->path, Py_XNewRef(run != NULL ? run->path : NULL));
        hr_journal_notify(j);
    }
    else if (old != NULL) {
        hr_journal_notify(old);
    }
    if (run == NULL) {
        hr_journal_free(st, old);
    }
    hr_retire_sweep(st, 0);
    return 0;
}

int
hr_patch_restore(struct hr_state *st, hr_patch *p)
{
    Py_INCREF(p);
    /* A gentle journal: it was put where the program held the original. */
    int held = !p->by_owner && p->journal != NULL &&
               hr_journal_count(p->journal) > 0 &&
               hr_journal_placed(p->journal, 0) != NULL;
    int status = held ? hr_find_add_late(p) : 0;
    if (status == 0) {
        status = hr_patch_commit(st, p, NULL, NULL, NULL, 0);
    }
    Py_DECREF(p);
    return status;
}

/* -- Runs ----------------------------------------------------------------- */

static void
clear_action(struct hr_state *st, struct hr_action *a)
{
    hr_journal_free(st, a->old);
    Py_XDECREF(a->after);
    Py_XDECREF(a->file);
    Py_XDECREF(a->live);
    Py_XDECREF(a->path);
    Py_DECREF(a->patch);
}

static void
swap_fields(PyObject **a, PyObject **b)
{
    PyObject *t = *a;
    *a = *b;
    *b = t;
}

/* Has what was restored been replaced again since? */
static int
is_replaced_again(struct hr_state *st, hr_patch *p)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(st->patches); i++) {
        hr_patch *other = (hr_patch *)PyList_GET_ITEM(st->patches, i);
        if (other->before == p->before && other->by_owner == p->by_owner &&
            (!p->by_owner || (other->owner == p->owner &&
                              PyUnicode_Compare(other->name, p->name) == 0))) {
            return 1;
        }
    }
    return 0;
}

/* Nothing is released and nothing of Python runs in here. */
static int
roll_back_action(struct hr_state *st, struct hr_action *a)
{
    hr_patch *p = a->patch;
    struct hr_journal *made = p->journal;
    if (p->commit != a->commit || (!p->active && is_replaced_again(st, p))) {
        return 0; /* something later is in force, and stays */
    }
    if (list_patch(st, p, a->was_active) < 0 ||
        hr_layer_exchange(st, p->layer, made, a->old) < 0) {
        return -1;
    }
    p->journal = a->old;
    p->commit = a->old_commit;
    a->old = made;
    swap_fields(&p->after, &a->after);
    swap_fields(&p->file, &a->file);
    swap_fields(&p->live, &a->live);
    swap_fields(&p->path, &a->path);
    p->line = a->line;
    p->since = a->since;
    return 0;
}

int
hr_patch_roll_back(struct hr_state *st, struct hr_run *run)
{
    int status = 0;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    /* All swaps first; then hooks and releases, which may run Python. */
    for (size_t i = run->count; i-- > 0;) {
        if (roll_back_action(st, &run->actions[i]) < 0) {
            PyErr_WriteUnraisable((PyObject *)run->actions[i].patch);
            status = -1;
        }
    }
    for (size_t i = run->count; i-- > 0;) {
        if (run->actions[i].old != NULL) {
            hr_journal_notify(run->actions[i].old);
        }
    }
    hr_patch_forget(st, run);
    PyErr_Restore(type, value, traceback);
    return status;
}

void
hr_patch_forget(struct hr_state *st, struct hr_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        clear_action(st, &run->actions[i]);
    }
    PyMem_Free(run->actions);
    run->actions = NULL;
    run->count = run->capacity = 0;
    hr_retire_sweep(st, 0);
}

/* -- The type ------------------------------------------------------------- */

static int
patch_traverse(PyObject *self, visitproc visit, void *arg)
{
    hr_patch *p = (hr_patch *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(p->owner);
    Py_VISIT(p->before);
    Py_VISIT(p->original);
    Py_VISIT(p->after);
    return hr_journal_traverse(p->journal, visit, arg);
}

static int
patch_clear(PyObject *self)
{
    hr_patch *p = (hr_patch *)self;
    Py_CLEAR(p->owner);
    Py_CLEAR(p->name);
    Py_CLEAR(p->before);
    Py_CLEAR(p->original);
    Py_CLEAR(p->after);
    Py_CLEAR(p->file);
    Py_CLEAR(p->live);
    Py_CLEAR(p->path);
    struct hr_journal *j = p->journal;
    p->journal = NULL;
    hr_journal_free(NULL, j);
    return 0;
}

static void
patch_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)patch_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
patch_repr(PyObject *self)
{
    hr_patch *p = (hr_patch *)self;
    PyObject *after = Py_XNewRef(p->after); /* who is shown may replace it */
    PyObject *text =
        PyUnicode_FromFormat("<Patch %U of %R by %R%s>", p->name, p->owner,
                             after, p->active ? "" : ", restored");
    Py_XDECREF(after);
    return text;
}

static PyObject *
patch_restore(PyObject *self, PyTypeObject *cls, PyObject *const *args,
              Py_ssize_t n, PyObject *kwnames)
{
    (void)args;
    (void)n;
    (void)kwnames;
    struct hr_state *st = PyType_GetModuleState(cls);
    if (st == NULL) {
        return NULL;
    }
    if (((hr_patch *)self)->active &&
        hr_patch_restore(st, (hr_patch *)self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef patch_methods[] = {
    {"restore", (PyCFunction)(void (*)(void))patch_restore,
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "restore()\n--\n\nPut the original back; nothing when it is back."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef patch_members[] = {
    {"owner", T_OBJECT, offsetof(hr_patch, owner), READONLY,
     "The module, class or instance whose attribute was replaced."},
    {"name", T_OBJECT, offsetof(hr_patch, name), READONLY,
     "The attribute's name."},
    {"before", T_OBJECT, offsetof(hr_patch, before), READONLY,
     "The replaced object; callers that held it run the replacement."},
    {"original", T_OBJECT, offsetof(hr_patch, original), READONLY,
     "A callable that runs the original."},
    {"after", T_OBJECT, offsetof(hr_patch, after), READONLY,
     "The replacement as it was handed over."},
    {"file", T_OBJECT, offsetof(hr_patch, file), READONLY,
     "Path of the replacement's source, or None."},
    {"line", T_LONG, offsetof(hr_patch, line), READONLY,
     "Line of the replacement's source, or 0."},
    {"live", T_OBJECT, offsetof(hr_patch, live), READONLY,
     "Name of the live file that made it, or None."},
    {"since", T_DOUBLE, offsetof(hr_patch, since), READONLY,
     "When it took effect, in seconds since the epoch."},
    {"active", T_INT, offsetof(hr_patch, active), READONLY,
     "1 while it is in effect, 0 once it was restored."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot patch_slots[] = {
    {Py_tp_doc,
     "What replace() made: one replaced function, class or object."},
    {Py_tp_dealloc, patch_dealloc},
    {Py_tp_traverse, patch_traverse},
    {Py_tp_clear, patch_clear},
    {Py_tp_repr, patch_repr},
    {Py_tp_methods, patch_methods},
    {Py_tp_members, patch_members},
    {0, NULL},
};

PyType_Spec hr_patch_spec = {
    .name = "hot_reload.Patch",
    .basicsize = sizeof(hr_patch),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
    ,
    .slots = patch_slots,
};
