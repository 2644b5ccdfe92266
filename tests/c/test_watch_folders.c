/* Live folders; folders that are new, renamed, replaced, deleted, linked;
 * links to files. */
#include "watch_util.h"

static void
make_dir(const char *path)
{
    CHECK_EQ_INT(mkdir(path, 0755), 0);
}

/* Nothing to come but what may be left of saves that were reported. */
static void
settle(void)
{
    struct hr_batch batch;
    while (hr_watch_wait(w, polling ? 150 : 60, &batch) == HR_WATCH_BATCH) {
        hr_batch_clear(&batch);
    }
}

/* ---- live folders ----------------------------------------------------- */

static const char *const skip[] = {"script.py", "utils.py", NULL};

static void
test_live_folder(void)
{
    struct hr_batch batch;
    const struct hr_change *change;
    begin();
    make_dir(at("live"));
    put(at("live/a.py"), "a\n");
    put(at("live/script.py"), "not live\n");
    CHECK_EQ_INT(hr_watch_add_folder(w, at("live"), skip, 0), 0);
    EXPECT_NOTHING(w, 50);
    put(at("live/a.py"), "a2\n");
    EXPECT_CHANGE(w, at("live/a.py"), "a2\n");
    settle();
    put(at("live/b.py"), "b\n"); /* a new one */
    CHECK_EQ_INT(hr_watch_wait(w, 3000, &batch), HR_WATCH_BATCH);
    change = change_of(&batch, at("live/b.py"));
    CHECK(change != NULL && change->live == 1);
    hr_batch_clear(&batch);
    settle();
    put(at("live/script.py"), "skipped\n");
    put(at("live/utils.py"), "skipped\n");
    put(at("live/c.txt"), "no\n");
    put(at("live/.hidden.py"), "no\n");
    put(at("live/.#c.py"), "no\n");
    put(at("live/c.py~"), "no\n");
    put(at("live/4913"), "no\n");
    put(at("live/.c.py.swp"), "no\n");
    put(at("live/c.py.tmp"), "no\n");
    put(at("live/c.py___jb_tmp___"), "no\n");
    make_dir(at("live/__pycache__"));
    put(at("live/.py"), "no\n");
    EXPECT_NOTHING(w, 250);
    unlink(at("live/b.py"));
    EXPECT_CHANGE(w, at("live/b.py"), NULL);
    put(at("live/b.py"), "b\n");
    EXPECT_CHANGE(w, at("live/b.py"), "b\n");
    move(at("live/b.py"), at("live/renamed.py"));
    EXPECT_CHANGE(w, at("live/renamed.py"), "b\n");
    EXPECT_CHANGE(w, at("live/b.py"), NULL);
    CHECK_EQ_INT(hr_watch_remove_folder(w, at("live")), 0);
    CHECK_EQ_INT(hr_watch_remove_folder(w, at("live")), -1);
    put(at("live/a.py"), "a3\n");
    EXPECT_NOTHING(w, 100);
    end();
}

static void
test_live_report_now(void)
{
    struct hr_batch batch;
    begin();
    put(at("a.py"), "a\n");
    put(at("b.py"), "b BROKEN");
    put(at("empty.py"), "");
    put(at("script.py"), "s\n");
    CHECK_EQ_INT(hr_watch_add_folder(w, at("."), skip, 1), 0);
    CHECK_EQ_INT(hr_watch_wait(w, 3000, &batch), HR_WATCH_BATCH);
    CHECK_EQ_INT(batch.count, 3);
    CHECK(change_of(&batch, at("./a.py")) != NULL);
    CHECK(change_of(&batch, at("./b.py")) != NULL);
    CHECK(change_of(&batch, at("./empty.py")) != NULL);
    hr_batch_clear(&batch);
    EXPECT_NOTHING(w, 200);
    /* again, with other names to skip */
    CHECK_EQ_INT(hr_watch_add_folder(w, root, NULL, 0), 0);
    put(at("script.py"), "now live\n");
    EXPECT_CHANGE(w, at("script.py"), "now live\n");
    end();
}

