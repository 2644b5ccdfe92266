/* What a journal is made of: for journal.c and place.c. */
#ifndef HR_JOURNAL_H
#define HR_JOURNAL_H

#include "core.h"

struct hr_swap {
    enum hr_place place;
    PyObject *owner; /* owned */
    PyObject *key;   /* owned, or NULL */
    PyObject *value; /* owned, or NULL: nothing there */
    PyObject *put;   /* owned, of a gentle journal: what it puts there */
    int lost;        /* the program has set the place since: it is its own */
};

struct hr_journal {
    struct hr_swap *swaps;
    size_t count, capacity;
    /* Places by their hash: 1 + the number of a swap, 0 for none.  Only an
     * aid: made when it is asked for, brought up to date, dropped when swaps
     * move. */
    size_t *index; /* owned, or NULL */
    size_t slots, indexed;
    int done;
    int gentle;           /* see hr_journal_set_gentle() */
    int notifying, freed; /* hooks run meanwhile, and may free it */
    struct hr_state *freed_by;
};

/* The index is wrong from now on: swaps move, or go. */
void hr_place_forget(struct hr_journal *j);

#endif /* HR_JOURNAL_H */
