/* The functions of hot_reload._core: arguments and docs; it has no logic of
 * its own.
 */
#include "code.h"

PyDoc_STRVAR(
    set_doc,
    "set(name, value)\n--\n\n"
    "Set one setting of the engine; configure() checks names and values.");

static PyObject *
core_set(PyObject *module, PyObject *args)
{
    struct hr_state *st = hr_state_of(module);
    const char *name;
    PyObject *value;
    if (!PyArg_ParseTuple(args, "sO:set", &name, &value)) {
        return NULL;
    }
    if (strcmp(name, "logger") == 0) {
        Py_XSETREF(st->logger, value == Py_None ? NULL : Py_NewRef(value));
    }
    else if (PyDict_SetItemString(st->settings, name, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* -- Replacing ------------------------------------------------------------ */

PyDoc_STRVAR(
    replace_doc,
    "replace(owner, before, after)\n--\n\n"
    "Let everything that calls `before` run `after`, from now on, "
    "everywhere.\n\n"
    "owner: the module, class or instance that has `before` as an attribute; "
    "it\n"
    "is found there by identity, not by name.  before: the function, class "
    "or\n"
    "other callable to replace, or one that is replaced already.  after: "
    "what\n"
    "runs instead; for a function any callable, for a class a class.\n\n"
    "Returns the Patch.  Raises ValueError when the owner does not hold "
    "`before`,\n"
    "TypeError when it cannot be replaced at all, RudeEdit (with a code) when "
    "a\n"
    "class cannot take the content of the other.  On an error nothing "
    "changes.");

static PyObject *
core_replace(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"owner", "before", "after", NULL};
    PyObject *owner, *before, *after;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:replace", names,
                                     &owner, &before, &after)) {
        return NULL;
    }
    return hr_replace(hr_state_of(module), owner, before, after);
}

PyDoc_STRVAR(
    restore_doc,
    "restore(owner, func)\n--\n\n"
    "Put the original back.\n\n"
    "owner: the object given to replace().  func: the original, the current\n"
    "function or the replacement.  Returns True when something was restored,\n"
    "False when `func` is not replaced.");

static PyObject *
core_restore(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"owner", "func", NULL};
    PyObject *owner, *func;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:restore", names, &owner,
                                     &func)) {
        return NULL;
    }
    return hr_restore(hr_state_of(module), owner, func);
}

PyDoc_STRVAR(restore_all_doc,
             "restore_all()\n--\n\n"
             "Put all originals back, the newest replacement first.  Returns "
             "how many.");

static PyObject *
core_restore_all(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return hr_restore_all(hr_state_of(module));
}

PyDoc_STRVAR(original_doc, "original(func)\n--\n\n"
                           "A callable that runs the original of `func` while "
                           "it is replaced; `func`\n"
                           "itself when it is not. In a live file, which may "
                           "replace it later, always\n"
                           "that callable.");

static PyObject *
core_original(PyObject *module, PyObject *func)
{
    return hr_original(hr_state_of(module), func);
}

PyDoc_STRVAR(patches_doc,
             "patches()\n--\n\n"
             "A list of the Patch objects that are in effect, oldest first.");

static PyObject *
core_patches(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return hr_patch_list(hr_state_of(module));
}

/* -- Engine --------------------------------------------------------------- */

PyDoc_STRVAR(
    start_doc,
    "start(roots, live, skip)\n--\n\n"
    "Start the engine, or add to the running one: tuples of absolute paths "
    "of\n"
    "folders to follow, folders of live files, names that are no live files.");

