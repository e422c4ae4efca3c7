"""The map of devices: accuracy over nonlinearity and learning rate, and what is linear enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from devices.built_in import CURVED, LINEAR
from devices.library import Device
from devices.responses import Exponential, Linear
from utils.plots import statistics as stats
from utils.plots import style
from utils.plots.devices import nonlinearity
from utils.plots.panels import RATE_LABEL, grid, legend_above
from utils.plots.selection import FIELD_AND_RATE, by_field, comparable

TOLERANCE = 0.5  # points below a linear device that count as as good
LEVELS = (0.5, 1, 2, 5, 10, 20)  # points below the best, of contour lines
LOST_LEVELS = (1, 5, 20)  # points lost or won in relaxation, of contour lines
DEEPEST = 10.0  # points below the best, as far as colours tell them apart
MOST_LOST = 4.0  # points, lost or won in relaxation, as far as colours tell them apart


def select(networks: pd.DataFrame, measured: Sequence[Device] = ()) -> pd.DataFrame:
    """Curved devices of the physics of which there are most, and others to mark among them.

    Their nonlinearity is the column `nu`, NaN of the others. networks: of one series; measured:
    devices to mark whatever noises they have.
    """
    nus = networks["field"].where(networks["field"].str.startswith(CURVED))
    networks = networks.assign(nu=nus.str.removeprefix(CURVED).astype(float))
    is_curved = networks["nu"].notna()
    chosen = comparable(networks, vary=(*FIELD_AND_RATE, "constants"), among=is_curved)
    is_measured = networks["field"].isin([device.name for device in measured]) & ~is_curved
    return networks[networks.index.isin(chosen.index) | is_measured] if len(chosen) else chosen


def mean_grid(shown: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean over networks, NaN where there are none: a row a rate, a column a nonlinearity."""
    return shown.groupby(["lr", "nu"])[value].mean().unstack()


def by_nonlinearity(shown: pd.DataFrame) -> dict[float, pd.DataFrame]:
    """The networks of each nonlinearity at its best learning rate."""
    groups: Any = shown.groupby("nu")
    return {float(nu): stats.at_best_rate(rows) for nu, rows in groups}


def above_linear(shown: pd.DataFrame) -> pd.DataFrame:
    """By how much each is better than nu = 0, each at its own best rate: a row a nonlinearity.

    The columns are those of a `Difference`.
    """
    best = by_nonlinearity(shown)
    points = stats.compare(best, {nu: (nu, 0.0) for nu in best})
    return pd.DataFrame.from_dict(points, "index", columns=stats.Difference._fields)


def crossing(curve: pd.Series) -> float:
    """Where a curve falls below -TOLERANCE first, by a line between neighbours; NaN if nowhere."""
    points: list[Any] = list(curve.items())
    for (nu, start), (following, end) in pairwise(points):
        if end < -TOLERANCE:
            start = max(start, -TOLERANCE)
            return nu + (start + TOLERANCE) / (start - end) * (following - nu)
    return math.nan


def find_limits(above: pd.DataFrame, sign: int) -> pd.Series | None:
    """Where mean, low and high fall below -TOLERANCE on the way from 0 up (sign 1) or down (-1).

    above: see `above_linear`. None where there is no way.
    """
    on_way = above[above.index * sign >= 0].sort_index(key=abs)
    return on_way[["mean", "low", "high"]].apply(crossing) if len(on_way) > 1 else None


def conclusion(shown: pd.DataFrame) -> str:
    """Up to which nonlinearity a device stays within half a point of a linear one."""
    above = above_linear(shown)
    n = above["n"].min()
    few = "" if n >= stats.MIN_FOR_SPREAD else f"; no interval from {n} network{'s' * bool(n > 1)}"
    if few:
        above = above.assign(low=math.nan, high=math.nan)
    parts = []
    for way, sign in (("up", 1), ("down", -1)):
        if (limits := find_limits(above, sign)) is not None:
            parts.append(f"{way} {describe_limits(limits, sign * max(sign * above.index))}")
    if not parts:
        return "Map: too few nonlinearities yet."
    return (
        f"Map: each at its own best learning rate, a device stays within {TOLERANCE:g} points of "
        f"a linear one {' and '.join(parts)}{few}.{describe_relaxation(shown)}"
    )


def describe_relaxation(shown: pd.DataFrame) -> str:
    """The most that relaxation to the linear response costs, each at its own best learning rate."""
    best = pd.concat(by_nonlinearity(shown).values())
    lost = (best["accuracy"] - best["relaxed"]).groupby(best["nu"]).mean().dropna()
    if lost.empty:
        return ""
    return (
        f" Relaxed to the linear response it loses {lost.min():.2f} points (ν = {lost.idxmin():g}) "
        f"to {lost.max():.2f} (ν = {lost.idxmax():g})."
    )


