/* Below 3.14: the text goes into memory of its own in the target, and a
 * pending call of PyRun_SimpleString(text) into the interpreter's queue.
 *
 * Neither needs the GIL, malloc or the dynamic linker in the target, which is
 * what makes it safe at almost any instruction.  The one lock on the way, that
 * of the queue, might be held by the very thread that was stopped, for a few
 * instructions.  So a stop at a calm place is preferred (inside a system call,
 * inside the evaluation loop, neither of which holds it), and the call has a
 * deadline.
 *
 * 3.9 to 3.11 run pending calls on the main thread only; 3.12 and 3.13 on any
 * thread, when asked through _PyEval_AddPendingCall, whose fourth parameter
 * came with 3.12.
 *
 * On 3.13 the latter takes the GIL's mutex, to find the thread to tell.  A
 * thread that was stopped while it waits for the GIL keeps that mutex from
 * being given back: glibc's pthread_cond_signal, called with the mutex held,
 * waits for the earlier sleepers to leave.  (Seen as calls that met their
 * deadline.)  But then the main thread is about to run, and the queue of the
 * main thread does as well.
 *
 * The pages with the text (and the stack of the calls, above it) stay in the
 * target: it is not known when the last reader has left them.
 */
#include "attach.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
    PAGE = 65536,  /* a multiple of every page size in use */
    STACK = 32768, /* enough for the calls below */
    CALM_TRIES = 12,
    QUEUE_TRIES = 50,
};

struct room {
    uint64_t text, stack_end, size;
};

static int
allocate_room(struct hr_trace *trace, struct hr_target *target, size_t length,
              struct room *room)
{
    room->size = (length + STACK + PAGE - 1) / PAGE * PAGE;
    uint64_t arguments[6] = {0,
                             room->size,
                             PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS,
                             (uint64_t)-1,
                             0};
    int64_t address;
    if (hr_trace_syscall(trace, SYS_mmap, arguments, &address) < 0) {
        return -1;
    }
    if (address < 0 && address > -4096) {
        return hr_fail(target, HR_ATTACH_REMOTE_CALL,
                       "Process %d got no memory (%s). Raise its limit of "
                       "address space (prlimit --as) or free some.",
                       (int)target->pid, strerror((int)-address));
    }
    room->text = (uint64_t)address;
    room->stack_end = room->text + room->size;
    return 0;
}

static void
free_room(struct hr_trace *trace, const struct room *room)
{
    uint64_t arguments[6] = {room->text, room->size, 0, 0, 0, 0};
    int64_t ignored;
    hr_trace_syscall(trace, SYS_munmap, arguments, &ignored);
}

static int
fail_finalizing(struct hr_target *target, const char *what)
{
    return hr_fail(target, HR_ATTACH_FINALIZING,
                   "The interpreter of process %d is %s. %s", (int)target->pid,
                   what,
                   strcmp(what, "shutting down") == 0
                       ? "There is nothing left to attach to."
                       : "Attach again in a moment.");
}

static int
check_alive(struct hr_trace *trace, struct hr_target *target,
            const struct room *room)
{
    const struct hr_python *python = &target->python;
    uint64_t result;
    /* This first: a finalizing interpreter says that it is not initialized. */
    if (python->is_finalizing.address != 0) {
        if (hr_trace_call(trace, python->is_finalizing.address,
                          room->stack_end, NULL, 0, &result) < 0) {
            return -1;
        }
        if ((int)result != 0) {
            return fail_finalizing(target, "shutting down");
        }
    }
    if (python->is_initialized.address != 0) {
        if (hr_trace_call(trace, python->is_initialized.address,
                          room->stack_end, NULL, 0, &result) < 0) {
            return -1;
        }
        if ((int)result == 0) {
            return fail_finalizing(target, "not running yet");
        }
    }
    return 0;
}

