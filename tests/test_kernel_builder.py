"""Kernels are built once, cached whole, and trusted only where they are the user's own."""

import os
from pathlib import Path

import pytest

from utils.compute import cache, kernel_builder
from utils.compute.cache import cache_folder, cache_problem
from utils.compute.kernel_builder import library, problems

NOBODY = 65534  # a user id that owns nothing here
pytestmark = pytest.mark.skipif(kernel_builder.compiler() is None, reason="needs a C++ compiler")
CACHED = library, kernel_builder.compiler, kernel_builder.compiler_version, cache.problem_of
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Forget what was built and found before the test, and after it what the test did."""
    monkeypatch.setattr(kernel_builder, "_failures", {})
    monkeypatch.setattr(kernel_builder, "_notes", [])
    forget()
    yield
    forget()


def forget() -> None:
    """Forget everything, as in a new process."""
    for function in CACHED:
        function.cache_clear()


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A kernel whose function `answer` returns 42, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "answer.cpp"
    path.write_text('extern "C" int answer() { return 42; }')
    return path


def built() -> Path:
    (path,) = cache_folder().iterdir()
    return path


@pytest.fixture
def no_builds(monkeypatch):
    monkeypatch.setattr(kernel_builder, "build", lambda *_: pytest.fail("built again"))


def test_a_kernel_is_built_once(source, request):
    assert library(source).answer() == 42
    assert built().name.startswith("answer-")
    library.cache_clear()
    request.getfixturevalue("no_builds")
    assert library(source).answer() == 42
    assert problems() == []


def test_formulas_make_another_kernel(source):
    source.write_text('#include "formulas.h"\nextern "C" int answer() { return ANSWER; }')
    answers = [library(source, f"#define ANSWER {answer}").answer() for answer in (41, 42)]
    assert answers == [41, 42]


DAMAGES = {
    "empty": lambda content: b"",
    "short": lambda content: content[:-100],
    "other": lambda content: b"\0" + content[1:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_libraries_are_built_anew(damage, source):
    path = kernel_builder.path_of(source, "")
    kernel_builder.build(source, path, "")
    path.write_bytes(damage(path.read_bytes()))
    assert library(source).answer() == 42


def test_a_library_that_cannot_be_loaded_is_built_anew(source, tmp_path):
    """A whole library for another C library: it needs a symbol that does not exist here."""
    path = kernel_builder.path_of(source, "")
    other = tmp_path / "other.cpp"
    other.write_text('extern "C" int nowhere(); extern "C" int answer() { return nowhere(); }')
    kernel_builder.build(other, path, "")
    with pytest.raises(OSError, match="nowhere"):
        kernel_builder.ctypes.CDLL(str(path), mode=os.RTLD_NOW)
    assert library(source).answer() == 42


def test_a_library_is_on_the_disk_before_it_has_its_name(source, monkeypatch):
    """A loss of power leaves none that is cut short."""
    events = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("sync"), sync(number)))
    monkeypatch.setattr(
        Path, "replace", lambda path, target: (events.append("named"), replace(path, target))
    )
    assert library(source).answer() == 42
    assert events == ["sync", "named"]


def test_another_compiler_builds_another_library(source, monkeypatch):
    before = kernel_builder.path_of(source, "")
    monkeypatch.setattr(kernel_builder, "compiler_version", lambda *command: "g++ 99.0")
    assert kernel_builder.path_of(source, "") != before


def test_without_a_compiler_one_that_is_there_is_taken(source, monkeypatch):
    assert library(source).answer() == 42
    library.cache_clear()
    monkeypatch.setattr(kernel_builder, "compiler", lambda: None)
    assert library(source).answer() == 42


def test_any_path_will_do(source, tmp_path, monkeypatch):
    """Paths work in the C locale, too, which cannot express letters beyond ASCII."""
    monkeypatch.setenv("LC_ALL", "C")
    for name in ("with space", "it's", 'say "x"', "$HOME", "Zähler"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        forget()
        copied = folder / "answer.cpp"
        copied.write_text(source.read_text())
        assert library(copied).answer() == 42
        assert built().name.startswith("answer-")


def test_a_message_describes_what_failed(source, monkeypatch):
    """And nothing half built stays."""
    source.write_text("no C++")
    assert library(source) is None
    assert not list(cache_folder().iterdir())
    (line,) = problems()
    assert "without the C++ kernels answer.cpp" in line
    assert f"{source}:1:1: error:" in line
    assert "MAGNETOIONIC_NATIVE=0" in line


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [(None, "no C++ compiler was found; install g++"), ("/nowhere/g++", "/nowhere/g++: No such")],
)
def test_a_compiler_that_is_missing_is_named(compiler, reason, source, monkeypatch):
    if compiler is None:
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setattr(kernel_builder, "COMPILERS", ())
    else:
        monkeypatch.setenv("CXX", compiler)
    assert library(source) is None
    assert reason in problems()[0]


def test_several_kernels_are_built_side_by_side(source, tmp_path):
    broken = tmp_path / "broken.cpp"
    broken.write_text("no C++")
    first, none = kernel_builder.libraries((source, ""), (broken, ""))
    assert (first.answer(), none) == (42, None)


def test_the_user_may_do_without(source, monkeypatch):
    monkeypatch.setenv(kernel_builder.SWITCH, "0")
    assert library(source) is None
    assert problems() == []


def test_the_cache_is_closed_to_others(source, tmp_path):
    folder = tmp_path / "cache" / "magnetoionic"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert library(source).answer() == 42
    assert folder.stat().st_mode & 0o777 == 0o700
    assert built().stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("is_given_away", [False, pytest.param(True, marks=as_root)])
def test_a_library_that_others_may_have_written_is_not_loaded(is_given_away, source):
    path = kernel_builder.path_of(source, "")
    other = source.with_name("other.cpp")
    other.write_text('extern "C" int answer() { return 666; }')
    kernel_builder.build(other, path, "")
    if is_given_away:
        os.chown(path, NOBODY, NOBODY)
    else:
        path.chmod(0o777)
    assert library(source).answer() == 42
    (line,) = problems()
    reason = "it belongs to another user" if is_given_away else "others may write to it"
    assert line == f"{path} is not loaded but built anew: {reason}"
    assert path.stat().st_uid == os.geteuid()


@as_root
def test_a_cache_of_another_user_is_left_alone(source, tmp_path):
    folder = tmp_path / "cache" / "magnetoionic"
    folder.mkdir(parents=True)
    os.chown(folder, NOBODY, NOBODY)
    assert library(source).answer() == 42
    assert not list(folder.iterdir())
    assert cache_problem() == (
        f"compiled parts are not kept for later runs: {folder} belongs to another user; "
        "set XDG_CACHE_HOME"
    )


def test_without_a_home_nothing_is_cached(source, monkeypatch):
    """A container may run a user without an entry in passwd."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert cache_problem() == (
        "compiled parts are not kept for later runs: there is no home; set XDG_CACHE_HOME"
    )
    assert library(source).answer() == 42
    assert cache_folder() == cache.temporary_folder()


def test_a_cache_that_cannot_be_made_is_none(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert "/proc/nowhere/magnetoionic: No such file" in cache_problem()
    assert cache_folder() == cache.temporary_folder()
