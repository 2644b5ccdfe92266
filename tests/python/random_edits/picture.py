"""What a module defines and does, as plain data that can be compared."""

import dataclasses
import enum
import functools
import inspect
import re
import types

DEPTH = 4
#: of a class; the rest of its special attributes follows from them
SPECIAL = ("__doc__", "__module__", "__qualname__", "__firstlineno__")


def of_module(module, path):
    """{name: description}"""
    names = {k: v for k, v in vars(module).items() if not k.startswith("__")}
    found = {name: of(value, module.__name__) for name, value in names.items()}
    found["__doc__"] = module.__doc__
    return found


def of(value, where="", depth=DEPTH):
    if depth == 0:
        return "..."
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, types.FunctionType):
        return of_function(value, where, depth)
    if isinstance(value, type):
        # A class that a call gave back is named only: its methods may give it, too.
        return of_class(value, where, depth) if depth == DEPTH else text(value)
    if hasattr(value, "cache_info"):
        return [of(value.__wrapped__, where, depth - 1), results(value, where, depth)]
    if isinstance(value, functools.partial):
        return ["partial", of(value.func, where, depth - 1), text(value.args)]
    if isinstance(value, dict):
        return {repr(k): of(v, where, depth - 1) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [type(value).__name__, *(of(v, where, depth - 1) for v in value)]
    return text(value)


def text(value):
    if isinstance(value, TypeError):
        return "TypeError"  # its words name the function
    # Not names: a function that a decorator comes to keeps its own.
    shown = re.sub(r"<function .*? at 0x[0-9a-f]+>", "<function>", repr(value))
    return re.sub(r" at 0x[0-9a-f]+", "", shown)


def of_function(function, where, depth):
    code = function.__code__
    cells = function.__closure__ or ()
    # What functools.wraps() copied when it decorated stays as it was.
    copied = hasattr(function, "__wrapped__")
    return {
        "signature": copied or text(inspect.signature(function, follow_wrapped=False)),
        "doc": copied or function.__doc__,
        "annotations": copied or text(function.__annotations__),
        "kind": code.co_flags & 0x2A0,
        "line": code.co_firstlineno,
        "lines": sorted(lines_of(code)),
        "cells": {
            name: of(cell.cell_contents, where, depth - 1)
            for name, cell in zip(code.co_freevars, cells)
        },
        "attributes": sorted(function.__dict__),
        "results": results(function, where, depth),
    }


def lines_of(code):
    import dis

    return {line for _, line in dis.findlinestarts(code) if line is not None}


def results(function, where="", depth=DEPTH):
    """What calls give, generators and coroutines run to their end."""
    return [result(function, arguments, where, depth) for arguments in ((), (5,))]


def result(function, arguments, where, depth):
    try:
        value = function(*arguments)
        if inspect.iscoroutine(value):
            try:
                value.send(None)
            except StopIteration as end:
                value = ("awaited", end.value)
        elif inspect.isgenerator(value):
            value = ("generated", list(value))
        elif inspect.isasyncgen(value):
            value = ("generated", drive(value))
        elif hasattr(value, "__enter__"):
            with value as given:
                value = ("managed", given)
    except Exception as error:
        return text(error)
    return of(strip(value), where, depth - 1)


def drive(generator):
    found = []
    for _ in range(9):
        try:
            generator.__anext__().send(None)
        except StopIteration as end:
            found.append(end.value)
        except StopAsyncIteration:
            break
    return found


def strip(value):
    """Coroutines and generators inside a result, made by wrappers, closed."""
    if isinstance(value, tuple):
        return tuple(strip(v) for v in value)
    if inspect.iscoroutine(value) or inspect.isgenerator(value):
        value.close()
        return type(value).__name__
    if inspect.isasyncgen(value):
        return type(value).__name__
    return value


def of_class(cls, where, depth):
    if cls.__module__ not in ("alpha", "beta"):
        return text(cls)
    found = {
        "name": f"{cls.__module__}.{cls.__qualname__}",
        "bases": [text(base) for base in cls.__bases__],
        "mro": [text(base) for base in cls.__mro__],
        "annotations": text(vars(cls).get("__annotations__", {})),
    }
    for name in SPECIAL:
        if name in vars(cls):
            found[name] = text(vars(cls)[name])
    if issubclass(cls, enum.Enum):
        found["members"] = [(m.name, m.value, text(cls(m.value))) for m in cls]
        found["names"] = sorted(cls.__members__)
        found["show"] = [text(m.show()) for m in cls]
        return found
    for name, member in vars(cls).items():
        if not name.startswith("__"):
            member = getattr(member, "__func__", getattr(member, "fget", member))
            kind = type(vars(cls)[name]).__name__
            nested = isinstance(member, type)
            shown = of_class if nested and member.__name__ == "Nested" else of
            found["member " + name] = [kind, shown(member, where, depth - 1)]
    if dataclasses.is_dataclass(cls):
        found["fields"] = [f.name for f in dataclasses.fields(cls)]
        found["made"] = text(cls())
    found["instance"] = of_instance(cls())
    return found


def of_instance(instance):
    """What its methods and properties give."""
    found = {}
    for name in sorted(dir(type(instance))):
        if not name.startswith("__"):
            try:
                value = getattr(instance, name)
            except Exception as error:
                value = text(error)
            callable_ = inspect.ismethod(value) or inspect.isfunction(value)
            found[name] = results(value, "", 2) if callable_ else text(value)
    return found


def difference(a, b, path=""):
    """Where two descriptions differ first: a text, or None."""
    if a == b and type(a) is type(b):
        return None
    if type(a) is not type(b):
        return f"{path}: {a!r} != {b!r}"
    if isinstance(a, dict):
        for key in {**a, **b}:
            if key not in a or key not in b:
                side = "missing" if key not in a else "too much"
                return f"{path}[{key!r}]: {side}"
            found = difference(a[key], b[key], f"{path}[{key!r}]")
            if found:
                return found
        return None
    if isinstance(a, list) and len(a) == len(b):
        for number, (x, y) in enumerate(zip(a, b)):
            found = difference(x, y, f"{path}[{number}]")
            if found:
                return found
        return None
    return None if a == b else f"{path}: {a!r} != {b!r}"
