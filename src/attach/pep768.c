/* 3.14: the interpreter's own interface for debuggers (PEP 768).
 *
 * Written from the published interface and never run against a 3.14:
 * UNTESTED.
 *
 * _PyRuntime begins with a table of offsets, all 64-bit words: a cookie, the
 * version, and one group of words for each structure.  It leads from the
 * runtime to the main interpreter, to its main thread, and there to a flag
 * and a buffer for the path of a script.  The thread runs the script at its
 * next check, when the flag and a bit of its eval breaker are set.  The
 * target is not stopped.  The group for debuggers comes last, so its place
 * depends on the exact version; it is checked by the sizes around it.
 */
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Indices of words in the table of 3.14. */
enum {
    WORD_COOKIE = 0,
    WORD_VERSION = 1,
    WORD_FREE_THREADED = 2,
    WORD_RUNTIME_SIZE = 3,
    WORD_RUNTIME_FINALIZING = 4,
    WORD_RUNTIME_INTERPRETERS = 5,
    WORD_INTERPRETER_SIZE = 6,
    WORD_INTERPRETER_NEXT = 8,
    WORD_INTERPRETER_THREADS_MAIN = 10,
    WORD_THREAD_SIZE = 22,
    WORD_DEBUGGER = 89, /* eval_breaker, support, enabled, pending,
                           path, path size */
    WORD_COUNT = 95,
};

enum { PLEASE_STOP_BIT = 1 << 5, MAX_PATH = 512 };

static int
fail_interface(struct hr_target *target, const char *what)
{
    return hr_fail(target, HR_ATTACH_VERSION,
                   "The remote debugging interface of process %d (Python "
                   "%d.%d) %s. Start the program with 'hot-reload run'.",
                   (int)target->pid, target->python.major,
                   target->python.minor, what);
}

static int
fail_memory(struct hr_target *target)
{
    return hr_fail(target, HR_ATTACH_INTERNAL,
                   "The memory of process %d cannot be read or written: %s.",
                   (int)target->pid, strerror(errno));
}

static int
check_table(struct hr_target *target, const uint64_t *words)
{
    const uint64_t *debugger = words + WORD_DEBUGGER;
    uint64_t version = words[WORD_VERSION];
    if (memcmp(&words[WORD_COOKIE], "xdebugpy", 8) != 0) {
        return fail_interface(target, "is not there");
    }
    if (version >> 16 != 0x030e) {
        return fail_interface(target, "is of another version");
    }
    if (words[WORD_FREE_THREADED] != 0) {
        return fail_interface(target, "is that of a free-threaded build");
    }
    if (debugger[0] >= words[WORD_THREAD_SIZE] ||
        debugger[1] >= words[WORD_THREAD_SIZE] ||
        debugger[2] >= words[WORD_INTERPRETER_SIZE] || debugger[3] >= 64 ||
        debugger[4] >= 64 || debugger[5] < 64 || debugger[5] > 65536 ||
        words[WORD_INTERPRETER_THREADS_MAIN] >= words[WORD_INTERPRETER_SIZE] ||
        words[WORD_RUNTIME_FINALIZING] >= words[WORD_RUNTIME_SIZE]) {
        return fail_interface(target, "has another layout than the one known");
    }
    return 0;
}

static int
read_word(struct hr_target *target, uint64_t address, uint64_t *word)
{
    if (hr_process_read(target, address, word, sizeof(*word)) < 0) {
        return fail_memory(target);
    }
    return 0;
}

static int
find_main_thread(struct hr_target *target, const uint64_t *words,
                 uint64_t *thread)
{
    uint64_t runtime = target->python.runtime.address, interpreter, value;
    if (read_word(target, runtime + words[WORD_RUNTIME_FINALIZING], &value) <
            0 ||
        read_word(target, runtime + words[WORD_RUNTIME_INTERPRETERS],
                  &interpreter) < 0) {
        return -1;
    }
    if (value != 0 || interpreter == 0) {
        return hr_fail(target, HR_ATTACH_FINALIZING,
                       "The interpreter of process %d is starting up or "
                       "shutting down. Attach again if it stays.",
                       (int)target->pid);
    }
    /* New ones are put in front, so the main interpreter is the last. */
    for (int i = 0; i < 10000; i++) {
        if (read_word(target, interpreter + words[WORD_INTERPRETER_NEXT],
                      &value) < 0) {
            return -1;
        }
        if (value == 0) {
            break;
        }
        interpreter = value;
    }
    int32_t enabled;
    uint64_t address = interpreter + words[WORD_DEBUGGER + 2];
    if (hr_process_read(target, address, &enabled, sizeof(enabled)) < 0) {
        return fail_memory(target);
    }
    if (enabled == 0) {
        return fail_interface(
            target, "was switched off (PYTHON_DISABLE_REMOTE_DEBUG or -X "
                    "disable-remote-debug)");
    }
    if (read_word(target, interpreter + words[WORD_INTERPRETER_THREADS_MAIN],
                  thread) < 0) {
        return -1;
    }
    return *thread != 0 ? 0 : fail_interface(target, "shows no main thread");
}

static int
write_script(struct hr_target *target, const char *text,
             const struct hr_ack *ack)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/bootstrap.py", ack->folder);
    int descriptor =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    size_t length = strlen(text);
    if (descriptor < 0 || write(descriptor, text, length) != (ssize_t)length ||
        (target->uid != geteuid() &&
         fchown(descriptor, target->uid, target->gid) < 0)) {
        int error = errno;
        if (descriptor >= 0) {
            close(descriptor);
        }
        return hr_fail(target, HR_ATTACH_INTERNAL,
                       "The script for process %d cannot be written: %s.",
                       (int)target->pid, strerror(error));
    }
    close(descriptor);
    return 0;
}

int
hr_pep768(struct hr_target *target, const char *text, const struct hr_ack *ack,
          struct hr_result *result)
{
    uint64_t words[WORD_COUNT], thread = 0, breaker;
    char path[MAX_PATH];
    int32_t one = 1;
    if (target->python.runtime.address == 0) {
        return fail_interface(target, "is not exported");
    }
    if (hr_process_read(target, target->python.runtime.address, words,
                        sizeof(words)) < 0) {
        return fail_memory(target);
    }
    if (check_table(target, words) < 0 ||
        find_main_thread(target, words, &thread) < 0 ||
        write_script(target, text, ack) < 0) {
        return -1;
    }
    const uint64_t *debugger = words + WORD_DEBUGGER;
    size_t folder = strlen(ack->seen) - strlen("ack");
    int length = snprintf(path, sizeof(path), "%.*sbootstrap.py", (int)folder,
                          ack->seen);
    if (length >= (int)sizeof(path) || (uint64_t)length >= debugger[5]) {
        return fail_interface(target, "has no room for so long a path");
    }
    uint64_t support = thread + debugger[1];
    if (hr_process_write(target, support + debugger[4], path,
                         (size_t)length + 1) < 0 ||
        hr_process_write(target, support + debugger[3], &one, sizeof(one)) <
            0 ||
        hr_process_read(target, thread + debugger[0], &breaker,
                        sizeof(breaker)) < 0) {
        return fail_memory(target);
    }
    breaker |= PLEASE_STOP_BIT;
    if (hr_process_write(target, thread + debugger[0], &breaker,
                         sizeof(breaker)) < 0) {
        return fail_memory(target);
    }
    result->way = "remote debugging interface (PEP 768)";
    return 0;
}
