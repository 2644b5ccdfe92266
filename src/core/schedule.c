/* The engine's thread: from a batch of saves to a revision.
 *
 * One thread waits for saves (no GIL), takes the GIL, and commits.  Order of
 * locks, always: the batch lock, then the GIL.  The batch lock lets one batch
 * at a time through, from the engine's thread or from apply(); it is never
 * waited for with the GIL held.  replace() and restore() do not need it.
 *
 * A second thread, the guard, sleeps until a run of user code takes longer
 * than a second: then it watches that one file and interrupts the run when the
 * file is saved again, so that an endless live file can be mended by saving.
 *
 * The engine's thread has a thread state of its own, made once, so the host's
 * exceptions and tracing are not ours.  Before the interpreter finalizes,
 * atexit stops and joins both threads; after a fork the child makes them anew.
 */
#include "code.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

#define STUCK_S 1           /* a run longer than this may be interrupted */
#define EMPTY_NS 1000000000 /* an emptied source may be in the making */
#define MAX_REFUSED 256     /* files that are tried again */
#define TIME_LIMIT_S 10     /* for changed statements of sources */
#define STUCK_POLL_MS 100
#define JOIN_S 2           /* stop() waits this long for a stuck run */
#define DOUBT_NS 150000000 /* WATCHING.md, rule 3 */

/* What tells two saves of a file apart without reading it. */
struct stamp {
    int64_t mtime;
    off_t size;
    ino_t inode;
};

struct hr_engine {
    struct hr_state *st;
    PyObject *module; /* owned: keeps st alive */
    struct hr_watch *watch;
    struct hr_control *control; /* owned, or NULL */
    double since;               /* seconds since the epoch */
    pthread_t thread, guard;
    int has_thread, has_guard;
    atomic_int stopping;
    unsigned long thread_id; /* Python's, for asynchronous exceptions */

    /* batch lock */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t holder;
    int depth;

    /* sync(): tickets, under mutex */
    unsigned long asked, done;

    /* guard, under mutex */
    unsigned long busy; /* number of the run in progress; 0: none */
    unsigned long runs;
    char *busy_path;  /* owned */
    int busy_limited; /* it may not take longer than the limit */
    unsigned long busy_thread;
    struct stamp busy_stamp; /* of the file as it was read */
    int interrupted;         /* an exception was sent; under the GIL */
    atomic_int abandoned;    /* stop() has given up waiting for the run */
    int users, orphan;       /* calls in progress; stopped.  Under the GIL */

    struct hr_batch held;    /* sources that did not compile, for a moment */
    int retry;               /* one of them is out of the way */
    struct hr_batch refused; /* those whose evaluation failed, the last time */
    int64_t held_until, hold_ns;

    long time_limit;                  /* in seconds */
    PyObject *roots, *folders, *skip; /* owned: lists of str */
    PyObject *applied; /* owned: {path: hash} of live files that apply() ran */
};

static void free_engine(struct hr_engine *e);

/* -- Batch lock ----------------------------------------------------------- */

/* Without the GIL.  timeout_ms < 0: for ever.  0, or -1 on a timeout. */
static int
lock_batch(struct hr_engine *e, int timeout_ms)
{
    struct timespec until;
    int status = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&e->mutex);
    while (status == 0 && e->depth > 0 &&
           !pthread_equal(e->holder, pthread_self())) {
        status = timeout_ms < 0
                     ? pthread_cond_wait(&e->changed, &e->mutex)
                     : pthread_cond_timedwait(&e->changed, &e->mutex, &until);
    }
    if (status == 0) {
        e->holder = pthread_self();
        e->depth++;
    }
    pthread_mutex_unlock(&e->mutex);
    return status == 0 ? 0 : -1;
}

static void
unlock_batch(struct hr_engine *e)
{
    pthread_mutex_lock(&e->mutex);
    /* 0 in the child of a fork: what the parent's threads held is void. */
    if (e->depth > 0 && --e->depth == 0) {
        pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->mutex);
}

/* -- Calls in progress ---------------------------------------------------- */

/* With the GIL.  A call that lets go of it holds the engine, since another
 * thread may stop it meanwhile. */
static void
enter(struct hr_engine *e)
{
    e->users++;
}

static void
leave(struct hr_engine *e)
{
    if (--e->users == 0 && e->orphan) {
        free_engine(e);
    }
}

