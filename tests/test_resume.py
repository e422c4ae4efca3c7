"""Which folders and networks --resume continues, and which files it does not trust."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Record, read_all, setting_of
from support.legacy_runs import without_newer
from support.sweeps import (
    OFTEN,
    SWEEP,
    Undisturbed,
    assert_same_results,
    checkpoints,
    held_in,
    results,
)

from devices.built_in import LIBRARY
from utils.records import setting_json
from utils.records.files import HOST
from utils.records.folders import Folder, create_folders, matching_folders


def test_resume_logs_what_it_found_and_trains_only_what_is_missing(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    start(*SWEEP, "--n_models", 1).ended()
    before = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*/*-0.json")}
    assert len(before) == 2
    process = start(*SWEEP, "--resume").ended()
    assert process.log.count("1 of 2 networks are complete, 0 go on from a checkpoint, 1") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_same_results(out, undisturbed)
    again = start(*SWEEP, "--resume").ended()
    assert again.log.count("2 of 2 networks are complete") == 2
    assert ": epoch " not in again.log
    assert again.output.read_text().count("double-") == 4  # the table, from the files


def test_resume_takes_the_folder_in_which_most_was_done(start, tmp_path, undisturbed):
    """An old one with a checkpoint of many steps, not a new one with hardly any."""
    out = tmp_path / "out"
    start(*SWEEP, *OFTEN, before=held_in(3)).wait_for("epoch 2/", 2).stopped()
    far, folders = steps_of(checkpoints(out)), set(out.iterdir())
    start(*SWEEP, before=held_in(2)).wait_for("epoch 1/", 2).stopped()
    near = steps_of(set(checkpoints(out)) - {p for f in folders for p in f.iterdir()})
    assert len(near) == len(far) == 2
    assert max(near) < min(far)
    process = start(*SWEEP, "--resume").ended()
    assert process.log.count("taken from 2 folders of this setting, since it holds most") == 2
    taken = {path.parent for path in out.glob("[!.]*/*-1.json")}
    (with_checkpoint,) = (f for f in taken if "double-linear" in f.name)
    assert with_checkpoint in folders
    for path in set(out.iterdir()) - taken:
        shutil.rmtree(path)
    assert_same_results(out, undisturbed)


def steps_of(paths) -> list[int]:
    return [int(torch.load(path, weights_only=True)["state"]["history.step"]) for path in paths]


def test_folders_are_in_the_order_in_which_they_were_made_not_of_clocks_and_names(tmp_path):
    """The second was made later, by a machine whose clock shows an earlier hour."""
    setting, sha256 = setting_of(), "0" * 64
    (first,) = create_folders(tmp_path, [setting], sha256)
    (second,) = create_folders(tmp_path, [setting], sha256)
    renamed = second.path.rename(tmp_path / f"20200101000000-{setting.slug}")
    (renamed / second.settings.name).rename(renamed / f"{renamed.name}.settings")
    assert matching_folders(tmp_path, setting, sha256) == [first, Folder(renamed, setting)]
    (settings,) = first.path.glob("*.settings")
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps(content | {"created": "2031-01-01T00:00:00+00:00"}))
    assert matching_folders(tmp_path, setting, sha256) == [Folder(renamed, setting), first]


def test_resume_clears_what_a_kill_left(start, tmp_path, undisturbed):
    """Folders half made, which are hidden; another run may be making one now. And checkpoints that
    a kill between the last file of a network and the removal of its checkpoint leaves."""
    out, slug = tmp_path / "out", slug_of(undisturbed)
    shutil.copytree(undisturbed.output_dir, out)
    of_a_dead_process = out / f".2020{slug}.{HOST}.{2**22 + 1}.tmp"  # there are no such numbers
    old = out / f".2021{slug}.elsewhere.1.tmp"
    in_the_making = [out / f".2022{slug}.{HOST}.{os.getpid()}.tmp", out / f".2023{slug}.far.1.tmp"]
    for hidden in (of_a_dead_process, old, *in_the_making):
        hidden.mkdir(parents=True)
        (hidden / "x.settings").write_text("{")
    os.utime(old, (0, 0))
    for record in out.glob("[!.]*/*-1.json"):
        (record.parent / f"{record.stem}-checkpoint.pth").write_bytes(b"left over")
    start(*SWEEP, "--resume").ended()
    assert sorted(out.glob(".*")) == in_the_making
    for hidden in in_the_making:
        shutil.rmtree(hidden)
    assert_same_results(out, undisturbed)


def slug_of(undisturbed: Undisturbed) -> str:
    """The part of a folder's name after the time stamp."""
    return sorted(undisturbed.output_dir.iterdir())[0].name[14:]


def cut_off(end: str) -> Callable[[Path], None]:
    """Damage the file of a network with this ending."""

    def damage(record: Path) -> None:
        path = record.with_name(record.stem + end)
        path.write_bytes(path.read_bytes()[:500])

    return damage


def other_tensors(end: str, change: Callable) -> Callable[[Path], None]:
    def damage(record: Path) -> None:
        path = record.with_name(record.stem + end)
        torch.save(change(torch.load(path, weights_only=True)), path)

    return damage


DAMAGES = {
    "cut off": [
        cut_off(".pth"),
        cut_off("-ledger.pth"),
        lambda record: record.with_name(f"{record.stem}.pth").unlink(),
        lambda record: record.write_text("{"),
    ],
    "another": [
        lambda record: record.write_text(
            json.dumps(json.loads(record.read_text()) | {"epochs": 3})
        ),
        other_tensors(".pth", lambda state: state | {"layers.1.weight2": torch.zeros(31, 1024)}),
        other_tensors("-accuracies.pth", lambda accuracies: accuracies[1:]),
    ],
}


