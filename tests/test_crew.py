"""Several processes that train for one run: the same files, and nothing lost."""

import os
import signal
from pathlib import Path

import pytest
import torch
from conftest import CPU, read_all, setting_of
from launched import ask

from utils.data.currents import Currents
from utils.data.datasets import load
from utils.training import plan

pytestmark = pytest.mark.skipif(
    not plan.can_spread(
        setting_of(batch_size=128, layers=(24,)),
        Currents.of(load("Digits", Path()), padding=2, input_scale=0.001, device=CPU),
    ),
    reason="needs Linux, no GPU, and products that do not depend on the number of threads",
)
THREE = (
    "--task Digits --layers 24 --epochs 12 --n_models 3 --lr 4000 --field double-linear "
    "--resistor_noise 0.015 --clipping 0.1 --device cpu --compile off --checkpoint_minutes 5"
).split()  # on two cores: networks 0 and 2 in one process, network 1 in the other
SLOW = {"before": "sabotage:slow_steps"}


@pytest.fixture(scope="module")
def alone(launcher, tmp_path_factory) -> list:
    """The records of the three networks, by one process of one thread."""
    folder = tmp_path_factory.mktemp("alone")
    files = {"output": str(folder / "out.txt"), "errors": str(folder / "err.txt"), "threads": 1}
    arguments = [*THREE, "--output_dir", str(folder / "out")]
    assert ask(launcher, {"wait": ask(launcher, {"args": arguments} | files)}) == 0
    return read_all(folder / "out")


def assert_same(output_dir: Path, expected: list) -> None:
    actual = read_all(output_dir)
    assert [record.json["model"] for record in actual] == [0, 1, 2]
    for mine, other in zip(actual, expected, strict=True):
        for key in ("accuracy", "swap_accuracy", "loss", "failed_step", "compiled"):
            assert mine.json[key] == other.json[key]
        assert torch.equal(mine.accuracies, other.accuracies)
        assert torch.equal(mine.gradients, other.gradients)
        for key, tensor in mine.state.items():
            assert torch.equal(tensor, other.state[key])
    assert not list(output_dir.glob("[!.]*/*checkpoint*"))


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def checkpoints(output_dir: Path) -> int:
    return len(list(output_dir.glob("[!.]*/*-checkpoint.pth")))


def complete(output_dir: Path) -> list[Path]:
    return list(output_dir.glob("[!.]*/*.json"))


@pytest.mark.parametrize("threads", [2, 3])
def test_files_are_those_of_one_process(threads, start, tmp_path, alone):
    process = start(*THREE, threads=threads, **SLOW)
    process.wait_until(lambda: "epoch 1/" in process.said)
    assert len(children(process.pid)) == threads
    assert process.wait() == 0, process.said
    assert_same(tmp_path / "out", alone)
    lines = process.said.splitlines()
    assert [line.split("epoch ")[1].split("/")[0] for line in lines] == [
        str(epoch) for epoch in range(1, 13)
    ]
    assert {record.json["threads"] for record in read_all(tmp_path / "out")} == {1}


def test_the_death_of_one_process_ends_the_run_and_nothing_else_is_lost(start, tmp_path, alone):
    process = start(*THREE, **SLOW)
    process.wait_until(lambda: "epoch 1/" in process.said)
    os.kill(children(process.pid)[0], signal.SIGKILL)  # the one with networks 0 and 2
    assert process.wait() == 1
    assert "Traceback" not in process.said
    last = process.said.splitlines()[-1]
    assert last.startswith("main.py: error: a process of this run has died")
    assert "--resume" in last
    assert checkpoints(tmp_path / "out") == 1
    assert start(*THREE, "--resume").wait() == 0
    assert_same(tmp_path / "out", alone)


def test_no_process_outlives_a_run_that_is_killed(start):
    process = start(*THREE, "--epochs", 1000)
    process.wait_until(lambda: "epoch 1/" in process.said)
    crew = children(process.pid)
    assert len(crew) == 2
    process.send(signal.SIGKILL)
    process.wait()
    process.wait_until(lambda: not any(map(is_alive, crew)), seconds=5)


def test_processes_end_with_the_training(start):
    process = start(*THREE, before="sabotage:slow_steps_and_table")
    process.wait_until(lambda: len(children(process.pid)) == 2)
    process.wait_until(lambda: not children(process.pid), seconds=10)
    assert is_alive(process.pid)  # it prints its table slowly
    assert process.wait() == 0


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_the_first_decides(start, tmp_path, alone):
    process = start(*THREE, **SLOW)
    process.wait_until(lambda: "epoch 2/" in process.said)
    for pid in [*children(process.pid), process.pid]:
        os.kill(pid, signal.SIGINT)
    assert process.wait() == 130
    assert "Traceback" not in process.said
    assert "of 3 networks 0 are complete and 3 have a checkpoint" in process.said
    assert checkpoints(tmp_path / "out") == 3
    again = start(*THREE, "--resume")
    assert again.wait() == 0
    assert "epoch 1/" not in again.said  # which is not trained again
    assert_same(tmp_path / "out", alone)


