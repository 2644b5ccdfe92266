/* Which modules may read a changed name.
 *
 * Thousands may be followed, and most say no by the words of their texts
 * (word.c).  One that has the name's word is asked what else it has: the last
 * part of the owner's name, or the owner itself, under any name.
 *
 * Called by derive.c, for each name that changes.
 */
#include "scope.h"

/* The text that a source will have, and its words. */
struct text {
    const char *at;
    size_t size;
    const struct hr_words *words; /* NULL: there is no text */
    int knows_last;               /* the last part of the owner's name */
};

static int
get_text(struct hr_plan *p, struct hr_source *s, struct text *t)
{
    struct hr_words **words = &s->words;
    *t = (struct text){.at = s->text, .size = s->size};
    for (size_t i = 0; i < p->file_count; i++) {
        struct hr_file *f = &p->files[i];
        if (f->source == s) {
            words = &f->words;
            t->at = f->text;
            t->size = f->size;
        }
    }
    if (t->at != NULL && *words == NULL) {
        *words = hr_word_list(t->at, t->size);
    }
    t->words = *words;
    return t->at != NULL && *words == NULL ? -1 : 0;
}

/* The modules and classes that a module's names hold: a borrowed list. */
static PyObject *
get_owners(struct hr_derive *w, PyObject *dict)
{
    PyObject *id = PyLong_FromVoidPtr(dict), *key, *o;
    PyObject *owners = id ? PyDict_GetItemWithError(w->owners, id) : NULL;
    Py_ssize_t pos = 0;
    if (id != NULL && owners == NULL && !PyErr_Occurred()) {
        PyObject *made = PyList_New(0);
        int status = made == NULL ? -1 : 0;
        while (status == 0 && PyDict_Next(dict, &pos, &key, &o)) {
            if (PyModule_Check(o) || PyType_Check(o)) {
                status = PyList_Append(made, o);
            }
        }
        if (status == 0 && PyDict_SetItem(w->owners, id, made) == 0) {
            owners = made;
        }
        Py_XDECREF(made);
    }
    Py_XDECREF(id);
    return owners;
}

/* Does a module of that text know the owner of the name? */
static int
knows_owner(struct hr_derive *w, const struct text *t, PyObject *dict)
{
    if (dict == w->owner || w->is_package || t->knows_last) {
        return 1;
    }
    PyObject *owners = get_owners(w, dict);
    int knows = owners == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; knows == 0 && i < PyList_GET_SIZE(owners); i++) {
        PyObject *o = PyList_GET_ITEM(owners, i);
        knows = PyModule_Check(o)
                    ? PyModule_GetDict(o) == w->owner
                    : PyType_Check(w->owner) &&
                          PyType_IsSubtype((PyTypeObject *)o,
                                           (PyTypeObject *)w->owner);
    }
    return knows;
}

/* The words by which other texts know the name and its owner. */
static int
find_words(struct hr_derive *w)
{
    PyObject *name = w->module != NULL
                         ? w->module
                         : ((PyHeapTypeObject *)w->owner)->ht_name;
    Py_ssize_t n = PyUnicode_GET_LENGTH(name);
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, -1);
    PyObject *last = PyUnicode_Substring(name, dot + 1, n);
    int status = last == NULL || hr_word_hash(last, &w->last_hash) < 0
                     ? -1
                     : hr_word_hash(w->name, &w->hash);
    w->is_package = w->module != NULL &&
                    PyDict_GetItemString(w->owner, "__path__") != NULL;
    Py_XSETREF(w->last, last);
    return status;
}

int
hr_reader_each(struct hr_derive *w,
               int (*visit)(struct hr_derive *w, struct hr_source *source,
                            PyObject *module))
{
    if (find_words(w) < 0) {
        return -1;
    }
    struct hr_state *st = w->p->st;
    for (struct hr_source *s = st->sources; s != NULL; s = s->next) {
        struct text t;
        if (get_text(w->p, s, &t) < 0) {
            return -1;
        }
        if (t.words == NULL) {
            continue;
        }
        int named = hr_word_may_have(t.words, t.at, t.size, w->name, w->hash);
        t.knows_last =
            hr_word_may_have(t.words, t.at, t.size, w->last, w->last_hash);
        int star = w->module != NULL &&
                   hr_word_may_star(t.words, t.knows_last, w->is_package);
        if (!named && !star) {
            continue; /* most of them, and there may be thousands */
        }
        PyObject *modules = hr_source_modules(s);
        int status = modules == NULL ? -1 : 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(modules);
             i++) {
            PyObject *module = PyList_GET_ITEM(modules, i);
            int knows =
                star ? 1 : knows_owner(w, &t, PyModule_GetDict(module));
            status = knows > 0 ? visit(w, s, module) : knows;
        }
        Py_XDECREF(modules);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}
