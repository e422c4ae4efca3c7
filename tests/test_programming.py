"""Fresh pairs, pulses and refresh, each against numbers worked out by hand."""

from dataclasses import replace

import pytest
import torch
from scipy import stats
from support.devices import RESPONSES, device_of
from support.pairs import EXPONENTIAL, IDEAL, LINEAR, row, updated, write

from devices.built_in import curved
from devices.controller import Programming, physically_clipped
from devices.network_responses import Responses
from devices.noise import Stream
from devices.pair import Devices, PairArray, PairState
from devices.programming import clamp_and_refresh, refresh

ENDING = {name: response for name, response in RESPONSES.items() if not response.endless}
TABLE, LONGER = (device_of(name).response for name in ("table", "longer table"))
STEEPER = replace(LINEAR, slope=-0.03, offset=2.9)
OTHER = replace(EXPONENTIAL, decay=5.0, amplitude=1.0, offset=1.0, pulses_max=20.0)


def fresh(responses, shape=(400, 500), init=0.01, variability=0.2, seed=100) -> PairArray:
    n = len(responses)
    zero = torch.tensor(0)
    seeds = torch.arange(seed, seed + n)
    sigma = torch.full((n, 1, 1), variability)
    devices = Devices.near_top(responses, init)
    half_width = torch.full((n, 1, 1), init)
    return PairArray.fresh(devices, shape, half_width, sigma, Stream(seeds, zero, zero))


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
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
            assert stats.kstest(slope.flatten().numpy(), "norm", args=(1, 0.2)).pvalue > 1e-3
        both = torch.stack([pair.slope1.flatten(), pair.slope2.flatten()])
        assert abs(torch.corrcoef(both)[0, 1]) < 0.01

    def test_slopes_are_folded_at_zero(self, response):
        slope = fresh([response], variability=2.0).slope1.flatten().numpy()
        assert slope.min() >= 0
        assert stats.kstest(slope, stats.foldnorm(0.5, scale=2).cdf).pvalue > 1e-3

    def test_no_variability_means_slope_one(self, response):
        pair = fresh([response], variability=0.0)
        assert torch.equal(pair.slope1, torch.ones_like(pair.slope1))


@pytest.mark.parametrize(
    "responses",
    [[LINEAR, STEEPER, IDEAL], [OTHER, EXPONENTIAL, curved(-4.0)], [TABLE, LONGER, TABLE]],
    ids=["linear", "exponential", "table"],
)
def test_networks_side_by_side_have_constants_of_their_own(responses):
    """Fresh, programmed until they are used up, and switched: each as alone, bit for bit."""
    together = fresh(responses, shape=(30, 40), init=0.2)
    gradient = torch.linspace(-30, 30, 1200).view(1, 30, 40).expand(3, -1, -1)
    programme(together, gradient)
    others = [EXPONENTIAL, TABLE, None]  # the last has no other field
    switched = together.relaxed_weight(others)
    for model, response in enumerate(responses):
        alone = fresh([response], (30, 40), init=0.2, seed=100 + model)
        programme(alone, gradient[:1])
        for name in ("weight1", "weight2", "weight"):
            assert torch.equal(getattr(together, name)[model], getattr(alone, name)[0])
        assert torch.equal(switched[model], alone.relaxed_weight([others[model]])[0])
    assert torch.equal(switched[2], together.weight[2])


def programme(array: PairArray, gradient: torch.Tensor) -> None:
    n = len(gradient)
    programming = Programming(torch.full((n,), 1.0), torch.full((n,), 0.1))
    for sign in (1, 1, -1):
        write(array, sign * gradient, programming)


def test_constants_of_an_ensemble_are_rounded_once():
    """w_min of the linear device is the float32 next to 2.175, not what float32 sums give."""
    stacked = Responses([LINEAR, STEEPER])
    assert stacked.lowest.flatten().tolist() == torch.tensor([2.742 - 0.567, 2.9 - 0.81]).tolist()
    assert stacked.w_max.shape == (2, 1, 1)
    assert stacked.equation.slope.dtype == torch.float32


def test_networks_of_different_families_are_different_ensembles():
    with pytest.raises(ValueError, match="families"):
        Responses([LINEAR, EXPONENTIAL])


