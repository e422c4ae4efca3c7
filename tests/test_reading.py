"""Reading measured files: separators, encodings, layouts, and what the user may say about them."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils.errors import UserError
from utils.flags import flags_of
from utils.measured.options import HowToRead
from utils.measured.reading import read
from utils.parser import add

# Falling curves of 12 readings, written with four digits, so that they come back to the bit.
PULSES = np.arange(12.0)
LINEAR = np.round(2.742 - 0.021 * PULSES, 4)
CURVED = np.round(1.530 * np.exp(-PULSES / 9.741) + 0.750, 4)


def words(values) -> list[str]:
    return [repr(float(value)) for value in values]


def columns(*parts, head=None, separator=",") -> str:
    """The text of a table of columns, short ones ending in empty cells."""
    rows = itertools.zip_longest(*(map(str, part) for part in parts), fillvalue="")
    return "\n".join([*([head] if head else []), *(separator.join(row) for row in rows)]) + "\n"


@pytest.fixture
def reads(tmp_path):
    """Writes a text into a file and reads it; what `how` repeats must be the same again."""

    def call(text: str, **how):
        path = tmp_path / "my-curve.csv"
        path.write_text(text, encoding="utf-8")
        measurement = read(path, HowToRead(**how))
        assert_same(measurement, read(path, HowToRead(**json.loads(json.dumps(measurement.how)))))
        return measurement

    return call


def assert_same(one, other):
    assert one.rising == other.rising
    assert one.unit == other.unit
    assert labels(one) == labels(other)
    for a, b in zip(one.ramps, other.ramps, strict=True):
        np.testing.assert_array_equal(a.pulses, b.pulses)
        np.testing.assert_array_equal(a.values, b.values)


def labels(measurement) -> list[tuple[str, int]]:
    return [(ramp.device, ramp.cycle) for ramp in measurement.ramps]


def assert_ramps(measurement, *curves, pulses=PULSES):
    assert len(measurement.ramps) == len(curves)
    for ramp, curve in zip(measurement.ramps, curves, strict=True):
        assert ramp.values.dtype == ramp.pulses.dtype == np.float64
        np.testing.assert_array_equal(ramp.values, curve)
        np.testing.assert_array_equal(ramp.pulses, pulses)


# One measurement, however it was written


DATA = {
    (f"D{device}", cycle): np.round(CURVED * (1 + 0.1 * device) + 0.02 * cycle, 4)
    for device in (1, 2, 3)
    for cycle in (0, 1)
}


def written(layout: str, separator: str, decimal: str, pulse: bool, header: bool) -> list[str]:
    """The lines of DATA in one of the ways in which people write it."""

    def cell(value) -> str:
        text = repr(float(value)).replace(".", "," if decimal == "comma" else ".")
        return f'"{text}"' if (separator, decimal) == (",", "comma") else text

    def line(cells) -> str:
        return separator.join(cells if separator.strip() else [c.replace(" ", "_") for c in cells])

    unit = "(µS)"
    if layout == "rows":
        head = ["device", *map(str, range(12))]
        body = [
            [f"{device} cycle {cycle}", *map(cell, curve)]
            for (device, cycle), curve in DATA.items()
        ]
    elif layout == "columns":
        head = ["pulse"] * pulse + [f"{device} c{cycle}{unit}" for device, cycle in DATA]
        body = [[str(k)] * pulse + [cell(curve[k]) for curve in DATA.values()] for k in range(12)]
    else:
        head = ["device", "cycle", *["pulse"] * pulse, f"G{unit}"]
        body = [
            [device, str(cycle), *[str(k)] * pulse, cell(curve[k])]
            for (device, cycle), curve in DATA.items()
            for k in range(12)
        ]
    return [line(cells) for cells in [*[head] * header, *body]]


@settings(
    max_examples=250, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    layout=st.sampled_from(["columns", "rows", "long"]),
    separator=st.sampled_from([",", ";", "\t", " ", "  "]),
    decimal=st.sampled_from(["point", "comma"]),
    encoding=st.sampled_from(
        ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    before=st.sampled_from([[], ["# model 2, 300 K; µ-probe", "#"], ["% a, b", "", "  "]]),
    after=st.sampled_from(["", "\n", "\n\n", "\x1a"]),
    pulse=st.booleans(),
    empty_lines=st.booleans(),
)  # fmt: skip
def test_a_measurement_is_the_same_however_it_is_written(
    tmp_path, layout, separator, decimal, encoding, end, before, after, pulse, empty_lines
):
    lines = written(layout, separator, decimal, pulse, header=True)
    if empty_lines and separator.strip():  # as spreadsheets leave them behind
        lines = [*lines[:5], separator * 3, *lines[5:], separator * 6, separator * 6]
    path = tmp_path / "curve.txt"
    path.write_bytes((end.join([*before, *lines]) + after).encode(encoding))
    measurement = read(path)
    assert measurement.how["layout"] == layout
    assert labels(measurement) == list(DATA)
    assert_ramps(measurement, *DATA.values())
    assert measurement.unit == (None if layout == "rows" else "µS")
    assert not measurement.rising
    assert_same(measurement, read(path, HowToRead(**measurement.how)))


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_numbers_without_names(reads, layout):
    """Columns without names are one device; lines have their labels."""
    lines = written(layout, ";", "comma", pulse=False, header=False)
    measurement = reads("\n".join(lines))
    assert measurement.how["layout"] == layout
    assert_ramps(measurement, *DATA.values())
    assert labels(measurement) == (
        list(DATA) if layout == "rows" else [("1", cycle) for cycle in range(6)]
    )


# Separators, decimal marks, numbers


def test_one_column_of_decimal_commas_is_one_column(reads):
    text = "\n".join(words(LINEAR)).replace(".", ",")
    assert_ramps(reads(text), LINEAR)


def test_integers_behind_a_count_are_two_columns(reads):
    """`0,900` is pulse 0 and 900 where lines are counted so, or where the header has two names."""
    counted = columns(range(12), 900 - 7 * PULSES.astype(int))
    assert_ramps(reads(counted), 900 - 7 * PULSES)
    named = columns(range(0, 120, 10), 900 - 7 * PULSES.astype(int), head="pulse,counts")
    assert_ramps(reads(named), 900 - 7 * PULSES, pulses=10 * PULSES)


def test_decimal_mark_that_the_user_says(reads):
    text = columns(range(0, 120, 10), 900 - 7 * PULSES.astype(int))
    assert_ramps(reads(text, decimal="point", pulses="1"), 900 - 7 * PULSES, pulses=10 * PULSES)
    expected = [float(f"{10 * k}.{900 - 7 * k}") for k in range(12)]
    assert_ramps(reads(text, decimal="comma"), expected)


def test_separator_that_a_spreadsheet_announces(reads):
    for separator in ";\t,":
        text = columns(range(12), words(LINEAR), separator=separator)
        assert_ramps(reads(f"sep={separator}\n{text}"), LINEAR)
    assert_ramps(reads("sep=;\n" + columns(words(LINEAR))), LINEAR)


def test_minus_signs_exponents_and_plus(reads):
    text = columns([f"\N{MINUS SIGN}{k}.5E+00" for k in range(4)], [f"+{k}.5d-1" for k in range(4)])
    text += "-4.5,+.45e0\n-55.e-1,0.55"
    falling = reads(text)
    assert_ramps(falling, -0.5 - PULSES[:6], pulses=PULSES[:6])
    assert_ramps(reads(text, branch="rising"), (PULSES[:6] + 0.5) / 10, pulses=PULSES[:6])


# Headers, units, comments


@pytest.mark.parametrize(
    ("head", "separator", "unit"),
    [
        ("Pulse #,G (uS)", ",", "uS"),
        ("Pulse number;I [A]", ";", "A"),
        ("n\tR / kΩ", "\t", "kΩ"),
        ("pulses   Hall voltage (a.u.)", "   ", "a.u."),
        ("pulse G(µS)", " ", "µS"),
        ("# pulse,G (nS)", ",", "nS"),
        ("# pulse V(mV)", " ", "mV"),
        ("pulse,G", ",", None),
        ("pulse,dev (1)", ",", None),
        ("Pulse,Hall voltage,Comment\n,mV,", ",", "mV"),
    ],
)  # fmt: skip
def test_names_and_units_above_the_numbers(reads, head, separator, unit):
    measurement = reads(columns(range(1, 13), words(LINEAR), head=head, separator=separator))
    assert_ramps(measurement, LINEAR, pulses=PULSES + 1)
    assert measurement.unit == unit


def test_columns_in_different_units_are_not_one_measurement(reads):
    with pytest.raises(UserError, match=r"line 1, column 2 \(H\): the unit is nS, .* uS"):
        reads(columns(words(LINEAR), words(CURVED), head="G (uS),H (nS)"))


def test_blocks_of_a_source_measure_unit(reads):
    """Each DataName begins a ramp; the lines above it are the instrument's own."""
    head = "SetupTitle, Pulses\nTestParameter, Channel.Unit, SMU1\nDimension1, 12, 12\n"
    blocks = [
        "DataName, pulse, Id\n" + "".join(f"DataValue, {k}, {v}\n" for k, v in enumerate(curve))
        for curve in (LINEAR, CURVED)
    ]
    measurement = reads(head + blocks[0])
    assert_ramps(measurement, LINEAR)
    assert measurement.left_out == ("3 lines of the instrument's header",)
    measurement = reads(head + blocks[0] + head + blocks[1])
    assert_ramps(measurement, LINEAR, CURVED)
    assert labels(measurement) == [("1", 0), ("1", 1)]


