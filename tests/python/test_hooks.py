"""Hooks: functions of the program that are called before and after a save."""

import pytest

BEFORE = """
EVENTS = []

def f():
    return 1

def __hot_reload_before__(revision):
    EVENTS.append(("before", f(), revision.id, revision.live))

def __hot_reload_after__(revision):
    EVENTS.append(("after", f(), revision.id, revision.ok))
"""


def test_module_hooks_see_the_old_and_the_new_program(project):
    m = project.load(m=BEFORE)
    revision = project.save(m=BEFORE.replace("return 1", "return 2"))
    assert revision.ok and revision.id
    assert m.EVENTS == [
        ("before", 1, revision.id, False),
        ("after", 2, revision.id, True),
    ]


def test_hooks_of_a_revision_see_its_edits(project):
    text = """
    SEEN = []
    def f(): return 1
    def __hot_reload_before__(revision):
        SEEN.append([(e.kind, e.qualname) for e in revision.edits])
    def __hot_reload_after__(revision):
        SEEN.append((sorted(revision.files), revision.saved_ns <= revision.live_ns))
    """
    m = project.load(m=text)
    project.save(m=text.replace("return 1", "return 2"))
    assert m.SEEN == [[("changed", "f")], ([str(project.path("m"))], True)]


def test_hook_that_is_new_is_called_after_but_not_before(project):
    m = project.load(m="EVENTS = []\n")
    assert project.save(m=BEFORE).ok
    assert [event[0] for event in m.EVENTS] == ["after"]


def test_hook_that_is_changed_by_the_save(project):
    m = project.load(m=BEFORE)
    text = BEFORE.replace('"before", ', '"before 2", ')
    text = text.replace('"after", ', '"after 2", ')
    assert project.save(m=text).ok
    assert [event[0] for event in m.EVENTS] == ["before", "after 2"]
    assert project.save(m=text + "\nX = 1\n").ok
    assert [event[0] for event in m.EVENTS[2:]] == ["before 2", "after 2"]


def test_hook_that_is_removed_by_the_save(project):
    m = project.load(m=BEFORE)
    assert project.save(m="EVENTS = []\n").ok
    assert [event[0] for event in m.EVENTS] == ["before"]


def test_modules_that_did_not_change_are_not_called(project):
    m = project.load(m="import n\nimport k\n", n=BEFORE, k=BEFORE)
    assert project.save(n=BEFORE.replace("return 1", "return 2")).ok
    assert len(m.n.EVENTS) == 2 and m.k.EVENTS == []


CLASS = """
EVENTS = []

class K:
    def __init__(self, x):
        self.x = x

    def a(self):
        return "old"

    @classmethod
    def __hot_reload_before__(cls, revision):
        EVENTS.append(("before", cls.__name__, revision.id))

    @staticmethod
    def __hot_reload_after__(revision):
        EVENTS.append(("after", "static", revision.id))

    def __hot_reload_migrate__(self):
        EVENTS.append(("migrate", self.x, self.a()))
        self.y = self.x * 2
"""


def test_class_hooks_in_order(project):
    m = project.load(m=CLASS)
    objects = [m.K(1), m.K(2)]
    revision = project.save(m=CLASS.replace('"old"', '"new"'))
    assert revision.ok
    assert m.EVENTS[0] == ("before", "K", revision.id)
    assert sorted(m.EVENTS[1:3]) == [("migrate", 1, "new"), ("migrate", 2, "new")]
    assert m.EVENTS[3:] == [("after", "static", revision.id)]
    assert [o.y for o in objects] == [2, 4]


def test_class_hook_as_a_plain_function(project):
    text = """
    EVENTS = []
    class K:
        X = 1
        def __hot_reload_before__(revision):
            EVENTS.append("before")
        def __hot_reload_after__(revision):
            EVENTS.append("after")
    """
    m = project.load(m=text)
    assert project.save(m=text.replace("X = 1", "X = 2")).ok
    assert m.EVENTS == ["before", "after"] and m.K.X == 2


