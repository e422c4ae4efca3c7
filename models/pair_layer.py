"""A layer of device pairs: how it is read, and how it is programmed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from devices.ledger import Account
from devices.noise import Draw, Stream
from devices.pair import PairArray, PairState
from devices.programming import Programming, update
from devices.responses import Response
from models.noisy_pair import Conditions, NetworkPhysics, NoisyPairProduct, weight_gradient


class PairLayer(nn.Module):
    """A layer of pairs in every network of an ensemble, with dense inputs.

    Weights and all that goes with them are [model, out, in]; a first layer may have them in another
    order, and inputs of another kind: see models.first_layer.
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
        """All pairs, also those that no batch reaches."""
        return [self.pairs]

    @property
    def n_pairs(self) -> int:
        """Pairs of one network."""
        return self.n_outputs * self.n_inputs

    @property
    def kind(self) -> tuple:
        """What a compiled program depends on, beside the shapes of the tensors."""
        return type(self).__name__, self.n_outputs, self.n_inputs

    def is_one_pass(self, programming: Programming) -> bool:
        """Whether gradient and update are one pass, as they may be in a first layer."""
        return False

    def normal(self, draw: Draw, stream: Stream) -> Tensor:
        """A float32 N(0, 1) number for each pair that is trained, arranged as the weight."""
        return stream.normal(draw, (self.n_outputs, self.n_inputs))

    def voltage(self, weight: Tensor, current, conditions: Conditions) -> Tensor:
        """Output voltages [model, out, batch].

        weight: as trained, or as a test reads it; in training it is read here; current: [model, in,
        batch], or as a first layer takes it.
        """
        return NoisyPairProduct.apply(weight, current, conditions, self.read_noise(conditions))

    def read_noise(self, conditions: Conditions) -> Tensor | None:
        """By how much inference misreads each pair in training, arranged as the weight.

        None for nothing, as in tests, whose weights have it already: see `test_noise`.
        """
        sigma = conditions.physics.device_noise
        if sigma is None or conditions.draw != Draw.VOLTAGE:
            return None
        return of_two_devices(sigma, self.normal(Draw.DEVICE, conditions.stream))

    def weight_gradient(self, grad_voltage: Tensor, current, physics: NetworkPhysics) -> Tensor:
        """dL/dW, arranged as the weight, from g = dL/dV [model, out, batch]."""
        return weight_gradient(grad_voltage, current, physics)

    def program(
        self,
        grad_voltage: Tensor,
        current,
        conditions: Conditions,
        programming: Programming,
        account: Account | None,
    ) -> None:
        """Write the pairs as dL/dW = g I^T asks for, in place.

        grad_voltage: g = dL/dV [model, out, batch]; current: into the layer; account: of the layer.
        """
        gradient = self.weight_gradient(grad_voltage, current, conditions.physics)
        self.write(gradient, conditions.stream, programming, account)

    def write(
        self, gradient: Tensor, stream: Stream, programming: Programming, account: Account | None
    ) -> None:
        """Write the pairs as a gradient dL/dW asks for, arranged as the weight, in place."""
        noise = None
        if programming.write_noise is not None:
            noise = self.normal(Draw.WRITE, stream).to(gradient)
        pairs = self.pairs
        state = update(pairs.state, gradient, pairs.pair_parameters, programming, noise, account)
        self.put(state)

    def put(self, state: PairState) -> None:
        """Set the voltages of the pairs that are trained, in place."""
        self.pairs.put(state)

    def loaded(self) -> None:
        """Follow voltages that were set from outside, as a checkpoint does."""
        self.put(self.pairs.state)

    def switch(self, responses: Sequence[Response]) -> None:
        """Let the devices of each network respond so from now on, at their pulses."""
        self.pairs.switch(responses)

    def set_responses(self, responses: Sequence[Response]) -> None:
        """Let the devices of each network respond so, whatever their voltages are now."""
        self.pairs.set_responses(responses)

    def close_epoch(self) -> Tensor | int:
        """Bring pairs that no batch reaches back into their range.

        Returns how many of each network were refreshed, [model].
        """
        return 0

    def test_weight(self, others: Sequence[Response | None] | None = None) -> Tensor:
        """The weight as tests read it; others: under which responses, None for the trained ones."""
        return self.weight if others is None else self.pairs.switched_weight(others)

    def test_noise(self, sigma: Tensor, stream: Stream) -> Tensor:
        """By how much inference misreads each pair in one batch of a test, as the test weight."""
        return of_two_devices(sigma, self.normal(Draw.DEVICE_TEST, stream))

    def record(self, name: str, model: int) -> Tensor:
        """`weight1` or `weight2` of one network, [out, in] in order of the inputs, on the CPU."""
        return getattr(self.pairs, name)[model].cpu().clone()

    def load(self, model: int, weight1: Tensor, weight2: Tensor) -> None:
        """Take what `record` gave for one network."""
        self.pairs.weight1[model], self.pairs.weight2[model] = weight1, weight2
        self.loaded()

    def wear(self, name: str, model: int, values: Tensor) -> Tensor:
        """The wear of one network, [out, in] in the order of the inputs, on the CPU.

        name: of ledger.WEAR; values: that of the pairs that are trained, arranged as they are.
        """
        return values.cpu().clone()


def of_two_devices(sigma: Tensor, numbers: Tensor) -> Tensor:
    """Noise e2 - e1 of both devices of a pair, one normal number of sqrt(2) sigma [model, 1, 1]."""
    return math.sqrt(2) * sigma * numbers.to(sigma)