/* 1: queued; 0: the queue is full; -1: error set. */
static int
queue_call(struct hr_trace *trace, struct hr_target *target,
           const struct room *room, struct hr_result *result)
{
    const struct hr_python *python = &target->python;
    uint64_t run = python->run_string.address, value, interpreter;
    int any_thread = python->minor == 12 ||
                     (python->minor > 12 && !hr_trace_is_at_gil(trace));
    if (any_thread && python->add_pending_call_to.address != 0 &&
        python->interpreter_main.address != 0) {
        if (hr_trace_call(trace, python->interpreter_main.address,
                          room->stack_end, NULL, 0, &interpreter) < 0) {
            return -1;
        }
        if (interpreter == 0) {
            return fail_finalizing(target, "not running yet");
        }
        uint64_t arguments[] = {interpreter, run, room->text, 0};
        if (hr_trace_call(trace, python->add_pending_call_to.address,
                          room->stack_end, arguments, 4, &value) < 0) {
            return -1;
        }
        result->way = "pending call on any thread";
    }
    else {
        uint64_t arguments[] = {run, room->text};
        if (hr_trace_call(trace, python->add_pending_call.address,
                          room->stack_end, arguments, 2, &value) < 0) {
            return -1;
        }
        result->way = "pending call on the main thread";
    }
    return (int)value == 0;
}

/* With the thread stopped: 1 queued, 0 queue full, -1 error set. */
static int
inject_stopped(struct hr_trace *trace, struct hr_target *target,
               const char *text, struct hr_result *result)
{
    struct room room = {0, 0, 0};
    size_t length = strlen(text) + 1;
    if (allocate_room(trace, target, length, &room) < 0) {
        return -1;
    }
    int done = -1;
    if (hr_process_write(target, room.text, text, length) < 0) {
        hr_fail(target, HR_ATTACH_SECCOMP,
                "The memory of process %d cannot be written, though it may "
                "be traced: a filter on this side (seccomp) forbids "
                "process_vm_writev. Attach from outside of the container.",
                (int)target->pid);
    }
    else if (check_alive(trace, target, &room) == 0) {
        done = queue_call(trace, target, &room, result);
    }
    if (done != 1 && target->error.status != HR_ATTACH_REMOTE_CALL &&
        target->error.status != HR_ATTACH_DIED) {
        free_room(trace, &room);
    }
    return done;
}

static void
end_stop(struct hr_trace *trace, int wake, struct hr_result *result)
{
    double pause = (double)hr_trace_end(trace, wake) / 1000.0;
    result->stops++;
    if (pause > result->pause_us) {
        result->pause_us = pause;
    }
}

static int
inject_once(struct hr_target *target, const char *text,
            struct hr_result *result)
{
    struct hr_trace *trace;
    for (int i = 0;; i++) {
        if (hr_trace_stop(target, &trace) < 0) {
            return -1;
        }
        int in_sequence = hr_trace_in_sequence(trace);
        if (!in_sequence && (i >= CALM_TRIES || hr_trace_is_calm(trace))) {
            break;
        }
        end_stop(trace, 0, result);
        if (in_sequence && i >= 10 * CALM_TRIES) {
            return hr_fail(target, HR_ATTACH_UNSAFE,
                           "The main thread of process %d could not be "
                           "stopped outside of a restartable sequence "
                           "(rseq). Attach again.",
                           (int)target->pid);
        }
        /* Not a multiple of anything that the target may do. */
        hr_sleep_us(100 + (unsigned)i * 37);
    }
    int done = inject_stopped(trace, target, text, result);
    end_stop(trace, done == 1, result);
    return done;
}

int
hr_inject(struct hr_target *target, const char *text, struct hr_result *result)
{
    for (int i = 0; i < QUEUE_TRIES; i++) {
        int done = inject_once(target, text, result);
        if (done != 0) {
            return done < 0 ? -1 : 0;
        }
        hr_sleep_us(5000);
    }
    return hr_fail(target, HR_ATTACH_QUEUE_FULL,
                   "The queue of pending calls of process %d is full and "
                   "stays full: its main thread has been blocked for long. "
                   "Attach again when it runs.",
                   (int)target->pid);
}
