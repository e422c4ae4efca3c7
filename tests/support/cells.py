"""A row of weights of any cell in double precision, written by any rule, to work out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from devices.controller import Programming
from devices.library import Device
from devices.pair import PairParameters, PairState
from devices.programming import NO_DRAWS, Draws, update
from devices.scheme import Scheme
from support.devices import device_of
from support.pairs import row

RULES = {
    "none": {},
    "nearest": dict(rounding="nearest"),
    "stochastic": dict(rounding="stochastic"),
    "accumulate": dict(accumulate=True),
    "accumulate nearest": dict(accumulate=True, rounding="nearest"),
}
CELLS = ("one-way", "both-ways", "reference")
ALL = [(cell, rule) for cell in CELLS for rule in RULES]
FAMILIES = [  # of each two devices, networks of which train side by side
    ("double-linear", "other linear"),
    ("double-exponential", "other exponential"),
    ("table", "longer table"),
]
BRANCHED = [("falls-linearly",) * 2, ("falls-exponentially",) * 2, ("falls-by-a-table",) * 2]


def devices_for(cell: str, rule: str) -> tuple[str, str]:
    """Return two devices of a family; each cell and each rule meets all families.

    Few kernels need to be built, since each cell and rule always comes with the same family.
    """
    return (BRANCHED if cell == "both-ways" else FAMILIES)[family_number(cell, rule)]


def write_noise_for(cell: str, rule: str) -> float:
    """Return the write noise in tests of kernels, where each cell and each rule meets some.

    That is the case of exponential devices, with which no kernel agrees with PyTorch bit for bit.
    """
    return 0.03 if family_number(cell, rule) == 1 else 0.0


def family_number(cell: str, rule: str) -> int:
    return (CELLS.index(cell) + list(RULES).index(rule)) % 3


class Row:
    """Weights side by side, which keep their state between writes.

    scheme: cell, rounding and accumulate; slopes: slope factors of devices 1 and 2.
    """

    def __init__(
        self,
        w1: Sequence[float] | Tensor,
        w2: Sequence[float] | Tensor,
        device: str | Device = "double-linear",
        scheme: dict | None = None,
        slopes: Sequence = (1.0, 1.0),
    ):
        w1, w2 = (w if isinstance(w, Tensor) else row(*w) for w in (w1, w2))
        self.scheme = Scheme(**(scheme or {}))
        device = device_of(device) if isinstance(device, str) else device
        self.device = device.driven(self.scheme.drives_both_ways)
        chi = torch.zeros_like(w1) if self.scheme.accumulate else None
        self.state = PairState(w1.clone(), w2.clone(), chi)
        slope1, slope2 = (torch.as_tensor(slope, dtype=w1.dtype).expand_as(w1) for slope in slopes)
        devices = self.device.response, self.device.rising
        self.parameters = PairParameters(slope1, slope2, *devices)

    def write(
        self,
        gradient: Sequence[float] | Tensor,
        draws: Draws = NO_DRAWS,
        account=None,
        **programming: float | None,
    ) -> Row:
        """Write once; programming: learning_rate (1 unless given), clipping, physical, ..."""
        gradient = gradient if isinstance(gradient, Tensor) else row(*gradient)
        values = dict(learning_rate=1.0, clipping=0.0) | programming
        tensors = {
            name: torch.tensor([value], dtype=torch.bool if name == "physical" else gradient.dtype)
            for name, value in values.items()
            if value is not None
        }
        self.state = update(
            self.state,
            gradient,
            self.parameters,
            Programming(**tensors, scheme=self.scheme),
            draws,
            account,
        )
        return self

    @property
    def w1(self) -> list[float]:
        return self.state.w1[0, 0].tolist()

    @property
    def w2(self) -> list[float]:
        return self.state.w2[0, 0].tolist()

    @property
    def chi(self) -> list[float]:
        return self.state.accumulator[0, 0].tolist()


def updated(
    w1: Sequence[float],
    w2: Sequence[float],
    gradient: Sequence[float],
    device: str = "double-linear",
    slopes: tuple[float, float] = (1.0, 1.0),
    noise: Sequence[float] | None = None,
    **options,
) -> Row:
    """Return one-way pairs after one write; noise: N(0, 1) numbers; options: of `Row.write`."""
    draws = Draws(write=None if noise is None else row(*noise))
    return Row(w1, w2, device, slopes=slopes).write(gradient, draws, **options)
