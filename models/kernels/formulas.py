"""The update of a pair as C++, which is printed from its Python functions."""

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
TRUTHS = "second", "dropped", "refreshed"  # truth values: true is -1 in C++, all bits set


def constants_of(family: str) -> list[str]:
    """Return the names of the numbers in a family's formula."""
    response = FAMILIES[family]
    if response is Table:
        return list(lookup.CONSTANTS)
    return [f.name for f in fields(response) if f.type == "float"]


def names_of(family: str, physical: bool) -> list[str]:
    """Return the names of all constants of the formulas, in their order."""
    last = ["physical"] if physical else []
    return [*LIMITS, *constants_of(family), "learning_rate", "clipping", *last]


@cache
def formulas(family: str, physical: bool) -> str:
    """Return `programming.update` as C++, for devices of a family, without write noise.

    physical: whether requests are clipped physically in some network. The C++ has three functions.
    `request` gives the voltage and the pulses of the device of a pair that is written, whether it
    is device 2, and whether a request is dropped; `respond` gives the voltage of that device after
    the pulses; `finish_update` gives the pair and its weight, and whether the pair was refreshed.
    The struct Constants holds `names_of` the family, and its tables.
    """
    names = names_of(family, physical)
    constants = {name: Expression(f"c.{name}") for name in names}
    requests, refreshes = {}, {}

    def after(voltage: Expression, pulses: Expression) -> Expression:
        requests.update(voltage=voltage, pulses=pulses)
        return Expression("written")

    def note(request, pulses, second, refreshed) -> None:
        requests.update(second=second, dropped=is_dropped(request, pulses))
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
    updated = {"new1": pair.w1, "new2": pair.w2, "weight": pair.w2 - pair.w1, **refreshes}
    written = response_after(family, constants, Expression("voltage"), Expression("pulses"))
    return "\n".join(
        [
            f"constexpr int NUMBERS = {len(names)}, TABLES = {len(tables_of(family))};",
            f"struct Constants {{\n    Vector {', '.join(names)};\n"
            "    const float *tables[2];\n};",
            function("request", PAIR, requests),
            function("finish_update", [*PAIR, "written"], updated),
            function("respond", ["voltage", "pulses"], {"written": written}),
        ]
    )


def tables_of(family: str) -> tuple[str, ...]:
    """Return the names of the tables in which a family's formula looks up."""
    return lookup.TABLES if FAMILIES[family] is Table else ()


def response_after(
    family: str, constants: Mapping[str, Expression], voltage: Expression, pulses: Expression
) -> Expression:
    """Return the voltage of a device after further pulses."""
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
    """Print a C++ function of the constants and of the vectors `given`, which sets the results."""
    types = {each: "Integers" if each in TRUTHS else "Vector" for each in results}
    vectors = [f"Vector {each}" for each in given]
    vectors += [f"{kind} &{each}" for each, kind in types.items()]
    head = f"inline void {name}(const Constants &c, {', '.join(vectors)}) {{"
    return f"{head}\n{statements(results)}\n}}\n"