/* -- Guard ---------------------------------------------------------------- */

static struct stamp
get_stamp(const char *path)
{
    struct stat s;
    struct stamp stamp = {0, 0, 0};
    if (path != NULL && stat(path, &s) == 0) {
        stamp.mtime =
            (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
        stamp.size = s.st_size;
        stamp.inode = s.st_ino;
    }
    return stamp;
}

static void
begin_run(struct hr_engine *e, const struct hr_change *c, int limited)
{
    struct stamp stamp = get_stamp(c->path);
    stamp.mtime = c->saved_ns; /* it may have been saved since it was read */
    pthread_mutex_lock(&e->mutex);
    free(e->busy_path);
    e->busy_path = strdup(c->path);
    e->busy_stamp = stamp;
    e->busy_limited = limited;
    e->busy_thread = PyThread_get_thread_ident();
    e->busy = ++e->runs;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
}

/* An exception that was sent may come too late for the run, and must not hit
 * what follows.  It is let out here: taking it back by sending NULL leaves the
 * interpreter's flag for it up (to 3.12), which makes all of Python slower,
 * and 3.11 loop for ever when it traces. */
static void
swallow_interrupt(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *globals =
        Py_BuildValue("{s:O}", "__builtins__", PyEval_GetBuiltins());
    PyObject *done = globals ? PyRun_String("for _ in (1, 2): pass",
                                            Py_file_input, globals, globals)
                             : NULL;
    Py_XDECREF(done);
    Py_XDECREF(globals);
    PyErr_Restore(type, value, traceback);
}

static void
end_run(struct hr_engine *e)
{
    pthread_mutex_lock(&e->mutex);
    e->busy = 0;
    pthread_mutex_unlock(&e->mutex);
    if (e->interrupted) {
        e->interrupted = 0;
        swallow_interrupt();
    }
}

static int
is_same_stamp(struct stamp a, struct stamp b)
{
    return a.mtime == b.mtime && a.size == b.size && a.inode == b.inode;
}

/* Under the mutex: wait until the run ends, at most `ms`.  1: still busy. */
static int
wait_while_busy(struct hr_engine *e, unsigned long run, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (e->busy == run && !atomic_load(&e->stopping)) {
        if (pthread_cond_timedwait(&e->changed, &e->mutex, &until) != 0) {
            break;
        }
    }
    return e->busy == run;
}

static void
interrupt_run(struct hr_engine *e, unsigned long run)
{
    if (hr_compat_is_finalizing() || atomic_load(&e->abandoned)) {
        return;
    }
    PyGILState_STATE gil = PyGILState_Ensure();
    /* A run ends under the GIL: what is busy now stays so until we let go. */
    if (e->busy == run) {
        e->interrupted = 1;
        PyThreadState_SetAsyncExc(e->busy_thread, e->st->interrupted);
    }
    PyGILState_Release(gil);
}

static void
say_stuck(struct hr_engine *e, const char *path)
{
    if (hr_compat_is_finalizing()) {
        return;
    }
    PyGILState_STATE gil = PyGILState_Ensure();
    hr_log(e->st, HR_SAY_WARNING,
           "%s is still running after %d s; save it again to stop it", path,
           STUCK_S);
    PyGILState_Release(gil);
}

/* Changed statements of a source may not run longer than this. */
static int64_t
time_limit_ns(struct hr_engine *e)
{
    return (int64_t)e->time_limit * 1000000000;
}

/* A run that takes long: until it ends, look whether its file is saved. */
static void
watch_stuck_run(struct hr_engine *e, unsigned long run)
{
    char *path = e->busy_path ? strdup(e->busy_path) : NULL;
    int64_t limit = e->busy_limited ? time_limit_ns(e) : INT64_MAX;
    struct stamp before = e->busy_stamp;
    pthread_mutex_unlock(&e->mutex);
    limit = limit == INT64_MAX ? limit
                               : hr_clock_ns(CLOCK_MONOTONIC) + limit -
                                     STUCK_S * 1000000000LL;
    say_stuck(e, path != NULL ? path : "a live file");
    pthread_mutex_lock(&e->mutex);
    while (wait_while_busy(e, run, STUCK_POLL_MS) &&
           !atomic_load(&e->abandoned)) {
        int stop = atomic_load(&e->stopping);
        pthread_mutex_unlock(&e->mutex);
        if (stop || !is_same_stamp(before, get_stamp(path)) ||
            hr_clock_ns(CLOCK_MONOTONIC) >= limit) {
            interrupt_run(e, run);
        }
        if (stop) {
            usleep(STUCK_POLL_MS * 1000);
        }
        pthread_mutex_lock(&e->mutex);
    }
    free(path);
}

static void *
guard_main(void *arg)
{
    struct hr_engine *e = arg;
    pthread_mutex_lock(&e->mutex);
    while (!atomic_load(&e->stopping)) {
        unsigned long run = e->busy;
        if (run == 0) {
            pthread_cond_wait(&e->changed, &e->mutex);
        }
        else if (wait_while_busy(e, run, STUCK_S * 1000)) {
            watch_stuck_run(e, run);
        }
    }
    /* Stopping: a run that still goes on must end, or stop() cannot join. */
    if (e->busy != 0) {
        watch_stuck_run(e, e->busy);
    }
    pthread_mutex_unlock(&e->mutex);
    return NULL;
}

/* -- A batch -------------------------------------------------------------- */

/* How a batch is handled. */
enum mode {
    MODE_SAVED,    /* by the engine's thread; may be looked at again */
    MODE_FINAL,    /* the same, for the last time */
    MODE_STARTING, /* a live file at start */
    MODE_APPLY,    /* by apply() */
};

static int
report(struct hr_state *st, hr_revision *r)
{
    long us = (long)((r->live_ns - r->saved_ns) / 1000);
    Py_ssize_t n = PyList_GET_SIZE(r->edits);
    PyObject *first = PyList_GET_ITEM(r->files, 0);
    Py_ssize_t more = PyList_GET_SIZE(r->files) - 1;
    if (r->ok) {
        hr_log(st, HR_SAY_INFO,
               "revision %ld: %U%s, %zd edits in %ld.%03ld ms", r->id, first,
               more > 0 ? " and others" : "", n, us / 1000, us % 1000);
    }
    else {
        hr_log(st, HR_SAY_ERROR, "%U%s was refused, nothing was changed: %U",
               first, more > 0 ? " and others" : "",
               r->error ? r->error : Py_None);
    }
    return 0;
}

/* 1 when it was there. */
static int
forget_refused(struct hr_engine *e, const char *path)
{
    int found = 0;
    for (size_t i = e->refused.count; i-- > 0;) {
        struct hr_change c = e->refused.changes[i];
        if (strcmp(c.path, path) == 0) {
            e->refused.changes[i] = e->refused.changes[--e->refused.count];
            free(c.path);
            free(c.text);
            found = 1;
        }
    }
    return found;
}

/* Is this a save that changes something, of a file that is followed? */
static int
is_wanted(struct hr_engine *e, struct hr_change *c, enum mode mode)
{
    struct hr_source *s = hr_source_find(e->st, c->path);
    if (!c->live && mode == MODE_APPLY && c->kind != HR_CHANGE_CONTENT) {
        return 1; /* asked for by name: say that it cannot be read */
    }
    if (c->live || s == NULL) {
        return 0;
    }
    if (c->kind == HR_CHANGE_DELETED) {
        hr_log(e->st, HR_SAY_INFO,
               "%s was deleted; what was imported from it stays", c->path);
        return 0;
    }
    if (c->kind == HR_CHANGE_REFUSED || hr_source_differs(s, c->hash)) {
        return 1;
    }
    /* A failed edit was taken back: what was refused with it may do now. */
    e->retry |= forget_refused(e, c->path);
    return 0;
}

/* What was refused may have been saved before another file that it needs, or
 * together with one that was broken: it is tried again with the next save. */
static void
note_refused(struct hr_engine *e, struct hr_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        forget_refused(e, changes[i].path);
        if (changes[i].text == NULL || e->refused.count >= MAX_REFUSED) {
            continue;
        }
        struct hr_change *all =
            realloc(e->refused.changes, (e->refused.count + 1) * sizeof *all);
        if (all == NULL) {
            return;
        }
        e->refused.changes = all;
        struct hr_change *c = &all[e->refused.count];
        *c = changes[i];
        c->error = NULL;
        c->path = strdup(changes[i].path);
        c->text = malloc(changes[i].size + 1);
        if (c->path == NULL || c->text == NULL) {
            free(c->path);
            free(c->text);
            return;
        }
        memcpy(c->text, changes[i].text, changes[i].size + 1);
        e->refused.count++;
    }
}

