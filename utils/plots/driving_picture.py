"""The picture of how a device may be driven, from `utils.plots.driving`."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from devices.scheme import CELLS
from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.driving import RULE_NAMES, Driven, pareto_front

COLOURS = ("#000000", "#0072B2", "#56B4E9", "#D55E00", "#E69F00")
LOOKS: dict[Any, dict[str, Any]] = {
    name: {"color": colour, "marker": marker, "label": name}
    for name, colour, marker in zip(RULE_NAMES.values(), COLOURS, "os^Dv", strict=True)
}
CELL_MARKERS: dict[Any, str] = dict(zip(CELLS, "os^", strict=True))
PANEL_HEIGHT = 2.3  # inches
DROPPED = "#DDDDDD"


def draw_driving(shown: list[Driven]) -> Figure:
    """For each device: a, accuracy against learning rate; b, against pulses; c, requests."""
    figure = plt.figure(figsize=(style.PAGE, 2 * PANEL_HEIGHT * len(shown) + 0.8))
    parts = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    lettered = map(draw_device, parts, shown)
    style.letter(chain(*lettered))
    rates = next(iter(shown[0].rates.values()))
    handles = [Line2D([], [], lw=1, **look) for look in LOOKS.values()]
    title = (
        f"{style.physics(rates)}; {rates['epochs'].iloc[0]} epochs, {stats.describe_mean(rates)}"
    )
    panels.legend_above(figure, handles, title, handlelength=None)
    return figure


def draw_device(part: SubFigure, driven: Driven) -> list[Axes]:
    """Draw a device, and return the panels that have a letter."""
    top, bottom = part.subfigures(2, 1, squeeze=False)[:, 0]
    cells = list(driven.schemes["cell"].unique())
    row = dict(zip(cells, top.subplots(1, len(cells), sharey=True, squeeze=False)[0], strict=True))
    panels.leave_out_outliers(
        [
            panels.draw_means(row[cell], stats.summary(rates), **LOOKS[rule])
            for (cell, rule), rates in driven.rates.items()
        ]
    )
    for cell, axes in row.items():
        panels.use_log_scale(axes.xaxis)
        axes.set(xlabel="learning rate", title=cell)
    row[cells[0]].set_ylabel("test accuracy (%)")
    top.suptitle(style.name(driven.field), fontweight="bold")
    reached, requests = bottom.subplots(1, 2, width_ratios=(1, 1.1))
    draw_cost(reached, driven)
    draw_requests(requests, driven)
    ideal = stats.at_best_rate(driven.ideal)["accuracy"].mean()
    if not math.isnan(ideal):
        for axes in (*row.values(), reached):
            axes.axhline(ideal, color=style.GREY, lw=0.8, ls=":", zorder=0)
        at = ("axes fraction", "data")
        panels.note(reached, "ideal network", (0, ideal), (2, -2), at, color=style.GREY, va="top")
    return [row[cells[0]], reached, requests]


def draw_cost(axes, driven: Driven) -> None:
    """Each scheme at its best learning rate: accuracy against pulses, with the Pareto front."""
    for cell, schemes in driven.counted.groupby("cell", sort=False):
        look: dict[str, Any] = {"marker": CELL_MARKERS[cell], "ls": "none"}
        for scheme in schemes.itertuples():
            axes.plot(scheme.pulses, scheme.mean, color=LOOKS[scheme.rule]["color"], ms=5, **look)
        axes.plot([], [], color=style.GREY, label=cell, **look)
    front = pareto_front(driven.counted)
    if len(front) > 1:
        look = {"color": style.GREY, "lw": 0.8, "label": "best for its pulses"}
        axes.plot(front["pulses"], front["mean"], zorder=0, **look)
    panels.use_log_scale(axes.xaxis)
    axes.set(xlabel="pulses per device in the whole training", ylabel="test accuracy (%)")
    axes.legend(loc="best", fontsize=style.SMALL)


def draw_requests(axes, driven: Driven) -> None:
    """Bars of where requests go: written, of these followed by a refresh, pending, dropped."""
    schemes = driven.counted[::-1].fillna({"dropped": 0, "pending": 0, "refreshed": 0})
    colours = [LOOKS[rule]["color"] for rule in schemes["rule"]]
    pale = [style.shade(colour, 1, 3) for colour in colours]
    written = 1 - schemes["dropped"] - schemes["pending"]
    refreshed, left = written * schemes["refreshed"], 0.0
    places = range(len(schemes))
    for width, look in (
        (refreshed, {"color": pale, "hatch": "xxxx"}),
        (written - refreshed, {"color": colours}),
        (schemes["pending"], {"color": "white", "ec": colours, "hatch": "////"}),
        (schemes["dropped"], {"color": DROPPED}),
    ):
        axes.barh(places, 100 * width, left=left, height=0.7, lw=0.5, **look)
        left += 100 * width
    middle = pd.Series(places).groupby(list(schemes["cell"]), sort=False).mean()
    axes.set_yticks(list(middle), list(middle.index))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(0, 100), xlabel="requests (%)")
    looks: dict[str, dict[str, Any]] = {"written": {"fc": style.GREY}, "dropped": {"fc": DROPPED}}
    if (schemes["refreshed"] > 0).any():
        looks["refreshed"] = {"fc": "#BBBBBB", "ec": style.GREY, "hatch": "xxxx"}
    looks["pending"] = {"fc": "white", "ec": style.GREY, "hatch": "////"}
    handles = [Patch(label=name, **look) for name, look in looks.items()]
    shape = {"fontsize": style.SMALL, "handlelength": 1.2, "columnspacing": 1.0}
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, **shape)
