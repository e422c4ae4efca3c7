"""The update of a pair as C++, which is printed from its Python functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from devices import lookup
from devices.controller import Command, Pulses, decide
from devices.ledger import is_dropped
from devices.pair import PairParameters, PairState
from devices.programming import Draws, write
from devices.responses import FAMILIES, Table
from devices.rising import raised
from devices.scheme import PUBLISHED, STOCHASTIC, Scheme
from models.kernels.expressions import Expression, statements

LIMITS = "lowest", "highest", "w_max"
RISING = "rising_"  # the names of a rising branch's constants begin with it
DECIDING = "gradient", "slope1", "slope2", "accumulator", "draw"
WRITING = "w1", "w2", "slope1", "slope2", "applied", "applied_up", "noise", "noise_up"
TRUTHS = "lowers", "dropped", "dropped_up", "refreshed"  # true is -1 in C++, all bits set


@dataclass(frozen=True)
class UpdateKind:
    """What the formulas of an update depend on.

    family, rising: of the falling and of the rising branch, None where no device is driven up;
    physical: whether requests are clipped physically in some network; limited: whether some network
    has a largest number of pulses; noisy: whether some network has write noise.
    """

    family: str
    physical: bool = False
    limited: bool = False
    noisy: bool = False
    scheme: Scheme = PUBLISHED
    rising: str | None = None

    @property
    def branches(self) -> dict[str, str]:
        """The family of each branch by the prefix of its constants."""
        return {"": self.family} | ({} if self.rising is None else {RISING: self.rising})


def constants_of(family: str) -> list[str]:
    """Return the names of the numbers in a family's formula."""
    response = FAMILIES[family]
    if response is Table:
        return list(lookup.CONSTANTS)
    return [f.name for f in fields(response) if f.type == "float"]


def names_of(kind: UpdateKind) -> list[str]:
    """Return the names of all constants of the formulas, in their order."""
    names = [*LIMITS, "learning_rate", "clipping"]
    for prefix, family in kind.branches.items():
        names += [prefix + name for name in constants_of(family)]
    optional = {
        "mirror": kind.rising,
        "max_pulses": kind.limited,
        "physical": kind.physical,
        "write_noise": kind.noisy,
    }
    return [*names, *(name for name, is_there in optional.items() if is_there)]


@cache
def formulas(kind: UpdateKind) -> str:
    """Return `devices.controller.decide` and `devices.programming.write` as C++.

    `decide` gives whether the weight has to fall, the pulses of the device that is written (`_up`:
    of the one that is raised beside it), whether its request is dropped, and the accumulator.
    `write` gives the pair and its weight, and whether the pair was refreshed. The struct Constants
    holds `names_of` the update, and its tables. Constants that it has no use for are 0.
    """
    names = names_of(kind)
    constants = {name: Expression(f"c.{name}") for name in names}
    programming: Any = SimpleNamespace(
        learning_rate=constants["learning_rate"],
        clipping=constants["clipping"],
        physical=Expression("c.physical > 0.0f") if kind.physical else None,
        max_pulses=constants.get("max_pulses"),
        write_noise=constants.get("write_noise"),
        scheme=kind.scheme,
    )
    scheme = kind.scheme
    gradient, slope1, slope2, accumulator, draw = map(Expression, DECIDING)
    parameters = PairParameters(slope1, slope2, *branches(kind, constants))
    command = decide(gradient, accumulator, parameters, programming, draw)
    zero, never = Expression("all(0.0f)"), Expression("Integers{}")
    decided = {"lowers": command.lowers}
    for suffix, pulses in zip(("", "_up"), [*command.pulses, None][:2], strict=True):
        dropped = pulses and not scheme.accumulate
        decided[f"applied{suffix}"] = pulses.applied if pulses else zero
        decided[f"dropped{suffix}"] = (
            is_dropped(pulses.requested, pulses.applied) if dropped else never
        )
    decided["remainder"] = command.accumulator if scheme.accumulate else zero

    w1, w2, slope1, slope2, *applied, noise, noise_up = map(Expression, WRITING)
    written_pulses = (Pulses(number, number) for number in applied[: scheme.devices_written])
    command = Command(Expression("lowers"), tuple(written_pulses))
    draws = Draws(write=noise, raised=noise_up)
    pair, refreshed = write(PairState(w1, w2), command, parameters, programming, draws)
    written = {"new1": pair.w1, "new2": pair.w2, "weight": pair.w2 - pair.w1}
    written["refreshed"] = never if refreshed is None else refreshed
    return "\n".join(
        [
            f"constexpr int NUMBERS = {len(names)}, TABLES = {len(tables_of(kind))};",
            constant("ACCUMULATES", scheme.accumulate),
            constant("DRAWS", scheme.rounding == STOCHASTIC),
            constant("REFRESHES", scheme.refreshes),
            constant("WRITES_BOTH", scheme.devices_written == 2),
            constant("USES_SLOPES", scheme.controller_knows_slopes),
            constant("NOISY", kind.noisy),
            f"struct Constants {{\n    Vector {', '.join(names)};\n"
            "    const float *tables[4];\n};",
            function("decide", DECIDING, decided),
            function("write_pair", [*WRITING, "lowers"], written),
        ]
    )


