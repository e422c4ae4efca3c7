"""The product of sparse inputs and dense weights on a CPU, which skips inputs that are zero.

80 % of MNIST's inputs are zero. The kernel (sparse_matmul.cpp) runs over the other inputs, image by
image for the voltages and input by input for the gradient, and adds multiples of 32 contiguous
outputs. Therefore the dense factor is stored in blocks of 32 outputs: [model, block * in, 32]; the
last block is filled up with outputs that are never used. Two images that have much in common, or
two neighbouring inputs, share a list, so that a weight is read once for both; entries of only one
of them come after the common ones, so that nothing is multiplied by zero. Sums have a fixed order,
whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

BLOCK = 32  # outputs; the same number as in the kernel
LARGEST = 2**31 - 1  # the largest number of entries that the kernel can count


@dataclass(frozen=True)
class PairedRows:
    """The entries of a matrix that are not zero, listed by pairs of its rows.

    offsets: int32 [3 * pairs + 1], where the entries of each pair begin: entries of both rows, of
    the first row alone, and of the second row alone; rows: int32 [pairs, 2], the numbers of the two
    rows, -1 for none; columns: int32 [entries], the columns in which at least one row is not zero;
    values: float32 [entries, 2], the values of both rows there.
    """

    offsets: Tensor
    rows: Tensor
    columns: Tensor
    values: Tensor

    @cached_property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.offsets, self.rows, self.columns, self.values

    @cached_property
    def shapes(self) -> tuple[torch.Size, ...]:
        return tuple(tensor.shape for tensor in self.tensors)


# The products of sparse_matmul.cpp are operators, so that compiled programs can call them.
LISTS = "Tensor offsets, Tensor rows, Tensor columns, Tensor values, Tensor first"
torch.library.define(
    "magnetoionic::sparse_voltage",
    f"({LISTS}, int n_rows, Tensor weight, int k, int n_outputs) -> Tensor",
)
torch.library.define(
    "magnetoionic::sparse_gradient", f"({LISTS}, int n_rows, Tensor gradient) -> Tensor"
)


@torch.library.register_fake("magnetoionic::sparse_voltage")
def _(*arguments) -> Tensor:
    *_, n_rows, weight, _, n_outputs = arguments
    return weight.new_empty(weight.shape[0], n_outputs, n_rows)


@torch.library.register_fake("magnetoionic::sparse_gradient")
def _(*arguments) -> Tensor:
    *_, n_rows, gradient = arguments
    return gradient.new_empty(gradient.shape[0], -(-gradient.shape[1] // BLOCK) * n_rows, BLOCK)


@dataclass(frozen=True)
class SparseBatch:
    """A mini-batch of images as lists of the inputs that are not zero.

    by_image: lists whose rows are images, one batch after the other; first_image: int64 scalar, the
    number of this batch's first pair of images; n_images: images of this batch; n_inputs: inputs of
    the layer. by_input, first_input: lists whose rows are inputs, and this batch's first pair of
    inputs; None in tests, where nothing is learned.
    """

    by_image: PairedRows
    first_image: Tensor
    n_images: int
    n_inputs: int
    by_input: PairedRows | None = None
    first_input: Tensor | None = None

    @cached_property
    def form(self) -> Hashable:
        """The sizes on which a program that is compiled for this batch depends."""
        shapes = self.by_image.shapes, self.by_input and self.by_input.shapes
        return self.n_images, self.n_inputs, shapes

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of the batch, which may differ from batch to batch."""
        tensors = [*self.by_image.tensors, self.first_image]
        if self.by_input is not None and self.first_input is not None:
            tensors += [*self.by_input.tensors, self.first_input]
        return tensors

    def with_tensors(self, tensors: Sequence[Tensor]) -> SparseBatch:
        """Return a batch of this form with other tensors, as they are traced for compiling."""
        parts = [(PairedRows(*part[:4]), part[4]) for part in (tensors[:5], tensors[5:]) if part]
        (by_image, first_image), (by_input, first_input) = [*parts, (None, None)][:2]
        return replace(
            self,
            by_image=by_image,
            first_image=first_image,
            by_input=by_input,
            first_input=first_input,
        )

    def voltage(self, weight: Tensor, n_outputs: int) -> Tensor:
        """Return the voltages W I, [model, out, batch], from weights in blocks."""
        return torch.ops.magnetoionic.sparse_voltage(
            *self.by_image.tensors,
            self.first_image,
            self.n_images,
            weight.contiguous(),
            self.n_inputs,
            n_outputs,
        )

    def gradient(self, grad_voltage: Tensor) -> Tensor:
        """Return the gradient dL/dW = g I^T, in blocks, from g [model, out, batch].

        Raises ValueError for a batch of a test, which has no lists by inputs.
        """
        if self.by_input is None:
            raise ValueError("nothing is learned from a batch that is listed by images alone")
        return torch.ops.magnetoionic.sparse_gradient(
            *self.by_input.tensors, self.first_input, self.n_inputs, grad_voltage.contiguous()
        )


def to_blocks(values: Tensor) -> Tensor:
    """Return [model, out, k] as [model, block * k, 32]; the last output fills up its block."""
    missing = -values.shape[1] % BLOCK
    if missing:
        values = torch.cat([values, values[:, -1:].expand(-1, missing, -1)], dim=1)
    return values.unflatten(1, (-1, BLOCK)).transpose(2, 3).flatten(1, 2).contiguous()


def from_blocks(blocks: Tensor, k: int, n_out: int) -> Tensor:
    """Return [model, out, k] from [model, block * k, 32]."""
    return blocks.unflatten(1, (-1, k)).transpose(2, 3).flatten(1, 2)[:, :n_out]
