"""Steps on a GPU against the CPU before a run begins: every mistake is seen.

The GPU is acted on the CPU. Mistakes are made on purpose in a captured step, in a compiled one, or
in all that the GPU computes.
"""

import re

import pytest
import torch
from conftest import read_all
from support.acted_gpu import (
    MISTAKES,
    no_gain,
    raising,
    switched_trainer,
    trainer_of,
    wrong_sign,
)
from support.arguments import merged

import main
from devices.noise import Draw, Stream
from models.currents import Currents
from utils.compute import kernel_builder
from utils.errors import UserError
from utils.training import verification
from utils.training.trainer import Trainer
from utils.training.verification import trouble, verify

named = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)


@named
@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_a_mistake_in_the_graph_is_left_with_the_graph(
    mistake, field, currents, gpu, monkeypatch, capsys
):
    """With the tolerance of TF32, which is the wider one."""
    gpu.wrong = "graph"
    mistake(gpu, monkeypatch)
    trainer = trainer_of(currents, field=field, tf32=True)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed) == (True, False)
    check_line(capsys, "compiled steps from a CUDA graph", "compiled steps called one by one")


def check_line(capsys, wrong: str, sound: str):
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        rf"on this GPU {wrong} (differ from the CPU's|fail) \(.+\); "
        rf"the run goes on with {sound}, which do not",
        line,
    )


@named
def test_a_mistake_of_the_compiler_is_left_with_compiling(
    mistake, currents, gpu, monkeypatch, capsys
):
    gpu.wrong = "compiled"
    mistake(gpu, monkeypatch)
    trainer = trainer_of(currents)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed) == (False, True)
    assert trainer.compiler.failure is not None
    check_line(capsys, "compiled steps from a CUDA graph", "uncompiled steps from a CUDA graph")


@named
@pytest.mark.parametrize("compiled", [False, True])
def test_a_mistake_in_all_steps_ends_the_run(mistake, compiled, currents, gpu, monkeypatch, capsys):
    gpu.wrong = "all"
    mistake(gpu, monkeypatch)
    with pytest.raises(UserError, match="on this GPU uncompiled steps called one by one") as error:
        verify(trainer_of(currents, compiled))
    assert "--device cpu" in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().err == ""


def test_a_graph_that_replays_one_batch_for_ever_is_seen(currents, gpu, monkeypatch, capsys):
    """The number of the batch is the host's while capturing."""

    def step_by_count(trainer):
        first = ((trainer.step - 1) % trainer.per_epoch) * trainer.batch_size
        images = slice(first, first + trainer.batch_size)
        currents = trainer.currents.inputs.train[images].T
        labels = trainer.currents.train_labels[images]
        return trainer.compiler(trainer.ensemble, currents, labels)

    monkeypatch.setattr(Trainer, "step_by_count", step_by_count)
    trainer = trainer_of(currents)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed) == (True, False)
    check_line(capsys, "compiled steps from a CUDA graph", "compiled steps called one by one")


def test_each_of_the_two_may_be_wrong(currents, gpu, monkeypatch, capsys):
    """A graph that fails, and compiled steps that are wrong: what is left is plain PyTorch."""
    gpu.wrong = "compiled"
    wrong_sign(gpu, monkeypatch)

    def fail(graph):
        raise RuntimeError("CUDA error: no graphs here")

    monkeypatch.setattr(torch.cuda, "graph", fail)
    trainer = trainer_of(currents)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed) == (False, False)
    check_line(capsys, "compiled steps from a CUDA graph", "uncompiled steps called one by one")


@pytest.mark.parametrize("wrong", [Draw.TEST, Draw.DEVICE_TEST, "voltages", "accuracy"], ids=str)
def test_a_test_that_goes_wrong_is_seen(wrong, currents, gpu, monkeypatch):
    """Noise of another batch, outputs of another network, and a wrong count."""
    outputs, evaluate = verification.outputs, verification.evaluate

    def other(ensemble, *rest):
        for voltage in outputs(ensemble, *rest):
            mine = ensemble.network.seed.numel() > 1  # not the reference
            yield voltage.flip(0) if mine and wrong == "voltages" else voltage

    def counted(*arguments):
        return evaluate(*arguments) * (0.9 if wrong == "accuracy" else 1)

    if isinstance(wrong, Draw):
        normal = Stream.normal

        def untested(stream, which, shape):
            if which == wrong and len(stream.seed) > 1:  # not the reference
                stream = Stream(stream.seed, stream.step, stream.part + 1, stream.layer)
            return normal(stream, which, shape)

        monkeypatch.setattr(Stream, "normal", untested)
    monkeypatch.setattr(verification, "outputs", other)
    monkeypatch.setattr(verification, "evaluate", counted)
    changes = dict(device_noise=wrong == Draw.DEVICE_TEST)  # by which few images are recognised
    assert "test" in trouble(trainer_of(currents, tf32=True, **changes))


def test_a_mistake_after_the_switch_alone_is_seen_before_training(
    currents, gpu, monkeypatch, capsys
):
    gpu.wrong = "graph"
    no_gain(gpu, monkeypatch)
    trainer = switched_trainer(currents)
    verify(trainer)
    assert (trainer.compiler.enabled, trainer.graphed) == (True, False)
    (line,) = capsys.readouterr().err.splitlines()
    assert "from a CUDA graph differ from the CPU's after the switch of the field (" in line
    gpu.wrong = "all"
    with pytest.raises(UserError, match="after the switch of the field"):
        verify(switched_trainer(currents))


@pytest.fixture
def run_on_gpu(gpu, simulate, monkeypatch, tmp_path, capsys):
    """main.py on the acted GPU: its exit code, its lines on stderr, and its records."""
    monkeypatch.setattr(Currents, "are_on_gpu", True)
    monkeypatch.setattr(kernel_builder, "has_kernel", lambda *_: False)  # as there
    output = tmp_path / "simulations"

    def call(*flags):
        small = "--task Digits --epochs 1 --n_models 1 --layers 16 --batch_size 30 --device cpu"
        code = main.main(merged(*small.split(), *flags, "--output_dir", output))
        return code, capsys.readouterr().err, read_all(output)

    return call


def test_a_run_on_a_gpu_trains_from_the_graph(run_on_gpu):
    code, errors, (record,) = run_on_gpu("--compile", "off")
    assert code == 0
    assert "on this GPU" not in errors
    assert (record.json["compiled"], record.json["graph"]) == (False, True)


def test_a_capture_that_fails_ends_no_run(run_on_gpu, gpu, monkeypatch):
    code, _, (expected,) = run_on_gpu("--compile", "off")
    gpu.wrong = "graph"
    raising(gpu, monkeypatch)
    code, errors, records = run_on_gpu("--compile", "off", "--seed", "100", "--n_models", "2")
    assert code == 0
    (line,) = [line for line in errors.splitlines() if "on this GPU" in line]
    assert "fail (operation not permitted)" in line
    for record in records[1:]:
        assert record.json["graph"] is False
    assert records[0].json["loss"] == records[1].json["loss"] == expected.json["loss"]


def test_a_gpu_that_computes_wrongly_ends_the_run_with_one_line(run_on_gpu, gpu, monkeypatch):
    gpu.wrong = "all"
    wrong_sign(gpu, monkeypatch)
    for flags in ((), ("--dry_run",)):
        code, errors, records = run_on_gpu("--compile", "off", *flags)
        (line,) = [line for line in errors.splitlines() if "on this GPU" in line]
        assert line.startswith("main.py: error: on this GPU uncompiled steps called one by one")
        assert "Traceback" not in errors
        assert (code, records) == (2, [])
