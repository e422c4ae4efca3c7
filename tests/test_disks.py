"""Disks that are full, vanish, or cannot be written to: nothing is lost, and one line is logged."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import members_of, read_all, setting_of
from support.sweeps import SWEEP, assert_same_results, held_in

from utils.errors import UserError
from utils.records.files import HOST, write_bytes
from utils.records.folders import check_names


def test_a_log_that_cannot_be_written_stops_nothing(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    start(*SWEEP, errors="/dev/full").ended()
    assert_same_results(out, undisturbed)


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
    """A network takes 0.3 MB: three fit, without checkpoints; in the end all four are there."""
    if small_disk:
        process = start(*SWEEP, output_dir=small_disk / "out").ended(1)
        out = tmp_path / "out"
        shutil.copytree(small_disk / "out", out)  # the same files on a larger disk
    else:  # no file may grow beyond 0.2 MB, which stops the first network
        process = start(*SWEEP, file_limit=200_000).ended(1)
        out = tmp_path / "out"
    assert "Traceback" not in process.log
    last = process.log.splitlines()[-1]
    assert last.startswith("main.py: error: cannot write ")
    assert "--resume" in last
    assert bool(read_all(out)) == bool(small_disk)  # complete ones stay readable
    start(*SWEEP, "--resume").ended()
    assert_same_results(out, undisturbed)


def test_a_folder_that_vanishes(start, tmp_path):
    out = tmp_path / "out"
    process = start(*SWEEP, before=held_in(3)).wait_for("epoch 2/", 2)
    shutil.rmtree(out)
    process.open_networks(0, 1)
    process.ended(1)
    assert process.log.splitlines()[-1].startswith("main.py: error: cannot write ")
    assert "Traceback" not in process.log


def test_a_read_only_folder_is_refused_before_anything_starts(start, tmp_path):
    out = tmp_path / "read_only"
    out.mkdir(mode=0o555)
    process = start(*SWEEP, output_dir=out, powerless=True).ended(2)
    assert process.log.startswith("main.py: error: --output_dir")
    assert "no permission" in process.log
    assert process.log.count("\n") == 1
    assert not list(out.iterdir())


def test_a_folder_that_becomes_read_only(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    process = start(*SWEEP, powerless=True, before=held_in(2)).wait_for("epoch 1/", 2)
    for folder in out.iterdir():
        folder.chmod(0o555)
    process.open_networks(0, 1)
    process.ended(1)
    assert "Permission denied" in process.log.splitlines()[-1]
    for folder in out.iterdir():
        folder.chmod(0o755)
    start(*SWEEP, "--resume", powerless=True).ended()
    assert_same_results(out, undisturbed)


def test_a_name_longer_than_the_file_system_takes_is_refused_before_anything_trains(
    start, tmp_path
):
    """Folders of 229 to 236 letters could be made, their files could not, after the training."""
    fields = "double-curved--1.2345678901234567", "double-curved-1.2345678901234567"
    words = f"--field {fields[0]} {fields[1]} --switch_epoch 1 --var 0.12345678901234567"
    noises = "--resistor_noise 0.0012345678901234567 --write_noise 0.00123456789 --clipping 0.1"
    small = "--task Digits --epochs 2 --n_models 1 --layers 16 --compile off"
    long = f"{small} {words} {noises}".split()
    process = start(*long, "--physical_clipping").ended(2)
    *_, line = process.log.splitlines()
    assert line.startswith("main.py: error: --field: names of files in ")
    assert line.endswith(f" file system takes; shorten {'-'.join(fields)}")
    assert not (tmp_path / "out").exists()
    start(*long).ended()
    (record,) = read_all(tmp_path / "out")
    assert 229 <= len(record.folder.name) <= 236


def test_the_longest_name_that_is_written_is_one_that_is_checked(tmp_path, monkeypatch):
    """The longest name by hand: folder, `.` and `.host.pid.tmp`, or the file of a layer."""
    setting = setting_of(layers=(8, 8, 8))
    stem = 14 + 1 + len(setting.slug)
    partial = len(f"..{HOST}.{os.getpid()}.tmp")
    longest = stem + max(len("-99-intensity-layer-10.pth"), partial)
    monkeypatch.setattr(os, "pathconf", lambda path, name: longest)
    check_names(tmp_path / "new" / "out", members_of(setting, 100))
    monkeypatch.setattr(os, "pathconf", lambda path, name: longest - 1)
    with pytest.raises(UserError, match=f"1 bytes longer than the {longest - 1} that"):
        check_names(tmp_path / "new" / "out", members_of(setting, 100))


def test_a_partial_file_tells_host_and_process_and_is_short(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Path, "replace", lambda path, target: seen.append(path.name))
    write_bytes(tmp_path / ("x" * 240 + "-0-accuracies.pth"), b"")
    assert seen[0].startswith(".xxx")
    assert seen[0].endswith(f"-0-accuracies.pth.{HOST}.{os.getpid()}.tmp")
    assert len(seen[0]) < 200