def test_a_stop_is_heard_while_the_first_process_compiles(start, tmp_path):
    process = start(*THREE, "--compile", "on", before="sabotage:slow_compiler")
    process.wait_until(lambda: len(children(process.pid)) == 2)
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    assert "nothing was trained yet" in process.said
    assert not list((tmp_path / "out").iterdir())


def test_what_is_complete_is_written_while_others_train(start, tmp_path, alone):
    process = start(*THREE, **SLOW)
    process.wait_until(lambda: complete(tmp_path / "out"))
    process.send(signal.SIGTERM)
    assert process.wait() == 143
    assert "of 3 networks 1 are complete and 2 have a checkpoint" in process.said
    assert checkpoints(tmp_path / "out") == 2
    assert start(*THREE, "--resume", threads=1).wait() == 0  # and by one process, for once
    assert_same(tmp_path / "out", alone)


OFTEN = ("--checkpoint_minutes", 0.003)


def test_checkpoints_are_kept_while_all_train(start, tmp_path, alone):
    process = start(*THREE, *OFTEN, **SLOW)
    process.wait_until(lambda: checkpoints(tmp_path / "out") == 3)
    process.send(signal.SIGKILL)
    process.wait()
    again = start(*THREE, *OFTEN, "--resume")
    assert again.wait() == 0
    assert "3 go on from a checkpoint" in again.said
    assert_same(tmp_path / "out", alone)


def test_a_process_without_work_sends_no_old_checkpoints(start, tmp_path, alone):
    """The second group has one network, and checkpoints while the other process has none."""
    slow = (*THREE, "--checkpoint_minutes", 0.001)
    process = start(*slow, before="sabotage:memory_for_two_networks")
    assert process.wait() == 0
    assert "[2/2]" in process.said
    assert_same(tmp_path / "out", alone)


def test_too_little_memory_halves_the_group_for_all(start, tmp_path, alone):
    process = start(*THREE, before="sabotage:memory_for_one_network_a_process")
    assert process.wait() == 0, process.said
    assert "half 1 of 2" in process.said
    assert_same(tmp_path / "out", alone)


def test_what_is_complete_when_memory_is_used_up_is_not_trained_again(start, tmp_path, alone):
    process = start(*THREE, before="sabotage:memory_that_is_used_up_later")
    process.wait_until(lambda: complete(tmp_path / "out"))
    (path,) = complete(tmp_path / "out")
    written = path.stat().st_mtime_ns
    assert process.wait() == 0, process.said
    assert "half 2 of 2" in process.said
    assert path.stat().st_mtime_ns == written
    assert_same(tmp_path / "out", alone)


def test_a_mistake_in_a_process_is_told_as_one(start):
    process = start(*THREE, before="sabotage:a_mistake_in_the_second_epoch")
    assert process.wait() == 1
    assert "KeyError: 'a mistake'" in process.said
    assert "sabotage.py" in process.said  # the place


def test_a_network_that_fails_is_named_once(start, tmp_path):
    process = start(*THREE, before="sabotage:network_1_is_poisoned")
    assert process.wait() == 0
    assert process.said.count("network 1 of Digits-double-linear-4000.0") == 1
    failed = [record.json["failed_step"] for record in read_all(tmp_path / "out")]
    assert failed == [None, 0, None]


def test_without_a_compiler_all_go_on_uncompiled_and_say_so_once(start, tmp_path, alone):
    process = start(*THREE, "--compile", "on", before="sabotage:no_compiler")
    assert process.wait() == 0, process.said
    assert process.said.count("no C++ compiler found") == 1
    assert_same(tmp_path / "out", alone)


def test_a_compiled_network_of_a_crew_is_the_one_trained_alone_by_two_threads(start, tmp_path):
    fewer_kernels = ("--resistor_noise", 0, "--clipping", 0)
    compiled = (*THREE, "--compile", "on", "--epochs", 1, *fewer_kernels)
    assert start(*compiled, "--n_models", 2, output_dir=tmp_path / "crew").wait() == 0
    alone = (*compiled, "--n_models", 1, "--seed", 101)
    assert start(*alone, output_dir=tmp_path / "alone").wait() == 0
    _, among_two = read_all(tmp_path / "crew")
    (by_itself,) = read_all(tmp_path / "alone")
    assert among_two.json["compiled"]
    assert (among_two.json["threads"], by_itself.json["threads"]) == (1, 2)
    assert torch.equal(among_two.gradients, by_itself.gradients)
    for key, tensor in among_two.state.items():
        assert torch.equal(tensor, by_itself.state[key])
