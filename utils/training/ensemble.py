"""An ensemble in training: network, optimizer and how far it has come, all as tensors."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices import FIELDS
from devices.pair import PairArray
from devices.pulses import PulseOptimizer
from devices.streams import Stream
from models.mlp import MLP
from utils.data.currents import Pixels
from utils.settings import Member


class Ensemble(nn.Module):
    """Everything that one mini-batch changes; calling it is one training step.

    Buffers: `step` int64 scalar, mini-batches so far; `loss_sum` float64 [model], loss summed
    over the mini-batches of this epoch; `failed_step` int64 [model], first step whose loss was
    not finite, -1 while there is none.
    """

    def __init__(self, network: MLP, optimizer: PulseOptimizer):
        super().__init__()
        self.network, self.optimizer = network, optimizer
        seed = network.seed
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=seed.device))
        self.register_buffer("loss_sum", torch.zeros_like(seed, dtype=torch.float64))
        self.register_buffer("failed_step", torch.full_like(seed, -1))

    @classmethod
    def fresh(
        cls, members: Sequence[Member], pixels: Pixels, n_classes: int, device: torch.device
    ) -> Ensemble:
        """Newly made networks, side by side.

        The members may differ in all but task, epochs, batch_size, layers, init, input_scale and
        padding.
        """
        common = members[0].setting

        def per_model(values, dtype=torch.float32) -> Tensor:
            return torch.tensor(list(values), dtype=dtype, device=device)

        responses = [FIELDS[member.setting.field] for member in members]
        seed = per_model((member.seed for member in members), torch.int64)
        start = torch.zeros((), dtype=torch.int64, device=device)
        variability = per_model(member.setting.var for member in members)[:, None, None]
        sizes = [pixels.total, *common.layers, n_classes]
        first, *rest = (
            PairArray.fresh(
                responses,
                (n_out, n_in),
                common.init,
                variability,
                Stream(seed, start, start, layer),
            )
            for layer, (n_in, n_out) in enumerate(pairwise(sizes))
        )
        network = MLP(
            [first.columns(pixels.lit.to(device)), *rest],
            first.columns(pixels.dark.to(device)),
            pixels.n_dark_tested,
            seed,
            per_model(member.setting.voltage_noise for member in members),
            per_model(member.setting.resistor_noise for member in members),
            common.input_scale,
        )
        optimizer = PulseOptimizer(
            per_model(member.setting.lr for member in members),
            per_model(member.setting.clipping for member in members),
        )
        return cls(network, optimizer)

    @cached_property
    def structure(self) -> Hashable:
        """What a program compiled for a training step depends on, beside its inputs' shapes."""
        return "training step", self.network.structure

    @cached_property
    def state(self) -> tuple[Tensor, ...]:
        """All buffers; they only ever change in place."""
        return tuple(self.buffers())

    def forward(self, current: Tensor, labels: Tensor) -> list[Tensor]:
        """Learn from one mini-batch: current [in, batch], labels int64 [batch].

        Returns dL/dW [model, out, in] of each layer.
        """
        weights = [weight.detach().requires_grad_() for weight in self.network.weights]
        with torch.enable_grad():
            voltage = self.network(current, self.step, torch.zeros_like(self.step), *weights)
            loss = cross_entropy(voltage, labels)
            gradients = torch.autograd.grad(loss.sum(), weights)  # networks do not interact
        for array, gradient in zip(self.network.arrays, gradients, strict=True):
            self.optimizer.step(array, gradient)
        self.count(loss.detach())
        return list(gradients)

    def count(self, loss: Tensor) -> None:
        """Note the loss [model] of a mini-batch, and where it is no number."""
        self.loss_sum += loss
        new_failure = ~loss.isfinite() & (self.failed_step < 0)
        self.failed_step.copy_(torch.where(new_failure, self.step, self.failed_step))
        self.step += 1

    def check_weights(self) -> None:
        """Note the networks with a weight that is no finite number."""
        finite = torch.ones_like(self.failed_step, dtype=torch.bool)
        for array in self.network.arrays:
            finite &= array.weight.isfinite().all(dim=-1).all(dim=-1)
        new_failure = ~finite & (self.failed_step < 0)
        self.failed_step.copy_(torch.where(new_failure, self.step - 1, self.failed_step))

    def pulse_request(self, gradients: Sequence[Tensor]) -> Tensor:
        """lr times the mean |dL/dw| over all devices of all layers: pulses, [model]."""
        total = sum(gradient.abs().sum(dim=-1).sum(dim=-1) for gradient in gradients)
        arrays = [self.network.dark, *self.network.arrays]
        n_pairs = sum(array.weight[0].numel() for array in arrays)
        return self.optimizer.learning_rate.flatten() * total / n_pairs


def cross_entropy(voltage: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over a batch for each network: [model].

    voltage: [model, class, batch]; labels: int64 [batch].
    """
    targets = labels.expand(voltage.shape[0], -1)
    return F.cross_entropy(voltage, targets, reduction="none").mean(-1)
