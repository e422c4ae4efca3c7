"""One weight is a pair of devices, W = w2 - w1; an array holds a layer's pairs in all networks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from devices.network_responses import Responses, RisingBranches, per_network, scale_ratio
from devices.noise import Draw, Stream
from devices.responses import Response, Value
from devices.rising import RisingBranch


@dataclass(frozen=True)
class PairState:
    """What programming changes: the Hall voltages of the two devices of pairs (arb. u.).

    accumulator: the requests of each weight that are still to be programmed (pulses, positive if W
    has to fall); it stands on the computer; None without one.
    """

    w1: Value
    w2: Value
    accumulator: Value = None


@dataclass(frozen=True)
class PairParameters:
    """What programming does not change: slope factors and responses of the devices of pairs.

    response: the falling branch; rising: the rising branch, None where no device is driven up.
    """

    slope1: Value
    slope2: Value
    response: Response | Responses
    rising: RisingBranch | RisingBranches | None = None


@dataclass(frozen=True)
class Devices:
    """The devices of networks side by side, one entry for each network.

    responses: the falling branches, all of one family; starts: the voltage (arb. u.) of device 1 of
    a fresh pair; rising: the rising branches, None where no device is driven up.
    """

    responses: Sequence[Response]
    starts: Sequence[float]
    rising: Sequence[RisingBranch] | None = None


class PairArray(nn.Module):
    """The pairs of one layer, in every network of an ensemble.

    Buffers, float [model, out, in]: `weight1`, `weight2` Hall voltages of the two devices (arb.
    u.); `slope1`, `slope2` their slope factors; `weight` = weight2 - weight1, which is stored since
    every forward pass needs it; `accumulator` the requests still to be programmed (pulses), None
    without an accumulator. Checkpoints hold voltages and accumulators alone: slopes follow from the
    seed. responses, rising: one for each network. `map` gives an array of the pairs in another
    order.
    """

    weight1: Tensor
    weight2: Tensor
    slope1: Tensor
    slope2: Tensor
    weight: Tensor
    accumulator: Tensor | None

    def __init__(
        self,
        responses: Sequence[Response],
        state: PairState,
        slopes: Sequence[Tensor],
        rising: Sequence[RisingBranch] | None = None,
    ):
        """slopes: slope factors of devices 1, then of devices 2, each [model, out, in]."""
        super().__init__()
        # Each array has its copy: torch.func.functional_call fails where modules share buffers.
        self.responses = Responses(responses, state.w1.device)
        self.branches = rising
        self.rising = None if rising is None else RisingBranches(rising, state.w1.device)
        self.register_buffer("weight1", state.w1)
        self.register_buffer("weight2", state.w2)
        for name, slope in zip(("slope1", "slope2"), slopes, strict=True):
            self.register_buffer(name, slope, persistent=False)
        self.register_buffer("weight", state.w2 - state.w1, persistent=False)
        self.register_buffer("accumulator", state.accumulator)

    @classmethod
    def fresh(
        cls,
        devices: Devices,
        shape: tuple[int, int],
        init: Tensor,
        variability: Tensor,
        stream: Stream,
    ) -> PairArray:
        """Make fresh pairs of `shape` = (out, in).

        w1 is where devices start, and w2 = w1 - u with u ~ U(-init, init), so W = -u. Slope factors
        are |N(1, sigma_device)|; init, and variability = sigma_device, are
        [model, 1, 1].
        """
        u = init * stream.uniform(Draw.FRESH, shape)
        w_max = per_network((response.w_max for response in devices.responses), u.device)
        start = per_network(devices.starts, u.device)
        w2 = torch.minimum(start - u, w_max)  # against rounding
        slopes = [
            (1 + variability * stream.normal(draw, shape)).abs()
            for draw in (Draw.SLOPE_1, Draw.SLOPE_2)
        ]
        state = PairState(start.expand_as(u).clone(), w2)
        return cls(devices.responses, state, slopes, devices.rising)

    @property
    def state(self) -> PairState:
        return PairState(self.weight1, self.weight2, self.accumulator)

    @property
    def pair_parameters(self) -> PairParameters:
        return PairParameters(self.slope1, self.slope2, self.responses, self.rising)

    @property
    def structure(self) -> Hashable:
        """What a compiled program depends on, besides the shapes of the pairs."""
        rising = None if self.rising is None else self.rising.structure
        return self.responses.structure, rising, self.accumulator is not None

    def add_accumulator(self) -> None:
        """Sum up the requests of each weight from now on, beginning with none."""
        self.accumulator = torch.zeros_like(self.weight)

    @torch.no_grad()
    def put(self, state: PairState) -> None:
        """Set the voltages and the accumulator, in place."""
        self.weight1.copy_(state.w1)
        self.weight2.copy_(state.w2)
        self.weight.copy_(state.w2 - state.w1)
        if self.accumulator is not None:
            self.accumulator.copy_(state.accumulator)

    def relaxed_weight(self, other_responses: Sequence[Response | None]) -> Tensor:
        """Return the weights [model, out, in] after field relaxation, in the trained field's scale.

        other_responses: one for each network; None leaves a network as it is. Every device keeps
        its pulses and is read through the other response. The input scale is then multiplied by the
        ratio of the two ranges; since only its product with the weights matters, the weights
        returned contain that ratio. The pairs are not changed.
        """
        weights = []
        responses = zip(self.responses.by_network, other_responses, strict=True)
        for model, (before, after) in enumerate(responses):
            weight = self.weight[model]
            if after is not None:
                state = self.read_through(after, model)
                weight = (scale_ratio(before, after) * (state.w2 - state.w1)).to(weight)
            weights.append(weight)
        return torch.stack(weights)

    def relaxed_scale(self, other_responses: Sequence[Response | None]) -> Tensor:
        """Return the ratio of the ranges, [model, 1, 1], which scales weights and read noise."""
        ratios = map(scale_ratio, self.responses.by_network, other_responses)
        return per_network(ratios, self.weight.device).to(self.weight)

    @torch.no_grad()
    def switch(self, responses: Sequence[Response]) -> None:
        """Switch to other responses, one for each network; every device keeps its pulses."""
        states = [self.read_through(response, model) for model, response in enumerate(responses)]
        w1, w2 = (
            torch.stack([getattr(state, name).to(self.weight) for state in states])
            for name in ("w1", "w2")
        )
        self.put(PairState(w1, w2))
        self.set_responses(responses)

    def set_responses(self, responses: Sequence[Response]) -> None:
        """Set the responses, one for each network; every device keeps its voltage."""
        self.responses = Responses(responses, self.weight.device).to(self.weight.dtype)

    def read_through(self, other: Response, model: int) -> PairState:
        """Return network `model`'s voltages [out, in] at the same pulses under another response.

        They are computed in double precision, since a nearly linear exponential is a small
        difference of large numbers.
        """
        response = self.responses.by_network[model]
        w1, w2 = (
            other.response(response.inverse(w[model].double()))
            for w in (self.weight1, self.weight2)
        )
        return PairState(w1, w2)

    def map(self, arrange: Callable[[Tensor], Tensor]) -> PairArray:
        """Return an array of which each tensor is `arrange` of this one's: other pairs or order."""
        w1, w2, *slopes = map(arrange, (self.weight1, self.weight2, self.slope1, self.slope2))
        return PairArray(self.responses.by_network, PairState(w1, w2), slopes, self.branches)
