"""The picture of how a device may be driven, from `utils.plots.driving`."""

from __future__ import annotations

import math
from itertools import chain
from string import ascii_lowercase
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from devices.scheme import CELLS
from utils.plots import style
from utils.plots.costs import use_plain_ticks
from utils.plots.driving import RULES, Driven, pareto_front, rule_name
from utils.plots.panels import draw_means, leave_out_outliers
from utils.plots.statistics import at_best_rate, describe_mean, summary

COLOURS = dict(zip(RULES, ("#000000", "#0072B2", "#56B4E9", "#D55E00", "#E69F00"), strict=True))
RULE_MARKERS = dict(zip(RULES, "os^Dv", strict=True))
CELL_MARKERS: dict[str, str] = dict(zip(CELLS, "os^", strict=True))
PANEL_HEIGHT = 2.3  # inches


def draw_driving(shown: list[Driven]) -> Figure | None:
    """For each device: a, accuracy against learning rate; b, against pulses; c, requests."""
    if not shown:
        return None
    figure = plt.figure(figsize=(style.PAGE, 2 * PANEL_HEIGHT * len(shown) + 0.8))
    parts = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    panels = [draw_device(part, driven) for part, driven in zip(parts, shown, strict=True)]
    for axes, letter in zip(chain(*panels), ascii_lowercase, strict=False):
        axes.set_title(letter, loc="left", fontweight="bold")
    handles = [
        Line2D([], [], color=COLOURS[rule], marker=RULE_MARKERS[rule], lw=1, label=name)
        for rule, name in RULES.items()
    ]
    one = shown[0].schemes[0].rates
    figure.legend(
        handles=handles,
        title=f"{style.physics(one)}; {one['epochs'].iloc[0]} epochs, {describe_mean(one)}",
        title_fontsize=7,
        loc="outside upper center",
        ncols=3,
    )
    return figure


def draw_device(part: SubFigure, driven: Driven) -> list[Axes]:
    """Draw a device, and return the panels that have a letter."""
    top, bottom = part.subfigures(2, 1, squeeze=False)[:, 0]
    cells = [cell for cell in CELLS if any(each.cell == cell for each in driven.schemes)]
    panels = top.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    ideal = at_best_rate(driven.ideal)["accuracy"].mean()
    drawn = []
    for axes, cell in zip(panels, cells, strict=True):
        for each in (each for each in driven.schemes if each.cell == cell):
            points, colour = summary(each.rates), COLOURS[each.rule]
            draw_means(axes, points, colour, rule_name(each.rule), RULE_MARKERS[each.rule])
            drawn.append((axes, points, colour))
        axes.set_xscale("log")
        use_plain_ticks(axes.xaxis)
        axes.set_xlabel("learning rate")
        axes.set_title(cell, loc="center")
    leave_out_outliers(drawn)
    panels[0].set_ylabel("test accuracy (%)")
    top.suptitle(style.name(driven.field), fontweight="bold")
    reached, requests = bottom.subplots(1, 2, width_ratios=(1, 1.1))
    draw_cost(reached, driven)
    draw_requests(requests, driven)
    for axes in (*panels, reached):
        if not math.isnan(ideal):
            axes.axhline(ideal, color=style.GREY, lw=0.8, ls=":", zorder=0)
    if not math.isnan(ideal):
        reached.annotate(
            "ideal network",
            (0, ideal),
            xycoords=("axes fraction", "data"),
            xytext=(2, -2),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=style.GREY,
            va="top",
        )
    return [panels[0], reached, requests]


def draw_cost(axes, driven: Driven) -> None:
    """Each scheme at its best learning rate: accuracy against pulses, with the Pareto front."""
    counted = [each for each in driven.schemes if each.mean("pulses") > 0]
    for each in counted:
        axes.plot(
            each.mean("pulses"),
            each.accuracy,
            color=COLOURS[each.rule],
            marker=CELL_MARKERS[each.cell],
            ls="none",
            ms=5,
        )
    front = pareto_front(counted)
    if len(front) > 1:
        pulses, accuracy = zip(*((e.mean("pulses"), e.accuracy) for e in front), strict=True)
        axes.plot(pulses, accuracy, color=style.GREY, lw=0.8, zorder=0)
    axes.set_xscale("log")
    use_plain_ticks(axes.xaxis)
    axes.set_xlabel("pulses per device in the whole training")
    axes.set_ylabel("test accuracy (%)")
    cells = dict.fromkeys(each.cell for each in counted)
    handles = [
        Line2D([], [], color=style.GREY, marker=CELL_MARKERS[cell], ls="none", label=cell)
        for cell in cells
    ]
    if len(front) > 1:
        handles.append(Line2D([], [], color=style.GREY, lw=0.8, label="best for its pulses"))
    axes.legend(handles=handles, loc="best", fontsize=style.SMALL)


def draw_requests(axes, driven: Driven) -> None:
    """Bars of where requests go: written, of these followed by a refresh, pending, dropped."""
    schemes = [each for each in driven.schemes if each.mean("pulses") > 0][::-1]
    for place, each in enumerate(schemes):
        dropped, pending = (share_or_none(each.mean(name)) for name in ("dropped", "pending"))
        written = 1 - dropped - pending
        refreshed = written * share_or_none(each.mean("refreshed"))
        left, colour = 0.0, COLOURS[each.rule]
        for share, look in (
            (refreshed, {"color": style.shade(colour, 1, 3), "hatch": "xxxx"}),
            (written - refreshed, {"color": colour}),
            (pending, {"color": "white", "ec": colour, "hatch": "////"}),
            (dropped, {"color": "#DDDDDD"}),
        ):
            axes.barh(place, 100 * share, left=left, height=0.7, lw=0.5, **look)
            left += 100 * share
    places = pd.Series(range(len(schemes)), [each.cell for each in schemes])
    middle = places.groupby(level=0, sort=False).mean()
    axes.set_yticks(list(middle), list(middle.index))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("requests (%)")
    looks: dict[str, dict[str, Any]] = {"written": {"fc": style.GREY}, "dropped": {"fc": "#DDDDDD"}}
    if any(each.mean("refreshed") > 0 for each in schemes):
        looks["refreshed"] = {"fc": "#BBBBBB", "ec": style.GREY, "hatch": "xxxx"}
    looks["pending"] = {"fc": "white", "ec": style.GREY, "hatch": "////"}
    handles = [Patch(label=name, **look) for name, look in looks.items()]
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=4,
        fontsize=style.SMALL,
        handlelength=1.2,
        columnspacing=1.0,
    )


def share_or_none(value: float) -> float:
    """Return a share, 0 where it is not known because there was nothing to count."""
    return 0.0 if math.isnan(value) else value
