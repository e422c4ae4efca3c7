"""The first layer: its inputs are images, and it is fast since most pixels are zero.

This module alone knows which inputs are active and which always zero, whether the inputs are dense
or sparse, the order of the pairs in memory, and that gradient and update may be one pass.

- Inputs that are zero in every training image get no gradient, so their pairs receive no pulse:
  training leaves them out. Tests include those that are active in some test image.
- On a CPU, if most inputs are zero, products run over the other inputs alone
  (models.sparse_matmul), and pairs are stored in blocks of 32 outputs: [model, block * in, 32].
- With such inputs, gradient and update of the layer are one pass, which writes no gradient to
  memory (models.sparse_update).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from devices.controller import Programming
from devices.ledger import Account, total
from devices.noise import Draw, Stream
from devices.pair import PairArray, PairState
from devices.programming import clamp, clamp_and_refresh, is_refreshed, refresh
from devices.responses import Response
from models import sparse_update
from models.active_inputs import ActiveInputs
from models.dense_inputs import DenseInputs
from models.noisy_pair import Conditions, NetworkPhysics
from models.pair_layer import PairLayer
from models.sparse_inputs import SparseInputs
from models.sparse_matmul import BLOCK, SparseBatch, from_blocks, to_blocks

FirstInputs = DenseInputs | SparseInputs
FirstCurrents = Tensor | SparseBatch  # currents of a batch: [in, batch], or the entries not zero


class FirstLayer(PairLayer):
    """The first layer of pairs, with dense inputs.

    pairs: the pairs on active inputs; always_zero: the pairs on inputs that are always zero, which
    no mini-batch changes. Buffer `refreshes`, int32 [model, out, in]: how often the latter were
    refreshed.
    """

    refreshes: Tensor

    def __init__(self, pairs: PairArray, always_zero: PairArray, inputs: ActiveInputs):
        super().__init__(pairs)
        self.always_zero, self.inputs = always_zero, inputs
        self.n_outputs, self.n_inputs = always_zero.weight.shape[1], len(inputs.active)
        none = torch.zeros_like(always_zero.weight, dtype=torch.int32)
        self.register_buffer("refreshes", none)

    @property
    def arrays(self) -> list[PairArray]:
        return [self.always_zero, self.pairs]

    @property
    def n_pairs(self) -> int:
        return self.n_outputs * self.inputs.total

    def loaded(self) -> None:
        super().loaded()
        self.always_zero.put(self.always_zero.state)

    def switch(self, responses: Sequence[Response]) -> None:
        self.always_zero.switch(responses)
        super().switch(responses)

    def set_responses(self, responses: Sequence[Response]) -> None:
        self.always_zero.set_responses(responses)
        super().set_responses(responses)

    def close_epoch(self) -> Tensor:
        """Bring the pairs on inputs that are always zero back into their range.

        They are never written, but a switch of the field may have left some beyond their range.
        """
        pairs = self.always_zero
        used = clamp(pairs.state, pairs.responses)
        after = refresh(used, pairs.responses)
        pairs.put(after)
        nothing = torch.zeros_like(pairs.weight)
        refreshed = is_refreshed(used, after, nothing, pairs.responses.lowest)
        self.refreshes += refreshed
        return total(refreshed, torch.int32)

    def test_weight(self, others: Sequence[Response | None] | None = None) -> Tensor:
        """Return the weight on the inputs of tests: the active ones, then those of tests alone.

        others: see `PairLayer.test_weight`.
        """
        always_zero = self.always_zero
        rest = always_zero.weight if others is None else always_zero.relaxed_weight(others)
        return self.join_tested(super().test_weight(others), rest[..., : self.inputs.n_tested])

    def join_tested(self, active: Tensor, rest: Tensor) -> Tensor:
        """Join the weight on active inputs and the weight on further inputs, [model, out, in]."""
        return torch.cat([active, rest], dim=-1)

    def test_noise(self, sigma: Tensor, stream: Stream) -> Tensor:
        shape = self.n_outputs, len(self.inputs.tested)
        return sigma * self.arrange(stream.normal(Draw.DEVICE_TEST, shape)).to(sigma)

    def arrange(self, values: Tensor) -> Tensor:
        """Return values [model, out, in] in the order in which the pairs are stored."""
        return values

    def disarrange(self, values: Tensor) -> Tensor:
        """Return values [out, active] from one network's values in the order of the pairs."""
        return values

    def record(self, name: str, model: int) -> Tensor:
        active, rest = getattr(self.pairs, name)[model].cpu(), getattr(self.always_zero, name)
        if rest is None:  # without a gradient, nothing is accumulated
            rest = torch.zeros_like(self.always_zero.weight)
        return self.inputs.join(self.disarrange(active), rest[model].cpu())

    def wear(self, name: str, model: int, values: Tensor) -> Tensor:
        values, rest = values.cpu(), self.refreshes[model].cpu().to(values.dtype)
        if name != "refreshes":
            rest = torch.zeros_like(rest)
        return self.inputs.join(self.disarrange(values), rest)

    def load(self, model: int, weight1: Tensor, weight2: Tensor) -> None:
        for name, weight in (("weight1", weight1), ("weight2", weight2)):
            getattr(self.always_zero, name)[model] = weight[:, self.inputs.always_zero]
            active = weight[:, self.inputs.active]
            getattr(self.pairs, name)[model] = self.arrange(active[None])[0]
        self.loaded()


