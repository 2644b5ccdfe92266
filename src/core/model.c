/* Models of pydantic that have a field of a class that changed, and adapters
 * of such types, as those that FastAPI makes for each parameter.
 *
 * What validates a model is compiled from its fields and those of the models
 * in it, and knows the class by itself.  So it is compiled anew after the
 * commit, when the classes are as they will be, with pydantic's own
 * model_rebuild() or rebuild(); what that changes is added to the journal, for
 * undo().
 *
 * For finish.c.
 */
#include "scope.h"

/* Has a schema that was compiled from it to be made again? */
static int
is_schema(PyObject *type)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)type);
    return hr_enum_is(type) || hr_heir_is_made(type) ||
           PyDict_GetItemString(dict, "_fields") != NULL;
}

/* Is one of these classes in an annotation? */
static int
mentions(PyObject *annotation, PyObject *classes, int depth)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(classes); i++) {
        if (PyList_GET_ITEM(classes, i) == annotation) {
            return 1;
        }
    }
    if (depth == 0 ||
        (PyType_Check(annotation) && hr_class_is_open(annotation))) {
        return 0;
    }
    PyObject *parts = PyObject_GetAttrString(annotation, "__args__");
    PyErr_Clear();
    int found = 0;
    for (Py_ssize_t i = 0; parts != NULL && PyTuple_Check(parts) && !found &&
                           i < PyTuple_GET_SIZE(parts);
         i++) {
        found = mentions(PyTuple_GET_ITEM(parts, i), classes, depth - 1);
    }
    Py_XDECREF(parts);
    return found;
}

static int
has_field_of(PyObject *model, PyObject *classes)
{
    PyObject *fields = PyDict_GetItemString(
        hr_compat_type_dict((PyTypeObject *)model), "__pydantic_fields__");
    PyObject *name, *field;
    Py_ssize_t pos = 0;
    int found = 0;
    if (fields == NULL || !PyDict_Check(fields)) {
        return 0;
    }
    while (!found && PyDict_Next(fields, &pos, &name, &field)) {
        PyObject *annotation = PyObject_GetAttrString(field, "annotation");
        PyErr_Clear();
        found = annotation != NULL && mentions(annotation, classes, 20);
        Py_XDECREF(annotation);
    }
    return found;
}

/* All models, in the order in which they inherit. */
static int
add_models(PyObject *models, PyObject *base)
{
    PyObject *list = PyObject_CallMethod((PyObject *)&PyType_Type,
                                         "__subclasses__", "O", base);
    int status = list == NULL ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *model = PyList_GET_ITEM(list, i);
        int has = PySequence_Contains(models, model);
        status = has < 0 ? -1 : has ? 0 : PyList_Append(models, model);
        if (status == 0 && !has) {
            status = add_models(models, model);
        }
    }
    Py_XDECREF(list);
    return status;
}

/* What differs from `was` is the journal's. */
static int
note_changes(struct hr_journal *j, PyObject *model, PyObject *was)
{
    PyObject *dict = hr_compat_type_dict((PyTypeObject *)model);
    PyObject *name, *value;
    Py_ssize_t pos = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(was, &pos, &name, &value)) {
        if (PyDict_GetItemWithError(dict, name) != value) {
            status = hr_journal_add(j, HR_PLACE_TYPE, model, name, value);
        }
    }
    pos = 0;
    while (status == 0 && PyDict_Next(dict, &pos, &name, &value)) {
        if (PyDict_GetItemWithError(was, name) == NULL) {
            status = hr_journal_add(j, HR_PLACE_TYPE, model, name, NULL);
        }
    }
    return status;
}

static int
rebuild(struct hr_plan *p, PyObject *model)
{
    PyObject *was = PyDict_Copy(hr_compat_type_dict((PyTypeObject *)model));
    PyObject *method = PyObject_GetAttrString(model, "model_rebuild");
    PyObject *none = PyTuple_New(0), *done = NULL;
    PyObject *options =
        Py_BuildValue("{s:O,s:{}}", "force", Py_True, "_types_namespace");
    if (was != NULL && method != NULL && none != NULL && options != NULL) {
        done = PyObject_Call(method, none, options);
        if (done == NULL) {
            hr_log_exception(p->st, "%R could not be rebuilt", model);
        }
    }
    int status =
        was == NULL || PyErr_Occurred() ? -1 : note_changes(p->j, model, was);
    Py_XDECREF(done);
    Py_XDECREF(options);
    Py_XDECREF(none);
    Py_XDECREF(method);
    Py_XDECREF(was);
    return status;
}

