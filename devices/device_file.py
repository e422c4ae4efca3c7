"""A device file holds a measured device as readable JSON; this module reads and writes it.

Constants and noises stand in the units of the model, in which a curve starts at the Hall voltage
of the linear device and spans the same range, so that results do not depend on the unit of the
measurement; `units` leads back to it. Torch is not imported.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from devices.built_in import is_built_in, look_up
from devices.constants import (
    SUM_OF_ENDS,
    constants_of,
    in_words,
    is_finite,
    mirrored,
    response_of,
)
from devices.measured_branch import (
    NOT_MEASURED,
    Errors,
    Estimate,
    MeasuredBranch,
    Number,
    check_branch,
)
from devices.responses import Response

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MAX_NAME_LENGTH = 40  # characters; folders of results and their files contain the name
BESIDE = ("name", "format", "relaxes_to")  # keys that the record of a run has in other places

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Units(Struct, frozen=True, forbid_unknown_fields=True):
    """The way back to the measurement: measured value = offset + slope * voltage.

    unit: the unit of the measured value, None if it is not known. slope: negative where the voltage
    belongs to a rising curve that was mirrored.
    """

    unit: str | None
    slope: Number
    offset: Number

    def __post_init__(self) -> None:
        if self.slope == 0:
            raise ValueError("slope must not be 0")


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """The measured file that a device comes from: its name, its SHA-256, and how it was read."""

    file: str
    sha256: Sha256
    how: dict[str, Any] = {}


class DeviceFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of a device file of format 2; its fields are the keys of the file.

    falling, rising: the branches, at least one. symmetry_point: the voltage at which a small pulse
    of either polarity makes the same step, None where there is none. range_spread: relative
    standard deviation of the ranges of the devices. variability: sigma_device, relative.
    read_noise: sigma_r, arb. u. of the model. write_noise: sigma_w, fraction of the span per square
    root of a pulse. units: the units of the voltages of both branches. relaxes_to: the name of a
    built-in device, or the path of another device file relative to this one; None for none.
    """

    format: Literal[2] = 2
    name: str
    falling: MeasuredBranch | None
    rising: MeasuredBranch | None = None
    symmetry_point: Estimate | None = None
    range_spread: Estimate = NOT_MEASURED
    variability: Estimate
    read_noise: Estimate
    write_noise: Estimate
    units: Units
    source: Source
    relaxes_to: str | None

    def __post_init__(self) -> None:
        """Check what types cannot express; raises ValueError, whose message begins with the key."""
        check_name(self.name)
        if self.falling is None and self.rising is None:
            raise ValueError("falling, rising: at least one must not be null")
        for key, branch in (("falling", self.falling), ("rising", self.rising)):
            if branch is not None:
                check_branch(branch, key)

    @property
    def response(self) -> Response:
        """The falling curve, or the mirrored rising curve where only that branch was measured."""
        if self.falling is not None:
            return response_of(self.falling.family, self.falling.constants)
        assert self.rising_mirrored is not None  # as __post_init__ has checked
        return self.rising_mirrored

    @property
    def rising_mirrored(self) -> Response | None:
        """g(x) of the rising branch f_up(x) = w_max + w_min - g(x), which falls."""
        if self.rising is None:
            return None
        return response_of(self.rising.family, mirrored(self.rising.constants))

    @property
    def response_units(self) -> Units:
        """The units that lead from a voltage of `response` to the measured value."""
        if self.falling is not None:
            return self.units
        slope = self.units.slope
        return Units(self.units.unit, -slope, self.units.offset + slope * SUM_OF_ENDS)


class FirstFormat(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a device file of format 1, which holds one branch."""

    format: Literal[1]
    name: str
    family: str
    constants: dict[str, Any]
    errors: Errors
    variability: Estimate
    read_noise: Estimate
    write_noise: Estimate
    units: Units
    source: Source
    relaxes_to: str | None

    def __post_init__(self) -> None:
        check_branch(MeasuredBranch(self.family, self.constants, self.errors))

    def to_device_file(self) -> DeviceFile:
        return DeviceFile(
            name=self.name,
            falling=MeasuredBranch(self.family, self.constants, self.errors),
            variability=self.variability,
            read_noise=self.read_noise,
            write_noise=self.write_noise,
            units=self.units,
            source=self.source,
            relaxes_to=self.relaxes_to,
        )


class Header(Struct):
    format: int


def read(path: str | Path) -> DeviceFile:
    """Read a device file of either format.

    Raises ValueError if the file is not valid; its message is one line, which names file and key
    and says what to do.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text (UTF-8)"
        raise ValueError(f"{path}: cannot be read: {reason}; name a device file") from None
    try:
        device = from_json(text)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {in_words(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    if device.relaxes_to is not None and not is_path(device.relaxes_to):
        try:
            look_up(device.relaxes_to)
        except ValueError as error:
            raise ValueError(f"{path}: relaxes_to: {error}") from None
    return device


def from_json(text: str) -> DeviceFile:
    """Read the text of a device file; raises ValueError (or MsgspecError, a kind of it)."""
    number = msgspec.json.decode(text, type=Header).format
    json.loads(text, object_pairs_hook=without_repeats)
    if number == 1:
        return msgspec.json.decode(text, type=FirstFormat).to_device_file()
    if number == 2:
        return msgspec.json.decode(text, type=DeviceFile)
    raise ValueError(f"format {number}: this program reads formats 1 and 2")


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; raise ValueError for a key given twice: msgspec takes the last one."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {max(keys, key=keys.count)!r} is given twice; keep one")
    return content


def write(path: str | Path, device: DeviceFile) -> None:
    """Write the file, whole or not at all; raises OSError if that fails, ValueError for a NaN."""
    content = msgspec.to_builtins(device)
    if not is_finite(content):
        raise ValueError("a number of the device is not finite, so it is not JSON compliant")
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # Only strings hold other brackets than those of lists of numbers, and have no line breaks.
    text = re.sub(r"\[\n[^][{}\"]*\]", in_one_line, text)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def in_one_line(numbers: re.Match) -> str:
    return "[" + " ".join(numbers[0][1:-1].split()) + "]"


def measurement(device: DeviceFile) -> dict:
    """Return what records of a run hold besides name, constants and partner, ready for JSON."""
    content = msgspec.to_builtins(device)
    return {key: value for key, value in content.items() if key not in BESIDE}


def with_measurement(
    name: str, response: Response, relaxes_to: str | None, content: Mapping
) -> DeviceFile:
    """Return the device file that `measurement` described.

    Records of runs with a device file of format 1 hold no branches. Raises ValueError, which names
    the key, if the content is not valid.
    """
    content = dict(content)
    if "errors" in content:
        errors = content.pop("errors")
        content["falling"] = {
            "family": response.family,
            "constants": constants_of(response),
            "errors": errors,
        }
    try:
        return msgspec.convert(content | {"name": name, "relaxes_to": relaxes_to}, DeviceFile)
    except msgspec.ValidationError as error:
        raise ValueError(in_words(error)) from None


def is_path(name: str) -> bool:
    """Whether a name is the path of a file rather than the name of a built-in device."""
    return name.endswith(".json") or any(
        separator in name for separator in (os.sep, os.altsep) if separator
    )


def check_name(name: str) -> None:
    """Raise ValueError unless the name is allowed in a device file."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r}: must be letters, digits, '.', '_' and '-', a letter or digit first"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"name {name!r}: has {len(name)} characters, at most {MAX_NAME_LENGTH}")
    if is_built_in(name):
        raise ValueError(f"name {name!r}: is that of a built-in device; choose another")
