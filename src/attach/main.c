/* hot-reload-attach: arguments, order of steps, report. */
#include "attach.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROOTS = 256 };

struct status_text {
    int number;
    const char *name;
    const char *meaning;
};

static const struct status_text statuses[] = {
#define X(name, number, text) {number, #name, text},
    HR_ATTACH_STATUSES(X)
#undef X
};

static void
print_help(void)
{
    puts("Usage: hot-reload-attach [options] PID\n"
         "Bring the engine into a running CPython process (3.9 to 3.13; "
         "3.14 untested).\n"
         "\n"
         "  --root DIR            follow the sources below DIR (repeatable)\n"
         "  --timeout SECONDS     wait so long for the process's answer (3)\n"
         "  --python-path DIR     import hot_reload from there if the process "
         "has none\n"
         "  --python-version X.Y  the Python that this folder is for\n"
         "  --bootstrap FILE      run this Python text instead of the engine\n"
         "  --check               only look whether it would work; nothing is "
         "stopped\n"
         "  --json                print one JSON object\n"
         "  --help                this text\n"
         "\n"
         "Exit status:");
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        printf("  %2d  %s\n", statuses[i].number, statuses[i].meaning);
    }
}

/* ---- report ---- */

static void
print_json_string(const char *text)
{
    putchar('"');
    for (const char *byte = text; *byte != '\0'; byte++) {
        unsigned char c = (unsigned char)*byte;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        }
        else if (c < ' ' || c == 0x7f) {
            printf("\\u%04x", c);
        }
        else {
            putchar(c);
        }
    }
    putchar('"');
}

static void
print_json_field(const char *name, const char *text)
{
    printf(", \"%s\": ", name);
    if (text != NULL && text[0] != '\0') {
        print_json_string(text);
    }
    else {
        fputs("null", stdout);
    }
}

static const char *
status_name(int status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].number == status) {
            return statuses[i].name;
        }
    }
    return "?";
}

static void
print_json(const struct hr_target *target, const struct hr_result *result)
{
    const struct hr_python *python = &target->python;
    int status = target->error.status;
    char version[16] = "";
    if (python->major != 0) {
        snprintf(version, sizeof(version), "%d.%d", python->major,
                 python->minor);
    }
    printf("{\"ok\": %s, \"pid\": %d, \"exit\": %d",
           status == HR_ATTACH_OK ? "true" : "false", (int)target->pid,
           status);
    print_json_field("status", status_name(status));
    print_json_field("message", target->error.text);
    print_json_field("python", version);
    print_json_field("linked", python->path[0] == '\0' ? NULL
                               : python->shared        ? "shared"
                                                       : "static");
    print_json_field("library", python->path);
    print_json_field("way", result->way);
    print_json_field("blocked_in", result->blocked_in);
    printf(", \"stops\": %d, \"pause_us\": %.1f, \"acknowledged_ms\": %.3f}\n",
           result->stops, result->pause_us, result->acknowledged_ms);
}

static void
print_plain(const struct hr_target *target, const struct hr_options *options,
            const struct hr_result *result)
{
    const struct hr_python *python = &target->python;
    if (target->error.status != HR_ATTACH_OK) {
        fprintf(stderr, "hot-reload-attach: %s\n", target->error.text);
    }
    else if (options->check) {
        printf("Process %d (%s) can be attached to: Python %d.%d, %s %s.\n",
               (int)target->pid, target->name, python->major, python->minor,
               python->shared ? "shared, in" : "static, in", python->path);
    }
    else {
        printf("Attached to process %d (%s), Python %d.%d: it stood still for "
               "%.0f us and answered after %.1f ms.\n",
               (int)target->pid, target->name, python->major, python->minor,
               result->pause_us, result->acknowledged_ms);
    }
}

static int
report(const struct hr_target *target, const struct hr_options *options,
       const struct hr_result *result)
{
    if (options->json) {
        print_json(target, result);
    }
    else {
        print_plain(target, options, result);
    }
    return (int)target->error.status;
}

/* ---- steps ---- */

