"""What is needed to repeat a run: program versions, commit, hardware."""

from __future__ import annotations

import functools
import platform
import subprocess
import sys
from pathlib import Path

import numpy
import torch

PROJECT = Path(__file__).parents[2]


@functools.cache
def provenance(device: torch.device) -> dict:
    """JSON-ready facts about the program and the machine that runs it."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": git_commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
        "device": str(device),
        "hardware": hardware(device),
    }


def git_commit() -> str | None:
    """The project's commit, with `-modified` if files differ from it; None outside git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(PROJECT), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != PROJECT:
            return None  # the project's files, within a repository of something else
        commit = git("rev-parse", "HEAD")
        modified = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + "-modified" * bool(modified)


def hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor_name()


def processor_name() -> str:
    """The processor as it calls itself, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
