"""How a module's call runs: eagerly, or compiled into one program.

Both run the same Python function. A compiled program is a pure function of the module's buffers,
so the networks of a run, which are modules of equal structure, share one; the compiler keeps it
on disk for the next run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.compute.processor import OutOfMemory, memory_errors
from utils.console import say

TESTED = (2, 11), (2, 14)  # PyTorch: what is used of its compiler is private, and may change


class Compiler:
    """Calls modules: as they are, or as compiled programs."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.failure: str | None = None
        self.programs: dict[Hashable, Callable] = {}
        self.prepared: set[Hashable] = set()

    def __call__(self, module: nn.Module, *inputs: Tensor):
        """`module(*inputs)`; its buffers change in place, as they would in the call.

        The module has a hashable `structure`, and its buffers in a tuple `state`.
        """
        if not self.enabled:
            return module(*inputs)
        key = (module.structure, module.training, *(tensor.shape for tensor in inputs))
        if key not in self.programs:
            self.programs[key] = compile_program(module, inputs)
        return self.programs[key](*module.state, *inputs)

    def is_prepared(self, structure: Hashable) -> bool:
        """Whether nothing is left to compile for modules of this structure."""
        return not self.enabled or structure in self.prepared

    def prepare(self, structure: Hashable, rehearse: Callable[[], None]) -> None:
        """Compile what `rehearse` calls for modules of this structure.

        Should it fail, go on uncompiled; `failure` then tells why. Raises OutOfMemory if memory
        does not suffice.
        """
        try:
            with memory_errors():
                rehearse()
            self.prepared.add(structure)
        except OutOfMemory:
            raise
        except Exception as error:  # whatever a private interface, or its cache on disk, raises
            lines = [line for line in str(error).splitlines() if line.strip()]
            self.fall_back(lines[0].strip() if lines else type(error).__name__)

    def fall_back(self, failure: str) -> None:
        """Go on uncompiled, since compiling failed here or in another process."""
        self.enabled, self.failure = False, failure


def warn_of_newer_torch(version: str = torch.__version__) -> None:
    """A line if the compiler is newer than those that were tested."""
    major, minor = (int(part) for part in version.split(".")[:2])
    oldest, newest = TESTED
    if (major, minor) > newest:
        tested = " to ".join(f"{major}.{minor}" for major, minor in (oldest, newest))
        say(
            f"PyTorch {version} is newer than what was tested ({tested}); should compiling fail, "
            "the run goes on uncompiled"
        )


def compile_program(module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable:
    """The module's call, backward pass and all, as one program of (*state, *inputs)."""
    load_compiler()
    from torch._inductor import config, standalone_compile
    from torch.func import functional_call
    from torch.fx.experimental.proxy_tensor import make_fx

    names = [name for name, _ in module.named_buffers()]

    def pure(*tensors: Tensor):
        buffers = dict(zip(names, tensors, strict=False))
        return functional_call(module, buffers, tensors[len(names) :])

    arguments = [*module.state, *inputs]
    with torch.autograd.set_multithreading_enabled(False):  # trace the backward pass here, too
        graph = make_fx(pure, tracing_mode="fake")(*arguments)
    # Programs are made for a number of threads, and kept on disk under what is patched here.
    with config.patch({"cpp.threads": torch.get_num_threads()}):
        return standalone_compile(graph, arguments)


def load_compiler() -> None:
    """Import it, which takes seconds; it wants to know then where its programs are kept."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder()))
    # It warns, on machines with the CUDA toolkit and no GPU, of what was found out long before.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    import torch._inductor.compile_fx
    import torch.fx.experimental.proxy_tensor  # noqa: F401


def cache_folder() -> Path:
    """Where compiled programs are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "magnetoionic"
