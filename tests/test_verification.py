"""The check before a job trains on a GPU: every mistake of graph or compiler is seen.

The GPU is a fake: its graphs are replayed on the CPU, and "compiled" steps are plain ones.
"""

import re

import pytest
import torch
from conftest import members_of, read_all, setting_of
from support.arguments import merged
from support.devices import NAMES, device_of

import main
from devices.ledger_level import LedgerLevel
from devices.noise import Draw, Stream
from models.currents import Currents
from utils.compute.compiler import Compiler
from utils.compute.processor import OutOfMemoryError
from utils.errors import UserError
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer
from utils.training.verification import first_mismatch, verify

PHYSICS = dict(
    resistor_noise=0.015,
    voltage_noise=1.5e-6,
    write_noise=0.01,
    device_noise=True,
    physical_clipping=True,
    init=0.2,  # so that some pairs are refreshed
)
ALL, COMPILED, GRAPH = "all", "compiled", "graph"


class Gpu:
    """wrong: which steps go wrong, those of a GRAPH, COMPILED ones, or ALL; None if none do.

    mistake: takes an ensemble, before a step, and returns what is to be done after it.
    """

    def __init__(self, cuda):
        self.cuda, self.wrong, self.mistake = cuda, None, None
        self.compiled = False

    @property
    def errs(self) -> bool:
        places = {GRAPH: self.cuda.capturing, COMPILED: self.compiled, ALL: True}
        return self.wrong is not None and places[self.wrong]


@pytest.fixture
def gpu(fake_cuda, monkeypatch) -> Gpu:
    gpu = Gpu(fake_cuda)
    use_graph, forward = Trainer.use_graph, Ensemble.forward

    def use(trainer, graphed):
        fake_cuda.state = trainer.ensemble.state
        use_graph(trainer, graphed)

    def call(compiler, module, *inputs):
        gpu.compiled = compiler.enabled
        try:
            return module(*inputs)
        finally:
            gpu.compiled = False

    def step(ensemble, *inputs):
        if not (gpu.errs and gpu.mistake):
            return forward(ensemble, *inputs)
        after = gpu.mistake(ensemble)
        returned = forward(ensemble, *inputs)
        after()
        return returned

    monkeypatch.setattr(Trainer, "use_graph", use)
    monkeypatch.setattr(Compiler, "__call__", call)
    monkeypatch.setattr(Ensemble, "forward", step)
    return gpu


def trainer_of(currents, compiled=True, n_models=2, **changes) -> Trainer:
    members = members_of(setting_of(**(PHYSICS | changes)), n_models)
    totals = LedgerLevel.TOTALS
    return Trainer(members, currents, Compiler(compiled), graphed=True, ledger_level=totals)


def assert_same_state(trainer: Trainer, expected: list[torch.Tensor]) -> None:
    for actual, tensor in zip(trainer.ensemble.state, expected, strict=True):
        assert torch.equal(actual.nan_to_num(-1), tensor.nan_to_num(-1))


def rounding(ensemble: Ensemble):
    """The mistake that is none."""
    floats = [each for each in ensemble.state if each.is_floating_point()]
    return lambda: [each.mul_(1 + torch.finfo(each.dtype).eps) for each in floats]


@pytest.mark.parametrize("field", NAMES)
def test_correct_steps_pass_and_leave_the_networks_as_they_are(field, currents, gpu, capsys):
    gpu.wrong, gpu.mistake = COMPILED, rounding
    trainer = trainer_of(currents, field=device_of(field))
    before = [tensor.clone() for tensor in trainer.ensemble.state]
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed, trainer.step) == (True, True, 0)
    assert_same_state(trainer, before)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "changes",
    [dict(lr=0.0), dict(lr=1e9), dict(var=0.0, clipping=0.0, init=0.0), dict(batch_size=1000)],
    ids=str,
)
def test_correct_steps_of_any_setting_pass(changes, currents, gpu):
    gpu.wrong, gpu.mistake = COMPILED, rounding
    assert first_mismatch(trainer_of(currents, **changes)) is None


