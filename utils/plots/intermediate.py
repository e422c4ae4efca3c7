"""What the hardware carries for one image: currents into every layer, voltages out of it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from contextlib import suppress

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from utils.plots import style
from utils.plots.networks import Networks
from utils.plots.selection import comparable, varied_by_figures
from utils.plots.weights import fields_at_best_rate
from utils.records.results import IncompleteFileError, read_intermediates

MIN_BINS, MAX_BINS = 10, 40  # of a histogram
LABEL_WIDTH = 30  # characters that fit below a panel
CURRENT, VOLTAGE = "current I (arb. u.)", "Hall voltage V (arb. u.)"


def select(networks: Networks) -> pd.DataFrame:
    """Networks of one physics that have these files, whole."""
    rows, complete = networks.unswitched, []
    for k, folder, model in zip(rows.index, rows["folder"], rows["model"], strict=True):
        with suppress(IncompleteFileError):
            read_intermediates(folder, model)
            complete.append(k)
    return networks.reference(comparable(rows.loc[complete], varied_by_figures()))


def draw_intermediate(networks: pd.DataFrame) -> Figure:
    """The image, and for each layer the distribution of currents and of voltages.

    networks: of one physics, with these files. Of each field all networks at its best learning rate
    are drawn together; of the last layer, which has a device pair for each class only, the voltage
    of each class.
    """
    best = fields_at_best_rate(networks)
    fields = {field: read_values(rows) for field, rows in best.items()}
    colours = style.colours(best)
    layers = list(next(iter(fields.values())))  # numbers in the state dict
    n_columns = 1 + len(layers)
    size = max(style.PAGE, 2.3 * n_columns), 4.4
    figure, (upper, lower) = plt.subplots(2, n_columns, figsize=size, squeeze=False)
    for number, layer in enumerate(layers, start=1):
        upper[number].set_title(f"layer {number}")
        currents, voltages = (
            {field: values[layer][k] for field, values in fields.items()} for k in (0, 1)
        )
        if number == 1:  # of the image, the same for all networks
            currents = {None: next(iter(currents.values()))[:1]}
            draw_image(upper[0], currents[None][0])
        draw_distributions(upper[number], currents, colours, CURRENT)
        if number < len(layers):
            draw_distributions(lower[number], voltages, colours, VOLTAGE)
        else:
            draw_by_class(lower[number], voltages, colours)
    upper[1].set_ylabel("inputs per bin")
    lower[1].set_ylabel("outputs per bin")
    add_legend(lower[0], best, colours)
    figure.suptitle(f"{style.physics(networks)}: first test image")
    return figure


def read_values(rows: pd.DataFrame) -> dict[int, tuple[Tensor, ...]]:
    """Currents [network, in] and voltages [network, out] of each layer."""
    files = list(map(read_intermediates, rows["folder"], rows["model"]))
    return {
        layer: tuple(map(torch.stack, zip(*(values[layer] for values in files), strict=True)))
        for layer in files[0]
    }


def draw_image(axes, image: Tensor) -> None:
    """The image [in] as the currents of the first layer, pixel by pixel, padding and all."""
    shown = axes.imshow(image.view(math.isqrt(len(image)), -1).numpy(), cmap="gray")
    axes.set(xticks=[], yticks=[], title="the image")
    bar = axes.figure.colorbar(shown, ax=axes, location="bottom", label=CURRENT, shrink=0.9)
    bar.formatter.set_powerlimits((-2, 3))


def draw_distributions(axes, values: Mapping, colours: Mapping[str, str], quantity: str) -> None:
    """Outlines of histograms, means over networks. Currents of zero have no bin, but a share below.

    values: [network, value] by field, or by None for what all fields have in common.
    """
    is_current = quantity == CURRENT
    drawn = {f: v[v != 0] if is_current else v.flatten() for f, v in values.items()}
    together = torch.cat(list(drawn.values()))
    low, high = 0.0 if is_current else float(together.min()), float(together.max())
    if not high > low:
        high = low + 1.0
    bins = min(max(math.isqrt(len(together) // len(values)), MIN_BINS), MAX_BINS)
    labels = [quantity]
    for field, numbers in values.items():
        counts, edges = torch.histogram(drawn[field].double(), bins, range=(low, high))
        colour = colours.get(field, style.GREY)
        axes.stairs((counts / len(numbers)).numpy(), edges.numpy(), color=colour)
        share = 100 * float((numbers == 0).double().mean())
        if is_current:
            label = f"{style.name(field) + ': ' if field else ''}{share:.0f} % carry none"
            labels.append(textwrap.fill(label, LABEL_WIDTH))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    axes.set_xlabel("\n".join(labels))


def draw_by_class(axes, values: Mapping[str, Tensor], colours: Mapping[str, str]) -> None:
    """Voltages of the last layer [network, class]: mean and standard deviation over networks."""
    n_classes, markers = next(iter(values.values())).shape[1], style.markers(values)
    for k, (field, voltages) in enumerate(values.items()):
        place = torch.arange(n_classes) + 0.15 * (k - (len(values) - 1) / 2)
        spread = voltages.std(dim=0).numpy() if len(voltages) > 1 else None
        mean = voltages.mean(dim=0).numpy()
        axes.errorbar(place, mean, spread, fmt=markers[field], color=colours[field], lw=0.8)
    axes.axhline(0, color=style.GREY, lw=0.5)
    axes.set(xlabel="class", ylabel=VOLTAGE, xticks=range(n_classes))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))


def add_legend(axes, best: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> None:
    """The legend, and what the voltages carry: in a panel of its own."""
    axes.axis("off")
    for field, rows in best.items():
        setting, n = rows["setting"].iloc[0], len(rows)
        label = f"{style.name(field)}, learning rate {setting.lr:g},\n{n} network" + "s" * (n > 1)
        axes.plot([], [], color=colours[field], label=label)
    lines = [
        f"I = {setting.input_scale:g} × activation",
        f"V = I W$^\\mathrm{{T}}$ + noise of {setting.voltage_noise:g}",
        "before batch normalisation",
        f"devices read with noise {setting.resistor_noise:g}"
        if setting.device_noise
        else "devices read without noise",
    ]
    axes.legend(
        loc="upper left",
        borderaxespad=0,
        fontsize=style.SMALL,
        title="\n".join(lines),
        title_fontsize=style.SMALL,
        alignment="left",
    )
