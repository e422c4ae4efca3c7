"""Networks of cells and rules through their epochs, against the float64 reference; resumed."""

import numpy as np
import pytest
import torch
from conftest import currents_of
from support.cells import RULES, devices_for, write_noise_for
from support.engine import (
    assert_same_bits,
    check_accumulators,
    check_result,
    check_wear,
    stop_at,
    trained,
)
from support.reference_networks import ReferenceRun, noisy_setting

from devices.ledger_level import LedgerLevel
from utils.compute.compiler import Compiler
from utils.settings import Member
from utils.training.slices import slice_of
from utils.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("several_test_batches")


def trainer_of(setting, data) -> Trainer:
    return Trainer(
        [Member(setting, 0)], currents_of(data), Compiler(False), ledger_level=LedgerLevel.WEAR
    )


def three_epochs(cell, rule):
    """Return a setting of three epochs of 7 mini-batches; kernels are those of test_schemes.py."""
    flags = dict(epochs=3, lr=60.0, max_pulses=0.5, layers=(40,), device_noise=True)
    flags |= dict(resistor_noise=0.02, voltage_noise=2e-5, write_noise=write_noise_for(cell, rule))
    return noisy_setting(devices_for(cell, rule)[0], cell=cell, **flags, **RULES[rule])


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("one-way", "none"),
        ("both-ways", "stochastic"),
        ("reference", "accumulate"),
        ("one-way", "accumulate nearest"),
    ],
)
@pytest.mark.parametrize("data", ["patterns", "sparse_patterns"])
def test_training_records_what_the_reference_does_and_is_resumed_bit_for_bit(
    data, cell, rule, request
):
    """Epoch by epoch: accuracies, requests, the ledger with what is pending, and wear.

    Stopped in the middle of an epoch, with pulses in the accumulators and much to be rounded.
    """
    data, setting = request.getfixturevalue(data), three_epochs(cell, rule)
    run = ReferenceRun(setting, data)
    trainer = trainer_of(setting, data)
    (undisturbed,) = trained(trainer)
    check_result(trainer, undisturbed, run)
    check_accumulators(undisturbed.state, run.network)
    assert ("pending" in undisturbed.ledger) == setting.accumulate
    if setting.accumulate:
        assert undisturbed.ledger["pending"].dtype == torch.float64
        np.testing.assert_allclose(undisturbed.ledger["pending"], run.pending, rtol=2e-3)
        assert undisturbed.ledger["dropped"].count_nonzero() == 0
    check_wear(undisturbed.ledger, run.network)
    assert (undisturbed.swap_accuracy is None) == (cell != "one-way")

    stopped = trainer_of(setting, data)
    stop_at(stopped, 10)
    checkpoint = slice_of(stopped.ensemble, 0)
    names = [name for name in checkpoint if "accumulator" in name]
    assert len(names) == 2 * setting.accumulate

    def resumed(**changes):
        trainer = trainer_of(setting, data)
        trainer.restore([checkpoint | changes])
        (result,) = trained(trainer)
        return result

    assert_same_bits(resumed(), undisturbed)
    for name in names:  # each is needed
        assert checkpoint[name].abs().max() > 0.01
        other = resumed(**{name: torch.zeros_like(checkpoint[name])})
        assert not torch.equal(
            other.state["layers.1.weight2"], undisturbed.state["layers.1.weight2"]
        )
