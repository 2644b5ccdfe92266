/* A batch of saved sources: from the texts to one journal, and its commit.
 *
 *     read, decode, split          every file, or the batch is refused
 *     one unit for each module     ordered by their imports
 *     scope.c                      evaluates what changed, plans it
 *     evaluate.c                   moves what was made out of the shadows
 *     derive.c, closure.c          copies, constants, live closures
 *     before hooks
 *     commit                       no Python, cannot fail
 *     lines, caches, hooks         afterwards
 *
 * Everything up to the commit can fail, and then nothing has changed.
 */
#include "scope.h"

#define AGAIN 8         /* plans, when replace() comes in between each time */
#define SLICE_NS 800000 /* with the GIL, while a batch is planned */

/* -- Refusing ------------------------------------------------------------- */

static int
add_refusal(struct hr_plan *p, PyObject *module, PyObject *qualname, long line,
            const char *code, PyObject *sentence)
{
    PyObject *c = PyUnicode_FromString(code);
    int status =
        c == NULL ? -1
                  : hr_revision_add_edit(p->st, p->revision, "refused", module,
                                         qualname, line, c, sentence);
    Py_XDECREF(c);
    return status;
}

/* The file that a refusal is about.  Borrowed. */
static PyObject *
get_file(struct hr_plan *p, struct hr_unit *u)
{
    PyObject *last = Py_None;
    for (size_t i = 0; i < p->file_count; i++) {
        if (p->files[i].path != NULL) {
            last = p->files[i].path;
            if (u != NULL && p->files[i].source == u->source) {
                break;
            }
        }
    }
    return last;
}

int
hr_plan_refuse(struct hr_plan *p, struct hr_unit *u, const char *code,
               int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *sentence = PyUnicode_FromFormatV(format, args);
    va_end(args);
    if (sentence == NULL ||
        add_refusal(p, u ? u->name : NULL, NULL, line, code, sentence) < 0) {
        Py_XDECREF(sentence);
        return -1;
    }
    hr_revision *r = (hr_revision *)p->revision;
    PyObject *file = get_file(p, u);
    Py_XSETREF(r->error,
               line > 0
                   ? PyUnicode_FromFormat("%s: %S, line %d: %U", code, file,
                                          line, sentence)
                   : PyUnicode_FromFormat("%s: %S: %U", code, file, sentence));
    Py_DECREF(sentence);
    p->refused = 1;
    return -1;
}

/* The current exception is the reason. */
static void
refuse_exception(struct hr_plan *p, struct hr_unit *u)
{
    PyObject *type, *value, *traceback, *code = NULL;
    hr_revision *r = (hr_revision *)p->revision;
    const char *number = "HR110";
    long line = u ? u->error_line : 0;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (PyErr_GivenExceptionMatches(type, p->st->rude_edit) &&
        (code = PyObject_GetAttrString(value, "code")) != NULL) {
        number = PyUnicode_AsUTF8(code);
    }
    else if (PyErr_GivenExceptionMatches(type, PyExc_SyntaxError)) {
        PyObject *at = PyObject_GetAttrString(value, "lineno");
        number = "HR101";
        if (at != NULL && PyLong_Check(at)) {
            line = PyLong_AsLong(at);
        }
        Py_XDECREF(at);
    }
    else if (PyErr_GivenExceptionMatches(type, p->st->interrupted)) {
        number = "HR111";
    }
    PyErr_Clear();
    PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
    if (text != NULL && code != NULL && PyUnicode_GET_LENGTH(text) > 7) {
        /* It begins with the code: "HR301: ..." */
        Py_SETREF(text,
                  PyUnicode_Substring(text, 7, PyUnicode_GET_LENGTH(text)));
    }
    PyErr_Clear();
    PyObject *sentence =
        code != NULL
            ? Py_XNewRef(text)
            : PyUnicode_FromFormat(
                  "%s: %U; nothing was changed, correct it and save",
                  ((PyTypeObject *)type)->tp_name, text ? text : Py_None);
    if (sentence != NULL) {
        (void)add_refusal(p, u ? u->name : NULL, NULL, line,
                          number ? number : "HR110", sentence);
    }
    PyErr_Clear();
    int ours = code != NULL && number != NULL && traceback == NULL;
    if (ours && sentence != NULL) {
        /* The sentence says it all, a traceback nothing. */
        Py_XSETREF(r->error,
                   line > 0
                       ? PyUnicode_FromFormat("%s: %S, line %ld: %U", number,
                                              get_file(p, u), line, sentence)
                       : PyUnicode_FromFormat("%s: %S: %U", number,
                                              get_file(p, u), sentence));
    }
    Py_XDECREF(sentence);
    Py_XDECREF(text);
    PyErr_Restore(type, value, traceback);
    PyObject *described = ours ? NULL : hr_revision_describe_exception();
    if (described != NULL) {
        Py_XSETREF(r->error, PyUnicode_FromFormat("%s: %S: %U",
                                                  number ? number : "HR110",
                                                  get_file(p, u), described));
        Py_DECREF(described);
    }
    PyErr_Clear();
    Py_XDECREF(code);
    p->refused = 1;
}

