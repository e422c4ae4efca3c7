"""Inference that reads every device with noise: how it is distributed, and what it depends on."""

from dataclasses import replace

import pytest
import torch
from conftest import currents_of, members_of, setting_of
from scipy import stats

from devices.noise import Draw, Stream
from models.sparse_matmul import from_blocks
from utils.settings import Member
from utils.training.ensemble import Ensemble
from utils.training.trainer import kind

ROOT_2 = 2**0.5
NOISY = dict(resistor_noise=0.03, voltage_noise=0.0, device_noise=True, layers=(40,))


def network_of(currents, members=None, **changes):
    members = members or members_of(setting_of(**(NOISY | changes)))
    return Ensemble.fresh(members, currents).network


def noise_of_training(network, step=0, layer=0) -> torch.Tensor:
    """Of inference in training: [model, out, in], or in blocks."""
    zero = torch.tensor(0)
    return network.misread(Draw.DEVICE, Stream(network.seed, torch.tensor(step), zero, layer))


def noise_of_test(network, step=0, part=0, relaxed=False, layer=0) -> torch.Tensor:
    """Of inference in a test: the readings less what is read."""
    weights = network.test_weights(relaxed)
    readings = network.test_readings(weights, torch.tensor(step), torch.tensor(part), relaxed)
    return readings[layer].double() - weights[layer].double()


@pytest.fixture
def network(currents):
    return network_of(currents)


@pytest.mark.parametrize("noise", [noise_of_training, noise_of_test])
def test_it_is_that_of_two_devices(noise, network):
    values = noise(network).flatten().double().numpy()
    assert len(values) > 4000
    assert stats.kstest(values, "norm", (0, ROOT_2 * 0.03)).pvalue > 1e-3


def test_under_the_other_field_it_counts_by_the_ratio_of_the_ranges(network):
    """0.567 to 1.53 (1 - exp(-27/9.741)), as the input scale grows: the devices are as noisy."""
    values = noise_of_test(network, relaxed=True).flatten().numpy()
    ratio = 0.567 / (1.53 * (1 - 0.06254656))
    assert stats.kstest(values, "norm", (0, ratio * ROOT_2 * 0.03)).pvalue > 1e-3


def test_it_is_fresh_for_every_mini_batch_layer_and_test_batch(network):
    zero = torch.tensor(0)
    numbers = Stream(network.seed, zero, zero).normal(Draw.READ, network.arrays[0].shape)
    mine = [
        noise_of_training(network),
        noise_of_training(network, step=1),
        numbers,
        *(noise_of_test(network, step, part) for step, part in ((0, 0), (1, 0), (0, 1))),
    ]
    n = min(each.numel() for each in mine)
    correlation = torch.corrcoef(torch.stack([each.flatten()[:n].double() for each in mine]))
    assert (correlation - torch.eye(len(mine))).abs().max() < 0.06
    other = noise_of_training(network, layer=1)
    assert not torch.isclose(other.flatten(), mine[0].flatten()[: other.numel()]).any()


def test_samples_of_a_batch_share_it(currents):
    """Of two equal images the voltages are equal, and not those of the weights."""
    network = network_of(currents)
    image = currents.train[:1].T.expand(-1, 2)  # [in, batch]
    for training in (True, False):
        network.train(training)
        zero, seen = torch.tensor(0), []
        weights = network.weights
        if not training:
            weights = network.test_readings(network.test_weights(), zero, zero)
            image = currents.test[:1].T.expand(-1, 2)
        network(image, zero, zero, *weights, seen=seen)
        voltage = seen[0][1]
        assert torch.equal(voltage[..., 0], voltage[..., 1])
        exact = (network.weights if training else network.test_weights())[0] @ image
        noise = (voltage - exact)[0, :, 0] / image[:, 0].norm()
        assert stats.kstest(noise.numpy(), "norm", (0, ROOT_2 * 0.03)).pvalue > 1e-3


def test_it_is_the_same_however_pairs_are_arranged(dark_patterns):
    """By dense products and by sparse ones, for which pairs stand in blocks of 32 outputs."""
    currents = currents_of(dark_patterns)
    dense, sparse = network_of(replace(currents, light=None)), network_of(currents)
    assert (sparse.in_blocks, dense.in_blocks) == (True, False)
    n_lit, n_dark = len(dense.pixels.lit), dense.pixels.n_dark_tested
    blocks = noise_of_training(sparse)
    assert blocks.shape == sparse.weights[0].shape
    assert torch.equal(from_blocks(blocks, n_lit, 40), noise_of_training(dense))
    blocks = noise_of_test(sparse)
    assert n_dark > 0
    assert torch.equal(from_blocks(blocks, n_lit + n_dark, 40), noise_of_test(dense))


def test_it_is_the_same_alone_and_beside_others_with_other_noise_or_none(currents):
    kinds = [{}, dict(device_noise=False), dict(resistor_noise=0.001)]
    members = [Member(setting_of(**(NOISY | kind)), model) for model, kind in enumerate(kinds)]
    together = network_of(currents, members)
    for model in (0, 2):
        alone = network_of(currents, [members[model]])
        assert torch.equal(noise_of_training(together)[model], noise_of_training(alone)[0])
        assert torch.equal(noise_of_test(together)[model], noise_of_test(alone)[0])
    assert not noise_of_training(together)[1].any()
    assert not noise_of_test(together)[1].any()


def test_without_it_nothing_is_drawn(currents, monkeypatch):
    network = network_of(currents, device_noise=False)
    for draw in ("normal", "noisy"):
        monkeypatch.setattr(Stream, draw, lambda *_: pytest.fail("noise was drawn"))
    weights, zero = network.test_weights(), torch.tensor(0)
    assert network.test_readings(weights, zero, zero) is weights
    network(currents.train[:5].T, zero, zero, *network.weights)


@pytest.mark.parametrize("flag", ["device_noise", "physical_clipping"])
def test_with_and_without_a_flag_are_programs_of_their_own(flag, currents):
    """And each is compiled before workers are forked, not in one of them."""
    without, with_it = (
        members_of(setting_of(**(NOISY | {"device_noise": False, flag: value})))
        for value in (False, True)
    )
    assert kind(without) != kind(with_it)
    structures = {Ensemble.fresh(members, currents).structure for members in (without, with_it)}
    assert len(structures) == 2
