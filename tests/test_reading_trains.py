"""Trains of pulses whose beginning differs from the rest, as instruments record them."""

import re
from collections import Counter

import numpy as np
import pytest
from support.curves import CURVED, PULSES, UP, assert_ramps, check, table
from support.ramps import rise, way

from utils.measured.device_fit import fit_device
from utils.measured.series import lost_readings

N, LOW, SPAN, NU = 40, 10.0, 50.0, {"rising": 2.0, "falling": 4.0}
RISING = CURVED[::-1]


def ramp(branch: str, start: float, n: int) -> np.ndarray:
    """States after 1 to n pulses from a state, by the exponential of nonlinearity ν; [n]."""
    nu, way = NU[branch], 1 if branch == "rising" else -1
    first = LOW if way > 0 else LOW + SPAN
    done = way * (start - first) / SPAN * -np.expm1(-nu)
    x = -np.log1p(-done) / nu * N + np.arange(1, n + 1)
    return first + way * SPAN * np.expm1(-nu * x / N) / np.expm1(-nu)


def train(start: float, lengths: list[int], with_start: bool) -> np.ndarray:
    """Ramps up and down in turn, the first of them up, with 0.5 % of read noise."""
    values = [start] if with_start else []
    for index, n in enumerate(lengths):
        values += list(ramp("falling" if index % 2 else "rising", start, n))
        start = values[-1]
    noise = 0.005 * SPAN * np.random.default_rng(1).normal(size=len(values))
    return np.round(np.array(values) + noise, 4)


@pytest.mark.parametrize(
    ("first", "with_start", "left_out"),
    [
        (N, True, None),  # the state before the first pulse is in one ramp of three
        (N, False, None),
        (34, False, "the first rising ramp, which begins at"),
        (24, False, "readings outside of complete ramps"),
        (10, False, "readings outside of complete ramps"),
        (5, False, "before the first falling ramp"),
        (3, True, "before the first falling ramp"),
    ],
)
@pytest.mark.parametrize("counted", [True, False])
def test_a_device_that_is_fresh_at_the_begin_of_a_train_is_read_right(
    first, with_start, left_out, counted, reads
):
    start = LOW if first == N else ramp("rising", LOW, N - first)[-1]
    values = train(start, [first, N, N, N, N, N], with_start)
    counts = np.arange(len(values)) + (not with_start)
    text = table("Pulse,G (uS)", counts, values) if counted else table("G (uS)", values)
    measurement = reads(text)
    assert len(measurement.left_out) == (left_out is not None)
    assert all(left_out in sentence for sentence in measurement.left_out)
    fit = fit_device(measurement)
    for branch, curve in fit.branches.items():
        size, nu = fit.range_of(curve), fit.nonlinearity_of(curve)
        assert curve.data.pulses_max == N
        assert size.value == pytest.approx(SPAN, abs=4 * size.error)
        assert nu.value == pytest.approx(NU[branch], abs=4 * nu.error)
        assert size.error < 0.02 * SPAN


@pytest.mark.parametrize("written", ["0", ""])
@pytest.mark.parametrize("place", [1, N - 1, N, N + 1, 2 * N, 2 * N + 1, 5 * N])
def test_a_lost_reading_at_a_turn_shifts_no_ramp(reads, place, written):
    values = [f"{value:.4f}" for value in train(LOW, [N] * 6, with_start=True)]
    values[place] = written
    measurement = reads(table("Pulse,G (uS)", range(len(values)), values))
    assert [ramp.branch for ramp in measurement.ramps] == ["rising", "falling"] * 3
    assert sum(len(ramp.values) for ramp in measurement.ramps) == 6 * N
    assert any(f"line {place + 2}" in sentence for sentence in measurement.left_out)
    for name, branch in fit_device(measurement).branches.items():
        assert branch.range == pytest.approx(SPAN, abs=1.0)
        assert branch.taken.nonlinearity == pytest.approx(NU[name], abs=0.2)


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        ([10, 12, 0, 15, 16, 17, 18], [2]),
        ([0, 60, 55, 51, 48, 46, 45], [0]),  # before a falling ramp
        ([45, 46, 48, 51, 55, 60, 0], [6]),
        ([0, 0.4, 0.6, 0.75, 0.85, 0.95, 1], []),  # scaled from 0 to 1
        ([1, 0.6, 0.3, 0.15, 0.06, 0.02, 0, 0.2, 0.4, 0.6, 0.8, 1], []),  # and back
        ([0, 0.5, 0.8, 1, 0, 0.5, 0.8, 1], []),  # reset between ramps
        ([-2, -1, 0, 1, 2, 3, 4], []),
        ([10, 0, 0, 0, 11, 12, 13], []),  # more than a few are no accident
    ],
)
def test_lost_readings_differ_from_zeros_of_the_curve(values, lost):
    assert lost_readings(np.array(values, float)).tolist() == lost


