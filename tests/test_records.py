"""The files of a run: the contract on which existing notebooks rely."""

import errno
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import members_of, setting_of
from support.archives import archive_of, folder_of
from support.legacy_runs import legacy_record

from devices.ledger import COUNTS, WEAR
from models.kernels.load import kernels_in_use
from utils.compute.compiler import Compiler
from utils.compute.signals import Stop
from utils.errors import RecordError
from utils.records import results
from utils.records.folders import create_folders
from utils.records.results import IncompleteFileError, Result, check_complete, json_of
from utils.records.setting_json import to_json
from utils.settings import Member, Setting
from utils.training import trainer
from utils.training.job import Complete, JobRunner
from utils.training.plan import Job


def result_of(**changes) -> Result:
    """The result of a network that trained without a failure."""
    values: dict[str, Any] = dict(
        member=Member(setting_of(), 0),
        accuracies=torch.ones(2),
        pulse_requests=torch.ones(2),
        loss=0.5,
        swap_accuracy=0.25,
        seconds=1.0,
        failed_step=None,
        threads=1,
        compiled=False,
        graphed=False,
        state={},
        ledger={},
    )
    return Result(**(values | changes))


def test_folder_is_named_after_time_and_setting(simulate):
    (record,) = simulate("--lr 500 --clipping 0.1 --resistor_noise 0.015")
    expected = (
        r"\d{14}-Digits-double-linear-500\.0-var-0\.2-clipping-0\.1-resistor-0\.015"
        r"-voltage-1\.5e-06"
    )
    assert re.fullmatch(expected, record.folder.name)
    names = {path.name for path in record.folder.iterdir() if not path.name.startswith(".")}
    stem = f"{record.folder.name}-0"
    files = {f"{stem}{end}" for end in (".json", ".pth", "-accuracies.pth", "-gradients.pth")}
    assert files <= names


def test_json_has_settings_results_and_provenance(simulate, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/home/me/main.py", "--lr", "700"])
    (record,) = simulate("--lr 700 --var 0.3 --clipping 0.2 --layers 20 10 --epochs 2 --seed 5")
    content = record.json
    assert content.keys() >= legacy_record().keys()  # listed by hand in test_settings.py
    values: dict[str, Any] = dict(
        lr=700.0, var=0.3, clipping=0.2, layers=(20, 10), epochs=2, seed=5
    )
    assert content.items() >= to_json(Setting(task="Digits", **values)).items()
    assert (content["seed"], content["model"], content["model_seed"]) == (5, 0, 5)
    assert content["accuracy"] == pytest.approx(100 * record.accuracies[-1].item())
    assert 0 <= content["swap_accuracy"] <= 100
    assert content["failed_step"] is None
    assert content["versions"]["torch"] == torch.__version__
    assert content["device"] == "cpu"
    assert content["command"] == ["main.py", "--lr", "700"]
    assert content["physics"] == 9
    used = kernels_in_use(torch.device("cpu"))
    assert {name: content[name] for name in used} == used


def test_tensors_have_the_shapes_of_the_contract(simulate):
    (record,) = simulate("--layers 20 10 --epochs 3")
    for tensor in (record.accuracies, record.gradients):
        assert tensor.shape == (3,)
        assert tensor.dtype == torch.float32
    assert (record.gradients > 0).all()
    expected = {}
    for layer, (n_in, n_out) in zip((1, 4, 7), pairwise((1024, 20, 10, 10)), strict=True):
        pairs, norm = f"layers.{layer}", f"layers.{layer + 1}"
        expected |= dict.fromkeys((f"{pairs}.weight1", f"{pairs}.weight2"), (n_out, n_in))
        expected |= dict.fromkeys((f"{norm}.running_mean", f"{norm}.running_var"), (n_out,))
        expected[f"{norm}.num_batches_tracked"] = ()
    assert {name: tuple(tensor.shape) for name, tensor in record.state.items()} == expected
    assert record.state["layers.2.num_batches_tracked"] == 3 * 12


def test_the_ledger_has_the_shapes_of_the_contract(simulate):
    (record,) = simulate("--layers 20 10 --epochs 3 --ledger")
    shapes = {name: tuple(tensor.shape) for name, tensor in record.ledger.items()}
    assert shapes == dict.fromkeys(COUNTS, (3, 3)) | {"pairs": (3,)}
    assert {tensor.dtype for tensor in record.ledger.values()} == {torch.float64}
    assert record.ledger["pairs"].tolist() == [1024 * 20, 20 * 10, 10 * 10]
    assert (record.ledger["pulses"] > 0).all()
    pulses = record.ledger["pulses"].sum().item() / (2 * (1024 * 20 + 300))
    header, row = (line.split() for line in simulate.table.splitlines())
    assert row[header.index("pulses") - 4] == f"{pulses:.3g}"  # names and values of several words


def test_wear_is_in_the_shape_of_the_weights(simulate):
    (record,) = simulate("--layers 20 --wear")
    for layer in ("layers.1", "layers.4"):
        shape = record.state[f"{layer}.weight1"].shape
        total = sum(record.ledger[f"{layer}.pulses{k}"].double().sum() for k in (1, 2))
        assert all(record.ledger[f"{layer}.{name}"].shape == shape for name in WEAR)
        assert total > 0


def test_files_hold_no_more_than_their_tensors(simulate):
    """A tensor saved as a view would take the whole ensemble along."""
    for record in simulate("--n_models 3 --layers 64"):
        size = next(record.folder.glob("*-0.pth")).stat().st_size
        assert size < 2 * 64 * 1024 * 4 + 40_000


def test_two_runs_in_the_same_second_do_not_share_a_folder(tmp_path):
    settings = [setting_of(), setting_of(lr=1.0)]
    first, second = (create_folders(tmp_path, settings, "0") for _ in range(2))
    assert not {folder.path for folder in first} & {folder.path for folder in second}
    assert len(list(tmp_path.iterdir())) == 4


def test_accuracies_are_recorded_in_percent_and_a_failure_is_never_a_number():
    content = json_of(result_of(accuracies=torch.tensor([0.5, 0.75])))
    assert (content["accuracy"], content["swap_accuracy"], content["loss"]) == (75.0, 25.0, 0.5)
    failed = result_of(accuracies=torch.tensor([0.9, torch.nan]), loss=float("nan"), failed_step=77)
    content = json_of(failed)
    assert content["failed_step"] == 77
    assert content["loss"] is content["accuracy"] is content["swap_accuracy"] is None
    json.dumps(content, allow_nan=False)


@pytest.fixture
def written(tmp_path):
    """A network's folder, and how to write its files again; what the ledger holds is 1."""
    (folder,) = create_folders(tmp_path, [setting_of()], "0")

    def write(**ledger) -> None:
        results.write_result(folder, result_of(ledger=ledger), {})

    write(pulses=torch.ones(2, 2))
    return folder, write


def test_a_network_that_is_written_again_is_incomplete_meanwhile(written, monkeypatch):
    """Otherwise new weights would remain next to the accuracy of old ones."""
    folder, write = written
    assert folder.json(0).exists()

    def killed(path, content):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "write_tensors", killed)
    with pytest.raises(KeyboardInterrupt):
        write()
    assert not folder.json(0).exists()