/* -- Helpers of the scopes ------------------------------------------------ */

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
        PyObject *name =
            PyUnicode_DecodeUTF8(text + b->name, b->name_len, NULL);
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
    hr_patch *patch = hr_patch_find_exact(p->st, f);
    PyObject *body = f;
    if (patch != NULL) {
        hr_journal_peek(patch->journal, HR_PLACE_FUNCTION, f, NULL, &body);
    }
    return body;
}

int
hr_plan_function(struct hr_plan *p, struct hr_journal *j, PyObject *f,
                 PyObject *new)
{
    hr_patch *patch = hr_patch_find_exact(p->st, f);
    PyObject *kept = NULL;
    if (patch != NULL) {
        hr_journal_peek(patch->journal, HR_PLACE_FUNCTION, f, NULL, &kept);
    }
    if (kept == NULL) {
        return hr_journal_add(j, HR_PLACE_FUNCTION, f, NULL, new);
    }
    /* Replaced: the edit goes to the original underneath, in both places
     * where its body is. */
    PyObject *second = hr_function_clone(new, NULL, NULL);
    int status = second == NULL ? -1 : 0;
    if (status == 0) {
        status = hr_journal_add(j, HR_PLACE_FUNCTION, kept, f, new);
    }
    if (status == 0) {
        status = hr_journal_add(j, HR_PLACE_FUNCTION, patch->original, Py_None,
                                second);
    }
    Py_XDECREF(second);
    return status;
}

/* -- Files ---------------------------------------------------------------- */

/* The compiler's word on a text that could not be split. */
static int
refuse_syntax(struct hr_plan *p, struct hr_file *f, struct hr_lex_error error)
{
    PyCompilerFlags flags = {.cf_flags =
                                 PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE,
                             .cf_feature_version = PY_MINOR_VERSION};
    PyObject *code =
        Py_CompileStringObject(f->text, f->path, Py_file_input, &flags, -1);
    if (code == NULL) {
        refuse_exception(p, NULL);
        return -1;
    }
    Py_DECREF(code);
    return hr_plan_refuse(p, NULL, "HR101", (int)error.line, "%s in %U",
                          hr_lex_message(error.status), f->path);
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
        return hr_plan_refuse(p, NULL, "HR103", 0,
                              "there is no such file; check its name");
    }
    if (c->kind == HR_CHANGE_REFUSED) {
        return hr_plan_refuse(p, NULL, "HR103", 0, "%s", c->error);
    }
    if (hr_text_take(p->st, f->source, c->hash, f, &error)) {
        return error.status == HR_LEX_OK ? 0 : refuse_syntax(p, f, error);
    }
    int status = hr_decode_bytes(c->text, c->size, &f->text, &f->size, &why);
    if (status != 0) {
        if (status > 0) {
            (void)hr_plan_refuse(p, NULL, "HR102", 0, "%U: %U", f->path, why);
            Py_DECREF(why);
        }
        return -1;
    }
    if (hr_text_split(f->source, f, &error) != HR_LEX_OK) {
        return refuse_syntax(p, f, error);
    }
    return 0;
}

/* -- Units ---------------------------------------------------------------- */

