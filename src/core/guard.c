/* The guard: a run of user code that takes too long can be stopped.
 *
 * A thread of its own, without a thread state.  It sleeps until a run takes
 * longer than a second: then it watches that one file, without the GIL, and
 * interrupts the run when the file is saved again, so that an endless live
 * file can be mended by saving.  Changed statements of sources may not take
 * longer than a limit, and when the engine stops no run may go on.
 *
 * An interrupt is an asynchronous exception.  It is sent under the GIL while
 * the run is still in progress, and never reaches what follows the run.
 */
#include "engine.h"

#include <sys/stat.h>
#include <unistd.h>

#define STUCK_S 1 /* a run longer than this may be interrupted */
#define STUCK_POLL_MS 100

static struct hr_stamp
get_stamp(const char *path)
{
    struct stat s;
    struct hr_stamp stamp = {0, 0, 0};
    if (path != NULL && stat(path, &s) == 0) {
        stamp.mtime =
            (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
        stamp.size = s.st_size;
        stamp.inode = s.st_ino;
    }
    return stamp;
}

void
hr_guard_begin(struct hr_engine *e, const struct hr_change *c, int limited)
{
    struct hr_stamp stamp = get_stamp(c->path);
    stamp.mtime = c->saved_ns; /* it may have been saved since it was read */
    pthread_mutex_lock(&e->mutex);
    if (e->busy != 0) {
        /* A live file that calls apply(): it is one run, the outer one. */
        e->nested++;
        pthread_mutex_unlock(&e->mutex);
        return;
    }
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

void
hr_guard_end(struct hr_engine *e)
{
    pthread_mutex_lock(&e->mutex);
    int inner = e->nested > 0;
    e->nested -= inner;
    e->busy = inner ? e->busy : 0;
    pthread_mutex_unlock(&e->mutex);
    if (!inner && e->interrupted) {
        e->interrupted = 0;
        swallow_interrupt();
    }
}

static int
is_same_stamp(struct hr_stamp a, struct hr_stamp b)
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
    struct hr_stamp before = e->busy_stamp;
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

void *
hr_guard_main(void *arg)
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
