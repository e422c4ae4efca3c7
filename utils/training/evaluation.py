"""The test of trained networks, under their own field or under the other one."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.data.currents import Currents
from utils.training.engine import Engine
from utils.training.ensemble import Ensemble

TEST_BATCH = 1000  # images tested at once; part of the noise's address, so a constant
RELAXED = 1 << 16  # added to the number of the test batch: fresh noise under the other field


@torch.no_grad()
def evaluate(
    ensemble: Ensemble, currents: Currents, engine: Engine, relaxed: bool = False
) -> Tensor:
    """Share of the test images that each network gets right: float32 [model], 0 to 1.

    relaxed: after field relaxation, that is, all devices read under the other field. The
    networks are not changed.
    """
    network = ensemble.network.eval()
    weights = network.test_weights(relaxed)
    correct = torch.zeros_like(network.seed)
    batches = zip(
        currents.test.split(TEST_BATCH), currents.test_labels.split(TEST_BATCH), strict=True
    )
    for number, (rows, labels) in enumerate(batches):
        part = torch.full_like(ensemble.step, number + RELAXED * relaxed)
        inputs = (rows.T, ensemble.step, part, *weights)
        # The odd batch at the end is not worth a program of its own.
        full = len(labels) == TEST_BATCH
        voltage = engine(network, *inputs) if full else network(*inputs)
        correct += (voltage.argmax(dim=1) == labels).sum(dim=1)
    network.train()
    return correct.float() / len(currents.test)