static void
test_live_and_followed(void)
{
    struct hr_watch_info info;
    begin();
    put(at("a.py"), "a\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("a.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_folder(w, root, NULL, 0), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.files, 1);
    CHECK_EQ_INT(info.folders, 1);
    put(at("a.py"), "a2\n");
    EXPECT_CHANGE(w, at("a.py"), "a2\n");
    CHECK_EQ_INT(hr_watch_remove_folder(w, root), 0);
    put(at("a.py"), "a3\n");
    EXPECT_CHANGE(w, at("a.py"), "a3\n");
    CHECK_EQ_INT(hr_watch_remove_file(w, at("a.py")), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.files, 0);
    CHECK_EQ_INT(info.folders, 0);
    CHECK_EQ_INT(info.descriptors, 0);
    end();
}

static void
test_live_folder_vanishes(void)
{
    begin();
    make_dir(at("live"));
    put(at("live/a.py"), "a\n");
    CHECK_EQ_INT(hr_watch_add_folder(w, at("live"), NULL, 0), 0);
    remove_tree(at("live"));
    EXPECT_CHANGE(w, at("live/a.py"), NULL);
    EXPECT_NOTHING(w, 100);
    make_dir(at("live"));
    put(at("live/a.py"), "again\n");
    EXPECT_CHANGE(w, at("live/a.py"), "again\n");
    settle();
    put(at("live/b.py"), "b\n");
    EXPECT_CHANGE(w, at("live/b.py"), "b\n");
    end();
}

static void
test_live_folder_comes_later(void)
{
    begin();
    CHECK_EQ_INT(hr_watch_add_folder(w, at("x/y/live"), NULL, 1), 0);
    EXPECT_NOTHING(w, 50);
    make_dir(at("x"));
    make_dir(at("x/y"));
    make_dir(at("x/y/live"));
    put(at("x/y/live/a.py"), "a\n"); /* faster than any watch */
    EXPECT_CHANGE(w, at("x/y/live/a.py"), "a\n");
    settle();
    put(at("x/y/live/a.py"), "a2\n");
    EXPECT_CHANGE(w, at("x/y/live/a.py"), "a2\n");
    /* moved in whole */
    move(at("x"), at("away"));
    EXPECT_FINALLY(w, at("x/y/live/a.py"), NULL);
    make_dir(at("z"));
    make_dir(at("z/y"));
    make_dir(at("z/y/live"));
    put(at("z/y/live/b.py"), "b\n");
    move(at("z"), at("x"));
    EXPECT_FINALLY(w, at("x/y/live/b.py"), "b\n");
    end();
}

/* ---- folders of followed files ---------------------------------------- */

static void
follow_one(const char *text)
{
    begin();
    make_dir(at("p"));
    make_dir(at("p/sub"));
    put(at("p/sub/m.py"), text);
    CHECK_EQ_INT(hr_watch_add_file(w, at("p/sub/m.py"), NULL, 0), 0);
}

/* Does a plain save arrive? */
static void
check_alive(const char *text)
{
    settle();
    put(at("p/sub/m.py"), text);
    EXPECT_CHANGE(w, at("p/sub/m.py"), text);
}

static void
test_folder_renamed_and_back(void)
{
    follow_one("old\n");
    move(at("p/sub"), at("p/sub2"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), NULL);
    put(at("p/sub2/m.py"), "elsewhere\n");
    EXPECT_NOTHING(w, 100);
    move(at("p/sub2"), at("p/sub"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), "elsewhere\n");
    check_alive("alive\n");
    /* quickly: nothing has happened */
    move(at("p/sub"), at("p/sub2"));
    move(at("p/sub2"), at("p/sub"));
    EXPECT_NOTHING(w, 300);
    check_alive("alive 2\n");
    end();
}

static void
test_folder_replaced(void)
{
    follow_one("old\n");
    make_dir(at("p/new"));
    put(at("p/new/m.py"), "replaced\n");
    move(at("p/sub"), at("p/old"));
    move(at("p/new"), at("p/sub"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), "replaced\n");
    check_alive("alive\n");
    put(at("p/old/m.py"), "nobody looks\n");
    EXPECT_NOTHING(w, 100);
    end();
}

static void
test_ancestor_replaced(void)
{
    follow_one("old\n");
    make_dir(at("q"));
    make_dir(at("q/sub"));
    put(at("q/sub/m.py"), "from q\n");
    move(at("p"), at("p.old"));
    move(at("q"), at("p"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), "from q\n");
    check_alive("alive\n");
    put(at("p.old/sub/m.py"), "nobody looks\n");
    EXPECT_NOTHING(w, 100);
    end();
}

