"""What the names of columns, and the labels of lines, say of what they hold.

A name is split into words without accents and case: `Pulse_LTP` is pulse, ltp; `IdSat2` id, sat, 2.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from utils.measured.measurement import Branch
from utils.measured.vocabulary import (
    AMBIGUOUS,
    APPLIED_WORDS,
    CONDUCTANCE_WAYS,
    COUNT_AFTER,
    COUNT_WORDS,
    DRIVE_WORDS,
    ERROR_WORDS,
    FALLING_WORDS,
    KNOWN_UNIT,
    LABEL_OF,
    OTHER_WORDS,
    POLARITY_WORDS,
    PULSE_WORDS,
    QUANTITY_OF_UNIT,
    RESPONSE_OF,
    RISING_WORDS,
    TIME_WORDS,
    UNITS,
    Role,
)

COUNTED_PULSES = set("pulses impulse impulsions number num total anzahl nombre count".split())
CLOCK_TIME = re.compile(r"\d:\d|\d{4}-\d\d-\d\d")
BRACKETS = re.compile(r"[\s,_]*[(\[{]\s*([^()\[\]{}]*?)\s*[)\]}]")
AFTER_SLASH = re.compile(r"^(.*\S)\s*(?:/|\bin\b)\s*(\S+)$")
PLACE = re.compile(r"[(\[{](?:[A-Za-z]{1,2}\d+|#\d+|\d+[-,]\d+)[)\]}]")  # on a chip, as (W11)
DEVICE_NAME = re.compile(
    r"(?<![^\W\d_])(?:(?:device|dev|dut|sample|chip|cell|bauteil|probe|zelle|composant|dispositif|"
    r"[ée]chantillon|cellule|w(?=\d\d)|junction)[\s_.#-]*(?:[^\W\d_]?\d+(?:[-_]\d+)?|"
    r"[^\W\d_](?![^\W\d_]))|d[\s_.#-]*\d+|r\d+c\d+)",
    re.IGNORECASE,
)
CYCLE_NUMBER = re.compile(
    r"(?<![^\W\d_])(?:cycle|cyc|cycl|ramp|rmp|rampe|run|sweep|loop|rep|repetition|trial|iteration|"
    r"zyklus|durchlauf|durchgang|wiederholung|essai|boucle|c)[\s_.#-]*(\d+)",
    re.IGNORECASE,
)
READ_NUMBER = re.compile(
    r"(?<![^\W\d_])(?:read|rd|readout|lesung|auslesung|lecture)[\s_.#-]*(\d+)", re.IGNORECASE
)


def words(name: str) -> list[str]:
    """The words of a name, lower case and without accents, split at signs, digits and humps."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", plain)]


@dataclass(frozen=True)
class Name:
    """What the header of a column says.

    text: as written, without the unit; role: what such a column holds, None if the name leaves it
    open; quantity: of a response, such as conductance; branch, device, cycle, read: None where not
    named. unit: "" where there is none.
    """

    text: str
    unit: str = ""
    role: str | None = None
    quantity: str = ""
    branch: Branch | None = None
    device: str | None = None
    cycle: int | None = None
    read: int | None = None


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
    )


def without_unit(header: str) -> tuple[str, str]:
    """A header without its unit, and the unit: brackets that hold no label, or behind a slash."""
    for found in BRACKETS.finditer(header):
        inner = found[1]
        is_label = any(p.match(inner) for p in (DEVICE_NAME, CYCLE_NUMBER, READ_NUMBER))
        rest = (header[: found.start()] + header[found.end() :]).strip(" ,;:")
        if KNOWN_UNIT.fullmatch(inner):
            return rest, inner
        if set(words(inner)) & (RESPONSE_OF.keys() | AMBIGUOUS.keys()):
            continue  # abs(I)
        if rest and re.search(r"[^\d\s.#]", inner) and not (is_label or branch_in(inner)):
            if PLACE.fullmatch(found[0].strip(" ,_")):
                continue
            return rest, inner
    if (found := AFTER_SLASH.match(header)) and KNOWN_UNIT.fullmatch(found[2]):
        return found[1], found[2]
    return header, ""


