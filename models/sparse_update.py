"""Gradient and update of the first layer in one pass, on a CPU, for sparse inputs.

The kernel (sparse_update.cpp) computes the gradient of two inputs and programs their pairs before
it takes the next two, so that no gradient is written to memory and read again. An input that is
zero in a whole batch has no gradient, so its pairs receive no pulse and are skipped; so are the 32
pairs of an input in a block if none of them receives a pulse. Even without a pulse, pairs beyond
their range are clamped or refreshed; the kernel looks for them in blocks that may have some
(`in_range` is false) if pairs are refreshed at all. Numbers for stochastic rounding are drawn where
they are needed; those of the write noise are given. The formulas are printed from
devices.controller and devices.programming.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from devices.controller import Programming
from devices.ledger import RAISED, WEAR, Account
from devices.noise import Draw, Stream
from devices.pair import PairArray
from devices.scheme import NONE, ONE_WAY
from models.kernels.formulas import LIMITS, RISING, UpdateKind, formulas, names_of
from models.kernels.load import is_loaded, load_kernels
from models.sparse_matmul import LISTS, SparseBatch

SOURCE = Path(__file__).parent / "kernels/sparse_update.cpp"
ARGUMENTS = (
    f"({LISTS}, Tensor gradient, Tensor[] constants, Tensor[] tables, "
    "Tensor(a!) weight1, Tensor(b!) weight2, Tensor slope1, Tensor slope2, Tensor(c!) weight, "
    "Tensor(i!)? accumulator, Tensor(d!) in_range, Tensor(e!)? totals, Tensor(f!)? pulses1, "
    "Tensor(g!)? pulses2, Tensor(h!)? refreshes, Tensor(j!)? raised1, Tensor(k!)? raised2, "
    "Tensor? noise, Tensor? noise_up, Tensor seed, Tensor step, int purpose, int n_inputs) -> ()"
)


def name_of(kind: UpdateKind) -> str:
    """Return the name of the operator for a kind of update."""
    scheme = kind.scheme
    words = ["sparse_update", kind.family]
    words += ["physical"] * kind.physical + ["limited"] * kind.limited + ["noisy"] * kind.noisy
    words += [] if scheme.cell == ONE_WAY else [scheme.cell, str(kind.rising)]
    words += [] if scheme.rounding == NONE else [scheme.rounding]
    words += ["accumulate"] * scheme.accumulate
    return re.sub(r"\W", "_", "_".join(words))


@cache
def operator(kind: UpdateKind) -> Callable[..., None]:
    """Return the operator for a kind, which compiled programs in the cache call by its name."""
    name = f"magnetoionic::{name_of(kind)}"
    torch.library.define(name, ARGUMENTS)
    torch.library.register_fake(name, lambda *arguments: None)
    return getattr(torch.ops.magnetoionic, name_of(kind))


def kind_of(pairs: PairArray, programming: Programming) -> UpdateKind:
    """Return the kind of an update of these pairs."""
    return UpdateKind(
        family=pairs.responses.family.family,
        physical=programming.physical is not None,
        limited=programming.max_pulses is not None,
        noisy=programming.write_noise is not None,
        scheme=programming.scheme,
        rising=None if pairs.rising is None else pairs.rising.response.family.family,
    )


def has_kernel(pairs: PairArray, programming: Programming) -> bool:
    """Whether the kernel can program these pairs, in float32; it is built if necessary."""
    if pairs.weight.dtype != torch.float32:
        return False
    return is_available(kind_of(pairs, programming), pairs.weight.device)


def is_available(kind: UpdateKind, device: torch.device) -> bool:
    """Whether there is a kernel for a kind of update on a device.

    There is none for a family whose equation has operations that the printer cannot write as C++.
    """
    kernel = kernel_of(kind)
    if device.type != "cpu" or kernel is None:
        return False
    operator(kind)
    load_kernels([kernel])
    return is_loaded(kernel)


def kernel_of(kind: UpdateKind) -> tuple[Path, str] | None:
    """Return the C++ file and the formulas of the kernel for a kind; None if there is none."""
    try:
        text = formulas(kind)
    except NotImplementedError:
        return None
    return SOURCE, f'{text}\n#define OPERATOR "{name_of(kind)}"\n'


def constants_of(pairs: PairArray, programming: Programming) -> tuple[list[Tensor], list[Tensor]]:
    """Return the constants of the formulas, [model, 1, 1] each, and their tables, in order."""
    responses, rising = pairs.responses, pairs.rising
    constants = {name: getattr(responses, name) for name in LIMITS}
    constants |= responses.equation.constants
    tables = list(responses.equation.tables)
    constants |= {"learning_rate": programming.learning_rate, "clipping": programming.clipping}
    if rising is not None:
        equation = rising.response.equation
        constants |= {RISING + name: value for name, value in equation.constants.items()}
        constants["mirror"] = rising.mirror
        tables += equation.tables
    if programming.max_pulses is not None:
        constants["max_pulses"] = programming.max_pulses
    if programming.write_noise is not None:
        constants["write_noise"] = programming.write_noise
    if programming.physical is not None:
        constants["physical"] = programming.physical.float()
    return [constants[name] for name in names_of(kind_of(pairs, programming))], tables


class Blocks(NamedTuple):
    """The pairs of the first layer in blocks, and which blocks need no update without a pulse.

    in_range: bool [model, block], true if such an update is known to leave all pairs of a block as
    they are, so that the kernel can skip them; the kernel updates it.
    """

    pairs: PairArray
    in_range: Tensor


class BlockDraws(NamedTuple):
    """The random numbers of an update of pairs in blocks.

    stream: of the layer, from which the kernel draws those of stochastic rounding; write, raised:
    those of the write noise, as in `devices.programming.Draws`, in the order of the pairs.
    """

    stream: Stream
    write: Tensor | None = None
    raised: Tensor | None = None


def write(
    batch: SparseBatch,
    grad_voltage: Tensor,
    blocks: Blocks,
    draws: BlockDraws,
    programming: Programming,
    account: Account | None = None,
) -> None:
    """Program the pairs of the first layer, in blocks and in place, by the gradient dL/dW = g I^T.

    grad_voltage: g = dL/dV [model, out, batch], multiplied by the gain if there is one. Raises
    TypeError if the account has another precision than the kernel, or if the batch is of the test
    set.
    """
    if batch.by_input is None:
        raise TypeError("nothing is learned from batches of the test set")
    pairs = blocks.pairs
    costs: list[Tensor | None] = [None] * 6 if account is None else account.tensors
    for name, cost in zip(("sums", *WEAR, *RAISED), costs, strict=True):
        if cost is None:
            continue
        if name != "refreshes" and cost.dtype != torch.float64:
            raise TypeError("pulses are added up in double precision")
        if name == "refreshes" and cost.dtype != torch.float32:
            raise TypeError("refreshes are counted in single precision")
    operator(kind_of(pairs, programming))(
        *batch.by_input.tensors,
        batch.first_input,
        grad_voltage.contiguous(),
        *constants_of(pairs, programming),
        pairs.weight1,
        pairs.weight2,
        pairs.slope1,
        pairs.slope2,
        pairs.weight,
        pairs.accumulator,
        blocks.in_range,
        *costs,
        draws.write,
        draws.raised,
        draws.stream.seed,
        draws.stream.step,
        draws.stream.purpose(Draw.ROUNDING),
        batch.n_inputs,
    )
