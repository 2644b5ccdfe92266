/* Registers of a stopped thread: what differs between architectures.
 *
 * Included by ptrace.c and by the remote_*.c files, one of which compiles to
 * something.  `struct hr_registers` is the whole general register set as
 * PTRACE_GETREGSET gives it; floating point and vector registers are saved
 * by ptrace.c as opaque blocks, of the kinds named in hr_remote_blocks.
 */
#ifndef HR_ATTACH_REMOTE_H
#define HR_ATTACH_REMOTE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#if defined(__x86_64__)
struct hr_registers {
    struct user_regs_struct user;
};
#elif defined(__aarch64__)
struct hr_registers {
    struct user_regs_struct user;
};
#else
#error "hot-reload-attach is written for x86-64 and aarch64"
#endif

/* NT_ numbers of the register blocks to keep, first to restore first. */
extern const int hr_remote_blocks[];
extern const size_t hr_remote_block_count;

/* Bytes of the instruction that enters the kernel. */
extern const unsigned char hr_remote_trap[];
extern const size_t hr_remote_trap_size;

uint64_t hr_remote_pc(const struct hr_registers *registers);
int64_t hr_remote_result(const struct hr_registers *registers);
/* Was the thread stopped inside a system call (or just before it enters)? */
int hr_remote_in_syscall(const struct hr_registers *registers,
                         const unsigned char before_pc[4],
                         const unsigned char at_pc[4]);
/* Ready to execute the trap instruction at `pc`. */
void hr_remote_set_syscall(struct hr_registers *registers, uint64_t pc,
                           long number, const uint64_t arguments[6]);
/* Ready to execute `function`, which will return to address 0.  The return
   address is to be written to *slot (0: kept in a register). */
void hr_remote_set_call(struct hr_registers *registers, uint64_t function,
                        uint64_t stack, const uint64_t *arguments, int count,
                        uint64_t *slot);
/* The address that a futex call is about which the thread is in; 0: it is in
   none. */
uint64_t hr_remote_futex(const struct hr_registers *registers,
                         const unsigned char at_pc[4]);
/* If the thread waits in futex(FUTEX_WAIT), let that return EINTR: 1. */
int hr_remote_wake_futex(struct hr_registers *registers,
                         const unsigned char at_pc[4]);
/* After the general registers were set: nothing of a system call that was
   under way may be restarted at our own instructions. */
int hr_remote_forget_syscall(pid_t pid);

#endif
