"""Devices that somebody measured are read and fitted; a variable names the folder."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.curves import ramps_in_words, table

from utils.measured.branch_fit import quality
from utils.measured.device_fit import fit_device
from utils.measured.model_units import device_file, response_of
from utils.measured.options import ReadingOptions
from utils.measured.reading import read


@pytest.fixture(scope="module")
def real():
    folder = os.environ.get("MAGNETOIONIC_DEVICES")
    if not folder:
        pytest.skip("MAGNETOIONIC_DEVICES names no folder with measured devices")
    return cache(lambda name: read(Path(folder) / name))


@pytest.mark.parametrize(
    ("name", "ramps", "shortest", "longest", "branch", "first", "last"),
    [
        ("crosssim-set.csv", 39, 185, 192, "rising", 0.000160588, 0.000245133),
        ("crosssim-reset.csv", 40, 149, 153, "falling", 0.000245103, 0.000160568),
    ],
)
def test_ramps_of_one_real_device(real, name, ramps, shortest, longest, branch, first, last):
    measurement = real(name)
    expected = ", ".join(f"1.{cycle + 1} {branch}" for cycle in range(ramps))
    assert ramps_in_words(measurement) == expected
    lengths = [len(ramp.values) for ramp in measurement.ramps]
    assert (min(lengths), max(lengths)) == (shortest, longest)
    assert measurement.ramps[0].values[[0, -1]].tolist() == [first, last]
    assert measurement.left_out == ()
    assert measurement.layout.startswith(
        f"1 device × {ramps} {branch} ramps × {shortest} to {longest} readings"
    )


def test_both_directions_of_a_noisy_real_device(real):
    up, down = real("reram-gong.csv").ramps
    assert (up.branch, down.branch) == ("rising", "falling")
    assert up.values[[0, -1]].tolist() == [-0.84444, 1.0667]
    assert down.values[[0, -1]].tolist() == [0.76667, -1.3556]
    assert len(up.values) == len(down.values) == 1000


def test_real_noisy_ramps_below_each_other_are_found(real, tmp_path):
    """Up and down four times in one column: turns within noise, and no others."""
    up, down = (ramp.values for ramp in real("reram-gong.csv").ramps)
    path = tmp_path / "turns.csv"
    path.write_text(table(None, map(repr, np.concatenate([up, down] * 4).tolist())))
    measurement = read(path, ReadingOptions(split="turns"))
    assert [ramp.branch for ramp in measurement.ramps] == ["rising", "falling"] * 4
    for ramp in measurement.ramps:
        assert len(ramp.values) == pytest.approx(1000, abs=160)


@pytest.mark.parametrize(("name", "nl"), [("crosssim-set", -1.43), ("crosssim-reset", -0.24)])
def test_real_curves_that_no_family_fits_become_tables(name, nl, real):
    fitted = fit_device(real(f"{name}.csv"))
    (branch,) = fitted.branches.values()
    assert branch.family == "table"
    assert branch.why.startswith("neither linear nor exponential fits")
    assert fitted.neurosim_of(branch).value == pytest.approx(nl, abs=0.2)
    assert quality(branch.data, branch.fits["exponential"]).lag_1 > 0.95
    for noise in (fitted.read_noise, fitted.write_noise):
        assert noise.value == pytest.approx(0.0004, abs=0.00015)
        assert noise.error < 0.1 * noise.value
    response = response_of(branch)
    response.check()
    assert (response.w_max, response.w_min) == pytest.approx((2.742, 2.175))


def test_both_real_branches_with_much_noise_find_their_families(real):
    fitted = fit_device(real("reram-gong.csv"))
    up, down = fitted.rising, fitted.falling
    assert (up.family, down.family) == ("linear", "exponential")
    assert fitted.neurosim_of(up).value == pytest.approx(0.07, abs=0.1)
    assert fitted.neurosim_of(down).value == pytest.approx(-3.1, abs=0.2)
    device = device_file(fitted, "d", None)
    assert device.units.slope > 0
    assert device.falling.range.value == pytest.approx(1.85, abs=0.15)
    assert device.rising.range.value == pytest.approx(2.0, abs=0.15)
    assert fitted.read_noise.value == pytest.approx(0.055, abs=0.01)
    assert fitted.write_noise.value == pytest.approx(0.03, abs=0.005)
    for branch in (up, down):
        assert branch.memory is not None  # its write noise does not add up over the ramp
        assert branch.memory * 999 < 50
