"""What each imperfection costs, pairwise over seeds: a figure, a table and a sentence for a field.

An ablation is found in the networks that are there: a full set of imperfections, its subsets, and
the ideal network beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from utils.flags import flags_of
from utils.plots import statistics as stats
from utils.plots import style
from utils.plots.networks import Networks
from utils.plots.panels import grid, legend_above
from utils.plots.selection import by_field, comparable, varied_by_figures
from utils.settings import Setting
from utils.study import FIGURE_1, IDEAL, PERFECT, without

ALONE, WON_BACK, TOGETHER = "lost by it alone", "won back without it", "lost"
RESPONSE, TO_IDEAL = "the response alone", "all, to the ideal network"
SUMS = "all imperfections", RESPONSE, TO_IDEAL
# How each is drawn: its name in the legend, its shift from the middle of its row, and its marker.
LOOKS: dict[str, tuple[str, float, dict[str, Any]]] = {
    ALONE: (ALONE, -0.14, {"marker": "o"}),
    WON_BACK: (WON_BACK, 0.14, {"marker": "o", "mfc": "white"}),
    TOGETHER: ("together", 0.0, {"marker": "D"}),
}
GO_ALONG = ("rounding", "accumulate", "device_noise")  # flags that need an imperfection
COLUMNS = ["field", "lr", "of", "what", "points", *stats.Difference._fields[1:]]


@dataclass(frozen=True)
class Ablation:
    """Networks of one field at one learning rate. full: the setting with all imperfections.

    networks: by setting, of what is there.
    """

    full: Setting
    networks: Mapping[Setting, pd.DataFrame]

    @property
    def name(self) -> str:
        """The name of the field."""
        return style.name(self.full.field.name)

    @cached_property
    def imperfections(self) -> dict[str, str]:
        """The imperfections of the full set, each with its words and size."""
        sizes = {name: getattr(self.full, name) for name in PERFECT}
        return {name: style.label(name, size) for name, size in sizes.items() if size}

    @property
    def given(self) -> dict[str, Any]:
        """What makes these settings of the study, by flag."""
        sizes = {name: (getattr(self.full, name),) for name in PERFECT}
        values = {name: getattr(self.full, name) for name in GO_ALONG}
        return {"field": (self.full.field,), "lr": (self.full.lr,), **sizes, **values}

    @property
    def rank(self) -> tuple[int, float, float]:
        """How much of it is there, and how well its full set learns.

        The number of combinations of imperfections, their share of all, and mean accuracy in %.
        """
        names = self.imperfections
        absent = [some for k in range(len(names) + 1) for some in combinations(names, k)]
        present = sum(without(self.full, some) in self.networks for some in absent)
        return present, present / len(absent), self.networks[self.full]["accuracy"].mean()

    @cached_property
    def points(self) -> dict[tuple[str, str], stats.Difference]:
        """What is known, in points of accuracy: of a flag ALONE and WON_BACK; the SUMS, TOGETHER.

        ALONE: what the imperfection costs a network that has no other; WON_BACK: what is won where
        it alone is removed from the full set; TOGETHER: what all cost, the response, and both.
        """
        full, none = self.full, without(self.full, list(self.imperfections))
        ideal, pairs = replace(none, field=IDEAL), {}
        for name in self.imperfections:
            others = [other for other in self.imperfections if other != name]
            pairs[name, ALONE] = none, without(full, others)
            pairs[name, WON_BACK] = without(full, [name]), full
        sums = (none, full), (ideal, none), (ideal, full)
        pairs |= {(name, TOGETHER): pair for name, pair in zip(SUMS, sums, strict=True)}
        return stats.compare(self.networks, pairs)


def select(networks: Networks) -> list[Ablation]:
    """Those of the largest series, beside which stand networks without what went along."""
    unswitched = networks.unswitched
    among = pd.Series(unswitched.index.isin(networks.main.index), unswitched.index)
    return find_ablations(comparable(unswitched, varied_by_figures(*GO_ALONG), among))


def find_ablations(networks: pd.DataFrame) -> list[Ablation]:
    """For each field the ablation of which most is there, at its best learning rate; linear first.

    networks: of one series. At least two imperfections have to be there, and something that is
    known of a single one.
    """
    by_setting: dict[Any, pd.DataFrame] = dict(list(networks.groupby("setting", sort=False)))
    fields, found = by_field(networks), []
    fields.pop(IDEAL.name, None)
    for rows in fields.values():
        candidates = [
            ablation
            for ablation in (Ablation(setting, by_setting) for setting in rows["setting"].unique())
            if len(ablation.imperfections) > 1
            and any(what != TOGETHER for _, what in ablation.points)
        ]
        if candidates:
            found.append(max(candidates, key=lambda ablation: ablation.rank))
    return found


def table(ablations: Sequence[Ablation]) -> pd.DataFrame:
    """A row for each number of the figure, in points of accuracy."""
    rows = [
        (
            ablation.name,
            ablation.full.lr,
            ablation.imperfections.get(imperfection, imperfection),
            what,
            *points,
        )
        for ablation in ablations
        for (imperfection, what), points in ablation.points.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS).round(3)


def draw_ablation(ablations: Sequence[Ablation]) -> Figure:
    """A panel for each field: filled, lost by each alone; open, won back without each; error bars.

    Below the line what all cost together, and what the response does.
    """
    width = style.COLUMN if len(ablations) == 1 else style.PAGE
    n_rows = max(len(ablation.imperfections) for ablation in ablations) + 3
    figure, (row,) = grid(1, len(ablations), (width, 0.9 + 0.27 * n_rows), sharex=True)
    colours = style.colours(ablation.full.field.name for ablation in ablations)
    for number, (axes, ablation) in enumerate(zip(row, ablations, strict=True)):
        draw_panel(axes, ablation, colours[ablation.full.field.name])
        if number and ablations[0].imperfections == ablation.imperfections:
            axes.tick_params(labelleft=False)
    figure.supxlabel("points of test accuracy, lost or won back (dotted: neither)")
    counts = [points.n for ablation in ablations for points in ablation.points.values()]
    handles = [
        Line2D([], [], color=style.GREY, ls="", label=label, **marker)
        for label, _, marker in LOOKS.values()
    ]
    spread = " ± standard error over equal seeds" * (max(counts) >= stats.MIN_FOR_SPREAD)
    title = f"{ablations[0].full.task}; mean{spread}, {stats.describe_count(counts)}"
    legend_above(figure, handles, title, columns=2 if len(ablations) == 1 else 3)
    return figure


def draw_panel(axes, ablation: Ablation, colour: str) -> None:
    """The numbers of one field, a row for each imperfection and for what they do together."""
    names = [*ablation.imperfections, *SUMS]
    for (imperfection, what), points in ablation.points.items():
        _, shift, marker = LOOKS[what]
        error = points.error if points.n >= stats.MIN_FOR_SPREAD else None
        look = marker | {"color": colour, "ls": "", "ms": 2.5, "elinewidth": 1, "capsize": 4}
        axes.errorbar(points.mean, names.index(imperfection) + shift, xerr=error, **look)
    axes.set_yticks(range(len(names)), [*ablation.imperfections.values(), *SUMS])
    title = f"{ablation.name}, learning rate {ablation.full.lr:g}"
    axes.set(title=title, ylim=(len(names) - 0.5, -0.5))
    axes.axhline(len(ablation.imperfections) - 0.5, color=style.GREY, lw=0.5)
    axes.axvline(0, color=style.GREY, lw=0.7, ls=":")


def conclusion(ablation: Ablation) -> str:
    """What is left to the ideal network, what each costs, and which matters most."""
    points = ablation.points
    costs = [
        f"the {style.label(name)}{describe_origin(ablation.full, name)} {describe_cost(lost)} alone"
        for (name, what), lost in points.items()
        if what == ALONE
    ]
    if response := points.get((RESPONSE, TOGETHER)):
        costs.append(f"the response {describe_cost(response)}")
    parts = [", ".join(costs)] if costs else []
    if costs and (left := points.get((TO_IDEAL, TOGETHER))):
        parts = [f"of the {left.plus_minus} points to the ideal network {parts[0]}"]
    return (
        f"Ablation, {ablation.name} at learning rate {ablation.full.lr:g}: "
        f"{'; '.join([*parts, *matters_most(ablation)])} "
        "(mean ± standard error over equal seeds, "
        f"{stats.describe_count(point.n for point in points.values())})."
    )


def describe_origin(full: Setting, name: str) -> str:
    """That the size of an imperfection is the study's and was not measured, where it is so."""
    measured, size, (flag, _) = full.field.measured, getattr(full, name), flags_of(Setting)[name]
    if measured is None or (flag.measured and getattr(measured, flag.measured).value is not None):
        return ""
    return f" ({size:g}{' of figure 1' * (FIGURE_1.get(name) == size)}, not measured)"


def describe_cost(points: stats.Difference) -> str:
    """`costs 0.50 ± 0.02`, or `improves by` where less than nothing is lost."""
    verb = "costs" if points.mean >= 0 else "improves by"
    return f"{verb} {points.plus_minus.removeprefix('-')}"


def matters_most(ablation: Ablation) -> list[str]:
    """Which imperfection matters most, as far as that is known."""
    back = {name: won for (name, what), won in ablation.points.items() if what == WON_BACK}
    if not back:
        return []
    name, points = max(back.items(), key=lambda item: item[1].mean)
    if len(back) < len(ablation.imperfections) or math.isnan(points.low):
        return [f"of what is trained most is won back without the {style.label(name)}, {points}"]
    if points.is_clear and points.mean > 0:
        return [f"the {style.label(name)} matters most: without it {points} are won back"]
    return [
        "removing one alone wins nothing that is clear of noise; most would be won without the "
        f"{style.label(name)}, {points}"
    ]
