"""The training of an ensemble, read top to bottom: step, test, next epoch; relaxation last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.cuda_graph import GraphedCall
from utils.progress import Epoch
from utils.records.results import Result
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.evaluation import evaluate
from utils.training.intermediate import compute
from utils.training.slices import restore
from utils.training.state_dict import ledger_dict, state_dict
from utils.training.step import weight_gradients


class Trainer:
    """Trains networks side by side, epoch by epoch.

    Mini-batches have the order of the training set's files; the last one of an epoch may be
    smaller. step: the number of mini-batches so far, as the ensemble counts them on its device.
    graphed: whether full mini-batches are replays of a CUDA graph. ledger_level: how much of the
    cost of programming is counted.
    """

    def __init__(
        self,
        members: Sequence[Member],
        currents: Currents,
        compiler: Compiler,
        graphed: bool = False,
        ledger_level: LedgerLevel = LedgerLevel.NOTHING,
    ):
        self.members, self.currents, self.compiler = list(members), currents, compiler
        self.ensemble = Ensemble.fresh(members, currents, ledger_level)
        self.epochs, self.batch_size = members[0].setting.epochs, members[0].setting.batch_size
        self.switched_at = members[0].setting.switched_at
        self.per_epoch = -(-currents.n_train // self.batch_size)
        self.step = 0
        self.use_graph(graphed)

    def use_graph(self, graphed: bool) -> None:
        """Run steps from a CUDA graph, which is captured anew, or call them one by one."""
        self.graphed_step = GraphedCall(self.step_by_count) if graphed else None

    @property
    def graphed(self) -> bool:
        return self.graphed_step is not None

    @torch.no_grad()
    def train(self, checkpoint_if_due: Callable[[], None]) -> Iterator[int]:
        """Train from the current step to the end; yields the number of each epoch, from 0.

        checkpoint_if_due: called before each step, where a checkpoint or a stop is possible.
        """
        history, factors = self.ensemble.history, []
        for epoch in range(self.step // self.per_epoch, self.epochs):
            if epoch == self.switched_at and not self.ensemble.phase:
                self.enter(1, switch=True)
                history.note_switch(self.test(switched=True))
            for _ in range(self.step % self.per_epoch, self.per_epoch):
                checkpoint_if_due()
                factors = self.learn()
            last, _ = self.currents.batch(self.per_epoch - 1, self.batch_size)
            gradients = weight_gradients(self.ensemble.network, last, factors)
            self.ensemble.close_epoch(epoch, self.per_epoch, gradients)
            history.accuracies[:, epoch] = self.test()
            yield epoch

    def learn(self) -> list[Tensor]:
        """Learn from the next mini-batch of the epoch; returns the factors of `training_step`."""
        batch = self.step % self.per_epoch
        self.step += 1
        is_full = (batch + 1) * self.batch_size <= self.currents.n_train
        if is_full and self.graphed_step:
            return self.graphed_step()
        current, labels = self.currents.batch(batch, self.batch_size)
        if not is_full:  # once an epoch, which is not worth compiling a program for
            return self.ensemble(current, labels)
        return self.compiler(self.ensemble, current, labels)  # [in, batch], [batch]

    def step_by_count(self) -> list[Tensor]:
        """Learn from the full mini-batch that the ensemble's step count selects on the GPU."""
        first = (self.ensemble.history.step % self.per_epoch) * self.batch_size
        numbers = first + torch.arange(self.batch_size, device=self.currents.device)
        return self.compiler(self.ensemble, *self.currents.select(numbers))

    def enter(self, phase: int, switch: bool = False) -> None:
        """Enter a phase by its number, which needs other programs and another graph.

        switch: whether devices keep their pulses and switch their responses; otherwise they keep
        their voltages.
        """
        if phase == self.ensemble.phase:
            return
        if switch:
            self.ensemble.switch()
        else:
            self.ensemble.enter(phase)
        self.use_graph(self.graphed)

    def test(self, relaxed: bool = False, switched: bool = False) -> Tensor:
        """Return the test accuracy of each network, 0 to 1: [model]; see `evaluate`."""
        if int(self.ensemble.history.step) != self.step:
            raise AssertionError(
                f"{self.ensemble.history.step} steps ran on the device, not {self.step}"
            )
        return evaluate(self.ensemble, self.currents, self.compiler, relaxed, switched)

    @torch.no_grad()
    def prepare(self) -> None:
        """Compile the programs that training will call; the networks are not changed."""

        def rehearse():
            current, labels = self.currents.batch(0, self.batch_size)
            if len(labels) == self.batch_size:
                self.compiler(self.ensemble, current, labels)
            evaluate(self.ensemble, self.currents, self.compiler)

        if not self.compiler.enabled:
            return
        for phase in reversed(range(self.ensemble.phase, len(self.ensemble.phases))):
            self.enter(phase)
            if not self.compiler.is_prepared(self.ensemble.structure):
                with self.undone():
                    self.compiler.prepare(self.ensemble.structure, rehearse)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Restore the networks and their step at the end of the context."""
        step, phase = self.step, self.ensemble.phase
        before = [tensor.clone() for tensor in self.ensemble.state]
        try:
            yield
        finally:
            self.step = step
            self.enter(phase)
            for tensor, value in zip(self.ensemble.state, before, strict=True):
                tensor.copy_(value)

    def restore(self, slices: Sequence[dict[str, Tensor]]) -> None:
        """Restore the ensemble from the slices of all networks, which are at the same step."""
        restore(self.ensemble, slices)
        self.step = int(self.ensemble.history.step)
        self.use_graph(self.graphed)  # a graph depends on the phase

    def failures(self) -> dict[Member, int]:
        """Return networks whose loss or weights are not finite, with the step when that began."""
        steps = self.ensemble.history.failed_step.tolist()
        return {member: step for member, step in zip(self.members, steps, strict=True) if step >= 0}

    def news(self, epoch: int) -> Iterator[Epoch]:
        """Yield the results of an epoch, which is counted from 0, setting by setting."""
        history, failures = self.ensemble.history, self.failures()
        histories = (history.accuracies, history.losses, history.pulse_requests)
        columns = [values[:, epoch].cpu() for values in histories]
        for setting in dict.fromkeys(member.setting for member in self.members):
            indices = [i for i, member in enumerate(self.members) if member.setting == setting]
            models = tuple(self.members[i].model for i in indices)
            accuracy, loss, request = (float(column[indices].double().mean()) for column in columns)
            failed = {m.model: step for m, step in failures.items() if m.setting == setting}
            yield Epoch(setting, models, epoch + 1, accuracy, loss, request, failed)

    @torch.no_grad()
    def results(self, seconds: float, intermediate: bool = False) -> Iterator[Result]:
        """Yield the result of each network after the last epoch, including field relaxation.

        Results are made one after the other, so that the host never holds all states at once.
        seconds: the time spent on the networks of this ensemble; intermediate: whether currents and
        voltages of the first test image are included.
        """
        ensemble, history = self.ensemble, self.ensemble.history
        partners, switch = ensemble.phases[ensemble.phase].partners, history.switch_accuracies
        swap = self.test(relaxed=True).cpu() if any(partners) else None
        intermediates = compute(ensemble, self.currents) if intermediate else None
        failures = self.failures()
        for index, member in enumerate(self.members):
            relaxed = None if swap is None or partners[index] is None else float(swap[index])
            accuracies, requests, losses = (
                values[index].cpu().clone()
                for values in (history.accuracies, history.pulse_requests, history.losses)
            )
            if member in failures:
                first = failures[member] // self.per_epoch
                accuracies[first:] = requests[first:] = torch.nan
            else:
                first = self.epochs
            yield Result(
                member=member,
                accuracies=accuracies,
                pulse_requests=requests,
                loss=float(losses[-1]),
                swap_accuracy=relaxed,
                seconds=seconds,
                failed_step=failures.get(member),
                threads=torch.get_num_threads(),
                compiled=self.compiler.enabled,
                graphed=self.graphed,
                state=state_dict(ensemble.network, index, history.step),
                ledger=ledger_dict(ensemble.network, ensemble.ledger, index, first),
                intermediates=None if intermediates is None else intermediates[index],
                switch_accuracy=None if switch is None else float(switch[index]),
            )
