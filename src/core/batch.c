/* From a batch of changes to revisions.
 *
 * Which changes are wanted, in which revision, and what becomes of the rest:
 * sources that were refused are tried again with the next save, and those that
 * may not be whole yet are *held*, for one more look in a moment.
 *
 * The batch lock lets one batch at a time through, from the engine's thread,
 * from apply() or undo().  Order of locks, always: the batch lock, then the
 * GIL; it is never waited for with the GIL held.  replace() and restore() do
 * not need it.
 *
 * A batch is handled with the lock and the GIL.  What is held belongs to the
 * engine's thread, which needs neither for it.
 */
#include "engine.h"

#define EMPTY_NS 1000000000 /* an emptied source may be in the making */
#define MAX_REFUSED 256     /* files that are tried again */
#define DOUBT_NS 150000000  /* WATCHING.md, rule 3 */

/* -- Batch lock ----------------------------------------------------------- */

int
hr_batch_lock(struct hr_engine *e, int timeout_ms)
{
    struct timespec until;
    int status = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&e->mutex);
    while (status == 0 && e->depth > 0 &&
           !pthread_equal(e->holder, pthread_self())) {
        status = timeout_ms < 0
                     ? pthread_cond_wait(&e->changed, &e->mutex)
                     : pthread_cond_timedwait(&e->changed, &e->mutex, &until);
    }
    if (status == 0) {
        e->holder = pthread_self();
        e->depth++;
    }
    pthread_mutex_unlock(&e->mutex);
    return status == 0 ? 0 : -1;
}

void
hr_batch_unlock(struct hr_engine *e)
{
    pthread_mutex_lock(&e->mutex);
    /* 0 in the child of a fork: what the parent's threads held is void. */
    if (e->depth > 0 && --e->depth == 0) {
        pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->mutex);
}

/* -- Sources that were refused -------------------------------------------- */

/* Room for one more change behind those of a batch, or NULL. */
static struct hr_change *
get_room(struct hr_batch *b)
{
    struct hr_change *changes =
        realloc(b->changes, (b->count + 1) * sizeof *changes);
    if (changes == NULL) {
        return NULL;
    }
    b->changes = changes;
    return &changes[b->count];
}

/* 1 when it was there. */
static int
forget_refused(struct hr_engine *e, const char *path)
{
    int found = 0;
    for (size_t i = e->refused.count; i-- > 0;) {
        struct hr_change c = e->refused.changes[i];
        if (strcmp(c.path, path) == 0) {
            e->refused.changes[i] = e->refused.changes[--e->refused.count];
            free(c.path);
            free(c.text);
            found = 1;
        }
    }
    return found;
}

/* A change with a path and a text of its own; 0 without memory. */
static int
copy_change(struct hr_change *copy, const struct hr_change *c)
{
    *copy = *c;
    copy->error = NULL;
    copy->path = strdup(c->path);
    copy->text = malloc(c->size + 1);
    if (copy->path == NULL || copy->text == NULL) {
        free(copy->path);
        free(copy->text);
        return 0;
    }
    memcpy(copy->text, c->text, c->size + 1);
    return 1;
}

/* What was refused may have been saved before another file that it needs, or
 * together with one that was broken: it is tried again with the next save. */
static void
note_refused(struct hr_engine *e, struct hr_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        forget_refused(e, changes[i].path);
        if (changes[i].text == NULL || e->refused.count >= MAX_REFUSED) {
            continue;
        }
        struct hr_change *c = get_room(&e->refused);
        if (c == NULL || !copy_change(c, &changes[i])) {
            return;
        }
        e->refused.count++;
    }
}

/* The files refused before that are not in this batch, behind its own.  They
 * are copies: a hook may have them made live meanwhile. */
static size_t
add_refused(struct hr_engine *e, struct hr_change *all, size_t n)
{
    size_t count = n;
    for (size_t i = 0; i < e->refused.count; i++) {
        int newer = 0;
        for (size_t k = 0; k < n; k++) {
            newer |= strcmp(all[k].path, e->refused.changes[i].path) == 0;
        }
        if (!newer && copy_change(&all[count], &e->refused.changes[i])) {
            count++;
        }
    }
    return count;
}

/* Was this very content refused before?  Then it is not asked for again, and
 * must not refuse what was saved with it. */
static int
is_refused(struct hr_engine *e, const struct hr_change *c)
{
    if (c->kind == HR_CHANGE_REFUSED) {
        hr_log(e->st, HR_SAY_ERROR, "%s", c->error);
        return 1;
    }
    for (size_t i = 0; i < e->refused.count; i++) {
        if (e->refused.changes[i].hash == c->hash &&
            strcmp(e->refused.changes[i].path, c->path) == 0) {
            return 1;
        }
    }
    return 0;
}

