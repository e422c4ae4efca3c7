"""Work for pools that is none: see compute.pool, Work."""

import os
import time
from pathlib import Path

from support.sweeps import children


class Errands:
    """Work whose jobs are names of its methods, or of what a subclass has by the name.

    What they do is kept, line by line, in a file that all processes write to.
    """

    def __init__(self, folder: Path):
        self.log = folder / "log"
        self.log.touch()

    def run(self, job, stop):
        return getattr(self, job)(stop)

    def divide(self, job):
        return []

    def note(self, line: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{line}\n")

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def wait_for(self, line: str) -> None:
        end = time.monotonic() + 10
        while line not in self.lines:
            if time.monotonic() > end:
                raise AssertionError(f"{line} never came")
            time.sleep(0.002)


class Counting(Errands):
    """A job is a number of messages."""

    def run(self, job, stop):
        for number in range(job):
            yield job, number


def assert_no_children() -> None:
    """No fork of this process lives, nor is one left unasked for what became of it."""
    mine = (Path("/proc/self/cmdline").read_bytes(), b"")  # of a fork, and of a dead one
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(os.getpid())]
    assert not [command for command in commands if command in mine]
