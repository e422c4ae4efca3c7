"""The ledger: what learning costs in pulses, writes and refreshes, counted as pairs are programmed.

In every update a pair asks for pulses on one of its devices, the one whose own gradient is
positive. Counted are

- pulses: those that are applied, not those that the smallest pulse drops;
- writes: devices that receive any;
- dropped: requests above 0 that are smaller than the smallest pulse;
- refreshes: pairs that a write has used up and that are refreshed, which sets both their devices
  anew. A pair is refreshed once in an update at most: where device 1 is used up, device 2 is put at
  the top of the range, whatever had become of it. A pair that stands at the largest weight of its
  range, one device used up, the other at the top, stays so by every further refresh; unless it is
  written again that is none, and not counted.

Pairs without a gradient (on dark inputs, or those that fill up a block) ask for nothing, so they
count nowhere. Counting takes 2 to 9 % of the time of a step (figure 1's network, compiled, one core
of an AMD EPYC, Zen 4), with wear about a third; so nothing is counted unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from devices.ledger_level import LedgerLevel
from devices.pair import PairArray

Value = TypeVar("Value")  # a tensor, or what is to become C++
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

    def __init__(self, weight: Tensor, keeps_wear: bool = False):
        """weight: of the pairs, float [model, out, in]."""
        super().__init__()
        self.keeps_wear = keeps_wear
        sums = weight.new_zeros(len(weight), len(COUNTS), dtype=torch.float64)
        self.register_buffer("sums", sums)
        for name in WEAR if keeps_wear else ():
            dtype = torch.float32 if name == "refreshes" else torch.float64
            self.register_buffer(name, torch.zeros_like(weight, dtype=dtype))

    def note(self, request: Tensor, pulses: Tensor, second: Tensor, used_up: Tensor) -> None:
        """Count one update.

        request, pulses: asked for, and applied, of the device that is (pulses), second: whether
        that is device 2; used_up: whether one of the pair's devices then is; [model, out, in].

        A compiled program counts in the loop that writes the pairs, as long as each of the sums
        reads `pulses`: so the compiler joins them to each other before it joins them to that loop,
        which then reads and writes no more than without them.
        """
        whether = counted(request, pulses, used_up)
        counts = [total(each, torch.int32) for each in whether]
        step = [total(pulses, pulses.dtype), *counts]
        self.sums += torch.stack([each.double() for each in step], dim=-1)
        if self.keeps_wear:
            self.pulses1 += torch.where(second, 0.0, pulses)
            self.pulses2 += torch.where(second, pulses, 0.0)
            self.refreshes += whether[-1]

    @property
    def tensors(self) -> list[Tensor | None]:
        """`sums`, and the wear, None where it is not ledger_level."""
        return [self.sums, *(getattr(self, name) if self.keeps_wear else None for name in WEAR)]


def counted(request: Value, pulses: Value, used_up: Value) -> tuple[Value, Value, Value]:
    """Whether an update counts as a write, a dropped request, a refresh: of each pair."""
    written = pulses > 0
    dropped = request > pulses  # which is 0 then, and else the request
    return written, dropped, written & used_up


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
    Where nothing is ledger_level there are no accounts, and no buffers.
    """

    def __init__(
        self,
        arrays: Sequence[PairArray],
        epochs: int,
        ledger_level: LedgerLevel = LedgerLevel.NOTHING,
    ):
        super().__init__()
        self.ledger_level = ledger_level
        counted = arrays if ledger_level >= LedgerLevel.TOTALS else []
        self.accounts = nn.ModuleList(
            Account(array.weight, ledger_level >= LedgerLevel.WEAR) for array in counted
        )
        if not counted:
            return
        shape = (len(arrays[0].weight), epochs, len(arrays), len(COUNTS))
        history = arrays[0].weight.new_full(shape, torch.nan, dtype=torch.float64)
        self.register_buffer("history", history)

    def of_layer(self, layer: int) -> Account | None:
        """The account of a layer, counted from 0, if there is one."""
        return self.accounts[layer] if self.ledger_level >= LedgerLevel.TOTALS else None

    def note_epoch(self, epoch: int) -> None:
        """Close the accounts of an epoch, counted from 0, in place."""
        for layer, account in enumerate(self.accounts):
            self.history[:, epoch, layer] = account.sums
            account.sums.zero_()

    def epochs_of(self, model: int) -> dict[str, Tensor]:
        """Of one network, by COUNTS: float64 [epoch, layer], on the CPU."""
        history = self.history[model].cpu()
        return {name: history[..., k].clone() for k, name in enumerate(COUNTS)}

    def wear_of(self, model: int) -> Iterator[dict[str, Tensor]]:
        """Of one network, layer by layer, by WEAR: tensors as the pairs are arranged."""
        for account in self.accounts if self.ledger_level >= LedgerLevel.WEAR else ():
            yield {name: getattr(account, name)[model] for name in WEAR}
