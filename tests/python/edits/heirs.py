"""What inherits from, or has a field of, a class that is made again."""

from . import Edit

EDITS = [
    Edit(
        "dataclass_field_added_in_a_base",
        """
            from dataclasses import dataclass
            @dataclass
            class B:
                a:int=1
            @dataclass
            class K(B):
                b:int=2
            @dataclass
            class L(K):
                c:int=3
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
            @dataclass
            class L(K):
                c:int=3
        """,
        setup="k=m.L();",
        check="""
            assert repr(m.K())=="K(a=1, aa=11, b=2)", m.K()
            assert repr(m.L())=="L(a=1, aa=11, b=2, c=3)"
            import dataclasses
            assert [f.name for f in dataclasses.fields(k)]==["a","aa","b","c"]
        """,
    ),
    Edit(
        "dataclass_field_added_in_a_base_elsewhere",
        {
            "m.py": """
                from dataclasses import dataclass
                from base import B
                @dataclass
                class K(B):
                    b:int=2
            """,
            "base.py": """
                from dataclasses import dataclass
                @dataclass
                class B:
                    a:int=1
            """,
        },
        {
            "base.py": """
                from dataclasses import dataclass
                @dataclass
                class B:
                    a:int=1
                    aa:int=11
            """,
        },
        setup="k=m.K()",
        check='assert repr(m.K())=="K(a=1, aa=11, b=2)", m.K()',
    ),
    Edit(
        "pydantic_field_added_in_a_base",
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 1
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 1
                b: int = 2
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        setup="o=m.K(a=3)",
        check="""
            assert m.K(b=5).b==5
            assert m.S(b=5).b==5
            assert "b" in m.S.model_fields
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_default_changed_in_a_base",
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 1
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 10
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        setup="o=m.K()",
        check="""
            assert m.K().a==10
            assert m.S().a==10
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_validator_removed_in_a_base",
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 1
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 1
                i: I = I()
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        setup="o=m.K(a=3)",
        check="""
            assert m.K(a=3).a==3
            assert m.S(a=3).a==3
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_field_added_in_a_model_that_is_a_field",
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
            class K(BaseModel):
                a: int = 1
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        """
            from pydantic import BaseModel, field_validator
            class I(BaseModel):
                n: int = 1
                m: str = "m"
            class K(BaseModel):
                a: int = 1
                i: I = I()
                @field_validator("a")
                @classmethod
                def va(cls,v): return v+1
                def f(self): return self.a
            class S(K):
                s: str = "s"
        """,
        setup="o=m.K(a=3)",
        check="""
            assert m.I(m="x").m=="x"
            assert m.K.model_validate({"i":{"n":2,"m":"q"}}).i.m=="q"
            assert m.S.model_validate({"i":{"n":2,"m":"q"}}).i.m=="q"
            assert "m" in m.K.model_json_schema()["$defs"]["I"]["properties"]
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_model_that_is_a_field_elsewhere",
        {
            "m.py": """
                from base import I
                from pydantic import BaseModel
                class K(BaseModel):
                    i: I
                    l: list[I] = []
            """,
            "base.py": """
                from pydantic import BaseModel
                class I(BaseModel):
                    n: int = 1
            """,
        },
        {
            "base.py": """
                from pydantic import BaseModel
                class I(BaseModel):
                    n: int = 1
                    z: int = 2
            """,
        },
        setup='k=m.K(i={"n":1})',
        check="""
            assert m.K(i={"n":1,"z":7}).i.z==7
            assert m.K(i={}).model_dump()=={"i":{"n":1,"z":2},"l":[]}
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_dataclass_that_is_a_field",
        """
            from pydantic import BaseModel
            from dataclasses import dataclass
            @dataclass
            class D:
                x:int=1
            class K(BaseModel):
                d: D = D()
        """,
        """
            from pydantic import BaseModel
            from dataclasses import dataclass
            @dataclass
            class D:
                x:int=1
                y:int=2
            class K(BaseModel):
                d: D = D()
        """,
        setup="o=m.K()",
        check='assert m.K(d={"x":1,"y":5}).d.y==5',
        needs="pydantic",
    ),
    Edit(
        "pydantic_generic_model_with_parameters",
        """
            from pydantic import BaseModel
            from typing import Generic, TypeVar
            T=TypeVar("T")
            class G(BaseModel, Generic[T]):
                x: T
            class K(G[int]):
                y: int = 1
        """,
        """
            from pydantic import BaseModel
            from typing import Generic, TypeVar
            T=TypeVar("T")
            class G(BaseModel, Generic[T]):
                x: T
                z: int = 4
            class K(G[int]):
                y: int = 1
        """,
        check="""
            assert m.G[int](x=1).z==4
            assert m.K(x=1).z==4
        """,
        needs="pydantic",
    ),
    Edit(
        "pydantic_validated_objects_are_of_the_class",
        """
        from pydantic import BaseModel
        class K(BaseModel):
            a: int = 1
        """,
        """
        from pydantic import BaseModel
        class K(BaseModel):
            a: int = 1
            b: int = 2
        """,
        setup="k = m.K",
        check="o = m.K.model_validate({'b': 3}); assert type(o) is k and o.b == 3",
        needs="pydantic",
    ),
    Edit(
        "pydantic_field_of_a_field_taken_back",
        """
        from pydantic import BaseModel
        class I(BaseModel):
            n: int = 1
        class K(BaseModel):
            i: I = I()
        """,
        """
        from pydantic import BaseModel
        class I(BaseModel):
            n: int = 1
            z: int = 2
        class K(BaseModel):
            i: I = I()
        """,
        setup="k = m.K",
        mid="assert k.model_validate({'i': {'z': 3}}).i.z == 3",
        check="""
            o = k.model_validate({'i': {'z': 3}})
            assert not hasattr(o.i, 'z') and type(o.i) is m.I
        """,
        revert=True,
        quiet=True,
        needs="pydantic",
    ),
    Edit(
        "dataclass_that_moved_computes_from_a_changed_name",
        """
        from dataclasses import dataclass
        LIMIT = 1
        @dataclass
        class K:
            limit: int = LIMIT
        @dataclass
        class Other:
            other: int = 3
        """,
        """
        from dataclasses import dataclass
        # Lines that move
        # what is below.
        def added(): return 1
        LIMIT = 2
        @dataclass
        class K:
            limit: int = LIMIT
        @dataclass
        class Other:
            other: int = 3
        """,
        setup="k = m.K; o = m.Other",
        check="""
            assert k is m.K and m.K().limit == 2, m.K()
            assert o is m.Other and m.Other().other == 3
        """,
    ),
]
