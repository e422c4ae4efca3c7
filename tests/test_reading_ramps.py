"""Where the ramps of a measured file are: in columns, lines, long tables, below each other."""

import numpy as np
import pytest
from support.curves import (
    CURVED,
    LINEAR,
    PAIR,
    PULSES,
    assert_ramps,
    check,
    line,
    ramps_in_words,
    table,
)

from utils.measured.reading import describe

RISING = CURVED[::-1]
HIGHER = np.round(CURVED + 0.1, 4)
THREES = 3 * PULSES + 0.5  # counts of a lab that reads after every third pulse
FOUR = table("pulse,D1 (uS),D2 (uS),d3 (uS)", PULSES, LINEAR, CURVED, 2 * CURVED)
TWO = [LINEAR, CURVED]


def lines(*curves) -> str:
    """Lines without labels, a ramp each."""
    return "".join(line(f"{curve[0]:.6g}", curve[1:]) for curve in curves)


def lines_below(head: str) -> str:
    return line(head, 10 * PULSES) + line("x", LINEAR) + line("y", CURVED)


def without_fifth(cell: str) -> str:
    """Two columns, the first of which has this text in place of its fifth reading."""
    return table(None, [f"{value}" if k != 4 else cell for k, value in enumerate(LINEAR)], CURVED)


# Lines of a long table in another order than they were measured in.
LONG_HEAD, *LONG_LINES = table(
    "Device ID;Pulse number;LTP/LTD;Conductance (S)",
    ["a", "b", "a"] * 12,
    np.repeat(PULSES, 3),
    ["LTD", "LTD", "LTP"] * 12,
    np.column_stack([LINEAR, CURVED, RISING]).ravel(),
    separator=";",
).splitlines()
LONG = "\n".join([LONG_HEAD, *LONG_LINES[::-1]])

# Two cycles up and down, counted from 1 in each ramp.
UP = 1 - np.exp(-np.arange(1, 13) / 5)
DOWN = UP[-1] * np.exp(-np.arange(1, 13) / 4)
TRAIN = np.round([UP, DOWN, DOWN[-1] + (1 - DOWN[-1]) * UP, DOWN], 6)  # [ramp, reading]
CYCLES, BRANCHES = np.repeat([1, 2], 24), (["LTP"] * 12 + ["LTD"] * 12) * 2
NINE = [np.round(CURVED + k / 1000, 4) for k in range(9)]
FIRST_FROM_0 = [PULSES, PULSES[1:], PULSES[1:]]


