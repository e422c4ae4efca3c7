"""A group of networks from their first mini-batch, or a checkpoint, to their files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from utils.data.currents import Currents
from utils.errors import UserError
from utils.hardware import OutOfMemory, memory_errors
from utils.progress import Progress
from utils.records.archive import Archive
from utils.records.provenance import provenance
from utils.settings import Member, Run
from utils.stop import Stop, Stopped
from utils.training.engine import Engine
from utils.training.training import Training


class Trainer:
    """Trains groups of networks, writes their files, and keeps checkpoints meanwhile.

    run: for its longest time between two checkpoints; quiet: without reports of progress.
    """

    def __init__(
        self,
        run: Run,
        currents: Currents,
        engine: Engine,
        archive: Archive,
        stop: Stop,
        quiet: bool = False,
    ):
        self.currents, self.engine, self.archive, self.stop = currents, engine, archive, stop
        self.checkpoint_seconds, self.quiet = 60 * run.checkpoint_minutes, quiet

    def train(self, members: Sequence[Member], label: str) -> None:
        """Train the members through all epochs and save their results.

        Where memory does not suffice after all, the two halves of the group are trained one after
        the other. Raises UserError if a single network is too large, Stopped once all is saved if
        a stop was asked for, RecordError if something cannot be written.
        """
        try:
            with memory_errors():
                return self.train_together(members, label)
        except OutOfMemory:
            if len(members) == 1:
                raise UserError(
                    "a single network does not fit into memory; choose smaller --layers or a "
                    "smaller --batch_size, or on a GPU --device cpu"
                ) from None
        # Out of the except clause, so that nothing holds on to the memory of the attempt.
        torch.cuda.empty_cache()
        half = len(members) // 2
        for number, part in enumerate((members[:half], members[half:]), start=1):
            self.train(part, f"{label}, half {number} of 2")

    def train_together(self, members: Sequence[Member], label: str) -> None:
        """Train all members at the same time, epoch by epoch."""
        trainings = [self.begin(part) for part in ensembles_of(members, self.currents)]
        epochs = members[0].setting.epochs
        done = min(len(training.accuracies) for training in trainings)
        progress = Progress(label, epochs, done, self.quiet)
        with progress, self.stop.deferred(), Checkpoints(self, trainings) as checkpoints:
            for epoch in range(done, epochs):
                for training in trainings:
                    training.finish_epoch(epoch, checkpoints.pause)
                progress.tell_failures(trainings)
                progress.report(
                    epoch + 1,
                    mean(training.accuracies[epoch] for training in trainings),
                    mean(training.losses[epoch] for training in trainings),
                    mean(training.pulse_requests[epoch] for training in trainings),
                )
            seconds = checkpoints.seconds()
            about = provenance(self.currents.train.device, self.engine.compiled)
            for training in trainings:
                for result in training.results(seconds):
                    self.archive.save(result, about)

    def begin(self, members: Sequence[Member]) -> Training:
        """A training of fresh networks, or of those that checkpoints hold."""
        training = Training(members, self.currents, self.engine)
        checkpoints = [self.archive.checkpoint(member) for member in members]
        if all(checkpoints) and len({checkpoint["step"] for checkpoint in checkpoints}) == 1:
            training.restore(checkpoints)
        training.prepare()
        return training


class Checkpoints:
    """The checkpoints of a group in training: now and then, and when it is stopped."""

    def __init__(self, trainer: Trainer, trainings: Sequence[Training]):
        self.trainer, self.trainings = trainer, trainings
        self.start = self.last = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def pause(self) -> None:
        """Between two steps: hear a stop, and keep what has been reached if it is time."""
        self.trainer.stop.check()
        if time.monotonic() - self.last >= self.trainer.checkpoint_seconds:
            self.write()
            self.last = time.monotonic()

    def write(self) -> None:
        seconds = self.seconds()
        for training in self.trainings:
            for index, member in enumerate(training.members if training.step else ()):
                content = training.checkpoint(index, seconds)
                self.trainer.archive.save_checkpoint(member, content)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, Stopped):
            self.write()


def ensembles_of(members: Sequence[Member], currents: Currents) -> list[list[Member]]:
    """The members of each ensemble.

    On a GPU all together, side by side in every kernel. On a CPU each on its own, taking turns by
    the epoch: one network fits the cache, ten do not.
    """
    if currents.train.device.type == "cuda":
        return [list(members)]
    return [[member] for member in members]


def mean(values: Iterable[Tensor]) -> float:
    return float(torch.cat([value.double() for value in values]).mean())
