"""An ensemble of multilayer perceptrons on device pairs, all trained side by side."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices.library import Device
from devices.noise import Draw, Stream
from devices.pair import PairArray
from devices.responses import Response
from models.batch_norm import BatchNorm
from models.currents import Currents, Pixels
from models.matmul import kernels
from models.noisy_pair import NoisyPairProduct
from models.sparse_matmul import SparseBatch, to_blocks


class MLP(nn.Module):
    """n_models perceptrons: pairs, batch normalisation and ReLU, over and over; no ReLU at the end.

    Inputs are columns: [in, batch]; or sparse, and the pairs of the first layer then stand in
    blocks: see models.sparse_matmul. The ensemble shares each batch of inputs; everything else has
    a leading model dimension. Every network draws its noise from the stream of its own seed.

    arrays: the pairs of each layer; dark: further pairs of the first layer, on inputs that are
    zero in the whole training set. Such pairs get no gradient, so no pulse: training leaves them
    out, and testing counts the first `pixels.n_dark_tested` of them in. partners: of each network,
    the response under which its devices are read after field relaxation, None if it has none.
    gain: by which the input scale of each has changed since the field was switched while it
    learned, [model, 1, 1]; None as long as that has happened to none.
    """

    def __init__(
        self,
        arrays: Sequence[PairArray],
        dark: PairArray,
        pixels: Pixels,
        partners: Sequence[Response | None],
        seed: Tensor,
        voltage_noise: Tensor,
        resistor_noise: Tensor,
        input_scale: float,
        in_blocks: bool = False,
        device_noise: Tensor | None = None,
    ):
        super().__init__()
        self.arrays, self.dark, self.partners = nn.ModuleList(arrays), dark, partners
        self.pixels, self.input_scale, self.in_blocks = pixels, input_scale, in_blocks
        # The first layer's dark pairs never stand in blocks: they tell its number of outputs.
        shapes = [array.weight.shape[:2] for array in (dark, *arrays[1:])]
        self.norms = nn.ModuleList(
            BatchNorm(dark.weight.new_zeros(shape), dark.weight.new_ones(shape)) for shape in shapes
        )
        self.register_buffer("seed", seed, persistent=False)  # int64 [model]
        device_noise = torch.zeros_like(resistor_noise) if device_noise is None else device_noise
        for name, sigma in (
            ("voltage_noise", voltage_noise),
            ("resistor_noise", resistor_noise),
            ("device_noise", device_noise),
        ):
            self.register_buffer(name, noise_or_none(sigma), persistent=False)  # [model, 1, 1]
        self.register_buffer("gain", None, persistent=False)

    @classmethod
    def fresh(
        cls,
        devices: Sequence[Device],
        hidden: Sequence[int],
        currents: Currents,
        init: float,
        variability: Tensor,
        seed: Tensor,
        voltage_noise: Tensor,
        resistor_noise: Tensor,
        input_scale: float,
        device_noise: Tensor | None = None,
    ) -> MLP:
        """Newly made networks, `devices` being that of each.

        variability, voltage_noise, resistor_noise (of a device in the backward pass), device_noise
        (the same in inference; None for none): float32 [model]; seed: int64 [model]. Raises
        ValueError where the devices are not all of one family.
        """
        start = torch.zeros((), dtype=torch.int64, device=seed.device)
        responses = [device.response for device in devices]
        sizes = [currents.n_inputs, *hidden, currents.n_classes]
        first, *rest = (
            PairArray.fresh(
                responses,
                (n_out, n_in),
                init,
                variability[:, None, None],
                Stream(seed, start, start, layer),
            )
            for layer, (n_in, n_out) in enumerate(pairwise(sizes))
        )
        pixels = currents.pixels
        lit, dark = (first.columns(index.to(seed.device)) for index in (pixels.lit, pixels.dark))
        in_blocks = currents.light is not None
        if in_blocks:
            lit = lit.rearranged(to_blocks)
        noises = voltage_noise, resistor_noise
        return cls(
            [lit, *rest],
            dark,
            pixels,
            partners_of(devices),
            seed,
            *noises,
            input_scale,
            in_blocks,
            device_noise,
        )

    def answer_by(self, devices: Sequence[Device], gain: Tensor | None) -> None:
        """Pairs answer as these devices, one for each network, whatever their voltages are now."""
        for array in self.all_arrays:
            array.answer_by([device.response for device in devices])
        self.partners, self.gain = partners_of(devices), gain
        for cached in ("structure", "state"):
            self.__dict__.pop(cached, None)

    def forward(
        self,
        current: Tensor | SparseBatch,
        step: Tensor,
        part: Tensor,
        *weights: Tensor,
        seen: list[tuple[Tensor | SparseBatch, Tensor]] | None = None,
    ) -> Tensor:
        """Output voltages, normalised: [model, class, batch].

        current: [in, batch], or sparse, input_scale times the pixels; step, part: int64 scalars
        that address the noise; weights: of each layer, [model, out, in], or in blocks, in testing
        as they are read; seen: takes what goes into each layer of pairs, and the voltages
        [model, out, batch] that come out.
        """
        draw = Draw.VOLTAGE if self.training else Draw.TEST
        misreads = self.training and self.device_noise is not None
        for layer, (weight, norm) in enumerate(zip(weights, self.norms, strict=True)):
            stream = Stream(self.seed, step, part, layer)
            if isinstance(current, SparseBatch):
                current = current.into(norm.running_mean.shape[1])
            voltage = NoisyPairProduct.apply(
                weight,
                current,
                self.voltage_noise,
                self.resistor_noise,
                stream,
                draw,
                self.gain,
                self.misread(Draw.DEVICE, stream) if misreads else None,
            )
            if seen is not None:
                seen.append((current, voltage))
            voltage = norm(voltage)
            # The scale, which is positive, first: so nothing but the current is kept.
            current = F.relu(self.input_scale * voltage)
        return voltage

    def misread(self, draw: Draw, stream: Stream, n_dark: int = 0) -> Tensor:
        """By how much inference misreads the pairs of a layer, e2 - e1, arranged as its weights.

        Both devices of a pair together: one normal number of sqrt(2) sigma_r. n_dark: inputs that
        come after those that are trained.
        """
        array = self.arrays[stream.layer]
        n_outputs, n_inputs = array.shape
        numbers = array.arranged(stream.normal(draw, (n_outputs, n_inputs + n_dark)))
        return math.sqrt(2) * self.device_noise * numbers.to(self.device_noise)

    @cached_property
    def structure(self) -> Hashable:
        """What a program compiled for this network depends on, beside the shapes of its inputs.

        Of the devices this is the family: their constants are inputs of the program.
        """
        sigmas = (self.voltage_noise, self.resistor_noise, self.device_noise)
        noises = tuple(sigma is None for sigma in sigmas)
        shapes = tuple(array.weight.shape for array in self.arrays)
        kinds = self.in_blocks, *kernels(self.seed.device).values()
        device = self.dark.responses.structure, self.gain is None
        return device, noises, shapes, self.input_scale, self.seed.device, kinds

    @cached_property
    def state(self) -> tuple[Tensor, ...]:
        """All buffers; they only ever change in place."""
        return tuple(self.buffers())

    @property
    def all_arrays(self) -> list[PairArray]:
        """The pairs of all layers, those on dark inputs first."""
        return [self.dark, *self.arrays]

    @property
    def weights(self) -> list[Tensor]:
        """W = w2 - w1 of each layer, as trained: [model, out, in], or in blocks."""
        return [array.weight for array in self.arrays]

    @property
    def n_pairs(self) -> int:
        """Pairs of one network, those on dark inputs included."""
        n_outputs, n_inputs = self.dark.weight.shape[1], self.pixels.total
        return n_outputs * n_inputs + sum(array.weight[0].numel() for array in self.arrays[1:])

    def test_weights(self, relaxed: bool = False) -> list[Tensor]:
        """The same, with the dark inputs that the test images light; or under the other field."""
        if relaxed:
            dark, first, *rest = (a.switched_weight(self.partners) for a in self.all_arrays)
        else:
            dark, first, *rest = (array.weight for array in self.all_arrays)
        dark = dark[..., : self.pixels.n_dark_tested]
        if not self.in_blocks:
            return [torch.cat([first, dark], dim=-1), *rest]
        if dark.shape[-1] > 0:  # first and dark, [model, block, in, 32]
            n_lit, n_dark = len(self.pixels.lit), dark.shape[-1]
            parts = first.unflatten(1, (-1, n_lit)), to_blocks(dark).unflatten(1, (-1, n_dark))
            first = torch.cat(parts, dim=2).flatten(1, 2)
        return [first, *rest]

    def test_readings(
        self, weights: Sequence[Tensor], step: Tensor, part: Tensor, relaxed: bool = False
    ) -> Sequence[Tensor]:
        """`test_weights` as inference reads them for one batch: the same without device noise.

        step, part: as of `forward`.
        """
        if self.device_noise is None:
            return weights
        # Under the other field, the ratio of the input scales is carried by weights and noise.
        gain = self.dark.switched_gain(self.partners) if relaxed else 1.0
        n_dark, readings = self.pixels.n_dark_tested, []
        for layer, weight in enumerate(weights):
            stream = Stream(self.seed, step, part, layer)
            misread = self.misread(Draw.DEVICE_TEST, stream, n_dark if layer == 0 else 0)
            readings.append(weight + gain * misread)
        return readings


def partners_of(devices: Sequence[Device]) -> list[Response | None]:
    """What each is read through after field relaxation."""
    return [device.partner and device.partner.response for device in devices]


def noise_or_none(sigma: Tensor) -> Tensor | None:
    """sigma [model] as [model, 1, 1]; None if it is zero throughout, so that nothing is drawn."""
    return sigma[:, None, None] if bool(sigma.any()) else None
