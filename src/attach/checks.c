/* What can be wrong, in order, before the target is stopped.
 *
 * The process exists; is ours; is not being traced; Yama; capabilities and
 * seccomp; is CPython of a version that is supported, and of our architecture;
 * is neither stopped nor ended.  (Another mount namespace is no obstacle by
 * itself: files are reached through /proc/PID/root, see ack.c.  Whether the
 * interpreter is finalizing is asked in inject.c, with the target stopped.)
 *
 * Whether the kernel allows tracing is not guessed: /proc/PID/mem can be
 * opened exactly when ptrace may attach.  Only when it cannot are the reasons
 * looked for.
 */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef HR_YAMA_PATH /* a test builds with another one */
#define HR_YAMA_PATH "/proc/sys/kernel/yama/ptrace_scope"
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

enum { CAPABILITY_SYS_PTRACE = 19, OLDEST_MINOR = 9, NEWEST_MINOR = 14 };

/* "Name: number" of our own status. */
static uint64_t
own_field(const char *name, int base)
{
    char text[8192];
    if (hr_process_slurp(getpid(), "status", text, sizeof(text)) <= 0) {
        return 0;
    }
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, base) : 0;
}

static int
may_trace_all(void)
{
    return (int)(own_field("\nCapEff:", 16) >> CAPABILITY_SYS_PTRACE & 1);
}

/* ---- reasons ---- */

static int
explain_owner(struct hr_target *target)
{
    int pid = (int)target->pid;
    int same_namespace = hr_process_same(target->pid, "ns/user") == 1;
    if (target->uid != geteuid() && !may_trace_all()) {
        return hr_fail(target, HR_ATTACH_OTHER_USER,
                       "Process %d (%s) belongs to user %u, and you are user "
                       "%u. Attach as that user (sudo -u '#%u' …) or as root.",
                       pid, target->name, (unsigned)target->uid,
                       (unsigned)geteuid(), (unsigned)target->uid);
    }
    /* Without permission for the process the link cannot be read either, so
       "not the same" counts only when we believe that we are root. */
    if (!same_namespace && may_trace_all()) {
        return hr_fail(
            target, HR_ATTACH_USER_NAMESPACE,
            "Process %d (%s) is in another user namespace, over which this "
            "one has no rights (rootless container, unshare). Attach from "
            "inside of its container, or as root of the host.",
            pid, target->name);
    }
    return 0;
}

static int
explain_traced(struct hr_target *target)
{
    char name[64] = "?";
    hr_process_slurp(target->tracer, "comm", name, sizeof(name));
    name[strcspn(name, "\n")] = '\0';
    return hr_fail(target, HR_ATTACH_TRACED,
                   "Process %d (%s) is being traced by process %d (%s), and a "
                   "process can have one tracer only. Detach or end that "
                   "debugger or strace first.",
                   (int)target->pid, target->name, (int)target->tracer, name);
}

static int
yama_scope(void)
{
    char text[16] = "";
    int descriptor = open(HR_YAMA_PATH, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return 0;
    }
    ssize_t length = read(descriptor, text, sizeof(text) - 1);
    close(descriptor);
    return length > 0 ? atoi(text) : 0;
}

static int
explain_yama(struct hr_target *target, int scope)
{
    int pid = (int)target->pid;
    if (scope >= 3) {
        return hr_fail(target, HR_ATTACH_PTRACE_SCOPE,
                       "Tracing is switched off on this system until it is "
                       "booted again (kernel.yama.ptrace_scope = 3), so "
                       "process %d cannot be attached to. Start the program "
                       "with 'hot-reload run' instead.",
                       pid);
    }
    return hr_fail(
        target, HR_ATTACH_PTRACE_SCOPE,
        "The kernel lets %s attach to process %d "
        "(kernel.yama.ptrace_scope = %d). Attach as root (sudo), or %s start "
        "the program with 'hot-reload run'.",
        scope == 1 ? "only a parent" : "nobody but root", pid, scope,
        scope == 1 ? "allow it until the next boot with 'sudo sysctl "
                     "kernel.yama.ptrace_scope=0', or"
                   : "next time");
}

