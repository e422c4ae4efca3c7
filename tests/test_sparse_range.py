"""Pairs beyond their range, which the one pass of gradient and update takes back into it."""

import pytest
import torch
from conftest import dense_currents_of
from support.sparse import dim_data, fresh

from devices.ledger_level import LedgerLevel
from devices.noise import Stream
from models import sparse_update
from models.sparse_update import BlockDraws


def write(batch, gradient: torch.Tensor, layer, programming, noise=None) -> None:
    """Update the pairs of the first layer in one pass; noise: the numbers of the write noise."""
    zero = torch.zeros((), dtype=torch.int64)
    stream = Stream(torch.zeros(len(gradient), dtype=torch.int64), zero, zero)
    draws = BlockDraws(stream, noise)
    sparse_update.write(batch, gradient, layer.blocks, draws, programming)


@pytest.mark.parametrize("is_active", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((4.0, 2.5), (2.742, 2.5)),  # above the top
        ((2.0, 2.5), (2.417, 2.742)),  # below the end: clamped, and refreshed
        ((2.175, 2.5), (2.417, 2.742)),  # at the end
        ((2.5, 2.0), (2.742, 2.417)),
        ((2.175, 2.742), (2.175, 2.742)),  # at the largest weight of all
    ],
)
def test_a_pair_beyond_its_range_comes_back_without_a_pulse(before, after, is_active, dim):
    """Writes far beyond the end and a switch to a device of fewer pulses leave such pairs."""
    ensemble = fresh(dim, LedgerLevel.NOTHING, n_models=1)
    layer = ensemble.network.layers[0]
    array = layer.pairs
    batch, _ = dim.batch(0, 32)
    first = int(batch.first_input)
    pairs = range(first, first + (layer.n_inputs + 1) // 2)
    offsets = batch.by_input.offsets
    pair = next(p for p in pairs if (offsets[3 * p] < offsets[3 * p + 3]) == is_active)
    row = int(batch.by_input.rows[pair, 0])
    end, top = float(array.responses.lowest), float(array.responses.w_max)
    exact = {2.175: end, 2.742: top}
    for weight, value in zip((array.weight1, array.weight2), before, strict=True):
        weight[0, row, 3] = exact.get(value, value)
    array.weight.copy_(array.weight2 - array.weight1)
    nothing = torch.zeros(1, 40, 32)
    write(batch, nothing, layer, ensemble.programming)
    actual = [float(weight[0, row, 3]) for weight in (array.weight1, array.weight2)]
    assert actual == pytest.approx(after, abs=1e-6)
    assert float(array.weight[0, row, 3]) == pytest.approx(after[1] - after[0], abs=1e-6)


def test_write_noise_that_moves_a_device_off_the_top_is_taken_back_with_the_next_batch(dim):
    """At the largest weight, device 1 is used up and device 2 at the top of its range.

    Device 2 is written with one pulse and ends above the top by noise. A refresh then keeps W,
    which puts device 1 below its range. The next batch, without a pulse, takes both back.
    """
    ensemble = fresh(dim, LedgerLevel.NOTHING, n_models=1, max_pulses=1.0, write_noise=0.05)
    layer = ensemble.network.layers[0]
    pairs, batch = layer.pairs, dim.batch(0, 32)[0]
    end, top = float(pairs.responses.lowest), float(pairs.responses.w_max)
    pair = int(batch.by_input.offsets[::3].diff().nonzero()[0])
    row = int(batch.by_input.rows[pair, 0])
    pairs.weight1.fill_(2.5), pairs.weight2.fill_(2.5)  # no other pair leaves its range
    pairs.weight1[0, row, 3], pairs.weight2[0, row, 3] = end, top
    gradient, noise = torch.zeros(1, 40, 32), torch.ones_like(pairs.weight)
    gradient[0, 3] = 1e3
    write(batch, gradient, layer, ensemble.programming, noise)
    assert float(pairs.weight2[0, row, 3]) == top
    assert float(pairs.weight1[0, row, 3]) < end - 1e-3
    write(batch, gradient * 0, layer, ensemble.programming, noise)
    assert float(pairs.weight2[0, row, 3]) == top
    assert float(pairs.weight1[0, row, 3]) == end


@pytest.mark.parametrize("threads", [1, 5])  # with five, a block is done in parts
@pytest.mark.parametrize("end", [0, -1])  # of the inputs, so in one part or in another
def test_a_pair_above_its_range_comes_back_with_the_next_batch(threads, end, dim):
    """Where both devices of a pair are used up at once, w1 lands above, until it is clamped."""
    torch.set_num_threads(threads)
    ensemble = fresh(dim, LedgerLevel.NOTHING)
    layer, programming = ensemble.network.layers[0], ensemble.programming
    array, in_range = layer.pairs, layer.in_range
    batch, _ = dim.batch(0, 32)
    images = dense_currents_of(dim_data(), padding=0).inputs.train[:32]
    active = int(images.amax(0).nonzero()[end])  # an input that some image uses
    lowest, top = (float(getattr(array.responses, name)[1]) for name in ("lowest", "w_max"))
    array.weight1[1, active, 3], array.weight2[1, active, 3] = lowest, top
    nothing = torch.zeros(2, 40, 32)
    write(batch, nothing, layer, programming)  # looks at all pairs
    assert in_range.tolist() == [[True, True], [True, True]]
    gradient = nothing.clone()
    gradient[1, 3] = 1e4
    write(batch, gradient, layer, programming)
    assert array.weight1[1, active, 3] > top
    # Of the second network, not of its outputs 32 to 39.
    assert in_range.tolist() == [[True, True], [False, True]]
    write(batch, nothing, layer, programming)
    assert array.weight1[1, active, 3] == array.weight2[1, active, 3] == top
    assert array.weight[1, active, 3] == 0
    assert in_range.tolist() == [[True, True], [True, True]]
