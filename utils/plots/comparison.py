"""Fields compared in one picture: their devices, how well they learn, and their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from devices.device_file import Units
from devices.library import Device
from utils.plots import style
from utils.plots.panels import (
    RATE_LABEL,
    draw_history,
    draw_means,
    finish_epoch_axis,
    leave_out_first_epoch,
    mark_edge,
)
from utils.plots.selection import FairChoice
from utils.plots.statistics import (
    MIN_FOR_SPREAD,
    at_best_rate,
    describe_best_rate,
    describe_mean,
    describe_resolution,
    difference,
    summary,
)
from utils.plots.weights import draw_layers, fields_at_best_rate, layers_of
from utils.settings import Setting
from utils.study import rate_factor

EQUAL_STEPS = "equal_steps"
LEGEND_COLUMNS = 3
MAX_PULSES_RATIO = 4.0  # from which on devices are drawn against the share of their pulses
MAX_UNIT_AXES = 2  # of measured units that stand beside each other
AXES_GAP = 38  # points between them


def draw_comparison(choice: FairChoice | None) -> Figure | None:
    """a: the devices; b, c: accuracy against learning rate, and against epoch; d: the weights."""
    if choice is None:
        return None
    networks, colours = with_equal_steps(choice.networks), style.colours(choice.fields)
    markers, best = style.markers(choice.fields), fields_at_best_rate(networks)
    best = {field: best[field] for field in choice.fields}
    legend = 0.3 + 0.5 * math.ceil(len(best) / LEGEND_COLUMNS)  # inches
    figure = plt.figure(figsize=(style.PAGE, 5 + legend))
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.6 + legend, 2.4))[:, 0]
    (devices, rates), lower = top.subplots(1, 2), bottom.add_gridspec(1, 2)
    epochs = bottom.add_subplot(lower[0])
    layers = lower[1].subgridspec(1, layers_of(networks)).subplots(sharey=True, squeeze=False)[0]
    draw_responses(devices, [rows["setting"].iloc[0].field for rows in best.values()], colours)
    means, arrows = [], {""}
    for field, rows in reversed(best.items()):  # so that the first is on top
        look = (colours[field], style.name(field), markers[field])
        alike = networks[networks["field"] == field]
        points = summary(alike, by=EQUAL_STEPS)
        draw_means(rates, points, *look)
        arrows.add(mark_edge(rates, points, alike, colours[field]))
        means.append(draw_history(epochs, rows, *look))
    leave_out_first_epoch(epochs, torch.stack(means))
    draw_layers(layers, best, colours)
    for axes in layers:
        axes.xaxis.label.set_fontsize(style.SMALL)
    add_rate_axes(rates, best, colours)
    finish_epoch_axis(epochs, int(networks["epochs"].iloc[0]))
    epochs.set_title("at the best learning rate of each")
    for axes in (rates, epochs):
        axes.set_ylabel("test accuracy (%)")
    layers[0].set_ylabel("share of weights per bin\n(dashed: range of a pair)")
    style.letter((devices, rates, epochs, layers[0]))
    add_legend(top, choice, best, max(arrows))
    return figure


def with_equal_steps(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks with the learning rates at which linear devices make equal steps, EQUAL_STEPS.

    To three digits, by which networks of different devices are paired.
    """
    rates = [
        setting.lr if factor == 1 else float(f"{setting.lr / factor:.3g}")
        for setting in networks["setting"]
        for factor in [rate_factor(setting.field)]
    ]
    return networks.assign(**{EQUAL_STEPS: rates})


def conclusions(choice: FairChoice | None) -> list[str]:
    """Whether each device of the user's learns as well as the others, or else the first field."""
    if choice is None:
        return []
    networks = with_equal_steps(choice.networks)
    measured = {s.field.name for s in networks["setting"] if s.field.measured is not None}
    asked = [field for field in choice.fields if field in measured] or choice.fields[:1]
    noises = "each field with its own noises" if choice.as_measured else "all with equal noises"
    head = f"{noises}, {describe_mean(networks)}{describe_resolution(networks)}"
    rows = {field: networks[networks["field"] == field] for field in choice.fields}
    verdicts = []
    for first in asked:
        others = [f for f in rows if f not in asked] or [f for f in rows if f != first]
        lines = "".join(compare(rows, first, other) for other in others)
        lines = lines or " nothing is simulated beside it."
        verdicts.append(f"{style.name(first)} ({head}):{lines}")
    return verdicts


def compare(rows: Mapping[str, pd.DataFrame], first: str, other: str) -> str:
    """A line on how much better a field learns than another, at the best rates and equal steps."""
    points = difference(at_best_rate(rows[first]), at_best_rate(rows[other]))
    if points is None:
        return ""
    verdict = "not clearly better or worse than"
    if points.n < MIN_FOR_SPREAD:
        verdict = "compared with"
    elif points.is_clear:
        verdict = "better than" if points.mean > 0 else "worse than"
    rates = "; ".join(f"{style.name(f)} {describe_best_rate(rows[f])}" for f in (first, other))
    line = f"\n  {verdict} {style.name(other)}: {points}, each at its best learning rate ({rates})"
    by_rate = {}
    for rate, group in rows[first].groupby(EQUAL_STEPS):
        if each := difference(group, rows[other][rows[other][EQUAL_STEPS] == rate]):
            by_rate[rate] = each.mean
    if len(by_rate) > 1:
        ends = sorted((mean, rate) for rate, mean in by_rate.items())
        (low, at_low), (high, at_high) = ends[0], ends[-1]
        line += f"; at equal steps {low:+.2f} points ({at_low:g}) to {high:+.2f} ({at_high:g})"
    return line


