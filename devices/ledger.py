"""The ledger counts what learning costs in pulses, writes and refreshes, as pairs are programmed.

In every update a pair requests pulses on one of its devices, or in both-ways cells on both: see
devices.programming. The ledger counts, for each device that is written,

- pulses: pulses that are applied, without those that the smallest pulse drops; by the paper's rule
  they contain the slope factor of the device, by all others they are those that the controller
  sends;
- writes: devices that receive at least some pulse;
- dropped: requests above 0 that are smaller than the smallest pulse;
- pending: with an accumulator, which drops nothing, the pulses that the accumulators still hold at
  the end of an epoch, without their signs;
- refreshes: pairs with a device at the end of its range, whose two devices are both set again. An
  update refreshes a pair at most once: if device 1 is used up, device 2 is set to the top of the
  range, even if it is used up too. Most pairs are used up by a write. A switch to a device with
  fewer pulses leaves some pairs beyond the end of the range; these are refreshed without a write. A
  pair at the largest weight of its range, with one device used up and the other at the top, would
  not be changed by a further refresh, so none is counted until the pair is written again.

Pairs on inputs that are always zero request nothing; all they can cost is a refresh after a switch
of the field. Counting takes 2 to 9 % of the time of a step (figure 1's network, compiled, one core
of an AMD EPYC, Zen 4), and about a third with wear; so nothing is counted unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from devices.controller import Pulses
from devices.ledger_level import LedgerLevel
from devices.responses import Value
from devices.scheme import BOTH_WAYS, ONE_WAY, PUBLISHED, REFERENCE, Scheme

COUNTS = ("pulses", "writes", "dropped", "refreshes")
PENDING = "pending"
WEAR = ("pulses1", "pulses2", "refreshes")  # of device 1, of device 2, and of the pair
RAISED = ("raised1", "raised2")  # wear of devices that are driven both ways: pulses that raise them


class Account(nn.Module):
    """The counts of one layer's pairs, in every network of an ensemble.

    Buffer `sums`, float64 [model, count], holds the sums of this epoch so far, in the order of
    COUNTS. Within one step the counts are whole numbers, and pulses are summed in single precision
    and in parts, so that no more than a rounding of the sum is lost.

    With wear, further buffers count for every pair since the start of training, in the order of the
    pairs: `pulses1` and `pulses2` of its two devices, float64, since single precision would lose
    part of each small pulse that is added to thousands; `raised1` and `raised2`, of devices that
    are driven both ways, the pulses that raise them; and `refreshes`, float32, whole numbers.
    """

    sums: Tensor
    pulses1: Tensor
    pulses2: Tensor
    refreshes: Tensor
    raised1: Tensor
    raised2: Tensor

    def __init__(self, weight: Tensor, keeps_wear: bool = False, cell: str = ONE_WAY):
        """weight: the weights of the pairs, float [model, out, in]; cell: one of scheme.CELLS."""
        super().__init__()
        self.keeps_wear, self.cell = keeps_wear, cell
        sums = weight.new_zeros(len(weight), len(COUNTS), dtype=torch.float64)
        self.register_buffer("sums", sums)
        self.wear_names = WEAR if cell == ONE_WAY else WEAR + RAISED
        for name in self.wear_names if keeps_wear else ():
            dtype = torch.float32 if name == "refreshes" else torch.float64
            self.register_buffer(name, torch.zeros_like(weight, dtype=dtype))

    def note(self, lowers: Tensor, pulses: Sequence[Pulses], refreshed: Tensor | None) -> None:
        """Count one update.

        lowers: whether a weight has to fall; pulses: those on the devices that are written, as in a
        command of devices.controller; refreshed: whether the pair is refreshed, None where none
        ever is. All are [model, out, in].

        A compiled program counts in the same loop that writes the pairs, as long as each of the
        sums reads the pulses: then the compiler fuses the sums with each other before it fuses them
        with that loop, which reads and writes no more memory than without them.
        """
        applied = [device_pulses.applied for device_pulses in pulses]
        total_pulses = sum(total(numbers, numbers.dtype) for numbers in applied)
        writes: Any = sum(total(numbers > 0, torch.int32) for numbers in applied)
        dropped = sum(
            total(is_dropped(device_pulses.requested, device_pulses.applied), torch.int32)
            for device_pulses in pulses
        )
        refreshes = torch.zeros_like(writes) if refreshed is None else total(refreshed, torch.int32)
        counts: list[Any] = [total_pulses, writes, dropped, refreshes]
        self.sums += torch.stack([count.double() for count in counts], dim=-1)
        if self.keeps_wear:
            self.note_wear(lowers, applied)
            if refreshed is not None:
                self.refreshes += refreshed

    def note_wear(self, lowers: Tensor, applied: Sequence[Tensor]) -> None:
        """Add the pulses of one update to those of each device; see `note`."""
        if self.cell == REFERENCE:
            self.pulses2 += torch.where(lowers, applied[0], 0.0)
            self.raised2 += torch.where(lowers, 0.0, applied[0])
            return
        self.pulses1 += torch.where(lowers, 0.0, applied[0])
        self.pulses2 += torch.where(lowers, applied[0], 0.0)
        if self.cell == BOTH_WAYS:
            self.raised1 += torch.where(lowers, applied[1], 0.0)
            self.raised2 += torch.where(lowers, 0.0, applied[1])

    @property
    def tensors(self) -> list[Tensor | None]:
        """The buffers `sums`, then those of WEAR and of RAISED; all but the first may be None."""
        wear = (*WEAR, *RAISED)
        kept = self.wear_names if self.keeps_wear else ()
        return [self.sums, *(getattr(self, name) if name in kept else None for name in wear)]


def is_dropped(request: Value, pulses: Value) -> Value:
    """Whether a request is dropped, so that no pulse is applied although some are requested."""
    return (request > 0) & (pulses <= 0)


def total(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the sum over all pairs, [model], of values [model, out, in].

    On a GPU rows are summed first, since the compiler splits longer sums and computes them after
    the loop that writes the pairs instead of within it.
    """
    if values.is_cuda:
        return values.sum(dim=2, dtype=dtype).sum(dim=1, dtype=dtype)
    return values.sum(dim=(1, 2), dtype=dtype)


