"""Cells by hand: what falling and rising pulses do, fresh weights, clamping, and what it costs."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from conftest import dense_currents_of, members_of, random_data, setting_of
from support.cells import CELLS, RULES, Row
from support.devices import BRANCHED, LINEAR, NAMES, device_of
from support.engine import trained
from support.pairs import row

from devices.ledger import COUNTS, Account
from devices.ledger_level import LedgerLevel
from devices.measured_branch import Estimate
from devices.noise import Stream
from devices.programming import Draws
from devices.responses import Linear
from devices.rising import RisingBranch
from utils.compute.compiler import Compiler
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer

BOTH_WAYS, REFERENCE = dict(cell="both-ways"), dict(cell="reference")
TOP, BOTTOM, MIDDLE = 2.742, 2.175, 2.4585


def rising_curve(name):
    """f_up(x) as DESIGN writes it, and the pulses to its end; without the project's mirror."""
    table = ([0, 1, 3, 4, 9.5, 20], [2.742, 2.6, 2.5, 2.49, 2.3, 2.175])
    return {
        "double-linear": (lambda x: 2.175 + 0.021 * x, 27),
        "double-ideal": (lambda x: 2.175 + 0.021 * x, 27),
        "double-exponential": (
            lambda x: 2.28 + 1.53 * np.exp(-27 / 9.741) - 1.53 * np.exp(-x / 9.741),
            27,
        ),
        "double-curved-2.77": (saturating(2.77, 27), 27),
        "double-curved--4.0": (saturating(-4.0, 27), 27),
        "table": (lambda x: 4.917 - np.interp(x, *table), 20),
        "falls-exponentially": (lambda x: 4.917 - np.interp(x, *table), 20),
        "falls-linearly": (saturating(-1.5, 60), 60),
        "falls-by-a-table": (lambda x: 2.175 + 0.0378 * x, 15),
        "asymmetric": (saturating(-2.0, 27), 27),
    }[name]


def saturating(nu, end):
    """From 2.175 to 2.742 by (1 - exp(-nu x / end)) / (1 - exp(-nu)) of the way."""
    return lambda x: 2.175 + 0.567 * (1 - np.exp(-nu * x / end)) / (1 - np.exp(-nu))


def after_by_bisection(curve, end, voltage, pulses):
    """curve(curve^-1(voltage) + pulses); the curve rises over 0 .. end."""
    low, high = np.zeros_like(voltage), np.full_like(voltage, end)
    for _ in range(60):
        middle = (low + high) / 2
        is_below = curve(middle) < voltage
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return curve((low + high) / 2 + pulses)


@pytest.mark.parametrize("name", [*NAMES, *BRANCHED])
def test_single_pulses_from_a_thousand_states(name):
    """Up by the rising branch and down by the falling one, at v p pulses, within the range."""
    device, rng = device_of(name), np.random.default_rng(1)
    response, n = device.response, 1000
    w1, w2 = rng.uniform(response.w_min + 1e-9, response.w_max - 1e-9, (2, 1, 1, n))
    pulses, v1, v2 = rng.uniform(0, 3, (3, n))
    rise = rng.random(n) < 0.5  # of the weight
    gradient = torch.from_numpy(np.where(rise, -pulses, pulses))[None, None]
    slopes = (v1, v2)
    after = Row(torch.from_numpy(w1), torch.from_numpy(w2), name, BOTH_WAYS, slopes).write(gradient)
    curve, end = rising_curve(name)

    def falling(x):
        return -np.array([response.response(each) for each in x.tolist()])

    def fallen(w, p):
        return -after_by_bisection(falling, response.pulses_max, -w, p)

    def risen(w, p):
        return after_by_bisection(curve, end, w, p)

    for actual, w, slope, goes_up in (
        (after.w1, w1[0, 0], v1, ~rise),
        (after.w2, w2[0, 0], v2, rise),
    ):
        p = pulses * slope
        beyond = risen(w, p) >= response.w_max, fallen(w, p) <= response.w_min
        expected = np.where(goes_up, risen(w, p), fallen(w, p))
        if not response.endless:
            assert min(each.sum() for each in beyond) > 0  # so that clamping is seen
            expected = expected.clip(response.w_min, response.w_max)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("nu", [2.77, -4.0])
