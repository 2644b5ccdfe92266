/* The nodes of the tree (tree.c): made, found, let go of. */
#include "internal.h"

#include <errno.h>
#include <string.h>

struct hr_node *
hr_node_child(struct hr_watch *w, const struct hr_node *parent,
              const char *name, size_t length)
{
    uint32_t hash = hr_name_hash(parent, name, length);
    size_t at = SIZE_MAX;
    struct hr_item *item;

    while ((item = hr_table_next(&w->nodes, hash, &at)) != NULL) {
        struct hr_node *node = (struct hr_node *)item;
        if (node->parent == parent && strlen(node->name) == length &&
            memcmp(node->name, name, length) == 0) {
            return node;
        }
    }
    return NULL;
}

static struct hr_node *
make_node(struct hr_watch *w, struct hr_node *parent, const char *name,
          size_t length)
{
    struct hr_node *node = hr_calloc(1, sizeof(*node) + length + 1);

    if (node == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(node->name, name, length);
    node->refs = 1;
    node->parent = parent;
    node->item.hash = hr_name_hash(parent, name, length);
    if (hr_table_add(&w->nodes, &node->item) < 0) {
        free(node);
        return NULL;
    }
    node->exists = 1; /* until refreshing says otherwise */
    if (parent != NULL) {
        parent->refs++;
        node->next = parent->child;
        if (parent->child != NULL) {
            parent->child->prev = node;
        }
        parent->child = node;
    }
    w->info.bytes += sizeof(*node) + length + 17;
    return node;
}

void
hr_node_unlink(struct hr_watch *w, struct hr_node *node)
{
    struct hr_node *target = node->target;

    if (target == NULL) {
        return;
    }
    for (struct hr_node **p = &target->linkers; *p != NULL;
         p = &(*p)->linker_next) {
        if (*p == node) {
            *p = node->linker_next;
            break;
        }
    }
    node->target = NULL;
    node->linker_next = NULL;
    hr_node_release(w, target);
}

/* What a missing child changes for its parent. */
void
hr_node_set_exists(struct hr_watch *w, struct hr_node *node, int exists)
{
    struct hr_node *parent = node->parent;

    if ((int)node->exists == exists) {
        return;
    }
    node->exists = (unsigned)exists & 1;
    if (parent == NULL) {
        return;
    }
    if (!exists) {
        parent->missing++;
    }
    else {
        parent->missing--;
    }
    if (parent->missing == (exists ? 0 : 1)) {
        hr_node_queue_recheck(w, parent); /* another mask */
    }
}

void
hr_node_release(struct hr_watch *w, struct hr_node *node)
{
    while (node != NULL && --node->refs == 0) {
        struct hr_node *parent = node->parent;
        /* Its own changes must not queue it again. */
        hr_node_set_exists(w, node, 1);
        node->refs = 1U << 30;
        hr_node_unlink(w, node);
        hr_poll_remove(w, node);
        if (w->events != NULL) {
            w->events->detach(w, node);
            w->events->detach_link(w, node);
        }
        if (parent != NULL) {
            if (node->prev != NULL) {
                node->prev->next = node->next;
            }
            else {
                parent->child = node->next;
            }
            if (node->next != NULL) {
                node->next->prev = node->prev;
            }
        }
        else if (w->root == node) {
            w->root = NULL;
        }
        hr_table_drop(&w->nodes, &node->item);
        w->info.bytes -= sizeof(*node) + strlen(node->name) + 17;
        free(node);
        node = parent;
    }
}

/* The node of an absolute path as hr_path_full() makes it; a new reference.
 * NULL with errno without memory. */
struct hr_node *
hr_node_get(struct hr_watch *w, const char *path)
{
    struct hr_node *node = w->root;
    const char *p = path;

    if (node == NULL) {
        node = w->root = make_node(w, NULL, "", 0);
        if (node == NULL) {
            return NULL;
        }
        hr_node_refresh(w, node);
    }
    else {
        node->refs++;
    }
    while (*p != '\0') {
        struct hr_node *child;
        size_t length;
        while (*p == '/') {
            p++;
        }
        length = strcspn(p, "/");
        if (length == 0) {
            break;
        }
        child = hr_node_child(w, node, p, length);
        if (child != NULL) {
            child->refs++;
        }
        else {
            child = make_node(w, node, p, length);
            if (child == NULL) {
                hr_node_release(w, node);
                errno = ENOMEM;
                return NULL;
            }
            hr_node_refresh(w, child);
        }
        hr_node_release(w, node); /* the child holds it now */
        node = child;
        p += length;
    }
    return node;
}

/* The same without making one; borrowed. */
struct hr_node *
hr_node_find(struct hr_watch *w, const char *path)
{
    struct hr_node *node = w->root;
    const char *p = path;

    while (node != NULL && *p != '\0') {
        size_t length;
        while (*p == '/') {
            p++;
        }
        length = strcspn(p, "/");
        if (length != 0) {
            node = hr_node_child(w, node, p, length);
        }
        p += length;
    }
    return node;
}