def test_linear_pulses_by_hand():
    """lr 1000, slopes 1.5 and 0.5: requests |g| x 1000 x slope; below 0.1 nothing happens."""
    gradient = [0.002, -0.002, 0.00006, -0.00006, 0.0003, 0.0]
    w1, w2 = updated(
        [2.5] * 6, [2.6] * 6, gradient, slopes=(1.5, 0.5), learning_rate=1000.0, clipping=0.1
    )
    # g > 0: device 2 gets 1 pulse; g < 0: device 1 gets 3 pulses; 0.03 and 0.09 pulses: clipped;
    # 0.0003: device 2 gets 0.15 pulses.
    torch.testing.assert_close(w1, row(2.5, 2.5 - 0.063, 2.5, 2.5, 2.5, 2.5))
    torch.testing.assert_close(w2, row(2.6 - 0.021, 2.6, 2.6, 2.6, 2.6 - 0.00315, 2.6))


def test_physical_clipping_by_hand():
    """0.18 pulses become 0.18 (1 - 1/e), 0.36 become 0.36 (1 - 1/e^2); ten hardly fewer."""
    request = row(0.0, 0.0018, 0.18, 0.36, 1.8, 10.0)
    expected = row(0.0, 1.791030e-5, 0.1137817, 0.3112793, 1.799918, 10.0)
    torch.testing.assert_close(physically_clipped(request), expected, rtol=1e-6, atol=0.0)
    single = physically_clipped(request.float())  # of small requests too, as exact as single is
    torch.testing.assert_close(single, expected.float(), rtol=2e-6, atol=0.0)


@pytest.mark.parametrize(("physical", "pulses"), [(True, (0.0, 0.11378170)), (False, (0.15, 0.18))])
def test_requests_are_clipped_physically_before_the_smallest_pulse(physical, pulses):
    """0.15 pulses become 0.0848, below 0.1; 0.09 x 2 (slope) become 0.1138."""
    w, gradient = [2.6] * 3, [0.15, 0.18, -0.09]
    w1, w2 = updated(w, w, gradient, slopes=(2.0, 1.0), clipping=0.1, physical=physical)
    torch.testing.assert_close(w2, row(2.6 - 0.021 * pulses[0], 2.6 - 0.021 * pulses[1], 2.6))
    torch.testing.assert_close(w1, row(2.6, 2.6, 2.6 - 0.021 * pulses[1]))


def test_an_enormous_request_is_clipped_physically_to_itself():
    huge = torch.tensor([3e38, torch.inf])
    assert torch.equal(physically_clipped(huge), huge)


def test_exponential_pulses_by_hand():
    """9.741 pulses take w - 0.750 to 1/e of it."""
    w1, w2 = updated([1.75, 2.25], [1.75, 2.25], [9.741, -9.741], EXPONENTIAL)
    torch.testing.assert_close(w1, row(1.75, 0.75 + 1.5 / torch.e))
    torch.testing.assert_close(w2, row(0.75 + 1.0 / torch.e, 2.25))


def test_smallest_pulse_is_applied_and_just_below_is_not():
    _, w2 = updated([2.6] * 2, [2.6] * 2, [0.25, 0.2499], learning_rate=2.0, clipping=0.5)
    torch.testing.assert_close(w2, row(2.6 - 0.0105, 2.6))


def test_pulses_have_no_upper_limit_and_the_used_up_device_is_refreshed():
    """30 pulses overshoot: w1 falls to 2.6 - 0.63 < w_min; then w2 starts from the top."""
    w1, w2 = updated([2.6], [2.7], [-30.0])
    torch.testing.assert_close(w2, row(2.742))
    torch.testing.assert_close(w1, row(2.175 - (2.7 - 2.742)))


def test_voltages_out_of_range_are_clamped_first():
    w1, w2 = updated([9.0], [2.5], [-1.0])
    torch.testing.assert_close(w1, row(2.742 - 0.021))
    torch.testing.assert_close(w2, row(2.5))


def test_an_ideal_device_is_neither_clamped_nor_refreshed():
    """Each pulse lowers it by 0.021, far beyond 27 pulses, and above the top, too."""
    w1, w2 = updated([9.0, 2.5, -40.0], [2.5, 2.6, 2.6], [-1.0, 300.0, -100.0], IDEAL)
    torch.testing.assert_close(w1, row(9.0 - 0.021, 2.5, -42.1))
    torch.testing.assert_close(w2, row(2.5, 2.6 - 6.3, 2.6))


