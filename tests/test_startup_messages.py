"""What is logged before a run starts: how many images, and when its tests come too early."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import currents_of, setting_of

from models.currents import Currents
from utils.compute import kernel_builder
from utils.data.datasets import DataSet
from utils.training import kernels
from utils.training.startup_messages import startup_messages


@pytest.fixture(scope="module")
def digits() -> Currents:
    """As many images as Digits has, of a single pixel: 1500 to train, 297 to test."""
    images, labels = np.ones((1500, 1, 1), np.uint8), np.arange(1500) % 10
    return currents_of(DataSet(images, labels, images[:297], labels[:297]), padding=0)


def test_the_images_are_counted_at_the_start_of_a_dry_run(simulate):
    """And of a run: see test_workers.py."""
    simulate("--dry_run")
    assert simulate.errors.splitlines()[0] == "Digits: 1500 images to train, 297 to test"


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


def test_kernels_that_could_not_be_built_are_named(patterns, monkeypatch):
    """On a CPU, and not where the user does without them."""
    monkeypatch.setattr(kernel_builder, "_failures", {Path("noise.cpp"): "no C++ compiler"})
    monkeypatch.setattr(kernel_builder, "_notes", [])
    setting, currents = setting_of(batch_size=2), currents_of(patterns)
    _, line = startup_messages([setting], currents)
    assert line == (
        "this run is slower without the C++ kernels noise.cpp: no C++ compiler "
        "(MAGNETOIONIC_NATIVE=0 does without them)"
    )


def test_a_cache_that_cannot_be_made_is_named(patterns, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    _, line = startup_messages([setting_of(batch_size=2)], currents_of(patterns))
    assert line.startswith("compiled parts are not kept for later runs: /proc/nowhere")


@pytest.mark.parametrize(
    ("changes", "device", "names"),
    [
        ({}, "cpu", ["linear"]),
        (dict(physical_clipping=True), "cpu", ["linear_physical"]),
        (dict(write_noise=0.1), "cpu", ["linear_noisy"]),
        (dict(field="double-exponential"), "cpu", ["exponential"]),
        (dict(second="double-exponential", switch_epoch=1), "cpu", ["exponential", "linear"]),
        ({}, "cuda", None),
    ],
    ids=str,
)
def test_a_run_loads_the_kernels_that_it_can_use(changes, device, names, monkeypatch):
    loaded = []
    monkeypatch.setattr(kernels, "load_kernels", lambda wanted: loaded.append(list(wanted)))
    kernels.load_kernels_of([setting_of(**changes)] * 2, torch.device(device))
    if names is None:
        assert loaded == []
        return
    texts = [text for _, text in loaded[0]]
    assert len(texts) == len(names)
    for text, name in zip(texts, names, strict=True):
        assert f'#define OPERATOR "sparse_update_{name}"' in text


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
