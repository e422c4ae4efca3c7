"""Stops a run on Ctrl-C or SIGTERM, at once or at the next point where nothing is lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in dir(signal)]
ECHO_S = 5.0  # seconds within which a launcher may pass on a Ctrl-C that has already arrived
RANK_ZERO_TIMEOUT_S = 10.0  # in which process 0 of a run finds an error that the others found
NOTHING_TRAINED = "nothing was trained yet"


class StoppedError(BaseException):
    """The user or the system asked the run to stop."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum  # the shell's convention: 130 for Ctrl-C, 143 for SIGTERM
        self.saved = NOTHING_TRAINED


class Stop:
    """Turns the first signal to stop into StoppedError; a second Ctrl-C ends the process at once.

    StoppedError is raised at once, but inside `deferred()` only by `check()`. The request is
    written to shared memory, where processes forked from this one, which ignore signals, find it,
    too. (An Event has a lock, which a process that is killed might hold.)
    """

    def __init__(self):
        self.process = os.getpid()
        self.signum: int | None = None  # the first signal that has arrived
        self.time = 0.0
        self.is_deferred = False
        self.requested = mmap(-1, 1)  # the number of a signal, 0 if no stop is requested

    def request(self, signum: int = signal.SIGTERM) -> None:
        """Request a stop of this process and of all processes forked from it, as a signal does."""
        self.requested[0] = signum

    def install(self) -> Stop:
        """Handle signals, except those that were ignored on purpose, as SIGHUP is under nohup."""
        for signum in SIGNALS:
            if signal.getsignal(signum) != signal.SIG_IGN:
                signal.signal(signum, self.handle)
        return self

    def handle(self, signum: int, frame) -> None:
        if os.getpid() != self.process:  # a fork, which the process that installed this stops
            return
        if self.signum is None:
            self.signum, self.time = signum, time.monotonic()
            self.request(signum)
            if not self.is_deferred:
                raise StoppedError(signum)
        elif signum == signal.SIGINT and not self.is_echo():
            os._exit(128 + signum)

    def is_echo(self) -> bool:
        """Whether a Ctrl-C may be the second of one: torchrun passes on what a terminal sends."""
        launched = "TORCHELASTIC_RUN_ID" in os.environ
        return launched and time.monotonic() - self.time < ECHO_S

    def check(self) -> None:
        """Raise StoppedError if a stop was requested."""
        if signum := self.requested[0]:
            raise StoppedError(signum)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer stops: a signal raises nothing before `check` or the end of the context."""
        self.is_deferred = True
        try:
            self.check()
            yield
        finally:
            self.is_deferred = False
        self.check()


def is_rank_zero() -> bool:
    """Whether this process is the first of those that a launcher has started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def wait_for_rank_zero() -> None:
    """Wait, in all processes of a run but process 0, while process 0 logs an error of the user.

    All processes find the same error, and once one has ended, the launcher ends the others, perhaps
    process 0 before it has logged anything. So process 0 returns at once, and the others wait to be
    ended, without a message and with exit code 2. If they still run after RANK_ZERO_TIMEOUT_S, the
    error is theirs alone, and they return to log it.
    """
    if is_rank_zero():
        return
    for signum in SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, lambda *_: sys.exit(2))
    time.sleep(RANK_ZERO_TIMEOUT_S)
