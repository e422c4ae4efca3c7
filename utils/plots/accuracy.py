"""Accuracy against learning rate: figures 1, 2 and 3, and what they say."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.plots import style
from utils.plots.panels import (
    RATE_LABEL,
    draw_means,
    leave_out_outliers,
    legend_above,
    mark_edge,
)
from utils.plots.selection import in_study
from utils.plots.statistics import (
    MIN_FOR_SPREAD,
    at_best_rate,
    describe_best_rate,
    describe_mean,
    describe_resolution,
    difference,
    summary,
)
from utils.studies import STUDIES
from utils.study import FIELDS, Study

FIELD_NAMES = tuple(device.name for device in FIELDS)
LINEAR = FIELD_NAMES[0]
CLOSE = 1.0  # points of accuracy within which a learning rate is as good as the best
BY_RATE = {number: STUDIES[f"figure{number}"] for number in (1, 2, 3)}


def clippings(study: Study) -> list[float]:
    """The smallest pulses of a study, a panel each."""
    return list(dict.fromkeys(setting.clipping for setting in study.settings()))


def select(study: Study, networks: pd.DataFrame) -> pd.DataFrame:
    """The healthy networks of a study, at any learning rate. networks: of one series."""
    rates = {"lr": networks["lr"].unique()} if len(networks) else {}
    return networks[in_study(networks, study, rates) & ~networks["failed"]]


def draw_accuracy(study: Study, networks: pd.DataFrame) -> Figure | None:
    """Linear, exponential, and linear after field relaxation; None if there is no network."""
    networks = select(study, networks)
    present = [c for c in clippings(study) if (networks["clipping"] == c).any()]
    if not present:
        return None
    width = style.COLUMN if len(present) == 1 else style.PAGE
    figure, panels = plt.subplots(
        1, len(present), figsize=(width, 2.9), sharex=True, sharey=True, squeeze=False
    )
    drawn, arrows = [], set()
    for axes, clipping in zip(panels[0], present, strict=True):
        rows = networks[networks["clipping"] == clipping]
        for field in FIELD_NAMES:
            alike, colour = rows[rows["field"] == field], style.colour(field)
            points = summary(alike)
            draw_means(axes, points, colour, style.name(field), style.marker(field))
            arrows.add(mark_edge(axes, points, alike, colour))
            drawn.append((axes, points, colour))
        relaxed = summary(rows[rows["field"] == LINEAR], value="relaxed")
        label, colour = f"{style.name(LINEAR)}, relaxed", style.colour(LINEAR)
        draw_means(axes, relaxed, colour, label, style.marker(LINEAR), dashed=True)
        drawn.append((axes, relaxed, colour))
        if len(clippings(study)) > 1:
            axes.set_title(style.label("clipping", clipping))
    leave_out_outliers(drawn)
    figure.supxlabel(RATE_LABEL)
    style.letter(panels[0])
    panels[0][0].set_ylabel("test accuracy (%)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    lines = "\n" if width == style.COLUMN else " "
    title = f"{style.physics(networks)};{lines}{describe_mean(networks)}{max(arrows)}"
    legend_above(figure, handles, labels, title, 3)
    return figure


def conclusion(study: Study, networks: pd.DataFrame) -> str:
    """How well either field learns and which is better, a line for each panel; maybe nothing."""
    networks, name = select(study, networks), study.name.replace("figure", "Figure ")
    if networks.empty:
        return ""
    lines = []
    for clipping, rows in networks.groupby("clipping"):
        by_field = {field: rows[rows["field"] == field] for field in FIELD_NAMES}
        parts = [describe_best(field, own) for field, own in by_field.items() if len(own)]
        parts += compare(*by_field.values())
        panel = f"\n  {style.label('clipping', clipping)}: " if len(clippings(study)) > 1 else " "
        lines.append(panel + "; ".join(parts) + ".")
    head = f"{describe_mean(networks)}{describe_resolution(networks)}"
    return f"{name} ({head}):{''.join(lines)}"


def compare(linear: pd.DataFrame, exponential: pd.DataFrame) -> list[str]:
    """Linear minus exponential, pairwise over seeds: at equal learning rates, and at the best."""
    by_rate = {}
    for rate in sorted({*linear["lr"]} & {*exponential["lr"]}):
        points = difference(linear[linear["lr"] == rate], exponential[exponential["lr"] == rate])
        if points is not None:
            by_rate[rate] = points
    if not by_rate:
        return []
    order = sorted(by_rate, key=lambda rate: by_rate[rate].mean)
    ends = ", ".join(
        f"{by_rate[rate]} at {rate:g}" for rate in dict.fromkeys((order[0], order[-1]))
    )
    best = difference(at_best_rate(linear), at_best_rate(exponential))
    at_best = [f"each at its best: {best}"] if best else []
    return [f"linear minus exponential, over equal seeds: {ends}", *at_best]


def describe_best(field: str, networks: pd.DataFrame) -> str:
    """How good a field gets, and at which learning rates it stays close to that."""
    points = summary(networks)
    best: Any = points["mean"].idxmax()
    rate, std = describe_best_rate(networks), points["std"][best]
    spread = f" ± {std:.2f}" if points["size"][best] >= MIN_FOR_SPREAD else ""
    close = points["mean"] >= points["mean"].max() - CLOSE
    rates = list(points.index[close])
    if len(rates) > 1 and close[rates[0] : rates[-1]].all():
        where = f"{rates[0]:g} to {rates[-1]:g}"
    else:
        where = ", ".join(f"{rate:g}" for rate in rates) + " alone"
    return (
        f"{style.name(field)} reaches {points['mean'][best]:.2f}{spread} % at learning rate "
        f"{rate}, and stays within {CLOSE:g} point of it for {where}"
    )
