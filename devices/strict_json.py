"""JSON read strictly: no key given twice, every number finite, every key and its type as wanted.

What is wrong raises ValueError in one line that begins with where it is. Torch is not imported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

LARGEST = 3e38  # of the numbers that the simulation can hold, float32


def parse(text: str) -> Any:
    """What the text holds; ValueError if it is no JSON, repeats a key or has a NaN or infinity."""
    try:
        return json.loads(
            text, object_pairs_hook=without_repetition, parse_constant=refuse, parse_float=finite
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"is no JSON: {error.msg}, {place}") from None
    except RecursionError as error:
        raise ValueError(str(error)) from None


def without_repetition(pairs: list[tuple[str, Any]]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice; keep one")
    return content


def refuse(word: str) -> None:
    raise ValueError(f"{word}: every number must be finite")


def finite(word: str) -> float:
    value = float(word)
    return value if math.isfinite(value) else refuse(word)


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


def readable(content: object) -> str:
    """The text of it, indented, lists of numbers in one line; ValueError for a NaN or infinity."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    # Only strings hold other brackets, and they have no line breaks.
    return re.sub(r"\[\n[^][{}\"]*\]", one_line, text)


def one_line(found: re.Match) -> str:
    return "[" + " ".join(found[0][1:-1].split()) + "]"
