"""Inference that reads every device with noise: how it is distributed, and what it depends on."""

import pytest
import torch
from conftest import members_of, setting_of
from scipy import stats

from devices.noise import Draw, Stream
from models.noisy_pair import Conditions
from utils.training.compiling import program_key
from utils.training.ensemble import Ensemble
from utils.training.plan import Job

ROOT_2 = 2**0.5
NOISY = dict(resistor_noise=0.03, voltage_noise=0.0, device_noise=True, layers=(40,))


def ensemble_of(currents, **changes) -> Ensemble:
    return Ensemble.fresh(members_of(setting_of(**NOISY | changes)), currents)


def noise_of_training(network) -> torch.Tensor:
    """Return the read noise of the first layer in training: [model, out, in], or in blocks."""
    zero = torch.tensor(0)
    conditions = Conditions(network.physics, Stream(network.seed, zero, zero, 0), Draw.VOLTAGE)
    return network.layers[0].read_noise(conditions)


def noise_of_test(network) -> torch.Tensor:
    """Return the read noise of the first layer in a test: the readings minus the weights."""
    weights = network.test_weights()
    readings = network.test_readings(weights, torch.tensor(0), torch.tensor(0))
    return readings[0].double() - weights[0].double()


@pytest.mark.parametrize("noise", [noise_of_training, noise_of_test])
def test_it_is_that_of_two_devices(noise, currents):
    values = noise(ensemble_of(currents).network).flatten().double().numpy()
    assert len(values) > 4000
    assert stats.kstest(values, "norm", (0, ROOT_2 * 0.03)).pvalue > 1e-3


def test_without_it_nothing_is_drawn(currents, monkeypatch):
    network = ensemble_of(currents, device_noise=False).network
    for draw in ("normal", "noisy"):
        monkeypatch.setattr(Stream, draw, lambda *_: pytest.fail("noise was drawn"))
    weights, zero = network.test_weights(), torch.tensor(0)
    readings = network.test_readings(weights, zero, zero)
    assert all(map(torch.equal, readings, weights))
    network(currents.inputs.train[:5].T, zero, zero, *network.weights)


@pytest.mark.parametrize("flag", ["device_noise", "physical_clipping"])
def test_with_and_without_a_flag_are_programs_of_their_own(flag, currents):
    """And each is compiled before workers are forked, not in one of them."""
    without, with_it = (
        members_of(setting_of(**(NOISY | {"device_noise": False, flag: value})))
        for value in (False, True)
    )
    assert program_key(Job(tuple(without))) != program_key(Job(tuple(with_it)))
    structures = {Ensemble.fresh(members, currents).structure for members in (without, with_it)}
    assert len(structures) == 2


def test_with_and_without_an_accumulator_tests_are_programs_of_their_own(currents):
    """Since a program takes all buffers of a network, and accumulators are among them."""
    plain, accumulating = (
        ensemble_of(currents, clipping=0.1, accumulate=is_on) for is_on in (False, True)
    )
    assert len(plain.network.state) < len(accumulating.network.state)
    assert plain.network.structure != accumulating.network.structure