/* Flags of the `from __future__` imports, for blocks compiled alone. */
int
hr_plan_future_flags(const char *text, const struct hr_blocks *blocks)
{
    static const char *const names[] = {"annotations", "barry_as_FLUFL", NULL};
    int flags = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        const struct hr_block *b = &blocks->items[i];
        if (b->kind == HR_BLOCK_FUTURE) {
            for (int k = 0; names[k] != NULL; k++) {
                if (memmem(text + b->start, b->end - b->start, names[k],
                           strlen(names[k])) != NULL) {
                    flags |= k == 0 ? CO_FUTURE_ANNOTATIONS
                                    : CO_FUTURE_BARRY_AS_BDFL;
                }
            }
        }
    }
    return flags;
}

static int
add_unit(struct hr_plan *p, struct hr_file *f, PyObject *module)
{
    struct hr_unit *units =
        PyMem_Realloc(p->units, (p->unit_count + 1) * sizeof *units);
    if (units == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    p->units = units;
    struct hr_unit *u = &units[p->unit_count++];
    memset(u, 0, sizeof *u);
    u->plan = p;
    u->source = f->source;
    u->text = f->text;
    u->size = f->size;
    u->blocks = &f->blocks;
    u->module = Py_NewRef(module);
    u->dict = Py_NewRef(PyModule_GetDict(module));
    u->name = PyObject_GetAttrString(module, "__name__");
    u->filename = PyDict_GetItemString(u->dict, "__file__");
    u->filename = Py_XNewRef(u->filename);
    u->changed = PyDict_New();
    u->removed = PyList_New(0);
    u->future = hr_plan_future_flags(f->text, &f->blocks);
    return u->name == NULL || u->filename == NULL || u->changed == NULL ||
                   u->removed == NULL
               ? -1
               : 0;
}

static void
clear_unit(struct hr_unit *u)
{
    Py_XDECREF(u->module);
    Py_XDECREF(u->dict);
    Py_XDECREF(u->name);
    Py_XDECREF(u->filename);
    Py_XDECREF(u->shadow);
    Py_XDECREF(u->before);
    Py_XDECREF(u->changed);
    Py_XDECREF(u->removed);
    hr_text_free_members(u);
}

static int
is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= '0' && c <= '9') || (c & 0x80) != 0;
}

/* {last part of a module's name: set of indices of units} */
static PyObject *
index_units(struct hr_plan *p)
{
    PyObject *result = PyDict_New();
    for (size_t i = 0; result != NULL && i < p->unit_count; i++) {
        PyObject *name = p->units[i].name;
        Py_ssize_t n = PyUnicode_GET_LENGTH(name);
        Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, -1);
        PyObject *last = PyUnicode_Substring(name, dot + 1, n);
        PyObject *index = PyLong_FromSize_t(i), *set = NULL;
        if (last != NULL && index != NULL) {
            set = Py_XNewRef(PyDict_GetItemWithError(result, last));
            if (set == NULL) {
                set = PySet_New(NULL);
            }
        }
        if (set == NULL || PySet_Add(set, index) < 0 ||
            PyDict_SetItem(result, last, set) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(set);
        Py_XDECREF(index);
        Py_XDECREF(last);
    }
    return result;
}

/* The indices of the units that a text imports: a set.  By every word of its
 * imports: a guess is enough for an order. */
static PyObject *
find_imports(struct hr_unit *u, PyObject *by_name)
{
    PyObject *found = PySet_New(NULL);
    for (size_t i = 0; found != NULL && i < u->blocks->count; i++) {
        const struct hr_block *b = &u->blocks->items[i];
        const char *at = u->text + b->start, *end = u->text + b->end;
        while (b->kind == HR_BLOCK_IMPORT && found != NULL && at < end) {
            Py_ssize_t n = 0;
            while (at + n < end && is_name_byte(at[n])) {
                n++;
            }
            PyObject *word = n > 0 ? PyUnicode_DecodeUTF8(at, n, NULL) : NULL;
            PyObject *units =
                word ? PyDict_GetItemWithError(by_name, word) : NULL;
            PyObject *index,
                *iterator = units ? PyObject_GetIter(units) : NULL;
            while (iterator != NULL && found != NULL &&
                   (index = PyIter_Next(iterator)) != NULL) {
                if (PySet_Add(found, index) < 0) {
                    Py_CLEAR(found);
                }
                Py_DECREF(index);
            }
            Py_XDECREF(iterator);
            Py_XDECREF(word);
            if (PyErr_Occurred()) {
                Py_CLEAR(found);
            }
            at += n > 0 ? n : 1;
        }
    }
    return found;
}

