"""The field switched while networks learn: how long one of the two has to be on, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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


def select(networks: Networks) -> pd.DataFrame:
    """Networks of two fields, switched in either order or never, alike in all else but lr.

    They are of the fields, and the physics, of which most switched networks are there; `under`:
    epochs under the first of `fields_of`. Switched ones of the original scripts are left out.
    """
    rows = networks.all
    rows = rows[~rows["failed"] & ((rows["switch"] == 0) | ~rows["original"])]
    rows = comparable(rows, (*FIELD_AND_RATE, "switch", "constants"), among=rows["switch"] > 0)
    if rows.empty:
        return rows
    pairs = Counter(frozenset(s.fields) for s in rows[rows["switch"] > 0]["setting"])
    (pair, _), *_ = pairs.most_common(1)
    rows = rows[[pair.issuperset(setting.fields) for setting in rows["setting"]]]
    asked, _ = fields_of(rows)
    under = [epochs_under(asked, setting) for setting in rows["setting"]]
    return rows.assign(under=under)


def fields_of(networks: pd.DataFrame) -> list[Device]:
    """Both fields, that of the question first: linear of the paper's two."""
    fields = {field for setting in networks["setting"] for field in setting.fields}
    return sorted(fields, key=lambda device: (device != FIELDS[0], device.name))


def epochs_under(device: Device, setting: Setting) -> int:
    """How many epochs a network of a setting learns under the field of a device."""
    before = setting.epochs if setting.switched_at is None else setting.switched_at
    return before if setting.field == device else setting.epochs - before


def orders(networks: pd.DataFrame, rate: float) -> list[tuple[Device, Device, pd.DataFrame]]:
    """The field at first and the one from the switch on, and their networks, in either order.

    Those that were never switched are both ends of either order.
    """
    (asked, other), rows = fields_of(networks), networks[networks["lr"] == rate]
    began, never = rows["setting"].map(lambda setting: setting.field), rows["switch"] == 0
    pairs = (asked, other), (other, asked)
    return [(first, then, rows[never | (began == first)]) for first, then in pairs]


def draw_switch(networks: pd.DataFrame) -> Figure:
    """Above: accuracy against epochs under a field, by learning rate; below: learning curves."""
    figure = plt.figure(figsize=(style.PAGE, 4.8))
    top, bottom = figure.subfigures(2, 1, squeeze=False)[:, 0]
    rates = sorted(networks[networks["switch"] > 0]["lr"].unique())
    above = top.subplots(1, len(rates), sharey=True, squeeze=False)[0]
    for axes, rate in zip(above, rates, strict=True):
        draw_by_epochs(axes, networks, rate)
    above[0].set_ylabel("test accuracy after training (%)")
    title = f"{style.physics(networks)}; {stats.describe_mean(networks)}"
    panels.legend_above(top, above[0].get_legend_handles_labels()[0], title, 4)
    # At the learning rate at which the field asked for is best alone, otherwise the smallest.
    always = networks[(networks["under"] == networks["epochs"]) & networks["lr"].isin(rates)]
    rate = rates[0] if always.empty else stats.best_rate(always)
    below, lows = bottom.subplots(1, 2, sharey=True), []
    for axes, (first, then, rows) in zip(below, orders(networks, rate), strict=True):
        draw_curves(axes, rows, first, then)
        axes.set_title(f"{order_name(first, then)}, learning rate {rate:g}")
        lows.append(axes.get_ylim()[0])
    low, high = min(lows), max(axes.dataLim.y1 for axes in below)
    below[0].set(ylabel="test accuracy (%)", ylim=(low, high + 0.05 * (high - low)))
    name = style.name(fields_of(networks)[0].name)
    top.supxlabel(f"epochs under {name} (grey: {TOLERANCE:g} points below always {name})")
    bottom.supxlabel("epoch (◇ right after the switch; dashed: never switched)")
    style.letter((*above, *below))
    return figure


def order_name(*fields: Device) -> str:
    return ", then ".join(style.name(field.name) for field in fields)


def draw_by_epochs(axes, networks: pd.DataFrame, rate: float) -> None:
    """Both orders at one learning rate, with the ends as lines, and what counts as kept."""
    n_epochs = int(networks["epochs"].iloc[0])
    for k, (first, then, rows) in enumerate(orders(networks, rate)):
        points, end = stats.summary(rows, by="under"), (n_epochs, 0)[k]
        label = order_name(first, then)
        panels.draw_means(axes, points, "black", label, "os"[k], dashed=bool(k))
        if end in points.index:
            level, colour = points["mean"][end], style.colour(first.name)
            label = f"always {style.name(first.name)}"
            axes.axhline(level, color=colour, lw=0.9, ls="--", zorder=0, label=label)
            if end:
                axes.axhspan(level - TOLERANCE, level, color=style.GREY, alpha=0.25, lw=0, zorder=0)
    panels.finish_epoch_axis(axes, n_epochs, "")
    axes.set(title=f"learning rate {rate:g}", xlim=(-0.02 * n_epochs, None))


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


def conclusion(networks: pd.DataFrame) -> str:
    """How long the field asked for must be on to keep its accuracy, computed from the curves."""
    n_epochs, lines = int(networks["epochs"].iloc[0]), []
    name = style.name(fields_of(networks)[0].name)
    for rate in sorted(networks[networks["switch"] > 0]["lr"].unique()):
        means = [stats.summary(rows, by="under")["mean"] for _, _, rows in orders(networks, rate)]
        if n_epochs in means[0].index:
            at_first, at_last = (describe_order(order, n_epochs) for order in means)
            lines.append(
                f"\n  learning rate {rate:g}, always {name} {means[0][n_epochs]:.2f} %: at first, "
                f"{at_first}; at last, {at_last}."
            )
    if not lines:
        return f"Switch: no network was always {name}, to compare with."
    return (
        f"Switch ({stats.describe_mean(networks)}): how many of {n_epochs} epochs {name} has to be "
        f"on to stay within {TOLERANCE:g} points of its accuracy:{''.join(lines)}"
    )


def describe_order(means: pd.Series, n_epochs: int) -> str:
    """The fewest epochs from which on the accuracy is kept. means: in %, by epochs."""
    is_kept = means >= means[n_epochs] - TOLERANCE
    enough = next(under for under in means.index if is_kept.loc[under:].all())
    simulated = [under for under in means.index if 0 < under < n_epochs]
    if not simulated:
        return "not simulated"
    if enough == n_epochs:
        return f"{simulated[-1]} are not enough ({means[simulated[-1]]:.2f} %)"
    return f"{enough} are enough ({means[enough]:.2f} %)"
