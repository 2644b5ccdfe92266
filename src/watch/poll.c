/* Backend: looking at regular intervals.
 *
 * For folders on file systems that send no events for changes made elsewhere
 * (network, virtual machines' shared folders), for folders that the kernel
 * has no watch left for, and for systems without inotify.  Only those folders
 * are looked at, and only while there are any.
 *
 * A scan is one stat per file (and one listing per live folder).  A signature
 * that moved since the last look is given one more scan, shortly after, so
 * that its writer can end; then the file is read and decided by its content.
 * A signature that is too young proves nothing and the file is read again
 * until it is old enough.  And because a file system may not keep all of what
 * a signature is made of (no ctime on FAT, cached attributes on NFS), every
 * scan also reads a few files whatever their signature says, in turn.
 *
 * A scan of many folders is done in slices, so that events of the other
 * backend are not kept waiting; no lock is held during a stat, which may
 * hang for as long as a server does.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#define SLICE_NS (2 * HR_MS)
#define HURRY_NS (20 * HR_MS)
#define READ_ANYWAY 8

/* ---- which file systems ----------------------------------------------- */

#ifdef __linux__
static const struct {
    unsigned long magic;
    const char *name;
} foreign[] = {
    {0x6969, "nfs"},        {0xff534d42, "cifs"},     {0xfe534d42, "smb"},
    {0x517b, "smb"},        {0x01021997, "9p"},       {0x65735546, "fuse"},
    {0x786f4256, "vboxsf"}, {0xbacbacbc, "vmhgfs"},   {0x7c7c6673, "prl_fs"},
    {0x73757245, "coda"},   {0x5346414f, "afs"},      {0x6b414653, "afs"},
    {0x00c36400, "ceph"},   {0x0bd00bd0, "lustre"},   {0x47504653, "gpfs"},
    {0x01161970, "gfs2"},   {0x7461636f, "ocfs2"},    {0x564c, "ncpfs"},
    {0x00c0ffee, "hostfs"}, {0x20030528, "orangefs"},
};
#endif

const char *
hr_poll_untrusted(const char *path, unsigned *bit)
{
#ifdef __linux__
    struct statfs fs;
    unsigned long magic;

    if (statfs(path, &fs) < 0) {
        return NULL;
    }
    magic = (unsigned long)fs.f_type & 0xffffffffUL;
#ifdef HR_TESTING
    if (hr_hooks.foreign_magic != 0) {
        magic = (unsigned long)hr_hooks.foreign_magic;
    }
#endif
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (foreign[i].magic == magic) {
            *bit = 1U << i;
            return foreign[i].name;
        }
    }
#else
    (void)path;
    (void)bit;
#endif
    return NULL;
}

/* ---- the list of folders ---------------------------------------------- */

void
hr_poll_add(struct hr_watch *w, struct hr_node *node)
{
    if (node->polled) {
        return;
    }
    if (w->poll_head == NULL) {
        w->poll_due_ns = hr_now() + w->options.poll_ms * HR_MS;
        w->poll_cursor = NULL;
        w->poll_scanning = 0;
    }
    node->polled = 1;
    node->poll_prev = NULL;
    node->poll_next = w->poll_head;
    if (w->poll_head != NULL) {
        w->poll_head->poll_prev = node;
    }
    w->poll_head = node;
    w->poll_nodes++;
}

void
hr_poll_remove(struct hr_watch *w, struct hr_node *node)
{
    if (!node->polled) {
        return;
    }
    node->polled = 0;
    if (w->poll_cursor == node) {
        w->poll_cursor = node->poll_next;
    }
    if (node->poll_prev != NULL) {
        node->poll_prev->poll_next = node->poll_next;
    }
    else {
        w->poll_head = node->poll_next;
    }
    if (node->poll_next != NULL) {
        node->poll_next->poll_prev = node->poll_prev;
    }
    node->poll_next = node->poll_prev = NULL;
    w->poll_nodes--;
}

/* ---- scanning --------------------------------------------------------- */

