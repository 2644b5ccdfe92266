/* What the watcher's tests share: a folder of their own, saving in the ways
 * that programs save, waiting for batches. */
#ifndef WATCH_UTIL_H
#define WATCH_UTIL_H

#include "check.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static char root[200]; /* of the running test; ends without "/" */
static int polling UNUSED;
static char said[8192];
static int said_count UNUSED;
static pthread_mutex_t said_lock UNUSED = PTHREAD_MUTEX_INITIALIZER;

/* ---- files ------------------------------------------------------------ */

static int UNUSED
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void UNUSED
remove_tree(const char *path)
{
    nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static void UNUSED
leave_root(void)
{
    if (root[0] != '\0') {
        remove_tree(root);
        root[0] = '\0';
    }
}

static void UNUSED
enter_root(void)
{
    const char *base = getenv("TMPDIR");
    leave_root();
    snprintf(root, sizeof(root), "%s/hr-watch-XXXXXX",
             base == NULL || strlen(base) > 100 ? "/tmp" : base);
    if (mkdtemp(root) == NULL) {
        perror("mkdtemp");
        exit(2);
    }
}

/* root + "/" + name, in one of 16 buffers in turn */
UNUSED static const char *
at(const char *format, ...)
{
    static char paths[16][PATH_MAX];
    static int next;
    char *path = paths[next++ % 16];
    size_t length = (size_t)snprintf(path, PATH_MAX, "%s/", root);
    va_list args;
    va_start(args, format);
    vsnprintf(path + length, PATH_MAX - length, format, args);
    va_end(args);
    return path;
}

static void UNUSED
put_n(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size) {
        check_report(0, __FILE__, __LINE__, path);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void UNUSED
put(const char *path, const char *text)
{
    put_n(path, text, strlen(text));
}

static void UNUSED
put_more(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        check_report(0, __FILE__, __LINE__, path);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void UNUSED
move(const char *from, const char *to)
{
    if (rename(from, to) < 0) {
        check_report(0, __FILE__, __LINE__, from);
    }
}

static void UNUSED
pause_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {
    }
}

static int64_t UNUSED
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* ---- watches ---------------------------------------------------------- */

static void UNUSED
take_sentence(void *arg, int level, const char *sentence)
{
    size_t length;
    (void)arg;
    (void)level;
    pthread_mutex_lock(&said_lock);
    said_count++;
    length = strlen(said);
    snprintf(said + length, sizeof(said) - length, "%s\n", sentence);
    pthread_mutex_unlock(&said_lock);
}

/* "whole" in the tests: ends in "\n" and does not contain "BROKEN" */
static int UNUSED
is_whole(void *arg, const char *path, const char *text, size_t size)
{
    (void)arg;
    (void)path;
    return size > 0 && text[size - 1] == '\n' &&
           strstr(text, "BROKEN") == NULL;
}

static struct hr_watch_options UNUSED
plain_options(void)
{
    struct hr_watch_options options = {0};
    options.say = take_sentence;
    options.whole = is_whole;
    options.force_poll = polling;
    options.poll_ms = 30;
    return options;
}

UNUSED static struct hr_watch *
make_watch(void)
{
    struct hr_watch_options options = plain_options();
    struct hr_watch *w;
    said[0] = '\0';
    said_count = 0;
    w = hr_watch_new(&options);
    if (w == NULL) {
        perror("hr_watch_new");
        exit(2);
    }
    return w;
}

UNUSED static const struct hr_change *
change_of(const struct hr_batch *batch, const char *path)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (strcmp(batch->changes[i].path, path) == 0) {
            return &batch->changes[i];
        }
    }
    return NULL;
}

/* Nothing comes within so many ms. */
static int UNUSED
expect_nothing_at(struct hr_watch *w, int ms, int line)
{
    struct hr_batch batch;
    enum hr_watch_result result = hr_watch_wait(w, ms, &batch);
    int good = result == HR_WATCH_TIMEOUT;
    if (!good) {
        char text[600];
        snprintf(text, sizeof(text), "not nothing: result %d, %s: \"%.200s\"",
                 (int)result, batch.count ? batch.changes[0].path : "",
                 batch.count && batch.changes[0].text ? batch.changes[0].text
                                                      : "");
        check_report(0, __FILE__, line, text);
    }
    hr_batch_clear(&batch);
    return good;
}
#define EXPECT_NOTHING(w, ms) expect_nothing_at(w, ms, __LINE__)

