"""Stopping on Ctrl-C or SIGTERM: at once, or where nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """The user or the system asked the run to stop."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum  # the shell's convention: 130 for Ctrl-C, 143 for SIGTERM


class Stop:
    """Turns the first SIGINT or SIGTERM into Stopped; a second one ends the process at once.

    Stopped is raised right away, but inside `deferred()` only by `check()`.
    """

    def __init__(self):
        self.signum: int | None = None
        self.is_deferred = False

    def install(self) -> Stop:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self.handle)
        return self

    def handle(self, signum: int, frame) -> None:
        if self.signum is not None:
            os._exit(128 + signum)
        self.signum = signum
        if not self.is_deferred:
            raise Stopped(signum)

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.signum is not None:
            raise Stopped(self.signum)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A stretch that a signal must not cut in two; it ends, or calls `check`, soon."""
        self.check()
        self.is_deferred = True
        try:
            yield
        finally:
            self.is_deferred = False
