"""Small files as labs write them, made by simulation, so that what each holds is known."""

import numpy as np
import pandas as pd
import pytest
from conftest import PROJECT

from utils.errors import UserError
from utils.measured.device_fit import fit_device
from utils.measured.options import ReadingOptions
from utils.measured.reading import describe, read

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


def ramps(measurement) -> list[tuple]:
    return [
        (r.device, r.branch, len(r.values), *r.pulses[[0, -1]], *r.values[[0, -1]])
        for r in measurement.ramps
    ]


@pytest.mark.parametrize("name", RAMPS)
def test_ramps_of_the_file(name):
    measurement = read(CASES / name)
    for found, expected in zip(ramps(measurement), RAMPS[name], strict=True):
        assert found[:3] == expected[:3]
        assert found[3:] == pytest.approx(expected[3:], rel=1e-12)
    assert [r.cycle for r in measurement.ramps if r.device == "1"][-1:] in ([], [1], [3])


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_pulse_response_is_refused_by_its_name(name):
    with pytest.raises(UserError) as caught:
        read(CASES / name)
    message = str(caught.value)
    assert f"{name}: {REFUSALS[name]}" in message
    assert "\n" not in message
    assert "--split" not in message


@pytest.mark.parametrize(
    "name",
    "Step;pulse_n;# of pulses;Number of pulse;Pulse idx;Pulsanzahl;Zeit;index;n;Voltage;No.;#;"
    "count;Schritt;"
    "Impulsnummer;Pulszahl N;Nombre d'impulsions;Numéro d'impulsion;n° impulsion;étape;"
    "Zeitschritt;Cycle;Time;Amplitude;x;foo;Messung;event;Puls-Nr.;NumPulses".split(";"),
)
def test_a_counter_counts_pulses_whatever_it_is_called(name, reads):
    measurement = reads((CASES / "02-step-header.csv").read_text().replace("Step", name))
    assert measurement.understood.role.tolist() == ["pulses", "response"]
    assert ramps(measurement) == RAMPS["02-step-header.csv"]
    assert measurement.unit == "nS"


def test_times_and_counters_are_no_ramps():
    roles = read(CASES / "01-times-per-branch.tsv").understood
    assert roles.role.tolist() == ["time", "response", "time", "response"]
    assert "turned" in roles.why[3]
    measurement = read(CASES / "11-countdown-pulses.tsv", ReadingOptions(pulses="none"))
    assert ramps(measurement) == RAMPS["11-countdown-pulses.tsv"]
    assert "count down" in read(CASES / "11-countdown-pulses.tsv").understood.why[1]


def test_repeated_readings_give_the_read_noise():
    measurement = read(CASES / "14-repeated-reads.csv")
    assert measurement.reads == 3
    assert measurement.repeated_read_noise == pytest.approx(4, rel=0.2)  # 82 degrees of freedom
    assert measurement.ramps[0].lines.tolist() == [*range(2, 125, 3)]


def test_the_line_of_every_reading_is_known():
    ramp = read(CASES / "13-one-lost-reading.csv").ramps[0]
    assert ramp.lines.tolist() == [*range(2, 14), *range(15, 43)]
    assert ramp.pulses.tolist() == [*range(12), *range(13, 41)]


def test_twelve_devices_of_one_shape():
    measurement = read(CASES / "17-spread-of-ranges.csv")
    assert [r.device for r in measurement.ramps] == [f"dev{k}" for k in range(1, 13)]


