/* Stopping one thread, and leaving no trace in it.
 *
 * Only the main thread is stopped (PTRACE_SEIZE and PTRACE_INTERRUPT); the
 * others run on.  What is saved at the stop and put back at the end: general
 * and vector registers and the signal mask.  While the thread is ours, every
 * signal that can be blocked is, so that the target's own signals stay queued
 * in the kernel with all that they carry.  The few that cannot be blocked (and
 * faults that somebody sends by kill) are remembered and delivered at the end.
 *
 * Hazards
 * - This process must not end while the thread has foreign registers, so all
 *   of its own signals are blocked meanwhile (SIGKILL remains).
 * - An interrupted system call restarts because the kernel finds its own
 *   marks in the registers put back, and only if it sees them at the stop of
 *   a signal: all last stops here are of that kind.
 * - A fault is forced on a target that blocks or ignores its signal by
 *   resetting the handler: hence the unblocked five, and checks.c refuses
 *   targets that ignore them.
 */
#include "attach.h"
#include "remote.h"
#include "trace.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

enum { MAX_BLOCK_SIZE = 32768 };
#define RETRY_NS 1000000000

/* ---- waiting for stops ---- */

static void
block_own_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, before);
    signal(SIGCHLD, SIG_DFL);
}

/* On a loaded machine most of a stop is waiting for a processor.  Root may go
   first; others are refused, which is of no account. */
static void
hurry(struct hr_trace *trace)
{
    struct sched_param first = {.sched_priority = 1};
    trace->own_policy = sched_getscheduler(0);
    trace->hurried = sched_getparam(0, &trace->own_priority) == 0 &&
                     trace->own_policy == SCHED_OTHER &&
                     sched_setscheduler(0, SCHED_RR, &first) == 0;
}

static void
calm_down(struct hr_trace *trace)
{
    if (trace->hurried) {
        sched_setscheduler(0, trace->own_policy, &trace->own_priority);
    }
}

enum hr_stop
hr_trace_wait(pid_t pid, int64_t length_ns, int *signal_number)
{
    int64_t deadline = hr_now_ns() + length_ns;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        int status;
        pid_t got = waitpid(pid, &status, WNOHANG | __WALL);
        if (got < 0 || (got == pid && !WIFSTOPPED(status))) {
            return STOP_ENDED;
        }
        if (got == pid) {
            *signal_number = WSTOPSIG(status);
            if (status >> 16 == 0) {
                return STOP_SIGNAL;
            }
            return *signal_number == SIGTRAP ? STOP_INTERRUPT : STOP_GROUP;
        }
        int64_t left = deadline - hr_now_ns();
        if (left <= 0) {
            return STOP_LATE;
        }
        struct timespec wait = {left / 1000000000, left % 1000000000};
        sigtimedwait(&child, NULL, &wait);
    }
}

int
hr_trace_fail_ended(struct hr_target *target)
{
    return hr_fail(target, HR_ATTACH_DIED,
                   "Process %d ended while it was being attached to.",
                   (int)target->pid);
}

/* ---- saving and restoring ---- */

int
hr_trace_transfer(pid_t pid, int request, int kind, void *bytes, size_t *size)
{
    struct iovec block = {bytes, *size};
    if (ptrace(request, pid, kind, &block) < 0) {
        return -1;
    }
    *size = block.iov_len;
    return 0;
}

static int
save_blocks(struct hr_trace *trace)
{
    for (size_t i = 0; i < hr_remote_block_count && i < MAX_BLOCKS; i++) {
        struct hr_block *block = &trace->blocks[i];
        block->kind = hr_remote_blocks[i];
        block->size = MAX_BLOCK_SIZE;
        block->bytes = malloc(block->size);
        if (block->bytes == NULL ||
            hr_trace_transfer(trace->pid, PTRACE_GETREGSET, block->kind,
                              block->bytes, &block->size) < 0) {
            free(block->bytes);
            block->bytes = NULL;
        }
    }
    return trace->blocks[0].bytes != NULL ? 0 : -1;
}

