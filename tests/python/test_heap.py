"""All containers on the heap, found in slices: the GIL is let go of in between."""

import gc
import sys
import threading
import time

import pytest

from hot_reload import _core


class Thing:
    pass


def found(slices, kind=Thing):
    things = _core.heap(kind, slices)
    ids = {id(thing) for thing in things}
    assert len(ids) == len(things), "seen twice"
    return ids


@pytest.fixture
def ballast():
    """So many that a walk takes several slices."""
    kept = [[] for _ in range(300_000)]
    gc.collect()
    yield kept


@pytest.mark.parametrize("slices", [False, True], ids=["at once", "slices"])
def test_all_generations_and_what_is_frozen(ballast, slices):
    old = [Thing() for _ in range(10)]
    gc.collect()
    middle = [Thing() for _ in range(10)]
    gc.collect(0)
    young = [Thing() for _ in range(10)]
    assert found(slices) == {id(o) for o in (*old, *middle, *young)}
    gc.freeze()
    try:
        new = Thing()
        assert found(slices) == {id(o) for o in (*old, *middle, *young, new)}
    finally:
        gc.unfreeze()
    assert found(slices) >= {id(o) for o in old}


def test_nothing_is_left_behind_and_nothing_is_kept():
    before = len(gc.get_objects())
    for _ in range(50):
        assert found(True) == set()
    assert len(gc.get_objects()) < before + 20
    gc.collect()
    thing = Thing()
    count = sys.getrefcount(thing)
    found(True)
    assert sys.getrefcount(thing) == count


def test_while_others_collect_make_and_drop_objects(ballast):
    """What lives from before the walk to after it is always found."""
    lasting = [Thing() for _ in range(100)]
    stop, errors = threading.Event(), []

    def churn(level):
        try:
            while not stop.is_set():
                cycles = [Thing() for _ in range(50)]
                for a, b in zip(cycles, cycles[1:]):
                    a.other, b.other = b, a
                del cycles[::2]
                gc.collect(level)
        except Exception as error:
            errors.append(error)

    def freeze():
        while not stop.is_set():
            gc.freeze()
            time.sleep(0.003)
            gc.unfreeze()
            time.sleep(0.003)

    threads = [threading.Thread(target=churn, args=(n,)) for n in (0, 1, 2)]
    threads.append(threading.Thread(target=freeze))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    for thread in threads:
        thread.start()
    try:
        wanted = {id(o) for o in lasting}
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert wanted <= found(True)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        gc.unfreeze()
    assert not errors


def test_others_run_in_between(ballast):
    kept = [[] for _ in range(1_500_000)]
    worst, stop = [0], threading.Event()

    def tick():
        last = time.perf_counter()
        while not stop.is_set():
            now = time.perf_counter()
            worst[0] = max(worst[0], now - last)
            last = now

    def measure(slices):
        time.sleep(0.01)  # what came before is noted now
        worst[0] = 0
        found(slices)
        time.sleep(0.01)
        return worst[0]

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        whole = min(measure(False) for _ in range(5))
        sliced = whole
        for _ in range(40):  # a busy machine stops threads by itself
            sliced = min(sliced, measure(True))
            if sliced < whole / 2:
                break
    finally:
        stop.set()
        thread.join()
    assert sliced < whole / 2, (sliced, whole)
    del kept
