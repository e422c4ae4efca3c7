"""The images of a data set as dense input currents of the first layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.active_inputs import ActiveInputs


@dataclass(frozen=True)
class DenseInputs:
    """Input currents on the compute device.

    train: float32 [n_train, active]; test: float32 [n_test, tested]. A current is input_scale times
    the pixel, 0 to 1.
    """

    train: Tensor
    test: Tensor
    active_inputs: ActiveInputs

    product = "dense"

    def train_batch(self, number: int, size: int) -> Tensor:
        """Return currents [in, batch] of mini-batch `number`; the last may have fewer images."""
        return self.train[number * size : (number + 1) * size].T

    def test_batch(self, number: int, size: int) -> Tensor:
        """Return currents [in, batch] of batch `number` of the test set."""
        return self.test[number * size : (number + 1) * size].T

    def train_images(self, numbers: Tensor) -> Tensor:
        """Return currents [in, batch] of training images by number, int64 [batch]."""
        return self.train.index_select(0, numbers).T

    @property
    def first_test_image(self) -> Tensor:
        """The currents of the first test image into the inputs that are tested: [tested]."""
        return self.test[0]

    def product_shapes(self, n_outputs: int, trained: set[int], tested: set[int]) -> list[tuple]:
        """Return m, k, n of all dense products [m, k] times [k, n] of the first layer.

        trained, tested: numbers of images in batches of the training set and of the test set.
        """
        n_active = len(self.active_inputs.active)
        return [
            *((n_outputs, len(self.active_inputs.tested), n) for n in tested),
            *((n_outputs, n_active, n) for n in trained | tested),  # V = W I
            *((n_outputs, n, n_active) for n in trained),  # dL/dW = g I^T
            *((n_active, n_outputs, n) for n in trained),
        ]
