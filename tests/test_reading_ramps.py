"""Where the ramps of a measured file are: in lines, long tables, branches, below each other."""

import numpy as np
import pytest
from support.curves import CURVED, LINEAR, PULSES, assert_ramps, columns, labels, row, words

from utils.errors import UserError
from utils.measured.reading import describe

# Lines


def test_a_line_for_each_device_behind_its_label(reads):
    measurement = reads(row("A1", LINEAR) + row("A2", CURVED[:9]) + row("A1", CURVED))
    assert labels(measurement) == [("A1", 1), ("A1", 2), ("A2", 1)]
    np.testing.assert_array_equal(measurement.ramps[1].values, CURVED)
    np.testing.assert_array_equal(measurement.ramps[2].values, CURVED[:9])


@pytest.mark.parametrize("head", ["device", "pulse", "Label"])
def test_pulses_above_the_lines(reads, head):
    text = row(head, 10 * PULSES).replace(".0", "") + row("x", LINEAR) + row("y", CURVED)
    assert_ramps(reads(text), LINEAR, CURVED, pulses=10 * PULSES)
    assert_ramps(reads(text, layout="rows", pulses="none"), LINEAR, CURVED)


def test_counts_above_lines_without_labels_are_pulses(reads):
    text = "\n".join(
        ",".join(line) for line in (map(str, range(1, 13)), words(LINEAR), words(CURVED))
    )
    assert_ramps(reads(text), LINEAR, CURVED, pulses=PULSES + 1)


def test_devices_and_cycles_in_columns_before_the_lines(reads):
    head = "device,cycle," + ",".join(f"p{k}" for k in range(12)) + "\n"
    text = head + row("7,2", LINEAR) + row("7,1", CURVED) + row("8,1", CURVED)
    measurement = reads(text)
    assert labels(measurement) == [("7", 1), ("7", 2), ("8", 1)]
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
    assert [(ramp.device, ramp.branch) for ramp in measurement.ramps] == [
        ("a", "rising"),
        ("a", "falling"),
        ("b", "falling"),
    ]
    assert_ramps(measurement, CURVED[::-1], LINEAR, CURVED)
    assert (measurement.unit, measurement.quantity) == ("S", "conductance")
    assert_ramps(reads(text, branches=["rising"]), CURVED[::-1])


def test_pulses_that_run_on_from_branch_to_branch_start_again(reads):
    text = "device,cycle,branch,pulse,value\n"
    text += "".join(f"d,1,up,{k + 1},{v}\n" for k, v in enumerate(CURVED[::-1]))
    text += "".join(f"d,1,down,{k + 13},{v}\n" for k, v in enumerate(CURVED))
    assert_ramps(reads(text), CURVED[::-1], CURVED, pulses=PULSES + 1)


def test_value_of_a_long_table_that_the_user_names(reads):
    text = "device,pulse,G,R\n" + "".join(f"a,{k},{v},{1 / v}\n" for k, v in enumerate(LINEAR))
    with pytest.raises(UserError, match=r"column 4 \(R\): the quantity is resistance.*choose"):
        reads(text)
    assert_ramps(reads(text, columns=["G"]), LINEAR)


# Branches and resistances


def test_both_branches_are_read(reads):
    text = columns(words(LINEAR[::-1]), words(LINEAR))
    measurement = reads(text)
    assert_ramps(measurement, LINEAR[::-1], LINEAR)
    assert [ramp.branch for ramp in measurement.ramps] == ["rising", "falling"]
    assert labels(measurement) == [("1", 1), ("1", 1)]  # up and down of one device
    assert measurement.layout.startswith(
        "1 device × 1 falling ramp × 12 readings and 1 rising ramp × 12 readings"
    )
    for branch, curve in (("rising", LINEAR[::-1]), ("falling", LINEAR)):
        only = reads(text, branches=[branch])
        assert_ramps(only, curve)
        assert f"--branches {branch} uses only the others" in only.left_out[0]


@pytest.mark.parametrize(("unit", "inverse"), [("kOhm", "mS"), ("Ω", "S"), ("MΩ", "µS")])
def test_resistances_become_conductances(reads, unit, inverse):
    text = columns(words(CURVED), head=f"R ({unit})")
    measurement = reads(text, resistance=True)
    assert_ramps(measurement, 1 / CURVED)
    assert measurement.ramps[0].branch == "rising"
    assert (measurement.unit, measurement.quantity) == (inverse, "conductance")
    plain = reads(text)
    assert_ramps(plain, CURVED)
    assert "--resistance fits conductances" in plain.notes[0]
    assert "note: the values are resistances" in describe(plain)


# Many ramps in one column


