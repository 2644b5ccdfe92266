/* Reading another process: /proc/PID, its memory, its maps.
 *
 * Nothing here stops the target.  What is read may be out of date when the
 * function returns; callers look again where it matters.
 */
#include "attach.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int
hr_fail(struct hr_target *target, enum hr_attach_status status,
        const char *format, ...)
{
    struct hr_error *error = &target->error;
    if (error->status != HR_ATTACH_OK) {
        return -1;
    }
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return -1;
}

int64_t
hr_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void
hr_sleep_us(unsigned microseconds)
{
    struct timespec length = {microseconds / 1000000,
                              (long)(microseconds % 1000000) * 1000};
    nanosleep(&length, NULL);
}

ssize_t
hr_process_slurp(pid_t pid, const char *name, char *into, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return -1;
    }
    size_t length = 0;
    while (length + 1 < size) {
        ssize_t got = read(descriptor, into + length, size - 1 - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            int kept = errno;
            close(descriptor);
            errno = kept;
            return -1;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    close(descriptor);
    into[length] = '\0';
    return (ssize_t)length;
}

/* The text behind "Name:" at the start of a line; NULL if there is none. */
static const char *
find_field(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            return line + strspn(line, " \t");
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return NULL;
}

int
hr_process_status(struct hr_target *target)
{
    char text[8192];
    if (hr_process_slurp(target->pid, "status", text, sizeof(text)) <= 0) {
        return -1;
    }
    const char *field = find_field(text, "Tgid");
    if (field == NULL || atoi(field) != (int)target->pid) {
        return -1;
    }
    field = find_field(text, "State");
    target->state = field ? *field : '?';
    field = find_field(text, "TracerPid");
    target->tracer = field ? (pid_t)atoi(field) : 0;
    field = find_field(text, "Seccomp");
    target->seccomp = field ? atoi(field) : 0;
    field = find_field(text, "SigIgn");
    target->ignored = field ? strtoull(field, NULL, 16) : 0;
    field = find_field(text, "SigPnd");
    target->pending = field ? strtoull(field, NULL, 16) : 0;
    field = find_field(text, "ShdPnd");
    target->pending |= field ? strtoull(field, NULL, 16) : 0;
    unsigned real = 0, effective = 0;
    field = find_field(text, "Uid");
    if (field != NULL && sscanf(field, "%u %u", &real, &effective) == 2) {
        target->uid = effective;
    }
    field = find_field(text, "Gid");
    if (field != NULL && sscanf(field, "%u %u", &real, &effective) == 2) {
        target->gid = effective;
    }
    field = find_field(text, "Name");
    if (field != NULL) {
        size_t length = strcspn(field, "\n");
        if (length >= sizeof(target->name)) {
            length = sizeof(target->name) - 1;
        }
        memcpy(target->name, field, length);
        target->name[length] = '\0';
    }
    return 0;
}

int
hr_process_same(pid_t pid, const char *name)
{
    char path[128];
    struct stat ours, theirs;
    snprintf(path, sizeof(path), "/proc/self/%s", name);
    if (stat(path, &ours) < 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    if (stat(path, &theirs) < 0) {
        return -1;
    }
    return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int
hr_process_read(struct hr_target *target, uint64_t address, void *into,
                size_t size)
{
    struct iovec local = {into, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    ssize_t got = process_vm_readv(target->pid, &local, 1, &remote, 1, 0);
    if (got == (ssize_t)size) {
        return 0;
    }
    /* Filters of containers know process_vm_readv by name, /proc not. */
    if (target->memory >= 0 &&
        pread(target->memory, into, size, (off_t)address) == (ssize_t)size) {
        return 0;
    }
    return -1;
}

int
hr_process_write(struct hr_target *target, uint64_t address, const void *from,
                 size_t size)
{
    struct iovec local = {(void *)(uintptr_t)from, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    ssize_t put = process_vm_writev(target->pid, &local, 1, &remote, 1, 0);
    if (put == (ssize_t)size) {
        return 0;
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)target->pid);
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return -1;
    }
    put = pwrite(descriptor, from, size, (off_t)address);
    close(descriptor);
    return put == (ssize_t)size ? 0 : -1;
}

int
hr_process_alive(struct hr_target *target)
{
    if (target->pidfd >= 0) {
        struct pollfd wait = {target->pidfd, POLLIN, 0};
        return poll(&wait, 1, 0) == 0;
    }
    return kill(target->pid, 0) == 0 || errno == EPERM;
}

static int
parse_map(char *line, struct hr_map *map)
{
    unsigned long long start, end, offset, inode;
    int path_at = 0;
    memset(map, 0, sizeof(*map));
    if (sscanf(line, "%llx-%llx %4s %llx %*s %llu %n", &start, &end,
               map->permissions, &offset, &inode, &path_at) < 5 ||
        path_at == 0) {
        return -1;
    }
    map->start = start;
    map->end = end;
    map->offset = offset;
    map->inode = inode;
    char *path = line + path_at;
    path[strcspn(path, "\n")] = '\0';
    size_t length = strlen(path);
    static const char mark[] = " (deleted)";
    size_t mark_length = sizeof(mark) - 1;
    if (length > mark_length &&
        strcmp(path + length - mark_length, mark) == 0) {
        length -= mark_length;
        path[length] = '\0';
        map->deleted = 1;
    }
    if (length >= sizeof(map->path)) {
        return -1;
    }
    memcpy(map->path, path, length + 1);
    return 0;
}

int
hr_process_maps(pid_t pid, hr_map_visit *visit, void *context)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    char *line = NULL;
    size_t capacity = 0;
    int result = 0;
    while (result == 0 && getline(&line, &capacity, file) >= 0) {
        struct hr_map map;
        if (parse_map(line, &map) == 0) {
            result = visit(context, &map);
        }
    }
    free(line);
    fclose(file);
    return result;
}
