/* Modules that were imported without our finder: before start(), or loaded
 * from a path.
 *
 * Their files are followed from now on, with the text as it is now.  It need
 * not be the one that they were imported from.  Where the live functions do
 * not begin on the lines of that text, this is said, and what differs counts
 * as changed at the next save.
 *
 * For module.c, schedule.c and the finder.
 */
#include "code.h"

#include <stdlib.h>

/* Does the live function differ from this definition?  Where nobody has said
 * that the module was imported from this file, its code is compared; else the
 * line is enough, which costs nothing. */
static int
is_doubtful(struct hr_source *s, const struct hr_block *b, PyObject *dict,
            PyObject *module, int thorough)
{
    PyObject *name =
        PyUnicode_DecodeUTF8(s->text + b->name, b->name_len, NULL);
    PyObject *f = name ? PyDict_GetItemWithError(dict, name) : NULL;
    int doubt = 0;
    if (f == NULL || !PyFunction_Check(f) ||
        PyUnicode_Compare(((PyFunctionObject *)f)->func_qualname, name) != 0) {
        goto done;
    }
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)f)->func_code;
    if (PyUnicode_Compare(code->co_name, name) != 0) {
        goto done;
    }
    doubt = code->co_firstlineno != (int)b->line;
    if (!doubt && thorough) {
        struct hr_unit u = {.source = s, .text = s->text, .module = module};
        u.filename = code->co_filename;
        u.future = hr_code_future_flags(s->text, &s->blocks);
        PyObject *outer = hr_code_compile(
            &u, s->text + b->start, b->end - b->start, (int)b->line, NULL, 0);
        PyObject *inner = outer ? hr_code_find(outer, name) : NULL;
        doubt = inner == NULL || hr_code_is_same(inner, (PyObject *)code) != 1;
        Py_XDECREF(outer);
    }
done:
    Py_XDECREF(name);
    PyErr_Clear();
    return doubt;
}

/* Was the live code made from the text?  What differs counts as changed. */
static void
check_baseline(struct hr_state *st, struct hr_source *s, PyObject *module)
{
    PyObject *dict = PyModule_GetDict(module);
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    int thorough = spec == NULL || spec == Py_None;
    for (size_t i = 0; i < s->blocks.count; i++) {
        struct hr_block *b = &s->blocks.items[i];
        if (b->kind == HR_BLOCK_DEF &&
            is_doubtful(s, b, dict, module, thorough)) {
            b->hash = ~b->hash;
            b->head_hash = ~b->head_hash;
            b->raw_hash = ~b->raw_hash;
            s->doubt = 1;
        }
    }
    for (size_t i = 0; s->doubt && i < s->blocks.count; i++) {
        struct hr_block *b = &s->blocks.items[i];
        PyObject *name =
            b->kind == HR_BLOCK_ASSIGN
                ? PyUnicode_DecodeUTF8(s->text + b->name, b->name_len, NULL)
                : NULL;
        if (name != NULL && PyDict_GetItemWithError(dict, name) == NULL) {
            b->hash = ~b->hash;
            b->raw_hash = ~b->raw_hash;
        }
        Py_XDECREF(name);
        PyErr_Clear();
    }
    if (s->doubt) {
        hr_log(st, HR_SAY_WARNING,
               "HR402: %s was changed after it was imported; definitions and "
               "names that are missing in the running module, or differ, "
               "become live at its next save; restart for changed values",
               s->path);
    }
}

int
hr_adopt_modules(struct hr_state *st)
{
    PyObject *modules = PyDict_Values(PyImport_GetModuleDict());
    int status = modules == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules); i++) {
        PyObject *module = PyList_GET_ITEM(modules, i);
        char *path = hr_source_module_path(module);
        if (path != NULL && hr_source_find(st, path) == NULL &&
            hr_source_is_under_roots(st, path)) {
            struct hr_source *s = hr_source_add(st, path);
            if (s == NULL) {
                status = -1;
            }
            else {
                check_baseline(st, s, module);
            }
        }
        free(path);
    }
    Py_XDECREF(modules);
    return status;
}
