/* Exchange of function bodies.
 *
 * The body of a function is all that decides what a call does: code, globals,
 * builtins, closure, defaults, keyword defaults, and what tools show of it:
 * annotations, doc, dict, type parameters.  Name, qualified name, module,
 * weak references and above all the identity are not part of it.
 *
 * A body that is not in force lives in another function object, its *holder*.
 * hr_function_exchange() swaps the bodies of a function and a holder.  It
 * writes the fields directly: the setters run audit hooks and watchers, refuse
 * other numbers of free variables, warn about other kinds, and on 3.13 leave a
 * function that is never specialised again.
 *
 * Versions.  From 3.11 on call sites are specialised for a function's
 * func_version and then trust the code they saw, so a version must never be
 * left on a function whose body went.  Both versions are cleared (through
 * PyFunction_SetVectorcall() from 3.12 on, which also empties the
 * interpreter's version cache) and travel with their bodies: a version vouches
 * for a body, and the exchanged function is called as fast as one that was
 * defined so.
 *
 * Retired bodies.  From 3.11 on a frame borrows globals and builtins from its
 * function.  A suspended generator of an exchanged function would read freed
 * memory once the old globals are gone, so a holder whose globals differ from
 * the function's is not released but retired, until its code object is
 * referenced by functions only: frames and generators hold a reference, too.
 */
#include "core.h"

#define AS_FUNCTION(o) ((PyFunctionObject *)(o))

static void
swap_objects(PyObject **a, PyObject **b)
{
    PyObject *t = *a;
    *a = *b;
    *b = t;
}

/* -- Clone ---------------------------------------------------------------- */

/* f's closure with the `__class__` cell that holds `from` replaced. */
static PyObject *
map_closure(PyFunctionObject *f, PyObject *from, PyObject *cell)
{
    Py_ssize_t n = PyTuple_GET_SIZE(f->func_closure);
    PyObject *names = hr_compat_freevars((PyCodeObject *)f->func_code);
    PyObject *closure = names != NULL ? PyTuple_New(n) : NULL;
    if (closure == NULL) {
        Py_XDECREF(names);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *old = PyTuple_GET_ITEM(f->func_closure, i);
        PyObject *name = PyTuple_GET_ITEM(names, i);
        int maps = cell != NULL && hr_compat_cell_peek(old) == from &&
                   PyUnicode_CompareWithASCIIString(name, "__class__") == 0;
        PyTuple_SET_ITEM(closure, i, Py_NewRef(maps ? cell : old));
    }
    Py_DECREF(names);
    return closure;
}

PyObject *
hr_function_clone(PyObject *source, PyObject *from, PyObject *cell)
{
    PyFunctionObject *f = AS_FUNCTION(source);
    PyFunctionObject *clone = AS_FUNCTION(PyFunction_NewWithQualName(
        f->func_code, f->func_globals, f->func_qualname));
    if (clone == NULL) {
        return NULL;
    }
    Py_XSETREF(clone->func_name, Py_NewRef(f->func_name));
    Py_XSETREF(clone->func_module, Py_XNewRef(f->func_module));
#ifdef HR_FUNCTION_HAS_BUILTINS
    Py_XSETREF(clone->func_builtins, Py_XNewRef(f->func_builtins));
#endif
    Py_XSETREF(clone->func_doc, Py_XNewRef(f->func_doc));
    Py_XSETREF(clone->func_defaults, Py_XNewRef(f->func_defaults));
    Py_XSETREF(clone->func_kwdefaults, Py_XNewRef(f->func_kwdefaults));
    Py_XSETREF(clone->func_annotations, Py_XNewRef(f->func_annotations));
#ifdef HR_FUNCTION_HAS_ANNOTATE
    Py_XSETREF(clone->func_annotate, Py_XNewRef(f->func_annotate));
#endif
#ifdef HR_FUNCTION_HAS_TYPEPARAMS
    Py_XSETREF(clone->func_typeparams, Py_XNewRef(f->func_typeparams));
#endif
    if (f->func_closure != NULL) {
        PyObject *closure = map_closure(f, from, cell);
        if (closure == NULL) {
            goto error;
        }
        Py_XSETREF(clone->func_closure, closure);
    }
    if (f->func_dict != NULL) {
        PyObject *dict = PyDict_Copy(f->func_dict);
        if (dict == NULL) {
            goto error;
        }
        Py_XSETREF(clone->func_dict, dict);
    }
    clone->vectorcall = f->vectorcall;
#ifdef HR_FUNCTION_HAS_VERSION
    clone->func_version = f->func_version;
#endif
    return (PyObject *)clone;
error:
    Py_DECREF(clone);
    return NULL;
}

