/* Registers of a stopped aarch64 thread.  Compiled, never run: untested.
 *
 * Differences to x86-64: the return address is in x30.  When a stop
 * interrupts a system call, the kernel has already moved the pc back to the
 * svc instruction and x0 to its first argument before the tracer sees the
 * registers, so that putting them back restarts the call by itself.  (A
 * relative sleep then starts anew with its whole length.)
 */
#if defined(__aarch64__)

#include "remote.h"

#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif
#ifndef NT_ARM_SVE
#define NT_ARM_SVE 0x405
#endif

/* SVE last: its low parts are the floating point registers. */
const int hr_remote_blocks[] = {NT_PRFPREG, NT_ARM_SVE};
const size_t hr_remote_block_count = 2;

const unsigned char hr_remote_trap[] = {0x01, 0x00, 0x00, 0xd4}; /* svc 0 */
const size_t hr_remote_trap_size = sizeof(hr_remote_trap);

uint64_t
hr_remote_pc(const struct hr_registers *registers)
{
    return registers->user.pc;
}

int64_t
hr_remote_result(const struct hr_registers *registers)
{
    return (int64_t)registers->user.regs[0];
}

int
hr_remote_in_syscall(const struct hr_registers *registers,
                     const unsigned char before_pc[4],
                     const unsigned char at_pc[4])
{
    (void)registers;
    return memcmp(at_pc, hr_remote_trap, 4) == 0 ||
           memcmp(before_pc, hr_remote_trap, 4) == 0;
}

void
hr_remote_set_syscall(struct hr_registers *registers, uint64_t pc, long number,
                      const uint64_t arguments[6])
{
    registers->user.pc = pc;
    registers->user.regs[8] = (uint64_t)number;
    memcpy(registers->user.regs, arguments, 6 * sizeof(*arguments));
    registers->user.pstate &= ~0xc00ull; /* BTYPE */
}

void
hr_remote_set_call(struct hr_registers *registers, uint64_t function,
                   uint64_t stack, const uint64_t *arguments, int count,
                   uint64_t *slot)
{
    for (int i = 0; i < count; i++) {
        registers->user.regs[i] = arguments[i];
    }
    registers->user.regs[29] = 0;
    registers->user.regs[30] = 0;
    registers->user.pc = function;
    registers->user.sp = stack & ~15ull;
    registers->user.pstate &= ~0xc00ull;
    *slot = 0;
}

uint64_t
hr_remote_futex(const struct hr_registers *registers,
                const unsigned char at_pc[4])
{
    /* After it has returned, the address is gone from x0: any will do. */
    if (registers->user.regs[8] != SYS_futex) {
        return 0;
    }
    return memcmp(at_pc, hr_remote_trap, 4) == 0 ? registers->user.regs[0]
                                                 : (uint64_t)-1;
}

int
hr_remote_wake_futex(struct hr_registers *registers,
                     const unsigned char at_pc[4])
{
    /* Whether it waited already or was about to enter is not visible, and
       makes no difference: EINTR is a right answer in both cases. */
    int command = (int)registers->user.regs[1] & FUTEX_CMD_MASK;
    if (registers->user.regs[8] != SYS_futex ||
        memcmp(at_pc, hr_remote_trap, 4) != 0 ||
        (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET)) {
        return 0;
    }
    registers->user.regs[0] = (uint64_t)-EINTR;
    registers->user.pc += 4;
    return 1;
}

int
hr_remote_forget_syscall(pid_t pid)
{
    int none = -1;
    struct iovec block = {&none, sizeof(none)};
    return (int)ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &block);
}

#else
typedef int hr_remote_aarch64_is_empty;
#endif
