"""A layer of device pairs: its reading and its programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from devices.controller import Programming
from devices.ledger import Account
from devices.noise import Draw, Stream
from devices.pair import PairArray, PairState
from devices.programming import NO_DRAWS, Draws, update
from devices.responses import Response
from devices.scheme import STOCHASTIC
from models.noisy_pair import Conditions, NetworkPhysics, NoisyPairProduct, weight_gradient


class PairLayer(nn.Module):
    """A layer of pairs in every network of an ensemble, with dense inputs.

    Weights and all other tensors of pairs are [model, out, in]; a first layer may have another
    order of pairs, and sparse inputs: see models.first_layer.
    """

    def __init__(self, pairs: PairArray):
        super().__init__()
        self.pairs = pairs
        self.n_outputs, self.n_inputs = pairs.weight.shape[1:]

    @property
    def weight(self) -> Tensor:
        """W = w2 - w1, as trained."""
        return self.pairs.weight

    @property
    def arrays(self) -> list[PairArray]:
        """All arrays of pairs, including pairs on inputs that are always zero."""
        return [self.pairs]

    @property
    def n_pairs(self) -> int:
        """Number of pairs of one network in this layer."""
        return self.n_outputs * self.n_inputs

    @property
    def structure(self) -> tuple:
        """What a compiled program depends on, besides the shapes of the tensors."""
        return type(self).__name__, self.n_outputs, self.n_inputs

    def is_one_pass(self, programming: Programming) -> bool:
        """Whether gradient and update are one pass, as they may be in a first layer."""
        return False

    def normal(self, draw: Draw, stream: Stream) -> Tensor:
        """Draw a float32 N(0, 1) number for each pair that is trained, in the weight's order."""
        return stream.normal(draw, (self.n_outputs, self.n_inputs))

    def uniform(self, draw: Draw, stream: Stream) -> Tensor:
        """Draw a float32 U(0, 1) number for each pair that is trained, in the weight's order."""
        return stream.uniform_by_blocks(draw, (self.n_outputs, self.n_inputs))

    def voltage(self, weight: Tensor, current, conditions: Conditions) -> Tensor:
        """Return the output voltages [model, out, batch].

        weight: the weight as trained; in tests, with the read noise, which in training is added
        here. current: [model, in, batch], or the currents of a first layer.
        """
        return NoisyPairProduct.apply(weight, current, conditions, self.read_noise(conditions))

    def read_noise(self, conditions: Conditions) -> Tensor | None:
        """Return the read noise of inference on each pair in training, in the weight's order.

        None if there is none, and in tests, whose weights contain it already: see `test_noise`.
        """
        sigma = conditions.physics.device_noise
        if sigma is None or conditions.draw != Draw.VOLTAGE:
            return None
        return sigma * self.normal(Draw.DEVICE, conditions.stream).to(sigma)

    def weight_gradient(self, grad_voltage: Tensor, current, physics: NetworkPhysics) -> Tensor:
        """Return dL/dW, in the weight's order, from g = dL/dV [model, out, batch]."""
        return weight_gradient(grad_voltage, current, physics)

    def program(
        self,
        grad_voltage: Tensor,
        current,
        physics: NetworkPhysics,
        stream: Stream,
        programming: Programming,
        account: Account | None,
    ) -> None:
        """Program the pairs, in place, by the gradient dL/dW = g I^T.

        grad_voltage: g = dL/dV [model, out, batch]; current: the currents into the layer;
        physics: whose gain the gradient has; stream: of the random numbers; account: where the
        cost of the layer is counted.
        """
        gradient = self.weight_gradient(grad_voltage, current, physics)
        self.write(gradient, stream, programming, account)

    def write(
        self, gradient: Tensor, stream: Stream, programming: Programming, account: Account | None
    ) -> None:
        """Program the pairs, in place, by a gradient dL/dW in the weight's order."""
        pairs, draws = self.pairs, self.draws(stream, programming)
        state = update(pairs.state, gradient, pairs.pair_parameters, programming, draws, account)
        self.put(state)

    def draws(self, stream: Stream, programming: Programming) -> Draws:
        """Return the random numbers that an update needs, in the weight's order."""
        draws = self.write_draws(stream, programming)
        if programming.scheme.rounding != STOCHASTIC:
            return draws
        return replace(draws, rounding=self.uniform(Draw.ROUNDING, stream).to(self.weight))

    def write_draws(self, stream: Stream, programming: Programming) -> Draws:
        """Return the random numbers of the write noise alone, in the weight's order."""
        if programming.write_noise is None:
            return NO_DRAWS
        purposes = (Draw.WRITE, Draw.WRITE_RAISED)[: programming.scheme.devices_written]
        return Draws(*(self.normal(draw, stream).to(self.weight) for draw in purposes))

    def put(self, state: PairState) -> None:
        """Set the voltages of the pairs that are trained, in place."""
        self.pairs.put(state)

    def loaded(self) -> None:
        """Bring all else up to date after the voltages were loaded, as from a checkpoint."""
        self.put(self.pairs.state)

    def switch(self, responses: Sequence[Response]) -> None:
        """Switch to other responses, one for each network; every device keeps its pulses."""
        for pairs in self.arrays:
            pairs.switch(responses)

    def set_responses(self, responses: Sequence[Response]) -> None:
        """Set the responses, one for each network; every device keeps its voltage."""
        for pairs in self.arrays:
            pairs.set_responses(responses)

    def close_epoch(self) -> Tensor | int:
        """Bring pairs that no mini-batch changes back into their range.

        Returns the number of these refreshes in each network, [model].
        """
        return 0

    def test_weight(self, responses: Sequence[Response | None] | None = None) -> Tensor:
        """Return the weight for tests.

        responses: those through which devices are read; None for those of training.
        """
        return self.weight if responses is None else self.pairs.relaxed_weight(responses)

    def test_noise(self, sigma: Tensor, stream: Stream) -> Tensor:
        """Return the read noise of inference in one batch of a test, in the test weight's order."""
        return sigma * self.normal(Draw.DEVICE_TEST, stream).to(sigma)

    def record(self, name: str, model: int) -> Tensor:
        """Return one network's `weight1`, `weight2` or `accumulator`, [out, in], on the CPU.

        The inputs are in their order.
        """
        return getattr(self.pairs, name)[model].cpu().clone()

    def load(self, model: int, weight1: Tensor, weight2: Tensor) -> None:
        """Load voltages that `record` returned into one network."""
        self.pairs.weight1[model], self.pairs.weight2[model] = weight1, weight2
        self.loaded()

    def wear(self, name: str, model: int, values: Tensor) -> Tensor:
        """Return the wear of one network, [out, in] in the order of the inputs, on the CPU.

        name: one of ledger.WEAR; values: the wear of the trained pairs, in their order.
        """
        return values.cpu().clone()