def test_readings_in_pauses_are_left_out(reads):
    """Used are the reading right before the first pulse, and those after each pulse."""
    counts = [0, 0, 0, *range(12), *[11] * 4, *range(12, 23), 22, 22]
    up, down = RISING, CURVED[1:]
    values = [*up[[0]] + 0.002, *up[[0]] + 0.001, up[0], *up, *[up[-1]] * 4, *down, *[down[-1]] * 2]
    measurement = reads(table("pulse,G (uS)", counts, values))
    rising, falling = measurement.ramps
    np.testing.assert_array_equal(rising.values, up)
    np.testing.assert_array_equal(rising.pulses, PULSES)
    np.testing.assert_array_equal(falling.values, down)
    np.testing.assert_array_equal(falling.pulses, PULSES[1:])
    assert rising.lines[0] == 5
    assert falling.before == up[-1]
    assert measurement.left_out == (
        "column 2 (G): 9 readings in pauses between pulses, the first in line 2",
    )


@pytest.mark.parametrize("counts", [[0] * 12 + [*range(1, 13)], [0] + [50] * 23])
def test_a_count_that_stands_still_while_the_values_move_is_no_pause(counts, reads, refused):
    """As of the pulses of one polarity, and of pulses in each burst."""
    text = table("pulses,G (uS)", counts, [*RISING, *CURVED])
    assert re.search(r"twice.*all pulses so far, or say --pulses none", refused(text))
    assert_ramps(reads(text, pulses="none"), RISING, CURVED)


@pytest.mark.parametrize("in_table", [True, False])
def test_single_readings_after_a_reset_are_left_out_and_named(reads, refused, in_table):
    """Many SET pulses and one RESET pulse, as of phase-change memories."""
    counts, values = [*PULSES, 12], [*RISING, 0.8]
    if in_table:
        events = (["SET"] * 12 + ["RESET"]) * 2
        columns = np.repeat([1, 2], 13), events, counts * 2, values * 2
        text = table("cycle,event,pulse,G (uS)", *columns)
        left_out = "2 lines of single readings after a reset, the first is line 14"
        message = refused(text, branches=["rising", "falling"])
        assert re.search(r"line 14.*only 1 reading", message)  # the second is no ramp
    else:
        counts = [f"{k}" for k in PULSES] + ["RESET"]
        text = table("pulse,cycle 1,cycle 2", counts, values, values)
        left_out = "1 line of single readings after a reset, the first is line 14"
    check(reads(text), [RISING, RISING], left_out=(left_out,))


@pytest.mark.parametrize("layout", ["columns", "lines", "counted lines"])
@pytest.mark.parametrize("written", ["0", ""])
def test_a_lost_reading_among_repeated_ones_is_missing_alone(reads, layout, written):
    """The mean of the two other readings of that state remains, and all others keep their place."""
    up = RISING + 1
    reads_of = [[f"{x:.6f}" for x in up + shift] for shift in (-0.002, 0.0, 0.002)]
    reads_of[1][4] = written
    one_by_one = [cell for cells in zip(*reads_of, strict=True) for cell in cells]
    text, how = {
        "columns": (table("pulse,Read 1 (uS),Read 2 (uS),Read 3 (uS)", PULSES, *reads_of), {}),
        "lines": (table("G (uS),x", one_by_one, ["1"] * 36), {"reads": 3, "columns": ["1"]}),
        "counted lines": (table("pulse,G (uS)", np.repeat(PULSES, 3), one_by_one), {}),
    }[layout]
    measurement = reads(text, **how)
    (only,) = measurement.ramps
    assert measurement.reads == 3
    np.testing.assert_allclose(only.values, up, atol=1e-9)
    np.testing.assert_array_equal(only.pulses, PULSES)


