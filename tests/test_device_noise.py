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


def ensemble_of(currents, members=None, **changes) -> Ensemble:
    members = members or members_of(setting_of(**(NOISY | changes)))
    return Ensemble.fresh(members, currents)


def noise_of_training(ensemble, step=0, layer=0) -> torch.Tensor:
    """Return the read noise of inference in training: [model, out, in], or in blocks."""
    network, zero = ensemble.network, torch.tensor(0)
    stream = Stream(network.seed, torch.tensor(step), zero, layer)
    return network.layers[layer].read_noise(Conditions(network.physics, stream, Draw.VOLTAGE))


def noise_of_test(ensemble, step=0, part=0, relaxed=False, layer=0) -> torch.Tensor:
    """Return the read noise of inference in a test: the readings minus the weights."""
    network, others = ensemble.network, ensemble.phases[0].partners if relaxed else None
    weights = network.test_weights(others)
    readings = network.test_readings(weights, torch.tensor(step), torch.tensor(part), others)
    return readings[layer].double() - weights[layer].double()


@pytest.fixture
def ensemble(currents) -> Ensemble:
    return ensemble_of(currents)


@pytest.mark.parametrize("noise", [noise_of_training, noise_of_test])
def test_it_is_that_of_two_devices(noise, ensemble):
    values = noise(ensemble).flatten().double().numpy()
    assert len(values) > 4000
    assert stats.kstest(values, "norm", (0, ROOT_2 * 0.03)).pvalue > 1e-3


def test_under_the_other_field_it_counts_by_the_ratio_of_the_ranges(ensemble):
    """0.567 to 1.53 (1 - exp(-27/9.741)), as the input scale grows: the devices are as noisy."""
    values = noise_of_test(ensemble, relaxed=True).flatten().numpy()
    ratio = 0.567 / (1.53 * (1 - 0.06254656))
    assert stats.kstest(values, "norm", (0, ratio * ROOT_2 * 0.03)).pvalue > 1e-3


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
        Ensemble.fresh(members_of(setting_of(**NOISY, clipping=0.1, accumulate=on)), currents)
        for on in (False, True)
    )
    assert len(plain.network.state) < len(accumulating.network.state)
    assert plain.network.structure != accumulating.network.structure
