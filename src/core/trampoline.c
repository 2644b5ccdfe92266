/* Functions that call something else.
 *
 * Only a function's body can be taken, so a callable that is none is wrapped
 * in a function of the same kind (plain, generator, coroutine, asynchronous
 * generator), which tools see through.  They are made by Python code, run once
 * in globals of our own, which stay for as long as the module does.
 *
 * For whoever plans that a callable takes a function's place.
 */
#include "core.h"

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
    "        inner = target(*args, **kwargs)\n"
    "        step = inner.__anext__()\n"
    "        while True:\n"
    "            try:\n"
    "                item = await step\n"
    "            except StopAsyncIteration:\n"
    "                return\n"
    "            try:\n"
    "                sent = yield item\n"
    "            except GeneratorExit:\n"
    "                await inner.aclose()\n"
    "                raise\n"
    "            except BaseException as error:\n"
    "                step = inner.athrow(error)\n"
    "            else:\n"
    "                step = (inner.__anext__() if sent is None\n"
    "                        else inner.asend(sent))\n"
    "    return call\n"
    "def unbound(target):\n"
    "    def call(self, *args, **kwargs):\n"
    "        return target(*args, **kwargs)\n"
    "    return call\n";

int
hr_trampoline_is_partial(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    while (type != NULL && strcmp(type->tp_name, "functools.partial") != 0) {
        type = type->tp_base;
    }
    return type != NULL;
}

/* What the object calls: its function, or the class's.  A new reference, or
 * NULL without an exception. */
static PyObject *
get_called(PyObject *o)
{
    PyObject *inner = NULL;
    if (PyMethod_Check(o)) {
        return Py_NewRef(PyMethod_GET_FUNCTION(o));
    }
    if (hr_trampoline_is_partial(o)) {
        inner = PyObject_GetAttrString(o, "func");
    }
    else if (!PyType_Check(o) &&
             PyType_HasFeature(Py_TYPE(o), Py_TPFLAGS_HEAPTYPE)) {
        inner = PyObject_GetAttrString((PyObject *)Py_TYPE(o), "__call__");
        if (inner != NULL && !PyFunction_Check(inner)) {
            Py_CLEAR(inner);
        }
    }
    PyErr_Clear();
    return inner;
}

/* Which of the makers above; looks through methods, partials and __call__. */
static const char *
get_kind(PyObject *target)
{
    PyObject *o = Py_NewRef(target);
    int flags = 0;
    for (int depth = 0; o != NULL && depth < 8; depth++) {
        if (PyFunction_Check(o)) {
            flags = ((PyCodeObject *)HR_AS_FUNCTION(o)->func_code)->co_flags;
            break;
        }
        Py_SETREF(o, get_called(o));
    }
    Py_XDECREF(o);
    return flags & CO_ASYNC_GENERATOR ? "asyncgen"
           : flags & CO_COROUTINE     ? "coroutine"
           : flags & CO_GENERATOR     ? "generator"
                                      : "plain";
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
hr_trampoline_new(struct hr_state *st, PyObject *target)
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
    Py_XSETREF(HR_AS_FUNCTION(f)->func_dict, dict);
    PyObject *doc = PyObject_GetAttrString(target, "__doc__");
    if (doc == NULL) {
        PyErr_Clear();
        return f;
    }
    Py_XSETREF(HR_AS_FUNCTION(f)->func_doc, doc);
    return f;
}

PyObject *
hr_trampoline_without_self(struct hr_state *st, PyObject *target)
{
    return call_maker(st, "unbound", target);
}
