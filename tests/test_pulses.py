"""Fresh pairs, pulses and refresh, each against numbers worked out by hand."""

import pytest
import torch
from scipy import stats

from devices import FIELDS
from devices.pair import PairArray
from devices.pulses import PulseOptimizer, refresh, update
from devices.streams import Stream

LINEAR, EXPONENTIAL = FIELDS["double-linear"], FIELDS["double-exponential"]


def of(*values) -> torch.Tensor:
    """float64 [1, 1, n]"""
    return torch.tensor(values, dtype=torch.float64)[None, None]


def fresh(responses, shape=(400, 500), init=0.01, variability=0.2, seed=100) -> PairArray:
    n = len(responses)
    zero = torch.tensor(0)
    seeds = torch.arange(seed, seed + n)
    sigma = torch.full((n, 1, 1), variability)
    return PairArray.fresh(responses, shape, init, sigma, Stream(seeds, zero, zero))


@pytest.mark.parametrize("response", FIELDS.values(), ids=FIELDS)
class TestFreshPair:
    def test_voltages(self, response):
        pair = fresh([response], init=0.02)
        torch.testing.assert_close(
            pair.weight1, torch.full_like(pair.weight1, response.w_max - 0.02)
        )
        torch.testing.assert_close(pair.weight, pair.weight2 - pair.weight1)
        u = -pair.weight.flatten().double().numpy()
        assert stats.kstest((u + 0.02) / 0.04, "uniform").pvalue > 1e-3
        assert pair.weight2.max() <= response.w_max

    def test_slopes(self, response):
        pair = fresh([response], variability=0.2)
        for slope in (pair.slope1, pair.slope2):
            assert stats.kstest(slope.flatten().numpy(), "norm", (1, 0.2)).pvalue > 1e-3
        both = torch.stack([pair.slope1.flatten(), pair.slope2.flatten()])
        assert abs(torch.corrcoef(both)[0, 1]) < 0.01

    def test_slopes_are_folded_at_zero(self, response):
        slope = fresh([response], variability=2.0).slope1.flatten().numpy()
        assert slope.min() >= 0
        assert stats.kstest(slope, stats.foldnorm(0.5, scale=2).cdf).pvalue > 1e-3

    def test_no_variability_means_slope_one(self, response):
        pair = fresh([response], variability=0.0)
        assert torch.equal(pair.slope1, torch.ones_like(pair.slope1))


def test_init_sets_the_weights():
    """In the scripts that this project replaces, --init changed nothing."""
    narrow, wide = fresh([LINEAR], init=0.01), fresh([LINEAR], init=0.1)
    torch.testing.assert_close(wide.weight, 10 * narrow.weight, rtol=1e-4, atol=5e-6)
    assert wide.weight1[0, 0, 0] == pytest.approx(2.742 - 0.1)


def test_mixed_ensemble_has_the_pairs_of_each_field():
    pair = fresh([LINEAR, LINEAR, EXPONENTIAL], shape=(3, 4))
    assert torch.equal(pair.weight1[1:2], fresh([LINEAR], (3, 4), seed=101).weight1)
    assert torch.equal(pair.weight2[2:], fresh([EXPONENTIAL], (3, 4), seed=102).weight2)


def test_networks_of_different_devices_may_come_in_any_order():
    pair = fresh([EXPONENTIAL, LINEAR, EXPONENTIAL], shape=(3, 4))
    for model, response in enumerate([EXPONENTIAL, LINEAR, EXPONENTIAL]):
        alone = fresh([response], (3, 4), seed=100 + model)
        assert torch.equal(pair.weight2[model], alone.weight2[0])
        expected = alone.relaxed_weight()[0]
        actual = pair.relaxed_weight()[model]
        torch.testing.assert_close(actual, expected)


def test_linear_pulses_by_hand():
    """lr 1000, slopes 1.5 and 0.5: requests |g| x 1000 x slope; below 0.1 nothing happens."""
    gradient = of(0.002, -0.002, 0.00006, -0.00006, 0.0003, 0.0)
    w1, w2 = update(
        w1=of(2.5, 2.5, 2.5, 2.5, 2.5, 2.5),
        w2=of(2.6, 2.6, 2.6, 2.6, 2.6, 2.6),
        slope1=of(1.5).expand_as(gradient),
        slope2=of(0.5).expand_as(gradient),
        gradient=gradient,
        response=LINEAR,
        learning_rate=of(1000.0),
        clipping=of(0.1),
    )
    # g > 0: device 2 gets 1 pulse; g < 0: device 1 gets 3 pulses; 0.03 and 0.09 pulses: clipped;
    # 0.0003: device 2 gets 0.15 pulses.
    expected1 = of(2.5, 2.5 - 0.063, 2.5, 2.5, 2.5, 2.5)
    expected2 = of(2.6 - 0.021, 2.6, 2.6, 2.6, 2.6 - 0.00315, 2.6)
    torch.testing.assert_close(w1, expected1)
    torch.testing.assert_close(w2, expected2)


