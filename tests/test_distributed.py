"""Several processes, started by torchrun, give what one process gives."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import PROJECT, read_all
from support.launched import Process
from support.sweeps import (
    SWEEP,
    Undisturbed,
    assert_same_results,
    checkpoints,
    held_in,
    is_alive,
)

import main
from utils.compute import distributed, signals
from utils.compute.distributed import World, collective
from utils.compute.processor import OutOfMemoryError
from utils.errors import FailedOnOtherRankError, UserError, WorkerDiedError

OFTEN = ("--checkpoint_minutes", 0.002)
RANKS = ("RANK", "LOCAL_RANK")


@pytest.fixture
def launch(start):
    """Starts several processes of one run, each with the environment that torchrun gives it.

    late: the rank of one that starts later than the others; before: see launcher.py.
    """

    def launch_run(processes: int, *arguments, late=None, before=None) -> list[Process]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        world = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none"}
        run = []
        for rank in range(processes):
            environment = {
                key: str(value) for key, value in (world | dict.fromkeys(RANKS, rank)).items()
            }
            fault = ("wait_a_second",) if rank == late else before
            run.append(start(*arguments, variables=environment, before=fault))
        return run

    return launch_run


def exit_codes(run: list[Process]) -> list[int]:
    """Wait for all processes as torchrun does: once one has failed, it ends the others."""
    codes: dict[int, int] = {}
    while len(codes) < len(run):
        for process in run:
            if process.pid in codes or is_alive(process.pid):
                continue
            codes[process.pid] = process.wait()
            for other in run if codes[process.pid] else ():
                if other.pid not in codes:
                    other.send(signal.SIGTERM)
        time.sleep(0.01)
    return [codes[process.pid] for process in run]


def errors_of(run: list[Process]) -> str:
    return "".join(process.log for process in run)


def assert_same(output_dir: Path, undisturbed: Undisturbed) -> None:
    assert_same_results(output_dir, undisturbed)
    assert len({path.name[:14] for path in output_dir.iterdir()}) == 1


def test_files_are_those_of_a_single_process(launch, tmp_path, undisturbed):
    """Three processes are tried here; two processes, one of them killed, in the tests below."""
    run = launch(3, *SWEEP)
    assert exit_codes(run) == [0, 0, 0], errors_of(run)
    assert_same(tmp_path / "out", undisturbed)
    first, *others = [process.output.read_text() for process in run]
    assert first.count("\ndouble-") == 2  # one table
    assert others == ["", ""]
    errors = errors_of(run)
    logged = [line.split(": epoch 4/4")[0] for line in errors.splitlines() if "epoch 4/4" in line]
    names = [f"{slug}, network {model}" for slug, model in sorted(undisturbed.records)]
    assert logged == [names[2], names[1]]  # of process 0's networks: linear 0, exponential 1
    assert errors.count("Digits: 1500 images to train") == 1


def test_a_killed_process_ends_the_run_and_resume_completes_it(
    launch, start, tmp_path, undisturbed
):
    output_dir = tmp_path / "out"
    run = launch(2, *SWEEP, *OFTEN, before=held_in(2))
    run[1].wait_until(lambda: len(checkpoints(output_dir)) == 2)
    run[1].send(signal.SIGKILL)
    assert exit_codes(run) == [143, -signal.SIGKILL]
    assert "stopped by SIGTERM" in run[0].log  # it saved what it had
    assert "--resume goes on" in run[0].log
    assert not read_all(output_dir)
    again = start(*SWEEP, *OFTEN, "--resume", threads=1).ended()  # under one process
    assert "go on from a checkpoint" in again.log
    assert_same(output_dir, undisturbed)


def test_torchrun_restarts_a_run_that_resumes_by_itself(start, tmp_path, undisturbed):
    """After a kill -9 of the process of rank 1, once training is under way everywhere."""
    run = start(*SWEEP, *OFTEN, restarts=1, before=("hold_until_restarted", 6))  # in the 2nd epoch
    run.wait_until(lambda: len(checkpoints(tmp_path / "out")) == 2)
    os.kill(int(Path(f"{run.gates}.1").read_text()), signal.SIGKILL)
    run.ended()
    assert "stopped by SIGTERM" in run.log
    assert "go on from a checkpoint" in run.log
    assert_same(tmp_path / "out", undisturbed)
    assert run.output.read_text().count("\ndouble-") == 2


def test_a_process_without_work_leaves_the_folders_to_the_others(launch, tmp_path):
    """Rank 1 of 2 has no network to train; stopped, it must not clear away rank 0's folder."""
    flags = "--n_models 1 --lr 1000 --field double-linear"
    run = launch(2, *SWEEP, *flags.split(), before=held_in(2))
    run[0].wait_for("epoch 1/")  # its only checkpoint is of the stop
    run[1].send(signal.SIGTERM)
    assert exit_codes(run) == [143, 143]
    assert "cannot write" not in errors_of(run)
    assert len(checkpoints(tmp_path / "out")) == 1


