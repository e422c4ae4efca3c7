"""Small files as labs write them, made by simulation, so that what each holds is known."""

import numpy as np
import pytest
from conftest import PROJECT
from support.curves import PAIR, ramps_in_words, refusal

from utils.measured.options import ReadingOptions
from utils.measured.reading import read

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
    for found, expected in zip(ends(measurement), RAMPS[name], strict=True):
        assert found[:3] == expected[:3]
        assert found[3:] == pytest.approx(expected[3:], rel=1e-12)
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