/* -- A batch -------------------------------------------------------------- */

static void
report(struct hr_state *st, hr_revision *r)
{
    long us = (long)((r->live_ns - r->saved_ns) / 1000);
    Py_ssize_t n = PyList_GET_SIZE(r->edits);
    PyObject *first = PyList_GET_ITEM(r->files, 0);
    Py_ssize_t more = PyList_GET_SIZE(r->files) - 1;
    PyObject *names = r->ok ? hr_revision_name_edits(r) : NULL;
    if (r->ok) {
        hr_log(st, HR_SAY_INFO,
               "revision %ld: %U%s, %zd %s in %ld.%03ld ms%s%V", r->id, first,
               more > 0 ? " and others" : "", n, n == 1 ? "edit" : "edits",
               us / 1000, us % 1000, n > 0 && names ? ": " : "", names, "");
    }
    else {
        /* The error begins with its code and its file. */
        hr_log(st, HR_SAY_ERROR,
               "revision %ld was refused%s, nothing was changed: %V", r->id,
               more > 0 ? " with all its files" : "", r->error, "");
    }
    Py_XDECREF(names);
    PyErr_Clear();
}

/* Is this a save that changes something, of a file that is followed? */
static int
is_wanted(struct hr_engine *e, struct hr_change *c, enum hr_mode mode)
{
    struct hr_source *s = hr_source_find(e->st, c->path);
    if (!c->live && mode == HR_MODE_APPLY && c->kind != HR_CHANGE_CONTENT) {
        return 1; /* asked for by name: say that it cannot be read */
    }
    if (c->live || s == NULL) {
        e->retry |= !c->live && c->kind == HR_CHANGE_CONTENT &&
                    hr_await_is_over(e, c->path);
        return 0;
    }
    if (c->kind == HR_CHANGE_DELETED) {
        hr_log(e->st, HR_SAY_INFO,
               "%s was deleted; what was imported from it stays", c->path);
        return 0;
    }
    if (c->kind == HR_CHANGE_REFUSED || hr_source_differs(s, c->hash)) {
        return 1;
    }
    /* A failed edit was taken back: what was refused with it may do now. */
    e->retry |= forget_refused(e, c->path);
    return 0;
}

/* Plan and commit these as one revision, which is not yet in the record. */
static PyObject *
try_sources(struct hr_engine *e, struct hr_change *changes, size_t n,
            const struct hr_moment *moment)
{
    PyObject *revision = hr_revision_new(e->st);
    if (revision != NULL) {
        hr_revision *r = (hr_revision *)revision;
        r->id = e->st->next_revision + 1; /* as hooks see it */
        r->saved_ns = changes[0].event_ns;
        r->ready_ns = moment->ready_ns;
        r->gil_ns = moment->gil_ns;
        hr_guard_begin(e, &changes[0], 1);
        int status = hr_plan_run(e->st, revision, changes, n);
        hr_guard_end(e);
        if (status < 0) {
            Py_CLEAR(revision);
        }
    }
    return revision;
}

/* All sources of a batch are one revision.  NULL with *hold 1: not whole yet.
 * NULL without an exception when there was nothing to do. */
