"""Fields compared in one picture: their devices, how well they learn, and their weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from devices.device_file import Units
from devices.library import Device
from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.selection import FairChoice, by_field
from utils.plots.weights import device_of, draw_layers, layers_of
from utils.settings import Setting
from utils.study import rate_factor

EQUAL_STEPS = "equal_steps"
LEGEND_COLUMNS = 3
MAX_PULSES_RATIO = 4.0  # from which on devices are drawn against the share of their pulses
MAX_UNIT_AXES = 2  # of measured units that stand beside each other
AXES_GAP = 38  # points between them


def draw_comparison(choice: FairChoice) -> Figure:
    """a: the devices; b, c: accuracy against learning rate, and against epoch; d: the weights."""
    networks, colours = with_equal_steps(choice.networks), style.colours(choice.fields)
    looks, fields = style.looks(choice.fields), by_field(networks)
    best = {field: stats.at_best_rate(fields[field]) for field in choice.fields}
    legend = 0.3 + 0.5 * math.ceil(len(best) / LEGEND_COLUMNS)  # inches
    figure = plt.figure(figsize=(style.PAGE, 5 + legend))
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.6 + legend, 2.4))[:, 0]
    (devices, rates), lower = top.subplots(1, 2), bottom.add_gridspec(1, 2)
    epochs = bottom.add_subplot(lower[0])
    layers = lower[1].subgridspec(1, layers_of(networks)).subplots(sharey=True, squeeze=False)[0]
    draw_responses(devices, [device_of(rows) for rows in best.values()], colours)
    means, arrows = [], {""}
    for field, rows in reversed(best.items()):  # so that the first is on top
        points = stats.summary(fields[field], by=EQUAL_STEPS)
        panels.draw_means(rates, points, **looks[field])
        arrows.add(panels.mark_edge(rates, points, fields[field], colours[field]))
        means.append(panels.draw_history(epochs, rows, **looks[field]))
    panels.leave_out_first_epoch(epochs, torch.stack(means))
    draw_layers(layers, best, colours)
    for axes in layers:
        axes.xaxis.label.set_fontsize(style.SMALL)
    add_rate_axes(rates, best, colours)
    panels.finish_epoch_axis(epochs, int(networks["epochs"].iloc[0]))
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
    factors = [rate_factor(setting.field) for setting in networks["setting"]]
    scaled = [float(f"{rate:.3g}") for rate in networks["lr"] / factors]
    return networks.assign(**{EQUAL_STEPS: np.where(np.equal(factors, 1), networks["lr"], scaled)})


def conclusions(choice: FairChoice) -> list[str]:
    """Whether each device of the user's learns as well as the others, or else the first field."""
    fields, present = by_field(with_equal_steps(choice.networks)), choice.fields
    asked = [field for field in present if device_of(fields[field]).measured] or present[:1]
    noises = "each field with its own noises" if choice.as_measured else "all with equal noises"
    mean = f"{stats.describe_mean(choice.networks)}{stats.describe_resolution(choice.networks)}"
    verdicts = []
    for first in asked:
        others = [f for f in present if f not in asked] or [f for f in present if f != first]
        lines = "".join(compare(fields, first, other) for other in others)
        lines = lines or " nothing is simulated beside it."
        verdicts.append(f"{style.name(first)} ({noises}, {mean}):{lines}")
    return verdicts


def compare(fields: Mapping[str, pd.DataFrame], first: str, other: str) -> str:
    """A line on how much better a field learns than another, at the best rates and equal steps."""
    points = stats.best_difference(fields[first], fields[other])
    if points is None:
        return ""
    verdict = "not clearly better or worse than"
    if points.n < stats.MIN_FOR_SPREAD:
        verdict = "compared with"
    elif points.is_clear:
        verdict = "better than" if points.mean > 0 else "worse than"
    rates = "; ".join(
        f"{style.name(f)} {stats.describe_best_rate(fields[f])}" for f in (first, other)
    )
    line = f"\n  {verdict} {style.name(other)}: {points}, each at its best learning rate ({rates})"
    by_rate = stats.differences(fields[first], fields[other], EQUAL_STEPS)
    if len(by_rate) > 1:
        (low, least), (high, most) = stats.ends_of(by_rate).items()
        line += (
            f"; at equal steps {least.mean:+.2f} points ({low:g}) to {most.mean:+.2f} ({high:g})"
        )
    return line


