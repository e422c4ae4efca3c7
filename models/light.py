"""What is lit in each image, listed once for all epochs, as the sparse product reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import sparse_matmul
from models.sparse_matmul import LARGEST, PairedRows, SparseBatch
from utils.compute.kernel_builder import function, libraries

SOURCE = Path(__file__).parent / "kernels/sparse_inputs.cpp"
DENSE_ABOVE = 0.5  # share of inputs that are not zero; with more, the dense product is faster
SMALLEST_BATCH = 32  # images; with fewer, the lists of a batch are longer than what they list


def is_available() -> bool:
    """Whether the kernels are there; builds them if need be."""
    return None not in libraries((SOURCE, ""), (sparse_matmul.SOURCE, ""))


@dataclass(frozen=True)
class Light:
    """Input currents by what is lit, listed once for all epochs.

    train: rows are images, by_input: the trained inputs, both for one mini-batch of so many images
    after the other; tested: test images uint8 [n, in], listed when they are first asked for.
    levels: the current for each of the 256 values of a pixel, float32. numbers: int64, 0, 1, 2,
    ..., to address pairs in compiled programs.
    """

    train: PairedRows
    by_input: PairedRows
    batch_size: int
    n_lit: int
    tested: np.ndarray
    levels: Tensor
    numbers: Tensor
    lists: dict[int, PairedRows] = field(default_factory=dict, init=False, repr=False)

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
    def of(cls, train: np.ndarray, test: np.ndarray, levels: Tensor, batch_size: int) -> Light:
        """From images uint8 [n, in]."""
        n_lit = train.shape[1]
        by_image = listed(train, levels, batch_size)
        n_batches = -(-len(train) // batch_size)
        # Inputs beside each other are lit in nearly the same images.
        neighbours = torch.arange(n_lit + n_lit % 2, dtype=torch.int32)
        neighbours[n_lit:] = -1
        by_input = listed(train, levels, batch_size, neighbours.repeat(n_batches).view(-1, 2))
        numbers = torch.arange(max(map(len, (train, test, by_input.rows))))
        return cls(by_image, by_input, batch_size, n_lit, test, levels, numbers)

    def train_batch(self, number: int, n_images: int) -> SparseBatch:
        """Mini-batch of that number, which has so many images."""
        return SparseBatch(
            self.train,
            self.numbers[number * pairs_of(self.batch_size)],
            n_images,
            self.n_lit,
            by_input=self.by_input,
            first_input=self.numbers[number * pairs_of(self.n_lit)],
        )

    def test_batch(self, number: int, size: int, n_images: int) -> SparseBatch:
        """The same of the test set, in batches of `size`."""
        if size not in self.lists:
            self.lists[size] = listed(self.tested, self.levels, size)
        first = self.numbers[number * pairs_of(size)]
        return SparseBatch(self.lists[size], first, n_images, self.tested.shape[1])


def pairs_of(rows: int) -> int:
    return (rows + 1) // 2


def listed(
    images: np.ndarray, levels: Tensor, batch_size: int, inputs: Tensor | None = None
) -> PairedRows:
    """Lists of images uint8 [n, in], for one batch after the other.

    By pairs of images that have much in common; or by pairs of inputs, int32 [batch * pair, 2].
    """
    images = np.ascontiguousarray(images)
    shape, by_input = (*images.shape, batch_size), inputs is not None
    n_full, rest = divmod(len(images), batch_size)
    rows = inputs
    if rows is None:
        rows = torch.empty(n_full * pairs_of(batch_size) + pairs_of(rest), 2, dtype=torch.int32)
        function(SOURCE, "pair_images", "pnnnp")(images.ctypes.data, *shape, rows.data_ptr())
    most = np.count_nonzero(images)
    offsets = torch.empty(3 * len(rows) + 1, dtype=torch.int32)
    columns, values = torch.empty(most, dtype=torch.int32), torch.empty(most, 2)
    function(SOURCE, "list_pairs", "pnnnnppppp")(
        images.ctypes.data,
        *shape,
        int(by_input),
        rows.data_ptr(),
        levels.data_ptr(),
        offsets.data_ptr(),
        columns.data_ptr(),
        values.data_ptr(),
    )
    n = int(offsets[-1])
    return PairedRows(offsets, rows, columns[:n].clone(), values[:n].clone())