static int
fail_blocked(struct hr_target *target, const struct hr_options *options,
             struct hr_result *result)
{
    hr_blocked_describe(target, result->blocked_in,
                        sizeof(result->blocked_in));
    target->error.status = HR_ATTACH_OK; /* the text was not known yet */
    return hr_fail(
        target, HR_ATTACH_BLOCKED,
        "Process %d did not answer within %g s: its main thread %s. The "
        "engine is queued and starts as soon as that thread goes on; nothing "
        "else needs to be done.",
        (int)target->pid, options->timeout, result->blocked_in);
}

static int
attach(struct hr_target *target, const struct hr_options *options,
       struct hr_result *result)
{
    struct hr_ack ack = {.folder = ""};
    if (hr_ack_create(target, &ack) < 0) {
        return -1;
    }
    int64_t began = hr_now_ns();
    int done = -1;
    char *text = hr_bootstrap_text(target, options, ack.seen);
    if (text != NULL) {
        done = target->python.minor >= 14
                   ? hr_pep768(target, text, &ack, result)
                   : hr_inject(target, text, result);
    }
    free(text);
    if (done == 0) {
        done = hr_ack_wait(target, &ack, options->timeout);
        result->acknowledged_ms = (double)(hr_now_ns() - began) / 1e6;
        if (done < 0 && target->error.status == HR_ATTACH_BLOCKED) {
            fail_blocked(target, options, result);
            if (target->python.minor >= 14) {
                return -1; /* its script is still needed */
            }
        }
    }
    hr_ack_remove(&ack);
    return done;
}

/* ---- arguments ---- */

static int
usage_error(const char *what, const char *value)
{
    fprintf(stderr, "hot-reload-attach: %s%s. See --help.\n", what, value);
    return HR_ATTACH_USAGE;
}

/* An absolute path where there is one: the target has another folder. */
static const char *
absolute(const char *path)
{
    char *full = realpath(path, NULL);
    return full != NULL ? full : path;
}

static int
parse_arguments(int argc, char **argv, struct hr_options *options,
                const char **roots)
{
    enum { ROOT = 256, TIMEOUT, PATH, VERSION, BOOTSTRAP, CHECK, JSON, HELP };
    static const struct option known[] = {
        {"root", required_argument, NULL, ROOT},
        {"timeout", required_argument, NULL, TIMEOUT},
        {"python-path", required_argument, NULL, PATH},
        {"python-version", required_argument, NULL, VERSION},
        {"bootstrap", required_argument, NULL, BOOTSTRAP},
        {"check", no_argument, NULL, CHECK},
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case ROOT:
            if (options->root_count == MAX_ROOTS) {
                return usage_error("too many --root", "");
            }
            roots[options->root_count++] = absolute(optarg);
            break;
        case TIMEOUT:
            options->timeout = strtod(optarg, &end);
            if (end == optarg || *end != '\0' || !(options->timeout >= 0) ||
                options->timeout > 86400) {
                return usage_error("not a number of seconds: ", optarg);
            }
            break;
        case PATH:
            options->python_path = absolute(optarg);
            break;
        case VERSION:
            options->python_version = optarg;
            break;
        case BOOTSTRAP:
            options->bootstrap = optarg;
            break;
        case CHECK:
            options->check = 1;
            break;
        case JSON:
            options->json = 1;
            break;
        case HELP:
        case 'h':
            print_help();
            exit(HR_ATTACH_OK);
        default:
            return HR_ATTACH_USAGE;
        }
    }
    if (argc - optind != 1) {
        return usage_error("one PID is needed", "");
    }
    errno = 0;
    long pid = strtol(argv[optind], &end, 10);
    if (errno != 0 || end == argv[optind] || *end != '\0' || pid <= 0 ||
        pid > 1 << 30) {
        return usage_error("not the number of a process: ", argv[optind]);
    }
    options->pid = (pid_t)pid;
    return 0;
}

int
main(int argc, char **argv)
{
    static const char *roots[MAX_ROOTS];
    struct hr_options options = {.timeout = 3, .roots = roots};
    struct hr_result result = {0};
    static struct hr_target target;
    int status = parse_arguments(argc, argv, &options, roots);
    if (status != 0) {
        return status;
    }
    target.pid = options.pid;
    target.pidfd = -1;
    target.memory = -1;
    if (options.pid == getpid()) {
        return usage_error("this is my own number: ", argv[argc - 1]);
    }
    if (hr_checks_run(&target) == 0 && !options.check) {
        attach(&target, &options, &result);
    }
    return report(&target, &options, &result);
}
