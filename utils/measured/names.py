"""What the names of columns and the labels of lines mean.

A name is split into words without accents and case: `Pulse_LTP` is pulse, ltp; `IdSat2` id, sat, 2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from utils.measured.measurement import Branch
from utils.measured.vocabulary import (
    AMBIGUOUS,
    BRANCH_PAIRS,
    KNOWN_UNIT,
    LABEL_OF,
    LABEL_WORDS,
    RESPONSE_OF,
    TAIL_UNIT,
    UNITS,
    WORDS,
    Role,
    has_words,
    role_of,
    role_of_unit,
    words,
)

CLOCK_TIME = re.compile(r"\d:\d|\d{4}-\d\d-\d\d")
BRACKETS = re.compile(r"[\s,_]*[(\[{]\s*([^()\[\]{}]*?)\s*[)\]}]")
AFTER_SLASH = re.compile(r"^(.*\S)\s*(?:/|\bin\b)\s*(\S+)$")
TAIL = re.compile(r"^(.*[^\s,;_])[\s,;_]+(\S+)$")
FROM_START = re.compile(  # a change relative to the first value
    r"(?:^|[^A-Za-z])(?:[dΔ∆]|delta[\s_]*)[GRIV]\s*/\s*[GRIV]_?(?:0|i|init|ini)(?![^\W\d_])",
    re.IGNORECASE,
)
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
    rf"^(?:ch|channel|kanal|canal){GAP}\d+$|"
    rf"{BEGIN}(?:(?:{DEVICE}|échantillon|gerät|hall[\s_]bar|w(?=\d\d)){GAP}(?:[^\W\d_]?\d+(?:[-_]\d+)?|"
    rf"[^\W\d_](?![^\W\d_]))|d{GAP}\d+|r\d+c\d+)",
    re.IGNORECASE,
)
ORDINAL = r"(?<![\w.,])(\d+)(?:st|nd|rd|th)(?![^\W\d_]|\s*puls)"
CYCLE_NUMBER = re.compile(rf"{BEGIN}(?:{CYCLE}|cycl|c){GAP}(\d+)|{ORDINAL}", re.IGNORECASE)
READ_NUMBER = re.compile(  # `Read 1`, `Reading 1`, `1. Lesung`, `2nd read`, `Read A`
    rf"{BEGIN}(?:{READ}|reading){GAP}(\d+)|"
    rf"(?<![\w.,])(\d+)(?:\.|st|nd|rd|th)\s*(?:{READ}|reading)(?![^\W\d_])|"
    rf"{BEGIN}(?:{READ}|reading)[\s_]([a-f])$",
    re.IGNORECASE,
)
PLURAL = re.compile(
    rf"{BEGIN}(pulse?|impuls|impulsion|spike|cycle|step)\((e?s|e|n)\)", re.IGNORECASE
)
SIGNS: dict[str, Branch] = {"+": "rising", "-": "falling"}  # of the pulses
VALUE = re.compile(  # a number with a unit
    r"\d+(?:[.,]\d+)?\s*(?:[fnµμum]?s|sec|min|h|[mk]?V|[kM]?Hz|K|°C|[nµμu]m|k?Oe|m?T|%)"
    r"(?![^\W\d_])"
)
PLAIN_NUMBER = re.compile(  # 1 in `G 1`, `M1` and `G_1_2`, not in `x=1`, `1.5`, `1e3` or `1kA`
    r"(?<![\d=@])(?<!\d[.,eE])(\d{1,3})(?![\d%°]|[.,]\d|[^\W\d_])"
)


@dataclass(frozen=True)
class Name:
    """What the header of a column means.

    text: as written, without the unit; role: what such a column holds, None if the name leaves it
    open; quantity: of a response, such as conductance; branch, device, cycle, read: None where not
    named. unit: "" where there is none. factor: by which numbers of pulses have to be multiplied,
    NaN where what the name has about them is not understood.
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

    def has_words(self, *kinds: str) -> bool:
        """Whether one of its words is of one of these kinds of the vocabulary."""
        return has_words(self.text, *kinds)

    @property
    def may_count_readings(self) -> bool:
        """Whether a counter of this name, such as index or n, or of none, may count readings."""
        return all(word in WORDS["count"] or word.isdigit() for word in words(self.text))

    @property
    def is_condition(self) -> bool:
        """Whether it names a condition, such as a temperature or a field, and no error."""
        return self.has_words("condition") or role_of_unit(self.unit) == Role.OTHER

    @property
    def rest(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """What it says beside device, cycle, read and branch: words, and values such as `10 s`; and
        its plain numbers, which may be those of devices or cycles."""
        text = (DEVICE_NAME if DEVICE_NAME.search(self.text) else PLACE).sub(" ", self.text)
        text = CYCLE_NUMBER.sub(" ", READ_NUMBER.sub(" ", text))
        text = re.sub(r"[^\W\d_]+\.?", lambda word: " " if branch_in(word[0]) else word[0], text)
        text = re.sub(r"\s*([=@])\s*", r"\1", text)
        values, text = VALUE.findall(text), VALUE.sub(" ", text)
        rest, numbers = PLAIN_NUMBER.sub(" ", text), PLAIN_NUMBER.findall(text)
        found = re.findall(r"[^\W_]+(?:[.,]\d+)?", rest)
        # `First cycle`, `Run A`
        if any(LABEL_OF.get(word.lower()) == Role.CYCLE for word in found):
            found = [word for word in found if len(word) > 1 and not has_words(word, "ordinal")]
        return (*found, *values), tuple(map(int, numbers))


def parse_name(header: str, unit: str = "") -> Name:
    """A header such as `G (uS)`, `R / kΩ`, `Time[us]_LTP` or `Conductance (W11)`."""
    text, found = without_unit(PLURAL.sub(r"\1\2", header.strip()))
    unit = unit or found
    device = device_in(text)
    rest = (DEVICE_NAME if DEVICE_NAME.search(text) else PLACE).sub(" ", text)
    read = READ_NUMBER.search(rest)
    cycle = CYCLE_NUMBER.search(READ_NUMBER.sub(" ", rest))
    role, quantity = role_of(text, unit)
    return Name(
        text,
        unit,
        role,
        quantity,
        branch_in(text),
        device,
        int(cycle[1] or cycle[2]) if cycle else None,
        int(read[1] or read[2] or ord(read[3].lower()) - ord("a") + 1) if read else None,
        factor_in(text, unit, role),
    )


def device_in(text: str) -> str | None:
    """The device in a name, of one part or of several: `Chip2_R1C1`, `Chip 1 Dev 2`."""
    parts = [*DEVICE_NAME.finditer(text)]
    if not parts:
        place = PLACE.search(text)
        return place[0].strip("()[]{}") if place else None
    whole = text[parts[0].start() : parts[-1].end()]
    others = re.search(r"[^\W_]", DEVICE_NAME.sub(" ", whole))  # such as a cycle between them
    return " ".join(part[0] for part in parts) if others else whole


def with_branches(names: Sequence[Name]) -> tuple[Name, ...]:
    """Names, with the branches and cycles of those that mean them only beside each other, such as
    P1, D1, P2, D2."""
    found = [re.fullmatch(rf"([^\W\d_]+){GAP}(\d*)", name.text.lower()) for name in names]
    parts = [match.groups() if match else ("", "") for match in found]
    named = list(names)
    for pair in BRANCH_PAIRS:
        numbers = [
            {number for word, number in parts if word == branch_word} for branch_word in pair
        ]
        if not numbers[0] & numbers[1]:
            continue
        for column, (word, number) in enumerate(parts):
            if word in pair:
                branch: Branch = "rising" if word == pair[0] else "falling"
                cycle = int(number) if number else None
                named[column] = replace(names[column], device=None, branch=branch, cycle=cycle)
    return tuple(named)


def factor_in(text: str, unit: str, role: str | None) -> float:
    """The factor of numbers of pulses: 1000 for `Pulses (10^3)`, `Pulses (k)`, `Pulses in Tausend`.

    NaN for pulses with a unit that gives no factor.
    """
    if found := re.fullmatch(r"(\d+) puls.*", unit, re.IGNORECASE):
        return float(found[1])  # such as `Train (50 pulses each)`
    if role != Role.PULSES:
        return 1.0
    if found := FACTOR_BEHIND.search(text):
        unit = found[found.lastindex or 0]
    elif not unit or VALUE.search(unit) or re.fullmatch(UNITS[Role.PULSES], unit):
        return 1.0  # `(1 s each)` is of the pulses, not of their number
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
        is_label = (
            is_label
            or has_words(inner, "rising", "falling")
            or PLACE.fullmatch(found[0].strip(" ,_"))
        )
        is_quantity = (RESPONSE_OF | AMBIGUOUS).keys() & words(inner)  # abs(I)
        if rest and re.search(r"[^\d\s.#]", inner) and not (is_label or is_quantity):
            return rest, inner
    relative = FROM_START.search(header)  # G0 is a unit, too
    if not relative and (found := AFTER_SLASH.match(header)) and KNOWN_UNIT.fullmatch(found[2]):
        return found[1], found[2]
    if (found := TAIL.match(header)) and TAIL_UNIT.fullmatch(found[2]):
        return found[1], found[2]
    return header, ""


def branch_in(text: str) -> Branch | None:
    """The branch that a name, a label or a sign names; None where it names none, or both."""
    if text.strip() in SIGNS:
        return SIGNS[text.strip()]
    rises, falls = has_words(text, "rising"), has_words(text, "falling")
    if rises == falls:
        return None
    return "rising" if rises else "falling"


def names_polarity_only(text: str) -> bool:
    """Whether a branch is named by the pulses, as SET is, which the values may contradict."""
    return {*words(text)} & (WORDS["rising"] | WORDS["falling"]) <= WORDS["polarity"]


def device_of_label(label: str) -> str:
    """The device that the label of a line names: all of it but cycle, read and direction."""
    if DEVICE_NAME.search(label) and (device := device_in(label)):
        return device
    rest = CYCLE_NUMBER.sub("", READ_NUMBER.sub("", label))
    parts = re.split(r"([\s,;_.:/()-]+)", rest)
    kept = [part for part in parts if not words(part) or branch_in(part) is None]
    return "".join(kept).strip(" ,;_-.:/()")