/* The files refused before that are not in this batch, behind its own. */
static size_t
add_refused(struct hr_engine *e, struct hr_change *all, size_t n)
{
    size_t count = n;
    for (size_t i = 0; i < e->refused.count; i++) {
        int newer = 0;
        for (size_t k = 0; k < n; k++) {
            newer |= strcmp(all[k].path, e->refused.changes[i].path) == 0;
        }
        if (!newer) {
            all[count++] = e->refused.changes[i];
        }
    }
    return count;
}

/* Plan and commit these as one revision, which is not yet in the record. */
static PyObject *
try_sources(struct hr_engine *e, struct hr_change *changes, size_t n,
            const struct hr_moment *moment)
{
    PyObject *revision = hr_revision_new(e->st);
    if (revision != NULL) {
        hr_revision *r = (hr_revision *)revision;
        r->id = e->st->next_revision + 1; /* as hooks see it */
        r->saved_ns = changes[0].event_ns;
        r->ready_ns = moment->ready_ns;
        r->gil_ns = moment->gil_ns;
        begin_run(e, &changes[0], 1);
        int status = hr_plan_run(e->st, revision, changes, n);
        end_run(e);
        if (status < 0) {
            Py_CLEAR(revision);
        }
    }
    return revision;
}

/* Was this very content refused before?  Then it is not asked for again, and
 * must not refuse what was saved with it. */
