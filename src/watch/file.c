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
 * Hazard: hr_files_look() gives the lock up while it reads and while it calls
 * options.whole().  The file is pinned meanwhile; whoever removes a pinned
 * file leaves the freeing to the one who pinned it.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define FRESH_SLICE_NS (1 * HR_MS)

/* ---- lists ------------------------------------------------------------ */

static void
leave_list(struct hr_watch *w, struct hr_file *file)
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

static void
enter_list(struct hr_watch *w, struct hr_file *file, enum hr_state state,
           int64_t due)
{
    struct hr_list *list = &w->lists[state];

    leave_list(w, file);
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

static void
settle(struct hr_watch *w, struct hr_file *file)
{
    leave_list(w, file);
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

/* Take it back out of the batch that is being gathered. */
void
hr_file_drop_ready(struct hr_watch *w, struct hr_file *file)
{
    size_t at = (size_t)file->ready - 1, last = w->ready_count - 1;

    if (file->ready == 0) {
        return;
    }
    free(w->ready[at].path);
    free(w->ready[at].text);
    free(w->ready[at].error);
    if (at != last) {
        w->ready[at] = w->ready[last];
        w->ready_files[at] = w->ready_files[last];
        w->ready_files[at]->ready = (uint32_t)at + 1;
    }
    w->ready_count--;
    file->ready = 0;
}

void
hr_file_remove(struct hr_watch *w, struct hr_file *file)
{
    settle(w, file);
    hr_file_drop_ready(w, file);
    hr_link_drop(w, file);
    hr_name_detach(w, &file->own);
    if (w->handed == file) {
        w->handed = NULL;
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
    enter_list(w, file, HR_SOON, now + delay);
}

void
hr_file_note(struct hr_watch *w, struct hr_file *file, enum hr_event event,
             int64_t now)
{
    if (event == HR_EVENT_CHECK) {
        if (file->state == HR_QUIET) {
            enter_list(w, file, HR_FRESH, 0);
        }
        return;
    }
    if (event == HR_EVENT_ATTRIB && file->state != HR_QUIET &&
        file->state != HR_FRESH && (file->state != HR_SOON || file->doubt)) {
        return; /* a writer is at work; its end will tell */
    }
    if (file->state == HR_QUIET || file->state == HR_FRESH) {
        file->first_ns = now;
    }
    file->event_ns = now;
    w->stir_ns = now;
    switch (event) {
    case HR_EVENT_DONE:
        w->hint_ns = 0;
        file->doubt = 0;
        enter_list(w, file, HR_NOW, 0);
        break;
    case HR_EVENT_OPEN:
        file->doubt = 1;
        be_soon(w, file, now);
        break;
    case HR_EVENT_GONE:
        file->doubt = 1;
        file->unlinked = file->deleted = 1;
        enter_list(w, file, HR_NOW, 0);
        break;
    case HR_EVENT_AWAY:
        /* Not proof: an exchange sends MOVED_TO before MOVED_FROM. */
        file->doubt |= file->state != HR_NOW;
        file->unlinked = 1;
        enter_list(w, file, HR_NOW, 0);
        break;
    default:
        enter_list(w, file, HR_NOW, 0);
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

/* ---- the batch -------------------------------------------------------- */

static int
make_room(struct hr_watch *w)
{
    size_t room = w->ready_room == 0 ? 8 : w->ready_room * 2;
    struct hr_change *ready;
    struct hr_file **files;

    if (w->ready_count < w->ready_room) {
        return 0;
    }
    ready = hr_realloc(w->ready, room * sizeof(*ready));
    if (ready == NULL) {
        return -1;
    }
    w->ready = ready;
    files = hr_realloc(w->ready_files, room * sizeof(*files));
    if (files == NULL) {
        return -1;
    }
    w->ready_files = files;
    w->ready_room = room;
    return 0;
}

/* Put it into the batch.  Steals the text.  -1 without memory: nothing has
 * changed, try again later. */
static int
report(struct hr_watch *w, struct hr_file *file, enum hr_change_kind kind,
       struct hr_content *content, const char *given)
{
    struct hr_change change = {.kind = kind};
    int64_t now = hr_now();

    if (make_room(w) < 0) {
        return -1;
    }
    change.path = hr_strdup(given);
    if (change.path == NULL) {
        return -1;
    }
    if (kind == HR_CHANGE_REFUSED) {
        change.error = hr_content_refusal(content, given, w->options.max_size);
        if (change.error == NULL) {
            free(change.path);
            return -1;
        }
    }
    if (kind == HR_CHANGE_CONTENT) {
        change.text = content->text;
        change.size = content->size;
        change.hash = content->hash;
        change.saved_ns = content->saved_ns;
        content->text = NULL;
    }
    change.live = file->live;
    change.event_ns = file->event_ns;
    hr_file_drop_ready(w, file);
    if (w->ready_count == 0) {
        w->first_ready_ns = now;
    }
    w->ready[w->ready_count] = change;
    w->ready_files[w->ready_count] = file;
    w->ready_count++;
    file->ready = (uint32_t)w->ready_count;
    w->stir_ns = now;
    if (file->deleted && kind == HR_CHANGE_CONTENT &&
        file->known != HR_KNOWN_NOTHING) {
        w->checkout_ns = now; /* as git does it: there may be more of them */
    }
    return 0;
}

/* ---- looking ---------------------------------------------------------- */

struct look {
    char path[PATH_MAX], given[PATH_MAX];
    enum hr_content_status status;
    struct hr_content content;
    enum hr_state from;
    int due;    /* the deadline has passed: no more waiting */
    int as_is;  /* do not ask whether it is whole */
    int half;   /* the text is not whole */
    int linked; /* the path is a symbolic link */
    int known;  /* as it was before the lock was given up */
    uint64_t hash;
};

/* Without the lock. */
static int
is_half(const struct hr_watch *w, const struct look *look)
{
    const struct hr_content *c = &look->content;

    if (c->size == 0) {
        return 1; /* it differs from what is known, so that is not empty */
    }
    if (w->options.whole != NULL) {
        return !w->options.whole(w->options.whole_arg, look->given, c->text,
                                 c->size);
    }
    return c->text[c->size - 1] != '\n';
}

static void
wait_for_more(struct hr_watch *w, struct hr_file *file, int64_t now)
{
    if (file->state == HR_QUIET) {
        if (file->first_ns == 0) {
            file->first_ns = now;
        }
        enter_list(w, file, HR_SOON, now + w->options.half_ms * HR_MS);
    }
}

static void
try_again(struct hr_watch *w, struct hr_file *file, int error)
{
    if ((w->said & HR_SAID_RETRY) == 0) {
        const char *text = hr_errno_text(error);
        w->said |= HR_SAID_RETRY;
        hr_say(w, HR_SAY_WARNING,
               "a file cannot be read now (%s): trying again until it can",
               text == NULL ? "interrupted" : text);
    }
    wait_for_more(w, file, hr_now());
}

static void
found_missing(struct hr_watch *w, struct hr_file *file, struct look *look)
{
    int64_t now = hr_now();

    if (file->known == HR_KNOWN_NOTHING) {
        settle(w, file);
        if (!file->followed && file->ready == 0) {
            hr_file_remove(w, file); /* a live file that came and went */
        }
        return;
    }
    if (look->from != HR_GONE || file->state != HR_QUIET) {
        file->unlinked = 1;
        file->doubt = 1;
        if (file->state == HR_QUIET) {
            enter_list(w, file, HR_GONE, now + w->options.gone_ms * HR_MS);
        }
        return;
    }
    if (report(w, file, HR_CHANGE_DELETED, &look->content, look->given) < 0) {
        try_again(w, file, ENOMEM);
        return;
    }
    file->known = HR_KNOWN_NOTHING;
    file->sign = 0;
    settle(w, file);
}

static void
found_refused(struct hr_watch *w, struct hr_file *file, struct look *look)
{
    uint64_t reason =
        (uint64_t)look->content.reason << 32 | (uint32_t)look->content.error;

    if (file->known == HR_KNOWN_REFUSED && file->hash == reason) {
        settle(w, file);
        return;
    }
    if (file->state != HR_QUIET) {
        return;
    }
    if (!look->due || !file->looked) {
        file->looked = 1;
        file->doubt = 0;
        wait_for_more(w, file, hr_now());
        return;
    }
    if (report(w, file, HR_CHANGE_REFUSED, &look->content, look->given) < 0) {
        try_again(w, file, ENOMEM);
        return;
    }
    file->known = HR_KNOWN_REFUSED;
    file->hash = reason;
    file->sign = 0;
    settle(w, file);
}

static void
found_content(struct hr_watch *w, struct hr_file *file, struct look *look)
{
    int64_t now = hr_now();
    int too_long = now - file->first_ns > HR_WRITER_MAX_NS;

    file->seen = look->content.seen;
    if (file->known == HR_KNOWN_CONTENT && file->hash == look->content.hash) {
        file->sign = look->content.sign;
        if (file->state == HR_QUIET) {
            settle(w, file);
        }
        return;
    }
    if (file->state != HR_QUIET) {
        return; /* something new was noted while it was read: look again */
    }
    if (!too_long && !file->as_is) {
        if (look->content.torn || (file->doubt && !look->due)) {
            file->doubt = 1;
            wait_for_more(w, file, now);
            return;
        }
        if (look->half && !(look->due && file->looked)) {
            file->looked = 1;
            file->doubt = 0;
            wait_for_more(w, file, now);
            return;
        }
    }
    if (report(w, file, HR_CHANGE_CONTENT, &look->content, look->given) < 0) {
        try_again(w, file, ENOMEM);
        return;
    }
    file->known = HR_KNOWN_CONTENT;
    file->hash = look->content.hash;
    file->sign = look->content.sign;
    settle(w, file);
}

/* Reads without the lock; follows a link with it.  0: the file was removed
 * meanwhile, and must not be touched. */
static int
read_it(struct hr_watch *w, struct hr_file *file, uint64_t sign,
        struct look *look)
{
    file->pins++;
    hr_unlock(w);
    look->status = hr_content_read(look->path, 0, w->options.max_size, sign,
                                   &look->content);
    if (look->status == HR_CONTENT_LINK) {
        /* Watch where it leads before reading what is there. */
        look->linked = 1;
        hr_lock(w);
        if (!file->dead && hr_link_follow(w, file) < 0) {
            hr_rescan_later(w);
        }
        hr_unlock(w);
        look->status = hr_content_read(look->path, 1, w->options.max_size,
                                       sign, &look->content);
    }
    if (look->status == HR_CONTENT_READ && !look->as_is &&
        !(look->known == HR_KNOWN_CONTENT &&
          look->hash == look->content.hash)) {
        look->half = is_half(w, look);
    }
    hr_lock(w);
    if (file->dead) {
        hr_file_unpin(w, file);
        return 0;
    }
    hr_file_unpin(w, file);
    if (!look->linked) {
        hr_link_drop(w, file);
    }
    return 1;
}

static void
prepare(const struct hr_file *file, enum hr_state state, struct look *look)
{
    look->from = state;
    look->due = state == HR_SOON || state == HR_GONE;
    look->as_is = file->as_is;
    look->half = 0;
    look->linked = 0;
    look->known = file->known;
    look->hash = file->hash;
    look->content = (struct hr_content){.text = NULL};
}

static void
look_at(struct hr_watch *w, struct hr_file *file, struct look *look)
{
    enum hr_state state = (enum hr_state)file->state;
    uint64_t sign = state == HR_FRESH ? file->sign : 0;
    int alive;

    if (file->adding) {
        enter_list(w, file, HR_SOON, hr_now() + w->options.half_ms * HR_MS);
        return;
    }
    leave_list(w, file);
    prepare(file, state, look);
    if (file->unlinked || state == HR_GONE) {
        /* Perhaps the whole folder is another one: watch, then look. */
        hr_node_refresh(w, file->own.node);
        if (file->state != HR_QUIET) {
            leave_list(w, file);
        }
    }
    if (hr_node_path(file->own.node, file->name, look->path) < 0 ||
        hr_file_given(file, look->given) < 0) {
        settle(w, file);
        return;
    }
    w->looking = file;
    alive = read_it(w, file, sign, look);
    w->looking = NULL;
    if (!alive) {
        free(look->content.text);
        return;
    }
    switch (look->status) {
    case HR_CONTENT_READ:
        found_content(w, file, look);
        break;
    case HR_CONTENT_MISSING:
        found_missing(w, file, look);
        break;
    case HR_CONTENT_REFUSED:
        found_refused(w, file, look);
        break;
    case HR_CONTENT_SAME:
        if (file->state == HR_QUIET) {
            settle(w, file);
        }
        break;
    case HR_CONTENT_LINK:
    case HR_CONTENT_RETRY:
        try_again(w, file, look->content.error);
        break;
    }
    free(look->content.text);
}

/* Its content now is what is known.  0, or -1 with errno. */
int
hr_file_adopt(struct hr_watch *w, struct hr_file *file)
{
    struct look look;
    int result = 0;

    prepare(file, HR_QUIET, &look);
    look.as_is = 1;
    if (hr_node_path(file->own.node, file->name, look.path) < 0) {
        return -1;
    }
    file->adding = 1;
    if (!read_it(w, file, 0, &look)) {
        free(look.content.text);
        return 0;
    }
    file->adding = 0;
    switch (look.status) {
    case HR_CONTENT_READ:
        file->known = HR_KNOWN_CONTENT;
        file->hash = look.content.hash;
        file->sign = look.content.sign;
        file->seen = look.content.seen;
        break;
    case HR_CONTENT_MISSING:
        file->known = HR_KNOWN_NOTHING;
        break;
    case HR_CONTENT_RETRY:
        errno = look.content.error;
        result = -1;
        break;
    default:
        hr_file_note(w, file, HR_EVENT_CHECK, hr_now());
        break;
    }
    if (file->state == HR_SOON && !file->doubt) {
        enter_list(w, file, HR_NOW, 0); /* it was held back for us */
    }
    free(look.content.text);
    return result;
}

/* This is what the program runs.  What is on the disk is compared with it
 * when there is time.  0, or -1 with errno. */
int
hr_file_know(struct hr_watch *w, struct hr_file *file, uint64_t hash)
{
    char path[PATH_MAX];
    struct stat st;

    if (file->ready != 0 && w->ready[file->ready - 1].hash == hash &&
        w->ready[file->ready - 1].kind == HR_CHANGE_CONTENT) {
        hr_file_drop_ready(w, file);
    }
    if (file->known != HR_KNOWN_CONTENT || file->hash != hash) {
        file->sign = 0;
    }
    file->known = HR_KNOWN_CONTENT;
    file->hash = hash;
    hr_file_note(w, file, HR_EVENT_CHECK, hr_now());
    if (hr_node_path(file->own.node, file->name, path) == 0 &&
        lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        return hr_link_follow(w, file); /* watch it before we return */
    }
    return 0;
}

int
hr_files_look(struct hr_watch *w)
{
    struct look look;
    struct hr_file *file;
    size_t count = w->lists[HR_NOW].count;
    int64_t now = hr_now(), end;

    /* Not those that come in while we look: their events come first. */
    for (; count > 0 && (file = w->lists[HR_NOW].head) != NULL; count--) {
        look_at(w, file, &look);
    }
    for (int state = HR_SOON; state <= HR_GONE; state++) {
        while ((file = w->lists[state].head) != NULL && file->due_ns <= now) {
            look_at(w, file, &look);
        }
    }
    if (w->lists[HR_FRESH].count > 0) {
        end = hr_now() + FRESH_SLICE_NS;
        while ((file = w->lists[HR_FRESH].head) != NULL) {
            if (file->first_ns == 0) {
                file->first_ns = file->event_ns = hr_now();
            }
            look_at(w, file, &look);
            if (hr_now() > end) {
                break;
            }
        }
    }
    if (w->lists[HR_FRESH].count == 0) {
        w->hold = 0;
    }
    return w->lists[HR_NOW].count > 0 || w->lists[HR_FRESH].count > 0;
}
