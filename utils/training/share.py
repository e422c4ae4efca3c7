"""The networks that one process trains: in turn, or on a GPU side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from utils.data.currents import Currents
from utils.records.archive import Archive
from utils.records.results import Result
from utils.settings import Member
from utils.training.engine import Engine
from utils.training.training import Training


@dataclass(frozen=True)
class Epoch:
    """What an epoch of some networks has come to.

    number: counted from 1; accuracies, losses, pulse_requests: one number per network, as in
    Training; failures: networks that have stopped being finite, and at which step; is_new: whether
    it was trained now, or before the checkpoint from which the networks go on.
    """

    number: int
    accuracies: Tensor
    losses: Tensor
    pulse_requests: Tensor
    failures: dict[Member, int]
    is_new: bool


@dataclass(frozen=True)
class Checkpoint:
    """What a network needs to go on from here: see records.checkpoints."""

    member: Member
    content: dict


class Share:
    """Networks on their way from fresh ones, or checkpoints, to results."""

    def __init__(
        self, members: Sequence[Member], currents: Currents, engine: Engine, archive: Archive
    ):
        self.epochs = members[0].setting.epochs
        self.trainings = [
            begin(part, currents, engine, archive) for part in ensembles_of(members, currents)
        ]
        self.start = time.monotonic()

    def train(self, pause: Callable[[], None]) -> Iterator[Epoch | Result]:
        """Train all, epoch by epoch, to their results.

        pause: called before every step, when all is in order for a checkpoint or a stop.
        """
        for epoch in range(self.epochs):
            for training in self.trainings:
                is_new = len(training.accuracies) <= epoch
                training.finish_epoch(epoch, pause)
                yield Epoch(
                    epoch + 1,
                    training.accuracies[epoch],
                    training.losses[epoch],
                    training.pulse_requests[epoch],
                    training.failures(),
                    is_new,
                )
        seconds = time.monotonic() - self.start
        for training in self.trainings:
            yield from training.results(seconds)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Of each network that has begun; between two steps."""
        seconds = time.monotonic() - self.start
        for training in self.trainings:
            for index, member in enumerate(training.members if training.step else ()):
                yield Checkpoint(member, training.checkpoint(index, seconds))


def begin(
    members: Sequence[Member], currents: Currents, engine: Engine, archive: Archive
) -> Training:
    """A training of fresh networks, or of those that checkpoints hold."""
    training = Training(members, currents, engine)
    checkpoints = [archive.checkpoint(member) for member in members]
    if all(checkpoints) and len({checkpoint["step"] for checkpoint in checkpoints}) == 1:
        training.restore(checkpoints)
    training.prepare()
    return training


def ensembles_of(members: Sequence[Member], currents: Currents) -> list[list[Member]]:
    """The members of each ensemble.

    On a GPU all together, side by side in every kernel. On a CPU each on its own, taking turns by
    the epoch: one network fits the cache, ten do not.
    """
    if currents.train.device.type == "cuda":
        return [list(members)]
    return [[member] for member in members]
