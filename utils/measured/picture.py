"""The picture of a fit: readings in time, curves, residuals, steps, devices or cycles.

`DeviceFit` goes in; a figure comes out, as PDF, SVG and PNG.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, MaxNLocator

from devices.built_in import LINEAR as MODEL
from utils.measured.branch import mean_curve
from utils.measured.branch_fit import BranchFit, changes
from utils.measured.device_fit import DeviceFit
from utils.measured.model_units import crossing, response_of, step_at
from utils.measured.report import pm
from utils.measured.spreads import has_cycles
from utils.plots import style

COLOURS = {"falling": "#882255", "rising": "#009E73"}
MARKERS = {"falling": "v", "rising": "^"}
PREFIXES = {prefix: power for power, prefix in EngFormatter.ENG_PREFIXES.items()}
PREFIXES |= {"u": -6, "μ": -6}
QUANTITIES = {"S": "conductance", "A": "current", "V": "voltage"}
QUANTITIES |= dict.fromkeys(("Ω", "ohm", "Ohm"), "resistance")
BINS = 20  # of change per pulse, where there are many more pulses
MAX_DOTS = 100  # readings that are shown as dots
MAX_DRAWN = 30_000  # readings in a panel; of more every second, third … is drawn
MAX_SINGLE = 15  # devices that are shown one by one
# Laid out once, not anew for each format; a PDF takes from PS how many characters a font may have.
RC: dict[Any, Any] = {"figure.constrained_layout.use": False, "ps.fonttype": 42}


def draw(fit: DeviceFit) -> Figure:
    """Panels a to e; a to d where there are too few devices and cycles to compare.

    Laid out once for all formats, for the pixels of PNG.
    """
    style.use()
    several = len(fit.devices) > 1
    cycles = any(has_cycles(branch.data) for branch in fit.branches.values())
    with mpl.rc_context(RC):
        figure = Figure(figsize=(style.PAGE, 5.0), dpi=style.RC["savefig.dpi"])
    panels = figure.subplot_mosaic("aab;cde" if several or cycles else "aab;ccd")
    draw_time(panels["a"], fit)
    draw_pulses(panels["b"], fit)
    draw_residuals(panels["c"], fit)
    draw_steps(panels["d"], fit)
    if several:
        draw_slopes(panels["e"], fit)
    elif cycles:
        draw_cycles(panels["e"], fit)
    for letter, axes in panels.items():
        corner = (0, 1), (-30, 6), "axes fraction", "offset points"
        axes.annotate(letter, *corner, fontsize=9, fontweight="bold")
    ConstrainedLayoutEngine().execute(figure)
    return figure


def rendered(figure: Figure) -> dict[str, bytes]:
    """The figure in each format, by its ending."""
    files = {ending: io.BytesIO() for ending in style.FORMATS}
    with mpl.rc_context(RC):
        for ending, file in files.items():
            figure.savefig(file, format=ending)
    return {ending: file.getvalue() for ending, file in files.items()}


def display(unit: str | None, largest: float) -> tuple[float, str, str]:
    """A factor for values up to `largest`, their quantity, and the unit of the products."""
    match = re.fullmatch(rf"([{''.join(PREFIXES)}]?)({'|'.join(QUANTITIES)})", unit or "")
    if match:
        power, symbol = PREFIXES[match[1]], "Ω" if match[2].lower() == "ohm" else match[2]
        shown = EngFormatter(symbol)(largest * 10.0**power).split()[1]
        factor = 10.0 ** (power - PREFIXES[shown.removesuffix(symbol)])
        return factor, QUANTITIES[match[2]], shown
    unit, power = unit or "arb. u.", int(np.floor(np.log10(largest))) if largest > 0 else 0
    if -3 <= power < 5:
        return 1.0, "measured value", unit
    return 10.0**-power, "measured value", f"10$^{{{power}}}$ {unit}"


def values(fit: DeviceFit) -> tuple[float, str, str]:
    """Factor, quantity and unit for measured values."""
    return display(fit.measurement.unit or None, float(np.abs(fit.ends).max()))


def finish(axes: Axes, x: str, y: str, columns: int = 1) -> None:
    """Label the axes, and put the legend over the panel, where there are no data."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    spacing = dict(borderaxespad=0.3, handlelength=1.5, columnspacing=1.0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, **spacing)