def test_lines_above_and_columns_of_text_beside_the_numbers(reads):
    rows = [f"{k + 1},{value},A,12:00:{k:02d}" for k, value in enumerate(LINEAR)]
    text = "\n".join(["Instrument,2450", "Serial,0413", "", "Index,Reading,Unit,Time", *rows])
    measurement = reads(text + "\nend of data\n")
    assert_ramps(measurement, LINEAR, pulses=PULSES + 1)
    assert measurement.left_out == (
        "lines 1 to 2: text above the numbers",
        "line 17: text below the numbers",
        "column 3 (Unit): text",
        "column 4 (Time): times, no response",
    )


# Columns


def test_ragged_columns_end_in_empty_cells(reads):
    text = columns(words(LINEAR), words(CURVED[:8]), head="D1,D2,") + ",\n,\n"
    measurement = reads(text)
    np.testing.assert_array_equal(measurement.ramps[0].values, LINEAR)
    np.testing.assert_array_equal(measurement.ramps[1].values, CURVED[:8])
    np.testing.assert_array_equal(measurement.ramps[1].pulses, PULSES[:8])
    assert "2 devices × 1 ramp × 8 to 12 pulses" in measurement.understood[1]


@pytest.mark.parametrize("cell", ["", "NaN", "N/A", "--", "9.91E37"])
def test_a_missing_reading_counts_its_pulse(reads, cell):
    values = words(LINEAR)
    values[4] = cell
    measurement = reads(columns(values, words(CURVED)))
    np.testing.assert_array_equal(measurement.ramps[0].pulses, np.delete(PULSES, 4))
    np.testing.assert_array_equal(measurement.ramps[0].values, np.delete(LINEAR, 4))
    assert measurement.left_out == ("line 5, column 1: no reading; the pulse counts",)


