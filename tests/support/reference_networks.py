"""Networks of `tests/reference.py` for settings of the project, and how far apart results are."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import cycle, islice

import numpy as np
import pytest
import torch
from conftest import setting_of
from numpy.typing import NDArray
from reference import Network, Physics

from support.devices import device_of
from utils.data.datasets import DataSet
from utils.settings import Setting
from utils.training.evaluation import RELAXED, SWITCHED

TEST_BATCH = 16  # of 50 test images: three full batches and an odd one
STEPS = 30
NOISY = dict(
    lr=3000.0, var=0.2, resistor_noise=0.1, voltage_noise=5e-5, clipping=0.1, layers=(24, 16)
)
EXTRAS = dict(device_noise=True, physical_clipping=True)
ONE_IMAGE = 1 / 50  # of the test, which rounding may decide


def inputs(images: NDArray[np.uint8], padding: int = 1) -> NDArray[np.float64]:
    """Images [n, side, side] as inputs 0 to 1, [n, pixels], with a border of zeros."""
    return np.pad(images, ((0, 0), (padding,) * 2, (padding,) * 2)).reshape(len(images), -1) / 255


def addressed_inputs(train: NDArray, test: NDArray) -> tuple[NDArray, NDArray]:
    """Inputs for which write and read noise is drawn, in this order: in training, and in tests.

    Those that are not zero in every training image come first, filled up to a multiple of 16 with
    others, rather with those that some test image uses; then come the rest of these.
    """
    in_train, in_test = train.any(0), test.any(0)
    groups = in_train, ~in_train & in_test, ~(in_train | in_test)
    order = np.concatenate([np.flatnonzero(group) for group in groups])
    n_active = min(-(-in_train.sum() // 16) * 16, len(order))
    active = np.sort(order[:n_active])
    return active, np.concatenate([active, order[n_active : (in_train | in_test).sum()]])


def reference_of(setting: Setting, data: DataSet, model: int = 0) -> Network:
    """Return the reference's fresh network for model `model` of a setting."""
    train = inputs(data.train_images, setting.padding)
    active, tested = addressed_inputs(train, inputs(data.test_images, setting.padding))
    physics = Physics(
        lr=setting.lr,
        var=setting.var,
        sigma_r=setting.resistor_noise,
        sigma_v=setting.voltage_noise,
        clipping=setting.clipping,
        init=setting.init,
        input_scale=setting.input_scale,
        sigma_w=setting.write_noise,
        device_noise=setting.device_noise,
        physical_clipping=setting.physical_clipping,
        cell=setting.cell,
        rounding=setting.rounding,
        accumulate=setting.accumulate,
        max_pulses=setting.max_pulses,
    )
    return Network(
        (train.shape[1], *setting.layers, data.n_classes),
        setting.field.name,
        setting.seed + model,
        physics,
        active,
        tested,
    )


def batches(setting: Setting, data: DataSet) -> Iterator[tuple[NDArray, NDArray]]:
    """Inputs and labels of the mini-batches of one epoch, the last one smaller."""
    images = inputs(data.train_images, setting.padding)
    for start in range(0, len(images), setting.batch_size):
        samples = slice(start, start + setting.batch_size)
        yield images[samples], data.train_labels[samples]


def wide_init(field: str) -> float:
    """An init that spreads fresh voltages over the range, so that tens of steps use devices up.

    Around the symmetry points of the files here there is less room.
    """
    device = device_of(field)
    return (0.39 if device.measured else 0.47) * device.response.span


def noisy_setting(field: str, **changes) -> Setting:
    """A setting with noises, variability and clipping; fresh voltages lie all over the range."""
    return setting_of(field=device_of(field), **{"init": wide_init(field), **NOISY, **changes})


CACHE: dict[tuple, tuple[Network, DataSet]] = {}  # the data keeps its id as long as it is here


