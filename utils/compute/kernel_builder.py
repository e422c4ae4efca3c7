"""Builds kernels: functions in C++, which are compiled once for a machine and cached on disk.

The name of a library depends on all that it is built from: source, headers, generated formulas,
flags, compiler, PyTorch and processor, so that different machines may share the cache. A library is
written whole or not at all, with a digest at its end; if it is damaged, or if this machine cannot
load it, it is built again. If anything fails, the user gets one line, and the run continues with
PyTorch's operations.

`torch.utils.cpp_extension` is not used: it pastes paths into a command line, and after a kill its
folder stays locked.
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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

from utils.compute.cache import cache_folder, distrust, processor_features

# Native, so that vectors are as wide as the processor's; errno and traps would prevent vectors.
VECTORS = ["-march=native", "-fno-math-errno", "-fno-trapping-math"]
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fopenmp", *VECTORS]
SWITCH = "MAGNETOIONIC_NATIVE"  # 0: do without kernels
COMPILERS = ("c++", "g++", "clang++")  # tried in turn if CXX is not set
DIGEST_BYTES = hashlib.sha256().digest_size
ARGUMENTS = {"p": ctypes.c_void_p, "n": ctypes.c_int64}
PYTORCH = Path(torch.__file__).parent

_failures: dict[Path, str] = {}  # the reasons, for sources that are not in use
_notes: list[str] = []


class KernelError(Exception):
    """A kernel cannot be built or loaded; the message is the reason in one line."""


def is_wanted() -> bool:
    """Whether kernels are to be built: on Linux, unless the user has switched them off."""
    return sys.platform == "linux" and os.environ.get(SWITCH) != "0"


@cache
def library(source: Path, formulas: str = "") -> ctypes.CDLL | None:
    """Return the functions of a C++ file; None if they cannot be built: see `problems`.

    formulas: the text that the file includes as formulas.h.
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
    """Build several libraries, one on each core; kernels: C++ files with their formulas."""
    if not kernels:
        return []
    with ThreadPoolExecutor(min(len(kernels), os.cpu_count() or 1)) as threads:
        return list(threads.map(lambda kernel: library(*kernel), kernels))


def count_missing(kernels: Iterable[tuple[Path, str]]) -> int:
    """Return how many of these kernels are still to be built."""
    return sum(not path_of(*kernel).exists() for kernel in kernels) if is_wanted() else 0


def problems() -> list[str]:
    """Return messages for the user about the kernels that were requested so far, one line each."""
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
    """Return a function of a C++ file that is built.

    arguments: a letter for each, `p` for the address of an array's data, `n` for a 64-bit number.
    """
    found = getattr(library(source), name)
    found.argtypes, found.restype = [ARGUMENTS[letter] for letter in arguments], None
    return found


def load(source: Path, formulas: str = "") -> ctypes.CDLL:
    """Load a library from the cache, after building it if necessary.

    Raises KernelError and OSError.
    """
    path = path_of(source, formulas)
    if path.exists():
        if reason := distrust(path):
            _notes.append(f"{path} is not loaded but built anew: {reason}")
        elif is_whole(path):
            try:
                return ctypes.CDLL(str(path))
            except OSError:  # it was built for another C library, for example
                pass
    build(source, path, formulas)
    return ctypes.CDLL(str(path))


def path_of(source: Path, formulas: str) -> Path:
    """Return the path of a library in the cache, whether it exists or not.

    Without a compiler, a library that any compiler has built from the same sources is used.
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
    """Whether a library ends with the digest of its content."""
    content = path.read_bytes()
    return hashlib.sha256(content[:-DIGEST_BYTES]).digest() == content[-DIGEST_BYTES:]


def build(source: Path, target: Path, formulas: str) -> None:
    """Compile in a temporary folder, then move the whole library to its place."""
    command = compiler()
    if command is None:
        raise KernelError("no C++ compiler was found; install g++")
    folder = Path(tempfile.mkdtemp(prefix=f".{source.stem}-", dir=target.parent))
    try:
        (folder / "formulas.h").write_text(formulas, encoding="utf-8")
        compiled, made = folder / "kernel.o", folder / target.name
        includes = [f"-I{folder}", f"-I{PYTORCH / 'include'}"]
        run([*command, *FLAGS, *includes, "-c", str(source), "-o", str(compiled)])
        # Not linked with -fopenmp: the library uses PyTorch's OpenMP, whose threads exist already.
        linked = ["-o", str(made), f"-L{PYTORCH / 'lib'}", "-ltorch_cpu"]
        run([*command, "-shared", str(compiled), *linked])
        content = made.read_bytes()
        with made.open("wb") as file:  # the loader ignores what follows the library
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        made.chmod(0o700)
        made.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(command: list[str]) -> str:
    """Return what a command prints. Raises KernelError, with its first error, if it fails."""
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
    """Return the command of the C++ compiler, CXX if that is set; None if there is none."""
    named = shlex.split(os.environ.get("CXX", ""))
    if named:
        return tuple(named)
    return next(((name,) for name in COMPILERS if shutil.which(name)), None)


@cache
def compiler_version(*command: str) -> str:
    """Return what the compiler prints as its version."""
    return run([*command, "--version"])