/* Is a unit that this one imports not yet in order? */
static int
waits(PyObject *imports, size_t own, const unsigned char *done)
{
    PyObject *index, *iterator = PyObject_GetIter(imports);
    int result = 0;
    while (iterator != NULL && (index = PyIter_Next(iterator)) != NULL) {
        size_t k = PyLong_AsSize_t(index);
        result |= k != own && !done[k];
        Py_DECREF(index);
    }
    Py_XDECREF(iterator);
    return result;
}

/* Those that are imported first.  Circles stay as they came. */
static void
place_units(struct hr_plan *p, PyObject *imports, struct hr_unit *ordered,
            unsigned char *done)
{
    size_t n = p->unit_count, placed = 0;
    while (placed < n) {
        size_t before = placed;
        for (size_t i = 0; i < n; i++) {
            PyObject *own = PyList_GET_ITEM(imports, (Py_ssize_t)i);
            if (!done[i] && !waits(own, i, done)) {
                ordered[placed++] = p->units[i];
                done[i] = 1;
            }
        }
        for (size_t i = 0; placed == before && i < n; i++) {
            if (!done[i]) {
                ordered[placed++] = p->units[i];
                done[i] = 1;
            }
        }
    }
    memcpy(p->units, ordered, n * sizeof *ordered);
}

static int
order_units(struct hr_plan *p)
{
    size_t n = p->unit_count;
    if (n < 2) {
        return 0;
    }
    PyObject *by_name = index_units(p), *imports = PyList_New(0);
    struct hr_unit *ordered = PyMem_Malloc(n * sizeof *ordered);
    unsigned char *done = PyMem_Calloc(n, 1);
    int status = by_name == NULL || imports == NULL ? -1 : 0;
    if (ordered == NULL || done == NULL) {
        PyErr_NoMemory();
        status = -1;
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        PyObject *set = find_imports(&p->units[i], by_name);
        status = set == NULL ? -1 : PyList_Append(imports, set);
        Py_XDECREF(set);
    }
    if (status == 0) {
        place_units(p, imports, ordered, done);
    }
    PyMem_Free(ordered);
    PyMem_Free(done);
    Py_XDECREF(by_name);
    Py_XDECREF(imports);
    return status;
}

/* A batch of hundreds of files takes long to plan, and nothing of it can be
 * seen before the commit: so others run in between.  Not while statements are
 * evaluated, as what they make is found by the collector being off. */
static void
let_others_run(struct hr_plan *p)
{
    int64_t now = hr_clock_ns(CLOCK_MONOTONIC);
    if (p->slice_ns == 0) {
        p->slice_ns = now;
    }
    if (!p->whole && !p->gc_paused && now - p->slice_ns > SLICE_NS) {
        hr_gil_pause();
        p->slice_ns = hr_clock_ns(CLOCK_MONOTONIC);
    }
}

/* -- One unit ------------------------------------------------------------- */

/* Plain functions, at the top or in classes, need no shadow. */
static int
is_plain(struct hr_scope *s)
{
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        int k = s->diff.match[i];
        if ((k >= 0 && s->old->items[k].raw_hash == b->raw_hash) ||
            hr_scope_is_main(s, b)) {
            continue;
        }
        if (k >= 0 && s->old->items[k].hash == b->hash &&
            b->kind != HR_BLOCK_DEF && b->kind != HR_BLOCK_CLASS) {
            continue;
        }
        if (b->kind == HR_BLOCK_CLASS && k >= 0 &&
            s->old->items[k].kind == HR_BLOCK_CLASS &&
            s->old->items[k].head_hash == b->head_hash && !b->body_inline) {
            const struct hr_members *m =
                hr_text_members(s->u, &s->old->items[k], b);
            struct hr_scope inner = {.u = s->u, .depth = s->depth + 1};
            inner.old_text = s->old_text;
            int plain = m != NULL && m->status == HR_LEX_OK;
            if (plain) {
                inner.old = &m->old;
                inner.new = &m->new;
                plain = hr_diff_blocks(s->old_text, &m->old, s->u->text,
                                       &m->new, &inner.diff) == 0 &&
                        is_plain(&inner);
            }
            hr_diff_clear(&inner.diff);
            PyErr_Clear();
            if (plain) {
                continue;
            }
            return 0;
        }
        if (b->kind != HR_BLOCK_DEF ||
            (b->decorated &&
             (k < 0 || s->old->items[k].head_hash != b->head_hash))) {
            return 0;
        }
    }
    /* An earlier binding may come to light, and run. */
    for (size_t i = 0; i < s->old->count; i++) {
        if (!s->diff.used[i] && s->old->items[i].name_len == 0) {
            return 0;
        }
    }
    return 1;
}

