/* The watches of the inotify backend, and running out of them.
 *
 * One watch per folder.  A watch belongs to an inode, so two paths to one
 * folder (links, bind mounts) get the same number: struct hr_wd holds all
 * nodes that share it, and its mask is what they want together.
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
#include <sys/inotify.h>
#include <unistd.h>

#define MASK_SELF (IN_DELETE_SELF | IN_MOVE_SELF)
#define MASK_CHILDREN (IN_CREATE | IN_MOVED_TO)
#define MASK_CONTENT                                                          \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |   \
     IN_MODIFY | IN_ATTRIB)
#define MASK_LINK (IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB)

/* ---- the table -------------------------------------------------------- */

static uint32_t
wd_hash(int wd)
{
    uint32_t hash = (uint32_t)wd * 0x9e3779b1U;
    return hash ^ (hash >> 15);
}

struct hr_wd *
hr_wd_find(struct hr_watch *w, int wd)
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
    struct hr_wd *entry = hr_wd_find(w, wd);

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

/* The kernel has removed the watch: whoever used it looks again. */
void
hr_wd_dissolve(struct hr_watch *w, struct hr_wd *entry)
{
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

void
hr_wd_detach(struct hr_watch *w, struct hr_node *node)
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

void
hr_wd_detach_link(struct hr_watch *w, struct hr_node *node)
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

/* ---- limits ----------------------------------------------------------- */

/* The value of a sysctl, or -1. */
long
hr_inotify_limit(const char *name)
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

static void
say_limit(struct hr_watch *w, const char *path)
{
    long limit = hr_inotify_limit("max_user_watches");

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

/* ---- watching --------------------------------------------------------- */

/* Tests can make it fail. */
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

/* The folder was exchanged between two calls: the second one has set the mask
 * of another folder, which may be watched for somebody else. */
static void
set_wrong_mask(struct hr_watch *w, int wd)
{
    struct hr_wd *entry = hr_wd_find(w, wd);

    if (entry == NULL) {
        (void)inotify_rm_watch(w->inotify_fd, wd);
        return;
    }
    entry->mask = 0;
    for (struct hr_node *n = entry->nodes; n != NULL; n = n->wd_next) {
        hr_node_queue_recheck(w, n);
    }
    hr_rescan_later(w);
}

enum hr_attach
hr_wd_attach(struct hr_watch *w, struct hr_node *node, const char *path,
             unsigned want)
{
    struct hr_wd *old = node->wd, *entry;
    uint32_t mask = mask_of(want);
    int wd;

    if (mask == 0) {
        hr_wd_detach(w, node);
        return HR_ATTACH_SAME;
    }
    /* IN_MASK_ADD: the folder may be watched for another path already. */
    wd = add_watch(w, path, mask | IN_ONLYDIR | IN_MASK_ADD);
    if (wd < 0) {
        int error = errno;
        hr_wd_detach(w, node);
        return explain_failure(w, path, want, error);
    }
    entry = find_or_make_wd(w, wd);
    if (entry == NULL) {
        hr_wd_detach(w, node);
        (void)inotify_rm_watch(w->inotify_fd, wd);
        return explain_failure(w, path, want, ENOMEM);
    }
    if (entry != old) {
        hr_wd_detach(w, node);
        node->wd = entry;
        node->wd_next = entry->nodes;
        entry->nodes = node;
    }
    entry->mask |= mask;
    mask = mask_of_all(entry);
    if (entry->mask != mask) {
        /* Some of it is not wanted any more. */
        wd = add_watch(w, path, mask | IN_ONLYDIR);
        if (wd == entry->wd) {
            entry->mask = mask;
        }
        else if (wd >= 0) {
            set_wrong_mask(w, wd);
        }
    }
    return entry == old ? HR_ATTACH_SAME : HR_ATTACH_OTHER;
}

enum hr_attach
hr_wd_attach_link(struct hr_watch *w, struct hr_node *node, const char *path)
{
    int wd = add_watch(w, path, MASK_LINK | IN_DONT_FOLLOW | IN_MASK_ADD);
    struct hr_wd *entry;

    if (wd < 0) {
        int error = errno;
        hr_wd_detach_link(w, node);
        return explain_failure(w, path, 0, error);
    }
    if (node->link_wd != NULL && node->link_wd->wd == wd) {
        return HR_ATTACH_SAME;
    }
    hr_wd_detach_link(w, node);
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

#endif /* __linux__ */
