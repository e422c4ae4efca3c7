"""Devices for tests besides the built-in ones; reference_devices.py has them by the same names."""

from dataclasses import replace
from pathlib import Path

import msgspec

from devices.built_in import LIBRARY, curved
from devices.device_file import DeviceFile, Source, Units, write
from devices.library import Device, find
from devices.measured_branch import Estimate, MeasuredBranch
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
        "table", Table((0.0, 1.0, 3.0, 4.0, 9.5, 20.0), (2.742, 2.6, 2.5, 2.49, 2.3, 2.175)), LINEAR
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


def branched(name: str, falling: Response, rising: Response, symmetry: float | None) -> Device:
    """Return the device of a file with both branches.

    rising: the mirrored rising branch, which falls. symmetry: the symmetry point.
    """
    point = None if symmetry is None else Estimate(symmetry)
    file = msgspec.structs.replace(
        measured(name, falling),
        rising=MeasuredBranch.from_response(rising, rising=True),
        symmetry_point=point,
    )
    return Device(name, file.response, LINEAR, measured=file)


def of_pulses(pulses: float) -> Linear:
    """Return the linear response that takes so many pulses from 2.742 to 2.175."""
    return Linear(slope=-0.567 / pulses, offset=2.742, pulses_max=pulses)


# A file of the first format of `measured("mine")`, with its variability and noises.
FIRST_FORMAT = {
    "format": 1,
    "name": "mine",
    "family": "table",
    "constants": {
        "pulses": [0.0, 1.0, 3.0, 4.0, 9.5, 20.0],
        "voltages": [2.742, 2.6, 2.5, 2.49, 2.3, 2.175],
    },
    "errors": {},
    "variability": {"value": 0.2, "error": None},
    "read_noise": {"value": 0.01, "error": None},
    "write_noise": {"value": 0.02, "error": None},
    "units": {"unit": "S", "slope": 2e-6, "offset": -5e-6},
    "source": {"file": "curve.csv", "sha256": "0" * 64, "how": {"layout": "columns"}},
    "relaxes_to": "double-linear",
}
BRANCHED = {
    device.name: device
    for device in (
        branched("falls-exponentially", curved(2.0), OTHERS["table"].response, 2.40),
        branched(
            "falls-linearly",
            of_pulses(40.0),
            replace(curved(-1.5), decay=-40.0, pulses_max=60.0),
            2.52,
        ),
        branched("falls-by-a-table", OTHERS["longer table"].response, of_pulses(15.0), None),
        branched("asymmetric", curved(3.0), curved(-2.0), 2.70),  # which is not in the middle half
    )
}


def device_of(name: str) -> Device:
    return OTHERS.get(name) or BRANCHED.get(name) or find(name)


RESPONSES = {name: device_of(name).response for name in NAMES}


def device_file(path: Path, device: DeviceFile) -> Path:
    """Write the file of a device; returns its path."""
    write(path, device)
    return path


def in_a_file(folder: Path, name: str, response: Response = OTHERS["table"].response, **values):
    """Return a measured device as it is read from its file."""
    return find(str(device_file(folder / f"{name}.json", measured(name, response, **values))))
