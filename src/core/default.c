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

int
hr_default_follow(struct hr_plan *p, struct hr_unit *u, struct hr_scope *s,
                  PyObject *changed, const char *text,
                  const struct hr_block *b)
{
    static const char *const fields[] = {"__defaults__", "__kwdefaults__"};
    if (b->decorated ||
        !hr_pure_reads(text + b->start, b->head_end - b->start, changed)) {
        return 0;
    }
    PyObject *live_ns = s != NULL ? s->live : u->dict;
    PyObject *name = PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
    PyObject *f = name ? PyDict_GetItemWithError(live_ns, name) : NULL;
    PyObject *code = NULL, *is = NULL;
    int status = name == NULL ? -1 : 0;
    if (f == NULL || !PyFunction_Check(f) ||
        hr_journal_has(p->j, HR_PLACE_FUNCTION, f)) {
        goto done;
    }
    code = hr_code_compile(u, text + b->start, b->end - b->start, (int)b->line,
                           s ? s->classes : NULL, s ? s->depth : 0);
    is = code ? PyDict_Copy(s != NULL ? s->ns : u->dict) : NULL;
    status = -1;
    if (is == NULL ||
        (s == NULL && hr_journal_update_dict(p->j, u->dict, is) < 0)) {
        goto done;
    }
    PyObject *holder = NULL;
    status = 0;
    for (int i = 0; status == 0 && i < 2; i++) {
        PyObject *live = PyObject_GetAttrString(f, fields[i]);
        PyObject *old = eval_defaults(code, u->dict, live_ns, name, fields[i]);
        PyObject *new =
            eval_defaults(code, s == NULL ? is : u->dict, is, name, fields[i]);
        if (live == NULL || old == NULL || new == NULL) {
            PyErr_Clear(); /* then they are not derived */
        }
        else if (PyObject_RichCompareBool(live, old, Py_EQ) == 1 &&
                 PyObject_RichCompareBool(old, new, Py_EQ) == 0) {
            if (holder == NULL) {
                holder = hr_function_clone(hr_plan_body(p, f), NULL, NULL);
                if (holder != NULL) {
                    hr_function_share_dict(holder, hr_plan_body(p, f));
                }
            }
            status = holder == NULL
                         ? -1
                         : PyObject_SetAttrString(holder, fields[i], new);
        }
        PyErr_Clear();
        Py_XDECREF(live);
        Py_XDECREF(old);
        Py_XDECREF(new);
    }
    if (status == 0 && holder != NULL) {
        /* Setting defaults took its version: as a fresh one has it. */
        hr_function_set_code(holder, ((PyFunctionObject *)holder)->func_code);
        status = hr_plan_function(p, p->j, f, holder);
    }
    Py_XDECREF(holder);
done:
    Py_XDECREF(is);
    Py_XDECREF(code);
    Py_XDECREF(name);
    return status;
}