static void
test_folder_deleted_and_made_again(void)
{
    follow_one("old\n");
    remove_tree(at("p"));
    make_dir(at("p"));
    make_dir(at("p/sub"));
    put(at("p/sub/m.py"), "cloned\n");
    EXPECT_CHANGE(w, at("p/sub/m.py"), "cloned\n");
    check_alive("alive\n");
    remove_tree(at("p"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), NULL);
    pause_ms(50);
    make_dir(at("p"));
    EXPECT_NOTHING(w, 50);
    make_dir(at("p/sub"));
    EXPECT_NOTHING(w, 50);
    put(at("p/sub/m.py"), "later\n");
    EXPECT_CHANGE(w, at("p/sub/m.py"), "later\n");
    check_alive("alive 2\n");
    end();
}

/* The program stands in the folder that is deleted: its inode lives on, and
 * the kernel does not say that it was deleted. */
static void
test_folder_deleted_while_in_use(void)
{
    char before[PATH_MAX];
    follow_one("old\n");
    CHECK(getcwd(before, sizeof(before)) != NULL);
    CHECK_EQ_INT(chdir(at("p/sub")), 0);
    remove_tree(at("p"));
    make_dir(at("p"));
    make_dir(at("p/sub"));
    put(at("p/sub/m.py"), "cloned\n");
    EXPECT_CHANGE(w, at("p/sub/m.py"), "cloned\n");
    check_alive("alive\n");
    CHECK_EQ_INT(chdir(at("p/sub")), 0);
    remove_tree(at("p"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), NULL);
    make_dir(at("p"));
    make_dir(at("p/sub"));
    put(at("p/sub/m.py"), "later\n");
    EXPECT_CHANGE(w, at("p/sub/m.py"), "later\n");
    check_alive("alive 2\n");
    CHECK_EQ_INT(chdir(before), 0);
    end();
}

static void
test_folder_becomes_a_file(void)
{
    follow_one("old\n");
    move(at("p/sub"), at("away"));
    put(at("p/sub"), "a file\n");
    EXPECT_CHANGE(w, at("p/sub/m.py"), NULL);
    unlink(at("p/sub"));
    move(at("away"), at("p/sub"));
    EXPECT_CHANGE(w, at("p/sub/m.py"), "old\n");
    check_alive("alive\n");
    end();
}

/* ---- links ------------------------------------------------------------ */

static void
point(const char *target, const char *link)
{
    char temporary[PATH_MAX];
    snprintf(temporary, sizeof(temporary), "%s.newlink", link);
    CHECK_EQ_INT(symlink(target, temporary), 0);
    move(temporary, link);
}

static void
test_linked_file(void)
{
    struct hr_watch_info info;
    begin();
    make_dir(at("a"));
    make_dir(at("b"));
    make_dir(at("c"));
    put(at("b/target.py"), "one\n");
    CHECK_EQ_INT(symlink("../b/target.py", at("a/m.py")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("a/m.py"), NULL, 0), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.folders, 2);
    put(at("b/target.py"), "two\n"); /* the target is written */
    EXPECT_CHANGE(w, at("a/m.py"), "two\n");
    settle();
    put(at("b/tmp"), "three\n"); /* the target is replaced */
    move(at("b/tmp"), at("b/target.py"));
    EXPECT_CHANGE(w, at("a/m.py"), "three\n");
    put(at("c/other.py"), "four\n"); /* the link is pointed elsewhere */
    point("../c/other.py", at("a/m.py"));
    EXPECT_CHANGE(w, at("a/m.py"), "four\n");
    put(at("b/target.py"), "nobody looks\n");
    EXPECT_NOTHING(w, 100);
    put(at("c/other.py"), "five\n");
    EXPECT_CHANGE(w, at("a/m.py"), "five\n");
    /* the target goes and comes back */
    unlink(at("c/other.py"));
    EXPECT_CHANGE(w, at("a/m.py"), NULL);
    put(at("c/other.py"), "six\n");
    EXPECT_CHANGE(w, at("a/m.py"), "six\n");
    /* becomes a file */
    unlink(at("a/m.py"));
    put(at("a/m.py"), "plain\n");
    EXPECT_CHANGE(w, at("a/m.py"), "plain\n");
    settle();
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.folders, 1);
    CHECK_EQ_INT(hr_watch_remove_file(w, at("a/m.py")), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.descriptors, 0);
    end();
}

