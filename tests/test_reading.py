"""A measured file is read the same however it was written, and the reader describes how."""

import argparse
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.curves import (
    CURVED,
    LINEAR,
    PULSES,
    assert_ramps,
    line,
    ramps_in_words,
    table,
)

from utils.flags import add, flags_of
from utils.measured.options import ReadingOptions
from utils.measured.reading import read

DATA = {
    (f"D{device}", cycle): np.round(CURVED * (1 + 0.1 * device) + 0.02 * cycle, 4)
    for device in (1, 2, 3)
    for cycle in (1, 2)
}  # one measurement
DATA_IN_WORDS = ", ".join(f"{device}.{cycle} falling" for device, cycle in DATA)


def written(layout: str, separator: str, decimal: str, pulse: bool, header: bool) -> list[str]:
    """The lines of DATA in one of the ways in which people write it."""

    def cell(value) -> str:
        text = repr(float(value)).replace(".", "," if decimal == "comma" else ".")
        return f'"{text}"' if (separator, decimal) == (",", "comma") else text

    def joined(cells) -> str:
        return separator.join(cells if separator.strip() else [c.replace(" ", "_") for c in cells])

    unit, counts = "(µS)", ["pulse"] * pulse
    if layout == "rows":
        head = ["device", *map(str, range(12))]
        body = [[f"{device} cycle {cycle}", *map(cell, DATA[device, cycle])]
                for device, cycle in DATA]  # fmt: skip
    elif layout == "columns":
        head = [*counts, *(f"{device} c{cycle}{unit}" for device, cycle in DATA)]
        body = [[str(k)] * pulse + [cell(curve[k]) for curve in DATA.values()] for k in range(12)]
    else:
        head = ["device", "cycle", *counts, f"G{unit}"]
        body = [[device, str(cycle), *[str(k)] * pulse, cell(curve[k])]
                for (device, cycle), curve in DATA.items() for k in range(12)]  # fmt: skip
    return [joined(cells) for cells in [*[head] * header, *body]]


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
    assert ramps_in_words(measurement) == DATA_IN_WORDS
    assert_ramps(measurement, *DATA.values())
    assert measurement.unit == ("" if layout == "rows" else "µS")


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_numbers_without_names(reads, layout):
    """Columns without names are one device; lines have their labels."""
    measurement = reads("\n".join(written(layout, ";", "comma", pulse=False, header=False)))
    assert measurement.how["layout"] == layout
    assert_ramps(measurement, *DATA.values())
    one_device = ", ".join(f"1.{cycle} falling" for cycle in range(1, 7))
    assert ramps_in_words(measurement) == (DATA_IN_WORDS if layout == "rows" else one_device)


TENS, THOUSANDS = 10 * PULSES, 900 - 7 * PULSES
COMMAS = [float(f"{ten}.{thousand}") for ten, thousand in zip(TENS, THOUSANDS, strict=True)]


@pytest.mark.parametrize(
    ("text", "how", "curve", "pulses"),
    [
        (table(None, LINEAR).replace(".", ","), {}, LINEAR, PULSES),  # one column of decimal commas
        # `0,900` is pulse 0 and 900 where lines are counted so, or the header has two names
        (table(None, PULSES, THOUSANDS), {}, THOUSANDS, PULSES),
        (table("pulse,counts", TENS, THOUSANDS), {}, THOUSANDS, TENS),
        (table(None, TENS, THOUSANDS), dict(decimal="point", pulses="1"), THOUSANDS, TENS),
        (table(None, TENS, THOUSANDS), dict(decimal="comma"), COMMAS, PULSES),
        # as spreadsheets announce it
        *((f"sep={separator}\n" + table(None, PULSES, LINEAR, separator=separator),
           {}, LINEAR, PULSES) for separator in ";\t,"),
        ("sep=;\n" + table(None, LINEAR), {}, LINEAR, PULSES),
    ],
)  # fmt: skip
def test_separators_and_decimal_marks(reads, text, how, curve, pulses):
    assert_ramps(reads(text, **how), curve, pulses=pulses)


def test_minus_signs_exponents_and_plus(reads):
    text = table(
        None, [f"\N{MINUS SIGN}{k}.5E+00" for k in range(4)], [f"+{k}.5d-1" for k in range(4)]
    )
    text += "-4.5,+.45e0\n-55.e-1,0.55"
    assert_ramps(reads(text), -0.5 - PULSES[:6], (PULSES[:6] + 0.5) / 10, pulses=PULSES[:6])


def test_what_was_understood(reads):
    measurement = reads(table("pulse,D1 (uS),D2 (uS)", PULSES + 1, LINEAR, CURVED))
    assert measurement.understood.values.tolist() == [
        ["column 1 (pulse)", "pulses", "by its name and its numbers, 0 or 1, 2, 3 …"],
        ["columns 2 to 3 (D1, D2)", "response", "by its unit"],
    ]
    assert measurement.layout == (
        "2 devices × 1 falling ramp × 12 readings; layout columns; UTF-8, commas between cells, "
        "decimal point; names in line 1, numbers in lines 2 to 13"
    )
    assert measurement.left_out == ()
    assert (measurement.file, measurement.quantity) == ("my-curve.csv", "conductance")
    assert (measurement.unit, measurement.reads) == ("uS", 1)
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


def test_flags_are_made_into_options():
    """Every field is a flag that the parser can offer, with the same default."""
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    for name, (flag, default) in flags_of(ReadingOptions).items():
        add(parser, name, flag, default)
    assert ReadingOptions(**vars(parser.parse_args([]))) == ReadingOptions()
    flags = "--layout long --columns 2-5 G --pulses n --split turns --reads 3 --resistance"
    how = vars(parser.parse_args([*flags.split(), "--sheet", "2", "--decimal", "comma"]))
    assert ReadingOptions(**how) == ReadingOptions(
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


@pytest.mark.parametrize("layout", ["columns", "rows", "long"])
def test_a_hundred_devices_of_a_thousand_pulses_are_read_at_once(tmp_path, layout):
    rng = np.random.default_rng(0)
    decays = 300 * rng.uniform(0.8, 1.2, (100, 1))
    curves = np.exp(-np.arange(1000) / decays) + 0.02 * rng.standard_normal((100, 1000))
    texts = [[repr(value) for value in curve] for curve in curves.tolist()]
    if layout == "columns":
        text = table(",".join(f"dev{d}" for d in range(100)), *texts)
    elif layout == "rows":
        text = "".join(line(f"dev{d}", cells) for d, cells in enumerate(texts))
    else:
        devices, pulses = np.repeat(np.arange(100), 1000), np.tile(np.arange(1000), 100)
        text = table("device,pulse,value", devices, pulses, np.concatenate(texts))
    path = tmp_path / "many.csv"
    path.write_text(text)
    start = time.process_time()
    measurement = read(path)
    assert time.process_time() - start < 5  # of the ten that reading and fitting may take
    assert len({ramp.device for ramp in measurement.ramps}) == 100
    np.testing.assert_array_equal([ramp.values for ramp in measurement.ramps], curves)
