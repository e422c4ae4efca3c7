"""An ensemble of multilayer perceptrons on device pairs, all trained side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devices.noise import Draw, Stream
from devices.pair import Devices, PairArray
from devices.responses import Response
from models.batch_norm import BatchNorm
from models.first_layer import FirstCurrents, FirstInputs, first_layer
from models.kernels.load import kernels_in_use
from models.noisy_pair import Conditions, NetworkPhysics
from models.pair_layer import PairLayer
from utils.compute.programs import CompilableModule


@dataclass(frozen=True)
class Activity:
    """The currents and voltages of a batch in all layers of a network.

    currents: the currents into each layer of pairs, as given for the first layer, [model, in,
    batch] for the others; voltages: the voltages out of each layer, [model, out, batch]; output:
    the normalised voltages of the last layer.
    """

    currents: list
    voltages: list[Tensor]
    output: Tensor


class MLP(CompilableModule):
    """n_models perceptrons: layers of pairs, batch normalisation and ReLU; no ReLU after the last.

    The networks share each batch of inputs; everything else has a leading model dimension. Every
    network draws its noise from the stream of its seed; seed: int64 [model].
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

        current: the first layer's, input_scale times the pixels; step, part: int64 scalars that
        address the noise; weights: one for each layer, in the order of its pairs; in tests with
        the read noise.
        """
        draw = Draw.VOLTAGE if self.training else Draw.TEST
        currents, voltages, normalised = [], [], torch.empty(0)
        layers = zip(self.layers, self.norms, weights, strict=True)
        for number, (layer, norm, weight) in enumerate(layers):
            conditions = Conditions(self.physics, Stream(self.seed, step, part, number), draw)
            voltage = layer.voltage(weight, current, conditions)
            if torch.is_grad_enabled():
                voltage.requires_grad_()  # all gradients of a layer follow from dL/dV
            currents.append(current)
            voltages.append(voltage)
            normalised = norm(voltage)
            # The scale, which is positive, comes first, so that only the current stays in memory.
            current = F.relu(self.input_scale * normalised)
        return Activity(currents, voltages, normalised)

    def forward(
        self, current: FirstCurrents, step: Tensor, part: Tensor, *weights: Tensor
    ) -> Tensor:
        """Output voltages, normalised: [model, class, batch]; see `propagate`."""
        return self.propagate(current, step, part, weights).output

    @property
    def structure(self) -> Hashable:
        """What a program compiled for this network depends on, besides the shapes of its inputs.

        The family of the devices is part of it; their constants are inputs of the program.
        """
        first = self.layers[0].pairs
        layers = tuple((layer.structure, layer.weight.shape) for layer in self.layers)
        kernels = tuple(kernels_in_use(self.seed.device).values())
        return (
            first.structure,
            self.physics.structure,
            layers,
            self.input_scale,
            self.seed.device,
            kernels,
        )

    @property
    def state(self) -> tuple[Tensor, ...]:
        """All buffers of the networks."""
        return tuple(self.buffers())

    @property
    def weights(self) -> list[Tensor]:
        """W = w2 - w1 of each layer, as trained."""
        return [layer.weight for layer in self.layers]

    @property
    def n_pairs(self) -> int:
        """Number of pairs of one network, including those on inputs that are always zero."""
        return sum(layer.n_pairs for layer in self.layers)

    def test_weights(self, responses: Sequence[Response | None] | None = None) -> list[Tensor]:
        """Return the weights of each layer for tests, without read noise.

        responses: those through which devices are read; None for those of training.
        """
        return [layer.test_weight(responses) for layer in self.layers]

    def test_readings(
        self,
        weights: Sequence[Tensor],
        step: Tensor,
        part: Tensor,
        responses: Sequence[Response | None] | None = None,
    ) -> list[Tensor]:
        """Return `test_weights` as inference reads them for one batch: with read noise, if any.

        step, part: int64 scalars that address the noise.
        """
        sigma = self.physics.device_noise
        if sigma is None:
            return list(weights)
        # Under the other field, weights and noise contain the ratio of the input scales.
        scale = 1.0 if responses is None else self.layers[0].pairs.relaxed_scale(responses)
        noises = (
            layer.test_noise(sigma, Stream(self.seed, step, part, number))
            for number, layer in enumerate(self.layers)
        )
        return [weight + scale * noise for weight, noise in zip(weights, noises, strict=True)]


def fresh_layers(
    devices: Devices,
    sizes: Sequence[int],
    inputs: FirstInputs,
    init: Tensor,
    variability: Tensor,
    seed: Tensor,
) -> list[PairLayer]:
    """Make the layers of fresh networks.

    devices: of one family, otherwise ValueError is raised; sizes: the numbers of outputs of the
    layers; inputs: the inputs of the first layer; init: half-width of the fresh weights (arb. u.),
    variability: sigma_device, float32 [model]; seed: int64 [model].
    """
    start = torch.zeros((), dtype=torch.int64, device=seed.device)
    spreads = init[:, None, None], variability[:, None, None]
    pairs, n_inputs = [], inputs.active_inputs.total
    for layer, n_outputs in enumerate(sizes):
        stream = Stream(seed, start, start, layer)
        shape = n_outputs, n_inputs
        pairs.append(PairArray.fresh(devices, shape, *spreads, stream))
        n_inputs = n_outputs
    return [first_layer(pairs[0], inputs), *map(PairLayer, pairs[1:])]
