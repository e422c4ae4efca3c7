"""One call of the program as its records tell it: versions, commit, hardware, rounding."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch

from devices.ledger_level import LedgerLevel

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Session:
    """One call of the program, as far as it trains the networks of one setting.

    provenance: what is needed to repeat it; rounding: by name, all that decides how it rounds:
    where that is equal, results are; ledger: how much of the cost of learning it counts;
    compiling_failed: whether steps that should have been compiled were not.
    """

    provenance: Mapping[str, Any]
    rounding: Mapping[str, Any]
    ledger: LedgerLevel = LedgerLevel.NOTHING
    compiling_failed: bool = False

    def to_json(self) -> dict:
        return {
            "provenance": self.provenance,
            "rounding": self.rounding,
            "ledger": int(self.ledger),
            "compiling_failed": self.compiling_failed,
        }

    @classmethod
    def from_json(cls, content: Mapping) -> Session:
        """Also of earlier programs; raises KeyError, TypeError or ValueError if it is none."""
        old = content.get("fell_back", False)
        return cls(
            content["provenance"],
            content["rounding"],
            LedgerLevel(content.get("ledger", 0)),
            content.get("compiling_failed", old),
        )

    def differences(self, earlier: Sequence[Session]) -> list[str]:
        """Names of what keeps a network of earlier sessions from being trained further in this one.

        What rounds otherwise, and the ledger if less was counted than this session counts.
        """
        names = [
            name
            for name, value in self.rounding.items()
            if any(session.rounding.get(name) != value for session in earlier)
        ]
        return names + ["ledger"] * any(session.ledger < self.ledger for session in earlier)


def provenance(device: torch.device, hardware: str) -> dict:
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
        "hardware": hardware,
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
