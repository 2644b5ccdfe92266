/* Checks for plain C test programs: one header, no library.
 *
 *     static void test_adding(void) { CHECK_EQ_INT(1 + 1, 2); }
 *     int main(void) { RUN(test_adding); return check_done(); }
 *
 * A test prints "ok NAME", "FAIL NAME file:line reason" or "skip NAME reason";
 * the program ends with "N passed, M failed" and exit status 0 or 1.  A check
 * that fails does not leave its function; REQUIRE does (the function must
 * return void).  Checks belong in the main thread.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *check_name = "";
static int check_passed, check_failed, check_skipped;
static int check_errors; /* of the running test */
static int check_skips;

static inline int
check_report(int good, const char *file, int line, const char *reason)
{
    if (!good) {
        check_errors++;
        printf("FAIL %s %s:%d %s\n", check_name, file, line, reason);
        fflush(stdout);
    }
    return good;
}

static inline int
check_equal_int(long long a, long long b, const char *file, int line,
                const char *text)
{
    char reason[400];
    if (a == b) {
        return 1;
    }
    snprintf(reason, sizeof(reason), "%s: %lld, not %lld", text, a, b);
    return check_report(0, file, line, reason);
}

static inline int
check_equal_str(const char *a, const char *b, const char *file, int line,
                const char *text)
{
    char reason[1000];
    if (a != NULL && b != NULL && strcmp(a, b) == 0) {
        return 1;
    }
    snprintf(reason, sizeof(reason), "%s: \"%.300s\", not \"%.300s\"", text,
             a == NULL ? "(null)" : a, b == NULL ? "(null)" : b);
    return check_report(0, file, line, reason);
}

#define CHECK(cond) check_report(!!(cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ_INT(a, b)                                                    \
    check_equal_int((long long)(a), (long long)(b), __FILE__, __LINE__, #a)
#define CHECK_EQ_STR(a, b) check_equal_str((a), (b), __FILE__, __LINE__, #a)
#define REQUIRE(cond)                                                         \
    do {                                                                      \
        if (!CHECK(cond)) {                                                   \
            return;                                                           \
        }                                                                     \
    } while (0)
#define SKIP(reason)                                                          \
    do {                                                                      \
        check_skips = 1;                                                      \
        printf("skip %s %s\n", check_name, (reason));                         \
        return;                                                               \
    } while (0)

static inline void
check_run(const char *name, void (*test)(void))
{
    check_name = name;
    check_errors = 0;
    check_skips = 0;
    test();
    if (check_errors != 0) {
        check_failed++;
    }
    else if (check_skips) {
        check_skipped++;
    }
    else {
        check_passed++;
        printf("ok %s\n", name);
    }
    fflush(stdout);
}

#define RUN(test_fn) check_run(#test_fn, test_fn)

static inline int
check_done(void)
{
    if (check_skipped != 0) {
        printf("%d skipped\n", check_skipped);
    }
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed == 0 ? 0 : 1;
}

#endif /* CHECK_H */
