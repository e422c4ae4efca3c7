"""The history of training: the loss of the epoch so far, failures, and results by epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class History(nn.Module):
    """The results of an ensemble's training so far, which checkpoints contain.

    Buffers: `step` int64 scalar, mini-batches so far; `loss_sum` float64 [model], loss summed over
    the mini-batches of this epoch; `failed_step` int64 [model], the first step at which the loss or
    a weight was not finite, -1 while there is none. For each epoch, NaN where it is still to come,
    [model, epoch]: `accuracies` float32, test accuracy 0 to 1; `pulse_requests` float32, learning
    rate times the mean |dL/dw| of the epoch's last batch (pulses); `losses` float64, mean
    cross-entropy. `switch_accuracies` float32 [model], test accuracy right after the field was
    switched, NaN before that test, None before the switch.
    """

    step: Tensor
    loss_sum: Tensor
    failed_step: Tensor
    accuracies: Tensor
    pulse_requests: Tensor
    losses: Tensor
    switch_accuracies: Tensor | None

    def __init__(self, seed: Tensor, epochs: int):
        """seed: int64 [model], on the device on which the buffers are made."""
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=seed.device))
        self.register_buffer("loss_sum", torch.zeros_like(seed, dtype=torch.float64))
        self.register_buffer("failed_step", torch.full_like(seed, -1))
        for name, dtype in (
            ("accuracies", torch.float32),
            ("pulse_requests", torch.float32),
            ("losses", torch.float64),
        ):
            shape = (len(seed), epochs)
            values = torch.full(shape, torch.nan, dtype=dtype, device=seed.device)
            self.register_buffer(name, values)
        self.register_buffer("switch_accuracies", None)

    def count(self, loss: Tensor) -> None:
        """Count a mini-batch, with its loss [model]."""
        self.loss_sum += loss
        self.note_failures(loss.isfinite(), self.step)
        self.step += 1

    def note_failures(self, is_finite: Tensor, step: Tensor) -> None:
        """Record `step` as the failure of networks where is_finite, bool [model], is false."""
        is_new = ~is_finite & (self.failed_step < 0)
        self.failed_step.copy_(torch.where(is_new, step, self.failed_step))

    def enter_phase(self, number: int) -> None:
        """Make the buffer for the test right after a switch, or remove it, as the phase needs."""
        unknown = torch.full_like(self.accuracies[:, 0], torch.nan)
        self.switch_accuracies = unknown if number > 0 else None

    def note_switch(self, accuracies: Tensor) -> None:
        """Record the test accuracies right after the field was switched, [model]."""
        if self.switch_accuracies is None:
            raise AssertionError("the field was not switched")
        self.switch_accuracies.copy_(accuracies)

    def close_epoch(self, epoch: int, steps: int, pulse_request: Tensor) -> None:
        """Record the results of an epoch, except for its test.

        epoch: counted from 0; steps: its number of mini-batches; pulse_request: [model], pulses.
        """
        self.pulse_requests[:, epoch] = pulse_request
        self.losses[:, epoch] = self.loss_sum / steps
        self.loss_sum.zero_()
