/* System calls and function calls inside a stopped thread.
 *
 * System calls are made by one single step over a trap instruction that is
 * there anyway (where the thread is blocked, or in the vDSO): no stack is
 * touched, errno neither.  Functions are called on a stack of our own with
 * return address 0; the SIGSEGV of the return is seen by the tracer only.  A
 * call that is given up at its deadline therefore leaves nothing that the
 * target's own stack would overwrite.
 *
 * Each has a deadline.  What other stops happen on the way is of no account:
 * a signal is remembered for the end, a group stop takes effect when the
 * thread is let go.
 */
#include "attach.h"
#include "remote.h"
#include "trace.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

/* Before the first thing that is run in the target. */
static int
prepare(struct hr_trace *trace)
{
    if (trace->prepared) {
        return 0;
    }
    uint64_t mask = ~(uint64_t)0;
    static const int faults[] = {SIGSEGV, SIGTRAP, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        mask &= ~((uint64_t)1 << (faults[i] - 1));
    }
    if (ptrace(PTRACE_SETSIGMASK, trace->pid, sizeof(mask), &mask) < 0) {
        return hr_fail(trace->target, HR_ATTACH_INTERNAL,
                       "The signal mask of process %d cannot be set: %s.",
                       (int)trace->pid, strerror(errno));
    }
    trace->prepared = 1;
    return 0;
}

static void
remember_signal(struct hr_trace *trace, const siginfo_t *info)
{
    if (trace->remembered_count < MAX_REMEMBERED) {
        trace->remembered[trace->remembered_count++] = *info;
    }
}

/* Lets the thread run until the kernel raises `expected`; STOP_SIGNAL then,
   or what ended the wait. */
static enum hr_stop
run_until(struct hr_trace *trace, int request, int expected, int64_t deadline)
{
    for (;;) {
        int number = 0;
        if (ptrace(request, trace->pid, 0, 0) < 0) {
            return STOP_ENDED;
        }
        int64_t left = deadline - hr_now_ns();
        enum hr_stop stop =
            hr_trace_wait(trace->pid, left > 0 ? left : 0, &number);
        trace->at_signal = stop == STOP_SIGNAL;
        if (stop == STOP_LATE) {
            ptrace(PTRACE_INTERRUPT, trace->pid, 0, 0);
            stop = hr_trace_wait(trace->pid, STOP_DEADLINE_NS, &number);
            trace->at_signal = stop == STOP_SIGNAL;
            return stop == STOP_ENDED ? STOP_ENDED : STOP_LATE;
        }
        if (stop == STOP_ENDED) {
            return stop;
        }
        if (stop != STOP_SIGNAL) {
            continue;
        }
        siginfo_t info;
        if (ptrace(PTRACE_GETSIGINFO, trace->pid, 0, &info) < 0) {
            return STOP_ENDED;
        }
        if (info.si_code > 0) {
            /* From the kernel, so from what we run. */
            return number == expected ? STOP_SIGNAL : STOP_LATE;
        }
        remember_signal(trace, &info);
    }
}

/* Sets the registers, runs, and reads them again. */
static int
run_registers(struct hr_trace *trace, struct hr_registers *registers,
              int request, int expected, uint64_t *pc)
{
    size_t size = sizeof(*registers);
    struct hr_target *target = trace->target;
    if (hr_trace_set_registers(trace, registers) < 0 ||
        hr_remote_forget_syscall(trace->pid) < 0) {
        return hr_fail(target, HR_ATTACH_REMOTE_CALL,
                       "The registers of process %d cannot be set: %s.",
                       (int)trace->pid, strerror(errno));
    }
    switch (
        run_until(trace, request, expected, hr_now_ns() + CALL_DEADLINE_NS)) {
    case STOP_ENDED:
        return hr_trace_fail_ended(target);
    case STOP_SIGNAL:
        break;
    default:
        return hr_fail(target, HR_ATTACH_REMOTE_CALL,
                       "A call inside process %d did not come back in time. "
                       "Its state was put back; attach again.",
                       (int)trace->pid);
    }
    if (hr_trace_transfer(trace->pid, PTRACE_GETREGSET, NT_PRSTATUS, registers,
                          &size) < 0) {
        return hr_trace_fail_ended(target);
    }
    *pc = hr_remote_pc(registers);
    return 0;
}

