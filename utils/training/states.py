"""One network of an ensemble as a state dict, under the names of the records, and back."""

from __future__ import annotations

from torch import Tensor

from utils.data.currents import Pixels
from utils.training.ensemble import Ensemble

MODULES_PER_LAYER = 3  # pairs, batch normalisation, ReLU; the flattening of the image is number 0


def model_state(ensemble: Ensemble, model: int, pixels: Pixels) -> dict[str, Tensor]:
    """State dict of network number `model` of the ensemble, on the CPU.

    `layers.<k>.weight1` and `.weight2`: Hall voltages [out, in] with k = 1, 4, ... and the inputs
    in pixel order; `layers.<k + 1>.running_mean`, `.running_var` [out], `.num_batches_tracked`.
    """
    network = ensemble.network
    state = {}
    for layer, (array, norm) in enumerate(zip(network.arrays, network.norms, strict=True)):
        pairs = f"layers.{1 + MODULES_PER_LAYER * layer}"
        batch_norm = f"layers.{2 + MODULES_PER_LAYER * layer}"
        for name in ("weight1", "weight2"):
            weight = getattr(array, name)[model].cpu()
            if layer == 0:
                weight = in_pixel_order(weight, getattr(network.dark, name)[model].cpu(), pixels)
            state[f"{pairs}.{name}"] = weight.clone()
        state[f"{batch_norm}.running_mean"] = norm.running_mean[model].cpu().clone()
        state[f"{batch_norm}.running_var"] = norm.running_var[model].cpu().clone()
        state[f"{batch_norm}.num_batches_tracked"] = ensemble.step.cpu().clone()
    return state


def in_pixel_order(lit: Tensor, dark: Tensor, pixels: Pixels) -> Tensor:
    """Weights [out, pixel] of the first layer from those of lit and of dark pixels."""
    whole = lit.new_empty(len(lit), pixels.total)
    whole[:, pixels.lit], whole[:, pixels.dark] = lit, dark
    return whole


def load_model_state(
    ensemble: Ensemble, model: int, state: dict[str, Tensor], pixels: Pixels
) -> None:
    """Set network number `model` to a state that `model_state` gave; the step stays as it is."""
    network = ensemble.network
    for layer, (array, norm) in enumerate(zip(network.arrays, network.norms, strict=True)):
        pairs = f"layers.{1 + MODULES_PER_LAYER * layer}"
        batch_norm = f"layers.{2 + MODULES_PER_LAYER * layer}"
        for name in ("weight1", "weight2"):
            weight = state[f"{pairs}.{name}"]
            if layer == 0:
                weight = weight[:, pixels.lit]  # the dark ones are as they were made
            getattr(array, name)[model] = weight.to(network.seed.device)
        array.weight[model] = array.weight2[model] - array.weight1[model]
        norm.running_mean[model] = state[f"{batch_norm}.running_mean"].to(network.seed.device)
        norm.running_var[model] = state[f"{batch_norm}.running_var"].to(network.seed.device)
