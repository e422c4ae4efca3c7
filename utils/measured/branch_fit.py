"""From the ramps of one branch to its curve: every family is fitted, and one is taken.

1. An exponential is fitted without any noise model, for a first nonlinearity.
2. Read and write noise are estimated from what smooth curves leave of the ramps (`noise`).
3. Lines and exponentials are fitted to every ramp alone, and their residuals are tested
   (`lack_of_fit`); the noises are estimated again from the residuals of a family that passes.
4. Every family is fitted to all ramps together (`mean_device`, `table`), with the same noises, so
   that families are compared by their curves alone. AICc decides between those that pass.

`BranchData` goes in; `BranchFit` comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from devices.measured_branch import NOT_MEASURED, Estimate
from utils.errors import UserError
from utils.measured import lack_of_fit, mean_device, noise, table
from utils.measured.branch import BranchData
from utils.measured.families import RampFits, fit_each_ramp, fit_shapes, whitened
from utils.measured.lack_of_fit import LackOfFit
from utils.measured.mean_device import EQUAL, MeanDevice
from utils.measured.noise import NoiseEstimate
from utils.measured.whitening import FLOOR, Noise

EQUATIONS = ("linear", "exponential")
FAMILIES = (*EQUATIONS, "table")
STRAIGHT = 0.01  # |ν| below which an exponential is a straight line in float32

Level = TypeVar("Level", float, np.ndarray)


@dataclass(frozen=True, eq=False)
class BranchFit:
    """All results for a branch.

    noise: on the scale of `data`. memory: how long write noise lasts, as a fraction of pulses_max;
    None unless the data show that it fades sooner than on this curve. alone: exponentials, of which
    no two ramps share a parameter. nearest: ν of the exponential that is nearest to all readings.
    fits, tests: by family; a table has no test. apart: the exponential whose devices differ in
    slope and in range, None where these cannot be told apart. best: the family that the data
    choose. family: the family that was taken. why: the reason of the choice, in words.
    """

    data: BranchData
    noise: NoiseEstimate
    memory: float | None
    alone: RampFits
    nearest: float
    fits: dict[str, MeanDevice]
    tests: dict[str, LackOfFit]
    apart: MeanDevice | None
    best: str
    family: str
    why: str

    @property
    def taken(self) -> MeanDevice:
        return self.fits[self.family]

    @property
    def read_noise(self) -> Estimate:
        """In the unit of the measurement."""
        return estimate(self.noise.noise.read, self.noise.read_error, abs(self.data.step))

    @property
    def write_noise(self) -> Estimate:
        """As a fraction of the range per square root of a pulse."""
        unit = 1 / self.taken.range / np.sqrt(self.data.pulses_max)
        return estimate(self.noise.noise.write, self.noise.write_error, float(unit))

    @property
    def start(self) -> float:
        """The mean device before the first pulse, on the scale of `data`."""
        return float(self.taken.start.mean())

    def measured(self, level: Level) -> Level:
        """From a level to the unit of the measurement."""
        return self.data.first + self.data.step * level

    @property
    def ends(self) -> tuple[float, float]:
        """Before the first pulse and after the last one, in the unit of the measurement."""
        return self.measured(self.start), self.measured(self.start + self.taken.range)

    @property
    def range(self) -> float:
        """In the unit of the measurement; positive where fit and data have the same direction."""
        return abs(self.data.step) * self.taken.range


def estimate(noise: float, error: float | None, unit: float) -> Estimate:
    """A noise, times a unit, as an estimate; it is 0 where it is not above rounding."""
    if error is None:
        return NOT_MEASURED
    return Estimate(unit * noise if noise > 10 * FLOOR else 0.0, unit * error)


@dataclass(frozen=True)
class Quality:
    """How well a family fits.

    r_squared: R² of all ramps. of_mean: R² of the mean over ramps. rms: of the residuals, as a
    fraction of the range. lag_1: autocorrelation of residuals that are not whitened, so write noise
    makes it large even for the true family.
    """

    r_squared: float
    of_mean: float
    rms: float
    lag_1: float


def quality(data: BranchData, fit: MeanDevice) -> Quality:
    """The quality of a fit, each ramp with its fitted start."""
    sums = np.zeros(5)
    for group, residual in zip(data.groups, fit.residual, strict=True):
        n, ramps = residual.shape
        sums += (
            (residual**2).sum(),
            (residual[1:] * residual[:-1]).sum(),
            n * group.level.var(axis=0).sum(),
            ramps * (residual.mean(axis=1) ** 2).sum(),
            ramps * n * group.level.mean(axis=1).var(),
        )
    square, product, spread, square_of_mean, spread_of_mean = sums.tolist()
    rms = float(np.sqrt(square / data.n_readings) / fit.range)
    lag_1 = product / square if square else 0.0
    return Quality(1 - square / spread, 1 - square_of_mean / spread_of_mean, rms, lag_1)


def changes(branch: BranchFit) -> tuple[np.ndarray, np.ndarray]:
    """Values and changes per pulse of all steps of all ramps, in the unit of the measurement.

    A value is that of the fit, not the reading: after a reading that noise has raised, the next one
    is lower on average, so steps sorted by readings would be biased.
    """
    data, rows = branch.data, []
    for group in data.groups:
        in_range = group.time <= 1 + 1e-9  # a table ends there
        time = group.time[in_range]
        level = branch.start + branch.taken.level(time)
        middle = np.round((level[1:] + level[:-1]) / 2, 12)[:, None]
        step = np.diff(group.level[in_range], axis=0) / (np.diff(time)[:, None] * data.pulses_max)
        rows.append(np.stack(np.broadcast_arrays(middle, step)).reshape(2, -1))
    level, step = np.concatenate(rows, axis=1)
    return branch.measured(level), abs(data.step) * step


def fit_branch(data: BranchData, file: str, family: str | None) -> BranchFit:
    """Fit all families; `family` names the one to take, else the data decide.

    Raises UserError where an exponential is wanted of a straight line.
    """
    ramps = np.arange(data.n_ramps)
    (nearest,), _ = fit_shapes(whitened(data, Noise(1.0, 0.0, 0.0)), ramps, 0 * ramps)
    first = float(np.clip(nearest, -10, 30))
    forgetting = noise.find_forgetting(data, first)
    estimate = noise.estimate_noise(noise.smooth_parts(data, first), forgetting)
    groups = whitened(data, estimate.weights)
    alone, family_noise, tests = {}, {}, {}
    for name in EQUATIONS:
        straight = name == "linear"
        alone[name] = fit_each_ramp(data, groups, straight)
        parts = lack_of_fit.parts_of(data, alone[name], straight)
        family_noise[name] = noise.estimate_noise(parts, forgetting)
        tests[name] = lack_of_fit.lack_of_fit(parts, family_noise[name].weights)
    # The noises are those of the most general family that passes, which determines slow deviations
    # better than a smooth basis does.
    passed = [name for name in ("exponential", "linear") if tests[name].passed]
    if passed:
        estimate = family_noise[passed[0]]
    elif data.n_ramps >= lack_of_fit.MIN_RAMPS:
        # The curve need not be smooth, so the noises are those about the mean of the ramps.
        parts = table.parts_of(data, table.fit_table(data, groups))
        estimate = noise.estimate_noise(parts, forgetting)
    groups = whitened(data, estimate.weights)
    exponentials = mean_device.fit_exponentials(data, groups)
    fits = {
        "linear": mean_device.fit_linear(data, groups),
        "exponential": mean_device.best_of(exponentials),
        "table": table.fit_table(data, groups),
    }
    best, why = choose(fits, tests)
    taken = family or best
    if taken != best:
        why = f"asked for by --family; the data would choose {best}: {why}"
    if taken == "exponential" and abs(fits[taken].nonlinearity) < STRAIGHT:
        raise UserError(
            f"{file}: its {data.ramps[0].branch} branch is a straight line (ν = "
            f"{fits[taken].nonlinearity:.2g}), which no exponential describes; use --family linear"
        )
    memory = 1 / (forgetting - first) if forgetting > max(first, 0.0) else None
    apart = next((fit for fit in exponentials if fit.variation.varies == "both"), None)
    return BranchFit(
        data,
        estimate,
        memory,
        alone["exponential"],
        float(nearest),
        fits,
        tests,
        apart,
        best,
        taken,
        why,
    )


def choose(fits: dict[str, MeanDevice], tests: dict[str, LackOfFit]) -> tuple[str, str]:
    """The family that the data choose, and why."""
    passed = [name for name in EQUATIONS if tests[name].passed]
    if not passed:
        return "table", "neither linear nor exponential fits: their residuals are not random"
    if len(passed) == 1:
        (best,) = passed
        other = next(name for name in EQUATIONS if name != best)
        return best, f"its residuals are random, and those of {other} are not"
    gain = fits["linear"].aicc - fits["exponential"].aicc
    best = "exponential" if gain > EQUAL else "linear"
    why = f"linear and exponential fit; the AICc of {best} is smaller by {abs(gain):.1f}"
    if abs(gain) <= EQUAL or not np.isfinite(gain):
        why = "linear and exponential fit equally well (AICc within 2); linear is the simpler"
    return best, why
