"""Columns of a measured file: names and units above them, pulses, and which are of one device."""

import numpy as np
import pytest
from support.curves import CURVED, LINEAR, PULSES, assert_ramps, columns, labels, words

from utils.errors import UserError

# Headers, units, comments


@pytest.mark.parametrize(
    ("head", "separator", "unit"),
    [
        ("Pulse #,G (uS)", ",", "uS"),
        ("Pulse number;I [A]", ";", "A"),
        ("n\tR / kΩ", "\t", "kΩ"),
        ("n\tR / k\N{OHM SIGN}", "\t", "kΩ"),
        ("pulses   Hall voltage (a.u.)", "   ", "a.u."),
        ("pulse G(µS)", " ", "µS"),
        ("# pulse,G (nS)", ",", "nS"),
        ("# pulse V(mV)", " ", "mV"),
        ("pulse,G", ",", ""),
        ("pulse,dev (1)", ",", ""),
        ("Pulse,Hall voltage,Comment\n,mV,", ",", "mV"),
    ],
)
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
    assert labels(measurement) == [("1", 1), ("1", 2)]


def test_lines_above_and_columns_of_text_beside_the_numbers(reads):
    rows = [f"{k + 1},{value},A,12:00:{k:02d}" for k, value in enumerate(LINEAR)]
    text = "\n".join(["Instrument,2450", "Serial,0413", "", "Index,Reading,Unit,Time", *rows])
    measurement = reads(text + "\nend of data\n")
    assert_ramps(measurement, LINEAR, pulses=PULSES + 1)
    assert measurement.left_out == (
        "lines 1 to 2: text above the numbers",
        "line 17: text below the numbers",
    )
    assert measurement.understood[["column", "role"]].values.tolist() == [
        ["column 1 (Index)", "pulses"],
        ["column 2 (Reading)", "response"],
        ["column 3 (Unit)", "text"],
        ["column 4 (Time)", "time"],
    ]


# Columns


def test_ragged_columns_end_in_empty_cells(reads):
    text = columns(words(LINEAR), words(CURVED[:8]), head="D1,D2,") + ",\n,\n"
    measurement = reads(text)
    np.testing.assert_array_equal(measurement.ramps[0].values, LINEAR)
    np.testing.assert_array_equal(measurement.ramps[1].values, CURVED[:8])
    np.testing.assert_array_equal(measurement.ramps[1].pulses, PULSES[:8])
    assert measurement.layout.startswith("2 devices × 1 falling ramp × 8 to 12 readings")


@pytest.mark.parametrize("cell", ["", "NaN", "N/A", "--", "9.91E37"])
def test_a_missing_reading_counts_its_pulse(reads, cell):
    values = words(LINEAR)
    values[4] = cell
    measurement = reads(columns(values, words(CURVED)))
    np.testing.assert_array_equal(measurement.ramps[0].pulses, np.delete(PULSES, 4))
    np.testing.assert_array_equal(measurement.ramps[0].values, np.delete(LINEAR, 4))
    assert measurement.left_out == ("line 5, column 1: no reading; the pulse counts all the same",)


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
    assert measurement.understood.role.tolist() == ["pulses", "response"]
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
        (["2"], "a"),
        (["2-3"], "ab"),
        (["4", "2"], "ca"),
        (["D2"], "b"),
        (["d3 (uS)", "D1"], "ca"),
        (["2-4"], "abc"),
        (["D1 (uS)"], "a"),
    ],
)
def test_columns_by_number_range_and_name(reads, chosen, curves):
    values = {"a": LINEAR, "b": CURVED, "c": 2 * CURVED}
    text = columns(range(12), *map(words, values.values()), head="pulse,D1 (uS),D2 (uS),d3 (uS)")
    assert_ramps(reads(text, columns=chosen), *(values[curve] for curve in curves))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("rmp1,rmp2", [("1", 1), ("1", 2)]),
        ("A1,B2", [("1", 1), ("1", 2)]),
        ("dev1,dev2", [("dev1", 1), ("dev2", 1)]),
        ("device 2,device 10", [("device 2", 1), ("device 10", 1)]),
        ("D3 cycle 1,D3 cycle 2", [("D3", 1), ("D3", 2)]),
        ("G_d1 (uS),G_d2 (uS)", [("d1", 1), ("d2", 1)]),
        ("sample A,sample B", [("sample A", 1), ("sample B", 1)]),
    ],
)
def test_devices_as_names_tell(reads, head, expected):
    measurement = reads(columns(words(LINEAR), words(CURVED), head=head))
    assert labels(measurement) == expected
    assert_ramps(measurement, LINEAR, CURVED)


def test_devices_as_the_user_says(reads):
    text = columns(words(LINEAR), words(CURVED), head="A1,B2")
    assert labels(reads(text, devices="each")) == [("A1", 1), ("B2", 1)]
    text = columns(words(LINEAR), words(CURVED), head="dev1,dev2")
    assert labels(reads(text, devices="one")) == [("1", 1), ("1", 2)]
    text = columns(words(LINEAR), words(CURVED))
    assert labels(reads(text, devices="each")) == [("column 1", 1), ("column 2", 1)]
    assert "one device (--devices each: one device for each column)" in reads(text).layout


def test_cycles_come_in_their_order(reads):
    text = columns(words(LINEAR), words(CURVED), head="dev1 cycle 2,dev1 cycle 1")
    assert_ramps(reads(text), CURVED, LINEAR)