def test_all_before_then_commit_then_migrate_then_after(project):
    hooks = """
    import log

    class K:
        X = 1

        @classmethod
        def __hot_reload_before__(cls, revision):
            log.EVENTS.append(("before", cls.X))

        @classmethod
        def __hot_reload_after__(cls, revision):
            log.EVENTS.append(("after", cls.X))

        def __hot_reload_migrate__(self):
            log.EVENTS.append(("migrate", self.X))

    def __hot_reload_before__(revision):
        log.EVENTS.append(("before", K.X))

    def __hot_reload_after__(revision):
        log.EVENTS.append(("after", K.X))

    o = K()
    """
    m = project.load(m=hooks + "\n    import n", n=hooks, log="EVENTS = []\n")
    new = hooks.replace("X = 1", "X = 2")
    assert project.save(n=new, m=new + "\n    import n").ok
    events = m.log.EVENTS
    assert events[:4] == [("before", 1)] * 4
    assert events[4:6] == [("migrate", 2)] * 2
    assert events[6:] == [("after", 2)] * 4


def test_migrate_comes_with_the_hook_that_the_save_adds(project):
    m = project.load(m="class K:\n    pass\n")
    o = m.K()
    text = """
    class K:
        def __init__(self):
            self.size = 1

        def __hot_reload_migrate__(self):
            self.__dict__.setdefault("size", 1)
    """
    assert project.save(m=text).ok
    assert o.size == 1


def test_migrate_is_called_once_for_every_instance(project):
    text = """
    EVENTS = []

    class Base:
        X = 1
        def __hot_reload_migrate__(self):
            EVENTS.append(("Base", type(self).__name__))

    class Own(Base):
        X = 1
        def __hot_reload_migrate__(self):
            EVENTS.append(("Own", type(self).__name__))

    class Plain(Base):
        X = 1
    """
    m = project.load(m=text)
    objects = [m.Base(), m.Own(), m.Plain()]
    assert project.save(m=text.replace("X = 1", "X = 2")).ok
    assert sorted(m.EVENTS) == [("Base", "Base"), ("Base", "Plain"), ("Own", "Own")]
    # A class inherits the hook: it is called for the instances of Plain alone.
    del m.EVENTS[:]
    new = text.replace("X = 1", "X = 2")
    head, tail = new.split("class Plain")
    assert project.save(m=head + "class Plain" + tail.replace("2", "3")).ok
    assert m.EVENTS == [("Base", "Plain")] and objects[2].X == 3


def test_migrate_of_instances_with_slots(project):
    text = """
    class K:
        __slots__ = ("x",)
        Y = 1
        def __hot_reload_migrate__(self):
            self.x = self.Y
    """
    m = project.load(m=text)
    o = m.K()
    assert project.save(m=text.replace("Y = 1", "Y = 2")).ok
    assert o.x == 2


def test_a_class_that_did_not_change_is_not_migrated(project):
    m = project.load(m=CLASS + "\ndef f(): return 1\n")
    o = m.K(1)
    assert project.save(m=CLASS + "\ndef f(): return 2\n").ok
    assert m.EVENTS == [] and not hasattr(o, "y")
    assert project.save(m="import os\n" + CLASS + "\ndef f(): return 2\n").ok
    assert m.EVENTS == [], "it only moved"


@pytest.mark.parametrize("where", ["module", "class"])
def test_exception_in_before_refuses_the_batch(project, where):
    text = """
    def f():
        return 1

    class K:
        X = 1
        @classmethod
        def __hot_reload_before__(cls, revision):
            if WHERE == "class":
                raise ValueError("not now")

    def __hot_reload_before__(revision):
        if WHERE == "module":
            raise ValueError("not now")

    WHERE = None
    """
    m = project.load(m=text + "\n    import n", n="def g():\n    return 1\n")
    held = m.f, m.n.g
    m.WHERE = where
    new = text.replace("return 1", "return 2").replace("X = 1", "X = 2")
    revision = project.save(m=new + "\n    import n", n="def g():\n    return 2\n")
    assert not revision.ok and "not now" in revision.error
    assert [e.code for e in revision.edits if e.kind == "refused"] == ["HR110"]
    assert "nothing was changed" in [e.sentence for e in revision.edits][-1]
    assert (held[0](), held[1](), m.K.X) == (1, 1, 1)
    m.WHERE = None
    assert project.save(n="def g():\n    return 3\n").ok
    assert (held[0](), held[1]()) == (2, 3), "what was refused comes with the next"