def test_exponential_pulses_by_hand():
    """9.741 pulses take w - 0.750 to 1/e of it."""
    w1, w2 = update(
        of(1.75, 2.25), of(1.75, 2.25), of(1.0, 1.0), of(1.0, 1.0), of(9.741, -9.741),
        EXPONENTIAL, of(1.0), of(0.0),
    )  # fmt: skip
    torch.testing.assert_close(w1, of(1.75, 0.75 + 1.5 / torch.e))
    torch.testing.assert_close(w2, of(0.75 + 1.0 / torch.e, 2.25))


def test_smallest_pulse_is_applied_and_just_below_is_not():
    arguments = (of(1.0, 1.0), of(1.0, 1.0), of(0.25, 0.2499), LINEAR, of(2.0), of(0.5))
    _, w2 = update(of(2.6, 2.6), of(2.6, 2.6), *arguments)
    torch.testing.assert_close(w2, of(2.6 - 0.0105, 2.6))


def test_pulses_have_no_upper_limit_and_the_used_up_device_is_refreshed():
    """30 pulses overshoot: w1 falls to 2.6 - 0.63 < w_min; then w2 starts from the top."""
    w1, w2 = update(
        of(2.6), of(2.7), of(1.0), of(1.0), of(-30.0), LINEAR, of(1.0), of(0.0)
    )  # fmt: skip
    torch.testing.assert_close(w2, of(2.742))
    torch.testing.assert_close(w1, of(2.175 - (2.7 - 2.742)))


def test_voltages_out_of_range_are_clamped_first():
    w1, w2 = update(of(9.0), of(2.5), of(1.0), of(1.0), of(-1.0), LINEAR, of(1.0), of(0.0))
    torch.testing.assert_close(w1, of(2.742 - 0.021))
    torch.testing.assert_close(w2, of(2.5))


@pytest.mark.parametrize("response", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("exhausted", [1, 2])
def test_refresh_keeps_the_weight(response, exhausted):
    other = torch.linspace(response.w_min + 1e-6, response.w_max, 50, dtype=torch.float64)
    end = torch.full_like(other, response.w_min)
    w1, w2 = (end, other) if exhausted == 1 else (other, end)
    new1, new2 = refresh(w1, w2, response)
    torch.testing.assert_close(new2 - new1, w2 - w1)
    restarted, rest = (new2, new1) if exhausted == 1 else (new1, new2)
    assert (restarted == response.w_max).all()
    assert ((rest >= response.w_min) & (rest <= response.w_max + 1e-12)).all()


@pytest.mark.parametrize("response", FIELDS.values(), ids=FIELDS)
def test_refresh_leaves_devices_with_range_left_alone(response):
    w1 = torch.linspace(response.w_min + 1e-6, response.w_max, 50)
    w2 = w1.flip(0)
    new1, new2 = refresh(w1, w2, response)
    assert torch.equal(new1, w1)
    assert torch.equal(new2, w2)


def test_optimizer_programs_each_network_with_its_own_rate_and_threshold():
    responses = [LINEAR, LINEAR, EXPONENTIAL]
    array = fresh(responses, shape=(3, 4), variability=0.0, init=0.05)
    before = array.weight2.clone()
    optimizer = PulseOptimizer(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([0.0, 3.0, 0.0]))
    optimizer.step(array, torch.ones(3, 3, 4))
    torch.testing.assert_close(array.weight2[0], before[0] - 0.021)
    assert torch.equal(array.weight2[1], before[1])  # 2 pulses are below its threshold of 3
    after = 0.75 + (before[2] - 0.75) * torch.exp(torch.tensor(-2 / 9.741))
    torch.testing.assert_close(array.weight2[2], after)
    torch.testing.assert_close(array.weight, array.weight2 - array.weight1)


@pytest.mark.parametrize("response", FIELDS.values(), ids=FIELDS)
def test_relaxed_weight_by_hand(response):
    """Devices at 3 and 5 pulses, read under the other field, times the ratio of the ranges."""
    other = FIELDS[response.relaxes_to]
    w1, w2 = response.response(3.0), response.response(5.0)
    array = PairArray([response], of(w1), of(w2), of(1.0), of(1.0))
    relaxed = array.relaxed_weight().item()
    expected = other.response(5.0) - other.response(3.0)
    assert relaxed == pytest.approx(expected * response.span / other.span)
    assert array.weight.item() == pytest.approx(w2 - w1)
