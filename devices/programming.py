"""Learning: pulses for one device of each pair, and a refresh of pairs at the end of their range.

A step in three parts, all of them functions without side effects: from the gradient to a request of
pulses, from the request to the pulses that are applied, and from these to the new pair. The C++
kernels are printed from the same functions: see models.kernels.formulas.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from devices.ledger import Account
from devices.pair import PairParameters, PairState, Responses, Value
from devices.responses import Response, expm1

PHYSICAL_PULSE = 0.18  # pulses, below which a request of physical clipping fades


class Programming(nn.Module):
    """How a gradient becomes pulses, in each network: buffers [model, 1, 1].

    `learning_rate`: pulses per unit of gradient; `clipping`: the smallest pulse (pulses);
    `write_noise`: of a device that is written, arb. u. per square root of a pulse; `physical`:
    bool, whether requests are clipped physically first. Each of the last two is None where no
    network has it, so that nothing is drawn or computed.
    """

    learning_rate: Tensor
    clipping: Tensor
    write_noise: Tensor | None
    physical: Tensor | None

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
        for name, values in (("write_noise", write_noise), ("physical", physical)):
            self.register_buffer(name, per_network_or_none(values), persistent=False)

    @property
    def structure(self) -> tuple[bool, bool]:
        """Which parts there are: what a compiled program depends on."""
        return self.write_noise is not None, self.physical is not None

    def set_write_noise(self, write_noise: Tensor) -> None:
        """Write with such noise from now on, [model]."""
        self.write_noise = per_network_or_none(write_noise)


def per_network_or_none(values: Tensor | None) -> Tensor | None:
    """Values [model] as [model, 1, 1]; None if they are zero, or False, in all networks."""
    return values[:, None, None] if values is not None and bool(values.any()) else None


def update(
    state: PairState,
    gradient: Value,
    parameters: PairParameters,
    programming: Programming,
    noise: Value | None = None,
    account: Account | None = None,
) -> PairState:
    """The pairs after one mini-batch.

    gradient: dL/dW, and all of the pairs, [model, out, in]. Since W = w2 - w1, dL/dw2 is the
    gradient and dL/dw1 its negative; pulses can only lower a voltage, so the device whose own
    gradient is positive receives them. noise: N(0, 1) numbers for the write noise, None without
    any; at most one device of a pair is written, so one number does for both. account: where the
    cost is counted. What lands beyond an end of the range is refreshed or, above it, clamped before
    the next mini-batch.
    """
    response = parameters.response
    before = clamp(state, response)
    second = gradient > 0  # whether it is device 2 that is written
    slope = torch.where(second, parameters.slope2, parameters.slope1)
    request = requested_pulses(gradient, slope, programming)
    pulses = torch.where(request >= programming.clipping, request, 0.0)
    written = response.after(torch.where(second, before.w2, before.w1), pulses)
    if noise is not None and programming.write_noise is not None:
        written = written + programming.write_noise * noise * pulses.sqrt()
    used = PairState(
        torch.where(second, before.w1, written), torch.where(second, written, before.w2)
    )
    after = refresh(used, response)
    if account is not None:
        account.note(request, pulses, second, is_refreshed(used, after, pulses, response.lowest))
    return after


def requested_pulses(gradient: Value, slope: Value, programming: Programming) -> Value:
    """Pulses that a gradient asks for, of devices with such slope factors."""
    request = programming.learning_rate * gradient.abs() * slope
    if programming.physical is not None:
        request = torch.where(programming.physical, physically_clipped(request), request)
    return request


def physically_clipped(request: Value) -> Value:
    """What is left of a request of pulses: D (1 - exp(-D / 0.18)), D^2 / 0.18 of a small one."""
    return -request * expm1(-request / PHYSICAL_PULSE)


def clamp(state: PairState, response: Response | Responses) -> PairState:
    """The voltages within the range."""
    w1, w2 = (w.clamp(response.lowest, response.highest) for w in (state.w1, state.w2))
    return PairState(w1, w2)


def refresh(state: PairState, response: Response | Responses) -> PairState:
    """Reset the devices that have reached the end of their range, keeping `w2 - w1`.

    Where w1 is used up, w2 starts again from the top of the range and w1 takes what is left of
    the difference; then the same with the roles exchanged.
    """
    w1, w2, lowest, w_max = state.w1, state.w2, response.lowest, response.w_max
    used_up = w1 <= lowest
    w1, w2 = torch.where(used_up, lowest - (w2 - w_max), w1), torch.where(used_up, w_max, w2)
    used_up = w2 <= lowest
    w2, w1 = torch.where(used_up, lowest - (w1 - w_max), w2), torch.where(used_up, w_max, w1)
    return PairState(w1, w2)


def is_refreshed(used: PairState, after: PairState, pulses: Value, lowest: Value) -> Value:
    """Whether a pair was refreshed: used up by a write, or found so and put elsewhere.

    used, after: the pair before and after its refresh. At the largest weight of its range, one
    device used up and the other at the top, a refresh leaves a pair as it is, and is none unless
    the pair was written.
    """
    used_up = (used.w1 <= lowest) | (used.w2 <= lowest)
    moved = (after.w1 != used.w1) | (after.w2 != used.w2)
    return used_up & ((pulses > 0) | moved)


def clamp_and_refresh(state: PairState, response: Response | Responses) -> PairState:
    """The pairs after any number of mini-batches that give them no gradient."""
    return refresh(clamp(state, response), response)