def test_a_train_is_cut_at_its_turns_without_losing_a_reading():
    """20 cycles of 30 pulses up and 30 down; the state in which each begins is known but once."""
    measurement = read(CASES / "18-turns-of-saturated-cycles.csv")
    assert [r.branch for r in measurement.ramps] == ["rising", "falling"] * 20
    assert [r.cycle for r in measurement.ramps] == [k // 2 + 1 for k in range(40)]
    lines = np.concatenate([r.lines for r in measurement.ramps])
    assert lines.tolist() == [*range(2, 1202)]
    assert {tuple(r.pulses[[0, -1]]) for r in measurement.ramps} == {(1.0, 30.0)}
    last = [r.values[-1] for r in measurement.ramps]
    assert [r.before for r in measurement.ramps] == [None, *last[:-1]]
    assert measurement.left_out == ()


def test_irregular_times_are_noted_for_each_branch():
    """By hand: gaps of 5.92 us before line 12, and of 5.19 us before line 4, five medians each."""
    falling, rising = read(CASES / "01-times-per-branch.tsv").notes
    assert rising == (
        "rising branch: the pulses come at irregular times: 0.96 us apart in the median, but "
        "5.92 us before line 12; drift between readings is not modelled"
    )
    assert falling.startswith("falling branch: the pulses come at irregular times: 1.11 us apart")
    assert "5.19 us before line 4;" in falling
    (only,) = read(CASES / "01-times-per-branch.tsv", ReadingOptions(branches=("rising",))).notes
    assert only == rising


# Other files of these kinds, written here

PULSES = np.arange(40)
UP = 10 + 40 * (1 - np.exp(-3 * PULSES / 39)) / (1 - np.exp(-3))
DOWN = 60 - UP
FIELD = np.concatenate([np.linspace(-100, 100, 40), np.linspace(95, -100, 40)])  # there and back
ZIGZAG = DOWN + 3 * (-1.0) ** PULSES + 0.1 * np.random.default_rng(0).normal(size=40)
SWEEP = np.concatenate([np.linspace(0, 1, 26), np.linspace(1, 0, 26)[1:]])


def table(head: str, *columns, separator: str = ",") -> str:
    def cell(x) -> str:
        return x if isinstance(x, str) else f"{x:.6g}"

    rows = zip(*columns, strict=True)
    return "\n".join([head, *(separator.join(map(cell, row)) for row in rows)]) + "\n"


def times(intervals) -> np.ndarray:
    """When the readings of a train were taken, up and down again."""
    return np.round(np.cumsum(np.resize(intervals, 80)), 3)


TRAIN = np.concatenate([UP, DOWN])
EVERY_TENTH = np.cumsum([0, *[1] * 10, *[10] * 29])  # pulses between readings


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (table("pulse,t (s),G (nS)", np.arange(80), times([1.0]), TRAIN), 0),
        (table("pulse,t (s),G (nS)", np.arange(80), times([1.0, 1.2, 2.9]), TRAIN), 0),
        (table("pulse,t (s),G (nS)", np.arange(80), times([0, 0, 0, 1]), TRAIN), 0),  # whole s
        (table("pulse,t (s),G (nS)", np.arange(80), times([*[1.0] * 39, 60, *[1] * 40]), TRAIN), 1),
        (table("pulse,t (s),G (nS)", np.arange(80), times([*[1.0] * 40, 60, *[1] * 39]), TRAIN), 0),
        (table("pulse,t (s),G (nS)", EVERY_TENTH, 2 * EVERY_TENTH, UP), 0),
        (table("pulse,G (nS)", PULSES, UP), 0),
    ],
)
def test_only_irregular_times_within_ramps_are_noted(text, notes, reads):
    measurement = reads(text)
    assert len(measurement.notes) == notes
    assert describe(measurement).count("note: rising branch: the pulses come at irr") == notes


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (table("index,Vg (V),Id (A)", np.arange(51), SWEEP, np.exp(SWEEP)), "an I-V sweep"),
        (table("U [V];I [A]", SWEEP, SWEEP**3, separator=";"), "an I-V sweep"),
        ("\n".join(f"{v:.2f}\t{v**3:.4f}" for v in SWEEP), "an I-V sweep"),
        (table("Time (s),G (S)", PULSES, UP), "a retention measurement"),
        (table("index,Time (s),R", PULSES, 3 * PULSES, DOWN), "say --pulses 1"),
        (table(",t (s),G (S)", PULSES, np.geomspace(1, 1e4, 40), DOWN), "retention"),
        (table("n,Vpulse (V),G", PULSES, 1 + PULSES // 10, UP), "an amplitude stair"),
        (table("n,V_G pulse (V),I_D (nA)", PULSES, 0.5 + PULSES / 20, UP), "an amplitude stair"),
        (table("Pulsbreite (us),R (Ohm)", 10 + 10 * PULSES, UP), "an amplitude staircase"),
        (table("T (K),G (uS)", 300 + 2.5 * PULSES, UP), "a sweep, .* no column counts pulses"),
        (table("B (mT),R_xy (Ohm)", FIELD, np.tanh(FIELD / 20)), "a sweep"),
        (table("I (mA),V_Hall (uV)", PULSES / 10 - 2, UP), "a sweep"),
        (table("f (Hz),G (uS)", np.geomspace(1, 1e4, 40), UP), "a sweep"),
        (table("index,T (K),R (Ohm)", PULSES, 300 - 2.5 * PULSES, UP), "the readings of a sweep"),
        (table("angle (deg),R (Ohm)", 9 * PULSES, UP), "say --pulses 1 if it counts pulses"),
        (table("D1,D2", UP, 1000 * UP), "decades apart"),
        ("G\n" + "\n".join(f"{x + k / 1000:.3f}" for x in UP for k in (0, 1, 0)), "--reads 3"),
        ("I (nA)\n" + "\n".join(f"{x + k / 1000:.3f}" for x in UP for k in range(10)),
         "--reads 10 averages"),
        ("\n".join(f"{v:.2f} {1 + v:.3f}" for v in SWEEP[:26]), "--pulses 1"),
        (table("Normalized pulse number,G (uS)", PULSES / 39, UP), "fractions of pulses"),
        (table("Pulse,G (uS)", PULSES, UP) + "Mean,40\nMin,10\nMax,60\n", "line 42.*is missing"),
        (table("Pulse,0.8 V,1.0 V,1.2 V", PULSES, UP, 4 * UP, 9 * UP), "in a condition, 0.8 V"),
        (table("Pulse,G 1 us,G 10 us", PULSES, UP, UP + 1), "in a condition, 1 us, 10 us"),
        (table("Pulse,I_before (nA),I_after (nA)", PULSES, UP - 1, UP), "with --columns 3"),
        (table("H (Oe),R_xy (Ohm)", SWEEP, np.tanh(SWEEP)), "runs on from line to line"),
        (table("T (K),G (S)", 300 - PULSES**1.1, UP), "a sweep"),
        (table("P/E cycles,Vth (V)", PULSES**2 + 1, DOWN), "--pulses 1 if it counts"),
        (table("Cycle number,G_on (uS)", 100 * PULSES, DOWN), "pulses, or cycles of an endurance"),
        (table("Zyklenzahl,Leitwert LRS (µS)", PULSES, DOWN), "as of an endurance test"),
        (table("Images,Ideal", PULSES, UP), "epochs of a training"),
        (table("epoch,train_error", PULSES, DOWN), "epochs of a training"),
        (table("Epoch;Erkennungsrate (%)", PULSES, UP, separator=";"), "result of a training"),
        (table("Pulse,G", [f"{k}k" for k in PULSES], UP), "'0k' is no plain number of pulses"),
        (table("Pulses (dozens),G", PULSES, UP), "'dozens' is no factor"),
        (table("Read #,Pulses per read,G", PULSES, 0 * PULSES + 10, UP), "10 pulses before each"),
        (table("n,Vwrite (V),G", PULSES, np.where(PULSES < 8, 0, 2), UP), "0 in several lines"),
        (table("Pulse,V (V),G", ["initial", *PULSES[1:]], 0 * UP + 1, UP), "'initial' is not a n"),
        ("up = [" + ", ".join(f"{x:.2f}" for x in UP) + "]", "is a number in brackets"),
        (table("Pulse,A,B,C", PULSES, UP, 4 * UP, 9 * UP), "if these are devices"),
        (table("Pulse,G (uS)", PULSES, ZIGZAG), "go up and down from one to the next"),
        (table("pulse,dG (uS)", PULSES[1:], np.diff(UP)), "the change by each pulse"),
        (table("pulse,ΔG (uS)", PULSES[1:], np.diff(UP)), "the change by each pulse"),
        (table("pulse,log10(G/S)", PULSES, np.log10(UP)), "holds logarithms"),
        (table("Epoch,Train accuracy (%)", PULSES, UP), "the result of a training"),
        (table("G (uS),Cumulative probability (%)", np.sort(UP), 2 * PULSES), "a distribution"),
        (table("Cycle,HRS (kOhm),LRS (kOhm)", PULSES, 9 * UP, UP), "endurance"),
        ("Pulse;G (uS)\n" + "".join(f"{k};{g:.2f} ± 0.10\n" for k, g in enumerate(UP)),
         r"'10.00 ± 0.10' is not a number"),
    ],
)  # fmt: skip
def test_other_files_that_are_no_pulse_response(text, kind, reads):
    with pytest.raises(UserError, match=kind):
        reads(text)


