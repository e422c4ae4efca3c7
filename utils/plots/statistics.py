"""Means over networks, and differences between settings over equal seeds with their intervals.

Networks of equal seed start from the same numbers and see the same noise, so their difference is
known better than either accuracy. Intervals are Student's t with n - 1 degrees of freedom. An
accuracy is a count of test images, so that no spread is taken to be less than that of rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd
from scipy.stats import t

CONFIDENCE = 0.95
MIN_FOR_SPREAD = 3  # networks, from which on a spread is drawn and an interval given
TEST_IMAGES = {"MNIST": 10_000, "Fashion": 10_000, "Digits": 297}
COARSE = 0.05  # points of one test image, from which on that is mentioned
SEED = ["model_seed", "original"]  # the original scripts draw other numbers from an equal seed


class Difference(NamedTuple):
    """The mean difference of n pairs of networks, in points of accuracy.

    error: standard error of the mean, NaN where n < 2. low, high: ends of the 95 % interval, NaN
    where n < 3.
    """

    mean: float
    error: float
    low: float
    high: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether 0 is outside of the interval."""
        return self.low > 0 or self.high < 0

    @property
    def plus_minus(self) -> str:
        """The mean with its standard error: `1.20 ± 0.14`."""
        return f"{self.mean:.2f}" + ("" if math.isnan(self.error) else f" ± {self.error:.2f}")

    def __str__(self) -> str:
        """The mean with its interval: `+1.20 points (95 %: +1.00 to +1.40)`."""
        if math.isnan(self.low):
            networks = f"{self.n} network{'s' * (self.n > 1)}"
            return f"{self.mean:+.2f} points (no interval from {networks})"
        return f"{self.mean:+.2f} points (95 %: {self.low:+.2f} to {self.high:+.2f})"


def mean_difference(values: pd.Series, step: float = 0.0) -> Difference | None:
    """Mean, standard error s / sqrt(n) and mean ± t s / sqrt(n); None without a number.

    step: points of one test image. The difference of two accuracies that are rounded to it has a
    standard deviation of step / sqrt(6) by rounding alone, and s is not taken to be less.
    """
    values = values.dropna()
    n = len(values)
    if n == 0:
        return None
    mean = float(values.mean())
    spread = max(float(values.std()), step / math.sqrt(6)) if n > 1 else math.nan
    error = spread / math.sqrt(n)
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error if n >= MIN_FOR_SPREAD else math.nan
    return Difference(mean, error, mean - half, mean + half, n)


def difference(first: pd.DataFrame, second: pd.DataFrame | None) -> Difference | None:
    """First minus second over the seeds that both have; None if there is none."""
    if second is None:
        return None
    by_seed = [networks.groupby(SEED)["accuracy"].mean() for networks in (first, second)]
    return mean_difference(by_seed[0] - by_seed[1], points_per_image(first))


def best_difference(first: pd.DataFrame, second: pd.DataFrame | None) -> Difference | None:
    """First minus second over equal seeds, each at its own best learning rate."""
    return second if second is None else difference(at_best_rate(first), at_best_rate(second))


def compare(
    kinds: Mapping[Any, pd.DataFrame], pairs: Mapping[Any, tuple[Any, Any]]
) -> dict[Any, Difference]:
    """First minus second of each pair of kinds of networks, of which both are there."""
    found = {
        key: difference(kinds[first], kinds.get(second))
        for key, (first, second) in pairs.items()
        if first in kinds
    }
    return {key: points for key, points in found.items() if points}


def differences(first: pd.DataFrame, second: pd.DataFrame, by: str) -> dict[Any, Difference]:
    """First minus second at each value of a column that both have, in increasing order."""
    groups: Any = first.groupby(by)
    found = {value: difference(rows, second[second[by] == value]) for value, rows in groups}
    return {value: points for value, points in found.items() if points}


def ends_of(found: Mapping[Any, Difference]) -> dict[Any, Difference]:
    """The least and the greatest difference, once if they are the same."""
    order = sorted(found, key=lambda key: found[key].mean)
    return {key: found[key] for key in order[:1] + order[-1:]}


def best_columns(
    rates: pd.DataFrame, distance: str, reference: pd.DataFrame | None
) -> dict[str, Any]:
    """Columns of a table on networks of one kind, at the best of their learning rates.

    distance: the column of their difference from the reference at its best; NaN without one.
    """
    accuracy, points = at_best_rate(rates)["accuracy"], best_difference(rates, reference)
    row = {"best lr": describe_best_rate(rates), "n": len(accuracy)}
    row |= {"mean": accuracy.mean(), "std": accuracy.std()}
    mean, _, low, high, _ = points or [math.nan] * 5
    return row | {distance: mean, "low": low, "high": high}


def points_per_image(networks: pd.DataFrame) -> float:
    """The accuracy of one test image, in points: 0.34 of Digits, 0.01 of MNIST."""
    tasks = networks["task"].unique()
    return 100 / TEST_IMAGES[tasks[0]] if len(tasks) else 0.0


def summary(networks: pd.DataFrame, by: str = "lr", value: str = "accuracy") -> pd.DataFrame:
    """Mean, standard deviation and number of networks of a value, a row for each value of `by`."""
    return networks.groupby(by)[value].agg(["mean", "std", "size"])


def best_rate(networks: pd.DataFrame) -> float:
    """The learning rate of highest mean accuracy."""
    best: Any = networks.groupby("lr")["accuracy"].mean().idxmax()
    return best


def edge_of(networks: pd.DataFrame) -> str:
    """Which of the learning rates tried is best: the lowest, highest, only one, or none of these.

    networks: of one field.
    """
    best, rates = best_rate(networks), networks["lr"]
    is_lowest, is_highest = best == rates.min(), best == rates.max()
    return ("", "lowest", "highest", "only one")[is_lowest + 2 * is_highest]


def rates_beyond(networks: pd.DataFrame) -> list[float]:
    """Learning rates to try, where the best is the lowest, the highest, or the only one tried."""
    factors = {"": (), "lowest": (1 / 2, 1 / 4), "highest": (2, 4), "only one": (1 / 2, 2)}
    return [factor * best_rate(networks) for factor in factors[edge_of(networks)]]


def describe_best_rate(networks: pd.DataFrame) -> str:
    """The best learning rate, and whether it is at an edge: `500, the lowest tried`."""
    edge = edge_of(networks)
    return f"{best_rate(networks):g}" + f", the {edge} tried" * bool(edge)


def at_best_rate(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks at the learning rate of highest mean accuracy; none where there are none."""
    return networks if networks.empty else networks[networks["lr"] == best_rate(networks)]


def describe_count(counts: Iterable[int]) -> str:
    """How many networks there are: `n = 10`, or `n = 2 to 3`."""
    counts = list(counts)
    low, high = min(counts), max(counts)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def describe_mean(networks: pd.DataFrame) -> str:
    """What is drawn of each setting, and of how many networks: `mean ± std, n = 10`."""
    counts = networks.groupby("setting", sort=False).size()
    if counts.max() == 1:
        return "one network a point"
    spread = " ± std" if counts.max() >= MIN_FOR_SPREAD else ""
    return f"mean{spread}, {describe_count(counts)}"


def describe_resolution(networks: pd.DataFrame) -> str:
    """That one test image is many points, where it is; otherwise nothing."""
    points = points_per_image(networks)
    return f"; one test image is {points:.2f} points" if points > COARSE else ""