void
hr_function_set_code(PyObject *holder, PyObject *code)
{
    PyFunctionObject *f = AS_FUNCTION(holder);
#if PY_VERSION_HEX >= 0x030C0000
    /* As MAKE_FUNCTION does.  0 stays 0: the program has given this function
     * other defaults than those of the same code have, and call sites trust
     * the version for how many there are. */
    uint32_t version =
        f->func_version ? ((PyCodeObject *)code)->co_version : 0;
    PyFunction_SetVectorcall(f, f->vectorcall);
    f->func_version = version;
#elif defined(HR_FUNCTION_HAS_VERSION)
    f->func_version = 0;
#endif
    Py_SETREF(f->func_code, Py_NewRef(code));
}

void
hr_function_share_dict(PyObject *holder, PyObject *f)
{
    Py_XSETREF(AS_FUNCTION(holder)->func_dict,
               Py_XNewRef(AS_FUNCTION(f)->func_dict));
}

/* Holders are known by their name, which is no part of a body: whoever
 * searches the heap for live functions passes them over. */
static PyObject *
get_mark(void)
{
    return PyUnicode_InternFromString("<hot_reload holder>");
}

void
hr_function_mark_holder(PyObject *holder)
{
    PyObject *mark = get_mark();
    if (mark == NULL) {
        PyErr_Clear(); /* it may be taken for a live one: no harm is done */
        return;
    }
    Py_SETREF(AS_FUNCTION(holder)->func_name, mark);
}

int
hr_function_is_holder(PyObject *function)
{
    PyObject *mark = get_mark();
    int is = AS_FUNCTION(function)->func_name == mark;
    Py_XDECREF(mark);
    PyErr_Clear();
    return is;
}

/* -- Exchange ------------------------------------------------------------- */

void
hr_function_exchange(PyObject *function, PyObject *holder)
{
    PyFunctionObject *a = AS_FUNCTION(function);
    PyFunctionObject *b = AS_FUNCTION(holder);
#ifdef HR_FUNCTION_HAS_VERSION
    uint32_t version_a = a->func_version, version_b = b->func_version;
#if PY_VERSION_HEX >= 0x030C0000
    PyFunction_SetVectorcall(a, a->vectorcall);
    PyFunction_SetVectorcall(b, b->vectorcall);
#endif
#endif
    swap_objects(&a->func_code, &b->func_code);
    swap_objects(&a->func_globals, &b->func_globals);
#ifdef HR_FUNCTION_HAS_BUILTINS
    swap_objects(&a->func_builtins, &b->func_builtins);
#endif
    swap_objects(&a->func_defaults, &b->func_defaults);
    swap_objects(&a->func_kwdefaults, &b->func_kwdefaults);
    swap_objects(&a->func_closure, &b->func_closure);
    swap_objects(&a->func_doc, &b->func_doc);
    swap_objects(&a->func_dict, &b->func_dict);
    swap_objects(&a->func_annotations, &b->func_annotations);
#ifdef HR_FUNCTION_HAS_ANNOTATE
    swap_objects(&a->func_annotate, &b->func_annotate);
#endif
#ifdef HR_FUNCTION_HAS_TYPEPARAMS
    swap_objects(&a->func_typeparams, &b->func_typeparams);
#endif
    vectorcallfunc vectorcall = a->vectorcall;
    a->vectorcall = b->vectorcall;
    b->vectorcall = vectorcall;
#ifdef HR_FUNCTION_HAS_VERSION
    a->func_version = version_b;
    b->func_version = version_a;
#endif
}

#ifdef HR_HAS_MONITORING
/* Local events of debuggers and coverage tools are stored with the code. */
static int
carry_events(PyObject *monitoring, int tool, PyObject *from, PyObject *to)
{
    PyObject *name = PyObject_CallMethod(monitoring, "get_tool", "i", tool);
    if (name == NULL) {
        return -1;
    }
    int used = name != Py_None;
    Py_DECREF(name);
    if (!used) {
        return 0;
    }
    PyObject *events =
        PyObject_CallMethod(monitoring, "get_local_events", "iO", tool, from);
    if (events == NULL) {
        return -1;
    }
    int status = PyObject_IsTrue(events);
    if (status == 1) {
        /* `to` may have some of its own. */
        PyObject *own = PyObject_CallMethod(monitoring, "get_local_events",
                                            "iO", tool, to);
        PyObject *all = own ? PyNumber_Or(own, events) : NULL;
        PyObject *done =
            all ? PyObject_CallMethod(monitoring, "set_local_events", "iOO",
                                      tool, to, all)
                : NULL;
        status = done == NULL ? -1 : 0;
        Py_XDECREF(done);
        Py_XDECREF(all);
        Py_XDECREF(own);
    }
    Py_DECREF(events);
    return status;
}
#endif

