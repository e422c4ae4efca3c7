"""A trainer through its epochs, against the float64 reference: weights and all that it records."""

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of, is_one_pass, setting_of
from reference import Network
from support.devices import device_of
from test_reference import TEST_BATCH, distance, trained_reference

from devices.ledger import COUNTS
from devices.ledger_level import LedgerLevel
from models.first_layer import pad
from models.state_dict import state_dict
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training import evaluation
from utils.training.slices import slice_of
from utils.training.trainer import Trainer

EPOCHS, BATCH = 4, 8  # 100 mini-batches, so that batch normalisation forgets its start
PHYSICS = dict(
    lr=500.0,
    var=0.2,
    resistor_noise=0.02,
    voltage_noise=2e-5,
    clipping=0.02,
    init=0.1,
    layers=(24,),
)
ONE_IMAGE = 1 / 50  # of the test, which rounding may decide


@pytest.fixture(autouse=True)
def several_test_batches(monkeypatch):
    monkeypatch.setattr(evaluation, "TEST_BATCH", TEST_BATCH)


@pytest.fixture(scope="module", params=["double-linear", "double-exponential"])
def reference(request, patterns) -> Network:
    """Trained for some epochs, with what each has come to."""
    field = request.param
    network = Network(
        (144, *PHYSICS["layers"], 4),
        field,
        seed=100,
        lr=PHYSICS["lr"],
        var=PHYSICS["var"],
        sigma_r=PHYSICS["resistor_noise"],
        sigma_v=PHYSICS["voltage_noise"],
        clipping=PHYSICS["clipping"],
        init=PHYSICS["init"],
    )
    network.field = field
    images, labels = pad(patterns.train_images, 1) / 255, patterns.train_labels
    network.requests, network.losses, network.accuracies, network.ledger = [], [], [], []
    for _ in range(EPOCHS):
        losses, before = [], np.array(network.costs)
        for start in range(0, 200, BATCH):
            samples = slice(start, start + BATCH)
            loss, gradients = network.train(images[samples], labels[samples])
            losses.append(loss)
        n_weights = sum(gradient.size for gradient in gradients)
        total = sum(abs(gradient).sum() for gradient in gradients)
        network.requests.append(PHYSICS["lr"] * total / n_weights)
        network.losses.append(np.mean(losses))
        network.accuracies.append(accuracy(network, patterns))
        network.ledger.append(np.array(network.costs) - before)
    network.swap = accuracy(network, patterns, relaxed=True)
    return network


def accuracy(network: Network, patterns, relaxed=False) -> float:
    """Over the test images, batch by batch."""
    images, correct = pad(patterns.test_images, 1) / 255, 0
    for number, start in enumerate(range(0, 50, TEST_BATCH)):
        samples = slice(start, start + TEST_BATCH)
        part = number + evaluation.RELAXED * relaxed
        outputs = network.test(images[samples], part, relaxed)
        correct += (outputs.argmax(1) == patterns.test_labels[samples]).sum()
    return correct / 50


def trainer_of(reference, patterns, device="cpu", compiled=False) -> Trainer:
    field = device_of(reference.field)
    setting = setting_of(field=field, epochs=EPOCHS, batch_size=BATCH, **PHYSICS)
    currents = currents_of(patterns, device=device)
    member, graphed = Member(setting, 0), currents.are_on_gpu
    return Trainer([member], currents, Compiler(compiled), graphed, LedgerLevel.WEAR)


def check(trainer: Trainer, reference: Network) -> None:
    (result,) = trainer.results(seconds=0.0)
    assert distance(result.state, reference) < 5e-3
    np.testing.assert_allclose(result.pulse_requests.numpy(), reference.requests, rtol=1e-3)
    losses = trainer.ensemble.history.losses[0].cpu().numpy()
    np.testing.assert_allclose(losses, reference.losses, rtol=1e-3)
    np.testing.assert_allclose(
        result.accuracies.numpy(), reference.accuracies, atol=1.01 * ONE_IMAGE
    )
    assert result.swap_accuracy == pytest.approx(reference.swap, abs=1.01 * ONE_IMAGE)
    assert result.loss == losses[-1]
    check_ledger(result.ledger, reference)