static PyObject *
core_start(PyObject *module, PyObject *args)
{
    PyObject *roots, *live, *skip;
    if (!PyArg_ParseTuple(args, "O!O!O!:start", &PyTuple_Type, &roots,
                          &PyTuple_Type, &live, &PyTuple_Type, &skip)) {
        return NULL;
    }
    if (hr_schedule_start(hr_state_of(module), roots, live, skip) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    stop_doc,
    "stop()\n--\n\n"
    "Stop watching and end the engine's thread.  What is replaced stays so.");

static PyObject *
core_stop(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    if (hr_plan_forbids(hr_state_of(module), "stop") < 0 ||
        hr_schedule_stop(hr_state_of(module)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    sync_doc,
    "sync(timeout=5.0)\n--\n\n"
    "Wait until every save that was made before this call is live.\n\n"
    "timeout: seconds.  Returns True (also when no engine runs), or False "
    "when\n"
    "the time ran out.  Raises RuntimeError in the engine's own thread, as in "
    "a\n"
    "live file.");

static PyObject *
core_sync(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"timeout", NULL};
    double timeout = 5.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|d:sync", names,
                                     &timeout)) {
        return NULL;
    }
    int done = hr_thread_sync(hr_state_of(module), timeout);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyObject *
core_apply(PyObject *module, PyObject *paths)
{
    return hr_apply_run(hr_state_of(module), paths);
}

PyDoc_STRVAR(
    apply_doc,
    "apply(*paths)\n--\n\n"
    "Read and commit these files now, in this thread.  Absolute paths.\n\n"
    "Returns the Revision; its `ok` says whether it was committed.");

static PyObject *
core_revisions(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    PyObject *list = hr_state_of(module)->revisions;
    return PyList_GetSlice(list, 0, PyList_GET_SIZE(list));
}

PyDoc_STRVAR(revisions_doc,
             "revisions()\n--\n\n"
             "A list of the Revision objects that are kept, oldest first.");

PyDoc_STRVAR(
    undo_doc,
    "undo(count=1)\n--\n\n"
    "Take the newest `count` committed revisions back, newest first.\n\n"
    "The files on disk stay as they are; their next save counts again.  "
    "Returns\n"
    "the list of those that were taken back.  Raises ValueError when the "
    "newest\n"
    "is too old or the count negative, RuntimeError while this thread plans a "
    "save.");

static PyObject *
core_undo(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"count", NULL};
    long count = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|l:undo", names, &count)) {
        return NULL;
    }
    if (count < 0) {
        PyErr_SetString(PyExc_ValueError,
                        "undo: the count must not be negative");
        return NULL;
    }
    return hr_schedule_undo(hr_state_of(module), count);
}

PyDoc_STRVAR(on_revision_doc, "on_revision(callback)\n--\n\n"
                              "Call callback(revision) after each commit or "
                              "failure, in the thread that\n"
                              "committed.  Returns the callback, so that it "
                              "can be used as a decorator.");

static PyObject *
core_on_revision(PyObject *module, PyObject *callback)
{
    if (!PyCallable_Check(callback)) {
        PyErr_Format(PyExc_TypeError,
                     "on_revision: the callback must be callable, not %R",
                     callback);
        return NULL;
    }
    if (PyList_Append(hr_state_of(module)->callbacks, callback) < 0) {
        return NULL;
    }
    return Py_NewRef(callback);
}

PyDoc_STRVAR(engine_status_doc, "engine_status()\n--\n\nWhat the engine's "
                                "thread and watcher say; a dict.");

static PyObject *
core_engine_status(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    PyObject *dict = PyDict_New();
    if (dict != NULL &&
        hr_schedule_add_status(hr_state_of(module), dict) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

PyDoc_STRVAR(
    find_spec_doc,
    "find_spec(name, path=None, target=None)\n--\n\n"
    "The module is itself a finder of sys.meta_path: it asks the others, and\n"
    "keeps the text of what is imported from a followed folder.");

static PyObject *
core_find_spec(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fullname", "path", "target", NULL};
    PyObject *name, *path = Py_None, *target = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:find_spec", names,
                                     &name, &path, &target)) {
        return NULL;
    }
    return hr_finder_find_spec(hr_state_of(module), name, path, target);
}

