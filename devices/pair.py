"""One weight is a pair of devices, W = w2 - w1; an array holds a layer's pairs in all networks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from devices.lookup import SampledResponses
from devices.noise import Draw, Stream
from devices.responses import Response, Table

Value = Any  # a tensor [model, out, in], or an expression that is printed as C++


@dataclass(frozen=True)
class PairState:
    """The Hall voltages of the two devices of pairs (arb. u.), which programming changes."""

    w1: Value
    w2: Value


@dataclass(frozen=True)
class PairParameters:
    """Slope factors and responses of the devices of pairs, which programming does not change."""

    slope1: Value
    slope2: Value
    response: Response | Responses


class Constants(nn.Module):
    """The constants of a family as buffers, float32 [model, 1, 1], named as in the family."""

    shape: tuple = ()  # compiled programs depend on it, and on the family
    tables: tuple = ()

    def __init__(self, responses: Sequence[Response], device: torch.device | None = None):
        super().__init__()
        self.family = type(responses[0])
        self.names = [field.name for field in fields(self.family) if field.type == "float"]
        for name in self.names:
            values = per_network((getattr(response, name) for response in responses), device)
            self.register_buffer(name, values, persistent=False)

    @property
    def constants(self) -> dict[str, Tensor]:
        """The constants by their names."""
        return {name: getattr(self, name) for name in self.names}

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        return self.family(**self.constants).after(voltage, pulses)


IN_NETWORKS = {Table: SampledResponses}  # families that are not computed from constants alone


class Responses(nn.Module):
    """The responses of the networks of an ensemble, all of one family.

    Their constants are buffers, so that networks with different constants train side by side and
    share one compiled program. Further buffers, float32 [model, 1, 1], are `w_max` and the limits
    of the range, `lowest` and `highest`, each rounded once from its exact value. Raises ValueError
    if the families differ.
    """

    w_max: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, responses: Sequence[Response], device: torch.device | None = None):
        """responses: one for each network, with numbers as constants."""
        super().__init__()
        self.each, self.family = tuple(responses), type(responses[0])
        if any(type(response) is not self.family for response in responses):
            raise ValueError("networks of different families are different ensembles")
        self.equation = IN_NETWORKS.get(self.family, Constants)(responses, device)
        for name in ("w_max", "lowest", "highest"):
            values = per_network((getattr(response, name) for response in responses), device)
            self.register_buffer(name, values, persistent=False)

    @property
    def structure(self) -> Hashable:
        """The family and the sizes on which a compiled program depends."""
        return self.family, self.equation.shape

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """Return the Hall voltages after further pulses, all [model, out, in]; see Response."""
        return self.equation.after(voltage, pulses)


def per_network(values: Iterable[float], device: torch.device | None) -> Tensor:
    """Return one number for each network as float32 [model, 1, 1]."""
    return torch.tensor(list(values), dtype=torch.float32, device=device)[:, None, None]


def scale_ratio(before: Response, after: Response | None) -> float:
    """Return the factor by which the input scale grows when the field is switched.

    after: None where nothing is switched.
    """
    return 1.0 if after is None else before.span / after.span


class PairArray(nn.Module):
    """The pairs of one layer, in every network of an ensemble.

    Buffers, float [model, out, in]: `weight1`, `weight2` Hall voltages of the two devices (arb.
    u.); `slope1`, `slope2` their slope factors; `weight` = weight2 - weight1, which is stored since
    every forward pass needs it. Checkpoints hold the voltages alone: slopes follow from the seed.
    responses: one for each network. `map` gives an array of the pairs in another order.
    """

    weight1: Tensor
    weight2: Tensor
    slope1: Tensor
    slope2: Tensor
    weight: Tensor

    def __init__(self, responses: Sequence[Response], state: PairState, slopes: Sequence[Tensor]):
        """slopes: slope factors of devices 1, then of devices 2, each [model, out, in]."""
        super().__init__()
        # Each array has its copy: torch.func.functional_call fails where modules share buffers.
        self.responses = Responses(responses, state.w1.device)
        self.register_buffer("weight1", state.w1)
        self.register_buffer("weight2", state.w2)
        for name, slope in zip(("slope1", "slope2"), slopes, strict=True):
            self.register_buffer(name, slope, persistent=False)
        self.register_buffer("weight", state.w2 - state.w1, persistent=False)

    @classmethod
    def fresh(
        cls,
        responses: Sequence[Response],
        shape: tuple[int, int],
        init: float,
        variability: Tensor,
        stream: Stream,
    ) -> PairArray:
        """Make fresh pairs of `shape` = (out, in).

        w1 = w_max - init and w2 = w_max - init - u with u ~ U(-init, init), so W = -u.
        Slope factors are |N(1, sigma_device)|; variability = sigma_device [model, 1, 1].
        """
        u = init * stream.uniform(Draw.FRESH, shape)
        w_max = per_network((response.w_max for response in responses), u.device)
        start = per_network((response.w_max - init for response in responses), u.device)
        w2 = torch.minimum(start - u, w_max)  # against rounding
        slopes = [
            (1 + variability * stream.normal(draw, shape)).abs()
            for draw in (Draw.SLOPE_1, Draw.SLOPE_2)
        ]
        return cls(responses, PairState(start.expand_as(u).clone(), w2), slopes)

    @property
    def state(self) -> PairState:
        return PairState(self.weight1, self.weight2)

    @property
    def pair_parameters(self) -> PairParameters:
        return PairParameters(self.slope1, self.slope2, self.responses)

    @torch.no_grad()
    def put(self, state: PairState) -> None:
        """Set the voltages, in place."""
        self.weight1.copy_(state.w1)
        self.weight2.copy_(state.w2)
        self.weight.copy_(state.w2 - state.w1)

    def switched_weight(self, others: Sequence[Response | None]) -> Tensor:
        """Return the weights [model, out, in] after field relaxation, in the trained field's scale.

        others: the other response for each network; None leaves a network as it is. Every device
        keeps its pulses and is read through the other response. The input scale is then multiplied
        by the ratio of the two ranges; since only its product with the weights matters, the weights
        returned contain that ratio. The pairs are not changed.
        """
        weights = []
        for model, (before, after) in enumerate(zip(self.responses.each, others, strict=True)):
            weight = self.weight[model]
            if after is not None:
                state = self.read_through(after, model)
                weight = (scale_ratio(before, after) * (state.w2 - state.w1)).to(weight)
            weights.append(weight)
        return torch.stack(weights)

    def switched_scale(self, others: Sequence[Response | None]) -> Tensor:
        """Return the ratio of the ranges, [model, 1, 1], which scales weights and read noise."""
        ratios = map(scale_ratio, self.responses.each, others)
        return per_network(ratios, self.weight.device).to(self.weight)

    @torch.no_grad()
    def switch(self, others: Sequence[Response]) -> None:
        """Switch to other responses, one for each network; every device keeps its pulses."""
        states = [self.read_through(other, model) for model, other in enumerate(others)]
        w1, w2 = (
            torch.stack([getattr(state, name).to(self.weight) for state in states])
            for name in ("w1", "w2")
        )
        self.put(PairState(w1, w2))
        self.set_responses(others)

    def set_responses(self, responses: Sequence[Response]) -> None:
        """Switch to other responses, one for each network; every device keeps its voltage."""
        self.responses = Responses(responses, self.weight.device).to(self.weight.dtype)

    def read_through(self, other: Response, model: int) -> PairState:
        """Return network `model`'s voltages [out, in] at the same pulses under another response.

        They are computed in double precision, since a nearly linear exponential is a small
        difference of large numbers.
        """
        response = self.responses.each[model]
        w1, w2 = (
            other.response(response.inverse(w[model].double()))
            for w in (self.weight1, self.weight2)
        )
        return PairState(w1, w2)

    def map(self, arrange: Callable[[Tensor], Tensor]) -> PairArray:
        """Return an array of which each tensor is `arrange` of this one's: other pairs or order."""
        w1, w2, *slopes = map(arrange, (self.weight1, self.weight2, self.slope1, self.slope2))
        return PairArray(self.responses.each, PairState(w1, w2), slopes)
