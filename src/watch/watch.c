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

static void
free_live(struct hr_live *live)
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
            free_live(node->live);
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

/* ---- adding and removing ---------------------------------------------- */

/* Before the lock is released by a function that changed something. */
static void
finish(struct hr_watch *w)
{
    int error = errno;

    hr_tree_recheck(w);
    if (w->lists[HR_NOW].count > 0 || w->lists[HR_FRESH].count > 0 ||
        w->lists[HR_SOON].count > 0 || w->lists[HR_GONE].count > 0 ||
        w->scan_head != NULL || w->poll_head != NULL ||
        w->rescan_ns != HR_NEVER) {
        hr_kick(w);
    }
    hr_unlock(w);
    errno = error;
}

/* Find or make the file of this path; w->lock is held. */
static struct hr_file *
get_file(struct hr_watch *w, const char *folder, const char *name, int *made)
{
    struct hr_node *node = hr_node_get(w, folder);
    struct hr_file *file;

    *made = 0;
    if (node == NULL) {
        return NULL;
    }
    file = hr_file_find(w, node, name);
    if (file == NULL) {
        file = hr_file_new(w, node, name);
        *made = file != NULL;
    }
    hr_node_release(w, node);
    return file;
}

/* file->given is only kept where it is not what hr_node_path() says. */
static int
set_given(struct hr_watch *w, struct hr_file *file, const char *path)
{
    char plain[PATH_MAX];
    char *given = NULL;

    if (hr_node_path(file->own.node, file->name, plain) < 0 ||
        strcmp(plain, path) != 0) {
        given = hr_strdup(path);
        if (given == NULL) {
            errno = ENOMEM;
            return -1;
        }
        w->info.bytes += strlen(given) + 17;
    }
    if (file->given != NULL) {
        w->info.bytes -= strlen(file->given) + 17;
    }
    free(file->given);
    file->given = given;
    return 0;
}

int
hr_watch_add_file(struct hr_watch *w, const char *path, const char *text,
                  size_t size)
{
    char folder[PATH_MAX], name[256];
    uint64_t hash = text == NULL ? 0 : hr_watch_hash(text, size);
    struct hr_file *file;
    int made, result;

    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (hr_path_split(path, folder, name) < 0) {
        return -1;
    }
    hr_lock(w);
    file = get_file(w, folder, name, &made);
    if (file == NULL) {
        finish(w);
        return -1;
    }
    result = set_given(w, file, path);
    if (result == 0) {
        file->followed = 1;
        file->pins++;
        /* Also for a known text: it may be a link, to be watched now. */
        result = text == NULL ? hr_file_adopt(w, file)
                              : hr_file_know(w, file, hash);
        if (file->dead) {
            made = 0; /* removed meanwhile, by another thread */
        }
        else if (result < 0 && made) {
            hr_file_remove(w, file);
            made = 0;
        }
        hr_file_unpin(w, file);
    }
    else if (made) {
        hr_file_remove(w, file);
    }
    finish(w);
    return result;
}

int
hr_watch_remove_file(struct hr_watch *w, const char *path)
{
    char folder[PATH_MAX], name[256];
    struct hr_node *node;
    struct hr_file *file = NULL;

    if (hr_path_split(path, folder, name) < 0) {
        return -1;
    }
    hr_lock(w);
    node = hr_node_find(w, folder);
    if (node != NULL) {
        file = hr_file_find(w, node, name);
    }
    if (file == NULL || !file->followed) {
        hr_unlock(w);
        errno = ENOENT;
        return -1;
    }
    file->followed = 0;
    if (!file->live) {
        hr_file_remove(w, file);
    }
    else {
        if (file->given != NULL) {
            w->info.bytes -= strlen(file->given) + 17;
        }
        free(file->given);
        file->given = NULL;
    }
    finish(w);
    return 0;
}

static struct hr_live *
make_live(const char *path, const char *const *skip)
{
    struct hr_live *live = hr_calloc(1, sizeof(*live));
    size_t count = 0, length = strlen(path);

    if (live == NULL) {
        return NULL;
    }
    live->given = hr_strdup(path);
    while (skip != NULL && skip[count] != NULL) {
        count++;
    }
    live->skip = hr_calloc(count + 1, sizeof(*live->skip));
    if (live->given == NULL || live->skip == NULL) {
        free_live(live);
        return NULL;
    }
    /* folder as given + "/" + name: not two of them */
    while (length > 0 && live->given[length - 1] == '/') {
        live->given[--length] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        live->skip[i] = hr_strdup(skip[i]);
        if (live->skip[i] == NULL) {
            free_live(live);
            return NULL;
        }
    }
    return live;
}

/* Stop the live files of a folder; those that were also added alone stay. */
static void
drop_live_files(struct hr_watch *w, struct hr_node *node, int all)
{
    struct hr_name *name = node->names, *next;

    for (; name != NULL; name = next) {
        struct hr_file *file = name->file;
        next = name->next;
        if (name != &file->own || !file->live ||
            (!all && hr_folder_takes(node, file->name))) {
            continue;
        }
        file->live = 0;
        if (!file->followed) {
            /* The next name may be a link of this very file. */
            hr_link_drop(w, file);
            next = name->next;
            hr_file_remove(w, file);
        }
    }
}

static void
remove_live(struct hr_watch *w, struct hr_node *node)
{
    struct hr_live *live = node->live;

    node->refs++;
    drop_live_files(w, node, 1);
    node->live = NULL;
    free_live(live);
    if (node->name_count == 0) {
        w->info.folders--;
    }
    if (node->refs > 2) {
        hr_node_refresh(w, node);
    }
    hr_node_release(w, node);
    hr_node_release(w, node); /* what `live` held */
}

int
hr_watch_add_folder(struct hr_watch *w, const char *path,
                    const char *const *skip, int report_now)
{
    char full[PATH_MAX];
    struct hr_live *live;
    struct hr_node *node;
    int result, made;

    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (hr_path_full(path, full) < 0) {
        return -1;
    }
    live = make_live(path, skip);
    if (live == NULL) {
        errno = ENOMEM;
        return -1;
    }
    hr_lock(w);
    node = hr_node_get(w, full);
    if (node == NULL) {
        free_live(live);
        finish(w);
        return -1;
    }
    made = node->live == NULL;
    if (made) {
        node->refs++; /* for `live` */
        if (node->name_count == 0) {
            w->info.folders++;
        }
    }
    free_live(node->live);
    node->live = live;
    if (made) {
        hr_node_refresh(w, node);
    }
    else {
        drop_live_files(w, node, 0); /* other names to skip now */
    }
    result = hr_folder_adopt(w, node, report_now);
    if (result < 0 && made && node->live != NULL) {
        int error = errno;
        remove_live(w, node);
        errno = error;
    }
    hr_node_release(w, node);
    finish(w);
    return result;
}

int
hr_watch_remove_folder(struct hr_watch *w, const char *path)
{
    char full[PATH_MAX];
    struct hr_node *node;

    if (hr_path_full(path, full) < 0) {
        return -1;
    }
    hr_lock(w);
    node = hr_node_find(w, full);
    if (node == NULL || node->live == NULL) {
        hr_unlock(w);
        errno = ENOENT;
        return -1;
    }
    remove_live(w, node);
    finish(w);
    return 0;
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
