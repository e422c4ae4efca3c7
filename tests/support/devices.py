"""Devices for tests besides the built-in ones; reference.py defines them under the same names."""

from pathlib import Path

from devices.built_in import LIBRARY
from devices.device_file import DeviceFile, Estimate, MeasuredBranch, Source, Units, write
from devices.library import Device, find
from devices.responses import Exponential, Linear, Response, Table

LINEAR = Device("double-linear", LIBRARY["double-linear"].response)
OTHERS = {
    "other linear": Device(
        "other linear",
        Linear(slope=-0.03, offset=2.9, pulses_max=20.0),
        Device(
            "steeper",  # its steps grow
            Exponential(amplitude=-0.1, decay=-8.0, offset=3.0, pulses_max=15.0),
        ),
    ),
    "other exponential": Device(
        "other exponential",
        Exponential(amplitude=1.0, decay=5.0, offset=1.0, pulses_max=20.0),
        LINEAR,
    ),
    "table": Device(
        "table",
        Table((0.0, 1.0, 3.0, 4.0, 9.5, 20.0), (2.742, 2.6, 2.5, 2.49, 2.3, 2.175)),
        LINEAR,
    ),
    "longer table": Device(
        "longer table",
        Table(
            (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
            (2.742, 2.73, 2.68, 2.6, 2.55, 2.45, 2.44, 2.3, 2.2, 2.175),
        ),
        LINEAR,
    ),
}
CURVED = ["double-curved-2.77", "double-curved--4.0"]
NAMES = [*LIBRARY, *CURVED, "table"]  # one of every kind


def device_of(name: str) -> Device:
    return OTHERS.get(name) or find(name)


RESPONSES = {name: device_of(name).response for name in NAMES}


def measured(
    name: str,
    response: Response = OTHERS["table"].response,
    variability: float | None = None,
    read_noise: float | None = None,
    write_noise: float | None = None,
    relaxes_to: str | None = "double-linear",
    sha256: str = "0" * 64,
) -> DeviceFile:
    """Return a device as if it had been measured."""
    return DeviceFile(
        name=name,
        falling=MeasuredBranch.from_response(response),
        variability=Estimate(variability),
        read_noise=Estimate(read_noise),
        write_noise=Estimate(write_noise),
        units=Units("S", 2e-6, -5e-6),
        source=Source("curve.csv", sha256, {"layout": "columns"}),
        relaxes_to=relaxes_to,
    )


def device_file(path: Path, device: DeviceFile) -> Path:
    """Write the file of a device; returns its path."""
    write(path, device)
    return path
