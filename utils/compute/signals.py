"""Stopping on Ctrl-C or SIGTERM: at once, or where nothing is lost."""

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
RANK_ZERO_TIMEOUT_S = 10.0  # in which process 0 of a run starts and finds what the others found


class StoppedError(BaseException):
    """The user or the system asked the run to stop."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum  # the shell's convention: 130 for Ctrl-C, 143 for SIGTERM
        self.saved = "nothing was trained yet"


class Stop:
    """Turns the first signal to stop into StoppedError; a second Ctrl-C ends the process at once.

    StoppedError is raised right away, but inside `deferred()` only by `check()`. That a stop is
    asked for stands in shared memory, where processes forked from this one, which ignore signals,
    find it, too. (An Event has a lock, which a process that is killed might hold.)
    """

    def __init__(self):
        self.signum: int | None = None  # the first one that has arrived
        self.time = 0.0
        self.is_deferred = False
        self.requested = mmap(-1, 1)  # the number of a signal, 0 as long as no stop is asked for

    def request(self, signum: int = signal.SIGTERM) -> None:
        """Ask for a stop, here and in all processes forked from this one, as a signal does."""
        self.requested[0] = signum

    def install(self) -> Stop:
        """Listen, except for signals that were ignored on purpose, as SIGHUP is under nohup."""
        for signum in SIGNALS:
            if signal.getsignal(signum) != signal.SIG_IGN:
                signal.signal(signum, self.handle)
        return self

    def handle(self, signum: int, frame) -> None:
        if self.signum is None:
            self.signum, self.time = signum, time.monotonic()
            self.request(signum)
            if not self.is_deferred:
                raise StoppedError(signum)
        elif signum == signal.SIGINT and not self.is_echo():
            os._exit(128 + signum)

    def is_echo(self) -> bool:
        """Under torchrun a Ctrl-C comes twice, from the terminal and from the launcher."""
        launched = "TORCHELASTIC_RUN_ID" in os.environ
        return launched and time.monotonic() - self.time < ECHO_S

    def check(self) -> None:
        """Raise StoppedError if a stop was asked for."""
        if signum := self.requested[0]:
            raise StoppedError(signum)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A stretch that a signal must not cut in two; it ends, or calls `check`, soon."""
        self.is_deferred = True
        try:
            self.check()
            yield
        finally:
            self.is_deferred = False
        self.check()


def wait_for_rank_zero() -> None:
    """Wait, in the other processes of a run, while process 0 tells what is wrong.

    All find the same mistake, and where one has ended its launcher ends the others: process 0 too,
    perhaps before it has said a word. So process 0 goes on at once and the others wait to be ended,
    in silence and with exit code 2. What process 0 has not told after RANK_ZERO_TIMEOUT_S is a
    mistake of theirs alone, which they tell.
    """
    if os.environ.get("RANK", "0") == "0":
        return
    for signum in SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, lambda *_: sys.exit(2))
    time.sleep(RANK_ZERO_TIMEOUT_S)
