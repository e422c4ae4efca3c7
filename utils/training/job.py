"""A job: networks side by side from fresh ones, or checkpoints, to their files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.signals import Stop, StoppedError
from utils.compute.worker import WorkerStop
from utils.console import log
from utils.progress import Epoch
from utils.records.archive import Archive
from utils.records.checkpoints import Checkpoint
from utils.settings import Member, Setting
from utils.training.slices import slice_of
from utils.training.trainer import Trainer
from utils.training.verification import verify

Job = tuple[Member, ...]


@dataclass(frozen=True)
class Complete:
    """All files of a network are written."""

    member: Member


class Training:
    """What is done with jobs, in this process or in a worker: see compute.pool, Work.

    checkpoint_minutes: the longest training between two checkpoints; compiles: whether the steps of
    a setting are compiled, where the compiler is enabled; intermediate: whether currents and
    voltages of the first test image are written; ledger_level: how much of what learning costs is
    counted costs.
    """

    def __init__(
        self,
        currents: Currents,
        compiler: Compiler,
        archive: Archive,
        checkpoint_minutes: float,
        compiles: Callable[[Setting], bool] = lambda setting: True,
        intermediate: bool = False,
        ledger_level: LedgerLevel = LedgerLevel.NOTHING,
    ):
        self.currents, self.compiler, self.archive = currents, compiler, archive
        self.compiles, self.ledger_level = compiles, ledger_level
        self.checkpoint_seconds = 60 * checkpoint_minutes
        self.intermediate = intermediate
        self.graphed = currents.are_on_gpu  # until that has gone wrong

    def run(self, job: Job, stop: Stop | WorkerStop) -> Iterator[Epoch | Complete]:
        """Train the networks of a job and write their files; a stop leaves their checkpoints."""
        compiler = self.compiler if self.compiles(job[0].setting) else Compiler(enabled=False)
        trainer = Trainer(job, self.currents, compiler, self.graphed, self.ledger_level)
        trainer.prepare()
        if self.currents.are_on_gpu:
            verify(trainer)
            self.graphed = trainer.graphed
        self.archive.sitting["fell_back"] = compiler.failure is not None
        checkpointer = Checkpointer(trainer, self.archive, self.checkpoint_seconds, stop)
        with stop.deferred():
            try:
                for epoch in trainer.train(checkpointer.pause):
                    yield from trainer.news(epoch)
            except StoppedError:
                checkpointer.write()
                raise
            results = trainer.results(checkpointer.seconds, self.intermediate)
            for result, earlier in zip(results, checkpointer.earlier, strict=True):
                self.archive.save(result, earlier)
                yield Complete(result.member)

    def divide(self, job: Job) -> list[Job]:
        """The two halves of what is left of a job; nothing for a single network."""
        left = tuple(member for member in job if member not in self.archive.complete)
        if len(job) == 1:
            return []
        half = len(left) // 2
        return [part for part in (left[:half], left[half:]) if part]


class Checkpointer:
    """Keeps the checkpoints of the networks of a trainer, from which it goes on where it can.

    earlier: of each, the sittings that have trained it before this run; seconds: spent so far.
    """

    def __init__(
        self, trainer: Trainer, archive: Archive, every_seconds: float, stop: Stop | WorkerStop
    ):
        self.trainer, self.archive, self.stop = trainer, archive, stop
        self.every_seconds = every_seconds
        self.start = self.last = time.monotonic()
        self.earlier: list[list[dict]] = [[] for _ in trainer.members]
        self.earlier_seconds = 0.0
        self.restore()

    def restore(self) -> None:
        checkpoints = [self.archive.checkpoint(member) for member in self.trainer.members]
        if not all(checkpoints) or len({checkpoint.step for checkpoint in checkpoints}) != 1:
            return
        earlier = [checkpoint.sittings for checkpoint in checkpoints]
        now = self.archive.sitting["fell_back"]
        if any(sitting["fell_back"] != now for sittings in earlier for sitting in sittings):
            for member in self.trainer.members:
                log(
                    f"{member.setting.slug}, network {member.model}: starts afresh, since its "
                    f"checkpoint is {'' if now else 'not '}of compiled steps"
                )
        else:
            self.trainer.restore([checkpoint.state for checkpoint in checkpoints])
            self.earlier = earlier
            self.earlier_seconds = max(checkpoint.seconds for checkpoint in checkpoints)

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.start

    def pause(self) -> None:
        """Hear a stop, and keep what has been reached if it is time."""
        self.stop.check()
        if time.monotonic() - self.last >= self.every_seconds:
            self.write()
            self.last = time.monotonic()

    def write(self) -> None:
        if self.trainer.step == 0:
            return
        for index, member in enumerate(self.trainer.members):
            now = self.archive.sitting_of(member)
            earlier = self.earlier[index]
            sittings = earlier if now in earlier else [*earlier, now]
            state = slice_of(self.trainer.ensemble, index)
            self.archive.save_checkpoint(member, Checkpoint(state, self.seconds, sittings))
