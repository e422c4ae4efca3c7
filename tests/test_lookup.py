"""Tables in networks: the kernel computes what PyTorch's operations do, to the bit."""

import numpy as np
import pytest
import torch

from devices import lookup
from devices.lookup import Tables
from devices.responses import Table
from utils.compute.kernel_builder import library, plain


def table(n: int, spacing: str = "equal", seed: int = 0) -> Table:
    """Of n points that fall by unequal steps, over pulses of equal steps or of unequal ones."""
    rng = np.random.default_rng(seed)
    falls = rng.uniform(0.2, 1.0, n - 1)
    steps = np.ones(n - 1) if spacing == "equal" else rng.uniform(0.3, 1.0, n - 1)
    pulses, voltages = np.append(0, steps.cumsum()), 2.742 - np.append(0, 0.567 * falls.cumsum())
    return Table(tuple(pulses.tolist()), tuple(voltages.tolist()))


def both_ways(tables: Tables, voltage: torch.Tensor, pulses: torch.Tensor):
    """By the kernel and by PyTorch's own operations."""
    if library(lookup.SOURCE) is None:
        pytest.skip("needs a C++ compiler")
    assert tables.has_kernel(voltage)
    with plain():
        assert not tables.has_kernel(voltage)
        without = tables.shape
    assert tables.shape != without  # programs that call it are others
    with plain():
        expected = tables.after(voltage, pulses)
    return tables.after(voltage, pulses), expected


@pytest.mark.parametrize("spacing", ["equal", "unequal"])
@pytest.mark.parametrize("sizes", [(2,), (28,), (186,), (5, 28, 90)], ids=str)
@pytest.mark.parametrize("shape", [(12, 32), (5, 1), (7, 37)], ids=str)
@pytest.mark.parametrize("longest", [0.01, 1.0, 50.0])
def test_the_kernel_and_torch_agree_to_the_bit(spacing, sizes, shape, longest):
    """Steps within a line and over many, from above the range to below it; a third get none."""
    rows = [table(n, spacing, seed=n) for n in sizes]
    generator = torch.Generator().manual_seed(1)
    share = torch.rand(len(sizes), *shape, generator=generator) * 1.2 - 0.1
    span = torch.tensor([row.span for row in rows])[:, None, None]
    voltage = 2.742 - share * span
    pulses = longest * (torch.rand(share.shape, generator=generator) - 1 / 3).clamp(min=0)
    actual, expected = both_ways(Tables(rows), voltage, pulses)
    assert torch.equal(actual, expected)
    assert torch.equal(actual[pulses == 0], voltage[pulses == 0])
    assert (actual[pulses > 0] < voltage[pulses > 0]).float().mean() > 0.9


def test_of_many_devices_any_may_receive_pulses():
    """Whole vectors of devices without any are passed over; more chunks than one, and threads."""
    voltage = torch.full((1, 100, 101), 2.5)
    pulses = torch.zeros_like(voltage)
    pulses.view(-1)[::257] = 2.0
    for threads in (1, 3):
        torch.set_num_threads(threads)
        actual, expected = both_ways(Tables([table(28)]), voltage, pulses)
        assert torch.equal(actual, expected)
        assert torch.equal(actual != voltage, pulses > 0)


def test_what_is_no_number_stays_none():
    voltage = torch.tensor([[[torch.nan, torch.nan, 2.5, 2.5]]])
    pulses = torch.tensor([[[0.0, 1.0, torch.nan, torch.inf]]])
    actual, expected = both_ways(Tables([table(28)]), voltage, pulses)
    assert torch.equal(actual.isnan(), expected.isnan())
    assert actual[0, 0, :2].isnan().all()


def test_tables_that_the_kernel_does_not_know_are_left_to_torch():
    """With more than one point in a cell, as steps of very different size have them."""
    steep = Table((0.0, 1.0, 1.0001, 1.0002, 1e4), (2.742, 2.6, 2.5999, 2.5998, 2.1))
    tables = Tables([steep])
    assert (tables.pulses_at.shape[1], tables.voltage_after.shape[1]) not in lookup.KNOWN
    voltage = torch.full((1, 3, 4), 2.7)
    assert not tables.has_kernel(voltage)
    assert not Tables([table(28)]).has_kernel(voltage.double())
    after = tables.after(voltage, torch.full_like(voltage, 0.5))
    torch.testing.assert_close(after, torch.full_like(voltage, 2.7 - 0.5 * 0.142))