static int
is_undumpable(struct hr_target *target)
{
    char path[64];
    struct stat about;
    /* The files in it then belong to root; the folder itself never does. */
    snprintf(path, sizeof(path), "/proc/%d/status", (int)target->pid);
    return target->uid != 0 && stat(path, &about) == 0 && about.st_uid == 0;
}

static int
explain_capability(struct hr_target *target, const char *call, int error)
{
    int pid = (int)target->pid;
    if (is_undumpable(target)) {
        return hr_fail(target, HR_ATTACH_NO_PERMISSION,
                       "Process %d (%s) does not let itself be looked into "
                       "(it changed its user, has capabilities, or asked for "
                       "it by PR_SET_DUMPABLE). Attach as root.",
                       pid, target->name);
    }
    if (own_field("\nSeccomp:", 10) == 2 && error != EACCES) {
        return hr_fail(
            target, HR_ATTACH_SECCOMP,
            "A filter of system calls (seccomp) forbids %s here (%s), as "
            "containers often do. Start the container with "
            "--cap-add=SYS_PTRACE or another seccomp profile, or attach from "
            "outside of it.",
            call, strerror(error));
    }
    return hr_fail(
        target, HR_ATTACH_NO_PERMISSION,
        "The kernel forbids to look into process %d (%s): %s, %s. The "
        "capability CAP_SYS_PTRACE is missing: attach as root, or start the "
        "container with --cap-add=SYS_PTRACE.",
        pid, target->name, call, strerror(error));
}

int
hr_checks_explain(struct hr_target *target, const char *call, int error)
{
    /* A process that is about to end refuses in the same way. */
    for (int i = 0; i < 10; i++) {
        if (hr_process_status(target) < 0 || target->state == 'Z' ||
            target->state == 'X') {
            return hr_fail(target, HR_ATTACH_DIED,
                           "Process %d has just ended.", (int)target->pid);
        }
        hr_sleep_us(2000);
    }
    if (explain_owner(target) < 0) {
        return -1;
    }
    if (target->tracer != 0) {
        return explain_traced(target);
    }
    int scope = yama_scope();
    if (scope > 0 && !is_undumpable(target) &&
        (scope >= 3 || !may_trace_all())) {
        return explain_yama(target, scope);
    }
    return explain_capability(target, call, error);
}

/* ---- the checks ---- */

static int
check_exists(struct hr_target *target)
{
    int pid = (int)target->pid;
    if (hr_process_status(target) < 0) {
        char text[8192];
        if (hr_process_slurp(target->pid, "status", text, sizeof(text)) > 0) {
            const char *group = strstr(text, "\nTgid:");
            return hr_fail(target, HR_ATTACH_NO_PROCESS,
                           "%d is a thread of process %d. Attach to that.",
                           pid, group ? atoi(group + 6) : 0);
        }
        return hr_fail(target, HR_ATTACH_NO_PROCESS,
                       "There is no process %d. List the Python processes "
                       "with 'pgrep -af python'.",
                       pid);
    }
    target->pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
    if (target->pidfd < 0 && errno == ESRCH) {
        return hr_fail(target, HR_ATTACH_NO_PROCESS,
                       "Process %d has just ended.", pid);
    }
    return 0;
}

/* Another attacher holds the target for some milliseconds: wait for it. */
static int
check_untraced(struct hr_target *target)
{
    int64_t deadline = hr_now_ns() + 1000000000;
    while (target->tracer != 0) {
        if (hr_now_ns() > deadline) {
            return explain_traced(target);
        }
        hr_sleep_us(2000);
        if (hr_process_status(target) < 0) {
            return hr_fail(target, HR_ATTACH_DIED,
                           "Process %d has just ended.", (int)target->pid);
        }
    }
    return 0;
}

static int
check_zombie(struct hr_target *target)
{
    if (target->state != 'Z' && target->state != 'X') {
        return 0;
    }
    return hr_fail(target, HR_ATTACH_ZOMBIE,
                   "Process %d (%s) has ended already; only its parent has "
                   "not noticed (zombie). There is nothing to attach to.",
                   (int)target->pid, target->name);
}

