"""Checkpoints: gone on from where that gives the same network, and not where it might not."""

import json
import signal

import pytest
import torch
from conftest import read_all, setting_of
from support.sweeps import SLOW, SWEEP, assert_same_results, checkpoints

from utils.records.checkpoints import read_checkpoint, write_checkpoint
from utils.records.folders import Folder
from utils.records.session import Session


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


@pytest.fixture
def stopped(start, tmp_path) -> list:
    """Checkpoints of a run that was stopped in its second epoch."""
    process = start(*SWEEP, "--checkpoint_minutes", 5, **SLOW)
    process.wait_until(lambda: process.said.count("epoch 1/") == 2)
    process.send(signal.SIGTERM)
    assert process.wait() == 143, process.said
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
    """Make the first test accuracy one that no network has: whoever goes on from it shows it."""
    content = torch.load(path, weights_only=True)
    content["state"]["history.accuracies"][0] = 0.123
    torch.save(content, path)


def test_a_checkpoint_is_gone_on_from(start, tmp_path, stopped):
    """The next tests rely on this."""
    for path in stopped:
        spoil(path)
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("0 of 2 networks are complete, 2 go on from a checkpoint, 0") == 1
    first = [float(record.accuracies[0]) for record in read_all(tmp_path / "out")]
    assert sum(value == pytest.approx(0.123) for value in first) == 2


def test_a_checkpoint_without_wear_is_not_used_where_it_is_asked_for(start, tmp_path, stopped):
    process = start(*SWEEP, "--resume", "--wear")
    assert process.wait() == 0
    said = "2 start afresh (checkpoints are of another ledger)"
    assert process.said.count(said) == 1
    for record in read_all(tmp_path / "out"):
        worn = sum(record.ledger[f"layers.1.pulses{k}"].double().sum() for k in (1, 2))
        assert worn.item() == pytest.approx(record.ledger["pulses"][:, 0].sum().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [("torch", "2.11.0"), ("hardware", "another processor"), ("compiled", True), ("threads", 7)],
)
def test_a_checkpoint_that_was_rounded_otherwise_is_not_used(
    name, value, start, tmp_path, undisturbed, stopped
):
    for path in stopped:
        edit(path, lambda session: session["rounding"].update({name: value}))
        spoil(path)
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0, process.said
    line = (
        "0 of 2 networks are complete, 0 go on from a checkpoint, 2 start afresh "
        f"(checkpoints are of another {name})"
    )
    assert process.said.count(line) == 1
    assert process.said.count("start afresh (") == 1  # of the other settings there are none
    assert process.said.count("epoch 1/") == 8
    assert_same_results(tmp_path / "out", undisturbed)
    assert all(record.json["earlier_sessions"] == [] for record in read_all(tmp_path / "out"))


def test_a_checkpoint_of_another_commit_is_used_and_the_commit_recorded(
    start, tmp_path, undisturbed, stopped
):
    commit = "0" * 40
    for path in stopped:
        edit(path, lambda session: session["provenance"].update(git_commit=commit))
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0, process.said
    assert process.said.count("2 go on from a checkpoint, 0 start afresh") == 1
    assert process.said.count("epoch 1/") == 6
    assert_same_results(tmp_path / "out", undisturbed)
    halfway = {path.name.removesuffix("-checkpoint.pth") for path in stopped}
    for record in read_all(tmp_path / "out"):
        name = f"{record.folder.name}-{record.json['model']}"
        earlier = record.json["earlier_sessions"]
        commits = [session["provenance"]["git_commit"] for session in earlier]
        assert commits == [commit] * (name in halfway)
        assert record.json["git_commit"] != commit


def test_seconds_count_those_before_the_checkpoint(start, tmp_path, stopped):
    for path in stopped:
        torch.save(torch.load(path, weights_only=True) | {"seconds": 1000.0}, path)
    assert start(*SWEEP, "--resume").wait() == 0
    seconds = [record.json["seconds"] for record in read_all(tmp_path / "out")]
    assert sum(1000 < each < 1100 for each in seconds) == 2
    assert sum(each < 100 for each in seconds) == 6


def test_every_session_is_recorded_the_oldest_first(start, tmp_path, undisturbed, stopped):
    """Three runs, of which the first was of another commit."""
    for path in stopped:
        edit(path, lambda session: session["provenance"].update(git_commit="1" * 40))
    slower = {"before": "support.fault_injection:slower_steps"}
    again = start(*SWEEP, "--resume", "--checkpoint_minutes", 5, **slower)
    again.wait_until(lambda: ": epoch " in again.said)
    again.send(signal.SIGTERM)
    assert again.wait() == 143
    assert start(*SWEEP, "--resume").wait() == 0
    assert_same_results(tmp_path / "out", undisturbed)
    first = stopped[0].name.removesuffix("-checkpoint.pth")
    record = json.loads(stopped[0].with_name(f"{first}.json").read_text())
    earlier = [session["provenance"] for session in record["earlier_sessions"]]
    assert [one["git_commit"] for one in earlier] == ["1" * 40, record["git_commit"]]
    assert ["--resume" in one["command"] for one in earlier] == [False, True]


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