/* ---- system calls ---- */

struct trap_search {
    struct hr_trace *trace;
    int vdso_only;
};

static int
search_map(void *context, const struct hr_map *map)
{
    struct trap_search *search = context;
    struct hr_trace *trace = search->trace;
    if (map->permissions[0] != 'r' || map->permissions[2] != 'x' ||
        (search->vdso_only && strcmp(map->path, "[vdso]") != 0)) {
        return 0;
    }
    size_t size = map->end - map->start;
    size = size < 1 << 20 ? size : 1 << 20;
    unsigned char *bytes = malloc(size);
    if (bytes != NULL &&
        hr_process_read(trace->target, map->start, bytes, size) == 0) {
        unsigned char *found =
            memmem(bytes, size, hr_remote_trap, hr_remote_trap_size);
        if (found != NULL &&
            (hr_remote_trap_size != 4 || (found - bytes) % 4 == 0)) {
            trace->trap = map->start + (uint64_t)(found - bytes);
        }
    }
    free(bytes);
    return trace->trap != 0;
}

static int
find_trap(struct hr_trace *trace)
{
    uint64_t pc = hr_remote_pc(&trace->saved);
    size_t size = hr_remote_trap_size;
    if (trace->trap == 0 &&
        memcmp(trace->before_pc + 4 - size, hr_remote_trap, size) == 0) {
        trace->trap = pc - size;
    }
    for (int vdso_only = 1; trace->trap == 0 && vdso_only >= 0; vdso_only--) {
        struct trap_search search = {trace, vdso_only};
        hr_process_maps(trace->pid, search_map, &search);
    }
    if (trace->trap == 0) {
        return hr_fail(trace->target, HR_ATTACH_INTERNAL,
                       "Process %d has no readable code that enters the "
                       "kernel.",
                       (int)trace->pid);
    }
    return 0;
}

int
hr_trace_syscall(struct hr_trace *trace, long number,
                 const uint64_t arguments[6], int64_t *result)
{
    struct hr_registers registers = trace->saved;
    uint64_t pc = 0;
    if (find_trap(trace) < 0 || prepare(trace) < 0) {
        return -1;
    }
    hr_remote_set_syscall(&registers, trace->trap, number, arguments);
    if (run_registers(trace, &registers, PTRACE_SINGLESTEP, SIGTRAP, &pc) <
        0) {
        return -1;
    }
    if (pc != trace->trap + hr_remote_trap_size) {
        return hr_fail(trace->target, HR_ATTACH_REMOTE_CALL,
                       "A system call inside process %d went astray. Its "
                       "state was put back; attach again.",
                       (int)trace->pid);
    }
    *result = hr_remote_result(&registers);
    return 0;
}

/* ---- calls ---- */

int
hr_trace_call(struct hr_trace *trace, uint64_t function, uint64_t stack,
              const uint64_t *arguments, int count, uint64_t *result)
{
    struct hr_registers registers = trace->saved;
    uint64_t slot, pc = 0, zero = 0;
    if (prepare(trace) < 0) {
        return -1;
    }
    hr_remote_set_call(&registers, function, stack, arguments, count, &slot);
    if (slot != 0 &&
        hr_process_write(trace->target, slot, &zero, sizeof(zero)) < 0) {
        return hr_fail(trace->target, HR_ATTACH_REMOTE_CALL,
                       "The memory of process %d cannot be written: %s.",
                       (int)trace->pid, strerror(errno));
    }
    if (run_registers(trace, &registers, PTRACE_CONT, SIGSEGV, &pc) < 0) {
        return -1;
    }
    if (pc != 0) {
        return hr_fail(trace->target, HR_ATTACH_REMOTE_CALL,
                       "A call inside process %d failed at address %#llx. "
                       "Its state was put back; please report this.",
                       (int)trace->pid, (unsigned long long)pc);
    }
    *result = (uint64_t)hr_remote_result(&registers);
    return 0;
}