BOTH = [("rising", 0, 39, 10, 50), ("falling", 0, 39, 50, 10)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (table("n_up,G_up,n_down,G_down", PULSES + 1, UP, 40 - PULSES, UP),
         [("rising", 1, 40, 10, 50), ("falling", 0, 39, 50, 10)]),
        ("Puls;Leitwert LTP;Leitwert LTD\n;nS;nS\n" + "".join(
            f"{k};{a:.3f};{b:.3f}\n".replace(".", ",")
            for k, (a, b) in enumerate(zip(UP, DOWN, strict=True))), BOTH),
        (table("pulse,R_SET (ohm),R_RESET (ohm)", PULSES, DOWN, UP), BOTH[::-1]),
        (table("pulse,read 1 (nS),read 2 (nS)", PULSES, UP - 1, UP + 1), BOTH[:1]),
        (table("V (V),t (s),G (nS)", [2] * 40 + [-2] * 40, np.arange(80) / 7, TRAIN), BOTH),
        (table("pulse,G", PULSES, np.where(PULSES == 33, 0, UP)), BOTH[:1]),  # lost, no turn
        (table("Pulse #,Program Id (nA),Erase Id (nA)", PULSES, DOWN, UP), BOTH[::-1]),
        (table("Pulse,Set 1 (uS),Set 2 (uS)", PULSES, DOWN, DOWN), BOTH[1:] * 2),
        (table("Pulse,Mean G (uS),Std (uS)", PULSES, UP, UP / 10), BOTH[:1]),
        (table("pulse,G (uS),stderr G (uS)", PULSES, UP, UP / 10), BOTH[:1]),
        (table("n,V_R (V),I (uA)", PULSES, 0 * UP + 0.2, UP), BOTH[:1]),
        (table("Pulse No.,V_G (V),I_D (A),I_G (A)", PULSES, 0 * UP + 2, UP, 0 * UP + 1), BOTH[:1]),
        (table("pulse,gate width G (us),G (uS)", PULSES, 0 * UP + 2, UP), BOTH[:1]),
        (table("pulse,T (K),G (uS)", PULSES, 300 + PULSES, UP), BOTH[:1]),
        (table("T (°C),G (uS)", 22 + ZIGZAG / 100, UP), BOTH[:1]),
        (table("Total pulses applied to gate,G (S)", 10 * PULSES, UP),
         [("rising", 0, 390, 10, 50)]),
        (table("N,Id@Vg=-2V (uA),Id@Vg=+2V (uA)", PULSES, DOWN, UP), BOTH[::-1]),
        (table("Pulse number,Conductance (us)", PULSES, UP), BOTH[:1]),
        (table("Pulse,Epoch 1 (nS)", PULSES, UP), BOTH[:1]),
        (table("Pulses (10^3),G", PULSES, UP), [("rising", 0, 39_000, 10, 50)]),
        (table("Pulses (x1000),G", PULSES / 2, UP), [("rising", 0, 19_500, 10, 50)]),
        (table("Pulses / 100,G", PULSES, UP), [("rising", 0, 3900, 10, 50)]),
        (table("PulseNum,DrainI,DrainV,GateI", PULSES, UP, 0 * UP + 0.1, UP / 1e3), BOTH[:1]),
        (table("Pulse,Experiment,Fit", PULSES, UP, UP + 1), BOTH[:1]),
        (table("Pulse,Median,Lower quartile,Upper quartile", PULSES, UP, UP - 1, UP + 1),
         BOTH[:1]),
        (table("Pulse,I_G (nA),G_SD (nS)", PULSES, 0 * UP + 5, UP), BOTH[:1]),  # source and drain
        (table("Pulse,Mean G (uS),SEM (uS),n", PULSES, UP, UP / 10, 0 * UP + 10), BOTH[:1]),
        (table("V (V),t (s),Mean G", [2] * 40 + [-2] * 40, np.arange(80) / 7, TRAIN), BOTH),
        (table("Pulse,Mean LTP,SD LTP,Mean LTD,SD LTD", PULSES, UP, UP / 9, DOWN, UP / 9), BOTH),
        (table("Pulse,Mean,Mean+SD,Mean-SD", PULSES, UP, UP + 1, UP - 1), BOTH[:1]),
        (table("Pulse,G+ (uS),G- (uS),W = G+ - G- (uS)", PULSES, UP, DOWN, UP - DOWN), BOTH),
        (table("Pulse,G raw,G average", PULSES, UP, UP + 1), BOTH[:1]),
        (table("V (V),G", [0] + [2] * 39 + [-2] * 40, TRAIN), BOTH),  # read before the first pulse
        (table("V (V),G", [2] * 39 + [-2] * 40 + [""], TRAIN), BOTH),  # the next pulse beside each
        (table("Pulse,LTP I (nA),LTD I (nA)", PULSES, -UP, -DOWN), BOTH),
        (table("Pulse,DB1 (nS)", PULSES, UP), BOTH[:1]),
        ("Potentiation,,Depression,\n" + table("Pulse,G (nS),Pulse,G (nS)", *[PULSES, UP] * 2),
         BOTH),
    ],
)  # fmt: skip
def test_other_files_that_are_read_right(text, expected, reads):
    measurement = reads(text)
    assert {ramp.device for ramp in measurement.ramps} == {"1"}
    found = [row[1:2] + row[3:] for row in ramps(measurement)]
    assert [row[0] for row in found] == [row[0] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one[1:] == pytest.approx(other[1:], rel=1e-4)


def test_groups_of_columns_name_their_devices(reads):
    text = "Device A,,Device B,\n" + table("Pulse,G,Pulse,G", *[PULSES, UP] * 2)
    assert [ramp.device for ramp in reads(text).ramps] == ["Device A", "Device B"]


def test_groups_that_are_made_of_the_devices_are_left_out(reads):
    noise = np.random.default_rng(0).normal(size=40)
    text = "Device 1,,Device 2,,Average,,SD,\n" + table(
        "Pulse,LTP,LTD,LTP,LTD,LTP,LTD,LTP,LTD",
        *(PULSES, UP, DOWN, UP + 5, DOWN + 5, UP + 2, DOWN + 2, 2 + noise, 2 + noise),
    )
    found = reads("," + text).ramps
    assert [(ramp.device, ramp.branch) for ramp in found] == [
        (f"Device {number}", branch) for number in (1, 2) for branch in ("rising", "falling")
    ]


def test_copies_of_noisy_ramps_and_of_lines_are_used_once(reads):
    noisy = UP + np.random.default_rng(0).normal(size=40)
    measurement = reads(table("Pulse,G", [*PULSES, *PULSES], [*noisy, *noisy]))
    assert len(measurement.ramps) == 1
    assert "a copy of column 2 (G), lines 2 to 41" in measurement.left_out[0]
    measurement = reads(table("Pulse,G", np.repeat(PULSES, 2), np.repeat(noisy, 2)))
    assert measurement.repeated_read_noise is None  # not 0, which two equal readings would tell


def test_a_sheet_that_is_no_curve_names_the_others(tmp_path):
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"Setting": ["a", 3], "Value": [2, "b"]}).to_excel(book, sheet_name="Info")
        pd.DataFrame({"Pulse": PULSES, "G": UP}).to_excel(book, sheet_name="Run1", index=False)
    with pytest.raises(UserError, match="--sheet chooses another: Run1"):
        read(path)


