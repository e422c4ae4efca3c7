"""Checkpoints are used where that gives the same network, and not where it might not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import read_all, setting_of
from support.launched import start_with
from support.session_cache import session_cache
from support.sweeps import SWEEP, assert_same_results, checkpoints, held_in

from utils.records.checkpoints import read_checkpoint, write_checkpoint
from utils.records.folders import Folder
from utils.records.session import Session


@pytest.fixture(scope="session")
def stopped_run(launcher, tmp_path_factory) -> Path:
    """The results of a run that was stopped in its second epoch."""

    def stop(folder: Path) -> None:
        process = start_with(launcher, folder, *SWEEP, before=held_in(2))
        process.wait_for("epoch 1/", 2).stopped()

    return session_cache(tmp_path_factory, "stopped", stop) / "out"


@pytest.fixture
def stopped(stopped_run, tmp_path) -> list[Path]:
    """Checkpoints of a run that was stopped in its second epoch."""
    shutil.copytree(stopped_run, tmp_path / "out")
    paths = checkpoints(tmp_path / "out")
    assert [path.name[-17:] for path in paths] == ["-0-checkpoint.pth", "-1-checkpoint.pth"]
    return paths


def edit(path, change) -> None:
    """Rewrite a checkpoint with changed sessions, which must be one."""
    content = torch.load(path, weights_only=True)
    (session,) = json.loads(content["sessions"])
    change(session)
    torch.save(content | {"sessions": json.dumps([session])}, path)


def spoil(path) -> None:
    """Make the first test accuracy one that no network has, so that its use shows."""
    content = torch.load(path, weights_only=True)
    content["state"]["history.accuracies"][0] = 0.123
    torch.save(content, path)


def test_a_checkpoint_is_used(start, tmp_path, stopped):
    """The next tests rely on this. Its seconds count."""
    for path in stopped:
        spoil(path)
        torch.save(torch.load(path, weights_only=True) | {"seconds": 1000.0}, path)
    process = start(*SWEEP, "--resume").ended()
    assert process.log.count("0 of 2 networks are complete, 2 go on from a checkpoint, 0") == 1
    records = read_all(tmp_path / "out")
    first = [float(record.accuracies[0]) for record in records]
    assert sum(value == pytest.approx(0.123) for value in first) == 2
    seconds = [record.json["seconds"] for record in records]
    assert sum(1000 < duration < 1100 for duration in seconds) == 2
    assert sum(duration < 100 for duration in seconds) == 2


def test_a_checkpoint_without_wear_is_not_used_where_it_is_asked_for(start, tmp_path, stopped):
    process = start(*SWEEP, "--resume", "--wear").ended()
    assert process.log.count("2 start afresh (checkpoints are of another ledger)") == 1
    for record in read_all(tmp_path / "out"):
        worn = sum(record.ledger[f"layers.1.pulses{k}"].double().sum() for k in (1, 2))
        assert worn.item() == pytest.approx(record.ledger["pulses"][:, 0].sum().item(), rel=1e-6)


def test_whatever_else_decides_the_rounding_keeps_a_checkpoint_from_use(stopped):
    """The next test shows that for one name."""
    (content,) = json.loads(torch.load(stopped[0], weights_only=True)["sessions"])
    session = Session.from_json(content)
    assert session.rounding.keys() > {"torch", "hardware", "compiled", "threads"}
    assert session.differences([session]) == []
    for name in session.rounding:
        other = replace(session, rounding={**session.rounding, name: "another"})
        assert session.differences([session, other]) == [name]


def test_a_checkpoint_that_is_not_used_leaves_no_trace(start, tmp_path, undisturbed, stopped):
    """One was rounded otherwise, the other one is damaged."""
    edit(stopped[0], lambda session: session["rounding"].update(torch="2.11.0"))
    spoil(stopped[0])
    stopped[1].write_bytes(stopped[1].read_bytes()[:500])
    process = start(*SWEEP, "--resume").ended()
    line = (
        "0 of 2 networks are complete, 0 go on from a checkpoint, 2 start afresh "
        "(checkpoints are of another torch)"
    )
    assert process.log.count(line) == 1
    assert process.log.count("start afresh (") == 1  # of the other setting there are none
    assert process.log.count("epoch 1/") == 4
    assert_same_results(tmp_path / "out", undisturbed)
    assert all(record.json["earlier_sessions"] == [] for record in read_all(tmp_path / "out"))


def test_every_session_is_recorded_the_oldest_first(start, tmp_path, undisturbed, stopped):
    """Three runs, of which the first was of another commit, which is no reason to start afresh."""
    commit = "0" * 40
    for path in stopped:
        edit(path, lambda session: session["provenance"].update(git_commit=commit))
    again = start(*SWEEP, "--resume", before=held_in(3)).wait_for(": epoch ", 2).stopped()
    last = start(*SWEEP, "--resume").ended()
    for process in (again, last):
        assert process.log.count("2 go on from a checkpoint, 0 start afresh") == 1
    assert last.log.count("epoch 1/") == 2  # of the other setting
    assert_same_results(tmp_path / "out", undisturbed)
    halfway = {path.name.removesuffix("-checkpoint.pth") for path in stopped}
    for record in read_all(tmp_path / "out"):
        commit_here, earlier = record.json["git_commit"], record.json["earlier_sessions"]
        commits = [session["provenance"]["git_commit"] for session in earlier]
        resumed = ["--resume" in session["provenance"]["command"] for session in earlier]
        is_halfway = f"{record.folder.name}-{record.json['model']}" in halfway
        assert commits == ([commit, commit_here] if is_halfway else [])
        assert resumed == ([False, True] if is_halfway else [])
        assert commit_here != commit


def test_a_checkpoint_with_the_keys_of_earlier_programs_is_read(tmp_path):
    """Older ones call a session `sitting`, and `compiling_failed` is `fell_back` there."""
    folder = Folder(tmp_path, setting_of())
    rounding = {"torch": "2.13.0", "compiled": True}
    sitting = {"provenance": {"git_commit": None}, "rounding": rounding, "fell_back": True}
    state = {"history.step": torch.tensor(7)}
    content = {"state": state, "seconds": 3.5, "sittings": json.dumps([sitting])}
    torch.save(content, folder.checkpoint(0))
    checkpoint = read_checkpoint(folder, 0)
    assert (checkpoint.step, checkpoint.seconds) == (7, 3.5)
    (session,) = checkpoint.sessions
    assert session == Session({"git_commit": None}, rounding, compiling_failed=True)
    write_checkpoint(folder, 0, checkpoint)
    assert read_checkpoint(folder, 0).sessions == [session]
    assert set(torch.load(folder.checkpoint(0))) == {"state", "seconds", "sessions"}
