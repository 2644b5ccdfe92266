/* Running live files.
 *
 * A live file runs in a fresh module `reloadable_<name>` at every save.  Each
 * of its replacements takes effect as it is called; when the file raises,
 * everything that this run did is swapped back and the module of the last run
 * returns to sys.modules.  It is not run a second time.
 *
 * The last version that ran to its end is kept (working.c), and runs at start
 * when the file itself is broken.
 */
#include "core.h"

/* -- One run -------------------------------------------------------------- */

static PyObject *
compile_text(PyObject *text, PyObject *filename)
{
    PyObject *builtins = PyImport_ImportModule("builtins");
    PyObject *code = builtins
                         ? PyObject_CallMethod(builtins, "compile", "OOsii",
                                               text, filename, "exec", 0, 1)
                         : NULL;
    Py_XDECREF(builtins);
    return code;
}

/* A fresh module for the file.  New reference. */
static PyObject *
make_module(PyObject *name, PyObject *filename)
{
    PyObject *module = PyModule_NewObject(name);
    if (module != NULL &&
        (PyObject_SetAttrString(module, "__file__", filename) < 0 ||
         PyObject_SetAttrString(module, "__builtins__", PyEval_GetBuiltins()) <
             0)) {
        Py_CLEAR(module);
    }
    return module;
}

/* Compile and run `text`; what its calls did is noted in `run`.  0, or -1
 * with the exception, everything swapped back. */
static int
run_text(struct hr_state *st, PyObject *module_name, PyObject *file_name,
         PyObject *filename, PyObject *text, struct hr_run *run)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *code = NULL, *module = NULL, *previous = NULL, *result = NULL;

    code = compile_text(text, filename);
    if (code == NULL ||
        (module = make_module(module_name, filename)) == NULL) {
        goto done;
    }
    previous = Py_XNewRef(PyDict_GetItemWithError(modules, module_name));
    if (PyErr_Occurred() || PyDict_SetItem(modules, module_name, module) < 0) {
        goto done;
    }
    hr_show_text(filename, text);
    unsigned long outer_thread = st->run_thread;
    run->outer = st->run;
    run->globals = PyModule_GetDict(module);
    run->name = file_name;
    run->number = ++st->next_run;
    st->run = run;
    st->run_thread = PyThread_get_thread_ident();
    result = PyEval_EvalCode(code, run->globals, run->globals);
    st->run = run->outer;
    st->run_thread = outer_thread;
    run->globals = NULL;
    if (result == NULL) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        (void)hr_patch_roll_back(st, run);
        if ((previous != NULL ? PyDict_SetItem(modules, module_name, previous)
                              : PyDict_DelItem(modules, module_name)) < 0) {
            PyErr_Clear();
        }
        PyErr_Restore(type, value, traceback);
    }
done:
    Py_XDECREF(previous);
    Py_XDECREF(module);
    Py_XDECREF(code);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

/* -- What the run is told of ---------------------------------------------- */

/* Take a replacement back as a part of the run, so that undo() brings it. */
static int
withdraw_patch(struct hr_state *st, hr_patch *p, struct hr_run *run)
{
    unsigned long outer_thread = st->run_thread;
    run->outer = st->run;
    st->run = run;
    st->run_thread = PyThread_get_thread_ident();
    int status = hr_patch_restore(st, p);
    st->run = run->outer;
    st->run_thread = outer_thread;
    return status;
}

/* Replacements of this file that its last run did not make again. */
static int
check_dropped(struct hr_state *st, PyObject *file_name, struct hr_run *run)
{
    PyObject *patches = hr_patch_list(st);
    int withdraw = hr_setting(st, "withdraw"), status = 0;
    if (patches == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(patches); i++) {
        hr_patch *p = (hr_patch *)PyList_GET_ITEM(patches, i);
        if (!p->active || p->touched == run->number || p->path == NULL ||
            PyUnicode_Compare(p->path, run->path) != 0) {
            continue;
        }
        if (withdraw) {
            status = withdraw_patch(st, p, run);
            hr_log(st, HR_SAY_INFO,
                   "%U no longer replaces %U: the original is back", file_name,
                   p->name);
        }
        else {
            hr_log(st, HR_SAY_INFO,
                   "%U no longer replaces %U, which stays replaced; call "
                   "restore() to have the original back",
                   file_name, p->name);
        }
    }
    Py_DECREF(patches);
    return status;
}

