"""How to drive a device: accuracy and cost of each cell of devices and each rule of programming."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from devices.library import constants
from devices.scheme import CELLS, NEAREST, NONE, ONE_WAY, STOCHASTIC
from utils.plots import style
from utils.plots.selection import FIELD_AND_RATE, comparable, fields_in, varied_by_figures
from utils.plots.statistics import (
    Difference,
    at_best_rate,
    describe_best_rate,
    describe_mean,
    difference,
)
from utils.records.simulations import with_costs
from utils.study import IDEAL, PERFECT, SCHEME

Rule = tuple[str, bool]  # rounding, accumulate
PAPERS: Rule = (NONE, False)
RULES: dict[Rule, str] = {
    PAPERS: "drop below smallest pulse",
    (NEAREST, False): "round to nearest",
    (STOCHASTIC, False): "round stochastically",
    (NONE, True): "accumulate",
    (NEAREST, True): "accumulate, whole pulses",
}


def rule_name(rule: Rule) -> str:
    """Return the words for a rule in pictures and sentences."""
    return RULES[rule]


@dataclass(frozen=True)
class Scheme:
    """A cell and a rule. networks: at the best learning rate; rates: at all, of one device."""

    cell: str
    rule: Rule
    networks: pd.DataFrame
    rates: pd.DataFrame

    @property
    def is_papers(self) -> bool:
        return self.cell == ONE_WAY and self.rule == PAPERS

    @property
    def name(self) -> str:
        return f"{self.cell}, {rule_name(self.rule)}"

    @property
    def accuracy(self) -> float:
        """The mean accuracy in %."""
        return self.networks["accuracy"].mean()

    def mean(self, cost: str) -> float:
        """The mean of a cost over the networks that have a ledger; NaN without one."""
        return self.networks[cost].mean()


@dataclass(frozen=True)
class Driven:
    """The schemes of one device, and the ideal networks, at any learning rate, beside them."""

    field: str
    schemes: list[Scheme]
    ideal: pd.DataFrame

    @property
    def papers(self) -> Scheme | None:
        """The scheme of the paper."""
        return next((each for each in self.schemes if each.is_papers), None)

    @property
    def best(self) -> Scheme:
        return max(self.schemes, key=lambda each: each.accuracy)

    @property
    def equal_to_best(self) -> list[Scheme]:
        """The best scheme, and those whose interval of the distance from it holds 0.

        A scheme without networks of equal seeds, or with too few for an interval, is not equal.
        """
        best = self.best
        points = {each.name: difference(best.networks, each.networks) for each in self.schemes}
        return [
            each
            for each in self.schemes
            if each is best or ((found := points[each.name]) is not None and is_within(found))
        ]

    @property
    def recommended(self) -> Scheme:
        """The cheapest in pulses of the schemes that are equal to the best."""
        counted = [each for each in self.equal_to_best if each.mean("pulses") > 0]
        return min(counted, key=lambda each: each.mean("pulses")) if counted else self.best


def is_within(points: Difference) -> bool:
    """Whether there is an interval, and 0 lies within it."""
    return points.low <= 0 <= points.high


def select(networks: pd.DataFrame) -> list[Driven]:
    """The devices that were driven by several schemes, each with one set of imperfections.

    networks: healthy ones of `Simulations.networks`, trained under one field alone.
    """
    if networks.empty:
        return []
    # One-way cells do not have the rising branch, which is no other device.
    falling = [
        str(constants(setting.field.driven(both_ways=False))) for setting in networks["setting"]
    ]
    networks = networks.assign(constants=falling)
    is_driven = networks.groupby("field")[list(SCHEME)].transform("nunique").gt(1).any(axis=1)
    is_ideal = networks["field"] == IDEAL.name
    alike = comparable(networks, varied_by_figures(*SCHEME), among=is_driven & ~is_ideal)
    found = []
    ideal = alike[(alike["field"] == IDEAL.name) & (alike[list(PERFECT)] == 0).all(axis=1)]
    for field in fields_in(alike):
        if field == IDEAL.name:
            continue
        rows = comparable(alike[alike["field"] == field], (*FIELD_AND_RATE, *SCHEME), most="cell")
        rows = rows if "pulses" in rows else with_costs(rows)
        schemes = [
            Scheme(cell, rule, at_best_rate(some), some)
            for cell in CELLS
            for rule in RULES
            if len(some := rows[(rows[list(SCHEME)] == [cell, *rule]).all(axis=1)])
        ]
        if len(schemes) > 1:
            found.append(Driven(field, schemes, ideal))
    return found


def table(shown: list[Driven]) -> pd.DataFrame:
    """A row for each scheme at its best learning rate, and its difference from the paper's."""
    rows = []
    for driven in shown:
        for each in driven.schemes:
            points = None
            if driven.papers is not None and not each.is_papers:
                points = difference(each.networks, driven.papers.networks)
            rows.append(
                {
                    "field": style.name(driven.field),
                    "cell": each.cell,
                    "rule": rule_name(each.rule),
                    "best lr": describe_best_rate(each.rates),
                    "n": len(each.networks),
                    "mean": each.accuracy,
                    "std": each.networks["accuracy"].std(),
                    "pulses": each.mean("pulses"),
                    "refreshes": each.mean("refreshes"),
                    "dropped / %": 100 * each.mean("dropped"),
                    "to paper's": points and points.mean,
                    "low": points and points.low,
                    "high": points and points.high,
                }
            )
    return pd.DataFrame(rows).round(2)


def conclusion(driven: Driven) -> str:
    """The scheme to take, by how much it is better than the paper's, and at how many pulses."""
    chosen, best, papers = driven.recommended, driven.best, driven.papers
    text = (
        f"Driving {style.name(driven.field)}: take {chosen.name}, which reaches "
        f"{chosen.accuracy:.2f} %"
    )
    if chosen.mean("pulses") > 0:
        text += f" with {chosen.mean('pulses'):.3g} pulses per device"
    text += f" (learning rate {describe_best_rate(chosen.rates)})"
    if papers is not None and chosen is not papers:
        points = difference(chosen.networks, papers.networks)
        costs = f" with {papers.mean('pulses'):.3g}" if papers.mean("pulses") > 0 else ""
        text += f"; the paper's scheme reaches {papers.accuracy:.2f} %{costs}, a gain of {points}"
    equal = len(driven.equal_to_best) - 1
    if equal and chosen is best:
        text += f"; {equal} other scheme{'s are' if equal > 1 else ' is'} equal within the interval"
    elif chosen is not best:
        text += (
            f"; it is the cheapest of {equal + 1} that are equal to the best within the interval"
        )
    return f"{text} ({describe_mean(chosen.networks)})."


def pareto_front(schemes: list[Scheme]) -> list[Scheme]:
    """The schemes that no other one beats with as few pulses, by pulses."""
    front: list[Scheme] = []
    for each in sorted(schemes, key=lambda each: (each.mean("pulses"), -each.accuracy)):
        if not front or each.accuracy > front[-1].accuracy:
            front.append(each)
    return front
