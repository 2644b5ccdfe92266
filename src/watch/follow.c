/* Adding and removing files and folders; from any thread.
 *
 * Order: the folder is watched, then the file is read, then the lock is
 * released and the caller may save.  A save that falls between has sent an
 * event; the waiting thread does not look at a file that is being added
 * before its content is known (hr_file.adding).
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

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
        hr_live_free(live);
        return NULL;
    }
    /* folder as given + "/" + name: not two of them */
    while (length > 0 && live->given[length - 1] == '/') {
        live->given[--length] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        live->skip[i] = hr_strdup(skip[i]);
        if (live->skip[i] == NULL) {
            hr_live_free(live);
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
    hr_live_free(live);
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
        hr_live_free(live);
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
    hr_live_free(node->live);
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