static int
is_refused(struct hr_engine *e, const struct hr_change *c)
{
    if (c->kind == HR_CHANGE_REFUSED) {
        hr_log(e->st, HR_SAY_ERROR, "%s", c->error);
        return 1;
    }
    for (size_t i = 0; i < e->refused.count; i++) {
        if (e->refused.changes[i].hash == c->hash &&
            strcmp(e->refused.changes[i].path, c->path) == 0) {
            return 1;
        }
    }
    return 0;
}

/* All sources of a batch are one revision.  NULL with *hold 1: not whole yet.
 * NULL without an exception when there was nothing to do. */
static PyObject *
handle_sources(struct hr_engine *e, struct hr_change *changes, size_t count,
               const struct hr_moment *moment, enum mode mode, int *hold)
{
    struct hr_state *st = e->st;
    struct hr_change *wanted =
        PyMem_Calloc(count + e->refused.count, sizeof *wanted);
    PyObject *revision = NULL;
    size_t own = 0, n;
    if (wanted == NULL) {
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(e, &changes[i], mode) &&
            (mode == MODE_APPLY ||
             (!(hr_setting(st, "manual") || hr_setting(st, "follow_off")) &&
              !is_refused(e, &changes[i])))) {
            wanted[own++] = changes[i];
        }
    }
    e->hold_ns = DOUBT_NS;
    for (size_t i = 0; mode == MODE_SAVED && i < own; i++) {
        if (wanted[i].kind == HR_CHANGE_CONTENT && wanted[i].size == 0) {
            /* A large file is written in place: for now it is empty. */
            e->hold_ns = EMPTY_NS;
            *hold = 1;
            PyMem_Free(wanted);
            return NULL;
        }
    }
    n = own;
    if (own > 0 || (e->retry && e->refused.count > 0)) {
        n = add_refused(e, wanted, own);
        revision = try_sources(e, wanted, n, moment);
        if (revision != NULL && n > own && own > 0 &&
            !((hr_revision *)revision)->ok) {
            Py_DECREF(revision);
            n = own;
            revision = try_sources(e, wanted, n, moment);
        }
    }
    e->retry = 0;
    if (revision != NULL) {
        hr_revision *r = (hr_revision *)revision;
        if (mode == MODE_SAVED && !r->ok && hr_revision_has_code(r, "HR101") &&
            hr_clock_ns(CLOCK_MONOTONIC) - r->saved_ns < DOUBT_NS) {
            *hold = 1;
            Py_CLEAR(revision);
        }
        else if (hr_revision_keep(st, revision) < 0) {
            Py_CLEAR(revision);
        }
        else {
            for (size_t i = 0; r->ok && i < n; i++) {
                hr_source_seen(hr_source_find(st, wanted[i].path),
                               wanted[i].hash);
                if (mode == MODE_APPLY) {
                    (void)hr_watch_add_file(e->watch, wanted[i].path,
                                            wanted[i].text, wanted[i].size);
                }
            }
            if (!r->ok) {
                note_refused(e, wanted, own);
            }
            for (size_t i = 0; r->ok && i < n; i++) {
                /* The entry may own the path: it goes last. */
                char *path = strdup(wanted[i].path);
                if (path != NULL) {
                    forget_refused(e, path);
                }
                free(path);
            }
            report(st, r);
            hr_revision_announce(st, revision);
        }
    }
    PyMem_Free(wanted);
    return revision;
}