static PyObject *
owner_name(hr_patch *p)
{
    /* An object may answer to any name. */
    int has = PyModule_Check(p->owner) || PyType_Check(p->owner);
    PyObject *name = has ? PyObject_GetAttrString(p->owner, "__name__") : NULL;
    if (name == NULL || !PyUnicode_Check(name)) {
        Py_CLEAR(name);
        PyErr_Clear();
        name = PyUnicode_FromString(Py_TYPE(p->owner)->tp_name);
    }
    return name;
}

static int
add_edits(struct hr_state *st, PyObject *revision, struct hr_run *run,
          PyObject *module_name, int deleted)
{
    int status =
        hr_revision_add_edit(st, revision, deleted ? "removed" : "ran",
                             module_name, NULL, !deleted, NULL, NULL);
    for (size_t i = 0; status == 0 && i < run->count; i++) {
        hr_patch *p = run->actions[i].patch;
        PyObject *owner = owner_name(p);
        status =
            owner == NULL
                ? -1
                : hr_revision_add_edit(st, revision, "changed", owner, p->name,
                                       p->active ? p->line : 0, NULL, NULL);
        Py_XDECREF(owner);
    }
    return status;
}

static void
report_success(struct hr_state *st, PyObject *file_name, hr_revision *r)
{
    size_t replaced = 0, restored = 0;
    for (size_t i = 0; i < r->run.count; i++) {
        if (r->run.actions[i].replaced) {
            replaced++;
        }
        else {
            restored++;
        }
    }
    long microseconds = (long)((r->live_ns - r->saved_ns) / 1000);
    hr_log(st, HR_SAY_INFO,
           "%U ran in %ld.%03ld ms: %zu replaced, %zu restored", file_name,
           microseconds / 1000, microseconds % 1000, replaced, restored);
}

/* -- The whole ------------------------------------------------------------ */

/* At start, a broken file is replaced by its last working copy. */
static int
run_last_working(struct hr_state *st, const char *path, PyObject *module_name,
                 PyObject *file_name, struct hr_run *run)
{
    PyObject *filename = NULL;
    PyObject *text = hr_working_read(path, &filename);
    int status = -1;
    if (text == Py_None) {
        hr_log(st, HR_SAY_WARNING,
               "%U has no last working copy: it starts without it", file_name);
        status = 0;
    }
    else if (text != NULL) {
        status = run_text(st, module_name, file_name, filename, text, run);
        if (status == 0) {
            hr_log(st, HR_SAY_WARNING, "%U runs as its last working copy, %U",
                   file_name, filename);
        }
    }
    Py_XDECREF(text);
    Py_XDECREF(filename);
    return status;
}

