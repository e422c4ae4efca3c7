"""What a user should know of a run before it starts: how many images, and when tests mislead."""

from __future__ import annotations

from models.currents import Currents
from models.mlp import MOMENTUM, SETTLING_STEPS
from utils.settings import Setting


def remarks(setting: Setting, currents: Currents) -> list[str]:
    """A line each."""
    n_train, n_test = len(currents.train), len(currents.test)
    lines = [f"{setting.task}: {n_train} images to train, {n_test} to test"]
    if n_test > n_train:
        lines.append(
            f"the test set of {setting.task} is larger than the training set; "
            "are their files exchanged?"
        )
    per_epoch = -(-n_train // setting.batch_size)
    if per_epoch < SETTLING_STEPS:
        epochs = -(-SETTLING_STEPS // per_epoch) - 1
        lines.append(
            f"tests up to epoch {min(epochs, setting.epochs)} come too early: batch normalisation "
            f"takes about {SETTLING_STEPS} mini-batches (momentum {MOMENTUM}) to forget the "
            f"variance that it starts from, an epoch has {per_epoch}; a smaller --batch_size "
            "shortens that"
        )
    return lines
