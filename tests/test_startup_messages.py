"""What is said before a run starts: how many images, and when its tests come too early."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import currents_of, setting_of
from support.devices import device_of

from devices import lookup, noise
from models import sparse_update
from models.batch_norm import SETTLING_STEPS
from models.currents import Currents
from utils.compute import kernel_builder
from utils.data.datasets import DataSet
from utils.training.startup_messages import lacks_kernels, startup_messages


@pytest.fixture(scope="module")
def digits() -> Currents:
    """As many images as Digits has, of a single pixel: 1500 to train, 297 to test."""
    images, labels = np.ones((1500, 1, 1), np.uint8), np.arange(1500) % 10
    return currents_of(DataSet(images, labels, images[:297], labels[:297]), padding=0)


def too_early(lines: str) -> list[str]:
    return [line for line in lines.splitlines() if "too early" in line]


def test_the_images_are_counted_at_the_start_of_a_run_and_of_a_dry_run(start):
    run = "--task Digits --layers 8 --epochs 1 --n_models 1 --device cpu".split()
    for process in (start(*run), start(*run, "--dry_run")):
        assert process.wait() == 0, process.said
        first = process.said.splitlines()[0]
        assert first == "Digits: 1500 images to train, 297 to test"


def test_a_test_set_larger_than_the_training_set_is_doubted(patterns):
    exchanged = dataclasses.replace(
        patterns,
        train_images=patterns.test_images,
        train_labels=patterns.test_labels,
        test_images=patterns.train_images,
        test_labels=patterns.train_labels,
    )
    setting = setting_of(batch_size=2)
    assert startup_messages([setting], currents_of(patterns)) == [
        "Digits: 200 images to train, 50 to test"
    ]
    first, doubt, *_ = startup_messages([setting], currents_of(exchanged))
    assert first == "Digits: 50 images to train, 200 to test"
    assert "larger than the training set; are their files exchanged?" in doubt


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    """Nothing is in the cache, and nothing can be built."""

    def fail(*_):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_builder, "build", fail)
    kernel_builder.library.cache_clear()
    yield
    kernel_builder.library.cache_clear()


def test_kernels_that_cannot_be_built_are_missed(patterns, monkeypatch, no_compiler):
    """On a CPU, and not where the user does without them."""
    setting, currents = setting_of(batch_size=2), currents_of(patterns)
    _, line = startup_messages([setting], currents)
    assert line == (
        "the C++ kernels could not be built, so this run is slower; install a C++ compiler (g++), "
        "or set MAGNETOIONIC_NATIVE=0 to do without"
    )
    on_gpu = SimpleNamespace(device=torch.device("cuda"), product="dense")
    assert not lacks_kernels([setting_of(field=device_of("table"))], on_gpu)
    monkeypatch.setenv("MAGNETOIONIC_NATIVE", "0")
    assert len(startup_messages([setting], currents)) == 1


@pytest.mark.parametrize(("field", "told"), [("double-linear", 0), ("table", 1)])
def test_the_kernel_of_tables_is_missed_by_tables_alone(field, told, patterns, monkeypatch):
    """Where it is the only one that cannot be built."""
    library = kernel_builder.library
    monkeypatch.setattr(
        kernel_builder,
        "library",
        lambda s, *rest: None if s == lookup.SOURCE else library(s, *rest),
    )
    if library(noise.SOURCE) is None:
        pytest.skip("needs a C++ compiler")
    settings = [setting_of(batch_size=2), setting_of(field=device_of(field), batch_size=2)]
    lines = startup_messages(settings, currents_of(patterns))
    assert sum("kernels could not be built" in line for line in lines) == told


def test_batch_normalisation_settles_in_86_steps():
    """Each step keeps 0.85 of what it starts from, 1; a tenth of eps = 1e-5 is 1e-6."""
    assert SETTLING_STEPS == 86
    assert 0.85**86 < 1e-6 < 0.85**85


@pytest.mark.parametrize(
    ("batch_size", "epochs", "last"),
    [
        (128, 20, 7),  # 12 steps an epoch: 84 after the seventh, 96 after the eighth
        (128, 3, 3),  # no further than the run
        (128, 7, 7),
        (18, 20, 1),  # 84 steps, 2 short
        (17, 20, None),  # 89 steps
        (16, 20, None),  # 94 steps
        (2000, 100, 85),  # one step an epoch
    ],
)
def test_tests_that_come_too_early_are_named(batch_size, epochs, last, digits):
    lines = startup_messages([setting_of(batch_size=batch_size, epochs=epochs)], digits)
    assert lines[0] == "Digits: 1500 images to train, 297 to test"
    if last is None:
        assert len(lines) == 1
        return
    (line,) = lines[1:]
    assert f"tests up to epoch {last} come too early" in line
    assert "takes about 86 mini-batches (momentum 0.15)" in line
    assert f"an epoch has {-(-1500 // batch_size)};" in line


def test_a_run_says_that_its_tests_come_too_early(simulate):
    simulate("--batch_size 128")
    assert len(too_early(simulate.errors)) == 1
    simulate("--batch_size 16")
    assert not too_early(simulate.errors)


@pytest.mark.parametrize("told", [False, True])
def test_the_kernel_of_sparse_updates_is_missed_where_inputs_are_sparse(
    told, patterns, sparse_patterns, monkeypatch
):
    library = kernel_builder.library
    monkeypatch.setattr(
        kernel_builder,
        "library",
        lambda s, *rest: None if s == sparse_update.SOURCE else library(s, *rest),
    )
    if library(noise.SOURCE) is None:
        pytest.skip("needs a C++ compiler")
    settings = [setting_of(), setting_of(physical_clipping=True, field="double-exponential")]
    assert lacks_kernels(settings, currents_of(sparse_patterns if told else patterns)) == told
