"""What the numbers of a column look like, whatever its name says: a counter, a drive."""

from __future__ import annotations

import numpy as np

STEADY = 0.05  # spread of a drive that does not move, of its size
ALIKE = 3.0  # factor between the ranges of columns that may hold the same quantity


def known(numbers: np.ndarray) -> np.ndarray:
    return numbers[~np.isnan(numbers)]


def are_integers(numbers: np.ndarray) -> bool:
    return bool(len(numbers) and (numbers == np.floor(numbers)).all())


def is_counter(numbers: np.ndarray) -> bool:
    """Whether numbers run 0, 1, 2 … or 1, 2, 3 …, or down to 0 or 1, again and again, each perhaps
    several times in a row; a few may lack."""
    x = known(numbers)
    if len(x) < 3 or not are_integers(x) or x.min() not in (0, 1) or len(np.unique(x)) < 3:
        return False
    if x[0] not in (0, 1) and x[-1] not in (0, 1):
        return False
    steps = np.diff(x)
    steps = steps[steps != 0]
    restarts = (steps < -1) & np.isin(x[1:][np.diff(x) != 0], (0, 1))
    return float((np.abs(steps) == 1).sum()) >= 0.8 * max(1, (~restarts).sum())


def is_constant(numbers: np.ndarray) -> bool:
    x = known(numbers)
    return bool(len(x) and np.ptp(x) <= 1e-9 * np.abs(x).max())


def rises(numbers: np.ndarray) -> bool:
    """Whether every number is larger than the one before."""
    return len(numbers) > 1 and bool((np.diff(known(numbers)) > 0).all())


def runs_on(numbers: np.ndarray) -> bool:
    """Whether most numbers go on in the way of the one before, as those of a sweep do."""
    steps = np.diff(known(numbers))
    return len(steps) > 6 and float((steps[1:] * steps[:-1] > 0).mean()) >= 0.8


def is_smooth(numbers: np.ndarray) -> bool:
    """Whether numbers change little from one to the next, beside all that they change by."""
    x = known(numbers)
    if len(x) < 3 or not np.isfinite(x).all():
        return False
    return float(np.mean(np.diff(x) ** 2)) < 0.5 * float(np.var(x))


def are_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns may hold readings of the same quantity: about as many numbers, of a
    range alike to a factor, that run smoothly and meet."""
    a, b = known(one), known(other)
    if not 0.8 <= len(a) / len(b) <= 1.25 or not (is_smooth(a) and is_smooth(b)):
        return False
    meet = min(a.max(), b.max()) > max(a.min(), b.min())
    return bool(meet and 1 / ALIKE < np.ptp(a) / np.ptp(b) < ALIKE)


def moves(numbers: np.ndarray) -> bool:
    """Whether a drive has other values than one, or one for either polarity."""
    x = known(numbers)
    sides = (x[x > 0], x[x < 0])
    return any(len(x) and np.ptp(x) > STEADY * np.abs(x).max() for x in sides)


def alternates(numbers: np.ndarray) -> bool:
    """Whether a drive changes between two values from line to line."""
    x = known(numbers)
    return len(np.unique(x)) == 2 and float((np.diff(x) != 0).mean()) > 0.9


def changes(numbers: np.ndarray) -> list[int]:
    """Indices at which a drive that is steady in between has another value.

    The reading before the first pulse may have none. Where the last one has none, the drive of the
    next pulse is written beside each reading.
    """
    x = np.where(np.isnan(numbers), 0, numbers)
    if len(x) > 2 and x[-1] == 0 != x[0]:
        x = np.concatenate([x[:1], x[:-1]])
    elif len(x) > 2 and x[0] == 0:
        x[0] = x[1]
    return (np.flatnonzero(np.abs(np.diff(x)) > STEADY * np.abs(x).max()) + 1).tolist()


def is_setpoint(numbers: np.ndarray) -> bool:
    """Whether numbers go in equal steps, up or down, on a grid that holds 0, as drives, times and
    counters do and readings do not."""
    x = known(numbers)
    if len(x) < 5:
        return False
    steps = np.abs(np.diff(x))
    step = float(np.median(steps))
    if step == 0:
        return False
    rounding = 10.0 ** (np.floor(np.log10(np.abs(x).max())) - 3)  # four digits, or more
    near = min(0.1 * step, rounding)
    off_grid = np.abs(x / step - np.round(x / step)) * step
    return bool((np.abs(steps - step) <= near).mean() > 0.95 and (off_grid <= 2 * near).all())


def cross_zero_together(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns change their signs in the same lines, as voltage and current do."""
    there = ~(np.isnan(one) | np.isnan(other)) & (one != 0) & (other != 0)
    a, b = one[there] > 0, other[there] > 0
    if len(a) < 8 or min(a.mean(), 1 - a.mean(), b.mean(), 1 - b.mean()) < 0.1:
        return False
    return float((a == b).mean()) > 0.95 or float((a != b).mean()) > 0.95


def retraces(numbers: np.ndarray) -> bool:
    """Whether a column goes back through exactly the values that it came through, as a sweep does
    and a reading does not."""
    x = known(numbers)
    turn = int(np.argmax(x))
    length = min(turn, len(x) - 1 - turn)
    if length < 5 or x[turn] == x[turn - length]:
        return False
    back, forth = x[turn + 1 : turn + 1 + length], x[turn - length : turn][::-1]
    return float((back == forth).mean()) > 0.9
