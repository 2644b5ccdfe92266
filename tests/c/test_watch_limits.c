/* What the kernel or the machine runs out of: queue, watches, instances,
 * memory; file systems that send no events; and a large project. */
#include "watch_util.h"

#include "internal.h"

static long
queue_limit(void)
{
    long limit = 16384;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (f != NULL) {
        if (fscanf(f, "%ld", &limit) != 1) {
            limit = 16384;
        }
        fclose(f);
    }
    return limit;
}

/* ---- the queue -------------------------------------------------------- */

static void
flood(long events)
{
    for (long i = 0; i <= events / 2; i++) {
        put(at("flood%ld", i % 2), ""); /* at least two events each */
    }
}

static void
test_overflow(void)
{
    struct hr_watch_info info;
    struct hr_batch batch;
    size_t got = 0;
    if (queue_limit() > 100000) {
        SKIP("the queue is too large to be filled");
    }
    enter_root();
    w = make_watch();
    mkdir(at("live"), 0755);
    mkdir(at("sub"), 0755);
    put(at("a.py"), "a\n");
    put(at("same.py"), "same\n");
    put(at("gone.py"), "gone\n");
    put(at("sub/b.py"), "b\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("a.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("same.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("gone.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("sub/b.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_folder(w, at("live"), NULL, 0), 0);
    flood(queue_limit() + 1000);
    put(at("a.py"), "a2\n"); /* nothing of this reaches the queue */
    put(at("live/new.py"), "new\n");
    unlink(at("gone.py"));
    move(at("sub"), at("old"));
    mkdir(at("sub"), 0755);
    put(at("sub/b.py"), "b2\n");
    CHECK_EQ_INT(hr_watch_wait(w, 5000, &batch), HR_WATCH_BATCH);
    got = batch.count;
    CHECK_EQ_INT(got, 3);
    CHECK(change_of(&batch, at("a.py")) != NULL);
    CHECK(change_of(&batch, at("live/new.py")) != NULL);
    CHECK(change_of(&batch, at("sub/b.py")) != NULL);
    hr_batch_clear(&batch);
    EXPECT_CHANGE(w, at("gone.py"), NULL);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.overflows, 1);
    CHECK(info.rescans >= 1);
    EXPECT_NOTHING(w, 250);
    put(at("sub/b.py"), "b3\n"); /* watched again */
    EXPECT_CHANGE(w, at("sub/b.py"), "b3\n");
    end();
}

/* ---- watches and instances -------------------------------------------- */

#ifdef HR_TESTING
static void
test_no_watches_left(void)
{
    struct hr_watch_info info;
    begin();
    mkdir(at("one"), 0755);
    mkdir(at("two"), 0755);
    put(at("one/a.py"), "a\n");
    put(at("two/b.py"), "b\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("one/a.py"), NULL, 0), 0);
    hr_hooks.watch_errno = ENOSPC;
    hr_hooks.watch_after = 0;
    CHECK_EQ_INT(hr_watch_add_file(w, at("two/b.py"), NULL, 0), 0);
    CHECK(strstr(said, "fs.inotify.max_user_watches") != NULL);
    CHECK_EQ_INT(said_count, 1);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.polled_folders, 1);
    put(at("two/b.py"), "b2\n");
    EXPECT_CHANGE(w, at("two/b.py"), "b2\n");
    put(at("one/a.py"), "a2\n");
    EXPECT_CHANGE(w, at("one/a.py"), "a2\n");
    CHECK_EQ_INT(said_count, 1); /* once */
    end();
}

/* The limit is reached with a folder above: what is below is polled. */
static void
test_no_watches_above(void)
{
    struct hr_watch_info info;
    hr_hooks.watch_errno = ENOSPC;
    hr_hooks.watch_after = 0;
    begin();
    mkdir(at("sub"), 0755);
    put(at("sub/a.py"), "a\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("sub/a.py"), NULL, 0), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.polled_folders, 1);
    move(at("sub"), at("old"));
    mkdir(at("sub"), 0755);
    put(at("sub/a.py"), "a2\n");
    EXPECT_CHANGE(w, at("sub/a.py"), "a2\n");
    end();
}

static void
test_no_instances_left(void)
{
    struct hr_watch_info info;
    hr_hooks.init_errno = EMFILE;
    begin();
    CHECK(strstr(said, "fs.inotify.max_user_instances") != NULL);
    CHECK_EQ_INT(said_count, 1);
    put(at("a.py"), "a\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("a.py"), NULL, 0), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.polled_folders, 1);
    put(at("a.py"), "a2\n");
    EXPECT_CHANGE(w, at("a.py"), "a2\n");
    end();
}

static void
test_other_errors_of_inotify(void)
{
    static const int errors[] = {ENOSYS, ENFILE, ENOMEM, EPERM};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        hr_hooks.init_errno = errors[i];
        begin();
        CHECK_EQ_INT(said_count, 1);
        put(at("a.py"), "a\n");
        CHECK_EQ_INT(hr_watch_add_file(w, at("a.py"), NULL, 0), 0);
        put(at("a.py"), "a2\n");
        EXPECT_CHANGE(w, at("a.py"), "a2\n");
        end();
    }
    hr_hooks.init_errno = 0;
    begin();
    hr_hooks.watch_errno = EACCES;
    put(at("a.py"), "a\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("a.py"), NULL, 0), 0);
    CHECK(strstr(said, "permission") != NULL);
    put(at("a.py"), "a2\n");
    EXPECT_CHANGE(w, at("a.py"), "a2\n");
    end();
}

static void
test_foreign_file_system(void)
{
    struct hr_watch_info info;
    begin();
    mkdir(at("one"), 0755);
    mkdir(at("two"), 0755);
    put(at("local.py"), "l\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("local.py"), NULL, 0), 0);
    hr_hooks.foreign_magic = 0x01021997;
    for (int i = 0; i < 2; i++) {
        put(at("%s/a.py", i ? "one" : "two"), "a\n");
        CHECK_EQ_INT(
            hr_watch_add_file(w, at("%s/a.py", i ? "one" : "two"), NULL, 0),
            0);
    }
    CHECK(strstr(said, "9p") != NULL);
    CHECK_EQ_INT(said_count, 1);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.polled_folders, 2);
    put(at("one/a.py"), "a2\n");
    EXPECT_CHANGE(w, at("one/a.py"), "a2\n");
    EXPECT_NOTHING(w, 100);
    CHECK_EQ_INT(hr_watch_remove_file(w, at("one/a.py")), 0);
    CHECK_EQ_INT(hr_watch_remove_file(w, at("two/a.py")), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.polled_folders, 0);
    end();
}

/* ---- memory ----------------------------------------------------------- */

/* Everything once; 0 when something could not be done for lack of memory
 * (and said so). */
static int
use_everything(int *found)
{
    static const char *const skip[] = {"skipped.py", NULL};
    struct hr_watch_options options = plain_options();
    struct hr_batch batch;
    int done = 0, seen = 0;
    int64_t stop;
    options.half_ms = 15;
    options.gone_ms = 15;
    options.poll_ms = 15;
    w = hr_watch_new(&options);
    if (w == NULL) {
        CHECK_EQ_INT(errno, ENOMEM);
        return 0;
    }
    if (hr_watch_add_file(w, at("p/a.py"), NULL, 0) == 0 &&
        hr_watch_add_file(w, at("p/../p/l.py"), NULL, 0) == 0 &&
        hr_watch_add_folder(w, at("live"), skip, 0) == 0 &&
        hr_watch_add_file(w, at("link/c.py"), NULL, 0) == 0) {
        done = 1;
    }
    else {
        CHECK_EQ_INT(errno, ENOMEM);
    }
    if (done) {
        put(at("p/a.py"), "a2\n");
        put(at("live/new.py"), "new\n");
        put(at("q/c.py"), "c2\n");
        put(at("q/target"), "t2\n");
        stop = now_ns() + 4000000000LL;
        while (seen != 15 && now_ns() < stop) {
            if (hr_watch_wait(w, 20, &batch) == HR_WATCH_BATCH) {
                seen |= change_of(&batch, at("p/a.py")) != NULL ? 1 : 0;
                seen |= change_of(&batch, at("live/new.py")) != NULL ? 2 : 0;
                seen |= change_of(&batch, at("link/c.py")) != NULL ? 4 : 0;
                seen |= change_of(&batch, at("p/../p/l.py")) != NULL ? 8 : 0;
            }
            hr_batch_clear(&batch);
        }
        if (!CHECK_EQ_INT(seen, 15)) {
            printf("note: allocation %ld\n", hr_hooks.allocations);
        }
    }
    *found = seen;
    hr_watch_free(w);
    w = NULL;
    return done;
}

static void
prepare_everything(void)
{
    enter_root();
    mkdir(at("p"), 0755);
    mkdir(at("q"), 0755);
    mkdir(at("live"), 0755);
    put(at("p/a.py"), "a\n");
    put(at("live/x.py"), "x\n");
    put(at("q/c.py"), "c\n");
    put(at("q/target"), "t\n");
    CHECK_EQ_INT(symlink("q", at("link")), 0);
    CHECK_EQ_INT(symlink("../q/target", at("p/l.py")), 0);
}

/* Each allocation fails once, in turn: adding says so, nothing is lost. */
static void
test_each_allocation(void)
{
    long total, refused = 0;
    int found;
    prepare_everything();
    hr_hooks = (struct hr_hooks){.counting = 1};
    CHECK(use_everything(&found));
    total = hr_hooks.allocations;
    CHECK(total > 30 && total < 400);
    for (long i = 1; i <= total + 2 && check_errors == 0; i++) {
        prepare_everything();
        hr_hooks = (struct hr_hooks){.counting = 1, .fail_at = i};
        refused += !use_everything(&found);
        hr_hooks = (struct hr_hooks){.counting = 0};
    }
    CHECK(refused > 10);
    leave_root();
}

/* From one allocation on all fail, for a while; then there is memory again
 * and everything is found. */
static void
test_no_memory_for_a_while(void)
{
    struct hr_batch batch;
    for (long i = 1; i < 25 && check_errors == 0; i++) {
        enter_root();
        mkdir(at("live"), 0755);
        put(at("a.py"), "a\n");
        w = make_watch();
        CHECK_EQ_INT(hr_watch_add_file(w, at("a.py"), NULL, 0), 0);
        CHECK_EQ_INT(hr_watch_add_folder(w, at("live"), NULL, 0), 0);
        hr_hooks =
            (struct hr_hooks){.counting = 1, .fail_at = i, .fail_again = 1};
        put(at("a.py"), "a2\n");
        put(at("live/n.py"), "n\n");
        if (hr_watch_wait(w, 30, &batch) == HR_WATCH_BATCH) {
            CHECK(batch.count > 0);
        }
        hr_hooks = (struct hr_hooks){.counting = 0};
        if (batch.count == 0 || change_of(&batch, at("a.py")) == NULL) {
            hr_batch_clear(&batch);
            EXPECT_FINALLY(w, at("a.py"), "a2\n");
        }
        hr_batch_clear(&batch);
        put(at("live/n.py"), "n2\n");
        EXPECT_FINALLY(w, at("live/n.py"), "n2\n");
        end();
    }
}
#endif

/* ---- size ------------------------------------------------------------- */

static void
test_large_project(void)
{
    enum { FOLDERS = 1000, PER_FOLDER = 20 };
    struct hr_watch_info info;
    int64_t start, took;
    begin();
    for (int i = 0; i < FOLDERS; i++) {
        mkdir(at("d%d", i), 0755);
    }
    start = now_ns();
    for (int i = 0; i < FOLDERS; i++) {
        for (int j = 0; j < PER_FOLDER; j++) {
            char path[PATH_MAX];
            snprintf(path, sizeof(path), "%s/d%d/module_%d.py", root, i, j);
            if (hr_watch_add_file(w, path, NULL, 0) != 0) {
                CHECK(0 && "hr_watch_add_file");
            }
        }
    }
    took = now_ns() - start;
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.files, FOLDERS * PER_FOLDER);
    if (info.polled_folders == 0) {
        CHECK_EQ_INT(info.folders, FOLDERS);
        CHECK(info.descriptors >= FOLDERS && info.descriptors < FOLDERS + 20);
    }
    printf("note %s: %.2f us and %zu bytes per file\n", check_name,
           (double)took / 1000 / (FOLDERS * PER_FOLDER),
           info.bytes / (FOLDERS * PER_FOLDER));
    CHECK(info.bytes / (FOLDERS * PER_FOLDER) < 400);
    put(at("d777/module_7.py"), "x\n");
    EXPECT_FINALLY(w, at("d777/module_7.py"), "x\n");
    for (int i = 0; i < FOLDERS; i++) {
        for (int j = 0; j < PER_FOLDER; j++) {
            hr_watch_remove_file(w, at("d%d/module_%d.py", i, j));
        }
    }
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.files, 0);
    CHECK_EQ_INT(info.folders, 0);
    CHECK_EQ_INT(info.descriptors, 0);
    end();
}

static const struct watch_test tests[] = {
    TEST(test_overflow),
#ifdef HR_TESTING
    TEST(test_no_watches_left),
    TEST(test_no_watches_above),
    TEST(test_no_instances_left),
    TEST(test_other_errors_of_inotify),
    TEST(test_foreign_file_system),
    TEST(test_each_allocation),
    TEST(test_no_memory_for_a_while),
#endif
    TEST(test_large_project),
};

int
main(void)
{
    size_t count = sizeof(tests) / sizeof(tests[0]);
    run_tests(tests, count, "");
#ifdef HR_TESTING
    polling = 1;
    run_tests(&tests[6], 2, "_polling");
#endif
    return check_done();
}
