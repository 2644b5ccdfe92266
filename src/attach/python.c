/* Which CPython the target runs, and where its functions are.
 *
 * Every file mapped executable is asked for the symbols: first the
 * executable, then what has "python" in its name, then the rest (programs
 * that embed Python under another name).  Files are opened as the target
 * sees them, through /proc/PID/root; the executable through /proc/PID/exe,
 * which works also when it was deleted.
 *
 * A file that was exchanged on disk since the target started (an upgrade of
 * the distribution) would give wrong addresses: its first page, which holds
 * the headers and the build id, is compared with the target's memory.
 */
#include "attach.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OBJECTS = 1024, COMPARED = 4096 };

struct object {
    uint64_t start, end, inode;
    char path[512];
    int deleted, executable, tried;
};

struct objects {
    struct object *list;
    size_t count;
};

static int
collect(void *context, const struct hr_map *map)
{
    struct objects *objects = context;
    if (map->inode == 0 || map->path[0] != '/') {
        return 0;
    }
    /* The maps of one file stand together, its start first. */
    struct object *last =
        objects->count ? &objects->list[objects->count - 1] : NULL;
    if (last != NULL && last->inode == map->inode &&
        strcmp(last->path, map->path) == 0) {
        last->executable |= map->permissions[2] == 'x';
        return 0;
    }
    if (map->offset != 0 || objects->count == MAX_OBJECTS ||
        objects->list == NULL) {
        return 0;
    }
    struct object *object = &objects->list[objects->count++];
    memset(object, 0, sizeof(*object));
    object->start = map->start;
    object->end = map->end;
    object->inode = map->inode;
    object->deleted = map->deleted;
    object->executable = map->permissions[2] == 'x';
    strcpy(object->path, map->path);
    return 0;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int
same_as_in_memory(struct hr_target *target, const struct object *object,
                  const struct hr_elf *elf)
{
    unsigned char there[COMPARED];
    size_t size;
    const unsigned char *here = hr_elf_bytes(elf, &size);
    size = size < sizeof(there) ? size : sizeof(there);
    return hr_process_read(target, object->start, there, size) == 0 &&
           memcmp(here, there, size) == 0;
}

/* Opens the object's file; *other is set when there is one, but not the one
   that the target has mapped. */
static struct hr_elf *
open_object(struct hr_target *target, const struct object *object, int is_exe,
            int *other)
{
    char paths[2][640];
    int pid = (int)target->pid;
    if (is_exe) {
        snprintf(paths[0], sizeof(paths[0]), "/proc/%d/exe", pid);
    }
    else {
        snprintf(paths[0], sizeof(paths[0]), "/proc/%d/root%s", pid,
                 object->path);
    }
    snprintf(paths[1], sizeof(paths[1]), "/proc/%d/map_files/%llx-%llx", pid,
             (unsigned long long)object->start,
             (unsigned long long)object->end);
    for (int i = 0; i < 2; i++) {
        struct hr_elf *elf;
        if (hr_elf_open(&elf, paths[i]) == HR_ELF_OK) {
            if (same_as_in_memory(target, object, elf)) {
                return elf;
            }
            *other = 1;
            hr_elf_close(elf);
        }
    }
    *other |= object->deleted;
    return NULL;
}

/* "…python3.N" at `text`, N to *minor. */
static int
parse_minor(const char *text, const char *end, int *minor)
{
    int value = 0, digits = 0;
    while (text < end && *text >= '0' && *text <= '9' && digits < 3) {
        value = value * 10 + (*text++ - '0');
        digits++;
    }
    if (digits > 0) {
        *minor = value;
    }
    return digits > 0;
}

/* 3.11 and later export Py_Version.  Before that: the name of the library,
   else the folder of the standard library, which is compiled in. */
static void
read_version(const struct hr_elf *elf, struct hr_python *python)
{
    struct hr_symbol symbol;
    uint32_t hex;
    const void *data;
    if (hr_elf_symbol(elf, "Py_Version", &symbol) &&
        (data = hr_elf_data(elf, symbol.address, sizeof(hex))) != NULL) {
        memcpy(&hex, data, sizeof(hex));
        python->major = (int)(hex >> 24);
        python->minor = (int)(hex >> 16 & 0xff);
        return;
    }
    const char *name = base_name(python->path);
    const char *found = strstr(name, "python3.");
    int minor;
    if (found == NULL ||
        !parse_minor(found + 8, name + strlen(name), &minor)) {
        static const char folder[] = "lib/python3.";
        size_t size;
        const char *bytes = (const char *)hr_elf_bytes(elf, &size);
        found = memmem(bytes, size, folder, sizeof(folder) - 1);
        if (found == NULL ||
            !parse_minor(found + sizeof(folder) - 1, bytes + size, &minor)) {
            return;
        }
    }
    python->major = 3;
    python->minor = minor;
}

static void
read_symbols(const struct hr_elf *elf, uint64_t bias, struct hr_python *python)
{
    const struct {
        const char *name;
        struct hr_symbol *symbol;
    } wanted[] = {
        {"Py_AddPendingCall", &python->add_pending_call},
        {"_PyEval_AddPendingCall", &python->add_pending_call_to},
        {"PyInterpreterState_Main", &python->interpreter_main},
        {"PyRun_SimpleString", &python->run_string},
        {"Py_IsInitialized", &python->is_initialized},
        {"_Py_IsFinalizing", &python->is_finalizing},
        {"Py_IsFinalizing", &python->is_finalizing},
        {"_PyEval_EvalFrameDefault", &python->eval_frame},
        {"_PyRuntime", &python->runtime},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct hr_symbol found;
        if (hr_elf_symbol(elf, wanted[i].name, &found)) {
            wanted[i].symbol->address = found.address + bias;
            wanted[i].symbol->size = found.size;
        }
    }
    /* Exported by builds without a GIL only. */
    struct hr_symbol ignored;
    python->free_threaded =
        hr_elf_symbol(elf, "_Py_MergeZeroLocalRefcount", &ignored);
}

/* 1: this object is CPython; 0: it is not; -1: error set. */
static int
try_object(struct hr_target *target, struct object *object, int is_exe)
{
    struct hr_python *python = &target->python;
    int other = 0;
    object->tried = 1;
    struct hr_elf *elf = open_object(target, object, is_exe, &other);
    if (elf == NULL) {
        if (other && strstr(base_name(object->path), "python") != NULL) {
            return hr_fail(
                target, HR_ATTACH_FILE_REPLACED,
                "The file %s was replaced or deleted after process %d had "
                "started, so the places of its functions are not known. "
                "Restart the process once.",
                object->path, (int)target->pid);
        }
        return 0;
    }
    struct hr_symbol first, second;
    int found = hr_elf_symbol(elf, "Py_AddPendingCall", &first) &&
                hr_elf_symbol(elf, "PyRun_SimpleString", &second);
    if (found) {
        python->shared = !is_exe;
        strcpy(python->path, object->path);
        read_version(elf, python);
        read_symbols(elf, hr_elf_bias(elf, object->start), python);
    }
    hr_elf_close(elf);
    return found;
}

static int
search_objects(struct hr_target *target, struct objects *objects,
               const char *exe)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < objects->count; i++) {
            struct object *object = &objects->list[i];
            int is_exe = strcmp(object->path, exe) == 0;
            if (object->tried || (!object->executable && !is_exe) ||
                (round == 0 && !is_exe) ||
                (round == 1 &&
                 strstr(base_name(object->path), "python") == NULL)) {
                continue;
            }
            int found = try_object(target, object, is_exe);
            if (found != 0) {
                return found;
            }
        }
    }
    return 0;
}

