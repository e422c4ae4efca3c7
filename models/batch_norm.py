"""Batch normalisation of the voltages of many networks at once, and how long it warms up."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5  # not negligible: voltages are of order 1e-3, so it sets their scale
MOMENTUM = 0.15
# Mini-batches after which less than EPS / 10 is left of the running variance's initial value, 1.
SETTLING_STEPS = math.ceil(math.log(0.1 * EPS) / math.log(1 - MOMENTUM))


class BatchNorm(nn.Module):
    """Batch normalisation of [model, feature, batch] voltages, without affine parameters.

    Buffers `running_mean`, `running_var`: [model, feature]. A training batch of a single sample
    has no variance: it gives zeros and leaves the running statistics as they are.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, running_mean: Tensor, running_var: Tensor):
        super().__init__()
        self.register_buffer("running_mean", running_mean)
        self.register_buffer("running_var", running_var)

    def forward(self, voltage: Tensor) -> Tensor:
        if self.training and voltage.shape[-1] == 1:
            return voltage - voltage
        channels = F.batch_norm(  # the features of all networks as the channels of one
            voltage.flatten(0, 1)[None],
            self.running_mean.view(-1),
            self.running_var.view(-1),
            training=self.training,
            momentum=MOMENTUM,
            eps=EPS,
        )
        return channels.view_as(voltage)
