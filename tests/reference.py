"""The simulation in plain NumPy and float64, one network, written to be read and not to be fast.

It shares no code with the project: constants, random numbers and derivatives are its own. The
devices stand in reference_devices.py, the random numbers in reference_noise.py, and the writing of
weights in reference_programming.py.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from reference_devices import DEVICES
from reference_noise import (
    DEVICE,
    DEVICE_TEST,
    FRESH,
    READ,
    SLOPE_1,
    SLOPE_2,
    TEST,
    VOLTAGE,
    normal,
    uniform,
)
from reference_programming import program

EPS, MOMENTUM = 1e-5, 0.15


@dataclass
class Physics:
    """The parameters of reading and writing devices; arbitrary units of the Hall voltage.

    lr: pulses per unit of gradient; var: relative spread of the slope factors; sigma_r, sigma_v:
    read noise of a device and noise on every output voltage; clipping: smallest pulse, pulses;
    sigma_w: write noise, fraction of the range per square root of a pulse; cell: one-way,
    both-ways or reference; rounding: none, nearest or stochastic; max_pulses: the most of a write.
    """

    lr: float
    var: float = 0.0
    sigma_r: float = 0.0
    sigma_v: float = 0.0
    clipping: float = 0.0
    init: float = 0.01
    input_scale: float = 0.001
    sigma_w: float = 0.0
    device_noise: bool = False
    physical_clipping: bool = False
    cell: str = "one-way"
    rounding: str = "none"
    accumulate: bool = False
    max_pulses: float = np.inf

    @property
    def is_controlled(self):
        """Whether a controller decides on the pulses of a weight, without knowing its devices."""
        return self.accumulate or self.rounding != "none"


class Network:
    """One network of weights W = w2 - w1; `sizes` = (inputs, hidden ..., classes).

    In the cell `reference` w1 is the constant w0, which is neither written nor read with noise.

    active: the inputs that are not zero in every training image; the others are never written, and
    no write noise is drawn for them. tested: active and then those that are not zero in test images
    alone; no read noise is drawn for the others. Either is all inputs if it is None.
    """

    def __init__(self, sizes, field, seed, physics, active=None, tested=None):
        self.physics = physics
        self.active = np.arange(sizes[0]) if active is None else active
        self.tested = np.arange(sizes[0]) if tested is None else tested
        self.device = DEVICES[field]
        self.partner = self.device.partner if physics.cell == "one-way" else None
        self.seed, self.input_scale = seed, physics.input_scale
        self.step = 0
        self.losses, self.gradients = [], []  # of each batch; of the last one, by layer
        self.costs = []  # of each layer: pulses, writes, dropped requests, refreshed pairs
        self.worn1, self.worn2, self.refreshed = [], [], []  # falling pulses of each device
        self.raised1, self.raised2 = [], []  # rising ones
        self.chi = []  # accumulators: what was requested and not yet written, pulses
        self.w1, self.w2, self.v1, self.v2, self.mean, self.var = [], [], [], [], [], []
        for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
            shape = (n_out, n_in)
            start = self.device.start(physics.init)
            if physics.cell == "one-way":
                start = self.device.top - physics.init
            self.w1.append(np.full(shape, start))
            self.w2.append(start - physics.init * uniform(shape, seed, 0, layer, FRESH))
            self.v1.append(abs(1 + physics.var * normal(shape, seed, 0, layer, SLOPE_1)))
            self.v2.append(abs(1 + physics.var * normal(shape, seed, 0, layer, SLOPE_2)))
            self.costs.append(np.zeros(4))
            counted = self.worn1, self.worn2, self.raised1, self.raised2, self.refreshed, self.chi
            for quantity in counted:
                quantity.append(np.zeros(shape))
            self.mean.append(np.zeros(n_out))
            self.var.append(np.ones(n_out))

    @property
    def sigma_weight(self):
        """Read noise of a weight: of two devices together, or of the one beside its reference."""
        n_devices = 1 if self.physics.cell == "reference" else 2
        return n_devices**0.5 * self.physics.sigma_r

    @property
    def pending(self):
        """Pulses that are requested and not yet written, of each layer."""
        return [abs(chi).sum() for chi in self.chi]

    def output(self, current, layer, draw, part=0):
        """V = I W^T + noise; current [batch, in], returns [batch, out]."""
        weight = self.w2[layer] - self.w1[layer]
        if self.physics.device_noise:
            weight = weight + self.inference_noise(layer, draw, part)
        voltage = current @ weight.T
        noise = normal(voltage.T.shape, self.seed, self.step, layer, draw, part).T
        return voltage + self.physics.sigma_v * noise

    def inference_noise(self, layer, draw, part):
        """Noise of a weight's devices together, one draw for all samples of the batch."""
        inputs = self.active if draw == VOLTAGE else self.tested
        draw = DEVICE if draw == VOLTAGE else DEVICE_TEST
        return self.sigma_weight * self.drawn(normal, layer, draw, inputs, part)

    def drawn(self, numbers, layer, draw, inputs, part=0):
        """A number for each weight; in the first layer for those on some inputs only, else 0."""
        n_out, n_in = self.w1[layer].shape
        columns = inputs if layer == 0 else np.arange(n_in)
        drawn, shape = np.zeros((n_out, n_in)), (n_out, len(columns))
        drawn[:, columns] = numbers(shape, self.seed, self.step, layer, draw, part)
        return drawn

    def test(self, images, part=0, relaxed=False):
        """Normalised outputs [batch, class] for images [batch, in] in 0..1."""
        if relaxed:
            return self.relaxed().test(images, part)
        activation = images
        for layer in range(len(self.w1)):
            voltage = self.output(self.input_scale * activation, layer, TEST, part)
            voltage = (voltage - self.mean[layer]) / np.sqrt(self.var[layer] + EPS)
            activation = np.maximum(voltage, 0)
        return voltage

    def first_image(self, images):
        """Currents into each layer and voltages out of it, of the first of a batch [batch, in]."""
        layers, activation = [], images
        for layer in range(len(self.w1)):
            current = self.input_scale * activation
            voltage = self.output(current, layer, TEST)
            layers.append((current[0], voltage[0]))
            voltage = (voltage - self.mean[layer]) / np.sqrt(self.var[layer] + EPS)
            activation = np.maximum(voltage, 0)
        return layers

    def relaxed(self):
        """Return the network read under the other field, with the input scale of that field."""
        copy = object.__new__(Network)
        copy.__dict__ = dict(self.__dict__)
        copy.read_through(self.partner)
        return copy

    def switch(self, field):
        """Switch the network to another field, under which it then learns."""
        device = DEVICES[field]
        self.read_through(device)
        self.device, self.partner = device, device.partner

    def read_through(self, other):
        """Every device keeps its pulses; the input scale makes up for the other range."""
        for name in ("w1", "w2"):
            voltages = [other.f.voltage(self.device.f.pulses(w)) for w in getattr(self, name)]
            setattr(self, name, voltages)
        self.input_scale = self.input_scale * self.device.span / other.span

    def train(self, images, labels):
        """One mini-batch: images [batch, in] in 0..1, labels [batch]. Returns loss, gradients."""
        batch, last = len(images), len(self.w1) - 1
        currents, normalised, scales = [self.input_scale * images], [], []
        for layer in range(last + 1):
            voltage = self.output(currents[layer], layer, VOLTAGE)
            mean, var = voltage.mean(0), voltage.var(0)
            self.mean[layer] = (1 - MOMENTUM) * self.mean[layer] + MOMENTUM * mean
            unbiased = var * batch / (batch - 1)
            self.var[layer] = (1 - MOMENTUM) * self.var[layer] + MOMENTUM * unbiased
            scales.append(1 / np.sqrt(var + EPS))
            normalised.append((voltage - mean) * scales[layer])
            if layer < last:
                currents.append(self.input_scale * np.maximum(normalised[layer], 0))
        logits = normalised[last]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(batch), labels]).mean()

        p[np.arange(batch), labels] -= 1
        g, gradients = p / batch, [None] * (last + 1)
        for layer in range(last, -1, -1):
            y = normalised[layer]
            g = scales[layer] * (g - g.mean(0) - y * (g * y).mean(0))  # through batch norm
            gradients[layer] = g.T @ currents[layer]
            if layer > 0:
                # The devices' noises together: the difference of two normal numbers is one.
                noise = normal(self.w1[layer].shape, self.seed, self.step, layer, READ)
                read = self.w2[layer] - self.w1[layer] + self.sigma_weight * noise
                g = self.input_scale * (g @ read) * (normalised[layer - 1] > 0)
        for layer, gradient in enumerate(gradients):
            program(self, layer, gradient)
        self.step += 1
        self.losses.append(loss)
        self.gradients = gradients
        return loss, gradients
