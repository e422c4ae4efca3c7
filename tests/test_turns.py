"""Continuous trains of pulses are cut exactly at their turns where a step is larger than noise."""

import numpy as np
import pytest

from utils.measured.turns import cut_at_turns


def way(n: int, nonlinearity: float) -> np.ndarray:
    """How far a ramp has come after pulses 1 to n, the last at 1."""
    place = np.arange(1, n + 1) / n
    if nonlinearity == 0:
        return place
    return (1 - np.exp(-nonlinearity * place)) / (1 - np.exp(-nonlinearity))


def train(up: np.ndarray, down: np.ndarray, cycles: int, noise: float) -> np.ndarray:
    """The state before the first pulse, then all readings of the cycles."""
    values = np.concatenate([[0.0], *[np.concatenate([up, down])] * cycles])
    return values + noise * np.random.default_rng(1).normal(size=len(values))


@pytest.mark.parametrize("lengths", [(30, 30), (50, 20), (100, 100)])
@pytest.mark.parametrize("nonlinearities", [(0, 0), (1, 1), (3, 5), (5, 5), (8, 8)])
@pytest.mark.parametrize("cycles", [1, 2, 8])
def test_ramps_of_a_train_end_where_they_turn(lengths, nonlinearities, cycles):
    (n_up, n_down), (nu_up, nu_down) = lengths, nonlinearities
    noise = 0.005 if max(lengths) < 100 else 0.002
    values = train(way(n_up, nu_up), 1 - way(n_down, nu_down), cycles, noise)
    parts, resets = cut_at_turns(values)
    assert resets == 0
    assert (parts[0].start, parts[-1].stop) == (0, len(values))
    ends = np.cumsum([n_up, n_down] * cycles)[:-1]
    assert [part.stop - 1 for part in parts[:-1]] == ends.tolist()


def test_ramps_that_start_lower_than_the_one_before_ended():
    """Down from 0.8 after up to 1: no reading belongs to both."""
    down = 0.8 * (1 - np.concatenate([[0.0], way(30, 3)]))
    parts, _ = cut_at_turns(train(way(30, 3), down, 4, 0.003))
    assert [part.stop for part in parts] == [31, 62, 92, 123, 153, 184, 214, 245]


def test_the_state_at_a_turn_that_is_read_again_begins_the_next_ramp():
    down = 1 - np.concatenate([[0.0], way(30, 1)])
    parts, _ = cut_at_turns(train(way(30, 1), down, 3, 0.002))
    assert [part.stop for part in parts] == [31, 62, 92, 123, 153, 184]
