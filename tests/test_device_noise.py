"""Inference that reads every device with noise: how it is distributed, and what it depends on."""

import pytest
import torch
from conftest import currents_of, dense_currents_of, members_of, setting_of
from scipy import stats

from devices.noise import Draw, Stream
from models.noisy_pair import Conditions
from models.sparse_matmul import from_blocks
from utils.settings import Member
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


def test_it_is_fresh_for_every_mini_batch_layer_and_test_batch(ensemble):
    zero = torch.tensor(0)
    numbers = Stream(ensemble.network.seed, zero, zero)
    numbers = numbers.normal(Draw.READ, ensemble.network.layers[0].weight.shape[1:])
    noises = [
        noise_of_training(ensemble),
        noise_of_training(ensemble, step=1),
        numbers,
        *(noise_of_test(ensemble, step, part) for step, part in ((0, 0), (1, 0), (0, 1))),
    ]
    n = min(each.numel() for each in noises)
    correlation = torch.corrcoef(torch.stack([each.flatten()[:n].double() for each in noises]))
    assert (correlation - torch.eye(len(noises))).abs().max() < 0.06
    other = noise_of_training(ensemble, layer=1)
    assert not torch.isclose(other.flatten(), noises[0].flatten()[: other.numel()]).any()


def test_samples_of_a_batch_share_it(currents):
    """Two equal images have equal voltages, which are not those of the weights."""
    network = ensemble_of(currents).network
    for training, images in ((True, currents.inputs.train), (False, currents.inputs.test)):
        network.train(training)
        image, zero = images[:1].T.expand(-1, 2), torch.tensor(0)  # [in, batch]
        weights = network.weights
        if not training:
            weights = network.test_readings(network.test_weights(), zero, zero)
        with torch.no_grad():
            voltage = network.propagate(image, zero, zero, weights).voltages[0]
        assert torch.equal(voltage[..., 0], voltage[..., 1])
        exact = (network.weights if training else network.test_weights())[0] @ image
        noise = (voltage - exact)[0, :, 0] / image[:, 0].norm()
        assert stats.kstest(noise.numpy(), "norm", (0, ROOT_2 * 0.03)).pvalue > 1e-3


def test_it_is_the_same_however_pairs_are_arranged(always_zero_patterns):
    """Dense and sparse products agree; for sparse ones pairs are in blocks of 32 outputs."""
    sparse, dense = currents_of(always_zero_patterns), dense_currents_of(always_zero_patterns)
    assert (sparse.product, dense.product) == ("sparse", "dense")
    inputs = sparse.active_inputs
    sparse, dense = ensemble_of(sparse), ensemble_of(dense)
    blocks = noise_of_training(sparse)
    assert blocks.shape == sparse.network.weights[0].shape
    whole = from_blocks(blocks, len(inputs.active), 40)
    assert torch.equal(whole, noise_of_training(dense))
    assert inputs.n_tested > 0
    whole = from_blocks(noise_of_test(sparse), len(inputs.tested), 40)
    assert torch.equal(whole, noise_of_test(dense))


def test_it_is_the_same_alone_and_beside_others_with_other_noise_or_none(currents):
    kinds = [{}, dict(device_noise=False), dict(resistor_noise=0.001)]
    members = [Member(setting_of(**(NOISY | kind)), model) for model, kind in enumerate(kinds)]
    together = ensemble_of(currents, members)
    for model in (0, 2):
        alone = ensemble_of(currents, [members[model]])
        assert torch.equal(noise_of_training(together)[model], noise_of_training(alone)[0])
        assert torch.equal(noise_of_test(together)[model], noise_of_test(alone)[0])
    assert not noise_of_training(together)[1].any()
    assert not noise_of_test(together)[1].any()


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
