/* Backend: inotify (Linux).
 *
 * One descriptor, one watch per folder.  A watch belongs to an inode, so two
 * paths to one folder (links, bind mounts) get the same number: struct hr_wd
 * holds all nodes that share it, and its mask is what they want together.
 *
 * Events only ever say *where to look*.  A number that is not in the table is
 * that of a watch which was removed with events still queued: the event is
 * dropped.  The kernel does not use a number again before 2^31 others.
 *
 * A folder that holds followed files is watched for everything that can end
 * a save (CLOSE_WRITE, MOVED_TO), begin one (CREATE, MODIFY, DELETE,
 * MOVED_FROM) or make a file readable (ATTRIB).  MODIFY is needed although it
 * is frequent: truncate(2), and writers that flush but do not close, send
 * nothing else.
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

#define MASK_SELF (IN_DELETE_SELF | IN_MOVE_SELF)
#define MASK_CHILDREN (IN_CREATE | IN_MOVED_TO)
#define MASK_CONTENT                                                          \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |   \
     IN_MODIFY | IN_ATTRIB)
#define MASK_LINK (IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB)

/* ---- system calls, which tests can make fail -------------------------- */

static int
add_watch(struct hr_watch *w, const char *path, uint32_t mask)
{
#ifdef HR_TESTING
    if (hr_hooks.watch_errno != 0) {
        if (hr_hooks.watch_after <= 0) {
            errno = hr_hooks.watch_errno;
            return -1;
        }
        hr_hooks.watch_after--;
    }
#endif
    return inotify_add_watch(w->inotify_fd, path, mask);
}

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

/* The value of a sysctl, or -1. */
static long
read_limit(const char *name)
{
    char path[100], text[40];
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/sys/fs/inotify/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0) {
        return -1;
    }
    text[length] = '\0';
    return atol(text);
}

/* ---- watch descriptors ------------------------------------------------ */

static uint32_t
wd_hash(int wd)
{
    uint32_t hash = (uint32_t)wd * 0x9e3779b1U;
    return hash ^ (hash >> 15);
}

static struct hr_wd *
find_wd(struct hr_watch *w, int wd)
{
    struct hr_item *item;
    size_t at = SIZE_MAX;

    while ((item = hr_table_next(&w->wds, wd_hash(wd), &at)) != NULL) {
        if (((struct hr_wd *)item)->wd == wd) {
            return (struct hr_wd *)item;
        }
    }
    return NULL;
}

static struct hr_wd *
find_or_make_wd(struct hr_watch *w, int wd)
{
    struct hr_wd *entry = find_wd(w, wd);

    if (entry != NULL) {
        return entry;
    }
    entry = hr_calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    entry->wd = wd;
    entry->item.hash = wd_hash(wd);
    if (hr_table_add(&w->wds, &entry->item) < 0) {
        free(entry);
        return NULL;
    }
    w->info.descriptors++;
    w->info.bytes += sizeof(*entry) + 16;
    return entry;
}

static void
free_wd(struct hr_watch *w, struct hr_wd *entry)
{
    hr_table_drop(&w->wds, &entry->item);
    w->info.descriptors--;
    w->info.bytes -= sizeof(*entry) + 16;
    free(entry);
}

static void
drop_wd_if_unused(struct hr_watch *w, struct hr_wd *entry)
{
    if (entry->nodes == NULL && entry->links == NULL) {
        if (w->inotify_fd >= 0) {
            (void)inotify_rm_watch(w->inotify_fd, entry->wd);
        }
        free_wd(w, entry);
    }
}

static void
inotify_detach(struct hr_watch *w, struct hr_node *node)
{
    struct hr_wd *entry = node->wd;
    struct hr_node **p;

    if (entry == NULL) {
        return;
    }
    for (p = &entry->nodes; *p != node; p = &(*p)->wd_next) {
    }
    *p = node->wd_next;
    node->wd_next = NULL;
    node->wd = NULL;
    drop_wd_if_unused(w, entry);
}

static void
inotify_detach_link(struct hr_watch *w, struct hr_node *node)
{
    struct hr_wd *entry = node->link_wd;
    struct hr_node **p;

    if (entry == NULL) {
        return;
    }
    for (p = &entry->links; *p != node; p = &(*p)->link_next) {
    }
    *p = node->link_next;
    node->link_next = NULL;
    node->link_wd = NULL;
    drop_wd_if_unused(w, entry);
}

static uint32_t
mask_of(unsigned want)
{
    return (want & HR_WANT_SELF ? MASK_SELF : 0U) |
           (want & HR_WANT_CHILDREN ? MASK_CHILDREN : 0U) |
           (want & HR_WANT_CONTENT ? MASK_CONTENT : 0U);
}

static uint32_t
mask_of_all(const struct hr_wd *entry)
{
    uint32_t mask = 0;

    for (struct hr_node *n = entry->nodes; n != NULL; n = n->wd_next) {
        mask |= mask_of(hr_node_wants(n));
    }
    return mask;
}

