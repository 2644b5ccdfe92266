/* The clients of the control socket: who may connect, how much, for how long.
 *
 * The engine's thread serves all of them.  Whatever a client does, that thread
 * never waits for it: descriptors do not block, buffers are bounded, a client
 * that is quiet for too long is let go, and where there are too many, the one
 * that was quiet the longest.
 *
 * Requests are answered with the GIL, all that have come in at once; the rest
 * needs no GIL.  A client whose request waits for the next revision is
 * *parked*: its line stays in the buffer and is tried again after each
 * revision.
 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_ACCEPTS 16          /* in one round */
#define MAX_REQUEST (64 * 1024) /* bytes, one line */
#define MAX_ANSWER (32L << 20)  /* bytes */
#define QUIET_NS 10000000000LL  /* so long may a client say nothing */
#define URGENT_NS 10000000LL    /* so often may the GIL be taken at once */
#define DEAF_NS 500000000LL     /* without descriptors, until the next try */

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

/* -- Clients -------------------------------------------------------------- */

/* The length of the first line, 0: not whole. */
static size_t
get_line(const struct hr_client *client)
{
    const char *end =
        client->in != NULL ? memchr(client->in, '\n', client->in_size) : NULL;
    return end != NULL ? (size_t)(end - client->in) + 1 : 0;
}

static int
is_sending(const struct hr_client *client)
{
    return client->sent < client->out_size;
}

void
hr_client_close(struct hr_control *c, struct hr_client *client)
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
    *client = (struct hr_client){.fd = -1};
}

/* Ask for no more than is wanted now, or epoll would tell it for ever. */
static void
update_interest(struct hr_control *c, struct hr_client *client)
{
    struct epoll_event e = {.data.u32 = (uint32_t)(client - c->clients)};
    e.events = is_sending(client) ? EPOLLOUT
               : client->parked   ? EPOLLRDHUP
                                  : EPOLLIN;
    (void)epoll_ctl(c->epoll, EPOLL_CTL_MOD, client->fd, &e);
}

static void
send_some(struct hr_control *c, struct hr_client *client)
{
    while (is_sending(client)) {
        ssize_t n =
            send(client->fd, client->out + client->sent,
                 client->out_size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            hr_client_close(c, client);
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
            hr_client_close(c, client);
            return;
        }
    }
    update_interest(c, client);
}

/* Say it and hang up. */
static void
dismiss(struct hr_control *c, struct hr_client *client, const char *sentence)
{
    (void)!send(client->fd, sentence, strlen(sentence),
                MSG_DONTWAIT | MSG_NOSIGNAL);
    hr_client_close(c, client);
}

static void
read_some(struct hr_control *c, struct hr_client *client)
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
        hr_client_close(c, client);
    }
    else if (client->in_size == MAX_REQUEST && get_line(client) == 0) {
        dismiss(c, client, says_too_long);
    }
}

/* A free place; the quietest client without a request has to go. */
static struct hr_client *
make_place(struct hr_control *c)
{
    struct hr_client *quietest = NULL;
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        struct hr_client *client = &c->clients[i];
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
set_deaf(struct hr_control *c, int deaf)
{
    struct epoll_event e = {.data.u32 = HR_TOKEN_LISTENER};
    e.events = deaf ? 0 : EPOLLIN;
    c->deaf_ns = deaf ? hr_clock_ns(CLOCK_MONOTONIC) + DEAF_NS : 0;
    (void)epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->listener, &e);
}

static void
accept_clients(struct hr_control *c)
{
    if (c->deaf_ns != 0) {
        if (hr_clock_ns(CLOCK_MONOTONIC) < c->deaf_ns) {
            return;
        }
        set_deaf(c, 0);
    }
    for (int i = 0; i < MAX_ACCEPTS; i++) {
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            /* Out of descriptors: whoever waits stays in the queue, and the
             * listener readable.  Deaf for a while, or epoll tells it for
             * ever. */
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                set_deaf(c, 1);
            }
            return;
        }
        struct hr_client *client = make_place(c);
        if (client == NULL) {
            close(fd);
            return;
        }
        *client = (struct hr_client){.fd = fd, .in = malloc(MAX_REQUEST)};
        client->seen_ns = hr_clock_ns(CLOCK_MONOTONIC);
        if (!is_our_user(fd)) {
            dismiss(c, client, says_other_user);
        }
        else if (client->in == NULL ||
                 hr_control_add(c, fd, (uint32_t)(client - c->clients)) < 0) {
            hr_client_close(c, client);
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
answer_client(struct hr_control *c, struct hr_client *client, size_t size)
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
has_request(const struct hr_client *client)
{
    return client->fd >= 0 && !client->parked && !is_sending(client) &&
           get_line(client) > 0;
}

/* Without the GIL; one request of each client, so that nobody waits for one
 * who has many. */
static PyThreadState *
answer_all(struct hr_control *c, PyThreadState *ts)
{
    int asked[HR_MAX_CLIENTS], any = 0, more = 0;
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
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
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        if (asked[i]) {
            answer_client(c, &c->clients[i], get_line(&c->clients[i]));
        }
    }
    ts = PyEval_SaveThread();
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
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
serve_client(struct hr_control *c, struct hr_client *client, uint32_t events)
{
    if (client->fd < 0) {
        return; /* went in this round */
    }
    if (client->parked) {
        hr_client_close(c, client); /* it has hung up */
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
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        if (c->clients[i].parked) {
            c->clients[i].parked = 0;
            atomic_fetch_sub(&c->parked, 1);
        }
    }
}

/* Let the quiet ones go; set the timer for the next of them, or for the next
 * try to accept. */
static void
close_quiet(struct hr_control *c)
{
    int64_t now = hr_clock_ns(CLOCK_MONOTONIC), next = c->deaf_ns;
    for (int i = 0; i < HR_MAX_CLIENTS; i++) {
        struct hr_client *client = &c->clients[i];
        if (client->fd < 0 || client->parked) {
            continue;
        }
        int64_t due = client->seen_ns + QUIET_NS;
        if (due <= now) {
            hr_client_close(c, client);
        }
        else if (next == 0 || due < next) {
            next = due;
        }
    }
    struct itimerspec t = {.it_value = {next / 1000000000, next % 1000000000}};
    (void)timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

PyThreadState *
hr_client_serve(struct hr_control *c, PyThreadState *ts)
{
    struct epoll_event events[HR_MAX_CLIENTS + 3];
    uint64_t count;
    int n = epoll_wait(c->epoll, events, HR_MAX_CLIENTS + 3, 0);
    for (int i = 0; i < n; i++) {
        switch (events[i].data.u32) {
        case HR_TOKEN_LISTENER:
            break;
        case HR_TOKEN_TIMER:
            (void)!read(c->timer, &count, sizeof count);
            break;
        case HR_TOKEN_EVENT:
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