static int
fill_revision(struct hr_state *st, hr_revision *r, const char *path,
              PyObject *filename, PyObject *module_name, PyObject *file_name,
              const char *text, size_t size, int starting)
{
    struct hr_run *run = &r->run;
    PyObject *shown = hr_show_get(filename);
    int status = 0;
    run->path = filename;
    if (text == NULL) {
        run->number = ++st->next_run;
        hr_log(st, HR_SAY_INFO, "%U was deleted", file_name);
    }
    else {
        PyObject *bytes = PyBytes_FromStringAndSize(text, (Py_ssize_t)size);
        status = bytes == NULL ? -1
                               : run_text(st, module_name, file_name, filename,
                                          bytes, run);
        Py_XDECREF(bytes);
    }
    r->live_ns = hr_clock_ns(CLOCK_MONOTONIC);
    r->wall = (double)hr_clock_ns(CLOCK_REALTIME) / 1e9;
    if (status == 0) {
        r->ok = 1;
        r->undoable = 1;
        if (text != NULL) {
            report_success(st, file_name, r);
        }
        Py_XDECREF(shown);
        return check_dropped(st, file_name, run);
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_XINCREF(type);
    Py_XINCREF(value);
    Py_XINCREF(traceback);
    PyErr_Restore(type, value, traceback);
    r->error = hr_revision_describe_exception();
    PyErr_Restore(type, value, traceback);
    hr_log_exception(st, "%U failed, nothing of it is in effect", file_name);
    hr_show_again(filename, shown);
    Py_XDECREF(shown);
    if (starting &&
        run_last_working(st, path, module_name, file_name, run) < 0) {
        hr_log_exception(st, "the last working copy of %U failed, too",
                         file_name);
    }
    return 0;
}

/* For show: the text of the last run that worked, and of this one. */
static int
keep_texts(struct hr_state *st, hr_revision *r, PyObject *filename,
           const char *text, size_t size)
{
    PyObject *old = NULL; /* borrowed */
    for (Py_ssize_t i = PyList_GET_SIZE(st->revisions); i-- > 0 && !old;) {
        hr_revision *before = (hr_revision *)PyList_GET_ITEM(st->revisions, i);
        PyObject *pair = before->is_live && before->ok && before->texts != NULL
                             ? PyDict_GetItem(before->texts, filename)
                             : NULL;
        old = pair ? PyTuple_GET_ITEM(pair, 1) : NULL;
    }
    PyObject *none = PyUnicode_New(0, 0);
    PyObject *new = PyUnicode_DecodeUTF8(
        text ? text : "", text ? (Py_ssize_t)size : 0, "replace");
    r->texts = none && new
                   ? Py_BuildValue("{O(OO)}", filename, old ? old : none, new)
                   : NULL;
    Py_XDECREF(none);
    Py_XDECREF(new);
    return r->texts == NULL ? -1 : 0;
}

PyObject *
hr_live_run(struct hr_state *st, const char *path, const char *text,
            size_t size, const struct hr_moment *moment, int starting)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    PyObject *revision = hr_revision_new(st);
    PyObject *filename = PyUnicode_DecodeFSDefault(path);
    PyObject *file_name = PyUnicode_DecodeFSDefault(name);
    PyObject *module_name = NULL;
    int status = -1;

    if (revision == NULL || filename == NULL || file_name == NULL) {
        goto done;
    }
    PyObject *stem =
        PyUnicode_Substring(file_name, 0, PyUnicode_GET_LENGTH(file_name) - 3);
    module_name = stem ? PyUnicode_FromFormat("reloadable_%U", stem) : NULL;
    Py_XDECREF(stem);
    hr_revision *r = (hr_revision *)revision;
    if (module_name == NULL || PyList_Append(r->files, filename) < 0) {
        goto done;
    }
    r->is_live = 1;
    r->saved_ns = moment->saved_ns;
    r->ready_ns = moment->ready_ns;
    r->gil_ns = moment->gil_ns;
    if (keep_texts(st, r, filename, text, size) < 0 ||
        fill_revision(st, r, path, filename, module_name, file_name, text,
                      size, starting) < 0 ||
        (r->ok &&
         add_edits(st, revision, &r->run, module_name, text == NULL) < 0)) {
        goto done;
    }
    if (r->ok && text != NULL) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = hr_working_save(path, text, size);
        Py_END_ALLOW_THREADS
        if (failed) {
            hr_log(st, HR_SAY_WARNING,
                   "no copy of %U could be kept in " HR_LAST_WORKING ": %s",
                   file_name, strerror(failed));
        }
    }
    status = hr_revision_keep(st, revision);
    if (status == 0) {
        hr_revision_announce(st, revision);
    }
done:
    Py_XDECREF(module_name);
    Py_XDECREF(file_name);
    Py_XDECREF(filename);
    if (status < 0) {
        Py_CLEAR(revision);
    }
    return revision;
}
