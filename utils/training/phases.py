"""The time of training under one field: devices, input scale and write noise that it decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from devices.library import Device
from devices.pair import per_network, scale_ratio
from devices.responses import Response
from utils.settings import Member


@dataclass(frozen=True)
class Phase:
    """The time under one field, of the networks of an ensemble.

    devices: of each network; gain: by how much the input scale is larger than at the start,
    [model, 1, 1], None in the first phase; write_noise: [model] (arb. u. per root of a pulse).
    """

    devices: Sequence[Device]
    gain: Tensor | None
    write_noise: Tensor

    @property
    def responses(self) -> list[Response]:
        """How the devices of each network respond."""
        return [device.response for device in self.devices]

    @property
    def partners(self) -> list[Response | None]:
        """What the devices of each network are read through after field relaxation."""
        return [device.partner and device.partner.response for device in self.devices]


def phases_of(members: Sequence[Member], device: torch.device) -> list[Phase]:
    """The phases of networks whose tensors are on `device`: two where the field is switched."""
    sigma = torch.tensor([member.setting.write_noise for member in members]).to(device)
    phases: list[Phase] = []
    for devices in zip(*(member.setting.fields for member in members), strict=True):
        spans = torch.tensor([device.response.span for device in devices])
        gain = None
        if phases:
            responses = (device.response for device in devices)
            gain = per_network(map(scale_ratio, phases[0].responses, responses), device)
        phases.append(Phase(devices, gain, sigma * spans.to(device)))
    return phases
