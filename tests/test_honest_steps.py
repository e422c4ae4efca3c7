"""What a GPU computes rightly, rounded as it may be, passes the comparison with the CPU."""

import pytest
import torch
from conftest import currents_of, members_of, setting_of
from support.acted_gpu import NOISES, SWITCHED, exactly_read, switched_trainer, trainer_of
from support.devices import NAMES, device_of

from devices.ledger_level import LedgerLevel
from models import noisy_pair
from utils.compute.compiler import Compiler
from utils.compute.processor import OutOfMemoryError
from utils.settings import Member
from utils.training import differences
from utils.training.trainer import Trainer
from utils.training.verification import trouble, verify


def tf32(truncated: bool):
    """Products as tensor cores take them: of factors with 10 bits of mantissa, cut or rounded."""
    product = noisy_pair.product

    def rounded(factor):
        if factor.dtype == torch.float64:
            return factor
        bits = factor.contiguous().view(torch.int32) + (0 if truncated else 1 << 12)
        return (bits & ~((1 << 13) - 1)).view(torch.float32)

    return lambda a, b: product(rounded(a), rounded(b))


@pytest.mark.parametrize("rounding", ["float32", "TF32 rounded", "TF32 cut"])
@pytest.mark.parametrize("field", NAMES)
def test_honest_steps_pass_with_room_to_spare(field, rounding, currents, gpu, monkeypatch, capsys):
    """In small layers, too, where one sample counts most: half of what is tolerated."""
    if rounding != "float32":
        monkeypatch.setattr(noisy_pair, "product", tf32(truncated=rounding == "TF32 cut"))
    half = {key: value / 2 for key, value in differences.TOLERANCE.items()}
    monkeypatch.setattr(differences, "TOLERANCE", half)
    for layers in ((24,), (16, 16), (128,)):
        changes = dict(field=device_of(field), layers=layers, tf32=rounding != "float32")
        trainer = trainer_of(currents, **changes)
        before = [tensor.clone() for tensor in trainer.ensemble.state]
        verify(trainer)
        assert (trainer.compiler.enabled, trainer.graphed) == (True, True)
        assert trainer.step == 0
        for mine, theirs in zip(trainer.ensemble.state, before, strict=True):
            assert torch.equal(mine, theirs) or mine.isnan().equal(theirs.isnan())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "changes",
    [
        dict(resistor_noise=0.0, voltage_noise=0.0, write_noise=0.0, device_noise=False),
        dict(device_noise=False, physical_clipping=False),
        dict(var=0.0, clipping=0.0, init=0.0),
        dict(lr=0.0),
        dict(lr=1e9),
        dict(batch_size=1),
        dict(batch_size=200),
        dict(batch_size=1000),  # no full batch
    ],
    ids=str,
)
def test_whatever_the_setting_honest_steps_pass(changes, currents, gpu):
    assert trouble(trainer_of(currents, **changes)) is None


def test_networks_of_a_job_may_differ_in_their_physics(currents, gpu, monkeypatch):
    """What the last one lacks is looked at in another one."""
    kinds = [NOISES, dict(resistor_noise=0.0), NOISES | dict(device_noise=False), {}]
    members = [Member(setting_of(**kind), 0) for kind in kinds]
    assert trouble(Trainer(members, currents, Compiler(True), graphed=True)) is None
    gpu.wrong = "all"
    exactly_read(gpu, monkeypatch)
    assert "differ" in trouble(Trainer(members, currents, Compiler(True), graphed=True))


@pytest.mark.parametrize("input_scale", [1e-5, 1.0])
def test_whatever_the_scale_of_the_inputs_honest_steps_pass(
    input_scale, patterns, gpu, monkeypatch
):
    monkeypatch.setattr(noisy_pair, "product", tf32(truncated=True))
    currents = currents_of(patterns, input_scale=input_scale)
    assert trouble(trainer_of(currents, input_scale=input_scale, tf32=True)) is None


def test_products_coarser_than_tf32_are_seen(currents, gpu, monkeypatch):
    """Of factors with 3 bits of mantissa."""
    product = noisy_pair.product

    def coarse(a, b):
        if a.dtype != torch.float64:
            a, b = (factor.to(torch.float8_e4m3fn).float() for factor in (a, b))
        return product(a, b)

    monkeypatch.setattr(noisy_pair, "product", coarse)
    assert "differ" in trouble(trainer_of(currents, tf32=True))


def test_the_graph_that_was_verified_is_the_one_that_trains(currents, gpu):
    """To the bit as without a verification."""
    trainer = trainer_of(currents, compiled=False)
    verify(trainer)
    list(trainer.train(lambda: None))
    (graph,) = gpu.cuda.graphs
    assert graph.replayed == 3 + 2 * 6  # of the verification, and of two epochs
    plain = Trainer(trainer.members, currents, Compiler(False), ledger_level=LedgerLevel.TOTALS)
    list(plain.train(lambda: None))
    for mine, theirs in zip(trainer.ensemble.state, plain.ensemble.state, strict=True):
        assert torch.equal(mine, theirs) or mine.isnan().equal(theirs.isnan())


@pytest.mark.parametrize("pair", SWITCHED, ids=str)
def test_both_sides_of_a_switch_are_verified_and_nothing_is_changed(pair, currents, gpu, capsys):
    """The graph of the first is the one that trains; that of the second is captured anew."""
    trainer = switched_trainer(currents, pair, compiled=False)
    verify(trainer)
    assert (trainer.graphed, trainer.ensemble.phase, trainer.step) == (True, 0, 0)
    assert capsys.readouterr().err == ""
    second, first = gpu.cuda.graphs
    list(trainer.train(lambda: None))
    assert len(gpu.cuda.graphs) == 3
    assert (second.replayed, first.replayed) == (3, 3 + 2 * 6)
    plain = Trainer(trainer.members, currents, Compiler(False), ledger_level=LedgerLevel.TOTALS)
    list(plain.train(lambda: None))
    for mine, theirs in zip(trainer.ensemble.state, plain.ensemble.state, strict=True):
        assert torch.equal(mine, theirs) or mine.isnan().equal(theirs.isnan())
    assert torch.equal(
        trainer.ensemble.history.switch_accuracies, plain.ensemble.history.switch_accuracies
    )


def test_too_little_memory_is_no_mistake(currents, gpu, monkeypatch):
    """The job is divided then."""

    def full(trainer):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "step_by_count", full)
    with pytest.raises(OutOfMemoryError):
        verify(trainer_of(currents))


def test_a_program_of_the_compiler_passes(currents):
    """A real one, that of test_trainer.py, called one by one: what is acted cannot capture it."""
    changes = NOISES | dict(write_noise=0.0, batch_size=8)
    trainer = Trainer(members_of(setting_of(**changes)), currents, Compiler(enabled=True))
    trainer.prepare()
    assert trouble(trainer) is None
    assert trainer.compiler.enabled, trainer.compiler.failure
