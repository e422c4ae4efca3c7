"""Gradient and update of the first layer in one pass, on a CPU, by what is lit alone.

The kernel (sparse_update.cpp) multiplies out the gradient of two inputs, writes their pairs and
goes on, so that no gradient is written to memory and read again. Without light an input has no
gradient, so no pulse, and its pairs are passed over; so are the 32 pairs of a block if none of them
receives a pulse. Pairs that an update changes even so are looked for in blocks which are not known
to be at rest (see PairArray). The formulas are those of devices.programming, from there.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from devices import native
from devices.formulas import LIMITS, constants_of, formulas, names_of
from devices.ledger import Account
from devices.lookup import sizes_of
from devices.pair import PairArray
from devices.programming import PulseOptimizer
from devices.responses import Table
from models.sparse_matmul import SparseBatch, addresses_from

SOURCE = Path(__file__).with_suffix(".cpp")


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
    if device.type != "cpu":
        return False
    try:
        return native.has_kernel(SOURCE, device, formulas(family, physical))
    except NotImplementedError:
        return False


def step(
    batch: SparseBatch, grad_voltage: Tensor, array: PairArray, optimizer: PulseOptimizer,
    account: Account | None = None,
) -> None:  # fmt: skip
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
    torch.ops.magnetoionic.sparse_update(
        *batch.by_input.tensors, batch.first_input, grad_voltage,
        [constants[name] for name in names_of(family, physical)], tables, knots, array.weight1,
        array.weight2, array.slope1, array.slope2, array.weight, array.at_rest, *costs,
        batch.n_inputs, family, physical,
    )  # fmt: skip


# An operator of its own, so that compiled programs can call it.
torch.library.define(
    "magnetoionic::sparse_update",
    "(Tensor offsets, Tensor rows, Tensor columns, Tensor values, Tensor first, Tensor gradient, "
    "Tensor[] constants, Tensor[] tables, int knots, Tensor(a!) weight1, Tensor(b!) weight2, "
    "Tensor slope1, Tensor slope2, Tensor(c!) weight, Tensor(d!) at_rest, Tensor(e!)? totals, "
    "Tensor(f!)? pulses1, Tensor(g!)? pulses2, Tensor(h!)? refreshes, int n_inputs, str family, "
    "bool physical) -> ()",
)


@torch.library.impl("magnetoionic::sparse_update", "CPU")
def _(
    offsets, rows, columns, values, first, gradient, constants, tables, knots: int,
    weight1, weight2, slope1, slope2, weight, at_rest, totals, pulses1, pulses2, refreshes,
    n_inputs: int, family: str, physical: bool,
) -> None:  # fmt: skip
    gradient = gradient.contiguous()
    models, n_outputs, n_images = gradient.shape
    kept = totals, pulses1, pulses2, refreshes
    if any(each is not None and each.dtype != torch.float64 for each in kept[:3]):
        raise TypeError("pulses are added up in double precision")
    if refreshes is not None and refreshes.dtype != torch.float32:
        raise TypeError("refreshes are counted in single precision")
    costs = [None if each is None else each.data_ptr() for each in kept]
    kinds = 18 * "p" + "nnnnt"
    native.function(SOURCE, "sparse_update", kinds, formulas(family, physical))(
        *addresses_from((offsets, rows, columns, values), first), gradient.data_ptr(),
        native.addresses(constants), native.addresses(tables), sizes_of(tables, knots),
        weight1.data_ptr(), weight2.data_ptr(), slope1.data_ptr(), slope2.data_ptr(),
        weight.data_ptr(), at_rest.data_ptr(), *costs, models, n_inputs, n_images, n_outputs,
        torch.get_num_threads(),
    )  # fmt: skip


@torch.library.register_fake("magnetoionic::sparse_update")
def _(*arguments) -> None:
    return None
