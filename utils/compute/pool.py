"""Jobs, one after the other: in this process, or in a pool of worker processes forked from it.

Jobs do not interact, so a core that has a worker of its own never waits for another. Workers write
their own files; what travels is a job one way and its messages the other.
"""

from __future__ import annotations

import gc
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import torch

from utils.compute.processor import OutOfMemoryError, memory_errors
from utils.compute.signals import Stop, StoppedError
from utils.compute.worker import STOP, Worker, WorkerDiedError, WorkerStop, receive, send
from utils.console import log
from utils.errors import RecordError, UserError

POLL = 0.1  # seconds between two looks at whether to stop, here
DONE = "done"  # from a worker: all of its job is said


class Work(Protocol):
    """What is done with jobs, which can be pickled."""

    def run(self, job: Any, stop: Stop | WorkerStop) -> Iterator[Any]:
        """Do a job: yields messages that can be pickled. Calls `stop.check`."""

    def divide(self, job: Any) -> list:
        """Smaller jobs in place of one that memory did not suffice for; none if there are none."""


def run_jobs(
    work: Work, jobs: Sequence, stop: Stop, workers: int = 1, threads: int = 1
) -> Iterator[Any]:
    """Do all jobs; yields their messages in the order in which they come.

    workers: how many processes of `threads` threads each; 1 is this process itself. Where memory
    does not suffice, jobs are divided, or fewer done at the same time; raises OutOfMemoryError if a
    single one is still too large. Raises what a job raises, WorkerDiedError if a worker dies, and
    StoppedError if a stop is asked for; all once the other jobs have stopped in good order.
    """
    if workers == 1:
        torch.set_num_threads(threads)
        yield from run_here(work, jobs, stop)
        return
    pool = Pool(work, workers, threads, stop)
    try:
        with stop.deferred():
            yield from pool.run(jobs)
    finally:
        pool.end()


def run_here(work: Work, jobs: Sequence, stop: Stop) -> Iterator[Any]:
    queue = deque(jobs)
    while queue:
        job, is_too_large = queue.popleft(), False
        try:
            with memory_errors():
                yield from work.run(job, stop)
        except OutOfMemoryError:
            is_too_large = True
        # Out of the except clause, so that nothing holds on to the memory of the attempt.
        if is_too_large:
            stop.check()
            torch.cuda.empty_cache()
            parts = work.divide(job)
            if not parts:
                raise OutOfMemoryError
            queue.extendleft(reversed(parts))


class Pool:
    """Workers, what they are doing, and what they say."""

    def __init__(self, work: Work, workers: int, threads: int, stop: Stop):
        self.work, self.stop = work, stop
        self.workers: list[Worker] = []
        gc.freeze()  # so that collecting garbage copies nothing of the memory that they share
        try:
            for _ in range(workers):
                self.workers.append(Worker(serve, work, threads=threads))
        except OSError as error:
            self.end()
            raise UserError(
                f"the system starts no {workers} processes ({error.strerror}); set "
                "$OMP_NUM_THREADS to how many there may be"
            ) from None

    def end(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self.workers:
            worker.end()
        self.workers = []
        gc.unfreeze()

    @property
    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.job is not None]

    def run(self, jobs: Sequence) -> Iterator[Any]:
        """All jobs' messages. After an error or a stop no job is begun, and all are stopped."""
        queue = deque(jobs)
        reason: BaseException | None = None  # for which the run ends early
        while self.busy or (queue and reason is None):
            if reason is None:
                self.begin(queue)
            for worker in wait(self.busy, POLL):
                try:
                    message = worker.receive()
                except WorkerDiedError as error:
                    self.retire(worker)
                    message = error
                if isinstance(message, OutOfMemoryError) and reason is None:
                    message = self.relieve(worker, queue)
                elif isinstance(message, OutOfMemoryError):  # the run ends anyway
                    message = DONE
                if isinstance(message, Exception):
                    worker.job = None
                    reason = self.most_serious(reason, message)
                elif message == DONE:
                    worker.job = None
                elif message is not None:
                    yield message
            reason = self.hear(reason)
        if reason is not None:
            raise reason

    def begin(self, queue: deque) -> None:
        """Give idle workers jobs."""
        for worker in self.workers:
            if worker.job is None and queue:
                worker.job = queue.popleft()
                with suppress(WorkerDiedError):  # which is noticed when it is listened to
                    worker.send(worker.job)

    def relieve(self, worker: Worker, queue: deque) -> OutOfMemoryError | None:
        """After memory did not suffice: smaller jobs, or fewer at a time; else the error."""
        job, others = worker.job, len(self.busy) - 1
        parts = self.work.divide(job)
        if not parts and not others:
            return OutOfMemoryError()
        if not parts:
            log(f"memory does not suffice for {others + 1} at a time; going on with {others}")
            self.retire(worker)
            parts = [job]
        worker.job = None
        queue.extendleft(reversed(parts))
        return None

    def retire(self, worker: Worker) -> None:
        worker.end()
        self.workers.remove(worker)

    def hear(self, reason: BaseException | None) -> BaseException | None:
        """Why the run is to end, if it is; the workers are then told, once."""
        if reason is None:
            try:
                self.stop.check()
                return None
            except StoppedError as stopped:
                reason = stopped
        for worker in self.busy:
            if not worker.is_told:
                worker.is_told = True
                with suppress(WorkerDiedError):
                    worker.send(STOP)
        return reason

    @staticmethod
    def most_serious(reason: BaseException | None, error: Exception) -> BaseException:
        """The first error, rather than a stop; of others the user is told at once."""
        if reason is None or isinstance(reason, StoppedError):
            return error
        if str(error) != str(reason):
            log(f"main.py: also: {error}")
        return reason


def serve(pipe: Connection, work: Work) -> None:
    """What a worker does, until its pool ends it."""
    while True:
        message = receive(pipe)
        if message == STOP:  # it came when the job was done
            continue
        try:
            with memory_errors():
                for news in work.run(message, WorkerStop(pipe)):
                    send(pipe, news)
            send(pipe, DONE)
        except StoppedError:
            send(pipe, DONE)
        except WorkerDiedError:
            raise
        except (OutOfMemoryError, UserError, RecordError) as error:
            send(pipe, error)
        except Exception:
            send(pipe, RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))
