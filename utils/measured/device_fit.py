"""A measured device: its branches on one common range, with spreads and noises.

The common range runs from the mean of the lower ends to the mean of the upper ends of the branches.
The slope factors of the devices are the means over the branches, weighted by the inverse of their
covariances. A `Measurement` goes in; `DeviceFit` comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from msgspec.structs import astuple
from threadpoolctl import ThreadpoolController

from devices.measured_branch import NOT_MEASURED, Estimate, SignedEstimate
from utils.errors import UserError
from utils.measured.branch import branch_data
from utils.measured.branch_fit import BranchFit, fit_branch
from utils.measured.curves import neurosim_label
from utils.measured.mean_device import MeanDevice, constants_covariance
from utils.measured.measurement import Measurement
from utils.measured.outliers import leave_out_single_readings
from utils.measured.spreads import pooled, spread, times
from utils.measured.table import MeanTable, table_errors


@dataclass(frozen=True, eq=False)
class DeviceFit:
    """All results for a measured device.

    measurement: without readings that are far off. far_off: a sentence for every such reading.
    falling, rising: None where there is no such branch. slopes: slope factors of the devices from
    all branches, [devices]. slopes_covariance: [devices, devices].
    """

    measurement: Measurement
    far_off: tuple[str, ...]
    falling: BranchFit | None
    rising: BranchFit | None
    slopes: np.ndarray
    slopes_covariance: np.ndarray

    @property
    def branches(self) -> dict[str, BranchFit]:
        both = {"falling": self.falling, "rising": self.rising}
        return {name: fit for name, fit in both.items() if fit is not None}

    @property
    def devices(self) -> tuple[str, ...]:
        return max((fit.data.devices for fit in self.branches.values()), key=len)

    # The range that both branches share

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end, the means of those of the branches, in the measured unit."""
        ends = np.array([sorted(fit.ends) for fit in self.branches.values()])
        low, high = ends.mean(0).tolist()
        return low, high

    @property
    def range(self) -> float:
        low, high = self.ends
        return high - low

    # What devices and cycles differ by

    @cached_property
    def variability(self) -> Estimate:
        """sigma_device: the relative standard deviation of the slope factors."""
        if len(self.slopes) < 2:
            return NOT_MEASURED
        if (self.slopes == 1).all():  # the fits that were taken have different ranges alone
            apart = [fit.apart for fit in self.branches.values() if fit.apart]
            spreads = [spread(fit.slopes, fit.slopes_covariance) for fit in apart]
            return min(spreads, key=lambda estimate: estimate.error or 0.0, default=NOT_MEASURED)
        return spread(self.slopes, self.slopes_covariance)

    @cached_property
    def range_spread(self) -> Estimate:
        """The relative standard deviation of the ranges, where slopes are told apart from them."""
        fits = [
            fit.apart if fit.taken.variation.varies == "slopes" else fit.taken
            for fit in self.branches.values()
            if fit.family == "exponential" and len(fit.data.devices) > 1
        ]
        return pooled(spread(fit.sizes, fit.sizes_covariance) for fit in fits if fit)

    @property
    def read_noise(self) -> Estimate:
        """As a fraction of the common range; from repeated readings where there are any."""
        direct = self.measurement.repeated_read_noise
        if direct is not None:
            n = sum(len(ramp.values) for ramp in self.measurement.ramps)
            spare = max(n * (self.measurement.reads - 1), 1)
            noise = Estimate(direct, float(direct / np.sqrt(2 * spare)))
        else:
            noise = pooled(fit.read_noise for fit in self.branches.values())
        return self.as_fraction(times(noise, 1 / self.range))

    @property
    def write_noise(self) -> Estimate:
        """As a fraction of the range per square root of a pulse."""
        return self.as_fraction(pooled(fit.write_noise for fit in self.branches.values()))

    def as_fraction(self, estimate: Estimate) -> Estimate:
        """A fraction of the range, with the error of the range added to its error."""
        if not estimate.value or estimate.error is None:
            return estimate
        ranges = [astuple(self.range_of(fit)) for fit in self.branches.values()]
        range_error = np.mean([error / size for size, error in ranges]) * estimate.value
        return Estimate(float(estimate.value), float(np.hypot(estimate.error, range_error)))

    # Of one branch

    def covariance(self, fitted: MeanDevice) -> np.ndarray:
        """The covariance of (range, ν, start) of the mean device, on the scale of `BranchData`."""
        spreads = self.variability.value or 0.0, self.range_spread.value or 0.0
        return constants_covariance(fitted, *spreads)

    def point_errors(self, fit: BranchFit) -> np.ndarray:
        """Standard errors of the points of a table, on the scale of `BranchData`, [points]."""
        if not isinstance(fit.taken, MeanTable):
            raise TypeError(f"{fit.family} has no points")
        return table_errors(fit.data, fit.taken, fit.noise.weights, self.variability.value or 0.0)

    def range_of(self, fit: BranchFit) -> Estimate:
        """The range of a branch in the unit of the measurement."""
        if fit.family == "table":
            error = self.point_errors(fit)[-1]
        else:
            error = np.sqrt(self.covariance(fit.taken)[0, 0])
        return Estimate(fit.range, float(error) * abs(fit.data.step))

    def nonlinearity_of(self, fit: BranchFit) -> SignedEstimate:
        """ν of the exponential, whichever family was taken.

        Where the exponential does not pass its test, it is ν of the nearest exponential.
        """
        exponential = fit.fits["exponential"]
        error = float(np.sqrt(self.covariance(exponential)[1, 1]))
        if fit.tests["exponential"].passed:
            return SignedEstimate(exponential.nonlinearity, error)
        error = max(error, abs(fit.nearest - exponential.nonlinearity))
        return SignedEstimate(fit.nearest, error)

    def neurosim_of(self, fit: BranchFit) -> SignedEstimate:
        """NeuroSim's label of a branch, with its error by a central difference."""
        nu, nu_error = astuple(self.nonlinearity_of(fit))
        width, falling = 1e-4, not fit.data.is_rising
        low, high = (neurosim_label(nu + change, falling) for change in (-width, width))
        error = abs(high - low) / (2 * width) * nu_error
        return SignedEstimate(neurosim_label(nu, falling), error)

    @property
    def asymmetry(self) -> Estimate:
        """|ν of the rising branch - ν of the falling one|, of a device with both."""
        nus = [astuple(self.nonlinearity_of(fit)) for fit in self.branches.values()]
        (down, down_error), (up, up_error) = nus
        return Estimate(abs(up - down), float(np.hypot(up_error, down_error)))


