"""What the words above columns and before lines tell: quantity, unit, device, cycle, pulses."""

from __future__ import annotations

import re

ROLES = {
    "device": "device dev deviceid devicename deviceno devicenumber dut sample sampleid cell chip",
    "cycle": "cycle cyc cycleno cyclenumber cycleid ramp run sweep loop repetition rep repeat "
    "trial iteration",
    "branch": "branch direction polarity operation phase mode process ltpltd pd updown setreset",
    "pulse": "pulse pulses pulseno pulsenr pulsenumber pulsenum pulseindex pulsecount "
    "numberofpulses noofpulses nofpulses npulse npulses n no nr k index x point",
    "value": "value values g conductance i current r resistance v voltage w weight response "
    "reading readings hallvoltage vhall rhall hallresistance gread iread rread ids id drain "
    "draincurrent y abscurrent absi",
    "time": "time t timestamp date datetime seconds elapsedtime",
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words.split()}
DEVICE = re.compile(
    r"(?<![^\W\d_])(?:(?:device|dev|dut|sample|chip|cell)[\s_.#-]*"
    r"(?:[^\W\d_]?\d+|[^\W\d_](?![^\W\d_]))|d[\s_.#-]*\d+)",
    re.IGNORECASE,
)
CYCLE = re.compile(
    r"(?<![^\W\d_])(?:cycle|cyc|ramp|rmp|run|sweep|loop|rep|repetition|trial|iteration|c)"
    r"[\s_.#-]*(\d+)",
    re.IGNORECASE,
)
WAY = re.compile(
    r"(?<![^\W\d_])(up|down|ltp|ltd|pot|potentiation|dep|depression|set|reset|rising|falling|rise|fall|"
    r"increase|decrease)(?![^\W\d_])",
    re.IGNORECASE,
)
BRACKETS = re.compile(r"^(.*?)[\s,_]*[(\[]\s*([^()\[\]]+?)\s*[)\]]$")
SI = r"[fpnuµμmkMG]?"
KNOWN_UNIT = re.compile(
    rf"{SI}(S|Ω|Ω|ohms?|Ohms?|A|V|s|Hz|C|F|W|J|T|K|g0|G0)|%|[a]\.?\s?u\.?|arb\.?\s?u(nits)?\.?"
)
AFTER_SLASH = re.compile(r"^(.*\S)\s*/\s*(\S+)$")
OHM = re.compile(rf"({SI})(Ω|Ω|ohms?)", re.IGNORECASE)
# Ohms are inverted to siemens; without a prefix both are units of their own.
INVERSE = {"": "", "m": "k", "k": "m", "u": "M", "µ": "M", "μ": "M", "n": "G", "M": "µ", "G": "n"}


def name_and_unit(header: str) -> tuple[str, str | None]:
    """`G (uS)`, `I [A]` and `R / kΩ` as name and unit; without a unit, the header and None."""
    header = header.strip()
    if found := BRACKETS.match(header):
        name, unit = found.groups()
        if name and re.search(r"[^\d\s.]", unit) and not (DEVICE.match(unit) or CYCLE.match(unit)):
            return name, unit
    if (found := AFTER_SLASH.match(header)) and KNOWN_UNIT.fullmatch(found[2]):
        return found[1], found[2]
    return header, None


def is_unit(cell: str) -> bool:
    """Whether a cell is a unit, with or without brackets."""
    return bool(KNOWN_UNIT.fullmatch(cell.strip("()[] ")))


def role(name: str) -> str | None:
    """What a column of this name usually holds; None where the name does not tell."""
    if name.strip() == "#":
        return "pulse"
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    return ROLE_OF.get(word)


def device_in(name: str) -> str | None:
    """The part of a name that tells a device, such as `dev 3` or `D3`."""
    found = DEVICE.search(name)
    return found[0] if found else None


def cycle_in(name: str) -> int | None:
    """The number of a cycle that a name tells, such as 7 of `rmp7` or `D3 cycle 7`."""
    found = CYCLE.search(name)
    return int(found[1]) if found else None


def device_of_label(label: str) -> str | None:
    """The device that the label of a line names: all of it but cycle and direction."""
    if device := device_in(label):
        return device
    rest = WAY.sub("", CYCLE.sub("", label)).strip(" ,;_-.:/()")
    return rest or None


def inverse(unit: str | None) -> str | None:
    """The unit of 1/R for a resistance R in this unit."""
    if unit is None:
        return None
    found = OHM.fullmatch(unit)
    return f"{INVERSE[found[1]]}S" if found and found[1] in INVERSE else f"1/({unit})"


def is_ohm(unit: str | None) -> bool:
    return unit is not None and OHM.fullmatch(unit) is not None