static int
plan_unit(struct hr_unit *u)
{
    struct hr_scope s = {.u = u, .live = u->dict};
    int status;
    s.old_text = u->source->text;
    s.old = &u->source->blocks;
    s.new = u->blocks;
    if (hr_diff_blocks(s.old_text, s.old, u->text, s.new, &s.diff) < 0) {
        return -1;
    }
    u->evaluates = !is_plain(&s);
    if (u->evaluates) {
        status = hr_evaluate_shadow(u);
    }
    else {
        u->shadow = PyDict_New();
        u->before = PyDict_New();
        status = u->shadow == NULL || u->before == NULL ? -1 : 0;
    }
    if (status == 0) {
        s.ns = u->shadow;
        status = hr_scope_plan(&s);
    }
    /* What names hold now, merged with what they held. */
    PyObject *names = status == 0 ? PyDict_Keys(u->shadow) : NULL;
    for (Py_ssize_t i = 0;
         names != NULL && status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        PyObject *new = PyDict_GetItemWithError(u->shadow, name);
        if (new == NULL || new == PyDict_GetItemWithError(u->before, name) ||
            !PyUnicode_Check(name)) {
            continue;
        }
        const struct hr_block *old_block = hr_scope_old_block(&s, name);
        PyObject *value = Py_NewRef(new);
        status =
            hr_merge_value(&s, name, PyDict_GetItemWithError(u->dict, name),
                           &value, old_block);
        if (status == 0 && value != new) {
            status = PyDict_SetItem(u->shadow, name, value);
        }
        Py_DECREF(value);
    }
    Py_XDECREF(names);
    hr_diff_clear(&s.diff);
    return status;
}

/* Names whose value is another now: into the journal. */
static int
plan_values(struct hr_unit *u)
{
    struct hr_plan *p = u->plan;
    PyObject *name, *new;
    Py_ssize_t pos = 0;
    while (PyDict_Next(u->shadow, &pos, &name, &new)) {
        PyObject *live = PyDict_GetItemWithError(u->dict, name);
        if (PyUnicode_CompareWithASCIIString(name, "__annotations__") == 0 &&
            live != NULL && PyObject_RichCompareBool(new, live, Py_EQ) == 1) {
            continue; /* the copy that was written to has not changed */
        }
        if (new == PyDict_GetItemWithError(u->before, name) || new == live ||
            !PyUnicode_Check(name) ||
            PyUnicode_CompareWithASCIIString(name, "__builtins__") == 0) {
            continue;
        }
        PyObject *pair = PyTuple_Pack(2, live ? live : Py_Ellipsis, new);
        if (pair == NULL || PyDict_SetItem(u->changed, name, pair) < 0 ||
            hr_journal_add(p->j, HR_PLACE_DICT, u->dict, name, new) < 0) {
            Py_XDECREF(pair);
            return -1;
        }
        Py_DECREF(pair);
    }
    /* Names that are gone: removed from the text, or by a `del` that ran. */
    PyObject *gone = PyDict_Keys(u->before);
    if (gone == NULL) {
        return -1;
    }
    int status = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(u->removed); i++) {
        if (status == 0 && !u->evaluates) {
            status = PyList_Append(gone, PyList_GET_ITEM(u->removed, i));
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(gone); i++) {
        PyObject *key = PyList_GET_ITEM(gone, i);
        PyObject *live = PyDict_GetItemWithError(u->dict, key);
        if (live == NULL || PyDict_GetItemWithError(u->shadow, key) != NULL) {
            continue;
        }
        PyObject *pair = PyTuple_Pack(2, live, Py_Ellipsis);
        status = pair == NULL ? -1 : PyDict_SetItem(u->changed, key, pair);
        Py_XDECREF(pair);
        if (status == 0) {
            status = hr_journal_add(p->j, HR_PLACE_DICT, u->dict, key, NULL);
        }
    }
    Py_DECREF(gone);
    return status;
}