def draw_responses(axes, devices: list[Device], colours: Mapping[str, str]) -> None:
    """Hall voltage against pulses, with an axis in the unit of the measurement where there is one.

    Where one device has many times the pulses of another, against the share of its own.
    """
    lengths = {style.name(device.name): device.response.pulses_max for device in devices}
    as_share = max(lengths.values()) > MAX_PULSES_RATIO * min(lengths.values())
    for device in reversed(devices):
        response, colour = device.response, colours[device.name]
        unit = response.pulses_max if as_share else 1.0
        pulses = torch.linspace(0, response.pulses_max, 400, dtype=torch.float64)
        if response.endless:  # dashed, since it lies on the linear device, and goes on
            pulses = torch.cat([pulses, pulses[-1:] * 1.15])
        dashes = "--" if response.endless else "-"
        axes.plot(pulses / unit, response.response(pulses), dashes, color=colour)
        if not response.endless:
            axes.plot(response.pulses_max / unit, response.w_min, "o", color=colour)
    shares = ", ".join(f"{name} {length:g}" for name, length in lengths.items())
    label = f"share of the pulses of a range\n({shares})" if as_share else "pulses x"
    axes.set(title="devices", xlabel=label, ylabel="Hall voltage w (arb. u.)")
    measured = {d.measured.response_units: d for d in reversed(devices) if d.measured}
    if len(measured) <= MAX_UNIT_AXES:
        for number, (units, device) in enumerate(reversed(measured.items())):
            add_measured_axis(axes, device, units, colours[device.name], number * AXES_GAP)


def add_rate_axes(axes, best: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> None:
    """Name the learning rates; above the panel those of a device whose steps are others."""
    axes.set_title("accuracy after the last epoch")
    factors = {field: rate_factor(device_of(rows)) for field, rows in best.items()}
    scaled = {field: factor for field, factor in factors.items() if factor != 1}
    if not scaled:
        axes.set_xlabel(panels.RATE_LABEL)
        return
    axes.set_xlabel("learning rate × 27 / pulses of the range\n(equal steps at equal places)")
    if len({*scaled.values()}) == 1:
        field, factor = next(iter(scaled.items()))
        functions = (lambda rate: rate * factor, lambda rate: rate / factor)
        rate_axis = axes.secondary_xaxis("top", functions=functions)
        rate_axis.xaxis.set_major_locator(MaxNLocator(4))
        names = ", ".join(map(style.name, scaled))
        rate_axis.set_xlabel(f"learning rate of {names}", color=colours[field])
        rate_axis.set_color(colours[field])
        rate_axis.tick_params(colors=colours[field])


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
    spine = measured.spines["right"]
    spine.set(visible=True, position=("outward", offset), bounds=(low, high))
    measured.set_color(colour)
    measured.tick_params(colors=colour)
    unit = re.sub("^u(?=[A-Z])", "µ", units.unit or "")  # as it is printed
    bottom, top = axes.get_ylim()
    middle = ((response.w_min + response.w_max) / 2 - bottom) / (top - bottom)
    label = f"measured ({unit})" if unit else "measured value, unit not stated"
    measured.set_ylabel(label, color=colour, y=middle)


def add_legend(figure, choice: FairChoice, best: Mapping[str, pd.DataFrame], arrows: str) -> None:
    """Above the panels, where it covers no curve: noises and best learning rate of each field.

    arrows: what arrows in the panels mean.
    """
    looks, fields, handles = style.looks(best), by_field(choice.networks), []
    for field, rows in best.items():
        setting = rows["setting"].iloc[0]
        dashes = "--" if setting.field.response.endless else "-"
        own_noises = f"{describe_noises(setting)}\n" * choice.as_measured
        best_rate = stats.describe_best_rate(fields[field]).replace(", ", ",\n")
        label = f"{style.name(field)}\n{own_noises}best learning rate {best_rate}"
        look: dict[str, Any] = looks[field] | {"label": label, "ls": dashes}
        handles.append(Line2D([], [], **look))
    noises = describe_noises(setting).replace("\n", " ")
    equal_noises = f"all with {noises}; " * (not choice.as_measured)
    title = f"{setting.task}, {style.label('clipping', setting.clipping)}, {equal_noises}"
    title = f"{title}{stats.describe_mean(choice.networks)}{arrows}"
    look = {"fontsize": style.SMALL, "handlelength": 2.2, "columnspacing": 1.2}
    panels.legend_above(figure, handles, title, LEGEND_COLUMNS, **look)


def describe_noises(setting: Setting) -> str:
    """Variability, read noise (arb. u.) and write noise (share of the range per root of pulse)."""
    noises = {name: getattr(setting, name) for name in ("var", "resistor_noise", "write_noise")}
    words = [style.label(name, float(f"{size:.2g}")) for name, size in noises.items() if size]
    return ",\n".join([", ".join(words[:2]), *words[2:]]) or "no noise"
