/* The Python text that the target runs.
 *
 * It is one constant try statement around an exec of its own namespace: if it
 * raised, the host's main program would get a SystemError, and if it stored
 * names, they would land in __main__.  Everything that varies goes in as
 * bytes literals of \xNN only, so that no path can change the text's meaning.
 *
 * A pending call runs between any two instructions of a thread, like a signal
 * handler: that thread may be half-way through an import, or hold a lock that
 * threading.Thread.start() needs too.  So it does nothing but start a thread
 * (a real one, also under gevent), where imports and locks are waited for as
 * usual.  A Ctrl-C that happens to hit it goes back to the program.
 *
 * In the thread `run` executes `source` (the engine's start, or the text of
 * --bootstrap) with the names ack, roots and python_path, and answers with
 * "ok" or the error in the file `ack`: written under another name first, so
 * that the reader never sees half of it.  hot_reload._attached() may write
 * the answer itself; what is there already is left alone.
 */
#include "attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char wrapper_head[] =
    "try:\n"
    "    __import__('builtins').exec(__import__('builtins').compile(";
static const char wrapper_middle[] =
    ", '<hot_reload attach>', 'exec'), {'__name__': 'hot_reload_attach'";
static const char wrapper_tail[] =
    "})\n"
    "except KeyboardInterrupt:\n"
    "    __import__('_thread').interrupt_main()\n"
    "except BaseException:\n"
    "    pass\n";

static const char harness[] =
    "import _thread, sys\n"
    "def answer(os, ack, text):\n"
    "    if not os.path.exists(ack):\n"
    "        with open(ack + '.new', 'wb') as file:\n"
    "            file.write(text.encode('utf-8', 'backslashreplace'))\n"
    "        os.rename(ack + '.new', ack)\n"
    "def start():\n"
    "    import os\n"
    "    names = {'__name__': 'hot_reload_attach'}\n"
    "    names['ack'] = file = os.fsdecode(ack)\n"
    "    names['roots'] = [os.fsdecode(root) for root in roots]\n"
    "    names['python_path'] = python_path and os.fsdecode(python_path)\n"
    "    try:\n"
    "        exec(compile(source, '<hot_reload attach>', 'exec'), names)\n"
    "    except BaseException as error:\n"
    "        answer(os, file, '%s: %s\\n' % (type(error).__name__, error))\n"
    "    else:\n"
    "        answer(os, file, 'ok\\n')\n"
    "def run():\n"
    "    try:\n"
    "        start()\n"
    "    except BaseException:\n"
    "        pass\n"
    /* current_thread() may have listed this thread, which ends now. */
    "    try:\n"
    "        threading = sys.modules['threading']\n"
    "        with threading._active_limbo_lock:\n"
    "            threading._active.pop(_thread.get_ident(), None)\n"
    "    except BaseException:\n"
    "        pass\n"
    "thread = _thread.start_new_thread\n"
    "if 'gevent.monkey' in sys.modules:\n"
    "    patched = sys.modules['gevent.monkey']\n"
    "    thread = patched.get_original('_thread', 'start_new_thread')\n"
    "try:\n"
    "    thread(run, ())\n"
    "except RuntimeError:\n"
    "    run()\n";

static const char engine[] =
    "import sys\n"
    "try:\n"
    "    import hot_reload\n"
    "except ImportError as error:\n"
    "    if not python_path or error.name != 'hot_reload':\n"
    "        raise\n"
    "    sys.path.append(python_path)\n"
    "    try:\n"
    "        import hot_reload\n"
    "    except BaseException:\n"
    "        sys.path.remove(python_path)\n"
    "        raise\n"
    "    hot_reload._attached(roots, ack, python_path)\n"
    "else:\n"
    "    hot_reload._attached(roots, ack)\n";

static void
write_bytes(FILE *out, const char *bytes, size_t size)
{
    fputs("b'", out);
    for (size_t i = 0; i < size; i++) {
        fprintf(out, "\\x%02x", (unsigned char)bytes[i]);
    }
    fputc('\'', out);
}

static char *
read_source(struct hr_target *target, const char *path)
{
    enum { LIMIT = 1 << 20 };
    char *text = malloc(LIMIT);
    FILE *file = fopen(path, "re");
    size_t size = 0;
    if (text != NULL && file != NULL) {
        size = fread(text, 1, LIMIT, file);
    }
    if (file == NULL || ferror(file) || size == LIMIT) {
        hr_fail(target, HR_ATTACH_USAGE,
                "The file %s given with --bootstrap cannot be read (%s) or "
                "is longer than 1 MiB.",
                path, strerror(errno));
        free(text);
        text = NULL;
    }
    else if (text != NULL) {
        text[size] = '\0';
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

/* The folder is given only where it can serve: made for the same version of
   Python, and the same folder for both sides. */
static int
python_path_serves(struct hr_target *target, const struct hr_options *options)
{
    char version[16], theirs[4200];
    struct stat here, there;
    if (options->python_path == NULL) {
        return 0;
    }
    snprintf(version, sizeof(version), "%d.%d", target->python.major,
             target->python.minor);
    if (options->python_version != NULL &&
        strcmp(options->python_version, version) != 0) {
        return 0;
    }
    snprintf(theirs, sizeof(theirs), "/proc/%d/root%s", (int)target->pid,
             options->python_path);
    return stat(options->python_path, &here) == 0 &&
           stat(theirs, &there) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

char *
hr_bootstrap_text(struct hr_target *target, const struct hr_options *options,
                  const char *ack)
{
    char *own = NULL, *text = NULL;
    size_t size;
    if (options->bootstrap != NULL) {
        own = read_source(target, options->bootstrap);
        if (own == NULL) {
            return NULL;
        }
    }
    const char *source = own ? own : engine;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        hr_fail(target, HR_ATTACH_INTERNAL, "Out of memory.");
        free(own);
        return NULL;
    }
    fputs(wrapper_head, out);
    write_bytes(out, harness, sizeof(harness) - 1);
    fputs(wrapper_middle, out);
    fputs(", 'source': ", out);
    write_bytes(out, source, strlen(source));
    fputs(", 'ack': ", out);
    write_bytes(out, ack, strlen(ack));
    fputs(", 'python_path': ", out);
    if (python_path_serves(target, options)) {
        write_bytes(out, options->python_path, strlen(options->python_path));
    }
    else {
        fputs("None", out);
    }
    fputs(", 'roots': [", out);
    for (size_t i = 0; i < options->root_count; i++) {
        write_bytes(out, options->roots[i], strlen(options->roots[i]));
        fputs(", ", out);
    }
    fputs("]", out);
    fputs(wrapper_tail, out);
    free(own);
    if (fclose(out) != 0) {
        free(text);
        hr_fail(target, HR_ATTACH_INTERNAL, "Out of memory.");
        return NULL;
    }
    return text;
}
