"""What several figures draw: means with a band, learning curves, axes that show the differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from utils.plots import style
from utils.plots.statistics import MIN_FOR_SPREAD, rates_beyond

RATE_LABEL = "learning rate (pulses per unit gradient)"
Place = tuple[Any, float]
AT_EDGE = ("data", "axes fraction")  # coordinates of notes: x of the data, y of the panel
Curve = tuple[Any, pd.DataFrame, Any]  # axes, points of `statistics.summary`, and colour


def grid(n_rows: int, n_columns: int, size: tuple[float, float], **share) -> tuple[Figure, Any]:
    """A figure and its panels, named by letters: [row, column].

    size: width and height, inches; share: the axes that panels share, see `plt.subplots`.
    """
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, **share)
    style.letter(axes.flat)
    return figure, axes


def draw_means(
    axes,
    points: pd.DataFrame,
    color: str | tuple[float, ...],
    label: str,
    marker: str = "o",
    dashed: bool = False,
) -> Curve:
    """Means with a band of one standard deviation to each side, none for less than 3 networks.

    points: see `statistics.summary`. Dashed curves have open markers. Returns what was drawn.
    """
    if len(points):
        std = points["std"].where(points["size"] >= MIN_FOR_SPREAD)
        low, high = points["mean"] - std, points["mean"] + std
        shape = {"ls": "--" if dashed else "-", "mfc": "white" if dashed else color}
        axes.plot(points.index, points["mean"], color=color, label=label, marker=marker, **shape)
        axes.fill_between(points.index, low, high, color=color, alpha=0.2, lw=0)
    return axes, points, color


def draw_history(
    axes, rows: pd.DataFrame, color: str | tuple[float, ...], label: str, marker: str
) -> torch.Tensor:
    """Mean test accuracy of some networks against epoch, with its band; returned in %, [epoch]."""
    values = 100 * read_histories(rows, "accuracies")  # [model, epoch]
    mean, std = values.mean(0), values.std(0, correction=min(1, len(rows) - 1))
    epochs = pd.RangeIndex(1, len(mean) + 1)
    points = pd.DataFrame({"mean": mean, "std": std, "size": len(rows)}, epochs)
    draw_means(axes, points, color, label, marker)
    return mean


def read_histories(rows: pd.DataFrame, kind: str) -> torch.Tensor:
    """Accuracies (0 to 1) or gradients (pulses) of some networks: [model, epoch]."""
    paths = [getattr(row.folder, kind)(row.model) for row in rows.itertuples()]
    return torch.stack([torch.load(path, weights_only=True) for path in paths])


def finish_epoch_axis(axes, n_epochs: int, label: str = "epoch") -> None:
    """Whole epochs, and an axis that ends with the last one."""
    axes.set_xlabel(label)
    axes.set_xlim(0, n_epochs + 0.02 * n_epochs)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def use_log_scale(axis) -> None:
    """Make an axis logarithmic, with ticks at 1, 2 and 5 times powers of 10, as plain numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def note(axes, text: str, at: Place, shift: Place = (0, 0), coords: Any = "data", **look) -> None:
    """Write a small text at a place, moved by so many points. coords: see `Axes.annotate`."""
    look = {"fontsize": style.SMALL} | look
    axes.annotate(text, at, shift, coords, textcoords="offset points", **look)


def mark_edge(axes, points: pd.DataFrame, networks: pd.DataFrame, colour: str) -> str:
    """An arrow at the best learning rate where better ones may lie beyond those that were tried.

    Returns what the arrow means, for the title, or nothing where there is none.

    points: drawn, by learning rate or what stands for it; networks: of the same field.
    """
    if len(points) < 2 or not rates_beyond(networks):
        return ""
    best: Any = points["mean"].idxmax()
    arrow, way, side = ("←", -4, "right") if best == points.index[0] else ("→", 4, "left")
    look = {"fontsize": "medium", "color": colour, "ha": side, "va": "center"}
    note(axes, arrow, (best, points["mean"][best]), (way, 0), annotation_clip=False, **look)
    return "; arrow: best at the edge of what was tried"


def name_ends(axes, x: float) -> None:
    """Write the label of each curve at its right, where the axis is x, apart from each other."""
    low, high = axes.get_ylim()
    place, gap = -float("inf"), 0.055 * (high - low)
    for line in sorted(axes.get_lines(), key=last_value):
        if low <= last_value(line) <= high:
            place = max(last_value(line), place + gap)
            look = {"color": line.get_color(), "va": "center", "annotation_clip": False}
            note(axes, line.get_label(), (x, place), (4, 0), **look)


def last_value(line) -> float:
    """Where a curve ends."""
    return float(line.get_ydata()[-1])


def legend_above(figure, handles: Sequence, title: str, columns: int = 3, **look) -> None:
    """A legend above the panels, where it covers no curve. handles: with their labels."""
    look = {"handlelength": 2.8, "title_fontsize": 7, "loc": "outside upper center"} | look
    figure.legend(handles=handles, title=title, ncols=columns, **look)


def lowest_of_cluster(means: pd.Series) -> float:
    """The lowest of the points that lie close: the gap below it is wider than they lie apart.

    At least half of the points lie close. Nothing is left out of a curve of which it would be half.
    """
    falling = sorted(means.dropna(), reverse=True)
    for k in range((len(falling) + 1) // 2, len(falling)):
        if falling[k - 1] - falling[k] > falling[0] - falling[k - 1]:
            return falling[k - 1]
    return falling[-1]


def leave_out_outliers(drawn: Sequence[Curve], max_share: float = 0.5) -> None:
    """Scale the common axis by the points that lie close, and write those far below at its end.

    max_share: every curve has to keep more than the rest of its points.
    """
    means = pd.concat([points["mean"] for _, points, _ in drawn])
    edge = lowest_of_cluster(means)
    shares = [(points["mean"] < edge).mean() for _, points, _ in drawn if len(points)]
    if not any(shares) or max(shares) >= max_share:
        return
    std = pd.concat([p["std"].where(p["size"] >= MIN_FOR_SPREAD).fillna(0) for _, p, _ in drawn])
    low, high = (means - std)[means >= edge].min(), means.max()
    room = 0.06 * (high - low)
    drawn[0][0].set_ylim(low - 2 * room, high + room)
    written = Counter()  # texts at a place, one above the other
    for axes, points, colour in drawn:
        for rate, mean in points["mean"][points["mean"] < edge].items():
            shift, box = (-3, 3 + 8 * written[axes, rate]), {"fc": "white", "ec": "none", "pad": 0}
            note(axes, f"↓ {mean:.0f}", (rate, 0), shift, AT_EDGE, color=colour, bbox=box)
            written[axes, rate] += 1


def leave_out_first_epoch(axes, means: torch.Tensor) -> None:
    """Scale the axis by the epochs after the first where that one lies far below, and say so.

    means: accuracy in %, [setting, epoch].
    """
    first, rest = means[:, 0], means[:, 1:]
    if rest.numel() == 0 or first.max() >= rest.min() - 2 * (rest.max() - rest.min()):
        return
    room = 0.5 * (rest.max() - rest.min()) + 1
    axes.set_ylim(float(rest.min() - room), float(rest.max() + 0.3 * room))
    low, high = f"{float(first.min()):.0f}", f"{float(first.max()):.0f}"
    text = f"↙ epoch 1: {low} %" if low == high else f"↙ epoch 1: {low} to {high} %"
    note(axes, text, (2.2, 0.02), coords=AT_EDGE, color=style.GREY, va="bottom")
