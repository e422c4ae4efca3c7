"""One training step, read top to bottom: forward, loss, gradients, programming, counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from devices.controller import Programming
from devices.ledger import Ledger
from devices.noise import Stream
from models.first_layer import FirstCurrents
from models.mlp import MLP
from utils.training.history import History


@torch.no_grad()
def training_step(
    network: MLP,
    programming: Programming,
    history: History,
    ledger: Ledger,
    current: FirstCurrents,
    labels: Tensor,
) -> list[Tensor]:
    """Learn from one mini-batch, in place.

    current: the currents into the first layer, the same for all networks; labels: int64 [batch].
    Returns the factors of the gradients dL/dW = g I^T, since the first layer may be programmed
    without its gradient ever being in memory: g = dL/dV [model, out, batch] of each layer, then the
    currents I [model, in, batch] into each layer but the first. See `weight_gradients`.
    """
    step, training = history.step, torch.zeros_like(history.step)  # address the noise
    loss, by_voltage, currents = differentiate(network, step, current, labels)
    layers = zip(network.layers, by_voltage, currents, strict=True)
    for number, (layer, grad_voltage, inner) in enumerate(layers):
        stream = Stream(network.seed, step, training, number)
        account = ledger.account(number)
        layer.program(grad_voltage, inner, network.physics, stream, programming, account)
    history.count(loss)
    return [*by_voltage, *currents[1:]]


def differentiate(
    network: MLP, step: Tensor, current: FirstCurrents, labels: Tensor
) -> tuple[Tensor, Sequence[Tensor], list]:
    """Return the loss [model] of a mini-batch, dL/dV of each layer, and the currents into each.

    The backward pass goes through models.noisy_pair.NoisyPairProduct, which reads the pairs with
    noise.
    """
    with torch.enable_grad():
        activity = network.propagate(current, step, torch.zeros_like(step), network.weights)
        loss = cross_entropy(activity.output, labels)
        # The sum is differentiated, since networks do not interact.
        by_voltage = torch.autograd.grad(loss.sum(), activity.voltages)
    return (
        loss.detach(),
        by_voltage,
        [current, *(inner.detach() for inner in activity.currents[1:])],
    )


def weight_gradients(
    network: MLP, current: FirstCurrents, factors: Sequence[Tensor]
) -> list[Tensor]:
    """Return dL/dW of each layer, in its weight's order; factors: from `training_step`."""
    n = len(network.layers)
    currents = [current, *factors[n:]]
    return [
        layer.weight_gradient(by_voltage, inner, network.physics)
        for layer, by_voltage, inner in zip(network.layers, factors[:n], currents, strict=True)
    ]


def cross_entropy(voltage: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over a batch for each network: [model].

    voltage: [model, class, batch]; labels: int64 [batch].
    """
    targets = labels.expand(voltage.shape[0], -1)
    return F.cross_entropy(voltage, targets, reduction="none").mean(-1)