int
hr_function_prepare(PyObject *function, PyObject *holder)
{
#ifdef HR_HAS_MONITORING
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *from = AS_FUNCTION(function)->func_code;
    PyObject *to = AS_FUNCTION(holder)->func_code;
    if (monitoring == NULL || from == to) {
        return 0;
    }
    for (int tool = 0; tool <= 5; tool++) {
        if (carry_events(monitoring, tool, from, to) < 0) {
            return -1;
        }
    }
#else
    (void)function;
    (void)holder;
#endif
    return 0;
}

void
hr_function_notify(PyObject *function)
{
    PyFunctionObject *f = AS_FUNCTION(function);
    PyObject *code = Py_NewRef(f->func_code);
#if PY_VERSION_HEX >= 0x030C0000
    /* Setting __code__ to itself calls watchers and audit hooks; the version
     * that it clears is still right, unless a hook set something else. */
    uint32_t version = f->func_version;
    int failed = PyObject_SetAttrString(function, "__code__", code) < 0;
    if (f->func_code == code && f->func_version == 0) {
        f->func_version = version;
    }
#else
    int failed = PySys_Audit("object.__setattr__", "OsO", function, "__code__",
                             code) < 0;
#endif
    if (failed) {
        PyErr_WriteUnraisable(function);
    }
    Py_DECREF(code);
}

/* -- Retired bodies ------------------------------------------------------- */

#ifdef HR_FRAMES_BORROW_GLOBALS

/* References to a code object that are none of a frame's.  Each is counted
 * once, whatever number of ways leads to it: one too many and a frame that
 * still runs would look like none.  When in doubt: not counted, and the body
 * is kept. */
struct references {
    PyObject *code; /* borrowed */
    Py_ssize_t count;
    PyObject *seen[32]; /* borrowed: functions and tuples of constants */
    int seen_count;
};

static void
count_reference(struct references *r, PyObject *holder, Py_ssize_t count)
{
    for (int i = 0; i < r->seen_count; i++) {
        if (r->seen[i] == holder) {
            return;
        }
    }
    if (r->seen_count < (int)Py_ARRAY_LENGTH(r->seen)) {
        r->seen[r->seen_count++] = holder;
        r->count += count;
    }
}

/* The code of a nested function is a constant of the code around it. */
static void
count_constants(struct references *r, PyObject *code, int depth)
{
    PyObject *constants = ((PyCodeObject *)code)->co_consts;
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constants); i++) {
        PyObject *constant = PyTuple_GET_ITEM(constants, i);
        if (constant == r->code) {
            found++;
        }
        else if (depth > 0 && PyCode_Check(constant)) {
            count_constants(r, constant, depth - 1);
        }
    }
    if (found > 0) {
        count_reference(r, constants, found);
    }
}

static void
count_function(struct references *r, PyObject *function)
{
    if (AS_FUNCTION(function)->func_code == r->code) {
        count_reference(r, function, 1);
    }
    count_constants(r, AS_FUNCTION(function)->func_code, 8);
}

static void
count_dict(struct references *r, PyObject *dict, int depth)
{
    PyObject *key, *value;
    Py_ssize_t pos = 0;
    while (PyDict_Next(dict, &pos, &key, &value)) {
        if (PyFunction_Check(value)) {
            count_function(r, value);
        }
        else if (depth > 0 && PyType_Check(value) && hr_class_is_open(value)) {
            count_dict(r, hr_compat_type_dict((PyTypeObject *)value),
                       depth - 1);
        }
    }
}

/* Are all references to the holder's code those of functions and constants?
 * `functions` (NULL: only what the names of its module hold) is a list of
 * objects, the functions of its module among them. */
