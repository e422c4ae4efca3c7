"""A trainer through its epochs, against the float64 reference: weights and all that it records."""

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of, setting_of
from support.engine import TOLERANCE, check_result, check_wear, stop_at
from support.reference_networks import ONE_IMAGE, ReferenceRun, batches, distance, reference_of

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


def check(trainer: Trainer, reference: ReferenceRun, epochs: list[int]) -> None:
    """Train the epochs that are left, and compare all records; always-zero inputs wear nothing."""
    trainer.prepare()
    assert list(trainer.train(lambda: None)) == epochs
    (result,) = trainer.results(seconds=0.0)
    check_result(trainer, result, reference)
    check_wear(result.ledger, reference.network)
    assert result.ledger["pairs"].tolist() == [144 * 24, 24 * 4]
    assert sum(refreshed.sum() for refreshed in reference.network.refreshed) > 10


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_training_records_what_the_reference_does(compiled, device, reference):
    """On a GPU most steps are replays of a graph."""
    if compiled and device == "cpu":
        pytest.skip("a compiled network follows the reference through its epochs in test_switch.py")
    trainer = trainer_of(reference, device, compiled)
    check(trainer, reference, list(range(EPOCHS)))
    assert trainer.compiler.enabled == compiled, trainer.compiler.failure


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
    assert distance(state, network) < TOLERANCE


@pytest.mark.parametrize("device", DEVICES)
def test_a_trainer_that_resumes_from_a_checkpoint_does_too(device, reference):
    """Stopped in the middle of the third epoch."""
    first = trainer_of(reference, device)
    stop_at(first, 60)
    second = trainer_of(reference, device)
    second.restore([slice_of(first.ensemble, 0)])
    check(second, reference, [2, 3])


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
    for mean, history in zip((first.accuracy, first.loss), histories, strict=True):
        assert mean == pytest.approx(float(history[0, 0] + history[2, 0]) / 2)
    assert second.pulse_request == pytest.approx(
        float(trainer.ensemble.history.pulse_requests[1, 0])
    )


def test_steps_that_did_not_run_are_noticed(currents):
    trainer = Trainer([Member(setting_of(), 0)], currents, Compiler(False))
    trainer.step += 1
    with pytest.raises(AssertionError, match="steps ran"):
        list(trainer.train(lambda: None))
