/* Running changed statements with nothing of it visible.
 *
 * The globals of what runs are a *shadow*: a copy of the module's dict.  New
 * definitions see each other and all that is unchanged, and nobody else sees
 * them.  When everything has run, whatever was made (made.c) and holds a new
 * object that lends its content to an old one is made to hold the old one
 * (substitute.c).  What runs on a shadow stays on it until the commit, and so
 * for ever when there is none: functions get the module's real dict together
 * with the journal, and what they have begun is redirected with them
 * (begun.c).
 */
#include "code.h"

struct hr_unit *
hr_evaluate_unit(struct hr_plan *p, PyObject *globals)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (p->units[i].shadow != NULL && p->units[i].evaluates &&
            p->units[i].shadow == globals) {
            return &p->units[i];
        }
    }
    return NULL;
}

/* -- Running -------------------------------------------------------------- */

int
hr_evaluate_shadow(struct hr_unit *u)
{
    if (u->shadow != NULL) {
        return 0;
    }
    if (hr_made_begin(u->plan) < 0) {
        return -1;
    }
    PyObject *live = u->live != NULL ? u->live : u->dict;
    u->shadow = PyDict_Copy(live);
    u->before = PyDict_Copy(live);
    if (u->shadow == NULL || u->before == NULL) {
        return -1;
    }
    /* Annotated assignments write into this dict. */
    PyObject *notes = PyDict_GetItemString(u->shadow, "__annotations__");
    if (notes == NULL || !PyDict_Check(notes)) {
        return 0;
    }
    notes = PyDict_Copy(notes);
    int status =
        notes == NULL
            ? -1
            : PyDict_SetItemString(u->shadow, "__annotations__", notes);
    Py_XDECREF(notes);
    return status;
}

/* Functions that were planned need none, until a statement calls them. */
int
hr_evaluate_widen(struct hr_unit *u)
{
    PyObject *names = PyDict_Copy(u->live), *before = PyDict_Copy(u->live);
    int status = names == NULL || before == NULL || hr_made_begin(u->plan) < 0
                     ? -1
                     : PyDict_Update(names, u->shadow);
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(u->removed);
         i++) {
        PyObject *name = PyList_GET_ITEM(u->removed, i);
        status = PyDict_Contains(names, name);
        status = status > 0 ? PyDict_DelItem(names, name) : status;
    }
    if (status == 0) {
        status = PyDict_Update(u->shadow, names);
    }
    if (status == 0) {
        Py_SETREF(u->before, Py_NewRef(before));
        u->evaluates = 1;
    }
    Py_XDECREF(names);
    Py_XDECREF(before);
    return status;
}

int
hr_evaluate_run(struct hr_unit *u, PyObject *code, PyObject *ns)
{
    PyObject *globals = u->evaluates ? u->shadow : u->dict;
    if (u->evaluates && u->plan->evaluating &&
        hr_preview_prepare(u, code, ns) < 0) {
        return -1;
    }
    struct hr_importing hook;
    if (hr_importing_begin(u, &hook) < 0) {
        return -1;
    }
    PyObject *result = PyEval_EvalCode(code, globals, ns ? ns : u->shadow);
    hr_importing_end(&hook);
    if (u->plan->refused) {
        /* By a module that it has imported, whatever it made of that. */
        PyErr_Clear();
        Py_CLEAR(result);
    }
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    hr_made_more(u->plan);
    return 0;
}

int
hr_evaluate_forgive(struct hr_plan *p)
{
    if (!PyErr_Occurred()) {
        return 0;
    }
    if (PyErr_ExceptionMatches(p->st->interrupted) ||
        PyErr_ExceptionMatches(PyExc_MemoryError) ||
        !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* -- Moving what was made ------------------------------------------------- */

/* Who holds a shadow itself, by globals(), is to hold the module's dict. */
static int
pair_shadows(struct hr_plan *p)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_unit *u = &p->units[i];
        if (u->evaluates && u->shadow != NULL &&
            hr_substitute_add(p, u->shadow, u->dict) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
note_function(struct hr_plan *p, PyObject *o)
{
    PyObject *id = PyLong_FromVoidPtr(o);
    int status = id == NULL ? -1 : PySet_Add(p->moved, id);
    Py_XDECREF(id);
    return status < 0 ? -1 : PyList_Append(p->followers, o);
}

/* What has a shadow for its globals, or may run on one. */
static int
note_followers(struct hr_plan *p, PyObject *made)
{
    p->followers = PyList_New(0);
    int status = p->followers == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(made); i++) {
        PyObject *o = PyList_GET_ITEM(made, i);
        if (PyFunction_Check(o) &&
            hr_evaluate_unit(p, HR_AS_FUNCTION(o)->func_globals) != NULL) {
            status = note_function(p, o);
        }
        else if (hr_begun_is(o)) {
            status = PyList_Append(p->followers, o);
        }
    }
    return status;
}

int
hr_evaluate_end(struct hr_plan *p)
{
    int status = 0;
    if (p->evaluating) {
        status = hr_second_carry_over(p);
        PyObject *made = status == 0 ? hr_made_list(p) : NULL;
        status = made == NULL ? -1 : note_followers(p, made);
        if (status == 0) {
            status = pair_shadows(p);
        }
        if (status == 0) {
            status = hr_substitute_in_all(p, made);
        }
        for (size_t i = 0; status == 0 && i < p->unit_count; i++) {
            if (p->units[i].shadow != NULL) {
                status = hr_substitute_dict(p, p->units[i].shadow);
            }
        }
        Py_XDECREF(made);
    }
    hr_made_end(p);
    return status;
}

static void
move_function(struct hr_plan *p, PyObject *o)
{
    PyFunctionObject *f = HR_AS_FUNCTION(o);
    struct hr_unit *u = hr_evaluate_unit(p, f->func_globals);
    if (u != NULL) {
        /* The unit holds the shadow: nothing is released here. */
        Py_SETREF(f->func_globals, Py_NewRef(u->dict));
    }
}

/* No Python from the first function moved to the last swap. */
int
hr_evaluate_commit(struct hr_plan *p)
{
    Py_ssize_t n = p->followers ? PyList_GET_SIZE(p->followers) : 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (PyFunction_Check(PyList_GET_ITEM(p->followers, i))) {
            move_function(p, PyList_GET_ITEM(p->followers, i));
        }
    }
    for (size_t i = 0; n > 0 && i < hr_journal_count(p->j); i++) {
        PyObject *owner, *value;
        if (hr_journal_get(p->j, i, HR_PLACE_FUNCTION, &owner, &value)) {
            move_function(p, owner);
            move_function(p, value);
        }
    }
    int status = hr_layer_swap_sources(p->st, p->j);
    if (status == 0 && n > 0) {
        hr_begun_redirect(p);
    }
    return status;
}
