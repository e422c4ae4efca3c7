"""The field switched while networks learn: how long one of the two has to be on, and when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from devices.library import Device
from utils.plots import style
from utils.plots.accuracy import FEWEST, counted
from utils.plots.curves import histories, leave_out_first
from utils.records.simulations import series_of
from utils.settings import Setting, imperfections
from utils.studies import FIELDS, Study

SHOWN = 0.85  # of the last accuracy, from which on one right after a switch is on the axis
KEPT = 0.5  # points below the device that is never switched, within which its accuracy is kept


@dataclass(frozen=True)
class Switched:
    """Networks of two fields, switched in either order or never, alike in all else but lr.

    networks: rows of `Simulations.networks` with `under`, epochs under the field `asked`; asked:
    the field of the question, linear of the paper's two; other: the other one.
    """

    networks: pd.DataFrame
    asked: Device
    other: Device

    @property
    def epochs(self) -> int:
        return int(self.networks["epochs"].iloc[0])

    @property
    def rates(self) -> list[float]:
        """Learning rates at which something was switched."""
        return sorted(self.networks[self.networks["switch"] > 0]["lr"].unique())

    def order(self, first: Device, rate: float) -> pd.DataFrame:
        """Networks that began under a field, and both ends: never, and always under `asked`."""
        rows = self.networks[self.networks["lr"] == rate]
        began = rows["setting"].map(lambda setting: setting.field == first)
        return rows[began | (rows["switch"] == 0)]

    def curve(self, first: Device, rate: float) -> pd.DataFrame:
        """Mean and standard deviation of their accuracies (%) by epochs under `asked`."""
        grouped = self.order(first, rate).groupby("under")["accuracy"]
        return grouped.agg(["mean", "std", "size"]).sort_index()

    def missing(self, study: Study) -> str | None:
        """How many settings of the study are not there; None if all are, or of other fields."""
        if {self.asked, self.other} != set(FIELDS):
            return None
        wanted = set(study.settings(series_of(self.networks)))
        absent = wanted - set(self.networks["setting"])
        return f"{len(absent)} of its {len(wanted)} settings" if absent else None


def select_switched(networks: pd.DataFrame) -> Switched | None:
    """The two fields, and the physics, of which most switched networks are there; None if none.

    networks: healthy ones of one series. Those of the original scripts are left out.
    """
    switched = networks[(networks["switch"] > 0) & ~networks["original"]]
    if switched.empty:
        return None
    physics = list(switched.groupby(imperfections()).size().idxmax())
    switched = switched[(switched[imperfections()] == physics).all(axis=1)]
    pairs = Counter(frozenset(setting.fields) for setting in switched["setting"])
    (pair, _), *_ = pairs.most_common(1)
    asked, other = sorted(pair, key=lambda device: (device != FIELDS[0], device.name))
    rows = networks[(networks[imperfections()] == physics).all(axis=1)]
    rows = rows[rows["setting"].map(lambda setting: pair.issuperset(setting.fields))]
    rows = rows[(rows["switch"] == 0) | ~rows["original"]]
    under = [epochs_under(asked, setting) for setting in rows["setting"]]
    return Switched(rows.assign(under=under), asked, other)


def epochs_under(device: Device, setting: Setting) -> int:
    """How many epochs a network of a setting learns under the field of a device."""
    before = setting.epochs if setting.switched_at is None else setting.switched_at
    return before if setting.field == device else setting.epochs - before


def draw_switch(one: Switched) -> Figure:
    """Above: accuracy against epochs under a field, by learning rate; below: learning curves."""
    figure = plt.figure(figsize=(style.PAGE, 4.8))
    top, bottom = figure.subfigures(2, 1)
    above = top.subplots(1, len(one.rates), sharey=True, squeeze=False)[0]
    for axes, rate in zip(above, one.rates, strict=True):
        draw_by_epochs(axes, one, rate)
    above[0].set_ylabel("test accuracy after training (%)")
    above[0].legend(loc="lower right", title=counted(one.networks))
    rate = best_rate(one)
    below = bottom.subplots(1, 2, sharey=True)
    lows = []
    for axes, first in zip(below, (one.asked, one.other), strict=True):
        draw_curves(axes, one, first, rate)
        lows.append(axes.get_ylim()[0])
    low, high = min(lows), max(axes.dataLim.y1 for axes in below)
    below[0].set_ylim(low, high + 0.05 * (high - low))
    below[0].set_ylabel("test accuracy (%)")
    style.letter((*above, *below))
    figure.suptitle(style.physics(one.networks))
    return figure


def best_rate(one: Switched) -> float:
    """That at which the field asked for is best alone, else the smallest."""
    always = one.networks[(one.networks["under"] == one.epochs)]
    always = always[always["lr"].isin(one.rates)]
    return one.rates[0] if always.empty else always.groupby("lr")["accuracy"].mean().idxmax()


def draw_by_epochs(axes, one: Switched, rate: float) -> None:
    """Both orders at one learning rate, with the ends as lines, and what counts as kept."""
    for first, then in ((one.asked, one.other), (one.other, one.asked)):
        points, colour = one.curve(first, rate), style.colour(first.name)
        std = points["std"].where(points["size"] >= FEWEST)
        label = f"{style.name(first.name)}, then {style.name(then.name)}"
        axes.plot(points.index, points["mean"], marker="o", color=colour, label=label)
        low, high = points["mean"] - std, points["mean"] + std
        axes.fill_between(points.index, low, high, color=colour, alpha=0.2, lw=0)
        end = 0 if first == one.other else one.epochs
        if end in points.index:
            level = points["mean"][end]
            axes.axhline(level, color=colour, lw=0.7, ls="--", zorder=0)
            if end:
                axes.axhspan(level - KEPT, level, color=style.GREY, alpha=0.25, lw=0, zorder=0)
    axes.set_title(f"learning rate {rate:g}")
    name = style.name(one.asked.name)
    axes.set_xlabel(f"epochs under {name} (grey: {KEPT:g} points below always {name})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_curves(axes, one: Switched, first: Device, rate: float) -> None:
    """Learning curves that begin under a field, in the colour of the one that is on."""
    then = one.other if first == one.asked else one.asked
    before, after = (style.colour(device.name) for device in (first, then))
    rows, means, marked = one.order(first, rate), [], []
    for switch, group in rows.groupby("switch"):
        if switch == 0:
            continue
        mean = 100 * histories(group, "accuracies").mean(0)
        at_switch = float(group["at_switch"].mean())
        axes.plot(range(1, switch + 1), mean[:switch], color=before)
        behind = [at_switch, *mean[switch:].tolist()]
        axes.plot(range(switch, one.epochs + 1), behind, color=after, lw=0.9)
        axes.plot([switch] * 2, [mean[switch - 1], at_switch], color=after, lw=0.7, ls=":")
        axes.plot(switch, at_switch, "D", color=after, mfc="white", zorder=3)
        means.append(mean)
        marked.append((switch, at_switch))
    for device in (first, then):
        alone = rows[(rows["switch"] == 0) & (rows["field"] == device.name)]
        if not alone.empty:
            mean = 100 * histories(alone, "accuracies").mean(0)
            epochs = range(1, one.epochs + 1)
            axes.plot(epochs, mean, color=style.colour(device.name), lw=0.7, ls="--", zorder=0)
            means.append(mean)
    if means:
        means = torch.stack(means)
        leave_out_first(axes, means)
        show_marks(axes, marked, SHOWN * float(means[:, -1].mean()))
    names = [style.name(device.name) for device in (first, then)]
    axes.set_title(f"{names[0]}, then {names[1]}, learning rate {rate:g}")
    axes.set_xlabel("epoch (◇ right after the switch; dashed: never switched)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def show_marks(axes, marked: list[tuple[int, float]], lowest: float) -> None:
    """Let the axis hold the accuracies right after a switch; those below `lowest` are written."""
    shown = [value for _, value in marked if value >= lowest]
    axes.set_ylim(bottom=min([*(value - 1 for value in shown), axes.get_ylim()[0]]))
    for switch, value in marked:
        if value < axes.get_ylim()[0]:
            axes.annotate(
                f"◇ {value:.0f} %",
                (switch, 0.14),
                xycoords=("data", "axes fraction"),
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=6,
                color=style.GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )


def tell_switch(one: Switched) -> str:
    """How long the field asked for must be on to keep its accuracy, computed from the curves."""
    name, parts = style.name(one.asked.name), []
    for rate in one.rates:
        told = [tell_order(one, first, rate) for first in (one.asked, one.other)]
        always = one.curve(one.asked, rate)["mean"].get(one.epochs)
        if always is not None:
            parts.append(
                f"\n  learning rate {rate:g}, always {name} {always:.2f} %: {'; '.join(told)}."
            )
    if not parts:
        return f"Switch: no network was always {name}, to compare with."
    return (
        f"Switch ({counted(one.networks)}): how many of {one.epochs} epochs {name} has to be on "
        f"to stay within {KEPT:g} points of its accuracy:{''.join(parts)}"
    )


def tell_order(one: Switched, first: Device, rate: float) -> str:
    """The same of one order: the fewest epochs from which on the accuracy is kept."""
    points = one.curve(first, rate)["mean"]
    kept = points >= points.get(one.epochs, float("nan")) - KEPT
    when = "at first" if first == one.asked else "at last"
    enough = [under for under in points.index if kept.loc[under:].all()]
    inside = [under for under in points.index if 0 < under < one.epochs]
    if not inside:
        return f"{when}, not simulated"
    if not enough or enough[0] == one.epochs:
        most = inside[-1]
        return f"{when}, {most} are not enough ({points[most]:.2f} %)"
    return f"{when}, {enough[0]} are enough ({points[enough[0]]:.2f} %)"
