"""The builder of kernels: functions in C++, compiled once for this machine and kept on disk.

A library is addressed by all that it depends on: source, headers, generated formulas, flags,
compiler, PyTorch and processor, so that machines of different kind may share the folder. It stands
there whole or not at all, with a digest at its end; one that is damaged, or that this machine
cannot load, is built anew. Whatever goes wrong is one line for the user, and the run goes on with
PyTorch's own operations.

`torch.utils.cpp_extension` is not used: it pastes paths into a command line, and what a kill leaves
behind locks its folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

from utils.compute.cache import cache_folder, distrust, processor_features

# Native, so that vectors are as wide as the processor's; errno and traps keep loops from it.
VECTORS = ["-march=native", "-fno-math-errno", "-fno-trapping-math"]
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fopenmp", *VECTORS]
SWITCH = "MAGNETOIONIC_NATIVE"  # 0: do without kernels
COMPILERS = ("c++", "g++", "clang++")  # where CXX names none
DIGEST_BYTES = hashlib.sha256().digest_size
ARGUMENTS = {"p": ctypes.c_void_p, "n": ctypes.c_int64}
PYTORCH = Path(torch.__file__).parent

_failures: dict[Path, str] = {}  # of the sources that are not in use, why
_notes: list[str] = []


class KernelError(Exception):
    """A kernel cannot be built or loaded: why, in one line."""


def is_wanted() -> bool:
    """Whether kernels are to be built here: on Linux, unless the user does without."""
    return sys.platform == "linux" and os.environ.get(SWITCH) != "0"


@cache
def library(source: Path, formulas: str = "") -> ctypes.CDLL | None:
    """The functions of a C++ file; None where they cannot be built, and `problems` says why.

    formulas: what the file includes as formulas.h.
    """
    if not is_wanted():
        return None
    _failures.pop(source, None)
    try:
        return load(source, formulas)
    except (KernelError, OSError) as error:  # the compiler; the disk or the loader
        _failures[source] = str(error)
        return None


def libraries(*kernels: tuple[Path, str]) -> list[ctypes.CDLL | None]:
    """Several at once, each a C++ file and its formulas, compiled side by side."""
    if not kernels:
        return []
    with ThreadPoolExecutor(len(kernels)) as threads:
        return list(threads.map(lambda kernel: library(*kernel), kernels))


def problems() -> list[str]:
    """What the user should know of the kernels asked for so far, one line each."""
    lines = list(_notes)
    if _failures:
        names = ", ".join(sorted(source.name for source in _failures))
        reasons = "; ".join(dict.fromkeys(_failures.values()))
        lines.append(
            f"this run is slower without the C++ kernels {names}: {reasons} ({SWITCH}=0 does "
            "without them)"
        )
    return lines


def function(source: Path, name: str, arguments: str) -> Callable[..., None]:
    """A function of a C++ file that is built.

    arguments: a letter for each, `p` the address of an array's data, `n` a number of 64 bits.
    """
    found = getattr(library(source), name)
    found.argtypes, found.restype = [ARGUMENTS[letter] for letter in arguments], None
    return found


def load(source: Path, formulas: str = "") -> ctypes.CDLL:
    """The library from the cache, built if need be. Raises KernelError and OSError."""
    path = path_of(source, formulas)
    if path.exists():
        if reason := distrust(path):
            _notes.append(f"{path} is not loaded but built anew: {reason}")
        elif is_whole(path):
            try:
                return ctypes.CDLL(str(path))
            except OSError:  # as if it were built for another C library
                pass
    build(source, path, formulas)
    return ctypes.CDLL(str(path))


def path_of(source: Path, formulas: str) -> Path:
    """Where the library is kept, or is to be.

    Without a compiler, one that any compiler has made of the same is taken.
    """
    headers = [path.read_bytes() for path in sorted(source.parent.glob("*.h"))]
    about = [*FLAGS, torch.__version__, platform.machine(), processor_features()]
    parts = [source.read_bytes(), formulas.encode(), *headers, "\0".join(about).encode()]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    stem = f"{source.stem}-{key}"
    command = compiler()
    if command is None:
        built = sorted(cache_folder().glob(f"{stem}-*.so"))
        return built[0] if built else cache_folder() / f"{stem}.so"
    version = hashlib.sha256(compiler_version(*command).encode()).hexdigest()[:8]
    return cache_folder() / f"{stem}-{version}.so"


def is_whole(path: Path) -> bool:
    """Whether a library ends with the digest of all that comes before."""
    content = path.read_bytes()
    return hashlib.sha256(content[:-DIGEST_BYTES]).digest() == content[-DIGEST_BYTES:]


def build(source: Path, target: Path, formulas: str) -> None:
    """Compile in a folder that nobody else uses, then move the whole library to its place."""
    command = compiler()
    if command is None:
        raise KernelError("no C++ compiler was found; install g++")
    folder = Path(tempfile.mkdtemp(prefix=f".{source.stem}-", dir=target.parent))
    try:
        (folder / "formulas.h").write_text(formulas, encoding="utf-8")
        compiled, made = folder / "kernel.o", folder / target.name
        includes = [f"-I{folder}", f"-I{PYTORCH / 'include'}"]
        run([*command, *FLAGS, *includes, "-c", str(source), "-o", str(compiled)])
        # Without -fopenmp: OpenMP is that of PyTorch, whose threads there are already.
        linked = ["-o", str(made), f"-L{PYTORCH / 'lib'}", "-ltorch_cpu"]
        run([*command, "-shared", str(compiled), *linked])
        content = made.read_bytes()
        with made.open("wb") as file:  # the loader passes over what follows the library
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        made.chmod(0o700)
        made.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(command: list[str]) -> str:
    """What a command prints. Raises KernelError, with its first error, if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise KernelError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        line = next((line for line in lines if "error" in line.lower()), lines[0])
        raise KernelError(f"{command[0]} failed: {line.strip()}")
    return done.stdout


@cache
def compiler() -> tuple[str, ...] | None:
    """The command of the C++ compiler, CXX if that is set; None if there is none."""
    named = shlex.split(os.environ.get("CXX", ""))
    if named:
        return tuple(named)
    return next(((name,) for name in COMPILERS if shutil.which(name)), None)


@cache
def compiler_version(*command: str) -> str:
    """What the compiler says of itself."""
    return run([*command, "--version"])
