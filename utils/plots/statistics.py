"""Differences between settings: pairwise over seeds, with standard error and 95 % interval.

Networks of equal seed start from the same numbers and see the same noise, so their difference is
known better than either accuracy. Student's t with n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy.stats import t

CONFIDENCE = 0.95
FEWEST = 3  # networks, from which on a spread is drawn and an interval told
SEED = ["model_seed", "original"]  # the original scripts draw other numbers from an equal seed


@dataclass(frozen=True)
class Estimate:
    """A mean over n networks, or pairs of them. error: of the mean, NaN where n < 2.

    low, high: ends of its 95 % interval, NaN where n < 3.
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

    def __str__(self) -> str:
        """In points: `+1.20 (95 %: +1.00 to +1.40)`."""
        if math.isnan(self.low):
            return f"{self.mean:+.2f} (no interval from {self.n} network{'s' * (self.n > 1)})"
        return f"{self.mean:+.2f} (95 %: {self.low:+.2f} to {self.high:+.2f})"


def estimate(values: pd.Series) -> Estimate | None:
    """Mean, standard error s / sqrt(n) and mean ± t s / sqrt(n); None without a number."""
    values = values.dropna()
    n = len(values)
    if n == 0:
        return None
    mean = float(values.mean())
    error = float(values.std()) / math.sqrt(n) if n > 1 else math.nan
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error if n >= FEWEST else math.nan
    return Estimate(mean, error, mean - half, mean + half, n)


def span(counts: Sequence[int]) -> str:
    """Of how many networks: `n = 10`, or `n = 2 to 3`."""
    low, high = min(counts), max(counts)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def by_seed(networks: pd.DataFrame, value: str = "accuracy") -> pd.Series:
    """A value of the networks of one setting, by seed."""
    return networks.groupby(SEED)[value].mean()


def difference(
    first: pd.DataFrame, second: pd.DataFrame, value: str = "accuracy"
) -> Estimate | None:
    """First minus second over the seeds that both have; None if there is none."""
    return estimate(by_seed(first, value) - by_seed(second, value))
