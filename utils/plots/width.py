"""Whether the answer holds for other networks: accuracy over size and number of hidden layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from utils.plots import style
from utils.plots.driving import PAPERS, Rule, rule_name
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
from utils.settings import Setting
from utils.studies import DEPTH_RULES, DEPTHS, REFERENCES, STUDIES, WIDTHS

FIELDS = LINEAR, EXPONENTIAL, IDEAL = tuple(device.name for device in REFERENCES)
Layers = tuple[int, ...]
VARIED = ("layers", "init", "rounding", "accumulate")
RULES: list[Rule] = [(rule["rounding"], rule["accumulate"]) for rule in DEPTH_RULES]
INIT = Setting.init  # half-width of the fresh weights unless others are given


def select(networks: pd.DataFrame) -> pd.DataFrame:
    """The largest set of the study's networks, at any learning rate; maybe none.

    networks: healthy ones. Learning rates of one size alone are those of figure 1.
    """
    rates = {"lr": networks["lr"].unique()} if len(networks) else {}
    rows = networks[in_study(networks, STUDIES["width"], rates, but=VARIED)]
    rows = comparable(rows, vary=varied_by_figures(*VARIED))
    return rows[rows.groupby("lr")["layers"].transform("nunique") > 1] if len(rows) else rows


def alike(
    networks: pd.DataFrame, field: str, layers: Layers, init: float = INIT, rule: Rule = PAPERS
) -> pd.DataFrame:
    """The networks of a variant, at any learning rate. The ideal network needs no rule."""
    rows = networks[
        (networks["field"] == field) & (networks["layers"] == layers) & (networks["init"] == init)
    ]
    if field == IDEAL:
        return rows
    return rows[(rows["rounding"] == rule[0]) & (rows["accumulate"] == rule[1])]


def summarise(variants: Iterable[pd.DataFrame], place: Callable[[Layers], int]) -> pd.DataFrame:
    """Mean and standard deviation of accuracy, each at its best rate, by `place` of the layers."""
    rows = pd.concat(map(at_best_rate, variants))
    return summary(rows.assign(place=rows["layers"].map(place)), by="place")


def variants_of(networks: pd.DataFrame) -> list[tuple[Layers, float, Rule]]:
    """The layers, fresh weights and rules that some network has, as the study orders them."""
    order = [*WIDTHS, *DEPTHS[1:]]
    found = networks[list(VARIED)].drop_duplicates().itertuples(index=False)
    variants = [(row.layers, row.init, (row.rounding, row.accumulate)) for row in found]
    return sorted(
        variants, key=lambda variant: (order.index(variant[0]), variant[1], RULES.index(variant[2]))
    )


def table(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each field and network: its best learning rate, and its distance from ideal."""
    rows = []
    for layers, init, rule in variants_of(networks):
        ideal = at_best_rate(alike(networks, IDEAL, layers, init))
        for field in FIELDS if rule == PAPERS else FIELDS[:2]:
            rows_alike = alike(networks, field, layers, init, rule)
            chosen = at_best_rate(rows_alike)
            if chosen.empty:
                continue
            accuracy = chosen["accuracy"]
            points = difference(chosen, ideal) if field != IDEAL else None
            rows.append(
                {
                    "layers": " ".join(map(str, layers)),
                    "init": init,
                    "rule": "" if field == IDEAL else rule_name(rule),
                    "field": style.name(field),
                    "best lr": describe_best_rate(rows_alike),
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
    """a: over the size of one hidden layer; then for each rule over the number of layers."""
    if networks.empty:
        return None
    rules = [rule for rule in RULES if any(rule == each[2] for each in variants_of(networks))]
    n_rows = 1 + (len(rules) > 1)
    figure, grid = plt.subplots(
        n_rows, 2, figsize=(style.PAGE, 2.4 * n_rows + 0.4), sharey=True, squeeze=False
    )
    width, *depths = grid.flat
    drawn = draw_sizes(width, networks)
    for axes, rule in zip(depths, rules, strict=False):
        drawn += draw_depths(axes, networks, rule)
        if len(rules) > 1:
            axes.set_title(rule_name(rule), loc="center")
    for axes in depths[len(rules) :]:
        axes.remove()
    leave_out_outliers(drawn, max_share=0.7)  # curves of three points keep one
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy (%)")
    style.letter((width, *depths[: len(rules)]))
    counts = [int(size) for _, points, _ in drawn for size in points["size"]]
    shown = "mean ± std" if max(counts) >= MIN_FOR_SPREAD else "mean"
    one = networks.iloc[0]
    title = f"{one['task']}, {one['epochs']} epochs, each at its best learning rate; {shown}, "
    title += describe_count(counts)
    if networks["init"].nunique() > 1:
        title += "; pale to full: fresh weights " + ", ".join(
            f"{init:g}" for init in sorted(networks["init"].unique())
        )
    with_curves = width if width.get_lines() else depths[0]
    handles, labels = with_curves.get_legend_handles_labels()
    legend_above(figure, handles, labels, title, 3)
    return figure


def draw_sizes(axes: Axes, networks: pd.DataFrame) -> list[tuple]:
    """Accuracy over the size of one hidden layer; returns what `leave_out_outliers` needs."""
    drawn = []
    for field in FIELDS:
        variants = [alike(networks, field, layers) for layers in WIDTHS]
        points, colour = summarise(variants, lambda layers: layers[0]), style.colour(field)
        draw_means(axes, points, colour, style.name(field), style.marker(field))
        drawn.append((axes, points, colour))
    sizes = [layers[0] for layers in WIDTHS]
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("neurons of one hidden layer")
    return drawn


def draw_depths(axes: Axes, networks: pd.DataFrame, rule: Rule) -> list[tuple]:
    """Accuracy over the number of hidden layers; returns what `leave_out_outliers` needs.

    Fresh weights are told apart by shades, from pale to full. Only the fullest is in a legend.
    """
    drawn, inits = [], sorted(networks["init"].unique())
    for field in FIELDS:
        for position, init in enumerate(inits):
            variants = [alike(networks, field, layers, init, rule) for layers in DEPTHS]
            points = summarise(variants, len)
            colour = style.shade(style.colour(field), position, len(inits))
            name = style.name(field) if init == inits[-1] else "_"
            draw_means(axes, points, colour, name, style.marker(field))
            drawn.append((axes, points, colour))
    axes.set_xticks([len(layers) for layers in DEPTHS])
    axes.set_xlabel(f"hidden layers of {DEPTHS[0][0]} neurons")
    return drawn


def conclusions(networks: pd.DataFrame) -> list[str]:
    """Whether linear is better for all sizes; what deep networks need, and what they reach."""
    if networks.empty:
        return []
    return [by_size(networks), *by_depth(networks, (LINEAR, EXPONENTIAL))]


def by_size(networks: pd.DataFrame) -> str:
    """Where linear minus exponential is least and most, over all layers that are there."""
    found: dict[Layers, Difference] = {}
    for layers in [*WIDTHS, *DEPTHS[1:]]:
        linear, exponential = (
            at_best_rate(alike(networks, field, layers)) for field in (LINEAR, EXPONENTIAL)
        )
        points = difference(linear, exponential)
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


def by_depth(networks: pd.DataFrame, fields: Sequence[str]) -> list[str]:
    """For each field the best network of several layers, and its distance from one layer."""
    lines = []
    for field in fields:
        deep = {
            variant: chosen
            for variant in variants_of(networks)
            if len(variant[0]) > 1 and len(chosen := at_best_rate(alike(networks, field, *variant)))
        }
        if not deep or networks["init"].nunique() < 2:
            continue
        layers, init, rule = best = max(deep, key=lambda variant: deep[variant]["accuracy"].mean())
        one = at_best_rate(alike(networks, field, DEPTHS[0]))
        points = difference(deep[best], one)
        beside = f", {points} over one layer with --init {INIT:g}" if points else ""
        lines.append(
            f"Depth, {style.name(field)}: best with {' + '.join(map(str, layers))} hidden neurons, "
            f"--init {init:g} and the rule '{rule_name(rule)}': "
            f"{deep[best]['accuracy'].mean():.2f} %{beside}."
        )
    return lines
