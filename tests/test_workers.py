"""Several worker processes that train for one run: the same files, and nothing lost."""

import os
import re
import signal
import time
from pathlib import Path

from conftest import read_all
from support.forking import needs_workers
from support.reference_networks import ReferenceRun, distance
from support.sweeps import (
    SLOW,
    THREE,
    THREE_SLUG,
    assert_same_networks,
    assert_same_three,
    checkpoints,
    children,
    complete,
    is_alive,
    results,
    run_alone,
)

from utils.data.datasets import load
from utils.records.setting_json import from_json

pytestmark = needs_workers


def test_workers_follow_the_reference(start, tmp_path):
    """An epoch of Digits: twelve mini-batches, the last of 92 images; then the test."""
    process = start(*THREE, "--epochs", 1, "--n_models", 2)
    assert process.wait() == 0, process.said
    data, outcome = load("Digits", Path()), results(tmp_path / "out")
    for (_, model), record in outcome.items():
        reference = ReferenceRun(from_json(record.json), data, model, test_batch=10_000)
        assert distance(record.state, reference.network) < 5e-3
        assert abs(float(record.accuracies[0]) - reference.accuracies[0]) < 2 / 297
    assert len(outcome) == 2


def test_files_are_those_of_one_process(start, tmp_path, three_alone):
    """Each epoch of each network is reported as it was."""
    process = start(*THREE, **SLOW)
    process.wait_until(lambda: "epoch 1/" in process.said)
    assert len(children(process.pid)) == 2
    assert process.wait() == 0, process.said
    assert_same_three(tmp_path / "out", three_alone)
    lines = process.said.splitlines()
    assert lines.pop(0) == "Digits: 1500 images to train, 297 to test"
    assert lines.pop(0).startswith("tests up to epoch 7 come too early")
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
    """A worker for each network; the run prints its table slowly."""
    process = start(*THREE, threads=3, before="slow_steps_and_table")
    process.wait_until(lambda: len(children(process.pid)) == 3)
    process.wait_until(lambda: not children(process.pid))
    assert is_alive(process.pid)
    assert process.wait() == 0
    assert_same_three(tmp_path / "out", three_alone)
    assert {record.json["threads"] for record in read_all(tmp_path / "out")} == {1}


def test_workers_of_two_threads(launcher, start, tmp_path):
    """On four cores each of two networks has a worker of two threads."""
    two = [*THREE[:4], *"--epochs 2 --n_models 2".split(), *THREE[8:]]
    process = start(*two, threads=4, **SLOW)
    process.wait_until(lambda: "epoch 1/" in process.said)
    workers = children(process.pid)
    assert len(workers) == 2
    assert min(map(threads_of, workers)) >= 2
    assert process.wait() == 0, process.said
    assert {record.json["threads"] for record in read_all(tmp_path / "out")} == {2}
    (tmp_path / "alone").mkdir()
    expected = results(run_alone(launcher, tmp_path / "alone", two))
    assert_same_networks(results(tmp_path / "out"), expected)


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_the_death_of_a_worker_ends_the_run_and_nothing_else_is_lost(start, tmp_path, three_alone):
    process = start(*THREE, **SLOW)
    process.wait_until(lambda: process.said.count("epoch 1/") == 2)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    assert process.wait() == 1
    assert "Traceback" not in process.said
    last = process.said.splitlines()[-1]
    assert last.startswith("main.py: error: a process of this run has died")
    assert "--resume" in last
    assert len(checkpoints(tmp_path / "out")) == 1
    again = start(*THREE, "--resume")
    assert again.wait() == 0
    assert "0 of 3 networks are complete, 1 go on from a checkpoint, 2 start" in again.said
    assert_same_three(tmp_path / "out", three_alone)


def test_no_worker_outlives_a_run_that_is_killed(start):
    process = start(*THREE, "--epochs", 1000)
    process.wait_until(lambda: "epoch 1/" in process.said)
    workers = children(process.pid)
    assert len(workers) == 2
    process.send(signal.SIGKILL)
    process.wait()
    process.wait_until(lambda: not any(map(is_alive, workers)), seconds=5)


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_the_first_decides(
    start, tmp_path, three_alone
):
    process = start(*THREE, **SLOW)
    process.wait_until(lambda: process.said.count("epoch 2/") == 2)
    for pid in [*children(process.pid), process.pid]:
        os.kill(pid, signal.SIGINT)
    assert process.wait() == 130
    assert "Traceback" not in process.said
    assert "of 3 networks 0 are complete and 2 have a checkpoint" in process.said
    assert len(checkpoints(tmp_path / "out")) == 2
    again = start(*THREE, "--resume")
    assert again.wait() == 0
    assert again.said.count("epoch 1/") == 1  # of network 2; that of the others is not repeated
    assert_same_three(tmp_path / "out", three_alone)


def test_a_stop_is_heard_while_the_step_is_compiled(start, tmp_path):
    process = start(*THREE, "--compile", "on", before="slow_compiler")
    process.wait_until(lambda: "at work for a minute" in process.said)
    assert len(children(process.pid)) == 1  # in a process of its own, for all workers
    sent = time.monotonic()
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    assert time.monotonic() - sent < 10  # compiling takes a minute
    assert process.said.count("at work for a minute") == 1
    assert "nothing was trained yet" in process.said
    assert not list((tmp_path / "out").iterdir())


def test_what_is_complete_is_written_while_others_train(start, tmp_path, three_alone):
    process = start(*THREE, before="network_1_is_slow")
    process.wait_until(lambda: "network 2: epoch 1/" in process.said)
    (path,) = complete(tmp_path / "out")
    assert path.name.endswith("-0.json")
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    assert "of 3 networks 1 are complete and 2 have a checkpoint" in process.said
    assert len(checkpoints(tmp_path / "out")) == 2
    assert start(*THREE, "--resume", threads=1).wait() == 0  # and by one process, for once
    assert_same_three(tmp_path / "out", three_alone)


def test_checkpoints_are_kept_while_all_train(start, tmp_path, three_alone):
    often = ("--checkpoint_minutes", 0.003)
    process = start(*THREE, *often, threads=3, **SLOW)
    process.wait_until(lambda: len(checkpoints(tmp_path / "out")) == 3)
    process.send(signal.SIGKILL)
    process.wait()
    again = start(*THREE, *often, "--resume", **SLOW)
    assert again.wait() == 0, again.said
    assert "3 go on from a checkpoint" in again.said
    assert_same_three(tmp_path / "out", three_alone)
