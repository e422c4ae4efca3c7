"""The picture of a fit: curves, residuals, change per pulse, and how devices or cycles differ."""

from __future__ import annotations

import io
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.measured.fitted import Fit
from utils.measured.report import pm
from utils.measured.scaled import mean_curve
from utils.plots import style

MEAN, FITTED = "black", "#D55E00"
FAINT = dict(color=style.GREY, lw=0.5, rasterized=True)
PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0, "k": 3, "M": 6}
SHOWN = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
QUANTITIES = {
    "S": "conductance", "A": "current", "V": "voltage", "Ω": "resistance", "ohm": "resistance",
    "Ohm": "resistance",
}  # fmt: skip
BINS = 20  # of change per pulse, where there are many more pulses
FEW = 15  # devices that are shown one by one


def draw(fit: Fit) -> Figure:
    """Panels a to d; a to c where there are too few devices and cycles to compare."""
    style.use()
    several = len(fit.scaled.devices) > 1
    cycles = fit.drift.first.value is not None
    figure = Figure(figsize=(style.PAGE, 5.0))
    panels = figure.subplot_mosaic("ab;cd" if several or cycles else "aa;bc")
    draw_ramps(panels["a"], fit)
    draw_residuals(panels["b"], fit)
    draw_changes(panels["c"], fit)
    if several:
        draw_slopes(panels["d"], fit)
    elif cycles:
        draw_cycles(panels["d"], fit)
    for letter, axes in panels.items():
        axes.annotate(
            letter, (0, 1), xytext=(-30, 6), xycoords="axes fraction",
            textcoords="offset points", fontsize=9, fontweight="bold",
        )  # fmt: skip
    return figure


def rendered(figure: Figure) -> dict[str, bytes]:
    """The figure in each format, by its ending."""
    files = {}
    for ending in style.FORMATS:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=ending)
        files[ending] = buffer.getvalue()
    return files


def display(unit: str | None, largest: float) -> tuple[float, str, str]:
    """How to show values up to `largest` in a unit: a factor, the quantity, and the unit shown."""
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    known = re.fullmatch(rf"([{''.join(PREFIXES)}]?)({'|'.join(QUANTITIES)})", unit or "")
    if known:
        exact = PREFIXES[known[1]] + np.log10(largest or 1.0)
        shown = int(np.clip(3 * np.floor(exact / 3 + 1e-9), min(SHOWN), max(SHOWN)))
        symbol = "Ω" if known[2].lower() == "ohm" else known[2]
        factor = 10.0 ** (PREFIXES[known[1]] - shown)
        return factor, QUANTITIES[known[2]], f"{SHOWN[shown]}{symbol}"
    unit = unit or "arb. u."
    if -3 <= power < 5:
        return 1.0, "measured value", unit
    return 10.0**-power, "measured value", f"10$^{{{power}}}$ {unit}"


def values(fit: Fit) -> tuple[float, str]:
    """Factor and label for measured values."""
    scaled = fit.scaled
    ends = scaled.first + scaled.step * (fit.first + np.array([0.0, fit.range]))
    factor, quantity, unit = display(fit.measurement.unit, float(np.abs(ends).max()))
    return factor, f"{quantity} ({unit})"


