"""Networks of each cell: what writing costs, write noise, fresh weights, the constant reference."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from conftest import dense_currents_of, members_of, random_data, setting_of
from support.cells import CELLS, Row
from support.devices import LINEAR, device_of
from support.engine import trained
from support.pairs import row

from devices.ledger import COUNTS, Account
from devices.ledger_level import LedgerLevel
from devices.measured_branch import Estimate
from devices.noise import Stream
from devices.programming import Draws
from utils.compute.compiler import Compiler
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer

BOTH_WAYS = dict(cell="both-ways")
TOP, MIDDLE = 2.742, 2.4585


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
