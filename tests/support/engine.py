"""The project's ensembles, trained on the batches of `reference_networks.trained_reference`."""

import pytest
import torch
from conftest import currents_of
from reference import Network

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from support.reference_networks import (
    STEPS,
    TEST_BATCH,
    difference,
    inputs,
    noisy_setting,
    wide_init,
)
from utils.compute.compiler import Compiler
from utils.data.datasets import DataSet
from utils.settings import Member
from utils.training import evaluation
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer

EAGER = Compiler(enabled=False)
OUTPUT_TOLERANCE = 2e-3  # of the outputs for a test batch


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
    variance: float | None = 0.0,
    **changes,
) -> tuple[Ensemble, Currents]:
    """Return an ensemble with one network for each of `fields`, trained on batches, and its inputs.

    variance: the initial running variances; None for the usual ones.
    """
    changes = {"init": wide_init(fields[0]), **changes}
    members = [Member(noisy_setting(field, **changes), 0) for field in fields]
    currents = currents_of(data, device=device)
    ensemble = Ensemble.fresh(members, currents, LedgerLevel.WEAR)
    if dtype == torch.float64:
        ensemble = ensemble.double()
    per_epoch = -(-currents.n_train // 32)
    with torch.no_grad():
        for norm in ensemble.network.norms if variance is not None else ():
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
