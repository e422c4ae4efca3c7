"""A session is one call of the program; records describe its versions, hardware and rounding."""

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
    """One call of the program, for the networks of one setting.

    provenance: what is needed to repeat it; rounding: all that decides its rounding, by name, so
    that sessions of equal rounding give equal results; ledger: how much of the cost of learning it
    counts; compiling_failed: whether steps that should have been compiled were not.
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
        """Read a session, which an earlier version may have written.

        Raises KeyError, TypeError or ValueError if the content is no session.
        """
        old = content.get("fell_back", False)
        return cls(
            content["provenance"],
            content["rounding"],
            LedgerLevel(content.get("ledger", 0)),
            content.get("compiling_failed", old),
        )

    def differences(self, earlier: Sequence[Session]) -> list[str]:
        """Return the names of differences that keep this session from resuming a network.

        earlier: the sessions that trained the network. Differences are all that changes rounding,
        and the ledger if they counted less than this session.
        """
        names = [
            name
            for name, value in self.rounding.items()
            if any(session.rounding.get(name) != value for session in earlier)
        ]
        return names + ["ledger"] * any(session.ledger < self.ledger for session in earlier)


def provenance(device: torch.device, hardware: str) -> dict:
    """Return facts about the program and its machine, ready for JSON."""
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
            return None  # the project's files are inside the repository of another project
        commit = git("rev-parse", "HEAD")
        modified = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + "-modified" * bool(modified)
