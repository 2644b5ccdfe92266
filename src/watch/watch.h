/* Watching files, decided by content.
 *
 * A watch holds a set of single files and of folders (non-recursive; every
 * "*.py" directly in them).  hr_watch_wait() blocks until files of that set
 * have a *new stable content*, and hands them over as one batch, with the
 * text that was read.  What a save looks like to the kernel (rename, truncate
 * and write, unlink and create, two opens, a lost queue, ...) stays in here:
 * see the essay at the top of watch.c.
 *
 * Pure C11 and POSIX/Linux: nothing here includes Python.h, and no function
 * needs the GIL.
 *
 * Threads: hr_watch_wait() is called by one thread at a time (the engine's).
 * Every other function may be called from any thread at any time, also while
 * another thread is inside hr_watch_wait(); what they add takes effect before
 * they return (a save that is made after hr_watch_add_file() returned is not
 * lost).
 */
#ifndef HR_WATCH_H
#define HR_WATCH_H

#include <stddef.h>
#include <stdint.h>

struct hr_watch;

enum hr_watch_result {
    HR_WATCH_BATCH,   /* `batch` was filled and holds at least one change */
    HR_WATCH_WOKEN,   /* hr_watch_wake() was called */
    HR_WATCH_EXTRA,   /* the descriptor of hr_watch_set_extra() is readable */
    HR_WATCH_TIMEOUT, /* timeout_ms went by */
    HR_WATCH_CLOSED,  /* hr_watch_close() was called: leave the thread */
};

enum hr_change_kind {
    HR_CHANGE_CONTENT, /* text and size are the new content */
    HR_CHANGE_DELETED, /* missing for 200 ms; text is NULL */
    HR_CHANGE_REFUSED, /* cannot be read (too large, FIFO, folder, no
                          permission, loop of links): `error` says why, in one
                          sentence that names the path and what to do */
};

struct hr_change {
    enum hr_change_kind kind;
    char *path; /* owned; exactly as given to hr_watch_add_file(), or
                   folder as given + "/" + name */
    char *text; /* owned; size bytes and a NUL behind them; or NULL */
    size_t size;
    uint64_t hash;    /* hr_watch_hash(text, size) */
    char *error;      /* owned; HR_CHANGE_REFUSED only */
    int live;         /* 1: found through hr_watch_add_folder() */
    int64_t event_ns; /* CLOCK_MONOTONIC when the event was read from the
                         kernel (or the poll saw it) */
    int64_t saved_ns; /* st_mtime of the file in ns since the epoch; 0 when
                         deleted */
};

struct hr_batch {
    struct hr_change *changes;
    size_t count;
    int64_t ready_ns; /* CLOCK_MONOTONIC when the batch was complete */
};

struct hr_watch_options {
    /* Called for things that a person should read (one sentence each, no
     * newline): a limit of the kernel was reached, a folder is polled because
     * its file system sends no events, ...  From any thread, without locks
     * held.  May be NULL. */
    void (*say)(void *arg, int level, const char *sentence);
    void *say_arg;
    /* Is this text whole?  0: it looks half-written (does not compile); it
     * gets one more look within half_ms before it is handed over anyway.
     * Called in hr_watch_wait()'s thread.  NULL: only empty files and files
     * that do not end in a newline are looked at again. */
    int (*whole)(void *arg, const char *path, const char *text, size_t size);
    void *whole_arg;
    int force_poll;  /* 1: never use inotify (for tests) */
    int poll_ms;     /* interval of the polling fallback; 0: 200 */
    int gather_ms;   /* files that are ready within this of each other
                        are one batch; 0: 3.  A batch of which nothing
                        else is pending must not wait this long: see
                        watch.c on when it is cut short */
    int half_ms;     /* 0: 150 */
    int gone_ms;     /* 0: 200 */
    size_t max_size; /* larger files are refused; 0: 32 MiB */
};

enum {
    HR_SAY_DEBUG = 10,
    HR_SAY_INFO = 20,
    HR_SAY_WARNING = 30,
    HR_SAY_ERROR = 40
};

/* NULL with errno set on failure (out of memory, no descriptor left). */
struct hr_watch *hr_watch_new(const struct hr_watch_options *options);

/* Frees everything.  No thread may be inside hr_watch_wait(). */
void hr_watch_free(struct hr_watch *w);

/* Follow one file.  `text` is the content that the program runs now (a save
 * with this same content is no change); NULL: read it from the disk now, off
 * the caller's locks.  The folder that holds it, and for a symbolic link the
 * folder of the link's target too, is watched; a folder is watched once,
 * however many files it holds.  Adding a file again replaces its known
 * content.  0, or -1 with errno. */
int hr_watch_add_file(struct hr_watch *w, const char *path, const char *text,
                      size_t size);
int hr_watch_remove_file(struct hr_watch *w, const char *path);

/* Follow every "*.py" directly in a folder (live files).  What is in it now is
 * known content and not reported, unless report_now is 1: then all of them
 * are handed over as the first batch.  `skip` (may be NULL) is a
 * NULL-terminated array of names that are not live files.  The folder may
 * vanish and come back: it is found again by its path. */
int hr_watch_add_folder(struct hr_watch *w, const char *path,
                        const char *const *skip, int report_now);
int hr_watch_remove_folder(struct hr_watch *w, const char *path);

/* Block until something happened.  timeout_ms < 0: for ever.  With inotify on
 * local file systems and nothing pending there is no periodic wake-up. */
enum hr_watch_result hr_watch_wait(struct hr_watch *w, int timeout_ms,
                                   struct hr_batch *batch);
void hr_batch_clear(struct hr_batch *batch);

/* Make hr_watch_wait() return HR_WATCH_WOKEN.  Async-signal-safe. */
void hr_watch_wake(struct hr_watch *w);

/* Make hr_watch_wait() return HR_WATCH_CLOSED now and for ever. */
void hr_watch_close(struct hr_watch *w);

/* One more descriptor that hr_watch_wait() polls for reading (-1: none). */
void hr_watch_set_extra(struct hr_watch *w, int fd);

/* 1 when every save that was made before this call has been handed over by
 * hr_watch_wait(): no event is queued in the kernel, nothing is pending
 * (half-written, gone, gathering).  With polling: when a scan has begun after
 * the last hr_watch_wake() and found nothing.  Call it from
 * hr_watch_wait()'s thread. */
int hr_watch_idle(struct hr_watch *w);

/* In the child after fork(): the inotify descriptor is shared with the parent
 * and no thread waits.  Closes what is shared, makes everything new from the
 * same files and folders.  0, or -1 with errno. */
int hr_watch_after_fork(struct hr_watch *w);

struct hr_watch_info {
    size_t files, folders, descriptors, polled_folders;
    uint64_t events, overflows, rescans, batches;
    size_t bytes; /* memory held, about */
};
void hr_watch_get_info(struct hr_watch *w, struct hr_watch_info *info);

/* Read one file now, with the same care: fills kind, text, size, hash, error
 * and saved_ns of `change`; the caller frees text and error.  max_size 0: 32
 * MiB. */
void hr_watch_read(const char *path, size_t max_size,
                   struct hr_change *change);

/* 64-bit content hash (not cryptographic). */
uint64_t hr_watch_hash(const void *data, size_t size);

/* Is this one of the names that editors leave beside a file (rule 7)? */
int hr_watch_is_noise(const char *name);

#endif /* HR_WATCH_H */
