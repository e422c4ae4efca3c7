"""How networks are grouped, stepped and compiled; a GPU's part in it, acted on the CPU."""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from benchmarks.straightforward import Straightforward
from conftest import ensemble_of, members_of, setting_of
from reference import Network

from utils.data.currents import pad
from utils.errors import UserError
from utils.hardware import OutOfMemory, choose_device, memory_errors
from utils.parser import parse
from utils.records.archive import Archive
from utils.stop import Stop
from utils.training.crew import Crew
from utils.training.engine import Engine, cache_folder
from utils.training.group import Trainer
from utils.training.steps import GRAPH_WARM_UP, GraphedSteps, Steps
from utils.training.training import Training
from utils.world import World


class ActedGraph:
    """Behaves as a CUDA graph does: capturing does not run the step; a replay does, and leaves
    its results where capturing said they would be."""

    captured = 0
    replayed = 0

    def __init__(self):
        ActedGraph.captured += 1

    def replay(self):
        ActedGraph.replayed += 1
        steps = self.steps
        fresh = GraphedSteps.indexed_step(steps)
        if steps.gradients and steps.gradients[0] is not fresh[0]:
            for place, value in zip(steps.gradients, fresh, strict=True):
                place.copy_(value)


@pytest.fixture
def acted_cuda(monkeypatch):
    """torch.cuda's streams and graphs, acted on the CPU."""

    class ActedStream:
        def wait_stream(self, other): ...
        def synchronize(self): ...

    @contextmanager
    def capture(graph):
        before = [tensor.clone() for tensor in graph.steps.ensemble.state]
        yield
        for tensor, value in zip(graph.steps.ensemble.state, before, strict=True):
            tensor.copy_(value)

    monkeypatch.setattr(torch.cuda, "Stream", ActedStream)
    monkeypatch.setattr(torch.cuda, "current_stream", ActedStream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", ActedGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    ActedGraph.captured = ActedGraph.replayed = 0


@pytest.mark.parametrize("batch_size", [32, 40])  # 200 images: a smaller last batch, and none
def test_graphed_steps_are_the_steps(batch_size, currents, acted_cuda):
    """Warm-up, capture, replays and the odd batch, through two epochs."""
    members = members_of(setting_of(batch_size=batch_size))
    plain = Steps(ensemble_of(members, currents), currents, batch_size, Engine(False))
    graphed = GraphedSteps(ensemble_of(members, currents), currents, batch_size, Engine(False))
    ActedGraph.steps = graphed
    with torch.no_grad():
        for step in range(2 * plain.per_epoch):
            expected = plain(step % plain.per_epoch)
            actual = graphed(step % plain.per_epoch)
            for mine, theirs in zip(actual, expected, strict=True):
                assert torch.equal(mine, theirs)
    for mine, theirs in zip(graphed.ensemble.state, plain.ensemble.state, strict=True):
        assert torch.equal(mine, theirs)
    full = 2 * (200 // batch_size)
    assert ActedGraph.captured == 1
    assert ActedGraph.replayed == full - GRAPH_WARM_UP


def test_out_of_memory_halves_the_group_and_goes_on(currents, monkeypatch):
    sizes, trained = [], []

    def train_together(trainer, members, label):
        sizes.append(len(members))
        if len(members) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        trained.extend(members)

    monkeypatch.setattr(Trainer, "train_together", train_together)
    monkeypatch.setattr(Archive, "is_complete", lambda archive, member: member in trained)
    members = members_of(setting_of(), 7)
    trainer_of(currents).train(members, "label")
    assert trained == members
    assert sizes == [7, 3, 1, 2, 4, 2, 2]


def test_a_network_too_large_for_the_gpu_is_a_users_error(currents, monkeypatch):
    def train_together(trainer, members, label):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "train_together", train_together)
    with pytest.raises(UserError, match="does not fit"):
        trainer_of(currents).train(members_of(setting_of()), "label")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("InductorError: OutOfMemoryError: CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
    ids=lambda error: str(error)[:30],
)
def test_memory_errors_are_known_in_all_their_forms(error):
    with pytest.raises(OutOfMemory), memory_errors():
        raise error


def test_other_errors_are_no_memory_errors():
    with pytest.raises(RuntimeError, match="shapes"), memory_errors():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_a_process_on_a_gpu_of_its_own_makes_it_the_current_one(monkeypatch):
    """Streams and graphs belong to the current GPU."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    world = World()
    assert choose_device("cuda:1", world) == torch.device("cuda", 1)
    world.local_size, world.local_rank = 8, 6
    assert choose_device("auto", world) == torch.device("cuda", 2)
    assert chosen == [1, 2]


def test_steps_that_did_not_run_are_noticed(currents):
    training = Training(members_of(setting_of()), currents, Engine(False))
    training.step += 1
    with pytest.raises(AssertionError, match="steps ran"):
        training.finish_epoch(0, lambda: None)


def trainer_of(currents) -> Trainer:
    archive = Archive([])
    return Trainer(parse([]), Crew(1, currents, Engine(False), archive), archive, Stop())


def test_compiled_programs_are_kept_under_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "magnetoionic"


@pytest.mark.parametrize("field", ["double-linear", "double-exponential"])
def test_the_benchmarks_straightforward_loop_simulates_the_same_physics(field, patterns):
    """Noise off, since it draws its own; from the same fresh pairs."""
    reference = Network((144, 12, 4), field, 100, 3000.0, 0.0, 0.0, 0.0, 0.1, init=0.1)
    loop = Straightforward(144, 12, field, 3000.0, 0.0, 0.0, 0.0, 0.1, classes=4)
    pairs = [loop.network[0], loop.network[3]]
    with torch.no_grad():
        for pair, w1, w2 in zip(pairs, reference.w1, reference.w2, strict=True):
            pair.weight1.copy_(torch.from_numpy(w1))
            pair.weight2.copy_(torch.from_numpy(w2))
    images = pad(patterns.train_images, 1) / 255
    for start in range(0, 192, 32):
        labels = patterns.train_labels[start : start + 32]
        loop.step(torch.from_numpy(images[start : start + 32]).float(), torch.from_numpy(labels))
        reference.train(images[start : start + 32], labels)
    for pair, w1, w2 in zip(pairs, reference.w1, reference.w2, strict=True):
        for actual, expected in ((pair.weight1, w1), (pair.weight2, w2)):
            difference = actual.detach().double() - torch.from_numpy(expected)
            assert difference.norm() < 5e-3 * torch.from_numpy(expected - expected.mean()).norm()
