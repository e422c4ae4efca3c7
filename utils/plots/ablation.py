"""What each imperfection costs, pairwise over seeds: a figure, a table and a sentence for a field.

An ablation is found in the networks that are there: a full set of imperfections, its subsets, and
the ideal network beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from utils.flags import flags_of
from utils.plots import style
from utils.plots.accuracy import said
from utils.plots.statistics import FEWEST, Estimate, difference, span
from utils.records.simulations import fields_in
from utils.settings import Setting
from utils.studies import FIELDS, IDEAL, PERFECT, without

NAMES = {name: flag.label for name, (flag, _) in flags_of(Setting).items()}
ALONE, MENDED = "lost by it alone", "won back without it"
COLUMNS = ["field", "lr", "of", "what", "points", "error", "low", "high", "n"]


@dataclass(frozen=True)
class Ablation:
    """Networks of one field at one learning rate. full: the setting with all imperfections.

    networks: by setting, of what is there.
    """

    full: Setting
    networks: dict[Setting, pd.DataFrame]

    @property
    def imperfections(self) -> list[str]:
        return [name for name in PERFECT if getattr(self.full, name)]

    @property
    def given(self) -> dict:
        """What makes these settings of the study, by flag."""
        sizes = {name: (getattr(self.full, name),) for name in PERFECT}
        return {"field": (self.full.field,), "lr": (self.full.lr,), **sizes}

    @property
    def flags(self) -> str:
        """The same on the command line. A device file is taken to have its device's name."""
        field = f"{self.full.field}{'.json' * (self.full.field.measured is not None)}"
        sizes = (f" --{name} {getattr(self.full, name):g}" for name in PERFECT)
        return f" --field {field} --lr {self.full.lr:g}{''.join(sizes)}"

    @property
    def none(self) -> Setting:
        return without(self.full, self.imperfections)

    @property
    def ideal(self) -> Setting:
        return replace(self.none, field=IDEAL)

    @property
    def settings(self) -> list[Setting]:
        """Every combination, and the ideal network."""
        names = self.imperfections
        absent = [some for k in range(len(names) + 1) for some in combinations(names, k)]
        return [*(without(self.full, some) for some in absent), self.ideal]

    @property
    def present(self) -> int:
        """How many settings of its own field are there."""
        return sum(setting in self.networks for setting in self.settings[:-1])

    def minus(self, first: Setting, second: Setting) -> Estimate | None:
        if first not in self.networks or second not in self.networks:
            return None
        return difference(self.networks[first], self.networks[second])

    def lost(self, name: str) -> Estimate | None:
        """Points that the imperfection costs a network that has no other."""
        others = [other for other in self.imperfections if other != name]
        return self.minus(self.none, without(self.full, others))

    def won_back(self, name: str) -> Estimate | None:
        """Points that are won where it alone is removed from the full set."""
        return self.minus(without(self.full, [name]), self.full)

    def left(self) -> dict[str, Estimate | None]:
        """What all of them cost together, what the response costs, and the sum of both."""
        return {
            "all imperfections": self.minus(self.none, self.full),
            "the response alone": self.minus(self.ideal, self.none),
            "all, to the ideal network": self.minus(self.ideal, self.full),
        }


def find_ablations(networks: pd.DataFrame) -> list[Ablation]:
    """For each field the ablation of which most is there, at its best learning rate; linear first.

    networks: healthy ones of one series. At least two combinations have to be there.
    """
    by_setting = dict(list(networks.groupby("setting", sort=False)))
    found = []
    for field in fields_in(networks, [device.name for device in FIELDS]):
        if field == IDEAL.name:
            continue
        full = [
            setting
            for setting, rows in by_setting.items()
            if rows["field"].iloc[0] == field
            and sum(bool(getattr(setting, name)) for name in PERFECT) > 1
        ]
        candidates = [Ablation(setting, by_setting) for setting in full]
        candidates = [one for one in candidates if one.present > 1 and partial(one)]
        if candidates:
            found.append(max(candidates, key=completeness))
    return found


def partial(one: Ablation) -> bool:
    """Whether there is anything to tell of single imperfections."""
    return any(one.lost(name) or one.won_back(name) for name in one.imperfections)


def completeness(one: Ablation) -> tuple:
    share = one.present / (len(one.settings) - 1)
    return one.present, share, one.networks[one.full]["accuracy"].mean()


def table(ablations: Sequence[Ablation]) -> pd.DataFrame:
    """A row for each number of the figure, in points of accuracy."""
    rows = []
    for one in ablations:
        head = (style.name(one.full.field.name), one.full.lr)
        for name in one.imperfections:
            of = f"{NAMES[name]} {getattr(one.full, name):g}"
            for what, value in ((ALONE, one.lost(name)), (MENDED, one.won_back(name))):
                if value:
                    rows.append((*head, of, what, *numbers(value)))
        for of, value in one.left().items():
            if value:
                rows.append((*head, of, "lost", *numbers(value)))
    return pd.DataFrame(rows, columns=COLUMNS).round(3)


