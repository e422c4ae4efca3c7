"""The named devices with their constants and sources, and finding one by its name.

Every physical constant stands here and nowhere else. Torch is not imported.

Source of both responses: G. Bernard, K. Cottart, ..., L. Herrera Diez, "Dynamic Control of
Weight-Update Linearity in Magneto-Ionic Synapses", Nano Letters 25 (2025) 1443,
doi:10.1021/acs.nanolett.4c05247.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from devices.responses import FAMILIES, Exponential, Linear, Response


@dataclass(frozen=True)
class Device:
    """A device by its name, its response, and what it becomes when the field is switched.

    partner: the device under whose response its pulses are read after field relaxation; None if
    it has none.
    """

    name: str
    response: Response
    partner: Device | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Entry:
    """A line of the library. relaxes_to: the name of the partner, None for none."""

    response: Response
    relaxes_to: str | None


LIBRARY: dict[str, Entry] = {
    # Strong field: w = -0.021 x + 2.742, x in [0, 27] pulses, w in [2.175, 2.742] (arb. u.)
    "double-linear": Entry(
        Linear(slope=-0.021, offset=2.742, pulses_max=27.0), relaxes_to="double-exponential"
    ),
    # Weak field: w = 1.530 exp(-x / 9.741) + 0.750, x in [0, 27], w in [0.846, 2.280] (arb. u.)
    "double-exponential": Entry(
        Exponential(amplitude=1.530, decay=9.741, offset=0.750, pulses_max=27.0),
        relaxes_to="double-linear",
    ),
}


def find(name: str) -> Device:
    """The device of that name. Raises ValueError, which lists the valid names, if there is none."""
    entry = look_up(name)
    partner = None
    if entry.relaxes_to is not None:
        try:
            partner = Device(entry.relaxes_to, look_up(entry.relaxes_to).response)
        except ValueError as error:
            raise ValueError(f"the device that {name} relaxes to, {error}") from None
    return Device(name, entry.response, partner)


def look_up(name: str) -> Entry:
    if name not in LIBRARY:
        raise ValueError(f"{name}: unknown; the valid ones: {', '.join(LIBRARY)}")
    return LIBRARY[name]


def constants(device: Device) -> dict[str, dict]:
    """Family and constants of a device and of its partner, by name; ready for JSON."""

    def alone(one: Device) -> dict:
        return {"family": one.response.family, **asdict(one.response)}

    partner = device.partner
    mine = alone(device) | {"relaxes_to": partner.name if partner else None}
    return {device.name: mine} | ({partner.name: alone(partner)} if partner else {})


def from_constants(name: str, content: dict[str, dict]) -> Device:
    """The device that `constants` describes; raises KeyError, TypeError or ValueError otherwise."""

    def alone(name: str, partner: Device | None) -> Device:
        mine = {key: value for key, value in content[name].items() if key != "relaxes_to"}
        family = FAMILIES[mine.pop("family")]
        if not all(isinstance(number, (int, float)) for number in mine.values()):
            raise ValueError(f"constants of {name} that are no numbers")
        return Device(name, family(**mine), partner)

    other = content[name]["relaxes_to"]
    return alone(name, None if other is None else alone(other, None))
