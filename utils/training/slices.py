"""Slices of an ensemble: taking one network's state out, and restoring an ensemble from slices.

A slice is a network's state in a checkpoint: its part of each tensor that training changes, and the
number of its mini-batches so far, which is the same for all networks of an ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from utils.training.ensemble import Ensemble

SWITCHED = "history.switch_accuracies"  # the key that a slice has after a switch of the field


def slice_of(ensemble: Ensemble, model: int) -> dict[str, Tensor]:
    """Return the state of network `model`, on the CPU, by the names of `nn.Module.state_dict`."""
    return {
        name: (tensor[model] if tensor.dim() else tensor).cpu().clone()
        for name, tensor in ensemble.state_dict().items()
    }


@torch.no_grad()
def restore(ensemble: Ensemble, slices: Sequence[dict[str, Tensor]]) -> None:
    """Restore an ensemble from the slices of all networks, at the same step and phase."""
    number = int(SWITCHED in slices[0])
    if number != ensemble.phase:
        ensemble.enter(number)
    for name, tensor in ensemble.state_dict().items():
        values = [slices_of_network[name] for slices_of_network in slices]
        tensor.copy_(torch.stack(values) if tensor.dim() else values[0])
    for layer in ensemble.network.layers:
        layer.loaded()
