"""Steps on a GPU against the CPU before a run begins: every mistake is seen, and no rounding.

The GPU is acted on the CPU. Mistakes are made on purpose in a captured step, in a compiled one, or
in all that the GPU computes.
"""

import re
from contextlib import contextmanager

import pytest
import torch
from conftest import currents_of, members_of, read_all, setting_of
from support.arguments import merged
from support.devices import NAMES, device_of

import main
from devices.kept import Kept
from devices.ledger import Account
from devices.noise import Draw, Stream
from devices.pair import PairArray
from devices.programming import PulseOptimizer
from models import noisy_pair
from models.currents import Currents
from models.mlp import BatchNorm
from utils.compute.compiler import Compiler
from utils.compute.processor import OutOfMemory
from utils.errors import UserError
from utils.training import differences, verification
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer
from utils.training.verification import trouble, verify

NOISES = dict(resistor_noise=0.015, voltage_noise=1.5e-6, write_noise=0.01)


class Gpu:
    """Where it goes wrong: in a "graph", in "compiled" steps, in "all" steps, or nowhere."""

    def __init__(self, cuda):
        self.cuda, self.wrong = cuda, None
        self.compiled = self.learning = False

    @property
    def errs(self) -> bool:
        """Whether what runs just now is to be wrong."""
        places = {"graph": self.cuda.capturing, "compiled": self.compiled, "all": self.learning}
        return self.wrong is not None and places[self.wrong]

    @contextmanager
    def during(self, what: str):
        setattr(self, what, True)
        try:
            yield
        finally:
            setattr(self, what, False)


@pytest.fixture
def gpu(acted_cuda, monkeypatch) -> Gpu:
    """Graphs are acted, compiled steps are eager ones, and known as such."""
    gpu = Gpu(acted_cuda)
    learn, use_graph = Trainer.learn, Trainer.use_graph

    def learning(trainer):
        with gpu.during("learning"):
            return learn(trainer)

    def graphed(trainer, graphed):
        acted_cuda.state = trainer.ensemble.state
        use_graph(trainer, graphed)

    def call(compiler, module, *inputs):
        if not compiler.enabled:
            return module(*inputs)
        with gpu.during("compiled"):
            return module(*inputs)

    monkeypatch.setattr(Trainer, "learn", learning)
    monkeypatch.setattr(Trainer, "use_graph", graphed)
    monkeypatch.setattr(Compiler, "__call__", call)
    return gpu


def wrong_sign(gpu, monkeypatch):
    step = PulseOptimizer.step
    monkeypatch.setattr(
        PulseOptimizer, "step",
        lambda self, array, gradient, *rest: step(
            self, array, -gradient if gpu.errs else gradient, *rest
        ),
    )  # fmt: skip


def stale_weight(gpu, monkeypatch):
    """The voltages are written, and W stays."""
    put = PairArray.put

    def half(array, weight1, weight2):
        if not gpu.errs:
            return put(array, weight1, weight2)
        array.weight1.copy_(weight1)
        array.weight2.copy_(weight2)

    monkeypatch.setattr(PairArray, "put", half)


def repeated(draw):
    """The noise of the first step in every step."""

    def repeat(gpu, monkeypatch):
        normal = Stream.normal

        def first(stream, which, shape):
            if gpu.errs and which == draw:
                stream = Stream(stream.seed, stream.step * 0, stream.part, stream.layer)
            return normal(stream, which, shape)

        monkeypatch.setattr(Stream, "normal", first)

    repeat.__name__ = f"repeated_{draw.name.lower()}_noise"
    return repeat


def no_refresh(gpu, monkeypatch):
    from devices import programming

    refresh = programming.refresh
    monkeypatch.setattr(
        programming, "refresh",
        lambda w1, w2, response: (w1, w2) if gpu.errs else refresh(w1, w2, response),
    )  # fmt: skip


def no_clipping(gpu, monkeypatch):
    from devices import programming

    update = programming.update

    def unclipped(*arguments):
        *before, clipping, noise, account = arguments
        return update(*before, clipping * (not gpu.errs), noise, account)

    monkeypatch.setattr(programming, "update", unclipped)


def exchanged_slopes(gpu, monkeypatch):
    from devices import programming

    update = programming.update

    def exchanged(w1, w2, slope1, slope2, *rest):
        slopes = (slope2, slope1) if gpu.errs else (slope1, slope2)
        return update(w1, w2, *slopes, *rest)

    monkeypatch.setattr(programming, "update", exchanged)