static int
check_seccomp(struct hr_target *target)
{
    /* Not traced by us: ESRCH, unless somebody else answers. */
    errno = 0;
    if (ptrace(PTRACE_CONT, target->pid, 0, 0) < 0 && errno != ESRCH) {
        return explain_capability(target, "ptrace", errno);
    }
    if (target->seccomp == 1) {
        return hr_fail(target, HR_ATTACH_SECCOMP,
                       "Process %d (%s) has locked itself in (strict "
                       "seccomp): the call for memory would kill it. It "
                       "cannot be attached to.",
                       (int)target->pid, target->name);
    }
    return 0;
}

static int
check_version(struct hr_target *target)
{
    const struct hr_python *python = &target->python;
    int pid = (int)target->pid;
    if (python->major == 0) {
        return hr_fail(target, HR_ATTACH_VERSION,
                       "Process %d runs a CPython (%s) whose version cannot "
                       "be told. Start it with 'hot-reload run'.",
                       pid, python->path);
    }
    if (python->free_threaded) {
        return hr_fail(target, HR_ATTACH_VERSION,
                       "Process %d runs a free-threaded build of Python "
                       "%d.%d, which hot_reload does not support. Run the "
                       "program with the ordinary build.",
                       pid, python->major, python->minor);
    }
    if (python->major != 3 || python->minor < OLDEST_MINOR ||
        python->minor > NEWEST_MINOR) {
        return hr_fail(target, HR_ATTACH_VERSION,
                       "Process %d runs Python %d.%d, and attaching works "
                       "for 3.%d to 3.%d. Run the program with one of these.",
                       pid, python->major, python->minor, OLDEST_MINOR,
                       NEWEST_MINOR);
    }
    return 0;
}

static int
check_state(struct hr_target *target)
{
    int pid = (int)target->pid;
    if (hr_process_status(target) < 0) {
        return hr_fail(target, HR_ATTACH_DIED, "Process %d has just ended.",
                       pid);
    }
    if (check_zombie(target) < 0) {
        return -1;
    }
    if (target->state == 'T') {
        return hr_fail(target, HR_ATTACH_STOPPED,
                       "Process %d (%s) is stopped (Ctrl-Z or SIGSTOP). "
                       "Continue it (fg, or kill -CONT %d) and attach again.",
                       pid, target->name, pid);
    }
    uint64_t needed = (uint64_t)1 << (SIGSEGV - 1) | (uint64_t)1
                                                         << (SIGTRAP - 1);
    if (target->python.minor < 14 && (target->ignored & needed) != 0) {
        return hr_fail(target, HR_ATTACH_UNSAFE,
                       "Process %d (%s) ignores SIGSEGV or SIGTRAP, which "
                       "attaching would undo. Start it without that, or with "
                       "'hot-reload run'.",
                       pid, target->name);
    }
    return 0;
}

int
hr_checks_run(struct hr_target *target)
{
    if (check_exists(target) < 0) {
        return -1;
    }
    if (target->state == 'Z' || target->state == 'X') {
        /* Its memory is gone, so nothing else can be asked. */
        if (target->uid != geteuid() && !may_trace_all()) {
            return explain_owner(target);
        }
        return check_zombie(target);
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)target->pid);
    target->memory = open(path, O_RDONLY | O_CLOEXEC);
    int error = errno;
    if (target->memory < 0 && explain_owner(target) < 0) {
        return -1;
    }
    if (check_untraced(target) < 0) {
        return -1;
    }
    if (target->memory < 0) {
        return hr_checks_explain(target, "opening its memory", error);
    }
    if (check_seccomp(target) < 0) {
        return -1;
    }
    target->same_files = hr_process_same(target->pid, "ns/mnt") == 1 &&
                         hr_process_same(target->pid, "root") == 1;
    if (hr_python_find(target) < 0 || check_version(target) < 0 ||
        check_state(target) < 0) {
        return -1;
    }
    return 0;
}
