"""A device file: a measured device as readable JSON, strictly read, and written.

Constants and noises stand in the units of the model, in which a curve starts at the Hall voltage
of the linear device and spans the same range, so that results do not depend on the unit of the
measurement; `units` leads back to it. Torch is not imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from devices.built_in import LINEAR, is_built_in, look_up
from devices.constants import constants_of, response_of
from devices.responses import Response
from devices.strict_json import mapping, number, numbers, parse, readable

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST_NAME = 40  # folders and their files are named after it
SHA256 = re.compile(r"[0-9a-f]{64}")
TOLERANCE = 0.1  # of the span, by which a fitted curve may miss start and end of the model's
ESTIMATES = ("variability", "read_noise", "write_noise")
KEYS = (
    "format",
    "name",
    "family",
    "constants",
    "errors",
    *ESTIMATES,
    "units",
    "source",
    "relaxes_to",
)


@dataclass(frozen=True)
class Estimate:
    """A measured value with its standard error; None where it could not be measured."""

    value: float | None
    error: float | None = None


@dataclass(frozen=True)
class Units:
    """The way back to the measurement: measured value = offset + slope * voltage.

    unit: of the measured value, None if nobody said; slope is below 0 where the curve rose and was
    mirrored.
    """

    unit: str | None
    slope: float
    offset: float


@dataclass(frozen=True)
class Source:
    """Where it comes from: the name of the measured file, its SHA-256, and how it was read."""

    file: str
    sha256: str
    how: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class DeviceFile:
    """All that a device file says.

    errors: standard errors of the fitted constants, of those that have one, by name, for a list of
    constants a list; variability: sigma_device, relative; read_noise: sigma_r, arb. u. of the
    model; write_noise: sigma_w, fraction of the span per square root of a pulse; relaxes_to: the
    name of a built-in device or the path of another file, from where this one is; None for none.
    """

    name: str
    response: Response
    errors: Mapping[str, float | tuple[float, ...]] = field(hash=False)
    variability: Estimate
    read_noise: Estimate
    write_noise: Estimate
    units: Units
    source: Source
    relaxes_to: str | None


def to_json(device: DeviceFile) -> dict:
    """What the file holds, in its order; ready for JSON."""
    return {
        "format": FORMAT,
        "name": device.name,
        "family": device.response.family,
        "constants": constants_of(device.response),
        **measurement(device),
        "relaxes_to": device.relaxes_to,
    }


def measurement(device: DeviceFile) -> dict:
    """The part of it that says what was measured and how, beside the constants."""
    return {
        "errors": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in device.errors.items()
        },
        **{name: asdict(getattr(device, name)) for name in ESTIMATES},
        "units": asdict(device.units),
        "source": asdict(device.source),
    }


def read(path: str | Path) -> DeviceFile:
    """The device of a file.

    Raises ValueError, one line that names file and key and says what to do, for whatever is not as
    it must be.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text (UTF-8)"
        raise ValueError(f"{path}: cannot be read: {reason}; name a device file") from None
    try:
        return from_json(parse(text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def from_json(content: object) -> DeviceFile:
    """The device that `to_json` describes; ValueError, which names the key, otherwise."""
    content = mapping(content, "a device file", KEYS)
    if isinstance(content["format"], bool) or content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}: this program reads format {FORMAT}")
    name = checked_name(content["name"])
    response = response_of(content["family"], content["constants"])
    if response.endless:
        raise ValueError("constants.endless: a measured curve ends; leave it out")
    check_scale(response)
    relaxes_to = content["relaxes_to"]
    if relaxes_to is not None and not isinstance(relaxes_to, str):
        raise ValueError("relaxes_to must be null, a built-in device or the path of a device file")
    if relaxes_to is not None and not is_path(relaxes_to):
        try:
            look_up(relaxes_to)
        except ValueError as error:
            raise ValueError(f"relaxes_to {error}") from None
    measured = {key: content[key] for key in ("errors", *ESTIMATES, "units", "source")}
    return with_measurement(name, response, relaxes_to, measured)


def with_measurement(
    name: str, response: Response, relaxes_to: str | None, content: object
) -> DeviceFile:
    """The device with what `measurement` said of it; ValueError, which names the key, otherwise."""
    keys = ("errors", *ESTIMATES, "units", "source")
    content = mapping(content, "the measurement", keys)
    return DeviceFile(
        name,
        response,
        errors_of(content["errors"], response),
        *(estimate(content[key], key) for key in ESTIMATES),
        units_of(content["units"]),
        source_of(content["source"]),
        relaxes_to,
    )


def is_path(name: str) -> bool:
    """Whether it names a file rather than a built-in device."""
    return name.endswith(".json") or any(each in name for each in (os.sep, os.altsep) if each)


def checked_name(name: object) -> str:
    """The name, if a device file may bear it; ValueError otherwise."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r}: must be letters, digits, '.', '_' and '-', a letter or digit first"
        )
    if len(name) > LONGEST_NAME:
        raise ValueError(f"name {name!r}: has {len(name)} characters, at most {LONGEST_NAME}")
    if is_built_in(name):
        raise ValueError(f"name {name!r}: is that of a built-in device; choose another")
    return name


def check_scale(response: Response) -> None:
    """Raise ValueError unless the curve stands in the units of the model, but for misfit."""
    start, span = response.w_max, response.span
    miss = max(abs(start - LINEAR.w_max), abs(span - LINEAR.span))
    if not miss <= TOLERANCE * LINEAR.span:
        raise ValueError(
            f"constants: the curve starts at {start:g} and spans {span:g}, but model units are "
            f"{LINEAR.w_max:g} and {LINEAR.span:g}; scale it, and say in units how"
        )


def errors_of(content: object, response: Response) -> dict[str, float | tuple[float, ...]]:
    constants = constants_of(response)
    errors = {}
    for name, value in mapping(content, "errors", (), constants).items():
        where, constant = f"errors.{name}", constants[name]
        if isinstance(constant, list):
            errors[name] = numbers(value, where)
            if len(errors[name]) != len(constant):
                raise ValueError(f"{where} has {len(errors[name])} numbers, not {len(constant)}")
        else:
            errors[name] = number(value, where)
        if min(errors[name] if isinstance(constant, list) else [errors[name]]) < 0:
            raise ValueError(f"{where} must not be below 0")
    return errors


def estimate(content: object, where: str) -> Estimate:
    content = mapping(content, where, ("value", "error"))
    given = {}
    for key, value in content.items():
        given[key] = None if value is None else number(value, f"{where}.{key}")
        if value is not None and value < 0:
            raise ValueError(f"{where}.{key} must not be below 0")
    if given["value"] is None and given["error"] is not None:
        raise ValueError(f"{where}.error must be null where there is no value")
    return Estimate(given["value"], given["error"])


def units_of(content: object) -> Units:
    content = mapping(content, "units", ("unit", "slope", "offset"))
    unit, slope = content["unit"], number(content["slope"], "units.slope")
    if unit is not None and not isinstance(unit, str):
        raise ValueError("units.unit must be a word, or null")
    if slope == 0:
        raise ValueError("units.slope must not be 0")
    return Units(unit, slope, number(content["offset"], "units.offset"))


def source_of(content: object) -> Source:
    content = mapping(content, "source", ("file", "sha256", "how"))
    file, sha256, how = (content[key] for key in ("file", "sha256", "how"))
    if not isinstance(file, str):
        raise ValueError("source.file must be the name of a file")
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise ValueError("source.sha256 must be 64 hexadecimal digits, small letters")
    return Source(file, sha256, mapping(how, "source.how", how if isinstance(how, Mapping) else ()))


def write(path: str | Path, device: DeviceFile) -> None:
    """Write the file, whole or not at all; raises OSError if that fails, ValueError for a NaN."""
    text = readable(to_json(device))
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
