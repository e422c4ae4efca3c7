"""Learning curves: test accuracy and pulse request against epoch."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.plots import style
from utils.plots.accuracy import FIELD_NAMES, counted
from utils.plots.statistics import FEWEST
from utils.records.simulations import fields_in, setting_columns
from utils.settings import Setting


def draw_learning_curves(networks: pd.DataFrame) -> Figure | None:
    """A column for each field, a line for each learning rate, named at the lower panel's right.

    networks: rows of `Simulations.networks` that differ in field and learning rate; None if none.
    """
    fields = fields_in(networks, FIELD_NAMES)
    if not fields:
        return None
    figure, panels = plt.subplots(
        2, len(fields), figsize=(style.PAGE, 4.2), sharex=True, sharey="row", squeeze=False
    )
    colours = style.colours(fields)
    for column, field in enumerate(fields):
        mine = networks[networks["field"] == field]
        rates = sorted(mine["lr"].unique())
        for rate in rates:
            rows = mine[mine["lr"] == rate]
            shade = shaded(colours[field], rates.index(rate), len(rates))
            for axes, kind, scale in zip(
                panels[:, column], ("accuracies", "gradients"), (100, 1), strict=True
            ):
                values = histories(rows, kind) * scale  # [model, epoch]
                epochs = range(1, values.shape[1] + 1)
                dot = "o" if len(epochs) == 1 else None
                axes.plot(epochs, values.mean(0), color=shade, marker=dot, label=f"{rate:g}")
            axes.annotate(
                f"{rate:g}",
                (epochs[-1], values.mean(0)[-1]),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.SMALL,
                color=shade,
            )
        panels[0, column].set_title(style.name(field))
        panels[1, column].set_xlabel("epoch")
        panels[1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[1, column].set_title("learning rate", loc="right", fontsize=style.SMALL)
    panels[0, 0].set_ylabel("test accuracy (%)")
    panels[1, 0].set_ylabel("mean request (pulses per pair)")
    panels[1, 0].set_ylim(0)
    style.letter(panels.flat)
    figure.suptitle(f"{style.physics(networks)}; {counted(networks).replace(' ± std', '')}")
    return figure


def draw_epochs(networks: pd.DataFrame) -> Figure | None:
    """Test accuracy against epoch, a line with a band of one standard deviation for each setting.

    networks: rows of `Simulations.networks` of equally many epochs; None if there are none.
    """
    if networks.empty:
        return None
    figure, axes = plt.subplots(figsize=(style.COLUMN, 3.0))
    order = fields_in(networks, FIELD_NAMES)
    settings = sorted(dict.fromkeys(networks["setting"]), key=lambda s: order.index(s.field_name))
    colours, markers, means = style.colours(order), style.markers(order), []
    for setting in settings:
        rows = networks[networks["setting"] == setting]
        alike = [other for other in settings if other.fields == setting.fields]
        colour = shaded(colours[setting.field_name], alike.index(setting), len(alike))
        marker = markers[setting.field_name]
        label = ", then ".join(style.name(device.name) for device in setting.fields)
        if len(alike) > 1:
            label += ", " + told_apart(setting, alike)
        means.append(draw_history(axes, rows, colour, label, marker))
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    columns = 1 if len(settings) < 4 or len(settings) > len(order) else 2
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        title=counted(networks),
        ncols=columns,
    )
    axes.set_title(style.physics(networks).replace(", read", ",\nread"))
    leave_out_first(axes, torch.stack(means))
    return figure


def draw_history(axes, rows: pd.DataFrame, colour, label: str, marker: str) -> torch.Tensor:
    """Mean test accuracy of some networks against epoch, with its band; returned in %, [epoch]."""
    values = 100 * histories(rows, "accuracies")  # [model, epoch]
    epochs, mean = range(1, values.shape[1] + 1), values.mean(0)
    axes.plot(epochs, mean, color=colour, marker=marker, label=label)
    if len(rows) >= FEWEST:
        std = values.std(0)
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.2, lw=0)
    return mean


def leave_out_first(axes, means: torch.Tensor) -> None:
    """Scale the axis by the epochs after the first where that one lies far below, and say so.

    means: accuracy in %, [setting, epoch].
    """
    first, rest = means[:, 0], means[:, 1:]
    if rest.numel() == 0 or first.max() >= rest.min() - 2 * (rest.max() - rest.min()):
        return
    room = 0.5 * (rest.max() - rest.min()) + 1
    axes.set_ylim(float(rest.min() - room), float(rest.max() + 0.3 * room))
    low, high = float(first.min()), float(first.max())
    told = f"{low:.0f} %" if f"{low:.0f}" == f"{high:.0f}" else f"{low:.0f} to {high:.0f} %"
    axes.annotate(
        f"↙ epoch 1: {told}",
        (2.2, 0.02),
        xycoords=("data", "axes fraction"),
        color=style.GREY,
        fontsize=style.SMALL,
        va="bottom",
    )


def told_apart(setting: Setting, others: Sequence[Setting]) -> str:
    """In what a setting differs from others: `lr 1000`."""

    def values(one: Setting) -> dict:
        names = (name for name in setting_columns() if name != "switch")
        return {"switch": one.switched_at} | {name: getattr(one, name) for name in names}

    mine, all_values = values(setting), [values(one) for one in others]
    return ", ".join(
        f"{name} {value:g}"
        for name, value in mine.items()
        if len({each[name] for each in all_values}) > 1
    )


def histories(rows: pd.DataFrame, kind: str) -> torch.Tensor:
    """Accuracies (0 to 1) or gradients (pulses) of some networks: [model, epoch]."""
    paths = [getattr(row.folder, kind)(row.model) for row in rows.itertuples()]
    return torch.stack([torch.load(path, weights_only=True) for path in paths])


def shaded(colour: str, position: int, count: int) -> tuple[float, ...]:
    """The colour from pale (position 0) to full (the last)."""
    share = 0.3 + 0.7 * (position + 1) / count
    return tuple(1 - share * (1 - part) for part in to_rgb(colour))
