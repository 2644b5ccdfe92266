/* Taking the GIL soon, also from a busy holder.
 *
 * Our thread waits for the GIL like any other.  An idle host gives it in
 * microseconds; a busy one lets go only after the switch interval, 5 ms, and
 * with several busy threads after a multiple of that.
 *
 * 3.12 and later: a pending call, which whatever thread runs Python executes
 * at its next check, lets go of the GIL until our thread has it.  At most one
 * is queued at a time, and one that comes late does nothing.  Where several
 * threads are busy, another of them may take the GIL then, and pending calls
 * are not executed by two at once: so the switch interval is short meanwhile,
 * and the GIL goes round until it is our turn.  The commit
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
/* Under the GIL: what the switch interval was, in seconds; 0: it is so. */
static double interval_was;

#define LET_GO_NS 5000000 /* at most */
#define ROUND_NS 50000    /* enough to wake up */
#define SHORT_INTERVAL_S 20e-6

/* With the GIL.  The C functions for this are not exported by 3.13. */
static double
call_sys(const char *name, double seconds)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *function = PySys_GetObject(name); /* borrowed */
    PyObject *result = function == NULL ? NULL
                       : seconds > 0
                           ? PyObject_CallFunction(function, "d", seconds)
                           : PyObject_CallNoArgs(function);
    double number =
        result != NULL && seconds <= 0 ? PyFloat_AsDouble(result) : 0;
    Py_XDECREF(result);
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return number;
}

static void
shorten_interval(void)
{
    double was = interval_was > 0 ? 0 : call_sys("getswitchinterval", 0);
    if (was > SHORT_INTERVAL_S) {
        interval_was = was;
        (void)call_sys("setswitchinterval", SHORT_INTERVAL_S);
    }
}

static void
restore_interval(void)
{
    double was = interval_was;
    interval_was = 0;
    if (was > 0 && call_sys("getswitchinterval", 0) < 2 * SHORT_INTERVAL_S) {
        (void)call_sys("setswitchinterval", was);
    }
}

/* Without the GIL: until it is served, or so many nanoseconds. */
static void
wait_until_served(long ns)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ns;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&gil_mutex);
    while (served != wanted &&
           pthread_cond_timedwait(&gil_taken, &gil_mutex, &until) == 0) {
    }
    pthread_mutex_unlock(&gil_mutex);
}

static int
is_served(void)
{
    pthread_mutex_lock(&gil_mutex);
    int is = served == wanted;
    pthread_mutex_unlock(&gil_mutex);
    return is;
}

/* Others that wait for the GIL may have begun to before the interval was
 * short, and would let whoever got it run for 5 ms: so this thread asks for it
 * again and again, and lets go of it each time. */
static int
let_go(void *arg)
{
    int64_t until = hr_clock_ns(CLOCK_MONOTONIC) + LET_GO_NS;
    (void)arg;
    atomic_store(&queued, 0);
    if (is_served()) {
        return 0;
    }
    shorten_interval();
    do {
        Py_BEGIN_ALLOW_THREADS
        wait_until_served(ROUND_NS);
        Py_END_ALLOW_THREADS
    } while (!is_served() && hr_clock_ns(CLOCK_MONOTONIC) < until);
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
    restore_interval();
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
    restore_interval();
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