def frozen_statistics(gpu, monkeypatch):
    forward = BatchNorm.forward

    def frozen(norm, voltage):
        if not gpu.errs:
            return forward(norm, voltage)
        return forward(BatchNorm(norm.running_mean.clone(), norm.running_var.clone()), voltage)

    monkeypatch.setattr(BatchNorm, "forward", frozen)


def loss_counted_twice(gpu, monkeypatch):
    count = Ensemble.count
    monkeypatch.setattr(
        Ensemble, "count", lambda self, loss: count(self, loss * 2 if gpu.errs else loss)
    )


def costs_uncounted(gpu, monkeypatch):
    step = PulseOptimizer.step

    def misplaced(self, array, gradient, stream, account):
        step(self, array, gradient, stream, Account(array.weight) if gpu.errs else account)

    monkeypatch.setattr(PulseOptimizer, "step", misplaced)


def refreshes_uncounted(gpu, monkeypatch):
    note = Account.note
    monkeypatch.setattr(
        Account, "note",
        lambda self, *others: note(self, *others[:-1], others[-1] & (not gpu.errs)),
    )  # fmt: skip


def raising(gpu, monkeypatch):
    count = Ensemble.count

    def fail(ensemble, loss):
        if gpu.errs:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        count(ensemble, loss)

    monkeypatch.setattr(Ensemble, "count", fail)


MISTAKES = [
    wrong_sign, stale_weight, repeated(Draw.VOLTAGE), repeated(Draw.READ), repeated(Draw.WRITE),
    no_refresh, no_clipping, exchanged_slopes, frozen_statistics, loss_counted_twice,
    costs_uncounted, refreshes_uncounted, raising,
]  # fmt: skip
named = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)


def trainer_of(currents, compiled=True, n_models=2, **changes) -> Trainer:
    setting = setting_of(**(NOISES | changes))
    return Trainer(
        members_of(setting, n_models), currents, Compiler(compiled), graphed=True, kept=Kept.TOTALS
    )


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
        currents, labels = trainer.currents.train[images].T, trainer.currents.train_labels[images]
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


@pytest.mark.parametrize("wrong", ["noise", "voltages", "accuracy"])
def test_a_test_that_goes_wrong_is_seen(wrong, currents, gpu, monkeypatch):
    """Noise of another batch, outputs of another network, and a wrong count."""
    outputs, evaluate = verification.outputs, verification.evaluate

    def other(ensemble, *rest):
        for voltage in outputs(ensemble, *rest):
            mine = ensemble.network.seed.numel() > 1  # not the reference
            yield voltage.flip(0) if mine and wrong == "voltages" else voltage

    def counted(*arguments):
        return evaluate(*arguments) * (0.9 if wrong == "accuracy" else 1)

    if wrong == "noise":
        normal = Stream.normal

        def untested(stream, which, shape):
            if which == Draw.TEST and len(stream.seed) > 1:  # not the reference
                stream = Stream(stream.seed, stream.step, stream.part + 1, stream.layer)
            return normal(stream, which, shape)

        monkeypatch.setattr(Stream, "normal", untested)
    monkeypatch.setattr(verification, "outputs", other)
    monkeypatch.setattr(verification, "evaluate", counted)
    assert "test" in trouble(trainer_of(currents, tf32=True))


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
        dict(resistor_noise=0.0, voltage_noise=0.0, write_noise=0.0),
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
    plain = Trainer(trainer.members, currents, Compiler(False), kept=Kept.TOTALS)
    list(plain.train(lambda: None))
    for mine, theirs in zip(trainer.ensemble.state, plain.ensemble.state, strict=True):
        assert torch.equal(mine, theirs) or mine.isnan().equal(theirs.isnan())


def test_too_little_memory_is_no_mistake(currents, gpu, monkeypatch):
    """The job is divided then."""

    def full(trainer):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "step_by_count", full)
    with pytest.raises(OutOfMemory):
        verify(trainer_of(currents))


def test_a_program_of_the_compiler_passes(currents):
    """A real one, called one by one: what is acted cannot capture it."""
    trainer = Trainer(members_of(setting_of(**NOISES)), currents, Compiler(enabled=True))
    trainer.prepare()
    assert trouble(trainer) is None
    assert trainer.compiler.enabled


@pytest.fixture
def run_on_gpu(gpu, simulate, monkeypatch, tmp_path, capsys):
    """main.py on the acted GPU: its exit code, its lines on stderr, and its records."""
    monkeypatch.setattr(Currents, "are_on_gpu", True)
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
