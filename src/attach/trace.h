/* A stopped thread, from the inside: shared by ptrace.c and call.c only. */
#ifndef HR_ATTACH_TRACE_H
#define HR_ATTACH_TRACE_H

#include "attach.h"
#include "remote.h"

#include <sched.h>
#include <signal.h>

enum { MAX_BLOCKS = 2, MAX_REMEMBERED = 8 };
#define STOP_DEADLINE_NS 2000000000
#define CALL_DEADLINE_NS 500000000

struct hr_block {
    int kind;
    size_t size;
    unsigned char *bytes; /* owned */
};

struct hr_trace {
    struct hr_target *target; /* borrowed */
    pid_t pid;
    int64_t began;
    sigset_t own_mask;       /* of this process, to put back */
    int own_policy, hurried; /* scheduling, to put back */
    struct sched_param own_priority;
    struct hr_registers saved;
    struct hr_block blocks[MAX_BLOCKS];
    uint64_t saved_mask;
    unsigned char before_pc[4], at_pc[4];
    int prepared;  /* the target's mask is ours */
    int at_signal; /* the last stop can inject a signal */
    uint64_t trap; /* address of a trap instruction, or 0 */
    siginfo_t remembered[MAX_REMEMBERED];
    int remembered_count;
};

enum hr_stop {
    STOP_INTERRUPT, /* ours, or a mere notice */
    STOP_GROUP,     /* the whole process was stopped */
    STOP_SIGNAL,    /* a signal is about to be delivered */
    STOP_ENDED,
    STOP_LATE, /* deadline */
};

/* Waits for the thread's next stop; *signal_number is what goes with it. */
enum hr_stop hr_trace_wait(pid_t pid, int64_t length_ns, int *signal_number);
int hr_trace_fail_ended(struct hr_target *target);
/* PTRACE_GETREGSET or PTRACE_SETREGSET of one block; *size in and out. */
int hr_trace_transfer(pid_t pid, int request, int kind, void *bytes,
                      size_t *size);
int hr_trace_set_registers(struct hr_trace *trace,
                           const struct hr_registers *registers);

#endif
