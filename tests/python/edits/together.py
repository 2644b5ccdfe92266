"""A save whose changed statements use the rest of the same save."""

from . import Edit, swap

EDITS = [
    Edit(
        "together_helper_and_its_call",
        """
            def h(a): return a
            R = h(1)
        """,
        """
            def h(a): return a * 10
            R = h(1) + 0
        """,
        check="assert m.R == 10, m.R",
    ),
    Edit(
        "together_signature_and_call",
        """
            def h(a): return a
            R = h(1)
        """,
        """
            def h(a, b): return a + b
            R = h(1, 5)
        """,
        check="assert m.R == 6, m.R",
    ),
    Edit(
        "together_init_and_instance",
        """
            class C:
                def __init__(s, a): s.a = a
            k = C(1)
        """,
        """
            class C:
                def __init__(s, a, b): s.a = a + b
            k = C(1, 5)
        """,
        check="assert m.k.a == 6",
    ),
    Edit(
        "together_class_attribute_and_its_use",
        """
            class H:
                A = 1
            R = H.A
        """,
        """
            class H:
                A = 1
                B = 2
            R = H.B
        """,
        check="assert m.R == 2",
    ),
    Edit(
        "together_enum_member_and_its_use",
        """
            from enum import Enum
            class E(Enum):
                A = 1
            D = E.A
        """,
        """
            from enum import Enum
            class E(Enum):
                A = 1
                B = 2
            D = E.B
        """,
        check="assert m.D is m.E.B",
    ),
    Edit(
        "together_dataclass_field_and_its_use",
        """
            from dataclasses import dataclass
            @dataclass
            class H:
                a: int
            R = H(1)
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class H:
                a: int
                b: int
            R = H(1, b=2)
        """,
        check="assert m.R.b == 2",
    ),
    Edit(
        "together_decorator_and_its_use",
        """
            def d(g): return g
            @d
            def h(): return 1
        """,
        """
            def d(n):
                def w(g): return lambda: g() + n
                return w
            @d(5)
            def h(): return 1
        """,
        check="assert m.h() == 6",
    ),
    Edit(
        "together_two_files_attribute",
        {
            "m.py": """
                import a
                R = a.A
            """,
            "a.py": """
                A = 1
            """,
        },
        {
            "m.py": """
                import a
                R = a.B
            """,
            "a.py": """
                A = 1
                B = 2
            """,
        },
        check="assert m.R == 2",
        ways=("apply",),
    ),
    Edit(
        "together_two_files_signature",
        {
            "m.py": """
                import a
                R = a.go()
            """,
            "a.py": """
                def go(): return 1
            """,
        },
        {
            "m.py": """
                import a
                R = a.go(5)
            """,
            "a.py": """
                def go(x=1): return x
            """,
        },
        check="assert m.R == 5",
        ways=("apply",),
    ),
    Edit(
        "together_two_files_value",
        {
            "m.py": """
                import a
                R = a.go()
            """,
            "a.py": """
                X = 1
                def go(): return X
            """,
        },
        {
            "m.py": """
                import a
                R = a.go() + 1
            """,
            "a.py": """
                X = 2
                def go(): return X
            """,
        },
        check="assert m.R == 3, m.R",
        ways=("apply",),
    ),
    Edit(
        "together_constant_read_by_unchanged_function",
        """
            X = 1
            def g(): return X
            R = g()
        """,
        """
            X = 2
            def g(): return X
            R = g() + 0
        """,
        check="assert m.R == 2, m.R",
    ),
    Edit(
        "together_name_read_by_unchanged_function",
        "def g(): return Y",
        """
            def g(): return Y
            Y = 5
            R = g()
        """,
        check="assert m.R == 5",
    ),
    Edit(
        "together_global_written_by_unchanged_function",
        """
            N = 0
            def g():
                global N
                N += 1
        """,
        """
            N = 0
            def g():
                global N
                N += 1
            g()
            R = N
        """,
        check="assert m.R == 1, m.R",
    ),
    Edit(
        "together_constant_read_by_unchanged_decorator",
        """
            P = 'a'
            R = {}
            def reg(g): R[P + g.__name__] = g; return g
        """,
        """
            P = 'b'
            R = {}
            def reg(g): R[P + g.__name__] = g; return g
            @reg
            def w(): pass
        """,
        check="assert 'bw' in m.R, list(m.R)",
    ),
    Edit(
        "together_global_written_by_changed_function",
        """
            N = 0
            def g(): pass
        """,
        """
            N = 0
            def g():
                global N
                N += 1
            g()
        """,
        check="assert m.N == 1, m.N",
    ),
    Edit(
        "together_circular_new_names",
        {
            "m.py": """
                import a
                def f(): return a.g()
            """,
            "a.py": """
                def k(): return 1
                from b import h
                def g(): return h()
            """,
            "b.py": """
                from a import k
                def h(): return k()
            """,
        },
        {
            "a.py": """
                def k(): return 1
                def k2(): return 2
                from b import h, h2
                def g(): return h2()
            """,
            "b.py": """
                from a import k, k2
                def h(): return k()
                def h2(): return k2()
            """,
        },
        check="assert m.f() == 2",
        ways=("apply",),
    ),
    Edit(
        "together_module_that_imports_itself",
        "X = 1",
        """
            X = 2
            import m
            Z = m.X
        """,
        check="assert m.Z == 2, m.Z",
    ),
    Edit(
        "together_doc_docs",
        """
            import re
            def slug(s): return s.lower()
            NAME = slug("Hello World")
        """,
        """
            import re
            def slug(s): return s.lower().replace(" ","-")
            NAME = slug("Hello New World")
        """,
        check='assert m.NAME=="hello-new-world", m.NAME',
    ),
    Edit(
        "together_two_files_func_used",
        {
            "m.py": """
                from a import mk
                X=mk(1)
            """,
            "a.py": """
                def mk(a): return a
            """,
        },
        {
            "m.py": """
                from a import mk
                X=mk(1,2)
            """,
            "a.py": """
                def mk(a,b): return (a,b)
            """,
        },
        check="assert m.X==(1,2)",
        ways=("apply",),
    ),
    Edit(
        "together_default_calls_changed_func",
        """
            def d(): return 1
            class K:
                def f(self, x=d()): return x
        """,
        """
            def d(): return 2
            class K:
                def f(self, x=d()+0): return x
        """,
        check="assert m.K().f()==2",
    ),
    Edit(
        "together_use_new_method_in",
        """
            class K:
                x=1
                def f(self): return 1
            V=0
        """,
        """
            class K:
                x=1
                def f(self): return 2
                @classmethod
                def make(cls): o=cls(); o.made=True; return o
                y=7
            V=K.make()
            W=(K.y, K().f())
        """,
        setup="k=m.K",
        check="assert m.V.made and type(m.V) is m.K and m.W==(7,2), m.W",
    ),
    Edit(
        "together_use_changed_attr",
        """
            class K:
                x=1
                def f(self): return self.x
            V=K.x
            W=K().f()
        """,
        """
            class K:
                x=2
                def f(self): return self.x
            V=K.x+1
            W=K().f()+0
        """,
        setup="k=m.K",
        check="""
            assert m.V==3, m.V
            assert m.W==2, m.W
        """,
    ),
    Edit(
        "together_sub_uses_new_base_member",
        """
            class B:
                x=1
            class K(B):
                z=0
        """,
        """
            class B:
                x=1
                def deco(f): f.tag=1; return f
                y=5
            class K(B):
                z=B.y
                @B.deco
                def g(self): return super().q()
                v=B().y
        """,
        setup="k=m.K",
        check="assert m.K.z==5 and m.K.g.tag==1 and m.K.v==5",
    ),
    Edit(
        "together_singleton_instance_remade",
        """
            class K:
                def __init__(self,a=1): self.a=a
                def f(self): return self.a
            ONE=K()
        """,
        """
            class K:
                def __init__(self,a=1,b=0): self.a=a; self.b=b
                def f(self): return self.a
            ONE=K(a=5,b=2)
        """,
        check="assert m.ONE.a==5 and m.ONE.b==2",
    ),
    Edit(
        "together_dataclass_used",
        """
            from dataclasses import dataclass
            @dataclass
            class P:
                x:int
            V=P(1)
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class P:
                x:int
                y:int=0
            V=P(1,2)
        """,
        setup="old=m.V",
        check="""
            assert m.V.y==2 and type(m.V) is m.P
            assert old.y==0
        """,
        fresh=False,
    ),
    Edit(
        "together_namedtuple_used",
        """
            from typing import NamedTuple
            class P(NamedTuple):
                x:int
            V=P(1)
        """,
        """
            from typing import NamedTuple
            class P(NamedTuple):
                x:int
                y:int=0
            V=P(1,2)
        """,
        setup="old=m.V",
        check="assert m.V==(1,2) and m.V.y==2 and type(m.V) is m.P",
    ),
    Edit(
        "together_enum_member_used",
        """
            from enum import Enum
            class E(Enum):
                A=1
            V=E.A
            class K:
                e=E.A
        """,
        """
            from enum import Enum
            class E(Enum):
                A=1
                B=2
            V=E.B
            class K:
                e=E.B
        """,
        setup="a=m.E.A",
        check="""
            assert m.V is m.E.B and m.K.e is m.E.B and m.E.A is a and m.E(2) is m.V
        """,
    ),
    Edit(
        "together_cross_module_class_used_same_batch",
        {
            "m.py": """
                import base
                from base import B
                V=0
                class K(B):
                    z=0
            """,
            "base.py": """
                class B:
                    x=1
            """,
        },
        {
            "m.py": """
                import base
                from base import B, N
                V=B.mk(N)
                class K(B):
                    z=base.B.y
                    w=B.y+N
            """,
            "base.py": """
                N=4
                class B:
                    x=1
                    y=9
                    @classmethod
                    def mk(cls,n): o=cls(); o.n=n; return o
            """,
        },
        setup="k=m.K(); import base",
        check="assert m.V.n==4 and type(m.V) is base.B and k.z==9 and k.w==13",
        ways=("apply",),
    ),
    Edit(
        "together_exception_used",
        """
            class E(Exception):
                x=1
            def f(): pass
        """,
        """
            class E(Exception):
                x=1
                def __init__(self,code=5): super().__init__(code); self.code=code
            try:
                raise E(3)
            except E as e:
                C=e.code
            def f(): pass
        """,
        check="assert m.C==3",
    ),
    Edit(
        "together_decorator_class_used",
        """
            class Deco:
                n=1
                def __call__(self,c): c.tag=self.n; return c
            class K:
                z=1
        """,
        """
            class Deco:
                n=5
                def __call__(self,c): c.tag=self.n; return c
            @Deco()
            class K:
                z=1
        """,
        check="assert m.K.tag==5, m.K.tag",
    ),
    Edit(
        "together_deco_body_used",
        """
            def deco(f): return f
            @deco
            def g(): return 1
        """,
        """
            def deco(f, n=0):
                f.n=n
                return f
            @lambda f: deco(f,5)
            def g(): return 1
        """,
        check="assert m.g.n==5",
    ),
    Edit(
        "together_meta_and_class",
        """
            class M(type):
                x=1
                def __new__(m,n,b,d,**k): d["q"]=1; return super().__new__(m,n,b,d)
            class K(metaclass=M):
                z=1
        """,
        """
            class M(type):
                x=1
                def __new__(m,n,b,d,**k):
                    d["q"]=k.get("w"); return super().__new__(m,n,b,d)
            class K(metaclass=M,w=8):
                z=1
        """,
        check="assert m.K.q==8",
    ),
    Edit(
        "together_init_subclass_and_sub",
        """
            class B:
                x=1
                def __init_subclass__(cls,**k): cls.v=1
            class K(B):
                z=1
        """,
        """
            class B:
                x=1
                def __init_subclass__(cls,**k): cls.v=2
            class K(B):
                z=2
        """,
        check="assert m.K.v==2 and m.K.z==2, m.K.v",
    ),
    Edit(
        "together_init_subclass_kw_both",
        """
            class B:
                x=1
                def __init_subclass__(cls,**k): super().__init_subclass__(**k)
            class K(B):
                z=1
        """,
        """
            class B:
                x=1
                def __init_subclass__(cls,tag,**k):
                    super().__init_subclass__(**k); cls.tag=tag
            class K(B,tag=4):
                z=1
        """,
        check="assert m.K.tag==4",
    ),
    Edit(
        "together_bases_generic_second_param",
        """
            from typing import Generic, TypeVar
            T=TypeVar("T");U=TypeVar("U")
            class B(Generic[T]): pass
            class K(B[int]):
                def f(self): return 1
        """,
        """
            from typing import Generic, TypeVar
            T=TypeVar("T");U=TypeVar("U")
            class B(Generic[T,U]): pass
            class K(B[int,str]):
                def f(self): return 1
        """,
        setup="o=m.K()",
        check="""
            assert m.B.__parameters__==(m.T,m.U) and m.B[int,str]
            assert m.K.__orig_bases__==(m.B[int,str],)
        """,
    ),
    Edit(
        "together_dc_frozen_sub_mismatch",
        """
            from dataclasses import dataclass
            @dataclass
            class A:
                x:int=1
            @dataclass
            class B(A):
                y:int=1
        """,
        """
            from dataclasses import dataclass
            @dataclass(frozen=True)
            class A:
                x:int=1
            @dataclass(frozen=True)
            class B(A):
                y:int=1
        """,
        setup="b=m.B()",
        check="""
            try: b.x=2
            except Exception as e: assert type(e).__name__=="FrozenInstanceError"
            else: assert 0
        """,
    ),
    Edit(
        "together_dataclass_base_field_and_sub",
        """
            from dataclasses import dataclass
            @dataclass
            class B:
                a:int=1
            @dataclass
            class K(B):
                b:int=2
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class B:
                a:int=1
                aa:int=11
            @dataclass
            class K(B):
                b:int=2
                c:int=3
        """,
        setup="k=m.K(); ",
        check='assert repr(m.K())=="K(a=1, aa=11, b=2, c=3)", m.K()',
    ),
    Edit(
        "together_class_and_objects_that_exist",
        """
        class K:
            a = 1
        O = K()
        T = {K: 5}
        """,
        """
        class K:
            a = 2
        O = K()
        T = {K: 5}
        X = (isinstance(O, K), T[K], K.a, K().a)
        """,
        setup="k, o = m.K, m.O",
        check="assert m.X == (True, 5, 2, 2)",
    ),
    Edit(
        "together_class_and_what_inherits_from_it",
        """
        class K:
            a = 1
        """,
        """
        class K:
            a = 2
        class L(K): pass
        X = (issubclass(L, K), L.a, type(L) is type, isinstance(L(), K))
        O = L()
        """,
        setup="k = m.K",
        check="""
            assert m.X[:2] == (True, 2) and m.X[3]
            assert type(m.L) is type(m.K) is type and m.L.__bases__ == (m.K,)
            assert m.K.__subclasses__() == [m.L] and type(m.O) is m.L
        """,
    ),
    Edit(
        "together_function_that_is_kept_out_of_sight",
        """
        import weakref
        REG = weakref.WeakSet()
        def h(): return 1
        """,
        """
        import weakref
        REG = weakref.WeakSet()
        def h(): return 2
        REG.add(h)
        X = h()
        """,
        then=(swap("return 2", "return 3"),),
        check="""
            import gc
            gc.collect()
            assert [f() for f in m.REG] == [3] and m.h() == 3
        """,
    ),
]
