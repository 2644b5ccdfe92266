/* The wait loop: take in what happened, decide whether a batch is complete,
 * sleep until something happens or a deadline passes.
 *
 * When is a batch complete?  Making a plain save wait, even for 3 ms, would
 * be most of its latency; handing over half of a `git checkout` would make
 * half of it live.  Nothing tells the two apart for certain, but a second
 * file that is being saved leaves traces by the time that the first one has
 * been read, and the kernel's queue is read again just before deciding:
 *
 *     - it is ready too, half-written, or has just been deleted
 *     - a file was deleted and created anew (git writes no other way,
 *       editors do not write so)
 *     - a temporary file has just been created beside it (sed -i, rsync)
 *     - another batch was handed over a moment ago
 *
 * Then, and only then, the batch stays open until gather_ms have passed
 * without a sign of life; four times that in a burst (three files already,
 * or a batch of several a moment ago), which no single save makes, and which
 * every stop of the program that writes them would else split.
 *
 * Waking is async-signal-safe: it sets an atomic flag and writes to a
 * descriptor.  The flags tell why; the descriptor only ends the sleep.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

/* ---- waking ----------------------------------------------------------- */

int
hr_wake_open(struct hr_watch *w)
{
#ifdef __linux__
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        return -1;
    }
    atomic_store(&w->wake_read, fd);
    atomic_store(&w->wake_write, fd);
#else
    int ends[2];

    if (pipe(ends) < 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    atomic_store(&w->wake_read, ends[0]);
    atomic_store(&w->wake_write, ends[1]);
#endif
    return 0;
}

void
hr_wake_close(struct hr_watch *w)
{
    int in = atomic_load(&w->wake_read), out = atomic_load(&w->wake_write);

    atomic_store(&w->wake_read, -1);
    atomic_store(&w->wake_write, -1);
    close(in);
    if (out != in) {
        close(out);
    }
}

