"""Cells: what writing costs, write noise, and where devices start."""

from dataclasses import replace

import msgspec
import pytest
from support.cells import CELLS, Row
from support.devices import LINEAR, device_of

from devices.ledger import COUNTS, Account
from devices.measured_branch import Estimate

BOTH_WAYS = dict(cell="both-ways")
TOP, MIDDLE = 2.742, 2.4585


def cost(scheme, gradient, device=LINEAR, w=(2.5, 2.6), **programming):
    """Return the counts of one write of a row of weights, slopes 0.5 and 1.5, and its account."""
    n = len(gradient)
    weights = Row([w[0]] * n, [w[1]] * n, device, scheme, (0.5, 1.5))
    account = Account(weights.state.w1, keeps_wear=True, cell=weights.scheme.cell)
    weights.write(gradient, account=account, **programming)
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
