"""A run whose field is switched: on disk, resumed around the switch, and killed in its epoch."""

from dataclasses import replace

import pytest
import torch
from conftest import assert_same_tensors
from support.engine import assert_same_bits, stop_at, trained
from support.sweeps import assert_same_networks, held_in, results
from support.switched import EXPONENTIAL, LINEAR, SWITCH, trainer_of

from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training.slices import SWITCHED as SWITCHED_SLICE
from utils.training.slices import slice_of
from utils.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("several_test_batches")


@pytest.fixture(autouse=True)
def one_thread(threads_stay):
    """Beside other processes many threads are slow."""
    torch.set_num_threads(1)


def test_resume_reads_a_switched_network_by_its_second_field(simulate):
    """The same bits as if its currents and voltages had been requested at once."""
    run = (
        "--field double-linear double-exponential --epochs 2 --switch_epoch 1 --lr 3000 "
        "--resistor_noise 0.05 --device_noise --compute_intermediate"
    )
    (record,) = simulate(run)
    paths = sorted(record.folder.glob("*-layer-*.pth"))
    expected = [torch.load(path, weights_only=True) for path in paths]
    assert len(paths) == 4
    for path in paths:
        path.unlink()
    simulate(f"{run} --resume --output_dir {record.folder.parent}")
    assert ": epoch " not in simulate.errors
    for path, tensor in zip(paths, expected, strict=True):
        assert torch.equal(torch.load(path, weights_only=True), tensor)


def test_a_switch_to_the_same_response_is_none_bit_for_bit(patterns):
    """Voltages go to pulses and back, and are multiplied by one."""
    switched = trainer_of(LINEAR, "double-curved-0.0", patterns)
    (setting,) = {member.setting for member in switched.members}
    never = replace(setting, second=None, switch_epoch=None)
    plain = Trainer([Member(never, 0)], switched.currents, Compiler(False))
    (result,), (other,) = trained(switched), trained(plain)
    assert_same_tensors(result.state, other.state)
    assert torch.equal(result.accuracies, other.accuracies)
    assert other.switch_accuracy is None


def slices_of(trainer) -> list[dict]:
    """What a checkpoint holds that is written now."""
    return [slice_of(trainer.ensemble, model) for model in range(len(trainer.members))]


def assert_resumed(slices, expected, data):
    trainer = trainer_of(EXPONENTIAL, LINEAR, data, models=(0, 1))
    trainer.restore(slices)
    for result, other in zip(trained(trainer), expected, strict=True):
        assert_same_bits(result, other)


def test_checkpoints_around_the_switch_resume_bit_for_bit(patterns):
    """The one at the switch is always of after it, and is marked so; with two networks.

    Training writes none between the last test and the switch; it would be known for what it is.
    """
    undisturbed = trainer_of(EXPONENTIAL, LINEAR, patterns, models=(0, 1))
    epochs, at = undisturbed.train(lambda: None), SWITCH * undisturbed.per_epoch
    assert [next(epochs) for _ in range(SWITCH)] == [0, 1]
    between = slices_of(undisturbed)
    assert int(between[0]["history.step"]) == at
    list(epochs)
    expected = list(undisturbed.results(0.0))
    assert_resumed(between, expected, patterns)
    for step, switched in ((at - 1, False), (at, True), (at + 1, True), (3 * at // 2, True)):
        stopped = trainer_of(EXPONENTIAL, LINEAR, patterns, models=(0, 1))
        stop_at(stopped, step)
        slices = slices_of(stopped)
        assert [SWITCHED_SLICE in part for part in slices] == [switched] * 2
        assert_resumed(slices, expected, patterns)


def test_two_fields_and_a_switch_are_one_setting_on_disk(simulate):
    flags = "--field double-exponential double-linear --epochs 3 --lr 3000 --batch_size 64"
    early, late = simulate(f"{flags} --switch_epoch 1 2")
    assert early.folder.name[15:] == (
        "Digits-double-exponential-double-linear-3000.0-var-0.2-clipping-0.0-resistor-0.0-"
        "voltage-0.0-switch-epoch-1"
    )
    assert early.json["optimizer_parameters"]["field"] == [EXPONENTIAL, LINEAR]
    assert (early.json["switch_epoch"], early.json["time_switch"]) == (1, None)
    assert 0 < early.json["switch_accuracy"] < 100
    assert early.json["devices"].keys() == {LINEAR, EXPONENTIAL}
    assert torch.equal(early.accuracies[:1], late.accuracies[:1])
    assert not torch.equal(early.accuracies[1:], late.accuracies[1:])
    header, *rows = simulate.table.splitlines()
    assert header.split()[:3] == ["field", "switch", "lr"]
    assert f"  {early.json['switch_accuracy']:.2f}  " in rows[0]
    assert [row.split()[1:3] for row in rows] == [["epoch", "1"], ["epoch", "2"]]
    (third,) = simulate(f"{flags} --time_switch 3")
    assert third.folder.name.endswith("-voltage-0.0-switch-3")
    assert (third.json["switch_epoch"], third.json["time_switch"]) == (None, 3)
    assert torch.equal(third.state["layers.4.weight1"], early.state["layers.4.weight1"])
    assert third.json["switch_accuracy"] == early.json["switch_accuracy"]


def test_a_switched_run_that_is_stopped_ends_as_one_that_is_not(start, tmp_path):
    """A checkpoint before every step; killed in the epoch of the switch, with workers."""
    run = (
        "--task Digits --layers 24 --epochs 4 --n_models 2 --lr 3000 --batch_size 400 "
        "--field double-linear double-exponential --time_switch 2 --device cpu --compile off"
    ).split()
    start(*run, output_dir=tmp_path / "whole").ended()
    process = start(*run, "--checkpoint_minutes", 0, before=held_in(3))
    process.wait_for("epoch 2/", 2).killed()
    process = start(*run, "--resume").ended()
    assert "2 go on from a checkpoint" in process.log
    assert_same_networks(results(tmp_path / "out"), results(tmp_path / "whole"))
