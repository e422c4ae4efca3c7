"""Other files of labs, written here: which are read right, and which are no pulse response."""

import re

import numpy as np
import pytest
from support.curves import COUNT, DOWN, PAIR, UP, ramps_in_words, table

from utils.measured.device_fit import fit_device
from utils.measured.reading import describe

FIELD = np.concatenate([np.linspace(-100, 100, 40), np.linspace(95, -100, 40)])  # there and back
ZIGZAG = DOWN + 3 * (-1.0) ** COUNT + 0.1 * np.random.default_rng(0).normal(size=40)
SWEEP = np.concatenate([np.linspace(0, 1, 26), np.linspace(1, 0, 26)[1:]])


def times(intervals) -> np.ndarray:
    """When the readings of a train were taken, up and down again."""
    return np.round(np.cumsum(np.resize(intervals, 80)), 3)


TRAIN = np.concatenate([UP, DOWN])
VOLTS = [f"{2 + k / 20:.2f} V" for k in COUNT]  # as instruments write them
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
        (table("pulse,G (nS)", COUNT, UP), 0),
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
        (table("index,Time (s),R", COUNT, 3 * COUNT, DOWN), "say --pulses 1"),
        (table(",t (s),G (S)", COUNT, np.geomspace(1, 1e4, 40), DOWN), "retention"),
        (table("n,Vpulse (V),G", COUNT, 1 + COUNT // 10, UP), "an amplitude stair"),
        (table("Pulse,X (uV),Y (uV)", COUNT, UP, UP % 3), "no drive, .* responses with --columns"),
        (table("Vp (V),Pulse,G", np.repeat([1, 2], 40), [*COUNT] * 2, [*UP] * 2), "of one block"),
        (table("n,V_G pulse (V),I_D (nA)", COUNT, 0.5 + COUNT / 20, UP), "an amplitude stair"),
        (table("Pulsbreite (us),R (Ohm)", 10 + 10 * COUNT, UP), "an amplitude staircase"),
        (table("T (K),G (uS)", 300 + 2.5 * COUNT, UP), "a sweep, .* no column counts pulses"),
        (table("B (mT),R_xy (Ohm)", FIELD, np.tanh(FIELD / 20)), "a sweep"),
        (table("I (mA),V_Hall (uV)", COUNT / 10 - 2, UP), "a sweep"),
        (table("f (Hz),G (uS)", np.geomspace(1, 1e4, 40), UP), "a sweep"),
        (table("index,T (K),R (Ohm)", COUNT, 300 - 2.5 * COUNT, UP), "the readings of a sweep"),
        (table("angle (deg),R (Ohm)", 9 * COUNT, UP), "say --pulses 1 if it counts pulses"),
        (table("D1,D2", UP, 1000 * UP), "decades apart"),
        ("G\n" + "\n".join(f"{x + k / 1000:.3f}" for x in UP for k in (0, 1, 0)), "--reads 3"),
        ("I (nA)\n" + "\n".join(f"{x + k / 1000:.3f}" for x in UP for k in range(10)),
         "--reads 10 averages"),
        ("\n".join(f"{v:.2f} {1 + v:.3f}" for v in SWEEP[:26]), "--pulses 1"),
        (table("Normalized pulse number,G (uS)", COUNT / 39, UP), "fractions of pulses"),
        (table("Pulse,0.8 V,1.0 V,1.2 V", COUNT, UP, 4 * UP, 9 * UP), "in a condition, 0.8 V"),
        (table("Pulse,G 1 us,G 10 us", COUNT, UP, UP + 1), "in a condition, 1 us, 10 us"),
        (table("Pulse,I_before (nA),I_after (nA)", COUNT[1:], UP[:-1], UP[1:]),
         "with --columns 3"),
        (table("H (Oe),R_xy (Ohm)", SWEEP, np.tanh(SWEEP)), "runs on from line to line"),
        (table("T (K),G (S)", 300 - COUNT**1.1, UP), "a sweep"),
        (table("P/E cycles,Vth (V)", COUNT**2 + 1, DOWN), "--pulses 1 if it counts"),
        (table("Cycle number,G_on (uS)", 100 * COUNT, DOWN), "pulses, or cycles of an endurance"),
        (table("Zyklenzahl,Leitwert LRS (µS)", COUNT, DOWN), "as of an endurance test"),
        (table("Images,Ideal", COUNT, UP), "epochs of a training"),
        (table("epoch,train_error", COUNT, DOWN), "epochs of a training"),
        (table("Epoch;Erkennungsrate (%)", COUNT, UP, separator=";"), "result of a training"),
        (table("Pulse,G", [f"{k}k" for k in COUNT], UP), "'0k' is no plain number of pulses"),
        (table("Pulses (dozens),G", COUNT, UP), "'dozens' is no factor"),
        (table("Read #,Pulses per read,G", COUNT, 0 * COUNT + 10, UP), "10 pulses before each"),
        (table("n,Vwrite (V),G", COUNT, np.where(COUNT < 8, 0, 2), UP), "0 in several lines"),
        (table("Pulse,V (V),G", ["initial", *COUNT[1:]], 0 * UP + 1, UP), "'initial' is not a n"),
        ("up = [" + ", ".join(f"{x:.2f}" for x in UP) + "]", "is a number in brackets"),
        (table("Pulse,A,B,C", COUNT, UP, 4 * UP, 9 * UP), "if these are devices"),
        (table("Pulse,G (uS)", COUNT, ZIGZAG), "go up and down from one to the next"),
        (table("pulse,dG (uS)", COUNT[1:], np.diff(UP)), "the change by each pulse"),
        (table("pulse,ΔG (uS)", COUNT[1:], np.diff(UP)), "the change by each pulse"),
        (table("pulse,log10(G/S)", COUNT, np.log10(UP)), "holds logarithms"),
        (table("Epoch,Train accuracy (%)", COUNT, UP), "the result of a training"),
        (table("G (uS),Cumulative probability (%)", np.sort(UP), 2 * COUNT), "a distribution"),
        (table("Cycle,HRS (kOhm),LRS (kOhm)", COUNT, 9 * UP, UP), "endurance"),
        ("Pulse;G (uS)\n" + "".join(f"{k};{g:.2f} ± 0.10\n" for k, g in enumerate(UP)),
         r"'10.00 ± 0.10' is not a number"),
        (table("Pulse,Amplitude,Id (uA)", COUNT, VOLTS, UP), "an amplitude staircase"),
        (table("Pulse,Pulse parameters,I (uA)", COUNT, [f"{v}/9us" for v in VOLTS], UP),
         "an amplitude staircase"),
        (table("#,Vpp,G (uS)", COUNT, 2 + COUNT / 20, UP), "an amplitude staircase"),
        (table("Pulse,tp (us),G (uS)", COUNT, 1.15**COUNT, UP), "an amplitude staircase"),
        (table("Pulse,Average,Halbwert", COUNT, UP, UP / 100), "is no mean of column 3"),
        (table("Pulse;G (uS)", COUNT, [f"{x:,.0f}".replace(",", ".") for x in 50 * UP],
               separator=";"), r"'1\.0\d\d' has a mark of thousands"),
        (table("Pulse;G", COUNT, [f"{x:,.1f}".replace(",", "'") for x in 50 * UP], separator=";"),
         r"'1'0\d\d\.\d' has a mark of thousands"),
        (table("Pulse,G (uS)", COUNT, [f"{x:.2f} ± 0.30" for x in UP]), "'±' is not a number"),
        ("Pulse,G\n# Device 1\n" + table(None, COUNT, UP) + "# Device 2\n" + table(None, COUNT, UP),
         "'Device 1' stands above the numbers, and 'Device 2' above line 44"),
        ("Vp,1.5 V,,2 V,\n" + table("Pulse,LTP,LTD,LTP,LTD", COUNT, *[UP, DOWN] * 2),
         "'1.5 V' in line 1 stands above column 2 .LTP., .* with --columns 2 3"),
    ],
)  # fmt: skip
def test_what_is_no_pulse_response(text, kind, refused):
    assert re.search(kind, refused(text))


