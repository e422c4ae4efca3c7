"""The words and units that labs write above their columns, and the roles that these give to
columns.

In: the text and the unit of a name, such as `Leitwert` and `µS`. Out: a role, such as response, and
the quantity, such as conductance. Words are English, German and French, without accents, in lower
case.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import cache


class Role(str, Enum):
    """What a column holds; STATE, CURRENT and VOLTAGE become responses if no other column is."""

    PULSES = "pulses"
    TIME = "time"
    DRIVE = "drive"
    RESPONSE = "response"
    STATE = "state"
    VOLTAGE = "voltage"
    CURRENT = "current"
    DEVICE = "device"
    CYCLE = "cycle"
    BRANCH = "branch"
    READ = "read"
    LABEL = "label"
    OTHER = "other"
    TEXT = "text"
    UNKNOWN = "unknown"
    NOTHING = "empty"

    __str__ = str.__str__


LABELS = (Role.DEVICE, Role.CYCLE, Role.BRANCH, Role.READ)

WORDS = {
    kind: frozenset(line.split())
    for kind, line in {
        # Quantities that a drive or a pulse has; a name with one of them never counts pulses.
        "drive": "amplitude amplituden width widths duration breite pulsbreite dauer pulsdauer "
        "largeur duree bias applied vpulse vprog vwrite vread vset vreset vg vgs vds vbias gate "
        "compliance stimulus height hohe pulshohe pulsamplitude hauteur pulsewidth pulseamplitude "
        "pulsevoltage field feld champ delay period frequency frequenz pulsspannung vp vpp vw vin "
        "vtop tp tw",
        # "Number of applied pulses", "gate pulse count": a number, although the word is of a drive.
        "applied": "applied gate stimulus",
        "gate": "gate compliance",  # a gate current is a leakage
        # A drive with one of these is that of pulses, not of a sweep.
        "pulsed": "pulse puls impulsion amplitude write prog vpulse vwrite vprog vset vreset vp "
        "width",
        "pulse": "pulse pulses puls pulsanzahl pulszahl pulsnummer pulsnr impuls impulse "
        "impulsanzahl impulsnummer impulszahl impulsion impulsions pulseno pulsenr pulsenumber "
        "pulsenum pulseindex pulseidx pulsecount pulseid numpulses npulses npulse npuls nbpulses "
        "nimpulsions numberofpulses noofpulses nofpulses spike spikes shot shots",
        "number of pulses": "pulses impulse impulsions number num total anzahl nombre count",
        "per": "per pro par je each",
        # They may count pulses or anything else: believed if the numbers count, too.
        "count": "n no nr num number nombre numero anzahl nummer k x step steps schritt schritte "
        "pas etape index idx count counts counter zahler compteur point points punkt pt event i j "
        "line row zeile ligne lfd order seq sequence",
        "label number": "id no nr number num index name count",
        "time": "time t zeit temps timestamp date datum datetime uhrzeit heure seconds sekunden "
        "secondes elapsed elapsedtime dauer duree minutes minuten",
        "condition": "temperature temperatur temp humidity feuchte",
        "comment": "comment kommentar status",
        "error": "std sdev stdev stddev stdabw stabw standardabweichung sem stderr error err "
        "fehler erreur streuung deviation abweichung uncertainty unsicherheit incertitude ecart",
        # Columns with one of these are computed from others.
        "fit": "fit fits fitted fitting model modell modele sim simulated simulation calc "
        "calculated theory anpassung ajustement smooth smoothed geglattet lisse",
        "mean": "mean means average avg mittel mittelwert moyenne median mediane",
        "spread": "min max minimum maximum quartile quartil",
        "sd": "sd",  # standard deviation, or source to drain
        # Columns with one of these hold no reading of a device after pulses.
        "logarithm": "log ln lg",
        "distribution": "probability wahrscheinlichkeit probabilite cdf percentile quantile "
        "weibull",
        "learning": "accuracy acc loss genauigkeit recognition classification erkennung "
        "erkennungsrate precision mnist cifar fashion",
        "epoch": "epoch epochs epoche epochen epoque epoques training images",
        "level": "hrs lrs window fenster endurance",  # of each cycle of an endurance test
        "ordinal": "first second third fourth fifth last erste erster zweite zweiter dritte "
        "dritter letzte letzter premier premiere deuxieme troisieme dernier derniere",
        "before": "before pre vorher avant vor prev previous start initial",
        "after": "after post nachher apres nach next end final",
        "rising": "ltp potentiation potenzierung potenciation pot pote set up rising rise increase "
        "inc auf aufwarts steigend montee montant croissant hausse program prg pgm "
        "potentialisation potencialisation potencializacion verst verstarkung langzeitpotenzierung",
        "falling": "ltd depression depressing depr dep reset down falling fall decrease dec ab "
        "abwarts fallend descente descendant decroissant baisse erase ers abschwachung "
        "langzeitdepression",
        "conductance way": "ltp ltd potentiation depression potenzierung set reset pot dep",
        "hall": "hall rhall hallresistance hallwiderstand xy rxy ahe rahe h rh",
        # Names of pulses, not of what they do: in some devices, programming lowers the current.
        "polarity": "set reset up down auf ab program prg pgm erase ers",
    }.items()
}
TWO_LEVELS = (
    *({"hrs", "lrs"}, {"ron", "roff"}, {"rhigh", "rlow"}, {"gon", "goff"}, {"on", "off"}),
    {"programmed", "erased"},
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
DRIVE_OR_RESPONSE_WORDS = {
    Role.VOLTAGE: "v u voltage spannung tension volt volts",
    Role.CURRENT: "i current strom courant amp amps ampere",
}
# States of a device, mostly a magnetic one: patterns of a name and its unit in brackets.
STATES = {
    "coercive field": r"(?i:(?<![a-z])[HB]_?c(?![a-z])|coerciv|coercitif|koerzitiv)",
    "anisotropy field": r"(?i:(?<![a-z])H_?k(?![a-z])|anisotropy[\s_]?field)",
    "exchange bias": r"(?i:(?<![a-z])H_?EB(?![a-z])|exchange[\s_]?bias)",
    "magnetization": r"(?<![A-Za-z])M_?[rs](?![A-Za-z])|\([mµμu]?emu|^M \([kM]?A/m|"
    r"(?i:magneti[sz]ation|magnetisierung|aimantation)",
    "Kerr rotation": r"(?i:kerr|moke)(?!.*(?i:field|feld))",
    "Hall angle": r"(?i:hall[\s_-]?(?:angle|winkel))",
    "threshold voltage": r"(?i:(?<![a-z])V_?th(?![a-z])|threshold[\s_]?voltage|schwell\w*spannung)",
}
LABEL_WORDS = {
    Role.DEVICE: "device dev deviceid devicename deviceno devicenumber dut sample sampleid cell "
    "chip bauteil bauelement probe zelle composant dispositif echantillon cellule junction "
    "synapse memristor fet transistor pad dot kontakt contact gerat struktur structure hallbar "
    "wafer die batch lot",
    Role.CYCLE: "cycle cyc cycleno cyclenumber cycleid ramp run sweep loop repetition rep repeat "
    "trial iteration zyklus zyklen durchlauf durchgang wiederholung cyclus essai rampe rmp boucle",
    Role.BRANCH: "branch direction polarity operation phase mode process ltpltd pd updown setreset "
    "ast richtung polaritat sens branche polarite typ type",
    Role.READ: "read reads rd lesung auslesung lecture readout readno",
}
RESPONSE_OF, AMBIGUOUS, LABEL_OF = (
    {word: kind for kind, line in table.items() for word in line.split()}
    for table in (RESPONSE_WORDS, DRIVE_OR_RESPONSE_WORDS, LABEL_WORDS)
)
# Names that are those of branches only if both occur: P1, D1, P2, D2; Write, Erase.
BRANCH_PAIRS = (("p", "d"), ("write", "erase"))

SI = r"[fpnuµμmkMG]?"
POWER = r"(([x×*·]\s?)?10(\^-?|-)\d+\s?)?"  # such as 10^-6, before a unit
ARBITRARY = r"[a]\.?\s?u\.?|arb\.?\s?u(nits)?\.?"
UNITS = {
    Role.RESPONSE: rf"{POWER}{SI}(S|Ω|ohms?|Ohms?|OHM|G0|g0)|{ARBITRARY}|%",
    Role.CURRENT: rf"{POWER}{SI}A",
    Role.VOLTAGE: rf"{SI}V|volts?",
    Role.TIME: r"[fpnuµμmk]?s|sec|seconds?|min|h",
    Role.OTHER: rf"{SI}(Hz|C|F|W|J|T|K|m|Oe)|°C|Oe",
    Role.PULSES: rf"#|pulses?|counts?|{ARBITRARY}",
}
ANGLE = r"[nµμum]?(deg|rad)|°"
KNOWN_UNIT = re.compile("|".join(f"(?:{pattern})" for pattern in (*UNITS.values(), ANGLE)))
QUANTITY_OF_UNIT = {"conductance": rf"{POWER}{SI}S", "resistance": rf"{POWER}{SI}(Ω|ohms?)"}
# Units that may stand at the end of a name without brackets: `G nS`, `Conductance, µS`, `R_kOhm`.
TAIL_UNIT = re.compile(r"[fpnuµμm][SAV]|[mkMG]?(Ω|[Oo]hms?)")
OHM = re.compile(rf"({SI})(Ω|ohms?)", re.IGNORECASE)
# The prefix of the siemens in which 1/R is given, by the prefix of the ohms of R.
INVERSE = {"": "", "m": "k", "k": "m", "u": "M", "µ": "M", "μ": "M", "n": "G", "M": "µ", "G": "n"}


@cache
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, without accents: of `Pulse_LTP2` pulse, ltp, 2.

    It is split at signs, between letters and digits, and before a capital letter.
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", plain)
    return tuple(word.lower() for word in parts)


def has_words(name: str, *kinds: str) -> bool:
    """Whether one of the words of a name is of one of these kinds."""
    return any(not WORDS[kind].isdisjoint(words(name)) for kind in kinds)


def role_of_unit(unit: str) -> Role | None:
    """The role of a column whose numbers have this unit; None if it is not known."""
    return next((role for role, pattern in UNITS.items() if re.fullmatch(pattern, unit)), None)


def role_of(text: str, unit: str) -> tuple[str | None, str]:
    """The role of a column by its name and unit, None if they leave it open, and the quantity.

    The quantity is "" unless the column holds a response.
    """
    words_of_name = words(text.partition("@")[0])  # what follows it is a condition
    joined = "".join(word for word in words_of_name if not word.isdigit())
    joined_and_words = [joined, *words_of_name]
    found_words = {kind: listed.intersection(joined_and_words) for kind, listed in WORDS.items()}
    response = next((RESPONSE_OF[word] for word in joined_and_words if word in RESPONSE_OF), "")
    ambiguous = next((AMBIGUOUS[word] for word in joined_and_words if word in AMBIGUOUS), None)
    has_only_labels = {*words_of_name} <= LABEL_OF.keys()
    is_deviation = words_of_name[-1:] == ("dev",) and not has_only_labels  # such as G_dev
    drives, by_unit, mark = found_words["drive"], role_of_unit(unit), text.strip()
    with_unit = f"{text} ({unit})"
    state = next(
        (quantity for quantity, pattern in STATES.items() if re.search(pattern, with_unit)), ""
    )
    is_number = all(
        WORDS[kind].intersection(words_of_name) for kind in ("pulse", "number of pulses")
    )
    typed = response == "conductance" and not found_words["time"]  # (us) for (uS)
    has_quantity = response not in ("", "conductance", "resistance")  # but not V_G
    is_label = words_of_name and words_of_name[0] in LABEL_OF  # such as `Device ID`
    is_label = is_label and {*words_of_name} <= LABEL_OF.keys() | WORDS["label number"]
    is_label = is_label and not re.fullmatch(ANGLE, unit)  # the phase of a lock-in amplifier
    rules = (  # the stronger evidence stands first
        (found_words["error"] or is_deviation or joined == "sd" or "±" in text, Role.OTHER),
        (mark in ("№", "n°", "N°") or mark.startswith("#"), Role.PULSES),
        (is_number and re.fullmatch(ARBITRARY, unit), Role.PULSES),
        (by_unit == Role.RESPONSE, Role.RESPONSE),
        (state, Role.STATE),
        (is_number and drives <= WORDS["applied"], Role.PULSES),
        (by_unit == Role.TIME and drives <= WORDS["time"], Role.RESPONSE if typed else Role.TIME),
        (by_unit == Role.TIME, Role.DRIVE),  # such as a width
        (drives and drives <= WORDS["gate"] and ambiguous == Role.CURRENT, Role.OTHER),  # leakage
        (drives, Role.DRIVE),
        (response == "current" and ambiguous == Role.VOLTAGE and not by_unit, ambiguous),  # DrainV
        (by_unit in (Role.VOLTAGE, Role.CURRENT) and has_quantity, Role.RESPONSE),
        (by_unit == Role.VOLTAGE and found_words["pulse"], Role.DRIVE),
        (by_unit in (Role.VOLTAGE, Role.CURRENT, Role.OTHER), by_unit),
        (by_unit == Role.PULSES or (found_words["pulse"] and not response), Role.PULSES),
        (found_words["pulse"] and ambiguous, Role.DRIVE),
        (joined == "i", Role.CURRENT),
        (joined in WORDS["count"], Role.PULSES),
        (is_label, LABEL_OF.get(words_of_name[0]) if words_of_name else None),
        (found_words["time"], Role.TIME),
        (response, Role.RESPONSE),
        (ambiguous, ambiguous),
        (found_words["condition"] or found_words["comment"], Role.OTHER),
        (words_of_name and {*words_of_name} <= WORDS["count"], Role.PULSES),
    )
    role = next((role for is_so, role in rules if is_so), None)
    if role != Role.RESPONSE:
        return role, state if role == Role.STATE else ""
    by_unit = [kind for kind, pattern in QUANTITY_OF_UNIT.items() if re.fullmatch(pattern, unit)]
    return role, by_unit[0] if by_unit else response or "response"


def inverse_unit(unit: str) -> str:
    """The unit of 1/R for a resistance R in this unit."""
    if not unit:
        return ""
    match = OHM.fullmatch(unit)
    return f"{INVERSE[match[1]]}S" if match and match[1] in INVERSE else f"1/({unit})"
