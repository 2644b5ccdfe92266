/* Waking, closing, the extra descriptor, idleness, threads, fork(). */
#include "watch_util.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

static enum hr_watch_result
wait_once(int ms)
{
    struct hr_batch batch;
    enum hr_watch_result result = hr_watch_wait(w, ms, &batch);
    hr_batch_clear(&batch);
    return result;
}

/* ---- waking ----------------------------------------------------------- */

static void *
wake_later(void *arg)
{
    pause_ms(30);
    if (arg == NULL) {
        hr_watch_wake(w);
    }
    else {
        hr_watch_close(w);
    }
    return NULL;
}

static void
test_wake(void)
{
    pthread_t thread;
    begin_with("a.py", "old\n");
    hr_watch_wake(w); /* before the wait, twice: one return */
    hr_watch_wake(w);
    CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
    CHECK_EQ_INT(wait_once(20), HR_WATCH_TIMEOUT);
    pthread_create(&thread, NULL, wake_later, NULL);
    CHECK_EQ_INT(wait_once(5000), HR_WATCH_WOKEN);
    pthread_join(thread, NULL);
    CHECK_EQ_INT(wait_once(0), HR_WATCH_TIMEOUT);
    /* a wake loses no save, and a save no wake */
    put(at("a.py"), "new\n");
    hr_watch_wake(w);
    if (polling) {
        CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
        EXPECT_CHANGE(w, at("a.py"), "new\n");
    }
    else {
        EXPECT_CHANGE(w, at("a.py"), "new\n");
        CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
    }
    end();
}

static void
on_signal(int number)
{
    (void)number;
    hr_watch_wake(w);
}

static void
test_wake_in_a_signal_handler(void)
{
    struct sigaction action = {0};
    begin_with("a.py", "old\n");
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 50; i++) {
        raise(SIGUSR1);
        CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
    }
    end();
}

static void
test_close(void)
{
    pthread_t thread;
    begin_with("a.py", "old\n");
    pthread_create(&thread, NULL, wake_later, (void *)w);
    CHECK_EQ_INT(wait_once(5000), HR_WATCH_CLOSED);
    pthread_join(thread, NULL);
    put(at("a.py"), "new\n");
    CHECK_EQ_INT(wait_once(1000), HR_WATCH_CLOSED); /* and for ever */
    CHECK_EQ_INT(wait_once(0), HR_WATCH_CLOSED);
    end();
}

static void
test_extra(void)
{
    int ends[2];
    char byte;
    begin_with("a.py", "old\n");
    CHECK_EQ_INT(pipe(ends), 0);
    hr_watch_set_extra(w, ends[0]);
    CHECK_EQ_INT(wait_once(20), HR_WATCH_TIMEOUT);
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK_EQ_INT(wait_once(1000), HR_WATCH_EXTRA);
    CHECK_EQ_INT(wait_once(1000), HR_WATCH_EXTRA); /* until it is read */
    CHECK(read(ends[0], &byte, 1) == 1);
    put(at("a.py"), "new\n");
    EXPECT_CHANGE(w, at("a.py"), "new\n");
    CHECK(write(ends[1], "x", 1) == 1);
    hr_watch_set_extra(w, -1);
    CHECK_EQ_INT(wait_once(50), HR_WATCH_TIMEOUT);
    hr_watch_set_extra(w, ends[0]);
    close(ends[0]); /* without telling: no busy loop */
    CHECK_EQ_INT(wait_once(50), HR_WATCH_TIMEOUT);
    close(ends[1]);
    end();
}

/* ---- idleness --------------------------------------------------------- */