def test_an_exponential_branch_has_a_closed_form(nu):
    """w + (w_bound - w)(1 - exp(-p / tau)); for whole pulses that is aihwkit's LinearStep.

    LinearStep without noise: each pulse up adds D (1 + g w), so it tends to w = -1 / g.
    """
    bottom, span, tau = 2.175, 0.567, 27 / nu
    bound_up = bottom + span / (1 - np.exp(-nu))
    bound_down = TOP - span / (1 - np.exp(-nu))
    w = np.linspace(bottom, TOP, 101)[20:-20]
    for p in (0.3, 1.0, 2.0):
        gradient = torch.full((1, 1, len(w)), -p).double()
        state = torch.from_numpy(w)[None, None]
        after = Row(state, state, f"double-curved-{nu}", BOTH_WAYS).write(gradient)
        share = 1 - np.exp(-p / tau)
        up, down = (w + (bound - w) * share for bound in (bound_up, bound_down))
        np.testing.assert_allclose(after.w2, up.clip(max=TOP), atol=2e-6)
        np.testing.assert_allclose(after.w1, down.clip(min=bottom), atol=2e-6)
        step = w.copy()
        slope = -1 / bound_up  # g
        size = (1 - np.exp(-1 / tau)) * bound_up  # D: 1 / tau = -ln(1 + g D)
        assert 1 / tau == pytest.approx(-np.log(1 + slope * size))
        for _ in range(int(p)):
            step += size * (1 + slope * step)
        if p >= 1:
            np.testing.assert_allclose(after.w2, step.clip(max=TOP), atol=2e-6)


STILL = RisingBranch(Linear(slope=-1e-300, offset=2.742, pulses_max=27.0), 4.917)


def test_both_ways_with_a_rising_branch_of_no_step_is_one_way_without_refresh():
    generator = torch.Generator().manual_seed(2)
    w1, w2 = (torch.rand(1, 20, 30, generator=generator).double() * 0.2 + 2.4 for _ in range(2))
    slopes = torch.rand(2, 1, 20, 30, generator=generator).double() + 0.5
    for rule, scheme in RULES.items():
        rows = [Row(w1, w2, LINEAR, scheme | dict(cell=cell), slopes) for cell in CELLS[:2]]
        rows[1].parameters = replace(rows[1].parameters, rising=STILL)
        for _ in range(5):
            gradient = torch.randn(1, 20, 30, generator=generator).double() / 2
            draws = Draws(rounding=torch.rand(1, 20, 30, generator=generator).double())
            for each in rows:
                each.write(gradient, draws, clipping=0.3)
        one_way, both_ways = (each.state for each in rows)
        assert one_way.w1.min() > BOTTOM  # nothing was refreshed
        assert not torch.equal(one_way.w1, w1)
        assert torch.equal(one_way.w1, both_ways.w1), rule
        assert torch.equal(one_way.w2, both_ways.w2), rule


def test_a_symmetric_device_beside_a_reference_is_gradient_descent_with_bounds():
    """W <- clip(W - 0.021 lr v dL/dW), from -0.2835 to 0.2835 with w0 in the middle."""
    rng = np.random.default_rng(3)
    weight, v = rng.uniform(-0.28, 0.28, 500), rng.uniform(0.5, 1.5, 500)
    w1 = torch.full((1, 1, 500), MIDDLE).double()
    cell = Row(w1, w1 + torch.from_numpy(weight), LINEAR, REFERENCE, (np.full(500, 7.0), v))
    reached = np.zeros(2, int)
    for _ in range(30):
        gradient = rng.normal(size=500)
        cell.write(torch.from_numpy(gradient)[None, None], learning_rate=3.0)
        weight = np.clip(weight - 0.021 * 3.0 * v * gradient, -0.2835, 0.2835)
        reached += (weight == -0.2835).sum(), (weight == 0.2835).sum()
        np.testing.assert_allclose(np.array(cell.w2) - MIDDLE, weight, atol=1e-7)
        assert torch.equal(cell.state.w1, w1)
    assert reached.min() > 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", [*NAMES, *BRANCHED])
