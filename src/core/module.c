/* The module hot_reload._core: its state, types and settings.  The only file
 * that knows all the others; it has no logic of its own.
 */
#include "code.h"

/* -- Settings ------------------------------------------------------------- */

long
hr_setting(struct hr_state *st, const char *name)
{
    PyObject *value = PyDict_GetItemString(st->settings, name);
    long result = 0;
    if (value != NULL && PyLong_Check(value)) {
        result = PyLong_AsLong(value);
        if (result == -1 && PyErr_Occurred()) {
            PyErr_Clear();
        }
    }
    return result;
}

/* -- State ---------------------------------------------------------------- */

static int
add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (*slot == NULL) {
        return -1;
    }
    /* Only we make instances; the flag that says so came with 3.10. */
    (*slot)->tp_new = NULL;
    return PyModule_AddType(module, *slot);
}

static int
add_exception(PyObject *module, PyObject **slot, const char *name,
              const char *full_name, const char *doc, PyObject *base)
{
    *slot = PyErr_NewExceptionWithDoc(full_name, doc, base, NULL);
    if (*slot == NULL) {
        return -1;
    }
    Py_INCREF(*slot);
    if (PyModule_AddObject(module, name, *slot) < 0) {
        Py_DECREF(*slot);
        return -1;
    }
    return 0;
}

static int
core_exec(PyObject *module)
{
    struct hr_state *st = hr_state_of(module);
    st->module = module;
    hr_text_init(st);
    st->patches = PyList_New(0);
    st->revisions = PyList_New(0);
    st->callbacks = PyList_New(0);
    st->retired = PyList_New(0);
    st->lineage = PyList_New(0);
    st->twins = PyList_New(0);
    st->old_code = PyList_New(0);
    st->originals = PyList_New(0);
    st->outdated = PyList_New(0);
    st->awaited = PySet_New(NULL);
    st->settings = PyDict_New();
    if (st->patches == NULL || st->revisions == NULL ||
        st->callbacks == NULL || st->retired == NULL || st->lineage == NULL ||
        st->twins == NULL || st->settings == NULL) {
        return -1;
    }
    if (st->old_code == NULL || st->originals == NULL ||
        st->outdated == NULL || st->awaited == NULL ||
        add_type(module, &st->patch_type, &hr_patch_spec) < 0 ||
        add_type(module, &st->edit_type, &hr_edit_spec) < 0 ||
        add_type(module, &st->revision_type, &hr_revision_spec) < 0) {
        return -1;
    }
    if (add_exception(module, &st->rude_edit, "RudeEdit",
                      "hot_reload.RudeEdit",
                      "An edit that cannot be applied to the running "
                      "process; `code` is its number in docs/edits.md.",
                      PyExc_TypeError) < 0 ||
        add_exception(module, &st->interrupted, "Interrupted",
                      "hot_reload.Interrupted",
                      "Raised in a live file that runs for too long, when it "
                      "is saved again.",
                      PyExc_BaseException) < 0) {
        return -1;
    }
    hr_class_init(st->rude_edit);
    return 0;
}

static int
core_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct hr_state *st = hr_state_of(module);
    Py_VISIT(st->patch_type);
    Py_VISIT(st->revision_type);
    Py_VISIT(st->edit_type);
    Py_VISIT(st->rude_edit);
    Py_VISIT(st->interrupted);
    Py_VISIT(st->patches);
    Py_VISIT(st->revisions);
    Py_VISIT(st->callbacks);
    Py_VISIT(st->logger);
    Py_VISIT(st->trampolines);
    Py_VISIT(st->retired);
    Py_VISIT(st->lineage);
    Py_VISIT(st->twins);
    Py_VISIT(st->left);
    Py_VISIT(st->old_code);
    Py_VISIT(st->originals);
    Py_VISIT(st->outdated);
    Py_VISIT(st->awaited);
    Py_VISIT(st->settings);
    return 0;
}

static int
core_clear(PyObject *module)
{
    struct hr_state *st = hr_state_of(module);
    Py_CLEAR(st->patches);
    Py_CLEAR(st->revisions);
    Py_CLEAR(st->callbacks);
    Py_CLEAR(st->logger);
    Py_CLEAR(st->trampolines);
    Py_CLEAR(st->retired);
    Py_CLEAR(st->lineage);
    Py_CLEAR(st->twins);
    Py_CLEAR(st->left);
    Py_CLEAR(st->old_code);
    Py_CLEAR(st->originals);
    Py_CLEAR(st->outdated);
    Py_CLEAR(st->awaited);
    Py_CLEAR(st->settings);
    Py_CLEAR(st->patch_type);
    Py_CLEAR(st->revision_type);
    Py_CLEAR(st->edit_type);
    Py_CLEAR(st->rude_edit);
    Py_CLEAR(st->interrupted);
    return 0;
}

static void
core_free(void *module)
{
    (void)core_clear((PyObject *)module);
    hr_source_free_all(hr_state_of((PyObject *)module));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, core_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hot_reload._core",
    .m_doc = "The engine of hot_reload; use the names of hot_reload instead.",
    .m_size = sizeof(struct hr_state),
    .m_methods = hr_method_table,
    .m_slots = slots,
    .m_traverse = core_traverse,
    .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
