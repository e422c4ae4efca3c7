"""Fixtures and functions for many test files: small data sets, ensembles, the command line."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "support.engine",
    "support.patterns",
    "support.sparse",
]
PROJECT = Path(__file__).parents[1]
COMPILERS_FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # the cache of PyTorch's compiler
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def pytest_collection_modifyitems(items):
    """Skip tests that need a GPU if there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(autouse=True, scope="session")
def kernels():
    """Load the kernels in C++, which compute operators as in a run, if there is a compiler.

    And differentiate once: if a process does so for the first time while PyTorch's compiler traces,
    it starts threads, and no process forked from it can differentiate, as other tests do.
    """
    load_kernels()
    torch.ones(1, requires_grad=True).sum().backward()


@pytest.fixture(autouse=True)
def threads_stay():
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def compilers_folder_stays(monkeypatch):
    """Restore the variable, which a run sets once: a test's cache must not be that of others."""
    folder = os.environ.get(COMPILERS_FOLDER) or str(cache_folder())
    monkeypatch.setenv(COMPILERS_FOLDER, folder)


def setting_of(**changes) -> Setting:
    """Return a small noisy setting with some values changed; fields may be names of devices.

    A switch without a second field is one to the exponential device.
    """
    values: dict[str, Any] = dict(
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
    """Return currents with dense inputs for any data: batches of one image are never sparse."""
    return currents_of(data, batch_size=1, **options)


def is_one_pass(ensemble) -> bool:
    """Whether gradient and update of the first layer are one pass."""
    return ensemble.network.layers[0].is_one_pass(ensemble.programming)


def random_data(active: float, n_train=70, n_test=10, pixels=(9, 9)) -> DataSet:
    """Return random images of three classes; active: fraction of pixels that are not zero."""
    rng = np.random.default_rng(5)

    def part(n):
        images = rng.integers(1, 256, (n, *pixels)) * (rng.random((n, *pixels)) < active)
        return images.astype(np.uint8), rng.integers(0, 3, n)

    return DataSet(*part(n_train), *part(n_test))


def members_of(setting: Setting, n_models: int = 1) -> list[Member]:
    return [Member(setting, model) for model in range(n_models)]


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder of data sets with the real MNIST; without it, tests that need it are skipped."""
    folder = os.environ.get("MAGNETOIONIC_DATA")
    if not folder:
        pytest.skip("MAGNETOIONIC_DATA names no folder with the MNIST files")
    return Path(folder)


@pytest.fixture
def stop():
    """A Stop that handles signals, even if those of the tests are ignored, as in a background job.

    The earlier handlers are restored afterwards.
    """
    handlers = {signum: signal.signal(signum, signal.SIG_DFL) for signum in SIGNALS}
    yield Stop().install()
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.fixture
def refusal(stop, capsys, tmp_path):
    """A function that runs `main.py` in this process, and returns the one line that refuses it.

    Nothing else was printed, and nothing was made.
    """

    def call(*arguments) -> str:
        before = sorted(tmp_path.rglob("*"))
        try:
            code = main.main(merged("--output_dir", tmp_path / "out", *arguments))
        except SystemExit as end:
            code = end.code
        assert code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1, captured.err
        assert captured.err.startswith("main.py: error: ")
        assert sorted(tmp_path.rglob("*")) == before
        return captured.err

    return call


@pytest.fixture
def simulate(tmp_path, capsys, monkeypatch, stop):
    """A function that runs `main.py` in this process on small Digits networks and returns records.

    Its arguments replace the small defaults; a study has layers of its own. The machine seems to
    have one core, since a process that has trained once has threads, and workers can no longer be
    forked from it.
    """
    monkeypatch.setattr("utils.compute.distributed.usable_cores", lambda: 1)
    small = "--task Digits --epochs 1 --n_models 1 --device cpu"
    runs = iter(range(1000))

    def call(arguments: str = "") -> list[Record]:
        output = tmp_path / f"run{next(runs)}"
        layers = () if "--study" in arguments else ("--layers", 16)
        words = merged(*small.split(), *layers, "--output_dir", output, *arguments.split())
        assert main.main(words) == 0
        captured = capsys.readouterr()
        call.table, call.errors = captured.out, captured.err
        return read_all(output)

    return call


@dataclass
class Record:
    """The files of one network, read as a user would read them."""

    folder: Path
    json: dict
    accuracies: torch.Tensor
    gradients: torch.Tensor
    state: dict
    ledger: dict


def assert_same_tensors(tensors: dict, others: dict) -> None:
    """Assert that there are the same tensors under the same names, bit for bit."""
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


def assert_same_weights(record: Record, other: Record) -> None:
    assert_same_tensors(record.state, other.state)


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
