/* What the files of src/watch share; nobody else includes this.
 *
 * The subjects, from the bottom up (a file calls only those above it, and
 * the backends through their table):
 *
 *     hash.c     the content hash
 *     table.c    hash table of items that begin with their hash
 *     content.c  read a file safely
 *     tree.c     folders as a tree of path components, kept watched by path
 *     node.c     the nodes of that tree
 *     path.c     paths, and the names that events are looked up by
 *     file.c     followed files, and the states that a save takes them through
 *     look.c     reading a file, comparing, reporting
 *     link.c     the names that a symbolic link goes through
 *     folder.c   live folders: which names count, what is in them now
 *     descriptor.c  the watches of inotify
 *     inotify.c  backend: events of the kernel
 *     poll.c     backend: looking at regular intervals
 *     follow.c   adding and removing
 *     watch.c    making, freeing, saying; the essay on all of it
 *     wait.c     the wait loop, batches, waking it
 *     fork.c     what a child process needs
 *
 * The lock `hr_watch.lock` guards everything in a watch but the atomics.  It
 * is never held while a file is read or a callback runs, so taking it never
 * takes longer than a few system calls on folders.
 */
#ifndef HR_WATCH_INTERNAL_H
#define HR_WATCH_INTERNAL_H

#include "watch.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

#define HR_MS 1000000LL /* nanoseconds */
#define HR_NEVER INT64_MAX

/* A batch does not grow for longer than this, whatever goes on. */
#define HR_GATHER_MAX_NS (250 * HR_MS)
/* In a burst of files it is gathered for so many times gather_ms. */
#define HR_BURST 4
/* A writer that keeps a file open is not waited for longer than this. */
#define HR_WRITER_MAX_NS (2000 * HR_MS)
/* A time stamp younger than this proves nothing (coarse clocks: FAT 2 s). */
#define HR_RACY_NS (2500 * HR_MS)

struct hr_node;
struct hr_file;

/* ---- table.c ---------------------------------------------------------- */

struct hr_item {
    uint32_t hash;
};

struct hr_table {
    struct hr_item **slots;
    size_t size; /* power of two, or 0 */
    size_t count;
};

int hr_table_add(struct hr_table *t, struct hr_item *item);
void hr_table_drop(struct hr_table *t, struct hr_item *item);
/* All items of one hash, in turn: start with *at = SIZE_MAX. */
struct hr_item *hr_table_next(const struct hr_table *t, uint32_t hash,
                              size_t *at);
void hr_table_clear(struct hr_table *t);

/* ---- content.c -------------------------------------------------------- */

enum hr_content_status {
    HR_CONTENT_READ,
    HR_CONTENT_SAME, /* has the signature that was asked about: not read */
    HR_CONTENT_LINK, /* a symbolic link, and `follow` was 0 */
    HR_CONTENT_MISSING,
    HR_CONTENT_REFUSED, /* `reason` */
    HR_CONTENT_RETRY,   /* no memory or descriptors now: `error` */
};

enum hr_refusal {
    HR_REFUSED_NOT,
    HR_REFUSED_FOLDER,
    HR_REFUSED_FIFO,
    HR_REFUSED_SPECIAL,
    HR_REFUSED_LARGE,
    HR_REFUSED_PERMISSION,
    HR_REFUSED_LOOP,
    HR_REFUSED_OTHER,
};

struct hr_content {
    char *text; /* owned; NUL behind it */
    size_t size;
    uint64_t hash;
    uint64_t sign;    /* of the stat; 0 when it is too young to be trusted */
    uint64_t seen;    /* the same, trusted or not */
    int64_t saved_ns; /* st_mtime */
    int torn;         /* changed while it was read */
    enum hr_refusal reason;
    int error; /* errno for HR_REFUSED_OTHER and HR_CONTENT_RETRY */
};

enum hr_content_status hr_content_read(const char *path, int follow,
                                       size_t max_size, uint64_t known_sign,
                                       struct hr_content *content);
/* A sentence, malloc()ed; NULL without memory. */
char *hr_content_refusal(const struct hr_content *content, const char *path,
                         size_t max_size);
uint64_t hr_content_sign(const struct stat *st);
const char *hr_errno_text(int error);

/* ---- node.c and tree.c ------------------------------------------------ */

/* A name in a folder that events are looked up by. */
struct hr_name {
    struct hr_item item; /* in hr_watch.names */
    struct hr_node *node;
    struct hr_file *file;        /* what an event for this name is about */
    struct hr_name *next, *prev; /* of the folder */
    const char *text;
};

/* A watch descriptor.  Two paths may lead to one folder. */
struct hr_wd {
    struct hr_item item; /* in hr_watch.wds */
    int wd;
    uint32_t mask;
    struct hr_node *nodes; /* by wd_next: it is their folder */
    struct hr_node *links; /* by link_next: it is the link itself */
};

