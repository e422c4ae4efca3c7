"""One weight is a pair of devices, W = w2 - w1; the pairs of a layer, in every network at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from devices.lookup import Tables
from devices.noise import Draw, Stream
from devices.responses import Response, Table


class Constants(nn.Module):
    """The constants of a family as buffers, float32 [model, 1, 1], under their own names."""

    shape: tuple = ()  # what compiled programs depend on, beside the family

    def __init__(self, each: Sequence[Response], device: torch.device | None = None):
        super().__init__()
        self.family = type(each[0])
        self.names = [one.name for one in fields(self.family) if one.type == "float"]
        for name in self.names:
            values = per_network((getattr(response, name) for response in each), device)
            self.register_buffer(name, values, persistent=False)

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        constants = {name: getattr(self, name) for name in self.names}
        return self.family(**constants).after(voltage, pulses)


IN_NETWORKS = {Table: Tables}  # families that are not computed from constants alone


class Responses(nn.Module):
    """The responses of the networks of an ensemble, all of one family.

    Their constants are buffers, so that networks with different constants train side by side, and
    share one compiled program; so are, float32 [model, 1, 1], `w_max` and the limits of the range,
    `lowest` and `highest`, each rounded once from its exact value. Raises ValueError where families
    differ.
    """

    def __init__(self, each: Sequence[Response], device: torch.device | None = None):
        """each: the response of each network, with numbers as constants."""
        super().__init__()
        self.each, self.family = tuple(each), type(each[0])
        if any(type(response) is not self.family for response in each):
            raise ValueError("networks of different families are different ensembles")
        self.equation = IN_NETWORKS.get(self.family, Constants)(each, device)
        for name in ("w_max", "lowest", "highest"):
            values = per_network((getattr(response, name) for response in each), device)
            self.register_buffer(name, values, persistent=False)

    @property
    def structure(self) -> Hashable:
        """What a compiled program depends on."""
        return self.family, self.equation.shape

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """As of Response, of [model, out, in]."""
        return self.equation.after(voltage, pulses)


def per_network(values: Iterable[float], device: torch.device | None) -> Tensor:
    """One number for each network: float32 [model, 1, 1]."""
    return torch.tensor(list(values), dtype=torch.float32, device=device)[:, None, None]


def ratio(mine: Response, other: Response | None) -> float:
    """By how much the input scale grows when the field is switched from one response to another."""
    return 1.0 if other is None else mine.span / other.span


class PairArray(nn.Module):
    """The pairs of one layer, in every network of an ensemble.

    responses: that of each network. Buffers, float [model, out, in]: `weight1`, `weight2` Hall
    voltages of the two devices (arb. u.); `slope1`, `slope2` their slope factors; `weight` =
    weight2 - weight1, kept at hand since every forward pass needs it. (Or in another order: see
    `rearranged`.) Of these the voltages alone are part of the state: the slopes follow from the
    seed. Pairs in parts also have `settled`, bool [model, part]: of which parts it is known that an
    update without a pulse leaves them as they are, so that it need not look at them.
    """

    def __init__(
        self,
        responses: Sequence[Response],
        weight1: Tensor,
        weight2: Tensor,
        slope1: Tensor,
        slope2: Tensor,
    ):
        super().__init__()
        # Of its own: calling a module functionally goes wrong where parts of it share buffers.
        self.responses = Responses(responses, weight1.device)
        self.register_buffer("weight1", weight1)
        self.register_buffer("weight2", weight2)
        self.register_buffer("slope1", slope1, persistent=False)
        self.register_buffer("slope2", slope2, persistent=False)
        self.register_buffer("weight", weight2 - weight1, persistent=False)
        self.shape: tuple[int, int] = tuple(weight1.shape[1:])
        self.arrange: Callable[[Tensor], Tensor] | None = None
        self.register_buffer("settled", None, persistent=False)

    @classmethod
    def fresh(
        cls,
        responses: Sequence[Response],
        shape: tuple[int, int],
        init: float,
        variability: Tensor,
        stream: Stream,
    ) -> PairArray:
        """Newly made pairs of `shape` = (out, in).

        w1 = w_max - init and w2 = w_max - init - u with u ~ U(-init, init), so W = -u.
        Slope factors are |N(1, sigma_device)|; variability = sigma_device [model, 1, 1].
        """
        u = init * stream.uniform(Draw.FRESH, shape)
        constants = Responses(responses, u.device)
        start = per_network((each.w_max - init for each in responses), u.device)
        weight2 = torch.minimum(start - u, constants.w_max)  # against rounding
        slopes = (
            (1 + variability * stream.normal(draw, shape)).abs()
            for draw in (Draw.SLOPE_1, Draw.SLOPE_2)
        )
        return cls(responses, start.expand_as(u).clone(), weight2, *slopes)

    @torch.no_grad()
    def put(self, weight1: Tensor, weight2: Tensor) -> None:
        """Set the voltages, in place."""
        self.weight1.copy_(weight1)
        self.weight2.copy_(weight2)
        self.weight.copy_(weight2 - weight1)
        self.unsettle()

    def unsettle(self) -> None:
        """No longer know which pairs an update without a pulse would leave as they are."""
        if self.settled is not None:
            self.settled.zero_()

    def switched_weight(self, others: Sequence[Response | None]) -> Tensor:
        """The weights [model, out, in] after field relaxation, in the trained field's scale.

        Every device keeps its pulses and is read through the other response, that of its network in
        `others`; None leaves a network as it is. The input scale is then multiplied by the ratio of
        the two ranges; as only its product with the weights counts, the ratio is carried by the
        weights here. The pairs stay as they are.
        """

        def switched(model: int, mine: Response, other: Response | None) -> Tensor:
            if other is None:
                return self.weight[model]
            w1, w2 = self.read_through(other, model)
            return (ratio(mine, other) * (w2 - w1)).to(self.weight)

        both = zip(self.responses.each, others, strict=True)
        return torch.stack([switched(model, *pair) for model, pair in enumerate(both)])

    def switched_gain(self, others: Sequence[Response | None]) -> Tensor:
        """That ratio, by which also the noise of a reading then counts: [model, 1, 1]."""
        both = zip(self.responses.each, others, strict=True)
        return per_network((ratio(*pair) for pair in both), self.weight.device).to(self.weight)

    @torch.no_grad()
    def switch(self, others: Sequence[Response]) -> None:
        """From now on the devices of each network answer by the response of it in `others`.

        Every device keeps its pulses.
        """
        pairs = (self.read_through(other, model) for model, other in enumerate(others))
        voltages = ([w.to(self.weight) for w in pair] for pair in pairs)
        self.put(*(torch.stack(w) for w in zip(*voltages, strict=True)))
        self.answer_by(others)

    def answer_by(self, responses: Sequence[Response]) -> None:
        """Answer by the response of each network, whatever the voltages are now."""
        self.responses = Responses(responses, self.weight.device).to(self.weight.dtype)
        self.unsettle()

    def read_through(self, other: Response, model: int) -> tuple[Tensor, Tensor]:
        """Voltages w1, w2 [out, in] of network `model` at its pulses under another response.

        In double precision, since a nearly linear exponential is a small difference of large
        numbers.
        """
        mine = self.responses.each[model]
        w1, w2 = (
            other.response(mine.inverse(w[model].double())) for w in (self.weight1, self.weight2)
        )
        return w1, w2

    def columns(self, index: Tensor) -> PairArray:
        """The pairs of some input columns only, as an array of its own."""
        return PairArray(
            self.responses.each, *(tensor[..., index].contiguous() for tensor in self.tensors)
        )

    def rearranged(self, arrange: Callable[[Tensor], Tensor]) -> PairArray:
        """The same pairs in another order, and shape.

        arrange: takes a tensor [model, out, in] to how it is to stand, in parts of some outputs:
        [model, part * in, outputs of a part], contiguous.
        """
        array = PairArray(self.responses.each, *(arrange(tensor) for tensor in self.tensors))
        array.shape, array.arrange = self.shape, arrange
        models, rows = array.weight.shape[:2]
        array.settled = array.weight.new_zeros(models, rows // self.shape[1], dtype=torch.bool)
        return array

    def normal(self, draw: Draw, stream: Stream) -> Tensor:
        """A float32 N(0, 1) number for each pair, the same however the pairs are arranged."""
        return self.arranged(stream.normal(draw, self.shape))

    def arranged(self, whole: Tensor) -> Tensor:
        """[model, out, in] as the pairs stand."""
        return whole if self.arrange is None else self.arrange(whole)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.weight1, self.weight2, self.slope1, self.slope2
