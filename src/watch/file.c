/* Followed files, and what a save takes them through.
 *
 *                 CREATE, MODIFY                 CLOSE_WRITE, MOVED_TO
 *                ┌─────────────────────┐        ┌────────────────────┐
 *                ▼                     │        │                    ▼
 *     ┌──────► SOON ──due, or done──►──┼── QUIET ──DELETE, ...──►── NOW
 *     │         ▲                      │    ▲  ▲                     │
 *     │ half-written                   │    │  └──same, or reported──┤
 *     └─────────┴──────────────────────┘    │                        │
 *                                          due: deleted              │
 *                                   GONE ───┘ ◄──────missing─────────┤
 *                                                                    │
 *     (the only arrow out of NOW is a *look*: read, hash, compare) ──┘
 *
 * Each state but QUIET is a list, first in, first out.  SOON and GONE have
 * one delay each, so the head of the list is always the next one due, and a
 * hundred thousand pending files cost nothing per event.
 *
 * The last event wins: CLOSE_WRITE followed by MODIFY in the same reading of
 * the queue means that a second writer is at work, and its CLOSE_WRITE is
 * waited for.  This is what makes two opens in a row one save.  No event is
 * believed beyond that: what is reported is decided by the content's hash.
 *
 * A text that is not whole (see hr_watch_options.whole) is looked at once
 * more half_ms after its last event, and then reported as it is.
 *
 * The looks themselves are in look.c.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* ---- lists ------------------------------------------------------------ */

void
hr_file_leave(struct hr_watch *w, struct hr_file *file)
{
    struct hr_list *list = &w->lists[file->state];

    if (file->state == HR_QUIET) {
        return;
    }
    if (file->prev != NULL) {
        file->prev->next = file->next;
    }
    else {
        list->head = file->next;
    }
    if (file->next != NULL) {
        file->next->prev = file->prev;
    }
    else {
        list->tail = file->prev;
    }
    file->next = file->prev = NULL;
    list->count--;
    file->state = HR_QUIET;
}

void
hr_file_enter(struct hr_watch *w, struct hr_file *file, enum hr_state state,
              int64_t due)
{
    struct hr_list *list = &w->lists[state];

    hr_file_leave(w, file);
    file->due_ns = due;
    file->state = (uint8_t)state;
    if (state == HR_QUIET) {
        return;
    }
    file->prev = list->tail;
    if (list->tail != NULL) {
        list->tail->next = file;
    }
    else {
        list->head = file;
    }
    list->tail = file;
    list->count++;
}

void
hr_file_settle(struct hr_watch *w, struct hr_file *file)
{
    hr_file_leave(w, file);
    file->first_ns = 0;
    file->looked = file->doubt = file->as_is = 0;
    file->unlinked = file->deleted = 0;
}

/* ---- files ------------------------------------------------------------ */

