"""Small files as labs write them, made by simulation: what is read of each, and what is fitted."""

from functools import cache

import numpy as np
import pytest
from conftest import PROJECT
from scipy.optimize import curve_fit
from support.curves import PAIR, ramps_in_words, refusal

from utils.measured.device_fit import DeviceFit, fit_device
from utils.measured.options import ReadingOptions
from utils.measured.reading import read
from utils.measured.sanity import sane_device_file

CASES = PROJECT / "tests" / "cases"
# Device, branch, readings, pulses of the first and of the last reading, first and last value.
RAMPS = {
    "01-times-per-branch.tsv": [
        ("1", "rising", 40, 0, 39, 1.632e-08, 3.191e-07),
        ("1", "falling", 34, 0, 33, 1.718e-07, 1.762e-08),  # stored backwards
    ],
    "02-step-header.csv": [("1", "rising", 40, 1, 40, 19.633, 80.921)],
    "03-pulse-column-per-branch.tsv": [
        ("1", "rising", 40, 1, 40, 2.233e-08, 7.724e-06),
        ("1", "falling", 40, 1, 40, 7.801e-06, 1.405e-07),
    ],
    "04-accelerating-potentiation.csv": [("1", "rising", 20, 0, 19, 0.0072, 7.9821)],
    "05-accelerating-3-ramps.csv": [
        ("1", "falling", 30, 0, 29, 5.0204, 3.9920),
        ("1", "falling", 30, 0, 29, 4.9744, 4.0137),
        ("1", "falling", 30, 0, 29, 5.0042, 3.9854),
    ],
    "10-names-in-brackets.csv": [
        ("W11", "rising", 61, 0, 60, 9.071e-05, 0.0001191),
        ("W12", "rising", 61, 0, 60, 8.514e-05, 0.0001151),
    ],
    "11-countdown-pulses.tsv": [("1", "falling", 40, 0, 39, 27.119, 7.924)],
    "13-one-lost-reading.csv": [("1", "falling", 40, 0, 40, 1077.7, 24.9)],
    "14-repeated-reads.csv": [
        ("1", "falling", 41, 0, 40, (1080.4 + 1070.3 + 1076.1) / 3, (24.3 + 22.4 + 19.5) / 3)
    ],
}
REFUSALS = {
    "07-iv-sweep.csv": "an I-V sweep",
    "08-iv-loop-no-names.csv": "an I-V sweep",
    "15-retention.csv": "a retention measurement",
    "16-amplitude-staircase.csv": "an amplitude staircase",
}


def ends(measurement) -> list[tuple]:
    return [
        (r.device, r.branch, len(r.values), *r.pulses[[0, -1]], *r.values[[0, -1]])
        for r in measurement.ramps
    ]


@pytest.mark.parametrize("name", RAMPS)
def test_ramps_of_the_file(name):
    measurement = read(CASES / name)
    for ramp, expected in zip(ends(measurement), RAMPS[name], strict=True):
        assert ramp[:3] == expected[:3]
        assert ramp[3:] == pytest.approx(expected[3:], rel=1e-12)
    assert [r.cycle for r in measurement.ramps if r.device == "1"][-1:] in ([], [1], [3])


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_pulse_response_is_refused_by_its_name(name):
    message = refusal(CASES / name)
    assert f"{name}: {REFUSALS[name]}" in message
    assert "--split" not in message


@pytest.mark.parametrize(
    "name",
    "Step;pulse_n;# of pulses;Number of pulse;Pulse idx;Pulsanzahl;Zeit;index;n;Voltage;No.;#;"
    "count;Schritt;Impulsnummer;Pulszahl N;Nombre d'impulsions;Numéro d'impulsion;n° impulsion;"
    "étape;Zeitschritt;Cycle;Time;Amplitude;x;foo;Messung;event;Puls-Nr.;NumPulses".split(";"),
)
def test_a_counter_counts_pulses_whatever_it_is_called(name, reads):
    measurement = reads((CASES / "02-step-header.csv").read_text().replace("Step", name))
    assert measurement.understood.role.tolist() == ["pulses", "response"]
    assert ends(measurement) == RAMPS["02-step-header.csv"]
    assert measurement.unit == "nS"