def fit_device(measurement: Measurement, family: str | None = None) -> DeviceFit:
    """Fit the branches of a measurement; `family` names the one to take, else the data decide.

    Raises UserError where ramps do not run as their branch says, and where an exponential is wanted
    of a straight line.
    """
    # The matrices are small, so that several threads would wait for each other most of the time.
    with thread_pools().limit(limits=1, user_api="blas"):
        measurement, far_off = leave_out_single_readings(measurement)
        is_train = any(ramp.before is not None for ramp in measurement.ramps)
        fits: dict[str, BranchFit] = {}
        for name in ("falling", "rising"):
            ramps = [ramp for ramp in measurement.ramps if ramp.branch == name]
            if ramps:
                data = branch_data(ramps, measurement.file, is_train)
                fits[name] = fit_branch(data, measurement.file, family)
        if not fits:
            raise UserError(f"{measurement.file}: there is no ramp in it")
        slopes, covariance = shared_slopes(list(fits.values()))
        both = fits.get("falling"), fits.get("rising")
        return DeviceFit(measurement, tuple(far_off), *both, slopes, covariance)


@cache  # since finding the pools takes as long as the fit of a short ramp
def thread_pools() -> ThreadpoolController:
    """The thread pools of the linear algebra libraries."""
    return ThreadpoolController()


def shared_slopes(fits: Sequence[BranchFit]) -> tuple[np.ndarray, np.ndarray]:
    """The slope factors of the devices, [devices], and their covariance, from all branches.

    They are means weighted by the inverse covariances. Since the branches share no other parameter,
    this is about as good as a joint fit: for 12 simulated devices with 1 % read noise, the error of
    the factors was 0.0109 (joint fit: 0.0103), and the two results differed by 0.0028.

    Branches that were measured on different devices are not averaged; the branch with more devices
    is then taken.
    """
    fits = sorted(fits, key=lambda fit: -len(fit.data.devices))
    fits = [fit for fit in fits if fit.data.devices == fits[0].data.devices]
    covariances = [fit.taken.slopes_covariance for fit in fits]
    if len(fits) == 1:
        return fits[0].taken.slopes, covariances[0]
    weights = [np.linalg.pinv(matrix, rcond=1e-9, hermitian=True) for matrix in covariances]
    covariance = np.linalg.pinv(sum(weights), rcond=1e-9, hermitian=True)
    weighted = sum(w @ (fit.taken.slopes - 1) for w, fit in zip(weights, fits, strict=True))
    return 1 + covariance @ weighted, covariance
