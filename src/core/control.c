/* The control socket: how the command line talks to a running engine.
 *
 * One Unix socket per process, named by its number, in a folder that only its
 * user can enter.  A request is a line of JSON, and so is its answer.  This
 * file owns the socket and its name; client.c has who is connected, and what
 * the requests mean is in hot_reload/_control.py.  No request carries code.
 *
 * An epoll descriptor gathers the listener, the clients, a timer for the quiet
 * ones and an event for what other threads say, so that the engine waits for
 * one descriptor more, and never for a time.
 *
 * Only the engine's thread touches a struct hr_control, but for `parked` and
 * `event`; it is opened and closed with the GIL, while that thread is not
 * there.  After a fork the child has its only thread in here.
 */
#include "control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

/* -- The folder ----------------------------------------------------------- */

static int
is_private(int fd)
{
    struct stat s;
    if (fstat(fd, &s) < 0) {
        return 0;
    }
    errno = EPERM;
    return s.st_uid == geteuid() && (s.st_mode & 077) == 0;
}

/* The n-th candidate, private to the user.  A descriptor, -1 with errno, or -2
 * when there are no more. */
static int
open_folder(int n, int create, char *path, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *temporary = getenv("TMPDIR");
    struct stat s;
    if (n == 0) {
        /* Inherited by way of su it may be another user's. */
        if (runtime == NULL || runtime[0] != '/' || stat(runtime, &s) < 0 ||
            s.st_uid != geteuid()) {
            errno = ENOENT;
            return -1;
        }
        snprintf(path, size, "%s/hot_reload", runtime);
    }
    else if (n == 1) {
        const char *base =
            temporary == NULL || temporary[0] != '/' ? "/tmp" : temporary;
        snprintf(path, size, "%s/hot_reload-%ld", base, (long)geteuid());
    }
    else {
        return -2;
    }
    if (create && mkdir(path, 0700) < 0 && errno != EEXIST) {
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && !is_private(fd)) {
        close(fd);
        errno = EPERM;
        fd = -1;
    }
    return fd;
}

PyObject *
hr_control_folders(void)
{
    PyObject *list = PyList_New(0);
    char path[4096];
    int fd;
    for (int n = 0;
         list != NULL && (fd = open_folder(n, 0, path, sizeof path)) != -2;
         n++) {
        if (fd < 0) {
            continue;
        }
        close(fd);
        PyObject *name = PyUnicode_DecodeFSDefault(path);
        int has = name != NULL ? PySequence_Contains(list, name) : -1;
        if (has < 0 || (!has && PyList_Append(list, name) < 0)) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    return list;
}

/* By way of the folder's descriptor: its path may be too long for a socket,
 * and may lead elsewhere by now. */
static struct sockaddr_un
get_address(int folder, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s",
                     folder, name);
    if (n < 0 || (size_t)n >= sizeof a.sun_path) {
        a.sun_path[0] = '\0'; /* no socket of ours has so long a name */
    }
    return a;
}

/* Does nobody listen there? */
static int
is_dead(int folder, const char *name)
{
    struct sockaddr_un a = get_address(folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int refused = fd >= 0 &&
                  connect(fd, (struct sockaddr *)&a, sizeof a) < 0 &&
                  errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return refused;
}

/* Remove what processes that were killed have left.  The living are not
 * asked; a number that is not here may be alive in another container. */
static void
clean_folder(int folder)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        char *end;
        long pid = strtol(d->d_name + (d->d_name[0] == '.'), &end, 10);
        if (pid > 0 && *end == '\0' && kill((pid_t)pid, 0) < 0 &&
            errno == ESRCH && is_dead(folder, d->d_name)) {
            (void)unlinkat(folder, d->d_name, 0);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    else if (copy >= 0) {
        close(copy);
    }
}

/* -- Open and close ------------------------------------------------------- */

int
hr_control_add(struct hr_control *c, int fd, uint32_t token)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = token};
    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* It gets its name when it listens: nobody takes it for a dead one. */
