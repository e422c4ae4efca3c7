"""Fields compared in one picture: their devices, how well they learn, and their weights."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from devices.library import Device
from utils.plots import style
from utils.plots.panels import RATE_LABEL, draw_history, draw_means, leave_out_first_epoch
from utils.plots.selection import FairChoice
from utils.plots.statistics import MIN_FOR_SPREAD, describe_count, difference, summary
from utils.plots.weights import draw_layers, fields_at_best_rate, layers_of
from utils.settings import Setting

LEGEND_COLUMNS = 4
MAX_PULSES_RATIO = 4.0  # from which on devices are drawn against the share of their pulses
MAX_UNIT_AXES = 2  # of measured units that stand beside each other
AXES_GAP = 42  # points between them


def draw_comparison(choice: FairChoice | None) -> Figure | None:
    """a: the devices; b, c: accuracy against learning rate, and against epoch; d: the weights."""
    if choice is None:
        return None
    networks, colours = choice.networks, style.colours(choice.fields)
    markers, best = style.markers(choice.fields), fields_at_best_rate(networks)
    best = {field: best[field] for field in choice.fields}
    figure = plt.figure(figsize=(style.PAGE, 5.6))
    grid = figure.add_gridspec(2, 2)
    devices, rates, epochs = (figure.add_subplot(grid[k]) for k in range(3))
    layers = grid[3].subgridspec(1, layers_of(networks)).subplots(sharey=True, squeeze=False)[0]
    draw_responses(devices, [rows["setting"].iloc[0].field for rows in best.values()], colours)
    means = []
    for field, rows in reversed(best.items()):  # so that the first is on top
        look = (colours[field], style.name(field), markers[field])
        draw_means(rates, summary(networks[networks["field"] == field]), *look)
        means.append(draw_history(epochs, rows, *look))
    leave_out_first_epoch(epochs, torch.stack(means))
    draw_layers(layers, best, colours)
    for axes in layers:
        axes.xaxis.label.set_fontsize(style.SMALL)
    rates.set_xlabel(RATE_LABEL)
    rates.set_title("accuracy after the last epoch")
    epochs.set_xlabel("epoch")
    epochs.set_title("at the best learning rate of each")
    epochs.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (rates, epochs):
        axes.set_ylabel("test accuracy (%)")
    layers[0].set_ylabel("share of weights per bin\n(dashed: range of a pair)")
    style.letter((devices, rates, epochs, layers[0]))
    add_legend(figure, choice, best, colours)
    return figure


def conclusion(choice: FairChoice) -> str:
    """By how much the first field differs from each other, each at its best learning rate."""
    best = fields_at_best_rate(choice.networks)
    first, *others = choice.fields
    found = {field: difference(best[first], best[field]) for field in others}
    parts = [f"{points} to {style.name(field)}" for field, points in found.items() if points]
    if not parts:
        return f"{style.name(first)}: nothing is simulated beside it."
    values = "each field with its own noises" if choice.as_measured else "all with equal noises"
    return (
        f"{style.name(first)}, {values} and at its best learning rate, over equal seeds: "
        f"{'; '.join(parts)}."
    )


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
        for number, device in enumerate(reversed(measured.values())):
            add_measured_axis(axes, device, colours[device.name], number * AXES_GAP)


def add_measured_axis(axes, device: Device, colour: str, offset: float) -> None:
    """What the instrument read of this device, at the right, as far as its own range goes."""
    units, response = device.measured.response_units, device.response

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
    unit = f"({units.unit})" if units.unit else "value, unit not stated"
    bottom, top = axes.get_ylim()
    middle = ((response.w_min + response.w_max) / 2 - bottom) / (top - bottom)
    measured.set_ylabel(f"measured {unit}", color=colour, y=middle)


def add_legend(
    figure: Figure, choice: FairChoice, best: Mapping[str, pd.DataFrame], colours: Mapping
) -> None:
    """Above the panels, where it covers no curve: networks a point, noises, best learning rate."""
    counts = choice.networks.groupby(["field", "setting"], sort=False).size()
    markers, lines, labels = style.markers(best), [], []
    for field, rows in best.items():
        setting = rows["setting"].iloc[0]
        dashes = "--" if setting.field.response.endless else "-"
        lines.append(Line2D([], [], color=colours[field], marker=markers[field], ls=dashes))
        own_noises = f"{describe_noises(setting)}\n" * choice.as_measured
        label = f"{style.name(field)}, {describe_count(counts[field])}\n{own_noises}"
        labels.append(f"{label}best learning rate {setting.lr:g}")
    equal_noises = f"all with {describe_noises(setting)}, " * (not choice.as_measured)
    spread = "mean ± sd" if counts.max() >= MIN_FOR_SPREAD else "mean"
    figure.legend(
        lines,
        labels,
        title=f"{setting.task}, smallest pulse {setting.clipping:g}, {equal_noises}{spread}",
        title_fontsize=7,
        fontsize=style.SMALL,
        loc="outside upper center",
        ncols=min(LEGEND_COLUMNS, len(lines)),
        handlelength=2.8,
    )


def describe_noises(setting: Setting) -> str:
    """Variability, read noise (arb. u.) and write noise (share of the range per root of pulse)."""
    return (
        rf"σ$_\mathrm{{device}}$ {setting.var:.3g}, σ$_\mathrm{{r}}$ {setting.resistor_noise:.2g}, "
        rf"σ$_\mathrm{{w}}$ {setting.write_noise:.2g}"
    )
