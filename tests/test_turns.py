"""Turns of trains, and what is no ramp, against simulated ramps of any nonlinearity."""

import numpy as np
import pytest
from support.ramps import rise, way

from utils.measured.checks import flaw, trend
from utils.measured.turns import cut_at_turns, turning_point


def train(up: np.ndarray, down: np.ndarray, cycles: int, noise: float) -> np.ndarray:
    """The state before the first pulse, then all readings of the cycles."""
    values = np.concatenate([[0.0], *[np.concatenate([up, down])] * cycles])
    return values + noise * np.random.default_rng(1).normal(size=len(values))


@pytest.mark.parametrize("lengths", [(30, 30), (50, 20), (100, 100)])
@pytest.mark.parametrize("nonlinearities", [(0, 0), (1, 1), (3, 5), (5, 5), (8, 8)])
@pytest.mark.parametrize("cycles", [1, 2, 8])
def test_ramps_of_a_train_end_where_they_turn(lengths, nonlinearities, cycles):
    """Exactly there, where a step is larger than noise."""
    (n_up, n_down), (nu_up, nu_down) = lengths, nonlinearities
    noise = 0.005 if max(lengths) < 100 else 0.002
    values = train(rise(nu_up, n_up), 1 - rise(nu_down, n_down), cycles, noise)
    parts, resets = cut_at_turns(values)
    assert resets == 0
    assert (parts[0].start, parts[-1].stop) == (0, len(values))
    ends = np.cumsum([n_up, n_down] * cycles)[:-1]
    assert [part.stop - 1 for part in parts[:-1]] == ends.tolist()


@pytest.mark.parametrize(
    ("nonlinearity", "level", "noise"), [(3, 0.8, 0.003), (1, 1.0, 0.002)], ids=["lower", "again"]
)
def test_ramps_that_begin_with_a_reading_of_their_own(nonlinearity, level, noise):
    """Down from 0.8 after up to 1, and from 1, which is read again: none belongs to both."""
    down = level * (1 - way(nonlinearity, 31))
    parts, _ = cut_at_turns(train(rise(nonlinearity, 30), down, 4, noise))
    assert [part.stop for part in parts] == [31, 62, 92, 123, 153, 184, 214, 245]


@pytest.mark.parametrize("nonlinearity", [0, 2.77])
@pytest.mark.parametrize("read_noise", [0.0, 0.01, 0.06])
def test_turns_of_noisy_curves_are_found(nonlinearity, read_noise):
    """Seven ramps of 100 readings, up and down, are found, and end where noise lets one see it."""
    rng = np.random.default_rng(5)
    up = way(nonlinearity, 100)
    down = 1 - up
    clean = np.concatenate([down, up[1:], down[1:], up[1:], down[1:], up[1:], down[1:]])
    ends = 99 * np.arange(1, 8)
    off = []
    for _ in range(10):
        parts, resets = cut_at_turns(clean + read_noise * rng.standard_normal(len(clean)))
        assert (len(parts), resets) == (7, 0)
        off.append([part.stop - 1 for part in parts] - ends)
        assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert np.sqrt(np.mean(np.square(off))) <= (read_noise > 0) + 60 * read_noise
    assert np.abs(off).max() <= 3 * (read_noise > 0) + 250 * read_noise


# What is no ramp


def simulated(rng, n: int, nonlinearity: float, read_noise: float, write_noise=0.0) -> np.ndarray:
    """A ramp from 1 to 0 of n readings; write_noise: after all pulses."""
    walk = np.cumsum(rng.standard_normal(n)) * write_noise / np.sqrt(n)
    return 1 - way(nonlinearity, n) + walk + read_noise * rng.standard_normal(n)


def problem(values: np.ndarray) -> str | None:
    """Why readings are no ramp; None if they are one."""
    if turning_point(values) is not None:
        return "turns"
    estimate = trend(np.arange(len(values)), values)
    return flaw(values, estimate, estimate.read_noise)


@pytest.mark.parametrize("n", [20, 60, 200, 1000, 2000])
@pytest.mark.parametrize("nonlinearity", [-5, 0, 2.77, 10])
def test_simulated_ramps_are_never_refused(n, nonlinearity):
    """Read noise up to 6 % of the range, as that of real devices, also coarsely rounded."""
    rng = np.random.default_rng(n)
    for read_noise, write_noise, rounding in (
        (0.0, 0.0, None),
        (0.06, 0.0, None),
        (0.05, 0.1, None),
        (0.0, 0.0, 0.1),
        (0.01, 0.0, 0.05),
    ):
        for factor, offset in [(1, 0), (1, -0.5), (1e-9, 0), (-1, 0)] * 5:
            values = simulated(rng, n, nonlinearity, read_noise, write_noise)
            if rounding:
                values = np.round(values / rounding) * rounding
            assert problem(factor * values + offset) is None
            assert trend(np.arange(n), values).change < 0 < trend(np.arange(n), -values).change


@pytest.mark.parametrize("n", [60, 200, 1000])
def test_simulated_step_sizes_are_recognised(n):
    """The changes of noisy linear and exponential responses, and noisy steps without read noise."""
    rng = np.random.default_rng(n)
    problems = []
    for _ in range(50):
        problems.append(problem(np.diff(simulated(rng, n + 1, 0, 0.03))))
        problems.append(problem(np.diff(simulated(rng, n + 1, 2.77, 0.05))))
        problems.append(problem(0.02 + 0.01 * rng.standard_normal(n)))
    assert all(problems)
    assert np.mean(["step sizes" in text for text in problems]) > 0.9


@pytest.mark.parametrize("n", [60, 200, 1000])
@pytest.mark.parametrize("level", [0.0, 1.0, -3.0])
def test_pure_noise_is_no_ramp(n, level):
    """Of 100 flat curves with read noise alone 97 are refused at the least; that noise is found."""
    rng = np.random.default_rng(n)
    curves = level + 0.01 * rng.standard_normal((100, n))
    problems = [text for text in map(problem, curves) if text]
    assert len(problems) >= 97
    assert not any("step sizes" in text for text in problems)
    noises = [trend(np.arange(n), curve).read_noise for curve in curves]
    assert np.median(noises) == pytest.approx(0.01, rel=3 / np.sqrt(n))
