/* What is refused, and why: a code, a sentence, the file and the line.
 *
 * A refused batch has changed nothing.  Its revision says what was wrong, as
 * an edit for each refusal and as the text of its error.  Called by whatever
 * takes part in planning, which then returns -1 without an exception: the
 * first refusal is the last.  A closure that cannot take its new code is
 * refused alone, and the rest of the batch is live.
 */
#include "code.h"

static int
add_refusal(struct hr_plan *p, PyObject *module, PyObject *qualname, long line,
            const char *code, PyObject *sentence)
{
    PyObject *c = PyUnicode_FromString(code);
    int status =
        c == NULL ? -1
                  : hr_revision_add_edit(p->st, p->revision, "refused", module,
                                         qualname, line, c, sentence);
    Py_XDECREF(c);
    return status;
}

/* The file that a refusal is about.  Borrowed. */
static PyObject *
get_file(struct hr_plan *p, struct hr_unit *u)
{
    PyObject *last = Py_None;
    for (size_t i = 0; i < p->file_count; i++) {
        if (p->files[i].path != NULL) {
            last = p->files[i].path;
            if (u != NULL && p->files[i].source == u->source) {
                break;
            }
        }
    }
    return last;
}

int
hr_refuse_batch(struct hr_plan *p, struct hr_unit *u, const char *code,
                int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *sentence = PyUnicode_FromFormatV(format, args);
    va_end(args);
    if (sentence == NULL ||
        add_refusal(p, u ? u->name : NULL, NULL, line, code, sentence) < 0) {
        Py_XDECREF(sentence);
        return -1;
    }
    hr_revision *r = (hr_revision *)p->revision;
    PyObject *file = get_file(p, u);
    Py_XSETREF(r->error,
               line > 0
                   ? PyUnicode_FromFormat("%s: %S, line %d: %U", code, file,
                                          line, sentence)
                   : PyUnicode_FromFormat("%s: %S: %U", code, file, sentence));
    Py_DECREF(sentence);
    p->refused = 1;
    return -1;
}

/* The current exception with its traceback, in which the lines are those of
 * the new texts: the old ones may be shown (show.c). */
static PyObject *
describe(struct hr_plan *p)
{
    PyObject *type, *value, *traceback;
    PyObject *shown = PyList_New(0);
    PyErr_Fetch(&type, &value, &traceback);
    for (size_t i = 0; shown != NULL && i < p->file_count; i++) {
        struct hr_file *f = &p->files[i];
        PyObject *old = f->path ? hr_show_get(f->path) : NULL;
        PyObject *text =
            old && f->text
                ? PyUnicode_DecodeUTF8(f->text, (Py_ssize_t)f->size, "replace")
                : NULL;
        PyObject *pair = text ? PyTuple_Pack(2, f->path, old) : NULL;
        if (pair != NULL && PyList_Append(shown, pair) == 0) {
            hr_show_text(f->path, text);
        }
        PyErr_Clear();
        Py_XDECREF(pair);
        Py_XDECREF(text);
        Py_XDECREF(old);
    }
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    PyObject *described = hr_revision_describe_exception();
    for (Py_ssize_t i = 0; shown != NULL && i < PyList_GET_SIZE(shown); i++) {
        PyObject *pair = PyList_GET_ITEM(shown, i);
        hr_show_again(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    }
    Py_XDECREF(shown);
    return described;
}

/* The current exception is the reason. */
void
hr_refuse_exception(struct hr_plan *p, struct hr_unit *u)
{
    PyObject *type, *value, *traceback, *code = NULL;
    hr_revision *r = (hr_revision *)p->revision;
    const char *number = "HR110";
    long line = u ? u->error_line : 0;
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_SystemError, "the plan failed without a reason");
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (PyErr_GivenExceptionMatches(type, p->st->rude_edit) &&
        (code = PyObject_GetAttrString(value, "code")) != NULL) {
        number = PyUnicode_AsUTF8(code);
    }
    else if (PyErr_GivenExceptionMatches(type, PyExc_SyntaxError)) {
        PyObject *at = PyObject_GetAttrString(value, "lineno");
        number = "HR101";
        if (at != NULL && PyLong_Check(at)) {
            line = PyLong_AsLong(at);
        }
        Py_XDECREF(at);
    }
    else if (PyErr_GivenExceptionMatches(type, p->st->interrupted)) {
        number = "HR111";
    }
    else if (PyErr_GivenExceptionMatches(type, PyExc_ImportError)) {
        hr_await_module(p->st, value);
    }
    PyErr_Clear();
    PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
    if (text != NULL && code != NULL && PyUnicode_GET_LENGTH(text) > 7) {
        /* It begins with the code: "HR301: ..." */
        Py_SETREF(text,
                  PyUnicode_Substring(text, 7, PyUnicode_GET_LENGTH(text)));
    }
    PyErr_Clear();
    PyObject *sentence =
        code != NULL
            ? Py_XNewRef(text)
            : PyUnicode_FromFormat(
                  "%V%s%s: %S; nothing was changed, correct it and save",
                  p->hook, "", p->hook ? " failed: " : "",
                  ((PyTypeObject *)type)->tp_name, text ? text : Py_None);
    if (sentence != NULL) {
        (void)add_refusal(p, u ? u->name : NULL, NULL, line,
                          number ? number : "HR110", sentence);
    }
    PyErr_Clear();
    int ours = code != NULL && number != NULL && traceback == NULL;
    if (ours && sentence != NULL) {
        /* The sentence says it all, a traceback nothing. */
        Py_XSETREF(r->error,
                   line > 0
                       ? PyUnicode_FromFormat("%s: %S, line %ld: %U", number,
                                              get_file(p, u), line, sentence)
                       : PyUnicode_FromFormat("%s: %S: %U", number,
                                              get_file(p, u), sentence));
    }
    Py_XDECREF(sentence);
    Py_XDECREF(text);
    PyErr_Restore(type, value, traceback);
    PyObject *described = ours ? NULL : describe(p);
    if (described != NULL) {
        Py_XSETREF(r->error, PyUnicode_FromFormat(
                                 "%s: %S:%s%V%s%U", number ? number : "HR110",
                                 get_file(p, u), p->hook ? " " : "\n", p->hook,
                                 "", p->hook ? " failed: " : "", described));
        Py_DECREF(described);
    }
    PyErr_Clear();
    Py_XDECREF(code);
    p->refused = 1;
}

int
hr_refuse_partly(struct hr_plan *p)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->partial); i++) {
        PyObject *entry = PyList_GET_ITEM(p->partial, i);
        PyObject *sentence = PyTuple_GET_ITEM(entry, 1);
        hr_log(p->st, HR_SAY_WARNING, "%U", sentence);
        if (add_refusal(p, NULL, PyTuple_GET_ITEM(entry, 2),
                        PyLong_AsLong(PyTuple_GET_ITEM(entry, 3)),
                        PyUnicode_AsUTF8(PyTuple_GET_ITEM(entry, 0)),
                        sentence) < 0) {
            return -1;
        }
    }
    return 0;
}

int
hr_refuse_hint(struct hr_plan *p, PyObject *sentence)
{
    if (p->hints == NULL && (p->hints = PyList_New(0)) == NULL) {
        return -1;
    }
    int status = PySequence_Contains(p->hints, sentence);
    return status == 0  ? PyList_Append(p->hints, sentence)
           : status > 0 ? 0
                        : -1;
}