BOTH = [("rising", 0, 39, 10, 50), ("falling", 0, 39, 50, 10)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (table("n_up,G_up,n_down,G_down", COUNT + 1, UP, 40 - COUNT, UP),
         [("rising", 1, 40, 10, 50), ("falling", 0, 39, 50, 10)]),
        ("Puls;Leitwert LTP;Leitwert LTD\n;nS;nS\n" + "".join(
            f"{k};{a:.3f};{b:.3f}\n".replace(".", ",")
            for k, (a, b) in enumerate(zip(UP, DOWN, strict=True))), BOTH),
        (table("pulse,R_SET (ohm),R_RESET (ohm)", COUNT, DOWN, UP), BOTH[::-1]),
        (table("pulse,read 1 (nS),read 2 (nS)", COUNT, UP - 1, UP + 1), BOTH[:1]),
        (table("V (V),t (s),G (nS)", [2] * 40 + [-2] * 40, np.arange(80) / 7, TRAIN), BOTH),
        (table("pulse,G", COUNT, np.where(COUNT == 33, 0, UP)), BOTH[:1]),  # lost, no turn
        (table("Pulse #,Program Id (nA),Erase Id (nA)", COUNT, DOWN, UP), BOTH[::-1]),
        (table("Pulse,Set 1 (uS),Set 2 (uS)", COUNT, DOWN, DOWN), BOTH[1:] * 2),
        (table("Pulse,Mean G (uS),Std (uS)", COUNT, UP, UP / 10), BOTH[:1]),
        (table("pulse,G (uS),stderr G (uS)", COUNT, UP, UP / 10), BOTH[:1]),
        (table("n,V_R (V),I (uA)", COUNT, 0 * UP + 0.2, UP), BOTH[:1]),
        (table("Pulse No.,V_G (V),I_D (A),I_G (A)", COUNT, 0 * UP + 2, UP, 0 * UP + 1), BOTH[:1]),
        (table("pulse,gate width G (us),G (uS)", COUNT, 0 * UP + 2, UP), BOTH[:1]),
        (table("pulse,T (K),G (uS)", COUNT, 300 + COUNT, UP), BOTH[:1]),
        (table("T (°C),G (uS)", 22 + ZIGZAG / 100, UP), BOTH[:1]),
        (table("Total pulses applied to gate,G (S)", 10 * COUNT, UP),
         [("rising", 0, 390, 10, 50)]),
        (table("N,Id@Vg=-2V (uA),Id@Vg=+2V (uA)", COUNT, DOWN, UP), BOTH[::-1]),
        (table("Pulse number,Conductance (us)", COUNT, UP), BOTH[:1]),
        (table("Pulse,Epoch 1 (nS)", COUNT, UP), BOTH[:1]),
        (table("Pulses (10^3),G", COUNT, UP), [("rising", 0, 39_000, 10, 50)]),
        (table("Pulses (x1000),G", COUNT / 2, UP), [("rising", 0, 19_500, 10, 50)]),
        (table("Pulses / 100,G", COUNT, UP), [("rising", 0, 3900, 10, 50)]),
        (table("PulseNum,DrainI,DrainV,GateI", COUNT, UP, 0 * UP + 0.1, UP / 1e3), BOTH[:1]),
        (table("Pulse,Experiment,Fit", COUNT, UP, UP + 1), BOTH[:1]),
        (table("Pulse,Median,Lower quartile,Upper quartile", COUNT, UP, UP - 1, UP + 1),
         BOTH[:1]),
        (table("Pulse,I_G (nA),G_SD (nS)", COUNT, 0 * UP + 5, UP), BOTH[:1]),  # source and drain
        (table("Pulse,Mean G (uS),SEM (uS),n", COUNT, UP, UP / 10, 0 * UP + 10), BOTH[:1]),
        (table("V (V),t (s),Mean G", [2] * 40 + [-2] * 40, np.arange(80) / 7, TRAIN), BOTH),
        (table("Pulse,Mean LTP,SD LTP,Mean LTD,SD LTD", COUNT, UP, UP / 9, DOWN, UP / 9), BOTH),
        (table("Pulse,Mean,Mean+SD,Mean-SD", COUNT, UP, UP + 1, UP - 1), BOTH[:1]),
        (table("Pulse,G+ (uS),G- (uS),W = G+ - G- (uS)", COUNT, UP, DOWN, UP - DOWN), BOTH),
        (table("Pulse,G raw,G average", COUNT, UP, UP + 1), BOTH[:1]),
        (table("V (V),G", [0] + [2] * 39 + [-2] * 40, TRAIN), BOTH),  # read before the first pulse
        (table("V (V),G", [2] * 39 + [-2] * 40 + [""], TRAIN), BOTH),  # the next pulse beside each
        (table("Pulse,LTP I (nA),LTD I (nA)", COUNT, -UP, -DOWN), BOTH),
        (table("Pulse,DB1 (nS)", COUNT, UP), BOTH[:1]),
        ("Potentiation,,Depression,\n" + table("Pulse,G (nS),Pulse,G (nS)", *[COUNT, UP] * 2),
         BOTH),
        (table("#\tIds (A)", COUNT, UP, separator="\t"), BOTH[:1]),
        (table("Pulse,G_avg,G_dev,G_LTD_avg,G_LTD_dev", COUNT, UP, UP / 9, DOWN, UP / 9), BOTH),
        (table("Puls,Mittelwert (nS),Abweichung (nS)", COUNT, UP, UP / 9), BOTH[:1]),
        (table("Pulse,Vxy (uV),Phase (deg)", COUNT, UP, np.where(COUNT > 20, 0, 180)), BOTH[:1]),
        (table("Pulse,G_LTP,G_LTD n=5", COUNT, UP, DOWN), BOTH),
        ('"Pulse\nnumber","G\n(µS)"\n' + table(None, [*COUNT, *COUNT], TRAIN), BOTH),
        (table("Pulse number (1 s each),G", COUNT, UP), BOTH[:1]),
        ("# LTP, 2 V\n" + table("n,G", COUNT, UP) + "# LTD, 3 V\n" + table(None, COUNT, DOWN),
         BOTH),
        ("A,B,C\n" + table("Pulse,LTP,LTD", COUNT, UP, DOWN), BOTH),
        *((table(f"Pulse,{name}", COUNT, UP), BOTH[:1])
          for name in ("Hc (Oe)", "H_k (kOe)", "H_EB (mT)", "Mr/Ms")),
        (table("Pulse,H (Oe),I (A),µ0Hc (mT)", COUNT, 0 * UP + 9, 0 * UP + 1, UP), BOTH[:1]),
        (table("V (V),M/Ms", [2] * 40 + [-2] * 40, TRAIN), BOTH),
        (table("V (V),Kerr rotation (mdeg)", [2] * 40 + [-2] * 40, TRAIN), BOTH),
        (table("Pulse,Ion (A),Coercive field (Oe)", COUNT, DOWN, UP), BOTH[:1]),
        (table("Pulse,Hc (Oe),Rxy (Ohm)", COUNT, DOWN, UP), BOTH[:1]),
        (table("Pulse,Vth (V),Id (A)", COUNT, DOWN, UP), BOTH[:1]),
    ],
)  # fmt: skip
def test_other_files_that_are_read_right(text, expected, reads):
    measurement = reads(text)
    assert {ramp.device for ramp in measurement.ramps} == {"1"}
    for ramp, (branch, *ends) in zip(measurement.ramps, expected, strict=True):
        assert ramp.branch == branch
        read_ends = [*ramp.pulses[[0, -1]], *ramp.values[[0, -1]]]
        assert read_ends == pytest.approx(ends, rel=1e-4)


