"""What each imperfection costs, pairwise over seeds: a figure, a table and a sentence for a field.

An ablation is found in the networks that are there: a full set of imperfections, its subsets, and
the ideal network beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from devices.scheme import NONE
from utils.flags import flags_of
from utils.plots import style
from utils.plots.panels import legend_above
from utils.plots.selection import fields_in
from utils.plots.statistics import MIN_FOR_SPREAD, Difference, describe_count, difference
from utils.settings import Setting
from utils.study import FIGURE_1, IDEAL, PERFECT, without

ALONE, WON_BACK, TOGETHER = "lost by it alone", "won back without it", "lost"
COLUMNS = ["field", "lr", "of", "what", "points", "error", "low", "high", "n"]


@dataclass(frozen=True)
class Ablation:
    """Networks of one field at one learning rate. full: the setting with all imperfections.

    networks: by setting, of what is there.
    """

    full: Setting
    networks: dict[Setting, pd.DataFrame]

    @property
    def field(self) -> str:
        return self.full.field.name

    @property
    def imperfections(self) -> list[str]:
        return [name for name in PERFECT if getattr(self.full, name)]

    @property
    def given(self) -> dict:
        """What makes these settings of the study, by flag."""
        sizes = {name: (getattr(self.full, name),) for name in PERFECT}
        rule = {"rounding": self.full.rounding, "accumulate": self.full.accumulate}
        return {"field": (self.full.field,), "lr": (self.full.lr,), **sizes, **rule}

    @property
    def flags(self) -> str:
        """What makes these settings on the command line, but for the field."""
        sizes = (f" --{name} {getattr(self.full, name):g}" for name in PERFECT)
        rounding = f" --rounding {self.full.rounding}" * (self.full.rounding != NONE)
        rule = rounding + " --accumulate" * self.full.accumulate
        return f" --lr {self.full.lr:g}{''.join(sizes)}{rule}"

    def origin(self, name: str) -> str:
        """That the size of an imperfection is the study's and was not measured, where it is so."""
        measured = self.full.field.measured
        flag, _ = flags_of(Setting)[name]
        if measured is None or (
            flag.measured and getattr(measured, flag.measured).value is not None
        ):
            return ""
        of_figure_1 = FIGURE_1.get(name) == getattr(self.full, name)
        return f" ({getattr(self.full, name):g}{' of figure 1' * of_figure_1}, not measured)"

    @property
    def none(self) -> Setting:
        return without(self.full, self.imperfections)

    @property
    def settings(self) -> list[Setting]:
        """Every combination of imperfections of its field."""
        names = self.imperfections
        absent = [some for k in range(len(names) + 1) for some in combinations(names, k)]
        return [without(self.full, some) for some in absent]

    @property
    def n_present(self) -> int:
        """How many settings of its own field are there."""
        return sum(setting in self.networks for setting in self.settings)

    def minus(self, first: Setting, second: Setting) -> Difference | None:
        if first not in self.networks or second not in self.networks:
            return None
        return difference(self.networks[first], self.networks[second])

    def lost(self, name: str) -> Difference | None:
        """Points that the imperfection costs a network that has no other."""
        others = [other for other in self.imperfections if other != name]
        return self.minus(self.none, without(self.full, others))

    def won_back(self, name: str) -> Difference | None:
        """Points that are won where it alone is removed from the full set."""
        return self.minus(without(self.full, [name]), self.full)

    def together(self) -> dict[str, Difference | None]:
        """What all of them cost together, what the response costs, and the sum of both."""
        ideal = replace(self.none, field=IDEAL)
        return {
            "all imperfections": self.minus(self.none, self.full),
            "the response alone": self.minus(ideal, self.none),
            "all, to the ideal network": self.minus(ideal, self.full),
        }

    def rows(self) -> list[tuple[str, str, Difference]]:
        """What it is about, whether alone or won back or together, and the points, if known."""
        rows = []
        for name in self.imperfections:
            label = style.label(name, getattr(self.full, name))
            rows += [(label, ALONE, self.lost(name)), (label, WON_BACK, self.won_back(name))]
        rows += [(label, TOGETHER, points) for label, points in self.together().items()]
        return [(label, what, points) for label, what, points in rows if points]

    @property
    def count(self) -> str:
        """Of how many networks its numbers are."""
        return describe_count([points.n for _, _, points in self.rows()])


def find_ablations(networks: pd.DataFrame) -> list[Ablation]:
    """For each field the ablation of which most is there, at its best learning rate; linear first.

    networks: healthy ones of one series. At least two combinations have to be there, and something
    that they say of a single imperfection.
    """
    by_setting: dict[Any, pd.DataFrame] = dict(list(networks.groupby("setting", sort=False)))
    found = []
    for field in fields_in(networks):
        if field == IDEAL.name:
            continue
        candidates = [
            Ablation(setting, by_setting)
            for setting, rows in by_setting.items()
            if rows["field"].iloc[0] == field
            and sum(bool(getattr(setting, name)) for name in PERFECT) > 1
        ]
        candidates = [
            ablation
            for ablation in candidates
            if ablation.n_present > 1 and any(what != TOGETHER for _, what, _ in ablation.rows())
        ]
        if candidates:
            found.append(max(candidates, key=completeness))
    return found


