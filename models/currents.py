"""A data set as the first layer sees it: input currents on the compute device, made there once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from models.light import Light
from models.sparse_matmul import SparseBatch

COLUMNS = 16  # trained inputs are rounded up to a multiple of this, for the matrix products
MOST_KEPT = 4096  # mini-batches, each about a kilobyte of views


@dataclass(frozen=True)
class Pixels:
    """Which inputs of the first layer see light; known in this room only.

    lit: int64, inputs that are not zero in every training image (and a few more, to a round
    number): only their weights get gradients. dark: int64, all others, first the `n_dark_tested`
    ones that some test image lights.
    """

    lit: Tensor
    dark: Tensor
    n_dark_tested: int

    @classmethod
    def of(cls, train: np.ndarray, test: np.ndarray) -> Pixels:
        """From padded, flattened images [n, pixels]."""
        in_train, in_test = train.any(axis=0), test.any(axis=0)
        # Sorted by whether training, then testing lights them; stable, so in pixel order within.
        order = np.argsort(-(2 * in_train.astype(int) + in_test), kind="stable")
        total = len(order)
        n_lit = min(-(-max(int(in_train.sum()), 1) // COLUMNS) * COLUMNS, total)
        n_seen = max(int((in_train | in_test).sum()), n_lit)
        order = torch.from_numpy(order)
        return cls(order[:n_lit].sort().values, order[n_lit:], n_seen - n_lit)

    @property
    def total(self) -> int:
        return len(self.lit) + len(self.dark)


@dataclass(frozen=True)
class Currents:
    """Input currents and labels on the compute device.

    train: float32 [n_train, lit], test: float32 [n_test, lit + n_dark_tested], both input_scale
    times the pixel, which is 0 to 1; labels int64 [n]. light: the same by lit inputs only, where
    that is how the first layer multiplies; None for dense products.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    pixels: Pixels
    n_classes: int
    light: Light | None = None
    kept: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        arrays: Sequence[np.ndarray],
        n_classes: int,
        padding: int,
        input_scale: float,
        device: torch.device,
        batch_size: int,
    ) -> Currents:
        """Pad the images with zeros on each side, flatten and scale them.

        arrays: training images uint8 [n, rows, columns] and labels int64 [n], then those of the
        test. The first layer multiplies by lit inputs alone where that is faster: on a CPU, where
        the kernel can be built, and where most inputs are zero.
        """
        train_images, train_labels, test_images, test_labels = arrays
        seen = (images.any(axis=0)[None] for images in (train_images, test_images))
        pixels = Pixels.of(*(pad(image, padding) for image in seen))
        tested = torch.cat([pixels.lit, pixels.dark[: pixels.n_dark_tested]])
        # Where a pixel is in an image without its frame, counted from 1; 0 in the frame.
        numbers = np.arange(1, train_images[0].size + 1).reshape(train_images[:1].shape)
        place = pad(numbers, padding)[0]

        def selected(images: np.ndarray, wanted: Tensor) -> np.ndarray:
            whole = np.pad(images.reshape(len(images), -1), ((0, 0), (1, 0)))  # zero in front
            return np.take(whole, place[wanted.numpy()], axis=1)  # uint8 [n, wanted]

        train, test = selected(train_images, pixels.lit), selected(test_images, tested)
        train_current, test_current = (
            input_scale * (torch.from_numpy(part).to(device) / 255) for part in (train, test)
        )
        light = None
        if device.type == "cpu" and Light.pays(train, batch_size):
            levels = input_scale * (torch.arange(256, dtype=torch.uint8) / 255)
            light = Light.of(train, test, levels, batch_size)
        return cls(
            train_current,
            torch.from_numpy(train_labels).to(device),
            test_current,
            torch.from_numpy(test_labels).to(device),
            pixels,
            n_classes,
            light,
        )

    def batch(self, number: int, size: int) -> tuple[Tensor | SparseBatch, Tensor]:
        """Mini-batch number `number` of so many images (the last may have fewer), and its labels.

        Inputs are columns, [in, batch], or sparse. Batches never change; they are made once.
        """
        made = self.kept.get((number, size))
        if made is None:
            made = self.make_batch(number, size)
            if len(self.kept) < MOST_KEPT:
                self.kept[number, size] = made
        return made

    def make_batch(self, number: int, size: int) -> tuple[Tensor | SparseBatch, Tensor]:
        images = slice(number * size, min((number + 1) * size, len(self.train)))
        if self.light:
            if size != self.light.batch_size:
                raise ValueError(f"listed are batches of {self.light.batch_size}, not of {size}")
            batch = self.light.train_batch(number, images.stop - images.start)
            return batch, self.train_labels[images]
        return self.train[images].T, self.train_labels[images]

    def test_batch(self, number: int, size: int) -> tuple[Tensor | SparseBatch, Tensor]:
        """The same of the test set."""
        images = slice(number * size, min((number + 1) * size, len(self.test)))
        if self.light:
            batch = self.light.test_batch(number, size, images.stop - images.start)
            return batch, self.test_labels[images]
        return self.test[images].T, self.test_labels[images]

    @property
    def first_test_image(self) -> Tensor:
        """Its currents in pixel order, padding and all: [in]."""
        tested = torch.cat([self.pixels.lit, self.pixels.dark[: self.pixels.n_dark_tested]])
        whole = self.test.new_zeros(self.n_inputs)
        whole[tested.to(whole.device)] = self.test[0]
        return whole

    @property
    def product(self) -> str:
        """How the first layer multiplies: sparse or dense."""
        return "sparse" if self.light else "dense"

    @property
    def are_on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def excerpt(self, n_train: int, n_test: int, device: torch.device) -> Currents:
        """The first images of each set, on another device, for dense products."""
        return replace(
            self,
            train=self.train[:n_train].to(device),
            train_labels=self.train_labels[:n_train].to(device),
            test=self.test[:n_test].to(device),
            test_labels=self.test_labels[:n_test].to(device),
            light=None,
        )

    @property
    def n_inputs(self) -> int:
        """Inputs of a network, dark ones and all."""
        return self.pixels.total

    @property
    def device(self) -> torch.device:
        return self.train.device


def pad(images: np.ndarray, padding: int) -> np.ndarray:
    """Images [n, rows, columns] with zeros around each, flattened: [n, pixels]."""
    sides = ((0, 0), (padding, padding), (padding, padding))
    return np.pad(images, sides).reshape(len(images), -1)
