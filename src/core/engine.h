/* The running engine, shared by the files that it consists of: schedule.c,
 * thread.c, batch.c, guard.c and apply.c. */
#ifndef HR_ENGINE_H
#define HR_ENGINE_H

#include "code.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* What tells two saves of a file apart without reading it. */
struct hr_stamp {
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
    atomic_int born;         /* the thread has its thread state */
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
    int nested;       /* runs within the one in progress */
    char *busy_path;  /* owned */
    int busy_limited; /* it may not take longer than the limit */
    unsigned long busy_thread;
    struct hr_stamp busy_stamp; /* of the file as it was read */
    int interrupted;            /* an exception was sent; under the GIL */
    atomic_int abandoned;       /* stop() has given up waiting for the run */
    int users, orphan; /* calls in progress; stopped.  Under the GIL */

    struct hr_batch held;    /* sources that did not compile, for a moment */
    int retry;               /* one of them is out of the way */
    struct hr_batch refused; /* those whose evaluation failed, the last time */
    int64_t held_until, hold_ns;

    long time_limit;                  /* in seconds */
    PyObject *roots, *folders, *skip; /* owned: lists of str */
    /* owned: {path: hash} of live files that apply() ran, or a save */
    PyObject *applied, *ran;
    int64_t ran_ns; /* when the last of `ran` was run */
};

/* How a batch is handled. */
enum hr_mode {
    HR_MODE_SAVED,    /* by the engine's thread; may be looked at again */
    HR_MODE_FINAL,    /* the same, for the last time */
    HR_MODE_STARTING, /* a live file at start */
    HR_MODE_APPLY,    /* by apply() */
};

/* -- schedule.c ----------------------------------------------------------- */

/* With the GIL.  A call that lets go of it holds the engine, since another
 * thread may stop it meanwhile. */
void hr_schedule_enter(struct hr_engine *e);
void hr_schedule_leave(struct hr_engine *e);

/* -- thread.c ------------------------------------------------------------- */

/* The engine's thread, for pthread_create(). */
void *hr_thread_main(void *engine);

/* -- batch.c (hr_batch_clear() is the watcher's) -------------------------- */

/* Without the GIL.  timeout_ms < 0: for ever.  0, or -1 on a timeout. */
int hr_batch_lock(struct hr_engine *e, int timeout_ms);
void hr_batch_unlock(struct hr_engine *e);
/* With the batch lock and the GIL.  The revision of the last file, or NULL
 * when there was nothing; never with an exception.  *hold: not whole yet. */
PyObject *hr_batch_handle(struct hr_engine *e, struct hr_change *changes,
                          size_t count, const struct hr_moment *moment,
                          enum hr_mode mode, int *hold);
/* In the engine's thread, without the GIL.  Keep the sources of a batch for
 * one more look; takes them out of it. */
void hr_batch_hold(struct hr_engine *e, struct hr_batch *batch);
/* Put what is held in front of a batch; newer saves of a file win. */
void hr_batch_merge_held(struct hr_engine *e, struct hr_batch *batch);

/* -- await.c -------------------------------------------------------------- */

/* With the GIL.  Is this a file that a refused save waits for?  Only once. */
int hr_await_is_over(struct hr_engine *e, const char *path);

/* -- guard.c -------------------------------------------------------------- */

/* Around a run of user code, in the thread that runs it, with the GIL.
 * `limited`: it may not take longer than the limit. */
void hr_guard_begin(struct hr_engine *e, const struct hr_change *c,
                    int limited);
void hr_guard_end(struct hr_engine *e);
/* The guard's thread, for pthread_create(). */
void *hr_guard_main(void *engine);

/* -- apply.c -------------------------------------------------------------- */

/* Follow a folder of live files, and run what is in it. */
int hr_apply_add_folder(struct hr_engine *e, PyObject *folder);
/* Live files that apply() has run already with this content are not live in
 * the batch any more. */
void hr_apply_drop_applied(struct hr_engine *e, struct hr_batch *batch);
/* A live file is run in this mode. */
void hr_apply_note_run(struct hr_engine *e, const struct hr_change *c,
                       enum hr_mode mode);

#endif /* HR_ENGINE_H */
