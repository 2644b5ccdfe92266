/* What a save leaves as it was, and a fresh start would not: the user is told.
 *
 * A statement that reads a changed name and may have effects is not run again;
 * what a decorator has registered, in an object of the program, stays there
 * under its old name.  Neither can be known to matter, so both are said, once
 * for each save.
 *
 * For derive.c, member.c, define.c and remove.c; finish.c logs what there is.
 */
#include "scope.h"

/* What the user knows the block by.  New reference. */
static PyObject *
get_title(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    return b->name_len > 0 ? hr_scope_name(s, text, b)
                           : PyUnicode_FromString("this statement");
}

/* -- Statements that read a changed name ---------------------------------- */

int
hr_hint_has_run(struct hr_unit *u, const struct hr_block *b)
{
    PyObject *line = PyLong_FromLong((long)b->line);
    int ran = line == NULL     ? -1
              : u->ran == NULL ? 0
                               : PySet_Contains(u->ran, line);
    Py_XDECREF(line);
    return ran;
}

int
hr_hint_note_run(struct hr_unit *u, const struct hr_block *b)
{
    PyObject *line = PyLong_FromLong((long)b->line);
    if (u->ran == NULL) {
        u->ran = PySet_New(NULL);
    }
    int status = line == NULL || u->ran == NULL ? -1 : PySet_Add(u->ran, line);
    Py_XDECREF(line);
    return status;
}

/* `by`: the function by which it does, or NULL. */
static int
say_reads(struct hr_derive *w, struct hr_scope *s, const char *text,
          const struct hr_block *b, PyObject *by)
{
    int ran = hr_hint_has_run(s->u, b);
    if (ran != 0) {
        return ran < 0 ? -1 : 0;
    }
    PyObject *title = get_title(s, text, b);
    PyObject *sentence =
        title ? PyUnicode_FromFormat(
                    "%U, line %u: %U reads %U%s%V, which has changed; it is "
                    "not run again, as that may have effects: change it, too, "
                    "or restart, where it matters",
                    s->u->filename, (unsigned)b->line, title, w->name,
                    by ? " by " : "", by, "")
              : NULL;
    int status = sentence == NULL ? -1 : hr_refuse_hint(w->p, sentence);
    Py_XDECREF(sentence);
    Py_XDECREF(title);
    return status;
}

int
hr_hint_reads(struct hr_derive *w, struct hr_scope *s, const char *text,
              const struct hr_block *b)
{
    return w->new == NULL || !hr_derive_is_read(w, s, text, b) ||
                   hr_value_still_is(w->old, w->new)
               ? 0
               : say_reads(w, s, text, b, NULL);
}

int
hr_hint_builder(struct hr_scope *s, const struct hr_block *b, PyObject *name)
{
    PyObject *sentence = PyUnicode_FromFormat(
        "%U, line %u builds upon %U, which has changed; it is not run again, "
        "as that may have effects: change it, too, or restart, where it "
        "matters",
        s->u->filename, (unsigned)b->line, name);
    int status = sentence ? hr_refuse_hint(s->u->plan, sentence) : -1;
    Py_XDECREF(sentence);
    /* That says it. */
    return status < 0 ? -1 : hr_hint_note_run(s->u, b);
}

/* Does the code, or what is nested in it, read the name? */
static int
may_read(PyObject *code, PyObject *name)
{
    PyCodeObject *c = (PyCodeObject *)code;
    int reads = PySequence_Contains(c->co_names, name);
    for (Py_ssize_t i = 0; reads == 0 && i < PyTuple_GET_SIZE(c->co_consts);
         i++) {
        PyObject *o = PyTuple_GET_ITEM(c->co_consts, i);
        reads = PyCode_Check(o) ? may_read(o, name) : 0;
    }
    return reads;
}

