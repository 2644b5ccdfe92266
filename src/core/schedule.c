/* The engine: start and stop, its threads, fork, what others ask it for.
 *
 * One thread waits for saves and commits them (thread.c), a second one guards
 * against runs that never end (guard.c).  Neither takes signals.  Before the
 * interpreter finalizes, atexit stops and joins both threads; after a fork the
 * child makes them anew.
 *
 * All functions need the GIL.  One that lets go of it holds the engine
 * meanwhile (hr_schedule_enter), since another thread may stop it.
 */
#include "engine.h"

#include <sched.h>

#include <errno.h>
#include <signal.h>

#define TIME_LIMIT_S 10       /* for changed statements of sources */
#define MAX_LIMIT_S 100000000 /* as nanoseconds it is a number */
#define JOIN_S 2              /* stop() waits this long for a stuck run */

/* -- Threads -------------------------------------------------------------- */

/* Signals are the program's: our threads take none.  A name has at most 15
 * characters. */
static int
start_thread(pthread_t *thread, void *(*run)(void *), void *arg,
             const char *name)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
#ifdef __linux__
    if (!failed) {
        pthread_setname_np(*thread, name);
    }
#else
    (void)name;
#endif
    if (failed) {
        errno = failed;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

static int
start_threads(struct hr_engine *e)
{
    if (start_thread(&e->guard, hr_guard_main, e, "hot_reload-2") < 0) {
        return -1;
    }
    e->has_guard = 1;
    if (start_thread(&e->thread, hr_thread_main, e, "hot_reload") < 0) {
        return -1;
    }
    e->has_thread = 1;
    while (atomic_load(&e->born) == 0) {
        (void)sched_yield();
    }
    if (atomic_load(&e->born) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* -- The engine, and calls in progress ------------------------------------ */

/* Is the text whole?  No GIL is needed: unfinished strings and brackets show
 * without compiling. */
static int
is_whole(void *arg, const char *path, const char *text, size_t size)
{
    struct hr_engine *e = arg;
    return hr_text_is_whole(e->st, path, text, size);
}

/* What the watcher has to say, from any thread. */
static void
say(void *arg, int level, const char *sentence)
{
    struct hr_engine *e = arg;
    if (hr_compat_is_finalizing() || atomic_load(&e->stopping)) {
        return;
    }
    PyGILState_STATE gil = PyGILState_Ensure();
    hr_log(e->st, level, "%s", sentence);
    PyGILState_Release(gil);
}

static struct hr_engine *
new_engine(struct hr_state *st)
{
    struct hr_engine *e = PyMem_Calloc(1, sizeof *e);
    if (e == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->changed, NULL);
    e->st = st;
    st->engines++;
    e->module = Py_NewRef(st->module);
    e->roots = PyList_New(0);
    e->folders = PyList_New(0);
    e->skip = PyList_New(0);
    e->applied = PyDict_New();
    e->ran = PyDict_New();
    e->since = (double)hr_clock_ns(CLOCK_REALTIME) / 1e9;
    e->time_limit = hr_setting(st, "time_limit");
    if (e->time_limit <= 0) {
        e->time_limit = TIME_LIMIT_S;
    }
    else if (e->time_limit > MAX_LIMIT_S) {
        e->time_limit = MAX_LIMIT_S;
    }
    struct hr_watch_options options = {
        .say = say, .say_arg = e, .whole = is_whole, .whole_arg = e};
    options.force_poll = (int)hr_setting(st, "force_poll");
    e->watch = hr_watch_new(&options);
    if (e->watch == NULL) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return e;
}

static void
open_control(struct hr_engine *e)
{
    e->control = hr_control_open(e->st);
    hr_watch_set_extra(e->watch, hr_control_descriptor(e->control));
}

static void
free_engine(struct hr_engine *e)
{
    hr_control_close(e->control);
    if (e->watch != NULL) {
        hr_watch_free(e->watch);
    }
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->mutex);
    free(e->busy_path);
    hr_batch_clear(&e->held);
    hr_batch_clear(&e->refused);
    Py_XDECREF(e->applied);
    Py_XDECREF(e->ran);
    Py_XDECREF(e->roots);
    Py_XDECREF(e->folders);
    Py_XDECREF(e->skip);
    e->st->engines--;
    Py_XDECREF(e->module);
    PyMem_Free(e);
}

void
hr_schedule_enter(struct hr_engine *e)
{
    e->users++;
}

void
hr_schedule_leave(struct hr_engine *e)
{
    if (--e->users == 0 && e->orphan) {
        struct hr_state *st = e->st;
        PyObject *module = Py_NewRef(e->module); /* `st` lives in it */
        free_engine(e);
        if (st->engines == 0) {
            hr_source_free_all(st);
        }
        Py_DECREF(module);
    }
}

/* -- Start and stop ------------------------------------------------------- */

/* Wait for a thread.  1 when it has ended.  Without the GIL. */
static int
join_thread(pthread_t thread, const struct timespec *until)
{
#ifdef __linux__
    return pthread_timedjoin_np(thread, NULL, until) == 0;
#else
    (void)until;
    return pthread_join(thread, NULL) == 0;
#endif
}

int
hr_schedule_stop(struct hr_state *st)
{
    struct hr_engine *e = st->engine;
    if (e == NULL) {
        return 0;
    }
    if (hr_thread_is_own(st)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "stop: a live file cannot stop the engine that runs "
                        "it; call it from another thread");
        return -1;
    }
    st->engine = NULL;
    if (PySet_Clear(st->awaited) < 0 || hr_finder_install(st, 0) < 0) {
        PyErr_Clear();
    }
    atomic_store(&e->stopping, 1);
    hr_watch_close(e->watch);
    int ended = 1;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += JOIN_S;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&e->mutex);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
    if (e->has_thread) {
        ended = join_thread(e->thread, &until);
    }
    if (!ended) {
        atomic_store(&e->abandoned, 1);
        until.tv_sec += JOIN_S;
    }
    if (e->has_guard) {
        ended = join_thread(e->guard, &until) && ended;
    }
    Py_END_ALLOW_THREADS
    if (ended) {
        hr_control_close(e->control);
        e->control = NULL;
        /* What was followed goes with the last call in progress, unless an
         * engine was started meanwhile. */
        e->orphan = 1;
        hr_schedule_enter(e);
        hr_schedule_leave(e);
    }
    else {
        /* A run in a C call that never returns.  The thread still uses the
         * engine: it stays, and the process may end without it. */
        hr_log(st, HR_SAY_WARNING, "%s is still running and cannot be stopped",
               e->busy_path ? e->busy_path : "a live file");
    }
    return 0;
}

