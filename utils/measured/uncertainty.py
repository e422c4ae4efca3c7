"""Standard errors of the mean device: of its constants, and of the points of its table."""

from __future__ import annotations

import numpy as np

from utils.measured import families
from utils.measured.lack_of_fit import ENOUGH
from utils.measured.pooled import Pooled
from utils.measured.scaled import Scaled
from utils.measured.table import Table
from utils.measured.variability import variability
from utils.measured.whitening import Noise

WIDTH = 0.05  # of the range of pulses, over which the slope of a table is taken


def covariance(one: Pooled) -> np.ndarray:
    """Of (range, ν, start) of the mean device: the fit's, and that of drawing these devices.

    Another set of devices would have another mean slope, which stretches the pulses of the mean
    device. Where the ramps scatter more than their noises tell, errors are larger by as much.
    """
    n = len(one.slopes)
    total = np.zeros((3, 3))
    by = one.start_by
    full = one.covariance * one.scatter**2
    total[:2, :2] = full[:2, :2]
    total[2, :2] = total[:2, 2] = (by @ full)[:2]
    total[2, 2] = by @ full @ by + (one.start_error * one.scatter) ** 2
    if len(one.start) > 1:  # ramps that start at different values
        total[2, 2] = max(total[2, 2], float(one.start.var(ddof=1)) / len(one.start))
    sigma = variability(one).value
    if sigma is not None:
        end = float(families.by_time(np.array(1.0), one.nonlinearity))
        stretch = np.array([one.range * end, one.nonlinearity, 0.0])
        total += sigma**2 / n * np.outer(stretch, stretch)
    return total


def table_errors(scaled: Scaled, one: Pooled, table: Table, law: Noise) -> np.ndarray:
    """Standard errors of the points of the table relative to its first; of that, of the mean start.

    They hold the scatter of the ramps about the table (where there are too few ramps, that which
    their noises make), and the drawing of these devices, which stretches the pulses. On the scale
    of `scaled`, [points].
    """
    time, ramps = table.time, scaled.n_ramps
    if ramps >= ENOUGH:
        away = [  # from the table, relative to its first point, [ramps][points]
            np.interp(time, group.time, residual - residual[0])
            for group, residuals in zip(scaled.groups, one.residual, strict=True)
            for residual in residuals.T
        ]
        variance = np.var(away, axis=0, ddof=1) / ramps
        variance[0] = law.read**2 / ramps
    else:
        variance = (2 * law.read**2 + law.write**2 * time) / ramps * one.scatter**2
        variance[0] /= 2
    sigma = variability(one).value or 0.0
    low, high = np.maximum(time - WIDTH, 0.0), np.minimum(time + WIDTH, 1.0)
    slope = (table.at(high) - table.at(low)) / (high - low)
    return np.sqrt(variance + sigma**2 / len(one.slopes) * (time * slope) ** 2)
