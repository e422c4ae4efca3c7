"""What the hardware carries for one image: currents into every layer, voltages out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from utils.plots import style
from utils.plots.weights import best_rates
from utils.records.results import IncompleteFileError, read_intermediates

BINS = 10, 40  # fewest and most of a histogram
CURRENT, VOLTAGE = "current I (arb. u.)", "Hall voltage V (arb. u.)"


def with_intermediates(networks: pd.DataFrame) -> pd.DataFrame:
    """The rows of `Simulations.networks` whose networks have these files, whole."""

    def has(row) -> bool:
        try:
            return bool(read_intermediates(row.folder, row.model))
        except IncompleteFileError:
            return False

    kept = [has(row) for row in networks.itertuples()]
    return networks[pd.Series(kept, index=networks.index, dtype=bool)]


def draw_intermediate(networks: pd.DataFrame) -> Figure | None:
    """The image, and for each layer the distribution of currents and of voltages.

    networks: healthy rows of one physics that have these files; None if there are none. Of each
    field all networks at its best learning rate are drawn together; of the last layer, which has a
    device pair for each class only, the voltage of each class.
    """
    best = best_rates(networks)
    if not best:
        return None
    fields = {field: values_of(rows) for field, rows in best.items()}
    colours = style.colours(best)
    layers = list(next(iter(fields.values())))  # numbers in the state dict
    shape = 2, 1 + len(layers)
    size = max(style.PAGE, 2.3 * shape[1]), 4.4
    figure, panels = plt.subplots(*shape, figsize=size, squeeze=False)
    draw_image(panels[0][0], fields)
    for number, layer in enumerate(layers, start=1):
        upper, lower = panels[:, number]
        upper.set_title(f"layer {number}")
        into, out = ({f: values[layer][k] for f, values in fields.items()} for k in (0, 1))
        if number == 1:  # the image's, of all networks
            into = {None: next(iter(into.values()))[:1]}
        distributions(upper, into, colours, CURRENT)
        if number < len(layers):
            distributions(lower, out, colours, VOLTAGE)
        else:
            by_class(lower, out, colours)
    panels[0][1].set_ylabel("inputs per bin")
    panels[1][1].set_ylabel("outputs per bin")
    describe(panels[1][0], best, colours)
    figure.suptitle(f"{style.physics(networks)}: first test image")
    return figure


def values_of(rows: pd.DataFrame) -> dict[int, tuple[Tensor, Tensor]]:
    """Currents [network, in] and voltages [network, out] of each layer."""
    each = [read_intermediates(row.folder, row.model) for row in rows.itertuples()]
    return {
        layer: tuple(torch.stack([one[layer][k] for one in each]) for k in (0, 1))
        for layer in each[0]
    }


def draw_image(axes, fields: Mapping[str, dict]) -> None:
    """As the currents of the first layer, pixel by pixel, padding and all."""
    image = next(iter(next(iter(fields.values())).values()))[0][0]  # [in]
    side = math.isqrt(len(image))
    shown = axes.imshow(image.view(side, -1).numpy(), cmap="gray")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("the image")
    bar = axes.figure.colorbar(shown, ax=axes, location="bottom", label=CURRENT, shrink=0.9)
    bar.formatter.set_powerlimits((-2, 3))


def distributions(axes, values: Mapping, colours: Mapping[str, str], quantity: str) -> None:
    """Outlines of histograms of [network, value], by field; None for what all have in common.

    A mean over networks. Currents that are zero have no bin: how many there are is told below.
    """
    is_current = quantity == CURRENT
    drawn = {field: each[each != 0] if is_current else each for field, each in values.items()}
    several = torch.cat([each.flatten() for each in drawn.values()])
    low, high = (0.0 if is_current else float(several.min()), float(several.max()))
    if not high > low:
        high = low + 1.0
    fewest, most = BINS  # between them the square root of the values of a field
    bins = min(max(math.isqrt(len(several) // len(values)), fewest), most)
    told = []
    for field, each in values.items():
        counts, edges = torch.histogram(drawn[field].double().flatten(), bins, range=(low, high))
        colour = colours.get(field, style.GREY)
        axes.stairs((counts / len(each)).numpy(), edges.numpy(), color=colour)
        zero = float((each == 0).double().mean())
        if is_current:
            told.append(f"{style.name(field) + ': ' if field else ''}{100 * zero:.0f} % carry none")
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    axes.set_xlabel("\n".join([quantity, *told]))


def by_class(axes, values: Mapping[str, Tensor], colours: Mapping[str, str]) -> None:
    """Voltages of the last layer [network, class]: mean and standard deviation over networks."""
    for k, (field, each) in enumerate(values.items()):
        place = torch.arange(each.shape[1]) + 0.15 * (k - (len(values) - 1) / 2)
        spread = each.std(dim=0).numpy() if len(each) > 1 else None
        axes.errorbar(
            place, each.mean(dim=0).numpy(), spread, fmt="o", color=colours[field], lw=0.8
        )
    axes.axhline(0, color=style.GREY, lw=0.5)
    axes.set_xticks(range(each.shape[1]))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    axes.set_xlabel("class")
    axes.set_ylabel(VOLTAGE)


def describe(axes, best: Mapping[str, pd.DataFrame], colours: Mapping[str, str]) -> None:
    """The legend, and what the voltages carry: in a panel of its own."""
    axes.axis("off")
    for field, rows in best.items():
        setting, n = rows["setting"].iloc[0], len(rows)
        label = f"{style.name(field)}, lr {setting.lr:g}, {n} network" + "s" * (n > 1)
        axes.plot([], [], color=colours[field], label=label)
    lines = [
        f"I = {setting.input_scale:g} × activation",
        f"V = I W$^\\mathrm{{T}}$ + noise, σ$_v$ = {setting.voltage_noise:g}",
        "before batch normalisation",
        f"devices read with σ$_r$ = {setting.resistor_noise:g}"
        if setting.device_noise
        else "devices read without noise",
    ]
    axes.legend(loc="upper left", borderaxespad=0)
    axes.text(0, 0.45, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=7)
