/* Statements that did not change and run again, as another one did.
 *
 * A name can be bound by several statements, each of which may build upon the
 * one before: `X += 1`, `D["a"] = 1`, `@p.setter`, `app = wrap(app)`.  Where
 * one of them has run and the name holds something new, those after it that
 * build upon it, or add to the new object, run again; one that binds the name
 * without reading it gets back what the name held.  Where one that builds has
 * changed, what it builds upon is computed again, if it can be (pure.c).
 *
 * Called by scope.c for each unchanged block, in order.
 */
#include "scope.h"

/* -- Names ---------------------------------------------------------------- */

static int
add_name(PyObject **names, PyObject *name)
{
    if (*names == NULL && (*names = PyDict_New()) == NULL) {
        return -1;
    }
    return PyDict_SetItem(*names, name, Py_None);
}

/* Does the name hold something else than before, while evaluating? */
static int
is_touched(struct hr_scope *s, PyObject *name)
{
    return PyDict_GetItemWithError(s->ns, name) !=
           PyDict_GetItemWithError(s->before, name);
}

static int
has_name(const char *text_a, const struct hr_block *a, const char *text_b,
         const struct hr_block *b)
{
    return a->name_len > 0 && a->name_len == b->name_len &&
           memcmp(text_a + a->name, text_b + b->name, a->name_len) == 0;
}

/* The name as the text has it: in a class it may be mangled.  New reference.
 */
static PyObject *
get_written(struct hr_scope *s, PyObject *name)
{
    PyObject *cls = s->depth > 0 ? s->classes[s->depth - 1] : NULL;
    Py_ssize_t skip = 0, n = cls ? PyUnicode_GET_LENGTH(cls) : 0;
    while (skip < n && PyUnicode_ReadChar(cls, skip) == '_') {
        skip++;
    }
    if (skip == n) {
        return Py_NewRef(name);
    }
    PyObject *bare = PyUnicode_Substring(cls, skip, n);
    PyObject *head = bare ? PyUnicode_FromFormat("_%U__", bare) : NULL;
    PyObject *written = NULL;
    if (head != NULL) {
        Py_ssize_t at = PyUnicode_GET_LENGTH(head) - 2;
        Py_ssize_t is = PyUnicode_Tailmatch(name, head, 0, PY_SSIZE_T_MAX, -1);
        written = is < 0 ? NULL
                  : is   ? PyUnicode_Substring(name, at, PY_SSIZE_T_MAX)
                         : Py_NewRef(name);
    }
    Py_XDECREF(head);
    Py_XDECREF(bare);
    return written;
}

/* -- What can run again --------------------------------------------------- */

/* Can the block be computed again, as the names are now?  -1 with an
 * exception. */
static int
can_rerun(struct hr_scope *s, const struct hr_block *b, int flags)
{
    struct hr_world now = {.globals =
                               s->u->evaluates ? s->u->shadow : s->u->dict};
    PyObject *tree =
        hr_syntax_parse(s->u, s->u->text + b->start, b->end - b->start, "");
    if (s->type != NULL) {
        now.locals = s->ns;
        now.cls = s->classes[s->depth - 1];
    }
    now.lazy = s->u->future & CO_FUTURE_ANNOTATIONS;
    int pure =
        tree == NULL ? -1 : hr_pure_are_statements(&now, tree, flags, NULL);
    Py_XDECREF(tree);
    return pure;
}

/* What a statement of any kind may be made of. */
#define ANYTHING                                                              \
    (HR_PURE_ADDS | HR_PURE_DEFINES | HR_PURE_REPEATS | HR_PURE_SETS)

/* -- Names that changed statements build upon ----------------------------- */

static int
is_builder_kind(const struct hr_block *b)
{
    return b->kind == HR_BLOCK_ASSIGN || b->kind == HR_BLOCK_OTHER ||
           b->kind == HR_BLOCK_COMPOUND;
}

/* Note the names of which a changed block, of either text, adds to the object,
 * and nobody else has. */
static int
note_objects(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    PyObject *names = hr_chain_names(s, text, b, s->before);
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        int known = s->built ? PyDict_Contains(s->built, name) : 0;
        int own = known != 0 ? known : hr_chain_is_own(s, name);
        status = own < 0 ? -1 : own ? add_name(&s->built, name) : 0;
    }
    Py_XDECREF(names);
    return status;
}

/* Note the names that a changed block, of either text, both reads and binds.
 */