def test_split_into_ramps_of_equal_length(reads):
    text = columns(words([*LINEAR, *CURVED, *LINEAR[:3]]))
    measurement = reads(text, split=12)
    assert_ramps(measurement, LINEAR, CURVED)
    assert labels(measurement) == [("1", 1), ("1", 2)]
    assert measurement.left_out == (
        "column 1: 3 readings outside of complete ramps, between lines 25 and 27",
    )


@pytest.mark.parametrize("pulses", [[*range(1, 13), *range(1, 13)], [*range(1, 25)]])
def test_split_ramps_count_their_pulses_alike(reads, pulses):
    text = columns(pulses, words([*LINEAR, *CURVED]), head="pulse,G")
    assert_ramps(reads(text, split=12), LINEAR, CURVED, pulses=PULSES + 1)


@pytest.mark.parametrize("split", [None, "turns"])
def test_turns_cut_without_using_a_reading_twice(reads, split):
    """The last reading before a turn is the state in which the next ramp starts."""
    up_and_down = [*CURVED, *CURVED[-2::-1], *CURVED[1:]]
    measurement = reads(columns(words(up_and_down)), split=split)
    down, up, again = measurement.ramps
    assert [ramp.branch for ramp in measurement.ramps] == ["falling", "rising", "falling"]
    for ramp, curve in ((down, CURVED), (up, CURVED[-2::-1]), (again, CURVED[1:])):
        np.testing.assert_array_equal(ramp.values, curve)
    np.testing.assert_array_equal(down.pulses, PULSES)
    np.testing.assert_array_equal(up.pulses, PULSES[1:])
    assert [ramp.before for ramp in measurement.ramps] == [None, CURVED[-1], CURVED[0]]
    assert [ramp.order for ramp in measurement.ramps] == [0, 1, 2]
    assert np.concatenate([ramp.lines for ramp in measurement.ramps]).tolist() == [*range(1, 35)]


def test_a_state_that_is_read_again_at_the_turn_is_the_start_of_the_next_ramp(reads):
    measurement = reads(columns(words([*CURVED, *CURVED[::-1], *CURVED])))
    assert_ramps(measurement, CURVED, CURVED[::-1], CURVED)
    assert {ramp.before for ramp in measurement.ramps} == {None}


def test_a_train_in_a_long_table_gives_the_same_ramps_as_in_one_column(reads):
    """Two cycles up and down: with columns of cycle, branch and pulse, and as bare values."""
    up = 1 - np.exp(-np.arange(1, 13) / 5)
    down = up[-1] * np.exp(-np.arange(1, 13) / 4)
    train = np.round(np.concatenate([up, down, down[-1] + (1 - down[-1]) * up, down]), 6)
    bare = reads(columns(words(train)))
    rows = [
        f"{k // 24 + 1},{'LTP' if k // 12 % 2 == 0 else 'LTD'},{k % 12 + 1},{value}"
        for k, value in enumerate(train.tolist())
    ]
    table = reads("\n".join(["cycle,branch,pulse,G (nS)", *rows]))
    counted = reads(columns(range(1, 49), words(train), head="n,G (nS)"))
    for other in (table, counted):
        assert_ramps(other, *np.split(train, 4), pulses=PULSES + 1)
    for one in (bare, table, counted):
        assert [ramp.branch for ramp in one.ramps] == ["rising", "falling"] * 2
        for ramp, other, before in zip(one.ramps, table.ramps, [None, 11, 23, 35], strict=True):
            np.testing.assert_array_equal(ramp.pulses, other.pulses)
            np.testing.assert_array_equal(ramp.values, other.values)
            assert ramp.before == (None if before is None else train[before])
            assert ramp.order == other.order


def test_split_at_resets(reads):
    measurement = reads(columns(words([*CURVED, *CURVED + 0.1, *CURVED])), split="turns")
    assert_ramps(measurement, CURVED, CURVED + 0.1, CURVED)
    assert measurement.left_out == (
        "column 1, lines 1 to 36: 2 resets between ramps (single jumps)",
    )


def test_split_leaves_ramps_out_that_the_file_cuts(reads):
    cut = [*CURVED[8:], *CURVED[::-1][1:], *CURVED[1:], *CURVED[::-1][1:4]]
    measurement = reads(columns(words(cut)), split="turns")
    assert [ramp.branch for ramp in measurement.ramps] == ["rising", "falling"]
    np.testing.assert_array_equal(measurement.ramps[0].values, CURVED[::-1])
    np.testing.assert_array_equal(measurement.ramps[1].values, CURVED[1:])
    assert "6 readings outside of complete ramps" in measurement.left_out[0]
