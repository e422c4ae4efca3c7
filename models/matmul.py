"""The matrix product, by the fastest library available whose results are reproducible.

On x86 processors PyTorch multiplies float32 matrices with MKL, which leaves half of an AMD
processor's vector width unused, and rounds small products differently with another number of
threads. oneDNN, which PyTorch includes too, does neither. Measured on two cores of an AMD EPYC
(Zen 5), 512x720 times 720x128: MKL 190, oneDNN 410 GFLOP/s; and, with PyTorch 2.14, the same bits
with 1, 2, 3, 4 and 8 threads in every shape tried. The oneDNN of PyTorch 2.11 is not always
reproducible, so `repeats_itself` tries it where that matters.

With few outputs, as the last layer has, a library spends more time on the call than on the product:
such products go through a kernel (matmul.cpp), which takes 16 to 28 us for 10 outputs, 512 inputs
and 128 images where oneDNN takes 50 (one core of an AMD EPYC, Zen 4), and needs no transposed
copies.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import Tensor

MAX_OUTPUTS = 16  # the largest number of outputs of a layer for which the kernel is faster


def _onednn_linear() -> Any:
    """PyTorch's operator for `a @ b.T` by oneDNN, or None where this build has none."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    try:
        return torch.ops.mkldnn._linear_pointwise.default
    except AttributeError:
        return None


ONEDNN_LINEAR = _onednn_linear()

# An operator, so that compiled programs call it: a [m, k] times the transpose of b [n, k], float32
# on the CPU, both contiguous.
torch.library.define("magnetoionic::product", "(Tensor a, Tensor b) -> Tensor")


@torch.library.impl("magnetoionic::product", "CPU")
def _(a: Tensor, b: Tensor) -> Tensor:
    return ONEDNN_LINEAR(a, b, None, "none", [], "")


@torch.library.register_fake("magnetoionic::product")
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[0])


# Operators for which models.kernels has a kernel on the CPU: a [model, m, k] times b [model, k, n],
# and times b [model, n, k] transposed. Their layout is flexible, so that the compiler stores a
# factor that both of them take once, in a layout of its choice.
for name in ("small_product", "small_product_transposed"):
    torch.library.define(
        f"magnetoionic::{name}", "(Tensor a, Tensor b) -> Tensor", tags=torch.Tag.flexible_layout
    )


@torch.library.impl("magnetoionic::small_product", "CompositeExplicitAutograd")
def _(a: Tensor, b: Tensor) -> Tensor:
    return large_product(a, b)


@torch.library.impl("magnetoionic::small_product_transposed", "CompositeExplicitAutograd")
def _(a: Tensor, b: Tensor) -> Tensor:
    return large_product(a, b.mT)


@torch.library.register_fake("magnetoionic::small_product")
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(*a.shape[:2], b.shape[2])


@torch.library.register_fake("magnetoionic::small_product_transposed")
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(*a.shape[:2], b.shape[1])


def product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b`, network by network.

    a: [model, m, k]; b: [model, k, n], or [k, n] shared by all networks, which makes one large
    product of all of them. Returns [model, m, n].
    """
    if b.dim() == 2:
        return matrix_product(a.flatten(0, 1), b).unflatten(0, a.shape[:2])
    return small_product(a, b) if is_small(a, b) else large_product(a, b)


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """a [m, k] times b [k, n]."""
    return product(a[None], b[None])[0]


def is_small(a: Tensor, b: Tensor) -> bool:
    """Whether the kernel multiplies matrices a [model, m, k] and b [model, k, n] faster."""
    return a.dtype == b.dtype == torch.float32 and min(a.shape[-2:]) <= MAX_OUTPUTS


def small_product(a: Tensor, b: Tensor) -> Tensor:
    """a [model, m, k] times b [model, k, n], by the operator that suits how b is stored."""
    _, m, k = a.shape
    if b.mT.is_contiguous() and k > 1 and m <= MAX_OUTPUTS:
        return torch.ops.magnetoionic.small_product_transposed(a, b.mT)
    return torch.ops.magnetoionic.small_product(a, b)


def large_product(a: Tensor, b: Tensor) -> Tensor:
    """a [model, m, k] times b [model, k, n], by PyTorch's libraries."""
    is_onednn = ONEDNN_LINEAR is not None and a.device.type == "cpu" and a.dtype == torch.float32
    if a.shape[0] > 1:
        return a @ b
    if not is_onednn:
        return (a[0] @ b[0])[None]
    # Contiguous, since for other strides oneDNN uses reference code, a thousand times slower.
    a, b = a[0].contiguous(), b[0].t().contiguous()
    return torch.ops.magnetoionic.product(a, b)[None]


def repeats_itself(m: int, k: int, n: int, threads: int) -> bool:
    """Whether [m, k] times [k, n] gives the same bits with one thread and with `threads`.

    Uses threads, after which this process can no longer be forked safely.
    """
    a, b = torch.randn(m, k), torch.randn(k, n)
    results = []
    for count in (1, threads):
        torch.set_num_threads(count)
        results.append(matrix_product(a, b))
    return torch.equal(*results)
