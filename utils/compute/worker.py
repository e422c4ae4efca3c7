"""Worker processes forked from this one, and the pipes to them.

Workers share this process's memory as it was, with the data and all imported modules, until they
write to it, so they start at once. They leave signals to this process and end when it ends, however
it does.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, NoReturn

import torch

from utils.compute.processor import OutOfMemoryError, memory_errors
from utils.compute.signals import SIGNALS, StoppedError
from utils.errors import RecordError

PATIENCE = 120.0  # seconds for a trial; it takes one, with many cores and large layers more
LONGEST = 900.0  # seconds for a task in a fork; none should take a tenth of it
LISTEN = 0.05  # seconds between two looks for a stop; a look takes as long as a part of a step
PR_SET_PDEATHSIG = 1  # of Linux' prctl: which signal to get when the parent dies
STOP = "stop"  # to a worker: end the job in good order
GONE = (
    "a process of this run has died, perhaps for want of memory, of which a smaller "
    "$OMP_NUM_THREADS needs less; what is complete is safe, and the same command with --resume "
    "goes on"
)


class WorkerDiedError(RecordError):
    """A worker process that was at work is gone."""


class Worker:
    """A process forked from this one that runs `task(here, *arguments)`, and the pipe to it.

    The pipe carries Python objects, tensors as plain bytes. (multiprocessing's own way for tensors
    needs shared memory, of which containers have little.)
    """

    def __init__(self, task: Callable, *arguments, threads: int = 1):
        here, there = Pipe()
        parent = os.getpid()
        self.job: Any = None
        self.is_told = False
        # No signal may reach the new process before it has decided to ignore them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                here.close()
                live(parent, threads, task, there, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        there.close()
        self.pipe = here

    def send(self, message: Any) -> None:
        send(self.pipe, message)

    def receive(self) -> Any:
        return receive(self.pipe)

    def fileno(self) -> int:
        return self.pipe.fileno()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        with suppress(OSError):  # somebody else has asked what became of it
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.pipe.close()


def send(pipe: Connection, message: Any) -> None:
    """Raises WorkerDiedError if there is no process at the other end any more; so does
    `receive`.
    """
    try:
        pipe.send_bytes(pickle.dumps(message))
    except OSError:
        raise WorkerDiedError(GONE) from None


def receive(pipe: Connection) -> Any:
    try:
        return pickle.loads(pipe.recv_bytes())
    except (EOFError, OSError):
        raise WorkerDiedError(GONE) from None


def live(parent: int, threads: int, task: Callable, pipe: Connection, *arguments) -> NoReturn:
    """In the new process: do the task and end, without going back to where the fork was."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # else it has died already
            for signum in SIGNALS:
                signal.signal(signum, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            # In a thread of its own: OpenMP would wait for ever for the helpers that a thread had
            # before the fork.
            thread = Thread(target=work, args=(threads, task, pipe, *arguments))
            thread.start()
            thread.join()
    finally:
        os._exit(0)


def work(threads: int, task: Callable, pipe: Connection, *arguments) -> None:
    try:
        torch.set_num_threads(threads)
        task(pipe, *arguments)
    except WorkerDiedError:  # nobody is there to be told
        pass
    except BaseException:
        traceback.print_exc()


class WorkerStop:
    """In a worker, what a Stop is in the first process, which passes it on."""

    def __init__(self, pipe: Connection):
        self.pipe, self.last = pipe, time.monotonic()

    def check(self) -> None:
        """Raise StoppedError if the first process asks for it."""
        if time.monotonic() - self.last < LISTEN:
            return
        self.last = time.monotonic()
        if self.pipe.poll() and receive(self.pipe) == STOP:
            raise StoppedError(signal.SIGTERM)

    def deferred(self) -> AbstractContextManager:
        return nullcontext()


def forks() -> bool:
    """Whether this process can be forked to compute: on Linux, as long as it uses no GPU."""
    return sys.platform == "linux" and not torch.cuda.is_initialized()


def in_a_fork(task: Callable[[], None]) -> None:
    """Do the task in a process forked from this one.

    Raises RuntimeError with the message of what it raises or if it comes to no end,
    OutOfMemoryError if that is the reason, and WorkerDiedError if the process is gone.
    """
    worker = Worker(report, task, threads=torch.get_num_threads())
    try:
        if not worker.pipe.poll(LONGEST):
            raise RuntimeError(f"it came to no end in {LONGEST / 60:g} minutes")
        error = worker.receive()
    finally:
        worker.end()
    if error is not None:
        raise error


def report(pipe: Connection, task: Callable[[], None]) -> None:
    error = None
    try:
        with memory_errors():
            task()
    except OutOfMemoryError as reason:
        error = reason
    except Exception as reason:
        error = RuntimeError(str(reason) or type(reason).__name__)
    send(pipe, error)


def holds_in_a_fork(test: Callable[[], bool]) -> bool:
    """Whether a process forked from this one can differentiate, and finds `test()` true.

    Not on other systems than Linux; and not where it fails or hangs since this process has used
    threads, which a fork does not copy.
    """
    if sys.platform != "linux":
        return False
    try:
        worker = Worker(answer, test)
    except OSError:  # no more processes, says the system
        return False
    try:
        return worker.pipe.poll(PATIENCE) and worker.receive()
    except WorkerDiedError:
        return False
    finally:
        worker.end()


def answer(pipe: Connection, test: Callable[[], bool]) -> None:
    with suppress(RuntimeError):
        torch.ones(1, requires_grad=True).sum().backward()
        send(pipe, test())
