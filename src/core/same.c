/* Changed statements that mean the same: another layout, other quotes,
 * parentheses, `1_000` for `1000`, another annotation.
 *
 * They are compiled and compared as functions are.  What means the same is not
 * run, so the values that the program has set since stay.
 */
#include "scope.h"

uint32_t
hr_same_find_value(const char *text, const struct hr_block *b)
{
    uint32_t at = b->name + b->name_len;
    int depth = 0;
    while (at < b->end && strchr(" \t\f\\\r\n)", text[at]) != NULL) {
        at++;
    }
    if (at >= b->end || text[at] != ':') {
        return at;
    }
    for (at++; at < b->end; at++) {
        char c = text[at];
        if (c == '\'' || c == '"') {
            uint32_t quotes = 1;
            if (at + 2 < b->end && text[at + 1] == c && text[at + 2] == c) {
                quotes = 3;
            }
            for (at += quotes; at < b->end; at++) {
                if (text[at] == '\\') {
                    at++;
                }
                else if (text[at] == c &&
                         (quotes == 1 ||
                          (at + 2 < b->end && text[at + 1] == c &&
                           text[at + 2] == c))) {
                    at += quotes - 1;
                    break;
                }
            }
        }
        else if (c == '#') {
            while (at + 1 < b->end && text[at + 1] != '\n') {
                at++;
            }
        }
        else if (strchr("([{", c) != NULL) {
            depth++;
        }
        else if (strchr(")]}", c) != NULL) {
            depth--;
        }
        else if (c == '=' && depth == 0) {
            if (at + 1 < b->end && text[at + 1] == '=') {
                at++;
            }
            else if (strchr("!<>", text[at - 1]) == NULL) {
                return at;
            }
        }
    }
    return b->end;
}

int
hr_same_is_annotated(const char *text, const struct hr_block *b)
{
    uint32_t at = b->name + b->name_len, value = hr_same_find_value(text, b);
    return b->name_len > 0 && value > at &&
           memchr(text + at, ':', value - at) != NULL;
}

static PyObject *
compile_block(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    PyObject *code = hr_code_compile(s->u, text + b->start, b->end - b->start,
                                     (int)b->line, s->classes, s->depth);
    PyErr_Clear(); /* what cannot be compiled says so when it is run */
    return code;
}

/* The code of an assignment without its annotation. */
static PyObject *
compile_value(struct hr_scope *s, const char *text, const struct hr_block *b)
{
    uint32_t value = hr_same_find_value(text, b);
    size_t size = b->end - b->start, from = b->name + b->name_len - b->start;
    if (value >= b->end) {
        return NULL;
    }
    char *copy = PyMem_Malloc(size);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, text + b->start, size);
    memset(copy + from, ' ', value - b->start - from);
    PyObject *code =
        hr_code_compile(s->u, copy, size, (int)b->line, s->classes, s->depth);
    PyMem_Free(copy);
    PyErr_Clear();
    return code;
}

static int
is_same(PyObject *a, PyObject *b)
{
    int same = a != NULL && b != NULL ? hr_code_is_same(a, b) : 0;
    Py_XDECREF(a);
    Py_XDECREF(b);
    PyErr_Clear();
    return same == 1;
}

enum hr_meaning
hr_same_meaning(struct hr_scope *s, size_t i)
{
    const struct hr_block *new = &s->new->items[i];
    int k = s->diff.match[i];
    if (k < 0) {
        return HR_MEANS_OTHER;
    }
    const struct hr_block *old = &s->old->items[k];
    if (old->hash == new->hash) {
        return HR_MEANS_SAME;
    }
    if (s->u->source->doubt || old->kind != new->kind ||
        (new->kind != HR_BLOCK_ASSIGN &&new->kind !=
         HR_BLOCK_OTHER &&new->kind != HR_BLOCK_COMPOUND)) {
        return HR_MEANS_OTHER;
    }
    unsigned char *known = &s->diff.meaning[i];
    if (*known == HR_MEANS_UNKNOWN) {
        *known = HR_MEANS_OTHER;
        int annotated = s->u->future_changed &&
                        new->kind == HR_BLOCK_ASSIGN &&hr_same_is_annotated(
                                         s->u->text, new);
        if (!annotated && is_same(compile_block(s, s->old_text, old),
                                  compile_block(s, s->u->text, new))) {
            *known = HR_MEANS_SAME;
        }
        else if (new->kind == HR_BLOCK_ASSIGN &&
                 is_same(compile_value(s, s->old_text, old),
                         compile_value(s, s->u->text, new))) {
            *known = HR_MEANS_SAME_VALUE;
        }
    }
    return (enum hr_meaning) * known;
}
