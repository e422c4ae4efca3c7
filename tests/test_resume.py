"""Which folders and networks --resume continues, and which files it does not trust."""

import json
import os
import shutil
import signal

import pytest
import torch
from conftest import read_all, setting_of
from support.legacy_runs import without_newer
from support.sweeps import SWEEP, Undisturbed, assert_same_results, checkpoints, results

import main
from utils.compute.distributed import World
from utils.compute.signals import StoppedError
from utils.records.files import HOST
from utils.records.folders import Folder, create_folders, matching_folders
from utils.training.trainer import Trainer


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
    assert ": epoch " not in again.said
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
    slower = {"before": "support.fault_injection:slower_steps"}
    old = start(*SWEEP, **slower)
    old.wait_until(lambda: old.said.count("epoch 2/") == 2)
    old.send(signal.SIGTERM)
    assert old.wait() == 143
    far, folders = steps_of(checkpoints(out)), set(out.iterdir())
    new = start(*SWEEP, "--checkpoint_minutes", 5, **slower)
    new.wait_until(lambda: new.said.count("epoch 1/") == 2)
    new.send(signal.SIGTERM)
    assert new.wait() == 143
    near = steps_of(set(checkpoints(out)) - {p for f in folders for p in f.iterdir()})
    assert len(near) == len(far) == 2
    assert max(near) < min(far)
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("taken from 2 folders of this setting, since it holds most") == 4
    taken = {path.parent for path in out.glob("[!.]*/*-1.json")}
    (with_checkpoint,) = (f for f in taken if "double-linear-1000.0" in f.name)
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


def test_resume_clears_a_folder_that_a_kill_left_half_made(start, tmp_path, undisturbed):
    """Folders are hidden while they are made; another run may be making one now."""
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
    """The part of a folder's name after the time stamp."""
    return sorted(undisturbed.output_dir.iterdir())[0].name[14:]


