"""The fits of small files as labs write them, made by simulation, against what was simulated."""

from dataclasses import dataclass

import pytest
from conftest import PROJECT

from utils.measured.device_fit import fit_device
from utils.measured.options import ReadingOptions
from utils.measured.reading import read
from utils.measured.sanity import sane_device_file

CASES = PROJECT / "tests" / "cases"


@dataclass(frozen=True)
class Truth:
    """Range and ν of a branch, and how far they may be off."""

    branch: str
    range: float
    range_limit: float
    nonlinearity: float
    nonlinearity_limit: float


TRUTHS = {
    "01-times-per-branch.tsv": [
        # Simulated over irregular times, while the curve counts readings: rough agreement.
        Truth("rising", 3.0e-7, 0.2e-7, 2.4, 1.0),
        Truth("falling", 1.55e-7, 0.2e-7, 2.2, 1.5),
    ],
    "02-step-header.csv": [Truth("rising", 60, 1, 3.0, 0.3)],
    "03-pulse-column-per-branch.tsv": [
        Truth("rising", 7.7e-6, 0.2e-6, 1.8, 0.2),
        Truth("falling", 7.6e-6, 0.2e-6, 5.0, 0.3),
    ],
    "04-accelerating-potentiation.csv": [Truth("rising", 8.0, 0.3, -6.0, 0.5)],
    "05-accelerating-3-ramps.csv": [Truth("falling", 1.0, 0.03, -6.0, 0.3)],
    "10-names-in-brackets.csv": [Truth("rising", 3.0e-5, 0.1e-5, 2.0, 0.2)],
    "11-countdown-pulses.tsv": [Truth("falling", 19, 0.3, 5.0, 0.3)],
    "13-one-lost-reading.csv": [Truth("falling", 1060, 20, 4.5, 0.3)],
    "14-repeated-reads.csv": [Truth("falling", 1060, 20, 4.5, 0.3)],
    "17-spread-of-ranges.csv": [Truth("falling", 46.5, 1, 3.0, 0.1)],
    "18-turns-of-saturated-cycles.csv": [
        Truth("rising", 40, 0.3, 3.0, 0.06),
        Truth("falling", 40, 0.3, 5.0, 0.08),
    ],
}


def fitted(name: str):
    how = dict(split="turns") if name.startswith("18") else {}
    return fit_device(read(CASES / name, ReadingOptions(**how)))


@pytest.mark.parametrize("name", TRUTHS)
def test_what_was_simulated_comes_out(name):
    fit = fitted(name)
    assert set(fit.branches) == {truth.branch for truth in TRUTHS[name]}
    for truth in TRUTHS[name]:
        branch = fit.branches[truth.branch]
        assert branch.family == "exponential"
        assert branch.range == pytest.approx(truth.range, abs=truth.range_limit)
        nu = fit.nonlinearity_of(branch).value
        assert nu == pytest.approx(truth.nonlinearity, abs=truth.nonlinearity_limit)
    assert sane_device_file(fit, "d", None).response


def test_noises_and_spreads_of_the_files():
    lost = fitted("13-one-lost-reading.csv")
    assert lost.read_noise.value == pytest.approx(0.006, abs=0.001)
    (sentence,) = lost.far_off
    assert sentence.startswith("line 14: the reading 0 after pulse 12")
    repeated = fitted("14-repeated-reads.csv")
    assert repeated.read_noise.value * repeated.range == pytest.approx(4, abs=0.5)  # nS
    spread = fitted("17-spread-of-ranges.csv")
    assert spread.range_spread.value == pytest.approx(0.19, abs=0.02)
    assert spread.variability.value == pytest.approx(0, abs=0.01)