static PyObject *
handle_live(struct hr_engine *e, struct hr_change *c,
            const struct hr_moment *moment, enum mode mode)
{
    struct hr_moment m = *moment;
    if (c->kind == HR_CHANGE_REFUSED) {
        hr_log(e->st, HR_SAY_ERROR, "%s", c->error);
        return NULL;
    }
    m.saved_ns = c->event_ns;
    begin_run(e, c, 0);
    PyObject *revision = hr_live_run(e->st, c->path, c->text, c->size, &m,
                                     mode == MODE_STARTING);
    end_run(e);
    return revision;
}

/* With the batch lock and the GIL.  The revision of the last file, or NULL
 * when there was nothing; never with an exception. */
static PyObject *
handle(struct hr_engine *e, struct hr_change *changes, size_t count,
       const struct hr_moment *moment, enum mode mode, int *hold)
{
    PyObject *last = handle_sources(e, changes, count, moment, mode, hold);
    if (PyErr_Occurred()) {
        hr_log_exception(e->st, "a batch of saves could not be handled");
    }
    for (size_t i = 0; i < count; i++) {
        if (!changes[i].live) {
            continue;
        }
        PyObject *revision = handle_live(e, &changes[i], moment, mode);
        if (revision != NULL) {
            Py_XSETREF(last, revision);
        }
        else if (PyErr_Occurred()) {
            hr_log_exception(e->st, "%s could not be handled",
                             changes[i].path);
        }
    }
    return last;
}

/* -- Files that were not whole -------------------------------------------- */

/* Keep the sources of a batch for one more look; takes them out of it. */
static void
hold_batch(struct hr_engine *e, struct hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct hr_change *c = &batch->changes[i];
        if (c->live) {
            continue;
        }
        struct hr_change *held =
            realloc(e->held.changes, (e->held.count + 1) * sizeof *held);
        if (held == NULL) {
            return;
        }
        e->held.changes = held;
        held[e->held.count++] = *c;
        memset(c, 0, sizeof *c);
    }
    e->held_until = hr_clock_ns(CLOCK_MONOTONIC) + e->hold_ns;
}

/* Put what is held in front of a batch; newer saves of a file win. */
static void
merge_held(struct hr_engine *e, struct hr_batch *batch)
{
    size_t count = 0;
    if (e->held.count == 0) {
        return;
    }
    struct hr_change *all = calloc(e->held.count + batch->count, sizeof *all);
    if (all == NULL) {
        return;
    }
    for (size_t i = 0; i < e->held.count; i++) {
        int newer = 0;
        for (size_t k = 0; k < batch->count; k++) {
            newer |=
                strcmp(batch->changes[k].path, e->held.changes[i].path) == 0;
        }
        if (!newer) {
            all[count++] = e->held.changes[i];
            memset(&e->held.changes[i], 0, sizeof *all);
        }
    }
    memcpy(all + count, batch->changes, batch->count * sizeof *all);
    count += batch->count;
    batch->count = 0;
    hr_batch_clear(batch);
    hr_batch_clear(&e->held);
    hr_batch_clear(&e->refused);
    batch->changes = all;
    batch->count = count;
}

/* -- The engine's thread -------------------------------------------------- */

/* Is the text whole?  No GIL is needed: unfinished strings and brackets show
 * without compiling. */
static int
is_whole(void *arg, const char *path, const char *text, size_t size)
{
    struct hr_engine *e = arg;
    return hr_text_is_whole(e->st, path, text, size);
}

