"""Trains that drift by more than their ramps change, readings that are cut off, and sweeps."""

import re

import numpy as np
import pytest
from support.curves import table
from support.ramps import way

from utils.measured.checks import count_cut_off
from utils.measured.device_fit import fit_device

N, CYCLES, RANGE, NU = 30, 8, 20.0, 3.0


def drifting_train(drift: float) -> np.ndarray:
    """Cycles of N pulses up and down, each of which ends higher than it began; 1 % of read noise.

    drift: of a cycle, as a fraction of the rising range.
    """
    done = way(NU, N + 1)[:-1]
    cycle = np.concatenate([done, 1 - (1 - drift) * done])
    values = np.concatenate([drift * index + cycle for index in range(CYCLES)])
    noise = 0.01 * np.random.default_rng(3).normal(size=len(values))
    return np.round(RANGE * (1 + values + noise), 4)


@pytest.mark.parametrize("drift", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("counted", [True, False])
def test_a_train_may_drift_by_more_than_its_ramps_change(drift, counted, reads):
    values = drifting_train(drift)
    count = np.arange(len(values))
    text = table("Pulse,G (uS)", count, values) if counted else table("G (uS)", values)
    fit = fit_device(reads(text))
    for name, size in (("rising", RANGE), ("falling", (1 - drift) * RANGE)):
        branch = fit.branches[name]
        assert branch.data.n_ramps == CYCLES
        found, nu = fit.range_of(branch), fit.nonlinearity_of(branch)
        assert abs(found.value - size) < 0.01 * size + 3 * found.error
        assert abs(nu.value - NU) < 0.1 + 3 * nu.error


def test_a_single_ramp_that_wanders_by_write_noise_stays_one(reads):
    """Its deviations from a line go up and down, too, but in no regular time."""
    draw = np.random.default_rng(8)
    for _ in range(40):
        wandering = np.cumsum(1 / 120 + 0.01 * draw.normal(size=120))
        text = table("G (uS)", np.round(50 + 40 * wandering, 3))
        assert len(reads(text).ramps) == 1


CLEAN = 10 + 8 * way(2.0, 41)
NOISY = np.round(CLEAN + 0.08 * np.random.default_rng(3).normal(size=41), 4)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.minimum(NOISY, 16.5), "the last 16 readings are all exactly 16.5"),
        (np.maximum(NOISY, 11.5), "the first 4 readings are all exactly 11.5"),
        ([*NOISY, *[NOISY[-1]] * 5], "the last 6 readings are all exactly"),
    ],
)
def test_readings_that_are_cut_off_are_refused(values, problem, refused):
    assert problem in refused(table("G (uS)", values))


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.02])
@pytest.mark.parametrize("step", [0.001, 0.01, 0.03])
def test_rounding_cuts_nothing_off(noise, step):
    draw = np.random.default_rng(2)
    for nonlinearity in np.linspace(-12, 12, 49):
        values = way(nonlinearity, 60) + noise * draw.normal(size=60)
        rounded = np.round(values / step) * step
        assert [count_cut_off(rounded), count_cut_off(rounded[::-1])] == [0, 0]


def test_a_sweep_that_is_at_zero_between_its_loops_is_named_so(refused):
    branch = np.arange(31) * 0.05
    loop = np.concatenate([branch, 1.5 - branch, -branch, branch - 1.5])
    voltage = np.tile(np.round(loop, 2), 3)  # 0 twice where one part ends and the next begins
    current = 1e-6 * voltage**3 + 1e-8 * np.random.default_rng(1).normal(size=len(voltage))
    for head in ("Spannung (V),Strom (A)", "V1,I1"):
        assert "an I-V sweep, not a pulse response" in refused(table(head, voltage, current))


@pytest.mark.parametrize("head", ["Index,Id (A)", "Pulse No.,Id (A)"])
@pytest.mark.parametrize("cycles", [1, 3])
def test_a_count_from_1_with_the_state_before_the_first_pulse(head, cycles, reads):
    """The first ramp has one reading more than all others, which begin after a pulse."""
    cycle = np.concatenate([way(NU, N + 1), 1 - way(NU, N + 1)[1:]])
    values = np.concatenate([cycle, *[cycle[1:]] * (cycles - 1)])
    noisy = 1e-6 * (1 + values + 0.005 * np.random.default_rng(4).normal(size=len(values)))
    measurement = reads(table(head, np.arange(1, len(values) + 1), np.round(noisy, 12)))
    starts = [ramp.pulses[0] for ramp in measurement.ramps]
    assert sorted(starts) == [0, *[1] * (2 * cycles - 1)]
    for branch in fit_device(measurement).branches.values():
        assert branch.data.pulses_max == N
        assert branch.range == pytest.approx(1e-6, rel=0.03)


@pytest.mark.parametrize("words", [["Mittelwert"], ["écart type"], ["Mean", "Min", "Max"]])
def test_means_below_the_readings_are_no_readings(words, reads):
    text = table("Pulse;G (uS);note", np.arange(41), NOISY, [""] * 41, separator=";")
    below = "".join(f"{word};{NOISY.mean():.3f};\n" for word in words)
    for gap, first in (("", 43), (";;\n", 44)):
        measurement = reads(text + gap + below)
        assert len(measurement.ramps[0].values) == 41
        (left_out,) = measurement.left_out
        assert re.fullmatch(rf"lines? {first}.*: text below the numbers", left_out)


def test_a_comment_beside_the_last_reading_is_no_mean(reads):
    comments = [""] * 40 + ["max reached; error"]
    measurement = reads(table("Pulse,G (uS),comment", np.arange(41), NOISY, comments))
    assert len(measurement.ramps[0].values) == 41


def test_a_drive_that_grows_from_pulse_to_pulse_is_no_sweep(refused):
    text = table("Pulse,Vpp (V),Id (uA)", np.arange(41), 1 + 0.02 * np.arange(41), NOISY)
    assert "an amplitude staircase, not a pulse response" in refused(text)


def test_lines_of_writes_and_reads_in_turn_are_named_so(refused):
    drives = [drive for write in (1.5, -1.7) for _ in range(20) for drive in (write, 0.1)]
    current = np.where(np.isclose(drives, 0.1), 1e-6, 1e-5) * (1 + 0.01 * np.arange(80) % 0.3)
    assert "alternates from line to line" in refused(table("V,I", drives, current))


@pytest.mark.parametrize(
    ("n", "rising", "falling", "noise", "cycles"),
    [
        (40, -2.8, 5.7, 0.01, 3),  # flat on both sides of the lower turns
        (20, -2.5, 5.9, 0.01, 2),  # the first step up is smaller than the noise
        (50, -3.2, 3.0, 0.003, 2),
        (80, 3.15, 2.6, 0.003, 3),
    ],
)
def test_ramps_of_equal_length_are_found_where_turns_are_flat(
    n, rising, falling, noise, cycles, reads
):
    cycle = np.concatenate([way(rising, n + 1)[1:], 1 - way(falling, n + 1)[1:]])
    states = np.concatenate([[0.0], *[cycle] * cycles])
    for seed in range(5):
        values = 10 + 40 * (states + noise * np.random.default_rng(seed).normal(size=len(states)))
        ramps = reads(table("G (uS)", np.round(values, 3))).ramps
        found = sorted((ramp.pulses[0], ramp.pulses[-1]) for ramp in ramps)
        assert found == [(0, n), *[(1, n)] * (2 * cycles - 1)]
