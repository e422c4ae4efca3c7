"""A trainer through its epochs, against the float64 reference: weights and all that it records."""

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of, is_one_pass, setting_of
from support.engine import stop_at
from support.reference_networks import (
    ONE_IMAGE,
    ReferenceRun,
    batches,
    distance,
    reference_of,
    trained_reference,
)

from devices.ledger import COUNTS
from devices.ledger_level import LedgerLevel
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training.slices import slice_of
from utils.training.state_dict import state_dict
from utils.training.trainer import Trainer

EPOCHS = 4
FLAGS = dict(
    epochs=EPOCHS,
    batch_size=8,  # 100 mini-batches, so that batch normalisation forgets its start
    lr=500.0,
    var=0.2,
    resistor_noise=0.02,
    voltage_noise=2e-5,
    clipping=0.02,
    init=0.1,
    layers=(24,),
)


pytestmark = pytest.mark.usefixtures("several_test_batches")


@pytest.fixture(scope="module", params=["double-linear", "double-exponential"])
def reference(request, patterns) -> ReferenceRun:
    return ReferenceRun(setting_of(**FLAGS, field=request.param), patterns)


def trainer_of(reference: ReferenceRun, device="cpu", compiled=False) -> Trainer:
    currents = currents_of(reference.data, device=device)
    member, graphed = Member(reference.setting, 0), currents.are_on_gpu
    return Trainer([member], currents, Compiler(compiled), graphed, LedgerLevel.WEAR)


def check(trainer: Trainer, reference: ReferenceRun) -> None:
    (result,) = trainer.results(seconds=0.0)
    assert distance(result.state, reference.network) < 5e-3
    np.testing.assert_allclose(result.pulse_requests.numpy(), reference.requests, rtol=1e-3)
    losses = trainer.ensemble.history.losses[0].cpu().numpy()
    np.testing.assert_allclose(losses, reference.losses, rtol=1e-3)
    np.testing.assert_allclose(
        result.accuracies.numpy(), reference.accuracies, atol=1.01 * ONE_IMAGE
    )
    assert result.swap_accuracy == pytest.approx(reference.swap, abs=1.01 * ONE_IMAGE)
    assert result.loss == losses[-1]
    check_ledger(result.ledger, reference)


def check_ledger(ledger: dict, reference: ReferenceRun) -> None:
    """By epoch and layer; and of each device in its life, on inputs that are always zero, too."""
    network = reference.network
    for k, name in enumerate(COUNTS):
        expected = [[layer[k] for layer in epoch] for epoch in reference.costs]
        np.testing.assert_allclose(ledger[name], expected, rtol=2e-3, atol=2, err_msg=name)
    assert ledger["pairs"].tolist() == [144 * 24, 24 * 4]
    for layer, worn in enumerate(zip(network.worn1, network.worn2, strict=True)):
        place = f"layers.{1 + 3 * layer}"
        for name, expected in zip(("pulses1", "pulses2"), worn, strict=True):
            difference = ledger[f"{place}.{name}"].double().numpy() - expected
            assert np.linalg.norm(difference) < 5e-3 * np.linalg.norm(expected)
        difference = ledger[f"{place}.refreshes"].double().numpy() - network.refreshed[layer]
        assert abs(difference).sum() <= 2 + 2e-3 * network.refreshed[layer].sum()
    assert sum(refreshed.sum() for refreshed in network.refreshed) > 10


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_training_records_what_the_reference_does(compiled, device, reference):
    """On a GPU most steps are replays of a graph."""
    if compiled and device == "cpu" and reference.setting.field.name == "double-exponential":
        pytest.skip("a compiled exponential network follows the reference in test_reference.py")
    trainer = trainer_of(reference, device, compiled)
    trainer.prepare()
    assert list(trainer.train(lambda: None)) == list(range(EPOCHS))
    assert trainer.compiler.enabled == compiled, trainer.compiler.failure
    check(trainer, reference)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_two_layers_of_small_batches_follow_the_reference(compiled, patterns):
    """Compiled, factors of their products come as the compiler lays them out."""
    setting = setting_of(**FLAGS | dict(layers=(24, 24)))
    trainer = Trainer([Member(setting, 0)], currents_of(patterns), Compiler(compiled))
    trainer.prepare()
    network = reference_of(setting, patterns)
    for images, labels in batches(setting, patterns):
        network.train(images, labels)
        with torch.no_grad():
            trainer.learn()
    assert trainer.compiler.enabled == compiled, trainer.compiler.failure
    state = state_dict(trainer.ensemble.network, 0, trainer.ensemble.history.step)
    assert distance(state, network) < 5e-3


