"""Accuracy against learning rate, figures 1, 2 and 3, and against epoch; what the figures say."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.selection import by_field, in_study
from utils.records.columns import setting_columns
from utils.studies import STUDIES
from utils.study import FIELDS, Study

FIELD_NAMES = LINEAR, _ = tuple(device.name for device in FIELDS)
CLOSE = 1.0  # points of accuracy within which a learning rate is as good as the best
BY_RATE = {number: STUDIES[f"figure{number}"] for number in (1, 2, 3)}


def clippings(study: Study) -> list[float]:
    """The smallest pulses of a study, a panel each."""
    return list(dict.fromkeys(setting.clipping for setting in study.settings()))


def select(study: Study, networks: pd.DataFrame) -> pd.DataFrame:
    """The healthy networks of a study, at any learning rate. networks: of one series."""
    return networks[in_study(networks, study, any_rate=True) & ~networks["failed"]]


def draw_accuracy(study: Study, networks: pd.DataFrame) -> Figure:
    """Linear, exponential, and linear after field relaxation."""
    networks = select(study, networks)
    by_clipping = networks.groupby("clipping")
    width = style.COLUMN if len(by_clipping) == 1 else style.PAGE
    figure, (row,) = panels.grid(1, len(by_clipping), (width, 2.9), sharex=True, sharey=True)
    drawn, arrows, looks = [], set(), style.looks(FIELD_NAMES)
    for axes, (clipping, rows) in zip(row, by_clipping, strict=True):
        for field, look in looks.items():
            alike = rows[rows["field"] == field]
            drawn.append(panels.draw_means(axes, stats.summary(alike), **look))
            arrows.add(panels.mark_edge(axes, stats.summary(alike), alike, look["color"]))
        relaxed = stats.summary(rows[rows["field"] == LINEAR], value="relaxed")
        look = looks[LINEAR] | {"label": f"{style.name(LINEAR)}, relaxed"}
        drawn.append(panels.draw_means(axes, relaxed, **look, dashed=True))
        if len(clippings(study)) > 1:
            axes.set_title(style.label("clipping", clipping))
    panels.leave_out_outliers(drawn)
    figure.supxlabel(panels.RATE_LABEL)
    row[0].set_ylabel("test accuracy (%)")
    lines = "\n" if width == style.COLUMN else " "
    title = f"{style.physics(networks)};{lines}{stats.describe_mean(networks)}{max(arrows)}"
    panels.legend_above(figure, row[0].get_legend_handles_labels()[0], title)
    return figure


def conclusion(study: Study, networks: pd.DataFrame) -> str:
    """How well either field learns and which is better, a line for each panel."""
    networks, name = select(study, networks), study.name.replace("figure", "Figure ")
    lines = []
    for clipping, rows in networks.groupby("clipping"):
        fields = {field: rows[rows["field"] == field] for field in FIELD_NAMES}
        parts = [describe_best(field, alike) for field, alike in fields.items() if len(alike)]
        parts += compare(*fields.values())
        panel = f"\n  {style.label('clipping', clipping)}: " if len(clippings(study)) > 1 else " "
        lines.append(panel + "; ".join(parts) + ".")
    head = f"{stats.describe_mean(networks)}{stats.describe_resolution(networks)}"
    return f"{name} ({head}):{''.join(lines)}"


def compare(linear: pd.DataFrame, exponential: pd.DataFrame) -> list[str]:
    """Linear minus exponential, pairwise over seeds: at equal learning rates, and at the best."""
    by_rate = stats.differences(linear, exponential, "lr")
    if not by_rate:
        return []
    ends = ", ".join(f"{points} at {rate:g}" for rate, points in stats.ends_of(by_rate).items())
    best = stats.best_difference(linear, exponential)
    at_best = [f"each at its best: {best}"] if best else []
    return [f"linear minus exponential, over equal seeds: {ends}", *at_best]


def describe_best(field: str, networks: pd.DataFrame) -> str:
    """How good a field gets, and at which learning rates it stays close to that."""
    points = stats.summary(networks)
    best: Any = points["mean"].idxmax()
    spread = f" ± {points['std'][best]:.2f}" if points["size"][best] >= stats.MIN_FOR_SPREAD else ""
    close = points["mean"] >= points["mean"].max() - CLOSE
    rates = list(points.index[close])
    if len(rates) > 1 and close[rates[0] : rates[-1]].all():
        where = f"{rates[0]:g} to {rates[-1]:g}"
    else:
        where = ", ".join(f"{rate:g}" for rate in rates) + " alone"
    return (
        f"{style.name(field)} reaches {points['mean'][best]:.2f}{spread} % at learning rate "
        f"{stats.describe_best_rate(networks)}, and stays within {CLOSE:g} point of it for {where}"
    )


def draw_learning_curves(networks: pd.DataFrame) -> Figure:
    """A column for each field, a line for each learning rate, named at the panel's right.

    Fields have axes of accuracy of their own, so that the curves of each can be told apart.
    networks: differ in field and learning rate.
    """
    fields = by_field(networks)
    figure, grid = panels.grid(2, len(fields), (style.PAGE, 4.2), sharex=True)
    colours, n_epochs = style.colours(fields), int(networks["epochs"].iloc[0])
    for (accuracy, request), (field, rows) in zip(grid.T, fields.items(), strict=True):
        draw_rates(accuracy, rows, "accuracies", 100, colours[field])
        draw_rates(request, rows, "gradients", 1, colours[field])
        look = {"loc": "right", "fontsize": style.SMALL} if len(fields) > 3 else {}
        accuracy.set_title(style.name(field).replace(" (", "\n("), **look)
        panels.finish_epoch_axis(request, n_epochs)
        show_differences(accuracy)
    grid[0, 0].set_ylabel("test accuracy (%)")
    grid[1, 0].set_ylabel("mean request (pulses per pair)")
    plt.setp(grid[1], ylim=(0, max(axes.get_ylim()[1] for axes in grid[1])))
    for axes in grid.flat:
        panels.name_ends(axes, n_epochs)
    mean = stats.describe_mean(networks).replace(" ± std", "")
    figure.suptitle(f"{style.physics(networks)}; {mean}; numbers: learning rates")
    return figure


def show_differences(axes) -> None:
    """Scale an axis by the curves that end close to the best, from the second epoch on.

    Curves that end below the axis are named there; half of the curves at least are drawn.
    """
    ends = pd.Series({line: panels.last_value(line) for line in axes.get_lines()})
    edge = panels.lowest_of_cluster(ends)
    if (ends < edge).mean() >= 0.5:
        edge = ends.min()
    values = [value for line in ends[ends >= edge].index for value in line.get_ydata()[1:]]
    if not values:
        return
    low, high = float(min(values)), float(max(values))
    axes.set_ylim(low - 0.1 * (high - low) - 0.1, high + 0.05 * (high - low) + 0.1)
    far: Any = ends[~(ends >= axes.get_ylim()[0])].items()
    if words := [f"{line.get_label()}: {end:.0f} %" for line, end in far]:
        panels.note(axes, f"↓ {', '.join(words)}", (0.02, 0.02), coords="axes fraction")


def draw_rates(axes, networks: pd.DataFrame, kind: str, scale: float, colour: str) -> None:
    """Means over networks against epoch, a line for each learning rate.

    kind: of files, see `read_histories`; scale: by which their values are multiplied.
    """
    rates = networks.groupby("lr")
    for position, (rate, rows) in enumerate(rates):
        values = (scale * panels.read_histories(rows, kind)).mean(0)  # [epoch]
        look = {"color": style.shade(colour, position, len(rates)), "label": f"{rate:g}"}
        axes.plot(range(1, len(values) + 1), values, marker="o" * (len(values) == 1), **look)


def draw_epochs(networks: pd.DataFrame) -> Figure:
    """Test accuracy against epoch, a line with a band for each setting, all of as many epochs."""
    figure, axes = plt.subplots(figsize=(style.COLUMN, 3.0))
    fields, means = by_field(networks), []
    looks = style.looks(fields)
    for field, alike in fields.items():
        settings: list[tuple[Any, pd.DataFrame]] = list(alike.groupby("setting", sort=False))
        # In what they differ; `switch` is the epoch of a switch, for never 0.
        differing = [c for c in setting_columns() if c != "task" and alike[c].nunique() > 1]
        for position, (setting, rows) in enumerate(settings):
            values = [f"{name} {float(rows[name].iloc[0]):g}" for name in differing]
            label = ", then ".join(style.name(device.name) for device in setting.fields)
            color = style.shade(looks[field]["color"], position, len(settings))
            look = looks[field] | {"color": color, "label": ", ".join([label, *values])}
            means.append(panels.draw_history(axes, rows, **look))
    panels.finish_epoch_axis(axes, int(networks["epochs"].iloc[0]))
    axes.set_ylabel("test accuracy (%)")
    columns = 1 if len(means) < 4 or len(means) > len(fields) else 2
    look: dict[str, Any] = {"loc": "outside lower center", "ncols": columns}
    figure.legend(*axes.get_legend_handles_labels(), title=stats.describe_mean(networks), **look)
    rates = networks["lr"].unique()
    at_rate = f",\nlearning rate {rates[0]:g}" * (len(rates) == 1)
    axes.set_title(style.physics(networks).replace(", read", ",\nread") + at_rate)
    panels.leave_out_first_epoch(axes, torch.stack(means))
    return figure
