"""An ensemble in training: networks, optimizer and how far they have come, all as tensors."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices.ledger import Ledger
from devices.ledger_level import LedgerLevel
from devices.library import Device
from devices.noise import Stream
from devices.pair import per_network
from devices.programming import PulseOptimizer, at_rest
from models import sparse_update
from models.currents import Currents
from models.mlp import MLP
from models.sparse_matmul import SparseBatch
from utils.settings import Member


@dataclass(frozen=True)
class Phase:
    """The time under one field, of the networks of an ensemble.

    devices: of each network; gain: by how much the input scale is larger than at the start,
    [model, 1, 1], None in the first phase; write_noise: [model] (arb. u. per root of a pulse).
    """

    devices: Sequence[Device]
    gain: Tensor | None
    write_noise: Tensor

    @classmethod
    def of(cls, members: Sequence[Member], number: int, device: torch.device) -> Phase:
        """The phase of that number, 0 or 1, of networks whose tensors are on `device`."""
        devices = [member.setting.fields[number] for member in members]
        spans = torch.tensor([each.response.span for each in devices])
        sigma = torch.tensor([member.setting.write_noise for member in members])
        gain = None
        if number > 0:
            before = (member.setting.field.response.span for member in members)
            pairs = zip(before, devices, strict=True)
            gain = per_network((span / each.response.span for span, each in pairs), device)
        return cls(devices, gain, sigma.to(device) * spans.to(device))


class Ensemble(nn.Module):
    """Everything that training changes; calling it is one training step.

    Buffers: `step` int64 scalar, mini-batches so far; `loss_sum` float64 [model], loss summed over
    the mini-batches of this epoch; `failed_step` int64 [model], first step whose loss was not
    finite, -1 while there is none. Histories, NaN where an epoch is still to come, [model, epoch]:
    `accuracies` float32, test accuracy 0 to 1; `pulse_requests` float32, learning rate times the
    mean |dL/dw| of the epoch's last batch (pulses); `losses` float64, mean cross-entropy. ledger:
    what programming has cost, if that is ledger_level.

    What is persistent of it (see `nn.Module.state_dict`) is what a checkpoint holds: all else
    follows from the settings. phases: one, or two where the field is switched; phase: the number
    of that in which it is. switch_accuracies: float32 [model], test accuracy right after the
    switch, None before it; a checkpoint has them as `switch_accuracy`, and so tells on which side
    of the switch it is.
    """

    def __init__(
        self,
        network: MLP,
        optimizer: PulseOptimizer,
        epochs: int,
        phases: Sequence[Phase],
        ledger_level: LedgerLevel = LedgerLevel.NOTHING,
    ):
        super().__init__()
        self.network, self.optimizer = network, optimizer
        self.phases, self.phase = phases, 0
        self.switch_accuracies: Tensor | None = None
        seed = network.seed
        self.ledger = Ledger(list(network.arrays), epochs, ledger_level)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=seed.device))
        self.register_buffer("loss_sum", torch.zeros_like(seed, dtype=torch.float64))
        self.register_buffer("failed_step", torch.full_like(seed, -1))
        for name, dtype in (
            ("accuracies", torch.float32),
            ("pulse_requests", torch.float32),
            ("losses", torch.float64),
        ):
            shape = (len(seed), epochs)
            values = torch.full(shape, torch.nan, dtype=dtype, device=seed.device)
            self.register_buffer(name, values)

    @classmethod
    def fresh(
        cls,
        members: Sequence[Member],
        currents: Currents,
        ledger_level: LedgerLevel = LedgerLevel.NOTHING,
    ) -> Ensemble:
        """Newly made networks, side by side.

        The members may differ in constants of their devices, which are of one family, and in all
        but task, epochs, batch_size, layers, init, input_scale, padding, and the epoch of a switch.
        ledger_level: of what programming costs.
        """
        common = members[0].setting
        numbers = range(len(common.fields))
        phases = [Phase.of(members, number, currents.device) for number in numbers]

        def per_model(name: str) -> Tensor:
            values = [getattr(member.setting, name) for member in members]
            return torch.tensor(values, dtype=torch.float32, device=currents.device)

        resistor_noise = per_model("resistor_noise")
        seeds = torch.tensor(
            [member.seed for member in members], dtype=torch.int64, device=currents.device
        )
        network = MLP.fresh(
            phases[0].devices,
            common.layers,
            currents,
            common.init,
            per_model("var"),
            seeds,
            per_model("voltage_noise"),
            resistor_noise,
            common.input_scale,
            resistor_noise * per_model("device_noise"),
        )
        optimizer = PulseOptimizer(
            per_model("lr"),
            per_model("clipping"),
            phases[0].write_noise,
            per_model("physical_clipping").bool(),
        )
        return cls(network, optimizer, common.epochs, phases, ledger_level)

    def switch(self) -> None:
        """Switch the field: every device keeps its pulses and answers by its second response.

        The input scale grows by the ratio of the ranges, before and after; all else stays.
        """
        for array in self.network.all_arrays:
            array.switch([device.response for device in self.phases[1].devices])
        self.enter(1)

    def enter(self, number: int) -> None:
        """Take all that a phase decides from that of this number; the voltages stay."""
        phase, self.phase = self.phases[number], number
        dtype = self.network.dark.weight.dtype
        gain = None if phase.gain is None else phase.gain.to(dtype)
        self.network.answer_by(phase.devices, gain)
        self.optimizer.miss_by(phase.write_noise.to(dtype))
        for cached in ("structure", "state"):
            self.__dict__.pop(cached, None)
        seed = self.network.seed
        unknown = torch.full(seed.shape, torch.nan, device=seed.device)
        self.switch_accuracies = unknown if number > 0 else None

    @cached_property
    def structure(self) -> Hashable:
        """What a program compiled for a training step depends on, beside its inputs' shapes."""
        kinds = (
            self.optimizer.write_noise is None,
            self.optimizer.physical is None,
            self.ledger.ledger_level,
            self.has_sparse_update,
        )
        return "training step", self.network.structure, kinds

    @cached_property
    def state(self) -> tuple[Tensor, ...]:
        """All buffers; they only ever change in place."""
        return tuple(self.buffers())

    def forward(self, current: Tensor | SparseBatch, labels: Tensor) -> list[Tensor]:
        """Learn from one mini-batch: current [in, batch] or sparse, labels int64 [batch].

        Returns dL/dW of each layer, arranged as its pairs; of the first one dL/dV, where that is
        all that is needed: see `gradients`.
        """
        loss, gradients = self.differentiate(current, labels)
        self.program(gradients, current)
        self.count(loss)
        return gradients

    @property
    def has_sparse_update(self) -> bool:
        """Whether gradient and update of the first layer are one, where its inputs are sparse."""
        is_sparse = self.network.in_blocks
        return is_sparse and sparse_update.has_kernel(self.network.arrays[0], self.optimizer)

    def is_one_pass(self, current: Tensor | SparseBatch) -> bool:
        """Whether they are one for such an input."""
        return isinstance(current, SparseBatch) and self.has_sparse_update

    def gradients(
        self, current: Tensor | SparseBatch, returned: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """dL/dW of each layer, arranged as its pairs, from what the step of a batch returned."""
        if not self.is_one_pass(current):
            return returned
        return [current.gradient(returned[0]), *returned[1:]]

    def differentiate(
        self, current: Tensor | SparseBatch, labels: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The loss [model] of a mini-batch, and dL/dW of each layer, or of the first one dL/dV."""
        weights, seen = [w.detach().requires_grad_() for w in self.network.weights], []
        with torch.enable_grad():
            zero = torch.zeros_like(self.step)
            voltage = self.network(current, self.step, zero, *weights, seen=seen)
            loss = cross_entropy(voltage, labels)
            if self.is_one_pass(current):
                weights[0] = seen[0][1]
            gradients = list(torch.autograd.grad(loss.sum(), weights))  # networks do not interact
        if self.is_one_pass(current) and self.network.gain is not None:  # of the currents
            gradients[0] = self.network.gain * gradients[0]
        return loss.detach(), gradients

    def program(
        self, gradients: Sequence[Tensor], current: Tensor | SparseBatch | None = None
    ) -> None:
        """Write the pairs of all layers, as dL/dW of each asks for, or dL/dV of the first one.

        current: what that layer saw; None if there is dL/dW of it.
        """
        for layer, (array, gradient) in enumerate(zip(self.network.arrays, gradients, strict=True)):
            if layer == 0 and self.is_one_pass(current):
                account = self.ledger.of_layer(layer)
                sparse_update.step(current, gradient, array, self.optimizer, account)
                continue
            stream = Stream(self.network.seed, self.step, torch.zeros_like(self.step), layer)
            self.optimizer.step(array, gradient, stream, self.ledger.of_layer(layer))

    def count(self, loss: Tensor) -> None:
        """Note the loss [model] of a mini-batch, and where it is no number."""
        self.loss_sum += loss
        new_failure = ~loss.isfinite() & (self.failed_step < 0)
        self.failed_step.copy_(torch.where(new_failure, self.step, self.failed_step))
        self.step += 1

    def note_epoch(self, epoch: int, steps: int, gradients: Sequence[Tensor]) -> None:
        """Note what an epoch (counted from 0) of so many steps has come to, but for the test.

        gradients: dL/dW of each layer in its last mini-batch.
        """
        self.pulse_requests[:, epoch] = self.pulse_request(gradients)
        self.losses[:, epoch] = self.loss_sum / steps
        self.loss_sum.zero_()
        self.ledger.note_epoch(epoch)
        if self.phase > 0:  # a switch may have left pairs beyond the range, also on dark inputs
            dark = self.network.dark
            dark.put(*at_rest(dark.weight1, dark.weight2, dark.responses))
        finite = torch.ones_like(self.failed_step, dtype=torch.bool)
        for array in self.network.arrays:
            finite &= array.weight.isfinite().all(dim=-1).all(dim=-1)
        new_failure = ~finite & (self.failed_step < 0)
        self.failed_step.copy_(torch.where(new_failure, self.step - 1, self.failed_step))

    def pulse_request(self, gradients: Sequence[Tensor]) -> Tensor:
        """lr times the mean |dL/dw| over all devices of all layers: pulses, [model]."""
        total = sum(gradient.abs().sum(dim=-1).sum(dim=-1) for gradient in gradients)
        return self.optimizer.learning_rate.flatten() * total / self.network.n_pairs

    def slice(self, model: int) -> dict[str, Tensor]:
        """The state of network number `model`, on the CPU; `step`, which is common to all, too."""
        tensors = self.state_dict()
        if self.switch_accuracies is not None:
            tensors["switch_accuracy"] = self.switch_accuracies
        return {
            name: (tensor[model] if tensor.dim() else tensor).cpu().clone()
            for name, tensor in tensors.items()
        }

    @torch.no_grad()
    def restore(self, slices: Sequence[dict[str, Tensor]]) -> None:
        """Go on from slices of all networks, which are at the same step, in the same phase."""
        number = int("switch_accuracy" in slices[0])
        if number != self.phase:
            self.enter(number)
        if number > 0:
            self.switch_accuracies.copy_(torch.stack([each["switch_accuracy"] for each in slices]))
        for name, tensor in self.state_dict().items():
            values = [each[name] for each in slices]
            tensor.copy_(torch.stack(values) if tensor.dim() else values[0])
        for array in self.network.all_arrays:
            array.put(array.weight1, array.weight2)


def cross_entropy(voltage: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over a batch for each network: [model].

    voltage: [model, class, batch]; labels: int64 [batch].
    """
    targets = labels.expand(voltage.shape[0], -1)
    return F.cross_entropy(voltage, targets, reduction="none").mean(-1)
