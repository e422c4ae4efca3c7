"""One weight is a pair of devices, W = w2 - w1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from devices import FIELDS
from devices.responses import Response
from devices.streams import Draw, Stream

Blocks = list[tuple[slice, Response]]  # which networks of an ensemble have which response


def blocks_of(responses: Sequence[Response]) -> Blocks:
    """Runs of networks with the same response, in order, for one response per network."""
    blocks, start = [], 0
    for response, run in groupby(responses):
        stop = start + len(list(run))
        blocks.append((slice(start, stop), response))
        start = stop
    return blocks


class PairArray(nn.Module):
    """The pairs of one layer, in every network of an ensemble.

    Buffers, float [model, out, in]: `weight1`, `weight2` Hall voltages of the two devices (arb.
    u.); `slope1`, `slope2` their slope factors; `weight` = weight2 - weight1, kept at hand since
    every forward pass needs it.
    """

    def __init__(self, weight1: Tensor, weight2: Tensor, slope1: Tensor, slope2: Tensor):
        super().__init__()
        self.register_buffer("weight1", weight1)
        self.register_buffer("weight2", weight2)
        self.register_buffer("slope1", slope1)
        self.register_buffer("slope2", slope2)
        self.register_buffer("weight", weight2 - weight1)

    @classmethod
    def fresh(
        cls,
        shape: tuple[int, int],
        blocks: Blocks,
        init: float,
        variability: Tensor,
        stream: Stream,
    ) -> PairArray:
        """Newly made pairs of `shape` = (out, in).

        w1 = w_max - init and w2 = w_max - init - u with u ~ U(-init, init), so W = -u.
        Slope factors are |N(1, sigma_device)|; variability = sigma_device [model, 1, 1].
        """
        u = init * stream.uniform(Draw.FRESH, shape)
        weight1, weight2 = torch.empty_like(u), torch.empty_like(u)
        for models, response in blocks:
            top = response.w_max - init
            weight1[models] = top
            weight2[models] = (top - u[models]).clamp(max=response.w_max)  # against rounding
        slope1, slope2 = (
            (1 + variability * stream.normal(draw, shape)).abs()
            for draw in (Draw.SLOPE_1, Draw.SLOPE_2)
        )
        return cls(weight1, weight2, slope1, slope2)

    def relaxed_weight(self, blocks: Blocks) -> Tensor:
        """The weights [model, out, in] once the field is switched, in the trained field's scale.

        Every device keeps its pulses and is read through the other response. The input scale is
        then multiplied by the ratio of the two ranges; as only its product with the weights
        counts, the ratio is carried by the weights here. The pairs stay as they are.
        """
        weight = torch.empty_like(self.weight)
        for models, trained in blocks:
            other = FIELDS[trained.relaxes_to]
            w1, w2 = (
                other.response(trained.inverse(w[models])) for w in (self.weight1, self.weight2)
            )
            weight[models] = (w2 - w1) * (trained.span / other.span)
        return weight

    def columns(self, index: Tensor) -> PairArray:
        """The pairs of some input columns only, as an array of its own."""
        parts = (self.weight1, self.weight2, self.slope1, self.slope2)
        return PairArray(*(part[..., index].contiguous() for part in parts))
