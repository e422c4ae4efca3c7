"""Accuracy against learning rate: figures 1, 2 and 3, and what they say."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.selection import in_study
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


def draw_accuracy(study: Study, networks: pd.DataFrame) -> Figure | None:
    """Linear, exponential, and linear after field relaxation; None if there is no network."""
    networks = select(study, networks)
    if networks.empty:
        return None
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
    """How well either field learns and which is better, a line for each panel; maybe nothing."""
    networks, name = select(study, networks), study.name.replace("figure", "Figure ")
    if networks.empty:
        return ""
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
