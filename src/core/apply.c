/* Files that run without having been saved: the live files of a folder when
 * the engine starts, and what apply() is given.
 *
 * They are read as the watcher reads them, without the GIL, and handled as a
 * batch of their own in the calling thread.  All functions need the GIL; those
 * that run files let go of it to wait for the batch lock.
 */
#include "engine.h"

#include <dirent.h>

/* -- Live files ----------------------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Does the str name the path, `size` bytes of the file system's? */
static int
is_path(PyObject *o, const char *path, size_t size)
{
    PyObject *bytes = PyUnicode_EncodeFSDefault(o);
    int same = bytes != NULL && (size_t)PyBytes_GET_SIZE(bytes) == size &&
               memcmp(PyBytes_AS_STRING(bytes), path, size) == 0;
    Py_XDECREF(bytes);
    PyErr_Clear();
    return same;
}

static int
is_live_name(struct hr_engine *e, const char *name)
{
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 3, ".py") != 0 || hr_watch_is_noise(name)) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(e->skip); i++) {
        if (is_path(PyList_GET_ITEM(e->skip, i), name, n)) {
            return 0;
        }
    }
    return 1;
}

/* The live files of a folder, sorted.  malloc'ed names; count in *n. */
static char **
list_live_files(struct hr_engine *e, const char *folder, size_t *n)
{
    DIR *dir = opendir(folder);
    char **names = NULL;
    *n = 0;
    for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        if (!is_live_name(e, d->d_name)) {
            continue;
        }
        char **more = realloc(names, (*n + 1) * sizeof *more);
        if (more == NULL || (more[*n] = strdup(d->d_name)) == NULL) {
            names = more != NULL ? more : names;
            break;
        }
        names = more;
        (*n)++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (*n > 1) {
        qsort(names, *n, sizeof *names, compare_names);
    }
    return names;
}

/* Is the file directly in a live folder? */
static int
is_in_live_folder(struct hr_engine *e, const char *path)
{
    const char *slash = strrchr(path, '/');
    for (Py_ssize_t i = 0; slash != NULL && i < PyList_GET_SIZE(e->folders);
         i++) {
        if (is_path(PyList_GET_ITEM(e->folders, i), path,
                    (size_t)(slash - path))) {
            return 1;
        }
    }
    return 0;
}

static int
is_live_path(struct hr_engine *e, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && is_live_name(e, slash + 1) &&
           is_in_live_folder(e, path);
}

int
hr_apply_is_in_live(struct hr_state *st, const char *path)
{
    return st->engine != NULL && is_in_live_folder(st->engine, path);
}

/* -- Reading and running -------------------------------------------------- */

/* Each save of a live file is run once, by apply() or by the engine's thread:
 * whichever comes second finds the content here.  An apply() that comes later
 * than this after the save was run is meant to run it again. */
#define SAME_SAVE_NS 100000000

static int
take_same(PyObject *dict, const struct hr_change *c)
{
    PyObject *path = PyUnicode_DecodeFSDefault(c->path);
    PyObject *hash = path ? PyDict_GetItemWithError(dict, path) : NULL;
    int same = 0;
    if (hash != NULL) {
        same = PyLong_AsUnsignedLongLong(hash) == c->hash;
        (void)PyDict_DelItem(dict, path);
    }
    Py_XDECREF(path);
    PyErr_Clear();
    return same;
}

void
hr_apply_note_run(struct hr_engine *e, const struct hr_change *c,
                  enum hr_mode mode)
{
    PyObject *hash = PyLong_FromUnsignedLongLong(c->hash);
    PyObject *path = PyUnicode_DecodeFSDefault(c->path);
    PyObject *dict = mode == HR_MODE_APPLY      ? e->applied
                     : mode == HR_MODE_STARTING ? NULL
                                                : e->ran;
    if (dict != NULL && hash != NULL && path != NULL) {
        (void)PyDict_SetItem(dict, path, hash);
    }
    if (dict == e->ran) {
        e->ran_ns = hr_clock_ns(CLOCK_MONOTONIC);
    }
    Py_XDECREF(path);
    Py_XDECREF(hash);
    PyErr_Clear();
}

/* The newest revision of a live file.  New reference, or NULL. */
static PyObject *
find_revision(struct hr_state *st, const char *path)
{
    PyObject *name = PyUnicode_DecodeFSDefault(path), *found = NULL;
    for (Py_ssize_t i = PyList_GET_SIZE(st->revisions);
         name != NULL && found == NULL && i-- > 0;) {
        PyObject *r = PyList_GET_ITEM(st->revisions, i);
        if (PySequence_Contains(((hr_revision *)r)->files, name) == 1) {
            found = Py_NewRef(r);
        }
    }
    Py_XDECREF(name);
    PyErr_Clear();
    return found;
}

/* Read files as the watcher does, and handle them.  A new reference; NULL
 * without an exception when there was nothing to do. */