def test_write_noise_by_hand():
    """Four pulses lead from 2.5 to 2.416, and miss by 2 x 0.01; where there is none, nothing."""
    noisy = dict(clipping=0.5, write_noise=0.01, noise=[1.0, 1.0, -2.0])
    w1, w2 = updated([2.5] * 3, [2.6] * 3, [-4.0, 0.0, 4.0], **noisy)
    torch.testing.assert_close(w1, row(2.436, 2.5, 2.5))
    torch.testing.assert_close(w2, row(2.6, 2.6, 2.6 - 0.084 - 0.04))


def test_a_write_that_lands_beyond_an_end():
    """Below: used up, as by a pulse too many. Above: it stays until it is clamped the next time."""
    w1, w2 = updated([2.7], [2.2], [1.0], write_noise=0.1, noise=[-1.0])
    torch.testing.assert_close(w1, row(2.742))
    torch.testing.assert_close(w2, row(2.175 - (2.7 - 2.742)))
    w1, w2 = updated([2.7], [2.74], [1.0], write_noise=0.1, noise=[1.0])
    torch.testing.assert_close(w2, row(2.74 - 0.021 + 0.1))
    w1, w2 = updated([w1.item()], [w2.item()], [1.0])
    torch.testing.assert_close(w2, row(2.742 - 0.021))


def noisily_written(write_noise: float, steps: int = 1, **address) -> torch.Tensor:
    """Return how much further than 4 pulses devices 2 of a network went, each time."""
    array = fresh([LINEAR], shape=(200, 300), variability=0.0, init=0.0)
    before, zero = array.weight2.clone(), torch.tensor(0)
    programming = Programming(torch.ones(1), torch.zeros(1), torch.tensor([write_noise]))
    for step in range(steps):
        at = torch.tensor(address.get("step", step))
        stream = Stream(torch.tensor([100]), at, zero, address.get("layer", 0))
        write(array, torch.full((1, 200, 300), 4.0), programming, stream)
    return (array.weight2 - before + steps * 0.084)[0]


def test_write_noise_is_normal_and_grows_with_the_root_of_the_pulses():
    miss = noisily_written(0.003).flatten().double()
    assert stats.kstest(miss.numpy(), "norm", args=(0, 0.006)).pvalue > 1e-3


def test_write_noise_is_fresh_for_every_device_and_write():
    once = noisily_written(0.003)
    assert once.unique().numel() > 0.7 * once.numel()  # of so many voltages that there are
    assert torch.equal(once, noisily_written(0.003))
    for other in (noisily_written(0.003, step=1), noisily_written(0.003, layer=1)):
        assert abs(torch.corrcoef(torch.stack([once.flatten(), other.flatten()]))[0, 1]) < 0.02
    assert noisily_written(0.003, steps=3).std().item() == pytest.approx(0.006 * 3**0.5, rel=0.02)


def test_without_write_noise_nothing_is_drawn(monkeypatch):
    for draw in ("normal", "noisy"):
        monkeypatch.setattr(Stream, draw, lambda *_: pytest.fail("noise was drawn"))
    array = fresh_without_draws()
    programming = Programming(torch.ones(1), torch.zeros(1), torch.zeros(1))
    write(array, torch.ones(1, 2, 3), programming)
    torch.testing.assert_close(array.weight2, torch.full((1, 2, 3), 2.6 - 0.021))


def fresh_without_draws() -> PairArray:
    w, ones = torch.full((1, 2, 3), 2.6), torch.ones(1, 2, 3)
    return PairArray([LINEAR], PairState(w, w.clone()), [ones, ones.clone()])


@pytest.mark.parametrize("response", ENDING.values(), ids=ENDING)
@pytest.mark.parametrize("exhausted", [1, 2])
def test_refresh_keeps_the_weight(response, exhausted):
    other = torch.linspace(response.w_min + 1e-6, response.w_max, 50, dtype=torch.float64)
    end = torch.full_like(other, response.w_min)
    w1, w2 = (end, other) if exhausted == 1 else (other, end)
    after = refresh(PairState(w1, w2), response)
    new1, new2 = after.w1, after.w2
    torch.testing.assert_close(new2 - new1, w2 - w1)
    restarted, rest = (new2, new1) if exhausted == 1 else (new1, new2)
    assert (restarted == response.w_max).all()
    assert ((rest >= response.w_min) & (rest <= response.w_max + 1e-12)).all()