class Ledger(nn.Module):
    """The accounts of all layers, and the sums of each epoch.

    Buffer `history`, float64 [model, epoch, layer, count], is NaN for epochs still to come. Where
    nothing is counted, there are neither accounts nor buffers.
    """

    accounts: Sequence[Account]
    history: Tensor

    def __init__(
        self,
        weights: Sequence[Tensor],
        epochs: int,
        level: LedgerLevel = LedgerLevel.NOTHING,
        scheme: Scheme = PUBLISHED,
    ):
        """weights: the weights [model, out, in] of the pairs of each layer."""
        super().__init__()
        self.level = level
        self.names = (*COUNTS, PENDING) if scheme.accumulate else COUNTS
        counted = weights if level >= LedgerLevel.TOTALS else []
        keeps_wear = level >= LedgerLevel.WEAR
        accounts = nn.ModuleList(Account(weight, keeps_wear, scheme.cell) for weight in counted)
        self.accounts = accounts  # pyright: ignore[reportAttributeAccessIssue]
        if counted:
            shape = (len(weights[0]), epochs, len(weights), len(self.names))
            history = weights[0].new_full(shape, torch.nan, dtype=torch.float64)
            self.register_buffer("history", history)

    def account(self, layer: int) -> Account | None:
        """Return the account of a layer, which is counted from 0; None where nothing is counted."""
        return self.accounts[layer] if self.level >= LedgerLevel.TOTALS else None

    def add_refreshes(self, layer: int, refreshes: Tensor | int) -> None:
        """Add refreshes, [model], of those pairs of a layer that no update reaches."""
        if self.level >= LedgerLevel.TOTALS:
            self.accounts[layer].sums[:, COUNTS.index("refreshes")] += refreshes

    def close_epoch(self, epoch: int, accumulators: Sequence[Tensor] = ()) -> None:
        """Move the sums of an epoch, which is counted from 0, into the history, and reset them.

        accumulators: those of each layer, if there are any.
        """
        for layer, account in enumerate(self.accounts):
            self.history[:, epoch, layer, : len(COUNTS)] = account.sums
            account.sums.zero_()
            if accumulators:
                pending = accumulators[layer].abs().flatten(1).sum(1, dtype=torch.float64)
                self.history[:, epoch, layer, len(COUNTS)] = pending

    def epochs_of(self, model: int) -> dict[str, Tensor]:
        """Return the history of one network by its names: float64 [epoch, layer], on the CPU."""
        history = self.history[model].cpu()
        return {name: history[..., k].clone() for k, name in enumerate(self.names)}