struct hr_live {
    char *given;
    char **skip; /* NULL-terminated, or NULL */
};

/* One path component: a folder, or where one should be. */
struct hr_node {
    struct hr_item item; /* in hr_watch.nodes */
    unsigned refs;       /* children, names, `live`, queues, links to it */
    unsigned name_count;
    unsigned missing; /* children that do not exist */
    struct hr_node *parent, *child, *next, *prev;
    struct hr_name *names;
    struct hr_live *live;
    struct hr_wd *wd, *link_wd;
    struct hr_node *wd_next, *link_next;
    struct hr_node *target; /* when this is a link to a folder */
    struct hr_node *linkers, *linker_next; /* links to this folder */
    struct hr_node *recheck_next, *scan_next, *poll_next, *poll_prev;
    unsigned exists : 1;
    unsigned untrusted : 1; /* remote file system: events are not enough */
    unsigned unwatched : 1; /* no watch descriptor could be had */
    unsigned polled : 1;
    unsigned recheck : 1; /* in the queue */
    unsigned scan : 1;    /* in the queue */
    char name[];
};

/* What a node has to be watched for. */
enum { HR_WANT_SELF = 1, HR_WANT_CHILDREN = 2, HR_WANT_CONTENT = 4 };

struct hr_node *hr_node_get(struct hr_watch *w, const char *path);
struct hr_node *hr_node_find(struct hr_watch *w, const char *path);
struct hr_node *hr_node_child(struct hr_watch *w, const struct hr_node *parent,
                              const char *name, size_t length);
void hr_node_release(struct hr_watch *w, struct hr_node *node);
/* What a missing child changes for its parent. */
void hr_node_set_exists(struct hr_watch *w, struct hr_node *node, int exists);
/* It is no link to that folder any more. */
void hr_node_unlink(struct hr_watch *w, struct hr_node *node);
unsigned hr_node_wants(const struct hr_node *node);
void hr_node_refresh(struct hr_watch *w, struct hr_node *node);
void hr_node_queue_recheck(struct hr_watch *w, struct hr_node *node);
void hr_node_queue_scan(struct hr_watch *w, struct hr_node *node);
void hr_tree_recheck(struct hr_watch *w);
void hr_tree_forget(struct hr_watch *w);
void hr_tree_rescan(struct hr_watch *w);

/* ---- path.c ----------------------------------------------------------- */

int hr_path_split(const char *given, char *folder, char *name);
int hr_path_full(const char *given, char *folder);
/* 0, or -1 with errno ENAMETOOLONG; `name` may be NULL. */
int hr_node_path(const struct hr_node *node, const char *name, char *path);
int hr_name_attach(struct hr_watch *w, struct hr_name *name,
                   struct hr_node *node, const char *text);
void hr_name_detach(struct hr_watch *w, struct hr_name *name);
struct hr_name *hr_name_next(struct hr_watch *w, const struct hr_node *node,
                             const char *text, uint32_t hash, size_t *at);
uint32_t hr_name_hash(const struct hr_node *node, const char *text,
                      size_t length);

/* ---- file.c ----------------------------------------------------------- */

/* Where a file is on its way from an event to a report; see file.c. */
enum hr_state {
    HR_QUIET, /* nothing is known to have happened */
    HR_NOW,   /* look at once */
    HR_SOON,  /* being written, or half-written: look at due_ns */
    HR_GONE,  /* missing: look at due_ns */
    HR_FRESH, /* compare with what is known when there is time */
    HR_STATES,
};

enum hr_known { HR_KNOWN_NOTHING, HR_KNOWN_CONTENT, HR_KNOWN_REFUSED };

struct hr_link {
    struct hr_name own;
    struct hr_link *next;
    char name[];
};

struct hr_file {
    struct hr_name own;
    struct hr_file *next, *prev; /* in the list of its state */
    struct hr_link *links;       /* where a symbolic link leads */
    char *given;   /* path to report; NULL: that of the folder and name */
    uint64_t hash; /* of the known content; the reason when refused */
    uint64_t sign; /* of the stat of the known content, 0 when unknown */
    uint64_t seen; /* of the last stat by polling */
    int64_t event_ns;
    int64_t due_ns;
    int64_t first_ns; /* when it left HR_QUIET */
    uint32_t ready;   /* index in hr_watch.ready + 1; 0: not there */
    uint16_t pins;
    uint8_t state;
    uint8_t known;
    uint8_t followed : 1; /* by hr_watch_add_file() */
    uint8_t live : 1;     /* in a live folder */
    uint8_t looked : 1;   /* was half-written at the last look */
    uint8_t doubt : 1;    /* no event said that the writer is done */
    uint8_t unlinked : 1; /* its name was taken away since the last report */
    uint8_t deleted : 1;  /* the same, by unlink() and not by rename() */
    uint8_t adding : 1;   /* hr_file_adopt() is reading it */
    uint8_t as_is : 1;    /* report the first look, whole or not */
    uint8_t dead : 1;     /* removed; whoever pinned it frees it */
    char name[];
};

