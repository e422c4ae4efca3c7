"""Checkpoints hold the state of a network in training, so that a stopped run can be resumed.

A checkpoint is a dict: `state` is the network's slice of its ensemble (tensors by name, including
`history.step`), `seconds` is the time spent so far, and `sessions` is JSON: see records.session.
Random streams need only seed and step; slope factors follow from the seed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from utils.records.files import write_tensors
from utils.records.folders import Folder
from utils.records.session import Session


@dataclass(frozen=True)
class Checkpoint:
    """A network between two mini-batches. sessions: the sessions that trained it, oldest first."""

    state: dict[str, Tensor]
    seconds: float
    sessions: list[Session]

    @property
    def step(self) -> int:
        """The number of mini-batches so far."""
        return int(self.state["history.step"])


def write_checkpoint(folder: Folder, model: int, checkpoint: Checkpoint) -> None:
    content = {
        "state": checkpoint.state,
        "seconds": checkpoint.seconds,
        "sessions": json.dumps([session.to_json() for session in checkpoint.sessions]),
    }
    write_tensors(folder.checkpoint(model), content)


def read_checkpoint(folder: Folder, model: int) -> Checkpoint | None:
    """Return a checkpoint; None if it is missing or damaged. Tensors are memory-mapped."""
    try:
        content = torch.load(folder.checkpoint(model), weights_only=True, mmap=True)
        texts = content["sessions"] if "sessions" in content else content["sittings"]  # until 1.0.0
        sessions = [Session.from_json(session) for session in json.loads(texts)]
        checkpoint = Checkpoint(dict(content["state"]), float(content["seconds"]), sessions)
        return checkpoint if checkpoint.step >= 0 else None
    except Exception:  # torch names no set of errors for a damaged file
        return None


def remove_checkpoint(folder: Folder, model: int) -> None:
    with suppress(OSError):
        folder.checkpoint(model).unlink(missing_ok=True)