/* The names of the module's functions that read the name: a new list. */
static PyObject *
list_readers(struct hr_scope *s, PyObject *name)
{
    PyObject *list = PyList_New(0), *key, *o;
    Py_ssize_t pos = 0;
    while (list != NULL && PyDict_Next(s->u->dict, &pos, &key, &o)) {
        if (PyFunction_Check(o) && PyUnicode_Check(key) &&
            HR_AS_FUNCTION(o)->func_globals == s->u->dict &&
            may_read(HR_AS_FUNCTION(o)->func_code, name) == 1 &&
            PyList_Append(list, key) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* Calls that put something into an object that is another one now, by way of a
 * function that has it as a global: `@on("x")`, `register(y)`. */
static int
follow_readers(struct hr_derive *w, struct hr_scope *s, const char *text,
               const struct hr_block *b)
{
    uint32_t end = b->kind == HR_BLOCK_OTHER
                       ? b->end
                       : hr_scope_offset_of_line(text, b, b->def_line);
    if (Py_TYPE(w->new)->tp_hash != PyObject_HashNotImplemented &&
        hr_value_is(w->new)) {
        return 0; /* nothing can be put into it */
    }
    if (w->readers == NULL &&
        (w->readers = list_readers(s, w->name)) == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(w->readers); i++) {
        PyObject *by = PyList_GET_ITEM(w->readers, i);
        if (hr_word_is_in(text + b->start, end - b->start, by)) {
            return say_reads(w, s, text, b, by);
        }
    }
    return 0;
}

/* `if __name__ == ...` */
static int
is_guard(const char *text, const struct hr_block *b)
{
    return b->kind == HR_BLOCK_COMPOUND &&
           memmem(text + b->start, b->head_end - b->start, "__name__", 8) !=
               NULL;
}

int
hr_hint_block(struct hr_derive *w, struct hr_scope *s, const char *text,
              const struct hr_block *b)
{
    int status = 0;
    if (s->type != NULL || w->owner != s->u->dict || w->old == NULL ||
        w->new == NULL || hr_value_still_is(w->old, w->new) ||
        is_guard(text, b)) {
        return 0;
    }
    if ((b->kind == HR_BLOCK_ASSIGN || b->kind == HR_BLOCK_OTHER ||
         b->kind == HR_BLOCK_COMPOUND) &&
        hr_word_may_be_in(text + b->start, b->end - b->start, w->name)) {
        PyObject *code = hr_scope_compile(s, text, b);
        int uses = code == NULL ? -1 : hr_bytecode_uses(code, w->name);
        Py_XDECREF(code);
        status = uses < 0 ? -1
                 : uses & HR_USES_VALUE && !(uses & ~HR_USES_VALUE)
                     ? say_reads(w, s, text, b, NULL)
                     : 0;
    }
    if (status == 0 && (b->kind == HR_BLOCK_OTHER || b->decorated)) {
        status = follow_readers(w, s, text, b);
    }
    return status;
}

/* -- What decorators have registered -------------------------------------- */

/* Is a decorator a method of that name's object? */
static int
is_method_of(const char *text, const struct hr_block *b, PyObject *name)
{
    Py_ssize_t n;
    const char *word = PyUnicode_AsUTF8AndSize(name, &n);
    const char *end = text + hr_scope_offset_of_line(text, b, b->def_line);
    const char *at = text + b->start;
    while (word != NULL && b->decorated && at < end) {
        at += strspn(at, " \t\f");
        if (*at == '@') {
            at += 1 + strspn(at + 1, " \t");
            if (end - at > n && memcmp(at, word, (size_t)n) == 0 &&
                at[n] == '.') {
                return 1;
            }
        }
        const char *line = memchr(at, '\n', (size_t)(end - at));
        at = line != NULL ? line + 1 : end;
    }
    PyErr_Clear();
    return 0;
}

/* Functions, classes and modules are what they were, whatever they hold. */
static int
is_registry(PyObject *o)
{
    return !PyFunction_Check(o) && !PyType_Check(o) && !PyModule_Check(o) &&
           !PyCFunction_Check(o) && Py_TYPE(o) != &PyProperty_Type;
}

int
hr_hint_is_registered_on(struct hr_scope *s, const struct hr_block *b,
                         PyObject *name)
{
    PyObject *o = PyDict_GetItemWithError(s->ns, name);
    return o != NULL && !PyFunction_Check(o) && !PyType_Check(o) &&
           is_method_of(s->u->text, b, name);
}

int
hr_hint_registered(struct hr_scope *s, const char *text,
                   const struct hr_block *b, uint32_t line, const char *why)
{
    PyObject *key, *o;
    Py_ssize_t pos = 0;
    while (b->decorated && s->depth == 0 &&
           PyDict_Next(s->u->dict, &pos, &key, &o)) {
        if (!PyUnicode_Check(key) || !is_registry(o) ||
            !is_method_of(text, b, key)) {
            continue;
        }
        PyObject *name = hr_scope_name(s, text, b);
        PyObject *sentence =
            name ? PyUnicode_FromFormat(
                       "%U, line %u: %U %s; what %U has noted of it stays as "
                       "it was: restart, where it matters",
                       s->u->filename, (unsigned)line, name, why, key)
                 : NULL;
        int status =
            sentence == NULL ? -1 : hr_refuse_hint(s->u->plan, sentence);
        Py_XDECREF(sentence);
        Py_XDECREF(name);
        return status;
    }
    return 0;
}
