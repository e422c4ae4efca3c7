"""What a run would do: its settings, who trains what, memory, and time from a short probe."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Hashable, Iterator, Sequence

import torch

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.distributed import World
from utils.compute.pool import run_jobs
from utils.compute.processor import hardware
from utils.compute.signals import Stop
from utils.compute.worker import WorkerStop
from utils.console import log
from utils.run import Run
from utils.settings import Setting, physics_of
from utils.training.job import Job
from utils.training.plan import Plan
from utils.training.trainer import Trainer, announcement, prepare
from utils.training.verification import verify

PROBE_SECONDS = 1.0


def describe(run: Run, currents: Currents, plan: Plan, world: World, stop: Stop) -> None:
    """Print it, in process 0; nothing is trained or written."""
    mine = world.shard(run.members)  # process 0 has the largest part
    if not world.is_first:
        return
    jobs = plan.jobs(mine, lambda member: 0)
    workers, threads = plan.workers(len(jobs))
    probe = Probe(currents, Compiler(plan.compiled), plan.compiles, run.ledger_level)
    compiled = [job for job in jobs if plan.compiles(job[0].setting)]
    if compiled:
        log(announcement(compiled))
    prepare(compiled, currents, probe.compiler, threads, run.ledger_level)
    seconds = seconds_of(jobs, probe, workers, threads, stop)
    at_once = workers * max(map(len, jobs))
    share = len(compiled) if probe.compiler.enabled else 0
    told = "compiled," if share == len(jobs) else "partly compiled," if share else "not compiled,"
    print(f"{len(run.settings)} settings x {run.n_models} networks on {world.size} processes:")
    for setting in run.settings:
        layers = f", layers {' '.join(map(str, setting.layers))}" * (len(plan.layers) > 1)
        print(f"  {setting.slug}{layers}")
    print(
        f"process 0 trains {len(mine)} networks on {hardware(currents.device)}, up to "
        f"{at_once} at once{f' on {workers} cores' * (workers > 1)}, in about "
        f"{plan.memory(at_once) / 2**20:.0f} MiB beside the data\n"
        f"about {duration(seconds)} of training, {told} by a probe of a few steps"
        + "; what --resume finds complete is counted, too"
        * run.resume
    )


def seconds_of(jobs: Sequence[Job], probe: Probe, workers: int, threads: int, stop: Stop) -> float:
    """Expected seconds of all jobs, by trying one of each kind: fields cost differently.

    As many at the same time as will train, which slows them down.
    """
    ends, tried = [0.0] * workers, {}  # when each worker is through
    for job in jobs:
        kind = probe.cost(job)
        if kind not in tried:
            tried[kind] = max(run_jobs(probe, [job] * workers, stop, workers, threads))
        heapq.heapreplace(ends, ends[0] + tried[kind])  # the next job is the earliest one's
    return max(ends)


class Probe:
    """Takes a few steps of a job: see compute.pool, Work. Yields the seconds that it will take."""

    def __init__(
        self,
        currents: Currents,
        compiler: Compiler,
        compiles: Callable[[Setting], bool],
        ledger_level: LedgerLevel,
    ):
        self.currents, self.compiler, self.compiles = currents, compiler, compiles
        self.ledger_level = ledger_level
        self.graphed = currents.are_on_gpu

    @torch.no_grad()
    def run(self, job: Job, stop: Stop | WorkerStop) -> Iterator[float]:
        compiler = self.compiler if self.compiles(job[0].setting) else Compiler(enabled=False)
        trainer = Trainer(job, self.currents, compiler, self.graphed, self.ledger_level)
        trainer.prepare()
        if self.currents.are_on_gpu:
            verify(trainer)
            self.graphed = trainer.graphed
        first = trainer.epochs if trainer.switched_at is None else trainer.switched_at
        seconds = first * self.epoch(trainer, stop)
        if first < trainer.epochs:
            trainer.enter(1, switch=True)
            seconds += (trainer.epochs - first) * self.epoch(trainer, stop)
        yield seconds

    def epoch(self, trainer: Trainer, stop: Stop | WorkerStop) -> float:
        """Seconds that an epoch takes with its test."""
        trainer.learn()  # not in the count: the first call of all is slow
        start, count = time.monotonic(), 0
        while count < trainer.per_epoch and time.monotonic() - start < PROBE_SECONDS:
            stop.check()
            trainer.learn()
            self.synchronise()
            count += 1
        step = (time.monotonic() - start) / count
        start = time.monotonic()
        trainer.test()
        self.synchronise()
        test = time.monotonic() - start
        return step * trainer.per_epoch + test

    def synchronise(self) -> None:
        if self.currents.are_on_gpu:
            torch.cuda.synchronize()

    def cost(self, job: Job) -> Hashable:
        """What the time of a job depends on."""
        setting = job[0].setting
        families = tuple(device.response.family for device in setting.fields)
        physics = physics_of([setting]).values()
        return families, setting.switched_at, *physics, setting.layers, len(job)

    def divide(self, job: Job) -> list[Job]:
        return []


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
