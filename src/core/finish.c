/* What follows the commit of a batch, while the new code is live already.
 *
 *     lines                        of functions that only moved, in slices
 *     texts                        the new ones are what runs
 *     linecache                    forgets the old ones
 *     caches, leaked objects       and what else knows the old ones
 *     the journal                  goes to the revision, for undo()
 *     hooks                        migrate, after
 *
 * Nothing here can fail the batch: what goes wrong is logged, or let be.
 * Called by plan.c, once, with a plan that is committed.
 */
#include "code.h"

/* One slice of functions that moved.  1: there are more. */
static int
move_lines(struct hr_plan *p, struct hr_lines *lines)
{
    struct hr_journal *j = hr_journal_new();
    int more = j == NULL ? -1 : hr_line_next(lines, j);
    if (more >= 0 && hr_journal_count(j) > 0 &&
        (hr_closure_follow(p, j) < 0 || hr_layer_swap_sources(p->st, j) < 0 ||
         hr_journal_append(p->j, j) < 0)) {
        more = -1;
    }
    hr_journal_free(p->st, j);
    return more;
}

static int
keep_texts(struct hr_plan *p)
{
    hr_revision *r = (hr_revision *)p->revision;
    Py_XSETREF(r->texts, PyDict_New());
    for (size_t i = 0; r->texts != NULL && i < p->file_count; i++) {
        struct hr_file *f = &p->files[i];
        if (f->source == NULL || f->text == NULL) {
            continue;
        }
        struct hr_source *s = f->source;
        PyObject *old = s->shown != NULL
                            ? Py_NewRef(s->shown)
                            : PyUnicode_DecodeUTF8(
                                  s->text, (Py_ssize_t)s->size, "replace");
        PyObject *new =
            PyUnicode_DecodeUTF8(f->text, (Py_ssize_t)f->size, "replace");
        f->shown = Py_XNewRef(new);
        PyObject *pair = Py_BuildValue("(NN)", old, new);
        if (pair == NULL || PyDict_SetItem(r->texts, f->path, pair) < 0) {
            Py_XDECREF(pair);
            return -1;
        }
        Py_DECREF(pair);
    }
    return r->texts == NULL ? -1 : 0;
}

void
hr_finish_batch(struct hr_plan *p)
{
    hr_revision *r = (hr_revision *)p->revision;
    hr_journal_notify(p->j);
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_lines lines;
        int more = hr_shift_find(&p->units[i], &lines);
        if (more == 0 &&
            (lines.count > 0 || PyDict_GET_SIZE(lines.pairs) > 0)) {
            while ((more = move_lines(p, &lines)) > 0) {
                hr_gil_pause();
            }
        }
        p->whole = 0;
        hr_plan_let_others_run(p);
        if (more < 0) {
            hr_log_exception(p->st, "the lines of %U could not be moved",
                             p->units[i].name);
        }
        hr_line_end(&lines);
    }
    if (keep_texts(p) < 0) {
        PyErr_Clear();
    }
    for (size_t i = 0; i < p->file_count; i++) {
        struct hr_file *f = &p->files[i];
        if (f->source != NULL && f->text != NULL) {
            hr_text_set(p->st, f->source, f->text, f->size, &f->blocks);
            f->source->doubt = 0;
            Py_XSETREF(f->source->shown, f->shown);
            f->text = NULL;
            f->shown = NULL;
        }
    }
    for (size_t i = 0; i < p->unit_count; i++) {
        hr_text_keep_members(&p->units[i]);
        hr_show_forget(p->units[i].filename);
    }
    hr_revision_clear(p->st, p->caches);
    /* Caches: what they have is wrong again when it is undone. */
    Py_XSETREF(r->caches, Py_NewRef(p->caches));
    if (hr_substitute_leaked(p) < 0) {
        PyErr_Clear();
    }
    hr_preview_finish(p);
    for (Py_ssize_t i = 0; p->hints != NULL && i < PyList_GET_SIZE(p->hints);
         i++) {
        hr_log(p->st, HR_SAY_INFO, "%U", PyList_GET_ITEM(p->hints, i));
    }
    if (hr_model_rebuild(p) < 0) {
        hr_log_exception(p->st, "models could not be rebuilt");
    }
    /* From here on it is on record: the hooks may take it back, or have other
     * files made live, which then lie on it. */
    r->journal = p->j;
    r->undoable = 1;
    p->j = NULL;
    if (hr_revision_keep(p->st, p->revision) < 0) {
        PyErr_Clear(); /* without memory: it is tried again */
    }
    hr_hook_migrate(p);
    (void)hr_hook_call(p, "__hot_reload_after__", 0);
}
