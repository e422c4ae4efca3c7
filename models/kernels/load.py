"""Loads the kernels: C++ in place of Python for the operators of namespace `magnetoionic`.

An operator is defined once, next to its implementation in PyTorch's operations, which runs anywhere
(key CompositeExplicitAutograd). A kernel that is loaded is the implementation on the CPU: PyTorch's
dispatcher chooses it from then on. Compiled programs call it, too; without it, they contain the
operations of the Python implementation (see utils.compute.programs). So code that calls an operator
need not know which implementation runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ctypes import CDLL
from pathlib import Path

import torch

from utils.compute import kernel_builder

FOLDER = Path(__file__).parent
NOISE, MATMUL, SPARSE_INPUTS, SPARSE_MATMUL = (
    (FOLDER / f"{name}.cpp", "") for name in ("noise", "matmul", "sparse_inputs", "sparse_matmul")
)
GENERAL = NOISE, MATMUL, SPARSE_INPUTS, SPARSE_MATMUL  # kernels that do not depend on the devices
SPARSE_PRODUCTS = SPARSE_INPUTS, SPARSE_MATMUL
Kernel = tuple[Path, str]  # a C++ file, and the text that it includes as formulas.h

_loaded: dict[Kernel, CDLL] = {}  # kernels whose operators are registered
_is_python_only = False


def load_kernels(kernels: Iterable[Kernel] = ()) -> None:
    """Build missing kernels, side by side, and register their operators, once in a process.

    kernels: kernels besides the GENERAL ones. Processes that are forked afterwards have them, too.
    If a kernel cannot be built, Python computes, and `kernel_builder.problems` describes why.
    """
    wanted = dict.fromkeys([*GENERAL, *kernels])
    missing = [kernel for kernel in wanted if kernel not in _loaded]
    for kernel, library in zip(missing, kernel_builder.libraries(*missing), strict=True):
        if library is not None:
            _loaded[kernel] = library
            if is_loaded(kernel):
                call(library, "register_operators")


def is_loaded(kernel: Kernel) -> bool:
    """Whether a kernel is the CPU's implementation now."""
    return kernel in _loaded and (kernel in SPARSE_PRODUCTS or not _is_python_only)


def kernels_in_use(device: torch.device) -> dict[str, bool]:
    """Return, ready for JSON, which kernels that round differently from PyTorch a device uses."""
    kernels = {"noise_kernel": NOISE, "product_kernel": MATMUL}
    return {name: device.type == "cpu" and is_loaded(kernel) for name, kernel in kernels.items()}


@contextmanager
def python_only() -> Iterator[None]:
    """Compute with PyTorch's operations within the context, but for sparse products."""
    global _is_python_only
    if _is_python_only:
        yield
        return
    call_switched("unregister_operators")
    _is_python_only = True
    try:
        yield
    finally:
        _is_python_only = False
        call_switched("register_operators")


def call_switched(function: str) -> None:
    """Call a function of operator.h in all libraries but those of sparse products."""
    for kernel, library in _loaded.items():
        if kernel not in SPARSE_PRODUCTS:
            call(library, function)


def call(library: CDLL, function: str) -> None:
    """Call one of operator.h's two functions, if the library has operators.

    Raises RuntimeError if the function fails.
    """
    registration = getattr(library, function, None)
    if registration is not None and registration() != 0:
        raise RuntimeError(f"{function} of {library._name} failed")
