"""How to drive a device: accuracy and cost of each cell of devices and each rule of programming."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from string import ascii_lowercase
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from devices.library import constants
from devices.scheme import CELLS, NEAREST, NONE, ONE_WAY, STOCHASTIC
from utils.plots import style
from utils.plots.costs import use_plain_ticks
from utils.plots.panels import draw_means, leave_out_outliers
from utils.plots.selection import FIELD_AND_RATE, comparable, fields_in, varied_by_figures
from utils.plots.statistics import (
    Difference,
    at_best_rate,
    describe_best_rate,
    describe_mean,
    difference,
    summary,
)
from utils.records.simulations import with_costs
from utils.studies import IDEAL, PERFECT

SCHEME = ("cell", "rounding", "accumulate")
Rule = tuple[str, bool]  # rounding, accumulate
PAPERS: Rule = (NONE, False)
RULES: dict[Rule, str] = {
    PAPERS: "drop below smallest pulse",
    (NEAREST, False): "round to nearest",
    (STOCHASTIC, False): "round stochastically",
    (NONE, True): "accumulate",
    (NEAREST, True): "accumulate, whole pulses",
}
COLOURS = dict(zip(RULES, ("#000000", "#0072B2", "#56B4E9", "#D55E00", "#E69F00"), strict=True))
RULE_MARKERS = dict(zip(RULES, "os^Dv", strict=True))
CELL_MARKERS: dict[str, str] = dict(zip(CELLS, "os^", strict=True))
PANEL_HEIGHT = 2.3  # inches


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
        """The best scheme, and those whose distance from it is not clear."""
        best = self.best
        points = {each.name: difference(best.networks, each.networks) for each in self.schemes}
        return [
            each
            for each in self.schemes
            if each is best or (found := points[each.name]) is None or is_within(found)
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
    is_driven = networks.groupby("field")["cell"].transform("nunique") > 1
    is_driven |= networks.groupby("field")["rounding"].transform("nunique") > 1
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


def draw_driving(shown: list[Driven]) -> Figure | None:
    """For each device: a, accuracy against learning rate; b, against pulses; c, requests."""
    if not shown:
        return None
    figure = plt.figure(figsize=(style.PAGE, 2 * PANEL_HEIGHT * len(shown) + 0.8))
    parts = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    panels = [draw_device(part, driven) for part, driven in zip(parts, shown, strict=True)]
    for axes, letter in zip(chain(*panels), ascii_lowercase, strict=False):
        axes.set_title(letter, loc="left", fontweight="bold")
    handles = [
        Line2D([], [], color=COLOURS[rule], marker=RULE_MARKERS[rule], lw=1, label=name)
        for rule, name in RULES.items()
    ]
    one = shown[0].schemes[0].rates
    figure.legend(
        handles=handles,
        title=f"{style.physics(one)}; {describe_mean(one)}",
        title_fontsize=7,
        loc="outside upper center",
        ncols=3,
    )
    return figure


def draw_device(part: SubFigure, driven: Driven) -> list[Axes]:
    """Draw a device, and return the panels that have a letter."""
    top, bottom = part.subfigures(2, 1, squeeze=False)[:, 0]
    cells = [cell for cell in CELLS if any(each.cell == cell for each in driven.schemes)]
    panels = top.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    ideal = at_best_rate(driven.ideal)["accuracy"].mean()
    drawn = []
    for axes, cell in zip(panels, cells, strict=True):
        for each in (each for each in driven.schemes if each.cell == cell):
            points, colour = summary(each.rates), COLOURS[each.rule]
            draw_means(axes, points, colour, rule_name(each.rule), RULE_MARKERS[each.rule])
            drawn.append((axes, points, colour))
        axes.set_xscale("log")
        use_plain_ticks(axes.xaxis)
        axes.set_xlabel("learning rate")
        axes.set_title(cell, loc="center")
    leave_out_outliers(drawn)
    panels[0].set_ylabel("test accuracy (%)")
    top.suptitle(style.name(driven.field), fontweight="bold")
    reached, requests = bottom.subplots(1, 2, width_ratios=(1, 1.1))
    draw_cost(reached, driven)
    draw_requests(requests, driven)
    for axes in (*panels, reached):
        if not math.isnan(ideal):
            axes.axhline(ideal, color=style.GREY, lw=0.8, ls=":", zorder=0)
    if not math.isnan(ideal):
        reached.annotate(
            "ideal network",
            (0, ideal),
            xycoords=("axes fraction", "data"),
            xytext=(2, -2),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=style.GREY,
            va="top",
        )
    return [panels[0], reached, requests]


def draw_cost(axes, driven: Driven) -> None:
    """Each scheme at its best learning rate: accuracy against pulses, with the Pareto front."""
    counted = [each for each in driven.schemes if each.mean("pulses") > 0]
    for each in counted:
        axes.plot(
            each.mean("pulses"),
            each.accuracy,
            color=COLOURS[each.rule],
            marker=CELL_MARKERS[each.cell],
            ls="none",
            ms=5,
        )
    front = pareto_front(counted)
    if len(front) > 1:
        pulses, accuracy = zip(*((e.mean("pulses"), e.accuracy) for e in front), strict=True)
        axes.plot(pulses, accuracy, color=style.GREY, lw=0.8, zorder=0)
    axes.set_xscale("log")
    use_plain_ticks(axes.xaxis)
    axes.set_xlabel("pulses per device in the whole training")
    axes.set_ylabel("test accuracy (%)")
    cells = dict.fromkeys(each.cell for each in counted)
    handles = [
        Line2D([], [], color=style.GREY, marker=CELL_MARKERS[cell], ls="none", label=cell)
        for cell in cells
    ]
    if len(front) > 1:
        handles.append(Line2D([], [], color=style.GREY, lw=0.8, label="best for its pulses"))
    axes.legend(handles=handles, loc="best", fontsize=style.SMALL)


def pareto_front(schemes: list[Scheme]) -> list[Scheme]:
    """The schemes that no other one beats with as few pulses, by pulses."""
    front: list[Scheme] = []
    for each in sorted(schemes, key=lambda each: (each.mean("pulses"), -each.accuracy)):
        if not front or each.accuracy > front[-1].accuracy:
            front.append(each)
    return front


def draw_requests(axes, driven: Driven) -> None:
    """Bars of where requests go: written, of these followed by a refresh, pending, dropped."""
    schemes = [each for each in driven.schemes if each.mean("pulses") > 0][::-1]
    for place, each in enumerate(schemes):
        dropped, pending = (share_or_none(each.mean(name)) for name in ("dropped", "pending"))
        written = 1 - dropped - pending
        refreshed = written * share_or_none(each.mean("refreshed"))
        left, colour = 0.0, COLOURS[each.rule]
        for share, look in (
            (refreshed, {"color": style.shade(colour, 1, 3), "hatch": "xxxx"}),
            (written - refreshed, {"color": colour}),
            (pending, {"color": "white", "ec": colour, "hatch": "////"}),
            (dropped, {"color": "#DDDDDD"}),
        ):
            axes.barh(place, 100 * share, left=left, height=0.7, lw=0.5, **look)
            left += 100 * share
    places = pd.Series(range(len(schemes)), [each.cell for each in schemes])
    middle = places.groupby(level=0, sort=False).mean()
    axes.set_yticks(list(middle), list(middle.index))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("requests (%)")
    looks: dict[str, dict[str, Any]] = {"written": {"fc": style.GREY}, "dropped": {"fc": "#DDDDDD"}}
    if any(each.mean("refreshed") > 0 for each in schemes):
        looks["refreshed"] = {"fc": "#BBBBBB", "ec": style.GREY, "hatch": "xxxx"}
    looks["pending"] = {"fc": "white", "ec": style.GREY, "hatch": "////"}
    handles = [Patch(label=name, **look) for name, look in looks.items()]
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=4,
        fontsize=style.SMALL,
        handlelength=1.2,
        columnspacing=1.0,
    )


def share_or_none(value: float) -> float:
    """Return a share, 0 where it is not known because there was nothing to count."""
    return 0.0 if math.isnan(value) else value
