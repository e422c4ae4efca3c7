"""A dry run prints what a run would do: settings, processes, memory, and time by timed steps."""

from __future__ import annotations

import heapq
import time
from collections.abc import Hashable, Iterator, Sequence

import torch

from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.distributed import World
from utils.compute.pool import run_jobs
from utils.compute.signals import Stop
from utils.console import log
from utils.settings import Task, physics_of
from utils.training.compiling import prepare
from utils.training.job import ready_trainer
from utils.training.plan import Job, Plan
from utils.training.trainer import Trainer

PROBE_SECONDS = 1.0


def describe(
    plan: Plan, tasks: Sequence[Task], currents: Currents, world: World, stop: Stop
) -> None:
    """Print which of the tasks process 0 would do, and how; nothing is trained or written."""
    if not world.is_first:
        return
    shard = world.shard(tasks)  # process 0 has the largest part
    jobs = plan.jobs(shard)
    workers, threads = plan.workers(len(jobs))
    compiler = Compiler(plan.compiled)
    prepare(jobs, currents, compiler, threads)
    probe = Probe(currents, compiler)
    seconds = seconds_of(jobs, probe, workers, threads, stop)
    at_once = workers * max(len(job.members) for job in jobs)
    share = sum(job.compiled for job in jobs) if compiler.enabled else 0
    how = "compiled" if share == len(jobs) else "partly compiled" if share else "not compiled"
    n_settings = len(plan.settings)
    several = len({setting.layers for setting in plan.settings}) > 1
    processes = f"{world.size} process{'es' * (world.size > 1)}"
    print(f"{n_settings} settings of {len(tasks) // n_settings} networks each, {processes}:")
    for setting in plan.settings:
        print(f"  {setting.slug}" + f", layers {' '.join(map(str, setting.layers))}" * several)
    print(
        f"process 0 trains {len(shard)} networks on {plan.machine.name}, up to "
        f"{at_once} at once{f' on {workers} cores' * (workers > 1)}, in about "
        f"{plan.memory(at_once) / 2**20:.0f} MiB beside the data\n"
        f"about {duration(seconds)} of training ({how}; estimated from a few steps), including "
        "networks that --resume finds complete"
    )


def seconds_of(jobs: Sequence[Job], probe: Probe, workers: int, threads: int, stop: Stop) -> float:
    """Return the expected seconds of all jobs, from timed steps of one job of each kind.

    As many jobs are timed at the same time as will train together, since they slow each other down.
    """
    ends, tried = [0.0] * workers, {}  # ends: the seconds after which each worker is done
    n_kinds = len({cost(job) for job in jobs})
    for job in jobs:
        key = cost(job)
        if key not in tried:
            log(f"timing a few steps of {job.setting.slug} ({len(tried) + 1} of {n_kinds})")
            tried[key] = max(run_jobs(probe, [job] * workers, stop, workers, threads))
        heapq.heapreplace(ends, ends[0] + tried[key])  # the first idle worker takes the next job
    return max(ends)


def cost(job: Job) -> Hashable:
    """Return what the time of a job depends on."""
    settings = [member.setting for member in job.members]
    families = tuple(device.response.family for device in job.setting.fields)
    physics = physics_of(settings).values()
    return families, job.setting.switched_at, *physics, job.setting.layers, len(settings)


class Probe:
    """Work (see compute.pool) that times a few steps of a job and yields the job's seconds."""

    def __init__(self, currents: Currents, compiler: Compiler):
        self.currents, self.compiler = currents, compiler
        self.graphed = currents.are_on_gpu

    @torch.no_grad()
    def run(self, job: Job, stop: Stop) -> Iterator[float]:
        trainer = ready_trainer(job, self.currents, self.compiler, self.graphed)
        self.graphed = trainer.graphed
        first = trainer.epochs if trainer.switched_at is None else trainer.switched_at
        seconds = first * self.epoch(trainer, stop)
        if first < trainer.epochs:
            trainer.enter(1, switch=True)
            seconds += (trainer.epochs - first) * self.epoch(trainer, stop)
        yield seconds

    def epoch(self, trainer: Trainer, stop: Stop) -> float:
        """Return the seconds that an epoch takes with its test."""
        trainer.learn()  # not counted, since the first call is slow
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

    def divide(self, job: Job) -> list[Job]:
        return []


def duration(seconds: float) -> str:
    """Return a time as text, in s, min or h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
