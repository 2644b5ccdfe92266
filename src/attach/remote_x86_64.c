/* Registers of a stopped x86-64 thread. */
#if defined(__x86_64__)

#include "remote.h"

#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

/* What the kernel leaves in rax of an interrupted system call, for itself. */
enum { ERESTARTSYS = 512, ERESTART_RESTARTBLOCK = 516 };

const int hr_remote_blocks[] = {NT_X86_XSTATE};
const size_t hr_remote_block_count = 1;

const unsigned char hr_remote_trap[] = {0x0f, 0x05}; /* syscall */
const size_t hr_remote_trap_size = sizeof(hr_remote_trap);

uint64_t
hr_remote_pc(const struct hr_registers *registers)
{
    return registers->user.rip;
}

int64_t
hr_remote_result(const struct hr_registers *registers)
{
    return (int64_t)registers->user.rax;
}

int
hr_remote_in_syscall(const struct hr_registers *registers,
                     const unsigned char before_pc[4],
                     const unsigned char at_pc[4])
{
    (void)at_pc;
    return (int64_t)registers->user.orig_rax >= 0 &&
           memcmp(before_pc + 2, hr_remote_trap, 2) == 0;
}

/* orig_rax -1: the kernel must not take the registers for those of a system
   call to restart.  eflags: direction and trap flag clear, as the ABI says. */
static void
leave_syscall(struct hr_registers *registers)
{
    registers->user.orig_rax = (unsigned long long)-1;
    registers->user.eflags &= ~(0x400ull | 0x100ull);
}

void
hr_remote_set_syscall(struct hr_registers *registers, uint64_t pc, long number,
                      const uint64_t arguments[6])
{
    struct user_regs_struct *user = &registers->user;
    leave_syscall(registers);
    user->rip = pc;
    user->rax = (unsigned long long)number;
    user->rdi = arguments[0];
    user->rsi = arguments[1];
    user->rdx = arguments[2];
    user->r10 = arguments[3];
    user->r8 = arguments[4];
    user->r9 = arguments[5];
}

void
hr_remote_set_call(struct hr_registers *registers, uint64_t function,
                   uint64_t stack, const uint64_t *arguments, int count,
                   uint64_t *slot)
{
    struct user_regs_struct *user = &registers->user;
    uint64_t padded[4] = {0, 0, 0, 0};
    for (int i = 0; i < count; i++) {
        padded[i] = arguments[i];
    }
    leave_syscall(registers);
    user->rdi = padded[0];
    user->rsi = padded[1];
    user->rdx = padded[2];
    user->rcx = padded[3];
    user->rax = 0;
    user->rbp = 0;
    user->rip = function;
    /* At a function's first instruction rsp + 8 is a multiple of 16. */
    user->rsp = (stack & ~15ull) - 8;
    *slot = user->rsp;
}

uint64_t
hr_remote_futex(const struct hr_registers *registers,
                const unsigned char at_pc[4])
{
    (void)at_pc;
    return (int64_t)registers->user.orig_rax == SYS_futex ? registers->user.rdi
                                                          : 0;
}

int
hr_remote_wake_futex(struct hr_registers *registers,
                     const unsigned char at_pc[4])
{
    struct user_regs_struct *user = &registers->user;
    (void)at_pc;
    int command = (int)user->rsi & FUTEX_CMD_MASK;
    int64_t left = (int64_t)user->rax;
    if ((int64_t)user->orig_rax != SYS_futex ||
        (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET) ||
        (left != -ERESTARTSYS && left != -ERESTART_RESTARTBLOCK)) {
        return 0;
    }
    user->orig_rax = (unsigned long long)-1;
    user->rax = (unsigned long long)-EINTR;
    return 1;
}

int
hr_remote_forget_syscall(pid_t pid)
{
    (void)pid; /* orig_rax is part of the general registers */
    return 0;
}

#else
typedef int hr_remote_x86_64_is_empty;
#endif
