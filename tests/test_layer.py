"""The layer of pairs: its autograd Function, its noise, and batch normalisation."""

import pytest
import torch
from scipy import stats

from devices.noise import Draw, Stream
from models.batch_norm import BatchNorm
from models.matmul import product
from models.noisy_pair import Conditions, NetworkPhysics, NoisyPairProduct

ZERO = torch.tensor(0)


def stream(step=0, n_models=2, layer=1) -> Stream:
    return Stream(torch.arange(100, 100 + n_models), torch.tensor(step), ZERO, layer)


def conditions(step=0, draw=Draw.VOLTAGE, layer=1, gain=None, **noises) -> Conditions:
    """Under which pairs are read; noises: sigma_v and sigma_r of each network."""
    sigmas = [torch.tensor(noises.get(name, [0.0, 0.0])) for name in ("sigma_v", "sigma_r")]
    physics = NetworkPhysics(*sigmas, torch.zeros(1))
    physics.gain = gain
    return Conditions(physics, stream(step, len(sigmas[0]), layer), draw)


@pytest.mark.parametrize("shared", [True, False], ids=["shared input", "own input"])
def test_gradient_check_at_zero_noise(shared):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(2, 5, 7, dtype=torch.float64, generator=generator, requires_grad=True)
    shape = (7, 4) if shared else (2, 7, 4)
    current = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    # Without threads, after which no process forked from this one could differentiate.
    with torch.autograd.set_multithreading_enabled(False):
        assert torch.autograd.gradcheck(
            lambda w, i: NoisyPairProduct.apply(w, i, conditions()), (weight, current)
        )


def noisy_voltage(step=0, draw=Draw.VOLTAGE) -> torch.Tensor:
    weight, current = torch.zeros(2, 200, 3), torch.zeros(3, 500)
    return NoisyPairProduct.apply(weight, current, conditions(step, draw, sigma_v=[1e-3, 5e-3]))


def test_voltage_noise_distribution():
    voltage = noisy_voltage().double()
    assert stats.kstest(voltage[0].flatten().numpy(), "norm", args=(0, 1e-3)).pvalue > 1e-3
    assert stats.kstest(voltage[1].flatten().numpy(), "norm", args=(0, 5e-3)).pvalue > 1e-3


def readings(step=0, layer=1) -> torch.Tensor:
    """w2 + e2 - w1 - e1 of a 200x300 layer, as the backward pass reads it: [model, out, in]."""
    weight = torch.full((2, 200, 300), 0.5)
    current = torch.zeros(2, 300, 200, requires_grad=True)
    noisy = conditions(step, layer=layer, sigma_r=[0.01, 0.03])
    voltage = NoisyPairProduct.apply(weight, current, noisy)
    one_output_each = torch.eye(200).expand(2, -1, -1)
    return torch.autograd.grad(voltage, current, one_output_each)[0].mT


def test_read_noise_is_that_of_two_devices():
    noise = (readings() - 0.5).double()
    for model, sigma_r in ((0, 0.01), (1, 0.03)):
        values = noise[model].flatten().numpy()
        assert stats.kstest(values, "norm", args=(0, 2**0.5 * sigma_r)).pvalue > 1e-3


def test_read_noise_does_not_touch_the_weight_gradient():
    weight = torch.zeros(2, 5, 3, requires_grad=True)
    current = torch.randn(2, 3, 4, requires_grad=True)
    voltage = NoisyPairProduct.apply(weight, current, conditions(sigma_r=[9.0, 9.0]))
    (gradient,) = torch.autograd.grad(voltage.sum(), weight)
    torch.testing.assert_close(gradient, torch.ones(2, 5, 4) @ current.mT.detach())


@pytest.mark.parametrize("gain", [None, 3.0])
def test_a_pair_that_inference_misreads_by_hand(gain):
    """W = 2 is read as 2.5 in inference and, without read noise, as 2 in the backward pass.

    Three times the currents are that of both: V = 3 (W + 0.5) I, dL/dW = 3 I, dL/dI = 3 W.
    """
    weight, current = torch.full((1, 1, 1), 2.0, requires_grad=True), torch.tensor([[3.0, 4.0]])
    current.requires_grad_()
    factor, read_noise = gain and torch.full((1, 1, 1), gain), torch.full((1, 1, 1), 0.5)
    exact = conditions(sigma_v=[0.0], sigma_r=[0.0], gain=factor)
    voltage = NoisyPairProduct.apply(weight, current, exact, read_noise)
    times = gain or 1.0
    assert voltage.tolist() == [[[7.5 * times, 10.0 * times]]]  # both samples by one draw
    by_weight, by_current = torch.autograd.grad(voltage.sum(), (weight, current))
    assert by_weight.item() == 7.0 * times
    assert by_current.tolist() == [[2.0 * times, 2.0 * times]]


def test_first_layer_reads_draws_and_multiplies_nothing_backward(monkeypatch):
    """The scripts that this project replaces did all three for a gradient nobody needs."""
    weight = torch.randn(1, 5, 3, requires_grad=True)
    noisy = conditions(sigma_v=[0.0], sigma_r=[0.1])
    voltage = NoisyPairProduct.apply(weight, torch.randn(3, 4), noisy)
    products = []
    for draw in ("normal", "noisy"):
        monkeypatch.setattr(Stream, draw, lambda *_: pytest.fail("noise was drawn"))
    monkeypatch.setattr(
        "models.noisy_pair.product", lambda a, b: products.append(1) or product(a, b)
    )
    torch.autograd.grad(voltage.sum(), weight)
    assert len(products) == 1


def test_batch_norm_by_hand():
    norm = BatchNorm(torch.zeros(2, 1), torch.ones(2, 1)).train()
    voltage = torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]]])  # [model, feature, batch]
    # mean 2, variance 1 (biased), 2 (unbiased); momentum 0.15
    torch.testing.assert_close(norm(voltage)[0, 0], torch.tensor([-1.0, 1.0]) / 1.00001**0.5)
    torch.testing.assert_close(norm(voltage)[1, 0], torch.zeros(2))
    norm = BatchNorm(torch.zeros(2, 1), torch.ones(2, 1)).train()
    norm(voltage)
    torch.testing.assert_close(norm.running_mean[:, 0], torch.tensor([0.3, 0.0]))
    torch.testing.assert_close(norm.running_var[:, 0], torch.tensor([0.85 + 0.3, 0.85]))
    norm.eval()
    expected = (torch.tensor([1.0, 3.0]) - 0.3) / (1.15 + 1e-5) ** 0.5
    torch.testing.assert_close(norm(voltage)[0, 0], expected)


def test_a_batch_of_one_sample_changes_nothing():
    norm = BatchNorm(torch.zeros(2, 3), torch.ones(2, 3)).train()
    voltage = torch.randn(2, 3, 1, requires_grad=True)
    output = norm(voltage)
    assert torch.equal(output, torch.zeros(2, 3, 1))
    assert torch.equal(torch.autograd.grad(output.sum(), voltage)[0], torch.zeros(2, 3, 1))
    assert torch.equal(norm.running_var, torch.ones(2, 3))
