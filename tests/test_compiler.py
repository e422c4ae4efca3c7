"""Compiling, and going on without it where it fails."""

import pytest
import torch
from conftest import members_of, setting_of

from utils.compute import compiler
from utils.compute.cache import cache_folder
from utils.compute.compiler import Compiler, warn_of_newer_torch
from utils.compute.processor import OutOfMemoryError
from utils.training.trainer import Trainer

ERRORS = [  # of a private interface, in a PyTorch of another version
    (ImportError("cannot import name 'standalone_compile'"), "cannot import name 'standalone_"),
    (AssertionError(), "AssertionError"),
    (TypeError("compile_fx() got an unexpected argument"), "compile_fx() got an unexpected"),
    (RuntimeError("\n  no C++ compiler found\nset CXX"), "no C++ compiler found"),
    (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
]


def failing(monkeypatch, tmp_path, error: Exception) -> None:
    """Compiling fails, and nothing is cached from earlier."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def compile_program(module, inputs, cores=1):
        raise error

    monkeypatch.setattr(compiler, "compile_program", compile_program)


@pytest.mark.parametrize(("error", "reason"), ERRORS, ids=lambda value: type(value).__name__)
def test_any_failure_falls_back_and_leaves_the_networks_as_they_are(
    error, reason, currents, monkeypatch, tmp_path
):
    failing(monkeypatch, tmp_path, error)
    trainer = Trainer(members_of(setting_of()), currents, Compiler(enabled=True))
    trainer.prepare()
    assert not trainer.compiler.enabled
    assert trainer.compiler.failure.startswith(reason)
    assert "\n" not in trainer.compiler.failure
    fresh = Trainer(members_of(setting_of()), currents, Compiler(enabled=False))
    for actual, expected in zip(trainer.ensemble.state, fresh.ensemble.state, strict=True):
        assert torch.equal(actual, expected) or actual.isnan().equal(expected.isnan())


@pytest.mark.parametrize(("error", "reason"), ERRORS[1:4], ids=lambda value: type(value).__name__)
def test_a_run_goes_on_uncompiled_with_one_line(error, reason, simulate, monkeypatch, tmp_path):
    (expected,) = simulate("--compile off")
    failing(monkeypatch, tmp_path, error)
    (record,) = simulate("--compile on")
    lines = [line for line in simulate.errors.splitlines() if "failed" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"compiling the training step failed ({reason}")
    assert "runs uncompiled" in lines[0]
    assert "Traceback" not in simulate.errors
    assert record.json["compiled"] is False
    assert record.json["loss"] == expected.json["loss"]
    assert torch.equal(record.state["layers.1.weight1"], expected.state["layers.1.weight1"])


def test_too_little_memory_is_no_failure_of_the_compiler():
    """The memory may be enough for fewer networks."""

    def rehearse():
        torch.empty(1 << 60, dtype=torch.uint8)

    caller = Compiler(enabled=True)
    with pytest.raises(OutOfMemoryError):
        caller.prepare("structure", rehearse)
    assert caller.enabled
    assert caller.failure is None
    assert not caller.is_prepared("structure")


def test_what_is_prepared_is_not_prepared_again():
    caller, calls = Compiler(enabled=True), []
    assert not caller.is_prepared("structure")
    caller.prepare("structure", lambda: calls.append("rehearsed"))
    assert calls == ["rehearsed"]
    assert caller.is_prepared("structure")
    assert not caller.is_prepared("another structure")
    assert Compiler(enabled=False).is_prepared("another structure")


def test_after_a_failure_elsewhere_modules_are_called_as_they_are(monkeypatch):
    monkeypatch.setattr(compiler, "compile_program", lambda *_: pytest.fail("compiled"))
    caller = Compiler(enabled=True)
    caller.fall_back("it failed in another process")
    assert caller.failure == "it failed in another process"
    assert torch.equal(caller(torch.nn.ReLU(), torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize("version", ["2.11.0", "2.14.1+cu130", "2.9.1", "2.14.0a0+gitabc"])
def test_a_tested_torch_is_not_warned_of(version, capsys):
    warn_of_newer_torch(version)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("version", ["2.15.0", "3.0.1+cpu", "2.100"])
def test_a_newer_torch_is_warned_of(version, capsys):
    warn_of_newer_torch(version)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"PyTorch {version} is newer than what was tested (2.11 to 2.14)")
    assert "uncompiled" in line


def test_compiled_programs_are_cached_under_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "magnetoionic"
