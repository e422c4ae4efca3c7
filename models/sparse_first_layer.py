"""The first layer with sparse inputs, on the CPU: products over the entries that are not zero.

Pairs are stored in blocks of 32 outputs (models.sparse_matmul), and gradient and update are one
pass, which writes no gradient to memory (models.sparse_update). See models.first_layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from devices.controller import Programming
from devices.ledger import Account
from devices.noise import Draw, Stream
from devices.pair import PairArray, PairState
from devices.programming import clamp_and_refresh
from devices.responses import Response
from models import sparse_update
from models.active_inputs import ActiveInputs
from models.dense_first_layer import DenseFirstLayer
from models.noisy_pair import Conditions, NetworkPhysics
from models.sparse_matmul import BLOCK, SparseBatch, from_blocks, to_blocks


class SparseFirstLayer(DenseFirstLayer):
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

    def join_tested(self, active: Tensor, further: Tensor) -> Tensor:
        n_further = further.shape[-1]
        if n_further == 0:
            return active
        active = active.unflatten(1, (-1, self.n_inputs))  # [model, block, in, 32]
        further = to_blocks(further).unflatten(1, (-1, n_further))
        return torch.cat([active, further], dim=2).flatten(1, 2)