def role_of(text: str, unit: str) -> tuple[str | None, str]:
    """The role of a column by its name and unit, and the quantity of a response."""
    found = words(text.partition("@")[0])  # what stands behind it is a condition
    joined = "".join(word for word in found if not word.isdigit())
    if ERROR_WORDS & {*found, joined} or joined == "sd" or "±" in text:
        return Role.OTHER, ""
    if text.strip() in ("#", "№", "n°", "N°") or text.strip().startswith("#"):
        return Role.PULSES, ""
    response = next((RESPONSE_OF[w] for w in [joined, *found] if w in RESPONSE_OF), "")
    by_unit = next((r for r, pattern in UNITS.items() if unit and re.fullmatch(pattern, unit)), "")
    known = [joined, *found]
    if by_unit in (Role.VOLTAGE, Role.CURRENT) and response in ("conductance", "resistance"):
        response = ""  # V_G is a voltage of a gate
    if by_unit == Role.RESPONSE:
        kinds = [kind for kind, pattern in QUANTITY_OF_UNIT if re.fullmatch(pattern, unit)]
        return Role.RESPONSE, kinds[0] if kinds else response or "response"
    drives = DRIVE_WORDS & {*known}
    if drives <= APPLIED_WORDS and PULSE_WORDS & {*found} and (COUNTED_PULSES & {*found}):
        return Role.PULSES, ""
    if drives and by_unit != Role.TIME:
        return Role.DRIVE, ""
    if by_unit == Role.TIME and response == "conductance" and not TIME_WORDS & {*known}:
        return Role.RESPONSE, response  # (us) for (uS)
    if by_unit == Role.TIME:
        return (Role.DRIVE if any(w in DRIVE_WORDS - TIME_WORDS for w in known) else Role.TIME), ""
    pulse = any(w in PULSE_WORDS for w in known)
    if by_unit in (Role.VOLTAGE, Role.CURRENT):
        if response:
            return Role.RESPONSE, response
        return (Role.DRIVE if pulse and by_unit == Role.VOLTAGE else by_unit), ""
    if by_unit == Role.OTHER:
        return Role.OTHER, ""
    if by_unit == Role.PULSES or (pulse and not response):
        return Role.PULSES, ""
    ambiguous = next((AMBIGUOUS[w] for w in known if w in AMBIGUOUS), None)
    if pulse and ambiguous:
        return Role.DRIVE, ""
    if joined in COUNT_WORDS:
        return (Role.CURRENT, "") if joined == "i" else (Role.PULSES, "")
    if found and found[0] in LABEL_OF and all(w in LABEL_OF | COUNT_AFTER for w in known[1:]):
        return LABEL_OF[found[0]], ""  # such as `Device ID`
    if any(w in TIME_WORDS for w in known):
        return Role.TIME, ""
    if response:
        return Role.RESPONSE, response
    if ambiguous:
        return ambiguous, ""
    if any(w in OTHER_WORDS for w in known):
        return Role.OTHER, ""
    counts = [w for w in found if w in COUNT_WORDS]
    if counts and len(counts) == len(found):
        return Role.PULSES, ""
    return None, ""


def branch_in(text: str) -> Branch | None:
    """The branch that a name or a label names; None where it names none, or both."""
    found = {*words(text)}
    rises, falls = bool(found & RISING_WORDS), bool(found & FALLING_WORDS)
    if rises == falls:
        return None
    return "rising" if rises else "falling"


def names_conductance_way(text: str) -> bool:
    """Whether a branch is named by what the conductance does, as LTP and SET do."""
    return any(word in CONDUCTANCE_WAYS for word in words(text))


def names_polarity_only(text: str) -> bool:
    """Whether a branch is named by the pulses, as SET is, which the values may contradict."""
    return not {*words(text)} & ((RISING_WORDS | FALLING_WORDS) - POLARITY_WORDS)


def device_of_label(label: str) -> str:
    """The device that the label of a line names: all of it but cycle, read and direction."""
    if found := DEVICE_NAME.search(label):
        return found[0]
    rest = READ_NUMBER.sub("", CYCLE_NUMBER.sub("", label))
    kept = [word for word in re.split(r"([\s,;_.:/()-]+)", rest) if branch_in(word) is None]
    return "".join(kept).strip(" ,;_-.:/()")
