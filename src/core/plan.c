/* A batch of saved sources: from the texts to one journal, and its commit.
 *
 *     read, decode, split          every file, or the batch is refused
 *     unit.c, order.c              one for each module, by their imports
 *     scope.c                      evaluates what changed, plans it
 *     evaluate.c                   moves what was made out of the shadows
 *     derive.c, closure.c          copies, constants, live closures
 *     hook.c                       before hooks
 *     commit                       no Python, cannot fail
 *     finish.c                     lines, caches, hooks, afterwards
 *
 * Everything up to the commit can fail, and then nothing has changed.
 */
#include "scope.h"

#define AGAIN 8         /* plans, when replace() comes in between each time */
#define SLICE_NS 800000 /* with the GIL, while a batch is planned */

/* -- Helpers of those who plan a part ------------------------------------- */

/* The edits that follow are in the file of this unit. */
static void
point_at(struct hr_unit *u)
{
    struct hr_plan *p = u->plan;
    for (size_t i = 0; i < p->file_count; i++) {
        if (p->files[i].source == u->source) {
            ((hr_revision *)p->revision)->at = p->files[i].path;
        }
    }
}

int
hr_plan_add_edit(struct hr_unit *u, const char *kind, PyObject *prefix,
                 const char *text, const struct hr_block *b)
{
    PyObject *qualname = NULL;
    if (b->name_len > 0) {
        PyObject *name = hr_name_of(text, b);
        qualname = name == NULL ? NULL
                   : prefix == NULL
                       ? Py_NewRef(name)
                       : PyUnicode_FromFormat("%U.%U", prefix, name);
        Py_XDECREF(name);
        if (qualname == NULL) {
            return -1;
        }
    }
    point_at(u);
    int status =
        hr_revision_add_edit(u->plan->st, u->plan->revision, kind, u->name,
                             qualname, (long)b->line, NULL, NULL);
    Py_XDECREF(qualname);
    return status;
}

PyObject *
hr_plan_body(struct hr_plan *p, PyObject *f)
{
    return hr_layer_body(p->st, f);
}

int
hr_plan_function(struct hr_plan *p, struct hr_journal *j, PyObject *f,
                 PyObject *new)
{
    PyObject *body = hr_layer_body(p->st, f);
    if (body != f && hr_function_prepare(body, new) < 0) {
        return -1;
    }
    return hr_journal_add(j, HR_PLACE_FUNCTION, f, NULL, new);
}

/* A batch of hundreds of files takes long to plan, and nothing of it can be
 * seen before the commit: so others run in between.  Not while statements are
 * evaluated, as whatever is made meanwhile counts as theirs. */
void
hr_plan_let_others_run(struct hr_plan *p)
{
    int64_t now = hr_clock_ns(CLOCK_MONOTONIC);
    if (p->slice_ns == 0) {
        p->slice_ns = now;
    }
    if (!p->whole && !p->evaluating && now - p->slice_ns > SLICE_NS) {
        hr_gil_pause();
        p->slice_ns = hr_clock_ns(CLOCK_MONOTONIC);
    }
}

/* -- Files ---------------------------------------------------------------- */

