"""Devices are found here by name or file, and described for records. Torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from devices.built_in import look_up
from devices.constants import SUM_OF_ENDS, constants_of, response_of
from devices.device_file import DeviceFile, is_path, measurement, read, with_measurement
from devices.responses import Response
from devices.rising import RisingBranch


@dataclass(frozen=True)
class Device:
    """A device: its name, its response, and the device that it becomes when the field is switched.

    partner: the device through whose response its pulses are read after field relaxation; None
    where there is none. rising: the rising branch, None where none is used. measured: the content
    of its file, None for a built-in device, which is no part of a comparison of devices.
    """

    name: str
    response: Response
    partner: Device | None = None
    rising: RisingBranch | None = None
    measured: DeviceFile | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name

    @property
    def families(self) -> tuple[str, ...]:
        """The families of its branches."""
        rising = () if self.rising is None else (self.rising.response.family,)
        return self.response.family, *rising

    def driven(self, both_ways: bool) -> Device:
        """Return the device with a rising branch if it is driven both ways, otherwise without one.

        The rising branch is as measured; built-in devices get the mirror image of their falling
        branch. Raises ValueError if only one branch was measured.
        """
        if not both_ways:
            return replace(self, rising=None)
        if self.measured is None:
            return replace(self, rising=RisingBranch.mirrored(self.response))
        measured = self.measured.rising_mirrored
        if measured is None or self.measured.falling is None:
            which = "falling" if measured is None else "rising"
            raise ValueError(f"only the {which} branch of {self} was measured")
        return replace(self, rising=RisingBranch(measured, SUM_OF_ENDS))

    @property
    def can_be_driven_both_ways(self) -> bool:
        """Whether there is a rising branch for it: see `driven`."""
        try:
            self.driven(both_ways=True)
        except ValueError:
            return False
        return True

    def start(self, init: float) -> float:
        """Return the voltage w0 (arb. u.) around which fresh devices stand.

        A device that is only driven down starts at w_max - init, and so does an endless one. Others
        start at their symmetry point, where a small pulse of either polarity makes the same step,
        if it lies in the middle half of the range, otherwise in the middle. That of a mirrored
        branch is the middle.
        """
        response = self.response
        if self.rising is None or response.endless:
            return response.w_max - init
        middle, point = (response.w_max + response.w_min) / 2, None
        if self.measured is not None and self.measured.symmetry_point is not None:
            point = self.measured.symmetry_point.value
        if point is None or not abs(point - middle) <= response.span / 4:
            return middle
        return point

    @property
    def is_mirrored(self) -> bool:
        """Whether the response is that of a rising branch, since no falling one was measured."""
        return self.measured is not None and self.measured.falling is None


def find(name: str) -> Device:
    """Return the built-in device of a name, or the device of a file.

    name: the path of a file if it ends with .json or has a separator. Raises ValueError, which
    lists the valid names, or says what is wrong with the file or with its `relaxes_to`.
    """
    return of_file(Path(name)) if is_path(name) else find_built_in(name)


def find_built_in(name: str) -> Device:
    """The built-in device of that name; raises ValueError, which lists the valid names."""
    name, entry = look_up(name)
    if entry.relaxes_to is None:
        return Device(name, entry.response)
    return Device(name, entry.response, partner_of(name, entry.relaxes_to))


def of_file(path: Path) -> Device:
    """Read the device of a file; the path of its partner is relative to the folder of the file."""
    device, partner = read(path), None
    if device.relaxes_to is not None:
        partner = partner_of(str(path), device.relaxes_to, path.parent)
        if partner.name == device.name:
            raise ValueError(
                f"{path}: relaxes to a device of its own name, {device.name}; rename one, or let "
                "relaxes_to be null"
            )
    return Device(device.name, device.response, partner, measured=device)


def partner_of(owner: str, relaxes_to: str, folder: Path = Path()) -> Device:
    """The device that the owner relaxes to, without a partner of its own."""
    try:
        if is_path(relaxes_to):
            file = read(folder / relaxes_to)
            return Device(file.name, file.response, measured=file)
        name, entry = look_up(relaxes_to)
    except ValueError as error:
        raise ValueError(f"the device that {owner} relaxes to, {error}") from None
    return Device(name, entry.response)


def constants(*devices: Device) -> dict[str, dict]:
    """Return family and constants of devices and of their partners by name, ready for JSON.

    `rising` holds those of the falling response g of a rising branch w = mirror - g(x).
    """

    def alone(device: Device) -> dict:
        content = {"family": device.response.family, **constants_of(device.response)}
        if device.rising is None:
            return content
        branch = device.rising.response
        mirrored = {"family": branch.family, **constants_of(branch), "mirror": device.rising.mirror}
        return content | {"rising": mirrored}

    partners = [device.partner for device in devices if device.partner]
    content = {
        device.name: alone(device) | {"relaxes_to": device.partner and device.partner.name}
        for device in devices
    }
    return content | {
        partner.name: alone(partner) for partner in partners if partner.name not in content
    }


def measurements(*devices: Device) -> dict[str, dict]:
    """Return what else the files of devices and of their partners say, by name, ready for JSON."""
    partners = [device.partner for device in devices if device.partner]
    return {
        device.name: measurement(device.measured)
        for device in (*devices, *partners)
        if device.measured
    }


def from_constants(name: str, content: Mapping, measured: Mapping | None = None) -> Device:
    """Return the device that `constants` and `measurements` describe.

    Raises KeyError, TypeError or ValueError if they describe none.
    """

    def alone(name: str, partner: Device | None) -> Device:
        constants_alone = {
            key: value for key, value in content[name].items() if key != "relaxes_to"
        }
        file, rising, branch = None, None, constants_alone.pop("rising", None)
        response = response_of(constants_alone.pop("family"), constants_alone)
        if branch is not None:
            branch = dict(branch)
            mirror = float(branch.pop("mirror"))
            rising = RisingBranch(response_of(branch.pop("family"), branch), mirror)
        if measured and name in measured:
            relaxes_to = partner and partner.name
            file = with_measurement(name, response, relaxes_to, measured[name])
        return Device(name, response, partner, rising, file)

    other = content[name]["relaxes_to"]
    return alone(name, None if other is None else alone(other, None))
