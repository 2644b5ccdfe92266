/* Backend: inotify (Linux).
 *
 * One descriptor; the watches on folders are in descriptor.c.
 *
 * Events only ever say *where to look*.  A number that is not in the table is
 * that of a watch which was removed with events still queued: the event is
 * dropped.  The kernel does not use a number again before 2^31 others.
 */
#include "internal.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BUFFER_SIZE (32 * 1024)
#define READS_PER_ROUND 16

/* ---- events ----------------------------------------------------------- */

/* A name has appeared.  A file that was opened for writing sends more events
 * until its writer is done; a link, or a second name, is complete. */
static enum hr_event
classify_create(const struct hr_node *node, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    if (hr_node_path(node, name, path) == 0 && lstat(path, &st) == 0 &&
        (S_ISLNK(st.st_mode) || st.st_nlink > 1)) {
        return HR_EVENT_DONE;
    }
    return HR_EVENT_OPEN;
}

static enum hr_event
classify(const struct hr_node *node, const char *name, uint32_t mask)
{
    if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) {
        return HR_EVENT_DONE;
    }
    if (mask & IN_DELETE) {
        return HR_EVENT_GONE;
    }
    if (mask & IN_MOVED_FROM) {
        return HR_EVENT_AWAY;
    }
    if (mask & IN_CREATE) {
        return classify_create(node, name);
    }
    return mask & IN_MODIFY ? HR_EVENT_OPEN : HR_EVENT_ATTRIB;
}

/* One event for one name in one folder. */
static void
take_name(struct hr_watch *w, struct hr_node *node, const char *text,
          uint32_t mask, int64_t now)
{
    size_t length = strlen(text), at = SIZE_MAX;
    uint32_t hash = hr_name_hash(node, text, length);
    struct hr_node *child = hr_node_child(w, node, text, length);
    struct hr_name *name;
    int found = 0;

    if (child != NULL &&
        (mask & (IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM))) {
        hr_node_queue_recheck(w, child);
    }
    while ((name = hr_name_next(w, node, text, hash, &at)) != NULL) {
        hr_file_note(w, name->file, classify(node, text, mask), now);
        found = 1;
    }
    if (found) {
        return;
    }
    if (hr_folder_takes(node, text)) {
        struct hr_file *file;
        if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
            return; /* unknown to us before, and after */
        }
        file = hr_file_new(w, node, text);
        if (file == NULL) {
            hr_rescan_later(w);
            return;
        }
        file->live = 1;
        hr_file_note(w, file, classify(node, text, mask), now);
    }
    else if ((mask & IN_CREATE) != 0 && (mask & IN_ISDIR) == 0 &&
             node->name_count > 0 && !hr_watch_is_noise(text)) {
        w->hint_ns = w->stir_ns = now; /* perhaps the next file of several */
    }
}

static void
take_event(struct hr_watch *w, const struct inotify_event *event, int64_t now)
{
    struct hr_wd *entry;

    w->info.events++;
    if (event->mask & IN_Q_OVERFLOW) {
        w->info.overflows++;
        w->rescan_ns = 0;
        return;
    }
    entry = hr_wd_find(w, event->wd);
    if (entry == NULL) {
        return;
    }
    if (event->mask & IN_IGNORED) {
        hr_wd_dissolve(w, entry);
        return;
    }
    for (struct hr_node *n = entry->links; n != NULL; n = n->link_next) {
        hr_node_queue_recheck(w, n);
    }
    for (struct hr_node *n = entry->nodes; n != NULL; n = n->wd_next) {
        if (event->len == 0) {
            if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
                hr_node_queue_recheck(w, n);
            }
        }
        else {
            take_name(w, n, event->name, event->mask, now);
        }
    }
}

static void
inotify_collect(struct hr_watch *w, int64_t now)
{
    for (int round = 0; round < READS_PER_ROUND; round++) {
        ssize_t got = read(w->inotify_fd, w->buffer, BUFFER_SIZE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return;
        }
        for (char *p = w->buffer; p < w->buffer + got;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(void *)p;
            take_event(w, event, now);
            p += sizeof(*event) + event->len;
        }
        if (got < BUFFER_SIZE / 2) {
            return; /* that was all; the next round asks again */
        }
    }
}

static int
inotify_pending(struct hr_watch *w)
{
    int bytes = 0;
    return ioctl(w->inotify_fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

static int64_t
inotify_due(const struct hr_watch *w)
{
    (void)w;
    return HR_NEVER;
}

/* ---- open and close --------------------------------------------------- */

static int
init_inotify(void)
{
#ifdef HR_TESTING
    if (hr_hooks.init_errno != 0) {
        errno = hr_hooks.init_errno;
        return -1;
    }
#endif
    return inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

static int
inotify_open(struct hr_watch *w)
{
    int error;

    w->buffer = hr_malloc(BUFFER_SIZE);
    if (w->buffer == NULL) {
        errno = ENOMEM;
        return -1;
    }
    w->inotify_fd = init_inotify();
    if (w->inotify_fd >= 0) {
        w->info.bytes += BUFFER_SIZE;
        return 0;
    }
    error = errno;
    free(w->buffer);
    w->buffer = NULL;
    if ((w->said & HR_SAID_INSTANCES) == 0) {
        w->said |= HR_SAID_INSTANCES;
        if (error == EMFILE) {
            hr_say(w, HR_SAY_WARNING,
                   "no more watchers can be made (fs.inotify."
                   "max_user_instances is %ld, or this process has too many "
                   "open files): all files are looked at every %d ms instead; "
                   "raise it with: sysctl fs.inotify.max_user_instances=1024",
                   hr_inotify_limit("max_user_instances"), w->options.poll_ms);
        }
        else {
            const char *text = hr_errno_text(error);
            hr_say(w, HR_SAY_WARNING,
                   "the kernel refuses to watch files (%s, error number %d): "
                   "all files are looked at every %d ms instead",
                   text == NULL ? "inotify" : text, error, w->options.poll_ms);
        }
    }
    errno = error;
    return -1;
}

static void
inotify_close(struct hr_watch *w)
{
    if (w->inotify_fd >= 0) {
        close(w->inotify_fd);
        w->info.bytes -= BUFFER_SIZE;
    }
    w->inotify_fd = -1;
    hr_tree_forget(w); /* without removing each from the kernel */
    free(w->buffer);
    w->buffer = NULL;
}

const struct hr_backend hr_backend_inotify = {
    .name = "inotify",
    .open = inotify_open,
    .close = inotify_close,
    .attach = hr_wd_attach,
    .attach_link = hr_wd_attach_link,
    .detach = hr_wd_detach,
    .detach_link = hr_wd_detach_link,
    .collect = inotify_collect,
    .pending = inotify_pending,
    .due = inotify_due,
};

#endif /* __linux__ */
