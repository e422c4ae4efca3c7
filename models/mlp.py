"""An ensemble of multilayer perceptrons on device pairs, all trained side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices.noise import Draw, Stream
from devices.pair import PairArray
from devices.responses import Response
from models.batch_norm import BatchNorm
from models.first_layer import FirstCurrents, FirstInputs, first_layer
from models.kernels.load import kernels_in_use
from models.noisy_pair import Conditions, NetworkPhysics
from models.pair_layer import PairLayer


@dataclass(frozen=True)
class Activity:
    """What a batch does in a network.

    currents: into each layer of pairs, those into the first as they were given, the others [model,
    in, batch]; voltages: out of each, [model, out, batch]; output: the last ones, normalised.
    """

    currents: list
    voltages: list[Tensor]
    output: Tensor


class MLP(nn.Module):
    """n_models perceptrons: pairs, batch normalisation and ReLU, over and over; no ReLU at the end.

    The ensemble shares each batch of inputs; everything else has a leading model dimension. Every
    network draws its noise from the stream of its own seed, int64 [model].
    """

    layers: Sequence[PairLayer]
    norms: Sequence[BatchNorm]
    seed: Tensor

    def __init__(
        self, layers: Sequence[PairLayer], physics: NetworkPhysics, seed: Tensor, input_scale: float
    ):
        super().__init__()
        self.layers = nn.ModuleList(layers)  # pyright: ignore[reportAttributeAccessIssue]
        self.physics = physics
        self.input_scale = input_scale
        shapes = [(len(seed), layer.n_outputs) for layer in layers]
        new = layers[0].weight
        norms = (BatchNorm(new.new_zeros(shape), new.new_ones(shape)) for shape in shapes)
        self.norms = nn.ModuleList(norms)  # pyright: ignore[reportAttributeAccessIssue]
        self.register_buffer("seed", seed, persistent=False)

    def propagate(
        self, current: FirstCurrents, step: Tensor, part: Tensor, weights: Sequence[Tensor]
    ) -> Activity:
        """Send a batch through all layers.

        current: for the first layer, input_scale times the pixels; step, part: int64 scalars that
        address the noise; weights: of each layer, arranged as its pairs, in tests as they are read.
        """
        draw = Draw.VOLTAGE if self.training else Draw.TEST
        currents, voltages, normalised = [], [], torch.empty(0)
        layers = zip(self.layers, self.norms, weights, strict=True)
        for number, (layer, norm, weight) in enumerate(layers):
            conditions = Conditions(self.physics, Stream(self.seed, step, part, number), draw)
            voltage = layer.voltage(weight, current, conditions)
            if torch.is_grad_enabled():
                voltage.requires_grad_()  # dL/dV is what all gradients of a layer follow from
            currents.append(current)
            voltages.append(voltage)
            normalised = norm(voltage)
            # The scale, which is positive, first: so nothing but the current is kept.
            current = F.relu(self.input_scale * normalised)
        return Activity(currents, voltages, normalised)

    def forward(
        self, current: FirstCurrents, step: Tensor, part: Tensor, *weights: Tensor
    ) -> Tensor:
        """Output voltages, normalised: [model, class, batch]; see `propagate`."""
        return self.propagate(current, step, part, weights).output

    @property
    def structure(self) -> Hashable:
        """What a program compiled for this network depends on, beside the shapes of its inputs.

        Of the devices this is the family: their constants are inputs of the program.
        """
        first = self.layers[0].pairs
        layers = tuple((layer.kind, layer.weight.shape) for layer in self.layers)
        kinds = tuple(kernels_in_use(self.seed.device).values())
        family = first.responses.structure
        return family, self.physics.structure, layers, self.input_scale, self.seed.device, kinds

    @property
    def state(self) -> tuple[Tensor, ...]:
        """All buffers."""
        return tuple(self.buffers())

    @property
    def weights(self) -> list[Tensor]:
        """W = w2 - w1 of each layer, as trained."""
        return [layer.weight for layer in self.layers]

    @property
    def n_pairs(self) -> int:
        """Pairs of one network, those on inputs that are always zero among them."""
        return sum(layer.n_pairs for layer in self.layers)

    def test_weights(self, others: Sequence[Response | None] | None = None) -> list[Tensor]:
        """Weights of each layer as tests read them.

        others: under which responses, None for those under which the networks are trained.
        """
        return [layer.test_weight(others) for layer in self.layers]

    def test_readings(
        self,
        weights: Sequence[Tensor],
        step: Tensor,
        part: Tensor,
        others: Sequence[Response | None] | None = None,
    ) -> list[Tensor]:
        """`test_weights` as inference reads them for one batch: with noise where there is any.

        step, part: int64 scalars that address it.
        """
        sigma = self.physics.device_noise
        if sigma is None:
            return list(weights)
        # Under the other field, the ratio of the input scales is carried by weights and noise.
        scale = 1.0 if others is None else self.layers[0].pairs.switched_scale(others)
        noises = (
            layer.test_noise(sigma, Stream(self.seed, step, part, number))
            for number, layer in enumerate(self.layers)
        )
        return [weight + scale * noise for weight, noise in zip(weights, noises, strict=True)]


def fresh_layers(
    responses: Sequence[Response],
    sizes: Sequence[int],
    inputs: FirstInputs,
    init: float,
    variability: Tensor,
    seed: Tensor,
) -> list[PairLayer]:
    """Newly made layers of pairs, of so many outputs each, the first one for such inputs.

    responses: that of each network, all of one family, else ValueError; init: half-width of the
    fresh weights (arb. u.); variability: sigma_device, float32 [model]; seed: int64 [model].
    """
    start = torch.zeros((), dtype=torch.int64, device=seed.device)
    pairs, n_inputs = [], inputs.active_inputs.total
    for layer, n_outputs in enumerate(sizes):
        stream = Stream(seed, start, start, layer)
        shape = n_outputs, n_inputs
        pairs.append(PairArray.fresh(responses, shape, init, variability[:, None, None], stream))
        n_inputs = n_outputs
    return [first_layer(pairs[0], inputs), *map(PairLayer, pairs[1:])]