def test_exceptions_elsewhere_are_reported(project):
    text = """
    class K:
        X = 1
        def __hot_reload_migrate__(self):
            raise ValueError("in migrate")
        @classmethod
        def __hot_reload_after__(cls, revision):
            raise ValueError("in after of K")

    def __hot_reload_after__(revision):
        raise ValueError("in after of m")

    def f():
        return 1
    """
    m = project.load(m=text)
    objects = [m.K(), m.K()]
    new = text.replace("X = 1", "X = 2").replace("return 1", "return 2")
    revision = project.save(m=new)
    assert revision.ok and m.f() == 2 and objects[0].X == 2
    told = project.text()
    assert told.count("ValueError: in migrate") == 2
    assert "in after of K" in told and "in after of m" in told
    assert "__hot_reload_after__ of m failed" in told


def test_hooks_are_called_at_a_save_too(project):
    m = project.load(m=BEFORE)
    project.start()
    project.write(m=BEFORE.replace("return 1", "return 2"))
    # Live first, tidied up and told afterwards.
    project.wait(lambda: m.f() == 2 and len(m.EVENTS) == 2)
    assert [event[0] for event in m.EVENTS] == ["before", "after"]


def test_hook_may_use_the_engine(project):
    text = """
    import hot_reload
    SEEN = []
    def f(): return 1
    def g(): return "g"
    def h(): return "h"
    def __hot_reload_before__(revision):
        SEEN.append(hot_reload.status()["revisions"])
    def __hot_reload_after__(revision):
        import m
        hot_reload.replace(m, m.g, h)
        SEEN.append(len(hot_reload.patches()))
    """
    m = project.load(m=text)
    revision = project.save(m=text.replace("return 1", "return 2"))
    assert revision.ok, revision.error
    assert m.f() == 2 and m.g() == "h"
    assert m.SEEN == [revision.id - 1, 1]


def test_hook_that_applies_another_file(project):
    text = """
    import hot_reload, n
    SEEN = []
    def f(): return 1
    def __hot_reload_after__(revision):
        SEEN.append((revision.id, hot_reload.apply(n.__file__).id))
    """
    m = project.load(m=text, n="def g(): return 1\n")
    project.write(n="def g(): return 2\n")
    revision = project.save(m=text.replace("return 1", "return 2"))
    assert m.f() == 2 and m.n.g() == 2
    ids = [r.id for r in project.engine.revisions()][-2:]
    assert len(set(ids)) == 2 and ids == sorted(ids) and revision.id in ids


@pytest.mark.parametrize("call", ["apply(n.__file__)", "undo()"])
def test_the_engine_is_not_called_again_while_a_plan_is_made(project, call):
    """It would free the texts that the plan reads, and change what it compares."""
    text = """
    import hot_reload, n
    X = 1
    def f(): return 1
    """
    m = project.load(m=text, n="def g(): return 1\n")
    project.write(n="def g(): return 2\n")
    revision = project.save(m=text.replace("X = 1", f"X = hot_reload.{call}"))
    assert not revision.ok and "just being planned" in revision.error
    assert (m.X, m.n.g()) == (1, 1)
    project.save(m=text.replace("return 1", "return 2"), n="def g(): return 3\n")
    assert (m.f(), m.n.g()) == (2, 3)


def test_on_revision_hears_of_everything(project):
    heard, listening = [], [True]

    @project.engine.on_revision
    def listen(revision):
        if listening:
            heard.append((revision.id, revision.ok))

    @project.engine.on_revision
    def broken(revision):
        if listening:
            raise ValueError("a listener that fails")

    m = project.load(m="def f(): return 1\n")
    good = project.save(m="def f(): return 2\n")
    bad = project.save(m="def f(: return 2\n")
    assert heard == [(good.id, True), (bad.id, False)]
    assert project.text().count("ValueError: a listener that fails") == 2
    assert m.f() == 2
    del listening[:]
    with pytest.raises(TypeError):
        project.engine.on_revision(1)


