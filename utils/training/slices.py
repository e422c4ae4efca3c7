"""One network of an ensemble apart from the others, and networks put together again.

A slice is what a checkpoint holds of a network: its part of each tensor that training changes, and
how many mini-batches it has seen, which all networks of an ensemble have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from utils.training.ensemble import Ensemble

SWITCHED = "history.switch_accuracies"  # in a slice once the field has been switched


def slice_of(ensemble: Ensemble, model: int) -> dict[str, Tensor]:
    """The state of network number `model`, on the CPU, by the names of `nn.Module.state_dict`."""
    return {
        name: (tensor[model] if tensor.dim() else tensor).cpu().clone()
        for name, tensor in ensemble.state_dict().items()
    }


@torch.no_grad()
def restore(ensemble: Ensemble, slices: Sequence[dict[str, Tensor]]) -> None:
    """Continue from slices of all networks, which are at the same step, in the same phase."""
    number = int(SWITCHED in slices[0])
    if number != ensemble.phase:
        ensemble.enter(number)
    for name, tensor in ensemble.state_dict().items():
        values = [each[name] for each in slices]
        tensor.copy_(torch.stack(values) if tensor.dim() else values[0])
    for layer in ensemble.network.layers:
        layer.loaded()
