"""Several processes, started by torchrun, give what one process gives."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import PROJECT, read_all, run_main

from utils.errors import RecordError
from utils.world import peers

SWEEP = (
    "--task Digits --layers 48 --epochs 8 --n_models 3 --lr 4000 --field double-linear "
    "double-exponential --resistor_noise 0.015 --clipping 0.1 --device cpu --compile off"
).split()


def torchrun(processes: int, *arguments, restarts=0) -> subprocess.Popen:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc_per_node", str(processes), "--max_restarts", str(restarts),
        str(PROJECT / "main.py"), *map(str, arguments),
    ]  # fmt: skip
    two_cores = sorted(os.sched_getaffinity(0))[:2]  # as many groups as there, on any machine
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, two_cores),
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    """The networks of one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert run_main(*SWEEP, "--output_dir", folder).returncode == 0
    return by_name(folder)


def by_name(output_dir: Path) -> dict:
    return {(r.folder.name[14:], r.json["model"]): r for r in read_all(output_dir)}


def assert_same(output_dir: Path, expected: dict) -> None:
    actual = by_name(output_dir)
    assert actual.keys() == expected.keys()
    for name, record in actual.items():
        assert torch.equal(record.accuracies, expected[name].accuracies)
        assert torch.equal(record.gradients, expected[name].gradients)
        assert record.json["swap_accuracy"] == expected[name].json["swap_accuracy"]
        for key, tensor in record.state.items():
            assert torch.equal(tensor, expected[name].state[key])
    stamps = {path.name[:14] for path in output_dir.iterdir()}
    assert len(stamps) == 1


@pytest.mark.parametrize("processes", [2, 3])
def test_files_are_those_of_a_single_process(processes, tmp_path, alone):
    process = torchrun(processes, *SWEEP, "--output_dir", tmp_path)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same(tmp_path, alone)
    rows = [line for line in output.splitlines() if line.startswith("double-")]
    assert len(rows) == 2  # one table
    epochs = [line for line in errors.splitlines() if "epoch 8/8" in line]
    assert len(epochs) == 2  # one line of progress for each of process 0's groups


def workers(process: subprocess.Popen) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, command in commands.items() if b"main.py" in command]


def rank(pid: int) -> int:
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return int(next(v for v in variables if v.startswith(b"RANK=")).removeprefix(b"RANK="))


def wait_until(condition, seconds=60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def kill_second(process: subprocess.Popen, output_dir: Path) -> None:
    """kill -9 the process of rank 1, once training is under way everywhere."""
    wait_until(lambda: len(list(output_dir.glob("[!.]*/*-checkpoint.pth"))) >= 2)
    victim = next(pid for pid in workers(process) if rank(pid) == 1)
    os.kill(victim, signal.SIGKILL)


OFTEN = ("--checkpoint_minutes", 0.002)


def test_a_killed_process_ends_the_run_and_resume_completes_it(tmp_path, alone):
    process = torchrun(2, *SWEEP, *OFTEN, "--output_dir", tmp_path)
    kill_second(process, tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "stopped by SIGTERM" in errors  # the other saved what it had
    assert "--resume goes on" in errors
    assert len(read_all(tmp_path)) < 6
    result = run_main(*SWEEP, *OFTEN, "--output_dir", tmp_path, "--resume")  # under one process
    assert result.returncode == 0, result.stderr
    assert "go on from a checkpoint" in result.stderr
    assert_same(tmp_path, alone)


def test_torchrun_restarts_a_run_that_resumes_by_itself(tmp_path, alone):
    process = torchrun(2, *SWEEP, *OFTEN, "--output_dir", tmp_path, restarts=1)
    kill_second(process, tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "go on from a checkpoint" in errors
    assert_same(tmp_path, alone)


def test_a_process_without_work_leaves_the_folders_to_the_others(tmp_path):
    """Rank 1 of 2 has no network to train; stopped, it must not clear away rank 0's folder."""
    one = "--n_models 1 --lr 1000 --field double-linear --epochs 3000 --checkpoint_minutes 5"
    process = torchrun(2, *SWEEP, *one.split(), "--output_dir", tmp_path)
    wait_until(lambda: any(tmp_path.glob("[!.]*/*.settings")) and len(workers(process)) == 2)
    idle = next(pid for pid in workers(process) if rank(pid) == 1)
    time.sleep(1)  # until rank 0 trains; its first checkpoint is the one of the stop
    os.kill(idle, signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "cannot write" not in errors
    assert len(list(tmp_path.glob("[!.]*/*-checkpoint.pth"))) == 1


def test_waiting_for_a_process_that_has_died_is_told_in_words():
    with pytest.raises(RecordError, match="another process of this run has died"), peers():
        raise RuntimeError("Connection closed by peer")


def test_an_error_is_told_once_by_all(tmp_path):
    process = torchrun(2, "--lr", -1, "--output_dir", tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.count("main.py: error: --lr -1.0") == 1


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    result = run_main(*SWEEP, "--dry_run", "--output_dir", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "2 settings x 3 networks on 1 process" in result.stdout
    assert result.stdout.count("\n  Digits-double-") == 2
    for words in ("process 0 trains 6 networks", "MiB", "of training"):
        assert words in result.stdout
    assert not list(tmp_path.iterdir())