static void
say_limit(struct hr_watch *w, const char *path)
{
    long limit = read_limit("max_user_watches");

    if ((w->said & HR_SAID_WATCHES) != 0) {
        return;
    }
    w->said |= HR_SAID_WATCHES;
    hr_say(w, HR_SAY_WARNING,
           "no more folders can be watched (fs.inotify.max_user_watches is "
           "%ld): %s and others are looked at every %d ms instead; raise it "
           "with: sysctl fs.inotify.max_user_watches=%ld",
           limit, path, w->options.poll_ms,
           limit < 262144 ? 524288 : limit * 2);
}

static enum hr_attach
explain_failure(struct hr_watch *w, const char *path, unsigned want, int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return HR_ATTACH_MISSING;
    case ENOSPC:
    case ENOMEM:
        say_limit(w, path);
        return HR_ATTACH_NOT;
    default:
        if ((want & HR_WANT_CONTENT) == 0) {
            /* A folder above that may be entered but not read: that it is
             * moved will not be noticed.  Nothing to poll for that. */
            return HR_ATTACH_SAME;
        }
        if ((w->said & HR_SAID_DENIED) == 0) {
            const char *text = hr_errno_text(error);
            w->said |= HR_SAID_DENIED;
            hr_say(w, HR_SAY_WARNING,
                   "%s cannot be watched (%s): its files are looked at every "
                   "%d ms instead",
                   path, text == NULL ? "refused by the kernel" : text,
                   w->options.poll_ms);
        }
        return HR_ATTACH_NOT;
    }
}

static enum hr_attach
inotify_attach(struct hr_watch *w, struct hr_node *node, const char *path,
               unsigned want)
{
    struct hr_wd *old = node->wd, *entry;
    uint32_t mask = mask_of(want);
    int wd;

    if (mask == 0) {
        inotify_detach(w, node);
        return HR_ATTACH_SAME;
    }
    /* IN_MASK_ADD: the folder may be watched for another path already. */
    wd = add_watch(w, path, mask | IN_ONLYDIR | IN_MASK_ADD);
    if (wd < 0) {
        int error = errno;
        inotify_detach(w, node);
        return explain_failure(w, path, want, error);
    }
    entry = find_or_make_wd(w, wd);
    if (entry == NULL) {
        inotify_detach(w, node);
        (void)inotify_rm_watch(w->inotify_fd, wd);
        return explain_failure(w, path, want, ENOMEM);
    }
    if (entry != old) {
        inotify_detach(w, node);
        node->wd = entry;
        node->wd_next = entry->nodes;
        entry->nodes = node;
    }
    entry->mask |= mask;
    mask = mask_of_all(entry);
    if (entry->mask != mask) {
        /* Some of it is not wanted any more.  If the folder is exchanged
         * between the two calls, this watches the new one for nobody, and
         * the event of the old one brings us here again. */
        wd = add_watch(w, path, mask | IN_ONLYDIR);
        if (wd == entry->wd) {
            entry->mask = mask;
        }
        else if (wd >= 0 && find_wd(w, wd) == NULL) {
            (void)inotify_rm_watch(w->inotify_fd, wd);
        }
    }
    return entry == old ? HR_ATTACH_SAME : HR_ATTACH_OTHER;
}

static enum hr_attach
inotify_attach_link(struct hr_watch *w, struct hr_node *node, const char *path)
{
    int wd = add_watch(w, path, MASK_LINK | IN_DONT_FOLLOW | IN_MASK_ADD);
    struct hr_wd *entry;

    if (wd < 0) {
        int error = errno;
        inotify_detach_link(w, node);
        return explain_failure(w, path, 0, error);
    }
    if (node->link_wd != NULL && node->link_wd->wd == wd) {
        return HR_ATTACH_SAME;
    }
    inotify_detach_link(w, node);
    entry = find_or_make_wd(w, wd);
    if (entry == NULL) {
        (void)inotify_rm_watch(w->inotify_fd, wd);
        return HR_ATTACH_NOT;
    }
    node->link_wd = entry;
    node->link_next = entry->links;
    entry->links = node;
    return HR_ATTACH_OTHER;
}

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
    entry = find_wd(w, event->wd);
    if (entry == NULL) {
        return;
    }
    if (event->mask & IN_IGNORED) {
        /* The kernel has removed it: do not remove it again. */
        while (entry->nodes != NULL) {
            struct hr_node *node = entry->nodes;
            entry->nodes = node->wd_next;
            node->wd = NULL;
            node->wd_next = NULL;
            hr_node_queue_recheck(w, node);
        }
        while (entry->links != NULL) {
            struct hr_node *node = entry->links;
            entry->links = node->link_next;
            node->link_wd = NULL;
            node->link_next = NULL;
            hr_node_queue_recheck(w, node);
        }
        free_wd(w, entry);
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
                   read_limit("max_user_instances"), w->options.poll_ms);
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
    .attach = inotify_attach,
    .attach_link = inotify_attach_link,
    .detach = inotify_detach,
    .detach_link = inotify_detach_link,
    .collect = inotify_collect,
    .pending = inotify_pending,
    .due = inotify_due,
};

#endif /* __linux__ */