static void
serve_sync(struct hr_engine *e)
{
    /* Before the look: who asks after it may have saved after it. */
    pthread_mutex_lock(&e->mutex);
    unsigned long asked = e->asked;
    pthread_mutex_unlock(&e->mutex);
    if (e->held.count > 0 || !hr_watch_idle(e->watch)) {
        return;
    }
    pthread_mutex_lock(&e->mutex);
    e->done = asked;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
}

static int
has_tickets(struct hr_engine *e)
{
    pthread_mutex_lock(&e->mutex);
    int any = e->done != e->asked;
    pthread_mutex_unlock(&e->mutex);
    return any;
}

/* In milliseconds, for hr_watch_wait(). */
static int
get_timeout(struct hr_engine *e)
{
    if (e->held.count > 0) {
        int64_t left = e->held_until - hr_clock_ns(CLOCK_MONOTONIC);
        return left <= 0 ? 0 : (int)(left / 1000000) + 1;
    }
    return has_tickets(e) ? 2 : -1;
}

/* Live files that apply() has run already with this content. */
static void
drop_applied(struct hr_engine *e, struct hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct hr_change *c = &batch->changes[i];
        PyObject *path =
            c->path && c->live ? PyUnicode_DecodeFSDefault(c->path) : NULL;
        PyObject *hash =
            path ? PyDict_GetItemWithError(e->applied, path) : NULL;
        if (hash != NULL) {
            int same = PyLong_AsUnsignedLongLong(hash) == c->hash;
            (void)PyDict_DelItem(e->applied, path);
            if (same) {
                c->live = 0;
            }
        }
        Py_XDECREF(path);
        PyErr_Clear();
    }
}

static void *
thread_main(void *arg)
{
    struct hr_engine *e = arg;
    PyGILState_STATE gil = PyGILState_Ensure();
    e->thread_id = PyThread_get_thread_ident();
    PyThreadState *ts = PyEval_SaveThread();
#ifdef __linux__
    /* Waiting for the GIL ends when it should, not 50 us later. */
    (void)prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
#endif

    while (!atomic_load(&e->stopping)) {
        struct hr_batch batch = {NULL, 0, 0};
        int timeout = get_timeout(e);
        enum hr_watch_result r = hr_watch_wait(e->watch, timeout, &batch);
        if (r == HR_WATCH_CLOSED || atomic_load(&e->stopping)) {
            hr_batch_clear(&batch);
            break;
        }
        int due =
            e->held.count > 0 && hr_clock_ns(CLOCK_MONOTONIC) >= e->held_until;
        if (r == HR_WATCH_BATCH || due) {
            struct hr_moment m = {.ready_ns = batch.ready_ns};
            int hold = 0;
            merge_held(e, &batch);
            if (m.ready_ns == 0) {
                m.ready_ns = hr_clock_ns(CLOCK_MONOTONIC);
            }
            (void)lock_batch(e, -1);
            for (size_t i = 0; i < batch.count; i++) {
                hr_text_read(e->st, &batch.changes[i]);
            }
            hr_gil_take(ts);
            m.gil_ns = hr_clock_ns(CLOCK_MONOTONIC);
            if (!atomic_load(&e->stopping)) {
                drop_applied(e, &batch);
                PyObject *revision =
                    handle(e, batch.changes, batch.count, &m,
                           due ? MODE_FINAL : MODE_SAVED, &hold);
                Py_XDECREF(revision);
            }
            ts = PyEval_SaveThread();
            unlock_batch(e);
            if (hold) {
                hold_batch(e, &batch);
            }
        }
        hr_batch_clear(&batch);
        if (r == HR_WATCH_EXTRA) {
            ts = hr_control_serve(e->control, ts);
        }
        if (has_tickets(e)) {
            serve_sync(e);
        }
    }
    PyEval_RestoreThread(ts);
    PyGILState_Release(gil);
    return NULL;
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
    if (start_thread(&e->guard, guard_main, e, "hot_reload-2") < 0) {
        return -1;
    }
    e->has_guard = 1;
    if (start_thread(&e->thread, thread_main, e, "hot_reload") < 0) {
        return -1;
    }
    e->has_thread = 1;
    return 0;
}

