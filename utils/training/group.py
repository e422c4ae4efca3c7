"""A group of networks from their first mini-batch, or a checkpoint, to their files."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from utils.errors import UserError
from utils.hardware import OutOfMemory, memory_errors
from utils.progress import Progress
from utils.records.archive import Archive
from utils.records.provenance import provenance
from utils.settings import Member, Run
from utils.stop import Stop, Stopped
from utils.training.crew import Crew
from utils.training.share import Epoch, Share
from utils.training.workers import Died


class Trainer:
    """Trains groups of networks, writes their files, and keeps checkpoints meanwhile.

    run: for its longest time between two checkpoints; crew: who trains them; quiet: without
    reports of progress.
    """

    def __init__(self, run: Run, crew: Crew, archive: Archive, stop: Stop, quiet: bool = False):
        self.crew, self.archive, self.stop = crew, archive, stop
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
        self.stop.check()
        torch.cuda.empty_cache()
        left = [member for member in members if not self.archive.is_complete(member)]
        half = len(left) // 2
        for number, part in enumerate((left[:half], left[half:]), start=1):
            if part:
                self.train(part, f"{label}, half {number} of 2")

    def train_together(self, members: Sequence[Member], label: str) -> None:
        """Train all members at the same time, epoch by epoch."""
        about = provenance(self.crew.currents.train.device)
        group = self.crew.begin(members)
        progress = Progress(label, members[0].setting.epochs, len(members), self.quiet)
        checkpoints = Checkpoints(self, group)
        with progress, self.stop.deferred(), checkpoints:
            for news in group.train(checkpoints.pause):
                if isinstance(news, Epoch):
                    progress.note(news)
                else:
                    self.archive.save(news, about)
                    checkpoints.saved.add(news.member)


class Checkpoints:
    """The checkpoints of a group in training: now and then, and when it is stopped."""

    def __init__(self, trainer: Trainer, group: Crew | Share):
        self.trainer, self.group = trainer, group
        self.last = time.monotonic()
        self.saved: set[Member] = set()  # whose results are written

    def pause(self) -> None:
        """Hear a stop, and keep what has been reached if it is time."""
        self.trainer.stop.check()
        if time.monotonic() - self.last >= self.trainer.checkpoint_seconds:
            self.write()
            self.last = time.monotonic()

    def write(self) -> None:
        for checkpoint in self.group.checkpoints():
            if checkpoint.member not in self.saved:
                self.trainer.archive.save_checkpoint(checkpoint.member, checkpoint.content)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, (Stopped, Died)):
            self.write()
