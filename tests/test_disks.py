"""Disks that are full, vanish, or cannot be written to: nothing lost, and told in a line."""

import shutil
import subprocess

import pytest
from conftest import read_all
from support.sweeps import SLOW, SWEEP, assert_same_results


def test_a_log_that_cannot_be_written_stops_nothing(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    process = start(*SWEEP, errors="/dev/full")
    assert process.wait() == 0
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
        process = start(*SWEEP, "--checkpoint_minutes", 5, output_dir=small_disk / "out")
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
    process = start(*SWEEP, "--checkpoint_minutes", 5, **SLOW)
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