static void
test_chain_of_links(void)
{
    begin();
    make_dir(at("a"));
    make_dir(at("b"));
    make_dir(at("c"));
    put(at("c/end.py"), "one\n");
    put(at("c/end2.py"), "other end\n");
    CHECK_EQ_INT(symlink("../b/middle.py", at("a/m.py")), 0);
    CHECK_EQ_INT(symlink(at("c/end.py"), at("b/middle.py")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("a/m.py"), NULL, 0), 0);
    put(at("c/end.py"), "two\n");
    EXPECT_CHANGE(w, at("a/m.py"), "two\n");
    point("../c/end2.py", at("b/middle.py"));
    EXPECT_CHANGE(w, at("a/m.py"), "other end\n");
    settle();
    put(at("c/end2.py"), "three\n");
    EXPECT_CHANGE(w, at("a/m.py"), "three\n");
    end();
}

/* A link and its target are both followed; a save is one batch of two. */
static void
test_link_and_target(void)
{
    struct hr_batch batch;
    begin();
    put(at("t.py"), "one\n");
    CHECK_EQ_INT(symlink("t.py", at("l.py")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("t.py"), "one\n", 4), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("l.py"), "one\n", 4), 0);
    EXPECT_NOTHING(w, 50);
    put(at("t.py"), "two\n");
    CHECK_EQ_INT(hr_watch_wait(w, 3000, &batch), HR_WATCH_BATCH);
    CHECK_EQ_INT(batch.count, 2);
    hr_batch_clear(&batch);
    CHECK_EQ_INT(hr_watch_remove_file(w, at("l.py")), 0);
    settle();
    put(at("t.py"), "three\n");
    EXPECT_CHANGE(w, at("t.py"), "three\n");
    end();
}

static void
test_linked_folder(void)
{
    begin();
    make_dir(at("v1"));
    make_dir(at("v2"));
    put(at("v1/m.py"), "v1\n");
    put(at("v2/m.py"), "v2\n");
    CHECK_EQ_INT(symlink("v1", at("now")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("now/m.py"), NULL, 0), 0);
    put(at("v1/m.py"), "v1 saved\n");
    EXPECT_CHANGE(w, at("now/m.py"), "v1 saved\n");
    point("v2", at("now"));
    EXPECT_CHANGE(w, at("now/m.py"), "v2\n");
    settle();
    put(at("v2/m.py"), "v2 saved\n");
    EXPECT_CHANGE(w, at("now/m.py"), "v2 saved\n");
    put(at("v1/m.py"), "nobody looks\n");
    EXPECT_NOTHING(w, 100);
    /* ln -sfn of old: unlink, symlink */
    unlink(at("now"));
    CHECK_EQ_INT(symlink("v1", at("now")), 0);
    EXPECT_CHANGE(w, at("now/m.py"), "nobody looks\n");
    /* what it leads to is replaced */
    move(at("v1"), at("v0"));
    make_dir(at("v1"));
    put(at("v1/m.py"), "new v1\n");
    EXPECT_CHANGE(w, at("now/m.py"), "new v1\n");
    settle();
    put(at("v1/m.py"), "end\n");
    EXPECT_CHANGE(w, at("now/m.py"), "end\n");
    /* it leads nowhere for a time */
    move(at("v1"), at("gone"));
    EXPECT_CHANGE(w, at("now/m.py"), NULL);
    move(at("gone"), at("v1"));
    EXPECT_CHANGE(w, at("now/m.py"), "end\n");
    end();
}

