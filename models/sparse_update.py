"""Gradient and update of the first layer in one pass, on a CPU, for sparse inputs.

The kernel (sparse_update.cpp) computes the gradient of two inputs and programs their pairs before
it takes the next two, so that no gradient is written to memory and read again. An input that is
zero in a whole batch has no gradient, so its pairs receive no pulse and are skipped; so are the 32
pairs of an input in a block if none of them receives a pulse. Even without a pulse, pairs beyond
their range are clamped or refreshed; the kernel looks for them in blocks that may have some
(`in_range` is false). The formulas are printed from devices.programming.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from devices.ledger import Account
from devices.pair import PairArray
from devices.programming import Programming
from models.kernels.formulas import LIMITS, formulas, names_of
from models.kernels.load import is_loaded, load_kernels
from models.sparse_matmul import LISTS, SparseBatch

SOURCE = Path(__file__).parent / "kernels/sparse_update.cpp"
ARGUMENTS = (
    f"({LISTS}, Tensor gradient, Tensor[] constants, Tensor[] tables, "
    "Tensor(a!) weight1, Tensor(b!) weight2, Tensor slope1, Tensor slope2, Tensor(c!) weight, "
    "Tensor(d!) in_range, Tensor(e!)? totals, Tensor(f!)? pulses1, Tensor(g!)? pulses2, "
    "Tensor(h!)? refreshes, int n_inputs) -> ()"
)


def name_of(family: str, physical: bool) -> str:
    """Return the name of the operator for a family; physical: with physical clipping."""
    words = "sparse_update", family, *(["physical"] if physical else [])
    return re.sub(r"\W", "_", "_".join(words))


@cache
def operator(family: str, physical: bool) -> Callable[..., None]:
    """Return the operator for a family, which compiled programs in the cache call by its name."""
    name = f"magnetoionic::{name_of(family, physical)}"
    torch.library.define(name, ARGUMENTS)
    torch.library.register_fake(name, lambda *arguments: None)
    return getattr(torch.ops.magnetoionic, name_of(family, physical))


def has_kernel(pairs: PairArray, programming: Programming) -> bool:
    """Whether the kernel can program these pairs; it is built if necessary.

    The kernel draws no write noise.
    """
    responses = pairs.responses
    if programming.write_noise is not None or pairs.weight.dtype != torch.float32:
        return False
    kind = responses.family.family, programming.physical is not None
    return is_available(*kind, pairs.weight.device)


def is_available(family: str, physical: bool, device: torch.device) -> bool:
    """Whether there is a kernel for a family on a device; physical: with physical clipping.

    There is none for a family whose equation has operations that the printer cannot write as C++.
    """
    kernel = kernel_of(family, physical)
    if device.type != "cpu" or kernel is None:
        return False
    operator(family, physical)
    load_kernels([kernel])
    return is_loaded(kernel)


def kernel_of(family: str, physical: bool) -> tuple[Path, str] | None:
    """Return the C++ file and the formulas of the kernel for a family; None if there is none."""
    try:
        text = formulas(family, physical)
    except NotImplementedError:
        return None
    return SOURCE, f'{text}\n#define OPERATOR "{name_of(family, physical)}"\n'


def write(
    batch: SparseBatch,
    grad_voltage: Tensor,
    pairs: PairArray,
    in_range: Tensor,
    programming: Programming,
    account: Account | None = None,
) -> None:
    """Program the pairs of the first layer, in blocks and in place, by the gradient dL/dW = g I^T.

    grad_voltage: g = dL/dV [model, out, batch], multiplied by the gain if there is one. in_range:
    bool [model, block], true if an update without a pulse is known to leave all pairs of a block as
    they are, so that the kernel can skip them; the kernel updates it. Raises TypeError if the
    account has another precision than the kernel.
    """
    responses, family = pairs.responses, pairs.responses.family.family
    physical = programming.physical is not None
    constants = {name: getattr(responses, name) for name in LIMITS}
    constants |= responses.equation.constants
    constants |= {"learning_rate": programming.learning_rate, "clipping": programming.clipping}
    if physical:
        constants["physical"] = programming.physical.float()
    costs = [None] * 4 if account is None else account.tensors
    if any(each is not None and each.dtype != torch.float64 for each in costs[:3]):
        raise TypeError("pulses are added up in double precision")
    if costs[3] is not None and costs[3].dtype != torch.float32:
        raise TypeError("refreshes are counted in single precision")
    operator(family, physical)(
        *batch.by_input.tensors,
        batch.first_input,
        grad_voltage.contiguous(),
        [constants[name] for name in names_of(family, physical)],
        list(responses.equation.tables),
        pairs.weight1,
        pairs.weight2,
        pairs.slope1,
        pairs.slope2,
        pairs.weight,
        in_range,
        *costs,
        batch.n_inputs,
    )
