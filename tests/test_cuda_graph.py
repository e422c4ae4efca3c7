"""Steps that a GPU replays without Python, played on the CPU."""

import pytest
import torch
from conftest import members_of, setting_of

from utils.compute.compiler import Compiler
from utils.compute.cuda_graph import SYNCHRONISE, WARM_UP, GraphedCall
from utils.training.trainer import Trainer

EAGER = Compiler(enabled=False)


def graphed_trainer(currents, cuda, **changes) -> Trainer:
    """A trainer that does what one on a GPU does."""
    trainer = Trainer(members_of(setting_of(**changes)), currents, EAGER, graphed=True)
    cuda.state = trainer.ensemble.state
    return trainer


def test_a_graph_repeats_what_was_captured(fake_cuda):
    """A number of the host's stays what it was, a tensor is read afresh: as a GPU has it."""
    total, step, host = torch.zeros(()), torch.zeros(()), []
    fake_cuda.state = (total, step)

    def function():
        host.append(1)
        step.add_(1)
        total.add_(step * 1000 + len(host))
        return total * 2

    call = GraphedCall(function)
    returned = [call().clone() for _ in range(6)]
    assert len(host) == WARM_UP + 1  # three calls, and the capture, which runs nothing
    parts = [1001, 2002, 3003, 4004, 5004, 6004]  # the fourth and later ones are its replays
    assert [float(value) for value in returned] == [2 * sum(parts[: n + 1]) for n in range(6)]
    (graph,) = fake_cuda.graphs
    assert graph.replayed == 3


def test_the_host_waits_for_the_gpu_now_and_then(fake_cuda):
    """Waiting for the GPU now and then lets a stop be noticed in time."""
    call = GraphedCall(lambda: torch.zeros(()))
    for _ in range(2 * SYNCHRONISE + 1):
        call()
    assert fake_cuda.synchronised == 2


def test_what_asks_the_gpu_cannot_be_captured(fake_cuda):
    call = GraphedCall(lambda: torch.zeros(()).item())
    for _ in range(WARM_UP):
        call()
    with pytest.raises(RuntimeError, match="cannot be captured"):
        call()


@pytest.mark.parametrize("batch_size", [32, 40])  # 200 images: a smaller last batch, and none
@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_graphed_steps_are_the_steps(field, batch_size, currents, fake_cuda):
    """Warm-up, capture, replays and the odd batch, through two epochs.

    Plain steps, and graphed ones of both fields, follow the reference: see test_switch.py.
    """
    changes = dict(batch_size=batch_size, field=field, resistor_noise=0.1, init=0.2)
    graphed = graphed_trainer(currents, fake_cuda, **changes)
    plain = Trainer(members_of(setting_of(**changes)), currents, EAGER)
    with torch.no_grad():
        for _ in range(2 * plain.per_epoch):
            expected = plain.learn()
            actual = graphed.learn()
            for tensor, other in zip(actual, expected, strict=True):
                assert torch.equal(tensor, other)
    assert graphed.step == plain.step == 2 * plain.per_epoch
    for tensor, other in zip(graphed.ensemble.state, plain.ensemble.state, strict=True):
        assert torch.equal(tensor, other) or tensor.isnan().all()
    (graph,) = fake_cuda.graphs
    assert graph.replayed == 2 * (200 // batch_size) - WARM_UP
