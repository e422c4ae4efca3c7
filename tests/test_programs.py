"""Compiled programs on disk: compiled once, by another process, and loaded here."""

import shutil

import pytest
import torch
from conftest import COMPILERS_FOLDER
from torch import nn

from utils.compute import compiler, programs
from utils.compute.compiler import Compiler
from utils.compute.programs import program_path


class Counting(nn.Module):
    """Adds what it is given to its buffer, and returns its double."""

    structure = "counting"

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))

    @property
    def state(self):
        return (self.total,)

    def forward(self, values):
        self.total += values
        return 2 * values


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory):
    """A cache with one program and its parts."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        use(folder, patch)
        call(Compiler(enabled=True))
    return folder


@pytest.fixture
def program(filled_cache, tmp_path, monkeypatch):
    """The file of the program in a copy of that cache, which is the test's."""
    shutil.copytree(filled_cache, tmp_path, dirs_exist_ok=True)
    use(tmp_path, monkeypatch)
    (path,) = (tmp_path / "magnetoionic" / "programs").iterdir()
    return path


def use(cache, patch) -> None:
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.setenv(COMPILERS_FOLDER, str(cache / "parts"))


def call(compiler: Compiler) -> None:
    """The totals by hand are 1, 3 and 5 after 1, 2, 3 and 0, 1, 2; then the last one doubled."""
    module = Counting()
    compiler.prepare("counting", lambda: compiler(Counting(), torch.zeros(3)))
    assert compiler.failure is None
    compiler(module, torch.tensor([1.0, 2.0, 3.0]))
    doubled = compiler(module, torch.tensor([0.0, 1.0, 2.0]))
    assert module.total.tolist() == [1.0, 3.0, 5.0]
    assert doubled.tolist() == [0.0, 2.0, 4.0]


def test_a_program_is_compiled_once(program, monkeypatch):
    monkeypatch.setattr(compiler, "compile_program", lambda *_: pytest.fail("compiled again"))
    call(Compiler(enabled=True))


def test_without_a_cache_a_program_is_compiled_for_this_process(monkeypatch):
    """A run logs it: see test_startup_messages.py."""
    monkeypatch.delenv(COMPILERS_FOLDER, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    call(Compiler(enabled=True))


def test_a_damaged_program_is_compiled_again(program):
    content = program.read_bytes()
    program.write_bytes(content[: len(content) // 2])
    call(Compiler(enabled=True))
    assert program.stat().st_size > len(content) // 2


def test_parts_that_are_gone_are_compiled_without_threads(program, tmp_path, monkeypatch):
    """A process forked from this one would lack the threads, and wait for them."""
    from torch._inductor import config
    from torch._inductor.async_compile import AsyncCompile
    from torch._inductor.utils import clear_caches

    parts = tmp_path / "parts"
    shutil.rmtree(parts)
    clear_caches()  # as in a process that has loaded none of them
    monkeypatch.setattr(AsyncCompile, "pool", lambda: pytest.fail("threads"))
    with config.patch({"compile_threads": 2}):  # as on two cores
        call(Compiler(enabled=True))
    assert list(parts.rglob("*.so"))  # they were compiled, and here


def test_the_name_of_a_program_depends_on_all_that_it_depends_on(monkeypatch):
    tensors = [torch.zeros(2, 3)]
    torch.set_num_threads(1)
    path = program_path("call", tensors)
    assert program_path("call", [torch.zeros(2, 3)]) == path
    assert program_path("another", tensors) != path
    for other in (torch.zeros(3, 2), torch.zeros(3, 2).T, torch.zeros(2, 3).double()):
        assert program_path("call", [other]) != path
    torch.set_num_threads(2)
    assert program_path("call", tensors) != path
    torch.set_num_threads(1)
    monkeypatch.setattr(programs, "surroundings", lambda: "another version of the sources")
    assert program_path("call", tensors) != path
