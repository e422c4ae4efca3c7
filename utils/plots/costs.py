"""What learning costs against what it reaches."""

from __future__ import annotations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from utils.plots import style
from utils.plots.accuracy import FEWEST, FIELD_NAMES, counted
from utils.records.simulations import COSTS, fields_in

CLOSE = 0.5  # points of accuracy within which a learning rate is about as good as the best


def points_of(networks: pd.DataFrame, field: str) -> pd.DataFrame:
    """Mean and standard deviation over networks of accuracy (%) and COSTS, by learning rate."""
    mine = networks[networks["field"] == field].dropna(subset=["pulses"])
    grouped = mine.groupby("lr")[["accuracy", *COSTS]]
    return grouped.agg(["mean", "std", "size"]).sort_index()


def draw_costs(networks: pd.DataFrame) -> Figure | None:
    """Against pulses per device, a point a learning rate: a, accuracy; b, refreshes per pair.

    networks: rows of `Simulations.networks` with costs, healthy ones that differ in field and
    learning rate; None if none has a ledger.
    """
    networks = networks.dropna(subset=["pulses"])
    networks = networks[networks["pulses"] > 0]
    if networks.empty:
        return None
    order = fields_in(networks, FIELD_NAMES)
    colours = style.colours(order)
    figure, (reached, refreshed) = plt.subplots(1, 2, figsize=(style.PAGE, 2.9))
    for field in order:
        points = points_of(networks, field)
        draw_points(reached, points, "accuracy", colours[field], style.name(field))
        draw_points(refreshed, points, "refreshes", colours[field], style.name(field))
        name_rates(reached, points, "accuracy", colours[field])
    for axes in (reached, refreshed):
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
        axes.set_xlabel("pulses per device in the whole training")
    reached.set_ylabel("test accuracy (%)")
    refreshed.set_ylabel("refreshes per pair")
    if (networks["refreshes"] > 0).all():
        refreshed.set_yscale("log")
        plain_ticks(refreshed.yaxis)
    else:  # as of ideal devices
        refreshed.set_ylim(0)
    reached.legend(loc="best", title=counted(networks))
    style.letter((reached, refreshed))
    reached.set_title("numbers are learning rates")
    figure.suptitle(style.physics(networks))
    return figure


def plain_ticks(axis) -> None:
    """Of a logarithmic axis: at 1, 2 and 5 times the powers of 10, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def draw_points(axes, points: pd.DataFrame, what: str, colour: str, label: str) -> None:
    """Means over networks, connected by learning rate, with standard deviations from three on."""
    x, y = points["pulses"], points[what]
    errors = (one["std"].where(one["size"] >= FEWEST).fillna(0) for one in (x, y))
    x_error, y_error = errors
    axes.errorbar(
        x["mean"],
        y["mean"],
        xerr=x_error,
        yerr=y_error,
        color=colour,
        marker="o",
        lw=0.8,
        elinewidth=0.8,
        label=label,
    )


def name_rates(axes, points: pd.DataFrame, what: str, colour: str) -> None:
    """The learning rate beside each point."""
    x, y = points["pulses"], points[what]
    for rate in points.index:
        axes.annotate(
            f"{rate:g}",
            (x["mean"][rate], y["mean"][rate]),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=6,
            color=colour,
        )


def tell_costs(networks: pd.DataFrame) -> str:
    """How many pulses per device each field needs for its best accuracy, and for almost that."""
    told = []
    for field in fields_in(networks, FIELD_NAMES):
        points = points_of(networks, field)
        if points.empty:
            continue
        accuracy, pulses = points["accuracy"]["mean"], points["pulses"]["mean"]
        best = accuracy.idxmax()
        cheapest = pulses[accuracy >= accuracy.max() - CLOSE].idxmin()
        text = (
            f"{style.name(field)} takes {pulses[best]:.3g} pulses per device for its best "
            f"{accuracy[best]:.2f} % (learning rate {best:g})"
        )
        if cheapest != best:
            text += (
                f", and {pulses[cheapest]:.3g} for {accuracy[cheapest]:.2f} %, within {CLOSE:g} "
                f"points of it (learning rate {cheapest:g})"
            )
        told.append(text)
    if not told:
        return "Costs: no simulations with --ledger yet."
    return f"Costs ({counted(networks.dropna(subset=['pulses']))}): {'; '.join(told)}."
