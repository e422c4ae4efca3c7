"""Trains all networks of a process, in turn or in workers, and reports the progress."""

from __future__ import annotations

from collections.abc import Sequence

from models.currents import Currents
from utils.compute.pool import run_jobs
from utils.compute.signals import Stop
from utils.progress import Progress
from utils.settings import Task
from utils.training.compiling import prepare
from utils.training.job import Complete, JobRunner
from utils.training.plan import Job, Plan


def train(
    tasks: Sequence[Task], plan: Plan, work: JobRunner, stop: Stop, quiet: bool = False
) -> None:
    """Train the networks of all tasks and write their files. quiet: progress is not reported.

    Raises OutOfMemoryError if a single network is too large for the memory, RecordError if a file
    cannot be written, and StoppedError if a stop was requested, after all checkpoints are written.
    """
    jobs = plan.jobs(tasks)
    workers, threads = plan.workers(len(jobs))
    prepare(jobs, work.currents, work.compiler, threads, quiet)
    with Progress(sum(epochs_left(job, work.currents) for job in jobs), quiet) as progress:
        for news in run_jobs(work, jobs, stop, workers, threads):
            if isinstance(news, Complete):
                work.archive.complete.add(news.member)  # written by a worker, perhaps
            else:
                progress.note(news)


def epochs_left(job: Job, currents: Currents) -> int:
    """Return the number of epochs left to train, summed over the networks of a job."""
    per_epoch = -(-currents.n_train // job.setting.batch_size)
    return len(job.members) * (job.setting.epochs - job.step // per_epoch)