def test_pulses_in_a_column(reads):
    third = 3 * PULSES + 0.5
    named = columns(words(third), words(LINEAR), words(CURVED), head="pulse,dev1,dev2")
    assert_ramps(reads(named), LINEAR, CURVED, pulses=third)
    unnamed = columns(words(LINEAR), words(third))
    assert_ramps(reads(unnamed, pulses="2"), LINEAR, pulses=third)
    assert_ramps(reads(named, pulses="none", columns=["2-3"]), LINEAR, CURVED)


def test_a_first_column_without_a_name_that_counts_is_pulses(reads):
    measurement = reads(columns(range(1, 13), words(LINEAR)))
    assert_ramps(measurement, LINEAR, pulses=PULSES + 1)
    assert "pulses from column 1" in measurement.understood[1]
    measurement = reads(columns(range(12), words(LINEAR), head=",G"))  # as pandas writes its index
    assert_ramps(measurement, LINEAR)


def test_each_device_with_its_own_column_of_pulses(reads):
    text = columns(range(12), words(LINEAR), range(1, 13), words(CURVED), head="n,D1,n,D2")
    one, two = reads(text).ramps
    np.testing.assert_array_equal(one.pulses, PULSES)
    np.testing.assert_array_equal(two.pulses, PULSES + 1)