def test_no_pulse_leaves_every_bit(name, cell, dtype):
    """Of a weight whose gradient is 0, or asks for less than the smallest pulse, in range."""
    response, generator = device_of(name).response, torch.Generator().manual_seed(4)
    shape = 1, 1, 2000
    w1, w2 = (
        response.w_min + 1e-4 + torch.rand(shape, generator=generator) * (response.span - 2e-4)
        for _ in range(2)
    )
    w1, w2 = w1.to(dtype), w2.to(dtype)
    gradient = torch.randn(shape, generator=generator).clamp(-0.9, 0.9).to(dtype) / 10
    gradient[..., ::3] = 0.0
    for rule, scheme in RULES.items():
        draws = Draws(rounding=torch.full_like(w1, 0.99))
        for clipping in (0.2, 1.0) if rule != "none" else (0.2,):
            each = Row(w1, w2, name, scheme | dict(cell=cell))
            each.write(gradient, draws, clipping=clipping)
            assert torch.equal(each.state.w1, w1), rule
            assert torch.equal(each.state.w2, w2), rule


def test_devices_of_both_ways_stop_at_both_ends_and_endless_ones_do_not():
    """40 pulses of 0.021 are more than the range; half of a pair may stop alone."""
    stopped = Row([2.5, 2.5], [2.6, 2.3], LINEAR, BOTH_WAYS).write([40.0, -40.0])
    assert stopped.w1 == pytest.approx([TOP, BOTTOM])
    assert stopped.w2 == pytest.approx([BOTTOM, TOP])
    alone = Row([2.2, 2.7], [2.5, 2.4], LINEAR, BOTH_WAYS).write([-2.0, 3.0])
    assert alone.w1 == pytest.approx([BOTTOM, TOP])
    assert alone.w2 == pytest.approx([2.5 + 0.042, 2.4 - 0.063])
    endless = Row([2.5, 2.5], [2.6, 2.3], "double-ideal", BOTH_WAYS).write([40.0, -40.0])
    assert endless.w1 == pytest.approx([2.5 + 0.84, 2.5 - 0.84])
    assert endless.w2 == pytest.approx([2.6 - 0.84, 2.3 + 0.84])


def test_a_device_beside_a_reference_stops_at_both_ends():
    stopped = Row([MIDDLE] * 2, [2.5, 2.4], LINEAR, REFERENCE).write([40.0, -40.0])
    assert (stopped.w1, stopped.w2) == ([MIDDLE] * 2, pytest.approx([BOTTOM, TOP]))


def test_a_used_up_device_goes_on_from_where_it_stands():
    """Nothing is refreshed: at its end a device rises again from there."""
    each = Row([2.5], [BOTTOM + 0.01], LINEAR, BOTH_WAYS)
    assert each.write([1.0]).w2 == pytest.approx([BOTTOM])
    assert each.write([-1.0]).w2 == pytest.approx([BOTTOM + 0.021])
    assert each.w1 == pytest.approx([2.5])


def test_the_threshold_is_that_of_each_device_without_rounding():
    """lr |g| = 1: slopes 0.4 and 1.5, smallest pulse 0.5: device 1 takes none, device 2 1.5."""
    each = Row([2.5] * 2, [2.6] * 2, LINEAR, BOTH_WAYS, (0.4, 1.5))
    each.write([1.0, -1.0], clipping=0.5)
    assert each.w1 == [2.5, 2.5]
    assert each.w2 == pytest.approx([2.6 - 0.0315, 2.6 + 0.0315])


def test_the_slope_factor_does_not_enter_the_threshold_with_a_controller():
    """A request of 0.6 is a pulse of 0.5 for both, of 0.4 none; they move by 0.2 and 0.75."""
    nearest = BOTH_WAYS | dict(rounding="nearest")
    each = Row([2.5] * 3, [2.6] * 3, LINEAR, nearest, (0.4, 1.5))
    each.write([0.6, -0.6, 0.2], clipping=0.5)
    assert each.w1 == pytest.approx([2.5 + 0.0042, 2.5 - 0.0042, 2.5])
    assert each.w2 == pytest.approx([2.6 - 0.01575, 2.6 + 0.01575, 2.6])


def cost(scheme, gradient, device=LINEAR, w=(2.5, 2.6), **programming):
    """Return the counts of one write of a row of weights, slopes 0.5 and 1.5, and its account."""
    n = len(gradient)
    each = Row([w[0]] * n, [w[1]] * n, device, scheme, (0.5, 1.5))
    account = Account(each.state.w1, keeps_wear=True, cell=each.scheme.cell)
    each.write(gradient, account=account, **programming)
    return dict(zip(COUNTS, account.sums[0].tolist(), strict=True)), account


