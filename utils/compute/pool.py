"""Runs jobs one after the other, in this process or in worker processes forked from it.

Jobs do not interact, so a core with a worker never waits for another. Workers write files
themselves; only jobs are sent to them, and only messages are sent back.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import torch

from utils.compute.processor import OutOfMemoryError, memory_errors
from utils.compute.signals import Stop, StoppedError
from utils.compute.worker import Worker
from utils.console import log
from utils.errors import UserError

POLL_S = 0.05  # seconds until messages and a stop are looked for again


class Work(Protocol):
    """The work that is done for each job; jobs can be pickled."""

    def run(self, job: Any, stop: Stop) -> Iterator[Any]:
        """Do a job and yield messages, which can be pickled; `stop.check` is called regularly."""
        ...

    def divide(self, job: Any) -> list:
        """Return smaller jobs in place of a job that ran out of memory; an empty list if none."""
        ...


def run_jobs(
    work: Work, jobs: Sequence, stop: Stop, workers: int = 1, threads: int = 1
) -> Iterator[Any]:
    """Do all jobs; yields their messages in the order of arrival.

    workers: the number of processes, with `threads` threads each; 1 means this process alone. If
    memory does not suffice, jobs are divided, or fewer jobs run at the same time. Raises
    OutOfMemoryError if a single job is still too large, any error of a job, WorkerDiedError if a
    worker dies, and StoppedError if a stop is requested; before that, the other jobs have stopped
    and written their checkpoints.
    """
    if workers == 1:
        torch.set_num_threads(threads)
        yield from run_here(work, jobs, stop)
        return
    started: list[Worker] = []
    gc.freeze()  # so that garbage collection does not copy shared memory
    try:
        with stop.deferred():
            try:
                for _ in range(workers):
                    started.append(Worker(partial(do_job, work, stop), threads))
            except (OSError, RuntimeError) as error:
                raise UserError(
                    f"the system starts no {workers} processes ({error}); set $OMP_NUM_THREADS to "
                    "how many there may be"
                ) from None
            yield from run_in_workers(work, jobs, stop, started)
    finally:
        for worker in started:
            worker.end()
        gc.unfreeze()


def run_here(work: Work, jobs: Sequence, stop: Stop) -> Iterator[Any]:
    """Do the jobs in this process; yields and raises as `run_jobs`."""
    for job in jobs:
        parts = []
        try:
            with memory_errors():
                yield from work.run(job, stop)
        except OutOfMemoryError:
            parts = work.divide(job)
            if not parts:
                raise
        if parts:  # outside the except clause, so that no traceback keeps the attempt's memory
            stop.check()
            torch.cuda.empty_cache()
            yield from run_here(work, parts, stop)


def run_in_workers(work: Work, jobs: Sequence, stop: Stop, workers: list[Worker]) -> Iterator[Any]:
    """Do the jobs in idle workers. After an error or a stop, no further job begins."""
    queue, reason = deque(jobs), None  # reason: the error or stop that ends the run early
    while True:
        for worker in workers:
            if worker.job is None and queue and reason is None:
                worker.call(queue.popleft())
        busy = [worker for worker in workers if worker.job is not None]
        if not busy:
            break
        wait([worker.future for worker in busy], POLL_S, FIRST_COMPLETED)
        for worker in busy:
            job = worker.job
            try:
                yield from worker.messages()
            except OutOfMemoryError as error:
                if reason is None:
                    parts = work.divide(job) or do_fewer(workers, worker, job)
                    queue.extendleft(reversed(parts))
                    reason = None if parts else error
            except Exception as error:
                # The first error ends the run, even after a stop; later errors are logged at once.
                if reason is None or isinstance(reason, StoppedError):
                    reason = error
                elif str(error) != str(reason):
                    log(f"main.py: also: {error}")
        try:
            stop.check()
        except StoppedError as stopped:
            reason = reason or stopped
        if reason:
            stop.request()
    if reason:
        raise reason


def do_fewer(workers: list[Worker], worker: Worker, job: Any) -> list:
    """End a worker without memory for its job, which is returned; nothing if no other is busy."""
    others = sum(other.job is not None for other in workers)
    if not others:
        return []
    log(f"memory does not suffice for {others + 1} at a time; going on with {others}")
    worker.end()
    workers.remove(worker)
    return [job]


def do_job(work: Work, stop: Stop, send: Callable[[Any], None], job: Any) -> None:
    """Do a job in a worker, to its end or until a stop, and send its messages."""
    with suppress(StoppedError):
        for message in work.run(job, stop):
            send(message)
