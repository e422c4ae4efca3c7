"""Learning curves: test accuracy and pulse request against epoch."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from devices import FIELDS
from utils.plots import style


def draw_learning_curves(networks: pd.DataFrame) -> Figure | None:
    """A column for each field, a line for each learning rate, named at the lower panel's right.

    networks: rows of `Simulations.networks` that differ in field and learning rate; None if none.
    """
    fields = [field for field in FIELDS if field in set(networks["field"])]
    if not fields:
        return None
    figure, panels = plt.subplots(
        2, len(fields), figsize=(style.PAGE, 4.2), sharex=True, sharey="row", squeeze=False
    )
    for column, field in enumerate(fields):
        mine = networks[networks["field"] == field]
        rates = sorted(mine["lr"].unique())
        for rate in rates:
            rows = mine[mine["lr"] == rate]
            shade = shaded(style.colour(field), rates.index(rate), len(rates))
            for axes, kind, scale in zip(
                panels[:, column], ("accuracies", "gradients"), (100, 1), strict=True
            ):
                values = histories(rows, kind) * scale  # [model, epoch]
                epochs = range(1, values.shape[1] + 1)
                dot = "o" if len(epochs) == 1 else None
                axes.plot(epochs, values.mean(0), color=shade, marker=dot, label=f"{rate:g}")
            axes.annotate(
                f"{rate:g}", (epochs[-1], values.mean(0)[-1]), xytext=(4, 0),
                textcoords="offset points", va="center", fontsize=6, color=shade,
            )  # fmt: skip
        panels[0, column].set_title(style.name(field))
        panels[1, column].set_xlabel("epoch")
        panels[1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[1, column].set_title("learning rate", loc="right", fontsize=6)
    panels[0, 0].set_ylabel("test accuracy (%)")
    panels[1, 0].set_ylabel("mean request (pulses per pair)")
    panels[1, 0].set_ylim(0)
    figure.suptitle(style.physics(networks))
    return figure


def histories(rows: pd.DataFrame, kind: str) -> torch.Tensor:
    """Accuracies (0 to 1) or gradients (pulses) of some networks: [model, epoch]."""
    paths = [getattr(row.folder, kind)(row.model) for row in rows.itertuples()]
    return torch.stack([torch.load(path, weights_only=True) for path in paths])


def shaded(colour: str, position: int, count: int) -> tuple[float, ...]:
    """The colour from pale (position 0) to full (the last)."""
    share = 0.3 + 0.7 * (position + 1) / count
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))
