"""Writes the setting of a network as JSON, in its record and in its folder, and reads it back.

Two networks are of the same simulation if this agrees: settings, constants of the devices, and the
version of the physics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devices.library import Device, constants, find_built_in, from_constants
from utils.errors import UserError
from utils.flags import Stored, flags_of
from utils.setting_checks import SWITCHES
from utils.settings import Setting

# Raised whenever a change of the code changes what a setting gives; CHANGELOG.md has the history.
PHYSICS = 9
# Versions of the physics that give the same distributions, and so may stand in one mean; 1 is also
# that of the original scripts.
DISTRIBUTION_VERSIONS = dict.fromkeys(range(1, 10), 1)
# What the scripts that this project replaces wrote into every record.
ALWAYS = {
    "optimizer": "PulseOptimizer",
    "optimizer_parameters": {"scale": 1.0},
    "criterion": "CrossEntropyLoss",
}


def to_json(setting: Setting) -> dict:
    """Return the part of a record that decides the numbers, except for the data."""
    record = ALWAYS | {"optimizer_parameters": dict(ALWAYS["optimizer_parameters"])}
    for name, (flag, _) in flags_of(Setting).items():
        put(record, flag.stored, getattr(setting, name))
    record["optimizer_parameters"]["field"] = [device.name for device in setting.fields]
    record |= {"devices": constants(*setting.fields), "physics": PHYSICS}
    return record | ({} if setting.field.rising is None else {"w0": setting.start})


def put(record: dict, stored: Stored, value: object, always: bool = True) -> None:
    """Write a value to its place in a record; always: whether to replace an existing value."""
    *parents, last = stored.json.split(".")
    for parent in parents:
        record = record[parent]
    if always or last not in record:
        record[last] = stored.to_json(value) if stored.to_json else value


def with_newer(record: Mapping) -> dict:
    """Return a record, or a folder's settings, with the keys of flags that were added later.

    Missing keys get the defaults of their flags. Raises KeyError, TypeError or ValueError if the
    content is no record.
    """
    parameters = dict(record["optimizer_parameters"])  # a copy, since the caller's stays as it is
    record = dict(record) | {"optimizer_parameters": parameters}
    for flag, default in flags_of(Setting).values():
        if flag.stored.added_later:
            fallback = default if flag.fallback is None else flag.fallback
            put(record, flag.stored, fallback, always=False)
    return record


def is_original(record: Mapping) -> bool:
    """Whether the original scripts, which this project replaces, wrote a record."""
    return "physics" not in record and "model" not in record


def has_idle_clipping(record: Mapping) -> bool:
    """Whether a record claims physical clipping although requests were not clipped.

    The original scripts compared a function with True, so that their flag had no effect.
    """
    return is_original(record) and bool(
        record["optimizer_parameters"].get("physical_clipping", False)
    )


def from_json(record: Mapping) -> Setting:
    """Return the setting of a record, which this program or the original scripts wrote.

    Raises KeyError, TypeError or ValueError if it is no record, UserError if a value is out of
    range.
    """
    values, record = {}, with_newer(record)
    for name, (flag, _) in flags_of(Setting).items():
        place: Any = record
        for key in flag.stored.json.split("."):
            place = place[key]
        convert = flag.stored.from_json or (float if flag.type is float else None)
        values[name] = convert(place) if convert else place
    if has_idle_clipping(record):
        values["physical_clipping"] = False
    names = values["field"]
    wanted = 1 + any(values[switch] is not None for switch in SWITCHES)
    if len(names) != wanted:
        raise ValueError(f"it names {len(names)} fields, not {('one', 'two')[wanted - 1]}")

    def found(name: str) -> Device:
        if "devices" in record:
            return from_constants(name, record["devices"], record.get("measured"))
        return built_in(name)  # with the constants of the paper

    values["field"], *second = map(found, names)
    return Setting(**values, second=second[0] if second else None)


def built_in(name: str) -> Device:
    """Return the built-in device of a name, as the original scripts knew no device files.

    Raises UserError if there is none.
    """
    try:
        return find_built_in(name)
    except ValueError as error:
        raise UserError(f"field {error}") from None


def distribution_version(record: Mapping) -> int:
    """Return the version of the distributions that a record follows, the oldest if unknown."""
    version = int(record.get("physics", 1))
    return DISTRIBUTION_VERSIONS.get(version, version)