/* -- Start and stop ------------------------------------------------------- */

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
    e->module = Py_NewRef(st->module);
    e->roots = PyList_New(0);
    e->folders = PyList_New(0);
    e->skip = PyList_New(0);
    e->applied = PyDict_New();
    e->since = (double)hr_clock_ns(CLOCK_REALTIME) / 1e9;
    e->time_limit = hr_setting(st, "time_limit");
    if (e->time_limit <= 0) {
        e->time_limit = TIME_LIMIT_S;
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
    Py_XDECREF(e->applied);
    Py_XDECREF(e->roots);
    Py_XDECREF(e->folders);
    Py_XDECREF(e->skip);
    Py_XDECREF(e->module);
    PyMem_Free(e);
}

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
    if (e->has_thread && e->thread_id == PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "stop: a live file cannot stop the engine that runs "
                        "it; call it from another thread");
        return -1;
    }
    st->engine = NULL;
    if (hr_finder_install(st, 0) < 0) {
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
        /* Not before: a run in progress uses them, and so may another call,
         * or an engine that was started meanwhile. */
        if (e->users == 0 && st->engine == NULL) {
            hr_source_free_all(st);
        }
        e->orphan = 1;
        enter(e);
        leave(e);
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

/* Read files as the watcher does, and handle them.  A new reference; NULL
 * without an exception when there was nothing to do. */
static PyObject *
run_paths(struct hr_engine *e, char *const *paths, size_t count,
          enum mode mode)
{
    struct hr_change *changes = PyMem_Calloc(count, sizeof *changes);
    struct hr_moment m;
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
    (void)lock_batch(e, -1);
    for (size_t i = 0; i < count; i++) {
        hr_text_read(e->st, &changes[i]);
    }
    Py_END_ALLOW_THREADS
    m.saved_ns = changes[0].event_ns;
    m.ready_ns = m.gil_ns = hr_clock_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < count && mode == MODE_APPLY; i++) {
        PyObject *hash = PyLong_FromUnsignedLongLong(changes[i].hash);
        PyObject *path = PyUnicode_DecodeFSDefault(paths[i]);
        if (changes[i].live && hash != NULL && path != NULL) {
            (void)PyDict_SetItem(e->applied, path, hash);
        }
        Py_XDECREF(path);
        Py_XDECREF(hash);
        PyErr_Clear();
    }
    PyObject *result = handle(e, changes, count, &m, mode, &hold);
    unlock_batch(e);
    for (size_t i = 0; i < count; i++) {
        free(changes[i].text);
        free(changes[i].error);
    }
    PyMem_Free(changes);
    return result;
}

static int
add_live_folder(struct hr_engine *e, PyObject *folder)
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
            Py_XDECREF(run_paths(e, &at, 1, MODE_STARTING));
            Py_DECREF(file);
        }
        PyErr_Clear();
        free(names[i]);
    }
    free(names);
    Py_DECREF(bytes);
    return status;
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

int
hr_schedule_start(struct hr_state *st, PyObject *roots, PyObject *live,
                  PyObject *skip)
{
    struct hr_engine *e = st->engine;
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
            (void)hr_schedule_stop(st);
            return -1;
        }
    }
    enter(e);
    int status = add_all(e->roots, roots) < 0 || add_all(e->skip, skip) < 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_GET_SIZE(live); i++) {
        PyObject *folder = PyTuple_GET_ITEM(live, i);
        int has = list_has(e->folders, folder);
        status = has < 0 || (!has && add_live_folder(e, folder) < 0);
    }
    if (status == 0) {
        status = hr_finder_install(st, 1) < 0 || hr_adopt_modules(st) < 0;
    }
    leave(e);
    return status ? -1 : 0;
}

/* -- sync, apply ---------------------------------------------------------- */

