"""Networks that train side by side: their tensors, and the field that acts on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from devices.controller import Programming
from devices.ledger import Ledger
from devices.ledger_level import LedgerLevel
from models.currents import Currents
from models.first_layer import FirstCurrents
from models.mlp import MLP, fresh_layers
from models.noisy_pair import NetworkPhysics
from utils.compute.programs import CompilableModule
from utils.settings import Member
from utils.training.history import History
from utils.training.phases import Phase, devices_of, phases_of
from utils.training.step import training_step


class Ensemble(CompilableModule):
    """All that training changes; a call of an ensemble is one training step.

    A checkpoint holds the persistent buffers (see `nn.Module.state_dict`); all else follows from
    the settings. phases: one phase, or two where the field is switched; phase: the number of the
    current one.

    structure: what a program compiled for a step depends on, besides the shapes of its inputs;
    state: all buffers, which only change in place during a phase.
    """

    def __init__(
        self,
        network: MLP,
        programming: Programming,
        history: History,
        ledger: Ledger,
        phases: Sequence[Phase],
    ):
        super().__init__()
        self.network, self.programming = network, programming
        self.history, self.ledger = history, ledger
        self.phases, self.phase = phases, 0
        self.describe()

    @classmethod
    def fresh(
        cls,
        members: Sequence[Member],
        currents: Currents,
        ledger_level: LedgerLevel = LedgerLevel.NOTHING,
    ) -> Ensemble:
        """Make fresh networks that train side by side.

        The members may differ in all flags but task, epochs, batch_size, layers, input_scale,
        padding, the epoch of a switch, and the scheme of programming; their devices are of one
        family, with any constants.
        ledger_level: how much of the cost of programming is counted.
        """
        common, device = members[0].setting, currents.device
        phases = phases_of(members, device)

        def per_model(name: str) -> Tensor:
            values = [getattr(member.setting, name) for member in members]
            return torch.tensor(values, dtype=torch.float32, device=device)

        seeds = [member.seed for member in members]
        seed = torch.tensor(seeds, dtype=torch.int64, device=device)
        sizes = [*common.layers, currents.n_classes]
        devices, scheme, variability = devices_of(members), common.scheme, per_model("var")
        init = per_model("init")
        layers = fresh_layers(devices, sizes, currents.inputs, init, variability, seed)
        for layer in layers if scheme.accumulate else ():
            layer.pairs.add_accumulator()
        sigma_r = per_model("resistor_noise")
        physics = NetworkPhysics(
            per_model("voltage_noise"),
            sigma_r,
            sigma_r * per_model("device_noise"),
            scheme.devices_read,
        )
        programming = Programming(
            per_model("lr"),
            per_model("clipping"),
            phases[0].write_noise,
            per_model("physical_clipping").bool(),
            per_model("max_pulses"),
            scheme,
        )
        network = MLP(layers, physics, seed, common.input_scale)
        ledger = Ledger(network.weights, common.epochs, ledger_level, scheme)
        return cls(network, programming, History(seed, common.epochs), ledger, phases)

    def forward(self, current: FirstCurrents, labels: Tensor) -> list[Tensor]:
        """Learn from one mini-batch: see `training_step`."""
        return training_step(
            self.network, self.programming, self.history, self.ledger, current, labels
        )

    def describe(self) -> None:
        """Set structure and state, which depend on the phase."""
        programming = self.programming
        self.structure = (
            "training step",
            self.network.structure,
            programming.structure,
            self.network.layers[0].is_one_pass(programming),
            self.ledger.level,
        )
        self.state = tuple(self.buffers())

    def double(self) -> Ensemble:
        """Continue in double precision."""
        super().double()
        self.describe()
        return self

    def switch(self) -> None:
        """Switch the field: every device keeps its pulses and takes on its second response.

        The input scale is multiplied by the ratio of the ranges before and after; nothing else
        changes.
        """
        for layer in self.network.layers:
            layer.switch(self.phases[1].responses)
        self.enter(1)

    def enter(self, number: int) -> None:
        """Enter a phase by its number: set all that depends on it, without changing voltages."""
        phase, self.phase = self.phases[number], number
        dtype = self.network.layers[0].weight.dtype
        for layer in self.network.layers:
            layer.set_responses(phase.responses)
        self.network.physics.gain = None if phase.gain is None else phase.gain.to(dtype)
        self.programming.set_write_noise(phase.write_noise.to(dtype))
        self.history.enter_phase(number)
        self.describe()

    def close_epoch(self, epoch: int, steps: int, gradients: Sequence[Tensor]) -> None:
        """Record the results of an epoch, except for its test.

        epoch: counted from 0; steps: its number of mini-batches; gradients: dL/dW of each layer in
        the last mini-batch.
        """
        for number, layer in enumerate(self.network.layers):
            self.ledger.add_refreshes(number, layer.close_epoch())
        self.history.close_epoch(epoch, steps, self.pulse_request(gradients))
        accumulators = [layer.pairs.accumulator for layer in self.network.layers]
        self.ledger.close_epoch(
            epoch, [accumulator for accumulator in accumulators if accumulator is not None]
        )
        is_finite = torch.ones_like(self.history.failed_step, dtype=torch.bool)
        for layer in self.network.layers:
            is_finite &= layer.weight.isfinite().all(dim=-1).all(dim=-1)
        self.history.note_failures(is_finite, self.history.step - 1)

    def pulse_request(self, gradients: Sequence[Tensor]) -> Tensor:
        """Return lr times the mean |dL/dw| over all pairs of all layers: pulses, [model]."""
        total = sum(gradient.abs().sum(dim=-1).sum(dim=-1) for gradient in gradients)
        return self.programming.learning_rate.flatten() * total / self.network.n_pairs
