"""Phases of training: the time under one field, with its devices, input scale and write noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from devices.library import Device
from devices.network_responses import per_network, scale_ratio
from devices.pair import Devices
from devices.responses import Response
from utils.settings import Member


@dataclass(frozen=True)
class Phase:
    """The time during which an ensemble's networks are under one field.

    devices: one for each network; gain: the factor by which the input scale is larger than at the
    start, [model, 1, 1], None in the first phase; write_noise: [model], arb. u. per square root of
    a pulse.
    """

    devices: Sequence[Device]
    gain: Tensor | None
    write_noise: Tensor

    @property
    def responses(self) -> list[Response]:
        """The response of the devices of each network."""
        return [device.response for device in self.devices]

    @property
    def partners(self) -> list[Response | None]:
        """For each network, the response through which devices are read after field relaxation.

        None where there is none, as for devices that are driven both ways.
        """
        return [
            device.partner and device.partner.response if device.rising is None else None
            for device in self.devices
        ]


def devices_of(members: Sequence[Member]) -> Devices:
    """Return the devices of networks at the start of training, one for each network."""
    settings = [member.setting for member in members]
    fields = [setting.field for setting in settings]
    rising = [field.rising for field in fields if field.rising is not None]
    starts = [setting.start for setting in settings]
    return Devices([field.response for field in fields], starts, rising or None)


def phases_of(members: Sequence[Member], device: torch.device) -> list[Phase]:
    """Return the phases of networks on `device`: one, or two where the field is switched."""
    sigma = torch.tensor([member.setting.write_noise for member in members]).to(device)
    phases: list[Phase] = []
    for fields in zip(*(member.setting.fields for member in members), strict=True):
        spans = torch.tensor([field.response.span for field in fields])
        gain = None
        if phases:
            responses = (field.response for field in fields)
            gain = per_network(map(scale_ratio, phases[0].responses, responses), device)
        phases.append(Phase(fields, gain, sigma * spans.to(device)))
    return phases
