"""The field is switched while a network learns: against the float64 reference, and across stops."""

import numpy as np
import pytest
import torch
from conftest import DEVICES, currents_of, setting_of
from reference import Network
from support.devices import device_of
from test_reference import TEST_BATCH, distance

from devices.pair import PairArray
from models.currents import pad
from models.noisy_pair import NoisyPairProduct
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training import evaluation
from utils.training.ensemble import Ensemble
from utils.training.evaluation import SWITCHED
from utils.training.trainer import Trainer

EPOCHS, SWITCH, BATCH = 4, 2, 16  # 13 mini-batches an epoch, the last one smaller
PHYSICS = dict(
    lr=1500.0, var=0.2, resistor_noise=0.05, voltage_noise=2e-5, clipping=0.05, init=0.25,
    write_noise=0.02, layers=(24,),
)  # fmt: skip
ONE_IMAGE = 1 / 50  # of the test, which rounding may decide
LINEAR, EXPONENTIAL = "double-linear", "double-exponential"


@pytest.fixture(autouse=True)
def several_test_batches(monkeypatch):
    monkeypatch.setattr(evaluation, "TEST_BATCH", TEST_BATCH)


def trainer_of(first, second, data, device="cpu", compiled=False, models=(0,), **changes):
    fields = dict(field=device_of(first), second=device_of(second))
    values = dict(epochs=EPOCHS, batch_size=BATCH, switch_epoch=SWITCH) | PHYSICS | changes
    setting = setting_of(**fields, **values)
    currents = currents_of(data, device=device, batch_size=values["batch_size"])
    members = [Member(setting, model) for model in models]
    return Trainer(members, currents, Compiler(compiled), currents.are_on_gpu)


class Reference:
    """A network of the reference through all epochs, and what each has come to."""

    def __init__(self, first, second, data, switch=SWITCH, **changes):
        physics = PHYSICS | changes
        self.data, self.epoch = data, 0
        self.network = Network(
            (144, *physics["layers"], 4), first, seed=100, lr=physics["lr"], var=physics["var"],
            sigma_r=physics["resistor_noise"], sigma_v=physics["voltage_noise"],
            clipping=physics["clipping"], init=physics["init"], sigma_w=physics["write_noise"],
            lit=currents_of(data).pixels.lit.numpy(),
        )  # fmt: skip
        self.losses, self.accuracies, self.requests = [], [], []
        for epoch in range(EPOCHS):
            if epoch == switch:
                self.before = [w.copy() for w in (*self.network.w1, *self.network.w2)]
                self.network.switch(second)
                self.switch_outputs, self.switch_accuracy = self.test(SWITCHED)
            self.train(physics["lr"])
            self.accuracies.append(self.test()[1])
        self.swap = self.test(evaluation.RELAXED, relaxed=True)[1] if self.network.partner else None

    def train(self, lr):
        images, labels, losses = pad(self.data.train_images, 1) / 255, self.data.train_labels, []
        for start in range(0, 200, BATCH):
            samples = slice(start, min(start + BATCH, 200))
            loss, gradients = self.network.train(images[samples], labels[samples])
            losses.append(loss)
        n_weights = sum(gradient.size for gradient in gradients)
        self.requests.append(lr * sum(abs(each).sum() for each in gradients) / n_weights)
        self.losses.append(np.mean(losses))

    def test(self, address=0, relaxed=False):
        """Outputs [image, class] and the share of right ones, batch by batch."""
        images, outputs = pad(self.data.test_images, 1) / 255, []
        for number, start in enumerate(range(0, 50, TEST_BATCH)):
            part = images[start : start + TEST_BATCH]
            outputs.append(self.network.test(part, number + address, relaxed))
        outputs = np.concatenate(outputs)
        return outputs, (outputs.argmax(1) == self.data.test_labels).mean()


def check(trainer, reference, model=0):
    result = list(trainer.results(seconds=0.0))[model]
    assert distance(result.state, reference.network) < 5e-3
    np.testing.assert_allclose(result.pulse_requests.numpy(), reference.requests, rtol=2e-3)
    losses = trainer.ensemble.losses[model].cpu().numpy()
    np.testing.assert_allclose(losses, reference.losses, rtol=1e-3)
    np.testing.assert_allclose(
        result.accuracies.numpy(), reference.accuracies, atol=1.01 * ONE_IMAGE
    )
    near = dict(abs=1.01 * ONE_IMAGE)
    assert result.switch_accuracy == pytest.approx(reference.switch_accuracy, **near)
    if reference.swap is None:
        assert result.swap_accuracy is None
    else:
        assert result.swap_accuracy == pytest.approx(reference.swap, **near)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("first", "second", "data", "compiled"),
    [
        (LINEAR, EXPONENTIAL, "patterns", False),
        (EXPONENTIAL, LINEAR, "patterns", False),
        (EXPONENTIAL, LINEAR, "patterns", True),
        (LINEAR, EXPONENTIAL, "sparse_patterns", True),
        (EXPONENTIAL, "double-curved--4.0", "sparse_patterns", False),
        ("table", "double-ideal", "patterns", False),
        ("other exponential", "table", "patterns", False),
    ],
)
def test_a_switched_network_follows_the_reference(
    first, second, data, compiled, device, request, monkeypatch
):
    """26 steps on either side; all noises, variability and clipping on."""
    data = request.getfixturevalue(data)
    if data is request.getfixturevalue("sparse_patterns"):
        monkeypatch.setattr("models.light.SMALLEST_BATCH", BATCH)
    trainer = trainer_of(first, second, data, device, compiled)
    reference = Reference(first, second, data)
    trainer.prepare()
    programs = len(trainer.compiler.programs)
    assert list(trainer.train(lambda: None)) == list(range(EPOCHS))
    assert len(trainer.compiler.programs) == programs  # all were made before
    assert trainer.compiler.enabled == compiled
    check(trainer, reference)