static PyObject *
run_paths(struct hr_engine *e, char *const *paths, size_t count,
          enum hr_mode mode)
{
    struct hr_change *changes = PyMem_Calloc(count, sizeof *changes);
    struct hr_moment m;
    const char *already = NULL;
    int hold = 0;
    if (changes == NULL) {
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < count; i++) {
        changes[i].path = paths[i];
        changes[i].live = is_live_path(e, paths[i]);
    }
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < count; i++) {
        changes[i].event_ns = hr_clock_ns(CLOCK_MONOTONIC);
        hr_watch_read(paths[i], 0, &changes[i]);
    }
    (void)hr_batch_lock(e, -1);
    for (size_t i = 0; i < count; i++) {
        hr_text_read(e->st, &changes[i]);
    }
    Py_END_ALLOW_THREADS
    m.saved_ns = changes[0].event_ns;
    m.ready_ns = m.gil_ns = hr_clock_ns(CLOCK_MONOTONIC);
    if (m.ready_ns - e->ran_ns > SAME_SAVE_NS) {
        PyDict_Clear(e->ran);
    }
    for (size_t i = 0; i < count && mode == HR_MODE_APPLY; i++) {
        if (changes[i].live && take_same(e->ran, &changes[i])) {
            changes[i].live = 0; /* its save was faster */
            already = paths[i];
        }
    }
    PyObject *result = hr_batch_handle(e, changes, count, &m, mode, &hold);
    hr_batch_unlock(e);
    if (result == NULL && already != NULL && !PyErr_Occurred()) {
        result = find_revision(e->st, already);
    }
    for (size_t i = 0; i < count; i++) {
        free(changes[i].text);
        free(changes[i].error);
    }
    PyMem_Free(changes);
    return result;
}

int
hr_apply_add_folder(struct hr_engine *e, PyObject *folder)
{
    const char *skip[64] = {NULL};
    Py_ssize_t count = PyList_GET_SIZE(e->skip);
    PyObject *bytes = PyUnicode_EncodeFSDefault(folder);
    if (bytes == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count && i < 63; i++) {
        skip[i] = PyUnicode_AsUTF8(PyList_GET_ITEM(e->skip, i));
    }
    const char *path = PyBytes_AS_STRING(bytes);
    int status = 0;
    Py_BEGIN_ALLOW_THREADS
    status = hr_watch_add_folder(e->watch, path, skip, 0);
    Py_END_ALLOW_THREADS
    if (status < 0) {
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, folder);
    }
    else if (PyList_Append(e->folders, folder) < 0) {
        status = -1;
    }
    size_t n = 0;
    char **names = status == 0 ? list_live_files(e, path, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        PyObject *file = PyBytes_FromFormat("%s/%s", path, names[i]);
        if (file != NULL) {
            char *at = PyBytes_AS_STRING(file);
            Py_XDECREF(run_paths(e, &at, 1, HR_MODE_STARTING));
            Py_DECREF(file);
        }
        PyErr_Clear();
        free(names[i]);
    }
    free(names);
    Py_DECREF(bytes);
    return status;
}

/* -- apply ---------------------------------------------------------------- */

void
hr_apply_drop_applied(struct hr_engine *e, struct hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct hr_change *c = &batch->changes[i];
        if (c->path != NULL && c->live && take_same(e->applied, c)) {
            c->live = 0;
        }
    }
}

/* Is there anything that the engine can do with this file? */
static int
is_known(struct hr_engine *e, const char *path)
{
    return is_live_path(e, path) || hr_source_find(e->st, path) != NULL ||
           hr_source_is_under_roots(e->st, path);
}

PyObject *
hr_apply_run(struct hr_state *st, PyObject *paths)
{
    struct hr_engine *e = st->engine;
    PyObject *last = NULL, *encoded = PyList_New(0);
    Py_ssize_t count = 0;
    if (e == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "apply: the engine is not running; call "
                        "hot_reload.start() first");
        Py_XDECREF(encoded);
        return NULL;
    }
    if (encoded == NULL || hr_plan_forbids(st, "apply") < 0) {
        Py_XDECREF(encoded);
        return NULL;
    }
    hr_schedule_enter(e);
    char **known =
        PyMem_Calloc((size_t)PyTuple_GET_SIZE(paths) + 1, sizeof *known);
    if (known == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (hr_adopt_modules(st, 0) < 0) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(paths); i++) {
        PyObject *bytes =
            PyUnicode_EncodeFSDefault(PyTuple_GET_ITEM(paths, i));
        if (bytes == NULL || PyList_Append(encoded, bytes) < 0) {
            Py_XDECREF(bytes);
            goto done;
        }
        Py_DECREF(bytes);
        if (is_known(e, PyBytes_AS_STRING(bytes))) {
            known[count++] = PyBytes_AS_STRING(bytes);
        }
    }
    if (count == 0) {
        PyErr_SetString(PyExc_ValueError,
                        "apply: none of these files is a live file or the "
                        "source of a followed module; name files under the "
                        "folders given to start()");
        goto done;
    }
    last = run_paths(e, known, (size_t)count, HR_MODE_APPLY);
    if (last == NULL && !PyErr_Occurred()) {
        /* Nothing differs from what runs: a revision of no edits. */
        last = hr_revision_new(st);
        if (last != NULL) {
            ((hr_revision *)last)->ok = 1;
            ((hr_revision *)last)->id = st->next_revision;
        }
    }
done:
    hr_schedule_leave(e);
    PyMem_Free(known);
    Py_XDECREF(encoded);
    return last;
}