def test_a_count_down_is_no_ramp():
    measurement = read(CASES / "11-countdown-pulses.tsv")
    assert "count down" in measurement.understood.why[1]
    without = read(CASES / "11-countdown-pulses.tsv", ReadingOptions(pulses="none"))
    assert ends(without) == ends(measurement)


def test_repeated_readings_give_the_read_noise():
    measurement = read(CASES / "14-repeated-reads.csv")
    assert measurement.reads == 3
    assert measurement.repeated_read_noise == pytest.approx(4, rel=0.2)  # 82 degrees of freedom
    assert measurement.ramps[0].lines.tolist() == [*range(2, 125, 3)]


def test_the_line_of_every_reading_is_known():
    ramp = read(CASES / "13-one-lost-reading.csv").ramps[0]
    assert ramp.lines.tolist() == [*range(2, 14), *range(15, 43)]
    assert ramp.pulses.tolist() == [*range(12), *range(13, 41)]


def test_a_train_is_cut_at_its_turns_without_losing_a_reading():
    """20 cycles of 30 pulses up and 30 down; the state in which each begins is known but once."""
    measurement = read(CASES / "18-turns-of-saturated-cycles.csv")
    cycles = (PAIR.replace("1.1", f"1.{cycle}") for cycle in range(1, 21))
    assert ramps_in_words(measurement) == ", ".join(cycles)
    lines = np.concatenate([r.lines for r in measurement.ramps])
    assert lines.tolist() == [*range(2, 1202)]
    assert {tuple(r.pulses[[0, -1]]) for r in measurement.ramps} == {(1.0, 30.0)}
    last = [r.values[-1] for r in measurement.ramps]
    assert [r.before for r in measurement.ramps] == [None, *last[:-1]]
    assert measurement.left_out == ()


def test_times_are_no_ramps_and_irregular_ones_are_noted_for_each_branch():
    """By hand: gaps of 5.92 us before line 12, and of 5.19 us before line 4, five medians each."""
    measurement = read(CASES / "01-times-per-branch.tsv")
    assert measurement.understood.role.tolist() == ["time", "response", "time", "response"]
    assert "turned" in measurement.understood.why[3]
    falling, rising = measurement.notes
    assert rising == (
        "rising branch: the pulses come at irregular times: 0.96 us apart in the median, but "
        "5.92 us before line 12; drift between readings is not modelled"
    )
    assert falling.startswith("falling branch: the pulses come at irregular times: 1.11 us apart")
    assert "5.19 us before line 4;" in falling
    (only,) = read(CASES / "01-times-per-branch.tsv", ReadingOptions(branches=("rising",))).notes
    assert only == rising


# What is fitted

# Of each branch its range and ν, both with how far they may be off.
TRUTHS = {
    "02-step-header.csv": [("rising", 60, 1, 3.0, 0.3)],
    "03-pulse-column-per-branch.tsv": [
        ("rising", 7.7e-6, 0.2e-6, 1.8, 0.2),
        ("falling", 7.6e-6, 0.2e-6, 5.0, 0.3),
    ],
    "04-accelerating-potentiation.csv": [("rising", 8.0, 0.3, -6.0, 0.5)],
    "05-accelerating-3-ramps.csv": [("falling", 1.0, 0.03, -6.0, 0.3)],
    "10-names-in-brackets.csv": [("rising", 3.0e-5, 0.1e-5, 2.0, 0.2)],
    "11-countdown-pulses.tsv": [("falling", 19, 0.3, 5.0, 0.3)],
    "13-one-lost-reading.csv": [("falling", 1060, 20, 4.5, 0.3)],
    "14-repeated-reads.csv": [("falling", 1060, 20, 4.5, 0.3)],
    "17-spread-of-ranges.csv": [("falling", 46.5, 1, 3.0, 0.1)],
    "18-turns-of-saturated-cycles.csv": [
        ("rising", 40, 0.3, 3.0, 0.06),
        ("falling", 40, 0.3, 5.0, 0.08),
    ],
}


