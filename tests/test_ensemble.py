"""Networks side by side: each is the same as alone; sizes of every kind; failures."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from conftest import members_of, setting_of
from support.engine import assert_same_bits

from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.slices import restore, slice_of
from utils.training.trainer import Trainer


def train(members, currents, epochs=2) -> Trainer:
    members = [Member(replace(member.setting, epochs=epochs), member.model) for member in members]
    trainer = Trainer(members, currents, Compiler(enabled=False))
    list(trainer.train(lambda: None))
    return trainer


def states(trainer: Trainer) -> list[dict]:
    return [result.state for result in trainer.results(0.0)]


def assert_close(state: dict, other: dict) -> None:
    """Equal but for the rounding of products."""
    torch.testing.assert_close(state, other, rtol=2e-3, atol=2e-3)


def test_bits_do_not_depend_on_the_number_of_threads(currents):
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        (result,) = train(members_of(setting_of(layers=(512,))), currents).results(0.0)
        results.append(result)
    assert_same_bits(*results)


@pytest.mark.parametrize("batch_size", [1, 8, 33, 199, 200, 201, 1000])
def test_any_batch_size(batch_size, currents):
    """A batch size that divides the data set works; the original scripts got an empty batch."""
    training = train(members_of(setting_of(batch_size=batch_size)), currents, epochs=1)
    steps = -(-200 // batch_size)
    assert training.step == steps == int(training.ensemble.history.step)
    assert training.ensemble.history.losses.isfinite().all()
    (result,) = training.results(0.0)
    assert result.failed_step is None
    assert result.state["layers.2.num_batches_tracked"] == steps


@pytest.mark.parametrize("layers", [(3,), (1,), (20, 8), (8, 8, 8)])
def test_any_layers(layers, currents):
    setting = setting_of(layers=layers)
    (result,) = train(members_of(setting), currents, 1).results(0.0)
    sizes = [144, *layers, 4]
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        for name in ("weight1", "weight2"):
            assert result.state[f"layers.{1 + 3 * layer}.{name}"].shape == (n_out, n_in)
        assert result.state[f"layers.{2 + 3 * layer}.running_mean"].shape == (n_out,)
    assert len(result.state) == 5 * (len(layers) + 1)


def test_pulse_request_is_the_mean_over_all_devices(currents):
    ensemble = Ensemble.fresh(members_of(setting_of(lr=2000.0)), currents)
    shapes = [weight.shape for weight in ensemble.network.weights]
    gradients = [torch.full(shape, -0.5) for shape in shapes]
    active = sum(shape[1] * shape[2] for shape in shapes)
    total = 144 * 24 + 24 * 4
    request = ensemble.pulse_request(gradients)
    assert request.item() == pytest.approx(2000 * 0.5 * active / total)


def test_slices_go_back_into_an_ensemble(currents):
    """A network's slice and its seed are all there is to know of it."""
    trainer = train(members_of(setting_of(), 2), currents, epochs=1)
    trainer.ensemble.history.loss_sum += torch.tensor([1.5, 2.5])
    fresh = Ensemble.fresh(trainer.members, currents)
    restore(fresh, [slice_of(trainer.ensemble, model) for model in (0, 1)])
    for actual, expected in zip(fresh.state, trainer.ensemble.state, strict=True):
        assert torch.equal(actual, expected)
    alone = Ensemble.fresh(trainer.members[1:], currents)
    restore(alone, [slice_of(trainer.ensemble, 1)])
    for layer in (0, 1):
        actual, expected = (
            alone.network.layers[layer].pairs,
            trainer.ensemble.network.layers[layer].pairs,
        )
        assert torch.equal(actual.weight[0], expected.weight[1])
    assert alone.history.losses[0, 0] == trainer.ensemble.history.losses[1, 0]
    assert alone.history.loss_sum.tolist() == [2.5]


def test_a_slice_holds_no_more_than_what_training_changes(currents):
    ensemble = Ensemble.fresh(members_of(setting_of(), 3), currents)
    for name, tensor in slice_of(ensemble, 1).items():
        assert "slope" not in name
        assert tensor.untyped_storage().nbytes() == tensor.nbytes  # no view of all networks


def test_a_network_that_stops_being_finite_is_marked_and_the_others_go_on(currents):
    setting = setting_of()
    training = Trainer(members_of(setting, 3), currents, Compiler(enabled=False))
    epochs = training.train(lambda: None)
    next(epochs)
    training.ensemble.network.layers[0].pairs.weight[1, 2, 3] = torch.nan
    assert list(epochs) == [1]
    good, bad, good_too = training.results(0.0)
    assert bad.failed_step == training.per_epoch
    assert bad.accuracies[0].isfinite()
    assert bad.accuracies[1].isnan()
    assert bad.pulse_requests[1].isnan()
    for model, result in ((0, good), (2, good_too)):
        assert result.failed_step is None
        alone = train([Member(setting, model)], currents)
        assert_close(result.state, states(alone)[0])
