"""What is lit in each image, listed once for all epochs, as the sparse product reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.sparse_matmul import LARGEST, SparseBatch, SparseRows, is_available

DENSE_ABOVE = 0.5  # share of inputs that are not zero; with more, the dense product is faster
SMALLEST_BATCH = 32  # images; with fewer, the lists of a batch are longer than what they list


@dataclass(frozen=True)
class Light:
    """Input currents by what is lit, listed once for all epochs.

    train, test: rows are images; by_input: rows are the trained inputs, for one mini-batch after
    the other. numbers: int64, 0, 1, 2, ..., to address them in compiled programs.
    """

    train: SparseRows
    by_input: SparseRows
    test: SparseRows
    n_lit: int
    n_tested: int
    numbers: Tensor

    @staticmethod
    def pays(train: np.ndarray, batch_size: int) -> bool:
        """Whether sparse products are faster: a matter of data, setting and machine alone."""
        n_lit = np.count_nonzero(train)
        return (
            batch_size >= SMALLEST_BATCH
            and n_lit <= min(DENSE_ABOVE * train.size, LARGEST)
            and is_available()
        )

    @classmethod
    def of(
        cls, train: np.ndarray, test: np.ndarray, train_current: Tensor, test_current: Tensor,
        batch_size: int,
    ) -> Light:  # fmt: skip
        """From images uint8 [n, in] and the currents [n, in] that they stand for."""

        def by_image(images: np.ndarray, currents: Tensor) -> SparseRows:
            lit = np.flatnonzero(images)
            counts = np.count_nonzero(images, axis=1)
            return SparseRows.of(counts, lit % images.shape[1], currents.view(-1)[lit])

        n_images, n_lit = train.shape
        counts, columns, values = [], [], []
        n_full = n_images // batch_size * batch_size  # the last batch may be smaller
        for first, last, size in ((0, n_full, batch_size), (n_full, n_images, n_images - n_full)):
            if first == last:
                continue
            # [batch, in, image]
            images = train[first:last].reshape(-1, size, n_lit).transpose(0, 2, 1)
            lit = np.flatnonzero(images)
            batch, which = np.divmod(lit, n_lit * size)
            pixel, image = np.divmod(which, size)
            counts.append(np.count_nonzero(images, axis=2).reshape(-1))
            columns.append(image)
            whole = (first + batch * size + image) * n_lit + pixel
            values.append(train_current.view(-1)[torch.from_numpy(whole)])
        by_input = SparseRows.of(np.concatenate(counts), np.concatenate(columns), torch.cat(values))
        numbers = torch.arange(max(n_images, len(test), len(by_input.offsets)))
        return cls(
            by_image(train, train_current), by_input, by_image(test, test_current),
            n_lit, test.shape[1], numbers,
        )  # fmt: skip

    def train_batch(self, number: int, images: slice) -> SparseBatch:
        return SparseBatch(
            self.train, self.numbers[images.start], images.stop - images.start, self.n_lit,
            by_input=self.by_input, row=self.numbers[number * self.n_lit],
        )  # fmt: skip

    def test_batch(self, images: slice) -> SparseBatch:
        first = self.numbers[images.start]
        return SparseBatch(self.test, first, images.stop - images.start, self.n_tested)
