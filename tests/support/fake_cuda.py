"""Fake CUDA graphs and streams, which compute on the CPU."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FORBIDDEN = ("_local_scalar_dense", "nonzero")  # not capturable by CUDA: they read from the GPU


class Tape(TorchDispatchMode):
    """Records every operation with the very tensors that it read and returned."""

    def __init__(self):
        super().__init__()
        self.operations: list[tuple[Callable, tuple, dict, object]] = []

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        if any(name in str(operation) for name in FORBIDDEN):
            raise RuntimeError(f"{operation} cannot be captured")
        returned = operation(*arguments, **(keywords or {}))
        self.operations.append((operation, arguments, keywords or {}, returned))
        return returned


class FakeGraph:
    """Behaves as a CUDA graph.

    Capturing records the operations with their numbers and tensors, and leaves all tensors as they
    are; a replay runs the operations on the same tensors, and writes the results to the tensors
    that the captured call returned. Decisions in Python are taken once, while capturing.
    """

    def __init__(self):
        self.tape, self.replayed = Tape(), 0

    def replay(self) -> None:
        self.replayed += 1
        for operation, arguments, keywords, place in self.tape.operations:
            fresh = operation(*arguments, **keywords)
            for tensor, replayed_tensor in zip(tree_leaves(place), tree_leaves(fresh), strict=True):
                if isinstance(tensor, Tensor) and not is_same_storage(tensor, replayed_tensor):
                    tensor.copy_(replayed_tensor)


def is_same_storage(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


class FakeStream:
    synchronised = 0

    def wait_stream(self, other) -> None: ...

    def synchronize(self) -> None:
        FakeStream.synchronised += 1


class FakeCuda:
    """The state of fake CUDA.

    graphs: the graphs that were captured; state: the tensors that a captured call would change;
    capturing: whether a call is being captured.
    """

    def __init__(self):
        self.graphs: list[FakeGraph] = []
        self.state: Sequence[Tensor] = ()
        self.capturing = False

    @contextmanager
    def capture(self, graph: FakeGraph) -> Iterator[None]:
        before = [tensor.clone() for tensor in self.state]
        self.capturing = True
        try:
            with graph.tape:
                yield
        finally:
            self.capturing = False
        for tensor, value in zip(self.state, before, strict=True):
            tensor.copy_(value)
        self.graphs.append(graph)

    @property
    def synchronised(self) -> int:
        return FakeStream.synchronised


@pytest.fixture
def fake_cuda(monkeypatch) -> FakeCuda:
    """Replace graphs and streams of torch.cuda by fake ones."""
    cuda = FakeCuda()
    monkeypatch.setattr(FakeStream, "synchronised", 0)
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", cuda.capture)
    return cuda
