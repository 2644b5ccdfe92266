/* Ways for tests to make things fail; nothing of it is in a normal build. */
#include "internal.h"

#ifdef HR_TESTING

#include <errno.h>
#include <string.h>

struct hr_hooks hr_hooks;

static int
fails(void)
{
    if (!hr_hooks.counting) {
        return 0; /* tests with threads: only read */
    }
    hr_hooks.allocations++;
    if (hr_hooks.fail_at > 0 && --hr_hooks.fail_at == 0) {
        if (hr_hooks.fail_again) {
            hr_hooks.fail_at = 1;
        }
        errno = ENOMEM;
        return 1;
    }
    return 0;
}

void *
hr_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *
hr_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

void *
hr_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

char *
hr_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

#else

/* ISO C wants something to be in here. */
extern const int hr_testing_is_off;
const int hr_testing_is_off = 1;

#endif