@pytest.mark.parametrize("response", ENDING.values(), ids=ENDING)
def test_refresh_leaves_devices_with_range_left_alone(response):
    w1 = torch.linspace(response.w_min + 1e-6, response.w_max, 50)
    w2 = w1.flip(0)
    after = refresh(PairState(w1, w2), response)
    new1, new2 = after.w1, after.w2
    assert torch.equal(new1, w1)
    assert torch.equal(new2, w2)


def test_each_network_is_programmed_with_its_own_rate_and_threshold():
    array = fresh([LINEAR, LINEAR], shape=(3, 4), variability=0.0, init=0.05)
    before = array.weight2.clone()
    programming = Programming(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.0]))
    write(array, torch.ones(2, 3, 4), programming)
    torch.testing.assert_close(array.weight2[0], before[0] - 0.021)
    assert torch.equal(array.weight2[1], before[1])  # 2 pulses are below its threshold of 3
    torch.testing.assert_close(array.weight, array.weight2 - array.weight1)
    array = fresh([EXPONENTIAL], shape=(3, 4), variability=0.0, init=0.05)
    before = array.weight2.clone()
    write(array, torch.ones(1, 3, 4), Programming(torch.tensor([2.0]), torch.tensor([0.0])))
    after = 0.75 + (before - 0.75) * torch.exp(torch.tensor(-2 / 9.741))
    torch.testing.assert_close(array.weight2, after)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("double-linear", "double-exponential"),
        ("double-exponential", "double-linear"),
        ("double-curved--4.0", "double-linear"),
        ("table", "double-curved-2.77"),
        ("double-linear", "table"),
    ],
)
def test_switched_weight_by_hand(field, other):
    """Devices at 3 and 5 pulses, read under the other field, times the ratio of the ranges."""
    response, other = RESPONSES[field], RESPONSES[other]
    w1, w2 = response.response(3.0), response.response(5.0)
    array = PairArray([response], PairState(row(w1), row(w2)), [row(1.0), row(1.0)])
    relaxed = array.relaxed_weight([other]).item()
    expected = other.response(5.0) - other.response(3.0)
    assert relaxed == pytest.approx(expected * response.span / other.span)
    assert array.weight.item() == pytest.approx(w2 - w1)


@pytest.mark.parametrize(
    ("response", "pulses"),
    [(LINEAR, -0.058 / 0.021), (TABLE, -0.058 / 0.142), (curved(-4.0), 0.0), (curved(4.0), None)],
)
def test_a_device_above_its_range_is_switched_as_its_curve_goes_on(response, pulses):
    """Write noise may leave such devices; a curve that steepens has no inverse above its top."""
    if pulses is None:
        pulses = response.inverse(2.8)
        assert response.response(pulses) == pytest.approx(2.8)
    array = PairArray([response], PairState(row(2.8), row(2.742)), [row(1.0), row(1.0)])
    relaxed = array.relaxed_weight([LINEAR]).item()
    assert relaxed == pytest.approx(LINEAR.response(0.0) - LINEAR.response(pulses))


def test_clamped_and_refreshed_pairs_are_those_after_any_number_of_updates_without_gradient():
    """Devices in the range, above it, below it, used up, and pairs with both used up."""
    w1 = [2.5, 4.0, 2.0, 2.175, 2.175, 2.0, 2.4]
    w2 = [2.6, 2.5, 2.5, 2.742, 2.5, 2.1, 2.175]
    nothing = [0.0] * 7
    once = updated(w1, w2, nothing, learning_rate=1000.0)
    twice = updated(*(w[0, 0].tolist() for w in once), nothing, learning_rate=1000.0)
    at_once = clamp_and_refresh(PairState(row(*w1), row(*w2)), LINEAR)
    for actual, first, second in zip((at_once.w1, at_once.w2), once, twice, strict=True):
        assert torch.equal(actual, first)
        torch.testing.assert_close(actual, second, rtol=0, atol=1e-12)
    assert at_once.w1[0, 0].tolist() == pytest.approx(
        [2.5, 2.742, 2.417, 2.175, 2.417, 2.742, 2.742], abs=1e-9
    )
