"""Jobs for pools that train nothing: see utils/compute/pool.py, Work."""

import os
import time
from pathlib import Path

from support.sweeps import children
from utils.compute.signals import StoppedError


class FakeJobs:
    """Work whose jobs are names of methods, which write notes to a file that processes share."""

    def __init__(self, folder: Path):
        self.notes = folder / "notes"
        self.notes.touch()

    def run(self, job, stop):
        return getattr(self, job)(stop)

    def divide(self, job):
        return []

    def note(self, line: str) -> None:
        with self.notes.open("a") as file:
            file.write(f"{line}\n")

    @property
    def lines(self) -> list[str]:
        return self.notes.read_text().splitlines()

    def wait_for(self, line: str) -> None:
        end = time.monotonic() + 120
        while line not in self.lines:
            assert time.monotonic() < end, f"{line} never came"
            time.sleep(0.002)

    def train_until_stopped(self, stop) -> None:
        """End at a stop with a checkpoint, which takes a while to write."""
        try:
            while True:
                stop.check()
        except StoppedError:
            time.sleep(0.3)
            self.note("checkpoint")
            raise


class Counting(FakeJobs):
    """Work whose jobs are numbers of messages."""

    def run(self, job, stop):
        for number in range(job):
            yield job, number


def assert_no_children() -> None:
    """Assert that no fork of this process runs or is a zombie."""
    forks = (Path("/proc/self/cmdline").read_bytes(), b"")  # command lines; b"" is a zombie's
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(os.getpid())]
    assert not [command for command in commands if command in forks]