static PyObject *
handle_sources(struct hr_engine *e, struct hr_change *changes, size_t count,
               const struct hr_moment *moment, enum hr_mode mode, int *hold)
{
    struct hr_state *st = e->st;
    struct hr_change *wanted =
        PyMem_Calloc(count + e->refused.count, sizeof *wanted);
    PyObject *revision = NULL;
    size_t own = 0, n, tried = 0;
    if (wanted == NULL) {
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(e, &changes[i], mode) &&
            (mode == HR_MODE_APPLY ||
             (!(hr_setting(st, "manual") || hr_setting(st, "follow_off")) &&
              !is_refused(e, &changes[i])))) {
            wanted[own++] = changes[i];
        }
    }
    e->hold_ns = DOUBT_NS;
    for (size_t i = 0; mode == HR_MODE_SAVED && i < own; i++) {
        if (wanted[i].kind == HR_CHANGE_CONTENT && wanted[i].size == 0) {
            /* A large file is written in place: for now it is empty. */
            e->hold_ns = EMPTY_NS;
            *hold = 1;
            PyMem_Free(wanted);
            return NULL;
        }
    }
    n = own;
    if (own > 0 || (e->retry && e->refused.count > 0)) {
        n = tried = add_refused(e, wanted, own);
        revision = try_sources(e, wanted, n, moment);
        if (revision != NULL && n > own && own > 0 &&
            !((hr_revision *)revision)->ok) {
            Py_DECREF(revision);
            tried = own;
            revision = try_sources(e, wanted, own, moment);
        }
    }
    e->retry = 0;
    if (revision != NULL) {
        hr_revision *r = (hr_revision *)revision;
        if (mode == HR_MODE_SAVED && !r->ok &&
            hr_revision_has_code(r, "HR101") &&
            hr_clock_ns(CLOCK_MONOTONIC) - r->saved_ns < DOUBT_NS) {
            *hold = 1;
            Py_CLEAR(revision);
        }
        else if (hr_revision_keep(st, revision) < 0) {
            Py_CLEAR(revision);
        }
        else {
            for (size_t i = 0; r->ok && !r->undone && i < tried; i++) {
                hr_source_seen(hr_source_find(st, wanted[i].path),
                               wanted[i].hash);
                if (mode == HR_MODE_APPLY) {
                    (void)hr_watch_add_file(e->watch, wanted[i].path,
                                            wanted[i].text, wanted[i].size);
                }
            }
            if (!r->ok) {
                note_refused(e, wanted, own);
            }
            for (size_t i = 0; r->ok && i < tried; i++) {
                forget_refused(e, wanted[i].path);
            }
            report(st, r);
            hr_revision_announce(st, revision);
        }
    }
    for (size_t i = own; i < n; i++) {
        free(wanted[i].path);
        free(wanted[i].text);
    }
    PyMem_Free(wanted);
    return revision;
}

static PyObject *
handle_live(struct hr_engine *e, struct hr_change *c,
            const struct hr_moment *moment, enum hr_mode mode)
{
    struct hr_moment m = *moment;
    if (c->kind == HR_CHANGE_REFUSED) {
        hr_log(e->st, HR_SAY_ERROR, "%s", c->error);
        return NULL;
    }
    m.saved_ns = c->event_ns;
    hr_guard_begin(e, c, 0);
    PyObject *revision = hr_live_run(e->st, c->path, c->text, c->size, &m,
                                     mode == HR_MODE_STARTING);
    hr_guard_end(e);
    return revision;
}

PyObject *
hr_batch_handle(struct hr_engine *e, struct hr_change *changes, size_t count,
                const struct hr_moment *moment, enum hr_mode mode, int *hold)
{
    PyObject *last = handle_sources(e, changes, count, moment, mode, hold);
    if (PyErr_Occurred()) {
        hr_log_exception(e->st, "a batch of saves could not be handled");
    }
    for (size_t i = 0; i < count; i++) {
        if (!changes[i].live) {
            continue;
        }
        hr_apply_note_run(e, &changes[i], mode);
        PyObject *revision = handle_live(e, &changes[i], moment, mode);
        if (revision != NULL) {
            Py_XSETREF(last, revision);
        }
        else if (PyErr_Occurred()) {
            hr_log_exception(e->st, "%s could not be handled",
                             changes[i].path);
        }
    }
    return last;
}

/* -- Files that were not whole -------------------------------------------- */

void
hr_batch_hold(struct hr_engine *e, struct hr_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct hr_change *c = &batch->changes[i];
        if (c->live) {
            continue;
        }
        struct hr_change *held = get_room(&e->held);
        if (held == NULL) {
            return;
        }
        *held = *c;
        e->held.count++;
        memset(c, 0, sizeof *c);
    }
    e->held_until = hr_clock_ns(CLOCK_MONOTONIC) + e->hold_ns;
}

void
hr_batch_merge_held(struct hr_engine *e, struct hr_batch *batch)
{
    size_t count = 0;
    if (e->held.count == 0) {
        return;
    }
    struct hr_change *all = calloc(e->held.count + batch->count, sizeof *all);
    if (all == NULL) {
        return;
    }
    for (size_t i = 0; i < e->held.count; i++) {
        int newer = 0;
        for (size_t k = 0; k < batch->count; k++) {
            newer |=
                strcmp(batch->changes[k].path, e->held.changes[i].path) == 0;
        }
        if (!newer) {
            all[count++] = e->held.changes[i];
            memset(&e->held.changes[i], 0, sizeof *all);
        }
    }
    for (size_t i = 0; i < batch->count; i++) {
        all[count++] = batch->changes[i];
    }
    batch->count = 0;
    hr_batch_clear(batch);
    hr_batch_clear(&e->held);
    batch->changes = all;
    batch->count = count;
}
