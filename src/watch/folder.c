/* Live folders: every "*.py" directly in them, whoever puts it there.
 *
 * Which names count is decided in one place, hr_folder_takes(): not the ones
 * that editors leave for a moment, not hidden ones, not those that the caller
 * skips.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static int
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int
ends(const char *text, size_t length, const char *with)
{
    size_t n = strlen(with);
    return length >= n && memcmp(text + length - n, with, n) == 0;
}

int
hr_watch_is_noise(const char *name)
{
    static const char *const names[] = {
        "4913",  "__pycache__", ".git",        ".hg",          ".svn",
        ".bzr",  ".jj",         "_darcs",      "CVS",          "venv",
        ".venv", "virtualenv",  ".virtualenv", "node_modules",
    };
    size_t length = strlen(name);
    const char *jb;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return 1;
        }
    }
    if (length == 0 || name[length - 1] == '~' || begins(name, ".#") ||
        ends(name, length, ".tmp")) {
        return 1;
    }
    if (length > 1 && name[0] == '#' && name[length - 1] == '#') {
        return 1; /* emacs */
    }
    if (name[0] == '.' && length >= 5 &&
        memcmp(name + length - 4, ".sw", 3) == 0) {
        return 1; /* vim */
    }
    jb = strstr(name, "___jb_");
    return jb != NULL && ends(jb + 6, strlen(jb + 6), "___");
}

int
hr_folder_takes(const struct hr_node *node, const char *name)
{
    size_t length;

    if (node->live == NULL) {
        return 0;
    }
    length = strlen(name);
    if (length <= 3 || !ends(name, length, ".py") || name[0] == '.' ||
        hr_watch_is_noise(name)) {
        return 0;
    }
    for (char **skip = node->live->skip; skip != NULL && *skip != NULL;
         skip++) {
        if (strcmp(*skip, name) == 0) {
            return 0;
        }
    }
    return 1;
}

/* All "*.py" in a folder, each with a NUL behind it, and an empty one at the
 * end; NULL with errno.  A folder that does not exist is empty. */
static char *
read_names(const char *path)
{
    size_t used = 0, room = 512;
    char *names = hr_malloc(room);
    struct dirent *entry;
    DIR *dir;

    if (names == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    dir = opendir(path);
    if (dir == NULL &&
        (errno == ENOMEM || errno == EMFILE || errno == ENFILE)) {
        int error = errno;
        free(names);
        errno = error;
        return NULL;
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (!ends(entry->d_name, length, ".py")) {
            continue;
        }
        if (used + length + 2 > room) {
            char *more = hr_realloc(names, room * 2);
            if (more == NULL) {
                free(names);
                closedir(dir);
                errno = ENOMEM;
                return NULL;
            }
            names = more;
            room *= 2;
        }
        memcpy(names + used, entry->d_name, length + 1);
        used += length + 1;
    }
    names[used] = '\0';
    if (dir != NULL) {
        closedir(dir);
    }
    return names;
}

/* The names in the folder now; gives the lock up.  NULL with errno. */
static char *
list_folder(struct hr_watch *w, struct hr_node *node)
{
    char path[PATH_MAX];
    char *names;

    if (hr_node_path(node, NULL, path) < 0) {
        return NULL;
    }
    hr_unlock(w);
    names = read_names(path);
    hr_lock(w);
    return names;
}

/* What is in the folder becomes known, or (report_now) is reported.  The
 * caller holds the node. */
int
hr_folder_adopt(struct hr_watch *w, struct hr_node *node, int report_now)
{
    char *names = list_folder(w, node);
    int result = 0;

    if (names == NULL) {
        return -1;
    }
    for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
        struct hr_file *file;
        if (!hr_folder_takes(node, name)) {
            continue;
        }
        file = hr_file_find(w, node, name);
        if (file == NULL) {
            file = hr_file_new(w, node, name);
            if (file == NULL) {
                result = -1;
                break;
            }
        }
        else if (file->live) {
            continue; /* an event was faster */
        }
        file->live = 1;
        if (report_now) {
            file->as_is = 1;
            hr_file_note(w, file, HR_EVENT_DONE, hr_now());
        }
        else if (file->known == HR_KNOWN_NOTHING &&
                 hr_file_adopt(w, file) < 0) {
            result = -1;
            break;
        }
    }
    free(names);
    return result;
}

/* Find files that no event told of; -1: try again later. */
int
hr_folder_scan(struct hr_watch *w, struct hr_node *node)
{
    char *names = list_folder(w, node);
    int64_t now = hr_now();
    int result = 0;

    if (names == NULL) {
        return -1;
    }
    for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
        struct hr_file *file;
        if (!hr_folder_takes(node, name)) {
            continue;
        }
        file = hr_file_find(w, node, name);
        if (file == NULL) {
            file = hr_file_new(w, node, name);
            if (file == NULL) {
                result = -1;
                break;
            }
            file->live = 1;
            hr_file_note(w, file, HR_EVENT_DONE, now);
        }
        file->live = 1;
    }
    free(names);
    return result;
}

void
hr_folders_scan(struct hr_watch *w)
{
    while (w->scan_head != NULL) {
        struct hr_node *node = w->scan_head;
        w->scan_head = node->scan_next;
        node->scan_next = NULL;
        node->scan = 0;
        if (hr_folder_scan(w, node) < 0) {
            hr_rescan_later(w);
        }
        hr_node_release(w, node);
    }
}
