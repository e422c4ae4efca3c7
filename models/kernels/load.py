"""Loading of the kernels: C++ in place of Python for the operators of namespace `magnetoionic`.

An operator is defined once, beside its implementation in PyTorch's operations, which computes it
anywhere (key CompositeExplicitAutograd). A kernel that is loaded is the implementation on the CPU:
PyTorch's dispatcher takes it from then on, in compiled programs, too, where the operations in
Python are written out otherwise (see utils.compute.programs). So nobody who calls an operator asks
which of them computes.
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
GENERAL = NOISE, MATMUL, SPARSE_INPUTS, SPARSE_MATMUL  # that do not depend on the devices
SPARSE_PRODUCTS = SPARSE_INPUTS, SPARSE_MATMUL
Kernel = tuple[Path, str]  # a C++ file, and what it includes as formulas.h

_loaded: dict[Kernel, CDLL] = {}  # the operators of these are registered
_is_python_only = False


def load_kernels(kernels: Iterable[Kernel] = ()) -> None:
    """Build what is missing, side by side, and register the operators, once in a process.

    kernels: further ones, beside the GENERAL. Processes that are forked afterwards have them, too.
    What cannot be built stays with Python, and `kernel_builder.problems` says so.
    """
    wanted = dict.fromkeys([*GENERAL, *kernels])
    missing = [kernel for kernel in wanted if kernel not in _loaded]
    for kernel, library in zip(missing, kernel_builder.libraries(*missing), strict=True):
        if library is not None:
            _loaded[kernel] = library
            if is_loaded(kernel):
                call(library, "register_operators")


def is_loaded(kernel: Kernel) -> bool:
    """Whether a kernel computes on the CPU."""
    return kernel in _loaded and (kernel in SPARSE_PRODUCTS or not _is_python_only)


def kernels_in_use(device: torch.device) -> dict[str, bool]:
    """Which kernels that round otherwise than PyTorch are in use there; ready for JSON."""
    kernels = {"noise_kernel": NOISE, "product_kernel": MATMUL}
    return {name: device.type == "cpu" and is_loaded(each) for name, each in kernels.items()}


@contextmanager
def python_only() -> Iterator[None]:
    """Compute by PyTorch's own operations meanwhile, as a GPU does, but for sparse products."""
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
    """A function of operator.h, of all libraries but those of sparse products."""
    for kernel, library in _loaded.items():
        if kernel not in SPARSE_PRODUCTS:
            call(library, function)


def call(library: CDLL, function: str) -> None:
    """One of the two functions of operator.h; a library without operators has none."""
    found = getattr(library, function, None)
    if found is not None and found() != 0:
        raise RuntimeError(f"{function} of {library._name} failed")