struct hr_list {
    struct hr_file *head, *tail;
    size_t count;
};

enum hr_event {
    HR_EVENT_DONE,   /* a writer is done, or a new file stands there */
    HR_EVENT_OPEN,   /* a writer is at work */
    HR_EVENT_GONE,   /* the name was deleted (perhaps) */
    HR_EVENT_AWAY,   /* the name was moved away (perhaps) */
    HR_EVENT_ATTRIB, /* mode, owner or times */
    HR_EVENT_CHECK,  /* events may have been lost */
};

struct hr_file *hr_file_new(struct hr_watch *w, struct hr_node *node,
                            const char *name);
struct hr_file *hr_file_find(struct hr_watch *w, const struct hr_node *node,
                             const char *name);
void hr_file_remove(struct hr_watch *w, struct hr_file *file);
void hr_file_unpin(struct hr_watch *w, struct hr_file *file);
void hr_file_note(struct hr_watch *w, struct hr_file *file,
                  enum hr_event event, int64_t now);
void hr_file_polled(struct hr_watch *w, struct hr_file *file, uint64_t sign,
                    int64_t now);
int hr_file_given(const struct hr_file *file, char *path);
void hr_file_leave(struct hr_watch *w, struct hr_file *file);
void hr_file_enter(struct hr_watch *w, struct hr_file *file,
                   enum hr_state state, int64_t due);
void hr_file_settle(struct hr_watch *w, struct hr_file *file);

/* ---- look.c ----------------------------------------------------------- */

int hr_file_adopt(struct hr_watch *w, struct hr_file *file);
int hr_file_know(struct hr_watch *w, struct hr_file *file, uint64_t hash);
void hr_file_drop_ready(struct hr_watch *w, struct hr_file *file);
/* Look at what is due; 1 when there is more to do at once.  Gives the lock
 * up while it reads. */
int hr_files_look(struct hr_watch *w);

/* ---- link.c ----------------------------------------------------------- */

int hr_link_follow(struct hr_watch *w, struct hr_file *file);
void hr_link_drop(struct hr_watch *w, struct hr_file *file);
void hr_links_drop_all(struct hr_watch *w);

/* ---- folder.c --------------------------------------------------------- */

int hr_folder_takes(const struct hr_node *node, const char *name);
/* Both give the lock up while they read the folder. */
int hr_folder_adopt(struct hr_watch *w, struct hr_node *node, int report_now);
int hr_folder_scan(struct hr_watch *w, struct hr_node *node);
void hr_folders_scan(struct hr_watch *w);

/* ---- the backends ----------------------------------------------------- */

enum hr_attach {
    HR_ATTACH_SAME,    /* watched, and the same folder as before */
    HR_ATTACH_OTHER,   /* watched, another folder than before */
    HR_ATTACH_MISSING, /* no folder there */
    HR_ATTACH_NOT,     /* cannot be watched: poll it */
};

/* A way to learn of changes.  All of them are called with the lock held. */
struct hr_backend {
    const char *name;
    int (*open)(struct hr_watch *w);
    void (*close)(struct hr_watch *w);
    /* Watch the folder (want: HR_WANT_...), again or for the first time. */
    enum hr_attach (*attach)(struct hr_watch *w, struct hr_node *node,
                             const char *path, unsigned want);
    enum hr_attach (*attach_link)(struct hr_watch *w, struct hr_node *node,
                                  const char *path);
    void (*detach)(struct hr_watch *w, struct hr_node *node);
    void (*detach_link)(struct hr_watch *w, struct hr_node *node);
    /* Take in all that has happened, with hr_file_note() and the queues of
     * the tree, without blocking on anything but the disk. */
    void (*collect)(struct hr_watch *w, int64_t now);
    /* Is something there that collect() would find? */
    int (*pending)(struct hr_watch *w);
    /* When collect() must be called although no descriptor is readable. */
    int64_t (*due)(const struct hr_watch *w);
};

/* ---- descriptor.c ----------------------------------------------------- */

struct hr_wd *hr_wd_find(struct hr_watch *w, int wd);
void hr_wd_dissolve(struct hr_watch *w, struct hr_wd *entry);
enum hr_attach hr_wd_attach(struct hr_watch *w, struct hr_node *node,
                            const char *path, unsigned want);
enum hr_attach hr_wd_attach_link(struct hr_watch *w, struct hr_node *node,
                                 const char *path);
void hr_wd_detach(struct hr_watch *w, struct hr_node *node);
void hr_wd_detach_link(struct hr_watch *w, struct hr_node *node);
long hr_inotify_limit(const char *name); /* value of the sysctl, or -1 */

