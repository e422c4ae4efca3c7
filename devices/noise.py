"""Random numbers with an address: one independent stream per network, on any hardware.

A counter-based generator has no state. The draw of a network depends on its own seed and on an
address (what the draw is for, layer, training step, part of the test set, element), never on
what was drawn before or on the networks that train beside it. So a network draws the same numbers
alone, in an ensemble, on CPU or GPU, and after an interruption; and the draws of all networks are
one tensor operation.

The generator is Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel
Random Numbers: As Easy as 1, 2, 3", SC'11, doi:10.1145/2063384.2063405. Normal numbers follow by
the Box-Muller transform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

WORD = 0xFFFFFFFF  # 32-bit words, held in int64 tensors
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


class Draw(IntEnum):
    """The purposes of random numbers; each purpose has a separate stream."""

    FRESH = 0  # starting voltage of a fresh pair
    SLOPE_1 = 1  # slope factor of device 1
    SLOPE_2 = 2
    VOLTAGE = 3  # noise on the output voltages while training
    READ = 4  # read noise of a pair in the backward pass
    TEST = 6  # noise on the output voltages while testing
    WRITE = 7  # write noise of the device of a pair that is written
    DEVICE = 8  # read noise of a pair in inference while training
    DEVICE_TEST = 9  # read noise of a pair in inference while testing
    ROUNDING = 10  # stochastic rounding of the pulses of a weight
    WRITE_RAISED = 11  # write noise of a device that is raised while the other one falls


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four random 32-bit words per counter.

    counter: four int64 tensors of words, key: two of them; all broadcast together.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]  # wrap around at 64 bits
        high0, high1 = (product0 >> 32) & WORD, (product1 >> 32) & WORD
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, product1 & WORD, high0 ^ c3 ^ k1, product0 & WORD
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def box_muller(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two independent float32 N(0, 1) numbers from two random words."""
    radius = torch.sqrt(-2 * torch.log((a.float() + 0.5) * 2**-32))
    angle = b.float() * (2 * math.pi * 2**-32)
    return radius * torch.cos(angle), radius * torch.sin(angle)


@dataclass(frozen=True)
class Stream:
    """The random numbers of a layer at one moment of training.

    seed: int64 [model], one per network; step: int64 scalar tensor, mini-batches so far;
    part: int64 scalar tensor, which part of the test set; layer: counted from 0.
    """

    seed: Tensor
    step: Tensor
    part: Tensor
    layer: int = 0

    def words(self, draw: Draw, count: int) -> tuple[Tensor, ...]:
        """Four int64 tensors [model, ceil(count / 4)] of random 32-bit words."""
        return words(self.seed, self.step, self.part, self.purpose(draw), count)

    def normal(self, draw: Draw, shape: tuple[int, ...]) -> Tensor:
        """Float32 N(0, 1) numbers [model, *shape]."""
        address = self.seed.contiguous(), self.step, self.part, self.purpose(draw)
        return torch.ops.magnetoionic.normal(*address, math.prod(shape)).unflatten(1, shape)

    def noisy(self, draw: Draw, values: Tensor, sigma: Tensor) -> Tensor:
        """Add normal noise of standard deviation sigma [model, 1, 1] to values [model, ...].

        Every bit is that of `values + sigma * self.normal(draw, ...)`; where a kernel is loaded,
        float32 values need no tensor of the noise.
        """
        if not values.dtype == sigma.dtype == torch.float32:
            return values + sigma * self.normal(draw, values.shape[1:]).to(values)
        address = self.seed.contiguous(), self.step, self.part, self.purpose(draw)
        return torch.ops.magnetoionic.noisy(
            *address, values.flatten(1).contiguous(), sigma.flatten().contiguous()
        ).view_as(values)

    def purpose(self, draw: Draw) -> int:
        """Return the word of a draw's address that holds its purpose and its layer."""
        return (self.layer << 8) | draw

    def uniform(self, draw: Draw, shape: tuple[int, ...]) -> Tensor:
        """Float32 U(-1, 1) numbers [model, *shape]."""
        count = math.prod(shape)
        quarters = [(word.float() + 0.5) * 2**-31 - 1 for word in self.words(draw, count)]
        return joined(quarters, count).unflatten(1, shape)

    def uniform_by_blocks(self, draw: Draw, shape: tuple[int, int]) -> Tensor:
        """Float32 U(0, 1) numbers [model, out, in], for shape = (out, in).

        The 32 numbers of consecutive outputs at one input are the words of 8 consecutive blocks of
        Philox, so that a kernel that works on 32 outputs at a time draws only what it needs.
        """
        address = self.seed.contiguous(), self.step, self.part, self.purpose(draw)
        return torch.ops.magnetoionic.uniform_by_blocks(*address, *shape)


