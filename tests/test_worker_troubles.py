"""What goes wrong in a worker: too little memory, mistakes, failing networks, no compiler."""

import pytest
import torch
from conftest import assert_same_weights, read_all
from support.forking import needs_workers
from support.sweeps import THREE, THREE_SLUG, assert_same_three, complete

pytestmark = needs_workers


def test_too_little_memory_makes_workers_fewer_and_loses_nothing_complete(
    start, tmp_path, three_alone
):
    process = start(*THREE, before=("memory_that_is_used_up_later",))
    process.wait_for("network 2: epoch 1/")
    (path,) = complete(tmp_path / "out")
    written = path.stat().st_mtime_ns
    process.open_networks(1)
    process.wait_for("memory does not suffice for 2 at a time")
    process.open_networks(2)
    process.ended()
    assert process.log.count("memory does not suffice for 2 at a time") == 1
    assert process.log.count("network 0: epoch 1/") == 1
    assert process.log.count("network 1: epoch 1/") == 2  # it had to start anew
    assert path.stat().st_mtime_ns == written
    assert_same_three(tmp_path / "out", three_alone)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_too_large_for_the_memory_is_a_user_error(threads, start, tmp_path):
    process = start(*THREE, threads=threads, before=("memory_for_none",)).ended(2)
    assert "Traceback" not in process.log
    *earlier, last = process.log.splitlines()
    assert last.startswith("main.py: error: a single network does not fit into memory; choose ")
    assert last.endswith("or on a GPU --device cpu")
    fewer = [line for line in earlier if line.startswith("memory does not suffice")]
    assert len(fewer) == threads - 1
    assert not complete(tmp_path / "out")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_mistake_ends_with_its_traceback(threads, start):
    fault = ("a_mistake_in_the_second_epoch",)
    process = start(*THREE, threads=threads, before=fault).ended(1)
    assert process.log.count("KeyError: 'a mistake'") == 1
    assert "fault_injection.py" in process.log  # the place
    assert ("in a worker process" in process.log) == (threads > 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_that_fails_is_named_and_recorded_as_failed(
    threads, start, tmp_path, three_alone
):
    process = start(*THREE, threads=threads, before=("network_1_is_poisoned",)).ended()
    assert process.log.count(f"network 1 of {THREE_SLUG} failed") == 1
    assert "from step 0 on" in process.log
    records = read_all(tmp_path / "out")
    assert [record.json["failed_step"] for record in records] == [None, 0, None]
    assert records[1].json["accuracy"] is None
    assert records[1].json["swap_accuracy"] is None
    assert records[1].accuracies.isnan().all()
    assert records[1].gradients.isnan().all()
    assert "2 (1 failed)" in process.output.read_text()
    for index in (0, 2):
        assert torch.equal(records[index].accuracies, list(three_alone.values())[index].accuracies)


def test_without_a_compiler_workers_go_on_uncompiled_and_resume_their_checkpoints(
    start, tmp_path, three_alone
):
    arguments = (*THREE, "--compile", "on")
    process = start(*arguments, before=("no_compiler_and_hold", 10))
    process.wait_for("epoch 2/", 2).stopped()
    again = start(*arguments, "--resume", before=("no_compiler",)).ended()
    assert again.log.count("epoch 1/") == 1  # of network 2
    assert_same_three(tmp_path / "out", three_alone)
    assert "2 go on from a checkpoint, 1 start afresh" in again.log
    for log in (process.log, again.log):
        lines = [line for line in log.splitlines() if "no C++ compiler found" in line]
        assert lines == [
            "compiling the training step failed (no C++ compiler found); it runs uncompiled, which "
            "is several times slower (--compile off silences this)"
        ]


def test_a_compiled_network_is_the_same_in_a_worker_and_alone_with_two_threads(start, tmp_path):
    """The worker's program is that of test_flags.py, end to end."""
    compiled = "--task Digits --layers 64 --epochs 1 --lr 3000 --device cpu --compile on".split()
    start(*compiled, "--n_models", 2, output_dir=tmp_path / "pool").ended()
    start(*compiled, "--n_models", 1, "--seed", 101, output_dir=tmp_path / "alone").ended()
    _, among_two = read_all(tmp_path / "pool")
    (single,) = read_all(tmp_path / "alone")
    assert among_two.json["compiled"]
    assert (among_two.json["threads"], single.json["threads"]) == (1, 2)
    assert torch.equal(among_two.gradients, single.gradients)
    assert_same_weights(among_two, single)
