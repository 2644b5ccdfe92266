/* Revisions: the numbered record of what was committed or refused.
 *
 * A revision keeps what it needs to be undone: the run of a live file, or the
 * journal of a batch of sources.  Memory is bounded: only the newest
 * HR_REVISIONS_UNDOABLE keep it, only the newest HR_REVISIONS_KEPT are kept.
 */
#include "code.h"
#include <structmember.h>

#define EDITS_NAMED 4 /* in a line of the log */

/* -- Edit ----------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    const char *kind;
    PyObject *module, *qualname, *file, *code, *sentence; /* owned, or NULL */
    long line;
} hr_edit;

static void
edit_dealloc(PyObject *self)
{
    hr_edit *e = (hr_edit *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(e->module);
    Py_XDECREF(e->qualname);
    Py_XDECREF(e->file);
    Py_XDECREF(e->code);
    Py_XDECREF(e->sentence);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
edit_repr(PyObject *self)
{
    hr_edit *e = (hr_edit *)self;
    return PyUnicode_FromFormat("<Edit %s %S.%S line %ld>", e->kind,
                                e->module ? e->module : Py_None,
                                e->qualname ? e->qualname : Py_None, e->line);
}

static PyMemberDef edit_members[] = {
    {"kind", T_STRING, offsetof(hr_edit, kind), READONLY,
     "changed, added, removed, moved, ran or refused."},
    {"module", T_OBJECT, offsetof(hr_edit, module), READONLY,
     "Name of the module, or None."},
    {"qualname", T_OBJECT, offsetof(hr_edit, qualname), READONLY,
     "Qualified name within the module, or None for a statement."},
    {"file", T_OBJECT, offsetof(hr_edit, file), READONLY,
     "Path of the source."},
    {"line", T_LONG, offsetof(hr_edit, line), READONLY,
     "Line in the new text, 1-based; 0 when unknown."},
    {"code", T_OBJECT, offsetof(hr_edit, code), READONLY,
     "Of a refusal: its number, such as HR301; else None."},
    {"sentence", T_OBJECT, offsetof(hr_edit, sentence), READONLY,
     "Of a refusal: what was refused, why, and what to do; else None."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot edit_slots[] = {
    {Py_tp_doc, "One edit of a revision."},
    {Py_tp_dealloc, edit_dealloc},
    {Py_tp_repr, edit_repr},
    {Py_tp_members, edit_members},
    {0, NULL},
};

PyType_Spec hr_edit_spec = {
    .name = "hot_reload.Edit",
    .basicsize = sizeof(hr_edit),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = edit_slots,
};

int
hr_revision_add_edit(struct hr_state *st, PyObject *revision, const char *kind,
                     PyObject *module, PyObject *qualname, long line,
                     PyObject *code, PyObject *sentence)
{
    hr_revision *r = (hr_revision *)revision;
    hr_edit *e = PyObject_New(hr_edit, st->edit_type);
    if (e == NULL) {
        return -1;
    }
    e->kind = kind;
    e->module = Py_XNewRef(module);
    e->qualname = Py_XNewRef(qualname);
    e->file = r->at != NULL ? Py_NewRef(r->at)
              : PyList_GET_SIZE(r->files) > 0
                  ? Py_NewRef(PyList_GET_ITEM(r->files, 0))
                  : NULL;
    e->code = Py_XNewRef(code);
    e->sentence = Py_XNewRef(sentence);
    e->line = line;
    int status = PyList_Append(r->edits, (PyObject *)e);
    Py_DECREF(e);
    return status;
}

/* What a line of the log says of the edits: the names of the first of them.
 * New reference, or NULL with an exception. */
PyObject *
hr_revision_name_edits(hr_revision *r)
{
    Py_ssize_t n = PyList_GET_SIZE(r->edits);
    PyObject *names = PyList_New(0), *comma = NULL, *joined = NULL;
    for (Py_ssize_t i = 0; names != NULL && i < n; i++) {
        hr_edit *e = (hr_edit *)PyList_GET_ITEM(r->edits, i);
        PyObject *name = i == EDITS_NAMED ? PyUnicode_FromString("...")
                         : e->qualname
                             ? Py_NewRef(e->qualname)
                             : PyUnicode_FromFormat("line %ld", e->line);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
        if (i == EDITS_NAMED) {
            break;
        }
    }
    comma = names ? PyUnicode_FromString(", ") : NULL;
    joined = comma ? PyUnicode_Join(comma, names) : NULL;
    Py_XDECREF(comma);
    Py_XDECREF(names);
    return joined;
}

int
hr_revision_has_code(hr_revision *r, const char *code)
{
    /* Not as UTF-8: an exception's text may have lone surrogates. */
    PyObject *start =
        r->error != NULL ? PyUnicode_Substring(r->error, 0, 5) : NULL;
    int has =
        start != NULL && PyUnicode_CompareWithASCIIString(start, code) == 0;
    Py_XDECREF(start);
    PyErr_Clear();
    return has;
}

/* -- Revision ------------------------------------------------------------- */

PyObject *
hr_revision_new(struct hr_state *st)
{
    hr_revision *r = PyObject_GC_New(hr_revision, st->revision_type);
    if (r == NULL) {
        return NULL;
    }
    memset((char *)r + sizeof(PyObject), 0,
           sizeof(hr_revision) - sizeof(PyObject));
    r->st = st;
    r->module = Py_NewRef(st->module);
    r->files = PyList_New(0);
    r->edits = PyList_New(0);
    PyObject_GC_Track(r);
    if (r->files == NULL || r->edits == NULL) {
        Py_DECREF(r);
        return NULL;
    }
    return (PyObject *)r;
}

/* Let go of what undo needs. */
static void
drop_undo(hr_revision *r)
{
    struct hr_journal *j = r->journal;
    struct hr_run run = r->run;
    hr_frames_keep(r->st, r);
    r->journal = NULL;
    memset(&r->run, 0, sizeof r->run);
    r->undoable = 0;
    hr_journal_free(r->st, j);
    hr_patch_forget(r->st, &run);
    Py_CLEAR(r->caches);
}

int
hr_revision_keep(struct hr_state *st, PyObject *revision)
{
    hr_revision *r = (hr_revision *)revision;
    if (r->kept) {
        return 0;
    }
    r->id = ++st->next_revision;
    if (PyList_Append(st->revisions, revision) < 0) {
        return -1;
    }
    r->kept = 1;
    Py_ssize_t n = PyList_GET_SIZE(st->revisions);
    if (n > HR_REVISIONS_UNDOABLE) {
        PyObject *old = Py_NewRef(
            PyList_GET_ITEM(st->revisions, n - 1 - HR_REVISIONS_UNDOABLE));
        drop_undo((hr_revision *)old);
        Py_CLEAR(((hr_revision *)old)->texts);
        Py_DECREF(old);
    }
    n = PyList_GET_SIZE(st->revisions);
    if (n > HR_REVISIONS_KEPT) {
        return PyList_SetSlice(st->revisions, 0, n - HR_REVISIONS_KEPT, NULL);
    }
    return 0;
}

void
hr_revision_clear(struct hr_state *st, PyObject *caches)
{
    for (Py_ssize_t i = 0; caches != NULL && i < PyList_GET_SIZE(caches);
         i++) {
        PyObject *clear = PyList_GET_ITEM(caches, i), *result;
        if (PyWeakref_CheckRef(clear)) {
            PyObject *cache = hr_compat_weakref_get(clear);
            if (cache == NULL) {
                continue;
            }
            result = PyObject_CallMethod(cache, "cache_clear", NULL);
            Py_DECREF(cache);
        }
        else {
            result = PyObject_CallNoArgs(clear);
        }
        if (result == NULL) {
            hr_log_exception(st, "%R failed", clear);
        }
        Py_XDECREF(result);
    }
}

/* Closures made since the commit run its code, and are in no journal. */
static int
follow_closures(struct hr_state *st, hr_revision *r)
{
    struct hr_plan p = {
        .st = st, .revision = (PyObject *)r, .partial = PyList_New(0)};
    p.whole = 1; /* nobody else shall run */
    int status = p.partial == NULL ? -1 : hr_closure_follow(&p, r->journal);
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(p.partial);
         i++) {
        hr_log(st, HR_SAY_WARNING, "%U",
               PyTuple_GET_ITEM(PyList_GET_ITEM(p.partial, i), 1));
    }
    Py_XDECREF(p.partial);
    return status;
}

static int
undo_one(struct hr_state *st, hr_revision *r)
{
    if (r->journal != NULL) {
        if (follow_closures(st, r) < 0 ||
            hr_layer_swap_sources(st, r->journal) < 0) {
            return -1;
        }
        r->undone = 1; /* whatever fails from here on */
        hr_journal_notify(r->journal);
    }
    if (!r->is_live && hr_source_undo(st, r->texts) < 0) {
        return -1;
    }
    if (r->run.count > 0) {
        struct hr_run run = r->run;
        memset(&r->run, 0, sizeof r->run);
        if (hr_patch_roll_back(st, &run) < 0) {
            return -1;
        }
    }
    r->undone = 1;
    hr_revision_clear(st, r->caches);
    drop_undo(r);
    return 0;
}

static void
log_undone(struct hr_state *st, PyObject *undone)
{
    Py_ssize_t n = PyList_GET_SIZE(undone);
    for (Py_ssize_t i = 0; i < n; i++) {
        hr_revision *r = (hr_revision *)PyList_GET_ITEM(undone, i);
        hr_log(st, HR_SAY_INFO, "revision %ld is undone: %U", r->id,
               PyList_GET_ITEM(r->files, 0));
    }
}

PyObject *
hr_revision_undo(struct hr_state *st, long count)
{
    PyObject *undone = PyList_New(0);
    for (Py_ssize_t i = PyList_GET_SIZE(st->revisions);
         undone != NULL && i-- > 0 && count > 0;) {
        if (i >= PyList_GET_SIZE(st->revisions)) {
            continue;
        }
        hr_revision *r = (hr_revision *)PyList_GET_ITEM(st->revisions, i);
        if (!r->ok || r->undone) {
            continue;
        }
        if (!r->undoable) {
            if (PyList_GET_SIZE(undone) == 0) {
                PyErr_Format(PyExc_ValueError,
                             "undo: revision %ld is too old, only the newest "
                             "%d can be undone; use restore_all() for "
                             "replacements or save the old text",
                             r->id, HR_REVISIONS_UNDOABLE);
                Py_CLEAR(undone);
            }
            break;
        }
        Py_INCREF(r);
        if (undo_one(st, r) < 0 || PyList_Append(undone, (PyObject *)r) < 0) {
            Py_CLEAR(undone);
        }
        Py_DECREF(r);
        count--;
    }
    if (undone != NULL) {
        log_undone(st, undone);
    }
    hr_schedule_announce(st);
    return undone;
}

static int
revision_traverse(PyObject *self, visitproc visit, void *arg)
{
    hr_revision *r = (hr_revision *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->module);
    Py_VISIT(r->files);
    Py_VISIT(r->edits);
    Py_VISIT(r->texts);
    Py_VISIT(r->caches);
    for (size_t i = 0; i < r->run.count; i++) {
        Py_VISIT(r->run.actions[i].patch);
        Py_VISIT(r->run.actions[i].after);
        int status = hr_journal_traverse(r->run.actions[i].old, visit, arg);
        if (status != 0) {
            return status;
        }
    }
    return hr_journal_traverse(r->journal, visit, arg);
}

static int
revision_clear(PyObject *self)
{
    hr_revision *r = (hr_revision *)self;
    drop_undo(r);
    Py_CLEAR(r->files);
    Py_CLEAR(r->edits);
    Py_CLEAR(r->error);
    Py_CLEAR(r->texts);
    Py_CLEAR(r->module); /* last: `st` lives in it */
    return 0;
}

static void
revision_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)revision_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
revision_repr(PyObject *self)
{
    hr_revision *r = (hr_revision *)self;
    return PyUnicode_FromFormat("<Revision %ld %s %R>", r->id,
                                r->undone ? "undone"
                                : r->ok   ? "ok"
                                          : "failed",
                                r->files);
}

static PyMemberDef revision_members[] = {
    {"id", T_LONG, offsetof(hr_revision, id), READONLY,
     "Number of the revision, from 1."},
    {"files", T_OBJECT, offsetof(hr_revision, files), READONLY,
     "Paths of the files that were saved."},
    {"edits", T_OBJECT, offsetof(hr_revision, edits), READONLY,
     "List of Edit."},
    {"ok", T_BOOL, offsetof(hr_revision, ok), READONLY,
     "True when it was committed, False when it was refused or failed."},
    {"error", T_OBJECT, offsetof(hr_revision, error), READONLY,
     "What failed, with its traceback where there is one; else None."},
    {"undone", T_BOOL, offsetof(hr_revision, undone), READONLY,
     "True when undo() took it back."},
    {"saved_ns", T_LONGLONG, offsetof(hr_revision, saved_ns), READONLY,
     "When the save was noticed, CLOCK_MONOTONIC in nanoseconds."},
    {"ready_ns", T_LONGLONG, offsetof(hr_revision, ready_ns), READONLY,
     "When the batch was read and complete, likewise."},
    {"gil_ns", T_LONGLONG, offsetof(hr_revision, gil_ns), READONLY,
     "When the engine had the GIL, likewise."},
    {"planned_ns", T_LONGLONG, offsetof(hr_revision, planned_ns), READONLY,
     "When the plan was made and its commit began, likewise; 0 without one."},
    {"live_ns", T_LONGLONG, offsetof(hr_revision, live_ns), READONLY,
     "When it was committed (or given up), likewise."},
    {"split_ns", T_LONGLONG, offsetof(hr_revision, split_ns), READONLY,
     "How long splitting the texts took, in nanoseconds; before gil_ns."},
    {"compile_ns", T_LONGLONG, offsetof(hr_revision, compile_ns), READONLY,
     "How long compiling took, in nanoseconds; before planned_ns."},
    {"wall", T_DOUBLE, offsetof(hr_revision, wall), READONLY,
     "When it was committed, in seconds since the epoch."},
    {"live", T_BOOL, offsetof(hr_revision, is_live), READONLY,
     "True for the run of a live file."},
    {"texts", T_OBJECT, offsetof(hr_revision, texts), READONLY,
     "Dict of path to (old text, new text), or None when dropped."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot revision_slots[] = {
    {Py_tp_doc, "One batch of saves: what it changed, or why it did not."},
    {Py_tp_dealloc, revision_dealloc},
    {Py_tp_traverse, revision_traverse},
    {Py_tp_clear, revision_clear},
    {Py_tp_repr, revision_repr},
    {Py_tp_members, revision_members},
    {0, NULL},
};

PyType_Spec hr_revision_spec = {
    .name = "hot_reload.Revision",
    .basicsize = sizeof(hr_revision),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
#ifdef Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
    ,
    .slots = revision_slots,
};

/* -- Afterwards ----------------------------------------------------------- */

/* The current exception as text with its traceback.  Clears it. */
PyObject *
hr_revision_describe_exception(void)
{
    PyObject *type, *value, *traceback, *text = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *module = PyImport_ImportModule("traceback");
    PyObject *lines =
        module ? PyObject_CallMethod(module, "format_exception", "OOO", type,
                                     value, traceback ? traceback : Py_None)
               : NULL;
    if (lines != NULL) {
        PyObject *empty = PyUnicode_New(0, 0);
        text = empty ? PyUnicode_Join(empty, lines) : NULL;
        Py_XDECREF(empty);
        Py_ssize_t end = text ? PyUnicode_GET_LENGTH(text) - 1 : 0;
        if (end > 0 && PyUnicode_READ_CHAR(text, end) == '\n') {
            Py_SETREF(text, PyUnicode_Substring(text, 0, end));
        }
    }
    if (text == NULL) {
        PyErr_Clear();
        text = value != NULL ? PyObject_Repr(value) : NULL;
        PyErr_Clear();
    }
    Py_XDECREF(lines);
    Py_XDECREF(module);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return text;
}

void
hr_revision_announce(struct hr_state *st, PyObject *revision)
{
    PyObject *callbacks =
        PyList_GetSlice(st->callbacks, 0, PyList_GET_SIZE(st->callbacks));
    for (Py_ssize_t i = 0; callbacks != NULL && i < PyList_GET_SIZE(callbacks);
         i++) {
        PyObject *callback = PyList_GET_ITEM(callbacks, i);
        PyObject *result =
            PyObject_CallFunctionObjArgs(callback, revision, NULL);
        if (result == NULL) {
            hr_log_exception(st, "a callback of on_revision failed: %R",
                             callback);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(callbacks);
    PyErr_Clear();
    hr_schedule_announce(st);
}
