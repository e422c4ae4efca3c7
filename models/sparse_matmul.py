"""The product of sparse inputs and dense weights: on a CPU, only with inputs that are not zero.

80 % of MNIST's inputs are zero. The kernel (sparse_matmul.cpp) runs over the others, image by image
for the voltages and input by input for the gradient, and adds multiples of 32 contiguous outputs.
So the dense side stands in blocks of 32 outputs: [model, block * in, 32], the last block filled up
with outputs that nobody looks at. Two images that have much in common, or two neighbouring inputs,
are one list, so that both use what is read for one; the entries of one of them alone come after
those of both, so that nothing is multiplied by zero. Sums run in a fixed order, whatever the number
of threads.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

BLOCK = 32  # outputs; as in the kernel
LARGEST = 2**31 - 1  # entries that the kernel can count


@dataclass(frozen=True)
class PairedRows:
    """The entries of a matrix that are not zero, by pairs of its rows.

    offsets: int32 [3 * pairs + 1], where the entries of each pair begin, those of both rows, of the
    first alone and of the second alone; rows: int32 [pairs, 2], which they are, -1 for none;
    columns: int32 [entries], in which one of both rows is not zero; values: float32 [entries, 2],
    those of both.
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


# Operators, of sparse_matmul.cpp, so that compiled programs can call them.
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
    """A mini-batch of images by the inputs that are not zero, as the first layer takes it.

    by_image: rows are the images, for one batch after the other; first_image: int64 scalar, the
    number of this batch's first pair; n_images: how many it has; n_inputs: of the layer. by_input,
    first_input: the same by inputs, None where nothing is learned.
    """

    by_image: PairedRows
    first_image: Tensor
    n_images: int
    n_inputs: int
    by_input: PairedRows | None = None
    first_input: Tensor | None = None

    @cached_property
    def form(self) -> Hashable:
        """What a program compiled for such an input depends on."""
        shapes = self.by_image.shapes, self.by_input and self.by_input.shapes
        return self.n_images, self.n_inputs, shapes

    @cached_property
    def tensors(self) -> list[Tensor]:
        """All of it that changes from batch to batch, or may."""
        tensors = [*self.by_image.tensors, self.first_image]
        if self.by_input is not None and self.first_input is not None:
            tensors += [*self.by_input.tensors, self.first_input]
        return tensors

    def with_tensors(self, tensors: Sequence[Tensor]) -> SparseBatch:
        """The same with other tensors, which are stand-ins while a program is compiled."""
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
        """W I: [model, out, batch], from weights in blocks."""
        return torch.ops.magnetoionic.sparse_voltage(
            *self.by_image.tensors,
            self.first_image,
            self.n_images,
            weight.contiguous(),
            self.n_inputs,
            n_outputs,
        )

    def gradient(self, grad_voltage: Tensor) -> Tensor:
        """dL/dW = g I^T, in blocks, from g [model, out, batch].

        Raises ValueError for a batch that is not listed by inputs, as those of tests.
        """
        if self.by_input is None:
            raise ValueError("nothing is learned from a batch that is listed by images alone")
        return torch.ops.magnetoionic.sparse_gradient(
            *self.by_input.tensors, self.first_input, self.n_inputs, grad_voltage.contiguous()
        )


def to_blocks(whole: Tensor) -> Tensor:
    """[model, out, k] as [model, block * k, 32]; the last output is repeated to fill its block."""
    missing = -whole.shape[1] % BLOCK
    if missing:
        whole = torch.cat([whole, whole[:, -1:].expand(-1, missing, -1)], dim=1)
    return whole.unflatten(1, (-1, BLOCK)).transpose(2, 3).flatten(1, 2).contiguous()


def from_blocks(blocks: Tensor, k: int, n_out: int) -> Tensor:
    """[model, out, k] from [model, block * k, 32]."""
    return blocks.unflatten(1, (-1, k)).transpose(2, 3).flatten(1, 2)[:, :n_out]
