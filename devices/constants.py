"""A response as JSON, family and constants, and strictly back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from devices.responses import FAMILIES, Response

LARGEST = 3e38  # of the numbers that the simulation can hold, float32


def constants_of(response: Response) -> dict:
    """Constants by name, ready for JSON; those that have their usual value are left out."""
    values = {}
    for field in dataclasses.fields(response):
        value = getattr(response, field.name)
        if value != field.default:
            values[field.name] = list(value) if isinstance(value, tuple) else value
    return values


def response_of(family: object, constants: object) -> Response:
    """The response that they describe.

    Raises ValueError, in words that follow "constants", or "family", if there is no such family, a
    constant is missing, unknown or no finite number, or the curve does not fall.
    """
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"family {family!r}: unknown; the valid ones: {', '.join(FAMILIES)}")
    kind = FAMILIES[family]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    required = [name for name, each in fields.items() if each.default is dataclasses.MISSING]
    given = mapping(constants, "constants", required, set(fields) - set(required))
    values = {}
    for name, value in given.items():
        where, wanted = f"constants.{name}", str(fields[name].type)
        if wanted == "bool":
            if not isinstance(value, bool):
                raise ValueError(f"{where} must be true or false")
            values[name] = value
        elif wanted == "float":
            values[name] = number(value, where)
        else:
            values[name] = numbers(value, where)
    response = kind(**values)
    try:
        response.check()
    except ValueError as error:
        raise ValueError(f"constants.{error}") from None
    return response


def mapping(
    value: object, where: str, required: Collection[str], optional: Collection[str] = ()
) -> Mapping:
    """The value, if it is an object with these keys; ValueError otherwise."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object with the keys {', '.join(required)}")
    for key in required:
        if key not in value:
            raise ValueError(f"{where} lacks the key {key}")
    for key in value:
        if key not in required and key not in optional:
            valid = ", ".join([*required, *optional]) or "none"
            raise ValueError(f"{where} has the unknown key {key!r}; the valid ones: {valid}")
    return value


def number(value: object, where: str) -> float:
    """The value as a float, if it is a finite number; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{where} must be a number")
    if not abs(value) <= LARGEST:  # of whole numbers, too, that no float can hold
        raise ValueError(f"{where} must be a finite number")
    return float(value)


def numbers(value: object, where: str) -> tuple[float, ...]:
    """The value as a tuple, if it is a list of finite numbers; ValueError otherwise."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{where} must be a list of numbers")
    return tuple(number(each, f"{where}, its number {k},") for k, each in enumerate(value, start=1))
