"""The controller decides which pulses each weight receives: from gradients to pulses.

It runs on a computer. Its functions have no side effects; the C++ kernels are printed from them:
see models.kernels.formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from devices.pair import PairParameters, Value
from devices.responses import expm1
from devices.scheme import BOTH_WAYS, NEAREST, ONE_WAY, PUBLISHED, STOCHASTIC, Scheme

PHYSICAL_PULSE = 0.18  # pulses; physical clipping reduces smaller requests to their square


class Programming(nn.Module):
    """The parameters by which a gradient becomes pulses, in buffers [model, 1, 1].

    `learning_rate`: pulses per unit of gradient; `clipping`: the smallest pulse (pulses);
    `write_noise`: noise of a device that is written, arb. u. per square root of a pulse;
    `physical`: bool, whether requests are clipped physically first; `max_pulses`: the largest
    number of pulses of an update. Each of the last three is None where no network has it, so that
    nothing is drawn or computed. scheme: the cell and the rules, the same in all networks.
    """

    learning_rate: Tensor
    clipping: Tensor
    write_noise: Tensor | None
    physical: Tensor | None
    max_pulses: Tensor | None

    def __init__(
        self,
        learning_rate: Tensor,
        clipping: Tensor,
        write_noise: Tensor | None = None,
        physical: Tensor | None = None,
        max_pulses: Tensor | None = None,
        scheme: Scheme = PUBLISHED,
    ):
        """All parameters are tensors [model]; max_pulses: infinite where there is no limit."""
        super().__init__()
        self.scheme = scheme
        self.register_buffer("learning_rate", learning_rate[:, None, None], persistent=False)
        self.register_buffer("clipping", clipping[:, None, None], persistent=False)
        for name, values in (("write_noise", write_noise), ("physical", physical)):
            self.register_buffer(name, per_network_or_none(values), persistent=False)
        is_limited = max_pulses is not None and bool(max_pulses.isfinite().any())
        limit = max_pulses[:, None, None] if max_pulses is not None and is_limited else None
        self.register_buffer("max_pulses", limit, persistent=False)

    @property
    def structure(self) -> tuple:
        """Which parts an update has, on which a compiled program depends."""
        parts = self.write_noise, self.physical, self.max_pulses
        return self.scheme, *(part is not None for part in parts)

    def set_write_noise(self, write_noise: Tensor) -> None:
        """Set the write noise of every network, [model], arb. u. per square root of a pulse."""
        self.write_noise = per_network_or_none(write_noise)


def per_network_or_none(values: Tensor | None) -> Tensor | None:
    """Return values [model] as [model, 1, 1]; None if they are zero or False in all networks."""
    return values[:, None, None] if values is not None and bool(values.any()) else None


@dataclass(frozen=True)
class Pulses:
    """Pulses on a device of each weight: how many were requested, and how many it receives."""

    requested: Value
    applied: Value


@dataclass(frozen=True)
class Command:
    """What the controller sends to each weight in a mini-batch.

    lowers: whether the weight has to fall; pulses: on the device that is written, of both-ways
    cells first on the one whose voltage falls, then on the other; accumulator: what remains to be
    programmed, None without an accumulator.
    """

    lowers: Value
    pulses: tuple[Pulses, ...]
    accumulator: Value = None


def decide(
    gradient: Value,
    accumulator: Value,
    parameters: PairParameters,
    programming: Programming,
    rounding_draw: Value = None,
) -> Command:
    """Return the pulses that each weight receives for a gradient dL/dW.

    A weight has to fall where its gradient, or its accumulator with the request added, is positive.
    accumulator: requests not yet programmed (pulses), None without an accumulator; rounding_draw:
    U(0, 1) numbers for stochastic rounding.
    """
    scheme = programming.scheme
    if scheme.controller_knows_slopes:
        lowers = gradient > 0
        slopes = driven_slopes(lowers, parameters, scheme.cell)
        pulses = (
            threshold(requested_pulses(gradient, s, programming), programming) for s in slopes
        )
        return Command(lowers, tuple(pulses))
    request = programming.learning_rate * gradient
    if scheme.accumulate:
        total = accumulator + request
        lowers = total > 0
        applied = rounded(total.abs(), programming)
        applied = torch.where(gradient != 0, applied, 0.0)  # without a gradient a weight rests
        remainder = torch.where(lowers, total - applied, total + applied)
        pulses = Pulses(applied, applied)  # the accumulator drops no request
        return Command(lowers, (pulses,) * scheme.devices_written, remainder)
    pulses = Pulses(request.abs(), rounded(request.abs(), programming, rounding_draw))
    return Command(gradient > 0, (pulses,) * scheme.devices_written)


def driven_slopes(lowers: Value, parameters: PairParameters, cell: str) -> tuple[Value, ...]:
    """Return the slope factors of the devices that are written, in the order of a command."""
    if cell not in (ONE_WAY, BOTH_WAYS):
        return (parameters.slope2,)
    falling = torch.where(lowers, parameters.slope2, parameters.slope1)
    if cell == ONE_WAY:
        return (falling,)
    return falling, torch.where(lowers, parameters.slope1, parameters.slope2)


def requested_pulses(gradient: Value, slope: Value, programming: Programming) -> Value:
    """Return the pulses that a gradient requests of devices with these slope factors."""
    request = programming.learning_rate * gradient.abs() * slope
    if programming.physical is not None:
        request = torch.where(programming.physical, physically_clipped(request), request)
    return request


def physically_clipped(request: Value) -> Value:
    """Return D (1 - exp(-D / 0.18)) for a request of D pulses: about D^2 / 0.18 if D is small."""
    return -request * expm1(-request / PHYSICAL_PULSE)


def threshold(request: Value, programming: Programming) -> Pulses:
    """Drop requests below the smallest pulse; limit the others to the largest number of pulses."""
    applied = torch.where(request >= programming.clipping, request, 0.0)
    return Pulses(request, limited(applied, programming))


def rounded(request: Value, programming: Programming, draw: Value = None) -> Value:
    """Return the pulses that the controller sends for requests of |r| pulses; e: smallest pulse.

    nearest: e floor(|r| / e + 1/2); with an accumulator, which keeps the rest, e floor(|r| / e);
    stochastic: e (floor(q) + [u < q - floor(q)]) with q = |r| / e, so that the mean is |r|;
    otherwise |r| where it is e or more, else 0. draw: u.
    """
    scheme, smallest = programming.scheme, programming.clipping
    if scheme.rounding == STOCHASTIC:
        number = request / smallest
        below = number.floor()
        applied = smallest * torch.where(draw < number - below, below + 1.0, below)
    elif scheme.rounding == NEAREST:
        number = request / smallest
        applied = smallest * (number if scheme.accumulate else number + 0.5).floor()
    else:
        applied = torch.where(request >= smallest, request, 0.0)
    return limited(applied, programming)


def limited(pulses: Value, programming: Programming) -> Value:
    """Return pulses, at most `max_pulses`."""
    limit = programming.max_pulses
    return pulses if limit is None else torch.where(pulses > limit, limit, pulses)
