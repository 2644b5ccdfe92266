/* The floor of save to live: wait for the same event, say when it came.
 *
 *     floor FOLDER
 *
 * One line for each file in FOLDER that is closed after writing, or renamed
 * into it: CLOCK_MONOTONIC in nanoseconds at the return of read().  Nothing
 * that learns of a save through the kernel can know of it earlier.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    _Alignas(struct inotify_event) char events[4096];
    int fd = inotify_init1(IN_CLOEXEC);

    if (argc != 2 || fd < 0 ||
        inotify_add_watch(fd, argv[1], IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
        perror("floor");
        return 1;
    }
    puts("\"ready\"");
    fflush(stdout);
    while (read(fd, events, sizeof events) > 0) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        printf("%lld\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
        fflush(stdout);
    }
    return 0;
}