def completeness(ablation: Ablation) -> tuple:
    """How much of an ablation is there, and how well its full set learns."""
    share = ablation.n_present / len(ablation.settings)
    accuracy = ablation.networks[ablation.full]["accuracy"].mean()
    return ablation.n_present, share, accuracy


def table(ablations: Sequence[Ablation]) -> pd.DataFrame:
    """A row for each number of the figure, in points of accuracy."""
    rows = [
        (style.name(a.field), a.full.lr, of, what, p.mean, p.error, p.low, p.high, p.n)
        for a in ablations
        for of, what, p in a.rows()
    ]
    return pd.DataFrame(rows, columns=COLUMNS).round(3)


def draw_ablation(ablations: Sequence[Ablation]) -> Figure | None:
    """A panel for each field: filled, lost by each alone; open, won back without each; error bars.

    Below the line what all cost together, and what the response does. None without an ablation.
    """
    if not ablations:
        return None
    width = style.COLUMN if len(ablations) == 1 else style.PAGE
    n_rows = max(len(ablation.imperfections) for ablation in ablations) + 3
    figure, panels = plt.subplots(
        1, len(ablations), figsize=(width, 0.9 + 0.27 * n_rows), squeeze=False, sharex=True
    )
    colours = style.colours(ablation.field for ablation in ablations)
    for number, (axes, ablation) in enumerate(zip(panels[0], ablations, strict=True)):
        draw_panel(axes, ablation, colours[ablation.field])
        if number and labels_of(ablations[0]) == labels_of(ablation):
            axes.tick_params(labelleft=False)
    figure.supxlabel("points of test accuracy, lost or won back (dotted: neither)")
    style.letter(panels[0])
    counts = [points.n for ablation in ablations for _, _, points in ablation.rows()]
    handles = [
        Line2D([], [], color=style.GREY, marker=marker, ls="", mfc=face)
        for marker, face in (("o", None), ("o", "white"), ("D", None))
    ]
    spread = " ± standard error over equal seeds" * (max(counts) >= MIN_FOR_SPREAD)
    title = f"{ablations[0].full.task}; mean{spread}, {describe_count(counts)}"
    columns = 2 if len(ablations) == 1 else 3
    legend_above(figure, handles, [ALONE, WON_BACK, "together"], title, columns)
    return figure


def draw_panel(axes, ablation: Ablation, colour: str) -> None:
    """The numbers of one field, a row for each imperfection and for what they do together."""
    names = labels_of(ablation)
    for label, what, points in ablation.rows():
        shift = {ALONE: -0.14, WON_BACK: 0.14, TOGETHER: 0.0}[what]
        axes.errorbar(
            points.mean,
            names.index(label) + shift,
            xerr=points.error if points.n >= MIN_FOR_SPREAD else None,
            fmt="D" if what == TOGETHER else "o",
            color=colour,
            mfc="white" if what == WON_BACK else colour,
            ms=2.5,
            elinewidth=1,
            capsize=4,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.axhline(len(ablation.imperfections) - 0.5, color=style.GREY, lw=0.5)
    axes.axvline(0, color=style.GREY, lw=0.7, ls=":")
    axes.set_title(f"{style.name(ablation.field)}, learning rate {ablation.full.lr:g}")


def labels_of(ablation: Ablation) -> list[str]:
    """The names of the rows of a panel."""
    sizes = [style.label(name, getattr(ablation.full, name)) for name in ablation.imperfections]
    return [*sizes, *ablation.together()]


def conclusion(ablation: Ablation) -> str:
    """What is left to the ideal network, what each costs, and which matters most."""
    together = ablation.together()
    costs = [
        f"the {style.label(name)}{ablation.origin(name)} {describe_cost(points)} alone"
        for name in ablation.imperfections
        if (points := ablation.lost(name))
    ]
    if response := together["the response alone"]:
        costs.append(f"the response {describe_cost(response)}")
    parts = [", ".join(costs)] if costs else []
    if costs and (left := together["all, to the ideal network"]):
        parts = [f"of the {left.plus_minus} points to the ideal network {parts[0]}"]
    return (
        f"Ablation, {style.name(ablation.field)} at learning rate {ablation.full.lr:g}: "
        f"{'; '.join([*parts, *matters_most(ablation)])} "
        f"(mean ± standard error over equal seeds, {ablation.count})."
    )


def describe_cost(points: Difference) -> str:
    """`costs 0.50 ± 0.02`, or `improves by` where less than nothing is lost."""
    verb = "costs" if points.mean >= 0 else "improves by"
    return f"{verb} {points.plus_minus.removeprefix('-')}"


def matters_most(ablation: Ablation) -> list[str]:
    """Which imperfection matters most, as far as that is known."""
    back = {name: p for name in ablation.imperfections if (p := ablation.won_back(name))}
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