static int
bind_listener(struct hr_control *c)
{
    char hidden[20];
    snprintf(c->name, sizeof c->name, "%ld", (long)getpid());
    snprintf(hidden, sizeof hidden, ".%s", c->name);
    struct sockaddr_un a = get_address(c->folder, hidden);
    (void)unlinkat(c->folder, hidden, 0);
    c->listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->listener < 0 || fchmod(c->listener, 0600) < 0 ||
        bind(c->listener, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(c->listener, SOMAXCONN) < 0 ||
        fstatat(c->folder, hidden, &c->node, AT_SYMLINK_NOFOLLOW) < 0 ||
        renameat(c->folder, hidden, c->folder, c->name) < 0) {
        return -1;
    }
    return 0;
}

static int
open_all(struct hr_control *c)
{
    char path[4096];
    int n = 0;
    while ((c->folder = open_folder(n, 1, path, sizeof path)) == -1) {
        n++;
    }
    c->folder = c->folder < 0 ? -1 : c->folder;
    if (c->folder < 0) {
        errno = EPERM;
        return -1;
    }
    clean_folder(c->folder);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    c->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->epoll < 0 || c->timer < 0 || c->event < 0 || bind_listener(c) < 0) {
        return -1;
    }
    return hr_control_add(c, c->listener, HR_TOKEN_LISTENER) |
           hr_control_add(c, c->timer, HR_TOKEN_TIMER) |
           hr_control_add(c, c->event, HR_TOKEN_EVENT);
}

static void
close_descriptor(int *fd)
{
    int open = *fd;
    *fd = -1;
    if (open >= 0) {
        close(open);
    }
}

static void
close_all(struct hr_control *c)
{
    close_descriptor(&c->listener);
    close_descriptor(&c->timer);
    close_descriptor(&c->event);
    close_descriptor(&c->epoll);
    close_descriptor(&c->folder);
}

/* Nothing is open; a warning says why where it cannot be. */
static void
open_or_warn(struct hr_control *c)
{
    c->folder = c->listener = c->epoll = c->timer = c->event = -1;
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        c->clients[i] = (struct hr_client){.fd = -1};
    }
    atomic_store(&c->parked, 0);
    if (open_all(c) != 0) {
        hr_log(c->st, HR_SAY_WARNING,
               "no control socket (%s): `hot-reload` will not find this "
               "process; XDG_RUNTIME_DIR or TMPDIR has to name a folder in "
               "which you may have one of your own",
               strerror(errno));
        close_all(c);
    }
}

struct hr_control *
hr_control_open(struct hr_state *st)
{
    const char *wish = getenv("HOT_RELOAD_CONTROL");
    if (hr_setting(st, "control_off") ||
        (wish != NULL && strcmp(wish, "0") == 0)) {
        return NULL;
    }
    struct hr_control *c = PyMem_Calloc(1, sizeof *c);
    if (c != NULL) {
        c->st = st;
        open_or_warn(c);
    }
    return c;
}

int
hr_control_descriptor(const struct hr_control *c)
{
    return c != NULL ? c->epoll : -1;
}

void
hr_control_close(struct hr_control *c)
{
    struct stat s;
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        if (c->clients[i].fd >= 0) {
            hr_client_close(c, &c->clients[i]);
        }
    }
    /* Unless another has taken the name. */
    if (c->listener >= 0 &&
        fstatat(c->folder, c->name, &s, AT_SYMLINK_NOFOLLOW) == 0 &&
        s.st_ino == c->node.st_ino && s.st_dev == c->node.st_dev) {
        (void)unlinkat(c->folder, c->name, 0);
    }
    close_all(c);
    Py_CLEAR(c->answer);
    PyMem_Free(c);
}

/* The parent's thread may have been anywhere in here: its clients' buffers
 * are lost, their descriptors are not. */
void
hr_control_after_fork(struct hr_control *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        close_descriptor(&c->clients[i].fd);
    }
    close_all(c);
    open_or_warn(c);
}

void
hr_control_announce(struct hr_control *c)
{
    if (c != NULL && atomic_load(&c->parked) > 0) {
        (void)!write(c->event, &(uint64_t){1}, sizeof(uint64_t));
    }
}