def worn(account, *names):
    return [getattr(account, name)[0, 0].tolist() for name in names]


def test_costs_of_both_ways_by_hand():
    """Requests 1, -1, 0.6, -0.1 and 0 with a smallest pulse of 0.5.

    Devices 1 ask for half of it, devices 2 for 1.5 times: 0.5 and 1.5 twice, then 0.3 (dropped) and
    0.9, then 0.05 and 0.15, both dropped.
    """
    counts, account = cost(BOTH_WAYS, [1.0, -1.0, 0.6, -0.1, 0.0], clipping=0.5)
    assert counts == {"pulses": pytest.approx(4.9), "writes": 5, "dropped": 3, "refreshes": 0}
    falls1, falls2, rises1, rises2 = worn(account, "pulses1", "pulses2", "raised1", "raised2")
    assert falls1 == pytest.approx([0, 0.5, 0, 0, 0])
    assert falls2 == pytest.approx([1.5, 0, 0.9, 0, 0])
    assert rises1 == pytest.approx([0.5, 0, 0, 0, 0])
    assert rises2 == pytest.approx([0, 1.5, 0, 0, 0])


@pytest.mark.parametrize("cell", CELLS)
def test_the_ledger_counts_the_pulses_that_a_controller_sends(cell):
    """p and not v p: 1, 0.5 and 0.5 of 1, -0.6 and 0.3; 0.2 is dropped, in each device driven."""
    scheme = dict(cell=cell, rounding="nearest")
    counts, account = cost(scheme, [1.0, -0.6, 0.3, 0.2, 0.0], clipping=0.5)
    n_driven = 2 if cell == "both-ways" else 1
    expected = {"pulses": 2.0, "writes": 3, "dropped": 1}
    assert counts == {name: n * n_driven for name, n in expected.items()} | {"refreshes": 0}
    falls1, falls2 = worn(account, "pulses1", "pulses2")
    assert falls1 == ([0.0] * 5 if cell == "reference" else [0, 0.5, 0, 0, 0])
    assert falls2 == [1, 0, 0.5, 0, 0]
    if cell != "one-way":
        rises1, rises2 = worn(account, "raised1", "raised2")
        assert rises1 == ([1, 0, 0.5, 0, 0] if cell == "both-ways" else [0.0] * 5)
        assert rises2 == [0, 0.5, 0, 0, 0]


def test_clamping_is_no_refresh():
    counts, _ = cost(BOTH_WAYS, [100.0, -100.0])
    assert counts == {"pulses": 400, "writes": 4, "dropped": 0, "refreshes": 0}


def test_write_noise_grows_with_the_root_of_the_pulses_by_which_the_device_moves():
    """Four pulses down and up from 2.45, 0.084, missed by 0.01 x root(v p) x the number drawn."""
    noise = row(1.0, -2.0, 0.5)
    for cell in ("reference", "both-ways"):
        scheme = dict(cell=cell, rounding="nearest")
        each = Row([2.45] * 3, [2.45] * 3, LINEAR, scheme, (1.0, 4.0))
        draws = Draws(write=noise, raised=noise * 3) if cell == "both-ways" else Draws(write=noise)
        each.write([1.0, -1.0, 0.0], draws, clipping=0.5, write_noise=0.01)
        second = -2.0 if cell == "reference" else -6.0  # device 2 is raised
        assert each.w2 == pytest.approx([2.366 + 0.02, 2.534 + 0.02 * second, 2.45])
        first = [2.45] * 3 if cell == "reference" else [2.471 + 0.03, 2.429 - 0.02, 2.45]
        assert each.w1 == pytest.approx(first)


DENSE = dense_currents_of(random_data(0.5))  # for which no kernel has to be built


def fresh(**changes) -> Ensemble:
    """Return a fresh network of random images of three classes."""
    setting = setting_of(**{"layers": (200, 40)} | changes)
    return Ensemble.fresh(members_of(setting), DENSE, LedgerLevel.WEAR)