/* The next batch is this one change.  NULL text: deleted. */
static int UNUSED
expect_change_at(struct hr_watch *w, const char *path, const char *text,
                 int line)
{
    struct hr_batch batch;
    enum hr_watch_result result = hr_watch_wait(w, 5000, &batch);
    char reason[1000];
    int good = result == HR_WATCH_BATCH && batch.count == 1 &&
               strcmp(batch.changes[0].path, path) == 0;
    if (good && text == NULL) {
        good = batch.changes[0].kind == HR_CHANGE_DELETED &&
               batch.changes[0].text == NULL;
    }
    else if (good) {
        const struct hr_change *c = &batch.changes[0];
        good = c->kind == HR_CHANGE_CONTENT && c->size == strlen(text) &&
               memcmp(c->text, text, c->size + 1) == 0 &&
               c->hash == hr_watch_hash(text, c->size) && c->event_ns > 0 &&
               c->event_ns <= batch.ready_ns && c->saved_ns != 0;
    }
    if (!good) {
        snprintf(reason, sizeof(reason),
                 "wanted %s \"%.60s\"; result %d, %zu changes: %.200s kind %d "
                 "\"%.60s\"",
                 path, text == NULL ? "(deleted)" : text, (int)result,
                 batch.count, batch.count ? batch.changes[0].path : "",
                 batch.count ? (int)batch.changes[0].kind : -1,
                 batch.count && batch.changes[0].text ? batch.changes[0].text
                                                      : "");
        check_report(0, __FILE__, line, reason);
    }
    hr_batch_clear(&batch);
    return good;
}
#define EXPECT_CHANGE(w, path, text) expect_change_at(w, path, text, __LINE__)

/* Take batches until this file has this text (NULL: is deleted); other
 * changes may come with it.  The number of batches, or 0. */
static int UNUSED
expect_finally_at(struct hr_watch *w, const char *path, const char *text,
                  int line)
{
    int64_t end = now_ns() + 8000000000LL;
    int batches = 0, found = 0;
    while (!found && now_ns() < end) {
        struct hr_batch batch;
        const struct hr_change *c;
        if (hr_watch_wait(w, 3000, &batch) != HR_WATCH_BATCH) {
            continue;
        }
        batches++;
        c = change_of(&batch, path);
        found = c != NULL && (text == NULL ? c->kind == HR_CHANGE_DELETED
                                           : c->kind == HR_CHANGE_CONTENT &&
                                                 strcmp(c->text, text) == 0);
        hr_batch_clear(&batch);
    }
    if (!found) {
        char reason[600];
        snprintf(reason, sizeof(reason), "never came: %.300s \"%.100s\"", path,
                 text == NULL ? "(deleted)" : text);
        check_report(0, __FILE__, line, reason);
    }
    return found ? batches : 0;
}
#define EXPECT_FINALLY(w, path, text)                                         \
    expect_finally_at(w, path, text, __LINE__)

/* ---- running ---------------------------------------------------------- */

/* These tests mostly wait: run some at a time, each in its own process. */
struct watch_test {
    const char *name;
    void (*run)(void);
};
#define TEST(function)                                                        \
    {                                                                         \
#function, function                                                   \
    }

static void UNUSED
reap_test(void)
{
    int status = -1;
    if (wait(&status) < 0) {
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        check_passed++;
    }
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        check_skipped++;
    }
    else {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 1) {
            printf("FAIL (a test) ended with status %d\n", status);
        }
        check_failed++;
    }
}

static void UNUSED
run_tests(const struct watch_test *tests, size_t count, const char *suffix)
{
    size_t running = 0;
    for (size_t i = 0; i < count; i++) {
        pid_t pid;
        char name[200];
        if (running == 6) {
            reap_test();
            running--;
        }
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            alarm(120);
            snprintf(name, sizeof(name), "%s%s", tests[i].name, suffix);
            check_run(name, tests[i].run);
            leave_root();
            exit(check_errors != 0 ? 1 : check_skips ? 3 : 0);
        }
        running++;
    }
    while (running-- > 0) {
        reap_test();
    }
}

/* ---- the watch of the running test ------------------------------------ */

static struct hr_watch *w UNUSED;

static void UNUSED
begin(void)
{
    enter_root();
    w = make_watch();
}

/* It follows a file that is there. */
static void UNUSED
begin_with(const char *name, const char *text)
{
    enter_root();
    put(at("%s", name), text);
    w = make_watch();
    CHECK_EQ_INT(hr_watch_add_file(w, at("%s", name), NULL, 0), 0);
}

static void UNUSED
end(void)
{
    hr_watch_free(w);
    w = NULL;
    leave_root();
}

#endif /* WATCH_UTIL_H */
