"""Accuracy against learning rate: figures 1, 2 and 3, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from utils.errors import UserError
from utils.plots import style
from utils.plots.statistics import FEWEST, Estimate, difference
from utils.records.simulations import series_of
from utils.studies import FIELDS, STUDIES, Study

FIELD_NAMES = tuple(device.name for device in FIELDS)
CLOSE = 1.0  # points of accuracy within which a learning rate is as good as the best


@dataclass(frozen=True)
class ByRate:
    """Accuracy against learning rate in a study of both fields, a panel for each clipping."""

    number: int
    study: Study

    @property
    def clippings(self) -> tuple[float, ...]:
        return tuple(dict.fromkeys(setting.clipping for setting in self.study.settings()))

    @property
    def stem(self) -> str:
        return f"{self.study.name}-accuracy-against-learning-rate"

    @property
    def command(self) -> str:
        return self.study.command

    def select(self, networks: pd.DataFrame) -> pd.DataFrame:
        """The networks that belong into this figure; failed ones do not."""
        return self.simulated(networks[~networks["failed"]])

    def simulated(self, networks: pd.DataFrame) -> pd.DataFrame:
        """The networks of this figure's settings, of those of one series."""
        try:
            wanted = self.study.settings(series_of(networks))
        except UserError:  # see `missing`
            wanted = ()
        return networks[networks["setting"].isin(wanted)]

    def missing(self, networks: pd.DataFrame, flags: str = "") -> str | None:
        """How many of its settings are not there, and the command that makes them; None if all are.

        flags: those that make simulations of the series at hand.
        """
        try:
            wanted = set(self.study.settings(series_of(networks)))
        except UserError as error:  # as of device noise where the figure has no read noise
            return f"Figure {self.number} has no simulations of this kind: {error}"
        absent = wanted - set(networks["setting"])
        if not absent:
            return None
        return (
            f"Figure {self.number} lacks {len(absent)} of its {len(wanted)} settings; "
            f"make them with: {self.command} --resume{flags}"
        )


BY_RATE = {number: ByRate(number, STUDIES[f"figure{number}"]) for number in (1, 2, 3)}


def curve(networks: pd.DataFrame, field: str, clipping: float, value="accuracy") -> pd.DataFrame:
    """Mean and standard deviation of `value` (%) over networks, by learning rate."""
    chosen = networks[(networks["field"] == field) & (networks["clipping"] == clipping)]
    return chosen.groupby("lr")[value].agg(["mean", "std", "size"]).sort_index()


def draw_accuracy(one: ByRate, networks: pd.DataFrame) -> Figure | None:
    """Linear, exponential, and linear after field relaxation; None if there is no network."""
    chosen = one.select(networks)
    clippings = [c for c in one.clippings if (chosen["clipping"] == c).any()]
    if not clippings:
        return None
    width = style.COLUMN if len(clippings) == 1 else style.PAGE
    figure, panels = plt.subplots(
        1, len(clippings), figsize=(width, 2.7), sharex=True, sharey=True, squeeze=False
    )
    drawn = []
    for axes, clipping in zip(panels[0], clippings, strict=True):
        for field in FIELD_NAMES:
            points = curve(chosen, field, clipping)
            draw_curve(axes, points, field, style.name(field), "-")
            drawn.append((axes, points, style.colour(field)))
        relaxed = curve(chosen, FIELD_NAMES[0], clipping, "relaxed")
        label = f"{style.name(FIELD_NAMES[0])}, after field relaxation"
        draw_curve(axes, relaxed, FIELD_NAMES[0], label, "--")
        drawn.append((axes, relaxed, style.colour(FIELD_NAMES[0])))
        axes.set_xlabel("learning rate (pulses per unit gradient)")
        if len(one.clippings) > 1:
            axes.set_title(style.label("clipping", clipping))
    leave_out_far(drawn)
    style.letter(panels[0])
    panels[0][0].set_ylabel("test accuracy (%)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    columns = 1 if width == style.COLUMN else len(labels)
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=columns,
        title=counted(chosen),
        title_fontsize=7,
        handlelength=2.8,
    )
    return figure


