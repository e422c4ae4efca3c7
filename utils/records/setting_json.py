"""What a network simulates as JSON, in its record and in its folder, and read back.

Two networks are of the same simulation if this agrees: settings, constants of the devices, and the
version of the physics.
"""

from __future__ import annotations

from collections.abc import Mapping

from devices.library import Device, constants, find_built_in, from_constants
from utils.errors import UserError
from utils.flags import flags_of
from utils.settings import SWITCHES, Setting

# Raised whenever a change of the code changes what a setting gives; CHANGELOG.md has the history.
PHYSICS = 7
# Versions of equal law give the same distributions, and stand in one mean; 1 is also that of the
# original scripts.
LAW = {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1}
# What the scripts that this project replaces wrote into every record.
ALWAYS = {
    "optimizer": "PulseOptimizer",
    "optimizer_parameters": {"scale": 1.0},
    "criterion": "CrossEntropyLoss",
}


def to_json(setting: Setting) -> dict:
    """The part of a record that says what was simulated: all that decides the numbers but data."""
    record = ALWAYS | {"optimizer_parameters": dict(ALWAYS["optimizer_parameters"])}
    for name, (each, _) in flags_of(Setting).items():
        *parents, last = each.json.split(".")
        place = record
        for parent in parents:
            place = place[parent]
        place[last] = each.to_json(getattr(setting, name))
    record["optimizer_parameters"]["field"] = [device.name for device in setting.fields]
    return record | {"devices": constants(*setting.fields), "physics": PHYSICS}


def with_newer(record: Mapping) -> dict:
    """A record, or what a folder says of itself, with the keys of flags that came after it.

    It lacks them, and means their defaults. Raises KeyError, TypeError or ValueError if it is none.
    """
    record = dict(record)
    for each, default in flags_of(Setting).values():
        if not each.added_later:
            continue
        *parents, last = each.json.split(".")
        place = record
        for parent in parents:
            place[parent] = dict(place[parent])  # not the caller's own
            place = place[parent]
        place.setdefault(last, each.to_json(default if each.fallback is None else each.fallback))
    return record


def is_original(record: Mapping) -> bool:
    """Whether the scripts that this project replaces wrote a record."""
    return "physics" not in record and "model" not in record


def has_idle_clipping(record: Mapping) -> bool:
    """Whether a record says that requests were clipped, and they were not.

    The original scripts compared a function with True, so that their flag had no effect.
    """
    return is_original(record) and bool(
        record["optimizer_parameters"].get("physical_clipping", False)
    )


def from_json(record: Mapping) -> Setting:
    """The setting of a record, of this program or of the scripts that it replaces.

    Raises KeyError, TypeError or ValueError if it is no record, UserError if a value is out of
    range.
    """
    values, record = {}, with_newer(record)
    for name, (each, _) in flags_of(Setting).items():
        place = record
        for key in each.json.split("."):
            place = place[key]
        convert = each.from_json or (float if each.kind is float else None)
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
    """The same in the records of the original scripts, which knew no files."""
    try:
        return find_built_in(name)
    except ValueError as error:
        raise UserError(f"field {error}") from None


def law_of(record: Mapping) -> int:
    """Which law of the physics a record follows; those without a version are the oldest."""
    version = record.get("physics", 1)
    return LAW.get(version, version)
