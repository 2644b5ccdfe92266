/* fork().
 *
 * A child inherits the inotify descriptor (and would steal the parent's
 * events from it), no waiting thread, and perhaps a lock that some thread
 * held at that moment.  pthread_atfork() takes care of the last: the locks
 * of all watches are taken before the fork, so that the child's copy of every
 * watch is whole, and released on both sides after it.  They are held for
 * microseconds only (see watch.c), so fork() does not become slower.
 * hr_watch_after_fork() does the rest.
 *
 * The list of watches is one per process because fork() is.
 */
#include "internal.h"

#include <errno.h>

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hr_watch *list;
static int is_registered;

static void
before_fork(void)
{
    pthread_mutex_lock(&list_lock);
    for (struct hr_watch *w = list; w != NULL; w = w->next) {
        pthread_mutex_lock(&w->lock);
    }
}

static void
after_fork(void)
{
    for (struct hr_watch *w = list; w != NULL; w = w->next) {
        pthread_mutex_unlock(&w->lock);
    }
    pthread_mutex_unlock(&list_lock);
}

/* 0 or an errno. */
int
hr_fork_register(struct hr_watch *w)
{
    int error = 0;

    pthread_mutex_lock(&list_lock);
    if (!is_registered) {
        error = pthread_atfork(before_fork, after_fork, after_fork);
        is_registered = error == 0;
    }
    if (error == 0) {
        w->next = list;
        list = w;
    }
    pthread_mutex_unlock(&list_lock);
    return error;
}

void
hr_fork_unregister(struct hr_watch *w)
{
    pthread_mutex_lock(&list_lock);
    for (struct hr_watch **p = &list; *p != NULL; p = &(*p)->next) {
        if (*p == w) {
            *p = w->next;
            break;
        }
    }
    pthread_mutex_unlock(&list_lock);
}

/* Threads that had something pinned are not in this process. */
static void
forget_threads(struct hr_watch *w)
{
    for (size_t i = 0; i < w->names.size; i++) {
        struct hr_name *name = (struct hr_name *)w->names.slots[i];
        if (name != NULL) {
            name->file->pins = 0;
            name->file->adding = 0;
        }
    }
    w->looking = NULL;
    w->poll_scanning = 0;
    w->poll_cursor = NULL;
}

int
hr_watch_after_fork(struct hr_watch *w)
{
    int result;

    hr_lock(w);
    forget_threads(w);
    hr_wake_close(w);
    atomic_store(&w->woken, 0);
    atomic_store(&w->kicked, 0);
    result = hr_wake_open(w);
    if (w->events != NULL) {
        w->events->close(w);
    }
    hr_watch_open_events(w);
    hr_tree_rescan(w);
    hr_tree_recheck(w);
    w->hold = 0;
    hr_unlock(w);
    return result;
}
