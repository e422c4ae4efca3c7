"""From requests to pulses by hand: whole pulses, stochastic rounding, accumulators, a limit."""

import numpy as np
import pytest
import torch
from support.cells import CELLS, RULES, Row
from support.devices import LINEAR
from support.pairs import row

from devices.ledger import COUNTS, Account
from devices.programming import Draws

STEP = 0.021  # of the linear device
NEAREST = dict(rounding="nearest")
STOCHASTIC = dict(rounding="stochastic")
ACCUMULATE = dict(accumulate=True)
BOTH = NEAREST | ACCUMULATE


def pulses(scheme, requests, draws=None, **programming) -> list[float]:
    """Return the pulses p, counted down, that requests of weights of slope factor 1 become."""
    n = len(requests)
    weights = Row([2.5] * n, [2.5] * n, LINEAR, dict(cell="reference") | scheme)
    numbers = Draws() if draws is None else Draws(rounding=row(*draws))
    before = np.array(weights.w2)
    weights.write(requests, numbers, **programming)
    return ((before - weights.w2) / STEP).tolist()


def test_nearest_is_a_whole_number_of_smallest_pulses_and_half_of_one_rounds_up():
    """As in NeuroSim, for requests of either sign; the smallest pulse is 0.5."""
    requests = [0.24, 0.25, 0.26, 0.74, 0.75, -0.24, -0.25, -0.75, 3.1, 0.0]
    expected = [0, 0.5, 0.5, 0.5, 1, 0, -0.5, -1, 3, 0]
    assert pulses(NEAREST, requests, clipping=0.5) == pytest.approx(expected)


def test_stochastic_rounding_goes_up_where_the_number_is_below_the_fraction():
    """0.6 is 1.2 smallest pulses of 0.5; a whole number of them is never rounded."""
    requests = [0.6, 0.6, -0.6, -0.6, 0.1, 0.1, 1.0, 1.0, 0.0]
    numbers = [0.19, 0.21, 0.19, 0.21, 0.19, 0.21, 1e-9, 0.999, 1e-9]
    expected = [1, 0.5, -1, -0.5, 0.5, 0, 1, 1, 0]
    assert pulses(STOCHASTIC, requests, numbers, clipping=0.5) == pytest.approx(expected)


def test_an_accumulator_sums_requests_up_until_they_are_a_smallest_pulse():
    """Requests of 0.25, 0.5, -0.125 and 0.375, the smallest pulse 0.5, slope factor 2."""
    weights = Row([2.5], [2.6], LINEAR, ACCUMULATE, (3.0, 2.0))
    seen = []
    for request in (0.25, 0.5, -0.125, 0.375, 0.25, -0.25, -0.25):
        weights.write([request], clipping=0.5)
        seen.append((weights.chi[0], weights.w1[0], weights.w2[0]))
    second = [2.6, 2.6 - 1.5 * STEP, 2.6 - 1.5 * STEP, 2.6 - 1.5 * STEP, 2.6 - 2.5 * STEP]
    expected = [(0.25, 2.5), (0, 2.5), (-0.125, 2.5), (0.25, 2.5), (0, 2.5), (-0.25, 2.5)]
    expected.append((0, 2.5 - 1.5 * STEP))
    second += [second[-1]] * 2
    for actual, (chi, w1), w2 in zip(seen, expected, second, strict=True):
        assert actual == pytest.approx((chi, w1, w2))


def test_an_accumulator_with_rounding_sends_whole_pulses_and_keeps_the_rest():
    weights = Row([2.5] * 3, [2.5] * 3, LINEAR, BOTH | dict(cell="reference"))
    weights.write([0.7, -1.3, 0.4], clipping=0.5)
    assert weights.chi == pytest.approx([0.2, -0.3, 0.4])
    assert weights.w2 == pytest.approx([2.5 - 0.5 * STEP, 2.5 + STEP, 2.5])
    weights.write([0.2, -0.3, -0.9], clipping=0.5)
    assert weights.chi == pytest.approx([0.4, -0.1, 0])
    assert weights.w2 == pytest.approx([2.5 - 0.5 * STEP, 2.5 + 1.5 * STEP, 2.5 + 0.5 * STEP])


def test_the_sign_of_the_sum_decides_and_not_that_of_the_request():
    """0.4 is kept; then a request of -0.1 still lowers the weight by 0.3."""
    for cell in CELLS:
        weights = Row([2.5], [2.5], LINEAR, ACCUMULATE | dict(cell=cell))
        weights.write([0.4], clipping=0.5).write([-0.1], clipping=0.25)
        assert weights.chi == pytest.approx([0])
        assert weights.w2 == pytest.approx([2.5 - 0.3 * STEP])
        assert weights.w1 == pytest.approx([2.5 + 0.3 * STEP * (cell == "both-ways")])


