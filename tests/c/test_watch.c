/* How files are saved: each row of the table of save patterns as the system
 * calls that a program makes, and the rules on content, time stamps, halves,
 * gaps and batches.  All of it twice: with inotify and with polling. */
#include "watch_util.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static const char *file; /* the followed one */
static char file_path[PATH_MAX];

static void
begin_file(void)
{
    begin_with("mod.py", "old\n");
    strcpy(file_path, at("mod.py"));
    file = file_path;
}

/* ---- the table -------------------------------------------------------- */

static void
save_in_place(const char *text)
{
    put(file, text);
}

static void
save_as_vim(const char *text)
{
    put(at("4913"), "");
    unlink(at("4913"));
    put(at(".mod.py.swp"), "swap");
    move(file, at("mod.py~"));
    put(file, text);
    chmod(file, 0644);
    unlink(at("mod.py~"));
    unlink(at(".mod.py.swp"));
}

static void
save_as_vim_slowly(const char *text)
{
    int fd;
    move(file, at("mod.py~"));
    pause_ms(30);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0644);
    pause_ms(30);
    CHECK(write(fd, text, strlen(text)) > 0);
    fchmod(fd, 0644);
    pause_ms(30);
    close(fd);
    unlink(at("mod.py~"));
}

static void
save_by_rename(const char *text)
{
    put(at("sedAbCdE"), text);
    move(at("sedAbCdE"), file);
}

static void
save_as_rsync(const char *text)
{
    put(at(".mod.py.Xy12Zz"), text);
    move(at(".mod.py.Xy12Zz"), file);
}

static void
save_as_git(const char *text)
{
    int fd;
    unlink(file);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0644);
    CHECK(write(fd, text, strlen(text)) > 0);
    close(fd);
}

static void
save_by_link(const char *text)
{
    put(at("target_of_link"), text);
    unlink(at("tmp_link"));
    CHECK_EQ_INT(symlink("target_of_link", at("tmp_link")), 0);
    move(at("tmp_link"), file);
}

static void
save_as_jetbrains(const char *text)
{
    put(at("mod.py___jb_tmp___"), text);
    move(file, at("mod.py___jb_old___"));
    pause_ms(5);
    move(at("mod.py___jb_tmp___"), file);
    unlink(at("mod.py___jb_old___"));
}

static void
save_by_exchange(const char *text)
{
    put(at("other"), text);
    CHECK_EQ_INT(syscall(SYS_renameat2, AT_FDCWD, at("other"), AT_FDCWD, file,
                         RENAME_EXCHANGE),
                 0);
}

static void
save_by_mmap(const char *text)
{
    int fd = open(file, O_RDWR);
    size_t size = strlen(text);
    char *p;
    CHECK_EQ_INT(ftruncate(fd, (off_t)size), 0);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (CHECK(p != MAP_FAILED)) {
        memcpy(p, text, size);
        munmap(p, size);
    }
    close(fd);
}

static void
save_in_two_opens(const char *text)
{
    size_t half = strlen(text) / 2;
    put_n(file, text, half);
    put_more(file, text + half);
}

static void
save_in_two_opens_slowly(const char *text)
{
    size_t half = strlen(text) / 2;
    put_n(file, text, half);
    pause_ms(60);
    put_more(file, text + half);
}

static void
save_after_truncating(const char *text)
{
    int fd = open(file, O_WRONLY | O_TRUNC);
    pause_ms(60);
    CHECK(write(fd, text, strlen(text)) > 0);
    close(fd);
}

static void
save_after_emptying(const char *text)
{
    put(file, "");
    pause_ms(60);
    put(file, text);
}

static void
save_without_closing(const char *text)
{
    static int fd = -1;
    if (fd >= 0) {
        close(fd);
    }
    fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(write(fd, text, strlen(text)) > 0); /* and keeps it open */
}

static void
save_by_hard_link(const char *text)
{
    put(at("another"), text);
    unlink(file);
    CHECK_EQ_INT(link(at("another"), file), 0);
}

static void
check_pattern(void (*save)(const char *))
{
    begin_file();
    save("first new\n");
    EXPECT_CHANGE(w, file, "first new\n");
    EXPECT_NOTHING(w, 20);
    save("second x\n");
    EXPECT_CHANGE(w, file, "second x\n");
    save("third text that is longer\n");
    EXPECT_CHANGE(w, file, "third text that is longer\n");
    EXPECT_NOTHING(w, 250);
    end();
}

#define PATTERN(name)                                                         \
    static void test_##name(void)                                             \
    {                                                                         \
        check_pattern(name);                                                  \
    }

