"""One network of an ensemble as a state dict, under the names of the records."""

from __future__ import annotations

import torch
from torch import Tensor

from devices.ledger import Ledger
from devices.ledger_level import LedgerLevel
from models.mlp import MLP
from utils.records.tensor_names import layer_number


def state_dict(network: MLP, model: int, step: Tensor) -> dict[str, Tensor]:
    """Return the state dict of network `model` of the ensemble after `step` steps, on the CPU.

    `layers.<k>.weight1` and `.weight2`: Hall voltages [out, in] with k = 1, 4, ... and the inputs
    in pixel order; with an accumulator, `layers.<k>.accumulator` [out, in]: the pulses still to be
    programmed; `layers.<k + 1>.running_mean`, `.running_var` [out], `.num_batches_tracked`.
    """
    state = {}
    for number, (layer, norm) in enumerate(zip(network.layers, network.norms, strict=True)):
        pairs, batch_norm = (f"layers.{layer_number(number) + k}" for k in (0, 1))
        kept = ("accumulator",) if layer.pairs.accumulator is not None else ()
        for name in ("weight1", "weight2", *kept):
            state[f"{pairs}.{name}"] = layer.record(name, model)
        state[f"{batch_norm}.running_mean"] = norm.running_mean[model].cpu().clone()
        state[f"{batch_norm}.running_var"] = norm.running_var[model].cpu().clone()
        state[f"{batch_norm}.num_batches_tracked"] = step.cpu().clone()
    return state


def load_state_dict(network: MLP, model: int, state: dict[str, Tensor]) -> None:
    """Load a state dict into network number `model` of an ensemble; the step is not loaded."""
    for number, (layer, norm) in enumerate(zip(network.layers, network.norms, strict=True)):
        pairs, batch_norm = (f"layers.{layer_number(number) + k}" for k in (0, 1))
        layer.load(model, *(state[f"{pairs}.{name}"] for name in ("weight1", "weight2")))
        norm.running_mean[model] = state[f"{batch_norm}.running_mean"]
        norm.running_var[model] = state[f"{batch_norm}.running_var"]


def ledger_dict(network: MLP, ledger: Ledger, model: int, failed_in: int) -> dict[str, Tensor]:
    """Return the ledger of network number `model` of the ensemble, on the CPU.

    `pulses`, `writes`, `dropped`, `refreshes`, and `pending` with an accumulator: float64 [epoch,
    layer]; `pairs`: float64 [layer], including pairs on inputs that are always zero. With wear,
    `layers.<k>.pulses1` and `.pulses2` of a pair's two devices, `.raised1` and `.raised2` of
    devices that are driven both ways, and `.refreshes` of the pair: float32 [out, in]. failed_in:
    the epoch, counted from 0, in which the network failed, from which on all is NaN; the number of
    epochs if it did not fail. The dict is empty if nothing was counted.
    """
    if ledger.level < LedgerLevel.TOTALS:
        return {}
    content = ledger.epochs_of(model)
    for history in content.values():
        history[failed_in:] = torch.nan
    has_failed = failed_in < len(content["pulses"])
    pairs = [layer.n_pairs for layer in network.layers]
    content["pairs"] = torch.tensor(pairs, dtype=torch.float64)
    accounts = zip(network.layers, ledger.accounts, strict=True)
    for number, (layer, account) in enumerate(accounts):
        for name in account.wear_names if ledger.level >= LedgerLevel.WEAR else ():
            wear = layer.wear(name, model, getattr(account, name)[model].float())
            content[f"layers.{layer_number(number)}.{name}"] = (
                torch.full_like(wear, torch.nan) if has_failed else wear
            )
    return content
