"""Compiled programs on disk: made once, by another process, and loaded here."""

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


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of kept programs, empty at first, as is that of their parts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(COMPILERS_FOLDER, str(tmp_path / "parts"))
    return tmp_path / "magnetoionic" / "programs"


def call(mine: Compiler) -> None:
    """The totals by hand are 1, 3 and 5 after 1, 2, 3 and 0, 1, 2; then the last one doubled."""
    module = Counting()
    mine.prepare("counting", lambda: mine(Counting(), torch.zeros(3)))
    assert mine.failure is None
    mine(module, torch.tensor([1.0, 2.0, 3.0]))
    doubled = mine(module, torch.tensor([0.0, 1.0, 2.0]))
    assert module.total.tolist() == [1.0, 3.0, 5.0]
    assert doubled.tolist() == [0.0, 2.0, 4.0]


def test_a_program_is_made_once_and_kept(kept, monkeypatch):
    call(Compiler(enabled=True))
    assert len(list(kept.iterdir())) == 1
    monkeypatch.setattr(compiler, "compile_program", lambda *_: pytest.fail("made again"))
    call(Compiler(enabled=True))


def test_without_a_cache_a_program_is_made_for_this_process(monkeypatch):
    """A run logs it: see test_startup_messages.py."""
    monkeypatch.delenv(COMPILERS_FOLDER, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    call(Compiler(enabled=True))


def test_a_damaged_program_is_made_again(kept):
    call(Compiler(enabled=True))
    (path,) = kept.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    call(Compiler(enabled=True))
    assert path.stat().st_size > len(whole) // 2


def test_parts_that_are_gone_are_made_without_threads(kept, tmp_path, monkeypatch):
    """A process forked from this one would lack the threads, and wait for them."""
    from torch._inductor import config
    from torch._inductor.async_compile import AsyncCompile
    from torch._inductor.utils import clear_caches

    call(Compiler(enabled=True))
    parts = tmp_path / "parts"
    shutil.rmtree(parts)
    clear_caches()  # as in a process that has loaded none of them
    monkeypatch.setattr(AsyncCompile, "pool", lambda: pytest.fail("threads"))
    with config.patch({"compile_threads": 2}):  # as on two cores
        call(Compiler(enabled=True))
    assert list(parts.rglob("*.so"))  # they were made, and here


def test_a_program_is_kept_for_all_that_it_depends_on(monkeypatch):
    tensors = [torch.zeros(2, 3)]
    torch.set_num_threads(1)
    mine = program_path("call", tensors)
    assert program_path("call", [torch.zeros(2, 3)]) == mine
    assert program_path("another", tensors) != mine
    assert program_path("call", [torch.zeros(3, 2)]) != mine
    assert program_path("call", [torch.zeros(3, 2).T]) != mine
    assert program_path("call", [torch.zeros(2, 3, dtype=torch.float64)]) != mine
    torch.set_num_threads(2)
    assert program_path("call", tensors) != mine
    torch.set_num_threads(1)
    monkeypatch.setattr(programs, "surroundings", lambda: "another version of the sources")
    assert program_path("call", tensors) != mine
