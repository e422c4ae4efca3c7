"""Random numbers: known answers of the generator, distributions, independent addresses."""

import numpy as np
import pytest
import reference_noise
import torch
from conftest import DEVICES
from scipy import stats
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx

from devices.noise import Draw, Stream, philox
from models.kernels.load import python_only
from utils.compute.programs import without_kernel


def stream(seeds=(100,), step=0, part=0, layer=0, device="cpu") -> Stream:
    return Stream(
        torch.tensor(seeds, device=device),
        torch.tensor(step, device=device),
        torch.tensor(part, device=device),
        layer,
    )


@pytest.fixture(params=["kernel", "python"])
def computed(request):
    """Draw by the kernel, where there is a compiler, or by PyTorch's operations."""
    if request.param == "kernel":
        yield
        return
    with python_only():
        yield


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # from the authors' test vectors for philox4x32-10
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_known_answers(counter, key, answer, device):
    words = philox(
        tuple(torch.tensor(word, device=device) for word in counter),
        tuple(torch.tensor(word, device=device) for word in key),
    )
    assert [word.item() for word in words] == answer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", [0, 100, 2**32 + 5, 2**63 - 1])
def test_draws_are_those_of_the_reference(seed, device):
    numbers = stream((seed,), step=7, part=3, layer=2, device=device)
    expected = reference_noise.normal((5, 11), seed, 7, 2, int(Draw.READ), 3)
    actual = numbers.normal(Draw.READ, (5, 11))[0].cpu().double().numpy()
    np.testing.assert_allclose(actual, expected, atol=2e-6)
    expected = reference_noise.uniform((5, 11), seed, 7, 2, int(Draw.FRESH), 3)
    actual = numbers.uniform(Draw.FRESH, (5, 11))[0].cpu().double().numpy()
    np.testing.assert_allclose(actual, expected, atol=2e-7)


def test_the_kernel_draws_what_torch_does():
    """Both draw the same words; the transform of the kernel rounds differently."""
    seeds, counts = (5, 2**40 + 5), (1, 3, 4, 127, 128, 129, 5000)
    numbers = stream(seeds, step=7, part=3, layer=2)
    by_kernel = [numbers.normal(Draw.READ, (count,)) for count in counts]
    with python_only():
        by_python = [numbers.normal(Draw.READ, (count,)) for count in counts]
    for actual, expected in zip(by_kernel, by_python, strict=True):
        torch.testing.assert_close(actual, expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("shape", [(1, 1), (10, 512), (31, 3), (33, 7), (64, 100)])
def test_the_kernel_draws_the_uniform_numbers_of_torch(shape):
    """The same bits, whole blocks of 32 outputs or not, with any number of networks."""
    numbers = stream((100, 2**40 + 5, 2**63 - 1), step=7, part=3, layer=2)
    by_kernel = numbers.uniform_by_blocks(Draw.ROUNDING, shape)
    with python_only():
        by_python = numbers.uniform_by_blocks(Draw.ROUNDING, shape)
    assert by_kernel.shape == (3, *shape)
    assert torch.equal(by_kernel, by_python)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 3, 43), (2, 50, 100)])
def test_noise_is_added_to_values(shape, dtype, computed):
    """The same bits by kernel and PyTorch; each network has its sigma, in any memory order."""
    numbers, sigma = stream((5, 2**40 + 5), step=7, part=3, layer=2), torch.tensor([0.3, 1e-3])
    sigma = sigma[:, None, None].to(dtype)
    values = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    expected = values + sigma * numbers.normal(Draw.READ, shape[1:]).to(dtype)
    for ordered in (values, values.mT.contiguous().mT):
        assert torch.equal(numbers.noisy(Draw.READ, ordered, sigma), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_normal_distribution(device, computed):
    numbers = stream(device=device).normal(Draw.VOLTAGE, (1_000_003,))[0].cpu().double()
    assert stats.kstest(numbers.numpy(), "norm").pvalue > 1e-3
    assert abs(numbers).max() > 4.5
    assert numbers.isfinite().all()
    correlation = torch.corrcoef(torch.stack([numbers[:-1], numbers[1:]]))[0, 1]
    assert abs(correlation) < 5e-3


def test_uniform_distribution():
    numbers = stream().uniform(Draw.FRESH, (1_000_001,))[0].double()
    assert stats.kstest((numbers.numpy() + 1) / 2, "uniform").pvalue > 1e-3
    assert abs(numbers).max() <= 1


def test_words_are_not_computed_from_a_bare_index():
    """PyTorch's compiler holds an index in 32 bits on a GPU, where a multiplier does not fit."""

    def numbers(seed, step, part):
        return Stream(seed, step, part).normal(Draw.READ, (5, 11))

    draws = stream()
    with python_only():
        written_out = without_kernel(draws.seed.device)
        graph = make_fx(numbers, written_out)(draws.seed, draws.step, draws.part)
    (index,) = graph.graph.find_nodes(op="call_function", target=torch.ops.aten.arange.default)
    operands = [argument for user in index.users for argument in user.args if argument is not index]
    assert [user.target for user in index.users].count(torch.ops.aten.mul.Tensor) == 0
    assert any(isinstance(operand, Node) for operand in operands)
