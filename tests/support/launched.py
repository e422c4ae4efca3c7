"""Runs of `main.py` in other processes, which start quickly: see launcher.py."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from support.arguments import merged

PROJECT = Path(__file__).parents[2]
NUMBERS = count()  # of runs, for their logs


@dataclass
class Process:
    """A run in another process."""

    launcher: subprocess.Popen
    pid: int
    output: Path
    errors: Path

    def send(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def wait(self) -> int:
        return ask(self.launcher, {"wait": self.pid})

    def ended(self, code: int = 0) -> "Process":
        """Wait for the end of the run, which must be with this exit code."""
        assert self.wait() == code, self.said
        return self

    @property
    def said(self) -> str:
        return self.errors.read_text() if self.errors.exists() else ""

    def wait_until(self, condition: Callable[[], object], seconds=120.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it never came to that; {self.said}"
            time.sleep(0.002)


def ask(launcher: subprocess.Popen, request: dict) -> int:
    launcher.stdin.write(json.dumps(request) + "\n")
    launcher.stdin.flush()
    return int(launcher.stdout.readline())


@pytest.fixture(scope="session")
def launcher():
    process = subprocess.Popen(
        [sys.executable, str(PROJECT / "tests" / "support" / "launcher.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    process.wait()


def start_with(launcher, folder: Path, *arguments, **request) -> Process:
    """Start a run with results in folder/out, as on a machine of two cores.

    request: for the launcher; `output_dir` names another folder for the results.
    """
    logs, number = folder / "logs", next(NUMBERS)
    logs.mkdir(exist_ok=True)
    logs.chmod(0o777)
    args = merged(*arguments, "--output_dir", request.pop("output_dir", folder / "out"))
    output, errors = (str(logs / f"{number}.{end}") for end in ("out", "err"))
    request = {"args": args, "output": output, "errors": errors, "threads": 2} | request
    return Process(launcher, ask(launcher, request), Path(output), Path(request["errors"]))


@pytest.fixture
def start(launcher, tmp_path):
    """Starts a run with these arguments: see `start_with`."""
    return partial(start_with, launcher, tmp_path)
