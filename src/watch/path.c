/* Paths, and the names in folders that events are looked up by.
 *
 * A file is a node (its folder, see tree.c) and a name.  The table of names
 * finds it by both; a symbolic link is found by further names, which lie in
 * other folders (link.c).
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- paths ------------------------------------------------------------ */

/* Absolute, without "//", "/./" and a "/" at the end.  ".." stays: what it
 * means depends on links. */
int
hr_path_full(const char *given, char *folder)
{
    size_t length = 0;
    const char *p = given;

    if (*given == '\0') {
        errno = ENOENT;
        return -1;
    }
    if (*given != '/') {
        if (getcwd(folder, PATH_MAX) == NULL) {
            return -1;
        }
        length = strlen(folder);
        if (length == 1) {
            length = 0;
        }
    }
    while (*p != '\0') {
        size_t part;
        while (*p == '/') {
            p++;
        }
        part = strcspn(p, "/");
        if (part == 0 || (part == 1 && p[0] == '.')) {
            p += part;
            continue;
        }
        if (part > 255 || length + 1 + part >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        folder[length++] = '/';
        memcpy(folder + length, p, part);
        length += part;
        p += part;
    }
    if (length == 0) {
        folder[length++] = '/';
    }
    folder[length] = '\0';
    return 0;
}

/* The folder (absolute) and the name of a file. */
int
hr_path_split(const char *given, char *folder, char *name)
{
    char *slash;
    size_t length = strlen(given);

    if (length > 0 && given[length - 1] == '/') {
        errno = EISDIR;
        return -1;
    }
    if (hr_path_full(given, folder) < 0) {
        return -1;
    }
    slash = strrchr(folder, '/');
    if (slash[1] == '\0' || strcmp(slash, "/..") == 0) {
        errno = EISDIR;
        return -1;
    }
    strcpy(name, slash + 1);
    slash[slash == folder] = '\0';
    return 0;
}

int
hr_node_path(const struct hr_node *node, const char *name, char *path)
{
    size_t at = PATH_MAX - 1;

    path[at] = '\0';
    for (; name != NULL || node->parent != NULL; name = NULL) {
        const char *part = name;
        size_t length;
        if (part == NULL) {
            part = node->name;
            node = node->parent;
        }
        length = strlen(part);
        if (length + 1 > at) {
            errno = ENAMETOOLONG;
            return -1;
        }
        at -= length;
        memcpy(path + at, part, length);
        path[--at] = '/';
    }
    if (path[at] == '\0') {
        path[--at] = '/'; /* the root itself */
    }
    memmove(path, path + at, PATH_MAX - at);
    return 0;
}

/* ---- names ------------------------------------------------------------ */

uint32_t
hr_name_hash(const struct hr_node *node, const char *text, size_t length)
{
    uint64_t hash = hr_watch_hash(text, length);
    hash ^= (uint64_t)(uintptr_t)node >> 4;
    hash *= 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(hash >> 32);
}

/* All names of this text in this folder, in turn. */
struct hr_name *
hr_name_next(struct hr_watch *w, const struct hr_node *node, const char *text,
             uint32_t hash, size_t *at)
{
    struct hr_item *item;

    while ((item = hr_table_next(&w->names, hash, at)) != NULL) {
        struct hr_name *name = (struct hr_name *)item;
        if (name->node == node && strcmp(name->text, text) == 0) {
            return name;
        }
    }
    return NULL;
}

/* `text` must live as long as the name. */
int
hr_name_attach(struct hr_watch *w, struct hr_name *name, struct hr_node *node,
               const char *text)
{
    name->item.hash = hr_name_hash(node, text, strlen(text));
    if (hr_table_add(&w->names, &name->item) < 0) {
        return -1;
    }
    name->node = node;
    name->text = text;
    name->prev = NULL;
    name->next = node->names;
    if (node->names != NULL) {
        node->names->prev = name;
    }
    node->names = name;
    node->refs++;
    if (node->name_count++ == 0 && node->live == NULL) {
        w->info.folders++;
        hr_node_refresh(w, node);
    }
    return 0;
}

void
hr_name_detach(struct hr_watch *w, struct hr_name *name)
{
    struct hr_node *node = name->node;

    hr_table_drop(&w->names, &name->item);
    if (name->prev != NULL) {
        name->prev->next = name->next;
    }
    else {
        node->names = name->next;
    }
    if (name->next != NULL) {
        name->next->prev = name->prev;
    }
    name->node = NULL;
    if (--node->name_count == 0 && node->live == NULL) {
        w->info.folders--;
        if (node->refs > 1) {
            hr_node_refresh(w, node);
        }
    }
    hr_node_release(w, node);
}
