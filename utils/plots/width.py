"""Whether the answer holds for other networks: accuracy over size and number of hidden layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from utils.plots import panels, style
from utils.plots import statistics as stats
from utils.plots.driving import PAPERS, RULE_NAMES, Rule
from utils.plots.selection import VARIED, comparable, have, in_study, varied_by_figures
from utils.settings import Setting
from utils.studies import DEPTH_RULES, DEPTHS, REFERENCES, STUDIES, WIDTHS

FIELDS = LINEAR, EXPONENTIAL, IDEAL = tuple(device.name for device in REFERENCES)
LAYERS = (*WIDTHS, *DEPTHS[1:])
RULES: list[Rule] = [(rule["rounding"], rule["accumulate"]) for rule in DEPTH_RULES]
INIT = Setting.init  # half-width of the fresh weights unless others are given
Layers = tuple[int, ...]
Variant = tuple[Layers, float, Rule, str]  # layers, fresh weights, rule, field


def select(networks: pd.DataFrame) -> pd.DataFrame:
    """The largest set of the study's networks, at any learning rate; maybe none.

    networks: healthy ones. Learning rates of one size alone are those of figure 1.
    """
    rows = networks[in_study(networks, STUDIES["width"], any_rate=True)]
    rows = comparable(rows, vary=varied_by_figures(*VARIED["width"]))
    return rows[rows.groupby("lr")["layers"].transform("nunique") > 1] if len(rows) else rows


def by_variant(networks: pd.DataFrame) -> dict[Variant, pd.DataFrame]:
    """The networks of each variant, at any learning rate, in the study's order.

    The ideal network needs no rule: it has the paper's.
    """
    groups: dict[Any, pd.DataFrame] = dict(list(networks.groupby([*VARIED["width"], "field"])))
    variants = product(LAYERS, sorted(networks["init"].unique()), RULES, FIELDS)
    return {
        (layers, init, rule, field): groups[key]
        for layers, init, rule, field in variants
        if (key := (layers, init, *rule, field)) in groups
    }


def table(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each field and network: its best learning rate, and its distance from ideal."""
    variants, rows = by_variant(networks), []
    for (layers, init, rule, field), rates in variants.items():
        ideal = None if field == IDEAL else variants.get((layers, init, PAPERS, IDEAL))
        points = stats.best_difference(rates, ideal)
        what = {
            "layers": " ".join(map(str, layers)),
            "init": init,
            "rule": "" if field == IDEAL else RULE_NAMES[rule],
            "field": style.name(field),
        }
        rows.append(what | stats.best_columns(rates) | stats.difference_columns("to ideal", points))
    return pd.DataFrame(rows).round(2)


def draw_width(networks: pd.DataFrame) -> Figure:
    """a: over the size of one hidden layer; then for each rule over the number of layers."""
    variants, inits = by_variant(networks), sorted(networks["init"].unique())
    chosen = pd.concat(map(stats.at_best_rate, variants.values()))
    rules = [rule for rule in RULES if any(rule == each for _, _, each, _ in variants)]
    n_rows = 1 + (len(rules) > 1)
    figure, grid = panels.grid(n_rows, 2, (style.PAGE, 2.4 * n_rows + 0.4), sharey=True)
    width, *depths = grid.flat
    sizes = [size for (size,) in WIDTHS]
    drawn = draw_curves(width, chosen, dict(zip(WIDTHS, sizes, strict=True)), [INIT], PAPERS)
    width.set(xscale="log", xlabel="neurons of one hidden layer")
    width.set_xticks(sizes, [str(size) for size in sizes])
    width.xaxis.set_minor_locator(NullLocator())
    for axes, rule in zip(depths, rules, strict=False):
        drawn += draw_curves(axes, chosen, {each: len(each) for each in DEPTHS}, inits, rule)
        ticks, label = (
            [len(layers) for layers in DEPTHS],
            f"hidden layers of {DEPTHS[0][0]} neurons",
        )
        axes.set(xticks=ticks, xlabel=label, title=RULE_NAMES[rule] if len(rules) > 1 else "")
    for axes in depths[len(rules) :]:
        axes.remove()
    panels.leave_out_outliers(drawn, max_share=0.7)  # curves of three points keep one
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy (%)")
    counts = [int(size) for _, points, _ in drawn for size in points["size"]]
    shown = "mean ± std" if max(counts) >= stats.MIN_FOR_SPREAD else "mean"
    one = networks.iloc[0]
    title = f"{one['task']}, {one['epochs']} epochs, each at its best learning rate; {shown}, "
    title += stats.describe_count(counts)
    if len(inits) > 1:
        title += f"; pale to full: fresh weights {', '.join(f'{init:g}' for init in inits)}"
    with_curves = width if width.get_lines() else depths[0]
    panels.legend_above(figure, with_curves.get_legend_handles_labels()[0], title)
    return figure


def draw_curves(
    axes: Axes,
    chosen: pd.DataFrame,
    places: Mapping[Layers, int],
    inits: Sequence[float],
    rule: Rule,
) -> list[panels.Curve]:
    """Accuracy over layers, which have a place on the axis each.

    chosen: networks at their best learning rates. Fresh weights are told apart by shades, from pale
    to full. Only the fullest is in a legend.
    """
    drawn, chosen = [], chosen.assign(place=chosen["layers"].map(places.get))
    _, *columns = *VARIED["width"], "field"
    for field, look in style.looks(FIELDS).items():
        for position, init in enumerate(inits):
            variant = [init, *(PAPERS if field == IDEAL else rule), field]
            points = stats.summary(chosen[have(chosen, columns, variant)], by="place")
            shown: dict[str, Any] = {"color": style.shade(look["color"], position, len(inits))}
            shown |= {} if init == inits[-1] else {"label": "_"}
            drawn.append(panels.draw_means(axes, points, **look | shown))
    return drawn


def conclusions(networks: pd.DataFrame) -> list[str]:
    """Whether linear is better for all sizes; what deep networks need, and what they reach."""
    return [by_size(networks), *by_depth(networks)]


def by_size(networks: pd.DataFrame) -> str:
    """Where linear minus exponential is least and most, over all layers that are there."""
    variants, found = by_variant(networks), {}
    for (layers, init, rule, field), linear in variants.items():
        exponential = variants.get((layers, INIT, PAPERS, EXPONENTIAL))
        if (init, rule, field) == (INIT, PAPERS, LINEAR):
            found[layers] = stats.best_difference(linear, exponential)
    found = {layers: points for layers, points in found.items() if points}
    if not found:
        return "Width: no linear and exponential networks of equal layers yet."
    ends = [
        f"{points} with {describe_layers(layers)}"
        for layers, points in stats.ends_of(found).items()
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
        points = stats.best_difference(deep[best], variants.get((DEPTHS[0], INIT, PAPERS, field)))
        beside = f", {points} over one layer with --init {INIT:g}" if points else ""
        lines.append(
            f"Depth, {style.name(field)}: best with {describe_layers(layers)}, --init {init:g} and "
            f"the rule '{RULE_NAMES[rule]}': {deep[best]['accuracy'].mean():.2f} %{beside}."
        )
    return lines


def describe_layers(layers: Layers) -> str:
    return f"{' + '.join(map(str, layers))} hidden neurons"
