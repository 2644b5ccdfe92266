/* hot-reload-attach: bring the engine into a running CPython process.
 *
 * One executable, pure C11; it links no libpython and needs no debugger.  The
 * way of an attach:
 *
 *   main.c       arguments, what is printed, the exit status
 *   checks.c     everything that can be wrong, in order, each with a sentence
 *   process.c    reading /proc/PID and the target's memory
 *   elf.c        symbols of one ELF file
 *   python.c     which CPython the target runs, and where its functions are
 *   bootstrap.c  the Python text that the target will run
 *   inject.c     below 3.14: text into the target, pending call (ptrace)
 *   ptrace.c     stop, save, put back, let go
 *   call.c       system calls and function calls in the stopped thread
 *   remote_*.c   the same in registers, one file per architecture
 *   pep768.c     3.14: the interpreter's own remote debugging interface
 *   ack.c        the folder of the acknowledgement, waiting for it
 *   blocked.c    what the main thread is waiting in, when none comes
 *
 * Rules.  Nothing but inject.c stops the target, and whatever happens there,
 * the registers, the signal mask and every signal of the target are put back
 * before it goes on.  No function here runs in the target's memory image:
 * what the target itself does is in bootstrap.c only.
 *
 * A function that can fail returns 0, or -1 with `target->error` set (the
 * first error stays).
 */
#ifndef HR_ATTACH_H
#define HR_ATTACH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit statuses.  Name, number (fixed: scripts depend on them), meaning. */
#define HR_ATTACH_STATUSES(X)                                                 \
    X(OK, 0, "attached: the target has acknowledged")                         \
    X(INTERNAL, 1, "an unexpected failure of this program or of the system")  \
    X(USAGE, 2, "wrong arguments")                                            \
    X(NO_PROCESS, 3, "there is no such process")                              \
    X(OTHER_USER, 4, "the process belongs to another user")                   \
    X(USER_NAMESPACE, 5, "the process is in a user namespace out of reach")   \
    X(TRACED, 6, "a debugger or tracer holds the process")                    \
    X(PTRACE_SCOPE, 7, "Yama's ptrace_scope forbids it")                      \
    X(NO_PERMISSION, 8,                                                       \
      "a capability is missing, or the process is not "                       \
      "dumpable")                                                             \
    X(SECCOMP, 9, "seccomp forbids it, on either side")                       \
    X(MOUNT_NAMESPACE, 10, "no folder that both sides can reach")             \
    X(NOT_CPYTHON, 11, "the process runs no CPython")                         \
    X(VERSION, 12, "a version or build of CPython that is not supported")     \
    X(ARCHITECTURE, 13, "the process is of another architecture")             \
    X(STOPPED, 14, "the process is stopped")                                  \
    X(ZOMBIE, 15, "the process has ended and waits for its parent")           \
    X(FINALIZING, 16, "the interpreter is starting up or shutting down")      \
    X(BLOCKED, 17, "not acknowledged in time; it stays queued")               \
    X(ENGINE, 18, "the target ran the text, and the engine did not start")    \
    X(DIED, 19, "the process ended meanwhile")                                \
    X(REMOTE_CALL, 20, "a call inside the target failed; all was put back")   \
    X(QUEUE_FULL, 21, "the target's queue of pending calls is full")          \
    X(FILE_REPLACED, 22, "the interpreter's file was replaced since start")   \
    X(UNSAFE, 23,                                                             \
      "the target is in a state in which it cannot be entered "               \
      "without a trace")                                                      \
    X(INTERRUPTED, 24,                                                        \
      "given up by a signal to this program; it stays "                       \
      "queued")

enum hr_attach_status {
#define X(name, number, text) HR_ATTACH_##name = number,
    HR_ATTACH_STATUSES(X)
#undef X
};

struct hr_error {
    enum hr_attach_status status;
    char text[1024]; /* what is wrong, and what to do about it */
};

