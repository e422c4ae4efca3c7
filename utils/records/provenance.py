"""What is needed to repeat a run: program versions, commit, hardware."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy
import torch

from devices.ledger_level import LedgerLevel
from utils.compute.processor import hardware

PROJECT = Path(__file__).parents[2]


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


def sitting(
    device: torch.device,
    data_sha256: str,
    compiled: bool,
    threads: int | None,
    product: str,
    kernels: Mapping[str, bool],
    ledger_level: LedgerLevel = LedgerLevel.NOTHING,
) -> dict:
    """What this run is, and what decides how it rounds: with the same rounding, the same results.

    compiled: whether the plan says so; fell_back will say whether that failed. threads: of a
    process, where products depend on their number; None where they do not. product: of the first
    layer, "sparse" or "dense"; kernels: those in C++, and whether they are in use. ledger_level:
    of what
    learning costs, which changes no result, but a network that starts without it cannot go on with
    it.
    """
    rounding = {
        "torch": torch.__version__,
        "hardware": hardware(device),
        "compiled": compiled,
        "threads": threads,
        "product": product,
        **kernels,
    }
    about = provenance(device) | {
        "data_sha256": data_sha256,
        "product": product,
        **kernels,
    }
    return {"provenance": about, "rounding": rounding, "fell_back": False, "ledger": ledger_level}
