"""All jobs of a process, in turn or side by side in workers, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

from models.currents import Currents
from utils.compute.compiler import Compiler, warn_of_newer_torch
from utils.compute.pool import run_jobs
from utils.compute.signals import Stop
from utils.console import log
from utils.progress import Progress
from utils.records.archive import Archive
from utils.run import Run
from utils.settings import Member
from utils.training.job import Complete, Training
from utils.training.plan import Plan
from utils.training.trainer import announcement, prepare


def train(
    members: Sequence[Member],
    run: Run,
    currents: Currents,
    plan: Plan,
    archive: Archive,
    stop: Stop,
    quiet: bool,
) -> None:
    """Train the members to their files. quiet: without reports of progress.

    Raises OutOfMemoryError if a single network is too large for the memory, StoppedError once all
    is saved if a stop was asked for, RecordError if something cannot be written.
    """
    jobs = plan.jobs(members, archive.step_of)
    workers, threads = plan.workers(len(jobs))
    compiler = Compiler(plan.compiled)
    compiled = [job for job in jobs if plan.compiles(job[0].setting)]
    if compiled:
        if not quiet:
            warn_of_newer_torch()
            log(announcement(compiled))
        prepare(compiled, currents, compiler, threads, run.ledger_level)
        if compiler.failure is not None and not quiet:
            log(
                f"compiling the training step failed ({compiler.failure}); it runs uncompiled, "
                "which is several times slower (--compile off silences this)"
            )
    work = Training(
        currents,
        compiler,
        archive,
        run.checkpoint_minutes,
        plan.compiles,
        run.compute_intermediate,
        run.ledger_level,
    )
    per_epoch = -(-currents.n_train // plan.setting.batch_size)
    epochs = sum(m.setting.epochs - archive.step_of(m) // per_epoch for m in members)
    with Progress(epochs, quiet) as progress:
        for news in run_jobs(work, jobs, stop, workers, threads):
            if isinstance(news, Complete):
                archive.complete.add(news.member)  # written by a worker, perhaps
            else:
                progress.note(news)