struct hr_symbol {
    uint64_t address; /* in the target; 0: not there */
    uint64_t size;
};

/* The functions of the target that may be called or looked at. */
struct hr_python {
    int major, minor; /* 0 until known */
    int shared;       /* 1: in libpython, 0: in the executable */
    int free_threaded;
    char path[512]; /* of the object that holds the symbols */
    struct hr_symbol add_pending_call;    /* Py_AddPendingCall */
    struct hr_symbol add_pending_call_to; /* _PyEval_AddPendingCall */
    struct hr_symbol interpreter_main;    /* PyInterpreterState_Main */
    struct hr_symbol run_string;          /* PyRun_SimpleString */
    struct hr_symbol is_initialized;      /* Py_IsInitialized */
    struct hr_symbol is_finalizing;       /* [_]Py_IsFinalizing */
    struct hr_symbol eval_frame;          /* _PyEval_EvalFrameDefault */
    struct hr_symbol runtime;             /* _PyRuntime */
};

struct hr_target {
    pid_t pid;
    int pidfd;  /* or -1: kernel without pidfd_open */
    int memory; /* /proc/PID/mem, or -1 */
    char state; /* the letter of /proc/PID/status */
    pid_t tracer;
    uid_t uid; /* effective user */
    gid_t gid;
    int seccomp;      /* 0 none, 1 strict, 2 filter */
    uint64_t ignored; /* signals, one bit each */
    uint64_t pending; /* signals, of the main thread and the process */
    int same_files;   /* 1: same root folder and mount namespace */
    char name[64];
    struct hr_python python;
    struct hr_error error;
};

struct hr_options {
    pid_t pid;
    int json;
    int check;
    double timeout;             /* seconds until HR_ATTACH_BLOCKED */
    const char *python_path;    /* folder with the package; or NULL */
    const char *python_version; /* X.Y that python_path is for; or NULL */
    const char *bootstrap;      /* file with another text; or NULL */
    const char *const *roots;
    size_t root_count;
};

/* What happened, for the report. */
struct hr_result {
    const char *way;        /* "pending call", ... or NULL */
    int stops;              /* how often the target was stopped */
    double pause_us;        /* the longest stop */
    double acknowledged_ms; /* from the start to the acknowledgement */
    char blocked_in[256];   /* "" unless HR_ATTACH_BLOCKED */
};

/* ---- process.c ---- */

int hr_fail(struct hr_target *target, enum hr_attach_status status,
            const char *format, ...) __attribute__((format(printf, 3, 4)));
int64_t hr_now_ns(void);
void hr_sleep_us(unsigned microseconds);
/* Reads a small file of /proc whole; a NUL behind it.  Length, or -1. */
ssize_t hr_process_slurp(pid_t pid, const char *name, char *into, size_t size);
/* Fills state, tracer, user, seccomp, name.  -1: no such process; no error is
   set. */
int hr_process_status(struct hr_target *target);
/* Device and inode of a namespace or folder link are the same as ours? 1, 0,
   or -1 when it cannot be told. */
int hr_process_same(pid_t pid, const char *name);
/* The target's memory; the whole length or -1 (errno set). */
int hr_process_read(struct hr_target *target, uint64_t address, void *into,
                    size_t size);
int hr_process_write(struct hr_target *target, uint64_t address,
                     const void *from, size_t size);
/* 1 while the process lives (a zombie does not). */
int hr_process_alive(struct hr_target *target);

struct hr_map {
    uint64_t start, end, offset, inode;
    char permissions[5];
    char path[512]; /* as the target sees it; "" anonymous */
    int deleted;
};
typedef int hr_map_visit(void *context, const struct hr_map *map);
/* Calls visit for each line of /proc/PID/maps until it returns non-zero;
   that value, 0 at the end, or -1 when it cannot be read. */
int hr_process_maps(pid_t pid, hr_map_visit *visit, void *context);

/* ---- elf.c ---- */

