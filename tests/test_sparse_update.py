"""Gradient and update of the first layer in one pass: what both give one after the other."""

import pytest
import torch
from conftest import is_one_pass, setting_of
from support.cells import ALL, RULES, devices_for, write_noise_for
from support.devices import NAMES
from support.sparse import fresh

from devices.ledger_level import LedgerLevel
from devices.scheme import ONE_WAY
from models import sparse_update
from models.kernels.load import python_only
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.step import weight_gradients

STEPS = 18  # batches of 32 images, 6 and one of 8 an epoch; pairs are used up and refreshed


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
    sums, expected_sums = (ensemble.ledger.accounts[0].sums for ensemble in (one_pass, two_passes))
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
            expected_gradients = step(two_passes, dim, number)
        for gradient, expected in zip(gradients, expected_gradients, strict=True):
            assert torch.equal(gradient, expected)
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


def test_what_changes_pairs_from_outside_forgets_that_they_are_in_range(dim):
    layer = trained(dim, n_models=1).network.layers[0]
    responses = layer.pairs.responses.by_network
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
    first, *later = results
    for other in later:
        assert torch.equal(
            first.network.layers[0].pairs.weight, other.network.layers[0].pairs.weight
        )
        accounts = [ensemble.ledger.accounts[0] for ensemble in (first, other)]
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
