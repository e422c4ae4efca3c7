"""Whether the answer holds for other networks: accuracy over size and number of hidden layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from utils.plots import style
from utils.plots.panels import draw_means, leave_out_outliers, legend_above
from utils.plots.selection import comparable, in_study, varied_by_figures
from utils.plots.statistics import (
    MIN_FOR_SPREAD,
    Difference,
    at_best_rate,
    describe_best_rate,
    describe_count,
    difference,
    summary,
)
from utils.studies import DEPTHS, REFERENCES, STUDIES, WIDTHS

LINEAR, EXPONENTIAL, IDEAL = (device.name for device in REFERENCES)
Layers = tuple[int, ...]
LAYERS: list[Layers] = [*WIDTHS, *DEPTHS[1:]]


def select(networks: pd.DataFrame) -> pd.DataFrame:
    """The largest set of the study's networks, at any learning rate; maybe none.

    networks: healthy ones. Learning rates of one size alone are those of figure 1.
    """
    rates = {"lr": networks["lr"].unique()} if len(networks) else {}
    rows = networks[in_study(networks, STUDIES["width"], rates, but=("layers",))]
    rows = comparable(rows, vary=varied_by_figures("layers"))
    return rows[rows.groupby("lr")["layers"].transform("nunique") > 1] if len(rows) else rows


def best(networks: pd.DataFrame, field: str, layers: Layers) -> pd.DataFrame:
    """The networks of a field and of such layers at their best learning rate; maybe none."""
    return at_best_rate(networks[(networks["field"] == field) & (networks["layers"] == layers)])


def summarise(
    networks: pd.DataFrame, field: str, axis: Sequence[Layers], place: Callable[[Layers], int]
) -> pd.DataFrame:
    """Mean and standard deviation of accuracy, each at its best rate, by `place` of the layers."""
    rows = pd.concat([best(networks, field, layers) for layers in axis])
    return summary(rows.assign(place=rows["layers"].map(place)), by="place")


def table(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each field and network: its best learning rate, and its distance from ideal."""
    rows = []
    for layers in LAYERS:
        ideal = best(networks, IDEAL, layers)
        for field in (LINEAR, EXPONENTIAL, IDEAL):
            alike = networks[(networks["field"] == field) & (networks["layers"] == layers)]
            chosen = at_best_rate(alike)
            if chosen.empty:
                continue
            accuracy = chosen["accuracy"]
            points = difference(chosen, ideal) if field != IDEAL else None
            rows.append(
                {
                    "layers": " ".join(map(str, layers)),
                    "field": style.name(field),
                    "best lr": describe_best_rate(alike),
                    "n": len(chosen),
                    "mean": accuracy.mean(),
                    "std": accuracy.std(),
                    "to ideal": points and points.mean,
                    "low": points and points.low,
                    "high": points and points.high,
                }
            )
    return pd.DataFrame(rows).round(2)


def draw_width(networks: pd.DataFrame) -> Figure | None:
    """a: over the size of one hidden layer; b: over the number of layers of 256."""
    if networks.empty:
        return None
    figure, (width, depth) = plt.subplots(1, 2, figsize=(style.PAGE, 2.8), sharey=True)
    drawn = []
    for field in (LINEAR, EXPONENTIAL, IDEAL):
        colour, marker = style.colour(field), style.marker(field)
        for axes, axis, place in ((width, WIDTHS, lambda layers: layers[0]), (depth, DEPTHS, len)):
            points = summarise(networks, field, axis, place)
            draw_means(axes, points, colour, style.name(field), marker)
            drawn.append((axes, points, colour))
    leave_out_outliers(drawn)
    sizes = [layers[0] for layers in WIDTHS]
    width.set_xscale("log")
    width.set_xticks(sizes, [str(size) for size in sizes])
    width.xaxis.set_minor_locator(NullLocator())
    width.set_xlabel("neurons of one hidden layer")
    width.set_ylabel("test accuracy (%)")
    depth.set_xticks([len(layers) for layers in DEPTHS])
    depth.set_xlabel(f"hidden layers of {DEPTHS[0][0]} neurons")
    style.letter((width, depth))
    counts = [int(size) for _, points, _ in drawn for size in points["size"]]
    kind = "mean ± std" if max(counts) >= MIN_FOR_SPREAD else "mean"
    task = networks["task"].iloc[0]
    title = f"{task}, each at its best learning rate; {kind}, {describe_count(counts)}"
    with_curves = width if width.get_lines() else depth
    legend_above(figure, *with_curves.get_legend_handles_labels(), title, 3)
    return figure


def conclusion(networks: pd.DataFrame) -> str:
    """Where linear minus exponential is least and most, over all networks that are there."""
    found: dict[Layers, Difference] = {}
    for layers in LAYERS:
        points = difference(best(networks, LINEAR, layers), best(networks, EXPONENTIAL, layers))
        if points is not None:
            found[layers] = points
    if not found:
        return "Width: no linear and exponential networks of equal layers yet."
    order = sorted(found, key=lambda layers: found[layers].mean)
    ends = [
        f"{found[layers]} with {' + '.join(map(str, layers))} hidden neurons"
        for layers in dict.fromkeys((order[0], order[-1]))
    ]
    if all(points.low > 0 for points in found.values()):
        verdict = f"linear is better in all {len(found)}"
    elif all(points.high < 0 for points in found.values()):
        verdict = f"exponential is better in all {len(found)}"
    else:
        n_clear = sum(points.is_clear for points in found.values())
        verdict = f"which is better is clear in {n_clear} of {len(found)}"
    return (
        "Width: linear minus exponential, each at its best learning rate, over equal seeds: "
        f"{', '.join(ends)}; {verdict} networks."
    )
