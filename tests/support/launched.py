"""Runs of `main.py` in other processes, which start quickly: see launcher.py."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.arguments import merged

PROJECT = Path(__file__).parents[2]


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

    @property
    def said(self) -> str:
        return self.errors.read_text() if self.errors.exists() else ""

    def wait_until(self, condition, seconds=30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it never came to that; {self.said}"
            time.sleep(0.002)


def assert_refused(process: Process, output_dir: Path) -> str:
    """Return the one line of a run that ended with exit code 2 and has created nothing."""
    assert process.wait() == 2
    assert process.said.count("\n") == 1, process.said
    assert process.said.startswith("main.py: error: ")
    assert process.output.read_text() == ""
    assert not output_dir.exists()
    return process.said


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


@pytest.fixture
def start(launcher, tmp_path):
    """Starts a run with these arguments, results in tmp_path/out, as on a machine of two cores."""
    numbers = iter(range(1000))

    def start_run(*arguments, output_dir=tmp_path / "out", **options) -> Process:
        logs = tmp_path / "logs"
        logs.mkdir(exist_ok=True)
        logs.chmod(0o777)
        number = next(numbers)
        output, errors = logs / f"{number}.out", logs / f"{number}.err"
        request = {
            "args": merged(*arguments, "--output_dir", output_dir),
            "output": str(output),
            "errors": str(errors),
            "threads": 2,
        }
        return Process(launcher, ask(launcher, request | options), output, errors)

    return start_run
