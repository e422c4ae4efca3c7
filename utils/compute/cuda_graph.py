"""Calls of a function as a CUDA graph, without Python between its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
WARM_UP = 3  # calls before the graph is captured, as CUDA requires
SYNCHRONISE = 50  # most calls queued on the GPU, so that a stop is noticed in time


class GraphedCall(Generic[T]):
    """Calls a function without arguments, first directly, then by replaying one captured call.

    The function reads its inputs from tensors that change in place; the next call overwrites the
    tensors that it returns. Everything is on the current GPU.
    """

    def __init__(self, function: Callable[[], T]):
        self.function, self.count = function, 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream()

    def __call__(self) -> T:
        self.count += 1
        if self.count % SYNCHRONISE == 0:
            torch.cuda.current_stream().synchronize()
        if self.count <= WARM_UP:
            return self.warm_up()
        if self.graph is None:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.returned = self.function()
            self.graph = graph  # whole, or none
        self.graph.replay()  # also now: capturing does not run the call
        return self.returned

    def warm_up(self) -> T:
        """Call the function on a side stream, where libraries may still allocate memory."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            returned = self.function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return returned
