"""The training of an ensemble: epochs of mini-batches, a test after each, relaxation last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from utils.data.currents import Currents
from utils.records.results import Result
from utils.training.engine import Engine
from utils.training.ensemble import Ensemble, Member
from utils.training.evaluation import evaluate
from utils.training.states import model_state
from utils.training.steps import GraphedSteps, Steps


class Training:
    """An ensemble on its way through the epochs, and what was measured on the way.

    accuracies, pulse_requests, losses: one tensor [model] per finished epoch, on the CPU.
    """

    def __init__(self, members: Sequence[Member], currents: Currents, engine: Engine):
        device = currents.train.device
        self.members, self.currents, self.engine = list(members), currents, engine
        self.ensemble = Ensemble.fresh(members, currents.pixels, currents.n_classes, device)
        kind = GraphedSteps if device.type == "cuda" and engine.compiled else Steps
        self.steps = kind(self.ensemble, currents, members[0].setting.batch_size, engine)
        self.step = 0
        self.accuracies: list[Tensor] = []
        self.pulse_requests: list[Tensor] = []
        self.losses: list[Tensor] = []

    @torch.no_grad()
    def prepare(self) -> None:
        """Let the engine compile what training will call; the networks stay as they are."""
        before = [tensor.clone() for tensor in self.ensemble.state]

        def rehearse():
            Steps.__call__(self.steps, 0)
            evaluate(self.ensemble, self.currents, self.engine)

        self.engine.prepare(self.ensemble.structure, rehearse)
        for tensor, value in zip(self.ensemble.state, before, strict=True):
            tensor.copy_(value)

    @torch.no_grad()
    def finish_epoch(self, epoch: int, check_stop: Callable[[], None]) -> None:
        """Train to the end of an epoch (counted from 0), from wherever it stands, and test."""
        while len(self.accuracies) <= epoch:
            check_stop()
            gradients = self.steps(self.step % self.steps.per_epoch)
            self.step += 1
            if self.step % self.steps.per_epoch == 0:
                self.record_epoch(gradients)

    def record_epoch(self, gradients: Sequence[Tensor]) -> None:
        """Note what the epoch that just ended has come to."""
        ensemble = self.ensemble
        self.pulse_requests.append(ensemble.pulse_request(gradients).cpu())
        self.losses.append((ensemble.loss_sum / self.steps.per_epoch).cpu())
        self.accuracies.append(evaluate(ensemble, self.currents, self.engine).cpu())
        ensemble.loss_sum.zero_()
        ensemble.check_weights()

    @torch.no_grad()
    def results(self, seconds: float) -> list[Result]:
        """What became of each network, field relaxation included; after the last epoch."""
        swap = evaluate(self.ensemble, self.currents, self.engine, relaxed=True).cpu()
        accuracies, requests = torch.stack(self.accuracies), torch.stack(self.pulse_requests)
        results = []
        for index, member in enumerate(self.members):
            failed_step = int(self.ensemble.failed_step[index])
            if failed_step >= 0:
                epoch = failed_step // self.steps.per_epoch
                accuracies[epoch:, index] = requests[epoch:, index] = torch.nan
            results.append(
                Result(
                    setting=member.setting,
                    model=member.model,
                    accuracies=accuracies[:, index].clone(),
                    pulse_requests=requests[:, index].clone(),
                    loss=float(self.losses[-1][index]),
                    swap_accuracy=float(swap[index]),
                    seconds=seconds,
                    failed_step=failed_step if failed_step >= 0 else None,
                    state=model_state(self.ensemble, index, self.currents.pixels),
                )
            )
        return results
