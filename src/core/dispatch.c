/* functools.singledispatch: what is registered by definitions of the program.
 *
 *     @area.register
 *     def _(shape: Circle): ...
 *
 * Registering is an effect outside of the module's names, but one that is
 * known well enough to be planned: what a dispatcher had is noted before the
 * first definition that registers with it runs, and given back to it when all
 * have run; the differences go to the journal.  So a definition that is gone,
 * or is now for another type, leaves the dispatcher, and undo() brings it
 * back.
 *
 * For define.c, remove.c and plan.c.
 */
#include "scope.h"

/* -- Decorators ----------------------------------------------------------- */

static int
is_name_byte(char c)
{
    return Py_ISALNUM(c) || c == '_' || c == '.' || (c & 0x80) != 0;
}

/* `X.register` among the decorators of a block: the length of X with *at, or
 * 0. *bare: nothing is handed over, so it is the annotations that tell. */
static size_t
find_decorator(const char *text, const struct hr_block *b, const char **at,
               int *bare)
{
    static const char word[] = ".register";
    uint32_t end = hr_scope_offset_of_line(text, b, b->def_line);
    for (uint32_t i = b->start; b->decorated && i < end; i++) {
        uint32_t first = i + 1, n;
        if (text[i] != '@') {
            continue;
        }
        for (n = first; n < end && is_name_byte(text[n]); n++) {
        }
        if (n - first > sizeof word - 1 &&
            memcmp(text + n - sizeof word + 1, word, sizeof word - 1) == 0) {
            *at = text + first;
            *bare = text[n] != '(';
            return n - first - (sizeof word - 1);
        }
    }
    return 0;
}

int
hr_dispatch_reads_annotations(const char *text, const struct hr_block *b)
{
    const char *at;
    int bare = 0;
    return find_decorator(text, b, &at, &bare) > 0 && bare;
}

/* -- Dispatchers ---------------------------------------------------------- */

/* `a.b` as the scope sees it.  New reference, or NULL. */
static PyObject *
resolve(struct hr_scope *s, const char *at, size_t n)
{
    PyObject *dicts[] = {s->ns, s->live, s->u->shadow, s->u->dict};
    PyObject *o = NULL;
    const char *end = at + n;
    for (int first = 1; at < end; first = 0) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        const char *stop = dot != NULL ? dot : end;
        PyObject *name = hr_name_decode(at, (size_t)(stop - at));
        for (int i = 0; first && name != NULL && o == NULL && i < 4; i++) {
            o = dicts[i] ? Py_XNewRef(PyDict_GetItemWithError(dicts[i], name))
                         : NULL;
        }
        if (!first && o != NULL) {
            Py_SETREF(o, name ? PyObject_GetAttr(o, name) : NULL);
        }
        Py_XDECREF(name);
        if (o == NULL) {
            break;
        }
        at = stop + (dot != NULL);
    }
    PyErr_Clear();
    return o;
}

/* The dict of a dispatcher that register() writes to.  New reference, or
 * NULL. */
static PyObject *
get_registry(PyObject *dispatcher)
{
    PyObject *dispatch = PyObject_GetAttrString(dispatcher, "dispatch");
    PyObject *registry = NULL, *names = NULL;
    if (dispatch != NULL && PyFunction_Check(dispatch)) {
        names = hr_compat_freevars(
            (PyCodeObject *)HR_AS_FUNCTION(dispatch)->func_code);
    }
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i),
                                             "registry") == 0) {
            registry = Py_XNewRef(hr_compat_cell_peek(
                PyTuple_GET_ITEM(HR_AS_FUNCTION(dispatch)->func_closure, i)));
        }
    }
    if (registry != NULL && !PyDict_CheckExact(registry)) {
        Py_CLEAR(registry);
    }
    PyErr_Clear();
    Py_XDECREF(names);
    Py_XDECREF(dispatch);
    return registry;
}

/* The plan's entry for the dispatcher that a block registers with: (registry,
 * what it had, clear its cache, keys that go).  1 with *entry (borrowed). */
