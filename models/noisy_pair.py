"""The layer of device pairs: inference on noisy hardware, backward pass from noisy readings."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from devices.noise import Draw, Stream
from models.matmul import product
from models.sparse_matmul import SparseBatch


class NoisyPairProduct(torch.autograd.Function):
    """V = gain (W + misread) I + N(0, sigma_v), with the gradients that the hardware allows.

    The weight W = w2 - w1 stands for its two devices: dL/dw2 = dL/dW and dL/dw1 = -dL/dW exactly,
    so one product serves both.
    """

    @staticmethod
    def forward(
        ctx,
        weight: Tensor,
        current: Tensor | SparseBatch,
        voltage_noise: Tensor | None,
        resistor_noise: Tensor | None,
        stream: Stream,
        draw: Draw,
        gain: Tensor | None = None,
        misread: Tensor | None = None,
    ) -> Tensor:
        """The output voltages.

        weight: [model, out, in]; current: [model, in, batch], or [in, batch] shared by all
        networks, or the sparse inputs of the first layer, whose weights then stand in blocks;
        voltage_noise sigma_v and resistor_noise sigma_r: [model, 1, 1], or None for none at all,
        so that nothing is drawn; gain: [model, 1, 1], by which the currents are larger than
        `current` says, None for 1; misread: by how much inference misreads each pair, e2 - e1, as
        weight, or None; returns [model, out, batch]. The voltage noise is fresh for every sample
        and output; a pair is misread once for all samples.
        """
        ctx.resistor_noise, ctx.stream, ctx.gain = resistor_noise, stream, gain
        reading = weight if misread is None else weight + misread
        if isinstance(current, SparseBatch):
            ctx.sparse = current
            voltage = current.voltage(reading)
        else:
            ctx.sparse = None
            ctx.save_for_backward(weight, current)
            voltage = product(reading, current)
        if gain is not None:
            voltage = gain * voltage
        if voltage_noise is not None:
            voltage = stream.noisy(draw, voltage, voltage_noise)
        return voltage

    @staticmethod
    def backward(ctx, grad_voltage: Tensor):
        """dL/dW = g I^T, and dL/dI = (w2 + e2 - w1 - e1)^T g with e1, e2 ~ N(0, sigma_r).

        Each device is read with fresh noise; e2 - e1 is one normal number of sqrt(2) sigma_r, drawn
        as such; it is not that of inference. For a layer whose input needs no gradient (the first)
        nothing is read, drawn or multiplied.
        """
        if ctx.gain is not None:  # of the currents; dL/dI is with respect to `current`
            grad_voltage = ctx.gain * grad_voltage
        if ctx.sparse:
            return ctx.sparse.gradient(grad_voltage), *(None,) * 7
        weight, current = ctx.saved_tensors
        grad_weight = product(grad_voltage, current.mT)
        grad_current = None
        if ctx.needs_input_grad[1]:
            reading = weight
            if ctx.resistor_noise is not None:
                reading = ctx.stream.noisy(Draw.READ, weight, math.sqrt(2) * ctx.resistor_noise)
            grad_current = product(reading.mT, grad_voltage)
            if current.dim() == 2:
                grad_current = grad_current.sum(0)
        return grad_weight, grad_current, *(None,) * 6