def draw_responses(axes, devices: list[Device], colours: Mapping[str, str]) -> None:
    """Hall voltage against pulses, with an axis in the unit of the measurement where there is one.

    Where one device has many times the pulses of another, against the share of its own.
    """
    lengths = [device.response.pulses_max for device in devices]
    as_share = max(lengths) > MAX_PULSES_RATIO * min(lengths)
    for device in reversed(devices):
        response, colour = device.response, colours[device.name]
        unit = response.pulses_max if as_share else 1.0
        pulses = torch.linspace(0, response.pulses_max, 400, dtype=torch.float64)
        label = style.name(device.name)
        if response.endless:  # dashed, since it lies on the linear device, and goes on
            pulses = torch.cat([pulses, pulses[-1:] * 1.15])
            axes.plot(pulses / unit, response.response(pulses), "--", color=colour, label=label)
            continue
        axes.plot(pulses / unit, response.response(pulses), color=colour, label=label)
        axes.plot(response.pulses_max / unit, response.w_min, "o", color=colour)  # where it ends
    axes.set_ylabel("Hall voltage w (arb. u.)")
    axes.set_title("devices")
    if as_share:
        lengths = ", ".join(f"{style.name(d.name)} {d.response.pulses_max:g}" for d in devices)
        axes.set_xlabel(f"share of the pulses of a range\n({lengths})")
    else:
        axes.set_xlabel("pulses x")
    measured = {d.measured.response_units: d for d in reversed(devices) if d.measured}
    if len(measured) <= MAX_UNIT_AXES:
        for number, (units, device) in enumerate(reversed(measured.items())):
            add_measured_axis(axes, device, units, colours[device.name], number * AXES_GAP)


def add_rate_axes(axes, best: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> None:
    """Name the learning rates; above the panel those of a device whose steps are others."""
    axes.set_title("accuracy after the last epoch")
    factors = {field: rate_factor(rows["setting"].iloc[0].field) for field, rows in best.items()}
    scaled = {field: factor for field, factor in factors.items() if factor != 1}
    if not scaled:
        axes.set_xlabel(RATE_LABEL)
        return
    axes.set_xlabel("learning rate × 27 / pulses of the range\n(equal steps at equal places)")
    if len({*scaled.values()}) == 1:
        field, factor = next(iter(scaled.items()))
        functions = (lambda rate: rate * factor, lambda rate: rate / factor)
        own = axes.secondary_xaxis("top", functions=functions)
        own.xaxis.set_major_locator(MaxNLocator(4))
        own.set_xlabel(f"learning rate of {', '.join(map(style.name, scaled))}")
        for part in (own, own.xaxis.label):
            part.set_color(colours[field])
        own.tick_params(colors=colours[field])


def add_measured_axis(axes, device: Device, units: Units, colour: str, offset: float) -> None:
    """What the instrument read of this device, at the right, as far as its own range goes."""
    response = device.response

    def value(voltage):
        return units.offset + units.slope * voltage

    measured = axes.secondary_yaxis(
        "right", functions=(value, lambda value: (value - units.offset) / units.slope)
    )
    low, high = sorted([value(response.w_min), value(response.w_max)])
    ticks = MaxNLocator(4).tick_values(low, high)
    measured.set_yticks([tick for tick in ticks if low <= tick <= high])
    measured.spines["right"].set_visible(True)
    measured.spines["right"].set_position(("outward", offset))
    measured.spines["right"].set_bounds(low, high)
    measured.set_color(colour)
    measured.tick_params(colors=colour)
    unit = f"({style.unit(units.unit)})" if units.unit else "value, unit not stated"
    bottom, top = axes.get_ylim()
    middle = ((response.w_min + response.w_max) / 2 - bottom) / (top - bottom)
    measured.set_ylabel(f"measured {unit}", color=colour, y=middle)


def add_legend(figure, choice: FairChoice, best: Mapping[str, pd.DataFrame], arrows: str) -> None:
    """Above the panels, where it covers no curve: noises and best learning rate of each field.

    arrows: what arrows in the panels mean.
    """
    colours = style.colours(best)
    markers, lines, labels = style.markers(best), [], []
    for field, rows in best.items():
        setting = rows["setting"].iloc[0]
        dashes = "--" if setting.field.response.endless else "-"
        lines.append(Line2D([], [], color=colours[field], marker=markers[field], ls=dashes))
        own_noises = f"{describe_noises(setting)}\n" * choice.as_measured
        edge = describe_best_rate(choice.networks[choice.networks["field"] == field])
        labels.append(f"{style.name(field)}\n{own_noises}best learning rate {edge}")
    noises = describe_noises(setting).replace("\n", " ")
    equal_noises = f"all with {noises}; " * (not choice.as_measured)
    title = f"{setting.task}, {style.label('clipping', setting.clipping)}, {equal_noises}"
    figure.legend(
        lines,
        labels,
        title=f"{title}{describe_mean(choice.networks)}{arrows}",
        title_fontsize=7,
        fontsize=style.SMALL,
        loc="outside upper center",
        ncols=min(LEGEND_COLUMNS, len(lines)),
        handlelength=2.2,
        columnspacing=1.2,
    )


def describe_noises(setting: Setting) -> str:
    """Variability, read noise (arb. u.) and write noise (share of the range per root of pulse)."""
    noises = {name: getattr(setting, name) for name in ("var", "resistor_noise", "write_noise")}
    words = [style.label(name, float(f"{size:.2g}")) for name, size in noises.items() if size]
    return ",\n".join([", ".join(words[:2]), *words[2:]]) or "no noise"
