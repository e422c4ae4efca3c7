"""Files that were once read as something else: roles by odd names, groups of columns, summaries."""

import numpy as np
import pytest

from utils.errors import UserError
from utils.measured.device_fit import fit_device
from utils.measured.options import ReadingOptions
from utils.measured.reading import read

PULSES = np.arange(41)
UP = 10 + 50 * (1 - np.exp(-3 * PULSES / 40)) / (1 - np.exp(-3))
DOWN = 70 - UP


def table(head: str, *columns) -> str:
    """The text of a table; columns of numbers or of words."""
    rows = zip(*columns, strict=True)
    cells = (",".join(f"{cell:.4f}".rstrip("0").rstrip(".") for cell in row) for row in rows)
    return "\n".join([head, *cells]) + "\n"


def ramps(text: str, tmp_path, **how) -> list[tuple[str, float, float, float]]:
    """Branch, last pulse, first and last value of each ramp."""
    path = tmp_path / "trap.csv"
    path.write_text(text, encoding="utf-8")
    found = read(path, ReadingOptions(**how)).ramps
    return [(r.branch, r.pulses[-1], round(r.values[0]), round(r.values[-1])) for r in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (table("Pulse #,Program Id (nA),Erase Id (nA)", PULSES, DOWN, UP),
         [("falling", 40, 60, 10), ("rising", 40, 10, 60)]),
        (table("Pulse,Set 1 (uS),Set 2 (uS)", PULSES, DOWN, DOWN), [("falling", 40, 60, 10)] * 2),
        (table("Pulse,Mean G (uS),Std (uS)", PULSES, UP, UP / 10), [("rising", 40, 10, 60)]),
        (table("pulse,G (uS),stderr G (uS)", PULSES, UP, UP / 10), [("rising", 40, 10, 60)]),
        (table("n,V_R (V),I (uA)", PULSES, 0 * UP + 0.2, UP), [("rising", 40, 10, 60)]),
        (table("Pulse No.,V_G (V),I_D (A),I_G (A)", PULSES, 0 * UP + 2, UP, 0 * UP + 1),
         [("rising", 40, 10, 60)]),
        (table("Total pulses applied to gate,G (S)", 10 * PULSES, UP), [("rising", 400, 10, 60)]),
        (table("N,Id@Vg=-2V (uA),Id@Vg=+2V (uA)", PULSES, DOWN, UP),
         [("falling", 40, 60, 10), ("rising", 40, 10, 60)]),
        (table("Pulse number,Conductance (us)", PULSES, UP), [("rising", 40, 10, 60)]),
        (table("Pulse,Epoch 1 (nS)", PULSES, UP), [("rising", 40, 10, 60)]),
        (table("Pulse,DB1 (nS)", PULSES, UP), [("rising", 40, 10, 60)]),
        ("Potentiation,,Depression,\n" + table("Pulse,G (nS),Pulse,G (nS)", PULSES, UP, PULSES, UP),
         [("rising", 40, 10, 60), ("falling", 40, 60, 10)]),
    ],
)  # fmt: skip
def test_they_are_read_right(text, expected, tmp_path):
    assert ramps(text, tmp_path) == expected


def test_groups_of_columns_name_their_devices(tmp_path):
    path = tmp_path / "trap.csv"
    path.write_text("Device A,,Device B,\n" + table("Pulse,G,Pulse,G", PULSES, UP, PULSES, UP))
    assert [ramp.device for ramp in read(path).ramps] == ["Device A", "Device B"]


def zigzag() -> np.ndarray:
    return DOWN + 3 * (-1.0) ** PULSES + 0.1 * np.random.default_rng(0).normal(size=41)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (table("Normalized pulse number,G (uS)", PULSES / 40, UP), "fractions of pulses"),
        (table("Pulse,G (uS)", PULSES, UP) + "Mean,40\nMin,10\nMax,60\n", "line 43.*is missing"),
        (table("Pulse,0.8 V,1.0 V,1.2 V", PULSES, UP, 4 * UP, 9 * UP), "if these are devices"),
        (table("Pulse,G (uS)", PULSES, zigzag()), "go up and down from one to the next"),
        (table("pulse,dG (uS)", PULSES[:-1], np.diff(UP)), "the change by each pulse"),
        (table("pulse,ΔG (uS)", PULSES[:-1], np.diff(UP)), "the change by each pulse"),
        (table("pulse,log10(G/S)", PULSES, np.log10(UP)), "holds logarithms"),
        (table("Epoch,Train accuracy (%)", PULSES, UP), "the result of a training"),
        (table("G (uS),Cumulative probability (%)", np.sort(UP), 2 * PULSES), "a distribution"),
        (table("Cycle,HRS (kOhm),LRS (kOhm)", PULSES, 9 * UP, UP), "endurance"),
        (table("n,V_G pulse (V),I_D (nA)", PULSES, 0.5 + PULSES / 20, UP), "an amplitude stair"),
        ("Pulse;G (uS)\n" + "".join(f"{k};{g:.2f} ± 0.10\n" for k, g in enumerate(UP)),
         r"'10.00 ± 0.10' is not a number"),
        ("I (nA)\n" + "".join(f"{g + k / 1000:.3f}\n" for g in UP for k in range(10)),
         "--reads 10 averages"),
    ],
)  # fmt: skip
def test_they_are_refused_by_what_they_are(text, why, tmp_path):
    with pytest.raises(UserError, match=why):
        ramps(text, tmp_path)


def test_columns_that_the_user_calls_cycles_may_differ(tmp_path):
    text = table("Pulse,0.8 V,1.0 V", PULSES, UP, 4 * UP)
    assert len(ramps(text, tmp_path, devices="one")) == 2


@pytest.mark.parametrize(("place", "lost"), [(0, False), (-1, False), (0, True)])
def test_an_end_that_makes_the_range_larger_is_kept_unless_it_was_lost(place, lost, tmp_path):
    """It may be a first pulse that does more; 0 is what an instrument writes for no reading."""
    values = UP + 0.2 * np.random.default_rng(0).normal(size=41)
    values[place] = 0 if lost else values[place] + (15 if place else -7)
    path = tmp_path / "trap.csv"
    path.write_text(table("Pulse,G", PULSES, values))
    fit = fit_device(read(path))
    (sentence,) = fit.far_off
    assert ("is left out" if lost else "is kept, since the") in sentence
    assert len(fit.measurement.ramps[0].values) == 41 - lost
