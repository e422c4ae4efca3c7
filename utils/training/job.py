"""A job trains networks side by side, from fresh networks or checkpoints to their files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.signals import Stop, StoppedError
from utils.console import log
from utils.progress import Epoch
from utils.records.archive import Archive
from utils.records.checkpoints import Checkpoint
from utils.records.session import Session
from utils.settings import Member
from utils.training.plan import Job
from utils.training.slices import slice_of
from utils.training.trainer import Trainer
from utils.training.verification import verify


@dataclass(frozen=True)
class Complete:
    """The message that all files of a network are written."""

    member: Member


class JobRunner:
    """Trains the networks of jobs, in this process or in a worker: the work of compute.pool.

    checkpoint_minutes: the longest training between two checkpoints; intermediate: whether currents
    and voltages of the first test image are written.
    """

    def __init__(
        self,
        currents: Currents,
        compiler: Compiler,
        archive: Archive,
        checkpoint_minutes: float,
        intermediate: bool = False,
    ):
        self.currents, self.compiler, self.archive = currents, compiler, archive
        self.checkpoint_seconds = 60 * checkpoint_minutes
        self.intermediate = intermediate
        self.graphed = currents.are_on_gpu  # until a graph has failed

    def run(self, job: Job, stop: Stop) -> Iterator[Epoch | Complete]:
        """Train the networks of a job and write their files; a stop leaves their checkpoints."""
        trainer = ready_trainer(job, self.currents, self.compiler, self.graphed)
        self.graphed = trainer.graphed
        checkpointer = Checkpointer(trainer, self.archive, self.checkpoint_seconds, stop)
        with stop.deferred():
            try:
                for epoch in trainer.train(checkpointer.checkpoint_if_due):
                    yield from trainer.news(epoch)
            except StoppedError:
                checkpointer.write()
                raise
            results = trainer.results(checkpointer.seconds, self.intermediate)
            for result, earlier in zip(results, checkpointer.earlier, strict=True):
                self.archive.save(result, earlier)
                yield Complete(result.member)

    def divide(self, job: Job) -> list[Job]:
        """Return two jobs with the networks that are not complete; none for a single network."""
        left = tuple(member for member in job.members if member not in self.archive.complete)
        if len(job.members) == 1:
            return []
        half = len(left) // 2
        return [replace(job, members=part) for part in (left[:half], left[half:]) if part]


def ready_trainer(job: Job, currents: Currents, compiler: Compiler, graphed: bool) -> Trainer:
    """Return a trainer of fresh networks, with its programs compiled and, on a GPU, verified."""
    used = compiler if job.compiled else Compiler(enabled=False)
    trainer = Trainer(job.members, currents, used, graphed, job.ledger)
    trainer.prepare()
    if currents.are_on_gpu:
        verify(trainer)
    return trainer


class Checkpointer:
    """Writes the checkpoints of a trainer's networks, and restores the trainer from them.

    earlier: for each network, the sessions that trained it before this one; seconds: the time spent
    on them so far.
    """

    def __init__(self, trainer: Trainer, archive: Archive, every_seconds: float, stop: Stop):
        self.trainer, self.archive, self.stop = trainer, archive, stop
        self.every_seconds = every_seconds
        self.start = self.last = time.monotonic()
        self.compiling_failed = trainer.compiler.failure is not None
        self.earlier: list[list[Session]] = [[] for _ in trainer.members]
        self.earlier_seconds = 0.0
        self.restore()

    def restore(self) -> None:
        found = [self.archive.checkpoint(member) for member in self.trainer.members]
        checkpoints = [checkpoint for checkpoint in found if checkpoint]
        if (
            len(checkpoints) < len(found)
            or len({checkpoint.step for checkpoint in checkpoints}) != 1
        ):
            return
        earlier = [checkpoint.sessions for checkpoint in checkpoints]
        failed = self.compiling_failed
        if any(session.compiling_failed != failed for sessions in earlier for session in sessions):
            for member in self.trainer.members:
                log(
                    f"{member.setting.slug}, network {member.model}: starts afresh, since its "
                    f"checkpoint is {'' if failed else 'not '}of compiled steps"
                )
        else:
            self.trainer.restore([checkpoint.state for checkpoint in checkpoints])
            self.earlier = earlier
            self.earlier_seconds = max(checkpoint.seconds for checkpoint in checkpoints)

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.start

    def checkpoint_if_due(self) -> None:
        """Write checkpoints if the last are old; raises StoppedError if a stop was requested."""
        self.stop.check()
        if time.monotonic() - self.last >= self.every_seconds:
            self.write()
            self.last = time.monotonic()

    def write(self) -> None:
        if self.trainer.step == 0:
            return
        for index, member in enumerate(self.trainer.members):
            session = self.archive.sessions[member.setting]
            now = replace(session, compiling_failed=self.compiling_failed)
            earlier = self.earlier[index]
            sessions = earlier if now in earlier else [*earlier, now]
            state = slice_of(self.trainer.ensemble, index)
            self.archive.save_checkpoint(member, Checkpoint(state, self.seconds, sessions))
