"""The images of a data set as sparse input currents, lists of the entries that are not zero.

The sparse product of the first layer reads these lists: see models.sparse_matmul.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from models.active_inputs import ActiveInputs
from models.kernels.load import SPARSE_INPUTS, SPARSE_MATMUL, is_loaded
from models.sparse_matmul import LARGEST, PairedRows, SparseBatch
from utils.compute.kernel_builder import function

DENSE_ABOVE = 0.5  # share of inputs that are not zero, above which the dense product is faster
SMALLEST_BATCH = 32  # images; with fewer, the lists of a batch are longer than its images


def is_available() -> bool:
    """Whether the kernels of sparse inputs and products are loaded."""
    return is_loaded(SPARSE_INPUTS) and is_loaded(SPARSE_MATMUL)


@dataclass(frozen=True)
class SparseInputs:
    """Input currents of the first layer as lists of the entries that are not zero, on the CPU.

    by_image: lists whose rows are training images; by_input: lists whose rows are active inputs;
    both hold one mini-batch of `batch_size` images after the other. test_images: uint8 [n, tested],
    which are listed when first needed. levels: the current for each of the 256 values of a pixel,
    float32. numbers: int64, 0, 1, 2, ..., by which compiled programs address pairs of rows.
    """

    active_inputs: ActiveInputs
    n_train: int
    batch_size: int
    by_image: PairedRows
    by_input: PairedRows
    test_images: np.ndarray
    levels: Tensor
    numbers: Tensor
    test_lists: dict[int, PairedRows] = field(default_factory=dict, init=False, repr=False)

    product = "sparse"

    @staticmethod
    def pays(train: np.ndarray, batch_size: int) -> bool:
        """Whether sparse products are faster: a matter of data, setting and machine alone."""
        n_active = np.count_nonzero(train)
        is_sparse = bool(n_active <= min(DENSE_ABOVE * train.size, LARGEST))
        return batch_size >= SMALLEST_BATCH and is_sparse and is_available()

    @classmethod
    def from_images(
        cls,
        train: np.ndarray,
        test: np.ndarray,
        active_inputs: ActiveInputs,
        levels: Tensor,
        batch_size: int,
    ) -> SparseInputs:
        """List images uint8: train [n, active], test [n, tested]."""
        n_active = train.shape[1]
        by_image = listed(train, levels, batch_size)
        n_batches = -(-len(train) // batch_size)
        # Neighbouring inputs are active in nearly the same images.
        neighbours = torch.arange(n_active + n_active % 2, dtype=torch.int32)
        neighbours[n_active:] = -1
        by_input = listed(train, levels, batch_size, neighbours.repeat(n_batches).view(-1, 2))
        numbers = torch.arange(max(map(len, (train, test, by_input.rows))))
        return cls(active_inputs, len(train), batch_size, by_image, by_input, test, levels, numbers)

    @property
    def n_test(self) -> int:
        return len(self.test_images)

    def train_batch(self, number: int, size: int) -> SparseBatch:
        """Return mini-batch `number`; the last one may have fewer images than `size`.

        Raises ValueError if the lists are those of batches of another size.
        """
        if size != self.batch_size:
            raise ValueError(f"listed are batches of {self.batch_size}, not of {size}")
        n_active = len(self.active_inputs.active)
        return SparseBatch(
            self.by_image,
            self.numbers[number * pairs_of(size)],
            min(size, self.n_train - number * size),
            n_active,
            by_input=self.by_input,
            first_input=self.numbers[number * pairs_of(n_active)],
        )

    def test_batch(self, number: int, size: int) -> SparseBatch:
        """Return batch `number` of the test set."""
        if size not in self.test_lists:
            self.test_lists[size] = listed(self.test_images, self.levels, size)
        first = self.numbers[number * pairs_of(size)]
        n_images = min(size, self.n_test - number * size)
        return SparseBatch(self.test_lists[size], first, n_images, self.test_images.shape[1])

    @property
    def first_test_image(self) -> Tensor:
        """The currents of the first test image into the inputs that are tested: [tested]."""
        return self.levels[torch.from_numpy(self.test_images[0]).long()]

    def train_images(self, numbers: Tensor) -> Tensor:
        """Raise an error: sparse inputs are lists of batches, so images have no numbers."""
        raise NotImplementedError("sparse inputs are read in batches")

    def product_shapes(self, n_outputs: int, trained: set[int], tested: set[int]) -> list[tuple]:
        """Return no shapes: there is no dense product, and sparse sums have a fixed order."""
        return []


def pairs_of(rows: int) -> int:
    return (rows + 1) // 2


def listed(
    images: np.ndarray, levels: Tensor, batch_size: int, inputs: Tensor | None = None
) -> PairedRows:
    """List the entries of images uint8 [n, in] that are not zero, one batch after the other.

    inputs: pairs of inputs as rows, int32 [batch * pair, 2]; None for rows that are images, of
    which those with much in common are paired.
    """
    images = np.ascontiguousarray(images)
    shape, by_input = (*images.shape, batch_size), inputs is not None
    n_full, n_left = divmod(len(images), batch_size)
    rows = inputs
    if rows is None:
        rows = torch.empty(n_full * pairs_of(batch_size) + pairs_of(n_left), 2, dtype=torch.int32)
        pair_images = function(SPARSE_INPUTS[0], "pair_images", "pnnnp")
        pair_images(images.ctypes.data, *shape, rows.data_ptr())
    max_entries = int(np.count_nonzero(images))
    offsets = torch.empty(3 * len(rows) + 1, dtype=torch.int32)
    columns, values = torch.empty(max_entries, dtype=torch.int32), torch.empty(max_entries, 2)
    function(SPARSE_INPUTS[0], "list_pairs", "pnnnnppppp")(
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
