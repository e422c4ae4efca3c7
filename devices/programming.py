"""Programming: the devices of each weight respond to the pulses that the controller sends.

An update has two parts, which are functions without side effects: the controller decides
(devices.controller), then the devices respond (`write`). The C++ kernels are printed from both
(models.kernels.formulas); on sparse inputs on a CPU the first layer runs such a kernel instead of
`update`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from devices.controller import Command, Programming, decide, driven_slopes
from devices.ledger import Account
from devices.network_responses import Responses
from devices.pair import PairParameters, PairState, Value
from devices.responses import Response
from devices.scheme import BOTH_WAYS, ONE_WAY


@dataclass(frozen=True)
class Draws:
    """The random numbers of an update, one for each weight; None where none is needed.

    write: N(0, 1) for the write noise of the device that is written, of both-ways cells of the one
    whose voltage falls; raised: N(0, 1) for that of the other one; rounding: U(0, 1).
    """

    write: Value = None
    raised: Value = None
    rounding: Value = None


NO_DRAWS = Draws()


def update(
    state: PairState,
    gradient: Value,
    parameters: PairParameters,
    programming: Programming,
    draws: Draws = NO_DRAWS,
    account: Account | None = None,
) -> PairState:
    """Return the pairs after one mini-batch.

    gradient: dL/dW [model, out, in], as are all tensors of the pairs; account: where the cost is
    counted.
    """
    command = decide(gradient, state.accumulator, parameters, programming, draws.rounding)
    after, refreshed = write(state, command, parameters, programming, draws)
    if account is not None:
        account.note(command.lowers, command.pulses, refreshed)
    return after


def write(
    state: PairState,
    command: Command,
    parameters: PairParameters,
    programming: Programming,
    draws: Draws = NO_DRAWS,
) -> tuple[PairState, Value]:
    """Return the pairs after a command, and whether each was refreshed; None where none ever is.

    - one-way: W = w2 - w1. Pulses lower w2 where W has to fall, otherwise w1. A device below its
      range is refreshed at once; a device above it is clamped before the next write.
    - both-ways: W = w2 - w1. Pulses lower w2 and raise w1 where W has to fall, otherwise the other
      way round. Both are clamped to the range.
    - reference: W = w2 - w1, where w1 stays as it is. Pulses lower w2 where W has to fall,
      otherwise raise it. It is clamped to the range.
    """
    scheme, lowers = programming.scheme, command.lowers
    response, rising = parameters.response, parameters.rising
    pulses = [requested.applied for requested in command.pulses]
    if not scheme.controller_knows_slopes:
        slopes = driven_slopes(lowers, parameters, scheme.cell)
        pulses = [slope * applied for slope, applied in zip(slopes, pulses, strict=True)]
    if scheme.cell == ONE_WAY:
        before = clamp(state, response)
        written = response.after(torch.where(lowers, before.w2, before.w1), pulses[0])
        written = with_write_noise(written, pulses[0], programming, draws.write)
        used = PairState(
            torch.where(lowers, before.w1, written),
            torch.where(lowers, written, before.w2),
            command.accumulator,
        )
        after = refresh(used, response)
        return after, is_refreshed(used, after, pulses[0], response.lowest)
    if rising is None:
        raise ValueError(f"{scheme.cell}: the devices need a rising branch")
    if scheme.cell == BOTH_WAYS:
        fallen = response.after(torch.where(lowers, state.w2, state.w1), pulses[0])
        risen = rising.after(torch.where(lowers, state.w1, state.w2), pulses[1])
        fallen = with_write_noise(fallen, pulses[0], programming, draws.write)
        risen = with_write_noise(risen, pulses[1], programming, draws.raised)
        w1, w2 = torch.where(lowers, risen, fallen), torch.where(lowers, fallen, risen)
        return clamp(PairState(w1, w2, command.accumulator), response), None
    fallen, risen = response.after(state.w2, pulses[0]), rising.after(state.w2, pulses[0])
    w2 = with_write_noise(torch.where(lowers, fallen, risen), pulses[0], programming, draws.write)
    w2 = w2.clamp(response.lowest, response.highest)
    return PairState(state.w1, w2, command.accumulator), None


def with_write_noise(
    voltage: Value, pulses: Value, programming: Programming, numbers: Value
) -> Value:
    """Add the write noise of devices that received pulses; numbers: N(0, 1), None for no noise."""
    if numbers is None or programming.write_noise is None:
        return voltage
    return voltage + programming.write_noise * numbers * pulses.sqrt()


def clamp(state: PairState, response: Response | Responses) -> PairState:
    """Return the pairs with voltages beyond the range set to its nearest end."""
    w1, w2 = (w.clamp(response.lowest, response.highest) for w in (state.w1, state.w2))
    return PairState(w1, w2, state.accumulator)


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
    return PairState(w1, w2, state.accumulator)


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