static int
is_of_type(PyObject *o, void *type)
{
    return Py_TYPE(o) == (PyTypeObject *)type;
}

/* rebuild() looks at the frame that called it. */
static PyObject *
call_rebuild(PyObject *adapter)
{
    PyObject *ns = PyDict_New(), *done = NULL;
    if (ns != NULL &&
        PyDict_SetItemString(ns, "__builtins__", PyEval_GetBuiltins()) == 0 &&
        PyDict_SetItemString(ns, "adapter", adapter) == 0) {
        done = PyRun_String("adapter.rebuild(force=True, _types_namespace={})",
                            Py_eval_input, ns, ns);
    }
    Py_XDECREF(ns);
    return done;
}

static int
rebuild_adapter(struct hr_plan *p, PyObject *adapter)
{
    PyObject *dict = PyObject_GenericGetDict(adapter, NULL);
    PyObject *was = dict ? PyDict_Copy(dict) : NULL, *name, *value;
    PyObject *done = was ? call_rebuild(adapter) : NULL;
    Py_ssize_t pos = 0;
    int status = 0;
    if (done == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear(); /* another version of pydantic */
    }
    else if (done == NULL) {
        hr_log_exception(p->st, "%R could not be rebuilt", adapter);
    }
    while (status == 0 && was != NULL &&
           PyDict_Next(was, &pos, &name, &value)) {
        if (PyDict_GetItemWithError(dict, name) != value) {
            status = hr_journal_add(p->j, HR_PLACE_DICT, dict, name, value);
        }
    }
    Py_XDECREF(done);
    Py_XDECREF(was);
    Py_XDECREF(dict);
    return status;
}

/* Adapters know the types that they are for, and nobody knows them. */
static int
rebuild_adapters(struct hr_plan *p, PyObject *changed)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(),
                                            "pydantic.type_adapter");
    PyObject *type =
        module ? PyObject_GetAttrString(module, "TypeAdapter") : NULL;
    PyObject *list = type && PyType_Check(type)
                         ? hr_heap_find(p->st, is_of_type, type, 0)
                         : NULL;
    int status = 0;
    for (Py_ssize_t i = 0;
         status == 0 && list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *adapter = PyList_GET_ITEM(list, i);
        PyObject *of = PyObject_GetAttrString(adapter, "_type");
        PyErr_Clear();
        status = of != NULL && mentions(of, changed, 20)
                     ? rebuild_adapter(p, adapter)
                     : 0;
        Py_XDECREF(of);
    }
    Py_XDECREF(list);
    Py_XDECREF(type);
    return status < 0 || PyErr_Occurred() ? -1 : 0;
}

int
hr_model_rebuild(struct hr_plan *p)
{
    PyObject *pydantic =
        PyDict_GetItemString(PyImport_GetModuleDict(), "pydantic");
    PyObject *changed = PyList_New(0), *models = NULL, *base = NULL;
    int status = changed == NULL ? -1 : 0, more = 1;
    for (Py_ssize_t i = 0;
         pydantic != NULL && status == 0 && i < PyList_GET_SIZE(p->classes);
         i++) {
        PyObject *type = PyList_GET_ITEM(p->classes, i);
        if (is_schema(type) && hr_place_has(p->j, HR_PLACE_TYPE, type) &&
            PySequence_Contains(changed, type) == 0) {
            status = PyList_Append(changed, type);
        }
    }
    if (status < 0 || PyList_GET_SIZE(changed) == 0) {
        goto done;
    }
    status = -1;
    base = PyObject_GetAttrString(pydantic, "BaseModel");
    models = base ? PyList_New(0) : NULL;
    if (models == NULL || add_models(models, base) < 0) {
        goto done;
    }
    status = 0;
    while (status == 0 && more) {
        more = 0;
        for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(models);
             i++) {
            PyObject *model = PyList_GET_ITEM(models, i);
            if (hr_class_is_open(model) &&
                PySequence_Contains(changed, model) == 0 &&
                has_field_of(model, changed)) {
                status = PyList_Append(changed, model);
                more = 1;
            }
        }
    }
    for (Py_ssize_t i = 0; status == 0 && i < PyList_GET_SIZE(changed); i++) {
        PyObject *model = PyList_GET_ITEM(changed, i);
        if (PySequence_Contains(models, model) == 1) {
            status = rebuild(p, model);
        }
    }
    if (status == 0) {
        status = rebuild_adapters(p, changed);
    }
done:
    Py_XDECREF(base);
    Py_XDECREF(models);
    Py_XDECREF(changed);
    return status;
}
