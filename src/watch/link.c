/* Followed files that are symbolic links.
 *
 *     project/chat.py ──► ../shared/chat.py ──► /srv/v2/chat.py
 *
 * A save may come to any name on this way: the link is pointed elsewhere, a
 * link in the middle is, or the file at its end is written.  So each name
 * behind the first becomes a struct hr_link, which is looked up by events like
 * the file's own name and leads to the file.  They are made anew at every
 * look at the file; a watch that both the old and the new ones need is kept,
 * because the new ones are made first.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel */

static void
free_links(struct hr_watch *w, struct hr_link *link)
{
    while (link != NULL) {
        struct hr_link *next = link->next;
        hr_name_detach(w, &link->own);
        w->info.bytes -= sizeof(*link) + strlen(link->name) + 17;
        free(link);
        link = next;
    }
}

void
hr_link_drop(struct hr_watch *w, struct hr_file *file)
{
    struct hr_link *links = file->links;

    file->links = NULL;
    free_links(w, links);
}

/* Where the link at `path` leads, absolute.  1, 0 (not a link) or -1. */
static int
read_target(const char *path, char *target)
{
    char text[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t length = readlink(path, text, sizeof(text) - 1);
    size_t folder;

    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    if (text[0] == '/') {
        strcpy(joined, text);
    }
    else {
        folder = (size_t)(strrchr(path, '/') - path) + 1;
        memcpy(joined, path, folder);
        strcpy(joined + folder, text);
    }
    return hr_path_full(joined, target) < 0 ? -1 : 1;
}

static struct hr_link *
make_link(struct hr_watch *w, struct hr_file *file, const char *path)
{
    char folder[PATH_MAX], name[256];
    struct hr_link *link;
    struct hr_node *node;
    int result;

    if (hr_path_split(path, folder, name) < 0) {
        return NULL;
    }
    link = hr_calloc(1, sizeof(*link) + strlen(name) + 1);
    if (link == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    strcpy(link->name, name);
    link->own.file = file;
    node = hr_node_get(w, folder);
    if (node == NULL) {
        free(link);
        return NULL;
    }
    result = hr_name_attach(w, &link->own, node, link->name);
    hr_node_release(w, node);
    if (result < 0) {
        free(link);
        return NULL;
    }
    w->info.bytes += sizeof(*link) + strlen(name) + 17;
    return link;
}

/* Watch every name that the link at the file's path goes through.  -1
 * without memory. */
int
hr_link_follow(struct hr_watch *w, struct hr_file *file)
{
    char path[PATH_MAX];
    struct hr_link *made = NULL;
    int left = MAX_LINKS;

    if (hr_node_path(file->own.node, file->name, path) < 0) {
        return 0;
    }
    while (left-- > 0) {
        char target[PATH_MAX];
        struct hr_link *link;
        if (read_target(path, target) <= 0) {
            break;
        }
        link = make_link(w, file, target);
        if (link == NULL) {
            if (errno == ENOMEM) {
                free_links(w, made);
                return -1;
            }
            break; /* "/", "x/..": no file can be there */
        }
        link->next = made;
        made = link;
        strcpy(path, target);
    }
    hr_link_drop(w, file);
    file->links = made;
    return 0;
}

/* For hr_watch_free(): after this every name is that of a file. */
void
hr_links_drop_all(struct hr_watch *w)
{
    for (size_t i = 0; i < w->names.size; i++) {
        struct hr_name *name = (struct hr_name *)w->names.slots[i];
        if (name != NULL && name->file->links != NULL) {
            hr_link_drop(w, name->file);
            i = SIZE_MAX; /* the table has moved: again */
        }
    }
}
