/* The control socket and its clients.  Shared by control.c and client.c. */
#ifndef HR_CONTROL_H
#define HR_CONTROL_H

#include "core.h"

#include <stdatomic.h>
#include <sys/stat.h>

#define HR_MAX_CLIENTS 32

/* What is in the epoll descriptor: a client by its number, or one of these. */
enum { HR_TOKEN_LISTENER = HR_MAX_CLIENTS, HR_TOKEN_TIMER, HR_TOKEN_EVENT };

struct hr_client {
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
    int64_t deaf_ns; /* until then nobody is accepted; 0: not deaf */
    atomic_int parked;
    struct hr_client clients[HR_MAX_CLIENTS];
};

/* Have the engine's thread woken when the descriptor is readable; 0 or -1. */
int hr_control_add(struct hr_control *c, int fd, uint32_t token);

/* Hang up and make the place free. */
void hr_client_close(struct hr_control *c, struct hr_client *client);

#endif /* HR_CONTROL_H */
