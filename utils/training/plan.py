"""Which networks train at the same time, in how many processes, and whether compiled."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import torch

from models.product import repeats_itself
from utils.data.currents import Currents
from utils.errors import UserError
from utils.hardware import usable_cores
from utils.settings import Member, Run, Setting
from utils.training.evaluation import TEST_BATCH
from utils.training.workers import can_fork

SHARE = 0.8  # of the free memory that networks may take
AT_WORK = 0.9  # of the processes, at least, on average while a group trains
DEFAULT_BYTES = 4 << 30
WORTH_COMPILING = 3e8  # weight updates of one network; above this, compiling pays


def weights_of(setting: Setting, currents: Currents) -> int:
    """Number of weights of one network."""
    sizes = [currents.pixels.total, *setting.layers, currents.n_classes]
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def is_compiled(run: Run, currents: Currents) -> bool:
    """Whether the steps of a run are compiled, by its flag or because it is worth it."""
    return run.compile == "on" or (
        run.compile == "auto" and worth_compiling(run.settings[0], currents)
    )


def worth_compiling(setting: Setting, currents: Currents) -> bool:
    """Whether a network trains long enough for a compiled step to pay.

    A matter of the setting alone, not of how many networks there are: compiled and eager programs
    round differently, and a network must be the same alone and beside others.
    """
    steps = setting.epochs * -(-len(currents.train) // setting.batch_size)
    return steps * weights_of(setting, currents) >= WORTH_COMPILING


STATE_BYTES = 24  # of a weight in training: two voltages, two slopes, itself; one for rounding
WORK_BYTES = 60  # of a weight while its network is made, compiled or stepped; measured
PROCESS_BYTES = 200 << 20  # of a process of the crew beside its networks; measured


def memory_of(setting: Setting, currents: Currents, networks: int, processes: int = 1) -> int:
    """Bytes that so many networks need beside the data; measured peaks lie below.

    On a CPU each process works on its networks in turn; on a GPU they are side by side, with the
    activations of a batch of training or testing, their noise and gradients.
    """
    n_weights = weights_of(setting, currents)
    if currents.train.device.type == "cpu":
        work = processes * n_weights * WORK_BYTES + (processes - 1) * PROCESS_BYTES
        return work + n_weights * STATE_BYTES * networks
    n_units = sum(setting.layers) + currents.n_classes
    batch = max(min(setting.batch_size, len(currents.train)), TEST_BATCH)
    return networks * (n_weights * (WORK_BYTES + STATE_BYTES) + 4 * 8 * n_units * batch)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError):  # a system that does not tell
        return DEFAULT_BYTES


def networks_at_once(setting: Setting, currents: Currents, processes: int = 1) -> int:
    """How many networks of these sizes the free memory holds; UserError if not even one."""
    free = free_bytes(currents.train.device)
    one, two = (memory_of(setting, currents, networks, processes) for networks in (1, 2))
    if one > SHARE * free:
        raise UserError(
            f"one network needs {one / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are "
            "free; choose smaller --layers"
        )
    return 1 + int((SHARE * free - one) / (two - one))


def can_spread(setting: Setting, currents: Currents) -> bool:
    """Whether networks may be spread over processes that are forked from this one.

    Not beside the driver of a GPU, which may not stand it; nor where products are rounded otherwise
    with another number of threads, as networks are the same alone and among others.
    """
    is_safe = currents.train.device.type == "cpu" and not torch.cuda.is_available()
    return is_safe and can_fork() and products_repeat(setting, currents)


def products_repeat(setting: Setting, currents: Currents) -> bool:
    """Whether all products of training and testing are the same by one thread and by all."""
    n_train, n_test = len(currents.train), len(currents.test)
    trained = {setting.batch_size, n_train % setting.batch_size} - {0}  # images in a batch
    tested = {TEST_BATCH, n_test % TEST_BATCH} - {0}
    sizes = [currents.train.shape[1], *setting.layers, currents.n_classes]
    shapes = [(sizes[1], currents.test.shape[1], n) for n in tested]
    for n_in, n_out in pairwise(sizes):
        shapes += [(n_out, n_in, n) for n in trained | tested]  # V = W I
        shapes += [(n_out, n, n_in) for n in trained]  # dL/dW = g I^T
        shapes += [(n_in, n_out, n) for n in trained]  # dL/dI = W^T g
    return all(repeats_itself(*shape) for shape in shapes)


def processes_for(members: Sequence[Member], currents: Currents) -> int:
    """How many processes of one thread train these networks; 1: this one, with all its threads.

    One for every core, unless that, or too little memory, leaves more than half of them idle.
    """
    # OpenMP may have bound this process to one core ($OMP_PROC_BIND), and its children with it.
    cores = min(torch.get_num_threads(), usable_cores())
    processes, enough = min(cores, len(members)), max(2, cores / 2)
    if processes < enough or not can_spread(members[0].setting, currents):
        return 1
    setting, limit = members[0].setting, SHARE * free_bytes(currents.train.device)
    while processes > 1 and memory_of(setting, currents, processes, processes) > limit:
        processes -= 1
    return processes if processes >= enough else 1


def groups_of(
    members: Sequence[Member],
    currents: Currents,
    step_of: Callable[[Member], int],
    processes: int = 1,
) -> list[list[Member]]:
    """Networks that train at the same time: as many as the memory holds.

    On a GPU from all settings together, as long as they start from the same step (step_of: of
    a checkpoint, or 0). On a CPU from one setting after another, so that its files are there
    early, or from a few if one leaves processes idle.
    """
    if not members:
        return []
    at_once = networks_at_once(members[0].setting, currents, processes)
    if at_once > processes:
        at_once -= at_once % processes  # so that none is idle while the others do one more
    if currents.train.device.type == "cuda":
        batches = [list(run) for _, run in groupby(sorted(members, key=step_of), key=step_of)]
    else:
        batches = whole_settings(members, processes)
    return [
        batch[start : start + at_once]
        for batch in batches
        for start in range(0, len(batch), at_once)
    ]


def whole_settings(members: Sequence[Member], processes: int) -> list[list[Member]]:
    """The members setting by setting, some together where one would leave processes idle."""
    batches, batch = [], []
    for _, mine in groupby(members, key=lambda member: member.setting):
        batch += mine
        turns = -(-len(batch) // processes)
        if len(batch) >= AT_WORK * turns * processes:
            batches.append(batch)
            batch = []
    if batch and batches:
        batches[-1] += batch
    return batches or [batch]


def label_of(group: Sequence[Member]) -> str:
    """What the networks of a group are, in short."""
    settings = list(dict.fromkeys(member.setting for member in group))
    what = settings[0].slug if len(settings) == 1 else f"{len(settings)} settings"
    return f"{what}, {len(group)} network{'s' * (len(group) > 1)}"
