"""Devices are found here by name or file, and described for records. Torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devices.built_in import look_up
from devices.constants import constants_of, response_of
from devices.device_file import DeviceFile, is_path, measurement, read, with_measurement
from devices.responses import Response


@dataclass(frozen=True)
class Device:
    """A device: its name, its response, and the device that it becomes when the field is switched.

    partner: the device through whose response its pulses are read after field relaxation; None
    where there is none. measured: the content of its file, None for a built-in device. Devices
    compare equal by name, constants and partner alone.
    """

    name: str
    response: Response
    partner: Device | None = None
    measured: DeviceFile | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name

    @property
    def rising(self) -> Response | None:
        """The mirrored rising branch: the falling g of f_up(x) = w_max + w_min - g(x).

        None where no rising branch was measured; built-in devices have none.
        """
        return self.measured.rising_mirrored if self.measured else None

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
    mine, partner = read(path), None
    if mine.relaxes_to is not None:
        partner = partner_of(str(path), mine.relaxes_to, path.parent)
        if partner.name == mine.name:
            raise ValueError(
                f"{path}: relaxes to a device of its own name, {mine.name}; rename one, or let "
                "relaxes_to be null"
            )
    return Device(mine.name, mine.response, partner, mine)


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
    """Return family and constants of devices and of their partners by name, ready for JSON."""

    def alone(one: Device) -> dict:
        return {"family": one.response.family, **constants_of(one.response)}

    partners = [device.partner for device in devices if device.partner]
    mine = {
        device.name: alone(device) | {"relaxes_to": device.partner and device.partner.name}
        for device in devices
    }
    return mine | {one.name: alone(one) for one in partners if one.name not in mine}


def measurements(*devices: Device) -> dict[str, dict]:
    """Return what else the files of devices and of their partners say, by name, ready for JSON."""
    partners = [device.partner for device in devices if device.partner]
    return {one.name: measurement(one.measured) for one in (*devices, *partners) if one.measured}


def from_constants(name: str, content: Mapping, measured: Mapping | None = None) -> Device:
    """Return the device that `constants` and `measurements` describe.

    Raises KeyError, TypeError or ValueError if they describe none.
    """

    def alone(name: str, partner: Device | None) -> Device:
        mine = {key: value for key, value in content[name].items() if key != "relaxes_to"}
        response = response_of(mine.pop("family"), mine)
        file = None
        if measured and name in measured:
            relaxes_to = partner and partner.name
            file = with_measurement(name, response, relaxes_to, measured[name])
        return Device(name, response, partner, file)

    other = content[name]["relaxes_to"]
    return alone(name, None if other is None else alone(other, None))
