/* Random operations on files, folders and links while a watch waits; when
 * they are over, what was reported must be what is on the disk.
 *
 * HR_SEED=n repeats one run; HR_ROUNDS=n makes it longer. */
#include "watch_util.h"

#include <stdatomic.h>

enum { FOLDERS = 4, NAMES = 4, FILES = FOLDERS * NAMES, OPERATIONS = 250 };

static uint64_t random_state;
static atomic_int over;
/* What the program runs: by file; NULL: deleted or never there. */
static char *model[FILES];

static unsigned
pick(unsigned count)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407;
    return (unsigned)(random_state >> 33) % count;
}

static void
file_path(char *path, unsigned number)
{
    snprintf(path, PATH_MAX, "%s/d%u/f%u.py", root, number / NAMES,
             number % NAMES);
}

/* Failing is fine: the folder may be away. */
static void
write_file(const char *path, unsigned style)
{
    char text[80], other[PATH_MAX + 8];
    int fd, length = snprintf(text, sizeof(text), "x = %u\n", pick(1000));
    snprintf(other, sizeof(other), "%s.new", path);
    if (style == 1) {
        unlink(path);
    }
    fd = open(style == 2 ? other : path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) {
        return;
    }
    if (style == 3) {
        (void)!write(fd, text, 2);
        close(fd);
        fd = open(path, O_WRONLY | O_APPEND);
        if (fd < 0) {
            return;
        }
        (void)!write(fd, text + 2, (size_t)length - 2);
    }
    else {
        (void)!write(fd, text, (size_t)length);
    }
    close(fd);
    if (style == 2) {
        (void)rename(other, path);
    }
}

static void
move_folder(unsigned folder)
{
    char path[PATH_MAX], away[PATH_MAX];
    snprintf(path, sizeof(path), "%s/d%u", root, folder);
    snprintf(away, sizeof(away), "%s/away%u", root, pick(2));
    switch (pick(5)) {
    case 0:
        (void)rename(path, away);
        break;
    case 1:
        (void)rename(away, path);
        break;
    case 2:
        remove_tree(path);
        (void)mkdir(path, 0755);
        break;
    case 3:
        (void)mkdir(path, 0755);
        break;
    default: /* a link to another folder */
        snprintf(away, sizeof(away), "d%u", pick(FOLDERS));
        remove_tree(path);
        (void)!symlink(away, path);
        break;
    }
}

static void
do_something(void)
{
    char path[PATH_MAX], other[PATH_MAX];
    unsigned what = pick(100);
    file_path(path, pick(FILES));
    file_path(other, pick(FILES));
    if (what < 55) {
        write_file(path, pick(4));
    }
    else if (what < 65) {
        unlink(path);
    }
    else if (what < 72) {
        (void)rename(path, other);
    }
    else if (what < 78) {
        unlink(path);
        (void)!symlink(other, path);
    }
    else if (what < 84) {
        (void)utimensat(AT_FDCWD, path, NULL, 0);
    }
    else if (what < 90) {
        move_folder(pick(FOLDERS));
    }
    else if (what < 97) {
        struct timespec t = {0, pick(3000000)};
        nanosleep(&t, NULL);
    }
    else {
        pause_ms((int)pick(60));
    }
}

static void *
do_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < OPERATIONS; i++) {
        do_something();
    }
    atomic_store(&over, 1);
    return NULL;
}

static void
take_batch(struct hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct hr_change *c = &batch->changes[i];
        for (unsigned n = 0; n < FILES; n++) {
            char path[PATH_MAX];
            file_path(path, n);
            if (strcmp(path, c->path) == 0) {
                free(model[n]);
                model[n] = NULL;
                if (c->kind == HR_CHANGE_CONTENT) {
                    model[n] = c->text;
                    c->text = NULL;
                }
            }
        }
    }
    hr_batch_clear(batch);
}

static void
compare_all(uint64_t seed, int round)
{
    for (unsigned n = 0; n < FILES; n++) {
        char path[PATH_MAX], text[200] = "", reason[600];
        int fd, length = -1;
        file_path(path, n);
        fd = open(path, O_RDONLY);
        if (fd >= 0) {
            length = (int)read(fd, text, sizeof(text) - 1);
            close(fd);
        }
        if (length < 0 ? model[n] == NULL
                       : model[n] != NULL && strcmp(model[n], text) == 0) {
            continue;
        }
        snprintf(reason, sizeof(reason),
                 "seed %llu round %d: d%u/f%u.py is \"%.20s\" (%d), reported "
                 "was \"%.20s\"",
                 (unsigned long long)seed, round, n / NAMES, n % NAMES, text,
                 length, model[n] == NULL ? "(nothing)" : model[n]);
        check_report(0, __FILE__, __LINE__, reason);
    }
}

static void
run_random(uint64_t seed)
{
    const char *rounds = getenv("HR_ROUNDS");
    int count = rounds == NULL ? 2 : atoi(rounds);
    struct hr_watch_options options = plain_options();
    char path[PATH_MAX];
    random_state = seed * 77777 + 1;
    options.half_ms = 60;
    options.gone_ms = 70;
    enter_root();
    w = hr_watch_new(&options);
    REQUIRE(w != NULL);
    for (unsigned n = 0; n < FOLDERS; n++) {
        mkdir(at("d%u", n), 0755);
    }
    for (unsigned n = 0; n < FILES; n++) {
        file_path(path, n);
        CHECK_EQ_INT(hr_watch_add_file(w, path, NULL, 0), 0);
    }
    for (int round = 0; round < count && check_errors == 0; round++) {
        struct hr_batch batch;
        pthread_t thread;
        int quiet = 0;
        atomic_store(&over, 0);
        pthread_create(&thread, NULL, do_much, NULL);
        while (!quiet) {
            int was_over = atomic_load(&over);
            enum hr_watch_result result = hr_watch_wait(w, 250, &batch);
            take_batch(&batch);
            quiet = was_over && result == HR_WATCH_TIMEOUT;
        }
        pthread_join(thread, NULL);
        CHECK(polling || hr_watch_idle(w));
        compare_all(seed, round);
    }
    hr_watch_free(w);
    for (unsigned n = 0; n < FILES; n++) {
        free(model[n]);
        model[n] = NULL;
    }
    leave_root();
}

#define RANDOM(n)                                                             \
    static void test_random_##n(void)                                         \
    {                                                                         \
        const char *seed = getenv("HR_SEED");                                 \
        run_random(seed == NULL ? n : strtoull(seed, NULL, 10) + n);          \
    }
RANDOM(1)
RANDOM(2)
RANDOM(3)
RANDOM(4)
RANDOM(5)
RANDOM(6)
RANDOM(7)
RANDOM(8)

static const struct watch_test tests[] = {
    TEST(test_random_1), TEST(test_random_2), TEST(test_random_3),
    TEST(test_random_4), TEST(test_random_5), TEST(test_random_6),
    TEST(test_random_7), TEST(test_random_8),
};

int
main(void)
{
    run_tests(tests, sizeof(tests) / sizeof(tests[0]), "");
    polling = 1;
    run_tests(tests, sizeof(tests) / sizeof(tests[0]) / 2, "_polling");
    return check_done();
}
