"""Where the ramps of a measured file are: in lines, long tables, branches, below each other."""

import numpy as np
import pytest
from support.curves import CURVED, LINEAR, PULSES, assert_ramps, columns, labels, row, words

from utils.errors import UserError

# Lines


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
            ("a", "LTD", LINEAR[k]),
            ("b", "LTD", CURVED[k]),
            ("a", "LTP", CURVED[::-1][k]),
        )
    ]
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
