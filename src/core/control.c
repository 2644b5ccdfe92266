/* The control socket: how the command line talks to a running engine.
 *
 * One Unix socket per process, named by its number, in a folder that only its
 * user can enter.  A request is a line of JSON, and so is its answer.  This
 * file owns the socket: who may connect, how much, for how long; what the
 * requests mean is in hot_reload/_control.py.  No request carries code.
 *
 * The engine's thread serves all of it.  Whatever a client does, that thread
 * never waits for it: descriptors do not block, buffers are bounded, a client
 * that is quiet for too long is let go, and where there are too many, the one
 * that was quiet the longest.  An epoll descriptor gathers the listener, the
 * clients, a timer for the quiet ones and an event for what other threads say,
 * so that the engine waits for one descriptor more, and never for a time.
 *
 * Requests are answered with the GIL, all that have come in at once.  A client
 * whose request waits for the next revision is *parked*: its line stays in the
 * buffer and is tried again after each revision.
 *
 * Only the engine's thread touches a struct hr_control, but for `parked` and
 * `event`; after a fork the child has its only thread in here.
 */
#include "core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CLIENTS 32
#define MAX_ACCEPTS 16          /* in one round */
#define MAX_REQUEST (64 * 1024) /* bytes, one line */
#define MAX_ANSWER (32L << 20)  /* bytes */
#define QUIET_NS 10000000000LL  /* so long may a client say nothing */
#define URGENT_NS 10000000LL    /* so often may the GIL be taken at once */

enum { TOKEN_LISTENER = MAX_CLIENTS, TOKEN_TIMER, TOKEN_EVENT };

/* What this file itself has to say; the numbers are those of the command
 * line. */
#define ANSWER(status, sentence)                                              \
    "{\"ok\": false, \"status\": " status ", \"error\": \"" sentence "\"}\n"
static const char says_other_user[] =
    ANSWER("4", "The process belongs to another user; be that user.");
static const char says_too_long[] =
    ANSWER("38", "A request is one line of at most 64 KiB.");
static const char says_busy[] =
    ANSWER("41", "Too many clients are connected; try again.");
static const char says_failed[] =
    ANSWER("39", "The request could not be answered; see the process's log.");

struct client {
    int fd;       /* -1: free; before it is closed, for fork() */
    int parked;   /* the request waits for a revision */
    int finished; /* nothing more will come: close when all is sent */
    char *in, *out;
    size_t in_size, out_size, sent;
    int64_t seen_ns; /* when something was last sent or taken */
};

struct hr_control {
    struct hr_state *st;
    PyObject *answer; /* owned: hot_reload._control.answer, or NULL */
    int folder, listener, epoll, timer, event;
    char name[16]; /* of the socket, in the folder */
    struct stat node;
    int64_t urgent_ns;
    atomic_int parked;
    struct client clients[MAX_CLIENTS];
};

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

