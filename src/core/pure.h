/* Expressions and statements without an effect: for pure.c and expression.c.
 */
#ifndef HR_PURE_H
#define HR_PURE_H

#include "code.h"

/* What an expression gives.  Of an ITEM only operators and the methods of
 * texts are used; an OBJECT is only passed on. */
enum hr_kind { HR_KIND_IMPURE, HR_KIND_OBJECT, HR_KIND_ITEM, HR_KIND_VALUE };

struct hr_look {
    const struct hr_world *world;
    PyObject *bound; /* owned: list of names bound in the tree itself */
    PyObject *loops; /* owned, or NULL: name of a loop over an enumeration, to
                        a member of that */
};

/* These set no exception that counts.  *object (borrowed): what a name or
 * attribute leads to, where that is known; left alone otherwise. */
enum hr_kind hr_expression_look(struct hr_look *w, PyObject *node,
                                PyObject **object);
enum hr_kind hr_expression_look_at_field(struct hr_look *w, PyObject *node,
                                         const char *field);
/* The weakest of all; operands are what an operator or a call uses. */
enum hr_kind hr_expression_look_at_list(struct hr_look *w, PyObject *list,
                                        int operands);
enum hr_kind hr_expression_look_at_name(struct hr_look *w, PyObject *node,
                                        PyObject **object);
/* Names that an assignment or a loop binds; 0 when it stores elsewhere. */
int hr_expression_bind_targets(struct hr_look *w, PyObject *target,
                               PyObject *names);

#endif /* HR_PURE_H */
