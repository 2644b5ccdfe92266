/* The acknowledgement: a file that the target writes.
 *
 * It is in a new folder of mode 0700, made where both sides can reach it:
 * below /proc/PID/root, so that a container's own temporary folder is used
 * when the target is in one.  When the attacher is root, the folder is given
 * to the target's user.  What is read there was written by the target: a
 * length limit, no links followed.
 */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Opens a folder of the target's; links on the way lead where they lead for
   the target. */
static int
open_parent(struct hr_target *target, const char *path)
{
    enum { FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC };
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/root", (int)target->pid);
    int root = open(name, FLAGS);
    if (root < 0) {
        return -1;
    }
    struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_IN_ROOT};
    int parent = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (parent < 0 && (errno == ENOSYS || errno == EPERM)) {
        parent = openat(root, path + 1, FLAGS | O_NOFOLLOW);
    }
    int error = errno;
    close(root);
    errno = error;
    return parent;
}

static int
try_folder(struct hr_target *target, struct hr_ack *ack, const char *path)
{
    struct stat about;
    if (path == NULL || path[0] != '/' || strlen(path) > 400) {
        errno = ENOENT;
        return -1;
    }
    ack->parent = open_parent(target, path);
    if (ack->parent < 0) {
        return -1;
    }
    /* Through the descriptor: it stays when the target and its root go. */
    int prefix = snprintf(ack->folder, sizeof(ack->folder), "/proc/self/fd/%d",
                          ack->parent);
    strcat(ack->folder, "/hot-reload-attach-XXXXXX");
    if (mkdtemp(ack->folder) == NULL) {
        int error = errno;
        close(ack->parent);
        errno = error;
        return -1;
    }
    if (stat(ack->folder, &about) < 0 ||
        (about.st_uid != target->uid &&
         chown(ack->folder, target->uid, target->gid) < 0)) {
        int error = errno;
        rmdir(ack->folder);
        close(ack->parent);
        errno = error;
        return -1;
    }
    snprintf(ack->file, sizeof(ack->file), "%s/ack", ack->folder);
    snprintf(ack->seen, sizeof(ack->seen), "%s%s/ack",
             strcmp(path, "/") == 0 ? "" : path, ack->folder + prefix);
    return 0;
}

/* One per process, as signals are. */
static volatile sig_atomic_t given_up;

static void
give_up(int number)
{
    (void)number;
    given_up = 1;
}

/* Ctrl-C ends the wait, so that no folder is left over. */
static void
catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = give_up};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        if (sigaction(numbers[i], NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
}

int
hr_ack_create(struct hr_target *target, struct hr_ack *ack)
{
    const char *const parents[] = {target->same_files ? getenv("TMPDIR")
                                                      : NULL,
                                   "/tmp", "/var/tmp", "/dev/shm"};
    int error = ENOENT;
    catch_signals();
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        if (try_folder(target, ack, parents[i]) == 0) {
            return 0;
        }
        error = parents[i] ? errno : error;
    }
    ack->folder[0] = '\0';
    return hr_fail(
        target, HR_ATTACH_MOUNT_NAMESPACE,
        "No temporary folder of process %d can be written to (/tmp, /var/tmp, "
        "/dev/shm as the process sees them%s): %s. Mount a temporary folder "
        "there, or attach from inside of its container.",
        (int)target->pid,
        target->same_files ? "" : ", in another mount namespace",
        strerror(error));
}

/* Length of the answer, or -1 while there is none. */
static ssize_t
read_answer(const struct hr_ack *ack, char *into, size_t size)
{
    int descriptor =
        open(ack->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) {
        return -1;
    }
    ssize_t length = read(descriptor, into, size - 1);
    close(descriptor);
    if (length <= 0 ||
        (into[length - 1] != '\n' && length < (ssize_t)size - 1)) {
        return -1; /* still being written */
    }
    into[length] = '\0';
    while (length > 0 && into[length - 1] == '\n') {
        into[--length] = '\0';
    }
    return length;
}

static int
judge_answer(struct hr_target *target, char *answer)
{
    if (strcmp(answer, "ok") == 0) {
        return 0;
    }
    for (char *byte = answer; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 0x7f) {
            *byte = ' ';
        }
    }
    const struct hr_python *python = &target->python;
    if (strstr(answer, "No module named 'hot_reload'") != NULL) {
        return hr_fail(
            target, HR_ATTACH_ENGINE,
            "Process %d has no hot_reload, and the attacher's does not fit "
            "it (Python %d.%d%s). Install hot_reload for that Python (its "
            "'-m pip install', with the same interpreter that the process "
            "runs) and attach again.",
            (int)target->pid, python->major, python->minor,
            target->same_files ? "" : ", in its own mount namespace");
    }
    return hr_fail(target, HR_ATTACH_ENGINE,
                   "Process %d ran the start of the engine, which failed: "
                   "%.700s. The process goes on as before.",
                   (int)target->pid, answer);
}

int
hr_ack_wait(struct hr_target *target, const struct hr_ack *ack, double timeout)
{
    char answer[1024];
    int64_t began = hr_now_ns();
    int64_t deadline = began + (int64_t)(timeout * 1e9);
    for (;;) {
        /* Asked before the file, lest a last answer be missed. */
        int alive = hr_process_alive(target);
        if (read_answer(ack, answer, sizeof(answer)) >= 0) {
            return judge_answer(target, answer);
        }
        int64_t now = hr_now_ns();
        if (!alive) {
            return hr_fail(target, HR_ATTACH_DIED,
                           "Process %d ended before it answered.",
                           (int)target->pid);
        }
        if (given_up) {
            return hr_fail(target, HR_ATTACH_INTERRUPTED,
                           "Given up waiting for process %d. The engine is "
                           "queued there and starts as soon as its main "
                           "thread goes on.",
                           (int)target->pid);
        }
        if (now >= deadline) {
            return hr_fail(target, HR_ATTACH_BLOCKED, "%s", "");
        }
        hr_sleep_us(now - began < 20000000 ? 200 : 2000);
    }
}

void
hr_ack_remove(struct hr_ack *ack)
{
    char path[700];
    if (ack->folder[0] == '\0') {
        return;
    }
    static const char *const names[] = {"ack", "ack.new", "bootstrap.py"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", ack->folder, names[i]);
        unlink(path);
    }
    rmdir(ack->folder);
    close(ack->parent);
    ack->folder[0] = '\0';
}