@pytest.mark.parametrize(
    ("chosen", "curves"),
    [
        (["2"], "a"), (["2-3"], "ab"), (["4", "2"], "ca"), (["D2"], "b"), (["d3 (uS)", "D1"], "ca"),
        (["2-4"], "abc"), (["D1 (uS)"], "a"),
    ],
)  # fmt: skip
def test_columns_by_number_range_and_name(reads, chosen, curves):
    values = {"a": LINEAR, "b": CURVED, "c": 2 * CURVED}
    text = columns(range(12), *map(words, values.values()), head="pulse,D1 (uS),D2 (uS),d3 (uS)")
    assert_ramps(reads(text, columns=chosen), *(values[curve] for curve in curves))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("rmp1,rmp2", [("1", 0), ("1", 1)]),
        ("A1,B2", [("1", 0), ("1", 1)]),
        ("dev1,dev2", [("dev1", 0), ("dev2", 0)]),
        ("device 2,device 10", [("device 2", 0), ("device 10", 0)]),
        ("D3 cycle 1,D3 cycle 2", [("D3", 0), ("D3", 1)]),
        ("G_d1 (uS),G_d2 (uS)", [("d1", 0), ("d2", 0)]),
        ("sample A,sample B", [("sample A", 0), ("sample B", 0)]),
    ],
)  # fmt: skip
def test_devices_as_names_tell(reads, head, expected):
    measurement = reads(columns(words(LINEAR), words(CURVED), head=head))
    assert labels(measurement) == expected
    assert_ramps(measurement, LINEAR, CURVED)


def test_devices_as_the_user_says(reads):
    text = columns(words(LINEAR), words(CURVED), head="A1,B2")
    assert labels(reads(text, devices="each")) == [("A1", 0), ("B2", 0)]
    text = columns(words(LINEAR), words(CURVED), head="dev1,dev2")
    assert labels(reads(text, devices="one")) == [("1", 0), ("1", 1)]
    text = columns(words(LINEAR), words(CURVED))
    assert labels(reads(text, devices="each")) == [("column 1", 0), ("column 2", 0)]
    assert "(else --devices each)" in reads(text).understood[1]


def test_cycles_come_in_their_order(reads):
    text = columns(words(LINEAR), words(CURVED), head="dev1 cycle 2,dev1 cycle 1")
    assert_ramps(reads(text), CURVED, LINEAR)


# Lines


def row(label, values) -> str:
    return ",".join([str(label), *words(values)]) + "\n"


def test_a_line_for_each_device_behind_its_label(reads):
    measurement = reads(row("A1", LINEAR) + row("A2", CURVED[:9]) + row("A1", CURVED))
    assert labels(measurement) == [("A1", 0), ("A1", 1), ("A2", 0)]
    np.testing.assert_array_equal(measurement.ramps[1].values, CURVED)
    np.testing.assert_array_equal(measurement.ramps[2].values, CURVED[:9])


@pytest.mark.parametrize("head", ["device", "pulse", "Label"])
def test_pulses_above_the_lines(reads, head):
    text = row(head, 10 * PULSES).replace(".0", "") + row("x", LINEAR) + row("y", CURVED)
    assert_ramps(reads(text), LINEAR, CURVED, pulses=10 * PULSES)
    assert_ramps(reads(text, layout="rows", pulses="none"), LINEAR, CURVED)


