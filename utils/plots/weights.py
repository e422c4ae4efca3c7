"""Where learning has left the weights, and the single devices in their range."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from devices.library import Device
from devices.scheme import REFERENCE
from utils.plots import style
from utils.plots.panels import grid
from utils.plots.selection import by_field
from utils.plots.statistics import at_best_rate, describe_count
from utils.records.tensor_names import pair_tensor

BINS = 80
LABEL_WIDTH = 24  # characters that fit below a panel
ROUNDING = 1e-5  # of a limit, by which single precision may pass it
Pair = tuple[torch.Tensor, torch.Tensor]  # w1 and w2, one dimension


def fields_at_best_rate(networks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The networks of each field at its best learning rate."""
    return {field: at_best_rate(rows) for field, rows in by_field(networks).items()}


def draw_weights(networks: pd.DataFrame) -> Figure:
    """Histograms of w2 - w1 for each layer, and of the devices within their range.

    Inputs that are zero in all training images are left out, as their pairs are never programmed.
    """
    best = fields_at_best_rate(networks)
    figure, ((*layers, range_axes),) = grid(1, layers_of(networks) + 1, (style.PAGE, 2.6))
    colours = style.colours(best)
    pairs = draw_layers(layers, best, colours)
    for field, rows in best.items():
        response = device_of(rows).response
        label = f"{style.name(field)}, learning rate {rows['lr'].iloc[0]:g}"
        if response.endless:  # it has no range
            range_axes.plot([], [], color=colours[field], label=label)
            continue
        devices = torch.cat([w for pair in pairs[field] for w in pair])
        place = (devices - response.w_min) / response.span
        draw_histogram(range_axes, place, (0, 1), colours[field], label)
    low, high = r"w$_\mathrm{min}$", r"w$_\mathrm{max}$"
    label = f"(w − {low}) / ({high} − {low})"
    range_axes.set(title="single devices", xlabel=label, yscale="log")
    layers[0].set_ylabel("share of weights per bin")
    handles = range_axes.get_legend_handles_labels()[0]
    handles.append(Line2D([], [], color=style.GREY, lw=0.7, ls="--", label="range of a pair"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    count = describe_count([len(rows) for rows in best.values()])
    figure.suptitle(f"{style.physics(networks)}; {count}")
    return figure


def layers_of(networks: pd.DataFrame) -> int:
    """How many layers of devices they have."""
    return len(networks["layers"].iloc[0]) + 1


def device_of(rows: pd.DataFrame) -> Device:
    """The device of networks that have one."""
    return rows["setting"].iloc[0].field


def draw_layers(
    panels: Sequence, best: Mapping[str, pd.DataFrame], colours: Mapping[str, str]
) -> dict[str, list[Pair]]:
    """Histograms of the weights, a panel for each layer, with the range that a pair can attain.

    best: the networks of each field. Returns the voltages of each field and layer.
    """
    pairs = {
        field: [read_voltages(rows, number) for number in range(len(panels))]
        for field, rows in best.items()
    }
    responses = {field: device_of(rows).response for field, rows in best.items()}
    spans = {field: response.span for field, response in responses.items() if not response.endless}
    for number, axes in enumerate(panels):
        weights = {field: w2 - w1 for field, pair in pairs.items() for w1, w2 in [pair[number]]}
        widest = widest_shown(weights, spans)
        labels = ["weight w$_2$ − w$_1$ (arb. u.)"]
        for field, values in weights.items():
            draw_histogram(axes, values, (-widest, widest), colours[field])
            for edge in (-spans[field], spans[field]) if field in spans else ():
                colour = colours[field] if len({*spans.values()}) > 1 else style.GREY
                axes.axvline(edge, color=colour, lw=0.7, ls="--")
            beyond = 100 * float((values.abs() > widest * (1 + ROUNDING)).double().mean())
            if beyond >= 0.001:
                label = f"{style.name(field)}: {beyond:.2g} % not shown"
                labels.append(textwrap.fill(label, LABEL_WIDTH))
        axes.set(title=f"layer {number + 1}", xlabel="\n".join(labels), yscale="log")
    return pairs


def widest_shown(weights: Mapping[str, torch.Tensor], spans: Mapping[str, float]) -> float:
    """The end of the axis: the range of a pair, or where endless devices have most weights.

    weights, spans: by field; endless devices have no span. Of at most a million weights, all that
    torch.quantile takes.
    """
    endless = [values for field, values in weights.items() if field not in spans]
    samples = (values[:: len(values) // 1_000_000 + 1] for values in endless)
    far = [float(sample.abs().double().quantile(0.99)) for sample in samples]
    widest = max(spans.values(), default=0.0)
    return max([widest, *(min(distance, 3 * widest) if spans else distance for distance in far)])


def read_voltages(rows: pd.DataFrame, number: int) -> Pair:
    """Hall voltages (w1, w2) of a layer, counted from 0, all networks together."""
    pairs = []
    for folder, model, setting in zip(rows["folder"], rows["model"], rows["setting"], strict=True):
        state = torch.load(folder.weights(model), weights_only=True, mmap=True)
        w1, w2 = (state[pair_tensor(number, name)] for name in ("weight1", "weight2"))
        if number == 0 and setting.cell != REFERENCE:  # there w1 is never programmed
            programmed = (w1 != w1.new_tensor(setting.start)).any(dim=0)
            w1, w2 = w1[:, programmed], w2[:, programmed]
        pairs.append((w1.flatten(), w2.flatten()))
    w1, w2 = map(torch.cat, zip(*pairs, strict=True))
    return w1, w2


def draw_histogram(
    axes, values: torch.Tensor, limits: tuple[float, float], colour: str, label: str = ""
) -> None:
    """The outline of a histogram between limits, as the share of the values in each bin.

    Each is thinner than the one before, which tells them apart in grey, and where they coincide.
    """
    low, high = limits
    rounding = ROUNDING * (high - low)
    counts, edges = torch.histogram(values, bins=BINS, range=(low - rounding, high + rounding))
    shares, width = counts / values.numel(), max(0.6, 1.8 * 0.6 ** len(axes.patches))
    axes.stairs(shares.numpy(), edges.numpy(), color=colour, label=label, lw=width)
