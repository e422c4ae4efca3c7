"""Expressions print formulas as C++ instead of computing them, so that each formula has one source.

An element-wise function of tensors that is called with expressions returns a tree of its
operations. The printed C++ has the same operations as PyTorch, one by one; with arithmetic.h each
operates on as many elements as fit into a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from devices.responses import single


class Expression:
    """A number or truth value for each element; operations on expressions return expressions.

    code: C++, with {} for each of the parts. Operations that cannot be printed as C++ raise
    NotImplementedError.
    """

    def __init__(self, code: str, *parts: Expression | float):
        self.code = code
        self.parts = [part if isinstance(part, Expression) else literal(part) for part in parts]

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Print torch.where, the only function of torch that may be called with expressions."""
        if function is not torch.where or kwargs:
            raise NotImplementedError(f"{function} cannot be printed as C++")
        which, yes, no = args
        return cls("{} ? {} : {}", which, yes, no)

    def __getattr__(self, name: str):
        raise NotImplementedError(f"{name} cannot be printed as C++")

    def where(self, which: Expression, other: Expression | float) -> Expression:
        return Expression("{} ? {} : {}", which, self, other)

    def clamp(
        self, min: Expression | float | None = None, max: Expression | float | None = None
    ) -> Expression:
        if min is None or max is None:
            raise NotImplementedError("a clamp to one side cannot be printed as C++")
        return Expression("clamped({}, {}, {})", self, min, max)

    def abs(self) -> Expression:
        return Expression("absolute({})", self)

    def exp(self) -> Expression:
        return Expression("exponential({})", self)

    def floor(self) -> Expression:
        return Expression("floored({})", self)

    def sqrt(self) -> Expression:
        return Expression("square_root({})", self)

    def element_size(self) -> int:
        """Return the bytes of an element in single precision."""
        return 4

    def __neg__(self) -> Expression:
        return Expression("-{}", self)


def binary(sign: str, is_reversed: bool = False) -> Callable:
    def method(self, other: Expression | float) -> Expression:
        return Expression(f"{{}} {sign} {{}}", *((other, self) if is_reversed else (self, other)))

    return method


for name, sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/"}.items():
    setattr(Expression, f"__{name}__", binary(sign))
    setattr(Expression, f"__r{name}__", binary(sign, is_reversed=True))
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "ne": "!=", "and": "&", "or": "|"}
for name, sign in COMPARISONS.items():
    setattr(Expression, f"__{name}__", binary(sign))


def literal(number: float) -> Expression:
    """Return a number, rounded to single precision, as an expression."""
    return Expression(f"all({single(number).hex()}f)")


def statements(results: Mapping[str, Expression]) -> str:
    """Return C++ that sets variables to expressions; common parts are computed once."""
    names: dict[Expression, str] = {}
    lines = []

    def name_of(expression: Expression) -> str:
        if not expression.parts:
            return expression.code
        if expression not in names:
            code = expression.code.format(*map(name_of, expression.parts))
            names[expression] = f"v{len(names)}"
            lines.append(f"    const auto {names[expression]} = {code};")
        return names[expression]

    ends = [f"    {name} = {name_of(result)};" for name, result in results.items()]
    return "\n".join([*lines, *ends])
