"""The state of a network in training, so that a run can go on where it was stopped.

A checkpoint is a flat dict of tensors and numbers: the network's state dict under the names of
the records, with `step`, `loss_sum`, `failed_step`, `seconds`, and `accuracies`,
`pulse_requests` and `losses` of the finished epochs. Random streams need no more than seed and
step; slopes and dark pixels follow from the seed.
"""

from __future__ import annotations

from contextlib import suppress

import torch

from utils.records.files import write_tensors
from utils.records.folders import Folder

CHECKPOINT = {
    "step",
    "loss_sum",
    "failed_step",
    "seconds",
    "accuracies",
    "pulse_requests",
    "losses",
    "state",
}


def write_checkpoint(folder: Folder, model: int, content: dict) -> None:
    write_tensors(folder.checkpoint(model), content)


def read_checkpoint(folder: Folder, model: int) -> dict | None:
    """A checkpoint's content, None if there is none or it is damaged."""
    try:
        content = torch.load(folder.checkpoint(model), weights_only=True)
    except Exception:  # torch names no set of errors for a damaged file
        return None
    complete = isinstance(content, dict) and content.keys() >= CHECKPOINT
    return content if complete else None


def remove_checkpoint(folder: Folder, model: int) -> None:
    with suppress(OSError):
        folder.checkpoint(model).unlink(missing_ok=True)