static void
test_idle(void)
{
    int64_t stop;
    begin_with("a.py", "old\n");
    EXPECT_NOTHING(w, 50);
    hr_watch_wake(w);
    CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
    CHECK(hr_watch_idle(w));
    put(at("a.py"), "new\n");
    hr_watch_wake(w);
    if (!polling) {
        CHECK(!hr_watch_idle(w)); /* it is in the queue */
    }
    else {
        CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
        CHECK(!hr_watch_idle(w)); /* a scan finds it */
    }
    EXPECT_CHANGE(w, at("a.py"), "new\n");
    wait_once(0);
    CHECK(hr_watch_idle(w));
    put(at("a.py"), "BROKEN");
    wait_once(polling ? 80 : 20);
    CHECK(!hr_watch_idle(w)); /* half-written */
    EXPECT_CHANGE(w, at("a.py"), "BROKEN");
    CHECK(hr_watch_idle(w));
    unlink(at("a.py"));
    wait_once(polling ? 80 : 20);
    CHECK(!hr_watch_idle(w)); /* gone, perhaps */
    EXPECT_CHANGE(w, at("a.py"), NULL);
    CHECK(hr_watch_idle(w));
    /* as sync() uses it */
    for (int i = 0; i < 5; i++) {
        char text[40];
        int seen = 0;
        snprintf(text, sizeof(text), "sync %d\n", i);
        put(at("a.py"), text);
        hr_watch_wake(w);
        stop = now_ns() + 3000000000LL;
        while (now_ns() < stop) {
            struct hr_batch batch;
            if (hr_watch_wait(w, 10, &batch) == HR_WATCH_BATCH) {
                seen = strcmp(batch.changes[0].text, text) == 0;
            }
            hr_batch_clear(&batch);
            if (hr_watch_idle(w)) {
                break;
            }
        }
        CHECK(seen);
        CHECK(now_ns() < stop);
    }
    end();
}

static atomic_long switches;

static void *
count_switches(void *arg)
{
    struct rusage before, after;
    (void)arg;
    wait_once(100);
    getrusage(RUSAGE_THREAD, &before);
    CHECK_EQ_INT(wait_once(-1), HR_WATCH_WOKEN);
    getrusage(RUSAGE_THREAD, &after);
    atomic_store(&switches, after.ru_nvcsw - before.ru_nvcsw);
    return NULL;
}

/* No timer runs, and nobody else's files end the sleep: not even those in a
 * folder above. */
static void
test_nothing_happens(void)
{
    pthread_t thread;
    begin_with("a.py", "old\n");
    mkdir(at("p"), 0755);
    mkdir(at("q"), 0755);
    put(at("p/m.py"), "m\n");
    CHECK_EQ_INT(hr_watch_remove_file(w, at("a.py")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("p/m.py"), NULL, 0), 0);
    pthread_create(&thread, NULL, count_switches, NULL);
    pause_ms(250);
    for (int i = 0; i < 50; i++) {
        put(at("q/noise"), "noise");
        put(at("noise%d", i), "noise");
        unlink(at("noise%d", i));
        pause_ms(8);
    }
    hr_watch_wake(w);
    pthread_join(thread, NULL);
    CHECK(atomic_load(&switches) <= 2);
    end();
}

/* ---- threads ---------------------------------------------------------- */

enum { ADDERS = 4, ROUNDS = 150 };
static atomic_int adders_left;

static void *
add_and_remove(void *arg)
{
    int id = (int)(intptr_t)arg;
    char path[PATH_MAX];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(path, sizeof(path), "%s/d%d/f%d.py", root, (id + i) % 3,
                 i % 7);
        if (i % 3 == 0) {
            hr_watch_add_file(w, path, "known\n", 6);
        }
        else {
            hr_watch_add_file(w, path, NULL, 0);
        }
        if (i % 5 == 4) {
            snprintf(path, sizeof(path), "%s/live", root);
            hr_watch_add_folder(w, path, NULL, i & 1);
        }
        if (i % 2) {
            snprintf(path, sizeof(path), "%s/d%d/f%d.py", root, (id + i) % 3,
                     (i * 3) % 7);
            hr_watch_remove_file(w, path);
        }
        if (i % 11 == 0) {
            snprintf(path, sizeof(path), "%s/live", root);
            hr_watch_remove_folder(w, path);
        }
        if (i % 13 == 0) {
            struct hr_watch_info info;
            hr_watch_get_info(w, &info);
        }
    }
    atomic_fetch_sub(&adders_left, 1);
    hr_watch_wake(w);
    return NULL;
}