static int
note_built(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    PyObject *names = hr_scope_bound_names(s, text, b);
    PyObject *code = names && PyList_GET_SIZE(names) > 0
                         ? hr_scope_compile(s, text, b)
                         : NULL;
    int status = names == NULL ? -1 : 0;
    for (Py_ssize_t i = 0;
         status == 0 && code != NULL && i < PyList_GET_SIZE(names); i++) {
        PyObject *name = PyList_GET_ITEM(names, i);
        int uses = hr_bytecode_uses(code, name);
        status = uses < 0               ? -1
                 : uses & HR_USES_VALUE ? add_name(&s->built, name)
                                        : 0;
    }
    Py_XDECREF(names);
    Py_XDECREF(code);
    if (status == 0) {
        PyErr_Clear(); /* what cannot be compiled says so when it is run */
    }
    return status;
}

/* Note what the i-th block, which has changed, builds upon or adds to, before
 * or now. */
static int
note_changed(struct hr_scope *s, size_t i)
{
    const struct hr_block *new = &s->new->items[i], *old = NULL;
    int k = s->diff.match[i];
    if (k >= 0 && is_builder_kind(&s->old->items[k])) {
        old = &s->old->items[k];
    }
    if (note_built(s, s->u->text, new) < 0 ||
        (old != NULL && note_built(s, s->old_text, old) < 0)) {
        return -1;
    }
    int again = old != NULL ? hr_chain_sets_again(s, old, new) : 0;
    return again != 0 ? again
           : note_objects(s, s->u->text, new) < 0 ||
                   (old != NULL && note_objects(s, s->old_text, old) < 0)
               ? -1
               : 0;
}

