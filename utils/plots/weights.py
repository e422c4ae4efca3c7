"""Where learning has left the weights, and the single devices in their range."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.plots import style
from utils.plots.accuracy import FIELDS
from utils.records.simulations import fields_in

BINS = 80


def best_rates(networks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The networks of each field at its best learning rate."""
    best = {}
    for field in fields_in(networks, FIELDS):
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
    n_layers = len(next(iter(best.values()))["layers"].iloc[0]) + 1
    figure, panels = plt.subplots(1, n_layers + 1, figsize=(style.PAGE, 2.4), squeeze=False)
    *layers, range_axes = panels[0]
    responses = {field: rows["setting"].iloc[0].field.response for field, rows in best.items()}
    widest = max(response.span for response in responses.values())
    for field, rows in best.items():
        response, colour = responses[field], style.colour(field)
        label = f"{style.name(field)}, lr {rows['lr'].iloc[0]:g}"
        pairs = voltages(rows, n_layers)
        for axes, (w1, w2) in zip(layers, pairs, strict=True):
            steps(axes, w2 - w1, (-widest, widest), colour, label)
            for edge in (-response.span, response.span):
                axes.axvline(edge, color=colour, lw=0.7, ls="--")
        devices = torch.cat([w for pair in pairs for w in pair])
        place = (devices - response.w_min) / response.span
        steps(range_axes, place, (0, 1), colour, label)
    for number, axes in enumerate(layers, start=1):
        axes.set_xlabel("weight w$_2$ − w$_1$ (arb. u.)")
        axes.set_title(f"layer {number}")
        axes.set_yscale("log")
    low, high = r"w$_\mathrm{min}$", r"w$_\mathrm{max}$"
    range_axes.set_xlabel(f"(w − {low}) / ({high} − {low})")
    range_axes.set_title("single devices")
    range_axes.set_yscale("log")
    panels[0][0].set_ylabel("share of weights per bin")
    range_axes.legend(loc="upper center")
    figure.suptitle(style.physics(networks))
    return figure


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
    """The outline of a histogram between limits, as the share of the values in each bin."""
    low, high = limits
    rounding = 1e-6 * (high - low)  # by which single precision may pass a limit
    counts, edges = torch.histogram(values, bins=BINS, range=(low - rounding, high + rounding))
    axes.stairs((counts / values.numel()).numpy(), edges.numpy(), color=colour, label=label)
