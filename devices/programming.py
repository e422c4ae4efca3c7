"""Learning: pulses for one device of each pair, and a refresh of the used-up ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from devices.ledger import Account
from devices.noise import Draw, Stream
from devices.pair import PairArray, Responses
from devices.responses import Response, expm1

PHYSICAL_PULSE = 0.18  # pulses, below which a request of physical clipping fades


def refresh(w1: Tensor, w2: Tensor, response: Response | Responses) -> tuple[Tensor, Tensor]:
    """Reset the devices that have reached the end of their range, keeping `w2 - w1`.

    Where w1 is used up, w2 starts again from the top of the range and w1 takes what is left of
    the difference; then the same with the roles exchanged.
    """
    lowest, w_max = response.lowest, response.w_max
    used_up = w1 <= lowest
    w1, w2 = torch.where(used_up, lowest - (w2 - w_max), w1), torch.where(used_up, w_max, w2)
    used_up = w2 <= lowest
    w2, w1 = torch.where(used_up, lowest - (w1 - w_max), w2), torch.where(used_up, w_max, w1)
    return w1, w2


def at_rest(w1: Tensor, w2: Tensor, response: Response | Responses) -> tuple[Tensor, Tensor]:
    """The pairs after any number of mini-batches that give them no gradient."""
    return refresh(*(w.clamp(response.lowest, response.highest) for w in (w1, w2)), response)


def physically_clipped(request: Tensor) -> Tensor:
    """What is left of a request of pulses: D (1 - exp(-D / 0.18)), D^2 / 0.18 of a small one."""
    return -request * expm1(-request / PHYSICAL_PULSE)


def update(
    w1: Tensor,
    w2: Tensor,
    slope1: Tensor,
    slope2: Tensor,
    gradient: Tensor,
    response: Response | Responses,
    learning_rate: Tensor,
    clipping: Tensor,
    write_noise: Tensor | None = None,
    physical: Tensor | None = None,
    account: Account | None = None,
) -> tuple[Tensor, Tensor]:
    """The pairs after one mini-batch.

    w1, w2, slope1, slope2, gradient = dL/dW: [model, out, in]; learning_rate (pulses per unit of
    gradient) and clipping (pulses): [model, 1, 1]. Since W = w2 - w1, dL/dw2 is the gradient and
    dL/dw1 its negative; pulses can only lower a voltage, so the device whose own gradient is
    positive receives them, those that are not below the smallest pulse. write_noise: how far each
    device written misses, per square root of a pulse, [model, out, in] (arb. u.). physical: bool
    [model, 1, 1], in which networks requests are clipped physically first; None for none. account:
    where what it costs is counted. What lands beyond an end of the range is used up or, above it,
    clamped before the next mini-batch. Returns the new w1 and w2.
    """
    w1, w2 = (w.clamp(response.lowest, response.highest) for w in (w1, w2))
    second = gradient > 0  # whether it is device 2 that is written
    request = learning_rate * gradient.abs() * torch.where(second, slope2, slope1)
    if physical is not None:
        request = torch.where(physical, physically_clipped(request), request)
    pulses = torch.where(request >= clipping, request, 0.0)
    written = response.after(torch.where(second, w2, w1), pulses)
    if write_noise is not None:
        written = written + write_noise * pulses.sqrt()
    w1, w2 = torch.where(second, w1, written), torch.where(second, written, w2)
    if account is not None:
        used_up = (w1 <= response.lowest) | (w2 <= response.lowest)
        account.note(request, pulses, second, used_up)
    return refresh(w1, w2, response)


class PulseOptimizer(nn.Module):
    """Programs device pairs with the pulses that a gradient asks for.

    Buffers `learning_rate` (pulses per unit of gradient), `clipping` (pulses) and `write_noise`
    (arb. u. per square root of a pulse), and `physical`, whether requests are clipped physically:
    [model, 1, 1]; each of the last two is None where there is none in any network, so that nothing
    is drawn or computed.
    """

    def __init__(
        self,
        learning_rate: Tensor,
        clipping: Tensor,
        write_noise: Tensor | None = None,
        physical: Tensor | None = None,
    ):
        """Each [model]."""
        super().__init__()
        self.register_buffer("learning_rate", learning_rate[:, None, None], persistent=False)
        self.register_buffer("clipping", clipping[:, None, None], persistent=False)
        self.register_buffer("write_noise", None, persistent=False)
        if write_noise is not None:
            self.miss_by(write_noise)
        used = physical is not None and bool(physical.any())
        each = physical[:, None, None] if used else None
        self.register_buffer("physical", each, persistent=False)

    def miss_by(self, write_noise: Tensor) -> None:
        """Write with such noise from now on, [model]."""
        self.write_noise = write_noise[:, None, None] if bool(write_noise.any()) else None

    @torch.no_grad()
    def step(
        self,
        array: PairArray,
        gradient: Tensor,
        stream: Stream | None = None,
        account: Account | None = None,
    ) -> None:
        """Update the pairs of one layer in place; gradient = dL/dW [model, out, in].

        stream: of the layer at this mini-batch, for the write noise. At most one device of a pair
        is written, so one number is drawn for both. account: of the layer.
        """
        noise = None
        if self.write_noise is not None:
            noise = self.write_noise * array.normal(Draw.WRITE, stream).to(gradient)
        w1, w2 = update(
            array.weight1,
            array.weight2,
            array.slope1,
            array.slope2,
            gradient,
            array.responses,
            self.learning_rate,
            self.clipping,
            noise,
            self.physical,
            account,
        )
        array.put(w1, w2)
