"""What learning costs against what it reaches."""

from __future__ import annotations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from utils.plots import style
from utils.plots.selection import fields_in
from utils.plots.statistics import MIN_FOR_SPREAD, describe_best_rate, describe_mean

DRAWN = ["accuracy", "pulses", "refreshes", "dropped"]  # accuracy in %, and costs
CLOSE = 0.5  # points of accuracy within which a learning rate is about as good as the best


def summarise_costs(networks: pd.DataFrame, field: str) -> pd.DataFrame:
    """Mean, standard deviation and number of networks of what is drawn, by learning rate.

    networks: see `draw_costs`; those without a ledger are left out.
    """
    rows = networks[networks["field"] == field].dropna(subset=["pulses"])
    grouped = rows.groupby("lr")[DRAWN]
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
    figure, (reached, refreshed) = plt.subplots(1, 2, figsize=(style.PAGE, 2.9))
    order = fields_in(networks)
    markers = style.markers(order)
    for field, colour in style.colours(order).items():
        points, look = summarise_costs(networks, field), (colour, markers[field])
        for axes, quantity in ((reached, "accuracy"), (refreshed, "refreshes")):
            draw_points(axes, points, quantity, look, style.name(field))
            # Refreshes grow with the learning rate: the first and the last tell the others.
            ends = points if axes is reached else points.iloc[[0, -1]]
            name_rates(axes, ends, quantity, colour)
    for axes in (reached, refreshed):
        axes.set_xscale("log")
        use_plain_ticks(axes.xaxis)
        axes.set_xlabel("pulses per device in the whole training")
    reached.set_ylabel("test accuracy (%)")
    refreshed.set_ylabel("refreshes per pair")
    if (networks["refreshes"] > 0).all():
        refreshed.set_yscale("log")
        use_plain_ticks(refreshed.yaxis)
    else:  # as of ideal devices
        refreshed.set_ylim(0)
    reached.legend(loc="best", title=describe_mean(networks))
    style.letter((reached, refreshed))
    figure.suptitle(f"{style.physics(networks)}; numbers are learning rates")
    return figure


def use_plain_ticks(axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of 10, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def draw_points(axes, points: pd.DataFrame, quantity: str, look: tuple, label: str) -> None:
    """Means over networks, connected by learning rate, with standard deviations from three on.

    look: colour and marker.
    """
    x, y = points["pulses"], points[quantity]
    x_error, y_error = (p["std"].where(p["size"] >= MIN_FOR_SPREAD).fillna(0) for p in (x, y))
    colour, marker = look
    axes.errorbar(
        x["mean"],
        y["mean"],
        xerr=x_error,
        yerr=y_error,
        color=colour,
        marker=marker,
        lw=0.8,
        elinewidth=0.8,
        label=label,
    )


def name_rates(axes, points: pd.DataFrame, quantity: str, colour: str) -> None:
    """Write the learning rate beside each point."""
    for rate, row in points.iterrows():
        axes.annotate(
            f"{rate:g}",
            (row["pulses", "mean"], row[quantity, "mean"]),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=6,
            color=colour,
        )


def conclusion(networks: pd.DataFrame) -> str:
    """How many pulses per device each field needs for its best accuracy; nothing if not counted."""
    networks, parts = networks.dropna(subset=["pulses"]), []
    for field in fields_in(networks):
        points, alike = summarise_costs(networks, field), networks[networks["field"] == field]
        accuracy, pulses = points["accuracy"]["mean"], points["pulses"]["mean"]
        best = accuracy.idxmax()
        cheapest = pulses[accuracy >= accuracy.max() - CLOSE].idxmin()
        part = (
            f"{style.name(field)} takes {pulses[best]:.3g} pulses per device for its best "
            f"{accuracy[best]:.2f} % (learning rate {describe_best_rate(alike)})"
        )
        if cheapest != best:
            part += (
                f", and {pulses[cheapest]:.3g} for {accuracy[cheapest]:.2f} %, within {CLOSE:g} "
                f"points of it (learning rate {cheapest:g})"
            )
        parts.append(part)
    if not parts:
        return ""
    return f"Costs ({describe_mean(networks)}): {'; '.join(parts)}."