def mark(name: str, face: str = "white") -> dict[str, Any]:
    """The style of points of a branch."""
    marker = MARKERS[name]
    return dict(color=COLOURS[name], marker=marker, ls="", mfc=face, ms=3, mew=0.8)


def faint(name: str) -> dict[str, Any]:
    return dict(color=COLOURS[name], lw=0.5, alpha=0.5, rasterized=True)


def look(name: str, ramps: int, readings: int) -> dict[str, Any]:
    """The style of readings: dots for a single short ramp, faint lines otherwise."""
    return mark(name) if ramps == 1 and readings <= MAX_DOTS else faint(name)


def every_drawn(readings: int) -> int:
    """The step at which so many readings are drawn: 1 for all of them, 2 for every second, …"""
    return 1 + (readings - 1) // MAX_DRAWN


def draw_time(axes: Axes, fit: DeviceFit) -> None:
    """The readings of each device, one ramp after the other as they were measured."""
    factor, quantity, unit = values(fit)
    every = every_drawn(sum(len(ramp.values) for ramp in fit.measurement.ramps))
    end: dict[str, int] = {}
    counts = Counter(ramp.branch for ramp in fit.measurement.ramps)
    for ramp in sorted(fit.measurement.ramps, key=lambda ramp: ramp.order):
        first, n = end.get(ramp.device, 0), len(ramp.values)
        end[ramp.device] = first + n
        ramps = counts.pop(ramp.branch, 0)  # a label for the first one of each branch
        label = f"{ramps} {ramp.branch} ramp{'s' * (ramps > 1)}" if ramps else None
        shown = look(ramp.branch, len(fit.devices), n)
        place, value = first + 1 + np.arange(n), factor * ramp.values
        axes.plot(place[::every], value[::every], label=label, **shown)
    several = f" of each of {len(fit.devices)} devices" * (len(fit.devices) > 1)
    finish(axes, f"reading{several}, in the order of time", f"{quantity} ({unit})", 2)


