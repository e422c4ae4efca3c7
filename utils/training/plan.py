"""What runs when: which networks are a job, in how many workers, and whether compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby, pairwise

from devices.ledger_level import LedgerLevel
from models.currents import Currents
from models.matmul import repeats_itself
from utils.compute.processor import free_bytes
from utils.compute.worker import holds_in_a_fork
from utils.errors import UserError
from utils.run import Run
from utils.settings import Member, Setting
from utils.training.evaluation import TEST_BATCH
from utils.training.job import Job

SHARE = 0.8  # of the free memory that networks may take
WORTH_COMPILING = 1e8  # weight updates of one network; above this, compiling pays
STATE_BYTES = 24  # of a weight in training: two voltages, two slopes, itself; one for rounding
WEAR_BYTES = 20  # of a weight, where the wear of its devices is ledger_level
WORK_BYTES = 60  # of a weight while its network is made, compiled or stepped; measured
PROCESS_BYTES = 200 << 20  # of a worker beside its network; measured


class Plan:
    """How a run is carried out on this process's processor.

    cores: that may compute; processes: of this run on this machine, which divide a CPU's memory
    among them. Raises UserError if not even one network fits into memory.
    """

    def __init__(self, run: Run, currents: Currents, cores: int, processes: int = 1):
        self.setting = run.settings[0]  # for what is the same in all settings
        self.settings, self.compile, self.ledger_level = run.settings, run.compile, run.ledger_level
        self.currents, self.cores = currents, cores
        self.layers = list(dict.fromkeys(setting.layers for setting in run.settings))
        self.largest = max(self.layers, key=self.weights)
        self.processes = processes if currents.device.type == "cpu" else 1
        free, one = free_bytes(currents.device), self.memory(1)
        if one > SHARE * free:
            raise UserError(
                f"one network needs {one / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are "
                "free; choose smaller --layers"
            )

    def weights(self, layers: Sequence[int]) -> int:
        """Number of weights of one network of such hidden layers."""
        sizes = [self.currents.n_inputs, *layers, self.currents.n_classes]
        return sum(n_in * n_out for n_in, n_out in pairwise(sizes))

    def updates(self, layers: Sequence[int]) -> int:
        """Weight updates of one network in its training."""
        steps = self.setting.epochs * -(-self.currents.n_train // self.setting.batch_size)
        return steps * self.weights(layers)

    def compiles(self, setting: Setting) -> bool:
        """Whether the steps of a setting's networks are compiled.

        A matter of the work of one network alone, not of how many there are or what trains beside
        it: compiled and eager programs round differently, and a network must be the same alone and
        beside others.
        """
        if self.compile == "auto":
            return self.updates(setting.layers) >= WORTH_COMPILING
        return self.compile == "on"

    def memory(self, networks: int, layers: Sequence[int] | None = None) -> int:
        """Bytes that so many networks need at the same time beside the data; peaks lie below.

        On a CPU each in a worker of its own; on a GPU side by side. layers: the hidden ones, of the
        largest network if not given.
        """
        layers = self.largest if layers is None else layers
        n_units = sum(layers) + self.currents.n_classes
        # Activations of a batch of training or testing, their noise and gradients.
        batch = max(min(self.setting.batch_size, self.currents.n_train), TEST_BATCH)
        per_weight = WORK_BYTES + STATE_BYTES + WEAR_BYTES * (self.ledger_level >= LedgerLevel.WEAR)
        one = self.weights(layers) * per_weight + 4 * 8 * n_units * batch
        beside = PROCESS_BYTES * (networks - 1) if self.currents.device.type == "cpu" else 0
        return networks * one + beside

    def at_once(self, layers: Sequence[int] | None = None) -> int:
        """How many networks the free memory holds at the same time, at least one; see memory."""
        free = SHARE / self.processes * free_bytes(self.currents.device)
        one, two = self.memory(1, layers), self.memory(2, layers)
        return max(1, 1 + int((free - one) / (two - one)))

    @cached_property
    def compiled(self) -> bool:
        """Whether any steps of the run are compiled."""
        return any(map(self.compiles, self.settings))

    @cached_property
    def repeats_itself(self) -> bool:
        """Whether networks are the same to the bit by any number of threads; tried, in a fork."""
        counts = {self.cores // workers for workers in range(1, self.cores + 1)} - {1}
        shapes = [
            shape
            for layers in self.layers
            for shape in product_shapes(replace(self.setting, layers=layers), self.currents)
        ]
        return holds_in_a_fork(
            lambda: all(repeats_itself(*shape, count) for shape in shapes for count in counts)
        )

    def workers(self, n_jobs: int) -> tuple[int, int]:
        """Into how many processes so many jobs go, and with how many threads each.

        On a CPU a worker for every core, as memory allows; 1 is this process itself. Networks are
        the same alone and among others: where that would not be so, one process trains them in
        turn with all threads.
        """
        if self.currents.device.type != "cpu" or self.cores == 1 or not self.repeats_itself:
            return 1, self.cores
        workers = max(1, min(self.cores, n_jobs, self.at_once()))
        return workers, self.cores // workers

    @property
    def threads(self) -> int | None:
        """Threads of a process, where results depend on them."""
        depends = self.currents.device.type == "cpu" and self.cores > 1 and not self.repeats_itself
        return self.cores if depends else None

    def jobs(self, members: Sequence[Member], step_of: Callable[[Member], int]) -> list[Job]:
        """Networks that train side by side: on a CPU each alone, as one fits the cache.

        On a GPU as many as the memory holds, from all settings together whose devices are of the
        same family, also after a switch at the same epoch, and whose layers are of the same sizes,
        as long as they start from the same step (step_of: of a checkpoint, or 0). The largest
        networks come first, so that no core is left with one at the end.
        """
        members = sorted(members, key=lambda member: -self.weights(member.setting.layers))
        if self.currents.device.type == "cpu":
            return [(member,) for member in members]

        def alike(member: Member) -> tuple:
            setting = member.setting
            families = tuple(device.response.family for device in setting.fields)
            size = -self.weights(setting.layers)
            return size, setting.layers, families, setting.switched_at or 0, step_of(member)

        jobs = []
        for (_, layers, *_), group in groupby(sorted(members, key=alike), key=alike):
            mine, at_once = tuple(group), self.at_once(layers)
            jobs += [mine[start : start + at_once] for start in range(0, len(mine), at_once)]
        return jobs


def product_shapes(setting: Setting, currents: Currents) -> list[tuple[int, int, int]]:
    """m, k, n of all dense products [m, k] times [k, n] of training and testing.

    Sparse ones have a fixed order of their sums with any number of threads.
    """
    n_train, n_test = currents.n_train, currents.n_test
    batch = min(setting.batch_size, n_train)
    trained = {batch, n_train % batch} - {0}  # images in a batch
    tested = {min(TEST_BATCH, n_test), n_test % TEST_BATCH} - {0}
    sizes = [*setting.layers, currents.n_classes]
    shapes = currents.inputs.product_shapes(sizes[0], trained, tested)
    for n_in, n_out in pairwise(sizes):
        shapes += [(n_out, n_in, n) for n in trained | tested]  # V = W I
        shapes += [(n_out, n, n_in) for n in trained]  # dL/dW = g I^T
        shapes += [(n_in, n_out, n) for n in trained]  # dL/dI = W^T g
    return shapes
