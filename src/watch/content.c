/* Reading one file, whatever stands at its path.
 *
 * A path that is followed may turn into anything: a FIFO that blocks whoever
 * opens it, a device whose opening does something, a folder, a loop of
 * links, 40 GB of zeros.  So: lstat first (nothing is opened that is not a
 * regular file), open without blocking, and believe only what fstat says of
 * what was opened.  No lock of the watch is held here.
 *
 * The signature (`sign`) is what a stat says of a file: device, inode, size
 * and both times.  Equal signatures mean equal content only if the times
 * are old enough for the clock of the file system to have moved on since;
 * a younger one is never stored.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __APPLE__
#define MTIME st_mtimespec
#define CTIME st_ctimespec
#else
#define MTIME st_mtim
#define CTIME st_ctim
#endif

static int64_t
nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

uint64_t
hr_content_sign(const struct stat *st)
{
    uint64_t parts[5] = {
        (uint64_t)st->st_dev,
        (uint64_t)st->st_ino,
        (uint64_t)st->st_size,
        (uint64_t)nanoseconds(st->MTIME),
        (uint64_t)nanoseconds(st->CTIME),
    };
    uint64_t sign = hr_watch_hash(parts, sizeof(parts));

    return sign == 0 ? 1 : sign;
}

/* Are the times old enough to tell this content from the next one? */
static int
is_settled(const struct stat *st)
{
    struct timespec now;
    int64_t newest = nanoseconds(st->MTIME);

    if (nanoseconds(st->CTIME) > newest) {
        newest = nanoseconds(st->CTIME);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now) - newest > HR_RACY_NS;
}

static enum hr_content_status
refuse(struct hr_content *content, enum hr_refusal reason)
{
    content->reason = reason;
    return HR_CONTENT_REFUSED;
}

static enum hr_content_status
fail(struct hr_content *content, int error)
{
    content->error = error;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return HR_CONTENT_MISSING;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EINTR:
    case EAGAIN:
    case ESTALE:
        return HR_CONTENT_RETRY;
    case EACCES:
    case EPERM:
        return refuse(content, HR_REFUSED_PERMISSION);
    case ELOOP:
        return refuse(content, HR_REFUSED_LOOP);
    default:
        return refuse(content, HR_REFUSED_OTHER);
    }
}

static enum hr_content_status
check_kind(const struct stat *st, size_t max_size, struct hr_content *content)
{
    if (S_ISDIR(st->st_mode)) {
        return refuse(content, HR_REFUSED_FOLDER);
    }
    if (S_ISFIFO(st->st_mode)) {
        return refuse(content, HR_REFUSED_FIFO);
    }
    if (!S_ISREG(st->st_mode)) {
        return refuse(content, HR_REFUSED_SPECIAL);
    }
    if ((uint64_t)st->st_size > max_size) {
        return refuse(content, HR_REFUSED_LARGE);
    }
    return HR_CONTENT_READ;
}

/* The whole file into content->text.  It may be longer or shorter than its
 * stat said: somebody may be writing. */
static enum hr_content_status
read_all(int fd, size_t expected, size_t max_size, struct hr_content *content)
{
    size_t room = expected + 1;

    content->text = hr_malloc(room);
    if (content->text == NULL) {
        return fail(content, ENOMEM);
    }
    for (;;) {
        ssize_t got;
        if (content->size == room) {
            char *more;
            if (content->size > max_size) {
                return refuse(content, HR_REFUSED_LARGE);
            }
            room += room / 2 + 4096;
            more = hr_realloc(content->text, room);
            if (more == NULL) {
                return fail(content, ENOMEM);
            }
            content->text = more;
        }
        got = read(fd, content->text + content->size, room - content->size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail(content, errno);
        }
        if (got == 0) {
            content->text[content->size] = '\0';
            return HR_CONTENT_READ;
        }
        content->size += (size_t)got;
    }
}