def test_devices_and_cycles_in_columns_before_the_lines(reads):
    head = "device,cycle," + ",".join(f"p{k}" for k in range(12)) + "\n"
    text = head + row("7,2", LINEAR) + row("7,1", CURVED) + row("8,1", CURVED)
    measurement = reads(text)
    assert labels(measurement) == [("7", 0), ("7", 1), ("8", 0)]
    assert_ramps(measurement, CURVED, LINEAR, CURVED)


def test_lines_without_labels(reads):
    few = "".join(",".join(words(curve)) + "\n" for curve in (LINEAR, CURVED))
    assert_ramps(reads(few), LINEAR, CURVED)  # columns of two would be no ramps
    many = "".join(",".join(words(CURVED + k / 1000)) + "\n" for k in range(9))
    measurement = reads(many)
    assert measurement.how["layout"] == "rows"  # along which the values change more
    assert len(measurement.ramps) == 9
    assert len(reads(many, layout="rows", devices="each").ramps) == 9


# Long tables


def test_long_table_in_any_order_with_usual_names(reads):
    rows = [
        f"{device};{k};{direction};{value}\n"
        for k in range(12)
        for device, direction, value in (
            ("a", "LTD", LINEAR[k]), ("b", "LTD", CURVED[k]), ("a", "LTP", CURVED[::-1][k]),
        )
    ]  # fmt: skip
    text = "Device ID;Pulse number;LTP/LTD;Conductance (S)\n" + "".join(rows[::-1])
    measurement = reads(text)
    assert measurement.how["layout"] == "long"
    assert labels(measurement) == [("b", 0), ("a", 0)]
    assert_ramps(measurement, CURVED, LINEAR)
    assert measurement.unit == "S"
    assert_ramps(reads(text, branch="rising"), CURVED[::-1])


def test_pulses_that_run_on_from_branch_to_branch_start_again(reads):
    text = "device,cycle,branch,pulse,value\n"
    text += "".join(f"d,1,up,{k + 1},{v}\n" for k, v in enumerate(CURVED[::-1]))
    text += "".join(f"d,1,down,{k + 13},{v}\n" for k, v in enumerate(CURVED))
    assert_ramps(reads(text), CURVED, pulses=PULSES + 1)


def test_value_of_a_long_table_that_the_user_names(reads):
    text = "device,pulse,G,R\n" + "".join(f"a,{k},{v},{1 / v}\n" for k, v in enumerate(LINEAR))
    with pytest.raises(UserError, match=r"one column of values.*column 3 \(G\), column 4 \(R\)"):
        reads(text)
    assert_ramps(reads(text, columns=["G"]), LINEAR)


# Branches and resistances


def test_falling_ramps_are_taken_where_a_file_holds_both(reads):
    text = columns(words(LINEAR[::-1]), words(LINEAR))
    measurement = reads(text)
    assert_ramps(measurement, LINEAR)
    assert not measurement.rising
    assert labels(measurement) == [("1", 0)]  # up and down of one device
    assert measurement.left_out == (
        "1 rising ramp, the first in column 1, lines 1 to 12: the falling branch is used "
        "(else --branch rising)",
    )
    rising = reads(text, branch="rising")
    assert rising.rising
    assert_ramps(rising, LINEAR[::-1])


def test_rising_ramps_are_taken_where_there_are_no_others(reads):
    measurement = reads(columns(words(LINEAR[::-1])))
    assert measurement.rising
    assert measurement.understood[2].startswith("rising branch, the only one, from 2.511 to 2.742")


@pytest.mark.parametrize(("unit", "inverse"), [("kOhm", "mS"), ("Ω", "S"), ("MΩ", "µS")])
def test_resistances_become_conductances(reads, unit, inverse):
    text = columns(words(CURVED), head=f"R ({unit})")
    measurement = reads(text, resistance=True)
    assert_ramps(measurement, 1 / CURVED)
    assert measurement.rising
    assert measurement.unit == inverse
    plain = reads(text)
    assert_ramps(plain, CURVED)
    assert any("--resistance" in line for line in plain.understood)


