"""What goes wrong in a worker: too little memory, mistakes, failing networks, no compiler."""

import signal

import pytest
import torch
from conftest import read_all
from support.sweeps import THREE, THREE_SLUG, assert_same_three, complete
from test_workers import pytestmark  # noqa: F401


def test_too_little_memory_for_all_workers_makes_them_fewer(start, tmp_path, three_alone):
    process = start(*THREE, before="support.sabotage:memory_for_one_worker")
    assert process.wait() == 0, process.said
    line = "memory does not suffice for 2 at a time; going on with 1"
    assert process.said.splitlines().count(line) == 1
    assert_same_three(tmp_path / "out", three_alone)


def test_what_is_complete_when_memory_is_used_up_is_not_trained_again(start, tmp_path, three_alone):
    process = start(*THREE, before="support.sabotage:memory_that_is_used_up_later")
    process.wait_until(lambda: complete(tmp_path / "out"))
    (path,) = complete(tmp_path / "out")
    written = path.stat().st_mtime_ns
    assert process.wait() == 0, process.said
    assert process.said.count("memory does not suffice for 2 at a time") == 1
    assert process.said.count("network 0: epoch 1/") == 1
    assert process.said.count("network 1: epoch 1/") == 2  # it had to start anew
    assert path.stat().st_mtime_ns == written
    assert_same_three(tmp_path / "out", three_alone)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_single_network_too_large_is_a_users_error(threads, start, tmp_path):
    process = start(*THREE, threads=threads, before="support.sabotage:memory_for_none")
    assert process.wait() == 2
    assert "Traceback" not in process.said
    *others, last = process.said.splitlines()
    assert last.startswith("main.py: error: a single network does not fit into memory; choose ")
    fewer = [line for line in others if line.startswith("memory does not suffice")]
    assert len(fewer) == threads - 1
    assert not complete(tmp_path / "out")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_mistake_is_told_as_one(threads, start):
    process = start(
        *THREE, threads=threads, before="support.sabotage:a_mistake_in_the_second_epoch"
    )
    assert process.wait() == 1
    assert process.said.count("KeyError: 'a mistake'") == 1
    assert "sabotage.py" in process.said  # the place
    assert ("in a worker process" in process.said) == (threads > 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_that_fails_is_named_and_recorded_as_failed(
    threads, start, tmp_path, three_alone
):
    process = start(*THREE, threads=threads, before="support.sabotage:network_1_is_poisoned")
    assert process.wait() == 0
    assert process.said.count(f"network 1 of {THREE_SLUG} failed") == 1
    assert "from step 0 on" in process.said
    records = read_all(tmp_path / "out")
    assert [record.json["failed_step"] for record in records] == [None, 0, None]
    assert records[1].json["accuracy"] is None
    assert records[1].json["swap_accuracy"] is None
    assert records[1].accuracies.isnan().all()
    assert records[1].gradients.isnan().all()
    assert "2 (1 failed)" in process.output.read_text()
    for index in (0, 2):
        assert torch.equal(records[index].accuracies, list(three_alone.values())[index].accuracies)


def test_without_a_compiler_all_go_on_uncompiled_and_say_so_once(start, tmp_path, three_alone):
    process = start(*THREE, "--compile", "on", before="support.sabotage:no_compiler")
    assert process.wait() == 0, process.said
    lines = [line for line in process.said.splitlines() if "no C++ compiler found" in line]
    assert lines == [
        "compiling the training step failed (no C++ compiler found); it runs uncompiled, which is "
        "several times slower (--compile off silences this)"
    ]
    assert_same_three(tmp_path / "out", three_alone)


def test_a_run_without_a_compiler_goes_on_from_its_checkpoints_as_it_says(
    start, tmp_path, three_alone
):
    arguments = (*THREE, "--compile", "on")
    process = start(*arguments, before="support.sabotage:no_compiler_and_slow_steps")
    process.wait_until(lambda: process.said.count("epoch 2/") == 2)
    process.send(signal.SIGTERM)
    assert process.wait() == 143, process.said
    again = start(*arguments, "--resume", before="support.sabotage:no_compiler")
    assert again.wait() == 0, again.said
    assert again.said.count("epoch 1/") == 1  # of network 2
    assert_same_three(tmp_path / "out", three_alone)
    assert "2 go on from a checkpoint, 1 start afresh" in again.said


def test_a_compiled_network_of_a_worker_is_the_one_trained_alone_by_two_threads(start, tmp_path):
    fewer_kernels = ("--resistor_noise", 0, "--clipping", 0)
    compiled = (*THREE, "--compile", "on", "--epochs", 1, *fewer_kernels)
    pool = start(*compiled, "--n_models", 2, output_dir=tmp_path / "pool")
    assert pool.wait() == 0, pool.said
    by_itself = start(*compiled, "--n_models", 1, "--seed", 101, output_dir=tmp_path / "alone")
    assert by_itself.wait() == 0, by_itself.said
    _, among_two = read_all(tmp_path / "pool")
    (single,) = read_all(tmp_path / "alone")
    assert among_two.json["compiled"]
    assert (among_two.json["threads"], single.json["threads"]) == (1, 2)
    assert torch.equal(among_two.gradients, single.gradients)
    for key, tensor in among_two.state.items():
        assert torch.equal(tensor, single.state[key])
