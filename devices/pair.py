"""One weight is a pair of devices, W = w2 - w1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from devices import FIELDS
from devices.responses import Response
from devices.streams import Draw, Stream


class Mixture(nn.Module):
    """Which device each network of an ensemble is made of.

    distinct: the different responses; buffer `which`: int64 [model, 1, 1], index into them.
    """

    def __init__(self, responses: Sequence[Response], device: torch.device):
        """responses: one for each network."""
        super().__init__()
        self.responses = tuple(responses)
        self.distinct = tuple(dict.fromkeys(responses))
        which = [self.distinct.index(response) for response in responses]
        self.register_buffer("which", torch.tensor(which, device=device)[:, None, None])

    def choose(self, compute: Callable[[Response], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """`compute(response)`, tensors [model, ...], with the response of each network its own.

        All is computed for every response and then selected: one pass over memory, however the
        networks are ordered.
        """
        chosen = compute(self.distinct[0])
        for index, response in enumerate(self.distinct[1:], start=1):
            mine = self.which == index
            chosen = tuple(
                torch.where(mine, new, old)
                for new, old in zip(compute(response), chosen, strict=True)
            )
        return chosen


class PairArray(nn.Module):
    """The pairs of one layer, in every network of an ensemble.

    Buffers, float [model, out, in]: `weight1`, `weight2` Hall voltages of the two devices (arb.
    u.); `slope1`, `slope2` their slope factors; `weight` = weight2 - weight1, kept at hand since
    every forward pass needs it. responses: the device of each network.
    """

    def __init__(
        self,
        responses: Sequence[Response],
        weight1: Tensor,
        weight2: Tensor,
        slope1: Tensor,
        slope2: Tensor,
    ):
        super().__init__()
        self.mixture = Mixture(responses, weight1.device)
        self.register_buffer("weight1", weight1)
        self.register_buffer("weight2", weight2)
        self.register_buffer("slope1", slope1)
        self.register_buffer("slope2", slope2)
        self.register_buffer("weight", weight2 - weight1)

    @classmethod
    def fresh(
        cls,
        responses: Sequence[Response],
        shape: tuple[int, int],
        init: float,
        variability: Tensor,
        stream: Stream,
    ) -> PairArray:
        """Newly made pairs of `shape` = (out, in), the device of each network in `responses`.

        w1 = w_max - init and w2 = w_max - init - u with u ~ U(-init, init), so W = -u.
        Slope factors are |N(1, sigma_device)|; variability = sigma_device [model, 1, 1].
        """
        u = init * stream.uniform(Draw.FRESH, shape)

        def voltages(response: Response) -> tuple[Tensor, Tensor]:
            start = torch.full_like(u, response.w_max - init)
            return start, (start - u).clamp(max=response.w_max)  # against rounding

        slopes = (
            (1 + variability * stream.normal(draw, shape)).abs()
            for draw in (Draw.SLOPE_1, Draw.SLOPE_2)
        )
        mixture = Mixture(responses, u.device)
        return cls(responses, *mixture.choose(voltages), *slopes)

    def relaxed_weight(self) -> Tensor:
        """The weights [model, out, in] once the field is switched, in the trained field's scale.

        Every device keeps its pulses and is read through the other response. The input scale is
        then multiplied by the ratio of the two ranges; as only its product with the weights
        counts, the ratio is carried by the weights here. The pairs stay as they are.
        """

        def weight(trained: Response) -> tuple[Tensor]:
            other = FIELDS[trained.relaxes_to]
            w1, w2 = (other.response(trained.inverse(w)) for w in (self.weight1, self.weight2))
            return ((w2 - w1) * (trained.span / other.span),)

        return self.mixture.choose(weight)[0]

    def columns(self, index: Tensor) -> PairArray:
        """The pairs of some input columns only, as an array of its own."""
        whole = (self.weight1, self.weight2, self.slope1, self.slope2)
        parts = (tensor[..., index].contiguous() for tensor in whole)
        return PairArray(self.mixture.responses, *parts)
