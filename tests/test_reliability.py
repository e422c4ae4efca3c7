"""Nothing lost, nothing half written: kills, signals, full disks, vanishing folders."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from conftest import read_all
from launched import Process, ask
from sabotage import network_1_is_poisoned

import main
from utils.records.folders import HOST
from utils.stop import SIGNALS, Stop, Stopped
from utils.training.ensemble import Ensemble

SWEEP = (
    "--task Digits --layers 32 --epochs 4 --n_models 2 --lr 1000 4000 --field double-linear "
    "double-exponential --resistor_noise 0.015 --clipping 0.1 --device cpu --compile off "
    "--checkpoint_minutes 0.001"
).split()


@dataclass
class Undisturbed:
    """What the sweep gives if nothing happens to it."""

    output_dir: Path
    records: dict


@pytest.fixture(scope="module")
def undisturbed(launcher, tmp_path_factory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    files = {"output": str(folder / "out.txt"), "errors": str(folder / "err.txt"), "threads": 2}
    arguments = [*SWEEP, "--output_dir", str(folder / "out")]
    pid = ask(launcher, {"args": arguments} | files)
    assert ask(launcher, {"wait": pid}) == 0
    return Undisturbed(folder / "out", results(folder / "out"))


def results(output_dir: Path) -> dict:
    """Every network by its setting and number; time stamps left out."""
    return {
        (record.folder.name[14:], record.json["model"]): record for record in read_all(output_dir)
    }


def assert_same_results(output_dir: Path, undisturbed: Undisturbed) -> None:
    """All networks are there, load, and are those of the undisturbed run, to the bit."""
    actual, expected = results(output_dir), undisturbed.records
    assert actual.keys() == expected.keys()
    for name, record in actual.items():
        other = expected[name]
        for key in ("accuracy", "swap_accuracy", "loss", "failed_step"):
            assert record.json[key] == other.json[key]
        assert torch.equal(record.accuracies, other.accuracies)
        assert torch.equal(record.gradients, other.gradients)
        assert record.state.keys() == other.state.keys()
        for key, tensor in record.state.items():
            assert torch.equal(tensor, other.state[key])
    left = [path.name for path in output_dir.glob("[!.]*/*")] + [
        path.name for path in output_dir.glob("[!.]*/.*")
    ]
    assert not [name for name in left if "checkpoint" in name or name.endswith(".tmp")]
    assert len(list(output_dir.iterdir())) == 4  # resuming found its folders again


def test_kill_at_random_moments(start, tmp_path, undisturbed):
    """kill -9, at least 20 times in all, each time resumed until the sweep is complete."""
    moments, kills, sweeps = random.Random(1), 0, 0
    while kills < 20:
        out = tmp_path / f"sweep{sweeps}"
        sweeps += 1
        while True:
            process = start(*SWEEP, "--resume", output_dir=out)
            if kills < 20:
                time.sleep(moments.uniform(0.05, 0.6))
                process.send(signal.SIGKILL)
            code = process.wait()
            if code == 0:
                break
            assert code == -signal.SIGKILL, process.said
            kills += 1
            for record in out.glob("[!.]*/*.json"):
                assert json.loads(record.read_text())["accuracy"] > 0  # whole, once it is there
        assert_same_results(out, undisturbed)


def training(process: Process, output_dir: Path) -> bool:
    return "epoch 2/" in process.said


def writing(process: Process, output_dir: Path) -> bool:
    return any(output_dir.glob("[!.]*/*-accuracies.pth")) or any(
        output_dir.glob("[!.]*/.*acc*.tmp")
    )


def loading(process: Process, output_dir: Path) -> bool:
    return True


@pytest.mark.parametrize("moment", [loading, training, writing], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_nothing_is_lost(
    moment, signum, code, start, tmp_path, undisturbed
):
    out = tmp_path / "out"
    process = start(*SWEEP)
    if moment is loading:
        time.sleep(0.05)
    process.wait_until(lambda: moment(process, out))
    sent = time.monotonic()
    process.send(signum)
    assert process.wait() == code
    assert time.monotonic() - sent < 10  # generous; it is well below a second
    last = process.said.splitlines()[-1]
    assert "Traceback" not in process.said
    assert signal.Signals(signum).name in last
    if moment is loading:
        assert "nothing was trained" in last
        assert not out.exists() or not list(out.iterdir())
    else:
        assert "--resume" in last
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0, process.said
    assert_same_results(out, undisturbed)


@pytest.fixture
def stop():
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield Stop().install()
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


def test_a_second_ctrl_c_stops_at_once(stop, monkeypatch):
    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)

    def two_ctrl_c():
        with stop.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            assert exits == []
            os.kill(os.getpid(), signal.SIGINT)
            assert exits == [130]

    with pytest.raises(Stopped):
        two_ctrl_c()


def test_a_ctrl_c_passed_on_by_torchrun_is_no_second_one(stop, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail("stopped at once"))

    def twice():
        with stop.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        twice()


def test_nohup_keeps_its_meaning(stop):
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        Stop().install()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_resume_says_what_it_found_and_trains_only_what_is_missing(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    assert start(*SWEEP, "--n_models", 1).wait() == 0
    before = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*/*-0.json")}
    assert len(before) == 4
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("1 of 2 networks are complete, 0 go on from a checkpoint, 1") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_same_results(out, undisturbed)
    again = start(*SWEEP, "--resume")
    assert again.wait() == 0
    assert again.said.count("2 of 2 networks are complete") == 4
    assert "epoch" not in again.said
    assert again.output.read_text().count("double-") == 8  # the table, from the files


@pytest.mark.parametrize("change", ["--epochs 9", "--seed 101", "--layers 47", "--init 0.02"])
def test_resume_takes_no_folder_of_other_settings(change, start, tmp_path):
    small = "--task Digits --layers 8 --epochs 1 --n_models 1 --device cpu".split()
    assert start(*small).wait() == 0
    process = start(*small, *change.split(), "--resume")
    assert process.wait() == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_resume_takes_the_folder_in_which_most_was_done(start, tmp_path, undisturbed):
    """An old one with a checkpoint of many steps, not a new one with hardly any."""
    out = tmp_path / "out"
    old = start(*SWEEP)
    old.wait_until(lambda: "epoch 3/" in old.said)
    old.send(signal.SIGTERM)
    assert old.wait() == 143
    folders = set(out.iterdir())
    new = start(*SWEEP, "--checkpoint_minutes", 5)
    new.wait_until(lambda: "epoch 1/" in new.said)
    new.send(signal.SIGTERM)
    new.wait()
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("taken from 2 folders of this setting, since it holds most") == 4
    complete = {path.parent for path in out.glob("[!.]*/*-1.json")}
    assert any(path in complete for path in folders)
    (with_checkpoint,) = (f for f in complete if "double-linear-1000.0" in f.name)
    assert with_checkpoint in folders
    for path in set(out.iterdir()) - complete:
        shutil.rmtree(path)
    assert_same_results(out, undisturbed)


def test_resume_clears_a_folder_that_a_kill_left_half_made(start, tmp_path, undisturbed):
    """They are made out of sight; another run may be making one now."""
    out, slug = tmp_path / "out", slug_of(undisturbed)
    of_a_dead_process = out / f".2020{slug}.{HOST}.{2**22 + 1}.tmp"  # there are no such numbers
    old = out / f".2021{slug}.elsewhere.1.tmp"
    in_the_making = [out / f".2022{slug}.{HOST}.{os.getpid()}.tmp", out / f".2023{slug}.far.1.tmp"]
    for hidden in (of_a_dead_process, old, *in_the_making):
        hidden.mkdir(parents=True)
        (hidden / "x.settings").write_text("{")
    os.utime(old, (0, 0))
    assert start(*SWEEP, "--resume").wait() == 0
    assert sorted(out.glob(".*")) == in_the_making
    for hidden in in_the_making:
        shutil.rmtree(hidden)
    assert_same_results(out, undisturbed)


def slug_of(undisturbed: Undisturbed) -> str:
    """What the name of one of its folders has after the time stamp."""
    return sorted(undisturbed.output_dir.iterdir())[0].name[14:]


def test_resume_clears_the_checkpoint_of_a_complete_network(start, tmp_path, undisturbed):
    """As it is left by a kill between the last file and the removal of the checkpoint."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    for record in out.glob("[!.]*/*-1.json"):
        (record.parent / f"{record.stem}-checkpoint.pth").write_bytes(b"left over")
    assert start(*SWEEP, "--resume").wait() == 0
    assert_same_results(out, undisturbed)


def test_a_log_that_cannot_be_written_stops_nothing(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    process = start(*SWEEP, errors="/dev/full")
    assert process.wait() == 0
    assert_same_results(out, undisturbed)


def test_a_signal_while_flags_are_read(stop, monkeypatch, capsys):
    monkeypatch.setattr(main, "parse", lambda args: os.kill(os.getpid(), signal.SIGTERM))
    assert main.main([]) == 143
    assert capsys.readouterr().err == "main.py: stopped by SIGTERM; nothing was trained yet\n"


@pytest.mark.parametrize("damage", ["truncate", "remove", "other settings", "not json"])
def test_resume_trains_a_damaged_network_again(damage, start, tmp_path, undisturbed):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    victim = sorted(out.glob("[!.]*/*-1.json"))[0]
    weights = victim.with_suffix(".pth")
    if damage == "truncate":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "remove":
        weights.unlink()
    elif damage == "not json":
        victim.write_text("{")
    else:
        victim.write_text(json.dumps(json.loads(victim.read_text()) | {"epochs": 3}))
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("1 of 2 networks are complete") == 1
    assert_same_results(out, undisturbed)