/* ---- inotify.c and poll.c --------------------------------------------- */

extern const struct hr_backend hr_backend_inotify;
extern const struct hr_backend hr_backend_poll;

void hr_poll_add(struct hr_watch *w, struct hr_node *node);
void hr_poll_remove(struct hr_watch *w, struct hr_node *node);
/* NULL when events for this path can be trusted, else its kind of file
 * system. */
const char *hr_poll_untrusted(const char *path, unsigned *bit);

/* ---- watch.c and wait.c ----------------------------------------------- */

enum { HR_SAYINGS = 8 };

struct hr_saying {
    int level;
    char *sentence;
};

struct hr_watch {
    struct hr_watch_options options;
    pthread_mutex_t lock;
    const struct hr_backend *events; /* NULL: polling only */

    /* how to wake the waiting thread; read by signal handlers */
    atomic_int wake_read, wake_write; /* the same one if it is an eventfd */
    atomic_int woken, closed, kicked;
    atomic_uint wake_count;
    int extra_fd;

    /* folders */
    struct hr_table nodes, names, wds;
    struct hr_node *root;
    struct hr_node *recheck_head, *scan_head;
    int link_depth; /* links that are being followed */

    /* files */
    struct hr_list lists[HR_STATES];
    struct hr_file *looking; /* pinned by the waiting thread */

    /* the batch that is being gathered */
    struct hr_change *ready;
    struct hr_file **ready_files; /* beside each; NULL when removed */
    size_t ready_count, ready_room;
    int64_t first_ready_ns; /* when the first of them was ready */
    int64_t stir_ns;        /* last sign of life of a save */
    int64_t hint_ns;        /* when something said: more is coming */
    int64_t checkout_ns;    /* when a file was ready that had been deleted */
    int64_t handed_ns;      /* when the last batch was handed over */
    struct hr_file *handed; /* its only file; compared, never followed */
    int hold;               /* a rescan is under way: one batch */

    /* inotify */
    int inotify_fd;
    char *buffer;

    /* polling */
    struct hr_node *poll_head;
    struct hr_node *poll_cursor; /* next one of the scan under way */
    size_t poll_nodes;
    int64_t poll_due_ns, poll_started_ns;
    int poll_scanning;
    int poll_hurry; /* something moved: look again shortly */
    unsigned poll_wake_count;
    size_t poll_files; /* looked at by this scan */
    size_t poll_turn;  /* the first of them to be read whatever it says */

    int64_t rescan_ns; /* rescan everything then; HR_NEVER */
    unsigned said;     /* bits: what was said already */
    struct hr_saying sayings[HR_SAYINGS];
    int saying_count;

    struct hr_watch_info info;
    struct hr_watch *next; /* fork.c */
};

enum {
    HR_SAID_WATCHES = 1U << 24,
    HR_SAID_INSTANCES = 1U << 25,
    HR_SAID_RETRY = 1U << 26,
    HR_SAID_DENIED = 1U << 27,
};

void hr_watch_open_events(struct hr_watch *w);
void hr_live_free(struct hr_live *live);
void hr_lock(struct hr_watch *w);
void hr_unlock(struct hr_watch *w); /* and says what is to be said */
/* With the lock held: say it when the lock is released. */
void hr_say(struct hr_watch *w, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int64_t hr_now(void);
/* Make the waiting thread look at its lists again. */
void hr_kick(struct hr_watch *w);
/* Memory ran out somewhere: rescan everything in a moment. */
void hr_rescan_later(struct hr_watch *w);
int hr_wake_open(struct hr_watch *w);
void hr_wake_close(struct hr_watch *w);

/* ---- fork.c ----------------------------------------------------------- */

int hr_fork_register(struct hr_watch *w);
void hr_fork_unregister(struct hr_watch *w);

/* ---- test hooks ------------------------------------------------------- */

#ifdef HR_TESTING
struct hr_hooks {
    int counting;       /* the next three are in use */
    long fail_at;       /* this allocation from now fails (1: the next) */
    int fail_again;     /* and all those after it */
    long allocations;   /* so far */
    int init_errno;     /* inotify_init1() fails with this */
    int watch_errno;    /* inotify_add_watch() fails with this ... */
    long watch_after;   /* ... after so many successes */
    long foreign_magic; /* what statfs() finds, unless 0 */
};
extern struct hr_hooks hr_hooks;
void *hr_malloc(size_t size);
void *hr_calloc(size_t count, size_t size);
void *hr_realloc(void *old, size_t size);
char *hr_strdup(const char *text);
#else
#define hr_malloc malloc
#define hr_calloc calloc
#define hr_realloc realloc
#define hr_strdup strdup
#endif

#endif /* HR_WATCH_INTERNAL_H */