static int
is_at_rest(PyFunctionObject *holder, PyObject *functions)
{
    struct references r = {.code = holder->func_code};
    if (functions == NULL) {
        count_reference(&r, (PyObject *)holder, 1);
        if (Py_REFCNT(r.code) > r.count) {
            count_dict(&r, holder->func_globals, 1);
        }
        return Py_REFCNT(r.code) <= r.count;
    }
    /* No object is in there twice, so any number of them can be counted. */
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(functions); i++) {
        PyObject *o = PyList_GET_ITEM(functions, i);
        if (PyFunction_Check(o) &&
            AS_FUNCTION(o)->func_globals == holder->func_globals) {
            r.count += AS_FUNCTION(o)->func_code == r.code;
            count_constants(&r, AS_FUNCTION(o)->func_code, 8);
        }
    }
    return Py_REFCNT(r.code) <= r.count;
}

/* All functions of the modules of the retired bodies, and whatever else
 * refers to those.  A walk over the heap. */
static PyObject *
find_functions(struct hr_state *st)
{
    Py_ssize_t n = PyList_GET_SIZE(st->retired);
    PyObject *globals = PyTuple_New(n);
    for (Py_ssize_t i = 0; globals != NULL && i < n; i++) {
        PyObject *holder = PyList_GET_ITEM(st->retired, i);
        PyTuple_SET_ITEM(globals, i,
                         Py_NewRef(AS_FUNCTION(holder)->func_globals));
    }
    PyObject *gc = globals ? PyImport_ImportModule("gc") : NULL;
    PyObject *find = gc ? PyObject_GetAttrString(gc, "get_referrers") : NULL;
    PyObject *found = find ? PyObject_Call(find, globals, NULL) : NULL;
    Py_XDECREF(find);
    Py_XDECREF(gc);
    Py_XDECREF(globals);
    return found;
}

/* Is a body with the same code, globals and builtins kept already?  Then so
 * is all that a frame of this one borrows. */
static int
is_retired(struct hr_state *st, PyFunctionObject *holder)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->retired); i-- > 0;) {
        PyFunctionObject *f = AS_FUNCTION(PyList_GET_ITEM(st->retired, i));
        if (f->func_code == holder->func_code &&
            f->func_globals == holder->func_globals &&
            f->func_builtins == holder->func_builtins) {
            return 1;
        }
    }
    return 0;
}

static void
release_at_rest(struct hr_state *st, PyObject *functions)
{
    for (Py_ssize_t i = PyList_GET_SIZE(st->retired); i-- > 0;) {
        PyObject *holder = PyList_GET_ITEM(st->retired, i);
        if (is_at_rest(AS_FUNCTION(holder), functions) &&
            PyList_SetSlice(st->retired, i, i + 1, NULL) < 0) {
            PyErr_Clear();
            return;
        }
        /* Releasing may run code that clears the state or the list. */
        if (st->retired == NULL || i > PyList_GET_SIZE(st->retired)) {
            return;
        }
    }
}
#endif

void
hr_function_retire(struct hr_state *st, PyObject *holder)
{
#ifdef HR_FRAMES_BORROW_GLOBALS
    /* Trampolines: their globals are ours and stay. */
    if (Py_REFCNT(holder) == 1 && st != NULL && st->retired != NULL &&
        AS_FUNCTION(holder)->func_globals != st->trampolines &&
        !is_at_rest(AS_FUNCTION(holder), NULL) &&
        !is_retired(st, AS_FUNCTION(holder))) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (PyList_Append(st->retired, holder) < 0) {
            /* Better lose a little memory than read what was freed. */
            PyErr_Clear();
            Py_INCREF(holder);
        }
        PyErr_Restore(type, value, traceback);
    }
#else
    (void)st;
#endif
    Py_DECREF(holder);
}

/* `fully`: with a walk over the heap.  Else only when the list has doubled
 * since the last one, so that walks cost little and memory stays bounded. */
