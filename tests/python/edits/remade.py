"""Classes that are made again, and what CPython keeps about a class.

What the program has set on a class that a save makes again is the program's; nested
classes keep their identity; abstract members, caches of isinstance(), the slot of
`__new__` and the metaclass follow.
"""

from . import Edit

EDITS = [
    Edit(
        "remade_method_set_by_the_program_stays",
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                a: int = 1
                b: str = "b"
                def f(self): return self.a
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                a: int = 1
                c: int = 0
                b: str = "b"
                def f(self): return self.a
        """,
        setup="""
            def ff(self): return "patched"
            m.K.f=ff
        """,
        check="""
            assert m.K().f()=="patched", m.K().f()
            assert m.K().c == 0
        """,
    ),
    Edit(
        "remade_attribute_added_by_the_program_stays",
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                a: int = 1
                b: str = "b"
                def f(self): return self.a
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                a: int = 1
                c: int = 0
                b: str = "b"
                def f(self): return self.a
        """,
        setup="m.K.inj=5",
        check="""
            assert m.K.inj==5
            assert m.K().c == 0
        """,
    ),
    Edit(
        "remade_what_the_program_deleted_stays_deleted",
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                x:int=1
                y:int=1
                def f(self): return 1
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                x:int=1
                y:int=2
                def f(self): return 1
        """,
        setup="del m.K.f; m.K.g=lambda s: 4; m.K.x=9",
        check="""
            assert not hasattr(m.K,"f")
            assert m.K().g()==4
            assert m.K.y==2
        """,
    ),
    Edit(
        "remade_for_a_base_keeps_state",
        """
            class M: pass
            class K:
                cnt=0
                reg=[]
                def f(self): return 1
        """,
        """
            class M: pass
            class K(M):
                cnt=0
                reg=[]
                def f(self): return 1
        """,
        setup="""
            m.K.cnt=5; m.K.reg.append(1); r=m.K.reg; m.K.inj=7
            def pf(self): return "p"
            m.K.f=pf
        """,
        check="""
            assert m.K.cnt==5, m.K.cnt
            assert m.K.reg is r and r==[1]
            assert m.K.inj==7
            assert m.K().f()=="p"
            assert m.K.__bases__ == (m.M,)
        """,
    ),
    Edit(
        "remade_enum_keeps_state",
        """
            from enum import Enum
            class E(Enum):
                A=1
                def f(self): return 1
        """,
        """
            from enum import Enum
            class E(Enum):
                A=1
                B=2
                def f(self): return 1
        """,
        setup="""
            m.E.inj=7
            def pf(self): return "p"
            m.E.f=pf
        """,
        check="""
            assert m.E.inj==7, "lost"
            assert m.E.A.f()=="p"
            assert m.E.B.value == 2
        """,
    ),
    Edit(
        "remade_for_a_keyword_keeps_state",
        """
            class B:
                def __init_subclass__(cls,t=0): cls.t=t
            class K(B,t=1):
                cnt=0
        """,
        """
            class B:
                def __init_subclass__(cls,t=0): cls.t=t
            class K(B,t=2):
                cnt=0
        """,
        setup="m.K.cnt=5; m.K.inj=6",
        check="assert m.K.cnt==5 and m.K.inj==6 and m.K.t==2",
    ),
    Edit(
        "remade_decorated_class_keeps_state",
        """
            def addm(c):
                c.extra=lambda self: 1
                return c
            @addm
            class K:
                x=1
                cnt=0
        """,
        """
            def addm(c):
                c.extra=lambda self: 1
                return c
            @addm
            class K:
                x=2
                cnt=0
        """,
        setup='m.K.cnt=9; o=m.K(); m.K.dyn="d"',
        check="""
            assert o.extra()==1 and o.x==2
            assert m.K.cnt==9, m.K.cnt
            assert m.K.dyn=="d"
        """,
    ),
    Edit(
        "remade_nested_classes_stay_the_same",
        """
            from dataclasses import dataclass
            from enum import Enum
            @dataclass
            class K:
                z:int=1
                class I:
                    y=1
                    def f(self): return 1
                class E(Enum):
                    A=1
        """,
        """
            from dataclasses import dataclass
            from enum import Enum
            @dataclass
            class K:
                z:int=2
                class I:
                    y=1
                    def f(self): return 1
                class E(Enum):
                    A=1
        """,
        setup="i=m.K.I(); I=m.K.I; E=m.K.E; a=E.A",
        check="""
            assert m.K.I is I
            assert isinstance(i,m.K.I)
            assert m.K.E is E and m.K.E.A is a
            assert m.K().z == 2
        """,
    ),
    Edit(
        "remade_nested_enum_in_pydantic_stays",
        """
            from pydantic import BaseModel
            from enum import Enum
            class K(BaseModel):
                class E(str,Enum):
                    A="a"
                e: E = E.A
                z: int = 1
        """,
        """
            from pydantic import BaseModel
            from enum import Enum
            class K(BaseModel):
                class E(str,Enum):
                    A="a"
                e: E = E.A
                z: int = 2
        """,
        setup="a=m.K.E.A; o=m.K()",
        check="""
            assert m.K.E.A is a
            assert m.K().e is o.e
            assert m.K().e==o.e
            assert m.K().z == 2
        """,
        needs="pydantic",
    ),
    Edit(
        "remade_nested_class_changes_later",
        """
            class M: pass
            class K:
                class I:
                    def f(self): return 1
                def mk(self): return self.I()
        """,
        """
            class M: pass
            class K(M):
                class I:
                    def f(self): return 1
                def mk(self): return self.I()
        """,
        setup="k=m.K(); i=k.mk()",
        check="""
            assert isinstance(i,m.K.I)
            assert i.f()==2
        """,
        then=(
            """
                class M: pass
                class K(M):
                    class I:
                        def f(self): return 2
                    def mk(self): return self.I()
            """,
        ),
    ),
    Edit(
        "remade_nested_class_changes_in_a_decorated_one",
        """
            from dataclasses import dataclass
            class K:
                z:int=1
                class I:
                    y=1
        """,
        """
            from dataclasses import dataclass
            @dataclass
            class K:
                z:int=1
                class I:
                    y=1
        """,
        setup="i=m.K.I(); I=m.K.I",
        check="""
            assert m.K.I is I
            assert i.y==2
        """,
        then=(
            """
                from dataclasses import dataclass
                @dataclass
                class K:
                    z:int=1
                    class I:
                        y=2
            """,
            """
                from dataclasses import dataclass
                @dataclass
                class K:
                    z:int=2
                    class I:
                        y=2
            """,
        ),
    ),
    Edit(
        "remade_nested_class_has_changed_before",
        """
            class B:
                def b(self): return "b"
            class K(B):
                "doc"
                x = 1
                def f(self): return self.x
                class I:
                    y = 1
        """,
        """
            class B:
                def b(self): return "b"
            class K(B):
                "doc"
                x = 1
                def f(self): return self.x
                class I:
                    y = 2
                    def q(self): return __class__
        """,
        setup="i=m.K.I(); I=m.K.I",
        check="""
            assert m.K.I is I
            assert i.q() is I
        """,
        then=(
            """
                class B:
                    def b(self): return "b"
                class M: pass
                class K(M,B):
                    "doc"
                    x = 1
                    def f(self): return self.x
                    class I:
                        y = 2
                        def q(self): return __class__
            """,
        ),
    ),
    Edit(
        "init_subclass_added_is_a_class_method",
        """
            class K:
                x=1
                def f(self): return 1
        """,
        """
            class K:
                x=1
                def __init_subclass__(cls,**k): cls.sub=True
                def f(self): return 1
        """,
        check="""
            class S(m.K): pass
            assert S.sub
        """,
    ),
    Edit(
        "class_getitem_added_is_a_class_method",
        """
            class K:
                x=1
                def f(self): return 1
        """,
        """
            class K:
                x=1
                def __class_getitem__(cls,i): return (cls,i)
                def f(self): return 1
        """,
        check="assert m.K[3]==(m.K,3)",
    ),
    Edit(
        "special_new_added_is_a_static_method",
        """
            class K:
                x=1
        """,
        """
            class K:
                x=1
                def __new__(cls): o=super().__new__(cls); o.z=5; return o
                def __init_subclass__(cls): cls.q=1
                def __class_getitem__(cls,i): return i
        """,
        setup="o=m.K()",
        check="""
            assert o.__new__(m.K).z==5
            assert isinstance(vars(m.K)["__new__"],staticmethod)
            assert isinstance(vars(m.K)["__init_subclass__"],classmethod)
            class Z(m.K): pass
            assert Z.q==1
            assert m.K[3]==3
        """,
    ),
    Edit(
        "special_new_removed",
        """
            class L:
                def __new__(cls,a): o=super().__new__(cls); o.a=a*2; return o
            class S(L): pass
        """,
        """
            class L:
                def __init__(self,a): self.a=a
            class S(L): pass
        """,
        check="""
            assert m.L(2).a==2
            assert m.S(2).a==2
        """,
    ),
    Edit(
        "special_new_added_and_removed",
        """
            class L:
                def f(self): return 1
        """,
        """
            class L:
                def f(self): return 1
                def __new__(cls): return super().__new__(cls)
        """,
        check="assert m.L(3).a==3",
        then=(
            """
                class L:
                    def f(self): return 1
            """,
            """
                class L:
                    def f(self): return 1
                    def __init__(self,a): self.a=a
            """,
        ),
    ),
    Edit(
        "enum_alias_becomes_a_member",
        """
            from enum import Enum
            class E(Enum):
                A = 1
                B = 1
                C = 3
        """,
        """
            from enum import Enum
            class E(Enum):
                A = 1
                B = 2
                C = 3
        """,
        setup="a=m.E.A",
        check="""
            assert a.name=="A" and a.value==1, a
            assert m.E["A"] is a and m.E(1) is a
            assert m.E.B is not a and m.E.B.value==2
            assert [x.name for x in m.E]==["A","B","C"], list(m.E)
        """,
    ),
    Edit(
        "pydantic_computed_field_added",
        """
            from typing import ClassVar
            from pydantic import BaseModel, computed_field
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def f(self): return self.a
        """,
        """
            from typing import ClassVar
            from pydantic import BaseModel, computed_field
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                @computed_field
                @property
                def c(self) -> int: return self.a*2
                def f(self): return self.a
        """,
        setup="o=m.K()",
        check='assert m.K().model_dump()=={"a":1,"c":2}',
        needs="pydantic",
    ),
    Edit(
        "pydantic_validator_added",
        """
            from typing import ClassVar
            from pydantic import BaseModel, field_validator
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def f(self): return self.a
        """,
        """
            from typing import ClassVar
            from pydantic import BaseModel, field_validator
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                @field_validator("a")
                @classmethod
                def v(cls,x): return x+1
                def f(self): return self.a
        """,
        setup="o=m.K()",
        check="assert m.K(a=1).a==2",
        needs="pydantic",
    ),
    Edit(
        "pydantic_model_validator_added_last",
        """
            from typing import ClassVar
            from pydantic import BaseModel, model_validator
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def f(self): return self.a
        """,
        """
            from typing import ClassVar
            from pydantic import BaseModel, model_validator
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def f(self): return self.a
                @model_validator(mode="after")
                def v(self): self.a=77; return self
        """,
        setup="o=m.K()",
        check="assert m.K(a=1).a==77",
        needs="pydantic",
    ),
    Edit(
        "pydantic_serializer_added",
        """
            from typing import ClassVar
            from pydantic import BaseModel, field_serializer
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def f(self): return self.a
        """,
        """
            from typing import ClassVar
            from pydantic import BaseModel, field_serializer
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                @field_serializer("a")
                def ser(self,v): return str(v)
                def f(self): return self.a
        """,
        setup="o=m.K()",
        check='assert m.K(a=1).model_dump()=={"a":"1"}',
        needs="pydantic",
    ),
    Edit(
        "pydantic_validator_mode",
        """
            from typing import ClassVar
            from pydantic import BaseModel, field_validator
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                @field_validator("a",mode="after")
                @classmethod
                def v(cls,x): return type(x)(x)
                def f(self): return self.a
        """,
        """
            from typing import ClassVar
            from pydantic import BaseModel, field_validator
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                @field_validator("a",mode="before")
                @classmethod
                def v(cls,x): return 5
                def f(self): return self.a
        """,
        setup="o=m.K()",
        check='assert m.K(a="zz").a==5',
        needs="pydantic",
    ),
    Edit(
        "pydantic_post_init_added",
        """
            from typing import ClassVar
            from pydantic import BaseModel
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def f(self): return self.a
        """,
        """
            from typing import ClassVar
            from pydantic import BaseModel
            class K(BaseModel):
                cnt: ClassVar[int] = 0
                a: int = 1
                def model_post_init(self,ctx): self.a=9
                def f(self): return self.a
        """,
        setup="o=m.K()",
        check="assert m.K().a==9",
        needs="pydantic",
    ),
    Edit(
        "abc_member_added_above_a_subclass",
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K(B):
                def f(self): return 1
        """,
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
                @abstractmethod
                def g(self): ...
            class K(B):
                def f(self): return 1
        """,
        setup="o=m.K()",
        check="""
            try: m.K()
            except TypeError as e: assert "g" in str(e)
            else: assert 0,"instantiable"
            assert o.f()==1
        """,
        fresh=False,
    ),
    Edit(
        "abc_implementation_removed_above_a_subclass",
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K(B):
                def f(self): return 1
            class S(K): pass
        """,
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K(B):
                pass
            class S(K): pass
        """,
        setup="o=m.K()",
        check="""
            for k in (m.K,m.S):
                try: k()
                except TypeError as e: pass
                else: assert 0,k
        """,
        fresh=False,
    ),
    Edit(
        "abc_implementation_added_above_a_subclass",
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K(B):
                pass
            class S(K): pass
        """,
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K(B):
                def f(self): return 2
            class S(K): pass
        """,
        check="assert m.K().f()==2; assert m.S().f()==2",
    ),
    Edit(
        "abc_member_no_longer_abstract_in_another_file",
        {
            "m.py": """
                from base import B
                class K(B):
                    pass
                class S(K): pass
            """,
            "base.py": """
                from abc import ABC, abstractmethod
                class B(ABC):
                    @property
                    @abstractmethod
                    def f(self): ...
            """,
        },
        {
            "base.py": """
                from abc import ABC, abstractmethod
                class B(ABC):
                    @property
                    def f(self): return 3
            """,
        },
        check="assert m.K().f==3; assert m.S().f==3",
    ),
    Edit(
        "abc_member_becomes_abstract_below_as_well",
        """
            from abc import ABC, abstractmethod
            class K(ABC):
                def f(self): pass
            class S(K): pass
        """,
        """
            from abc import ABC, abstractmethod
            class K(ABC):
                @abstractmethod
                def f(self): pass
            class S(K): pass
        """,
        setup="k=m.K",
        check="""
            for c in (m.K,m.S):
                try: c()
                except TypeError: pass
                else: assert 0,c
        """,
    ),
    Edit(
        "abc_subclass_outside_of_every_module",
        """
            from abc import ABC, abstractmethod
            class K(ABC):
                def f(self): pass
        """,
        """
            from abc import ABC, abstractmethod
            class K(ABC):
                @abstractmethod
                def f(self): pass
        """,
        setup="class S(m.K): pass",
        check="""
            try: S()
            except TypeError: pass
            else: assert 0
        """,
    ),
    Edit(
        "metaclass_removed",
        """
            class M(type):
                def hello(cls): return cls.__name__
            class K(metaclass=M):
                x=1
        """,
        """
            class M(type):
                def hello(cls): return cls.__name__
            class K:
                x=1
        """,
        setup="k=m.K; o=k()",
        check="""
            assert not hasattr(m.K,"hello")
            assert type(m.K) is type, type(m.K)
        """,
    ),
    Edit(
        "metaclass_abc_removed",
        """
            from abc import ABC, abstractmethod
            class K(ABC):
                @abstractmethod
                def f(self): pass
                x=1
        """,
        """
            from abc import ABC, abstractmethod
            class K:
                def f(self): pass
                x=1
        """,
        setup="k=m.K",
        check="""
            assert m.K().f() is None
            assert m.K.__bases__==(object,)
            assert type(m.K) is type, type(m.K)
        """,
    ),
    Edit(
        "metaclass_abc_base_added_to_a_plain_class",
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K:
                x=1
        """,
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @abstractmethod
                def f(self): ...
            class K(B):
                x=1
        """,
        setup="k=m.K; o=k()",
        check="""
            assert isinstance(o,m.B)
            try: m.K()
            except TypeError: pass
            else: assert 0
        """,
        fresh=False,
    ),
    Edit(
        "metaclass_given_to_a_plain_class",
        """
            class M(type):
                def hello(cls): return cls.__name__
            class K: pass
        """,
        """
            class M(type):
                def hello(cls): return cls.__name__
            class K(metaclass=M): pass
        """,
        setup="k=m.K",
        check='assert m.K is k and k.hello()=="K"',
    ),
    Edit(
        "slots_in_another_order",
        """
            class K:
                __slots__=("a","b")
        """,
        """
            class K:
                __slots__=("b","a")
        """,
        setup="o=m.K(); o.a=1; o.b=2",
        check="""
            assert o.a==1 and o.b==2
            assert m.K.__slots__ == ('b', 'a')
        """,
    ),
    Edit(
        "slots_list_to_tuple",
        """
            class K:
                __slots__=["a","b"]
        """,
        """
            class K:
                __slots__=("a","b")
        """,
        setup="o=m.K(); o.a=1; o.b=2",
        check="""
            assert o.a==1 and o.b==2
            assert m.K.__slots__ == ('a', 'b')
        """,
    ),
    Edit(
        "slots_docs_changed",
        """
            class K:
                __slots__={"a":"doc a"}
        """,
        """
            class K:
                __slots__={"a":"doc b"}
        """,
        setup="o=m.K(); o.a=1",
        check="""
            assert o.a==1
            import inspect; assert inspect.getdoc(m.K.a)=="doc b", inspect.getdoc(m.K.a)
        """,
    ),
    Edit(
        "slots_empty_mixin_first",
        """
            class M:
                __slots__=()
                def mm(self): return 5
            class B:
                __slots__=("a",)
            class K(B):
                __slots__=("b",)
        """,
        """
            class M:
                __slots__=()
                def mm(self): return 5
            class B:
                __slots__=("a",)
            class K(M,B):
                __slots__=("b",)
        """,
        setup="o=m.K(); o.b=1",
        check="assert o.mm()==5 and o.b==1",
    ),
    Edit(
        "isinstance_of_an_abc_that_said_no",
        """
            class K:
                x=1
        """,
        """
            class K:
                x=1
                def __iter__(self): return iter([])
                def __len__(self): return 0
        """,
        setup="""
            from collections.abc import Iterable, Sized
            k = m.K(); was = isinstance(k, Iterable), isinstance(k, Sized)
        """,
        check="""
            assert isinstance(k,Iterable), "stale abc cache"
            assert isinstance(k,Sized)
        """,
    ),
    Edit(
        "isinstance_of_an_abc_that_said_yes",
        """
            class K:
                def __iter__(self): return iter([])
                x=1
        """,
        """
            class K:
                x=1
        """,
        setup="""
            from collections.abc import Iterable
            k = m.K(); was = isinstance(k, Iterable)
        """,
        check='assert not isinstance(k,Iterable), "stale abc cache"',
    ),
    Edit(
        "isinstance_of_a_base_that_comes",
        """
            from abc import ABC
            class B(ABC): pass
            class A(ABC): pass
            class K(A): pass
        """,
        """
            from abc import ABC
            class B(ABC): pass
            class A(ABC): pass
            class K(A,B): pass
        """,
        setup="k = m.K(); was = isinstance(k, m.B), issubclass(m.K, m.B)",
        check="""
            assert issubclass(m.K,m.B), "stale"
            assert isinstance(k,m.B)
        """,
    ),
    Edit(
        "isinstance_of_a_base_that_goes",
        """
            from abc import ABC
            class B(ABC): pass
            class A(ABC): pass
            class K(A,B): pass
        """,
        """
            from abc import ABC
            class B(ABC): pass
            class A(ABC): pass
            class K(A): pass
        """,
        setup="k = m.K(); was = isinstance(k, m.B), issubclass(m.K, m.B)",
        check="""
            assert not issubclass(m.K,m.B), "stale"
            assert not isinstance(k,m.B)
        """,
    ),
    Edit(
        "isinstance_by_a_changed_hook",
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @classmethod
                def __subclasshook__(cls,c): return True if c is int else NotImplemented
        """,
        """
            from abc import ABC, abstractmethod
            class B(ABC):
                @classmethod
                def __subclasshook__(cls,c): return True if c is str else NotImplemented
        """,
        setup='was = isinstance(1, m.B), isinstance("", m.B)',
        check="""
            assert isinstance("",m.B)
            assert not isinstance(1,m.B)
        """,
    ),
    Edit(
        "isinstance_of_a_protocol_that_grows",
        """
            from typing import Protocol, runtime_checkable
            @runtime_checkable
            class P(Protocol):
                def f(self): ...
            class A:
                def f(self): ...
            class B:
                def f(self): ...
                def g(self): ...
        """,
        """
            from typing import Protocol, runtime_checkable
            @runtime_checkable
            class P(Protocol):
                def f(self): ...
                def g(self): ...
            class A:
                def f(self): ...
            class B:
                def f(self): ...
                def g(self): ...
        """,
        setup="a, b = m.A(), m.B(); was = isinstance(a, m.P), isinstance(b, m.P)",
        check="assert isinstance(b,m.P); assert not isinstance(a,m.P)",
    ),
    Edit(
        "isinstance_of_a_protocol_with_data",
        """
            from typing import Protocol, runtime_checkable
            @runtime_checkable
            class P(Protocol):
                x: int
            class A:
                x=1
        """,
        """
            from typing import Protocol, runtime_checkable
            @runtime_checkable
            class P(Protocol):
                x: int
                y: str
            class A:
                x=1
        """,
        setup="a = m.A(); was = isinstance(a, m.P)",
        check='assert not isinstance(a,m.P); a.y=""; assert isinstance(a,m.P)',
        python=(3, 12),
    ),
    Edit(
        "isinstance_of_a_protocol_that_is_met_now",
        """
            from typing import Protocol, runtime_checkable
            @runtime_checkable
            class P(Protocol):
                def f(self): ...
            class A:
                pass
        """,
        """
            from typing import Protocol, runtime_checkable
            @runtime_checkable
            class P(Protocol):
                def f(self): ...
            class A:
                def f(self): ...
        """,
        setup="a = m.A(); was = isinstance(a, m.P)",
        check="assert isinstance(a,m.P); assert issubclass(m.A,m.P)",
    ),
    Edit(
        "type_parameter_removed_from_a_class",
        """
            class K[T]:
                def f(self, x: T) -> T: return x
            class L:
                def f(self): return 1
        """,
        """
            class K:
                def f(self, x): return x*2
            class L[Q]:
                def f(self) -> Q: return 1
        """,
        setup="o=m.K(); l=m.L()",
        check="""
            assert o.f(2)==4 and not m.K.__type_params__
            assert m.L.__type_params__[0].__name__=="Q"
            assert m.L[int] and isinstance(l,m.L)
            assert m.K.__bases__==(object,)
        """,
        python=(3, 12),
    ),
    Edit(
        "remade_class_under_if_keeps_state",
        """
        if True:
            class K:
                v = 1
        """,
        """
        if True:
            class K:
                v = 2
        """,
        setup="m.K.cache = 7; k = m.K",
        check="assert m.K is k and m.K.cache == 7 and m.K.v == 2",
    ),
    Edit(
        "remade_what_a_statement_added_stays",
        """
        class B: pass
        class K:
            pass
        K.z = 5
        """,
        """
        class B: pass
        class K(B):
            pass
        K.z = 5
        """,
        setup="k = m.K()",
        check="assert k.z == 5 and isinstance(k, m.B)",
    ),
    Edit(
        "remade_what_a_decorator_added_goes_with_it",
        """
        def more(c):
            c.extra = 1
            return c
        @more
        class K:
            pass
        """,
        """
        def more(c):
            c.extra = 1
            return c
        class K:
            pass
        """,
        setup="m.K.own = 2",
        check="assert not hasattr(m.K, 'extra') and m.K.own == 2",
    ),
    Edit(
        "slots_from_a_constant_that_grows",
        """
        N = ("a", "b")
        class K:
            __slots__ = N
        """,
        """
        N = ("a", "b", "c")
        class K:
            __slots__ = N
        """,
        setup="o = m.K(); o.a = 1",
        check="assert m.N == ('a', 'b') and not hasattr(m.K, 'c')",
        refused="HR301",
    ),
    Edit(
        "slots_and_a_class_variable_of_that_name",
        """
        class K:
            __slots__ = ("a",)
        """,
        """
        class K:
            __slots__ = ("a",)
            a = 5
        """,
        check="o = m.K(); o.a = 1; assert o.a == 1",
        refused="HR110",
    ),
]
