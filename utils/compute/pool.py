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
    pool = Pool(work, stop)
    try:
        with stop.deferred():
            pool.start(workers, threads)
            yield from pool.run(jobs)
    finally:
        pool.end()


def run_here(work: Work, jobs: Sequence, stop: Stop) -> Iterator[Any]:
    """Do the jobs in this process; yields and raises as `run_jobs`."""
    queue = deque(jobs)
    while queue:
        job, is_too_large = queue.popleft(), False
        try:
            with memory_errors():
                yield from work.run(job, stop)
        except OutOfMemoryError:
            is_too_large = True
        # Outside the except clause, so that no traceback keeps the memory of the attempt.
        if is_too_large:
            stop.check()
            torch.cuda.empty_cache()
            parts = work.divide(job)
            if not parts:
                raise OutOfMemoryError
            queue.extendleft(reversed(parts))


class Pool:
    """The workers, the queue of jobs, and the error or stop that ends the run early."""

    def __init__(self, work: Work, stop: Stop):
        self.work, self.stop = work, stop
        self.workers: list[Worker] = []
        self.queue: deque = deque()
        self.reason: BaseException | None = None

    def start(self, workers: int, threads: int) -> None:
        gc.freeze()  # so that garbage collection does not copy shared memory
        try:
            for _ in range(workers):
                task = partial(do_job, self.work, self.stop)
                self.workers.append(Worker(task, threads))
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"the system starts no {workers} processes ({error}); set $OMP_NUM_THREADS to how "
                "many there may be"
            ) from None

    def end(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self.workers:
            worker.end()
        gc.unfreeze()

    def run(self, jobs: Sequence) -> Iterator[Any]:
        """Yield the messages of all jobs. After an error or a stop, no further job begins."""
        self.queue.extend(jobs)
        while True:
            for worker in self.workers:
                if worker.job is None and self.queue and self.reason is None:
                    worker.call(self.queue.popleft())
            busy = [worker for worker in self.workers if worker.job is not None]
            if not busy:
                break
            wait([worker.future for worker in busy], POLL_S, FIRST_COMPLETED)
            for worker in busy:
                has_ended = worker.future.done()  # asked before its last messages are read
                yield from worker.messages()
                if has_ended:
                    self.end_job(worker)
            try:
                self.stop.check()
            except StoppedError as stopped:
                self.reason = self.reason or stopped
            if self.reason:
                self.stop.request()
        if self.reason:
            raise self.reason

    def end_job(self, worker: Worker) -> None:
        """End a worker's job: it is done, or has failed, or is queued again as smaller jobs."""
        job, worker.job = worker.job, None
        try:
            worker.result()
        except OutOfMemoryError as error:
            if self.reason is None:
                self.handle_out_of_memory(worker, job, error)
        except Exception as error:
            # The first error ends the run, even after a stop; later errors are logged at once.
            if self.reason is None or isinstance(self.reason, StoppedError):
                self.reason = error
            elif str(error) != str(self.reason):
                log(f"main.py: also: {error}")

    def handle_out_of_memory(self, worker: Worker, job: Any, error: OutOfMemoryError) -> None:
        """Queue smaller jobs, or do fewer at a time; the run ends if neither is possible."""
        others = sum(other.job is not None for other in self.workers)
        parts = self.work.divide(job)
        if not parts and not others:
            self.reason = error
            return
        if not parts:
            log(f"memory does not suffice for {others + 1} at a time; going on with {others}")
            worker.end()
            self.workers.remove(worker)
            parts = [job]
        self.queue.extendleft(reversed(parts))


def do_job(work: Work, stop: Stop, send: Callable[[Any], None], job: Any) -> None:
    """Do a job in a worker, to its end or until a stop, and send its messages."""
    with suppress(StoppedError):
        for message in work.run(job, stop):
            send(message)
