"""One network of an ensemble as a state dict, under the names of the records."""

from __future__ import annotations

from torch import Tensor

from models.currents import Pixels
from models.mlp import MLP
from models.sparse_matmul import from_blocks, to_blocks

MODULES_PER_LAYER = 3  # pairs, batch normalisation, ReLU; the flattening of the image is number 0


def state_dict(network: MLP, model: int, step: Tensor) -> dict[str, Tensor]:
    """State dict of network number `model` of the ensemble after `step` mini-batches, on the CPU.

    `layers.<k>.weight1` and `.weight2`: Hall voltages [out, in] with k = 1, 4, ... and the inputs
    in pixel order; `layers.<k + 1>.running_mean`, `.running_var` [out], `.num_batches_tracked`.
    """
    state = {}
    for layer, (array, norm) in enumerate(zip(network.arrays, network.norms, strict=True)):
        pairs = f"layers.{layer_number(layer)}"
        batch_norm = f"layers.{layer_number(layer) + 1}"
        for name in ("weight1", "weight2"):
            weight = getattr(array, name)[model].cpu()
            if layer == 0:
                if network.in_blocks:
                    n_inputs, n_outputs = len(network.pixels.lit), norm.running_mean.shape[1]
                    weight = from_blocks(weight[None], n_inputs, n_outputs)[0]
                dark = getattr(network.dark, name)[model].cpu()
                weight = in_pixel_order(weight, dark, network.pixels)
            state[f"{pairs}.{name}"] = weight.clone()
        state[f"{batch_norm}.running_mean"] = norm.running_mean[model].cpu().clone()
        state[f"{batch_norm}.running_var"] = norm.running_var[model].cpu().clone()
        state[f"{batch_norm}.num_batches_tracked"] = step.cpu().clone()
    return state


def load_state_dict(network: MLP, model: int, state: dict[str, Tensor]) -> None:
    """Put what `state_dict` gave into network number `model` of an ensemble, but for the step."""
    for layer, (array, norm) in enumerate(zip(network.arrays, network.norms, strict=True)):
        pairs = f"layers.{layer_number(layer)}"
        batch_norm = f"layers.{layer_number(layer) + 1}"
        for name in ("weight1", "weight2"):
            weight = state[f"{pairs}.{name}"]
            if layer == 0:
                getattr(network.dark, name)[model] = weight[:, network.pixels.dark]
                weight = weight[:, network.pixels.lit]
                weight = to_blocks(weight[None])[0] if network.in_blocks else weight
            getattr(array, name)[model] = weight
        norm.running_mean[model] = state[f"{batch_norm}.running_mean"]
        norm.running_var[model] = state[f"{batch_norm}.running_var"]
    for array in (network.dark, *network.arrays):
        array.put(array.weight1, array.weight2)


def layer_number(layer: int) -> int:
    """Of a layer of pairs, counted from 0, among all modules: 1, 4, 7, ..."""
    return 1 + MODULES_PER_LAYER * layer


def in_pixel_order(lit: Tensor, dark: Tensor, pixels: Pixels) -> Tensor:
    """Weights [out, pixel] of the first layer from those of lit and of dark pixels."""
    whole = lit.new_empty(len(lit), pixels.total)
    whole[:, pixels.lit], whole[:, pixels.dark] = lit, dark
    return whole