# Many ramps in one column


def test_split_into_ramps_of_equal_length(reads):
    text = columns(words([*LINEAR, *CURVED, *LINEAR[:3]]))
    measurement = reads(text, split=12)
    assert_ramps(measurement, LINEAR, CURVED)
    assert labels(measurement) == [("1", 0), ("1", 1)]
    assert measurement.left_out == (
        "column 1: 3 readings that make no whole ramp, the first in line 25, the last in line 27",
    )


@pytest.mark.parametrize("pulses", [[*range(1, 13), *range(1, 13)], [*range(1, 25)]])
def test_split_ramps_count_their_pulses_alike(reads, pulses):
    text = columns(pulses, words([*LINEAR, *CURVED]), head="pulse,G")
    assert_ramps(reads(text, split=12), LINEAR, CURVED, pulses=PULSES + 1)


def test_split_at_turning_points(reads):
    """A turn is the last reading of one ramp and the state from which the next one starts."""
    up_and_down = [*CURVED, *CURVED[-2::-1], *CURVED[1:]]
    measurement = reads(columns(words(up_and_down)), split="turns")
    assert_ramps(measurement, CURVED, CURVED)
    assert_ramps(reads(columns(words(up_and_down)), split="turns", branch="rising"), CURVED[::-1])
    read_twice = [*CURVED, *CURVED[::-1], *CURVED]
    assert_ramps(reads(columns(words(read_twice)), split="turns"), CURVED, CURVED)


def test_split_at_resets(reads):
    measurement = reads(columns(words([*CURVED, *CURVED + 0.1, *CURVED])), split="turns")
    assert_ramps(measurement, CURVED, CURVED + 0.1, CURVED)
    assert measurement.left_out == (
        "column 1, lines 1 to 36: 2 resets between ramps, which are no ramps",
    )


def test_split_leaves_ramps_out_that_the_file_cuts(reads):
    cut = [*CURVED[8:], *CURVED[::-1][1:], *CURVED[1:], *CURVED[::-1][1:4]]
    measurement = reads(columns(words(cut)), split="turns", branch="rising")
    assert_ramps(measurement, CURVED[::-1])
    assert "no whole ramp" in measurement.left_out[0]


# What is said, and what repeats it


def test_what_was_understood(reads, tmp_path):
    text = columns(range(1, 13), words(LINEAR), words(CURVED), head="pulse,D1 (uS),D2 (uS)")
    measurement = reads(text)
    assert measurement.understood == (
        "my-curve.csv: UTF-8, commas between cells, decimal point; names in line 1, numbers in "
        "lines 2 to 13; layout columns",
        "2 devices × 1 ramp × 12 pulses; devices as the names of the columns tell; pulses from "
        "column 1 (pulse)",
        "falling branch, the only one, from 2.511 to 1.8778 (mean) uS",
    )
    assert measurement.left_out == ()
    assert measurement.file == "my-curve.csv"
    assert measurement.how == {
        "layout": "columns", "columns": ["2-3"], "pulses": "1", "split": None,
        "resistance": False, "branch": "falling", "devices": "auto", "decimal": "point",
    }  # fmt: skip


def test_fingerprint_is_that_of_the_bytes(reads):
    """The number is what sha256sum says."""
    measurement = reads("5\n4\n3\n2\n1\n")
    assert measurement.sha256 == (
        "3e10ec699e14027e751477dd04e89dd344dd98cebd3ed315784b17f9d4a739d1"
    )


def test_flags_are_made_into_options():
    """Every field is a flag that the parser can offer, with the same default."""
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    for name, (flag, default) in flags_of(HowToRead).items():
        add(parser, name, flag, default)
    assert HowToRead(**vars(parser.parse_args([]))) == HowToRead()
    line = "--layout long --columns 2-5 G --pulses n --split turns --resistance --branch rising"
    how = HowToRead(**vars(parser.parse_args([*line.split(), "--decimal", "comma"])))
    assert how == HowToRead(
        layout="long", columns=("2-5", "G"), pulses="n", split="turns", resistance=True,
        branch="rising", decimal="comma",
    )  # fmt: skip
    assert HowToRead(**vars(parser.parse_args(["--split", "50"]))).split == 50


