/* Folders, watched by path.
 *
 * inotify watches inodes; people think in paths.  A followed folder may be
 * renamed, deleted and cloned again, or be reached through a link that is
 * pointed elsewhere, and must then be found again by its path.  So every
 * component of a followed path is a node of a tree:
 *
 *     /  ──  home  ──  me  ──  project  ──  modules      (chat.py, ui.py)
 *                                  └──────  extensions   (does not exist)
 *
 *     modules      holds followed files: watched for everything
 *     project      has a missing child: watched for names that appear
 *     home, me     watched only for being moved or deleted themselves,
 *                  which costs nothing as long as it does not happen
 *
 * A node that is a symbolic link has two watches, on the link and on the
 * folder it leads to, and keeps the node of its target's path alive.
 *
 * hr_node_refresh() makes one node agree with the disk.  When it finds
 * another folder than before at the path (or none, or one again), it looks at
 * everything below and has all files in it looked at.  Whoever learns that
 * something may have happened to a folder only queues it for that; nothing
 * here trusts what an event says.
 *
 * Order matters everywhere: first watch, then look.
 */
#include "internal.h"

#define MAX_LINK_DEPTH 10

#include <stdio.h>
#include <string.h>
#include <unistd.h>

unsigned
hr_node_wants(const struct hr_node *node)
{
    unsigned want = 0;

    if (node->name_count > 0 || node->live != NULL) {
        want |= HR_WANT_CONTENT;
    }
    if (node->missing > 0) {
        want |= HR_WANT_CHILDREN;
    }
    if (node->parent != NULL) {
        want |= HR_WANT_SELF; /* nobody moves the root */
    }
    return want;
}

void
hr_node_queue_recheck(struct hr_watch *w, struct hr_node *node)
{
    if (!node->recheck) {
        node->recheck = 1;
        node->refs++;
        node->recheck_next = w->recheck_head;
        w->recheck_head = node;
    }
}

void
hr_node_queue_scan(struct hr_watch *w, struct hr_node *node)
{
    if (node->live != NULL && !node->scan) {
        node->scan = 1;
        node->refs++;
        node->scan_next = w->scan_head;
        w->scan_head = node;
    }
}

/* `path` is a symbolic link: watch it, and keep its target's node. */
static void
refresh_link(struct hr_watch *w, struct hr_node *node, const char *path)
{
    char text[PATH_MAX], full[PATH_MAX];
    struct hr_node *target = NULL;
    ssize_t length;
    char *joined;

    w->events->attach_link(w, node, path);
    length = readlink(path, text, sizeof(text) - 1);
    /* Links in a loop hold each other until one of them is changed; that is
     * wanted, the others have to be told.  What is made here may be a link
     * again: a loop through ever longer paths must end. */
    if (length > 0 && w->link_depth < MAX_LINK_DEPTH) {
        w->link_depth++;
        text[length] = '\0';
        joined = hr_malloc(strlen(path) + (size_t)length + 5);
        if (joined == NULL) {
            w->link_depth--;
            hr_rescan_later(w);
            return;
        }
        if (text[0] == '/') {
            strcpy(joined, text);
        }
        else {
            strcpy(joined, path);
            strcpy(strrchr(joined, '/') + 1, text);
        }
        if (hr_path_full(joined, full) == 0) {
            target = hr_node_get(w, full);
            if (target == NULL) {
                hr_rescan_later(w);
            }
        }
        free(joined);
        w->link_depth--;
    }
    if (target == node->target || target == node) {
        if (target != NULL) {
            hr_node_release(w, target);
        }
        return;
    }
    hr_node_unlink(w, node);
    if (target != NULL) {
        node->target = target; /* steals */
        node->linker_next = target->linkers;
        target->linkers = node;
    }
}

/* Another folder stands here than before, or none, or one again. */
static void
note_other(struct hr_watch *w, struct hr_node *node)
{
    int64_t now = hr_now();

    for (struct hr_name *name = node->names; name != NULL; name = name->next) {
        hr_file_note(w, name->file, HR_EVENT_DONE, now);
    }
    hr_node_queue_scan(w, node);
    for (struct hr_node *l = node->linkers; l != NULL; l = l->linker_next) {
        hr_node_queue_recheck(w, l);
    }
    for (struct hr_node *c = node->child; c != NULL; c = c->next) {
        hr_node_queue_recheck(w, c);
    }
}

static int
has_unwatched_parent(const struct hr_node *node)
{
    for (node = node->parent; node != NULL; node = node->parent) {
        if (node->unwatched) {
            return 1;
        }
    }
    return 0;
}

