"""The check before a job trains on a GPU, here a fake, sees every mistake of graph or compiler."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, partialmethod
from operator import attrgetter

import pytest
import torch
from conftest import members_of, setting_of
from support.devices import NAMES, device_of
from support.fake_cuda import FakeCuda
from torch.testing import assert_close

from devices.ledger_level import LedgerLevel
from devices.noise import Draw, Stream
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.processor import OutOfMemoryError
from utils.errors import UserError
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer
from utils.training.verification import first_mismatch, verify

NOISES = dict(resistor_noise=0.015, voltage_noise=1.5e-6, write_noise=0.01, device_noise=True)
PHYSICS = NOISES | dict(physical_clipping=True, init=0.2)  # so that some pairs are refreshed


@dataclass
class Gpu:
    """wrong: whether a step of this GPU goes wrong now, as GRAPH or COMPILED says; by default not.

    mistake: takes an ensemble, before a step, and returns what is to be done after it. compiled:
    whether the last step, a plain one in fact, was to be compiled.
    """

    cuda: FakeCuda
    compiled: bool = False
    wrong: Callable = lambda gpu: False
    mistake: Callable = lambda ensemble: lambda: None


assert_same_bits = partial(assert_close, rtol=0, atol=0, equal_nan=True)
GRAPH, COMPILED = attrgetter("cuda.capturing"), attrgetter("compiled")


@pytest.fixture
def gpu(fake_cuda, monkeypatch) -> Gpu:
    gpu = Gpu(fake_cuda)

    def call(compiler, module, *inputs):
        gpu.compiled, after = compiler.enabled, lambda: None
        if isinstance(module, Ensemble):
            fake_cuda.state = module.state
            after = gpu.mistake(module) if gpu.wrong(gpu) else after
        returned = module(*inputs)
        after()
        return returned

    monkeypatch.setattr(Compiler, "__call__", call)
    return gpu


def trainer_of(currents, compiled=True, field="double-linear", **changes) -> Trainer:
    members = members_of(setting_of(field=device_of(field), **PHYSICS | changes), 2)
    return Trainer(members, currents, Compiler(compiled), True, LedgerLevel.TOTALS)


def rounding(ensemble: Ensemble):
    """The mistake that is none."""
    floats = [tensor for tensor in ensemble.state if tensor.is_floating_point()]
    return lambda: [tensor.mul_(1 + torch.finfo(tensor.dtype).eps) for tensor in floats]


OTHERS = [dict(lr=0.0), dict(lr=1e9), dict(var=0.0, clipping=0.0, init=0.0), dict(batch_size=1000)]


@pytest.mark.parametrize("changes", [*(dict(field=name) for name in NAMES), *OTHERS], ids=str)
def test_correct_steps_pass_and_leave_the_networks_as_they_are(changes, currents, gpu, capsys):
    gpu.wrong, gpu.mistake = COMPILED, rounding
    trainer = trainer_of(currents, **changes)
    before = tuple(tensor.clone() for tensor in trainer.ensemble.state)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed, trainer.step) == (True, True, 0)
    assert_same_bits(trainer.ensemble.state, before)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("wrong", [GRAPH, COMPILED], ids=["graph", "compiled"])
@torch.no_grad()
def test_a_mistake_in_anything_that_a_step_changes_is_seen(wrong, currents, gpu):
    """Half as much again of a change; seen by the wider tolerance of TF32, too."""
    trainer = trainer_of(currents, tf32=True)
    tensors = dict(trainer.ensemble.named_buffers())
    fresh = {name: tensor.nan_to_num(-1) for name, tensor in tensors.items()}
    trainer.learn()
    changed = [name for name in tensors if not tensors[name].nan_to_num(-1).equal(fresh[name])]
    assert {"weight1", "running_var", "loss_sum", "step"} <= {n.split(".")[-1] for n in changed}

    def mistake(ensemble):
        before = tensors[name].clone()
        return lambda: tensors[name].add_(((tensors[name] - before) * 1.5).to(before.dtype))

    gpu.wrong, gpu.mistake = wrong, mistake
    for name in changed:
        trainer.use_graph(True)
        assert str(first_mismatch(trainer)).startswith("differ from plain PyTorch's ("), name


@pytest.mark.parametrize("draw", [Draw.VOLTAGE, Draw.READ, Draw.WRITE, Draw.DEVICE])
def test_noise_that_repeats_is_seen(draw, currents, gpu, monkeypatch):
    def repeating(stream, method, which, *arguments):
        if gpu.wrong(gpu) and which == draw:
            stream = Stream(stream.seed, stream.step * 0, stream.part, stream.layer)
        return method(stream, which, *arguments)

    for method in (Stream.noisy, Stream.normal):
        monkeypatch.setattr(Stream, method.__name__, partialmethod(repeating, method))
    gpu.wrong = GRAPH
    assert "differ" in first_mismatch(trainer_of(currents, resistor_noise=0.3, voltage_noise=1e-4))


def test_a_graph_that_repeats_one_batch_is_seen(currents, gpu, monkeypatch):
    """The number of the batch is the host's, which stays as it is while it is captured."""

    def step_by_count(trainer):
        batch = trainer.currents.batch((trainer.step - 1) % trainer.per_epoch, trainer.batch_size)
        return trainer.compiler(trainer.ensemble, *batch)

    monkeypatch.setattr(Trainer, "step_by_count", step_by_count)
    assert "differ" in first_mismatch(trainer_of(currents))


