"""How to drive a device: accuracy and cost of each cell of devices and each rule of programming."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from devices.library import constants
from devices.scheme import CELLS, NEAREST, NONE, ONE_WAY, STOCHASTIC
from utils.plots import statistics as stats
from utils.plots import style
from utils.plots.selection import (
    FIELD_AND_RATE,
    by_field,
    comparable,
    grouped,
    have,
    varied_by_figures,
)
from utils.records.simulations import COSTS, with_costs
from utils.study import IDEAL, PERFECT, SCHEME

PAPERS_RULE = "drop below smallest pulse"
RULE_NAMES = {  # by rounding and accumulate
    (NONE, False): PAPERS_RULE,
    (NEAREST, False): "round to nearest",
    (STOCHASTIC, False): "round stochastically",
    (NONE, True): "accumulate",
    (NEAREST, True): "accumulate, whole pulses",
}
PAPERS = ONE_WAY, PAPERS_RULE  # cell and rule


def with_rules(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks with the name of their rule as a column."""
    rules = zip(networks["rounding"], networks["accumulate"], strict=True)
    return networks.assign(rule=[RULE_NAMES.get(rule, "other") for rule in rules])


@dataclass(frozen=True)
class Driven:
    """How one device was driven, and the ideal networks beside it, at any learning rate.

    rates: networks with their costs, by cell and rule.
    """

    field: str
    rates: dict[Any, pd.DataFrame]
    ideal: pd.DataFrame

    @cached_property
    def best(self) -> list[pd.DataFrame]:
        """The networks of each cell and rule at its best learning rate."""
        return [stats.at_best_rate(rows) for rows in self.rates.values()]

    @cached_property
    def schemes(self) -> pd.DataFrame:
        """A row for each cell and rule: see `best_columns`; costs, which are NaN without ledgers.

        equal: whether it is the best, or has an interval of the distance from the best that holds
        0: none without networks of equal seeds, or with too few. to paper's, low, high: the
        difference from the paper's scheme, in points.
        """
        top = max(self.best, key=lambda rows: rows["accuracy"].mean())
        table = []
        for (scheme, rates), rows in zip(self.rates.items(), self.best, strict=True):
            distance, is_papers = stats.difference(top, rows), scheme == PAPERS
            is_within = distance is not None and distance.low <= 0 <= distance.high
            row = dict(zip(("cell", "rule"), scheme, strict=True))
            row |= {"is_papers": is_papers, "equal": rows is top or is_within}
            papers = None if is_papers else self.rates.get(PAPERS)
            columns = stats.best_columns(rates, "to paper's", papers)
            table.append(row | dict(rows[list(COSTS)].mean()) | columns)
        return pd.DataFrame(table)

    @property
    def counted(self) -> pd.DataFrame:
        """The schemes whose pulses were counted."""
        return self.schemes[self.schemes["pulses"] > 0]

    @property
    def recommended(self) -> Any:
        """The place of the cheapest in pulses of the schemes that are equal to the best."""
        equal = self.counted[self.counted["equal"]]
        return equal["pulses"].idxmin() if len(equal) else self.schemes["mean"].idxmax()


def select(networks: pd.DataFrame) -> list[Driven]:
    """The devices that were driven by several schemes, each with one set of imperfections.

    networks: trained under one field alone.
    """
    if networks.empty:
        return []
    # One-way cells do not have the rising branch, which is no other device.
    falling = (setting.field.driven(both_ways=False) for setting in networks["setting"])
    networks = networks.assign(constants=[str(constants(device)) for device in falling])
    is_driven = networks.groupby("field")[list(SCHEME)].transform("nunique").gt(1).any(axis=1)
    is_ideal = networks["field"] == IDEAL.name
    alike = comparable(networks, varied_by_figures(*SCHEME), among=is_driven & ~is_ideal)
    fields, found = by_field(alike), []
    ideal = fields.pop(IDEAL.name, alike.iloc[:0])
    ideal = ideal[have(ideal, list(PERFECT), list(PERFECT.values()))]
    for field, rows in fields.items():
        rows = comparable(rows, (*FIELD_AND_RATE, *SCHEME), most="cell")
        rows = with_rules(rows if "pulses" in rows else with_costs(rows))
        schemes = grouped(rows, {"cell": CELLS, "rule": list(RULE_NAMES.values())})
        if len(schemes) > 1:
            found.append(Driven(field, schemes, ideal))
    return found


def table(shown: list[Driven]) -> pd.DataFrame:
    """A row for each scheme at its best learning rate, and its difference from the paper's."""
    if not shown:
        return pd.DataFrame()
    rows = pd.concat([choice.schemes.assign(field=style.name(choice.field)) for choice in shown])
    rows["dropped / %"] = 100 * rows["dropped"]
    first = ["field", "cell", "rule", "best lr", "n", "mean", "std", "pulses", "refreshes"]
    columns = [*first, "dropped / %", "to paper's", "low", "high"]
    return rows[columns].round(2).reset_index(drop=True)


def conclusion(driven: Driven) -> str:
    """The scheme to take, by how much it is better than the paper's, and at how many pulses."""
    schemes, place = driven.schemes, driven.recommended
    chosen, networks, n_equal = schemes.loc[place], driven.best[place], schemes["equal"].sum()
    text = (
        f"Driving {style.name(driven.field)}: take {chosen['cell']}, {chosen['rule']}, "
        f"which reaches {chosen['mean']:.2f} %"
    )
    if chosen["pulses"] > 0:
        text += f" with {chosen['pulses']:.3g} pulses per device"
    text += f" (learning rate {chosen['best lr']})"
    for number, papers in schemes[schemes["is_papers"] & (schemes.index != place)].iterrows():
        points = stats.difference(networks, driven.best[number])
        costs = f" with {papers['pulses']:.3g}" if papers["pulses"] > 0 else ""
        text += f"; the paper's scheme reaches {papers['mean']:.2f} %{costs}, a gain of {points}"
    if place != schemes["mean"].idxmax():
        text += f"; it is the cheapest of {n_equal} that are equal to the best within the interval"
    elif n_equal > 1:
        plural = "s are" if n_equal > 2 else " is"
        text += f"; {n_equal - 1} other scheme{plural} equal within the interval"
    return f"{text} ({stats.describe_mean(networks)})."


def pareto_front(schemes: pd.DataFrame) -> pd.DataFrame:
    """The schemes that no other one beats with as few pulses, by pulses."""
    ordered = schemes.sort_values(["pulses", "mean"], ascending=[True, False])
    return ordered[ordered["mean"] > ordered["mean"].cummax().shift(fill_value=-math.inf)]
