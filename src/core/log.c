/* Messages to a person: one sentence each, through the program's logger.
 *
 * The logger is the one given to configure() (the webui's), else logging's
 * "hot_reload".  Logging runs Python code, so nothing here may be called
 * between the swaps of a commit.  A logger that fails is the program's
 * problem, not ours: its exception is written as unraisable and dropped.
 */
#include "core.h"

static PyObject *
get_logger(struct hr_state *st)
{
    if (st->logger == NULL) {
        PyObject *logging = PyImport_ImportModule("logging");
        if (logging == NULL) {
            return NULL;
        }
        st->logger =
            PyObject_CallMethod(logging, "getLogger", "s", "hot_reload");
        Py_DECREF(logging);
    }
    return Py_XNewRef(st->logger);
}

/* Steals `sentence`, which may be NULL with an exception set. */
static void
write_line(struct hr_state *st, int level, PyObject *sentence,
           PyObject *exc_info)
{
    PyObject *logger = NULL, *args = NULL, *kwargs = NULL, *line = NULL;
    PyObject *method = NULL, *result = NULL;

    if (sentence == NULL || (logger = get_logger(st)) == NULL) {
        goto done;
    }
    line = PyUnicode_FromFormat(HR_PREFIX "%U", sentence);
    if (line == NULL) {
        goto done;
    }
    /* The sentence is an argument, not the format: it may hold a percent. */
    args = Py_BuildValue("(isO)", level, "%s", line);
    kwargs = PyDict_New();
    method = PyObject_GetAttrString(logger, "log");
    if (args == NULL || kwargs == NULL || method == NULL) {
        goto done;
    }
    if (exc_info != NULL &&
        PyDict_SetItemString(kwargs, "exc_info", exc_info) < 0) {
        goto done;
    }
    result = PyObject_Call(method, args, kwargs);
done:
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(logger);
    }
    Py_XDECREF(result);
    Py_XDECREF(method);
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    Py_XDECREF(line);
    Py_XDECREF(logger);
    Py_XDECREF(sentence);
}

void
hr_log(struct hr_state *st, int level, const char *format, ...)
{
    PyObject *type, *value, *traceback;
    va_list args;

    if (level < hr_setting(st, "level")) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    va_start(args, format);
    PyObject *sentence = PyUnicode_FromFormatV(format, args);
    va_end(args);
    write_line(st, level, sentence, NULL);
    PyErr_Restore(type, value, traceback);
}

void
hr_log_exception(struct hr_state *st, const char *format, ...)
{
    PyObject *type, *value, *traceback;
    va_list args;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && traceback != NULL) {
        (void)PyException_SetTraceback(value, traceback);
    }
    va_start(args, format);
    PyObject *sentence = PyUnicode_FromFormatV(format, args);
    va_end(args);
    write_line(st, HR_SAY_ERROR, sentence, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

int
hr_rude(struct hr_state *st, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *sentence = PyUnicode_FromFormatV(format, args);
    va_end(args);
    if (sentence == NULL) {
        return -1;
    }
    PyObject *e = PyObject_CallFunction(
        st->rude_edit, "N", PyUnicode_FromFormat("%s: %U", code, sentence));
    Py_DECREF(sentence);
    if (e == NULL) {
        return -1;
    }
    PyObject *c = PyUnicode_FromString(code);
    if (c != NULL && PyObject_SetAttrString(e, "code", c) == 0) {
        PyErr_SetObject(st->rude_edit, e);
    }
    Py_XDECREF(c);
    Py_DECREF(e);
    return -1;
}