void
hr_function_sweep(struct hr_state *st, int fully)
{
#ifdef HR_FRAMES_BORROW_GLOBALS
    if (st == NULL || st->retired == NULL ||
        PyList_GET_SIZE(st->retired) == 0) {
        return;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    release_at_rest(st, NULL);
    if (st->retired != NULL &&
        (fully || PyList_GET_SIZE(st->retired) >
                      2 * st->retired_after_walk + HR_RETIRED_SLACK)) {
        PyObject *functions = find_functions(st);
        if (functions != NULL) {
            release_at_rest(st, functions);
            Py_DECREF(functions);
        }
        PyErr_Clear();
        if (st->retired != NULL) {
            st->retired_after_walk = PyList_GET_SIZE(st->retired);
        }
    }
    PyErr_Restore(type, value, traceback);
#else
    (void)st;
    (void)fully;
#endif
}

/* -- Trampolines ---------------------------------------------------------- */

static const char trampoline_source[] =
    "def plain(target):\n"
    "    def call(*args, **kwargs):\n"
    "        return target(*args, **kwargs)\n"
    "    return call\n"
    "def generator(target):\n"
    "    def call(*args, **kwargs):\n"
    "        return (yield from target(*args, **kwargs))\n"
    "    return call\n"
    "def coroutine(target):\n"
    "    async def call(*args, **kwargs):\n"
    "        return await target(*args, **kwargs)\n"
    "    return call\n"
    "def asyncgen(target):\n"
    "    async def call(*args, **kwargs):\n"
    "        async for item in target(*args, **kwargs):\n"
    "            yield item\n"
    "    return call\n"
    "def unbound(target):\n"
    "    def call(self, *args, **kwargs):\n"
    "        return target(*args, **kwargs)\n"
    "    return call\n";

/* Which of the makers above; looks through methods, partials and __call__.
 * NULL with an exception only when memory ran out. */
static const char *
get_kind(PyObject *target)
{
    for (int depth = 0; depth < 8; depth++) {
        if (PyMethod_Check(target)) {
            target = PyMethod_GET_FUNCTION(target);
            continue;
        }
        if (PyFunction_Check(target)) {
            int flags =
                ((PyCodeObject *)AS_FUNCTION(target)->func_code)->co_flags;
            return flags & CO_ASYNC_GENERATOR ? "asyncgen"
                   : flags & CO_COROUTINE     ? "coroutine"
                   : flags & CO_GENERATOR     ? "generator"
                                              : "plain";
        }
        PyTypeObject *type = Py_TYPE(target);
        PyObject *inner = NULL;
        if (strcmp(type->tp_name, "functools.partial") == 0) {
            inner = PyObject_GetAttrString(target, "func");
        }
        else if (!PyType_Check(target) &&
                 PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
            inner = PyObject_GetAttrString((PyObject *)type, "__call__");
            if (inner != NULL && !PyFunction_Check(inner)) {
                Py_CLEAR(inner);
            }
        }
        if (inner == NULL) {
            PyErr_Clear();
            return "plain";
        }
        /* `target`, which the caller holds, keeps it alive. */
        Py_DECREF(inner);
        target = inner;
    }
    return "plain";
}

static PyObject *
call_maker(struct hr_state *st, const char *kind, PyObject *target)
{
    if (st->trampolines == NULL) {
        PyObject *globals = Py_BuildValue("{s:s}", "__name__", "hot_reload");
        PyObject *code =
            Py_CompileString(trampoline_source, "<hot_reload>", Py_file_input);
        PyObject *done = NULL;
        if (globals != NULL && code != NULL &&
            PyDict_SetItemString(globals, "__builtins__",
                                 PyEval_GetBuiltins()) == 0) {
            done = PyEval_EvalCode(code, globals, globals);
        }
        Py_XDECREF(code);
        if (done == NULL) {
            Py_XDECREF(globals);
            if (!PyErr_Occurred()) {
                PyErr_NoMemory(); /* the compiler does not always say so */
            }
            return NULL;
        }
        Py_DECREF(done);
        st->trampolines = globals;
    }
    PyObject *maker = PyDict_GetItemString(st->trampolines, kind);
    return maker == NULL ? PyErr_NoMemory()
                         : PyObject_CallFunctionObjArgs(maker, target, NULL);
}

PyObject *
hr_function_trampoline(struct hr_state *st, PyObject *target)
{
    PyObject *f = call_maker(st, get_kind(target), target);
    if (f == NULL) {
        return NULL;
    }
    /* inspect.signature() follows __wrapped__. */
    PyObject *dict = Py_BuildValue("{s:O}", "__wrapped__", target);
    if (dict == NULL) {
        Py_DECREF(f);
        return NULL;
    }
    Py_XSETREF(AS_FUNCTION(f)->func_dict, dict);
    PyObject *doc = PyObject_GetAttrString(target, "__doc__");
    if (doc == NULL) {
        PyErr_Clear();
        return f;
    }
    Py_XSETREF(AS_FUNCTION(f)->func_doc, doc);
    return f;
}

PyObject *
hr_function_without_self(struct hr_state *st, PyObject *target)
{
    return call_maker(st, "unbound", target);
}
