"""Slices, a network's state in checkpoints: all of it is needed, and nothing else."""

import pytest
import torch
from conftest import currents_of, is_one_pass, members_of, setting_of
from support.devices import device_of
from support.engine import stop_at
from torch.utils._pytree import tree_flatten

from devices.ledger_level import LedgerLevel
from utils.compute.compiler import Compiler
from utils.training.slices import restore, slice_of
from utils.training.trainer import Trainer

STOP = 17  # in the third of three epochs of 7 mini-batches; the field is switched before the second
PHYSICS = dict(layers=(40,), lr=5000.0, init=0.25, epochs=3, switch_epoch=1)


@pytest.fixture(scope="module")
def currents(sparse_patterns):
    return currents_of(sparse_patterns)


def trainer_of(currents) -> Trainer:
    """Two networks that are switched to a device of fewer pulses, with all that is counted."""
    setting = setting_of(second=device_of("other linear"), **PHYSICS)
    members, level = members_of(setting, 2), LedgerLevel.WEAR
    return Trainer(members, currents, Compiler(enabled=False), ledger_level=level)


def stopped(currents) -> list[dict[str, torch.Tensor]]:
    """Slices of both networks in the middle of the last epoch; the second has failed."""
    trainer = trainer_of(currents)
    stop_at(trainer, STOP - 2)
    trainer.ensemble.network.layers[1].weight[1, 0, 0] = torch.inf
    stop_at(trainer, STOP)
    assert is_one_pass(trainer.ensemble)
    return [slice_of(trainer.ensemble, model) for model in (0, 1)]


def finished(currents, slices) -> tuple[list[dict], list[tuple]]:
    """All that training leaves of both networks that continue from such slices."""
    trainer = trainer_of(currents)
    trainer.restore(slices)
    list(trainer.train(lambda: None))
    results = [
        (result.state, result.ledger, result.loss, result.failed_step, result.switch_accuracy)
        for result in trainer.results(0.0)
    ]
    return [slice_of(trainer.ensemble, model) for model in (0, 1)], results


def is_same(first, second) -> bool:
    """Equal bit for bit, where NaN equals itself, and None equals NaN."""
    (values, form), (other_values, other_form) = map(tree_flatten, (first, second))
    return form == other_form and all(
        map(torch.equal, map(finite, values), map(finite, other_values))
    )


def finite(value) -> torch.Tensor:
    return torch.as_tensor(torch.nan if value is None else value).double().nan_to_num(-7.0)


def test_every_entry_of_a_slice_is_needed(currents):
    """Left out, as a newly made ensemble has it, each makes another result."""
    slices = stopped(currents)
    fresh = trainer_of(currents).ensemble
    fresh.enter(1)
    fresh_slices = [slice_of(fresh, model) for model in (0, 1)]
    expected = finished(currents, slices)
    assert is_same(expected, finished(currents, slices))
    assert [result[3] for result in expected[1]] == [None, STOP - 2]
    unneeded = []
    for name in slices[0]:
        if name == "history.step":
            continue  # without it the whole epoch is trained again
        without = [
            part | {name: fresh_part[name]}
            for part, fresh_part in zip(slices, fresh_slices, strict=True)
        ]
        if is_same(finished(currents, without), expected):
            unneeded.append(name)
    assert unneeded == []


def test_a_slice_without_its_step_begins_with_another_batch(currents):
    slices = stopped(currents)
    earlier = [part | {"history.step": part["history.step"] - 3} for part in slices]
    assert not is_same(finished(currents, earlier), finished(currents, slices))


def test_the_loss_of_the_epoch_counts_the_batches_before_the_stop(currents):
    """The loss is the mean over all seven steps, although the stop came after three."""
    slices = stopped(currents)
    trainer = trainer_of(currents)
    trainer.restore(slices)
    before = trainer.ensemble.history.loss_sum[0].item()
    losses = []
    for _ in range(STOP, 21):
        sum_before = trainer.ensemble.history.loss_sum[0].item()
        trainer.learn()
        losses.append(trainer.ensemble.history.loss_sum[0].item() - sum_before)
    _, ((_, _, loss, _, _), _) = finished(currents, slices)
    assert before > 0
    assert loss == pytest.approx((before + sum(losses)) / 7)


def test_slices_show_on_which_side_of_the_switch_they_are(currents):
    slices = stopped(currents)
    ensemble = trainer_of(currents).ensemble
    restore(ensemble, slices)
    assert ensemble.phase == 1
    untouched = trainer_of(currents).ensemble
    restore(ensemble, [slice_of(untouched, model) for model in (0, 1)])
    assert ensemble.phase == 0
    assert ensemble.history.switch_accuracies is None
