"""The update of a pair in C++, written down from the one place where it stands in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import SimpleNamespace

from devices import lookup
from devices.ledger import is_dropped
from devices.pair import PairParameters, PairState
from devices.programming import update
from devices.responses import FAMILIES, Table
from models.kernels.expressions import Expression, statements

LIMITS = "lowest", "highest", "w_max"
PAIR = "w1", "w2", "slope1", "slope2", "gradient"
TRUTHS = "second", "dropped", "refreshed"  # of which 1 is -1, all bits


def constants_of(family: str) -> list[str]:
    """The numbers of a family's formula, by name."""
    response = FAMILIES[family]
    if response is Table:
        return list(lookup.CONSTANTS)
    return [f.name for f in fields(response) if f.type == "float"]


def names_of(family: str, physical: bool) -> list[str]:
    """All constants of the formulas, in their order."""
    last = ["physical"] if physical else []
    return [*LIMITS, *constants_of(family), "learning_rate", "clipping", *last]


@cache
def formulas(family: str, physical: bool) -> str:
    """C++ of `programming.update`, for devices of a family, without write noise.

    physical: whether requests are clipped physically in some network. Functions: `ask` for the
    device of a pair that is written, its voltage and its pulses, whether it is the second one, and
    whether a request is dropped; `answer`, what its voltage then is; `settle`, the pair and its
    weight after that, and whether it was refreshed. The Constants are `names_of` the family, and
    its tables.
    """
    names = names_of(family, physical)
    constants = {name: Expression(f"c.{name}") for name in names}
    asked, refreshes = {}, {}

    def after(voltage: Expression, pulses: Expression) -> Expression:
        asked.update(voltage=voltage, pulses=pulses)
        return Expression("written")

    def note(request, pulses, second, refreshed) -> None:
        asked.update(second=second, dropped=is_dropped(request, pulses))
        refreshes.update(refreshed=refreshed)

    response = SimpleNamespace(after=after, **{name: constants[name] for name in LIMITS})
    w1, w2, slope1, slope2, gradient = map(Expression, PAIR)
    programming = SimpleNamespace(
        learning_rate=constants["learning_rate"],
        clipping=constants["clipping"],
        physical=Expression("c.physical > 0.0f") if physical else None,
    )
    pair = update(
        PairState(w1, w2),
        gradient,
        PairParameters(slope1, slope2, response),
        programming,
        account=SimpleNamespace(note=note),
    )
    settled = {"new1": pair.w1, "new2": pair.w2, "weight": pair.w2 - pair.w1, **refreshes}
    answer = response_after(family, constants, Expression("voltage"), Expression("pulses"))
    return "\n".join(
        [
            f"constexpr int NUMBERS = {len(names)}, TABLES = {len(tables_of(family))};",
            f"struct Constants {{\n    Vector {', '.join(names)};\n"
            "    const float *tables[2];\n};",
            function("ask", PAIR, asked),
            function("settle", [*PAIR, "written"], settled),
            function("answer", ["voltage", "pulses"], {"written": answer}),
        ]
    )


def tables_of(family: str) -> tuple[str, ...]:
    """The tables that a family's formula looks up, by name."""
    return lookup.TABLES if FAMILIES[family] is Table else ()


def response_after(
    family: str, constants: Mapping[str, Expression], voltage: Expression, pulses: Expression
) -> Expression:
    """The voltage of a device once further pulses are applied."""
    if FAMILIES[family] is not Table:
        values = {name: constants[name] for name in constants_of(family)}
        return FAMILIES[family](**values).after(voltage, pulses)

    def sampled(number: int, name: str) -> SimpleNamespace:
        def look_up(cell: Expression) -> list[Expression]:
            table = f"c.tables[{number}]"
            return [Expression(f"looked_up({table}, {{}}, {column})", cell) for column in (0, 1)]

        return SimpleNamespace(last=constants[f"last_{name}"], look_up=look_up)

    tables = {name: sampled(number, name) for number, name in enumerate(lookup.TABLES)}
    return lookup.after(voltage, pulses, SimpleNamespace(**constants, **tables))


def function(name: str, given: Sequence[str], results: Mapping[str, Expression]) -> str:
    """A function of the constants and of as many vectors, which sets others."""
    types = {each: "Integers" if each in TRUTHS else "Vector" for each in results}
    vectors = [f"Vector {each}" for each in given]
    vectors += [f"{kind} &{each}" for each, kind in types.items()]
    head = f"inline void {name}(const Constants &c, {', '.join(vectors)}) {{"
    return f"{head}\n{statements(results)}\n}}\n"
