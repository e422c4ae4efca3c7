"""Compiles a module's call into a program, and caches programs on disk.

The name of a program in the cache is a hash of all that it depends on: the call, the shapes of its
tensors, the project's sources, PyTorch, the processor and the number of threads. Loading is fast
and uses no autograd, so that processes can be forked afterwards.

The interface to PyTorch's compiler is private, and stands in this module alone. The public one,
torch.compile with torch.compiler.save_cache_artifacts, traces the step in each process, with
autograd. For the step of figure 1 (PyTorch 2.14, two busy cores, one run each), the first step of a
first and of a later process took 45 and 15 s of the same traced graph, 66 and 31 s of the module
itself, whose steps take twice as long, and 35 and 12 s by the private interface.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from utils.compute.cache import cache_folder, processor_features

SOURCES = Path(__file__).parents[2]
NAMESPACE = "magnetoionic"  # the namespace of the project's operators
ROOMS = ("devices", "models", "utils")  # packages on whose sources a program may depend


class Composite(Protocol):
    """An input of several tensors; `form` is all that a program depends on, as their shapes."""

    @property
    def form(self) -> Hashable: ...
    @property
    def tensors(self) -> Sequence[Tensor]: ...
    def with_tensors(self, tensors: Sequence[Tensor]) -> Composite:
        """Return an input of this form with other tensors."""
        ...


class CompilableModule(nn.Module):
    """A module whose call can be compiled.

    structure: all that a program depends on, besides the forms of the inputs; state: the buffers.
    """

    structure: Hashable
    state: tuple[Tensor, ...]


def flat(inputs: Sequence[Tensor | Composite]) -> list[Tensor]:
    """Return all tensors of a call's inputs."""
    parts = (
        [argument] if isinstance(argument, Tensor) else argument.tensors for argument in inputs
    )
    return [tensor for part in parts for tensor in part]


def program_path(call: Hashable, tensors: Sequence[Tensor]) -> Path:
    """Return the path of the program for a call with tensors of these shapes; it may not exist."""
    shapes = [(tuple(tensor.shape), tensor.stride(), tensor.dtype) for tensor in tensors]
    about = (call, shapes, torch.get_num_threads(), surroundings())
    return cache_folder() / "programs" / hashlib.sha256(repr(about).encode()).hexdigest()[:32]


@cache
def surroundings() -> str:
    """Return a hash of the project's sources, PyTorch and the processor."""
    digest = hashlib.sha256(f"{torch.__version__} {processor_features()}".encode())
    for room in ROOMS:
        for source in sorted((SOURCES / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def load(path: Path) -> Callable | None:
    """Return the program in a file; None if there is none, or if it cannot be read.

    PyTorch caches parts of it in another place. Missing parts are compiled one after the other: a
    process forked from this one would wait for ever for the threads of a parallel compilation.
    """
    if not path.exists():
        return None
    load_compiler()
    from torch._inductor import (
        CompiledArtifact,  # pyright: ignore[reportPrivateImportUsage]
        config,
    )

    try:
        with config.patch({"compile_threads": 1}):
            return CompiledArtifact.load(path=str(path), format="binary")
    except Exception:  # a private format raises anything if it is cut short or of another version
        path.unlink(missing_ok=True)
        return None


def save(program, path: Path) -> None:
    """Write a program to disk, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    program.save(path=str(partial), format="binary")
    partial.replace(path)


def compile_program(
    module: CompilableModule, inputs: Sequence[Tensor | Composite], cores: int = 1
) -> Callable:
    """Compile the module's call, including its backward pass, as a program of (*state, *inputs).

    The arguments are all tensors, see `flat`, and the result is a list, even of a single tensor.
    cores: how many cores compile its parts, by threads that processes forked later do not have.
    """
    load_compiler()
    from torch._inductor import config, standalone_compile
    from torch.func import functional_call
    from torch.fx.experimental.proxy_tensor import make_fx

    names = [name for name, _ in module.named_buffers()]

    def pure(*tensors: Tensor):
        buffers = dict(zip(names, tensors, strict=False))
        rest = iter(tensors[len(names) :])
        call = (
            next(rest)
            if isinstance(argument, Tensor)
            else argument.with_tensors([next(rest) for _ in argument.tensors])
            for argument in inputs
        )
        outputs = functional_call(module, buffers, tuple(call))
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    arguments = [*module.state, *flat(inputs)]
    with torch.autograd.set_multithreading_enabled(False):  # trace the backward pass here, too
        written_out = without_kernel(arguments[0].device)
        graph = make_fx(pure, decomposition_table=written_out, tracing_mode="fake")(*arguments)
    # The graph's fake tensors for the arguments, whose sizes are numbers, not symbols.
    arguments = [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")]
    settings = {
        "cpp.threads": torch.get_num_threads(),
        "size_asserts": False,
        "compile_threads": cores,
    }
    with config.patch(settings):
        return standalone_compile(graph, arguments)


def without_kernel(device: torch.device) -> dict[OpOverload, Callable]:
    """Return the project's operators without a kernel on a device, with their Python functions.

    A program contains the operations of these functions, so that they are fused with others.
    """
    default = torch._C.DispatchKey.CompositeExplicitAutograd
    device_key = torch._C._dispatch_key_for_device(device.type)
    found = {}
    for name in torch._C._dispatch_get_registrations_for_dispatch_key(default.name):
        namespace, _, operator = name.partition("::")
        if namespace != NAMESPACE:
            continue
        if torch._C._dispatch_has_kernel_for_dispatch_key(name, device_key):
            continue
        overload = getattr(getattr(torch.ops, namespace), operator).default
        found[overload] = partial(overload._op_dk, default)
    return found


def load_compiler() -> None:
    """Import the compiler, which takes seconds, after setting its cache folder."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder()))
    # On machines with the CUDA toolkit but no GPU it warns of the missing GPU, which is known by
    # now; on machines with a GPU it warns that float32 does not use TF32, which is intended.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
    import torch._inductor.compile_fx
    import torch._inductor.config
    import torch._inductor.runtime.triton_heuristics
    import torch.fx.experimental.proxy_tensor

    if torch._inductor.config.cpp.vec_isa_ok is None:  # TORCHINDUCTOR_VEC_ISA_OK is not set
        # The processor's features are trusted, since trying each kind of vectors takes ten seconds.
        torch._inductor.config.cpp.vec_isa_ok = True
    if "TORCH_LOGS" not in os.environ:  # a kernel that fails is one line, not its source
        logging.getLogger("torch._inductor.runtime.triton_heuristics").setLevel(logging.CRITICAL)