def constant(name: str, value: bool) -> str:
    return f"constexpr bool {name} = {str(value).lower()};"


def tables_of(kind: UpdateKind) -> tuple[str, ...]:
    """Return the names of the tables in which a kind's formulas look up, in their order."""
    return tuple(
        prefix + name
        for prefix, family in kind.branches.items()
        if FAMILIES[family] is Table
        for name in lookup.TABLES
    )


def branches(kind: UpdateKind, constants: Mapping[str, Expression]) -> list[Any]:
    """Return the falling branch, and the rising one if there is one, as in PairParameters."""
    responses = []
    for prefix, family in kind.branches.items():
        values = {name: constants[prefix + name] for name in constants_of(family)}
        first = tables_of(kind).index(prefix + lookup.TABLES[0]) if FAMILIES[family] is Table else 0
        responses.append(response_of(family, values, first))
    falling = responses[0]
    for name in LIMITS:
        setattr(falling, name, constants[name])
    if kind.rising is None:
        return [falling]
    after = partial(raised, response=responses[1], mirror=constants["mirror"])
    return [falling, SimpleNamespace(after=after)]


def response_of(family: str, values: Mapping[str, Expression], first_table: int) -> SimpleNamespace:
    """Return a family's `after`; first_table: the number of its first table."""
    if FAMILIES[family] is not Table:
        return SimpleNamespace(after=FAMILIES[family](**values).after)

    def sampled(number: int, name: str) -> SimpleNamespace:
        def look_up(cell: Expression) -> list[Expression]:
            table = f"c.tables[{first_table + number}]"
            return [Expression(f"looked_up({table}, {{}}, {column})", cell) for column in (0, 1)]

        return SimpleNamespace(last=values[f"last_{name}"], look_up=look_up)

    tables = {name: sampled(number, name) for number, name in enumerate(lookup.TABLES)}

    def after(voltage: Expression, pulses: Expression) -> Expression:
        response: Any = SimpleNamespace(**values, **tables)
        return lookup.after(voltage, pulses, response)

    return SimpleNamespace(after=after)


def function(name: str, given: Sequence[str], results: Mapping[str, Expression]) -> str:
    """Print a C++ function of the constants and of the vectors `given`, which sets the results."""

    def type_of(vector: str) -> str:
        return "Integers" if vector in TRUTHS else "Vector"

    vectors = [f"{type_of(vector)} {vector}" for vector in given]
    vectors += [f"{type_of(vector)} &{vector}" for vector in results]
    head = f"inline void {name}(const Constants &c, {', '.join(vectors)}) {{"
    return f"{head}\n{statements(results)}\n}}\n"