def test_waiting_for_a_process_that_has_died_is_described():
    with pytest.raises(WorkerDiedError, match="another process of this run has died"), collective():
        raise RuntimeError("Connection closed by peer")


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--lr", "-1"], "main.py: error: --lr -1.0"),
        (["--tf32", "--device", "cpu"], "main.py: error: --tf32 has an effect on a CUDA GPU only"),
    ],
    ids=["before the processes meet", "after"],
)
def test_an_error_of_all_is_logged_once(late, flags, error, launch, tmp_path):
    """Whichever process comes first."""
    run = launch(2, *flags, late=late)
    first, other = exit_codes(run)
    assert first == 2
    assert other != 0  # it may be ended before it has found the error
    assert errors_of(run).count("main.py: ") == errors_of(run).count(error) == 1
    assert not (tmp_path / "out").exists()


def test_an_error_is_logged_once_where_torchrun_ends_the_others(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += [str(PROJECT / "main.py"), "--lr", "-1", "--output_dir", str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode != 0
    assert run.stderr.count("main.py: ") == run.stderr.count("main.py: error: --lr -1.0") == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture
def second(stop, monkeypatch):
    """This process as the second of a run, which does not wait long for the first."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(signals, "RANK_ZERO_TIMEOUT_S", 0.2)


def test_a_wrong_flag_of_one_process_alone_is_logged_by_it(second, capsys):
    start = time.monotonic()
    with pytest.raises(SystemExit) as stop:
        main.main(["--lr", "-1"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("main.py: error: --lr -1.0")
    assert time.monotonic() - start >= signals.RANK_ZERO_TIMEOUT_S


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("no data"), 2, "main.py: error: no data\n"),
        (OutOfMemoryError(), 2, f"main.py: error: {main.TOO_LARGE}\n"),
        (FailedOnOtherRankError(1), 1, ""),
        (FailedOnOtherRankError(2), 2, ""),
    ],
)
def test_process_0_has_time_to_log_an_error_before_the_other_does(
    error, code, line, second, monkeypatch, capsys
):
    """The other one logs it where process 0 does not end it."""

    def fail(*_):
        raise error

    monkeypatch.setattr(main, "simulate", fail)
    start = time.monotonic()
    assert main.main([]) == code
    assert capsys.readouterr().err == line
    assert time.monotonic() - start >= signals.RANK_ZERO_TIMEOUT_S


def test_a_process_that_is_ended_before_it_has_trained_logs_nothing(second, monkeypatch, capsys):
    """Process 0 logs why, even if it found an error before this process had read its flags."""
    monkeypatch.setattr(main, "parse", lambda args: signal.raise_signal(signal.SIGTERM))
    assert main.main([]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == ""


def test_dry_run_prints_the_plan_once_and_writes_nothing(launch, tmp_path):
    run = launch(2, *SWEEP, "--dry_run")
    assert exit_codes(run) == [0, 0], errors_of(run)
    first, other = (process.output.read_text() for process in run)
    assert first.count("2 settings of 2 networks each, 2 processes:") == 1
    assert first.count("process 0 trains 2 networks") == 1
    assert other == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("processes", "usable", "threads", "cores"),
    [
        *((n, 8, 8, cores) for n, cores in ((1, 8), (2, 4), (3, 2), (8, 1), (20, 1))),
        (1, 1, 8, 1),  # a process bound to one core does not crowd it
        (1, 8, 3, 3),  # fewer threads on request, by $OMP_NUM_THREADS
    ],
)
def test_processes_share_the_cores_of_their_machine(processes, usable, threads, cores, monkeypatch):
    set_to = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr(distributed, "usable_cores", lambda: usable)
    world = World()
    world.local_size = processes
    assert world.take_cores() == cores
    assert set_to == [1]  # so that the process can still be forked