def test_write_noise_of_the_two_devices_of_a_weight_is_independent():
    """Otherwise W = w2 - w1 would miss by nothing at all, or by the sum of both."""
    ensemble = fresh(cell="both-ways", write_noise=0.01, var=0.0, lr=3000.0)
    layer, pairs = ensemble.network.layers[1], ensemble.network.layers[1].pairs
    generator = torch.Generator().manual_seed(1)
    sign = torch.randint(0, 2, layer.weight.shape, generator=generator) * 2.0 - 1
    before = pairs.weight1.clone(), pairs.weight2.clone()
    zero = torch.tensor(0)
    stream = Stream(ensemble.network.seed, zero, zero, 1)
    layer.write(4.0 * sign / 3000.0, stream, ensemble.programming, None)
    miss1 = (pairs.weight1 - before[0] - 0.084 * sign).flatten()
    miss2 = (pairs.weight2 - before[1] + 0.084 * sign).flatten()
    sigma = 2 * 0.01 * 0.567  # the root of four pulses
    for miss, expected in ((miss1, sigma), (miss2, sigma), (miss2 - miss1, 2**0.5 * sigma)):
        assert abs(miss.mean()) < 5 * expected / len(miss) ** 0.5
        assert miss.std().item() == pytest.approx(expected, rel=0.05)
        up, down = miss[sign.flatten() > 0].std(), miss[sign.flatten() < 0].std()
        assert up.item() == pytest.approx(down.item(), rel=0.1)


@pytest.mark.parametrize(
    ("field", "start"),
    [
        ("double-linear", MIDDLE),
        ("double-exponential", 1.530 * (1 + np.exp(-27 / 9.741)) / 2 + 0.750),
        ("double-curved-2.77", MIDDLE),
        ("double-ideal", TOP - 0.05),
        ("table", MIDDLE),
        ("falls-exponentially", 2.40),  # the symmetry point
        ("falls-by-a-table", MIDDLE),  # which has none
        ("asymmetric", MIDDLE),  # whose symmetry point is near the top
    ],
)
@pytest.mark.parametrize("cell", CELLS[1:])
def test_fresh_weights_start_around_the_symmetry_point(cell, field, start):
    """w1 = w0 and w2 = w0 - u, with the u that a pair of one-way devices has."""
    ensemble = fresh(cell=cell, field=device_of(field), init=0.05)
    one_way = fresh(field=device_of(field), init=0.05)
    assert device_of(field).driven(True).start(0.05) == pytest.approx(start)
    for layer in ensemble.network.layers:
        torch.testing.assert_close(layer.pairs.weight1, torch.full_like(layer.weight, start))
        torch.testing.assert_close(layer.weight, layer.pairs.weight2 - layer.pairs.weight1)
    for layer, other in zip(ensemble.network.layers, one_way.network.layers, strict=True):
        torch.testing.assert_close(layer.weight, other.weight, atol=1e-6, rtol=0)


@pytest.mark.parametrize("distance", [0.14, 0.15])
def test_the_middle_half_of_the_range_is_where_a_symmetry_point_counts(distance):
    """A quarter of 0.567 is 0.14175."""
    for sign in (1, -1):
        file = msgspec.structs.replace(
            device_of("asymmetric").measured, symmetry_point=Estimate(MIDDLE + sign * distance)
        )
        device = replace(device_of("asymmetric"), measured=file)
        expected = MIDDLE + sign * distance * (distance < 0.14175)
        assert device.driven(True).start(0.01) == pytest.approx(expected)


def test_the_reference_is_one_constant_that_nothing_writes():
    """Over two epochs, with write noise; it stands in the state dict, and has no wear."""
    setting = setting_of(cell="reference", write_noise=0.02, var=0.3, resistor_noise=0.05)
    (result,) = trained(
        Trainer(members_of(setting), DENSE, Compiler(False), ledger_level=LedgerLevel.WEAR)
    )
    for layer in (1, 4):
        weight1 = result.state[f"layers.{layer}.weight1"]
        torch.testing.assert_close(weight1, torch.full_like(weight1, MIDDLE))
        assert len(weight1.unique()) == 1
        for name in ("pulses1", "raised1", "refreshes"):
            assert result.ledger[f"layers.{layer}.{name}"].count_nonzero() == 0
        for name in ("pulses2", "raised2"):
            assert result.ledger[f"layers.{layer}.{name}"].count_nonzero() > 50
    assert result.swap_accuracy is None