def trained_reference(
    field: str, data: DataSet, steps: int = STEPS, variance: float = 0.0, **changes
) -> Network:
    """Return a copy of the reference of a noisy setting after some batches.

    variance: the initial running variances. With the usual ones, 1, a test after few steps would
    depend on nothing else of the first layer.
    """
    key = (field, id(data), steps, variance, *sorted(changes.items()))
    if key not in CACHE:
        setting = noisy_setting(field, **changes)
        network = reference_of(setting, data)
        network.var = [np.full_like(var, variance) for var in network.var]
        for images, labels in islice(cycle(batches(setting, data)), steps):
            network.train(images, labels)
        CACHE[key] = network, data
    return deepcopy(CACHE[key][0])


class ReferenceRun:
    """A network of the reference that is trained through all epochs of a setting, with its records.

    losses, accuracies, requests, costs, pending: lists over epochs; costs: [layer, count]; pending:
    by layer. swap, switch: the test accuracy after field relaxation, and right after a switch of
    the field. switch_epoch: if it is not that of the setting.
    """

    def __init__(
        self,
        setting: Setting,
        data: DataSet,
        model: int = 0,
        switch_epoch: int | None = None,
        test_batch: int = TEST_BATCH,
    ):
        self.setting, self.data, self.test_batch = setting, data, test_batch
        self.network = reference_of(setting, data, model)
        self.losses, self.accuracies, self.requests = [], [], []
        self.costs, self.pending = [], []
        self.swap = self.switch = None
        switch_epoch = setting.switched_at if switch_epoch is None else switch_epoch
        for epoch in range(setting.epochs):
            if epoch == switch_epoch:
                self.network.switch(setting.second.name)
                self.switch_outputs, self.switch = self.test(SWITCHED)
            self.train()
            self.accuracies.append(self.test()[1])
        if self.network.partner:
            self.swap_outputs, self.swap = self.test(RELAXED, relaxed=True)

    def train(self) -> None:
        """Train one epoch."""
        before, done = np.array(self.network.costs), self.network.step
        for images, labels in batches(self.setting, self.data):
            self.network.train(images, labels)
        gradients = np.concatenate([gradient.ravel() for gradient in self.network.gradients])
        self.requests.append(self.setting.lr * abs(gradients).mean())
        self.losses.append(np.mean(self.network.losses[done:]))
        self.costs.append(np.array(self.network.costs) - before)
        self.pending.append(self.network.pending)

    def test(self, part: int = 0, relaxed: bool = False) -> tuple[NDArray, float]:
        """Outputs [image, class] and the share of right ones; part: address of the first batch."""
        images, outputs = inputs(self.data.test_images, self.setting.padding), []
        for number, start in enumerate(range(0, len(images), self.test_batch)):
            batch = images[start : start + self.test_batch]
            outputs.append(self.network.test(batch, number + part, relaxed))
        outputs = np.concatenate(outputs)
        return outputs, (outputs.argmax(1) == self.data.test_labels).mean()


def distance(state: dict, network: Network) -> float:
    """Largest over layers and devices of |w - reference| / |reference - its mean|.

    A w1 that is a constant, the reference of a cell, is measured by the spread of w2.
    """
    errors = []
    for layer, (w1, w2) in enumerate(zip(network.w1, network.w2, strict=True)):
        for name, w in (("weight1", w1), ("weight2", w2)):
            actual = state[f"layers.{1 + 3 * layer}.{name}"].double().numpy()
            spread = w2 if np.ptp(w) == 0 else w
            errors.append(np.linalg.norm(actual - w) / np.linalg.norm(spread - spread.mean()))
    return max(errors)


def state_of(network: Network) -> dict:
    """Return the voltages of the reference's devices, named as in a state dict."""
    return {
        f"layers.{1 + 3 * layer}.{name}": torch.from_numpy(w[layer])
        for layer in range(len(network.w1))
        for name, w in (("weight1", network.w1), ("weight2", network.w2))
    }


def difference(actual: NDArray, expected: NDArray) -> float:
    """Return the relative distance of two arrays."""
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def assert_same_costs(actual, expected) -> None:
    """Pulses, writes, ... of each layer; rounding decides of a few requests if they are dropped."""
    for counts, (pulses, *others) in zip(actual, expected, strict=True):
        counts = counts.cpu().double().numpy()
        assert counts[0] == pytest.approx(pulses, rel=1e-3)
        np.testing.assert_allclose(counts[1:], others, rtol=2e-3, atol=2)
