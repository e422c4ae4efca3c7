"""What a run would do: its settings, who trains what, memory, and time from a short probe."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch

from utils.data.currents import Currents
from utils.errors import UserError
from utils.records.provenance import hardware
from utils.settings import Member, Run
from utils.training.engine import Engine
from utils.training.evaluation import evaluate
from utils.training.plan import groups_of, memory_of, processes_for
from utils.training.share import ensembles_of
from utils.training.training import Training
from utils.training.workers import Died, Line, Worker
from utils.world import World

PROBE_SECONDS = 1.0


def describe(run: Run, currents: Currents, engine: Engine, world: World) -> None:
    """Print it, in process 0; nothing is trained or written."""
    mine = world.share(run.members)  # process 0 has the largest share
    if not world.is_first:
        return
    processes = processes_for(mine, currents)
    groups = groups_of(mine, currents, lambda member: 0, processes)
    largest = max(groups, key=len)
    seconds = seconds_of(groups, processes, currents, engine)
    need = memory_of(largest[0].setting, currents, len(largest), processes)
    print(f"{len(run.settings)} settings x {run.n_models} networks on {world.size} processes:")
    for setting in run.settings:
        print(f"  {setting.slug}")
    print(
        f"process 0 trains {len(mine)} networks on {hardware(currents.train.device)}, up to "
        f"{len(largest)} at once{f' on {processes} cores' * (processes > 1)}, in about "
        f"{need / 2**20:.0f} MiB beside the data\n"
        f"about {duration(seconds)} of training, {'' if engine.compiled else 'not '}compiled, "
        "by a probe of a few steps"
    )


def seconds_of(groups, processes: int, currents: Currents, engine: Engine) -> float:
    """Expected seconds of all groups, by trying an ensemble of each kind: fields cost differently.

    processes: how many train at the same time.
    """
    total, tried = 0.0, {}
    for group in groups:
        costs = []
        for part in ensembles_of(group, currents):
            kind = frozenset(member.setting.field for member in part)
            if kind not in tried:
                tried[kind] = seconds_at_once(processes, part, currents, engine)
            costs.append(tried[kind])
        total += -(-len(group) // processes) * statistics.fmean(costs)
    return total


def seconds_per_network(part: Sequence[Member], currents: Currents, engine: Engine) -> float:
    """Seconds of training per network of an ensemble, tests included."""
    training = Training(part, currents, engine)
    training.prepare()
    setting = part[0].setting
    with torch.no_grad():
        training.take_step()  # not in the count: the first call of all is slow
        start, count = time.monotonic(), 0
        while count < training.steps.per_epoch and time.monotonic() - start < PROBE_SECONDS:
            training.take_step()
            synchronise(currents)
            count += 1
        step = (time.monotonic() - start) / count
        start = time.monotonic()
        evaluate(training.ensemble, currents, engine)
        synchronise(currents)
        test = time.monotonic() - start
    epochs = setting.epochs * (step * training.steps.per_epoch + test)
    return epochs / len(part)


def seconds_at_once(processes: int, part, currents: Currents, engine: Engine) -> float:
    """The same while so many processes train a network each, which slows them down."""
    if processes == 1:
        return seconds_per_network(part, currents, engine)
    workers = []
    try:
        for count in (1, processes):  # the first compiles, the others load what it has compiled
            workers += (Worker(probe, part, currents, engine) for _ in range(count))
            answers = [worker.line.receive() for worker in workers[-count:]]
            seconds, compiled = zip(*answers, strict=True)
            engine.compiled = all(compiled)
    except (Died, OSError):
        raise UserError(
            "trying a few steps failed, perhaps for want of memory, of which a smaller "
            "$OMP_NUM_THREADS needs less"
        ) from None
    finally:
        for worker in workers:
            worker.end()
    return max(seconds)


def probe(line: Line, part, currents: Currents, engine: Engine) -> None:
    line.send((seconds_per_network(part, currents, engine), engine.compiled))


def synchronise(currents: Currents) -> None:
    if currents.train.device.type == "cuda":
        torch.cuda.synchronize()


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