int
hr_schedule_sync(struct hr_state *st, double timeout)
{
    struct hr_engine *e = st->engine;
    if (e == NULL || !e->has_thread) {
        return 1;
    }
    if (e->thread_id == PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "sync: the engine's own thread cannot wait for "
                        "itself; call it from another thread");
        return -1;
    }
    pthread_mutex_lock(&e->mutex);
    unsigned long ticket = ++e->asked;
    pthread_mutex_unlock(&e->mutex);
    hr_watch_wake(e->watch);
    enter(e);
    int64_t until = hr_clock_ns(CLOCK_MONOTONIC) +
                    (timeout < 1e9    ? (int64_t)(timeout * 1e9)
                     : timeout >= 1e9 ? INT64_MAX / 2
                                      : 0); /* not a number */
    int done = 0;
    while (!done && !atomic_load(&e->stopping)) {
        int64_t left = until - hr_clock_ns(CLOCK_MONOTONIC);
        if (left <= 0) {
            break;
        }
        int64_t step = left < 50000000 ? left : 50000000; /* for Ctrl-C */
        struct timespec ts;
        Py_BEGIN_ALLOW_THREADS
        clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_nsec += (long)(step % 1000000000);
        ts.tv_sec += ts.tv_nsec / 1000000000;
        ts.tv_nsec %= 1000000000;
        pthread_mutex_lock(&e->mutex);
        if (e->done < ticket) {
            pthread_cond_timedwait(&e->changed, &e->mutex, &ts);
        }
        done = e->done >= ticket;
        pthread_mutex_unlock(&e->mutex);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0) {
            done = -1;
            break;
        }
    }
    leave(e);
    return done;
}

/* Between two batches: a plan that is being made must find what it read. */
PyObject *
hr_schedule_undo(struct hr_state *st, long count)
{
    struct hr_engine *e = st->engine;
    if (e == NULL) {
        return hr_revision_undo(st, count);
    }
    enter(e);
    Py_BEGIN_ALLOW_THREADS(void)
    lock_batch(e, -1);
    Py_END_ALLOW_THREADS
    PyObject *undone = hr_revision_undo(st, count);
    unlock_batch(e);
    leave(e);
    return undone;
}

/* Is there anything that the engine can do with this file? */
static int
is_known(struct hr_engine *e, const char *path)
{
    return is_live_path(e, path) || hr_source_find(e->st, path) != NULL ||
           hr_source_is_under_roots(e->st, path);
}

PyObject *
hr_schedule_apply(struct hr_state *st, PyObject *paths)
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
    enter(e);
    char **known =
        PyMem_Calloc((size_t)PyTuple_GET_SIZE(paths) + 1, sizeof *known);
    if (encoded == NULL || known == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (hr_adopt_modules(st) < 0) {
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
    last = run_paths(e, known, (size_t)count, MODE_APPLY);
    if (last == NULL && !PyErr_Occurred()) {
        /* Nothing differs from what runs: a revision of no edits. */
        last = hr_revision_new(st);
        if (last != NULL) {
            ((hr_revision *)last)->ok = 1;
            ((hr_revision *)last)->id = st->next_revision;
        }
    }
done:
    leave(e);
    PyMem_Free(known);
    Py_XDECREF(encoded);
    return last;
}

/* -- For source.c --------------------------------------------------------- */

int
hr_schedule_watch(struct hr_state *st, const char *path, const char *text,
                  size_t size)
{
    struct hr_engine *e = st->engine;
    if (e == NULL) {
        return 0;
    }
    int status;
    enter(e);
    Py_BEGIN_ALLOW_THREADS
    status = hr_watch_add_file(e->watch, path, text, size);
    Py_END_ALLOW_THREADS
    leave(e);
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

int
hr_schedule_is_in_live(struct hr_state *st, const char *path)
{
    return st->engine != NULL && is_in_live_folder(st->engine, path);
}

/* -- Fork ----------------------------------------------------------------- */

int
hr_schedule_before_fork(struct hr_state *st)
{
    struct hr_engine *e = st->engine;
    if (e != NULL) {
        int locked;
        enter(e);
        Py_BEGIN_ALLOW_THREADS
        locked = lock_batch(e, 200);
        Py_END_ALLOW_THREADS
        /* A count: the hooks may be registered twice (reload), and two threads
         * may fork; each gives back only what is its own. */
        st->fork_locked += locked == 0;
        leave(e);
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
            unlock_batch(e);
        }
        return 0;
    }
    /* Only this thread is here; whatever others held is held for ever. */
    st->fork_locked = 0;
    hr_gil_after_fork();
    hr_text_init(st);
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->changed, NULL);
    e->depth = 0;
    e->busy = 0;
    e->users = 0;
    /* Its thread may have been changing it; the next save has it all. */
    memset(&e->held, 0, sizeof e->held);
    e->done = e->asked;
    e->has_thread = e->has_guard = 0;
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

void
hr_schedule_announce(struct hr_state *st)
{
    if (st->engine != NULL) {
        hr_control_announce(st->engine->control);
    }
}

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