static void
decide_polling(struct hr_watch *w, struct hr_node *node, unsigned want)
{
    int poll = (want & HR_WANT_CONTENT) != 0 &&
               (w->events == NULL || node->unwatched || node->untrusted ||
                has_unwatched_parent(node));

    if (poll && !node->polled) {
        hr_poll_add(w, node);
    }
    else if (!poll && node->polled) {
        hr_poll_remove(w, node);
    }
}

static void
check_trust(struct hr_watch *w, struct hr_node *node, const char *path)
{
    unsigned bit = 0;
    const char *kind = hr_poll_untrusted(path, &bit);

    node->untrusted = kind != NULL;
    if (kind != NULL && (w->said & bit) == 0) {
        w->said |= bit;
        hr_say(w, HR_SAY_INFO,
               "%s is on a file system (%s) that does not tell of changes "
               "made elsewhere: its files are looked at every %d ms",
               path, kind, w->options.poll_ms);
    }
}

/* Does what a failed or successful lstat() said still hold? */
static int
is_same_place(const char *path, int failed, const struct stat *st)
{
    struct stat now;

    if (lstat(path, &now) < 0) {
        return failed;
    }
    return !failed && now.st_dev == st->st_dev && now.st_ino == st->st_ino &&
           S_ISLNK(now.st_mode) == S_ISLNK(st->st_mode);
}

/* Make the node agree with what is at its path now. */
void
hr_node_refresh(struct hr_watch *w, struct hr_node *node)
{
    char path[PATH_MAX];
    unsigned want = hr_node_wants(node);
    int existed = node->exists;
    enum hr_attach result;
    struct stat st;
    int failed;

    if (hr_node_path(node, NULL, path) < 0) {
        return; /* hr_path_full() had refused it */
    }
    if (w->events == NULL) {
        decide_polling(w, node, want);
        return;
    }
    failed = lstat(path, &st);
    if (!failed && S_ISLNK(st.st_mode)) {
        refresh_link(w, node, path);
    }
    else {
        w->events->detach_link(w, node);
        hr_node_unlink(w, node);
    }
    result = w->events->attach(w, node, path, want);
    if (result == HR_ATTACH_MISSING && existed && node->parent != NULL) {
        /* It may have come back before its parent was watched for names. */
        hr_node_set_exists(w, node, 0);
        hr_node_refresh(w, node->parent);
        result = w->events->attach(w, node, path, want);
    }
    if (!is_same_place(path, failed, &st)) {
        hr_node_queue_recheck(w, node); /* exchanged under our hands */
    }
    node->unwatched = result == HR_ATTACH_NOT;
    hr_node_set_exists(w, node, result != HR_ATTACH_MISSING);
    if ((want & HR_WANT_CONTENT) != 0 && node->exists) {
        check_trust(w, node, path);
    }
    decide_polling(w, node, want);
    if (result == HR_ATTACH_OTHER || existed != (int)node->exists) {
        note_other(w, node);
    }
}

void
hr_tree_recheck(struct hr_watch *w)
{
    while (w->recheck_head != NULL) {
        struct hr_node *node = w->recheck_head;
        w->recheck_head = node->recheck_next;
        node->recheck_next = NULL;
        node->recheck = 0;
        if (node->refs > 1) {
            hr_node_refresh(w, node);
        }
        hr_node_release(w, node);
    }
}

/* The next node of the tree, parents first. */
static struct hr_node *
walk(struct hr_node *node)
{
    if (node->child != NULL) {
        return node->child;
    }
    while (node != NULL && node->next == NULL) {
        node = node->parent;
    }
    return node == NULL ? NULL : node->next;
}

/* No watch descriptor is valid any more. */
void
hr_tree_forget(struct hr_watch *w)
{
    for (struct hr_node *node = w->root; node != NULL; node = walk(node)) {
        if (w->events != NULL) {
            w->events->detach(w, node);
            w->events->detach_link(w, node);
        }
        node->unwatched = 0;
    }
}

/* Events were lost: look at every folder and every file. */
void
hr_tree_rescan(struct hr_watch *w)
{
    int64_t now = hr_now();

    w->info.rescans++;
    w->rescan_ns = HR_NEVER;
    for (struct hr_node *node = w->root; node != NULL; node = walk(node)) {
        hr_node_queue_recheck(w, node);
        hr_node_queue_scan(w, node);
        for (struct hr_name *name = node->names; name != NULL;
             name = name->next) {
            hr_file_note(w, name->file, HR_EVENT_CHECK, now);
        }
    }
    w->hold = 1;
}
