"""Tests of networks, under the field of training or under the other field."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.training.ensemble import Ensemble

TEST_BATCH = 1000  # images tested at once; a constant, since the noise's address contains the batch
# Added to the number of the test batch, so that a second test at one step has fresh noise:
RELAXED = 1 << 16  # for the test after training, under the other field
SWITCHED = 1 << 17  # for the test right after the field was switched


@torch.no_grad()
def evaluate(
    ensemble: Ensemble,
    currents: Currents,
    compiler: Compiler,
    relaxed: bool = False,
    switched: bool = False,
) -> Tensor:
    """Return the test accuracy of each network: float32 [model], 0 to 1.

    relaxed: test after field relaxation, with all devices read under the other field; switched:
    test right after the field was switched, with other draws of noise. The networks are not
    changed.
    """
    correct = torch.zeros_like(ensemble.network.seed)
    labels = currents.test_labels.split(TEST_BATCH)
    voltages = outputs(ensemble, currents, compiler, relaxed, switched)
    for labels_of_shard, voltage in zip(labels, voltages, strict=True):
        correct += (voltage.argmax(dim=1) == labels_of_shard).sum(dim=1)
    return correct.float() / currents.n_test


@torch.no_grad()
def outputs(
    ensemble: Ensemble,
    currents: Currents,
    compiler: Compiler,
    relaxed: bool = False,
    switched: bool = False,
) -> Iterator[Tensor]:
    """Yield the output voltages [model, class, image] of the test images, batch by batch."""
    network, step = ensemble.network.eval(), ensemble.history.step
    others = ensemble.phases[ensemble.phase].partners if relaxed else None
    weights = network.test_weights(others)
    try:
        for number in range(-(-currents.n_test // TEST_BATCH)):
            current, labels = currents.test_batch(number, TEST_BATCH)
            part = torch.full_like(step, number + RELAXED * relaxed + SWITCHED * switched)
            readings = network.test_readings(weights, step, part, others)
            inputs = (current, step, part, *readings)
            # A smaller batch at the end is not worth compiling a program for.
            yield compiler(network, *inputs) if len(labels) == TEST_BATCH else network(*inputs)
    finally:  # also where compiling fails, after which training goes on
        network.train()
