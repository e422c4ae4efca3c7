"""Compiles the programs that the jobs of a run need, before workers are forked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch

from devices.network_responses import Responses, RisingBranches
from models.currents import Currents
from utils.compute.compiler import Compiler, warn_of_newer_torch
from utils.console import log
from utils.settings import physics_of
from utils.training.plan import Job
from utils.training.trainer import Trainer


def prepare(
    jobs: Sequence[Job], currents: Currents, compiler: Compiler, threads: int, quiet: bool = False
) -> None:
    """Compile the programs of jobs in this process, before workers are forked from it.

    threads: of a worker. All jobs of a kind share one program. If compiling fails, all jobs train
    uncompiled: see `Compiler.prepare`. quiet: nothing is logged.
    """
    torch.set_num_threads(threads)  # a program is compiled for a number of threads
    first: dict[Hashable, Job] = {}
    for job in jobs:
        if job.compiled:
            first.setdefault(program_key(job), job)
    if first and not quiet:
        warn_of_newer_torch()
        log(announcement(len(first)))
    for number, job in enumerate(first.values(), start=1):
        if compiler.enabled:
            if len(first) > 2 and not quiet:
                log(f"compiling training step {number} of {len(first)}")
            Trainer(job.members, currents, compiler, ledger_level=job.ledger).prepare()
    if compiler.failure is not None and not quiet:
        log(
            f"compiling the training step failed ({compiler.failure}); it runs uncompiled, "
            "which is several times slower (--compile off silences this)"
        )


def announcement(n_programs: int) -> str:
    """Return the line that is logged before compiling, which may take long."""
    if n_programs <= 2:
        return "compiling the training step, which takes up to half a minute where it is new"
    return (
        f"compiling {n_programs} training steps, which takes up to half a minute for each that is "
        "new"
    )


def program_key(job: Job) -> Hashable:
    """Return what the compiled programs of a job depend on and jobs of a run may differ in."""
    settings = [member.setting for member in job.members]
    phases = zip(*(setting.fields for setting in settings), strict=True)
    rising = [setting.field.rising for setting in settings if setting.field.rising is not None]
    return (
        job.setting.layers,
        tuple(Responses([device.response for device in devices]).structure for devices in phases),
        RisingBranches(rising).structure if rising else None,
        *physics_of(settings).values(),
        len(job.members),
    )