def describe_limits(limits: pd.Series, end: float) -> str:
    """`to ν = 0.9 (95 %: 0.7 to 1.2)`."""
    at, low, high = limits
    if math.isnan(at):
        text, interval = f"to the end of the map, ν = {end:g}", f"at least to {low:.1f}"
    else:
        last = "the end" if math.isnan(high) else f"{high:.1f}"
        text, interval = f"to ν = {at:.1f}", f"{low:.1f} to {last}"
    return text if math.isnan(low) else f"{text} (95 %: {interval})"


def draw_map(shown: pd.DataFrame) -> Figure | None:
    """a: mean accuracy, with the best rate of each; b: points lost to field relaxation.

    None unless two nonlinearities and rates are there.
    """
    accuracy = mean_grid(shown, "accuracy")
    if min(accuracy.shape) < 2:
        return None
    figure, ((left, right),) = grid(1, 2, (style.PAGE, 3.1), sharey=True)
    top, lowest = float(np.nanmax(accuracy.to_numpy())), float(np.nanmin(accuracy.to_numpy()))
    bar = draw_heat(left, accuracy, "viridis", (max(lowest, top - DEEPEST), top))
    bar.set_label("test accuracy (%)")
    add_contours(left, accuracy, {top - level: f"−{level:g}" for level in LEVELS})
    lost = accuracy - mean_grid(shown, "relaxed")
    if lost.notna().any(axis=None):
        end = min(MOST_LOST, max(TOLERANCE, float(np.nanmax(lost.abs().to_numpy()))))
        bar = draw_heat(right, lost, "RdBu_r", (-end, end))
        bar.set_label("points lost in field relaxation")
        signed = (float(sign * level) for level in LOST_LEVELS for sign in (1, -1))
        add_contours(right, lost, {level: f"{level:g}" for level in signed})
    best = {nu: rows["lr"].iloc[0] for nu, rows in by_nonlinearity(shown).items()}
    look = {"color": "black", "lw": 1.2, "ls": "--", "marker": ".", "label": "best learning rate"}
    for axes in (left, right):
        axes.plot([*best], [*best.values()], color="white", lw=2.6)
        axes.plot([*best], [*best.values()], **look)
        mark_fields(axes, shown[shown["nu"].isna()], min(best) - 0.5, max(best) + 0.5)
        axes.set_xlabel("nonlinearity ν (pulses of the range / decay)")
    left.set(ylabel=RATE_LABEL, title="trained; lines: points from the best")
    right.set_title("relaxed to linear; lines: points lost")
    curved = shown.dropna(subset=["nu"])
    count = stats.describe_count(curved.groupby(["nu", "lr"]).size())
    title = f"{style.physics(curved)}; mean, {count}"
    legend_above(figure, left.get_legend_handles_labels()[0], title)
    return figure


def draw_heat(axes, cells: pd.DataFrame, colours: str, ends: tuple[float, float]):
    """A cell around each point, centred in nu and in the logarithm of the rate; returns its bar."""
    rates, shown = cells.index, np.ma.masked_invalid(cells)
    borders = borders_of(cells.columns), np.exp(borders_of(np.log(rates)))
    mesh = axes.pcolormesh(*borders, shown, cmap=colours, vmin=ends[0], vmax=ends[1])
    mesh.set_rasterized(True)
    extend = ("neither", "min", "max", "both")[
        (shown.min() < ends[0]) + 2 * (shown.max() > ends[1])
    ]
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02, extend=extend)
    axes.set_yscale("log")
    axes.set_yticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    return bar


def borders_of(centres: Any) -> np.ndarray:
    """Borders half-way between centres, and as far beyond the first and the last."""
    middles = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middles[0], *middles, 2 * centres[-1] - middles[-1]])


def add_contours(axes, cells: pd.DataFrame, levels: Mapping[float, str]) -> None:
    """Lines at these levels, named; only those that lie between the values."""
    low, high = np.nanmin(cells.to_numpy()), np.nanmax(cells.to_numpy())
    inside = sorted(level for level in levels if low < level < high)
    if inside:
        look = {"levels": inside, "colors": "black", "linewidths": 0.6}
        lines = axes.contour(cells.columns, cells.index, cells, **look)
        for text in axes.clabel(lines, fontsize=style.SMALL, fmt=dict(levels)):
            text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def mark_fields(axes, networks: pd.DataFrame, low: float, high: float) -> None:
    """Other fields where they belong, at their best learning rate, if that is from low to high."""
    looks = style.looks(networks["field"])
    for field, rows in by_field(networks).items():
        device = rows["setting"].iloc[0].field
        nu = None if device.response.endless else nonlinearity(device)
        if nu is None or not low <= nu <= high:
            continue
        has_own = isinstance(device.response, (Exponential, Linear))
        times = device.response.span / LINEAR.span  # the map is of the range of the linear device
        label = style.name(field) + f" (range × {times:.1f})" * (abs(times - 1) > 0.05)
        label += " (own noises)" * (device.measured is not None)
        label += ", at its best" + " and the nearest ν" * (not has_own)
        look = {"color": "white", "mec": "black", "mew": 0.9, "ms": 6, "ls": "", "label": label}
        axes.plot(nu, stats.best_rate(rows), **looks[field] | look)
