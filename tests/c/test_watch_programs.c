/* Real programs save a followed file while the watch waits: one batch comes,
 * with the final text; nothing before it and nothing after it. */
#include "watch_util.h"

#include <sys/ioctl.h>
#include <termios.h>

#define OLD "def f():\n    return 1\n"
#define NEW "def f():\n    return 2\n"

static int
is_installed(const char *program)
{
    char command[200];
    snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1",
             program);
    return system(command) == 0;
}

static pid_t
run_in_background(const char *command)
{
    pid_t pid;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        if (chdir(root) < 0) {
            _exit(126);
        }
        setenv("HOME", root, 1);
        setenv("TERM", "xterm", 1);
        setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void
check_program(const char *program, const char *prepare, const char *command)
{
    char skip[200];
    pid_t pid;
    int status = -1;
    if (!is_installed(program)) {
        snprintf(skip, sizeof(skip), "%s is not installed", program);
        SKIP(skip);
    }
    begin_with("mod.py", OLD);
    put(at("new.txt"), NEW);
    if (prepare != NULL) {
        waitpid(run_in_background(prepare), &status, 0);
        CHECK_EQ_INT(status, 0);
    }
    EXPECT_NOTHING(w, 30);
    pid = run_in_background(command);
    EXPECT_CHANGE(w, at("mod.py"), NEW);
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
    EXPECT_NOTHING(w, 260);
    end();
}

#define PROGRAM(name, program, prepare, command)                              \
    static void test_##name(void)                                             \
    {                                                                         \
        check_program(program, prepare, command);                             \
    }

PROGRAM(vim, "vim", NULL, "vim -Nu NONE -es -c '%s/1/2/' -c wq mod.py")
PROGRAM(vim_backupcopy_yes, "vim", NULL,
        "vim -Nu NONE -es -c 'set backupcopy=yes backup' -c '%s/1/2/' -c wq "
        "mod.py")
PROGRAM(vim_backupcopy_no, "vim", NULL,
        "vim -Nu NONE -es -c 'set backupcopy=no' -c '%s/1/2/' -c wq mod.py")
PROGRAM(vim_nowritebackup, "vim", NULL,
        "vim -Nu NONE -es -c 'set nowritebackup' -c '%s/1/2/' -c wq mod.py")
PROGRAM(sed, "sed", NULL, "sed -i s/1/2/ mod.py")
PROGRAM(perl, "perl", NULL, "perl -pi -e s/1/2/ mod.py")
PROGRAM(perl_with_backup, "perl", NULL, "perl -pi.orig -e s/1/2/ mod.py")
PROGRAM(cp, "cp", NULL, "cp new.txt mod.py")
PROGRAM(cp_p, "cp", "touch -d 2001-01-01 new.txt", "cp -p new.txt mod.py")
PROGRAM(cp_remove, "cp", NULL, "cp --remove-destination new.txt mod.py")
PROGRAM(mv, "mv", NULL, "mv new.txt mod.py")
PROGRAM(install, "install", NULL, "install -m 644 new.txt mod.py")
PROGRAM(rsync, "rsync", NULL, "rsync -I new.txt mod.py")
PROGRAM(rsync_inplace, "rsync", NULL, "rsync --inplace -I new.txt mod.py")
PROGRAM(patch, "patch", "diff -u mod.py new.txt > p.diff; true",
        "patch -s mod.py p.diff")
PROGRAM(shell, "sh", NULL, "cat new.txt > mod.py")
PROGRAM(
    shell_in_lines, "sh", NULL,
    "{ printf 'def f():'; sleep 0.05; printf '\\n    return 2\\n'; } > mod.py")
PROGRAM(tee, "tee", NULL, "tee mod.py < new.txt")
PROGRAM(dd, "dd", NULL, "dd if=new.txt of=mod.py bs=5")
PROGRAM(ln_s, "ln", NULL, "ln -sf new.txt mod.py")
PROGRAM(ln, "ln", NULL, "ln -f new.txt mod.py")
PROGRAM(tar, "tar",
        "mkdir t && cp new.txt t/mod.py && tar cf t.tar -C t mod.py",
        "tar xf t.tar")
PROGRAM(python, "python3", NULL,
        "python3 -c \"open('mod.py','w').write(open('new.txt').read())\"")
PROGRAM(git_checkout_file, "git",
        "git init -q . && git config user.email a@b && git config user.name a "
        "&& cp mod.py keep && cp new.txt mod.py && git add mod.py && "
        "git commit -qm new && cp keep mod.py",
        "git checkout -q -- mod.py")
PROGRAM(git_checkout_branch, "git",
        "git init -q . && git config user.email a@b && git config user.name a "
        "&& git add mod.py && git commit -qm old && git checkout -qb next && "
        "cp new.txt mod.py && git commit -qam new && git checkout -q -",
        "git checkout -q next")
PROGRAM(git_stash_pop, "git",
        "git init -q . && git config user.email a@b && git config user.name a "
        "&& git add mod.py && git commit -qm old && cp new.txt mod.py && "
        "git stash -q",
        "git stash pop -q")

/* ---- nano needs a terminal --------------------------------------------- */

static void
type(int terminal, const char *keys)
{
    char output[4096];
    pause_ms(150);
    while (read(terminal, output, sizeof(output)) > 0) {
    }
    (void)!write(terminal, keys, strlen(keys));
}

static void
test_nano(void)
{
    int terminal, status = -1;
    pid_t pid;
    struct winsize size = {24, 80, 0, 0};
    const char *name;
    if (!is_installed("nano")) {
        SKIP("nano is not installed");
    }
    begin_with("mod.py", OLD);
    terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(terminal >= 0 && grantpt(terminal) == 0 &&
            unlockpt(terminal) == 0);
    name = ptsname(terminal);
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        int fd;
        setsid();
        fd = open(name, O_RDWR);
        ioctl(fd, TIOCSCTTY, 0);
        ioctl(fd, TIOCSWINSZ, &size);
        dup2(fd, 0);
        dup2(fd, 1);
        dup2(fd, 2);
        setenv("TERM", "xterm", 1);
        setenv("HOME", root, 1);
        execlp("nano", "nano", "-I", at("mod.py"), (char *)NULL);
        _exit(127);
    }
    type(terminal, "# typed");
    type(terminal, "\r");
    type(terminal, "\017"); /* ^O: write */
    type(terminal, "\r");
    EXPECT_CHANGE(w, at("mod.py"), "# typed\n" OLD);
    type(terminal, "\030"); /* ^X: exit */
    type(terminal, "");
    close(terminal);
    waitpid(pid, &status, 0);
    EXPECT_NOTHING(w, 260);
    end();
}

