"""Runs that tests disturb, the results of undisturbed runs, and their comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import Record, assert_same_tensors, read_all

from support.launched import start_with
from support.session_cache import session_cache

BATCHES = 4  # an epoch of Digits, the last one smaller
SWEEP = (
    "--task Digits --layers 32 --epochs 4 --n_models 2 --lr 4000 --field double-linear "
    "double-exponential --resistor_noise 0.015 --clipping 0.1 --device cpu --compile off --ledger "
    "--checkpoint_minutes 5 --batch_size 400"
).split()
OFTEN = ("--checkpoint_minutes", 0.001)
THREE = (
    "--task Digits --layers 24 --epochs 8 --n_models 3 --lr 4000 --field double-linear "
    "--resistor_noise 0.015 --clipping 0.1 --device cpu --compile off --checkpoint_minutes 5 "
    "--ledger --batch_size 400"
).split()  # on two cores: networks 0 and 1 at first, network 2 by who is through with one
THREE_SLUG = "Digits-double-linear-4000.0-var-0.2-clipping-0.1-resistor-0.015-voltage-1.5e-06"


def held_in(epoch: int, *models: int) -> tuple[str, int, ...]:
    """Return the fault by which networks wait in the middle of an epoch, which is counted from 1.

    models: the numbers of these networks, by default of all.
    """
    return "hold", BATCHES * (epoch - 1) + BATCHES // 2, *models


@dataclass
class Undisturbed:
    """The results of the sweep without a disturbance."""

    output_dir: Path
    records: dict


@pytest.fixture(scope="session")
def undisturbed(launcher, tmp_path_factory) -> Undisturbed:
    """The results of the sweep in one process."""
    run = partial(run_alone, launcher, arguments=SWEEP)
    folder = session_cache(tmp_path_factory, "sweep", run)
    return Undisturbed(folder / "out", results(folder / "out"))


@pytest.fixture(scope="session")
def three_alone(launcher, tmp_path_factory) -> dict:
    """The results of THREE in one process."""
    run = partial(run_alone, launcher, arguments=THREE)
    return results(session_cache(tmp_path_factory, "three", run) / "out")


def run_alone(launcher, folder: Path, arguments: Sequence[str]) -> Path:
    """Run the program in one process with one thread; returns the folder of its results."""
    start_with(launcher, folder, *arguments, threads=1).ended()
    return folder / "out"


def results(output_dir: Path) -> dict[tuple[str, int], Record]:
    """Return every network by its setting and number, without time stamps."""
    return {
        (record.folder.name[15:], record.json["model"]): record for record in read_all(output_dir)
    }


def assert_same_networks(actual: dict, expected: dict) -> None:
    """Assert that the networks are the same, each with the same bits as results."""
    assert actual.keys() == expected.keys()
    for name, record in actual.items():
        other = expected[name]
        for key in ("accuracy", "swap_accuracy", "loss", "failed_step", "compiled"):
            assert record.json[key] == other.json[key]
        assert torch.equal(record.accuracies, other.accuracies)
        assert torch.equal(record.gradients, other.gradients)
        assert_same_tensors(record.state, other.state)
        assert_same_tensors(record.ledger, other.ledger)


def assert_nothing_left_over(output_dir: Path) -> None:
    """Assert that there are no checkpoints and no partial files."""
    names = [path.name for path in output_dir.rglob("*")]
    assert not [name for name in names if "checkpoint" in name or name.endswith(".tmp")]


def assert_same_results(output_dir: Path, undisturbed: Undisturbed) -> None:
    """Assert that all networks of the sweep can be read and equal those of the undisturbed run."""
    assert_same_networks(results(output_dir), undisturbed.records)
    assert_nothing_left_over(output_dir)
    assert len(list(output_dir.iterdir())) == 2  # resuming found its folders again


def assert_same_three(output_dir: Path, expected: dict) -> None:
    """Assert that there are the networks of THREE and nothing else."""
    actual = results(output_dir)
    assert sorted(actual) == [(THREE_SLUG, model) for model in range(3)]
    assert_same_networks(actual, expected)
    assert_nothing_left_over(output_dir)


def checkpoints(output_dir: Path) -> list[Path]:
    return sorted(output_dir.glob("[!.]*/*-checkpoint.pth"))


def complete(output_dir: Path) -> list[Path]:
    return sorted(output_dir.glob("[!.]*/*.json"))


def children(pid: int) -> list[int]:
    """Return the numbers of the processes that a process has started, its workers."""
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
