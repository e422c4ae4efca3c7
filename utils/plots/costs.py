"""What learning costs against what it reaches."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.plots import statistics as stats
from utils.plots import style
from utils.plots.panels import note, use_log_scale
from utils.plots.selection import by_field

DRAWN = ["accuracy", "pulses", "refreshes"]  # accuracy in %, and costs
CLOSE = 0.5  # points of accuracy within which a learning rate is about as good as the best


def summarise_costs(networks: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard deviation and number of networks of what is drawn, by learning rate.

    networks: see `draw_costs`, of one field, with ledgers.
    """
    return networks.groupby("lr")[DRAWN].agg(["mean", "std", "size"]).sort_index()


def draw_costs(networks: pd.DataFrame) -> Figure | None:
    """Against pulses per device, a point a learning rate: a, accuracy; b, refreshes per pair.

    networks: rows of `Simulations.networks` with costs, healthy ones that differ in field and
    learning rate; None if none has a ledger.
    """
    networks = networks[networks["pulses"] > 0]
    if networks.empty:
        return None
    figure, (reached, refreshed) = plt.subplots(1, 2, figsize=(style.PAGE, 2.9))
    fields = by_field(networks)
    for field, look in style.looks(fields).items():
        points = summarise_costs(fields[field])
        # Refreshes grow with the learning rate: the first and the last tell the others.
        draw_points(reached, points, "accuracy", look, range(len(points)))
        draw_points(refreshed, points, "refreshes", look, (0, -1))
    for axes in (reached, refreshed):
        use_log_scale(axes.xaxis)
        axes.set_xlabel("pulses per device in the whole training")
    reached.set_ylabel("test accuracy (%)")
    refreshed.set_ylabel("refreshes per pair")
    if (networks["refreshes"] > 0).all():
        use_log_scale(refreshed.yaxis)
    else:  # as of ideal devices
        refreshed.set_ylim(0)
    reached.legend(loc="best", title=stats.describe_mean(networks))
    style.letter((reached, refreshed))
    figure.suptitle(f"{style.physics(networks)}; numbers are learning rates")
    return figure


def draw_points(
    axes, points: pd.DataFrame, quantity: str, look: dict[str, str], named: Iterable[int]
) -> None:
    """Means over networks, connected by learning rate, with standard deviations from three on.

    named: the places of the points beside which their learning rates are written.
    """
    x, y = points["pulses"], points[quantity]
    errors = (p["std"].where(p["size"] >= stats.MIN_FOR_SPREAD).fillna(0) for p in (y, x))
    axes.errorbar(x["mean"], y["mean"], *errors, lw=0.8, elinewidth=0.8, **look)
    for place in named:
        at = x["mean"].iloc[place], y["mean"].iloc[place]
        note(axes, f"{points.index[place]:g}", at, (3, 3), fontsize=6, color=look["color"])


def conclusion(networks: pd.DataFrame) -> str:
    """How many pulses per device each field needs for its best accuracy; nothing if not counted."""
    networks, parts = networks.dropna(subset=["pulses"]), []
    for field, rows in by_field(networks).items():
        points = summarise_costs(rows)
        accuracy, pulses = points["accuracy"]["mean"], points["pulses"]["mean"]
        best = accuracy.idxmax()
        cheapest = pulses[accuracy >= accuracy.max() - CLOSE].idxmin()
        part = (
            f"{style.name(field)} takes {pulses[best]:.3g} pulses per device for its best "
            f"{accuracy[best]:.2f} % (learning rate {stats.describe_best_rate(rows)})"
        )
        if cheapest != best:
            part += (
                f", and {pulses[cheapest]:.3g} for {accuracy[cheapest]:.2f} %, within {CLOSE:g} "
                f"points of it (learning rate {cheapest:g})"
            )
        parts.append(part)
    return f"Costs ({stats.describe_mean(networks)}): {'; '.join(parts)}." if parts else ""
