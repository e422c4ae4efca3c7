"""The plan of a run: which networks form a job, how many workers there are, what is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from devices.ledger_level import LedgerLevel
from utils.errors import UserError
from utils.settings import Member, Setting, Task, choices_of
from utils.training.evaluation import TEST_BATCH
from utils.training.machine import Machine, Sizes

SHARE = 0.8  # fraction of the free memory that networks may take
WORTH_COMPILING = 1e8  # weight updates of one network above which compiling saves time
STATE_BYTES = 24  # per weight in training: two voltages, two slopes, the weight, and a margin
ACCUMULATOR_BYTES = 4  # per weight, if its requests are summed up
WEAR_BYTES = 20  # per weight, if the wear of its devices is counted
RAISED_BYTES = 16  # per weight, if the wear of devices that are driven both ways is counted
WORK_BYTES = 60  # per weight while its network is made, compiled or trained; measured
PROCESS_BYTES = 200 << 20  # of a worker besides its network; measured


@dataclass(frozen=True)
class Job:
    """Networks that train side by side.

    step: the mini-batch from which they continue, 0 for fresh networks; compiled: whether their
    steps are compiled; ledger: how much of the cost of learning is counted.
    """

    members: tuple[Member, ...]
    step: int = 0
    compiled: bool = False
    ledger: LedgerLevel = LedgerLevel.NOTHING

    @property
    def setting(self) -> Setting:
        """The setting of the first network, for flags that all networks of the job share."""
        return self.members[0].setting


@dataclass(frozen=True)
class Plan:
    """How networks are trained, which follows from settings, sizes and machine alone.

    compile: "on", "off", or "auto", which decides by the work of a network; ledger: how much of the
    cost of learning is counted. Raises UserError if not even one network fits into memory.
    """

    settings: tuple[Setting, ...]
    sizes: Sizes
    machine: Machine
    compile: str = "auto"
    ledger: LedgerLevel = LedgerLevel.NOTHING

    def __post_init__(self):
        single, free = self.memory(1), self.machine.free_bytes
        if single > SHARE * free:
            raise UserError(
                f"one network needs {single / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are "
                "free; choose smaller --layers"
            )

    def compiles(self, setting: Setting) -> bool:
        """Whether the steps of a setting's networks are compiled.

        This depends on the work of one network alone, and not on other networks: compiled and
        uncompiled steps round differently, and a network must be the same alone and with others.
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
        """Return an upper bound on the bytes of networks that train at the same time.

        The data are not included. On a CPU each network has a worker; on a GPU they train side by
        side. layers: sizes of the hidden layers; None for those of the largest network.
        """
        if layers is None:
            layers = max((setting.layers for setting in self.settings), key=self.sizes.weights)
        n_units = sum(layers) + self.sizes.n_classes
        # Activations of a batch in training or testing, with their noise and gradients.
        batch = max(min(self.settings[0].batch_size, self.sizes.n_train), TEST_BATCH)
        schemes = {setting.scheme for setting in self.settings}
        per_weight = WORK_BYTES + STATE_BYTES
        per_weight += ACCUMULATOR_BYTES * any(scheme.accumulate for scheme in schemes)
        if self.ledger >= LedgerLevel.WEAR:
            drives = any(scheme.drives_both_ways for scheme in schemes)
            per_weight += WEAR_BYTES + RAISED_BYTES * drives
        single = self.sizes.weights(layers) * per_weight + 4 * 8 * n_units * batch
        beside = 0 if self.machine.is_gpu else PROCESS_BYTES * (networks - 1)
        return networks * single + beside

    def at_once(self, layers: Sequence[int] | None = None) -> int:
        """Return how many networks fit into the free memory at the same time, at least 1.

        layers: see memory.
        """
        free = SHARE / self.machine.processes * self.machine.free_bytes
        single, double = self.memory(1, layers), self.memory(2, layers)
        return max(1, 1 + int((free - single) / (double - single)))

    def workers(self, n_jobs: int) -> tuple[int, int]:
        """Return the number of workers for n_jobs jobs, and the threads of each.

        On a CPU there is one worker for every core, as memory allows; 1 means this process alone.
        If the results of a network would depend on the number of threads, one process trains all
        networks in turn with all threads, so that a network is the same alone and with others.
        """
        cores = self.machine.cores
        if self.machine.is_gpu or cores == 1 or not self.machine.is_repeatable:
            return 1, cores
        workers = max(1, min(cores, n_jobs, self.at_once()))
        return workers, cores // workers

    @property
    def threads(self) -> int | None:
        """The number of threads of a process if results depend on it, otherwise None."""
        return None if self.machine.is_repeatable else self.machine.cores

    def jobs(self, tasks: Sequence[Task]) -> list[Job]:
        """Return the jobs of the tasks.

        On a CPU each network is a job, since one network fits into the cache. On a GPU a job has as
        many networks as fit into the memory, from all settings with devices of the same families,
        the same epoch of a switch, the same layer sizes and the same step to start from. The
        largest networks come first, so that they do not keep a single core busy at the end.
        """

        def alike(task: Task) -> tuple:
            setting = task.member.setting
            families = tuple(family for device in setting.fields for family in device.families)
            switch, size = setting.switched_at or 0, -self.sizes.weights(setting.layers)
            choices = choices_of(setting)
            return size, setting.layers, families, choices, switch, task.step

        jobs = []
        tasks = sorted(tasks, key=lambda task: -self.sizes.weights(task.member.setting.layers))
        if not self.machine.is_gpu:
            return [self.job([task]) for task in tasks]
        for (_, layers, *_), group in groupby(sorted(tasks, key=alike), key=alike):
            alike_tasks, n = list(group), self.at_once(layers)
            jobs += [self.job(alike_tasks[i : i + n]) for i in range(0, len(alike_tasks), n)]
        return jobs

    def job(self, tasks: Sequence[Task]) -> Job:
        members, first = tuple(task.member for task in tasks), tasks[0]
        return Job(members, first.step, self.compiles(first.member.setting), self.ledger)