@pytest.mark.parametrize("damages", DAMAGES.values(), ids=DAMAGES)
def test_resume_trains_damaged_networks_again(damages, start, tmp_path, undisturbed):
    """A damage for each network; one may stay whole."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    for damage, record in zip(damages, sorted(out.glob("[!.]*/*.json")), strict=False):
        damage(record)
    process = start(*SWEEP, "--resume").ended()
    assert process.log.count("epoch 4/4") == len(damages)
    assert process.log.count("1 of 2 networks are complete") == 4 - len(damages)
    assert_same_results(out, undisturbed)


def test_resume_trains_again_where_more_is_to_be_counted(start, tmp_path, undisturbed):
    """Networks of before the ledger, or with one but without wear; the run logs it.

    The results are the same, and are complete where less is asked for, too.
    """
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    for path in out.glob("*double-linear*/*-ledger.pth"):
        path.unlink()
    without = [word for word in SWEEP if word != "--ledger"]

    def complete(*arguments) -> str:
        process = start(*arguments, "--resume").ended()
        assert process.log.count("2 of 2 networks are complete") == 2
        assert ": epoch " not in process.log
        return process.output.read_text()

    assert "pulses" not in complete(*without)
    process = start(*SWEEP, "--resume", "--wear").ended()
    assert process.log.count("(2 of them anew, since not all was counted that is asked for)") == 2
    for name, record in results(out).items():
        expected = undisturbed.records[name]
        assert torch.equal(record.accuracies, expected.accuracies)
        for key, tensor in expected.ledger.items():
            torch.testing.assert_close(record.ledger[key], tensor, rtol=1e-6, atol=0)
        for layer in (0, 1):
            place = f"layers.{1 + 3 * layer}"
            worn = sum(record.ledger[f"{place}.pulses{k}"].double().sum() for k in (1, 2))
            total = expected.ledger["pulses"][:, layer].sum()
            torch.testing.assert_close(worn, total, rtol=1e-6, atol=0)
    for arguments in (SWEEP, [*SWEEP, "--wear"]):
        complete(*arguments)


def test_two_runs_do_not_work_in_one_folder(start, tmp_path):
    """The second would resume one folder, and make two."""
    small = "--task Digits --layers 8 --epochs 2 --n_models 1 --device cpu".split()
    first = start(*small, "--lr", 1000, before=("hold", 18)).wait_for("epoch 1/")
    before = sorted(tmp_path.glob("out/*"))
    second = start(*small, "--lr", 500, 1000, 2000, "--resume").ended(2)
    *_, message, error = second.log.splitlines()
    assert "is in use by another run; wait until it has ended" in error
    assert "too early" in message  # every such run logs it
    assert second.log.count("\n") == 3
    assert len(before) == 1
    assert sorted(tmp_path.glob("out/*")) == before
    first.killed()


def test_resume_takes_no_folder_of_another_physics(simulate, monkeypatch):
    """Other constants of a device or of its partner, or a newer version of the physics."""
    run = "--field double-exponential double-linear --lr 4000"
    old = simulate(run)
    output = old[0].folder.parent
    again = f"{run} --resume --output_dir {output}"

    def new_records() -> list[Record]:
        before = set(output.iterdir())
        simulate(again)
        records = [record for record in read_all(output) if record.folder not in before]
        assert simulate.errors.count("1 of 1 networks are complete") == 2 - len(records)
        assert simulate.errors.count("epoch 1/1") == len(records)
        return records

    def decay(record: Record) -> float:
        return record.json["devices"]["double-exponential"]["decay"]

    assert new_records() == []
    with monkeypatch.context() as patch:
        entry = LIBRARY["double-exponential"]
        slower = replace(entry.response, decay=9.5)
        patch.setitem(LIBRARY, "double-exponential", replace(entry, response=slower))
        changed = new_records()
    monkeypatch.setattr(setting_json, "PHYSICS", setting_json.PHYSICS + 1)
    newer = new_records()
    for before, other, later in zip(old, changed, newer, strict=True):
        assert [decay(record) for record in (before, other, later)] == [9.741, 9.5, 9.741]
        assert other.json["physics"] == before.json["physics"] == later.json["physics"] - 1
        is_linear = "double-linear" in before.folder.name  # whose partner alone has changed
        weights = (record.state["layers.1.weight1"] for record in (before, other))
        assert torch.equal(*weights) == is_linear


def test_resume_takes_records_from_before_the_newer_flags(simulate):
    """Such records lack the keys and have the defaults; other values are another simulation."""
    (record,) = simulate("--resistor_noise 0.05")
    for path in (*record.folder.glob("*.json"), *record.folder.glob("*.settings")):
        path.write_text(json.dumps(without_newer(json.loads(path.read_text()))))
    output = record.folder.parent
    simulate(f"--resistor_noise 0.05 --resume --output_dir {output}")
    assert "1 of 1 networks are complete" in simulate.errors
    for flag in ("--device_noise", "--physical_clipping", "--write_noise 0.01"):
        simulate(f"--resistor_noise 0.05 --resume --output_dir {output} {flag}")
        assert "epoch 1/1" in simulate.errors
    assert len(list(output.iterdir())) == 4
