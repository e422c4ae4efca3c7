"""One network of an ensemble as a state dict, under the names of the records."""

from __future__ import annotations

import torch
from torch import Tensor

from devices.ledger import Ledger
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
                dark = getattr(network.dark, name)[model].cpu()
                weight = of_first_layer(network, weight, dark)
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


def ledger_dict(network: MLP, ledger: Ledger, model: int, failed_in: int) -> dict[str, Tensor]:
    """What network number `model` of the ensemble has cost, on the CPU.

    `pulses`, `writes`, `dropped`, `refreshes`: float64 [epoch, layer]; `pairs`: float64 [layer],
    those on dark inputs included, which cost nothing. With wear `layers.<k>.pulses1`, `.pulses2`,
    `.refreshes`: float32 [out, in], of a pair's two devices and of the pair. failed_in: the epoch,
    from 0, from which on all is NaN, since the network has failed; that of none where it has not.
    Empty where nothing was kept.
    """
    if not ledger.accounts:
        return {}
    content = ledger.epochs_of(model)
    for history in content.values():
        history[failed_in:] = torch.nan
    n_dark = network.dark.weight[0].numel()
    pairs = [array.shape[0] * array.shape[1] for array in network.arrays]
    content["pairs"] = torch.tensor([pairs[0] + n_dark, *pairs[1:]], dtype=torch.float64)
    for layer, wear in enumerate(ledger.wear_of(model)):
        for name, values in wear.items():
            values = values.cpu()
            if layer == 0:
                dark = values.new_zeros(network.dark.weight.shape[1:])
                values = of_first_layer(network, values, dark)
            if failed_in < len(content["pulses"]):
                values = torch.full_like(values, torch.nan)
            content[f"layers.{1 + MODULES_PER_LAYER * layer}.{name}"] = values.float().clone()
    return content


def of_first_layer(network: MLP, lit: Tensor, dark: Tensor) -> Tensor:
    """Values [out, pixel] of all its pairs, from those that learn, as they stand, and the dark."""
    if network.in_blocks:
        lit = from_blocks(lit[None], len(network.pixels.lit), len(dark))[0]
    return in_pixel_order(lit, dark, network.pixels)


def in_pixel_order(lit: Tensor, dark: Tensor, pixels: Pixels) -> Tensor:
    """Weights [out, pixel] of the first layer from those of lit and of dark pixels."""
    whole = lit.new_empty(len(lit), pixels.total)
    whole[:, pixels.lit], whole[:, pixels.dark] = lit, dark
    return whole
