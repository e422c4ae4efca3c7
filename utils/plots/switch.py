"""The field switched while networks learn: how long one of the two has to be on, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from devices.library import Device
from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.networks import Networks
from utils.plots.selection import FIELD_AND_RATE, comparable
from utils.settings import Setting
from utils.study import FIELDS

SHOWN = 0.85  # of the last accuracy, from which on one right after a switch is on the axis
TOLERANCE = 0.5  # points below the device that is never switched, within which accuracy is kept


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

    @property
    def orders(self) -> dict[str, tuple[Device, Device]]:
        """By its name, the field at first and the one from the switch on."""
        orders = (self.asked, self.other), (self.other, self.asked)
        return {
            ", then ".join(style.name(field.name) for field in order): order for order in orders
        }

    def order(self, first: Device, rate: float) -> pd.DataFrame:
        """Networks that began under a field, and both ends: never, and always under `asked`."""
        rows = self.networks[self.networks["lr"] == rate]
        began = rows["setting"].map(lambda setting: setting.field == first)
        return rows[began | (rows["switch"] == 0)]

    def accuracies(self, first: Device, rate: float) -> pd.DataFrame:
        """Mean and standard deviation of accuracy (%) by epochs under `asked`."""
        return stats.summary(self.order(first, rate), by="under")


def select(networks: Networks) -> Switched | None:
    """The two fields, and the physics, of which most switched networks are there; None if none.

    Switched networks of the original scripts are left out.
    """
    rows = networks.healthy
    rows = rows[(rows["switch"] == 0) | ~rows["original"]]
    rows = comparable(rows, (*FIELD_AND_RATE, "switch", "constants"), among=rows["switch"] > 0)
    if rows.empty:
        return None
    pairs = Counter(frozenset(s.fields) for s in rows[rows["switch"] > 0]["setting"])
    (pair, _), *_ = pairs.most_common(1)
    asked, other = sorted(pair, key=lambda device: (device != FIELDS[0], device.name))
    rows = rows[[pair.issuperset(setting.fields) for setting in rows["setting"]]]
    under = [epochs_under(asked, setting) for setting in rows["setting"]]
    return Switched(rows.assign(under=under), asked, other)


def epochs_under(device: Device, setting: Setting) -> int:
    """How many epochs a network of a setting learns under the field of a device."""
    before = setting.epochs if setting.switched_at is None else setting.switched_at
    return before if setting.field == device else setting.epochs - before


def draw_switch(switched: Switched) -> Figure:
    """Above: accuracy against epochs under a field, by learning rate; below: learning curves."""
    figure = plt.figure(figsize=(style.PAGE, 4.8))
    top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
    above = top.subplots(1, len(switched.rates), sharey=True, squeeze=False)[0]
    for axes, rate in zip(above, switched.rates, strict=True):
        draw_by_epochs(axes, switched, rate)
    above[0].set_ylabel("test accuracy after training (%)")
    title = f"{style.physics(switched.networks)}; {stats.describe_mean(switched.networks)}"
    panels.legend_above(top, above[0].get_legend_handles_labels()[0], title, 4)
    # At the learning rate at which the field asked for is best alone, otherwise the smallest.
    always = switched.networks[switched.networks["under"] == switched.epochs]
    always = always[always["lr"].isin(switched.rates)]
    rate = switched.rates[0] if always.empty else stats.best_rate(always)
    below, lows = bottom.subplots(1, 2, sharey=True), []
    for axes, (name, (first, then)) in zip(below, switched.orders.items(), strict=True):
        draw_curves(axes, switched.order(first, rate), first, then)
        axes.set_title(f"{name}, learning rate {rate:g}")
        lows.append(axes.get_ylim()[0])
    low, high = min(lows), max(axes.dataLim.y1 for axes in below)
    below[0].set(ylabel="test accuracy (%)", ylim=(low, high + 0.05 * (high - low)))
    name = style.name(switched.asked.name)
    top.supxlabel(f"epochs under {name} (grey: {TOLERANCE:g} points below always {name})")
    bottom.supxlabel("epoch (◇ right after the switch; dashed: never switched)")
    style.letter((*above, *below))
    return figure


def draw_by_epochs(axes, switched: Switched, rate: float) -> None:
    """Both orders at one learning rate, with the ends as lines, and what counts as kept."""
    for (label, (first, _)), marker in zip(switched.orders.items(), "os", strict=True):
        points, is_asked = switched.accuracies(first, rate), first == switched.asked
        panels.draw_means(axes, points, "black", label, marker, dashed=not is_asked)
        end = switched.epochs if is_asked else 0
        if end in points.index:
            level, colour = points["mean"][end], style.colour(first.name)
            label = f"always {style.name(first.name)}"
            axes.axhline(level, color=colour, lw=0.9, ls="--", zorder=0, label=label)
            if end:
                axes.axhspan(level - TOLERANCE, level, color=style.GREY, alpha=0.25, lw=0, zorder=0)
    panels.finish_epoch_axis(axes, switched.epochs, "")
    axes.set(title=f"learning rate {rate:g}", xlim=(-0.02 * switched.epochs, None))


def draw_curves(axes, rows: pd.DataFrame, first: Device, then: Device) -> None:
    """Learning curves that begin under a field, in the colour of the one that is on.

    rows: networks of one learning rate that began under the first field, or were never switched.
    """
    before, after = (style.colour(device.name) for device in (first, then))
    means, marked = [], {}  # marked: accuracy right after a switch, by its epoch
    groups: Any = rows.groupby(["switch", "field"])
    for (switch, field), group in groups:
        mean = 100 * panels.read_histories(group, "accuracies").mean(0)
        means.append(mean)
        epochs = range(1, len(mean) + 1)
        if switch == 0:
            axes.plot(epochs, mean, color=style.colour(field), lw=0.7, ls="--", zorder=0)
            continue
        marked[switch] = at_switch = float(group["at_switch"].mean())
        axes.plot(epochs[:switch], mean[:switch], color=before)
        axes.plot(epochs[switch - 1 :], [at_switch, *mean[switch:].tolist()], color=after, lw=0.9)
        axes.plot([switch] * 2, [mean[switch - 1], at_switch], color=after, lw=0.7, ls=":")
        axes.plot(switch, at_switch, "D", color=after, mfc="white", zorder=3)
    if means:
        means = torch.stack(means)
        panels.leave_out_first_epoch(axes, means)
        show_marks(axes, marked, SHOWN * float(means[:, -1].mean()))
    panels.finish_epoch_axis(axes, int(rows["epochs"].iloc[0]), "")


def show_marks(axes, marked: Mapping[int, float], lowest: float) -> None:
    """Let the axis hold the accuracies right after a switch; those below `lowest` are written."""
    shown = [value - 1 for value in marked.values() if value >= lowest]
    axes.set_ylim(bottom=min([*shown, axes.get_ylim()[0]]))
    for switch, value in marked.items():
        if value < axes.get_ylim()[0]:
            look = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 6}
            look |= {"color": style.GREY, "bbox": {"fc": "white", "ec": "none", "pad": 0.5}}
            panels.note(axes, f"◇ {value:.0f} %", (switch, 0.14), coords=panels.AT_EDGE, **look)


def conclusion(switched: Switched) -> str:
    """How long the field asked for must be on to keep its accuracy, computed from the curves."""
    name, lines = style.name(switched.asked.name), []
    for rate in switched.rates:
        firsts = (switched.asked, switched.other)
        orders = "; ".join(describe_order(switched, first, rate) for first in firsts)
        always = switched.accuracies(switched.asked, rate)["mean"].get(switched.epochs)
        if always is not None:
            lines.append(f"\n  learning rate {rate:g}, always {name} {always:.2f} %: {orders}.")
    if not lines:
        return f"Switch: no network was always {name}, to compare with."
    return (
        f"Switch ({stats.describe_mean(switched.networks)}): how many of {switched.epochs} epochs "
        f"{name} has to be on to stay within {TOLERANCE:g} points of its accuracy:{''.join(lines)}"
    )


def describe_order(switched: Switched, first: Device, rate: float) -> str:
    """The fewest epochs, at first or at last, from which on the accuracy is kept."""
    points, epochs = switched.accuracies(first, rate)["mean"], switched.epochs
    is_kept = points >= points.get(epochs, float("nan")) - TOLERANCE
    when = "at first" if first == switched.asked else "at last"
    enough = [under for under in points.index if is_kept.loc[under:].all()]
    simulated = [under for under in points.index if 0 < under < epochs]
    if not simulated:
        return f"{when}, not simulated"
    if not enough or enough[0] == epochs:
        most = simulated[-1]
        return f"{when}, {most} are not enough ({points[most]:.2f} %)"
    return f"{when}, {enough[0]} are enough ({points[enough[0]]:.2f} %)"
