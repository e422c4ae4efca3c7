"""The names of a network's tensors in its state dict, its ledger and its intermediates."""

from __future__ import annotations

MODULES_PER_LAYER = 3  # pairs, batch normalisation, ReLU; the flattening of the image is number 0


def layer_number(layer: int) -> int:
    """The number of a layer of pairs, counted from 0, among all modules: 1, 4, 7, ..."""
    return 1 + MODULES_PER_LAYER * layer


def pair_tensor(layer: int, name: str) -> str:
    """The name of a tensor of a layer of pairs: `layers.4.weight1` for layer 1 and weight1."""
    return f"layers.{layer_number(layer)}.{name}"