static void
end_sleep(struct hr_watch *w)
{
    const uint64_t one = 1;
    int error = errno;
    ssize_t written;

    do {
        written = write(atomic_load(&w->wake_write), &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    errno = error; /* EAGAIN: it is readable already */
}

void
hr_kick(struct hr_watch *w)
{
    if (!atomic_exchange(&w->kicked, 1)) {
        end_sleep(w);
    }
}

void
hr_watch_wake(struct hr_watch *w)
{
    atomic_fetch_add(&w->wake_count, 1);
    atomic_store(&w->woken, 1);
    end_sleep(w);
}

void
hr_watch_close(struct hr_watch *w)
{
    atomic_store(&w->closed, 1);
    end_sleep(w);
}

static void
drain_wake(struct hr_watch *w)
{
    uint64_t value[8];

    atomic_store(&w->kicked, 0);
    while (read(atomic_load(&w->wake_read), value, sizeof(value)) ==
           (ssize_t)sizeof(value)) {
    }
}

/* ---- the batch -------------------------------------------------------- */

/* Are many files being written, by a program and not by a person? */
static int
is_burst(const struct hr_watch *w, int64_t now)
{
    int64_t since = now - HR_BURST * w->options.gather_ms * HR_MS;

    return w->ready_count > 2 || (w->handed == NULL && w->handed_ns > since);
}

/* Is more than the one ready file involved? */
static int
is_bustling(const struct hr_watch *w, int64_t now)
{
    int64_t since = now - w->options.gather_ms * HR_MS;
    const struct hr_file *soon = w->lists[HR_SOON].tail;
    const struct hr_file *gone = w->lists[HR_GONE].tail;

    if (w->ready_count > 1 || w->hint_ns > since || w->checkout_ns > since ||
        is_burst(w, now)) {
        return 1;
    }
    if (w->handed_ns > since && w->handed != w->ready_files[0]) {
        return 1;
    }
    return (soon != NULL && soon->event_ns > since) ||
           (gone != NULL && gone->event_ns > since);
}

/* When the batch is complete; HR_NEVER when there is none. */
static int64_t
batch_due(const struct hr_watch *w, int64_t now)
{
    int64_t latest = w->first_ready_ns + HR_GATHER_MAX_NS, due;
    int64_t gather = w->options.gather_ms * HR_MS;

    if (w->ready_count == 0) {
        return HR_NEVER;
    }
    if (w->lists[HR_NOW].count > 0 || w->poll_hurry ||
        (w->hold && w->lists[HR_FRESH].count > 0)) {
        return latest;
    }
    if (!is_bustling(w, now)) {
        return now;
    }
    if (is_burst(w, now)) {
        gather *= HR_BURST;
    }
    due = w->stir_ns + gather;
    return due < latest ? due : latest;
}

static void
hand_over(struct hr_watch *w, struct hr_batch *batch, int64_t now)
{
    batch->changes = w->ready;
    batch->count = w->ready_count;
    batch->ready_ns = now;
    w->handed = w->ready_count == 1 ? w->ready_files[0] : NULL;
    w->handed_ns = now;
    w->ready_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct hr_file *file = w->ready_files[i];
        file->ready = 0;
        if (batch->changes[i].kind == HR_CHANGE_DELETED && !file->followed &&
            file->state == HR_QUIET) {
            hr_file_remove(w, file); /* comes back as a new live file */
        }
    }
    w->ready = NULL;
    w->ready_room = 0;
    w->info.batches++;
}

/* ---- the loop --------------------------------------------------------- */

/* Take in all that has happened.  Gives the lock up now and then. */
static void
collect(struct hr_watch *w)
{
    if (w->events != NULL) {
        w->events->collect(w, hr_now());
    }
    hr_backend_poll.collect(w, hr_now());
    if (w->rescan_ns <= hr_now()) {
        hr_tree_rescan(w);
    }
    hr_tree_recheck(w);
    hr_folders_scan(w);
    hr_tree_recheck(w);
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is to be done although nothing happens. */
static int64_t
next_due(const struct hr_watch *w, int64_t now)
{
    int64_t due = earlier(batch_due(w, now), w->rescan_ns);

    if (w->lists[HR_NOW].count > 0 || w->lists[HR_FRESH].count > 0 ||
        w->scan_head != NULL || w->recheck_head != NULL) {
        return now;
    }
    if (w->lists[HR_SOON].head != NULL) {
        due = earlier(due, w->lists[HR_SOON].head->due_ns);
    }
    if (w->lists[HR_GONE].head != NULL) {
        due = earlier(due, w->lists[HR_GONE].head->due_ns);
    }
    return earlier(due, hr_backend_poll.due(w));
}

/* poll() with a deadline in nanoseconds. */
static int
sleep_until(struct pollfd *fds, nfds_t count, int64_t due)
{
    int64_t left = 0;
    int ready;

    if (due != HR_NEVER) {
        left = due - hr_now();
        left = left > 0 ? left : 0;
    }
#ifdef __linux__
    struct timespec t = {(time_t)(left / 1000000000LL), left % 1000000000LL};
    ready = ppoll(fds, count, due == HR_NEVER ? NULL : &t, NULL);
#else
    int64_t ms = (left + HR_MS - 1) / HR_MS;
    ready = poll(fds, count,
                 due == HR_NEVER ? -1
                 : ms > 60000    ? 60000
                                 : (int)ms);
#endif
    if (ready <= 0) {
        /* Nothing, or a signal: what poll() left in there is not valid. */
        for (nfds_t i = 0; i < count; i++) {
            fds[i].revents = 0;
        }
    }
    return ready;
}

/* One round: 1 when `batch` was filled, else *due is when to go on. */
static int
go_round(struct hr_watch *w, struct hr_batch *batch, int64_t *due)
{
    int64_t now;

    collect(w);
    hr_files_look(w);
    if (w->ready_count > 0) {
        collect(w); /* what came in while they were read? */
    }
    now = hr_now();
    if (batch_due(w, now) <= now) {
        hand_over(w, batch, now);
        return 1;
    }
    *due = next_due(w, now);
    return 0;
}

enum hr_watch_result
hr_watch_wait(struct hr_watch *w, int timeout_ms, struct hr_batch *batch)
{
    int64_t end = timeout_ms < 0 ? HR_NEVER : hr_now() + timeout_ms * HR_MS;

    *batch = (struct hr_batch){NULL, 0, 0};
    for (;;) {
        struct pollfd fds[3];
        nfds_t count = 2;
        int64_t due;
        int extra, late = hr_now() >= end;

        if (atomic_load(&w->closed)) {
            return HR_WATCH_CLOSED;
        }
        hr_lock(w);
        if (go_round(w, batch, &due)) {
            hr_unlock(w);
            return HR_WATCH_BATCH;
        }
        fds[0] = (struct pollfd){atomic_load(&w->wake_read), POLLIN, 0};
        fds[1] = (struct pollfd){w->inotify_fd, POLLIN, 0}; /* -1: ignored */
        extra = w->extra_fd;
        if (extra >= 0) {
            fds[count++] = (struct pollfd){extra, POLLIN, 0};
        }
        hr_unlock(w);

        sleep_until(fds, count, earlier(due, end));
        if (fds[0].revents != 0) {
            drain_wake(w);
            if (atomic_load(&w->closed)) {
                return HR_WATCH_CLOSED;
            }
            if (atomic_exchange(&w->woken, 0)) {
                return HR_WATCH_WOKEN;
            }
        }
        if (extra >= 0 && fds[2].revents != 0) {
            if ((fds[2].revents & POLLNVAL) == 0) {
                return HR_WATCH_EXTRA;
            }
            hr_lock(w);
            if (w->extra_fd == extra) {
                w->extra_fd = -1; /* closed by its owner */
            }
            hr_unlock(w);
        }
        /* What came in at the last moment gets one more round. */
        if (late || (fds[1].revents == 0 && hr_now() >= end)) {
            return HR_WATCH_TIMEOUT;
        }
    }
}

/* Is nothing pending, as far as is known without looking? */
static int
is_settled(const struct hr_watch *w)
{
    return w->lists[HR_NOW].count == 0 && w->lists[HR_SOON].count == 0 &&
           w->lists[HR_GONE].count == 0 && w->lists[HR_FRESH].count == 0 &&
           w->ready_count == 0 && w->recheck_head == NULL &&
           w->scan_head == NULL && w->rescan_ns == HR_NEVER;
}

int
hr_watch_idle(struct hr_watch *w)
{
    int idle;

    hr_lock(w);
    idle = is_settled(w) && (w->events == NULL || !w->events->pending(w));
    if (idle && hr_backend_poll.pending(w)) {
        /* No descriptor tells: only a scan that begins now does. */
        do {
            w->poll_due_ns = 0;
            hr_backend_poll.collect(w, hr_now());
        } while (w->poll_scanning);
        hr_files_look(w);
        idle = is_settled(w) && !w->poll_hurry;
    }
    hr_unlock(w);
    return idle;
}