@pytest.mark.parametrize("repeats", [1, 2, 5])
@pytest.mark.parametrize("noise", [0.0, 0.005, 0.01])  # of the range
@pytest.mark.parametrize("counted", [True, False])
def test_readings_that_repeat_along_a_train_are_asked_about(
    counted, noise, repeats, reads, refused
):
    """Else a ramp of 40 pulses with 5 readings each would be one of 200 pulses."""
    states = train(LOW, [N] * 4, with_start=False)
    values = np.repeat(states, repeats)
    values = values + noise * SPAN * np.random.default_rng(2).normal(size=len(values))
    count = np.arange(1, len(values) + 1)
    text = table("n,G (uS)", count, values) if counted else table("G (uS)", values)
    if repeats > 1:
        assert f"--reads {repeats} averages them" in refused(text)
    measurement = reads(text, reads=repeats if repeats > 1 else None)
    assert [len(ramp.values) for ramp in measurement.ramps] == [N] * 4
    assert measurement.reads == repeats


def cycles(up: np.ndarray, down: np.ndarray, n: int, noise=0.005, drift=0.0) -> np.ndarray:
    """Cycles of readings up and down between 0 and 1, in units of SPAN above LOW."""
    values = np.tile([*up, *down], n)
    values += drift * np.arange(len(values)) / (len(up) + len(down))
    values += noise * np.random.default_rng(3).normal(size=len(values))
    return np.round(LOW + SPAN * values, 4)


# How the file counts, its values, and what comes out: first and last count of ramps, how many.
TRAINS = {
    "counted from 0 in each ramp": (
        [*range(16)] * 6, cycles(way(-5, 16), 1 - way(-5, 16), 3), [(0, 15, 3)], [(0, 15, 3)]),
    "cycles apart, counted on": (
        range(1, 321), cycles(rise(2.5, 40), 1 - 1.1 * rise(6, 40), 4), [(1, 40, 4)], [(1, 40, 4)]),
    "cycles that begin anew": (
        None, cycles(way(2.5, 41), 1 - 1.1 * rise(2, 40), 4), [(0, 40, 4)], [(1, 40, 4)]),
    "cycles that begin anew, counted on": (
        range(1, 325), cycles(way(2.5, 41), 1 - 1.1 * rise(2, 40), 4), [(0, 40, 4)], [(1, 40, 4)]),
    "a flat turn in each count": (
        [*range(1, 83)] * 5, cycles(rise(5, 32), 1 - rise(-2.5, 50), 5, 0.007), [(1, 32, 5)],
        [(1, 50, 5)]),
    "short and steep ramps": (
        [*range(1, 21)] * 3, cycles(rise(6, 10), 1 - rise(1, 10), 3), [(1, 10, 3)], [(1, 10, 3)]),
    "cycles that drift": (
        range(1, 401), cycles(rise(2.5, 40), 1 - rise(4, 40), 5, drift=0.15), [(1, 40, 5)],
        [(1, 40, 5)]),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINS)
def test_each_ramp_of_a_train_begins_and_ends_at_its_pulses(name, reads):
    count, values, *expected = TRAINS[name]
    text = table("G (uS)", values) if count is None else table("Pulse,G (uS)", count, values)
    ramps = reads(text).ramps
    for branch, counts in zip(("rising", "falling"), expected, strict=True):
        counted = Counter((*ramp.pulses[[0, -1]],) for ramp in ramps if ramp.branch == branch)
        assert [(*ends, n) for ends, n in counted.items()] == counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            table("Pulse,State,G (uS)", np.repeat(PULSES, 2), ["before", "after"] * 12,
                  np.repeat(np.append(RISING, 2.3), 2)[1:-1]),
            "line 3.*changes as by a pulse; keep one reading after each pulse",
        ),
        (
            table("Pulse,G (uS)", range(41), [*UP[:20], 12, 13, 11, *UP[22:]]),
            "line 22.*3 readings far from those before and after.*empty the cells",
        ),
        (
            table("Pulse,I", PULSES, [*994.5 + PULSES[:6], *1.0005 + 0.001 * PULSES[:6]]),
            r"line 8.*1\.0005 follows 999\.5; give all values in one unit",
        ),
    ],
    ids=["before and after each pulse", "bad readings", "two units"],
)  # fmt: skip
def test_readings_that_are_not_of_one_state_or_ramp_are_refused(text, message, refused):
    assert re.search(message, refused(text))
