"""A ramp whose branch is known, before it is numbered among those of its device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils.measured.checks import Trend
from utils.measured.measurement import Branch
from utils.measured.series import Series


@dataclass(eq=False)
class Directed:
    """A ramp whose branch is known.

    pulses: float64 [n], rising; fixed: whether their start is known, not only their differences;
    found: its trend; after: the ramp of the other branch right before it; before: see Ramp.
    """

    series: Series
    branch: Branch
    pulses: np.ndarray
    fixed: bool
    found: Trend
    after: Directed | None = None
    before: float | None = None
