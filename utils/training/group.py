"""A group of networks from their first mini-batch to their files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from utils.data.currents import Currents
from utils.errors import UserError
from utils.progress import Progress
from utils.records.results import Result
from utils.stop import Stop
from utils.training.engine import Engine
from utils.training.ensemble import Member
from utils.training.training import Training

Save = Callable[[Result], None]


def train_group(
    members: Sequence[Member],
    currents: Currents,
    engine: Engine,
    stop: Stop,
    label: str,
    save: Save,
) -> None:
    """Train the members through all epochs and save their results.

    Where the GPU's memory does not suffice after all, the two halves of the group are trained one
    after the other. Raises UserError if a single network is too large.
    """
    try:
        return train_together(members, currents, engine, stop, label, save)
    except torch.OutOfMemoryError:
        if len(members) == 1:
            raise UserError(
                "a single network does not fit into the GPU's memory; choose smaller --layers, "
                "a smaller --batch_size, or --device cpu"
            ) from None
    # Out of the except clause, so that nothing holds on to the memory of the attempt.
    torch.cuda.empty_cache()
    half = len(members) // 2
    for number, part in enumerate((members[:half], members[half:]), start=1):
        train_group(part, currents, engine, stop, f"{label}, half {number} of 2", save)


def train_together(
    members: Sequence[Member],
    currents: Currents,
    engine: Engine,
    stop: Stop,
    label: str,
    save: Save,
) -> None:
    """Train all members at the same time, epoch by epoch."""
    trainings = [Training(part, currents, engine) for part in ensembles_of(members, currents)]
    for training in trainings:
        training.prepare()

    epochs = members[0].setting.epochs
    start = time.monotonic()
    progress = Progress(label, epochs)
    with progress, stop.deferred():
        for epoch in range(epochs):
            for training in trainings:
                training.finish_epoch(epoch, stop.check)
            progress.report(
                epoch + 1,
                mean(training.accuracies[epoch] for training in trainings),
                mean(training.losses[epoch] for training in trainings),
                mean(training.pulse_requests[epoch] for training in trainings),
            )
        seconds = time.monotonic() - start
        for training in trainings:
            for result in training.results(seconds):
                save(result)


def ensembles_of(members: Sequence[Member], currents: Currents) -> list[list[Member]]:
    """The members of each ensemble.

    On a GPU all together, side by side in every kernel. On a CPU each on its own, taking turns by
    the epoch: one network fits the cache, ten do not.
    """
    if currents.train.device.type == "cuda":
        return [list(members)]
    return [[member] for member in members]


def mean(values: Iterable[Tensor]) -> float:
    return float(torch.cat([value.double() for value in values]).mean())