def test_resume_clears_the_checkpoint_of_a_complete_network(start, tmp_path, undisturbed):
    """A kill between the last file and the removal of the checkpoint leaves such a file."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    for record in out.glob("[!.]*/*-1.json"):
        (record.parent / f"{record.stem}-checkpoint.pth").write_bytes(b"left over")
    assert start(*SWEEP, "--resume").wait() == 0
    assert_same_results(out, undisturbed)


DAMAGES = [
    "truncate",
    "remove",
    "ledger",
    "other settings",
    "not json",
    "other layers",
    "fewer epochs",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_resume_trains_a_damaged_network_again(damage, start, tmp_path, undisturbed):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    victim = sorted(out.glob("[!.]*/*-1.json"))[0]
    weights, accuracies = (
        victim.with_name(victim.stem + end) for end in (".pth", "-accuracies.pth")
    )
    if damage == "truncate":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "remove":
        weights.unlink()
    elif damage == "ledger":
        ledger = victim.with_name(f"{victim.stem}-ledger.pth")
        ledger.write_bytes(ledger.read_bytes()[:500])
    elif damage == "not json":
        victim.write_text("{")
    elif damage == "other layers":
        state = torch.load(weights, weights_only=True)
        torch.save(state | {"layers.1.weight2": state["layers.1.weight2"][1:]}, weights)
    elif damage == "fewer epochs":
        torch.save(torch.load(accuracies, weights_only=True)[1:], accuracies)
    else:
        victim.write_text(json.dumps(json.loads(victim.read_text()) | {"epochs": 3}))
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("1 of 2 networks are complete") == 1
    assert process.said.count("epoch 4/4") == 1
    assert_same_results(out, undisturbed)


def test_resume_takes_networks_of_before_the_ledger(start, tmp_path, undisturbed):
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    for path in out.glob("*/*-ledger.pth"):
        path.unlink()
    without = [word for word in SWEEP if word != "--ledger"]
    process = start(*without, "--resume")
    assert process.wait() == 0
    assert process.said.count("2 of 2 networks are complete") == 4
    assert ": epoch " not in process.said
    assert "pulses" not in process.output.read_text()
    process = start(*SWEEP, "--resume")
    assert process.wait() == 0
    assert process.said.count("(2 of them anew, since not all was counted that is asked for)") == 4
    assert_same_results(out, undisturbed)


def test_resume_trains_again_where_wear_is_asked_for_and_was_not_kept(start, tmp_path, undisturbed):
    """The run logs it; the results are the same, and are complete without --wear, too."""
    out = tmp_path / "out"
    shutil.copytree(undisturbed.output_dir, out)
    process = start(*SWEEP, "--resume", "--wear")
    assert process.wait() == 0
    assert process.said.count("(2 of them anew, since not all was counted that is asked for)") == 4
    for name, record in results(out).items():
        expected = undisturbed.records[name]
        assert torch.equal(record.accuracies, expected.accuracies)
        for layer in (0, 1):
            place = f"layers.{1 + 3 * layer}"
            worn = sum(record.ledger[f"{place}.pulses{k}"].double().sum() for k in (1, 2))
            total = expected.ledger["pulses"][:, layer].sum()
            torch.testing.assert_close(worn, total, rtol=1e-6, atol=0)
    for flags in ((), ("--wear",)):
        process = start(*SWEEP, "--resume", *flags)
        assert process.wait() == 0
        assert process.said.count("2 of 2 networks are complete") == 4


def test_two_runs_do_not_work_in_one_folder(start, tmp_path):
    first = start(*SWEEP, "--epochs", 1000)
    first.wait_until(lambda: "epoch 1/" in first.said)
    second = start(*SWEEP, "--epochs", 1000, "--resume")
    assert second.wait() == 2
    *_, message, error = second.said.splitlines()
    assert "is in use by another run; wait until it has ended" in error
    assert "too early" in message  # every such run logs it
    assert second.said.count("\n") == 3
    first.send(signal.SIGKILL)
    first.wait()


def test_a_resume_that_is_refused_leaves_no_new_folders(start, tmp_path):
    """One of its folders is in use, the others would be new."""
    one = "--task Digits --layers 8 --epochs 1000 --n_models 1 --device cpu".split()
    first = start(*one, "--lr", 1000)
    first.wait_until(lambda: "epoch 1/" in first.said)
    before = sorted(tmp_path.glob("out/*"))
    second = start(*one, "--lr", 500, 1000, 2000, "--resume")
    assert second.wait() == 2
    assert "is in use by another run" in second.said
    assert len(before) == 1
    assert sorted(tmp_path.glob("out/*")) == before
    first.send(signal.SIGKILL)
    first.wait()


@pytest.mark.parametrize("field", ["double-exponential", "double-linear"])  # a device, a partner
@pytest.mark.parametrize("change", ["another_decay", "newer_physics"])
def test_resume_takes_no_folder_of_another_physics(change, field, start, tmp_path):
    small = f"--task Digits --field {field} --layers 8 --epochs 1 --n_models 1 --device cpu".split()
    assert start(*small).wait() == 0
    same = start(*small, "--resume")
    assert same.wait() == 0
    assert "1 of 1 networks are complete" in same.said
    process = start(*small, "--resume", before=f"support.fault_injection:{change}")
    assert process.wait() == 0
    assert "1 of 1 networks are complete" not in process.said
    assert "epoch 1/1" in process.said
    old, new = sorted(read_all(tmp_path / "out"), key=lambda record: record.folder)
    assert old.folder != new.folder
    decays = [r.json["devices"]["double-exponential"]["decay"] for r in (old, new)]
    if change == "another_decay":
        assert decays == [9.741, 9.5]
        assert new.json["physics"] == old.json["physics"]
        key = "layers.1.weight1"
        assert torch.equal(old.state[key], new.state[key]) == (field == "double-linear")
    else:
        assert decays == [9.741, 9.741]
        assert new.json["physics"] == old.json["physics"] + 1


def recorded_loads(monkeypatch) -> list:
    """Records what is loaded from now on: name and keywords."""
    loads, load = [], torch.load

    def recording(path, **options):
        loads.append((path.name, options))
        return load(path, **options)

    monkeypatch.setattr(torch, "load", recording)
    return loads


def test_what_is_complete_is_found_without_reading_the_weights(tmp_path, stop, monkeypatch):
    words = "--task Digits --layers 8 --epochs 1 --n_models 2 --device cpu --output_dir".split()
    words.append(str(tmp_path))
    assert main.main(words) == 0
    loads = recorded_loads(monkeypatch)
    assert main.main([*words, "--resume"]) == 0
    assert {name[-6:] for name, _ in loads} >= {"-0.pth", "-1.pth"}
    assert all(options == {"weights_only": True, "mmap": True} for _, options in loads)


def test_a_stop_tells_what_is_complete_without_looking_again(tmp_path, stop, monkeypatch, capsys):
    """Networks that were complete before are not loaded, which takes minutes in large runs."""
    words = "--task Digits --layers 8 --epochs 1 --device cpu --output_dir".split()
    words.append(str(tmp_path))
    assert main.main([*words, "--n_models", "1"]) == 0
    loads = []

    def stops(world, stop):
        loads.append(recorded_loads(monkeypatch))
        raise StoppedError(signal.SIGTERM)

    monkeypatch.setattr(World, "wait_for_all", stops)
    assert main.main([*words, "--n_models", "2", "--resume"]) == 143
    assert loads == [[]]
    said = capsys.readouterr().err.splitlines()[-1]
    assert "stopped by SIGTERM; of 2 networks 2 are complete and 0 have a checkpoint" in said


def test_a_stop_does_not_take_for_complete_what_is_to_be_counted(
    tmp_path, stop, monkeypatch, capsys
):
    words = "--task Digits --layers 8 --epochs 1 --device cpu --n_models 1 --output_dir".split()
    words.append(str(tmp_path))
    assert main.main(words) == 0

    def stops(*_):
        raise StoppedError(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "train", stops)
    assert main.main([*words, "--ledger", "--resume"]) == 143
    assert "nothing was trained yet" in capsys.readouterr().err.splitlines()[-1]


def test_runs_started_in_the_same_second_have_folders_of_their_own(start, tmp_path):
    small = "--task Digits --layers 8 --epochs 1 --n_models 1 --device cpu".split()
    runs = [start(*small) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert len(read_all(tmp_path / "out")) == 3


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
