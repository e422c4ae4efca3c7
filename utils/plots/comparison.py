"""Fields compared in one picture: their devices, how well they learn, and their weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from devices.library import Device
from utils.plots import style
from utils.plots.accuracy import counted, curve, draw_curve, said
from utils.plots.curves import draw_history, leave_out_first
from utils.plots.selected import Selected
from utils.plots.statistics import FEWEST, difference
from utils.plots.weights import best_rates, draw_layers, layers_of

COLUMNS = 4  # of the legend
LONGEST = 4.0  # times as many pulses as another device, from which on shares of a ramp are drawn
AXES = 2  # of measured units that stand beside each other at most
GAP = 42  # points between them


def draw_comparison(selected: Selected) -> Figure:
    """a: the devices; b, c: accuracy against learning rate, and against epoch; d: the weights."""
    networks, colours = selected.networks, style.colours(selected.fields)
    best = best_rates(networks)
    best = {field: best[field] for field in selected.fields}
    markers = style.markers(selected.fields)
    figure = plt.figure(figsize=(style.PAGE, 5.6))
    grid = figure.add_gridspec(2, 2)
    devices, rates, epochs = (figure.add_subplot(grid[k]) for k in range(3))
    layers = grid[3].subgridspec(1, layers_of(networks)).subplots(sharey=True, squeeze=False)[0]
    draw_responses(devices, [rows["setting"].iloc[0].field for rows in best.values()], colours)
    (clipping,) = networks["clipping"].unique()
    means = []
    for field, rows in reversed(best.items()):  # so that the first is on top
        points = curve(networks, field, clipping)
        label = style.name(field)
        draw_curve(rates, points, field, label, "-", (colours[field], markers[field]))
        means.append(draw_history(epochs, rows, colours[field], label, markers[field]))
    leave_out_first(epochs, torch.stack(means))
    draw_layers(layers, best, colours)
    for axes in layers:
        axes.xaxis.label.set_fontsize(style.SMALL)
    rates.set_xlabel("learning rate (pulses per unit gradient)")
    rates.set_title("accuracy after the last epoch")
    epochs.set_xlabel("epoch")
    epochs.set_title("at the best learning rate of each")
    epochs.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (rates, epochs):
        axes.set_ylabel("test accuracy (%)")
    layers[0].set_ylabel("share of weights per bin\n(dashed: range of a pair)")
    style.letter((devices, rates, epochs, layers[0]))
    add_legend(figure, selected, best, colours)
    return figure


def takeaway(selected: Selected) -> str:
    """By how much the first field differs from each other, each at its best learning rate."""
    best = best_rates(selected.networks)
    first, *others = selected.fields
    told = []
    for field in others:
        if one := difference(best[first], best[field]):
            told.append(f"{said(one)} to {style.name(field)}")
    if not told:
        return f"{style.name(first)}: no other field with networks of equal seeds beside it."
    values = "each field with its own noises" if selected.as_measured else "all with equal noises"
    return (
        f"{style.name(first)}, {values} and at its best learning rate, over equal seeds: "
        f"{'; '.join(told)}."
    )


def draw_responses(axes, devices: list[Device], colours: Mapping[str, str]) -> None:
    """Hall voltage against pulses, with an axis in the unit of the measurement where there is one.

    Where one device has many times the pulses of another, against the share of its own.
    """
    lengths = [device.response.pulses_max for device in devices]
    as_share = max(lengths) > LONGEST * min(lengths)
    for device in reversed(devices):
        response, colour = device.response, colours[device.name]
        unit = response.pulses_max if as_share else 1.0
        inside = torch.linspace(0, response.pulses_max, 400, dtype=torch.float64)
        label = style.name(device.name)
        if response.endless:  # dashed, since it lies on the linear device, and goes on
            inside = torch.cat([inside, inside[-1:] * 1.15])
            axes.plot(inside / unit, response.response(inside), "--", color=colour, label=label)
            continue
        axes.plot(inside / unit, response.response(inside), color=colour, label=label)
        axes.plot(response.pulses_max / unit, response.w_min, "o", color=colour)  # where it ends
    axes.set_ylabel("Hall voltage w (arb. u.)")
    axes.set_title("devices")
    if as_share:
        pulses = ", ".join(f"{style.name(d.name)} {d.response.pulses_max:g}" for d in devices)
        axes.set_xlabel(f"share of the pulses of a range\n({pulses})")
    else:
        axes.set_xlabel("pulses x")
    measured = {
        device.measured.response_units: device for device in reversed(devices) if device.measured
    }
    if len(measured) <= AXES:
        for number, device in enumerate(reversed(measured.values())):
            add_measured_axis(axes, device, colours[device.name], number * GAP)


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


def add_legend(figure: Figure, selected: Selected, best: Mapping, colours: Mapping) -> None:
    """Above the panels, where it covers no curve: networks a point, noises, best learning rate."""
    networks, lines, texts = selected.networks, [], []
    markers = style.markers(best)
    for field, rows in best.items():
        setting = rows["setting"].iloc[0]
        dashes = "--" if setting.field.response.endless else "-"
        lines.append(Line2D([], [], color=colours[field], marker=markers[field], ls=dashes))
        n = counted(networks[networks["field"] == field]).partition("n = ")[2] or "1"
        told = f"{style.name(field)}, n = {n}\n"
        if selected.as_measured:
            told += noises(setting) + "\n"
        texts.append(told + f"best learning rate {setting.lr:g}")
    common = rows["setting"].iloc[0]
    title = f"{common.task}, smallest pulse {common.clipping:g}, "
    if not selected.as_measured:
        title += f"all with {noises(common)}, "
    n_models = networks.groupby("setting", sort=False).size()
    title += "mean ± sd" if n_models.max() >= FEWEST else "mean"
    figure.legend(
        lines,
        texts,
        title=title,
        title_fontsize=7,
        fontsize=style.SMALL,
        loc="outside upper center",
        ncols=min(COLUMNS, len(lines)),
        handlelength=2.8,
    )


def noises(setting) -> str:
    """Variability, read noise (arb. u.) and write noise (share of the range per root of pulse)."""
    return (
        rf"σ$_\mathrm{{device}}$ {setting.var:.3g}, σ$_\mathrm{{r}}$ {setting.resistor_noise:.2g}, "
        rf"σ$_\mathrm{{w}}$ {setting.write_noise:.2g}"
    )
