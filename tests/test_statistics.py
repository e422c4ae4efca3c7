"""Differences over equal seeds and their intervals, against numbers worked out by hand."""

import pandas as pd
import pytest

from utils.plots.accuracy import compare
from utils.plots.statistics import difference, mean_difference


def networks(field="double-linear", lr=1000.0, first_seed=100, **accuracies) -> pd.DataFrame:
    """Made-up networks, a row for each accuracy of `values`."""
    values = accuracies["values"]
    return pd.DataFrame(
        {"model_seed": range(first_seed, first_seed + len(values)), "accuracy": values}
    ).assign(field=field, lr=lr, original=False, task="MNIST")


def test_mean_error_and_interval_by_hand():
    """1, 2, 3: s = 1, error 1 / sqrt(3), t of 2 degrees of freedom 4.302653."""
    found = mean_difference(pd.Series([1.0, 2.0, 3.0]))
    assert (found.mean, found.n) == (2.0, 3)
    assert found.error == pytest.approx(0.5773503)
    assert (found.low, found.high) == pytest.approx((-0.4841377, 4.4841377))
    assert not found.is_clear
    assert str(found) == "+2.00 points (95 %: -0.48 to +4.48)"
    assert mean_difference(pd.Series([2.9, 3.0, 3.1])).is_clear


def test_no_interval_is_narrower_than_a_test_image_allows():
    """Three equal differences of two counts of 297 images are still rounded."""
    points = mean_difference(pd.Series([-1.01, -1.01, -1.01]), step=100 / 297)
    assert points.error == pytest.approx(100 / 297 / 6**0.5 / 3**0.5)
    assert str(points) == "-1.01 points (95 %: -1.35 to -0.67)"
    wide = mean_difference(pd.Series([-2.0, 0.0, 2.0]), step=100 / 297)
    assert wide.error == pytest.approx(2 / 3**0.5)


def test_fewer_than_three_have_no_interval_which_is_stated():
    two = mean_difference(pd.Series([1.0, 2.0]))
    assert (two.mean, two.error, two.n) == (1.5, pytest.approx(0.5), 2)
    assert str(two) == "+1.50 points (no interval from 2 networks)"
    assert not two.is_clear
    assert str(mean_difference(pd.Series([-1.0]))) == "-1.00 points (no interval from 1 network)"
    assert mean_difference(pd.Series([float("nan")])) is None


def test_differences_are_of_equal_seeds():
    """Spread of 10 over seeds, but every difference is 1; seed 103 has no partner."""
    first = networks(values=[81.0, 91.0, 101.0, 0.0])
    second = networks(values=[80.0, 90.0, 100.0])[::-1]  # in another order
    paired = difference(first, second)
    rounding = 0.01 / 6**0.5 / 3**0.5  # of accuracies that count 10000 images
    assert (paired.mean, paired.error, paired.n) == (1.0, pytest.approx(rounding), 3)
    assert difference(first, networks(first_seed=200, values=[1.0])) is None
    assert difference(first, second.assign(original=True)) is None  # other random numbers


def test_fields_are_compared_at_equal_rates_and_at_the_best():
    """At 500 +1, +2, +3; at 3000 +4, +6, +8; linear best at 3000, exponential at 500."""
    rows = pd.concat(
        [
            networks(lr=500.0, values=[91.0, 92.0, 93.0]),
            networks(lr=3000.0, values=[94.0, 96.0, 98.0]),
            networks("double-exponential", 500.0, values=[90.0, 90.0, 90.0]),
            networks("double-exponential", 3000.0, values=[80.0, 80.0, 80.0]),
        ]
    )

    def compared(rows: pd.DataFrame) -> list[str]:
        fields = ("double-linear", "double-exponential")
        return compare(*(rows[rows["field"] == field] for field in fields))

    by_rate, best = compared(rows)
    assert by_rate == (
        "linear minus exponential, over equal seeds: +2.00 points (95 %: -0.48 to +4.48) at 500, "
        "+16.00 points (95 %: +11.03 to +20.97) at 3000"
    )
    assert best == "each at its best: +6.00 points (95 %: +1.03 to +10.97)"
    few, _ = compared(rows[rows["model_seed"] < 102])
    assert "+1.50 points (no interval from 2 networks) at 500" in few
    assert compared(rows[rows["field"] == "double-linear"]) == []
