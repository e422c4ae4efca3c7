"""The words and units that labs write above their columns, and the roles that these give them.

English, German and French, without accents and case.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum


class Role(str, Enum):
    """What a column holds; VOLTAGE and CURRENT are drive or response, as the other columns tell."""

    PULSES = "pulses"
    TIME = "time"
    DRIVE = "drive"
    RESPONSE = "response"
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

# Quantities that a drive or a pulse has; a name with one of these words never counts pulses.
DRIVE_WORDS = set(
    "amplitude amplituden width widths duration breite pulsbreite dauer pulsdauer largeur duree "
    "bias applied vpulse vprog vwrite vread vset vreset vg vgs vds vbias gate compliance stimulus "
    "height hohe pulshohe pulsamplitude hauteur pulsewidth pulseamplitude pulsevoltage "
    "field feld champ delay period frequency frequenz pulsspannung vp vw vin vtop".split()
)
# They tell what pulses are applied to, or, beside a word that counts, whose number is given.
APPLIED_WORDS = set("applied gate stimulus".split())
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
COUNTED_PULSES = set("pulses impulse impulsions number num total anzahl nombre count".split())
COUNT_AFTER = set("id no nr number num index name count".split())
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
    **dict.fromkeys("v u voltage spannung tension volt volts".split(), Role.VOLTAGE),
    **dict.fromkeys("i current strom courant amp amps ampere".split(), Role.CURRENT),
}
LABEL_WORDS = {
    Role.DEVICE: "device dev deviceid devicename deviceno devicenumber dut sample sampleid cell "
    "chip bauteil bauelement probe zelle composant dispositif echantillon cellule junction "
    "synapse memristor fet transistor pad dot kontakt contact gerat struktur structure hallbar",
    Role.CYCLE: "cycle cyc cycleno cyclenumber cycleid ramp run sweep loop repetition rep repeat "
    "trial iteration zyklus zyklen durchlauf durchgang wiederholung cyclus essai rampe rmp boucle",
    Role.BRANCH: "branch direction polarity operation phase mode process ltpltd pd updown setreset "
    "ast richtung polaritat sens branche polarite typ type",
    Role.READ: "read reads rd lesung auslesung lecture readout readno",
}
LABEL_OF = {word: role for role, line in LABEL_WORDS.items() for word in line.split()}
CONDITION_WORDS = set("temperature temperatur temp humidity feuchte".split())
OTHER_WORDS = CONDITION_WORDS | set("comment kommentar status".split())
ERROR_WORDS = set(
    "std sdev stdev stddev stdabw standardabweichung sem stderr error err fehler erreur streuung "
    "uncertainty unsicherheit incertitude ecart".split()
)
# Columns with one of these words hold no reading of a device after pulses.
LOGARITHM_WORDS = set("log ln lg".split())
DISTRIBUTION_WORDS = set(
    "probability wahrscheinlichkeit probabilite cdf percentile quantile weibull".split()
)
LEARNING_WORDS = set(
    "accuracy acc loss genauigkeit recognition classification erkennung erkennungsrate precision "
    "mnist cifar fashion".split()
)
EPOCH_WORDS = set("epoch epochs epoche epochen epoque epoques training images".split())
# Columns with one of these words are made of others.
FIT_WORDS = set(
    "fit fits fitted fitting model modell modele sim simulated simulation calc calculated theory "
    "anpassung ajustement smooth smoothed geglattet lisse".split()
)
MEAN_WORDS = set("mean means average avg mittel mittelwert moyenne median mediane".split())
SPREAD_WORDS = set("min max minimum maximum quartile quartil".split())
BEFORE_WORDS = set("before pre vorher avant".split())
AFTER_WORDS = set("after post nachher apres".split())
PULSED_WORDS = set(
    "pulse puls impulsion amplitude write prog vpulse vwrite vprog vset vreset vp width".split()
)  # beside them a drive is one of pulses, and no sweep
TWO_LEVELS = (
    *({"hrs", "lrs"}, {"ron", "roff"}, {"rhigh", "rlow"}, {"gon", "goff"}, {"on", "off"}),
    {"programmed", "erased"},
)
ONE_LEVEL = set("hrs lrs window fenster endurance".split())  # of each cycle of an endurance test
GATE_WORDS = set("gate compliance".split())  # of a current they name the leakage

RISING_WORDS = set(
    "ltp potentiation potenzierung potenciation pot pote set up rising rise increase inc auf "
    "aufwarts steigend montee montant croissant hausse program pgm potentialisation "
    "potencialisation potencializacion verst verstarkung langzeitpotenzierung".split()
)
FALLING_WORDS = set(
    "ltd depression depressing depr dep reset down falling fall decrease dec ab abwarts fallend "
    "descente descendant decroissant baisse erase ers langzeitdepression".split()
)
CONDUCTANCE_WAYS = set("ltp ltd potentiation depression potenzierung set reset pot dep".split())
# Names of a polarity or an operation: in some devices, programming lowers the current.
POLARITY_WORDS = set("set reset up down auf ab program pgm erase ers".split())
# Names that tell a branch only together: P1, D1, P2, D2; Write, Erase.
BRANCH_PAIRS = (("p", "d"), ("write", "erase"))

SI = r"[fpnuµμmkMG]?"
POWER = r"(([x×*·]\s?)?10(\^-?|-)\d+\s?)?"  # of ten, before a unit
ARBITRARY = r"[a]\.?\s?u\.?|arb\.?\s?u(nits)?\.?"
UNITS = {
    Role.RESPONSE: rf"{POWER}{SI}(S|Ω|Ω|ohms?|Ohms?|OHM|G0|g0)|{ARBITRARY}|%",
    Role.CURRENT: rf"{POWER}{SI}A",
    Role.VOLTAGE: rf"{SI}V|volts?",
    Role.TIME: rf"{SI}s|sec|seconds?|min|h",
    Role.OTHER: rf"{SI}(Hz|C|F|W|J|T|K|m|Oe)|°C|Oe",
    Role.PULSES: rf"#|pulses?|counts?|{ARBITRARY}",
}
KNOWN_UNIT = re.compile("|".join(f"(?:{pattern})" for pattern in UNITS.values()))
QUANTITY_OF_UNIT = (
    ("conductance", rf"{POWER}{SI}S"),
    ("resistance", rf"{POWER}{SI}(Ω|Ω|ohms?)"),
)
# Of a response, without brackets: `G nS`, `Conductance, µS`, `R_kOhm`.
TAIL_UNIT = re.compile(r"[fpnuµμm][SAV]|[mkMG]?(Ω|Ω|[Oo]hms?)")
OHM = re.compile(rf"({SI})(Ω|Ω|ohms?)", re.IGNORECASE)
# Ohms are inverted to siemens; without a prefix both are units of their own.
INVERSE = {"": "", "m": "k", "k": "m", "u": "M", "µ": "M", "μ": "M", "n": "G", "M": "µ", "G": "n"}


def words(name: str) -> list[str]:
    """The words of a name, lower case and without accents, split at signs, digits and humps."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", plain)]


