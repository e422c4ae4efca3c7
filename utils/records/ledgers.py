"""Reads the ledgers of networks, the cost of learning: see devices.ledger for what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from devices.ledger import COUNTS, PENDING, RAISED, WEAR
from utils.records.files import IncompleteFileError, read_tensors
from utils.records.folders import Folder
from utils.records.tensor_names import pair_tensor


@dataclass(frozen=True)
class LedgerRecord:
    """The ledger of one network.

    pulses, writes, dropped, refreshes: float64 [epoch, layer], NaN from the epoch of a failure on;
    pairs: float64 [layer], including pairs on inputs that are always zero; wear: for each layer a
    dict by WEAR, and by RAISED for devices that are driven both ways, of float32 [out, in]; empty
    if wear was not asked for. pending: float64 [epoch, layer], None without an accumulator.
    devices: of a weight that receive pulses in training, 1 or 2; written: of a weight that one
    update writes, 1 or 2.
    """

    pulses: Tensor
    writes: Tensor
    dropped: Tensor
    refreshes: Tensor
    pairs: Tensor
    wear: tuple[Mapping[str, Tensor], ...]
    pending: Tensor | None = None
    devices: int = 2
    written: int = 1

    @property
    def pulses_per_device(self) -> float:
        """Pulses during the whole training, mean over all devices that receive any."""
        return float(self.pulses.sum() / (self.devices * self.pairs.sum()))

    @property
    def refreshes_per_pair(self) -> float:
        return float(self.refreshes.sum() / self.pairs.sum())

    @property
    def share_dropped(self) -> float:
        """Fraction of all requests that were dropped, 0 to 1; NaN if there was no request."""
        dropped, writes = float(self.dropped.sum()), float(self.writes.sum())
        return dropped / (dropped + writes) if dropped + writes else float("nan")

    @property
    def share_pending(self) -> float:
        """Fraction of the pulses of all weights that are pending at the end; NaN without any."""
        if self.pending is None:
            return float("nan")
        pending = float(self.pending[-1].sum())
        total = pending + float(self.pulses.sum()) / self.written
        return pending / total if total else float("nan")

    @property
    def refreshes_per_write(self) -> float:
        """Refreshes of pairs for each write of a device; NaN if nothing was written."""
        writes = float(self.writes.sum())
        return float(self.refreshes.sum()) / writes if writes else float("nan")

    def worn_pulses(self) -> Tensor:
        """Pulses of both polarities on every device of the network, float32 [device]."""
        numbers = range(1, 3) if self.devices == 2 else (2,)
        pulses = [
            layer[f"pulses{number}"] + layer.get(f"raised{number}", 0.0)
            for layer in self.wear
            for number in numbers
        ]
        return torch.cat([values.flatten() for values in pulses])

    def worn_refreshes(self) -> Tensor:
        """Refreshes of every pair of the network, float32 [pair]; both its devices have as many."""
        return torch.cat([layer["refreshes"].flatten() for layer in self.wear])


def read_ledger(folder: Folder, model: int) -> LedgerRecord | None:
    """Return the ledger of a network, None if there is none; older programs wrote none.

    Tensors are memory-mapped. Raises IncompleteFileError if it is damaged or of another setting.
    """
    path = folder.ledger(model)
    if not path.exists():
        return None
    content, layers = read_tensors(path), len(folder.setting.layers) + 1
    shapes = dict.fromkeys(COUNTS, (folder.setting.epochs, layers)) | {"pairs": (layers,)}
    for name, shape in shapes.items():
        check(content, name, shape, path.name)
    wear = []
    scheme = folder.setting.scheme
    kinds = WEAR + RAISED if scheme.drives_both_ways else WEAR
    for layer in range(layers if isinstance(content, dict) else 0):
        names = {name: pair_tensor(layer, name) for name in kinds}
        if names["pulses1"] not in content:
            break
        for name in names.values():
            check(content, name, tuple(content[names["pulses1"]].shape), path.name)
        wear.append({name: content[key] for name, key in names.items()})
    if scheme.accumulate:
        check(content, PENDING, (folder.setting.epochs, layers), path.name)
    return LedgerRecord(
        **{name: content[name] for name in shapes},
        wear=tuple(wear),
        pending=content.get(PENDING),
        devices=scheme.devices_read,
        written=scheme.devices_written,
    )


def check(content: object, name: str, shape: tuple[int, ...], file: str) -> None:
    values = content.get(name) if isinstance(content, dict) else None
    if not isinstance(values, Tensor) or tuple(values.shape) != shape:
        raise IncompleteFileError(f"{file} does not hold {name} as expected")
