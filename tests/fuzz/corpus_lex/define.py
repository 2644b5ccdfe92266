import a; b = 1
@a
# c

async def f(x: int = {1: 2}) -> T:
    """doc
"""
    return lambda y=1: y


class A(B): x: int; y = 2