def above(axes: Axes, columns: int) -> None:
    """A legend over the panel, where there are no data."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.3,
        handlelength=1.5, columnspacing=1.0,
    )  # fmt: skip


def draw_ramps(axes: Axes, fit: Fit) -> None:
    scaled, (factor, label) = fit.scaled, values(fit)

    def measured(level):
        return factor * (scaled.first + scaled.step * level)

    n, devices = scaled.n_ramps, len(scaled.devices)
    text = f"{n} ramps, {devices} devices" if devices > 1 else f"{n} ramp{'s' * (n > 1)}"
    look = FAINT | dict(alpha=0.6)
    if n == 1:
        dots = len(scaled.groups[0].time) <= 100
        look = dict(color=MEAN, marker="o", ls="", mfc="white", ms=3, mew=0.8) if dots else FAINT
    for group in scaled.groups:
        lines = axes.plot(pulses(fit, group.time), measured(group.level), **look)
        lines[0].set_label(text)
        text = None
    ramps = [(g.time, level) for g in scaled.groups for level in g.level.T]
    if len(ramps) > 1:
        time, mean = mean_curve(ramps)
        every = max(1, len(time) // 25)
        axes.plot(
            pulses(fit, time)[::every], measured(mean)[::every], "o", color=MEAN, mfc="white",
            ms=3, mew=0.8, label="mean", zorder=3,
        )  # fmt: skip
    time = np.linspace(0, 1, 400)
    name = f"{fit.family}, $v_i$ = 1" if devices > 1 else f"{fit.family} fit"
    axes.plot(pulses(fit, time), measured(fit.level(time)), color=FITTED, label=name)
    axes.set_xlabel("pulses")
    axes.set_ylabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    above(axes, 3)


def draw_residuals(axes: Axes, fit: Fit) -> None:
    """Of each ramp about the fit with its own start and slope factor, in % of the range."""
    ramps = []
    for group, residual in zip(fit.scaled.groups, fit.taken.residual, strict=True):
        percent = 100 * residual / fit.range * np.sign(fit.scaled.step)
        axes.plot(pulses(fit, group.time), percent, alpha=0.6, **FAINT)
        ramps += [(group.time, each) for each in percent.T]
    if len(ramps) > 1:
        axes.plot([], [], label=f"{len(ramps)} ramps", **FAINT)
        time, mean = mean_curve(ramps)
        axes.plot(pulses(fit, time), mean, color=MEAN, label="mean")
    else:
        axes.plot([], [], label="residual", **FAINT)
    axes.axhline(0, color=FITTED, lw=0.8)
    if fit.read_noise.value:
        noise = 100 * fit.read_noise.value
        axes.axhspan(-noise, noise, color=FITTED, alpha=0.15, lw=0, label="± read noise")
    axes.set_xlabel("pulses")
    axes.set_ylabel("residual (% of range)")
    above(axes, 3)


def draw_changes(axes: Axes, fit: Fit) -> None:
    """Change per pulse against the value that the fit has there, with the spread of all ramps."""
    level, change, fitted = changes(fit)
    places = np.unique(level)
    if len(places) > 1.5 * BINS:
        edges = np.quantile(level, np.linspace(0, 1, BINS + 1))
        groups = np.clip(np.searchsorted(edges, level, side="right") - 1, 0, BINS - 1)
    else:
        groups = np.searchsorted(places, level)
    owns = [groups == each for each in np.unique(groups)]
    at, mean, line = (np.array([v[own].mean() for own in owns]) for v in (level, change, fitted))
    spread = np.array([change[own].std() for own in owns])
    factor, label = values(fit)
    step = abs(fit.scaled.step)
    scale, _, unit = display(fit.measurement.unit, step * float(np.abs(mean).max()))
    at = factor * (fit.scaled.first + fit.scaled.step * at)
    mean, spread, line = mean * scale * fit.scaled.step, spread * scale * step, line * scale
    if spread.any():
        axes.fill_between(
            at, mean - spread, mean + spread, color=style.GREY, alpha=0.25, lw=0, label="± 1 s.d."
        )
    counted = f"{'mean' if spread.any() else 'change'}, n = {len(level)}"
    axes.plot(at, mean, "o", color=MEAN, mfc="white", ms=3, mew=0.8, label=counted)
    axes.plot(at, line * fit.scaled.step, color=FITTED, label=f"{fit.family} fit")
    axes.axhline(0, color=style.GREY, lw=0.7, ls="--")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(label)
    axes.set_ylabel(f"change per pulse ({unit})")
    above(axes, 3)


def changes(fit: Fit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level of the fit, change of level per pulse, and that of the fit, for each step of each ramp.

    By the fit's level, not the reading's: a reading that noise has raised falls the more after it.
    """
    last, rows = fit.scaled.pulses_max, []
    for group in fit.scaled.groups:
        inside = group.time <= 1 + 1e-9  # a table ends there
        step = np.diff(group.time[inside])[:, None] * last
        level = fit.level(group.time[inside])[:, None]
        change = np.diff(group.level[inside], axis=0) / step
        middle, slope = (level[1:] + level[:-1]) / 2, np.diff(level, axis=0) / step
        rows.append(np.stack(np.broadcast_arrays(middle, change, slope)).reshape(3, -1))
    value, change, fitted = np.concatenate(rows, axis=1)
    return np.round(value, 12), change, fitted


def draw_slopes(axes: Axes, fit: Fit) -> None:
    """The slope factors of the devices, and the normal distribution that a network draws from."""
    slopes = np.sort(fit.taken.slopes)
    sigma = fit.variability
    label = f"{len(slopes)} devices"
    if len(slopes) <= FEW:
        errors = np.sqrt(np.diag(fit.taken.covariance)[2:])[np.argsort(fit.taken.slopes)]
        errors = errors * fit.taken.scatter
        axes.errorbar(
            slopes, np.arange(1, len(slopes) + 1), xerr=errors, fmt="o", color=MEAN, mfc="white",
            ms=3.5, mew=0.8, lw=0.8, label=label,
        )  # fmt: skip
        axes.axvline(1, color=FITTED, lw=0.8)
        axes.axvspan(
            1 - sigma.value, 1 + sigma.value, color=FITTED, alpha=0.15, lw=0,
            label=rf"1 ± σ$_\mathrm{{device}}$, {pm(sigma)}",
        )  # fmt: skip
        axes.set_ylabel("device, sorted")
        axes.set_ylim(0.3, len(slopes) + 0.7)
    else:
        counts, edges, _ = axes.hist(slopes, bins="auto", color=style.GREY, alpha=0.5, label=label)
        if sigma.value:
            grid = np.linspace(min(slopes[0], 1 - 3 * sigma.value), 1 + 3 * sigma.value, 300)
            density = np.exp(-((grid - 1) ** 2) / 2 / sigma.value**2) / sigma.value
            density *= counts.sum() * (edges[1] - edges[0]) / np.sqrt(2 * np.pi)
            axes.plot(grid, density, color=FITTED, label=rf"σ$_\mathrm{{device}}$ = {pm(sigma)}")
        axes.set_ylabel("devices")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("slope factor $v_i$")
    above(axes, 2)


def draw_cycles(axes: Axes, fit: Fit) -> None:
    """First value and range of each ramp of a single device, as they drift from cycle to cycle."""
    alone = fit.alone["exponential"]
    order = np.argsort(fit.scaled.cycle)
    cycle = fit.scaled.cycle[order] + 1
    for value, marker, colour, label in (
        (alone.start, "o", MEAN, f"first value, n = {len(cycle)}"),
        (alone.range, "s", FITTED, f"range, n = {len(cycle)}"),
    ):
        away = 100 * (value - value.mean())[order] / alone.range.mean()
        axes.plot(cycle, away, marker, color=colour, mfc="white", ms=3, mew=0.8, label=label)
    axes.axhline(0, color=style.GREY, lw=0.7, ls="--")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("cycle")
    axes.set_ylabel("deviation from mean (% of range)")
    above(axes, 2)


def pulses(fit: Fit, time: np.ndarray) -> np.ndarray:
    """As the file counts them."""
    return fit.scaled.start + fit.scaled.pulses_max * time
