/* A changed statement: neither a definition nor a class.
 *
 * It is run as it stands, in the scope's namespace, but where only functions
 * defined in it changed, or only its words.  An import statement gives what is
 * new of it.  Called by scope.c.
 */
#include "scope.h"

/* Only functions defined in the statement changed?  Then it is not run. */
static int
change_nested(struct hr_scope *s, const struct hr_block *old,
              const struct hr_block *new)
{
    const char *a = s->old_text + old->start, *b = s->u->text + new->start;
    size_t n = old->end - old->start, m = new->end - new->start;
    if ((memmem(a, n, "lambda", 6) == NULL &&
         memmem(a, n, "def ", 4) == NULL) ||
        (memmem(b, m, "lambda", 6) == NULL &&
         memmem(b, m, "def ", 4) == NULL)) {
        return 0;
    }
    PyObject *was =
        hr_code_compile(s->u, a, n, (int)old->line, s->classes, s->depth);
    if (was == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyObject *is =
        hr_code_compile(s->u, b, m, (int)new->line, s->classes, s->depth);
    int status = is == NULL ? -1 : hr_closure_statement(s->u, was, is);
    Py_DECREF(was);
    Py_XDECREF(is);
    return status;
}

/* {name: source} of all import statements that are gone. */
static PyObject *
get_old_imports(struct hr_scope *s)
{
    PyObject *sources = PyDict_New();
    for (size_t i = 0; sources != NULL && i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        if (b->kind == HR_BLOCK_IMPORT && !s->diff.used[i] &&
            hr_import_add_sources(s->u->dict, s->old_text, b, sources) < 0) {
            Py_CLEAR(sources);
        }
    }
    return sources;
}

/* An import statement.  A name that another one has bound to the same thing
 * keeps what it holds: the program may have rebound it. */
static int
run_import(struct hr_scope *s, const struct hr_block *b)
{
    PyObject *was = get_old_imports(s), *is = was ? PyDict_New() : NULL;
    PyObject *held = is ? PyDict_New() : NULL, *name, *source;
    Py_ssize_t pos = 0;
    int status = held == NULL
                     ? -1
                     : hr_import_add_sources(s->u->dict, s->u->text, b, is);
    while (status == 0 && PyDict_Next(is, &pos, &name, &source)) {
        PyObject *before = PyDict_GetItemWithError(was, name);
        PyObject *value = PyDict_GetItemWithError(s->ns, name);
        if (before != NULL && value != NULL &&
            PyObject_RichCompareBool(before, source, Py_EQ) == 1) {
            status = PyDict_SetItem(held, name, value);
        }
    }
    if (status == 0 && s->depth == 0) {
        status = hr_importing_run(s->u, b);
        if (status == 1) {
            PyObject *names = hr_scope_bound_names(s, s->u->text, b);
            status =
                names == NULL || hr_scope_note_bound(s, names) < 0 ? -1 : 1;
            Py_XDECREF(names);
        }
    }
    if (status == 0) {
        status = hr_scope_run(s, b);
    }
    if (status >= 0 && PyDict_Update(s->ns, held) < 0) {
        status = -1;
    }
    Py_XDECREF(was);
    Py_XDECREF(is);
    Py_XDECREF(held);
    return status;
}

int
hr_statement_plan_same(struct hr_scope *s, const struct hr_block *old,
                       const struct hr_block *new, enum hr_meaning meaning)
{
    int status = change_nested(s, old, new);
    if (status < 0 || meaning == HR_MEANS_SAME) {
        return status < 0 ? -1 : 0;
    }
    uint32_t value = hr_same_find_value(s->u->text, new);
    uint32_t name_end = new->name + new->name_len;
    if (hr_remove_annotation(s, old) < 0 ||
        (memchr(s->u->text + name_end, ':', value - name_end) != NULL &&
         hr_scope_run_text(s, new->start, value, new->line) < 0)) {
        return -1;
    }
    return hr_plan_add_edit(s->u, "changed", s->prefix, s->u->text, new);
}

int
hr_statement_plan(struct hr_scope *s, const struct hr_block *old,
                  const struct hr_block *new)
{
    if (old != NULL && hr_remove_annotation(s, old) < 0) {
        return -1;
    }
    int status = new->kind == HR_BLOCK_IMPORT ? run_import(s, new)
                 : old != NULL && old->kind == new->kind
                     ? change_nested(s, old, new)
                     : 0;
    if (status == 0 && new->kind != HR_BLOCK_IMPORT) {
        status = hr_scope_run(s, new);
    }
    else if (status == 1 && new->kind != HR_BLOCK_IMPORT) {
        return hr_plan_add_edit(s->u, "changed", s->prefix, s->u->text, new);
    }
    if (status >= 0 && old != NULL) {
        status = hr_remove_unbound(s, old);
    }
    return status < 0
               ? -1
               : hr_plan_add_edit(s->u, "ran", s->prefix, s->u->text, new);
}
