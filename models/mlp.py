"""An ensemble of multilayer perceptrons on device pairs, all trained side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices.pair import PairArray
from devices.streams import Draw, Stream
from models.noisy_pair import NoisyPairProduct

EPS = 1e-5  # not negligible: voltages are of order 1e-3, so it sets their scale
MOMENTUM = 0.15


class BatchNorm(nn.Module):
    """Batch normalisation of [model, feature, batch] voltages, without affine parameters.

    Buffers `running_mean`, `running_var`: [model, feature]. A training batch of a single sample
    has no variance: it gives zeros and leaves the running statistics as they are.
    """

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


class MLP(nn.Module):
    """n_models perceptrons: pairs, batch normalisation and ReLU, over and over; no ReLU at the end.

    Inputs are columns: [in, batch]. The ensemble shares each batch of inputs; everything else has
    a leading model dimension. Every network draws its noise from the stream of its own seed.

    arrays: the pairs of each layer; dark: further pairs of the first layer, on inputs that are
    zero in the whole training set. Such pairs get no gradient, so no pulse: training leaves them
    out, and testing counts the first `n_dark_tested` of them in.
    """

    def __init__(
        self,
        arrays: Sequence[PairArray],
        dark: PairArray,
        n_dark_tested: int,
        seed: Tensor,
        voltage_noise: Tensor,
        resistor_noise: Tensor,
        input_scale: float,
    ):
        super().__init__()
        self.arrays, self.dark = nn.ModuleList(arrays), dark
        self.n_dark_tested, self.input_scale = n_dark_tested, input_scale
        self.norms = nn.ModuleList(
            BatchNorm(array.weight.new_zeros(shape), array.weight.new_ones(shape))
            for array in arrays
            for shape in [array.weight.shape[:2]]
        )
        self.register_buffer("seed", seed)  # int64 [model]
        self.register_buffer("voltage_noise", noise_or_none(voltage_noise))  # [model, 1, 1]
        self.register_buffer("resistor_noise", noise_or_none(resistor_noise))

    def forward(self, current: Tensor, step: Tensor, part: Tensor, *weights: Tensor) -> Tensor:
        """Output voltages, normalised: [model, class, batch].

        current: [in, batch], input_scale times the pixels; step, part: int64 scalars that address
        the noise; weights: [model, out, in] of each layer.
        """
        draw = Draw.VOLTAGE if self.training else Draw.TEST
        for layer, (weight, norm) in enumerate(zip(weights, self.norms, strict=True)):
            stream = Stream(self.seed, step, part, layer)
            voltage = NoisyPairProduct.apply(
                weight, current, self.voltage_noise, self.resistor_noise, stream, draw
            )
            voltage = norm(voltage)
            current = self.input_scale * F.relu(voltage)
        return voltage

    @cached_property
    def structure(self) -> Hashable:
        """What a program compiled for this network depends on, beside the shapes of its inputs."""
        noises = (self.voltage_noise is None, self.resistor_noise is None)
        shapes = tuple(array.weight.shape for array in self.arrays)
        return self.dark.mixture.distinct, noises, shapes, self.input_scale, self.seed.device

    @cached_property
    def state(self) -> tuple[Tensor, ...]:
        """All buffers; they only ever change in place."""
        return tuple(self.buffers())

    @property
    def weights(self) -> list[Tensor]:
        """W = w2 - w1 of each layer, as trained: [model, out, in]."""
        return [array.weight for array in self.arrays]

    def test_weights(self, relaxed: bool = False) -> list[Tensor]:
        """The same, with the dark inputs that the test images light; or under the other field."""
        arrays = [self.dark, *self.arrays]
        if relaxed:
            dark, first, *rest = (array.relaxed_weight() for array in arrays)
        else:
            dark, first, *rest = (array.weight for array in arrays)
        return [torch.cat([first, dark[..., : self.n_dark_tested]], dim=-1), *rest]


def noise_or_none(sigma: Tensor) -> Tensor | None:
    """sigma [model] as [model, 1, 1]; None if it is zero throughout, so that nothing is drawn."""
    return sigma[:, None, None] if bool(sigma.any()) else None