@pytest.mark.parametrize("device", DEVICES)
def test_a_trainer_that_goes_on_from_a_checkpoint_does_too(device, reference):
    """Stopped in the middle of the third epoch."""
    first = trainer_of(reference, device)
    stop_at(first, 60)
    checkpoint = slice_of(first.ensemble, 0)
    second = trainer_of(reference, device)
    second.restore([checkpoint])
    assert list(second.train(lambda: None)) == [2, 3]
    check(second, reference)


@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_a_trainer_on_sparse_products_goes_on_to_the_bit(field, sparse_patterns):
    """Two epochs of seven mini-batches, stopped in the middle of the second; pairs in blocks."""
    flags = FLAGS | dict(epochs=2, batch_size=32, lr=3000.0, layers=(40,))
    setting = setting_of(**flags, field=field)
    currents = currents_of(sparse_patterns)
    assert currents.product == "sparse"
    undisturbed, first, second = (
        Trainer([Member(setting, 0)], currents, Compiler(False)) for _ in range(3)
    )
    list(undisturbed.train(lambda: None))
    (whole,) = undisturbed.results(0.0)
    assert is_one_pass(undisturbed.ensemble)
    network = trained_reference(field, sparse_patterns, 14, 1.0, **flags)
    assert distance(whole.state, network) < 5e-3
    expected = flags["lr"] * sum(abs(each).sum() for each in network.gradients)
    expected /= undisturbed.ensemble.network.n_pairs
    assert float(whole.pulse_requests[-1]) == pytest.approx(expected, rel=1e-3)

    stop_at(first, 10)
    second.restore([slice_of(first.ensemble, 0)])
    assert list(second.train(lambda: None)) == [1]
    (resumed,) = second.results(0.0)
    for name, tensor in whole.state.items():
        assert torch.equal(resumed.state[name], tensor), name
    for name in ("accuracies", "losses", "pulse_requests"):
        mine, theirs = (getattr(each.ensemble.history, name) for each in (second, undisturbed))
        assert torch.equal(mine, theirs), name
    assert resumed.swap_accuracy == whole.swap_accuracy


def test_the_epochs_differ_enough_to_be_told_apart(reference):
    """So that a number recorded in another epoch, or of another batch, is seen."""
    assert min(abs(np.diff(reference.requests)) / reference.requests[:-1]) > 5e-3
    assert reference.losses[0] > 1.05 * reference.losses[1]
    assert max(reference.accuracies) - min(reference.accuracies) > 5 * ONE_IMAGE


def test_news_are_means_over_the_networks_of_a_setting(currents):
    settings = [setting_of(lr=1000.0), setting_of(lr=4000.0)]
    members = [Member(settings[0], 0), Member(settings[1], 0), Member(settings[0], 7)]
    trainer = Trainer(members, currents, Compiler(False))
    next(trainer.train(lambda: None))
    first, second = trainer.news(0)
    histories = trainer.ensemble.history.accuracies, trainer.ensemble.history.losses
    assert (first.setting, first.models, first.number) == (settings[0], (0, 7), 1)
    assert (second.setting, second.models) == (settings[1], (0,))
    for mine, history in zip((first.accuracy, first.loss), histories, strict=True):
        assert mine == pytest.approx(float(history[0, 0] + history[2, 0]) / 2)
    assert second.pulse_request == pytest.approx(
        float(trainer.ensemble.history.pulse_requests[1, 0])
    )


def test_steps_that_did_not_run_are_noticed(currents):
    trainer = Trainer([Member(setting_of(), 0)], currents, Compiler(False))
    trainer.step += 1
    with pytest.raises(AssertionError, match="steps ran"):
        list(trainer.train(lambda: None))
