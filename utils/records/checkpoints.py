"""The state of a network in training, so that a run can go on where it was stopped.

A checkpoint is a dict: `state`, the network's slice of its ensemble (tensors by name, among them
`history.step`), `seconds` spent so far, and `sessions`, as JSON: see records.session. Random
streams need no more than seed and step; slopes follow from the seed.
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
    """A network between two mini-batches. sessions: those that trained it, oldest first."""

    state: dict[str, Tensor]
    seconds: float
    sessions: list[Session]

    @property
    def step(self) -> int:
        """Mini-batches so far."""
        return int(self.state["history.step"])


def write_checkpoint(folder: Folder, model: int, checkpoint: Checkpoint) -> None:
    content = {
        "state": checkpoint.state,
        "seconds": checkpoint.seconds,
        "sessions": json.dumps([session.to_json() for session in checkpoint.sessions]),
    }
    write_tensors(folder.checkpoint(model), content)


def read_checkpoint(folder: Folder, model: int) -> Checkpoint | None:
    """A checkpoint, None if there is none or it is damaged. Tensors are mapped, not read."""
    try:
        content = torch.load(folder.checkpoint(model), weights_only=True, mmap=True)
        texts = content["sessions"] if "sessions" in content else content["sittings"]  # older
        sessions = [Session.from_json(session) for session in json.loads(texts)]
        checkpoint = Checkpoint(dict(content["state"]), float(content["seconds"]), sessions)
        return checkpoint if checkpoint.step >= 0 else None
    except Exception:  # torch names no set of errors for a damaged file
        return None


def remove_checkpoint(folder: Folder, model: int) -> None:
    with suppress(OSError):
        folder.checkpoint(model).unlink(missing_ok=True)
