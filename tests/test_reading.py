"""A measured file is read the same however it was written, and says how it was read."""

import argparse
import subprocess
import sys
import time

import numpy as np
import pandas
import pytest
from conftest import PROJECT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.curves import (
    CURVED,
    LINEAR,
    PULSES,
    assert_ramps,
    assert_same,
    columns,
    labels,
    row,
    words,
)

from utils.flags import add, flags_of
from utils.measured.options import ReadingOptions
from utils.measured.reading import read

# One measurement, however it was written


DATA = {
    (f"D{device}", cycle): np.round(CURVED * (1 + 0.1 * device) + 0.02 * cycle, 4)
    for device in (1, 2, 3)
    for cycle in (1, 2)
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
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    layout=st.sampled_from(["columns", "rows", "long"]),
    separator=st.sampled_from([",", ";", "\t", " ", "  "]),
    decimal=st.sampled_from(["point", "comma"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    before=st.sampled_from([[], ["# model 2, 300 K; µ-probe", "#"], ["% a, b", "", "  "]]),
    after=st.sampled_from(["", "\n", "\n\n", "\x1a"]),
    pulse=st.booleans(),
    empty_lines=st.booleans(),
)
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
    assert measurement.unit == ("" if layout == "rows" else "µS")
    assert {ramp.branch for ramp in measurement.ramps} == {"falling"}
    assert_same(measurement, read(path, ReadingOptions(**measurement.how)))


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_numbers_without_names(reads, layout):
    """Columns without names are one device; lines have their labels."""
    lines = written(layout, ";", "comma", pulse=False, header=False)
    measurement = reads("\n".join(lines))
    assert measurement.how["layout"] == layout
    assert_ramps(measurement, *DATA.values())
    assert labels(measurement) == (
        list(DATA) if layout == "rows" else [("1", cycle) for cycle in range(1, 7)]
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
    assert_ramps(reads(text), -0.5 - PULSES[:6], (PULSES[:6] + 0.5) / 10, pulses=PULSES[:6])


def test_numbers_that_a_workbook_holds_as_text(tmp_path):
    """With the decimal mark and the minus sign of text files."""
    path = tmp_path / "book.xlsx"
    rows = [
        (k, f"\N{MINUS SIGN}{value}".replace(".", ",")) for k, value in enumerate(words(LINEAR))
    ]
    pandas.DataFrame(rows, columns=["pulse", "G (uS)"]).to_excel(path, index=False)
    measurement = read(path)
    assert_ramps(measurement, -LINEAR)
    assert measurement.how["decimal"] == "comma"


# What is said, and what repeats it


def test_what_was_understood(reads, tmp_path):
    text = columns(range(1, 13), words(LINEAR), words(CURVED), head="pulse,D1 (uS),D2 (uS)")
    measurement = reads(text)
    assert measurement.understood.values.tolist() == [
        ["column 1 (pulse)", "pulses", "by its name and its numbers, 0 or 1, 2, 3 …"],
        ["columns 2 to 3 (D1, D2)", "response", "by its unit"],
    ]
    assert measurement.layout == (
        "2 devices × 1 falling ramp × 12 readings; layout columns; UTF-8, commas between cells, "
        "decimal point; names in line 1, numbers in lines 2 to 13"
    )
    assert measurement.left_out == ()
    assert (measurement.file, measurement.quantity, measurement.unit, measurement.reads) == (
        "my-curve.csv",
        "conductance",
        "uS",
        1,
    )
    assert measurement.how == {
        "layout": "columns",
        "columns": ["2-3"],
        "pulses": "1",
        "split": None,
        "reads": None,
        "branches": [],
        "resistance": False,
        "devices": "auto",
        "decimal": "point",
        "sheet": None,
    }


def test_fingerprint_is_that_of_the_bytes(reads):
    """The number is what sha256sum says."""
    measurement = reads("5\n4\n3\n2\n1\n")
    assert measurement.sha256 == (
        "3e10ec699e14027e751477dd04e89dd344dd98cebd3ed315784b17f9d4a739d1"
    )


def test_flags_are_made_into_options():
    """Every field is a flag that the parser can offer, with the same default."""
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    for name, (flag, default) in flags_of(ReadingOptions).items():
        add(parser, name, flag, default)
    assert ReadingOptions(**vars(parser.parse_args([]))) == ReadingOptions()
    line = "--layout long --columns 2-5 G --pulses n --split turns --reads 3 --resistance --sheet 2"
    how = ReadingOptions(**vars(parser.parse_args([*line.split(), "--decimal", "comma"])))
    assert how == ReadingOptions(
        layout="long",
        columns=("2-5", "G"),
        pulses="n",
        split="turns",
        reads=3,
        resistance=True,
        sheet="2",
        decimal="comma",
    )
    assert ReadingOptions(**vars(parser.parse_args(["--split", "50"]))).split == 50


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
