"""A GPU acted on the CPU, and mistakes on purpose: in its graph, its compiled steps, or in all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
from conftest import members_of, setting_of

from devices.ledger import Account
from devices.ledger_level import LedgerLevel
from devices.noise import Draw, Stream
from devices.pair import PairArray
from models import pair_layer
from models.batch_norm import BatchNorm
from models.noisy_pair import NetworkPhysics
from models.pair_layer import PairLayer
from support.devices import device_of
from utils.compute.compiler import Compiler
from utils.training.history import History
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
    write = PairLayer.write
    monkeypatch.setattr(
        PairLayer,
        "write",
        lambda self, gradient, *rest: write(self, -gradient if gpu.errs else gradient, *rest),
    )


def stale_weight(gpu, monkeypatch):
    """The voltages are written, and W stays."""
    put = PairArray.put

    def half(array, state):
        if not gpu.errs:
            return put(array, state)
        array.weight1.copy_(state.w1)
        array.weight2.copy_(state.w2)

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
        lambda state, response: state if gpu.errs else refresh(state, response),
    )


def no_clipping(gpu, monkeypatch):
    update = pair_layer.update

    def unclipped(state, gradient, parameters, programming, *rest):
        clipping = programming.clipping
        programming.clipping = clipping * (not gpu.errs)
        try:
            return update(state, gradient, parameters, programming, *rest)
        finally:
            programming.clipping = clipping

    monkeypatch.setattr(pair_layer, "update", unclipped)


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
    read_noise = PairLayer.read_noise

    def nothing(layer, conditions):
        noise = read_noise(layer, conditions)
        return noise if noise is None else noise * (not gpu.errs)

    monkeypatch.setattr(PairLayer, "read_noise", nothing)


def exchanged_slopes(gpu, monkeypatch):
    update = pair_layer.update

    def exchanged(state, gradient, parameters, *rest):
        if gpu.errs:
            slopes = dict(slope1=parameters.slope2, slope2=parameters.slope1)
            parameters = replace(parameters, **slopes)
        return update(state, gradient, parameters, *rest)

    monkeypatch.setattr(pair_layer, "update", exchanged)


def frozen_statistics(gpu, monkeypatch):
    forward = BatchNorm.forward

    def frozen(norm, voltage):
        if not gpu.errs:
            return forward(norm, voltage)
        return forward(BatchNorm(norm.running_mean.clone(), norm.running_var.clone()), voltage)

    monkeypatch.setattr(BatchNorm, "forward", frozen)


def loss_counted_twice(gpu, monkeypatch):
    count = History.count
    monkeypatch.setattr(
        History, "count", lambda self, loss: count(self, loss * 2 if gpu.errs else loss)
    )


def costs_uncounted(gpu, monkeypatch):
    write = PairLayer.write

    def misplaced(self, gradient, stream, programming, account):
        account = Account(self.weight) if gpu.errs else account
        write(self, gradient, stream, programming, account)

    monkeypatch.setattr(PairLayer, "write", misplaced)


def refreshes_uncounted(gpu, monkeypatch):
    note = Account.note
    monkeypatch.setattr(
        Account,
        "note",
        lambda self, *others: note(self, *others[:-1], others[-1] & (not gpu.errs)),
    )


def raising(gpu, monkeypatch):
    count = History.count

    def fail(history, loss):
        if gpu.errs:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        count(history, loss)

    monkeypatch.setattr(History, "count", fail)


def no_gain(gpu, monkeypatch):
    """The input scale of before the switch, after it."""
    scaled = NetworkPhysics.scaled
    monkeypatch.setattr(
        NetworkPhysics,
        "scaled",
        lambda physics, values: values if gpu.errs else scaled(physics, values),
    )


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