def test_a_record_that_cannot_be_removed_is_one_line(written, monkeypatch):
    _, write = written

    def refuse(path, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(RecordError, match=r"cannot write .*-0\.json: Read-only file system; the"):
        write()


def test_a_ledger_of_an_earlier_training_does_not_stay(written):
    folder, write = written
    assert folder.ledger(0).exists()
    write()
    assert folder.json(0).exists()
    assert not folder.ledger(0).exists()


def test_what_became_of_networks_is_made_and_written_one_after_the_other(
    currents, tmp_path, monkeypatch
):
    """The host never holds the states of all networks at once."""
    made = []
    state_dict_of = trainer.state_dict

    def state_dict(network, index, step):
        made.append(index)
        return state_dict_of(network, index, step)

    monkeypatch.setattr(trainer, "state_dict", state_dict)
    setting = setting_of(epochs=1)
    (folder,) = create_folders(tmp_path, [setting], "0")
    archive = archive_of(folder)
    work = JobRunner(currents, Compiler(False), archive, checkpoint_minutes=5)
    written = []
    for message in work.run(Job(tuple(members_of(setting, 3))), Stop()):
        if isinstance(message, Complete):
            written.append(message.member.model)
            assert made == written
            assert [folder.json(model).exists() for model in range(3)] == [
                model in written for model in range(3)
            ]
    assert written == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "shape"),
    [("layers.1.weight1", (20,)), ("layers.4.weight2", (10, 21)), ("layers.7.weight1", None)],
)
def test_weights_of_other_shapes_are_not_taken_for_complete(name, shape, simulate):
    (record,) = simulate("--layers 20 10 --lr 700")
    folder = folder_of(record)
    check_complete(folder, 0)
    state = record.state | {name: torch.zeros(shape)} if shape else dict(record.state)
    if shape is None:
        del state[name]
    torch.save(state, folder.weights(0))
    with pytest.raises(IncompleteFileError, match=name):
        check_complete(folder, 0)
