/* Copies of the live files that ran to their end last.
 *
 * They are in .last_working/ beside the live files.  One is written after each
 * run that worked, and read at start when the file itself is broken.  A copy
 * is whole or absent.  Called by live.c.
 */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* <folder>/.last_working/<name>, or the folder alone without the name.
 * malloc'ed. */
static char *
make_path(const char *path, int with_name)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - path) : 1;
    const char *name = slash != NULL ? slash + 1 : path;
    size_t size = folder + sizeof HR_LAST_WORKING + strlen(name) + 3;
    char *result = malloc(size);
    if (result != NULL) {
        snprintf(result, size, "%.*s/" HR_LAST_WORKING "%s%s", (int)folder,
                 slash != NULL ? path : ".", with_name ? "/" : "",
                 with_name ? name : "");
    }
    return result;
}

static int
write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n < 0 ? errno : EIO;
            return -1;
        }
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Write the copy under another name and rename it: a copy is whole or absent.
 * 0, or an errno.  Needs no GIL. */
int
hr_working_save(const char *path, const char *text, size_t size)
{
    char *folder = make_path(path, 0);
    char *file = make_path(path, 1);
    char *temporary = NULL;
    int status = ENOMEM, fd = -1;
    if (folder == NULL || file == NULL ||
        (temporary = malloc(strlen(file) + 32)) == NULL) {
        goto done;
    }
    snprintf(temporary, strlen(file) + 32, "%s.%ld.tmp", file, (long)getpid());
    if (mkdir(folder, 0777) < 0 && errno != EEXIST) {
        status = errno;
        goto done;
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = errno;
        goto done;
    }
    status = write_all(fd, text, size) < 0 ? errno : 0;
    if (close(fd) < 0 && status == 0) {
        status = errno;
    }
    if (status == 0 && rename(temporary, file) < 0) {
        status = errno;
    }
    if (status != 0) {
        (void)unlink(temporary);
    }
done:
    free(temporary);
    free(file);
    free(folder);
    return status;
}

/* The content of a file as bytes; None where there is none. */
static PyObject *
read_file(PyObject *path)
{
    PyObject *io = PyImport_ImportModule("io");
    PyObject *file =
        io ? PyObject_CallMethod(io, "open", "Os", path, "rb") : NULL;
    PyObject *text = file ? PyObject_CallMethod(file, "read", NULL) : NULL;
    if (file != NULL) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyObject *closed = PyObject_CallMethod(file, "close", NULL);
        Py_XDECREF(closed);
        PyErr_Restore(type, value, traceback);
    }
    if (text == NULL && PyErr_ExceptionMatches(PyExc_FileNotFoundError)) {
        PyErr_Clear();
        text = Py_NewRef(Py_None);
    }
    Py_XDECREF(file);
    Py_XDECREF(io);
    return text;
}

PyObject *
hr_working_read(const char *path, PyObject **filename)
{
    char *copy = make_path(path, 1);
    if (copy == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *filename = PyUnicode_DecodeFSDefault(copy);
    PyObject *text = *filename ? read_file(*filename) : NULL;
    free(copy);
    return text;
}
