"""Gradient and update of the first layer in one pass: what both give one after the other."""

import pytest
import torch
from conftest import currents_of, dense_currents_of, is_one_pass, random_data, setting_of
from support.cells import ALL, RULES, devices_for, write_noise_for
from support.devices import NAMES, device_of

from devices.ledger_level import LedgerLevel
from devices.noise import Stream
from devices.scheme import ONE_WAY
from models import sparse_update
from models.kernels.load import python_only
from models.sparse_update import BlockDraws
from utils.data.datasets import DataSet
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.step import weight_gradients

STEPS = 18  # batches of 32 images, 6 and one of 8 an epoch; pairs are used up and refreshed


@pytest.fixture(scope="module")
def dim():
    """Images of which each input is zero in some batches; an odd number of inputs."""
    return currents_of(dim_data(), padding=0)


def dim_data() -> DataSet:
    return random_data(0.04, n_train=200, pixels=(9, 9))


OTHERS = {  # of the same family, with constants of their own; of tables also other cells
    "double-linear": "other linear",
    "double-exponential": "other exponential",
    "table": "longer table",
}


def fresh(
    currents, ledger_level=LedgerLevel.WEAR, n_models=2, field="double-linear", **changes
) -> Ensemble:
    """Networks that differ in all that the kernel knows of each."""
    values = dict(lr=5e4, init=0.2, layers=(40, 8)) | changes
    first = setting_of(field=device_of(field), **values)
    values |= dict(lr=0.7 * values["lr"], clipping=1.5 * first.clipping, physical_clipping=False)
    second = setting_of(field=device_of(OTHERS.get(field, field)), **values)
    members = [Member(first, 0), Member(second, 0)][:n_models]
    return Ensemble.fresh(members, currents, ledger_level)


def step(ensemble: Ensemble, currents, number: int) -> list[torch.Tensor]:
    """Takes a step; returns dL/dW of each layer."""
    current, labels = currents.batch(number % 7, 32)
    return weight_gradients(ensemble.network, current, ensemble(current, labels))


def written(ensemble: Ensemble) -> list[torch.Tensor]:
    """All that the update of the first layer changes, but for the sums of its account."""
    array, account = ensemble.network.layers[0].pairs, ensemble.ledger.accounts[0]
    wear = [getattr(account, name) for name in account.wear_names]
    accumulator = [] if array.accumulator is None else [array.accumulator]
    return [array.weight1, array.weight2, array.weight, *wear, *accumulator]


def write(batch, gradient: torch.Tensor, layer, programming, noise=None) -> None:
    """Update the pairs of the first layer in one pass; noise: the numbers of the write noise."""
    zero = torch.zeros((), dtype=torch.int64)
    stream = Stream(torch.zeros(len(gradient), dtype=torch.int64), zero, zero)
    draws = BlockDraws(stream, noise)
    sparse_update.write(batch, gradient, layer.blocks, draws, programming)


def trained(*arguments, **changes) -> Ensemble:
    ensemble = fresh(*arguments, **changes)
    for number in range(STEPS):
        step(ensemble, arguments[0], number)
    return ensemble


def limits(cell: str, rule: str) -> dict:
    return dict(max_pulses=3.0, write_noise=write_noise_for(cell, rule))


NO_SCHEME = [
    (field, ONE_WAY, changes)
    for field in NAMES
    for changes in (
        dict(clipping=0.1),
        dict(clipping=0.0),
        dict(clipping=0.1, physical_clipping=True),
        dict(clipping=0.0, physical_clipping=True),
        dict(clipping=0.1, write_noise=0.05),
    )
]
SCHEMES = [  # with the kernels of test_schemes.py
    (devices_for(cell, rule)[0], cell, RULES[rule] | limits(cell, rule)) for cell, rule in ALL
]


