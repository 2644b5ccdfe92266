/* Looking at files: read, hash, compare, decide, report.
 *
 * A look is the only thing that ends a file's way through its states (see
 * file.c), and the only place where something gets into a batch.  Without
 * memory to report, nothing is marked as reported: the file is looked at
 * again later.
 *
 * Hazard: the lock is given up while a file is read and while options.whole()
 * runs.  The file is pinned meanwhile; whoever removes a pinned file leaves
 * the freeing to the one who pinned it.  Everything that was known before has
 * to be asked again after.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#define FRESH_SLICE_NS (1 * HR_MS)

/* ---- the batch -------------------------------------------------------- */

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
        hr_file_enter(w, file, HR_SOON, now + w->options.half_ms * HR_MS);
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
        hr_file_settle(w, file);
        if (!file->followed && file->ready == 0) {
            hr_file_remove(w, file); /* a live file that came and went */
        }
        return;
    }
    if (look->from != HR_GONE || file->state != HR_QUIET) {
        file->unlinked = 1;
        file->doubt = 1;
        if (file->state == HR_QUIET) {
            hr_file_enter(w, file, HR_GONE, now + w->options.gone_ms * HR_MS);
        }
        return;
    }
    if (report(w, file, HR_CHANGE_DELETED, &look->content, look->given) < 0) {
        try_again(w, file, ENOMEM);
        return;
    }
    file->known = HR_KNOWN_NOTHING;
    file->sign = 0;
    hr_file_settle(w, file);
}

static void
found_refused(struct hr_watch *w, struct hr_file *file, struct look *look)
{
    uint64_t reason =
        (uint64_t)look->content.reason << 32 | (uint32_t)look->content.error;

    if (file->known == HR_KNOWN_REFUSED && file->hash == reason) {
        hr_file_settle(w, file);
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
    hr_file_settle(w, file);
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
            hr_file_settle(w, file);
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
    hr_file_settle(w, file);
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
        hr_file_enter(w, file, HR_SOON, hr_now() + w->options.half_ms * HR_MS);
        return;
    }
    hr_file_leave(w, file);
    prepare(file, state, look);
    if (file->unlinked || state == HR_GONE) {
        /* Perhaps the whole folder is another one: watch, then look. */
        hr_node_refresh(w, file->own.node);
        if (file->state != HR_QUIET) {
            hr_file_leave(w, file);
        }
    }
    if (hr_node_path(file->own.node, file->name, look->path) < 0 ||
        hr_file_given(file, look->given) < 0) {
        hr_file_settle(w, file);
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
            hr_file_settle(w, file);
        }
        break;
    case HR_CONTENT_LINK:
    case HR_CONTENT_RETRY:
        try_again(w, file, look->content.error);
        break;
    }
    free(look->content.text);
}

/* A batch need not tell what is known. */
static void
know(struct hr_watch *w, struct hr_file *file, uint64_t hash)
{
    if (file->ready != 0 && w->ready[file->ready - 1].hash == hash &&
        w->ready[file->ready - 1].kind == HR_CHANGE_CONTENT) {
        hr_file_drop_ready(w, file);
    }
    if (file->known != HR_KNOWN_CONTENT || file->hash != hash) {
        file->sign = 0;
    }
    file->known = HR_KNOWN_CONTENT;
    file->hash = hash;
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
        know(w, file, look.content.hash);
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
        hr_file_enter(w, file, HR_NOW, 0); /* it was held back for us */
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

    know(w, file, hash);
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
