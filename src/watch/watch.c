/* Watching files: what this part of the engine promises, and how.
 *
 * 1. Every save is found.  A folder is watched before what is in it is read;
 *    a lost queue, a replaced folder, a link that is pointed elsewhere are
 *    all answered by looking at the files again, never by guessing.
 * 2. Nothing but a save is found.  A file has changed when the hash of its
 *    content has: not when an event says so, not when its time stamp moved.
 * 3. Nothing half-written is handed over while there is hope: see file.c.
 * 4. A plain save is handed over at once.  There is no debounce.  A batch is
 *    gathered for gather_ms after the last sign of life only if more than
 *    one file seems to be involved; the signs are in wait.c, is_bustling().
 * 5. Nothing happens while nothing happens: no timer runs unless a file is
 *    half-written, missing, or in a folder that must be polled.
 * 6. Running out of watches, descriptors or memory makes it slower, and says
 *    so; it never fails and never loses a save.
 *
 *      inotify.c ─┐ where to look          ┌─► file.c ─► ready ─► wait.c
 *      poll.c    ─┴─► tree.c (folders) ────┘  (files)   (batch)   (caller)
 *
 * One thread waits; any thread adds and removes.  What is shared is guarded
 * by one lock, which is held neither while a file is read nor while a
 * callback runs: an adding thread that holds the GIL never waits for a disk
 * or for a thread that wants the GIL.
 */
#include "internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- lock, clock, sayings --------------------------------------------- */

int64_t
hr_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

void
hr_lock(struct hr_watch *w)
{
    pthread_mutex_lock(&w->lock);
}

void
hr_unlock(struct hr_watch *w)
{
    struct hr_saying sayings[HR_SAYINGS];
    int count = w->saying_count;

    if (count > 0) {
        memcpy(sayings, w->sayings, (size_t)count * sizeof(sayings[0]));
        w->saying_count = 0;
    }
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < count; i++) {
        w->options.say(w->options.say_arg, sayings[i].level,
                       sayings[i].sentence);
        free(sayings[i].sentence);
    }
}

void
hr_say(struct hr_watch *w, int level, const char *format, ...)
{
    va_list args;
    char *sentence;
    size_t room = PATH_MAX + 400;

    if (w->options.say == NULL || w->saying_count == HR_SAYINGS) {
        return;
    }
    sentence = hr_malloc(room);
    if (sentence == NULL) {
        return;
    }
    va_start(args, format);
    vsnprintf(sentence, room, format, args);
    va_end(args);
    w->sayings[w->saying_count].level = level;
    w->sayings[w->saying_count].sentence = sentence;
    w->saying_count++;
}

void
hr_rescan_later(struct hr_watch *w)
{
    int64_t then = hr_now() + w->options.half_ms * HR_MS;

    if (then < w->rescan_ns) {
        w->rescan_ns = then;
    }
}

/* ---- making and freeing ----------------------------------------------- */

static void
fill_options(struct hr_watch_options *o)
{
    o->poll_ms = o->poll_ms > 0 ? o->poll_ms : 200;
    o->gather_ms = o->gather_ms > 0 ? o->gather_ms : 3;
    o->half_ms = o->half_ms > 0 ? o->half_ms : 150;
    o->gone_ms = o->gone_ms > 0 ? o->gone_ms : 200;
    o->max_size = o->max_size > 0 ? o->max_size : (size_t)32 << 20;
}

/* Without inotify everything is polled: it only says why. */
void
hr_watch_open_events(struct hr_watch *w)
{
    w->events = NULL;
#ifdef __linux__
    if (!w->options.force_poll && hr_backend_inotify.open(w) == 0) {
        w->events = &hr_backend_inotify;
    }
#endif
}

struct hr_watch *
hr_watch_new(const struct hr_watch_options *options)
{
    struct hr_watch *w = hr_calloc(1, sizeof(*w));
    int error;

    if (w == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    if (options != NULL) {
        w->options = *options;
    }
    fill_options(&w->options);
    w->extra_fd = -1;
    w->inotify_fd = -1;
    w->rescan_ns = HR_NEVER;
    w->hint_ns = w->checkout_ns = w->handed_ns = INT64_MIN / 2;
    w->info.bytes = sizeof(*w);
    if (hr_wake_open(w) < 0) {
        free(w);
        return NULL;
    }
    error = pthread_mutex_init(&w->lock, NULL);
    if (error == 0) {
        error = hr_fork_register(w);
        if (error != 0) {
            pthread_mutex_destroy(&w->lock);
        }
    }
    if (error != 0) {
        hr_wake_close(w);
        free(w);
        errno = error;
        return NULL;
    }
    hr_lock(w);
    hr_watch_open_events(w);
    hr_unlock(w);
    return w;
}

void
hr_live_free(struct hr_live *live)
{
    if (live == NULL) {
        return;
    }
    for (char **skip = live->skip; skip != NULL && *skip != NULL; skip++) {
        free(*skip);
    }
    free(live->skip);
    free(live->given);
    free(live);
}

/* Everything at once, not reference by reference. */
static void
free_all(struct hr_watch *w)
{
    for (size_t i = 0; i < w->names.size; i++) {
        struct hr_name *name = (struct hr_name *)w->names.slots[i];
        if (name == NULL) {
            continue;
        }
        if (name == &name->file->own) {
            free(name->file->given);
            free(name->file);
        }
    }
    for (size_t i = 0; i < w->nodes.size; i++) {
        struct hr_node *node = (struct hr_node *)w->nodes.slots[i];
        if (node != NULL) {
            hr_live_free(node->live);
            free(node);
        }
    }
    hr_table_clear(&w->names);
    hr_table_clear(&w->nodes);
    hr_table_clear(&w->wds);
}

void
hr_watch_free(struct hr_watch *w)
{
    struct hr_batch ready;

    if (w == NULL) {
        return;
    }
    hr_fork_unregister(w);
    hr_links_drop_all(w);
    if (w->events != NULL) {
        w->events->close(w);
    }
    ready = (struct hr_batch){w->ready, w->ready_count, 0};
    hr_batch_clear(&ready);
    free(w->ready_files);
    free_all(w);
    for (int i = 0; i < w->saying_count; i++) {
        free(w->sayings[i].sentence);
    }
    hr_wake_close(w);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* ---- small things ----------------------------------------------------- */

void
hr_watch_set_extra(struct hr_watch *w, int fd)
{
    hr_lock(w);
    w->extra_fd = fd;
    hr_unlock(w);
    hr_kick(w);
}

void
hr_watch_get_info(struct hr_watch *w, struct hr_watch_info *info)
{
    hr_lock(w);
    *info = w->info;
    info->polled_folders = w->poll_nodes;
    info->bytes += (w->nodes.size + w->names.size + w->wds.size) *
                   sizeof(struct hr_item *);
    info->bytes +=
        w->ready_room * (sizeof(*w->ready) + sizeof(*w->ready_files));
    hr_unlock(w);
}

void
hr_batch_clear(struct hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        free(batch->changes[i].path);
        free(batch->changes[i].text);
        free(batch->changes[i].error);
    }
    free(batch->changes);
    batch->changes = NULL;
    batch->count = 0;
}
