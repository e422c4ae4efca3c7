"""Rows of numbers, and fresh pairs of networks side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from devices.controller import Programming
from devices.noise import Stream
from devices.pair import Devices, PairArray
from models.pair_layer import PairLayer
from support.devices import RESPONSES

LINEAR, EXPONENTIAL = RESPONSES["double-linear"], RESPONSES["double-exponential"]
IDEAL = RESPONSES["double-ideal"]


def row(*values: float) -> Tensor:
    """Return values as float64 [1, 1, n]."""
    return torch.tensor(values, dtype=torch.float64)[None, None]


def fresh(responses, shape=(400, 500), init=0.01, variability=0.2, seed=100) -> PairArray:
    """Return fresh pairs of networks with these responses and seeds from `seed` on."""
    n = len(responses)
    zero = torch.tensor(0)
    seeds = torch.arange(seed, seed + n)
    sigma = torch.full((n, 1, 1), variability)
    devices = Devices(responses, [response.w_max - init for response in responses])
    half_width = torch.full((n, 1, 1), init)
    return PairArray.fresh(devices, shape, half_width, sigma, Stream(seeds, zero, zero))


def write(pairs: PairArray, gradient: Tensor, programming: Programming, stream=None) -> None:
    """Program the pairs of a layer once, in place."""
    PairLayer(pairs).write(gradient, stream, programming, None)
