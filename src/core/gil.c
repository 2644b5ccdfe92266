/* Taking the GIL soon, also from a busy holder.
 *
 * Our thread waits for the GIL like any other.  An idle host gives it in
 * microseconds; a busy one lets go only after the switch interval, 5 ms, and
 * with several busy threads after a multiple of that.
 *
 * 3.12 and later: a pending call, which whatever thread runs Python executes
 * at its next check, lets go of the GIL until our thread has it.  At most one
 * is queued at a time, and one that comes late does nothing.  The commit
 * itself never runs in there: planning runs Python code, and somebody else's
 * thread is no place for that.
 *
 * 3.9 to 3.11: the waiting thread itself decides how long it waits before it
 * asks, so the interval is short while our thread waits.
 */
#include "core.h"

#include <pthread.h>
#include <stdatomic.h>

#ifdef HR_HAS_PENDING_ON_ANY_THREAD

/* Static: a queued pending call may outlive the engine that queued it. */
static pthread_mutex_t gil_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gil_taken = PTHREAD_COND_INITIALIZER;
static unsigned long wanted, served; /* under gil_mutex */
static atomic_int queued;

#define LET_GO_NS 5000000 /* at most */

static int
let_go(void *arg)
{
    struct timespec until;
    (void)arg;
    atomic_store(&queued, 0);
    pthread_mutex_lock(&gil_mutex);
    int late = served == wanted;
    pthread_mutex_unlock(&gil_mutex);
    if (late) {
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LET_GO_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&gil_mutex);
    while (served != wanted &&
           pthread_cond_timedwait(&gil_taken, &gil_mutex, &until) == 0) {
    }
    pthread_mutex_unlock(&gil_mutex);
    Py_END_ALLOW_THREADS
    return 0;
}

void
hr_gil_take(PyThreadState *ts)
{
    pthread_mutex_lock(&gil_mutex);
    unsigned long ticket = ++wanted;
    pthread_mutex_unlock(&gil_mutex);
    if (atomic_exchange(&queued, 1) == 0 &&
        _PyEval_AddPendingCall(PyInterpreterState_Main(), let_go, NULL, 0) !=
            0) {
        atomic_store(&queued, 0); /* the queue is full: wait as others do */
    }
    PyEval_RestoreThread(ts);
    pthread_mutex_lock(&gil_mutex);
    if (ticket > served) { /* apply() and our thread may take it at once */
        served = ticket;
    }
    pthread_cond_broadcast(&gil_taken);
    pthread_mutex_unlock(&gil_mutex);
}

void
hr_gil_after_fork(void)
{
    pthread_mutex_init(&gil_mutex, NULL);
    pthread_cond_init(&gil_taken, NULL);
    served = wanted;
    atomic_store(&queued, 0);
}

#else

#define SHORT_INTERVAL_US 20

void
hr_gil_take(PyThreadState *ts)
{
    unsigned long interval = _PyEval_GetSwitchInterval();
    _PyEval_SetSwitchInterval(SHORT_INTERVAL_US);
    PyEval_RestoreThread(ts);
    if (_PyEval_GetSwitchInterval() == SHORT_INTERVAL_US) {
        _PyEval_SetSwitchInterval(interval);
    }
}

void
hr_gil_after_fork(void)
{
}

#endif

/* Enough for a waiting thread to wake up and take it. */
#define PAUSE_NS 50000

void
hr_gil_pause(void)
{
    struct timespec pause = {0, PAUSE_NS};
    PyThreadState *ts = PyEval_SaveThread();
    nanosleep(&pause, NULL);
    hr_gil_take(ts);
}
