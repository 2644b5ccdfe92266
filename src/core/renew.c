/* What is in force of a replacement follows the sources, too.
 *
 * A replaced function runs a copy of its replacement's body, a replaced class
 * has copies of its replacement's members.  When a save changes a replacement
 * that is itself a function or class of the sources, the copies take the
 * change.  A copy that is in force is in the patch's holder while the patch is
 * taken back, and there its body is exchanged.
 *
 *                       before the save       with the patch taken back
 *     f's body          [f's own] <- mine     f's own
 *     its holder        f's own               mine: exchanged with the new one
 *
 * For layer.c.
 */
#include "code.h"

/* What the patch has put on the function, beneath later patches. */
static PyObject *
get_body(struct hr_state *st, hr_patch *p, PyObject *f)
{
    PyObject *body = f;
    hr_layer_peek(st, p->layer + 1, HR_PLACE_FUNCTION, f, NULL, &body);
    return body;
}

/* Plan: the copy of f that is in `body` takes the body of `copy`.  `target` is
 * where it is while the patch is taken back. */
static int
plan_copy(struct hr_state *st, struct hr_journal *mirror, PyObject *f,
          PyObject *body, PyObject *target, PyObject *copy)
{
    PyObject *code = HR_AS_FUNCTION(hr_layer_body(st, f))->func_code;
    int same = hr_code_is_same(HR_AS_FUNCTION(body)->func_code, code);
    return same <= 0 ? same
           : target == f || hr_place_has(mirror, HR_PLACE_FUNCTION, target)
               ? 0
               : hr_journal_add(mirror, HR_PLACE_FUNCTION, target, NULL, copy);
}

/* -- Functions ------------------------------------------------------------ */

/* Is f the replacement, or in it? */
static int
is_of_replacement(hr_patch *p, PyObject *f)
{
    if (Py_TYPE(p->after) != &PyProperty_Type) {
        PyObject *inner = hr_owner_get_inner(p->after);
        Py_XDECREF(inner); /* it is held by what it is in */
        return inner == NULL ? -1 : inner == f && !PyMethod_Check(p->after);
    }
    int found = 0;
    for (int i = 0; found == 0 && i < 3; i++) {
        PyObject *part =
            PyObject_GetAttrString(p->after, hr_transfer_property_parts[i]);
        found = part == NULL ? -1 : part == f;
        Py_XDECREF(part);
    }
    return found;
}

/* The copy of f in what was put in a place: a new reference, or NULL. */
static PyObject *
find_put(hr_patch *p, PyObject *put, PyObject *f)
{
    if (p->after != f) {
        return hr_mirror_find(p->after, put, f);
    }
    PyObject *inner = hr_owner_get_inner(put);
    if (inner != NULL && !PyFunction_Check(inner)) {
        Py_CLEAR(inner);
    }
    return inner;
}

/* The copy of a new body of f that takes its place in the patch. */
static PyObject *
make_copy(struct hr_state *st, hr_patch *p, PyObject *f, PyObject *value)
{
    struct hr_request r = {.st = st,
                           .owner = p->owner,
                           .after = f,
                           .asked = p->before,
                           .before = p->before,
                           .original = p->original,
                           .patch = p,
                           .live = p->live != NULL && p->live != Py_None};
    PyObject *meant = hr_meaning_replacement(&r, value);
    if (meant == value) {
        Py_SETREF(meant, hr_function_clone(value, NULL, NULL));
    }
    return meant;
}

static int
renew_function(struct hr_state *st, hr_patch *p, PyObject *f, PyObject *value,
               struct hr_journal *mirror)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < hr_journal_count(p->journal); i++) {
        PyObject *owner, *key, *target, *body;
        enum hr_place place =
            hr_journal_place(p->journal, i, &owner, &key, &target);
        if (place == HR_PLACE_FUNCTION) {
            body = Py_NewRef(get_body(st, p, owner));
        }
        else {
            PyObject *put = hr_journal_placed(p->journal, i);
            target = body = put ? find_put(p, put, f) : NULL;
        }
        if (body == NULL) {
            status = PyErr_Occurred() ? -1 : 0;
            continue;
        }
        PyObject *copy = make_copy(st, p, f, value);
        status =
            copy == NULL ? -1 : plan_copy(st, mirror, f, body, target, copy);
        Py_XDECREF(copy);
        Py_DECREF(body);
    }
    return status;
}

/* -- Members of a class --------------------------------------------------- */

static int
renew_member(struct hr_state *st, hr_patch *p, PyObject *f, PyObject *value,
             struct hr_journal *mirror)
{
    PyObject *dict =
        hr_layer_dict(st, HR_LAYER_SOURCES, HR_PLACE_TYPE, p->after);
    PyObject *copies = hr_compat_type_dict((PyTypeObject *)p->before);
    PyObject *cell = PyCell_New(p->before), *key, *member;
    Py_ssize_t pos = 0;
    int status = dict == NULL || cell == NULL ? -1 : 0;
    while (status == 0 && PyDict_Next(dict, &pos, &key, &member)) {
        PyObject *put = PyDict_GetItemWithError(copies, key), *target;
        PyObject *found = put ? hr_mirror_find(member, put, f) : NULL, *copy;
        if (found == NULL) {
            status = PyErr_Occurred() ? -1 : 0;
            continue;
        }
        target = found;
        hr_place_peek(p->journal, HR_PLACE_FUNCTION, found, NULL, &target);
        copy = hr_function_clone(value, p->after, cell);
        status = copy == NULL
                     ? -1
                     : plan_copy(st, mirror, f, get_body(st, p, found), target,
                                 copy);
        Py_XDECREF(copy);
        Py_DECREF(found);
    }
    Py_XDECREF(cell);
    Py_XDECREF(dict);
    return status;
}

int
hr_renew_plan(struct hr_state *st, struct hr_journal *j, size_t count,
              hr_patch *p, struct hr_journal *mirror)
{
    int status = 0, is_class = hr_mirror_is_class(p);
    if (p->journal == NULL) {
        return 0;
    }
    for (size_t i = 0; status == 0 && i < count; i++) {
        PyObject *f, *value;
        if (!hr_journal_get(j, i, HR_PLACE_FUNCTION, &f, &value)) {
            continue;
        }
        int is = is_class ? 1 : is_of_replacement(p, f);
        status = is <= 0    ? is
                 : is_class ? renew_member(st, p, f, value, mirror)
                            : renew_function(st, p, f, value, mirror);
    }
    return status;
}
