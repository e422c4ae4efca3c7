"""Calls modules eagerly or as compiled programs.

Both run the same Python function. A compiled program is a pure function of the module's buffers,
so the networks of a run, which are modules of equal structure, share one; the compiler keeps it
on disk for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from utils.compute.processor import OutOfMemoryError, memory_errors, usable_cores
from utils.compute.programs import (
    CompilableModule,
    Composite,
    compile_program,
    flat,
    load,
    program_path,
    save,
)
from utils.compute.worker import call_in_fork, can_fork
from utils.console import log

TESTED_TORCH = (2, 11), (2, 14)  # PyTorch: what is used of its compiler is private, and may change


class MissingProgramError(Exception):
    """A program is not in the cache and must not be compiled in this process."""


class Compiler:
    """Calls modules: as they are, or as compiled programs."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.failure: str | None = None
        self.programs: dict[Hashable, Callable] = {}
        self.prepared: set[Hashable] = set()
        self.may_compile, self.cores = True, 1

    def __call__(self, module: CompilableModule, *inputs: Tensor | Composite):
        """Return `module(*inputs)`; its buffers change in place, as in an ordinary call."""
        if not self.enabled:
            return module(*inputs)
        forms = (
            argument.shape if isinstance(argument, Tensor) else argument.form for argument in inputs
        )
        key = (module.structure, module.training, *forms)
        program = self.programs.get(key)
        if program is None:
            program = self.programs[key] = self.program(key, module, inputs)
        outputs = program(*module.state, *flat(inputs))
        return outputs[0] if len(outputs) == 1 else outputs

    def program(
        self, key: Hashable, module: CompilableModule, inputs: Sequence[Tensor | Composite]
    ) -> Callable:
        """Return the program of a call, from the cache, or compiled and added to the cache.

        If no process can be forked, as on a GPU, the cache is not used, as it would save nothing.
        Raises MissingProgramError if the program is not in the cache and must not be compiled in
        this process.
        """
        if not can_fork():
            return compile_program(module, inputs)
        path = program_path(key, [*module.state, *flat(inputs)])
        program = load(path)
        if program is None:
            if not self.may_compile:
                raise MissingProgramError
            program = compile_program(module, inputs, self.cores)
            save(program, path)
        return program

    def is_prepared(self, structure: Hashable) -> bool:
        """Whether all programs for modules of this structure are ready."""
        return not self.enabled or structure in self.prepared

    def prepare(self, structure: Hashable, rehearse: Callable[[], None]) -> None:
        """Compile the programs that `rehearse` calls, for modules of this structure.

        Programs that are not in the cache are compiled in a fork of this process if possible: a
        process that has differentiated can no longer be forked for workers. If compiling fails,
        calls run uncompiled, and `failure` is the reason. Raises OutOfMemoryError.
        """
        try:
            with memory_errors():
                self.may_compile = not can_fork()
                try:
                    rehearse()
                except MissingProgramError:
                    self.may_compile = True
                    call_in_fork(lambda: self.compile_in_fork(rehearse), torch.get_num_threads())
                    rehearse()
            self.prepared.add(structure)
        except OutOfMemoryError:
            raise
        except Exception as error:  # whatever a private interface, or its cache on disk, raises
            self.fall_back(first_line(error))
        finally:
            self.may_compile = True

    def compile_in_fork(self, rehearse: Callable[[], None]) -> None:
        """Compile with all cores, in a process that ends afterwards."""
        self.cores = usable_cores()
        rehearse()

    def fall_back(self, failure: str) -> None:
        """Run all further calls uncompiled, since compiling failed here or in another process."""
        self.enabled, self.failure = False, failure


def first_line(error: Exception) -> str:
    """Return the first line of an error's message that is not empty, or else its type."""
    lines = str(error).splitlines()
    return next((line.strip() for line in lines if line.strip()), type(error).__name__)


def warn_of_newer_torch(version: str = torch.__version__) -> None:
    """Log a line if the compiler is newer than those that were tested."""
    major, minor = (int(part) for part in version.split(".")[:2])
    oldest, newest = TESTED_TORCH
    if (major, minor) > newest:
        tested = " to ".join(f"{major}.{minor}" for major, minor in (oldest, newest))
        log(
            f"PyTorch {version} is newer than what was tested ({tested}); should compiling fail, "
            "the run goes on uncompiled"
        )