BROKEN = """
class K:
    X = 1
    @classmethod
    def __hot_reload_before__(cls, revision):
        if M: return
        raise ValueError("of K")

def __hot_reload_before__(revision):
    raise ValueError("of m")

M = False
"""


@pytest.mark.parametrize("how", ["mended", "removed"])
def test_a_broken_hook_can_be_mended(project, how):
    m = project.load(m=BROKEN)
    revision = project.save(m=BROKEN.replace("X = 1", "X = 2"))
    assert not revision.ok
    assert "__hot_reload_before__ of m failed: " in revision.error
    assert "ValueError: of m" in revision.error
    refused = revision.edits[-1]
    assert refused.code == "HR110"
    assert refused.sentence.startswith("__hot_reload_before__ of m failed: ValueError")
    text = BROKEN.replace("X = 1", "X = 2")
    hook = 'def __hot_reload_before__(revision):\n    raise ValueError("of m")\n'
    assert hook in text
    new = hook.replace("raise ValueError", "print") if how == "mended" else ""
    revision = project.save(m=text.replace(hook, new))
    assert not revision.ok and "of <class 'm.K'> failed" in revision.error
    text = text.replace(hook, new).replace('raise ValueError("of K")', "pass")
    assert project.save(m=text).ok, "the new one of K counts"
    assert m.K.X == 2 and "but this save changes it" in project.text()


def test_a_hook_that_is_broken_again_refuses(project):
    m = project.load(m=BROKEN)
    revision = project.save(m=BROKEN.replace("X = 1", "X = 2").replace("of m", "again"))
    assert not revision.ok and "again" in revision.error and m.K.X == 1


def test_stop_in_a_changed_statement_is_refused(project):
    m = project.load(m="X = 1\n")
    revision = project.save(m="X = 2\nimport hot_reload\nhot_reload.stop()\n")
    assert not revision.ok and "stop: a save is just being planned" in revision.error
    assert m.X == 1 and project.save(m="X = 3\n").ok and m.X == 3


def test_undo_in_the_hook_after_takes_that_revision_back(project):
    text = """
    import hot_reload
    UNDONE, ON = [], []
    def f(): return 1
    def __hot_reload_after__(revision):
        if ON:
            UNDONE.extend(hot_reload.undo())
    """
    m = project.load(m=text)
    first = project.save(m=text.replace("return 1", "return 2"))
    m.ON.append(True)
    second = project.save(m=text.replace("return 1", "return 3"))
    assert m.f() == 2 and m.UNDONE == [second] and second.undone
    # Its text is on the disk, and counts again.
    m.ON.clear()
    assert project.engine.apply(project.path("m")).ok and m.f() == 3
    assert project.engine.undo(2)[1] is first and m.f() == 1


def test_apply_in_the_hook_after_lies_on_that_revision(project):
    text = """
    import hot_reload
    ON = []
    def f(): return 1
    def __hot_reload_after__(revision):
        if ON:
            with open(__file__, "w") as file:
                file.write(ON.pop())
            hot_reload.apply(__file__)
    """
    m = project.load(m=text)
    m.ON.append(text.replace("return 1", "return 3").replace("\n    ", "\n"))
    project.save(m=text.replace("return 1", "return 2"))
    assert m.f() == 3
    ids = [r.id for r in project.engine.revisions()[-2:]]
    assert ids == sorted(ids)
    for value in (2, 1):
        assert project.engine.undo() and m.f() == value


def test_apply_in_the_hook_after_of_what_was_refused_before(project):
    """Both make it live: what the outer one had of it was freed."""
    text = """
    import hot_reload
    def f(): return 1
    def __hot_reload_after__(revision):
        hot_reload.apply(__file__.replace("m.py", "late.py"))
    """
    m = project.load(m="import late\n" + text.replace("\n    ", "\n"), late="X = 1\n")
    late = project.module("late")
    assert not project.save(late="X = 2\nimport not_there_yet\n").ok
    project.write(not_there_yet="")
    text = text.replace("return 1", "return 2")
    assert project.save(m="import late\n" + text.replace("\n    ", "\n")).ok
    assert (m.f(), late.X) == (2, 2)
    project.made.add("not_there_yet")
