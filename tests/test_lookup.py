"""Measured tables in networks: resampled, within 1e-4 of the span of the measured points."""

from itertools import combinations

import numpy as np
import pytest
import torch

from devices.lookup import SampledResponses, resampled
from devices.resampling import cell_count, cells, chord
from devices.responses import Table


def table(n: int, spacing: str = "equal", steepness: float = 0.0, seed: int = 0) -> Table:
    """Return a table of n points with uneven steps, which shrink (steepness > 0) or grow."""
    rng = np.random.default_rng(seed)
    falls = rng.uniform(0.2, 1.0, n - 1) * np.exp(-steepness * np.linspace(0, 1, n - 1))
    steps = np.ones(n - 1) if spacing == "equal" else rng.uniform(0.3, 1.0, n - 1)
    pulses, fallen = np.append(0, steps.cumsum()), np.append(0, falls.cumsum())
    voltages = 2.742 - 0.567 * fallen / fallen[-1]
    return Table(tuple(pulses.tolist()), tuple(voltages.tolist()))


def corner(x: float) -> float:
    return abs(x - 0.25)


def test_cells_by_hand():
    """A corner on an edge is met with three cells times a power of two; the third is not."""
    assert cells(corner, 1.0, 4) == [(0.25, -0.25), (0.0, 0.25), (0.25, 0.25), (0.5, 0.25)]
    assert chord(corner, 0.25, 1 / 3, 3) == pytest.approx(0.125)  # from 1/4 at 0 to 1/12 at 1/3


def test_cells_are_as_many_as_it_takes():
    """A table of three steps: 12 cells have the corner at an edge, and the line through 1/2."""
    knots = [0.0, 0.25, 0.5, 1.0]
    exact = [(corner(x) - 1e-12, corner(x) + 1e-12) for x in knots]
    assert cell_count(corner, knots, exact) == 12
    off = [(corner(x) - 0.13, corner(x) + 0.13) for x in knots]
    assert cell_count(corner, knots, off) == 3


@pytest.mark.parametrize("n", [2, 3, 28, 61, 186, 501])
@pytest.mark.parametrize("spacing", ["equal", "unequal"])
@pytest.mark.parametrize("steepness", [-3.0, 0.0, 5.0])
def test_measured_points_are_met(n, spacing, steepness):
    """Steps from each point to each later one are within 1e-4 of the span in single precision."""
    measured = table(n, spacing, steepness, seed=n)
    pairs = np.array(list(combinations(range(n), 2))).T
    w, x = np.array(measured.voltages), np.array(measured.pulses)
    before, pulses, expected = (
        torch.tensor(values)[None, None]
        for values in (w[pairs[0]], x[pairs[1]] - x[pairs[0]], w[pairs[1]])
    )
    actual = SampledResponses([measured]).after(before.float(), pulses.float())
    assert (actual - expected).abs().max() < 1e-4 * measured.span


def test_a_curve_that_rises_is_sampled_as_one_that_falls():
    """Mirrored at its start, every step is the other way round."""
    falling = table(28, "unequal", 2.0)
    mirrored = Table(falling.pulses, tuple(2 * 2.742 - w for w in falling.voltages))
    w = torch.linspace(2.2, 2.74, 500)[None, None]
    down = SampledResponses([falling]).after(w, torch.full_like(w, 1.5)) - w
    up = SampledResponses([mirrored]).after(2 * 2.742 - w, torch.full_like(w, 1.5)) - (
        2 * 2.742 - w
    )
    assert (up > 0).all()
    torch.testing.assert_close(up, -down, rtol=0, atol=3e-6)  # voltages above 3 round by 2.4e-7


def test_few_pulses_among_many_are_not_rounded_away():
    """A tenth of a pulse after ten thousand, where single precision counts by thousandths."""
    long = Table((0.0, 20_000.0), (2.742, 2.175))
    w = torch.full((1, 1, 1), 2.742 - 0.567 / 2)
    fallen = w - SampledResponses([long]).after(w, torch.full_like(w, 8.0))
    assert fallen.item() == pytest.approx(8 * 0.567 / 20_000, abs=2.4e-7)  # a rounding of w


def test_a_network_rounds_as_alone_beside_others():
    tables = [table(5, seed=1), table(28, "unequal", seed=2), table(90, "unequal", 3.0, seed=3)]
    together = SampledResponses(tables)
    w = torch.linspace(2.1, 2.8, 999).expand(3, 1, 999).contiguous()
    pulses = torch.linspace(0, 9, 999).expand(3, 1, 999).contiguous()
    actual = together.after(w, pulses)
    for model, response in enumerate(tables):
        alone = SampledResponses([response]).after(w[model, None], pulses[model, None])
        assert torch.equal(actual[model, None], alone)


def test_what_is_no_number_stays_none():
    w = torch.tensor([[[torch.nan, torch.nan, 2.5, 2.5]]])
    pulses = torch.tensor([[[0.0, 1.0, torch.nan, 0.0]]])
    actual = SampledResponses([table(28)]).after(w, pulses)
    assert actual.isnan().tolist() == [[[True, True, False, False]]]
    assert torch.equal(actual[..., 2:], w[..., 2:])  # NaN is no pulse


def test_a_table_that_is_too_steep_is_refused():
    """Four fifths of the range within a millionth of the pulses."""
    steep = Table((0.0, 0.001, 1000.0), (2.742, 2.3, 2.175))
    with pytest.raises(ValueError, match="slope of the curve changes too much"):
        steep.check()
    assert len(resampled(table(186))[2].rows) == 185