@pytest.mark.parametrize(("field", "cell", "changes"), [*NO_SCHEME, *SCHEMES], ids=str)
def test_it_is_the_gradient_and_then_the_update(field, cell, changes, dim, monkeypatch):
    """Equal bits, but for exponentials and square roots, which PyTorch rounds differently.

    Costs and wear, too. Step by step from the same state. Rounding may decide of a few pairs
    whether they are used up, and of a few requests.
    """
    changes = dict(field=field, cell=cell) | changes
    if field == "double-curved--4.0":  # so steep at its end that more of it leads to infinity
        changes["lr"] = 1e4
    one_pass, two_passes = fresh(dim, **changes), fresh(dim, **changes)
    sums, expected_sums = (each.ledger.accounts[0].sums for each in (one_pass, two_passes))
    kind = sparse_update.kind_of(one_pass.network.layers[0].pairs, one_pass.programming)
    is_exact = "exponential" not in (kind.family, kind.rising) and not (kind.physical or kind.noisy)
    was_in_range = []
    for number in range(STEPS):
        for actual, expected in zip(one_pass.state, two_passes.state, strict=True):
            if not (is_exact and actual.dtype == torch.bool):  # what is in range stays so
                actual.copy_(expected)
        was_in_range.append(bool(one_pass.network.layers[0].in_range.any()))
        assert is_one_pass(one_pass)
        gradients = step(one_pass, dim, number)
        with monkeypatch.context() as patch:
            patch.setattr(sparse_update, "has_kernel", lambda *_: False)
            assert not is_one_pass(two_passes)
            others = step(two_passes, dim, number)
        for gradient, other in zip(gradients, others, strict=True):
            assert torch.equal(gradient, other)
        for actual, expected in zip(written(one_pass), written(two_passes), strict=True):
            same = torch.isclose(actual, expected, rtol=1e-5, atol=2e-6)
            assert torch.equal(actual, expected) if is_exact else (~same).sum() <= 2
        mistaken = (sums - expected_sums).abs()
        assert (mistaken[:, 1:] <= (0 if is_exact else 2)).all()
        assert (mistaken[:, 0] <= 1e-5 * expected_sums[:, 0]).all()
    assert (sums[:, :2] > 0).all()  # pulses and writes
    if cell == ONE_WAY:
        assert any(was_in_range) == is_exact
        assert field == "double-ideal" or (sums[:, 3] > 10).all()  # so many refreshes were seen


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


def test_what_changes_pairs_from_outside_forgets_that_they_are_in_range(dim):
    layer = trained(dim, n_models=1).network.layers[0]
    responses = layer.pairs.responses.each
    for change in (
        lambda: layer.put(layer.pairs.state),
        layer.loaded,
        lambda: layer.set_responses(responses),
        lambda: layer.switch(responses),
    ):
        layer.in_range.fill_(True)
        change()
        assert not layer.in_range.any()


@pytest.mark.parametrize("field", ["double-linear", "table"])
def test_voltages_are_the_same_with_any_number_of_threads(field, dim):
    results = []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        results.append(trained(dim, field=field, n_models=1))
    first, *others = results
    for other in others:
        assert torch.equal(
            first.network.layers[0].pairs.weight, other.network.layers[0].pairs.weight
        )
        accounts = [each.ledger.accounts[0] for each in (first, other)]
        assert torch.equal(*(account.pulses1 for account in accounts))
        torch.testing.assert_close(*(account.sums for account in accounts), rtol=1e-6, atol=0)


@pytest.mark.parametrize("field", ["double-linear", "table"])
def test_kernels_keep_no_tensor_that_they_are_given(field, dim):
    ensemble = fresh(dim, field=field)
    batch, labels = dim.batch(0, 32)

    def uses() -> list[int]:
        return [tensor._use_count() for tensor in (*ensemble.state, *batch.tensors, labels)]

    step(ensemble, dim, 0)
    before = uses()
    for _ in range(3):
        step(ensemble, dim, 0)
    assert uses() == before


def test_when_it_is_used(dim):
    def is_used(**changes) -> bool:
        return is_one_pass(Ensemble.fresh([Member(setting_of(**changes), 0)], dim))

    assert is_used()
    assert is_used(write_noise=0.01)
    with python_only():
        assert not is_used()
    doubled = Ensemble.fresh([Member(setting_of(), 0)], dim).double()
    assert not is_one_pass(doubled)


def test_accounts_of_single_precision_are_refused(dim):
    ensemble = Ensemble.fresh([Member(setting_of(), 0)], dim, LedgerLevel.TOTALS)
    ensemble.ledger.float()
    with pytest.raises(TypeError, match="double precision"):
        ensemble(*dim.batch(0, 32))
