"""Writes the constants of a response as JSON, and reads them strictly. Torch is not imported."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

import msgspec

from devices.built_in import LINEAR
from devices.responses import FAMILIES, Response

SUM_OF_ENDS = LINEAR.w_max + LINEAR.w_min  # of the range of measured devices, in model units
LARGEST = 3e38  # the largest number that a simulation in float32 can hold
TURNED = ("slope", "amplitude")  # constants that change their sign where a curve is mirrored
MIRRORED = ("offset", "voltages")  # Hall voltages, which are mirrored about the middle of the range


def constants_of(response: Response) -> dict:
    """Return the constants by name, ready for JSON; constants at their default are left out."""
    values = {}
    for field in dataclasses.fields(response):
        value = getattr(response, field.name)
        if value != field.default:
            values[field.name] = list(value) if isinstance(value, tuple) else value
    return values


def response_of(family: str, constants: Mapping, where: str = "") -> Response:
    """The response that family and constants describe.

    where: the beginning of the names in messages, such as `falling.`. Raises ValueError if there is
    no such family, if a constant is missing, unknown or not a finite number, or if the curve does
    not fall.
    """
    if family not in FAMILIES:
        raise ValueError(
            f"{where}family {family!r}: unknown; the valid ones: {', '.join(FAMILIES)}"
        )
    response_class, where = FAMILIES[family], f"{where}constants"
    names = [field.name for field in dataclasses.fields(response_class)]
    for name in constants:
        if name not in names:
            raise ValueError(f"{where}: unknown field {name!r}; the valid ones: {', '.join(names)}")
    try:
        response = msgspec.convert(dict(constants), response_class)
    except msgspec.ValidationError as error:
        raise ValueError(in_words(error, where)) from None
    for name, value in constants.items():
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if not abs(number) <= LARGEST:
                raise ValueError(f"{where}.{name}: every number must be finite")
    try:
        response.check()
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from None
    return response


def mirrored(constants: Mapping) -> dict:
    """Return the constants of the mirrored curve w_max + w_min - f(x).

    Mirroring about the middle of the range makes a rising curve fall, and a falling curve rise.
    w_max and w_min are the voltages of the linear device, as in all units of the model.
    """
    result = dict(constants)
    for name, value in constants.items():
        if name in TURNED and isinstance(value, (int, float)):
            result[name] = -value
        elif name in MIRRORED and isinstance(value, (int, float)):
            result[name] = SUM_OF_ENDS - value
        elif name in MIRRORED and isinstance(value, (list, tuple)):
            result[name] = [
                SUM_OF_ENDS - voltage if isinstance(voltage, (int, float)) else voltage
                for voltage in value
            ]
    return result


def in_words(error: msgspec.MsgspecError, where: str = "") -> str:
    """Return msgspec's message with the key in front: `source.file: expected str, got int`."""
    text = str(error).replace("`", "")
    parts = re.fullmatch(r"(.*?) - at (?:key in )?\$\.?(.*)", text, re.DOTALL)
    message, key = parts.groups() if parts else (text, "")
    key = ".".join(name for name in (where, key.replace("[...]", "")) if name)
    message = message if message.startswith("JSON") else message[0].lower() + message[1:]
    return f"{key}: {message}" if key else message


def is_finite(value: object) -> bool:
    """Whether every number in a value that JSON can hold is finite."""
    if isinstance(value, Mapping):
        return all(map(is_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
