"""The product of device pairs and currents: inference on noisy hardware, and its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from devices.noise import Draw, Stream
from models.matmul import product


class NetworkPhysics(nn.Module):
    """The noises and the gain of the hardware, in buffers [model, 1, 1].

    `voltage_noise`: sigma_v of every output voltage; `resistor_noise`, `device_noise`: noise of a
    weight that the backward pass, or inference, reads: sqrt(n) sigma_r, where each of n devices is
    read with noise sigma_r; all arb. u., None where no network has any, so that nothing is drawn.
    `gain`: the factor by which the input scale has grown since the field was switched while the
    network learned; None before any switch.
    """

    voltage_noise: Tensor | None
    resistor_noise: Tensor | None
    device_noise: Tensor | None
    gain: Tensor | None

    def __init__(
        self,
        voltage_noise: Tensor,
        resistor_noise: Tensor,
        device_noise: Tensor,
        devices_read: int = 2,
    ):
        """All noises are float32 [model], zero for none; of a device, sigma_r; devices_read: n."""
        super().__init__()
        for name, sigma in (
            ("voltage_noise", voltage_noise),
            ("resistor_noise", math.sqrt(devices_read) * resistor_noise),
            ("device_noise", math.sqrt(devices_read) * device_noise),
        ):
            values = sigma[:, None, None] if bool(sigma.any()) else None
            self.register_buffer(name, values, persistent=False)
        self.register_buffer("gain", None, persistent=False)

    def scaled(self, values: Tensor) -> Tensor:
        """Multiply voltages, or gradients by voltages, [model, out, batch], by the gain."""
        return values if self.gain is None else self.gain * values

    @property
    def structure(self) -> tuple[bool, ...]:
        """Which noises there are and whether there is a gain, on which compiled programs depend."""
        parts = self.voltage_noise, self.resistor_noise, self.device_noise, self.gain
        return tuple(part is not None for part in parts)


@dataclass(frozen=True)
class Conditions:
    """The conditions of a reading. draw: the purpose of the noise on output voltages."""

    physics: NetworkPhysics
    stream: Stream
    draw: Draw

    def with_noise(self, voltage: Tensor) -> Tensor:
        """Return output voltages [model, out, batch] with the gain and with voltage noise.

        The noise is drawn anew for every sample and output.
        """
        voltage, sigma = self.physics.scaled(voltage), self.physics.voltage_noise
        return voltage if sigma is None else self.stream.noisy(self.draw, voltage, sigma)


class NoisyPairProduct(torch.autograd.Function):
    """V = gain (W + e) I + N(0, sigma_v), with the gradients that the hardware allows.

    The weight W = w2 - w1 replaces its two devices: dL/dw2 = dL/dW and dL/dw1 = -dL/dW exactly, so
    one product is enough for both.
    """

    @staticmethod
    def forward(
        ctx,
        weight: Tensor,
        current: Tensor,
        conditions: Conditions,
        read_noise: Tensor | None = None,
    ) -> Tensor:
        """Return the output voltages [model, out, batch].

        weight: [model, out, in]; current: [model, in, batch], or [in, batch] shared by all
        networks; read_noise: e, the error [model, out, in] with which inference reads each pair,
        the same for all samples; None for no error.
        """
        ctx.conditions = conditions
        ctx.save_for_backward(weight, current)
        reading = weight if read_noise is None else weight + read_noise
        return conditions.with_noise(product(reading, current))

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor):
        """Return dL/dW = g I^T and dL/dI = (w2 + e2 - w1 - e1)^T g with e1, e2 ~ N(0, sigma_r).

        Each device is read with fresh noise, which is independent of the noise of inference;
        e2 - e1 is drawn as one normal number of standard deviation sqrt(2) sigma_r; a reference is
        read without noise. A gradient that is not needed costs no reading, no draw and no product.
        """
        (grad_voltage,), (weight, current) = grad_outputs, ctx.saved_tensors
        physics, stream = ctx.conditions.physics, ctx.conditions.stream
        grad_weight = grad_current = None
        if ctx.needs_input_grad[0]:
            grad_weight = weight_gradient(grad_voltage, current, physics)
        if ctx.needs_input_grad[1]:
            reading, sigma = weight, physics.resistor_noise
            if sigma is not None:
                reading = stream.noisy(Draw.READ, weight, sigma)
            grad_current = product(reading.mT, physics.scaled(grad_voltage))
            if current.dim() == 2:
                grad_current = grad_current.sum(0)
        return grad_weight, grad_current, None, None


def weight_gradient(grad_voltage: Tensor, current: Tensor, physics: NetworkPhysics) -> Tensor:
    """Return dL/dW = g I^T [model, out, in] from g = dL/dV [model, out, batch] and currents I."""
    return product(physics.scaled(grad_voltage), current.mT)
