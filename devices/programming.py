"""Learning: pulses for one device of each pair, and a refresh of the used-up ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from devices.pair import PairArray, Responses
from devices.responses import Response


def pulses(request: Tensor, wanted: Tensor, clipping: Tensor) -> Tensor:
    """Pulses that a device receives: those requested, where wanted and not below `clipping`."""
    return torch.where(wanted & (request >= clipping), request, 0.0)


def refresh(w1: Tensor, w2: Tensor, response: Response | Responses) -> tuple[Tensor, Tensor]:
    """Reset the devices that have reached the end of their range, keeping `w2 - w1`.

    Where w1 is used up, w2 starts again from the top of the range and w1 takes what is left of
    the difference; then the same with the roles exchanged.
    """
    w_min, w_max = response.w_min, response.w_max
    used_up = w1 <= w_min
    w1, w2 = torch.where(used_up, w_min - (w2 - w_max), w1), torch.where(used_up, w_max, w2)
    used_up = w2 <= w_min
    w2, w1 = torch.where(used_up, w_min - (w1 - w_max), w2), torch.where(used_up, w_max, w1)
    return w1, w2


def update(
    w1: Tensor,
    w2: Tensor,
    slope1: Tensor,
    slope2: Tensor,
    gradient: Tensor,
    response: Response | Responses,
    learning_rate: Tensor,
    clipping: Tensor,
) -> tuple[Tensor, Tensor]:
    """The pairs after one mini-batch.

    w1, w2, slope1, slope2, gradient = dL/dW: [model, out, in]; learning_rate (pulses per unit of
    gradient) and clipping (pulses): [model, 1, 1]. Since W = w2 - w1, dL/dw2 is the gradient and
    dL/dw1 its negative; pulses can only lower a voltage, so the device whose own gradient is
    positive receives them. Returns the new w1 and w2.
    """
    w1, w2 = w1.clamp(response.w_min, response.w_max), w2.clamp(response.w_min, response.w_max)
    request = learning_rate * gradient.abs()
    w1 = response.after(w1, pulses(request * slope1, gradient <= 0, clipping))
    w2 = response.after(w2, pulses(request * slope2, gradient >= 0, clipping))
    return refresh(w1, w2, response)


class PulseOptimizer(nn.Module):
    """Programs device pairs with the pulses that a gradient asks for.

    Buffers `learning_rate` (pulses per unit of gradient) and `clipping` (pulses): [model, 1, 1].
    """

    def __init__(self, learning_rate: Tensor, clipping: Tensor):
        super().__init__()
        self.register_buffer("learning_rate", learning_rate[:, None, None], persistent=False)
        self.register_buffer("clipping", clipping[:, None, None], persistent=False)

    @torch.no_grad()
    def step(self, array: PairArray, gradient: Tensor) -> None:
        """Update the pairs of one layer in place; gradient = dL/dW [model, out, in]."""
        w1, w2 = update(
            array.weight1,
            array.weight2,
            array.slope1,
            array.slope2,
            gradient,
            array.responses,
            self.learning_rate,
            self.clipping,
        )
        array.put(w1, w2)
