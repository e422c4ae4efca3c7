"""Worker processes are forked from this one and share its memory until they write to it.

A fork has the data and all imported modules at once. It ignores signals, which this process
handles, and ends when this process ends, for whatever reason.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from typing import Any

import torch

from utils.compute.processor import OutOfMemoryError, memory_errors
from utils.compute.signals import SIGNALS
from utils.errors import RecordError, UserError, WorkerDiedError

TRIAL_TIMEOUT_S = 120.0  # a trial takes one second; more with many cores and large layers
TASK_TIMEOUT_S = 900.0  # more than ten times as long as any task should take
PR_SET_PDEATHSIG = 1  # an option of Linux' prctl: the signal to receive when the parent dies
WORKER_DIED = (
    "a process of this run has died, perhaps for want of memory, of which a smaller "
    "$OMP_NUM_THREADS needs less; what is complete is safe, and the same command with --resume "
    "goes on"
)


class Worker:
    """A process forked from this one that calls `task(send, job)` for one job after the other.

    The fork inherits the task, which may be any callable. Jobs, results and messages are pickled.
    Each worker has a separate executor and pipe, since the death of a process ends all processes of
    its executor and may leave the lock of a shared queue locked.

    job: the job that it does now, None if it is idle.
    """

    def __init__(self, task: Callable, threads: int = 1):
        self.pipe, there = multiprocessing.Pipe(duplex=False)
        arguments = (os.getpid(), partial(task, there.send), threads)
        self.executor = ProcessPoolExecutor(
            1, multiprocessing.get_context("fork"), start_worker, arguments
        )
        pid = self.executor.submit(os.getpid).result()
        there.close()
        (self.process,) = (child for child in multiprocessing.active_children() if child.pid == pid)
        self.job: Any = None
        self.future: Future  # of the last call

    def call(self, job: Any = None) -> None:
        """Start a call of the task in the worker."""
        self.job = job
        try:
            self.future = self.executor.submit(call_task, job)
        except BrokenProcessPool as error:  # it died since the last call
            self.future = Future()
            self.future.set_exception(error)

    def messages(self) -> Iterator[Any]:
        """Yield the messages of the job that have arrived; raises as `result` if it has ended."""
        has_ended = self.future.done()  # asked before its last messages are read
        with suppress(EOFError, OSError):  # the process has died
            while self.pipe.poll():
                yield self.pipe.recv()
        if has_ended:
            self.job = None
            self.result()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the call and return its result.

        Raises OutOfMemoryError, UserError or RecordError if the task does, RuntimeError for any
        other of its errors, WorkerDiedError if the process dies, and TimeoutError.
        """
        try:
            result, error = self.future.result(timeout)
        except BrokenProcessPool:
            raise WorkerDiedError(WORKER_DIED) from None
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.executor.shutdown()


call_in_thread: Callable[[Any], Future]  # starts a call of the task; defined in workers only


def start_worker(parent: int, task: Callable, threads: int) -> None:
    """Prepare the process that was just forked from `parent`."""
    global call_in_thread
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died already
        os._exit(0)
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    # In a new thread, since OpenMP would wait for ever for the threads that a fork does not copy.
    thread = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,))
    call_in_thread = partial(thread.submit, task)


def call_task(job: Any) -> tuple[Any, Exception | None]:
    """Return, in a worker, the task's result and its error, of a type that can be pickled."""
    try:
        with memory_errors():
            return call_in_thread(job).result(), None
    except (OutOfMemoryError, UserError, RecordError) as error:
        return None, error
    except Exception as error:
        reason = str(error) or type(error).__name__
        return None, RuntimeError(f"{reason}\nin a worker process:\n{traceback.format_exc()}")


def can_fork() -> bool:
    """Whether this process can be forked: on Linux, if it has not used a GPU."""
    return sys.platform == "linux" and not torch.cuda.is_initialized()


def call_in_fork(task: Callable, threads: int = 1, timeout: float = TASK_TIMEOUT_S) -> Any:
    """Call the task in a process forked from this one; returns and raises as Worker.result."""
    worker = Worker(lambda send, job: task(), threads)
    try:
        worker.call()
        return worker.result(timeout)
    except TimeoutError:
        raise RuntimeError(f"it did not end within {timeout / 60:g} minutes") from None
    finally:
        worker.end()


def holds_in_fork(test: Callable[[], bool]) -> bool:
    """Whether a process forked from this one can differentiate, and `test()` is true there.

    It is false on other systems than Linux, and if the trial fails or hangs because this process
    has used threads, which a fork does not copy.
    """

    def trial() -> bool:
        torch.ones(1, requires_grad=True).sum().backward()
        return test()

    try:
        return sys.platform == "linux" and call_in_fork(trial, timeout=TRIAL_TIMEOUT_S)
    except (OSError, RuntimeError, WorkerDiedError):  # OSError: the system starts no process
        return False
