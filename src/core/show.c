/* The text that linecache has for a file, which tracebacks and inspect show:
 * what runs, not what is on the disk.
 *
 * Only for show: none of these fails, and none leaves an exception.
 */
#include "core.h"

static PyObject *
get_cache(void)
{
    PyObject *linecache = PyImport_ImportModule("linecache");
    PyObject *cache =
        linecache ? PyObject_GetAttrString(linecache, "cache") : NULL;
    Py_XDECREF(linecache);
    return cache;
}

void
hr_show_text(PyObject *filename, PyObject *text)
{
    PyObject *cache = get_cache();
    PyObject *io = PyImport_ImportModule("io");
    PyObject *raw = NULL, *wrapper = NULL, *lines = NULL, *entry = NULL;
    PyObject *tokenize = PyImport_ImportModule("tokenize");
    PyObject *encoding = NULL, *readline = NULL;
    if (cache == NULL || io == NULL || tokenize == NULL) {
        goto done;
    }
    if (PyUnicode_Check(text)) {
        wrapper = PyObject_CallMethod(io, "StringIO", "O", text);
        goto read;
    }
    raw = PyObject_CallMethod(io, "BytesIO", "O", text);
    readline = raw ? PyObject_GetAttrString(raw, "readline") : NULL;
    encoding = readline ? PyObject_CallMethod(tokenize, "detect_encoding", "O",
                                              readline)
                        : NULL;
    if (encoding == NULL) {
        goto done;
    }
    Py_XSETREF(raw, PyObject_CallMethod(io, "BytesIO", "O", text));
    wrapper = raw ? PyObject_CallMethod(io, "TextIOWrapper", "OO", raw,
                                        PyTuple_GET_ITEM(encoding, 0))
                  : NULL;
read:
    lines = wrapper ? PyObject_CallMethod(wrapper, "readlines", NULL) : NULL;
    /* No modification time: linecache.checkcache() then leaves it. */
    entry = lines ? Py_BuildValue("(nOOO)", PyObject_Size(text), Py_None,
                                  lines, filename)
                  : NULL;
    if (entry != NULL) {
        (void)PyObject_SetItem(cache, filename, entry);
    }
done:
    PyErr_Clear(); /* only for show */
    Py_XDECREF(entry);
    Py_XDECREF(lines);
    Py_XDECREF(wrapper);
    Py_XDECREF(encoding);
    Py_XDECREF(readline);
    Py_XDECREF(raw);
    Py_XDECREF(tokenize);
    Py_XDECREF(io);
    Py_XDECREF(cache);
}

PyObject *
hr_show_get(PyObject *filename)
{
    PyObject *cache = get_cache();
    PyObject *entry = cache ? PyObject_GetItem(cache, filename) : NULL;
    PyErr_Clear();
    Py_XDECREF(cache);
    return entry;
}

void
hr_show_again(PyObject *filename, PyObject *entry)
{
    PyObject *cache = get_cache();
    if (cache != NULL) {
        (void)(entry ? PyObject_SetItem(cache, filename, entry)
                     : PyObject_DelItem(cache, filename));
    }
    PyErr_Clear();
    Py_XDECREF(cache);
}

void
hr_show_forget(PyObject *filename)
{
    PyObject *cache = get_cache();
    if (cache != NULL && PyMapping_HasKey(cache, filename)) {
        (void)PyObject_DelItem(cache, filename);
    }
    PyErr_Clear();
    Py_XDECREF(cache);
}
