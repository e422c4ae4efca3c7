"""The map of devices: accuracy over nonlinearity and learning rate, and what is linear enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from devices.built_in import CURVED, LINEAR
from utils.plots import style
from utils.plots.nonlinearity import has_nonlinearity, nonlinearity
from utils.plots.panels import RATE_LABEL, legend_above
from utils.plots.selection import FIELD_AND_RATE, comparable, fields_in
from utils.plots.statistics import (
    MIN_FOR_SPREAD,
    Difference,
    at_best_rate,
    best_rate,
    describe_count,
    difference,
)

TOLERANCE = 0.5  # points below a linear device that count as as good
LEVELS = (0.5, 1, 2, 5, 10, 20)  # points below the best, of contour lines
LOST_LEVELS = (1, 5, 20)  # points lost or won in relaxation, of contour lines
DEEPEST = 10.0  # points below the best, as far as colours tell them apart
MOST_LOST = 4.0  # points, lost or won in relaxation, as far as colours tell them apart


@dataclass(frozen=True)
class Map:
    """Curved devices of one physics, and other fields of the same physics to mark among them.

    curved: rows of `Simulations.networks` with their nonlinearity as the column `nu`.
    """

    curved: pd.DataFrame
    others: pd.DataFrame

    @property
    def nus(self) -> list[float]:
        return sorted(self.curved["nu"].unique())

    @property
    def rates(self) -> list[float]:
        return sorted(self.curved["lr"].unique())

    def grid(self, value: str = "accuracy") -> np.ndarray:
        """Mean over networks, NaN where there are none: [rate, nu]."""
        means = self.curved.pivot_table(value, "lr", "nu", "mean", dropna=False)
        return means.reindex(index=self.rates, columns=self.nus).to_numpy(float)

    def at(self, nu: float) -> pd.DataFrame:
        """The networks of a nonlinearity."""
        return self.curved[self.curved["nu"] == nu]

    def best(self, nu: float) -> float:
        """The learning rate of highest mean accuracy."""
        return best_rate(self.at(nu))

    def above_linear(self) -> dict[float, Difference]:
        """By how much each is better than nu = 0, each at its own best rate, over equal seeds."""
        best = {nu: at_best_rate(self.at(nu)) for nu in self.nus}
        if 0.0 not in best:
            return {}
        found = {nu: difference(rows, best[0.0]) for nu, rows in best.items()}
        return {nu: points for nu, points in found.items() if points is not None}


def select(networks: pd.DataFrame, measured: Sequence[str] = ()) -> Map | None:
    """The curved devices, of the physics of which there are most; None if there are none.

    networks: healthy ones of one series; measured: devices to mark whatever noises they have.
    """
    is_curved = networks["field"].str.startswith(CURVED)
    if not is_curved.any():
        return None
    chosen = comparable(networks, vary=(*FIELD_AND_RATE, "constants"), among=is_curved)
    curved = chosen[is_curved[chosen.index]]
    nus = curved["field"].str.removeprefix(CURVED).astype(float)
    marked = networks.index.isin(chosen.index) | networks["field"].isin(measured)
    return Map(curved.assign(nu=nus), networks[marked & ~is_curved])


@dataclass(frozen=True)
class Limit:
    """How far a curve stays above a level. at: nan where it does to the end.

    low, high: by the lower and the upper ends of the intervals; end: of the curve.
    """

    at: float
    low: float
    high: float
    end: float


def find_limit(
    points: Mapping[float, Difference], sign: int, level: float = -TOLERANCE
) -> Limit | None:
    """Where they fall below the level first on the way from 0 up (sign 1) or down (-1)."""
    nus = sorted((nu for nu in points if nu * sign >= 0), key=abs)
    if len(nus) < 2:
        return None

    def crossing(value: Callable[[Difference], float]) -> float:
        """By a line between neighbours; nan where there is none, or no interval."""
        values = [value(points[nu]) for nu in nus]
        for k in range(1, len(nus)):
            if values[k] < level:
                if values[k - 1] < level:
                    return nus[k - 1]
                share = (values[k - 1] - level) / (values[k - 1] - values[k])
                return nus[k - 1] + share * (nus[k] - nus[k - 1])
        return math.nan

    return Limit(
        crossing(lambda p: p.mean), crossing(lambda p: p.low), crossing(lambda p: p.high), nus[-1]
    )


def conclusion(device_map: Map) -> str:
    """Up to which nonlinearity a device stays within half a point of a linear one."""
    points = device_map.above_linear()
    n = min((each.n for each in points.values()), default=0)
    parts = [
        describe_limit(limit, sign, has_interval=n >= MIN_FOR_SPREAD)
        for sign in (1, -1)
        if (limit := find_limit(points, sign))
    ]
    if not parts:
        return "Map: too few nonlinearities yet."
    few = "" if n >= MIN_FOR_SPREAD else f"; no interval from {n} networks"
    return (
        f"Map: each at its own best learning rate, a device stays within {TOLERANCE:g} points of "
        f"a linear one {' and '.join(parts)}{few}.{describe_relaxation(device_map)}"
    )


def describe_relaxation(device_map: Map) -> str:
    """The most that relaxation to the linear response costs, each at its own best learning rate."""
    best = pd.concat([at_best_rate(device_map.at(nu)) for nu in device_map.nus])
    lost = (best["accuracy"] - best["relaxed"]).groupby(best["nu"]).mean().dropna()
    if lost.empty:
        return ""
    return (
        f" Relaxed to the linear response it loses {lost.min():.2f} points (ν = {lost.idxmin():g}) "
        f"to {lost.max():.2f} (ν = {lost.idxmax():g})."
    )


def describe_limit(limit: Limit, sign: int, has_interval: bool) -> str:
    """`up to ν = 0.9 (95 %: 0.7 to 1.2)`."""
    way = "up to" if sign > 0 else "down to"
    if math.isnan(limit.at):
        text = f"{way} the end of the map, ν = {limit.end:g}"
        is_bounded = has_interval and not math.isnan(limit.low)
        return f"{text} (95 %: at least to {limit.low:.1f})" if is_bounded else text
    text = f"{way} ν = {limit.at:.1f}"
    high = "the end" if math.isnan(limit.high) else f"{limit.high:.1f}"
    return f"{text} (95 %: {limit.low:.1f} to {high})" if has_interval else text


def draw_map(device_map: Map | None) -> Figure | None:
    """a: mean accuracy, with the best rate of each; b: points lost to field relaxation.

    None unless two nonlinearities and rates are there.
    """
    if device_map is None or len(device_map.nus) < 2 or len(device_map.rates) < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.PAGE, 3.1), sharey=True)
    accuracy = device_map.grid()
    top = float(np.nanmax(accuracy))
    low = max(float(np.nanmin(accuracy)), top - DEEPEST)
    bar = draw_heat(left, device_map, accuracy, "viridis", (low, top))
    bar.set_label("test accuracy (%)")
    add_contours(left, device_map, accuracy, {top - level: f"−{level:g}" for level in LEVELS})
    lost = accuracy - device_map.grid("relaxed")
    if np.isfinite(lost).any():
        end = min(MOST_LOST, max(TOLERANCE, float(np.nanmax(np.abs(lost)))))
        bar = draw_heat(right, device_map, lost, "RdBu_r", (-end, end))
        bar.set_label("points lost in field relaxation")
        signed = (float(sign * level) for level in LOST_LEVELS for sign in (1, -1))
        levels = {level: f"{level:g}" for level in signed}
        add_contours(right, device_map, lost, levels)
    for axes in (left, right):
        best = [device_map.best(nu) for nu in device_map.nus]
        axes.plot(device_map.nus, best, color="white", lw=2.6)
        (line,) = axes.plot(device_map.nus, best, color="black", lw=1.2, ls="--", marker=".")
        marked = mark_fields(axes, device_map)
        axes.set_xlabel("nonlinearity ν (pulses of the range / decay)")
    left.set_ylabel(RATE_LABEL)
    left.set_title("trained; lines: points from the best")
    right.set_title("relaxed to linear; lines: points lost")
    style.letter((left, right))
    labels = ["best learning rate", *marked]
    counts = device_map.curved.groupby(["nu", "lr"]).size()
    title = f"{style.physics(device_map.curved)}; mean, {describe_count(counts)}"
    legend_above(figure, [line, *marked.values()], labels, title, min(len(labels), 3))
    return figure


def draw_heat(axes, device_map: Map, values: np.ndarray, colours: str, ends: tuple[float, float]):
    """A cell around each point, centred in nu and in the logarithm of the rate; returns its bar."""
    rates = device_map.rates
    borders = borders_of(device_map.nus), np.exp(borders_of(np.log(rates)))
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(*borders, shown, cmap=colours, vmin=ends[0], vmax=ends[1])
    mesh.set_rasterized(True)
    below, above = np.nanmin(values) < ends[0], np.nanmax(values) > ends[1]
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = axes.figure.colorbar(
        mesh, ax=axes, pad=0.02, extend=extend.get((below, above), "neither")
    )
    axes.set_yscale("log")
    axes.set_yticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    return bar


def borders_of(centres: Sequence[float] | np.ndarray) -> np.ndarray:
    """Borders half-way between centres, and as far beyond the first and the last."""
    x = np.asarray(centres, float)
    middles = (x[1:] + x[:-1]) / 2
    return np.array([2 * x[0] - middles[0], *middles, 2 * x[-1] - middles[-1]])


def add_contours(axes, device_map: Map, values: np.ndarray, levels: Mapping[float, str]) -> None:
    """Lines at these levels, named; only those that lie between the values."""
    inside = sorted(level for level in levels if np.nanmin(values) < level < np.nanmax(values))
    if inside:
        nus, rates = device_map.nus, device_map.rates
        lines = axes.contour(nus, rates, values, levels=inside, colors="black", linewidths=0.6)
        for text in axes.clabel(lines, fontsize=style.SMALL, fmt=dict(levels)):
            text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def mark_fields(axes, device_map: Map) -> dict:
    """Other fields where they belong, at their best learning rate; their markers by label."""
    marked, others = {}, device_map.others
    markers = style.markers(others["field"])
    for field in fields_in(others):
        rows = others[others["field"] == field]
        device = rows["setting"].iloc[0].field
        nu = None if device.response.endless else nonlinearity(device)
        if nu is None or not min(device_map.nus) - 0.5 <= nu <= max(device_map.nus) + 0.5:
            continue
        is_nearest = " and the nearest ν" * (not has_nonlinearity(device))
        times = device.response.span / LINEAR.span  # the map is of the range of the linear device
        of_range = f" (range × {times:.1f})" * (abs(times - 1) > 0.05)
        noises = " (own noises)" * (device.measured is not None)
        label = f"{style.name(field)}{of_range}{noises}, at its best{is_nearest}"
        look = {"color": "white", "mec": "black", "mew": 0.9, "ms": 6, "ls": ""}
        (marked[label],) = axes.plot(nu, best_rate(rows), markers[field], **look)
    return marked
