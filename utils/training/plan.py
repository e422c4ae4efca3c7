"""What runs when: which networks are a job, in how many workers, and whether compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from devices.ledger_level import LedgerLevel
from utils.errors import UserError
from utils.settings import Member, Setting, Task, choices_of
from utils.training.evaluation import TEST_BATCH
from utils.training.machine import Machine, Sizes

SHARE = 0.8  # of the free memory that networks may take
WORTH_COMPILING = 1e8  # weight updates of one network; above this, compiling pays
STATE_BYTES = 24  # of a weight in training: two voltages, two slopes, itself; one for rounding
WEAR_BYTES = 20  # of a weight, where the wear of its devices is counted
WORK_BYTES = 60  # of a weight while its network is made, compiled or stepped; measured
PROCESS_BYTES = 200 << 20  # of a worker beside its network; measured


@dataclass(frozen=True)
class Job:
    """Networks that train side by side, from the same mini-batch on, 0 for fresh ones.

    compiled: whether their steps are; ledger: how much of the cost of learning is counted.
    """

    members: tuple[Member, ...]
    step: int = 0
    compiled: bool = False
    ledger: LedgerLevel = LedgerLevel.NOTHING

    @property
    def setting(self) -> Setting:
        """Of the first network, for what is the same for all of them."""
        return self.members[0].setting


@dataclass(frozen=True)
class Plan:
    """How the networks of some settings train: it follows from settings, sizes and machine alone.

    compile: "on", "off", or "auto", by the work of a network; ledger: how much is counted. Raises
    UserError if not even one network fits into memory.
    """

    settings: tuple[Setting, ...]
    sizes: Sizes
    machine: Machine
    compile: str = "auto"
    ledger: LedgerLevel = LedgerLevel.NOTHING

    def __post_init__(self):
        one, free = self.memory(1), self.machine.free_bytes
        if one > SHARE * free:
            raise UserError(
                f"one network needs {one / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are "
                "free; choose smaller --layers"
            )

    def compiles(self, setting: Setting) -> bool:
        """Whether the steps of a setting's networks are compiled.

        A matter of the work of one network alone, not of how many there are or what trains beside
        it: compiled and eager programs round differently, and a network must be the same alone and
        beside others.
        """
        if self.compile == "auto":
            steps = setting.epochs * -(-self.sizes.n_train // setting.batch_size)
            return steps * self.sizes.weights(setting.layers) >= WORTH_COMPILING
        return self.compile == "on"

    @property
    def compiled(self) -> bool:
        """Whether any steps are compiled."""
        return any(map(self.compiles, self.settings))

    def memory(self, networks: int, layers: Sequence[int] | None = None) -> int:
        """Bytes that so many networks need at the same time beside the data; peaks lie below.

        On a CPU each in a worker of its own; on a GPU side by side. layers: the hidden ones, of the
        largest network if not given.
        """
        if layers is None:
            layers = max((setting.layers for setting in self.settings), key=self.sizes.weights)
        n_units = sum(layers) + self.sizes.n_classes
        # Activations of a batch of training or testing, their noise and gradients.
        batch = max(min(self.settings[0].batch_size, self.sizes.n_train), TEST_BATCH)
        per_weight = WORK_BYTES + STATE_BYTES + WEAR_BYTES * (self.ledger >= LedgerLevel.WEAR)
        one = self.sizes.weights(layers) * per_weight + 4 * 8 * n_units * batch
        beside = 0 if self.machine.is_gpu else PROCESS_BYTES * (networks - 1)
        return networks * one + beside

    def at_once(self, layers: Sequence[int] | None = None) -> int:
        """How many networks the free memory holds at the same time, at least one; see memory."""
        free = SHARE / self.machine.processes * self.machine.free_bytes
        one, two = self.memory(1, layers), self.memory(2, layers)
        return max(1, 1 + int((free - one) / (two - one)))

    def workers(self, n_jobs: int) -> tuple[int, int]:
        """Into how many processes so many jobs go, and with how many threads each.

        On a CPU a worker for every core, as memory allows; 1 is this process itself. Networks are
        the same alone and among others: where that would not be so, one process trains them in
        turn with all threads.
        """
        cores = self.machine.cores
        if self.machine.is_gpu or cores == 1 or not self.machine.is_repeatable:
            return 1, cores
        workers = max(1, min(cores, n_jobs, self.at_once()))
        return workers, cores // workers

    @property
    def threads(self) -> int | None:
        """Threads of a process, where results depend on them."""
        return None if self.machine.is_repeatable else self.machine.cores

    def jobs(self, tasks: Sequence[Task]) -> list[Job]:
        """Networks that train side by side: on a CPU each alone, as one fits the cache.

        On a GPU as many as the memory holds, from all settings together whose devices are of the
        same family, also after a switch at the same epoch, and whose layers are of the same sizes,
        as long as they start from the same step. The largest networks come first, so that no core
        is left with one at the end.
        """

        def alike(task: Task) -> tuple:
            setting = task.member.setting
            families = tuple(device.response.family for device in setting.fields)
            switch, size = setting.switched_at or 0, -self.sizes.weights(setting.layers)
            choices = choices_of(setting)
            return size, setting.layers, families, choices, switch, task.step

        jobs = []
        tasks = sorted(tasks, key=lambda task: -self.sizes.weights(task.member.setting.layers))
        if not self.machine.is_gpu:
            return [self.job([task]) for task in tasks]
        for (_, layers, *_), group in groupby(sorted(tasks, key=alike), key=alike):
            mine, at_once = list(group), self.at_once(layers)
            jobs += [self.job(mine[i : i + at_once]) for i in range(0, len(mine), at_once)]
        return jobs

    def job(self, tasks: Sequence[Task]) -> Job:
        members, first = tuple(task.member for task in tasks), tasks[0]
        return Job(members, first.step, self.compiles(first.member.setting), self.ledger)
