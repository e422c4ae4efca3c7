"""A GPU acted on the CPU, and mistakes on purpose: in its graph, its compiled steps, or in all."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from conftest import members_of, setting_of

from devices.ledger import Account
from devices.ledger_level import LedgerLevel
from devices.noise import Draw, Stream
from devices.pair import PairArray
from devices.programming import PulseOptimizer
from models.batch_norm import BatchNorm
from models.mlp import MLP
from support.devices import device_of
from utils.compute.compiler import Compiler
from utils.training.ensemble import Ensemble
from utils.training.trainer import Trainer

NOISES = dict(
    resistor_noise=0.015,
    voltage_noise=1.5e-6,
    write_noise=0.01,
    device_noise=True,
    physical_clipping=True,
)


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
        PulseOptimizer,
        "step",
        lambda self, array, gradient, *rest: step(
            self, array, -gradient if gpu.errs else gradient, *rest
        ),
    )


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
        programming,
        "refresh",
        lambda w1, w2, response: (w1, w2) if gpu.errs else refresh(w1, w2, response),
    )


def no_clipping(gpu, monkeypatch):
    from devices import programming

    update = programming.update

    def unclipped(*arguments):
        *before, clipping, noise, physical, account = arguments
        return update(*before, clipping * (not gpu.errs), noise, physical, account)

    monkeypatch.setattr(programming, "update", unclipped)


def no_physical_clipping(gpu, monkeypatch):
    from devices import programming

    clipped = programming.physically_clipped
    monkeypatch.setattr(
        programming,
        "physically_clipped",
        lambda request: request if gpu.errs else clipped(request),
    )


def exactly_read(gpu, monkeypatch):
    """Inference reads the devices without noise."""
    misread = MLP.misread
    monkeypatch.setattr(
        MLP, "misread", lambda network, *rest: misread(network, *rest) * (not gpu.errs)
    )


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
        Account,
        "note",
        lambda self, *others: note(self, *others[:-1], others[-1] & (not gpu.errs)),
    )


def raising(gpu, monkeypatch):
    count = Ensemble.count

    def fail(ensemble, loss):
        if gpu.errs:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        count(ensemble, loss)

    monkeypatch.setattr(Ensemble, "count", fail)


def no_gain(gpu, monkeypatch):
    """The input scale of before the switch, after it."""
    voltages = MLP.forward

    def forward(network, *inputs, **others):
        if not gpu.errs or network.gain is None:
            return voltages(network, *inputs, **others)
        gain, network.gain = network.gain, None
        try:
            return voltages(network, *inputs, **others)
        finally:
            network.gain = gain

    monkeypatch.setattr(MLP, "forward", forward)


MISTAKES = [
    wrong_sign,
    stale_weight,
    repeated(Draw.VOLTAGE),
    repeated(Draw.READ),
    repeated(Draw.WRITE),
    repeated(Draw.DEVICE),
    exactly_read,
    no_refresh,
    no_clipping,
    no_physical_clipping,
    exchanged_slopes,
    frozen_statistics,
    loss_counted_twice,
    costs_uncounted,
    refreshes_uncounted,
    raising,
]


def trainer_of(currents, compiled=True, n_models=2, **changes) -> Trainer:
    setting = setting_of(**(NOISES | changes))
    return Trainer(
        members_of(setting, n_models),
        currents,
        Compiler(compiled),
        graphed=True,
        ledger_level=LedgerLevel.TOTALS,
    )


SWITCHED = [("double-linear", "double-exponential"), ("double-exponential", "table")]


def switched_trainer(currents, pair=SWITCHED[0], **changes) -> Trainer:
    fields = dict(zip(("field", "second"), map(device_of, pair), strict=True))
    return trainer_of(currents, epochs=4, switch_epoch=2, **fields, **changes)