static int
list_has(PyObject *list, PyObject *o)
{
    return PySequence_Contains(list, o);
}

static int
add_all(PyObject *list, PyObject *items)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        int has = list_has(list, item);
        if (has < 0 || (!has && PyList_Append(list, item) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* What an engine before this one followed: it stays where a call was in
 * progress when that was stopped, or its run could not be. */
static int
watch_sources(struct hr_state *st)
{
    int status = 0;
    for (struct hr_source *s = st->sources; s != NULL && status == 0;
         s = s->next) {
        if (!hr_source_is_under_roots(st, s->path)) {
            continue;
        }
        char *text = hr_decode_copy(s->text, s->size); /* it may change */
        status =
            text == NULL ? -1 : hr_schedule_watch(st, s->path, text, s->size);
        free(text);
    }
    return status;
}

int
hr_schedule_start(struct hr_state *st, PyObject *roots, PyObject *live,
                  PyObject *skip)
{
    struct hr_engine *e = st->engine;
    int is_new = e == NULL;
    if (e == NULL) {
        e = new_engine(st);
        if (e == NULL) {
            return -1;
        }
        if (e->watch == NULL || PyErr_Occurred()) {
            free_engine(e);
            return -1;
        }
        st->engine = e;
        open_control(e);
        if (start_threads(e) < 0) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            (void)hr_schedule_stop(st);
            PyErr_Restore(type, value, traceback);
            return -1;
        }
    }
    hr_schedule_enter(e);
    int status = add_all(e->roots, roots) < 0 || add_all(e->skip, skip) < 0 ||
                 (is_new && watch_sources(st) < 0);
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(live); i++) {
        PyObject *folder = PyTuple_GET_ITEM(live, i);
        int has = list_has(e->folders, folder);
        status = has < 0 || (!has && hr_apply_add_folder(e, folder) < 0);
    }
    /* Another thread may have stopped it meanwhile. */
    if (status == 0 && st->engine == e) {
        status = hr_finder_install(st, 1) < 0 || hr_adopt_modules(st, 0) < 0;
    }
    hr_schedule_leave(e);
    return status ? -1 : 0;
}

/* -- What others ask for -------------------------------------------------- */

/* Between two batches: a plan that is being made must find what it read. */
PyObject *
hr_schedule_undo(struct hr_state *st, long count)
{
    struct hr_engine *e = st->engine;
    if (e == NULL) {
        return hr_revision_undo(st, count);
    }
    if (hr_plan_forbids(st, "undo") < 0) {
        return NULL;
    }
    hr_schedule_enter(e);
    Py_BEGIN_ALLOW_THREADS
    hr_batch_lock(e, -1);
    Py_END_ALLOW_THREADS
    PyObject *undone = hr_revision_undo(st, count);
    hr_batch_unlock(e);
    hr_schedule_leave(e);
    return undone;
}

