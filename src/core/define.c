/* A changed definition.
 *
 * Where the decorators did not change, the definition is compiled without
 * them, and the live function behind whatever wraps it (unwrap.c) takes its
 * body.  Where the header did not change either, nothing is run: only the code
 * is new.  Any other definition is run as it stands.  Whatever it does, it
 * does to the plan and to the scope's namespace; nothing is live yet.
 *
 * For scope.c.
 */
#include "scope.h"

/* -- Text ----------------------------------------------------------------- */

static int
has_same_decorators(struct hr_scope *s, const struct hr_block *old,
                    const struct hr_block *new)
{
    if (!old->decorated || !new->decorated) {
        return old->decorated == new->decorated;
    }
    uint32_t a =
        hr_scope_offset_of_line(s->old_text, old, old->def_line) - old->start;
    uint32_t b =
        hr_scope_offset_of_line(s->u->text, new, new->def_line) - new->start;
    return a == b &&
           memcmp(s->old_text + old->start, s->u->text + new->start, a) == 0;
}

/* -- The new function ----------------------------------------------------- */

/* The function of a definition without its decorators.  New reference; the
 * name keeps what it holds. */
static PyObject *
make_function(struct hr_scope *s, PyObject *name, const struct hr_block *b)
{
    PyObject *held = PyDict_GetItemWithError(s->ns, name);
    PyObject *function = NULL, *code = NULL;
    uint32_t start = hr_scope_offset_of_line(s->u->text, b, b->def_line);
    Py_XINCREF(held);
    if (hr_scope_run_text(s, start, b->end, b->def_line) < 0) {
        goto done;
    }
    function = Py_XNewRef(PyDict_GetItemWithError(s->ns, name));
    if (function == NULL || !PyFunction_Check(function)) {
        Py_CLEAR(function);
        PyErr_SetString(PyExc_SystemError, "the definition made no function");
        goto done;
    }
    if (hr_scope_set_name(s, name, held) < 0) {
        Py_CLEAR(function);
        goto done;
    }
    if (b->decorated) {
        /* Its lines begin with the decorators: take that code. */
        PyObject *plain = ((PyFunctionObject *)function)->func_code;
        code = hr_code_compile(s->u, s->u->text + b->start, b->end - b->start,
                               (int)b->line, s->classes, s->depth);
        PyObject *whole =
            code ? hr_code_find(code, ((PyCodeObject *)plain)->co_name) : NULL;
        if (code == NULL) {
            Py_CLEAR(function);
        }
        else if (whole != NULL) {
            hr_function_set_code(function, whole);
        }
    }
done:
    Py_XDECREF(code);
    Py_XDECREF(held);
    return function;
}

/* With an unchanged header only the code is new: defaults and annotations,
 * and what the program made of them, stay.  1 with *holder, 0 when the
 * definition has to run, -1 with an exception. */
static int
make_body(struct hr_scope *s, PyObject *target, const struct hr_block *new,
          PyObject **holder)
{
    PyObject *body = hr_plan_body(s->u->plan, target);
    PyFunctionObject *f = (PyFunctionObject *)body;
    PyObject *outer =
        hr_code_compile(s->u, s->u->text + new->start, new->end - new->start,
                        (int)new->line, s->classes, s->depth);
    if (outer == NULL) {
        return -1;
    }
    PyObject *code =
        hr_code_find(outer, ((PyCodeObject *)f->func_code)->co_name);
    PyObject *names = NULL, *had = NULL, *closure = NULL;
    int status = 0;
    if (code == NULL) {
        goto done;
    }
    names = hr_compat_freevars((PyCodeObject *)code);
    had = hr_compat_freevars((PyCodeObject *)f->func_code);
    Py_ssize_t n = names ? PyTuple_GET_SIZE(names) : 0;
    closure = n > 0 ? PyTuple_New(n) : NULL;
    status =
        names == NULL || had == NULL || (n > 0 && closure == NULL) ? -1 : 1;
    for (Py_ssize_t i = 0; status == 1 && i < n; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *cell = NULL;
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(had); k++) {
            if (PyUnicode_Compare(name, PyTuple_GET_ITEM(had, k)) == 0) {
                cell = Py_NewRef(PyTuple_GET_ITEM(f->func_closure, k));
            }
        }
        if (cell == NULL && s->type != NULL &&
            PyUnicode_CompareWithASCIIString(name, "__class__") == 0) {
            cell = PyCell_New(s->type);
        }
        status = cell != NULL ? 1 : PyErr_Occurred() ? -1 : 0;
        PyTuple_SET_ITEM(closure, i, cell);
    }
    if (status == 1) {
        *holder = hr_closure_holder(body, code, closure);
        status = *holder == NULL ? -1 : 1;
    }
done:
    Py_XDECREF(closure);
    Py_XDECREF(had);
    Py_XDECREF(names);
    Py_DECREF(outer);
    return status;
}

/* -- The live function ---------------------------------------------------- */