def draw_pulses(axes: Axes, fit: DeviceFit) -> None:
    """Readings, their mean and the fitted curve against pulses."""
    factor, quantity, unit = values(fit)
    for name, branch in fit.branches.items():
        data, n = branch.data, branch.data.n_ramps
        for group in data.groups:
            shown, every = look(name, n, len(group.time)), every_drawn(data.n_readings)
            place, level = pulses(branch, group.time), factor * branch.measured(group.level)
            axes.plot(place[::every], level[::every], **shown)
        ramps = [(g.time, level) for g in data.groups for level in g.level.T]
        if n > 1:
            time, mean = mean_curve(ramps)
            every = max(1, len(time) // 20)
            shown = factor * branch.measured(mean[::every])
            axes.plot(pulses(branch, time[::every]), shown, zorder=3, **mark(name))
        time = np.linspace(0, 1, 400)
        level = branch.measured(branch.start + branch.taken.level(time))
        label = f"{name}: {branch.family}"
        axes.plot(pulses(branch, time), factor * level, color=COLOURS[name], label=label, lw=1.2)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    finish(axes, "pulses", f"{quantity} ({unit})")


def draw_residuals(axes: Axes, fit: DeviceFit) -> None:
    """Residuals of every ramp about its fitted curve, in % of the range."""
    for name, branch in fit.branches.items():
        ramps = []
        for group, residual in zip(branch.data.groups, branch.taken.residual, strict=True):
            percent = 100 * residual / branch.taken.range * np.sign(branch.data.step)
            every = every_drawn(branch.data.n_readings)
            axes.plot(pulses(branch, group.time)[::every], percent[::every], **faint(name))
            ramps += [(group.time, ramp) for ramp in percent.T]
        time, mean = mean_curve(ramps)
        label = f"{name}, mean" if len(ramps) > 1 else name
        axes.plot(pulses(branch, time), mean, color=COLOURS[name], lw=1.0, label=label)
    axes.axhline(0, color=style.GREY, lw=0.7, ls="--")
    finish(axes, "pulses", "residual (% of range)")


def draw_steps(axes: Axes, fit: DeviceFit) -> None:
    """Size of a step against value, for pulses of both polarities."""
    factor, quantity, unit = values(fit)
    responses = {}
    for name, branch in fit.branches.items():
        value, change = changes(branch)
        places = np.unique(value)
        if len(places) <= 2 * BINS:
            groups = np.searchsorted(places, value)
        else:
            groups = np.digitize(value, np.linspace(places[0], places[-1], BINS + 1)[1:-1])
        means = factor * pd.DataFrame({"at": value, "step": change}).groupby(groups).mean()
        axes.plot(means["at"], means["step"], label=f"{name}, mean", **mark(name))
        responses[name] = response_of(branch)
        voltages = np.linspace(MODEL.w_min, MODEL.w_max, 200)
        steps = np.array([step_at(responses[name], float(voltage)) for voltage in voltages])
        first, last = branch.ends
        shown = first + (last - first) * (MODEL.w_max - voltages) / MODEL.span
        size = steps * branch.range / MODEL.span
        axes.plot(factor * shown, factor * size, color=COLOURS[name], lw=1.2)
    point = crossing(responses["rising"], responses["falling"]) if len(responses) == 2 else None
    if point is not None:
        measured = fit.ends[0] + fit.range * (point - MODEL.w_min) / MODEL.span
        axes.axvline(factor * measured, color="black", lw=0.8, ls=":", label="symmetry point")
    axes.axhline(0, color=style.GREY, lw=0.7, ls="--")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    finish(axes, f"{quantity} ({unit})", f"step of a pulse ({unit})")


def draw_slopes(axes: Axes, fit: DeviceFit) -> None:
    """The slope factors of the devices or, where ranges differ instead, their range factors."""
    factors, sigma, quantity = fit.slopes, fit.variability, "slope"
    if (factors == 1).all():
        branch = next(iter(fit.branches.values()))
        factors, sigma, quantity = branch.taken.sizes, fit.range_spread, "range"
    ordered = np.sort(factors)
    label = f"{len(ordered)} devices"
    are_single = len(ordered) <= MAX_SINGLE
    if are_single:
        places = np.arange(1, len(ordered) + 1)
        axes.plot(ordered, places, "o", color="black", label=label, mfc="white", ms=3.5, mew=0.8)
        axes.set_ylim(0.3, len(ordered) + 0.7)
    else:
        axes.hist(ordered, bins="auto", color=style.GREY, alpha=0.5, label=label)
    if sigma.value:
        ends, label = (1 - sigma.value, 1 + sigma.value), f"1 ± σ, {pm(sigma)}"
        axes.axvspan(*ends, color=style.GREY, alpha=0.25, lw=0, label=label)
    axes.axvline(1, color="black", lw=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axes, f"{quantity} factor", "device, sorted" if are_single else "devices")


def draw_cycles(axes: Axes, fit: DeviceFit) -> None:
    """First value and range of each ramp of a single device, as they drift from cycle to cycle."""
    for name, branch in fit.branches.items():
        alone, order = branch.alone, np.argsort(branch.data.cycle)
        cycle = branch.data.cycle[order]
        for value, face, quantity in (
            (np.sign(branch.data.step) * alone.start, "white", "start"),
            (alone.range, COLOURS[name], "range"),
        ):
            change = 100 * (value - value.mean())[order] / alone.range.mean()
            axes.plot(cycle, change, label=f"{name}, {quantity}", **mark(name, face))
    axes.axhline(0, color=style.GREY, lw=0.7, ls="--")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axes, "cycle", "change (% of range)", 2)


def pulses(branch: BranchFit, time: np.ndarray) -> np.ndarray:
    """Times in pulses, as the file counts them."""
    return branch.data.origin + branch.data.pulses_max * time
