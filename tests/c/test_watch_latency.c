/* How long a plain save takes to arrive: from just before close() or
 * rename() in another process until hr_watch_wait() has returned with the
 * text.  Prints; fails only when something is lost. */
#include "watch_util.h"

#include <sys/mman.h>

enum { SAVES = 200 };

static char path[PATH_MAX], other[PATH_MAX];
static volatile int64_t *shared; /* when the save was made */

static void
save(int number, int by_rename)
{
    char text[40];
    size_t size;
    int fd;
    size = (size_t)snprintf(text, sizeof(text), "x = %d\n", number);
    if (by_rename) {
        put_n(other, text, size);
        pause_ms(1);
        *shared = now_ns();
        (void)rename(other, path);
    }
    else {
        fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        (void)!write(fd, text, size);
        pause_ms(1);
        *shared = now_ns();
        close(fd);
    }
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void
measure(int by_rename)
{
    int64_t took[SAVES];
    struct hr_watch_options options = {0};
    int count = 0, status = -1;
    pid_t pid;
    enter_root();
    strcpy(path, at("mod.py"));
    strcpy(other, at("mod.py.new"));
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    put(path, "start\n");
    w = hr_watch_new(&options);
    REQUIRE(w != NULL);
    CHECK_EQ_INT(hr_watch_add_file(w, path, NULL, 0), 0);
    for (int i = 0; i < 300; i++) {
        put(at("n%d.py", i), "neighbour\n");
        CHECK_EQ_INT(hr_watch_add_file(w, at("n%d.py", i), NULL, 0), 0);
    }
    EXPECT_NOTHING(w, 100);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < SAVES; i++) {
            save(i, by_rename);
            pause_ms(5);
        }
        _exit(0);
    }
    while (count < SAVES) {
        struct hr_batch batch;
        if (hr_watch_wait(w, 2000, &batch) != HR_WATCH_BATCH) {
            break;
        }
        took[count++] = now_ns() - *shared;
        hr_batch_clear(&batch);
    }
    waitpid(pid, &status, 0);
    /* Two saves may have become one on a busy machine; none may be missing at
     * the end. */
    CHECK(count > SAVES / 2);
    qsort(took, (size_t)count, sizeof(took[0]), compare);
    printf("note %s: %s: %d saves, best %.0f, median %.0f, 90 %% %.0f us\n",
           check_name, by_rename ? "rename" : "close", count,
           (double)took[0] / 1000, (double)took[count / 2] / 1000,
           (double)took[count * 9 / 10] / 1000);
    hr_watch_free(w);
    munmap((void *)shared, sizeof(*shared));
    leave_root();
}

static void
test_latency_of_close(void)
{
    measure(0);
}

static void
test_latency_of_rename(void)
{
    measure(1);
}

/* Many followed files: adding and rescanning them. */
static void
test_latency_of_a_large_project(void)
{
    enum { FOLDERS = 200, FILES = 5000 };
    struct hr_watch_options options = {0};
    struct hr_batch batch;
    int64_t start, added, checked;
    enter_root();
    for (int i = 0; i < FOLDERS; i++) {
        mkdir(at("d%d", i), 0755);
    }
    for (int i = 0; i < FILES; i++) {
        put(at("d%d/m%d.py", i % FOLDERS, i), "x = 1\n");
    }
    w = hr_watch_new(&options);
    REQUIRE(w != NULL);
    start = now_ns();
    for (int i = 0; i < FILES; i++) {
        hr_watch_add_file(w, at("d%d/m%d.py", i % FOLDERS, i), "x = 1\n", 6);
    }
    added = now_ns();
    while (!hr_watch_idle(w)) {
        CHECK_EQ_INT(hr_watch_wait(w, 0, &batch), HR_WATCH_TIMEOUT);
        hr_batch_clear(&batch);
    }
    checked = now_ns();
    put(at("d7/m7.py"), "y = 1\n");
    EXPECT_CHANGE(w, at("d7/m7.py"), "y = 1\n");
    printf("note %s: per file: adding %.2f us, comparing %.2f us\n",
           check_name, (double)(added - start) / 1000 / FILES,
           (double)(checked - added) / 1000 / FILES);
    hr_watch_free(w);
    leave_root();
}

int
main(void)
{
    RUN(test_latency_of_close);
    RUN(test_latency_of_rename);
    RUN(test_latency_of_a_large_project);
    return check_done();
}
