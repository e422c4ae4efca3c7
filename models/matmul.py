"""The matrix product, by the fastest library at hand that also repeats itself.

On x86 processors PyTorch multiplies float32 matrices with MKL, which leaves half of an AMD
processor's vector width unused, and rounds small products otherwise with another number of
threads. oneDNN, which PyTorch carries too, does neither. Measured on two cores of an AMD EPYC
(Zen 5), 512x720 times 720x128: MKL 190, oneDNN 410 GFLOP/s; and, with PyTorch 2.14, the same bits
with 1, 2, 3, 4 and 8 threads in every shape tried. That of PyTorch 2.11 does not always repeat
itself, so `repeats_itself` tries it where that matters.

With few outputs, as the last layer has, a library takes longer to begin than to multiply: such
products go by a kernel (matmul.cpp), which takes 16 to 28 us for those of 10 outputs, 512 inputs
and 128 images where oneDNN takes 50 (one core of an AMD EPYC, Zen 4), and wants no transposed
copies.
"""

from __future__ import annotations

import platform
from pathlib import Path

import torch
from torch import Tensor

from devices import noise
from utils.compute import kernel_builder

SOURCE = Path(__file__).parent / "kernels/matmul.cpp"
FEW = 16  # outputs of a layer, up to which the kernel is faster


def _onednn_linear():
    """PyTorch's operator for `a @ b.T` by oneDNN, or None where this build has none."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    try:
        return torch.ops.mkldnn._linear_pointwise.default
    except AttributeError:
        return None


ONEDNN_LINEAR = _onednn_linear()

# An operator of its own, so that compiled programs can call it.
torch.library.define("magnetoionic::product", "(Tensor a, Tensor b) -> Tensor")


@torch.library.impl("magnetoionic::product", "CPU")
def _(a: Tensor, b: Tensor) -> Tensor:
    """a [m, k] times the transpose of b [n, k], float32 on the CPU, both contiguous."""
    return ONEDNN_LINEAR(a, b, None, "none", [], "")


@torch.library.register_fake("magnetoionic::product")
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[0])


# Operators, of matmul.cpp: a [model, m, k] times b [model, k, n], and times b [model, n, k]
# transposed. Of flexible layout: the compiler then keeps a factor once that both of them take, in a
# layout of its choice.
FLEXIBLE = {"schema": "(Tensor a, Tensor b) -> Tensor", "tags": torch.Tag.flexible_layout}
torch.library.define("magnetoionic::small_product", **FLEXIBLE)
torch.library.define("magnetoionic::small_product_transposed", **FLEXIBLE)


@torch.library.register_fake("magnetoionic::small_product")
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(*a.shape[:2], b.shape[2])


@torch.library.register_fake("magnetoionic::small_product_transposed")
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(*a.shape[:2], b.shape[1])


def has_kernel(device: torch.device) -> bool:
    """Whether small products come from the kernel there."""
    return kernel_builder.has_kernel(SOURCE, device)


def kernels(device: torch.device) -> dict[str, bool]:
    """Which kernels that round otherwise than PyTorch are in use there; ready for JSON."""
    return {"noise_kernel": noise.has_kernel(device), "product_kernel": has_kernel(device)}


def product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b`, network by network.

    a: [model, m, k]; b: [model, k, n], or [k, n] shared by all networks, which makes one large
    product of all of them. Returns [model, m, n].
    """
    if b.dim() == 2:
        return matrix_product(a.flatten(0, 1), b).unflatten(0, a.shape[:2])
    if is_small(a, b):
        return small_product(a, b)
    if a.shape[0] == 1:
        return matrix_product(a[0], b[0])[None]
    return a @ b


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """a [m, k] times b [k, n]."""
    if is_small(a, b):
        return small_product(a[None], b[None])[0]
    if ONEDNN_LINEAR is None or a.device.type != "cpu" or a.dtype != torch.float32:
        return a @ b
    # Contiguous, since other strides fall to oneDNN's reference code, a thousand times slower.
    return torch.ops.magnetoionic.product(a.contiguous(), b.t().contiguous())


def is_small(a: Tensor, b: Tensor) -> bool:
    """Whether the kernel multiplies matrices a [..., m, k] and b [..., k, n]."""
    is_single = a.dtype == b.dtype == torch.float32
    return is_single and min(a.shape[-2:]) <= FEW and has_kernel(a.device)


def small_product(a: Tensor, b: Tensor) -> Tensor:
    """a [model, m, k] times b [model, k, n], by the kernel, which takes b transposed, too."""
    _, m, k = a.shape
    if b.mT.is_contiguous() and k > 1 and m <= FEW:
        return torch.ops.magnetoionic.small_product_transposed(a, b.mT)
    return torch.ops.magnetoionic.small_product(a, b)


def repeats_itself(m: int, k: int, n: int, threads: int) -> bool:
    """Whether [m, k] times [k, n] is the same to the bit by one thread and by so many.

    Uses threads, after which this process can no longer be forked safely.
    """
    a, b = torch.randn(m, k), torch.randn(k, n)
    results = []
    for count in (1, threads):
        torch.set_num_threads(count)
        results.append(matrix_product(a, b))
    return torch.equal(*results)