PATTERN(save_in_place)
PATTERN(save_as_vim)
PATTERN(save_as_vim_slowly)
PATTERN(save_by_rename)
PATTERN(save_as_rsync)
PATTERN(save_as_git)
PATTERN(save_by_link)
PATTERN(save_as_jetbrains)
PATTERN(save_by_exchange)
PATTERN(save_by_mmap)
PATTERN(save_in_two_opens)
PATTERN(save_in_two_opens_slowly)
PATTERN(save_after_truncating)
PATTERN(save_after_emptying)
PATTERN(save_without_closing)
PATTERN(save_by_hard_link)

/* ---- what is no save -------------------------------------------------- */

static void
test_touch_and_chmod(void)
{
    begin_file();
    CHECK_EQ_INT(utimensat(AT_FDCWD, file, NULL, 0), 0);
    chmod(file, 0600);
    put(file, "old\n");
    move(file, at("away"));
    move(at("away"), file);
    put(at("neighbour.py"), "not followed\n");
    put(at("mod.py~"), "backup\n");
    EXPECT_NOTHING(w, 300);
    CHECK(hr_watch_idle(w));
    end();
}

static void
test_back_and_forth(void)
{
    begin_file();
    put(file, "new BROKEN");
    pause_ms(polling ? 5 : 20);
    put(file, "old\n");
    EXPECT_NOTHING(w, 300);
    end();
}

/* ---- time stamps ------------------------------------------------------ */

