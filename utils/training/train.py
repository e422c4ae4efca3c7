"""All jobs of a process, in turn or side by side in workers, and the progress of the run."""

from __future__ import annotations

from collections.abc import Sequence

from models.currents import Currents
from utils.compute.pool import run_jobs
from utils.compute.signals import Stop
from utils.progress import Progress
from utils.settings import Task
from utils.training.compiling import prepare
from utils.training.job import Complete, Training
from utils.training.plan import Job, Plan


def train(
    tasks: Sequence[Task], plan: Plan, work: Training, stop: Stop, quiet: bool = False
) -> None:
    """Train the networks of all tasks to their files. quiet: without reports of progress.

    Raises OutOfMemoryError if a single network is too large for the memory, StoppedError once all
    is saved if a stop was asked for, RecordError if something cannot be written.
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
    """Epochs that the networks of a job have still to train, summed over them."""
    per_epoch = -(-currents.n_train // job.setting.batch_size)
    return len(job.members) * (job.setting.epochs - job.step // per_epoch)