static enum hr_content_status
read_descriptor(int fd, size_t max_size, struct hr_content *content)
{
    struct stat before, after;
    enum hr_content_status status;

    if (fstat(fd, &before) < 0) {
        return fail(content, errno);
    }
    status = check_kind(&before, max_size, content);
    if (status != HR_CONTENT_READ) {
        return status;
    }
    status = read_all(fd, (size_t)before.st_size, max_size, content);
    if (status != HR_CONTENT_READ) {
        return status;
    }
    if (fstat(fd, &after) < 0) {
        return fail(content, errno);
    }
    content->seen = hr_content_sign(&after);
    content->torn = hr_content_sign(&before) != content->seen &&
                    (before.st_size != after.st_size ||
                     nanoseconds(before.MTIME) != nanoseconds(after.MTIME));
    content->sign = is_settled(&after) ? content->seen : 0;
    content->saved_ns = nanoseconds(after.MTIME);
    content->hash = hr_watch_hash(content->text, content->size);
    return HR_CONTENT_READ;
}

enum hr_content_status
hr_content_read(const char *path, int follow, size_t max_size,
                uint64_t known_sign, struct hr_content *content)
{
    struct stat st;
    enum hr_content_status status;
    int fd;

    *content = (struct hr_content){.text = NULL};
    if ((follow ? stat(path, &st) : lstat(path, &st)) < 0) {
        return fail(content, errno);
    }
    if (S_ISLNK(st.st_mode)) {
        return HR_CONTENT_LINK;
    }
    if (known_sign != 0 && hr_content_sign(&st) == known_sign) {
        return HR_CONTENT_SAME;
    }
    status = check_kind(&st, max_size, content);
    if (status != HR_CONTENT_READ) {
        return status;
    }
    do {
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY |
                            (follow ? 0 : O_NOFOLLOW));
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        if (errno == ELOOP && !follow) {
            return HR_CONTENT_LINK; /* it became one just now */
        }
        return fail(content, errno);
    }
    status = read_descriptor(fd, max_size, content);
    close(fd);
    if (status != HR_CONTENT_READ) {
        free(content->text);
        content->text = NULL;
        content->size = 0;
    }
    return status;
}

/* strerror() is not safe in threads, and strerror_r() is two functions. */
const char *
hr_errno_text(int error)
{
    switch (error) {
    case EIO:
        return "input/output error";
    case ENAMETOOLONG:
        return "the path is too long";
    case ENXIO:
        return "no such device";
    case EMFILE:
        return "this process has too many open files";
    case ENFILE:
        return "this machine has too many open files";
    case ENOMEM:
        return "out of memory";
    case ESTALE:
        return "stale file handle";
    case ETIMEDOUT:
        return "timed out";
    case EACCES:
    case EPERM:
        return "permission denied";
    default:
        return NULL;
    }
}

char *
hr_content_refusal(const struct hr_content *content, const char *path,
                   size_t max_size)
{
    size_t room = strlen(path) + 200;
    char *sentence = hr_malloc(room);
    const char *text = hr_errno_text(content->error);

    if (sentence == NULL) {
        return NULL;
    }
    switch (content->reason) {
    case HR_REFUSED_FOLDER:
        snprintf(sentence, room,
                 "%s is a folder, not a file: put the file back, or stop "
                 "following it",
                 path);
        break;
    case HR_REFUSED_FIFO:
        snprintf(sentence, room,
                 "%s is a named pipe, not a file: replace it by a file", path);
        break;
    case HR_REFUSED_SPECIAL:
        snprintf(sentence, room,
                 "%s is a device or a socket, not a file: replace it by a "
                 "file",
                 path);
        break;
    case HR_REFUSED_LARGE:
        snprintf(sentence, room,
                 "%s is larger than %zu bytes, too large for source code: "
                 "make it smaller",
                 path, max_size);
        break;
    case HR_REFUSED_PERMISSION:
        snprintf(sentence, room,
                 "%s may not be read (permission denied): give this user the "
                 "right to read it",
                 path);
        break;
    case HR_REFUSED_LOOP:
        snprintf(sentence, room,
                 "%s is a symbolic link that leads back to itself: point it "
                 "at a file",
                 path);
        break;
    default:
        if (text != NULL) {
            snprintf(sentence, room, "%s cannot be read (%s): save it again",
                     path, text);
        }
        else {
            snprintf(sentence, room,
                     "%s cannot be read (error number %d): save it again",
                     path, content->error);
        }
    }
    return sentence;
}