/* -- Lines ---------------------------------------------------------------- */

static int
find_moves(struct hr_unit *u, struct hr_lines *lines)
{
    const struct hr_blocks *old = &u->source->blocks, *new = u->blocks;
    struct hr_diff d = {0};
    struct hr_move *moves;
    size_t count = 0;
    if (hr_diff_blocks(u->source->text, old, u->text, new, &d) < 0) {
        return -1;
    }
    moves = PyMem_Calloc(old->count + 1, sizeof *moves);
    int status = moves == NULL ? -1 : 0;
    int *partner = PyMem_Malloc((old->count + 1) * sizeof *partner);
    for (size_t i = 0; partner != NULL && i < old->count; i++) {
        partner[i] = -1;
    }
    for (size_t i = 0; partner != NULL && i < new->count; i++) {
        if (d.match[i] >= 0) {
            partner[d.match[i]] = (int)i;
        }
    }
    for (size_t i = 0; status == 0 && partner != NULL && i < old->count; i++) {
        const struct hr_block *a = &old->items[i];
        const struct hr_block *b =
            partner[i] >= 0 ? &new->items[partner[i]] : NULL;
        if (b == NULL) {
            continue;
        }
        int delta = (int)b->line - (int)a->line;
        if (a->raw_hash == b->raw_hash) {
            if (delta != 0) {
                moves[count++] =
                    (struct hr_move){(int)a->line, (int)a->end_line, delta};
            }
        }
        else if (a->kind == HR_BLOCK_CLASS && b->kind == HR_BLOCK_CLASS) {
            size_t more = 0;
            struct hr_move *inner = hr_line_members(u, a, b, &more);
            struct hr_move *grown = PyMem_Realloc(
                moves, (count + more + old->count + 2) * sizeof *moves);
            if (inner == NULL || grown == NULL) {
                status = -1;
            }
            if (grown != NULL) {
                moves = grown;
            }
            if (status == 0) {
                memcpy(moves + count, inner, more * sizeof *inner);
                count += more;
            }
            PyMem_Free(inner);
        }
    }
    PyMem_Free(partner);
    hr_diff_clear(&d);
    *lines = (struct hr_lines){.u = u, .moves = moves, .count = count};
    return status;
}

/* One slice of functions that moved.  1: there are more. */
static int
move_lines(struct hr_plan *p, struct hr_lines *lines)
{
    struct hr_journal *j = hr_journal_new();
    int more = j == NULL ? -1 : hr_line_next(lines, j);
    if (more >= 0 && hr_journal_count(j) > 0 &&
        (hr_closure_follow(p, j) < 0 || hr_journal_swap(j) < 0 ||
         hr_journal_append(p->j, j) < 0)) {
        more = -1;
    }
    hr_journal_free(p->st, j);
    return more;
}

/* -- Hooks ---------------------------------------------------------------- */

static int
call_hook(PyObject *dict, const char *name, PyObject *argument)
{
    PyObject *hook = PyDict_GetItemString(dict, name);
    if (hook == NULL) {
        return 0;
    }
    PyObject *callable = Py_NewRef(hook);
    if (Py_TYPE(hook) == &PyStaticMethod_Type ||
        Py_TYPE(hook) == &PyClassMethod_Type) {
        Py_SETREF(callable, PyObject_GetAttrString(hook, "__func__"));
    }
    PyObject *result =
        callable ? PyObject_CallFunctionObjArgs(callable, argument, NULL)
                 : NULL;
    Py_XDECREF(callable);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* A class's hook is called with the revision, bound to the class when it is a
 * class method. */
static int
call_class_hook(PyObject *type, const char *name, PyObject *revision)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
    if (PyDict_GetItemString(dict, name) == NULL) {
        return 0;
    }
    PyObject *result = PyObject_CallMethod(type, name, "O", revision);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* 0, or -1 with the exception of a hook when `stops`; else they are logged. */
static int
call_hooks(struct hr_plan *p, const char *name, int stops)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        if (call_hook(p->units[i].dict, name, p->revision) < 0) {
            if (stops) {
                return -1;
            }
            hr_log_exception(p->st, "%s of %U failed", name, p->units[i].name);
        }
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->classes); i++) {
        PyObject *type = PyList_GET_ITEM(p->classes, i);
        if (call_class_hook(type, name, p->revision) < 0) {
            if (stops) {
                return -1;
            }
            hr_log_exception(p->st, "%s of %R failed", name, type);
        }
    }
    return 0;
}