/* A component in the middle is the link, and it leads into a deep place. */
static void
test_link_above(void)
{
    begin();
    make_dir(at("x"));
    make_dir(at("x/rel1"));
    make_dir(at("x/rel1/pkg"));
    make_dir(at("x/rel2"));
    make_dir(at("x/rel2/pkg"));
    put(at("x/rel1/pkg/m.py"), "1\n");
    put(at("x/rel2/pkg/m.py"), "2\n");
    CHECK_EQ_INT(symlink("x/rel1", at("current")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("current/pkg/m.py"), NULL, 0), 0);
    point("x/rel2", at("current"));
    EXPECT_CHANGE(w, at("current/pkg/m.py"), "2\n");
    settle();
    put(at("x/rel2/pkg/m.py"), "22\n");
    EXPECT_CHANGE(w, at("current/pkg/m.py"), "22\n");
    /* the target's ancestor is exchanged */
    move(at("x"), at("y"));
    make_dir(at("x"));
    make_dir(at("x/rel2"));
    make_dir(at("x/rel2/pkg"));
    put(at("x/rel2/pkg/m.py"), "33\n");
    EXPECT_CHANGE(w, at("current/pkg/m.py"), "33\n");
    end();
}

static void
test_two_paths_to_one_folder(void)
{
    struct hr_batch batch;
    struct hr_watch_info info;
    begin();
    make_dir(at("real"));
    put(at("real/a.py"), "a\n");
    CHECK_EQ_INT(symlink("real", at("alias")), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("real/a.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("alias/a.py"), NULL, 0), 0);
    put(at("real/a.py"), "a2\n");
    CHECK_EQ_INT(hr_watch_wait(w, 3000, &batch), HR_WATCH_BATCH);
    CHECK_EQ_INT(batch.count, 2);
    hr_batch_clear(&batch);
    CHECK_EQ_INT(hr_watch_remove_file(w, at("real/a.py")), 0);
    settle();
    put(at("real/a.py"), "a3\n");
    EXPECT_CHANGE(w, at("alias/a.py"), "a3\n");
    CHECK_EQ_INT(hr_watch_remove_file(w, at("alias/a.py")), 0);
    hr_watch_get_info(w, &info);
    CHECK_EQ_INT(info.descriptors, 0);
    CHECK_EQ_INT(info.files, 0);
    end();
}

static void
test_loops_of_folders(void)
{
    begin();
    make_dir(at("d"));
    CHECK_EQ_INT(symlink("loop2", at("loop1")), 0);
    CHECK_EQ_INT(symlink("loop1", at("loop2")), 0);
    CHECK_EQ_INT(symlink("..", at("d/up")), 0);
    put(at("d/m.py"), "m\n");
    CHECK_EQ_INT(hr_watch_add_file(w, at("loop1/m.py"), NULL, 0), 0);
    CHECK_EQ_INT(hr_watch_add_file(w, at("d/up/d/up/d/m.py"), NULL, 0), 0);
    settle();
    put(at("d/m.py"), "m2\n");
    EXPECT_CHANGE(w, at("d/up/d/up/d/m.py"), "m2\n");
    point("d", at("loop1"));
    EXPECT_FINALLY(w, at("loop1/m.py"), "m2\n");
    end();
}

static const struct watch_test tests[] = {
    TEST(test_live_folder),
    TEST(test_live_report_now),
    TEST(test_live_and_followed),
    TEST(test_live_folder_vanishes),
    TEST(test_live_folder_comes_later),
    TEST(test_folder_renamed_and_back),
    TEST(test_folder_replaced),
    TEST(test_ancestor_replaced),
    TEST(test_folder_deleted_and_made_again),
    TEST(test_folder_deleted_while_in_use),
    TEST(test_folder_becomes_a_file),
    TEST(test_linked_file),
    TEST(test_chain_of_links),
    TEST(test_link_and_target),
    TEST(test_linked_folder),
    TEST(test_link_above),
    TEST(test_two_paths_to_one_folder),
    TEST(test_loops_of_folders),
};

static void
test_noise(void)
{
    static const char *const noise[] = {
        "a~",          "4913",  ".x.swp",      ".x.swo", ".#x",   "#x#",
        "x___jb_a___", "x.tmp", "__pycache__", ".git",   ".venv", ".hg"};
    static const char *const sound[] = {"a.py", "x.swp", "#x",     "jb_x",
                                        "git",  "4914",  "sedAbC", ".x.sw"};
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        CHECK(hr_watch_is_noise(noise[i]));
    }
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
        CHECK(!hr_watch_is_noise(sound[i]));
    }
}

int
main(void)
{
    size_t count = sizeof(tests) / sizeof(tests[0]);
    RUN(test_noise);
    run_tests(tests, count, "");
    polling = 1;
    run_tests(tests, count, "_polling");
    return check_done();
}