struct hr_file *
hr_file_new(struct hr_watch *w, struct hr_node *node, const char *name)
{
    size_t length = strlen(name);
    struct hr_file *file = hr_calloc(1, sizeof(*file) + length + 1);

    if (file == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(file->name, name, length);
    file->own.file = file;
    if (hr_name_attach(w, &file->own, node, file->name) < 0) {
        free(file);
        return NULL;
    }
    w->info.files++;
    w->info.bytes += sizeof(*file) + length + 17;
    return file;
}

struct hr_file *
hr_file_find(struct hr_watch *w, const struct hr_node *node, const char *text)
{
    uint32_t hash = hr_name_hash(node, text, strlen(text));
    size_t at = SIZE_MAX;
    struct hr_name *name;

    while ((name = hr_name_next(w, node, text, hash, &at)) != NULL) {
        if (name == &name->file->own) {
            return name->file;
        }
    }
    return NULL;
}

void
hr_file_remove(struct hr_watch *w, struct hr_file *file)
{
    hr_file_settle(w, file);
    hr_file_drop_ready(w, file);
    hr_link_drop(w, file);
    hr_name_detach(w, &file->own);
    if (w->handed == file) {
        w->handed = NULL;
    }
    if (file->given != NULL) {
        w->info.bytes -= strlen(file->given) + 17;
    }
    w->info.files--;
    w->info.bytes -= sizeof(*file) + strlen(file->name) + 17;
    if (file->pins > 0) {
        file->dead = 1;
        return;
    }
    free(file->given);
    free(file);
}

void
hr_file_unpin(struct hr_watch *w, struct hr_file *file)
{
    (void)w;
    if (file->pins > 0) {
        file->pins--;
    }
    if (file->dead && file->pins == 0) {
        free(file->given);
        free(file);
    }
}

/* The path to report. */
int
hr_file_given(const struct hr_file *file, char *path)
{
    const char *folder;

    if (file->given != NULL) {
        strcpy(path, file->given);
        return 0;
    }
    if (!file->followed && file->own.node->live != NULL) {
        size_t length;
        folder = file->own.node->live->given;
        length = strlen(folder);
        if (length + strlen(file->name) + 2 > PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(path, folder, length);
        path[length] = '/';
        strcpy(path + length + 1, file->name);
        return 0;
    }
    return hr_node_path(file->own.node, file->name, path);
}

/* ---- events ----------------------------------------------------------- */

static void
be_soon(struct hr_watch *w, struct hr_file *file, int64_t now)
{
    int64_t delay = w->options.half_ms * HR_MS;

    if (file->state == HR_SOON && now - file->first_ns > HR_WRITER_MAX_NS) {
        return; /* a writer that never ends: keep the deadline */
    }
    hr_file_enter(w, file, HR_SOON, now + delay);
}

void
hr_file_note(struct hr_watch *w, struct hr_file *file, enum hr_event event,
             int64_t now)
{
    if (event == HR_EVENT_CHECK) {
        if (file->state == HR_QUIET) {
            hr_file_enter(w, file, HR_FRESH, 0);
        }
        return;
    }
    if (event == HR_EVENT_ATTRIB && file->state != HR_QUIET &&
        file->state != HR_FRESH && (file->state != HR_SOON || file->doubt)) {
        return; /* a writer is at work; its end will tell */
    }
    if (file->first_ns == 0) {
        file->first_ns = now;
    }
    file->event_ns = now;
    w->stir_ns = now;
    switch (event) {
    case HR_EVENT_DONE:
        w->hint_ns = 0;
        file->doubt = 0;
        hr_file_enter(w, file, HR_NOW, 0);
        break;
    case HR_EVENT_OPEN:
        file->doubt = 1;
        be_soon(w, file, now);
        break;
    case HR_EVENT_GONE:
        file->doubt = 1;
        file->unlinked = file->deleted = 1;
        hr_file_enter(w, file, HR_NOW, 0);
        break;
    case HR_EVENT_AWAY:
        /* Not proof: an exchange sends MOVED_TO before MOVED_FROM. */
        file->doubt |= file->state != HR_NOW;
        file->unlinked = 1;
        hr_file_enter(w, file, HR_NOW, 0);
        break;
    default:
        hr_file_enter(w, file, HR_NOW, 0);
        break;
    }
}

/* Polling found this signature (0: no file).  A file that still changes is
 * given until the next look, so that its writer can end. */
void
hr_file_polled(struct hr_watch *w, struct hr_file *file, uint64_t sign,
               int64_t now)
{
    uint64_t before = file->seen;

    if (file->adding) {
        return;
    }
    file->seen = sign;
    if (sign == 0) {
        if (file->known != HR_KNOWN_NOTHING && file->state != HR_GONE) {
            w->poll_hurry = 1;
            hr_file_note(w, file, HR_EVENT_GONE, now);
        }
    }
    else if (file->state == HR_NOW || sign == file->sign) {
        return;
    }
    else if (sign == before) {
        if (file->state == HR_SOON && file->looked && !file->doubt) {
            return; /* half-written, and no change since */
        }
        /* At rest; or its time stamp is too young to be trusted. */
        hr_file_note(w, file, HR_EVENT_DONE, now);
    }
    else {
        w->poll_hurry = 1;
        hr_file_note(w, file, HR_EVENT_OPEN, now);
    }
}