def words(seed: Tensor, step: Tensor, part: Tensor, purpose: int, count: int) -> tuple[Tensor, ...]:
    """Four int64 tensors [model, ceil(count / 4)] of random 32-bit words at an address."""
    # Part of a tensor expression: else PyTorch's compiler makes it a 32-bit index on a GPU.
    block = torch.arange((count + 3) // 4, device=seed.device) + (step & 0)
    purposes = torch.full_like(block, purpose)
    counter = (block, step + torch.zeros_like(block), purposes, part + purposes * 0)
    key = seed[:, None]
    return philox(counter, (key & WORD, (key >> 32) & WORD))


def joined(quarters: Sequence[Tensor], count: int) -> Tensor:
    """The first `count` of the numbers of four tensors, one after the other: [model, count]."""
    return torch.cat(list(quarters), dim=1)[:, :count]


def normal(seed: Tensor, step: Tensor, part: Tensor, purpose: int, count: int) -> Tensor:
    """Float32 N(0, 1) numbers [model, count]."""
    a, b, c, d = words(seed, step, part, purpose, count)
    return joined((*box_muller(a, b), *box_muller(c, d)), count)


def noisy(
    seed: Tensor, step: Tensor, part: Tensor, purpose: int, values: Tensor, sigma: Tensor
) -> Tensor:
    """Add normal noise of standard deviation sigma [model] to values [model, count]."""
    return values + sigma[:, None] * normal(seed, step, part, purpose, values.shape[1])


def uniform_by_blocks(
    seed: Tensor, step: Tensor, part: Tensor, purpose: int, n_outputs: int, n_inputs: int
) -> Tensor:
    """Float32 U(0, 1) numbers [model, n_outputs, n_inputs]; see `Stream.uniform_by_blocks`."""
    blocks = -(-n_outputs // 32), n_inputs, 8
    drawn = words(seed, step, part, purpose, math.prod(blocks) * 4)
    numbers = torch.stack([word.unflatten(1, blocks) for word in drawn], dim=2)
    numbers = numbers.permute(0, 1, 2, 4, 3).flatten(1, 3)  # [model, block * word * 8, in]
    return (numbers[:, :n_outputs].float() + 0.5) * 2**-32


# These are operators, since models.kernels has a kernel for them on the CPU. It draws the same
# words, but the last bits of its Box-Muller transform may differ.
ADDRESS = "Tensor seed, Tensor step, Tensor part, int purpose"
torch.library.define("magnetoionic::normal", f"({ADDRESS}, int count) -> Tensor")
torch.library.define("magnetoionic::noisy", f"({ADDRESS}, Tensor values, Tensor sigma) -> Tensor")
torch.library.define(
    "magnetoionic::uniform_by_blocks", f"({ADDRESS}, int n_outputs, int n_inputs) -> Tensor"
)
for name, function in {
    "normal": normal,
    "noisy": noisy,
    "uniform_by_blocks": uniform_by_blocks,
}.items():
    torch.library.impl(f"magnetoionic::{name}", "CompositeExplicitAutograd", function)


@torch.library.register_fake("magnetoionic::normal")
def _(seed: Tensor, step: Tensor, part: Tensor, purpose: int, count: int) -> Tensor:
    return seed.new_empty(len(seed), count, dtype=torch.float32)


@torch.library.register_fake("magnetoionic::noisy")
def _(seed: Tensor, step: Tensor, part: Tensor, purpose: int, values: Tensor, sigma: Tensor):
    return torch.empty_like(values)


@torch.library.register_fake("magnetoionic::uniform_by_blocks")
def _(seed: Tensor, step: Tensor, part: Tensor, purpose: int, n_outputs: int, n_inputs: int):
    return seed.new_empty(len(seed), n_outputs, n_inputs, dtype=torch.float32)