def test_a_damaged_checkpoint_is_not_used(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    process = start(*SWEEP)
    process.wait_until(lambda: any(out.glob("[!.]*/*-checkpoint.pth")))
    process.send(signal.SIGKILL)
    process.wait()
    for checkpoint in out.glob("[!.]*/*-checkpoint.pth"):
        checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert_same_results(out, undisturbed)


def test_two_runs_do_not_work_in_one_folder(start, tmp_path):
    first = start(*SWEEP, "--epochs", 1000)
    first.wait_until(lambda: "epoch 1/" in first.said)
    second = start(*SWEEP, "--epochs", 1000, "--resume")
    assert second.wait() == 2
    assert "is in use by another run" in second.said
    assert second.said.count("\n") == 1
    first.send(signal.SIGKILL)
    first.wait()


def test_runs_started_in_the_same_second_have_folders_of_their_own(start, tmp_path):
    small = "--task Digits --layers 8 --epochs 1 --n_models 1 --device cpu".split()
    runs = [start(*small) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert len(read_all(tmp_path / "out")) == 3


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MB, as a mount; None where mounting is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    yield disk if mounted else None
    if mounted:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk, start, tmp_path, undisturbed):
    """A network takes 0.3 MB: some fit, some do not, and in the end all do."""
    if small_disk:
        process = start(*SWEEP, output_dir=small_disk / "out")
        assert process.wait() == 1
        out = tmp_path / "out"
        shutil.copytree(small_disk / "out", out)  # the same files on a larger disk
    else:  # no file may grow beyond 0.2 MB, which stops the first network
        process = start(*SWEEP, file_limit=200_000)
        assert process.wait() == 1
        out = tmp_path / "out"
    assert "Traceback" not in process.said
    last = process.said.splitlines()[-1]
    assert last.startswith("main.py: error: cannot write ")
    assert "--resume" in last
    assert bool(read_all(out)) == bool(small_disk)  # complete ones stay readable
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0, process.said
    assert_same_results(out, undisturbed)


def test_a_folder_that_vanishes(start, tmp_path):
    out = tmp_path / "out"
    process = start(*SWEEP, "--checkpoint_minutes", 5)
    process.wait_until(lambda: "epoch 2/" in process.said)
    shutil.rmtree(out)
    assert process.wait() == 1
    assert process.said.splitlines()[-1].startswith("main.py: error: cannot write ")
    assert "Traceback" not in process.said


def test_a_read_only_folder_is_refused_before_anything_starts(start, tmp_path):
    out = tmp_path / "read_only"
    out.mkdir(mode=0o555)
    process = start(*SWEEP, output_dir=out, powerless=True)
    assert process.wait() == 2
    assert process.said.startswith("main.py: error: --output_dir")
    assert "no permission" in process.said
    assert process.said.count("\n") == 1
    assert not list(out.iterdir())


def test_a_folder_that_becomes_read_only(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    process = start(*SWEEP, "--checkpoint_minutes", 5, powerless=True)
    process.wait_until(lambda: "epoch 1/" in process.said)
    for folder in out.iterdir():
        folder.chmod(0o555)
    assert process.wait() == 1
    assert "Permission denied" in process.said.splitlines()[-1]
    for folder in out.iterdir():
        folder.chmod(0o755)
    process = start(*SWEEP, "--resume", powerless=True)
    assert process.wait() == 0, process.said
    assert_same_results(out, undisturbed)


def test_a_failing_network_is_named_and_recorded_as_failed(simulate, monkeypatch):
    healthy = simulate("--n_models 3 --epochs 2")
    monkeypatch.setattr(Ensemble, "fresh", Ensemble.fresh)  # so that it is put back
    network_1_is_poisoned()
    records = simulate("--n_models 3 --epochs 2")
    said = simulate.errors
    assert said.count("network 1 of Digits-double-linear-1000.0") == 1
    assert "from step 0 on" in said
    assert [record.json["failed_step"] for record in records] == [None, 0, None]
    assert records[1].json["accuracy"] is None
    assert records[1].json["swap_accuracy"] is None
    assert records[1].accuracies.isnan().all()
    assert records[1].gradients.isnan().all()
    assert "2 (1 failed)" in simulate.table
    for index in (0, 2):
        assert torch.equal(records[index].accuracies, healthy[index].accuracies)
