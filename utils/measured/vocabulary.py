"""The words that labs write above their columns, in English, German and French, and their units.

A name is split into words without accents and case: `Pulse_LTP` is pulse, ltp; `IdSat2` id, sat, 2.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from utils.measured.measurement import Branch

# Roles of columns. VOLTAGE and CURRENT are drive or response: what else the table holds decides.
PULSES, TIME, DRIVE, RESPONSE, VOLTAGE, CURRENT = (
    "pulses",
    "time",
    "drive",
    "response",
    "voltage",
    "current",
)
DEVICE, CYCLE, BRANCH, READ, OTHER = "device", "cycle", "branch", "read", "other"
LABELS = (DEVICE, CYCLE, BRANCH, READ)
UNKNOWN, NOTHING = "unknown", "empty"

# Quantities that a drive or a pulse has; a name with one of these words never counts pulses.
DRIVE_WORDS = set(
    "amplitude amplituden width widths duration breite pulsbreite dauer pulsdauer largeur duree "
    "bias applied vpulse vprog vwrite vread vset vreset vg vgs vds vbias gate compliance stimulus "
    "height hohe pulshohe pulsamplitude hauteur pulsewidth pulseamplitude pulsevoltage "
    "field feld champ delay period frequency frequenz pulsspannung vp vw vin vtop".split()
)
PULSE_WORDS = set(
    "pulse pulses puls pulsanzahl pulszahl pulsnummer pulsnr impuls impulse impulsanzahl "
    "impulsnummer impulszahl impulsion impulsions pulseno pulsenr pulsenumber pulsenum "
    "pulseindex pulseidx pulsecount pulseid numpulses npulses npulse npuls nbpulses nimpulsions "
    "numberofpulses noofpulses nofpulses spike spikes shot shots".split()
)
# Words that count, of pulses or of anything else: believed where the numbers do count.
COUNT_WORDS = set(
    "n no nr num number nombre numero anzahl nummer k x step steps schritt schritte pas etape "
    "index idx count counts counter zahler compteur point points punkt pt event i j line row "
    "zeile ligne lfd order seq sequence".split()
)
COUNT_AFTER = dict.fromkeys("id no nr number num index name count".split())
TIME_WORDS = set(
    "time t zeit temps timestamp date datum datetime uhrzeit heure seconds sekunden secondes "
    "elapsed elapsedtime dauer duree minutes minuten".split()
)
RESPONSE_WORDS = {
    "conductance": "g gread conductance conductances leitwert leitfahigkeit gds gon goff cond",
    "resistance": "r rread resistance resistances widerstand rhigh rlow rxx rxy rhall "
    "hallresistance hallwiderstand",
    "Hall voltage": "vhall hall vxy hallvoltage hallspannung vh",
    "current": "ids id iread drain draincurrent drainstrom readcurrent lesestrom epsc ipsc psc "
    "abscurrent absi is isd",
    "weight": "weight weights gewicht poids w",
    "response": "value values wert werte valeur valeurs response antwort reponse reading readings "
    "messwert mesure y state",
}
RESPONSE_OF = {word: kind for kind, line in RESPONSE_WORDS.items() for word in line.split()}
AMBIGUOUS = {
    **dict.fromkeys("v u voltage spannung tension volt volts".split(), VOLTAGE),
    **dict.fromkeys("i current strom courant amp amps ampere".split(), CURRENT),
}
LABEL_WORDS = {
    DEVICE: "device dev deviceid devicename deviceno devicenumber dut sample sampleid cell chip "
    "bauteil bauelement probe zelle composant dispositif echantillon cellule junction",
    CYCLE: "cycle cyc cycleno cyclenumber cycleid ramp run sweep loop repetition rep repeat trial "
    "iteration zyklus zyklen durchlauf durchgang wiederholung cyclus essai rampe rmp boucle",
    BRANCH: "branch direction polarity operation phase mode process ltpltd pd updown setreset ast "
    "richtung polaritat sens branche polarite typ type",
    READ: "read reads rd lesung auslesung lecture readout readno",
}
LABEL_OF = {word: role for role, line in LABEL_WORDS.items() for word in line.split()}
OTHER_WORDS = set("temperature temperatur temp humidity feuchte comment kommentar status".split())

RISING_WORDS = (
    "ltp potentiation potenzierung potenciation pot pote set up rising rise increase inc auf "
    "aufwarts steigend montee montant croissant hausse program"
)
FALLING_WORDS = (
    "ltd depression depressing depr dep reset down falling fall decrease dec ab abwarts fallend "
    "descente descendant decroissant baisse erase"
)
BRANCH_WORDS: dict[Branch, str] = {"rising": RISING_WORDS, "falling": FALLING_WORDS}
BRANCH_OF: dict[str, Branch] = {
    word: branch for branch, text in BRANCH_WORDS.items() for word in text.split()
}
CONDUCTANCE_WAYS = set("ltp ltd potentiation depression potenzierung set reset pot dep".split())

SI = r"[fpnuµμmkMG]?"
UNITS = {
    RESPONSE: rf"{SI}(S|Ω|Ω|ohms?|Ohms?|OHM|G0|g0)|[a]\.?\s?u\.?|arb\.?\s?u(nits)?\.?|%",
    CURRENT: rf"{SI}A",
    VOLTAGE: rf"{SI}V|volts?",
    TIME: rf"{SI}s|sec|seconds?|min|h",
    OTHER: rf"{SI}(Hz|C|F|W|J|T|K|m|Oe)|°C|Oe",
    PULSES: r"#|pulses?|counts?",
}
KNOWN_UNIT = re.compile("|".join(f"(?:{pattern})" for pattern in UNITS.values()))
QUANTITY_OF_UNIT = (("conductance", rf"{SI}S"), ("resistance", rf"{SI}(Ω|Ω|ohms?)"))
OHM = re.compile(rf"({SI})(Ω|Ω|ohms?)", re.IGNORECASE)
# Ohms are inverted to siemens; without a prefix both are units of their own.
INVERSE = {"": "", "m": "k", "k": "m", "u": "M", "µ": "M", "μ": "M", "n": "G", "M": "µ", "G": "n"}

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
    """What the header of a column tells.

    text: as written, without the unit; role: what such a column holds, None if the name does not
    tell; quantity: of a response, such as conductance; branch, device, cycle, read: None where not
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
    found = words(text)
    joined = "".join(word for word in found if not word.isdigit())
    if text.strip() in ("#", "№", "n°", "N°") or text.strip().startswith("#"):
        return PULSES, ""
    response = next((RESPONSE_OF[w] for w in [joined, *found] if w in RESPONSE_OF), "")
    by_unit = next((r for r, pattern in UNITS.items() if unit and re.fullmatch(pattern, unit)), "")
    known = [joined, *found]
    if by_unit == RESPONSE:
        kinds = [kind for kind, pattern in QUANTITY_OF_UNIT if re.fullmatch(pattern, unit)]
        return RESPONSE, kinds[0] if kinds else response or "response"
    if any(w in DRIVE_WORDS for w in known) and by_unit != TIME:
        return DRIVE, ""
    if by_unit == TIME:
        return (DRIVE if any(w in DRIVE_WORDS - TIME_WORDS for w in known) else TIME), ""
    pulse = any(w in PULSE_WORDS for w in known)
    if by_unit in (VOLTAGE, CURRENT):
        if response:
            return RESPONSE, response
        return (DRIVE if pulse and by_unit == VOLTAGE else by_unit), ""
    if by_unit == OTHER:
        return OTHER, ""
    if by_unit == PULSES or (pulse and not response):
        return PULSES, ""
    ambiguous = next((AMBIGUOUS[w] for w in known if w in AMBIGUOUS), None)
    if pulse and ambiguous:
        return DRIVE, ""
    if joined in COUNT_WORDS:
        return (CURRENT, "") if joined == "i" else (PULSES, "")
    if found and found[0] in LABEL_OF and all(w in LABEL_OF | COUNT_AFTER for w in known[1:]):
        return LABEL_OF[found[0]], ""  # such as `Device ID`
    if any(w in TIME_WORDS for w in known):
        return TIME, ""
    if response:
        return RESPONSE, response
    if ambiguous:
        return ambiguous, ""
    if any(w in OTHER_WORDS for w in known):
        return OTHER, ""
    counts = [w for w in found if w in COUNT_WORDS]
    if counts and len(counts) == len(found):
        return PULSES, ""
    return None, ""


def branch_in(text: str) -> Branch | None:
    """The branch that a name or a label tells; None where it tells none, or both."""
    found: set[Branch] = {BRANCH_OF[word] for word in words(text) if word in BRANCH_OF}
    return found.pop() if len(found) == 1 else None


def names_conductance_way(text: str) -> bool:
    """Whether a branch is named by what the conductance does, as LTP and SET do."""
    return any(word in CONDUCTANCE_WAYS for word in words(text))


def device_of_label(label: str) -> str:
    """The device that the label of a line names: all of it but cycle, read and direction."""
    if found := DEVICE_NAME.search(label):
        return found[0]
    rest = READ_NUMBER.sub("", CYCLE_NUMBER.sub("", label))
    kept = [word for word in re.split(r"([\s,;_.:/()-]+)", rest) if branch_in(word) is None]
    return "".join(kept).strip(" ,;_-.:/()")


def inverse_unit(unit: str) -> str:
    """The unit of 1/R for a resistance R in this unit."""
    if not unit:
        return ""
    found = OHM.fullmatch(unit)
    return f"{INVERSE[found[1]]}S" if found and found[1] in INVERSE else f"1/({unit})"


def is_ohm(unit: str) -> bool:
    return OHM.fullmatch(unit) is not None