static void
set_time(const char *path, long seconds)
{
    struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    CHECK_EQ_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
test_equal_and_older_times(void)
{
    static const char *const texts[] = {"aaa\n", "bbb\n", "ccc\n", "ddd\n"};
    begin_file();
    for (int i = 0; i < 4; i++) {
        put(at("next"), texts[i]);
        set_time(at("next"), i < 2 ? 1000000000 : 900000000);
        move(at("next"), file);
        EXPECT_CHANGE(w, file, texts[i]);
    }
    end();
}

static void
test_saves_in_a_row(void)
{
    char text[40];
    begin_file();
    for (int i = 0; i < (polling ? 5 : 50); i++) {
        snprintf(text, sizeof(text), "x = %03d\n", i);
        put(file, text);
        EXPECT_CHANGE(w, file, text);
    }
    end();
}

/* ---- halves ----------------------------------------------------------- */

static void
test_broken_is_handed_over_later(void)
{
    int64_t start;
    begin_file();
    start = now_ns();
    put(file, "BROKEN\n");
    EXPECT_CHANGE(w, file, "BROKEN\n");
    CHECK(now_ns() - start >= 145000000LL);
    CHECK(now_ns() - start < 2000000000LL);
    EXPECT_NOTHING(w, 200);
    put(file, "mended\n");
    EXPECT_CHANGE(w, file, "mended\n");
    end();
}

static void
test_broken_is_mended_at_once(void)
{
    int64_t start;
    begin_file();
    put(file, "BROKEN\n");
    EXPECT_NOTHING(w, 40);
    CHECK(!hr_watch_idle(w));
    start = now_ns();
    put(file, "whole\n");
    EXPECT_CHANGE(w, file, "whole\n");
    if (!polling) {
        CHECK(now_ns() - start < 90000000LL);
    }
    end();
}

static void
test_emptied_for_good(void)
{
    begin_file();
    put(file, "");
    EXPECT_NOTHING(w, 60);
    EXPECT_CHANGE(w, file, "");
    put(file, "");
    EXPECT_NOTHING(w, 200);
    put(file, "again\n");
    EXPECT_CHANGE(w, file, "again\n");
    end();
}

static void
test_without_whole(void)
{
    struct hr_watch_options options = plain_options();
    int64_t start;
    enter_root();
    options.whole = NULL;
    put(at("a.py"), "a\n");
    w = hr_watch_new(&options);
    hr_watch_add_file(w, at("a.py"), NULL, 0);
    put(at("a.py"), "BROKEN\n");
    start = now_ns();
    EXPECT_CHANGE(w, at("a.py"), "BROKEN\n");
    if (!polling) {
        CHECK(now_ns() - start < 100000000LL);
    }
    put(at("a.py"), "no newline");
    start = now_ns();
    EXPECT_CHANGE(w, at("a.py"), "no newline");
    CHECK(now_ns() - start > 120000000LL);
    end();
}

/* A writer that never ends is not waited for for ever. */
static void
test_writer_that_never_ends(void)
{
    int64_t start = now_ns();
    struct hr_batch batch = {0};
    int fd, seen = 0;
    begin_file();
    fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
    while (!seen && now_ns() - start < 5000000000LL) {
        CHECK(write(fd, "line\n", 5) == 5);
        if (hr_watch_wait(w, 20, &batch) == HR_WATCH_BATCH) {
            seen = 1;
        }
        hr_batch_clear(&batch);
    }
    CHECK(seen);
    close(fd);
    end();
}

/* ---- gaps ------------------------------------------------------------- */

static void
test_deleted_and_back(void)
{
    int64_t start;
    begin_file();
    unlink(file);
    start = now_ns();
    EXPECT_CHANGE(w, file, NULL);
    CHECK(now_ns() - start >= 190000000LL);
    EXPECT_NOTHING(w, 250);
    CHECK(hr_watch_idle(w));
    put(file, "old\n"); /* the same as before: still news */
    EXPECT_CHANGE(w, file, "old\n");
    unlink(file);
    EXPECT_CHANGE(w, file, NULL);
    put(file, "new\n");
    EXPECT_CHANGE(w, file, "new\n");
    end();
}

static void
test_short_gap(void)
{
    begin_file();
    unlink(file);
    EXPECT_NOTHING(w, 80);
    put(file, "old\n");
    EXPECT_NOTHING(w, 300);
    unlink(file);
    EXPECT_NOTHING(w, 80);
    put(file, "new\n");
    EXPECT_CHANGE(w, file, "new\n");
    end();
}

/* Missing when it was added, and then created. */
static void
test_created_later(void)
{
    enter_root();
    w = make_watch();
    CHECK_EQ_INT(hr_watch_add_file(w, at("new.py"), NULL, 0), 0);
    EXPECT_NOTHING(w, 250);
    put(at("new.py"), "hello\n");
    EXPECT_CHANGE(w, at("new.py"), "hello\n");
    end();
}

/* ---- what is known ---------------------------------------------------- */

static void
test_known_text(void)
{
    begin_file();
    CHECK_EQ_INT(hr_watch_add_file(w, file, "old\n", 4), 0);
    EXPECT_NOTHING(w, 60);
    /* the program runs another text than what is on the disk */
    CHECK_EQ_INT(hr_watch_add_file(w, file, "else\n", 5), 0);
    EXPECT_CHANGE(w, file, "old\n");
    /* the engine has applied it by itself before we saw it */
    put(file, "applied\n");
    CHECK_EQ_INT(hr_watch_add_file(w, file, "applied\n", 8), 0);
    EXPECT_NOTHING(w, 100);
    CHECK_EQ_INT(hr_watch_remove_file(w, file), 0);
    CHECK_EQ_INT(hr_watch_remove_file(w, file), -1);
    put(file, "not ours\n");
    EXPECT_NOTHING(w, 100);
    end();
}

static void
test_save_before_waiting(void)
{
    begin_file();
    put(file, "saved early\n");
    EXPECT_CHANGE(w, file, "saved early\n");
    end();
}

/* ---- names ------------------------------------------------------------ */

static void
test_strange_names(void)
{
    char name[300], path[PATH_MAX];
    struct hr_batch batch;
    enter_root();
    w = make_watch();
    memset(name, 'n', 252);
    strcpy(name + 252, ".py"); /* 255: the longest there is */
    CHECK_EQ_INT(strlen(name), 255);
    put(at("%s", name), "long\n");
    snprintf(path, sizeof(path), "%s/\xff\xfe\n\t\x01 \"'%%s.py", root);
    put(path, "bytes\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("%s", name), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, path, NULL, 0), 0);
    put(at("%s", name), "long 2\n");
    EXPECT_CHANGE(w, at("%s", name), "long 2\n");
    pause_ms(10);
    put(path, "bytes 2\n");
    EXPECT_CHANGE(w, path, "bytes 2\n");
    strcat(name, "y");
    errno = 0;
    CHECK_EQ_INT(hr_watch_add_file(w, at("%s", name), NULL, 0), -1);
    CHECK_EQ_INT(errno, ENAMETOOLONG);
    CHECK_EQ_INT(hr_watch_add_file(w, "", NULL, 0), -1);
    CHECK_EQ_INT(hr_watch_add_file(w, "/", NULL, 0), -1);
    CHECK_EQ_INT(hr_watch_add_file(w, at("x/"), NULL, 0), -1);
    CHECK_EQ_INT(hr_watch_wait(w, 0, &batch), HR_WATCH_TIMEOUT);
    end();
}

/* Paths come back as they were given. */
static void
test_given_paths(void)
{
    char before[PATH_MAX], odd[PATH_MAX];
    enter_root();
    w = make_watch();
    CHECK(getcwd(before, sizeof(before)) != NULL);
    CHECK_EQ_INT(chdir(root), 0);
    mkdir("sub", 0755);
    put("a.py", "a\n");
    put("sub/b.py", "b\n");
    snprintf(odd, sizeof(odd), "%s//sub/.././sub//b.py", root);
    CHECK_EQ_INT(hr_watch_add_file(w, "a.py", NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, odd, NULL, 0), 0);
    CHECK_EQ_INT(chdir("/"), 0); /* the program may go elsewhere */
    put(at("a.py"), "a2\n");
    EXPECT_CHANGE(w, "a.py", "a2\n");
    pause_ms(10);
    put(at("sub/b.py"), "b2\n");
    EXPECT_CHANGE(w, odd, "b2\n");
    CHECK_EQ_INT(chdir(root), 0);
    CHECK_EQ_INT(hr_watch_remove_file(w, "./a.py"), 0);
    CHECK_EQ_INT(chdir(before), 0);
    end();
}

static void
test_nul_bytes_and_binary(void)
{
    struct hr_batch batch;
    begin_file();
    put_n(file, "a\0b\xff\n", 5);
    CHECK_EQ_INT(hr_watch_wait(w, 3000, &batch), HR_WATCH_BATCH);
    if (CHECK_EQ_INT(batch.count, 1)) {
        CHECK_EQ_INT(batch.changes[0].size, 5);
        CHECK(memcmp(batch.changes[0].text, "a\0b\xff\n", 6) == 0);
    }
    hr_batch_clear(&batch);
    end();
}

/* ---- what cannot be read ---------------------------------------------- */

static void
expect_refused(const char *word)
{
    struct hr_batch batch;
    CHECK_EQ_INT(hr_watch_wait(w, 3000, &batch), HR_WATCH_BATCH);
    if (CHECK_EQ_INT(batch.count, 1) &&
        CHECK_EQ_INT(batch.changes[0].kind, HR_CHANGE_REFUSED)) {
        const char *error = batch.changes[0].error;
        CHECK(error != NULL && strstr(error, word) != NULL);
        CHECK(strstr(error, file) != NULL);
        CHECK(strchr(error, '\n') == NULL);
        CHECK(batch.changes[0].text == NULL);
    }
    hr_batch_clear(&batch);
    EXPECT_NOTHING(w, 200);
}

static void
expect_again(void)
{
    remove(file);
    put(file, "back\n");
    EXPECT_FINALLY(w, file, "back\n");
}

static void
test_refused(void)
{
    begin_file();
    unlink(file);
    CHECK_EQ_INT(mkfifo(file, 0644), 0);
    expect_refused("pipe");
    expect_again();
    unlink(file);
    CHECK_EQ_INT(mkdir(file, 0755), 0);
    expect_refused("folder");
    expect_again();
    unlink(file);
    CHECK_EQ_INT(symlink("mod.py", file), 0);
    expect_refused("link");
    expect_again();
    unlink(file);
    CHECK_EQ_INT(symlink("/dev/null", file), 0);
    expect_refused("device");
    expect_again();
    if (geteuid() != 0) {
        chmod(file, 0);
        expect_refused("permission");
        chmod(file, 0644);
        EXPECT_CHANGE(w, file, "back\n");
    }
    end();
}

static void
test_too_large(void)
{
    struct hr_watch_options options = plain_options();
    begin_file();
    hr_watch_free(w);
    options.max_size = 1000;
    w = hr_watch_new(&options);
    hr_watch_add_file(w, file, NULL, 0);
    CHECK_EQ_INT(truncate(file, 1001), 0);
    expect_refused("large");
    CHECK_EQ_INT(truncate(file, 0), 0);
    put(file, "small\n");
    EXPECT_FINALLY(w, file, "small\n");
    end();
}

/* ---- batches ---------------------------------------------------------- */

static void
check_together(void (*save)(const char *), int count)
{
    struct hr_batch batch;
    int got = 0, batches = 0;
    enter_root();
    w = make_watch();
    for (int i = 0; i < count; i++) {
        put(at("f%d.py", i), "old\n");
        hr_watch_add_file(w, at("f%d.py", i), NULL, 0);
    }
    EXPECT_NOTHING(w, 20);
    for (int i = 0; i < count; i++) {
        strcpy(file_path, at("f%d.py", i));
        file = file_path;
        save("new\n");
    }
    while (got < count && hr_watch_wait(w, 3000, &batch) == HR_WATCH_BATCH) {
        got += (int)batch.count;
        batches++;
        hr_batch_clear(&batch);
    }
    CHECK_EQ_INT(got, count);
    CHECK_EQ_INT(batches, 1);
    EXPECT_NOTHING(w, 50);
    end();
}

static void
test_many_together(void)
{
    check_together(save_as_git, 100);
    check_together(save_in_place, 100);
    check_together(save_by_rename, 100);
    check_together(save_in_place, 2);
}

struct saver {
    int count;
    void (*save)(const char *path);
};

static void
git_one(const char *path)
{
    int fd;
    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd >= 0) {
        (void)!write(fd, "new\n", 4);
        close(fd);
    }
}

static void *
save_all(void *arg)
{
    struct saver *s = arg;
    char path[PATH_MAX];
    pause_ms(20);
    for (int i = 0; i < s->count; i++) {
        snprintf(path, sizeof(path), "%s/f%d.py", root, i);
        s->save(path);
    }
    return NULL;
}

/* The same while the watch is waiting: what really happens. */
static void
test_checkout_while_waiting(void)
{
    struct saver saver = {100, git_one};
    struct hr_batch batch;
    int got = 0, batches = 0;
    pthread_t thread;
    enter_root();
    w = make_watch();
    for (int i = 0; i < saver.count; i++) {
        put(at("f%d.py", i), "old\n");
        hr_watch_add_file(w, at("f%d.py", i), NULL, 0);
    }
    pthread_create(&thread, NULL, save_all, &saver);
    while (got < saver.count &&
           hr_watch_wait(w, 3000, &batch) == HR_WATCH_BATCH) {
        got += (int)batch.count;
        batches++;
        hr_batch_clear(&batch);
    }
    pthread_join(thread, NULL);
    CHECK_EQ_INT(got, saver.count);
    if (batches != 1) {
        /* a noisy machine may stop the writer for longer than gather_ms */
        printf("note %s: %d batches\n", check_name, batches);
        CHECK(batches <= 8);
    }
    end();
}

/* ---- the hash --------------------------------------------------------- */

static void
test_hash(void)
{
    static uint64_t seen[4096];
    static unsigned char data[4096];
    size_t count = 0;
    uint64_t flips = 0;
    for (size_t size = 0; size < 300; size++) {
        seen[count++] = hr_watch_hash(data, size); /* zeros: length counts */
    }
    for (size_t i = 0; i < 256; i++) {
        for (int bit = 0; bit < 8; bit++) {
            data[i] ^= (unsigned char)(1 << bit);
            seen[count++] = hr_watch_hash(data, 256);
            flips +=
                (uint64_t)__builtin_popcountll(seen[count - 1] ^ seen[256]);
            data[i] ^= (unsigned char)(1 << bit);
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (seen[i] == seen[j]) {
                CHECK(0 && "two texts, one hash");
                return;
            }
        }
    }
    CHECK(flips / 2048 >= 28 && flips / 2048 <= 36);
    CHECK(hr_watch_hash("ab", 2) == hr_watch_hash("ab", 2));
}

static const struct watch_test tests[] = {
    TEST(test_save_in_place),
    TEST(test_save_as_vim),
    TEST(test_save_as_vim_slowly),
    TEST(test_save_by_rename),
    TEST(test_save_as_rsync),
    TEST(test_save_as_git),
    TEST(test_save_by_link),
    TEST(test_save_as_jetbrains),
    TEST(test_save_by_exchange),
    TEST(test_save_by_mmap),
    TEST(test_save_in_two_opens),
    TEST(test_save_in_two_opens_slowly),
    TEST(test_save_after_truncating),
    TEST(test_save_after_emptying),
    TEST(test_save_without_closing),
    TEST(test_save_by_hard_link),
    TEST(test_touch_and_chmod),
    TEST(test_back_and_forth),
    TEST(test_equal_and_older_times),
    TEST(test_saves_in_a_row),
    TEST(test_broken_is_handed_over_later),
    TEST(test_broken_is_mended_at_once),
    TEST(test_emptied_for_good),
    TEST(test_without_whole),
    TEST(test_writer_that_never_ends),
    TEST(test_deleted_and_back),
    TEST(test_short_gap),
    TEST(test_created_later),
    TEST(test_known_text),
    TEST(test_save_before_waiting),
    TEST(test_strange_names),
    TEST(test_given_paths),
    TEST(test_nul_bytes_and_binary),
    TEST(test_refused),
    TEST(test_too_large),
    TEST(test_many_together),
    TEST(test_checkout_while_waiting),
};

int
main(void)
{
    size_t count = sizeof(tests) / sizeof(tests[0]);
    RUN(test_hash);
    run_tests(tests, count, "");
    polling = 1;
    run_tests(tests, count, "_polling");
    return check_done();
}