/* ---- many files ------------------------------------------------------- */

static void
check_many(const char *program, const char *prepare, const char *command)
{
    enum { COUNT = 60 };
    struct hr_batch batch;
    size_t got = 0, batches = 0;
    int status = -1, wrong = 0;
    pid_t pid;
    if (!is_installed(program)) {
        SKIP("not installed");
    }
    begin_with("mod.py", OLD);
    for (int i = 0; i < COUNT; i++) {
        put(at("f%02d.py", i), OLD);
        CHECK_EQ_INT(hr_watch_add_file(w, at("f%02d.py", i), NULL, 0), 0);
    }
    if (prepare != NULL) {
        waitpid(run_in_background(prepare), &status, 0);
        CHECK_EQ_INT(status, 0);
    }
    while (hr_watch_wait(w, 250, &batch) == HR_WATCH_BATCH) {
        hr_batch_clear(&batch);
    }
    pid = run_in_background(command);
    while (got < COUNT && hr_watch_wait(w, 4000, &batch) == HR_WATCH_BATCH) {
        got += batch.count;
        batches++;
        for (size_t i = 0; i < batch.count; i++) {
            wrong += batch.changes[i].kind != HR_CHANGE_CONTENT ||
                     strcmp(batch.changes[i].text, NEW) != 0;
        }
        hr_batch_clear(&batch);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ_INT(status, 0);
    CHECK_EQ_INT(got, COUNT);
    CHECK_EQ_INT(wrong, 0);
    printf("note %s: %d files in %zu batches\n", check_name, COUNT, batches);
    EXPECT_NOTHING(w, 250);
    end();
}

static void
test_many_with_git(void)
{
    check_many("git",
               "git init -q . && git config user.email a@b && "
               "git config user.name a && git add *.py && git commit -qm old "
               "&& git checkout -qb next && sed -i s/1/2/ f*.py && "
               "git commit -qam new && git checkout -q -",
               "git checkout -q next");
}

static void
test_many_with_sed(void)
{
    check_many("sed", NULL, "sed -i s/1/2/ f*.py");
}

static void
test_many_with_rsync(void)
{
    check_many("rsync", "mkdir new && cp f*.py new && sed -i s/1/2/ new/*.py",
               "rsync -rI new/ .");
}

static const struct watch_test tests[] = {
    TEST(test_vim),
    TEST(test_vim_backupcopy_yes),
    TEST(test_vim_backupcopy_no),
    TEST(test_vim_nowritebackup),
    TEST(test_nano),
    TEST(test_sed),
    TEST(test_perl),
    TEST(test_perl_with_backup),
    TEST(test_cp),
    TEST(test_cp_p),
    TEST(test_cp_remove),
    TEST(test_mv),
    TEST(test_install),
    TEST(test_rsync),
    TEST(test_rsync_inplace),
    TEST(test_patch),
    TEST(test_shell),
    TEST(test_shell_in_lines),
    TEST(test_tee),
    TEST(test_dd),
    TEST(test_ln_s),
    TEST(test_ln),
    TEST(test_tar),
    TEST(test_python),
    TEST(test_git_checkout_file),
    TEST(test_git_checkout_branch),
    TEST(test_git_stash_pop),
    TEST(test_many_with_git),
    TEST(test_many_with_sed),
    TEST(test_many_with_rsync),
};

int
main(void)
{
    run_tests(tests, sizeof(tests) / sizeof(tests[0]), "");
    polling = 1;
    run_tests(tests, sizeof(tests) / sizeof(tests[0]) - 3, "_polling");
    return check_done();
}