/* Does the commit change what the instances of a class are? */
static int
is_migrated(struct hr_plan *p, PyTypeObject *type, PyObject *name)
{
    int changed = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->classes) && !changed; i++) {
        PyObject *o = PyList_GET_ITEM(p->classes, i);
        changed = PyType_IsSubtype(type, (PyTypeObject *)o);
    }
    return changed && _PyType_Lookup(type, name) != NULL;
}

/* Each instance once, by the hook that its own class has or inherits. */
static void
migrate(struct hr_plan *p)
{
    PyObject *name = PyUnicode_InternFromString("__hot_reload_migrate__");
    PyObject *gc = NULL, *all = NULL;
    PyTypeObject *last = NULL;
    int wanted = 0;
    for (Py_ssize_t i = 0; name && i < PyList_GET_SIZE(p->classes); i++) {
        wanted |=
            _PyType_Lookup((PyTypeObject *)PyList_GET_ITEM(p->classes, i),
                           name) != NULL;
    }
    if (wanted && (gc = PyImport_ImportModule("gc")) != NULL) {
        all = PyObject_CallMethod(gc, "get_objects", NULL);
    }
    for (Py_ssize_t i = 0; all != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *o = PyList_GET_ITEM(all, i);
        if (Py_TYPE(o) != last) {
            last = Py_TYPE(o);
            wanted = is_migrated(p, last, name);
        }
        if (!wanted) {
            continue;
        }
        PyObject *hook = PyObject_GetAttr((PyObject *)last, name);
        PyObject *result =
            hook ? PyObject_CallFunctionObjArgs(hook, o, NULL) : NULL;
        Py_XDECREF(hook);
        if (result == NULL) {
            hr_log_exception(p->st, "__hot_reload_migrate__ of %R failed",
                             last);
        }
        Py_XDECREF(result);
    }
    Py_XDECREF(all);
    Py_XDECREF(gc);
    Py_XDECREF(name);
    PyErr_Clear();
}

/* -- After the commit ----------------------------------------------------- */

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

/* linecache has the old text: let it read again. */
static void
refresh_linecache(struct hr_plan *p)
{
    PyObject *module = PyImport_ImportModule("linecache");
    PyObject *cache = module ? PyObject_GetAttrString(module, "cache") : NULL;
    for (size_t i = 0; cache != NULL && i < p->unit_count; i++) {
        if (PyMapping_HasKey(cache, p->units[i].filename)) {
            (void)PyObject_DelItem(cache, p->units[i].filename);
        }
        PyErr_Clear();
    }
    PyErr_Clear();
    Py_XDECREF(cache);
    Py_XDECREF(module);
}

static void
finish(struct hr_plan *p)
{
    hr_revision *r = (hr_revision *)p->revision;
    hr_journal_notify(p->j);
    for (size_t i = 0; i < p->unit_count; i++) {
        struct hr_lines lines;
        int more = find_moves(&p->units[i], &lines);
        if (more == 0 && lines.count > 0) {
            while ((more = move_lines(p, &lines)) > 0) {
                hr_gil_pause();
            }
        }
        p->whole = 0;
        let_others_run(p);
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
    }
    refresh_linecache(p);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->after); i++) {
        PyObject *result = PyObject_CallNoArgs(PyList_GET_ITEM(p->after, i));
        if (result == NULL) {
            hr_log_exception(p->st, "%R failed", PyList_GET_ITEM(p->after, i));
        }
        Py_XDECREF(result);
    }
    if (hr_evaluate_substitute_leaked(p) < 0) {
        PyErr_Clear();
    }
    migrate(p);
    (void)call_hooks(p, "__hot_reload_after__", 0);
    r->journal = p->j;
    r->undoable = 1;
    p->j = NULL;
}