struct hr_elf;
enum hr_elf_result {
    HR_ELF_OK,
    HR_ELF_UNREADABLE,
    HR_ELF_NOT_ELF,
    HR_ELF_ARCHITECTURE, /* not this program's machine */
};
/* The path is one that this process can open. */
enum hr_elf_result hr_elf_open(struct hr_elf **elf, const char *path);
void hr_elf_close(struct hr_elf *elf);
/* Address in the file's own numbering, from .dynsym, else .symtab. */
int hr_elf_symbol(const struct hr_elf *elf, const char *name,
                  struct hr_symbol *symbol);
/* What must be added to such an address when the start of the file is mapped
   at `start`. */
uint64_t hr_elf_bias(const struct hr_elf *elf, uint64_t start);
/* The file's bytes at such an address (read-only data); NULL: none. */
const void *hr_elf_data(const struct hr_elf *elf, uint64_t address,
                        size_t size);
const unsigned char *hr_elf_bytes(const struct hr_elf *elf, size_t *size);
const char *hr_elf_machine(void);

/* ---- python.c ---- */

int hr_python_find(struct hr_target *target);

/* ---- checks.c ---- */

/* Everything short of stopping the target. */
int hr_checks_run(struct hr_target *target);
/* Why ptrace or /proc/PID/mem refused just now; sets the error. */
int hr_checks_explain(struct hr_target *target, const char *call, int error);

/* ---- bootstrap.c ---- */

/* New text (malloc'ed, NUL-terminated) or NULL with the error set. */
char *hr_bootstrap_text(struct hr_target *target,
                        const struct hr_options *options, const char *ack);

/* ---- ack.c ---- */

struct hr_ack {
    int parent;      /* descriptor of the folder around it */
    char folder[96]; /* as this process sees it; "" none */
    char file[128];
    char seen[512]; /* the file, as the target sees it */
};
int hr_ack_create(struct hr_target *target, struct hr_ack *ack);
/* 0: acknowledged; -1: error set, HR_ATTACH_BLOCKED among others. */
int hr_ack_wait(struct hr_target *target, const struct hr_ack *ack,
                double timeout);
void hr_ack_remove(struct hr_ack *ack);

/* ---- blocked.c ---- */

void hr_blocked_describe(struct hr_target *target, char *into, size_t size);

/* ---- ptrace.c, call.c ---- */

struct hr_trace;
/* Stops the main thread.  Retries for a while when another tracer holds it.
   While a trace is open all signals of this process are blocked: its end
   would leave the target with foreign registers. */
int hr_trace_stop(struct hr_target *target, struct hr_trace **trace);
/* 1 when the thread is in a place where no lock of the interpreter's pending
   calls can be held by it. */
int hr_trace_is_calm(struct hr_trace *trace);
/* 1 unless it is certain that the thread has nothing to do with the GIL's own
   lock: neither holds it nor keeps others from giving it back. */
int hr_trace_is_at_gil(struct hr_trace *trace);
/* Inside a restartable sequence (rseq)? Then it must not be redirected. */
int hr_trace_in_sequence(struct hr_trace *trace);
int hr_trace_syscall(struct hr_trace *trace, long number,
                     const uint64_t arguments[6], int64_t *result);
/* `stack` is the upper end of memory of our own for the call. */
int hr_trace_call(struct hr_trace *trace, uint64_t function, uint64_t stack,
                  const uint64_t *arguments, int count, uint64_t *result);
/* Puts everything back and lets the thread go on; frees the trace.  With
   `wake`, a wait for a lock that was interrupted returns EINTR instead of
   being restarted (see ptrace.c).  Returns the length of the stop in ns. */
int64_t hr_trace_end(struct hr_trace *trace, int wake);

/* ---- inject.c, pep768.c ---- */

int hr_inject(struct hr_target *target, const char *text,
              struct hr_result *result);
int hr_pep768(struct hr_target *target, const char *text,
              const struct hr_ack *ack, struct hr_result *result);

#endif