int
hr_rerun_begin(struct hr_scope *s)
{
    if (!s->u->evaluates) {
        return 0;
    }
    for (size_t i = 0; i < s->new->count; i++) {
        const struct hr_block *b = &s->new->items[i];
        if (is_builder_kind(b) && hr_scope_is_changed(s, i) &&
            !hr_scope_is_main(s, b) && note_changed(s, i) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < s->old->count; i++) {
        const struct hr_block *b = &s->old->items[i];
        if (!s->diff.used[i] && is_builder_kind(b) &&
            (note_built(s, s->old_text, b) < 0 ||
             note_objects(s, s->old_text, b) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* May all that stands between the i-th block and the next that binds the name
 * afresh run again? */
static int
can_rebuild(struct hr_scope *s, size_t i, PyObject *name, PyObject *written)
{
    for (size_t k = i; k < s->new->count; k++) {
        const struct hr_block *b = &s->new->items[k];
        if ((k != i && hr_scope_is_changed(s, k)) ||
            (b->name_len > 0
                 ? hr_scope_is_named(s, s->u->text, b, name) == 0
                 : !is_builder_kind(b) ||
                       !hr_word_may_be_in(s->u->text + b->start,
                                          b->end - b->start, written))) {
            continue;
        }
        PyObject *code = hr_scope_compile(s, s->u->text, b);
        int uses = code == NULL ? -1 : hr_bytecode_uses(code, name);
        int pure =
            uses < 0 ? -1
            : k != i && uses == HR_USES_BINDS && b->kind != HR_BLOCK_COMPOUND
                ? 2 /* the next */
                : can_rerun(s, b, ANYTHING);
        Py_XDECREF(code);
        if (pure != 1) {
            return pure < 0 ? -1 : pure == 2;
        }
    }
    return 1;
}

/* An assignment or definition that a changed statement builds upon. */
static int
is_base(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    if (s->built == NULL ||
        (b->kind != HR_BLOCK_ASSIGN && b->kind != HR_BLOCK_DEF)) {
        return 0;
    }
    PyObject *name = hr_scope_name(s, s->u->text, b);
    int status = name == NULL ? -1 : PyDict_Contains(s->built, name);
    if (status == 1) {
        PyObject *code = hr_scope_compile(s, s->u->text, b);
        int uses = code == NULL ? -1 : hr_bytecode_uses(code, name);
        status = uses < 0 ? -1 : uses == HR_USES_BINDS;
        Py_XDECREF(code);
    }
    if (status == 1) {
        PyObject *written = get_written(s, name);
        status = written == NULL ? -1 : can_rebuild(s, i, name, written);
        Py_XDECREF(written);
    }
    Py_XDECREF(name);
    return status;
}

/* -- What follows a name that holds something new ------------------------- */

/* The block binds the name without reading it: it holds what it held, if it
 * was this block that bound it. */
static int
give_back(struct hr_scope *s, size_t i, PyObject *name)
{
    int last = hr_scope_last_old(s, name);
    if (last < 0 || last != s->diff.match[i]) {
        return last == -2 ? -1 : 0;
    }
    return hr_scope_set_name(s, name,
                             PyDict_GetItemWithError(s->before, name));
}

int
hr_rerun_give_back(struct hr_scope *s, size_t i, PyObject *name)
{
    if (!is_touched(s, name)) {
        return 0;
    }
    PyObject *code = hr_scope_compile(s, s->u->text, &s->new->items[i]);
    int uses = code == NULL ? -1 : hr_bytecode_uses(code, name);
    Py_XDECREF(code);
    return uses == HR_USES_BINDS ? give_back(s, i, name) : uses < 0 ? -1 : 0;
}

/* `class K(K)`: is it derived from what the name holds now? */
static int
is_derived(struct hr_scope *s, PyObject *name)
{
    PyObject *base = PyDict_GetItemWithError(s->ns, name);
    PyObject *type = PyDict_GetItemWithError(s->before, name);
    return base != NULL && type != NULL && PyType_Check(base) &&
           PyType_Check(type) &&
           PyType_IsSubtype((PyTypeObject *)type, (PyTypeObject *)base);
}

/* What a name holds after an assignment of the old text, in a namespace of its
 * own, where that can be computed.  NULL without an exception where not. */
static PyObject *
compute_old(struct hr_scope *s, const struct hr_block *b, PyObject *name)
{
    struct hr_world then = {.globals = s->u->dict, .lazy = 1};
    PyObject *tree = b->kind == HR_BLOCK_ASSIGN
                         ? hr_syntax_parse(s->u, s->old_text + b->start,
                                           b->end - b->start, "")
                         : NULL;
    PyObject *code = NULL, *ns = NULL, *done = NULL, *value = NULL;
    if (s->type != NULL) {
        then.locals = s->before;
        then.cls = s->classes[s->depth - 1];
    }
    if (tree != NULL && hr_pure_are_statements(&then, tree, 0, NULL)) {
        code = hr_scope_compile(s, s->old_text, b);
        ns = code ? PyDict_Copy(s->before) : NULL;
        done = ns ? PyEval_EvalCode(code, s->u->dict, ns) : NULL;
        value = done ? PyDict_GetItemWithError(ns, name) : NULL;
    }
    Py_XINCREF(value);
    Py_XDECREF(done);
    Py_XDECREF(ns);
    Py_XDECREF(code);
    Py_XDECREF(tree);
    return value;
}

/* A compound statement that binds the name, on a condition that cannot be
 * asked again.  When the name does not hold what the old statement before it
 * gave, it has bound it. */
static int
give_back_if_bound(struct hr_scope *s, size_t i, PyObject *name)
{
    int k = s->diff.match[i], binds = 0;
    PyObject *live = PyDict_GetItemWithError(s->before, name);
    while (live != NULL && binds == 0 && --k >= 0) {
        binds = hr_scope_binds(s, s->old_text, &s->old->items[k], name);
    }
    if (live == NULL || binds < 0) {
        return binds;
    }
    PyObject *old = binds ? compute_old(s, &s->old->items[k], name) : NULL;
    if (old == NULL && hr_evaluate_forgive(s->u->plan) < 0) {
        return -1;
    }
    int bound = binds ? old != NULL && !hr_value_still_is(live, old) : 1;
    Py_XDECREF(old);
    return bound ? give_back(s, i, name) : 0;
}

static int
follows_compound(struct hr_scope *s, size_t i, PyObject *name,
                 PyObject *written, int uses)
{
    const struct hr_block *b = &s->new->items[i];
    int builds =
        uses & HR_USES_VALUE &&
        (uses & HR_USES_BINDS || hr_chain_is_about(s->u->text, b, written));
    int status = 0;
    if (uses & HR_USES_BINDS || builds) {
        status = can_rerun(s, b, ANYTHING);
    }
    if (status == 0 && builds) {
        PyObject *tree = hr_syntax_parse(s->u, s->u->text + b->start,
                                         b->end - b->start, "");
        status = tree == NULL ? -1
                 : hr_build_is_all(tree, written)
                     ? 1
                     : hr_hint_builder(s, b, name);
        Py_XDECREF(tree);
    }
    return status == 0 && uses == HR_USES_BINDS
               ? give_back_if_bound(s, i, name)
               : status;
}

int
hr_rerun_registers(struct hr_scope *s, size_t i)
{
    PyObject *name, *none;
    Py_ssize_t pos = 0;
    while (s->bound != NULL && s->new->items[i].decorated &&PyDict_Next(
                                   s->bound, &pos, &name, &none)) {
        if (is_touched(s, name) &&
            !hr_scope_is_named(s, s->u->text, &s->new->items[i], name) &&
            hr_hint_is_registered_on(s, &s->new->items[i], name)) {
            return 1;
        }
    }
    return 0;
}

/* 1 when the i-th block has to run, as `name` holds something new. */
static int
follows(struct hr_scope *s, size_t i, PyObject *name, PyObject *written)
{
    const struct hr_block *b = &s->new->items[i];
    const char *text = s->u->text;
    int named = hr_scope_is_named(s, text, b, name);
    int helper = b->kind == HR_BLOCK_ASSIGN && !named &&
                 PyDict_GetItemWithError(s->before, name) == NULL;
    if (named < 0) {
        return -1;
    }
    if (!named && hr_hint_is_registered_on(s, b, name)) {
        return 1;
    }
    if (!named &&
        ((b->name_len > 0 && !helper) ||
         !hr_word_may_be_in(text + b->start, b->end - b->start, written))) {
        return 0;
    }
    PyObject *code = hr_scope_compile(s, text, b);
    int uses = code == NULL ? -1 : hr_bytecode_uses(code, name);
    int status = uses < 0 ? -1 : 0;
    if (status == 0 && helper) {
        /* It computes from a helper that is deleted further down. */
        status = uses & HR_USES_VALUE ? can_rerun(s, b, HR_PURE_ADDS) : 0;
    }
    else if (status == 0 && uses & HR_USES_DELETES) {
        status = PyDict_Contains(s->ns, name);
    }
    else if (status == 0 && b->kind == HR_BLOCK_COMPOUND) {
        status = follows_compound(s, i, name, written, uses);
    }
    else if (status == 0 && uses & HR_USES_BINDS) {
        status = !(uses & HR_USES_VALUE) ||
                         (b->kind == HR_BLOCK_CLASS && is_derived(s, name))
                     ? give_back(s, i, name)
                     : 1;
    }
    else if (status == 0 && b->kind == HR_BLOCK_OTHER) {
        status = hr_chain_is_about(text, b, written);
    }
    Py_XDECREF(code);
    return status;
}

/* -- Conditions ----------------------------------------------------------- */

/* An `if` of which the condition reads an assignment that changed, and which
 * only defines and assigns. */
static int
is_conditional(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    const char *text = s->u->text;
    int reads = 0;
    if (b->kind != HR_BLOCK_COMPOUND ||
        strncmp(text + b->start, "if", 2) != 0) {
        return 0;
    }
    for (size_t k = 0; k < i && !reads; k++) {
        const struct hr_block *a = &s->new->items[k];
        if (a->kind == HR_BLOCK_ASSIGN && hr_scope_is_changed(s, k)) {
            PyObject *name = hr_scope_name(s, text, a);
            if (name == NULL) {
                return -1;
            }
            reads =
                hr_word_is_in(text + b->start, b->head_end - b->start, name);
            Py_DECREF(name);
        }
    }
    if (!reads) {
        return 0;
    }
    return can_rerun(s, b, HR_PURE_DEFINES);
}

/* -- Places --------------------------------------------------------------- */

/* Blocks of one name exchanged their places: is it this one that counts now?
 */
static int
is_uncovered(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    if (!s->diff.swapped || b->name_len == 0 || b->decorated ||
        s->diff.match[i] < 0) {
        return 0;
    }
    for (size_t k = i + 1; k < s->new->count; k++) {
        if (has_name(s->u->text, b, s->u->text, &s->new->items[k])) {
            return 0;
        }
    }
    for (size_t k = s->old->count; k-- > 0;) {
        if (has_name(s->u->text, b, s->old_text, &s->old->items[k])) {
            return (int)k != s->diff.match[i] && s->diff.used[k];
        }
    }
    return 0;
}

/* Has the assignment before the i-th block run?  It may have given what the
 * name held in the end.  1, 0 or -1. */
static int
is_assigned(struct hr_scope *s, size_t i, PyObject *name)
{
    while (i-- > 0) {
        const struct hr_block *b = &s->new->items[i];
        if (b->name_len > 0 && hr_scope_is_named(s, s->u->text, b, name)) {
            return b->kind == HR_BLOCK_ASSIGN ? hr_hint_has_run(s->u, b) : 0;
        }
    }
    return 0;
}

int
hr_rerun_block(struct hr_scope *s, size_t i)
{
    const struct hr_block *b = &s->new->items[i];
    PyObject *name, *none;
    Py_ssize_t pos = 0;
    if (b->kind == HR_BLOCK_STRING || b->kind == HR_BLOCK_FUTURE) {
        return 0;
    }
    int again = is_uncovered(s, i);
    if (again == 0 && s->u->evaluates) {
        again = is_base(s, i);
        again = again != 0 ? again : is_conditional(s, i);
    }
    while (again == 0 && s->bound != NULL &&
           PyDict_Next(s->bound, &pos, &name, &none)) {
        int touched = is_touched(s, name) ? 1 : is_assigned(s, i, name);
        if (touched != 0) {
            PyObject *written = touched > 0 ? get_written(s, name) : NULL;
            again = written == NULL ? -1 : follows(s, i, name, written);
            Py_XDECREF(written);
        }
    }
    return again;
}