static void *
save_on(void *arg)
{
    char path[PATH_MAX], text[60];
    (void)arg;
    for (int i = 0; atomic_load(&adders_left) > 0; i++) {
        snprintf(path, sizeof(path), "%s/d%d/f%d.py", root, i % 3, i % 7);
        snprintf(text, sizeof(text), "i = %d\n", i);
        put_n(path, text, strlen(text));
        snprintf(path, sizeof(path), "%s/live/x%d.py", root, i % 4);
        if (i % 9 == 0) {
            unlink(path);
        }
        else {
            put_n(path, text, strlen(text));
        }
        pause_ms(1);
    }
    return NULL;
}

static void
test_adding_while_waiting(void)
{
    pthread_t adders[ADDERS], saver;
    struct hr_batch batch;
    begin_with("a.py", "old\n");
    mkdir(at("live"), 0755);
    for (int i = 0; i < 3; i++) {
        mkdir(at("d%d", i), 0755);
        for (int j = 0; j < 7; j++) {
            put(at("d%d/f%d.py", i, j), "start\n");
        }
    }
    atomic_store(&adders_left, ADDERS);
    pthread_create(&saver, NULL, save_on, NULL);
    for (int i = 0; i < ADDERS; i++) {
        pthread_create(&adders[i], NULL, add_and_remove, (void *)(intptr_t)i);
    }
    while (atomic_load(&adders_left) > 0) {
        hr_watch_wait(w, 1000, &batch);
        hr_batch_clear(&batch);
    }
    for (int i = 0; i < ADDERS; i++) {
        pthread_join(adders[i], NULL);
    }
    pthread_join(saver, NULL);
    put(at("a.py"), "still alive\n");
    EXPECT_FINALLY(w, at("a.py"), "still alive\n");
    end();
}

/* A save made after adding has returned is never lost. */
static void *
add_and_save(void *arg)
{
    char path[PATH_MAX], text[40];
    (void)arg;
    for (int i = 0; i < 60; i++) {
        snprintf(path, sizeof(path), "%s/n%d.py", root, i);
        put(path, "before\n");
        if (i % 2) {
            hr_watch_add_file(w, path, NULL, 0);
        }
        else {
            hr_watch_add_file(w, path, "before\n", 7);
        }
        snprintf(text, sizeof(text), "after %d\n", i);
        put(path, text);
    }
    return NULL;
}

static void
test_save_right_after_adding(void)
{
    pthread_t thread;
    struct hr_batch batch;
    char have[60] = {0};
    int count = 0;
    int64_t stop = now_ns() + 10000000000LL;
    begin_with("a.py", "old\n");
    pthread_create(&thread, NULL, add_and_save, NULL);
    while (count < 60 && now_ns() < stop) {
        hr_watch_wait(w, 1000, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            const char *name = strrchr(batch.changes[i].path, '/') + 2;
            int number = atoi(name);
            char text[40];
            snprintf(text, sizeof(text), "after %d\n", number);
            CHECK(batch.changes[i].text != NULL);
            if (batch.changes[i].text != NULL &&
                strcmp(batch.changes[i].text, text) == 0) {
                count += !have[number];
                have[number] = 1;
            }
        }
        hr_batch_clear(&batch);
    }
    CHECK_EQ_INT(count, 60);
    pthread_join(thread, NULL);
    end();
}

/* ---- fork ------------------------------------------------------------- */

static void *
wait_until_woken(void *arg)
{
    (void)arg;
    while (wait_once(-1) == HR_WATCH_BATCH) {
    }
    return NULL;
}

