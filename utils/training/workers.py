"""Processes forked from this one, each with a pipe to it and a single thread.

They share its memory as it was, with the data and all imported modules, until they write to it. So
they start at once. They leave signals to this process and end when it ends, however it does.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

import torch

from utils.errors import RecordError
from utils.stop import SIGNALS

PR_SET_PDEATHSIG = 1  # of Linux' prctl: which signal to get when the parent dies


class Died(RecordError):
    """A process that was at work is gone."""


GONE = (
    "a process of this run has died, perhaps for want of memory, of which a smaller "
    "$OMP_NUM_THREADS needs less; what is complete is safe, and the same command with --resume "
    "goes on"
)


class Worker:
    """One such process: runs task(line, *arguments), where `line` leads back here."""

    def __init__(self, task: Callable, *arguments):
        here, there = Pipe()
        parent = os.getpid()
        # No signal may reach the new process before it has decided to ignore them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                here.close()
                live(parent, task, Line(there), *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        there.close()
        self.line = Line(here)

    def end(self) -> None:
        """End the process, whatever it is doing."""
        with suppress(OSError):  # somebody else has asked what became of it
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.line.pipe.close()


class Line:
    """A pipe that carries Python objects, tensors as plain bytes.

    (multiprocessing's own way for tensors needs shared memory, of which containers have little.)
    Raises Died if there is no process at its other end any more.
    """

    def __init__(self, pipe: Connection):
        self.pipe = pipe

    def send(self, message) -> None:
        try:
            self.pipe.send_bytes(pickle.dumps(message))
        except OSError:
            raise Died(GONE) from None

    def receive(self):
        try:
            return pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            raise Died(GONE) from None

    def has_message(self) -> bool:
        return self.pipe.poll()

    def fileno(self) -> int:
        return self.pipe.fileno()


def can_fork() -> bool:
    """Whether a process forked from this one could train.

    Not on other systems than Linux; and not once this process has differentiated, since that takes
    threads, which a fork does not copy.
    """
    if sys.platform != "linux":
        return False
    try:
        worker = Worker(differentiate)
    except OSError:  # no more processes, says the system
        return False
    try:
        return worker.line.receive()
    except Died:
        return False
    finally:
        worker.end()


def differentiate(line: Line) -> None:
    with suppress(RuntimeError):
        torch.ones(1, requires_grad=True).sum().backward()
        line.send(True)


def live(parent: int, task: Callable, line: Line, *arguments) -> NoReturn:
    """In the new process: do the task and end, without going back to where the fork was."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:  # else it has died already
            for signum in SIGNALS:
                signal.signal(signum, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            torch.set_num_threads(1)
            task(line, *arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
