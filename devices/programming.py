"""Programming applies pulses to one device of each pair, and refreshes pairs at the range's end.

An update has three parts, which are functions without side effects: from the gradient to the
requested pulses, from these to the applied pulses, and from these to the new pair. The C++ kernels
are printed from the same functions: see models.kernels.formulas.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from devices.ledger import Account
from devices.pair import PairParameters, PairState, Responses, Value
from devices.responses import Response, expm1

PHYSICAL_PULSE = 0.18  # pulses; physical clipping reduces smaller requests to their square


class Programming(nn.Module):
    """The parameters by which a gradient becomes pulses, in buffers [model, 1, 1].

    `learning_rate`: pulses per unit of gradient; `clipping`: the smallest pulse (pulses);
    `write_noise`: noise of a device that is written, arb. u. per square root of a pulse;
    `physical`: bool, whether requests are clipped physically first. Each of the last two is None
    where no network has it, so that nothing is drawn or computed.
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
        """All parameters are tensors [model]."""
        super().__init__()
        self.register_buffer("learning_rate", learning_rate[:, None, None], persistent=False)
        self.register_buffer("clipping", clipping[:, None, None], persistent=False)
        for name, values in (("write_noise", write_noise), ("physical", physical)):
            self.register_buffer(name, per_network_or_none(values), persistent=False)

    @property
    def structure(self) -> tuple[bool, bool]:
        """Which optional parts an update has, on which a compiled program depends."""
        return self.write_noise is not None, self.physical is not None

    def set_write_noise(self, write_noise: Tensor) -> None:
        """Set the write noise of every network, [model], arb. u. per square root of a pulse."""
        self.write_noise = per_network_or_none(write_noise)


def per_network_or_none(values: Tensor | None) -> Tensor | None:
    """Return values [model] as [model, 1, 1]; None if they are zero or False in all networks."""
    return values[:, None, None] if values is not None and bool(values.any()) else None


def update(
    state: PairState,
    gradient: Value,
    parameters: PairParameters,
    programming: Programming,
    noise: Value | None = None,
    account: Account | None = None,
) -> PairState:
    """Return the pairs after one mini-batch.

    gradient: dL/dW [model, out, in], as are all tensors of the pairs. Since W = w2 - w1, dL/dw2 is
    the gradient and dL/dw1 its negative; pulses can only lower a voltage, so they go to the device
    whose gradient is positive. noise: N(0, 1) numbers for the write noise, None without it; at most
    one device of a pair is written, so one number per pair is enough. account: where the cost is
    counted. A device below its range is refreshed at once; a device above it is clamped before the
    next write.
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
    """Return the pulses that a gradient requests of devices with these slope factors."""
    request = programming.learning_rate * gradient.abs() * slope
    if programming.physical is not None:
        request = torch.where(programming.physical, physically_clipped(request), request)
    return request


def physically_clipped(request: Value) -> Value:
    """Return D (1 - exp(-D / 0.18)) for a request of D pulses: about D^2 / 0.18 if D is small."""
    return -request * expm1(-request / PHYSICAL_PULSE)


def clamp(state: PairState, response: Response | Responses) -> PairState:
    """Return the pairs with voltages beyond the range set to its nearest end."""
    w1, w2 = (w.clamp(response.lowest, response.highest) for w in (state.w1, state.w2))
    return PairState(w1, w2)


def refresh(state: PairState, response: Response | Responses) -> PairState:
    """Reset the devices that have reached the end of their range, keeping `w2 - w1`.

    Where w1 is used up, w2 is set to the top of the range and w1 to w_max minus the difference;
    then the same is done with the roles of w1 and w2 exchanged.
    """
    w1, w2, lowest, w_max = state.w1, state.w2, response.lowest, response.w_max
    used_up = w1 <= lowest
    w1, w2 = torch.where(used_up, lowest - (w2 - w_max), w1), torch.where(used_up, w_max, w2)
    used_up = w2 <= lowest
    w2, w1 = torch.where(used_up, lowest - (w1 - w_max), w2), torch.where(used_up, w_max, w1)
    return PairState(w1, w2)


def is_refreshed(used: PairState, after: PairState, pulses: Value, lowest: Value) -> Value:
    """Whether a refresh counts: the pair was used up, and was written or is changed by the refresh.

    used, after: the pair before and after its refresh. A pair at the largest weight of its range,
    with one device used up and the other at the top, is not changed by a refresh; so that refresh
    counts only if the pair was written.
    """
    used_up = (used.w1 <= lowest) | (used.w2 <= lowest)
    moved = (after.w1 != used.w1) | (after.w2 != used.w2)
    return used_up & ((pulses > 0) | moved)


def clamp_and_refresh(state: PairState, response: Response | Responses) -> PairState:
    """Return the pairs in range, as mini-batches that give them no gradient leave them."""
    return refresh(clamp(state, response), response)