def fails(ensemble):
    raise RuntimeError("operation not permitted\nwhen stream is capturing")


def needs_memory(ensemble):
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("wrong", "stage", "left"),
    [
        (GRAPH, (True, False), "compiled steps called one by one"),
        (COMPILED, (False, True), "uncompiled steps from a CUDA graph"),
    ],
)
def test_steps_that_fail_are_left(wrong, stage, left, currents, gpu, capsys):
    gpu.wrong, gpu.mistake = wrong, fails
    trainer = trainer_of(currents)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed) == stage
    assert capsys.readouterr().err == (
        "on this GPU compiled steps from a CUDA graph fail (operation not permitted); the run goes "
        f"on with {left}, which do not\n"
    )


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (fails, UserError, "uncompiled steps called one by one fail .*--device cpu$"),
        (needs_memory, OutOfMemoryError, "CUDA out of memory"),  # the job is divided then
    ],
)
def test_steps_that_fail_everywhere_are_errors(mistake, error, message, currents, gpu):
    gpu.wrong, gpu.mistake = bool, mistake
    with pytest.raises(error, match=message):
        verify(trainer_of(currents))


def test_both_fields_of_a_switch_are_verified_and_the_first_graph_trains(currents, gpu):
    switch = dict(epochs=4, switch_epoch=2)
    gpu.wrong = lambda gpu: gpu.compiled and trainer.ensemble.phase
    gpu.mistake, trainer = fails, trainer_of(currents, **switch)
    assert "fail after the switch of the field" in first_mismatch(trainer)
    gpu.wrong = Gpu.wrong
    trainer = trainer_of(currents, compiled=False, **switch)
    gpu.cuda.graphs.clear()
    verify(trainer)
    assert (trainer.graphed, trainer.ensemble.phase, trainer.step) == (True, 0, 0)
    second, first = gpu.cuda.graphs
    list(trainer.train(lambda: None))
    assert (second.replayed, first.replayed) == (3, 3 + 2 * 6)  # six full batches in an epoch
    assert len(gpu.cuda.graphs) == 3
    plain = trainer_of(currents, compiled=False, **switch)
    plain.use_graph(False)
    list(plain.train(lambda: None))
    assert_same_bits(trainer.ensemble.state, plain.ensemble.state)


def test_a_run_goes_on_without_a_graph_that_fails(gpu, simulate, monkeypatch):
    monkeypatch.setattr(Currents, "are_on_gpu", True)
    (record,) = simulate("--batch_size 30 --compile off")
    gpu.wrong, gpu.mistake = GRAPH, fails
    (other,) = simulate("--batch_size 30 --compile off")
    assert simulate.errors.count("on this GPU") == 1
    assert (record.json["graph"], other.json["graph"]) == (True, False)
    assert record.json["loss"] == other.json["loss"]