@pytest.mark.parametrize(
    ("scheme", "expected", "chi"),
    [
        ({}, [1.2, -1.2, 0.7, 0], None),
        (NEAREST, [1.2, -1.2, 0.5, 0], None),
        (STOCHASTIC, [1.2, -1.2, 1.0, 0.5], None),
        (ACCUMULATE, [1.2, -1.2, 0.7, 0], [1.8, -0.3, 0, 0.2]),
        (BOTH, [1.2, -1.2, 0.5, 0], [1.8, -0.3, 0.2, 0.2]),
    ],
    ids=RULES,
)
def test_a_limit_stands_on_top_of_every_rule(scheme, expected, chi):
    """At most 1.2 pulses of 3, -1.5, 0.7 and 0.2; what an accumulator could not send stays."""
    weights = Row([2.5] * 4, [2.5] * 4, LINEAR, dict(cell="reference") | scheme)
    draws = Draws(rounding=torch.full((1, 1, 4), 0.1).double())
    weights.write([3.0, -1.5, 0.7, 0.2], draws, clipping=0.5, max_pulses=1.2)
    moved = (2.5 - np.array(weights.w2)) / STEP
    assert moved.tolist() == pytest.approx(expected)
    if chi is not None:
        assert weights.chi == pytest.approx(chi)


def test_without_a_controller_the_limit_is_that_of_each_device():
    """1 pulse asked of slope factors 0.5 and 2, at most 0.8: 0.5 and 0.8; by a controller 0.8 v."""
    both_ways = dict(cell="both-ways")
    published = Row([2.4], [2.6], LINEAR, both_ways, (0.5, 2.0)).write([1.0], max_pulses=0.8)
    assert published.w1 + published.w2 == pytest.approx([2.4 + 0.5 * STEP, 2.6 - 0.8 * STEP])
    sent = Row([2.4], [2.6], LINEAR, both_ways | NEAREST, (0.5, 2.0))
    sent.write([1.0], clipping=0.5, max_pulses=0.8)
    assert sent.w1 + sent.w2 == pytest.approx([2.4 + 0.4 * STEP, 2.6 - 1.6 * STEP])


@pytest.mark.parametrize("limit", [None, 0.6])
@pytest.mark.parametrize("scheme", [ACCUMULATE, BOTH], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_requested_is_sent_or_kept(cell, scheme, limit):
    """The sum of signed pulses, as the ledger counts them, and chi are lr times the sum of g."""
    rng, shape = np.random.default_rng(7), (1, 4, 50)
    start = torch.full(shape, 2.4585).double()
    slopes = torch.from_numpy(rng.uniform(0.2, 3, (2, *shape)))
    weights = Row(start, start, LINEAR, scheme | dict(cell=cell), slopes)
    account = Account(start, keeps_wear=True, cell=cell)
    requested = np.zeros(shape)
    for _ in range(200):
        gradient = rng.normal(size=shape) * (rng.random(shape) < 0.8)
        requested += 0.2 * gradient
        weights.write(
            torch.from_numpy(gradient), Draws(), account,
            learning_rate=0.2, clipping=0.3, max_pulses=limit,
        )  # fmt: skip
    lowered, raised = {
        "one-way": (("pulses2",), ("pulses1",)),
        "both-ways": (("pulses2", "raised1"), ("pulses1", "raised2")),
        "reference": (("pulses2",), ("raised2",)),
    }[cell]
    for down, up in zip(lowered, raised, strict=True):  # of each device that is driven
        sent = (getattr(account, down) - getattr(account, up)).numpy()
        np.testing.assert_allclose(sent + weights.state.accumulator.numpy(), requested, atol=1e-12)
        assert abs(sent).max() > 3
    counts = dict(zip(COUNTS, account.sums[0].tolist(), strict=True))
    assert counts["dropped"] == 0
    assert counts["writes"] > 1000


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_dropped_by_hand(cell):
    """Requests above 0 that led to no pulse, of each device that would have been driven.

    0.1 and -0.24 are less than half of the smallest pulse; a limit and rounding down drop nothing.
    """
    requests = [0.1, -0.24, 0.6, 3.0, 0.0, -0.25]
    n_driven = 2 if cell == "both-ways" else 1
    for rule, expected in (
        ({}, 3), (NEAREST, 2), (STOCHASTIC, 2), (ACCUMULATE, 0), (BOTH, 0)
    ):  # fmt: skip
        weights = Row([2.5] * 6, [2.5] * 6, LINEAR, rule | dict(cell=cell))
        account = Account(weights.state.w1, cell=cell)
        draws = Draws(rounding=torch.full((1, 1, 6), 0.49).double())
        weights.write(requests, draws, account, clipping=0.5, max_pulses=1.0)
        counts = dict(zip(COUNTS, account.sums[0].tolist(), strict=True))
        assert counts["dropped"] == n_driven * expected, rule
