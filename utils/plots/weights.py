"""Where learning has left the weights, and the single devices in their range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from devices.responses import Response
from utils.plots import style
from utils.plots.accuracy import FIELD_NAMES, counted
from utils.records.simulations import fields_in

BINS = 80


def best_rates(networks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The networks of each field at its best learning rate."""
    best = {}
    for field in fields_in(networks, FIELD_NAMES):
        mine = networks[networks["field"] == field]
        rate = mine.groupby("lr")["accuracy"].mean().idxmax()
        best[field] = mine[mine["lr"] == rate]
    return best


def draw_weights(networks: pd.DataFrame) -> Figure | None:
    """Histograms of w2 - w1 for each layer, and of the devices within their range.

    networks: rows of `Simulations.networks`, healthy ones; None if there are none. Pixels that are
    dark in all training images are left out, as their pairs are never programmed.
    """
    best = best_rates(networks)
    if not best:
        return None
    n_layers = layers_of(networks)
    figure, panels = plt.subplots(1, n_layers + 1, figsize=(style.PAGE, 2.6), squeeze=False)
    *layers, range_axes = panels[0]
    colours = style.colours(best)
    pairs = draw_layers(layers, best, colours)
    for field, rows in best.items():
        response = response_of(rows)
        label = f"{style.name(field)}, lr {rows['lr'].iloc[0]:g}"
        if response.endless:  # it has no range
            range_axes.plot([], [], color=colours[field], label=label)
            continue
        devices = torch.cat([w for pair in pairs[field] for w in pair])
        place = (devices - response.w_min) / response.span
        steps(range_axes, place, (0, 1), colours[field], label)
    low, high = r"w$_\mathrm{min}$", r"w$_\mathrm{max}$"
    range_axes.set_xlabel(f"(w − {low}) / ({high} − {low})")
    range_axes.set_title("single devices")
    range_axes.set_yscale("log")
    layers[0].set_ylabel("share of weights per bin")
    handles, labels = range_axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color=style.GREY, lw=0.7, ls="--"))
    labels.append("range of a pair")
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4))
    style.letter(panels[0])
    together = counted(pd.concat(best.values())).replace("mean ± std, ", "").replace("mean, ", "")
    figure.suptitle(f"{style.physics(networks)}; {together}")
    return figure


def layers_of(networks: pd.DataFrame) -> int:
    """How many layers of devices they have."""
    return len(networks["layers"].iloc[0]) + 1


def response_of(rows: pd.DataFrame) -> Response:
    """That of networks of one device."""
    return rows["setting"].iloc[0].field.response


def draw_layers(
    panels: Sequence, best: Mapping[str, pd.DataFrame], colours: Mapping[str, str]
) -> dict[str, list[tuple[torch.Tensor, torch.Tensor]]]:
    """Histograms of the weights, a panel for each layer, with the range that a pair can attain.

    best: the networks of each field. Returns the voltages of each, as `voltages` does.
    """
    pairs = {field: voltages(rows, len(panels)) for field, rows in best.items()}
    spans = {field: response_of(rows).span for field, rows in best.items()}
    endless = {field for field, rows in best.items() if response_of(rows).endless}
    for number, axes in enumerate(panels, start=1):
        weights = {
            field: w2 - w1 for field, layer in pairs.items() for w1, w2 in [layer[number - 1]]
        }
        limits = [spans[field] for field in spans if field not in endless]
        widest = max(limits or [float(weights[field].abs().max()) for field in endless])
        for field, values in weights.items():
            label = f"{style.name(field)}, lr {best[field]['lr'].iloc[0]:g}"
            steps(axes, values, (-widest, widest), colours[field], label)
            for edge in () if field in endless else (-spans[field], spans[field]):
                axes.axvline(edge, color=colours[field], lw=0.7, ls="--")
        told = [
            f"{style.name(field)}: {share:.2g} % beyond"
            for field in weights
            if (share := 100 * float((weights[field].abs() > widest).double().mean())) >= 0.001
        ]
        axes.set_xlabel("\n".join(["weight w$_2$ − w$_1$ (arb. u.)", *told]))
        axes.set_title(f"layer {number}")
        axes.set_yscale("log")
    return pairs


def voltages(rows: pd.DataFrame, n_layers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Hall voltages (w1, w2) of each layer, all networks together, one dimension."""
    layers = [([], []) for _ in range(n_layers)]
    for row in rows.itertuples():
        state = torch.load(row.folder.weights(row.model), weights_only=True, mmap=True)
        for layer, (first, second) in enumerate(layers):
            w1, w2 = (state[f"layers.{1 + 3 * layer}.{name}"] for name in ("weight1", "weight2"))
            if layer == 0:
                programmed = (w1 != w1.new_tensor(row.setting.field.response.w_max - row.init)).any(
                    dim=0
                )
                w1, w2 = w1[:, programmed], w2[:, programmed]
            first.append(w1.flatten())
            second.append(w2.flatten())
    return [(torch.cat(first), torch.cat(second)) for first, second in layers]


def steps(axes, values: torch.Tensor, limits: tuple[float, float], colour: str, label: str) -> None:
    """The outline of a histogram between limits, as the share of the values in each bin.

    Each is thinner than the one before, which tells them apart in grey, and where they coincide.
    """
    low, high = limits
    rounding = 1e-6 * (high - low)  # by which single precision may pass a limit
    counts, edges = torch.histogram(values, bins=BINS, range=(low - rounding, high + rounding))
    width = max(0.6, 1.8 * 0.6 ** len(axes.patches))
    axes.stairs(
        (counts / values.numel()).numpy(), edges.numpy(), color=colour, label=label, lw=width
    )