# What the file looks like, the flags, the curves that come out, and what else.
FILES = {
    # columns
    "the shortest ramp": (
        "5\n4\n3\n2\n1\n", {}, [[5, 4, 3, 2, 1]],
        dict(pulses=range(5), sha256=(  # as sha256sum prints it
            "3e10ec699e14027e751477dd04e89dd344dd98cebd3ed315784b17f9d4a739d1"))),
    "a count by its name": (table("pulse,D1,D2", THREES, *TWO), {}, TWO, dict(pulses=THREES)),
    "a count that the user does without": (
        table("pulse,D1,D2", THREES, *TWO), dict(pulses="none", columns=["2-3"]), TWO, {}),
    "a count by the flag": (
        table(None, LINEAR, THREES), dict(pulses="2"), [LINEAR], dict(pulses=THREES)),
    "a count without names": (
        table(None, PULSES + 1, LINEAR), {}, [LINEAR], dict(pulses=PULSES + 1)),
    "an index of pandas": (table(",G", PULSES, LINEAR), {}, [LINEAR], {}),
    "cycles in another order": (
        table("dev1 cycle 2,dev1 cycle 1", *TWO), {}, [CURVED, LINEAR],
        dict(ramps="dev1.1 falling, dev1.2 falling")),
    "a column by its number": (FOUR, dict(columns=["2"]), [LINEAR], {}),
    "a range of columns": (FOUR, dict(columns=["2-3"]), TWO, {}),
    "all columns": (FOUR, dict(columns=["2-4"]), [*TWO, 2 * CURVED], {}),
    "columns in another order": (FOUR, dict(columns=["4", "2"]), [2 * CURVED, LINEAR], {}),
    "a column by its name": (FOUR, dict(columns=["D2"]), [CURVED], {}),
    "a column by name and unit": (FOUR, dict(columns=["D1 (uS)"]), [LINEAR], {}),
    "columns by names in another order": (
        FOUR, dict(columns=["d3 (uS)", "D1"]), [2 * CURVED, LINEAR], {}),
    # lines
    "lines behind their labels": (
        line("A1", LINEAR) + line("A2", CURVED) + line("A1", CURVED), {}, [LINEAR, CURVED, CURVED],
        dict(ramps="A1.1 falling, A1.2 falling, A2.1 falling")),
    **{f"counts above lines, {head}": (lines_below(head), {}, TWO, dict(pulses=10 * PULSES))
       for head in ("device", "pulse", "Label")},
    "counts above lines that the user does without": (
        lines_below("pulse"), dict(layout="rows", pulses="none"), TWO, {}),
    "counts above lines without labels": (
        lines(PULSES + 1, *TWO), {}, TWO, dict(pulses=PULSES + 1)),
    "lines without labels": (lines(*TWO), {}, TWO, {}),  # columns of two would be no ramps
    "many lines, along which the values change more": (lines(*NINE), {}, NINE, {}),
    "many lines, a device each": (lines(*NINE), dict(layout="rows", devices="each"), NINE, {}),
    "device and cycle before the lines": (
        line("device,cycle", [f"p{k}" for k in PULSES])
        + line("7,2", LINEAR) + line("7,1", CURVED) + line("8,1", CURVED),
        {}, [CURVED, LINEAR, CURVED], dict(ramps="7.1 falling, 7.2 falling, 8.1 falling")),
    # long tables
    "pulses that run on from branch to branch": (
        table("device,cycle,branch,pulse,value", ["d"] * 24, ["1"] * 24,
              ["up"] * 12 + ["down"] * 12, range(1, 25), [*RISING, *CURVED]),
        {}, [RISING, CURVED], dict(pulses=PULSES + 1)),
    "a long table in any order": (
        LONG, {}, [RISING, LINEAR, CURVED],
        dict(unit="S", quantity="conductance", ramps="a.1 rising, a.1 falling, b.1 falling")),
    "one branch of a long table": (LONG, dict(branches=["rising"]), [RISING], {}),
    "the value that the user names": (
        table("device,pulse,G,R", ["a"] * 12, PULSES, LINEAR, 1 / LINEAR),
        dict(columns=["G"]), [LINEAR], {}),
    # ramps below each other
    "cut after every 12 readings": (
        table(None, [*LINEAR, *CURVED, *LINEAR[:3]]), dict(split=12), TWO,
        dict(ramps="1.1 falling, 1.2 falling", left_out=(
            "column 1: 3 readings outside of complete ramps, between lines 25 and 27",))),
    "cut where the count starts again": (
        table("pulse,G", [*range(1, 13)] * 2, [*LINEAR, *CURVED]), dict(split=12), TWO,
        dict(pulses=PULSES + 1)),
    "cut where the count runs on": (
        table("pulse,G", range(1, 25), [*LINEAR, *CURVED]), dict(split=12), TWO,
        dict(pulses=PULSES + 1)),
    "a state that is read again at the turn": (
        table(None, [*CURVED, *RISING, *CURVED]), {}, [CURVED, RISING, CURVED],
        dict(before=[None] * 3)),
    "resets": (
        table(None, [*CURVED, *HIGHER, *CURVED]), dict(split="turns"), [CURVED, HIGHER, CURVED],
        dict(left_out=("column 1, lines 1 to 36: 2 resets between ramps (single jumps)",))),
    # the last reading before a turn is the state in which the next ramp begins
    **{f"turns, --split {split}": (
        table(None, [*CURVED, *RISING[1:], *CURVED[1:]]), dict(split=split),
        [CURVED, RISING[1:], CURVED[1:]],
        dict(pulses=FIRST_FROM_0, ramps="1.1 falling, 1.1 rising, 1.2 falling",
             before=[None, CURVED[-1], CURVED[0]], order=[0, 1, 2], lines=[*range(1, 35)]))
       for split in (None, "turns")},
    "ramps that the begin and the end of the file cut": (
        table(None, [*CURVED[8:], *RISING[1:], *CURVED[1:], *RISING[1:4]]), dict(split="turns"),
        [RISING, CURVED[1:]],
        dict(pulses=[PULSES, PULSES[1:]], ramps=PAIR, left_out=(
            "column 1: 6 readings outside of complete ramps, between lines 1 and 29",))),
    **{f"a train, {name}": (
        text, {}, TRAIN, dict(pulses=PULSES + 1, ramps=f"{PAIR}, 1.2 rising, 1.2 falling",
                              before=[None, *TRAIN[:3, -1]], order=[0, 1, 2, 3]))
       for name, text in {
           "bare values": table(None, TRAIN.ravel()),
           "cycle, branch and pulse": table(
               "cycle,branch,pulse,G (nS)", CYCLES, BRANCHES, [*range(1, 13)] * 4, TRAIN.ravel()),
           "counted on": table("n,G (nS)", range(1, 49), TRAIN.ravel())}.items()},
    # ramps of different lengths
    "columns that end in empty cells": (
        table("D1,D2,", LINEAR, CURVED[:8]) + ",\n,\n", {}, [LINEAR, CURVED[:8]],
        dict(pulses=[PULSES, PULSES[:8]], begin="2 devices × 1 falling ramp × 8 to 12 readings")),
    "a column of pulses for each device": (
        table("n,D1,n,D2", PULSES, LINEAR, PULSES + 1, CURVED), {}, TWO,
        dict(pulses=[PULSES, PULSES + 1])),
    "lines of different lengths": (
        line("A1", LINEAR) + line("A2", CURVED[:9]), {}, [LINEAR, CURVED[:9]],
        dict(pulses=[PULSES, PULSES[:9]])),
    **{f"a missing reading, {cell!r}, which counts its pulse": (
        without_fifth(cell), {}, [np.delete(LINEAR, 4), CURVED],
        dict(pulses=[np.delete(PULSES, 4), PULSES],
             left_out=("line 5, column 1: no reading; the pulse counts all the same",)))
       for cell in (
           "", "NaN", "N/A", "--", "9.91E37", "9.9e37", "9.90E+37", "+9.910000E+37")},
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_ramps_of_a_file(name, reads):
    text, how, curves, expected = FILES[name]
    check(reads(text, **how), curves, **expected)


@pytest.mark.parametrize(
    ("head", "devices", "ramps"),
    [
        ("rmp1,rmp2", "auto", "1.1, 1.2"),
        ("A1,B2", "auto", "1.1, 1.2"),
        ("A1,B2", "each", "A1.1, B2.1"),
        ("dev1,dev2", "auto", "dev1.1, dev2.1"),
        ("dev1,dev2", "one", "1.1, 1.2"),
        ("device 2,device 10", "auto", "device 2.1, device 10.1"),
        ("D3 cycle 1,D3 cycle 2", "auto", "D3.1, D3.2"),
        ("G_d1 (uS),G_d2 (uS)", "auto", "d1.1, d2.1"),
        ("sample A,sample B", "auto", "sample A.1, sample B.1"),
        (None, "auto", "1.1, 1.2"),
        (None, "each", "column 1.1, column 2.1"),
    ],
)
def test_devices_by_names_and_by_the_flag(reads, head, devices, ramps):
    measurement = reads(table(head, *TWO), devices=devices)
    assert ramps_in_words(measurement).replace(" falling", "") == ramps
    assert_ramps(measurement, *TWO)
    if (head, devices) == (None, "auto"):
        assert "one device (--devices each: one device for each column)" in measurement.layout


def test_columns_of_different_quantities_are_not_one_measurement(refused):
    message = refused(table("G (uS),H (nS)", *TWO))
    assert "line 1, column 2 (H): the unit is nS, but that of another column is uS" in message
    message = refused(table("device,pulse,G,R", ["a"] * 12, PULSES, LINEAR, 1 / LINEAR))
    assert "column 4 (R): the quantity is resistance" in message
    assert "choose" in message


def test_both_branches_are_read(reads):
    text = table(None, LINEAR[::-1], LINEAR)
    measurement = reads(text)
    check(measurement, [LINEAR[::-1], LINEAR], ramps=PAIR)
    assert measurement.layout.startswith(
        "1 device × 1 falling ramp × 12 readings and 1 rising ramp × 12 readings"
    )
    for branch, curve in (("rising", LINEAR[::-1]), ("falling", LINEAR)):
        only = reads(text, branches=[branch])
        assert_ramps(only, curve)
        assert f"--branches {branch} uses only the others" in only.left_out[0]


@pytest.mark.parametrize(("unit", "inverse"), [("kOhm", "mS"), ("Ω", "S"), ("MΩ", "µS")])
def test_resistances_become_conductances(reads, unit, inverse):
    text = table(f"R ({unit})", CURVED)
    expected = dict(ramps="1.1 rising", unit=inverse, quantity="conductance")
    check(reads(text, resistance=True), [1 / CURVED], **expected)
    plain = reads(text)
    assert_ramps(plain, CURVED)
    assert "--resistance fits conductances" in plain.notes[0]
    assert "note: the values are resistances" in describe(plain)