def role_of(text: str, unit: str) -> tuple[str | None, str]:
    """The role of a column by its name and unit, if they tell it, and a response's quantity."""
    found = words(text.partition("@")[0])  # what stands behind it is a condition
    joined = "".join(word for word in found if not word.isdigit())
    both = [joined, *found]
    if ERROR_WORDS & {*both} or joined == "sd" or "±" in text:
        return Role.OTHER, ""
    if text.strip() in ("№", "n°", "N°") or text.strip().startswith("#"):
        return Role.PULSES, ""
    by_unit = next((r for r, pattern in UNITS.items() if unit and re.fullmatch(pattern, unit)), "")
    response = next((RESPONSE_OF[word] for word in both if word in RESPONSE_OF), "")
    pulse, drives = PULSE_WORDS & {*both}, DRIVE_WORDS & {*both}
    ambiguous = next((AMBIGUOUS[word] for word in both if word in AMBIGUOUS), None)
    counts_pulses = bool(PULSE_WORDS & {*found} and COUNTED_PULSES & {*found})
    if counts_pulses and by_unit == Role.RESPONSE and re.fullmatch(ARBITRARY, unit):
        return Role.PULSES, ""
    if by_unit == Role.RESPONSE:
        kinds = [kind for kind, pattern in QUANTITY_OF_UNIT if re.fullmatch(pattern, unit)]
        return Role.RESPONSE, kinds[0] if kinds else response or "response"
    if drives <= APPLIED_WORDS and counts_pulses:
        return Role.PULSES, ""
    if by_unit == Role.TIME:
        if drives - TIME_WORDS:
            return Role.DRIVE, ""
        typed = response == "conductance" and not TIME_WORDS & {*both}  # (us) for (uS)
        return (Role.RESPONSE, response) if typed else (Role.TIME, "")
    if drives and drives <= GATE_WORDS and ambiguous == Role.CURRENT:
        return Role.OTHER, ""
    if drives:
        return Role.DRIVE, ""
    if response == "current" and ambiguous == Role.VOLTAGE and not by_unit:
        return Role.VOLTAGE, ""  # DrainV
    if by_unit in (Role.VOLTAGE, Role.CURRENT):
        if response not in ("", "conductance", "resistance"):  # V_G is a voltage of a gate
            return Role.RESPONSE, response
        return (Role.DRIVE if pulse and by_unit == Role.VOLTAGE else by_unit), ""
    if by_unit == Role.OTHER:
        return Role.OTHER, ""
    if by_unit == Role.PULSES or (pulse and not response):
        return Role.PULSES, ""
    if pulse and ambiguous:
        return Role.DRIVE, ""
    if joined in COUNT_WORDS:
        return (Role.CURRENT if joined == "i" else Role.PULSES), ""
    if found and found[0] in LABEL_OF and {*found} <= LABEL_OF.keys() | COUNT_AFTER:
        return LABEL_OF[found[0]], ""  # such as `Device ID`
    if TIME_WORDS & {*both}:
        return Role.TIME, ""
    if response:
        return Role.RESPONSE, response
    if ambiguous or OTHER_WORDS & {*both}:
        return ambiguous or Role.OTHER, ""
    return (Role.PULSES if found and {*found} <= COUNT_WORDS else None), ""


def inverse_unit(unit: str) -> str:
    """The unit of 1/R for a resistance R in this unit."""
    if not unit:
        return ""
    found = OHM.fullmatch(unit)
    return f"{INVERSE[found[1]]}S" if found and found[1] in INVERSE else f"1/({unit})"
