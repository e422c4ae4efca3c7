"""The engine as a run of several networks uses it: in as many workers as fit the machine."""

from __future__ import annotations

from models.currents import Currents
from tests.benchmarks.subjects import Ours
from utils.compute.worker import Worker
from utils.settings import Setting
from utils.training.machine import examine, sizes_of, try_threads
from utils.training.plan import Plan


class Spread:
    """The engine, by as many workers as a run has; they start when they are needed."""

    def __init__(
        self, setting: Setting, currents: Currents, networks: int, compiled: bool, workers, threads
    ):
        self.networks = networks
        shares = [networks // workers + (i < networks % workers) for i in range(workers)]
        self.workers = [
            Worker(Share(setting, currents, share, compiled), threads) for share in shares
        ]
        self.has_begun = False

    def order(self, method: str, *arguments) -> None:
        if not self.has_begun:  # the first compiles, the others load what it has compiled
            self.has_begun = True
            self.workers[0].call(("run", 0))
            self.workers[0].result()
        for worker in self.workers:
            worker.call((method, *arguments))
        for worker in self.workers:
            worker.result()

    def run(self, steps: int) -> None:
        self.order("run", steps)

    def test(self) -> None:
        self.order("test")

    def end(self) -> None:
        for worker in self.workers:
            worker.end()


class Share:
    """The task of a worker of Spread: calls the methods of `Ours`, which it makes when first asked.

    arguments: those of Ours, for the worker's share of the networks.
    """

    def __init__(self, *arguments):
        self.arguments = arguments
        self.ours: Ours | None = None

    def __call__(self, send, call: tuple) -> None:
        method, *arguments = call
        self.ours = self.ours or Ours(*self.arguments)
        getattr(self.ours, method)(*arguments)


class Engines:
    """The engine for any number of networks, as a run of so many uses it.

    Made before anything differentiates in this process, since its workers are forked from it.
    """

    def __init__(
        self, setting: Setting, currents: Currents, counts: set[int], compiled: bool, cores: int
    ):
        self.arguments = setting, currents, compiled
        self.spread = {}
        machine = try_threads(examine(currents, cores, 1), currents, [setting])
        plan = Plan((setting,), sizes_of(currents), machine, "on" if compiled else "off")
        for networks in sorted(counts):
            workers, threads = plan.workers(networks)
            if workers > 1:
                self.spread[networks] = Spread(
                    setting, currents, networks, compiled, workers, threads
                )

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *exception) -> None:
        for engine in self.spread.values():
            engine.end()

    def of(self, networks: int) -> Ours | Spread:
        setting, currents, compiled = self.arguments
        engine = self.spread.get(networks) or Ours(setting, currents, networks, compiled)
        engine.name = "engine"
        return engine
