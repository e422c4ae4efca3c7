"""One update of a row of pairs in double precision, whose result can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from devices.controller import Programming
from devices.ledger import Account
from devices.noise import Stream
from devices.pair import Devices, PairArray, PairParameters, PairState
from devices.programming import Draws, update
from devices.responses import Response
from models.pair_layer import PairLayer
from support.devices import RESPONSES

LINEAR, EXPONENTIAL = RESPONSES["double-linear"], RESPONSES["double-exponential"]
IDEAL = RESPONSES["double-ideal"]


def row(*values: float) -> Tensor:
    """Return values as float64 [1, 1, n]."""
    return torch.tensor(values, dtype=torch.float64)[None, None]


def programming_of(learning_rate=1.0, clipping=0.0, write_noise=0.0, physical=False) -> Programming:
    """Return the programming of one network in double precision."""
    values = (torch.tensor([value]).double() for value in (learning_rate, clipping, write_noise))
    return Programming(*values, torch.tensor([physical]))


def updated(
    w1: Sequence[float],
    w2: Sequence[float],
    gradient: Sequence[float],
    response: Response = LINEAR,
    slopes: tuple[float, float] = (1.0, 1.0),
    noise: Sequence[float] | None = None,
    account: Account | None = None,
    **programming,
) -> tuple[Tensor, Tensor]:
    """Return the voltages w1, w2 of a row of pairs after one update; noise: N(0, 1) numbers."""
    state = update(
        PairState(row(*w1), row(*w2)),
        row(*gradient),
        PairParameters(row(slopes[0]), row(slopes[1]), response),
        programming_of(**programming),
        Draws(write=None if noise is None else row(*noise)),
        account,
    )
    return state.w1, state.w2


def fresh(responses, shape=(400, 500), init=0.01, variability=0.2, seed=100) -> PairArray:
    """Return fresh pairs of networks with these responses and seeds from `seed` on."""
    n = len(responses)
    zero = torch.tensor(0)
    seeds = torch.arange(seed, seed + n)
    sigma = torch.full((n, 1, 1), variability)
    devices = Devices.near_top(responses, init)
    half_width = torch.full((n, 1, 1), init)
    return PairArray.fresh(devices, shape, half_width, sigma, Stream(seeds, zero, zero))


def write(pairs: PairArray, gradient: Tensor, programming: Programming, stream=None) -> None:
    """Program the pairs of a layer once, in place."""
    PairLayer(pairs).write(gradient, stream, programming, None)
