"""The product of sparse inputs and dense weights: on a CPU, only with inputs that are not zero.

Four fifths of MNIST are dark. The kernel (sparse_matmul.cpp) runs over what is lit, image by image
for the voltages and input by input for the gradient, and adds multiples of 32 contiguous outputs.
So the dense side stands in blocks of 32 outputs: [model, block * in, 32], the last block filled up
with outputs that nobody looks at. Sums run in a fixed order, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from devices.native import function, library

BLOCK = 32  # outputs; as in the kernel
LARGEST = 2**31 - 1  # entries that the kernel can count
SOURCE = Path(__file__).with_name("sparse_matmul.cpp")


def is_available() -> bool:
    """Whether the kernel is there; builds it if need be."""
    return library(SOURCE) is not None


@dataclass(frozen=True)
class SparseRows:
    """The entries of a matrix that are not zero, row by row (CSR).

    offsets: int32 [rows + 1], where the entries of each row begin; columns: int32 [entries];
    values: float32 [entries].
    """

    offsets: Tensor
    columns: Tensor
    values: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.offsets, self.columns, self.values

    @classmethod
    def of(cls, counts: np.ndarray, columns: np.ndarray, values: Tensor) -> SparseRows:
        """counts: entries of each row."""
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        columns = columns.astype(np.int32)
        return cls(torch.from_numpy(offsets), torch.from_numpy(columns), values)


# Operators of their own, so that compiled programs can call them.
for name in ("sparse_voltage", "sparse_gradient"):
    torch.library.define(
        f"magnetoionic::{name}",
        "(Tensor offsets, Tensor columns, Tensor values, Tensor first, int rows, Tensor dense, "
        "int k, int n_outputs) -> Tensor",
    )


def call(name: str, offsets, columns, values, first, dense, result, sizes: Sequence[int]) -> None:
    """Call the kernel for rows from number `first` (an int64 scalar) on."""
    begin, dense = offsets.data_ptr() + offsets.element_size() * int(first), dense.contiguous()
    function(SOURCE, name, "pppppnnnnt")(
        begin, columns.data_ptr(), values.data_ptr(), dense.data_ptr(), result.data_ptr(), *sizes,
        torch.get_num_threads(),
    )  # fmt: skip


@torch.library.impl("magnetoionic::sparse_voltage", "CPU")
def _(offsets, columns, values, first, rows: int, dense: Tensor, k: int, n_outputs: int) -> Tensor:
    result = dense.new_empty(dense.shape[0], n_outputs, rows)
    sizes = (dense.shape[0], rows, k, n_outputs)
    call("sparse_voltage", offsets, columns, values, first, dense, result, sizes)
    return result


@torch.library.register_fake("magnetoionic::sparse_voltage")
def _(offsets, columns, values, first, rows: int, dense: Tensor, k: int, n_outputs: int) -> Tensor:
    return dense.new_empty(dense.shape[0], n_outputs, rows)


@torch.library.impl("magnetoionic::sparse_gradient", "CPU")
def _(offsets, columns, values, first, rows: int, dense: Tensor, k: int, n_outputs: int) -> Tensor:
    result = dense.new_empty(dense.shape[0], -(-n_outputs // BLOCK) * rows, BLOCK)
    sizes = (dense.shape[0], rows, k, n_outputs)
    call("sparse_gradient", offsets, columns, values, first, dense, result, sizes)
    return result


@torch.library.register_fake("magnetoionic::sparse_gradient")
def _(offsets, columns, values, first, rows: int, dense: Tensor, k: int, n_outputs: int) -> Tensor:
    return dense.new_empty(dense.shape[0], -(-n_outputs // BLOCK) * rows, BLOCK)


@dataclass(frozen=True)
class SparseBatch:
    """A mini-batch of images by their lit inputs, as the first layer takes it.

    by_image: rows are all images; image: int64 scalar, the batch's first one; n_images: how many.
    by_input: rows are the inputs, for one batch after the other; row: int64 scalar, the first of
    this batch; None where there is no learning. n_inputs, n_outputs: of the layer.
    """

    by_image: SparseRows
    image: Tensor
    n_images: int
    n_inputs: int
    n_outputs: int | None = None
    by_input: SparseRows | None = None
    row: Tensor | None = None

    @property
    def form(self) -> tuple[bool, int, int]:
        """What a program compiled for such an input depends on, beside the tensors' shapes."""
        return self.by_input is None, self.n_images, self.n_inputs

    @property
    def tensors(self) -> list[Tensor]:
        """All of it that is not in `form`."""
        tensors = [*self.by_image.tensors, self.image]
        return tensors if self.by_input is None else [*tensors, *self.by_input.tensors, self.row]

    def of(self, tensors: Sequence[Tensor]) -> SparseBatch:
        """The same with other tensors, which are stand-ins while a program is compiled."""
        by_image, image = SparseRows(*tensors[:3]), tensors[3]
        by_input, row = (SparseRows(*tensors[4:7]), tensors[7]) if tensors[4:] else (None, None)
        return replace(self, by_image=by_image, image=image, by_input=by_input, row=row)

    def into(self, n_outputs: int) -> SparseBatch:
        """The same for a layer of so many outputs."""
        return replace(self, n_outputs=n_outputs)

    def voltage(self, weight: Tensor) -> Tensor:
        """W I: [model, out, batch], from weights in blocks."""
        return torch.ops.magnetoionic.sparse_voltage(
            *self.by_image.tensors, self.image, self.n_images, weight, self.n_inputs, self.n_outputs
        )

    def gradient(self, grad_voltage: Tensor) -> Tensor:
        """dL/dW = g I^T, in blocks, from g [model, out, batch]."""
        return torch.ops.magnetoionic.sparse_gradient(
            *self.by_input.tensors, self.row, self.n_inputs, grad_voltage, self.n_images,
            grad_voltage.shape[1],
        )  # fmt: skip


def to_blocks(whole: Tensor) -> Tensor:
    """[model, out, k] as [model, block * k, 32]; the last output is repeated to fill its block."""
    missing = -whole.shape[1] % BLOCK
    if missing:
        whole = torch.cat([whole, whole[:, -1:].expand(-1, missing, -1)], dim=1)
    return whole.unflatten(1, (-1, BLOCK)).transpose(2, 3).flatten(1, 2).contiguous()


def from_blocks(blocks: Tensor, k: int, n_out: int) -> Tensor:
    """[model, out, k] from [model, block * k, 32]."""
    return blocks.unflatten(1, (-1, k)).transpose(2, 3).flatten(1, 2)[:, :n_out]
