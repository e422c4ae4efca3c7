"""Dense products: by whichever way, those of float64; by the kernel, the same with any threads."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models.kernels.load import MATMUL, is_loaded, python_only
from models.matmul import large_product, matrix_product, product


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 5, 7), (7, 4)),
        ((3, 5, 7), (3, 7, 4)),
        ((1, 128, 130), (130, 128)),
        ((1, 128, 130), (1, 130, 128)),
        ((1, 200, 100), (1, 100, 77)),
    ],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_product_is_the_matrix_product(a, b, transposed):
    left, right = torch.randn(a), torch.randn(b)
    if transposed:  # the same numbers in the other memory order
        left, right = left.mT.contiguous().mT, right.mT.contiguous().mT
    expected = left.double() @ right.double()
    torch.testing.assert_close(product(left, right).double(), expected, rtol=1e-4, atol=1e-4)


def test_product_of_strided_views():
    a, b = torch.randn(300, 200)[:, ::2], torch.randn(100, 90)[:, 10:70]
    torch.testing.assert_close(matrix_product(a, b), a @ b, rtol=1e-4, atol=1e-4)


# Of the last layer forward, back, and its gradient; with rows, columns and terms left over.
SHAPES = [
    (10, 512, 128),
    (512, 10, 128),
    (10, 128, 512),
    (7, 300, 41),
    (13, 1, 5),
    (1, 3, 1),
    (33, 5, 1000),
    (4, 2049, 64),
    (2, 2, 2),
    (10, 700, 1),
    (300, 10, 17),
    (10, 50, 300),
    (600, 16, 24),
]
needs_compiler = pytest.mark.usefixtures("kernel")


@pytest.fixture
def kernel():
    if not is_loaded(MATMUL):
        pytest.skip("needs a C++ compiler")


def factors(m: int, k: int, n: int):
    """Each as it is, and with the other memory order."""
    generator = torch.Generator().manual_seed(m + k + n)
    a, b = (torch.randn(shape, generator=generator) for shape in ((m, k), (k, n)))
    for left in (a, a.T.contiguous().T):
        for right in (b, b.T.contiguous().T):
            yield left, right


@pytest.fixture
def called():
    """Names of the kernel's operators that are called."""
    names = []

    class Counted(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            if "small_product" in str(operator):
                names.append(str(operator))
            return operator(*args, **(kwargs or {}))

    with Counted():
        yield names


@needs_compiler
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_small_products_are_those_of_float64(m, k, n, called):
    for a, b in factors(m, k, n):
        exact = a.double() @ b.double()
        scale = (a.double().abs() @ b.double().abs()).clamp(min=1e-30)
        error = ((matrix_product(a, b).double() - exact).abs() / scale).max()
        assert error < k * 2**-24
    assert len(called) == 4  # none by a library


@needs_compiler
@pytest.mark.parametrize(("m", "k", "n"), [(10, 70, 30), (60, 10, 30)])
def test_small_products_of_several_networks_are_those_of_each(m, k, n, called):
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(3, *shape, generator=generator) for shape in ((m, k), (k, n)))
    for left in (a, a.mT.contiguous().mT):
        for right in (b, b.mT.contiguous().mT):
            together = product(left, right)
            torch.testing.assert_close(
                together.double(), a.double() @ b.double(), rtol=0, atol=1e-4
            )
            for model in range(3):
                assert torch.equal(together[model], matrix_product(left[model], right[model]))
    assert len(called) == 16


@needs_compiler
def test_small_products_of_any_memory_order():
    """Factors have the layouts that compiled programs use; sums may have no terms at all."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(2, 20, 40, generator=generator)[:, ::2, ::4] for _ in range(2))
    for left in (a, a.contiguous(), a.transpose(0, 1).contiguous().transpose(0, 1)):
        for right in (b, b.mT.contiguous().mT, b.transpose(0, 1).contiguous().transpose(0, 1)):
            for operator, expected in (
                (torch.ops.magnetoionic.small_product, a.double() @ b.double()),
                (torch.ops.magnetoionic.small_product_transposed, a.double() @ b.double().mT),
            ):
                result = operator(left, right).double()
                torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    assert product(torch.ones(2, 3, 0), torch.ones(2, 0, 4)).eq(0).all()
    assert product(torch.ones(2, 3, 4), torch.ones(2, 4, 0)).shape == (2, 3, 0)


@needs_compiler
@pytest.mark.parametrize("name", ["small_product", "small_product_transposed"])
@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 5, 5)])
def test_factors_that_do_not_fit_are_refused(name, shape):
    with pytest.raises(RuntimeError, match="not take"):
        getattr(torch.ops.magnetoionic, name)(torch.ones(2, 4, 4), torch.ones(shape))


@needs_compiler
def test_small_products_are_the_same_with_any_number_of_threads():
    results = []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        shapes = [*SHAPES, (10, 4096, 1024), (4099, 10, 1024)]  # the last two by several
        results.append([matrix_product(a, b) for shape in shapes for a, b in factors(*shape)])
    for repeated in results[1:]:
        assert all(map(torch.equal, repeated, results[0]))


def test_large_products_and_other_numbers_are_left_to_libraries(called):
    matrix_product(torch.randn(17, 40), torch.randn(40, 17))
    matrix_product(torch.randn(512, 512), torch.randn(512, 1))  # few images are not few outputs
    matrix_product(torch.randn(3, 4).double(), torch.randn(4, 5).double())
    assert called == []
    a, b = torch.randn(3, 4), torch.randn(4, 5)
    with python_only():  # nor is there a kernel for small ones
        assert torch.equal(matrix_product(a, b), large_product(a[None], b[None])[0])
