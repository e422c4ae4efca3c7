"""A response as JSON, family and constants, and strictly back."""

from __future__ import annotations

import dataclasses

from devices.responses import FAMILIES, Response
from devices.strict_json import mapping, number, numbers


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