@cache
def fitted(name: str) -> DeviceFit:
    how = dict(split="turns") if name.startswith("18") else {}
    return fit_device(read(CASES / name, ReadingOptions(**how)))


@pytest.mark.parametrize("name", TRUTHS)
def test_what_was_simulated_comes_out(name):
    fit = fitted(name)
    assert set(fit.branches) == {branch for branch, *_ in TRUTHS[name]}
    for branch, size, size_limit, nu, nu_limit in TRUTHS[name]:
        curve = fit.branches[branch]
        assert curve.family == "exponential"
        assert curve.range == pytest.approx(size, abs=size_limit)
        assert fit.nonlinearity_of(curve).value == pytest.approx(nu, abs=nu_limit)
    assert sane_device_file(fit, "d", None).response


def test_readings_at_irregular_times_are_counted():
    """Each reading is a pulse, whatever the times beside it: the file counts no pulses.

    Simulated over irregular times, no branch is an exactly exponential curve of its readings, so
    the limits are plain least squares over the number of the reading, and, where the file holds the
    whole ramp, the truth. The column of depression ends at 1.72e-7, half way up to where
    potentiation ends, so its truth (3.0e-7, ν 4.5) is that of a longer ramp than the file has.
    """
    fit = fitted("01-times-per-branch.tsv")
    values = np.genfromtxt(CASES / "01-times-per-branch.tsv", delimiter="\t", skip_header=1)
    up, down = values[:, 1], values[:34, 3][::-1]
    for branch, readings in ((fit.rising, up), (fit.falling, down)):
        size, nu = plain_least_squares(readings)
        for estimate, plain in ((fit.range_of(branch), size), (fit.nonlinearity_of(branch), nu)):
            assert estimate.value == pytest.approx(plain, abs=estimate.error)
    size, nu = fit.range_of(fit.rising), fit.nonlinearity_of(fit.rising)
    assert size.value == pytest.approx(3.0e-7, abs=0.03 * 3.0e-7 + 3 * size.error)
    assert nu.value == pytest.approx(2.4, abs=3 * nu.error)
    assert fit.falling.range == pytest.approx(np.ptp(down), abs=0.1 * np.ptp(down))


def plain_least_squares(readings: np.ndarray) -> tuple[float, float]:
    """Range and ν of the nearest exponential, by scipy."""
    size = np.ptp(readings)

    def curve(u, first, change, nu):
        return first + change * (1 - np.exp(-nu * u)) / (1 - np.exp(-nu))

    place, scaled = np.linspace(0, 1, len(readings)), readings / size
    start = scaled[0], scaled[-1] - scaled[0], 3.0
    (_, change, nu), _ = curve_fit(curve, place, scaled, start)
    return abs(change) * size, nu


def test_noises_and_spreads_of_the_files():
    lost = fitted("13-one-lost-reading.csv")
    assert lost.read_noise.value == pytest.approx(0.006, abs=0.001)
    (sentence,) = lost.measurement.left_out
    assert sentence.startswith("line 14, column 2 (G): a reading of 0, far from all others")
    repeated = fitted("14-repeated-reads.csv")
    assert repeated.read_noise.value * repeated.range == pytest.approx(4, abs=0.5)  # nS
    spread = fitted("17-spread-of-ranges.csv")
    assert spread.range_spread.value == pytest.approx(0.19, abs=0.02)
    assert spread.variability.value == pytest.approx(0, abs=0.01)