static uint64_t
stat_file(struct hr_watch *w, const char *path)
{
    struct stat st;
    int failed;
    uint64_t sign = 0;

    hr_unlock(w);
    failed = stat(path, &st) < 0;
    if (!failed) {
        sign = hr_content_sign(&st);
    }
    else if (errno != ENOENT && errno != ENOTDIR) {
        sign = 2; /* something is there; reading it will tell what */
    }
    hr_lock(w);
    return sign;
}

/* All files of a folder, pinned; the caller frees the array. */
static struct hr_file **
pin_files(struct hr_node *node, size_t *count)
{
    struct hr_file **files;

    *count = 0;
    files = hr_malloc((node->name_count + 1) * sizeof(*files));
    if (files == NULL) {
        return NULL;
    }
    for (struct hr_name *name = node->names; name != NULL; name = name->next) {
        files[(*count)++] = name->file;
        name->file->pins++;
    }
    return files;
}

static void
scan_node(struct hr_watch *w, struct hr_node *node)
{
    char path[PATH_MAX];
    struct hr_file **files;
    size_t count;

    if (node->live != NULL && hr_folder_scan(w, node) < 0) {
        hr_rescan_later(w);
    }
    files = pin_files(node, &count);
    if (files == NULL) {
        hr_rescan_later(w);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct hr_file *file = files[i];
        if (!file->dead &&
            hr_node_path(file->own.node, file->name, path) == 0) {
            uint64_t sign = stat_file(w, path);
            if (!file->dead) {
                if (w->poll_files - w->poll_turn < READ_ANYWAY &&
                    file->state == HR_QUIET) {
                    file->sign = 0; /* its turn to be read anyway */
                }
                hr_file_polled(w, file, sign, hr_now());
            }
        }
        hr_file_unpin(w, file);
        w->poll_files++;
    }
    free(files);
}

static void
begin_scan(struct hr_watch *w, int64_t now)
{
    w->poll_scanning = 1;
    w->poll_started_ns = now;
    w->poll_cursor = w->poll_head;
    w->poll_hurry = 0;
    w->poll_wake_count = atomic_load(&w->wake_count);
    w->poll_files = 0;
}

static void
end_scan(struct hr_watch *w)
{
    int64_t now = hr_now(), pause = w->options.poll_ms * HR_MS;
    int64_t took = now - w->poll_started_ns;

    w->poll_scanning = 0;
    w->poll_turn += READ_ANYWAY;
    if (w->poll_turn >= w->poll_files) {
        w->poll_turn = 0;
    }
    if (w->poll_hurry && pause > HURRY_NS) {
        pause = HURRY_NS;
    }
    /* A slow server is not kept busy by this alone. */
    w->poll_due_ns =
        w->poll_started_ns + (pause > 4 * took ? pause : 4 * took);
}

static void
poll_collect(struct hr_watch *w, int64_t now)
{
    int64_t end = now + SLICE_NS;

    if (!w->poll_scanning) {
        if (w->poll_head == NULL || now < w->poll_due_ns) {
            return;
        }
        begin_scan(w, now);
    }
    while (w->poll_cursor != NULL) {
        struct hr_node *node = w->poll_cursor;
        w->poll_cursor = node->poll_next;
        node->refs++;
        scan_node(w, node);
        hr_node_release(w, node);
        if (hr_now() > end) {
            return;
        }
    }
    end_scan(w);
}

static int
poll_pending(struct hr_watch *w)
{
    return w->poll_head != NULL &&
           (w->poll_scanning || w->poll_hurry ||
            w->poll_wake_count != atomic_load(&w->wake_count));
}

static int64_t
poll_due(const struct hr_watch *w)
{
    if (w->poll_head == NULL) {
        return HR_NEVER;
    }
    return w->poll_scanning ? 0 : w->poll_due_ns;
}

const struct hr_backend hr_backend_poll = {
    .name = "poll",
    .collect = poll_collect,
    .pending = poll_pending,
    .due = poll_due,
};
