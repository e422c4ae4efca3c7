"""One training step after another: on the CPU by calls, on a GPU from a CUDA graph."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.data.currents import Currents
from utils.training.engine import Engine
from utils.training.ensemble import Ensemble

GRAPH_WARM_UP = 3  # steps that run before the graph is captured, as CUDA asks for
SYNCHRONISE = 50  # steps that may be under way on the GPU, so that a stop is heard in time


class Steps:
    """Training steps of one ensemble, in file order of the training set, the last batch smaller."""

    def __init__(self, ensemble: Ensemble, currents: Currents, batch_size: int, engine: Engine):
        self.ensemble, self.engine, self.batch_size = ensemble, engine, batch_size
        self.rows, self.labels = currents.train, currents.train_labels

    @property
    def per_epoch(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __call__(self, batch: int) -> list[Tensor]:
        """Learn from mini-batch number `batch`; returns dL/dW of each layer."""
        samples = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        current, labels = self.rows[samples].T, self.labels[samples]  # [in, batch], [batch]
        if len(labels) < self.batch_size:  # once an epoch: not worth a program of its own
            return self.ensemble(current, labels)
        return self.engine(self.ensemble, current, labels)


class GraphedSteps(Steps):
    """The same on a GPU: full batches are replays of one captured step, without Python between.

    The graph finds its mini-batch by the ensemble's own step count, on the GPU.
    """

    def __init__(self, ensemble: Ensemble, currents: Currents, batch_size: int, engine: Engine):
        super().__init__(ensemble, currents, batch_size, engine)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.gradients: list[Tensor] = []  # where the graph leaves them
        self.count = 0
        self.stream = torch.cuda.Stream()
        n_full = len(self.rows) // batch_size
        self.full_rows = self.rows[: n_full * batch_size].unflatten(0, (n_full, batch_size))
        self.full_labels = self.labels[: n_full * batch_size].unflatten(0, (n_full, batch_size))

    def __call__(self, batch: int) -> list[Tensor]:
        self.count += 1
        if self.count % SYNCHRONISE == 0:
            torch.cuda.current_stream().synchronize()
        if (batch + 1) * self.batch_size > len(self.rows):
            return super().__call__(batch)
        if self.graph is not None:
            self.graph.replay()
            return self.gradients
        if self.count <= GRAPH_WARM_UP:
            return self.warm_up()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.gradients = self.indexed_step()
        self.graph.replay()  # capturing does not run the step
        return self.gradients

    def warm_up(self) -> list[Tensor]:
        """A step on a side stream, where libraries may still allocate."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            gradients = self.indexed_step()
        torch.cuda.current_stream().wait_stream(self.stream)
        return gradients

    def indexed_step(self) -> list[Tensor]:
        batch = (self.ensemble.step % self.per_epoch)[None]
        current = self.full_rows.index_select(0, batch)[0].T
        labels = self.full_labels.index_select(0, batch)[0]
        return self.engine(self.ensemble, current, labels)
