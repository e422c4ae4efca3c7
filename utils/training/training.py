"""The training of an ensemble: epochs of mini-batches, a test after each, relaxation last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from utils.data.currents import Currents
from utils.records.results import Result
from utils.settings import Member
from utils.training.engine import Engine
from utils.training.ensemble import Ensemble
from utils.training.evaluation import evaluate
from utils.training.states import load_model_state, model_state
from utils.training.steps import GraphedSteps, Steps


class Training:
    """An ensemble on its way through the epochs, and what was measured on the way.

    accuracies, pulse_requests, losses: one tensor [model] per finished epoch, on the CPU; step:
    mini-batches so far, the ensemble's own count on the host.
    """

    def __init__(self, members: Sequence[Member], currents: Currents, engine: Engine):
        device = currents.train.device
        self.members, self.currents, self.engine = list(members), currents, engine
        self.ensemble = Ensemble.fresh(members, currents.pixels, currents.n_classes, device)
        kind = GraphedSteps if device.type == "cuda" else Steps
        self.steps = kind(self.ensemble, currents, members[0].setting.batch_size, engine)
        self.step = 0
        self.seconds = 0.0  # of earlier runs, for a training that goes on from a checkpoint
        self.accuracies: list[Tensor] = []
        self.pulse_requests: list[Tensor] = []
        self.losses: list[Tensor] = []

    @torch.no_grad()
    def prepare(self) -> None:
        """Let the engine compile what training will call; the networks stay as they are."""
        if self.engine.is_prepared(self.ensemble.structure):
            return
        before = [tensor.clone() for tensor in self.ensemble.state]

        def rehearse():
            Steps.__call__(self.steps, 0)
            evaluate(self.ensemble, self.currents, self.engine)

        self.engine.prepare(self.ensemble.structure, rehearse)
        for tensor, value in zip(self.ensemble.state, before, strict=True):
            tensor.copy_(value)

    @torch.no_grad()
    def finish_epoch(self, epoch: int, pause: Callable[[], None]) -> None:
        """Train to the end of an epoch (counted from 0), from wherever it stands, and test.

        pause: called before every step, when all is in order for a checkpoint or a stop.
        """
        while len(self.accuracies) <= epoch:
            pause()
            gradients = self.take_step()
            if self.step % self.steps.per_epoch == 0:
                self.record_epoch(gradients)

    def take_step(self) -> list[Tensor]:
        """Learn from the next mini-batch; returns dL/dW of each layer."""
        gradients = self.steps(self.step % self.steps.per_epoch)
        self.step += 1
        return gradients

    def record_epoch(self, gradients: Sequence[Tensor]) -> None:
        """Note what the epoch that just ended has come to."""
        ensemble = self.ensemble
        if int(ensemble.step) != self.step:
            raise AssertionError(
                f"{ensemble.step} training steps ran on the device, not {self.step}"
            )
        self.pulse_requests.append(ensemble.pulse_request(gradients).cpu())
        self.losses.append((ensemble.loss_sum / self.steps.per_epoch).cpu())
        self.accuracies.append(evaluate(ensemble, self.currents, self.engine).cpu())
        ensemble.loss_sum.zero_()
        ensemble.check_weights()

    def failures(self) -> dict[Member, int]:
        """Networks whose loss or weights have stopped being finite, and at which step."""
        steps = self.ensemble.failed_step.tolist()
        return {member: step for member, step in zip(self.members, steps, strict=True) if step >= 0}

    @torch.no_grad()
    def results(self, seconds: float) -> list[Result]:
        """What became of each network, field relaxation included; after the last epoch.

        seconds: what this run has spent on all networks of this process.
        """
        swap = evaluate(self.ensemble, self.currents, self.engine, relaxed=True).cpu()
        accuracies, requests = torch.stack(self.accuracies), torch.stack(self.pulse_requests)
        failures, results = self.failures(), []
        for index, member in enumerate(self.members):
            if member in failures:
                epoch = failures[member] // self.steps.per_epoch
                accuracies[epoch:, index] = requests[epoch:, index] = torch.nan
            results.append(
                Result(
                    member=member,
                    accuracies=accuracies[:, index].clone(),
                    pulse_requests=requests[:, index].clone(),
                    loss=float(self.losses[-1][index]),
                    swap_accuracy=float(swap[index]),
                    seconds=self.seconds + seconds,
                    failed_step=failures.get(member),
                    threads=torch.get_num_threads(),
                    compiled=self.engine.compiled,
                    state=model_state(self.ensemble, index, self.currents.pixels),
                )
            )
        return results

    def checkpoint(self, index: int, seconds: float) -> dict:
        """All that network number `index` needs to go on from here; see records.checkpoints."""
        ensemble = self.ensemble
        return {
            "step": self.step,
            "loss_sum": float(ensemble.loss_sum[index]),
            "failed_step": int(ensemble.failed_step[index]),
            "seconds": self.seconds + seconds,
            "accuracies": torch.tensor([float(epoch[index]) for epoch in self.accuracies]),
            "pulse_requests": torch.tensor([float(epoch[index]) for epoch in self.pulse_requests]),
            "losses": torch.tensor([float(e[index]) for e in self.losses], dtype=torch.float64),
            "state": model_state(ensemble, index, self.currents.pixels),
        }

    def restore(self, checkpoints: Sequence[dict]) -> None:
        """Go on from the checkpoints of all networks, which are at the same step."""
        ensemble, first = self.ensemble, checkpoints[0]
        self.step, self.seconds = first["step"], max(c["seconds"] for c in checkpoints)
        ensemble.step.fill_(self.step)
        for index, checkpoint in enumerate(checkpoints):
            load_model_state(ensemble, index, checkpoint["state"], self.currents.pixels)
            ensemble.loss_sum[index] = checkpoint["loss_sum"]
            ensemble.failed_step[index] = checkpoint["failed_step"]
        for name in ("accuracies", "pulse_requests", "losses"):
            by_epoch = torch.stack([checkpoint[name] for checkpoint in checkpoints], dim=1)
            setattr(self, name, list(by_epoch))
