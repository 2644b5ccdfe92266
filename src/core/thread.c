/* The engine's thread: it waits for saves, and hands them on.
 *
 * It waits without the GIL, for the watcher and for the control socket, and
 * without a time unless something is held or somebody waits in sync().  A
 * batch is read and split without the GIL as well; then the thread takes the
 * batch lock and the GIL, in this order, and has it handled.
 *
 * It has a thread state of its own, made once, so the host's exceptions and
 * tracing are not ours.
 */
#include "engine.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

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

int
hr_thread_is_own(struct hr_state *st)
{
    struct hr_engine *e = st->engine;
    return e != NULL && e->has_thread &&
           e->thread_id == PyThread_get_thread_ident();
}

void *
hr_thread_main(void *arg)
{
    struct hr_engine *e = arg;
    /* Made without the GIL, under a lock of the interpreter's: while the
     * starter waits, nobody forks, or that lock would stay shut in a child
     * (up to 3.11). */
    PyThreadState *ts = PyThreadState_New(PyInterpreterState_Main());
    e->thread_id = PyThread_get_thread_ident();
    atomic_store(&e->born, ts != NULL ? 1 : -1);
    if (ts == NULL) {
        return NULL;
    }
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
            struct hr_moment m = {0};
            int hold = 0;
            hr_batch_merge_held(e, &batch);
            (void)hr_batch_lock(e, -1);
            for (size_t i = 0; i < batch.count; i++) {
                hr_text_read(e->st, &batch.changes[i]);
            }
            m.ready_ns = hr_clock_ns(CLOCK_MONOTONIC);
            hr_gil_take(ts);
            m.gil_ns = hr_clock_ns(CLOCK_MONOTONIC);
            if (!atomic_load(&e->stopping)) {
                hr_apply_drop_applied(e, &batch);
                PyObject *revision = hr_batch_handle(
                    e, batch.changes, batch.count, &m,
                    due ? HR_MODE_FINAL : HR_MODE_SAVED, &hold);
                Py_XDECREF(revision);
            }
            ts = PyEval_SaveThread();
            hr_batch_unlock(e);
            if (hold) {
                hr_batch_hold(e, &batch);
            }
        }
        hr_batch_clear(&batch);
        if (r == HR_WATCH_EXTRA) {
            ts = hr_client_serve(e->control, ts);
        }
        if (has_tickets(e)) {
            serve_sync(e);
        }
    }
    PyEval_RestoreThread(ts);
    PyThreadState_Clear(ts);
    PyThreadState_DeleteCurrent();
    return NULL;
}

/* -- sync ----------------------------------------------------------------- */

int
hr_thread_sync(struct hr_state *st, double timeout)
{
    struct hr_engine *e = st->engine;
    if (e == NULL || !e->has_thread) {
        return 1;
    }
    if (hr_thread_is_own(st)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "sync: the engine's own thread cannot wait for "
                        "itself; call it from another thread");
        return -1;
    }
    pthread_mutex_lock(&e->mutex);
    unsigned long ticket = ++e->asked;
    pthread_mutex_unlock(&e->mutex);
    hr_watch_wake(e->watch);
    hr_schedule_enter(e);
    int64_t until = hr_clock_ns(CLOCK_MONOTONIC) +
                    (timeout >= 1e9 ? INT64_MAX / 2
                     : timeout > 0  ? (int64_t)(timeout * 1e9)
                                    : 0); /* or not a number */
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
    hr_schedule_leave(e);
    return done;
}
