"""Devices for tests beside those of the library; reference.py has the same under the same names."""

from devices.built_in import LIBRARY
from devices.library import Device, find
from devices.responses import Exponential, Linear

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
        Device("double-linear", LIBRARY["double-linear"].response),
    ),
}


def device_of(name: str) -> Device:
    return OTHERS.get(name) or find(name)