static int
report_partial(struct hr_plan *p)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(p->partial); i++) {
        PyObject *entry = PyList_GET_ITEM(p->partial, i);
        PyObject *sentence = PyTuple_GET_ITEM(entry, 1);
        hr_log(p->st, HR_SAY_WARNING, "%U", sentence);
        if (add_refusal(p, NULL, PyTuple_GET_ITEM(entry, 2),
                        PyLong_AsLong(PyTuple_GET_ITEM(entry, 3)),
                        PyUnicode_AsUTF8(PyTuple_GET_ITEM(entry, 0)),
                        sentence) < 0) {
            return -1;
        }
    }
    return 0;
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
            status = add_unit(p, &p->files[i], PyList_GET_ITEM(modules, k));
        }
        if (status == 0 && PyList_GET_SIZE(modules) == 0 &&
            hr_source_lost_module(p->files[i].source) != NULL) {
            status = hr_plan_refuse(
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
    if (order_units(p) < 0) {
        return -1;
    }
    for (size_t i = 0; i < p->unit_count; i++) {
        *at = &p->units[i];
        point_at(*at);
        if (plan_unit(&p->units[i]) < 0) {
            return -1;
        }
        if (i + 1 < p->unit_count) {
            let_others_run(p);
        }
    }
    *at = NULL;
    if (hr_evaluate_end(p) < 0) {
        return -1;
    }
    for (size_t i = 0; i < p->unit_count; i++) {
        if (plan_values(&p->units[i]) < 0) {
            return -1;
        }
    }
    if (hr_derive(p) < 0 || hr_closure_follow(p, p->j) < 0) {
        return -1;
    }
    if (p->st->next_commit != p->commit && p->whole < AGAIN) {
        return 1;
    }
    return call_hooks(p, "__hot_reload_before__", 1);
}

static void
clear_plan(struct hr_plan *p)
{
    for (size_t i = 0; i < p->unit_count; i++) {
        clear_unit(&p->units[i]);
    }
    for (size_t i = 0; i < p->file_count; i++) {
        free(p->files[i].text);
        hr_blocks_clear(&p->files[i].blocks);
        Py_XDECREF(p->files[i].shown);
        Py_XDECREF(p->files[i].path);
    }
    for (size_t i = 0; i < p->pair_count; i++) {
        Py_DECREF(p->pairs[i].new);
        Py_DECREF(p->pairs[i].kept);
    }
    PyMem_Free(p->pairs);
    PyMem_Free(p->units);
    PyMem_Free(p->files);
    hr_journal_free(p->st, p->j);
    Py_XDECREF(p->after);
    Py_XDECREF(p->classes);
    Py_XDECREF(p->made);
    Py_XDECREF(p->partial);
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
    p.files = PyMem_Calloc(count, sizeof *p.files);
    p.file_count = count;
    p.after = PyList_New(0);
    p.classes = PyList_New(0);
    p.made = PySet_New(NULL);
    p.partial = PyList_New(0);
    p.j = hr_journal_new();
    if (p.files == NULL || p.after == NULL || p.classes == NULL ||
        p.made == NULL || p.partial == NULL || p.j == NULL) {
        PyErr_NoMemory();
        p.file_count = p.files == NULL ? 0 : count;
        goto done;
    }
    status = make_plan(&p, changes, count, &at);
    hr_evaluate_abandon(&p);
    if (status == 1) {
        /* Rare enough to plan it all again, now in one go. */
        int whole = p.whole + 1;
        clear_plan(&p);
        p = (struct hr_plan){.st = st, .revision = revision, .whole = whole};
        status = -1;
        if (PyList_SetSlice(r->files, 0, PY_SSIZE_T_MAX, NULL) == 0 &&
            PyList_SetSlice(r->edits, 0, PY_SSIZE_T_MAX, NULL) == 0) {
            goto again;
        }
    }
    if (status == 0) {
        r->planned_ns = hr_clock_ns(CLOCK_MONOTONIC);
        status = hr_journal_swap(p.j);
    }
    r->live_ns = hr_clock_ns(CLOCK_MONOTONIC);
    r->wall = (double)hr_clock_ns(CLOCK_REALTIME) / 1e9;
    if (status == 0) {
        r->ok = 1;
        finish(&p);
        status = report_partial(&p);
    }
    else {
        if (!p.refused) {
            refuse_exception(&p, at);
        }
        status = PyErr_Occurred() ? -1 : 0;
    }
done:
    r->at = NULL;
    clear_plan(&p);
    return status;
}