def numbers(one: Estimate) -> tuple:
    return one.mean, one.error, one.low, one.high, one.n


def draw_ablation(ablations: Sequence[Ablation]) -> Figure | None:
    """A panel for each field: filled, lost by each alone; open, won back without each; error bars.

    Below the line what all cost together, and what the response does. None without an ablation.
    """
    if not ablations:
        return None
    width = style.COLUMN if len(ablations) == 1 else style.PAGE
    n_rows = max(len(one.imperfections) for one in ablations) + 3
    figure, panels = plt.subplots(
        1, len(ablations), figsize=(width, 0.9 + 0.27 * n_rows), squeeze=False, sharex=True
    )
    colours = style.colours(one.full.field.name for one in ablations)
    for axes, one in zip(panels[0], ablations, strict=True):
        draw_panel(axes, one, colours[one.full.field.name])
    style.letter(panels[0])
    ns = [n for one in ablations for n in counts(one)]
    handles = [
        Line2D([], [], color=style.GREY, marker="o", ls="", mfc=face) for face in (None, "white")
    ]
    handles.append(Line2D([], [], color=style.GREY, marker="D", ls=""))
    kind = "mean ± standard error over equal seeds" if max(ns) >= FEWEST else "mean"
    figure.legend(
        handles,
        [ALONE, MENDED, "together"],
        title=f"{kind}, {span(ns)}",
        title_fontsize=7,
        loc="outside upper center",
        ncols=2 if len(ablations) == 1 else 3,
    )
    return figure


def counts(one: Ablation) -> list[int]:
    pairs = [each for name in one.imperfections for each in (one.lost(name), one.won_back(name))]
    return [each.n for each in (*pairs, *one.left().values()) if each]


def draw_panel(axes, one: Ablation, colour: str) -> None:
    labels = [f"{NAMES[name]} {getattr(one.full, name):.3g}" for name in one.imperfections]
    for place, name in enumerate(one.imperfections):
        draw_value(axes, place - 0.14, one.lost(name), colour, "o", colour)
        draw_value(axes, place + 0.14, one.won_back(name), colour, "o", "white")
    n = len(labels)
    left = one.left()
    for place, value in enumerate(left.values(), start=n):
        draw_value(axes, place, value, colour, "D", colour)
    axes.set_yticks(range(n + len(left)), [*labels, *left])
    axes.set_ylim(n + len(left) - 0.5, -0.5)
    axes.axhline(n - 0.5, color=style.GREY, lw=0.5)
    axes.axvline(0, color=style.GREY, lw=0.7, ls=":")
    axes.set_xlabel("points of test accuracy (dotted: none)")
    axes.set_title(f"{style.name(one.full.field.name)}, learning rate {one.full.lr:g}")


def draw_value(axes, place, one: Estimate | None, colour: str, marker: str, face: str) -> None:
    if one is None:
        return
    error = one.error if one.n >= FEWEST else None
    axes.errorbar(
        one.mean, place, xerr=error, fmt=marker, color=colour, mfc=face, elinewidth=1, capsize=2
    )


def takeaway(one: Ablation) -> str:
    """What is left to the ideal network, what each costs, and what to mend first."""
    head = f"Ablation, {style.name(one.full.field.name)} at learning rate {one.full.lr:g}"
    left = one.left()["all, to the ideal network"]
    alone = {name: one.lost(name) for name in one.imperfections}
    scale = f"of the {pm(left)} points to the ideal network " if left else ""
    parts = [f"the {NAMES[name]} costs {pm(cost)} alone" for name, cost in alone.items() if cost]
    if response := one.left()["the response alone"]:
        parts.append(f"the response {pm(response)}")
    costs = [f"{scale}{', '.join(parts)}"] if parts else []
    told = "; ".join(costs + mended(one))
    return f"{head}: {told} (mean ± standard error over equal seeds, {span(counts(one))})."


def mended(one: Ablation) -> list[str]:
    """What to mend first, as far as that is known."""
    back = {name: value for name in one.imperfections if (value := one.won_back(name))}
    if not back:
        return []
    first = max(back, key=lambda name: back[name].mean)
    value = back[first]
    if len(back) < len(one.imperfections) or math.isnan(value.low):
        return [f"of what is trained most is won back without the {NAMES[first]}, {said(value)}"]
    if value.is_clear and value.mean > 0:
        return [f"mend the {NAMES[first]} first, which wins back {said(value)}"]
    return [
        "mending one alone wins nothing that is clear of noise; most would be won by the "
        f"{NAMES[first]}, {said(value)}"
    ]


def pm(one: Estimate) -> str:
    return f"{one.mean:.2f}" + ("" if math.isnan(one.error) else f" ± {one.error:.2f}")