static int
add_to_epoll(struct hr_control *c, int fd, uint32_t token)
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
    return add_to_epoll(c, c->listener, TOKEN_LISTENER) |
           add_to_epoll(c, c->timer, TOKEN_TIMER) |
           add_to_epoll(c, c->event, TOKEN_EVENT);
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
    for (int i = 0; i < MAX_CLIENTS; i++) {
        c->clients[i] = (struct client){.fd = -1};
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

static void
close_client(struct hr_control *c, struct client *client)
{
    int fd = client->fd;
    client->fd = -1;
    /* Also where a forked child still has a copy of the descriptor. */
    (void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
    if (client->parked) {
        atomic_fetch_sub(&c->parked, 1);
    }
    free(client->in);
    free(client->out);
    *client = (struct client){.fd = -1};
}

void
hr_control_close(struct hr_control *c)
{
    struct stat s;
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (c->clients[i].fd >= 0) {
            close_client(c, &c->clients[i]);
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
    for (int i = 0; i < MAX_CLIENTS; i++) {
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

/* -- Clients -------------------------------------------------------------- */

/* The length of the first line, 0: not whole. */
static size_t
get_line(const struct client *client)
{
    const char *end =
        client->in != NULL ? memchr(client->in, '\n', client->in_size) : NULL;
    return end != NULL ? (size_t)(end - client->in) + 1 : 0;
}

static int
is_sending(const struct client *client)
{
    return client->sent < client->out_size;
}

/* Ask for no more than is wanted now, or epoll would tell it for ever. */
static void
update_interest(struct hr_control *c, struct client *client)
{
    struct epoll_event e = {.data.u32 = (uint32_t)(client - c->clients)};
    e.events = is_sending(client) ? EPOLLOUT
               : client->parked   ? EPOLLRDHUP
                                  : EPOLLIN;
    (void)epoll_ctl(c->epoll, EPOLL_CTL_MOD, client->fd, &e);
}

static void
send_some(struct hr_control *c, struct client *client)
{
    while (is_sending(client)) {
        ssize_t n =
            send(client->fd, client->out + client->sent,
                 client->out_size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            close_client(c, client);
            return;
        }
        if (n <= 0) {
            break;
        }
        client->sent += (size_t)n;
        client->seen_ns = hr_clock_ns(CLOCK_MONOTONIC);
    }
    if (!is_sending(client)) {
        free(client->out);
        client->out = NULL;
        client->out_size = client->sent = 0;
        if (client->finished && get_line(client) == 0) {
            close_client(c, client);
            return;
        }
    }
    update_interest(c, client);
}

/* Say it and hang up. */
static void
dismiss(struct hr_control *c, struct client *client, const char *sentence)
{
    (void)!send(client->fd, sentence, strlen(sentence),
                MSG_DONTWAIT | MSG_NOSIGNAL);
    close_client(c, client);
}

static void
read_some(struct hr_control *c, struct client *client)
{
    ssize_t n = recv(client->fd, client->in + client->in_size,
                     MAX_REQUEST - client->in_size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n > 0) {
        client->in_size += (size_t)n;
        client->seen_ns = hr_clock_ns(CLOCK_MONOTONIC);
    }
    client->finished = n <= 0;
    if (client->finished && get_line(client) == 0) {
        close_client(c, client);
    }
    else if (client->in_size == MAX_REQUEST && get_line(client) == 0) {
        dismiss(c, client, says_too_long);
    }
}

/* A free place; the quietest client without a request has to go. */
static struct client *
make_place(struct hr_control *c)
{
    struct client *quietest = NULL;
    for (int i = 0; i < MAX_CLIENTS; i++) {
        struct client *client = &c->clients[i];
        if (client->fd < 0) {
            return client;
        }
        if ((client->parked || get_line(client) == 0) &&
            (quietest == NULL || client->seen_ns < quietest->seen_ns)) {
            quietest = client;
        }
    }
    if (quietest != NULL) {
        dismiss(c, quietest, says_busy);
    }
    return quietest;
}

static int
is_our_user(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void
accept_clients(struct hr_control *c)
{
    for (int i = 0; i < MAX_ACCEPTS; i++) {
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        struct client *client = make_place(c);
        if (client == NULL) {
            close(fd);
            return;
        }
        *client = (struct client){.fd = fd, .in = malloc(MAX_REQUEST)};
        client->seen_ns = hr_clock_ns(CLOCK_MONOTONIC);
        if (!is_our_user(fd)) {
            dismiss(c, client, says_other_user);
        }
        else if (client->in == NULL ||
                 add_to_epoll(c, fd, (uint32_t)(client - c->clients)) < 0) {
            close_client(c, client);
        }
        else {
            read_some(c, client);
        }
    }
}

/* -- Answers -------------------------------------------------------------- */

/* With the GIL: the answer as bytes, None to wait; never an exception. */
static PyObject *
ask_python(struct hr_control *c, const char *line, size_t size)
{
    PyObject *result = NULL;
    if (c->answer == NULL) {
        PyObject *module = PyImport_ImportModule("hot_reload._control");
        c->answer = module ? PyObject_GetAttrString(module, "answer") : NULL;
        Py_XDECREF(module);
    }
    if (c->answer != NULL) {
        result =
            PyObject_CallFunction(c->answer, "y#", line, (Py_ssize_t)size);
    }
    if (result != NULL && result != Py_None && !PyBytes_Check(result)) {
        PyErr_SetString(PyExc_TypeError, "an answer has to be bytes");
        Py_CLEAR(result);
    }
    if (result == NULL) {
        hr_log_exception(c->st, "a request could not be answered");
    }
    return result;
}

/* With the GIL. */
static void
answer_client(struct hr_control *c, struct client *client, size_t size)
{
    PyObject *result = ask_python(c, client->in, size);
    if (result == Py_None) {
        client->parked = 1;
        atomic_fetch_add(&c->parked, 1);
        Py_DECREF(result);
        return;
    }
    const char *text = result ? PyBytes_AS_STRING(result) : says_failed;
    size_t length =
        result ? (size_t)PyBytes_GET_SIZE(result) : strlen(says_failed);
    if (length > MAX_ANSWER || (client->out = malloc(length)) == NULL) {
        text = NULL;
    }
    else {
        memcpy(client->out, text, length);
        client->out_size = length;
    }
    client->finished |= text == NULL;
    Py_XDECREF(result);
    client->in_size -= size;
    memmove(client->in, client->in + size, client->in_size);
}

static int
has_request(const struct client *client)
{
    return client->fd >= 0 && !client->parked && !is_sending(client) &&
           get_line(client) > 0;
}

/* Without the GIL; one request of each client, so that nobody waits for one
 * who has many. */
static PyThreadState *
answer_all(struct hr_control *c, PyThreadState *ts)
{
    int asked[MAX_CLIENTS], any = 0, more = 0;
    for (int i = 0; i < MAX_CLIENTS; i++) {
        asked[i] = has_request(&c->clients[i]);
        any |= asked[i];
    }
    if (!any) {
        return ts;
    }
    /* Who floods us shall not make the program's threads give way each time.
     */
    int64_t now = hr_clock_ns(CLOCK_MONOTONIC);
    if (now - c->urgent_ns >= URGENT_NS) {
        c->urgent_ns = now;
        hr_gil_take(ts);
    }
    else {
        PyEval_RestoreThread(ts);
    }
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (asked[i]) {
            answer_client(c, &c->clients[i], get_line(&c->clients[i]));
        }
    }
    ts = PyEval_SaveThread();
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (asked[i]) {
            send_some(c, &c->clients[i]);
            more |= has_request(&c->clients[i]);
        }
    }
    if (more) {
        (void)!write(c->event, &(uint64_t){1}, sizeof(uint64_t));
    }
    return ts;
}

/* -- A round -------------------------------------------------------------- */

static void
serve_client(struct hr_control *c, struct client *client, uint32_t events)
{
    if (client->fd < 0) {
        return; /* went in this round */
    }
    if (client->parked) {
        close_client(c, client); /* it has hung up */
    }
    else if (is_sending(client)) {
        send_some(c, client);
    }
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_some(c, client);
    }
}

static void
unpark_all(struct hr_control *c)
{
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (c->clients[i].parked) {
            c->clients[i].parked = 0;
            atomic_fetch_sub(&c->parked, 1);
        }
    }
}

/* Let the quiet ones go; set the timer for the next of them. */
static void
close_quiet(struct hr_control *c)
{
    int64_t now = hr_clock_ns(CLOCK_MONOTONIC), next = 0;
    for (int i = 0; i < MAX_CLIENTS; i++) {
        struct client *client = &c->clients[i];
        if (client->fd < 0 || client->parked) {
            continue;
        }
        int64_t due = client->seen_ns + QUIET_NS;
        if (due <= now) {
            close_client(c, client);
        }
        else if (next == 0 || due < next) {
            next = due;
        }
    }
    struct itimerspec t = {.it_value = {next / 1000000000, next % 1000000000}};
    (void)timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

PyThreadState *
hr_control_serve(struct hr_control *c, PyThreadState *ts)
{
    struct epoll_event events[MAX_CLIENTS + 3];
    uint64_t count;
    int n = epoll_wait(c->epoll, events, MAX_CLIENTS + 3, 0);
    for (int i = 0; i < n; i++) {
        switch (events[i].data.u32) {
        case TOKEN_LISTENER:
            break;
        case TOKEN_TIMER:
            (void)!read(c->timer, &count, sizeof count);
            break;
        case TOKEN_EVENT:
            (void)!read(c->event, &count, sizeof count);
            unpark_all(c);
            break;
        default:
            serve_client(c, &c->clients[events[i].data.u32], events[i].events);
        }
    }
    /* Last: a new client may take the place of one with an event. */
    accept_clients(c);
    ts = answer_all(c, ts);
    close_quiet(c);
    return ts;
}