/* What the compiler says of the whole text. */
static int
compile_whole(struct hr_file *f)
{
    PyCompilerFlags flags = {.cf_flags =
                                 PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *code =
        Py_CompileStringObject(f->text, f->path, Py_file_input, &flags, -1);
    Py_XDECREF(code);
    return code == NULL ? -1 : 0;
}

/* The compiler's word on a text that could not be split. */
static int
refuse_syntax(struct hr_plan *p, struct hr_file *f, struct hr_lex_error error)
{
    if (compile_whole(f) < 0) {
        hr_refuse_exception(p, NULL);
        return -1;
    }
    return hr_refuse_batch(p, NULL, "HR101", (int)error.line, "%s in %U",
                           hr_lex_message(error.status), f->path);
}

/* A backslash with nothing behind it is in no block. */
static int
check_end(struct hr_plan *p, struct hr_file *f)
{
    size_t n = f->size;
    if (n > 0 && f->text[n - 1] == '\n') {
        n--;
    }
    if (n > 0 && f->text[n - 1] == '\r') {
        n--;
    }
    if (n == 0 || f->text[n - 1] != '\\') {
        return 0;
    }
    int status = compile_whole(f);
    if (status < 0) {
        hr_refuse_exception(p, NULL);
    }
    return status;
}

static int
read_file(struct hr_plan *p, struct hr_file *f, struct hr_change *c)
{
    struct hr_lex_error error;
    PyObject *why = NULL;
    f->path = PyUnicode_DecodeFSDefault(c->path);
    f->source = hr_source_find(p->st, c->path);
    hr_revision *r = (hr_revision *)p->revision;
    if (f->path == NULL || PyList_Append(r->files, f->path) < 0) {
        return -1;
    }
    r->at = f->path;
    if (c->kind == HR_CHANGE_DELETED) {
        return hr_refuse_batch(p, NULL, "HR103", 0,
                               "there is no such file; check its name");
    }
    if (c->kind == HR_CHANGE_REFUSED) {
        return hr_refuse_batch(p, NULL, "HR103", 0, "%s", c->error);
    }
    if (hr_text_take(p->st, f->source, c->hash, f, &error)) {
        p->split_ns += f->split_ns;
        return error.status == HR_LEX_OK ? check_end(p, f)
                                         : refuse_syntax(p, f, error);
    }
    int status = hr_decode_bytes(c->text, c->size, &f->text, &f->size, &why);
    if (status != 0) {
        if (status > 0) {
            (void)hr_refuse_batch(p, NULL, "HR102", 0, "%U: %U", f->path, why);
            Py_DECREF(why);
        }
        return -1;
    }
    if (hr_text_split(f->source, f, &error) != HR_LEX_OK) {
        return refuse_syntax(p, f, error);
    }
    return check_end(p, f);
}

/* -- The whole ------------------------------------------------------------ */

/* 0; -1 when the batch is refused; 1 when a replace() came in between. */
static int
make_plan(struct hr_plan *p, struct hr_change *changes, size_t count,
          struct hr_unit **at)
{
    for (size_t i = 0; i < count; i++) {
        if (read_file(p, &p->files[i], &changes[i]) < 0) {
            return -1;
        }
    }
    if (hr_source_look(p->st) < 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *modules = hr_source_modules(p->files[i].source);
        int status = modules == NULL ? -1 : 0;
        for (Py_ssize_t k = 0; status == 0 && k < PyList_GET_SIZE(modules);
             k++) {
            status = hr_unit_add(p, &p->files[i], PyList_GET_ITEM(modules, k));
        }
        if (status == 0 && PyList_GET_SIZE(modules) == 0 &&
            hr_source_lost_module(p->files[i].source) != NULL) {
            status = hr_refuse_batch(
                p, NULL, "HR401", 0,
                "no module in sys.modules was made from %U (it was removed, "
                "or replaced itself by another object); restart to have the "
                "new text",
                p->files[i].path);
        }
        Py_XDECREF(modules);
        if (status < 0) {
            return -1;
        }
    }
    if (hr_order_units(p) < 0) {
        return -1;
    }
    for (size_t i = 0; i < p->unit_count; i++) {
        *at = &p->units[i];
        point_at(*at);
        /* A circle of imports may have planned it already. */
        if (p->units[i].shadow == NULL && hr_unit_plan(&p->units[i]) < 0) {
            return -1;
        }
        if (i + 1 < p->unit_count) {
            hr_plan_let_others_run(p);
        }
    }
    if (hr_heir_plan(p, at) < 0) {
        return -1;
    }
    *at = NULL;
    if (hr_evaluate_end(p) < 0 || hr_dispatch_plan(p) < 0 ||
        hr_move_plan(p) < 0) {
        return -1;
    }
    for (size_t i = 0; i < p->unit_count; i++) {
        if (hr_unit_plan_values(&p->units[i]) < 0) {
            return -1;
        }
    }
    if (hr_derive(p) < 0 || hr_abstract_plan(p) < 0 ||
        hr_closure_follow(p, p->j) < 0) {
        return -1;
    }
    hr_move_closures(p);
    if (p->st->next_commit != p->commit && p->whole < AGAIN) {
        return 1;
    }
    if (p->hooked) {
        return 0;
    }
    p->hooked = 1;
    if (hr_hook_call(p, "__hot_reload_before__", 1) < 0) {
        return -1;
    }
    return p->st->next_commit != p->commit; /* the hooks run Python, too */
}

int
hr_plan_forbids(struct hr_state *st, const char *call)
{
    if (st->planning != PyThread_get_thread_ident()) {
        return 0;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "%s: a save is just being planned in this thread, and "
                 "nothing of it is live; call it from on_revision() or "
                 "__hot_reload_after__()",
                 call);
    return -1;
}

static void
clear_plan(struct hr_plan *p)
{
    hr_dispatch_abandon(p);
    for (size_t i = 0; i < p->unit_count; i++) {
        hr_unit_clear(&p->units[i]);
    }
    for (size_t i = 0; i < p->file_count; i++) {
        free(p->files[i].text);
        free(p->files[i].words);
        hr_blocks_clear(&p->files[i].blocks);
        Py_XDECREF(p->files[i].shown);
        Py_XDECREF(p->files[i].path);
    }
    hr_preview_clear(p);
    if (p->j != NULL) {
        hr_substitute_abandon(p); /* not committed */
    }
    Py_XDECREF(p->donors);
    Py_XDECREF(p->enums);
    hr_substitute_clear(p);
    PyMem_Free(p->units);
    PyMem_Free(p->files);
    hr_journal_free(p->st, p->j);
    Py_XDECREF(p->caches);
    Py_XDECREF(p->classes);
    Py_XDECREF(p->followers);
    Py_XDECREF(p->moved);
    Py_XDECREF(p->partial);
    Py_XDECREF(p->places);
    Py_XDECREF(p->hints);
    Py_XDECREF(p->hook);
}

int
hr_plan_run(struct hr_state *st, PyObject *revision, struct hr_change *changes,
            size_t count)
{
    struct hr_plan p = {.st = st, .revision = revision};
    hr_revision *r = (hr_revision *)revision;
    struct hr_unit *at = NULL;
    int status = -1;

again:
    p.commit = st->next_commit;
    st->compile_ns = 0;
    p.files = PyMem_Calloc(count, sizeof *p.files);
    p.file_count = count;
    p.caches = PyList_New(0);
    p.classes = PyList_New(0);
    p.partial = PyList_New(0);
    p.moved = PySet_New(NULL);
    p.j = hr_journal_new();
    if (p.files == NULL || p.caches == NULL || p.classes == NULL ||
        p.partial == NULL || p.moved == NULL || p.j == NULL) {
        PyErr_NoMemory();
        p.file_count = p.files == NULL ? 0 : count;
        goto done;
    }
    st->planning = PyThread_get_thread_ident();
    st->plan = &p;
    status = make_plan(&p, changes, count, &at);
    st->planning = 0;
    st->plan = NULL;
    hr_made_end(&p);
    if (status == 1) {
        /* Rare enough to plan it all again, now in one go. */
        int whole = p.whole + 1, hooked = p.hooked;
        clear_plan(&p);
        p = (struct hr_plan){
            .st = st, .revision = revision, .whole = whole, .hooked = hooked};
        status = -1;
        if (PyList_SetSlice(r->files, 0, PY_SSIZE_T_MAX, NULL) == 0 &&
            PyList_SetSlice(r->edits, 0, PY_SSIZE_T_MAX, NULL) == 0) {
            goto again;
        }
    }
    if (status == 0) {
        r->planned_ns = hr_clock_ns(CLOCK_MONOTONIC);
        status = hr_evaluate_commit(&p);
    }
    r->live_ns = hr_clock_ns(CLOCK_MONOTONIC);
    r->wall = (double)hr_clock_ns(CLOCK_REALTIME) / 1e9;
    r->split_ns = p.split_ns;
    r->compile_ns = st->compile_ns;
    if (status == 0) {
        r->ok = 1;
        if (hr_thread_is_own(st)) {
            /* Whoever waits for the GIL runs the new code now, and not when
             * all is tidied up. */
            hr_gil_pause();
        }
        hr_finish_batch(&p);
        status = hr_refuse_partly(&p);
    }
    else {
        if (!p.refused) {
            hr_refuse_exception(&p, at);
        }
        status = PyErr_Occurred() ? -1 : 0;
    }
done:
    r->at = NULL;
    clear_plan(&p);
    return status;
}
