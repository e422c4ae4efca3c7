"""The inputs of the first layer that are ever active; the other inputs need no training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

COLUMNS = 16  # active inputs are rounded up to a multiple of this, for the matrix products


@dataclass(frozen=True)
class ActiveInputs:
    """The inputs of the first layer, divided into active and always-zero ones.

    active: int64, inputs that are not zero in some training image, and a few more up to a multiple
    of COLUMNS; only their weights get gradients. always_zero: int64, all other inputs, beginning
    with the `n_tested` ones that are not zero in some test image.
    """

    active: Tensor
    always_zero: Tensor
    n_tested: int

    @classmethod
    def from_images(cls, train: np.ndarray, test: np.ndarray) -> ActiveInputs:
        """Divide the inputs by padded, flattened images [n, pixels]."""
        in_train, in_test = train.any(axis=0), test.any(axis=0)
        # Sorted by whether they are active in training, then in testing; stable, so in pixel order.
        order = np.argsort(-(2 * in_train.astype(int) + in_test), kind="stable")
        total = len(order)
        n_active = min(-(-max(int(in_train.sum()), 1) // COLUMNS) * COLUMNS, total)
        n_seen = max(int((in_train | in_test).sum()), n_active)
        order = torch.from_numpy(order)
        return cls(order[:n_active].sort().values, order[n_active:], n_seen - n_active)

    @property
    def tested(self) -> Tensor:
        """int64, the inputs of the first layer in tests: first the active ones, then `n_tested`."""
        return torch.cat([self.active, self.always_zero[: self.n_tested]])

    @property
    def total(self) -> int:
        return len(self.active) + len(self.always_zero)

    def join(self, active: Tensor, always_zero: Tensor) -> Tensor:
        """Return values [out, input] in the order of the inputs from the values of both kinds."""
        values = active.new_empty(len(active), self.total)
        values[:, self.active], values[:, self.always_zero] = active, always_zero
        return values