static PyObject *
core_imported(PyObject *module, PyObject *path)
{
    const char *utf8 = PyUnicode_AsUTF8(path);
    if (utf8 == NULL || hr_finder_imported(hr_state_of(module), utf8) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_old_frames(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    return hr_frames_list(hr_state_of(module));
}

static PyObject *
core_adopt(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    if (hr_adopt_modules(hr_state_of(module), 0) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
is_of_type(PyObject *o, void *type)
{
    return Py_TYPE(o) == (PyTypeObject *)type;
}

static PyObject *
core_heap(PyObject *module, PyObject *args)
{
    PyObject *type;
    int slices;
    if (!PyArg_ParseTuple(args, "Op", &type, &slices)) {
        return NULL;
    }
    return hr_heap_find(hr_state_of(module), is_of_type, type, slices);
}

static PyObject *
core_sources(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct hr_state *st = hr_state_of(module);
    PyObject *dict = PyDict_New();
    for (struct hr_source *s = st->sources; dict != NULL && s != NULL;
         s = s->next) {
        PyObject *path = PyUnicode_DecodeFSDefault(s->path);
        PyObject *text =
            PyUnicode_DecodeUTF8(s->text, (Py_ssize_t)s->size, "replace");
        if (path == NULL || text == NULL ||
            PyDict_SetItem(dict, path, text) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(path);
        Py_XDECREF(text);
    }
    return dict;
}

static PyObject *
core_control_folders(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return hr_control_folders();
}

static PyObject *
core_before_fork(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    if (hr_schedule_before_fork(hr_state_of(module)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_after_fork(PyObject *module, PyObject *in_child)
{
    if (hr_schedule_after_fork(hr_state_of(module),
                               PyObject_IsTrue(in_child)) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
core_retired(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    struct hr_state *st = hr_state_of(module);
    hr_retire_sweep(st, 1);
    return PyLong_FromSsize_t(PyList_GET_SIZE(st->retired));
}

PyMethodDef hr_method_table[] = {
    {"replace", (PyCFunction)(void (*)(void))core_replace,
     METH_VARARGS | METH_KEYWORDS, replace_doc},
    {"restore", (PyCFunction)(void (*)(void))core_restore,
     METH_VARARGS | METH_KEYWORDS, restore_doc},
    {"restore_all", core_restore_all, METH_NOARGS, restore_all_doc},
    {"original", core_original, METH_O, original_doc},
    {"patches", core_patches, METH_NOARGS, patches_doc},
    {"start", core_start, METH_VARARGS, start_doc},
    {"stop", core_stop, METH_NOARGS, stop_doc},
    {"sync", (PyCFunction)(void (*)(void))core_sync,
     METH_VARARGS | METH_KEYWORDS, sync_doc},
    {"apply", core_apply, METH_VARARGS, apply_doc},
    {"revisions", core_revisions, METH_NOARGS, revisions_doc},
    {"undo", (PyCFunction)(void (*)(void))core_undo,
     METH_VARARGS | METH_KEYWORDS, undo_doc},
    {"on_revision", core_on_revision, METH_O, on_revision_doc},
    {"engine_status", core_engine_status, METH_NOARGS, engine_status_doc},
    {"set", core_set, METH_VARARGS, set_doc},
    {"find_spec", (PyCFunction)(void (*)(void))core_find_spec,
     METH_VARARGS | METH_KEYWORDS, find_spec_doc},
    {"imported", core_imported, METH_O,
     "imported(path)\n--\n\nA loader is about to read this file."},
    {"old_frames", core_old_frames, METH_NOARGS,
     "old_frames()\n--\n\nWhat still runs exchanged-out code: dicts."},
    {"adopt", core_adopt, METH_NOARGS,
     "adopt()\n--\n\nFollow what was imported under the roots by now."},
    {"sources", core_sources, METH_NOARGS,
     "sources()\n--\n\nThe followed files: path to the text that runs."},
    {"control_folders", core_control_folders, METH_NOARGS,
     "control_folders()\n--\n\nWhere control sockets may be."},
    {"before_fork", core_before_fork, METH_NOARGS, NULL},
    {"after_fork", core_after_fork, METH_O, NULL},
    {"retired", core_retired, METH_NOARGS,
     "retired()\n--\n\nHow many exchanged-out bodies still run somewhere."},
    {"heap", core_heap, METH_VARARGS,
     "heap(type, slices)\n--\n\nAll containers of exactly this type."},
    {NULL, NULL, 0, NULL},
};