int
hr_schedule_watch(struct hr_state *st, const char *path, const char *text,
                  size_t size)
{
    struct hr_engine *e = st->engine;
    if (e == NULL) {
        return 0;
    }
    int status;
    hr_schedule_enter(e);
    Py_BEGIN_ALLOW_THREADS
    status = hr_watch_add_file(e->watch, path, text, size);
    Py_END_ALLOW_THREADS
    hr_schedule_leave(e);
    if (status < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return status;
}

PyObject *
hr_schedule_roots(struct hr_state *st)
{
    return st->engine != NULL ? st->engine->roots : NULL;
}

void
hr_schedule_announce(struct hr_state *st)
{
    if (st->engine != NULL) {
        hr_control_announce(st->engine->control);
    }
}

/* -- Fork ----------------------------------------------------------------- */

int
hr_schedule_before_fork(struct hr_state *st)
{
    struct hr_engine *e = st->engine;
    if (e != NULL) {
        int locked;
        hr_schedule_enter(e);
        Py_BEGIN_ALLOW_THREADS
        locked = hr_batch_lock(e, 200);
        Py_END_ALLOW_THREADS
        /* A count: the hooks may be registered twice (reload), and two threads
         * may fork; each gives back only what is its own. */
        st->fork_locked += locked == 0;
        hr_schedule_leave(e);
    }
    return 0;
}

int
hr_schedule_after_fork(struct hr_state *st, int in_child)
{
    struct hr_engine *e = st->engine;
    if (e == NULL) {
        return 0;
    }
    if (!in_child) {
        pthread_mutex_lock(&e->mutex);
        int mine = e->depth > 0 && pthread_equal(e->holder, pthread_self());
        pthread_mutex_unlock(&e->mutex);
        if (st->fork_locked > 0 && mine) {
            st->fork_locked--;
            hr_batch_unlock(e);
        }
        return 0;
    }
    /* Only this thread is here; whatever others held is held for ever. */
    st->fork_locked = 0;
    if (st->planning != PyThread_get_thread_ident()) {
        st->planning = 0;
        hr_made_after_fork(st);
    }
    hr_gil_after_fork();
    hr_text_init(st);
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->changed, NULL);
    e->depth = 0;
    e->busy = 0;
    e->nested = 0;
    e->users = 0;
    /* Its thread may have been changing it; the next save has it all. */
    memset(&e->held, 0, sizeof e->held);
    e->done = e->asked;
    e->has_thread = e->has_guard = 0;
    e->thread_id = 0;
    if (st->run != NULL && hr_patch_run(st) == NULL) {
        /* The engine's thread was in the middle of a live file. */
        struct hr_run *run = st->run;
        st->run = NULL;
        (void)hr_patch_roll_back(st, run);
    }
    if (hr_watch_after_fork(e->watch) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    hr_control_after_fork(e->control);
    hr_watch_set_extra(e->watch, hr_control_descriptor(e->control));
    return start_threads(e);
}

/* -- Status --------------------------------------------------------------- */

static int
add_number(PyObject *dict, const char *key, unsigned long long number)
{
    PyObject *value = PyLong_FromUnsignedLongLong(number);
    int status = value == NULL ? -1 : PyDict_SetItemString(dict, key, value);
    Py_XDECREF(value);
    return status;
}

static int
add_time(PyObject *dict, const char *key, double seconds)
{
    PyObject *value = PyFloat_FromDouble(seconds);
    int status = value == NULL ? -1 : PyDict_SetItemString(dict, key, value);
    Py_XDECREF(value);
    return status;
}

int
hr_schedule_add_status(struct hr_state *st, PyObject *dict)
{
    struct hr_engine *e = st->engine;
    if (PyDict_SetItemString(dict, "running", e ? Py_True : Py_False) < 0) {
        return -1;
    }
    if (e == NULL) {
        return 0;
    }
    struct hr_watch_info info;
    hr_watch_get_info(e->watch, &info);
    PyObject *watch = PyDict_New();
    int status = watch == NULL ? -1 : 0;
    if (status == 0) {
        status = add_number(watch, "files", info.files) |
                 add_number(watch, "folders", info.folders) |
                 add_number(watch, "descriptors", info.descriptors) |
                 add_number(watch, "polled_folders", info.polled_folders) |
                 add_number(watch, "events", info.events) |
                 add_number(watch, "overflows", info.overflows) |
                 add_number(watch, "rescans", info.rescans) |
                 add_number(watch, "batches", info.batches) |
                 add_number(watch, "bytes", info.bytes);
    }
    if (status == 0) {
        status = PyDict_SetItemString(dict, "watch", watch) |
                 PyDict_SetItemString(dict, "roots", e->roots) |
                 PyDict_SetItemString(dict, "live", e->folders) |
                 PyDict_SetItemString(dict, "follow",
                                      hr_setting(st, "follow_off") ? Py_False
                                                                   : Py_True) |
                 add_time(dict, "since", e->since);
    }
    Py_XDECREF(watch);
    return status;
}