static int
save_state(struct hr_trace *trace)
{
    size_t size = sizeof(trace->saved);
    if (hr_trace_transfer(trace->pid, PTRACE_GETREGSET, NT_PRSTATUS,
                          &trace->saved, &size) < 0 ||
        save_blocks(trace) < 0 ||
        ptrace(PTRACE_GETSIGMASK, trace->pid, sizeof(trace->saved_mask),
               &trace->saved_mask) < 0) {
        return hr_fail(trace->target, HR_ATTACH_INTERNAL,
                       "The registers of process %d cannot be read: %s.",
                       (int)trace->pid, strerror(errno));
    }
    uint64_t pc = hr_remote_pc(&trace->saved);
    if (pc >= 4) {
        hr_process_read(trace->target, pc - 4, trace->before_pc, 4);
        hr_process_read(trace->target, pc, trace->at_pc, 4);
    }
    return 0;
}

int
hr_trace_set_registers(struct hr_trace *trace,
                       const struct hr_registers *registers)
{
    struct hr_registers copy = *registers;
    size_t size = sizeof(copy);
    return hr_trace_transfer(trace->pid, PTRACE_SETREGSET, NT_PRSTATUS, &copy,
                             &size);
}

/* ---- stop ---- */

static int
seize(struct hr_target *target)
{
    int64_t deadline = hr_now_ns() + RETRY_NS;
    int free_tries = 0;
    while (ptrace(PTRACE_SEIZE, target->pid, 0, 0) < 0) {
        int error = errno;
        if (error == ESRCH || hr_process_status(target) < 0) {
            return hr_trace_fail_ended(target);
        }
        /* Another attacher is done in a moment, a debugger is not; and one
           that was there a moment ago is not seen any more. */
        if (target->tracer == 0) {
            free_tries++;
        }
        if (error != EPERM || free_tries == 5 || hr_now_ns() > deadline) {
            return hr_checks_explain(target, "ptrace", error);
        }
        hr_sleep_us(2000);
    }
    return 0;
}

static int
wait_first_stop(struct hr_trace *trace)
{
    struct hr_target *target = trace->target;
    for (;;) {
        int number = 0;
        switch (hr_trace_wait(trace->pid, STOP_DEADLINE_NS, &number)) {
        case STOP_INTERRUPT:
            return 0;
        case STOP_SIGNAL:
            /* It was on its way before us: let it through. */
            if (ptrace(PTRACE_CONT, trace->pid, 0, number) < 0) {
                return hr_trace_fail_ended(target);
            }
            break;
        case STOP_GROUP:
            return hr_fail(target, HR_ATTACH_STOPPED,
                           "Process %d was stopped just now. Continue it "
                           "(kill -CONT %d) and attach again.",
                           (int)trace->pid, (int)trace->pid);
        case STOP_ENDED:
            return hr_trace_fail_ended(target);
        case STOP_LATE:
            /* It cannot be detached while it runs; our end detaches it. */
            return hr_fail(target, HR_ATTACH_BLOCKED,
                           "The main thread of process %d cannot be "
                           "interrupted: it waits inside the kernel (a slow "
                           "disk, a network file system). Nothing was "
                           "changed; attach again later.",
                           (int)trace->pid);
        }
    }
}

int
hr_trace_stop(struct hr_target *target, struct hr_trace **result)
{
    struct hr_trace *trace = calloc(1, sizeof(*trace));
    if (trace == NULL) {
        return hr_fail(target, HR_ATTACH_INTERNAL, "Out of memory.");
    }
    trace->target = target;
    trace->pid = target->pid;
    block_own_signals(&trace->own_mask);
    if (seize(target) < 0) {
        sigprocmask(SIG_SETMASK, &trace->own_mask, NULL);
        free(trace);
        return -1;
    }
    hurry(trace);
    trace->began = hr_now_ns();
    if (ptrace(PTRACE_INTERRUPT, trace->pid, 0, 0) < 0) {
        hr_trace_fail_ended(target);
    }
    else if (wait_first_stop(trace) == 0 && save_state(trace) == 0) {
        *result = trace;
        return 0;
    }
    hr_trace_end(trace, 0);
    return -1;
}

/* ---- where it was stopped ---- */

int
hr_trace_is_calm(struct hr_trace *trace)
{
    const struct hr_symbol *eval = &trace->target->python.eval_frame;
    uint64_t pc = hr_remote_pc(&trace->saved);
    return hr_remote_in_syscall(&trace->saved, trace->before_pc,
                                trace->at_pc) ||
           (eval->address != 0 && pc >= eval->address &&
            pc - eval->address < eval->size);
}

