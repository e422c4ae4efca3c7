"""What is complete is found quickly, and a stop logs it."""

import signal

import pytest
import torch

import main
from utils.compute.distributed import World
from utils.compute.signals import StoppedError
from utils.training.trainer import Trainer


def recorded_loads(monkeypatch) -> list:
    """Records what is loaded from now on: name and keywords."""
    loads, load = [], torch.load

    def recording(path, **options):
        loads.append((path.name, options))
        return load(path, **options)

    monkeypatch.setattr(torch, "load", recording)
    return loads


@pytest.fixture
def run(stop, tmp_path):
    """A function that runs small networks in this process; returns the exit code."""
    small = "--task Digits --layers 8 --epochs 1 --device cpu --output_dir".split()
    return lambda *words: main.main([*small, str(tmp_path), *words])


def stops(*_):
    raise StoppedError(signal.SIGTERM)


def test_what_is_complete_is_found_without_reading_the_weights(run, monkeypatch):
    assert run("--n_models", "2") == 0
    loads = recorded_loads(monkeypatch)
    assert run("--n_models", "2", "--resume") == 0
    assert {name[-6:] for name, _ in loads} >= {"-0.pth", "-1.pth"}
    assert all(options == {"weights_only": True, "mmap": True} for _, options in loads)


def test_a_stop_logs_what_is_complete_without_looking_again(run, monkeypatch, capsys):
    """Networks that were complete before are not loaded, which takes minutes in large runs."""
    assert run("--n_models", "1") == 0
    loads = []

    def stops_here(world, stop):
        loads.append(recorded_loads(monkeypatch))
        stops()

    monkeypatch.setattr(World, "wait_for_all", stops_here)
    assert run("--n_models", "2", "--resume") == 143
    assert loads == [[]]
    last = capsys.readouterr().err.splitlines()[-1]
    assert "stopped by SIGTERM; of 2 networks 2 are complete and 0 have a checkpoint" in last


def test_a_stop_does_not_take_for_complete_what_is_to_be_counted(run, monkeypatch, capsys):
    assert run("--n_models", "1") == 0
    monkeypatch.setattr(Trainer, "train", stops)
    assert run("--n_models", "1", "--ledger", "--resume") == 143
    assert "nothing was trained yet" in capsys.readouterr().err.splitlines()[-1]