def test_a_workbook_of_texts_with_decimal_commas(tmp_path):
    path = tmp_path / "book.xlsx"
    text = [f"{value:.3f}".replace(".", ",") for value in UP]
    pd.DataFrame({"Puls": map(str, PULSES), "G (nS)": text}).to_excel(path, index=False)
    assert read(path).ramps[0].values[-1] == pytest.approx(UP[-1], abs=1e-3)


def test_columns_that_the_user_calls_cycles_may_differ(reads):
    text = table("Pulse,0.8 V,1.0 V", PULSES, UP, 4 * UP)
    assert len(reads(text, devices="one").ramps) == 2


@pytest.mark.parametrize(("place", "lost"), [(0, False), (-1, False), (0, True)])
def test_an_end_that_makes_the_range_larger_is_kept_unless_it_was_lost(place, lost, reads):
    """It may be a first pulse that does more; 0 is what an instrument writes for no reading."""
    values = UP + 0.2 * np.random.default_rng(0).normal(size=40)
    values[place] = 0 if lost else values[place] + (15 if place else -7)
    fit = fit_device(reads(table("Pulse,G", PULSES, values)))
    (sentence,) = fit.measurement.left_out if lost else fit.far_off
    assert ("a reading of 0, far from" if lost else "is kept, since the") in sentence
    assert len(fit.measurement.ramps[0].values) == 40 - lost


def test_a_workbook_is_read_like_text(tmp_path):
    path = tmp_path / "book.xlsx"
    frame = pd.DataFrame({"Pulse number": np.arange(1, 41), "Depression (µS)": DOWN})
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"notes": ["none"]}).to_excel(book, sheet_name="Info", index=False)
        frame.to_excel(book, sheet_name="Data", index=False)
    for sheet in ("Data", "2"):
        measurement = read(path, ReadingOptions(sheet=sheet))
        np.testing.assert_allclose(measurement.ramps[0].values, DOWN, rtol=1e-14)  # 16 digits
        assert (measurement.unit, measurement.ramps[0].branch) == ("µS", "falling")
        assert "sheet Data (not read: Info; --sheet chooses)" in describe(measurement)
    with pytest.raises(UserError, match="no column holds numbers; give the file, or the --sheet,"):
        read(path)
    with pytest.raises(UserError, match=r"--sheet 3: .* has no such sheet; it has Info, Data"):
        read(path, ReadingOptions(sheet="3"))