/* The live function takes the new body; its wrappers stay. */
static int
change_function(struct hr_scope *s, PyObject *name, PyObject *live,
                PyObject *target, PyObject *path, const struct hr_block *old,
                const struct hr_block *new)
{
    struct hr_plan *p = s->u->plan;
    PyObject *function = NULL;
    const char *kind = "changed";
    int status = old->head_hash == new->head_hash
                     ? make_body(s, target, new, &function)
                     : 0;
    if (status == 0) {
        function = make_function(s, name, new);
        if (function != NULL && hr_default_keep(s, hr_plan_body(p, target),
                                                old, new, function) < 0) {
            Py_CLEAR(function);
        }
    }
    if (status < 0 || function == NULL) {
        return -1;
    }
    status = -1;
    PyFunctionObject *f = (PyFunctionObject *)function;
    PyFunctionObject *t = (PyFunctionObject *)hr_plan_body(p, target);
    int same = hr_code_is_same(t->func_code, f->func_code);
    if (same < 0) {
        goto done;
    }
    if (same && old->hash == new->hash) {
        kind = "moved";
    }
    /* What the program has set on the function is the program's. */
    hr_function_share_dict(function, (PyObject *)t);
    hr_function_keep_doc(function, (PyObject *)t);
    status = hr_wrapper_follow(p, path, target, (PyObject *)t, function);
    if (status == 0) {
        status = hr_plan_function(p, p->j, target, function);
    }
    if (status == 0) {
        status = hr_wrapper_clear_caches(p, path);
    }
    if (status == 0) {
        status = hr_wrapper_clear_outdated(p, target);
    }
    if (status == 0 && live != NULL && Py_TYPE(live) == &PyProperty_Type) {
        status = hr_wrapper_follow_property(s, name, live, t, f);
    }
    if (status == 0) {
        status = hr_plan_add_edit(s->u, kind, s->prefix, s->u->text, new);
    }
done:
    Py_DECREF(function);
    return status;
}

/* Was the function, which the name holds, made by a later definition? */
static int
is_overridden(struct hr_scope *s, PyObject *function,
              const struct hr_block *old)
{
    PyObject *body = hr_plan_body(s->u->plan, function);
    PyCodeObject *code = (PyCodeObject *)((PyFunctionObject *)body)->func_code;
    if (code->co_firstlineno == (int)old->line) {
        return 0;
    }
    for (const struct hr_block *b = old + 1; b < s->old->items + s->old->count;
         b++) {
        if (b->kind == HR_BLOCK_DEF && b->name_len == old->name_len &&
            memcmp(s->old_text + b->name, s->old_text + old->name,
                   b->name_len) == 0) {
            return 1;
        }
    }
    return 0;
}

/* -- The definition ------------------------------------------------------- */

/* It has other decorators now, and has run.  What the old ones made of it is
 * held by somebody. */
static int
change_wrapped(struct hr_scope *s, PyObject *name, PyObject *path,
               PyObject *live, PyObject *target, const struct hr_block *new)
{
    PyObject *value = PyDict_GetItemWithError(s->ns, name);
    PyObject *function = value == NULL
                             ? NULL
                             : hr_unwrap_behind(s, value, s->u->text, new,
                                                (int)new->line, NULL);
    if (function == NULL || function == target) {
        Py_XDECREF(function);
        return PyErr_Occurred() ? -1 : 0;
    }
    int status = hr_wrapper_pass_on(s, path, live, target, value, function);
    Py_DECREF(function);
    return status;
}

int
hr_define_plan(struct hr_scope *s, size_t i, const struct hr_block *old,
               const struct hr_block *new)
{
    PyObject *name = hr_scope_name(s, s->u->text, new);
    PyObject *live = NULL, *target = NULL, *path = PyList_New(0);
    int status = -1;
    if (name == NULL || path == NULL) {
        goto done;
    }
    live = Py_XNewRef(PyDict_GetItemWithError(s->live, name));
    int cut = s->depth > 0 && new->decorated ? hr_remove_is_cut(s, name) : 0;
    if (cut < 0) {
        goto done;
    }
    if (old != NULL && old->kind == HR_BLOCK_DEF && !cut) {
        int same = has_same_decorators(s, old, new) &&
                   !hr_rerun_registers(s, i) &&
                   (old->head_hash == new->head_hash ||
                    !hr_dispatch_reads_annotations(s->u->text, new));
        if (same) {
            target = hr_unwrap_find(s, live, old, path);
        }
        if (target != NULL && target == live &&
            is_overridden(s, target, old)) {
            Py_CLEAR(target);
        }
        if (target != NULL) {
            status = hr_rerun_give_back(s, i, name);
            if (status == 0 && target == live &&
                old->head_hash != new->head_hash && !s->u->future_changed) {
                status = hr_hint_registered(s, s->u->text, new, new->line,
                                            "is declared otherwise");
            }
            if (status == 0) {
                status =
                    change_function(s, name, live, target, path, old, new);
            }
            goto done;
        }
        if (!same && live != NULL) {
            target = hr_unwrap_behind(s, live, s->old_text, old,
                                      (int)old->line, path);
        }
        if (!same && (hr_dispatch_drop(s, old) < 0 ||
                      (!hr_rerun_registers(s, i) &&
                       hr_hint_registered(s, s->old_text, old, new->line,
                                          "has other decorators") < 0))) {
            goto done;
        }
    }
    status = hr_dispatch_note(s, new);
    if (status == 0) {
        status = hr_scope_run(s, new);
    }
    if (status == 0 && target != NULL && target != live) {
        status = change_wrapped(s, name, path, live, target, new);
    }
    if (status == 0) {
        status = hr_plan_add_edit(s->u, old ? "changed" : "added", s->prefix,
                                  s->u->text, new);
    }
done:
    Py_XDECREF(path);
    Py_XDECREF(target);
    Py_XDECREF(live);
    Py_XDECREF(name);
    return status;
}