static int
check_machine(struct hr_target *target)
{
    char path[64];
    struct hr_elf *elf;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)target->pid);
    enum hr_elf_result result = hr_elf_open(&elf, path);
    if (result == HR_ELF_OK) {
        hr_elf_close(elf);
    }
    if (result == HR_ELF_ARCHITECTURE) {
        return hr_fail(
            target, HR_ATTACH_ARCHITECTURE,
            "Process %d (%s) is not a 64-bit %s program, and this is the "
            "hot-reload-attach for %s. Use the one that is installed with a "
            "Python of the process's architecture.",
            (int)target->pid, target->name, hr_elf_machine(),
            hr_elf_machine());
    }
    return 0;
}

static void
read_exe_link(pid_t pid, char *exe, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(path, exe, size - 1);
    exe[length > 0 ? length : 0] = '\0';
    char *mark = strstr(exe, " (deleted)");
    if (mark != NULL) {
        *mark = '\0';
    }
}

int
hr_python_find(struct hr_target *target)
{
    char exe[512];
    read_exe_link(target->pid, exe, sizeof(exe));
    struct objects objects = {NULL, 0};
    objects.list = calloc(MAX_OBJECTS, sizeof(*objects.list));
    if (objects.list == NULL) {
        return hr_fail(target, HR_ATTACH_INTERNAL, "Out of memory.");
    }
    hr_process_maps(target->pid, collect, &objects);
    int found = search_objects(target, &objects, exe);
    free(objects.list);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    /* A foreign executable was skipped above; that is the better answer. */
    if (check_machine(target) < 0) {
        return -1;
    }
    if (strstr(base_name(exe), "pypy") != NULL) {
        return hr_fail(target, HR_ATTACH_NOT_CPYTHON,
                       "Process %d (%s) runs PyPy; only CPython can be "
                       "attached to.",
                       (int)target->pid, target->name);
    }
    if (strstr(base_name(exe), "python") != NULL) {
        return hr_fail(
            target, HR_ATTACH_NOT_CPYTHON,
            "Process %d runs %s, but that file exports none of CPython's "
            "functions (a stripped static build). Start the program with "
            "'hot-reload run' instead.",
            (int)target->pid, exe);
    }
    return hr_fail(target, HR_ATTACH_NOT_CPYTHON,
                   "Process %d (%s) runs no CPython that could be found in "
                   "its memory. Give the number of the Python process itself, "
                   "not that of a shell or launcher around it.",
                   (int)target->pid, target->name);
}
