"""What the names of columns and the labels of lines mean.

In: the text above a column, or the label of a line. Out: a `Name`: what the column holds, its unit,
and the branch, device, cycle and number of the read that it names:

    `G_D2_LTP_cycle 3 (uS)`      a response in uS, rising, device D2, cycle 3
    `Pulses (10^3)`              numbers of pulses, to be multiplied by 1000
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
PLACE = re.compile(r"[(\[{](?:[A-Za-z]{1,2}\d+|#\d+|\d+[-,]\d+)[)\]}]")  # on a chip, such as (W11)
THOUSAND = r"tausend|thousands?|milliers?"
FACTOR_BEHIND = re.compile(  # after the name of pulses: `/ 100`, `(x1000)`, `in Tausend`
    rf"(?:/\s*(\d+)|[(\[][x×*]?(10+)[)\]]|\b(?:in|en)\s+({THOUSAND}))$", re.IGNORECASE
)
BEGIN, GAP = r"(?<![^\W\d_])", r"[\s_.#-]*"  # start of a word; between a word and its number
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
SIGNS: dict[str, Branch] = {"+": "rising", "-": "falling"}  # polarity of the pulses
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

    text: as written, without the unit. unit: "" if there is none. role: what such a column holds,
    None if the name leaves it open. quantity: of a response, such as conductance. branch, device,
    cycle, read: None if not named. factor: by which numbers of pulses have to be multiplied; NaN if
    the name has one that is not understood.
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
        """Whether a counter of this name may count readings: it is index, n or alike, or empty."""
        return all(word in WORDS["count"] or word.isdigit() for word in words(self.text))

    @property
    def is_condition(self) -> bool:
        """Whether it names a condition, such as a temperature or a field, and no error."""
        return self.has_words("condition") or role_of_unit(self.unit) == Role.OTHER

    @property
    def remainder(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """What the name has beside device, cycle, read and branch.

        Returns its words and values such as `10 s`, and its plain numbers, which may be those of
        devices or cycles.
        """
        text = (DEVICE_NAME if DEVICE_NAME.search(self.text) else PLACE).sub(" ", self.text)
        text = CYCLE_NUMBER.sub(" ", READ_NUMBER.sub(" ", text))
        text = re.sub(r"[^\W\d_]+\.?", lambda word: " " if branch_in(word[0]) else word[0], text)
        text = re.sub(r"\s*([=@])\s*", r"\1", text)
        values, text = VALUE.findall(text), VALUE.sub(" ", text)
        numbers, text = PLAIN_NUMBER.findall(text), PLAIN_NUMBER.sub(" ", text)
        parts = re.findall(r"[^\W_]+(?:[.,]\d+)?", text)
        # In `First cycle` and `Run A` the other word is a number of the cycle, too.
        if any(LABEL_OF.get(part.lower()) == Role.CYCLE for part in parts):
            parts = [part for part in parts if len(part) > 1 and not has_words(part, "ordinal")]
        return (*parts, *values), tuple(map(int, numbers))


def parse_name(header: str, unit: str = "") -> Name:
    """The meaning of a header such as `G (uS)`, `R / kΩ`, `Time[us]_LTP` or `Conductance (W11)`.

    unit: that of a line of units below the header, if there is one.
    """
    text, unit_in_header = without_unit(PLURAL.sub(r"\1\2", header.strip()))
    unit = unit or unit_in_header
    device = device_in(text)
    text_left = (DEVICE_NAME if DEVICE_NAME.search(text) else PLACE).sub(" ", text)
    read = READ_NUMBER.search(text_left)
    cycle = CYCLE_NUMBER.search(READ_NUMBER.sub(" ", text_left))
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
    """The device that a name has, in one or several parts: `Chip2_R1C1`, `Chip 1 Dev 2`."""
    parts = [*DEVICE_NAME.finditer(text)]
    if not parts:
        place = PLACE.search(text)
        return place[0].strip("()[]{}") if place else None
    span = text[parts[0].start() : parts[-1].end()]
    is_divided = re.search(r"[^\W_]", DEVICE_NAME.sub(" ", span))  # by a cycle, say
    return " ".join(part[0] for part in parts) if is_divided else span


def with_branches(names: Sequence[Name]) -> tuple[Name, ...]:
    """Names, with branches and cycles where they are pairs such as P1, D1, P2, D2."""
    matches = [re.fullmatch(rf"([^\W\d_]+){GAP}(\d*)", name.text.lower()) for name in names]
    parts = [match.groups() if match else ("", "") for match in matches]
    result = list(names)
    for rising, falling in BRANCH_PAIRS:
        numbers = [{n for word, n in parts if word == branch} for branch in (rising, falling)]
        if not numbers[0] & numbers[1]:
            continue
        for column, (word, number) in enumerate(parts):
            if word in (rising, falling):
                branch: Branch = "rising" if word == rising else "falling"
                cycle = int(number) if number else None
                result[column] = replace(names[column], device=None, branch=branch, cycle=cycle)
    return tuple(result)


def factor_in(text: str, unit: str, role: str | None) -> float:
    """The factor of numbers of pulses: 1000 for `Pulses (10^3)`, `Pulses (k)`, `Pulses in Tausend`.

    NaN for pulses with a unit that is no factor.
    """
    if match := re.fullmatch(r"(\d+) puls.*", unit, re.IGNORECASE):
        return float(match[1])  # such as `Train (50 pulses each)`
    if role != Role.PULSES:
        return 1.0
    if match := FACTOR_BEHIND.search(text):
        unit = match[match.lastindex or 0]
    elif not unit or VALUE.search(unit) or re.fullmatch(UNITS[Role.PULSES], unit):
        return 1.0  # `(1 s each)` is of the pulses, not of their number
    plain = unit.replace("²", "^2").replace("³", "^3").lower().lstrip("x×*·. ")
    if re.fullmatch(f"k|{THOUSAND}", plain):
        return 1000.0
    power = re.fullmatch(r"(?:1e|10\^)(\d)", plain)
    return 10.0 ** int(power[1]) if power else float(plain) if plain.isdigit() else math.nan


def without_unit(header: str) -> tuple[str, str]:
    """A header without its unit, and the unit: in brackets, after a slash, or at the end.

    Brackets that hold a device, a cycle, a branch or a quantity hold no unit.
    """
    for match in BRACKETS.finditer(header):
        inner = match[1]
        text_left = (header[: match.start()] + header[match.end() :]).strip(" ,;:")
        if KNOWN_UNIT.fullmatch(inner):
            return text_left, inner
        labels = (DEVICE_NAME, CYCLE_NUMBER, READ_NUMBER)
        is_label = any(pattern.match(inner) for pattern in labels)
        is_label = is_label or has_words(inner, "rising", "falling")
        is_label = is_label or PLACE.fullmatch(match[0].strip(" ,_"))
        is_quantity = (RESPONSE_OF | AMBIGUOUS).keys() & words(inner)  # abs(I)
        if text_left and re.search(r"[^\d\s.#]", inner) and not (is_label or is_quantity):
            return text_left, inner
    relative = FROM_START.search(header)  # G0 is a unit, too
    if not relative and (match := AFTER_SLASH.match(header)) and KNOWN_UNIT.fullmatch(match[2]):
        return match[1], match[2]
    if (match := TAIL.match(header)) and TAIL_UNIT.fullmatch(match[2]):
        return match[1], match[2]
    return header, ""


def branch_in(text: str) -> Branch | None:
    """The branch that a name, a label or a sign gives; None if it gives none, or both."""
    if text.strip() in SIGNS:
        return SIGNS[text.strip()]
    rises, falls = has_words(text, "rising"), has_words(text, "falling")
    if rises == falls:
        return None
    return "rising" if rises else "falling"


def names_polarity_only(text: str) -> bool:
    """Whether a branch is named only by its pulses, as by SET, so that values may contradict it."""
    return {*words(text)} & (WORDS["rising"] | WORDS["falling"]) <= WORDS["polarity"]


def device_of_label(label: str) -> str:
    """The device that the label of a line names: all of the label but cycle, read and branch."""
    if DEVICE_NAME.search(label) and (device := device_in(label)):
        return device
    text_left = CYCLE_NUMBER.sub("", READ_NUMBER.sub("", label))
    parts = re.split(r"([\s,;_.:/()-]+)", text_left)
    device_parts = [part for part in parts if not words(part) or branch_in(part) is None]
    return "".join(device_parts).strip(" ,;_-.:/()")
