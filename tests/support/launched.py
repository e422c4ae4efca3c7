"""Runs of `main.py` in other processes, which start quickly: see launcher.py."""

import json
import os
import signal
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
from support.fault_injection import GATES

PROJECT = Path(__file__).parents[2]
NUMBERS = count()  # of runs, for their logs


@dataclass
class Process:
    """A run in another process.

    output, errors: the files of its streams; gates: the beginning of the paths of opened gates.
    """

    launcher: subprocess.Popen
    pid: int
    output: Path
    errors: Path
    gates: str

    def send(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def wait(self) -> int:
        return ask(self.launcher, {"wait": self.pid})

    def ended(self, code: int = 0) -> "Process":
        """Wait for the end of the run, which must be with this exit code."""
        assert self.wait() == code, self.log
        return self

    def stopped(self, signum: int = signal.SIGTERM) -> "Process":
        """Stop the run by a signal, and wait for its end."""
        self.send(signum)
        return self.ended(128 + signum)

    def killed(self) -> None:
        self.send(signal.SIGKILL)
        self.ended(-signal.SIGKILL)

    def open(self, gate: str) -> None:
        """Let the run pass a gate: see fault_injection.py."""
        Path(f"{self.gates}.{gate}").touch()

    def open_networks(self, *models: int) -> None:
        """Let networks pass that are held."""
        for model in models:
            self.open(f"network {model}")

    @property
    def log(self) -> str:
        return self.errors.read_text() if self.errors.exists() else ""

    def wait_until(self, condition: Callable[[], object], seconds=120.0) -> "Process":
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it never came to that; {self.log}"
            time.sleep(0.002)
        return self

    def wait_for(self, words: str, times: int = 1) -> "Process":
        """Wait until the run has logged words so many times."""
        return self.wait_until(lambda: self.log.count(words) >= times)


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
    """Start a run with results in folder/out, as on a machine of two cores, or another program.

    request: for the launcher; `output_dir` names another folder for the results.
    """
    logs, number = folder / "logs", next(NUMBERS)
    logs.mkdir(exist_ok=True)
    logs.chmod(0o777)
    gates = str(logs / f"{number}.gate")
    out = request.pop("output_dir", folder / "out")
    given = () if "program" in request else ("--output_dir", out)
    request["args"] = merged(*arguments, *given)
    request["variables"] = {GATES: gates} | request.get("variables", {})
    output, errors = (str(logs / f"{number}.{end}") for end in ("out", "err"))
    request = {"output": output, "errors": errors, "threads": 2} | request
    pid = ask(launcher, request)
    return Process(launcher, pid, Path(output), Path(request["errors"]), gates)


@pytest.fixture
def start(launcher, tmp_path):
    """Starts a run with these arguments: see `start_with`."""
    return partial(start_with, launcher, tmp_path)
