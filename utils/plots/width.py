"""Whether the answer holds for other networks: accuracy over size and number of hidden layers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.driving import PAPERS_RULE, RULE_NAMES, with_rules
from utils.plots.networks import Networks
from utils.plots.selection import VARIED, comparable, grouped, have, in_study, varied_by_figures
from utils.settings import Setting
from utils.studies import DEPTH_RULES, DEPTHS, REFERENCES, STUDIES, WIDTHS

FIELDS = LINEAR, EXPONENTIAL, IDEAL = tuple(device.name for device in REFERENCES)
RULES = [RULE_NAMES[rule["rounding"], rule["accumulate"]] for rule in DEPTH_RULES]
USUAL = Setting.init, PAPERS_RULE  # half-width of the fresh weights, and the rule
Variant = tuple[tuple[int, ...], float, str, str]  # layers, fresh weights, rule, field


def select(networks: Networks) -> pd.DataFrame:
    """The largest set of the study's networks, at any learning rate; maybe none.

    Learning rates of one size alone are those of figure 1.
    """
    rows = networks.unswitched
    rows = rows[in_study(rows, STUDIES["width"], any_rate=True)]
    rows = comparable(rows, vary=varied_by_figures(*VARIED["width"]))
    return rows[rows.groupby("lr")["layers"].transform("nunique") > 1] if len(rows) else rows


def by_variant(networks: pd.DataFrame) -> dict[Variant, pd.DataFrame]:
    """The networks of each variant, at any learning rate, in the study's order.

    The ideal network needs no rule: it has the paper's.
    """
    layers, inits = (*WIDTHS, *DEPTHS[1:]), sorted(networks["init"].unique())
    orders = {"layers": layers, "init": inits, "rule": RULES, "field": FIELDS}
    return grouped(with_rules(networks), orders)


def table(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each field and network: its best learning rate, and its distance from ideal."""
    variants, rows = by_variant(networks), []
    for (layers, init, rule, field), rates in variants.items():
        is_ideal = field == IDEAL
        ideal = None if is_ideal else variants.get((layers, init, PAPERS_RULE, IDEAL))
        row = {"layers": " ".join(map(str, layers)), "init": init, "rule": "" if is_ideal else rule}
        row["field"] = style.name(field)
        rows.append(row | stats.best_columns(rates, "to ideal", ideal))
    return pd.DataFrame(rows).round(2)


def draw_width(networks: pd.DataFrame) -> Figure:
    """a: over the size of one hidden layer; then for each rule over the number of layers."""
    chosen = pd.concat(map(stats.at_best_rate, by_variant(networks).values()))
    rules, inits = [rule for rule in RULES if rule in set(chosen["rule"])], chosen["init"].unique()
    n_rows = 1 + (len(rules) > 1)
    figure, grid = panels.grid(n_rows, 2, (style.PAGE, 2.4 * n_rows + 0.4), sharey=True)
    width, *depths = grid.flat
    sizes = {layers: layers[0] for layers in WIDTHS}
    drawn = draw_curves(width, chosen[chosen["init"] == Setting.init], sizes, PAPERS_RULE)
    width.set(xscale="log", xlabel="neurons of one hidden layer")
    width.set_xticks([*sizes.values()], map(str, sizes.values()))
    width.xaxis.set_minor_locator(NullLocator())
    label = f"hidden layers of {DEPTHS[0][0]} neurons"
    for axes, rule in zip(depths, rules, strict=False):
        numbers = {layers: len(layers) for layers in DEPTHS}
        drawn += draw_curves(axes, chosen, numbers, rule)
        title = rule if len(rules) > 1 else ""
        axes.set(xticks=[*numbers.values()], xlabel=label, title=title)
    for axes in depths[len(rules) :]:
        axes.remove()
    panels.leave_out_outliers(drawn, max_share=0.7)  # curves of three points keep one
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy (%)")
    counts = [int(size) for _, points, _ in drawn for size in points["size"]]
    shown = "mean ± std" if max(counts) >= stats.MIN_FOR_SPREAD else "mean"
    first = networks.iloc[0]
    title = f"{first['task']}, {first['epochs']} epochs, each at its best learning rate; {shown}, "
    title += stats.describe_count(counts)
    if len(inits) > 1:
        title += f"; pale to full: fresh weights {', '.join(f'{init:g}' for init in sorted(inits))}"
    with_curves = width if width.get_lines() else depths[0]
    panels.legend_above(figure, with_curves.get_legend_handles_labels()[0], title)
    return figure


def draw_curves(
    axes: Axes, chosen: pd.DataFrame, places: Mapping[tuple[int, ...], int], rule: str
) -> list[panels.Curve]:
    """Accuracy over layers, which have a place on the axis each.

    chosen: networks at their best learning rates. Fresh weights are told apart by shades, from pale
    to full. Only the fullest is in a legend.
    """
    drawn, chosen = [], chosen.assign(place=chosen["layers"].map(places.get))
    inits = sorted(chosen["init"].unique())
    for (field, look), init in product(style.looks(FIELDS).items(), inits):
        kind = field, init, PAPERS_RULE if field == IDEAL else rule
        points = stats.summary(chosen[have(chosen, ["field", "init", "rule"], kind)], by="place")
        shown: dict[str, Any] = {
            "color": style.shade(look["color"], inits.index(init), len(inits)),
            "label": look["label"] if init == inits[-1] else "_",
        }
        drawn.append(panels.draw_means(axes, points, **look | shown))
    return drawn


def conclusion(networks: pd.DataFrame) -> str:
    """Whether linear is better for all sizes; what deep networks need, and what they reach."""
    return "\n".join([by_size(networks), *by_depth(networks)])


def by_size(networks: pd.DataFrame) -> str:
    """Where linear minus exponential is least and most, over all layers that are there."""
    best = {variant: stats.at_best_rate(rows) for variant, rows in by_variant(networks).items()}
    pairs = {
        layers: ((layers, *USUAL, LINEAR), (layers, *USUAL, EXPONENTIAL)) for layers, *_ in best
    }
    found = stats.compare(best, pairs)
    if not found:
        return "Width: no linear and exponential networks of equal layers yet."
    ends = [f"{points} with {in_words(layers)}" for layers, points in stats.ends_of(found).items()]
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


def by_depth(networks: pd.DataFrame) -> list[str]:
    """For each field the best network of several layers, and its distance from one layer."""
    lines, variants = [], by_variant(networks)
    for field in (LINEAR, EXPONENTIAL) if networks["init"].nunique() > 1 else ():
        deep = {
            variant: stats.at_best_rate(rates)
            for variant, rates in variants.items()
            if variant[-1] == field and len(variant[0]) > 1
        }
        if not deep:
            continue
        best = max(deep, key=lambda variant: deep[variant]["accuracy"].mean())
        layers, init, rule, _ = best
        points = stats.best_difference(deep[best], variants.get((DEPTHS[0], *USUAL, field)))
        beside = f", {points} over one layer with --init {Setting.init:g}" if points else ""
        lines.append(
            f"Depth, {style.name(field)}: best with {in_words(layers)}, --init {init:g} and "
            f"the rule '{rule}': {deep[best]['accuracy'].mean():.2f} %{beside}."
        )
    return lines


def in_words(layers: tuple[int, ...]) -> str:
    return f"{' + '.join(map(str, layers))} hidden neurons"