int
hr_trace_is_at_gil(struct hr_trace *trace)
{
    /* The GIL of the main interpreter is a part of _PyRuntime. */
    const struct hr_symbol *runtime = &trace->target->python.runtime;
    uint64_t futex = hr_remote_futex(&trace->saved, trace->at_pc);
    return !hr_trace_is_calm(trace) || runtime->address == 0 ||
           futex == (uint64_t)-1 ||
           (futex >= runtime->address &&
            futex - runtime->address < runtime->size);
}

int
hr_trace_in_sequence(struct hr_trace *trace)
{
    /* The kernel's and the C library's fixed layouts; see rseq(2). */
    struct {
        uint64_t address;
        uint32_t size, signature, flags, padding;
    } registered;
    struct {
        uint32_t version, flags;
        uint64_t start, length, abort;
    } sequence;
    uint64_t pc = hr_remote_pc(&trace->saved), pointer = 0;
    enum { POINTER_OFFSET = 8 };
    return ptrace(PTRACE_GET_RSEQ_CONFIGURATION, trace->pid,
                  sizeof(registered), &registered) == sizeof(registered) &&
           registered.address != 0 &&
           hr_process_read(trace->target, registered.address + POINTER_OFFSET,
                           &pointer, sizeof(pointer)) == 0 &&
           pointer != 0 &&
           hr_process_read(trace->target, pointer, &sequence,
                           sizeof(sequence)) == 0 &&
           pc - sequence.start < sequence.length;
}

/* ---- end ---- */

/* A lock that Python waits for is a futex.  Restarted, the main thread of
   3.9 to 3.13 would sleep on and not look at its pending calls; after EINTR,
   which every user of futexes must expect, it does, and then waits again. */
static void
restore_state(struct hr_trace *trace, int wake)
{
    struct hr_registers registers = trace->saved;
    if (wake) {
        hr_remote_wake_futex(&registers, trace->at_pc);
    }
    for (int i = 0; i < MAX_BLOCKS; i++) {
        struct hr_block *block = &trace->blocks[i];
        if (block->bytes != NULL) {
            size_t size = block->size;
            hr_trace_transfer(trace->pid, PTRACE_SETREGSET, block->kind,
                              block->bytes, &size);
        }
    }
    hr_trace_set_registers(trace, &registers);
    ptrace(PTRACE_SETSIGMASK, trace->pid, sizeof(trace->saved_mask),
           &trace->saved_mask);
}

/* Stopping and continuing are not queued in order: SIGCONT undoes stops at
   the moment it is sent.  A SIGSTOP that was remembered must not follow a
   SIGCONT that came after it, which waits, blocked. */
static int
was_continued(struct hr_trace *trace)
{
    return hr_process_status(trace->target) == 0 &&
           (trace->target->pending >> (SIGCONT - 1) & 1) != 0;
}

/* Lets go; the first remembered signal goes with it, the others are sent
   again. */
static void
detach(struct hr_trace *trace)
{
    int first = 0;
    for (int i = 0; i < trace->remembered_count; i++) {
        siginfo_t *info = &trace->remembered[i];
        if (info->si_signo == SIGSTOP && was_continued(trace)) {
            continue;
        }
        if (i == 0 && trace->at_signal) {
            first = info->si_signo;
            ptrace(PTRACE_SETSIGINFO, trace->pid, 0, info);
        }
        else {
            syscall(SYS_tgkill, trace->pid, trace->pid, info->si_signo);
        }
    }
    ptrace(PTRACE_DETACH, trace->pid, 0, first);
}

int64_t
hr_trace_end(struct hr_trace *trace, int wake)
{
    if (trace->prepared) {
        restore_state(trace, wake);
    }
    detach(trace);
    int64_t length = hr_now_ns() - trace->began;
    calm_down(trace);
    /* A SIGCHLD of ours is left over from the stops. */
    sigset_t child;
    struct timespec none = {0, 0};
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while (sigtimedwait(&child, NULL, &none) == SIGCHLD) {
    }
    sigprocmask(SIG_SETMASK, &trace->own_mask, NULL);
    for (int i = 0; i < MAX_BLOCKS; i++) {
        free(trace->blocks[i].bytes);
    }
    free(trace);
    return length;
}
