"""Generators, coroutines, asynchronous generators, context managers, threads."""

from . import Edit, swap

GEN = """
    def f():
        yield 1
        yield 2
        yield 3
"""

EDITS = [
    Edit(
        "generator_running_finishes_old_code",
        GEN,
        swap("yield 2", "yield 20"),
        setup="g = m.f(); next(g)",
        check="assert list(g) == [2, 3]; assert list(m.f()) == [1, 20, 3]",
        fresh=False,
    ),
    Edit(
        "generator_not_started_finishes_old_code",
        GEN,
        swap("yield 2", "yield 20"),
        setup="g = m.f()",
        check="assert list(g) in ([1, 2, 3], [1, 20, 3]); assert 20 in list(m.f())",
    ),
    Edit(
        "generator_to_function_while_one_runs",
        GEN,
        """
        def f():
            return [1, 2]
        """,
        setup="h = m.f; g = m.f(); next(g)",
        check="assert list(g) == [2, 3] and h() == [1, 2]",
        fresh=False,
    ),
    Edit(
        "function_to_generator",
        """
        def f():
            return [1]
        """,
        swap("return [1]", "yield 1\n    yield 2"),
        setup="h = m.f",
        check="""
            import inspect
            assert list(h()) == [1, 2] and inspect.isgeneratorfunction(h)
        """,
    ),
    Edit(
        "generator_send_and_return_value",
        """
        def f():
            got = yield 1
            return got
        """,
        swap("return got", "return (got, got)"),
        setup="h = m.f",
        check="""
            g = h(); next(g)
            try:
                g.send(5)
            except StopIteration as e:
                assert e.value == (5, 5)
        """,
    ),
    Edit(
        "generator_yield_from_changed_part",
        """
        def part(): yield 1
        def f():
            yield 0
            yield from part()
        """,
        swap("yield 1", "yield 10"),
        setup="g = m.f(); next(g)",
        check="assert list(g) == [10]",
        fresh=True,
    ),
    Edit(
        "generator_finally_of_old_code_runs",
        """
        def f(log):
            try:
                yield 1
            finally:
                log.append("old")
        """,
        swap('"old"', '"new"'),
        setup="log = []; g = m.f(log); next(g)",
        check="""
            g.close(); assert log == ["old"]
            list(m.f(log)); assert log == ["old", "new"]
        """,
        fresh=False,
    ),
    Edit(
        "generator_method_of_instance",
        """
        class K:
            def items(self):
                for i in range(3):
                    yield i
            __iter__ = items
        """,
        swap("yield i", "yield i * 2"),
        setup="o = m.K(); it = iter(o); next(it)",
        check="assert list(o) == [0, 2, 4] == list(o.items()) and list(it) == [1, 2]",
        fresh=False,
    ),
    Edit(
        "coroutine_body_changed",
        """
        async def f(): return 1
        """,
        swap("return 1", "return 2"),
        setup="import asyncio; h = m.f",
        check="assert asyncio.run(h()) == 2",
    ),
    Edit(
        "coroutine_suspended_finishes_old_code",
        """
        import asyncio
        async def f(ev):
            await ev.wait()
            return "old"
        """,
        swap('"old"', '"new"'),
        setup="""
            import asyncio
            loop = asyncio.new_event_loop()
            async def begin():
                ev = asyncio.Event()
                task = loop.create_task(m.f(ev))
                await asyncio.sleep(0)
                return ev, task
            ev, task = loop.run_until_complete(begin())
        """,
        check="""
            async def end():
                ev.set()
                return await task, await m.f(ev)
            assert loop.run_until_complete(end()) == ("old", "new")
            loop.close()
        """,
        fresh=False,
    ),
    Edit(
        "coroutine_to_function",
        "async def f(): return 1\n",
        "def f(): return 2\n",
        setup="h = m.f",
        check="""
            import inspect
            assert h() == 2 and not inspect.iscoroutinefunction(h)
        """,
    ),
    Edit(
        "function_to_coroutine_held_by_caller",
        """
        import asyncio
        def f(): return 1
        async def call(): return f()
        """,
        swap(
            "def f(): return 1",
            "async def f(): return 2",
            "return f()",
            "return await f()",
        ),
        setup="c = m.call; h = m.f",
        check="""
            import asyncio, inspect
            assert asyncio.run(c()) == 2 and inspect.iscoroutinefunction(h)
        """,
    ),
    Edit(
        "async_generator_body_changed_while_one_runs",
        """
        async def f():
            yield 1
            yield 2
        """,
        swap("yield 2", "yield 20"),
        setup="""
            import asyncio
            loop = asyncio.new_event_loop()
            a = m.f(); loop.run_until_complete(a.__anext__())
        """,
        check="""
            async def rest(it): return [x async for x in it]
            assert loop.run_until_complete(rest(a)) == [2]
            assert loop.run_until_complete(rest(m.f())) == [1, 20]
            loop.close()
        """,
        fresh=False,
    ),
    Edit(
        "async_generator_to_generator",
        """
        async def f():
            yield 1
        """,
        """
        def f():
            yield 2
        """,
        setup="h = m.f",
        check="assert list(h()) == [2]",
    ),
    Edit(
        "generator_to_async_generator",
        """
        def f():
            yield 1
        """,
        """
        async def f():
            yield 2
        """,
        setup="h = m.f",
        check="""
            import asyncio, inspect
            async def all(): return [x async for x in h()]
            assert asyncio.run(all()) == [2] and inspect.isasyncgenfunction(h)
        """,
    ),
    Edit(
        "async_comprehension_and_with",
        """
        class Ctx:
            async def __aenter__(self): return 1
            async def __aexit__(self, *exc): return None
        async def f():
            async with Ctx() as c:
                return [x async for x in g(c)]
        async def g(c):
            yield c
        """,
        swap("return 1\n", "return 5\n", "yield c", "yield c * 2"),
        setup="h = m.f",
        check="import asyncio; assert asyncio.run(h()) == [10]",
    ),
    Edit(
        "function_running_in_thread_finishes_old_code",
        """
        def f(started, go):
            started.set()
            go.wait(10)
            return "old"
        """,
        swap('"old"', '"new"'),
        setup="""
            import threading
            from concurrent.futures import ThreadPoolExecutor
            started, go = threading.Event(), threading.Event()
            pool = ThreadPoolExecutor(1)
            old = pool.submit(m.f, started, go); started.wait(10)
        """,
        check="""
            go.set()
            assert old.result(10) == "old" and m.f(started, go) == "new"
            pool.shutdown()
        """,
        fresh=False,
    ),
    Edit(
        "loop_in_thread_sees_new_callee",
        """
        import time
        def tick(): return "old"
        def loop(seen, stop):
            while not stop.is_set():
                seen.add(tick())
                time.sleep(0.001)
        """,
        swap('"old"', '"new"'),
        setup="""
            import threading, time
            seen, stop = set(), threading.Event()
            t = threading.Thread(target=m.loop, args=(seen, stop)); t.start()
            while not seen: time.sleep(0.001)
        """,
        check="""
            deadline = time.monotonic() + 2
            while "new" not in seen and time.monotonic() < deadline:
                time.sleep(0.001)
            stop.set(); t.join()
            assert "new" in seen
        """,
    ),
    Edit(
        "contextmanager_body_changed",
        """
        from contextlib import contextmanager
        @contextmanager
        def ctx(log):
            log.append("enter")
            yield 1
            log.append("leave")
        """,
        swap("yield 1", "yield 2", '"leave"', '"bye"'),
        setup="h = m.ctx",
        check="""
            log = []
            with h(log) as v:
                assert v == 2
            assert log == ["enter", "bye"] and m.ctx is h
        """,
    ),
    Edit(
        "contextmanager_open_leaves_by_old_code",
        """
        from contextlib import contextmanager
        @contextmanager
        def ctx(log):
            yield
            log.append("old")
        """,
        swap('"old"', '"new"'),
        setup="log = []; c = m.ctx(log); c.__enter__()",
        check="""
            c.__exit__(None, None, None)
            with m.ctx(log): pass
            assert log == ["old", "new"]
        """,
        fresh=False,
    ),
    Edit(
        "contextmanager_used_as_decorator",
        """
        from contextlib import contextmanager
        LOG = []
        @contextmanager
        def around():
            LOG.append("a")
            yield
            LOG.append("z")
        @around()
        def f(): return 1
        """,
        swap('"z"', '"Z"', "return 1", "return 2"),
        setup="h = m.f; log = m.LOG",
        check="assert h() == 2 and log[-1] == 'Z' and m.LOG is log",
    ),
    Edit(
        "async_contextmanager",
        """
        from contextlib import asynccontextmanager
        @asynccontextmanager
        async def ctx():
            yield 1
        """,
        swap("yield 1", "yield 2"),
        setup="h = m.ctx",
        check="""
            import asyncio
            async def go():
                async with h() as v:
                    return v
            assert asyncio.run(go()) == 2
        """,
    ),
    Edit(
        "generator_deleted_while_one_runs",
        GEN,
        "other = 1\n",
        setup="g = m.f(); next(g)",
        check="assert not hasattr(m, 'f') and list(g) == [2, 3]",
        fresh=False,
    ),
]