def lowest_near(means: pd.Series) -> float:
    """The lowest of the points that are near each other: below it is a gap, wider than they are.

    At least half of the points are.
    """
    falling = sorted(means.dropna(), reverse=True)
    for k in range((len(falling) + 1) // 2, len(falling)):
        if falling[k - 1] - falling[k] > falling[0] - falling[k - 1]:
            return falling[k - 1]
    return falling[-1]


def leave_out_far(drawn: list[tuple]) -> None:
    """Scale the common axis by what lies close, and say at its lower end what lies far below.

    drawn: axes, points (see `curve`) and colour of each curve.
    """
    means = pd.concat([points["mean"] for _, points, _ in drawn])
    edge = lowest_near(means)
    if not (means < edge).any():
        return
    near = pd.concat(
        [
            points["mean"] - points["std"].where(points["size"] >= FEWEST).fillna(0)
            for _, points, _ in drawn
        ]
    )[(means >= edge).to_numpy()]
    low, high = near.min(), means.max()
    room = 0.06 * (high - low)
    drawn[0][0].set_ylim(low - 2 * room, high + room)
    below = [
        (axes, rate, mean, colour)
        for axes, points, colour in drawn
        for rate, mean in points["mean"][points["mean"] < edge].items()
    ]
    for number, (axes, rate, mean, colour) in enumerate(below):
        above = sum(a is axes and r == rate for a, r, _, _ in below[:number])
        axes.annotate(
            f"↓ {mean:.0f}",
            (rate, 0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 2 + 8 * above),
            textcoords="offset points",
            color=colour,
            fontsize=style.SMALL,
        )


def draw_curve(
    axes,
    points: pd.DataFrame,
    field: str,
    label: str,
    dashes: str,
    look: tuple[str, str] | None = None,
) -> None:
    """Means with a band of one standard deviation to each side, none for less than 3 networks.

    look: colour and marker, if they are not those of the field drawn alone.
    """
    if points.empty:
        return
    colour, marker = look or (style.colour(field), style.markers([field])[field])
    std = points["std"].where(points["size"] >= FEWEST)
    face = colour if dashes == "-" else "white"
    axes.plot(
        points.index, points["mean"], dashes, marker=marker, color=colour, mfc=face, label=label
    )
    axes.fill_between(
        points.index, points["mean"] - std, points["mean"] + std, color=colour, alpha=0.2, lw=0
    )


def counted(networks: pd.DataFrame) -> str:
    """How many networks there are for each point, and so what is drawn of them."""
    counts = networks.groupby("setting", sort=False).size()
    low, high = counts.min(), counts.max()
    if high == 1:
        return "one network a point"
    n = f"n = {high}" if low == high else f"n = {low} to {high}"
    return f"mean, {n}" if high < FEWEST else f"mean ± std, {n}"


def takeaway(one: ByRate, networks: pd.DataFrame) -> str:
    """The answer of a figure in one sentence, computed from its curves; a line for each panel."""
    chosen = one.select(networks)
    parts = []
    for clipping in one.clippings:
        curves = {field: curve(chosen, field, clipping) for field in FIELD_NAMES}
        told = [tell(field, points) for field, points in curves.items() if not points.empty]
        told += compared(chosen[chosen["clipping"] == clipping])
        if told:
            panel = f"\n  smallest pulse {clipping:g}: " if len(one.clippings) > 1 else " "
            parts.append(panel + "; ".join(told) + ".")
    if not parts:
        return f"Figure {one.number}: no simulations yet."
    return f"Figure {one.number} ({counted(chosen)}):{''.join(parts)}"


def compared(networks: pd.DataFrame) -> list[str]:
    """Linear minus exponential, pairwise over seeds: at equal learning rates, and at the best."""
    by_rate = {
        field: dict(list(networks[networks["field"] == field].groupby("lr")))
        for field in FIELD_NAMES
    }
    first, second = by_rate.values()
    found = {rate: difference(first[rate], second[rate]) for rate in first if rate in second}
    found = {rate: one for rate, one in found.items() if one is not None}
    if not found:
        return []
    order = sorted(found, key=lambda rate: found[rate].mean)
    least, most = order[0], order[-1]
    told = f"linear minus exponential, over equal seeds: {said(found[least])} at {least:g}"
    if most != least:
        told += f", {said(found[most])} at {most:g}"
    best = [max(rates, key=lambda r: rates[r]["accuracy"].mean()) for rates in (first, second)]
    both = difference(first[best[0]], second[best[1]])
    return [told, f"each at its best: {said(both)}"] if both else [told]


def said(one: Estimate) -> str:
    """A difference in points with its interval, the rest in words."""
    mean, _, rest = str(one).partition(" ")
    return f"{mean} points {rest}"


def tell(field: str, points: pd.DataFrame) -> str:
    """How good a field gets, and at which learning rates it stays close to that."""
    best = points["mean"].idxmax()
    std = points["std"][best]
    spread = "" if pd.isna(std) else f" ± {std:.2f}"
    close = points["mean"] >= points["mean"].max() - CLOSE
    rates = list(points.index[close])
    if len(rates) > 1 and close[rates[0] : rates[-1]].all():
        where = f"{rates[0]:g} to {rates[-1]:g}"
    else:
        where = ", ".join(f"{rate:g}" for rate in rates) + " alone"
    return (
        f"{style.name(field)} reaches {points['mean'][best]:.2f}{spread} % at learning rate "
        f"{best:g} and stays within {CLOSE:g} point of it for {where}"
    )
