"""The cost of learning, read back: see devices.ledger for what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from devices.ledger import COUNTS, WEAR
from utils.records.files import IncompleteFileError, read_tensors
from utils.records.folders import Folder
from utils.records.tensor_names import pair_tensor


@dataclass(frozen=True)
class LedgerRecord:
    """The ledger of one network.

    pulses, writes, dropped, refreshes: float64 [epoch, layer], NaN from the epoch of a failure on;
    pairs: float64 [layer], those of always-zero inputs included; wear: of each layer by WEAR,
    float32 [out, in]; empty where it was not asked for.
    """

    pulses: Tensor
    writes: Tensor
    dropped: Tensor
    refreshes: Tensor
    pairs: Tensor
    wear: tuple[Mapping[str, Tensor], ...]

    @property
    def pulses_per_device(self) -> float:
        """Of the whole training, the mean over all devices of the network."""
        return float(self.pulses.sum() / (2 * self.pairs.sum()))

    @property
    def refreshes_per_pair(self) -> float:
        return float(self.refreshes.sum() / self.pairs.sum())

    @property
    def share_dropped(self) -> float:
        """Of all requests, 0 to 1; NaN where there was none."""
        dropped, writes = float(self.dropped.sum()), float(self.writes.sum())
        return dropped / (dropped + writes) if dropped + writes else float("nan")

    def worn_pulses(self) -> Tensor:
        """Pulses of every single device of the network, float32 [device]."""
        each = (layer[name] for layer in self.wear for name in ("pulses1", "pulses2"))
        return torch.cat([values.flatten() for values in each])

    def worn_refreshes(self) -> Tensor:
        """Refreshes of every pair, which are those of each of its devices, float32 [pair]."""
        return torch.cat([layer["refreshes"].flatten() for layer in self.wear])


def read_ledger(folder: Folder, model: int) -> LedgerRecord | None:
    """The ledger of a network, None where there is none, as older programs wrote none.

    Tensors are mapped, not read. Raises IncompleteFileError where it is damaged or of another
    setting.
    """
    path = folder.ledger(model)
    if not path.exists():
        return None
    content, layers = read_tensors(path), len(folder.setting.layers) + 1
    shapes = dict.fromkeys(COUNTS, (folder.setting.epochs, layers)) | {"pairs": (layers,)}
    for name, shape in shapes.items():
        check(content, name, shape, path.name)
    wear = []
    for layer in range(layers if isinstance(content, dict) else 0):
        names = {name: pair_tensor(layer, name) for name in WEAR}
        if names["pulses1"] not in content:
            break
        for name in names.values():
            check(content, name, tuple(content[names["pulses1"]].shape), path.name)
        wear.append({name: content[key] for name, key in names.items()})
    return LedgerRecord(*(content[name] for name in shapes), tuple(wear))


def check(content: object, name: str, shape: tuple[int, ...], file: str) -> None:
    values = content.get(name) if isinstance(content, dict) else None
    if not isinstance(values, Tensor) or tuple(values.shape) != shape:
        raise IncompleteFileError(f"{file} does not hold {name} as expected")
