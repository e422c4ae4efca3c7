"""Programs that PyTorch's compiler makes of a module's call, and their cache on disk.

The name of a program in the cache is a hash of all that it depends on: the call, the shapes of its
tensors, the project's sources, PyTorch, the processor and the number of threads. Loading it takes a
moment and no autograd, so that processes may be forked afterwards.
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
NAMESPACE = "magnetoionic"  # of the project's operators
ROOMS = ("devices", "models", "utils")  # whose sources a program may depend on


class Composite(Protocol):
    """An input of several tensors; `form` is all that a program may depend on, shapes included."""

    form: Hashable
    tensors: Sequence[Tensor]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Composite:
        """The same with other tensors."""


def flat(inputs: Sequence[Tensor | Composite]) -> list[Tensor]:
    """All tensors of a call's inputs."""
    parts = ([each] if isinstance(each, Tensor) else each.tensors for each in inputs)
    return [tensor for part in parts for tensor in part]


def program_path(call: Hashable, tensors: Sequence[Tensor]) -> Path:
    """The file of the program for a call with such tensors, whether it is there or not."""
    shapes = [(tuple(tensor.shape), tensor.stride(), tensor.dtype) for tensor in tensors]
    about = (call, shapes, torch.get_num_threads(), surroundings())
    return cache_folder() / "programs" / hashlib.sha256(repr(about).encode()).hexdigest()[:32]


@cache
def surroundings() -> str:
    """A fingerprint of the project's sources, PyTorch and the processor."""
    digest = hashlib.sha256(f"{torch.__version__} {processor_features()}".encode())
    for room in ROOMS:
        for source in sorted((SOURCES / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def load(path: Path) -> Callable | None:
    """The program in that file; None if there is none, or none that can be read.

    PyTorch caches parts of it elsewhere. Parts that are missing there are compiled one after the
    other: a process forked from this one would wait for ever for threads that had done it.
    """
    if not path.exists():
        return None
    load_compiler()
    from torch._inductor import CompiledArtifact, config

    try:
        with config.patch({"compile_threads": 1}):
            return CompiledArtifact.load(path=str(path), format="binary")
    except Exception:  # whatever a private format raises that is cut short or of another version
        path.unlink(missing_ok=True)
        return None


def save(program, path: Path) -> None:
    """Write a program to disk, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    program.save(path=str(partial), format="binary")
    partial.replace(path)


def compile_program(
    module: nn.Module, inputs: Sequence[Tensor | Composite], cores: int = 1
) -> Callable:
    """The module's call, backward pass and all, as one program of (*state, *flat(inputs)).

    Its result is a list, also of a single tensor. cores: that may compile its parts, by threads
    which are lost where this process is forked later.
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
            if isinstance(each, Tensor)
            else each.with_tensors([next(rest) for _ in each.tensors])
            for each in inputs
        )
        outputs = functional_call(module, buffers, tuple(call))
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

    arguments = [*module.state, *flat(inputs)]
    with torch.autograd.set_multithreading_enabled(False):  # trace the backward pass here, too
        written_out = without_kernel(arguments[0].device)
        graph = make_fx(pure, decomposition_table=written_out, tracing_mode="fake")(*arguments)
    # The graph's own stand-ins for the arguments: their sizes are numbers, not symbols.
    arguments = [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")]
    settings = {
        "cpp.threads": torch.get_num_threads(),
        "size_asserts": False,
        "compile_threads": cores,
    }
    with config.patch(settings):
        return standalone_compile(graph, arguments)


def without_kernel(device: torch.device) -> dict[OpOverload, Callable]:
    """The project's operators that have no kernel on a device, and what computes them in Python.

    A program contains the operations of these, so that they are fused with those around them.
    """
    default = torch._C.DispatchKey.CompositeExplicitAutograd
    own = torch._C._dispatch_key_for_device(device.type)
    found = {}
    for name in torch._C._dispatch_get_registrations_for_dispatch_key(default.name):
        namespace, _, operator = name.partition("::")
        if namespace != NAMESPACE or torch._C._dispatch_has_kernel_for_dispatch_key(name, own):
            continue
        overload = getattr(getattr(torch.ops, namespace), operator).default
        found[overload] = partial(overload._op_dk, default)
    return found


def load_compiler() -> None:
    """Import the compiler, which takes seconds and reads then where its cache is."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder()))
    # It warns, on machines with the CUDA toolkit and no GPU, of what was found out long before,
    # and on machines with one that float32 is not TF32, which is meant.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")
    import torch._inductor.compile_fx
    import torch._inductor.runtime.triton_heuristics
    import torch.fx.experimental.proxy_tensor

    if torch._inductor.config.cpp.vec_isa_ok is None:  # TORCHINDUCTOR_VEC_ISA_OK is not set
        # Vectors are those that the processor says it has: trying each takes ten seconds.
        torch._inductor.config.cpp.vec_isa_ok = True
    if "TORCH_LOGS" not in os.environ:  # a kernel that fails is one line, not its source
        logging.getLogger("torch._inductor.runtime.triton_heuristics").setLevel(logging.CRITICAL)
