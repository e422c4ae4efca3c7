"""The project's ensembles, trained on the batches of `reference_networks.trained_reference`."""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import pytest
import torch
from conftest import assert_same_tensors, currents_of
from reference import Network

from devices.ledger import COUNTS
from devices.ledger_level import LedgerLevel
from models.currents import Currents
from support.reference_networks import (
    ONE_IMAGE,
    STEPS,
    TEST_BATCH,
    ReferenceRun,
    difference,
    distance,
    inputs,
    noisy_setting,
    wide_init,
)
from utils.compute.compiler import Compiler
from utils.data.datasets import DataSet
from utils.records.results import Result
from utils.settings import Member
from utils.training import evaluation
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer

EAGER = Compiler(enabled=False)
OUTPUT_TOLERANCE = 2e-3  # of the outputs for a test batch
FINER = 5e-4  # since under the other field device noise counts little in tests
TOLERANCE = 5e-3  # 1e-5 as a rule; more where rounding decides whether a pulse is sent


@pytest.fixture
def several_test_batches(monkeypatch):
    """Test in batches of 16 images."""
    monkeypatch.setattr(evaluation, "TEST_BATCH", TEST_BATCH)


def trained_engine(
    fields: list[str],
    data: DataSet,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    compiler: Compiler = EAGER,
    variance: float = 0.0,
    own: Sequence[dict] = (),
    **changes,
) -> tuple[Ensemble, Currents]:
    """Return an ensemble with one network for each of `fields`, trained on batches, and its inputs.

    variance: the initial running variances; own: changes of each network beside those of all.
    """
    changes = {"init": wide_init(fields[0]), **changes}
    members = [
        Member(noisy_setting(field, **changes | own_values), 0)
        for field, own_values in zip_longest(fields, own, fillvalue={})
    ]
    currents = currents_of(data, device=device)
    ensemble = Ensemble.fresh(members, currents, LedgerLevel.WEAR)
    if dtype == torch.float64:
        ensemble = ensemble.double()
    per_epoch = -(-currents.n_train // 32)
    with torch.no_grad():
        for norm in ensemble.network.norms:
            norm.running_var.fill_(variance)
        for step in range(STEPS):
            current, labels = currents.batch(step % per_epoch, 32)
            call = compiler if len(labels) == 32 else EAGER
            current = current.to(dtype) if currents.product == "dense" else current
            call(ensemble, current, labels)
    return ensemble, currents


def stop_at(trainer: Trainer, step: int) -> None:
    """Train until so many mini-batches are done."""

    class StoppedError(Exception):
        pass

    def stop():
        if trainer.step == step:
            raise StoppedError

    with pytest.raises(StoppedError):
        list(trainer.train(stop))


def trained(trainer: Trainer) -> list[Result]:
    """Train through all epochs; returns what is recorded of each network."""
    list(trainer.train(lambda: None))
    return list(trainer.results(0.0))


def check_result(trainer: Trainer, result: Result, run: ReferenceRun) -> None:
    """Compare all that is recorded of a network, epoch by epoch, with the reference."""
    near = dict(atol=1.01 * ONE_IMAGE)
    assert distance(result.state, run.network) < TOLERANCE
    np.testing.assert_allclose(result.pulse_requests.numpy(), run.requests, rtol=1e-3)
    np.testing.assert_allclose(result.accuracies.numpy(), run.accuracies, **near)
    losses = trainer.ensemble.history.losses[trainer.members.index(result.member)].cpu().numpy()
    np.testing.assert_allclose(losses, run.losses, rtol=1e-3)
    assert result.loss == losses[-1]
    for name in ("swap", "switch"):
        actual, expected = getattr(result, f"{name}_accuracy"), getattr(run, name)
        assert (actual is None) == (expected is None)
        if actual is not None:
            np.testing.assert_allclose(actual, expected, **near)
    for k, name in enumerate(COUNTS):
        expected = [[layer[k] for layer in epoch] for epoch in run.costs]
        near = dict(rtol=1e-3) if name == "pulses" else dict(rtol=2e-3, atol=2)
        np.testing.assert_allclose(result.ledger[name], expected, err_msg=name, **near)
        total = np.sum(expected, axis=0)  # of all epochs, [layer]
        np.testing.assert_allclose(result.ledger[name].sum(0), total, err_msg=name, **near)


def check_accumulators(state: dict, reference: Network) -> None:
    """Rounding may send a pulse a step earlier or later of a few weights, by which chi differs."""
    for layer, chi in enumerate(reference.chi):
        name = f"layers.{1 + 3 * layer}.accumulator"
        assert (name in state) == reference.physics.accumulate
        if name in state:
            actual = state[name].double().numpy()
            scale = 1e-3 * max(abs(chi).max(), reference.physics.clipping)
            assert (abs(actual - chi) > scale).mean() < 2e-3
            assert abs(actual).sum() == pytest.approx(reference.pending[layer], rel=2e-3)


def check_wear(ledger: dict, reference: Network) -> None:
    """Compare pulses of both polarities of both devices of a pair, and refreshes, of each pair."""
    names = {"pulses1": reference.worn1, "pulses2": reference.worn2}
    if reference.physics.cell != "one-way":
        names |= {"raised1": reference.raised1, "raised2": reference.raised2}
    for name, worn in names.items():
        for layer, expected in enumerate(worn):
            actual = ledger[f"layers.{1 + 3 * layer}.{name}"].double().numpy()
            assert np.linalg.norm(actual - expected) <= TOLERANCE * np.linalg.norm(expected)
    for layer, expected in enumerate(reference.refreshed):
        actual = ledger[f"layers.{1 + 3 * layer}.refreshes"].double().numpy()
        assert abs(actual - expected).sum() <= 2 + 2e-3 * expected.sum()


def assert_same_bits(result: Result, other: Result) -> None:
    """Assert that two networks are one, in all that is recorded of them."""
    assert_same_tensors(result.state, other.state)
    assert_same_tensors(result.ledger, other.ledger)
    for name in ("accuracies", "pulse_requests"):
        assert torch.equal(getattr(result, name), getattr(other, name)), name
    for name in ("loss", "swap_accuracy", "switch_accuracy", "failed_step"):
        assert getattr(result, name) == getattr(other, name), name


def check_outputs(
    ensemble: Ensemble,
    model: int,
    currents: Currents,
    compiler: Compiler,
    reference: Network,
    data: DataSet,
    relaxed: bool = False,
    tolerance: float = OUTPUT_TOLERANCE,
) -> None:
    """Compare every test batch, each with noise of its own, with the reference."""
    images = inputs(data.test_images)
    parts = evaluation.outputs(ensemble, currents, compiler, relaxed)
    starts = range(0, len(images), TEST_BATCH)
    for number, (start, voltages) in enumerate(zip(starts, parts, strict=True)):
        part = number + evaluation.RELAXED * relaxed
        expected = reference.test(images[start : start + TEST_BATCH], part, relaxed)
        actual = voltages[model].T.cpu().double().numpy()
        assert difference(actual, expected) < tolerance