static int
find_entry(struct hr_scope *s, const char *text, const struct hr_block *b,
           PyObject **entry)
{
    struct hr_plan *p = s->u->plan;
    const char *at;
    int bare, status = 0;
    size_t n = find_decorator(text, b, &at, &bare);
    PyObject *dispatcher = n > 0 ? resolve(s, at, n) : NULL;
    if (dispatcher == NULL) {
        return 0;
    }
    PyObject *inner = PyObject_GetAttrString(dispatcher, "dispatcher");
    PyErr_Clear();
    if (inner != NULL) {
        Py_SETREF(dispatcher, inner); /* a singledispatchmethod's */
    }
    PyObject *clear = PyObject_GetAttrString(dispatcher, "_clear_cache");
    PyErr_Clear();
    PyObject *registry = clear ? get_registry(dispatcher) : NULL;
    Py_ssize_t count = p->dispatches ? PyList_GET_SIZE(p->dispatches) : 0;
    for (Py_ssize_t i = 0; status == 0 && registry && i < count; i++) {
        *entry = PyList_GET_ITEM(p->dispatches, i);
        status = PyTuple_GET_ITEM(*entry, 0) == registry;
    }
    if (status == 0 && registry != NULL) {
        PyObject *had = PyDict_Copy(registry), *gone = PyList_New(0);
        PyObject *made =
            had && gone ? PyTuple_Pack(4, registry, had, clear, gone) : NULL;
        if (p->dispatches == NULL) {
            p->dispatches = PyList_New(0);
        }
        status = made == NULL || p->dispatches == NULL ||
                         PyList_Append(p->dispatches, made) < 0
                     ? -1
                     : 1;
        *entry = made;
        Py_XDECREF(made);
        Py_XDECREF(gone);
        Py_XDECREF(had);
    }
    Py_XDECREF(registry);
    Py_XDECREF(clear);
    Py_DECREF(dispatcher);
    return status;
}

int
hr_dispatch_note(struct hr_scope *s, const struct hr_block *new)
{
    PyObject *entry;
    return find_entry(s, s->u->text, new, &entry) < 0 ? -1 : 0;
}

int
hr_dispatch_drop(struct hr_scope *s, const struct hr_block *old)
{
    PyObject *entry, *key, *value;
    Py_ssize_t pos = 0;
    int status = find_entry(s, s->old_text, old, &entry);
    if (status <= 0) {
        return status;
    }
    status = 0;
    while (status == 0 &&
           PyDict_Next(PyTuple_GET_ITEM(entry, 1), &pos, &key, &value)) {
        PyObject *f =
            hr_unwrap_behind(s, value, s->old_text, old, (int)old->line, NULL);
        if (f != NULL) {
            status = PyList_Append(PyTuple_GET_ITEM(entry, 3), key);
        }
        Py_XDECREF(f);
    }
    return status;
}

/* -- The plan ------------------------------------------------------------- */

/* Give back what it had; the differences go to the journal, if there is one.
 */
static int
plan_key(struct hr_plan *p, struct hr_journal *j, PyObject *entry,
         PyObject *key)
{
    PyObject *registry = PyTuple_GET_ITEM(entry, 0);
    PyObject *had = PyDict_GetItemWithError(PyTuple_GET_ITEM(entry, 1), key);
    PyObject *has = PyDict_GetItemWithError(registry, key);
    int goes = PySequence_Contains(PyTuple_GET_ITEM(entry, 3), key);
    if (had == has) {
        return goes > 0 && j != NULL
                   ? hr_journal_add(j, HR_PLACE_DICT, registry, key, NULL)
                   : 0;
    }
    PyObject *kept = has != NULL ? hr_substitute_kept(p, has) : NULL;
    if (j != NULL && hr_journal_add(j, HR_PLACE_DICT, registry, key,
                                    kept ? kept : has) < 0) {
        return -1;
    }
    return had != NULL ? PyDict_SetItem(registry, key, had)
                       : PyDict_DelItem(registry, key);
}

static int
plan_entry(struct hr_plan *p, struct hr_journal *j, PyObject *entry)
{
    PyObject *keys = PyDict_Keys(PyTuple_GET_ITEM(entry, 0));
    int status = keys == NULL ? -1 : 0;
    for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(keys); k++) {
        status = plan_key(p, j, entry, PyList_GET_ITEM(keys, k));
    }
    Py_XDECREF(keys);
    /* It may have been called meanwhile. */
    PyObject *clear = PyTuple_GET_ITEM(entry, 2);
    PyObject *done = status == 0 ? PyObject_CallNoArgs(clear) : NULL;
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    return j != NULL ? PyList_Append(p->caches, clear) : 0;
}

int
hr_dispatch_plan(struct hr_plan *p)
{
    Py_ssize_t count = p->dispatches ? PyList_GET_SIZE(p->dispatches) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (plan_entry(p, p->j, PyList_GET_ITEM(p->dispatches, i)) < 0) {
            return -1;
        }
    }
    Py_CLEAR(p->dispatches);
    return 0;
}

void
hr_dispatch_abandon(struct hr_plan *p)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_ssize_t count = p->dispatches ? PyList_GET_SIZE(p->dispatches) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (plan_entry(p, NULL, PyList_GET_ITEM(p->dispatches, i)) < 0) {
            PyErr_WriteUnraisable(NULL);
        }
    }
    Py_CLEAR(p->dispatches);
    PyErr_Restore(type, value, traceback);
}
