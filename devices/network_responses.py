"""The responses of the devices of networks side by side, with their constants as tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from devices.lookup import SampledResponses
from devices.responses import Response, Table
from devices.rising import RisingBranch, raised


class Constants(nn.Module):
    """The constants of a family as buffers, float32 [model, 1, 1], named as in the family."""

    shape: tuple = ()  # compiled programs depend on it, and on the family
    tables: tuple = ()

    def __init__(self, responses: Sequence[Response], device: torch.device | None = None):
        super().__init__()
        self.family = type(responses[0])
        self.names = [field.name for field in fields(self.family) if field.type == "float"]
        for name in self.names:
            values = per_network((getattr(response, name) for response in responses), device)
            self.register_buffer(name, values, persistent=False)

    @property
    def constants(self) -> dict[str, Tensor]:
        """The constants by their names."""
        return {name: getattr(self, name) for name in self.names}

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        return self.family(**self.constants).after(voltage, pulses)


Equation = Constants | SampledResponses
# Families that are not computed from constants alone.
IN_NETWORKS: dict[type[Response], Callable[..., Equation]] = {Table: SampledResponses}


class Responses(nn.Module):
    """The responses of the networks of an ensemble, all of one family.

    Their constants are buffers, so that networks with different constants train side by side and
    share one compiled program. Further buffers, float32 [model, 1, 1], are `w_max` and the limits
    of the range, `lowest` and `highest`, each rounded once from its exact value. Raises ValueError
    if the families differ.
    """

    w_max: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, responses: Sequence[Response], device: torch.device | None = None):
        """responses: one for each network, with numbers as constants."""
        super().__init__()
        self.by_network, self.family = tuple(responses), type(responses[0])
        if any(type(response) is not self.family for response in responses):
            raise ValueError("networks of different families are different ensembles")
        self.equation = IN_NETWORKS.get(self.family, Constants)(responses, device)
        for name in ("w_max", "lowest", "highest"):
            values = per_network((getattr(response, name) for response in responses), device)
            self.register_buffer(name, values, persistent=False)

    @property
    def structure(self) -> Hashable:
        """The family and the sizes on which a compiled program depends."""
        return self.family, self.equation.shape

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """Return the Hall voltages after further pulses, all [model, out, in]; see Response."""
        return self.equation.after(voltage, pulses)


def per_network(values: Iterable[float], device: torch.device | None) -> Tensor:
    """Return one number for each network as float32 [model, 1, 1]."""
    return torch.tensor(list(values), dtype=torch.float32, device=device)[:, None, None]


def scale_ratio(before: Response, after: Response | None) -> float:
    """Return the factor by which the input scale grows when the field is switched.

    after: None where nothing is switched.
    """
    return 1.0 if after is None else before.span / after.span


class RisingBranches(nn.Module):
    """The rising branches of the devices of networks, all of one family: see RisingBranch.

    responses: the falling responses g; buffer `mirror`, float32 [model, 1, 1].
    """

    mirror: Tensor

    def __init__(self, branches: Sequence[RisingBranch], device: torch.device | None = None):
        """branches: one for each network; raises ValueError if their families differ."""
        super().__init__()
        self.response = Responses([branch.response for branch in branches], device)
        mirrors = per_network((branch.mirror for branch in branches), device)
        self.register_buffer("mirror", mirrors, persistent=False)

    @property
    def structure(self) -> Hashable:
        """The family and the sizes on which a compiled program depends."""
        return self.response.structure

    def after(self, voltage: Tensor, pulses: Tensor) -> Tensor:
        """Return the Hall voltages after further rising pulses, all [model, out, in]."""
        return raised(voltage, pulses, self.response, self.mirror)