@pytest.mark.parametrize(
    ("head", "columns", "devices"),
    [
        ("Device A,,Device B,\nPulse,G,Pulse,G", [COUNT, UP] * 2, ["Device A", "Device B"]),
        ("device,D1,D2\nPulse,LTP,LTP", [COUNT, UP, UP], ["D1", "D2"]),
        ("device,A,B\nPulse,LTP,LTP", [COUNT, UP, UP], ["device A", "device B"]),
        ("Pulse,Chip 1,,Chip 2\n,Dev a,Dev b,Dev a", [COUNT, UP, UP, UP],
         ["Chip 1 Dev a", "Chip 1 Dev b", "Chip 2 Dev a"]),
    ],
)  # fmt: skip
def test_groups_of_columns_name_their_devices(head, columns, devices, reads):
    ramps = ramps_in_words(reads(table(head, *columns)))
    assert ramps == ", ".join(f"{device}.1 rising" for device in devices)


def test_groups_that_are_made_of_the_devices_are_left_out(reads):
    noise = np.random.default_rng(0).normal(size=40)
    text = "Device 1,,Device 2,,Average,,SD,\n" + table(
        "Pulse,LTP,LTD,LTP,LTD,LTP,LTD,LTP,LTD",
        *(COUNT, UP, DOWN, UP + 5, DOWN + 5, UP + 2, DOWN + 2, 2 + noise, 2 + noise),
    )
    measurement = reads("," + text)
    pairs = (PAIR.replace("1.1", f"Device {number}.1") for number in (1, 2))
    assert ramps_in_words(measurement) == ", ".join(pairs)


