"""Small C++ kernels: built once for this machine by PyTorch's extension builder, kept on disk.

Most are operators of PyTorch, which are defined in Python and work once their library is loaded
(see operator.h). A kernel goes without PyTorch's C++ headers, but for one of macros alone, so it is
built in a second. What is kept is addressed by all that is compiled (source, headers, formulas),
the flags, PyTorch and the processor: machines of different kind may share the folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import torch

from utils.compute.cache import cache_folder, processor_features

# Native, so that vectors are as wide as the processor's; errno and traps keep loops from it.
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math"]
SWITCH = "MAGNETOIONIC_NATIVE"  # 0: do without, as where there is no compiler
IS_PLAIN = ContextVar("whether kernels are left alone", default=False)
KINDS = {"p": ctypes.c_void_p, "n": ctypes.c_int64}


def is_wanted() -> bool:
    """Whether kernels are to be built here: on Linux, unless the user does without."""
    return sys.platform == "linux" and os.environ.get(SWITCH) != "0"


@cache
def library(source: Path, formulas: str = "") -> ctypes.CDLL | None:
    """The functions of a C++ file, or None where they cannot be built here.

    formulas: what the file includes as formulas.h. Without the functions the same is computed by
    PyTorch's own operations, more slowly.
    """
    if not is_wanted():
        return None
    headers = (path.read_text() for path in sorted(source.parent.glob("*.h")))
    text = "\0".join([source.read_text(), formulas, *headers])
    about = [*FLAGS, torch.__version__, platform.machine(), processor_features()]
    key = hashlib.sha256("\0".join([text, *about]).encode()).hexdigest()[:16]
    kept = cache_folder() / f"{source.stem}-{key}.so"
    with suppress(Exception):  # whatever the compiler, the disk or the loader raises
        if not kept.exists():
            build(source, kept, formulas)
        return ctypes.CDLL(str(kept))
    return None


def libraries(*kernels: tuple[Path, str]) -> list[ctypes.CDLL | None]:
    """Of several, each a C++ file and its formulas, built side by side."""
    with unchanged_flags(), ThreadPoolExecutor(len(kernels)) as threads:
        return list(threads.map(lambda kernel: library(*kernel), kernels))


@contextmanager
def unchanged_flags() -> Iterator[None]:
    """How modules are loaded is afterwards as before: PyTorch's builder changes that meanwhile.

    Of several threads one might take what another has changed for what was before.
    """
    flags = sys.getdlopenflags() if is_wanted() else None
    try:
        yield
    finally:
        if flags is not None:
            sys.setdlopenflags(flags)


def has_kernel(source: Path, device: torch.device, formulas: str = "") -> bool:
    """Whether what is computed there is computed by the functions of a C++ file."""
    return device.type == "cpu" and not IS_PLAIN.get() and library(source, formulas) is not None


@contextmanager
def plain() -> Iterator[None]:
    """Compute by PyTorch's own operations meanwhile, as a GPU does, but for sparse products."""
    token = IS_PLAIN.set(True)
    try:
        yield
    finally:
        IS_PLAIN.reset(token)


def function(source: Path, name: str, kinds: str) -> Callable[..., None]:
    """A function of a C++ file that is there.

    kinds: a letter for each argument, `p` the address of an array's data, `n` a number of 64 bits.
    """
    found = getattr(library(source), name)
    found.argtypes, found.restype = [KINDS[kind] for kind in kinds], None
    return found


def build(source: Path, target: Path, formulas: str) -> None:
    """Build in a folder of its own, so that what a kill leaves behind is in nobody's way."""
    # It warns, on machines with the CUDA toolkit and no GPU, of what was found out long before.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    from torch.utils import cpp_extension

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=f".{source.stem}-", dir=target.parent)
    find_ninja()
    (Path(folder) / "formulas.h").write_text(formulas)
    name = target.stem.replace("-", "_")  # its own: of a second one of a name PyTorch makes another
    try:
        cpp_extension.load(
            name,
            [str(source)],
            [*FLAGS, f"-I{folder}"],
            build_directory=folder,
            is_python_module=False,
        )
        (Path(folder) / f"{name}.so").replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_ninja() -> None:
    """Let PyTorch's builder find it beside Python, where an environment is used unactivated."""
    if shutil.which("ninja") is None:
        folders = os.environ.get("PATH"), str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join(filter(None, folders))