class SparseFirstLayer(FirstLayer):
    """The first layer with sparse inputs, on the CPU; its pairs are stored in blocks.

    Buffer `in_range`, bool [model, block]: true if an update without a pulse is known to leave all
    pairs of a block as they are. It only saves time, and is never written to a checkpoint.
    """

    in_range: Tensor

    def __init__(self, pairs: PairArray, always_zero: PairArray, inputs: ActiveInputs):
        """pairs: the pairs on active inputs, [model, out, in]."""
        super().__init__(pairs.map(to_blocks), always_zero, inputs)
        n_blocks = -(-self.n_outputs // BLOCK)
        in_range = pairs.weight.new_zeros(len(pairs.weight), n_blocks, dtype=torch.bool)
        self.register_buffer("in_range", in_range, persistent=False)

    def arrange(self, values: Tensor) -> Tensor:
        return to_blocks(values)

    def disarrange(self, values: Tensor) -> Tensor:
        return from_blocks(values[None], self.n_inputs, self.n_outputs)[0]

    def normal(self, draw: Draw, stream: Stream) -> Tensor:
        return to_blocks(super().normal(draw, stream))

    def uniform(self, draw: Draw, stream: Stream) -> Tensor:
        return to_blocks(super().uniform(draw, stream))

    def voltage(self, weight: Tensor, current: SparseBatch, conditions: Conditions) -> Tensor:
        """Output voltages; images need no gradient, so there is no custom autograd Function."""
        noise = self.read_noise(conditions)
        reading = weight if noise is None else weight + noise
        return conditions.with_noise(current.voltage(reading, self.n_outputs))

    def weight_gradient(
        self, grad_voltage: Tensor, current: SparseBatch, physics: NetworkPhysics
    ) -> Tensor:
        return current.gradient(physics.scaled(grad_voltage))

    def is_one_pass(self, programming: Programming) -> bool:
        return sparse_update.has_kernel(self.pairs, programming)

    def program(
        self,
        grad_voltage: Tensor,
        current: SparseBatch,
        physics: NetworkPhysics,
        stream: Stream,
        programming: Programming,
        account: Account | None,
    ) -> None:
        if not self.is_one_pass(programming):
            super().program(grad_voltage, current, physics, stream, programming, account)
            return
        scaled = physics.scaled(grad_voltage)
        noise = self.write_draws(stream, programming)
        draws = sparse_update.BlockDraws(stream, noise.write, noise.raised)
        sparse_update.write(current, scaled, self.blocks, draws, programming, account)

    @property
    def blocks(self) -> sparse_update.Blocks:
        return sparse_update.Blocks(self.pairs, self.in_range)

    def put(self, state: PairState) -> None:
        super().put(state)
        self.in_range.zero_()

    def switch(self, responses: Sequence[Response]) -> None:
        super().switch(responses)
        self.in_range.zero_()
        self.hold_padding()

    def set_responses(self, responses: Sequence[Response]) -> None:
        super().set_responses(responses)
        self.in_range.zero_()

    def hold_padding(self) -> None:
        """Bring the pairs that only fill up the last block into their range.

        Otherwise the ledger would count their refresh after a switch of the field.
        """
        n_used = self.n_outputs % BLOCK or BLOCK
        pairs, last = self.pairs, slice(-self.n_inputs, None)
        state = clamp_and_refresh(pairs.state, pairs.responses)
        for name, weight in (("weight1", state.w1), ("weight2", state.w2)):
            getattr(pairs, name)[:, last, n_used:] = weight[:, last, n_used:]
        pairs.put(pairs.state)

    def join_tested(self, active: Tensor, rest: Tensor) -> Tensor:
        if rest.shape[-1] == 0:
            return active
        blocks = zip((active, to_blocks(rest)), (self.n_inputs, rest.shape[-1]), strict=True)
        # Both parts as [model, block, in, 32], joined along the inputs.
        return torch.cat([part.unflatten(1, (-1, n)) for part, n in blocks], dim=2).flatten(1, 2)


def first_layer(pairs: PairArray, inputs: FirstInputs) -> FirstLayer:
    """Make the first layer from fresh pairs [model, out, in] on all inputs, dense or sparse."""
    index = inputs.active_inputs
    active, always_zero = (
        pairs.map(lambda values, columns=columns: values[..., columns].contiguous())
        for columns in (index.active, index.always_zero)
    )
    layer_class = SparseFirstLayer if isinstance(inputs, SparseInputs) else FirstLayer
    return layer_class(active, always_zero, index)


def first_inputs(
    train_images: np.ndarray,
    test_images: np.ndarray,
    padding: int,
    input_scale: float,
    device: torch.device,
    batch_size: int,
) -> FirstInputs:
    """Make input currents from images uint8 [n, rows, columns], with padding zeros on each side.

    The inputs are sparse where that is faster: on a CPU, if the kernel can be built and if most
    inputs in mini-batches of `batch_size` images are zero.
    """
    used = (np.asarray(images.any(axis=0))[None] for images in (train_images, test_images))
    inputs = ActiveInputs.from_images(*(pad(image, padding) for image in used))
    # For each padded pixel its number in the image without padding, from 1; 0 in the padding.
    numbers = np.arange(1, train_images[0].size + 1).reshape(train_images[:1].shape)
    (place,) = pad(numbers, padding)

    def selected(images: np.ndarray, wanted: Tensor) -> np.ndarray:
        whole = np.pad(images.reshape(len(images), -1), ((0, 0), (1, 0)))  # number 0 is zero
        return np.take(whole, place[wanted.numpy()], axis=1)  # uint8 [n, wanted]

    train, test = selected(train_images, inputs.active), selected(test_images, inputs.tested)
    if device.type == "cpu" and SparseInputs.pays(train, batch_size):
        levels = input_scale * (torch.arange(256, dtype=torch.uint8) / 255)
        return SparseInputs.from_images(train, test, inputs, levels, batch_size)
    train_currents, test_currents = (
        input_scale * (torch.from_numpy(part).to(device) / 255) for part in (train, test)
    )
    return DenseInputs(train_currents, test_currents, inputs)


def pad(images: np.ndarray, padding: int) -> np.ndarray:
    """Return images [n, rows, columns] with zeros around each, flattened to [n, pixels]."""
    sides = ((0, 0), (padding, padding), (padding, padding))
    return np.pad(images, sides).reshape(len(images), -1)
