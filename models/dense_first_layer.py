"""The first layer with dense inputs: pairs on inputs that are always zero are not trained.

Such inputs get no gradient, so their pairs receive no pulse. Tests include those that are active
in some test image. See models.first_layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from devices.ledger import total
from devices.noise import Draw, Stream
from devices.pair import PairArray
from devices.programming import clamp, is_refreshed, refresh
from devices.responses import Response
from models.active_inputs import ActiveInputs
from models.pair_layer import PairLayer


class DenseFirstLayer(PairLayer):
    """The first layer of pairs, with dense inputs.

    pairs: the pairs on active inputs; always_zero: the pairs on inputs that are always zero, which
    no mini-batch changes. Buffer `refreshes`, int32 [model, out, in]: how often the latter were
    refreshed.
    """

    refreshes: Tensor

    def __init__(self, pairs: PairArray, always_zero: PairArray, inputs: ActiveInputs):
        super().__init__(pairs)
        self.always_zero, self.inputs = always_zero, inputs
        self.n_outputs, self.n_inputs = always_zero.weight.shape[1], len(inputs.active)
        refreshes = torch.zeros_like(always_zero.weight, dtype=torch.int32)
        self.register_buffer("refreshes", refreshes)

    @property
    def arrays(self) -> list[PairArray]:
        return [self.always_zero, self.pairs]

    @property
    def n_pairs(self) -> int:
        return self.n_outputs * self.inputs.total

    def loaded(self) -> None:
        super().loaded()
        self.always_zero.put(self.always_zero.state)

    def close_epoch(self) -> Tensor:
        """Bring the pairs on inputs that are always zero back into their range.

        They are never written, but a switch of the field may have left some beyond their range.
        """
        pairs = self.always_zero
        used = clamp(pairs.state, pairs.responses)
        after = refresh(used, pairs.responses)
        pairs.put(after)
        pulses = torch.zeros_like(pairs.weight)
        refreshed = is_refreshed(used, after, pulses, pairs.responses.lowest)
        self.refreshes += refreshed
        return total(refreshed, torch.int32)

    def test_weight(self, responses: Sequence[Response | None] | None = None) -> Tensor:
        """Return the weight on the inputs of tests: the active ones, then those of tests alone.

        responses: see `PairLayer.test_weight`.
        """
        untrained = self.always_zero.weight
        if responses is not None:
            untrained = self.always_zero.relaxed_weight(responses)
        trained = super().test_weight(responses)
        return self.join_tested(trained, untrained[..., : self.inputs.n_tested])

    def join_tested(self, active: Tensor, further: Tensor) -> Tensor:
        """Join the weight on active inputs and the weight on further inputs, [model, out, in]."""
        return torch.cat([active, further], dim=-1)

    def test_noise(self, sigma: Tensor, stream: Stream) -> Tensor:
        shape = self.n_outputs, len(self.inputs.tested)
        return sigma * self.arrange(stream.normal(Draw.DEVICE_TEST, shape)).to(sigma)

    def arrange(self, values: Tensor) -> Tensor:
        """Return values [model, out, in] in the order in which the pairs are stored."""
        return values

    def disarrange(self, values: Tensor) -> Tensor:
        """Return values [out, active] from one network's values in the order of the pairs."""
        return values

    def record(self, name: str, model: int) -> Tensor:
        active, always_zero = getattr(self.pairs, name), getattr(self.always_zero, name)
        if always_zero is None:  # without a gradient, nothing is accumulated
            always_zero = torch.zeros_like(self.always_zero.weight)
        return self.inputs.join(self.disarrange(active[model].cpu()), always_zero[model].cpu())

    def wear(self, name: str, model: int, values: Tensor) -> Tensor:
        always_zero = self.refreshes[model].cpu().to(values.dtype)
        if name != "refreshes":  # such pairs receive no pulse
            always_zero = torch.zeros_like(always_zero)
        return self.inputs.join(self.disarrange(values.cpu()), always_zero)

    def load(self, model: int, weight1: Tensor, weight2: Tensor) -> None:
        for name, weight in (("weight1", weight1), ("weight2", weight2)):
            getattr(self.always_zero, name)[model] = weight[:, self.inputs.always_zero]
            active = weight[:, self.inputs.active]
            getattr(self.pairs, name)[model] = self.arrange(active[None])[0]
        self.loaded()