def changed_by_a_step(currents) -> list[str]:
    trainer = trainer_of(currents)
    before = {name: tensor.clone() for name, tensor in trainer.ensemble.named_buffers()}
    with torch.no_grad():
        trainer.ensemble(*currents.batch(0, 32))
    after = dict(trainer.ensemble.named_buffers())
    return [
        name
        for name, tensor in before.items()
        if not tensor.nan_to_num(-1).equal(after[name].nan_to_num(-1))
    ]


@pytest.mark.parametrize("wrong", [GRAPH, COMPILED])
def test_a_mistake_in_anything_that_a_step_changes_is_seen(wrong, currents, gpu, capsys):
    """Half as much again of a change; seen by the wider tolerance of TF32, too."""
    names = changed_by_a_step(currents)
    assert {"weight1", "running_var", "loss_sum", "step"} <= {n.split(".")[-1] for n in names}
    for name in names:

        def mistake(ensemble, name=name):
            tensor = dict(ensemble.named_buffers())[name]
            before = tensor.clone()
            return lambda: tensor.add_(((tensor - before) * 1.5).to(tensor.dtype))

        gpu.wrong, gpu.mistake = wrong, mistake
        trainer = trainer_of(currents, tf32=True)
        verify(trainer)
        stage = (trainer.compiler.enabled, trainer.graphed)
        assert stage == (wrong == GRAPH, wrong == COMPILED), name
        (line,) = capsys.readouterr().err.splitlines()
        left = "compiled steps called one by one" if wrong == GRAPH else "uncompiled steps from a "
        assert line.startswith("on this GPU compiled steps from a CUDA graph differ from plain ")
        assert f"; the run goes on with {left}" in line


@pytest.mark.parametrize("draw", [Draw.VOLTAGE, Draw.READ, Draw.WRITE, Draw.DEVICE])
def test_noise_that_repeats_is_seen(draw, currents, gpu, monkeypatch):
    def repeated(method):
        def call(stream, which, *rest):
            if gpu.errs and which == draw:
                stream = Stream(stream.seed, stream.step * 0, stream.part, stream.layer)
            return method(stream, which, *rest)

        return call

    for name in ("normal", "noisy"):
        monkeypatch.setattr(Stream, name, repeated(getattr(Stream, name)))
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


def test_steps_that_fail_are_left_or_end_the_run(currents, gpu, capsys):
    gpu.wrong, gpu.mistake = COMPILED, fails
    verify(trainer_of(currents))
    assert re.search(r" fail \(operation not permitted\); ", capsys.readouterr().err)
    gpu.wrong = ALL
    with pytest.raises(UserError, match=r"uncompiled steps called one by one fail .*--device cpu$"):
        verify(trainer_of(currents))


def test_too_little_memory_is_no_mistake(currents, gpu, monkeypatch):
    """The job is divided then."""

    def full(trainer):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "step_by_count", full)
    with pytest.raises(OutOfMemoryError):
        verify(trainer_of(currents))


def test_both_fields_of_a_switch_are_verified_and_the_first_graph_trains(currents, gpu):
    def late(ensemble):
        return fails(ensemble) if ensemble.phase else lambda: None

    switch = dict(epochs=4, switch_epoch=2)
    gpu.wrong, gpu.mistake = COMPILED, late
    assert "fail after the switch of the field" in first_mismatch(trainer_of(currents, **switch))
    gpu.wrong = None
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
    assert_same_state(trainer, plain.ensemble.state)


def test_a_run_goes_on_without_a_graph_that_fails(gpu, simulate, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(Currents, "are_on_gpu", True)
    small = "--task Digits --epochs 1 --n_models 1 --layers 16 --batch_size 30 --device cpu".split()
    records = []
    for wrong in (None, GRAPH):
        gpu.wrong, gpu.mistake = wrong, fails
        words = merged(*small, "--compile", "off", "--output_dir", tmp_path / str(wrong))
        assert main.main(words) == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if "on this GPU" in line]
        assert len(lines) == (wrong is not None)
        records += read_all(tmp_path / str(wrong))
    assert [record.json["graph"] for record in records] == [True, False]
    assert records[0].json["loss"] == records[1].json["loss"]
