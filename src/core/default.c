/* Defaults of parameters that compute from a changed name.
 *
 * `def f(x=LIMIT)` has read LIMIT when the module ran.  A definition that did
 * not change, and whose function still has the defaults that the old value
 * gives, gets those of the new one.  Called by derive.c for functions of a
 * module, by member.c for those of a class.
 */
#include "scope.h"

/* The defaults that a definition gives in a namespace.  New reference. */
static PyObject *
eval_defaults(PyObject *code, PyObject *globals, PyObject *ns, PyObject *name,
              const char *which)
{
    PyObject *local = PyDict_Copy(ns);
    PyObject *done = local ? PyEval_EvalCode(code, globals, local) : NULL;
    PyObject *f = done ? PyDict_GetItemWithError(local, name) : NULL;
    PyObject *result = f != NULL && PyFunction_Check(f)
                           ? PyObject_GetAttrString(f, which)
                           : NULL;
    Py_XDECREF(done);
    Py_XDECREF(local);
    return result;
}

/* The function that a definition made, behind its decorators. */
static PyObject *
find_function(struct hr_scope *s, PyObject *value, const struct hr_block *b)
{
    if (value == NULL) {
        return NULL;
    }
    return !b->decorated ? PyFunction_Check(value) ? Py_NewRef(value) : NULL
                         : hr_unwrap_behind(s, value, s->old_text, b, -1);
}

/* May the header be evaluated again?  What calls nothing may, and what calls
 * only what is known to have no effect. */
static int
is_harmless(struct hr_scope *s, PyObject *code, PyObject *name)
{
    int calls = hr_code_calls(code);
    return calls <= 0 ? calls + 1
                      : hr_pure_is_assignment(code, s->u->dict, name, NULL);
}

/* A holder with those of the two kinds of defaults that have changed; NULL
 * without an exception when none has. */
static PyObject *
make_holder(struct hr_scope *s, PyObject *f, PyObject *code, PyObject *is,
            PyObject *name)
{
    static const char *const fields[] = {"__defaults__", "__kwdefaults__"};
    PyObject *globals = s->u->dict, *body = hr_plan_body(s->u->plan, f);
    PyObject *holder = NULL;
    int status = 0;
    for (int i = 0; status == 0 && i < 2; i++) {
        PyObject *live = PyObject_GetAttrString(body, fields[i]);
        PyObject *old = eval_defaults(code, globals, s->live, name, fields[i]);
        PyObject *new = eval_defaults(code, s->type == NULL ? is : globals, is,
                                      name, fields[i]);
        if (live == NULL || old == NULL || new == NULL) {
            /* Then they are not derived; a run that takes too long fails. */
            status = hr_evaluate_forgive(s->u->plan);
        }
        else if (PyObject_RichCompareBool(live, old, Py_EQ) == 1 &&
                 PyObject_RichCompareBool(old, new, Py_EQ) == 0) {
            if (holder == NULL &&
                (holder = hr_function_clone(body, NULL, NULL)) != NULL) {
                hr_function_share_dict(holder, body);
            }
            status = holder == NULL
                         ? -1
                         : PyObject_SetAttrString(holder, fields[i], new);
        }
        Py_XDECREF(live);
        Py_XDECREF(old);
        Py_XDECREF(new);
        if (status == 0) {
            status = hr_evaluate_forgive(s->u->plan);
        }
    }
    if (status < 0) {
        Py_CLEAR(holder);
    }
    if (holder != NULL) {
        /* Setting defaults took its version: as a fresh one has it. */
        hr_function_set_code(holder, ((PyFunctionObject *)holder)->func_code);
    }
    return holder;
}

int
hr_default_follow(struct hr_scope *s, PyObject *changed, const char *text,
                  const struct hr_block *b)
{
    struct hr_plan *p = s->u->plan;
    uint32_t start = hr_scope_offset_of_line(text, b, b->def_line);
    if (start >= b->head_end ||
        !hr_pure_reads(text + start, b->head_end - start, changed)) {
        return 0;
    }
    PyObject *name = hr_scope_name(s, text, b);
    PyObject *value = name ? PyDict_GetItemWithError(s->live, name) : NULL;
    PyObject *f = find_function(s, value, b);
    PyObject *code = NULL, *is = NULL, *holder = NULL;
    int status = name == NULL ? -1 : 0;
    if (f == NULL || hr_journal_has(p->j, HR_PLACE_FUNCTION, f)) {
        goto done;
    }
    code = hr_code_compile(s->u, text + start, b->end - start,
                           (int)b->def_line, s->classes, s->depth);
    status = code == NULL ? -1 : is_harmless(s, code, name);
    if (status <= 0) {
        goto done;
    }
    is = PyDict_Copy(s->type != NULL ? s->ns : s->u->dict);
    status = -1;
    if (is == NULL || (s->type == NULL &&
                       hr_journal_update_dict(p->j, s->u->dict, is) < 0)) {
        goto done;
    }
    holder = make_holder(s, f, code, is, name);
    status = holder != NULL     ? hr_plan_function(p, p->j, f, holder)
             : PyErr_Occurred() ? -1
                                : 0;
    if (status == 0 && holder != NULL && b->decorated) {
        status = hr_wrapper_clear_cache(p, value, 4);
    }
done:
    Py_XDECREF(holder);
    Py_XDECREF(is);
    Py_XDECREF(code);
    Py_XDECREF(f);
    Py_XDECREF(name);
    return status;
}
