"""The ledger: what learning costs in pulses, writes and refreshes, counted as pairs are programmed.

In every update a pair asks for pulses on one of its devices, the one whose own gradient is
positive. Counted are

- pulses: those that are applied, not those that the smallest pulse drops;
- writes: devices that receive any;
- dropped: requests above 0 that are smaller than the smallest pulse;
- refreshes: pairs that are used up and refreshed, which sets both their devices anew. A pair is
  refreshed once in an update at most: where device 1 is used up, device 2 is put at the top of the
  range, whatever had become of it. Most pairs are used up by a write; a switch to a device of fewer
  pulses leaves some beyond their end, which are refreshed without one. A pair that stands at the
  largest weight of its range, one device used up, the other at the top, stays so by every further
  refresh; unless it is written again that is none, and not counted.

Pairs on inputs that are always zero ask for nothing; they cost no more than a refresh after a
switch of the field. Counting takes 2 to 9 % of the time of a step (figure 1's network, compiled,
one core of an AMD EPYC, Zen 4), with wear about a third; so nothing is counted unless it is asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from devices.ledger_level import LedgerLevel

Value = Any  # a tensor, or an expression that is printed as C++
COUNTS = ("pulses", "writes", "dropped", "refreshes")
WEAR = ("pulses1", "pulses2", "refreshes")  # of the single devices, of the pair


class Account(nn.Module):
    """What the pairs of one layer have cost, in every network of an ensemble.

    Buffer `sums`, float64 [model, count]: of this epoch so far, in the order of COUNTS. In one step
    counts are whole numbers, and pulses are summed in single precision and in parts, so that what
    is lost is a rounding of the sum.

    With wear, what every pair has seen in its life, arranged as the pairs are: `pulses1` and
    `pulses2` of its devices, float64, since single precision would lose a part of each small pulse
    that is added to thousands; `refreshes` float32, in which they are whole numbers.
    """

    sums: Tensor
    pulses1: Tensor
    pulses2: Tensor
    refreshes: Tensor

    def __init__(self, weight: Tensor, keeps_wear: bool = False):
        """weight: of the pairs, float [model, out, in]."""
        super().__init__()
        self.keeps_wear = keeps_wear
        sums = weight.new_zeros(len(weight), len(COUNTS), dtype=torch.float64)
        self.register_buffer("sums", sums)
        for name in WEAR if keeps_wear else ():
            dtype = torch.float32 if name == "refreshes" else torch.float64
            self.register_buffer(name, torch.zeros_like(weight, dtype=dtype))

    def note(self, request: Tensor, pulses: Tensor, second: Tensor, refreshed: Tensor) -> None:
        """Count one update.

        request, pulses: asked for, and applied, of the device that is (pulses), second: whether
        that is device 2; refreshed: whether the pair is refreshed; [model, out, in].

        A compiled program counts in the loop that writes the pairs, as long as each of the sums
        reads `pulses`: so the compiler joins them to each other before it joins them to that loop,
        which then reads and writes no more than without them.
        """
        counts = pulses > 0, is_dropped(request, pulses), refreshed
        step = [total(pulses, pulses.dtype), *(total(each, torch.int32) for each in counts)]
        self.sums += torch.stack([each.double() for each in step], dim=-1)
        if self.keeps_wear:
            self.pulses1 += torch.where(second, 0.0, pulses)
            self.pulses2 += torch.where(second, pulses, 0.0)
            self.refreshes += refreshed

    @property
    def tensors(self) -> list[Tensor | None]:
        """`sums`, and the wear, None where it is not counted."""
        return [self.sums, *(getattr(self, name) if self.keeps_wear else None for name in WEAR)]


def is_dropped(request: Value, pulses: Value) -> Value:
    """Whether a request is dropped: pulses then are 0, and else the request."""
    return request > pulses


def total(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum over all pairs, [model], of values [model, out, in].

    On a GPU row by row first: a longer sum its compiler takes in parts, after the loop that writes
    the pairs and not in it.
    """
    if values.is_cuda:
        return values.sum(dim=2, dtype=dtype).sum(dim=1, dtype=dtype)
    return values.sum(dim=(1, 2), dtype=dtype)


class Ledger(nn.Module):
    """The accounts of all layers, and what each epoch has come to.

    Buffer `history`, float64 [model, epoch, layer, count], NaN where an epoch is still to come.
    Where nothing is counted there are no accounts, and no buffers.
    """

    accounts: Sequence[Account]
    history: Tensor

    def __init__(
        self,
        weights: Sequence[Tensor],
        epochs: int,
        level: LedgerLevel = LedgerLevel.NOTHING,
    ):
        """weights: of the pairs of each layer."""
        super().__init__()
        self.level = level
        counted = weights if level >= LedgerLevel.TOTALS else []
        keeps_wear = level >= LedgerLevel.WEAR
        accounts = nn.ModuleList(Account(weight, keeps_wear) for weight in counted)
        self.accounts = accounts  # pyright: ignore[reportAttributeAccessIssue]
        if counted:
            shape = (len(weights[0]), epochs, len(weights), len(COUNTS))
            history = weights[0].new_full(shape, torch.nan, dtype=torch.float64)
            self.register_buffer("history", history)

    def account(self, layer: int) -> Account | None:
        """That of a layer, counted from 0, if there is one."""
        return self.accounts[layer] if self.level >= LedgerLevel.TOTALS else None

    def add_refreshes(self, layer: int, refreshes: Tensor | int) -> None:
        """Count so many further refreshes, [model], of pairs of a layer that no update reaches."""
        if self.level >= LedgerLevel.TOTALS:
            self.accounts[layer].sums[:, COUNTS.index("refreshes")] += refreshes

    def close_epoch(self, epoch: int) -> None:
        """Enter what the accounts have come to for an epoch, counted from 0, and begin anew."""
        for layer, account in enumerate(self.accounts):
            self.history[:, epoch, layer] = account.sums
            account.sums.zero_()

    def epochs_of(self, model: int) -> dict[str, Tensor]:
        """Of one network, by COUNTS: float64 [epoch, layer], on the CPU."""
        history = self.history[model].cpu()
        return {name: history[..., k].clone() for k, name in enumerate(COUNTS)}
