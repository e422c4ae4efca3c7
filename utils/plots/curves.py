"""Learning curves: test accuracy and pulse request against epoch."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.plots import style
from utils.plots.panels import (
    draw_history,
    finish_epoch_axis,
    leave_out_first_epoch,
    lowest_of_cluster,
    name_ends,
    read_histories,
)
from utils.plots.selection import fields_in
from utils.plots.statistics import describe_mean
from utils.records.columns import setting_columns
from utils.settings import Setting


def draw_learning_curves(networks: pd.DataFrame) -> Figure | None:
    """A column for each field, a line for each learning rate, named at the panel's right.

    Fields have axes of accuracy of their own, so that the curves of each can be told apart.

    networks: rows of `Simulations.networks` that differ in field and learning rate; None if none.
    """
    fields = fields_in(networks)
    if not fields:
        return None
    figure, panels = plt.subplots(
        2, len(fields), figsize=(style.PAGE, 4.2), sharex=True, squeeze=False
    )
    colours = style.colours(fields)
    for column, field in zip(panels.T, fields, strict=True):
        rows = networks[networks["field"] == field]
        draw_rates(column[0], rows, "accuracies", 100, colours[field])
        draw_rates(column[1], rows, "gradients", 1, colours[field])
        look = {"loc": "right", "fontsize": style.SMALL} if len(fields) > 3 else {}
        column[0].set_title(style.name(field).replace(" (", "\n("), **look)
        finish_epoch_axis(column[1], int(networks["epochs"].iloc[0]))
        show_differences(column[0])
    panels[0, 0].set_ylabel("test accuracy (%)")
    panels[1, 0].set_ylabel("mean request (pulses per pair)")
    top = max(axes.get_ylim()[1] for axes in panels[1])
    for axes in panels[1]:
        axes.set_ylim(0, top)
    for axes in panels.flat:
        ends = {line.get_label(): float(line.get_ydata()[-1]) for line in axes.get_lines()}
        colours = {line.get_label(): line.get_color() for line in axes.get_lines()}
        name_ends(axes, ends, int(networks["epochs"].iloc[0]), colours)
    style.letter(panels.flat)
    mean = describe_mean(networks).replace(" ± std", "")
    figure.suptitle(f"{style.physics(networks)}; {mean}; numbers: learning rates")
    return figure


def show_differences(axes) -> None:
    """Scale an axis by the curves that end close to the best, from the second epoch on.

    Curves that end below it are named at its lower end; half of the curves at least are drawn.
    """
    curves = [line.get_ydata() for line in axes.get_lines()]
    ends = pd.Series([float(curve[-1]) for curve in curves])
    edge = lowest_of_cluster(ends)
    if (ends < edge).mean() >= 0.5:
        edge = ends.min()
    values = [value for curve in curves if curve[-1] >= edge for value in curve[1:]]
    if not values:
        return
    low, high = float(min(values)), float(max(values))
    axes.set_ylim(low - 0.1 * (high - low) - 0.1, high + 0.05 * (high - low) + 0.1)
    far = [line for line in axes.get_lines() if line.get_ydata()[-1] < edge]
    words = [f"{line.get_label()}: {float(line.get_ydata()[-1]):.0f} %" for line in far]
    if words:
        text = f"↓ {', '.join(words)}"
        axes.text(0.02, 0.02, text, transform=axes.transAxes, fontsize=style.SMALL)


def draw_rates(axes, networks: pd.DataFrame, kind: str, scale: float, colour: str) -> None:
    """Means over networks against epoch, a line for each learning rate, named at its end.

    kind: of files, see `read_histories`; scale: by which their values are multiplied.
    """
    rates = sorted(networks["lr"].unique())
    for position, rate in enumerate(rates):
        rows = networks[networks["lr"] == rate]
        values = (scale * read_histories(rows, kind)).mean(0)  # [epoch]
        epochs, shade = range(1, len(values) + 1), style.shade(colour, position, len(rates))
        marker = "o" if len(values) == 1 else None
        axes.plot(epochs, values, color=shade, marker=marker, label=f"{rate:g}")


def draw_epochs(networks: pd.DataFrame) -> Figure | None:
    """Test accuracy against epoch, a line with a band of one standard deviation for each setting.

    networks: rows of `Simulations.networks` of equally many epochs; None if there are none.
    """
    if networks.empty:
        return None
    figure, axes = plt.subplots(figsize=(style.COLUMN, 3.0))
    order = fields_in(networks)
    settings = sorted(dict.fromkeys(networks["setting"]), key=lambda s: order.index(s.field_name))
    colours, markers, means = style.colours(order), style.markers(order), []
    for setting in settings:
        rows = networks[networks["setting"] == setting]
        alike = [other for other in settings if other.fields == setting.fields]
        colour = style.shade(colours[setting.field_name], alike.index(setting), len(alike))
        label = ", then ".join(style.name(device.name) for device in setting.fields)
        if len(alike) > 1:
            label += ", " + describe_differences(setting, alike)
        means.append(draw_history(axes, rows, colour, label, markers[setting.field_name]))
    finish_epoch_axis(axes, int(networks["epochs"].iloc[0]))
    axes.set_ylabel("test accuracy (%)")
    columns = 1 if len(settings) < 4 or len(settings) > len(order) else 2
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        title=describe_mean(networks),
        ncols=columns,
    )
    rates = networks["lr"].unique()
    at_rate = f",\nlearning rate {rates[0]:g}" * (len(rates) == 1)
    axes.set_title(style.physics(networks).replace(", read", ",\nread") + at_rate)
    leave_out_first_epoch(axes, torch.stack(means))
    return figure


def describe_differences(setting: Setting, others: Sequence[Setting]) -> str:
    """In what a setting differs from others: `lr 1000`."""

    def values(setting: Setting) -> dict:
        names = (name for name in setting_columns() if name != "switch")
        return {"switch": setting.switched_at} | {name: getattr(setting, name) for name in names}

    others_values = [values(other) for other in others]
    return ", ".join(
        f"{name} {value:g}"
        for name, value in values(setting).items()
        if len({other[name] for other in others_values}) > 1
    )
