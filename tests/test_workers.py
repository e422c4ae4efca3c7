"""Several worker processes that train for one run: the same files, and nothing lost."""

import os
import re
import signal
from pathlib import Path

from conftest import read_all
from support.forking import needs_workers
from support.reference_networks import ReferenceRun, distance
from support.sweeps import (
    THREE,
    THREE_SLUG,
    assert_same_networks,
    assert_same_three,
    checkpoints,
    children,
    complete,
    held_in,
    is_alive,
    results,
    run_alone,
)

from utils.data.datasets import load
from utils.records.setting_json import from_json

pytestmark = needs_workers


def test_workers_follow_the_reference(start, tmp_path):
    """An epoch of Digits: twelve mini-batches, the last of 92 images; then the test."""
    start(*THREE, "--epochs", 1, "--n_models", 2, "--batch_size", 128).ended()
    data, outcome = load("Digits", Path()), results(tmp_path / "out")
    for (_, model), record in outcome.items():
        reference = ReferenceRun(from_json(record.json), data, model, test_batch=10_000)
        assert distance(record.state, reference.network) < 5e-3
        assert abs(float(record.accuracies[0]) - reference.accuracies[0]) < 2 / 297
    assert len(outcome) == 2


def test_files_are_those_of_one_process(start, tmp_path, three_alone):
    """Each epoch of each network is reported as it was."""
    process = start(*THREE, before=held_in(2)).wait_for("epoch 1/", 2)
    assert len(children(process.pid)) == 2
    process.open_networks(0, 1, 2)
    process.ended()
    assert_same_three(tmp_path / "out", three_alone)
    lines = process.log.splitlines()
    assert lines.pop(0) == "Digits: 1500 images to train, 297 to test"
    assert lines.pop(0).startswith("tests up to epoch 8 come too early")
    pattern = re.compile(
        rf"{re.escape(THREE_SLUG)}, network (\d): epoch (\d+)/8, accuracy (\S+) %, "
    )
    reported = [pattern.match(line).groups() for line in lines]
    assert len(reported) == 24
    for record in read_all(tmp_path / "out"):
        assert record.json["threads"] == 1
        epochs = [words[1:] for words in reported if words[0] == str(record.json["model"])]
        assert epochs == [
            (str(epoch), f"{100 * float(accuracy):.2f}")
            for epoch, accuracy in enumerate(record.accuracies.double(), 1)
        ]


def test_workers_end_with_the_training(start, tmp_path, three_alone):
    """A worker for each network; the run waits before it prints its table."""
    process = start(*THREE, threads=3, before=("hold_with_table", 6))
    process.wait_until(lambda: len(children(process.pid)) == 3)
    process.open_networks(0, 1, 2)
    process.wait_until(lambda: not children(process.pid))
    process.open("table")
    process.ended()
    assert_same_three(tmp_path / "out", three_alone)
    assert {record.json["threads"] for record in read_all(tmp_path / "out")} == {1}


def test_workers_of_two_threads(launcher, start, tmp_path):
    """On four cores each of two networks has a worker of two threads."""
    two = [*THREE[:4], *"--epochs 2 --n_models 2".split(), *THREE[8:]]
    process = start(*two, threads=4, before=held_in(2)).wait_for("epoch 1/", 2)
    workers = children(process.pid)
    assert len(workers) == 2
    assert min(map(threads_of, workers)) >= 2
    process.open_networks(0, 1)
    process.ended()
    assert {record.json["threads"] for record in read_all(tmp_path / "out")} == {2}
    (tmp_path / "alone").mkdir()
    expected = results(run_alone(launcher, tmp_path / "alone", two))
    assert_same_networks(results(tmp_path / "out"), expected)


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_the_death_of_a_worker_ends_the_run_and_nothing_else_is_lost(start, tmp_path, three_alone):
    process = start(*THREE, before=held_in(2)).wait_for("epoch 1/", 2)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    process.ended(1)
    assert "Traceback" not in process.log
    last = process.log.splitlines()[-1]
    assert last.startswith("main.py: error: a process of this run has died")
    assert "--resume" in last
    assert len(checkpoints(tmp_path / "out")) == 1
    again = start(*THREE, "--resume").ended()
    assert "0 of 3 networks are complete, 1 go on from a checkpoint, 2 start" in again.log
    assert_same_three(tmp_path / "out", three_alone)


def test_no_worker_outlives_a_run_that_is_killed(start):
    process = start(*THREE, before=held_in(2)).wait_for("epoch 1/", 2)
    workers = children(process.pid)
    assert len(workers) == 2
    process.killed()
    process.wait_until(lambda: not any(map(is_alive, workers)))


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_the_first_decides(
    start, tmp_path, three_alone
):
    process = start(*THREE, before=held_in(3)).wait_for("epoch 2/", 2)
    for pid in [*children(process.pid), process.pid]:
        os.kill(pid, signal.SIGINT)
    process.ended(130)
    assert "Traceback" not in process.log
    assert "of 3 networks 0 are complete and 2 have a checkpoint" in process.log
    assert len(checkpoints(tmp_path / "out")) == 2
    again = start(*THREE, "--resume").ended()
    assert again.log.count("epoch 1/") == 1  # of network 2; that of the others is not repeated
    assert_same_three(tmp_path / "out", three_alone)


def test_a_stop_is_obeyed_while_the_step_is_compiled(start, tmp_path):
    """Compiling waits, so that nothing but the signal ends it."""
    process = start(*THREE, "--compile", "on", before=("hold_compiler",))
    process.wait_for("compiling waits")
    assert len(children(process.pid)) == 1  # in a process of its own, for all workers
    process.stopped()
    assert process.log.count("compiling waits") == 1
    assert "nothing was trained yet" in process.log
    assert not list((tmp_path / "out").iterdir())


def test_what_is_complete_is_written_while_others_train(start, tmp_path, three_alone):
    process = start(*THREE, before=held_in(2, 1, 2)).wait_for("network 2: epoch 1/")
    (path,) = complete(tmp_path / "out")
    assert path.name.endswith("-0.json")
    process.stopped()
    assert "of 3 networks 1 are complete and 2 have a checkpoint" in process.log
    assert len(checkpoints(tmp_path / "out")) == 2
    start(*THREE, "--resume", threads=1).ended()  # and by one process, for once
    assert_same_three(tmp_path / "out", three_alone)
