/* What the main thread is waiting in, in words.
 *
 * From /proc/PID/syscall (number and arguments of the system call), the
 * link of the descriptor it is about, and /proc/PID/wchan where there is a
 * name.  Only read when no acknowledgement came.
 */
#include "attach.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct call {
    long number;
    const char *name;
    const char *meaning;
    int has_descriptor; /* the first argument */
};

static const struct call calls[] = {
    {SYS_read, "read", "waits for input", 1},
    {SYS_write, "write", "waits until its output is taken", 1},
    {SYS_readv, "readv", "waits for input", 1},
    {SYS_writev, "writev", "waits until its output is taken", 1},
    {SYS_pread64, "pread64", "waits for a disk", 1},
    {SYS_fsync, "fsync", "waits for a disk", 1},
    {SYS_flock, "flock", "waits for a file lock", 1},
    {SYS_fcntl, "fcntl", "waits for a file lock", 1},
    {SYS_connect, "connect", "waits for a connection", 1},
    {SYS_accept, "accept", "waits for a connection", 1},
    {SYS_accept4, "accept4", "waits for a connection", 1},
    {SYS_recvfrom, "recvfrom", "waits for a message", 1},
    {SYS_recvmsg, "recvmsg", "waits for a message", 1},
    {SYS_sendto, "sendto", "waits until its message is taken", 1},
    {SYS_sendmsg, "sendmsg", "waits until its message is taken", 1},
    {SYS_epoll_pwait, "epoll_pwait", "waits for events", 0},
    {SYS_ppoll, "ppoll", "waits for events", 0},
    {SYS_pselect6, "pselect6", "waits for events", 0},
#ifdef SYS_poll /* not on newer architectures */
    {SYS_poll, "poll", "waits for events", 0},
    {SYS_select, "select", "waits for events", 0},
    {SYS_epoll_wait, "epoll_wait", "waits for events", 0},
    {SYS_pause, "pause", "waits for a signal", 0},
#endif
    {SYS_nanosleep, "nanosleep", "sleeps", 0},
    {SYS_clock_nanosleep, "clock_nanosleep", "sleeps", 0},
    {SYS_restart_syscall, "restart_syscall", "sleeps or waits", 0},
    {SYS_futex, "futex", "waits for a lock", 0},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait", "waits for a signal", 0},
    {SYS_rt_sigsuspend, "rt_sigsuspend", "waits for a signal", 0},
    {SYS_wait4, "wait4", "waits for a child process", 0},
    {SYS_waitid, "waitid", "waits for a child process", 0},
    {SYS_msgrcv, "msgrcv", "waits for a message", 0},
    {SYS_semtimedop, "semtimedop", "waits for a semaphore", 0},
};

static const struct call *
find_call(long number)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].number == number) {
            return &calls[i];
        }
    }
    return NULL;
}

static void
describe_descriptor(pid_t pid, unsigned long descriptor, char *into,
                    size_t size)
{
    char path[64], link[96];
    snprintf(path, sizeof(path), "/proc/%d/fd/%lu", (int)pid, descriptor);
    ssize_t length = readlink(path, link, sizeof(link) - 1);
    if (length < 0) {
        length = 0;
    }
    link[length] = '\0';
    snprintf(into, size, " on descriptor %lu%s%s", descriptor,
             length ? ", " : "", link);
}

void
hr_blocked_describe(struct hr_target *target, char *into, size_t size)
{
    char text[512], place[64] = "", about[160] = "";
    long number;
    unsigned long first = 0;
    if (hr_process_status(target) == 0 && target->state == 'T') {
        snprintf(into, size, "is stopped (continue it with kill -CONT %d)",
                 (int)target->pid);
        return;
    }
    if (hr_process_slurp(target->pid, "wchan", place, sizeof(place)) <= 0 ||
        strcmp(place, "0") == 0) {
        place[0] = '\0';
    }
    if (hr_process_slurp(target->pid, "syscall", text, sizeof(text)) <= 0) {
        snprintf(into, size, "is blocked%s%s", place[0] ? " in " : "", place);
        return;
    }
    if (strncmp(text, "running", 7) == 0 ||
        sscanf(text, "%ld %lx", &number, &first) < 1 || number < 0) {
        snprintf(into, size,
                 "is busy in code that does not return to Python's "
                 "evaluation loop (a long computation in C)");
        return;
    }
    const struct call *call = find_call(number);
    if (call == NULL) {
        snprintf(into, size, "is blocked in system call %ld%s%s", number,
                 place[0] ? ", " : "", place);
        return;
    }
    const char *meaning = call->meaning;
    if (first == 0 && strstr(call->name, "select") != NULL) {
        meaning = "sleeps"; /* no descriptors: how older Pythons do it */
    }
    if (call->has_descriptor) {
        describe_descriptor(target->pid, first, about, sizeof(about));
    }
    snprintf(into, size, "%s (system call %s%s%s%s)", meaning, call->name,
             about, place[0] ? "; kernel: " : "", place);
}
