"""The map of devices: accuracy over nonlinearity and learning rate, and what is linear enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from devices.built_in import CURVED
from utils.plots import style
from utils.plots.accuracy import FIELD_NAMES
from utils.plots.nonlinearity import has_own, nonlinearity
from utils.plots.statistics import FEWEST, Estimate, difference, span
from utils.records.simulations import fields_in
from utils.settings import imperfections

HALF = 0.5  # points below a linear device that count as as good
LEVELS = (0.5, 1, 2, 5, 10, 20)  # points, of contour lines
DEEPEST = 10.0  # points below the best, as far as colours tell them apart


def select(networks: pd.DataFrame) -> pd.DataFrame:
    """Of healthy networks of one series the curved ones, of the physics of which there are most."""
    curved = networks[networks["field"].str.startswith(CURVED)]
    if curved.empty:
        return curved
    most = curved.groupby(imperfections()).size().idxmax()
    return curved[(curved[imperfections()] == list(most)).all(axis=1)]


def select_others(networks: pd.DataFrame, curved: pd.DataFrame, own: Sequence[str]) -> pd.DataFrame:
    """Other fields of the same physics as the curved ones; own: those of whichever they have."""
    if curved.empty:
        return curved
    same = (networks[imperfections()] == list(curved[imperfections()].iloc[0])).all(axis=1)
    return networks[same | networks["field"].isin(own)]


@dataclass(frozen=True)
class Map:
    """Curved devices. cells: their networks by (nonlinearity, learning rate)."""

    cells: Mapping[tuple[float, float], pd.DataFrame]

    @classmethod
    def of(cls, networks: pd.DataFrame) -> Map:
        """From healthy networks of one physics, the curved among them."""
        curved = networks[networks["field"].str.startswith(CURVED)]
        nus = curved["field"].str.removeprefix(CURVED).astype(float)
        return cls(dict(list(curved.groupby([nus, "lr"]))))

    @property
    def nus(self) -> list[float]:
        return sorted({nu for nu, _ in self.cells})

    @property
    def rates(self) -> list[float]:
        return sorted({rate for _, rate in self.cells})

    def grid(self, value: str = "accuracy") -> np.ndarray:
        """Mean over networks, NaN where there are none: [rate, nu]."""
        rows = [
            [
                self.cells[nu, rate][value].mean() if (nu, rate) in self.cells else np.nan
                for nu in self.nus
            ]
            for rate in self.rates
        ]
        return np.array(rows, dtype=float).reshape(len(self.rates), len(self.nus))

    def best(self, nu: float) -> float:
        """The learning rate of highest mean accuracy."""
        means = {rate: rows["accuracy"].mean() for (n, rate), rows in self.cells.items() if n == nu}
        return max(means, key=means.get)

    def below_linear(self) -> dict[float, Estimate]:
        """By how much each is better than nu = 0, each at its own best rate, over equal seeds."""
        if 0.0 not in self.nus:
            return {}
        linear = self.cells[0.0, self.best(0.0)]
        found = {nu: difference(self.cells[nu, self.best(nu)], linear) for nu in self.nus}
        return {nu: one for nu, one in found.items() if one is not None}


@dataclass(frozen=True)
class Limit:
    """How far a curve stays above a level. at: nan where it does to the end.

    low, high: by the lower and the upper ends of the intervals; end: of the curve.
    """

    at: float
    low: float
    high: float
    end: float


def limit(curve: Mapping[float, Estimate], sign: int, level: float = -HALF) -> Limit | None:
    """Where it falls below the level first on its way from 0 up (sign 1) or down (-1)."""
    nus = sorted((nu for nu in curve if nu * sign >= 0), key=abs)
    if len(nus) < 2:
        return None

    def crossing(values: list[float]) -> float:
        """By a line between neighbours; nan where there is none, or no interval."""
        for k in range(1, len(nus)):
            if values[k] < level:
                if values[k - 1] < level:
                    return nus[k - 1]
                share = (values[k - 1] - level) / (values[k - 1] - values[k])
                return nus[k - 1] + share * (nus[k] - nus[k - 1])
        return math.nan

    at, low, high = (
        crossing([getattr(curve[nu], name) for nu in nus]) for name in ("mean", "low", "high")
    )
    return Limit(at, low, high, nus[-1])


def takeaway(one: Map) -> str:
    """Up to which nonlinearity a device stays within half a point of a linear one."""
    curve = one.below_linear()
    parts = [text for sign in (1, -1) if (text := told(curve, sign))]
    if not parts:
        return "Map: too few nonlinearities yet."
    n = min(each.n for each in curve.values())
    few = "" if n >= FEWEST else f"; no interval from {n} networks"
    return (
        f"Map: each at its own best learning rate, a device stays within {HALF:g} points of a "
        f"linear one {' and '.join(parts)}{few}."
    )


def told(curve: Mapping[float, Estimate], sign: int) -> str:
    found = limit(curve, sign)
    if found is None:
        return ""
    way = "up to" if sign > 0 else "down to"
    no_interval = min(each.n for each in curve.values()) < FEWEST
    if math.isnan(found.at):
        text = f"{way} the end of the map, ν = {found.end:g}"
        if not no_interval and not math.isnan(found.low):
            text += f" (95 %: at least to {found.low:.1f})"
        return text
    text = f"{way} ν = {found.at:.1f}"
    if no_interval:
        return text
    high = "the end" if math.isnan(found.high) else f"{found.high:.1f}"
    return f"{text} (95 %: {found.low:.1f} to {high})"


def draw_map(networks: pd.DataFrame, others: pd.DataFrame) -> Figure | None:
    """a: mean accuracy, with the best rate of each; b: points lost to field relaxation.

    networks: healthy ones of one physics; others: those whose fields are marked where they belong,
    at their best learning rate. None unless two nonlinearities and rates are there.
    """
    one = Map.of(networks)
    if len(one.nus) < 2 or len(one.rates) < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.PAGE, 3.1), sharey=True)
    accuracy = one.grid()
    top = float(np.nanmax(accuracy))
    low = max(float(np.nanmin(accuracy)), top - DEEPEST)
    mesh = draw_heat(left, one, accuracy, "viridis", (low, top))
    add_contours(left, one, accuracy, {top - level: f"−{level:g}" for level in LEVELS})
    extend = "min" if np.nanmin(accuracy) < low else "neither"
    figure.colorbar(mesh, ax=left, pad=0.02, extend=extend).set_label("test accuracy (%)")
    lost = accuracy - one.grid("relaxed")
    if np.isfinite(lost).any():
        ends = (min(0.0, float(np.nanmin(lost))), min(DEEPEST, max(HALF, float(np.nanmax(lost)))))
        mesh = draw_heat(right, one, lost, "cividis_r", ends)
        add_contours(right, one, lost, {level: f"{level:g}" for level in LEVELS})
        extend = "max" if np.nanmax(lost) > ends[1] else "neither"
        bar = figure.colorbar(mesh, ax=right, pad=0.02, extend=extend)
        bar.set_label("points lost in field relaxation")
    for axes in (left, right):
        best = [one.best(nu) for nu in one.nus]
        axes.plot(one.nus, best, color="white", lw=2.6)
        (line,) = axes.plot(one.nus, best, color="black", lw=1.2, ls="--", marker=".")
        marked = mark(axes, one, others)
        axes.set_xlabel("nonlinearity ν (pulses of the range / decay)")
        axes.set_xlim(min(one.nus) - 0.5, max(one.nus) + 0.5)
    left.set_ylabel("learning rate (pulses per unit gradient)")
    left.set_title("trained; lines: points from the best")
    right.set_title("relaxed to linear; lines: points lost")
    style.letter((left, right))
    sizes = [len(rows) for rows in one.cells.values()]
    marked = {field: marked[field] for field in fields_in(others, FIELD_NAMES) if field in marked}
    handles = [line, *marked.values()]
    devices = {setting.field.name: setting.field for setting in others["setting"]}
    labels = ["best learning rate"] + [
        f"{style.name(field)}, at its best{' and the nearest ν' * (not has_own(devices[field]))}"
        for field in marked
    ]
    figure.legend(
        handles,
        labels,
        title=f"{style.physics(networks)}; mean, {span(sizes)}",
        title_fontsize=7,
        loc="outside upper center",
        ncols=min(len(labels), 4),
    )
    return figure


def draw_heat(axes, one: Map, values: np.ndarray, colours: str, ends: tuple[float, float]):
    """Cells of a grid that is even in nu and in the logarithm of the rate; returned."""
    mesh = axes.pcolormesh(
        one.nus, one.rates, values, cmap=colours, shading="nearest", vmin=ends[0], vmax=ends[1]
    )
    mesh.set_rasterized(True)
    axes.set_yscale("log")
    axes.set_yticks(one.rates, [f"{rate:g}" for rate in one.rates])
    axes.minorticks_off()
    return mesh


def add_contours(axes, one: Map, values: np.ndarray, levels: Mapping[float, str]) -> None:
    """Lines at these levels, named; those within the values only."""
    inside = sorted(level for level in levels if np.nanmin(values) < level < np.nanmax(values))
    if inside:
        lines = axes.contour(
            one.nus, one.rates, values, levels=inside, colors="black", linewidths=0.6
        )
        axes.clabel(lines, fontsize=style.SMALL, fmt=dict(levels))


def mark(axes, one: Map, others: pd.DataFrame) -> dict:
    """Fields that are not curved ones, where they belong; their markers by field."""
    marked = {}
    others = others[~others["field"].str.startswith(CURVED)]
    markers = style.markers(others["field"])
    for field, rows in others.groupby("field", sort=False):
        device = rows["setting"].iloc[0].field
        if device.response.endless:
            continue
        nu = nonlinearity(device)
        if nu is None:
            continue
        rate = rows.groupby("lr")["accuracy"].mean().idxmax()
        inside = min(one.nus) - 0.5 <= nu <= max(one.nus) + 0.5
        if not inside:
            continue
        (marked[field],) = axes.plot(
            nu, rate, markers[field], color="white", mec="black", mew=0.9, ms=6, ls=""
        )
    return marked
