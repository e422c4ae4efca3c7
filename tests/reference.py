"""The simulation in plain NumPy and float64, one network, written to be read and not to be fast.

It shares no code with the project: constants, random numbers and derivatives are its own.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

FRESH, SLOPE_1, SLOPE_2, VOLTAGE, READ, TEST, WRITE, DEVICE, DEVICE_TEST = 0, 1, 2, 3, 4, 6, 7, 8, 9
EPS, MOMENTUM = 1e-5, 0.15


class Linear:
    ends = True

    def __init__(self, step=0.021, start=2.742, end=27):
        self.step, self.start = step, start
        self.top, self.bottom = start, start - step * end

    def voltage(self, pulses):
        return self.start - self.step * pulses

    def pulses(self, voltage):
        return (self.start - voltage) / self.step


class Ideal(Linear):
    ends = False


class Exponential:
    ends = True

    def __init__(self, height=1.530, decay=9.741, floor=0.750, end=27):
        self.height, self.decay, self.floor = height, decay, floor
        self.top, self.bottom = height + floor, height * np.exp(-end / decay) + floor

    def voltage(self, pulses):
        return self.height * np.exp(-pulses / self.decay) + self.floor

    def pulses(self, voltage):
        share = (voltage - self.floor) / self.height
        return -self.decay * np.log(share if self.decay > 0 else np.maximum(share, 1))


def curved(nu, top=2.742, span=0.567, end=27):
    """w = top - span (1 - exp(-nu x / end)) / (1 - exp(-nu))"""
    height = span / (1 - np.exp(-nu))
    return Exponential(height, end / nu, top - height, end)


class Table:
    ends = True

    def __init__(self, x, w):
        self.x, self.w = np.array(x), np.array(w)
        self.top, self.bottom = w[0], w[-1]

    def voltage(self, pulses):
        last = (self.w[-1] - self.w[-2]) / (self.x[-1] - self.x[-2])
        beyond = self.w[-1] + last * (pulses - self.x[-1])
        return np.where(pulses > self.x[-1], beyond, np.interp(pulses, self.x, self.w))

    def pulses(self, voltage):
        first = (self.x[1] - self.x[0]) / (self.w[1] - self.w[0])
        above = first * (voltage - self.w[0])
        return np.where(voltage > self.w[0], above, np.interp(-voltage, -self.w, self.x))


LINEAR, EXPONENTIAL = Linear(), Exponential()
DEVICES = {  # each with what it relaxes to
    "double-linear": (LINEAR, EXPONENTIAL),
    "double-exponential": (EXPONENTIAL, LINEAR),
    "other linear": (Linear(0.03, 2.9, 20), Exponential(-0.1, -8.0, 3.0, 15)),
    "other exponential": (Exponential(1.0, 5.0, 1.0, 20), LINEAR),
    "double-ideal": (Ideal(), None),
    **{f"double-curved-{nu}": (curved(nu), LINEAR) for nu in (2.77, -4.0, 0.001)},
    "table": (Table([0, 1, 3, 4, 9.5, 20], [2.742, 2.6, 2.5, 2.49, 2.3, 2.175]), LINEAR),
    "longer table": (
        Table(range(10), [2.742, 2.73, 2.68, 2.6, 2.55, 2.45, 2.44, 2.3, 2.2, 2.175]),
        LINEAR,
    ),
}


def philox_words(seed, count, step, layer, draw, part=0):
    """[4, ceil(count / 4)] random 32-bit words."""
    with np.errstate(over="ignore"):
        block = np.arange((count + 3) // 4, dtype=np.uint64)
        c = [block] + [np.full_like(block, v) for v in (step, layer * 256 + draw, part)]
        k = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
        mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
        for _ in range(10):
            p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
            c = [(p1 >> half) ^ c[1] ^ k[0], p1 & mask, (p0 >> half) ^ c[3] ^ k[1], p0 & mask]
            k = [(k[0] + np.uint64(0x9E3779B9)) & mask, (k[1] + np.uint64(0xBB67AE85)) & mask]
    return np.stack(c).astype(np.float64)


def normal(shape, *address):
    count = int(np.prod(shape))
    a, b, c, d = philox_words(address[0], count, *address[1:])
    numbers = []
    for u, v in ((a, b), (c, d)):
        radius, angle = np.sqrt(-2 * np.log((u + 0.5) / 2**32)), 2 * np.pi * v / 2**32
        numbers += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.concatenate(numbers)[:count].reshape(shape)


def uniform(shape, *address):
    count = int(np.prod(shape))
    words = philox_words(address[0], count, *address[1:])
    return ((words + 0.5) / 2**31 - 1).reshape(-1)[:count].reshape(shape)


@dataclass
class Physics:
    """The parameters of reading and writing devices; arbitrary units of the Hall voltage.

    lr: pulses per unit of gradient; var: relative spread of the slope factors; sigma_r, sigma_v:
    read noise of a device and noise on every output voltage; clipping: smallest pulse, pulses;
    sigma_w: write noise, fraction of the range per square root of a pulse.
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


