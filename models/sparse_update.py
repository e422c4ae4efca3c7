"""Gradient and update of the first layer in one pass, on a CPU, by what is lit alone.

The kernel (sparse_update.cpp) multiplies out the gradient of two inputs, writes their pairs and
goes on, so that no gradient is written to memory and read again. Without light an input has no
gradient, so no pulse, and its pairs are passed over; so are the 32 pairs of a block if none of them
receives a pulse. Pairs that an update changes even so are looked for in blocks which are not known
to have none (see PairArray.settled). The formulas are those of devices.programming, from there.
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
from devices.programming import PulseOptimizer
from devices.responses import Table
from models.kernels.formulas import LIMITS, constants_of, formulas, names_of
from models.sparse_matmul import LISTS, SparseBatch
from utils.compute import kernel_builder

SOURCE = Path(__file__).parent / "kernels/sparse_update.cpp"
ARGUMENTS = (
    f"({LISTS}, Tensor gradient, Tensor[] constants, Tensor[] tables, int knots, "
    "Tensor(a!) weight1, Tensor(b!) weight2, Tensor slope1, Tensor slope2, Tensor(c!) weight, "
    "Tensor(d!) settled, Tensor(e!)? totals, Tensor(f!)? pulses1, Tensor(g!)? pulses2, "
    "Tensor(h!)? refreshes, int n_inputs) -> ()"
)


def name_of(family: str, physical: bool) -> str:
    """Of the operator for such devices; physical: if requests are clipped physically."""
    words = "sparse_update", family, *(["physical"] if physical else [])
    return re.sub(r"\W", "_", "_".join(words))


@cache
def operator(family: str, physical: bool) -> Callable[..., None]:
    """That operator, its kernel loaded: programs that were compiled before call it by its name."""
    name = f"magnetoionic::{name_of(family, physical)}"
    torch.library.define(name, ARGUMENTS)
    torch.library.register_fake(name, lambda *arguments: None)
    kernel_builder.library(*kernel_of(family, physical))
    return getattr(torch.ops.magnetoionic, name_of(family, physical))


def has_kernel(array: PairArray, optimizer: PulseOptimizer) -> bool:
    """Whether the kernel can write such pairs; builds it if need be.

    Not with write noise, which it does not draw.
    """
    responses = array.responses
    if optimizer.write_noise is not None or array.weight.dtype != torch.float32:
        return False
    if responses.family is Table and not responses.equation.has_kernel(array.weight):
        return False
    kind = responses.family.family, optimizer.physical is not None
    return is_available(*kind, array.weight.device)


def is_available(family: str, physical: bool, device: torch.device) -> bool:
    """Whether there is a kernel for such devices; physical: if requests are clipped physically.

    There is none for a family whose equation has operations that are not written as C++.
    """
    kernel = kernel_of(family, physical)
    if device.type != "cpu" or kernel is None:
        return False
    operator(family, physical)
    source, text = kernel
    return kernel_builder.has_kernel(source, device, text)


def kernel_of(family: str, physical: bool) -> tuple[Path, str] | None:
    """What it is built from, None if there is none."""
    try:
        text = formulas(family, physical)
    except NotImplementedError:
        return None
    return SOURCE, f'{text}\n#define OPERATOR "{name_of(family, physical)}"\n'


def step(
    batch: SparseBatch,
    grad_voltage: Tensor,
    array: PairArray,
    optimizer: PulseOptimizer,
    account: Account | None = None,
) -> None:
    """`optimizer.step` of the first layer, in place, by g = dL/dV [model, out, batch]."""
    responses, family = array.responses, array.responses.family.family
    physical = optimizer.physical is not None
    constants = {name: getattr(responses, name) for name in LIMITS}
    constants |= {name: getattr(responses.equation, name) for name in constants_of(family)}
    constants |= {"learning_rate": optimizer.learning_rate, "clipping": optimizer.clipping}
    if physical:
        constants["physical"] = optimizer.physical.float()
    tables, knots = [], 0
    if responses.family is Table:
        tables, knots = responses.equation.tensors, responses.equation.knots
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
        tables,
        knots,
        array.weight1,
        array.weight2,
        array.slope1,
        array.slope2,
        array.weight,
        array.settled,
        *costs,
        batch.n_inputs,
    )