def check_ledger(ledger: dict, reference: Network) -> None:
    """By epoch and layer; and of each device in its life, also on inputs that are always zero."""
    for k, name in enumerate(COUNTS):
        expected = [[layer[k] for layer in epoch] for epoch in reference.ledger]
        np.testing.assert_allclose(ledger[name], expected, rtol=2e-3, atol=2, err_msg=name)
    assert ledger["pairs"].tolist() == [144 * 24, 24 * 4]
    for layer, worn in enumerate(zip(reference.worn1, reference.worn2, strict=True)):
        place = f"layers.{1 + 3 * layer}"
        for name, expected in zip(("pulses1", "pulses2"), worn, strict=True):
            difference = ledger[f"{place}.{name}"].double().numpy() - expected
            assert np.linalg.norm(difference) < 5e-3 * np.linalg.norm(expected)
        difference = ledger[f"{place}.refreshes"].double().numpy() - reference.refreshed[layer]
        assert abs(difference).sum() <= 2 + 2e-3 * reference.refreshed[layer].sum()
    assert sum(refreshed.sum() for refreshed in reference.refreshed) > 10


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_training_records_what_the_reference_does(compiled, device, reference, patterns):
    """On a GPU most steps are replays of a graph."""
    if compiled and device == "cpu" and reference.field == "double-exponential":
        pytest.skip("a compiled exponential network follows the reference in test_reference.py")
    trainer = trainer_of(reference, patterns, device, compiled)
    trainer.prepare()
    assert list(trainer.train(lambda: None)) == list(range(EPOCHS))
    assert trainer.compiler.enabled == compiled, trainer.compiler.failure
    check(trainer, reference)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_two_layers_of_small_batches_follow_the_reference(compiled, patterns):
    """Compiled, factors of their products come as the compiler lays them out."""
    physics = PHYSICS | dict(layers=(24, 24))
    trainer = Trainer(
        [Member(setting_of(batch_size=BATCH, **physics), 0)],
        currents_of(patterns),
        Compiler(compiled),
    )
    trainer.prepare()
    network = Network(
        (144, 24, 24, 4),
        "double-linear",
        100,
        physics["lr"],
        physics["var"],
        physics["resistor_noise"],
        physics["voltage_noise"],
        physics["clipping"],
        init=physics["init"],
    )
    images = pad(patterns.train_images, 1) / 255
    for start in range(0, 200, BATCH):
        samples = slice(start, start + BATCH)
        network.train(images[samples], patterns.train_labels[samples])
        with torch.no_grad():
            trainer.learn()
    assert trainer.compiler.enabled == compiled, trainer.compiler.failure
    state = state_dict(trainer.ensemble.network, 0, trainer.ensemble.history.step)
    assert distance(state, network) < 5e-3


def stop_at(trainer: Trainer, step: int) -> None:
    """Train until so many mini-batches are done."""

    class StoppedError(Exception):
        pass

    def stop():
        if trainer.step == step:
            raise StoppedError

    with pytest.raises(StoppedError):
        list(trainer.train(stop))


@pytest.mark.parametrize("device", DEVICES)
def test_a_trainer_that_goes_on_from_a_checkpoint_does_too(device, reference, patterns):
    """Stopped in the middle of the third epoch."""
    first = trainer_of(reference, patterns, device)
    stop_at(first, 60)
    checkpoint = slice_of(first.ensemble, 0)
    second = trainer_of(reference, patterns, device)
    second.restore([checkpoint])
    assert list(second.train(lambda: None)) == [2, 3]
    check(second, reference)


@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_a_trainer_on_sparse_products_goes_on_to_the_bit(field, sparse_patterns):
    """Two epochs of seven mini-batches, stopped in the middle of the second; pairs in blocks."""
    physics = PHYSICS | dict(lr=3000.0, layers=(40,))
    setting = setting_of(field=device_of(field), **physics)
    currents = currents_of(sparse_patterns)
    assert currents.product == "sparse"
    undisturbed, first, second = (
        Trainer([Member(setting, 0)], currents, Compiler(False)) for _ in range(3)
    )
    list(undisturbed.train(lambda: None))
    (whole,) = undisturbed.results(0.0)
    assert is_one_pass(undisturbed.ensemble)
    network = trained_reference(field, sparse_patterns, 14, **physics)
    assert distance(whole.state, network) < 5e-3
    expected = physics["lr"] * sum(abs(each).sum() for each in network.gradients)
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
