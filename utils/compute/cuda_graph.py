"""A function that runs on a GPU again and again, without Python between its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")
WARM_UP = 3  # calls before the graph is captured, as CUDA asks for
SYNCHRONISE = 50  # calls that may wait on the GPU, so that a stop is noticed in time


class GraphedCall:
    """Calls `function`, which takes nothing, first as it is, then by replaying one captured call.

    The function finds its inputs in tensors that change in place; what it returns is overwritten
    by the next call. All on the current GPU.
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
        """A call on a side stream, where libraries may still allocate."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            returned = self.function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return returned