@pytest.mark.parametrize("command", ["columns", "rows", "long"])
def test_a_hundred_devices_of_a_thousand_pulses_are_read_at_once(tmp_path, command):
    rng = np.random.default_rng(0)
    pulses = np.arange(1000)
    decays = 300 * rng.uniform(0.8, 1.2, (100, 1))
    curves = np.exp(-pulses / decays) + 0.02 * rng.standard_normal((100, 1000))
    text = {
        "columns": lambda: columns(*curves, head=",".join(f"dev{d}" for d in range(100))),
        "rows": lambda: "".join(row(f"dev{d}", curve) for d, curve in enumerate(curves)),
        "long": lambda: (
            "device,pulse,value\n"
            + "".join(
                f"{d},{k},{v}\n" for d, curve in enumerate(curves) for k, v in enumerate(curve)
            )
        ),
    }[command]()
    path = tmp_path / "many.csv"
    path.write_text(text)
    start = time.process_time()
    measurement = read(path)
    assert time.process_time() - start < 5  # of the ten that reading and fitting may take
    assert len({ramp.device for ramp in measurement.ramps}) == 100
    np.testing.assert_array_equal([ramp.values for ramp in measurement.ramps], curves)


def test_options_are_there_without_pandas():
    """So that --help can answer at once."""
    code = (
        "import sys, utils.measured.reading; print({'pandas', 'scipy', 'torch'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


# Real files


@pytest.fixture
def real():
    folder = os.environ.get("MAGNETOIONIC_DEVICES")
    if not folder:
        pytest.skip("MAGNETOIONIC_DEVICES names no folder with measured devices")
    return lambda name, **how: read(Path(folder) / name, HowToRead(**how))


@pytest.mark.parametrize(
    ("name", "ramps", "shortest", "longest", "rising", "first", "last"),
    [
        ("crosssim-set.csv", 39, 185, 192, True, 0.000160588, 0.000245133),
        ("crosssim-reset.csv", 40, 149, 153, False, 0.000245103, 0.000160568),
    ],
)
def test_ramps_of_one_real_device(real, name, ramps, shortest, longest, rising, first, last):
    measurement = real(name)
    assert labels(measurement) == [("1", cycle) for cycle in range(ramps)]
    assert measurement.rising == rising
    lengths = [len(ramp.values) for ramp in measurement.ramps]
    assert (min(lengths), max(lengths)) == (shortest, longest)
    assert measurement.ramps[0].values[[0, -1]].tolist() == [first, last]
    assert measurement.left_out == ()
    assert f"1 device × {ramps} ramps × {shortest} to {longest} pulses" in measurement.understood[1]


def test_both_directions_of_a_noisy_real_device(real):
    down = real("reram-gong.csv")
    assert (down.rising, len(down.ramps)) == (False, 1)
    assert down.ramps[0].values[[0, -1]].tolist() == [0.76667, -1.3556]
    up = real("reram-gong.csv", branch="rising")
    assert (up.rising, len(up.ramps)) == (True, 1)
    assert up.ramps[0].values[[0, -1]].tolist() == [-0.84444, 1.0667]
    assert len(up.ramps[0].values) == 1000


def test_real_noisy_ramps_below_each_other_are_found(real, tmp_path):
    """Up and down four times in one column: turns within noise, and no others."""
    up = real("reram-gong.csv", branch="rising").ramps[0].values
    down = real("reram-gong.csv").ramps[0].values
    path = tmp_path / "turns.csv"
    path.write_text("\n".join(words(np.concatenate([up, down] * 4))))
    for branch in ("rising", "falling"):
        measurement = read(path, HowToRead(split="turns", branch=branch))
        assert len(measurement.ramps) == 4
        for ramp in measurement.ramps:
            assert len(ramp.values) == pytest.approx(1000, abs=160)
