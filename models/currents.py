"""A data set as batches of input currents and labels on the compute device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from models.first_layer import ActiveInputs, FirstCurrents, FirstInputs, first_inputs

MOST_CACHED = 4096  # mini-batches in the cache, each about a kilobyte of views


@dataclass(frozen=True)
class Currents:
    """Input currents and labels, int64 [n], of a training set and a test set.

    Batches come in the order of the set; batch `number` begins with image number * size, the last
    may have fewer images than `size`. A batch is at most the whole set, whatever `size`.
    """

    inputs: FirstInputs
    train_labels: Tensor
    test_labels: Tensor
    n_classes: int
    cache: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_arrays(
        cls,
        arrays: Sequence[np.ndarray],
        n_classes: int,
        padding: int,
        input_scale: float,
        device: torch.device,
        batch_size: int,
    ) -> Currents:
        """Pad the images with zeros on each side, flatten and scale them.

        arrays: training images uint8 [n, rows, columns] and labels int64 [n], then test images and
        test labels.
        """
        train_images, train_labels, test_images, test_labels = arrays
        batch_size = min(batch_size, len(train_labels))
        inputs = first_inputs(train_images, test_images, padding, input_scale, device, batch_size)
        train, test = (torch.from_numpy(part).to(device) for part in (train_labels, test_labels))
        return cls(inputs, train, test, n_classes)

    def batch(self, number: int, size: int) -> tuple[FirstCurrents, Tensor]:
        """Return mini-batch `number`: currents for the first layer, and labels.

        Batches never change, so they are cached.
        """
        size = min(size, self.n_train)
        batch = self.cache.get((number, size))
        if batch is None:
            labels = self.train_labels[number * size : (number + 1) * size]
            batch = self.inputs.train_batch(number, size), labels
            if len(self.cache) < MOST_CACHED:
                self.cache[number, size] = batch
        return batch

    def test_batch(self, number: int, size: int) -> tuple[FirstCurrents, Tensor]:
        """Return batch `number` of the test set: currents for the first layer, and labels."""
        labels = self.test_labels[number * size : (number + 1) * size]
        return self.inputs.test_batch(number, size), labels

    def select(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return currents and labels of training images by number, int64 [batch]; dense only."""
        labels = self.train_labels.index_select(0, numbers)
        return self.inputs.train_images(numbers), labels

    @property
    def first_test_image(self) -> Tensor:
        """The currents of the first test image in the order of the pixels, with padding: [in]."""
        tested = self.inputs.first_test_image
        currents = tested.new_zeros(self.n_inputs)
        currents[self.active_inputs.tested.to(currents.device)] = tested
        return currents

    @property
    def active_inputs(self) -> ActiveInputs:
        return self.inputs.active_inputs

    @property
    def n_inputs(self) -> int:
        """Number of inputs of a network, including those that are always zero."""
        return self.active_inputs.total

    @property
    def n_train(self) -> int:
        """Number of training images."""
        return len(self.train_labels)

    @property
    def n_test(self) -> int:
        """Number of test images."""
        return len(self.test_labels)

    @property
    def product(self) -> str:
        """How the first layer multiplies: sparse or dense."""
        return self.inputs.product

    @property
    def device(self) -> torch.device:
        return self.train_labels.device

    @property
    def are_on_gpu(self) -> bool:
        return self.device.type == "cuda"
