"""What the names of columns, and the labels of lines, say of what they hold.

A name is split into words without accents and case: `Pulse_LTP` is pulse, ltp; `IdSat2` id, sat, 2.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from utils.measured.measurement import Branch
from utils.measured.vocabulary import (
    AMBIGUOUS,
    KNOWN_UNIT,
    LABEL_WORDS,
    RESPONSE_OF,
    WORDS,
    Role,
    role_of,
    role_of_unit,
    says,
    words,
)

CLOCK_TIME = re.compile(r"\d:\d|\d{4}-\d\d-\d\d")
BRACKETS = re.compile(r"[\s,_]*[(\[{]\s*([^()\[\]{}]*?)\s*[)\]}]")
AFTER_SLASH = re.compile(r"^(.*\S)\s*(?:/|\bin\b)\s*(\S+)$")
PLACE = re.compile(r"[(\[{](?:[A-Za-z]{1,2}\d+|#\d+|\d+[-,]\d+)[)\]}]")  # on a chip, as (W11)
THOUSAND = r"tausend|thousands?|milliers?"
FACTOR_BEHIND = re.compile(  # of numbers of pulses: `/ 100`, `(x1000)`, `in Tausend`
    rf"(?:/\s*(\d+)|[(\[][x×*]?(10+)[)\]]|\b(?:in|en)\s+({THOUSAND}))$", re.IGNORECASE
)
BEGIN, GAP = r"(?<![^\W\d_])", r"[\s_.#-]*"  # of a word; between a word and its number
DEVICE, CYCLE, READ = (
    LABEL_WORDS[role].replace(" ", "|") for role in (Role.DEVICE, Role.CYCLE, Role.READ)
)
DEVICE_NAME = re.compile(
    rf"{BEGIN}(?:(?:{DEVICE}|échantillon|w(?=\d\d)){GAP}(?:[^\W\d_]?\d+(?:[-_]\d+)?|"
    rf"[^\W\d_](?![^\W\d_]))|d{GAP}\d+|r\d+c\d+)",
    re.IGNORECASE,
)
CYCLE_NUMBER = re.compile(rf"{BEGIN}(?:{CYCLE}|cycl|c){GAP}(\d+)", re.IGNORECASE)
READ_NUMBER = re.compile(rf"{BEGIN}(?:{READ}){GAP}(\d+)", re.IGNORECASE)
CONDITION = re.compile(
    r"[+-]?\d+(?:[.,]\d+)?\s*(?:[fnµμu]s|ms|s|sec|min|h|[mk]?V|[kM]?Hz|K|°C|[nµμu]m)(?![^\W\d_])"
)


@dataclass(frozen=True)
class Name:
    """What the header of a column says.

    text: as written, without the unit; role: what such a column holds, None if the name leaves it
    open; quantity: of a response, such as conductance; branch, device, cycle, read: None where not
    named. unit: "" where there is none. factor: by which numbers of pulses have to be multiplied,
    NaN where the name says something about them that is not understood.
    """

    text: str
    unit: str = ""
    role: str | None = None
    quantity: str = ""
    branch: Branch | None = None
    device: str | None = None
    cycle: int | None = None
    read: int | None = None
    factor: float = 1.0

    def says(self, *kinds: str) -> bool:
        """Whether one of its words is of one of these kinds of the vocabulary."""
        return says(self.text, *kinds)

    @property
    def may_count_readings(self) -> bool:
        """Whether a counter of this name, such as index or n, or of none, may count readings."""
        return all(word in WORDS["count"] or word.isdigit() for word in words(self.text))

    @property
    def is_condition(self) -> bool:
        """Whether it names a condition, such as a temperature or a field, and no error."""
        return self.says("condition") or role_of_unit(self.unit) == Role.OTHER

    @property
    def conditions(self) -> tuple[str, ...]:
        """Numbers with units in it, such as `10 s` in `G after 10 s`."""
        return tuple(CONDITION.findall(f"{self.text} {self.unit}"))


def parse_name(header: str, unit: str = "") -> Name:
    """A header such as `G (uS)`, `R / kΩ`, `Time[us]_LTP` or `Conductance (W11)`."""
    text, found = without_unit(header.strip())
    unit = unit or found
    device = DEVICE_NAME.search(text) or PLACE.search(text)
    rest = text.replace(device[0], " ") if device else text
    cycle, read = CYCLE_NUMBER.search(rest), READ_NUMBER.search(rest)
    role, quantity = role_of(text, unit)
    return Name(
        text,
        unit,
        role,
        quantity,
        branch_in(text),
        device[0].strip("()[]{}") if device else None,
        int(cycle[1]) if cycle else None,
        int(read[1]) if read else None,
        factor_in(text, unit, role),
    )


def factor_in(text: str, unit: str, role: str | None) -> float:
    """The factor of numbers of pulses: 1000 for `Pulses (10^3)`, `Pulses (k)`, `Pulses in Tausend`.

    NaN for pulses with a unit that tells no factor.
    """
    if found := re.fullmatch(r"(\d+) puls.*", unit, re.IGNORECASE):
        return float(found[1])  # such as `Train (50 pulses each)`
    if role != Role.PULSES:
        return 1.0
    if found := FACTOR_BEHIND.search(text):
        unit = found[found.lastindex or 0]
    elif not unit or role_of_unit(unit) == Role.PULSES:
        return 1.0
    plain = unit.replace("²", "^2").replace("³", "^3").lower().lstrip("x×*·. ")
    if re.fullmatch(f"k|{THOUSAND}", plain):
        return 1000.0
    power = re.fullmatch(r"(?:1e|10\^)(\d)", plain)
    return 10.0 ** int(power[1]) if power else float(plain) if plain.isdigit() else math.nan


def without_unit(header: str) -> tuple[str, str]:
    """A header without its unit, and the unit: brackets that hold no label, or behind a slash."""
    for found in BRACKETS.finditer(header):
        inner = found[1]
        rest = (header[: found.start()] + header[found.end() :]).strip(" ,;:")
        if KNOWN_UNIT.fullmatch(inner):
            return rest, inner
        is_label = any(p.match(inner) for p in (DEVICE_NAME, CYCLE_NUMBER, READ_NUMBER))
        is_label = is_label or branch_in(inner) or PLACE.fullmatch(found[0].strip(" ,_"))
        is_quantity = (RESPONSE_OF | AMBIGUOUS).keys() & words(inner)  # abs(I)
        if rest and re.search(r"[^\d\s.#]", inner) and not (is_label or is_quantity):
            return rest, inner
    if (found := AFTER_SLASH.match(header)) and KNOWN_UNIT.fullmatch(found[2]):
        return found[1], found[2]
    return header, ""


def branch_in(text: str) -> Branch | None:
    """The branch that a name or a label names; None where it names none, or both."""
    rises, falls = says(text, "rising"), says(text, "falling")
    if rises == falls:
        return None
    return "rising" if rises else "falling"


def names_conductance_way(text: str) -> bool:
    """Whether a branch is named by what the conductance does, as LTP and SET do."""
    return says(text, "conductance way")


def names_polarity_only(text: str) -> bool:
    """Whether a branch is named by the pulses, as SET is, which the values may contradict."""
    return {*words(text)} & (WORDS["rising"] | WORDS["falling"]) <= WORDS["polarity"]


def device_of_label(label: str) -> str:
    """The device that the label of a line names: all of it but cycle, read and direction."""
    if found := DEVICE_NAME.search(label):
        return found[0]
    rest = READ_NUMBER.sub("", CYCLE_NUMBER.sub("", label))
    kept = [word for word in re.split(r"([\s,;_.:/()-]+)", rest) if branch_in(word) is None]
    return "".join(kept).strip(" ,;_-.:/()")
