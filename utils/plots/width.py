"""Whether the answer holds for other networks: accuracy over size and number of hidden layers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from utils.plots import style
from utils.plots.accuracy import draw_curve, leave_out_far, said
from utils.plots.statistics import FEWEST, Estimate, difference, span
from utils.records.simulations import series_columns
from utils.studies import DEPTHS, REFERENCES, STUDIES, WIDTHS

LINEAR, EXPONENTIAL, IDEAL = (device.name for device in REFERENCES)
Layers = tuple[int, ...]


def select(networks: pd.DataFrame) -> pd.DataFrame:
    """The healthy networks of the study, of the largest series but for the layers; maybe none."""
    networks = networks[networks["layers"].isin([*WIDTHS, *DEPTHS]) & ~networks["failed"]]
    largest, names = networks.iloc[:0], [name for name in series_columns() if name != "layers"]
    for values, rows in networks.groupby([*names, "distribution_version"]):
        given = {**dict(zip(names, values[:-1], strict=True)), "lr": rows["lr"].unique()}
        mine = rows[rows["setting"].isin(set(STUDIES["width"].settings(given)))]
        # Learning rates of one size alone are those of figure 1.
        mine = mine[mine.groupby("lr")["layers"].transform("nunique") > 1]
        if len(mine) > len(largest):
            largest = mine
    return largest


def best(networks: pd.DataFrame, field: str, layers: Layers) -> pd.DataFrame:
    """The networks of a field and of such layers at their best learning rate; maybe none."""
    mine = networks[(networks["field"] == field) & (networks["layers"] == layers)]
    if mine.empty:
        return mine
    return mine[mine["lr"] == mine.groupby("lr")["accuracy"].mean().idxmax()]


def curve(networks: pd.DataFrame, field: str, axis: Sequence[Layers], at) -> pd.DataFrame:
    """Mean and standard deviation of accuracy, each at its best rate, by `at` of the layers."""
    found = {at(layers): best(networks, field, layers)["accuracy"] for layers in axis}
    rows = {
        place: (values.mean(), values.std(), len(values))
        for place, values in found.items()
        if len(values)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "std", "size"])


def table(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each field and network: its best learning rate, and what it is below ideal."""
    rows = []
    for layers in (*WIDTHS, *DEPTHS[1:]):
        ideal = best(networks, IDEAL, layers)
        for field in (LINEAR, EXPONENTIAL, IDEAL):
            mine = best(networks, field, layers)
            if mine.empty:
                continue
            accuracy, below = mine["accuracy"], difference(mine, ideal)
            values = (
                (below.mean, below.low, below.high) if below and field != IDEAL else (None,) * 3
            )
            rows.append(
                (
                    " ".join(map(str, layers)),
                    style.name(field),
                    mine["lr"].iloc[0],
                    len(mine),
                    accuracy.mean(),
                    accuracy.std(),
                    *values,
                )
            )
    columns = ["layers", "field", "best lr", "n", "mean", "std", "to ideal", "low", "high"]
    return pd.DataFrame(rows, columns=columns).round(2)


def draw_width(networks: pd.DataFrame) -> Figure | None:
    """a: over the size of one hidden layer; b: over the number of layers of 256."""
    if networks.empty:
        return None
    figure, (width, depth) = plt.subplots(1, 2, figsize=(style.PAGE, 2.8), sharey=True)
    drawn = []
    for field in (LINEAR, EXPONENTIAL, IDEAL):
        for axes, axis, at in ((width, WIDTHS, lambda one: one[0]), (depth, DEPTHS, len)):
            points = curve(networks, field, axis, at)
            draw_curve(axes, points, field, style.name(field), "-")
            drawn.append((axes, points, style.colour(field)))
    leave_out_far(drawn)
    sizes = [layers[0] for layers in WIDTHS]
    width.set_xscale("log")
    width.set_xticks(sizes, [str(size) for size in sizes])
    width.xaxis.set_minor_locator(NullLocator())
    width.set_xlabel("neurons of one hidden layer")
    width.set_ylabel("test accuracy (%)")
    depth.set_xticks([len(layers) for layers in DEPTHS])
    depth.set_xlabel(f"hidden layers of {DEPTHS[0][0]} neurons")
    style.letter((width, depth))
    counts = [
        len(best(networks, field, layers))
        for field in (LINEAR, EXPONENTIAL, IDEAL)
        for layers in (*WIDTHS, *DEPTHS)
    ]
    counts = [count for count in counts if count]
    kind = "mean ± std" if max(counts) >= FEWEST else "mean"
    handles, labels = width.get_legend_handles_labels()
    if not handles:
        handles, labels = depth.get_legend_handles_labels()
    title = f"{networks['task'].iloc[0]}, each at its best learning rate; {kind}, {span(counts)}"
    figure.legend(
        handles, labels, title=title, title_fontsize=7, loc="outside upper center", ncols=3
    )
    return figure


def takeaway(networks: pd.DataFrame) -> str:
    """Where linear minus exponential is least and most, over all networks that are there."""
    found: dict[Layers, Estimate] = {}
    for layers in (*WIDTHS, *DEPTHS[1:]):
        one = difference(best(networks, LINEAR, layers), best(networks, EXPONENTIAL, layers))
        if one is not None:
            found[layers] = one
    if not found:
        return "Width: no linear and exponential networks of equal layers yet."
    order = sorted(found, key=lambda layers: found[layers].mean)
    told = [
        f"{said(found[each])} with {named(each)}" for each in dict.fromkeys(order[:1] + order[-1:])
    ]
    if all(one.low > 0 for one in found.values()):
        verdict = f"linear is better in all {len(found)}"
    elif all(one.high < 0 for one in found.values()):
        verdict = f"exponential is better in all {len(found)}"
    else:
        clear = sum(one.is_clear for one in found.values())
        verdict = f"which is better is clear in {clear} of {len(found)}"
    return (
        "Width: linear minus exponential, each at its best learning rate, over equal seeds: "
        f"{', '.join(told)}; {verdict} networks."
    )


def named(layers: Layers) -> str:
    return " + ".join(map(str, layers)) + " hidden neurons"
