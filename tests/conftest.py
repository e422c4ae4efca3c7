"""What several test files need: a small data set, ensembles, and the command line."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.arguments import merged

import main
from devices.library import find
from models.currents import Currents
from models.kernels.load import load_kernels
from utils.compute.cache import cache_folder
from utils.compute.signals import SIGNALS, Stop
from utils.data.datasets import DataSet
from utils.settings import Member, Setting

pytest_plugins = [
    "support.launched",
    "support.sweeps",
    "support.simulated",
    "support.fake_cuda",
    "support.curves",
]
PROJECT = Path(__file__).parents[1]
COMPILERS_FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # where PyTorch's compiler keeps its parts
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(autouse=True, scope="session")
def kernels():
    """As in a run, operators are computed by the kernels in C++, where there is a compiler."""
    load_kernels()


@pytest.fixture(autouse=True)
def threads_stay():
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def compilers_folder_stays(monkeypatch):
    """A run sets it once, and a test with a cache of its own must not set it for all others."""
    folder = os.environ.get(COMPILERS_FOLDER) or str(cache_folder())
    monkeypatch.setenv(COMPILERS_FOLDER, folder)


def setting_of(**changes) -> Setting:
    """A small noisy setting, with some values changed; fields may be given by their names.

    Where a switch is given alone, it is one to the exponential device.
    """
    values = dict(
        task="Digits",
        field="double-linear",
        lr=3000.0,
        var=0.2,
        resistor_noise=0.015,
        voltage_noise=1.5e-6,
        clipping=0.1,
        seed=100,
        epochs=2,
        batch_size=32,
        layers=(24,),
        init=0.01,
        input_scale=0.001,
        padding=1,
    )
    values |= changes
    if {"time_switch", "switch_epoch"} & changes.keys():
        values.setdefault("second", "double-exponential")
    for name in ("field", "second"):
        if isinstance(values.get(name), str):
            values[name] = find(values[name])
    return Setting(**values)


def currents_of(
    data: DataSet, padding=1, input_scale=0.001, device="cpu", batch_size=32
) -> Currents:
    return Currents.from_arrays(
        data.arrays, data.n_classes, padding, input_scale, torch.device(device), batch_size
    )


def dense_currents_of(data: DataSet, **options) -> Currents:
    """Currents for dense products, whatever the data: batches of one image never pay sparsely."""
    return currents_of(data, batch_size=1, **options)


def is_one_pass(ensemble) -> bool:
    """Whether gradient and update of the first layer are one."""
    return ensemble.network.layers[0].is_one_pass(ensemble.programming)


def random_data(active: float, n_train=70, n_test=10, pixels=(9, 9)) -> DataSet:
    """Random images of three classes; active: share of the pixels that are not zero."""
    rng = np.random.default_rng(5)

    def part(n):
        images = rng.integers(1, 256, (n, *pixels)) * (rng.random((n, *pixels)) < active)
        return images.astype(np.uint8), rng.integers(0, 3, n)

    return DataSet(*part(n_train), *part(n_test))


def members_of(setting: Setting, n_models: int = 1) -> list[Member]:
    return [Member(setting, model) for model in range(n_models)]


@pytest.fixture(scope="session")
def patterns() -> DataSet:
    """Noisy 10x10 images of four patterns: 200 to train, 50 to test; two dark corners.

    The first pixel is lit in no image, the second only in test images.
    """
    rng = np.random.default_rng(7)
    prototypes = rng.random((4, 10, 10)) < 0.4

    def part(n):
        labels = rng.integers(0, 4, n)
        images = prototypes[labels] * 180 + rng.integers(0, 75, (n, 10, 10))
        images[:, 0, 0] = images[:, 0, 1] = 0
        return images.astype(np.uint8), labels

    train_images, train_labels = part(200)
    test_images, test_labels = part(50)
    test_images[:, 0, 1] = 200
    return DataSet(train_images, train_labels, test_images, test_labels)


@pytest.fixture(scope="session")
def sparse_patterns(patterns) -> DataSet:
    """The same, with three of four pixels dark: the first layer multiplies sparsely."""
    rng = np.random.default_rng(8)

    def dimmed(images):
        return np.where(rng.random(images.shape) < 0.25, images, 0).astype(np.uint8)

    return DataSet(
        dimmed(patterns.train_images),
        patterns.train_labels,
        dimmed(patterns.test_images),
        patterns.test_labels,
    )


@pytest.fixture(scope="session")
def dark_patterns(sparse_patterns) -> DataSet:
    """The same, with four of ten rows dark in training: more inputs than are trained are tested."""
    train_images = sparse_patterns.train_images.copy()
    train_images[:, :4] = 0
    return replace(sparse_patterns, train_images=train_images)


@pytest.fixture(scope="session")
def currents(patterns) -> Currents:
    """The patterns on the CPU, padded by one pixel: 144 inputs."""
    return currents_of(patterns)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A folder of data sets with the real MNIST; tests that need it skip without."""
    folder = os.environ.get("MAGNETOIONIC_DATA")
    if not folder:
        pytest.skip("MAGNETOIONIC_DATA names no folder with the MNIST files")
    return Path(folder)


def run_main(*args, timeout=120, **options) -> subprocess.CompletedProcess:
    """`python main.py` with these arguments, as a process of its own."""
    command = [sys.executable, str(PROJECT / "main.py"), *merged(*args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


@pytest.fixture
def stop():
    """A Stop that listens; whoever listened before does so again afterwards."""
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield Stop().install()
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.fixture
def simulate(tmp_path, capsys, monkeypatch):
    """Runs `main.py` in this process on small Digits networks; returns the records it wrote.

    Called with further arguments, which win over the small defaults. As on a machine of one core,
    since what has trained once has threads, and can no longer be forked into workers.
    """
    monkeypatch.setattr("utils.compute.distributed.usable_cores", lambda: 1)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    small = "--task Digits --epochs 1 --n_models 1 --layers 16 --device cpu"
    runs = iter(range(1000))

    def call(arguments: str = "") -> list[Record]:
        output = tmp_path / f"run{next(runs)}"
        words = merged(*small.split(), "--output_dir", output, *arguments.split())
        assert main.main(words) == 0
        captured = capsys.readouterr()
        call.table, call.errors = captured.out, captured.err
        return read_all(output)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@dataclass
class Record:
    """What one network left on disk, read back as a user would."""

    folder: Path
    json: dict
    accuracies: torch.Tensor
    gradients: torch.Tensor
    state: dict
    ledger: dict


def read_all(output_dir: Path) -> list[Record]:
    records = []
    for path in sorted(output_dir.glob("[!.]*/*.json")):
        stem = str(path.with_suffix(""))
        ledger = Path(f"{stem}-ledger.pth")
        records.append(
            Record(
                path.parent,
                json.loads(path.read_text()),
                torch.load(f"{stem}-accuracies.pth", weights_only=True),
                torch.load(f"{stem}-gradients.pth", weights_only=True),
                torch.load(f"{stem}.pth", weights_only=True),
                torch.load(ledger, weights_only=True) if ledger.exists() else {},
            )
        )
    return records