def test_copies_of_noisy_ramps_and_of_lines_are_used_once(reads):
    noisy = UP + np.random.default_rng(0).normal(size=40)
    measurement = reads(table("Pulse,G", [*COUNT, *COUNT], [*noisy, *noisy]))
    assert len(measurement.ramps) == 1
    assert "a copy of column 2 (G), lines 2 to 41" in measurement.left_out[0]
    measurement = reads(table("Pulse,G", np.repeat(COUNT, 2), np.repeat(noisy, 2)))
    assert measurement.repeated_read_noise is None  # not 0, which two equal readings would give


def test_columns_that_the_user_calls_cycles_may_differ(reads):
    text = table("Pulse,0.8 V,1.0 V", COUNT, UP, 4 * UP)
    assert len(reads(text, devices="one").ramps) == 2


@pytest.mark.parametrize(("place", "lost"), [(0, False), (-1, False), (0, True)])
def test_an_end_that_makes_the_range_larger_is_kept_unless_it_was_lost(place, lost, reads):
    """It may be a first pulse that does more; 0 is what an instrument writes for no reading."""
    values = UP + 0.2 * np.random.default_rng(0).normal(size=40)
    values[place] = 0 if lost else values[place] + (15 if place else -7)
    fit = fit_device(reads(table("Pulse,G", COUNT, values)))
    (sentence,) = fit.measurement.left_out if lost else fit.far_off
    assert ("a reading of 0, far from" if lost else "is kept, since the") in sentence
    assert len(fit.measurement.ramps[0].values) == 40 - lost