class Network:
    """One network of device pairs; `sizes` = (inputs, hidden ..., classes).

    active: the inputs that are not zero in every training image; the others are never written, and
    no write noise is drawn for them. tested: active and then those that are not zero in test images
    alone; no read noise is drawn for the others. Either is all inputs if it is None.
    """

    def __init__(self, sizes, field, seed, physics, active=None, tested=None):
        self.physics = physics
        self.active = np.arange(sizes[0]) if active is None else active
        self.tested = np.arange(sizes[0]) if tested is None else tested
        self.device, self.partner = DEVICES[field]
        self.seed, self.input_scale = seed, physics.input_scale
        self.step = 0
        self.losses, self.gradients = [], []  # of each batch; of the last one, by layer
        self.costs = []  # of each layer: pulses, writes, dropped requests, refreshed pairs
        self.worn1, self.worn2, self.refreshed = [], [], []
        self.w1, self.w2, self.v1, self.v2, self.mean, self.var = [], [], [], [], [], []
        for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
            shape = (n_out, n_in)
            self.w1.append(np.full(shape, self.device.top - physics.init))
            u = physics.init * uniform(shape, seed, 0, layer, FRESH)
            self.w2.append(self.device.top - physics.init - u)
            self.v1.append(abs(1 + physics.var * normal(shape, seed, 0, layer, SLOPE_1)))
            self.v2.append(abs(1 + physics.var * normal(shape, seed, 0, layer, SLOPE_2)))
            self.costs.append(np.zeros(4))
            for worn in (self.worn1, self.worn2, self.refreshed):
                worn.append(np.zeros(shape))
            self.mean.append(np.zeros(n_out))
            self.var.append(np.ones(n_out))

    def output(self, current, layer, draw, part=0):
        """V = I W^T + noise; current [batch, in], returns [batch, out]."""
        weight = self.w2[layer] - self.w1[layer]
        if self.physics.device_noise:
            weight = weight + self.inference_noise(layer, draw, part)
        voltage = current @ weight.T
        noise = normal(voltage.T.shape, self.seed, self.step, layer, draw, part).T
        return voltage + self.physics.sigma_v * noise

    def inference_noise(self, layer, draw, part):
        """Noise of both devices together, one draw for all samples of the batch."""
        n_out, n_in = self.w1[layer].shape
        noise = np.zeros((n_out, n_in))
        inputs = self.active if draw == VOLTAGE else self.tested
        columns = inputs if layer == 0 else np.arange(n_in)
        draw = DEVICE if draw == VOLTAGE else DEVICE_TEST
        shape = (n_out, len(columns))
        noise[:, columns] = normal(shape, self.seed, self.step, layer, draw, part)
        return 2**0.5 * self.physics.sigma_r * noise

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
        device, partner = DEVICES[field]
        self.read_through(device)
        self.device, self.partner = device, partner

    def read_through(self, other):
        """Every device keeps its pulses; the input scale makes up for the other range."""
        for name in ("w1", "w2"):
            voltages = [other.voltage(self.device.pulses(w)) for w in getattr(self, name)]
            setattr(self, name, voltages)
        ratio = (self.device.top - self.device.bottom) / (other.top - other.bottom)
        self.input_scale = self.input_scale * ratio

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
                shape = self.w1[layer].shape
                # Both devices' noises together: the difference of two normal numbers.
                noise = 2**0.5 * normal(shape, self.seed, self.step, layer, READ)
                read = self.w2[layer] - self.w1[layer] + self.physics.sigma_r * noise
                g = self.input_scale * (g @ read) * (normalised[layer - 1] > 0)
        for layer, gradient in enumerate(gradients):
            self.update(layer, gradient)
        self.step += 1
        self.losses.append(loss)
        self.gradients = gradients
        return loss, gradients

    def update(self, layer, gradient):
        top, bottom = self.device.top, self.device.bottom
        w = [self.w1[layer], self.w2[layer]]
        if self.device.ends:
            w = [np.clip(each, bottom, top) for each in w]
        errors = self.write_noise(layer, gradient)
        slopes, own_gradients = (self.v1[layer], self.v2[layer]), (-gradient, gradient)
        for k in (0, 1):
            pulses = self.physics.lr * abs(own_gradients[k]) * slopes[k]
            if self.physics.physical_clipping:
                pulses = pulses * (1 - np.exp(-pulses / 0.18))
            pulses[own_gradients[k] < 0] = 0
            too_small = (pulses > 0) & (pulses < self.physics.clipping)
            pulses[too_small] = 0
            self.costs[layer][:3] += pulses.sum(), np.count_nonzero(pulses), too_small.sum()
            (self.worn1, self.worn2)[k][layer] += pulses
            w[k] = self.device.voltage(self.device.pulses(w[k]) + pulses)
            w[k] = w[k] + errors * np.sqrt(pulses)
        w1, w2 = w
        before = w1.copy(), w2.copy()
        if self.device.ends:
            end = w1 <= bottom
            w1[end], w2[end] = (bottom - (w2 - top))[end], top
            end = w2 <= bottom
            w2[end], w1[end] = (bottom - (w1 - top))[end], top
        self.w1[layer], self.w2[layer] = w1, w2
        changed = (w1 != before[0]) | (w2 != before[1])  # one that changes nothing is none
        self.costs[layer][3] += changed.sum()
        self.refreshed[layer] += changed

    def write_noise(self, layer, gradient):
        """Error of a write, per square root of a pulse."""
        noise = np.zeros(gradient.shape)
        columns = self.active if layer == 0 else np.arange(gradient.shape[1])
        shape = (len(gradient), len(columns))
        noise[:, columns] = normal(shape, self.seed, self.step, layer, WRITE)
        return self.physics.sigma_w * (self.device.top - self.device.bottom) * noise
