"""Learning curves: test accuracy and pulse request against epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.plots import panels, style
from utils.plots.selection import by_field
from utils.plots.statistics import describe_mean
from utils.records.columns import setting_columns


def draw_learning_curves(networks: pd.DataFrame) -> Figure:
    """A column for each field, a line for each learning rate, named at the panel's right.

    Fields have axes of accuracy of their own, so that the curves of each can be told apart.

    networks: rows of `Simulations.networks` that differ in field and learning rate.
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
    mean = describe_mean(networks).replace(" ± std", "")
    figure.suptitle(f"{style.physics(networks)}; {mean}; numbers: learning rates")
    return figure


def show_differences(axes) -> None:
    """Scale an axis by the curves that end close to the best, from the second epoch on.

    Curves that end below it are named at its lower end; half of the curves at least are drawn.
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
    far: Any = ends[~(ends >= edge)].items()
    if words := [f"{line.get_label()}: {end:.0f} %" for line, end in far]:
        panels.note(axes, f"↓ {', '.join(words)}", (0.02, 0.02), coords="axes fraction")


def draw_rates(axes, networks: pd.DataFrame, kind: str, scale: float, colour: str) -> None:
    """Means over networks against epoch, a line for each learning rate.

    kind: of files, see `read_histories`; scale: by which their values are multiplied.
    """
    rates = networks.groupby("lr")
    for position, (rate, rows) in enumerate(rates):
        values = (scale * panels.read_histories(rows, kind)).mean(0)  # [epoch]
        shade = style.shade(colour, position, len(rates))
        marker = "o" if len(values) == 1 else None
        axes.plot(range(1, len(values) + 1), values, color=shade, marker=marker, label=f"{rate:g}")


def draw_epochs(networks: pd.DataFrame) -> Figure:
    """Test accuracy against epoch, a line with a band of one standard deviation for each setting.

    networks: rows of `Simulations.networks` of equally many epochs.
    """
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
    figure.legend(*axes.get_legend_handles_labels(), title=describe_mean(networks), **look)
    rates = networks["lr"].unique()
    at_rate = f",\nlearning rate {rates[0]:g}" * (len(rates) == 1)
    axes.set_title(style.physics(networks).replace(", read", ",\nread") + at_rate)
    panels.leave_out_first_epoch(axes, torch.stack(means))
    return figure