/* The child follows the same files, and takes nothing from its parent. */
static int
child_follows(void)
{
    struct hr_watch_info info;
    check_errors = 0;
    CHECK_EQ_INT(hr_watch_after_fork(w), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.files, 2);
    EXPECT_NOTHING(w, 60);
    put(at("a.py"), "from the child\n");
    EXPECT_CHANGE(w, at("a.py"), "from the child\n");
    pause_ms(20);
    put(at("live/l.py"), "live\n");
    EXPECT_CHANGE(w, at("live/l.py"), "live\n");
    hr_watch_wake(w);
    CHECK_EQ_INT(wait_once(1000), HR_WATCH_WOKEN);
    hr_watch_free(w);
    return check_errors;
}

static void
test_fork(void)
{
    int status = -1;
    pid_t pid;
    begin_with("a.py", "old\n");
    mkdir(at("live"), 0755);
    put(at("live/l.py"), "l\n");
    CHECK_EQ_INT(hr_watch_add_folder(w, at("live"), NULL, 0), 0);
    pid = fork();
    if (pid == 0) {
        _exit(child_follows() == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
    EXPECT_FINALLY(w, at("live/l.py"), "live\n"); /* the parent sees it too */
    CHECK_EQ_INT(wait_once(300), HR_WATCH_TIMEOUT); /* and no wake */
    end();
}

static void
test_fork_while_waiting(void)
{
    pthread_t thread, saver;
    begin_with("a.py", "old\n");
    mkdir(at("live"), 0755);
    mkdir(at("d0"), 0755);
    mkdir(at("d1"), 0755);
    mkdir(at("d2"), 0755);
    CHECK_EQ_INT(hr_watch_add_folder(w, at("live"), NULL, 0), 0);
    atomic_store(&adders_left, 1);
    pthread_create(&thread, NULL, wait_until_woken, NULL);
    pthread_create(&saver, NULL, save_on, NULL);
    for (int i = 0; i < 20; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            struct hr_batch batch;
            int good = hr_watch_after_fork(w) == 0;
            char path[PATH_MAX];
            snprintf(path, sizeof(path), "%s/child%d.py", root, i);
            good = good && hr_watch_add_file(w, path, "x\n", 2) == 0;
            good = good && hr_watch_wait(w, 10, &batch) != HR_WATCH_CLOSED;
            hr_batch_clear(&batch);
            _exit(good ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        CHECK_EQ_INT(status, 0);
    }
    atomic_store(&adders_left, 0);
    pthread_join(saver, NULL);
    hr_watch_wake(w);
    pthread_join(thread, NULL);
    end();
}

/* What was saved between fork() and hr_watch_after_fork() is found. */
static void
test_save_during_fork(void)
{
    int status = -1;
    pid_t pid;
    begin_with("a.py", "old\n");
    pid = fork();
    if (pid == 0) {
        put(at("a.py"), "in between\n");
        hr_watch_after_fork(w);
        EXPECT_CHANGE(w, at("a.py"), "in between\n");
        _exit(check_errors == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
    EXPECT_CHANGE(w, at("a.py"), "in between\n");
    end();
}

static const struct watch_test tests[] = {
    TEST(test_wake),
    TEST(test_wake_in_a_signal_handler),
    TEST(test_close),
    TEST(test_extra),
    TEST(test_idle),
    TEST(test_adding_while_waiting),
    TEST(test_save_right_after_adding),
    TEST(test_fork),
    TEST(test_fork_while_waiting),
    TEST(test_save_during_fork),
    TEST(test_nothing_happens), /* with inotify only: the last */
};

int
main(void)
{
    size_t count = sizeof(tests) / sizeof(tests[0]);
    run_tests(tests, count, "");
    polling = 1;
    run_tests(tests, count - 1, "_polling");
    return check_done();
}
